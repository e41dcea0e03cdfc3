/* Lengths at every boundary of the framing, large messages, refusals amid many, and memory. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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

struct sink {
    unsigned messages, pings, oversize, closed;
    size_t expect_len;
    uint64_t oversize_bytes;
    const char *lowest, *highest; /* where payloads lay */
    unsigned refuse_every;        /* the so manieth offer is refused; 0: none */
    unsigned offers;
    struct buf order; /* the first byte of each message */
};

static size_t heap_in_use(void)
{
#ifdef __SANITIZE_ADDRESS__
    return __sanitizer_get_current_allocated_bytes();
#else
    return mallinfo2().uordblks;
#endif
}

static char pattern(size_t i)
{
    return (char)(i * 31 + i / 253);
}

static int on_message(void *arg, enum ws_type type, struct slice payload)
{
    struct sink *sink = arg;

    sink->offers++;
    if (sink->refuse_every != 0 && sink->offers % sink->refuse_every == 0)
        return ERR_AGAIN;
    sink->messages++;
    if (payload.len > 0)
        assert_int_equal(buf_append_byte(&sink->order, payload.ptr[0]), 0);
    if (sink->expect_len == 0)
        return 0;
    assert_int_equal(payload.len, sink->expect_len);
    for (size_t i = 0; i < payload.len; i++)
        assert_int_equal(payload.ptr[i], pattern(i));
    return 0;
}

static void on_ping(void *arg, struct slice payload)
{
    struct sink *sink = arg;

    sink->pings++;
    assert_int_equal(payload.len, sink->expect_len);
}

static void on_pong(void *arg, struct slice payload)
{
    fail();
}

static void on_oversize(void *arg, uint64_t bytes)
{
    struct sink *sink = arg;

    sink->oversize++;
    sink->oversize_bytes = bytes;
}

static void on_close(void *arg, int code, struct slice reason)
{
    struct sink *sink = arg;

    sink->closed++;
}

static struct ws_decoder *new_decoder(struct sink *sink, uint64_t max_message)
{
    const struct ws_handler handler = {on_message, on_ping, on_pong, on_oversize, on_close, sink};
    struct ws_decoder *decoder;

    buf_init(&sink->order, BUF_UNBOUNDED);
    assert_int_equal(ws_decoder_new(&handler, max_message, &decoder), 0);
    return decoder;
}

/* A server's frame with its pattern. */
static void put_frame(struct buf *out, unsigned char first, size_t len)
{
    buf_append_byte(out, (char)first);
    if (len < 126) {
        buf_append_byte(out, (char)len);
    } else if (len < 65536) {
        buf_append_byte(out, 126);
        buf_append_byte(out, (char)(len >> 8));
        buf_append_byte(out, (char)len);
    } else {
        buf_append_byte(out, 127);
        for (int shift = 56; shift >= 0; shift -= 8)
            buf_append_byte(out, (char)((uint64_t)len >> shift));
    }
    assert_int_equal(buf_reserve(out, len), 0);
    for (size_t i = 0; i < len; i++)
        out->data[out->len++] = pattern(i);
}

static void feed(struct ws_decoder *decoder, struct slice bytes, size_t step)
{
    struct error err;
    int close_code;

    while (bytes.len > 0) {
        struct slice piece = slice_make(bytes.ptr, step < bytes.len ? step : bytes.len);
        size_t n = piece.len;

        assert_int_equal(ws_decoder_run(decoder, &piece, &close_code, &err), 0);
        assert_int_equal(piece.len, 0);
        bytes = slice_from(bytes, n);
    }
}

static void test_lengths(void **state)
{
    static const size_t lengths[] = {1,    124,  125,   126,   127,   128,   4081,  4082,  4083,
                                     4084, 4091, 4092,  4093,  4094,  4095,  4096,  4097,  8191,
                                     8192, 8193, 16384, 65534, 65535, 65536, 65537, 200000};
    static const size_t steps[] = {1, 2, 3, 4095, 4096, 4097, 65536, 1 << 20};
    struct buf stream;

    buf_init(&stream, BUF_UNBOUNDED);
    for (size_t i = 0; i < COUNT(lengths); i++) {
        buf_clear(&stream);
        for (int n = 0; n < 3; n++)
            put_frame(&stream, 0x82, lengths[i]);
        for (size_t k = 0; k < COUNT(steps); k++) {
            struct sink sink = {.expect_len = lengths[i]};
            struct ws_decoder *decoder = new_decoder(&sink, 200000);

            feed(decoder, buf_slice(&stream), steps[k]);
            assert_int_equal(sink.messages, 3);
            assert_int_equal(sink.oversize, 0);
            ws_decoder_free(decoder);
            buf_fini(&sink.order);
        }
    }
    buf_fini(&stream);
}

static void test_longest_ping(void **state)
{
    struct sink sink = {.expect_len = 125};
    struct ws_decoder *decoder = new_decoder(&sink, 0);
    struct buf stream;

    buf_init(&stream, BUF_UNBOUNDED);
    put_frame(&stream, 0x89, 125);
    feed(decoder, buf_slice(&stream), stream.len);
    feed(decoder, buf_slice(&stream), 1);
    assert_int_equal(sink.pings, 2);
    ws_decoder_free(decoder);
    buf_fini(&sink.order);
    buf_fini(&stream);
}

/* Every split in two of the frames around the buffer of wslay. */
static void test_splits_of_long_frames(void **state)
{
    struct buf stream;

    buf_init(&stream, BUF_UNBOUNDED);
    put_frame(&stream, 0x82, 126);
    put_frame(&stream, 0x02, 4000);
    put_frame(&stream, 0x80, 126);
    for (size_t split = 1; split < stream.len; split++) {
        struct sink sink = {0};
        struct ws_decoder *decoder = new_decoder(&sink, 5000);

        feed(decoder, slice_make(stream.data, split), split);
        feed(decoder, slice_from(buf_slice(&stream), split), stream.len);
        assert_int_equal(sink.messages, 2);
        ws_decoder_free(decoder);
        buf_fini(&sink.order);
    }
    buf_fini(&stream);
}

/* Some messages are refused among many in one piece: none is lost, doubled or out of order, and
 * nothing behind a refused one is shown. */
static void test_refusals(void **state)
{
    enum { MESSAGES = 2000 };
    struct buf stream;

    buf_init(&stream, BUF_UNBOUNDED);
    for (int i = 0; i < MESSAGES; i++) {
        char frame[] = {(char)0x82, 3, (char)(i % 251), 'x', 'y'};
        char fragments[] = {2, 1, (char)(i % 251), (char)0x80, 1, 'z'};

        if (i % 3 == 0)
            buf_append(&stream, fragments, sizeof fragments);
        else
            buf_append(&stream, frame, sizeof frame);
    }
    for (unsigned every = 2; every < 9; every++) {
        struct sink sink = {.refuse_every = every};
        struct ws_decoder *decoder = new_decoder(&sink, 100);
        struct slice rest = buf_slice(&stream);
        struct error err;
        int close_code, rc;
        unsigned refusals = 0;

        while ((rc = ws_decoder_run(decoder, &rest, &close_code, &err)) == ERR_AGAIN) {
            struct slice none = {NULL, 0};
            unsigned before = sink.messages;

            refusals++;
            /* With nothing new the same message is offered again. */
            if (refusals % 2 == 0) {
                rc = ws_decoder_run(decoder, &none, &close_code, &err);
                assert_true(rc == 0 || rc == ERR_AGAIN);
                assert_true(sink.messages > before);
            }
        }
        assert_int_equal(rc, 0);
        assert_int_equal(rest.len, 0);
        assert_int_equal(sink.messages, MESSAGES);
        assert_true(refusals > MESSAGES / 20);
        for (int i = 0; i < MESSAGES; i++)
            assert_int_equal((unsigned char)sink.order.data[i], i % 251);
        ws_decoder_free(decoder);
        buf_fini(&sink.order);
    }
    buf_fini(&stream);
}

/* A frame that declares 2^63 - 1 bytes costs nothing, however much of it comes. */
static void test_giant(void **state)
{
    static const char header[] = "\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF";
    static char zeros[65536];
    struct sink sink = {0};
    struct ws_decoder *decoder = new_decoder(&sink, 1 << 20);
    size_t before;

    feed(decoder, slice_make(header, 10), 10);
    before = heap_in_use();
    assert_true(before > 4096);
    for (int i = 0; i < 100; i++)
        feed(decoder, slice_make(zeros, sizeof zeros), sizeof zeros);
    assert_true(heap_in_use() <= before + 1024);
    assert_int_equal(sink.oversize, 1);
    assert_int_equal(sink.oversize_bytes, INT64_MAX);
    assert_int_equal(sink.messages, 0);
    ws_decoder_free(decoder);
    buf_fini(&sink.order);
}

/* The memory of a large message is given back. */
static void test_memory_after_large(void **state)
{
    struct sink sink = {0};
    struct ws_decoder *decoder = new_decoder(&sink, 1 << 20);
    size_t before = heap_in_use();
    struct buf stream;

    buf_init(&stream, BUF_UNBOUNDED);
    put_frame(&stream, 0x02, 500000);
    feed(decoder, buf_slice(&stream), stream.len);
    buf_fini(&stream);
    assert_true(heap_in_use() >= before + 500000);
    feed(decoder, SLICE("\x80\x01x"), 3);
    assert_int_equal(sink.messages, 1);
    assert_true(heap_in_use() <= before + 1024);
    ws_decoder_free(decoder);
    buf_fini(&sink.order);
}

static void test_bound(void **state)
{
    enum { MAX = 1 << 20 };
    static const size_t steps[] = {1000, 1 << 22};
    struct buf at_bound, past;

    buf_init(&at_bound, BUF_UNBOUNDED);
    buf_init(&past, BUF_UNBOUNDED);
    put_frame(&at_bound, 0x82, MAX);
    put_frame(&past, 0x82, MAX + 1);
    for (size_t k = 0; k < COUNT(steps); k++) {
        struct sink sink = {.expect_len = MAX};
        struct ws_decoder *decoder = new_decoder(&sink, MAX);

        feed(decoder, buf_slice(&at_bound), steps[k]);
        assert_int_equal(sink.messages, 1);
        assert_int_equal(sink.oversize, 0);
        feed(decoder, buf_slice(&past), steps[k]);
        assert_int_equal(sink.messages, 1);
        assert_int_equal(sink.oversize, 1);
        assert_int_equal(sink.oversize_bytes, MAX + 1);
        feed(decoder, buf_slice(&at_bound), steps[k]);
        assert_int_equal(sink.messages, 2);
        ws_decoder_free(decoder);
        buf_fini(&sink.order);
    }
    buf_fini(&at_bound);
    buf_fini(&past);
}

static void test_no_decoder(void **state)
{
    ws_decoder_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_longest_ping),
        cmocka_unit_test(test_splits_of_long_frames),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_giant),
        cmocka_unit_test(test_memory_after_large),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_no_decoder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
