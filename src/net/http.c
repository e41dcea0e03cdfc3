#include <stdio.h>
#include <stdlib.h>

#include "net/conn.h"

enum { PIECE_MAX = 16 * 1024 }; /* bytes of a stream that are parsed at once */

struct net_http {
    struct conn conn;
    net_http_cb cb;
    void *arg;
    struct buf request; /* until it is sent */
    struct http_parser_state *parser;
    size_t body_max;
    struct io_timer *deadline; /* of the whole request; of a stream's header, then of its silence */

    const struct net_stream_events *stream; /* NULL: the answer is wanted whole */
    int64_t idle_ms;
    bool open;     /* a 2xx has begun */
    bool complete; /* and ended, which is told when its last bytes are taken */
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

static bool status_is_good(const struct net_http *http)
{
    int status = http_parser_response(http->parser)->status;

    return status >= 200 && status <= 299;
}

/* What has been parsed of an answer that is wanted whole, and of any that is not 2xx. */
static void take_whole(struct net_http *http, bool done)
{
    if (http_parser_headers_done(http->parser) && http_parser_response(http->parser)->body_cut)
        body_over_limit(http);
    else if (done)
        succeed(http);
}

/* What has been parsed of a stream: at most one piece of its body. */
static void take_piece(struct net_http *http, bool done)
{
    const struct http_response *response = http_parser_response(http->parser);

    http->complete = done;
    if (!http->open) {
        http->open = true;
        http->stream->on_open(http->arg, response);
    }
    if (http->conn.closed || response->body.len == 0)
        return;
    if (http->stream->on_body(http->arg, buf_slice(&response->body)) == ERR_AGAIN)
        conn_pause(&http->conn);
    http_parser_drop_body(http->parser);
}

/* Takes bytes off *bytes: all, but of a stream no more than a piece. */
static void parse(struct net_http *http, struct slice *bytes)
{
    size_t max = http->body_max < PIECE_MAX ? http->body_max : PIECE_MAX;
    size_t n = http->stream != NULL && bytes->len > max ? max : bytes->len;
    struct error err;
    size_t used = 0;
    bool done = false;
    int rc = http_parser_feed(http->parser, bytes->ptr, n, &used, &done, &err);

    *bytes = slice_from(*bytes, done ? bytes->len : used);
    if (rc != 0)
        fail(http, NET_END_HANDSHAKE, err.text);
    else if (http->stream != NULL && http_parser_headers_done(http->parser) && status_is_good(http))
        take_piece(http, done);
    else
        take_whole(http, done);
}

static void restart_idle(struct net_http *http)
{
    if (http->conn.paused || http->idle_ms == 0)
        io_timer_clear(http->deadline);
    else
        io_timer_set(http->deadline, http->idle_ms);
}

static void on_bytes(void *arg, struct slice *bytes)
{
    struct net_http *http = arg;

    while (bytes->len != 0 && !http->conn.closed && !http->conn.paused)
        parse(http, bytes);
    if (http->conn.closed)
        return;
    if (http->complete && !http->conn.paused)
        succeed(http);
    else if (http->open)
        restart_idle(http);
}

/* A stream that breaks off is what deploys and balancers do; half an answer is a broken one. */
static void body_ended(struct net_http *http, const char *text)
{
    fail(http, http->open ? NET_END_CUT : NET_END_HANDSHAKE, text);
}

static void on_end(void *arg, int status, const char *text)
{
    struct net_http *http = arg;
    struct error err;

    if (status != 0)
        fail(http, http->open ? NET_END_CUT : NET_END_FAILED, text);
    else if (http_parser_eof(http->parser, &err) == 0)
        succeed(http);
    else if (http_parser_headers_done(http->parser))
        body_ended(http, err.text);
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
    if (http->stream != NULL && !http->open && http_parser_headers_done(http->parser)) {
        succeed(http); /* no 2xx, and its body is slow: what has come is enough */
        conn_leave(&http->conn);
        return;
    }
    if (http->open)
        snprintf(text, sizeof text, "stream from %s: nothing came for %g s", http->conn.host,
                 (double)http->idle_ms / 1000);
    else
        snprintf(text, sizeof text, "request to %s: %s within %g s", http->conn.host,
                 http->stream != NULL ? "no answer" : "not finished",
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

/* template: cb, arg, body_max and what a stream has besides. */
static int start(const struct net_http *template, struct io_loop *loop,
                 const struct net_options *options, struct slice method, struct slice url,
                 struct slice headers, struct slice body, struct net_http **out, struct error *err)
{
    static const struct conn_events conn_events = {
        .on_up = on_up,
        .on_failed = on_failed,
        .on_bytes = on_bytes,
        .on_end = on_end,
        .on_deadline = on_tls_deadline,
        .destroy = destroy,
    };
    struct http_url parsed;
    struct net_http *http;
    int rc = http_url_parse(url, &parsed, err);

    if (rc != 0)
        return rc;
    if (parsed.websocket)
        return error_set(err, ERR_INVAL, "a request wants an http:// or https:// URL");
    http = malloc(sizeof *http);
    if (http == NULL)
        return error_set(err, ERR_NOMEM, "request: out of memory");
    *http = *template;
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

int net_http_start(struct io_loop *loop, const struct net_options *options, struct slice method,
                   struct slice url, struct slice headers, struct slice body, size_t body_max,
                   net_http_cb cb, void *arg, struct net_http **out, struct error *err)
{
    const struct net_http template = {.cb = cb, .arg = arg, .body_max = body_max};

    return start(&template, loop, options, method, url, headers, body, out, err);
}

int net_http_stream(struct io_loop *loop, const struct net_options *options, struct slice method,
                    struct slice url, struct slice headers, struct slice body, size_t body_max,
                    int64_t idle_ms, const struct net_stream_events *events, void *arg,
                    struct net_http **out, struct error *err)
{
    const struct net_http template = {
        .cb = events->on_done,
        .arg = arg,
        .body_max = body_max,
        .stream = events,
        .idle_ms = idle_ms,
    };

    if (body_max == 0)
        return error_set(err, ERR_INVAL, "a stream wants room for a piece of its body");
    return start(&template, loop, options, method, url, headers, body, out, err);
}

void net_http_resume(struct net_http *http)
{
    conn_resume(&http->conn);
}

void net_http_cancel(struct net_http *http)
{
    conn_close(&http->conn);
}
