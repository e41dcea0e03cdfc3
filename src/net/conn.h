/*
 * conn: one outgoing connection, from a name to bytes that flow. What link and http share.
 *
 * Decides: the order of dialling, each phase's deadline, where proxy and TLS sit, what is kept
 * while its owner does not read. Leaves: what the bytes mean to the owner, in which it is embedded.
 * Owns: the stream, the TLS state, the timer. The owner's memory is released by events->destroy,
 * which is called once after conn_close() when no function of this file is on the stack any more:
 * so an owner may close itself in every one of its callbacks.
 * Fails: by on_failed() while dialling, by on_end() later.
 */
#ifndef HAWSER_NET_CONN_H
#define HAWSER_NET_CONN_H

#include "base/buf.h"
#include "base/limits.h"
#include "net/net.h"
#include "wire/http.h"

#define CONN_ADDRESS_TEXT 64 /* "[IPv6]:port (proxy)" and NUL */

struct conn_events {
    void (*on_up)(void *arg);
    void (*on_failed)(void *arg, const struct net_end *end); /* before on_up */
    /* Bytes came. The owner advances *bytes past what it took; it leaves some only if it has called
     * conn_pause(), and gets the rest, or an empty slice, after conn_resume(). */
    void (*on_bytes)(void *arg, struct slice *bytes);
    /* Nothing more comes: 0 for an end, or ERR_ and why. ERR_EOF: TCP ended, and TLS above it did
     * not, so that anybody between may have cut off what the peer said. */
    void (*on_end)(void *arg, int status, const char *text);
    void (*on_deadline)(void *arg); /* conn_deadline()'s, or that of proxy or TLS */
    void (*destroy)(void *arg);
    void (*on_drain)(void *arg); /* all that was queued is out; may be NULL */
};

struct conn {
    struct io_loop *loop;
    const struct conn_events *events;
    void *arg;
    struct net_options options; /* holds a reference on .tls */
    bool secure;
    char *host;
    uint16_t port;
    enum net_phase phase; /* conn_phase() */
    struct {
        bool begun, over;
        int64_t began_ms, took_ms;
    } phases[NET_PHASES];
    unsigned depth; /* of calls that look at this conn after a callback */
    bool closed;
    struct io_timer *deadline;
    bool expiring; /* conn_expire() */
    struct io_idle *wake;

    struct dial *dial;     /* until TCP is up */
    struct tunnel *tunnel; /* NULL: straight, through no proxy */

    struct io_stream *stream;
    struct io_address peer;          /* of the stream: the proxy's where there is one */
    struct tls *tls;                 /* NULL: plaintext */
    struct io_heavy handshake;       /* its next step, with what is held */
    char address[CONN_ADDRESS_TEXT]; /* the peer, and whether it is a proxy */
    bool paused;
    /* Plaintext that the owner did not take, from held_at on; in the handshake ciphertext. */
    struct buf held;
    size_t held_at;
    int64_t last_rx_ms, before_rx_ms; /* the last bytes, and those before them */
};

/* On failure nothing is left to release. destroy is to call conn_fini(). */
int conn_init(struct conn *conn, struct io_loop *loop, const struct net_options *options,
              const struct http_url *url, const struct conn_events *events, void *arg,
              struct error *err);
void conn_close(struct conn *conn);
void conn_fini(struct conn *conn);

/* Around everything that calls the owner's user from elsewhere than a callback of this file. */
void conn_enter(struct conn *conn);
void conn_leave(struct conn *conn);

/* The next phase begins: the dialling's, or, after on_up, the owner's. */
void conn_phase(struct conn *conn, enum net_phase phase);
void conn_deadline(struct conn *conn, int64_t delay_ms); /* < 0: none */
/* on_deadline comes soon, and no phase that may begin before puts it off. */
void conn_expire(struct conn *conn);
int conn_send(struct conn *conn, const void *bytes, size_t n);
size_t conn_queued(const struct conn *conn);
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn); /* later, never inline */

/* The dialling (dial.c), which ends in conn_connected() or conn_fail(), and the ways to fail. */
int dial_start(struct conn *conn, struct error *err);
void dial_free(struct dial *dial); /* with all that is under way */
/* Takes the stream: TCP is up. */
void conn_connected(struct conn *conn, struct io_stream *stream, const struct io_address *peer);
void conn_fail(struct conn *conn, enum net_end_kind kind, const char *text);

/* How a phase's deadline reads: "TLS handshake with 127.0.0.1:443: not finished within 10 s". */
void conn_timeout_text(const struct conn *conn, char *out, size_t size);

#endif
