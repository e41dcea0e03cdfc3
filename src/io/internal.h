/*
 * internal.h - what the files of this room share; nobody outside includes it.
 *
 * Decides: how an object with libuv handles lives and dies. Every object begins with a struct
 * io_object; every handle's `data` points to it. Closing takes the object out of the loop's list at
 * once, so that no callback of the user's follows, and frees it when libuv has let go of its last
 * handle. Until then the memory is valid: a callback may close anything, itself included.
 */
#ifndef HAWSER_IO_INTERNAL_H
#define HAWSER_IO_INTERNAL_H

#include <uv.h>

#include "base/buf.h"
#include "base/list.h"
#include "io/io.h"

struct io_object {
    struct list_node node; /* in loop->objects */
    struct io_loop *loop;
    void (*close)(struct io_object *object);   /* for io_loop_free */
    void (*destroy)(struct io_object *object); /* NULL: free() */
    unsigned handles;                          /* that libuv still knows */
    bool closing;
};

struct resolver; /* resolve.c */
struct io_turns; /* turn.c */

struct io_loop {
    uv_loop_t uv;
    struct list_node objects;
    struct resolver *resolver;
    bool in_read;           /* the read buffer is lent to an on_read */
    bool in_timer;          /* timers that are due are called */
    struct list_node heavy; /* who waits to do what takes long */
    struct io_idle *heavy_next;
    struct io_turns *turns; /* NULL: nobody looks on */
    uint64_t turn_began_ns; /* 0: it waits */
    char read_buffer[IO_READ_SIZE];
};

void io_object_init(struct io_object *object, struct io_loop *loop,
                    void (*close)(struct io_object *object));
/* A handle of this object has been initialised. */
void io_object_adopt(struct io_object *object, uv_handle_t *handle);
/* No more callbacks; to be followed by closing the handles. */
void io_object_begin_close(struct io_object *object);
void io_object_close_handle(uv_handle_t *handle);

/* The loop's wait is over, if it was not yet. First thing in whatever libuv calls out of its poll.
 */
static inline void io_turn_begin(struct io_loop *loop)
{
    if (loop->turns != NULL && loop->turn_began_ns == 0)
        loop->turn_began_ns = uv_hrtime();
}

/* It is about to wait, or has been stopped: who looks on is told. */
void io_turn_end(struct io_loop *loop);

int heavy_new(struct io_loop *loop); /* closed with the loop's objects */

int resolver_new(struct io_loop *loop, struct resolver **out);
void resolver_close(struct resolver *resolver);

/* libuv's errors are negated errno values; UV_EOF and the like have none and become ERR_IO. */
int io_error_code(int uv_status);

/* Runs fn(arg) on a new thread that takes no signals but its own faults. 0 or an errno. */
int io_thread_create(pthread_t *thread, void *(*fn)(void *), void *arg);

struct io_stream {
    struct io_object object;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    struct io_stream_events events;
    void *arg;
    bool filled; /* the last read filled the buffer: others come first */
    bool ended;  /* end of file or a read error was told */
    int broken;  /* the code of the write that failed */

    /* Bytes go from `pending` to `sending` when libuv has finished with the latter. */
    uv_write_t write;
    bool writing;
    struct buf sending, pending;
    bool discreet; /* what goes out may hold a secret: overwritten when it is out */

    /* Until it is connected. */
    uv_connect_t connect;
    uv_timer_t timer;
    bool timer_open;
    io_connect_cb connect_cb;
    void *connect_arg;
    struct io_address peer;
    int64_t connect_timeout_ms;
};

struct io_stream *io_stream_alloc(struct io_loop *loop);
/* A stream of a connected Unix socket; takes fd, which is closed on failure too. */
int io_stream_from_fd(struct io_loop *loop, int fd, struct io_stream **out);
/* The same of a TCP socket. */
int io_tcp_stream_from_fd(struct io_loop *loop, int fd, struct io_stream **out);

#endif
