/* The client against `openssl s_server`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "peer.h"

static struct tls *new_tls(const char *cert, const char *host)
{
    struct tls_context *context;
    struct error err;
    struct tls *tls;
    char path[100];

    snprintf(path, sizeof path, "%s/%s.pem", peer_dir, cert);
    assert_int_equal(
        tls_context_new(&(struct tls_context_options){.ca_file = path}, &context, &err), 0);
    assert_int_equal(tls_new(context, host, 443, &tls, &err), 0);
    tls_context_unref(context);
    return tls;
}

/* `openssl s_server -rev` sends each line back reversed. */
static void test_echo(void **state)
{
    static const char *const rows[][3] = {
        {"-tls1_2 -cipher CHACHA20", "a.example", "TLS-ECDHE-RSA-WITH-CHACHA20-POLY1305-SHA256"},
        {"-tls1_2 -cipher ECDHE+AES256", "a.example", "TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384"},
        {"-tls1_2 -cipher ECDHE+AES128", "127.0.0.1", "TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256"},
        {"", "127.0.0.1", "TLS"},
    };

    peer_skip();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct peer peer = peer_start("rsa", rows[i][0]);
        struct tls *tls = new_tls("rsa", rows[i][1]);
        enum tls_status status = peer_handshake(&peer, tls);

        if (status != TLS_SUCCESS)
            fail_msg("%s", tls_error(tls)->text);
        assert_non_null(strstr(tls_describe(tls), rows[i][2]));
        peer_echo(&peer, tls);
        assert_int_equal(tls_shutdown(tls), TLS_SUCCESS);
        peer_flush(&peer, tls);
        tls_free(tls);
        peer_stop(&peer);
    }
}

static void check_refused(const char *cert, const char *anchor, const char *options,
                          const char *host, const char *needle)
{
    struct peer peer = peer_start(cert, options);
    struct tls *tls = new_tls(anchor, host);

    assert_int_equal(peer_handshake(&peer, tls), TLS_FAILED);
    if (strstr(tls_error(tls)->text, needle) == NULL)
        fail_msg("no \"%s\" in: %s", needle, tls_error(tls)->text);
    tls_free(tls);
    peer_stop(&peer);
}

static void test_refused(void **state)
{
    peer_skip();
    check_refused(
        "rsa", "rsa", "", "b.example",
        "certificate of O=Test, CN=rsa is not for b.example but for a.example, 127.0.0.1, "
        "issued by O=Test, CN=rsa, valid ");
    check_refused("rsa", "rsa", "", "127.0.0.2",
                  "is not for 127.0.0.2 but for a.example, 127.0.0.1");
    check_refused("rsa", "client", "", "a.example", "certificate of O=Test, CN=rsa is self-signed");
    check_refused("client", "client", "", "a.example",
                  "certificate of CN=client is not meant for a server (key usage)");
    /* Offered TLS 1.3 too, it answers with another alert. */
    check_refused("rsa", "rsa", "-tls1_1 -cipher ALL:@SECLEVEL=0", "a.example",
                  ": it does not speak TLS 1.2)");
    check_refused("rsa", "rsa", "-tls1_2 -cipher AES128-SHA", "a.example",
                  "the server refused with TLS alert 40 (handshake_failure: no version, cipher or "
                  "key exchange in common)");
    check_refused("rsa", "rsa", "-alpn h2", "a.example",
                  "the server refused with TLS alert 120 (no_application_protocol");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, peer_make_certificates, peer_remove_certificates);
}
