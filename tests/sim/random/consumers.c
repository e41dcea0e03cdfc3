/* consumers: local programs that read at their own pace, crash, and come back where they were. */
#include <stdlib.h>
#include <string.h>

#include "wire/ndjson.h"
#include "world.h"

#define PAGE_BYTES 8000 /* of a cold read, unless a single line is longer */

bool consumers_matches(const struct world *world, const struct reader *consumer,
                       const struct record *record)
{
    bool reaction = record->position % 4 == 0;
    if (!consumer->feeds[record->feed])
        return false;
    if (record->form == FORM_GAP || consumer->types == TYPES_ALL)
        return true;
    if (record->form == FORM_TEXT || !world->feeds[record->feed].resumable)
        return false; /* it has no type */
    return consumer->types == (reaction ? TYPES_REACTIONS : TYPES_MESSAGES);
}

/* ---- what a line is to a consumer ---- */

static void note_lost(struct world *world, struct reader *consumer, struct slice line)
{
    struct lost_range range = {.feed = truth_feed(world, line),
                               .from_seq = truth_number(line, "\"from_seq\":"),
                               .to_seq = truth_number(line, "\"to_seq\":"),
                               .connection = consumer->connection};
    if (!consumer->feeds[range.feed])
        world_violation(world, 5, "a consumer was told of a loss of %s, which it did not ask for",
                        world->feeds[range.feed].name);
    for (size_t i = 0; i < consumer->n_lost; i++)
        if (consumer->lost[i].feed == range.feed && range.from_seq <= consumer->lost[i].to_seq &&
            consumer->lost[i].connection == consumer->connection)
            world_violation(world, 5, "a consumer was told twice of the loss of %llu to %llu",
                            (unsigned long long)range.from_seq, (unsigned long long)range.to_seq);
    cover(COVER_CONSUMER_TOLD);
    world_trace(world, "consumer %u is told that %llu to %llu of %s are gone",
                (unsigned)(consumer - world->consumers), (unsigned long long)range.from_seq,
                (unsigned long long)range.to_seq, world->feeds[range.feed].name);
    if (consumer->n_lost == consumer->cap_lost) {
        consumer->cap_lost = consumer->cap_lost * 2 + 16;
        consumer->lost = realloc(consumer->lost, consumer->cap_lost * sizeof(range));
    }
    consumer->lost[consumer->n_lost++] = range;
}

static void note_record(struct world *world, struct reader *consumer, struct slice line)
{
    struct record record;
    truth_read_line(world, line, &record);
    truth_seq_means(world, &record);
    if (record.seq <= consumer->last_seq)
        world_violation(world, 6, "a consumer got seq %llu after %llu",
                        (unsigned long long)record.seq, (unsigned long long)consumer->last_seq);
    consumer->last_seq = record.seq;
    named_saw(world, (unsigned)(consumer - world->consumers), record.seq);
    if (record.seq > world->highest_seen_seq)
        world->highest_seen_seq = record.seq;
    if (record.seq > world->seen_in_life_seq)
        world->seen_in_life_seq = record.seq;
    if (!world->received && truth_find(world, record.seq) == NULL)
        world_violation(world, 5, "seq %llu was delivered before it was on disk",
                        (unsigned long long)record.seq);
    if (!consumers_matches(world, consumer, &record))
        world_violation(world, 5, "seq %llu was delivered to a consumer that did not ask for it",
                        (unsigned long long)record.seq);
    if (consumer->n_seen == consumer->cap_seen) {
        consumer->cap_seen = consumer->cap_seen * 2 + 256;
        consumer->seen = realloc(consumer->seen, consumer->cap_seen * sizeof(struct record));
    }
    consumer->seen[consumer->n_seen++] = record;
}

static void note_line(struct world *world, struct reader *consumer, struct slice line)
{
    if (slice_starts_with(line, SLICE("{\"notice\":"))) {
        if (!consumer->filter.notices)
            world_violation(world, 5, "a notice for a consumer that wants none");
        cover(COVER_NOTICE);
    } else if (!slice_starts_with(line, SLICE("{\"seq\":null"))) {
        note_record(world, consumer, line);
    } else if (truth_says(line, "\"retention\"")) {
        note_lost(world, consumer, line);
    } else {
        cover(COVER_EPHEMERAL);
    }
}

/* Bytes as they come off the socket: whole lines count. */
static void receive(struct world *world, struct reader *consumer, const char *bytes, size_t n)
{
    while (n > 0) {
        const char *end = memchr(bytes, '\n', n);
        size_t part = end != NULL ? (size_t)(end - bytes) + 1 : n;
        (void)buf_append(&consumer->rest, bytes, part);
        if (end != NULL) {
            note_line(world, consumer, buf_slice(&consumer->rest));
            buf_clear(&consumer->rest);
        }
        bytes += part;
        n -= part;
    }
}

/* ---- coming and going ---- */

static void draw_filter(struct world *world, struct reader *consumer)
{
    static const char *const globs[] = {"*", "swp.room.message", "*.reaction", "nothing.*"};
    unsigned all = 0;
    consumer->filter = (struct fanout_filter){.notices = world_per_mille(world, 500)};
    consumer->types = world_per_mille(world, 500) ? TYPES_ALL : world_below(world, 4);
    if (consumer->types != TYPES_ALL) {
        cover(COVER_CONSUMER_TYPES);
        consumer->filter.types[0] = slice_str(globs[consumer->types]);
        consumer->filter.n_types = 1;
    }
    for (unsigned i = 0; i < world->n_feeds; i++) {
        consumer->feeds[i] = world_per_mille(world, 700);
        all += consumer->feeds[i];
    }
    if (all == 0 || all == world->n_feeds)
        memset(consumer->feeds, 1, sizeof(consumer->feeds));
    else
        cover(COVER_CONSUMER_STREAMS);
}

/* Where it begins anew. */
static uint64_t draw_from(struct world *world, struct reader *consumer)
{
    uint64_t newest = fanout_published_seq(hub_fanout(world->hub));
    switch (world_below(world, 3)) {
    case 0:
        cover(COVER_CONSUMER_NOW);
        consumer->start_seq = newest;
        return UINT64_MAX;
    case 1:
        cover(COVER_CONSUMER_OLDEST);
        return consumer->start_seq = 0;
    default:
        cover(COVER_CONSUMER_SEQ);
        return consumer->start_seq = rng_below(&world->rng, newest + 1);
    }
}

/* What it was sent until now is judged, and what it is sent from here on begins anew. */
static void begin_anew(struct world *world, unsigned number)
{
    struct reader *consumer = &world->consumers[number];
    consumer->n_seen = consumer->n_lost = 0;
    memset(consumer->forgiven, 0, sizeof(consumer->forgiven));
    consumer->forgive = false;
    consumer->pace_ms = world_per_mille(world, 300) ? 4000 : 200;
}

static void set_streams(struct world *world, struct reader *consumer)
{
    memset(consumer->filter.streams, 0, sizeof(consumer->filter.streams));
    for (unsigned i = 0; i < world->n_feeds; i++)
        if (consumer->feeds[i])
            consumer->filter.streams[world->feeds[i].id / 64] |= 1ull << world->feeds[i].id % 64;
}

static void subscribe(struct world *world, unsigned number, uint64_t from)
{
    struct reader *consumer = &world->consumers[number];
    memset(consumer->told, 0, sizeof(consumer->told));
    buf_clear(&consumer->rest);
    consumer->rest.max = consumer->page.max = consumer->gaps.max = BUF_UNBOUNDED;
    fanout_subscribe(hub_fanout(world->hub), &consumer->sub, &consumer->filter, from);
    world_trace(world, "consumer %u connects, last seq %llu", number,
                (unsigned long long)consumer->last_seq);
    world_plan(world, 1, WORLD_CONSUME, number, consumer->connection, 0);
}

void consumers_begin(struct world *world, unsigned number)
{
    struct reader *consumer = &world->consumers[number];
    struct named *named = named_of(world, number);
    consumer->start_seq = consumer->last_seq = named->consumer.cursor;
    subscribe(world, number, named->consumer.cursor);
    consumer->sub.consumer = &named->consumer;
}

/* With a name: hawserd knows where it begins. Another connection of it may be there. */
static void connect_named(struct world *world, unsigned number)
{
    struct reader *consumer = &world->consumers[number];
    if (consumer->connected) {
        cover(COVER_NAMED_TAKEOVER);
        named_disconnect(world, number);
    }
    if (consumer->connection == 0)
        draw_filter(world, consumer);
    verdict_consumer(world, number, consumer->last_seq);
    begin_anew(world, number);
    consumer->start_seq = consumer->last_seq; /* it may end before it begins */
    set_streams(world, consumer);
    consumer->connected = true;
    consumer->reading = false;
    consumer->connection++;
    if (named_connect(world, number))
        consumers_begin(world, number);
}

void consumers_connect(struct world *world, unsigned number)
{
    struct reader *consumer = &world->consumers[number];
    uint64_t from;
    if (world->alive && named_of(world, number) != NULL)
        connect_named(world, number);
    if (!world->alive || consumer->connected)
        return;
    if (consumer->connection > 0 && world_per_mille(world, 600)) {
        cover(COVER_CONSUMER_RESUMED);
        from = consumer->last_seq;
    } else {
        verdict_consumer(world, number, consumer->last_seq);
        draw_filter(world, consumer);
        from = draw_from(world, consumer);
        consumer->last_seq = consumer->start_seq;
        begin_anew(world, number);
        consumer->forgive = from == 0;
    }
    set_streams(world, consumer);
    consumer->connected = true;
    consumer->reading = false;
    consumer->connection++;
    subscribe(world, number, from);
}

void consumers_leave(struct world *world, unsigned number)
{
    struct reader *consumer = &world->consumers[number];
    if (consumer->rest.len > 0)
        cover(COVER_CONSUMER_CUT);
    named_disconnect(world, number);
    consumer->connected = consumer->reading = false;
    buf_clear(&consumer->rest);
    world_plan(world, world_delay(world, 1000), WORLD_CONNECT, number, 0, 0);
}

void consumers_lost(struct world *world)
{
    for (unsigned i = 0; i < WORLD_CONSUMERS; i++) {
        world->consumers[i].connected = world->consumers[i].reading = false;
        buf_clear(&world->consumers[i].rest);
    }
    named_died(world);
}

static bool crashes(struct world *world)
{
    return world->faults && world_per_mille(world, 5);
}

/* ---- cold: as the daemon reads for a client ---- */

static bool on_visit(void *arg, const struct store_event *event)
{
    struct reader *consumer = arg;
    enum fanout_kind kind = event->kind == STORE_GAP ? FANOUT_GAP : FANOUT_EVENT;
    bool full = consumer->n_lines == sizeof(consumer->lines) / sizeof(consumer->lines[0]);
    if (!fanout_match(&consumer->filter, kind, event->stream, event->type))
        return true;
    full = full || (consumer->sub.consumer != NULL &&
                    consumer->n_lines == consumer_room(consumer->sub.consumer));
    if (full || (consumer->n_lines > 0 && consumer->page.len + event->line.len > PAGE_BYTES))
        return false;
    (void)buf_append_slice(&consumer->page, event->line);
    consumer->lines[consumer->n_lines].end = consumer->page.len;
    consumer->lines[consumer->n_lines++].seq = event->seq;
    return true;
}

static void on_lost(void *arg, unsigned id, uint64_t from_seq, uint64_t to_seq)
{
    struct reader *consumer = arg;
    char name[] = {'c', 'h', 'a', 't', (char)('0' + id), '\0'};
    if (to_seq <= consumer->told[id])
        return;
    if (from_seq <= consumer->told[id])
        from_seq = consumer->told[id] + 1;
    (void)ndjson_write_retention_gap(&consumer->gaps, name, from_seq, to_seq);
    consumer->told[id] = to_seq;
}

static uint64_t trimmed_seq(struct world *world, unsigned id)
{
    struct store_stream_info info;
    struct error err = {0};
    if (store_stream_info(world->store, id, &info, &err) != 0)
        world_violation(world, 5, "%s", err.text);
    return info.trimmed_seq;
}

static void forgive_losses(struct world *world, struct reader *consumer)
{
    for (unsigned i = 0; i < world->n_feeds; i++)
        consumer->told[i] = consumer->forgiven[i] = trimmed_seq(world, i);
    consumer->forgive = false;
}

static void read_cold(struct world *world, unsigned number)
{
    struct reader *consumer = &world->consumers[number];
    struct error err = {0};
    struct store_read read = {
        .after_seq = consumer->sub.cursor,
        .to_seq = fanout_evicted_seq(hub_fanout(world->hub)),
        .visit = on_visit,
        .lost = on_lost,
        .arg = consumer,
        .max_visits = 1 + world_below(world, 100),
    };
    cover(COVER_CONSUMER_COLD);
    memcpy(read.streams, consumer->filter.streams, sizeof(read.streams));
    consumer->n_lines = 0;
    buf_clear(&consumer->page);
    buf_clear(&consumer->gaps);
    if (consumer->forgive)
        forgive_losses(world, consumer);
    if (store_read(world->store, &read, &err) != 0)
        world_violation(world, 5, "reading the store: %s", err.text);
    for (unsigned i = 0; i < world->n_feeds; i++)
        if (consumer->told[i] > trimmed_seq(world, i))
            world_violation(world, 5, "seqs up to %llu are said to be gone; retention took %llu",
                            (unsigned long long)consumer->told[i],
                            (unsigned long long)trimmed_seq(world, i));
    consumer->page_done_seq = read.done_seq;
    consumer->reading = true;
    world_plan(world, world_delay(world, 5), WORLD_PAGE, number, consumer->connection, 0);
}

static void receive_losses(struct world *world, unsigned number)
{
    struct reader *consumer = &world->consumers[number];
    size_t before = consumer->n_lost;
    receive(world, consumer, consumer->gaps.data, consumer->gaps.len);
    named_told(world, number, before);
}

void consumers_page(struct world *world, unsigned number, uint64_t connection)
{
    struct reader *consumer = &world->consumers[number];
    size_t begin = 0, n = consumer->page.len;
    unsigned i = 0;
    if (!world->alive || !consumer->connected || consumer->connection != connection)
        return;
    consumer->reading = false;
    if (n > 0)
        n = world_per_mille(world, 700) ? n : 1 + (size_t)rng_below(&world->rng, n);
    receive_losses(world, number);
    if (crashes(world)) {
        receive(world, consumer, consumer->page.data, n);
        consumers_leave(world, number);
        return;
    }
    /* The rest of a line that was cut follows by itself. */
    for (; i < consumer->n_lines && begin < n; begin = consumer->lines[i++].end) {
        receive(world, consumer, consumer->page.data + begin, consumer->lines[i].end - begin);
        fanout_cold_sent(hub_fanout(world->hub), &consumer->sub, consumer->lines[i].seq);
    }
    if (i == consumer->n_lines && consumer->page_done_seq > consumer->sub.cursor)
        fanout_cold_done(hub_fanout(world->hub), &consumer->sub, consumer->page_done_seq);
}

/* ---- hot ---- */

/* False: the consumer has crashed. */
static bool read_hot(struct world *world, unsigned number, const struct fanout_batch *batch)
{
    struct reader *consumer = &world->consumers[number];
    size_t bytes = (size_t)rng_below(&world->rng, batch->bytes) + 1, left = bytes;
    struct slice rest;
    for (unsigned i = 0; i < batch->count && left > 0; i++) {
        size_t n = batch->line[i].len < left ? batch->line[i].len : left;
        receive(world, consumer, batch->line[i].ptr, n);
        left -= n;
    }
    if (crashes(world)) {
        consumers_leave(world, number);
        return false;
    }
    fanout_advance(hub_fanout(world->hub), &consumer->sub, batch, bytes, &rest);
    receive(world, consumer, rest.ptr, rest.len);
    return true;
}

void consumers_pump(struct world *world, unsigned number, uint64_t connection)
{
    struct reader *consumer = &world->consumers[number];
    struct fanout_batch batch;
    unsigned turns = 1 + world_below(world, 4);
    if (!world->alive || !consumer->connected || consumer->connection != connection)
        return;
    /* In the calm, hours may pass until a parked stream tries again. */
    bool behind = consumer->sub.cursor < truth_newest_seq(world);
    uint64_t pace_ms = (uint64_t)consumer->pace_ms * (world->faults || behind ? 1 : 20);
    world_plan(world, (int64_t)rng_below(&world->rng, pace_ms) + 1, WORLD_CONSUME, number,
               connection, 0);
    if (!consumer->reading)
        named_acknowledge(world, number, false);
    if (named_of(world, number) != NULL && world->faults && world_per_mille(world, 3))
        world_plan(world, 1, WORLD_CONNECT, number, 0, 0);
    while (turns-- > 0 && !consumer->reading) {
        switch (fanout_next(hub_fanout(world->hub), &consumer->sub,
                            1 + rng_below(&world->rng, 4000), &batch)) {
        case FANOUT_NEXT_IDLE:
            return;
        case FANOUT_NEXT_FULL: /* without an acknowledgement nothing more comes */
            cover(COVER_NAMED_FULL);
            named_acknowledge(world, number, true);
            return;
        case FANOUT_NEXT_COLD:
            if (world->reopening)
                return;
            read_cold(world, number);
            break;
        case FANOUT_NEXT_LINES:
            if (!read_hot(world, number, &batch))
                return;
            break;
        }
    }
}

bool consumers_served(struct world *world)
{
    for (unsigned i = 0; i < WORLD_CONSUMERS; i++) {
        const struct reader *consumer = &world->consumers[i];
        if (!consumer->connected || consumer->sub.cursor < truth_newest_seq(world))
            return false;
    }
    return true;
}

void consumers_free(struct world *world)
{
    for (unsigned i = 0; i < WORLD_CONSUMERS; i++) {
        free(world->consumers[i].seen);
        free(world->consumers[i].lost);
        buf_fini(&world->consumers[i].rest);
        buf_fini(&world->consumers[i].page);
        buf_fini(&world->consumers[i].gaps);
    }
}
