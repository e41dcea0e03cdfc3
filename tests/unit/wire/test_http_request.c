/* URLs and the requests made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "wire/http.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void test_good_urls(void **state)
{
    static const struct {
        const char *text, *expect;
    } rows[] = {
        {"wss://chat.example.com/v1/stream?token=x", "s w chat.example.com 443 /v1/stream?token=x"},
        {"ws://localhost", "- w localhost 80 /"},
        {"https://h:8443/", "s - h 8443 /"},
        {"http://h:1?q=1", "- - h 1 ?q=1"},
        {"HTTPS://H/%41/a;b=c,d", "s - H 443 /%41/a;b=c,d"},
        {"wss://[::1]:9000/x", "s w [::1] 9000 /x"},
        {"wss://[2001:db8::1]", "s w [2001:db8::1] 443 /"},
        {"wss://127.0.0.1:65535/", "s w 127.0.0.1 65535 /"},
        {"ws://a_b.c-d.:/p", "- w a_b.c-d. 80 /p"},
        {"ws://h/a@b:c[d]", "- w h 80 /a@b:c[d]"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http_url url;
        struct error err;
        char got[200];

        if (http_url_parse(slice_str(rows[i].text), &url, &err) != 0)
            fail_msg("%s: %s", rows[i].text, err.text);
        snprintf(got, sizeof got, "%c %c %s" SLICE_FMT "%s %u " SLICE_FMT, url.secure ? 's' : '-',
                 url.websocket ? 'w' : '-', url.host_is_ipv6 ? "[" : "", SLICE_ARG(url.host),
                 url.host_is_ipv6 ? "]" : "", url.port, SLICE_ARG(url.target));
        assert_string_equal(got, rows[i].expect);
    }
}

static void test_bad_urls(void **state)
{
    static const struct {
        const char *text, *needle;
    } rows[] = {
        {"", "does not begin"},
        {"chat.example.com", "does not begin"},
        {"ftp://h/", "does not begin"},
        {"wss:/h", "does not begin"},
        {"wss://", "no host"},
        {"wss:///x", "no host"},
        {"wss://:80/", "no host"},
        {"wss://user:pw@h/", "user and password"},
        {"wss://h/#top", "fragment"},
        {"wss://h#top", "fragment"},
        {"wss://h:0/", "port"},
        {"wss://h:65536/", "port"},
        {"wss://h:8o/", "port"},
        {"wss://h:-1/", "port"},
        {"wss://h:80:80/", "port"},
        {"wss://[::1/", "without ']'"},
        {"wss://[]/", "not an IPv6"},
        {"wss://[1.2.3.4]/", "not an IPv6"},
        {"wss://[fe80::1%25eth0]/", "not an IPv6"},
        {"wss://[::1]x/", "other than a port"},
        {"wss://b\xC3\xBC"
         "cher.example/",
         "xn--"},
        {"wss://a b/", "xn--"},
        {"wss://a..b/", "xn--"},
        {"wss://.a/", "xn--"},
        {"wss://a/b c", "0x20"},
        {"wss://a/b\r\nX: y", "0x0d"},
        {"wss://a/\xC3\xBC", "0xc3"},
        {"wss://a/b\x7F", "0x7f"},
        {"wss://a/%", "two hex"},
        {"wss://a/%4", "two hex"},
        {"wss://a/%4x", "two hex"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http_url url;
        struct error err;

        if (http_url_parse(slice_str(rows[i].text), &url, &err) != ERR_PARSE)
            fail_msg("accepted: %s", rows[i].text);
        if (strstr(err.text, rows[i].needle) == NULL)
            fail_msg("%s: %s", rows[i].text, err.text);
        /* Every prefix of it too is parsed without a look past its end. */
        for (size_t n = 0; n < strlen(rows[i].text); n++) {
            char *copy = malloc(n > 0 ? n : 1);

            assert_non_null(copy);
            memcpy(copy, rows[i].text, n);
            http_url_parse(slice_make(copy, n), &url, NULL);
            free(copy);
        }
    }
}

static void test_url_bounds(void **state)
{
    char text[LIMIT_HTTP_HEADERS + 2];
    char host[7 + 254];
    struct http_url url;
    struct error err;

    memset(text, 'x', sizeof text);
    memcpy(text, "wss://h/", 8);
    assert_int_equal(http_url_parse(slice_make(text, LIMIT_HTTP_HEADERS), &url, &err), 0);
    assert_int_equal(http_url_parse(slice_make(text, LIMIT_HTTP_HEADERS + 1), &url, &err),
                     ERR_LIMIT);
    memset(host, 'h', sizeof host);
    memcpy(host, "wss://", 6);
    assert_int_equal(http_url_parse(slice_make(host, 6 + 253), &url, &err), 0);
    assert_int_equal(http_url_parse(slice_make(host, 6 + 254), &url, &err), ERR_PARSE);
}

static struct http_url parse(const char *text)
{
    struct http_url url;
    struct error err;

    assert_int_equal(http_url_parse(slice_str(text), &url, &err), 0);
    return url;
}

static void test_request(void **state)
{
    static const struct {
        const char *method, *url, *headers, *body, *expect;
    } rows[] = {
        {"GET", "https://h/p?q", "", "", "GET /p?q HTTP/1.1\r\nHost: h\r\n\r\n"},
        {"GET", "https://h:80?q", "", "", "GET /?q HTTP/1.1\r\nHost: h:80\r\n\r\n"},
        {"GET", "http://h:80/", "A: b\r\nC:\r\n", "",
         "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\nC:\r\n\r\n"},
        {"GET", "https://[::1]:8443", "", "", "GET / HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n"},
        {"POST", "https://h/", "", "", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"},
        {"POST", "https://h/", "X: \tb \r\n", "{}",
         "POST / HTTP/1.1\r\nHost: h\r\nX: \tb \r\nContent-Length: 2\r\n\r\n{}"},
        {"DELETE", "https://h/", "", "x",
         "DELETE / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"},
    };
    struct buf out;

    buf_init(&out, BUF_UNBOUNDED);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http_url url = parse(rows[i].url);

        buf_clear(&out);
        assert_int_equal(http_request_write(&out, slice_str(rows[i].method), &url,
                                            slice_str(rows[i].headers), slice_str(rows[i].body)),
                         0);
        assert_string_equal(buf_cstr(&out), rows[i].expect);
    }
    buf_fini(&out);
}

/* Nothing may slip a line, a second length or a second host into a request. */
static void test_injection(void **state)
{
    static const struct {
        const char *method, *headers;
    } rows[] = {
        {"GET", "A: b"},
        {"GET", "A: b\n"},
        {"GET", "A: b\r"},
        {"GET", "A: b\r\n\r\n"},
        {"GET", "\r\n"},
        {"GET", "A: b\rC: d\r\n"},
        {"GET", "A: b\x01\r\n"},
        {"GET", "A b\r\n"},
        {"GET", "A : b\r\n"},
        {"GET", ": b\r\n"},
        {"GET", " A: b\r\n"},
        {"GET", "A: b\r\n c\r\n"},
        {"GET", "Host: evil\r\n"},
        {"GET", "content-length: 3\r\n"},
        {"GET", "A: b\r\nTRANSFER-ENCODING: chunked\r\n"},
        {"GET /x HTTP/1.1\r\nA:", ""},
        {"G T", ""},
        {"", ""},
    };
    struct http_url url = parse("wss://h/");
    struct buf out;

    buf_init(&out, BUF_UNBOUNDED);
    buf_append_str(&out, "before");
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (http_request_write(&out, slice_str(rows[i].method), &url, slice_str(rows[i].headers),
                               SLICE("")) != ERR_INVAL)
            fail_msg("accepted: %s %s", rows[i].method, rows[i].headers);
        assert_string_equal(buf_cstr(&out), "before");
    }
    assert_int_equal(http_request_write(&out, SLICE("GET"), &url, SLICE("A: b\0c\r\n"), SLICE("")),
                     ERR_INVAL);
    buf_fini(&out);
}

/* A buffer too small at any point is left as it was. */
static void test_no_room(void **state)
{
    struct http_url url = parse("wss://h:1/path");
    size_t need;
    struct buf out;

    buf_init(&out, BUF_UNBOUNDED);
    assert_int_equal(
        http_request_write(&out, SLICE("POST"), &url, SLICE("A: b\r\n"), SLICE("body")), 0);
    need = out.len;
    buf_fini(&out);
    for (size_t max = 0; max <= need; max++) {
        int rc;

        buf_init(&out, max);
        rc = http_request_write(&out, SLICE("POST"), &url, SLICE("A: b\r\n"), SLICE("body"));
        assert_int_equal(rc, max < need ? ERR_LIMIT : 0);
        assert_int_equal(out.len, max < need ? 0 : need);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_urls),  cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_url_bounds), cmocka_unit_test(test_request),
        cmocka_unit_test(test_injection),  cmocka_unit_test(test_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
