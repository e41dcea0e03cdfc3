/* world: virtual time, what is drawn for a run, and who gets what happens. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void world_violation(struct world *world, int invariant, const char *fmt, ...)
{
    va_list args;
    printf("INVARIANT %d VIOLATED at %lld ms, life %llu, step %llu: ", invariant,
           (long long)(world->now_ms - WORLD_START_MS), (unsigned long long)world->life,
           (unsigned long long)world->steps);
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

unsigned world_below(struct world *world, unsigned n)
{
    return (unsigned)rng_below(&world->rng, n);
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

void world_plan_body(struct world *world, int64_t delay_ms, enum world_kind kind, unsigned feed,
                     uint64_t number, int status, struct buf *body)
{
    struct happening happening = {.at_ms = world->now_ms + delay_ms,
                                  .order = world->order++,
                                  .kind = kind,
                                  .life = world->life,
                                  .feed = feed,
                                  .number = number,
                                  .body = *body,
                                  .status = status};
    push(world, &happening);
}

void world_plan(struct world *world, int64_t delay_ms, enum world_kind kind, unsigned feed,
                uint64_t number, int status)
{
    struct buf none;
    buf_init(&none, 0);
    world_plan_body(world, delay_ms, kind, feed, number, status, &none);
}

/* ---- the operator, and other powers from outside ---- */

static void operate(struct world *world, struct feed *feed, bool once)
{
    if (!once)
        world_plan(world, 1 + (int64_t)world_below(world, 60000), WORLD_OPERATOR, feed->number, 0,
                   0);
    if (!world->alive || !world->faults)
        return;
    unsigned choice = world_below(world, 9);
    feed->restraint.excused = true;
    if (choice == 0) {
        cover(COVER_PAUSE);
        world_trace(world, "%s: paused by the operator", feed->name);
        stream_pause(feed->stream);
    } else if (choice < 5) {
        cover(COVER_RESUME);
        stream_resume(feed->stream);
    } else if (choice < 7) {
        cover(COVER_RECONNECT);
        world_trace(world, "%s: reconnect by the operator", feed->name);
        stream_reconnect(feed->stream);
    } else if (choice == 7) {
        cover(COVER_CREDENTIAL);
        stream_credentials(feed->stream);
    } else {
        cover(COVER_NETWORK);
        stream_network(feed->stream, 0);
    }
}

void world_calm(struct world *world)
{
    world_trace(world, "calm");
    world->faults = false;
    for (unsigned i = 0; i < world->n_feeds; i++) {
        struct feed *feed = &world->feeds[i];
        for (unsigned j = 0; j < WORLD_LINKS; j++) {
            feed->links[j].silent = false;
            link_wake(feed, &feed->links[j]);
        }
        if (world->alive && world->phase == RUNNING) {
            feed->restraint.excused = true;
            stream_resume(feed->stream);
        }
    }
}

/* ---- what happens ---- */

static void crash(struct world *world)
{
    if (!world->alive || !world->faults)
        return;
    if (world->phase != RUNNING)
        cover(COVER_CRASH_STOPPING);
    daemon_kill(world);
    world_plan(world, world_delay(world, 300), WORLD_RESTART, 0, 0, 0);
}

/* These do not end with the daemon's life. */
static bool outlives(enum world_kind kind)
{
    return kind == WORLD_PUBLISH || kind == WORLD_CUT || kind == WORLD_RESTART ||
           kind == WORLD_CRASH || kind == WORLD_OPERATOR || kind == WORLD_STOP ||
           kind == WORLD_EXPIRING;
}

static void happen(struct world *world, struct happening *happening)
{
    struct feed *feed = &world->feeds[happening->feed % WORLD_FEEDS];
    if (happening->life != world->life && !outlives(happening->kind))
        return;
    switch (happening->kind) {
    case WORLD_PUBLISH:
        service_publish(feed);
        return;
    case WORLD_CUT:
        service_cut(feed);
        return;
    case WORLD_OPERATOR:
        operate(world, feed, happening->number != 0);
        return;
    case WORLD_CONNECTED:
    case WORLD_OPEN:
    case WORLD_HELLO:
    case WORLD_DELIVER:
    case WORLD_LINK_END:
    case WORLD_LINK_CLOSED:
    case WORLD_PONG:
    case WORLD_RESUME_LINK:
    case WORLD_DIAL_FAILS:
    case WORLD_HTTP_ARRIVES:
    case WORLD_HTTP_ANSWER:
    case WORLD_CREDENTIAL:
    case WORLD_MOVE:
    case WORLD_BODY_OPEN:
        link_happen(feed, happening);
        return;
    case WORLD_EXPIRING:
        if (world->alive)
            link_happen(feed, happening);
        else
            world_plan(world, 10000, WORLD_EXPIRING, happening->feed, 0, 0);
        return;
    case WORLD_COMMIT:
    case WORLD_STALL:
    case WORLD_FLUSH:
    case WORLD_ROOM:
    case WORLD_REOPEN:
    case WORLD_RETAIN:
    case WORLD_STOP_LATE:
    case WORLD_BROKER:
        daemon_happen(world, happening);
        return;
    case WORLD_CONSUME:
        consumers_pump(world, happening->feed, happening->number);
        return;
    case WORLD_PAGE:
        consumers_page(world, happening->feed, happening->number);
        return;
    case WORLD_CONNECT:
        consumers_connect(world, happening->feed);
        return;
    case WORLD_NAMED_SCAN:
        named_scan(world);
        return;
    case WORLD_CRASH:
        crash(world);
        return;
    case WORLD_STOP:
        world_plan(world, 1 + (int64_t)world_below(world, 240000), WORLD_STOP, 0, 0, 0);
        if (world->faults)
            daemon_stop(world);
        return;
    case WORLD_RESTART:
        if (!world->alive)
            daemon_start(world);
        return;
    }
}

/* The feed whose deadline comes first, if it comes before anything else. */
static struct feed *due_feed(struct world *world)
{
    struct feed *due = NULL;
    int64_t at_ms = world->n_heap > 0 ? world->heap[0].at_ms : INT64_MAX;
    if (world->alive && world->broker_deadline_ms < at_ms)
        at_ms = world->broker_deadline_ms;
    for (unsigned i = 0; world->alive && i < world->n_feeds; i++)
        if (world->feeds[i].deadline_ms < at_ms) {
            due = &world->feeds[i];
            at_ms = due->deadline_ms;
        }
    return due;
}

static void pass_time(struct world *world, int64_t until_ms)
{
    if (until_ms > world->now_ms)
        world->now_ms = until_ms;
    if (world->faults && rng_chance(&world->rng, 1, 20000)) {
        cover(COVER_STOOD_STILL);
        world->now_ms += 3000 + world_below(world, 30000);
        world_trace(world, "hawserd stood still");
    }
    if (world->jumpy && world->faults && rng_chance(&world->rng, 1, 20000)) {
        cover(COVER_CLOCK_JUMP);
        world->skew_us = ((int64_t)world_below(world, 7200) - 3600) * 1000000;
        world_trace(world, "the wall clock jumps");
    }
}

bool world_step(struct world *world)
{
    struct feed *due = due_feed(world);
    world->steps++;
    if (due != NULL) {
        pass_time(world, due->deadline_ms);
        due->deadline_ms = INT64_MAX;
        stream_tick(due->stream);
    } else if (world->alive && world->broker_deadline_ms != INT64_MAX &&
               (world->n_heap == 0 || world->broker_deadline_ms <= world->heap[0].at_ms)) {
        pass_time(world, world->broker_deadline_ms);
        world->broker_deadline_ms = INT64_MAX;
        broker_run(world->broker, world->now_ms);
    } else if (world->n_heap > 0) {
        struct happening next = pop(world);
        pass_time(world, next.at_ms);
        happen(world, &next);
        buf_fini(&next.body);
    } else {
        return false;
    }
    daemon_maybe_stopped(world);
    if (world->faults && world->alive && world_per_mille(world, world->per_mille_crash))
        world_plan(world, (int64_t)world_below(world, 30), WORLD_CRASH, 0, 0, 0);
    return true;
}

/* ---- a run ---- */

static void draw_rates(struct world *world)
{
    world->received = world_per_mille(world, 300);
    world->n_feeds = 1 + world_below(world, WORLD_FEEDS);
    world->per_mille_drop = world_below(world, 60);
    world->per_mille_commit_fails = world_below(world, 30);
    world->per_mille_crash = world_below(world, 3);
    world->per_mille_duplicate = world_below(world, 100);
    world->per_mille_http_fails = world_below(world, 200);
    world->per_mille_dial_fails = world_below(world, 300);
    world->per_mille_odd = world_per_mille(world, 300)   ? 0
                           : world_per_mille(world, 300) ? world_below(world, 300)
                                                         : world_below(world, 60);
    world->per_mille_stale = world_below(world, 300);
    world->per_mille_cut = world_per_mille(world, 700) ? 0 : world_below(world, 500);
    world->commit_ms = 1 + (int64_t)world_below(world, 100);
    world->link_ms = 1 + (int64_t)world_below(world, 20);
    world->http_ms = 1 + (int64_t)world_below(world, 400);
    world->jumpy = world_per_mille(world, 300);
    world->dial_rate = world_per_mille(world, 300) ? 1 : 20;
}

static void draw_sizes(struct world *world)
{
    static const size_t holds[] = {1500, 4000, 16000, 1u << 20};
    static const size_t rings[] = {24u << 10, 64u << 10, 256u << 10};
    static const size_t entries[] = {8, 32, 512};
    world->hold_bytes = holds[world_below(world, 4)];
    world->ring_bytes = rings[world_below(world, 3)];
    world->ring_entries = entries[world_below(world, 3)];
    world->dedup_window =
        256 + world_below(world, 1000); /* more than a page and what it overlaps */
    world->retain_bytes = world_per_mille(world, 300) ? 1u << 20 : 1u << 30;
    world->retain_stream = world_per_mille(world, 500) ? 16384u + world_below(world, 100000) : 0;
    world->retain_age_ms = world_per_mille(world, 200) ? 1000 + world_below(world, 60000) : 0;
}

static void init_feed(struct world *world, unsigned number, const struct world_profiles *profiles)
{
    struct feed *feed = &world->feeds[number];
    feed->world = world;
    feed->number = number;
    snprintf(feed->name, sizeof(feed->name), "chat%u", number);
    feed->kind = (enum feed_kind)world_below(world, FEED_KINDS - 1);
    /* By the seed, which leaves all that is drawn, and so the other runs, as it is without them. */
    if (feed->kind == KIND_CHAT && world->seed % 2 == 1)
        feed->kind = KIND_MIXED;
    feed->resumable = feed->kind != KIND_PLAIN;
    feed->pages = feed->resumable && feed->kind != KIND_REPLAY;
    feed->profile = profiles->kinds[feed->kind];
    feed->start = world_per_mille(world, 300) ? SETTINGS_START_NOW : SETTINGS_START_OLDEST;
    if (feed->start == SETTINGS_START_NOW)
        cover(COVER_START_NOW);
    feed->due_from = 1;
    feed->deadline_ms = INT64_MAX;
    service_init(feed);
    world_plan(world, world_per_mille(world, 300) ? 10000 : 0, WORLD_PUBLISH, number, 0, 0);
    world_plan(world, 1 + (int64_t)world_below(world, 60000), WORLD_OPERATOR, number, 0, 0);
    if (feed->pages)
        world_plan(world, 20000 + (int64_t)world_below(world, 60000), WORLD_EXPIRING, number, 0, 0);
    if (world->per_mille_cut > 0)
        world_plan(world, (int64_t)world_below(world, 20000), WORLD_CUT, number, 0, 0);
}

void world_init(struct world *world, uint64_t seed, const struct world_profiles *profiles,
                const char *directory, bool trace)
{
    memset(world, 0, sizeof(*world));
    world->seed = seed;
    rng_seed(&world->rng, seed);
    world->trace = trace;
    world->faults = true;
    world->now_ms = WORLD_START_MS;
    snprintf(world->directory, sizeof(world->directory), "%s", directory);
    draw_rates(world);
    draw_sizes(world);
    for (unsigned i = 0; i < world->n_feeds; i++)
        init_feed(world, i, profiles);
    world_plan(world, 1 + (int64_t)world_below(world, 240000), WORLD_STOP, 0, 0, 0);
    daemon_start(world);
}

void world_fini(struct world *world)
{
    daemon_free(world);
    while (world->n_heap > 0) {
        struct happening left = pop(world);
        buf_fini(&left.body);
    }
    consumers_free(world);
    free(world->heap);
    free(world->stored);
    free(world->pending);
    free(world->names);
}
