/*
 * http_client: one connection to an http listener.
 *
 * Decides: one request at a time, in order, also when several were sent ahead; its deadlines; who
 * may see what (http_pages.c): on TCP without a token only /metrics, /healthz and /readyz, and only
 * under a host name that no web page can have. A connection costs HTTP_CLIENT_IN_MAX bytes of
 * requests and one answer; large answers that nobody takes are bounded over all connections.
 * Leaves: the form of requests to wire, /events to outlet.
 */
#ifndef HAWSER_DAEMON_HTTP_CLIENT_H
#define HAWSER_DAEMON_HTTP_CLIENT_H

#include "daemon/consumers.h"
#include "daemon/listener.h"
#include "daemon/outlet.h"
#include "wire/delivery.h"
#include "wire/http_server.h"

#define HTTP_CLIENT_HEAD_MS 10000    /* from the first byte of a request to its last */
#define HTTP_CLIENT_IDLE_MS 60000    /* between requests */
#define HTTP_CLIENT_ANSWER_MS 60000  /* for an answer to be taken */
#define HTTP_CLIENT_COMMENT_MS 15000 /* between comments on /events, so that proxies see life */
#define HTTP_CLIENT_RETRY_MS 2000    /* a reader of /events waits so long before it comes back */
#define HTTP_CLIENT_IN_MAX (HTTP_SERVER_HEAD_MAX + IO_READ_SIZE)
#define HTTP_CLIENT_ANSWER_MAX (8u << 20) /* bytes of one answer */
#define HTTP_CLIENT_LAGS_MS                                                                        \
    2000 /* /metrics waits so long for the lags; then it tells older ones                          \
          */
#define HTTP_CLIENT_LARGE (64u << 10)     /* bytes; an answer beyond it is counted, */
#define HTTP_CLIENT_LARGE_MAX (64u << 20) /* and so much may wait at one listener */

struct http_client {
    struct guest guest;
    struct listener *listener;
    struct outlet outlet; /* `head` has the answer */
    const char *bye;      /* why it leaves */
    struct buf in;        /* requests, from the first that is not answered */
    size_t scanned;       /* of the first, as http_server_parse wants it */
    size_t counted;       /* bytes of its large answer in listener->answering */
    int64_t deadline_ms;  /* when it is closed; of one that streams: when it is sent a comment */
    bool reading, deaf;   /* as of an ndjson client */
    bool answering;       /* an answer is not known to be out */
    bool streaming;       /* /events */
    struct {
        struct consumers_wait wait;
        bool on, head_only, keep_alive; /* on: the answer waits for the lags */
        int64_t until_ms;
    } lags;
    char instance[DELIVERY_INSTANCE + 1];
};

/* Takes the stream on success. */
int http_client_new(struct listener *listener, struct io_stream *stream, uid_t uid);

/* The answer to one that is not let in; the connection ends with it. */
int http_client_write_refusal(struct buf *out, int status, const char *text);

/* http_pages.c: answers. True: the connection may go on. */
bool http_page_answer(struct http_client *client, const struct http_server_request *request);
void http_page_refuse(struct http_client *client, const struct http_server_refusal *refusal);
/* The answer that has waited for the lags. True: as above. */
bool http_page_metrics(struct http_client *client);
/* One answer, whole. head_only: for HEAD. more: header lines, "" for none. */
int http_page_write(struct buf *out, int status, const char *type, const char *more,
                    struct slice body, bool head_only, bool keep_alive);

/* http_events.c: GET /events. 0: it streams now; else the status that it gets, with a text. */
int http_events_begin(struct http_client *client, const struct http_server_request *request,
                      struct error *why);

#endif
