/*
 * A TLS server in memory and certificates made to order, to test the client against.
 */
#ifndef TESTS_UNIT_TLS_FIXTURE_H
#define TESTS_UNIT_TLS_FIXTURE_H

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "tls/tls.h"

/* A certificate with its key, P-256. */
struct cert {
    mbedtls_pk_context key;
    mbedtls_x509_crt crt;
    char pem[4096];
};

struct cert_spec {
    const char *name;          /* "CN=..." */
    const struct cert *issuer; /* NULL: itself */
    bool is_ca;
    int64_t from_s, to_s;    /* from now; both 0: a year around now */
    const char *dns[3];      /* names it is for */
    const unsigned char *ip; /* an address it is for, of ip_len bytes */
    size_t ip_len;
    bool sha1; /* signed with a hash too weak */
};
void cert_make(struct cert *cert, const struct cert_spec *spec);
void cert_free(struct cert *cert);
/* Puts certificates into a file, whose name it returns; remove it and free the name. */
char *write_ca_file(const struct cert *const *certs, size_t n);
void remove_ca_file(char *path);

struct server {
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
    struct buf in, out;
    char sni[100]; /* what the client asked for; empty: nothing */
};
/* chain: sent behind the certificate, or NULL. */
void server_start(struct server *server, struct cert *cert, const struct cert *chain);
void server_stop(struct server *server);

/* Lets both sides talk until the client's handshake is over; the client gets `step` bytes a call.
 * *server_rc is what the server's last call returned. */
enum tls_status run_handshake(struct tls *tls, struct server *server, size_t step, int *server_rc);
/* The server's output through the client: appended to out, `step` bytes of ciphertext a call. */
enum tls_status client_receive(struct tls *tls, struct server *server, size_t step,
                               struct buf *out);
/* Moves the client's output to the server. */
void to_server(struct tls *tls, struct server *server);

#endif
