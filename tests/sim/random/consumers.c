/* consumers: local programs that read at their own pace, crash, and come back where they were. */
#include <stdlib.h>
#include <string.h>

#include "world.h"

static void remember(struct world *world, struct consumer *consumer, struct slice line)
{
    const char *begin = memmem(line.ptr, line.len, "{\"seq\":", 7);
    uint64_t seq = 0;
    if (begin != line.ptr)
        return; /* not an event */
    if (strncmp(line.ptr + 7, "null", 4) == 0)
        return; /* ephemeral */
    for (const char *at = line.ptr + 7; *at >= '0' && *at <= '9'; at++)
        seq = seq * 10 + (uint64_t)(*at - '0');
    if (seq <= consumer->last_seq)
        world_violation(world, 6, "a consumer got seq %llu after %llu", (unsigned long long)seq,
                        (unsigned long long)consumer->last_seq);
    consumer->last_seq = seq;
    if (seq > world->highest_seen_seq)
        world->highest_seen_seq = seq;
    if (!world->received && (world->n_stored == 0 || world->stored[world->n_stored - 1].seq < seq))
        world_violation(world, 5, "seq %llu was delivered before it was on disk",
                        (unsigned long long)seq);
    if (consumer->n_seen == consumer->cap_seen) {
        consumer->cap_seen = consumer->cap_seen * 2 + 256;
        consumer->seen = realloc(consumer->seen, consumer->cap_seen * sizeof(struct seen));
    }
    consumer->seen[consumer->n_seen++] =
        (struct seen){.seq = seq, .position = truth_position(line)};
}

/* Bytes as they come off the socket: whole lines count. */
static void receive(struct world *world, struct consumer *consumer, const char *bytes, size_t n)
{
    while (n > 0) {
        const char *end = memchr(bytes, '\n', n);
        size_t part = end != NULL ? (size_t)(end - bytes) + 1 : n;
        (void)buf_append(&consumer->rest, bytes, part);
        if (end != NULL) {
            (void)buf_append_byte(&consumer->rest, '\0');
            remember(world, consumer,
                     slice_make(consumer->rest.data, consumer->rest.len - 1));
            buf_clear(&consumer->rest);
        }
        bytes += part;
        n -= part;
    }
}

void consumers_connect(struct world *world)
{
    for (unsigned i = 0; i < WORLD_CONSUMERS; i++) {
        struct consumer *consumer = &world->consumers[i];
        memset(consumer->filter.streams, 0xff, sizeof(consumer->filter.streams));
        consumer->filter.notices = i == 0;
        buf_clear(&consumer->rest);
        consumer->rest.max = BUF_UNBOUNDED;
        fanout_subscribe(hub_fanout(world->hub), &consumer->sub, &consumer->filter,
                         consumer->last_seq);
        consumer->connected = true;
        world_plan(world, 1, WORLD_CONSUME, i, 0);
    }
}

void consumers_lost(struct world *world)
{
    for (unsigned i = 0; i < WORLD_CONSUMERS; i++) {
        world->consumers[i].connected = false;
        buf_clear(&world->consumers[i].rest);
    }
}

struct cold {
    struct world *world;
    struct consumer *consumer;
    unsigned left;
    uint64_t last;
};

static bool on_visit(void *arg, const struct store_event *event)
{
    struct cold *cold = arg;
    if (cold->left == 0)
        return false;
    cold->left--;
    cold->last = event->seq;
    receive(cold->world, cold->consumer, event->line.ptr, event->line.len);
    return true;
}

static void on_lost(void *arg, unsigned stream, uint64_t from_seq, uint64_t to_seq)
{
    struct cold *cold = arg;
    world_violation(cold->world, 1, "the store says %llu to %llu of stream %u are gone",
                    (unsigned long long)from_seq, (unsigned long long)to_seq, stream);
}

static void read_cold(struct world *world, struct consumer *consumer)
{
    struct error err = {0};
    struct cold cold = {.world = world, .consumer = consumer,
                        .left = 1 + (unsigned)rng_below(&world->rng, 50)};
    struct store_read read = {
        .after_seq = consumer->sub.cursor,
        .to_seq = fanout_evicted_seq(hub_fanout(world->hub)),
        .visit = on_visit,
        .lost = on_lost,
        .arg = &cold,
        .max_visits = 1000,
    };
    memset(read.streams, 0xff, sizeof(read.streams));
    if (store_read(world->store, &read, &err) != 0)
        world_violation(world, 5, "reading the store: %s", err.text);
    fanout_cold_done(hub_fanout(world->hub), &consumer->sub, read.done_seq);
}

void consumers_pump(struct world *world, unsigned number)
{
    struct consumer *consumer = &world->consumers[number];
    struct fanout_batch batch;
    struct slice rest;
    if (!world->alive || !consumer->connected)
        return;
    unsigned turns = 1 + (unsigned)rng_below(&world->rng, 4);
    while (turns-- > 0) {
        enum fanout_next next = fanout_next(hub_fanout(world->hub), &consumer->sub,
                                            1 + rng_below(&world->rng, 4000), &batch);
        if (next == FANOUT_NEXT_IDLE)
            break;
        if (next == FANOUT_NEXT_COLD) {
            if (world->store == NULL)
                break;
            read_cold(world, consumer);
            continue;
        }
        size_t bytes = (size_t)rng_below(&world->rng, batch.bytes) + 1, left = bytes;
        for (unsigned i = 0; i < batch.count && left > 0; i++) {
            size_t n = batch.line[i].len < left ? batch.line[i].len : left;
            receive(world, consumer, batch.line[i].ptr, n);
            left -= n;
        }
        struct buf copy;
        buf_init(&copy, BUF_UNBOUNDED);
        fanout_advance(hub_fanout(world->hub), &consumer->sub, &batch, bytes, &rest);
        (void)buf_append_slice(&copy, rest);
        receive(world, consumer, copy.data, copy.len);
        buf_fini(&copy);
    }
    /* Consumer 2 is slow. */
    world_plan(world, (int64_t)rng_below(&world->rng, number == 2 ? 4000 : 200) + 1, WORLD_CONSUME,
               number, 0);
}

void consumers_free(struct world *world)
{
    for (unsigned i = 0; i < WORLD_CONSUMERS; i++) {
        free(world->consumers[i].seen);
        buf_fini(&world->consumers[i].rest);
    }
}
