#include "net/conn.h"

#include <stdio.h>
#include <stdlib.h>

#include "net/tunnel.h"

enum { CONN_SPEAKING_TEXT = 200 };
enum { PLAINTEXT_CHUNK = 16 * 1024 }; /* what one TLS record holds at most */

/* ---- life ---- */

void conn_enter(struct conn *conn)
{
    conn->depth++;
}

void conn_leave(struct conn *conn)
{
    if (--conn->depth == 0 && conn->closed)
        conn->events->destroy(conn->arg);
}

static void proxy_refused(struct conn *conn, struct net_end *end);

static void on_deadline(void *arg)
{
    struct conn *conn = arg;
    struct net_end end;

    conn_enter(conn);
    /* A refusal whose body is slow: what has come is enough. */
    if (conn->phase == NET_PHASE_PROXY && tunnel_refused_so_far(conn->tunnel, &end))
        proxy_refused(conn, &end);
    else
        conn->events->on_deadline(conn->arg);
    conn_leave(conn);
}

static void on_wake(void *arg);
static void on_handshake(void *arg);
static void proxy_ended(struct conn *conn, const char *how);
static void read_proxy(struct conn *conn, struct slice *bytes);

int conn_init(struct conn *conn, struct io_loop *loop, const struct net_options *options,
              const struct http_url *url, const struct conn_events *events, void *arg,
              struct error *err)
{
    int rc = ERR_NOMEM;

    *conn = (struct conn){.loop = loop, .events = events, .arg = arg, .options = *options};
    conn->secure = url->secure;
    conn->port = url->port;
    conn->handshake = (struct io_heavy){.cb = on_handshake, .arg = conn};
    list_init(&conn->handshake.node);
    buf_init(&conn->held, BUF_UNBOUNDED);
    conn->options.tls = NULL;
    conn->options.proxy = NULL;
    if (url->secure && options->tls == NULL)
        return error_set(err, ERR_INVAL, "no trust anchors are loaded, and the URL wants TLS");
    conn->host = slice_dup(url->host);
    if (conn->host == NULL || io_timer_new(loop, on_deadline, conn, &conn->deadline) != 0 ||
        io_idle_new(loop, on_wake, conn, &conn->wake) != 0) {
        error_set(err, rc, "connect: out of memory");
        goto err_partial;
    }
    if (options->proxy != NULL)
        rc = tunnel_new(options->proxy, url, &conn->tunnel, err);
    else
        rc = 0;
    if (rc == 0)
        rc = dial_start(conn, err);
    if (rc != 0)
        goto err_partial;
    if (url->secure)
        conn->options.tls = tls_context_ref(options->tls);
    return 0;

err_partial:
    if (conn->deadline != NULL)
        io_timer_close(conn->deadline);
    if (conn->wake != NULL)
        io_idle_close(conn->wake);
    tunnel_free(conn->tunnel);
    free(conn->host);
    return rc;
}

static void flush_tls(struct conn *conn)
{
    struct buf *out = tls_output(conn->tls);

    /* A failed write shows as the end of reading, which is where it is dealt with. */
    if (out->len != 0)
        (void)io_stream_write(conn->stream, out->data, out->len);
    buf_clear(out);
}

void conn_close(struct conn *conn)
{
    if (conn->closed)
        return;
    conn->closed = true;
    dial_free(conn->dial);
    conn->dial = NULL;
    io_heavy_cancel(&conn->handshake);
    if (conn->tls != NULL && conn->phase != NET_PHASE_TLS) {
        (void)tls_shutdown(conn->tls);
        flush_tls(conn);
    }
    if (conn->stream != NULL)
        io_stream_close(conn->stream);
    io_timer_close(conn->deadline);
    io_idle_close(conn->wake);
    if (conn->depth == 0)
        conn->events->destroy(conn->arg);
}

void conn_fini(struct conn *conn)
{
    tls_free(conn->tls);
    if (conn->options.tls != NULL)
        tls_context_unref(conn->options.tls);
    buf_fini(&conn->held);
    tunnel_free(conn->tunnel);
    free(conn->host);
}

void conn_phase(struct conn *conn, enum net_phase phase)
{
    int64_t now_ms = io_now_ms(conn->loop);

    if (conn->phases[conn->phase].begun) {
        conn->phases[conn->phase].over = true;
        conn->phases[conn->phase].took_ms = now_ms - conn->phases[conn->phase].began_ms;
    }
    conn->phase = phase;
    conn->phases[phase].begun = true;
    conn->phases[phase].began_ms = now_ms;
}

void conn_expire(struct conn *conn)
{
    conn_deadline(conn, 0);
    conn->expiring = true;
}

void conn_deadline(struct conn *conn, int64_t delay_ms)
{
    if (conn->expiring)
        return;
    if (delay_ms < 0)
        io_timer_clear(conn->deadline);
    else
        io_timer_set(conn->deadline, delay_ms);
}

void conn_fail(struct conn *conn, enum net_end_kind kind, const char *text)
{
    struct net_end end = {.kind = kind, .phase = conn->phase, .retry_after_ms = -1};

    net_printable(end.text, sizeof end.text, slice_str(text));
    conn->events->on_failed(conn->arg, &end);
}

/* Whom the words after TCP are exchanged with: "127.0.0.1:443", or with a proxy between
 * "chat.example.com:443 through 127.0.0.1:3128 (proxy)". */
static const char *speaking_with(const struct conn *conn, char out[CONN_SPEAKING_TEXT])
{
    if (conn->tunnel == NULL || conn->phase == NET_PHASE_PROXY)
        return conn->address;
    snprintf(out, CONN_SPEAKING_TEXT, "%.100s through %s", conn->tunnel->target, conn->address);
    return out;
}

void conn_timeout_text(const struct conn *conn, char *out, size_t size)
{
    char with[CONN_SPEAKING_TEXT];

    if (conn->phase == NET_PHASE_PROXY)
        snprintf(out, size, "CONNECT %.100s by %s: no answer within %g s", conn->tunnel->target,
                 conn->address, (double)conn->options.proxy_timeout_ms / 1000);
    else if (conn->phase == NET_PHASE_TLS)
        snprintf(out, size, "TLS handshake with %s: not finished within %g s",
                 speaking_with(conn, with), (double)conn->options.tls_timeout_ms / 1000);
    else
        snprintf(out, size, "upgrade request to %s: no answer within %g s",
                 speaking_with(conn, with), (double)conn->options.upgrade_timeout_ms / 1000);
}

/* ---- bytes in ---- */

static void hold(struct conn *conn, struct slice bytes)
{
    if (buf_append_slice(&conn->held, bytes) != 0)
        conn->events->on_end(conn->arg, ERR_NOMEM, "out of memory for what has been read");
}

/* Offers fresh bytes to the owner and holds what it leaves. */
static void deliver(struct conn *conn, struct slice bytes)
{
    conn->events->on_bytes(conn->arg, &bytes);
    if (!conn->closed && bytes.len != 0)
        hold(conn, bytes);
}

/* Offers what is held, or nothing: the owner may have something of its own to take up again. */
static void deliver_held(struct conn *conn)
{
    struct slice bytes = slice_from(buf_slice(&conn->held), conn->held_at);

    conn->events->on_bytes(conn->arg, &bytes);
    if (conn->closed)
        return;
    conn->held_at = conn->held.len - bytes.len;
    if (bytes.len == 0) {
        buf_clear(&conn->held);
        conn->held_at = 0;
    }
}

/*
 * Decrypts all that TLS has been fed, since that lies in a buffer which is only lent to us. While
 * the owner pauses the plaintext is kept (no more than one read of it), and an end, which TLS
 * remembers, waits until the owner has had it.
 */
static void receive_tls(struct conn *conn)
{
    char plaintext[PLAINTEXT_CHUNK];
    bool any = false;

    while (!conn->closed) {
        size_t n = 0;
        enum tls_status status = tls_receive(conn->tls, plaintext, sizeof plaintext, &n);

        flush_tls(conn);
        switch (status) {
        case TLS_SUCCESS:
            any = true;
            if (conn->paused)
                hold(conn, slice_make(plaintext, n));
            else
                deliver(conn, slice_make(plaintext, n));
            break;
        case TLS_AGAIN_OUTPUT:
            break;
        case TLS_AGAIN_INPUT:
            return;
        case TLS_CLOSED:
            /* A farewell, often of something in between, is no sign of life. */
            if (!any)
                conn->last_rx_ms = conn->before_rx_ms;
            if (!conn->paused)
                conn->events->on_end(conn->arg, 0, "");
            return;
        case TLS_FAILED:
            if (!conn->paused)
                conn->events->on_end(conn->arg, ERR_TLS, tls_error(conn->tls)->text);
            return;
        }
    }
}

static void handshake_tls(struct conn *conn)
{
    enum tls_status status;

    do {
        status = tls_handshake(conn->tls);
        flush_tls(conn);
    } while (status == TLS_AGAIN_OUTPUT);
    switch (status) {
    case TLS_SUCCESS:
        conn_deadline(conn, -1);
        conn->events->on_up(conn->arg);
        if (!conn->closed)
            receive_tls(conn); /* what came along with the end of the handshake */
        break;
    case TLS_AGAIN_INPUT:
    case TLS_AGAIN_OUTPUT:
        break;
    case TLS_CLOSED:
        conn_fail(conn, NET_END_CUT, "the peer ended the TLS handshake");
        break;
    case TLS_FAILED:
        conn_fail(conn, NET_END_FAILED, tls_error(conn->tls)->text);
        break;
    }
}

/* Milliseconds of computing, which after an outage all connections have before them at once: they
 * take turns, and the rest is read when that is done. */
static void read_handshake(struct conn *conn, const char *bytes, size_t n)
{
    if (buf_append(&conn->held, bytes, n) != 0) {
        conn_fail(conn, NET_END_FAILED, "out of memory for the TLS handshake");
        return;
    }
    io_stream_read_stop(conn->stream);
    io_heavy_ask(conn->loop, &conn->handshake);
}

static void on_handshake(void *arg)
{
    struct conn *conn = arg;
    struct buf bytes = conn->held;

    conn_enter(conn);
    buf_init(&conn->held, BUF_UNBOUNDED);
    tls_feed(conn->tls, bytes.data, bytes.len);
    handshake_tls(conn);
    if (!conn->closed && !conn->paused)
        (void)io_stream_read_start(conn->stream);
    conn_leave(conn);
    buf_fini(&bytes);
}

static void read_plain(struct conn *conn, const char *bytes, size_t n)
{
    conn->last_rx_ms = io_now_ms(conn->loop);
    deliver(conn, slice_make(bytes, n));
}

static void read_tls(struct conn *conn, const char *bytes, size_t n)
{
    conn->before_rx_ms = conn->last_rx_ms;
    conn->last_rx_ms = io_now_ms(conn->loop);
    if (conn->phase == NET_PHASE_TLS) {
        read_handshake(conn, bytes, n);
        return;
    }
    tls_feed(conn->tls, bytes, n);
    receive_tls(conn);
}

static void read_ended(struct conn *conn, int status, const char *text)
{
    char failure[sizeof((struct error *)0)->text + CONN_SPEAKING_TEXT + 40];
    char with[CONN_SPEAKING_TEXT];
    const char *how = status == 0 ? "connection closed" : text;

    if (conn->phase == NET_PHASE_PROXY) {
        proxy_ended(conn, how);
    } else if (conn->phase == NET_PHASE_TLS) {
        snprintf(failure, sizeof failure, "%s in the TLS handshake with %s", how,
                 speaking_with(conn, with));
        conn_fail(conn, NET_END_CUT, failure);
    } else if (status == 0 && conn->tls != NULL) {
        conn->events->on_end(conn->arg, ERR_EOF,
                             "connection closed without the end of TLS (close_notify)");
    } else {
        conn->events->on_end(conn->arg, status, text);
    }
}

static void on_read(void *arg, const char *bytes, ssize_t n, const struct error *err)
{
    struct conn *conn = arg;
    struct slice fresh = slice_make(bytes, n > 0 ? (size_t)n : 0);

    conn_enter(conn);
    if (n > 0 && conn->phase == NET_PHASE_PROXY)
        read_proxy(conn, &fresh);
    if (n <= 0)
        read_ended(conn, (int)n, n == 0 ? "" : err->text);
    else if (conn->closed || fresh.len == 0)
        ; /* all of it was the proxy's */
    else if (conn->tls != NULL)
        read_tls(conn, fresh.ptr, fresh.len);
    else
        read_plain(conn, fresh.ptr, fresh.len);
    conn_leave(conn);
}

static void on_drain(void *arg, int status)
{
    struct conn *conn = arg;

    if (status != 0 || conn->events->on_drain == NULL)
        return; /* a failed write shows as the end of reading */
    conn_enter(conn);
    conn->events->on_drain(conn->arg);
    conn_leave(conn);
}

void conn_pause(struct conn *conn)
{
    if (conn->closed || conn->paused)
        return;
    conn->paused = true;
    io_stream_read_stop(conn->stream);
}

void conn_resume(struct conn *conn)
{
    /* Within a callback the owner may ask for it before it pauses: on_wake sees. */
    if (!conn->closed && (conn->paused || conn->depth != 0))
        io_idle_arm(conn->wake);
}

static void on_wake(void *arg)
{
    struct conn *conn = arg;

    if (!conn->paused)
        return;
    conn_enter(conn);
    conn->paused = false;
    conn->last_rx_ms = conn->before_rx_ms = io_now_ms(conn->loop);
    deliver_held(conn);
    if (conn->tls != NULL && !conn->closed && !conn->paused)
        receive_tls(conn);
    if (!conn->closed && !conn->paused)
        (void)io_stream_read_start(conn->stream);
    conn_leave(conn);
}

/* ---- TCP is up, then perhaps a tunnel, then perhaps TLS ---- */

static void fail_starting(struct conn *conn, int rc)
{
    char text[CONN_ADDRESS_TEXT + 100];

    snprintf(text, sizeof text, "%s: %s", conn->address, error_text(rc));
    conn_fail(conn, NET_END_FAILED, text);
}

/* The way to the peer is open: what is said from here on is for it. */
static void begin(struct conn *conn)
{
    struct error err;
    int rc;

    if (!conn->secure) {
        conn_deadline(conn, -1);
        conn->events->on_up(conn->arg);
        return;
    }
    conn_phase(conn, NET_PHASE_TLS);
    rc = tls_new(conn->options.tls, conn->host, conn->port, &conn->tls, &err);
    if (rc != 0) {
        conn_fail(conn, NET_END_FAILED, err.text);
        return;
    }
    conn_deadline(conn, conn->options.tls_timeout_ms);
    handshake_tls(conn);
}

static void ask_proxy(struct conn *conn)
{
    struct buf *request = &conn->tunnel->request;
    int rc;

    conn_phase(conn, NET_PHASE_PROXY);
    conn_deadline(conn, conn->options.proxy_timeout_ms);
    rc = io_stream_write(conn->stream, request->data, request->len);
    tunnel_sent(conn->tunnel);
    if (rc != 0)
        fail_starting(conn, rc);
}

void conn_connected(struct conn *conn, struct io_stream *stream, const struct io_address *peer)
{
    static const struct io_stream_events events = {.on_read = on_read, .on_drain = on_drain};
    int rc;

    conn->stream = stream;
    conn->peer = *peer;
    io_address_format(peer, conn->address, sizeof conn->address);
    if (conn->tunnel != NULL)
        strncat(conn->address, " (proxy)", sizeof conn->address - strlen(conn->address) - 1);
    io_stream_events(stream, &events, conn);
    conn->last_rx_ms = conn->before_rx_ms = io_now_ms(conn->loop);
    rc = io_stream_read_start(stream);
    if (rc != 0)
        fail_starting(conn, rc);
    else if (conn->tunnel != NULL)
        ask_proxy(conn);
    else
        begin(conn);
}

static void proxy_refused(struct conn *conn, struct net_end *end)
{
    end->phase = NET_PHASE_PROXY;
    conn->events->on_failed(conn->arg, end);
}

/* *bytes: those behind the proxy's answer are left, for the peer's turn has come. */
static void read_proxy(struct conn *conn, struct slice *bytes)
{
    struct net_end end;
    size_t used = 0;

    switch (tunnel_feed(conn->tunnel, bytes->ptr, bytes->len, &used, &end)) {
    case TUNNEL_AGAIN:
        break;
    case TUNNEL_OPEN:
        begin(conn);
        break;
    case TUNNEL_REFUSED:
        proxy_refused(conn, &end);
        break;
    }
    *bytes = slice_from(*bytes, used);
}

static void proxy_ended(struct conn *conn, const char *how)
{
    char text[sizeof((struct error *)0)->text + CONN_SPEAKING_TEXT];
    struct net_end end;

    if (tunnel_refused_so_far(conn->tunnel, &end)) {
        proxy_refused(conn, &end);
        return;
    }
    snprintf(text, sizeof text, "%s in answer to CONNECT %.100s by %s", how, conn->tunnel->target,
             conn->address);
    conn_fail(conn, NET_END_FAILED, text);
}

/* ---- bytes out ---- */

int conn_send(struct conn *conn, const void *bytes, size_t n)
{
    const char *at = bytes;

    if (conn->tls == NULL)
        return io_stream_write(conn->stream, at, n);
    while (n != 0) {
        size_t sent = 0;
        enum tls_status status = tls_send(conn->tls, at, n, &sent);
        struct buf *out = tls_output(conn->tls);
        int rc = out->len != 0 ? io_stream_write(conn->stream, out->data, out->len) : 0;

        buf_clear(out);
        if (rc != 0)
            return rc;
        if (status != TLS_SUCCESS && status != TLS_AGAIN_OUTPUT)
            return ERR_TLS;
        at += sent;
        n -= sent;
    }
    return 0;
}

size_t conn_queued(const struct conn *conn)
{
    return io_stream_queued(conn->stream);
}
