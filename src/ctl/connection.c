#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "json/json.h"

static int connect_error(const char *path, int code, struct error *err)
{
    if (code == ENOENT || code == ECONNREFUSED)
        return error_set(err, ERR_NOTFOUND, "%s: %s; is hawserd running?", path, strerror(code));
    if (code == EACCES || code == EPERM)
        return error_set(err, ERR_PERM, "%s: %s; become root, or %s", path, strerror(code),
                         strcmp(path, CTL_DEFAULT_SOCKET) == 0
                             ? "use --socket with a listener that you may use"
                             : "join its group (`ls -l` shows it; group and mode of its [listen])");
    return error_set(err, ERR_IO, "%s: %s", path, strerror(code));
}

int connection_open(struct connection *connection, const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct slice greeting;
    *connection = (struct connection){.fd = -1, .reader_fd = -1};
    buf_init(&connection->in, CTL_LINE_MAX);
    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, ERR_LIMIT, "%s: longer than a socket's path may be", path);
    strcpy(address.sun_path, path);
    connection->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0)
        return error_set(err, ERR_IO, "socket: %s", strerror(errno));
    int status = 0;
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        status = connect_error(path, errno, err);
    if (status == 0)
        status = connection_line(connection, CTL_ANSWER_SECONDS * 1000, &greeting, err);
    if (status == 0 && !slice_starts_with(greeting, SLICE("{\"hawser\":")))
        status = error_set(err, ERR_PERM, "%s: %.*s", path, (int)greeting.len, greeting.ptr);
    if (status != 0)
        connection_close(connection);
    return status;
}

void connection_close(struct connection *connection)
{
    if (connection->fd >= 0)
        close(connection->fd);
    connection->fd = -1;
    connection->used = 0;
    buf_fini(&connection->in);
}

int connection_send(struct connection *connection, struct slice bytes, struct error *err)
{
    while (bytes.len > 0) {
        ssize_t n = send(connection->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, ERR_IO, "hawserd: %s", strerror(errno));
        bytes = slice_from(bytes, (size_t)n);
    }
    return 0;
}

static int read_more(struct connection *connection, int timeout_ms, struct error *err)
{
    struct pollfd wait[] = {{.fd = connection->fd, .events = POLLIN},
                            {.fd = connection->reader_fd}};
    int ready = poll(wait, 2, timeout_ms);
    if (ready < 0 && errno == EINTR)
        return 0;
    if (ready == 0)
        return error_set(err, ERR_TIMEOUT, "hawserd does not answer");
    connection->reader_gone = wait[1].revents != 0;
    if (connection->reader_gone)
        return error_set(err, ERR_EOF, "nobody reads what is printed");
    if (buf_reserve(&connection->in, 65536) != 0)
        return error_set(err, ERR_LIMIT, "a line of hawserd is too long");
    ssize_t n = recv(connection->fd, connection->in.data + connection->in.len, 65536, 0);
    if (n < 0 && errno != EINTR)
        return error_set(err, ERR_IO, "hawserd: %s", strerror(errno));
    if (n == 0)
        return error_set(err, ERR_EOF, "hawserd closed the connection");
    connection->in.len += n > 0 ? (size_t)n : 0;
    return 0;
}

int connection_line(struct connection *connection, int timeout_ms, struct slice *line,
                    struct error *err)
{
    size_t looked = connection->used;
    for (;;) {
        struct slice rest = slice_from(buf_slice(&connection->in), looked);
        const char *end = slice_find_byte(rest, '\n');
        if (end != NULL) {
            const char *begin = connection->in.data + connection->used;
            *line = slice_make(begin, (size_t)(end - begin));
            connection->used = (size_t)(end - connection->in.data) + 1;
            return 0;
        }
        buf_consume(&connection->in, connection->used);
        connection->used = 0;
        looked = connection->in.len;
        int status = read_more(connection, timeout_ms, err);
        if (status != 0)
            return status;
    }
}

int connection_write_request(struct buf *out, const char *op, const char *stream)
{
    int status = buf_appendf(out, "{\"op\":\"%s\"", op);
    if (stream != NULL && status == 0)
        status = buf_append_str(out, ",\"stream\":");
    if (stream != NULL && status == 0)
        status = json_write_string(out, slice_str(stream));
    return status == 0 ? buf_append_str(out, "}\n") : status;
}

int connection_ask_line(struct connection *connection, const struct ctl *ctl, struct slice request,
                        struct slice *answer)
{
    struct error err = {0};
    int status = connection_open(connection, ctl->socket, &err);
    if (status != 0) {
        fprintf(stderr, "hawserctl: %s\n", err.text);
        return CTL_UNREACHABLE;
    }
    status = connection_send(connection, request, &err);
    if (status == 0)
        status = connection_line(connection, CTL_ANSWER_SECONDS * 1000, answer, &err);
    if (status == 0)
        return CTL_OK;
    connection_close(connection);
    fprintf(stderr, "hawserctl: %s\n", err.text);
    return CTL_UNREACHABLE;
}

int connection_ask(struct connection *connection, const struct ctl *ctl, const char *op,
                   const char *stream, struct slice *answer)
{
    struct buf request;
    int result = CTL_UNREACHABLE;
    buf_init(&request, LIMIT_LINE_IN);
    if (connection_write_request(&request, op, stream) == 0)
        result = connection_ask_line(connection, ctl, buf_slice(&request), answer);
    else
        fprintf(stderr, "hawserctl: the stream's name is too long\n");
    buf_fini(&request);
    return result;
}
