#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "daemon/persist_private.h"
#include "wire/ndjson.h"

/* ---- writer ---- */

static void stall(struct persist *persist, const char *why)
{
    snprintf(persist->trouble, sizeof(persist->trouble), "%s", why);
    if (persist->stalled)
        return;
    persist->stalled = true;
    persist->events->on_stalled(persist->arg, persist->trouble);
}

static void heal(struct persist *persist, bool reopened)
{
    bool was_stalled = persist->stalled;
    persist->trouble[0] = '\0';
    persist->stalled = false;
    if (was_stalled || reopened)
        persist->events->on_ready(persist->arg, reopened);
}

/* States go with the last record, if they can. */
static int append(struct write_job *commit, size_t count)
{
    const struct hub_batch *batch = commit->persist->batch;
    bool last = commit->stored + count == batch->count;
    return store_append_with(commit->persist->store, batch->records + commit->stored, count,
                             batch->states, last ? batch->n_states : 0, io_wall_us(),
                             batch->reserve_seq, &commit->err);
}

/* The store knows how much the append that failed needs. */
static void make_room(struct write_job *commit)
{
    bool more = true;
    commit->made_room = true;
    while (more && store_retain(commit->persist->store, io_wall_us(), &more, NULL) == 0)
        ;
}

/* Where there is no space, retention is asked for some; where that is not enough for the whole
 * batch, it goes in parts. Positions stand with the last records that carry one, so a crash between
 * two parts fetches again what is known already. */
static void run_parts(struct write_job *commit)
{
    struct store *store = commit->persist->store;
    size_t count = commit->persist->batch->count, part = count - commit->stored;
    do {
        commit->status = append(commit, part);
        if (commit->status == ERR_FULL && !store_failed(store)) {
            make_room(commit);
            commit->status = append(commit, part);
        }
        if (commit->status == 0)
            commit->stored += part;
        else if (commit->status != ERR_FULL || store_failed(store) || part <= 1)
            return;
        part = commit->status == 0 ? count - commit->stored : part / 2;
    } while (commit->stored < count);
}

/* No space: the batch is kept, and tried again. */
static void wait_for_space(struct persist *persist, const struct error *err)
{
    if (persist->trouble[0] == '\0')
        log_write_id(LOG_ID_STORE_FAILING, LOG_LEVEL_ERROR, NULL, NULL,
                     "store: %s; nothing is lost, reading from upstream stops until there is room",
                     err->text);
    snprintf(persist->trouble, sizeof(persist->trouble), "%s", err->text);
    persist->reopening = store_failed(persist->store);
    io_timer_set(persist->retry_timer, PERSIST_FULL_RETRY_MS);
}

/* Retention that makes room within retain_size is business as usual; on a disk that is full it
 * takes events before their time. */
static bool disk_is_full(const struct persist *persist)
{
    struct statvfs fs;
    if (statvfs(persist->path, &fs) != 0)
        return false;
    uint64_t total = (uint64_t)fs.f_blocks * fs.f_frsize;
    uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
    uint64_t least = total / 100 * persist->min_free_percent;
    return left < (least > PERSIST_LEAST_FREE ? least : PERSIST_LEAST_FREE);
}

/* Said when it begins and when it ends, not for each batch. */
static void tell_squeezed(struct persist *persist, bool made_room)
{
    if (!made_room && !persist->squeezed)
        return;
    bool full = disk_is_full(persist);
    if (full && !persist->squeezed)
        log_warning(NULL, NULL,
                    "store: the disk is full; the oldest events go before their time to make room");
    if (!full && persist->squeezed)
        log_notice(NULL, NULL, "store: there is room on the disk again");
    persist->squeezed = full;
}

/* Records wait for space; states need hardly any. */
static void run_commit(struct io_job *job)
{
    struct write_job *commit = (struct write_job *)job;
    const struct hub_batch *batch = commit->persist->batch;
    struct store *store = commit->persist->store;
    int64_t began_us = io_clock_us();
    commit->states_saved = false;
    run_parts(commit);
    commit->took_us = io_clock_us() - began_us;
    if (commit->status != ERR_FULL || store_failed(store))
        return;
    commit->states_saved =
        batch->n_states == 0 || store_append_with(store, NULL, 0, batch->states, batch->n_states,
                                                  io_wall_us(), 0, NULL) == 0;
}

static void done_commit(struct io_job *job)
{
    struct write_job *commit = (struct write_job *)job;
    struct persist *persist = commit->persist;
    if (commit->status == ERR_FULL) {
        wait_for_space(persist, &commit->err);
        if (commit->states_saved)
            persist->events->on_waiting(persist->arg);
        return;
    }
    io_timer_clear(persist->stall_timer);
    persist->batch = NULL;
    tell_squeezed(persist, commit->status == 0 && commit->made_room);
    if (commit->status == 0) {
        if (persist->trouble[0] != '\0')
            log_write_id(LOG_ID_STORE_WELL, LOG_LEVEL_NOTICE, NULL, NULL,
                         "store: takes writes again");
        persist->commits++;
        histogram_add(&persist->commit_us, commit->took_us);
        store_info(persist->store, &persist->info);
        persist->events->on_committed(persist->arg, 0);
        heal(persist, false);
        return;
    }
    log_write_id(LOG_ID_STORE_FAILING, LOG_LEVEL_ERROR, NULL, NULL,
                 "store: %s; trying to open it again every %d s", commit->err.text,
                 PERSIST_REOPEN_MS / 1000);
    persist->events->on_committed(persist->arg, commit->status);
    stall(persist, commit->err.text);
    persist->reopening = true;
    io_timer_set(persist->retry_timer, PERSIST_REOPEN_MS);
}

void persist_commit(struct persist *persist, const struct hub_batch *batch)
{
    persist->batch = batch;
    persist->commit.err.code = 0;
    persist->commit.stored = 0;
    persist->commit.made_room = false;
    if (!persist->stalled)
        io_timer_set(persist->stall_timer, PERSIST_STALL_MS);
    io_worker_submit(persist->writer, &persist->commit.job);
}

static void on_stall_timer(void *arg)
{
    struct persist *persist = arg;
    char why[560];
    if (persist->trouble[0] != '\0')
        snprintf(why, sizeof(why), "%.520s", persist->trouble);
    else
        snprintf(why, sizeof(why), "a commit has taken more than %d s: the disk is slow or hung",
                 PERSIST_STALL_MS / 1000);
    log_write_id(LOG_ID_STORE_FAILING, LOG_LEVEL_ERROR, NULL, NULL,
                 "store: %s; upstream links rest until it goes on", why);
    stall(persist, why);
}

static void run_retain(struct io_job *job)
{
    struct write_job *retain = (struct write_job *)job;
    retain->more = false;
    retain->status =
        store_retain(retain->persist->store, io_wall_us(), &retain->more, &retain->err);
}

static void done_retain(struct io_job *job)
{
    struct write_job *retain = (struct write_job *)job;
    struct persist *persist = retain->persist;
    persist->retaining = false;
    if (retain->status == 0)
        store_info(persist->store, &persist->info);
    else
        log_warning(NULL, NULL, "store: retention: %s", retain->err.text);
    io_timer_set(persist->retain_timer,
                 retain->more && retain->status == 0 ? 1 : PERSIST_RETAIN_MS);
}

static void on_retain_timer(void *arg)
{
    struct persist *persist = arg;
    if (persist->reopening) { /* the writer has the store, which may not even be open */
        io_timer_set(persist->retain_timer, PERSIST_RETAIN_MS);
        return;
    }
    persist->retaining = true;
    io_worker_submit(persist->writer, &persist->retain.job);
}

/* ---- healing ---- */

static void run_reopen(struct io_job *job)
{
    struct write_job *reopen = (struct write_job *)job;
    struct persist *persist = reopen->persist;
    store_close(persist->store);
    persist->store = NULL;
    reopen->status = store_open(&persist->options, &persist->store, &reopen->err);
    if (reopen->status == 0)
        reopen->status = persist_streams_reopen(persist, &reopen->err);
    if (reopen->status == 0)
        persist_streams_keep(persist);
}

static void next_read(struct persist *persist);

/* What waited for space may be on disk after all: a commit can fail after its last write. */
static bool batch_is_stored(struct persist *persist)
{
    const struct hub_batch *batch = persist->batch;
    size_t *stored = &persist->commit.stored;
    while (*stored < batch->count && batch->records[*stored].seq <= persist->info.newest_seq)
        ++*stored;
    return batch->count > 0 && *stored == batch->count;
}

static void done_reopen(struct io_job *job)
{
    struct write_job *reopen = (struct write_job *)job;
    struct persist *persist = reopen->persist;
    if (reopen->status != 0) {
        snprintf(persist->trouble, sizeof(persist->trouble), "%s", reopen->err.text);
        log_error(NULL, NULL, "store: still not usable: %s", reopen->err.text);
        io_timer_set(persist->retry_timer, PERSIST_REOPEN_MS);
        return;
    }
    persist->reopening = false;
    store_info(persist->store, &persist->info);
    next_read(persist);
    if (persist->batch == NULL) {
        log_write_id(LOG_ID_STORE_WELL, LOG_LEVEL_NOTICE, NULL, NULL, "store: open again");
        heal(persist, true);
    } else if (batch_is_stored(persist)) {
        persist->commit.status = 0;
        done_commit(&persist->commit.job);
    } else {
        io_worker_submit(persist->writer, &persist->commit.job);
    }
}

/* The reader and retention must be out of the store before it is closed. */
static void on_retry_timer(void *arg)
{
    struct persist *persist = arg;
    if (!persist->reopening)
        io_worker_submit(persist->writer, &persist->commit.job);
    else if (persist->cold.running || persist->retaining)
        io_timer_set(persist->retry_timer, 50);
    else
        io_worker_submit(persist->writer, &persist->reopen.job);
}

/* ---- reader ---- */

/* False: the page is full, or there is no memory for it. */
static bool add_line(struct persist *persist, struct slice line, uint64_t seq)
{
    if (persist->cold.count == persist->cold.max_lines)
        return false;
    if (persist->cold.count > 0 && persist->cold.bytes.len + line.len > PERSIST_READ_BYTES)
        return false;
    int status = buf_append_slice(&persist->cold.bytes, line);
    if (status != 0) {
        /* Without an error the reader would come back for this line for ever. */
        if (persist->cold.count == 0)
            error_set(&persist->cold.err, status, "the line of seq %llu, %zu bytes: %s",
                      (unsigned long long)seq, line.len, error_text(status));
        return false;
    }
    persist->cold.lines[persist->cold.count++] =
        (struct persist_line){.end = (uint32_t)persist->cold.bytes.len, .seq = seq};
    return true;
}

static bool on_visit(void *arg, const struct store_event *event)
{
    struct persist *persist = arg;
    enum fanout_kind kind = event->kind == STORE_GAP ? FANOUT_GAP : FANOUT_EVENT;
    if (persist->cold.visit != NULL) {
        persist->cold.visit(persist->cold.visit_arg, event);
        return true;
    }
    if (!fanout_match(&persist->cold.filter, kind, event->stream, event->type))
        return true;
    return add_line(persist, event->line, event->seq);
}

static void on_lost(void *arg, unsigned stream, uint64_t from_seq, uint64_t to_seq)
{
    struct persist *persist = arg;
    const char *name = stream < LIMIT_STREAMS ? atomic_load(&persist->names[stream]) : NULL;
    if (name == NULL || to_seq <= persist->cold.told[stream])
        return;
    if (from_seq <= persist->cold.told[stream])
        from_seq = persist->cold.told[stream] + 1;
    if (ndjson_write_retention_gap(&persist->cold.gaps, name, from_seq, to_seq) == 0)
        persist->cold.told[stream] = to_seq;
    else
        error_set(&persist->cold.err, ERR_NOMEM, "out of memory to tell what retention took");
}

static void forgive_losses(struct persist *persist)
{
    for (unsigned i = 0; i < LIMIT_STREAMS; i++) {
        struct store_stream_info info;
        if ((persist->cold.read.streams[i / 64] >> (i % 64) & 1) != 0 &&
            store_stream_info(persist->store, i, &info, NULL) == 0)
            persist->cold.told[i] = info.trimmed_seq;
    }
}

static void run_read(struct io_job *job)
{
    struct persist *persist = LIST_ENTRY(job, struct persist, cold.job);
    struct error err = {0};
    persist->cold.err.code = 0;
    if (persist->cold.forgive)
        forgive_losses(persist);
    if (store_read(persist->store, &persist->cold.read, &err) != 0)
        persist->cold.err = err;
}

static void done_read(struct io_job *job)
{
    struct persist *persist = LIST_ENTRY(job, struct persist, cold.job);
    struct persist_read *read = persist->cold.current;
    persist->cold.current = NULL;
    if (read != NULL) {
        struct persist_page page = {
            .gaps = buf_slice(&persist->cold.gaps),
            .told = persist->cold.told,
            .bytes = persist->cold.bytes.data,
            .count = persist->cold.count,
            .lines = persist->cold.lines,
            .done_seq = persist->cold.read.done_seq,
        };
        read->on_done(read->arg, &page, persist->cold.err.code != 0 ? &persist->cold.err : NULL);
    }
    if (persist->cold.bytes.cap > 2 * PERSIST_READ_BYTES)
        buf_fini(&persist->cold.bytes); /* a giant line went by */
    /* Not before: on_done may have asked for more, and the reader's thread would have the page. */
    persist->cold.running = false;
    next_read(persist);
}

static void copy_filter(struct persist *persist, const struct fanout_filter *filter)
{
    persist->cold.filter = *filter;
    for (unsigned i = 0; i < filter->n_types; i++) {
        size_t n =
            filter->types[i].len < LIMIT_EVENT_TYPE ? filter->types[i].len : LIMIT_EVENT_TYPE;
        memcpy(persist->cold.types[i], filter->types[i].ptr, n);
        persist->cold.filter.types[i] = slice_make(persist->cold.types[i], n);
    }
}

static void next_read(struct persist *persist)
{
    struct list_node *node = list_first(&persist->cold.waiting);
    if (persist->cold.running || persist->reopening || persist->closing || node == NULL)
        return;
    struct persist_read *read = LIST_ENTRY(node, struct persist_read, node);
    list_remove(node);
    read->queued = false;
    persist->cold.running = true;
    persist->cold.current = read;
    persist->cold.count = 0;
    buf_clear(&persist->cold.bytes);
    buf_clear(&persist->cold.gaps);
    copy_filter(persist, read->filter);
    persist->cold.read = (struct store_read){
        .after_seq = read->after_seq,
        .to_seq = read->to_seq,
        .visit = on_visit,
        .lost = on_lost,
        .arg = persist,
        .max_visits = PERSIST_READ_LINES,
    };
    memcpy(persist->cold.read.streams, read->filter->streams, sizeof(read->filter->streams));
    memcpy(persist->cold.told, read->told, sizeof(read->told));
    persist->cold.forgive = read->forgive;
    persist->cold.visit = read->visit;
    persist->cold.visit_arg = read->arg;
    persist->cold.max_lines = PERSIST_READ_LINES;
    if (read->max_lines > 0 && read->max_lines < PERSIST_READ_LINES)
        persist->cold.max_lines = read->max_lines;
    io_worker_submit(persist->reader, &persist->cold.job);
}

void persist_read_start(struct persist *persist, struct persist_read *read)
{
    read->queued = true;
    list_push_back(&persist->cold.waiting, &read->node);
    next_read(persist);
}

void persist_read_cancel(struct persist *persist, struct persist_read *read)
{
    if (read->queued)
        list_remove(&read->node);
    read->queued = false;
    if (persist->cold.current == read)
        persist->cold.current = NULL;
}

/* ---- life ---- */

static void init_jobs(struct persist *persist)
{
    persist->commit = (struct write_job){.job = {.run = run_commit, .done = done_commit}};
    persist->retain = (struct write_job){.job = {.run = run_retain, .done = done_retain}};
    persist->reopen = (struct write_job){.job = {.run = run_reopen, .done = done_reopen}};
    persist->commit.persist = persist->retain.persist = persist->reopen.persist = persist;
    persist->cold.job = (struct io_job){.run = run_read, .done = done_read};
    list_init(&persist->cold.waiting);
    buf_init(&persist->cold.bytes, (size_t)STORE_LINE_MAX + PERSIST_READ_BYTES);
    buf_init(&persist->cold.gaps, BUF_UNBOUNDED); /* a line for each stream at most */
}

static const int64_t commit_bounds_us[] = {100,   250,   500,    1000,   2500,    5000,    10000,
                                           25000, 50000, 100000, 250000, 1000000, 10000000};

int persist_open(struct io_loop *loop, const struct store_options *options,
                 const struct persist_events *events, void *arg, struct persist **out,
                 struct error *err)
{
    struct persist *persist = calloc(1, sizeof(*persist));
    if (persist == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    histogram_init(&persist->commit_us, commit_bounds_us,
                   sizeof(commit_bounds_us) / sizeof(commit_bounds_us[0]));
    persist->options = *options;
    persist->path = strdup(options->path);
    persist->options.path = persist->path;
    persist->min_free_percent = options->min_free_percent;
    persist->events = events;
    persist->arg = arg;
    init_jobs(persist);
    int status = store_open(&persist->options, &persist->store, err);
    if (status == 0)
        status = io_worker_start(loop, "store-write", &persist->writer, err);
    if (status == 0)
        status = io_worker_start(loop, "store-read", &persist->reader, err);
    if (status == 0 && (io_timer_new(loop, on_stall_timer, persist, &persist->stall_timer) != 0 ||
                        io_timer_new(loop, on_retry_timer, persist, &persist->retry_timer) != 0 ||
                        io_timer_new(loop, on_retain_timer, persist, &persist->retain_timer) != 0))
        status = error_set(err, ERR_NOMEM, "out of memory");
    if (status != 0) {
        persist_close(persist);
        return status;
    }
    store_info(persist->store, &persist->info);
    io_timer_set(persist->retain_timer, PERSIST_RETAIN_MS);
    *out = persist;
    return 0;
}

void persist_close(struct persist *persist)
{
    if (persist == NULL)
        return;
    persist->closing = true;
    if (persist->writer != NULL)
        io_worker_stop(persist->writer);
    if (persist->reader != NULL)
        io_worker_stop(persist->reader);
    if (persist->stall_timer != NULL)
        io_timer_close(persist->stall_timer);
    if (persist->retry_timer != NULL)
        io_timer_close(persist->retry_timer);
    if (persist->retain_timer != NULL)
        io_timer_close(persist->retain_timer);
    store_close(persist->store);
    buf_fini(&persist->cold.bytes);
    buf_fini(&persist->cold.gaps);
    for (unsigned i = 0; i < LIMIT_STREAMS; i++) {
        free((char *)atomic_load(&persist->names[i]));
        free((char *)persist->streams[i].fingerprint.ptr);
    }
    free(persist->path);
    free(persist);
}

struct store *persist_store(struct persist *persist)
{
    return persist->store;
}

struct visit {
    persist_state_visitor visit;
    void *arg;
    int64_t now_us;
};

static void on_state(void *arg, const struct store_state *state, int64_t saved_us)
{
    struct visit *visit = arg;
    /* By any clock: the difference of two times that need not be sane. */
    int64_t ago_us;
    if (__builtin_sub_overflow(visit->now_us, saved_us, &ago_us))
        ago_us = 0;
    visit->visit(visit->arg, state->key, state->value, ago_us / 1000);
}

int persist_states(struct persist *persist, persist_state_visitor visitor, void *arg,
                   struct error *err)
{
    struct visit visit = {.visit = visitor, .arg = arg, .now_us = io_wall_us()};
    int status = store_states(persist->store, on_state, &visit, err);
    if (status != ERR_CORRUPT)
        return status;
    log_error(NULL, NULL, "store: %s", err->text);
    return 0;
}

int persist_put_states(struct persist *persist, const struct store_state *states, size_t n,
                       struct error *err)
{
    return store_append_with(persist->store, NULL, 0, states, n, io_wall_us(), 0, err);
}

const struct store_info *persist_info(const struct persist *persist)
{
    return &persist->info;
}

const char *persist_trouble(const struct persist *persist)
{
    return persist->trouble[0] != '\0' ? persist->trouble : NULL;
}

uint64_t persist_commits(const struct persist *persist)
{
    return persist->commits;
}

bool persist_is_stalled(const struct persist *persist)
{
    return persist->stalled || persist->reopening;
}

const struct histogram *persist_commit_times(const struct persist *persist)
{
    return &persist->commit_us;
}
