/* daemon: the daemon's wiring in miniature: the store and what ails it, starts, stops and deaths.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define STALL_MS 10000     /* as the daemon's: a commit that takes longer stalls the streams */
#define FULL_RETRY_MS 1000 /* a commit without space is tried again */
#define STOP_STREAMS_MS 3500
#define STOP_MS 5000
#define RETAIN_MS 1000

/* ---- what goes to disk besides events ---- */

static int append_batch(struct world *world, const struct hub_batch *batch, struct error *err)
{
    return store_append_with(world->store, batch->records, batch->count, batch->states,
                             batch->n_states, link_stream_ops.wall_us(world->feeds),
                             batch->reserve_seq, err);
}

/* ---- the hub's operations ---- */

static void op_commit(void *arg, const struct hub_batch *batch)
{
    struct world *world = arg;
    int64_t delay = world_delay(world, world->commit_ms);
    world->batch = batch;
    world->commit++;
    restraint_flying(world, batch);
    if (batch->reserve_seq > 0)
        cover(COVER_RESERVED);
    if (world->faults && rng_chance(&world->rng, 1, 500))
        delay += 2 * STALL_MS;
    world_plan(world, delay, WORLD_COMMIT, 0, world->commit, 0);
    world_plan(world, STALL_MS, WORLD_STALL, 0, world->commit, 0);
}

static void op_published(void *arg)
{
    (void)arg; /* consumers look by themselves */
}

static void op_room(void *arg)
{
    struct world *world = arg;
    if (!world->room_planned)
        world_plan(world, 0, WORLD_ROOM, 0, 0, 0);
    world->room_planned = true;
}

static void op_wanted(void *arg)
{
    struct world *world = arg;
    if (!world->flush_planned)
        world_plan(world, 0, WORLD_FLUSH, 0, 0, 0);
    world->flush_planned = true;
}

/* What was saved is on disk, or never will be. */
static void op_saved(void *arg, uint64_t ticket, bool lost)
{
    struct world *world = arg;
    if (lost)
        cover(COVER_SAVED_LOST);
    slots_saved(world, ticket, lost);
    named_saved(world, ticket, lost);
    for (unsigned i = 0; i < world->n_feeds; i++)
        stream_saved(world->feeds[i].stream, ticket, lost);
}

static const struct hub_ops hub_ops = {.commit = op_commit,
                                       .published = op_published,
                                       .room = op_room,
                                       .wanted = op_wanted,
                                       .saved = op_saved};

/* ---- the store ---- */

static int on_fault(void *arg, enum store_fault point)
{
    struct world *world = arg;
    int fault = world->fault;
    if (fault == 0 || point != world->fault_point)
        return 0;
    if (point == STORE_FAULT_PUT && !rng_chance(&world->rng, 1, 3))
        return 0;
    world->fault = 0;
    return fault;
}

static void open_store(struct world *world)
{
    struct error err = {0};
    struct store_info info;
    struct store_options options = {
        .path = world->directory,
        .retain_size_bytes = world->retain_bytes,
        .no_sync = true,
        .fault = on_fault,
        .fault_arg = world,
    };
    if (store_open(&options, &world->store, &err) != 0)
        world_violation(world, 5, "the store does not open: %s", err.text);
    store_info(world->store, &info);
    truth_opened(world, info.newest_seq);
}

static void on_key(void *arg, const uint8_t key[16])
{
    stream_restore_key(arg, key);
}

static void check_position(struct feed *feed, const struct store_stream_state *state)
{
    uint64_t position = 0;
    if (state->has_position &&
        slice_parse_u64(slice_make(state->position, state->position_len), &position) != 0)
        world_violation(feed->world, 7, "%s: the position is no number", feed->name);
    if (position != feed->position)
        world_violation(feed->world, 7, "%s: position %llu after a restart, not %llu", feed->name,
                        (unsigned long long)position, (unsigned long long)feed->position);
}

static void open_in_store(struct feed *feed, struct store_stream_state *state)
{
    struct world *world = feed->world;
    struct error err = {0};
    struct store_stream_options options = {
        .name = feed->name,
        .fingerprint = feed->profile->fingerprint,
        .retain_size_bytes = world->retain_stream,
        .retain_age_ms = world->retain_age_ms,
        .dedup_window = world->dedup_window,
    };
    if (store_stream_open(world->store, &options, state, &err) != 0)
        world_violation(world, 5, "%s does not open: %s", feed->name, err.text);
    check_position(feed, state);
}

/* As the daemon does at a start, and after a store that failed. */
static void restore(struct feed *feed, const struct store_stream_state *state)
{
    struct error err = {0};
    struct slice position = {NULL, 0};
    if (state->has_position)
        position = slice_make(state->position, state->position_len);
    stream_restore(feed->stream, position, state->fingerprint_changed, state->newest_seq > 0);
    if (store_dedup_load(feed->world->store, state->id, on_key, feed->stream, &err) != 0)
        world_violation(feed->world, 5, "%s: dedup keys: %s", feed->name, err.text);
}

/* ---- starting ---- */

static void start_hub(struct world *world, const struct store_info *info)
{
    struct hub_options options = {
        .ring_bytes = world->ring_bytes,
        .ring_entries = world->ring_entries,
        .deliver_received = world->received,
        .newest_seq = info->newest_seq,
        .reserved_seq = info->reserved_seq,
        .ops = &hub_ops,
        .ops_arg = world,
    };
    if (hub_new(&options, &world->hub) != 0)
        abort();
    if (hub_next_seq(world->hub) <= world->highest_seen_seq)
        world_violation(world, 6, "seq %llu would be used again; a consumer has seen %llu",
                        (unsigned long long)hub_next_seq(world->hub),
                        (unsigned long long)world->highest_seen_seq);
}

static void start_feed(struct feed *feed, const struct store_info *info)
{
    struct world *world = feed->world;
    struct store_stream_state state;
    open_in_store(feed, &state);
    feed->id = state.id;
    if (hub_stream_new(world->hub, feed->name, state.id, slice_str(""), &feed->hub_stream) != 0)
        abort();
    struct broker_client_options client = {.name = feed->name,
                                           .host = "sim.example:443",
                                           .credential = feed->name,
                                           .profile = feed->profile,
                                           .arg = feed};
    if (broker_client_new(world->broker, &client, &feed->broker) != 0)
        abort();
    struct stream_options options = {
        .name = feed->name,
        .profile = feed->profile,
        .hub = world->hub,
        .hub_stream = feed->hub_stream,
        .broker = feed->broker,
        .hash_key = info->hash_key,
        .dedup_window = world->dedup_window,
        .hold_bytes = world->hold_bytes,
        .seed = rng_u64(&world->rng),
        .start = feed->start,
        .ops = &link_stream_ops,
        .ops_arg = feed,
    };
    if (stream_new(&options, &feed->stream) != 0)
        abort();
    feed->deadline_ms = INT64_MAX;
    /* The fallback delivered: that is no waiting. And who had stopped begins anew. */
    bool excused = feed->state == SESSION_POLLING || feed->state == SESSION_STOPPED;
    feed->lived = false;
    if (!world->unclean || world->jumpy || excused)
        feed->restraint = (struct restraint){.excused = true};
    else
        restraint_new_life(feed);
    feed->state = SESSION_STARTING;
    restore(feed, &state);
}

/* What the daemon saved in its life before. */
static void on_state(void *arg, const struct store_state *state, int64_t saved_us)
{
    struct world *world = arg;
    int64_t ago_ms = (link_stream_ops.wall_us(world->feeds) - saved_us) / 1000;
    broker_restore(world->broker, state->key, state->value, ago_ms);
    named_restore(world, state);
    for (unsigned i = 0; i < world->n_feeds; i++) {
        char key[STORE_STATE_KEY + 1];
        stream_state_key(world->feeds[i].name, key);
        if (slice_eq_str(state->key, key))
            stream_restore_state(world->feeds[i].stream, state->value, ago_ms, false);
    }
}

void daemon_start(struct world *world)
{
    struct store_info info;
    struct error err = {0};
    world->life++;
    open_store(world);
    store_info(world->store, &info);
    start_hub(world, &info);
    slots_start(world);
    for (unsigned i = 0; i < world->n_feeds; i++)
        start_feed(&world->feeds[i], &info);
    if (store_states(world->store, on_state, world, &err) != 0)
        world_violation(world, 5, "saved states: %s", err.text);
    named_restored(world);
    world->alive = true;
    named_scan(world);
    world->phase = RUNNING;
    world->commit_failed = false;
    world->seen_in_life_seq = 0;
    world_trace(world, "hawserd starts, seq %llu", (unsigned long long)info.newest_seq);
    for (unsigned i = 0; i < world->n_feeds; i++)
        stream_start(world->feeds[i].stream);
    for (unsigned i = 0; i < world->n_feeds && !world->faults; i++)
        stream_resume(world->feeds[i].stream);
    for (unsigned i = 0; i < WORLD_CONSUMERS; i++)
        world_plan(world, (int64_t)world_below(world, 500), WORLD_CONNECT, i, 0, 0);
    world_plan(world, RETAIN_MS, WORLD_RETAIN, 0, 0, 0);
}

/* ---- dying and stopping ---- */

void daemon_free(struct world *world)
{
    for (unsigned i = 0; i < world->n_feeds; i++) {
        stream_free(world->feeds[i].stream);
        world->feeds[i].stream = NULL;
        world->feeds[i].request = 0;
        world->feeds[i].deadline_ms = INT64_MAX;
        broker_client_free(world->feeds[i].broker);
        world->feeds[i].broker = NULL;
        link_all_gone(&world->feeds[i]);
    }
    broker_free(world->broker);
    world->broker = NULL;
    world->broker_deadline_ms = INT64_MAX;
    hub_free(world->hub);
    store_close(world->store);
    world->hub = NULL;
    world->store = NULL;
    world->batch = NULL;
    world->alive = world->stalled = world->reopening = false;
    world->flush_planned = world->room_planned = false;
    world->fault = 0;
    world->life++;
    consumers_lost(world);
}

void daemon_kill(struct world *world)
{
    const struct hub_batch *batch = world->batch;
    struct error err = {0};
    world_trace(world, "hawserd dies%s", batch != NULL ? " with a commit in flight" : "");
    cover(COVER_CRASH);
    world->crashes++;
    if (batch != NULL)
        cover(COVER_CRASH_IN_FLIGHT);
    /* It may reach the disk, and nobody hears of it. */
    if (batch != NULL && world->store != NULL && world_per_mille(world, 500)) {
        truth_pending(world, batch);
        if (append_batch(world, batch, &err) == 0) {
            cover(COVER_CRASH_ON_DISK);
            restraint_saved(world, true);
        }
    }
    for (unsigned i = 0; i < world->n_feeds; i++)
        if (world->feeds[i].state == SESSION_LIVE)
            restraint_lived(&world->feeds[i]);
    daemon_free(world);
    world->unclean = true;
}

void daemon_stop(struct world *world)
{
    if (!world->alive || world->phase != RUNNING)
        return;
    world_trace(world, "hawserd is asked to stop");
    world->phase = STOPPING;
    for (unsigned i = 0; i < world->n_feeds; i++)
        stream_stop(world->feeds[i].stream);
    world_plan(world, STOP_STREAMS_MS, WORLD_STOP_LATE, 0, 0, 0);
    if (world_per_mille(world, 300))
        world_plan(world, (int64_t)world_below(world, 50), WORLD_CRASH, 0, 0, 0);
}

static void flush_for_stop(struct world *world)
{
    world->phase = FLUSHING;
    world_plan(world, STOP_MS - STOP_STREAMS_MS, WORLD_STOP_LATE, 0, 0, 0);
    for (unsigned i = 0; i < world->n_feeds; i++)
        stream_room(world->feeds[i].stream);
    hub_flush(world->hub);
}

static void stopped(struct world *world)
{
    world_trace(world, "hawserd has stopped");
    daemon_free(world);
    world->unclean = false;
    world_plan(world, world_delay(world, 300), WORLD_RESTART, 0, 0, 0);
}

void daemon_maybe_stopped(struct world *world)
{
    if (!world->alive || world->phase == RUNNING)
        return;
    for (unsigned i = 0; i < world->n_feeds && world->phase == STOPPING; i++)
        if (!stream_stopped(world->feeds[i].stream))
            return;
    if (world->phase == STOPPING)
        flush_for_stop(world);
    if (!hub_idle(world->hub) && !hub_failed(world->hub))
        return;
    if (!hub_failed(world->hub)) {
        cover(COVER_CLEAN_STOP);
        verdict_clean_stop(world);
    }
    stopped(world);
}

static void stop_late(struct world *world)
{
    if (world->phase == STOPPING)
        flush_for_stop(world);
    else if (world->phase == FLUSHING)
        stopped(world);
}

/* ---- committing ---- */

static void draw_fault(struct world *world)
{
    static const enum store_fault points[] = {STORE_FAULT_PUT, STORE_FAULT_COMMIT,
                                              STORE_FAULT_COMMIT_AFTER};
    world->fault = 0;
    if (!world->faults || !world_per_mille(world, world->per_mille_commit_fails))
        return;
    world->fault = world_per_mille(world, 400) ? ENOSPC : EIO;
    world->fault_point = points[world_below(world, 3)];
}

static void stall(struct world *world)
{
    if (world->stalled)
        return;
    world->stalled = true;
    for (unsigned i = 0; i < world->n_feeds; i++)
        stream_store_stalled(world->feeds[i].stream);
}

static void heal(struct world *world, bool reopened)
{
    if (!world->stalled && !reopened)
        return;
    world->stalled = false;
    for (unsigned i = 0; i < world->n_feeds; i++) {
        world->feeds[i].restraint.excused = true;
        stream_store_ready(world->feeds[i].stream);
    }
}

static void committed(struct world *world)
{
    world->batch = NULL;
    truth_committed(world);
    restraint_saved(world, true);
    hub_committed(world->hub, 0);
    for (unsigned i = 0; i < world->n_feeds; i++)
        stream_durable(world->feeds[i].stream, truth_newest_seq(world));
    heal(world, false);
}

static int append(struct world *world)
{
    struct error err = {0};
    const struct hub_batch *batch = world->batch;
    int status = append_batch(world, batch, &err);
    world->fault = 0;
    if (status != 0)
        world_trace(world, "commit fails: %s", err.text);
    return status;
}

static int make_room(struct world *world, int status)
{
    bool more = true;
    if (status != ERR_FULL || store_failed(world->store))
        return status;
    cover(COVER_DISK_FULL);
    world->was_full = true;
    while (more &&
           store_retain(world->store, link_stream_ops.wall_us(world->feeds), &more, NULL) == 0)
        ;
    if (store_failed(world->store))
        return status;
    status = append(world);
    if (status == 0)
        cover(COVER_MADE_ROOM);
    return status;
}

static void commit(struct world *world)
{
    truth_pending(world, world->batch);
    draw_fault(world);
    int status = make_room(world, append(world));
    if (status == 0) {
        committed(world);
        return;
    }
    world->reopening = store_failed(world->store);
    if (status == ERR_FULL) { /* the batch is kept */
        world_plan(world, FULL_RETRY_MS, world->reopening ? WORLD_REOPEN : WORLD_COMMIT, 0,
                   world->commit, 0);
        return;
    }
    cover(COVER_COMMIT_FAILED);
    restraint_saved(world, false);
    world->failed_commits++;
    world->commit_failed = true;
    world->batch = NULL;
    hub_committed(world->hub, status);
    stall(world);
    world->reopening = true;
    world_plan(world, world_delay(world, 500), WORLD_REOPEN, 0, 0, 0);
}

/* A commit can fail after its last write: the batch that waited for space may be on disk. */
static void commit_again(struct world *world, uint64_t newest_seq)
{
    const struct hub_batch *batch = world->batch;
    if (batch->count == 0 || newest_seq < batch->records[batch->count - 1].seq) {
        world_plan(world, 0, WORLD_COMMIT, 0, world->commit, 0);
        return;
    }
    cover(COVER_FAILED_ON_DISK);
    committed(world);
}

static void reopen(struct world *world)
{
    struct store_info info;
    struct store_stream_state states[WORLD_FEEDS];
    if (world->faults && world_per_mille(world, 200)) {
        cover(COVER_REOPEN_FAILED);
        world_plan(world, world_delay(world, 1000), WORLD_REOPEN, 0, 0, 0);
        return;
    }
    store_close(world->store);
    open_store(world);
    store_info(world->store, &info);
    for (unsigned i = 0; i < world->n_feeds; i++)
        open_in_store(&world->feeds[i], &states[i]);
    world->reopening = false;
    world_trace(world, "the store is open again, seq %llu", (unsigned long long)info.newest_seq);
    if (world->batch != NULL) {
        commit_again(world, info.newest_seq);
        return;
    }
    for (unsigned i = 0; i < world->n_feeds; i++)
        restore(&world->feeds[i], &states[i]);
    hub_reopen(world->hub, info.newest_seq, info.reserved_seq);
    heal(world, true);
}

static void retain(struct world *world)
{
    struct error err = {0};
    bool more = false;
    int64_t again_ms = 1 + (int64_t)world_below(world, (world->faults ? 2 : 60) * RETAIN_MS);
    if (!world->reopening &&
        store_retain(world->store, link_stream_ops.wall_us(world->feeds), &more, &err) != 0)
        world_violation(world, 8, "retention: %s", err.text);
    world_plan(world, more ? 1 : again_ms, WORLD_RETAIN, 0, 0, 0);
}

void daemon_happen(struct world *world, const struct happening *happening)
{
    switch (happening->kind) {
    case WORLD_COMMIT:
        commit(world);
        return;
    case WORLD_STALL:
        if (world->batch != NULL && world->commit == happening->number) {
            cover(COVER_STALL);
            stall(world);
        }
        return;
    case WORLD_FLUSH:
        world->flush_planned = false;
        hub_flush(world->hub);
        return;
    case WORLD_ROOM:
        world->room_planned = false;
        if (world->unsaved)
            broker_unsaved(world->broker, world->now_ms);
        world->unsaved = false;
        named_room(world);
        for (unsigned i = 0; i < world->n_feeds; i++)
            stream_room(world->feeds[i].stream);
        return;
    case WORLD_REOPEN:
        reopen(world);
        return;
    case WORLD_RETAIN:
        retain(world);
        return;
    default: /* WORLD_STOP_LATE */
        stop_late(world);
        return;
    }
}
