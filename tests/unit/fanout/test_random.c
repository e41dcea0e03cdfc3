/*
 * Everything at random against a model: pushes, publishing, a store that lags and fails, and many
 * subscribers that begin anywhere, write any number of bytes and fall behind.
 *
 * Each subscriber sees every stored event that it matches and asked for exactly once and in order;
 * one that was never behind sees the others too; nobody sees what is not published.
 * HAWSER_TEST_SEED=N runs that seed only.
 */
#include <stdio.h>

#include "base/rng.h"
#include "unit/fanout/tail.h"

enum { PUSHES_MAX = 4000, SUBS = 12, STREAMS = 3, LINE_MAX_BYTES = 120, STEPS = 12000 };

static uint64_t seed;

#define check(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("seed %llu: %s", (unsigned long long)seed, #condition);                       \
    } while (0)

struct pushed {
    uint64_t seq, index;
    enum fanout_kind kind;
    uint32_t stream;
    const char *type;
    size_t len;
    bool published, durable;
    bool lost;     /* abandoned before anyone could see it */
    bool unstored; /* seen, but the store failed before it was durable */
};

struct reader {
    struct fanout_sub sub;
    struct fanout_filter filter;
    uint64_t from_seq;
    size_t from_push;             /* number of pushes when it subscribed */
    bool fell_behind;             /* has been cold */
    size_t next;                  /* into pushed: what comes next is not before it */
    char partial[LINE_MAX_BYTES]; /* of a line */
    size_t partial_len;
    char rest[LINE_MAX_BYTES]; /* the cut line that is sent first */
    size_t rest_len;
};

struct world {
    struct rng rng;
    struct tail tail;
    size_t ring_bytes, max_entries;
    bool deliver_received;
    uint64_t newest_seq;
    struct pushed pushed[PUSHES_MAX];
    size_t n_pushed;
    struct reader readers[SUBS];
    size_t cold_reads, refusals, abandons, joined, cuts;
};

static const char *const types[] = {
    "", "a", "chat.message", "chat.typing",
    "a.type.that.is.longer.than.what.is.kept.beside.an.entry.and.lies.in.the.ring"};

static bool is_stored(const struct pushed *entry)
{
    return entry->kind == FANOUT_EVENT || entry->kind == FANOUT_GAP;
}

static size_t below(struct world *world, size_t n)
{
    return (size_t)rng_below(&world->rng, n);
}

/* ---- the writing side ---- */

/* A line is "NUMBER xxxx\n", where NUMBER is the index into pushed. */
static size_t make_line(struct world *world, char *out)
{
    int n = sprintf(out, "%zu ", world->n_pushed);
    size_t len = (size_t)n + 1 + below(world, LINE_MAX_BYTES - (size_t)n - 1);

    memset(out + n, 'x', len - (size_t)n);
    out[len - 1] = '\n';
    return len;
}

static void push(struct world *world)
{
    struct pushed *entry = &world->pushed[world->n_pushed];
    uint64_t end = fanout_end_index(world->tail.fanout);
    char line[LINE_MAX_BYTES + 1];
    size_t type_len, room;
    char *at;

    if (world->n_pushed == PUSHES_MAX)
        return;
    *entry = (struct pushed){
        .kind = (enum fanout_kind)below(world, 4),
        .stream = (uint32_t)below(world, STREAMS),
        .type = types[below(world, sizeof types / sizeof *types)],
        .len = make_line(world, line),
        .index = end,
    };
    type_len = strlen(entry->type);
    room = type_len + entry->len + below(world, 20);
    at =
        fanout_has_room(world->tail.fanout, room) ? fanout_reserve(world->tail.fanout, room) : NULL;
    if (at == NULL) {
        check(fanout_reserve(world->tail.fanout, room) == NULL);
        world->refusals++;
        return;
    }
    memcpy(at, line, entry->len);
    memcpy(at + entry->len, entry->type, type_len);
    entry->seq = world->newest_seq + 1 + below(world, 3);
    const struct fanout_entry *got =
        fanout_push(world->tail.fanout, entry->kind, entry->seq, entry->stream,
                    slice_make(at + entry->len, type_len), entry->len);
    if (is_stored(entry))
        world->newest_seq = entry->seq;
    check(got->index == end && fanout_end_index(world->tail.fanout) == end + 1);
    check(fanout_get(world->tail.fanout, end) == got);
    world->n_pushed++;
}

/* The first that is not yet published (or durable), skipping what was abandoned. */
static size_t first_pending(const struct world *world, bool durable)
{
    size_t i = world->n_pushed;

    while (i > 0) {
        const struct pushed *entry = &world->pushed[i - 1];

        if (entry->lost || entry->unstored || (durable ? entry->durable : entry->published))
            break;
        i--;
    }
    return i;
}

static void mark(struct world *world, bool durable, size_t count)
{
    size_t i = first_pending(world, durable);
    uint64_t end = 0;

    for (; count > 0 && i < world->n_pushed; i++, count--) {
        if (durable)
            world->pushed[i].durable = true;
        else if (!world->deliver_received && is_stored(&world->pushed[i]) &&
                 !world->pushed[i].durable)
            break;
        else
            world->pushed[i].published = true;
        end = world->pushed[i].index + 1;
    }
    if (end == 0)
        return;
    if (durable)
        fanout_durable(world->tail.fanout, end);
    else
        fanout_publish(world->tail.fanout, end);
}

static void abandon(struct world *world)
{
    fanout_abandon(world->tail.fanout);
    world->abandons++;
    for (size_t i = 0; i < world->n_pushed; i++) {
        struct pushed *entry = &world->pushed[i];

        if (entry->lost || entry->unstored)
            continue;
        if (entry->index >= fanout_end_index(world->tail.fanout))
            entry->lost = true;
        else if (!entry->durable && is_stored(entry))
            entry->unstored = true;
        else
            entry->durable = true;
        entry->published = !entry->lost;
    }
    world->newest_seq += below(world, 10); /* seqs of the lost ones are not used again */
}

/* ---- the reading side ---- */

static bool matches(const struct reader *reader, const struct pushed *entry)
{
    struct slice type = slice_str(entry->type);

    return fanout_match(&reader->filter, entry->kind, entry->stream, type);
}

/* Must the reader see this one? */
static bool is_due(const struct reader *reader, size_t i, const struct pushed *entry)
{
    if (entry->lost || entry->unstored || !matches(reader, entry))
        return false;
    if (is_stored(entry))
        return entry->seq > reader->from_seq;
    return !reader->fell_behind && i >= reader->from_push;
}

static void got_line(struct world *world, struct reader *reader)
{
    size_t i = (size_t)strtoul(reader->partial, NULL, 10);
    const struct pushed *entry = &world->pushed[i];

    check(i < world->n_pushed && entry->len == reader->partial_len);
    check(entry->published && matches(reader, entry));
    check(!is_stored(entry) || entry->seq > reader->from_seq);
    check(i >= reader->next); /* neither twice nor out of order */
    for (; reader->next < i; reader->next++)
        check(!is_due(reader, reader->next, &world->pushed[reader->next]));
    reader->next = i + 1;
    reader->partial_len = 0;
}

static void got_bytes(struct world *world, struct reader *reader, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        check(reader->partial_len < sizeof reader->partial);
        reader->partial[reader->partial_len++] = bytes[i];
        if (bytes[i] == '\n')
            got_line(world, reader);
    }
}

static void subscribe(struct world *world, struct reader *reader)
{
    uint64_t newest = fanout_published_seq(world->tail.fanout);
    uint64_t kind = below(world, 4);

    *reader = (struct reader){.filter.notices = rng_chance(&world->rng, 1, 2)};
    reader->filter.streams[0] = 1 + below(world, (1u << STREAMS) - 1);
    if (rng_chance(&world->rng, 1, 3))
        reader->filter.types[reader->filter.n_types++] = SLICE("chat.*");
    if (rng_chance(&world->rng, 1, 3))
        reader->filter.types[reader->filter.n_types++] = SLICE("a*");
    reader->from_seq = kind == 0 ? newest : kind == 1 ? 0 : below(world, newest + 1);
    /* Those that begin now see what is not yet published, too; others what is not stored maybe. */
    reader->fell_behind = kind != 0;
    reader->from_push = first_pending(world, false);
    fanout_subscribe(world->tail.fanout, &reader->sub, &reader->filter,
                     kind == 0 ? UINT64_MAX : reader->from_seq);
}

static void read_store(struct world *world, struct reader *reader)
{
    uint64_t done = fanout_evicted_seq(world->tail.fanout);
    size_t most = 1 + below(world, 50);

    check(reader->sub.cursor < done);
    world->cold_reads++;
    reader->fell_behind = true;
    for (size_t i = reader->next; i < world->n_pushed; i++) {
        const struct pushed *entry = &world->pushed[i];

        if (!is_stored(entry) || !entry->durable || entry->seq <= reader->sub.cursor ||
            entry->seq > done || !matches(reader, entry))
            continue;
        if (most-- == 0) {
            done = entry->seq - 1;
            break;
        }
        char line[LINE_MAX_BYTES + 1];

        memset(line, 'x', sizeof line);
        line[sprintf(line, "%zu ", i)] = 'x';
        line[entry->len - 1] = '\n';
        got_bytes(world, reader, line, entry->len);
    }
    fanout_cold_done(world->tail.fanout, &reader->sub, done);
}

/* A write that takes `bytes` of the batch. */
static void write_batch(struct world *world, struct reader *reader,
                        const struct fanout_batch *batch, size_t bytes)
{
    size_t left = bytes;
    struct slice rest;

    for (unsigned i = 0; i < batch->count && left > 0; i++) {
        size_t n = left < batch->line[i].len ? left : batch->line[i].len;

        got_bytes(world, reader, batch->line[i].ptr, n);
        left -= n;
    }
    fanout_advance(world->tail.fanout, &reader->sub, batch, bytes, &rest);
    check(rest.len < sizeof reader->rest);
    check((rest.len > 0) == (reader->partial_len > 0));
    world->cuts += rest.len > 0;
    if (rest.len > 0)
        memcpy(reader->rest, rest.ptr, rest.len);
    reader->rest_len = rest.len;
}

/* False when there is nothing to do. */
static bool read_some(struct world *world, struct reader *reader, bool all)
{
    struct fanout_batch batch;
    size_t max_bytes = below(world, 3 * LINE_MAX_BYTES);

    if (reader->rest_len > 0) {
        got_bytes(world, reader, reader->rest, reader->rest_len);
        reader->rest_len = 0;
    }
    /* What is not stored may have passed it although nothing stored has. */
    if (reader->sub.next_index < fanout_end_index(world->tail.fanout) &&
        fanout_get(world->tail.fanout, reader->sub.next_index) == NULL)
        reader->fell_behind = true;
    switch (fanout_next(world->tail.fanout, &reader->sub, max_bytes, &batch)) {
    case FANOUT_NEXT_IDLE:
        check(batch.count == 0);
        return false;
    case FANOUT_NEXT_FULL:
        check(false); /* nobody acknowledges */
        return false;
    case FANOUT_NEXT_COLD:
        read_store(world, reader);
        return true;
    case FANOUT_NEXT_LINES:
        check(batch.count > 0 && batch.count <= FANOUT_BATCH_MAX);
        for (unsigned i = 1; i < batch.count; i++)
            check(batch.line[i - 1].ptr + batch.line[i - 1].len != batch.line[i].ptr);
        world->joined += batch.bytes > LINE_MAX_BYTES && batch.count == 1;
        write_batch(world, reader, &batch, all ? batch.bytes : below(world, batch.bytes + 1));
        return true;
    }
    return false;
}

/* ---- runs ---- */

static void step(struct world *world)
{
    struct reader *reader = &world->readers[below(world, SUBS)];
    size_t what = below(world, 100);

    if (what < 35) {
        push(world);
    } else if (what < 50) {
        mark(world, true, 1 + below(world, 6));
        if (!world->deliver_received)
            mark(world, false, SIZE_MAX);
    } else if (what < 62) {
        mark(world, false, 1 + below(world, 6));
    } else if (what < 98) {
        read_some(world, reader, false);
    } else if (rng_chance(&world->rng, 1, 4)) {
        abandon(world);
    } else if (reader->rest_len == 0) {
        subscribe(world, reader);
    }
}

static void finish(struct world *world)
{
    mark(world, true, SIZE_MAX);
    mark(world, false, SIZE_MAX);
    /* With everything stored and seen there is room for anything. */
    check(fanout_has_room(world->tail.fanout, world->ring_bytes));
    check(!fanout_has_room(world->tail.fanout, world->ring_bytes + 1));
    for (size_t i = 0; i < SUBS; i++) {
        struct reader *reader = &world->readers[i];

        while (read_some(world, reader, true))
            continue;
        check(reader->partial_len == 0 && reader->rest_len == 0);
        for (; reader->next < world->n_pushed; reader->next++)
            check(!is_due(reader, reader->next, &world->pushed[reader->next]));
    }
}

static void run(struct world *world, uint64_t run_seed)
{
    seed = run_seed;
    memset(world, 0, sizeof *world);
    rng_seed(&world->rng, seed);
    world->ring_bytes = 250 + below(world, 4000);
    world->max_entries = 2 + below(world, 100);
    world->deliver_received = rng_chance(&world->rng, 1, 2);
    world->newest_seq = below(world, 1000);
    world->tail = tail_open(world->ring_bytes, world->max_entries, world->newest_seq);
    for (size_t i = 0; i < SUBS; i++)
        subscribe(world, &world->readers[i]);
    for (size_t i = 0; i < STEPS; i++)
        step(world);
    finish(world);
    tail_close(&world->tail);
}

static void test_random_schedules(void **state)
{
    struct world *world = malloc(sizeof *world);
    const char *only = getenv("HAWSER_TEST_SEED");
    size_t cold_reads = 0, refusals = 0, abandons = 0, joined = 0, cuts = 0;

    assert_non_null(world);
    if (only != NULL) {
        run(world, strtoull(only, NULL, 10));
        free(world);
        return;
    }
    for (uint64_t i = 1; i <= 24; i++) {
        run(world, i);
        cold_reads += world->cold_reads;
        refusals += world->refusals;
        abandons += world->abandons;
        joined += world->joined;
        cuts += world->cuts;
    }
    /* The schedules do go where it hurts. */
    assert_true(cold_reads > 1000 && refusals > 1000 && abandons > 100 && joined > 100 &&
                cuts > 1000);
    free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_schedules)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
