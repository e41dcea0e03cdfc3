#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/http_server.h"

/* Byte by byte and at once must be the same; each piece in memory of its own length, so that
 * reading one byte too far is seen. */
static ptrdiff_t parse(struct slice bytes, struct http_server_request *out, int *status)
{
    struct http_server_refusal refusal = {0};
    size_t scanned = 0, scanned_once = 0;
    ptrdiff_t rc = 0, once;

    for (size_t n = 0; n <= bytes.len && rc == 0; n++) {
        char *copy = malloc(n + 1);

        memcpy(copy, bytes.ptr, n);
        copy = realloc(copy, n > 0 ? n : 1);
        rc = http_server_parse(slice_make(copy, n), &scanned, out, &refusal);
        free(copy);
    }
    *status = refusal.status;
    once = http_server_parse(bytes, &scanned_once, out, &refusal);
    assert_int_equal(rc, once);
    assert_int_equal(*status, refusal.status);
    assert_true(rc >= 0 || refusal.reason[0] != '\0');
    assert_true(rc >= 0 || http_server_status_text(refusal.status)[0] != '\0');
    return rc;
}

static struct http_server_request good(const char *text)
{
    struct http_server_request request;
    int status;
    ptrdiff_t n = parse(slice_str(text), &request, &status);

    if (n != (ptrdiff_t)strlen(text))
        fail_msg("%s: %d (%d)", text, (int)n, status);
    return request;
}

static void bad(const char *text, int expected)
{
    struct http_server_request request;
    int status;
    ptrdiff_t n = parse(slice_str(text), &request, &status);

    if (n >= 0 || status != expected)
        fail_msg("%s: %d (%d instead of %d)", text, (int)n, status, expected);
}

static void assert_text(struct slice text, const char *expected)
{
    if (expected == NULL) {
        assert_null(text.ptr);
        return;
    }
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.ptr, expected, text.len);
}

static void test_good_requests(void **state)
{
    struct http_server_request r =
        good("GET /events?from=7&x HTTP/1.1\r\nHost: localhost:80\r\n"
             "Last-Event-ID:  0123abcd-17 \r\nAuthorization: Bearer x\r\n\r\n");

    assert_int_equal(r.method, HTTP_METHOD_GET);
    assert_text(r.path, "/events");
    assert_text(r.query, "from=7&x");
    assert_text(r.host, "localhost:80");
    assert_text(r.last_event_id, "0123abcd-17");
    assert_text(r.authorization, "Bearer x");
    assert_true(r.keep_alive);
    r = good("HEAD / HTTP/1.0\n\n"); /* RFC 9112 2.2: a bare LF may end a line */
    assert_int_equal(r.method, HTTP_METHOD_HEAD);
    assert_text(r.query, NULL);
    assert_text(r.host, NULL);
    assert_false(r.keep_alive);
    assert_true(good("GET / HTTP/1.0\r\nconnection: foo, Keep-Alive\r\n\r\n").keep_alive);
    assert_false(
        good("GET / HTTP/1.1\r\nhost:\r\nConnection: foo\r\nConnection:CLOSE\r\n\r\n").keep_alive);
    assert_int_equal(good("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").method,
                     HTTP_METHOD_OTHER);
    assert_text(good("\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n").path, "/a");
    r = good("GET http://here:1?a=b HTTP/1.1\r\nHost: there\r\n\r\n");
    assert_text(r.host, "here:1");
    assert_text(r.path, "/");
    assert_text(r.query, "a=b");
    assert_text(good("GET http://here HTTP/1.1\r\nHost: there\r\n\r\n").path, "/");
}

static void test_bad_requests(void **state)
{
    bad("GET / HTTP/1.1\r\n\r\n", 400);
    bad("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
    bad("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400);
    bad("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400);
    bad("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400);
    bad("GET / HTTP/1.1\r\nHost: a\x01\r\n\r\n", 400);
    bad("GET / HTTP/1.1\r\nHost a\r\n\r\n", 400);
    bad("GET / HTTP/1.1\r\n: a\r\n\r\n", 400);
    bad("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    bad("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400);
    bad("GET /\r\nHost: a\r\n\r\n", 400);
    bad("GET / ICY/1.1\r\nHost: a\r\n\r\n", 400);
    bad("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505);
    bad("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505);
    bad("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    bad("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    bad("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    bad("GET /\xC3\xA4 HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    bad("GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    bad("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    bad("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 413);
    bad("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 413);
    bad("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400);
    bad("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 501);
    bad("\x16\x03\x01\x02\n\n", 400); /* someone speaks TLS */
}

static void test_is_asked_for_more(void **state)
{
    struct http_server_request request;
    int status;

    assert_int_equal(parse(slice_str(""), &request, &status), 0);
    assert_int_equal(parse(slice_str("\r\n"), &request, &status), 0);
    assert_int_equal(parse(slice_str("GET / HTTP/1.1\r\nHost: a\r\n"), &request, &status), 0);
    assert_int_equal(parse(slice_str("GET / HTTP/1.1\r\nHost: a\r\n\r"), &request, &status), 0);
}

static void test_stops_behind_the_first_of_two(void **state)
{
    static const char two[] =
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    struct http_server_request request;
    struct http_server_refusal refusal;
    size_t scanned = 0;

    assert_int_equal(http_server_parse(slice_str(two), &scanned, &request, &refusal),
                     sizeof two / 2);
    assert_text(request.path, "/1");
}

/* One at the bound and one past it, both whole and not yet finished. */
static void check_bound(size_t n, const char *begin, const char *end, bool fits, int status)
{
    size_t fill = n - strlen(begin) - strlen(end);
    char *text = malloc(n + 1);
    struct http_server_request request;
    struct http_server_refusal refusal = {0};
    size_t scanned = 0;
    ptrdiff_t rc;

    memcpy(text, begin, strlen(begin));
    memset(text + strlen(begin), 'x', fill);
    memcpy(text + strlen(begin) + fill, end, strlen(end) + 1);
    rc = http_server_parse(slice_make(text, n), &scanned, &request, &refusal);
    assert_int_equal(rc, fits ? (ptrdiff_t)n : -1);
    assert_int_equal(refusal.status, fits ? 0 : status);
    free(text);
}

static void test_limits(void **state)
{
    static const char tail[] = " HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t line = HTTP_SERVER_LINE_MAX + strlen("\r\nHost: a\r\n\r\n");
    char many[HTTP_SERVER_HEADERS_MAX * 8 + 100];
    size_t n = 0;

    check_bound(line, "GET /", tail, true, 0);
    check_bound(line + 1, "GET /", tail, false, 414);
    check_bound(HTTP_SERVER_LINE_MAX + 1, "GET /", "", false, 414);
    check_bound(HTTP_SERVER_HEAD_MAX, "GET / HTTP/1.1\r\nHost: ", "\r\n\r\n", true, 0);
    check_bound(HTTP_SERVER_HEAD_MAX + 1, "GET / HTTP/1.1\r\nHost: ", "\r\n\r\n", false, 431);
    check_bound(HTTP_SERVER_HEAD_MAX + 1, "GET / HTTP/1.1\r\nHost: ", "", false, 431);
    for (int extra = 0; extra < 2; extra++) {
        n = (size_t)snprintf(many, sizeof many, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (int i = 1; i < HTTP_SERVER_HEADERS_MAX + extra; i++)
            n += (size_t)snprintf(many + n, sizeof many - n, "a: b\r\n");
        snprintf(many + n, sizeof many - n, "\r\n");
        if (extra == 0)
            good(many);
        else
            bad(many, 431);
    }
}

static void test_query(void **state)
{
    struct slice query = slice_str("a=1&&b+c=%41%2b%20d&flag&=x&u=%C3%A4&");
    static const char *const expected[][2] = {
        {"a", "1"}, {"b c", "A+ d"}, {"flag", ""}, {"", "x"}, {"u", "\xC3\xA4"}};
    static const char *const wrong[] = {"a=%", "a=%4", "a=%4g", "a=%00", "a=%ff", "%zz"};
    struct slice name, value;
    struct buf scratch;

    buf_init(&scratch, BUF_UNBOUNDED);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(http_server_query_next(&query, &scratch, &name, &value), 1);
        assert_text(name, expected[i][0]);
        assert_text(value, expected[i][1]);
    }
    assert_int_equal(http_server_query_next(&query, &scratch, &name, &value), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        query = slice_str(wrong[i]);
        assert_true(http_server_query_next(&query, &scratch, &name, &value) < 0);
    }
    buf_fini(&scratch);
}

static void test_local_hosts(void **state)
{
    static const char *const yes[] = {"localhost",   "LocalHost:9472", "127.0.0.1",
                                      "127.0.0.1:1", "10.0.0.7:9472",  "[::1]",
                                      "[fe80::1]:80"};
    static const char *const no[] = {"",
                                     "evil.example",
                                     "evil.example:9472",
                                     "localhost.evil.example",
                                     "127.0.0.1.evil.example",
                                     "localhost:x",
                                     "localhost:",
                                     ":80",
                                     "[::1",
                                     "[]",
                                     "[::1]x",
                                     "[evil]",
                                     "127.0.0.1:80:80"};

    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(http_server_host_is_local(slice_str(yes[i])));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(http_server_host_is_local(slice_str(no[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_requests),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_is_asked_for_more),
        cmocka_unit_test(test_stops_behind_the_first_of_two),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_local_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
