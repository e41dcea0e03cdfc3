/*
 * world: a whole hawser on virtual time, against models of services that misbehave.
 *
 * What is real: engine, session, flow, profile, fanout and the store (LMDB, on a real directory).
 * What is modelled: services with their links and their sync, latencies, the disk's moods, crashes,
 * the operator, the daemon's wiring in miniature, and consumers that read at their own pace.
 * Everything follows from one seed.
 *
 * Words: a *feed* is a stream together with its service; an *event* of a feed has the position 1,
 * 2,
 * ... at which the service published it, and carries it as a mark in its content, so that truth can
 * tell it whatever hawser makes of it.
 *
 * The invariants are those promised to users; each has a number that a violation prints:
 *   1 nothing lost     every published event is stored, or covered by a gap that has a reason
 *   2 each once        no event is stored twice
 *   3 in order         stored order is the service's order
 *   4 gaps are said    a gap stands between the events where something is missing, names the last
 *                      position before it, and is not said without a reason
 *   5 disk first       a delivered event is on disk (deliver = stored); a consumer misses nothing
 *                      but what it was told is gone, and is told of nothing else
 *   6 seq              strictly increasing, never reused for anything else, not even after a crash
 *   7 position         stored with its event; never moves back
 *   8 progress         when the faults end, everything arrives
 *   9 bounds           one link, and a second only for a handover or besides the fallback where the
 *                      service allows two; one request at a time
 *  10 restraint        no dial comes sooner than the backoff allows, also after a crash
 *  11 budget           no more dials than the limits allow, also over crashes
 *  12 answered         what a named consumer has acknowledged, and was told so, never comes again
 *  13 cursors          nothing that it has not acknowledged is left out, be it lost to retention
 *
 * What a service can do that no client can make good, and what is then still demanded:
 *   - It sends a late event after its successor (LATE). If it arrives it is stored, out of order; a
 *     drop or a full hold between the two may lose either.
 *   - Sync never shows an event (HIDDEN). If it arrives on the link it is stored, once; behind what
 *     sync brought meanwhile, if it had to be held for that.
 *   - It has thrown events away (status 410): a gap `epoch`, and between the right seqs.
 *   - A stream that starts now has no claim to what was published before its first life that stored
 *     something was first live.
 *   - Its link never shows an event (GHOST). An audit finds it, out of order; contiguous positions
 *     show the hole, which is filled in order.
 *   - It sends an event without id and position (UNKEYED), and sync has both. If sync brings it in
 *     time, that copy is stored, else the frame as it came, and perhaps the copy as well.
 *   - Where it is stored as it comes (MIXED), it comes right where the link showed it: behind all
 *     that came before it, and before all that the link showed behind it and sync gave later. That
 *     goes for what is BROKEN, too.
 *   - Sync lags behind the link, and a replica may answer as of a little earlier: together by less
 *     than settle. What it shows later than that, and no link has shown, is not to be known.
 */
#ifndef HAWSER_TESTS_SIM_WORLD_H
#define HAWSER_TESTS_SIM_WORLD_H

#include "base/rng.h"
#include "coverage.h"
#include "engine/stream.h"
#include "store/store.h"

#define WORLD_FEEDS 3
#define WORLD_LINKS 3  /* of a feed: two WebSockets, and the body of a fallback */
#define WORLD_DIALS 64 /* remembered for the budget */
#define WORLD_TICKETS 256
#define WORLD_EVENTS_MAX 1200 /* that a service publishes in one run */
#define WORLD_QUEUE_MAX (4 * WORLD_EVENTS_MAX)
#define WORLD_CONSUMERS 8
#define WORLD_NAMED 2 /* of them, the last ones: hawserd keeps their cursors */
#define WORLD_WINDOW_MAX 40
#define WORLD_START_MS 1000000
#define WORLD_SETTLE_MS 5000 /* of the profile */

/* ---- a service ---- */
enum event_kind {
    PLAIN,
    UNNAMED,   /* has a position, but no id */
    EPHEMERAL, /* never stored */
    BROKEN,    /* the link shows it cut off: no JSON; sync has it whole */
    OVERSIZE,  /* too large for the link; sync has it */
    HUGE,      /* larger than hawser's ring: only a gap can be kept */
    HIDDEN,    /* sync never shows it */
    LATE,      /* comes on the link after its successor */
    GHOST,     /* the link never shows it */
    UNKEYED,   /* the link shows it without id and position */
};

/* What a feed's service is like, and how its profile answers that. */
enum feed_kind {
    KIND_CHAT,    /* pages, a fallback by long-poll */
    KIND_AUDITED, /* the same with an audit, since its links do not bring everything */
    KIND_MOVING,  /* the same with two links at once: it asks to move, links have an age */
    KIND_COUNTED, /* the same with contiguous positions */
    KIND_REPLAY,  /* the position stands in the URL; a fallback by SSE, one connection at a time */
    KIND_PLAIN,   /* nothing can be asked for again */
    KIND_MIXED,   /* as CHAT, and what has no id and position is stored as it comes */
    FEED_KINDS
};

struct published {
    enum event_kind kind;
    int64_t visible_ms; /* in sync from then on */
    unsigned shown;     /* times that the link delivered it */
    /* By service.moment: its first time on the last link that showed it; its first in sync. */
    uint64_t shown_on, shown_at, given_at; /* 0: never */
};

/* What since and next_cursor mean. */
enum reading {
    CURSOR_LAST,  /* since is exclusive, next_cursor the last that was looked at */
    CURSOR_AFTER, /* since is inclusive, next_cursor the one after it */
    CURSOR_WILD,  /* since is exclusive, next_cursor somewhere above the last */
};

struct service {
    struct published events[WORLD_EVENTS_MAX + 1]; /* by position, from 1 */
    unsigned count, target;
    uint64_t moment;      /* counts what is shown and given */
    unsigned floor;       /* events up to here are gone */
    unsigned floor_asked; /* the floor when since = 0 was answered with the oldest there is */
    bool zero_is_oldest;  /* since = 0 is never too old */
    enum reading reading;
    unsigned page_limit;
    int64_t lag_ms, stale_ms; /* of sync, at most; of one answer on top of it */
    unsigned late;            /* waits for its successor; 0: none */
    unsigned burst;           /* events of the burst under way */
    unsigned typing;          /* ephemeral events of the flurry under way */
    unsigned withheld; /* HIDDEN ones, and LATE ones, which sync does not give behind others */
    unsigned too_old;  /* answers of status 410 */
    unsigned oversize; /* times that one was too large, on the link or for the ring */
};

struct link {
    uint64_t number; /* 0: none; of a body: the request's */
    bool body;       /* of the fallback, not a WebSocket */
    uint64_t since;  /* of its URL */
    bool has_since;
    bool open, hello, silent, slow, blocked, closing, deliver_planned;
    unsigned queue[WORLD_QUEUE_MAX], head, count;
    int64_t last_rx_ms;
};

/* Of the backoff, as the profile promises it. */
struct restraint {
    unsigned step;
    int64_t live_since_ms, waiting_since_ms, least_ms;
    bool excused; /* someone asked for the next dial */
    bool waits;
    bool saved;                       /* the wait is on disk, */
    bool flying;                      /* or on its way there */
    unsigned unsaved, unsaved_flying; /* steps, likewise */
};

struct feed {
    struct world *world;
    unsigned number;
    char name[16];
    enum feed_kind kind;
    const struct profile *profile;
    bool resumable; /* else: no ids, no positions, no sync */
    bool pages;     /* it has sync */
    enum settings_start start;
    struct service service;
    struct link links[WORLD_LINKS];
    struct restraint restraint;
    int64_t dials_ms[WORLD_DIALS]; /* a ring */
    uint64_t n_dials;
    struct broker_client *broker;
    enum session_state state; /* as it said last */
    struct stream *stream;
    struct hub_stream *hub_stream;
    unsigned id;      /* in the store */
    uint64_t request; /* that is not the fallback's stream */
    int64_t deadline_ms;
    bool lived; /* live in this life of the daemon */

    /* Ground truth. */
    unsigned top;       /* highest position stored, in order */
    unsigned top_loose; /* the same of what came without id and position */
    uint64_t position;  /* on disk, 0: none */
    uint64_t should_be; /* what it should be */
    unsigned due_from;  /* with start = now: the first that must be stored */
    bool anything;      /* has been stored */
    uint64_t after;     /* the last gap's; the next event must lie above it */
    unsigned gaps[SESSION_GAP_MALFORMED + 1];
    unsigned texts;
    uint64_t whole_seq[WORLD_EVENTS_MAX + 2]; /* by position, 0: not stored */
    bool stored_late[WORLD_EVENTS_MAX + 2];   /* out of order */
    unsigned stored_texts[WORLD_EVENTS_MAX + 2];
};

/* ---- what happens when ---- */
enum world_kind {
    WORLD_PUBLISH,
    WORLD_CUT, /* the service throws old events away */
    WORLD_CONNECTED,
    WORLD_OPEN,
    WORLD_HELLO,
    WORLD_DELIVER,
    WORLD_LINK_END,
    WORLD_LINK_CLOSED,
    WORLD_PONG,
    WORLD_RESUME_LINK,
    WORLD_DIAL_FAILS,
    WORLD_HTTP_ARRIVES,
    WORLD_HTTP_ANSWER,
    WORLD_CREDENTIAL,
    WORLD_MOVE,      /* the service asks to move */
    WORLD_EXPIRING,  /* a token is about to expire; then it has */
    WORLD_BODY_OPEN, /* the answer of a fallback begins */
    WORLD_BROKER,
    WORLD_OPERATOR,
    WORLD_COMMIT,
    WORLD_STALL,
    WORLD_FLUSH,
    WORLD_ROOM,
    WORLD_REOPEN,
    WORLD_RETAIN,
    WORLD_CONSUME,
    WORLD_PAGE,
    WORLD_CONNECT,
    WORLD_NAMED_SCAN,
    WORLD_CRASH,
    WORLD_STOP,
    WORLD_STOP_LATE,
    WORLD_RESTART,
};

struct happening {
    int64_t at_ms;
    uint64_t order; /* of two at the same time, the earlier planned comes first */
    enum world_kind kind;
    uint64_t life;   /* of the daemon: what a dead one planned is void */
    unsigned feed;   /* or consumer */
    uint64_t number; /* link, request, commit, connection */
    struct buf body; /* HTTP_ARRIVES: since; HTTP_ANSWER: the page */
    int status;      /* HTTP_ANSWER: status, 0 = broken answer, -1 = timeout; LINK_*: close code */
};

/* ---- records ---- */
enum form { FORM_WHOLE, FORM_TEXT, FORM_GAP };

/* What a line stands for. */
struct record {
    uint64_t seq;
    unsigned feed;
    enum form form;
    enum session_gap reason;
    unsigned position; /* the mark; 0: a gap */
    bool keyed;        /* it has an id or a position */
    bool has_after;
    uint64_t after; /* of a gap */
};

/* A record that is on its way to disk. */
struct pending {
    struct record record;
    bool has_position, forget, ephemeral;
    uint64_t position;
};

/* ---- consumers ---- */
struct lost_range {
    unsigned feed;
    uint64_t from_seq, to_seq;
    uint64_t connection; /* on which it was told */
};

struct reader {
    struct fanout_sub sub;
    struct fanout_filter filter;
    bool feeds[WORLD_FEEDS]; /* the filter, as truth has it */
    enum { TYPES_ALL, TYPES_MESSAGES, TYPES_REACTIONS, TYPES_NONE } types;
    bool connected, reading; /* reading: a cold page is on its way */
    uint64_t connection;     /* number of the present one */
    int64_t pace_ms;
    uint64_t start_seq; /* events after this one are due */
    uint64_t last_seq;  /* of the last whole line */
    struct record *seen;
    size_t n_seen, cap_seen;
    struct lost_range *lost;
    size_t n_lost, cap_lost;
    uint64_t told[WORLD_FEEDS];     /* losses on this connection, up to here */
    bool forgive;                   /* from = oldest: what is gone before the first read is none */
    uint64_t forgiven[WORLD_FEEDS]; /* up to here */
    struct buf rest;                /* of a line that was cut */
    /* A cold page: losses, then lines. */
    struct buf gaps, page;
    struct {
        size_t end;
        uint64_t seq;
    } lines[64];
    unsigned n_lines;
    uint64_t page_done_seq;
};

/* What hawserd knows of a reader that has a name, and what truth does. */
struct named {
    bool exists; /* in this life of hawserd */
    struct consumer consumer;
    uint64_t seqs[WORLD_WINDOW_MAX];
    uint64_t ticket; /* of the save under way */
    bool known;      /* it was told that it exists */
    uint64_t answered, acked;
    uint64_t gap_seq; /* the end of the last loss that this connection was told of */
    struct {
        uint64_t to_seq;
        size_t seen_before;        /* so much it had been sent by then */
    } told[WORLD_FEEDS];           /* the last loss of each feed that it was told of */
    uint64_t settled[WORLD_FEEDS]; /* losses up to here are acknowledged */
    /* The answer that it waits for: to an acknowledgement up to waits_seq, or to its subscription,
     * whose cursor that is. */
    uint64_t waits_change, waits_seq;
    bool waits_to_begin;
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
    unsigned n_feeds;
    unsigned per_mille_drop, per_mille_commit_fails, per_mille_crash, per_mille_duplicate,
        per_mille_http_fails, per_mille_dial_fails, per_mille_odd, per_mille_stale, per_mille_cut;
    size_t hold_bytes, ring_bytes, ring_entries;
    unsigned dedup_window;
    int64_t commit_ms, link_ms, http_ms;  /* typical latencies */
    uint64_t retain_bytes, retain_stream; /* 0: no limit */
    int64_t retain_age_ms;
    bool jumpy;         /* the wall clock jumps */
    int64_t skew_us;    /* by so much */
    unsigned dial_rate; /* a second */

    struct feed feeds[WORLD_FEEDS];
    char directory[256];
    struct store *store;
    struct hub *hub;
    struct broker *broker;
    int64_t broker_deadline_ms;
    struct {
        uint64_t hub, broker;
    } tickets[WORLD_TICKETS]; /* of what the broker saves, a ring */
    uint64_t n_tickets;
    bool unsaved; /* the broker has something to save, and there was no room */
    bool unclean; /* the last life ended by a crash */
    bool alive, flush_planned, room_planned;
    enum { RUNNING, STOPPING, FLUSHING } phase;

    /* persist, in miniature */
    const struct hub_batch *batch;          /* in flight */
    uint64_t commit;                        /* its number */
    bool stalled, reopening, commit_failed; /* commit_failed: in this life */
    bool was_full;                          /* so retention had to make room */
    int fault;                              /* errno of the one to come; 0: none */
    enum store_fault fault_point;

    /* ground truth: what the store has taken, by seq */
    struct record *stored;
    size_t n_stored, cap_stored;
    struct pending *pending; /* the batch that may be on disk */
    size_t n_pending, cap_pending;
    struct {
        uint64_t seq, what;
    } * names; /* what a seq has ever stood for: an open hash table */
    size_t n_names, cap_names;
    uint64_t highest_seen_seq, seen_in_life_seq, links_made, crashes, failed_commits;
    struct reader consumers[WORLD_CONSUMERS];
    struct named named[WORLD_NAMED];
};

/* Ends the process with the invariant's number, the seed and how to run it again. */
void world_violation(struct world *world, int invariant, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), noreturn));
void world_trace(struct world *world, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void world_plan(struct world *world, int64_t delay_ms, enum world_kind kind, unsigned feed,
                uint64_t number, int status);
/* The body is taken. */
void world_plan_body(struct world *world, int64_t delay_ms, enum world_kind kind, unsigned feed,
                     uint64_t number, int status, struct buf *body);
/* A delay around `typical`, sometimes much longer. */
int64_t world_delay(struct world *world, int64_t typical_ms);
bool world_per_mille(struct world *world, unsigned per_mille);
unsigned world_below(struct world *world, unsigned n);

/* world.c */
struct world_profiles {
    const struct profile *kinds[FEED_KINDS];
};
void world_init(struct world *world, uint64_t seed, const struct world_profiles *profiles,
                const char *directory, bool trace);
bool world_step(struct world *world); /* false: nothing left to happen */
void world_calm(struct world *world); /* the faults end */
void world_fini(struct world *world);

/* daemon.c */
void daemon_start(struct world *world);
void daemon_kill(struct world *world);
void daemon_stop(struct world *world);
void daemon_maybe_stopped(struct world *world);
void daemon_happen(struct world *world, const struct happening *happening);
void daemon_free(struct world *world);

/* link.c */
extern const struct stream_ops link_stream_ops; /* arg: struct feed */
void link_happen(struct feed *feed, struct happening *happening);
void link_gone(struct link *link);
void link_all_gone(struct feed *feed);
struct link *link_find(struct feed *feed, uint64_t number); /* NULL: none such */
void link_wake(struct feed *feed, struct link *link);       /* deliver what waits, if that can be */
bool link_idle(const struct feed *feed); /* one link, and it has nothing to say */

/* restraint.c */
void restraint_lived(struct feed *feed);    /* the link, or hawser, ends */
void restraint_new_life(struct feed *feed); /* after a crash */
void restraint_watch(struct feed *feed, const struct session_action *action);
void restraint_dialled(struct feed *feed);
void restraint_flying(struct world *world, const struct hub_batch *batch);
void restraint_saved(struct world *world, bool on_disk);

/* slots.c */
void slots_start(struct world *world);
void slots_saved(struct world *world, uint64_t ticket, bool lost);

/* service.c */
void service_init(struct feed *feed);
void service_publish(struct feed *feed);
void service_cut(struct feed *feed);
void service_hello(struct feed *feed, struct link *link);
void service_replay(struct feed *feed, struct link *link);
void service_deliver(struct feed *feed, struct link *link);
bool service_has_news(struct feed *feed, struct slice since); /* for a long-poll */
/* The status; 200 with the page. */
int service_answer(struct feed *feed, struct slice since, struct buf *page);
bool service_on_sync(const struct published *event);
/* The link shows it without id and position, and so it is stored, whatever sync has. */
bool service_is_loose(const struct feed *feed, unsigned position);

/* consumers.c */
void consumers_connect(struct world *world, unsigned number);
void consumers_begin(struct world *world, unsigned number); /* it may be sent what comes next */
void consumers_leave(struct world *world, unsigned number);
void consumers_pump(struct world *world, unsigned number, uint64_t connection);
void consumers_page(struct world *world, unsigned number, uint64_t connection);
void consumers_lost(struct world *world); /* the daemon died: they lose their connection */
void consumers_free(struct world *world);
bool consumers_matches(const struct world *world, const struct reader *consumer,
                       const struct record *record);
bool consumers_served(struct world *world); /* they have all there is */

/* named.c: number is a reader's; of one without a name nothing happens */
struct named *named_of(struct world *world, unsigned number); /* NULL: it has no name */
bool named_connect(struct world *world, unsigned number);     /* false: it is to wait */
void named_disconnect(struct world *world, unsigned number);
void named_acknowledge(struct world *world, unsigned number, bool all);
void named_told(struct world *world, unsigned number, size_t first_loss); /* of those from there */
void named_saw(struct world *world, unsigned number, uint64_t seq);
void named_saved(struct world *world, uint64_t ticket, bool lost);
void named_scan(struct world *world);
void named_room(struct world *world);
void named_restore(struct world *world, const struct store_state *state);
void named_restored(struct world *world);
void named_died(struct world *world);

/* truth.c: the invariants that are looked at as things happen */
/* What an event or a gap with a seq stands for. */
void truth_read_line(struct world *world, struct slice line, struct record *out);
bool truth_says(struct slice line, const char *text);
uint64_t truth_number(struct slice line, const char *key); /* behind the key; 0: none */
unsigned truth_feed(struct world *world, struct slice line);
void truth_seq_means(struct world *world, const struct record *record);
void truth_pending(struct world *world, const struct hub_batch *batch);
void truth_committed(struct world *world);               /* what was pending is on disk */
void truth_opened(struct world *world, uint64_t newest); /* of a store opened again */
bool truth_has(const struct feed *feed, unsigned position);
uint64_t truth_newest_seq(const struct world *world);
const struct record *truth_find(const struct world *world, uint64_t seq);

/* verdict.c: those that are looked at in the end */
void verdict_consumer(struct world *world, unsigned number, uint64_t up_to_seq);
void verdict_clean_stop(struct world *world);
void verdict(struct world *world);

#endif
