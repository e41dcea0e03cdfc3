#include <stdio.h>
#include <stdlib.h>

#include "net/conn.h"

struct net_http {
    struct conn conn;
    net_http_cb cb;
    void *arg;
    struct buf request; /* until it is sent */
    struct http_parser_state *parser;
    size_t body_max;
    struct io_timer *deadline; /* of the whole request */
};

/* ---- ends ---- */

static void finish(struct net_http *http, const struct net_http_result *result)
{
    conn_close(&http->conn);
    http->cb(http->arg, result);
}

static void succeed(struct net_http *http)
{
    const struct http_response *response = http_parser_response(http->parser);
    struct net_http_result result = {
        .status = response->status,
        .retry_after_ms = http_retry_after_ms(response, io_wall_us() / 1000000),
        .response = response,
    };

    finish(http, &result);
}

static void fail(struct net_http *http, enum net_end_kind kind, const char *text)
{
    struct net_http_result result = {
        .failed = true,
        .end = {.kind = kind, .phase = http->conn.phase, .retry_after_ms = -1},
        .retry_after_ms = -1,
    };

    net_printable(result.end.text, sizeof result.end.text, slice_str(text));
    finish(http, &result);
}

/* ---- what the connection says ---- */

static void on_up(void *arg)
{
    struct net_http *http = arg;
    int rc;

    http->conn.phase = NET_PHASE_HTTP;
    rc = conn_send(&http->conn, http->request.data, http->request.len);
    buf_wipe(&http->request);
    buf_fini(&http->request);
    if (rc != 0)
        fail(http, NET_END_FAILED, "the request could not be sent");
}

static void on_failed(void *arg, const struct net_end *end)
{
    struct net_http_result result = {.failed = true, .end = *end, .retry_after_ms = -1};

    finish(arg, &result);
}

/* The start of an error's body is enough; half of what was asked for is nothing. */
static void body_over_limit(struct net_http *http)
{
    int status = http_parser_response(http->parser)->status;
    char text[100];

    if (status < 200 || status > 299) {
        succeed(http);
        return;
    }
    snprintf(text, sizeof text, "the answer's body is over %zu bytes", http->body_max);
    fail(http, NET_END_HANDSHAKE, text);
}

static void on_bytes(void *arg, struct slice *bytes)
{
    struct net_http *http = arg;
    struct error err;
    size_t used = 0;
    bool done = false;
    int rc = http_parser_feed(http->parser, bytes->ptr, bytes->len, &used, &done, &err);

    *bytes = slice_from(*bytes, bytes->len);
    if (rc != 0)
        fail(http, NET_END_HANDSHAKE, err.text);
    else if (http_parser_headers_done(http->parser) && http_parser_response(http->parser)->body_cut)
        body_over_limit(http);
    else if (done)
        succeed(http);
}

static void on_end(void *arg, int status, const char *text)
{
    struct net_http *http = arg;
    struct error err;

    if (status != 0)
        fail(http, NET_END_FAILED, text);
    else if (http_parser_eof(http->parser, &err) == 0)
        succeed(http);
    else if (http_parser_headers_done(http->parser))
        fail(http, NET_END_HANDSHAKE, err.text);
    else
        fail(http, NET_END_FAILED, "connection closed without an answer");
}

static void on_tls_deadline(void *arg)
{
    struct net_http *http = arg;
    char text[200];

    conn_timeout_text(&http->conn, text, sizeof text);
    fail(http, NET_END_TIMEOUT, text);
}

static void on_deadline(void *arg)
{
    struct net_http *http = arg;
    char text[200];

    conn_enter(&http->conn);
    snprintf(text, sizeof text, "request to %s: not finished within %g s", http->conn.host,
             (double)http->conn.options.http_timeout_ms / 1000);
    fail(http, NET_END_TIMEOUT, text);
    conn_leave(&http->conn);
}

/* ---- life ---- */

static void release(struct net_http *http)
{
    if (http->deadline != NULL)
        io_timer_close(http->deadline);
    buf_wipe(&http->request);
    buf_fini(&http->request);
    http_parser_free(http->parser);
    free(http);
}

static void destroy(void *arg)
{
    struct net_http *http = arg;

    conn_fini(&http->conn);
    release(http);
}

/* Everything that needs no connection, so that a bad argument is told at once. */
static int prepare(struct net_http *http, struct io_loop *loop, const struct http_url *url,
                   struct slice method, struct slice headers, struct slice body, struct error *err)
{
    static const char closing[] = "Connection: close\r\n";
    struct buf lines;
    int rc;

    /* Both in one piece: growing would leave copies of what may be a secret. */
    buf_init(&lines, BUF_UNBOUNDED);
    rc = buf_reserve(&lines, headers.len + sizeof closing);
    if (rc == 0)
        rc = buf_reserve(&http->request, method.len + url->host.len + url->target.len +
                                             headers.len + body.len + LIMIT_KIB);
    if (rc != 0 || http_parser_new(false, http->body_max, &http->parser) != 0 ||
        io_timer_new(loop, on_deadline, http, &http->deadline) != 0) {
        buf_fini(&lines);
        return error_set(err, ERR_NOMEM, "request: out of memory");
    }
    (void)buf_append_slice(&lines, headers); /* there is room */
    (void)buf_append_str(&lines, closing);
    rc = http_request_write(&http->request, method, url, buf_slice(&lines), body);
    buf_wipe(&lines);
    buf_fini(&lines);
    if (rc != 0)
        return error_set(err, rc, "request: %s: the method or a header", error_text(rc));
    return 0;
}

int net_http_start(struct io_loop *loop, const struct net_options *options, struct slice method,
                   struct slice url, struct slice headers, struct slice body, size_t body_max,
                   net_http_cb cb, void *arg, struct net_http **out, struct error *err)
{
    static const struct conn_events conn_events = {on_up,  on_failed,       on_bytes,
                                                   on_end, on_tls_deadline, destroy};
    struct http_url parsed;
    struct net_http *http;
    int rc = http_url_parse(url, &parsed, err);

    if (rc != 0)
        return rc;
    if (parsed.websocket)
        return error_set(err, ERR_INVAL, "a request wants an http:// or https:// URL");
    http = calloc(1, sizeof *http);
    if (http == NULL)
        return error_set(err, ERR_NOMEM, "request: out of memory");
    http->cb = cb;
    http->arg = arg;
    http->body_max = body_max;
    buf_init(&http->request, BUF_UNBOUNDED);
    rc = prepare(http, loop, &parsed, method, headers, body, err);
    if (rc == 0)
        rc = conn_init(&http->conn, loop, options, &parsed, &conn_events, http, err);
    if (rc != 0) {
        release(http);
        return rc;
    }
    io_timer_set(http->deadline, options->http_timeout_ms);
    *out = http;
    return 0;
}

void net_http_cancel(struct net_http *http)
{
    conn_close(&http->conn);
}
