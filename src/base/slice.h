/*
 * slice.h - a view of bytes that somebody else owns.
 *
 * Decides: how a piece of text is named without copying it or ending it with a NUL.
 * Leaves to others: the lifetime of the bytes, and what they mean.
 * Owns: nothing; only slice_dup allocates, and its result is the caller's.
 * Fails: only the parsers and slice_dup can, each as described.
 *
 * An empty slice may have a NULL `ptr`; every function here accepts that.
 */
#ifndef HAWSER_BASE_SLICE_H
#define HAWSER_BASE_SLICE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *ptr;
    size_t len;
};

/* A slice of a string literal, and of nothing else: the "" refuses a pointer. */
#define SLICE(lit) ((struct slice){"" lit, sizeof(lit) - 1})

/* The same as an initializer, for tables with static storage. */
#define SLICE_INIT(lit)                                                                            \
    {                                                                                              \
        "" lit, sizeof(lit) - 1                                                                    \
    }

/* printf("name " SLICE_FMT, SLICE_ARG(s)): `s` is evaluated twice. */
#define SLICE_FMT "%.*s"
#define SLICE_ARG(s) slice_width(s), slice_chars(s)

static inline struct slice slice_make(const char *ptr, size_t len)
{
    return (struct slice){ptr, len};
}

static inline struct slice slice_str(const char *cstr)
{
    return (struct slice){cstr, strlen(cstr)};
}

/* The length as printf's precision wants it; longer slices print their first INT_MAX bytes. */
static inline int slice_width(struct slice s)
{
    return s.len > INT_MAX ? INT_MAX : (int)s.len;
}

/* The bytes as printf wants them: never NULL. */
static inline const char *slice_chars(struct slice s)
{
    return s.ptr != NULL ? s.ptr : "";
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_eq_str(struct slice s, const char *cstr)
{
    return slice_eq(s, slice_str(cstr));
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && slice_eq(slice_make(s.ptr, prefix.len), prefix);
}

/* The first occurrence of `byte`, or NULL. */
static inline const char *slice_find_byte(struct slice s, char byte)
{
    return s.len == 0 ? NULL : memchr(s.ptr, (unsigned char)byte, s.len);
}

/* What remains after the first `n` bytes; empty when there are no more than that. */
static inline struct slice slice_from(struct slice s, size_t n)
{
    return n >= s.len ? slice_make(s.ptr, 0) : slice_make(s.ptr + n, s.len - n);
}

/* Without the spaces and tabs at both ends. */
struct slice slice_trim(struct slice s);

/* A NUL-terminated copy that the caller frees, or NULL when there is no memory. */
char *slice_dup(struct slice s);

/*
 * Strict decimal: digits only (slice_parse_i64 allows one leading '-'), no blanks, the whole
 * slice. ERR_PARSE when it is not a number, ERR_LIMIT when it does not fit; then *out is kept.
 */
int slice_parse_u64(struct slice s, uint64_t *out);
int slice_parse_i64(struct slice s, int64_t *out);

#endif
