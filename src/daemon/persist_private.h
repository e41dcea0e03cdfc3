/* persist_private: what the files of persist share. Nobody else includes it. */
#ifndef HAWSER_DAEMON_PERSIST_PRIVATE_H
#define HAWSER_DAEMON_PERSIST_PRIVATE_H

#include <stdatomic.h>

#include "daemon/persist.h"

struct write_job {
    struct io_job job;
    struct persist *persist;
    size_t stored;     /* commit: records of the batch that are on disk already */
    bool states_saved; /* commit: without its records, which wait for space */
    bool made_room;    /* commit: retention had to go further than it was asked to */
    bool more;         /* retain: it has not done all yet */
    int64_t took_us;   /* commit */
    int status;
    struct error err;
};

struct persist {
    struct store_options options;
    char *path;
    struct store *store; /* NULL while it is closed for healing */
    struct store_info info;
    struct io_worker *writer, *reader;
    const struct persist_events *events;
    void *arg;
    char trouble[600];
    bool stalled;
    uint64_t commits;
    unsigned min_free_percent;
    struct histogram commit_us;
    /* By the store's number: the name, NULL where there is none, and the rest, which is the
     * writer's. A name is set once, and then stays: the reader's thread says it. */
    _Atomic(const char *) names[LIMIT_STREAMS];
    struct store_stream_options streams[LIMIT_STREAMS];
    _Atomic bool closed[LIMIT_STREAMS]; /* it is not opened again */

    struct write_job commit, retain, reopen;
    const struct hub_batch *batch; /* in flight; NULL: none */
    struct io_timer *stall_timer, *retry_timer, *retain_timer;
    bool retaining, closing, squeezed;
    bool reopening; /* the store is to be closed and opened: no new reads */

    struct {
        struct io_job job;
        struct list_node waiting;
        struct persist_read *current; /* NULL: nobody waits for the result any more */
        bool running;
        struct fanout_filter filter; /* a copy: the client may go meanwhile */
        char types[FANOUT_TYPES_MAX][LIMIT_EVENT_TYPE];
        struct store_read read;
        struct error err;
        struct buf gaps, bytes;
        uint64_t told[LIMIT_STREAMS];
        bool forgive;
        size_t max_lines;
        void (*visit)(void *arg, const struct store_event *event);
        void *visit_arg;
        struct persist_line lines[PERSIST_READ_LINES];
        size_t count;
    } cold;
};

/* persist_streams.c, on the writer's thread: after the store was opened anew, its streams are, too;
 * and which there are it is told. */
int persist_streams_reopen(struct persist *persist, struct error *err);
void persist_streams_keep(struct persist *persist);

#endif
