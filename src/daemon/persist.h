/*
 * persist: the store behind its threads. One worker writes (commits, retention, reopening), another
 * reads for cold consumers, so that neither a slow disk nor a slow reader touches the loop.
 *
 * Decides: how a store that cannot take more is healed. No space: the same batch is tried again
 * each second (on a store opened anew, where the old one is spoilt), nothing is lost meanwhile; and
 * states are saved all the same, from what the store keeps in reserve.
 * Failed (an I/O error): what was not on disk is dropped, the store is closed, and opened again
 * every 5 s until that works; streams then start from what is on disk. Leaves: what streams do
 * meanwhile, to daemon (on_stalled, on_ready).
 */
#ifndef HAWSER_DAEMON_PERSIST_H
#define HAWSER_DAEMON_PERSIST_H

#include "base/histogram.h"
#include "base/list.h"
#include "engine/hub.h"
#include "io/io.h"
#include "store/store.h"

#define PERSIST_STALL_MS 10000 /* a commit that takes longer stalls the streams */
#define PERSIST_FULL_RETRY_MS 1000
#define PERSIST_REOPEN_MS 5000
#define PERSIST_RETAIN_MS 1000         /* between looks at retention */
#define PERSIST_LEAST_FREE (16u << 20) /* bytes left on a disk that is not called full */
#define PERSIST_READ_BYTES (256u << 10)
#define PERSIST_READ_LINES 4096

struct persist_events {
    void (*on_committed)(void *arg, int status); /* for hub_committed */
    /* The batch waits for space on the disk, but its states are there: for hub_waiting. */
    void (*on_waiting)(void *arg);
    void (*on_stalled)(void *arg, const char *why);
    /* It takes writes again. reopened: everything not on disk is gone, restore streams. */
    void (*on_ready)(void *arg, bool reopened);
};

struct persist;
int persist_open(struct io_loop *loop, const struct store_options *options,
                 const struct persist_events *events, void *arg, struct persist **out,
                 struct error *err);
/* Waits for the job that runs. */
void persist_close(struct persist *persist);
/* For start-up and on_ready only: at other times the writer may be closing it. */
struct store *persist_store(struct persist *persist);
/* As store_stream_open(); the stream is opened again whenever the store is. Options are copied. */
int persist_stream_open(struct persist *persist, const struct store_stream_options *options,
                        struct store_stream_state *state, struct error *err);

/* The same while the store is in use, by its writer; and what is on disk of the stream. */
#define PERSIST_KEPT 3
struct persist_opening {
    struct store_stream_options options; /* what they point to is borrowed until on_done */
    bool load;                           /* dedup keys and saved states, too */
    struct store_stream_state state;
    struct buf keys; /* dedup keys one behind the other, oldest first */
    struct persist_kept {
        const char *key;
        bool found;
        struct buf value;
        int64_t ago_ms;
    } kept[PERSIST_KEPT];
    /* status 0: it is open. ERR_BUSY: the store is not open just now. Never inline. */
    void (*on_done)(void *arg, int status, const struct error *err);
    void *arg;
    struct io_job job; /* persist's, as what follows */
    struct persist *persist;
    int status;
    struct error err, damaged;
};
void persist_opening_init(struct persist_opening *opening);
void persist_opening_fini(struct persist_opening *opening); /* not while it is under way */
void persist_opening_start(struct persist *persist, struct persist_opening *opening);
/* The stream is configured no more: it is not opened again when the store is, and is forgotten when
 * nothing is left of it, after the next persist_bounds_start(). */
void persist_stream_close(struct persist *persist, unsigned id);

/* Other bounds of the store, taken by its writer. */
struct persist_bounds {
    uint64_t retain_size_bytes;
    unsigned min_free_percent;
    void (*on_done)(void *arg);
    void *arg;
    struct io_job job; /* persist's, as what follows */
    struct persist *persist;
};
void persist_bounds_start(struct persist *persist, struct persist_bounds *bounds);
/* The store takes nothing just now, and nobody knows when it will. */
bool persist_is_stalled(const struct persist *persist);

void persist_commit(struct persist *persist, const struct hub_batch *batch);
/* Visits what hub_save() has stored, in key order, with how long ago by the wall clock (below 0: it
 * was set back). Damaged states are left out and said in the log. At the times of persist_store()
 * only. */
typedef void (*persist_state_visitor)(void *arg, struct slice key, struct slice value,
                                      int64_t ago_ms);
int persist_states(struct persist *persist, persist_state_visitor visit, void *arg,
                   struct error *err);
/* Saves them at once; at start-up only. */
int persist_put_states(struct persist *persist, const struct store_state *states, size_t n,
                       struct error *err);
/* As of the newest commit or look at retention. */
const struct store_info *persist_info(const struct persist *persist);
const char *persist_trouble(const struct persist *persist); /* NULL, or what is wrong, for status */
/* NULL, or what is not as it should be and stops nothing. */
const char *persist_warning(const struct persist *persist);
uint64_t persist_commits(const struct persist *persist);
/* How long commits took, in microseconds; of one that waited for space its last part. */
const struct histogram *persist_commit_times(const struct persist *persist);

/* One line of a page. */
struct persist_line {
    uint32_t end; /* where it ends in the page's bytes */
    uint64_t seq;
};

struct persist_page {
    /* Retention gaps, to be sent whole and before the lines: only so a reader that is cut off in
     * the middle of the page, and goes on behind the last line it got, has been told of all that is
     * missing before it. `told` is what read.told becomes by that. */
    struct slice gaps;
    const uint64_t *told;
    const char *bytes;
    const struct persist_line *lines;
    size_t count;
    uint64_t done_seq; /* all up to here was looked at */
};

/* A cold read for one subscription, in the caller's memory; one buffer serves all reads, in turn.
 */
struct persist_read {
    struct list_node node;
    const struct fanout_filter *filter;
    uint64_t after_seq, to_seq;
    uint64_t told[LIMIT_STREAMS]; /* by stream: losses up to here have been told */
    bool forgive; /* who asks for the oldest there is has lost nothing before: told is set so first
                   */
    size_t max_lines; /* 0: as many as a page has */
    /* Instead of a page, whose count is 0 then: each event of the filter's streams, whatever its
     * type, on the reader's thread; NULL: a page. */
    void (*visit)(void *arg, const struct store_event *event);
    /* The page is the reader's memory, for the call. err NULL: good. Never inline. */
    void (*on_done)(void *arg, const struct persist_page *page, const struct error *err);
    void *arg;
    bool queued;
};
void persist_read_start(struct persist *persist, struct persist_read *read);
void persist_read_cancel(struct persist *persist, struct persist_read *read);

#endif
