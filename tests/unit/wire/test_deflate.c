/*
 * Against zlib as an independent peer: random messages of every window, level and fragmentation
 * arrive as they were sent, and what we send inflates with no more than what was agreed. Then
 * bombs, bounds and memory.
 */
#include <inttypes.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ZLIB_CONST
#include <zlib.h>

#include "base/rng.h"
#include "wire/ws.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
/* gcc does not install the header that declares it. */
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { MESSAGES = 40, MESSAGE_MAX = 100 * 1024 };

static const uint8_t mask[4] = {0x37, 0xFA, 0x21, 0x3D};

static size_t heap_in_use(void)
{
#ifdef __SANITIZE_ADDRESS__
    return __sanitizer_get_current_allocated_bytes();
#else
    return mallinfo2().uordblks + mallinfo2().hblkhd;
#endif
}

/* ---- the peer ---- */

struct server {
    struct rng rng;
    z_stream z;
    struct deflate_terms terms;
    struct buf stream;   /* of frames */
    struct buf messages; /* that are in it, each with its length before it */
    unsigned n;
};

static void start_server(struct server *server, uint64_t seed, const struct deflate_terms *terms)
{
    int bits = terms->server_bits > 9 ? (int)terms->server_bits : 9; /* as zlib does it for 8 */

    *server = (struct server){.terms = *terms};
    rng_seed(&server->rng, seed);
    assert_int_equal(deflateInit2(&server->z, (int)rng_below(&server->rng, 10), Z_DEFLATED, -bits,
                                  1 + (int)rng_below(&server->rng, 9),
                                  (int)rng_below(&server->rng, 5)),
                     Z_OK);
    buf_init(&server->stream, BUF_UNBOUNDED);
    buf_init(&server->messages, BUF_UNBOUNDED);
}

static void stop_server(struct server *server)
{
    deflateEnd(&server->z);
    buf_fini(&server->stream);
    buf_fini(&server->messages);
}

static void put_frame(struct buf *out, unsigned char first, struct slice payload)
{
    buf_append_byte(out, (char)first);
    if (payload.len < 126) {
        buf_append_byte(out, (char)payload.len);
    } else if (payload.len < 65536) {
        buf_append_byte(out, 126);
        buf_append_byte(out, (char)(payload.len >> 8));
        buf_append_byte(out, (char)payload.len);
    } else {
        buf_append_byte(out, 127);
        for (int shift = 56; shift >= 0; shift -= 8)
            buf_append_byte(out, (char)((uint64_t)payload.len >> shift));
    }
    assert_int_equal(buf_append_slice(out, payload), 0);
}

/* RFC 7692 7.2.1. What deflate() is given at once, and how it is flushed in between, is random. */
static void compress_message(struct server *server, struct slice message, struct buf *out)
{
    z_stream *z = &server->z;
    static char room[2 * MESSAGE_MAX + 65536];

    z->next_out = (Bytef *)room;
    z->avail_out = sizeof room;
    do {
        size_t n = rng_below(&server->rng, 4) == 0 ? rng_below(&server->rng, message.len + 1)
                                                   : message.len;

        z->next_in = (const Bytef *)slice_chars(message);
        z->avail_in = (uInt)n;
        message = slice_from(message, n);
        assert_int_not_equal(
            deflate(z, rng_below(&server->rng, 3) == 0 ? Z_FULL_FLUSH : Z_NO_FLUSH),
            Z_STREAM_ERROR);
    } while (message.len > 0);
    (void)deflate(z, Z_SYNC_FLUSH);
    assert_true(z->avail_out > 0);
    if (sizeof room - z->avail_out < 4) { /* nothing since the last flush: 7.2.3.6 */
        buf_append_byte(out, 0);
        return;
    }
    buf_append(out, room, sizeof room - z->avail_out - 4);
    assert_memory_equal((char *)z->next_out - 4, "\0\0\xff\xff", 4);
    if (server->terms.server_no_context_takeover)
        deflateReset(z);
}

static void send_message(struct server *server, struct slice message)
{
    unsigned char first = 0x02 | 0x40;
    struct buf payload;
    struct slice rest;

    buf_init(&payload, BUF_UNBOUNDED);
    if (rng_below(&server->rng, 5) == 0) {
        first = 0x02; /* not compressed */
        buf_append_slice(&payload, message);
    } else {
        compress_message(server, message, &payload);
    }
    for (rest = buf_slice(&payload);;) {
        size_t n =
            rng_below(&server->rng, 2) == 0 ? rest.len : rng_below(&server->rng, rest.len + 1);
        bool last = n == rest.len;

        put_frame(&server->stream, last ? first | 0x80 : first, slice_make(rest.ptr, n));
        if (last)
            break;
        rest = slice_from(rest, n);
        first = 0;
    }
    buf_fini(&payload);
    buf_append(&server->messages, &message.len, sizeof message.len);
    buf_append_slice(&server->messages, message);
    server->n++;
}

/* Words that come again, with noise between them. */
static void make_message(struct rng *rng, struct buf *out)
{
    static const char *const words[] = {"alpha", "beta", "\"gamma\":", "{", "}", "0123456789"};
    size_t len = rng_below(rng, 3) == 0 ? rng_below(rng, MESSAGE_MAX) : rng_below(rng, 600);
    bool noise = rng_below(rng, 4) == 0;

    buf_clear(out);
    while (out->len < len) {
        if (noise)
            buf_append_byte(out, (char)rng_below(rng, 256));
        else
            buf_append_str(out, words[rng_below(rng, COUNT(words))]);
    }
}

/* ---- the client ---- */

struct client {
    struct slice expect; /* what is still to come */
    unsigned n, oversize;
    uint64_t oversize_bytes;
    size_t zeros; /* of each message; 0: as expected */
    uint64_t seed;
};

static int on_message(void *arg, enum ws_type type, struct slice payload)
{
    struct client *client = arg;
    size_t len;

    client->n++;
    assert_int_equal(type, WS_BINARY);
    if (client->zeros != 0) {
        assert_int_equal(payload.len, client->zeros);
        return 0;
    }
    memcpy(&len, client->expect.ptr, sizeof len);
    client->expect = slice_from(client->expect, sizeof len);
    if (!slice_eq(payload, slice_make(client->expect.ptr, len)))
        fail_msg("seed %" PRIu64 ": message %u differs", client->seed, client->n);
    client->expect = slice_from(client->expect, len);
    return 0;
}

static void on_control(void *arg, struct slice payload)
{
    fail();
}

static void on_oversize(void *arg, uint64_t bytes)
{
    struct client *client = arg;

    client->oversize++;
    client->oversize_bytes = bytes;
}

static void on_close(void *arg, int code, struct slice reason)
{
    fail();
}

static struct ws_decoder *new_decoder(struct client *client, const struct deflate_terms *terms,
                                      uint64_t max_message)
{
    const struct ws_handler handler = {on_message,  on_control, on_control,
                                       on_oversize, on_close,   client};
    struct ws_decoder *decoder;

    assert_int_equal(ws_decoder_new(&handler, max_message, &decoder), 0);
    assert_int_equal(ws_decoder_deflate(decoder, terms), 0);
    return decoder;
}

/* Returns how often the decoder wanted others to have their turn. */
static unsigned feed(struct ws_decoder *decoder, struct slice bytes)
{
    struct error err = {0};
    unsigned busy = 0;
    int code = 0;
    int rc;

    while ((rc = ws_decoder_run(decoder, &bytes, &code, &err)) == ERR_BUSY)
        busy++;
    if (rc != 0)
        fail_msg("%d %d %s", rc, code, err.text);
    assert_int_equal(bytes.len, 0);
    return busy;
}

/* ---- tests ---- */

static void run_random(uint64_t seed, const struct deflate_terms *terms)
{
    struct client client = {.seed = seed};
    struct ws_decoder *decoder = new_decoder(&client, terms, MESSAGE_MAX + 1000);
    struct server server;
    struct buf message;
    struct slice rest;

    start_server(&server, seed, terms);
    buf_init(&message, BUF_UNBOUNDED);
    for (int i = 0; i < MESSAGES; i++) {
        make_message(&server.rng, &message);
        send_message(&server, buf_slice(&message));
    }
    client.expect = buf_slice(&server.messages);
    for (rest = buf_slice(&server.stream); rest.len > 0;) {
        size_t most = rng_below(&server.rng, 3) == 0 ? 8 : 20000;
        size_t n = 1 + rng_below(&server.rng, most);

        n = n < rest.len ? n : rest.len;
        feed(decoder, slice_make(rest.ptr, n));
        rest = slice_from(rest, n);
    }
    if (client.n != server.n || client.expect.len != 0)
        fail_msg("seed %" PRIu64 ": %u of %u messages", seed, client.n, server.n);
    ws_decoder_free(decoder);
    buf_fini(&message);
    stop_server(&server);
}

static void test_random_messages(void **state)
{
    uint64_t seed = 1;

    for (unsigned bits = 8; bits <= 15; bits++) {
        for (unsigned k = 0; k < 4; k++)
            run_random(seed++, &(struct deflate_terms){true, k % 2 != 0, false, bits, 15});
    }
}

/* Our message, inflated with the agreed window and with nothing from before. */
static void check_sent(const struct deflate_terms *terms, struct slice message, bool shorter)
{
    static char back[MESSAGE_MAX + 1000];
    z_stream z = {0};
    struct buf out;

    buf_init(&out, BUF_UNBOUNDED);
    buf_append_str(&out, "before");
    assert_int_equal(deflate_message(terms, message, &out), shorter);
    assert_memory_equal(out.data, "before", 6);
    if (shorter) {
        assert_true(out.len - 6 < message.len);
        buf_append(&out, "\0\0\xff\xff", 4);
        assert_int_equal(inflateInit2(&z, -(int)terms->client_bits), Z_OK);
        z.next_in = (const Bytef *)out.data + 6;
        z.avail_in = (uInt)out.len - 6;
        z.next_out = (Bytef *)back;
        z.avail_out = sizeof back;
        assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
        assert_int_equal(z.avail_in, 0);
        assert_int_equal(z.total_out, message.len);
        assert_memory_equal(back, message.ptr, message.len);
        inflateEnd(&z);
    } else {
        assert_int_equal(out.len, 6);
    }
    buf_fini(&out);
}

static void test_sent(void **state)
{
    struct rng rng;
    struct buf message;

    rng_seed(&rng, 7);
    buf_init(&message, BUF_UNBOUNDED);
    while (message.len < MESSAGE_MAX) /* words that come again near and far */
        buf_appendf(&message, "word%u,", (unsigned)rng_below(&rng, 5000));
    for (unsigned bits = 8; bits <= 15; bits++) {
        struct deflate_terms terms = {true, false, false, 15, bits};

        for (size_t len = DEFLATE_MIN; len <= message.len; len = len * 5 / 4)
            check_sent(&terms, slice_make(message.data, len), bits > 8);
    }
    buf_fini(&message);
}

static void test_not_worth_it(void **state)
{
    static const struct deflate_terms agreed = {true, false, false, 15, 15};
    static const struct deflate_terms none = {false, false, false, 15, 15};
    char same[1000], noise[1000];
    struct rng rng;

    rng_seed(&rng, 1);
    memset(same, 'x', sizeof same);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)rng_below(&rng, 256);
    check_sent(&agreed, slice_make(same, sizeof same), true);
    check_sent(&agreed, slice_make(same, DEFLATE_MIN), true);
    check_sent(&agreed, slice_make(same, DEFLATE_MIN - 1), false);
    check_sent(&agreed, slice_make(same, 0), false);
    check_sent(&agreed, slice_make(NULL, 0), false);
    check_sent(&agreed, slice_make(noise, sizeof noise), false);
    check_sent(&none, slice_make(same, sizeof same), false);
}

static void test_message_write(void **state)
{
    static const struct deflate_terms agreed = {true, false, false, 15, 15};
    static const struct deflate_terms none = {0};
    static char same[1000];
    struct buf out;

    memset(same, 'x', sizeof same);
    buf_init(&out, 200);
    assert_int_equal(ws_message_write(&out, &agreed, WS_TEXT, slice_make(same, sizeof same), mask),
                     0);
    assert_int_equal((unsigned char)out.data[0], 0xC1);
    assert_int_equal(out.len, 6 + (out.data[1] & 0x7F));
    buf_clear(&out);
    assert_int_equal(ws_message_write(&out, &agreed, WS_BINARY, SLICE("short"), mask), 0);
    assert_int_equal((unsigned char)out.data[0], 0x82);
    buf_clear(&out);
    /* The bound is of what is sent. */
    assert_int_equal(ws_message_write(&out, &none, WS_TEXT, slice_make(same, sizeof same), mask),
                     ERR_LIMIT);
    assert_int_equal(ws_message_write(&out, &none, WS_TEXT, slice_make(same, 100), mask), 0);
    assert_int_equal((unsigned char)out.data[0], 0x81);
    buf_clear(&out);
    same[999] = '\xff';
    assert_int_equal(ws_message_write(&out, &agreed, WS_TEXT, slice_make(same, sizeof same), mask),
                     ERR_INVAL);
    assert_int_equal(ws_message_write(&out, &agreed, WS_PING, SLICE("x"), mask), ERR_INVAL);
    assert_int_equal(ws_message_write(&out, &agreed, WS_CLOSE, SLICE(""), mask), ERR_INVAL);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

/* A message of zeros, as small as it gets. */
static void put_zeros(struct server *server, size_t n)
{
    char *zeros = calloc(1, n);
    struct buf payload;

    assert_non_null(zeros);
    buf_init(&payload, BUF_UNBOUNDED);
    server->z.next_in = (const Bytef *)zeros;
    server->z.avail_in = (uInt)n;
    do {
        assert_int_equal(buf_reserve(&payload, 65536), 0);
        server->z.next_out = (Bytef *)payload.data + payload.len;
        server->z.avail_out = 65536;
        assert_int_equal(deflate(&server->z, Z_SYNC_FLUSH), Z_OK);
        payload.len += 65536 - server->z.avail_out;
    } while (server->z.avail_out == 0);
    put_frame(&server->stream, 0xC2, slice_make(payload.data, payload.len - 4));
    buf_fini(&payload);
    free(zeros);
}

static void start_bomber(struct server *server, const struct deflate_terms *terms)
{
    start_server(server, 1, terms);
    deflateEnd(&server->z);
    server->z = (z_stream){0};
    assert_int_equal(deflateInit2(&server->z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
}

static void test_bound(void **state)
{
    enum { MAX = 1 << 20 };
    static const struct deflate_terms terms = {true, false, false, 15, 15};
    struct client client = {.zeros = MAX};
    struct ws_decoder *decoder = new_decoder(&client, &terms, MAX);
    struct server server;

    start_bomber(&server, &terms);
    put_zeros(&server, MAX);
    put_zeros(&server, MAX + 1);
    put_zeros(&server, MAX);
    feed(decoder, buf_slice(&server.stream));
    assert_int_equal(client.n, 2);
    assert_int_equal(client.oversize, 1);
    assert_int_equal(client.oversize_bytes, MAX + 1);
    ws_decoder_free(decoder);
    stop_server(&server);
}

/* 256 MB out of 256 KB: said once, inflated in turns, and in no more memory than any message. */
static void test_bomb(void **state)
{
    static const struct deflate_terms terms = {true, false, false, 15, 15};
    struct client client = {.zeros = 100};
    struct ws_decoder *decoder = new_decoder(&client, &terms, 4096);
    struct server server;
    struct slice stream;
    size_t before;
    unsigned busy;

    start_bomber(&server, &terms);
    put_zeros(&server, 256u << 20);
    put_zeros(&server, 100);
    stream = buf_slice(&server.stream);
    before = heap_in_use();
    busy = feed(decoder, slice_make(stream.ptr, stream.len - 20));
    assert_int_equal(client.oversize, 1);
    assert_int_equal(client.n, 0);
    assert_true(heap_in_use() - before < 64 * 1024);
    busy += feed(decoder, slice_from(stream, stream.len - 20));
    assert_int_equal(client.n, 1);
    assert_int_equal(client.oversize, 1);
    /* One more piece of wslay's buffer may have been inflated in each run. */
    assert_in_range(busy, (256u << 20) / (WS_INFLATE_MAX + 4096 * 1032),
                    (256u << 20) / WS_INFLATE_MAX);
    ws_decoder_free(decoder);
    stop_server(&server);
}

/* With no context to keep, the rest of a bomb costs nothing. */
static void test_bomb_alone(void **state)
{
    static const struct deflate_terms terms = {true, true, false, 15, 15};
    struct client client = {.zeros = 100};
    struct ws_decoder *decoder = new_decoder(&client, &terms, 4096);
    struct server server;

    start_bomber(&server, &terms);
    put_zeros(&server, 64u << 20);
    deflateReset(&server.z);
    put_zeros(&server, 100);
    assert_int_equal(feed(decoder, buf_slice(&server.stream)), 0);
    assert_int_equal(client.oversize, 1);
    assert_int_equal(client.n, 1);
    ws_decoder_free(decoder);
    stop_server(&server);
}

/* What the header of deflate.h says a link costs. */
static void test_memory(void **state)
{
    static const size_t most[] = {
        [8] = 12, [9] = 12, [10] = 13, [11] = 14, [12] = 16, [13] = 20, [14] = 28, [15] = 44};

    for (unsigned bits = 8; bits <= 15; bits++) {
        struct deflate_terms terms = {true, false, false, bits, 15};
        struct client client = {.zeros = 100};
        struct server server;
        struct ws_decoder *decoder = new_decoder(&client, &terms, 4096);
        size_t before = heap_in_use();

        start_server(&server, 1, &terms);
        stop_server(&server);
        assert_true(heap_in_use() - before < 1024);
        start_server(&server, 1, &terms);
        for (int i = 0; i < 1000; i++)
            put_zeros(&server, 100);
        before = heap_in_use();
        feed(decoder, buf_slice(&server.stream));
        assert_int_equal(client.n, 1000);
        assert_in_range(heap_in_use() - before, 7 * 1024, 4096 + most[bits] * 1024);
        ws_decoder_free(decoder);
        stop_server(&server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_messages), cmocka_unit_test(test_sent),
        cmocka_unit_test(test_not_worth_it),    cmocka_unit_test(test_message_write),
        cmocka_unit_test(test_bound),           cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_bomb_alone),      cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
