/*
 * service: the server's side of a WebSocket, on loopback, for one bridge at a time.
 *
 * Decides: what the bytes on the wire are; the TLS cipher, so that every bridge is measured with
 * the same one. Bytes for the peer are made first (peer_encode) and sent later (peer_flush), so
 * that encryption can be paid for before the clock starts: a generator that encrypts while it sends
 * would be as slow as the bridge that decrypts. Leaves: which events, and when. Fails: by ending
 * the program with a reason.
 */
#ifndef HAWSER_BENCH_SERVICE_H
#define HAWSER_BENCH_SERVICE_H

#include <mbedtls/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct service {
    int listener;
    uint16_t port;
    bool secure;
    mbedtls_ssl_config config;
    mbedtls_x509_crt certificate;
    mbedtls_pk_context key;
};

struct peer {
    int fd;
    bool secure;
    bool open; /* the handshakes are over, nothing blocks any more */
    mbedtls_ssl_context ssl;
    struct buf out; /* for the wire; up to sent it is gone */
    size_t sent;
    unsigned char in[4096]; /* frames that are not complete */
    size_t in_len;
    unsigned char pong[125]; /* owed for a ping */
    size_t pong_len;
    bool pong_owed;
};

/* A port of the kernel's choice. cipher: "aes" or "chacha", NULL for plain text. */
void service_open(struct service *service, const char *cert, const char *key, const char *cipher);

/* Takes one connection. A peer: it is a WebSocket now, and hello has been sent. NULL: it asked for
 * a page of events, was told that there is none after position, and is gone. */
struct peer *service_accept(struct service *service, uint64_t position);
void peer_close(struct peer *peer);
/* "TLSv1.2 TLS-ECDHE-..."; "" in plain text. Valid until the next call. */
const char *peer_cipher(const struct peer *peer);

/* What a request with that Sec-WebSocket-Key is answered. Returns its length. */
size_t upgrade_answer(const char *key, char *out, size_t size);

/* A text or pong frame's header; length is at most 65535. Returns its size. */
size_t frame_header(unsigned char *out, unsigned opcode, size_t length);

void peer_encode(struct peer *peer, const void *bytes, size_t n);
/* Sends without blocking; true when nothing is left. */
bool peer_flush(struct peer *peer);
/* Sends all there is, reading meanwhile. */
void peer_finish(struct peer *peer);
/* Reads what has come and remembers the last ping. False: the peer has closed. */
bool peer_read(struct peer *peer);
/* Answers it. Not between peer_encode and the end of sending what was encoded. */
void peer_pong(struct peer *peer);

#endif
