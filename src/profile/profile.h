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
    X(FORGET, "forget")                                                                            \
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
    X(STRIPPED, "stripped") /* an answer without upgrade */                                        \
    X(HANDSHAKE, "handshake") /* 101 that breaks RFC 6455 section 4.2.2 */                         \
    X(TIMEOUT, "timeout")     /* see phase */                                                      \
    X(CREDENTIAL, "credential") /* a secret or CA that cannot be read */                           \
    X(HTTP, "http")           /* a broken HTTP answer, or one that is not as the profile says */
enum profile_failure {
#define X(id, text) PROFILE_FAILURE_##id,
    PROFILE_FAILURES(X)
#undef X
};
#define PROFILE_PHASES(X)                                                                          \
    X(DNS, "dns") X(TCP, "tcp") X(TLS, "tls") X(UPGRADE, "upgrade") X(LIVE, "live") X(HTTP, "http")
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
    enum profile_phase phase;   /* of a TIMEOUT */
    int64_t retry_after_ms;     /* STATUS: as the answer said, -1 if it did not */
    char text[256];             /* close reason, body snippet or error text; printable UTF-8 */
};

struct profile_flap {
    struct profile_policy_action action;
    int code_from, code_to;
    enum profile_end_kind kind;
    unsigned count;
    int64_t period_ms;
};

/* The row for this end: never NULL (defaults are built in). explain (may be NULL) gets the
 * service's cause and fix, or NULL. */
const struct profile_policy_action *profile_policy(const struct profile *profile,
                                                   const struct profile_end *end,
                                                   const char **explain);

/* ---- rules ---- */
#define PROFILE_RULE_ACTIONS(X)                                                                    \
    X(EVENT, "event")         /* this message is an event, whatever [event] only says */           \
    X(IGNORE, "ignore")       /* not an event */                                                   \
    X(LIVE, "live")           /* the service accepted us: events flow from here */                 \
    X(RECONNECT, "reconnect") /* close and dial again, after delay_ms where given */               \
    X(REFRESH, "refresh")                                                                          \
    X(FORGET, "forget") /* drop the position, say a gap */                                         \
    X(GAP, "gap")       /* store a gap; text */                                                    \
    X(HOLD, "hold")     /* close and rest for delay_ms */                                          \
    X(PARK, "park")     /* close and wait for someone; text */
enum profile_rule_kind {
#define X(id, text) PROFILE_RULE_##id,
    PROFILE_RULE_ACTIONS(X)
#undef X
};

struct profile_rule_action {
    enum profile_rule_kind kind;
    int64_t delay_ms;
    const char *text; /* NULL or what the profile wrote */
    const char *rule; /* NAME of [on NAME] */
};

#define PROFILE_ACTIONS_MAX 8 /* actions of all rules that one message can trigger */

/* What one message (or one item of a catch-up page) means. All slices are borrowed from the
 * message or from the scanner, until its next scan. */
struct profile_message {
    bool json; /* false: not JSON; kept as text (and .fault, if the profile reads JSON) */
    bool event;
    bool ephemeral;
    struct slice id;       /* decoded; .ptr NULL where absent */
    struct slice position; /* decoded; .ptr NULL where absent */
    struct slice type;
    struct slice time; /* the service's own time, raw JSON; .ptr NULL where absent */
    struct slice data; /* the payload byte for byte: JSON text, or the text itself */
    /* Of the rules that hold, in the profile's order; `event` and `ignore` are not among them:
     * .event says what they came to, the last one deciding. */
    const struct profile_rule_action *actions[PROFILE_ACTIONS_MAX];
    size_t n_actions;
    const char *fault; /* NULL, or what is wrong with it ("id is 1,400 bytes, limit is 1,024") */
};

/* A scanner is one stream's scratch memory for scanning. */
struct profile_scanner;
int profile_scanner_new(const struct profile *profile, struct profile_scanner **out);
void profile_scanner_free(struct profile_scanner *scanner);
/* A message of the link. Never fails: what cannot be understood is .json = false or has .fault. */
void profile_scan_message(struct profile_scanner *scanner, struct slice text,
                          struct profile_message *out);

/* ---- catch-up pages ---- */
struct profile_page {
    struct json_iter items;
    size_t n_items;
    bool more;
    struct slice next; /* decoded cursor; .ptr NULL where absent; borrowed as above */
};
/* Checks a whole answer body. ERR_PARSE when it is not JSON, ERR_PROTOCOL when `items` is missing
 * or no array; the text says where. */
int profile_page_parse(struct profile_scanner *scanner, struct slice body,
                       struct profile_page *out, struct error *err);
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

/* ---- the compiled profile; read-only ---- */
enum profile_catchup_via { PROFILE_CATCHUP_NONE, PROFILE_CATCHUP_HTTP, PROFILE_CATCHUP_URL };
enum profile_compare { PROFILE_COMPARE_OPAQUE, PROFILE_COMPARE_INT };
enum profile_dedup { PROFILE_DEDUP_ID, PROFILE_DEDUP_POSITION, PROFILE_DEDUP_HASH, PROFILE_DEDUP_OFF };

#define PROFILE_BACKOFF_STEPS_MAX 16
#define PROFILE_FLAPS_MAX 16
#define PROFILE_FLAP_COUNT_MAX 16 /* ends that a flap counts */

struct profile_secret {
    const char *name;   /* as the profile declares it: "token" */
    const char *source; /* "file:/path", "env:NAME", "credential:NAME", NULL = not configured */
    const char *file;
    unsigned line;
};

struct profile {
    const char *name, *title;
    const char *docs; /* address of the service's own documentation, or NULL */
    struct {
        int close_code;       /* when we leave; default 1001 */
        uint64_t max_message; /* bytes */
    } connect;
    struct {
        bool by_rule;       /* else: live as soon as the link is open */
        int64_t timeout_ms; /* from open to live */
    } live;
    struct {
        int64_t ws_ping_ms;      /* 0: none */
        int64_t pong_timeout_ms; /* no frame at all for so long after a ping */
        int64_t idle_ms;         /* no frame of any kind; 0: not checked */
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
    } catchup;
    enum profile_compare compare;
    enum profile_dedup dedup;
    struct profile_flap flaps[PROFILE_FLAPS_MAX];
    unsigned n_flaps;
    int64_t park_probe_ms; /* from the stream; -1 never */
    const struct profile_secret *secrets;
    size_t n_secrets;
    /* Profile name, authority of [connect] url and parameters with their values, a line each;
     * without secrets. Not meant for display: the generic profile's whole url is a parameter. */
    struct slice fingerprint;
    struct profile_private *priv;
};

/*
 * Finds NAME.ini in dirs (NULL-terminated, first wins), applies the stream's parameters and
 * overrides, compiles. 0, or ERR_PARSE when diag grew, ERR_NOMEM. `stream` may be NULL (hawserctl
 * profiles): then parameters are taken as present.
 */
int profile_load(const char *const *dirs, const char *name, const struct settings_stream *stream,
                 struct diag *diag, struct profile **out);
void profile_free(struct profile *profile);
/* Calls visit for each profile found in dirs, in name order, shadowed ones left out. */
int profile_list(const char *const *dirs,
                 void (*visit)(void *arg, const char *name, const char *path), void *arg,
                 struct error *err);

const char *profile_policy_name(enum profile_policy_kind kind);
const char *profile_failure_name(enum profile_failure failure);
const char *profile_phase_name(enum profile_phase phase);
/* "close 1006", "status 403", "dns", "timeout in upgrade": for logs and notices. */
size_t profile_end_describe(const struct profile_end *end, char *out, size_t size);

#endif
