#include "wire/lines.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"

enum { KEEP_MAX = 64 * 1024 /* memory that stays after a long line */ };

struct lines {
    size_t line_max;
    struct buf line; /* the start of a line whose end has not come; with the CR one byte more */
    bool discarding; /* it was over the limit, and that has been said */
    bool returned;   /* what the caller borrowed is to be dropped */
};

int lines_new(size_t line_max, struct lines **out)
{
    struct lines *lines = calloc(1, sizeof *lines);

    if (lines == NULL)
        return ERR_NOMEM;
    lines->line_max = line_max;
    buf_init(&lines->line, line_max + 1);
    *out = lines;
    return 0;
}

void lines_free(struct lines *lines)
{
    if (lines == NULL)
        return;
    buf_fini(&lines->line);
    free(lines);
}

static void clear(struct lines *lines)
{
    if (lines->line.cap > KEEP_MAX)
        buf_fini(&lines->line);
    else
        buf_clear(&lines->line);
}

/* A line without its LF. */
static int end_line(struct lines *lines, struct slice whole, struct slice *line)
{
    if (whole.len != 0 && whole.ptr[whole.len - 1] == '\r')
        whole.len--;
    if (whole.len > lines->line_max)
        return ERR_LIMIT;
    *line = whole;
    lines->returned = whole.len != 0;
    return whole.len != 0;
}

int lines_next(struct lines *lines, struct slice *bytes, struct slice *line)
{
    int rc = 0;

    if (lines->returned)
        clear(lines);
    lines->returned = false;
    while (rc == 0 && bytes->len != 0) {
        const char *lf = slice_find_byte(*bytes, '\n');
        struct slice part = slice_make(bytes->ptr, lf ? (size_t)(lf - bytes->ptr) : bytes->len);
        bool whole = lf != NULL && lines->line.len == 0;

        *bytes = slice_from(*bytes, part.len + (lf != NULL));
        if (lines->discarding) {
            lines->discarding = lf == NULL;
            continue;
        }
        if (!whole)
            rc = buf_append_slice(&lines->line, part);
        if (rc == 0 && lf != NULL)
            rc = end_line(lines, whole ? part : buf_slice(&lines->line), line);
        else if (rc == ERR_LIMIT)
            lines->discarding = lf == NULL;
        if (rc != 1 && (rc != 0 || lf != NULL))
            clear(lines);
    }
    return rc;
}
