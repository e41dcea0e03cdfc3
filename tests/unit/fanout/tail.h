/* A fanout in static memory, and short ways to drive it, for this folder's tests. */
#ifndef TEST_FANOUT_TAIL_H
#define TEST_FANOUT_TAIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fanout/fanout.h"

struct tail {
    void *memory;
    struct fanout *fanout;
};

/* Exactly the memory that was asked for, so that the sanitizer sees a byte too many. */
static inline struct tail tail_open(size_t ring_bytes, size_t max_entries, uint64_t newest_seq)
{
    struct tail tail;

    assert_int_equal(
        posix_memalign(&tail.memory, FANOUT_ALIGN, fanout_size(ring_bytes, max_entries)), 0);
    tail.fanout = fanout_init(tail.memory, ring_bytes, max_entries, newest_seq);
    return tail;
}

static inline void tail_close(struct tail *tail)
{
    free(tail->memory);
}

/* The type behind the line. NULL when there was no room. */
static inline const struct fanout_entry *tail_push(struct fanout *fanout, enum fanout_kind kind,
                                                   uint64_t seq, const char *type, const char *line)
{
    size_t type_len = strlen(type), line_len = strlen(line);
    char *at = fanout_reserve(fanout, type_len + line_len);

    if (at == NULL)
        return NULL;
    memcpy(at, line, line_len);
    memcpy(at + line_len, type, type_len);
    return fanout_push(fanout, kind, seq, 0, slice_make(at + line_len, type_len), line_len);
}

static inline void tail_commit(struct fanout *fanout)
{
    fanout_durable(fanout, fanout_end_index(fanout));
    fanout_publish(fanout, fanout_end_index(fanout));
}

static inline void assert_slice(struct slice slice, const char *expected)
{
    assert_int_equal(slice.len, strlen(expected));
    assert_memory_equal(slice.ptr, expected, slice.len);
}

#endif
