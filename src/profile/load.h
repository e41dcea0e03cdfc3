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

struct param {
    const char *name;
    const char *value; /* NULL: none */
    bool secret, optional;
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
    struct slice authority; /* of [connect] url */
};

/* The parameter (not the secret) of that name, or NULL. */
struct param *load_param(struct loader *l, struct slice name);
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
/* A secret's source is right, or *why says what is wrong; never with the value. */
bool load_secret_source_ok(const char *value, const char **why);

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

/* url.c: authority (may be NULL) gets HOST[:PORT] as the URL has it. */
int load_url(struct loader *l, const char *text, bool websocket, struct template *out,
             struct slice *authority, struct error *err);

/* keys.c: finds the setter and calls it. */
void load_key(struct loader *l, const struct ini_entry *entry);

/* check.c: what only the whole shows; builds what depends on several keys. */
void load_check(struct loader *l);
void load_check_event(struct loader *l);   /* check_event.c */
void load_check_catchup(struct loader *l); /* check_catchup.c */
/* The index of the [http NAME] that the entry's value names; PROFILE_NONE: said. */
unsigned load_http_named(struct loader *l, const struct ini_entry *entry);
void load_check_sends(
    struct loader *l); /* check_send.c: [send NAME], [heartbeat], names in rules */

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
/* The index of the value among the words, or -1 after saying so. */
int load_choice(struct loader *l, const struct ini_entry *entry, const char *const *words,
                int n_words);
bool load_duration(struct loader *l, const struct key *key, const struct ini_entry *entry,
                   int64_t *out);
/* keys_policy.c */
key_setter set_close, set_status, set_failure, set_flap, set_explain, set_steps, set_jitter;

#endif
