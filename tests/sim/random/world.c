/* world: virtual time, the daemon's wiring in miniature, and what may go wrong with it. */
#include "world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void world_violation(struct world *world, int invariant, const char *fmt, ...)
{
    va_list args;
    printf("INVARIANT %d VIOLATED at %lld ms, life %llu: ", invariant, (long long)world->now_ms,
           (unsigned long long)world->life);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\nseed %llu; again, with a trace: sim_random --seed %llu --runs 1 --trace\n",
           (unsigned long long)world->seed, (unsigned long long)world->seed);
    exit(1);
}

void world_trace(struct world *world, const char *fmt, ...)
{
    va_list args;
    if (!world->trace)
        return;
    printf("[%8lld] ", (long long)(world->now_ms - WORLD_START_MS));
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

bool world_per_mille(struct world *world, unsigned per_mille)
{
    return rng_chance(&world->rng, per_mille, 1000);
}

int64_t world_delay(struct world *world, int64_t typical_ms)
{
    int64_t delay = (int64_t)rng_below(&world->rng, (uint64_t)typical_ms * 2 + 1);
    return world->faults && world_per_mille(world, 10) ? delay * 20 : delay;
}

/* ---- the heap of what will happen ---- */

static bool earlier(const struct happening *a, const struct happening *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void push(struct world *world, const struct happening *happening)
{
    if (world->n_heap == world->cap_heap) {
        world->cap_heap = world->cap_heap * 2 + 64;
        world->heap = realloc(world->heap, world->cap_heap * sizeof(*world->heap));
    }
    size_t i = world->n_heap++;
    while (i > 0 && earlier(happening, &world->heap[(i - 1) / 2])) {
        world->heap[i] = world->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    world->heap[i] = *happening;
}

static struct happening pop(struct world *world)
{
    struct happening first = world->heap[0], last = world->heap[--world->n_heap];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= world->n_heap)
            break;
        if (child + 1 < world->n_heap && earlier(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!earlier(&world->heap[child], &last))
            break;
        world->heap[i] = world->heap[child];
        i = child;
    }
    world->heap[i] = last;
    return first;
}

void world_plan(struct world *world, int64_t delay_ms, enum world_kind kind, uint64_t number,
                int status)
{
    struct happening happening = {.at_ms = world->now_ms + delay_ms, .order = world->order++,
                                  .kind = kind, .life = world->life, .number = number,
                                  .status = status};
    push(world, &happening);
}

/* ---- the stream's operations ---- */

static int64_t op_now_ms(void *arg)
{
    return ((struct world *)arg)->now_ms;
}

static int64_t op_wall_us(void *arg)
{
    return 1779000000000000 + ((struct world *)arg)->now_ms * 1000;
}

static struct slice op_secret(void *arg, const char *name, struct error *err)
{
    (void)arg, (void)name, (void)err;
    return slice_str("t0ken");
}

static void op_dial(void *arg, uint64_t link, const struct profile_request *request)
{
    struct world *world = arg;
    (void)request;
    if (world->link != 0)
        world_violation(world, 9, "link %llu is dialled while link %llu lives",
                        (unsigned long long)link, (unsigned long long)world->link);
    service_link_gone(world);
    world->link = link;
    world->dials++;
    world->last_rx_ms = 0;
    if (world->faults && world_per_mille(world, world->per_mille_dial_fails))
        world_plan(world, world_delay(world, 50), WORLD_DIAL_FAILS, link,
                   world_per_mille(world, 300) ? 503 : 0);
    else
        world_plan(world, world_delay(world, 20), WORLD_CONNECTED, link, 0);
}

static void op_link_close(void *arg, uint64_t link, int code, const char *reason)
{
    struct world *world = arg;
    (void)reason;
    if (link != world->link)
        return;
    world->link_closing = true;
    world_plan(world, world_delay(world, 30), WORLD_LINK_CLOSED, link, code);
}

static void op_link_abort(void *arg, uint64_t link)
{
    struct world *world = arg;
    if (link == world->link)
        service_link_gone(world);
}

static void op_link_ping(void *arg, uint64_t link)
{
    struct world *world = arg;
    if (link == world->link && !world->link_silent)
        world_plan(world, world_delay(world, 20), WORLD_PONG, link, 0);
}

static void op_link_resume(void *arg, uint64_t link)
{
    world_plan(arg, 1, WORLD_RESUME_LINK, link, 0);
}

static int64_t op_last_rx_ms(void *arg, uint64_t link)
{
    struct world *world = arg;
    return link == world->link ? (world->link_blocked ? world->now_ms : world->last_rx_ms) : 0;
}

static void op_http(void *arg, uint64_t request, const struct profile_request *form,
                    int64_t timeout_ms)
{
    struct world *world = arg;
    const char *since = memmem(form->url.data, form->url.len, "since=", 6);
    size_t n = 0;
    (void)timeout_ms;
    if (world->request != 0)
        world_violation(world, 9, "request %llu while request %llu is under way",
                        (unsigned long long)request, (unsigned long long)world->request);
    world->request = request;
    if (since != NULL)
        for (since += 6; since + n < form->url.data + form->url.len && since[n] != '&'; n++)
            ;
    snprintf(world->since, sizeof(world->since), "%.*s", (int)n, since != NULL ? since : "");
    world_plan(world, world_delay(world, world->http_ms), WORLD_HTTP_ARRIVES, request, 0);
}

static void op_http_cancel(void *arg, uint64_t request)
{
    struct world *world = arg;
    if (world->request == request)
        world->request = 0;
}

static void op_refresh(void *arg)
{
    world_plan(arg, 3, WORLD_CREDENTIAL, 0, 0);
}

static void op_state(void *arg, const struct session_action *action, uint64_t link)
{
    world_trace(arg, "%s > %s (%s) link %llu", session_state_name(action->from),
                session_state_name(action->to), action->text, (unsigned long long)link);
}

static void op_gap(void *arg, enum session_gap reason, const char *detail)
{
    struct world *world = arg;
    world->gaps[reason]++;
    world_trace(world, "gap %s: %s", session_gap_name(reason), detail != NULL ? detail : "");
}

static void op_deadline(void *arg, int64_t deadline_ms)
{
    ((struct world *)arg)->deadline_ms = deadline_ms;
}

static const struct stream_ops stream_ops = {
    .now_ms = op_now_ms,
    .wall_us = op_wall_us,
    .secret = op_secret,
    .dial = op_dial,
    .link_close = op_link_close,
    .link_abort = op_link_abort,
    .link_ping = op_link_ping,
    .link_resume = op_link_resume,
    .link_last_rx_ms = op_last_rx_ms,
    .http = op_http,
    .http_cancel = op_http_cancel,
    .refresh = op_refresh,
    .state = op_state,
    .gap = op_gap,
    .deadline = op_deadline,
};

/* ---- the hub's operations ---- */

static void op_commit(void *arg, const struct hub_batch *batch)
{
    struct world *world = arg;
    world->batch = batch;
    world_plan(world, world_delay(world, world->commit_ms), WORLD_COMMIT, 0, 0);
}

static void op_published(void *arg)
{
    (void)arg; /* consumers look by themselves */
}

static void op_room(void *arg)
{
    struct world *world = arg;
    if (!world->room_planned)
        world_plan(world, 0, WORLD_ROOM, 0, 0);
    world->room_planned = true;
}

static void op_wanted(void *arg)
{
    struct world *world = arg;
    if (!world->flush_planned)
        world_plan(world, 0, WORLD_FLUSH, 0, 0);
    world->flush_planned = true;
}

static const struct hub_ops hub_ops = {
    .commit = op_commit, .published = op_published, .room = op_room, .wanted = op_wanted};

/* ---- the store ---- */

static int on_fault(void *arg, enum store_fault point)
{
    struct world *world = arg;
    if (!world->faulty_commit || point == STORE_FAULT_COMMIT_AFTER)
        return 0;
    if (point == STORE_FAULT_PUT && !rng_chance(&world->rng, 1, 5))
        return 0;
    world->faulty_commit = false;
    return EIO;
}

static void open_store(struct world *world)
{
    struct error err = {0};
    struct store_options options = {
        .path = world->directory,
        .retain_size_bytes = 1ull << 30,
        .no_sync = true,
        .fault = on_fault,
        .fault_arg = world,
    };
    if (store_open(&options, &world->store, &err) != 0)
        world_violation(world, 5, "the store does not open: %s", err.text);
}

static void on_key(void *arg, const uint8_t key[16])
{
    stream_restore_key(arg, key);
}

/* As the daemon does at a start, and after a store that failed. */
static void restore(struct world *world, struct store_stream_state *state)
{
    struct error err = {0};
    struct slice position = {NULL, 0};
    if (state->has_position)
        position = slice_make(state->position, state->position_len);
    stream_restore(world->stream, position, state->fingerprint_changed);
    if (store_dedup_load(world->store, state->id, on_key, world->stream, &err) != 0)
        world_violation(world, 5, "dedup keys: %s", err.text);
}

static void open_stream_in_store(struct world *world, struct store_stream_state *state)
{
    struct error err = {0};
    struct store_stream_options options = {
        .name = "chat",
        .fingerprint = world->profile->fingerprint,
        .retain_size_bytes = 1ull << 29,
        .retain_age_ms = INT64_MAX / 2000,
        .dedup_window = 1000,
    };
    if (store_stream_open(world->store, &options, state, &err) != 0)
        world_violation(world, 5, "the stream does not open: %s", err.text);
}

void world_start(struct world *world)
{
    struct store_info info;
    struct store_stream_state state;
    struct hub_stream *hub_stream;
    world->life++;
    open_store(world);
    store_info(world->store, &info);
    if (world->n_stored > 0 && info.newest_seq != world->stored[world->n_stored - 1].seq)
        world_violation(world, 5, "newest seq is %llu after a restart, not %llu",
                        (unsigned long long)info.newest_seq,
                        (unsigned long long)world->stored[world->n_stored - 1].seq);
    open_stream_in_store(world, &state);
    struct hub_options hub = {
        .ring_bytes = world->ring_bytes,
        .ring_entries = 512,
        .deliver_received = world->received,
        .newest_seq = info.newest_seq,
        .reserved_seq = info.reserved_seq,
        .ops = &hub_ops,
        .ops_arg = world,
    };
    if (hub_new(&hub, &world->hub) != 0 ||
        hub_stream_new(world->hub, "chat", state.id, slice_str(""), &hub_stream) != 0)
        abort();
    if (hub_next_seq(world->hub) <= world->highest_seen_seq)
        world_violation(world, 6, "seq %llu would be used again; a consumer has seen %llu",
                        (unsigned long long)hub_next_seq(world->hub),
                        (unsigned long long)world->highest_seen_seq);
    struct stream_options options = {
        .name = "chat",
        .profile = world->profile,
        .hub = world->hub,
        .hub_stream = hub_stream,
        .hash_key = info.hash_key,
        .dedup_window = 1000,
        .hold_bytes = world->hold_bytes,
        .seed = rng_u64(&world->rng),
        .start = SETTINGS_START_OLDEST,
        .ops = &stream_ops,
        .ops_arg = world,
    };
    if (stream_new(&options, &world->stream) != 0)
        abort();
    world->deadline_ms = INT64_MAX;
    world->alive = true;
    restore(world, &state);
    world_trace(world, "hawserd starts, seq %llu", (unsigned long long)info.newest_seq);
    stream_start(world->stream);
    consumers_connect(world);
}

void world_kill(struct world *world)
{
    world_trace(world, "hawserd dies%s", world->batch != NULL ? " with a commit in flight" : "");
    if (world->batch != NULL && rng_chance(&world->rng, 1, 2)) {
        struct error err = {0}; /* it reached the disk, and nobody heard of it */
        if (store_append(world->store, world->batch->records, world->batch->count,
                         world->batch->reserve_seq, &err) == 0)
            truth_stored(world, world->batch);
    }
    stream_free(world->stream);
    hub_free(world->hub);
    store_close(world->store);
    world->stream = NULL;
    world->hub = NULL;
    world->store = NULL;
    world->batch = NULL;
    world->alive = false;
    world->flush_planned = world->room_planned = false;
    world->request = 0;
    world->deadline_ms = INT64_MAX;
    world->life++;
    world->crashes++;
    service_link_gone(world);
    consumers_lost(world);
}

/* ---- what happens ---- */

static void commit(struct world *world)
{
    const struct hub_batch *batch = world->batch;
    struct error err = {0};
    world->batch = NULL;
    world->faulty_commit =
        world->faults && world_per_mille(world, world->per_mille_commit_fails);
    int status =
        store_append(world->store, batch->records, batch->count, batch->reserve_seq, &err);
    world->faulty_commit = false;
    if (status == 0) {
        truth_stored(world, batch);
        hub_committed(world->hub, 0);
        return;
    }
    world_trace(world, "commit fails: %s", err.text);
    world->failed_commits++;
    hub_committed(world->hub, status);
    stream_store_stalled(world->stream);
    world_plan(world, world_delay(world, 500), WORLD_REOPEN, 0, 0);
}

static void reopen(struct world *world)
{
    struct store_info info;
    struct store_stream_state state;
    store_close(world->store);
    open_store(world);
    store_info(world->store, &info);
    open_stream_in_store(world, &state);
    restore(world, &state);
    hub_reopen(world->hub, info.newest_seq, info.reserved_seq);
    world_trace(world, "the store is open again");
    stream_store_ready(world->stream);
}

static void end_link(struct world *world, uint64_t link, int code, bool local)
{
    struct profile_end end = {
        .kind = PROFILE_END_CLOSE, .code = code, .local = local, .retry_after_ms = -1};
    snprintf(end.text, sizeof(end.text), "sim");
    bool was_open = world->link_open;
    service_link_gone(world);
    if (was_open) {
        stream_link_closed(world->stream, link, &end);
        return;
    }
    end.kind = PROFILE_END_FAILURE;
    end.failure = PROFILE_FAILURE_TCP;
    stream_link_failed(world->stream, link, &end);
}

/* Now and then the service or the network does something to the link. */
static void disturb_link(struct world *world)
{
    static const int codes[] = {1006, 1006, 1006, 1001, 1011, 1000, 1012, 4003};
    if (!world->faults || !world_per_mille(world, world->per_mille_drop))
        return;
    if (world_per_mille(world, 150)) {
        world->link_silent = true;
        world_trace(world, "link %llu goes silent", (unsigned long long)world->link);
        return;
    }
    world_plan(world, world_delay(world, 10), WORLD_LINK_END, world->link,
               codes[rng_below(&world->rng, sizeof(codes) / sizeof(codes[0]))]);
}

static void answer(struct world *world, struct happening *happening)
{
    struct profile_end end = {.kind = PROFILE_END_STATUS, .retry_after_ms = -1};
    if (happening->number != world->request) {
        buf_fini(&happening->body);
        return;
    }
    world->request = 0;
    if (happening->status == 200) {
        stream_http_done(world->stream, happening->number, &happening->body);
        buf_fini(&happening->body);
        return;
    }
    buf_fini(&happening->body);
    if (happening->status == 0) {
        struct buf garbage;
        buf_init(&garbage, 1000);
        (void)buf_append_str(&garbage, "<html>502 Bad Gateway</html>");
        stream_http_done(world->stream, happening->number, &garbage);
        buf_fini(&garbage);
        return;
    }
    if (happening->status < 0) {
        end.kind = PROFILE_END_FAILURE;
        end.failure = PROFILE_FAILURE_TIMEOUT;
        end.phase = PROFILE_PHASE_HTTP;
    } else {
        end.code = happening->status;
        end.retry_after_ms = happening->status == 429 ? 2000 : -1;
    }
    stream_http_failed(world->stream, happening->number, &end);
}

static void arrive(struct world *world, struct happening *happening)
{
    static const int failures[] = {500, 503, 429, 0, -1};
    struct happening reply = *happening;
    if (happening->number != world->request)
        return;
    reply.kind = WORLD_HTTP_ANSWER;
    reply.at_ms = world->now_ms + world_delay(world, world->http_ms);
    reply.order = world->order++;
    reply.status = 200;
    buf_init(&reply.body, 0);
    if (world->faults && world_per_mille(world, world->per_mille_http_fails))
        reply.status = failures[rng_below(&world->rng, 5)];
    else
        service_answer(world, &reply);
    push(world, &reply);
}

static void happen_to_link(struct world *world, const struct happening *happening)
{
    if (happening->number != world->link)
        return;
    switch (happening->kind) {
    case WORLD_CONNECTED:
        stream_link_connected(world->stream, world->link);
        world_plan(world, world_delay(world, 20), WORLD_OPEN, happening->number, 0);
        return;
    case WORLD_OPEN:
        world->link_open = true;
        world->last_rx_ms = world->now_ms;
        world->links_made++;
        stream_link_open(world->stream, world->link);
        if (!(world->faults && world_per_mille(world, 20)))
            world_plan(world, world_delay(world, 100), WORLD_HELLO, happening->number, 0);
        return;
    case WORLD_HELLO:
        if (world->link_open && !world->link_closing)
            service_hello(world);
        return;
    case WORLD_DELIVER:
        service_deliver(world);
        if (world->link != 0)
            disturb_link(world);
        return;
    case WORLD_PONG:
        if (!world->link_silent) {
            world->last_rx_ms = world->now_ms;
            stream_pong(world->stream, world->link, 20);
        }
        return;
    case WORLD_DIAL_FAILS: {
        struct profile_end end = {.kind = happening->status ? PROFILE_END_STATUS
                                                            : PROFILE_END_FAILURE,
                                  .code = happening->status, .failure = PROFILE_FAILURE_TCP,
                                  .retry_after_ms = -1};
        service_link_gone(world);
        stream_link_failed(world->stream, happening->number, &end);
        return;
    }
    case WORLD_LINK_END:
    case WORLD_LINK_CLOSED:
        end_link(world, happening->number, happening->status,
                 happening->kind == WORLD_LINK_CLOSED);
        return;
    case WORLD_RESUME_LINK:
        world->link_blocked = false;
        if (!world->deliver_planned) {
            world->deliver_planned = true;
            world_plan(world, 0, WORLD_DELIVER, happening->number, 0);
        }
        return;
    default:
        abort();
    }
}

static void happen(struct world *world, struct happening *happening)
{
    if (happening->life != world->life && happening->kind != WORLD_PUBLISH &&
        happening->kind != WORLD_RESTART && happening->kind != WORLD_CRASH) {
        buf_fini(&happening->body);
        return;
    }
    switch (happening->kind) {
    case WORLD_PUBLISH:
        service_publish(world);
        return;
    case WORLD_HTTP_ARRIVES:
        arrive(world, happening);
        return;
    case WORLD_HTTP_ANSWER:
        answer(world, happening);
        return;
    case WORLD_CREDENTIAL:
        stream_credentials(world->stream);
        return;
    case WORLD_COMMIT:
        commit(world);
        return;
    case WORLD_FLUSH:
        world->flush_planned = false;
        hub_flush(world->hub);
        return;
    case WORLD_ROOM:
        world->room_planned = false;
        stream_room(world->stream);
        return;
    case WORLD_REOPEN:
        reopen(world);
        return;
    case WORLD_CONSUME:
        consumers_pump(world, (unsigned)happening->number);
        return;
    case WORLD_CRASH:
        if (world->alive && world->faults) {
            world_kill(world);
            world_plan(world, world_delay(world, 300), WORLD_RESTART, 0, 0);
        }
        return;
    case WORLD_RESTART:
        if (!world->alive)
            world_start(world);
        return;
    default:
        happen_to_link(world, happening);
    }
}

bool world_step(struct world *world)
{
    world->steps++;
    bool tick = world->alive && (world->n_heap == 0 || world->deadline_ms < world->heap[0].at_ms);
    if (tick && world->deadline_ms == INT64_MAX)
        return false;
    if (tick) {
        if (world->deadline_ms > world->now_ms)
            world->now_ms = world->deadline_ms;
        world->deadline_ms = INT64_MAX;
        stream_tick(world->stream);
        return true;
    }
    if (world->n_heap == 0)
        return false;
    struct happening next = pop(world);
    if (next.at_ms > world->now_ms)
        world->now_ms = next.at_ms;
    happen(world, &next);
    if (world->faults && world->alive && world_per_mille(world, world->per_mille_crash))
        world_plan(world, (int64_t)rng_below(&world->rng, 30), WORLD_CRASH, 0, 0);
    return true;
}

void world_init(struct world *world, uint64_t seed, const struct profile *profile,
                const char *directory, bool trace)
{
    memset(world, 0, sizeof(*world));
    world->seed = seed;
    rng_seed(&world->rng, seed);
    world->trace = trace;
    world->faults = true;
    world->profile = profile;
    world->now_ms = WORLD_START_MS;
    world->deadline_ms = INT64_MAX;
    snprintf(world->directory, sizeof(world->directory), "%s", directory);
    world->received = world_per_mille(world, 300);
    world->target = 100 + (unsigned)rng_below(&world->rng, 900);
    world->per_mille_drop = (unsigned)rng_below(&world->rng, 60);
    world->per_mille_commit_fails = (unsigned)rng_below(&world->rng, 30);
    world->per_mille_crash = (unsigned)rng_below(&world->rng, 3);
    world->per_mille_duplicate = (unsigned)rng_below(&world->rng, 100);
    world->per_mille_http_fails = (unsigned)rng_below(&world->rng, 200);
    world->per_mille_dial_fails = (unsigned)rng_below(&world->rng, 300);
    world->hold_bytes = world_per_mille(world, 500) ? 4000 : 1u << 20;
    world->ring_bytes = world_per_mille(world, 500) ? 16u << 10 : 256u << 10;
    world->commit_ms = 1 + (int64_t)rng_below(&world->rng, 100);
    world->link_ms = 1 + (int64_t)rng_below(&world->rng, 20);
    world->http_ms = 1 + (int64_t)rng_below(&world->rng, 400);
    world->service.page_limit = 1 + (unsigned)rng_below(&world->rng, 100);
    world->service.next_is_after = world_per_mille(world, 500);
    world->service.lag_ms = (int64_t)rng_below(&world->rng, 3000);
    world_plan(world, 0, WORLD_PUBLISH, 0, 0);
    world_start(world);
}

void world_fini(struct world *world)
{
    stream_free(world->stream);
    hub_free(world->hub);
    store_close(world->store);
    while (world->n_heap > 0) {
        struct happening left = pop(world);
        buf_fini(&left.body);
    }
    consumers_free(world);
    free(world->heap);
    free(world->stored);
}
