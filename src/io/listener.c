/*
 * A Unix listener. The socket is bound under a hidden name beside its path, given its group, mode
 * and backlog there, and then renamed: nobody ever sees it half made, and a program that connects
 * during a restart meets either the old process or the new one.
 */
#include "io/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

enum {
    ACCEPTS_PER_TURN = 32,  /* then the rest of the loop has its turn */
    ACCEPT_PAUSE_MS = 1000, /* after accept() failed for want of descriptors or memory */
    TEMPORARY_TRIES = 16,   /* names tried; each is one of 16 million */
    TEMPORARY_SUFFIX = 8,   /* "/.abcdef" */
    LISTEN_BACKLOG = 512,
};

struct io_listener {
    struct io_object object;
    uv_poll_t poll;
    uv_timer_t pause;
    int fd;
    dev_t device; /* of the socket we made, to know it again */
    ino_t inode;
    io_accept_cb cb;
    void *arg;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
};

/* ---- the file ---- */

static int system_error(struct error *err, const char *path, const char *what)
{
    int errnum = errno;

    return error_set(err, error_from_errno(errnum), "listen on %s: %s: %s", path, what,
                     uv_strerror(-errnum));
}

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, path, strlen(path)); /* checked_path saw to the length */
    return address;
}

/* Is there somebody? Connecting is the only way to know; an idle client for an instant does no
 * harm. */
static int check_abandoned(const char *path, struct error *err)
{
    struct sockaddr_un address = unix_address(path);
    int fd = new_socket();
    int errnum = 0;

    if (fd < 0)
        return system_error(err, path, "socket");
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        errnum = errno;
    close(fd);
    switch (errnum) {
    case ECONNREFUSED: /* nobody */
    case ENOENT:       /* gone since we looked */
        return 0;
    case 0:
    case EAGAIN: /* somebody with a full backlog */
        return error_set(err, ERR_BUSY, "listen on %s: another process is listening there", path);
    case EPROTOTYPE:
        return error_set(err, ERR_EXISTS, "listen on %s: a socket of another type is there", path);
    default:
        errno = errnum;
        return system_error(err, path, "there is a socket, and connecting to it failed");
    }
}

/* Looks at what is at the path: only nothing or an abandoned socket may be replaced. */
static int check_path(const char *path, bool *exists, struct error *err)
{
    struct stat st;

    *exists = false;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : system_error(err, path, "stat");
    *exists = true;
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, ERR_EXISTS, "listen on %s: a file that is no socket is there", path);
    return check_abandoned(path, err);
}

/* Binds fd to a fresh name in the directory of path, and writes that name to out. */
static int bind_temporary(int fd, const char *path, char *out, size_t size, struct error *err)
{
    const char *slash = strrchr(path, '/');
    int dir_len = slash != NULL ? (int)(slash - path) : 0;
    unsigned attempt;

    for (attempt = 0; attempt < TEMPORARY_TRIES; attempt++) {
        struct sockaddr_un address;
        unsigned number = 0;

        if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
            return system_error(err, path, "getrandom");
        snprintf(out, size, "%.*s%s.%06x", dir_len, path, slash != NULL ? "/" : "",
                 number & 0xFFFFFF);
        address = unix_address(out);
        if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0)
            return 0;
        if (errno != EADDRINUSE)
            break;
    }
    return system_error(err, path, "bind");
}

/* From a bound socket at `temporary` to one that others see at path. */
static int publish(struct io_listener *listener, const char *temporary, unsigned mode, gid_t gid,
                   bool replace, struct error *err)
{
    const char *path = listener->path;
    struct stat st;

    if (gid != (gid_t)-1 && chown(temporary, (uid_t)-1, gid) != 0)
        return system_error(err, path, "cannot give it to its group");
    if (chmod(temporary, mode) != 0)
        return system_error(err, path, "chmod");
    if (lstat(temporary, &st) != 0)
        return system_error(err, path, "stat");
    listener->device = st.st_dev;
    listener->inode = st.st_ino;
    if (listen(listener->fd, LISTEN_BACKLOG) != 0)
        return system_error(err, path, "listen");
    /* What appeared since check_path looked is not ours to remove. */
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, replace ? 0 : RENAME_NOREPLACE) != 0)
        return system_error(err, path, "rename");
    return 0;
}

static int open_socket(struct io_listener *listener, unsigned mode, gid_t gid, struct error *err)
{
    char temporary[sizeof listener->path];
    bool exists;
    int rc = check_path(listener->path, &exists, err);

    if (rc != 0)
        return rc;
    listener->fd = new_socket();
    if (listener->fd < 0)
        return system_error(err, listener->path, "socket");
    rc = bind_temporary(listener->fd, listener->path, temporary, sizeof temporary, err);
    if (rc != 0)
        goto err_after_socket;
    rc = publish(listener, temporary, mode, gid, exists, err);
    if (rc != 0)
        goto err_after_bind;
    return 0;

err_after_bind:
    unlink(temporary);
err_after_socket:
    close(listener->fd);
    return rc;
}

static void remove_socket(struct io_listener *listener)
{
    struct stat st;

    if (lstat(listener->path, &st) == 0 && st.st_dev == listener->device &&
        st.st_ino == listener->inode)
        unlink(listener->path);
    close(listener->fd);
}

/* ---- accepting ---- */

static void on_connection(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct io_listener *listener = timer->data;

    uv_poll_start(&listener->poll, UV_READABLE, on_connection);
}

/* The connection stays in the backlog; asking again at once would only burn the processor. */
static void accept_failed(struct io_listener *listener, int errnum)
{
    log_warning(NULL, NULL, "accept on %s: %s; trying again in %d s", listener->path,
                uv_strerror(-errnum), ACCEPT_PAUSE_MS / 1000);
    uv_poll_stop(&listener->poll);
    uv_timer_start(&listener->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct io_listener *listener = poll->data;
    unsigned i;

    (void)status; /* whatever poll says, accept4 says it again */
    (void)events;
    for (i = 0; i < ACCEPTS_PER_TURN && !listener->object.closing; i++) {
        struct io_stream *stream;
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        int rc;

        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            if (errno != EAGAIN)
                accept_failed(listener, errno);
            return;
        }
        rc = io_stream_from_fd(listener->object.loop, fd, &stream);
        if (rc == 0)
            listener->cb(listener->arg, stream);
        else
            log_warning(NULL, NULL, "client of %s dropped: %s", listener->path, error_text(rc));
    }
}

static void listener_close(struct io_object *object)
{
    io_listener_close((struct io_listener *)object);
}

/* The length of a path with room for the temporary name, which stands in the same directory. */
static bool path_fits(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t dir_len = slash != NULL ? (size_t)(slash - path) : 0;
    size_t size = sizeof((struct io_listener *)0)->path;

    return path[0] != '\0' && strlen(path) < size && dir_len + TEMPORARY_SUFFIX < size;
}

int io_unix_listen(struct io_loop *loop, const char *path, unsigned mode, gid_t gid,
                   io_accept_cb cb, void *arg, struct io_listener **out, struct error *err)
{
    struct io_listener *listener;
    int rc;

    if (!path_fits(path))
        return error_set(err, ERR_LIMIT, "listen on %s: the path is empty or over %zu bytes", path,
                         sizeof listener->path - 1);
    listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return error_set(err, ERR_NOMEM, "listen on %s: out of memory", path);
    memcpy(listener->path, path, strlen(path));
    listener->cb = cb;
    listener->arg = arg;
    rc = open_socket(listener, mode, gid, err);
    if (rc != 0)
        goto err_after_alloc;
    rc = uv_poll_init(&loop->uv, &listener->poll, listener->fd);
    if (rc != 0) {
        error_set(err, io_error_code(rc), "listen on %s: poll: %s", path, uv_strerror(rc));
        rc = io_error_code(rc);
        goto err_after_socket;
    }
    io_object_init(&listener->object, loop, listener_close);
    io_object_adopt(&listener->object, (uv_handle_t *)&listener->poll);
    uv_timer_init(&loop->uv, &listener->pause);
    io_object_adopt(&listener->object, (uv_handle_t *)&listener->pause);
    uv_poll_start(&listener->poll, UV_READABLE, on_connection);
    *out = listener;
    return 0;

err_after_socket:
    remove_socket(listener);
err_after_alloc:
    free(listener);
    return rc;
}

void io_listener_close(struct io_listener *listener)
{
    io_object_begin_close(&listener->object);
    io_object_close_handle((uv_handle_t *)&listener->poll);
    io_object_close_handle((uv_handle_t *)&listener->pause);
    /* uv_close has taken the descriptor out of the poll set: it may be closed now. */
    remove_socket(listener);
}
