/* Where a 3xx leads, and what goes along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reach/redirect.h"

static const char headers[] = "Accept: x\r\nAuthorization: Bearer s3cret-one\r\n"
                              "X-Token: a.s3cret-one\r\ncookie: a=b\r\nOrigin: https://o\r\n";
static const char plain_headers[] = "Accept: x\r\nOrigin: https://o\r\n";

static struct redact secrets;

static int set_up(void **state)
{
    (void)state;
    redact_init(&secrets);
    return redact_learn(&secrets, SLICE("s3cret-one"));
}

static int tear_down(void **state)
{
    (void)state;
    redact_fini(&secrets);
    return 0;
}

/* expected: the URL; NULL: refused with `code`. */
static void expect(const char *url, const char *location, const char *expected, bool same, int code)
{
    struct buf out, lines;
    struct error err = {0};
    buf_init(&out, BUF_UNBOUNDED);
    buf_init(&lines, BUF_UNBOUNDED);
    int rc = redirect_resolve(slice_str(url), slice_str(headers), slice_str(location), &secrets,
                              &out, &lines, &err);
    if (rc != code)
        fail_msg("%s: %d %s", location, rc, err.text);
    if (expected != NULL) {
        assert_string_equal(buf_cstr(&out), expected);
        assert_string_equal(buf_cstr(&lines), same ? headers : plain_headers);
    } else {
        assert_null(strstr(err.text, "s3cret"));
    }
    buf_fini(&out);
    buf_fini(&lines);
}

#define WS "wss://h.example/v1/stream?token=s3cret-one&x=1"
#define HTTP "https://h.example:8443/a/b?since=5&k=s3cret-one"

static void test_addresses(void **state)
{
    (void)state;
    expect(WS, "https://h.example/v2/s", "wss://h.example/v2/s?token=s3cret-one&x=1", true, 0);
    expect(WS, "wss://H.example:443/v2", "wss://H.example:443/v2?token=s3cret-one&x=1", true, 0);
    expect(WS, "/v2", "wss://h.example:443/v2?token=s3cret-one&x=1", true, 0);
    expect(WS, "other", "wss://h.example:443/v1/other?token=s3cret-one&x=1", true, 0);
    expect(WS, "?node=3", "wss://h.example:443/v1/stream?node=3&token=s3cret-one&x=1", true, 0);
    expect(WS, "//n.example", "wss://n.example/?x=1", false, 0);
    expect(WS, "https://n.example/p#part", "wss://n.example/p?x=1", false, 0);
    expect(WS, "https://h.example:444/p", "wss://h.example:444/p?x=1", false, 0);
    expect(HTTP, "/c", "https://h.example:8443/c?since=5&k=s3cret-one", true, 0);
    expect(HTTP, "wss://h.example:8443/c", "https://h.example:8443/c?since=5&k=s3cret-one", true,
           0);
    expect("http://[::1]:80/a", "/b", "http://[::1]:80/b", true, 0);
}

/* RFC 3986 5.4: a relative path is taken as it is meant, not as it is spelt. */
static void test_dot_segments(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"./g", "/b/c/g"},
        {"g/", "/b/c/g/"},
        {".", "/b/c/"},
        {"./", "/b/c/"},
        {"..", "/b/"},
        {"../", "/b/"},
        {"../g", "/b/g"},
        {"../..", "/"},
        {"../../", "/"},
        {"../../g", "/g"},
        {"../../../g", "/g"},
        {"../../../../g", "/g"},
        {"/./g", "/g"},
        {"/../g", "/g"},
        {"g.", "/b/c/g."},
        {".g", "/b/c/.g"},
        {"g..", "/b/c/g.."},
        {"..g", "/b/c/..g"},
        {"./../g", "/b/g"},
        {"./g/.", "/b/c/g/"},
        {"g/./h", "/b/c/g/h"},
        {"g/../h", "/b/c/h"},
        {"g;x=1/./y", "/b/c/g;x=1/y"},
        {"g;x=1/../y", "/b/c/y"},
        {"/a/b/", "/a/b/"},
        {"//h.example:1/x/../y", NULL},
        {"g//h", "/b/c/g//h"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char expected[100];
        snprintf(expected, sizeof(expected), "https://h.example:1%s",
                 rows[i][1] != NULL ? rows[i][1] : "/y");
        expect("https://h.example:1/b/c/d;p", rows[i][0], expected, true, 0);
    }
    expect("https://h.example:1/b/c/d", "../?x=/../y", "https://h.example:1/b/?x=/../y", true, 0);
}

static void test_query(void **state)
{
    (void)state;
    expect(WS, "/v2?token=s3cret-one&x=2&node=3",
           "wss://h.example:443/v2?node=3&token=s3cret-one&x=1", true, 0);
    expect(WS, "https://n.example/?token=s3cret-one&echo=s3cret-one&x=2&&node=3",
           "wss://n.example/?node=3&x=1", false, 0);
}

static void test_refused(void **state)
{
    (void)state;
    expect(WS, "http://h.example/v2", NULL, false, ERR_REFUSED);
    expect(WS, "ws://h.example/v2", NULL, false, ERR_REFUSED);
    expect("ws://h.example/v2", "https://h.example/v2", "wss://h.example/v2", false, 0);
    expect(WS, "", NULL, false, ERR_PARSE);
    expect(WS, "#x", NULL, false, ERR_PARSE);
    expect(WS, "https:///x?k=s3cret-one", NULL, false, ERR_PARSE);
    expect(WS, "https://a b/", NULL, false, ERR_PARSE);
    expect(WS, "https://h:99999/", NULL, false, ERR_PARSE);
    expect(WS, "ftp://h.example/x", NULL, false, ERR_PARSE);
    expect(WS, "mailto:x", NULL, false, ERR_PARSE);
    expect(WS, "./a:b", "wss://h.example:443/v1/a:b?token=s3cret-one&x=1", true, 0);
    expect(WS, "https://n.example/s3cret-one/x", NULL, false, ERR_REFUSED);
    expect(WS, "//n.example/%73/s3cret%2Done", NULL, false, ERR_REFUSED);
    expect(WS, "/s3cret-one/x", "wss://h.example:443/s3cret-one/x?token=s3cret-one&x=1", true, 0);
}

/* A body, or a subprotocol, that holds a secret goes nowhere else. */
static void test_what_goes_along(void **state)
{
    (void)state;
    static const struct slice with = SLICE_INIT("{\"refresh_token\":\"s3cret-one\"}");
    static const struct slice without = SLICE_INIT("{\"a\":1}");
    const struct slice url = SLICE(HTTP);
    assert_true(redirect_may_take(url, SLICE("https://H.example:8443/x"), with, &secrets));
    assert_false(redirect_may_take(url, SLICE("https://h.example/x"), with, &secrets));
    assert_false(redirect_may_take(url, SLICE("https://other.example:8443/x"), with, &secrets));
    assert_true(redirect_may_take(url, SLICE("https://other.example:8443/x"), without, &secrets));
    assert_false(redirect_may_take(url, SLICE("nonsense"), with, &secrets));
}

static void test_statuses(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *method;
        bool follows, as_get;
    } rows[] = {
        {301, "GET", true, false},   {302, "GET", true, false},   {303, "GET", true, false},
        {307, "GET", true, false},   {308, "GET", true, false},   {300, "GET", false, false},
        {304, "GET", false, false},  {305, "GET", false, false},  {200, "GET", false, false},
        {301, "POST", false, false}, {302, "POST", false, false}, {303, "POST", true, true},
        {307, "POST", true, false},  {308, "POST", true, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool as_get = true;
        assert_int_equal(redirect_follows(rows[i].status, slice_str(rows[i].method), &as_get),
                         rows[i].follows);
        assert_true(!rows[i].follows || as_get == rows[i].as_get);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),    cmocka_unit_test(test_query),
        cmocka_unit_test(test_dot_segments), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_statuses),     cmocka_unit_test(test_what_goes_along),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
