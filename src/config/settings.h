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
#include "config/ini.h"

enum settings_deliver { SETTINGS_DELIVER_STORED, SETTINGS_DELIVER_RECEIVED };
enum settings_start { SETTINGS_START_NOW, SETTINGS_START_OLDEST, SETTINGS_START_POSITION };

struct settings_daemon {
    const char *state_dir;   /* $STATE_DIRECTORY wins (applied by the caller) */
    const char *runtime_dir; /* $RUNTIME_DIRECTORY wins */
    const char *profile_dir;
    enum log_level log;
};

struct settings_store {
    uint64_t retain_size_bytes;
    int64_t commit_interval_ms;
    enum settings_deliver deliver;
    unsigned min_free_percent;
};

struct settings_listen {
    const char *name;
    const char *path;
    unsigned mode;
    const char *group; /* NULL: the daemon's own */
    const char *const *allow_users; /* NULL-terminated; {"*"} is everyone */
    const char *const *streams;     /* globs, NULL-terminated */
    bool control;
    unsigned max_clients;
    const char *file;
    unsigned line;
};

struct settings_stream {
    const char *name;
    const char *profile;
    enum settings_start start;
    const char *start_position; /* for SETTINGS_START_POSITION */
    uint64_t retain_size_bytes;
    int64_t retain_age_ms;
    unsigned dedup_window; /* entries */
    const char *tls_ca;    /* NULL: the system's bundle */
    bool plaintext;
    int64_t dns_timeout_ms, tcp_timeout_ms, tls_timeout_ms, upgrade_timeout_ms;
    int64_t park_probe_ms; /* -1: never */
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
};

/* Reads FILE and conf.d beside it. Always yields settings unless memory ends (ERR_NOMEM); they are
 * to be used only if diag_count() did not grow. */
int settings_load(const char *path, struct diag *diag, struct settings **out);
void settings_free(struct settings *settings);

#endif
