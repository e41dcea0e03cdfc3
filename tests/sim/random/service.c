/* service: a model of a chat service: positions 1, 2, ..., a link that pushes, a sync that pages.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

void service_init(struct feed *feed)
{
    struct world *world = feed->world;
    struct service *service = &feed->service;
    service->target = 100 + world_below(world, WORLD_EVENTS_MAX / world->n_feeds - 100);
    service->reading = (enum reading)world_below(world, 3);
    service->page_limit = 8 + world_below(world, world_per_mille(world, 500) ? 8 : 100);
    service->zero_is_oldest = world_per_mille(world, 500);
    /* Together they stay below settle. */
    service->lag_ms = (int64_t)world_below(world, world_per_mille(world, 300) ? 4900 : 2000);
    service->stale_ms = (int64_t)world_below(world, (unsigned)(4950 - service->lag_ms));
}

/* ---- publishing ---- */

static enum event_kind draw_kind(struct feed *feed)
{
    static const enum event_kind odd[FEED_KINDS][8] = {
        [KIND_CHAT] = {UNNAMED, BROKEN, OVERSIZE, HUGE, HIDDEN, LATE, HIDDEN, UNKEYED},
        [KIND_AUDITED] = {UNNAMED, BROKEN, OVERSIZE, HUGE, GHOST, GHOST, GHOST, UNKEYED},
        [KIND_MOVING] = {UNNAMED, BROKEN, OVERSIZE, HUGE, UNNAMED, BROKEN, UNKEYED, UNKEYED},
        [KIND_COUNTED] = {UNNAMED, BROKEN, OVERSIZE, GHOST, GHOST, GHOST, GHOST, UNKEYED},
        [KIND_MIXED] = {UNNAMED, BROKEN, OVERSIZE, HUGE, BROKEN, UNKEYED, UNKEYED, UNKEYED},
        [KIND_REPLAY] = {UNNAMED, OVERSIZE, HUGE, BROKEN, BROKEN, BROKEN, BROKEN, BROKEN},
        [KIND_PLAIN] = {PLAIN, PLAIN, OVERSIZE, HUGE, PLAIN, PLAIN, PLAIN, PLAIN},
    };
    struct world *world = feed->world;
    enum event_kind kind = PLAIN;
    /* What nothing follows would never be missed. */
    unsigned left = feed->service.target - feed->service.count;
    if (left == 8 && feed->kind == KIND_AUDITED)
        return GHOST; /* one that no drop of a link helps to find */
    if (left <= 5)
        return PLAIN;
    bool types = feed->resumable && feed->kind != KIND_COUNTED;
    if (types && feed->service.typing == 0 && world_per_mille(world, 10))
        feed->service.typing = 20;
    if (feed->service.typing > 0) {
        feed->service.typing--;
        return EPHEMERAL;
    }
    if (types && world_per_mille(world, 60))
        return EPHEMERAL;
    unsigned per_mille = world->per_mille_odd * (feed->kind == KIND_MIXED ? 3 : 1);
    if (world_per_mille(world, per_mille < 500 ? per_mille : 500))
        kind = odd[feed->kind][world_below(world, 8)];
    if (kind == HUGE && world->ring_bytes > (64u << 10))
        kind = OVERSIZE; /* to write so much is not worth the time */
    return kind;
}

bool service_is_loose(const struct feed *feed, unsigned position)
{
    enum event_kind kind = feed->service.events[position].kind;
    return feed->kind == KIND_MIXED && (kind == UNKEYED || kind == BROKEN);
}

static void enqueue(struct feed *feed, struct link *link, unsigned position)
{
    if (link->count == WORLD_QUEUE_MAX)
        world_violation(feed->world, 8, "the model's own queue is full");
    link->queue[(link->head + link->count++) % WORLD_QUEUE_MAX] = position;
}

/* An old event once more: one that is kept, and lately enough for the dedup window. Where it has a
 * place only by what is around it, one that can be known again. */
static void show_again(struct feed *feed, struct link *link, unsigned position)
{
    unsigned back = 1 + world_below(feed->world, 20);
    if (position <= back || !truth_has(feed, position - back))
        return;
    if (service_is_loose(feed, position - back))
        return;
    cover(COVER_OLD_ON_LINK);
    enqueue(feed, link, position - back);
}

static void show_on(struct feed *feed, struct link *link, unsigned position)
{
    struct world *world = feed->world;
    enum event_kind kind = feed->service.events[position].kind;
    bool repeats = feed->resumable && kind != UNKEYED;
    enqueue(feed, link, position);
    if (feed->service.late != 0)
        enqueue(feed, link, feed->service.late);
    if (repeats && world_per_mille(world, world->per_mille_duplicate)) {
        cover(COVER_DUPLICATE_ON_LINK);
        enqueue(feed, link, position);
    }
    if (repeats && world_per_mille(world, world->per_mille_duplicate))
        show_again(feed, link, position);
    link_wake(feed, link);
}

static void show(struct feed *feed, unsigned position)
{
    struct service *service = &feed->service;
    if (service->events[position].kind == GHOST)
        return;
    if (service->events[position].kind == LATE && service->late == 0) {
        service->late = position;
        return;
    }
    for (unsigned i = 0; i < WORLD_LINKS; i++) {
        struct link *link = &feed->links[i];
        if (link->number != 0 && link->hello && !link->closing)
            show_on(feed, link, position);
    }
    service->late = 0;
}

/* Bursts and pauses. */
static int64_t draw_pause(struct feed *feed)
{
    struct service *service = &feed->service;
    struct world *world = feed->world;
    if (service->burst > 0) {
        service->burst--;
        return (int64_t)world_below(world, 3);
    }
    if (world_per_mille(world, 10))
        service->burst = 10 + world_below(world, 150);
    return (int64_t)world_below(world, world_per_mille(world, 20) ? 60000 : 120);
}

void service_publish(struct feed *feed)
{
    struct service *service = &feed->service;
    struct world *world = feed->world;
    if (service->count >= service->target)
        return;
    unsigned position = ++service->count;
    struct published *event = &service->events[position];
    event->kind = draw_kind(feed);
    event->visible_ms = world->now_ms + (int64_t)world_below(world, (unsigned)service->lag_ms + 1);
    /* Sync never shows a later event before an earlier one. */
    if (position > 1 && event->visible_ms < service->events[position - 1].visible_ms)
        event->visible_ms = service->events[position - 1].visible_ms;
    if (event->kind == HIDDEN || event->kind == LATE)
        service->withheld++;
    show(feed, position);
    if (event->kind == HIDDEN && feed->links[0].number != 0 && world->faults &&
        world_per_mille(world, 700)) {
        /* It is the last word of its link: what is lost now is lost for good. */
        world_plan(world, 2 * world->link_ms, WORLD_LINK_END, feed->number, feed->links[0].number,
                   1006);
        world_plan(world, 40000, WORLD_PUBLISH, feed->number, 0, 0);
        return;
    }
    world_plan(world, draw_pause(feed), WORLD_PUBLISH, feed->number, 0, 0);
}

void service_cut(struct feed *feed)
{
    struct service *service = &feed->service;
    struct world *world = feed->world;
    world_plan(world, (int64_t)world_below(world, 30000), WORLD_CUT, feed->number, 0, 0);
    if (!world->faults || feed->kind == KIND_REPLAY ||
        !world_per_mille(world, world->per_mille_cut))
        return;
    unsigned keep = world_below(world, 60);
    if (service->count > keep && service->count - keep > service->floor)
        service->floor = service->count - keep;
    world_trace(world, "%s: events up to %u are gone", feed->name, service->floor);
}

/* ---- the link ---- */

static bool says_hello(struct feed *feed, struct link *link)
{
    static const char format[] = "{\"type\":\"hello\",\"session_id\":\"s\",\"tenant_id\":\"%s\"}";
    struct world *world = feed->world;
    bool wrong = world->faults && world_per_mille(world, 8);
    char hello[128];
    int n = snprintf(hello, sizeof(hello), format, wrong ? "another" : "t");
    if (wrong)
        cover(COVER_WRONG_TENANT);
    link->last_rx_ms = world->now_ms;
    return stream_message(feed->stream, link->number, STREAM_TEXT, slice_make(hello, (size_t)n)) ==
           0;
}

/* What was published before the greeting comes by sync alone, and sync may not have it yet. */
void service_hello(struct feed *feed, struct link *link)
{
    struct service *service = &feed->service;
    uint64_t number = link->number;
    service->late = 0;
    link->hello = true;
    if (!feed->pages || says_hello(feed, link) || link->number != number)
        return;
    link->hello = false; /* no room: again a little later */
    world_plan(feed->world, 5, WORLD_HELLO, feed->number, number, 0);
}

/* The link itself brings what came behind `since`. */
void service_replay(struct feed *feed, struct link *link)
{
    struct service *service = &feed->service;
    link->hello = true;
    if (!link->has_since)
        return;
    if (link->since > service->count)
        world_violation(feed->world, 7, "%s: asked for what comes behind %llu of %u", feed->name,
                        (unsigned long long)link->since, service->count);
    for (unsigned p = (unsigned)link->since + 1; p <= service->count; p++)
        if (service->events[p].kind != EPHEMERAL)
            enqueue(feed, link, p);
    link_wake(feed, link);
}

static void write_event(struct feed *feed, unsigned position, bool sync, struct buf *out)
{
    const struct published *event = &feed->service.events[position];
    const char *type = position % 4 == 0 ? "swp.room.reaction" : "swp.room.message";
    if (event->kind == EPHEMERAL) {
        (void)buf_appendf(out, "{\"type\":\"typing\",\"user\":\"#%u#\"}", position);
        return;
    }
    (void)buf_appendf(out, "{\"%s\":\"%s\",\"content\":{\"body\":\"#%u#",
                      sync ? "event_type" : "type", type, position);
    for (size_t n = 0; event->kind == HUGE && n <= feed->world->ring_bytes; n += 64)
        (void)buf_append_str(out,
                             "................................................................");
    (void)buf_append_str(out, "\"}");
    if (event->kind == BROKEN && !sync)
        return;
    bool keyed = feed->resumable && (sync || event->kind != UNKEYED);
    if (keyed && event->kind != UNNAMED)
        (void)buf_appendf(out, ",\"id\":\"evt-%u\"", position);
    if (keyed)
        (void)buf_appendf(out, ",\"stream_position\":%u", position);
    (void)buf_append_str(out, ",\"origin_ts\":1778939467}");
}

/* As the event of an SSE answer, which is taken even where it finds no room. */
static bool deliver_body(struct feed *feed, struct link *link, unsigned position)
{
    struct buf text;
    buf_init(&text, 1u << 20);
    (void)buf_append_str(&text, "data: ");
    write_event(feed, position, false, &text);
    (void)buf_append_str(&text, "\n\n");
    world_trace(feed->world, "%s: the fallback shows %u", feed->name, position);
    int status = stream_body(feed->stream, link->number, buf_slice(&text));
    buf_fini(&text);
    feed->service.events[position].shown++;
    cover(COVER_FALLBACK_EVENT);
    if (status == ERR_AGAIN && link->number != 0) {
        cover(COVER_FALLBACK_AGAIN);
        link->blocked = true;
    }
    return true;
}

/* False: no room for it. */
static bool deliver_one(struct feed *feed, struct link *link, unsigned position)
{
    struct published *event = &feed->service.events[position];
    struct stream_stats stats;
    struct buf text;
    int status = 0;
    if (link->body)
        return deliver_body(feed, link, position);
    if (event->kind == OVERSIZE) {
        cover(COVER_OVERSIZE);
        world_trace(feed->world, "%s: the link shows %u, which is too large", feed->name, position);
        stream_stats(feed->stream, &stats);
        if (stats.flow.held_events > 0)
            cover(COVER_OVERSIZE_HELD);
        feed->service.oversize++;
        stream_oversize(feed->stream, link->number, 99999999);
        return true;
    }
    if (event->kind == HUGE)
        cover(COVER_HUGE);
    buf_init(&text, 1u << 20);
    write_event(feed, position, false, &text);
    stream_stats(feed->stream, &stats);
    size_t held = stats.flow.held_events;
    status = stream_message(feed->stream, link->number, STREAM_TEXT, buf_slice(&text));
    stream_stats(feed->stream, &stats);
    if (held > 0 && stats.flow.held_events == 0)
        cover(COVER_HOLD_FULL);
    world_trace(feed->world, "%s: the link shows %u%s, held are %zu, then %zu", feed->name,
                position, status == ERR_AGAIN ? " in vain" : "", held, stats.flow.held_events);
    buf_fini(&text);
    if (status == ERR_AGAIN) {
        cover(COVER_LINK_AGAIN);
        return false;
    }
    event->shown++;
    feed->service.moment++;
    if (event->shown_on != link->number)
        event->shown_at = feed->service.moment;
    event->shown_on = link->number;
    if (event->kind == BROKEN)
        cover(COVER_BROKEN);
    return true;
}

void service_deliver(struct feed *feed, struct link *link)
{
    struct world *world = feed->world;
    uint64_t number = link->number;
    unsigned burst = 1 + world_below(world, 8);
    link->deliver_planned = false;
    while (burst-- > 0 && link->count > 0 && !link->blocked && !link->silent && !link->closing &&
           link->open) {
        link->last_rx_ms = world->now_ms;
        if (!deliver_one(feed, link, link->queue[link->head])) {
            link->blocked = link->number == number;
            return;
        }
        if (link->number != number)
            return;
        link->head = (link->head + 1) % WORLD_QUEUE_MAX;
        link->count--;
    }
    link_wake(feed, link);
}

/* ---- sync ---- */

bool service_on_sync(const struct published *event)
{
    return event->kind != EPHEMERAL && event->kind != HIDDEN;
}

struct page {
    struct feed *feed;
    struct buf *out;
    int64_t view_ms; /* it is answered as of then */
    unsigned items, last;
};

static bool visible(const struct page *page, unsigned position)
{
    const struct published *event = &page->feed->service.events[position];
    return event->visible_ms <= page->view_ms;
}

static void add(struct page *page, unsigned position)
{
    struct service *service = &page->feed->service;
    if (page->items++ > 0)
        (void)buf_append_byte(page->out, ',');
    service->moment++;
    if (service->events[position].given_at == 0)
        service->events[position].given_at = service->moment;
    write_event(page->feed, position, true, page->out);
}

/* Items of the past, which we were sent and kept. */
static void repeat(struct page *page, unsigned since)
{
    const struct service *service = &page->feed->service;
    unsigned first = since > 8 ? since - 8 : 1;
    if (first <= service->floor)
        first = service->floor + 1;
    for (unsigned p = first; p <= since && p <= service->count; p++)
        if (truth_has(page->feed, p) && service_on_sync(&service->events[p]))
            add(page, p);
}

/* From `first` on, as many as a page takes. Where since is exclusive and next_cursor can be
 * trusted, it is events looked at that are counted, so that a page can be empty and not the last.
 */
static void fill(struct page *page, unsigned first)
{
    const struct service *service = &page->feed->service;
    unsigned looked_at = 0, items = 0;
    for (unsigned p = first; p <= service->count && visible(page, p); p++) {
        unsigned used = service->reading == CURSOR_LAST ? looked_at : items;
        if (used == service->page_limit)
            return;
        looked_at++;
        page->last = p;
        if (service_on_sync(&service->events[p])) {
            items++;
            add(page, p);
        }
    }
}

static bool has_more(const struct page *page)
{
    const struct service *service = &page->feed->service;
    for (unsigned p = page->last + 1; p <= service->count && visible(page, p); p++)
        if (service_on_sync(&service->events[p]))
            return true;
    return false;
}

static uint64_t next_cursor(struct page *page, uint64_t since)
{
    switch (page->feed->service.reading) {
    case CURSOR_LAST:
        return page->last > 0 ? page->last : since;
    case CURSOR_AFTER:
        return (page->last > 0 ? page->last : since) + 1;
    case CURSOR_WILD:
        break;
    }
    return page->items > 0 ? page->last + 1 + world_below(page->feed->world, 3) : since;
}

/* What the page holds besides what was asked for. True: nothing else. */
static bool draw_oddity(struct page *page, unsigned since)
{
    struct world *world = page->feed->world;
    bool old;
    if (world->faults && world_per_mille(world, world->per_mille_stale) &&
        page->feed->service.stale_ms > 0) {
        cover(COVER_PAGE_STALE);
        page->view_ms -= (int64_t)world_below(world, (unsigned)page->feed->service.stale_ms);
    }
    if (!world->faults || !world_per_mille(world, world->per_mille_stale / 3))
        return false;
    old = world_per_mille(world, 200);
    repeat(page, since);
    if (page->items > 0)
        cover(old ? COVER_PAGE_OLD : COVER_PAGE_REPEATS);
    page->last = old ? since : 0;
    return old && page->items > 0;
}

bool service_has_news(struct feed *feed, struct slice text)
{
    const struct service *service = &feed->service;
    struct page page = {.feed = feed, .view_ms = feed->world->now_ms};
    uint64_t since;
    if (slice_parse_u64(text, &since) != 0)
        return true;
    for (unsigned p = (unsigned)since + 1; p <= service->count && visible(&page, p); p++)
        if (service_on_sync(&service->events[p]))
            return true;
    return false;
}

int service_answer(struct feed *feed, struct slice text, struct buf *out)
{
    struct service *service = &feed->service;
    struct world *world = feed->world;
    struct page page = {.feed = feed, .out = out, .view_ms = world->now_ms};
    bool exclusive = service->reading != CURSOR_AFTER;
    uint64_t since;
    if (slice_parse_u64(text, &since) != 0)
        world_violation(world, 7, "%s: sync was asked since \"%.*s\"", feed->name,
                        slice_width(text), slice_chars(text));
    if (since > service->count + 3u)
        world_violation(world, 7, "%s: sync was asked since %llu of %u", feed->name,
                        (unsigned long long)since, service->count);
    if (since < service->floor && !(since == 0 && service->zero_is_oldest))
        return 410;
    if (since == 0 && service->floor > service->floor_asked)
        service->floor_asked = service->floor;
    unsigned first = (unsigned)since + (exclusive || since == 0);
    if (first <= service->floor)
        first = service->floor + 1;
    (void)buf_append_str(out, "{\"data\":{\"events\":[");
    if (!draw_oddity(&page, (unsigned)since))
        fill(&page, first);
    if (page.last == 0)
        page.last = first - 1;
    bool more = has_more(&page);
    if (page.items == 0 && more)
        cover(COVER_PAGE_EMPTY_MORE);
    (void)buf_appendf(out, "],\"next_cursor\":%" PRIu64 ",\"has_more\":%s}}",
                      next_cursor(&page, since), more ? "true" : "false");
    world_trace(world, "%s: sync since %llu: %u items, up to %u%s", feed->name,
                (unsigned long long)since, page.items, page.last, more ? ", more" : "");
    return 200;
}
