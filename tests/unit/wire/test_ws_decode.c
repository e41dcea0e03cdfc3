/*
 * Frames in, a trace of what came out: one word for each call of the handler, then how the run
 * ended. Each stream of frames is fed whole, byte by byte and in every split in two.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/ws.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { MAX_MESSAGE = 20 };

struct trace {
    struct buf out;
    unsigned refuse; /* so many messages are refused at first */
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

static struct ws_decoder *new_decoder(struct trace *trace, uint64_t max_message)
{
    const struct ws_handler handler = {
        .on_message = on_message,
        .on_ping = on_ping,
        .on_pong = on_pong,
        .on_oversize = on_oversize,
        .on_close = on_close,
        .arg = trace,
    };
    struct ws_decoder *decoder;

    buf_init(&trace->out, BUF_UNBOUNDED);
    assert_int_equal(ws_decoder_new(&handler, max_message, &decoder), 0);
    return decoder;
}

/* From a copy of just its size, so that ASan sees over-reads. Refused messages are offered again.
 */
static int feed(struct ws_decoder *decoder, const char *bytes, size_t n, int *close_code,
                struct error *err)
{
    char *copy = malloc(n > 0 ? n : 1);
    struct slice rest;
    int rc;

    assert_non_null(copy);
    memcpy(copy, bytes, n);
    rest = slice_make(copy, n);
    do {
        rc = ws_decoder_run(decoder, &rest, close_code, err);
    } while (rc == ERR_AGAIN);
    assert_true(rc != 0 || rest.len == 0);
    free(copy);
    return rc;
}

/* Cuts the stream at `first`, and after it into pieces of `step`. */
static char *decode(struct slice stream, size_t first, size_t step, unsigned refuse)
{
    struct trace trace = {.refuse = refuse};
    struct ws_decoder *decoder = new_decoder(&trace, MAX_MESSAGE);
    struct error err = {0};
    int close_code = 0;
    int rc = 0;
    char *text;

    for (size_t at = 0; rc == 0 && at < stream.len;) {
        size_t n = at < first ? first - at : step;

        n = n < stream.len - at ? n : stream.len - at;
        rc = feed(decoder, stream.ptr + at, n, &close_code, &err);
        at += n;
    }
    if (rc != 0) {
        struct slice more = SLICE("\x81\x01x");
        struct error again;
        int code = 0;

        buf_appendf(&trace.out, "%s %d %s", error_name(rc), close_code, err.text);
        /* And it stays so. */
        assert_int_equal(ws_decoder_run(decoder, &more, &code, &again), rc);
        assert_int_equal(code, close_code);
        assert_string_equal(again.text, err.text);
    }
    ws_decoder_free(decoder);
    text = strdup(buf_cstr(&trace.out));
    buf_fini(&trace.out);
    return text;
}

static void check(struct slice stream, const char *expect)
{
    char *whole = decode(stream, stream.len, stream.len, 0);

    if (strcmp(whole, expect) != 0)
        fail_msg("\n  expected %s\n  but got  %s", expect, whole);
    for (size_t split = 0; split <= stream.len; split++) {
        for (unsigned refuse = 0; refuse <= 2; refuse++) {
            char *parts = split == 0 ? decode(stream, 1, 1, refuse)
                                     : decode(stream, split, stream.len, refuse);

            if (strcmp(parts, whole) != 0)
                fail_msg("split at %zu, refused %u times:\n  whole %s\n  parts %s", split, refuse,
                         whole, parts);
            free(parts);
        }
    }
    free(whole);
}
#define CHECK(stream, expect) check(SLICE(stream), expect)

static void test_messages(void **state)
{
    CHECK("", "");
    CHECK("\x81\x05hello", "text(hello) ");
    CHECK("\x82\x02\xFF\xFE", "binary(\xFF\xFE) ");
    CHECK("\x81\x00", "text() ");
    CHECK("\x82\x00\x81\x01x", "binary() text(x) ");
    CHECK("\x81\x01"
          "a\x81\x01"
          "b\x82\x01"
          "c",
          "text(a) text(b) binary(c) ");
    CHECK("\x81\x05hel", "");
}

static void test_fragments(void **state)
{
    CHECK("\x01\x02he\x00\x02ll\x80\x01o", "text(hello) ");
    CHECK("\x02\x01"
          "a\x80\x01"
          "b",
          "binary(ab) ");
    CHECK("\x01\x00\x00\x00\x80\x00", "text() ");
    CHECK("\x01\x00\x80\x02hi", "text(hi) ");
    CHECK("\x01\x02hi\x80\x00\x81\x01x", "text(hi) text(x) ");
    /* Control frames between fragments, and between pieces of a frame's delivery. */
    CHECK("\x01\x02he\x89\x01p\x00\x02ll\x8A\x00\x80\x01o", "ping(p) pong() text(hello) ");
    CHECK("\x01\x01"
          "a\x88\x02\x03\xE8",
          "close[1000]() ");
    /* An unfinished message yields nothing. */
    CHECK("\x01\x02he\x00\x02ll", "");
}

static void test_fragmentation_errors(void **state)
{
    CHECK("\x80\x01x",
          "ERR_PROTOCOL 1002 WebSocket: a continuation frame without a message to continue");
    CHECK("\x81\x01"
          "a\x80\x01x",
          "text(a) ERR_PROTOCOL 1002 WebSocket: a continuation frame "
          "without a message to continue");
    CHECK("\x01\x01"
          "a\x81\x01x",
          "ERR_PROTOCOL 1002 WebSocket: a new message before the last one's final fragment");
    CHECK("\x01\x01"
          "a\x02\x01x",
          "ERR_PROTOCOL 1002 WebSocket: a new message before the last one's final fragment");
}

static void test_illegal_frames(void **state)
{
    static const char reserved[] =
        "ERR_PROTOCOL 1002 WebSocket: a frame with reserved bits set that no agreed extension uses";
    static const char unknown[] = "ERR_PROTOCOL 1002 WebSocket: a frame with an unknown opcode";
    static const char masked[] = "ERR_PROTOCOL 1002 WebSocket: a masked frame from the server";
    static const char bad_header[] =
        "ERR_PROTOCOL 1002 WebSocket: a control frame that is fragmented or over 125 bytes, or a "
        "frame length not in its shortest form";

    CHECK("\xC1\x01x", reserved);
    CHECK("\xA1\x01x", reserved);
    CHECK("\x91\x01x", reserved);
    CHECK("\xC9\x00", reserved);
    CHECK("\x81\x81\x01\x02\x03\x04x", masked);
    CHECK("\x89\x80\x01\x02\x03\x04", masked);
    for (unsigned opcode = 3; opcode < 16; opcode++) {
        char frame[] = {(char)(0x80 | opcode), 1, 'x'};

        if (opcode < 8 || opcode > 10)
            check(slice_make(frame, sizeof frame), unknown);
    }
    CHECK("\x09\x00", bad_header);
    CHECK("\x08\x00", bad_header);
    CHECK("\x0A\x01x", bad_header);
    CHECK("\x89\x7E\x00\x7E", bad_header);
    CHECK("\x88\x7F\x00\x00\x00\x00\x00\x01\x00\x00", bad_header);
    CHECK("\x81\x7E\x00\x7D", bad_header);
    CHECK("\x81\x7E\x00\x00", bad_header);
    CHECK("\x81\x7F\x00\x00\x00\x00\x00\x00\xFF\xFF", bad_header);
    CHECK("\x81\x7F\x80\x00\x00\x00\x00\x01\x00\x00", bad_header);
    /* What came before has been delivered. */
    CHECK("\x81\x01"
          "a\x8B\x00",
          "text(a) ERR_PROTOCOL 1002 WebSocket: a frame with an unknown "
          "opcode");
}

static void test_close(void **state)
{
    CHECK("\x88\x00", "close[1005]() ");
    CHECK("\x88\x02\x03\xE8", "close[1000]() ");
    CHECK("\x88\x05\x0F\xA1"
          "bye",
          "close[4001](bye) ");
    CHECK("\x88\x04\x03\xE9\xC3\xA9", "close[1001](\xC3\xA9) ");
    /* Nothing after it, not even nonsense. */
    CHECK("\x88\x02\x03\xE8\x81\x01x\xFF\xFF\xFF", "close[1000]() ");
    CHECK("\x81\x01"
          "a\x88\x00\x89\x00",
          "text(a) close[1005]() ");
    CHECK("\x88\x01\x03", "ERR_PROTOCOL 1002 WebSocket: a close frame with half a code");
    CHECK("\x88\x03\x03\xE8\xFF", "ERR_PROTOCOL 1007 WebSocket: a close reason that is not UTF-8");
    CHECK("\x88\x03\x03\xE8\xC3", "ERR_PROTOCOL 1007 WebSocket: a close reason that is not UTF-8");
}

static void test_close_codes(void **state)
{
    static const int bad[] = {0,    1,    999,  1004, 1005, 1006, 1015,
                              1016, 1100, 2000, 2999, 5000, 65535};
    static const int good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                               1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};

    for (size_t i = 0; i < COUNT(bad) + COUNT(good); i++) {
        bool is_good = i >= COUNT(bad);
        int code = is_good ? good[i - COUNT(bad)] : bad[i];
        char frame[] = {(char)0x88, 2, (char)(code >> 8), (char)code};
        char expect[100];

        snprintf(expect, sizeof expect,
                 is_good ? "close[%d]() "
                         : "ERR_PROTOCOL 1002 WebSocket: a close frame with code %d, which may not "
                           "be sent",
                 code);
        assert_int_equal(ws_close_code_valid(code), is_good);
        check(slice_make(frame, sizeof frame), expect);
    }
    assert_false(ws_close_code_valid(-1));
}

static void test_utf8(void **state)
{
    static const char bad[] = "ERR_PROTOCOL 1007 WebSocket: a text message that is not UTF-8";

    CHECK("\x81\x04\xF0\x9F\x98\x80", "text(\xF0\x9F\x98\x80) ");
    /* A character may lie across fragments. */
    CHECK("\x01\x01\xF0\x00\x02\x9F\x98\x80\x01\x80", "text(\xF0\x9F\x98\x80) ");
    CHECK("\x01\x01\xC3\x89\x01!\x80\x01\xA9", "ping(!) text(\xC3\xA9) ");
    CHECK("\x81\x01\xFF", bad);
    CHECK("\x81\x02\xC0\x80", bad);
    CHECK("\x81\x03\xED\xA0\x80", bad);
    CHECK("\x81\x04\xF4\x90\x80\x80", bad);
    CHECK("\x81\x01\xC3", bad);
    CHECK("\x01\x01\xC3\x80\x00", bad);
    CHECK("\x01\x01\xC3\x80\x01x", bad);
    /* At once: the rest of the frame and of the message need not come. */
    CHECK("\x01\x05"
          "a\xFF",
          bad);
    CHECK("\x01\x03"
          "a\xC3\x28",
          bad);
    /* Binary is free. */
    CHECK("\x82\x02\xC3\x28", "binary(\xC3\x28) ");
    /* Each message starts anew. */
    CHECK("\x82\x01\xC3\x81\x01x", "binary(\xC3) text(x) ");
}

static void test_oversize(void **state)
{
    CHECK("\x81\x14"
          "01234567890123456789",
          "text(01234567890123456789) ");
    CHECK("\x81\x15"
          "012345678901234567890\x81\x01x",
          "oversize[21] text(x) ");
    /* Of what is thrown away nothing is looked at. */
    CHECK("\x81\x15\xFF"
          "12345678901234567890\x81\x01x",
          "oversize[21] text(x) ");
    /* Together too long: said once, whatever else comes of it. */
    CHECK("\x01\x0A"
          "0123456789\x00\x0A"
          "0123456789\x00\x01x\x89\x00\x80\x15"
          "012345678901234567890"
          "\x82\x01x",
          "oversize[21] ping() binary(x) ");
    CHECK("\x01\x15"
          "012345678901234567890\x00\x00\x80\x00\x81\x01x",
          "oversize[21] text(x) ");
    CHECK("\x01\x0A"
          "0123456789\x80\x0A"
          "0123456789",
          "text(01234567890123456789) ");
    /* Its rules hold all the same. */
    CHECK("\x01\x15"
          "012345678901234567890\x81\x01x",
          "oversize[21] ERR_PROTOCOL 1002 WebSocket: a new message before the last one's final "
          "fragment");
    CHECK("\x01\x15"
          "012345678901234567890\x88\x00",
          "oversize[21] close[1005]() ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_fragmentation_errors),
        cmocka_unit_test(test_illegal_frames),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_close_codes),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_oversize),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
