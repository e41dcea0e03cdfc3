#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "config/ini.h"

struct fault {
    char *text;
    size_t file_len; /* of the text: the file's name */
    unsigned line;
};

struct diag {
    size_t count; /* of all that were added */
    size_t kept, left_out;
    struct fault faults[LIMIT_ERRORS];
};

struct diag *diag_new(void)
{
    return calloc(1, sizeof(struct diag));
}

void diag_free(struct diag *diag)
{
    if (diag == NULL)
        return;
    for (size_t i = 0; i < diag->kept; i++)
        free(diag->faults[i].text);
    free(diag);
}

static bool is_kept(const struct diag *diag, const char *text)
{
    for (size_t i = 0; i < diag->kept; i++)
        if (strcmp(diag->faults[i].text, text) == 0)
            return true;
    return false;
}

static bool same_file(const struct fault *a, const struct fault *b)
{
    return a->file_len == b->file_len && memcmp(a->text, b->text, a->file_len) == 0;
}

/* What a file has comes together, by its lines, as one mends it from the top; several passes over
 * it have found it in an order of their own. Files come as they were met first. */
static void keep(struct diag *diag, struct fault fault)
{
    size_t end = diag->kept;
    size_t at;

    while (end > 0 && !same_file(&diag->faults[end - 1], &fault))
        end--;
    at = end == 0 ? diag->kept : end;
    while (at > 0 && same_file(&diag->faults[at - 1], &fault) &&
           diag->faults[at - 1].line > fault.line)
        at--;
    memmove(&diag->faults[at + 1], &diag->faults[at], (diag->kept - at) * sizeof(fault));
    diag->faults[at] = fault;
    diag->kept++;
}

void diag_add(struct diag *diag, const char *file, unsigned line, const char *fmt, ...)
{
    struct error err;
    char *text;
    va_list args;
    int n;

    diag->count++;
    va_start(args, fmt);
    error_vset(&err, ERR_PARSE, fmt, args);
    va_end(args);
    if (line != 0)
        n = asprintf(&text, "%s:%u: %s", file, line, err.text);
    else
        n = asprintf(&text, "%s: %s", file, err.text);
    if (n < 0)
        return;
    if (is_kept(diag, text)) {
        free(text);
    } else if (diag->kept == LIMIT_ERRORS) {
        diag->left_out++;
        free(text);
    } else {
        keep(diag, (struct fault){.text = text, .file_len = strlen(file), .line = line});
    }
}

size_t diag_count(const struct diag *diag)
{
    return diag->count;
}

size_t diag_left_out(const struct diag *diag)
{
    return diag->left_out;
}

const char *diag_get(const struct diag *diag, size_t i)
{
    return i < diag->kept ? diag->faults[i].text : NULL;
}
