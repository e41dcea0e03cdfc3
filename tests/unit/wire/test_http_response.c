/* Headers of an answer: looked up, joined, and Retry-After in all its forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/http.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct http_response with_headers(const char *lines)
{
    struct http_response response = {.status = 200};

    buf_init(&response.headers, BUF_UNBOUNDED);
    assert_int_equal(buf_append_str(&response.headers, lines), 0);
    return response;
}

static void check_joined(const struct http_response *response, const char *name, const char *expect)
{
    struct buf out;

    buf_init(&out, BUF_UNBOUNDED);
    assert_int_equal(http_response_header_joined(response, name, &out), 0);
    assert_string_equal(buf_cstr(&out), expect);
    buf_fini(&out);
}

static void test_lookup(void **state)
{
    struct http_response response = with_headers("a: 1\nset-cookie: x=1\nempty: \na: 2\n");
    struct http_response none = with_headers("");
    struct buf out;

    assert_true(slice_eq_str(http_response_header(&response, "a"), "1"));
    assert_true(slice_eq_str(http_response_header(&response, "set-cookie"), "x=1"));
    assert_non_null(http_response_header(&response, "empty").ptr);
    assert_int_equal(http_response_header(&response, "empty").len, 0);
    assert_null(http_response_header(&response, "set").ptr);
    assert_null(http_response_header(&none, "a").ptr);
    check_joined(&response, "a", "1, 2");
    check_joined(&response, "set-cookie", "x=1");
    check_joined(&response, "empty", "");
    check_joined(&response, "b", "");
    check_joined(&none, "a", "");
    buf_init(&out, 3);
    assert_int_equal(http_response_header_joined(&response, "a", &out), ERR_LIMIT);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
    buf_fini(&response.headers);
    buf_fini(&none.headers);
}

static void test_retry_after(void **state)
{
    enum { NOW = 784111777, DAY_MS = 86400000 }; /* Sun, 06 Nov 1994 08:49:37 GMT */
    static const struct {
        const char *value;
        int64_t expect_ms;
    } rows[] = {
        {"0", 0},
        {"120", 120000},
        {"86400", DAY_MS},
        {"86401", DAY_MS},
        {"18446744073709551615", DAY_MS},
        {"99999999999999999999999999", DAY_MS},
        {"-1", -1},
        {"+1", -1},
        {"1.5", -1},
        {"1s", -1},
        {"", -1},
        {"soon", -1},
        {"Sun, 06 Nov 1994 08:49:47 GMT", 10000},
        {"Sunday, 06-Nov-94 08:49:47 GMT", 10000},
        {"Sun Nov  6 08:49:47 1994", 10000},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"Sun, 06 Nov 1994 08:49:36 GMT", 0},
        {"Mon, 07 Nov 1994 08:49:37 GMT", DAY_MS},
        {"Fri, 31 Dec 1999 23:59:60 GMT", DAY_MS},
        {"Sat, 06 Nov 1993 08:49:37 GMT", 0},
        {"Saturday, 06-Nov-93 08:49:37 GMT", 0},
        {"Sunday, 06-Nov-44 08:49:37 GMT", DAY_MS}, /* 2044: 50 years ahead */
        {"Monday, 06-Nov-45 08:49:37 GMT", 0},      /* 1945 */
        {"Sun, 06 Nov 1994 08:49:47 CET", -1},
        {"Sun, 06 Nov 1994 08:49:47", -1},
        {"Sun, 06 Nov 1994 24:49:47 GMT", -1},
        {"Sun, 06 Nov 1994 08:60:47 GMT", -1},
        {"Sun, 00 Nov 1994 08:49:47 GMT", -1},
        {"Sun, 32 Nov 1994 08:49:47 GMT", -1},
        {"Sun, 06 Nox 1994 08:49:47 GMT", -1},
        {"Sun, 06 Nov 94 08:49:47 GMT", -1},
        {"Sun Nov  6 08:49:47 1994 GMT", -1},
        {"Sun,", -1},
        {"Sun, ", -1},
        {"Sun, 06", -1},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char line[100];
        struct http_response response;
        int64_t got;

        snprintf(line, sizeof line, "retry-after: %s\n", rows[i].value);
        response = with_headers(line);
        got = http_retry_after_ms(&response, NOW);
        if (got != rows[i].expect_ms)
            fail_msg("%s: %lld", rows[i].value, (long long)got);
        buf_fini(&response.headers);
    }
}

static void test_retry_after_absent(void **state)
{
    struct http_response response = with_headers("date: x\n");

    assert_int_equal(http_retry_after_ms(&response, 0), -1);
    buf_fini(&response.headers);
}

/* Around a leap day, where a calendar of one's own goes wrong. */
static void test_leap_days(void **state)
{
    static const struct {
        const char *date;
        int64_t unix_s;
    } rows[] = {
        {"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800},
        {"Fri, 01 Mar 2024 00:00:00 GMT", 1709251200},
        {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
        {"Wed, 01 Mar 2000 00:00:00 GMT", 951868800},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Mon, 01 Mar 2100 00:00:00 GMT", 4107542400},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char line[100];
        struct http_response response;

        snprintf(line, sizeof line, "retry-after: %s\n", rows[i].date);
        response = with_headers(line);
        assert_int_equal(http_retry_after_ms(&response, rows[i].unix_s - 7), 7000);
        buf_fini(&response.headers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_retry_after_absent),
        cmocka_unit_test(test_leap_days),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
