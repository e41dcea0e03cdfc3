#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

enum {
    BUF_LEAST = 64,     /* bytes of the first allocation, bound permitting */
    DECIMAL_DIGITS = 20 /* of the greatest uint64_t */
};

void buf_init(struct buf *b, size_t max)
{
    assert(max <= BUF_UNBOUNDED);
    *b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

int buf_grow(struct buf *b, size_t extra)
{
    size_t need;
    size_t cap = b->cap < BUF_LEAST / 2 ? BUF_LEAST : b->cap * 2;
    char *data;

    if (extra > b->max - b->len)
        return ERR_LIMIT;
    need = b->len + extra;
    if (cap < need)
        cap = need;
    if (cap > b->max)
        cap = b->max;
    data = realloc(b->data, cap + 1);
    if (data == NULL)
        return ERR_NOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

int buf_vappendf(struct buf *b, const char *fmt, va_list args)
{
    size_t room = b->data != NULL ? b->cap - b->len + 1 : 0;
    va_list again;
    int rc = 0;
    int n;

    va_copy(again, args);
    n = vsnprintf(room != 0 ? b->data + b->len : NULL, room, fmt, args);
    if (n < 0) {
        rc = ERR_INVAL;
    } else if ((size_t)n >= room) {
        rc = buf_grow(b, (size_t)n);
        if (rc == 0)
            vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    }
    if (rc == 0)
        b->len += (size_t)n;
    va_end(again);
    return rc;
}

int buf_appendf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    int rc;

    va_start(args, fmt);
    rc = buf_vappendf(b, fmt, args);
    va_end(args);
    return rc;
}

int buf_append_u64(struct buf *b, uint64_t value)
{
    char digits[DECIMAL_DIGITS];
    size_t first = sizeof digits;

    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return buf_append(b, digits + first, sizeof digits - first);
}

int buf_append_i64(struct buf *b, int64_t value)
{
    int rc;

    if (value >= 0)
        return buf_append_u64(b, (uint64_t)value);
    rc = buf_append_byte(b, '-');
    if (rc != 0)
        return rc;
    /* Negated as unsigned: the least int64_t has no positive twin. */
    rc = buf_append_u64(b, -(uint64_t)value);
    if (rc != 0)
        b->len--;
    return rc;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->len);
    b->len -= n;
    if (n != 0 && b->len != 0)
        memmove(b->data, b->data + n, b->len);
}

void buf_wipe(struct buf *b)
{
    if (b->data != NULL)
        explicit_bzero(b->data, b->cap + 1);
    b->len = 0;
}

int buf_append_secret(struct buf *b, const void *ptr, size_t n)
{
    struct buf larger;
    int rc;

    if (n <= b->cap - b->len)
        return buf_append(b, ptr, n);
    if (n > b->max - b->len)
        return ERR_LIMIT;
    buf_init(&larger, b->max);
    rc = buf_reserve(&larger, b->cap > b->max / 2 ? b->max : b->cap * 2);
    if (rc == 0)
        rc = buf_reserve(&larger, b->len + n);
    if (rc != 0) {
        buf_fini(&larger);
        return rc;
    }
    (void)buf_append(&larger, b->data, b->len); /* there is room for both */
    (void)buf_append(&larger, ptr, n);
    buf_wipe(b);
    buf_fini(b);
    *b = larger;
    return 0;
}

const char *buf_cstr(struct buf *b)
{
    if (b->data == NULL)
        return "";
    b->data[b->len] = '\0';
    return b->data;
}
