/*
 * Compressed messages in, a trace of what came out, as in test_ws_decode.c: each stream of frames
 * is fed whole, byte by byte and in every split in two. What we send is inflated with zlib alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ZLIB_CONST
#include <zlib.h>

#include "wire/ws.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { MAX_MESSAGE = 20 };

static const struct deflate_terms takeover = {true, false, false, 15, 15};
static const struct deflate_terms no_takeover = {true, true, true, 15, 15};

struct trace {
    struct buf out;
    unsigned refuse; /* each message so many times */
    unsigned refused;
};

static void add(struct trace *trace, const char *word, struct slice payload)
{
    assert_int_equal(buf_appendf(&trace->out, "%s(" SLICE_FMT ") ", word, SLICE_ARG(payload)), 0);
}

static int on_message(void *arg, enum ws_type type, struct slice payload)
{
    struct trace *trace = arg;

    assert_non_null(payload.ptr);
    if (trace->refused < trace->refuse) {
        trace->refused++;
        return ERR_AGAIN;
    }
    trace->refused = 0;
    add(trace, type == WS_TEXT ? "text" : "binary", payload);
    return 0;
}

static void on_ping(void *arg, struct slice payload)
{
    add(arg, "ping", payload);
}

static void on_pong(void *arg, struct slice payload)
{
    add(arg, "pong", payload);
}

static void on_oversize(void *arg, uint64_t bytes)
{
    struct trace *trace = arg;

    buf_appendf(&trace->out, "oversize[%llu] ", (unsigned long long)bytes);
}

static void on_close(void *arg, int code, struct slice reason)
{
    struct trace *trace = arg;

    buf_appendf(&trace->out, "close[%d](" SLICE_FMT ") ", code, SLICE_ARG(reason));
}

static struct ws_decoder *new_decoder(struct trace *trace, const struct deflate_terms *terms,
                                      uint64_t max_message)
{
    const struct ws_handler handler = {on_message, on_ping, on_pong, on_oversize, on_close, trace};
    struct ws_decoder *decoder;

    buf_init(&trace->out, BUF_UNBOUNDED);
    assert_int_equal(ws_decoder_new(&handler, max_message, &decoder), 0);
    assert_int_equal(ws_decoder_deflate(decoder, terms), 0);
    return decoder;
}

/* From a copy of just its size, so that ASan sees over-reads. */
static int feed(struct ws_decoder *decoder, struct slice bytes, int *close_code, struct error *err)
{
    char *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    struct slice rest;
    int rc;

    assert_non_null(copy);
    memcpy(copy, slice_chars(bytes), bytes.len);
    rest = slice_make(copy, bytes.len);
    do {
        rc = ws_decoder_run(decoder, &rest, close_code, err);
    } while (rc == ERR_AGAIN);
    assert_true(rc != 0 || rest.len == 0);
    free(copy);
    return rc;
}

/* Cuts the stream at `first`, and after it into pieces of `step`. */
static char *decode(const struct deflate_terms *terms, struct slice stream, size_t first,
                    size_t step, unsigned refuse)
{
    struct trace trace = {.refuse = refuse};
    struct ws_decoder *decoder = new_decoder(&trace, terms, MAX_MESSAGE);
    struct error err = {0};
    int close_code = 0;
    int rc = 0;
    char *text;

    for (size_t at = 0; rc == 0 && at < stream.len;) {
        size_t n = at < first ? first - at : step;

        n = n < stream.len - at ? n : stream.len - at;
        rc = feed(decoder, slice_make(stream.ptr + at, n), &close_code, &err);
        at += n;
    }
    if (rc != 0) {
        struct error again;
        int code = 0;

        buf_appendf(&trace.out, "%s %d %s", error_name(rc), close_code, err.text);
        assert_int_equal(feed(decoder, SLICE("\x81\x01x"), &code, &again), rc);
        assert_int_equal(code, close_code);
    }
    ws_decoder_free(decoder);
    text = strdup(buf_cstr(&trace.out));
    buf_fini(&trace.out);
    return text;
}

static void check(const struct deflate_terms *terms, struct slice stream, const char *expect)
{
    char *whole = decode(terms, stream, stream.len, stream.len, 0);

    if (strcmp(whole, expect) != 0)
        fail_msg("\n  expected %s\n  but got  %s", expect, whole);
    for (size_t split = 0; split <= stream.len; split++) {
        for (unsigned refuse = 0; refuse <= 2; refuse++) {
            char *parts = split == 0 ? decode(terms, stream, 1, 1, refuse)
                                     : decode(terms, stream, split, stream.len, refuse);

            if (strcmp(parts, whole) != 0)
                fail_msg("split at %zu, refused %u times:\n  whole %s\n  parts %s", split, refuse,
                         whole, parts);
            free(parts);
        }
    }
    free(whole);
}
#define CHECK(stream, expect) check(&takeover, SLICE(stream), expect)
#define CHECK_ALONE(stream, expect) check(&no_takeover, SLICE(stream), expect)

/* The payloads of RFC 7692, 7.2.3. */
#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00"
#define HELLO_AGAIN "\xf2\x00\x11\x00\x00" /* by reference to the one before */
#define HELLO_STORED "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"
#define HELLO_FINAL "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"
#define HELLO_TWO_BLOCKS "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"

static void test_examples(void **state)
{
    CHECK("\xc1\x07" HELLO, "text(Hello) ");
    CHECK("\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", "text(Hello) ");
    CHECK("\xc1\x07" HELLO "\xc1\x05" HELLO_AGAIN, "text(Hello) text(Hello) ");
    CHECK("\xc1\x0b" HELLO_STORED, "text(Hello) ");
    CHECK("\xc1\x08" HELLO_FINAL, "text(Hello) ");
    CHECK("\xc1\x0d" HELLO_TWO_BLOCKS, "text(Hello) ");
    CHECK("\xc2\x07" HELLO, "binary(Hello) ");
    CHECK_ALONE("\xc1\x07" HELLO "\xc2\x0d" HELLO_TWO_BLOCKS, "text(Hello) binary(Hello) ");
}

static void test_frames(void **state)
{
    /* Compressed or not is each message's own choice. */
    CHECK("\xc1\x07" HELLO "\x81\x02hi\xc1\x05" HELLO_AGAIN, "text(Hello) text(hi) text(Hello) ");
    /* Empty fragments, and control frames between them. */
    CHECK("\x41\x00\x00\x03\xf2\x48\xcd\x89\x01p\x00\x00\x00\x04\xc9\xc9\x07\x00\x80\x00\x81\x00",
          "ping(p) text(Hello) text() ");
    /* Empty messages: as the RFC writes one, and without a byte. */
    CHECK("\xc1\x01\x00\xc2\x01\x00", "text() binary() ");
    CHECK("\xc1\x00\xc1\x07" HELLO "\x41\x00\x80\x00\xc1\x05" HELLO_AGAIN,
          "text() text(Hello) text() text(Hello) ");
    /* The message's end may be a final block, without the byte behind it. */
    CHECK("\xc1\x07\xf3\x48\xcd\xc9\xc9\x07\x00\xc1\x07" HELLO, "text(Hello) text(Hello) ");
    CHECK("\xc1\x08" HELLO_FINAL "\xc1\x05" HELLO_AGAIN, "text(Hello) text(Hello) ");
    CHECK("\xc1\x0e\xf3\x48\xcd\xc9\xc9\x07\x00" HELLO, "text(HelloHello) ");
}

static void test_reserved_bits(void **state)
{
    static const char reserved[] =
        "ERR_PROTOCOL 1002 WebSocket: a frame with reserved bits set that no agreed extension uses";
    static const char control[] =
        "ERR_PROTOCOL 1002 WebSocket: a control frame marked as compressed";
    static const char continuation[] =
        "ERR_PROTOCOL 1002 WebSocket: a continuation frame marked as compressed";
    static const struct deflate_terms none = {0};

    check(&none, SLICE("\xc1\x07" HELLO), reserved);
    CHECK("\xa1\x00", reserved);
    CHECK("\x91\x00", reserved);
    CHECK("\xe1\x07" HELLO, reserved);
    CHECK("\xd1\x07" HELLO, reserved);
    CHECK("\xc9\x00", control);
    CHECK("\xca\x00", control);
    CHECK("\xc8\x00", control);
    CHECK("\xc3\x00", "ERR_PROTOCOL 1002 WebSocket: a frame with an unknown opcode");
    CHECK("\x41\x03\xf2\x48\xcd\xc0\x04\xc9\xc9\x07\x00", continuation);
    CHECK("\x01\x01x\xc0\x07" HELLO, continuation);
    CHECK("\xc0\x07" HELLO,
          "ERR_PROTOCOL 1002 WebSocket: a continuation frame without a message to continue");
}

static void test_broken(void **state)
{
#define BROKEN "ERR_PROTOCOL 1007 WebSocket: a compressed message that does not inflate: "
    CHECK("\xc1\x02\x06\x00", BROKEN "invalid block type");
    CHECK("\xc1\x05\x00\x05\x00\xfa\xfe", BROKEN "invalid stored block lengths");
    /* Refers to what was never sent: to nothing, or with no context taken over. */
    CHECK("\xc1\x05" HELLO_AGAIN, BROKEN "invalid distance too far back");
    CHECK_ALONE("\xc1\x07" HELLO "\xc1\x05" HELLO_AGAIN,
                "text(Hello) " BROKEN "invalid distance too far back");
    /* It ends too early: the tail is taken for data, or is not at a block's begin. */
    CHECK("\xc2\x06\x00\x06\x00\xf9\xff\x48", BROKEN "it ends within a block");
    CHECK("\xc1\x01\x06", BROKEN "invalid block type");
    CHECK("\xc1\x01\xf2", BROKEN "it ends within a block");
    /* The tail is not to be sent: behind it is no block. */
    CHECK("\xc1\x0b" HELLO "\x00\x00\xff\xff", BROKEN "it ends within a block");
}

static void test_utf8(void **state)
{
    static const char bad[] = "ERR_PROTOCOL 1007 WebSocket: a text message that is not UTF-8";

    /* Stored blocks of the euro sign, whole and cut. */
    CHECK("\xc1\x09\x00\x03\x00\xfc\xff\xe2\x82\xac\x00", "text(\xe2\x82\xac) ");
    CHECK("\xc1\x08\x00\x02\x00\xfd\xff\xe2\x82\x00", bad);
    CHECK("\xc2\x08\x00\x02\x00\xfd\xff\xe2\x82\x00", "binary(\xe2\x82) ");
    /* At once, though the message is not whole, nor the block. */
    CHECK("\x41\x07\x00\x05\x00\xfa\xff"
          "a\xff",
          bad);
    /* What comes first in the message is said first. */
    CHECK("\x41\x08\x00\x02\x00\xfd\xff"
          "a\xff\x07",
          bad);
}

#define RUN40 "\x4a\x4c\x24\x0e\x00\x00"              /* 40 times "a" */
#define STORED(n, not_n) "\x00" n "\x00" not_n "\xff" /* the header of a stored block */

static void test_oversize(void **state)
{
    CHECK("\xc1\x1a" STORED("\x14", "\xeb") "01234567890123456789\x00",
          "text(01234567890123456789) ");
    CHECK("\xc1\x1b" STORED("\x15", "\xea") "012345678901234567890\x00\x81\x01x",
          "oversize[21] text(x) ");
    CHECK("\xc1\x06" RUN40 "\x81\x01x", "oversize[21] text(x) ");
    /* The context goes on: a later message may refer to what was thrown away. */
    CHECK("\xc1\x06" RUN40 "\xc1\x07" HELLO "\xc1\x05" HELLO_AGAIN,
          "oversize[21] text(Hello) text(Hello) ");
    CHECK("\xc1\x1b" STORED("\x15", "\xea") "0123456789012345Hello\x00\xc1\x05" HELLO_AGAIN,
          "oversize[21] text(Hello) ");
    CHECK_ALONE("\xc1\x06" RUN40 "\xc1\x07" HELLO, "oversize[21] text(Hello) ");
    /* More bytes than the limit that are compressed are no fault in themselves. */
    CHECK("\x41\x0d" HELLO_TWO_BLOCKS "\x80\x0f"
          "\x00\x00\xff\xff\x00\x00\x00\xff\xff\x00\x00\x00\xff\xff\x00",
          "text(Hello) ");
    /* What is wrong in the rest is found where it must be inflated, and else not looked at. */
    CHECK("\x41\x1a" STORED("\x15", "\xea") "012345678901234567890\x80\x01\x06",
          "oversize[21] " BROKEN "invalid block type");
    CHECK_ALONE("\x41\x1a" STORED("\x15", "\xea") "012345678901234567890\x80\x01\x06\x81\x01x",
                "oversize[21] text(x) ");
    CHECK_ALONE("\x41\x1a" STORED("\x15", "\xea") "012345678901234567890\x89\x00\x00\x01\x06\x80"
                                                  "\x00\xc1\x07" HELLO,
                "oversize[21] ping() text(Hello) ");
    /* Nor is it said of the next message, when zlib finds it as the limit is passed. */
    CHECK_ALONE("\xc1\x1b" STORED("\x15", "\xea") "012345678901234567890\x06\xc1\x07" HELLO,
                "oversize[21] text(Hello) ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),      cmocka_unit_test(test_frames),
        cmocka_unit_test(test_reserved_bits), cmocka_unit_test(test_broken),
        cmocka_unit_test(test_utf8),          cmocka_unit_test(test_oversize),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
