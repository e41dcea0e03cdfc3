/* service: a model of a chat service: positions 1, 2, ..., a link that pushes, a sync that pages. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

void service_publish(struct world *world)
{
    struct service *service = &world->service;
    if (service->count >= world->target)
        return;
    unsigned position = ++service->count;
    struct published *event = &service->events[position];
    event->at_ms = world->now_ms;
    event->visible_ms = world->now_ms + (int64_t)rng_below(&world->rng, (uint64_t)service->lag_ms + 1);
    /* Sync never shows a later event before an earlier one. */
    if (position > 1 && event->visible_ms < service->events[position - 1].visible_ms)
        event->visible_ms = service->events[position - 1].visible_ms;
    event->ephemeral = world_per_mille(world, 60);
    if (world->link_hello && !world->link_closing) {
        unsigned copies = world_per_mille(world, world->per_mille_duplicate) ? 2 : 1;
        while (copies-- > 0 && world->queue_count < WORLD_EVENTS_MAX * 2)
            world->queue[(world->queue_head + world->queue_count++) % (WORLD_EVENTS_MAX * 2 + 64)] =
                position;
        if (!world->deliver_planned) {
            world->deliver_planned = true;
            world_plan(world, world_delay(world, world->link_ms), WORLD_DELIVER, world->link, 0);
        }
    }
    /* Bursts and pauses. */
    int64_t pause = world_per_mille(world, 20) ? (int64_t)rng_below(&world->rng, 60000)
                                               : (int64_t)rng_below(&world->rng, 120);
    world_plan(world, pause, WORLD_PUBLISH, 0, 0);
}

/* What sync shows from now on holds all that was published before the greeting. */
void service_hello(struct world *world)
{
    struct service *service = &world->service;
    for (unsigned p = service->count; p > 0 && service->events[p].visible_ms > world->now_ms; p--)
        service->events[p].visible_ms = world->now_ms;
    world->link_hello = true;
    static const char hello[] =
        "{\"type\":\"hello\",\"session_id\":\"s\",\"server_name\":\"sim\",\"tenant_id\":\"t\"}";
    world->last_rx_ms = world->now_ms;
    if (stream_message(world->stream, world->link, STREAM_TEXT, slice_str(hello)) != 0) {
        /* no room: again a little later */
        world->link_hello = false;
        world_plan(world, 5, WORLD_HELLO, world->link, 0);
    }
}

static size_t write_event(const struct world *world, unsigned position, bool sync, char *out,
                          size_t size)
{
    const struct published *event = &world->service.events[position];
    if (event->ephemeral)
        return (size_t)snprintf(out, size, "{\"type\":\"typing\",\"user\":\"u%u\"}", position);
    return (size_t)snprintf(out, size,
                            "{\"%s\":\"swp.room.message\",\"id\":\"evt-%u\",\"room_id\":\"r\","
                            "\"content\":{\"body\":\"hello %u\"},\"stream_position\":%u,"
                            "\"origin_ts\":1778939467}",
                            sync ? "event_type" : "type", position, position, position);
}

void service_deliver(struct world *world)
{
    char text[512];
    world->deliver_planned = false;
    unsigned burst = 1 + (unsigned)rng_below(&world->rng, 8);
    while (burst-- > 0 && world->queue_count > 0 && !world->link_blocked && !world->link_silent &&
           !world->link_closing && world->alive && world->link_open) {
        unsigned position = world->queue[world->queue_head];
        size_t n = write_event(world, position, false, text, sizeof(text));
        uint64_t link = world->link;
        world->last_rx_ms = world->now_ms;
        if (stream_message(world->stream, link, STREAM_TEXT, slice_make(text, n)) == ERR_AGAIN) {
            world->link_blocked = true;
            return;
        }
        if (world->link != link)
            return;
        world->queue_head = (world->queue_head + 1) % (WORLD_EVENTS_MAX * 2 + 64);
        world->queue_count--;
    }
    if (world->queue_count > 0 && !world->deliver_planned && !world->link_blocked) {
        world->deliver_planned = true;
        world_plan(world, world_delay(world, world->link_ms), WORLD_DELIVER, world->link, 0);
    }
}

void service_link_gone(struct world *world)
{
    world->link = 0;
    world->link_open = world->link_hello = world->link_silent = false;
    world->link_blocked = world->link_closing = world->deliver_planned = false;
    world->queue_head = world->queue_count = 0;
}

/* The page as the service sees it when the request arrives. */
void service_answer(struct world *world, struct happening *request)
{
    struct service *service = &world->service;
    uint64_t since = 0;
    char text[512];
    unsigned items = 0;
    uint64_t last = 0;
    struct buf body;
    if (slice_parse_u64(slice_str(world->since), &since) != 0)
        world_violation(world, 7, "sync was asked since \"%s\"", world->since);
    buf_init(&body, 16u << 20);
    (void)buf_append_str(&body, "{\"data\":{\"events\":[");
    unsigned position = (unsigned)since + 1;
    for (; position <= service->count && items < service->page_limit; position++) {
        if (service->events[position].visible_ms > world->now_ms)
            break;
        if (service->events[position].ephemeral)
            continue;
        if (items++ > 0)
            (void)buf_append_byte(&body, ',');
        (void)buf_append(&body, text, write_event(world, position, true, text, sizeof(text)));
        last = position;
    }
    bool more = false;
    for (unsigned p = position; p <= service->count && !more; p++)
        more = service->events[p].visible_ms <= world->now_ms && !service->events[p].ephemeral;
    if (last == 0)
        last = since;
    (void)buf_appendf(&body, "],\"next_cursor\":%" PRIu64 ",\"has_more\":%s}}",
                      last + (service->next_is_after ? 1 : 0), more ? "true" : "false");
    request->body = body;
    world_trace(world, "sync since %s: %u items, up to %llu%s", world->since, items,
                (unsigned long long)last, more ? ", more" : "");
}
