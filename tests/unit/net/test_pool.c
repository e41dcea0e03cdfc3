/* Connections that requests use one after another: when one is kept, taken, given up, replaced. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"
#include "unit/io/fixture.h"
#include "unit/net/peer.h"
#include "unit/net/web.h"

enum { BODY_MAX = 100, REQUESTS_MAX = 8 };

struct client;

struct request {
    struct client *client;
    struct net_http *http;
    int calls, status, next; /* next: further requests, each from within the callback */
    bool failed;
    char text[400];
};

struct client {
    struct fixture *f;
    struct net_options options;
    struct request requests[REQUESTS_MAX];
};

static const struct net_pool_options small = {
    .idle_max = 3, .idle_each = 2, .idle_ms = 5000, .fresh_ms = 5000};

static void setup_client(struct client *client, struct fixture *f,
                         const struct net_pool_options *pool)
{
    *client = (struct client){.f = f};
    client->options = (struct net_options){.dns_timeout_ms = GUARD_MS,
                                           .tcp_timeout_ms = GUARD_MS,
                                           .tls_timeout_ms = GUARD_MS,
                                           .http_timeout_ms = GUARD_MS};
    assert_int_equal(net_pool_new(pool, &client->options.pool), 0);
    for (int i = 0; i < REQUESTS_MAX; i++)
        client->requests[i].client = client;
}

static void begin(struct request *request, const char *method, const char *scheme, uint16_t port,
                  const char *path, struct slice body);

static void on_done(void *arg, const struct net_http_result *result)
{
    struct request *request = arg;

    request->calls++;
    request->failed = result->failed;
    request->status = result->status;
    snprintf(request->text, sizeof request->text, "%s", result->end.text);
    if (!result->failed)
        snprintf(request->text, sizeof request->text, SLICE_FMT,
                 SLICE_ARG(buf_slice(&result->response->body)));
    fixture_event(request->client->f);
}

static void begin(struct request *request, const char *method, const char *scheme, uint16_t port,
                  const char *path, struct slice body)
{
    struct client *client = request->client;
    struct error err = {0};
    char url[100];

    request->calls = 0;
    snprintf(url, sizeof url, "%s:%u%s", scheme, port, path);
    if (net_http_start(client->f->loop, &client->options, slice_str(method), slice_str(url),
                       SLICE("Authorization: Bearer x\r\n"), body, BODY_MAX, on_done, request,
                       &request->http, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(request->calls, 0);
}

static void start(struct client *client, int i, const struct web *web, const char *path)
{
    begin(&client->requests[i], strcmp(path, "/head") == 0 ? "HEAD" : "GET", "http://127.0.0.1",
          web->port, path, SLICE(""));
}

/* One request, to its end: its status, or 0 if it failed. */
static int get(struct client *client, const struct web *web, const char *path)
{
    start(client, 0, web, path);
    fixture_run(client->f, 1);
    assert_int_equal(client->requests[0].calls, 1);
    return client->requests[0].failed ? 0 : client->requests[0].status;
}

static int post(struct client *client, const struct web *web, const char *path)
{
    begin(&client->requests[0], "POST", "http://127.0.0.1", web->port, path, SLICE("body"));
    fixture_run(client->f, 1);
    return client->requests[0].failed ? 0 : client->requests[0].status;
}

static unsigned idle(const struct client *client)
{
    return net_pool_idle(client->options.pool);
}

static void run_until_idle(struct client *client, unsigned wanted)
{
    for (int i = 0; i < 5000 && idle(client) != wanted; i++)
        fixture_run_ms(client->f, 1);
    assert_int_equal(idle(client), wanted);
}

static void wait_ended(struct client *client, const struct web *web, int ended)
{
    for (int i = 0; i < 5000 && web->ended != ended; i++)
        fixture_run_ms(client->f, 1);
    assert_int_equal(web->ended, ended);
}

/* ---- what is kept ---- */

static void test_one_connection_for_many(void **state)
{
    struct web web = {0};
    struct client client;

    setup_client(&client, *state, &small);
    web_start(&web);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(get(&client, &web, i % 2 ? "/chunked" : "/ok"), 200);
        assert_string_equal(client.requests[0].text, "ok");
        assert_int_equal(idle(&client), 1);
    }
    assert_int_equal(post(&client, &web, "/ok"), 200);
    assert_int_equal(web.connections, 1);
    assert_int_equal(web.requests, 6);
    assert_null(strstr(web.head, "Connection:"));
    assert_non_null(strstr(web.head, "\r\nAccept-Encoding: gzip\r\n"));
    net_pool_free(client.options.pool);
    wait_ended(&client, &web, 1);
    web_stop(&web);
}

static void test_kept_or_not(void **state)
{
    static const struct {
        const char *path;
        int status;
        bool kept;
    } rows[] = {
        {"/ok", 200, true},         {"/chunked", 200, true}, {"/204", 204, true},
        {"/304", 304, true},        {"/head", 200, true},    {"/error", 503, true},
        {"/old-keep", 200, true},   {"/old", 200, false},    {"/says-close", 200, false},
        {"/until-end", 200, false}, {"/extra", 200, false},  {"/keep-0", 200, false},
        {"/max-0", 200, false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct web web = {0};
        struct client client;

        setup_client(&client, *state, &small);
        web_start(&web);
        assert_int_equal(get(&client, &web, rows[i].path), rows[i].status);
        if (idle(&client) != rows[i].kept)
            fail_msg("%s: %u idle", rows[i].path, idle(&client));
        assert_int_equal(get(&client, &web, "/ok"), 200);
        assert_int_equal(web.connections, rows[i].kept ? 1 : 2);
        net_pool_free(client.options.pool);
        web_stop(&web);
    }
}

static void test_bounds(void **state)
{
    struct web webs[3] = {0};
    struct client client;

    setup_client(&client, *state, &small);
    for (int i = 0; i < 3; i++) {
        webs[i].held = true;
        web_start(&webs[i]);
    }
    for (int i = 0; i < 3; i++) /* three at once to one origin: two stay */
        start(&client, i, &webs[0], "/held");
    fixture_run_ms(*state, 1);
    assert_int_equal(idle(&client), 0);
    webs[0].held = false;
    fixture_run(*state, 3);
    assert_int_equal(webs[0].connections, 3);
    assert_int_equal(idle(&client), 2);
    wait_ended(&client, &webs[0], 1);
    assert_int_equal(get(&client, &webs[1], "/ok"), 200); /* and three in all: */
    assert_int_equal(idle(&client), 3);
    assert_int_equal(get(&client, &webs[2], "/ok"), 200); /* the oldest goes */
    assert_int_equal(idle(&client), 3);
    wait_ended(&client, &webs[0], 2);
    assert_int_equal(webs[1].ended + webs[2].ended, 0);
    net_pool_clear(client.options.pool);
    assert_int_equal(idle(&client), 0);
    assert_int_equal(get(&client, &webs[2], "/ok"), 200);
    assert_int_equal(webs[2].connections, 2);
    net_pool_free(client.options.pool);
    for (int i = 0; i < 3; i++)
        web_stop(&webs[i]);
}

static void test_kept_for_a_time(void **state)
{
    struct net_pool_options brief = small;
    struct web web = {0};
    struct client client;

    brief.idle_ms = 20;
    setup_client(&client, *state, &brief);
    web_start(&web);
    assert_int_equal(get(&client, &web, "/ok"), 200);
    run_until_idle(&client, 0);
    wait_ended(&client, &web, 1);
    net_pool_free(client.options.pool);
    /* The server's word counts where it is less. */
    setup_client(&client, *state, &small);
    assert_int_equal(get(&client, &web, "/keep-1"), 200);
    assert_int_equal(idle(&client), 1);
    run_until_idle(&client, 0);
    wait_ended(&client, &web, 2);
    net_pool_free(client.options.pool);
    web_stop(&web);
}

/* ---- what is not shared ---- */

static void test_not_shared(void **state)
{
    struct web web = {0};
    struct client client;

    setup_client(&client, *state, &small);
    web_start(&web);
    assert_int_equal(get(&client, &web, "/ok"), 200);
    client.options.allow_plaintext = true;
    assert_int_equal(get(&client, &web, "/ok"), 200);
    assert_int_equal(web.connections, 2);
    begin(&client.requests[0], "GET", "http://localhost", web.port, "/ok", SLICE(""));
    fixture_run(*state, 1);
    assert_int_equal(client.requests[0].status, 200);
    assert_int_equal(web.connections, 3);
    net_pool_free(client.options.pool);
    web_stop(&web);
}

/* A tunnel serves only what is to go through the same proxy with the same login; and what is sent
 * anew goes through it too. */
static void test_through_a_proxy(void **state)
{
    struct web web = {0};
    struct client client;
    struct net_proxy first, second, straight_login;

    setup_client(&client, *state, &(struct net_pool_options){8, 8, 5000, 5000});
    client.options.proxy_timeout_ms = GUARD_MS;
    web_start(&web);
    first = (struct net_proxy){SLICE("127.0.0.1"), web.port, SLICE("u"), SLICE("one")};
    second = (struct net_proxy){SLICE("127.0.0.1"), web.port, SLICE("u"), SLICE("two")};
    straight_login = (struct net_proxy){SLICE("127.0.0.1"), web.port, {NULL, 0}, {NULL, 0}};
    for (int i = 0; i < 8; i++) {
        const struct net_proxy *proxies[] = {NULL, &first, &second, &straight_login};
        struct net_proxy proxy;

        client.options.proxy = NULL;
        if (i % 4 != 0) {
            proxy = *proxies[i % 4]; /* is not needed after the call */
            client.options.proxy = &proxy;
        }
        start(&client, 0, &web, "/ok");
        memset(&proxy, 0xFF, sizeof proxy);
        fixture_run(*state, 1);
        assert_int_equal(client.requests[0].status, 200);
        assert_int_equal(web.connections, i < 4 ? i + 1 : 4);
        assert_int_equal(web.tunnels, i < 4 ? i : 3);
    }
    web.second = WEB_SECOND_FIN;
    client.options.proxy = &first;
    assert_int_equal(get(&client, &web, "/ok"), 200);
    assert_int_equal(web.tunnels, 4);
    net_pool_free(client.options.pool);
    web_stop(&web);
}

/* Answers as many requests as come; `pings` counts connections, `messages` requests. */
static void script_answers(struct peer *peer)
{
    peer->pings++;
    while (peer_read_request(peer)) {
        peer->messages++;
        peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
}

static void test_over_tls(void **state)
{
    struct peer peer = {.tls = true};
    struct tls_context *first, *second;
    struct client client;
    struct error err;

    assert_int_equal(
        tls_context_new(
            &(struct tls_context_options){.ca_file = "tests/unit/net/localhost-cert.pem"}, &first,
            &err),
        0);
    assert_int_equal(
        tls_context_new(
            &(struct tls_context_options){.ca_file = "tests/unit/net/localhost-cert.pem"}, &second,
            &err),
        0);
    setup_client(&client, *state, &small);
    peer_start(&peer, script_answers);
    for (int i = 0; i < 4; i++) {
        client.options.tls = i < 3 ? first : second;
        if (i == 3)
            net_pool_clear(client.options.pool); /* the peer serves one at a time */
        begin(&client.requests[0], "GET", "https://127.0.0.1", peer.port, "/", SLICE(""));
        fixture_run(*state, 1);
        assert_int_equal(client.requests[0].status, 200);
    }
    net_pool_free(client.options.pool);
    tls_context_unref(first);
    tls_context_unref(second);
    fixture_run_ms(*state, 2);
    peer_stop(&peer);
    assert_int_equal(peer.pings, 2);
    assert_int_equal(peer.messages, 4);
}

/* What was made with other trust anchors is not taken; it is left to its time. */
static void test_other_trust(void **state)
{
    struct peer peer = {.tls = true};
    struct tls_context *first, *second;
    struct client client;
    struct error err;

    assert_int_equal(
        tls_context_new(
            &(struct tls_context_options){.ca_file = "tests/unit/net/localhost-cert.pem"}, &first,
            &err),
        0);
    assert_int_equal(
        tls_context_new(
            &(struct tls_context_options){.ca_file = "tests/unit/net/localhost-cert.pem"}, &second,
            &err),
        0);
    setup_client(&client, *state, &small);
    peer_start(&peer, script_answers);
    client.options.tls = first;
    begin(&client.requests[0], "GET", "https://127.0.0.1", peer.port, "/", SLICE(""));
    fixture_run(*state, 1);
    assert_int_equal(idle(&client), 1);
    client.options.tls = second;
    begin(&client.requests[0], "GET", "https://127.0.0.1", peer.port, "/", SLICE(""));
    assert_int_equal(idle(&client), 1);
    net_http_cancel(client.requests[0].http);
    net_pool_free(client.options.pool);
    tls_context_unref(first);
    tls_context_unref(second);
    fixture_run_ms(*state, 2);
    peer_stop(&peer);
}

/* ---- what dies ---- */

static void test_closed_while_idle(void **state)
{
    struct web web = {0};
    struct client client;

    setup_client(&client, *state, &small);
    web_start(&web);
    assert_int_equal(get(&client, &web, "/closes"), 200);
    run_until_idle(&client, 0);
    assert_int_equal(get(&client, &web, "/late"), 200); /* 408 comes when nobody asks */
    run_until_idle(&client, 0);
    assert_int_equal(get(&client, &web, "/ok"), 200);
    assert_int_equal(web.connections, 3);
    net_pool_free(client.options.pool);
    web_stop(&web);
}

static void test_sent_anew(void **state)
{
    static const enum web_second ways[] = {WEB_SECOND_FIN, WEB_SECOND_RST};

    for (size_t i = 0; i < 2; i++) {
        struct web web = {.second = ways[i]};
        struct client client;

        setup_client(&client, *state, &small);
        web_start(&web);
        for (int n = 0; n < 3; n++)
            assert_int_equal(get(&client, &web, "/ok"), 200);
        assert_int_equal(web.connections, 3);
        assert_int_equal(web.requests, 5);
        /* What was sent and may have been done is not repeated. */
        assert_int_equal(post(&client, &web, "/ok"), 0);
        assert_int_equal(web.connections, 3);
        assert_int_equal(idle(&client), 0);
        net_pool_free(client.options.pool);
        web_stop(&web);
    }
}

/* A byte of the answer, and it is an answer. */
static void test_half_an_answer(void **state)
{
    struct web web = {.second = WEB_SECOND_HALF};
    struct client client;

    setup_client(&client, *state, &small);
    web_start(&web);
    assert_int_equal(get(&client, &web, "/ok"), 200);
    assert_int_equal(get(&client, &web, "/ok"), 0);
    assert_string_equal(client.requests[0].text, "connection closed without an answer");
    assert_int_equal(web.connections, 1);
    net_pool_free(client.options.pool);
    web_stop(&web);
}

/* The first connection answers once; from then on nobody does. */
static void script_once(struct peer *peer)
{
    bool first = peer->pings++ == 0;

    if (peer_read_request(peer) && first)
        peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    if (first)
        (void)peer_read_request(peer);
}

static void test_anew_only_once(void **state)
{
    struct peer peer = {0};
    struct client client;

    setup_client(&client, *state, &small);
    peer_start(&peer, script_once);
    for (int i = 0; i < 2; i++) {
        begin(&client.requests[0], "GET", "http://127.0.0.1", peer.port, "/", SLICE(""));
        fixture_run(*state, 1);
        assert_int_equal(client.requests[0].failed, i == 1);
    }
    peer_stop(&peer);
    assert_int_equal(peer.pings, 2);
    net_pool_free(client.options.pool);
}

/* What may not be repeated goes over no connection that its server may just be giving up. */
static void test_not_repeatable(void **state)
{
    struct net_pool_options options = small;
    struct web web = {.second = WEB_SECOND_FIN};
    struct client client;

    options.fresh_ms = 0;
    setup_client(&client, *state, &options);
    web_start(&web);
    assert_int_equal(post(&client, &web, "/ok"), 200);
    fixture_run_ms(*state, 5);
    assert_int_equal(idle(&client), 1);
    assert_int_equal(post(&client, &web, "/ok"), 200);
    assert_int_equal(web.connections, 2);
    net_pool_free(client.options.pool);
    web_stop(&web);
}

/* An answer that comes before the request is out: the rest of it would be the next request. */
static void test_answered_early(void **state)
{
    enum { LARGE = 16 * 1024 * 1024 };
    struct web web = {0};
    struct client client;
    char *body = calloc(1, LARGE);

    setup_client(&client, *state, &small);
    web_start(&web);
    begin(&client.requests[0], "POST", "http://127.0.0.1", web.port, "/413",
          slice_make(body, LARGE));
    fixture_run(*state, 1);
    assert_int_equal(client.requests[0].status, 413);
    assert_int_equal(idle(&client), 0);
    free(body);
    net_pool_free(client.options.pool);
    web_stop(&web);
}

/* ---- cancelled, freed ---- */

static void test_cancelled(void **state)
{
    struct web web = {.held = true};
    struct client client;

    setup_client(&client, *state, &small);
    web_start(&web);
    assert_int_equal(get(&client, &web, "/ok"), 200);
    start(&client, 0, &web, "/held"); /* a kept connection, before it is told so */
    net_http_cancel(client.requests[0].http);
    assert_int_equal(idle(&client), 0);
    start(&client, 0, &web, "/held"); /* and under way */
    while (web.requests < 2)
        fixture_run_ms(*state, 1);
    net_http_cancel(client.requests[0].http);
    web.held = false;
    wait_ended(&client, &web, 2);
    assert_int_equal(client.requests[0].calls, 0);
    assert_int_equal(idle(&client), 0);
    net_pool_free(client.options.pool);
    web_stop(&web);
}

static void test_pool_freed_first(void **state)
{
    struct web web = {.held = true, .second = WEB_SECOND_FIN};
    struct client client;

    setup_client(&client, *state, &small);
    web_start(&web);
    start(&client, 0, &web, "/ok");
    start(&client, 1, &web, "/held");
    fixture_run(*state, 1);
    start(&client, 0, &web, "/ok"); /* over what dies: is sent anew when the pool is gone */
    net_pool_free(client.options.pool);
    client.options.pool = NULL;
    fixture_run(*state, 1);
    assert_int_equal(client.requests[0].status, 200);
    web.held = false;
    fixture_run(*state, 1);
    assert_int_equal(client.requests[1].status, 200);
    wait_ended(&client, &web, 3);
    web_stop(&web);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_one_connection_for_many),
        io_test(test_kept_or_not),
        io_test(test_bounds),
        io_test(test_kept_for_a_time),
        io_test(test_not_shared),
        io_test(test_through_a_proxy),
        io_test(test_over_tls),
        io_test(test_other_trust),
        io_test(test_closed_while_idle),
        io_test(test_sent_anew),
        io_test(test_half_an_answer),
        io_test(test_anew_only_once),
        io_test(test_not_repeatable),
        io_test(test_answered_early),
        io_test(test_cancelled),
        io_test(test_pool_freed_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
