#include "daemon/upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/timefmt.h"
#include "daemon/end.h"
#include "daemon/slots.h"

static const char *link_id(const struct upstream *upstream)
{
    return upstream->link_number != 0 ? upstream->link_id : NULL;
}

/* ---- what must not be answered inline ---- */

static void on_later(void *arg)
{
    struct upstream *upstream = arg;
    if (upstream->failed_pending) {
        upstream->failed_pending = false;
        upstream->link_number = 0;
        stream_link_failed(upstream->stream, upstream->failed_link, &upstream->failed);
    }
    if (upstream->http_failed_pending) {
        upstream->http_failed_pending = false;
        stream_http_failed(upstream->stream, upstream->failed_request, &upstream->failed);
    }
    if (upstream->refresh_pending) {
        upstream->refresh_pending = false;
        stream_credentials(upstream->stream);
    }
    if (upstream->resume_pending) {
        upstream->resume_pending = false;
        if (upstream->link != NULL)
            net_link_resume(upstream->link);
    }
}

static void fail_later(struct upstream *upstream, enum profile_failure failure,
                       const struct error *err)
{
    upstream->failed =
        (struct profile_end){.kind = PROFILE_END_FAILURE, .failure = failure, .retry_after_ms = -1};
    end_set_text(&upstream->credentials.redact, &upstream->failed, slice_str(err->text));
    io_idle_arm(upstream->later);
}

/* ---- link callbacks ---- */

static void on_connected(void *arg, const char *address, const char *tls)
{
    struct upstream *upstream = arg;
    snprintf(upstream->address, sizeof(upstream->address), "%s", address);
    snprintf(upstream->tls, sizeof(upstream->tls), "%s", tls != NULL ? tls : "");
    log_debug(upstream->settings->name, link_id(upstream), "connected to %s%s%s", address,
              tls != NULL ? " with " : "", tls != NULL ? tls : "");
    stream_link_connected(upstream->stream, upstream->link_number);
}

static void on_open(void *arg, const struct http_response *response)
{
    struct upstream *upstream = arg;
    (void)response;
    log_info(upstream->settings->name, link_id(upstream), "open to %s%s%s", upstream->address,
             upstream->tls[0] != '\0' ? ", " : "", upstream->tls);
    stream_link_open(upstream->stream, upstream->link_number);
}

static int on_message(void *arg, enum ws_type type, struct slice payload)
{
    struct upstream *upstream = arg;
    return stream_message(upstream->stream, upstream->link_number,
                          type == WS_BINARY ? STREAM_BINARY : STREAM_TEXT, payload);
}

static void on_pong(void *arg, int64_t rtt_ms)
{
    struct upstream *upstream = arg;
    stream_pong(upstream->stream, upstream->link_number, rtt_ms);
}

static void on_oversize(void *arg, uint64_t bytes)
{
    struct upstream *upstream = arg;
    stream_oversize(upstream->stream, upstream->link_number, bytes);
}

static void on_closed(void *arg, const struct net_end *net_end,
                      const struct http_response *response)
{
    (void)response;
    struct upstream *upstream = arg;
    struct profile_end end;
    uint64_t number = upstream->link_number;
    char what[400];
    end_from_net(&upstream->credentials.redact, net_end, &end);
    profile_end_describe(&end, what, sizeof(what));
    log_info(upstream->settings->name, link_id(upstream), "ended: %s%s", what,
             net_end->local ? " (by us)" : "");
    upstream->link = NULL;
    upstream->link_number = 0;
    if (net_end->kind == NET_END_CLOSE)
        stream_link_closed(upstream->stream, number, &end);
    else
        stream_link_failed(upstream->stream, number, &end);
}

static const struct net_link_events link_events = {
    .on_connected = on_connected,
    .on_open = on_open,
    .on_message = on_message,
    .on_pong = on_pong,
    .on_oversize = on_oversize,
    .on_closed = on_closed,
};

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
    return credentials_read(&upstream->credentials, name, err);
}

static int need_tls(struct upstream *upstream, bool anew, struct error *err)
{
    return credentials_need_tls(&upstream->credentials, io_now_ms(upstream->daemon->loop), anew,
                                err);
}

static void net_options(const struct upstream *upstream, int64_t http_timeout_ms,
                        struct net_options *out)
{
    const struct settings_stream *settings = upstream->settings;
    *out = (struct net_options){
        .tls = upstream->credentials.tls,
        .allow_plaintext = settings->plaintext,
        .dns_timeout_ms = settings->dns_timeout_ms,
        .tcp_timeout_ms = settings->tcp_timeout_ms,
        .tls_timeout_ms = settings->tls_timeout_ms,
        .upgrade_timeout_ms = settings->upgrade_timeout_ms,
        .http_timeout_ms = http_timeout_ms,
    };
}

/* Plain-text addresses need no trust anchors. */
static bool needs_tls(struct slice url)
{
    return slice_starts_with(url, SLICE("wss:")) || slice_starts_with(url, SLICE("https:"));
}

static void op_dial(void *arg, uint64_t link, const struct profile_request *request)
{
    struct upstream *upstream = arg;
    struct net_options options;
    struct session_status session;
    struct error err = {0};
    uint32_t id = 0;
    int status = 0;
    (void)tls_random(&id, sizeof(id));
    snprintf(upstream->link_id, sizeof(upstream->link_id), "%08x", id);
    upstream->link_number = link;
    upstream->address[0] = upstream->tls[0] = '\0';
    stream_session_status(upstream->stream, &session);
    if (needs_tls(buf_slice(&request->url)))
        status = need_tls(upstream, session.attempts > 0, &err);
    enum profile_failure failure = status != 0 ? PROFILE_FAILURE_CREDENTIAL : PROFILE_FAILURE_TCP;
    credentials_note(&upstream->credentials);
    net_options(upstream, 0, &options);
    if (status == 0)
        status = net_link_open(upstream->daemon->loop, &options, buf_slice(&request->url),
                               buf_slice(&request->headers), buf_slice(&request->subprotocol),
                               upstream->profile->connect.max_message, &link_events, upstream,
                               &upstream->link, &err);
    if (status != 0) {
        upstream->link = NULL;
        upstream->failed_link = link;
        upstream->failed_pending = true;
        fail_later(upstream, failure, &err);
    }
    credentials_wipe(&upstream->credentials);
}

static int op_link_send(void *arg, uint64_t link, struct slice text)
{
    struct upstream *upstream = arg;
    if (link != upstream->link_number || upstream->link == NULL)
        return ERR_EOF;
    return net_link_send(upstream->link, WS_TEXT, text);
}

static void op_say(void *arg, const char *text)
{
    struct upstream *upstream = arg;
    log_warning(upstream->settings->name, link_id(upstream), "%s", text);
}

static void op_link_close(void *arg, uint64_t link, int code, const char *reason)
{
    struct upstream *upstream = arg;
    if (link == upstream->link_number && upstream->link != NULL)
        net_link_close(upstream->link, code, slice_str(reason));
}

static void op_link_abort(void *arg, uint64_t link)
{
    struct upstream *upstream = arg;
    if (link != upstream->link_number)
        return;
    log_info(upstream->settings->name, link_id(upstream), "dropped");
    if (upstream->link != NULL)
        net_link_abort(upstream->link);
    upstream->link = NULL;
    upstream->link_number = 0;
    upstream->failed_pending = false;
}

static void op_link_ping(void *arg, uint64_t link)
{
    struct upstream *upstream = arg;
    if (link == upstream->link_number && upstream->link != NULL)
        (void)net_link_ping(upstream->link); /* one that cannot go out is one without a pong */
}

static void op_link_resume(void *arg, uint64_t link)
{
    struct upstream *upstream = arg;
    if (link != upstream->link_number)
        return;
    upstream->resume_pending = true;
    io_idle_arm(upstream->later);
}

static int64_t op_last_rx_ms(void *arg, uint64_t link)
{
    struct upstream *upstream = arg;
    if (link == upstream->link_number && upstream->link != NULL)
        return net_link_last_rx_ms(upstream->link);
    return 0;
}

static void on_http(void *arg, const struct net_http_result *result)
{
    struct upstream *upstream = arg;
    uint64_t number = upstream->request_number;
    struct profile_end end;
    upstream->request = NULL;
    upstream->request_number = 0;
    unsigned http = upstream->profile->catchup.http;
    if (!result->failed && profile_http_ok(upstream->profile, http, result->status)) {
        struct buf body;
        buf_init(&body, LIMIT_HTTP_BODY);
        if (buf_append_slice(&body, buf_slice(&result->response->body)) == 0) {
            stream_http_done(upstream->stream, number, &body);
            buf_fini(&body);
            return;
        }
        end = (struct profile_end){
            .kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_HTTP, .retry_after_ms = -1};
        end_set_text(&upstream->credentials.redact, &end, SLICE("out of memory for the answer"));
    } else if (result->failed) {
        end_from_net(&upstream->credentials.redact, &result->end, &end);
    } else {
        end = (struct profile_end){.kind = PROFILE_END_STATUS,
                                   .code = result->status,
                                   .retry_after_ms = result->retry_after_ms};
        end_set_text(&upstream->credentials.redact, &end, buf_slice(&result->response->body));
    }
    stream_http_failed(upstream->stream, number, &end);
}

static void op_http(void *arg, uint64_t request, unsigned http, const struct profile_request *form,
                    int64_t timeout_ms)
{
    struct upstream *upstream = arg;
    struct net_options options;
    struct error err = {0};
    int status = 0;
    (void)http;
    upstream->request_number = request;
    if (needs_tls(buf_slice(&form->url)))
        status = need_tls(upstream, false, &err);
    net_options(upstream, timeout_ms, &options);
    if (status == 0)
        status =
            net_http_start(upstream->daemon->loop, &options, buf_slice(&form->method),
                           buf_slice(&form->url), buf_slice(&form->headers), buf_slice(&form->body),
                           LIMIT_HTTP_BODY, on_http, upstream, &upstream->request, &err);
    if (status != 0) {
        upstream->request = NULL;
        upstream->failed_request = request;
        upstream->http_failed_pending = true;
        fail_later(upstream, PROFILE_FAILURE_HTTP, &err);
    }
    credentials_wipe(&upstream->credentials);
}

static void op_http_cancel(void *arg, uint64_t request)
{
    struct upstream *upstream = arg;
    if (request != upstream->request_number)
        return;
    if (upstream->request != NULL)
        net_http_cancel(upstream->request);
    upstream->request = NULL;
    upstream->request_number = 0;
    upstream->http_failed_pending = false;
}

/* Sources are read at each request, so a refresh is only the wish to try again with what is there.
 */
static void op_refresh(void *arg)
{
    struct upstream *upstream = arg;
    upstream->refresh_pending = true;
    io_idle_arm(upstream->later);
}

/* While the stream waits for someone, that one may be who puts a new token or CA in its place. */
static void watch(struct upstream *upstream, enum session_state state)
{
    if (state == SESSION_PARKED || state == SESSION_HELD)
        io_timer_set(upstream->watch, CREDENTIALS_WATCH_MS);
    else
        io_timer_clear(upstream->watch);
}

static void on_watch(void *arg)
{
    struct upstream *upstream = arg;
    struct session_status status;
    if (credentials_changed(&upstream->credentials)) {
        log_notice(upstream->settings->name, NULL, "a secret or CA file has changed");
        stream_credentials(upstream->stream);
    }
    stream_session_status(upstream->stream, &status);
    watch(upstream, status.state);
}

static void op_state(void *arg, const struct session_action *action, uint64_t link)
{
    struct upstream *upstream = arg;
    char delay[DURATION_TEXT_SIZE + 32] = "";
    (void)link;
    bool bad =
        action->to == SESSION_PARKED || action->to == SESSION_HELD || action->to == SESSION_STALLED;
    bool detail = action->to == SESSION_DIALING || action->to == SESSION_OPENING ||
                  action->to == SESSION_GREETING;
    if (action->retry_ms >= 0) {
        char text[DURATION_TEXT_SIZE];
        duration_format(action->retry_ms, text, sizeof(text));
        snprintf(delay, sizeof(delay), "; next attempt in %s", text);
    }
    log_write(bad      ? LOG_LEVEL_WARNING
              : detail ? LOG_LEVEL_DEBUG
                       : LOG_LEVEL_INFO,
              upstream->settings->name, link_id(upstream), "%s > %s%s%s%s",
              session_state_name(action->from), session_state_name(action->to),
              action->text[0] != '\0' ? ": " : "", action->text, delay);
    watch(upstream, action->to);
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
    log_warning(upstream->settings->name, link_id(upstream), "gap %s%s%s%s",
                session_gap_name(reason), detail != NULL ? ": " : "", detail != NULL ? detail : "",
                more);
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
    .dial = op_dial,
    .link_send = op_link_send,
    .link_close = op_link_close,
    .link_abort = op_link_abort,
    .link_ping = op_link_ping,
    .link_resume = op_link_resume,
    .link_last_rx_ms = op_last_rx_ms,
    .http = op_http,
    .http_cancel = op_http_cancel,
    .refresh = op_refresh,
    .say = op_say,
    .state = op_state,
    .gap = op_gap,
    .deadline = op_deadline,
};

/* ---- life ---- */

static int open_in_store(struct upstream *upstream, struct store_stream_state *state,
                         struct error *err)
{
    const struct settings_stream *settings = upstream->settings;
    struct store_stream_options options = {
        .name = settings->name,
        .fingerprint = upstream->profile->fingerprint,
        .retain_size_bytes = settings->retain_size_bytes,
        .retain_age_ms = settings->retain_age_ms,
        .dedup_window = settings->dedup_window,
    };
    int status = persist_stream_open(upstream->daemon->persist, &options, state, err);
    if (status == 0 && state->fingerprint_changed)
        upstream->fingerprint_changed = true;
    return status;
}

static void on_key(void *arg, const uint8_t key[16])
{
    stream_restore_key(arg, key);
}

int upstream_restore(struct upstream *upstream, struct error *err)
{
    struct store_stream_state state;
    int status = open_in_store(upstream, &state, err);
    if (status != 0)
        return error_wrap(err, "%s", upstream->settings->name);
    upstream->store_id = state.id;
    struct slice position = {NULL, 0};
    if (state.has_position)
        position = slice_make(state.position, state.position_len);
    stream_restore(upstream->stream, position, upstream->fingerprint_changed, state.newest_seq > 0);
    upstream->fingerprint_changed = false;
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
    struct store_stream_state state;
    struct hub_stream *hub_stream;
    struct buf tags;
    int status = open_in_store(upstream, &state, err);
    if (status != 0)
        return status;
    buf_init(&tags, LIMIT_INI_LINE);
    status = encode_tags(settings, &tags);
    if (status == 0)
        status =
            hub_stream_new(daemon->hub, settings->name, state.id, buf_slice(&tags), &hub_stream);
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
        .hub_stream = hub_stream,
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

int upstream_new(struct daemon *daemon, const struct settings_stream *settings,
                 const struct profile *profile, struct upstream **out, struct error *err)
{
    struct upstream *upstream = calloc(1, sizeof(*upstream));
    if (upstream == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    upstream->daemon = daemon;
    upstream->settings = settings;
    upstream->profile = profile;
    credentials_init(&upstream->credentials, profile, settings->tls_ca);
    int status = io_timer_new(daemon->loop, on_timer, upstream, &upstream->timer);
    if (status == 0)
        status = io_timer_new(daemon->loop, on_watch, upstream, &upstream->watch);
    if (status == 0)
        status = io_idle_new(daemon->loop, on_later, upstream, &upstream->later);
    if (status != 0)
        error_set(err, status, "out of memory");
    if (status == 0)
        status = make_stream(upstream, err);
    if (status != 0) {
        upstream_free(upstream);
        return error_wrap(err, "%s", settings->name);
    }
    *out = upstream;
    return 0;
}

void upstream_free(struct upstream *upstream)
{
    if (upstream == NULL)
        return;
    if (upstream->link != NULL)
        net_link_abort(upstream->link);
    if (upstream->request != NULL)
        net_http_cancel(upstream->request);
    if (upstream->timer != NULL)
        io_timer_close(upstream->timer);
    if (upstream->watch != NULL)
        io_timer_close(upstream->watch);
    if (upstream->later != NULL)
        io_idle_close(upstream->later);
    stream_free(upstream->stream);
    broker_client_free(upstream->slots);
    credentials_fini(&upstream->credentials);
    free(upstream);
}
