#include "daemon/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/siphash.h"

#define PATH_SIZE 4096

static int read_all(int fd, const char *path, struct buf *out, struct error *err)
{
    for (;;) {
        if (buf_reserve(out, 512) != 0)
            return error_set(err, ERR_LIMIT, "secret %s is larger than %d bytes", path,
                             LIMIT_SECRET);
        ssize_t n = read(fd, out->data + out->len, 512);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, ERR_IO, "secret %s: %s", path, strerror(errno));
        if (n == 0)
            return 0;
        out->len += (size_t)n;
    }
}

static int read_file(const char *path, bool strict, struct buf *out, struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return error_set(err, errno == ENOENT ? ERR_NOTFOUND : ERR_PERM,
                         "secret %s cannot be read: %s; put it there, readable by hawserd", path,
                         strerror(errno));
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

static bool credential_path(const char *source, char path[PATH_SIZE])
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (dir == NULL)
        return false;
    snprintf(path, PATH_SIZE, "%s/%s", dir, source + strlen("credential:"));
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
        char path[PATH_SIZE];
        if (!credential_path(source, path))
            return error_set(err, ERR_NOTFOUND,
                             "secret %s: no $CREDENTIALS_DIRECTORY; add LoadCredential=%s:PATH to "
                             "the unit, or use file:PATH",
                             source, source + 11);
        return read_file(path, false, out, err);
    }
    return error_set(err, ERR_INVAL, "secret: source must be file:, env: or credential:");
}

int secret_read(const char *source, struct buf *out, struct error *err)
{
    int status = read_source(source, out, err);
    if (status != 0)
        return status;
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

uint64_t secret_file_stamp(const char *path)
{
    static const uint8_t key[16];
    struct stat st;
    if (path == NULL || stat(path, &st) != 0)
        return 0;
    const int64_t facts[] = {(int64_t)st.st_dev, (int64_t)st.st_ino, st.st_size,
                             st.st_mtim.tv_sec,  st.st_mtim.tv_nsec, st.st_ctim.tv_sec,
                             st.st_ctim.tv_nsec, (int64_t)st.st_mode};
    return siphash64(key, facts, sizeof(facts));
}

uint64_t secret_stamp(const char *source)
{
    char path[PATH_SIZE];
    if (strncmp(source, "file:", 5) == 0)
        return secret_file_stamp(source + 5);
    if (strncmp(source, "credential:", 11) == 0 && credential_path(source, path))
        return secret_file_stamp(path);
    return 0;
}
