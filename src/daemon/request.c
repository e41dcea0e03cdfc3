/* request: what a local program asks for, done. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/suggest.h"
#include "daemon/client.h"
#include "daemon/consumers.h"
#include "daemon/reload.h"
#include "daemon/status.h"
#include "daemon/upstream.h"

/* ---- subscribe ---- */

/* False: a name or glob matches no stream of this socket. */
static bool choose_streams(struct client *client, const struct ndjson_request *request,
                           struct slice *unknown)
{
    struct fanout_filter *filter = &client->outlet.filter;
    *unknown = slice_make(NULL, 0);
    for (unsigned i = 0; i < request->n_streams; i++) {
        *unknown = request->streams[i];
        if (!listener_choose(client->listener, request->streams[i], filter) ||
            outlet_add_stream(&client->outlet, request->streams[i]) != 0)
            return false;
    }
    return listener_show(client->listener, &client->outlet);
}

struct begin {
    uint64_t from_seq; /* UINT64_MAX: now */
    bool reset;        /* its seq or store is not ours, and it has to be told */
    bool oldest;       /* the oldest there is: what is lost before it is no loss */
};

static struct begin begin_oldest(const struct store_info *info, bool reset)
{
    return (struct begin){.from_seq = info->oldest_seq > 0 ? info->oldest_seq - 1 : 0,
                          .reset = reset,
                          .oldest = true};
}

static struct begin choose_from(struct client *client, const struct ndjson_request *request)
{
    struct daemon *daemon = client->listener->daemon;
    const struct store_info *info = persist_info(daemon->persist);
    bool foreign =
        request->instance.ptr != NULL && !slice_eq_str(request->instance, info->instance);
    switch (request->from) {
    case NDJSON_FROM_SEQ:
        if (foreign || request->from_seq > hub_reserved_seq(daemon->hub))
            break;
        return (struct begin){.from_seq = request->from_seq};
    case NDJSON_FROM_OLDEST:
        return begin_oldest(info, false);
    case NDJSON_FROM_DEFAULT:
        if (request->consumer.ptr == NULL)
            return (struct begin){.from_seq = UINT64_MAX};
        /* fall through */
    case NDJSON_FROM_CURSOR:
        if (foreign)
            break; /* for a name that is new here */
        return (struct begin){.from_seq = UINT64_MAX};
    case NDJSON_FROM_NOW:
        return (struct begin){.from_seq = UINT64_MAX};
    }
    return begin_oldest(info, true);
}

static void reply_subscribed(struct client *client, struct slice id, bool reset)
{
    struct daemon *daemon = client->listener->daemon;
    const struct store_info *info = persist_info(daemon->persist);
    uint64_t newest = fanout_published_seq(hub_fanout(daemon->hub));
    uint64_t next = client->outlet.sub.cursor + 1;
    if (next < info->oldest_seq)
        next = info->oldest_seq;
    int status = ndjson_write_subscribed(&client->outlet.head, id, next, info->oldest_seq, newest);
    if (status == 0 && reset)
        status = ndjson_write_store_reset(&client->outlet.head, info->instance, newest);
    if (status != 0)
        client->outlet.ending = true;
}

static void wait_for(struct client *client, enum client_wait what,
                     const struct ndjson_request *request)
{
    client->wait.what = what;
    client->wait.id_len = request->id.ptr != NULL ? request->id.len : 0;
    if (client->wait.id_len > 0)
        memcpy(client->wait.id, request->id.ptr, client->wait.id_len);
}

struct slice client_wait_id(const struct client *client)
{
    return slice_make(client->wait.id_len > 0 ? client->wait.id : NULL, client->wait.id_len);
}

static void subscribe_consumer(struct client *client, const struct ndjson_request *request,
                               const struct begin *begin)
{
    struct daemon *daemon = client->listener->daemon;
    struct error err = {0};
    bool later = false;
    struct consumers_start start = {
        .from_seq = begin->from_seq != UINT64_MAX ? begin->from_seq
                                                  : fanout_published_seq(hub_fanout(daemon->hub)),
        .seek = request->from != NDJSON_FROM_DEFAULT && request->from != NDJSON_FROM_CURSOR,
        .window = request->window > 0 ? request->window : LIMIT_CONSUMER_WINDOW_DEFAULT,
        .takeover = request->takeover,
    };
    enum ndjson_error error =
        consumers_connect(daemon->consumers, client, request->consumer, &start, &later, &err);
    if (error != NDJSON_OK) {
        client_reply_error(client, request->id, error, err.text);
        return;
    }
    wait_for(client, CLIENT_WAITS_TO_SUBSCRIBE, request);
    client->wait.reset = begin->reset;
    client->wait.oldest = begin->oldest && later;
    if (!later)
        request_done(client, false);
}

static void subscribe(struct client *client, const struct ndjson_request *request)
{
    struct slice unknown;
    char detail[256];
    if (client->outlet.subscribed) {
        client_reply_error(client, request->id, NDJSON_E_BAD_REQUEST,
                           "this connection has a subscription; open another for another");
        return;
    }
    memset(&client->outlet.filter, 0, sizeof(client->outlet.filter));
    buf_clear(&client->outlet.globs);
    if (!choose_streams(client, request, &unknown)) {
        snprintf(detail, sizeof(detail), "no stream \"%.*s\" on this socket",
                 (int)(unknown.len < 64 ? unknown.len : 64), unknown.ptr);
        client_reply_error(client, request->id, NDJSON_E_UNKNOWN_STREAM, detail);
        return;
    }
    for (unsigned i = 0; i < request->n_types; i++)
        outlet_add_type(&client->outlet, request->types[i]);
    client->outlet.filter.notices = request->notices;
    struct begin begin = choose_from(client, request);
    if (request->consumer.ptr != NULL) {
        subscribe_consumer(client, request, &begin);
        return;
    }
    outlet_subscribe(&client->outlet, begin.from_seq, begin.oldest);
    reply_subscribed(client, request->id, begin.reset);
}

/* ---- named consumers ---- */

static void finish_subscribe(struct client *client)
{
    outlet_consume(&client->outlet, consumers_consumer(client), client->wait.oldest);
    reply_subscribed(client, client_wait_id(client), client->wait.reset);
}

static void finish_ok(struct client *client, const char *op)
{
    if (ndjson_write_ok(&client->outlet.head, client_wait_id(client), op) != 0)
        client->outlet.ending = true;
}

void request_done(struct client *client, bool lost)
{
    enum client_wait what = client->wait.what;
    client->wait.what = CLIENT_WAITS_FOR_NOTHING;
    if (lost) {
        client_reply_error(client, client_wait_id(client), NDJSON_E_INTERNAL,
                           "the store has failed; try again");
        if (what == CLIENT_WAITS_TO_SUBSCRIBE)
            consumers_leave(client);
        return;
    }
    switch (what) {
    case CLIENT_WAITS_TO_SUBSCRIBE:
        finish_subscribe(client);
        break;
    case CLIENT_WAITS_TO_SEEK:
        finish_ok(client, "seek");
        break;
    case CLIENT_WAITS_TO_FORGET:
        finish_ok(client, "forget");
        break;
    case CLIENT_WAITS_FOR_LIST: /* it has its answer */
    case CLIENT_WAITS_FOR_RELOAD:
    case CLIENT_WAITS_FOR_NOTHING:
        break;
    }
    client->listener->daemon->serve_wanted = true;
    io_idle_arm(client->listener->daemon->soon);
}

static void ack(struct client *client, const struct ndjson_request *request)
{
    struct error err = {0};
    enum ndjson_error error = consumers_ack(client, request->ack_seq, request->id, &err);
    if (error != NDJSON_OK)
        client_reply_error(client, request->id, error, err.text);
}

static void list(struct client *client, const struct ndjson_request *request)
{
    wait_for(client, CLIENT_WAITS_FOR_LIST, request);
    consumers_list(client->listener->daemon->consumers, client);
}

static bool has_control(struct client *client, const struct ndjson_request *request)
{
    if (client->listener->control)
        return true;
    client_reply_error(client, request->id, NDJSON_E_FORBIDDEN,
                       "this socket has no control right; use control.sock, or control = yes");
    return false;
}

static void seek(struct client *client, const struct ndjson_request *request)
{
    struct daemon *daemon = client->listener->daemon;
    const struct store_info *info = persist_info(daemon->persist);
    uint64_t seq = request->from_seq;
    struct error err = {0};
    if (!has_control(client, request))
        return;
    if (request->from == NDJSON_FROM_NOW)
        seq = fanout_published_seq(hub_fanout(daemon->hub));
    else if (request->from == NDJSON_FROM_OLDEST)
        seq = begin_oldest(info, false).from_seq;
    else if (seq > hub_reserved_seq(daemon->hub)) {
        client_reply_error(client, request->id, NDJSON_E_BAD_REQUEST,
                           "that seq has not been given to any event yet");
        return;
    }
    enum ndjson_error error =
        consumers_seek(daemon->consumers, client, request->consumer, seq, &err);
    if (error != NDJSON_OK)
        client_reply_error(client, request->id, error, err.text);
    else
        wait_for(client, CLIENT_WAITS_TO_SEEK, request);
}

static void forget(struct client *client, const struct ndjson_request *request)
{
    struct error err = {0};
    if (!has_control(client, request))
        return;
    enum ndjson_error error =
        consumers_forget(client->listener->daemon->consumers, client, request->consumer, &err);
    if (error != NDJSON_OK)
        client_reply_error(client, request->id, error, err.text);
    else
        wait_for(client, CLIENT_WAITS_TO_FORGET, request);
}

/* One that is to go, and has waited for its answer, may go now. */
static void answered(struct client *client, int status)
{
    client->wait.what = CLIENT_WAITS_FOR_NOTHING;
    if (status != 0)
        client->outlet.ending = true;
    if (client->bye != NULL)
        client->outlet.leaving = true;
}

void request_reloaded(struct client *client, const char *const *changed, size_t n)
{
    answered(client,
             ndjson_write_reloaded(&client->outlet.head, client_wait_id(client), changed, n));
}

void request_not_reloaded(struct client *client, const char *const *errors, size_t n, size_t more)
{
    char detail[160];
    int length = snprintf(detail, sizeof(detail), "%zu error%s in the configuration", n + more,
                          n + more == 1 ? "" : "s");
    if (more > 0)
        length += snprintf(detail + length, sizeof(detail) - (size_t)length,
                           ", of which %zu are not shown", more);
    snprintf(detail + length, sizeof(detail) - (size_t)length, "; nothing has been changed");
    answered(client, ndjson_write_bad_config(&client->outlet.head, client_wait_id(client), detail,
                                             errors, n));
}

void request_abandoned(struct client *client, const char *why)
{
    answered(client, ndjson_write_error(&client->outlet.head, client_wait_id(client),
                                        NDJSON_E_INTERNAL, why));
}

static void reload(struct client *client, const struct ndjson_request *request)
{
    if (!has_control(client, request))
        return;
    log_notice(NULL, NULL, "reload, asked for by uid %d (pid %d)", (int)client->uid,
               (int)client->pid);
    wait_for(client, CLIENT_WAITS_FOR_RELOAD, request);
    reload_ask(client->listener->daemon->reload, client);
}

/* ---- the rest ---- */

static void reply_ok(struct client *client, const struct ndjson_request *request, const char *op)
{
    if (ndjson_write_ok(&client->outlet.head, request->id, op) != 0)
        client->outlet.ending = true;
}

static void status(struct client *client, const struct ndjson_request *request)
{
    if (status_write(client->listener, request->id, request->stream, &client->outlet.head) != 0)
        client_reply_error(client, request->id, NDJSON_E_INTERNAL, "the answer is too long");
}

/* The stream that the request names; NULL: the client has been told that there is none. */
static struct upstream *named_stream(struct client *client, const struct ndjson_request *request)
{
    struct upstream *upstream = daemon_upstream(client->listener->daemon, request->stream);
    if (upstream != NULL && listener_sees(client->listener, upstream->store_id))
        return upstream;
    client_reply_error(client, request->id, NDJSON_E_UNKNOWN_STREAM,
                       "no such stream on this socket");
    return NULL;
}

static void control(struct client *client, const struct ndjson_request *request, const char *op,
                    void (*act)(struct stream *stream))
{
    if (!has_control(client, request))
        return;
    struct upstream *upstream = named_stream(client, request);
    if (upstream == NULL)
        return;
    log_notice(upstream->settings->name, NULL, "%s, asked for by uid %d (pid %d)", op,
               (int)client->uid, (int)client->pid);
    act(upstream->stream);
    reply_ok(client, request, op);
}

static void refuse_send(struct client *client, const struct ndjson_request *request, int status,
                        const char *state, int64_t retry_ms)
{
    enum ndjson_error error = NDJSON_E_INTERNAL;
    char detail[200];
    if (status == ERR_EOF) {
        error = NDJSON_E_NOT_LIVE;
        snprintf(detail, sizeof(detail), "the stream is %s; nothing was sent", state);
    } else if (status == ERR_AGAIN) {
        error = NDJSON_E_RATE_LIMITED;
        snprintf(detail, sizeof(detail), "nothing was sent; try again in %lld ms",
                 (long long)retry_ms);
    } else if (status == ERR_PERM) {
        error = NDJSON_E_FORBIDDEN;
        snprintf(detail, sizeof(detail),
                 "this service takes no data from its clients "
                 "(connect.data = forbid)");
    } else {
        snprintf(detail, sizeof(detail), "%s; nothing was sent", error_text(status));
    }
    client_reply_error(client, request->id, error, detail);
}

static void send_upstream(struct client *client, const struct ndjson_request *request)
{
    int64_t retry_ms;
    if (!client->listener->send) {
        client_reply_error(client, request->id, NDJSON_E_FORBIDDEN,
                           "this socket has no right to send; use control.sock, or send = yes");
        return;
    }
    struct upstream *upstream = named_stream(client, request);
    if (upstream == NULL)
        return;
    int status = stream_send(upstream->stream, request->message, &retry_ms);
    log_debug(upstream->settings->name, NULL, "send of %zu bytes for uid %d (pid %d): %s",
              request->message.len, (int)client->uid, (int)client->pid, error_text(status));
    if (status != 0) {
        struct session_status now;
        stream_session_status(upstream->stream, &now);
        refuse_send(client, request, status, session_state_name(now.state), retry_ms);
        return;
    }
    reply_ok(client, request, "send");
}

void request_handle(struct client *client, struct slice line)
{
    struct error detail = {0};
    struct ndjson_request *request = &client->request;
    enum ndjson_error error = ndjson_request_parse(request, line, &detail);
    if (error != NDJSON_OK) {
        client_reply_error(client, request->id, error, detail.text);
        return;
    }
    switch (request->op) {
    case NDJSON_SUBSCRIBE:
        subscribe(client, request);
        return;
    case NDJSON_PING:
        reply_ok(client, request, "ping");
        return;
    case NDJSON_STATUS:
        status(client, request);
        return;
    case NDJSON_RECONNECT:
        control(client, request, "reconnect", stream_reconnect);
        return;
    case NDJSON_PAUSE:
        control(client, request, "pause", stream_pause);
        return;
    case NDJSON_RESUME:
        control(client, request, "resume", stream_resume);
        return;
    case NDJSON_ACK:
        ack(client, request);
        return;
    case NDJSON_CONSUMERS:
        list(client, request);
        return;
    case NDJSON_SEEK:
        seek(client, request);
        return;
    case NDJSON_FORGET:
        forget(client, request);
        return;
    case NDJSON_SEND:
        send_upstream(client, request);
        return;
    case NDJSON_RELOAD:
        reload(client, request);
        return;
    }
}
