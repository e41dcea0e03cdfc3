/*
 * upstream: one stream on libuv. Gives the engine's stream its links, requests, secrets and clock,
 * and says in the log what happens to it.
 *
 * Owns: the stream, its link and its request. Every log line about a link carries the
 * link's id, 8 random hex digits.
 */
#ifndef HAWSER_DAEMON_UPSTREAM_H
#define HAWSER_DAEMON_UPSTREAM_H

#include "daemon/credentials.h"
#include "daemon/daemon.h"
#include "net/net.h"

#define UPSTREAM_GAP_LOG_MS 1000 /* between log lines about gaps; each gap itself is stored */

struct upstream {
    struct daemon *daemon;
    const struct settings_stream *settings;
    const struct profile *profile;
    struct stream *stream;
    struct broker_client *slots; /* its place at the broker */
    unsigned store_id;
    bool fingerprint_changed; /* to be said when the stream is restored */
    struct io_timer *timer;   /* the session's deadline */

    uint64_t link_number; /* the session's number of the link below; 0: none */
    struct net_link *link;
    char link_id[9];
    char address[96], tls[96];
    struct io_idle *later; /* answers that must not come inline */
    struct profile_end failed;
    bool failed_pending, http_failed_pending, refresh_pending, resume_pending;
    uint64_t failed_link, failed_request;

    uint64_t request_number;
    struct net_http *request;

    struct credentials credentials;
    struct io_timer *watch; /* of their files, while the stream is parked or held */
    int64_t gap_said_ms;    /* when a gap was last logged, 0: never */
    unsigned gaps_unsaid;   /* since */
};

/* Settings and profile are borrowed. */
int upstream_new(struct daemon *daemon, const struct settings_stream *settings,
                 const struct profile *profile, struct upstream **out, struct error *err);
void upstream_free(struct upstream *upstream);
/* Opens the stream in the store and restores the engine's stream from it. Also after a store
 * failure. */
int upstream_restore(struct upstream *upstream, struct error *err);

#endif
