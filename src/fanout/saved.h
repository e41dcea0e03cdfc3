/*
 * saved: what of a named consumer outlives the process, as bytes.
 *
 *     version:u8 flags:u8 uid:u32 cursor:u64 seen_us:i64
 *     streams: LIMIT_STREAMS bits     of its last subscription, by the store's numbers
 *     types: u8 count, each: u16 length, bytes
 *
 * Integers are little-endian. The store adds a checksum.
 * Fails: bytes of another version, or that say what cannot be, are as none.
 */
#ifndef HAWSER_FANOUT_SAVED_H
#define HAWSER_FANOUT_SAVED_H

#include "fanout/fanout.h"

enum { CONSUMER_SAVED_MAX = 23 + LIMIT_STREAMS / 8 + FANOUT_TYPES_MAX * (2 + LIMIT_EVENT_TYPE) };

struct consumer_saved {
    uint32_t uid; /* who made it */
    uint64_t cursor;
    int64_t seen_us;             /* when it was last connected, by the wall clock */
    struct fanout_filter filter; /* types: borrowed; decoded: into the bytes */
};

/* Returns the length, at most CONSUMER_SAVED_MAX. */
size_t consumer_saved_encode(const struct consumer_saved *saved, char *out);
bool consumer_saved_decode(struct slice bytes, struct consumer_saved *out);

#endif
