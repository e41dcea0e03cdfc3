/*
 * `openssl s_server` as a peer, with certificates that openssl made, so that our reading of the
 * protocol is not only our own library's. The server takes port 0 and says on its standard output
 * which port it got.
 */
#ifndef TESTS_UNIT_TLS_PEER_H
#define TESTS_UNIT_TLS_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "tls/tls.h"

extern char peer_dir[]; /* rsa.pem for a.example and 127.0.0.1, client.pem, each with its .key */

/* Group fixtures. Without openssl there is no directory, and peer_skip() skips. */
int peer_make_certificates(void **state);
int peer_remove_certificates(void **state);
void peer_skip(void);
/* Runs a command line to its end; its exit status. */
int peer_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct peer {
    pid_t pid;
    FILE *output;
    uint16_t port;
    int fd;
    size_t sent, received; /* bytes, since the connection was made */
    unsigned round_trips;  /* of the handshake */
};

/* Starts a server and connects to it. */
struct peer peer_start(const char *cert, const char *options);
void peer_stop(struct peer *peer);
/* A new connection to the same server. */
void peer_reconnect(struct peer *peer);

void peer_flush(struct peer *peer, struct tls *tls);
/* One piece from the peer; false at its end. The bytes are valid until the next call. */
bool peer_feed(struct peer *peer, struct tls *tls);
enum tls_status peer_handshake(struct peer *peer, struct tls *tls);
/* Sends a line and has it back reversed, as -rev does. */
void peer_echo(struct peer *peer, struct tls *tls);

#endif
