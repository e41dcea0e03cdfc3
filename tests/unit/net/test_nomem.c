/*
 * Memory that ends: links and requests with the first, second, third, ... allocation of ours
 * failing, until none does; once that one alone, once it and all that follow. Each time it is
 * ERR_NOMEM at once, or exactly one end, and nothing is left.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "net/memory.h"
#include "net/net.h"
#include "unit/io/fixture.h"
#include "unit/net/peer.h"
#include "unit/net/web.h"
#include "unit/nomem.h"

struct op {
    struct fixture *f;
    struct peer peer;
    struct web web;
    struct net_options options;
    struct net_link *link;
    struct net_http *http;
    bool stream;
    int ends;
    bool good;
};

struct op_kind {
    const char *name;
    int (*start)(struct op *op, struct error *err); /* what may fail */
    void (*before)(struct op *op);
    void (*after)(struct op *op);
};

static void prepare(struct op *op)
{
    struct error err;

    op->options = (struct net_options){.dns_timeout_ms = GUARD_MS,
                                       .tcp_timeout_ms = GUARD_MS,
                                       .proxy_timeout_ms = GUARD_MS,
                                       .tls_timeout_ms = GUARD_MS,
                                       .upgrade_timeout_ms = GUARD_MS,
                                       .http_timeout_ms = GUARD_MS};
    if (op->peer.tls)
        assert_int_equal(
            tls_context_new(
                &(struct tls_context_options){.ca_file = "tests/unit/net/localhost-cert.pem"},
                &op->options.tls, &err),
            0);
}

static void after_peer(struct op *op)
{
    if (op->options.tls != NULL)
        tls_context_unref(op->options.tls);
    peer_stop(&op->peer);
    op->peer = (struct peer){.tls = op->peer.tls};
}

static void ended(struct op *op, bool good)
{
    op->ends++;
    op->good = good;
    fixture_event(op->f);
}

/* ---- links ---- */

static void on_connected(void *arg, const char *address, const char *tls)
{
}

static void on_link_open(void *arg, const struct http_response *response)
{
    struct op *op = arg;
    int sent = net_link_send(op->link, WS_TEXT, SLICE("hello"));
    int pinged = net_link_ping(op->link);

    assert_true(sent == 0 || nomem_failed);
    assert_true(pinged == 0 || nomem_failed);
}

static int on_message(void *arg, enum ws_type type, struct slice payload)
{
    return 0;
}

static void on_pong(void *arg, int64_t rtt_ms)
{
}

static void on_oversize(void *arg, uint64_t bytes)
{
}

static void on_closed(void *arg, const struct net_end *end, const struct http_response *response)
{
    if (end->text[0] == '\0' && (end->kind != NET_END_CLOSE || end->code == 1006))
        fail_msg("an end of kind %d in phase %d without a word", end->kind, end->phase);
    ended(arg, end->kind == NET_END_CLOSE && end->code == 1000);
}

static void script_link(struct peer *peer)
{
    peer_accept_upgrade(peer);
    peer_text(peer, "hello");
    peer_frame(peer, 0x01, "he", 2);
    peer_frame(peer, 0x89, "ping", 4);
    peer_frame(peer, 0x80, "llo", 3);
    peer_close_frame(peer, 1000, "bye");
    peer_read_frames(peer);
}

static void before_link(struct op *op)
{
    prepare(op);
    peer_start(&op->peer, script_link);
}

static int open_link(struct op *op, const char *url, struct error *err)
{
    static const struct net_link_events events = {on_connected, on_link_open, on_message,
                                                  on_pong,      on_oversize,  on_closed};

    return net_link_open(op->f->loop, &op->options, slice_str(url), SLICE("A: b\r\n"), SLICE(""),
                         1000, &events, op, &op->link, err);
}

static int start_link(struct op *op, struct error *err)
{
    char url[64];

    snprintf(url, sizeof url, "%s://127.0.0.1:%u/", op->peer.tls ? "wss" : "ws", op->peer.port);
    return open_link(op, url, err);
}

/* By a name that has several addresses, of which one answers, and is remembered. */
static void before_name(struct op *op)
{
    before_link(op);
    assert_int_equal(net_memory_new(&op->options.memory), 0);
}

static void after_name(struct op *op)
{
    net_memory_free(op->options.memory);
    after_peer(op);
}

static int start_name(struct op *op, struct error *err)
{
    char url[64];

    snprintf(url, sizeof url, "ws://localhost:%u/", op->peer.port);
    return open_link(op, url, err);
}

static void script_tunnel(struct peer *peer)
{
    if (!peer_read_request(peer))
        return;
    peer_say(peer, "HTTP/1.1 200 Go\r\n\r\n");
    script_link(peer);
}

static void before_tunnel(struct op *op)
{
    static struct net_proxy proxy;

    prepare(op);
    peer_start(&op->peer, script_tunnel);
    proxy = (struct net_proxy){SLICE("localhost"), op->peer.port, SLICE("user"), SLICE("password")};
    op->options.proxy = &proxy;
}

static int start_tunnel(struct op *op, struct error *err)
{
    return open_link(op, "ws://127.0.0.1:1/", err);
}

/* ---- requests ---- */

enum { BODY_MAX = 1000 };

static void on_done(void *arg, const struct net_http_result *result)
{
    assert_true(!result->failed || result->end.text[0] != '\0');
    ended(arg, !result->failed && result->status == 200);
}

static void on_stream_open(void *arg, const struct http_response *response)
{
}

static int on_body(void *arg, struct slice bytes)
{
    return 0;
}

/* "hello" by gzip. */
static const char packed[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x07"
                             "\x00\x86\xa6\x10\x36\x05\x00\x00\x00";

static void script_answer(struct peer *peer)
{
    char head[100];

    (void)peer_read_request(peer);
    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
             sizeof packed - 1);
    peer_say(peer, head);
    peer_send(peer, packed, sizeof packed - 1);
    peer_wait(peer);
}

static void before_request(struct op *op)
{
    prepare(op);
    peer_start(&op->peer, script_answer);
}

static int ask(struct op *op, const char *url, struct error *err)
{
    static const struct net_stream_events events = {on_stream_open, on_body, on_done};

    if (op->stream)
        return net_http_stream(op->f->loop, &op->options, SLICE("GET"), slice_str(url),
                               SLICE("A: b\r\n"), SLICE(""), BODY_MAX, 5000, &events, op, &op->http,
                               err);
    return net_http_start(op->f->loop, &op->options, SLICE("PUT"), slice_str(url),
                          SLICE("A: b\r\n"), SLICE("body"), BODY_MAX, on_done, op, &op->http, err);
}

static int start_request(struct op *op, struct error *err)
{
    char url[64];

    snprintf(url, sizeof url, "%s://127.0.0.1:%u/", op->peer.tls ? "https" : "http", op->peer.port);
    return ask(op, url, err);
}

/* ---- the pool ---- */

static int start_web(struct op *op, struct error *err)
{
    char url[64];

    snprintf(url, sizeof url, "http://127.0.0.1:%u/ok", op->web.port);
    return ask(op, url, err);
}

/* A connection is kept; what is asked over it goes anew, through a proxy. */
static void before_web(struct op *op)
{
    static struct net_proxy proxy;
    struct error err;

    prepare(op);
    web_start(&op->web);
    proxy = (struct net_proxy){SLICE("127.0.0.1"), op->web.port, SLICE("user"), SLICE("password")};
    op->options.proxy = &proxy;
    assert_int_equal(net_pool_new(NULL, &op->options.pool), 0);
    assert_int_equal(start_web(op, &err), 0);
    fixture_run(op->f, 1);
    assert_true(op->good);
    assert_int_equal(net_pool_idle(op->options.pool), 1);
}

static void after_web(struct op *op)
{
    net_pool_free(op->options.pool);
    web_stop(&op->web);
    op->web = (struct web){.second = op->web.second};
}

/* ---- trials ---- */

/* True: none failed. */
static bool trial(const struct op_kind *kind, struct op *op, long n, bool persistent)
{
    struct error err = {0};
    void *f;
    int rc;

    nomem_left = -1;
    assert_int_equal(fixture_setup(&f), 0);
    op->f = f;
    kind->before(op);
    op->ends = 0;
    op->good = false;
    nomem_left = n;
    nomem_for_good = persistent;
    nomem_failed = false;
    rc = kind->start(op, &err);
    if (rc == 0)
        fixture_run(op->f, 1);
    else
        assert_true(nomem_failed && rc == ERR_NOMEM && err.text[0] != '\0' && op->ends == 0);
    nomem_left = -1;
    fixture_run_ms(op->f, 1);
    if (rc == 0 && op->ends != 1)
        fail_msg("%s, allocation %ld: %d ends", kind->name, n, op->ends);
    if (!nomem_failed && !op->good)
        fail_msg("%s: did not succeed with all its memory", kind->name);
    kind->after(op);
    fixture_teardown(&f);
    return !nomem_failed;
}

static void try(const struct op_kind *kind, struct op *op)
{
    for (int persistent = 0; persistent < 2; persistent++) {
        long n = 0;

        while (!trial(kind, op, n, persistent != 0))
            n++;
        print_message("%s: %ld allocations failed, %s\n", kind->name, n,
                      persistent ? "for good" : "once");
        assert_true(n > 5);
    }
}

static void test_link(void **state)
{
    static const struct op_kind kind = {"link", start_link, before_link, after_peer};
    static const struct op_kind over_tls = {"link with TLS", start_link, before_link, after_peer};
    struct op op = {0}, tls = {.peer.tls = true};

    try(&kind, &op);
    try(&over_tls, &tls);
}

static void test_dial(void **state)
{
    static const struct op_kind name = {"name", start_name, before_name, after_name};
    static const struct op_kind tunnel = {"tunnel", start_tunnel, before_tunnel, after_peer};
    struct op op = {0}, through = {0};

    try(&name, &op);
    try(&tunnel, &through);
}

static void test_request(void **state)
{
    static const struct op_kind kind = {"request", start_request, before_request, after_peer};
    static const struct op_kind over_tls = {"request with TLS", start_request, before_request,
                                            after_peer};
    static const struct op_kind streams = {"stream", start_request, before_request, after_peer};
    struct op op = {0}, tls = {.peer.tls = true}, stream = {.stream = true};

    try(&kind, &op);
    try(&over_tls, &tls);
    try(&streams, &stream);
}

static void test_pool(void **state)
{
    static const struct op_kind kept = {"over a kept connection", start_web, before_web, after_web};
    static const struct op_kind anew = {"sent anew", start_web, before_web, after_web};
    struct op op = {0}, second = {.web.second = WEB_SECOND_FIN};

    try(&kept, &op);
    try(&anew, &second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link),
        cmocka_unit_test(test_dial),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_pool),
    };

    nomem_here = true;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
