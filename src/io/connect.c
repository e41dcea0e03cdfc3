#include "io/internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

enum { ADDRESS_TEXT = 64 }; /* "[IPv6]:port" and NUL */

/*
 * NODELAY: messages are small and each waits for nobody. Keepalive and the user timeout let the
 * kernel find a dead peer even where the protocol above is silent. A kernel that refuses one of
 * them leaves a connection that works as well without, so failures are no reason to stop.
 */
static void set_tcp_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, IO_TCP_KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, IO_TCP_KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, IO_TCP_KEEPALIVE_COUNT},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, IO_TCP_USER_TIMEOUT_MS},
    };
    size_t i;

    for (i = 0; i < sizeof options / sizeof options[0]; i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

/* The one call of the callback; the timer is not needed any more. */
static void connect_finish(struct io_stream *stream, int status, const struct error *err)
{
    io_connect_cb cb = stream->connect_cb;

    stream->connect_cb = NULL;
    stream->timer_open = false;
    io_object_close_handle((uv_handle_t *)&stream->timer);
    cb(stream->connect_arg, status, err);
}

static int connect_error(const struct io_address *address, int uv_status, struct error *err)
{
    char text[ADDRESS_TEXT];

    io_address_format(address, text, sizeof text);
    return error_set(err, io_error_code(uv_status), "connect to %s: %s", text,
                     uv_strerror(uv_status));
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct io_stream *stream = connect->data;
    struct error err;

    io_turn_begin(stream->object.loop);
    /* Closed, or told already that time is up. */
    if (stream->object.closing || stream->connect_cb == NULL)
        return;
    if (status == 0)
        connect_finish(stream, 0, NULL);
    else
        connect_finish(stream, connect_error(&stream->peer, status, &err), &err);
}

static void on_connect_timeout(uv_timer_t *timer)
{
    struct io_stream *stream = timer->data;
    char text[ADDRESS_TEXT];
    struct error err;

    io_address_format(&stream->peer, text, sizeof text);
    error_set(&err, ERR_TIMEOUT, "connect to %s: no answer within %g s", text,
              (double)stream->connect_timeout_ms / 1000);
    connect_finish(stream, ERR_TIMEOUT, &err);
}

int io_tcp_connect(struct io_loop *loop, const struct io_address *address, int64_t timeout_ms,
                   io_connect_cb cb, void *arg, struct io_stream **out, struct error *err)
{
    struct io_stream *stream = io_stream_alloc(loop);
    struct sockaddr_storage peer;
    int rc;

    if (stream == NULL)
        return error_set(err, ERR_NOMEM, "connect: out of memory");
    stream->discreet = true;
    stream->peer = *address;
    stream->connect_cb = cb;
    stream->connect_arg = arg;
    stream->connect_timeout_ms = timeout_ms;
    stream->connect.data = stream;
    uv_timer_init(&loop->uv, &stream->timer);
    io_object_adopt(&stream->object, (uv_handle_t *)&stream->timer);
    stream->timer_open = true;

    /* With a family the socket is made at once, so that options precede the first packet. */
    rc = uv_tcp_init_ex(&loop->uv, &stream->uv.tcp, address->u.family);
    if (rc != 0) {
        rc = connect_error(address, rc, err);
        io_object_begin_close(&stream->object);
        io_object_close_handle((uv_handle_t *)&stream->timer);
        return rc;
    }
    io_object_adopt(&stream->object, &stream->uv.handle);
    set_tcp_options(io_stream_fd(stream));
    memcpy(&peer, address, sizeof peer);
    rc = uv_tcp_connect(&stream->connect, &stream->uv.tcp, (const struct sockaddr *)&peer,
                        on_connect);
    if (rc != 0) {
        rc = connect_error(address, rc, err);
        io_stream_close(stream);
        return rc;
    }
    uv_timer_start(&stream->timer, on_connect_timeout, timeout_ms > 0 ? (uint64_t)timeout_ms : 0,
                   0);
    *out = stream;
    return 0;
}
