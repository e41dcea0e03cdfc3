/*
 * tls: a TLS client over mbedTLS, sans I/O: ciphertext in, ciphertext out, five verbs.
 *
 * Decides: versions, ciphers and verification (always full: chain, dates, host name or address).
 * Leaves: sockets and deadlines to net.
 * Fails: every failure has a text that names the certificate's subject, issuer and dates where one is
 * at fault ("certificate of CN=x expired 3 days ago (2026-05-14), issued by CN=y").
 */
#ifndef HAWSER_TLS_TLS_H
#define HAWSER_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum tls_status {
    TLS_SUCCESS,
    TLS_FAILED,       /* see tls_error() */
    TLS_CLOSED,       /* the peer said close_notify */
    TLS_AGAIN_INPUT,  /* feed more ciphertext */
    TLS_AGAIN_OUTPUT, /* take and send the pending ciphertext first */
};

/* What is shared by connections: trust anchors. Loading the system bundle is slow, so share it. */
struct tls_context;
/* ca_file NULL: the system's bundle (/etc/ssl/certs/ca-certificates.crt). ERR_NOTFOUND, ERR_PERM,
 * ERR_PARSE with the file's name. */
int tls_context_new(const char *ca_file, struct tls_context **out, struct error *err);
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context);

struct tls;
/* host: a DNS name (SNI and name check) or an IP address literal (no SNI, iPAddress SAN check). */
int tls_new(struct tls_context *context, const char *host, struct tls **out, struct error *err);
void tls_free(struct tls *tls);
/* Ciphertext from the peer: borrowed; must stay valid until it is consumed: tls_input_left() == 0. */
void tls_feed(struct tls *tls, const void *bytes, size_t n);
size_t tls_input_left(const struct tls *tls);
/* Ciphertext for the peer: what is pending; consume with buf_consume/buf_clear. */
struct buf *tls_output(struct tls *tls);

enum tls_status tls_handshake(struct tls *tls);
enum tls_status tls_send(struct tls *tls, const void *bytes, size_t n, size_t *sent);
enum tls_status tls_receive(struct tls *tls, void *bytes, size_t n, size_t *received);
enum tls_status tls_shutdown(struct tls *tls);
const struct error *tls_error(const struct tls *tls);
/* "TLSv1.2 TLS-ECDHE-...": after the handshake. */
const char *tls_describe(const struct tls *tls);
/* notAfter of the peer's certificate, unix seconds; 0 before the handshake. */
int64_t tls_peer_expiry_s(const struct tls *tls);

/* The library's primitives that others need. */
int tls_random(void *out, size_t n); /* CSPRNG (getrandom); 0 or ERR_IO */
void tls_sha1(const void *bytes, size_t n, uint8_t out[20]);

#endif
