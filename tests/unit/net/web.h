/*
 * web.h - a small HTTP server for the tests of requests: a thread a connection, which answers one
 * request after another. What it answers, the path says; how many connections and requests there
 * were, it counts.
 */
#ifndef HAWSER_TESTS_NET_WEB_H
#define HAWSER_TESTS_NET_WEB_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { WEB_CONNECTIONS_MAX = 64, WEB_HEAD_MAX = 4096 };

/* What becomes of the requests that come over a connection which has answered before. */
enum web_second { WEB_SECOND_ANSWER, WEB_SECOND_FIN, WEB_SECOND_RST, WEB_SECOND_HALF };

struct web_connection {
    struct web *web;
    pthread_t thread;
    int fd;
};

struct web {
    _Atomic int second;      /* enum web_second */
    _Atomic bool held;       /* while true, "/held" is not answered */
    _Atomic int connections; /* accepted so far */
    _Atomic int tunnels;     /* opened so far */
    _Atomic int requests;    /* read so far, whatever became of them */
    _Atomic int ended;       /* connections that the client closed, or we */
    char head[WEB_HEAD_MAX]; /* of the last request; to be read when it is answered */
    uint16_t port;
    int listener;
    pthread_t thread;
    struct web_connection all[WEB_CONNECTIONS_MAX];
};

void web_start(struct web *web);
void web_stop(struct web *web);

#endif
