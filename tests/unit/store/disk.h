/*
 * disk: a disk below LMDB that can be told to fail, and that notes what is written to it.
 *
 * The functions with which LMDB and the store write (pwrite, write, writev, fdatasync, fsync,
 * msync, ftruncate, fallocate) are defined in disk.c under their own names, which the linker
 * prefers to libc's. Only the store's data file is watched; everything else passes through.
 */
#ifndef TESTS_STORE_DISK_H
#define TESTS_STORE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum disk_kind {
    DISK_WRITE,
    DISK_SYNC,    /* all writes before it are on the medium when it has returned */
    DISK_SETSIZE, /* ftruncate, to `offset` */
};
struct disk_op {
    enum disk_kind kind;
    bool direct; /* a write to a descriptor of O_DSYNC: on the medium when it has returned */
    off_t offset;
    size_t size;
    uint8_t *bytes;
};

/* ---- failing ---- */
struct disk_fault {
    unsigned at;     /* the at-th call fails, 0: none does */
    bool persistent; /* and all after it */
    bool torn;       /* of a write, half of it is done before */
    int errnum;
    unsigned seen;
    bool hit;
};
extern struct disk_fault disk_fault;

/* ---- noting ---- */
void disk_record(bool on);
size_t disk_count(void);
const struct disk_op *disk_op(size_t number);
void disk_forget(void);

#endif
