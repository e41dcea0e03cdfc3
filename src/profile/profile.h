/*
 * profile: what a service's protocol looks like, as data, compiled for one stream.
 *
 * Decides: how the handshake and HTTP requests are rendered, what a message means (one JSON scan
 * serves rules and event extraction), and which action answers an ended link or failed request.
 * Leaves: when anything happens, to session; what becomes of an event, to flow; secrets' values
 * to the caller (templates ask for them by name through a lookup).
 * Owns: everything compiled; immutable after profile_load(), so it may be shared by threads.
 * Fails: profile faults go to the diag with file and line, all of them at once.
 */
#ifndef HAWSER_PROFILE_PROFILE_H
#define HAWSER_PROFILE_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "config/settings.h"
#include "json/json.h"

struct profile;
struct profile_private;

/* ---- policy: what one ended link or failed request leads to ---- */
#define PROFILE_POLICY_ACTIONS(X)                                                                  \
    X(RETRY, "retry")                                                                              \
    X(RETRY_AFTER, "retry-after")                                                                  \
    X(REFRESH, "refresh")                                                                          \
    X(FRESH, "fresh")                                                                              \
    X(FORGET, "forget")                                                                            \
    X(FALLBACK, "fallback")                                                                        \
    X(HOLD, "hold")                                                                                \
    X(PARK, "park")
enum profile_policy_kind {
#define X(id, text) PROFILE_POLICY_##id,
    PROFILE_POLICY_ACTIONS(X)
#undef X
};

struct profile_policy_action {
    enum profile_policy_kind kind;
    int64_t delay_ms; /* retry: least delay; hold: the rest; else 0 */
};

/* Why a link ended, or a request failed: the key into the tables. */
enum profile_end_kind {
    PROFILE_END_CLOSE,  /* a WebSocket link that was open: code, or 1006 for no close frame */
    PROFILE_END_STATUS, /* an HTTP status instead of 101, or of a request */
    PROFILE_END_FAILURE /* neither: see failure */
};
#define PROFILE_FAILURES(X)                                                                        \
    X(DNS, "dns")                                                                                  \
    X(TCP, "tcp")                                                                                  \
    X(TLS, "tls")                                                                                  \
    X(STRIPPED, "stripped")     /* an answer without upgrade */                                    \
    X(HANDSHAKE, "handshake")   /* 101 that breaks RFC 6455 section 4.2.2 */                       \
    X(TIMEOUT, "timeout")       /* see phase */                                                    \
    X(CREDENTIAL, "credential") /* a secret or CA that cannot be read */                           \
    X(HTTP, "http")             /* a broken HTTP answer, or one that is not as the profile says */ \
    X(PROXY, "proxy")           /* it opened no tunnel */                                          \
    X(CONFIG, "config") /* what we are told cannot be used; saved by number: new ones come last */
enum profile_failure {
#define X(id, text) PROFILE_FAILURE_##id,
    PROFILE_FAILURES(X)
#undef X
};
#define PROFILE_PHASES(X)                                                                          \
    X(DNS, "dns")                                                                                  \
    X(TCP, "tcp")                                                                                  \
    X(TLS, "tls")                                                                                  \
    X(UPGRADE, "upgrade")                                                                          \
    X(LIVE, "live")                                                                                \
    X(ANSWER, "answer") /* to a [send] that awaits one */                                          \
    X(HTTP, "http")                                                                                \
    X(PROXY, "proxy")
enum profile_phase {
#define X(id, text) PROFILE_PHASE_##id,
    PROFILE_PHASES(X)
#undef X
};

struct profile_end {
    enum profile_end_kind kind;
    int code;   /* CLOSE: RFC 6455 section 7.4 code, 1006 if none came; STATUS: the status */
    bool local; /* CLOSE: it was hawser that closed */
    enum profile_failure failure;
    enum profile_phase phase; /* of a TIMEOUT */
    int64_t retry_after_ms;   /* STATUS: as the answer said, -1 if it did not */
    char text[256];           /* close reason, body snippet or error text; printable UTF-8 */
};

/* What of the body of a refusal tells most: its start or, where the words of a row of [status] for
 * it come only later, from a little before them. A part of body. */
struct slice profile_status_words(const struct profile *profile, int status, struct slice body);

struct profile_flap {
    struct profile_policy_action action;
    int code_from, code_to;
    enum profile_end_kind kind;
    unsigned count;
    int64_t period_ms;
};

/* The row for this end: never NULL (defaults are built in). explain (may be NULL) gets the
 * service's cause and fix, or NULL. */
const struct profile_policy_action *
profile_policy(const struct profile *profile, const struct profile_end *end, const char **explain);

/* The end that a key of [explain] is about: "4003", "403/words", "local/1008", "none",
 * "timeout/dns", "tls". ERR_PARSE. A range is none, and neither is a timeout without its phase. */
int profile_end_parse(struct slice key, struct profile_end *out, struct error *err);
/* The key of an end, as it would stand in [close], [status] or [failure]; its length. */
size_t profile_end_key(const struct profile_end *end, char *out, size_t size);
/* Visits each end that the profile has a row of its own for, in its tables or in [explain], each
 * once; of a range its first, and to > end->code. */
void profile_ends(const struct profile *profile,
                  void (*visit)(void *arg, const struct profile_end *end, int to), void *arg);
/* The same of what is explained without a profile: close codes, HTTP statuses, failures. */
void profile_ends_builtin(void (*visit)(void *arg, const struct profile_end *end, int to),
                          void *arg);
/* Whether a flap counts this end. */
bool profile_flap_counts(const struct profile_flap *flap, const struct profile_end *end);

/* ---- rules ---- */
#define PROFILE_RULE_ACTIONS(X)                                                                    \
    X(EVENT, "event")         /* this message is an event, whatever [event] only says */           \
    X(IGNORE, "ignore")       /* not an event */                                                   \
    X(SNAPSHOT, "snapshot")   /* its events are rows of a snapshot */                              \
    X(LIVE, "live")           /* the service accepted us: events flow from here */                 \
    X(ALIVE, "alive")         /* it answers our heartbeat */                                       \
    X(CAPTURE, "capture")     /* .variable takes .value, or is none where that is absent */        \
    X(SEND, "send")           /* the first of .sends whose variables are all set */                \
    X(CALL, "call")           /* [http NAME] number .http */                                       \
    X(SET, "set")             /* .setting of this link becomes .value_ms */                        \
    X(HANDOVER, "handover")   /* move to the address in .value, or dial anew where it is absent */ \
    X(RECONNECT, "reconnect") /* close and dial again, after delay_ms where given */               \
    X(REFRESH, "refresh")                                                                          \
    X(FRESH, "fresh")   /* drop the captured variables */                                          \
    X(FORGET, "forget") /* drop the position, say a gap */                                         \
    X(GAP, "gap")       /* store a gap; text */                                                    \
    X(SAY, "say")       /* a warning in log and status; text */                                    \
    X(HOLD, "hold")     /* close and rest for delay_ms */                                          \
    X(PARK, "park")     /* close and wait for someone; text */
enum profile_rule_kind {
#define X(id, text) PROFILE_RULE_##id,
    PROFILE_RULE_ACTIONS(X)
#undef X
};

/* What `set` can set, for the rest of the link. */
#define PROFILE_SETTINGS(X)                                                                        \
    X(HEARTBEAT_EVERY, "heartbeat.every")                                                          \
    X(HEARTBEAT_IDLE, "heartbeat.idle")                                                            \
    X(HEARTBEAT_WS_PING, "heartbeat.ws_ping")                                                      \
    X(LIVE_TIMEOUT, "live.timeout")                                                                \
    X(CONNECT_MAX_AGE, "connect.max_age")
enum profile_setting {
#define X(id, text) PROFILE_SET_##id,
    PROFILE_SETTINGS(X)
#undef X
        PROFILE_SETTING_COUNT
};

/* What a service may set them to; anything else is a fault of the message, and ignored. */
#define PROFILE_SET_MIN_MS 100
#define PROFILE_SET_MAX_MS (24 * 60 * 60 * 1000)

#define PROFILE_SENDS_MAX 16     /* [send NAME] of a profile; a mask of them fits 32 bits */
#define PROFILE_ONE_OF_MAX 4     /* names in `send A|B` */
#define PROFILE_VARIABLES_MAX 16 /* captured, of a session */

struct profile_rule_action {
    enum profile_rule_kind kind;
    int64_t delay_ms;
    const char *text;                   /* NULL or what the profile wrote */
    const char *rule;                   /* NAME of [on NAME] */
    unsigned variable;                  /* CAPTURE: index into profile->variables */
    unsigned sends[PROFILE_ONE_OF_MAX]; /* SEND: indexes into profile->sends */
    unsigned n_sends;
    unsigned http;                /* CALL: for profile_render_http */
    enum profile_setting setting; /* SET */
    unsigned value;               /* CAPTURE, SET, HANDOVER: the room's own */
    double factor;                /* SET: of the number in the message, to milliseconds */
};

/* An action that a message triggers, with what it takes from the message. */
struct profile_trigger {
    const struct profile_rule_action *action;
    struct slice value; /* CAPTURE, HANDOVER: decoded, .ptr NULL: absent; borrowed like the rest */
    int64_t value_ms;   /* SET */
};

#define PROFILE_ACTIONS_MAX 8 /* actions of all rules that one message can trigger */

/* What one message (or one item of a catch-up page) means. All slices are borrowed from the
 * message or from the scanner, until its next scan. */
struct profile_message {
    bool json; /* false: not JSON; kept as text (and .fault, if the profile reads JSON) */
    bool event;
    bool ephemeral;
    bool snapshot;         /* a row of a snapshot */
    struct slice id;       /* decoded; .ptr NULL where absent */
    struct slice position; /* decoded; .ptr NULL where absent */
    struct slice key;      /* [position] key: whose positions are contiguous; .ptr NULL: all */
    struct slice type;
    struct slice time; /* the service's own time, raw JSON; .ptr NULL where absent */
    struct slice data; /* the payload byte for byte: JSON text, or the text itself */
    /* Of the rules that hold, in the profile's order; `event`, `ignore` and `snapshot` are not
     * among them: .event and .snapshot say what they came to, the last one deciding. */
    struct profile_trigger actions[PROFILE_ACTIONS_MAX];
    size_t n_actions;
    uint32_t answers;  /* bit i: it is the answer that sends[i] awaits */
    bool acks;         /* [heartbeat] ack holds */
    const char *fault; /* NULL, or what is wrong with it ("id is 1,400 bytes, limit is 1,024") */
};

/* A scanner is one stream's scratch memory for scanning. */
struct profile_scanner;
int profile_scanner_new(const struct profile *profile, struct profile_scanner **out);
void profile_scanner_free(struct profile_scanner *scanner);

/* ---- frames: what one message of the wire holds ---- */
/*
 * With [message] batch, split or decode one frame is several messages. They come in the order in
 * which they are to be taken: of a split frame first its elements (events, without actions), then
 * the frame itself (its rules, never an event). Without these keys a frame is one message.
 *
 * Rules are about the frame: `snapshot` makes rows of its elements, `ignore` and `event` say of all
 * of them whether they are events. A frame that holds no list to split is one message, and an event
 * only where a rule says `event`; with something else than a list in its place it is kept whole,
 * with a fault. Where there is nothing to decode the outer message stands for itself.
 */
struct profile_meta {
    struct slice id, event; /* of an SSE event: header:id and header:event. .ptr NULL: absent */
};
struct profile_frame {
    struct slice text; /* the rest is the room's own */
    struct profile_meta meta;
    struct json_iter batch, elements;
    struct slice root; /* the message whose elements come */
    unsigned stage, verdict;
    bool has_meta, snapshot;
};
void profile_frame_begin(struct profile_scanner *scanner, struct slice text,
                         const struct profile_meta *meta /* may be NULL */,
                         struct profile_frame *out);
/* The next message, false at the end. The frame's text stays valid and untouched in between; the
 * message before is not. */
bool profile_frame_next(struct profile_scanner *scanner, struct profile_frame *frame,
                        struct profile_message *out);

/* ---- catch-up pages ---- */
struct profile_page {
    struct json_iter items;
    size_t n_items;
    bool more;
    bool gone;          /* [catchup] gone holds: the service no longer knows the position */
    struct slice next;  /* decoded cursor; .ptr NULL where absent; borrowed as above */
    struct slice lines; /* NDJSON: what is left of it */
};
/* Checks a whole answer body of [http NAME] number `http` (JSON, or with its format = ndjson an
 * item a line). With order = desc the items come out oldest first all the same. ERR_PARSE when it
 * is not JSON, ERR_PROTOCOL when `items` is missing or no array; the text says where. */
int profile_page_parse(struct profile_scanner *scanner, struct slice body, struct profile_page *out,
                       struct error *err);
/* The next item, as a message (with [catchup] map.* applied); false at the end. The scan of an
 * item invalidates the message of the one before, not the page. An item is always an event: rules
 * and [event] only are about messages of the link. */
bool profile_page_next(struct profile_scanner *scanner, struct profile_page *page,
                       struct profile_message *out);

/* ---- requests ---- */
/* Value of a variable by name ("position", "secret.token", ...); .ptr NULL = unset. */
typedef struct slice (*profile_lookup)(void *arg, struct slice name);

struct profile_request {
    struct buf method, url, headers /* "Name: value\r\n" each */, body;
    struct buf subprotocol; /* connect only; empty = none */
};
void profile_request_init(struct profile_request *request);
void profile_request_fini(struct profile_request *request); /* wipes: it may hold secrets */
/* Renders [connect]. ERR_INVAL: control bytes in a header, or an unset variable in the url. */
int profile_render_connect(const struct profile *profile, profile_lookup lookup, void *arg,
                           struct profile_request *out, struct error *err);
/* Renders [http NAME] number `http` (profile->catchup.http). */
int profile_render_http(const struct profile *profile, unsigned http, profile_lookup lookup,
                        void *arg, struct profile_request *out, struct error *err);
/* True if [http NAME] number `http` counts this status as success (`ok`, by default 200 alone). */
bool profile_http_ok(const struct profile *profile, unsigned http, int status);
/* Renders the request of [fallback NAME]: for longpoll that of its [http NAME] with the fallback's
 * own query and header lines over it, else its url. */
int profile_render_fallback(const struct profile *profile, profile_lookup lookup, void *arg,
                            struct profile_request *out, struct error *err);
/*
 * Renders [send NAME] number `send`. Names that begin with "/" or "^/" stand for the message that
 * the scanner scanned last (absent: empty text); they are looked up in the scanner, all others by
 * lookup. 1: rendered. 0: a variable is not set, nothing is in out. ERR_INVAL, ERR_NOMEM,
 * ERR_LIMIT.
 */
int profile_render_send(const struct profile *profile, unsigned send,
                        struct profile_scanner *scanner, profile_lookup lookup, void *arg,
                        struct buf *out, struct error *err);

/* What an answer's body gives to variables (capture.VAR) and secrets (capture_secret.VAR), in the
 * profile's order; absent ones are not visited. ERR_PARSE: it is no JSON; ERR_PROTOCOL: a value is
 * neither a string nor a number. The text never holds a value. */
struct profile_capture {
    const char *name; /* of the variable, or of the secret */
    bool secret;
    struct slice value; /* decoded, borrowed for the call; the scanner wipes secrets after it */
};
int profile_http_capture(const struct profile *profile, unsigned http,
                         struct profile_scanner *scanner, struct slice body,
                         void (*visit)(void *arg, const struct profile_capture *capture), void *arg,
                         struct error *err);

/* The values that ${each} takes, one request for each ([http NAME] foreach; it may be none).
 * Without a foreach: one value that is unset, for one request. */
const struct slice *profile_http_each(const struct profile *profile, unsigned http, unsigned *n);
/* True if what it captures outlives the process ([http NAME] persist). */
bool profile_http_persists(const struct profile *profile, unsigned http);

#define PROFILE_ADDRESS_MAX 2048 /* bytes of an address that the network names */
/* May the service send us to this address ([connect] hosts)? err says why not: another host, or
 * weaker than the configured one (wss to ws, https to http). HOST stands for the scheme's port and
 * the configured one. ERR_PERM, or ERR_INVAL, ERR_LIMIT: it is none. */
int profile_address_ok(const struct profile *profile, struct slice url, struct error *err);
/* Unix time at which a JWT expires (RFC 7519, `exp`), -1 where the token is none or has none. The
 * signature is the service's business. */
int64_t profile_jwt_expiry_s(struct slice token);

/* ---- the compiled profile; read-only ---- */
enum profile_catchup_via {
    PROFILE_CATCHUP_NONE,
    PROFILE_CATCHUP_HTTP,
    PROFILE_CATCHUP_URL,    /* the position stands in the URL; the link itself replays */
    PROFILE_CATCHUP_SESSION /* a [send] asks for it; the link itself replays */
};
enum profile_compare { PROFILE_COMPARE_OPAQUE, PROFILE_COMPARE_INT };
enum profile_dedup {
    PROFILE_DEDUP_ID,
    PROFILE_DEDUP_POSITION,
    PROFILE_DEDUP_HASH,
    PROFILE_DEDUP_OFF
};

#define PROFILE_BACKOFF_STEPS_MAX 16
#define PROFILE_FLAPS_MAX 16
#define PROFILE_FLAP_COUNT_MAX 16 /* ends that a flap counts */
#define PROFILE_RETRY_PRIMARY_MAX_MS (15 * 60 * 1000)

struct profile_secret {
    const char *name;   /* as the profile declares it: "token" */
    const char *source; /* "file:/path", "env:NAME", "credential:NAME", "exec:/path ARG",
                         * NULL = not configured */
    const char *file;
    unsigned line;
};

struct profile_rate {
    unsigned count; /* 0: no limit */
    int64_t period_ms;
};
enum profile_scope { PROFILE_SCOPE_STREAM, PROFILE_SCOPE_CREDENTIAL, PROFILE_SCOPE_HOST };
enum profile_transport { PROFILE_LONGPOLL, PROFILE_SSE, PROFILE_NDJSON };
enum profile_send_when { PROFILE_SEND_BY_RULE, PROFILE_SEND_ON_OPEN, PROFILE_SEND_ON_STORED };

struct profile_send {
    const char *name;
    enum profile_send_when when; /* ON_STORED: once for each event message, when it is durable */
    bool once;                   /* a link */
    bool answered;               /* it awaits an answer (profile_message.answers) */
    int64_t answer_timeout_ms;
};

#define PROFILE_NONE (~0u) /* no such [http] or [send] */

struct profile {
    const char *name, *title;
    const char *docs; /* address of the service's own documentation, or NULL */
    struct {
        int close_code;       /* when we leave; default 1001 */
        uint64_t max_message; /* bytes */
        bool data_forbidden;  /* the service closes when we send data */
        bool ping_forbidden;
        int64_t max_age_ms; /* of a link: then a handover; 0: none */
        unsigned parallel;  /* links at once during a handover: 1 or 2 */
    } connect;
    struct {
        const char *token; /* name of the secret whose lifetime counts, NULL: none */
        unsigned refresh;  /* [http NAME] that gets a new one, or PROFILE_NONE */
        double refresh_at; /* part of its lifetime */
        const char *ttl;   /* variable with its lifetime in seconds, captured by refresh; or NULL */
        bool persist;      /* rotated secrets are kept on disk */
    } auth;
    const struct profile_send *sends;
    unsigned n_sends;
    const char *const *variables; /* names that captures set */
    unsigned n_variables;
    struct {
        bool by_rule;       /* else: live as soon as the link is open */
        int64_t timeout_ms; /* from open to live */
    } live;
    struct {
        int64_t ws_ping_ms;      /* 0: none */
        int64_t pong_timeout_ms; /* no frame at all for so long after a ping */
        int64_t idle_ms;         /* no frame of any kind; 0: not checked */
        unsigned send;           /* [send NAME] of the service's own heartbeat, or PROFILE_NONE */
        int64_t every_ms;        /* 0: until `set` says it */
        int64_t ack_timeout_ms;  /* for `ack` or `alive`; 0: none is awaited */
    } heartbeat;
    struct {
        int64_t steps_ms[PROFILE_BACKOFF_STEPS_MAX];
        unsigned n_steps;
        double jitter; /* 0.2 = +-20 % */
        int64_t reset_after_ms;
    } backoff;
    struct {
        enum profile_catchup_via via;
        unsigned http; /* for profile_render_http */
        int64_t settle_ms;
        int64_t timeout_ms; /* of one request */
        bool descending;    /* pages come newest first, and `next` leads back */
        unsigned tip;       /* [http NAME] whose answer has the newest position, or PROFILE_NONE */
        int64_t audit_ms;   /* while live, sync again so often; 0: never */
    } catchup;
    struct {
        bool exists; /* at most one [fallback NAME] */
        const char *name;
        enum profile_transport transport;
        unsigned http;  /* longpoll: its [http NAME], for profile_http_ok; else PROFILE_NONE */
        unsigned after; /* links in a row without reset_after of life; 0: by policy only */
        int64_t retry_primary_ms; /* doubling to PROFILE_RETRY_PRIMARY_MAX_MS */
        int64_t idle_ms;          /* sse, ndjson: silence for so long is a dead one; 0: no matter */
        int64_t timeout_ms;       /* longpoll: of one request */
    } fallback;
    struct {
        struct profile_rate connects, sends, sessions;
        unsigned links; /* connections at once in the scope, fallback included; 0: no limit */
        enum profile_scope scope;
    } limits;
    enum profile_compare compare;
    struct {
        bool contiguous;    /* each position is the one before plus 1 (of the same key) */
        int64_t overlap;    /* resume from so much below (compare = int) */
        int64_t max_age_ms; /* a position older than that is of no use; 0: any age is good */
    } position;
    bool unkeyed_sync; /* an event with neither id nor position is asked of sync */
    enum profile_dedup dedup;
    struct profile_flap flaps[PROFILE_FLAPS_MAX];
    unsigned n_flaps;
    int64_t park_probe_ms; /* from the stream; -1 never */
    const struct profile_secret *secrets;
    size_t n_secrets;
    /* Profile name, authority of [connect] url and parameters with their values, a line each;
     * without secrets. Not meant for display: the generic profile's whole url is a parameter. */
    struct slice fingerprint;
    /* Of every key with its value, the parameters' values and the secrets' sources: two profiles in
     * which all of that is the same behave the same, whatever their comments say. */
    uint8_t digest[16];
    struct profile_private *priv;
};

/*
 * Finds NAME.ini in dirs (NULL-terminated, first wins), applies the stream's parameters and
 * overrides, compiles. 0, or ERR_PARSE when diag grew, ERR_NOMEM. `stream` may be NULL (hawserctl
 * profiles): then parameters are taken as present.
 */
int profile_load(const char *const *dirs, const char *name, const struct settings_stream *stream,
                 struct diag *diag, struct profile **out);
/* One user more; profile_free() by each of them, and the last one frees it. One thread's. */
struct profile *profile_hold(const struct profile *profile);
void profile_free(struct profile *profile);
/* Calls visit for each profile found in dirs, in name order, shadowed ones left out. */
int profile_list(const char *const *dirs,
                 void (*visit)(void *arg, const char *name, const char *path), void *arg,
                 struct error *err);

/* Calls visit for each key of the language, section by section: "query.*" stands for any name
 * behind the dot, "*" for any at all. named: the section has a name, as [http NAME]. */
void profile_describe(void (*visit)(void *arg, const char *section, const char *key, bool named),
                      void *arg);

const char *profile_policy_name(enum profile_policy_kind kind);
const char *profile_failure_name(enum profile_failure failure);
const char *profile_phase_name(enum profile_phase phase);
/* "close 1006", "status 403", "dns", "timeout in upgrade": for logs and notices. */
size_t profile_end_describe(const struct profile_end *end, char *out, size_t size);

#endif
