/* Compression as a link agrees on it: offered or not, in both directions, refused, broken, a bomb.
 */
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

#include "unit/net/link_probe.h"

#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00" /* of RFC 7692 7.2.3.1 and 7.2.3.2 */
#define HELLO_AGAIN "\xf2\x00\x11\x00\x00"
#define MANY "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789"

/* Agrees to the upgrade and, in the answer, to `extensions`. */
static void accept_with(struct peer *peer, const char *extensions)
{
    char accept_key[32], answer[512];

    if (!peer_read_request(peer))
        return;
    peer_accept_key(peer, accept_key);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Extensions: %s\r\n\r\n",
             accept_key, extensions);
    peer_say(peer, answer);
}

/* One frame of the client's, up to 125 bytes long; its first byte, and its payload unmasked. */
static int read_raw_frame(struct peer *peer, uint8_t *payload, size_t *n)
{
    uint8_t head[6];

    if (peer_recv(peer, head, sizeof head) != sizeof head)
        return -1;
    *n = head[1] & 0x7F;
    if (peer_recv(peer, payload, *n) != (long)*n)
        return -1;
    for (size_t i = 0; i < *n; i++)
        payload[i] ^= head[2 + i % 4];
    return head[0];
}

/* What the client sent, inflated, is left in peer->last, and its first byte in peer->messages. */
static void read_compressed(struct peer *peer)
{
    uint8_t payload[130];
    size_t n = 0;
    z_stream z = {0};

    peer->messages = read_raw_frame(peer, payload, &n);
    memcpy(payload + n, "\0\0\xff\xff", 4);
    inflateInit2(&z, -15);
    z.next_in = payload;
    z.avail_in = (uInt)n + 4;
    z.next_out = (Bytef *)peer->last;
    z.avail_out = sizeof peer->last - 1;
    (void)inflate(&z, Z_SYNC_FLUSH);
    inflateEnd(&z);
}

static void script_both_ways(struct peer *peer)
{
    peer->bytewise = peer->rounds != 0;
    accept_with(peer, "permessage-deflate; client_max_window_bits=9");
    peer_frame(peer, 0xC1, HELLO, 7);
    peer_frame(peer, 0x41, HELLO_AGAIN, 3);
    peer_frame(peer, 0x89, "ping", 4);
    peer_frame(peer, 0x80, &HELLO_AGAIN[3], 2);
    peer_text(peer, "plain");
    (void)peer_read_frame(peer); /* the pong */
    read_compressed(peer);
    peer_close_frame(peer, 1000, "done");
    peer_wait(peer);
}

static void act_send(struct probe *probe)
{
    assert_true(net_link_deflates(probe->link));
    assert_int_equal(net_link_send(probe->link, WS_TEXT, SLICE(MANY)), 0);
}

static void test_both_ways(void **state)
{
    for (int bytewise = 0; bytewise < 2; bytewise++) {
        struct probe probe = {.f = *state, .options = probe_options(), .act_at = 5};
        struct peer peer = {.rounds = bytewise};

        probe.options.deflate = true;
        probe.act = act_send;
        probe_run(&probe, &peer, script_both_ways);
        assert_string_equal(probe.trace, "connected open text:Hello text:Hello text:plain closed");
        assert_int_equal(probe.end.code, 1000);
        assert_non_null(strstr(peer.request, "Sec-WebSocket-Extensions: permessage-deflate; "
                                             "client_max_window_bits\r\n"));
        assert_int_equal(peer.messages, 0xC1);
        assert_string_equal(peer.last, MANY);
    }
}

/* What is not offered is not there, and an answer that has it is refused. */
static void script_unasked(struct peer *peer)
{
    accept_with(peer, "permessage-deflate");
    peer_wait(peer);
}

static void test_not_offered(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_unasked);
    assert_null(strstr(peer.request, "Extensions"));
    assert_string_equal(probe.trace, "connected closed");
    assert_int_equal(probe.end.kind, NET_END_HANDSHAKE);
    assert_non_null(strstr(probe.end.text, "not asked for: permessage-deflate"));
}

static void script_declined(struct peer *peer)
{
    accept_with(peer, "");
    peer_text(peer, "one");
    read_compressed(peer);
    peer_close_frame(peer, 1000, "");
    peer_wait(peer);
}

static void act_send_plain(struct probe *probe)
{
    assert_false(net_link_deflates(probe->link));
    assert_int_equal(net_link_send(probe->link, WS_TEXT, SLICE(MANY)), 0);
}

static void test_declined(void **state)
{
    struct probe probe = {.f = *state, .options = probe_options(), .act_at = 3};
    struct peer peer = {0};

    probe.options.deflate = true;
    probe.act = act_send_plain;
    probe_run(&probe, &peer, script_declined);
    assert_string_equal(probe.trace, "connected open text:one closed");
    assert_int_equal(peer.messages, 0x81);
}

static void script_illegal(struct peer *peer)
{
    accept_with(peer, "permessage-deflate; server_max_window_bits=16");
    peer_wait(peer);
}

static void test_illegal_answer(void **state)
{
    struct probe probe = {.f = *state, .options = probe_options()};
    struct peer peer = {0};

    probe.options.deflate = true;
    probe_run(&probe, &peer, script_illegal);
    assert_int_equal(probe.end.kind, NET_END_HANDSHAKE);
    assert_non_null(strstr(probe.end.text, "server_max_window_bits=16, where 8 to 15 is legal"));
}

static void script_broken(struct peer *peer)
{
    accept_with(peer, "permessage-deflate");
    peer_frame(peer, 0xC1, HELLO, 7);
    peer_frame(peer, 0xC1, "\x06\x00", 2);
    peer_read_frames(peer);
}

static void test_broken_message(void **state)
{
    struct probe probe = {.f = *state, .options = probe_options()};
    struct peer peer = {0};

    probe.options.deflate = true;
    probe_run(&probe, &peer, script_broken);
    assert_string_equal(probe.trace, "connected open text:Hello closed");
    assert_int_equal(probe.end.code, 1007);
    assert_true(probe.end.local);
    assert_non_null(strstr(probe.end.text, "does not inflate: invalid block type"));
    assert_int_equal(peer.close_code, 1007);
}

/* 32 MB of zeros: more than one turn of the loop inflates. */
static void script_bomb(struct peer *peer)
{
    enum { ZEROS = 32 << 20, ROOM = 65536 };
    z_stream z = {0};
    uint8_t *zeros = calloc(1, ZEROS), *out = malloc(ROOM);

    accept_with(peer, "permessage-deflate");
    deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY);
    z.next_in = zeros;
    z.avail_in = ZEROS;
    z.next_out = out;
    z.avail_out = ROOM;
    (void)deflate(&z, Z_SYNC_FLUSH);
    peer_frame(peer, 0xC1, out, ROOM - z.avail_out - 4);
    deflateEnd(&z);
    free(zeros);
    free(out);
    peer_text(peer, "after");
    peer_close_frame(peer, 1000, "");
    peer_read_frames(peer);
}

static void test_bomb(void **state)
{
    struct probe probe = {.f = *state, .options = probe_options()};
    struct peer peer = {0};

    probe.options.deflate = true;
    probe_run(&probe, &peer, script_bomb);
    assert_string_equal(probe.trace, "connected open oversize text:after closed");
    assert_int_equal(probe.oversize, 65537);
}

static void act_close(struct probe *probe)
{
    net_link_close(probe->link, 3000, SLICE("enough"));
}

static void test_abort_and_close_amid_a_bomb(void **state)
{
    for (int k = 1; k <= 4; k++) {
        struct probe aborted = {.f = *state, .options = probe_options(), .act_at = k};
        struct probe closed = aborted;
        struct peer peer = {0};

        aborted.options.deflate = closed.options.deflate = true;
        aborted.act = probe_abort;
        probe_run(&aborted, &peer, script_bomb);
        assert_true(aborted.aborted && !aborted.closed);
        peer = (struct peer){0};
        closed.act = act_close;
        probe_run(&closed, &peer, script_bomb);
        assert_true(closed.closed);
        assert_int_equal(closed.end.code, 3000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_both_ways),
        io_test(test_not_offered),
        io_test(test_declined),
        io_test(test_illegal_answer),
        io_test(test_broken_message),
        io_test(test_bomb),
        io_test(test_abort_and_close_amid_a_bomb),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
