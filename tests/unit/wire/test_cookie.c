/* Cookies: what is kept of Set-Cookie, and where it goes back to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "wire/cookie.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define NOW_S 1700000000 /* 2023-11-14T22:13:20Z */

static struct cookie_jar *jar;

static int set_up(void **state)
{
    return cookie_jar_new(&jar);
}

static int tear_down(void **state)
{
    cookie_jar_free(jar);
    return 0;
}

static void set(const char *value)
{
    cookie_jar_set(jar, SLICE("example.com:443"), SLICE("/api/sync?a=/b"), true, slice_str(value),
                   NOW_S);
}

static void expect_at(const char *host, const char *path, bool secure, int64_t now_s,
                      const char *expected)
{
    struct buf out;

    buf_init(&out, BUF_UNBOUNDED);
    assert_int_equal(cookie_jar_header(jar, slice_str(host), slice_str(path), secure, now_s, &out),
                     0);
    assert_string_equal(buf_cstr(&out), expected);
    buf_fini(&out);
}

static void expect(const char *expected)
{
    expect_at("example.com:443", "/api/sync", true, NOW_S, expected);
}

static void test_kept(void **state)
{
    static const char *const rows[][2] = {
        {"a=1", "Cookie: a=1\r\n"},
        {"  a = 1 ; HttpOnly; SameSite=Lax", "Cookie: a=1\r\n"},
        {"a=", "Cookie: a=\r\n"},
        {"a=\"x=y\"", "Cookie: a=\"x=y\"\r\n"},
        {"a=1; Path=/", "Cookie: a=1\r\n"},
        {"a=1; path=/api", "Cookie: a=1\r\n"},
        {"a=1; Path=api", "Cookie: a=1\r\n"},
        {"a=1; Path=", "Cookie: a=1\r\n"},
        {"a=1; Secure", "Cookie: a=1\r\n"},
        {"a=1; Domain=example.com", "Cookie: a=1\r\n"},
        {"a=1; Domain=.EXAMPLE.com", "Cookie: a=1\r\n"},
        {"a=1; Domain=com", "Cookie: a=1\r\n"},
        {"a=1; Domain=", "Cookie: a=1\r\n"},
        {"a=1; Max-Age=1", "Cookie: a=1\r\n"},
        {"a=1; Max-Age=99999999999999999999", "Cookie: a=1\r\n"},
        {"a=1; Max-Age=x", "Cookie: a=1\r\n"},
        {"a=1; Max-Age=10; Expires=Wed, 21 Oct 2015 07:28:00 GMT", "Cookie: a=1\r\n"},
        {"a=1; Expires=Tue, 14 Nov 2023 22:13:21 GMT", "Cookie: a=1\r\n"},
        {"a=1; Expires=Tue, 14-Nov-2023 22:13:21 GMT", "Cookie: a=1\r\n"},
        {"a=1; Expires=Tuesday, 14-Nov-23 22:13:21 GMT", "Cookie: a=1\r\n"},
        {"a=1; Expires=nonsense", "Cookie: a=1\r\n"},
        {"a=1; Expires=Tue, 14 Nov 2023 22:13:20 GMT", ""},
        {"a=1; Expires=Wed, 21-Oct-2015 07:28:00 GMT", ""},
        {"a=1; Max-Age=0", ""},
        {"a=1; Max-Age=-5", ""},
        {"a=1; Max-Age=-99999999999999999999", ""},
        {"a=1; Expires=Wed, 21 Oct 2030 07:28:00 GMT; Max-Age=0", ""},
        {"a=1; Domain=other.com", ""},
        {"a=1; Domain=xexample.com", ""},
        {"a=1; Domain=ample.com", ""},
        {"a=1; Domain=www.example.com", ""},
        {"a=1; Path=/other", ""},
        {"a=1; Path=/api/syn", ""},
        {"a=1; Path=/api/sync/more", ""},
        {"a", ""},
        {"=1", ""},
        {"", ""},
        {"a b=1", ""},
        {"a=1\x01", ""},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        set(rows[i][0]);
        expect(rows[i][1]);
        cookie_jar_clear(jar);
    }
}

static void test_where_it_goes(void **state)
{
    set("a=1; Secure");
    set("b=2");
    expect_at("example.com:443", "/api/x", true, NOW_S, "Cookie: a=1; b=2\r\n");
    expect_at("EXAMPLE.com:443", "/api/x?y", true, NOW_S, "Cookie: a=1; b=2\r\n");
    expect_at("example.com:443", "/api/x", false, NOW_S, "Cookie: b=2\r\n");
    expect_at("example.com:8443", "/api/x", true, NOW_S, "");
    expect_at("www.example.com:443", "/api/x", true, NOW_S, "");
    expect_at("example.com:443", "/", true, NOW_S, "");
    expect_at("example.com:443", "/apix", true, NOW_S, "");
    expect_at("example.com:443", "/api", true, NOW_S, "Cookie: a=1; b=2\r\n");
}

static void test_secure_only_from_secure(void **state)
{
    cookie_jar_set(jar, SLICE("h:80"), SLICE("/"), false, SLICE("a=1; Secure"), NOW_S);
    cookie_jar_set(jar, SLICE("h:80"), SLICE("?query"), false, SLICE("b=1"), NOW_S);
    expect_at("h:80", "/", true, NOW_S, "Cookie: b=1\r\n");
    expect_at("h:80", "?query", true, NOW_S, "Cookie: b=1\r\n");
}

static void test_replaced_expired_and_ordered(void **state)
{
    set("a=1; Path=/");
    set("b=2; Path=/api; Max-Age=10");
    set("c=3; Path=/");
    set("a=4; Path=/");
    expect("Cookie: b=2; a=4; c=3\r\n");
    expect_at("example.com:443", "/api/", true, NOW_S + 9, "Cookie: b=2; a=4; c=3\r\n");
    expect_at("example.com:443", "/api/", true, NOW_S + 10, "Cookie: a=4; c=3\r\n");
    set("a=; Path=/; Max-Age=0");
    expect("Cookie: b=2; c=3\r\n");
}

static void test_bounds(void **state)
{
    char text[COOKIE_BYTES_MAX + 8];
    struct buf out;

    for (unsigned i = 0; i < COOKIE_MAX + 1; i++) {
        snprintf(text, sizeof text, "c%u=x", i);
        set(text);
    }
    buf_init(&out, BUF_UNBOUNDED);
    cookie_jar_header(jar, SLICE("example.com:443"), SLICE("/api/"), true, NOW_S, &out);
    assert_null(strstr(buf_cstr(&out), "c0=x"));
    assert_non_null(strstr(buf_cstr(&out), "c1=x"));
    assert_non_null(strstr(buf_cstr(&out), "c16=x"));
    buf_fini(&out);
    cookie_jar_clear(jar);

    memset(text, 'x', sizeof text);
    text[1] = '=';
    text[COOKIE_BYTES_MAX + 2] = '\0'; /* name and value: one over */
    set(text);
    expect("");
    text[COOKIE_BYTES_MAX + 1] = '\0';
    set(text);
    buf_init(&out, 64);
    assert_int_equal(
        cookie_jar_header(jar, SLICE("example.com:443"), SLICE("/api/"), true, NOW_S, &out),
        ERR_LIMIT);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_where_it_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_secure_only_from_secure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replaced_expired_and_ordered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bounds, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
