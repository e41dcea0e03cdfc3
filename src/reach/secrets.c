#include "reach/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"

static int read_all(int fd, const char *path, struct buf *out, struct error *err)
{
    char more;
    for (;;) {
        size_t room = LIMIT_SECRET - out->len;
        ssize_t n = room > 0 ? read(fd, out->data + out->len, room) : read(fd, &more, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, ERR_IO, "secret %s: %s", path, strerror(errno));
        if (n == 0)
            return 0;
        if (room == 0)
            return error_set(err, ERR_LIMIT, "secret %s is larger than %d bytes", path,
                             LIMIT_SECRET);
        out->len += (size_t)n;
    }
}

static int read_file(const char *path, bool strict, struct buf *out, struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, ERR_NOTFOUND,
                         "secret %s cannot be read: %s; put it there, readable by hawserd", path,
                         strerror(ENOENT));
    if (fd < 0)
        return error_set(
            err, ERR_PERM,
            "secret %s cannot be read: %s; let hawserd's user read it, as by chgrp and "
            "chmod 640",
            path, strerror(errno));
    int status = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        status = error_set(err, ERR_INVAL, "secret %s is not a regular file", path);
    else if (strict && (st.st_mode & S_IROTH) != 0)
        status = error_set(err, ERR_PERM, "secret %s can be read by others; chmod 600 it", path);
    else
        status = read_all(fd, path, out, err);
    close(fd);
    return status;
}

static bool credential_path(const char *source, char path[SECRET_PATH_SIZE])
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (dir == NULL)
        return false;
    snprintf(path, SECRET_PATH_SIZE, "%s/%s", dir, source + strlen("credential:"));
    return true;
}

static int read_source(const char *source, struct buf *out, struct error *err)
{
    if (strncmp(source, "file:", 5) == 0)
        return read_file(source + 5, true, out, err);
    if (strncmp(source, "env:", 4) == 0) {
        const char *value = getenv(source + 4);
        if (value == NULL)
            return error_set(err, ERR_NOTFOUND, "secret: environment variable %s is not set",
                             source + 4);
        return buf_append_str(out, value);
    }
    if (strncmp(source, "credential:", 11) == 0) {
        char path[SECRET_PATH_SIZE];
        if (!credential_path(source, path))
            return error_set(err, ERR_NOTFOUND,
                             "secret %s: no $CREDENTIALS_DIRECTORY; add LoadCredential=%s:PATH to "
                             "the unit, or use file:PATH",
                             source, source + 11);
        return read_file(path, false, out, err);
    }
    return error_set(err, ERR_INVAL, "secret: source must be file:, env:, credential: or exec:");
}

int secret_check(const char *source, struct buf *out, struct error *err)
{
    if (out->len > 0 && out->data[out->len - 1] == '\n')
        out->len--;
    if (out->len > 0 && out->data[out->len - 1] == '\r')
        out->len--;
    if (out->len == 0)
        return error_set(err, ERR_INVAL, "secret %s is empty", source);
    for (size_t i = 0; i < out->len; i++)
        if ((unsigned char)out->data[i] < 0x20 || out->data[i] == 0x7f)
            return error_set(err, ERR_INVAL,
                             "secret %s holds a control byte at offset %zu; it must be one line",
                             source, i);
    return 0;
}

int secret_read(const char *source, struct buf *out, struct error *err)
{
    /* In one piece: growing would leave copies behind. */
    int status = buf_reserve(out, LIMIT_SECRET);
    if (status != 0)
        return error_set(err, status, "secret %s: out of memory", source);
    status = read_source(source, out, err);
    return status != 0 ? status : secret_check(source, out, err);
}

bool secret_path(const char *source, char path[SECRET_PATH_SIZE])
{
    if (strncmp(source, "file:", 5) == 0)
        return snprintf(path, SECRET_PATH_SIZE, "%s", source + 5) < SECRET_PATH_SIZE;
    return strncmp(source, "credential:", 11) == 0 && credential_path(source, path);
}

bool secret_is_exec(const char *source)
{
    return source != NULL && strncmp(source, "exec:", 5) == 0;
}

int secret_exec(const char *source, struct secret_words *out, struct error *err)
{
    char *rest = out->text;
    char *word;
    unsigned n = 0;
    if (snprintf(out->text, sizeof(out->text), "%s", source + 5) >= (int)sizeof(out->text))
        return error_set(err, ERR_LIMIT, "secret exec: is longer than %d bytes", SECRET_PATH_SIZE);
    while ((word = strsep(&rest, " \t")) != NULL) {
        if (*word == '\0')
            continue;
        if (n == SECRET_WORDS_MAX)
            return error_set(err, ERR_LIMIT, "secret exec: has more than %d words",
                             SECRET_WORDS_MAX);
        out->argv[n++] = word;
    }
    out->argv[n] = NULL;
    if (n == 0 || out->argv[0][0] != '/')
        return error_set(err, ERR_INVAL, "secret exec: wants the whole path of a program");
    return 0;
}
