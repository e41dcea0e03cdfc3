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
 * a key never outlives an event that was not kept. An empty id or position is none.
 *
 * Position: with compare = int it goes up only; an unknown id below it is emitted and counted as
 * late. With compare = opaque the last one emitted wins. A duplicate's position moves
 * flow_position() (in memory, so that catch-up pages on) but is stored only with the next event
 * that advances; the opaque one of a link's duplicate does not move it, for it may be a replay.
 *
 * The sink and `missing` must not call back into flow.
 */
#ifndef HAWSER_FLOW_FLOW_H
#define HAWSER_FLOW_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "profile/profile.h"

#define FLOW_VIAS(X) X(LIVE, "live") X(SYNC, "sync")
enum flow_via {
#define X(id, text) FLOW_VIA_##id,
    FLOW_VIAS(X)
#undef X
};
const char *flow_via_name(enum flow_via via);

enum flow_data_kind { FLOW_DATA_JSON, FLOW_DATA_TEXT, FLOW_DATA_BINARY };

/* One event on its way out. All slices are borrowed for the call. */
struct flow_event {
    struct slice id, position, type, time; /* .ptr NULL where absent */
    struct slice data;
    enum flow_data_kind data_kind;
    enum flow_via via;
    bool ephemeral;        /* never stored */
    bool has_key;          /* never for an ephemeral event */
    uint8_t key[16];       /* dedup key */
    bool advances;         /* position is the stream's new position: store it with the event */
    int64_t received_us;   /* wall clock */
    const char *malformed; /* NULL, or why this is said as a gap `malformed` besides */
};

/* 0: taken. ERR_AGAIN: no room now. Any other: the event is lost to us, the caller stops; flow
 * keeps nothing of it and answers as for ERR_AGAIN. */
typedef int (*flow_sink)(void *arg, const struct flow_event *event);

struct flow_options {
    const struct profile *profile; /* borrowed */
    const uint8_t *hash_key;       /* 16 bytes, the store's; copied */
    unsigned dedup_window;         /* entries, >= 16 */
    /* Bound of the hold buffer, payload and bookkeeping (at most FLOW_HOLD_COST an event). Room for
     * the largest message or more; without it such a message always fills the hold. */
    size_t hold_bytes;
    flow_sink sink;
    /* What flow_missing() told stands here, among the events. Takes it always. */
    void (*missing)(void *arg);
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
};

/*
 * One message of the link. `message` is the scan of it (rules applied already by the caller);
 * `raw` its bytes; text or binary. Ephemeral events are dropped while others are held or released:
 * they belong to the live edge. While holding, an event that is known already is a duplicate at
 * once. While releasing, everything queues behind what is held.
 */
enum flow_result flow_message(struct flow *flow, const struct profile_message *message,
                              struct slice raw, bool binary, int64_t received_us);

/* The link had a message here that could not even be taken, being too large. It is told through
 * `missing` in its place: at once, or behind what is held. What is held and then dropped is owed by
 * sync, with this message. */
void flow_missing(struct flow *flow);

/* One catch-up item: emitted at once if new. Call flow_page_begin() before the items of a page
 * and flow_page_end() after the last. */
void flow_page_begin(struct flow *flow);
enum flow_result flow_item(struct flow *flow, const struct profile_message *message,
                           int64_t received_us);
struct flow_page_result {
    unsigned items, fresh; /* in the page; of them, emitted */
    /* Since flow_hold() sync has come to where the held events begin: to the position (int) or to
     * the id or position (opaque) of the first of them that has one and does not lie behind us.
     * While there is none such: the page was empty, and nothing is owed. */
    bool reached_hold;
    /* The link has shown events that were dropped (a full hold, a link that ended with events held,
     * a store that failed), and sync has not brought them yet: it lags behind the link, so an empty
     * page does not mean that nothing was missed. */
    bool owed;
};
void flow_page_end(struct flow *flow, struct flow_page_result *out);

void flow_hold(struct flow *flow);    /* from here messages are held; a hold begun anew is empty */
void flow_discard(struct flow *flow); /* drop what is held and what comes */
/* Emits what is held, duplicates dropped. 0 when all is out and messages pass again; ERR_AGAIN when
 * the sink has no room: call again later; messages meanwhile queue behind. */
int flow_release(struct flow *flow);
bool flow_releasing(const struct flow *flow);

/* To resume from; .ptr NULL = none; borrowed till the next call. */
struct slice flow_position(const struct flow *flow);
void flow_forget(struct flow *flow); /* drops the position */

struct flow_stats {
    uint64_t emitted; /* without the ephemeral ones */
    uint64_t duplicates;
    uint64_t malformed; /* emitted, and something was wrong with them */
    uint64_t late;      /* emitted, and below the position */
    uint64_t ephemeral; /* emitted */
    uint64_t discarded; /* by flow_discard, out of a hold begun anew, and ephemeral not in time */
    size_t held_events, held_bytes;
};
void flow_stats(const struct flow *flow, struct flow_stats *out);

#endif
