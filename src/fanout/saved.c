#include "fanout/saved.h"

#include <string.h>

enum { VERSION = 1, FLAG_NOTICES = 1 };

static char *put(char *at, uint64_t value, unsigned bytes)
{
    for (; bytes > 0; bytes--, value >>= 8)
        *at++ = (char)(value & 0xFF);
    return at;
}

size_t consumer_saved_encode(const struct consumer_saved *saved, char *out)
{
    const struct fanout_filter *filter = &saved->filter;
    char *at = put(out, VERSION, 1);

    at = put(at, filter->notices ? FLAG_NOTICES : 0, 1);
    at = put(at, saved->uid, 4);
    at = put(at, saved->cursor, 8);
    at = put(at, (uint64_t)saved->seen_us, 8);
    for (unsigned i = 0; i < LIMIT_STREAMS / 64; i++)
        at = put(at, filter->streams[i], 8);
    at = put(at, filter->n_types, 1);
    for (unsigned i = 0; i < filter->n_types; i++) {
        at = put(at, filter->types[i].len, 2);
        memcpy(at, filter->types[i].ptr, filter->types[i].len);
        at += filter->types[i].len;
    }
    return (size_t)(at - out);
}

struct reader {
    struct slice rest;
    bool bad;
};

static uint64_t get(struct reader *r, unsigned bytes)
{
    uint64_t value = 0;

    if (r->rest.len < bytes) {
        r->bad = true;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)(unsigned char)r->rest.ptr[i] << (8 * i);
    r->rest = slice_from(r->rest, bytes);
    return value;
}

static void get_types(struct reader *r, struct fanout_filter *filter)
{
    filter->n_types = (unsigned)get(r, 1);
    if (filter->n_types > FANOUT_TYPES_MAX)
        r->bad = true;
    for (unsigned i = 0; !r->bad && i < filter->n_types; i++) {
        size_t len = (size_t)get(r, 2);

        if (len == 0 || len > LIMIT_EVENT_TYPE || len > r->rest.len) {
            r->bad = true;
            return;
        }
        filter->types[i] = slice_make(r->rest.ptr, len);
        r->rest = slice_from(r->rest, len);
    }
}

bool consumer_saved_decode(struct slice bytes, struct consumer_saved *out)
{
    struct reader r = {.rest = bytes};
    uint64_t version = get(&r, 1), flags = get(&r, 1);

    *out = (struct consumer_saved){.filter.notices = flags & FLAG_NOTICES};
    out->uid = (uint32_t)get(&r, 4);
    out->cursor = get(&r, 8);
    out->seen_us = (int64_t)get(&r, 8);
    for (unsigned i = 0; i < LIMIT_STREAMS / 64; i++)
        out->filter.streams[i] = get(&r, 8);
    get_types(&r, &out->filter);
    return !r.bad && r.rest.len == 0 && version == VERSION &&
           (flags & ~(uint64_t)FLAG_NOTICES) == 0;
}
