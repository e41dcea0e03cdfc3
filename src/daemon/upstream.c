#include "daemon/upstream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/timefmt.h"
#include "daemon/slots.h"
#include "daemon/upstream_private.h"
#include "reach/options.h"

static void on_later(void *arg)
{
    struct upstream *upstream = arg;
    links_later(upstream);
    requests_later(upstream);
}

void upstream_make_id(char id[9])
{
    uint32_t number = 0;
    (void)tls_random(&number, sizeof(number));
    snprintf(id, 9, "%08x", number);
}

const struct upstream_link *upstream_link(const struct upstream *upstream)
{
    struct session_status status;
    stream_session_status(upstream->stream, &status);
    for (unsigned i = 0; status.link != 0 && i < UPSTREAM_LINKS_MAX; i++)
        if (upstream->links[i].number == status.link)
            return &upstream->links[i];
    return NULL;
}

void upstream_failure(const struct upstream *upstream, enum profile_failure failure,
                      const char *text, struct profile_end *end)
{
    *end =
        (struct profile_end){.kind = PROFILE_END_FAILURE, .failure = failure, .retry_after_ms = -1};
    end_set_text(upstream_redact(upstream), end, slice_str(text));
}

enum profile_failure upstream_cause(const struct upstream *upstream, enum profile_failure otherwise)
{
    if (!upstream->proxy.failed)
        return otherwise;
    return upstream->proxy.lacks_secret ? PROFILE_FAILURE_CREDENTIAL : PROFILE_FAILURE_CONFIG;
}

void upstream_not_followed(const struct upstream *upstream, const struct http_response *response,
                           const struct error *err, struct profile_end *end)
{
    char text[400];
    struct slice location = http_response_header(response, "location");
    snprintf(text, sizeof(text), "redirect not followed: %.150s; Location: %.*s", err->text,
             location.len < 200 ? (int)location.len : 200, slice_chars(location));
    end_set_text(upstream_redact(upstream), end, slice_str(text));
}

int upstream_options(struct upstream *upstream, struct slice url, bool anew,
                     struct net_options *out, struct error *err)
{
    int status = 0;
    *out = options_of(upstream->settings);
    if (proxy_choose(&upstream->proxy, url, &out->proxy, err) != 0)
        return err->code;
    if (out->proxy != NULL && vault_learn(&upstream->vault, out->proxy->password) != 0)
        return error_set(err, ERR_NOMEM, "out of memory");
    if (options_need_tls(url))
        status = trust_need(&upstream->trust, io_now_ms(upstream->daemon->loop), anew, err);
    if (status == 0 && upstream->trust.tls != NULL)
        certificates_own(&upstream->certificates, upstream->trust.tls);
    out->tls = upstream->trust.tls;
    out->memory = upstream->daemon->memory;
    out->pool = upstream->daemon->pool;
    if (trust_is_to_blame(status))
        link_counts_files(&upstream->counts);
    return trust_is_to_blame(status) ? error_set(err, ERR_TLS, "%s", err->text) : status;
}

/* ---- the credential ---- */

static void maybe_start(struct upstream *upstream)
{
    if (!upstream->start_wanted || !upstream->vault.ready || upstream->started ||
        upstream->daemon->phase != DAEMON_RUNNING)
        return;
    upstream->started = true;
    stream_start(upstream->stream);
}

void upstream_start(struct upstream *upstream)
{
    upstream->start_wanted = true;
    maybe_start(upstream);
}

static void on_vault_ready(void *arg)
{
    maybe_start(arg);
}

static void on_vault_fresh(void *arg)
{
    struct upstream *upstream = arg;
    if (upstream->started)
        stream_credentials(upstream->stream);
}

static void on_vault_failed(void *arg, const struct profile_end *end)
{
    struct upstream *upstream = arg;
    if (upstream->started)
        stream_refresh_failed(upstream->stream, end);
}

static void on_vault_expiring(void *arg)
{
    struct upstream *upstream = arg;
    if (upstream->started)
        stream_expiring(upstream->stream);
}

static int on_vault_options(void *arg, struct slice url, struct net_options *out, struct error *err)
{
    return upstream_options(arg, url, false, out, err);
}

static void on_vault_tls(void *arg, unsigned http, const struct tls *tls)
{
    struct upstream *upstream = arg;
    certificates_peer(&upstream->certificates, http, tls);
}

static const struct vault_events vault_events = {
    .on_ready = on_vault_ready,
    .on_fresh = on_vault_fresh,
    .on_failed = on_vault_failed,
    .on_expiring = on_vault_expiring,
    .options = on_vault_options,
    .on_tls = on_vault_tls,
};

static void on_trust_changed(void *arg, const char *path)
{
    struct upstream *upstream = arg;
    log_notice(upstream->settings->name, NULL, "%s has changed", path);
    on_vault_fresh(upstream);
}

static void on_password_changed(void *arg)
{
    struct upstream *upstream = arg;
    log_notice(upstream->settings->name, NULL, "the proxy's password has changed");
    on_vault_fresh(upstream);
}

/* ---- operations of the stream ---- */

static int64_t op_now_ms(void *arg)
{
    struct upstream *upstream = arg;
    return io_now_ms(upstream->daemon->loop);
}

static int64_t op_wall_us(void *arg)
{
    (void)arg;
    return io_wall_us();
}

static struct slice op_secret(void *arg, const char *name, struct error *err)
{
    struct upstream *upstream = arg;
    return vault_read(&upstream->vault, name, err);
}

static void op_refresh(void *arg)
{
    struct upstream *upstream = arg;
    vault_refresh(&upstream->vault);
}

static void op_secret_set(void *arg, const char *name, struct slice value)
{
    struct upstream *upstream = arg;
    vault_set(&upstream->vault, name, value);
}

/* Of the link that a line is about: the one that has just ended, else the one that delivers. */
static const char *link_id(const struct upstream *upstream)
{
    const struct upstream_link *link = upstream_link(upstream);
    if (upstream->ended_id[0] != '\0')
        return upstream->ended_id;
    return link != NULL ? link->id : NULL;
}

/* Also of certificates. */
static void op_say(void *arg, const char *text)
{
    struct upstream *upstream = arg;
    struct profile_end said;
    upstream_failure(upstream, PROFILE_FAILURE_HTTP, text, &said);
    log_warning(upstream->settings->name, link_id(upstream), "%s", said.text);
    snprintf(upstream->warning, sizeof(upstream->warning), "%s", said.text);
    upstream->warned_ms = io_now_ms(upstream->daemon->loop);
}

static void note_state(struct upstream *upstream, const struct session_action *action)
{
    struct session_status status;
    stream_session_status(upstream->stream, &status);
    health_state(&upstream->health, action, status.waits_for, io_now_ms(upstream->daemon->loop));
}

/* For metrics. */
static void note_times(struct upstream *upstream, const struct session_action *action)
{
    int64_t now_ms = io_now_ms(upstream->daemon->loop);
    upstream->retry_ms = action->retry_ms >= 0 ? action->retry_ms : 0;
    if (action->from == SESSION_CATCHING_UP && upstream->catching_since_ms >= 0) {
        upstream->catchup_ms = now_ms - upstream->catching_since_ms;
        upstream->catching_since_ms = -1;
    }
    if (action->to == SESSION_CATCHING_UP)
        upstream->catching_since_ms = now_ms;
}

static void op_state(void *arg, const struct session_action *action, uint64_t link)
{
    struct upstream *upstream = arg;
    char delay[DURATION_TEXT_SIZE + 32] = "";
    const char *id = upstream_link_id(upstream, link);
    bool bad =
        action->to == SESSION_PARKED || action->to == SESSION_HELD || action->to == SESSION_STALLED;
    bool detail = action->to == SESSION_DIALING || action->to == SESSION_OPENING ||
                  action->to == SESSION_GREETING;
    if (action->retry_ms >= 0) {
        char text[DURATION_TEXT_SIZE];
        duration_format(action->retry_ms, text, sizeof(text));
        snprintf(delay, sizeof(delay), "; next attempt in %s", text);
    }
    log_write_id(action->to == SESSION_PARKED ? LOG_ID_PARKED : NULL,
                 bad      ? LOG_LEVEL_WARNING
                 : detail ? LOG_LEVEL_DEBUG
                          : LOG_LEVEL_INFO,
                 upstream->settings->name, id != NULL ? id : link_id(upstream), "%s > %s%s%s%s",
                 session_state_name(action->from), session_state_name(action->to),
                 action->text[0] != '\0' ? ": " : "", action->text, delay);
    note_times(upstream, action);
    note_state(upstream, action);
    if (action->to == SESSION_STOPPED)
        io_idle_arm(upstream->daemon->soon); /* the daemon may wait for this */
}

/* A service may send one malformed message after the other: the log is told of them, not filled. */
static void op_gap(void *arg, enum session_gap reason, const char *detail)
{
    struct upstream *upstream = arg;
    char more[48] = "";
    int64_t now = io_now_ms(upstream->daemon->loop);
    if (upstream->gap_said_ms != 0 && now - upstream->gap_said_ms < UPSTREAM_GAP_LOG_MS) {
        upstream->gaps_unsaid++;
        return;
    }
    if (upstream->gaps_unsaid > 0)
        snprintf(more, sizeof(more), " (and %u more since the last)", upstream->gaps_unsaid);
    log_write_id(LOG_ID_GAP, LOG_LEVEL_WARNING, upstream->settings->name, link_id(upstream),
                 "gap %s%s%s%s", session_gap_name(reason), detail != NULL ? ": " : "",
                 detail != NULL ? detail : "", more);
    upstream->gap_said_ms = now;
    upstream->gaps_unsaid = 0;
}

static void on_timer(void *arg)
{
    struct upstream *upstream = arg;
    stream_tick(upstream->stream);
}

static void op_deadline(void *arg, int64_t deadline_ms)
{
    struct upstream *upstream = arg;
    if (deadline_ms == INT64_MAX) {
        io_timer_clear(upstream->timer);
        return;
    }
    int64_t delay = deadline_ms - io_now_ms(upstream->daemon->loop);
    io_timer_set(upstream->timer, delay > 0 ? delay : 0);
}

static const struct stream_ops stream_ops = {
    .now_ms = op_now_ms,
    .wall_us = op_wall_us,
    .secret = op_secret,
    .dial = links_dial,
    .link_send = links_send,
    .link_close = links_close,
    .link_abort = links_abort,
    .link_ping = links_ping,
    .link_resume = links_resume,
    .link_last_rx_ms = links_last_rx_ms,
    .http = requests_start,
    .http_stream = requests_stream,
    .http_resume = requests_resume,
    .http_cancel = requests_cancel,
    .refresh = op_refresh,
    .secret_set = op_secret_set,
    .say = op_say,
    .state = op_state,
    .gap = op_gap,
    .deadline = op_deadline,
};

/* ---- life ---- */

struct store_stream_options upstream_in_store(const struct settings_stream *settings,
                                              const struct profile *profile)
{
    return (struct store_stream_options){
        .name = settings->name,
        .fingerprint = profile->fingerprint,
        .retain_size_bytes = settings->retain_size_bytes,
        .retain_age_ms = settings->retain_age_ms,
        .dedup_window = settings->dedup_window,
    };
}

static int open_in_store(struct upstream *upstream, struct store_stream_state *state,
                         struct error *err)
{
    struct store_stream_options options = upstream_in_store(upstream->settings, upstream->profile);
    return persist_stream_open(upstream->daemon->persist, &options, state, err);
}

static void on_key(void *arg, const uint8_t key[16])
{
    stream_restore_key(arg, key);
}

static void take_state(struct upstream *upstream, const struct store_stream_state *state)
{
    struct slice position = {NULL, 0};
    if (state->has_position)
        position = slice_make(state->position, state->position_len);
    stream_restore(upstream->stream, position,
                   state->fingerprint_changed || upstream->fingerprint_changed,
                   state->newest_seq > 0);
    upstream->fingerprint_changed = false;
}

void upstream_take(struct upstream *upstream, const struct persist_opening *opening)
{
    take_state(upstream, &opening->state);
    for (size_t at = 0; at < opening->keys.len; at += 16)
        stream_restore_key(upstream->stream, (const uint8_t *)opening->keys.data + at);
}

int upstream_restore(struct upstream *upstream, struct error *err)
{
    struct store_stream_state state;
    int status = open_in_store(upstream, &state, err);
    if (status != 0)
        return error_wrap(err, "%s", upstream->settings->name);
    take_state(upstream, &state);
    status = store_dedup_load(persist_store(upstream->daemon->persist), state.id, on_key,
                              upstream->stream, err);
    if (status == ERR_CORRUPT) {
        /* All others are loaded: that is no reason for nothing to run at all. */
        log_error(upstream->settings->name, NULL, "%s", err->text);
        return 0;
    }
    return status != 0 ? error_wrap(err, "%s", upstream->settings->name) : 0;
}

static int encode_tags(const struct settings_stream *settings, struct buf *out)
{
    int status = 0;
    for (size_t i = 0; i < settings->n_tags && status == 0; i++) {
        char name[256];
        snprintf(name, sizeof(name), "tag.%s", settings->tags[i].name);
        if (out->len > 0)
            status = buf_append_byte(out, ',');
        if (status == 0)
            status = json_write_string(out, slice_str(name));
        if (status == 0)
            status = buf_append_byte(out, ':');
        if (status == 0)
            status = json_write_string(out, slice_str(settings->tags[i].value));
    }
    return status;
}

/* A message that does not fit into the hold would make every catch-up with it in vain. */
static size_t hold_bytes(const struct profile *profile)
{
    size_t need = (size_t)profile->connect.max_message + (64u << 10);
    return need > DAEMON_HOLD_BYTES ? need : DAEMON_HOLD_BYTES;
}

static int make_stream(struct upstream *upstream, struct error *err)
{
    struct daemon *daemon = upstream->daemon;
    const struct settings_stream *settings = upstream->settings;
    struct buf tags;
    buf_init(&tags, LIMIT_INI_LINE);
    int status = encode_tags(settings, &tags);
    if (status == 0)
        status = hub_stream_new(daemon->hub, settings->name, upstream->store_id, buf_slice(&tags),
                                &upstream->hub_stream);
    buf_fini(&tags);
    if (status != 0)
        return error_set(err, status, "tags: %s", error_text(status));
    status = slots_client_new(daemon->slots, upstream, &upstream->slots);
    if (status != 0)
        return error_set(err, status, "%s", error_text(status));
    struct stream_options options = {
        .name = settings->name,
        .profile = upstream->profile,
        .hub = daemon->hub,
        .hub_stream = upstream->hub_stream,
        .broker = upstream->slots,
        .hash_key = persist_info(daemon->persist)->hash_key,
        .dedup_window = settings->dedup_window,
        .hold_bytes = hold_bytes(upstream->profile),
        .rtt_reconnects = settings->rtt_reconnects,
        .start = settings->start,
        .start_position = settings->start_position,
        .ops = &stream_ops,
        .ops_arg = upstream,
    };
    (void)tls_random(&options.seed, sizeof(options.seed));
    status = stream_new(&options, &upstream->stream);
    return status != 0 ? error_set(err, status, "%s", error_text(status)) : 0;
}

/* An address of the outside, for as long as no peer is known: the documentation's own (RFC 5737).
 */
static void set_outside(struct upstream_route *route)
{
    struct sockaddr_in outside = {.sin_family = AF_INET};
    (void)inet_pton(AF_INET, "192.0.2.1", &outside.sin_addr);
    memcpy(&route->peer, &outside, sizeof(outside));
    io_network_route(&route->peer, route->text, sizeof(route->text));
}

static int init_trust(struct upstream *upstream, struct error *err)
{
    struct tls_context_options options = options_of_tls(upstream->settings);
    return trust_init(&upstream->trust, upstream->daemon->loop, &options, on_trust_changed,
                      upstream, err);
}

static int make_parts(struct upstream *upstream, struct error *err)
{
    struct daemon *daemon = upstream->daemon;
    int status = io_timer_new(daemon->loop, on_timer, upstream, &upstream->timer);
    if (status == 0)
        status = io_idle_new(daemon->loop, on_later, upstream, &upstream->later);
    if (status == 0)
        status = cookie_jar_new(&upstream->cookies);
    if (status == 0)
        status = requests_new(upstream);
    if (status == 0)
        status = certificates_init(&upstream->certificates, daemon->loop, op_say, upstream);
    if (status != 0)
        return error_set(err, status, "out of memory");
    status = init_trust(upstream, err);
    if (status == 0)
        status = proxy_init(&upstream->proxy, daemon->loop, upstream->settings, on_password_changed,
                            upstream, err);
    if (status == 0)
        status = vault_join(daemon->vaults, upstream->profile, &vault_events, upstream,
                            upstream->settings->name, &upstream->vault, err);
    return status != 0 ? status : make_stream(upstream, err);
}

int upstream_new(struct daemon *daemon, struct generation *generation, size_t index,
                 unsigned store_id, struct upstream **out, struct error *err)
{
    struct upstream *upstream = calloc(1, sizeof(*upstream));
    if (upstream == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    upstream->daemon = daemon;
    upstream->made_from = generation_hold(generation);
    upstream->settings = &generation->configuration.settings->streams[index];
    upstream->profile = profile_hold(generation->configuration.profiles[index]);
    upstream->store_id = store_id;
    link_counts_init(&upstream->counts);
    upstream->catching_since_ms = -1;
    health_init(&upstream->health, io_now_ms(daemon->loop));
    set_outside(&upstream->route);
    if (make_parts(upstream, err) != 0) {
        error_wrap(err, "%s", upstream->settings->name);
        upstream_free(upstream);
        return err->code;
    }
    *out = upstream;
    return 0;
}

int upstream_retag(struct upstream *upstream)
{
    struct buf tags;
    buf_init(&tags, LIMIT_INI_LINE);
    int status = encode_tags(upstream->settings, &tags);
    if (status == 0)
        status = hub_stream_tags(upstream->hub_stream, buf_slice(&tags));
    buf_fini(&tags);
    return status;
}

void upstream_stop(struct upstream *upstream)
{
    upstream->start_wanted = false;
    if (upstream->started)
        stream_stop(upstream->stream);
}

void upstream_cut(struct upstream *upstream)
{
    links_free(upstream);
    requests_cut(upstream);
    io_timer_clear(upstream->timer);
    upstream->cut = true;
}

bool upstream_over(const struct upstream *upstream)
{
    return (upstream->cut || stream_stopped(upstream->stream)) && stream_settled(upstream->stream);
}

void upstream_note(struct upstream *upstream, bool sample)
{
    struct stream_stats stats;
    stream_stats(upstream->stream, &stats);
    health_note(&upstream->health, &stats, io_now_ms(upstream->daemon->loop), sample);
}

const char *upstream_trouble(const struct upstream *upstream, const struct session_status *status)
{
    return upstream->health.trouble[0] != '\0' ? upstream->health.trouble : status->reason;
}

void upstream_free(struct upstream *upstream)
{
    if (upstream == NULL)
        return;
    links_free(upstream);
    requests_free(upstream);
    if (upstream->timer != NULL)
        io_timer_close(upstream->timer);
    if (upstream->later != NULL)
        io_idle_close(upstream->later);
    stream_free(upstream->stream);
    broker_client_free(upstream->slots);
    vault_leave(&upstream->vault);
    certificates_fini(&upstream->certificates);
    trust_fini(&upstream->trust);
    proxy_fini(&upstream->proxy);
    cookie_jar_free(upstream->cookies);
    if (upstream->hub_stream != NULL && hub_stream_idle(upstream->hub_stream))
        hub_stream_free(upstream->daemon->hub, upstream->hub_stream);
    profile_free(upstream->profile);
    generation_drop(upstream->made_from);
    free(upstream);
}
