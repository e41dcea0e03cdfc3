/* How a credential is fetched: by the programs of exec: sources, or from the service. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/vault_private.h"
#include "io/io.h"
#include "reach/end.h"
#include "session/session.h"

/* Who dials before that, with what was refused, is parked for it. */
_Static_assert(SESSION_REFRESH_MS > VAULT_ASKS_MAX * VAULT_HTTP_MS + VAULT_PAUSE_MS + VAULT_EXEC_MS,
               "a session waits until both requests of a refresh have failed");

static int64_t now_ms(const struct vault *vault)
{
    return io_now_ms(vault->vaults->loop);
}

static void failed(struct vault *vault, enum profile_failure failure, const char *text)
{
    vault->end =
        (struct profile_end){.kind = PROFILE_END_FAILURE, .failure = failure, .retry_after_ms = -1};
    end_set_text(&vault->redact, &vault->end, slice_str(text));
}

/* ---- programs ---- */

static void on_program(void *arg, const struct io_child_result *result)
{
    struct vault *vault = arg;
    struct vault_secret *secret = &vault->secrets[vault->asking];
    vault->child = NULL;
    secret->exec_status = result->status;
    secret->exec_err = result->err;
    if (result->status == 0) {
        buf_wipe(&secret->printed);
        secret->exec_status = buf_reserve(&secret->printed, LIMIT_SECRET);
        if (secret->exec_status == 0)
            secret->exec_status = buf_append_slice(&secret->printed, result->output);
        if (secret->exec_status == 0)
            secret->exec_status = secret_check(secret->source, &secret->printed, &secret->exec_err);
        else
            error_set(&secret->exec_err, secret->exec_status, "%s", error_text(ERR_NOMEM));
    } else {
        error_set(&secret->exec_err, result->status, "secret %s: %s", secret->source,
                  result->err.text);
    }
    vault->asking++;
    vault_run_programs(vault);
}

void vault_run_programs(struct vault *vault)
{
    for (; vault->asking < vault->n_secrets; vault->asking++) {
        struct vault_secret *secret = &vault->secrets[vault->asking];
        struct secret_words words;
        if (!secret_is_exec(secret->source))
            continue;
        secret->exec_status = secret_exec(secret->source, &words, &secret->exec_err);
        if (secret->exec_status == 0)
            secret->exec_status =
                io_child_start(vault->vaults->loop, words.argv, VAULT_EXEC_MS, on_program, vault,
                               &vault->child, &secret->exec_err);
        if (secret->exec_status == 0)
            return;
        error_wrap(&secret->exec_err, "secret");
    }
    vault->asking = 0;
    vault_programs_done(vault);
}

/* ---- the service ---- */

struct lookup {
    struct vault *vault;
    struct error err;
    char text[40];
};

static struct slice look_up(void *arg, struct slice name)
{
    struct lookup *lookup = arg;
    struct vault *vault = lookup->vault;
    static const struct slice prefix = SLICE_INIT("secret.");
    for (size_t i = 0; slice_starts_with(name, prefix) && i < vault->n_secrets; i++) {
        if (!slice_eq_str(slice_from(name, prefix.len), vault->secrets[i].name))
            continue;
        if (vault_value(vault, i, &lookup->err) != 0)
            return (struct slice){NULL, 0};
        return buf_slice(&vault->scratch);
    }
    if (!slice_eq_str(name, "now_ms"))
        return (struct slice){NULL, 0};
    snprintf(lookup->text, sizeof(lookup->text), "%lld", (long long)(io_wall_us() / 1000));
    return slice_str(lookup->text);
}

static void on_capture(void *arg, const struct profile_capture *capture)
{
    struct vault *vault = arg;
    const char *ttl = vault->profile->auth.ttl;
    uint64_t seconds;
    if (!capture->secret) {
        if (ttl != NULL && strcmp(ttl, capture->name) == 0 &&
            slice_parse_u64(capture->value, &seconds) == 0 && seconds < INT32_MAX)
            vault->ttl_s = (int64_t)seconds;
        return;
    }
    for (size_t i = 0; i < vault->n_secrets; i++) {
        struct vault_secret *secret = &vault->secrets[i];
        if (strcmp(secret->name, capture->name) != 0 || capture->value.len == 0)
            continue;
        buf_wipe(&secret->answer);
        secret->answered = buf_reserve(&secret->answer, capture->value.len) == 0 &&
                           buf_append_slice(&secret->answer, capture->value) == 0 &&
                           redact_learn(&vault->redact, capture->value) == 0;
    }
}

static bool take_answer(struct vault *vault, const struct http_response *response)
{
    struct profile_scanner *scanner;
    struct error err = {0};
    bool any = false;
    vault->ttl_s = -1;
    for (size_t i = 0; i < vault->n_secrets; i++)
        vault->secrets[i].answered = false;
    int rc = profile_scanner_new(vault->profile, &scanner);
    if (rc != 0) {
        failed(vault, PROFILE_FAILURE_HTTP, error_text(rc));
        return false;
    }
    rc = profile_http_capture(vault->profile, vault->profile->auth.refresh, scanner,
                              buf_slice(&response->body), on_capture, vault, &err);
    profile_scanner_free(scanner);
    for (size_t i = 0; i < vault->n_secrets; i++)
        any = any || vault->secrets[i].answered;
    if (rc == 0 && any)
        return true;
    failed(vault, PROFILE_FAILURE_HTTP,
           rc != 0 ? err.text : "the answer to the refresh holds no token");
    return false;
}

/* What says "not now" is not about the token, which is as good as before. */
static bool is_about_token(int status)
{
    return status < 500 && status != 408 && status != 425 && status != 429;
}

/* Whose request it was, for on_tls and options: of several users, the first. */
static struct vault_user *asker(struct vault *vault)
{
    return LIST_ENTRY(list_first(&vault->users), struct vault_user, node);
}

static void note_tls(struct vault *vault)
{
    const struct tls *tls = net_http_tls(vault->http);
    if (tls != NULL && !list_empty(&vault->users))
        asker(vault)->events->on_tls(asker(vault)->arg, vault->profile->auth.refresh, tls);
}

static void on_http(void *arg, const struct net_http_result *result)
{
    struct vault *vault = arg;
    unsigned todo;
    if (!result->failed)
        note_tls(vault);
    vault->http = NULL;
    if (result->failed) {
        end_from_net(&vault->redact, &result->end, &vault->end);
        todo = vault_core_lost(&vault->core, result->end.phase == NET_PHASE_HTTP, now_ms(vault));
    } else if (profile_http_ok(vault->profile, vault->profile->auth.refresh, result->status)) {
        todo = take_answer(vault, result->response)
                   ? vault_core_answered(&vault->core, now_ms(vault))
                   : vault_core_lost(&vault->core, true, now_ms(vault));
    } else {
        vault->end = (struct profile_end){.kind = PROFILE_END_STATUS,
                                          .code = result->status,
                                          .retry_after_ms = result->retry_after_ms};
        end_set_body(&vault->redact, vault->profile, &vault->end,
                     buf_slice(&result->response->body));
        todo = is_about_token(result->status) ? vault_core_refused(&vault->core, now_ms(vault))
                                              : vault_core_lost(&vault->core, false, now_ms(vault));
    }
    vault_do(vault, todo);
}

static int send_refresh(struct vault *vault, struct profile_request *form, struct error *err)
{
    struct vault_user *user = asker(vault);
    struct lookup lookup = {.vault = vault};
    struct net_options options;
    /* A source that changes while the answer is on its way outweighs it. */
    for (size_t i = 0; i < vault->n_secrets; i++)
        vault->secrets[i].asked_from = vault_source_hash(vault, &vault->secrets[i]);
    int rc = profile_render_http(vault->profile, vault->profile->auth.refresh, look_up, &lookup,
                                 form, err);
    buf_wipe(&vault->scratch);
    if (lookup.err.code != 0) {
        *err = lookup.err;
        return err->code;
    }
    if (rc == 0)
        rc = user->events->options(user->arg, buf_slice(&form->url), &options, err);
    if (rc != 0)
        return rc;
    options.http_timeout_ms = VAULT_HTTP_MS;
    return net_http_start(vault->vaults->loop, &options, buf_slice(&form->method),
                          buf_slice(&form->url), buf_slice(&form->headers), buf_slice(&form->body),
                          LIMIT_SECRET, on_http, vault, &vault->http, err);
}

void vault_ask(struct vault *vault)
{
    struct profile_request form;
    struct error err = {0};
    if (vault->profile->auth.refresh == PROFILE_NONE) {
        vault_run_programs(vault);
        return;
    }
    log_info(vault_stream(vault), NULL, "asking the service for a fresh token");
    profile_request_init(&form);
    int rc = list_empty(&vault->users) ? error_set(&err, ERR_CANCELED, "nobody wants it any more")
                                       : send_refresh(vault, &form, &err);
    profile_request_fini(&form);
    if (rc == 0)
        return;
    failed(vault, rc == ERR_NOMEM ? PROFILE_FAILURE_HTTP : PROFILE_FAILURE_CREDENTIAL, err.text);
    vault_do(vault, vault_core_lost(&vault->core, false, now_ms(vault)));
}

void vault_ask_cancel(struct vault *vault)
{
    if (vault->http != NULL)
        net_http_cancel(vault->http);
    if (vault->child != NULL)
        io_child_cancel(vault->child);
    vault->http = NULL;
    vault->child = NULL;
    vault->asking = 0;
}

/* Without a token, or with one that has expired, no stream need begin. */
static bool must_ask_first(struct vault *vault)
{
    struct vault_secret *token = vault_token(vault);
    struct error err;
    if (vault->profile->auth.refresh == PROFILE_NONE || token == NULL)
        return false;
    bool none = vault_value(vault, (size_t)(token - vault->secrets), &err) != 0;
    buf_wipe(&vault->scratch);
    return none || vault->core.refresh_at_ms <= now_ms(vault) + VAULT_SOON_MS;
}

/* The first run, before anybody could ask. */
static void begin(struct vault *vault, bool trouble)
{
    (void)vault_look(vault, false);
    vault_lifetime(vault);
    if (trouble)
        vault->core.refresh_at_ms = now_ms(vault) + VAULT_AGAIN_MS;
    if (must_ask_first(vault)) {
        vault_do(vault, vault_core_want(&vault->core, now_ms(vault)));
        return;
    }
    vault->ready = true;
    io_idle_arm(vault->later);
    vault_set_timer(vault);
}

void vault_programs_done(struct vault *vault)
{
    const char *trouble = NULL;
    for (size_t i = 0; i < vault->n_secrets; i++)
        if (secret_is_exec(vault->secrets[i].source) && vault->secrets[i].exec_status != 0)
            trouble = vault->secrets[i].exec_err.text;
    if (trouble != NULL) {
        failed(vault, PROFILE_FAILURE_CREDENTIAL, trouble);
        log_warning(vault_stream(vault), NULL, "%s", trouble);
    }
    if (vault->core.state != VAULT_ASKING) {
        begin(vault, trouble != NULL);
        return;
    }
    (void)vault_look(vault, true); /* files that have changed are told of by their watch */
    vault_do(vault, trouble != NULL ? vault_core_lost(&vault->core, false, now_ms(vault))
                                    : vault_core_answered(&vault->core, now_ms(vault)));
}
