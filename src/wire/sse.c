/*
 * Bytes become lines, lines become fields, fields an event. A line that lies whole in what was fed
 * is read where it is; only others are collected.
 */
#include "wire/sse.h"

#include <stdlib.h>

#include "base/error.h"

enum {
    FIELD_MAX = 16,        /* above the value: BOM, the longest field name, colon, blank */
    KEEP_MAX = 64 * 1024,  /* memory that stays with the decoder after a large event */
    RETRY_DIGITS_MAX = 15, /* more is no time that a client could mean */
};

struct sse {
    size_t data_max;
    struct buf line; /* the start of a line whose end has not come */
    bool line_over;  /* it is longer than any field may be: only its name is of interest */
    bool after_cr;   /* an LF that comes now belongs to the line before */
    bool begun;      /* the first line, which may have a BOM, is done */
    bool dispatched; /* what the caller borrowed is to be dropped */

    struct buf data;
    struct buf type;
    struct buf id; /* of this event or an earlier one */
    bool has_data; /* an event without a data field is none */
    bool over;
    int64_t retry_ms;
};

int sse_new(size_t data_max, struct sse **out)
{
    struct sse *sse = calloc(1, sizeof *sse);
    size_t line_max = data_max > SSE_ID_MAX ? data_max : SSE_ID_MAX;

    if (sse == NULL)
        return ERR_NOMEM;
    sse->data_max = data_max;
    sse->retry_ms = -1;
    buf_init(&sse->line, line_max + FIELD_MAX);
    buf_init(&sse->data, data_max);
    buf_init(&sse->type, SSE_TYPE_MAX);
    buf_init(&sse->id, SSE_ID_MAX);
    *out = sse;
    return 0;
}

void sse_free(struct sse *sse)
{
    if (sse == NULL)
        return;
    buf_fini(&sse->line);
    buf_fini(&sse->data);
    buf_fini(&sse->type);
    buf_fini(&sse->id);
    free(sse);
}

static void release(struct buf *b)
{
    if (b->cap > KEEP_MAX)
        buf_fini(b);
    else
        buf_clear(b);
}

static void clear_event(struct sse *sse)
{
    release(&sse->data);
    buf_clear(&sse->type);
    sse->has_data = false;
    sse->over = false;
}

/* ---- fields ---- */

/* What does not fit makes the whole event oversize: half of it would be another event. */
static int take(struct sse *sse, struct buf *into, struct slice value)
{
    int rc = buf_append_slice(into, value);

    if (rc != ERR_LIMIT)
        return rc;
    sse->over = true;
    return 0;
}

static int take_data(struct sse *sse, struct slice value)
{
    int rc = sse->has_data ? take(sse, &sse->data, SLICE("\n")) : 0;

    sse->has_data = true;
    if (rc == 0 && !sse->over)
        rc = take(sse, &sse->data, value);
    if (sse->over)
        release(&sse->data);
    return rc;
}

static int take_id(struct sse *sse, struct slice value)
{
    if (slice_find_byte(value, '\0') != NULL)
        return 0;
    if (value.len > SSE_ID_MAX) {
        sse->over = true;
        return 0;
    }
    buf_clear(&sse->id);
    return buf_append_slice(&sse->id, value);
}

static int take_type(struct sse *sse, struct slice value)
{
    buf_clear(&sse->type);
    return take(sse, &sse->type, value);
}

static void take_retry(struct sse *sse, struct slice value)
{
    uint64_t ms;

    if (value.len <= RETRY_DIGITS_MAX && slice_parse_u64(value, &ms) == 0)
        sse->retry_ms = (int64_t)ms;
}

static int take_field(struct sse *sse, struct slice line)
{
    const char *colon = slice_find_byte(line, ':');
    struct slice name = colon == NULL ? line : slice_make(line.ptr, (size_t)(colon - line.ptr));
    struct slice value = slice_from(line, name.len + 1);

    if (value.len > 0 && value.ptr[0] == ' ')
        value = slice_from(value, 1);
    if (sse->line_over) /* its value is not whole */
        sse->over |=
            slice_eq_str(name, "data") || slice_eq_str(name, "id") || slice_eq_str(name, "event");
    else if (slice_eq_str(name, "data"))
        return take_data(sse, value);
    else if (slice_eq_str(name, "id"))
        return take_id(sse, value);
    else if (slice_eq_str(name, "event"))
        return take_type(sse, value);
    else if (slice_eq_str(name, "retry"))
        take_retry(sse, value);
    return 0;
}

/* ---- lines ---- */

/* As sse_next(). */
static int dispatch(struct sse *sse, struct sse_event *out)
{
    if (sse->over) {
        clear_event(sse);
        return ERR_LIMIT;
    }
    if (!sse->has_data) {
        clear_event(sse);
        return 0;
    }
    sse->dispatched = true;
    out->data = buf_slice(&sse->data);
    out->event = sse->type.len != 0 ? buf_slice(&sse->type) : slice_make(NULL, 0);
    out->id = sse->id.len != 0 ? buf_slice(&sse->id) : slice_make(NULL, 0);
    return 1;
}

static int end_line(struct sse *sse, struct slice line, struct sse_event *out)
{
    int rc;

    if (!sse->begun && slice_starts_with(line, SLICE("\xEF\xBB\xBF")))
        line = slice_from(line, 3);
    sse->begun = true;
    rc = line.len == 0 ? dispatch(sse, out) : take_field(sse, line);
    release(&sse->line);
    sse->line_over = false;
    return rc;
}

/* The bytes up to the next CR or LF. */
static size_t line_length(struct slice bytes)
{
    const char *lf = slice_find_byte(bytes, '\n');
    size_t n = lf != NULL ? (size_t)(lf - bytes.ptr) : bytes.len;
    const char *cr = slice_find_byte(slice_make(bytes.ptr, n), '\r');

    return cr != NULL ? (size_t)(cr - bytes.ptr) : n;
}

/* Keeps the part of a line, or as much of it as any field may have. */
static int collect(struct sse *sse, struct slice part)
{
    size_t room = sse->line.max - sse->line.len;

    if (part.len > room) {
        sse->line_over = true;
        part.len = room;
    }
    return buf_append_slice(&sse->line, part);
}

int sse_next(struct sse *sse, struct slice *bytes, struct sse_event *out)
{
    int rc = 0;

    if (sse->dispatched)
        clear_event(sse);
    sse->dispatched = false;
    while (rc == 0 && bytes->len != 0) {
        struct slice line;
        size_t n;

        if (sse->after_cr && bytes->ptr[0] == '\n') {
            sse->after_cr = false;
            *bytes = slice_from(*bytes, 1);
            continue;
        }
        sse->after_cr = false;
        n = line_length(*bytes);
        line = slice_make(bytes->ptr, n);
        if (n == bytes->len || sse->line.len != 0 || n > sse->line.max) {
            rc = collect(sse, line);
            line = buf_slice(&sse->line);
        }
        if (n != bytes->len) {
            sse->after_cr = bytes->ptr[n++] == '\r';
            if (rc == 0)
                rc = end_line(sse, line, out);
        }
        *bytes = slice_from(*bytes, n);
    }
    return rc;
}

int64_t sse_retry_ms(const struct sse *sse)
{
    return sse->retry_ms;
}
