/*
 * tls: a TLS client over mbedTLS, sans I/O: ciphertext in, ciphertext out, five verbs.
 *
 * Decides: versions, ciphers and verification (always full: chain, dates, host name or address).
 * Leaves: sockets and deadlines to net.
 * Owns: a connection holds some 40 KiB, mbedTLS's two record buffers most of it, and up to
 * TLS_OUTPUT_MAX of ciphertext not yet taken; a context the parsed trust anchors (for the system's
 * bundle about 1 MiB), which connections share. Both belong to one thread.
 * Fails: every failure has a text that names the certificate's subject, issuer and dates where one
 * is at fault ("certificate of CN=x expired 3 days ago (2026-05-14), issued by CN=y, valid
 * 2026-02-13 to 2026-05-14"). A failed or closed connection stays so.
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

/* Ciphertext that tls_output() holds at most; it has room for three full records. */
enum { TLS_OUTPUT_MAX = 64 * 1024 };

struct tls;
/* host: a DNS name (SNI and name check) or an IP address literal (no SNI, iPAddress SAN check).
 * ERR_INVAL where it can be neither. */
int tls_new(struct tls_context *context, const char *host, struct tls **out, struct error *err);
void tls_free(struct tls *tls);
/* Ciphertext from the peer: borrowed; must stay valid until it is consumed: tls_input_left() == 0.
 * Nothing more may be fed before that. */
void tls_feed(struct tls *tls, const void *bytes, size_t n);
size_t tls_input_left(const struct tls *tls);
/* Ciphertext for the peer: what is pending; consume with buf_consume/buf_clear. To be sent after
 * every call below, whatever its status: a failure leaves an alert here that tells the peer why. */
struct buf *tls_output(struct tls *tls);

enum tls_status tls_handshake(struct tls *tls);
/* After the handshake. Less than n may be taken: *sent, with TLS_AGAIN_OUTPUT. */
enum tls_status tls_send(struct tls *tls, const void *bytes, size_t n, size_t *sent);
/* TLS_SUCCESS with at least one byte, from as many records as there are; else why there is none. */
enum tls_status tls_receive(struct tls *tls, void *bytes, size_t n, size_t *received);
/* Says close_notify. */
enum tls_status tls_shutdown(struct tls *tls);
/* After TLS_FAILED (ERR_TLS) and TLS_CLOSED (ERR_EOF). */
const struct error *tls_error(const struct tls *tls);
/* "TLSv1.2 TLS-ECDHE-...": after the handshake. */
const char *tls_describe(const struct tls *tls);
/* notAfter of the peer's certificate, unix seconds; 0 before the handshake. */
int64_t tls_peer_expiry_s(const struct tls *tls);

/* The library's primitives that others need. */
int tls_random(void *out, size_t n); /* CSPRNG (getrandom); 0 or ERR_IO */
void tls_sha1(const void *bytes, size_t n, uint8_t out[20]);

#endif
