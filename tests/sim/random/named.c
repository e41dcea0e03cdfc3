/*
 * named: consumers whose cursor hawserd keeps, as the daemon keeps it: fanout/consumer is the
 * cursor, fanout/saved its bytes, the hub takes them to disk.
 *
 * Truth knows two bounds of a cursor: all up to `answered` was acknowledged, and told so, and never
 * comes again; nothing that matches and lies above `acked` may be passed over, for nobody has
 * acknowledged it. Only what retention took of a feed, up to `settled`, may: the consumer was told,
 * and has acknowledged something that came behind the notice. That speaks for no other feed. A seek
 * that is not on disk yet widens these bounds.
 */
#include <stdio.h>
#include <string.h>

#include "fanout/saved.h"
#include "fanout/tally.h"
#include "world.h"

#define SCAN_MS 1000 /* a cursor that has moved is saved within it */
#define KEY_PREFIX "consumer/"

struct named *named_of(struct world *world, unsigned number)
{
    const unsigned first = WORLD_CONSUMERS - WORLD_NAMED;
    return number < first ? NULL : &world->named[number - first];
}

static unsigned number_of(const struct world *world, const struct named *named)
{
    return WORLD_CONSUMERS - WORLD_NAMED + (unsigned)(named - world->named);
}

static struct reader *reader_of(struct world *world, const struct named *named)
{
    return &world->consumers[number_of(world, named)];
}

/* ---- truth ---- */

/* The cursor may stand there: what lies before it is acknowledged, or not asked for. */
static void check_cursor(struct world *world, const struct named *named, uint64_t cursor)
{
    const struct reader *reader = reader_of(world, named);
    if (cursor < named->answered)
        world_violation(world, 12, "consumer %u begins at seq %llu; up to %llu was acknowledged",
                        number_of(world, named), (unsigned long long)cursor,
                        (unsigned long long)named->answered);
    for (size_t i = world->n_stored; i-- > 0 && world->stored[i].seq > named->acked;)
        if (world->stored[i].seq <= cursor &&
            world->stored[i].seq > named->settled[world->stored[i].feed] &&
            consumers_matches(world, reader, &world->stored[i]))
            world_violation(world, 13, "consumer %u begins at seq %llu; %llu was not acknowledged",
                            number_of(world, named), (unsigned long long)cursor,
                            (unsigned long long)world->stored[i].seq);
}

void named_saw(struct world *world, unsigned number, uint64_t seq)
{
    const struct named *named = named_of(world, number);
    if (named != NULL && seq <= named->answered)
        world_violation(world, 12, "consumer %u got seq %llu; up to %llu was acknowledged", number,
                        (unsigned long long)seq, (unsigned long long)named->answered);
}

/* ---- the disk ---- */

static void save(struct world *world, struct named *named)
{
    char key[32], value[CONSUMER_SAVED_MAX];
    struct consumer_saved saved = {.uid = number_of(world, named),
                                   .cursor = named->consumer.cursor,
                                   .filter = reader_of(world, named)->filter};
    if (consumer_need(&named->consumer) == CONSUMER_NEED_NOTHING)
        return;
    int len = snprintf(key, sizeof(key), KEY_PREFIX "%u", number_of(world, named));
    uint64_t ticket = hub_save(world->hub, slice_make(key, (size_t)len),
                               slice_make(value, consumer_saved_encode(&saved, value)));
    if (ticket == 0)
        return; /* no room: named_room(), or the next scan */
    consumer_saving(&named->consumer);
    named->ticket = ticket;
}

void named_room(struct world *world)
{
    for (unsigned i = 0; i < WORLD_NAMED; i++)
        if (world->named[i].exists && consumer_need(&world->named[i].consumer) == CONSUMER_NEED_NOW)
            save(world, &world->named[i]);
}

void named_scan(struct world *world)
{
    world_plan(world, SCAN_MS, WORLD_NAMED_SCAN, 0, 0, 0);
    for (unsigned i = 0; i < WORLD_NAMED && world->alive; i++)
        if (world->named[i].exists)
            save(world, &world->named[i]);
}

/* Whoever waits is told, once it is on disk. */
static void answer(struct world *world, struct named *named)
{
    if (named->waits_change == 0 || !consumer_is_saved(&named->consumer, named->waits_change))
        return;
    cover(named->waits_to_begin ? COVER_NAMED_BEGUN : COVER_NAMED_ACKED);
    if (named->waits_to_begin) {
        named->answered = named->acked = named->waits_seq;
        memset(named->settled, 0, sizeof(named->settled));
        named->waits_to_begin = false;
        consumers_begin(world, number_of(world, named));
    } else if (named->waits_seq > named->answered) {
        named->answered = named->waits_seq;
    }
    named->waits_change = 0;
    named->known = true;
}

static void lost(struct world *world, struct named *named)
{
    cover(COVER_NAMED_LOST);
    consumer_lost(&named->consumer);
    if (named->waits_to_begin) /* it is told so, and tries again */
        consumers_leave(world, number_of(world, named));
    named->waits_change = 0;
    /* A commit that failed may be on disk after all: it is to say what we say. */
    consumer_change(&named->consumer);
}

void named_saved(struct world *world, uint64_t ticket, bool is_lost)
{
    for (unsigned i = 0; i < WORLD_NAMED; i++) {
        struct named *named = &world->named[i];
        if (!named->exists || named->consumer.saving == 0 || (!is_lost && named->ticket > ticket))
            continue;
        if (is_lost) {
            lost(world, named);
        } else {
            consumer_saved(&named->consumer);
            answer(world, named);
        }
        if (consumer_need(&named->consumer) == CONSUMER_NEED_NOW)
            save(world, named);
    }
}

/* ---- lives of hawserd ---- */

void named_died(struct world *world)
{
    for (unsigned i = 0; i < WORLD_NAMED; i++) {
        world->named[i].exists = world->named[i].waits_to_begin = false;
        world->named[i].waits_change = 0;
    }
}

void named_restore(struct world *world, const struct store_state *state)
{
    struct consumer_saved saved;
    if (!slice_starts_with(state->key, SLICE(KEY_PREFIX)))
        return;
    unsigned number = (unsigned)(state->key.ptr[sizeof(KEY_PREFIX) - 1] - '0');
    struct named *named = named_of(world, number);
    if (named == NULL || !consumer_saved_decode(state->value, &saved) || saved.uid != number)
        world_violation(world, 12, "what is saved of consumer %u is damaged", number);
    named->exists = true;
    consumer_init(&named->consumer, saved.cursor, true);
    if (!fanout_filter_eq(&saved.filter, &reader_of(world, named)->filter))
        world_violation(world, 13, "consumer %u is saved with another filter", number);
}

void named_restored(struct world *world)
{
    for (unsigned i = 0; i < WORLD_NAMED; i++) {
        struct named *named = &world->named[i];
        if (named->exists)
            check_cursor(world, named, named->consumer.cursor);
        else if (named->known)
            world_violation(world, 12, "consumer %u is gone", number_of(world, named));
    }
}

/* ---- connecting and acknowledging ---- */

static void wait_to_begin(struct world *world, struct named *named, uint64_t seq)
{
    named->waits_change = named->consumer.change;
    named->waits_seq = seq;
    named->waits_to_begin = true;
    save(world, named);
}

static void seek(struct world *world, struct named *named)
{
    uint64_t seq = rng_below(&world->rng, fanout_published_seq(hub_fanout(world->hub)) + 1);
    cover(COVER_NAMED_SEEK);
    consumer_seek(&named->consumer, seq);
    consumer_change(&named->consumer);
    /* Until it is on disk a crash may begin here or there. */
    named->answered = seq < named->answered ? seq : named->answered;
    named->acked = seq > named->acked ? seq : named->acked;
    wait_to_begin(world, named, seq);
}

bool named_connect(struct world *world, unsigned number)
{
    struct named *named = named_of(world, number);
    bool fresh = !named->exists;
    if (fresh) {
        uint64_t seq = rng_below(&world->rng, fanout_published_seq(hub_fanout(world->hub)) + 1);
        consumer_init(&named->consumer, seq, false);
        named->exists = true;
        named->answered = named->acked = seq;
        wait_to_begin(world, named, seq);
    } else if (world_per_mille(world, 100)) {
        seek(world, named);
    } else {
        check_cursor(world, named, named->consumer.cursor);
    }
    named->gap_seq = 0;
    memset(named->told, 0, sizeof(named->told));
    consumer_attach(&named->consumer, named->seqs, 1 + world_below(world, WORLD_WINDOW_MAX));
    return !named->waits_to_begin;
}

void named_disconnect(struct world *world, unsigned number)
{
    struct named *named = named_of(world, number);
    if (named == NULL || !named->exists)
        return;
    consumer_detach(&named->consumer);
    named->waits_to_begin = false;
    named->waits_change = 0;
}

/* What was read last told it of the losses from this one on. */
void named_told(struct world *world, unsigned number, size_t first_loss)
{
    struct named *named = named_of(world, number);
    const struct reader *reader = &world->consumers[number];
    uint64_t to_seq = 0;
    if (named == NULL || first_loss == reader->n_lost)
        return;
    for (size_t i = first_loss; i < reader->n_lost; i++) {
        const struct lost_range *lost = &reader->lost[i];
        named->told[lost->feed].to_seq = lost->to_seq;
        named->told[lost->feed].seen_before = reader->n_seen;
        to_seq = lost->to_seq > to_seq ? lost->to_seq : to_seq;
    }
    cover(COVER_NAMED_TOLD);
    consumer_gap(&named->consumer, to_seq);
    if (to_seq > named->gap_seq)
        named->gap_seq = to_seq;
}

/* All up to seq was acknowledged: so are the losses that it was told of before one of them. */
static void settle(struct world *world, struct named *named, uint64_t seq)
{
    const struct reader *reader = reader_of(world, named);
    named->acked = seq > named->acked ? seq : named->acked;
    for (unsigned i = 0; i < WORLD_FEEDS; i++) {
        size_t behind = named->told[i].seen_before;
        if (named->told[i].to_seq <= named->settled[i] || behind >= reader->n_seen ||
            reader->seen[behind].seq > seq)
            continue;
        named->settled[i] = named->told[i].to_seq;
        if (named->settled[i] > seq)
            cover(COVER_NAMED_SETTLED);
    }
}

/* Of what it was sent, the newest or any; with an answer, or without. */
void named_acknowledge(struct world *world, unsigned number, bool all)
{
    struct named *named = named_of(world, number);
    uint64_t top = world->consumers[number].last_seq, most;
    if (named == NULL || !world_per_mille(world, all ? 1000 : 300))
        return;
    if (named->gap_seq > top)
        top = named->gap_seq;
    most = consumer_acknowledgeable(&named->consumer);
    top = top < most ? top : most;
    if (top <= named->consumer.cursor)
        return;
    if (!all && world_per_mille(world, 500))
        top -= rng_below(&world->rng, top - named->consumer.cursor);
    if (consumer_ack(&named->consumer, top) != 0)
        world_violation(world, 13, "consumer %u cannot acknowledge seq %llu", number,
                        (unsigned long long)top);
    settle(world, named, top);
    if (named->waits_change != 0 || world_per_mille(world, 500))
        return;
    named->waits_change = consumer_change(&named->consumer);
    named->waits_seq = top;
    answer(world, named);
    save(world, named);
}
