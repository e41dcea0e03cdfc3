/*
 * flow: from messages to events. Pure; memory is bounded and allocated when made.
 *
 * Decides: which messages are events, which of them are duplicates, what is held during a
 * catch-up, and in which order events leave.
 * Leaves: when to hold, release and discard, to session; seq numbers and disk to engine and store.
 * An event leaves through the sink, in order. The sink may refuse (ERR_AGAIN: no room); then flow
 * keeps nothing of that event, and the caller stops feeding until there is room.
 *
 * Identity: by [event] dedup: the id, else the position; an event with neither is never a
 * duplicate. The window holds the newest `dedup_window` keys. A key enters the window when the sink
 * took the event; if the store then fails, the whole flow is made anew from disk (flow_reset), so
 * a key never outlives an event that was not kept. An empty id or position is none. Where positions
 * begin anew, those of before say nothing any more: keys that are made of them leave the window,
 * and flow_key_forget among the keys on disk says so to the next life.
 *
 * Position: with compare = int it goes up only; an unknown id below it is emitted and counted as
 * late. With compare = opaque the last one emitted wins. A duplicate's position moves
 * flow_position() (in memory, so that catch-up pages on) but is stored only with the next event
 * that advances; the opaque one of a link's duplicate does not move it, for it may be a replay.
 *
 * Two positions: flow_position() is the newest one that was taken. Where a request begins is
 * flow_resume(): the same, or with an audit the one up to which all is known to be whole; that one
 * is stored. Pages and the fallback bring everything in order, so they move it along; a link does
 * not. Duplicates among what they bring move it too, so flow_resume() is good for every page of a
 * request, and an audit that met suspects begins at the first of them again.
 *
 * Unkeyed events cannot be compared with the copies that sync has of them, but both come in the
 * same order: an unkeyed event between two others is what sync has between these two. So sync's
 * items are laid beside the link's events; those that sync has where the link has an unkeyed event
 * are its copies, and the link's are dropped. One that sync has passed over is stored as it is.
 *
 * Without unkeyed = sync an event that has no key, id or position stands among the link's others.
 * While they are held it goes out right behind the one that the link showed before it, once sync
 * has brought that; and those that the hold begins with, right before the first one that sync
 * brings. Whatever sync does not bring waits for the release, and with it all that is behind it.
 *
 * The sink and `gap` must not change anything in flow.
 */
#ifndef HAWSER_FLOW_FLOW_H
#define HAWSER_FLOW_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "profile/profile.h"

#define FLOW_VIAS(X)                                                                               \
    X(LIVE, "live")                                                                                \
    X(SYNC, "sync")                                                                                \
    X(POLL, "poll") /* the fallback, by long-poll */                                               \
    X(SSE, "sse")   /* the fallback, by SSE or NDJSON */                                           \
    X(AUDIT, "audit")
enum flow_via {
#define X(id, text) FLOW_VIA_##id,
    FLOW_VIAS(X)
#undef X
        FLOW_VIA_COUNT
};
const char *flow_via_name(enum flow_via via);

enum flow_data_kind { FLOW_DATA_JSON, FLOW_DATA_TEXT, FLOW_DATA_BINARY };

/* One event on its way out. All slices are borrowed for the call. */
struct flow_event {
    struct slice id, position, type, time; /* .ptr NULL where absent */
    struct slice data;
    enum flow_data_kind data_kind;
    enum flow_via via;
    bool ephemeral;    /* never stored */
    bool has_key;      /* never for an ephemeral event */
    uint8_t key[16];   /* dedup key */
    bool snapshot;     /* a row of a snapshot */
    uint64_t sequence; /* contiguous: whose positions these are, by a hash; 0: all */
    /* Store this with the event as where to resume from; .ptr NULL: that stays as it is. Without an
     * audit it is the event's position, with one the newest up to which all is known to be whole.
     */
    struct slice resume;
    int64_t received_us;   /* wall clock */
    const char *malformed; /* NULL, or why this is said as a gap `malformed` besides */
};

/* 0: taken. ERR_LIMIT: taken, but too large to be stored, and nothing that was to be stored with it
 * is. ERR_AGAIN: no room now. Any other: the event is lost to us, the caller stops; flow keeps
 * nothing of it and answers as for ERR_AGAIN. */
typedef int (*flow_sink)(void *arg, const struct flow_event *event);

enum flow_gap_reason {
    FLOW_GAP_OVERSIZE, /* what flow_missing() told stands here */
    FLOW_GAP_HOLE, /* contiguous positions go on at .before, and nothing brought what is between */
    FLOW_GAP_EPOCH /* FLOW_EPOCH_IDS unknown ids below all of the window: positions begin anew */
};
struct flow_gap {
    enum flow_gap_reason reason;
    struct slice after, before; /* positions, .ptr NULL where unknown; borrowed for the call */
};
#define FLOW_EPOCH_IDS 8
#define FLOW_SUSPECTS_MAX 1024  /* unknown in an audit, but too young yet; more: next time */
#define FLOW_SUSPECT_MS 10000   /* so long is a link given to bring what sync has */
#define FLOW_SEQUENCES_MAX 1024 /* keys of contiguous positions; the least used is forgotten */
#define FLOW_AHEAD_MAX 1024     /* items of sync that unkeyed events are laid beside */

struct flow_options {
    const struct profile *profile; /* borrowed */
    const uint8_t *hash_key;       /* 16 bytes, the store's; copied */
    unsigned dedup_window;         /* entries, >= 16 */
    /* Bound of the hold buffer, payload and bookkeeping (at most FLOW_HOLD_COST an event). Room for
     * the largest message or more; without it such a message always fills the hold. With
     * connect.parallel = 2 there are two of them, one for each link. */
    size_t hold_bytes;
    flow_sink sink;
    /* Something is missing here, among the events. Takes it always. */
    void (*gap)(void *arg, const struct flow_gap *gap);
    void *sink_arg; /* of both */
};

/* What a held event takes besides its bytes, at most. */
#define FLOW_HOLD_COST 192

struct flow;
/* ERR_INVAL: dedup_window is out of bounds. ERR_NOMEM. */
int flow_new(const struct flow_options *options, struct flow **out);
void flow_free(struct flow *flow);

/* Everything as on disk: an empty window, nothing held, messages pass, the given position (.ptr
 * NULL or over LIMIT_POSITION = none; with compare = int one that is no number lies below all). The
 * counters go on. */
void flow_reset(struct flow *flow, struct slice position);
/* The same for a stream that has nothing on disk and is to begin behind this position. What is on
 * disk from its first event on is that event's own: the service may take the other for "the oldest
 * there is", and then say nothing of what it has thrown away. */
void flow_start(struct flow *flow, struct slice position);
/* To be stored with the gap that a dropped position leaves, in its place among the events' keys. */
extern const uint8_t flow_key_forget[16];
/* Adds a key from disk, oldest first; of more than dedup_window the oldest fall out. */
void flow_dedup_load(struct flow *flow, const uint8_t key[16]);

enum flow_result {
    FLOW_EMITTED,
    FLOW_DUPLICATE,
    FLOW_HELD,       /* kept for release */
    FLOW_HELD_FIRST, /* the same, and it is the first since flow_hold() */
    FLOW_HELD_FULL,  /* not kept: the hold is full, and takes nothing more until flow_hold() */
    FLOW_DISCARDED,  /* flow_discard() is in force; or ephemeral, and not at the live edge */
    FLOW_IGNORED,    /* no event */
    FLOW_AGAIN,      /* no room, in the sink or behind a release: offer the same message again */
    FLOW_MET,     /* emitted, or a duplicate, and it is the first event held of the successor; or of
                   * the successor, and the link was there first. Once for each flow_succeed() */
    FLOW_HOLE,    /* contiguous positions miss some: this is held, and all behind it */
    FLOW_UNKEYED, /* neither id nor position, and unkeyed = sync: held, and all behind it */
    FLOW_DOUBT,   /* flow_doubt() is in force: held, and all behind it */
    FLOW_FOLLOWS, /* emitted, and nothing can lie before it: flow_doubt() is over */
    FLOW_SUSPECT, /* flow_audit_item: unknown, but too young to be called missing */
};

/* Which link a message comes from. */
enum flow_side { FLOW_LINK, FLOW_SUCCESSOR };

/*
 * One message of the link. `message` is the scan of it (rules applied already by the caller);
 * `raw` its bytes; text or binary. Ephemeral events are dropped while others are held or released:
 * they belong to the live edge. While holding, an event that is known already is a duplicate at
 * once. While releasing, everything queues behind what is held.
 *
 * A successor's message that finds its hold full is FLOW_HELD_FULL where sync can bring it, with
 * catchup via http; else FLOW_AGAIN, and the successor waits for the switch and the release.
 */
enum flow_result flow_message(struct flow *flow, enum flow_side side,
                              const struct profile_message *message, struct slice raw, bool binary,
                              int64_t received_us);

/* The link had a message here that could not even be taken, being too large. It is told through
 * `gap` in its place: at once, or behind what is held of it. What is held and then dropped is owed
 * by sync, with this message. */
void flow_missing(struct flow *flow, enum flow_side side);

/* One catch-up item: emitted at once if new, behind what is held and belongs before it. Call
 * flow_page_begin() before the items of a page and flow_page_end() after the last. */
void flow_page_begin(struct flow *flow);
enum flow_result flow_item(struct flow *flow, enum flow_via via /* SYNC POLL SSE */,
                           const struct profile_message *message, int64_t received_us);
struct flow_page_result {
    unsigned items, fresh; /* in the page; of them, emitted */
    /* Since flow_hold() sync has come to where the held events begin: to the position (int) or to
     * the id or position (opaque) of the first of them that has one and does not lie behind us. */
    bool reached_hold;
    /* The link has shown events that were dropped (a full hold, a link that ended with events held,
     * a store that failed), and sync has not brought them yet: it lags behind the link, so an empty
     * page does not mean that nothing was missed. */
    bool owed;
    bool unkeyed; /* unkeyed events are held, and sync has brought fewer events that are new and not
                   * held themselves than there are such */
};
void flow_page_end(struct flow *flow, struct flow_page_result *out);

void flow_hold(struct flow *flow);    /* from here messages are held; a hold begun anew is empty */
void flow_discard(struct flow *flow); /* drop what is held and what comes */
/* Emits what is held, duplicates dropped. 0 when all is out and messages pass again, or when it
 * holds again: see flow_unkeyed() and flow_hole(). ERR_AGAIN when the sink has no room: call again
 * later; messages meanwhile queue behind. A hole before the first that is held was asked about: it
 * is said, and the release goes on. */
int flow_release(struct flow *flow);
bool flow_releasing(const struct flow *flow);
/* A release has come to an unkeyed event (unkeyed = sync) and holds from there on: ask sync. */
bool flow_unkeyed(const struct flow *flow);
/* A release has come to a hole that sync was not asked about and holds from there on: as FLOW_HOLE.
 * Both are over with the next flow_hold(), flow_release() or flow_discard(). */
bool flow_hole(const struct flow *flow);
/* Whether sync has brought all that the link could not was only sync's word, and sync may lag.
 * While this is on, the next event of the link that is not known is held, and what comes behind it:
 * then sync can be measured by it. Contiguous positions need no sync where the event follows the
 * newest that is known. Over with either, and with flow_hold(), flow_discard(), flow_switch() and
 * flow_forget(). */
void flow_doubt(struct flow *flow, bool on);
/* Sync has not brought them: the next release stores the unkeyed events that are held now. */
void flow_unkeyed_keep(struct flow *flow);

/* ---- handover: two links at once ---- */
/* Messages of FLOW_SUCCESSOR are held from here, those of FLOW_LINK pass as before. What was held
 * of an earlier successor is dropped; so it is with flow_hold() and flow_discard(). */
void flow_succeed(struct flow *flow);
/* The successor is the link now; what is held of it stays held, as after flow_hold(). What the link
 * before it had in the hold goes out first. */
void flow_switch(struct flow *flow);

/* ---- audit: sync once more over what should be whole ---- */
/* An item of an audit's page. Known: FLOW_DUPLICATE. Unknown and first seen in an audit less than
 * FLOW_SUSPECT_MS ago, or while the link's events are held: FLOW_SUSPECT. Older: emitted at once,
 * via audit. Without a key nothing can be said: FLOW_IGNORED. now_ms is monotonic. */
enum flow_result flow_audit_item(struct flow *flow, const struct profile_message *message,
                                 int64_t received_us, int64_t now_ms);
/* Whole up to here: the end of a catch-up, or the last page of an audit without suspects. */
void flow_audited(struct flow *flow);
/* Events emitted since flow_audited(). */
uint64_t flow_since_audit(const struct flow *flow);
/* Where the next page of a catch-up, of an audit or of the fallback begins; borrowed till the next
 * call. The first page of a request asks `overlap` below. Without audit and overlap the same as
 * flow_position(). */
struct slice flow_resume(struct flow *flow);
/* A position that was learnt, not of an event (tip): stored with the next event. */
void flow_learn(struct flow *flow, struct slice position);

/* To resume from; .ptr NULL = none; borrowed till the next call. */
struct slice flow_position(const struct flow *flow);
/* Drops the position, and what is known by a position alone. */
void flow_forget(struct flow *flow);

struct flow_stats {
    uint64_t emitted; /* without the ephemeral ones */
    uint64_t duplicates;
    uint64_t malformed; /* emitted, and something was wrong with them */
    uint64_t late;      /* emitted, and below the position */
    uint64_t ephemeral; /* emitted */
    uint64_t discarded; /* by flow_discard, out of a hold begun anew, and ephemeral not in time */
    uint64_t audited;   /* emitted via audit: the link had not brought them */
    uint64_t unkeyed;   /* kept as they came, for sync did not bring them */
    size_t held_events, held_bytes;
};
void flow_stats(const struct flow *flow, struct flow_stats *out);

#endif
