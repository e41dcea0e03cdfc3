#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/proxy_url.h"

static void test_good(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        const char *user, *password; /* NULL: none */
    } rows[] = {
        {"http://proxy:3128", "proxy", 3128, NULL, NULL},
        {"http://proxy.example.com", "proxy.example.com", 80, NULL, NULL},
        {"http://192.0.2.1:1/", "192.0.2.1", 1, NULL, NULL},
        {"http://[2001:db8::1]:65535", "2001:db8::1", 65535, NULL, NULL},
        {"http://[::1]", "::1", 80, NULL, NULL},
        {"http://me@p:1", "p", 1, "me", NULL},
        {"http://me:@p:1", "p", 1, "me", ""},
        {"http://me:a:b@p:1", "p", 1, "me", "a:b"},
        {"http://m%40e:p%3a%25@[::1]:1", "::1", 1, "m@e", "p:%"},
        {"http://me:p@ss@p:1", "p", 1, "me", "p@ss"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct proxy_url url;
        struct error err;

        if (proxy_url_parse(rows[i].text, &url, &err) != 0)
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_string_equal(url.host, rows[i].host);
        assert_int_equal(url.port, rows[i].port);
        assert_int_equal(url.has_user, rows[i].user != NULL);
        assert_int_equal(url.has_password, rows[i].password != NULL);
        assert_string_equal(url.user, rows[i].user != NULL ? rows[i].user : "");
        assert_string_equal(url.password, rows[i].password != NULL ? rows[i].password : "");
    }
}

static void test_bad(void **state)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"", "write it as http://"},
        {"proxy:3128", "write it as http://"},
        {"ftp://proxy", "write it as http://"},
        {"https://proxy", "TLS to the proxy itself"},
        {"socks5://proxy", "SOCKS"},
        {"socks4a://secret@proxy", "SOCKS"},
        {"http://", "the host is none"},
        {"http://:80", "the host is none"},
        {"http://a..b:80", "the host is none"},
        {"http://a b:80", "the host is none"},
        {"http://a/b:80", "the host is none"},
        {"http://::1:80", "an IPv6 address as [ADDRESS]"},
        {"http://[::1", "the host is none"},
        {"http://[::g]:80", "the host is none"},
        {"http://p:0", "the port"},
        {"http://p:65536", "the port"},
        {"http://p:", "the port"},
        {"http://p:8o", "the port"},
        {"http://[::1]80", "the port"},
        {"http://@p:1", "a user is not empty"},
        {"http://:secret@p:1", "a user is not empty"},
        {"http://a%3ab:secret@p:1", "no colon"},
        {"http://a%:secret@p:1", "the user has a %"},
        {"http://a%zz:secret@p:1", "the user has a %"},
        {"http://a:secret%4@p:1", "the password has a %"},
        {"http://a:secret%0d%0a@p:1", "the password has a control byte"},
        {"http://a:secret%00@p:1", "the password has a control byte"},
        {"http://a\nhttp://b", "one proxy"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct proxy_url url;
        struct error err;

        if (proxy_url_parse(rows[i].text, &url, &err) != ERR_PARSE)
            fail_msg("%s", rows[i].text);
        if (strstr(err.text, rows[i].said) == NULL || strstr(err.text, "secret") != NULL)
            fail_msg("%s: %s", rows[i].text, err.text);
    }
}

static int parse_sized(const char *format, int n, struct proxy_url *url)
{
    static char zeros[2048], text[2200];
    struct error err;

    memset(zeros, '0', sizeof zeros - 1);
    snprintf(text, sizeof text, format, n, zeros);
    return proxy_url_parse(text, url, &err);
}

static void test_bounds(void **state)
{
    struct proxy_url url;

    (void)state;
    assert_int_equal(parse_sized("http://%.*s:1", PROXY_URL_HOST_MAX, &url), 0);
    assert_int_equal(strlen(url.host), PROXY_URL_HOST_MAX);
    assert_int_equal(parse_sized("http://%.*s:1", PROXY_URL_HOST_MAX + 1, &url), ERR_PARSE);
    assert_int_equal(parse_sized("http://%.*s@p:1", PROXY_URL_USER_MAX, &url), 0);
    assert_int_equal(parse_sized("http://%.*s@p:1", PROXY_URL_USER_MAX + 1, &url), ERR_PARSE);
    assert_int_equal(parse_sized("http://u:%.*s@p:1", PROXY_URL_PASSWORD_MAX, &url), 0);
    assert_int_equal(strlen(url.password), PROXY_URL_PASSWORD_MAX);
    assert_int_equal(parse_sized("http://u:%.*s@p:1", PROXY_URL_PASSWORD_MAX + 1, &url), ERR_PARSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
