/* The streams that the store has open, and what changes of it while it is in use. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/persist_private.h"

static bool same_options(const struct store_stream_options *a, const struct store_stream_options *b)
{
    return slice_eq(a->fingerprint, b->fingerprint) &&
           a->retain_size_bytes == b->retain_size_bytes && a->retain_age_ms == b->retain_age_ms &&
           a->dedup_window == b->dedup_window;
}

/* So that it can be opened again. The name is visible when its text is: a plain store would let the
 * reader's thread see the one without the other. */
static int remember(struct persist *persist, const struct store_stream_options *options,
                    unsigned id, struct error *err)
{
    struct store_stream_options *kept = &persist->streams[id];
    const char *name = atomic_load(&persist->names[id]);
    atomic_store(&persist->closed[id], false);
    if (name != NULL && same_options(kept, options))
        return 0;
    char *fingerprint = slice_dup(options->fingerprint);
    if (name == NULL)
        name = strdup(options->name);
    if (fingerprint == NULL || name == NULL) {
        free(fingerprint);
        if (name != atomic_load(&persist->names[id]))
            free((char *)name);
        return error_set(err, ERR_NOMEM, "out of memory");
    }
    free((char *)kept->fingerprint.ptr);
    *kept = *options;
    kept->fingerprint.ptr = fingerprint;
    kept->name = name;
    atomic_store(&persist->names[id], name);
    return 0;
}

int persist_stream_open(struct persist *persist, const struct store_stream_options *options,
                        struct store_stream_state *state, struct error *err)
{
    int status = store_stream_open(persist->store, options, state, err);
    return status != 0 ? status : remember(persist, options, state->id, err);
}

void persist_stream_close(struct persist *persist, unsigned id)
{
    atomic_store(&persist->closed[id], true);
}

void persist_opening_init(struct persist_opening *opening)
{
    *opening = (struct persist_opening){.load = false};
    buf_init(&opening->keys, BUF_UNBOUNDED);
    for (unsigned i = 0; i < PERSIST_KEPT; i++)
        buf_init(&opening->kept[i].value, STORE_STATE_VALUE);
}

void persist_opening_fini(struct persist_opening *opening)
{
    buf_fini(&opening->keys);
    for (unsigned i = 0; i < PERSIST_KEPT; i++) {
        buf_wipe(&opening->kept[i].value);
        buf_fini(&opening->kept[i].value);
    }
}

static void keep_key(void *arg, const uint8_t key[16])
{
    struct persist_opening *opening = arg;
    if (buf_append(&opening->keys, (const char *)key, 16) != 0)
        opening->status = ERR_NOMEM;
}

static void keep_state(void *arg, const struct store_state *state, int64_t saved_us)
{
    struct persist_opening *opening = arg;
    for (unsigned i = 0; i < PERSIST_KEPT; i++) {
        struct persist_kept *kept = &opening->kept[i];
        int64_t ago_us;
        if (kept->key == NULL || !slice_eq_str(state->key, kept->key))
            continue;
        if (__builtin_sub_overflow(io_wall_us(), saved_us, &ago_us))
            ago_us = 0;
        kept->ago_ms = ago_us / 1000;
        kept->found = buf_append_slice(&kept->value, state->value) == 0;
        if (!kept->found)
            opening->status = ERR_NOMEM;
    }
}

/* What is damaged is left out, and said; the rest is there. */
static int load(struct persist_opening *opening, struct error *err)
{
    struct store *store = opening->persist->store;
    int status = store_dedup_load(store, opening->state.id, keep_key, opening, err);
    if (status == ERR_CORRUPT)
        opening->damaged = *err;
    if (status == 0 || status == ERR_CORRUPT)
        status = store_states(store, keep_state, opening, err);
    if (status == ERR_CORRUPT)
        opening->damaged = *err;
    return status == ERR_CORRUPT ? 0 : status;
}

static void run_opening(struct io_job *job)
{
    struct persist_opening *opening = LIST_ENTRY(job, struct persist_opening, job);
    struct persist *persist = opening->persist;
    int status;
    opening->status = 0;
    opening->damaged.code = 0;
    if (persist->store == NULL) {
        opening->status = error_set(&opening->err, ERR_BUSY, "the store is not open just now");
        return;
    }
    status = store_stream_open(persist->store, &opening->options, &opening->state, &opening->err);
    if (status == 0)
        status = remember(persist, &opening->options, opening->state.id, &opening->err);
    if (status == 0 && opening->load)
        status = load(opening, &opening->err);
    if (status == 0 && opening->status != 0)
        status = error_set(&opening->err, opening->status, "out of memory");
    opening->status = status;
}

static void done_opening(struct io_job *job)
{
    struct persist_opening *opening = LIST_ENTRY(job, struct persist_opening, job);
    if (opening->damaged.code != 0)
        log_error(opening->options.name, NULL, "store: %s", opening->damaged.text);
    opening->on_done(opening->arg, opening->status, &opening->err);
}

void persist_opening_start(struct persist *persist, struct persist_opening *opening)
{
    opening->persist = persist;
    opening->job = (struct io_job){.run = run_opening, .done = done_opening};
    buf_clear(&opening->keys);
    for (unsigned i = 0; i < PERSIST_KEPT; i++) {
        opening->kept[i].found = false;
        buf_clear(&opening->kept[i].value);
    }
    io_worker_submit(persist->writer, &opening->job);
}

/* ---- bounds ---- */

static void run_bounds(struct io_job *job)
{
    struct persist_bounds *bounds = LIST_ENTRY(job, struct persist_bounds, job);
    struct persist *persist = bounds->persist;
    persist->options.retain_size_bytes = bounds->retain_size_bytes;
    persist->options.min_free_percent = bounds->min_free_percent;
    if (persist->store == NULL)
        return;
    store_configure(persist->store, bounds->retain_size_bytes, bounds->min_free_percent);
    persist_streams_keep(persist);
}

static void done_bounds(struct io_job *job)
{
    struct persist_bounds *bounds = LIST_ENTRY(job, struct persist_bounds, job);
    bounds->persist->min_free_percent = bounds->min_free_percent;
    bounds->on_done(bounds->arg);
}

void persist_bounds_start(struct persist *persist, struct persist_bounds *bounds)
{
    bounds->persist = persist;
    bounds->job = (struct io_job){.run = run_bounds, .done = done_bounds};
    io_worker_submit(persist->writer, &bounds->job);
}

/* ---- after a failure ---- */

int persist_streams_reopen(struct persist *persist, struct error *err)
{
    int status = 0;
    for (unsigned i = 0; status == 0 && i < LIMIT_STREAMS; i++) {
        struct store_stream_state state;
        if (persist->streams[i].name != NULL && !atomic_load(&persist->closed[i]))
            status = store_stream_open(persist->store, &persist->streams[i], &state, err);
    }
    return status;
}

void persist_streams_keep(struct persist *persist)
{
    const char *names[LIMIT_STREAMS];
    uint64_t kept[STORE_ID_WORDS];
    size_t n = 0;
    for (unsigned i = 0; i < LIMIT_STREAMS; i++)
        if (persist->streams[i].name != NULL && !atomic_load(&persist->closed[i]))
            names[n++] = persist->streams[i].name;
    store_streams_keep(persist->store, names, n, kept);
}
