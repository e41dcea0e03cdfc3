/* The life of vaults: made for their first user, from what is on disk, and freed with the last. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/paths.h"
#include "daemon/vault_private.h"
#include "reach/vault_name.h"

/* ---- callbacks ---- */

static void on_timer(void *arg)
{
    struct vault *vault = arg;
    vault_do(vault, vault_core_tick(&vault->core, io_now_ms(vault->vaults->loop)));
}

static void tell(struct vault *vault, struct vault_user *user)
{
    if (vault->ready && !user->ready) {
        user->ready = true;
        user->events->on_ready(user->arg);
    }
    if (user->tell_fresh) {
        user->tell_fresh = false;
        user->events->on_fresh(user->arg);
    }
    if (user->tell_expiring) {
        user->tell_expiring = false;
        user->events->on_expiring(user->arg);
    }
    if (user->tell_failed) {
        user->tell_failed = false;
        user->events->on_failed(user->arg, &vault->end);
    }
}

static void on_later(void *arg)
{
    struct vault *vault = arg;
    struct list_node *node, *after;
    list_for_each(node, after, &vault->users)
        tell(vault, LIST_ENTRY(node, struct vault_user, node));
}

static void on_watch(void *arg)
{
    vault_look_again(arg);
}

/* ---- what is on disk ---- */

static void on_kept(void *arg, const struct vault_kept *kept)
{
    struct vault *vault = arg;
    for (size_t i = 0; i < vault->n_secrets; i++) {
        struct vault_secret *secret = &vault->secrets[i];
        if (!slice_eq_str(kept->name, secret->name) || kept->value.len == 0 ||
            kept->value.len > LIMIT_SECRET || buf_reserve(&secret->value, kept->value.len) != 0)
            continue;
        buf_clear(&secret->value);
        (void)buf_append_slice(&secret->value, kept->value); /* there is room */
        secret->rotated = true;
        secret->rotated_from = kept->source_hash;
        secret->obtained_s = kept->obtained_s;
        secret->expires_s = kept->expires_s;
    }
}

static void forget_rotated(struct vault *vault)
{
    for (size_t i = 0; i < vault->n_secrets; i++) {
        vault->secrets[i].rotated = false;
        buf_wipe(&vault->secrets[i].value);
    }
}

/* A damaged file is as none: then the sources count, and what they hold may be void. */
static void load(struct vault *vault, unsigned *asks)
{
    struct vault_head head = {.asks = 0};
    struct error err = {0};
    struct buf text;
    buf_init(&text, VAULT_FILE_MAX);
    int rc = vault_file_read(vault->path, &text, &err);
    if (rc == 0)
        rc = vault_file_parse(buf_slice(&text), &head, on_kept, vault, &err);
    buf_wipe(&text);
    buf_fini(&text);
    if (rc == 0)
        memcpy(vault->salt, head.salt, sizeof(vault->salt));
    else
        (void)tls_random(vault->salt, sizeof(vault->salt));
    /* Answers that were lost before somebody signed in anew were about another token. */
    *asks = rc == 0 && head.sources_hash == vault_sources_hash(vault) ? head.asks : 0;
    if (rc == 0 || rc == ERR_NOTFOUND)
        return;
    forget_rotated(vault);
    log_error(NULL, NULL, "credential %s: %s; what it kept is not used", vault->path, err.text);
}

/* ---- making ---- */

static char *make_identity(const struct profile *profile)
{
    struct buf text;
    char *identity = NULL;
    buf_init(&text, BUF_UNBOUNDED);
    if (vault_identity(profile, &text) == 0)
        identity = slice_dup(buf_slice(&text));
    buf_fini(&text);
    return identity;
}

static char *make_path(const struct vaults *vaults, const struct vault *vault)
{
    char path[PATH_MAX];
    int n = vault_path(vaults->state_dir, vault->profile, slice_str(vault->identity), path,
                       sizeof(path));
    return n > 0 && (size_t)n < sizeof(path) ? slice_dup(slice_str(path)) : NULL;
}

static void vault_free(struct vault *vault)
{
    vault_ask_cancel(vault);
    if (vault->write.running) { /* an answer that was not written yet would be lost for good */
        vault_write_now(vault);
        buf_wipe(&vault->write.text);
        buf_fini(&vault->write.text);
    }
    for (size_t i = 0; i < vault->n_secrets; i++) {
        struct vault_secret *secret = &vault->secrets[i];
        struct buf *held[] = {&secret->printed, &secret->value, &secret->answer};
        if (secret->watch != NULL)
            io_watch_close(secret->watch);
        for (size_t k = 0; k < sizeof(held) / sizeof(held[0]); k++) {
            buf_wipe(held[k]);
            buf_fini(held[k]);
        }
    }
    if (vault->timer != NULL)
        io_timer_close(vault->timer);
    if (vault->later != NULL)
        io_idle_close(vault->later);
    buf_wipe(&vault->scratch);
    buf_fini(&vault->scratch);
    redact_fini(&vault->redact);
    free(vault->secrets);
    free(vault->identity);
    free(vault->path);
    free(vault);
}

static void make_secrets(struct vault *vault)
{
    for (size_t i = 0; i < vault->n_secrets; i++) {
        struct vault_secret *secret = &vault->secrets[i];
        secret->name = vault->profile->secrets[i].name;
        secret->source = vault->profile->secrets[i].source;
        secret->exec_status = ERR_AGAIN;
        secret->expires_s = -1;
        buf_init(&secret->printed, LIMIT_SECRET);
        buf_init(&secret->value, LIMIT_SECRET);
        buf_init(&secret->answer, LIMIT_SECRET);
    }
}

static void watch_sources(struct vault *vault)
{
    for (size_t i = 0; i < vault->n_secrets; i++) {
        struct vault_secret *secret = &vault->secrets[i];
        char path[SECRET_PATH_SIZE];
        struct error err;
        if (secret->source != NULL && secret_path(secret->source, path) &&
            io_watch_start(vault->vaults->loop, path, on_watch, vault, &secret->watch, &err) != 0)
            log_warning(NULL, NULL, "secret %s: %s", secret->source, err.text);
    }
}

static int make_parts(struct vault *vault)
{
    vault->identity = make_identity(vault->profile);
    if (vault->identity != NULL)
        vault->path = make_path(vault->vaults, vault);
    vault->secrets = calloc(vault->n_secrets + 1, sizeof(vault->secrets[0]));
    if (vault->path == NULL || vault->secrets == NULL) {
        vault->n_secrets = 0;
        return ERR_NOMEM;
    }
    make_secrets(vault);
    int rc = io_timer_new(vault->vaults->loop, on_timer, vault, &vault->timer);
    if (rc == 0)
        rc = io_idle_new(vault->vaults->loop, on_later, vault, &vault->later);
    return rc;
}

static int vault_new(struct vaults *vaults, const struct profile *profile, struct vault **out)
{
    struct vault *vault = calloc(1, sizeof(*vault));
    unsigned asks;
    if (vault == NULL)
        return ERR_NOMEM;
    *vault = (struct vault){
        .vaults = vaults, .profile = profile, .generation = 1, .expires_s = -1, .ttl_s = -1};
    vault->n_secrets = profile->n_secrets;
    list_init(&vault->users);
    redact_init(&vault->redact);
    buf_init(&vault->scratch, LIMIT_SECRET);
    int rc = make_parts(vault);
    if (rc != 0) {
        vault_free(vault);
        return rc;
    }
    load(vault, &asks);
    vault_core_init(&vault->core, profile->auth.persist && profile->auth.refresh != PROFILE_NONE,
                    asks);
    watch_sources(vault); /* before they are read: a change from here on is one */
    list_push_back(&vaults->all, &vault->node);
    *out = vault;
    return 0;
}

/* ---- users ---- */

static struct vault *find(struct vaults *vaults, const char *identity)
{
    struct list_node *node, *after;
    list_for_each(node, after, &vaults->all)
    {
        struct vault *vault = LIST_ENTRY(node, struct vault, node);
        if (strcmp(vault->identity, identity) == 0)
            return vault;
    }
    return NULL;
}

int vault_join(struct vaults *vaults, const struct profile *profile,
               const struct vault_events *events, void *arg, const char *stream,
               struct vault_user *user, struct error *err)
{
    char *identity = make_identity(profile);
    struct vault *vault = identity != NULL ? find(vaults, identity) : NULL;
    bool fresh = vault == NULL;
    int rc = identity == NULL ? ERR_NOMEM : 0;
    free(identity);
    if (rc == 0 && fresh)
        rc = vault_new(vaults, profile, &vault);
    if (rc != 0)
        return error_set(err, rc, "credential: %s", error_text(rc));
    *user = (struct vault_user){.vault = vault, .events = events, .arg = arg, .stream = stream};
    list_push_back(&vault->users, &user->node);
    if (fresh)
        vault_run_programs(vault);
    io_idle_arm(vault->later);
    return 0;
}

void vault_leave(struct vault_user *user)
{
    struct vault *vault = user->vault;
    if (vault == NULL)
        return;
    list_remove(&user->node);
    user->vault = NULL;
    if (!list_empty(&vault->users))
        return;
    /* What is being written is written: the worker has its memory until then. */
    vault_ask_cancel(vault);
    if (vault->write.running)
        return; /* vaults_free() */
    list_remove(&vault->node);
    vault_free(vault);
}

int vaults_new(struct io_loop *loop, const char *state_dir, struct vaults **out, struct error *err)
{
    struct vaults *vaults = calloc(1, sizeof(*vaults));
    char path[PATH_MAX];
    if (vaults == NULL)
        return error_set(err, ERR_NOMEM, "credentials: out of memory");
    vaults->loop = loop;
    vaults->state_dir = state_dir;
    list_init(&vaults->all);
    snprintf(path, sizeof(path), "%s/credentials", state_dir);
    int rc = paths_make(path, 0700, err);
    if (rc == 0)
        rc = io_worker_start(loop, "credentials", &vaults->worker, err);
    if (rc != 0) {
        free(vaults);
        return rc;
    }
    *out = vaults;
    return 0;
}

void vaults_free(struct vaults *vaults)
{
    if (vaults == NULL)
        return;
    io_worker_stop(vaults->worker);
    while (!list_empty(&vaults->all)) {
        struct vault *vault = LIST_ENTRY(list_first(&vaults->all), struct vault, node);
        list_remove(&vault->node);
        vault_free(vault);
    }
    free(vaults);
}

void vaults_slept(struct vaults *vaults)
{
    struct list_node *node, *after;
    list_for_each(node, after, &vaults->all)
    {
        struct vault *vault = LIST_ENTRY(node, struct vault, node);
        if (vault->ready && vault->core.state == VAULT_IDLE) {
            vault_lifetime(vault);
            vault_set_timer(vault);
        }
    }
}
