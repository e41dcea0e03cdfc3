/*
 * settings: the typed configuration of hawserd (hawser.ini, then conf.d/NAME.ini beside it).
 *
 * Decides: which sections and keys exist, their types, bounds and defaults: one table declares
 * each key. Later files override earlier ones key by key.
 * Leaves: keys of [stream] that only a profile can judge (parameters, secrets, SECTION.KEY
 * overrides) to profile: they are kept as entries with file and line.
 * Fails: every error at once in the diag, with "did you mean".
 */
#ifndef HAWSER_CONFIG_SETTINGS_H
#define HAWSER_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/slice.h"
#include "config/ini.h"

enum settings_deliver { SETTINGS_DELIVER_STORED, SETTINGS_DELIVER_RECEIVED };
enum settings_tls { SETTINGS_TLS_1_2, SETTINGS_TLS_1_3 };
enum settings_protocol { SETTINGS_PROTOCOL_NDJSON, SETTINGS_PROTOCOL_FEED, SETTINGS_PROTOCOL_HTTP };
enum settings_format { SETTINGS_FORMAT_ENVELOPE, SETTINGS_FORMAT_PAYLOAD };
enum settings_from { SETTINGS_FROM_NOW, SETTINGS_FROM_OLDEST };
enum settings_start { SETTINGS_START_NOW, SETTINGS_START_OLDEST, SETTINGS_START_POSITION };

enum settings_log_format {
    SETTINGS_LOG_AUTO, /* the journal where standard error leads there, else text */
    SETTINGS_LOG_TEXT,
    SETTINGS_LOG_JSON,
    SETTINGS_LOG_JOURNAL
};

enum { SETTINGS_PIN_SIZE = 32 }; /* bytes of a pin: SHA-256 */

struct settings_daemon {
    const char *state_dir;   /* $STATE_DIRECTORY wins (applied by the caller) */
    const char *runtime_dir; /* $RUNTIME_DIRECTORY wins */
    const char *profile_dir;
    enum log_level log;
    enum settings_log_format log_format;
    unsigned dial_rate_count; /* over all streams: so many */
    int64_t dial_rate_ms;     /* in so long */
    unsigned dial_per_host;   /* handshakes under way at once to one host */
};

struct settings_store {
    uint64_t retain_size_bytes;
    int64_t commit_interval_ms;
    enum settings_deliver deliver;
    unsigned min_free_percent;
    int64_t consumer_expire_ms;
};

struct settings_listen {
    const char *name;
    const char *path; /* this or tcp */
    const char *tcp;  /* "127.0.0.1:9472", "[::1]:9472" */
    enum settings_protocol protocol;
    enum settings_format format; /* of a feed */
    enum settings_from from;     /* of a feed */
    const char *auth;            /* of http: credential:NAME, file:PATH or env:NAME; NULL: none */
    unsigned mode;
    const char *group;              /* NULL: the daemon's own */
    const char *const *allow_users; /* NULL-terminated; {"*"} is everyone */
    const char *const *streams;     /* globs, NULL-terminated */
    bool control;
    bool send; /* upstream */
    unsigned max_clients;
    const char *file;
    unsigned line;
};

struct settings_stream {
    const char *name;
    const char *profile; /* required */
    enum settings_start start;
    const char *start_position; /* for SETTINGS_START_POSITION */
    uint64_t retain_size_bytes;
    int64_t retain_age_ms;
    unsigned dedup_window; /* entries */
    const char *tls_ca;    /* NULL: the system's bundle */
    const char *tls_cert;  /* NULL: no client certificate */
    const char *tls_key;   /* NULL: it is in tls_cert */
    const uint8_t (*tls_pins)[SETTINGS_PIN_SIZE];
    size_t n_tls_pins;
    enum settings_tls tls_min;
    bool plaintext;
    bool deflate;
    const char *proxy;          /* config/proxy_url.h, without a password; "none"; NULL: as the
                                 * environment says */
    const char *proxy_password; /* where it is to be found, config/secret_source.h; NULL: none */
    int64_t dns_timeout_ms, tcp_timeout_ms, proxy_timeout_ms, tls_timeout_ms, upgrade_timeout_ms;
    int64_t park_probe_ms; /* -1: never */
    bool rtt_reconnects;   /* on_rtt = reconnect */
    bool has_log;
    enum log_level log;
    struct settings_tag {
        const char *name, *value;
    } const *tags;
    size_t n_tags;
    /* Entries that the key table does not know: parameters, secrets and SECTION.KEY overrides of
     * the profile. Pointers into the ini that the settings own. */
    const struct ini_entry *const *rest;
    size_t n_rest;
    const char *file; /* of the [stream NAME] line */
    unsigned line;
};

struct settings {
    struct settings_daemon daemon;
    struct settings_store store;
    struct settings_listen *listens;
    size_t n_listens;
    struct settings_stream *streams;
    size_t n_streams;
    struct settings_private *priv; /* the memory behind all of the above */
};

/* Bounds that only a configuration knows; see base/limits.h for the others. */
enum {
    SETTINGS_NAME_MAX = 64,         /* bytes of a listener's or a profile's name, or of a tag's */
    SETTINGS_SOCKET_PATH_MAX = 107, /* bytes of a socket's path: sun_path less its NUL */
    SETTINGS_LIST_MAX = 64,         /* words of one list */
    SETTINGS_PINS_MAX = 16,         /* pins of one stream */
    SETTINGS_TAGS_MAX = 32,         /* tags of one stream */
    SETTINGS_TAG_VALUE_MAX = 1024,  /* bytes of a tag's value */
    SETTINGS_REST_MAX = 1024,       /* keys of one stream that are left to its profile */
    SETTINGS_RATE_MAX = 10000       /* N of N/period */
};
#define SETTINGS_RATE_PERIOD_MAX_MS ((int64_t)30 * 86400 * 1000) /* period of N/period */

/*
 * Reads FILE and conf.d beside it. Always yields settings unless memory ends (ERR_NOMEM); they are
 * to be used only if diag_count() did not grow. A stream or listener is named in letters, digits
 * and "_.-", and starts with a letter, a digit or "_". Sections of one name in several files are
 * one section; its `file` and `line` are those of the first.
 */
int settings_load(const char *path, struct diag *diag, struct settings **out);
/* The same of a text in memory; label is what messages call it. */
int settings_read(const char *label, struct slice text, struct diag *diag, struct settings **out);
void settings_free(struct settings *settings); /* NULL is nothing to free */

/* One row of the key table; static. */
struct settings_key {
    const char *section;      /* "stream" */
    const char *key;          /* "dns_timeout" */
    const char *type;         /* "a duration (500ms, 30s, 5m, 24h, 7d)" */
    const char *default_text; /* as one would write it; NULL: no default */
    const char *help;         /* one line, without a final full stop */
};

/* Calls visit for each key, section by section. tag.NAME and the profile's keys are not in it. */
void settings_describe(void (*visit)(void *arg, const struct settings_key *key), void *arg);

/* The key of a section that `word` was perhaps meant to be, or NULL: so that the profile can also
 * name [stream]'s own keys when it refuses one of `rest`. */
const char *settings_suggest_key(const char *section, struct slice word);

#endif
