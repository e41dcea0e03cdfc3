/*
 * broker: what spans streams, as a second pure machine: leave to dial, and rates of sending.
 *
 * Words: a *client* is one stream. A *slot* is leave for one connection, the WebSocket's or the
 * fallback's: it is asked for, granted, opened or not, and ended. A *scope* is who shares a limit
 * of the service: the stream alone, all streams with one credential, or all streams to one host.
 *
 * Decides: when a connection may be made: the daemon's dial_rate, the handshakes under way at once
 * to one host, the service's [limits] (connects, sessions, links at once), and at the start of the
 * daemon how its streams are spread. Who waited longest comes first; one that must wait for a limit
 * of its own holds up nobody else.
 * Leaves: why and where to dial to session, time and disk to the caller.
 * Owns: the counts of each scope. What of them must outlive the process (connects, sessions) is
 * handed out as bytes before a slot is granted, and the grant waits until they are stored; so a
 * daemon in a crash loop dials no more than a running one.
 * Fails: never; wall-clock jumps backwards count as no time passed.
 *
 * Nothing re-enters: `granted`, `later` and `save` are called from broker_run() alone; they may
 * call anything here but the two that free. Memory is taken when a client is made, and never else.
 */
#ifndef HAWSER_BROKER_BROKER_H
#define HAWSER_BROKER_BROKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "profile/profile.h"

#define BROKER_TEXT 160 /* of a reason, with the NUL */
/* Streams that start with the daemon are spread over this, at most */
#define BROKER_SPREAD_MS 2000
#define BROKER_SPREAD_EACH_MS 50           /* and over so much a stream but the first */
#define BROKER_COUNT_MAX SETTINGS_RATE_MAX /* largest N of N/period */
#define BROKER_SAVED_MAX 4096              /* bytes of a saved scope */

struct broker;
struct broker_client;

struct broker_ops {
    /* The client may make its connection now. Exactly one for each broker_ask() that is not
     * dropped. A client that asks for one slot at a time knows which. */
    void (*granted)(void *client_arg);
    /* Not before at_ms, which is a guess where it depends on others' connections; comes again when
     * that changes. Text for status: which limit, how full, shared by whom. Waits of less than a
     * second are not told. */
    void (*later)(void *client_arg, int64_t at_ms, const char *why);
    /* Store value under key (both borrowed for the call); broker_saved() follows when it is
     * durable.
     */
    void (*save)(void *arg, struct slice key, struct slice value, uint64_t ticket);
    /* Call broker_run() then, not inline; INT64_MAX: never. Now, when something was asked, ended or
     * saved. */
    void (*deadline)(void *arg, int64_t deadline_ms);
};

struct broker_options {
    struct profile_rate dial_rate; /* over all streams */
    unsigned dial_per_host;
    uint64_t seed;
    const struct broker_ops *ops;
    void *arg;
};

int broker_new(const struct broker_options *options, struct broker **out);
void broker_free(struct broker *broker);
/* Other bounds for all streams, from now on. */
void broker_configure(struct broker *broker, struct profile_rate dial_rate, unsigned dial_per_host,
                      int64_t now_ms);

struct broker_client_options {
    const char *name;       /* of the stream */
    const char *host;       /* of the URL, with port: "host:443" */
    const char *credential; /* names who we are to the service: profile, host and where the secrets
                             * come from; never a secret itself */
    const struct profile *profile; /* borrowed: limits */
    void *arg;
};
int broker_client_new(struct broker *broker, const struct broker_client_options *options,
                      struct broker_client **out);
void broker_client_free(struct broker_client *client); /* gives back what it has */

/* What was stored under this key, once for each when the clients are made and before the first ask;
 * unknown keys and damaged values are ignored. ago_ms: how long ago by the wall clock; below 0 (it
 * was set back) is as 0. */
void broker_restore(struct broker *broker, struct slice key, struct slice value, int64_t ago_ms);

/* The key under which its scope is saved, if nothing has been counted there yet; NULL: it need not
 * be restored. Until the client is freed. */
const char *broker_unrestored(const struct broker_client *client);

/* The key under which the scope of a stream of that name is saved, where its limits are its own. */
#define BROKER_KEY 64 /* bytes of a key, with the NUL */
void broker_stream_key(const char *name, char out[BROKER_KEY]);

/* ---- slots; times are monotonic ms ---- */
enum broker_slot { BROKER_LINK, BROKER_SUCCESSOR, BROKER_FALLBACK };
/* at_start: with the daemon; such asks are spread. While the connection of this slot is still
 * closing it counts on, and the next broker_ended() is its end. */
void broker_ask(struct broker_client *client, enum broker_slot slot, bool at_start, int64_t now_ms);
/* No longer wanted; or granted, but no connection was begun: it does not count. */
void broker_drop(struct broker_client *client, enum broker_slot slot, int64_t now_ms);
/* The handshake is done. */
void broker_opened(struct broker_client *client, enum broker_slot slot, int64_t now_ms);
/* The service has taken us as a new session (identify, not resume): counts against `sessions`. */
void broker_session(struct broker_client *client, int64_t now_ms);
/* The connection is gone, or was never made. */
void broker_ended(struct broker_client *client, enum broker_slot slot, int64_t now_ms);
/* The successor of a handover takes the link's place; a link that has not ended by then is the
 * BROKER_SUCCESSOR from now on. */
void broker_switched(struct broker_client *client);
/* All saves up to this ticket are on disk. */
void broker_saved(struct broker *broker, uint64_t ticket, int64_t now_ms);
/* The store lost what it was to save, or had no room for it: broker_run() saves anew. */
void broker_unsaved(struct broker *broker, int64_t now_ms);

/* Takes one from the rate of sends: 0, or how long to wait (ms) before asking again. */
int64_t broker_send(struct broker_client *client, int64_t now_ms);

/* Grants what can be granted and tells of the rest. Call after any of the above, and at the
 * deadline. */
void broker_run(struct broker *broker, int64_t now_ms);
int64_t broker_deadline_ms(const struct broker *broker);

#endif
