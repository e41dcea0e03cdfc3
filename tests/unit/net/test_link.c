/* Open links: messages, control frames, closing, back-pressure; and abort and close everywhere. */
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "unit/net/link_probe.h"

/* A bit of everything, fragmented messages with a ping between the fragments included. */
static void script_everything(struct peer *peer)
{
    char *large = malloc(70000);

    memset(large, 'x', 70000);
    peer_accept_upgrade(peer);
    peer_text(peer, "one");
    peer_frame(peer, 0x01, "fr", 2);
    peer_frame(peer, 0x89, "are you there", 13);
    peer_frame(peer, 0x80, "ag", 2);
    peer_frame(peer, 0x82, "bin", 3);
    peer_frame(peer, 0x81, large, 70000);
    peer_text(peer, "two");
    (void)peer_read_frame(peer);
    peer_close_frame(peer, 1000, "done");
    peer_read_frame(peer);
    free(large);
}

static const char everything[] = "connected open text:one text:frag binary:bin oversize text:two "
                                 "closed";
enum { EVERYTHING_EVENTS = 7 }; /* before on_closed */

static void assert_closed(const struct probe *probe, int code, bool local, const char *text)
{
    assert_true(probe->closed);
    assert_int_equal(probe->end.kind, NET_END_CLOSE);
    assert_int_equal(probe->end.phase, NET_PHASE_OPEN);
    assert_int_equal(probe->end.code, code);
    assert_int_equal(probe->end.local, local);
    assert_string_equal(probe->end.text, text);
}

static void test_everything(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_everything);
    assert_string_equal(probe.trace, everything);
    assert_closed(&probe, 1000, false, "done");
    assert_int_equal(probe.oversize, 70000);
    assert_int_equal(peer.pongs, 1);
    assert_int_equal(peer.closes, 1);
    assert_int_equal(peer.close_code, 1000);
    assert_non_null(strstr(peer.request, "GET /path?q=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(peer.request, "X-Test: yes\r\n"));
}

static void script_byte_by_byte(struct peer *peer)
{
    peer->bytewise = true;
    peer_accept_upgrade(peer);
    peer_text(peer, "one");
    peer_frame(peer, 0x89, "ping", 4);
    peer_frame(peer, 0x01, "t\xC3", 2);
    peer_frame(peer, 0x80, "\xA9", 1);
    peer_close_frame(peer, 4001, "bye");
    peer_read_frames(peer);
}

static void test_byte_by_byte(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_byte_by_byte);
    assert_string_equal(probe.trace, "connected open text:one text:t\xC3\xA9 closed");
    assert_closed(&probe, 4001, false, "bye");
    assert_int_equal(peer.pongs, 1);
    assert_int_equal(peer.close_code, 4001);
}

static void test_everything_over_tls(void **state)
{
    struct probe probe = {.f = *state, .options = probe_options()};
    struct peer peer = {.tls = true};
    struct error err;

    assert_int_equal(
        tls_context_new(
            &(struct tls_context_options){.ca_file = "tests/unit/net/localhost-cert.pem"},
            &probe.options.tls, &err),
        0);
    probe_run(&probe, &peer, script_everything);
    tls_context_unref(probe.options.tls);
    assert_string_equal(strchr(probe.trace, ' '), strchr(everything, ' '));
    assert_int_equal(strncmp(probe.trace, "connected-tls ", 14), 0);
    assert_closed(&probe, 1000, false, "done");
    assert_int_equal(peer.pongs, 1);
}

/* ---- abort and close at each event, until there is none left ---- */

static void test_abort_at_each_event(void **state)
{
    int k;

    for (k = 1; k <= EVERYTHING_EVENTS; k++) {
        struct probe probe = {.f = *state, .act_at = k, .act = probe_abort};
        struct peer peer = {0};

        probe_run(&probe, &peer, script_everything);
        assert_true(probe.aborted);
        assert_false(probe.closed);
        assert_int_equal(probe.events, k);
    }
}

static void act_close(struct probe *probe)
{
    net_link_close(probe->link, 3000, SLICE("enough"));
    net_link_close(probe->link, 3001, SLICE("too late"));
    assert_int_equal(net_link_send(probe->link, WS_TEXT, SLICE("x")), ERR_EOF);
    assert_int_equal(net_link_ping(probe->link), ERR_EOF);
}

static void test_close_at_each_event(void **state)
{
    int k;

    for (k = 1; k <= EVERYTHING_EVENTS; k++) {
        struct probe probe = {.f = *state, .act_at = k, .act = act_close};
        struct peer peer = {0};

        probe_run(&probe, &peer, script_everything);
        assert_true(probe.closed);
        assert_int_equal(probe.events, k);
        assert_int_equal(probe.end.kind, NET_END_CLOSE);
        assert_int_equal(probe.end.code, 3000);
        assert_true(probe.end.local);
        assert_string_equal(probe.end.text, "enough");
        if (k >= 2) /* it was open, and the peer was told */
            assert_int_equal(peer.close_code, 3000);
    }
}

/* Before the first event too: at once, after DNS has begun, and so on by time. */
static void test_abort_and_close_while_dialling(void **state)
{
    struct probe aborted = {.f = *state}, closed = {.f = *state};
    struct peer peer = {0};

    peer_start(&peer, script_everything);
    probe_open(&aborted, &peer);
    net_link_abort(aborted.link);
    aborted.aborted = true;
    probe_open(&closed, &peer);
    net_link_close(closed.link, 1001, SLICE("going"));
    fixture_run(*state, 1);
    assert_true(closed.closed);
    assert_int_equal(closed.end.code, 1001);
    assert_true(closed.end.local);
    assert_string_equal(closed.trace, "closed");
    fixture_run_ms(*state, 20);
    peer_stop(&peer);
}

/* ---- ends ---- */

static void script_close_without_code(struct peer *peer)
{
    peer_accept_upgrade(peer);
    peer_frame(peer, 0x88, "", 0);
    peer_read_frames(peer);
}

static void test_close_without_code(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_close_without_code);
    assert_closed(&probe, 1005, false, "");
    assert_int_equal(peer.closes, 1);
    assert_int_equal(peer.close_code, 1005);
}

/* The peer never hangs up: the link does, two seconds later. */
static void test_peer_that_does_not_hang_up(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};
    int64_t start = io_clock_ms();

    probe_run(&probe, &peer, script_close_without_code);
    assert_true(io_clock_ms() - start >= NET_CLOSE_WAIT_MS);
    assert_true(peer.hung_up);
}

static void script_end(struct peer *peer)
{
    peer_accept_upgrade(peer);
    peer_text(peer, "one");
}

static void test_end_without_close_frame(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_end);
    assert_string_equal(probe.trace, "connected open text:one closed");
    assert_closed(&probe, 1006, false, "connection ended without a close frame");
}

static void script_reset(struct peer *peer)
{
    peer_accept_upgrade(peer);
    (void)peer_read_frame(peer);
    peer_reset(peer);
}

static void act_ping(struct probe *probe)
{
    assert_int_equal(net_link_ping(probe->link), 0);
}

static void test_reset(void **state)
{
    struct probe probe = {.f = *state, .act_at = 2, .act = act_ping};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_reset);
    assert_closed(&probe, 1006, false,
                  "connection ended without a close frame: connection reset by peer");
}

static void script_bad_frame(struct peer *peer)
{
    peer_accept_upgrade(peer);
    peer_text(peer, "one");
    peer_frame(peer, 0x83, "", 0);
    peer_text(peer, "never");
    peer_read_frames(peer);
}

static void test_protocol_error(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_bad_frame);
    assert_string_equal(probe.trace, "connected open text:one closed");
    assert_closed(&probe, 1002, true, "WebSocket: a frame with an unknown opcode");
    assert_int_equal(peer.close_code, 1002);
}

static void script_bad_text(struct peer *peer)
{
    peer_accept_upgrade(peer);
    peer_text(peer, "\xFF");
    peer_read_frame(peer);
}

static void test_text_that_is_not_utf8(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_bad_text);
    assert_closed(&probe, 1007, true, "WebSocket: a text message that is not UTF-8");
    assert_int_equal(peer.close_code, 1007);
}

static void script_mute(struct peer *peer)
{
    peer_accept_upgrade(peer);
    peer_read_frames(peer);
}

static void test_close_that_is_not_answered(void **state)
{
    struct probe probe = {.f = *state, .act_at = 2, .act = act_close};
    struct peer peer = {0};
    int64_t start = io_clock_ms();

    probe_run(&probe, &peer, script_mute);
    assert_closed(&probe, 3000, true, "enough");
    assert_true(io_clock_ms() - start >= NET_CLOSE_WAIT_MS);
    assert_int_equal(peer.close_code, 3000);
}

static void act_close_unsendable(struct probe *probe)
{
    net_link_close(probe->link, WS_CLOSE_ABNORMAL, SLICE(""));
}

static void script_answer_close(struct peer *peer)
{
    peer_accept_upgrade(peer);
    (void)peer_read_frame(peer);
    peer_text(peer, "late: not delivered");
    peer_close_frame(peer, 1000, "answer");
    peer_read_frames(peer);
}

static void test_close_with_a_code_that_may_not_be_sent(void **state)
{
    struct probe probe = {.f = *state, .act_at = 2, .act = act_close_unsendable};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_answer_close);
    assert_string_equal(probe.trace, "connected open closed");
    assert_closed(&probe, 1006, true, "");
    assert_int_equal(peer.close_code, 1005);
}

/* ---- pings ---- */

static void script_pong(struct peer *peer)
{
    peer_accept_upgrade(peer);
    peer_frame(peer, 0x8A, "unasked", 7);
    peer_frame(peer, 0x8A, "sixteen bytes it", 16);
    (void)peer_read_frame(peer);
    peer_frame(peer, 0x8A, peer->last, 16);
    peer_close_frame(peer, 1000, "");
    peer_read_frame(peer);
}

static void test_only_the_echo_of_a_ping_is_a_pong(void **state)
{
    struct probe probe = {.f = *state, .act_at = 2, .act = act_ping};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_pong);
    assert_string_equal(probe.trace, "connected open pong closed");
    assert_int_equal(peer.pings, 1);
}

/* ---- back-pressure ---- */

enum { FLOOD = 3000, FLOOD_SIZE = 400 };

static void script_flood(struct peer *peer)
{
    char message[FLOOD_SIZE + 1];
    int i;

    peer_accept_upgrade(peer);
    for (i = 0; i < FLOOD; i++) {
        memset(message, 'a' + i % 26, FLOOD_SIZE);
        peer_frame(peer, 0x81, message, FLOOD_SIZE);
    }
    peer_close_frame(peer, 1000, "done");
    peer_read_frame(peer);
}

static void run_flood(void **state, bool tls, int refuse_every)
{
    struct probe probe = {.f = *state,
                          .options = probe_options(),
                          .refuse_every = refuse_every,
                          .silent_on_message = true};
    struct peer peer = {.tls = tls};
    struct error err;

    if (tls)
        assert_int_equal(
            tls_context_new(
                &(struct tls_context_options){.ca_file = "tests/unit/net/localhost-cert.pem"},
                &probe.options.tls, &err),
            0);
    probe_run(&probe, &peer, script_flood);
    if (tls)
        tls_context_unref(probe.options.tls);
    assert_int_equal(probe.messages, FLOOD);
    assert_int_equal(probe.bytes, (size_t)FLOOD * FLOOD_SIZE);
    assert_closed(&probe, 1000, false, "done");
}

static void test_refused_messages_come_again(void **state)
{
    run_flood(state, false, 0);
    run_flood(state, false, 7);
    run_flood(state, false, 1000);
}

static void test_refused_messages_come_again_over_tls(void **state)
{
    run_flood(state, true, 0);
    run_flood(state, true, 7);
    run_flood(state, true, 1000);
}

/* The peer's close frame is behind what was refused: it is found all the same. */
static void test_close_while_paused(void **state)
{
    struct probe probe = {
        .f = *state, .refuse_every = 2, .stays_paused = true, .silent_on_message = true};
    struct peer peer = {0};
    int64_t start = io_clock_ms();

    peer_start(&peer, script_flood);
    probe_open(&probe, &peer);
    while (!probe.refused)
        fixture_run_ms(*state, 1);
    fixture_run_ms(*state, 20);
    assert_int_equal(probe.messages, 1);
    assert_int_equal(net_link_last_rx_ms(probe.link), io_now_ms(probe.f->loop));
    net_link_close(probe.link, 1000, SLICE("tired"));
    fixture_run(*state, 1);
    io_timer_close(probe.timer);
    peer_stop(&peer);
    assert_closed(&probe, 1000, true, "tired");
    assert_int_equal(probe.messages, 1);
    assert_true(io_clock_ms() - start < NET_CLOSE_WAIT_MS);
}

static void test_resume_within_the_refusal(void **state)
{
    struct probe probe = {
        .f = *state, .refuse_every = 100, .resumes_at_once = true, .silent_on_message = true};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_flood);
    assert_int_equal(probe.messages, FLOOD);
    assert_closed(&probe, 1000, false, "done");
}

static void script_deaf(struct peer *peer)
{
    peer_accept_upgrade(peer);
    while (peer->rounds == 0)
        usleep(1000);
    peer_read_frames(peer);
}

static void act_fill(struct probe *probe)
{
    static char bytes[LIMIT_MESSAGE_MAX + 1];
    int rc = 0;

    assert_int_equal(net_link_send(probe->link, WS_BINARY, slice_make(bytes, sizeof bytes)),
                     ERR_LIMIT);
    assert_int_equal(net_link_send(probe->link, WS_PING, SLICE("x")), ERR_INVAL);
    while (rc == 0)
        rc = net_link_send(probe->link, WS_BINARY, slice_make(bytes, 65536));
    assert_int_equal(rc, ERR_AGAIN);
    net_link_close(probe->link, 1000, SLICE("full"));
}

static void test_outgoing_queue_is_bounded(void **state)
{
    struct probe probe = {.f = *state, .act_at = 2, .act = act_fill};
    struct peer peer = {0};

    peer_start(&peer, script_deaf);
    probe_open(&probe, &peer);
    while (probe.events < 2)
        fixture_run_ms(*state, 1);
    peer.rounds = 1;
    fixture_run(*state, 1);
    io_timer_close(probe.timer);
    peer_stop(&peer);
    assert_closed(&probe, 1000, true, "full");
    assert_true(peer.messages > 16);
    assert_int_equal(peer.close_code, 1000); /* the close frame found its way behind the rest */
}

/* Fills the queue with one message of the longest kind; on_room is told when it is out. */
static void act_send_longest(struct probe *probe)
{
    static char bytes[LIMIT_MESSAGE_MAX];

    assert_int_equal(net_link_send(probe->link, WS_BINARY, slice_make(bytes, sizeof bytes)), 0);
    assert_int_equal(net_link_send(probe->link, WS_BINARY, SLICE("x")), ERR_AGAIN);
}

static void test_longest_message_and_room_after_it(void **state)
{
    struct probe probe = {.f = *state, .act_at = 2, .act = act_send_longest};
    struct peer peer = {0};

    peer_start(&peer, script_deaf);
    probe_open(&probe, &peer);
    while (probe.events < 2)
        fixture_run_ms(*state, 1);
    assert_int_equal(probe.rooms, 0);
    peer.rounds = 1;
    while (probe.rooms == 0)
        fixture_run_ms(*state, 1);
    assert_int_equal(net_link_send(probe.link, WS_TEXT, SLICE("room")), 0);
    net_link_close(probe.link, 1000, SLICE(""));
    fixture_run(*state, 1);
    io_timer_close(probe.timer);
    peer_stop(&peer);
    assert_closed(&probe, 1000, true, "");
    assert_int_equal(probe.rooms, 1);
    assert_int_equal(peer.messages, 2);
}

/* A message is refused; a shorter one still fits, a longer one is refused for good. */
static void act_send_what_fits(struct probe *probe)
{
    static char bytes[LIMIT_MESSAGE_MAX + 1];
    int rc = 0;

    while (rc == 0)
        rc = net_link_send(probe->link, WS_BINARY, slice_make(bytes, 65536));
    assert_int_equal(rc, ERR_AGAIN);
    assert_int_equal(net_link_send(probe->link, WS_BINARY, SLICE("x")), 0);
    assert_int_equal(net_link_send(probe->link, WS_BINARY, slice_make(bytes, sizeof bytes)),
                     ERR_LIMIT);
}

static void test_room_is_told_whatever_fitted_meanwhile(void **state)
{
    struct probe probe = {.f = *state, .act_at = 2, .act = act_send_what_fits};
    struct peer peer = {0};

    peer_start(&peer, script_deaf);
    probe_open(&probe, &peer);
    while (probe.events < 2)
        fixture_run_ms(*state, 1);
    peer.rounds = 1;
    for (int i = 0; i < 5000 && probe.rooms == 0; i++)
        fixture_run_ms(*state, 1);
    assert_int_equal(probe.rooms, 1);
    net_link_close(probe.link, 1000, SLICE(""));
    fixture_run(*state, 1);
    io_timer_close(probe.timer);
    peer_stop(&peer);
    assert_closed(&probe, 1000, true, "");
}

/* Pings that come while there is no room for their pongs. */
static void script_pings_unread(struct peer *peer)
{
    char number[16];

    peer_accept_upgrade(peer);
    while (peer->rounds == 0)
        usleep(1000);
    for (int i = 1; i <= 100; i++)
        peer_frame(peer, 0x89, number, (size_t)snprintf(number, sizeof number, "%d", i));
    while (peer->rounds == 1)
        usleep(1000);
    while (peer->pongs == 0 && peer_read_frame(peer))
        continue;
    snprintf(peer->request, sizeof peer->request, "%s", peer->last);
    peer_close_frame(peer, 1000, "");
    peer_read_frames(peer);
}

static void test_the_latest_ping_is_answered_when_there_is_room(void **state)
{
    struct probe probe = {.f = *state, .act_at = 2, .act = act_send_longest};
    struct peer peer = {0};
    int64_t before_ms;

    peer_start(&peer, script_pings_unread);
    probe_open(&probe, &peer);
    while (probe.events < 2)
        fixture_run_ms(*state, 1);
    before_ms = net_link_last_rx_ms(probe.link);
    fixture_run_ms(*state, 2);
    peer.rounds = 1;
    while (net_link_last_rx_ms(probe.link) == before_ms)
        fixture_run_ms(*state, 1);
    peer.rounds = 2;
    fixture_run(*state, 1);
    io_timer_close(probe.timer);
    peer_stop(&peer);
    assert_closed(&probe, 1000, false, "");
    assert_in_range(peer.pongs, 1, 100);
    assert_string_equal(peer.request, "100");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_everything),
        io_test(test_byte_by_byte),
        io_test(test_everything_over_tls),
        io_test(test_abort_at_each_event),
        io_test(test_close_at_each_event),
        io_test(test_abort_and_close_while_dialling),
        io_test(test_close_without_code),
        io_test(test_peer_that_does_not_hang_up),
        io_test(test_end_without_close_frame),
        io_test(test_reset),
        io_test(test_protocol_error),
        io_test(test_text_that_is_not_utf8),
        io_test(test_close_that_is_not_answered),
        io_test(test_close_with_a_code_that_may_not_be_sent),
        io_test(test_only_the_echo_of_a_ping_is_a_pong),
        io_test(test_refused_messages_come_again),
        io_test(test_refused_messages_come_again_over_tls),
        io_test(test_resume_within_the_refusal),
        io_test(test_close_while_paused),
        io_test(test_outgoing_queue_is_bounded),
        io_test(test_longest_message_and_room_after_it),
        io_test(test_room_is_told_whatever_fitted_meanwhile),
        io_test(test_the_latest_ping_is_answered_when_there_is_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
