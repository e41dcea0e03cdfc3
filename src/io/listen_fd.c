/* Listening on a socket that this process was given: by a socket unit, or by a process before it.
 */
#include "io/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int option(int fd, int name, int *out)
{
    socklen_t len = sizeof *out;

    return getsockopt(fd, SOL_SOCKET, name, out, &len) != 0 ? error_from_errno(errno) : 0;
}

/* The path of a Unix socket, or ip:port. */
static int write_name(const struct sockaddr_storage *address, socklen_t len,
                      struct io_listening *out)
{
    const struct sockaddr_un *local = (const void *)address;
    struct io_address ip = {0};

    switch (address->ss_family) {
    case AF_UNIX:
        if (len <= offsetof(struct sockaddr_un, sun_path) || local->sun_path[0] == '\0')
            return ERR_INVAL; /* without a name, or with one that is no path */
        out->tcp = false;
        snprintf(out->name, sizeof out->name, "%.*s",
                 (int)(len - offsetof(struct sockaddr_un, sun_path)), local->sun_path);
        return 0;
    case AF_INET:
    case AF_INET6:
        memcpy(&ip, address, len < sizeof ip ? len : sizeof ip);
        out->tcp = true;
        io_address_format(&ip, out->name, sizeof out->name);
        return 0;
    default:
        return ERR_INVAL;
    }
}

int io_listening(int fd, struct io_listening *out)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    int type = 0, listens = 0;
    int rc = option(fd, SO_TYPE, &type);

    if (rc == 0)
        rc = option(fd, SO_ACCEPTCONN, &listens);
    if (rc != 0)
        return rc;
    if (type != SOCK_STREAM || !listens)
        return ERR_INVAL;
    if (getsockname(fd, (struct sockaddr *)(void *)&address, &len) != 0)
        return error_from_errno(errno);
    return write_name(&address, len, out);
}

int io_listen_fd(struct io_loop *loop, int fd, io_accept_cb cb, void *arg, struct io_listener **out,
                 struct error *err)
{
    struct io_listening listening;
    struct io_listener *listener;
    int rc = io_listening(fd, &listening);

    if (rc != 0)
        return error_set(err, rc, "listen on descriptor %d: not a Unix or TCP socket that listens",
                         fd);
    listener = listener_alloc(cb, arg);
    if (listener == NULL)
        return error_set(err, ERR_NOMEM, "listen on %s: out of memory", listening.name);
    listener->fd = fd;
    listener->tcp = listening.tcp;
    snprintf(listener->name, sizeof listener->name, "%s", listening.name);
    /* Whoever else holds the socket does not mind: it only waits for connections, if that. */
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        rc = error_set(err, error_from_errno(errno), "listen on %s: fcntl: %s", listening.name,
                       uv_strerror(-errno));
        goto err_after_alloc;
    }
    rc = listener_begin(loop, listener, err);
    if (rc != 0)
        goto err_after_alloc;
    *out = listener;
    return 0;

err_after_alloc:
    free(listener);
    return rc;
}

int io_listener_fd(const struct io_listener *listener)
{
    return listener->fd;
}

int io_listener_claim(struct io_listener *listener, const char *path, unsigned mode, gid_t gid,
                      struct error *err)
{
    struct stat st;

    if (strlen(path) >= sizeof listener->path)
        return error_set(err, ERR_LIMIT, "listen on %s: the path is too long", path);
    if (lstat(path, &st) != 0 || (gid != (gid_t)-1 && chown(path, (uid_t)-1, gid) != 0) ||
        chmod(path, mode) != 0)
        return error_set(err, error_from_errno(errno),
                         "listen on %s: cannot give it its group and mode: %s", path,
                         uv_strerror(-errno));
    memcpy(listener->path, path, strlen(path) + 1);
    snprintf(listener->name, sizeof listener->name, "%s", path);
    listener->device = st.st_dev;
    listener->inode = st.st_ino;
    return 0;
}

bool io_listener_file(const struct io_listener *listener, dev_t *device, ino_t *inode)
{
    *device = listener->device;
    *inode = listener->inode;
    return listener->path[0] != '\0';
}

void io_listener_leave(struct io_listener *listener)
{
    listener->path[0] = '\0';
}
