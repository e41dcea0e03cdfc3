/*
 * upstream: one stream on libuv. Gives the engine's stream its links, requests, secrets and clock,
 * and says in the log what happens to it.
 *
 * Owns: the stream, its links (two while one takes over from the other), its requests, its cookies,
 * its trust anchors; shares its credential with others. Every log line about a link or a streamed
 * answer carries its id, 8 random hex digits.
 *
 *     upstream.c   life, states, secrets      links.c     dialling, messages, redirects
 *     network.c    routes that change         requests.c  HTTP, whole and streamed
 *     certificates.c  when those in use expire; what is sent where, and through what: room reach
 */
#ifndef HAWSER_DAEMON_UPSTREAM_H
#define HAWSER_DAEMON_UPSTREAM_H

#include "daemon/certificates.h"
#include "daemon/daemon.h"
#include "daemon/generation.h"
#include "daemon/health.h"
#include "daemon/link_counts.h"
#include "daemon/vault.h"
#include "net/net.h"
#include "reach/outgoing.h"
#include "reach/proxy.h"
#include "reach/trust.h"
#include "wire/cookie.h"

#define UPSTREAM_GAP_LOG_MS 1000 /* between log lines about gaps; each gap itself is stored */
#define UPSTREAM_LINKS_MAX 4     /* two are in use, the others end */
#define UPSTREAM_REQUESTS_MAX 12 /* the session's, the fallback's and those of rules */
#define UPSTREAM_ROUTE_MAX 200   /* bytes of what io_network_route() says */
#define UPSTREAM_WARNING SESSION_TEXT

/* Where a peer is, and how one gets there. */
struct upstream_route {
    bool known;
    struct io_address peer;
    char text[UPSTREAM_ROUTE_MAX];
};

struct upstream_link {
    struct upstream *upstream;
    uint64_t number; /* the engine's; 0: free */
    struct net_link *link;
    char id[9];
    bool open;
    char address[96], tls[96];
    struct upstream_route route;
    struct outgoing out; /* until it is open */
    bool failed_pending, resume_pending;
    struct profile_end failed;
};

struct request;

struct upstream {
    struct daemon *daemon;
    struct generation *made_from;           /* much of it points there */
    const struct settings_stream *settings; /* of the newest generation */
    struct profile *profile;
    struct hub_stream *hub_stream;
    struct stream *stream;
    struct broker_client *slots; /* its place at the broker */
    unsigned store_id;
    bool fingerprint_changed;   /* to be said when the stream is restored */
    bool start_wanted, started; /* it starts when its credential is there */
    bool opening;               /* what is on disk of it is on its way here */
    bool cut;                   /* it was not let to stop by itself */
    bool leaving;               /* it is configured no more */
    struct io_timer *timer;     /* the session's deadline */
    struct io_idle *later;      /* answers that must not come inline */

    struct upstream_link links[UPSTREAM_LINKS_MAX];
    struct upstream_route route; /* of the last link, for while there is none */
    struct request *requests;    /* UPSTREAM_REQUESTS_MAX, of requests.c */
    struct cookie_jar *cookies;
    struct vault_user vault;
    struct trust trust;
    struct proxy proxy;
    struct certificates certificates;

    int64_t gap_said_ms;  /* when a gap was last logged, 0: never */
    unsigned gaps_unsaid; /* since */

    char ended_id[9]; /* of the link whose end is being told, "": none is */

    struct link_counts counts;
    int64_t retry_ms;          /* the wait that it is in, 0: in none */
    int64_t catching_since_ms; /* -1: it does not catch up */
    int64_t catchup_ms;        /* how long the last one took */

    char warning[UPSTREAM_WARNING]; /* the newest, "": none yet; for status */
    int64_t warned_ms;
    struct health health;
};

/* Stream number `index` of the generation, which the store knows as `store_id`. */
int upstream_new(struct daemon *daemon, struct generation *generation, size_t index,
                 unsigned store_id, struct upstream **out, struct error *err);
/* While hawserd runs: of one that is settled. */
void upstream_free(struct upstream *upstream);
/* Where and how the store is to keep the stream; what it points to is borrowed. */
struct store_stream_options upstream_in_store(const struct settings_stream *settings,
                                              const struct profile *profile);
/* Opens the stream in the store and restores the engine's stream from it. Also after a store
 * failure. */
int upstream_restore(struct upstream *upstream, struct error *err);
/* The same from what its opening has brought; before it is started. */
void upstream_take(struct upstream *upstream, const struct persist_opening *opening);
/* Its settings have changed in what needs no new stream. */
int upstream_retag(struct upstream *upstream);
/* Ends it, for good. */
void upstream_stop(struct upstream *upstream);
/* It is taking too long: nothing more is sent or received. */
void upstream_cut(struct upstream *upstream);
/* It has stopped, or was cut, and the hub has all of it. */
bool upstream_over(const struct upstream *upstream);
/* Starts the stream, as soon as its credential is there. */
void upstream_start(struct upstream *upstream);
/* The link that delivers, NULL: none. For status. */
const struct upstream_link *upstream_link(const struct upstream *upstream);
/* The id of the engine's link, NULL: none. */
const char *upstream_link_id(const struct upstream *upstream, uint64_t number);
/* Takes note of what has come so far, as health_note(). */
void upstream_note(struct upstream *upstream, bool sample);
/* Why it does not deliver: of an attempt that is under way, what the one before came to. */
const char *upstream_trouble(const struct upstream *upstream, const struct session_status *status);
/* The network has changed, or the machine has slept: is it about this stream? */
void upstream_network(struct upstream *upstream, int64_t slept_ms);

#endif
