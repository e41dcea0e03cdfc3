/* request: what a local program asks for, done. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/suggest.h"
#include "daemon/client.h"
#include "daemon/status.h"
#include "daemon/upstream.h"

/* ---- subscribe ---- */

/* False: a name or glob matches no stream of this socket. */
static bool choose_streams(struct client *client, const struct ndjson_request *request,
                           struct slice *unknown)
{
    struct fanout_filter *filter = &client->outlet.filter;
    if (request->n_streams == 0)
        memcpy(filter->streams, client->listener->streams, sizeof(filter->streams));
    for (unsigned i = 0; i < request->n_streams; i++) {
        *unknown = request->streams[i];
        if (!listener_choose(client->listener, request->streams[i], filter))
            return false;
    }
    return true;
}

/* Where it begins; *reset when its seq or store is not ours, *oldest when that is the oldest. */
static uint64_t choose_from(struct client *client, const struct ndjson_request *request,
                            bool *reset, bool *oldest)
{
    struct daemon *daemon = client->listener->daemon;
    const struct store_info *info = persist_info(daemon->persist);
    bool foreign =
        request->instance.ptr != NULL && !slice_eq_str(request->instance, info->instance);
    *reset = *oldest = false;
    switch (request->from) {
    case NDJSON_FROM_DEFAULT:
    case NDJSON_FROM_NOW:
        return UINT64_MAX;
    case NDJSON_FROM_OLDEST:
        break;
    case NDJSON_FROM_SEQ:
        *reset = foreign || request->from_seq > hub_reserved_seq(daemon->hub);
        if (!*reset)
            return request->from_seq;
        break;
    }
    *oldest = true;
    return info->oldest_seq > 0 ? info->oldest_seq - 1 : 0;
}

static void subscribe(struct client *client, const struct ndjson_request *request)
{
    struct daemon *daemon = client->listener->daemon;
    struct fanout *fanout = hub_fanout(daemon->hub);
    const struct store_info *info = persist_info(daemon->persist);
    struct slice unknown;
    char detail[256];
    bool reset, oldest;
    if (client->outlet.subscribed) {
        client_reply_error(client, request->id, NDJSON_E_BAD_REQUEST,
                           "this connection has a subscription; open another for another");
        return;
    }
    memset(&client->outlet.filter, 0, sizeof(client->outlet.filter));
    if (!choose_streams(client, request, &unknown)) {
        snprintf(detail, sizeof(detail), "no stream \"%.*s\" on this socket",
                 (int)(unknown.len < 64 ? unknown.len : 64), unknown.ptr);
        client_reply_error(client, request->id, NDJSON_E_UNKNOWN_STREAM, detail);
        return;
    }
    for (unsigned i = 0; i < request->n_types; i++)
        outlet_add_type(&client->outlet, request->types[i]);
    client->outlet.filter.notices = request->notices;
    uint64_t from = choose_from(client, request, &reset, &oldest);
    outlet_subscribe(&client->outlet, from, oldest);
    uint64_t next = client->outlet.sub.cursor + 1;
    if (next < info->oldest_seq)
        next = info->oldest_seq;
    int status = ndjson_write_subscribed(&client->outlet.head, request->id, next, info->oldest_seq,
                                         fanout_published_seq(fanout));
    if (status == 0 && reset)
        status = ndjson_write_store_reset(&client->outlet.head, info->instance,
                                          fanout_published_seq(fanout));
    if (status != 0)
        client->outlet.ending = true;
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

static void control(struct client *client, const struct ndjson_request *request, const char *op,
                    void (*act)(struct stream *stream))
{
    if (!client->listener->control) {
        client_reply_error(client, request->id, NDJSON_E_FORBIDDEN,
                           "this socket has no control right; use control.sock, or control = yes");
        return;
    }
    struct upstream *upstream = daemon_upstream(client->listener->daemon, request->stream);
    if (upstream == NULL || !listener_sees(client->listener, upstream->store_id)) {
        client_reply_error(client, request->id, NDJSON_E_UNKNOWN_STREAM,
                           "no such stream on this socket");
        return;
    }
    log_notice(upstream->settings->name, NULL, "%s, asked for by uid %d (pid %d)", op,
               (int)client->uid, (int)client->pid);
    act(upstream->stream);
    reply_ok(client, request, op);
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
    }
}
