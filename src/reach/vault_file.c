#include "reach/vault_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/crc32c.h"

#define MAGIC "hawser-credentials "
enum { VERSION = 1, NUMBERS = 16 + 2 * 20 };

/* ---- writing ---- */

int vault_file_begin(struct buf *out, const struct vault_head *head)
{
    int rc = buf_appendf(out, MAGIC "%d\nasks %u %016llx\nsalt ", VERSION, head->asks,
                         (unsigned long long)head->sources_hash);
    for (size_t i = 0; rc == 0 && i < sizeof(head->salt); i++)
        rc = buf_appendf(out, "%02x", head->salt[i]);
    return rc != 0 ? rc : buf_append_byte(out, '\n');
}

size_t vault_file_room(size_t name_len, size_t value_len)
{
    return sizeof("secret     \n") + name_len + NUMBERS + base64_encoded_len(value_len);
}

int vault_file_add(struct buf *out, const struct vault_kept *kept)
{
    int rc = buf_appendf(out, "secret " SLICE_FMT " %016llx %lld %lld ", SLICE_ARG(kept->name),
                         (unsigned long long)kept->source_hash, (long long)kept->obtained_s,
                         (long long)kept->expires_s);
    if (rc == 0)
        rc = base64_encode(out, kept->value.ptr, kept->value.len);
    return rc != 0 ? rc : buf_append_byte(out, '\n');
}

int vault_file_end(struct buf *out)
{
    return buf_appendf(out, "crc %08x\n", crc32c(0, out->data, out->len));
}

/* ---- parsing ---- */

/* Takes the text up to the next `end` off *text; false: there is none. */
static bool take(struct slice *text, char end, struct slice *part)
{
    const char *at = slice_find_byte(*text, end);
    if (at == NULL)
        return false;
    *part = slice_make(text->ptr, (size_t)(at - text->ptr));
    *text = slice_from(*text, part->len + 1);
    return true;
}

static bool take_word(struct slice *text, const char *word)
{
    struct slice expected = slice_str(word);
    if (!slice_starts_with(*text, expected))
        return false;
    *text = slice_from(*text, expected.len);
    return true;
}

static bool parse_hex(struct slice text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *digit = memchr(digits, text.ptr[i], 16);
        if (digit == NULL)
            return false;
        *out = *out << 4 | (uint64_t)(digit - digits);
    }
    return text.len > 0 && text.len <= 16;
}

static bool parse_salt(struct slice text, uint8_t salt[16])
{
    uint64_t byte;
    for (size_t i = 0; i < 16; i++) {
        if (text.len != 32 || !parse_hex(slice_make(text.ptr + 2 * i, 2), &byte))
            return false;
        salt[i] = (uint8_t)byte;
    }
    return true;
}

/* The last line says that all before it are as they were written. */
static bool check_crc(struct slice *text)
{
    enum { CRC_LINE = sizeof("crc 01234567\n") - 1 };
    uint64_t crc;
    if (text->len < CRC_LINE)
        return false;
    struct slice line = slice_from(*text, text->len - CRC_LINE);
    text->len -= CRC_LINE;
    return take_word(&line, "crc ") && parse_hex(slice_make(line.ptr, 8), &crc) &&
           line.ptr[8] == '\n' && crc == crc32c(0, text->ptr, text->len);
}

static bool parse_secret(struct slice line, struct buf *value, struct vault_kept *kept)
{
    struct slice hash, obtained, expires;
    buf_clear(value);
    if (!take(&line, ' ', &kept->name) || !take(&line, ' ', &hash) ||
        !take(&line, ' ', &obtained) || !take(&line, ' ', &expires) ||
        kept->name.len > VAULT_NAME_MAX)
        return false;
    if (!parse_hex(hash, &kept->source_hash) || slice_parse_i64(obtained, &kept->obtained_s) != 0 ||
        slice_parse_i64(expires, &kept->expires_s) != 0 || base64_decode(value, line) != 0)
        return false;
    kept->value = buf_slice(value);
    return true;
}

static bool parse_lines(struct slice text, struct vault_head *head, struct buf *value,
                        void (*visit)(void *arg, const struct vault_kept *kept), void *arg)
{
    struct slice line, number;
    struct vault_kept kept;
    uint64_t asks;
    if (!take(&text, '\n', &line) || !take_word(&line, "asks ") || !take(&line, ' ', &number) ||
        slice_parse_u64(number, &asks) != 0 || asks > UINT_MAX ||
        !parse_hex(line, &head->sources_hash))
        return false;
    head->asks = (unsigned)asks;
    if (!take(&text, '\n', &line) || !take_word(&line, "salt ") || !parse_salt(line, head->salt))
        return false;
    while (take(&text, '\n', &line)) {
        if (!take_word(&line, "secret ") || !parse_secret(line, value, &kept))
            return false;
        visit(arg, &kept);
    }
    return text.len == 0;
}

int vault_file_parse(struct slice text, struct vault_head *head,
                     void (*visit)(void *arg, const struct vault_kept *kept), void *arg,
                     struct error *err)
{
    struct slice version;
    struct buf value;
    uint64_t number;
    bool whole = check_crc(&text);
    if (!whole || !take_word(&text, MAGIC) || !take(&text, '\n', &version) ||
        slice_parse_u64(version, &number) != 0)
        return error_set(err, ERR_CORRUPT, "it is damaged");
    if (number != VERSION)
        return error_set(err, ERR_FORMAT, "it has format %llu, this hawserd knows %d",
                         (unsigned long long)number, VERSION);
    buf_init(&value, VAULT_FILE_MAX);
    /* In one piece: growing would leave copies of secrets. */
    int rc = buf_reserve(&value, text.len);
    if (rc != 0)
        error_set(err, rc, "out of memory");
    else if (!parse_lines(text, head, &value, visit, arg))
        rc = error_set(err, ERR_CORRUPT, "it is damaged");
    buf_wipe(&value);
    buf_fini(&value);
    return rc;
}

/* ---- the disk ---- */

static int system_error(const char *what, const char *path, struct error *err)
{
    return error_set(err, error_from_errno(errno), "%s %s: %s", what, path, strerror(errno));
}

static int write_all(int fd, struct slice text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        text = slice_from(text, (size_t)n);
    }
    return fsync(fd);
}

/* A name is on disk when its directory is. */
static int sync_directory(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof(dir), "%.*s", slash != NULL ? (int)(slash - path) : 1,
             slash != NULL ? path : ".");
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int rc = fsync(fd);
    int saved = errno;
    close(fd);
    errno = saved;
    return rc;
}

int vault_file_write(const char *path, struct slice text, struct error *err)
{
    char temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof(temporary), "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof(temporary))
        return error_set(err, ERR_LIMIT, "write %s: the path is too long", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return system_error("make", temporary, err);
    /* One that a crash has left behind keeps its mode otherwise. */
    int rc = fchmod(fd, 0600);
    if (rc == 0)
        rc = write_all(fd, text);
    int saved = errno;
    if (close(fd) != 0 && rc == 0) {
        rc = -1;
        saved = errno;
    }
    errno = saved;
    if (rc == 0)
        rc = rename(temporary, path);
    if (rc == 0)
        return sync_directory(path) == 0 ? 0 : system_error("write the directory of", path, err);
    system_error("write", path, err);
    (void)unlink(temporary);
    return err != NULL ? err->code : ERR_IO;
}

int vault_file_read(const char *path, struct buf *out, struct error *err)
{
    struct stat st;
    int rc = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return system_error("read", path, err);
    if (fstat(fd, &st) != 0)
        rc = system_error("read", path, err);
    else if (!S_ISREG(st.st_mode) || st.st_size > VAULT_FILE_MAX)
        rc = error_set(err, ERR_CORRUPT, "%s is no file of ours", path);
    else if (buf_reserve(out, (size_t)st.st_size) != 0)
        rc = error_set(err, ERR_NOMEM, "read %s: out of memory", path);
    while (rc == 0 && out->len < (size_t)st.st_size) {
        ssize_t n = read(fd, out->data + out->len, (size_t)st.st_size - out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = system_error("read", path, err);
        if (n <= 0)
            break;
        out->len += (size_t)n;
    }
    close(fd);
    return rc;
}
