/*
 * Bodies: chunks, gzip, pieces. Each answer is fed whole, byte by byte, and in every split in two;
 * what comes out must be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/buf.h"
#include "wire/gzip.h"
#include "wire/http.h"

enum { BODY_MAX = 100 };

struct how {
    enum http_body_mode mode;
    bool headless;
    size_t body_max, first, step;
};

/* ---- answers ---- */

static void deflate_into(struct buf *out, struct slice text, int flush)
{
    z_stream zlib = {0};

    assert_int_equal(deflateInit2(&zlib, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY),
                     Z_OK);
    assert_int_equal(buf_reserve(out, text.len + 1000), 0);
    zlib.next_in = (Bytef *)(void *)(uintptr_t)text.ptr;
    zlib.avail_in = (unsigned)text.len;
    zlib.next_out = (Bytef *)out->data + out->len;
    zlib.avail_out = (unsigned)text.len + 1000;
    assert_int_equal(deflate(&zlib, flush), flush == Z_FINISH ? Z_STREAM_END : Z_OK);
    out->len += text.len + 1000 - zlib.avail_out;
    deflateEnd(&zlib);
}

static void add_gzip(struct buf *out, const char *text)
{
    deflate_into(out, slice_str(text), Z_FINISH);
}

/* "HTTP/1.1 STATUS", the coding and the body, with its length. */
static void answer(struct buf *out, const char *status, const char *coding, struct slice body)
{
    buf_clear(out);
    buf_appendf(out, "HTTP/1.1 %s\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n", status,
                coding, body.len);
    buf_append_slice(out, body);
}

/* The same body in chunks of 3 bytes. */
static void answer_chunked(struct buf *out, struct slice body)
{
    buf_clear(out);
    buf_append_str(out, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n");
    while (body.len != 0) {
        size_t n = body.len < 3 ? body.len : 3;

        buf_appendf(out, "%zx\r\n", n);
        buf_append(out, body.ptr, n);
        buf_append_str(out, "\r\n");
        body = slice_from(body, n);
    }
    buf_append_str(out, "0\r\nX: y\r\n\r\n");
}

/* ---- what is made of them ---- */

static int feed(struct http_parser_state *parser, struct slice piece, size_t *used, bool *done,
                struct error *err)
{
    char *copy = malloc(piece.len + 1);
    int rc;

    assert_non_null(copy);
    memcpy(copy, slice_chars(piece), piece.len);
    rc = http_parser_feed(parser, copy, piece.len, used, done, err);
    free(copy);
    return rc;
}

/* As net does with a stream: takes each piece away, and asks again until there is none. */
static int feed_pieces(struct http_parser_state *parser, struct slice piece, struct buf *body,
                       bool *done, struct error *err)
{
    const struct http_response *response = http_parser_response(parser);

    for (;;) {
        size_t used;
        int rc = feed(parser, piece, &used, done, err);

        piece = slice_from(piece, used);
        assert_true(response->body.len <= response->body.max);
        if (rc != 0 || response->body.len == 0) {
            assert_true(rc != 0 || *done || piece.len == 0);
            return rc;
        }
        buf_append_slice(body, buf_slice(&response->body));
        http_parser_drop_body(parser);
    }
}

static char *parse(struct slice text, struct how how)
{
    struct http_parser_state *parser;
    const struct http_response *response;
    struct error err = {0};
    struct buf body, out;
    bool done = false;
    int rc = 0;

    buf_init(&body, BUF_UNBOUNDED);
    buf_init(&out, BUF_UNBOUNDED);
    assert_int_equal(http_parser_new(how.mode, how.body_max, &parser), 0);
    response = http_parser_response(parser);
    http_parser_decode(parser);
    if (how.headless)
        http_parser_headless(parser);
    for (size_t at = 0, used; rc == 0 && !done && at < text.len; at += used) {
        size_t n = at < how.first ? how.first - at : how.step;

        used = n = n < text.len - at ? n : text.len - at;
        if (how.mode == HTTP_BODY_PIECES)
            rc = feed_pieces(parser, slice_make(text.ptr + at, n), &body, &done, &err);
        else
            rc = feed(parser, slice_make(text.ptr + at, n), &used, &done, &err);
    }
    if (rc == 0 && !done)
        rc = http_parser_eof(parser, &err);
    if (how.mode != HTTP_BODY_PIECES)
        buf_append_slice(&body, buf_slice(&response->body));
    if (rc != 0)
        buf_appendf(&out, "%s: %s", error_name(rc), err.text);
    else
        buf_appendf(&out, "%d%s [" SLICE_FMT "]%s", response->status,
                    response->keep_alive ? " keep" : "", SLICE_ARG(buf_slice(&body)),
                    response->body_cut ? " cut" : "");
    http_parser_free(parser);
    buf_fini(&body);
    return out.data; /* buf_appendf has put a NUL behind it */
}

static void check_how(struct slice text, const char *expect, struct how how)
{
    for (size_t split = 0; split <= text.len; split++) {
        char *got;

        how.first = split == 0 ? text.len : split;
        how.step = split == 1 ? 1 : text.len;
        got = parse(text, how);
        if (strcmp(got, expect) != 0)
            fail_msg("mode %d, split at %zu:\n  expected %s\n  but got  %s", how.mode, split,
                     expect, got);
        free(got);
    }
}

/* In every mode. */
static void check(const struct buf *text, const char *expect)
{
    check_how(buf_slice(text), expect, (struct how){HTTP_BODY_CUT, .body_max = BODY_MAX});
    check_how(buf_slice(text), expect, (struct how){HTTP_BODY_STRICT, .body_max = BODY_MAX});
    check_how(buf_slice(text), expect, (struct how){HTTP_BODY_PIECES, .body_max = BODY_MAX});
    check_how(buf_slice(text), expect, (struct how){HTTP_BODY_PIECES, .body_max = 1});
}

static void check_text(const char *text, const char *expect)
{
    struct buf buf;

    buf_init(&buf, BUF_UNBOUNDED);
    buf_append_str(&buf, text);
    check(&buf, expect);
    buf_fini(&buf);
}

struct texts {
    struct buf body, text;
};

static int setup(void **state)
{
    static struct texts t;

    buf_init(&t.body, BUF_UNBOUNDED);
    buf_init(&t.text, BUF_UNBOUNDED);
    *state = &t;
    return 0;
}

static int teardown(void **state)
{
    struct texts *t = *state;

    buf_fini(&t->body);
    buf_fini(&t->text);
    return 0;
}

/* ---- tests ---- */

static void test_plain(void **state)
{
    check_text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200 keep [hello]");
    check_text("HTTP/1.1 200 OK\r\n\r\nhello", "200 [hello]");
    check_text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               "3 \t; a=\"b\"\r\nabc\r\n0002;x\r\nde\r\n0;y\r\nA: b\r\n\r\n",
               "200 keep [abcde]");
    check_text("HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi",
               "200 keep [hi]");
    check_text("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi",
               "200 keep [hi]");
    check_text("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nhi",
               "200 [hi]");
}

static void test_head(void **state)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 77\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        check_how(slice_str(heads[i]), "200 keep []",
                  (struct how){HTTP_BODY_CUT, .headless = true, .body_max = BODY_MAX});
}

static void test_gzip(void **state)
{
    struct texts *t = *state;

    add_gzip(&t->body, "hello, hello, hello");
    answer(&t->text, "200 OK", "gzip", buf_slice(&t->body));
    check(&t->text, "200 keep [hello, hello, hello]");
    answer(&t->text, "200 OK", "X-GZip", buf_slice(&t->body));
    check(&t->text, "200 keep [hello, hello, hello]");
    answer(&t->text, "500 No", "gzip", buf_slice(&t->body));
    check(&t->text, "500 keep [hello, hello, hello]");
    answer_chunked(&t->text, buf_slice(&t->body));
    check(&t->text, "200 keep [hello, hello, hello]");
    /* Members one behind the other; an empty one; and no body at all, as some say of a redirect. */
    add_gzip(&t->body, "");
    add_gzip(&t->body, "!");
    answer(&t->text, "200 OK", "gzip", buf_slice(&t->body));
    check(&t->text, "200 keep [hello, hello, hello!]");
    answer(&t->text, "302 There", "gzip", SLICE(""));
    check(&t->text, "302 keep []");
    check_text("HTTP/1.1 304 Same\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n",
               "304 keep []");
}

static void test_gzip_until_the_end(void **state)
{
    struct texts *t = *state;

    buf_append_str(&t->text, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
    add_gzip(&t->text, "hello, hello, hello");
    check(&t->text, "200 [hello, hello, hello]");
    t->text.len--;
    check(&t->text, "ERR_PROTOCOL: HTTP answer: the body ended within its gzip coding");
}

/* What has been flushed is there at once, before any more comes. */
static void test_gzip_flushed(void **state)
{
    struct texts *t = *state;
    struct http_parser_state *parser;
    struct error err;
    struct buf body;
    bool done;

    buf_init(&body, BUF_UNBOUNDED);
    buf_append_str(&t->text, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
    deflate_into(&t->text, SLICE("data: a\n\n"), Z_SYNC_FLUSH);
    assert_int_equal(http_parser_new(HTTP_BODY_PIECES, BODY_MAX, &parser), 0);
    http_parser_decode(parser);
    assert_int_equal(feed_pieces(parser, buf_slice(&t->text), &body, &done, &err), 0);
    assert_false(done);
    assert_string_equal(buf_cstr(&body), "data: a\n\n");
    http_parser_free(parser);
    buf_fini(&body);
}

static void test_gzip_refused(void **state)
{
    struct texts *t = *state;
    size_t whole;

    add_gzip(&t->body, "hello, hello, hello");
    whole = t->body.len;
    buf_append_str(&t->body, "xx");
    answer(&t->text, "200 OK", "gzip", buf_slice(&t->body));
    check(&t->text, "ERR_PROTOCOL: HTTP answer: gzip: incorrect header check");
    t->body.len = whole - 1;
    answer(&t->text, "200 OK", "gzip", buf_slice(&t->body));
    check(&t->text, "ERR_PROTOCOL: HTTP answer: the body ended within its gzip coding");
    t->body.len = whole;
    t->body.data[whole - 6] ^= 1; /* the checksum */
    answer(&t->text, "200 OK", "gzip", buf_slice(&t->body));
    check(&t->text, "ERR_PROTOCOL: HTTP answer: gzip: incorrect data check");
    answer(&t->text, "200 OK", "gzip", SLICE("hello"));
    check(&t->text, "ERR_PROTOCOL: HTTP answer: gzip: incorrect header check");
    answer(&t->text, "200 OK", "br", SLICE("hello"));
    check(&t->text,
          "ERR_PROTOCOL: HTTP answer: Content-Encoding \"br\", where only gzip was asked for");
    answer(&t->text, "200 OK", "gzip, gzip", SLICE("hello"));
    check(&t->text, "ERR_PROTOCOL: HTTP answer: Content-Encoding \"gzip, gzip\", where only gzip "
                    "was asked for");
}

/* An error is told even if its body cannot be read. */
static void test_gzip_of_an_error(void **state)
{
    struct texts *t = *state;

    answer(&t->text, "503 Busy", "br", SLICE("hello"));
    check(&t->text, "503 keep [] cut");
    answer(&t->text, "503 Busy", "gzip", SLICE("hello"));
    check(&t->text, "503 keep [] cut");
}

/* A body of BODY_MAX and of one more, and a bomb: the bound is on what comes out. */
static void test_gzip_bound(void **state)
{
    struct texts *t = *state;
    char text[BODY_MAX + 2] = {0}, expect[BODY_MAX + 40];
    struct how cut = {HTTP_BODY_CUT, .body_max = BODY_MAX};
    struct how strict = {HTTP_BODY_STRICT, .body_max = BODY_MAX};

    memset(text, 'x', BODY_MAX);
    snprintf(expect, sizeof expect, "200 keep [%s]", text);
    add_gzip(&t->body, text);
    answer(&t->text, "200 OK", "gzip", buf_slice(&t->body));
    check(&t->text, expect);
    snprintf(expect, sizeof expect, "200 keep [%s] cut", text);
    text[BODY_MAX] = 'x';
    buf_clear(&t->body);
    add_gzip(&t->body, text);
    answer(&t->text, "200 OK", "gzip", buf_slice(&t->body));
    check_how(buf_slice(&t->text), expect, cut);
    check_how(buf_slice(&t->text), "ERR_LIMIT: HTTP answer: body over 100 bytes", strict);
    snprintf(expect, sizeof expect, "200 keep [%s]", text);
    check_how(buf_slice(&t->text), expect, (struct how){HTTP_BODY_PIECES, .body_max = BODY_MAX});
}

static void test_bomb(void **state)
{
    enum { BOMB = 32 * 1024 * 1024, PIECE = 1000 };
    struct texts *t = *state;
    struct http_parser_state *parser;
    const struct http_response *response;
    struct error err;
    struct slice rest;
    size_t used, total = 0;
    bool done = false;
    char *zeros = calloc(1, BOMB);

    deflate_into(&t->body, slice_make(zeros, BOMB), Z_FINISH);
    free(zeros);
    answer(&t->text, "200 OK", "gzip", buf_slice(&t->body));
    assert_true(t->text.len < BOMB / 500);
    assert_int_equal(http_parser_new(HTTP_BODY_PIECES, PIECE, &parser), 0);
    http_parser_decode(parser);
    response = http_parser_response(parser);
    for (rest = buf_slice(&t->text); !done; rest = slice_from(rest, used)) {
        assert_int_equal(http_parser_feed(parser, slice_chars(rest), rest.len, &used, &done, &err),
                         0);
        assert_true(response->body.cap <= PIECE);
        total += response->body.len;
        http_parser_drop_body(parser);
    }
    assert_int_equal(total, BOMB);
    http_parser_free(parser);
}

/* The size and extension of a chunk, at the bound and one past it. */
static void test_chunk_line_bound(void **state)
{
    struct texts *t = *state;

    for (int past = 0; past < 2; past++) {
        buf_clear(&t->text);
        buf_append_str(&t->text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;");
        for (int i = 0; i < HTTP_CHUNK_LINE_MAX - 4 + past; i++)
            buf_append_byte(&t->text, 'x');
        buf_append_str(&t->text, "\r\nhi\r\n0\r\n\r\n");
        check(&t->text, past ? "ERR_LIMIT: HTTP answer: chunked body: a chunk's size and "
                               "extension over 1024 bytes"
                             : "200 keep [hi]");
    }
}

static void test_keep_alive(void **state)
{
    static const struct {
        const char *value;
        int64_t ms;
    } rows[] = {
        {"timeout=5", 5000},
        {"timeout=5, max=100", 5000},
        {"max=100,Timeout=7", 7000},
        {"timeout=5, max=0", 0},
        {"timeout=0", 0},
        {"max=100", -1},
        {"", -1},
        {"timeout", -1},
        {"timeout=", -1},
        {"timeout=-1", -1},
        {"timeout=x", -1},
        {"timeout = 5", -1},
        {"timeout=99999999999999999999", -1},
        {"timeout=99999999", 86400000},
    };
    struct http_response response = {0};

    buf_init(&response.headers, BUF_UNBOUNDED);
    assert_int_equal(http_keep_alive_ms(&response), -1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buf_clear(&response.headers);
        buf_appendf(&response.headers, "a: b\nkeep-alive: %s\n", rows[i].value);
        assert_int_equal(http_keep_alive_ms(&response), rows[i].ms);
    }
    buf_fini(&response.headers);
}

#define with_texts(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_texts(test_plain),
        with_texts(test_head),
        with_texts(test_gzip),
        with_texts(test_gzip_until_the_end),
        with_texts(test_gzip_flushed),
        with_texts(test_gzip_refused),
        with_texts(test_gzip_of_an_error),
        with_texts(test_gzip_bound),
        with_texts(test_bomb),
        with_texts(test_chunk_line_bound),
        with_texts(test_keep_alive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
