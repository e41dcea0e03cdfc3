/*
 * tls: a TLS client over mbedTLS, sans I/O: ciphertext in, ciphertext out, five verbs.
 *
 * Decides: versions (1.2 and newer), ciphers, the order in which they are offered, verification
 * (always full: chain, dates, host name or address, and pins on top of that), when a session is
 * resumed.
 * Leaves: sockets and deadlines to net; when files are read anew to daemon.
 * Owns: a connection holds some 40 KiB, mbedTLS's two record buffers most of it, and up to
 * TLS_OUTPUT_MAX of ciphertext not yet taken; a context the client's certificate and key, which are
 * wiped when it goes, and up to TLS_SESSIONS_MAX sessions, each of some 4 KiB and its ticket; all
 * contexts of one CA file its parsed trust anchors (for the system's bundle about 1 MiB).
 * Connections share a context. All of it belongs to one thread.
 * Fails: every failure has a text that names the certificate's subject, issuer and dates where one
 * is at fault ("certificate of CN=x expired 3 days ago (2026-05-14), issued by CN=y, valid
 * 2026-02-13 to 2026-05-14"). A failed or closed connection stays so.
 *
 * RFC 5246 and 8446 (TLS), 5077 (tickets), 6066 3 (SNI), 7301 (ALPN), 7469 2.4 (what a pin is).
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

/* What is shared by connections: trust anchors, pins, the client's certificate, sessions. Loading
 * the system bundle is slow: contexts of the same CA file share what was read of it. */
struct tls_context;

enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };
enum { TLS_PIN_SIZE = 32 }; /* SHA-256 of a SubjectPublicKeyInfo */

#define TLS_SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"

/* A pin is an extra check: the chain must verify all the same, and the server's own key (no other
 * of its chain) must be one of those that are named. */
struct tls_context_options {
    const char *ca_file;   /* NULL: TLS_SYSTEM_CA_FILE */
    const char *cert_file; /* the client's certificate and what leads to its root; NULL: none */
    const char *key_file;  /* its key; NULL: it is in cert_file */
    const uint8_t (*pins)[TLS_PIN_SIZE];
    size_t n_pins;
    enum tls_version min_version;
};
/* options NULL: all as in {0}. Copies what it keeps. ERR_NOTFOUND, ERR_PERM, ERR_PARSE, ERR_IO with
 * the file's name; ERR_TLS: files that cannot be used (a key of another certificate, an encrypted
 * one, an expired certificate), or a version that the library does not have. */
int tls_context_new(const struct tls_context_options *options, struct tls_context **out,
                    struct error *err);
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context);
/* When the client's own certificate expires, unix seconds, and "CN=x, issued by CN=y"; 0 and "":
 * there is none. */
int64_t tls_context_expiry_s(const struct tls_context *context);
const char *tls_context_expiring(const struct tls_context *context);

/* What was wrong with a handshake, for who knows what to do about it. */
#define TLS_FAULTS(X)                                                                              \
    X(NONE, "none")                                                                                \
    X(EXPIRED, "expired")                                                                          \
    X(NOT_YET_VALID, "not_yet_valid")                                                              \
    X(SELF_SIGNED, "self_signed")                                                                  \
    X(UNKNOWN_ROOT, "unknown_root")     /* the chain ends in a root that is not trusted */         \
    X(UNKNOWN_ISSUER, "unknown_issuer") /* a missing intermediate, or an unknown authority */      \
    X(WRONG_HOST, "wrong_host")                                                                    \
    X(UNFIT, "unfit") /* not meant for a server, or signed too weakly */                           \
    X(PIN, "pin")                                                                                  \
    X(OWN_CERTIFICATE, "own_certificate")     /* ours is missing, or not taken */                  \
    X(VERSION, "version")                     /* too old a one */                                  \
    X(NOTHING_IN_COMMON, "nothing_in_common") /* no cipher, or none that is strong enough */       \
    X(HOST_NOT_SERVED, "host_not_served")                                                          \
    X(NOT_TLS, "not_tls") /* something else is spoken on this port */                              \
    X(OTHER, "other")
enum tls_fault {
#define X(id, text) TLS_FAULT_##id,
    TLS_FAULTS(X)
#undef X
};
const char *tls_fault_name(enum tls_fault fault);

/* A certificate of the server's chain, as it is verified; valid for the call. */
struct tls_certificate {
    int depth; /* 0: the server's own */
    const char *subject, *issuer;
    const char *names; /* whom it is for */
    const char *pin;   /* of its key: "sha256/..." */
    int64_t valid_from_s, valid_to_s;
    enum tls_fault fault;
};
/* Shows each certificate that is verified with this context, from the root down, or from as far up
 * as the chain leads. */
void tls_context_on_certificate(struct tls_context *context,
                                void (*visit)(void *arg, const struct tls_certificate *cert),
                                void *arg);

/* Bounds of a context: sessions to resume, one for each host and port, the oldest goes first; how
 * old one may be since its server was last verified in full; bytes of a ticket. */
enum { TLS_SESSIONS_MAX = 8, TLS_SESSION_AGE_S = 86400, TLS_TICKET_MAX = 4096 };

/* Ciphertext that tls_output() holds at most; it has room for three full records. */
enum { TLS_OUTPUT_MAX = 64 * 1024 };

/* Bytes of refusals to handshake anew, one to each request of the server's (RFC 5246 7.2.2), after
 * which a connection fails: they would all be held where the server does not read. */
enum { TLS_REFUSALS_MAX = 32 * 1024 };

struct tls;
/* host: a DNS name (SNI and name check) or an IP address literal (no SNI, iPAddress SAN check).
 * port: with the host, whose session may be resumed. ERR_INVAL where host can be neither. */
int tls_new(struct tls_context *context, const char *host, uint16_t port, struct tls **out,
            struct error *err);
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
/* After TLS_FAILED; else TLS_FAULT_NONE. */
enum tls_fault tls_fault(const struct tls *tls);
/* What ALPN has agreed upon, "" where the server does not know of it; after the handshake. */
const char *tls_alpn(const struct tls *tls);
/* "TLSv1.2 TLS-ECDHE-...", with ", resumed" where it was: after the handshake. */
const char *tls_describe(const struct tls *tls);
bool tls_resumed(const struct tls *tls);
/* Of the chain that verified, what expires first: notAfter in unix seconds, and "CN=x, issued by
 * CN=y". 0 and "" before the handshake. */
int64_t tls_peer_expiry_s(const struct tls *tls);
const char *tls_peer_expiring(const struct tls *tls);

/* "mbed TLS 2.28.3", as it runs. */
void tls_library(char *out, size_t size);

/* The library's primitives that others need. */
int tls_random(void *out, size_t n); /* CSPRNG (getrandom); 0 or ERR_IO */
void tls_sha1(const void *bytes, size_t n, uint8_t out[20]);

#endif
