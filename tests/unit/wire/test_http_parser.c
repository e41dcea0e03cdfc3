/*
 * Answers in, what the parser made of them out, as one line of text. Each answer is fed whole, byte
 * by byte, and in every split in two: the line must be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "wire/http.h"

struct row {
    const char *name;
    const char *answer;
    const char *expect;
};

/* Feeds one piece the way net does: from a copy of just its size, so that ASan sees over-reads. */
static int feed_piece(struct http_parser_state *parser, const char *bytes, size_t n, size_t *used,
                      bool *done, struct error *err)
{
    char *copy = malloc(n > 0 ? n : 1);
    int rc;

    assert_non_null(copy);
    memcpy(copy, bytes, n);
    rc = http_parser_feed(parser, copy, n, used, done, err);
    free(copy);
    return rc;
}

static void describe(struct buf *out, const struct http_parser_state *parser, int rc, bool done,
                     struct slice rest, const struct error *err)
{
    const struct http_response *response = http_parser_response(parser);

    if (rc != 0) {
        buf_appendf(out, "%s: %s", error_name(rc), err->text);
        return;
    }
    buf_appendf(out, "%s%d%s%s ", done ? "" : "unfinished ", response->status,
                response->keep_alive ? " keep" : "", response->upgrade ? " upgrade" : "");
    for (size_t i = 0; i < response->headers.len; i++) {
        char c = response->headers.data[i];

        buf_append_byte(out, c == '\n' ? '|' : c);
    }
    buf_appendf(out, " [" SLICE_FMT "]%s rest[" SLICE_FMT "]",
                SLICE_ARG(buf_slice(&response->body)), response->body_cut ? " cut" : "",
                SLICE_ARG(rest));
}

enum { BODY_MAX = 16 };

/* Cuts the answer at `first`, and after it into pieces of `step`; then the connection ends. */
static char *parse(struct slice answer, size_t first, size_t step, bool strict)
{
    struct http_parser_state *parser;
    struct error err = {0};
    struct buf out;
    size_t at = 0;
    bool done = false;
    int rc = 0;
    char *text;

    buf_init(&out, BUF_UNBOUNDED);
    assert_int_equal(http_parser_new(strict ? HTTP_BODY_STRICT : HTTP_BODY_CUT, BODY_MAX, &parser),
                     0);
    while (rc == 0 && !done && at < answer.len) {
        size_t n = at < first ? first - at : step;
        size_t used = 0;

        n = n < answer.len - at ? n : answer.len - at;
        rc = feed_piece(parser, answer.ptr + at, n, &used, &done, &err);
        assert_true(used <= n);
        assert_true(rc != 0 || done || used == n);
        at += used;
    }
    if (rc == 0 && !done) {
        rc = http_parser_eof(parser, &err);
        done = rc == 0;
    }
    describe(&out, parser, rc, done, slice_from(answer, at), &err);
    http_parser_free(parser);
    text = strdup(buf_cstr(&out));
    buf_fini(&out);
    return text;
}

static void check(const struct row *row, bool strict)
{
    struct slice answer = slice_str(row->answer);
    char *whole = parse(answer, answer.len, answer.len, strict);

    if (strcmp(whole, row->expect) != 0)
        fail_msg("%s:\n  expected %s\n  but got  %s", row->name, row->expect, whole);
    for (size_t split = 0; split <= answer.len; split++) {
        char *parts =
            split == 0 ? parse(answer, 1, 1, strict) : parse(answer, split, answer.len, strict);

        if (strcmp(parts, whole) != 0)
            fail_msg("%s, split at %zu:\n  whole %s\n  parts %s", row->name, split, whole, parts);
        free(parts);
    }
    free(whole);
}

static void test_messages(void **state)
{
    static const struct row rows[] = {
        {"length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiNEXT",
         "200 keep content-length: 2| [hi] rest[NEXT]"},
        {"no body", "HTTP/1.1 204 No Content\r\nA: b\r\n\r\nNEXT", "204 keep a: b| [] rest[NEXT]"},
        {"not modified", "HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\nNEXT",
         "304 keep content-length: 9| [] rest[NEXT]"},
        {"no reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
         "200 keep content-length: 0| [] rest[]"},
        {"close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
         "200 connection: close|content-length: 2| [hi] rest[]"},
        {"until the end", "HTTP/1.1 200 OK\r\n\r\nall of it", "200  [all of it] rest[]"},
        {"until the end, nothing", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "200 a: b| [] rest[]"},
        {"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nold", "200  [old] rest[]"},
        {"chunked",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
         "3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\nNEXT",
         "200 keep transfer-encoding: Chunked| [abcde] rest[NEXT]"},
        {"trailers are dropped",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\nNEXT",
         "200 keep transfer-encoding: chunked| [a] rest[NEXT]"},
        {"values are trimmed, names in lower case",
         "HTTP/1.1 200 OK\r\nX-A:  \t b c \t \r\nEMPTY:\r\nBLANK:  \r\nContent-Length: 0\r\n\r\n",
         "200 keep x-a: b c|empty: |blank: |content-length: 0| [] rest[]"},
        {"bytes over 127", "HTTP/1.1 200 OK\r\nX: \xC3\xA9\xFF\r\nContent-Length: 0\r\n\r\n",
         "200 keep x: \xC3\xA9\xFF|content-length: 0| [] rest[]"},
        {"1xx is skipped",
         "HTTP/1.1 100 Continue\r\nX: no\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
         "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!",
         "200 keep content-length: 1| [!] rest[]"},
        {"101", "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x01x",
         "101 upgrade upgrade: websocket|connection: Upgrade| [] rest[\x81\x01x]"},
        {"101 with a length", "HTTP/1.1 101 S\r\nContent-Length: 2\r\n\r\n\x81\x01x",
         "101 upgrade content-length: 2| [] rest[\x81\x01x]"},
        {"101 without upgrade", "HTTP/1.1 101 S\r\nA: b\r\n\r\nHTTP",
         "101 upgrade a: b| [] rest[HTTP]"},
        {"upgrade offered with 426",
         "HTTP/1.1 426 U\r\nUpgrade: websocket\r\n"
         "Connection: Upgrade\r\nContent-Length: 1\r\n\r\n!",
         "426 keep upgrade: websocket|connection: Upgrade|content-length: 1| [!] rest[]"},
        {"body at the bound", "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n0123456789abcdef",
         "200 keep content-length: 16| [0123456789abcdef] rest[]"},
        {"a body that looks like a folded line",
         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n \x01",
         "200 keep content-length: 2| [ \x01] rest[]"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check(&rows[i], true);
        check(&rows[i], false);
    }
}

static void test_body_over_the_bound(void **state)
{
    static const struct row length = {
        "length", "HTTP/1.1 500 E\r\nContent-Length: 17\r\n\r\n0123456789abcdefgNEXT",
        "500 keep content-length: 17| [0123456789abcdef] cut rest[NEXT]"};
    static const struct row chunked = {
        "chunked",
        "HTTP/1.1 500 E\r\nTransfer-Encoding: chunked\r\n\r\n"
        "a\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n",
        "500 keep transfer-encoding: chunked| [0123456789abcdef] cut rest[]"};
    static const struct row strict = {
        "strict", "HTTP/1.1 500 E\r\nContent-Length: 17\r\n\r\n0123456789abcdefg",
        "ERR_LIMIT: HTTP answer: body over 16 bytes"};
    static const struct row until_end = {"until the end", "HTTP/1.1 500 E\r\n\r\n0123456789abcdefg",
                                         "500  [0123456789abcdef] cut rest[]"};

    check(&length, false);
    check(&chunked, false);
    check(&until_end, false);
    check(&strict, true);
}

/* What decides where a message ends, or could forge a header, is refused by ourselves, so the text
 * does not depend on the library underneath. */
static void test_refused(void **state)
{
    static const struct row rows[] = {
        {"folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
         "ERR_PROTOCOL: HTTP answer: folded header line (RFC 9112 5.2 forbids it)"},
        {"folded by a tab behind an empty value", "HTTP/1.1 200 OK\r\nA:\r\n\tc\r\n\r\n",
         "ERR_PROTOCOL: HTTP answer: folded header line (RFC 9112 5.2 forbids it)"},
        {"control byte", "HTTP/1.1 200 OK\r\nA: b\x01\r\n\r\n",
         "ERR_PROTOCOL: HTTP answer: control byte in the header block"},
        {"DEL", "HTTP/1.1 200 OK\r\nA: b\x7F\r\n\r\n",
         "ERR_PROTOCOL: HTTP answer: control byte in the header block"},
        {"bare CR", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
         "ERR_PROTOCOL: HTTP answer: CR without LF in the header block"},
        {"gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
         "ERR_PROTOCOL: HTTP answer: Transfer-Encoding other than chunked"},
        {"chunked in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "ERR_PROTOCOL: HTTP answer: Transfer-Encoding in HTTP/1.0"},
        {"ends early", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
         "ERR_PROTOCOL: HTTP answer: the connection ended within the body"},
        {"chunks end early", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
         "ERR_PROTOCOL: HTTP answer: the connection ended within the body"},
        {"header ends early", "HTTP/1.1 200 OK\r\nA: b\r\n",
         "ERR_PROTOCOL: HTTP answer: the connection ended within the header block"},
        {"only 100", "HTTP/1.1 100 Continue\r\n\r\n",
         "ERR_PROTOCOL: HTTP answer: the connection ended within the header block"},
        {"nothing", "", "ERR_PROTOCOL: HTTP answer: the connection ended without an answer"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(&rows[i], true);
}

/* Here either the library or we find the fault; only that it is found is promised. */
static void test_malformed(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXY0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\rXabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3 3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n;a\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;\x01\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding:chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\rc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 3 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nNa me: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nName : x\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "<html>\r\n",
        "\x16\x03\x01",
        "\x81\x05hello",
    };

    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct slice answer = slice_str(answers[i]);

        for (size_t split = 0; split <= answer.len; split++) {
            char *text = parse(answer, split == 0 ? 1 : split, split == 0 ? 1 : answer.len, true);

            if (strncmp(text, "ERR_PROTOCOL: ", 14) != 0)
                fail_msg("accepted, split at %zu: %s\n  as %s", split, answers[i], text);
            free(text);
        }
    }
}

/* A header block of exactly so many bytes. */
static struct slice make_head(struct buf *out, size_t size)
{
    buf_append_str(out, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ");
    while (out->len < size - 4)
        buf_append_byte(out, 'x');
    buf_append_str(out, "\r\n\r\n");
    assert_int_equal(out->len, size);
    return buf_slice(out);
}

static void test_header_bound(void **state)
{
    static const size_t steps[] = {1, 7, 4096, 1 << 20};
    struct buf out;

    buf_init(&out, BUF_UNBOUNDED);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char *text;

        buf_clear(&out);
        text = parse(make_head(&out, LIMIT_HTTP_HEADERS), 0, steps[i], true);
        assert_memory_equal(text, "200 keep", 8);
        free(text);
        buf_clear(&out);
        text = parse(make_head(&out, LIMIT_HTTP_HEADERS + 1), 0, steps[i], true);
        assert_string_equal(text, "ERR_LIMIT: HTTP answer: header block over 16384 bytes");
        free(text);
    }
    buf_fini(&out);
}

/* Neither 1xx answers nor trailers without end go past the bound. */
static void test_endless(void **state)
{
    static const struct {
        const char *first, *more;
    } rows[] = {
        {"", "HTTP/1.1 100 Continue\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: 0123456789\r\n"},
        {"HTTP/1.1 200 OK\r\nX: ", "0123456789"},
        {"HTTP/1.1 200 OK\r\n", "0123456789"},
        {"HTTP/1.1 200 ", "0123456789"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_parser_state *parser;
        struct error err = {0};
        size_t used, fed = 0;
        bool done;
        int rc;

        assert_int_equal(http_parser_new(HTTP_BODY_CUT, 0, &parser), 0);
        rc = http_parser_feed(parser, rows[i].first, strlen(rows[i].first), &used, &done, &err);
        assert_int_equal(rc, 0);
        for (; rc == 0 && fed < 4 * LIMIT_HTTP_HEADERS; fed += used)
            rc = http_parser_feed(parser, rows[i].more, strlen(rows[i].more), &used, &done, &err);
        assert_true(rc == ERR_LIMIT || rc == ERR_PROTOCOL);
        assert_false(done);
        /* And it stays so. */
        assert_int_equal(http_parser_feed(parser, "x", 1, &used, &done, &err), rc);
        assert_int_equal(used, 0);
        assert_int_equal(http_parser_eof(parser, &err), rc);
        http_parser_free(parser);
    }
}

static void test_headers_done(void **state)
{
    struct http_parser_state *parser;
    struct error err;
    size_t used;
    bool done;

    assert_int_equal(http_parser_new(HTTP_BODY_STRICT, 100, &parser), 0);
    assert_int_equal(http_parser_feed(parser, "HTTP/1.1 200 OK\r\n\r", 18, &used, &done, &err), 0);
    assert_false(http_parser_headers_done(parser));
    assert_int_equal(http_parser_feed(parser, "\nx", 2, &used, &done, &err), 0);
    assert_true(http_parser_headers_done(parser));
    assert_int_equal(used, 2);
    assert_false(done);
    assert_int_equal(http_parser_response(parser)->body.len, 1);
    http_parser_free(parser);
    http_parser_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),     cmocka_unit_test(test_body_over_the_bound),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_header_bound), cmocka_unit_test(test_endless),
        cmocka_unit_test(test_headers_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
