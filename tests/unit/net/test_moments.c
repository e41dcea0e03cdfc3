/* Links and requests, closed at every moment of their lives. The peer says what it says in many
 * small parts, so that no step of a handshake or a message lacks its moment. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "net/net.h"
#include "unit/io/moments.h"
#include "unit/net/peer.h"
#include "unit/net/web.h"

struct op {
    struct moments moments;
    const char *host;
    struct peer peer;
    struct web web;
    struct net_options options;
    struct net_link *link;
    struct net_http *http;
    struct io_timer *resume;
    size_t bytes;
    bool closed; /* in good order: its end is still to be heard of */
};

static void prepare(struct op *op)
{
    struct error err;

    op->options = (struct net_options){.dns_timeout_ms = GUARD_MS,
                                       .tcp_timeout_ms = GUARD_MS,
                                       .tls_timeout_ms = GUARD_MS,
                                       .upgrade_timeout_ms = GUARD_MS,
                                       .http_timeout_ms = GUARD_MS};
    op->bytes = 0;
    if (op->peer.tls)
        assert_int_equal(
            tls_context_new(
                &(struct tls_context_options){.ca_file = "tests/unit/net/localhost-cert.pem"},
                &op->options.tls, &err),
            0);
}

static void end_peer(struct moments *m)
{
    struct op *op = (struct op *)m;

    peer_stop(&op->peer);
    if (op->options.tls != NULL)
        tls_context_unref(op->options.tls);
    op->peer = (struct peer){.tls = op->peer.tls, .rounds = op->peer.rounds};
}

/* ---- links ---- */

static void on_connected(void *arg, const char *address, const char *tls)
{
    moments_heard(arg, false);
}

static void on_link_open(void *arg, const struct http_response *response)
{
    struct op *op = arg;

    moments_heard(arg, false);
    assert_false(op->closed);
    assert_int_equal(net_link_send(op->link, WS_TEXT, SLICE("hello")), 0);
    assert_int_equal(net_link_ping(op->link), 0);
}

static int on_message(void *arg, enum ws_type type, struct slice payload)
{
    moments_heard(arg, false);
    return 0;
}

static void on_pong(void *arg, int64_t rtt_ms)
{
    moments_heard(arg, false);
}

static void on_oversize(void *arg, uint64_t bytes)
{
    moments_heard(arg, false);
}

static void on_closed(void *arg, const struct net_end *end, const struct http_response *response)
{
    moments_heard(arg, true);
}

/* In a packet of its own. */
static void part(struct peer *peer, const void *bytes, size_t n)
{
    usleep(300);
    peer_send(peer, bytes, n);
}

static void say_part(struct peer *peer, const char *text)
{
    part(peer, text, strlen(text));
}

static void script_link(struct peer *peer)
{
    char accept_key[32];

    if (!peer_read_request(peer))
        return;
    peer_accept_key(peer, accept_key);
    say_part(peer, "HTTP/1.1 100 Continue\r\n\r\n");
    say_part(peer, "HTTP/1.1 101 Switching");
    say_part(peer, " Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Accept: ");
    say_part(peer, accept_key);
    say_part(peer, "\r\n\r\n");
    say_part(peer, "\x81\x05hel");
    say_part(peer, "lo\x01\x02he\x89");
    say_part(peer, "\x04ping");
    say_part(peer, "\x80\x03llo\x88");
    part(peer, "\x05\x03\xE8", 3);
    say_part(peer, "bye");
    peer_read_frames(peer);
}

static void start_link(struct moments *m)
{
    static const struct net_link_events events = {on_connected, on_link_open, on_message,
                                                  on_pong,      on_oversize,  on_closed};
    struct op *op = (struct op *)m;
    struct error err;
    char url[64];

    prepare(op);
    peer_start(&op->peer, script_link);
    snprintf(url, sizeof url, "%s://%s:%u/", op->peer.tls ? "wss" : "ws", op->host, op->peer.port);
    assert_int_equal(net_link_open(m->f->loop, &op->options, slice_str(url), SLICE(""), SLICE(""),
                                   1000, &events, op, &op->link, &err),
                     0);
}

static void abort_link(struct moments *m)
{
    net_link_abort(((struct op *)m)->link);
}

static void close_link(struct moments *m)
{
    struct op *op = (struct op *)m;

    op->closed = true;
    m->closed = false;
    uv_timer_stop(&m->timer);
    net_link_close(op->link, 1000, SLICE("done"));
}

static void test_link_aborted(void **state)
{
    static const struct moments_kind kind = {"link", start_link, abort_link, end_peer};
    static const struct moments_kind named = {"link to a name", start_link, abort_link, end_peer};
    struct op op = {.host = "127.0.0.1"}, by_name = {.host = "localhost"};

    moments_try(&kind, &op.moments);
    moments_try(&named, &by_name.moments);
}

static void test_tls_link_aborted(void **state)
{
    static const struct moments_kind kind = {"link with TLS", start_link, abort_link, end_peer};
    struct op op = {.host = "127.0.0.1", .peer.tls = true};

    moments_try(&kind, &op.moments);
}

/* Closed in good order at each moment, it still comes to exactly one end. */
static void close_at(struct op *op, const char *name)
{
    const struct moments_kind kind = {name, start_link, close_link, end_peer};
    long n = 0;

    do {
        void *f;

        assert_int_equal(fixture_setup(&f), 0);
        op->moments.f = f;
        op->closed = false;
        (void)moments_trial(&kind, &op->moments, n);
        n += moments_step();
        fixture_teardown(&f);
    } while (op->closed);
    print_message("%s: closed at %ld moments\n", name, n / moments_step() - 1);
}

static void test_link_closed(void **state)
{
    struct op op = {.host = "127.0.0.1"}, tls = {.host = "127.0.0.1", .peer.tls = true};

    close_at(&op, "link, in good order");
    close_at(&tls, "link with TLS, in good order");
}

/* ---- requests ---- */

static void on_done(void *arg, const struct net_http_result *result)
{
    moments_heard(arg, true);
    assert_false(result->failed);
    assert_int_equal(result->status, 200);
}

static void on_stream_open(void *arg, const struct http_response *response)
{
    moments_heard(arg, false);
}

static int on_body(void *arg, struct slice bytes)
{
    struct op *op = arg;

    moments_heard(arg, false);
    op->bytes += bytes.len;
    io_timer_set(op->resume, 0);
    return ERR_AGAIN;
}

static void on_resume(void *arg)
{
    struct op *op = arg;

    if (!op->moments.over && !op->moments.closed)
        net_http_resume(op->http);
}

enum { BODY = 300, PIECE = 40 };

static void script_answer(struct peer *peer)
{
    unsigned char text[BODY], packed[BODY + 100];
    z_stream zlib = {.next_in = text, .avail_in = BODY, .next_out = packed};
    char head[200];

    zlib.avail_out = sizeof packed;
    for (int i = 0; i < BODY; i++)
        text[i] = (unsigned char)('a' + i % 7);
    if (deflateInit2(&zlib, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK ||
        deflate(&zlib, Z_FINISH) != Z_STREAM_END)
        return;
    deflateEnd(&zlib);
    (void)peer_read_request(peer);
    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
             "%lx\r\n",
             zlib.total_out);
    part(peer, head, 12);
    say_part(peer, head + 12);
    part(peer, packed, 5);
    part(peer, packed + 5, zlib.total_out - 5);
    say_part(peer, "\r");
    say_part(peer, "\n0\r\n");
    say_part(peer, "\r\n");
    peer_wait(peer);
}

/* rounds: 1 for a stream. */
static void start_request(struct moments *m)
{
    static const struct net_stream_events events = {on_stream_open, on_body, on_done};
    struct op *op = (struct op *)m;
    struct error err;
    char url[64];
    int rc;

    prepare(op);
    peer_start(&op->peer, script_answer);
    assert_int_equal(io_timer_new(m->f->loop, on_resume, op, &op->resume), 0);
    snprintf(url, sizeof url, "%s://%s:%u/", op->peer.tls ? "https" : "http", op->host,
             op->peer.port);
    if (op->peer.rounds == 1)
        rc = net_http_stream(m->f->loop, &op->options, SLICE("GET"), slice_str(url), SLICE(""),
                             SLICE(""), PIECE, 5000, &events, op, &op->http, &err);
    else
        rc = net_http_start(m->f->loop, &op->options, SLICE("GET"), slice_str(url), SLICE(""),
                            SLICE(""), BODY, on_done, op, &op->http, &err);
    assert_int_equal(rc, 0);
}

static void cancel_request(struct moments *m)
{
    net_http_cancel(((struct op *)m)->http);
}

static void end_request(struct moments *m)
{
    struct op *op = (struct op *)m;

    if (m->over && op->peer.rounds == 1)
        assert_int_equal(op->bytes, BODY);
    end_peer(m);
}

static void test_request_cancelled(void **state)
{
    static const struct moments_kind kind = {"request", start_request, cancel_request, end_request};
    static const struct moments_kind over_tls = {"request with TLS", start_request, cancel_request,
                                                 end_request};
    struct op op = {.host = "localhost"}, tls = {.host = "127.0.0.1", .peer.tls = true};

    moments_try(&kind, &op.moments);
    moments_try(&over_tls, &tls.moments);
}

static void test_stream_cancelled(void **state)
{
    static const struct moments_kind kind = {"stream", start_request, cancel_request, end_request};
    static const struct moments_kind over_tls = {"stream with TLS", start_request, cancel_request,
                                                 end_request};
    struct op op = {.host = "127.0.0.1", .peer.rounds = 1};
    struct op tls = {.host = "127.0.0.1", .peer = {.tls = true, .rounds = 1}};

    moments_try(&kind, &op.moments);
    moments_try(&over_tls, &tls.moments);
}

/* ---- the pool ---- */

static void on_warm(void *arg, const struct net_http_result *result)
{
    struct op *op = arg;

    assert_false(result->failed);
    fixture_event(op->moments.f);
}

static void ask(struct op *op, net_http_cb cb)
{
    struct error err;
    char url[64];

    snprintf(url, sizeof url, "http://127.0.0.1:%u/ok", op->web.port);
    assert_int_equal(net_http_start(op->moments.f->loop, &op->options, SLICE("GET"), slice_str(url),
                                    SLICE(""), SLICE(""), BODY, cb, op, &op->http, &err),
                     0);
}

/* A request over a connection that has served one before. */
static void start_second(struct moments *m)
{
    struct op *op = (struct op *)m;
    long left = m->left;

    m->left = MOMENTS_MAX;
    prepare(op);
    web_start(&op->web);
    assert_int_equal(net_pool_new(NULL, &op->options.pool), 0);
    ask(op, on_warm);
    fixture_run(m->f, 1);
    assert_int_equal(net_pool_idle(op->options.pool), 1);
    io_timer_set(m->f->guard, GUARD_MS);
    m->left = left;
    ask(op, on_done);
}

static void end_second(struct moments *m)
{
    struct op *op = (struct op *)m;

    net_pool_free(op->options.pool);
    op->options.pool = NULL;
    web_stop(&op->web);
    op->web = (struct web){.second = op->web.second};
}

static void test_second_cancelled(void **state)
{
    static const struct moments_kind kind = {"request over a kept connection", start_second,
                                             cancel_request, end_second};
    static const struct moments_kind anew = {"request that is sent anew", start_second,
                                             cancel_request, end_second};
    struct op op = {0}, fin = {.web.second = WEB_SECOND_FIN}, rst = {.web.second = WEB_SECOND_RST};

    moments_try(&kind, &op.moments);
    moments_try(&anew, &fin.moments);
    moments_try(&anew, &rst.moments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link_aborted),     cmocka_unit_test(test_tls_link_aborted),
        cmocka_unit_test(test_link_closed),      cmocka_unit_test(test_request_cancelled),
        cmocka_unit_test(test_stream_cancelled), cmocka_unit_test(test_second_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
