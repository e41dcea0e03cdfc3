/* stream_private: what the files of stream share. Nobody else includes it. */
#ifndef HAWSER_ENGINE_STREAM_PRIVATE_H
#define HAWSER_ENGINE_STREAM_PRIVATE_H

#include "base/rng.h"
#include "engine/arrivals.h"
#include "engine/saved.h"
#include "engine/stream.h"
#include "engine/texts.h"
#include "wire/lines.h"
#include "wire/sse.h"

#define STREAM_GAPS_MAX 4               /* gaps that wait for room */
#define STREAM_LINKS 2                  /* the link and its successor, or one that is closing */
#define STREAM_CALLS_MAX 8              /* of rules, under way at once */
#define STREAM_CALL_MS 30000            /* for the answer to one of them */
#define STREAM_SENDS_MAX 64             /* texts that wait for limits.sends or for the link */
#define STREAM_SENDS_BYTES (256u << 10) /* of them */
#define STREAM_SEND_RETRY_MS 1000       /* after a link that took no more */
#define STREAM_ACKS_MAX 1024            /* texts that wait for an event to be durable */
#define STREAM_ACKS_BYTES (256u << 10)  /* of them; more holds the link up */
#define STREAM_PAGES_MAX 64             /* descending pages collected for one catch-up */
#define STREAM_PAGES_BYTES (2u * LIMIT_HTTP_BODY) /* of them */

/*
 * Session events that wait while a step is being executed. Inputs from outside come one at a time
 * and find the queue empty; what is executed adds, at most:
 */
enum {
    /* An end for each place of a link, and one for a dial that fails at once. A place is taken anew
     * only after a SLOT, which is an input. */
    STREAM_POSTS_LINKS = STREAM_LINKS + 2,
    /* An end for the request and the fallback that are cancelled, one for each that then cannot
     * even be rendered. */
    STREAM_POSTS_REQUESTS = 4,
    STREAM_POSTS_SENT = 1,  /* a heartbeat that awaits its answer */
    STREAM_POSTS_FLOW = 3,  /* POSITION, UNKEYED, WINDOW_HALF: each once until answered */
    STREAM_POSTS_SLOTS = 2, /* SLOT_LATER, of a broker that answers at once */
    STREAM_QUEUE_MAX = 1 + STREAM_POSTS_LINKS + STREAM_POSTS_REQUESTS + STREAM_POSTS_SENT +
                       STREAM_POSTS_FLOW + STREAM_POSTS_SLOTS,
};

enum stream_role {
    STREAM_LINK,
    STREAM_SUCCESSOR,
    STREAM_RETIRED, /* the successor has taken its place: what it still says is known already */
};

struct stream_link {
    uint64_t number; /* 0: none */
    enum stream_role role;
    bool slotted; /* the broker counts it, as .slot */
    enum broker_slot slot;
    bool open, closing;
    bool blocked;   /* it was told ERR_AGAIN */
    bool resumed;   /* the first of `send A|B` went out: no new session */
    bool accepted;  /* told to the broker */
    unsigned taken; /* messages of the frame it was told ERR_AGAIN for that are done */
    uint64_t n;     /* the newest ${n} */
    uint32_t once;  /* bit i: sends[i] has gone out */
};

enum stream_slot_state {
    STREAM_SLOT_NONE,
    STREAM_SLOT_WANTED,
    STREAM_SLOT_ASKED,
    STREAM_SLOT_SAVING,
    STREAM_SLOT_OURS
};
enum { STREAM_SLOT_LINK, STREAM_SLOT_FALLBACK, STREAM_SLOTS };

/* A page whose items are on their way to flow. */
struct stream_page {
    bool active;
    enum flow_via via; /* SYNC, POLL or AUDIT */
    bool tip;          /* nothing of it is stored */
    uint64_t number;   /* of the request, as the session knows it */
    struct buf body;
    struct profile_page page;
    struct buf next; /* its cursor, kept for the next request */
    struct buf last; /* the furthest position among its items */
    struct buf from; /* flow's position before it */
    bool has_next, has_last;
    unsigned items, suspects, found;
    /* Descending: the newer ones, which come after it. */
    struct buf newer[STREAM_PAGES_MAX];
    unsigned n_newer;
    size_t newer_bytes;
};

struct stream_fallback {
    uint64_t number; /* of the exchange under way; 0: none */
    bool slotted;    /* the broker counts it */
    bool opened;     /* FALLBACK_OPEN was said */
    bool blocked;    /* the body's owner was told ERR_AGAIN */
    bool in_frame;   /* text holds one that flow has not taken whole */
    bool ended;      /* the answer is over, but not all of it is with flow */
    struct profile_end end;
    struct sse *sse;
    struct lines *lines;
    struct buf text, id, event; /* of the frame */
    bool has_id, has_event;
    unsigned taken;  /* messages of the frame that are done */
    struct buf rest; /* bytes not decoded yet */
};

struct stream {
    char *name;
    const struct profile *profile;
    struct hub *hub;
    struct hub_stream *hub_stream;
    struct broker_client *broker; /* NULL: nothing is limited */
    struct session session;
    struct flow *flow;
    struct profile_scanner *scanner;
    enum settings_start start;
    char *start_position;
    const struct stream_ops *ops;
    void *arg;
    uint64_t seed;
    struct rng rng; /* of ${uuid} */
    unsigned dedup_window;
    bool rtt_reconnects;

    struct stream_link links[STREAM_LINKS];
    bool started, has_position, lived, forget;
    bool stored_position; /* the position is from disk, not from `start` */
    bool half_told;       /* WINDOW_HALF, until AUDITED */
    bool at_start;        /* no slot was asked for yet */

    /* Events for the session, while it is being stepped. */
    struct {
        struct session_event event;
        struct profile_end end;
        struct session_page page;
        char text[BROKER_TEXT];
    } queue[STREAM_QUEUE_MAX];
    unsigned queue_head, queue_count;
    bool stepping;
    struct session_actions actions;

    /* Gaps that found no room yet, in order. */
    struct {
        struct hub_gap gap;
        char after[LIMIT_POSITION], before[LIMIT_POSITION];
        char detail[320];
    } gaps[STREAM_GAPS_MAX];
    unsigned n_gaps;

    /* The session's request. */
    struct {
        uint64_t number; /* 0: none */
        uint64_t wire;   /* the exchange under way for it; another for each further page of a
                            descending catch-up */
        enum session_purpose purpose;
        unsigned pages; /* descending: collected */
    } request;
    uint64_t own_last; /* the newest number that is the engine's own */
    struct stream_call {
        uint64_t number; /* of the exchange under way; 0: free */
        unsigned http;
        unsigned each; /* of its values, the one under way */
        const char *rule;
    } calls[STREAM_CALLS_MAX];
    struct stream_page page;
    struct stream_fallback fallback;
    struct profile_request form; /* the one being rendered; wiped after use */

    /* Slots and what is saved: slots.c. */
    enum stream_slot_state slots[STREAM_SLOTS];
    enum broker_slot slot_kind; /* of the one for a link */
    struct {
        bool due; /* there is news that no ticket covers */
        uint64_t ticket, slot_ticket;
    } save;
    struct session_saved restored;
    bool has_restored, source_changed;
    int64_t restored_ago_ms;

    struct stream_variables variables;
    char moved[PROFILE_ADDRESS_MAX + 1]; /* where the service wants us next; empty: nowhere else */

    struct stream_texts sends, acks;
    struct buf text;       /* the one being rendered */
    int64_t send_at_ms;    /* when the first of sends may go, INT64_MAX: none waits */
    bool send_paid;        /* it has been taken from the rate already */
    uint32_t stored_sends; /* bit i: sends[i] is ON_STORED */
    uint64_t durable_seq;

    struct arrivals arrivals; /* on the link that serves */
    struct stream_stats stats;
    int64_t deadline_ms;
};

/* ---- stream.c ---- */
/* Queues an event for the session and, unless a step is under way, works the queue off. end, page
 * and text are copied. */
void stream_post(struct stream *stream, const struct session_event *event);
void stream_post_kind(struct stream *stream, enum session_event_kind kind);
void stream_post_link(struct stream *stream, enum session_event_kind kind, uint64_t link,
                      const struct profile_end *end);
/* Tells the owner when stream_tick() is due, if that has changed. */
void stream_plan(struct stream *stream);
struct stream_link *stream_link_find(struct stream *stream, uint64_t number); /* or NULL */
struct stream_link *stream_link_as(struct stream *stream, enum stream_role role);
/* Number of the link that serves, 0: none. */
uint64_t stream_link_number(const struct stream *stream);
void stream_say(struct stream *stream, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Says to the session what flow has come to: a first position, half a window of events. */
void stream_check_flow(struct stream *stream);
/* flow_release(), and what follows from it; also when there is room again. */
void stream_release(struct stream *stream);
void stream_unblock(struct stream *stream); /* links that were told ERR_AGAIN */

/* ---- execute.c ---- */
/* Executes what a step asked for. */
void stream_execute(struct stream *stream, const struct session_action *action);
/* Drops the link without a word and tells the session this end. */
void stream_cut(struct stream *stream, struct stream_link *link, const struct profile_end *end);

/* ---- variables.c ---- */
struct stream_lookup {
    struct stream *stream;
    struct stream_link *link; /* whose ${n}; NULL: that of the link that serves */
    struct slice position;
    struct slice next; /* ${next}, where an older page begins; .ptr NULL: not asked for */
    struct slice each; /* ${each}, of a call with foreach */
    struct error err;  /* why a secret could not be had */
    char text[40];
};
struct slice stream_look_up(void *arg, struct slice name);
/* A captured value; .ptr NULL takes the variable away. What may not be kept is said. */
void stream_capture(struct stream *stream, unsigned variable, struct slice value, bool persist);
/* CAPTURE of a rule: an absent value changes nothing. */
void stream_capture_rule(struct stream *stream, const struct profile_trigger *rule);
/* What an answer of a call gives to variables and secrets. */
void stream_capture_answer(struct stream *stream, unsigned http, struct slice body);
void stream_fresh(struct stream *stream); /* drops what was captured */
/* Copies an address that the service names to stream->moved, or says why not. True: it may be. */
bool stream_move(struct stream *stream, struct slice address);

/* ---- requests.c ---- */
void stream_request(struct stream *stream, const struct session_action *action);
void stream_request_cancel(struct stream *stream, uint64_t number);
/* A further page of the same catch-up, from the cursor in page.next. */
void stream_request_on(struct stream *stream);
void stream_call(struct stream *stream, const struct profile_rule_action *rule,
                 struct stream_link *link);
void stream_calls_cancel(struct stream *stream);
/* A secret that cannot be read outweighs the template's own complaint that it is unset. */
void stream_render_failure(const struct stream_lookup *lookup, const struct error *err,
                           struct profile_end *end);
void stream_form_done(struct stream *stream); /* wipes stream->form */

/* ---- pages.c ---- */
/* Takes the body of an answer. */
void stream_page_take(struct stream *stream, uint64_t number, enum flow_via via, bool tip,
                      struct buf *body);
/* Works through the page; returns when it is done or the hub has no room. */
void stream_page_pump(struct stream *stream);
void stream_page_drop(struct stream *stream);

/* ---- fallback.c ---- */
void stream_fallback_start(struct stream *stream, uint64_t number);
void stream_fallback_cancel(struct stream *stream);
void stream_fallback_ended(struct stream *stream, const struct profile_end *end);
void stream_fallback_opened(struct stream *stream);
void stream_fallback_page(struct stream *stream, struct buf *body);
void stream_fallback_pump(struct stream *stream);
void stream_fallback_left(struct stream *stream); /* the session is no longer POLLING */
void stream_fallback_fini(struct stream *stream);

/* ---- sends.c ---- */
int stream_sends_init(struct stream *stream);
void stream_sends_fini(struct stream *stream);
void stream_send_on_open(struct stream *stream, struct stream_link *link);
void stream_send_by_rule(struct stream *stream, struct stream_link *link,
                         const struct profile_rule_action *rule);
void stream_heartbeat(struct stream *stream, struct stream_link *link);
/* Room for the acknowledgements of one more message? */
bool stream_acks_room(const struct stream *stream);
/* Those of a message that flow has taken. */
void stream_acks_add(struct stream *stream, struct stream_link *link, enum flow_result result,
                     bool ephemeral);
void stream_acks_stamp(struct stream *stream); /* what was held is with the hub */
void stream_acks_forget(struct stream *stream, uint64_t link, bool held_only);
void stream_acks_pump(struct stream *stream);
void stream_sends_pump(struct stream *stream);

/* ---- slots.c ---- */
void stream_slot_ask(struct stream *stream, bool fallback);
void stream_slot_drop(struct stream *stream, bool fallback);
/* It is used now; true if there was one. */
bool stream_slot_use(struct stream *stream, unsigned which);
void stream_save(struct stream *stream);
void stream_save_pump(struct stream *stream); /* the hub may have room */
void stream_accepted(struct stream *stream, struct stream_link *link);
void stream_broker_opened(struct stream *stream, enum broker_slot slot);
void stream_broker_ended(struct stream *stream, enum broker_slot slot);

/* ---- gaps.c ---- */
void stream_gap(struct stream *stream, enum session_gap reason, const char *detail);
/* The same where the positions are known. */
void stream_gap_between(struct stream *stream, enum session_gap reason, struct slice after,
                        struct slice before, const char *detail);
void stream_gaps_pump(struct stream *stream);

#endif
