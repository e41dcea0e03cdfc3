/*
 * client: one local program on an ndjson socket.
 *
 * Decides: when its requests are handled: as they come, for as long as it reads the replies.
 * Leaves: how lines reach it to outlet; what a request does to request.c.
 */
#ifndef HAWSER_DAEMON_CLIENT_H
#define HAWSER_DAEMON_CLIENT_H

#include "daemon/listener.h"
#include "daemon/outlet.h"
#include "wire/ndjson.h"

#define CLIENT_REPLIES_HIGH (64u << 10) /* replies that wait; beyond it its requests wait */
#define CLIENT_REPLIES_MAX (4u << 20)   /* and a reply more: the status of LIMIT_STREAMS streams */

/* What its next request waits for. */
enum client_wait {
    CLIENT_WAITS_FOR_NOTHING,
    CLIENT_WAITS_TO_SUBSCRIBE,
    CLIENT_WAITS_TO_SEEK,
    CLIENT_WAITS_TO_FORGET,
    CLIENT_WAITS_FOR_LIST,
    CLIENT_WAITS_FOR_RELOAD,
};
struct named;

struct client {
    struct guest guest;
    struct listener *listener;
    struct outlet outlet; /* its stream and subscription; `head` has the replies */
    uid_t uid;
    pid_t pid;
    struct buf in; /* a line that is not complete yet, or lines that wait */
    struct ndjson_request request;
    const char *bye;        /* why it leaves */
    bool reading;           /* bytes are taken from the socket: no whole line waits in `in` */
    bool deaf;              /* it has shut down its side: nothing more will come */
    bool evicted;           /* another has its consumer */
    struct named *consumer; /* that it is connected as, or is about to be; NULL: none */
    struct {
        enum client_wait what;
        struct list_node node; /* in one of consumers' lists, or in none */
        struct named *consumer;
        uint64_t change;
        bool reset, oldest; /* of a subscription */
        char id[NDJSON_ID_MAX];
        size_t id_len; /* 0: none */
    } wait;
};

/* Takes the stream on success. */
int client_new(struct listener *listener, struct io_stream *stream, uid_t uid, pid_t pid);
void client_pump(struct client *client);
void client_close(struct client *client);

/* request.c: one line from the client. */
void request_handle(struct client *client, struct slice line);
/* What the client waited for is done, or lost with the store. Pumps nothing. */
void request_done(struct client *client, bool lost);
/* What it waited for was a reload: it has changed this; or nothing, for these errors and so many
 * more; or it will not be done. */
void request_reloaded(struct client *client, const char *const *changed, size_t n);
void request_not_reloaded(struct client *client, const char *const *errors, size_t n, size_t more);
void request_abandoned(struct client *client, const char *why);
struct slice client_wait_id(const struct client *client);
void client_reply_error(struct client *client, struct slice id, enum ndjson_error error,
                        const char *detail);

#endif
