#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "config/ini.h"

struct diag {
    size_t count; /* of all that were added */
    size_t kept, left_out;
    char *texts[LIMIT_ERRORS];
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
        free(diag->texts[i]);
    free(diag);
}

static bool is_kept(const struct diag *diag, const char *text)
{
    for (size_t i = 0; i < diag->kept; i++)
        if (strcmp(diag->texts[i], text) == 0)
            return true;
    return false;
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
        diag->texts[diag->kept++] = text;
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
    return i < diag->kept ? diag->texts[i] : NULL;
}
