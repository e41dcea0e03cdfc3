/* truth: what was stored, and whether the promises hold. */
#include <stdlib.h>
#include <string.h>

#include "world.h"

unsigned truth_position(struct slice line)
{
    static const char key[] = "\"id\":\"evt-";
    const char *at = memmem(line.ptr, line.len, key, sizeof(key) - 1);
    unsigned position = 0;
    if (at == NULL)
        return 0;
    for (at += sizeof(key) - 1; *at >= '0' && *at <= '9'; at++)
        position = position * 10 + (unsigned)(*at - '0');
    return position;
}

static void check_order(struct world *world, uint64_t seq, unsigned position)
{
    if (world->n_stored > 0 && seq <= world->stored[world->n_stored - 1].seq)
        world_violation(world, 6, "seq %llu stored after %llu", (unsigned long long)seq,
                        (unsigned long long)world->stored[world->n_stored - 1].seq);
    if (position == 0)
        return;
    for (size_t i = world->n_stored; i > 0 && i + 64 > world->n_stored; i--)
        if (world->stored[i - 1].position == position)
            world_violation(world, 2, "event %u is stored twice: seq %llu and %llu", position,
                            (unsigned long long)world->stored[i - 1].seq, (unsigned long long)seq);
    if (position <= world->top_position)
        world_violation(world, 3, "event %u is stored after event %u", position,
                        world->top_position);
    world->top_position = position;
}

void truth_stored(struct world *world, const struct hub_batch *batch)
{
    uint64_t position_before = world->top_position;
    for (size_t i = 0; i < batch->count; i++) {
        const struct store_record *record = &batch->records[i];
        unsigned position = record->kind == STORE_GAP ? 0 : truth_position(record->line);
        world_trace(world, "stored seq %llu: event %u%s%.*s", (unsigned long long)record->seq,
                    position, record->position.ptr != NULL ? ", position " : "",
                    slice_width(record->position), slice_chars(record->position));
        check_order(world, record->seq, position);
        if (world->n_stored == world->cap_stored) {
            world->cap_stored = world->cap_stored * 2 + 1024;
            world->stored = realloc(world->stored, world->cap_stored * sizeof(struct seen));
        }
        world->stored[world->n_stored++] =
            (struct seen){.seq = record->seq, .position = position};
        uint64_t stored_position;
        if (record->position.ptr != NULL &&
            slice_parse_u64(record->position, &stored_position) == 0 &&
            stored_position < position_before)
            world_violation(world, 7, "position moved back from %llu to %llu",
                            (unsigned long long)position_before,
                            (unsigned long long)stored_position);
    }
}

struct walk {
    struct world *world;
    size_t next;
};

static bool on_visit(void *arg, const struct store_event *event)
{
    struct walk *walk = arg;
    struct world *world = walk->world;
    if (walk->next >= world->n_stored)
        world_violation(world, 6, "seq %llu is in the store, but was never committed",
                        (unsigned long long)event->seq);
    const struct seen *truth = &world->stored[walk->next++];
    unsigned position = event->kind == STORE_GAP ? 0 : truth_position(event->line);
    if (truth->seq != event->seq || truth->position != position)
        world_violation(world, 5, "the store has event %u at seq %llu where event %u, seq %llu was "
                                  "committed",
                        position, (unsigned long long)event->seq, truth->position,
                        (unsigned long long)truth->seq);
    return true;
}

static void on_lost(void *arg, unsigned stream, uint64_t from_seq, uint64_t to_seq)
{
    struct walk *walk = arg;
    (void)stream;
    world_violation(walk->world, 1, "retention took seq %llu to %llu", (unsigned long long)from_seq,
                    (unsigned long long)to_seq);
}

void truth_check_store(struct world *world)
{
    struct walk walk = {.world = world};
    struct store_read read = {.to_seq = UINT64_MAX, .visit = on_visit, .lost = on_lost,
                              .arg = &walk, .max_visits = 1u << 20};
    struct error err = {0};
    memset(read.streams, 0xff, sizeof(read.streams));
    if (store_read(world->store, &read, &err) != 0)
        world_violation(world, 5, "reading the store: %s", err.text);
    if (walk.next != world->n_stored)
        world_violation(world, 5, "%zu records were committed, the store has %zu", world->n_stored,
                        walk.next);
}

static bool is_stored(const struct world *world, unsigned position)
{
    for (size_t i = 0; i < world->n_stored; i++)
        if (world->stored[i].position == position)
            return true;
    return false;
}

static void check_nothing_lost(struct world *world)
{
    bool *have = calloc(world->service.count + 2, sizeof(bool));
    for (size_t i = 0; i < world->n_stored; i++)
        if (world->stored[i].position <= world->service.count)
            have[world->stored[i].position] = true;
    for (unsigned p = 1; p <= world->service.count; p++)
        if (!have[p] && !world->service.events[p].ephemeral) {
            bool later = is_stored(world, p + 1);
            free(have);
            world_violation(world, 1, "event %u of %u was never stored (the next one %s)", p,
                            world->service.count, later ? "was" : "was not either");
        }
    free(have);
}

/* Each consumer has seen every record after its start, once, in order. With deliver = received, a
 * record may have been seen that a crash then took away: it is skipped. */
static void check_consumer(struct world *world, unsigned number)
{
    struct consumer *consumer = &world->consumers[number];
    size_t k = 0;
    for (size_t i = 0; i < world->n_stored; i++) {
        while (k < consumer->n_seen && consumer->seen[k].seq < world->stored[i].seq) {
            if (!world->received)
                world_violation(world, 5, "consumer %u saw seq %llu, which is not in the store",
                                number, (unsigned long long)consumer->seen[k].seq);
            k++;
        }
        if (k == consumer->n_seen || consumer->seen[k].seq != world->stored[i].seq)
            world_violation(world, 5, "consumer %u never saw seq %llu (event %u)", number,
                            (unsigned long long)world->stored[i].seq, world->stored[i].position);
        if (consumer->seen[k].position != world->stored[i].position)
            world_violation(world, 6, "seq %llu was event %u for consumer %u, and event %u on disk",
                            (unsigned long long)world->stored[i].seq, consumer->seen[k].position,
                            number, world->stored[i].position);
        k++;
    }
}

void truth_check_end(struct world *world)
{
    truth_check_store(world);
    check_nothing_lost(world);
    for (unsigned i = 0; i < WORLD_CONSUMERS; i++)
        check_consumer(world, i);
    for (unsigned i = 0; i < 6; i++)
        if (world->gaps[i] > 0)
            world_violation(world, 4, "a gap \"%s\" was said, though the service had everything",
                            session_gap_name((enum session_gap)i));
}
