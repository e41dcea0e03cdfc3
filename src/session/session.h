/*
 * session: one stream's life as a pure state machine. No clock, no memory, no I/O.
 *
 * Words: a *link* is one WebSocket connection, numbered 1, 2, ... by the session; a *request* is
 * one HTTP exchange, numbered likewise. Each DIAL ends in exactly one LINK_FAILED or LINK_CLOSED,
 * each HTTP_START in exactly one HTTP_PAGE or HTTP_FAILED (also after HTTP_CANCEL or LINK_ABORT).
 * Events about a link or request that is no longer the current one are ignored.
 *
 * Decides: when to dial, ping, catch up, hold, release, discard, wait, rest, park and stop.
 * Leaves: rendering and bytes to the executor (engine); what an event is to flow.
 * Owns: nothing outside struct session, which is plain memory and needs no release.
 * Fails: never. An event that makes no sense in a state is ignored: what peers and executors send
 * must not be able to break the machine.
 *
 * A *slot* is the broker's leave to dial: ASK_SLOT ends in exactly one SLOT, or in DROP_SLOT. The
 * *successor* is the second link of a handover; SWITCH makes it the link. The *fallback* is
 * the exchange that delivers while the WebSocket does not; it counts as a request.
 *
 * Rules that hold in every state:
 *  - At most one link, and with parallel = 2 one successor during a handover, or one link besides
 *    the fallback. A link that is closing still counts: a DIAL waits for its end, at most
 *    SESSION_CLOSE_MS. LINK_ABORT takes effect at once.
 *  - At most one request (calls of rules are the engine's, and do not count).
 *  - A DIAL, and each FALLBACK_START that does not follow another, has a slot, used in the step
 *    that brings it or given back. It comes only when the attempt is on disk (session_save()).
 *  - HOLD comes with LINK_OPEN when a catch-up will follow, so no event passes before it.
 *  - Every state has a deadline, or waits for something that is owed from outside.
 *
 * How to extend: a new state is a row in SESSION_STATES and in the transition table; a new input
 * is a row in SESSION_EVENTS and a handler; a new action is a row in SESSION_ACTIONS and a raised
 * SESSION_ACTIONS_MAX if the worst case of one step grows.
 */
#ifndef HAWSER_SESSION_SESSION_H
#define HAWSER_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "profile/profile.h"

#define SESSION_TEXT 512 /* bytes of a reason, with the NUL */

#define SESSION_STATES(X)                                                                          \
    X(STARTING, "starting")                                                                        \
    X(DIALING, "dialing")         /* DNS, TCP, TLS */                                              \
    X(OPENING, "opening")         /* HTTP upgrade */                                               \
    X(GREETING, "greeting")       /* link open, waiting for the service to accept us */            \
    X(CATCHING_UP, "catching-up") /* link open, its events held, sync fills what was missed */     \
    X(LIVE, "live")                                                                                \
    X(POLLING, "polling") /* the fallback delivers, or sync while the link brings too much */      \
    X(WAITING, "waiting") /* backoff */                                                            \
    X(HELD, "held")       /* a timed rest by policy */                                             \
    X(PARKED, "parked")   /* waits for someone */                                                  \
    X(STALLED, "stalled") /* the store takes no more */                                            \
    X(PAUSED, "paused")   /* by the operator */                                                    \
    X(STOPPED, "stopped")
enum session_state {
#define X(id, text) SESSION_##id,
    SESSION_STATES(X)
#undef X
        SESSION_STATE_COUNT
};

#define SESSION_EVENTS(X)                                                                          \
    X(START)                                                                                       \
    X(STOP)           /* close the link with close_code and end in STOPPED */                      \
    X(TICK)           /* session_deadline_ms() has come */                                         \
    X(LINK_CONNECTED) /* TCP and TLS are up: the upgrade request goes out */                       \
    X(LINK_OPEN)      /* 101 and valid */                                                          \
    X(LINK_FAILED)    /* before open; .end */                                                      \
    X(LINK_CLOSED)    /* after open; .end */                                                       \
    X(RULE)           /* a rule's action other than EVENT and IGNORE; .rule */                     \
    X(HELD_FIRST)     /* flow holds its first event since HOLD */                                  \
    X(HELD_FULL)      /* flow's hold is full: the event was not kept */                            \
    X(MET)            /* the link has delivered the first event that is held of the successor */   \
    X(HOLE)           /* contiguous positions miss some: flow holds from there on */               \
    X(DOUBT)          /* the first event after DOUBT that proves nothing: flow holds from it on */ \
    X(FOLLOWS)        /* the first event after DOUBT follows what is stored: nothing is missing */ \
    X(UNKEYED)        /* an event with neither id nor position: flow holds from there on */        \
    X(HTTP_PAGE)      /* a page came and its items are with flow; .page */                         \
    X(HTTP_FAILED)    /* .end */                                                                   \
    X(FALLBACK_OPEN)  /* sse, ndjson: the answer has begun. longpoll: the first page came */       \
    X(FALLBACK_ENDED) /* .end; a stream that the service ended is CLOSE 1000 */                    \
    X(SLOT)           /* the broker gives leave to dial, and the attempt is on disk */             \
    X(SLOT_LATER)     /* it will not before .at_ms; .text says why */                              \
    X(POSITION)       /* flow has learnt the stream's first position */                            \
    X(STORE_STALLED)  /* the store takes no more */                                                \
    X(STORE_READY)    /* again; position and dedup are as on disk */                               \
    X(CREDENTIAL)     /* a secret's source has changed, or a REFRESH is done */                    \
    X(REFRESH_FAILED) /* .end: of the request that should have got a new one */                    \
    X(EXPIRING)       /* a new token was fetched because the link's is about to expire */          \
    X(SENT)           /* [send NAME] number .send went out on the link and awaits its answer */    \
    X(ANSWERED)       /* .sends: these have come */                                                \
    X(ACKED)          /* the service has answered our heartbeat */                                 \
    X(PONG)           /* .rtt_ms */                                                                \
    X(WINDOW_HALF)    /* flow has taken half a dedup window of events since the last audit */      \
    X(NETWORK)        /* route or address towards the peer changed, or the machine has slept */    \
    X(PAUSE)                                                                                       \
    X(RESUME)                                                                                      \
    X(RECONNECT) /* by the operator: now, whatever the policy waits for */
enum session_event_kind {
#define X(id) SESSION_EV_##id,
    SESSION_EVENTS(X)
#undef X
};

struct session_page {
    unsigned items;    /* in the page */
    unsigned fresh;    /* of them, not known before */
    bool moved;        /* it led on, though all of it may have been known */
    bool more;         /* the service says there is more */
    bool reached_hold; /* the first held event's position (or id) has been returned by sync */
    bool has_next;     /* an empty page that has more came with a cursor */
    bool owed;         /* sync has yet to bring events that the link has shown and flow dropped */
    bool gone;         /* the service no longer knows the position */
    bool unkeyed;      /* unkeyed events that are held have still not been brought */
    unsigned suspects; /* AUDIT: unknown here, but too young to be called missing */
    unsigned found;    /* AUDIT: stored, for they never came on the link */
};

struct session_event {
    enum session_event_kind kind;
    int64_t now_ms;     /* monotonic; never goes back */
    int64_t last_rx_ms; /* when the last byte of the link came in, as far as hawser was reading */
    /* LINK_*, RULE, HELD_*, HOLE, DOUBT, FOLLOWS, UNKEYED, SENT, ANSWERED, ACKED, PONG: the one it
     * is about, also a successor; MET: either of the two. */
    uint64_t link;
    uint64_t request;  /* HTTP_*, FALLBACK_* */
    int64_t at_ms;     /* SLOT_LATER, monotonic */
    int64_t rtt_ms;    /* PONG */
    int64_t slept_ms;  /* NETWORK: for so long, which now_ms has not counted; 0: it has not slept */
    unsigned send;     /* SENT */
    uint32_t sends;    /* ANSWERED: bit i is send i */
    const char *text;  /* SLOT_LATER, HOLE (what is missing, or NULL); borrowed */
    bool has_position; /* STORE_READY: what is on disk has a position to resume from */
    const struct profile_end *end;
    const struct profile_trigger *rule;
    const struct session_page *page;
};

/* What a request is for. */
#define SESSION_PURPOSES(X)                                                                        \
    X(CATCHUP, "catch-up") /* from flow's resume position; for UNKEYED and HOLE too */             \
    X(TIP, "tip")          /* the newest position; nothing is stored */                            \
    X(AUDIT, "audit")      /* from flow's audited position */
enum session_purpose {
#define X(id, text) SESSION_FOR_##id,
    SESSION_PURPOSES(X)
#undef X
};

#define SESSION_ACTIONS(X)                                                                         \
    X(ASK_SLOT)       /* may we dial? .fallback: for the fallback's connection */                  \
    X(DROP_SLOT)      /* no longer wanted, or given back unused */                                 \
    X(DIAL)           /* .link; .moved: to the address that the service named */                   \
    X(LINK_CLOSE)     /* .link .code: start the close handshake; what it still brings counts */    \
    X(LINK_ABORT)     /* .link: drop it without a word */                                          \
    X(LINK_PING)      /* .link */                                                                  \
    X(HEARTBEAT)      /* .link: the service's own, [heartbeat] send */                             \
    X(SUCCEED)        /* .link is the successor: flow keeps its events aside */                    \
    X(SWITCH)         /* .link, the successor, is the link now; its events are held, as by HOLD */ \
    X(HTTP_START)     /* .request .purpose (.use_next: from the page's cursor) */                  \
    X(HTTP_CANCEL)    /* .request; also of a fallback */                                           \
    X(FALLBACK_START) /* .request: one long-poll, or a stream */                                   \
    X(HOLD)           /* flow: keep the link's events from here */                                 \
    X(RELEASE)        /* flow: let them go, in order; from now on events pass */                   \
    X(DISCARD)        /* flow: drop what is held and what comes, until HOLD or RELEASE */          \
    X(DOUBT)          /* flow: hold from the link's next event on, unless it follows */            \
    X(TRUST)          /* flow: no longer */                                                        \
    X(UNKEYED_KEEP)   /* flow: store the unkeyed events that are held, sync has not brought them   \
                       */                                                                          \
    X(AUDITED)        /* flow: what was stored up to here is whole; resume is from there */        \
    X(GAP)            /* store a gap; .gap, .text */                                               \
    X(FORGET)         /* drop the position */                                                      \
    X(FRESH)          /* drop the captured variables */                                            \
    X(REFRESH)        /* get fresh credentials; answered by CREDENTIAL or REFRESH_FAILED */        \
    X(SAVE)           /* session_save() has news: store it when there is time */                   \
    X(SAY)            /* .text: a warning in log and status */                                     \
    X(STATE)          /* .from .to .text (why) .retry_ms (-1: none): log, metric, notice */
enum session_action_kind {
#define X(id) SESSION_DO_##id,
    SESSION_ACTIONS(X)
#undef X
};

#define SESSION_GAPS(X)                                                                            \
    X(UPSTREAM, "upstream")                                                                        \
    X(NO_RESUME, "no_resume")                                                                      \
    X(NO_POSITION, "no_position")                                                                  \
    X(EPOCH, "epoch") X(OVERSIZE, "oversize") X(MALFORMED, "malformed")
enum session_gap {
#define X(id, text) SESSION_GAP_##id,
    SESSION_GAPS(X)
#undef X
};
enum {
#define X(id, text) +1
    SESSION_GAP_COUNT = SESSION_GAPS(X)
#undef X
};

struct session_action {
    enum session_action_kind kind;
    uint64_t link, request;
    int code;
    bool use_next, moved, fallback;
    enum session_purpose purpose;
    enum session_gap gap;
    enum session_state from, to;
    int64_t retry_ms;
    char text[SESSION_TEXT]; /* GAP, SAY, STATE */
};

/* Worst case of one step; check.c proves it. */
#define SESSION_ACTIONS_MAX 16
struct session_actions {
    struct session_action item[SESSION_ACTIONS_MAX];
    unsigned count;
};

/*
 * What outlives the process. The engine stores it before each dial and after each SAVE. After a
 * clean stop (STOPPED) only live_ago_ms counts; after an unclean one all of it does, and the kill
 * itself is no drop. Times are lengths, for the clock of the next life is another one.
 */
struct session_saved {
    enum session_state state; /* WAITING, HELD, PARKED and PAUSED are taken up again */
    int64_t wait_ms;          /* from saving to the next attempt; -1: none planned */
    int64_t since_ms;         /* in the state, when saved */
    unsigned step, attempts, refreshes, probes, fallback_attempts;
    bool dialled; /* an attempt was under way, or its link not SESSION_CALM_MS old: it failed */
    bool wakes_on_credential;
    struct profile_end park; /* PARKED, HELD: only kind, code and failure */
    struct {
        uint32_t ago_ms[16]; /* of the ends that count, newest first; UINT32_MAX: none */
    } flaps[PROFILE_FLAPS_MAX];
    int64_t live_ago_ms; /* how long ago the stream was last known to be whole, -1: never */
    char reason[SESSION_TEXT];
};

/* Where the stream stands when the session starts. */
struct session_init_args {
    const struct profile *profile; /* borrowed, outlives the session */
    uint64_t seed;
    bool has_position;   /* a position is stored, or start = oldest / POSITION */
    bool lived;          /* not its first run: events of it are stored */
    bool learn_tip;      /* start = now: the newest position is to be learnt, if the profile can */
    bool rtt_reconnects; /* on_rtt = reconnect */
    bool source_changed; /* credential or configuration differ from when it was saved */
    const struct session_saved *saved; /* NULL: none; borrowed for the call */
    int64_t saved_ago_ms;              /* by the wall clock; the session clamps it */
};

/* ---- the machine's own bounds ---- */
#define SESSION_FLAP_TIMES 16           /* ends remembered for each row of flap */
#define SESSION_CLOSE_MS 3000           /* for a close handshake, then LINK_ABORT */
#define SESSION_REFRESH_MS 90000        /* for CREDENTIAL to answer a REFRESH */
#define SESSION_NO_FALLBACK_MS 300000   /* rest where a fallback is asked for and there is none */
#define SESSION_LATE_MS 2000            /* a TICK later than this: hawser stalled, not the peer */
#define SESSION_SPREAD_MS 500           /* a backoff step of 0 is spread over this */
#define SESSION_CALM_MS 10000           /* so long live takes one backoff step back */
#define SESSION_ASK_MS 500              /* between sync requests while something is held */
#define SESSION_STALE_PAGES 8           /* in a row: more promised, nothing new in them */
#define SESSION_DISCARDS 3              /* full holds in a row, then sync delivers */
#define SESSION_RETRY_AFTER_MS 86400000 /* longest Retry-After that is believed: 24 h */
#define SESSION_PROBE_MS 86400000       /* longest pause between probes of a parked stream */
#define SESSION_NETWORK_MS 30000        /* at most one reaction to a changed network in this time */
#define SESSION_SET_MIN_MS 1000         /* shortest time that a rule's `set` can set, but for 0 */
#define SESSION_SET_MAX_MS 86400000     /* longest */
#define SESSION_CUTS 3                  /* links that broke in the same way are a rhythm */
#define SESSION_CUT_MIN_MS 5000         /* shorter silences and ages have other causes */
#define SESSION_RTT_SAMPLES 64          /* round trips that the usual one is the median of */
#define SESSION_RTT_ENOUGH 8            /* before that nothing is called slow */
#define SESSION_RTT_TIMES 3             /* times the usual is slow */
#define SESSION_RTT_MARGIN_MS 50        /* if it is so much more, too */
#define SESSION_RTT_EPISODE_MS 300000   /* for so long, then it is told */
#define SESSION_WAIT_MAX_MS 31536000000 /* longest wait that a saved state may ask for: a year */
#define SESSION_MEET_MS 10000           /* for the old link to bring what its successor holds */
#define SESSION_UNKEYED_MS 5000         /* for sync to bring an unkeyed event */
#define SESSION_POLL_MS 1000            /* between long-polls that bring nothing */
#define SESSION_SUSPECT_MS 10000        /* for the link to bring what an audit has found */
#define SESSION_AUDIT_AGAIN 3           /* times that the suspects of one audit are asked again */
#define SESSION_AUDIT_PAGES 1024        /* of one audit; what then follows is left to the next */
#define SESSION_FINDINGS 2              /* audits in a row that found something: reconnect */

enum session_link_phase {
    SESSION_LINK_NONE,
    SESSION_LINK_DIALING, /* until LINK_OPEN */
    SESSION_LINK_UP,
    SESSION_LINK_CLOSING /* its end is decided; LINK_CLOSED is owed */
};

/* What a slot is wanted for. */
enum session_wish {
    SESSION_WISH_NONE,
    SESSION_WISH_LINK,
    SESSION_WISH_SUCCESSOR,
    SESSION_WISH_FALLBACK
};

struct session_slot {
    enum session_wish wish;   /* asked for, and neither granted nor dropped */
    bool probe;               /* LINK: quietly, out of PARKED */
    int64_t later_ms;         /* as SLOT_LATER last said of this wish, */
    char limit[SESSION_TEXT]; /* "": it has not */
    char why[SESSION_TEXT];   /* the reason of the dial to come */
};

/* What keeps one link alive, or finds it dead. */
struct session_pulse {
    int64_t opened_ms;
    int64_t rx_ms;                                /* last sign of life */
    int64_t ping_every_ms, ping_at_ms, pinged_ms; /* oldest unanswered ping, -1: none */
    int64_t beat_every_ms, beat_at_ms, beat_ms;   /* the same of the service's own heartbeat */
    int64_t idle_ms, live_timeout_ms, max_age_ms; /* of this link; 0: none */
    int64_t answer_by_ms[PROFILE_SENDS_MAX];      /* SESSION_NEVER: none awaited */
    bool beats;                                   /* heartbeats go out */
};

/* The last links that broke without a word, oldest first, and what they taught. */
struct session_rhythm {
    int64_t quiet_ms[SESSION_CUTS], age_ms[SESSION_CUTS];
    unsigned cuts;
    int64_t ping_ms, max_age_ms; /* 0: nothing learnt */
};

struct session_rtt {
    uint32_t sample_ms[SESSION_RTT_SAMPLES];
    unsigned count;
    int64_t slow_since_ms; /* -1: it is not slow */
    uint32_t least_ms;     /* of the slow ones */
    bool told;
};

/* From session_init() to START: what session_init_args.saved asks for. */
struct session_resumed {
    enum session_state state; /* STARTING: nothing is taken up */
    int64_t wait_ms, since_ms;
    bool dialled;
};

/* What flow does with the link's events. */
enum session_gate { SESSION_GATE_PASS, SESSION_GATE_HOLD, SESSION_GATE_DISCARD };

/* Requests: of a catch-up, and while live of an audit, for unkeyed events or in doubt. */
struct session_catchup {
    enum session_gate gate;
    uint64_t request, request_last; /* 0: none outstanding; the newest number */
    enum session_purpose purpose;   /* of the newest, and of the next */
    int64_t sent_ms;                /* when the newest went out */
    int64_t next_ms;                /* when the next goes out, INT64_MAX: not planned */
    int64_t quiet_ms;               /* since when sync has nothing more, -1: it has */
    bool in_hold;                   /* the newest was sent after the present HOLD */
    bool held;                      /* flow holds something */
    bool reached;                   /* sync has returned the first held event */
    bool use_next;                  /* of the next request */
    bool backing_off;               /* next_ms is a backoff: nothing may cut it short */
    bool unkeyed;                   /* LIVE: the hold is one for unkeyed events */
    bool told_unkeyed;              /* that sync does not bring them */
    int64_t unkeyed_by_ms;          /* then they are stored as they came */
    int64_t doubt_at_ms;            /* LIVE: when sync is asked once more, INT64_MAX: no doubt */
    bool doubted;                   /* this link has had its doubt */
    unsigned discards, stale_pages, failures;
    uint64_t fresh; /* events it has brought */
};

struct session_audit {
    int64_t at_ms;            /* when the next begins, INT64_MAX: not planned */
    bool running;             /* its pages are asked for, or its suspects waited for */
    unsigned pages, again;    /* of this one; how often its suspects were asked again */
    unsigned suspects, found; /* in the pages since it was (again) begun; in all of it */
    unsigned findings;        /* audits in a row that found something */
    bool failing;             /* the last one got no answer, and that was said */
};

/* The exchange that delivers while the WebSocket does not. */
struct session_fallback {
    bool on;              /* POLLING by it: it delivers, or is being begun */
    bool chosen;          /* what the stream goes back to until a link is live */
    bool open;            /* it delivers */
    bool follows;         /* the next request follows a page: it needs no slot */
    bool use_next;        /* of the next request */
    uint64_t request;     /* 0: none outstanding */
    int64_t started_ms;   /* when the newest went out */
    int64_t opened_ms;    /* when it began to deliver */
    int64_t next_ms;      /* when the next goes out, INT64_MAX: not planned */
    int64_t primary_ms;   /* when the WebSocket is tried, INT64_MAX: it is being tried */
    int64_t greet_by_ms;  /* when a link beside it must have been accepted */
    int64_t patience_ms;  /* no request before, whatever the WebSocket does meanwhile */
    int64_t rhythm_at_ms; /* failing: when the WebSocket was to be tried */
    unsigned failures;    /* of the fallback in a row */
    unsigned tries;       /* of the WebSocket meanwhile */
    bool failing;         /* it ended before it delivered: the WebSocket goes by backoff alone */
    bool retried;         /* failing: the WebSocket was tried meanwhile */
};

enum session_handover_phase {
    SESSION_HANDOVER_NONE,
    SESSION_HANDOVER_DUE,     /* begins at by_ms, when the stream is live */
    SESSION_HANDOVER_ASKED,   /* for a slot */
    SESSION_HANDOVER_DIALING, /* the successor is, until LINK_OPEN */
    SESSION_HANDOVER_GREETING,
    SESSION_HANDOVER_MEETING /* accepted; the old link is to bring what is held of it */
};

struct session_handover {
    enum session_handover_phase phase;
    uint64_t link; /* the successor, 0: none */
    struct session_pulse pulse;
    bool moved;      /* to the address that the service named */
    bool by_service; /* it asked: the end of the old link is expected */
    bool connected;  /* DIALING: the upgrade is under way */
    bool held;       /* flow holds something of it */
    bool met;        /* MET has come */
    int64_t by_ms;   /* of the phase */
    unsigned failures;
    const char *why;
};

/* A link that closes beside the one that serves: before a handover, or not taken by one. */
struct session_leaver {
    uint64_t link; /* 0: none */
    int64_t by_ms; /* LINK_ABORT then */
};

struct session_flap {
    int64_t at_ms[SESSION_FLAP_TIMES];
    unsigned count; /* since the row last acted; at_ms is a ring */
};

struct session {
    const struct profile *profile;
    struct rng rng;
    enum session_state state;
    /* The room's own fields follow here; nobody else reads them. */
    int64_t now_ms, since_ms;
    int64_t wake_ms;     /* the state's own deadline, INT64_MAX: none */
    int64_t retry_at_ms; /* of the next dial, -1: none planned */
    char reason[SESSION_TEXT];

    uint64_t link, link_last; /* 0: none; the newest number */
    enum session_link_phase link_phase;
    struct session_slot slot;
    int64_t close_by_ms; /* CLOSING: LINK_ABORT then */
    struct session_pulse pulse;
    uint64_t dead_links;
    struct session_rhythm rhythm;
    struct session_rtt rtt;
    bool rtt_reconnects;
    struct session_resumed resumed;
    int64_t accepted_ms; /* of the link, -1: not yet */
    int64_t save_at_ms;  /* news that only time brings, SESSION_NEVER: none */
    int64_t whole_ms;    /* when the stream last delivered all, INT64_MIN: never */
    int64_t woke_ms;     /* a sleep ended then, and what was up was not heard since; or -1 */
    bool save_due;       /* at the end of the step */

    struct session_leaver leaver;
    struct session_handover handover;
    int64_t age_at_ms; /* when the link is as old as links get, INT64_MAX: never */
    bool moved;        /* the next DIAL goes to the address that the service named */

    struct session_catchup sync;
    struct session_audit audit;
    struct session_fallback fallback;
    bool learn_tip; /* the newest position is to be learnt before events count */
    bool has_position;
    bool owes_no_resume, owes_no_position; /* gaps to be said when that can be done */
    bool told_no_position;                 /* and there is no position yet */
    bool store_stalled;
    bool dial_due;      /* WAITING: dial as soon as the old link is gone */
    bool refreshing;    /* WAITING: for CREDENTIAL */
    bool refresh_due;   /* WAITING: refresh again when it is over */
    bool plain_wait;    /* WAITING: by backoff alone, which a changed network cuts short */
    bool by_flap;       /* session_judge() has just answered by a row of flap */
    int64_t network_ms; /* when a changed network was last acted upon, -1: never */
    bool wakes_on_credential;
    enum session_state leaving; /* STOPPED or PAUSED while the link closes; else STATE_COUNT */

    unsigned step, attempts, refreshes;
    struct session_flap flaps[PROFILE_FLAPS_MAX];
    bool probing;            /* this link is a probe out of PARKED */
    unsigned probes;         /* since parked */
    struct profile_end park; /* what parked it; only kind, code and failure count */
};

void session_init(struct session *session, const struct session_init_args *args);
/* The state to be stored; also within a clean stop. */
void session_save(const struct session *session, int64_t now_ms, struct session_saved *out);
/* One step. Returns 0; out holds what to do, in order. Never blocks, allocates or re-enters. */
int session_step(struct session *session, const struct session_event *event,
                 struct session_actions *out);
/* When TICK is due (monotonic ms), or INT64_MAX. May be called at any time. */
int64_t session_deadline_ms(const struct session *session);
enum session_state session_state(const struct session *session);
const char *session_state_name(enum session_state state);
const char *session_purpose_name(enum session_purpose purpose);
const char *session_gap_name(enum session_gap gap);
const char *session_event_name(enum session_event_kind kind);
const char *session_action_name(enum session_action_kind kind);
/* For status: why the state was entered, since when, when the next attempt is (-1: none). */
struct session_status {
    enum session_state state;
    int64_t since_ms, retry_at_ms; /* by the fallback: of the WebSocket */
    uint64_t link;                 /* 0: none */
    uint64_t dead_links;           /* that answered no heartbeat, or had gone silent */
    unsigned attempts;             /* links in a row without reset_after of life */
    uint64_t successor;            /* 0: none */
    bool fallback;                 /* the fallback delivers */
    char reason[SESSION_TEXT];
    char waits_for[SESSION_TEXT]; /* the limit that stands before a dial, "": none does */
};
void session_status(const struct session *session, struct session_status *out);
/* One action as a line of text: "waiting > dialing (why)", "DIAL link=2". For traces and debug
 * logs. Returns the length; a line that does not fit is cut. */
size_t session_trace_action(const struct session_action *action, char *out, size_t size);

#endif
