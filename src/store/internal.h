/*
 * internal.h - what the files of this room share; nobody else includes it.
 *
 * Locks, in the order they are taken:
 *   write    one writer at a time: append, retain, stream_open; guards all that is not atomic below
 *   map      readers hold it shared while their transaction is open; exclusive to move the map and
 *            to open databases. The writer needs it for nothing else: only it moves the map.
 *   readers  the pool of idle read transactions
 */
#ifndef HAWSER_STORE_INTERNAL_H
#define HAWSER_STORE_INTERNAL_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "store/format.h"
#include "store/store.h"

/* What the transaction under way does to a stream; becomes true when it is on disk. */
struct pending {
    uint64_t first_seq;                  /* of the batch, 0: not in it */
    uint64_t last_seq;                   /* of the batch */
    uint64_t key_seq;                    /* the first with a dedup key */
    size_t keys;                         /* dedup keys in the batch */
    size_t keys_at;                      /* where they begin among the batch's keys, in keys */
    size_t keys_done;                    /* copied so far */
    uint64_t dedup;                      /* keys on disk afterwards */
    const struct store_record *position; /* the last that says something about it, or NULL */
    uint64_t trimmed_seq, oldest_seq;    /* retention */
};

struct stream {
    char name[LIMIT_STREAM_NAME + 1];
    unsigned id; /* as in row, which the writer writes while others read */
    MDB_dbi records, keys;
    bool opened;            /* in this process: has a share of the file, can be appended to */
    _Atomic bool removed;   /* it is not configured */
    _Atomic bool forgotten; /* and nothing is left of it but its place here */
    struct format_row row;
    uint64_t dedup;              /* keys on disk */
    _Atomic uint64_t oldest_seq; /* stored, 0: none */
    _Atomic uint64_t newest_seq; /* ever stored, 0: none */
    struct pending pending;
    MDB_cursor *cursor; /* of the transaction under way */
};

struct reader {
    struct reader *next;
    MDB_txn *txn;
    MDB_cursor *cursors[LIMIT_STREAMS];
};

enum { STORE_SUSPICION = 128 /* bytes, with its NUL */ };

struct store {
    struct store_options options;
    char *path;
    int lock_fd;
    char suspicion[STORE_SUSPICION]; /* why it is to be checked; "": no reason */
    _Atomic bool suspected;          /* since it was opened, and that is noted */
    MDB_env *env;
    MDB_dbi meta, names;
    MDB_dbi states;
    uint32_t format; /* on disk */
    struct format_instance instance;
    uint64_t page_bytes;

    pthread_mutex_t write;
    struct error failed;   /* code 0: none */
    uint64_t reserved_seq; /* on disk */
    uint64_t map_bytes;
    uint64_t map_outside;   /* what to return to from the reserve, 0: not in it */
    uint64_t claimed_bytes; /* the file's blocks up to here are ours */
    bool tight;             /* the file system gives no more */
    uint64_t starved_bytes; /* what the last refused append needs */
    uint64_t starved_streams[(LIMIT_STREAMS + 63) / 64]; /* and for which streams, by id */
    uint64_t states_bytes;                               /* pages of the saved states */
    struct buf key_scratch; /* dedup keys of a batch, ordered by stream */
    unsigned retain_next;

    pthread_rwlock_t map;
    bool unmapped;                         /* growing failed half-way: nothing can be read */
    struct stream *streams[LIMIT_STREAMS]; /* by id */

    _Atomic bool is_failed;
    _Atomic uint64_t newest_seq;
    _Atomic uint64_t reserved_known; /* at least newest_seq */

    pthread_mutex_t readers_lock;
    struct reader *readers;
};

/* open.c */
int store_errno(struct error *err, const char *what, const char *path);
int store_open_env(struct store *store, const char *name, unsigned more_flags, struct error *err);
void store_close_env(struct store *store);

/* guard.c: the lock, and deaths inside the store */

/* Sees to it that this process's death inside a store will be known. */
void store_guard(void);
/* Around all that touches the map or LMDB, by thread: a fault in between is the store's. */
void store_enter(const struct store *store);
void store_leave(void);
void store_on_assert(MDB_env *env, const char *text);
/* LMDB has found damaged pages: to be checked when it is opened next. From inside only. */
void store_suspect(struct store *store, const char *why);
/* Takes the lock; store->suspicion says why it is to be checked, if it is. */
int store_lock(struct store *store, struct error *err);
/* The store has been found sound. */
void store_clear_suspicion(struct store *store);

/* check.c: looking at all of it, if it is suspected. ERR_CORRUPT: it must not be opened. ERR_IO:
 * the check was given up. */
int store_check(struct store *store, struct error *err);

/* In the child that checks. */
struct store_check {
    int fd; /* where it reports, -1: nowhere */
    bool damaged;
    size_t found;        /* things that are damaged */
    uint64_t went, told; /* bytes looked at, and when it last said so */
};
enum {                          /* kinds of lines in the report */
       STORE_CHECK_AT = '@',    /* it comes to this now */
       STORE_CHECK_WENT = '=',  /* bytes looked at so far */
       STORE_CHECK_VALUE = '-', /* a damaged value: not served, the rest is */
       STORE_CHECK_MORE = '+',
       STORE_CHECK_FATAL = '!', /* what keeps the store shut */
};
void store_check_say(struct store_check *check, char kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void store_check_went(struct store_check *check, uint64_t bytes);

/* pages.c, rows.c: the two passes; the second only when the first has found nothing. */
void store_check_pages(struct store_check *check, const char *path);
void store_check_rows(struct store_check *check, const struct store *store);

/* create.c */
int store_make_dir(const char *path, struct error *err);
/* Makes the data file where there is none. */
int store_create(struct store *store, struct error *err);

/* upgrade.c: to STORE_FORMAT. */
int store_upgrade(struct store *store, struct error *err);

/* write.c: errors and write transactions */

/* Describes an LMDB code or errno value, as one of ours. */
int store_lmdb_error(struct store *store, int rc, const char *what, struct error *err);
/* 0, or the error that made the store sticky. */
int store_sticky(struct store *store, struct error *err);
/* The fault that a test asked for here, as an errno value, else 0. */
static inline int store_fault(struct store *store, enum store_fault point)
{
    return store->options.fault == NULL ? 0 : store->options.fault(store->options.fault_arg, point);
}

/* Works in the transaction; returns an LMDB code, and in *what the step that failed. May run
 * several times, each time in a fresh transaction. */
typedef int (*store_body)(struct store *store, MDB_txn *txn, void *arg, const char **what);
enum store_write_mode {
    STORE_WRITE_GROW,    /* the file may grow as far as the bounds allow */
    STORE_WRITE_OPEN,    /* the same; opens databases: no reader while it runs */
    STORE_WRITE_RESERVE, /* makes room: may use the reserve */
};
/* Runs the body in one transaction, which is on disk when 0 is returned. The caller holds `write`.
 * need: bytes by which the file may have to grow. */
int store_write(struct store *store, enum store_write_mode mode, uint64_t need, store_body body,
                void *arg, struct error *err);
int store_put(struct store *store, MDB_txn *txn, MDB_dbi dbi, struct slice key, struct slice value);
/* Where it is more than what is reserved already. */
int store_put_reserved(struct store *store, MDB_txn *txn, uint64_t seq);

/* space.c */

/* Pages in use, the end of the file. Only for the writer or with `map` held. */
uint64_t store_file_end(struct store *store);
/* What the records and all else may fill, and the reserve on top of it that retention may use. */
uint64_t store_bound(const struct store *store);
/* Sees to it that the file can take `need` more bytes, or that LMDB knows that it cannot. */
int store_fit(struct store *store, uint64_t need, struct error *err);
/* After MDB_MAP_FULL: more map, or ERR_FULL. */
int store_grow(struct store *store, struct error *err);
int store_enter_reserve(struct store *store, struct error *err);
int store_leave_reserve(struct store *store, struct error *err);

/* streams.c */
int store_streams_load(struct store *store, MDB_txn *txn, struct error *err);
int store_put_row(struct store *store, MDB_txn *txn, const char *name,
                  const struct format_row *row);

/* forget.c: for the writer */

/* One whose id a new stream may get, with all that it still has: NULL: none. */
struct stream *store_stream_to_evict(const struct store *store);
/* In a transaction; one of the others when that is on disk. */
int store_forget(struct store *store, MDB_txn *txn, const struct stream *stream);
void store_forgotten(struct store *store, struct stream *stream);
void store_evicted(struct store *store); /* its place is taken at once */

/* state.c */
int store_states_check(const struct store_state *states, size_t count, struct error *err);
int store_states_measure(struct store *store, MDB_txn *txn);
/* Of file that they may take. */
uint64_t store_states_bytes(const struct store *store, const struct store_state *states,
                            size_t count);
int store_states_put(struct store *store, MDB_txn *txn, const struct store_state *states,
                     size_t count, int64_t now_us);

/* read.c */

/* Begins a read transaction; holds `map` until store_reader_give. */
int store_reader_take(struct store *store, struct reader **out, struct error *err);
void store_reader_give(struct store *store, struct reader *reader);
/* A cursor on one of the stream's databases; the caller closes nothing. */
int store_reader_cursor(struct reader *reader, const struct stream *stream, MDB_cursor **out);
/* Its row as of the transaction; the one in memory is the writer's. */
int store_reader_row(struct store *store, struct reader *reader, const struct stream *stream,
                     struct format_row *row, struct error *err);
void store_readers_free(struct store *store);

/* A key of e. and d.; 0 when it is not one. */
static inline uint64_t store_seq(const MDB_val *key)
{
    uint64_t seq = 0;

    if (key->mv_size == sizeof seq)
        memcpy(&seq, key->mv_data, sizeof seq);
    return seq;
}

static inline MDB_val store_val(const void *data, size_t size)
{
    return (MDB_val){size, (void *)(uintptr_t)data};
}

#endif
