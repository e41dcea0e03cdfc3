#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <mbedtls/oid.h>
#include <mbedtls/version.h>

enum { YEAR_S = 31536000 };

static int on_random(void *arg, unsigned char *out, size_t n)
{
    return tls_random(out, n);
}

/* ---- certificates ---- */

static void format_time(char out[16], int64_t unix_s)
{
    time_t t = (time_t)unix_s;
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(out, 16, "%Y%m%d%H%M%S", &tm);
}

/* SEQUENCE OF GeneralName, RFC 5280 4.2.1.6; short lengths only. */
static void set_names(mbedtls_x509write_cert *writer, const struct cert_spec *spec)
{
    unsigned char der[2 + 120];
    size_t n = 2;

    for (size_t i = 0; i < 3 && spec->dns[i] != NULL; i++) {
        size_t len = strlen(spec->dns[i]);

        der[n++] = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2;
        der[n++] = (unsigned char)len;
        memcpy(der + n, spec->dns[i], len);
        n += len;
    }
    if (spec->ip != NULL) {
        der[n++] = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7;
        der[n++] = (unsigned char)spec->ip_len;
        memcpy(der + n, spec->ip, spec->ip_len);
        n += spec->ip_len;
    }
    if (n == 2)
        return;
    der[0] = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
    der[1] = (unsigned char)(n - 2);
    assert_int_equal(mbedtls_x509write_crt_set_extension(
                         writer, MBEDTLS_OID_SUBJECT_ALT_NAME,
                         MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0, der, n),
                     0);
}

static void set_serial(mbedtls_x509write_cert *writer)
{
    unsigned char serial[8];

    assert_int_equal(tls_random(serial, sizeof serial), 0);
    serial[0] = serial[0] % 0x7F + 1;
#if MBEDTLS_VERSION_NUMBER >= 0x03040000
    assert_int_equal(mbedtls_x509write_crt_set_serial_raw(writer, serial, sizeof serial), 0);
#else
    mbedtls_mpi number;

    mbedtls_mpi_init(&number);
    assert_int_equal(mbedtls_mpi_read_binary(&number, serial, sizeof serial), 0);
    assert_int_equal(mbedtls_x509write_crt_set_serial(writer, &number), 0);
    mbedtls_mpi_free(&number);
#endif
}

static void set_validity(mbedtls_x509write_cert *writer, const struct cert_spec *spec)
{
    bool usual = spec->from_s == 0 && spec->to_s == 0;
    int64_t now_s = time(NULL);
    char from[16], to[16];

    format_time(from, now_s + (usual ? -YEAR_S / 2 : spec->from_s));
    format_time(to, now_s + (usual ? YEAR_S / 2 : spec->to_s));
    assert_int_equal(mbedtls_x509write_crt_set_validity(writer, from, to), 0);
}

static const char *subject_of(const struct cert *cert, char out[200])
{
    assert_true(mbedtls_x509_dn_gets(out, 200, &cert->crt.subject) > 0);
    return out;
}

void cert_make(struct cert *cert, const struct cert_spec *spec)
{
    const struct cert *issuer = spec->issuer != NULL ? spec->issuer : cert;
    mbedtls_x509write_cert writer;
    char name[200];

    mbedtls_pk_init(&cert->key);
    mbedtls_x509_crt_init(&cert->crt);
    assert_int_equal(mbedtls_pk_setup(&cert->key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)), 0);
    assert_int_equal(
        mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(cert->key), on_random, NULL),
        0);
    mbedtls_x509write_crt_init(&writer);
    mbedtls_x509write_crt_set_version(&writer, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&writer, spec->sha1 ? MBEDTLS_MD_SHA1 : MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&writer, &cert->key);
    mbedtls_x509write_crt_set_issuer_key(&writer, (mbedtls_pk_context *)&issuer->key);
    assert_int_equal(mbedtls_x509write_crt_set_subject_name(&writer, spec->name), 0);
    assert_int_equal(
        mbedtls_x509write_crt_set_issuer_name(
            &writer, spec->issuer != NULL ? subject_of(spec->issuer, name) : spec->name),
        0);
    set_serial(&writer);
    set_validity(&writer, spec);
    assert_int_equal(mbedtls_x509write_crt_set_basic_constraints(&writer, spec->is_ca, -1), 0);
    set_names(&writer, spec);
    assert_int_equal(mbedtls_x509write_crt_pem(&writer, (unsigned char *)cert->pem,
                                               sizeof cert->pem, on_random, NULL),
                     0);
    mbedtls_x509write_crt_free(&writer);
    assert_int_equal(
        mbedtls_x509_crt_parse(&cert->crt, (const unsigned char *)cert->pem, strlen(cert->pem) + 1),
        0);
}

void cert_free(struct cert *cert)
{
    mbedtls_pk_free(&cert->key);
    mbedtls_x509_crt_free(&cert->crt);
}

char *write_ca_file(const struct cert *const *certs, size_t n)
{
    char *path = strdup("/tmp/hawser-test-ca-XXXXXX");
    int fd;

    assert_non_null(path);
    fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(certs[i]->pem);

        assert_int_equal(write(fd, certs[i]->pem, len), len);
    }
    close(fd);
    return path;
}

void remove_ca_file(char *path)
{
    unlink(path);
    free(path);
}

/* ---- the server ---- */

static int server_send(void *arg, const unsigned char *bytes, size_t n)
{
    struct server *server = arg;

    assert_int_equal(buf_append(&server->out, bytes, n), 0);
    return (int)n;
}

static int server_recv(void *arg, unsigned char *out, size_t n)
{
    struct server *server = arg;

    if (server->in.len == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    n = n < server->in.len ? n : server->in.len;
    memcpy(out, server->in.data, n);
    buf_consume(&server->in, n);
    return (int)n;
}

static int on_sni(void *arg, mbedtls_ssl_context *ssl, const unsigned char *name, size_t len)
{
    struct server *server = arg;

    assert_true(len < sizeof server->sni);
    memcpy(server->sni, name, len);
    server->sni[len] = '\0';
    return 0;
}

void server_start(struct server *server, struct cert *cert, const struct cert *chain)
{
    static const char *protocols[] = {"h2", "http/1.1", NULL};

    memset(server, 0, sizeof *server);
    buf_init(&server->in, BUF_UNBOUNDED);
    buf_init(&server->out, BUF_UNBOUNDED);
    mbedtls_ssl_config_init(&server->config);
    mbedtls_ssl_init(&server->ssl);
    assert_int_equal(mbedtls_ssl_config_defaults(&server->config, MBEDTLS_SSL_IS_SERVER,
                                                 MBEDTLS_SSL_TRANSPORT_STREAM,
                                                 MBEDTLS_SSL_PRESET_DEFAULT),
                     0);
    mbedtls_ssl_conf_rng(&server->config, on_random, NULL);
    mbedtls_ssl_conf_sni(&server->config, on_sni, server);
    assert_int_equal(mbedtls_ssl_conf_alpn_protocols(&server->config, protocols), 0);
    if (chain != NULL)
        assert_int_equal(
            mbedtls_x509_crt_parse_der(&cert->crt, chain->crt.raw.p, chain->crt.raw.len), 0);
    assert_int_equal(mbedtls_ssl_conf_own_cert(&server->config, &cert->crt, &cert->key), 0);
    assert_int_equal(mbedtls_ssl_setup(&server->ssl, &server->config), 0);
    mbedtls_ssl_set_bio(&server->ssl, server, server_send, server_recv, NULL);
}

void server_stop(struct server *server)
{
    mbedtls_ssl_free(&server->ssl);
    mbedtls_ssl_config_free(&server->config);
    buf_fini(&server->in);
    buf_fini(&server->out);
}

void to_server(struct tls *tls, struct server *server)
{
    assert_int_equal(buf_append_slice(&server->in, buf_slice(tls_output(tls))), 0);
    buf_clear(tls_output(tls));
}

/* Up to `step` bytes from the server, in memory of just their size, so that ASan sees over-reads.
 */
static char *take_piece(struct server *server, size_t step, size_t *n)
{
    char *piece;

    *n = step < server->out.len ? step : server->out.len;
    piece = malloc(*n > 0 ? *n : 1);
    assert_non_null(piece);
    if (*n > 0)
        memcpy(piece, server->out.data, *n);
    buf_consume(&server->out, *n);
    return piece;
}

enum tls_status run_handshake(struct tls *tls, struct server *server, size_t step, int *server_rc)
{
    enum tls_status status = tls_handshake(tls);

    *server_rc = MBEDTLS_ERR_SSL_WANT_READ;
    for (int idle = 0; status == TLS_AGAIN_INPUT && idle < 2;) {
        char *piece;
        size_t n;

        to_server(tls, server);
        if (*server_rc == MBEDTLS_ERR_SSL_WANT_READ)
            *server_rc = mbedtls_ssl_handshake(&server->ssl);
        idle = server->out.len == 0 ? idle + 1 : 0;
        piece = take_piece(server, step, &n);
        tls_feed(tls, piece, n);
        status = tls_handshake(tls);
        if (status != TLS_FAILED)
            assert_int_equal(tls_input_left(tls), 0);
        free(piece);
    }
    to_server(tls, server);
    if (*server_rc == MBEDTLS_ERR_SSL_WANT_READ)
        *server_rc = mbedtls_ssl_handshake(&server->ssl);
    return status;
}

enum tls_status client_receive(struct tls *tls, struct server *server, size_t step, struct buf *out)
{
    static char plain[16384];
    enum tls_status status = TLS_AGAIN_INPUT;

    while (server->out.len > 0 && (status == TLS_AGAIN_INPUT || status == TLS_SUCCESS)) {
        size_t n, received;
        char *piece = take_piece(server, step, &n);

        tls_feed(tls, piece, n);
        while ((status = tls_receive(tls, plain, sizeof plain, &received)) == TLS_SUCCESS) {
            assert_true(received > 0);
            assert_int_equal(buf_append(out, plain, received), 0);
        }
        assert_int_equal(received, 0);
        free(piece);
    }
    return status;
}
