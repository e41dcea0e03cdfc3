/*
 * fanout: the hot tail of the event log, and who is sent what next. Pure; no malloc: all memory is
 * given at init.
 *
 * The tail is a ring of lines, each encoded once and shared by all consumers. An entry is pushed
 * (its seq is taken, nobody sees it), published (consumers may see it) and made durable (it may be
 * overwritten, since the store can serve it). With deliver = stored publishing follows durability;
 * with deliver = received it comes first.
 *
 *     oldest <= durable, oldest <= published <= end       (indices, counting entries from 0)
 *
 * A subscription whose next entry is in the ring is *hot*; one that lies behind is *cold* and reads
 * the store up to fanout_evicted_seq(), after which it is hot.
 *
 * Decides: what a subscription matches and what it gets next. Leaves: sockets and disk to daemon.
 * Fails: fanout_reserve() returns NULL when everything in the ring is still needed: back-pressure.
 */
#ifndef HAWSER_FANOUT_FANOUT_H
#define HAWSER_FANOUT_FANOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/slice.h"
#include "fanout/consumer.h"

enum fanout_kind {
    FANOUT_EVENT,
    FANOUT_GAP,       /* stored like an event; passes type filters and `notices` */
    FANOUT_EPHEMERAL, /* seq null: only for those at the live edge */
    FANOUT_NOTICE,    /* not stored: only for those at the live edge that want notices */
};

struct fanout_entry {
    uint64_t index; /* set by fanout_push */
    uint64_t seq;   /* EVENT, GAP: its own; else the newest seq pushed before it */
    uint32_t stream;
    enum fanout_kind kind;
    struct slice type; /* in the ring */
    struct slice line; /* in the ring, with its '\n' */
};

struct fanout;
/* Bytes to give to fanout_init for a ring of ring_bytes and at most max_entries lines. A line as
 * long as the whole ring fits. Entries take 64 bytes each, of max_entries rounded up to a power of
 * two. */
size_t fanout_size(size_t ring_bytes, size_t max_entries);
#define FANOUT_ALIGN 64 /* a cache line: an entry lies in one */
/* Memory is aligned to FANOUT_ALIGN and stays the caller's. newest_seq: the newest stored seq. */
struct fanout *fanout_init(void *memory, size_t ring_bytes, size_t max_entries,
                           uint64_t newest_seq);

/* Contiguous room for a line, and what of its type it does not hold, of at most n bytes, or NULL
 * when the ring is full of what is not durable, or n is more than the whole ring. Evicts just as
 * many of the oldest durable and published entries as it must, and none when it returns NULL.
 * Nothing is taken until fanout_push; a second reservation replaces the first. */
char *fanout_reserve(struct fanout *fanout, size_t n);
/* Takes what was written into the last reservation: at its start line_len bytes of line (at least
 * its '\n'); the type inside the line, or right behind it, or empty. Lines without a type behind
 * them touch in the ring, so that a run of them goes out as one slice. Call once after each
 * successful fanout_reserve. `seq` of an EVENT or a GAP is greater than any before; of the others
 * it is ignored. Returns the entry (valid until evicted). */
const struct fanout_entry *fanout_push(struct fanout *fanout, enum fanout_kind kind, uint64_t seq,
                                       uint32_t stream, struct slice type, size_t line_len);
/* True if a reservation of n bytes would succeed. */
bool fanout_has_room(const struct fanout *fanout, size_t n);
/* True if so many entries, of n bytes together, would find room one after the other. */
bool fanout_has_room_for(const struct fanout *fanout, unsigned entries, size_t n);

void fanout_publish(struct fanout *fanout, uint64_t end_index); /* entries below are visible */
/* Entries below may be evicted. EPHEMERAL and NOTICE entries need no disk: they are durable as soon
 * as all before them is. */
void fanout_durable(struct fanout *fanout, uint64_t end_index);
/* The store failed: forget all that is neither published nor durable; the rest is visible, stays
 * readable and may be evicted. The indices of what was forgotten are given out again. */
void fanout_abandon(struct fanout *fanout);
/* All up to seq is on disk, though it never came by here: a commit that failed and was there when
 * the store was opened again. The ring is empty from here on, and whoever has not seen seq is cold.
 * Does nothing if seq is published; only while nothing waits to be published or for the disk. */
void fanout_skip(struct fanout *fanout, uint64_t seq);

uint64_t fanout_end_index(const struct fanout *fanout);
uint64_t fanout_published_seq(const struct fanout *fanout); /* newest visible seq */
uint64_t fanout_evicted_seq(const struct fanout *fanout); /* seqs up to here are not in the ring */
const struct fanout_entry *fanout_get(const struct fanout *fanout, uint64_t index); /* or NULL */

#define FANOUT_TYPES_MAX 32
/* What a subscription wants; immutable after subscribing, so another thread may match with it. */
struct fanout_filter {
    uint64_t streams[(LIMIT_STREAMS + 63) / 64]; /* bit set by stream number */
    struct slice types[FANOUT_TYPES_MAX];        /* globs; none = all */
    unsigned n_types;
    bool notices;
};
/* `types` concern EVENT and EPHEMERAL only: a notice has no type, and a gap is never silent. */
bool fanout_match(const struct fanout_filter *filter, enum fanout_kind kind, uint32_t stream,
                  struct slice type);

struct fanout_sub {
    const struct fanout_filter *filter; /* borrowed */
    uint64_t cursor;                    /* seqs up to here are sent or do not match */
    uint64_t next_index;
    uint64_t edge_index; /* EPHEMERAL and NOTICE entries before this one came before us */
    bool hot;
    /* Set after fanout_subscribe(), by who acknowledges: it is told what was sent and what passed,
     * and of EVENTs and GAPs no more is given than it has room for. NULL: nobody does. */
    struct consumer *consumer;
};
/* from_seq: events after it. UINT64_MAX = now. */
void fanout_subscribe(struct fanout *fanout, struct fanout_sub *sub,
                      const struct fanout_filter *filter, uint64_t from_seq);

enum fanout_next {
    FANOUT_NEXT_IDLE,
    FANOUT_NEXT_LINES,
    FANOUT_NEXT_COLD,
    FANOUT_NEXT_FULL, /* something waits, or may, that the consumer's window has no room for */
};
#define FANOUT_BATCH_MAX 64
struct fanout_batch {
    struct slice line[FANOUT_BATCH_MAX]; /* neighbours in the ring are joined to one slice */
    unsigned count;
    size_t bytes;
    uint64_t end_index; /* of the entries looked at */
};
/* Up to max_bytes (at least one line) of what comes next; or COLD: read the store from sub->cursor
 * (exclusive) to fanout_evicted_seq() (inclusive), then fanout_cold_done(). The batch points into
 * the ring: it is good until the next fanout_reserve(). */
enum fanout_next fanout_next(struct fanout *fanout, struct fanout_sub *sub, size_t max_bytes,
                             struct fanout_batch *out);
/* `bytes` of the batch were written. Moves past whole lines; *rest is the unsent tail of a line
 * that was cut (the caller keeps a copy and sends it first), empty if none. Once for each batch,
 * before anything else is done with the subscription. */
void fanout_advance(struct fanout *fanout, struct fanout_sub *sub, const struct fanout_batch *batch,
                    size_t bytes, struct slice *rest);
/* The store was read: everything up to and including seq is sent or does not match. A part of what
 * COLD asked for will do. */
void fanout_cold_done(struct fanout *fanout, struct fanout_sub *sub, uint64_t seq);
/* The same; and the line of that very seq was among them. */
void fanout_cold_sent(struct fanout *fanout, struct fanout_sub *sub, uint64_t seq);

#endif
