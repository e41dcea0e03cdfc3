/*
 * store: the durable event log, in LMDB. Blocking; one thread writes, any thread reads.
 *
 * Layout (format 2, see format.h): one environment; a database `meta` (format, instance uuid, hash
 * key, reserved seq), a database of streams (name -> number, fingerprint, position, what retention
 * took), for each stream its own database of records keyed by the global seq and one of dedup
 * keys, in the order they came, and a database of saved states. An older format is upgraded when it
 * is opened. Decides: what is on disk, and when it is safe. Leaves: seq numbers to the caller, and
 * when to call store_retain: now and then, and after an append that found no room. Fails: the first
 * failed write or sync makes the store sticky-failed: every later write returns the first error
 * again (ERR_IO, ERR_CORRUPT, or ERR_FULL when it was for want of space in a commit) until it is
 * closed and opened again; what was stored before can be read until then, unless it was the switch
 * to the new pages that failed. Never serves a record whose checksum is wrong: ERR_CORRUPT names
 * stream and seq, and a read after it goes on behind it. Locking: a map is grown and a database
 * opened only while no transaction is open in the process (an internal reader-writer lock sees to
 * it). So callbacks must not call the store. A death inside (SIGBUS, SIGSEGV, an LMDB assertion; in
 * a callback too), or a page that LMDB finds to be damaged, is noted in the lock file: store_open
 * then has a child process check all of the store first, which takes as long as reading it, and
 * refuses it with ERR_CORRUPT while its pages are damaged. Owns for that the process's handlers of
 * the two signals, which hand every fault on.
 */
#ifndef HAWSER_STORE_STORE_H
#define HAWSER_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/slice.h"

#define STORE_FORMAT 2

enum {
    STORE_LINE_MAX = 8 * LIMIT_MESSAGE_MAX, /* bytes of a record's line */
    STORE_BATCH_MAX = 256 * LIMIT_MIB,      /* bytes of file that one append may take */
    STORE_STREAM_PAGES =
        12, /* of it, copied for a stream: two paths from root to leaf, and splits */
    STORE_COMMON_PAGES = 64, /* copied for the rest: names, meta, the free list */
};
#define STORE_STATE_KEY 128            /* bytes of a saved state's key */
#define STORE_STATE_VALUE (160 * 1024) /* bytes of its value */

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
    /* The keys, from number 0 on, of saved states that are the stream's own and go with it; false:
     * there are no more. On the thread that writes. NULL: there are none. */
    bool (*stream_state)(const char *stream, unsigned number, char key[STORE_STATE_KEY + 1]);
    /* Each second while store_open checks the store: bytes looked at so far. NULL is allowed. */
    void (*checking)(void *arg, uint64_t bytes);
    void *checking_arg;
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
/* As the options of these names, from now on. The file does not become smaller: what is beyond
 * retain_size goes by store_retain, and its blocks are used again. */
void store_configure(struct store *store, uint64_t retain_size_bytes, unsigned min_free_percent);

enum { STORE_ID_WORDS = (LIMIT_STREAMS + 63) / 64 }; /* a set of streams, by id */

/* The streams that are configured from now on. All others that the store knows are removed: what
 * they have goes as their last limits want it, and when nothing is left, store_retain forgets them.
 * Before the first store_stream_open; where it is never called nothing is forgotten. A stream that
 * is opened is not removed. kept: the ids of those of them that the store knows; whoever has saved
 * other ids must let go of them before a new stream is opened, for it may get them. */
void store_streams_keep(struct store *store, const char *const *names, size_t count,
                        uint64_t kept[STORE_ID_WORDS]);

struct store_stream_options {
    const char *name;
    struct slice fingerprint;
    uint64_t retain_size_bytes; /* pages of its records; 0: no limit of its own */
    int64_t retain_age_ms;      /* 0: no limit */
    unsigned dedup_window;      /* keys; 0: none are kept */
};
struct store_stream_state {
    unsigned id; /* small number for records; stays until the stream is forgotten */
    bool has_position;
    char position[LIMIT_POSITION];
    size_t position_len;
    bool fingerprint_changed; /* position and dedup keys of the old one have been dropped */
    uint64_t newest_seq;
};
/* Makes or finds a stream; again with other limits, to change them. Only an opened stream can be
 * appended to. Call with no read in flight on this thread. A name that is new where LIMIT_STREAMS
 * are known takes the place of a removed stream, which goes with all that it has: of those that
 * this process has not opened, the one whose newest event is the oldest. ERR_LIMIT: there is none.
 */
int store_stream_open(struct store *store, const struct store_stream_options *options,
                      struct store_stream_state *out, struct error *err);
/* The newest dedup_window keys, oldest first. ERR_CORRUPT: some are damaged; all others have been
 * visited. */
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
    bool forget_position;  /* the stream has none from here on */
    bool has_key;
    uint8_t key[16];
};
/* State of the daemon's that is no event: small values under names of the caller's choice. */
struct store_state {
    struct slice key, value; /* value.ptr NULL: delete */
};
/* Visits each saved state in key order; damaged ones are left out and told by ERR_CORRUPT at the
 * end. The slices are valid during the visit. */
int store_states(struct store *store,
                 void (*visit)(void *arg, const struct store_state *state, int64_t saved_us),
                 void *arg, struct error *err);

/* All of them, the positions, the dedup keys, the states and the reservation in ONE transaction
 * that is on disk when 0 is returned; nothing of it otherwise (a commit that failed may turn out to
 * be on disk once the store is opened again, as after a crash). reserve_seq: raise reserved_seq to
 * this (0: leave). ERR_FULL, and not store_failed(): no room, the store is as before; call
 * store_retain, then again; without records there is a reserve to be used up first. ERR_INVAL: seqs
 * do not increase, or a stream is not open. ERR_LIMIT: a bound above is exceeded, or the batch is
 * larger than retain_size. ERR_NOMEM. After these too the store is as before. */
int store_append(struct store *store, const struct store_record *records, size_t count,
                 uint64_t reserve_seq, struct error *err);
/* The same with states, each marked with the wall clock now_us. */
int store_append_with(struct store *store, const struct store_record *records, size_t count,
                      const struct store_state *states, size_t n_states, int64_t now_us,
                      uint64_t reserve_seq, struct error *err);

struct store_event {
    uint64_t seq;
    unsigned stream;
    enum store_kind kind;
    int64_t received_us;
    struct slice type, line; /* valid during the visit only */
};
struct store_read {
    uint64_t streams[STORE_ID_WORDS];
    uint64_t after_seq, to_seq; /* (after, to] */
    /* Return false to stop before this event (it is not consumed). Must not call the store. */
    bool (*visit)(void *arg, const struct store_event *event);
    /* Events of this stream from_seq..to_seq are gone by retention; called before later events.
     * Tells of what done_seq passes, no more: successive reads tell each range once, in pieces if
     * need be. May come after visit has returned false. NULL is allowed. */
    void (*lost)(void *arg, unsigned stream, uint64_t from_seq, uint64_t to_seq);
    void *arg;
    size_t max_visits; /* bounds the read transaction */
    uint64_t done_seq; /* out: everything up to here has been visited or does not match */
};
/* Visits in seq order over all chosen streams; ids that the store does not know are ignored.
 * ERR_CORRUPT: done_seq is one less than the damaged record's seq; all before it has been visited.
 */
int store_read(struct store *store, struct store_read *read, struct error *err);

/* Deletes what retention asks for, in one bounded transaction; *more: call again. A stream that is
 * removed keeps its last limits, and is forgotten when it has nothing left. ERR_FULL: there is no
 * room even for that. */
int store_retain(struct store *store, int64_t now_us, bool *more, struct error *err);

struct store_stream_info {
    uint64_t oldest_seq, newest_seq, trimmed_seq, records, bytes;
};
int store_stream_info(struct store *store, unsigned stream, struct store_stream_info *out,
                      struct error *err);

#endif
