/* Answers that are streams: handed on as they come, paused, silent, broken off, cancelled. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/limits.h"
#include "net/net.h"
#include "unit/io/fixture.h"
#include "unit/net/peer.h"

enum { BODY_MAX = 100 };

struct stream {
    struct fixture *f;
    struct net_options options;
    struct net_http *http;
    struct io_timer *timer;
    int64_t idle_ms;
    int opens, pieces, calls;
    int events, cancel_at; /* calls so far, and the one that cancels; 0: none */
    bool cancelled;
    bool pauses;  /* after each piece, for a millisecond */
    bool stays;   /* paused */
    bool resumes; /* asks for more before it refuses */
    size_t bytes;
    uint32_t sum;   /* of the bytes, each with its place */
    char body[300]; /* the start of it */
    bool failed;
    struct net_end end;
    int status;
    char error_body[BODY_MAX + 1];
};

static _Atomic int events_of_all; /* so far, for peers that wait for them */

static void event(struct stream *s)
{
    assert_false(s->cancelled);
    events_of_all++;
    if (++s->events != s->cancel_at)
        return;
    net_http_cancel(s->http);
    s->cancelled = true;
    fixture_event(s->f);
}

static void on_open(void *arg, const struct http_response *response)
{
    struct stream *s = arg;

    s->opens++;
    assert_int_equal(response->status, 200);
    event(s);
}

static int on_body(void *arg, struct slice bytes)
{
    struct stream *s = arg;
    size_t room = sizeof s->body - 1 - strlen(s->body);

    assert_int_equal(s->opens, 1);
    assert_true(bytes.len > 0 && bytes.len <= BODY_MAX);
    strncat(s->body, bytes.ptr, bytes.len < room ? bytes.len : room);
    for (size_t i = 0; i < bytes.len; i++)
        s->sum = s->sum * 31 + (unsigned char)bytes.ptr[i];
    s->bytes += bytes.len;
    s->pieces++;
    if (s->resumes)
        net_http_resume(s->http);
    else if (s->pauses && !s->stays)
        io_timer_set(s->timer, 1);
    event(s);
    return s->pauses ? ERR_AGAIN : 0;
}

static void on_done(void *arg, const struct net_http_result *result)
{
    struct stream *s = arg;

    s->calls++;
    s->failed = result->failed;
    s->end = result->end;
    s->status = result->status;
    if (!result->failed)
        snprintf(s->error_body, sizeof s->error_body, SLICE_FMT,
                 SLICE_ARG(buf_slice(&result->response->body)));
    fixture_event(s->f);
}

static void on_resume(void *arg)
{
    struct stream *s = arg;

    if (!s->cancelled && s->calls == 0)
        net_http_resume(s->http);
}

static const struct net_stream_events events = {on_open, on_body, on_done};

static void start(struct stream *s, const struct peer *peer)
{
    struct error err = {0};
    char url[100];
    int rc;

    if (s->options.tcp_timeout_ms == 0)
        s->options = (struct net_options){
            .tls = s->options.tls,
            .dns_timeout_ms = GUARD_MS,
            .tcp_timeout_ms = GUARD_MS,
            .tls_timeout_ms = GUARD_MS,
            .http_timeout_ms = GUARD_MS,
        };
    assert_int_equal(io_timer_new(s->f->loop, on_resume, s, &s->timer), 0);
    snprintf(url, sizeof url, "%s://127.0.0.1:%u/sse", peer->tls ? "https" : "http", peer->port);
    rc = net_http_stream(s->f->loop, &s->options, SLICE("GET"), slice_str(url), SLICE(""),
                         SLICE(""), BODY_MAX, s->idle_ms, &events, s, &s->http, &err);
    if (rc != 0)
        fail_msg("%s", err.text);
}

static void run(struct stream *s, struct peer *peer, peer_script script)
{
    peer_start(peer, script);
    start(s, peer);
    fixture_run(s->f, 1);
    peer_stop(peer);
    fixture_run_ms(s->f, 2);
    io_timer_close(s->timer);
    assert_int_equal(s->calls, s->cancelled ? 0 : 1);
}

static void script_two_parts(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 200 OK\r\n\r\ndata: a\n\n");
    while (peer->rounds == 0)
        usleep(1000);
    peer_say(peer, "data: b\n\n");
}

/* The first part is there while the peer waits; only then does it go on. */
static void on_look(void *arg)
{
    struct stream *s = arg;

    if (s->bytes < 9)
        io_timer_set(s->timer, 1);
    else
        fixture_event(s->f);
}

static void test_handed_on_as_it_comes(void **state)
{
    struct stream s = {.f = *state};
    struct peer peer = {0};

    peer_start(&peer, script_two_parts);
    start(&s, &peer);
    io_timer_close(s.timer);
    assert_int_equal(io_timer_new(s.f->loop, on_look, &s, &s.timer), 0);
    io_timer_set(s.timer, 1);
    fixture_run(s.f, 1);
    assert_string_equal(s.body, "data: a\n\n");
    assert_int_equal(s.calls, 0);
    peer.rounds = 1;
    fixture_run(s.f, 1);
    peer_stop(&peer);
    io_timer_close(s.timer);
    assert_string_equal(s.body, "data: a\n\ndata: b\n\n");
    assert_false(s.failed);
    assert_int_equal(s.status, 200);
    assert_string_equal(s.error_body, "");
}

static void script_chunked(struct peer *peer)
{
    peer->bytewise = peer->rounds != 0;
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    peer_wait(peer);
}

static void test_chunked(void **state)
{
    for (int bytewise = 0; bytewise < 2; bytewise++) {
        struct stream s = {.f = *state};
        struct peer peer = {.rounds = bytewise};

        run(&s, &peer, script_chunked);
        assert_false(s.failed);
        assert_string_equal(s.body, "abcde");
    }
}

/* 300 chunks of 1000 bytes, no two alike. */
static void script_flood(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (unsigned i = 0; i < 300; i++) {
        char chunk[1100];
        int head = snprintf(chunk, sizeof chunk, "%x\r\n", 1000u);

        for (unsigned k = 0; k < 1000; k++)
            chunk[head + (int)k] = (char)('a' + (i * 7 + k) % 26);
        memcpy(chunk + head + 1000, "\r\n", 2);
        peer_send(peer, chunk, (size_t)head + 1002);
    }
    peer_say(peer, "0\r\n\r\n");
    peer_wait(peer);
}

static uint32_t flood_sum(void)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < 300; i++) {
        for (unsigned k = 0; k < 1000; k++)
            sum = sum * 31 + (unsigned char)('a' + (i * 7 + k) % 26);
    }
    return sum;
}

static void flood(void **state, struct stream s, bool tls)
{
    struct peer peer = {.tls = tls};
    struct error err;

    s.f = *state;
    if (tls)
        assert_int_equal(
            tls_context_new(
                &(struct tls_context_options){.ca_file = "tests/unit/net/localhost-cert.pem"},
                &s.options.tls, &err),
            0);
    run(&s, &peer, script_flood);
    if (tls)
        tls_context_unref(s.options.tls);
    assert_false(s.failed);
    assert_int_equal(s.bytes, 300000);
    assert_int_equal(s.sum, flood_sum());
}

static void test_flood(void **state)
{
    flood(state, (struct stream){0}, false);
    flood(state, (struct stream){0}, true);
}

static void test_flood_paused_and_resumed(void **state)
{
    flood(state, (struct stream){.resumes = true, .pauses = true}, false);
    flood(state, (struct stream){.resumes = true, .pauses = true}, true);
}

static void script_paused(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 250\r\n\r\n");
    for (int i = 0; i < 250; i++)
        peer_say(peer, i % 2 ? "a" : "b");
    peer_wait(peer);
}

static void test_end_waits_for_who_paused(void **state)
{
    struct stream slow = {.f = *state, .pauses = true};
    struct stream stuck = {.f = *state, .pauses = true, .stays = true, .idle_ms = 20};
    struct peer peer = {0}, other = {0};

    run(&slow, &peer, script_paused);
    assert_false(slow.failed);
    assert_int_equal(slow.bytes, 250);

    /* While we do not read nothing ends, nor is silence counted. */
    peer_start(&other, script_paused);
    start(&stuck, &other);
    fixture_run_ms(*state, 100);
    assert_int_equal(stuck.pieces, 1);
    assert_int_equal(stuck.calls, 0);
    net_http_cancel(stuck.http);
    peer_stop(&other);
    io_timer_close(stuck.timer);
}

static void script_error(struct peer *peer)
{
    char body[BODY_MAX + 1];

    memset(body, 'x', sizeof body);
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 101\r\n\r\n");
    peer_send(peer, body, sizeof body);
    peer_wait(peer);
}

/* 16 MiB of zeros, in some 16 KiB: what one read brings inflates to much. */
enum { BOMB_BYTES = 16 << 20 };

static struct {
    unsigned char packed[1 << 16];
    size_t n;
} bomb;

/* Before anybody waits for it: how long it takes is the machine's affair. */
static void pack_bomb(void)
{
    static unsigned char zeros[1 << 16];
    z_stream z = {.next_out = bomb.packed, .avail_out = sizeof bomb.packed};

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    for (size_t done = 0; done < BOMB_BYTES; done += sizeof zeros) {
        z.next_in = zeros;
        z.avail_in = sizeof zeros;
        (void)deflate(&z, done + sizeof zeros == BOMB_BYTES ? Z_FINISH : Z_NO_FLUSH);
    }
    bomb.n = z.total_out;
    deflateEnd(&z);
}

static void script_bomb(struct peer *peer)
{
    char head[150];

    (void)peer_read_request(peer);
    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", bomb.n);
    peer_say(peer, head);
    peer_send(peer, bomb.packed, bomb.n);
    peer_wait(peer);
}

struct turns {
    struct stream *s;
    struct io_idle *idle;
    size_t seen, most; /* bytes until the last turn, and the most that came in one */
};

static void on_turn(void *arg)
{
    struct turns *turns = arg;
    size_t fresh = turns->s->bytes - turns->seen;

    turns->seen = turns->s->bytes;
    if (fresh > 0)
        io_timer_set(turns->s->f->guard, GUARD_MS); /* it goes on */
    if (fresh > turns->most)
        turns->most = fresh;
    if (turns->s->calls == 0)
        io_idle_arm(turns->idle);
}

static void test_a_bomb_takes_small_turns(void **state)
{
    struct stream s = {.f = *state};
    struct turns turns = {.s = &s};
    struct peer peer = {0};

    pack_bomb();
    assert_int_equal(io_idle_new(s.f->loop, on_turn, &turns, &turns.idle), 0);
    io_idle_arm(turns.idle);
    run(&s, &peer, script_bomb);
    io_idle_close(turns.idle);
    assert_false(s.failed);
    assert_int_equal(s.bytes, BOMB_BYTES);
    /* Between two looks there may be a read and a wake. */
    assert_in_range(turns.most, 1, 2 * (NET_HTTP_TURN + BODY_MAX));
}

static void test_another_status(void **state)
{
    struct stream s = {.f = *state};
    struct peer peer = {0};

    run(&s, &peer, script_error);
    assert_false(s.failed);
    assert_int_equal(s.opens, 0);
    assert_int_equal(s.status, 503);
    assert_int_equal(strlen(s.error_body), BODY_MAX);
}

static void script_slow_error(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 403 No\r\nContent-Length: 101\r\n\r\nthe start");
    peer_wait(peer);
}

static void script_silent(struct peer *peer)
{
    (void)peer_read_request(peer);
    if (peer->rounds > 0)
        peer_say(peer, "HTTP/1.1 200 OK\r\n\r\n");
    if (peer->rounds > 1)
        peer_say(peer, "data");
    peer_wait(peer);
}

static void test_deadlines(void **state)
{
    struct net_options options = {
        .dns_timeout_ms = GUARD_MS, .tcp_timeout_ms = GUARD_MS, .http_timeout_ms = 50};
    struct stream slow = {.failed = true};

    /* The answer has to begin within it: how long that takes nobody knows beforehand. */
    for (int64_t within_ms = 50; slow.failed && within_ms < GUARD_MS; within_ms *= 2) {
        struct peer peer = {0};

        slow = (struct stream){.f = *state, .options = options};
        slow.options.http_timeout_ms = within_ms;
        run(&slow, &peer, script_slow_error);
    }
    assert_false(slow.failed);
    assert_int_equal(slow.status, 403);
    assert_string_equal(slow.error_body, "the start");
    for (int rounds = 0; rounds < 3; rounds++) {
        struct stream s = {.f = *state, .options = options, .idle_ms = 50};
        struct peer silent = {.rounds = rounds};

        s.options.http_timeout_ms = rounds == 0 ? 50 : GUARD_MS;
        run(&s, &silent, script_silent);
        assert_true(s.failed);
        assert_int_equal(s.end.kind, NET_END_TIMEOUT);
        assert_int_equal(s.end.phase, NET_PHASE_HTTP);
        assert_string_equal(s.end.text, rounds == 0
                                            ? "request to 127.0.0.1: no answer within 0.05 s"
                                            : "stream from 127.0.0.1: nothing came for 0.05 s");
    }
}

static void script_broken(struct peer *peer)
{
    (void)peer_read_request(peer);
    if (peer->rounds == 0)
        return;
    peer_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    if (peer->rounds == 1)
        return;
    if (peer->rounds == 2)
        peer_say(peer, "zz\r\n");
    peer_wait(peer);
}

static void test_broken_off(void **state)
{
    static const enum net_end_kind kinds[] = {NET_END_FAILED, NET_END_CUT, NET_END_HANDSHAKE};

    for (int rounds = 0; rounds < 3; rounds++) {
        struct stream s = {.f = *state};
        struct peer peer = {.rounds = rounds};

        run(&s, &peer, script_broken);
        assert_true(s.failed);
        assert_int_equal(s.end.kind, kinds[rounds]);
        assert_true(s.end.text[0] != '\0');
    }
}

/* rounds: events by then; the second piece is an event of its own. */
static void script_events(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 200 OK\r\n\r\nfirst");
    while (events_of_all < peer->rounds)
        usleep(1000);
    peer_say(peer, "second");
    peer_wait(peer);
}

static void test_cancel_at_each_event(void **state)
{
    for (int at = 1; at <= 3; at++) {
        struct stream s = {.f = *state, .cancel_at = at, .pauses = at == 2};
        struct peer peer = {.rounds = events_of_all + (at < 2 ? at : 2)};

        run(&s, &peer, script_events);
        assert_true(s.cancelled);
    }
}

static void test_cancel_at_each_moment(void **state)
{
    for (int moment = -1; moment < 3; moment++) {
        struct stream s = {.f = *state};
        struct peer peer = {.rounds = moment < 0 ? 0 : moment};

        peer_start(&peer, script_silent);
        start(&s, &peer);
        if (moment >= 0)
            fixture_run_ms(*state, 10);
        net_http_cancel(s.http);
        fixture_run_ms(*state, 5);
        peer_stop(&peer);
        io_timer_close(s.timer);
        assert_int_equal(s.calls, 0);
    }
}

static void test_bad_arguments(void **state)
{
    struct fixture *f = *state;
    struct net_options options = {0};
    struct net_http *http;
    struct error err;

    assert_int_equal(net_http_stream(f->loop, &options, SLICE("GET"), SLICE("http://127.0.0.1/"),
                                     SLICE(""), SLICE(""), 0, 0, &events, NULL, &http, &err),
                     ERR_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_handed_on_as_it_comes),
        io_test(test_chunked),
        io_test(test_flood),
        io_test(test_flood_paused_and_resumed),
        io_test(test_end_waits_for_who_paused),
        io_test(test_a_bomb_takes_small_turns),
        io_test(test_another_status),
        io_test(test_deadlines),
        io_test(test_broken_off),
        io_test(test_cancel_at_each_event),
        io_test(test_cancel_at_each_moment),
        io_test(test_bad_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
