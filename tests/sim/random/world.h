/*
 * world: a whole hawser on virtual time, against a model of a service that misbehaves.
 *
 * What is real: engine, session, flow, profile, fanout and the store (LMDB, on a real directory).
 * What is modelled: the service with its link and its sync, latencies, the disk's moods, crashes, and
 * consumers that read at their own pace. Everything follows from one seed.
 *
 * The invariants are those promised to users; each has a number that a violation prints:
 *   1 nothing lost     every published event is stored, or covered by a gap
 *   2 each once        no event is stored twice
 *   3 in order         stored order is the service's order
 *   4 gaps are said    what could not be kept has a gap
 *   5 disk first       a delivered event is on disk (deliver = stored); a consumer misses nothing
 *   6 seq              strictly increasing, never reused, not even after a crash
 *   7 position         never moves back
 *   8 progress         when the faults end, everything arrives
 *   9 bounds           one link at a time
 */
#ifndef HAWSER_TESTS_SIM_WORLD_H
#define HAWSER_TESTS_SIM_WORLD_H

#include "base/rng.h"
#include "engine/stream.h"
#include "store/store.h"

#define WORLD_EVENTS_MAX 4096   /* that the service publishes in one run */
#define WORLD_CONSUMERS 3
#define WORLD_START_MS 1000000

/* ---- the service ---- */
struct published {
    int64_t at_ms, visible_ms; /* in sync from then on */
    bool ephemeral, malformed; /* malformed: the link shows it as broken JSON, sync does not have it */
    bool on_link;              /* pushed to a link */
};

struct service {
    struct published events[WORLD_EVENTS_MAX + 1]; /* by position, from 1 */
    unsigned count;
    unsigned page_limit;
    bool next_is_after; /* next_cursor is the last position + 1 */
    int64_t lag_ms;     /* of sync, at most */
};

/* ---- what happens when ---- */
#define WORLD_HAPPENINGS(X)                                                                        \
    X(PUBLISH) X(CONNECTED) X(OPEN) X(HELLO) X(DELIVER) X(LINK_END) X(LINK_CLOSED) X(PONG)         \
    X(HTTP_ARRIVES) X(HTTP_ANSWER) X(CREDENTIAL) X(COMMIT) X(FLUSH) X(ROOM) X(REOPEN) X(CONSUME)   \
    X(CRASH) X(RESTART) X(RESUME_LINK) X(DIAL_FAILS)
enum world_kind {
#define X(id) WORLD_##id,
    WORLD_HAPPENINGS(X)
#undef X
};

struct happening {
    int64_t at_ms;
    uint64_t order; /* of two at the same time, the earlier planned comes first */
    enum world_kind kind;
    uint64_t life;   /* of the daemon: what a dead one planned is void */
    uint64_t number; /* link, request, event, consumer */
    struct buf body; /* HTTP_ANSWER */
    int status;      /* HTTP_ANSWER: status, 0 = broken answer, -1 = timeout; LINK_END: close code */
};

/* ---- consumers ---- */
struct seen {
    uint64_t seq;
    unsigned position; /* 0: a gap */
};

struct consumer {
    struct fanout_sub sub;
    struct fanout_filter filter;
    bool connected;
    uint64_t last_seq;  /* of the last whole line */
    uint64_t start_seq; /* events after this one are due */
    struct seen *seen;
    size_t n_seen, cap_seen;
    struct buf rest; /* of a line that was cut */
};

struct world {
    uint64_t seed;
    struct rng rng;
    bool trace, faults;
    int64_t now_ms;
    uint64_t life, order, steps;
    struct happening *heap;
    size_t n_heap, cap_heap;

    /* of this run */
    bool received; /* deliver = received */
    unsigned target; /* events to publish */
    unsigned per_mille_drop, per_mille_commit_fails, per_mille_crash, per_mille_duplicate,
        per_mille_http_fails, per_mille_dial_fails, per_mille_malformed;
    size_t hold_bytes, ring_bytes;
    int64_t commit_ms, link_ms, http_ms; /* typical latencies */

    struct service service;
    const struct profile *profile;
    char directory[256];
    struct store *store;
    struct hub *hub;
    struct stream *stream;
    bool alive, pump_planned, flush_planned, room_planned, faulty_commit, crash_after_commit;
    const struct hub_batch *batch;
    int64_t deadline_ms;

    /* the link, as the service has it */
    uint64_t link; /* 0: none */
    bool link_open, link_hello, link_silent, link_blocked, link_closing, deliver_planned;
    unsigned queue[WORLD_EVENTS_MAX * 2 + 64];
    unsigned queue_head, queue_count;
    int64_t last_rx_ms;
    uint64_t request; /* outstanding; 0: none */
    char since[64];   /* of the request as rendered */

    /* ground truth: what the store has taken */
    struct seen *stored;
    size_t n_stored, cap_stored;
    unsigned top_position;
    uint64_t gaps[6], highest_seen_seq, links_made, crashes, failed_commits, dials;
    struct consumer consumers[WORLD_CONSUMERS];
    unsigned since_published; /* position at which the stream began to count */
};

/* Ends the process with the invariant's number, the seed and how to run it again. */
void world_violation(struct world *world, int invariant, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), noreturn));
void world_trace(struct world *world, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void world_plan(struct world *world, int64_t delay_ms, enum world_kind kind, uint64_t number,
                int status);
/* A delay around `typical`, sometimes much longer. */
int64_t world_delay(struct world *world, int64_t typical_ms);
bool world_per_mille(struct world *world, unsigned per_mille);

/* world.c */
void world_init(struct world *world, uint64_t seed, const struct profile *profile,
                const char *directory, bool trace);
bool world_step(struct world *world); /* false: nothing left to happen */
void world_fini(struct world *world);
void world_start(struct world *world); /* the daemon */
void world_kill(struct world *world);

/* service.c */
void service_publish(struct world *world);
void service_hello(struct world *world);
void service_deliver(struct world *world);
void service_answer(struct world *world, struct happening *request);
void service_link_gone(struct world *world);

/* consumers.c */
void consumers_connect(struct world *world);
void consumers_pump(struct world *world, unsigned number);
void consumers_lost(struct world *world); /* the daemon died: they lose their connection */
void consumers_free(struct world *world);

/* truth.c: the invariants */
void truth_stored(struct world *world, const struct hub_batch *batch);
void truth_check_store(struct world *world);
void truth_check_end(struct world *world);
unsigned truth_position(struct slice line); /* of a stored line; 0: a gap */

#endif
