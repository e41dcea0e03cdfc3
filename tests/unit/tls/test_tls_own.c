/* Pins, our own certificate, versions: what a context is made from, and what it is refused for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base64.h"
#include "fixture.h"
#include "tls/tls_ciphers.h"
#include "tls/tls_files.h"

enum { DAY_S = 86400 };

static struct cert root, leaf, client;
static char *ca_file;

static int set_up(void **state)
{
    const struct cert *anchors[] = {&root};

    cert_make(&root, &(struct cert_spec){.name = "CN=Root", .is_ca = true});
    cert_make(&leaf, &(struct cert_spec){.name = "CN=x", .issuer = &root, .dns = {"a.example"}});
    cert_make(&client, &(struct cert_spec){.name = "CN=client", .issuer = &root});
    ca_file = write_ca_file(anchors, 1);
    return 0;
}

static int tear_down(void **state)
{
    remove_ca_file(ca_file);
    cert_free(&root);
    cert_free(&leaf);
    cert_free(&client);
    return 0;
}

/* ---- pins ---- */

/* The hash of a certificate's key by the library's own writer, not from the certificate. */
static void pin_of(const struct cert *cert, uint8_t out[TLS_PIN_SIZE])
{
    unsigned char der[400];
    int n = mbedtls_pk_write_pubkey_der((mbedtls_pk_context *)&cert->key, der, sizeof der);

    assert_true(n > 0);
    assert_int_equal(mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), der + sizeof der - n,
                                (size_t)n, out),
                     0);
}

/* A handshake with leaf's server; the text of its failure, or "". */
static void connect_with(const struct tls_context_options *options, const struct cert *chain,
                         char *text, size_t size)
{
    struct tls_context *context;
    struct server server;
    struct error err;
    struct tls *tls;
    int server_rc;

    server_start(&server, &leaf, chain);
    assert_int_equal(tls_context_new(options, &context, &err), 0);
    assert_int_equal(tls_new(context, "a.example", 443, &tls, &err), 0);
    if (run_handshake(tls, &server, 4096, &server_rc) == TLS_SUCCESS)
        text[0] = '\0';
    else
        snprintf(text, size, "%s", tls_error(tls)->text);
    tls_free(tls);
    tls_context_unref(context);
    server_stop(&server);
}

static void test_pins(void **state)
{
    uint8_t pins[2][TLS_PIN_SIZE] = {{1}, {2}};
    struct tls_context_options options = {.ca_file = ca_file, .pins = pins, .n_pins = 2};
    struct buf base64;
    char text[600];

    connect_with(&options, NULL, text, sizeof text);
    pin_of(&leaf, pins[1]);
    buf_init(&base64, BUF_UNBOUNDED);
    assert_int_equal(base64_encode(&base64, pins[1], TLS_PIN_SIZE), 0);
    assert_non_null(strstr(text, "certificate of CN=x is in order, but has a key that tls_pin does "
                                 "not name, sha256/"));
    assert_non_null(strstr(text, buf_cstr(&base64)));
    assert_non_null(strstr(text, ", issued by CN=Root, valid "));
    buf_fini(&base64);
    connect_with(&options, NULL, text, sizeof text);
    assert_string_equal(text, "");
    options.n_pins = 1; /* only the wrong one */
    connect_with(&options, NULL, text, sizeof text);
    assert_non_null(strstr(text, "tls_pin"));
    pin_of(&root, pins[0]); /* of an authority: not the server's own key */
    connect_with(&options, &root, text, sizeof text);
    assert_non_null(strstr(text, "tls_pin"));
}

/* A pin lets nothing in that would not be without. */
static void test_pin_is_an_extra_check(void **state)
{
    const struct cert *others[] = {&client};
    char *other_file = write_ca_file(others, 1), text[600];
    uint8_t pins[1][TLS_PIN_SIZE];

    pin_of(&leaf, pins[0]);
    connect_with(&(struct tls_context_options){.ca_file = other_file, .pins = pins, .n_pins = 1},
                 NULL, text, sizeof text);
    assert_non_null(strstr(text, other_file));
    assert_null(strstr(text, "tls_pin"));
    remove_ca_file(other_file);
}

/* ---- our own certificate ---- */

static char *write_text(const char *text, mode_t mode)
{
    char *path = strdup("/tmp/hawser-test-own-XXXXXX");
    int fd;

    assert_non_null(path);
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

static char *write_key(const struct cert *cert, mode_t mode)
{
    char pem[4000];

    assert_int_equal(mbedtls_pk_write_key_pem((mbedtls_pk_context *)&cert->key,
                                              (unsigned char *)pem, sizeof pem),
                     0);
    return write_text(pem, mode);
}

/* Takes both paths. NULL key: the certificate's file. */
static void check_refused(char *cert_file, char *key_file, int code, const char *needle)
{
    const struct tls_context_options options = {
        .ca_file = ca_file, .cert_file = cert_file, .key_file = key_file};
    struct tls_context *context = NULL;
    struct error err = {0};

    assert_int_equal(tls_context_new(&options, &context, &err), code);
    assert_null(context);
    if (strstr(err.text, needle) == NULL)
        fail_msg("no \"%s\" in: %s", needle, err.text);
    assert_true(strstr(err.text, cert_file) != NULL ||
                (key_file != NULL && strstr(err.text, key_file) != NULL));
    remove_ca_file(cert_file);
    if (key_file != NULL)
        remove_ca_file(key_file);
}

static void test_own_refused(void **state)
{
    static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIG=\n"
                                    "-----END ENCRYPTED PRIVATE KEY-----\n";
    struct cert old;
    char *large = calloc(1, TLS_CERT_FILE_MAX + 2);

    assert_non_null(large);
    memset(large, 'x', TLS_CERT_FILE_MAX + 1);
    cert_make(&old, &(struct cert_spec){.name = "CN=old",
                                        .issuer = &root,
                                        .from_s = -30 * DAY_S,
                                        .to_s = -2 * DAY_S - 60});
    check_refused(strdup("/nonexistent/own.pem"), NULL, ERR_NOTFOUND,
                  "certificate file /nonexistent/own.pem: No such file");
    check_refused(strdup("/tmp"), NULL, ERR_PARSE, "certificate file /tmp: not a regular file");
    check_refused(write_text("nothing\n", 0600), NULL, ERR_PARSE, "no certificate in PEM or DER");
    check_refused(write_text(large, 0600), NULL, ERR_PARSE, "larger than 256 KiB");
    large[TLS_CERT_FILE_MAX] = '\0';
    check_refused(write_text(large, 0600), NULL, ERR_PARSE, "no certificate in PEM or DER");
    check_refused(write_text(client.pem, 0600), NULL, ERR_PARSE, "no private key in PEM or DER");
    check_refused(write_text(client.pem, 0644), strdup("/nonexistent/own.key"), ERR_NOTFOUND,
                  "key file /nonexistent/own.key: No such file");
    check_refused(write_text(client.pem, 0644), write_key(&client, 0604), ERR_PERM,
                  "can be read by others; chmod 600 it");
    check_refused(write_text(client.pem, 0644), write_text(encrypted, 0600), ERR_TLS,
                  "is encrypted, and nobody is there to type its password");
    check_refused(write_text(client.pem, 0644), write_key(&leaf, 0600), ERR_TLS,
                  "is not the key of the certificate of CN=client in ");
    check_refused(write_text(old.pem, 0644), write_key(&old, 0600), ERR_TLS,
                  "expired 2 days ago (");
    cert_free(&old);
    free(large);
}

static void test_own(void **state)
{
    char *cert_file = write_text(client.pem, 0644), *key_file = write_key(&client, 0640);
    struct tls_context_options options = {
        .ca_file = ca_file, .cert_file = cert_file, .key_file = key_file};
    struct tls_context *context;
    struct server server;
    struct error err;
    struct tls *tls;
    int server_rc;

    assert_int_equal(tls_context_new(&options, &context, &err), 0);
    assert_true(tls_context_expiry_s(context) > time(NULL));
    assert_string_equal(tls_context_expiring(context), "CN=client, issued by CN=Root");
    server_start(&server, &leaf, NULL);
    mbedtls_ssl_conf_authmode(&server.config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&server.config, &root.crt, NULL);
    assert_int_equal(tls_new(context, "a.example", 443, &tls, &err), 0);
    assert_int_equal(run_handshake(tls, &server, 4096, &server_rc), TLS_SUCCESS);
    assert_int_equal(server_rc, 0);
    tls_free(tls);
    server_stop(&server);
    tls_context_unref(context);
    options.cert_file = NULL;
    options.key_file = NULL;
    assert_int_equal(tls_context_new(&options, &context, &err), 0);
    assert_int_equal(tls_context_expiry_s(context), 0);
    assert_string_equal(tls_context_expiring(context), "");
    tls_context_unref(context);
    remove_ca_file(cert_file);
    remove_ca_file(key_file);
}

/* ---- versions and ciphers ---- */

static void test_version_that_the_library_lacks(void **state)
{
    struct tls_context *context = NULL;
    struct error err = {0};
    int rc = tls_context_new(
        &(struct tls_context_options){.ca_file = ca_file, .min_version = TLS_VERSION_1_3}, &context,
        &err);
#ifdef MBEDTLS_SSL_PROTO_TLS1_3
    assert_int_equal(rc, 0);
    tls_context_unref(context);
#else
    assert_int_equal(rc, ERR_TLS);
    assert_non_null(strstr(err.text, "TLS 1.3 is asked for at least, and mbed TLS 2"));
#endif
}

static void test_cipher_order(void **state)
{
    int64_t aes = tls_cipher_cost_ns(MBEDTLS_CIPHER_AES_128_GCM);
    int64_t chacha = tls_cipher_cost_ns(MBEDTLS_CIPHER_CHACHA20_POLY1305);

    printf("    1 KiB: AES-128-GCM %.2f us, ChaCha20-Poly1305 %.2f us: %s first\n",
           (double)aes / 1000, (double)chacha / 1000, tls_aes_is_faster() ? "AES" : "ChaCha20");
    assert_true(aes > 0 && chacha > 0);
    assert_int_equal(tls_cipher_cost_ns(MBEDTLS_CIPHER_NONE), INT64_MAX);
    assert_int_equal(tls_aes_is_faster(), tls_aes_is_faster());
    for (int aes_first = 0; aes_first <= 1; aes_first++) {
        const int *list = tls_ciphers(aes_first);
        bool is_aes;
        size_t n = 0;

        for (; list[n] != 0; n++) {
            /* Forward secrecy and authenticated encryption only. */
            const char *name = mbedtls_ssl_get_ciphersuite_name(list[n]);

            assert_true(strstr(name, "-ECDHE-") != NULL || strncmp(name, "TLS1-3-", 7) == 0);
            assert_true(strstr(name, "GCM") != NULL || strstr(name, "POLY1305") != NULL);
            is_aes = strstr(name, "AES") != NULL;
            if (n == 0)
                assert_int_equal(is_aes, aes_first);
        }
        assert_true(n >= 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_pin_is_an_extra_check),
        cmocka_unit_test(test_own_refused),
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_version_that_the_library_lacks),
        cmocka_unit_test(test_cipher_order),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
