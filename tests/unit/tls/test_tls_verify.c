/* Which certificates are refused, and that the text says why, of whom, by whom, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/timefmt.h"
#include "fixture.h"

enum { DAY_S = 86400 };

static struct cert root, other_root, middle;

static int make_authorities(void **state)
{
    cert_make(&root, &(struct cert_spec){.name = "CN=Root", .is_ca = true});
    cert_make(&other_root, &(struct cert_spec){.name = "CN=Other", .is_ca = true});
    cert_make(&middle, &(struct cert_spec){.name = "CN=Middle", .issuer = &root, .is_ca = true});
    return 0;
}

static int free_authorities(void **state)
{
    cert_free(&root);
    cert_free(&other_root);
    cert_free(&middle);
    return 0;
}

/* One handshake with a server that has such a certificate; the text of its failure, or "". */
static void handshake(const struct cert_spec *spec, const struct cert *chain, const char *host,
                      char *text, size_t size)
{
    const struct cert *anchors[] = {&root};
    char *ca_file = write_ca_file(anchors, 1);
    struct tls_context *context;
    struct server server;
    struct cert leaf;
    struct error err;
    struct tls *tls;
    enum tls_status status;
    int server_rc;

    cert_make(&leaf, spec);
    server_start(&server, &leaf, chain);
    assert_int_equal(
        tls_context_new(&(struct tls_context_options){.ca_file = ca_file}, &context, &err), 0);
    assert_int_equal(tls_new(context, host, 443, &tls, &err), 0);
    tls_context_unref(context);
    status = run_handshake(tls, &server, 4096, &server_rc);
    if (status == TLS_SUCCESS) {
        assert_int_equal(server_rc, 0);
        text[0] = '\0';
    } else {
        assert_int_equal(status, TLS_FAILED);
        assert_int_equal(tls_error(tls)->code, ERR_TLS);
        /* The server is told, and the connection is of no use from now on. */
        assert_true(server_rc != 0 && server_rc != MBEDTLS_ERR_SSL_WANT_READ);
        assert_int_equal(tls_handshake(tls), TLS_FAILED);
        assert_int_equal(tls_peer_expiry_s(tls), 0);
        snprintf(text, size, "%s", tls_error(tls)->text);
    }
    tls_free(tls);
    server_stop(&server);
    cert_free(&leaf);
    remove_ca_file(ca_file);
}

static void check_good(const struct cert_spec *spec, const struct cert *chain, const char *host)
{
    char text[600];

    handshake(spec, chain, host, text, sizeof text);
    if (text[0] != '\0')
        fail_msg("%s refused: %s", host, text);
}

/* Each NULL-ended needle must stand in the text. */
static void check_bad(const struct cert_spec *spec, const struct cert *chain, const char *host,
                      const char *const *needles)
{
    char text[600];

    handshake(spec, chain, host, text, sizeof text);
    if (text[0] == '\0')
        fail_msg("%s for %s accepted", spec->name, host);
    for (; *needles != NULL; needles++) {
        if (strstr(text, *needles) == NULL)
            fail_msg("no \"%s\" in: %s", *needles, text);
    }
}
#define CHECK_BAD(spec, chain, host, ...)                                                          \
    check_bad(spec, chain, host, (const char *const[]){__VA_ARGS__, NULL})

static const char *day(int64_t from_now_s, char out[32])
{
    time_format_us((time(NULL) + from_now_s) * 1000000, out);
    out[10] = '\0';
    return out;
}

static void test_good(void **state)
{
    const struct cert_spec by_root = {
        .name = "CN=x", .issuer = &root, .dns = {"a.example", "*.b.example"}};
    const struct cert_spec by_middle = {.name = "CN=x", .issuer = &middle, .dns = {"a.example"}};

    check_good(&by_root, NULL, "a.example");
    check_good(&by_root, NULL, "A.Example");
    check_good(&by_root, NULL, "a.example.");
    check_good(&by_root, NULL, "x.b.example");
    check_good(&by_middle, &middle, "a.example");
}

static void test_expired(void **state)
{
    struct cert_spec spec = {.name = "CN=x",
                             .issuer = &root,
                             .dns = {"a.example"},
                             .from_s = -30 * DAY_S,
                             .to_s = -3 * DAY_S - 60};
    char from[32], to[32];

    CHECK_BAD(&spec, NULL, "a.example", "certificate of CN=x expired 3 days ago (",
              day(spec.to_s, to), "), issued by CN=Root, valid ", day(spec.from_s, from));
    spec.to_s = -DAY_S - 60;
    CHECK_BAD(&spec, NULL, "a.example", "expired 1 day ago (");
    spec.to_s = -2 * 3600 - 5;
    CHECK_BAD(&spec, NULL, "a.example", "expired 2h ago (");
}

static void test_not_yet_valid(void **state)
{
    const struct cert_spec spec = {.name = "CN=x",
                                   .issuer = &root,
                                   .dns = {"a.example"},
                                   .from_s = 12 * DAY_S + 60,
                                   .to_s = 30 * DAY_S};
    char from[32];

    CHECK_BAD(&spec, NULL, "a.example", "certificate of CN=x is not valid before ",
              day(spec.from_s, from), "(in 12 days; is this machine's clock right?)", "CN=Root");
}

static void test_self_signed(void **state)
{
    const struct cert_spec spec = {.name = "CN=x", .dns = {"a.example"}};

    CHECK_BAD(&spec, NULL, "a.example",
              "certificate of CN=x is self-signed and not in /tmp/hawser-test-ca-",
              "issued by CN=x, valid 2");
}

static void test_unknown_issuer(void **state)
{
    const struct cert_spec spec = {.name = "CN=x", .issuer = &other_root, .dns = {"a.example"}};

    CHECK_BAD(&spec, NULL, "a.example",
              "certificate of CN=x has an issuer that is neither in /tmp/", "issued by CN=Other");
    /* The server sends that root along: it is at fault, not the server's own. */
    CHECK_BAD(&spec, &other_root, "a.example",
              "certificate of CN=Other ends the server's chain and is not in /tmp/");
}

static void test_missing_intermediate(void **state)
{
    const struct cert_spec spec = {.name = "CN=x", .issuer = &middle, .dns = {"a.example"}};

    CHECK_BAD(&spec, NULL, "a.example", "certificate of CN=x has an issuer that is neither in",
              "nor sent by the server (a missing intermediate", "issued by CN=Middle");
}

/* A forger has the right names but not the key. */
static void test_forged_issuer(void **state)
{
    struct cert forger;
    struct cert_spec spec = {.name = "CN=x", .issuer = &forger, .dns = {"a.example"}};

    cert_make(&forger, &(struct cert_spec){.name = "CN=Root", .is_ca = true});
    CHECK_BAD(&spec, NULL, "a.example", "has an issuer that is neither in");
    cert_free(&forger);
    /* Nor may a certificate that is no authority issue others. */
    cert_make(&forger,
              &(struct cert_spec){.name = "CN=Mere", .issuer = &root, .dns = {"mere.example"}});
    CHECK_BAD(&spec, &forger, "a.example", "certificate of CN=x has an issuer that is neither in");
    cert_free(&forger);
}

static void test_wrong_host(void **state)
{
    const struct cert_spec spec = {
        .name = "CN=x.example", .issuer = &root, .dns = {"a.example", "*.b.example"}};
    const struct cert_spec nameless = {.name = "CN=only.example", .issuer = &root};

    CHECK_BAD(&spec, NULL, "c.example",
              "certificate of CN=x.example is not for c.example but for a.example, *.b.example, "
              "issued by CN=Root, valid ");
    /* A wildcard stands for one label; the common name does not count beside names. */
    CHECK_BAD(&spec, NULL, "x.y.b.example", "is not for x.y.b.example but for");
    CHECK_BAD(&spec, NULL, "b.example", "is not for b.example but for");
    CHECK_BAD(&spec, NULL, "x.example", "is not for x.example but for");
    CHECK_BAD(&nameless, NULL, "c.example", "is not for c.example but for CN=only.example");
}

static void test_many_names(void **state)
{
    const struct cert_spec spec = {.name = "CN=x",
                                   .issuer = &root,
                                   .dns = {"a-long-name-of-some-thirty-eight.example",
                                           "another-name-as-long-as-that.example", "\x01.example"}};

    CHECK_BAD(&spec, NULL, "c.example", "but for a-long-name-of-some-thirty-eight.example, ",
              "?.example, issued");
}

static void test_addresses(void **state)
{
    static const unsigned char v4[] = {127, 0, 0, 1};
    static const unsigned char v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    const struct cert_spec good4 = {
        .name = "CN=x", .issuer = &root, .ip = v4, .ip_len = sizeof v4, .dns = {"a.example"}};
    const struct cert_spec good6 = {.name = "CN=x", .issuer = &root, .ip = v6, .ip_len = sizeof v6};
    const struct cert_spec as_name = {
        .name = "CN=127.0.0.1", .issuer = &root, .dns = {"127.0.0.1", "*"}};
    const struct cert_spec in_cn = {.name = "CN=127.0.0.1", .issuer = &root};
    const struct cert_spec expired = {.name = "CN=x",
                                      .issuer = &root,
                                      .ip = v4,
                                      .ip_len = sizeof v4,
                                      .from_s = -2 * DAY_S,
                                      .to_s = -DAY_S - 60};
    const struct cert_spec self_signed = {.name = "CN=x", .ip = v4, .ip_len = sizeof v4};

    check_good(&good4, NULL, "127.0.0.1");
    check_good(&good4, NULL, "a.example");
    check_good(&good6, NULL, "2001:db8::1");
    check_good(&good6, NULL, "2001:DB8:0:0::1");
    CHECK_BAD(&good4, NULL, "127.0.0.2", "is not for 127.0.0.2 but for a.example, 127.0.0.1");
    CHECK_BAD(&good4, NULL, "2001:db8::1", "is not for 2001:db8::1 but for");
    CHECK_BAD(&good6, NULL, "32.1.13.184", "is not for 32.1.13.184 but for 2001:db8::1");
    CHECK_BAD(&as_name, NULL, "127.0.0.1", "is not for 127.0.0.1 but for 127.0.0.1, *");
    CHECK_BAD(&in_cn, NULL, "127.0.0.1", "is not for 127.0.0.1 but for CN=127.0.0.1");
    /* That no name is checked by the library must not mean that nothing else is. */
    CHECK_BAD(&expired, NULL, "127.0.0.1", "expired 1 day ago");
    CHECK_BAD(&self_signed, NULL, "127.0.0.1", "is self-signed");
}

static void test_weak_hash(void **state)
{
    const struct cert_spec weak = {
        .name = "CN=x", .issuer = &root, .dns = {"a.example"}, .sha1 = true};

    CHECK_BAD(&weak, NULL, "a.example",
              "certificate of CN=x is signed with a hash too weak to trust, issued by CN=Root");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),           cmocka_unit_test(test_expired),
        cmocka_unit_test(test_not_yet_valid),  cmocka_unit_test(test_self_signed),
        cmocka_unit_test(test_unknown_issuer), cmocka_unit_test(test_missing_intermediate),
        cmocka_unit_test(test_forged_issuer),  cmocka_unit_test(test_wrong_host),
        cmocka_unit_test(test_many_names),     cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_weak_hash),
    };

    return cmocka_run_group_tests(tests, make_authorities, free_authorities);
}
