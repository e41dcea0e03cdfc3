/*
 * listener.h - what Unix and TCP listeners share; for this room only.
 *
 * Decides: how connections are accepted, and what happens when descriptors run out: old ones are
 * kept, new ones refused with a last word. Leaves: how the socket comes to be, to listen_unix and
 * listen_tcp.
 */
#ifndef HAWSER_IO_LISTENER_H
#define HAWSER_IO_LISTENER_H

#include <sys/un.h>

#include "io/internal.h"

struct io_listener {
    struct io_object object;
    uv_poll_t poll;
    uv_timer_t pause;
    int fd;
    int spare;  /* given up for a moment to take, and refuse, a connection when there is no other */
    int fd_end; /* a connection whose descriptor is not below it is refused */
    struct slice refusal;
    int64_t said_ms;  /* when refusing was last logged, 0: never */
    unsigned refused; /* since then */
    io_accept_cb cb;
    void *arg;
    char name[128]; /* for messages: the path or address */
    bool tcp;
    /* Of a Unix socket: its path, and what was made there, to know it again. */
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    dev_t device;
    ino_t inode;
};

struct io_listener *listener_alloc(io_accept_cb cb, void *arg);
/* Begins to accept on listener->fd, which listens. On failure the caller still has all. */
int listener_begin(struct io_loop *loop, struct io_listener *listener, struct error *err);
/* Removes the file, if it is still ours; listen_unix.c. */
void listener_unlink(struct io_listener *listener);

#endif
