/* slots: the broker in the simulation: its clock, its saves, whom it grants what. */
#include <stdlib.h>
#include <string.h>

#include "world.h"

static void op_granted(void *arg)
{
    struct feed *feed = arg;
    stream_slot(feed->stream);
}

static void op_later(void *arg, int64_t at_ms, const char *why)
{
    struct feed *feed = arg;
    cover(COVER_LIMITED);
    world_trace(feed->world, "%s: %s", feed->name, why);
    stream_slot_later(feed->stream, at_ms, why);
}

static void op_save(void *arg, struct slice key, struct slice value, uint64_t ticket)
{
    struct world *world = arg;
    uint64_t hub = hub_save(world->hub, key, value);
    if (hub == 0) { /* no room: once more when there is */
        world->unsaved = true;
        return;
    }
    size_t i = (size_t)(world->n_tickets++ % WORLD_TICKETS);
    world->tickets[i].hub = hub;
    world->tickets[i].broker = ticket;
}

static void op_broker_deadline(void *arg, int64_t deadline_ms)
{
    ((struct world *)arg)->broker_deadline_ms = deadline_ms;
}

static const struct broker_ops broker_ops = {
    .granted = op_granted, .later = op_later, .save = op_save, .deadline = op_broker_deadline};

void slots_start(struct world *world)
{
    struct broker_options options = {.dial_rate = {world->dial_rate, 1000},
                                     .dial_per_host = 2,
                                     .seed = rng_u64(&world->rng),
                                     .ops = &broker_ops,
                                     .arg = world};
    world->broker_deadline_ms = INT64_MAX;
    world->n_tickets = 0;
    memset(world->tickets, 0, sizeof(world->tickets));
    if (broker_new(&options, &world->broker) != 0)
        abort();
}

void slots_saved(struct world *world, uint64_t ticket, bool lost)
{
    uint64_t done = 0;
    for (unsigned i = 0; i < WORLD_TICKETS; i++)
        if (world->tickets[i].hub <= ticket && world->tickets[i].broker > done)
            done = world->tickets[i].broker;
    if (lost)
        broker_unsaved(world->broker, world->now_ms);
    else if (done > 0)
        broker_saved(world->broker, done, world->now_ms);
}
