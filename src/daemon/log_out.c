#include "daemon/log_out.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { JOURNAL_SNDBUF = 1 << 20 };

/* ---- standard error ---- */

void log_out_init(struct log_out *out, int fd)
{
    char path[32];
    struct stat st;
    int own;
    out->fd = fd;
    out->own = false;
    out->rest = 0;
    out->is_socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
    if (out->is_socket)
        return;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    own = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (own < 0)
        return;
    out->fd = own;
    out->own = true;
}

void log_out_fini(struct log_out *out)
{
    if (out->own)
        close(out->fd);
    out->own = false;
    out->fd = -1;
}

/* Where the descriptor is shared, and would block: a pipe that is ready takes a page. */
static bool is_ready(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLOUT};
    return poll(&look, 1, 0) == 1 && (look.revents & POLLOUT) != 0;
}

static ssize_t write_some(const struct log_out *out, const char *bytes, size_t n)
{
    if (out->is_socket)
        return send(out->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (!out->own && !is_ready(out->fd)) {
        errno = EAGAIN;
        return -1;
    }
    return write(out->fd, bytes, out->own || n < 4096 ? n : 4096);
}

/* Bytes taken. */
static size_t write_all(const struct log_out *out, const char *bytes, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t took = write_some(out, bytes + done, n - done);
        if (took < 0 && errno == EINTR)
            continue;
        if (took <= 0)
            break;
        done += (size_t)took;
    }
    return done;
}

static bool write_rest(struct log_out *out)
{
    size_t done = write_all(out, out->line, out->rest);
    out->rest -= done;
    memmove(out->line, out->line + done, out->rest);
    return out->rest == 0;
}

bool log_out_write(struct log_out *out, struct slice line)
{
    size_t done;
    if (line.len > sizeof(out->line) || (out->rest > 0 && !write_rest(out)))
        return false;
    done = write_all(out, line.ptr, line.len);
    if (done == 0)
        return false;
    out->rest = line.len - done;
    memcpy(out->line, line.ptr + done, out->rest);
    return true;
}

/* ---- journald's own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL) ----
 * libsystemd speaks it too, but over a descriptor of its own, which waits for a journald that
 * hangs. */

int log_out_journal_open(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int size = JOURNAL_SNDBUF;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path != NULL ? path : LOG_OUT_JOURNAL);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(fd);
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return fd;
}

/* "NAME\n", the length in 64 bits, the value, "\n": right for values of any bytes. */
bool log_out_journal(int fd, const struct log_out_field *fields, size_t n)
{
    struct iovec parts[LOG_OUT_FIELDS * 5];
    uint8_t lengths[LOG_OUT_FIELDS][8];
    struct msghdr message = {.msg_iov = parts};
    ssize_t sent;
    if (fd < 0 || n > LOG_OUT_FIELDS)
        return false;
    for (size_t i = 0; i < n; i++) {
        struct iovec *part = &parts[message.msg_iovlen];
        for (unsigned b = 0; b < 8; b++)
            lengths[i][b] = (uint8_t)((uint64_t)fields[i].value.len >> (8 * b));
        part[0] = (struct iovec){(char *)fields[i].name, strlen(fields[i].name)};
        part[1] = (struct iovec){(char *)"\n", 1};
        part[2] = (struct iovec){lengths[i], sizeof(lengths[i])};
        part[3] = (struct iovec){(char *)fields[i].value.ptr, fields[i].value.len};
        part[4] = (struct iovec){(char *)"\n", 1};
        message.msg_iovlen += 5;
    }
    do
        sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
}
