#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/net.h"
#include "unit/io/fixture.h"
#include "unit/net/peer.h"

enum { BODY_MAX = 100 };

struct request {
    struct fixture *f;
    struct net_options options;
    struct net_http *http;
    int calls;
    bool failed;
    struct net_end end;
    int status;
    int64_t retry_after_ms;
    char body[BODY_MAX + 1];
};

static void on_done(void *arg, const struct net_http_result *result)
{
    struct request *request = arg;

    request->calls++;
    request->failed = result->failed;
    request->end = result->end;
    request->status = result->status;
    request->retry_after_ms = result->retry_after_ms;
    if (!result->failed) {
        assert_true(result->response->body.len <= BODY_MAX);
        snprintf(request->body, sizeof request->body, SLICE_FMT,
                 SLICE_ARG(buf_slice(&result->response->body)));
    } else {
        assert_null(result->response);
    }
    net_http_cancel(request->http); /* needless here, and harmless */
    fixture_event(request->f);
}

static void start(struct request *request, const struct peer *peer, const char *body)
{
    struct error err = {0};
    char url[100];
    int rc;

    if (request->options.tcp_timeout_ms == 0)
        request->options = (struct net_options){
            .tls = request->options.tls,
            .dns_timeout_ms = GUARD_MS,
            .tcp_timeout_ms = GUARD_MS,
            .tls_timeout_ms = GUARD_MS,
            .http_timeout_ms = GUARD_MS,
        };
    snprintf(url, sizeof url, "%s://127.0.0.1:%u/sync?since=1", peer->tls ? "https" : "http",
             peer->port);
    rc = net_http_start(request->f->loop, &request->options,
                        body[0] != '\0' ? SLICE("POST") : SLICE("GET"), slice_str(url),
                        SLICE("Authorization: Bearer x\r\n"), slice_str(body), BODY_MAX, on_done,
                        request, &request->http, &err);
    if (rc != 0)
        fail_msg("%s", err.text);
    assert_int_equal(request->calls, 0);
}

static void run(struct request *request, struct peer *peer, peer_script script, const char *body)
{
    peer_start(peer, script);
    start(request, peer, body);
    fixture_run(request->f, 1);
    peer_stop(peer);
    fixture_run_ms(request->f, 2);
    assert_int_equal(request->calls, 1);
}

static void script_length(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    peer_wait(peer);
}

static void test_get(void **state)
{
    struct request request = {.f = *state};
    struct peer peer = {0};

    run(&request, &peer, script_length, "");
    assert_false(request.failed);
    assert_int_equal(request.status, 200);
    assert_string_equal(request.body, "hello");
    assert_int_equal(strncmp(peer.request, "GET /sync?since=1 HTTP/1.1\r\n", 28), 0);
    assert_non_null(strstr(peer.request, "\r\nAuthorization: Bearer x\r\n"));
    assert_non_null(strstr(peer.request, "\r\nConnection: close\r\n"));
}

static void script_echo_body(struct peer *peer)
{
    char body[4];

    (void)peer_read_request(peer);
    if (peer_recv(peer, body, 4) == 4) {
        peer_say(peer, "HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\n");
        peer_send(peer, body, 4);
    }
    peer_wait(peer);
}

static void test_post(void **state)
{
    struct request request = {.f = *state};
    struct peer peer = {0};

    run(&request, &peer, script_echo_body, "data");
    assert_int_equal(request.status, 429);
    assert_int_equal(request.retry_after_ms, 3000);
    assert_string_equal(request.body, "data");
    assert_int_equal(strncmp(peer.request, "POST ", 5), 0);
}

static void script_chunked(struct peer *peer)
{
    peer->bytewise = true;
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    peer_wait(peer);
}

static void test_chunked_byte_by_byte(void **state)
{
    struct request request = {.f = *state};
    struct peer peer = {0};

    run(&request, &peer, script_chunked, "");
    assert_string_equal(request.body, "abcde");
}

static void script_until_end(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 200 OK\r\n\r\nall of it");
}

static void test_body_until_the_end(void **state)
{
    struct request request = {.f = *state};
    struct peer peer = {0};

    run(&request, &peer, script_until_end, "");
    assert_false(request.failed);
    assert_string_equal(request.body, "all of it");
}

/* `rounds`: whether TLS is ended before TCP. */
static void script_until_end_of_tls(struct peer *peer)
{
    script_until_end(peer);
    if (peer->rounds != 0)
        mbedtls_ssl_close_notify(&peer->ssl);
}

static void script_error_until_end(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 503 Busy\r\n\r\nall of it");
}

/* RFC 9112 9.8: TCP's end is anybody's to make. An answer that is no 2xx does with what has come.
 */
static void test_body_until_the_end_of_tls(void **state)
{
    struct request cut = {.f = *state}, whole = cut, error = cut;
    struct peer peer = {.tls = true};
    struct tls_context *tls;
    struct error err;

    assert_int_equal(
        tls_context_new(
            &(struct tls_context_options){.ca_file = "tests/unit/net/localhost-cert.pem"}, &tls,
            &err),
        0);
    cut.options.tls = whole.options.tls = error.options.tls = tls;
    run(&cut, &peer, script_until_end_of_tls, "");
    peer = (struct peer){.tls = true, .rounds = 1};
    run(&whole, &peer, script_until_end_of_tls, "");
    peer = (struct peer){.tls = true};
    run(&error, &peer, script_error_until_end, "");
    tls_context_unref(tls);
    assert_true(cut.failed);
    assert_int_equal(cut.end.kind, NET_END_HANDSHAKE);
    assert_string_equal(cut.end.text, "connection closed without the end of TLS (close_notify)");
    assert_false(whole.failed);
    assert_string_equal(whole.body, "all of it");
    assert_false(error.failed);
    assert_int_equal(error.status, 503);
    assert_string_equal(error.body, "all of it");
}

static void script_cut(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
}

static void test_body_that_is_cut(void **state)
{
    struct request request = {.f = *state};
    struct peer peer = {0};

    run(&request, &peer, script_cut, "");
    assert_true(request.failed);
    assert_int_equal(request.end.kind, NET_END_HANDSHAKE);
    assert_int_equal(request.end.phase, NET_PHASE_HTTP);
    assert_true(request.end.text[0] != '\0');
}

static void script_reset(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 200 OK\r\n\r\nhello");
    usleep(20000);
    peer_reset(peer);
}

static void test_reset(void **state)
{
    struct request request = {.f = *state};
    struct peer peer = {0};

    run(&request, &peer, script_reset, "");
    assert_true(request.failed);
    assert_int_equal(request.end.kind, NET_END_FAILED);
    assert_string_equal(request.end.text, "connection reset by peer");
}

static void script_empty(struct peer *peer)
{
    (void)peer_read_request(peer);
}

static void test_no_answer(void **state)
{
    struct request request = {.f = *state};
    struct peer peer = {0};

    run(&request, &peer, script_empty, "");
    assert_true(request.failed);
    assert_int_equal(request.end.kind, NET_END_FAILED);
    assert_string_equal(request.end.text, "connection closed without an answer");
}

/* `rounds` is the status, and the body's length what the script adds to BODY_MAX. */
static void script_body(struct peer *peer)
{
    char head[100], body[BODY_MAX + 1];
    int n = BODY_MAX + peer->rounds % 10;

    memset(body, 'x', sizeof body);
    (void)peer_read_request(peer);
    snprintf(head, sizeof head, "HTTP/1.1 %d Status\r\nContent-Length: %d\r\n\r\n",
             peer->rounds / 10, n);
    peer_say(peer, head);
    peer_send(peer, body, (size_t)n);
    peer_wait(peer);
}

static void test_body_at_the_bound_and_past_it(void **state)
{
    struct request at = {.f = *state}, past = {.f = *state}, error = {.f = *state};
    struct peer peer_at = {.rounds = 2000}, peer_past = {.rounds = 2001},
                peer_error = {.rounds = 5001};

    run(&at, &peer_at, script_body, "");
    assert_false(at.failed);
    assert_int_equal(strlen(at.body), BODY_MAX);
    run(&past, &peer_past, script_body, "");
    assert_true(past.failed);
    assert_int_equal(past.end.kind, NET_END_HANDSHAKE);
    assert_string_equal(past.end.text, "the answer's body is over 100 bytes");
    run(&error, &peer_error, script_body, "");
    assert_false(error.failed);
    assert_int_equal(error.status, 500);
    assert_int_equal(strlen(error.body), BODY_MAX);
}

static void script_stuck(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
    peer_wait(peer);
}

static void test_timeout(void **state)
{
    struct request request = {
        .f = *state,
        .options = {.dns_timeout_ms = GUARD_MS, .tcp_timeout_ms = GUARD_MS, .http_timeout_ms = 50}};
    struct peer peer = {0};

    run(&request, &peer, script_stuck, "");
    assert_true(request.failed);
    assert_int_equal(request.end.kind, NET_END_TIMEOUT);
    assert_int_equal(request.end.phase, NET_PHASE_HTTP);
    assert_string_equal(request.end.text, "request to 127.0.0.1: not finished within 0.05 s");
}

static void test_over_tls(void **state)
{
    struct request request = {.f = *state};
    struct peer peer = {.tls = true};
    struct error err;

    assert_int_equal(
        tls_context_new(
            &(struct tls_context_options){.ca_file = "tests/unit/net/localhost-cert.pem"},
            &request.options.tls, &err),
        0);
    run(&request, &peer, script_length, "");
    tls_context_unref(request.options.tls);
    assert_false(request.failed);
    assert_string_equal(request.body, "hello");
}

/* Comes to its step-th moment and stays there. */
static void script_to_a_moment(struct peer *peer)
{
    static const char *const parts[] = {"HTTP/1.1 ", "200 OK\r\n", "Content-Length: 5\r\n\r\n",
                                        "hel"};
    int i;

    if (peer->rounds > 0)
        (void)peer_read_request(peer);
    for (i = 0; i < peer->rounds - 1; i++)
        peer_say(peer, parts[i]);
    peer_wait(peer);
}

static void test_cancel_at_each_moment(void **state)
{
    int moment;

    for (moment = -1; moment <= 5; moment++) {
        struct request request = {.f = *state};
        struct peer peer = {.rounds = moment < 0 ? 0 : moment};

        peer_start(&peer, script_to_a_moment);
        start(&request, &peer, "");
        if (moment >= 0)
            fixture_run_ms(*state, 10);
        net_http_cancel(request.http);
        fixture_run_ms(*state, 5);
        peer_stop(&peer);
        assert_int_equal(request.calls, 0);
    }
}

static void test_bad_arguments(void **state)
{
    struct fixture *f = *state;
    struct net_options options = {0};
    struct net_http *http;
    struct error err;

    assert_int_equal(net_http_start(f->loop, &options, SLICE("GET"), SLICE("ws://127.0.0.1/"),
                                    SLICE(""), SLICE(""), 10, on_done, NULL, &http, &err),
                     ERR_INVAL);
    assert_int_equal(net_http_start(f->loop, &options, SLICE("GET"), SLICE("http://127.0.0.1/"),
                                    SLICE("X: \x01\r\n"), SLICE(""), 10, on_done, NULL, &http,
                                    &err),
                     ERR_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_get),
        io_test(test_post),
        io_test(test_chunked_byte_by_byte),
        io_test(test_body_until_the_end),
        io_test(test_body_until_the_end_of_tls),
        io_test(test_body_that_is_cut),
        io_test(test_reset),
        io_test(test_no_answer),
        io_test(test_body_at_the_bound_and_past_it),
        io_test(test_timeout),
        io_test(test_over_tls),
        io_test(test_cancel_at_each_moment),
        io_test(test_bad_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
