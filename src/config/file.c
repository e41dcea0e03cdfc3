/* The one file of this room that opens files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "config/file.h"

/* Reads all that there is, but no more than a byte over the limit, which tells that it is over. */
static int read_all(int fd, struct buf *b)
{
    for (;;) {
        ssize_t n;
        int rc;

        if (b->len == b->max)
            return 0;
        rc = buf_reserve(b, 1);
        if (rc != 0)
            return rc;
        n = read(fd, b->data + b->len, b->cap - b->len);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return error_from_errno(errno);
        if (n > 0)
            b->len += (size_t)n;
    }
}

static int cannot_read(const char *path, struct diag *diag)
{
    int errnum = errno;

    diag_add(diag, path, 0, "cannot be read: %s", strerror(errnum));
    return error_from_errno(errnum);
}

int ini_read_file(struct ini *ini, const char *path, struct diag *diag)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct buf b;
    int rc;

    if (fd < 0)
        return cannot_read(path, diag);
    buf_init(&b, LIMIT_INI_FILE + 1);
    rc = read_all(fd, &b);
    if (rc == 0)
        rc = ini_read_text(ini, path, buf_slice(&b), diag);
    else if (rc != ERR_NOMEM)
        rc = cannot_read(path, diag);
    buf_fini(&b);
    close(fd);
    return rc;
}

static int is_ini_name(const struct dirent *entry)
{
    struct slice name = slice_str(entry->d_name);

    return name.len > 4 && name.ptr[0] != '.' &&
           slice_eq(slice_from(name, name.len - 4), SLICE(".ini"));
}

/* By bytes: the order must not depend on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_each(struct ini *ini, const char *dir, struct dirent **names, int n,
                     struct diag *diag)
{
    struct buf path;
    int rc = 0;

    buf_init(&path, BUF_UNBOUNDED);
    for (int i = 0; i < n && rc != ERR_NOMEM; i++) {
        buf_clear(&path);
        rc = buf_appendf(&path, "%s/%s", dir, names[i]->d_name);
        if (rc == 0)
            rc = ini_read_file(ini, buf_cstr(&path), diag);
    }
    buf_fini(&path);
    return rc == ERR_NOMEM ? rc : 0;
}

int file_read_dir(struct ini *ini, const char *dir, struct diag *diag)
{
    struct dirent **names;
    int n = scandir(dir, &names, is_ini_name, by_name);
    int rc = 0;

    if (n < 0) {
        if (errno == ENOMEM)
            return ERR_NOMEM;
        if (errno != ENOENT)
            cannot_read(dir, diag);
        return 0;
    }
    if (n > FILE_DIR_MAX)
        diag_add(diag, dir, 0, "holds %d files, at most %d are read", n, (int)FILE_DIR_MAX);
    else
        rc = read_each(ini, dir, names, n, diag);
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return rc;
}
