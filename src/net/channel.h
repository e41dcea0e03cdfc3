/*
 * channel: one HTTP/1.1 connection, which requests use one after another (RFC 9112 9.3), and the
 * pool where it waits in between.
 *
 * Decides: which idle connection may serve a request: one to the same origin, through the same
 * proxy with the same login, made with the same trust anchors; how many are kept, and for how long.
 * Leaves: whether an answer leaves a connection fit for a further one, and what may be repeated, to
 * http.c. Owns: the conn. A channel belongs to its user from channel_open() to channel_release() or
 * channel_close(), whichever comes first; then to the pool, if that keeps it.
 * Fails: as conn does, through the events that the user has given.
 */
#ifndef HAWSER_NET_CHANNEL_H
#define HAWSER_NET_CHANNEL_H

#include "base/list.h"
#include "net/conn.h"

struct channel {
    struct conn conn;
    struct net_pool *pool; /* NULL: none, or it is gone */
    struct list_node node; /* in the pool's idle or busy ones; alone where there is no pool */
    const struct conn_events *events; /* the user's, without destroy; NULL: idle, or closed */
    void *arg;
    struct net_proxy *proxy; /* a copy; NULL: straight */
    struct io_idle *soon; /* tells the next user that the connection is up, which it is already */
    bool reused;          /* has served a request before this one */
    bool up;              /* the user has been told so */
    int64_t idle_since_ms;
};

/* Which idle connections may be taken. */
enum channel_reuse {
    CHANNEL_FRESH,     /* none */
    CHANNEL_JUST_USED, /* one that can hardly have been given up by its server */
    CHANNEL_ANY,
};

/* Takes an idle connection from options->pool, or dials. Either way on_up follows, never inline, or
 * on_failed; or, with one that was reused, on_end. On failure nothing is left to release. */
int channel_open(struct io_loop *loop, const struct net_options *options,
                 const struct http_url *url, enum channel_reuse reuse,
                 const struct conn_events *events, void *arg, struct channel **out,
                 struct error *err);
/* The answer is complete, and the connection has nothing more for its user. server_ms: how long
 * the server says that it keeps it, -1 if it does not say. */
void channel_release(struct channel *channel, int64_t server_ms);
void channel_close(struct channel *channel);

#endif
