#include <string.h>

#include "flow/private.h"

/* A message that is none, kept as it came: sync may have the event whole. */
static bool is_broken(const struct flow_event *event)
{
    return event->malformed != NULL && event->id.ptr == NULL && event->position.ptr == NULL &&
           !event->snapshot;
}

void copies_shown(struct flow *flow, const struct flow_event *event, bool fresh)
{
    struct unkeyed *unkeyed = &flow->unkeyed;
    int at;

    if (unkeyed_is(event))
        return;
    if (!event->has_key) {
        if (is_broken(event))
            copies_missed(flow);
        return;
    }
    /* Had sync gone beyond a new event, it would have brought it. */
    at = fresh ? (int)unkeyed->count - 1 : unkeyed_find(unkeyed, event->key);
    if (at >= 0)
        unkeyed_take(unkeyed, (size_t)at + 1);
    if (!fresh && at < 0)
        return;
    unkeyed->aligned = true;
    unkeyed->missing = 0;
}

void copies_missed(struct flow *flow)
{
    struct unkeyed *unkeyed = &flow->unkeyed;

    if (flow->mode == FLOW_MODE_PASS && unkeyed->aligned && unkeyed->count > 0)
        unkeyed_take(unkeyed, 1); /* sync was faster */
    else
        unkeyed->missing++;
}

/* How many of sync's first n items can be copies of unkeyed events. */
static size_t copies_among(const struct unkeyed *unkeyed, size_t n)
{
    return n > unkeyed->missing ? n - unkeyed->missing : 0;
}

/* The unkeyed events that a lane begins with, and the event behind them (NULL: none). */
static size_t first_run(const struct lane *lane, const struct flow_event **behind)
{
    const struct flow_event *event = hold_front(&lane->hold);
    size_t n = 0;

    for (; event != NULL && unkeyed_is(event); event = hold_next(&lane->hold, event))
        n++;
    *behind = event;
    return n;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Sets what becomes of the next ones; false when that is not known yet. */
static bool decide(struct flow *flow, const struct lane *lane)
{
    struct unkeyed *unkeyed = &flow->unkeyed;
    const struct flow_event *behind;
    size_t n = first_run(lane, &behind);
    int at = behind != NULL && behind->has_key && flow_is_duplicate(flow, behind)
                 ? unkeyed_find(unkeyed, behind->key)
                 : -1;

    if (at >= 0) {
        /* Sync has gone beyond them: what it has before the next event are their copies. */
        unkeyed->drop = least(n, copies_among(unkeyed, (size_t)at));
        unkeyed->store = n - unkeyed->drop;
    } else if (unkeyed->aligned && copies_among(unkeyed, unkeyed->count) > 0) {
        unkeyed->drop = least(n, copies_among(unkeyed, unkeyed->count));
        unkeyed_take(unkeyed, unkeyed->missing + unkeyed->drop);
        unkeyed->missing = 0;
    } else {
        unkeyed->store = least(n, unkeyed->keep);
    }
    return unkeyed->drop + unkeyed->store > 0;
}

enum copy copies_judge(struct flow *flow, const struct lane *lane)
{
    struct unkeyed *unkeyed = &flow->unkeyed;

    if (lane->covered > 0)
        return COPY_DROP;
    if (unkeyed->drop + unkeyed->store == 0 && !decide(flow, lane))
        return COPY_WAIT;
    return unkeyed->drop > 0 ? COPY_DROP : COPY_STORE;
}

/* What of a lane follows the last event that sync has brought: its unkeyed ones are added to
 * *waiting, and *passed is how many of sync's items stand before them. */
static void look_through(const struct flow *flow, const struct lane *lane, size_t *waiting,
                         size_t *passed)
{
    const struct flow_event *event = hold_front(&lane->hold);
    size_t covered = lane->covered;

    for (; event != NULL; event = hold_next(&lane->hold, event)) {
        int at;

        if (unkeyed_is(event)) {
            if (covered > 0)
                covered--;
            else
                ++*waiting;
            continue;
        }
        at = flow_is_duplicate(flow, event) ? unkeyed_find(&flow->unkeyed, event->key) : -1;
        if (at < 0)
            continue;
        *waiting = 0;
        *passed = (size_t)at + 1;
    }
}

bool copies_missing(const struct flow *flow)
{
    size_t waiting = 0, passed = 0;

    if (!flow->unkeyed.waiting)
        return false;
    if (flow->leftover)
        look_through(flow, &flow->lanes[!flow->link], &waiting, &passed);
    look_through(flow, &flow->lanes[flow->link], &waiting, &passed);
    if (passed > 0)
        return waiting > flow->unkeyed.count - passed;
    return waiting > copies_among(&flow->unkeyed, flow->unkeyed.count);
}

/* A known event that stands out of order: an old one once more, which says nothing of what stands
 * before it. Of that, newest is the furthest position, and fresh: not all of it is known. */
static bool is_repeated(const struct flow *flow, const struct flow_event *event,
                        struct slice newest, bool fresh)
{
    if (flow->position.compare == PROFILE_COMPARE_INT && event->position.ptr != NULL &&
        newest.ptr != NULL)
        return position_compare(event->position, newest) < 0;
    return fresh;
}

static struct slice further(const struct flow *flow, struct slice newest, struct slice position)
{
    if (flow->position.compare != PROFILE_COMPARE_INT || position.ptr == NULL)
        return newest;
    return newest.ptr == NULL || position_compare(position, newest) > 0 ? position : newest;
}

void copies_switch(struct flow *flow, struct lane *successor)
{
    const struct flow_event *event = hold_front(&successor->hold);
    bool repeats = flow->repeats, fresh = false;
    struct slice newest = {NULL, 0};
    size_t seen = 0, known = 0;

    for (; event != NULL; event = hold_next(&successor->hold, event)) {
        bool duplicate = flow_is_duplicate(flow, event);

        if (unkeyed_is(event)) {
            seen++;
            continue;
        }
        if (duplicate && is_repeated(flow, event, newest, fresh))
            continue;
        fresh = fresh || !duplicate;
        newest = further(flow, newest, event->position);
        if (duplicate) {
            known = seen; /* the order is the same: what stands before it was shown before it */
            repeats = repeats || (flow->has_link_key && event->has_key &&
                                  memcmp(event->key, flow->link_key, sizeof event->key) == 0);
        }
    }
    if (repeats)
        known = least(known + flow->link_tail, successor->unkeyed);
    successor->covered = known;
    flow->unkeyed.rejoins = !repeats;
}
