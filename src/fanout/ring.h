/*
 * ring.h: the inside of struct fanout, shared by this room's two files.
 *
 * fanout.c owns every field; sub.c only reads them.
 */
#ifndef HAWSER_FANOUT_RING_H
#define HAWSER_FANOUT_RING_H

#include "fanout/fanout.h"

struct fanout_slot {
    struct fanout_entry entry;
    uint64_t begin; /* ring bytes taken by all entries before it, ever */
};

struct fanout {
    _Alignas(FANOUT_ALIGN) char *ring;
    size_t ring_bytes;
    struct fanout_slot *slots; /* entry i is in slot i & slot_mask */
    uint64_t slot_mask;
    size_t max_entries;

    uint64_t oldest, durable, published, end; /* see fanout.h */

    /* The ring's bytes from the oldest entry to write_at are in use, in a circle. What is skipped
     * at the ring's end, because an entry must be contiguous, belongs to the entry after it. */
    size_t write_at;
    uint64_t taken; /* ring bytes, ever */

    struct {
        bool made;
        size_t at, skip, n;
    } reserved;

    uint64_t newest_seq;    /* pushed */
    uint64_t published_seq; /* visible */
    uint64_t evicted_seq;
};

static inline struct fanout_slot *fanout_slot(const struct fanout *fanout, uint64_t index)
{
    return &fanout->slots[index & fanout->slot_mask];
}

static inline bool fanout_is_stored(enum fanout_kind kind)
{
    return kind == FANOUT_EVENT || kind == FANOUT_GAP;
}

#endif
