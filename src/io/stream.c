#include "io/internal.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KEEP_CAPACITY = 64 * 1024 }; /* bytes of an empty write buffer that are not given back */

static void stream_close(struct io_object *object)
{
    io_stream_close((struct io_stream *)object);
}

/* What was in the buffer is out, or never will be. */
static void sent(const struct io_stream *stream, struct buf *buf)
{
    if (stream->discreet)
        buf_wipe(buf);
    else
        buf_clear(buf);
}

static void stream_destroy(struct io_object *object)
{
    struct io_stream *stream = (struct io_stream *)object;

    sent(stream, &stream->sending);
    sent(stream, &stream->pending);
    buf_fini(&stream->sending);
    buf_fini(&stream->pending);
    free(stream);
}

struct io_stream *io_stream_alloc(struct io_loop *loop)
{
    struct io_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL)
        return NULL;
    io_object_init(&stream->object, loop, stream_close);
    stream->object.destroy = stream_destroy;
    buf_init(&stream->sending, BUF_UNBOUNDED);
    buf_init(&stream->pending, BUF_UNBOUNDED);
    return stream;
}

int io_stream_from_fd(struct io_loop *loop, int fd, struct io_stream **out)
{
    struct io_stream *stream = io_stream_alloc(loop);
    int rc;

    if (stream == NULL) {
        close(fd);
        return ERR_NOMEM;
    }
    uv_pipe_init(&loop->uv, &stream->uv.pipe, 0);
    io_object_adopt(&stream->object, &stream->uv.handle);
    rc = uv_pipe_open(&stream->uv.pipe, fd);
    if (rc != 0) {
        close(fd);
        io_stream_close(stream);
        return io_error_code(rc);
    }
    *out = stream;
    return 0;
}

int io_tcp_stream_from_fd(struct io_loop *loop, int fd, struct io_stream **out)
{
    struct io_stream *stream = io_stream_alloc(loop);
    int on = 1, user_timeout_ms = IO_TCP_USER_TIMEOUT_MS, rc;

    if (stream == NULL) {
        close(fd);
        return ERR_NOMEM;
    }
    uv_tcp_init(&loop->uv, &stream->uv.tcp);
    io_object_adopt(&stream->object, &stream->uv.handle);
    rc = uv_tcp_open(&stream->uv.tcp, fd);
    if (rc != 0) {
        close(fd);
        io_stream_close(stream);
        return io_error_code(rc);
    }
    /* What the kernel refuses costs speed, or notice of a peer that is gone, but no bytes. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
    uv_tcp_keepalive(&stream->uv.tcp, 1, IO_TCP_KEEPALIVE_IDLE_S);
    *out = stream;
    return 0;
}

void io_stream_events(struct io_stream *stream, const struct io_stream_events *events, void *arg)
{
    stream->events = *events;
    stream->arg = arg;
}

/* ---- reading ---- */

/*
 * One buffer serves all streams, since bytes are lent out only for the time of a call. libuv reads
 * again at once after a read that filled the buffer; offered no buffer it leaves the stream alone
 * until the next turn of the loop (and says UV_ENOBUFS), so that a flood on one stream is no
 * silence on the others.
 */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct io_stream *stream = handle->data;
    struct io_loop *loop = stream->object.loop;

    (void)suggested;
    io_turn_begin(loop);
    assert(!loop->in_read && "reads do not nest");
    if (stream->filled)
        *out = uv_buf_init(NULL, 0);
    else
        *out = uv_buf_init(loop->read_buffer, sizeof loop->read_buffer);
    stream->filled = false;
}

static void read_ended(struct io_stream *stream, ssize_t n)
{
    struct error err;
    int code;

    stream->ended = true;
    uv_read_stop(&stream->uv.stream);
    if (n == UV_EOF) {
        stream->events.on_read(stream->arg, NULL, 0, NULL);
        return;
    }
    code = error_set(&err, io_error_code((int)n), "%s", uv_strerror((int)n));
    stream->events.on_read(stream->arg, NULL, code, &err);
}

static void on_read(uv_stream_t *uv, ssize_t n, const uv_buf_t *buf)
{
    struct io_stream *stream = uv->data;
    struct io_loop *loop = stream->object.loop;

    if (n == 0 || n == UV_ENOBUFS)
        return;
    if (n < 0) {
        read_ended(stream, n);
        return;
    }
    stream->filled = (size_t)n == buf->len;
    loop->in_read = true;
    stream->events.on_read(stream->arg, buf->base, n, NULL);
    loop->in_read = false;
}

int io_stream_read_start(struct io_stream *stream)
{
    int rc;

    if (stream->ended)
        return ERR_EOF;
    rc = uv_read_start(&stream->uv.stream, on_alloc, on_read);
    return rc == 0 || rc == UV_EALREADY ? 0 : io_error_code(rc);
}

void io_stream_read_stop(struct io_stream *stream)
{
    uv_read_stop(&stream->uv.stream);
}

/* ---- writing ---- */

static int write_next(struct io_stream *stream);

/*
 * A stream that cannot be written is at its end. Shut down both ways, what the peer had sent before
 * can still be read, and then reading ends too: nobody waits on half a connection.
 */
static int write_failed(struct io_stream *stream, int code)
{
    stream->broken = code;
    shutdown(io_stream_fd(stream), SHUT_RDWR);
    return code;
}

static void on_written(uv_write_t *write, int status)
{
    struct io_stream *stream = write->data;
    int rc = 0;

    io_turn_begin(stream->object.loop);
    stream->writing = false;
    if (stream->object.closing)
        return;
    sent(stream, &stream->sending);
    if (status != 0) {
        rc = write_failed(stream, io_error_code(status));
        sent(stream, &stream->pending);
    } else if (stream->pending.len != 0) {
        rc = write_next(stream);
        if (rc == 0)
            return;
    } else if (stream->sending.cap > KEEP_CAPACITY) {
        buf_fini(&stream->sending);
    }
    if (stream->events.on_drain != NULL)
        stream->events.on_drain(stream->arg, rc);
}

/* Gives what is pending to libuv, which has nothing of ours at the moment. */
static int write_next(struct io_stream *stream)
{
    struct buf empty = stream->sending;
    uv_buf_t uv_buf;
    int rc;

    stream->sending = stream->pending;
    stream->pending = empty;
    uv_buf = (uv_buf_t){.base = stream->sending.data, .len = stream->sending.len};
    stream->write.data = stream;
    rc = uv_write(&stream->write, &stream->uv.stream, &uv_buf, 1, on_written);
    if (rc != 0)
        return write_failed(stream, io_error_code(rc));
    stream->writing = true;
    return 0;
}

int io_stream_write(struct io_stream *stream, const void *bytes, size_t n)
{
    const char *at = bytes;
    int rc;

    if (stream->broken != 0)
        return stream->broken;
    if (!stream->writing && n != 0) {
        uv_buf_t uv_buf = {.base = (char *)at, .len = n};

        rc = uv_try_write(&stream->uv.stream, &uv_buf, 1);
        if (rc < 0 && rc != UV_EAGAIN)
            return write_failed(stream, io_error_code(rc));
        if (rc > 0) {
            at += rc;
            n -= (size_t)rc;
        }
    }
    if (n == 0)
        return 0;
    rc = stream->discreet ? buf_append_secret(&stream->pending, at, n)
                          : buf_append(&stream->pending, at, n);
    if (rc != 0)
        return write_failed(stream, rc); /* a part may be out already: nothing can follow it */
    return stream->writing ? 0 : write_next(stream);
}

size_t io_stream_queued(const struct io_stream *stream)
{
    return stream->pending.len + uv_stream_get_write_queue_size(&stream->uv.stream);
}

ssize_t io_stream_try_writev(struct io_stream *stream, const struct slice *slices, unsigned count)
{
    uv_buf_t uv_bufs[IO_WRITEV_MAX];
    unsigned i;
    int rc;

    if (stream->broken != 0)
        return stream->broken;
    if (stream->writing)
        return ERR_AGAIN;
    if (count > IO_WRITEV_MAX)
        count = IO_WRITEV_MAX;
    for (i = 0; i < count; i++)
        uv_bufs[i] = (uv_buf_t){.base = (char *)slices[i].ptr, .len = slices[i].len};
    rc = uv_try_write(&stream->uv.stream, uv_bufs, count);
    if (rc < 0 && rc != UV_EAGAIN)
        return write_failed(stream, io_error_code(rc));
    return rc < 0 ? ERR_AGAIN : rc;
}

void io_stream_close(struct io_stream *stream)
{
    io_object_begin_close(&stream->object);
    if (stream->timer_open)
        io_object_close_handle((uv_handle_t *)&stream->timer);
    io_object_close_handle(&stream->uv.handle);
}

/* ---- about it ---- */

int io_stream_fd(const struct io_stream *stream)
{
    uv_os_fd_t fd;

    return uv_fileno(&stream->uv.handle, &fd) == 0 ? fd : -1;
}

int io_stream_peer(const struct io_stream *stream, uid_t *uid, gid_t *gid, pid_t *pid)
{
    struct ucred ucred;
    socklen_t len = sizeof ucred;

    if (getsockopt(io_stream_fd(stream), SOL_SOCKET, SO_PEERCRED, &ucred, &len) != 0)
        return error_from_errno(errno);
    *uid = ucred.uid;
    *gid = ucred.gid;
    *pid = ucred.pid;
    return 0;
}

bool io_stream_hung_up(const struct io_stream *stream)
{
    struct pollfd look = {.fd = io_stream_fd(stream)};

    return poll(&look, 1, 0) == 1 && (look.revents & (POLLHUP | POLLERR)) != 0;
}
