/*
 * net: a WebSocket link and an HTTP client, on wire, tls and io.
 *
 * Decides: the order of dialling (RFC 8305: all addresses, one overtaking the other, each with its
 * deadline), the proxy's tunnel, the handshakes and their deadlines, the close handshake. Leaves:
 * when to dial, ping and give up to session. Ownership: net_link_open/net_http_start give an
 * object; it ends in exactly one on_closed / on_done (never inline), after which it frees itself
 * and must not be touched. net_link_abort and net_http_cancel end it without a callback. Every
 * function is legal in every callback. Objects are ended before their loop is freed. Fails:
 * net_link_open and net_http_start with what is wrong in their arguments; all else comes as a
 * struct net_end, whose text names the address, the phase and the deadline that passed.
 */
#ifndef HAWSER_NET_NET_H
#define HAWSER_NET_NET_H

#include "io/io.h"
#include "tls/tls.h"
#include "wire/ws.h"

#define NET_QUEUE_MAX                                                                              \
    (1024 * 1024)              /* bytes that wait for a slow peer, unless one message has more */
#define NET_CLOSE_WAIT_MS 2000 /* for the peer's part of a close */
/* Bytes of a streamed answer that are handed on in one turn of the loop, or a piece more. */
#define NET_HTTP_TURN (1024 * 1024)

enum net_phase {
    NET_PHASE_DNS,
    NET_PHASE_TCP,
    NET_PHASE_PROXY, /* CONNECT */
    NET_PHASE_TLS,
    NET_PHASE_UPGRADE,
    NET_PHASE_OPEN,
    NET_PHASE_HTTP
};
enum { NET_PHASES = NET_PHASE_HTTP + 1 };
const char *net_phase_name(enum net_phase phase);

/* How a link or request ended. */
enum net_end_kind {
    NET_END_CLOSE,     /* link was open: .code (1006: no close frame), .local */
    NET_END_STATUS,    /* an HTTP status where 101 was wanted; in NET_PHASE_PROXY: 407 */
    NET_END_STRIPPED,  /* 200 and the like where 101 was wanted: something took the Upgrade away */
    NET_END_HANDSHAKE, /* a 101 that is not valid */
    NET_END_FAILED,    /* DNS, TCP, proxy or TLS failed: .phase */
    NET_END_CUT,       /* the connection ended in .phase: restarts and balancers do that */
    NET_END_TIMEOUT,   /* a deadline passed: .phase */
};
struct net_end {
    enum net_end_kind kind;
    enum net_phase phase;
    int code; /* close code or status */
    bool local;
    int64_t retry_after_ms; /* -1: not said */
    /* Close reason, start of the body ("Location: ..." for a redirect), or error: printable UTF-8,
     * one line. Never empty but for a close without a reason. */
    char text[400];
};

/* A proxy to go through, by a tunnel (CONNECT, RFC 9110 9.3.6) whatever the scheme. */
struct net_proxy {
    struct slice host; /* a name or an address, without brackets */
    uint16_t port;
    struct slice user, password; /* Basic (RFC 7617); user.ptr NULL: no login */
};

struct net_memory; /* net/memory.h */

struct net_options {
    struct tls_context *tls;       /* for wss/https; referenced by the link */
    bool allow_plaintext;          /* ws/http to other than loopback */
    bool deflate;                  /* offered by a link; see wire/deflate.h */
    const struct net_proxy *proxy; /* NULL: straight; needed during the call only */
    struct net_memory *memory;     /* which addresses answered; NULL: nothing is remembered */
    int64_t dns_timeout_ms, proxy_timeout_ms, tls_timeout_ms, upgrade_timeout_ms;
    int64_t tcp_timeout_ms;  /* for each address */
    int64_t http_timeout_ms; /* whole request */
    struct net_pool *pool;   /* where a request finds its connection, and leaves it; NULL: none */
};

struct net_link;
struct net_link_events {
    /* TCP (and TLS) are up: "192.0.2.7:443" ("... (proxy)" where that is one), "TLSv1.2 ..."; tls
     * is NULL without TLS. */
    void (*on_connected)(void *arg, const char *address, const char *tls);
    void (*on_open)(void *arg, const struct http_response *response);
    /* As ws_handler.on_message: ERR_AGAIN pauses reading until net_link_resume(). */
    int (*on_message)(void *arg, enum ws_type type, struct slice payload);
    void (*on_pong)(void *arg, int64_t rtt_ms);
    void (*on_oversize)(void *arg, uint64_t bytes);
    /* The last call. response is the answer to the upgrade where it was no 101 (status, headers,
     * start of the body), else NULL; valid during the call. */
    void (*on_closed)(void *arg, const struct net_end *end, const struct http_response *response);
    /* After a net_link_send() that said ERR_AGAIN: nothing waits any more. May be NULL. */
    void (*on_room)(void *arg);
};
/* url: wss://... ; headers: "Name: value\r\n" lines. Copies what it keeps; wipes secrets. */
int net_link_open(struct io_loop *loop, const struct net_options *options, struct slice url,
                  struct slice headers, struct slice subprotocol, uint64_t max_message,
                  const struct net_link_events *events, void *arg, struct net_link **out,
                  struct error *err);
/* Text or binary. ERR_AGAIN: too much waits already, and a message over NET_QUEUE_MAX goes only
 * where nothing does; ERR_LIMIT: over LIMIT_MESSAGE_MAX; ERR_EOF: not open (any more). */
int net_link_send(struct net_link *link, enum ws_type type, struct slice payload);
int net_link_ping(struct net_link *link); /* its pong yields on_pong; ERR_AGAIN, ERR_EOF as above */
/* Close handshake: code and reason go out, the peer has NET_CLOSE_WAIT_MS, then on_closed(local).
 * Before the link is open, on_closed comes at once. Messages that still come are not delivered:
 * only on_closed follows. A link that is closing already goes on as it was. */
void net_link_close(struct net_link *link, int code, struct slice reason);
void net_link_abort(struct net_link *link);
void net_link_resume(struct net_link *link);
/* When the last byte came from the peer, or the connection was made (io_now_ms). While reading is
 * paused by us: now. 0 before. */
int64_t net_link_last_rx_ms(const struct net_link *link);
/* Whether messages may be compressed: it was offered, and the server agreed. */
bool net_link_deflates(const struct net_link *link);
/* Whom the link is connected to, the proxy where there is one; NULL before on_connected. */
const struct io_address *net_link_peer(const struct net_link *link);
/* Its TLS, to be asked and not changed; NULL without TLS and before that has begun. */
const struct tls *net_link_tls(const struct net_link *link);
/* The answer to the upgrade, 101 or not, as far as it has come; NULL: its header is not whole.
 * Until on_open or on_closed returns. */
const struct http_response *net_link_answer(const struct net_link *link);
/* How long this phase took, or has taken so far; -1: it was not begun. */
int64_t net_link_took_ms(const struct net_link *link, enum net_phase phase);

/*
 * Connections that requests have left open and others take up (RFC 9112 9.3). Kept are at most
 * idle_max of them, idle_each to one origin, for idle_ms or as long as their server says if that is
 * less; where there are more, the one that has waited longest is closed.
 */
#define NET_POOL_IDLE_MAX 32 /* of which each holds a descriptor and, with TLS, some 40 KiB */
#define NET_POOL_IDLE_EACH 4
#define NET_POOL_IDLE_MS 30000  /* under the 60 s after which many a balancer forgets silently */
#define NET_POOL_FRESH_MS 1000  /* a request that may not be repeated takes no older one */
#define NET_POOL_MARGIN_MS 1000 /* we leave so much earlier than the server says it will */
struct net_pool;
struct net_pool_options {
    unsigned idle_max, idle_each; /* at least 1 */
    int64_t idle_ms, fresh_ms;
};
/* options NULL: the bounds above. ERR_NOMEM. */
int net_pool_new(const struct net_pool_options *options, struct net_pool **out);
/* Closes what is idle. Requests under way go on, and their connections end with them. */
void net_pool_free(struct net_pool *pool);
/* Closes what is idle: the network has changed, or descriptors are short. */
void net_pool_clear(struct net_pool *pool);
unsigned net_pool_idle(const struct net_pool *pool);

/*
 * One request. A 2xx answer with more than body_max bytes is a failure; of another the body is cut
 * (response->body_cut), and if it is broken or does not come whole, what has come is the body.
 * Accept-Encoding: gzip is said for it, unless headers have one of their own, and body_max counts
 * what comes out. With options->pool it may go over a connection that served others before; if that
 * dies before any byte of the answer, the request is sent once more, over a fresh one: if its
 * method is idempotent (RFC 9110 9.2.2), or if it had not been sent. The pool must outlive the
 * call, no more.
 */
struct net_http;
struct net_http_result {
    bool failed;        /* then .end tells */
    struct net_end end; /* .kind FAILED, TIMEOUT, HANDSHAKE (broken HTTP), CUT (a stream's body) */
    int status;
    int64_t retry_after_ms;
    const struct http_response *response; /* valid during the call; NULL if failed */
};
typedef void (*net_http_cb)(void *arg, const struct net_http_result *result);
int net_http_start(struct io_loop *loop, const struct net_options *options, struct slice method,
                   struct slice url, struct slice headers, struct slice body, size_t body_max,
                   net_http_cb cb, void *arg, struct net_http **out, struct error *err);
void net_http_cancel(struct net_http *http);
/* The TLS of its connection, to be asked and not changed; NULL: none, or not yet. Until the
 * callback of its end returns; not where that says that it has failed. */
const struct tls *net_http_tls(const struct net_http *http);

/*
 * One request whose answer is a stream (SSE, NDJSON): the body is handed on as it comes.
 * http_timeout_ms is until the answer's header is there; after that idle_ms without a byte ends it
 * (0: never; time in which we do not read is not counted). Ends in exactly one on_done, never
 * inline: status and body (its start, body_max at most) where it was not 2xx, failed where it
 * broke, or a 2xx that came to its end, whose body is empty then. What comes in one piece is not
 * longer than body_max, which must not be 0.
 */
struct net_stream_events {
    void (*on_open)(void *arg, const struct http_response *response); /* 2xx: a body follows */
    /* Bytes of the body. ERR_AGAIN: taken, but no more now, until net_http_resume(). */
    int (*on_body)(void *arg, struct slice bytes);
    net_http_cb on_done;
};
int net_http_stream(struct io_loop *loop, const struct net_options *options, struct slice method,
                    struct slice url, struct slice headers, struct slice body, size_t body_max,
                    int64_t idle_ms, const struct net_stream_events *events, void *arg,
                    struct net_http **out, struct error *err);
void net_http_resume(struct net_http *http);

/* Text from a peer made fit to show: one line of UTF-8, no control characters, runs of white space
 * as one space, cut at a character. */
void net_printable(char *out, size_t size, struct slice text);

#endif
