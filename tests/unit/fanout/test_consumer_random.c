/*
 * Named consumers at random against a model: events pour in, retention takes the oldest, consumers
 * come with any filter and window, read from the ring or from behind it, acknowledge what they
 * like, go, are saved, lost with the store, and come back after a crash.
 *
 * Each connection sees every event after the cursor that it matches once and in order, or is told
 * that retention took it; no cursor passes what was not acknowledged, none falls behind what was,
 * none rests while nothing is unacknowledged; what is on disk is where a crash begins again; what
 * waits is counted right. HAWSER_TEST_SEED=N runs that seed only.
 */
#include <stdio.h>

#include "base/error.h"
#include "base/rng.h"
#include "fanout/tally.h"
#include "unit/fanout/tail.h"

enum {
    EVENTS_MAX = 1500,
    CONSUMERS = 4,
    STREAMS = 3,
    WINDOW_MAX = 6,
    STEPS = 8000,
    TOLD_MAX = 400
};

static uint64_t seed;

#define check(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("seed %llu: %s", (unsigned long long)seed, #condition);                       \
    } while (0)

struct event {
    uint64_t seq;
    uint32_t stream;
    const char *type;
    bool trimmed;
};

/* A gap that a connection was told. */
struct told {
    uint64_t from_seq, to_seq;
    uint32_t stream;
    uint64_t next_seq; /* of the event sent after it, 0: none yet */
    bool acked;
};

struct named {
    struct fanout_filter filter;
    struct consumer consumer;
    bool connected;
    bool had_loss; /* on this connection */
    struct fanout_sub sub;
    uint64_t window[WINDOW_MAX];
    uint64_t told_upto[STREAMS];
    struct told told[TOLD_MAX];
    size_t n_told;
    size_t next; /* the first event that this connection has not passed */

    uint64_t floor;                 /* up to here it does not matter any more */
    uint64_t acked;                 /* since the cursor was set or set back */
    uint64_t acked_saving, on_disk; /* the newest acknowledgement in the save; that is on disk */
    bool settled[EVENTS_MAX];       /* acknowledged, or a gap that has it is */
};

struct world {
    struct rng rng;
    struct tail tail;
    struct event events[EVENTS_MAX];
    size_t n_events;
    uint64_t newest_seq, trimmed[STREAMS];
    struct named named[CONSUMERS];
    size_t cold, full, gaps, crashes, losses, counted, remembered;
};

static struct world world;

static size_t below(size_t n)
{
    return (size_t)rng_below(&world.rng, n);
}

static bool matches(const struct named *n, const struct event *e)
{
    return fanout_match(&n->filter, FANOUT_EVENT, e->stream, slice_str(e->type));
}

/* ---- the log ---- */

static void push(void)
{
    static const char *const types[] = {"a", "a.b", "c"};
    struct event *e = &world.events[world.n_events];
    char line[32];
    size_t len, type_len;
    char *at;

    if (world.n_events == EVENTS_MAX)
        return;
    *e = (struct event){.stream = (uint32_t)below(STREAMS), .type = types[below(3)]};
    len = (size_t)sprintf(line, "%zu\n", world.n_events);
    type_len = strlen(e->type);
    at = fanout_reserve(world.tail.fanout, len + type_len);
    check(at != NULL);
    memcpy(at, line, len);
    memcpy(at + len, e->type, type_len);
    e->seq = world.newest_seq += 1 + below(3);
    fanout_push(world.tail.fanout, FANOUT_EVENT, e->seq, e->stream, slice_make(at + len, type_len),
                len);
    world.n_events++;
    tail_commit(world.tail.fanout);
}

static void trim(void)
{
    uint32_t stream = (uint32_t)below(STREAMS);
    size_t left = below(6);

    for (size_t i = 0; i < world.n_events && left > 0; i++) {
        struct event *e = &world.events[i];

        if (e->stream != stream || e->trimmed)
            continue;
        e->trimmed = true;
        world.trimmed[stream] = e->seq;
        left--;
    }
}

/* ---- what a connection sees ---- */

static bool was_told(const struct named *n, const struct event *e)
{
    for (size_t i = 0; i < n->n_told; i++)
        if (n->told[i].stream == e->stream && e->seq >= n->told[i].from_seq &&
            e->seq <= n->told[i].to_seq)
            return true;
    return false;
}

/* Nothing that matches was left out before this event, or before the end. */
static void pass_to(struct named *n, size_t index)
{
    for (; n->next < index; n->next++) {
        const struct event *e = &world.events[n->next];

        check(!matches(n, e) || (e->trimmed && was_told(n, e)));
    }
}

static void see(struct named *n, size_t index)
{
    check(index < world.n_events && index >= n->next && matches(n, &world.events[index]));
    pass_to(n, index);
    n->next = index + 1;
    for (size_t i = 0; i < n->n_told; i++)
        if (n->told[i].next_seq == 0)
            n->told[i].next_seq = world.events[index].seq;
}

static void see_text(struct named *n, const char *text, size_t len)
{
    while (len > 0) {
        char *end;
        size_t index = strtoul(text, &end, 10);

        see(n, index);
        check(*end == '\n');
        len -= (size_t)(end + 1 - text);
        text = end + 1;
    }
}

static void tell(struct named *n, uint32_t stream, uint64_t from_seq, uint64_t to_seq)
{
    if (from_seq <= n->told_upto[stream])
        from_seq = n->told_upto[stream] + 1;
    if (to_seq < from_seq || n->n_told == TOLD_MAX)
        return;
    n->told_upto[stream] = to_seq;
    n->told[n->n_told++] = (struct told){.from_seq = from_seq, .to_seq = to_seq, .stream = stream};
    world.gaps++;
}

/* As the store reads, and the daemon sends it: the gaps first. */
static void read_cold(struct named *n)
{
    uint64_t after = n->sub.cursor, to = fanout_evicted_seq(world.tail.fanout), done = to;
    size_t lines[WINDOW_MAX], count = 0, most = consumer_room(&n->consumer);
    size_t told_before = n->n_told;
    uint64_t gap_to = 0, newest = 0;

    world.cold++;
    if (most > 1 && below(2) == 0)
        most = 1 + below(most);
    for (size_t i = 0; i < world.n_events; i++) {
        const struct event *e = &world.events[i];

        if (e->seq <= after || e->seq > to || e->trimmed || !matches(n, e))
            continue;
        if (count == most) {
            done = e->seq - 1;
            break;
        }
        lines[count++] = i;
        newest = e->seq;
    }
    for (uint32_t s = 0; s < STREAMS; s++) {
        uint64_t end = world.trimmed[s];

        if ((n->filter.streams[0] >> s & 1) == 0 || end <= after)
            continue;
        if (end > newest && end > done)
            end = done;
        tell(n, s, after + 1, end);
    }
    for (size_t i = told_before; i < n->n_told; i++)
        if (n->told[i].to_seq > gap_to)
            gap_to = n->told[i].to_seq;
    if (gap_to > 0)
        consumer_gap(&n->consumer, gap_to);
    for (size_t i = 0; i < count; i++) {
        if (below(10) == 0)
            return; /* the socket takes no more: it goes on behind the last line */
        see(n, lines[i]);
        fanout_cold_sent(world.tail.fanout, &n->sub, world.events[lines[i]].seq);
    }
    fanout_cold_done(world.tail.fanout, &n->sub, done);
}

static void write_hot(struct named *n, const struct fanout_batch *batch)
{
    char text[4096];
    size_t len = 0, taken = below(4) == 0 ? 1 + below(batch->bytes) : batch->bytes;
    struct slice rest;

    for (unsigned i = 0; i < batch->count; i++) {
        memcpy(text + len, batch->line[i].ptr, batch->line[i].len);
        len += batch->line[i].len;
    }
    fanout_advance(world.tail.fanout, &n->sub, batch, taken, &rest);
    see_text(n, text, taken + rest.len);
}

static void deliver(struct named *n)
{
    struct fanout_batch batch;

    if (!n->connected)
        return;
    switch (fanout_next(world.tail.fanout, &n->sub, 1 + below(60), &batch)) {
    case FANOUT_NEXT_IDLE:
        pass_to(n, world.n_events);
        break;
    case FANOUT_NEXT_COLD:
        read_cold(n);
        break;
    case FANOUT_NEXT_LINES:
        write_hot(n, &batch);
        break;
    case FANOUT_NEXT_FULL:
        world.full++;
        check(consumer_room(&n->consumer) == 0);
        break;
    }
}

/* ---- what it acknowledges ---- */

static void settle(struct named *n, uint64_t seq)
{
    for (size_t i = 0; i < world.n_events && world.events[i].seq <= seq; i++) {
        const struct event *e = &world.events[i];

        /* What it may acknowledge has all been sent. */
        check(e->seq <= n->floor || n->settled[i] || !matches(n, e) || i < n->next ||
              was_told(n, e));
        n->settled[i] = true;
    }
    for (size_t k = 0; k < n->n_told; k++) {
        const struct told *told = &n->told[k];

        if (seq < told->to_seq && (told->next_seq == 0 || told->next_seq > seq))
            continue;
        n->told[k].acked = true;
        for (size_t i = 0; i < world.n_events; i++)
            if (world.events[i].stream == told->stream && world.events[i].seq >= told->from_seq &&
                world.events[i].seq <= told->to_seq)
                n->settled[i] = true;
    }
}

static void acknowledge(struct named *n)
{
    uint64_t most = consumer_acknowledgeable(&n->consumer), cursor = n->consumer.cursor, seq;

    if (!n->connected)
        return;
    seq = most + 1 + below(3);
    if (below(5) > 0)
        seq = most - below((size_t)(most > cursor ? most - cursor : 0) + 1);
    if (below(8) == 0 && cursor > 0)
        seq = below((size_t)cursor); /* once more */
    if (seq > most) {
        check(consumer_ack(&n->consumer, seq) == ERR_INVAL);
        check(n->consumer.cursor == cursor);
        return;
    }
    check(consumer_ack(&n->consumer, seq) == 0);
    settle(n, seq);
    if (seq > n->acked)
        n->acked = seq;
    if (below(2) == 0)
        (void)consumer_change(&n->consumer);
}

/* ---- the disk ---- */

static void set_back(struct named *n)
{
    n->acked = n->on_disk;
    for (size_t i = 0; i < world.n_events; i++)
        if (world.events[i].seq > n->consumer.cursor)
            n->settled[i] = false;
    if (n->floor > n->consumer.cursor)
        n->floor = n->consumer.cursor;
}

static void save(struct named *n)
{
    switch (below(8)) {
    case 0:
    case 1:
    case 2:
        if (consumer_need(&n->consumer) == CONSUMER_NEED_NOTHING)
            return;
        consumer_saving(&n->consumer);
        n->acked_saving = n->acked;
        break;
    case 3:
        if (n->consumer.saving != 0 && below(3) == 0) {
            world.losses++;
            n->had_loss = true;
            consumer_lost(&n->consumer);
            check(n->consumer.cursor == n->consumer.stored);
            set_back(n);
        }
        break;
    default:
        if (n->consumer.saving == 0)
            return;
        consumer_saved(&n->consumer);
        n->on_disk = n->acked_saving;
        check(n->consumer.stored >= n->on_disk);
    }
}

/* ---- coming and going ---- */

static void any_filter(struct fanout_filter *filter)
{
    *filter = (struct fanout_filter){.streams = {1 + below((1u << STREAMS) - 1)}};
    if (below(2) == 0)
        filter->types[filter->n_types++] = below(2) == 0 ? SLICE("a*") : SLICE("c");
}

static void leave(struct named *n)
{
    if (n->connected)
        consumer_detach(&n->consumer);
    n->connected = false;
}

static void join(struct named *n)
{
    size_t i = 0;

    if (n->connected)
        return;
    if (below(4) == 0) {
        any_filter(&n->filter);
        n->floor = n->consumer.cursor;
        n->consumer.lag.known = false;
    }
    consumer_attach(&n->consumer, n->window, 1 + (uint32_t)below(WINDOW_MAX));
    fanout_subscribe(world.tail.fanout, &n->sub, &n->filter, n->consumer.cursor);
    n->sub.consumer = &n->consumer;
    n->connected = true;
    n->had_loss = false;
    n->n_told = 0;
    memset(n->told_upto, 0, sizeof n->told_upto);
    while (i < world.n_events && world.events[i].seq <= n->consumer.cursor)
        i++;
    n->next = i;
}

static void crash(void)
{
    world.crashes++;
    for (size_t i = 0; i < CONSUMERS; i++) {
        struct named *n = &world.named[i];

        leave(n);
        consumer_init(&n->consumer, n->consumer.stored, true);
        set_back(n);
    }
}

/* ---- what waits ---- */

static void count(void)
{
    struct tally_row rows[CONSUMERS];
    uint64_t known[CONSUMERS], sums[CONSUMERS], newest[CONSUMERS];
    struct tally tally;

    for (size_t i = 0; i < CONSUMERS; i++) {
        const struct named *n = &world.named[i];
        uint64_t after;

        sums[i] = known[i] = newest[i] = 0;
        for (uint32_t s = 0; s < STREAMS; s++) {
            if ((n->filter.streams[0] >> s & 1) == 0)
                continue;
            sums[i] += world.trimmed[s];
            newest[i] = world.trimmed[s] > newest[i] ? world.trimmed[s] : newest[i];
        }
        if (consumer_lag(&n->consumer, newest[i], sums[i], &after, &known[i]))
            world.remembered++;
        else
            known[i] = 0, after = n->consumer.cursor;
        rows[i] =
            (struct tally_row){.filter = &n->filter, .after_seq = after, .arg = &world.named[i]};
    }
    tally_begin(&tally, rows, CONSUMERS);
    for (size_t i = 0; i < world.n_events; i++)
        if (!world.events[i].trimmed)
            tally_event(&tally, world.events[i].seq, FANOUT_EVENT, world.events[i].stream,
                        slice_str(world.events[i].type));
    tally_finish(&tally);
    for (size_t r = 0; r < CONSUMERS; r++) {
        struct named *n = rows[r].arg;
        size_t i = (size_t)(n - world.named);
        uint64_t events = known[i] + rows[r].events, wanted = 0;

        for (size_t k = 0; k < world.n_events; k++)
            wanted += !world.events[k].trimmed && world.events[k].seq > n->consumer.cursor &&
                      matches(n, &world.events[k]);
        check(events == wanted);
        if (below(2) == 0)
            consumer_counted(&n->consumer, world.newest_seq, events, newest[i], sums[i]);
        world.counted++;
    }
}

/* ---- always ---- */

static bool all_gaps_acked(const struct named *n)
{
    for (size_t i = 0; i < n->n_told; i++)
        if (!n->told[i].acked)
            return false;
    return true;
}

static void check_always(const struct named *n)
{
    const struct consumer *c = &n->consumer;

    check(c->cursor >= n->acked);
    check(c->stored >= n->on_disk);
    for (size_t i = 0; i < world.n_events && world.events[i].seq <= c->cursor; i++)
        check(world.events[i].seq <= n->floor || n->settled[i] || !matches(n, &world.events[i]));
    if (!n->connected)
        return;
    check(c->passed == n->sub.cursor && c->cursor <= c->passed);
    check(c->unacked <= c->window);
    if (c->unacked == 0 && (!c->gap.told || (!n->had_loss && all_gaps_acked(n))))
        check(c->cursor == c->passed);
    if (c->unacked > 0)
        check(c->cursor < c->seqs[c->first]);
}

static void step(void)
{
    struct named *n = &world.named[below(CONSUMERS)];

    switch (below(16)) {
    case 0:
    case 1:
    case 2:
        push();
        break;
    case 3:
        trim();
        break;
    case 4:
    case 5:
    case 6:
        acknowledge(n);
        break;
    case 7:
        save(n);
        break;
    case 8:
        if (below(4) == 0)
            leave(n);
        break;
    case 9:
        join(n);
        break;
    case 10:
        if (below(200) == 0)
            crash();
        break;
    case 11:
        if (below(10) == 0)
            count();
        break;
    default:
        deliver(n);
    }
    for (size_t i = 0; i < CONSUMERS; i++)
        check_always(&world.named[i]);
}

/* Everything is read and acknowledged: then no cursor rests anywhere but at the end. */
static void finish(void)
{
    for (size_t i = 0; i < CONSUMERS; i++) {
        struct named *n = &world.named[i];

        leave(n);
        join(n);
        for (size_t k = 0; k < 20000 && n->next < world.n_events; k++) {
            deliver(n);
            check(consumer_ack(&n->consumer, consumer_acknowledgeable(&n->consumer)) == 0);
            settle(n, consumer_acknowledgeable(&n->consumer));
            check_always(n);
        }
        deliver(n);
        check(n->next == world.n_events && n->consumer.unacked == 0);
        check(n->consumer.cursor == world.newest_seq || n->consumer.gap.told);
    }
    count();
}

static void run_seed(uint64_t number)
{
    memset(&world, 0, sizeof world);
    seed = number;
    rng_seed(&world.rng, seed);
    world.tail = tail_open(400 + below(400), 8 + below(40), 0);
    for (size_t i = 0; i < CONSUMERS; i++) {
        any_filter(&world.named[i].filter);
        consumer_init(&world.named[i].consumer, 0, true);
        world.named[i].connected = false;
    }
    for (size_t i = 0; i < STEPS; i++)
        step();
    finish();
    tail_close(&world.tail);
    check(world.cold > 10 && world.full > 10 && world.gaps > 10);
    check(world.losses > 0 && world.counted > 10);
}

static void test_random(void **state)
{
    const char *only = getenv("HAWSER_TEST_SEED");
    size_t crashes = 0, remembered = 0;

    if (only != NULL) {
        run_seed(strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t i = 1; i <= 12; i++) {
        run_seed(i);
        crashes += world.crashes;
        remembered += world.remembered;
    }
    assert_true(crashes > 5 && remembered > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
