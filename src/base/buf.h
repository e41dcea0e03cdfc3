/*
 * buf.h - a byte buffer that grows up to a bound.
 *
 * Decides: how memory for bytes of unknown length grows (it doubles) and where it stops.
 * Leaves to others: the bound, and what an exceeded bound means.
 * Owns: `data`. buf_init allocates nothing; buf_fini releases.
 * Fails: ERR_NOMEM without memory, ERR_LIMIT past `max`; after a failure the contents are as
 * they were before the call.
 *
 * Always: len <= cap <= max. One byte behind `cap` is allocated too, so that buf_cstr and the
 * terminator of printf never need to grow. No argument may point into the buffer it is
 * appended to.
 */
#ifndef HAWSER_BASE_BUF_H
#define HAWSER_BASE_BUF_H

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/slice.h"

struct buf {
    char *data; /* NULL until memory is first needed */
    size_t len; /* bytes */
    size_t cap; /* bytes */
    size_t max; /* bytes */
};

/* For buf_init: bounded by the address space only, in which an object, with the byte behind it, is
 * at most PTRDIFF_MAX bytes. For buffers whose writer is ourselves. */
#define BUF_UNBOUNDED ((size_t)PTRDIFF_MAX - 1)

/* An empty buffer that will hold at most `max` bytes (at most BUF_UNBOUNDED). */
void buf_init(struct buf *b, size_t max);

/* Releases the memory and leaves an empty buffer with the same bound. */
void buf_fini(struct buf *b);

/* The slow path of buf_reserve; not to be called otherwise. */
int buf_grow(struct buf *b, size_t extra);

/* Makes room for `extra` further bytes, which the caller may write at data + len. */
static inline int buf_reserve(struct buf *b, size_t extra)
{
    return extra <= b->cap - b->len ? 0 : buf_grow(b, extra);
}

/* `ptr` may be NULL when `n` is 0. */
static inline int buf_append(struct buf *b, const void *ptr, size_t n)
{
    int rc = buf_reserve(b, n);

    if (rc != 0)
        return rc;
    if (n != 0)
        memcpy(b->data + b->len, ptr, n);
    b->len += n;
    return 0;
}

static inline int buf_append_slice(struct buf *b, struct slice s)
{
    return buf_append(b, s.ptr, s.len);
}

static inline int buf_append_str(struct buf *b, const char *cstr)
{
    return buf_append(b, cstr, strlen(cstr));
}

static inline int buf_append_byte(struct buf *b, char byte)
{
    int rc = buf_reserve(b, 1);

    if (rc != 0)
        return rc;
    b->data[b->len++] = byte;
    return 0;
}

/* As printf; the terminating NUL is not part of the contents. ERR_INVAL if printf refuses. */
int buf_appendf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vappendf(struct buf *b, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Decimal, without the cost of printf. */
int buf_append_u64(struct buf *b, uint64_t value);
int buf_append_i64(struct buf *b, int64_t value);

/* Drops the first `n` bytes (at most len); the rest moves to the front. */
void buf_consume(struct buf *b, size_t n);

/* Empties the buffer and keeps its memory. */
static inline void buf_clear(struct buf *b)
{
    b->len = 0;
}

/*
 * Overwrites all the memory, then empties. Growing leaves old copies behind in freed memory,
 * so a buffer for secrets reserves all it will need at first, or grows by buf_append_secret().
 */
void buf_wipe(struct buf *b);

/* As buf_append(); where it has to grow, the old memory is overwritten before it is freed. */
int buf_append_secret(struct buf *b, const void *ptr, size_t n);

/* The contents; valid until the buffer is next changed. */
static inline struct slice buf_slice(const struct buf *b)
{
    return slice_make(b->data, b->len);
}

/* The contents with a NUL behind them; valid until the buffer is next changed. Never NULL. */
const char *buf_cstr(struct buf *b);

#endif
