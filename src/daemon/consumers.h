/*
 * consumers: the named consumers: who has which name, and what of it is on disk.
 *
 * Decides: who may connect as whom: a name belongs to the user that made it (root may all), and has
 * one connection at a time; when a cursor is saved: at once where an answer waits for it, within
 * CONSUMERS_SCAN_MS otherwise; when a name is forgotten. What is answered is on disk.
 * Leaves: the cursor itself to fanout/consumer, durability to hub, the words to request.
 * Owns: the names, and the windows of those connected.
 * Fails: when the store fails, whoever waits is told so, and the cursor stays where the disk has
 * it.
 *
 *     consumers       names, connecting, acknowledging
 *     consumers_disk  saving, restoring, expiry
 *     consumers_list  how far each lags
 */
#ifndef HAWSER_DAEMON_CONSUMERS_H
#define HAWSER_DAEMON_CONSUMERS_H

#include "daemon/client.h"

#define CONSUMERS_SCAN_MS 1000 /* a cursor that has moved is saved within it */
#define CONSUMERS_ACKS_MAX 64  /* acknowledgements of a connection that wait for the disk */
#define CONSUMERS_GRACE_MS                                                                         \
    3600000 /* after a start none expires, unless consumer_expire is shorter */

struct consumers;
int consumers_new(struct daemon *daemon, struct consumers **out, struct error *err);
/* When all clients are gone, and the store is closed: it may still be counting. NULL is allowed. */
void consumers_free(struct consumers *consumers);
/* Before any client is there, and before any stream is opened. streams: that the store has and that
 * are configured, by id: of no other stream a consumer keeps the number, not even on disk. */
int consumers_restore(struct consumers *consumers, const uint64_t streams[STORE_ID_WORDS],
                      struct error *err);
size_t consumers_count(const struct consumers *consumers, size_t *connected);

/* ---- from daemon ---- */

/* Hands to the hub what is to be saved: before a commit. */
void consumers_put(struct consumers *consumers);
/* Somebody waits for the next commit. */
bool consumers_due(const struct consumers *consumers);
void consumers_saved(struct consumers *consumers, uint64_t ticket, bool lost);
void consumers_room(struct consumers *consumers);
/* Once an iteration. */
void consumers_run(struct consumers *consumers);
/* Everything that has moved is to be saved now. True: it is. */
bool consumers_settle(struct consumers *consumers);

/* ---- from request and client; `err` gets the detail of what is not NDJSON_OK ---- */

struct consumers_start {
    uint64_t from_seq; /* where a new one begins, or any if `seek` */
    bool seek;         /* not from the cursor */
    uint32_t window;
    bool takeover;
};
/* Connects the client, whose filter is set, as the consumer of that name. *later: it goes on with
 * request_done() when that is on disk, else it can begin at its cursor now. */
enum ndjson_error consumers_connect(struct consumers *consumers, struct client *client,
                                    struct slice name, const struct consumers_start *start,
                                    bool *later, struct error *err);
/* The client's filter has changed, in its streams. */
void consumers_view(struct client *client);
/* The client has gone, or is to have no consumer any more. */
void consumers_leave(struct client *client);
struct consumer *consumers_consumer(const struct client *client);
/* id.ptr NULL: nobody waits for the answer. Else the answer comes when it is on disk. */
enum ndjson_error consumers_ack(struct client *client, uint64_t seq, struct slice id,
                                struct error *err);
/* Tells the client that its window is full. */
void consumers_full(struct client *client);
/* No more acknowledgements are taken before some are answered. */
bool consumers_busy(const struct client *client);
/* These go on with request_done(). */
enum ndjson_error consumers_seek(struct consumers *consumers, struct client *client,
                                 struct slice name, uint64_t seq, struct error *err);
enum ndjson_error consumers_forget(struct consumers *consumers, struct client *client,
                                   struct slice name, struct error *err);
void consumers_list(struct consumers *consumers, struct client *client);

/* ---- from metrics ---- */

/* Somebody who wants the lags counted. */
struct consumers_wait {
    struct list_node node; /* list_init()ed; while it waits, in a list */
    void (*done)(void *arg);
    void *arg;
};
/* False: there is nobody whose lag could be counted. Else done() follows, not inline, when all are
 * known as of now, or the store could not be read, but does not for want of memory: who waits has a
 * deadline. list_remove(&wait->node) calls it off. */
bool consumers_count_lags(struct consumers *consumers, struct consumers_wait *wait);

struct consumers_row {
    const char *name;
    bool connected, lag_known;
    uint64_t lag; /* as last counted, less what was acknowledged since */
};
void consumers_each(const struct consumers *consumers,
                    void (*visit)(void *arg, const struct consumers_row *row), void *arg);

#endif
