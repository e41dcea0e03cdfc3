/*
 * daemon: hawserd, wired. Everything here runs on the loop's thread, but for three workers: of
 * persist (one writes the store, one reads it) and of the vaults (it writes credentials).
 *
 *     upstream  one [stream]: engine's stream with its links, requests and secrets on libuv
 *       links, requests  what it asks of net; outgoing, redirect, end  how that goes and ends
 *       trust   its trust anchors, pins and certificate; certificates, expiry  when those end
 *     slots     the broker: who may dial when, and what of it outlives the process
 *     vault     the credentials, each shared by all streams that have the same; secrets  where they
 *               come from; redact  what keeps them out of any text
 *     network   what of the host's network concerns which stream
 *     persist   the store behind its threads: commits, cold reads, retention, failure and healing
 *     listener  sockets that local programs connect to; each connection is a guest:
 *       client  on an ndjson socket; request  what it may ask for
 *       feed    one that only reads; http_client, http_events, http_pages, http_auth, metrics
 *       outlet  how the log reaches any of them; rota  whose turn it is
 *     consumers the named consumers: who has which name, and what of it is on disk
 *     reload    from one configuration to the next; generation  each of them, while it is used
 *     activation  listening sockets that the service manager hands over, or keeps over a restart
 *     health    whether a stream is well, since when not, and its rate; oldest  the store's reach
 *     status    what hawserd says of itself; logfmt, report, notify  the same to the log and to
 *               systemd
 *     turns     how long the loop works at a stretch
 *     metrics   what was counted, for Prometheus; metrics_page  its text; link_counts  how links
 * end paths     directories that are ours
 */
#ifndef HAWSER_DAEMON_DAEMON_H
#define HAWSER_DAEMON_DAEMON_H

#include "base/list.h"
#include "daemon/oldest.h"
#include "daemon/persist.h"
#include "daemon/rota.h"
#include "daemon/turns.h"
#include "engine/stream.h"
#include "io/io.h"
#include "net/net.h"
#include "tls/tls.h"

#define DAEMON_STOP_MS 5000    /* a clean stop takes at most this */
#define DAEMON_STREAMS_MS 3500 /* of it, for upstreams to say goodbye, */
#define DAEMON_FLUSH_MS 900    /* for the store to take the last events, */
#define DAEMON_BYE_MS 400      /* at least, for clients to read them; */
#define DAEMON_CLEAN_MS 1000   /* the rest is for cleaning up, unless it was needed before */
/* Live events held during a catch-up, a stream; more where max_message asks for it. */
#define DAEMON_HOLD_BYTES (4u << 20)
#define DAEMON_RING_BYTES (8u << 20) /* hot tail; more where max_message asks for it */
#define DAEMON_RING_ENTRIES 16384
#define DAEMON_TURN_BYTES (1u << 20)    /* in one turn, for the readers of each rota */
#define DAEMON_AHEAD_BYTES (128u << 10) /* events that may come while a round of them goes on */

enum daemon_phase {
    DAEMON_RUNNING,
    DAEMON_STOPPING_STREAMS,
    DAEMON_FLUSHING,
    DAEMON_BYE,
    DAEMON_STOPPED
};

struct upstream;
struct listener;
struct generation;
struct reload;
struct slots;
struct vaults;
struct consumers;
struct net_memory;
struct activation;
struct report;

struct daemon {
    struct generation *generation;   /* the newest configuration */
    const struct settings *settings; /* its own */
    struct reload *reload;
    const char *state_dir, *runtime_dir;
    struct io_loop *loop;
    struct turns turns; /* of the loop */
    struct persist *persist;
    struct hub *hub;
    struct slots *slots;
    struct vaults *vaults;
    struct net_pool *pool; /* of the connections of all streams' requests */
    struct consumers *consumers;
    size_t ring_bytes;          /* of the hub */
    struct net_memory *memory;  /* which of a host's addresses answered */
    struct io_network *network; /* NULL: it cannot be watched */
    /* As configured; behind them those that a reload has removed and that are not over. */
    struct upstream **upstreams;
    size_t n_upstreams;
    struct listener **listeners; /* the same, the control socket first */
    size_t n_listeners;
    struct activation *activation;
    struct report *report;      /* NULL: no service manager listens */
    struct buf framed;          /* lines in another form, on their way to an outlet's stream */
    struct io_idle *soon;       /* flush the hub and serve clients, once an iteration */
    struct rota hot, cold;      /* the readers that can take something: of the ring; of the store */
    uint64_t round;             /* of the hot ones, */
    uint64_t round_began_bytes; /* and of hub_bytes() at its beginning */
    struct io_timer *commit_timer, *stop_timer, *sample_timer;
    struct io_signal *signals[3];
    struct oldest oldest;    /* stored event, for status */
    int64_t commit_began_ms; /* 0: none is under way */
    int64_t commit_took_ms;  /* the last one; -1: there was none yet */
    bool flush_wanted, serve_wanted, room_wanted;
    enum daemon_phase phase;
    int64_t started_ms, last_commit_ms, stop_ms; /* stop_ms: since when it stops */
};

/* Builds everything from a checked configuration and starts the streams. ERR_ codes and err as the
 * parts give them; then nothing is left running. */
int daemon_start(struct daemon *daemon, struct generation *generation, struct error *err);
void daemon_run(struct daemon *daemon); /* until stopped */
void daemon_fini(struct daemon *daemon);

/* What settings come to, for a start and for a reload. */
int daemon_check_store(const struct settings *settings, struct error *err);
uint64_t daemon_commit_bytes(const struct settings *settings);
/* The largest message that there is room for. */
uint64_t daemon_max_message(const struct daemon *daemon);
/* The stream of that name, or NULL. */
struct upstream *daemon_upstream(struct daemon *daemon, struct slice name);

#endif
