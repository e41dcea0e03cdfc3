#include "io/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

enum {
    ACCEPTS_PER_TURN = 32,   /* then the rest of the loop has its turn */
    ACCEPT_PAUSE_MS = 1000,  /* after accept() failed for want of memory */
    REFUSED_SAID_MS = 10000, /* between log lines about those refused */
};

/* ---- accepting ---- */

static void on_connection(uv_poll_t *poll, int status, int events);

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_pause_over(uv_timer_t *timer)
{
    struct io_listener *listener = timer->data;

    if (listener->spare < 0)
        listener->spare = open_spare();
    uv_poll_start(&listener->poll, UV_READABLE, on_connection);
}

/* Old connections are kept, so that there is none for this one. */
static void refuse(struct io_listener *listener, int fd)
{
    int64_t now = io_now_ms(listener->object.loop);

    (void)!send(fd, listener->refusal.ptr, listener->refusal.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
    listener->refused++;
    if (listener->said_ms != 0 && now - listener->said_ms < REFUSED_SAID_MS)
        return;
    log_warning(NULL, NULL,
                "%s: file descriptors run out, %u new connections refused; raise LimitNOFILE or "
                "lower max_clients",
                listener->name, listener->refused);
    listener->said_ms = now;
    listener->refused = 0;
}

/* The connection stays in the backlog; asking again at once would only burn the processor. */
static void accept_failed(struct io_listener *listener, int errnum)
{
    log_warning(NULL, NULL, "accept on %s: %s; trying again in %d s", listener->name,
                uv_strerror(-errnum), ACCEPT_PAUSE_MS / 1000);
    uv_poll_stop(&listener->poll);
    uv_timer_start(&listener->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
}

/* With no descriptor left, the spare one lets a connection in that is to be refused at once: it
 * would stay in the backlog otherwise, and its program would wait without a word. */
static int accept_spare(struct io_listener *listener)
{
    int fd, errnum = errno;

    if (listener->spare < 0) {
        errno = errnum;
        return -1;
    }
    close(listener->spare);
    fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    errnum = errno;
    if (fd >= 0)
        refuse(listener, fd);
    listener->spare = open_spare();
    errno = fd >= 0 ? EINTR : errnum; /* dealt with: on to the next */
    return -1;
}

static void take(struct io_listener *listener, int fd)
{
    struct io_stream *stream;
    int rc;

    if (fd >= listener->fd_end) {
        refuse(listener, fd);
        return;
    }
    if (listener->tcp)
        rc = io_tcp_stream_from_fd(listener->object.loop, fd, &stream);
    else
        rc = io_stream_from_fd(listener->object.loop, fd, &stream);
    if (rc == 0)
        listener->cb(listener->arg, stream);
    else
        log_warning(NULL, NULL, "client of %s dropped: %s", listener->name, error_text(rc));
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct io_listener *listener = poll->data;
    unsigned i;

    (void)status; /* whatever poll says, accept4 says it again */
    (void)events;
    io_turn_begin(listener->object.loop);
    for (i = 0; i < ACCEPTS_PER_TURN && !listener->object.closing; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0 && (errno == EMFILE || errno == ENFILE))
            fd = accept_spare(listener);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            if (errno != EAGAIN)
                accept_failed(listener, errno);
            return;
        }
        take(listener, fd);
    }
}

static void listener_close(struct io_object *object)
{
    io_listener_close((struct io_listener *)object);
}

struct io_listener *listener_alloc(io_accept_cb cb, void *arg)
{
    struct io_listener *listener = calloc(1, sizeof *listener);

    if (listener == NULL)
        return NULL;
    listener->cb = cb;
    listener->arg = arg;
    listener->spare = -1;
    listener->fd_end = INT_MAX;
    return listener;
}

int listener_begin(struct io_loop *loop, struct io_listener *listener, struct error *err)
{
    int rc = uv_poll_init(&loop->uv, &listener->poll, listener->fd);

    if (rc != 0) {
        error_set(err, io_error_code(rc), "listen on %s: poll: %s", listener->name,
                  uv_strerror(rc));
        return io_error_code(rc);
    }
    io_object_init(&listener->object, loop, listener_close);
    io_object_adopt(&listener->object, (uv_handle_t *)&listener->poll);
    uv_timer_init(&loop->uv, &listener->pause);
    io_object_adopt(&listener->object, (uv_handle_t *)&listener->pause);
    uv_poll_start(&listener->poll, UV_READABLE, on_connection);
    listener->spare = open_spare();
    return 0;
}

void io_listener_refusal(struct io_listener *listener, unsigned keep, struct slice refusal)
{
    struct rlimit limit;

    listener->refusal = refusal;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < INT_MAX)
        listener->fd_end = (int)limit.rlim_cur - (int)keep;
}

void io_listener_give(struct io_listener *listener, void *arg)
{
    listener->arg = arg;
}

const char *io_listener_name(const struct io_listener *listener)
{
    return listener->name;
}

void io_listener_close(struct io_listener *listener)
{
    io_object_begin_close(&listener->object);
    io_object_close_handle((uv_handle_t *)&listener->poll);
    io_object_close_handle((uv_handle_t *)&listener->pause);
    /* uv_close has taken the descriptor out of the poll set: it may be closed now. */
    if (!listener->tcp)
        listener_unlink(listener);
    close(listener->fd);
    if (listener->spare >= 0)
        close(listener->spare);
}
