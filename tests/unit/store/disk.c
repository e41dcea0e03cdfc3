/* Both names of each function are defined: off_t has 64 bits anyway. */
#undef _FILE_OFFSET_BITS
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct disk_fault disk_fault;

static struct {
    bool on;
    struct disk_op *ops;
    size_t count, room;
} tape;

void disk_record(bool on)
{
    tape.on = on;
}

size_t disk_count(void)
{
    return tape.count;
}

const struct disk_op *disk_op(size_t number)
{
    return &tape.ops[number];
}

void disk_forget(void)
{
    for (size_t i = 0; i < tape.count; i++)
        free(tape.ops[i].bytes);
    free(tape.ops);
    memset(&tape, 0, sizeof tape);
}

static void note(struct disk_op op, const void *bytes)
{
    if (!tape.on)
        return;
    if (tape.count == tape.room) {
        tape.room = tape.room * 2 + 64;
        tape.ops = realloc(tape.ops, tape.room * sizeof *tape.ops);
    }
    if (bytes != NULL && op.size > 0) {
        op.bytes = malloc(op.size);
        memcpy(op.bytes, bytes, op.size);
    }
    tape.ops[tape.count++] = op;
}

/* The data file, also while the store is being made under another name. */
static bool watched(int fd)
{
    char link[32], path[512];
    ssize_t len;

    if (!tape.on && disk_fault.at == 0)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    len = readlink(link, path, sizeof path - 1);
    if (len < 0)
        return false;
    path[len] = '\0';
    return len > 4 && strcmp(path + len - 4, ".mdb") == 0 && strstr(path, "lock.mdb") == NULL;
}

static bool fails(void)
{
    struct disk_fault *f = &disk_fault;

    if (f->at == 0)
        return false;
    f->seen++;
    if (f->seen < f->at || (f->seen > f->at && !f->persistent))
        return false;
    f->hit = true;
    errno = f->errnum;
    return true;
}

static bool is_direct(int fd)
{
    return (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
}

static ssize_t write_at(int fd, const void *bytes, size_t size, off_t offset)
{
    ssize_t done;

    if (!watched(fd))
        return syscall(SYS_pwrite64, fd, bytes, size, offset);
    if (fails()) {
        if (disk_fault.torn)
            syscall(SYS_pwrite64, fd, bytes, size / 2, offset);
        errno = disk_fault.errnum;
        return -1;
    }
    done = syscall(SYS_pwrite64, fd, bytes, size, offset);
    if (done > 0)
        note((struct disk_op){DISK_WRITE, is_direct(fd), offset, (size_t)done, NULL}, bytes);
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return write_at(fd, bytes, size, offset);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    off_t at;
    ssize_t done;

    if (!watched(fd))
        return syscall(SYS_write, fd, bytes, size);
    at = lseek(fd, 0, SEEK_CUR);
    done = write_at(fd, bytes, size, at);
    if (done > 0)
        lseek(fd, at + done, SEEK_SET);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    ssize_t sum = 0;

    if (!watched(fd))
        return syscall(SYS_writev, fd, parts, count);
    for (int i = 0; i < count; i++) {
        ssize_t done = write(fd, parts[i].iov_base, parts[i].iov_len);

        if (done < 0)
            return sum > 0 ? sum : -1;
        sum += done;
    }
    return sum;
}

static int sync_file(int fd, long call)
{

    if (!tape.on && disk_fault.at == 0)
        return (int)syscall(call, fd);
    if (!watched(fd))
        return 0;
    if (fails())
        return -1;
    /* The page cache outlives the process: a real one would only take time. */
    note((struct disk_op){.kind = DISK_SYNC}, NULL);
    return 0;
}

int fdatasync(int fd)
{
    return sync_file(fd, SYS_fdatasync);
}

int fsync(int fd)
{
    return sync_file(fd, SYS_fsync);
}

int msync(void *at, size_t size, int flags)
{
    return (int)syscall(SYS_msync, at, size, flags);
}

int ftruncate(int fd, off_t size)
{
    int rc;

    if (!watched(fd))
        return (int)syscall(SYS_ftruncate, fd, size);
    if (fails())
        return -1;
    rc = (int)syscall(SYS_ftruncate, fd, size);
    if (rc == 0)
        note((struct disk_op){.kind = DISK_SETSIZE, .offset = size}, NULL);
    return rc;
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    if (watched(fd) && fails())
        return -1;
    return (int)syscall(SYS_fallocate, fd, mode, offset, size);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    return write_at(fd, bytes, size, offset);
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t size)
{
    return fallocate(fd, mode, offset, size);
}
