/* Addresses that the network names: where the service may send us. */
#include "unit/profile/support.h"

static const char *const no_keys[] = {NULL};

static void assert_address(const struct profile *profile, const char *url, int rc, const char *text)
{
    struct error err = {0};
    int got = profile_address_ok(profile, slice_str(url), &err);

    if (got != rc || (text != NULL && strstr(err.text, text) == NULL))
        fail_msg("%s: got %d (%s), want %d (%s)", url, got, err.text, rc, text);
    assert_int_equal(profile_address_ok(profile, slice_str(url), NULL), rc);
}

#define ASKED "is not among [connect] hosts"

static void test_configured_host(void **state)
{
    static const char *const good[] = {
        "wss://h.example/",
        "wss://h.example",
        "wss://h.example:443/x?y=z",
        "WSS://H.Example/path",
        "wss://h.example./",
        "wss://h.example?resume=1",
        "https://h.example/moved",
        "wss://h.example:0443/",
        "wss://h.example/@evil.example/",
        "wss://h.example/?u=a@b:c",
        "wss://h.example//evil.example/",
    };
    static const struct {
        const char *url;
        int rc;
        const char *text;
    } bad[] = {
        {"wss://evil.example/", ERR_PERM, "`evil.example` (port 443) " ASKED},
        {"wss://h.example.evil.example/", ERR_PERM, ASKED},
        {"wss://xh.example/", ERR_PERM, ASKED},
        {"wss://example/", ERR_PERM, ASKED},
        {"wss://h.example:8443/", ERR_PERM, "`h.example` (port 8443) " ASKED},
        {"wss://h.example../", ERR_PERM, ASKED},
        {"ws://h.example/", ERR_PERM, "would leave TLS"},
        {"http://h.example/", ERR_PERM, "would leave TLS"},
        {"wss://h.example@evil.example/", ERR_INVAL, "user or password"},
        {"wss://evil.example:x@h.example/", ERR_INVAL, "user or password"},
        {"wss://h.example%40evil.example/", ERR_INVAL, "no host"},
        {"wss://h.example\\@evil.example/", ERR_INVAL, "byte 0x5c"},
        {"wss://evil.example#h.example/", ERR_INVAL, "byte 0x23"},
        {"wss://h.example\t/", ERR_INVAL, "byte 0x09"},
        {"wss://h.example /", ERR_INVAL, "byte 0x20"},
        {"wss://h.example\r\nX: y", ERR_INVAL, "byte 0x0d"},
        {"wss://h\xc3\xa9.example/", ERR_INVAL, "byte 0xc3"},
        {"wss://", ERR_INVAL, "no host"},
        {"wss:///h.example/", ERR_INVAL, "no host"},
        {"wss:h.example", ERR_INVAL, "does not begin"},
        {"//h.example/", ERR_INVAL, "does not begin"},
        {"/path", ERR_INVAL, "does not begin"},
        {"", ERR_INVAL, "does not begin"},
        {"ftp://h.example/", ERR_INVAL, "does not begin"},
        {"wss://h.example:/", ERR_INVAL, "no host"},
        {"wss://h.example:0/", ERR_INVAL, "no host"},
        {"wss://h.example:65979/", ERR_INVAL, "no host"},
        {"wss://h.example:443:443/", ERR_INVAL, "no host"},
        {"wss://[::1/", ERR_INVAL, "no host"},
        {"wss://[h.example]/", ERR_INVAL, "no host"},
    };
    struct loaded l = load_ok(CONNECT, no_keys);

    for (size_t i = 0; i < COUNT(good); i++)
        assert_address(l.profile, good[i], 0, NULL);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_address(l.profile, bad[i].url, bad[i].rc, bad[i].text);
    unload(&l);
}

static void test_hosts(void **state)
{
    static const char *const keys[] = {"domain=example.org", NULL};
    static const char *const good[] = {
        "wss://h.example/",        "wss://a.example.com/",      "wss://A.B.EXAMPLE.COM./",
        "wss://x.example.org/",    "wss://gate-7.example.net/", "wss://fixed.example:9000/",
        "wss://any.example:1234/", "wss://any.example/",        "wss://[2001:DB8:0::1]/",
    };
    static const char *const bad[] = {
        "wss://example.com/",
        "wss://.example.com/",
        "wss://evil-example.com/",
        "wss://a.example.com:8443/",
        "wss://gate.example.net/",
        "wss://fixed.example/",
        "wss://fixed.example:9001/",
        "wss://[2001:db8::2]/",
        "wss://absent.example/",
        "wss://a.example.com.evil.io/",
        "wss://gate-7.example.net.evil.io/",
    };
    struct loaded l = load_ok("[profile]\nparams = domain gone=\n" CONNECT
                              "hosts = *.example.com *.${domain}, gate-?.example.net\n"
                              "  Fixed.example:9000 any.example:* [2001:db8::1] ${gone}.example\n",
                              keys);

    for (size_t i = 0; i < COUNT(good); i++)
        assert_address(l.profile, good[i], 0, NULL);
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct error err = {0};

        if (profile_address_ok(l.profile, slice_str(bad[i]), &err) == 0)
            fail_msg("%s is allowed", bad[i]);
    }
    unload(&l);
}

/* The port that is configured goes for HOST too, and no other. */
static void test_ports(void **state)
{
    struct loaded l =
        load_ok("[connect]\nurl = wss://h.example:8443/\nhosts = g.example\n", no_keys);

    assert_address(l.profile, "wss://h.example:8443/", 0, NULL);
    assert_address(l.profile, "wss://h.example/", 0, NULL);
    assert_address(l.profile, "wss://h.example:443/", 0, NULL);
    assert_address(l.profile, "wss://h.example:80/", ERR_PERM, ASKED);
    assert_address(l.profile, "wss://g.example:8443/", 0, NULL);
    assert_address(l.profile, "wss://g.example:8444/", ERR_PERM, ASKED);
    unload(&l);
}

static void test_plaintext(void **state)
{
    static const char text[] = "[connect]\nurl = ws://127.0.0.1:8080/\nhosts = *.example.com\n";
    struct loaded l = load_ok(text, no_keys);

    assert_address(l.profile, "ws://127.0.0.1:8080/x", 0, NULL);
    assert_address(l.profile, "http://127.0.0.1:8080/x", 0, NULL);
    assert_address(l.profile, "wss://127.0.0.1/", 0, NULL);
    assert_address(l.profile, "wss://a.example.com/", 0, NULL);
    assert_address(l.profile, "ws://a.example.com/", ERR_PERM, "unencrypted");
    assert_address(l.profile, "ws://127.0.0.2:8080/", ERR_PERM, ASKED);
    assert_address(l.profile, "ws://2130706433:8080/", ERR_PERM, ASKED);
    unload(&l);
    l = load_plaintext(text, no_keys);
    assert_address(l.profile, "ws://a.example.com/", 0, NULL);
    unload(&l);
    /* Requests that go over TLS stay there. */
    l = load_ok("[connect]\nurl = ws://127.0.0.1:8080/\n[http a]\nurl = https://127.0.0.1/\n",
                no_keys);
    assert_address(l.profile, "ws://127.0.0.1:8080/", 0, NULL);
    assert_address(l.profile, "http://127.0.0.1:8080/", ERR_PERM, "would leave TLS");
    unload(&l);
    l = load_ok("[connect]\nurl = ws://[::1]:8080/\n", no_keys);
    assert_address(l.profile, "ws://[::1]:8080/", 0, NULL);
    assert_address(l.profile, "wss://[0:0:0:0:0:0:0:1]:8080/", 0, NULL);
    assert_address(l.profile, "wss://[::2]:8080/", ERR_PERM, ASKED);
    assert_address(l.profile, "wss://[::ffff:127.0.0.1]:8080/", ERR_PERM, ASKED);
    unload(&l);
}

static void test_length(void **state)
{
    char url[PROFILE_ADDRESS_MAX + 2] = "wss://h.example/";
    struct loaded l = load_ok(CONNECT, no_keys);

    memset(url + strlen(url), 'a', PROFILE_ADDRESS_MAX - strlen(url));
    assert_address(l.profile, url, 0, NULL);
    strcat(url, "a");
    assert_address(l.profile, url, ERR_LIMIT, "2049 bytes, limit is 2048");
    memset(url + 6, 'a', 254);
    url[6 + 254] = '\0';
    assert_address(l.profile, url, ERR_INVAL, "no host");
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configured_host), cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_ports),           cmocka_unit_test(test_plaintext),
        cmocka_unit_test(test_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
