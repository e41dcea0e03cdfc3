/* verdict: the invariants that can be judged only when something has come to its end. */
#include <stdlib.h>
#include <string.h>

#include "world.h"

/* ---- the store holds what was committed, but for what retention took ---- */

struct walk {
    struct world *world;
    bool *visited;
    uint64_t lost_to[WORLD_FEEDS];
};

static bool on_visit(void *arg, const struct store_event *event)
{
    struct walk *walk = arg;
    struct world *world = walk->world;
    const struct record *truth = truth_find(world, event->seq);
    struct record record;
    truth_read_line(world, event->line, &record);
    truth_seq_means(world, &record);
    if (truth == NULL)
        world_violation(world, 6, "seq %llu is in the store, but was never committed",
                        (unsigned long long)event->seq);
    walk->visited[truth - world->stored] = true;
    return true;
}

static void on_lost(void *arg, unsigned stream, uint64_t from_seq, uint64_t to_seq)
{
    struct walk *walk = arg;
    const struct world *world = walk->world;
    (void)from_seq;
    if (world->retain_stream == 0 && world->retain_age_ms == 0 && !world->was_full &&
        world->retain_bytes > 1u << 20)
        world_violation(walk->world, 1, "retention took seq %llu to %llu, without a limit",
                        (unsigned long long)from_seq, (unsigned long long)to_seq);
    walk->lost_to[stream] = to_seq;
}

static void check_store(struct world *world)
{
    struct walk walk = {.world = world, .visited = calloc(world->n_stored + 1, sizeof(bool))};
    struct store_read read = {.to_seq = UINT64_MAX,
                              .visit = on_visit,
                              .lost = on_lost,
                              .arg = &walk,
                              .max_visits = 1u << 20};
    struct error err = {0};
    memset(read.streams, 0xff, sizeof(read.streams));
    if (store_read(world->store, &read, &err) != 0)
        world_violation(world, 5, "reading the store: %s", err.text);
    for (size_t i = 0; i < world->n_stored; i++) {
        const struct record *record = &world->stored[i];
        bool lost = record->seq <= walk.lost_to[record->feed];
        if (lost == walk.visited[i])
            world_violation(world, 5,
                            lost ? "seq %llu is said to be gone, and is there"
                                 : "seq %llu was committed, and the store does not have it",
                            (unsigned long long)record->seq);
        if (lost)
            cover(COVER_RETAINED);
    }
    free(walk.visited);
}

/* ---- everything is stored, or covered ---- */

static bool covers(const struct feed *feed, enum event_kind kind, unsigned position,
                   const struct record *record)
{
    if (record->form == FORM_TEXT || (record->form == FORM_WHOLE && !record->keyed))
        return record->position == position;
    if (record->form != FORM_GAP)
        return false;
    switch (record->reason) {
    case SESSION_GAP_NO_RESUME:
    case SESSION_GAP_NO_POSITION:
    case SESSION_GAP_EPOCH:
        return true;
    case SESSION_GAP_UPSTREAM:
        return feed->service.withheld > 0 || feed->kind == KIND_COUNTED;
    case SESSION_GAP_OVERSIZE:
        return kind == OVERSIZE || kind == HUGE;
    case SESSION_GAP_MALFORMED:
        return false; /* the text before it counts */
    }
    return false;
}

static bool is_covered(const struct feed *feed, unsigned position, uint64_t after_seq,
                       uint64_t before_seq)
{
    /* What no link has shown is known to be lost only when an audit is told so. */
    if (feed->kind == KIND_AUDITED && feed->service.events[position].kind == GHOST)
        before_seq = UINT64_MAX;
    const struct world *world = feed->world;
    const struct record *record = after_seq == 0 ? world->stored : truth_find(world, after_seq) + 1;
    enum event_kind kind = feed->service.events[position].kind;
    for (; record < world->stored + world->n_stored && record->seq < before_seq; record++)
        if (record->feed == feed->number && covers(feed, kind, position, record))
            return true;
    return false;
}

/* Whether anyone could have it, had hawser done everything right. */
static bool is_due(const struct feed *feed, unsigned position, bool first)
{
    enum event_kind kind = feed->service.events[position].kind;
    if (kind == EPHEMERAL || kind == HIDDEN || kind == LATE || position < feed->due_from)
        return false;
    if (kind == GHOST && first) /* an audit begins at the first that is stored */
        return false;
    if (position > 1 && feed->service.events[position - 1].kind == LATE)
        return false;
    return !(first && position <= feed->service.floor_asked);
}

/* Where it stands says what was stored before it and behind it. What was too large for the link
 * stands where sync brought it, behind what the link has shown since; and so does sync's copy of
 * what the link shows without a position, where both are stored, and what no link shows. */
static bool is_landmark(const struct feed *feed, unsigned position)
{
    enum event_kind kind = feed->service.events[position].kind;
    return feed->whole_seq[position] != 0 && !feed->stored_late[position] && kind != LATE &&
           kind != OVERSIZE && !(feed->kind == KIND_AUDITED && kind == GHOST) &&
           !service_is_loose(feed, position);
}

static void check_nothing_lost(struct feed *feed)
{
    const struct service *service = &feed->service;
    uint64_t before = 0;
    for (unsigned p = 1; p <= service->count; p++) {
        uint64_t next = UINT64_MAX;
        if (is_landmark(feed, p))
            before = feed->whole_seq[p];
        if (feed->whole_seq[p] != 0 || !is_due(feed, p, before == 0))
            continue;
        for (unsigned q = p + 1; q <= service->count && next == UINT64_MAX; q++)
            if (is_landmark(feed, q))
                next = feed->whole_seq[q];
        if (!is_covered(feed, p, before, next))
            world_violation(feed->world, service->events[p].kind == PLAIN ? 1 : 4,
                            "%s: event %u of %u is neither stored nor covered by a gap (between "
                            "seq %llu and %llu)",
                            feed->name, p, service->count, (unsigned long long)before,
                            (unsigned long long)next);
    }
}

/* A gap that is said without a reason is a false alarm. */
static void check_reasons(struct feed *feed)
{
    const struct service *service = &feed->service;
    const char *what = NULL;
    bool huge = false, doubtful = feed->kind == KIND_COUNTED || service->withheld > 0;
    for (unsigned p = 1; p <= service->count; p++) {
        const struct published *event = &service->events[p];
        huge = huge || event->kind == HUGE;
        /* Shown twice it may be two, of which sync has brought one. */
        doubtful = doubtful || (event->kind == BROKEN && event->shown > 1);
        /* A link has shown it, and the service had thrown it away before it could be stored. */
        doubtful =
            doubtful || (p <= service->floor_asked && event->shown > 0 && feed->whole_seq[p] == 0);
    }
    if (feed->gaps[SESSION_GAP_UPSTREAM] > 0 && !doubtful)
        what = "upstream, though sync had everything";
    if (feed->gaps[SESSION_GAP_NO_RESUME] > 0 && feed->resumable)
        what = "no_resume, though the service has sync";
    if (feed->gaps[SESSION_GAP_NO_POSITION] > 0 && feed->start != SETTINGS_START_NOW &&
        service->too_old == 0)
        what = "no_position, though there was one from the start";
    if (feed->gaps[SESSION_GAP_EPOCH] > service->too_old)
        what = "epoch, more often than the service refused a position";
    if (feed->gaps[SESSION_GAP_OVERSIZE] > service->oversize && !huge)
        what = "oversize, more often than there was cause";
    if (feed->gaps[SESSION_GAP_MALFORMED] != feed->texts)
        what = "malformed, not once for each text";
    if (what != NULL)
        world_violation(feed->world, 4, "%s: gap %s", feed->name, what);
}

/* ---- consumers ---- */

static bool was_told(const struct reader *consumer, const struct record *record)
{
    for (size_t i = 0; i < consumer->n_lost; i++)
        if (consumer->lost[i].feed == record->feed && record->seq >= consumer->lost[i].from_seq &&
            record->seq <= consumer->lost[i].to_seq)
            return true;
    return false;
}

/* It has seen each record that it asked for once, in order, or was told that it is gone. With
 * deliver = received, a record may have been seen that a crash then took away. */
void verdict_consumer(struct world *world, unsigned number, uint64_t up_to_seq)
{
    const struct reader *consumer = &world->consumers[number];
    size_t k = 0;
    for (size_t i = 0; i < world->n_stored && world->stored[i].seq <= up_to_seq; i++) {
        const struct record *record = &world->stored[i];
        if (record->seq <= consumer->start_seq || !consumers_matches(world, consumer, record))
            continue;
        for (; k < consumer->n_seen && consumer->seen[k].seq < record->seq; k++)
            cover(COVER_SEEN_NOT_STORED);
        bool seen = k < consumer->n_seen && consumer->seen[k].seq == record->seq;
        bool told = was_told(consumer, record);
        bool forgiven = !seen && record->seq <= consumer->forgiven[record->feed];
        if (seen == told && !forgiven)
            world_violation(world, 5,
                            seen ? "consumer %u saw seq %llu, and was told that it is gone"
                                 : "consumer %u never saw seq %llu, and was not told",
                            number, (unsigned long long)record->seq);
        k += seen;
    }
}

void verdict_clean_stop(struct world *world)
{
    uint64_t given = hub_next_seq(world->hub) - 1;
    if (!world->commit_failed && truth_newest_seq(world) < world->seen_in_life_seq)
        world_violation(world, 5, "a clean stop: seq %llu was delivered, %llu is on disk",
                        (unsigned long long)world->seen_in_life_seq,
                        (unsigned long long)truth_newest_seq(world));
    for (unsigned i = 0; i < world->n_feeds; i++) {
        struct hub_stream_stats stats;
        hub_stream_stats(world->feeds[i].hub_stream, &stats);
        if (!world->commit_failed && stats.newest_seq > truth_newest_seq(world))
            world_violation(world, 5, "a clean stop: seq %llu of %llu is not on disk",
                            (unsigned long long)stats.newest_seq, (unsigned long long)given);
    }
}

void verdict(struct world *world)
{
    check_store(world);
    for (unsigned i = 0; i < world->n_feeds; i++) {
        check_nothing_lost(&world->feeds[i]);
        check_reasons(&world->feeds[i]);
    }
    for (unsigned i = 0; i < WORLD_CONSUMERS; i++)
        verdict_consumer(world, i, truth_newest_seq(world));
}
