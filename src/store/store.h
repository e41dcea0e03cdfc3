/*
 * store: the durable event log, in LMDB. Blocking; one thread writes, any thread reads.
 *
 * Layout (format 1): one environment; a database `meta` (format, instance uuid, hash key, reserved
 * seq), a database of streams (name -> number, fingerprint, position, trimmed seq, counters), and
 * for each stream its own database of records keyed by the global seq and one of dedup keys, in the
 * order they came.
 * Decides: what is on disk, and when it is safe. Leaves: seq numbers to the caller.
 * Fails: the first failed write or sync makes the store sticky-failed: every later write returns
 * ERR_IO with the first error's text until it is closed and opened again. Never serves a record
 * whose checksum is wrong: ERR_CORRUPT names stream and seq.
 * Locking: a map is grown and a database opened only while no transaction is open in the process
 * (an internal reader-writer lock sees to it).
 */
#ifndef HAWSER_STORE_STORE_H
#define HAWSER_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/slice.h"

#define STORE_FORMAT 1

enum {
    STORE_LINE_MAX = 8 * LIMIT_MESSAGE_MAX, /* bytes of a record's line */
    STORE_BATCH_MAX = 256 * LIMIT_MIB,      /* bytes of file that one append may take */
};

/* Points where a test may make the store fail. Return 0 to go on, else an errno value. */
enum store_fault {
    STORE_FAULT_PUT,
    STORE_FAULT_COMMIT,
    STORE_FAULT_COMMIT_AFTER /* crash after */
};

struct store_options {
    const char *path;                                /* directory; made 0700 if missing */
    uint64_t retain_size_bytes;                      /* of the file */
    unsigned min_free_percent;                       /* of the file system */
    bool no_sync;                                    /* for simulations only */
    int (*fault)(void *arg, enum store_fault point); /* NULL outside tests */
    void *fault_arg;
};

struct store;
/* ERR_BUSY: another process has it. ERR_FORMAT: made by a newer hawser. ERR_CORRUPT, ERR_IO,
 * ERR_PERM, ERR_NOMEM. */
int store_open(const struct store_options *options, struct store **out, struct error *err);
/* No read may be under way. NULL is allowed. */
void store_close(struct store *store);
/* Whether it is sticky-failed: nothing can be written until it is closed and opened again. */
bool store_failed(const struct store *store);

struct store_info {
    char instance[37];     /* UUID of this store */
    uint8_t hash_key[16];  /* for dedup keys */
    uint64_t newest_seq;   /* newest stored, 0 if none */
    uint64_t oldest_seq;   /* oldest stored, newest + 1 if none */
    uint64_t reserved_seq; /* all up to here may have been used */
    uint64_t file_bytes;
};
void store_info(struct store *store, struct store_info *out);

struct store_stream_options {
    const char *name;
    struct slice fingerprint;
    uint64_t retain_size_bytes;
    int64_t retain_age_ms;
    unsigned dedup_window;
};
struct store_stream_state {
    unsigned id; /* small number for records; stays as long as the store */
    bool has_position;
    char position[LIMIT_POSITION];
    size_t position_len;
    bool fingerprint_changed; /* position and dedup keys of the old one have been dropped */
    uint64_t newest_seq;
};
/* Makes or finds a stream. Call with no read in flight on this thread. */
int store_stream_open(struct store *store, const struct store_stream_options *options,
                      struct store_stream_state *out, struct error *err);
/* The newest dedup_window keys, oldest first. */
int store_dedup_load(struct store *store, unsigned stream,
                     void (*visit)(void *arg, const uint8_t key[16]), void *arg, struct error *err);

enum store_kind { STORE_EVENT, STORE_GAP };
struct store_record {
    uint64_t seq; /* greater than any before */
    unsigned stream;
    enum store_kind kind;
    int64_t received_us;
    struct slice type, line;
    struct slice position; /* stored as the stream's position; .ptr NULL: unchanged */
    bool forget_position;
    bool has_key;
    uint8_t key[16];
};
/* All of them, the positions, the dedup keys and the reservation in ONE transaction that is on disk
 * when 0 is returned; nothing of it otherwise. reserve_seq: raise reserved_seq to this (0: leave).
 * ERR_FULL: no space, the store is as before and writable once there is room; else sticky. */
int store_append(struct store *store, const struct store_record *records, size_t count,
                 uint64_t reserve_seq, struct error *err);

struct store_event {
    uint64_t seq;
    unsigned stream;
    enum store_kind kind;
    int64_t received_us;
    struct slice type, line; /* valid during the visit only */
};
struct store_read {
    uint64_t streams[(LIMIT_STREAMS + 63) / 64]; /* by id */
    uint64_t after_seq, to_seq;                  /* (after, to] */
    /* Return false to stop before this event (it is not consumed). */
    bool (*visit)(void *arg, const struct store_event *event);
    /* Events of this stream from_seq..to_seq are gone by retention; called before later events. */
    void (*lost)(void *arg, unsigned stream, uint64_t from_seq, uint64_t to_seq);
    void *arg;
    size_t max_visits; /* bounds the read transaction */
    uint64_t done_seq; /* out: everything up to here has been visited or does not match */
};
/* Visits in seq order over all chosen streams. */
int store_read(struct store *store, struct store_read *read, struct error *err);

/* Deletes what retention asks for, in one bounded transaction; *more: call again. */
int store_retain(struct store *store, int64_t now_us, bool *more, struct error *err);

struct store_stream_info {
    uint64_t oldest_seq, newest_seq, trimmed_seq, records, bytes;
};
int store_stream_info(struct store *store, unsigned stream, struct store_stream_info *out,
                      struct error *err);

#endif
