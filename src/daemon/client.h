/*
 * client: one local program on an ndjson socket.
 *
 * Decides: how lines reach it: replies first, then what its subscription says is next; hot lines
 * from the ring by writev, cold ones through a reader. Only whole lines are begun; of a line that
 * the socket took in part, the rest is the only thing that is ever copied, so a client that stops
 * reading costs one line of memory, and reads the store at its own pace when it comes back. Leaves:
 * what a request does to request.c.
 */
#ifndef HAWSER_DAEMON_CLIENT_H
#define HAWSER_DAEMON_CLIENT_H

#include "daemon/listener.h"
#include "wire/ndjson.h"

#define CLIENT_REPLIES_HIGH (64u << 10) /* replies that wait; beyond it its requests wait */
#define CLIENT_REPLIES_MAX (4u << 20)   /* and a reply more: the status of LIMIT_STREAMS streams */
#define CLIENT_TURN_BYTES (1u << 20)    /* written in one turn, then the others' turn */

struct client {
    struct list_node node; /* in its listener */
    struct listener *listener;
    struct io_stream *stream;
    uid_t uid;
    pid_t pid;
    struct buf in;  /* a line that is not complete yet, or lines that wait */
    struct buf out; /* replies */
    struct ndjson_request request;
    bool subscribed, cold;
    const char *bye; /* why it leaves */
    bool leaving;    /* it is to get what there is for it in memory, then `bye` */
    bool ending;     /* nothing more but the replies, then its end */
    bool reading;    /* bytes are taken from the socket: no whole line waits in `in` */
    bool deaf;       /* it has shut down its side: nothing more will come */
    struct fanout_filter filter;
    char types[FANOUT_TYPES_MAX][LIMIT_EVENT_TYPE]; /* the filter's globs */
    struct fanout_sub sub;
    struct persist_read read;
};

/* Takes the stream on success. */
int client_new(struct listener *listener, struct io_stream *stream, uid_t uid, pid_t pid);
void client_pump(struct client *client);
/* Ends it when it has got what is there for it; one that does not read stays until client_close. */
void client_bye(struct client *client, const char *reason);
void client_close(struct client *client);

/* request.c: one line from the client. */
void request_handle(struct client *client, struct slice line);
void client_reply_error(struct client *client, struct slice id, enum ndjson_error error,
                        const char *detail);

#endif
