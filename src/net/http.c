#include <stdio.h>
#include <stdlib.h>

#include "net/channel.h"

struct net_http {
    struct io_loop *loop;
    struct net_options options; /* holds a reference on .tls */
    struct http_url url;        /* .host is ours */
    struct channel *channel;
    net_http_cb cb;
    void *arg;
    struct buf request; /* until it need not be sent again */
    bool repeatable;    /* its method is idempotent */
    bool sent;
    bool answered; /* a byte of the answer has come */
    struct http_parser_state *parser;
    size_t body_max;
    struct io_timer *deadline; /* of the whole request; of a stream's header, then of its silence */
    unsigned depth;            /* of calls that look at this request after a callback */
    bool ended;

    const struct net_stream_events *stream; /* NULL: the answer is wanted whole */
    int64_t idle_ms;
    size_t turn_bytes; /* of the body that were handed on in this turn of the loop */
    bool open;         /* a 2xx has begun */
    bool complete;     /* and ended, which is told when its last bytes are taken */
};

/* ---- memory ---- */

static void wipe_request(struct net_http *http)
{
    buf_wipe(&http->request);
    buf_fini(&http->request);
}

static void release(struct net_http *http)
{
    if (http->deadline != NULL)
        io_timer_close(http->deadline);
    if (http->options.tls != NULL)
        tls_context_unref(http->options.tls);
    wipe_request(http);
    http_parser_free(http->parser);
    free((char *)(uintptr_t)http->url.host.ptr);
    free(http);
}

static void enter(struct net_http *http)
{
    http->depth++;
}

static void leave(struct net_http *http)
{
    if (--http->depth == 0 && http->ended)
        release(http);
}

/* ---- ends ---- */

/* The connection is given up, or back, by now. */
static void finish(struct net_http *http, const struct net_http_result *result)
{
    http->ended = true;
    io_timer_clear(http->deadline);
    http->cb(http->arg, result);
}

/* Another request may have the connection already when the callback begins. It lives on until that
 * is over, for who asks about its TLS. */
static void succeed(struct net_http *http, bool reusable)
{
    struct channel *channel = http->channel;
    const struct http_response *response = http_parser_response(http->parser);
    struct net_http_result result = {
        .status = response->status,
        .retry_after_ms = http_retry_after_ms(response, io_wall_us() / 1000000),
        .response = response,
    };

    conn_enter(&channel->conn);
    if (reusable && response->keep_alive)
        channel_release(channel, http_keep_alive_ms(response));
    else
        channel_close(channel);
    finish(http, &result);
    conn_leave(&channel->conn);
}

static void fail(struct net_http *http, enum net_end_kind kind, const char *text)
{
    struct net_http_result result = {
        .failed = true,
        .end = {.kind = kind, .phase = http->channel->conn.phase, .retry_after_ms = -1},
        .retry_after_ms = -1,
    };

    net_printable(result.end.text, sizeof result.end.text, slice_str(text));
    channel_close(http->channel);
    finish(http, &result);
}

static int dial(struct net_http *http, enum channel_reuse reuse, struct error *err);

/* What has no answer at all on a connection that was idle before may have met its end on the way:
 * RFC 9112 9.3.1, RFC 9110 9.2.2. False: that does not hold here. */
static bool sent_anew(struct net_http *http)
{
    struct channel *old = http->channel;
    struct error err;

    if (!old->reused || http->answered || (http->sent && !http->repeatable))
        return false;
    http->options.pool = old->pool; /* which may be gone by now, as the caller's proxy may */
    http->options.proxy = old->proxy;
    http->sent = false;
    if (dial(http, CHANNEL_FRESH, &err) != 0) {
        fail(http, NET_END_FAILED, err.text);
        return true;
    }
    channel_close(old);
    return true;
}

/* ---- what the connection says ---- */

static void send_request(struct net_http *http)
{
    struct channel *channel = http->channel;
    int rc;

    channel->conn.phase = NET_PHASE_HTTP;
    rc = conn_send(&channel->conn, http->request.data, http->request.len);
    http->sent = true;
    if (rc == 0 && !channel->reused)
        wipe_request(http);
    if (rc != 0 && !sent_anew(http))
        fail(http, NET_END_FAILED, "the request could not be sent");
}

static void on_up(void *arg)
{
    struct net_http *http = arg;

    enter(http);
    send_request(http);
    leave(http);
}

static void on_failed(void *arg, const struct net_end *end)
{
    struct net_http *http = arg;
    struct net_http_result result = {.failed = true, .end = *end, .retry_after_ms = -1};

    enter(http);
    channel_close(http->channel);
    finish(http, &result);
    leave(http);
}

static bool status_is_good(const struct net_http *http)
{
    int status = http_parser_response(http->parser)->status;

    return status >= 200 && status <= 299;
}

/* An answer that is no 2xx has begun. Its status is what counts: whether the rest is too long, too
 * slow, broken or cut off, what has come of an error's body is enough. */
static bool is_refusal(const struct net_http *http)
{
    return http_parser_headers_done(http->parser) && !status_is_good(http);
}

/* Half of what was asked for is nothing. */
static void body_over_limit(struct net_http *http)
{
    char text[100];

    if (is_refusal(http)) {
        succeed(http, false);
        return;
    }
    snprintf(text, sizeof text, "the answer's body is over %zu bytes", http->body_max);
    fail(http, NET_END_HANDSHAKE, text);
}

/* What has been parsed of a stream: at most one piece of its body. What little came may inflate to
 * very much; the others on this loop have their turn in between. */
static void take_piece(struct net_http *http)
{
    const struct http_response *response = http_parser_response(http->parser);
    struct conn *conn = &http->channel->conn;

    if (!http->open) {
        http->open = true;
        http->stream->on_open(http->arg, response);
    }
    if (http->ended || response->body.len == 0)
        return;
    http->turn_bytes += response->body.len;
    if (http->stream->on_body(http->arg, buf_slice(&response->body)) == ERR_AGAIN && !http->ended) {
        conn_pause(conn);
    } else if (!http->ended && !http->complete && http->turn_bytes >= NET_HTTP_TURN) {
        conn_pause(conn);
        conn_resume(conn); /* in the loop's next turn */
    }
    http_parser_drop_body(http->parser);
}

/* Takes bytes off *bytes. True: there may be more to be had, even if they are all taken. */
static bool parse(struct net_http *http, struct slice *bytes)
{
    const struct http_response *response = http_parser_response(http->parser);
    struct error err;
    size_t used = 0;
    bool done = false;
    int rc = http_parser_feed(http->parser, slice_chars(*bytes), bytes->len, &used, &done, &err);

    *bytes = slice_from(*bytes, used);
    if (rc != 0) {
        if (is_refusal(http))
            succeed(http, false);
        else
            fail(http, NET_END_HANDSHAKE, err.text);
        return false;
    }
    if (!http_parser_headers_done(http->parser))
        return false;
    if (http->stream != NULL && status_is_good(http)) {
        bool any = response->body.len != 0;

        http->complete = done;
        take_piece(http);
        return any && !done;
    }
    if (response->body_cut || (!done && bytes->len != 0))
        body_over_limit(http);
    else if (done)
        succeed(http, bytes->len == 0);
    return false;
}

static bool is_paused(const struct net_http *http)
{
    return http->channel->conn.paused;
}

static void restart_idle(struct net_http *http)
{
    if (is_paused(http) || http->idle_ms == 0)
        io_timer_clear(http->deadline);
    else
        io_timer_set(http->deadline, http->idle_ms);
}

static void on_bytes(void *arg, struct slice *bytes)
{
    struct net_http *http = arg;

    enter(http);
    if (!http->answered)
        wipe_request(http);
    http->answered = true;
    http->turn_bytes = 0;
    while (!http->ended && !is_paused(http) && !http->complete && parse(http, bytes))
        ;
    if (!http->ended && http->complete && !is_paused(http))
        succeed(http, bytes->len == 0);
    else if (!http->ended && http->open)
        restart_idle(http);
    if (http->ended)
        *bytes = slice_from(*bytes, bytes->len);
    leave(http);
}

/* A stream that breaks off is what deploys and balancers do; half an answer is a broken one. A body
 * that only the connection's end ends is whole where TLS says so (RFC 9112 9.8): else whoever is
 * between could shorten it. */
static void ended(struct net_http *http, int status, const char *text)
{
    struct error err = {0};

    if (is_refusal(http))
        succeed(http, false);
    else if (status != 0 && status != ERR_EOF)
        fail(http, http->open ? NET_END_CUT : NET_END_FAILED, text);
    else if (http_parser_eof(http->parser, &err) == 0 && status == 0)
        succeed(http, false);
    else if (http_parser_headers_done(http->parser) && err.code == 0)
        fail(http, http->open ? NET_END_CUT : NET_END_HANDSHAKE, text);
    else if (http_parser_headers_done(http->parser))
        fail(http, http->open ? NET_END_CUT : NET_END_HANDSHAKE, err.text);
    else
        fail(http, NET_END_FAILED, "connection closed without an answer");
}

static void on_end(void *arg, int status, const char *text)
{
    struct net_http *http = arg;

    enter(http);
    if (!sent_anew(http))
        ended(http, status, text);
    leave(http);
}

static void on_tls_deadline(void *arg)
{
    struct net_http *http = arg;
    char text[200];

    enter(http);
    conn_timeout_text(&http->channel->conn, text, sizeof text);
    fail(http, NET_END_TIMEOUT, text);
    leave(http);
}

static void on_deadline(void *arg)
{
    struct net_http *http = arg;
    char text[400];

    enter(http);
    if (is_refusal(http)) {
        succeed(http, false);
        leave(http);
        return;
    }
    if (http->open)
        snprintf(text, sizeof text, "stream from " SLICE_FMT ": nothing came for %g s",
                 SLICE_ARG(http->url.host), (double)http->idle_ms / 1000);
    else
        snprintf(text, sizeof text, "request to " SLICE_FMT ": %s within %g s",
                 SLICE_ARG(http->url.host), http->stream != NULL ? "no answer" : "not finished",
                 (double)http->options.http_timeout_ms / 1000);
    fail(http, NET_END_TIMEOUT, text);
    leave(http);
}

/* ---- life ---- */

static int dial(struct net_http *http, enum channel_reuse reuse, struct error *err)
{
    static const struct conn_events events = {
        .on_up = on_up,
        .on_failed = on_failed,
        .on_bytes = on_bytes,
        .on_end = on_end,
        .on_deadline = on_tls_deadline,
    };

    return channel_open(http->loop, &http->options, &http->url, reuse, &events, http,
                        &http->channel, err);
}

/* RFC 9110 9.2.2. */
static bool is_idempotent(struct slice method)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (slice_eq_str(method, methods[i]))
            return true;
    }
    return false;
}

static int write_request(struct net_http *http, const struct http_url *url, struct slice method,
                         struct slice headers, struct slice body, struct error *err)
{
    static const char accepting[] = "Accept-Encoding: gzip\r\n";
    static const char closing[] = "Connection: close\r\n";
    struct buf lines;
    int rc;

    /* Both in one piece: growing would leave copies of what may be a secret. */
    buf_init(&lines, BUF_UNBOUNDED);
    rc = buf_reserve(&lines, headers.len + sizeof accepting + sizeof closing);
    if (rc == 0)
        rc = buf_reserve(&http->request, method.len + url->host.len + url->target.len +
                                             headers.len + body.len + LIMIT_KIB);
    if (rc != 0) {
        buf_fini(&lines);
        return error_set(err, ERR_NOMEM, "request: out of memory");
    }
    (void)buf_append_slice(&lines, headers); /* there is room */
    if (!http_lines_have(headers, "accept-encoding"))
        (void)buf_append_str(&lines, accepting);
    if (http->options.pool == NULL)
        (void)buf_append_str(&lines, closing);
    rc = http_request_write(&http->request, method, url, buf_slice(&lines), body);
    buf_wipe(&lines);
    buf_fini(&lines);
    if (rc != 0)
        return error_set(err, rc, "request: %s: the method or a header", error_text(rc));
    return 0;
}

/* Everything that needs no connection, so that a bad argument is told at once. */
static int prepare(struct net_http *http, const struct http_url *url, struct slice method,
                   struct slice headers, struct slice body, struct error *err)
{
    const char *host = slice_dup(url->host);
    enum http_body_mode mode = http->stream != NULL ? HTTP_BODY_PIECES : HTTP_BODY_CUT;

    http->url = (struct http_url){.secure = url->secure, .port = url->port};
    http->url.host = slice_make(host, url->host.len);
    http->repeatable = is_idempotent(method);
    if (host == NULL || http_parser_new(mode, http->body_max, &http->parser) != 0 ||
        io_timer_new(http->loop, on_deadline, http, &http->deadline) != 0)
        return error_set(err, ERR_NOMEM, "request: out of memory");
    http_parser_decode(http->parser);
    if (slice_eq_str(method, "HEAD"))
        http_parser_headless(http->parser);
    return write_request(http, url, method, headers, body, err);
}

/* template: cb, arg, body_max and what a stream has besides. */
static int start(const struct net_http *template, struct io_loop *loop,
                 const struct net_options *options, struct slice method, struct slice url,
                 struct slice headers, struct slice body, struct net_http **out, struct error *err)
{
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
    http->loop = loop;
    http->options = *options;
    http->options.tls = options->tls != NULL ? tls_context_ref(options->tls) : NULL;
    buf_init(&http->request, BUF_UNBOUNDED);
    rc = prepare(http, &parsed, method, headers, body, err);
    if (rc == 0)
        rc = dial(http, http->repeatable ? CHANNEL_ANY : CHANNEL_JUST_USED, err);
    http->options.proxy = NULL;
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
    if (!http->ended)
        conn_resume(&http->channel->conn);
}

const struct tls *net_http_tls(const struct net_http *http)
{
    return http->channel->conn.tls;
}

void net_http_cancel(struct net_http *http)
{
    if (http->ended)
        return;
    http->ended = true;
    io_timer_clear(http->deadline);
    channel_close(http->channel);
    if (http->depth == 0)
        release(http);
}
