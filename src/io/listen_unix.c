/*
 * A Unix listener. The socket is bound under a hidden name beside its path, given its group, mode
 * and backlog there, and then renamed: nobody ever sees it half made, and a program that connects
 * during a restart meets either the old process or the new one.
 */
#include "io/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TEMPORARY_TRIES = 16, /* names tried; each is one of 16 million */
    TEMPORARY_SUFFIX = 8, /* "/.abcdef" */
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
    if (listen(listener->fd, IO_LISTEN_BACKLOG) != 0)
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

int io_listener_permit(struct io_listener *listener, unsigned mode, gid_t gid, struct error *err)
{
    struct stat st;

    if (listener->tcp || lstat(listener->path, &st) != 0 || st.st_dev != listener->device ||
        st.st_ino != listener->inode)
        return 0;
    if (gid != (gid_t)-1 && gid != st.st_gid && lchown(listener->path, (uid_t)-1, gid) != 0)
        return system_error(err, listener->path, "cannot give it to its group");
    if (chmod(listener->path, mode) != 0)
        return system_error(err, listener->path, "chmod");
    return 0;
}

void listener_unlink(struct io_listener *listener)
{
    struct stat st;

    if (lstat(listener->path, &st) == 0 && st.st_dev == listener->device &&
        st.st_ino == listener->inode)
        unlink(listener->path);
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
    listener = listener_alloc(cb, arg);
    if (listener == NULL)
        return error_set(err, ERR_NOMEM, "listen on %s: out of memory", path);
    memcpy(listener->path, path, strlen(path));
    snprintf(listener->name, sizeof listener->name, "%s", path);
    rc = open_socket(listener, mode, gid, err);
    if (rc != 0)
        goto err_after_alloc;
    rc = listener_begin(loop, listener, err);
    if (rc != 0)
        goto err_after_socket;
    *out = listener;
    return 0;

err_after_socket:
    listener_unlink(listener);
    close(listener->fd);
err_after_alloc:
    free(listener);
    return rc;
}
