#include "net/link.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- ends ---- */

void link_set_end(struct net_link *link, enum net_end_kind kind, int code, bool local,
                  struct slice text)
{
    link->end = (struct net_end){.kind = kind,
                                 .phase = link->conn.phase,
                                 .code = code,
                                 .local = local,
                                 .retry_after_ms = -1};
    net_printable(link->end.text, sizeof link->end.text, text);
}

static void finish_with(struct net_link *link, const struct http_response *response)
{
    conn_close(&link->conn);
    link->events->on_closed(link->arg, &link->end, response);
}

void link_finish(struct net_link *link)
{
    finish_with(link, NULL);
}

static void end_now(struct net_link *link, enum net_end_kind kind, int code, const char *text)
{
    link_set_end(link, kind, code, false, slice_str(text));
    link_finish(link);
}

void link_drain(struct net_link *link)
{
    link->state = LINK_DRAINING;
    conn_deadline(&link->conn, NET_CLOSE_WAIT_MS);
}

/* ---- the upgrade ---- */

static void on_up(void *arg)
{
    struct net_link *link = arg;
    int rc;

    if (link->state != LINK_DIALING)
        return;
    conn_phase(&link->conn, NET_PHASE_UPGRADE);
    link->events->on_connected(link->arg, link->conn.address,
                               link->conn.tls != NULL ? tls_describe(link->conn.tls) : NULL);
    if (link->conn.closed || link->state != LINK_DIALING)
        return;
    link->state = LINK_UPGRADING;
    conn_deadline(&link->conn, link->conn.options.upgrade_timeout_ms);
    rc = conn_send(&link->conn, link->request.data, link->request.len);
    buf_wipe(&link->request);
    buf_fini(&link->request);
    if (rc != 0)
        end_now(link, NET_END_CUT, 0, "the upgrade request could not be sent");
}

/* An answer that is no 101, or as much of it as there is. */
static void end_with_status(struct net_link *link)
{
    const struct http_response *response = http_parser_response(link->parser);
    struct slice location = http_response_header(response, "location");
    bool stripped = response->status >= 200 && response->status <= 299;
    struct slice text = buf_slice(&response->body);
    char redirect[LIMIT_HTTP_ERROR_BODY];

    if (response->status >= 300 && response->status <= 399 && location.ptr != NULL) {
        snprintf(redirect, sizeof redirect, "Location: " SLICE_FMT, SLICE_ARG(location));
        text = slice_str(redirect);
    }
    link_set_end(link, stripped ? NET_END_STRIPPED : NET_END_STATUS, response->status, false, text);
    if (link->end.text[0] == '\0')
        snprintf(link->end.text, sizeof link->end.text, "HTTP status %d", response->status);
    link->end.retry_after_ms = http_retry_after_ms(response, io_wall_us() / 1000000);
    finish_with(link, response);
}

static void open_link(struct net_link *link)
{
    const struct http_response *response = http_parser_response(link->parser);
    char input[61];
    uint8_t sha1[20];
    struct error err;
    size_t n = ws_accept_input(link->key, input);

    tls_sha1(input, n, sha1);
    if (ws_upgrade_check(response, sha1, slice_str(link->subprotocol),
                         link->conn.options.deflate ? &link->terms : NULL, &err) != 0) {
        end_now(link, NET_END_HANDSHAKE, response->status, err.text);
        return;
    }
    if (ws_decoder_deflate(link->decoder, &link->terms) != 0) {
        end_now(link, NET_END_HANDSHAKE, response->status, "link: out of memory");
        return;
    }
    link->state = LINK_OPEN;
    conn_phase(&link->conn, NET_PHASE_OPEN);
    conn_deadline(&link->conn, -1);
    link->events->on_open(link->arg, response);
    http_parser_free(link->parser);
    link->parser = NULL;
}

static void upgrade_bytes(struct net_link *link, struct slice *bytes)
{
    const struct http_response *response;
    struct error err;
    size_t used = 0;
    bool done = false;
    int rc = http_parser_feed(link->parser, bytes->ptr, bytes->len, &used, &done, &err);

    *bytes = slice_from(*bytes, used);
    if (rc != 0 && http_parser_headers_done(link->parser)) {
        end_with_status(link); /* its body is broken: what has come is enough */
        return;
    }
    if (rc != 0) {
        end_now(link, NET_END_HANDSHAKE, 0, err.text);
        return;
    }
    if (!http_parser_headers_done(link->parser))
        return;
    response = http_parser_response(link->parser);
    if (done && response->upgrade)
        open_link(link);
    else if (done || response->body_cut)
        end_with_status(link);
}

/* ---- what the connection says ---- */

static void on_bytes(void *arg, struct slice *bytes)
{
    struct net_link *link = arg;

    if (link->state == LINK_UPGRADING) {
        upgrade_bytes(link, bytes);
        if (link->conn.closed || link->state == LINK_UPGRADING)
            return;
    }
    switch (link->state) {
    case LINK_OPEN:
    case LINK_CLOSING:
        link_frames(link, bytes);
        break;
    case LINK_DIALING:
    case LINK_UPGRADING:
    case LINK_DRAINING:
    case LINK_ENDING:
        *bytes = slice_from(*bytes, bytes->len);
        break;
    }
}

static void on_failed(void *arg, const struct net_end *end)
{
    struct net_link *link = arg;

    if (link->state != LINK_ENDING)
        link->end = *end;
    link_finish(link);
}

static void upgrade_ended(struct net_link *link, int status, const char *text)
{
    struct error err;

    if (status == 0)
        (void)http_parser_eof(link->parser, &err);
    if (http_parser_headers_done(link->parser)) {
        end_with_status(link);
    } else if (status == ERR_TLS) {
        /* In TLS 1.3 a server refuses our certificate after our part of the handshake. */
        link->conn.phase = NET_PHASE_TLS;
        end_now(link, NET_END_FAILED, 0, text);
    } else {
        end_now(link, NET_END_CUT, 0,
                status == 0 ? "connection closed without an answer to the upgrade" : text);
    }
}

static void on_end(void *arg, int status, const char *text)
{
    struct net_link *link = arg;
    char ending[200];

    /* Frames have an end of their own, so that of TLS says nothing more. */
    if (status == ERR_EOF) {
        status = 0;
        text = "";
    }
    switch (link->state) {
    case LINK_UPGRADING:
        upgrade_ended(link, status, text);
        break;
    case LINK_OPEN:
        snprintf(ending, sizeof ending, "connection ended without a close frame%s%s",
                 status != 0 ? ": " : "", text);
        end_now(link, NET_END_CLOSE, WS_CLOSE_ABNORMAL, ending);
        break;
    case LINK_DIALING:
    case LINK_CLOSING:
    case LINK_DRAINING:
    case LINK_ENDING:
        link_finish(link);
        break;
    }
}

static void on_deadline(void *arg)
{
    struct net_link *link = arg;
    char text[200];

    switch (link->state) {
    case LINK_DIALING:
    case LINK_UPGRADING:
        if (link->state == LINK_UPGRADING && http_parser_headers_done(link->parser)) {
            end_with_status(link); /* its body is slow: what has come is enough */
            break;
        }
        conn_timeout_text(&link->conn, text, sizeof text);
        end_now(link, NET_END_TIMEOUT, 0, text);
        break;
    case LINK_OPEN:
    case LINK_CLOSING:
    case LINK_DRAINING:
    case LINK_ENDING:
        link_finish(link);
        break;
    }
}

static void release(struct net_link *link)
{
    buf_wipe(&link->request);
    buf_fini(&link->request);
    buf_wipe(&link->frame);
    buf_fini(&link->frame);
    http_parser_free(link->parser);
    ws_decoder_free(link->decoder);
    free(link->subprotocol);
    free(link);
}

static void destroy(void *arg)
{
    struct net_link *link = arg;

    conn_fini(&link->conn);
    release(link);
}

/* ---- what the user says ---- */

/* Everything that needs no connection, so that a bad argument is told at once. */
static int prepare(struct net_link *link, const struct http_url *url, struct slice headers,
                   struct slice subprotocol, bool deflate, uint64_t max_message, struct error *err)
{
    uint8_t nonce[16];
    int rc = tls_random(nonce, sizeof nonce);

    if (rc == 0)
        rc = tls_random(&link->ping_cookie, sizeof link->ping_cookie);
    if (rc != 0)
        return error_set(err, rc, "no random numbers: %s", error_text(rc));
    ws_key(nonce, link->key);
    link->subprotocol = slice_dup(subprotocol);
    /* In one piece: growing would leave copies of what may be a secret. */
    rc = buf_reserve(&link->request,
                     url->host.len + url->target.len + headers.len + subprotocol.len + LIMIT_KIB);
    if (link->subprotocol == NULL || rc != 0 || link_decoder_new(link, max_message) != 0 ||
        http_parser_new(HTTP_BODY_CUT, LIMIT_HTTP_ERROR_BODY, &link->parser) != 0)
        return error_set(err, ERR_NOMEM, "link: out of memory");
    rc = ws_upgrade_write(&link->request, url, link->key, headers, subprotocol, deflate);
    if (rc != 0)
        return error_set(err, rc, "upgrade request: %s: a header or the subprotocol",
                         error_text(rc));
    return 0;
}

int net_link_open(struct io_loop *loop, const struct net_options *options, struct slice url,
                  struct slice headers, struct slice subprotocol, uint64_t max_message,
                  const struct net_link_events *events, void *arg, struct net_link **out,
                  struct error *err)
{
    static const struct conn_events conn_events = {
        .on_up = on_up,
        .on_failed = on_failed,
        .on_bytes = on_bytes,
        .on_end = on_end,
        .on_deadline = on_deadline,
        .destroy = destroy,
        .on_drain = link_drained,
    };
    struct http_url parsed;
    struct net_link *link;
    int rc = http_url_parse(url, &parsed, err);

    if (rc != 0)
        return rc;
    if (!parsed.websocket)
        return error_set(err, ERR_INVAL, "a link wants a ws:// or wss:// URL");
    link = calloc(1, sizeof *link);
    if (link == NULL)
        return error_set(err, ERR_NOMEM, "link: out of memory");
    link->events = events;
    link->arg = arg;
    buf_init(&link->request, BUF_UNBOUNDED);
    buf_init(&link->frame, BUF_UNBOUNDED);
    rc = prepare(link, &parsed, headers, subprotocol, options->deflate, max_message, err);
    if (rc == 0)
        rc = conn_init(&link->conn, loop, options, &parsed, &conn_events, link, err);
    if (rc != 0) {
        release(link);
        return rc;
    }
    *out = link;
    return 0;
}

void net_link_close(struct net_link *link, int code, struct slice reason)
{
    if (link->conn.closed)
        return;
    switch (link->state) {
    case LINK_DIALING:
    case LINK_UPGRADING:
        link_set_end(link, NET_END_CLOSE, code, true, reason);
        link->state = LINK_ENDING;
        conn_expire(&link->conn);
        break;
    case LINK_OPEN:
        link_send_close(link, code, reason);
        link_set_end(link, NET_END_CLOSE, code, true, reason);
        link->state = LINK_CLOSING;
        conn_deadline(&link->conn, NET_CLOSE_WAIT_MS);
        conn_resume(&link->conn); /* the peer's close frame is behind what was refused */
        break;
    case LINK_CLOSING:
    case LINK_DRAINING:
    case LINK_ENDING:
        break;
    }
}

void net_link_abort(struct net_link *link)
{
    conn_close(&link->conn);
}

void net_link_resume(struct net_link *link)
{
    conn_resume(&link->conn);
}

bool net_link_deflates(const struct net_link *link)
{
    return link->terms.agreed;
}

const struct io_address *net_link_peer(const struct net_link *link)
{
    bool connected = link->conn.phase != NET_PHASE_DNS && link->conn.phase != NET_PHASE_TCP &&
                     link->conn.phase != NET_PHASE_PROXY && link->conn.phase != NET_PHASE_TLS;

    return connected ? &link->conn.peer : NULL;
}

const struct tls *net_link_tls(const struct net_link *link)
{
    return link->conn.tls;
}

const struct http_response *net_link_answer(const struct net_link *link)
{
    if (link->parser == NULL || !http_parser_headers_done(link->parser))
        return NULL;
    return http_parser_response(link->parser);
}

int64_t net_link_took_ms(const struct net_link *link, enum net_phase phase)
{
    const struct conn *conn = &link->conn;

    if (!conn->phases[phase].begun)
        return -1;
    return conn->phases[phase].over ? conn->phases[phase].took_ms
                                    : io_now_ms(conn->loop) - conn->phases[phase].began_ms;
}

int64_t net_link_last_rx_ms(const struct net_link *link)
{
    return link->conn.paused ? io_now_ms(link->conn.loop) : link->conn.last_rx_ms;
}
