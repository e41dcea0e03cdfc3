/* Both names of each function are defined: off_t has 64 bits anyway. */
#undef _FILE_OFFSET_BITS
/*
 * baddisk: a disk that is slow or fails, for a program that knows nothing of it (LD_PRELOAD).
 *
 * HAWSER_DISK names a directory: what is below it is on that disk. HAWSER_DISK_ORDERS names a file,
 * read before each call, whose first line is the order in force:
 *
 *     ok              all goes through, as without an order
 *     slow MS         a sync takes so long
 *     eio N [once]    the Nth write or sync from the order on fails, and all after it unless `once`
 *     nospace N [once]  the same of writes and claims, with ENOSPC: a disk that copies on write
 *     full            what has blocks can be written, and no file gets more of them
 *     readonly        nothing can be written, or opened for writing
 *
 * A new order counts from one again; another text, such as a comment after `#`, makes it new.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum call { CALL_WRITE, CALL_SYNC, CALL_OPEN };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char order[128];
static unsigned long calls; /* writes and syncs since the order came */

static void read_order(void)
{
    const char *name = getenv("HAWSER_DISK_ORDERS");
    char text[sizeof order];
    ssize_t len;
    int fd = name == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0)
        return;
    text[len] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (strcmp(text, order) != 0) {
        memcpy(order, text, sizeof order);
        calls = 0;
    }
}

static bool nth(const char *arguments)
{
    char *end;
    unsigned long at = strtoul(arguments, &end, 10);

    calls++;
    return calls == at || (calls > at && strstr(end, "once") == NULL);
}

/* The errno value that the call is to fail with, or 0; *wait_ms: after how long. */
static int decide(enum call call, bool grows, long *wait_ms)
{
    int errnum = 0;

    pthread_mutex_lock(&lock);
    read_order();
    *wait_ms = 0;
    if (strncmp(order, "slow ", 5) == 0 && call == CALL_SYNC)
        *wait_ms = strtol(order + 5, NULL, 10);
    else if (strncmp(order, "eio ", 4) == 0 && call != CALL_OPEN && nth(order + 4))
        errnum = EIO;
    else if (strncmp(order, "nospace ", 8) == 0 && call == CALL_WRITE && nth(order + 8))
        errnum = ENOSPC;
    else if (strncmp(order, "full ", 5) == 0 && call == CALL_WRITE && grows)
        errnum = ENOSPC;
    else if (strncmp(order, "readonly", 8) == 0 && call != CALL_SYNC)
        errnum = EROFS;
    pthread_mutex_unlock(&lock);
    return errnum;
}

/* Whether the call may go through; errno says why not. */
static bool allowed(enum call call, bool grows)
{
    long wait_ms;
    int errnum = decide(call, grows, &wait_ms);
    struct timespec pause = {wait_ms / 1000, wait_ms % 1000 * 1000000};

    while (wait_ms > 0 && nanosleep(&pause, &pause) != 0)
        ;
    if (errnum == 0)
        return true;
    errno = errnum;
    return false;
}

static bool below(const char *path)
{
    const char *directory = getenv("HAWSER_DISK");
    size_t len = directory == NULL ? 0 : strlen(directory);

    return len > 0 && strncmp(path, directory, len) == 0 && path[len] == '/';
}

/* The table of readers is shared memory that lies in a file. */
static bool ours(int fd)
{
    char link[40], path[512];
    ssize_t len;
    int before = errno;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    len = readlink(link, path, sizeof path - 1);
    errno = before;
    if (len < 0)
        return false;
    path[len] = '\0';
    return below(path) && strstr(path, "lock") == NULL;
}

/* A change of the file up to there. */
static bool may_write(int fd, off_t at, size_t size)
{
    struct stat st;
    bool grows = false;

    if (!ours(fd))
        return true;
    if (fstat(fd, &st) == 0)
        grows = (uint64_t)at + size > (uint64_t)st.st_blocks * 512;
    return allowed(CALL_WRITE, grows);
}

static off_t here(int fd)
{
    off_t at = lseek(fd, 0, SEEK_CUR);

    return at < 0 ? 0 : at;
}

static size_t sum(const struct iovec *parts, int count)
{
    size_t size = 0;

    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    return !may_write(fd, here(fd), size) ? -1 : syscall(SYS_write, fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    return !may_write(fd, at, size) ? -1 : syscall(SYS_pwrite64, fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    return pwrite(fd, bytes, size, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return !may_write(fd, here(fd), sum(parts, count)) ? -1 : syscall(SYS_writev, fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    return !may_write(fd, at, sum(parts, count)) ? -1
                                                 : syscall(SYS_pwritev, fd, parts, count, at, 0L);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    return pwritev(fd, parts, count, at);
}

int ftruncate(int fd, off_t size)
{
    return !may_write(fd, 0, 0) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t size)
{
    return !may_write(fd, at, (size_t)size) ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t size)
{
    return fallocate(fd, mode, at, size);
}

int fdatasync(int fd)
{
    return ours(fd) && !allowed(CALL_SYNC, false) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return ours(fd) && !allowed(CALL_SYNC, false) ? -1 : (int)syscall(SYS_fsync, fd);
}

static int open_file(int directory, const char *path, int flags, unsigned mode)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0;

    if (writes && below(path) && !allowed(CALL_OPEN, false))
        return -1;
    return (int)syscall(SYS_openat, directory, path, flags, mode);
}

#define OPEN(NAME)                                                                                 \
    int NAME(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list list;                                                                              \
        unsigned mode;                                                                             \
        va_start(list, flags);                                                                     \
        mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, unsigned) : 0;                  \
        va_end(list);                                                                              \
        return open_file(AT_FDCWD, path, flags, mode);                                             \
    }
OPEN(open)
OPEN(open64)
