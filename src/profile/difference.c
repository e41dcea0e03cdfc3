#include "profile/difference.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* ---- what each key leads to ---- */

static const struct {
    const char *section, *key;
    unsigned effect;
} effects[] = {
    {"daemon", "state_dir", DIFFERENCE_NEVER},
    {"daemon", "runtime_dir", DIFFERENCE_NEVER},
    {"daemon", "profile_dir", DIFFERENCE_READ}, /* what is found there may change streams */
    {"daemon", "log", DIFFERENCE_LOG},
    {"daemon", "log_format", DIFFERENCE_LOG},
    {"daemon", "dial_rate", DIFFERENCE_DIALS},
    {"daemon", "dial_per_host", DIFFERENCE_DIALS},

    {"store", "retain_size", DIFFERENCE_STORE},
    {"store", "commit_interval", DIFFERENCE_READ},
    {"store", "deliver", DIFFERENCE_STORE},
    {"store", "min_free", DIFFERENCE_STORE},
    {"store", "consumer_expire", DIFFERENCE_READ},

    {"listen", "path", DIFFERENCE_SOCKET},
    {"listen", "tcp", DIFFERENCE_SOCKET},
    {"listen", "protocol", DIFFERENCE_GUESTS},
    {"listen", "format", DIFFERENCE_GUESTS},
    {"listen", "from", DIFFERENCE_READ},
    {"listen", "auth", DIFFERENCE_AUTH | DIFFERENCE_GUESTS},
    {"listen", "mode", DIFFERENCE_FILE},
    {"listen", "group", DIFFERENCE_FILE},
    {"listen", "allow_users", DIFFERENCE_USERS},
    {"listen", "streams", DIFFERENCE_VIEW},
    {"listen", "control", DIFFERENCE_READ},
    {"listen", "send", DIFFERENCE_READ},
    {"listen", "max_clients", DIFFERENCE_READ},

    {"stream", "profile", DIFFERENCE_ANEW},
    {"stream", "start", DIFFERENCE_ANEW},
    {"stream", "retain_size", DIFFERENCE_RETENTION},
    {"stream", "retain_age", DIFFERENCE_RETENTION},
    {"stream", "dedup_window", DIFFERENCE_ANEW},
    {"stream", "tls_ca", DIFFERENCE_ANEW},
    {"stream", "proxy", DIFFERENCE_ANEW},
    {"stream", "proxy_password", DIFFERENCE_ANEW},
    {"stream", "tls_cert", DIFFERENCE_ANEW},
    {"stream", "tls_key", DIFFERENCE_ANEW},
    {"stream", "tls_pin", DIFFERENCE_ANEW},
    {"stream", "tls_min", DIFFERENCE_ANEW},
    {"stream", "plaintext", DIFFERENCE_ANEW},
    {"stream", "deflate", DIFFERENCE_ANEW},
    {"stream", "dns_timeout", DIFFERENCE_ANEW},
    {"stream", "tcp_timeout", DIFFERENCE_ANEW},
    {"stream", "proxy_timeout", DIFFERENCE_ANEW},
    {"stream", "tls_timeout", DIFFERENCE_ANEW},
    {"stream", "upgrade_timeout", DIFFERENCE_ANEW},
    {"stream", "park_probe", DIFFERENCE_ANEW},
    {"stream", "on_rtt", DIFFERENCE_ANEW},
    {"stream", "log", DIFFERENCE_LOG},
};

unsigned difference_effect(const char *section, const char *key)
{
    for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++)
        if (strcmp(effects[i].section, section) == 0 && strcmp(effects[i].key, key) == 0)
            return effects[i].effect;
    return 0;
}

/* ---- comparing ---- */

struct making {
    const struct configuration *old, *new;
    const struct difference_limits *limits;
    struct difference *out;
    struct buf keys; /* that differ: "host, tag.team" */
    unsigned what;   /* that they lead to */
    const char *section, *name;
    bool refused, no_memory;
};

static void add_key(struct making *m, const char *key)
{
    if ((m->keys.len > 0 && buf_append_str(&m->keys, ", ") != 0) ||
        buf_append_str(&m->keys, key) != 0)
        m->no_memory = true;
}

static void begin(struct making *m, const char *section, const char *name)
{
    m->section = section;
    m->name = name;
    m->what = 0;
    buf_clear(&m->keys);
}

static void add_text(struct making *m, const char *fmt, ...)
{
    struct difference *out = m->out;
    char **grown = realloc(out->texts, (out->n_texts + 2) * sizeof(grown[0]));
    va_list args;
    if (grown == NULL) {
        m->no_memory = true;
        return;
    }
    out->texts = grown;
    va_start(args, fmt);
    if (vasprintf(&grown[out->n_texts], fmt, args) < 0)
        m->no_memory = true;
    else
        out->n_texts++;
    va_end(args);
    grown[out->n_texts] = NULL;
}

/* "stream chat: WHAT (KEYS)" */
static void tell(struct making *m, const char *what)
{
    bool keys = m->keys.len > 0;
    add_text(m, "%s%s%s: %s%s%s%s", m->section, m->name[0] != '\0' ? " " : "", m->name, what,
             keys ? " (" : "", keys ? buf_cstr(&m->keys) : "", keys ? ")" : "");
}

/* A key that an older hawserd would not have known how to change is no reason to guess. */
static void on_key(void *arg, const char *key)
{
    struct making *m = arg;
    unsigned effect = difference_effect(m->section, key);
    m->what |= effect != 0 ? effect : DIFFERENCE_NEVER;
    add_key(m, key);
}

/* ---- [daemon] and [store] ---- */

static void refuse(struct making *m, const char *section, const char *name, const char *key,
                   const char *text)
{
    const struct ini_entry *entry = settings_entry(m->new->settings, section, name, key);
    if (entry == NULL) /* it has gone, and its default is another */
        entry = settings_entry(m->old->settings, section, name, key);
    m->refused = true;
    diag_add(m->new->diag, entry != NULL ? entry->file : "hawser.ini",
             entry != NULL ? entry->line : 0, "%s", text);
}

static bool is_given(const struct difference_limits *limits, const char *key)
{
    return (limits->state_dir_given && strcmp(key, "state_dir") == 0) ||
           (limits->runtime_dir_given && strcmp(key, "runtime_dir") == 0);
}

static void on_daemon_key(void *arg, const char *key)
{
    struct making *m = arg;
    unsigned effect = difference_effect(m->section, key);
    char text[200];
    if (effect != 0 && (effect & DIFFERENCE_NEVER) == 0) {
        on_key(arg, key);
        return;
    }
    if (is_given(m->limits, key))
        return;
    snprintf(text, sizeof(text),
             "%s of [%s] cannot be changed while hawserd runs; restart it, or set it back", key,
             m->section);
    refuse(m, m->section, "", key, text);
}

static void compare_daemon(struct making *m)
{
    const struct settings *old = m->old->settings, *new = m->new->settings;
    begin(m, "daemon", "");
    settings_compare("daemon", &old->daemon, &new->daemon, on_daemon_key, m);
    m->out->what |= m->what;
    if (m->what != 0)
        tell(m, "changed");
    begin(m, "store", "");
    settings_compare("store", &old->store, &new->store, on_daemon_key, m);
    m->out->what |= m->what;
    if (m->what != 0)
        tell(m, "changed");
}

/* ---- listeners ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_place(const struct settings_listen *a, const struct settings_listen *b)
{
    return same_text(a->path, b->path) && same_text(a->tcp, b->tcp);
}

static int listen_named(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->n_listens; i++)
        if (strcmp(settings->listens[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* The old listener at the place of a new one: its own, for preference, since any port is a place
 * that several can have. */
static int listen_at(const struct making *m, const struct settings_listen *listen)
{
    const struct settings *old = m->old->settings;
    int own = listen_named(old, listen->name);
    if (own >= 0 && same_place(&old->listens[own], listen))
        return own;
    for (size_t i = 0; i < old->n_listens; i++) {
        int heir = listen_named(m->new->settings, old->listens[i].name);
        bool kept = heir >= 0 && same_place(&m->new->settings->listens[heir], &old->listens[i]);
        if (!kept && m->out->socket_gone[i] && same_place(&old->listens[i], listen))
            return (int)i;
    }
    return -1;
}

/* Whose clients it takes over: those of its name; else, when it was renamed, of its place. */
static int guests_of(const struct making *m, const struct settings_listen *listen, int socket_of)
{
    int own = listen_named(m->old->settings, listen->name);
    if (own >= 0 || socket_of < 0)
        return own;
    const char *other = m->old->settings->listens[socket_of].name;
    return listen_named(m->new->settings, other) < 0 ? socket_of : -1;
}

static void compare_listen(struct making *m, size_t i)
{
    const struct settings_listen *listen = &m->new->settings->listens[i];
    struct difference_listen *out = &m->out->listens[i];
    begin(m, "listen", listen->name);
    out->socket_of = listen_at(m, listen);
    out->old = guests_of(m, listen, out->socket_of);
    if (out->socket_of >= 0)
        m->out->socket_gone[out->socket_of] = false;
    if (out->old < 0) {
        tell(m, "added");
        return;
    }
    const struct settings_listen *old = &m->old->settings->listens[out->old];
    m->out->listen_gone[out->old] = false;
    settings_compare("listen", old, listen, on_key, m);
    out->what = m->what;
    if (strcmp(old->name, listen->name) != 0)
        add_text(m, "listen %s: was %s", listen->name, old->name);
    if (out->what != 0)
        tell(m, "changed");
}

static void compare_listens(struct making *m)
{
    const struct settings *old = m->old->settings, *new = m->new->settings;
    for (size_t i = 0; i < old->n_listens; i++)
        m->out->listen_gone[i] = m->out->socket_gone[i] = true;
    for (size_t i = 0; i < new->n_listens; i++)
        compare_listen(m, i);
    for (size_t i = 0; i < old->n_listens; i++) {
        begin(m, "listen", old->listens[i].name);
        if (m->out->listen_gone[i])
            tell(m, "removed");
    }
}

/* ---- streams ---- */

static int stream_named(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->n_streams; i++)
        if (strcmp(settings->streams[i].name, name) == 0)
            return (int)i;
    return -1;
}

static const char *tag_value(const struct settings_stream *stream, const char *name)
{
    for (size_t i = 0; i < stream->n_tags; i++)
        if (strcmp(stream->tags[i].name, name) == 0)
            return stream->tags[i].value;
    return NULL;
}

/* Tags of `a` that `b` has not, or has with another value; `other`: only those it has not. */
static void compare_tags(struct making *m, const struct settings_stream *a,
                         const struct settings_stream *b, bool other)
{
    for (size_t i = 0; i < a->n_tags; i++) {
        char key[SETTINGS_NAME_MAX + 8];
        const char *value = tag_value(b, a->tags[i].name);
        if (value != NULL && (other || strcmp(value, a->tags[i].value) == 0))
            continue;
        snprintf(key, sizeof(key), "tag.%s", a->tags[i].name);
        m->what |= DIFFERENCE_TAGS;
        add_key(m, key);
    }
}

static const char *rest_value(const struct settings_stream *stream, const char *key)
{
    for (size_t i = 0; i < stream->n_rest; i++)
        if (strcmp(stream->rest[i]->key, key) == 0)
            return stream->rest[i]->value;
    return NULL;
}

/* The same for what is left to the profile. Only names: values may be anything. */
static void compare_rest(struct making *m, const struct settings_stream *a,
                         const struct settings_stream *b, bool other)
{
    for (size_t i = 0; i < a->n_rest; i++) {
        const char *value = rest_value(b, a->rest[i]->key);
        if (value == NULL || (!other && strcmp(value, a->rest[i]->value) != 0))
            add_key(m, a->rest[i]->key);
    }
}

/* A profile in which nothing has changed but how it is written has not changed. */
static void compare_profiles(struct making *m, int old, size_t new)
{
    const struct profile *before = m->old->profiles[old], *now = m->new->profiles[new];
    const struct settings_stream *a = &m->old->settings->streams[old],
                                 *b = &m->new->settings->streams[new];
    if (memcmp(before->digest, now->digest, sizeof(now->digest)) == 0)
        return;
    size_t keys = m->keys.len;
    compare_rest(m, a, b, false);
    compare_rest(m, b, a, true);
    if (m->keys.len == keys && strcmp(a->profile, b->profile) == 0)
        add_key(m, "its profile's text");
    m->what |= DIFFERENCE_ANEW;
}

static void check_message(struct making *m, size_t i)
{
    const struct settings_stream *stream = &m->new->settings->streams[i];
    uint64_t bytes = m->new->profiles[i]->connect.max_message;
    if (bytes <= m->limits->max_message)
        return;
    const struct ini_entry *entry =
        settings_entry(m->new->settings, "stream", stream->name, "connect.max_message");
    m->refused = true;
    diag_add(m->new->diag, entry != NULL ? entry->file : stream->file,
             entry != NULL ? entry->line : stream->line,
             "[stream %s] connect.max_message is %llu bytes, and hawserd has set aside memory for "
             "%llu at its start; restart it, or make it smaller",
             stream->name, (unsigned long long)bytes, (unsigned long long)m->limits->max_message);
}

static void compare_stream(struct making *m, size_t i)
{
    const struct settings_stream *stream = &m->new->settings->streams[i];
    struct difference_stream *out = &m->out->streams[i];
    begin(m, "stream", stream->name);
    check_message(m, i);
    out->old = stream_named(m->old->settings, stream->name);
    if (out->old < 0) {
        tell(m, "added");
        return;
    }
    const struct settings_stream *old = &m->old->settings->streams[out->old];
    m->out->stream_gone[out->old] = false;
    settings_compare("stream", old, stream, on_key, m);
    compare_tags(m, old, stream, false);
    compare_tags(m, stream, old, true);
    compare_profiles(m, out->old, i);
    out->what = m->what;
    if (m->what & DIFFERENCE_NEVER)
        out->what |= DIFFERENCE_ANEW;
    if (m->what & DIFFERENCE_LOG)
        m->out->what |= DIFFERENCE_LOG;
    if (out->what != 0)
        tell(m, out->what & DIFFERENCE_ANEW ? "begins anew" : "changed");
}

static void compare_streams(struct making *m)
{
    const struct settings *old = m->old->settings, *new = m->new->settings;
    for (size_t i = 0; i < old->n_streams; i++)
        m->out->stream_gone[i] = true;
    for (size_t i = 0; i < new->n_streams; i++)
        compare_stream(m, i);
    for (size_t i = 0; i < old->n_streams; i++) {
        begin(m, "stream", old->streams[i].name);
        if (m->out->stream_gone[i])
            tell(m, "removed");
    }
}

/* ---- the whole ---- */

int difference_make(const struct configuration *old, const struct configuration *new,
                    const struct difference_limits *limits, struct difference *out)
{
    struct making m = {.old = old, .new = new, .limits = limits, .out = out};
    memset(out, 0, sizeof(*out));
    buf_init(&m.keys, BUF_UNBOUNDED);
    compare_daemon(&m);
    compare_listens(&m);
    compare_streams(&m);
    buf_fini(&m.keys);
    if (m.no_memory)
        return ERR_NOMEM;
    return m.refused ? ERR_INVAL : 0;
}

void difference_fini(struct difference *difference)
{
    for (size_t i = 0; i < difference->n_texts; i++)
        free(difference->texts[i]);
    free(difference->texts);
    difference->texts = NULL;
    difference->n_texts = 0;
}

bool difference_is_empty(const struct difference *difference)
{
    return difference->n_texts == 0;
}
