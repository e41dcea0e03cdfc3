#include "profile/load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/siphash.h"
#include "base/suggest.h"

#define PROFILE_NAME_MAX 64
#define LIVE_TIMEOUT_MS 10000
#define WS_PING_MS 15000
#define PONG_TIMEOUT_MS 10000
#define RESET_AFTER_MS 60000
#define SETTLE_MS 5000
#define CATCHUP_TIMEOUT_MS 30000
#define FALLBACK_AFTER 6
#define RETRY_PRIMARY_MS 60000
#define FALLBACK_TIMEOUT_MS 60000
#define PARK_PROBE_MS (60 * 60 * 1000)

void load_fault(struct loader *l, const struct ini_entry *entry, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    diag_add(l->diag, entry->file, entry->line, "%s", text);
}

void load_fault_error(struct loader *l, const struct ini_entry *entry, const struct error *err)
{
    if (err->code == ERR_NOMEM)
        l->arena->failed = true;
    load_fault(l, entry, "%s: %s", entry->key, err->text);
}

/* ---- finding the file ---- */

/* No path in a name: it becomes part of one. */
static bool name_ok(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t n = strlen(name);

    return n != 0 && n <= PROFILE_NAME_MAX && strspn(name, allowed) == n;
}

struct near_search {
    struct slice word;
    char best[PROFILE_NAME_MAX + 1];
    const char *candidates[2];
};

/* Keeps the nearer of the best so far and this one. */
static void consider(void *arg, const char *name, const char *path)
{
    struct near_search *search = arg;
    const char *near;

    search->candidates[0] = search->best;
    search->candidates[1] = name;
    near =
        suggest(search->word, search->best[0] != '\0' ? search->candidates : search->candidates + 1,
                search->best[0] != '\0' ? 2 : 1);
    if (near == name)
        snprintf(search->best, sizeof(search->best), "%s", name);
}

static void say_not_found(const char *const *dirs, const char *name,
                          const struct settings_stream *stream, struct diag *diag)
{
    struct near_search search = {.word = slice_str(name)};
    const char *file = stream != NULL ? stream->file : name;
    unsigned line = stream != NULL ? stream->line : 0;

    profile_list(dirs, consider, &search, NULL);
    if (search.best[0] != '\0')
        diag_add(diag, file, line, "there is no profile `%s`; did you mean `%s`?", name,
                 search.best);
    else
        diag_add(diag, file, line, "there is no profile `%s` (searched for %s.ini in %s%s%s)", name,
                 name, dirs[0] != NULL ? dirs[0] : "no directory",
                 dirs[0] != NULL && dirs[1] != NULL ? " and " : "",
                 dirs[0] != NULL && dirs[1] != NULL ? dirs[1] : "");
}

/* 0 and a path that the caller frees, ERR_NOTFOUND or ERR_NOMEM. */
static int find_file(const char *const *dirs, const char *name, char **out)
{
    for (size_t i = 0; name_ok(name) && dirs[i] != NULL; i++) {
        if (asprintf(out, "%s/%s.ini", dirs[i], name) < 0)
            return ERR_NOMEM;
        if (access(*out, F_OK) == 0)
            return 0;
        free(*out);
    }
    return ERR_NOTFOUND;
}

/* ---- entries ---- */

static bool same_key(const struct ini_entry *a, const struct ini_entry *b)
{
    return strcmp(a->section, b->section) == 0 && strcmp(a->name, b->name) == 0 &&
           (a->key == NULL) == (b->key == NULL) && (a->key == NULL || strcmp(a->key, b->key) == 0);
}

/* An override takes the place of the entry it overrides, so that rules keep their order. */
static void put_entry(struct loader *l, const struct ini_entry *entry, bool replace)
{
    for (size_t i = 0; replace && i < l->n_entries; i++)
        if (same_key(&l->entries[i], entry)) {
            l->entries[i] = *entry;
            return;
        }
    if (l->n_entries == PROFILE_ENTRIES_MAX)
        diag_add(l->diag, entry->file, entry->line, "more than %d keys in one profile",
                 PROFILE_ENTRIES_MAX);
    else
        l->entries[l->n_entries++] = *entry;
}

static const char *keep(struct loader *l, const char *text)
{
    return text != NULL ? arena_text(l->arena, slice_str(text)) : NULL;
}

static void take_file(struct loader *l, const struct ini *ini)
{
    for (size_t i = 0; i < ini_count(ini) && !l->arena->failed; i++) {
        const struct ini_entry *e = ini_get(ini, i);

        put_entry(l,
                  &(struct ini_entry){.section = keep(l, e->section),
                                      .name = keep(l, e->name),
                                      .key = keep(l, e->key),
                                      .value = keep(l, e->value),
                                      .file = keep(l, e->file),
                                      .line = e->line},
                  false);
    }
}

/* "SECTION.KEY" or "NAMED:NAME.KEY" of [stream]. */
static void take_override(struct loader *l, const struct ini_entry *e)
{
    const char *dot = strchr(e->key, '.');
    struct slice section = slice_make(e->key, (size_t)(dot - e->key));
    const char *colon = slice_find_byte(section, ':');
    struct slice name = SLICE("");
    struct ini_entry entry = {.file = keep(l, e->file), .line = e->line};

    if (colon != NULL) {
        name = slice_from(section, (size_t)(colon - section.ptr) + 1);
        section.len = (size_t)(colon - section.ptr);
    }
    if (slice_eq_str(section, "profile")) {
        load_fault(l, e, "`%s`: [profile] cannot be overridden for one stream", e->key);
        return;
    }
    entry.section = arena_text(l->arena, section);
    entry.name = arena_text(l->arena, name);
    entry.key = keep(l, dot + 1);
    entry.value = keep(l, e->value);
    if (!l->arena->failed)
        put_entry(l, &entry, true);
}

static void take_overrides(struct loader *l)
{
    for (size_t i = 0; l->stream != NULL && i < l->stream->n_rest && !l->arena->failed; i++)
        if (strchr(l->stream->rest[i]->key, '.') != NULL)
            take_override(l, l->stream->rest[i]);
}

/*
 * What decides how the rest is read comes first: [profile] and [message]; then what declares
 * variables, which is rules and captures.
 */
enum turn { TURN_FIRST, TURN_CAPTURES, TURN_REST };

static enum turn turn_of(const struct ini_entry *entry)
{
    bool http = strcmp(entry->section, "http") == 0;

    if (strcmp(entry->section, "profile") == 0 || strcmp(entry->section, "message") == 0)
        return TURN_FIRST;
    if (strcmp(entry->section, "on") == 0 ||
        (http && (entry->key == NULL || strncmp(entry->key, "capture", 7) == 0)))
        return TURN_CAPTURES;
    return TURN_REST;
}

static void take_turn(struct loader *l, enum turn turn)
{
    for (size_t i = 0; i < l->n_entries && !l->arena->failed; i++)
        if (turn_of(&l->entries[i]) == turn)
            load_key(l, &l->entries[i]);
}

/* ---- the digest ---- */

/* Each text with its end: what stands in one may not count as part of the next. NULL is not "". */
static void digest_text(uint8_t digest[16], const char *text)
{
    uint8_t key[16];

    memcpy(key, digest, sizeof(key));
    siphash128(key, text != NULL ? text : "", text != NULL ? strlen(text) + 1 : 0, digest);
}

static void set_digest(struct loader *l)
{
    uint8_t *digest = l->profile->digest;

    digest_text(digest, l->profile->name);
    for (size_t i = 0; i < l->n_entries; i++) {
        digest_text(digest, l->entries[i].section);
        digest_text(digest, l->entries[i].name);
        digest_text(digest, l->entries[i].key);
        digest_text(digest, l->entries[i].value);
    }
    for (unsigned i = 0; i < l->n_params; i++) {
        digest_text(digest, l->params[i].name);
        digest_text(digest, l->params[i].value);
    }
}

/* ---- the whole ---- */

static void compile(struct loader *l)
{
    take_turn(l, TURN_FIRST);
    load_configure(l);
    take_turn(l, TURN_CAPTURES);
    take_turn(l, TURN_REST);
    load_keep_secrets(l);
    load_keep_variables(l);
    if (!l->arena->failed)
        load_check(l);
    set_digest(l);
}

static void set_defaults(struct profile *p, const struct settings_stream *stream)
{
    static const int64_t steps_ms[] = {0, 1000, 2000, 4000, 8000, 16000, 30000};

    p->connect.close_code = 1001;
    p->connect.max_message = LIMIT_MESSAGE_DEFAULT;
    p->connect.parallel = 1;
    p->auth.refresh = PROFILE_NONE;
    p->auth.refresh_at = 0.8;
    p->fallback.after = FALLBACK_AFTER;
    p->fallback.retry_primary_ms = RETRY_PRIMARY_MS;
    p->fallback.timeout_ms = FALLBACK_TIMEOUT_MS;
    p->live.timeout_ms = LIVE_TIMEOUT_MS;
    p->heartbeat.ws_ping_ms = WS_PING_MS;
    p->heartbeat.pong_timeout_ms = PONG_TIMEOUT_MS;
    p->heartbeat.send = PROFILE_NONE;
    p->catchup.tip = PROFILE_NONE;
    memcpy(p->backoff.steps_ms, steps_ms, sizeof(steps_ms));
    p->backoff.n_steps = sizeof(steps_ms) / sizeof(steps_ms[0]);
    p->backoff.jitter = 0.2;
    p->backoff.reset_after_ms = RESET_AFTER_MS;
    p->catchup.settle_ms = SETTLE_MS;
    p->catchup.timeout_ms = CATCHUP_TIMEOUT_MS;
    p->park_probe_ms = stream != NULL ? stream->park_probe_ms : PARK_PROBE_MS;
}

static void free_paths(struct profile_private *priv)
{
    json_paths_free(priv->message.paths);
    json_paths_free(priv->item.paths);
    json_paths_free(priv->captured.paths);
    json_paths_free(priv->page_paths);
    json_paths_free(priv->framing.frame_paths);
    json_paths_free(priv->framing.outer_paths);
}

static struct profile *new_profile(const char *name, const struct settings_stream *stream)
{
    struct profile *profile = calloc(1, sizeof(*profile));
    struct profile_private *priv = calloc(1, sizeof(*priv));

    if (profile == NULL || priv == NULL || json_paths_new(&priv->message.paths) != 0 ||
        json_paths_new(&priv->item.paths) != 0 || json_paths_new(&priv->captured.paths) != 0 ||
        json_paths_new(&priv->page_paths) != 0 || json_paths_new(&priv->framing.frame_paths) != 0 ||
        json_paths_new(&priv->framing.outer_paths) != 0) {
        if (priv != NULL)
            free_paths(priv);
        free(priv);
        free(profile);
        return NULL;
    }
    arena_init(&priv->arena);
    priv->profile = profile;
    priv->users = 1;
    profile->priv = priv;
    profile->name = arena_text(&priv->arena, slice_str(name));
    profile->title = profile->name;
    set_defaults(profile, stream);
    return profile;
}

struct profile *profile_hold(const struct profile *profile)
{
    profile->priv->users++;
    return profile->priv->profile;
}

void profile_free(struct profile *profile)
{
    if (profile == NULL || --profile->priv->users > 0)
        return;
    free_paths(profile->priv);
    arena_fini(&profile->priv->arena);
    free(profile->priv);
    free(profile);
}

static int load_file(struct loader *l)
{
    struct ini *ini = ini_new();
    int rc;

    l->entries = calloc(PROFILE_ENTRIES_MAX, sizeof(*l->entries));
    if (ini == NULL || l->entries == NULL) {
        ini_free(ini);
        return ERR_NOMEM;
    }
    rc = ini_read_file(ini, l->path, l->diag);
    if (rc == 0) {
        take_file(l, ini);
        take_overrides(l);
        if (!l->arena->failed)
            compile(l);
    }
    ini_free(ini);
    return l->arena->failed || rc == ERR_NOMEM ? ERR_NOMEM : 0;
}

int profile_load(const char *const *dirs, const char *name, const struct settings_stream *stream,
                 struct diag *diag, struct profile **out)
{
    size_t faults = diag_count(diag);
    struct loader *l;
    char *path;
    int rc;

    *out = NULL;
    rc = find_file(dirs, name, &path);
    if (rc == ERR_NOTFOUND) {
        say_not_found(dirs, name, stream, diag);
        return ERR_PARSE;
    }
    if (rc != 0)
        return rc;
    rc = ERR_NOMEM;
    l = calloc(1, sizeof(*l));
    if (l == NULL)
        goto err_after_path;
    *l = (struct loader){.diag = diag, .stream = stream, .path = path};
    l->profile = new_profile(name, stream);
    if (l->profile == NULL)
        goto err_after_loader;
    l->priv = l->profile->priv;
    l->arena = &l->priv->arena;
    rc = load_file(l);
    if (rc == 0 && diag_count(diag) != faults)
        rc = ERR_PARSE;
    if (rc == 0)
        *out = l->profile;
    else
        profile_free(l->profile);
    free(l->entries);
err_after_loader:
    free(l);
err_after_path:
    free(path);
    return rc;
}
