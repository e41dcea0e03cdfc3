#include "daemon/vault.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/timefmt.h"
#include "daemon/vault_private.h"
#include "reach/vault_name.h"

static int64_t wall_s(void)
{
    return io_wall_us() / 1000000;
}

static int64_t now_ms(const struct vault *vault)
{
    return io_now_ms(vault->vaults->loop);
}

const char *vault_stream(const struct vault *vault)
{
    if (list_empty(&vault->users))
        return NULL;
    return LIST_ENTRY(list_first(&vault->users), struct vault_user, node)->stream;
}

bool vault_has_programs(const struct vault *vault)
{
    for (size_t i = 0; i < vault->n_secrets; i++)
        if (secret_is_exec(vault->secrets[i].source))
            return true;
    return false;
}

/* ---- values ---- */

/* What the source holds now, into vault->scratch. */
static int source_value(struct vault *vault, const struct vault_secret *secret, struct error *err)
{
    buf_wipe(&vault->scratch);
    if (!secret_is_exec(secret->source))
        return secret_read(secret->source, &vault->scratch, err);
    if (secret->exec_status == ERR_AGAIN)
        return error_set(err, ERR_AGAIN, "secret %s: it has not run yet", secret->source);
    if (secret->printed.len == 0)
        return error_set(err, secret->exec_status, "%s", secret->exec_err.text);
    int rc = buf_reserve(&vault->scratch, LIMIT_SECRET);
    if (rc == 0)
        rc = buf_append_slice(&vault->scratch, buf_slice(&secret->printed));
    return rc != 0 ? error_set(err, rc, "secret: out of memory") : 0;
}

/* 0: there is nothing. */
static uint64_t source_hash(struct vault *vault, const struct vault_secret *secret)
{
    struct error err;
    return source_value(vault, secret, &err) == 0
               ? vault_hash(vault->salt, buf_slice(&vault->scratch))
               : 0;
}

/* Of all sources together: what a secret without a source of its own depends on. */
static uint64_t combined_hash(struct vault *vault)
{
    uint64_t all = 1;
    for (size_t i = 0; i < vault->n_secrets; i++)
        if (vault->secrets[i].source != NULL)
            all = all * 31 + source_hash(vault, &vault->secrets[i]);
    return all;
}

uint64_t vault_source_hash(struct vault *vault, const struct vault_secret *secret)
{
    return secret->source != NULL ? source_hash(vault, secret) : combined_hash(vault);
}

uint64_t vault_sources_hash(struct vault *vault)
{
    uint64_t all = 1;
    for (size_t i = 0; i < vault->n_secrets; i++)
        if (vault->secrets[i].source != NULL && !secret_is_exec(vault->secrets[i].source))
            all = all * 31 + source_hash(vault, &vault->secrets[i]);
    buf_wipe(&vault->scratch);
    return all;
}

static bool uses_rotated(struct vault *vault, const struct vault_secret *secret)
{
    return secret->rotated && secret->rotated_from == vault_source_hash(vault, secret);
}

/* If this is not what the last look saw, then the source is just being written, and the next look
 * is to tell whatever it finds: that may be what the last one saw, but not what was used meanwhile.
 */
static int value_met(struct vault *vault, struct vault_secret *secret, struct error *err)
{
    int rc = source_value(vault, secret, err);
    uint64_t hash = rc == 0 ? vault_hash(vault->salt, buf_slice(&vault->scratch)) : 0;
    if (hash != secret->seen)
        secret->seen = 0;
    return rc;
}

int vault_value(struct vault *vault, size_t i, struct error *err)
{
    struct vault_secret *secret = &vault->secrets[i];
    int rc = 0;
    if (uses_rotated(vault, secret)) {
        buf_wipe(&vault->scratch);
        rc = buf_reserve(&vault->scratch, LIMIT_SECRET);
        if (rc == 0)
            rc = buf_append_slice(&vault->scratch, buf_slice(&secret->value));
        if (rc != 0)
            error_set(err, rc, "secret: out of memory");
    } else if (secret->source == NULL) {
        buf_wipe(&vault->scratch);
        return ERR_NOTFOUND;
    } else {
        rc = value_met(vault, secret, err);
    }
    if (rc == 0 && redact_learn(&vault->redact, buf_slice(&vault->scratch)) != 0)
        rc = error_set(err, ERR_NOMEM, "secret: out of memory");
    return rc;
}

bool vault_look(struct vault *vault, bool programs_only)
{
    bool changed = false;
    for (size_t i = 0; i < vault->n_secrets; i++) {
        struct vault_secret *secret = &vault->secrets[i];
        if (programs_only && !secret_is_exec(secret->source))
            continue;
        uint64_t hash = secret->source != NULL ? source_hash(vault, secret) : 0;
        if (hash == secret->seen)
            continue;
        secret->seen = hash;
        secret->seen_s = wall_s();
        changed = true;
    }
    buf_wipe(&vault->scratch);
    return changed;
}

struct vault_secret *vault_token(struct vault *vault)
{
    for (size_t i = 0; vault->profile->auth.token != NULL && i < vault->n_secrets; i++)
        if (strcmp(vault->secrets[i].name, vault->profile->auth.token) == 0)
            return &vault->secrets[i];
    return NULL;
}

/* Unix time at which the token in use expires, -1: nobody says. */
static int64_t expiry_s(struct vault *vault, int64_t *obtained_s)
{
    struct vault_secret *token = vault_token(vault);
    struct error err;
    int64_t expires_s;
    if (token == NULL || vault_value(vault, (size_t)(token - vault->secrets), &err) != 0)
        return -1;
    expires_s = profile_jwt_expiry_s(buf_slice(&vault->scratch));
    buf_wipe(&vault->scratch);
    *obtained_s = token->seen_s;
    if (uses_rotated(vault, token)) {
        *obtained_s = token->obtained_s;
        if (token->expires_s >= 0)
            expires_s = token->expires_s;
    }
    buf_wipe(&vault->scratch);
    return expires_s;
}

void vault_lifetime(struct vault *vault)
{
    bool asks_service = vault->profile->auth.refresh != PROFILE_NONE;
    int64_t now = now_ms(vault), obtained_s = 0, wall = wall_s();
    int64_t expires_s = vault->expires_s = expiry_s(vault, &obtained_s);
    int64_t expires_ms = expires_s < 0 ? INT64_MAX : now + (expires_s - wall) * 1000;
    /* A file tells by itself when it changes; a program has to be asked, and may say the same. */
    if (!asks_service && (!vault_has_programs(vault) || expires_s <= wall))
        expires_ms = INT64_MAX;
    vault_core_lifetime(&vault->core, now + (obtained_s - wall) * 1000, expires_ms,
                        vault->profile->auth.refresh_at, now);
    if (!asks_service && vault->core.refresh_at_ms < now + VAULT_AGAIN_MS)
        vault->core.refresh_at_ms = now + VAULT_AGAIN_MS;
}

/* ---- telling ---- */

static void tell(struct vault_user *user, bool source_changed)
{
    struct vault *vault = user->vault;
    bool old = user->used != 0 && user->used != vault->generation;
    user->tell_fresh |= user->waiting || user->refused || source_changed;
    user->tell_expiring |= old && !user->waiting && vault->profile->auth.token != NULL;
    user->waiting = user->refused = user->tell_failed = false;
}

static void tell_all(struct vault *vault)
{
    struct list_node *node, *after;
    list_for_each(node, after, &vault->users)
        tell(LIST_ENTRY(node, struct vault_user, node), false);
    vault->ready = true;
    io_idle_arm(vault->later);
}

/* There is another token than the one that it has read last, or nobody can say which secret is the
 * token: then whatever has changed may help. */
static bool has_another(struct vault_user *user)
{
    struct vault *vault = user->vault;
    struct vault_secret *token = vault_token(vault);
    struct error err;
    if (token == NULL)
        return true;
    if (vault_value(vault, (size_t)(token - vault->secrets), &err) != 0)
        return vault->profile->auth.refresh == PROFILE_NONE; /* whoever dials says why */
    uint64_t hash = vault_hash(vault->salt, buf_slice(&vault->scratch));
    buf_wipe(&vault->scratch);
    return hash != user->token;
}

/* A source has changed. Who waits for a refresh was refused with the token, and goes on waiting
 * where that is still the same: from what has changed comes a fresh one. */
static void tell_changed(struct vault *vault)
{
    struct list_node *node, *after;
    bool wanted = false;
    list_for_each(node, after, &vault->users)
    {
        struct vault_user *user = LIST_ENTRY(node, struct vault_user, node);
        if (user->waiting && !has_another(user))
            wanted = true;
        else
            tell(user, true);
    }
    io_idle_arm(vault->later);
    if (wanted)
        vault_do(vault, vault_core_want(&vault->core, now_ms(vault)));
}

static void tell_failed(struct vault *vault)
{
    struct list_node *node, *after;
    list_for_each(node, after, &vault->users)
    {
        struct vault_user *user = LIST_ENTRY(node, struct vault_user, node);
        user->tell_failed |= user->waiting;
        user->waiting = false;
    }
    vault->ready = true;
    io_idle_arm(vault->later);
}

/* ---- writing ---- */

void vault_write_now(struct vault *vault)
{
    struct error err;
    if (vault->write.rc != 0)
        return; /* said already, or there is nothing whole */
    if (vault_file_write(vault->path, buf_slice(&vault->write.text), &err) != 0)
        log_error(NULL, NULL, "credential: %s", err.text);
}

static void write_run(struct io_job *job)
{
    struct vault *vault = LIST_ENTRY(job, struct vault, write.job);
    if (vault->write.rc == 0) /* else half of it must not take the place of what is there */
        vault->write.rc =
            vault_file_write(vault->path, buf_slice(&vault->write.text), &vault->write.err);
}

static void write_done(struct io_job *job)
{
    struct vault *vault = LIST_ENTRY(job, struct vault, write.job);
    bool written = vault->write.rc == 0;
    vault->write.running = false;
    buf_wipe(&vault->write.text);
    buf_fini(&vault->write.text);
    if (vault_unused(vault))
        return;
    if (!written && !vault->core.unstored) {
        log_error(vault_stream(vault), NULL, "credential: %s", vault->write.err.text);
        vault->end = (struct profile_end){
            .kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_HTTP, .retry_after_ms = -1};
        snprintf(vault->end.text, sizeof(vault->end.text), "no refresh: %.200s",
                 vault->write.err.text);
    }
    vault_do(vault, vault->write.store ? vault_core_stored(&vault->core, written, now_ms(vault))
                                       : vault_core_marked(&vault->core, written, now_ms(vault)));
}

/* What counts from now on: the answer, where there is one. */
static int encode(struct vault *vault, struct buf *out)
{
    struct vault_head head = {.asks = vault->core.asks, .sources_hash = vault_sources_hash(vault)};
    size_t room = 256;
    memcpy(head.salt, vault->salt, sizeof(head.salt));
    for (size_t i = 0; i < vault->n_secrets; i++)
        room += vault_file_room(VAULT_NAME_MAX,
                                vault->secrets[i].value.len + vault->secrets[i].answer.len);
    buf_init(out, VAULT_FILE_MAX);
    int rc = buf_reserve(out, room);
    if (rc == 0)
        rc = vault_file_begin(out, &head);
    for (size_t i = 0; rc == 0 && i < vault->n_secrets; i++) {
        struct vault_secret *secret = &vault->secrets[i];
        struct vault_kept kept = {
            .name = slice_str(secret->name),
            .source_hash = secret->answered ? secret->asked_from : secret->rotated_from,
            .obtained_s = secret->answered ? wall_s() : secret->obtained_s,
            .expires_s = secret->expires_s,
            .value = buf_slice(secret->answered ? &secret->answer : &secret->value),
        };
        if (secret->answered)
            kept.expires_s = secret == vault_token(vault) && vault->ttl_s >= 0
                                 ? kept.obtained_s + vault->ttl_s
                                 : -1;
        if (secret->answered || secret->rotated)
            rc = vault_file_add(out, &kept);
    }
    buf_wipe(&vault->scratch);
    return rc != 0 ? rc : vault_file_end(out);
}

static void start_write(struct vault *vault, bool store)
{
    vault->write.store = store;
    vault->write.rc = encode(vault, &vault->write.text);
    if (vault->write.rc != 0)
        error_set(&vault->write.err, vault->write.rc, "write %s: %s", vault->path,
                  error_text(vault->write.rc));
    vault->write.running = true;
    vault->write.job = (struct io_job){.run = write_run, .done = write_done};
    io_worker_submit(vault->vaults->worker, &vault->write.job);
}

/* ---- what the core says ---- */

static void use_answer(struct vault *vault)
{
    char left[DURATION_TEXT_SIZE] = "";
    for (size_t i = 0; i < vault->n_secrets; i++) {
        struct vault_secret *secret = &vault->secrets[i];
        if (!secret->answered)
            continue;
        struct buf old = secret->value;
        secret->value = secret->answer;
        secret->answer = old;
        buf_wipe(&secret->answer);
        secret->answered = false;
        secret->rotated = true;
        secret->rotated_from = secret->asked_from;
        secret->obtained_s = wall_s();
        secret->expires_s = secret == vault_token(vault) && vault->ttl_s >= 0
                                ? secret->obtained_s + vault->ttl_s
                                : -1;
    }
    buf_wipe(&vault->scratch);
    vault->generation++;
    vault_lifetime(vault);
    if (vault->expires_s >= 0)
        duration_format((vault->expires_s - wall_s()) * 1000, left, sizeof(left));
    log_notice(vault_stream(vault), NULL, "the credential is fresh%s%s",
               left[0] != '\0' ? ", it expires in " : "", left);
}

static void fail(struct vault *vault, bool gave_up)
{
    char what[400];
    if (gave_up) {
        vault->end = (struct profile_end){.kind = PROFILE_END_FAILURE,
                                          .failure = PROFILE_FAILURE_CREDENTIAL,
                                          .retry_after_ms = -1};
        snprintf(vault->end.text, sizeof(vault->end.text),
                 "the answer to a refresh was lost twice; the service may have replaced the "
                 "refresh token by one that never came. Sign in anew and put the new token where "
                 "its source points to, or say reconnect to try once more");
    }
    profile_end_describe(&vault->end, what, sizeof(what));
    log_warning(vault_stream(vault), NULL, "no fresh credential: %s", what);
    tell_failed(vault);
}

void vault_set_timer(struct vault *vault)
{
    int64_t left_ms = vault_core_deadline_ms(&vault->core);
    if (left_ms != INT64_MAX)
        left_ms -= now_ms(vault);
    io_timer_set(vault->timer, left_ms > VAULT_LOOK_MS ? VAULT_LOOK_MS : left_ms);
}

void vault_do(struct vault *vault, unsigned todo)
{
    if (todo & VAULT_DO_CANCEL)
        vault_ask_cancel(vault);
    if (todo & VAULT_DO_USE)
        use_answer(vault);
    if (todo & VAULT_DO_UNSTORED)
        log_error(vault_stream(vault), NULL,
                  "the fresh credential is in memory only, for it cannot be written; a restart now "
                  "needs a new sign-in");
    if (todo & VAULT_DO_TELL)
        tell_all(vault);
    if (todo & VAULT_DO_FAIL)
        fail(vault, (todo & VAULT_DO_GIVE_UP) != 0);
    if (todo & (VAULT_DO_MARK | VAULT_DO_STORE))
        start_write(vault, (todo & VAULT_DO_STORE) != 0);
    vault_set_timer(vault);
    if (todo & VAULT_DO_ASK)
        vault_ask(vault); /* last: it may come back here */
}

void vault_look_again(struct vault *vault)
{
    if (!vault->ready || !vault_look(vault, false))
        return;
    log_notice(vault_stream(vault), NULL, "a secret's source has changed");
    vault->generation++;
    vault_do(vault, vault_core_replaced(&vault->core, now_ms(vault)));
    vault_lifetime(vault);
    vault_set_timer(vault);
    tell_changed(vault); /* last: it may come back here */
}

/* ---- the users' side ---- */

static size_t find(const struct vault *vault, const char *name)
{
    size_t i = 0;
    while (i < vault->n_secrets && strcmp(vault->secrets[i].name, name) != 0)
        i++;
    return i;
}

/* The token has expired, and a fresh one is on its way: who dials now waits for that. */
static bool is_being_replaced(struct vault *vault, size_t i)
{
    int64_t obtained_s, expires_s;
    if (vault->core.state == VAULT_IDLE || &vault->secrets[i] != vault_token(vault))
        return false;
    expires_s = expiry_s(vault, &obtained_s);
    return expires_s >= 0 && expires_s <= wall_s();
}

struct slice vault_read(struct vault_user *user, const char *name, struct error *err)
{
    struct vault *vault = user->vault;
    struct slice none = {NULL, 0};
    size_t i = find(vault, name);
    if (i == vault->n_secrets)
        return none;
    if (is_being_replaced(vault, i)) {
        user->refused = true;
        error_set(err, ERR_AGAIN, "secret %s has expired, and a fresh one is on its way", name);
        return none;
    }
    user->used = vault->generation;
    if (vault_value(vault, i, err) == 0) {
        if (&vault->secrets[i] == vault_token(vault))
            user->token = vault_hash(vault->salt, buf_slice(&vault->scratch));
        return buf_slice(&vault->scratch);
    }
    if (vault->secrets[i].source == NULL && &vault->secrets[i] == vault_token(vault) &&
        vault->profile->auth.refresh != PROFILE_NONE)
        error_set(err, ERR_NOTFOUND, "secret %s is still to be fetched: %s", name,
                  vault->end.text[0] != '\0' ? vault->end.text : "the first refresh is under way");
    user->refused = err->code != 0;
    return none;
}

int64_t vault_expires_in_s(const struct vault_user *user)
{
    int64_t expires_s = user->vault->expires_s, wall = wall_s();
    if (expires_s < 0)
        return -1;
    return expires_s > wall ? expires_s - wall : 0;
}

void vault_wipe(struct vault_user *user)
{
    buf_wipe(&user->vault->scratch);
}

void vault_refresh(struct vault_user *user)
{
    struct vault *vault = user->vault;
    user->waiting = true;
    vault_look_again(vault); /* the watch may not have told yet */
    if (!user->waiting)
        return;
    if (user->used != vault->generation && has_another(user)) {
        user->waiting = false;
        user->tell_fresh = true;
        io_idle_arm(vault->later);
        return;
    }
    vault_do(vault, vault_core_want(&vault->core, now_ms(vault)));
}

void vault_set(struct vault_user *user, const char *name, struct slice value)
{
    struct vault *vault = user->vault;
    size_t i = find(vault, name);
    (void)redact_learn(&vault->redact, value);
    if (i == vault->n_secrets || value.len == 0 || value.len > LIMIT_SECRET)
        return;
    struct vault_secret *secret = &vault->secrets[i];
    buf_wipe(&secret->value);
    if (buf_reserve(&secret->value, value.len) != 0)
        return;
    (void)buf_append_slice(&secret->value, value);
    secret->rotated = true;
    secret->rotated_from = vault_source_hash(vault, secret);
    secret->obtained_s = wall_s();
    secret->expires_s = -1;
    buf_wipe(&vault->scratch);
    vault->generation++;
    vault_lifetime(vault);
    vault_do(vault, vault_core_keep(&vault->core, now_ms(vault)));
}

int vault_learn(struct vault_user *user, struct slice value)
{
    return redact_learn(&user->vault->redact, value);
}

const struct redact *vault_redact(const struct vault_user *user)
{
    return &user->vault->redact;
}
