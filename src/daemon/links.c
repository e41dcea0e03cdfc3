/* The WebSocket links of one stream: dialled, redirected, open, ended. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "daemon/upstream_private.h"

static struct upstream_link *find(struct upstream *upstream, uint64_t number)
{
    for (unsigned i = 0; number != 0 && i < UPSTREAM_LINKS_MAX; i++)
        if (upstream->links[i].number == number)
            return &upstream->links[i];
    return NULL;
}

/* The same, while it is on its way or open. */
static struct upstream_link *find_up(struct upstream *upstream, uint64_t number)
{
    struct upstream_link *link = find(upstream, number);
    return link != NULL && link->link != NULL ? link : NULL;
}

const char *upstream_link_id(const struct upstream *upstream, uint64_t number)
{
    for (unsigned i = 0; number != 0 && i < UPSTREAM_LINKS_MAX; i++)
        if (upstream->links[i].number == number)
            return upstream->links[i].id;
    return NULL;
}

static void set_free(struct upstream_link *link)
{
    outgoing_fini(&link->out);
    memset(link, 0, sizeof(*link));
}

/* ---- ends ---- */

static void report_failed(struct upstream_link *link, const struct profile_end *end)
{
    struct upstream *upstream = link->upstream;
    uint64_t number = link->number;
    memcpy(upstream->ended_id, link->id, sizeof(upstream->ended_id));
    set_free(link);
    stream_link_failed(upstream->stream, number, end);
    upstream->ended_id[0] = '\0';
}

static void report_closed(struct upstream_link *link, int64_t last_rx_ms,
                          const struct profile_end *end)
{
    struct upstream *upstream = link->upstream;
    uint64_t number = link->number;
    memcpy(upstream->ended_id, link->id, sizeof(upstream->ended_id));
    set_free(link);
    stream_link_closed(upstream->stream, number, last_rx_ms, end);
    upstream->ended_id[0] = '\0';
}

/* What never opened is told with its address, which is where the mistake may be. */
static void log_end(const struct upstream_link *link, const struct profile_end *end, bool local)
{
    char what[400], where[300];
    profile_end_describe(end, what, sizeof(what));
    outgoing_describe(&link->out, where, sizeof(where));
    redact_text(upstream_redact(link->upstream), where);
    if (end->kind == PROFILE_END_CLOSE)
        log_info(link->upstream->settings->name, link->id, "ended: %s%s", what,
                 local ? " (by us)" : "");
    else
        log_info(link->upstream->settings->name, link->id, "ended: %s from %s", what, where);
}

static int start(struct upstream_link *link, struct error *err);

/* True: the link goes on elsewhere. */
static bool redirected(struct upstream_link *link, const struct http_response *response,
                       struct profile_end *end)
{
    struct upstream *upstream = link->upstream;
    struct error err = {0};
    char where[300];
    int rc =
        outgoing_redirect(&link->out, upstream->profile, upstream_redact(upstream), response, &err);
    if (rc == 0)
        return false;
    if (rc > 0) {
        outgoing_describe(&link->out, where, sizeof(where));
        log_info(upstream->settings->name, link->id, "status %d: redirected to %s",
                 response->status, where);
        rc = start(link, &err);
        if (rc == 0)
            return true;
    }
    upstream_not_followed(upstream, response, &err, end);
    return false;
}

static void count_end(struct upstream_link *link, const struct net_end *end)
{
    struct link_counts *counts = &link->upstream->counts;
    const struct tls *tls = net_link_tls(link->link);
    if (end->kind == NET_END_CLOSE)
        link_counts_closed(counts, end->code, end->local);
    else
        link_counts_failed(counts, end, tls != NULL ? tls_fault(tls) : TLS_FAULT_NONE);
}

static void on_closed(void *arg, const struct net_end *net_end,
                      const struct http_response *response)
{
    struct upstream_link *link = arg;
    struct upstream *upstream = link->upstream;
    struct profile_end end;
    int64_t last_rx_ms = net_link_last_rx_ms(link->link);
    count_end(link, net_end);
    link->link = NULL;
    end_from_net(upstream_redact(upstream), net_end, &end);
    if (response != NULL) {
        if (end.kind == PROFILE_END_STATUS && response->status >= 400 && response->body.len != 0)
            end_set_body(upstream_redact(upstream), upstream->profile, &end,
                         buf_slice(&response->body));
        outgoing_cookies(&link->out, upstream->cookies, response, io_wall_us() / 1000000);
        if (redirected(link, response, &end))
            return;
    }
    log_end(link, &end, net_end->local);
    if (net_end->kind == NET_END_CLOSE)
        report_closed(link, last_rx_ms, &end);
    else
        report_failed(link, &end);
}

/* ---- while it lives ---- */

static void on_connected(void *arg, const char *address, const char *tls)
{
    struct upstream_link *link = arg;
    struct upstream *upstream = link->upstream;
    const struct io_address *peer = net_link_peer(link->link);
    snprintf(link->address, sizeof(link->address), "%s", address);
    snprintf(link->tls, sizeof(link->tls), "%s", tls != NULL ? tls : "");
    if (peer != NULL) {
        link->route.known = true;
        link->route.peer = *peer;
        io_network_route(peer, link->route.text, sizeof(link->route.text));
        upstream->route = link->route;
    }
    if (net_link_tls(link->link) != NULL)
        certificates_peer(&upstream->certificates, CERTIFICATES_LINK, net_link_tls(link->link));
    log_debug(upstream->settings->name, link->id, "connected to %s%s%s", address,
              tls != NULL ? " with " : "", tls != NULL ? tls : "");
    stream_link_connected(upstream->stream, link->number);
}

static const struct upstream_link *other_open(const struct upstream_link *link)
{
    const struct upstream *upstream = link->upstream;
    for (unsigned i = 0; i < UPSTREAM_LINKS_MAX; i++)
        if (&upstream->links[i] != link && upstream->links[i].open)
            return &upstream->links[i];
    return NULL;
}

static void on_open(void *arg, const struct http_response *response)
{
    struct upstream_link *link = arg;
    struct upstream *upstream = link->upstream;
    const struct upstream_link *other = other_open(link);
    outgoing_cookies(&link->out, upstream->cookies, response, io_wall_us() / 1000000);
    outgoing_fini(&link->out);
    link->open = true;
    log_info(upstream->settings->name, link->id, "open to %s%s%s%s%s%s", link->address,
             link->tls[0] != '\0' ? ", " : "", link->tls,
             net_link_deflates(link->link) ? ", with compression" : "",
             other != NULL ? ", to take over from " : "", other != NULL ? other->id : "");
    stream_link_open(upstream->stream, link->number);
}

static int on_message(void *arg, enum ws_type type, struct slice payload)
{
    struct upstream_link *link = arg;
    return stream_message(link->upstream->stream, link->number,
                          type == WS_BINARY ? STREAM_BINARY : STREAM_TEXT, payload);
}

static void on_pong(void *arg, int64_t rtt_ms)
{
    struct upstream_link *link = arg;
    stream_pong(link->upstream->stream, link->number, rtt_ms);
}

static void on_oversize(void *arg, uint64_t bytes)
{
    struct upstream_link *link = arg;
    stream_oversize(link->upstream->stream, link->number, bytes);
}

/* ---- dialling ---- */

static int start(struct upstream_link *link, struct error *err)
{
    static const struct net_link_events events = {
        .on_connected = on_connected,
        .on_open = on_open,
        .on_message = on_message,
        .on_pong = on_pong,
        .on_oversize = on_oversize,
        .on_closed = on_closed,
    };
    struct upstream *upstream = link->upstream;
    struct session_status session;
    struct net_options options;
    struct buf lines;
    stream_session_status(upstream->stream, &session);
    int rc =
        upstream_options(upstream, buf_slice(&link->out.url), session.attempts > 0, &options, err);
    if (rc != 0)
        return rc;
    buf_init(&lines, BUF_UNBOUNDED);
    rc = outgoing_headers(&link->out, upstream->cookies, io_wall_us() / 1000000, &lines);
    if (rc != 0)
        error_set(err, rc, "%s", error_text(rc));
    else
        rc = net_link_open(upstream->daemon->loop, &options, buf_slice(&link->out.url),
                           buf_slice(&lines), buf_slice(&link->out.subprotocol),
                           upstream->profile->connect.max_message, &events, link, &link->link, err);
    buf_wipe(&lines);
    buf_fini(&lines);
    if (rc != 0)
        link->link = NULL;
    return rc;
}

/* There is one: the engine has no more than two at a time, and what it has aborted is free. */
static struct upstream_link *find_free(struct upstream *upstream)
{
    unsigned i = 0;
    while (i < UPSTREAM_LINKS_MAX - 1 && upstream->links[i].number != 0)
        i++;
    return &upstream->links[i];
}

/* What kept it from being dialled at all. */
static enum profile_failure failure_of_dial(const struct upstream *upstream, int rc)
{
    return upstream_cause(upstream,
                          rc == ERR_TLS ? PROFILE_FAILURE_CREDENTIAL : PROFILE_FAILURE_TCP);
}

void links_dial(void *arg, uint64_t number, const struct profile_request *request)
{
    struct upstream *upstream = arg;
    struct upstream_link *link = find_free(upstream);
    struct error err = {0};
    *link = (struct upstream_link){.upstream = upstream, .number = number};
    upstream_make_id(link->id);
    int rc = outgoing_init(&link->out, request);
    if (rc != 0)
        error_set(&err, rc, "%s", error_text(rc));
    else
        rc = start(link, &err);
    vault_wipe(&upstream->vault);
    if (rc == 0)
        return;
    upstream_failure(upstream, failure_of_dial(upstream, rc), err.text, &link->failed);
    link->failed_pending = true;
    io_idle_arm(upstream->later);
}

/* ---- what else the engine asks for ---- */

int links_send(void *arg, uint64_t number, struct slice text)
{
    struct upstream_link *link = find_up(arg, number);
    return link != NULL ? net_link_send(link->link, WS_TEXT, text) : ERR_EOF;
}

void links_close(void *arg, uint64_t number, int code, const char *reason)
{
    struct upstream_link *link = find_up(arg, number);
    if (link != NULL)
        net_link_close(link->link, code, slice_str(reason));
}

void links_abort(void *arg, uint64_t number)
{
    struct upstream_link *link = find(arg, number);
    if (link == NULL)
        return;
    log_info(link->upstream->settings->name, link->id, "dropped");
    if (link->open)
        link_counts_closed(&link->upstream->counts, 1006, true);
    if (link->link != NULL)
        net_link_abort(link->link);
    set_free(link);
}

void links_ping(void *arg, uint64_t number)
{
    struct upstream_link *link = find_up(arg, number);
    if (link != NULL)
        (void)net_link_ping(link->link); /* one that cannot go out is one without a pong */
}

void links_resume(void *arg, uint64_t number)
{
    struct upstream_link *link = find_up(arg, number);
    if (link == NULL)
        return;
    link->resume_pending = true;
    io_idle_arm(link->upstream->later);
}

int64_t links_last_rx_ms(void *arg, uint64_t number)
{
    struct upstream_link *link = find_up(arg, number);
    return link != NULL ? net_link_last_rx_ms(link->link) : 0;
}

void links_later(struct upstream *upstream)
{
    for (unsigned i = 0; i < UPSTREAM_LINKS_MAX; i++) {
        struct upstream_link *link = &upstream->links[i];
        if (link->number != 0 && link->failed_pending) {
            struct profile_end end = link->failed;
            report_failed(link, &end);
        } else if (link->resume_pending) {
            link->resume_pending = false;
            if (link->link != NULL)
                net_link_resume(link->link);
        }
    }
}

void links_free(struct upstream *upstream)
{
    for (unsigned i = 0; i < UPSTREAM_LINKS_MAX; i++) {
        if (upstream->links[i].link != NULL)
            net_link_abort(upstream->links[i].link);
        set_free(&upstream->links[i]);
    }
}
