/* Handshake, data both ways, the ends of a connection, and peers that are no TLS 1.2 server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "tls/tls_ciphers.h"

static struct cert root, leaf;
static struct tls_context *context;

static int set_up(void **state)
{
    const struct cert *anchors[] = {&root};
    static const unsigned char v6[16] = {[15] = 1};
    struct error err;
    char *path;

    cert_make(&root, &(struct cert_spec){.name = "CN=Root", .is_ca = true});
    cert_make(
        &leaf,
        &(struct cert_spec){
            .name = "CN=x", .issuer = &root, .dns = {"a.example"}, .ip = v6, .ip_len = sizeof v6});
    path = write_ca_file(anchors, 1);
    assert_int_equal(
        tls_context_new(&(struct tls_context_options){.ca_file = path}, &context, &err), 0);
    remove_ca_file(path);
    return 0;
}

static int tear_down(void **state)
{
    tls_context_unref(context);
    tls_context_unref(NULL);
    cert_free(&root);
    cert_free(&leaf);
    return 0;
}

static struct tls *new_tls(const char *host)
{
    struct error err;
    struct tls *tls;

    assert_int_equal(tls_new(context, host, 443, &tls, &err), 0);
    return tls;
}

static struct tls *connect_to(struct server *server, const char *host, size_t step)
{
    struct tls *tls = new_tls(host);
    int server_rc;

    server_start(server, &leaf, NULL);
    if (run_handshake(tls, server, step, &server_rc) != TLS_SUCCESS)
        fail_msg("%s", tls_error(tls)->text);
    assert_int_equal(server_rc, 0);
    return tls;
}

static void server_write(struct server *server, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;

    while (n > 0) {
        int rc = mbedtls_ssl_write(&server->ssl, at, n);

        assert_true(rc > 0);
        at += rc;
        n -= (size_t)rc;
    }
}

static void server_read(struct server *server, struct buf *out)
{
    unsigned char plain[16384];
    int rc;

    while ((rc = mbedtls_ssl_read(&server->ssl, plain, sizeof plain)) > 0)
        assert_int_equal(buf_append(out, plain, (size_t)rc), 0);
    assert_int_equal(rc, MBEDTLS_ERR_SSL_WANT_READ);
}

static void fill(char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 7 + i / 251);
}

static void test_handshake(void **state)
{
    static const size_t steps[] = {1, 2, 3, 7, 100, 4096, 1 << 20};
    const char *expected = tls_aes_is_faster() ? "AES-128-GCM" : "CHACHA20-POLY1305";
    struct buf got;

    buf_init(&got, BUF_UNBOUNDED);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct server server;
        struct tls *tls = connect_to(&server, "a.example", steps[i]);
        size_t sent;

        assert_memory_equal(tls_describe(tls), "TLSv1.", 6);
        assert_true((strstr(tls_describe(tls), ", resumed") != NULL) == tls_resumed(tls));
        assert_non_null(strstr(tls_describe(tls), expected));
        assert_string_equal(mbedtls_ssl_get_alpn_protocol(&server.ssl), "http/1.1");
        assert_string_equal(server.sni, "a.example");
        assert_true(labs((long)(tls_peer_expiry_s(tls) - time(NULL) - 31536000 / 2)) < 600);
        assert_int_equal(tls_handshake(tls), TLS_SUCCESS);

        server_write(&server, "hello", 5);
        buf_clear(&got);
        assert_int_equal(client_receive(tls, &server, steps[i], &got), TLS_AGAIN_INPUT);
        assert_string_equal(buf_cstr(&got), "hello");
        assert_int_equal(tls_send(tls, "world", 5, &sent), TLS_SUCCESS);
        assert_int_equal(sent, 5);
        to_server(tls, &server);
        buf_clear(&got);
        server_read(&server, &got);
        assert_string_equal(buf_cstr(&got), "world");
        assert_int_equal(tls_error(tls)->code, 0);
        tls_free(tls);
        server_stop(&server);
    }
    buf_fini(&got);
}

static void test_server_name(void **state)
{
    static const char *const rows[][2] = {
        {"a.example", "a.example"}, {"a.example.", "a.example"}, {"::1", ""}};

    for (size_t i = 0; i < 3; i++) {
        struct server server;
        struct tls *tls = connect_to(&server, rows[i][0], 4096);

        assert_string_equal(server.sni, rows[i][1]);
        tls_free(tls);
        server_stop(&server);
    }
}

/* Records of all sizes, in pieces that match none of them. */
static void test_bulk(void **state)
{
    enum { SIZE = 300000 };
    char *bytes = malloc(SIZE);
    struct server server;
    struct tls *tls = connect_to(&server, "a.example", 4096);
    struct buf got;
    size_t at = 0, sent;
    unsigned full = 0;

    assert_non_null(bytes);
    fill(bytes, SIZE);
    buf_init(&got, BUF_UNBOUNDED);
    for (size_t n = 1; at < SIZE; at += n, n = n * 3 + 1) {
        n = n < SIZE - at ? n : SIZE - at;
        server_write(&server, bytes + at, n);
    }
    assert_int_equal(client_receive(tls, &server, 1237, &got), TLS_AGAIN_INPUT);
    assert_int_equal(got.len, SIZE);
    assert_memory_equal(got.data, bytes, SIZE);

    /* The other way the output stops at its bound, and goes on where it stopped. */
    buf_clear(&got);
    for (at = 0; at < SIZE; at += sent) {
        enum tls_status status = tls_send(tls, bytes + at, SIZE - at, &sent);

        assert_true(tls_output(tls)->len <= TLS_OUTPUT_MAX);
        assert_true(status == (sent == SIZE - at ? TLS_SUCCESS : TLS_AGAIN_OUTPUT));
        if (status == TLS_AGAIN_OUTPUT) {
            size_t none = 1;

            full++;
            assert_true(sent > 0);
            assert_int_equal(tls_send(tls, bytes + at + sent, SIZE - at - sent, &none),
                             TLS_AGAIN_OUTPUT);
            assert_int_equal(none, 0);
        }
        to_server(tls, &server);
        server_read(&server, &got);
    }
    assert_true(full >= SIZE / TLS_OUTPUT_MAX);
    assert_int_equal(got.len, SIZE);
    assert_memory_equal(got.data, bytes, SIZE);
    buf_fini(&got);
    tls_free(tls);
    server_stop(&server);
    free(bytes);
}

/* Several short records fill one call. */
static void test_short_records(void **state)
{
    struct server server;
    struct tls *tls = connect_to(&server, "a.example", 4096);
    char plain[16];
    size_t received;

    for (int i = 0; i < 10; i++)
        server_write(&server, "ab", 2);
    tls_feed(tls, server.out.data, server.out.len);
    assert_int_equal(tls_receive(tls, plain, sizeof plain, &received), TLS_SUCCESS);
    assert_int_equal(received, 16);
    assert_true(tls_input_left(tls) > 0);
    assert_int_equal(tls_receive(tls, plain, sizeof plain, &received), TLS_SUCCESS);
    assert_int_equal(received, 4);
    assert_int_equal(tls_receive(tls, plain, sizeof plain, &received), TLS_AGAIN_INPUT);
    assert_int_equal(tls_input_left(tls), 0);
    tls_free(tls);
    server_stop(&server);
}

/* Records without a byte (RFC 5246 6.2.1 allows them) are no end. */
static void test_empty_records(void **state)
{
    struct server server;
    struct tls *tls = connect_to(&server, "a.example", 4096);
    struct buf got;

    buf_init(&got, BUF_UNBOUNDED);
    for (int i = 0; i < 3; i++)
        assert_int_equal(mbedtls_ssl_write(&server.ssl, (const unsigned char *)"", 0), 0);
    server_write(&server, "after", 5);
    for (int i = 0; i < 2; i++)
        assert_int_equal(mbedtls_ssl_write(&server.ssl, (const unsigned char *)"", 0), 0);
    assert_int_equal(client_receive(tls, &server, 1 << 20, &got), TLS_AGAIN_INPUT);
    assert_string_equal(buf_cstr(&got), "after");
    buf_fini(&got);
    tls_free(tls);
    server_stop(&server);
}

/* What the server asks for after the handshake is refused, and each refusal has to be sent: a
 * server that asks and does not read must not make us hold ever more of them. */
static void test_requests_to_renegotiate(void **state)
{
    struct server server;
    struct tls *tls = connect_to(&server, "a.example", 4096);
    struct buf got;
    size_t size;

    if (strncmp(tls_describe(tls), "TLSv1.2", 7) != 0)
        skip(); /* there is no renegotiation in TLS 1.3 */
    buf_init(&got, BUF_UNBOUNDED);
    mbedtls_ssl_conf_renegotiation(&server.config, MBEDTLS_SSL_RENEGOTIATION_ENABLED);
    assert_int_equal(mbedtls_ssl_renegotiate(&server.ssl), 0);
    assert_int_equal(client_receive(tls, &server, 1 << 20, &got), TLS_AGAIN_INPUT);
    size = tls_output(tls)->len;
    assert_true(size > 0);
    for (size_t n = 2 * size; n <= TLS_REFUSALS_MAX; n += size)
        assert_int_equal(mbedtls_ssl_renegotiate(&server.ssl), 0);
    server_write(&server, "still", 5);
    assert_int_equal(client_receive(tls, &server, 1 << 20, &got), TLS_AGAIN_INPUT);
    assert_string_equal(buf_cstr(&got), "still");
    assert_true(tls_output(tls)->len + size > TLS_REFUSALS_MAX);
    assert_int_equal(mbedtls_ssl_renegotiate(&server.ssl), 0);
    assert_int_equal(client_receive(tls, &server, 1 << 20, &got), TLS_FAILED);
    assert_string_equal(tls_error(tls)->text, "the server asks for a new handshake too often");
    buf_fini(&got);
    tls_free(tls);
    server_stop(&server);
}

static void test_close(void **state)
{
    struct server server;
    struct tls *tls = connect_to(&server, "a.example", 4096);
    struct buf got;
    size_t sent;
    char byte;

    buf_init(&got, BUF_UNBOUNDED);
    server_write(&server, "last", 4);
    assert_int_equal(mbedtls_ssl_close_notify(&server.ssl), 0);
    assert_int_equal(client_receive(tls, &server, 1 << 20, &got), TLS_CLOSED);
    assert_string_equal(buf_cstr(&got), "last");
    assert_int_equal(tls_error(tls)->code, ERR_EOF);
    assert_int_equal(tls_receive(tls, &byte, 1, &sent), TLS_CLOSED);
    assert_int_equal(tls_send(tls, "x", 1, &sent), TLS_CLOSED);
    assert_int_equal(sent, 0);
    tls_feed(tls, "late", 4);
    assert_int_equal(tls_shutdown(tls), TLS_SUCCESS);
    to_server(tls, &server);
    assert_int_equal(mbedtls_ssl_read(&server.ssl, (unsigned char *)&byte, 1),
                     MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY);
    buf_fini(&got);
    tls_free(tls);
    server_stop(&server);
}

/* One bit of a record changed on the way. */
static void test_tampered(void **state)
{
    struct server server;
    struct tls *tls = connect_to(&server, "a.example", 4096);
    struct buf got;

    buf_init(&got, BUF_UNBOUNDED);
    server_write(&server, "hello", 5);
    server.out.data[server.out.len - 1] ^= 1;
    assert_int_equal(client_receive(tls, &server, 1 << 20, &got), TLS_FAILED);
    assert_int_equal(got.len, 0);
    assert_int_equal(tls_error(tls)->code, ERR_TLS);
    assert_non_null(strstr(tls_error(tls)->text, "MAC"));
    assert_int_equal(tls_shutdown(tls), TLS_FAILED);
    buf_fini(&got);
    tls_free(tls);
    server_stop(&server);
}

/* What a peer that is no TLS 1.2 server says first, and how that is told. */
static void test_other_peers(void **state)
{
    static const struct {
        struct slice bytes;
        const char *text;
    } rows[] = {
        {SLICE_INIT("HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n"),
         "the server does not speak TLS on this port: it answered \"HTTP/1.1 400 Bad Request\""},
        {SLICE_INIT("SSH-2.0-OpenSSH_9.2\r\n"),
         "the server does not speak TLS on this port: it answered \"SSH-2.0-OpenSSH_9.2\""},
        {SLICE_INIT("\x00\x1B[31m\xFF"),
         "the server does not speak TLS on this port: it answered \"??[31m?\""},
        {SLICE_INIT("\x15\x03\x03\x00\x02\x02\x28"),
         "the server refused with TLS alert 40 (handshake_failure: no version, cipher or key "
         "exchange in common)"},
        {SLICE_INIT("\x15\x03\x01\x00\x02\x02\x46"),
         "the server refused with TLS alert 70 (protocol_version: it does not speak TLS 1.2)"},
        {SLICE_INIT("\x15\x03\x03\x00\x02\x02\x70"),
         "the server refused with TLS alert 112 (unrecognized_name: it does not serve this host)"},
        {SLICE_INIT("\x15\x03\x03\x00\x02\x02\x78"),
         "the server refused with TLS alert 120 (no_application_protocol: it does not speak "
         "http/1.1)"},
        {SLICE_INIT("\x15\x03\x03\x00\x02\x02\x7F"),
         "the server refused with TLS alert 127 (see RFC 5246, section 7.2)"},
        /* ServerHello of TLS 1.1 */
        {SLICE_INIT("\x16\x03\x02\x00\x2A\x02\x00\x00\x26\x03\x02"
                    "0123456789abcdef0123456789abcdef\x00\xC0\x13\x00"),
         "the server speaks only versions older than TLS 1.2"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tls *tls = new_tls("a.example");

        assert_int_equal(tls_handshake(tls), TLS_AGAIN_INPUT);
        assert_true(tls_output(tls)->len > 0);
        tls_feed(tls, rows[i].bytes.ptr, rows[i].bytes.len);
        assert_int_equal(tls_handshake(tls), TLS_FAILED);
        assert_string_equal(tls_error(tls)->text, rows[i].text);
        assert_int_equal(tls_error(tls)->code, ERR_TLS);
        assert_int_equal(tls_shutdown(tls), TLS_FAILED);
        tls_free(tls);
    }
}

/* The same from a server that really has nothing newer. */
static void test_old_server(void **state)
{
    struct tls *tls = new_tls("a.example");
    struct server server;
    int server_rc;

    server_start(&server, &leaf, NULL);
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    mbedtls_ssl_conf_max_version(&server.config, MBEDTLS_SSL_MAJOR_VERSION_3,
                                 MBEDTLS_SSL_MINOR_VERSION_2);
    assert_int_equal(run_handshake(tls, &server, 4096, &server_rc), TLS_FAILED);
    assert_non_null(
        strstr(tls_error(tls)->text,
               "TLS alert 40 (handshake_failure, in TLS 1.1: it does not speak TLS 1.2)"));
#else
    assert_int_equal(run_handshake(tls, &server, 4096, &server_rc), TLS_SUCCESS);
#endif
    tls_free(tls);
    server_stop(&server);
}

static void write_file(char *path, const char *text)
{
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void test_context(void **state)
{
    char garbage[] = "/tmp/hawser-test-ca-XXXXXX";
    char half[] = "/tmp/hawser-test-ca-XXXXXX";
    struct tls_context *other = NULL;
    struct error err;
    char text[5000];

    assert_int_equal(
        tls_context_new(&(struct tls_context_options){.ca_file = "/nonexistent/ca.pem"}, &other,
                        &err),
        ERR_NOTFOUND);
    assert_string_equal(err.text, "CA file /nonexistent/ca.pem: No such file or directory");
    write_file(garbage, "no certificate\n");
    assert_int_equal(
        tls_context_new(&(struct tls_context_options){.ca_file = garbage}, &other, &err),
        ERR_PARSE);
    assert_non_null(strstr(err.text, garbage));
    snprintf(text, sizeof text, "%s-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
             root.pem);
    write_file(half, text);
    assert_int_equal(tls_context_new(&(struct tls_context_options){.ca_file = half}, &other, &err),
                     ERR_PARSE);
    assert_non_null(strstr(err.text, "1 of its certificates cannot be read"));
    assert_null(other);
    unlink(garbage);
    unlink(half);
}

static void test_system_bundle(void **state)
{
    struct tls_context *other;
    struct error err;
    struct tls *tls;

    if (access("/etc/ssl/certs/ca-certificates.crt", R_OK) != 0)
        skip();
    assert_int_equal(tls_context_new(NULL, &other, &err), 0);
    assert_ptr_equal(tls_context_ref(other), other);
    tls_context_unref(other);
    assert_int_equal(tls_new(other, "a.example", 443, &tls, &err), 0);
    tls_context_unref(other); /* tls has its own reference */
    assert_int_equal(tls_handshake(tls), TLS_AGAIN_INPUT);
    assert_int_equal(tls_shutdown(tls), TLS_SUCCESS);
    tls_free(tls);
    tls_free(NULL);
}

static void test_bad_hosts(void **state)
{
    struct error err;
    struct tls *tls = NULL;
    char host[400];

    memset(host, 'a', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    assert_int_equal(tls_new(context, "", 443, &tls, &err), ERR_INVAL);
    assert_int_equal(tls_new(context, host, 443, &tls, &err), ERR_INVAL);
    assert_null(tls);
}

static void test_primitives(void **state)
{
    static const uint8_t expect[20] = {0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e,
                                       0x25, 0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d};
    uint8_t hash[20];
    uint8_t a[1000] = {0}, b[1000] = {0};

    tls_sha1("abc", 3, hash);
    assert_memory_equal(hash, expect, 20);
    assert_int_equal(tls_random(a, sizeof a), 0);
    assert_int_equal(tls_random(b, sizeof b), 0);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + 984, a, 16);
    assert_int_equal(tls_random(a, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake),     cmocka_unit_test(test_server_name),
        cmocka_unit_test(test_bulk),          cmocka_unit_test(test_short_records),
        cmocka_unit_test(test_empty_records), cmocka_unit_test(test_requests_to_renegotiate),
        cmocka_unit_test(test_close),         cmocka_unit_test(test_tampered),
        cmocka_unit_test(test_other_peers),   cmocka_unit_test(test_old_server),
        cmocka_unit_test(test_context),       cmocka_unit_test(test_system_bundle),
        cmocka_unit_test(test_bad_hosts),     cmocka_unit_test(test_primitives),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
