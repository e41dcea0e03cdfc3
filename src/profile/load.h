/*
 * load.h - the work of profile_load(), while it lasts.
 *
 * Entries of the profile's file, with the stream's overrides laid over them, go one by one to
 * the setter that the key table names; then check.c looks at the whole. Every fault goes to the
 * diag with the file and line of its entry, and loading goes on to find the next one.
 */
#ifndef HAWSER_PROFILE_LOAD_H
#define HAWSER_PROFILE_LOAD_H

#include "config/ini.h"
#include "profile/internal.h"
#include "profile/rule.h"
#include "profile/template.h"

#define PROFILE_ENTRIES_MAX 1024    /* keys of a profile, overrides included */
#define PROFILE_PARAMS_MAX 32       /* parameters and secrets */
#define PROFILE_RULES_MAX 64        /* [on NAME] sections */
#define PROFILE_HTTPS_MAX 16        /* [http NAME] sections */
#define PROFILE_LINES_MAX 64        /* query lines of one request, and header lines */
#define PROFILE_HEADER_NAMES_MAX 16 /* different header:NAME in one profile */
#define PROFILE_SOURCES_MAX 8       /* places in "a | b | c" */
#define PROFILE_EPHEMERAL_MAX 64    /* globs */
#define PROFILE_CAPTURES_MAX 16     /* capture.VAR and capture_secret.NAME of one request */
#define PROFILE_EACH_MAX 256        /* values of one foreach */
#define PROFILE_HOSTS_MAX 32        /* words of [connect] hosts */

struct param {
    const char *name;
    const char *value;   /* NULL: none */
    const char *choices; /* "a|b|c": the values it may have; NULL: any */
    bool secret, optional;
    bool captured;    /* a secret that an [http NAME] sets */
    bool missed;      /* said once that it is missing */
    bool blamed;      /* said once that it makes a bad URL */
    const char *file; /* where it is configured */
    unsigned line;
};

/* What a pointer leads into, and one behind "^". */
struct scope {
    struct json_paths *paths, *outer_paths; /* outer NULL: see no_outer */
    enum level level, outer_level;
    const char *no_outer; /* why there is none */
};

/* A [send NAME] as it is written. */
struct send_entries {
    const char *name;
    const struct ini_entry *header; /* what named it first */
    const struct ini_entry *text, *once, *answer, *answer_timeout;
    enum profile_send_when when;
    int64_t answer_timeout_ms;
    bool used, places; /* something sends it; it takes something from a message */
};

struct loader {
    struct profile *profile;
    struct profile_private *priv;
    struct arena *arena;
    struct diag *diag;
    const struct settings_stream *stream; /* or NULL */
    const char *path;                     /* of the profile's file */

    struct ini_entry *entries;
    size_t n_entries;

    struct param params[PROFILE_PARAMS_MAX];
    unsigned n_params;
    struct param *blamed; /* that made the URL just compiled a bad one, NULL: none */
    bool placeholder;     /* the text just compiled holds a stand-in for a parameter */

    const char *variables[PROFILE_VARIABLES_MAX]; /* that captures set */
    unsigned n_variables;

    struct scope scope; /* that pointers are added to */
    struct sources taken[RULE_TAKEN_MAX];
    unsigned n_taken;
    struct send_entries sends[PROFILE_SENDS_MAX];
    unsigned n_sends;

    /* Kept until the whole is known. */
    const struct ini_entry *id, *position, *key, *type, *time, *only, *dedup, *compare;
    const struct ini_entry *map_id, *map_position, *map_key, *map_type, *map_time;
    const struct ini_entry *unkeyed, *contiguous, *overlap;
    const struct ini_entry *catchup_via, *catchup_http, *live_when, *gone, *tip, *audit, *order;
    const struct ini_entry *items, *next, *more;
    const struct ini_entry *heartbeat_send, *ack;
    const struct ini_entry *auth_token, *auth_refresh, *refresh_at;
    const struct ini_entry *fallback_http, *ws_ping, *ping;
    bool has_transport, transport_known, too_many_fallbacks;
    bool unset_secret; /* the text just compiled names a secret that has no source */
};

/* The parameter (not the secret) of that name, or NULL. */
struct param *load_param(struct loader *l, struct slice name);
struct param *load_secret(struct loader *l, struct slice name);
/* Adds a fault at the entry. */
void load_fault(struct loader *l, const struct ini_entry *entry, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with a text that is already written; "KEY: text". */
void load_fault_error(struct loader *l, const struct ini_entry *entry, const struct error *err);

/* params.c */
void load_declare(struct loader *l, const struct ini_entry *entry, bool secrets);
void load_configure(struct loader *l); /* takes the stream's parameters and secrets */
void load_keep_secrets(struct loader *l);
struct resolver load_resolver(struct loader *l);

/* choices.c: parameters with a fixed set of values */
/* "a|b|c": the parameter's choices, and in *value the first, its default. False after a fault. */
bool load_choices(struct loader *l, const struct ini_entry *entry, struct slice name,
                  struct slice *value, struct param *param);
/* False after saying that the value is none of them. */
bool load_choice_ok(struct loader *l, const struct ini_entry *entry, const struct param *param,
                    struct slice value);
/* "NAME=VALUE" in a template: nothing where the parameter has that value, else unset. */
struct resolved load_condition(struct loader *l, struct slice text, struct error *err);

/* Whether this may be the name of a parameter or a variable: none of the built-in ones. */
bool load_name_ok(struct slice name);

/* variables.c: the index of the captured variable of that name, which is declared with it. What
 * captures is read before all templates. ERR_PARSE: no name, a parameter's name, too many. */
int load_variable(struct loader *l, struct slice name, unsigned *index, struct error *err);
/* PROFILE_NONE: nothing captures it. */
unsigned load_variable_find(const struct loader *l, struct slice name);
void load_keep_variables(struct loader *l);

/* source.c */
int load_source(struct loader *l, struct slice place, struct source *out, struct error *err);
/* json_paths_add() with a text in every error. */
int load_pointer(struct json_paths *paths, struct slice pointer, unsigned *slot, struct error *err);
int load_sources(struct loader *l, struct slice text, struct sources *out, struct error *err);
void load_scope_rules(struct loader *l);
void load_scope_event(struct loader *l, const struct fields *fields);
void load_scope_page(struct loader *l);
/* In the scope that was set. False: said what is wrong. */
bool load_expr(struct loader *l, const struct ini_entry *entry, const struct expr **out);
struct expr_names load_expr_names(struct loader *l);

/* url.c */
int load_url(struct loader *l, const char *text, bool websocket, struct template *out,
             struct url_head *head, struct error *err);

/* keys.c: finds the setter and calls it. */
void load_key(struct loader *l, const struct ini_entry *entry);

/* check.c: what only the whole shows; builds what depends on several keys. */
void load_check(struct loader *l);
void load_check_event(struct loader *l);   /* check_event.c */
void load_check_catchup(struct loader *l); /* check_catchup.c */
void load_check_sends(struct loader *l);   /* check_send.c: and [heartbeat], names in rules */
/* The [http NAME] of that name, or PROFILE_NONE. */
unsigned load_http_find(const struct loader *l, struct slice name);
bool load_http_uses(const struct http *http, struct slice variable);
/* check_connect.c: the same for [connect], [auth], [fallback] and captures. */
void load_check_connect(struct loader *l);
/* As load_http_find(), of the entry's value; PROFILE_NONE: that is said. */
unsigned load_http_named(struct loader *l, const struct ini_entry *entry);

/* One row of the key table. */
struct key {
    const char *section;
    const char *name; /* "query.*": any name behind the prefix; "*": any at all */
    bool named;       /* the section has a name */
    void (*set)(struct loader *l, const struct key *key, const struct ini_entry *entry);
    size_t offset; /* into struct profile, for the plain types */
    int64_t least, most;
};
typedef void key_setter(struct loader *l, const struct key *key, const struct ini_entry *entry);

/* keys_connect.c */
key_setter set_permission, set_parallel, set_hosts, set_auth_token, set_auth_refresh,
    set_refresh_at, set_rate, set_links, set_scope;
/* The index of the value among the words, or -1 after saying so. */
int load_choose(struct loader *l, const struct ini_entry *entry, const char *const *words,
                int n_words);
/* keys_fallback.c */
key_setter set_transport, set_fallback_http, set_after;
struct http *load_fallback(struct loader *l, const struct ini_entry *entry);
/* keys_capture.c */
key_setter set_capture, set_capture_secret, set_persist, set_foreach;
/* keys_request.c */
key_setter set_url, set_query, set_header, set_method, set_body, set_ok, set_subprotocol;
struct http *load_http(struct loader *l, const struct ini_entry *entry);
/* keys_event.c */
key_setter set_header_block, set_batch, set_split, set_decode, set_only, set_dedup, set_ephemeral,
    set_unkeyed, set_compare, set_contiguous, set_overlap, set_live_when, set_kept;
/* keys_catchup.c */
key_setter set_via, set_order, set_format, set_items, set_next, set_more;
/* keys_rule.c */
key_setter set_match, set_do, set_send_text, set_send_on, set_send_once, set_send_answer,
    set_answer_timeout;
struct rule *load_rule(struct loader *l, const struct ini_entry *entry);
struct send_entries *load_send(struct loader *l, const struct ini_entry *entry);
bool load_duration(struct loader *l, const struct key *key, const struct ini_entry *entry,
                   int64_t *out);
/* keys_policy.c */
key_setter set_close, set_status, set_failure, set_flap, set_explain, set_steps, set_jitter;

#endif
