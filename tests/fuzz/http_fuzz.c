/*
 * http: an answer means the same however it is cut, and what is accepted keeps its promises. The
 * first byte says how the rest is cut and how much body is wanted; the rest is the answer. It is
 * also tried as a URL, and what is a URL is written as a request.
 *
 * A broken promise ends the process, as libFuzzer wants it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "wire/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *what, int line)
{
    fprintf(stderr, "http_fuzz.c:%d: does not hold: %s\n", line, what);
    abort();
}

struct outcome {
    struct http_parser_state *parser;
    int rc;
    bool done;
    size_t used;
};

static struct outcome parse(struct slice answer, size_t step, bool strict, size_t body_max)
{
    struct outcome o = {0};
    struct error err;

    CHECK(http_parser_new(strict ? HTTP_BODY_STRICT : HTTP_BODY_CUT, body_max, &o.parser) == 0);
    http_parser_decode(o.parser);
    while (o.rc == 0 && !o.done && o.used < answer.len) {
        size_t n = step < answer.len - o.used ? step : answer.len - o.used;
        size_t used;

        o.rc = http_parser_feed(o.parser, answer.ptr + o.used, n, &used, &o.done, &err);
        CHECK(used <= n);
        CHECK(o.rc != 0 || o.done || used == n);
        o.used += used;
    }
    if (o.rc == 0 && !o.done)
        o.rc = http_parser_eof(o.parser, &err);
    return o;
}

/* The header block is lines of "name: value", each with a name in lower case and nothing else. */
static void check_headers(struct slice lines)
{
    while (lines.len > 0) {
        const char *lf = slice_find_byte(lines, '\n');
        const char *colon = slice_find_byte(lines, ':');

        CHECK(lf != NULL && colon != NULL && colon > lines.ptr && colon < lf && colon[1] == ' ');
        for (const char *p = lines.ptr; p < lf; p++) {
            CHECK((unsigned char)*p >= 0x20 || *p == '\t');
            CHECK(p > colon || *p < 'A' || *p > 'Z');
        }
        lines = slice_from(lines, (size_t)(lf - lines.ptr) + 1);
    }
}

static void check_accepted(const struct http_response *response, size_t body_max)
{
    static const uint8_t sha1[20] = {0};
    struct error err;
    int64_t delay_ms = http_retry_after_ms(response, 1000000000);

    CHECK(response->status >= 100 && response->status <= 999);
    CHECK(response->status >= 200 || response->upgrade);
    CHECK(response->body.len <= body_max);
    CHECK(delay_ms >= -1 && delay_ms <= 86400000);
    check_headers(buf_slice(&response->headers));
    CHECK(ws_upgrade_check(response, sha1, SLICE("a"), NULL, &err) != 0 || response->status == 101);
}

/* An error's body in a coding that was not asked for is left out. */
static bool may_be_skipped(const struct http_response *response)
{
    return response->status / 100 != 2 &&
           http_response_header(response, "content-encoding").ptr != NULL;
}

static void check_answer(struct slice answer, uint8_t options)
{
    static const size_t body_sizes[] = {0, 1, 100, LIMIT_HTTP_ERROR_BODY};
    size_t step = 1 + options % 16;
    bool strict = options & 0x10;
    size_t body_max = body_sizes[options >> 6];
    struct outcome whole = parse(answer, answer.len, strict, body_max);
    struct outcome parts = parse(answer, step, strict, body_max);
    const struct http_response *a = http_parser_response(whole.parser);
    const struct http_response *b = http_parser_response(parts.parser);

    CHECK(whole.rc == parts.rc && whole.done == parts.done);
    CHECK(whole.rc == 0 || whole.rc == ERR_PROTOCOL || whole.rc == ERR_LIMIT);
    if (whole.rc == 0) {
        check_accepted(a, body_max);
        CHECK(whole.used == parts.used && a->status == b->status);
        CHECK(a->keep_alive == b->keep_alive && a->upgrade == b->upgrade);
        CHECK(a->body_cut == b->body_cut && !(a->body_cut && strict && !may_be_skipped(a)));
        CHECK(slice_eq(buf_slice(&a->headers), buf_slice(&b->headers)));
        CHECK(slice_eq(buf_slice(&a->body), buf_slice(&b->body)));
    }
    http_parser_free(whole.parser);
    http_parser_free(parts.parser);
}

/* A request has one Host, and its header ends where it should. */
static void check_url(struct slice text)
{
    struct http_url url;
    struct buf out;

    if (http_url_parse(text, &url, NULL) != 0)
        return;
    CHECK(url.host.len > 0 && url.port > 0 && url.target.len > 0);
    buf_init(&out, BUF_UNBOUNDED);
    CHECK(http_request_write(&out, SLICE("GET"), &url, SLICE("A: b\r\n"), SLICE("")) == 0);
    for (size_t i = 0; i < out.len; i++)
        CHECK((unsigned char)out.data[i] >= 0x20 || out.data[i] == '\r' || out.data[i] == '\n');
    CHECK(strstr(buf_cstr(&out), "\r\n\r\n") == out.data + out.len - 4);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_make((const char *)data, size);
    struct buf out;

    if (size == 0)
        return 0;
    check_answer(slice_from(text, 1), data[0]);
    check_url(slice_from(text, 1));
    /* As header lines: taken whole, or not at all. */
    buf_init(&out, BUF_UNBOUNDED);
    if (http_request_write(&out, SLICE("GET"),
                           &(struct http_url){.host = SLICE("h"), .port = 80, .target = SLICE("/")},
                           slice_from(text, 1), SLICE("")) == 0)
        CHECK(strstr(buf_cstr(&out), "\r\n\r\n") == out.data + out.len - 4);
    else
        CHECK(out.len == 0);
    buf_fini(&out);
    return 0;
}
