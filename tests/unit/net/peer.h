/*
 * peer.h - a scripted server on a loopback port, for the tests of net.
 *
 * A script is a function that runs on the peer's thread with plain blocking calls, once for each
 * connection. It cannot use cmocka (whose failures belong to the main thread): what it has seen it
 * leaves in the struct, and the test looks there after peer_stop(). Every call comes back when the
 * client hangs up, so a script needs no care for early ends.
 */
#ifndef HAWSER_TESTS_NET_PEER_H
#define HAWSER_TESTS_NET_PEER_H

#include <mbedtls/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer;
typedef void (*peer_script)(struct peer *peer);

struct peer {
    peer_script script;
    _Atomic int rounds; /* an argument to the script, of its own meaning */
    int listener, fd;
    uint16_t port;
    pthread_t thread;
    bool tls;
    mbedtls_ssl_context ssl;

    char request[8192]; /* the last HTTP request's head */
    bool bytewise;      /* every byte in a packet of its own */

    /* What the client has sent in frames. */
    int pongs, pings, messages, closes, close_code;
    char last[256];  /* payload of the last frame */
    bool said_close; /* by peer_close_frame() */
    bool hung_up;    /* the client's end of TCP was seen by peer_read_frames */
};

void peer_start(struct peer *peer, peer_script script);
void peer_stop(struct peer *peer);

/* For scripts. */
void peer_send(struct peer *peer, const void *bytes, size_t n);
void peer_say(struct peer *peer, const char *text);
long peer_recv(struct peer *peer, void *bytes, size_t n); /* <= 0: the end */
bool peer_read_request(struct peer *peer);
void peer_accept_upgrade(struct peer *peer); /* reads the request and says 101 */
void peer_accept_key(const struct peer *peer, char out[32]);
void peer_frame(struct peer *peer, int opcode, const void *payload, size_t n);
void peer_text(struct peer *peer, const char *text);
void peer_close_frame(struct peer *peer, int code, const char *reason);
/* One of the client's; false: no more. After both close frames it is ours to hang up. */
bool peer_read_frame(struct peer *peer);
void peer_read_frames(struct peer *peer); /* until the client hangs up */
void peer_reset(struct peer *peer);       /* the connection ends with an RST */
void peer_wait(struct peer *peer);        /* until the client hangs up */

#endif
