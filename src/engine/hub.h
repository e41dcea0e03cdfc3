/*
 * hub: where the events of all streams become one log.
 *
 * Decides: each event's seq, its line (encoded once, into the ring that all consumers share), what
 * goes into which commit, and when consumers may see it. Pure: the disk and the clock are reached
 * through hub_ops.
 * Leaves: writing to the store's thread, sending to the clients.
 *
 *     hub_event, hub_gap  ->  ring (pending) + batch being filled
 *     hub_flush           ->  ops.commit(batch)            one commit in flight at a time
 *     hub_committed       ->  durable, published, ops.published, ops.room
 *
 * While one batch is on its way to disk the next is filled, so a slow disk makes bigger batches and
 * then, when the ring or the batch is full, ERR_AGAIN: back-pressure to the upstream.
 * Fails: hub_committed() with an error drops what was not on disk and refuses everything until
 * hub_reopen(); seqs that were given out are never given out again.
 */
#ifndef HAWSER_ENGINE_HUB_H
#define HAWSER_ENGINE_HUB_H

#include "fanout/fanout.h"
#include "flow/flow.h"
#include "session/session.h"
#include "store/store.h"

/* One commit takes no more once it has so many records, or lines of so large a part of the ring.
 * Two commits' worth waits for the disk at most; what was published has the rest of the ring, so a
 * consumer that reads on stays hot in a burst. */
#define HUB_BATCH_RECORDS 4096
#define HUB_BATCH_RING_PART 4   /* a quarter */
#define HUB_BATCH_STATES_PART 4 /* of commit_bytes: a quarter, which events leave to states */
#define HUB_BATCH_STATES 2048   /* saved states in one commit; of one key only the newest */
#define HUB_RESERVE_BLOCK 65536 /* seqs reserved ahead with deliver = received */

struct hub_batch {
    struct store_record records[HUB_BATCH_RECORDS];
    size_t count;
    size_t bytes;         /* of lines */
    uint64_t reserve_seq; /* 0: none */
    struct store_state states[HUB_BATCH_STATES];
    size_t n_states;
    uint64_t first_index; /* of its first record in the ring */
};

struct hub_ops {
    /* Writes the batch; exactly one hub_committed() follows, never inline. The batch and the ring
     * bytes it points to stay untouched until then. */
    void (*commit)(void *arg, const struct hub_batch *batch);
    void (*published)(void *arg); /* consumers have something new to see */
    void (*room)(void *arg);      /* after ERR_AGAIN: try again */
    void (*wanted)(void *arg);    /* the batch is no longer empty: call hub_flush soon */
    /* All that hub_save() took up to this ticket is on disk; lost: or never will be (the store
     * failed), and is to be saved anew after hub_reopen(). */
    void (*saved)(void *arg, uint64_t ticket, bool lost);
};

struct hub_options {
    size_t ring_bytes; /* bound of a line and of what waits for the disk */
    size_t ring_entries;
    uint64_t commit_bytes; /* bound of what a commit takes of the store's file; 0: none */
    size_t page_bytes;     /* of the store; 0 where commit_bytes is */
    bool deliver_received;
    uint64_t newest_seq, reserved_seq; /* from the store */
    const struct hub_ops *ops;
    void *ops_arg;
};

struct hub;
struct hub_stream; /* what the hub knows of one stream */

int hub_new(const struct hub_options *options, struct hub **out);
void hub_free(struct hub *hub);
/* id: the store's number. tags: members for the envelope, as in struct ndjson_event; copied.
 * Owned by the hub, until hub_free. */
int hub_stream_new(struct hub *hub, const char *name, unsigned id, struct slice tags,
                   struct hub_stream **out);
/* Other tags, from the next event on. ERR_NOMEM: the old ones stay. */
int hub_stream_tags(struct hub_stream *stream, struct slice tags);
/* Nothing of it waits for the disk. */
bool hub_stream_idle(const struct hub_stream *stream);
/* Before hub_free(), of one that is idle. */
void hub_stream_free(struct hub *hub, struct hub_stream *stream);

/* 0: taken. ERR_AGAIN: no room; ops.room will be called. ERR_LIMIT: larger than the ring, or than
 * any commit may be. After a malformed event there is room for its gap, in the same batch: call
 * hub_gap next. */
int hub_event(struct hub *hub, struct hub_stream *stream, const struct flow_event *event);
struct hub_gap {
    enum session_gap reason;
    struct slice after, before; /* positions; .ptr NULL where unknown */
    const char *detail;         /* NULL or text */
    bool forget;                /* the stored position goes with it */
    int64_t now_us;
};
int hub_gap(struct hub *hub, struct hub_stream *stream, const struct hub_gap *gap);
/* A line that is not stored; dropped when there is no room. */
void hub_notice(struct hub *hub, struct hub_stream *stream, struct slice line);

/* State that must outlive the process, in the next commit: value (copied) under key, within the
 * store's bounds. value.ptr NULL: forget it. Returns a ticket, greater than any before, or 0: no
 * room now, or the store has failed; ops.room will be called. A commit with states waits for no
 * commit_interval: somebody may wait for leave to dial. */
uint64_t hub_save(struct hub *hub, struct slice key, struct slice value);

/* Starts a commit if one is due and none is in flight. */
void hub_flush(struct hub *hub);
void hub_committed(struct hub *hub, int status);
/* The batch in flight waits for space, and no commit is under way just now; its states are on disk
 * already, without its records. What has been saved since goes with it, and so does not wait for
 * the space either: an acknowledgement, say. */
void hub_waiting(struct hub *hub);
/* After a failure, when the store is open again. What the failed commit has left on disk after all
 * is read there by those who were hot. */
void hub_reopen(struct hub *hub, uint64_t newest_seq, uint64_t reserved_seq);
/* Events find no room until it is lifted: consumers are still to be served that can take what there
 * is, and would be overtaken. Gaps, notices and states are taken all the same. */
void hub_hold(struct hub *hub, bool hold);
/* Somebody was told ERR_AGAIN, or has saved something, and waits for a commit: no reason to put it
 * off. */
bool hub_starved(const struct hub *hub);
bool hub_failed(const struct hub *hub);
bool hub_flying(const struct hub *hub); /* a commit is under way */
bool hub_idle(const struct hub *hub);   /* nothing filled, nothing in flight */
/* As the options of these names, from now on. */
void hub_configure(struct hub *hub, uint64_t commit_bytes, bool deliver_received);
struct fanout *hub_fanout(struct hub *hub);
uint64_t hub_bytes(const struct hub *hub); /* of the lines of all events and gaps, ever */
uint64_t hub_next_seq(const struct hub *hub);
uint64_t hub_reserved_seq(const struct hub *hub); /* no seq above this was ever given out */

struct hub_stream_stats {
    uint64_t stored[FLOW_VIA_COUNT];
    uint64_t gaps[SESSION_GAP_COUNT];
    uint64_t ephemeral, ephemeral_dropped;
    uint64_t newest_seq;
};
void hub_stream_stats(const struct hub_stream *stream, struct hub_stream_stats *out);

#endif
