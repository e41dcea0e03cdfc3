/* The hold: what comes in, what goes out, and whose it is. */
#include <assert.h>
#include <string.h>

#include "flow/private.h"

static void empty_lane(struct flow *flow, struct lane *lane)
{
    flow->stats.discarded += lane->hold.count;
    owed_note_unkeyed(&flow->owed, lane->tail);
    hold_clear(&lane->hold);
    lane->any = lane->overflowed = lane->missing_first = lane->met = false;
    lane->lead = NULL;
    lane->unkeyed = lane->tail = lane->covered = 0;
}

void flow_drop_held(struct flow *flow)
{
    empty_lane(flow, &flow->lanes[0]);
    empty_lane(flow, &flow->lanes[1]);
    flow->joins = flow->joins || flow->meets;
    flow->leftover = flow->meets = flow->met = false;
    flow->reference = flow->left = NULL;
    flow->reached = flow->way = flow->hole = false;
    if (flow->unkeyed.on)
        unkeyed_clear(&flow->unkeyed);
    audit_begin(&flow->audit);
}

/* Neither compared with anything nor resumed from: its place is what the link has around it. */
static bool is_loose(const struct flow_event *event)
{
    return !event->has_key && event->id.ptr == NULL && event->position.ptr == NULL;
}

static const struct flow_event *push(struct lane *lane, const struct flow_event *event, bool on)
{
    const struct flow_event *held = hold_push(&lane->hold, event);

    if (held != NULL && !lane->met && lane->lead == NULL && !is_loose(held))
        lane->lead = held;
    if (!on || held == NULL)
        return held;
    if (unkeyed_is(held)) {
        lane->unkeyed++;
        lane->tail++;
    } else {
        lane->tail = 0;
    }
    return held;
}

static void pop(struct flow *flow, struct lane *lane)
{
    struct unkeyed *unkeyed = &flow->unkeyed;
    const struct flow_event *front = hold_front(&lane->hold);

    if (hold_is_marked(&lane->hold))
        flow_say_missing(flow);
    if (front == lane->lead) {
        lane->lead = NULL;
        lane->met = true;
    }
    if (unkeyed->on && unkeyed_is(front)) {
        lane->unkeyed--;
        if (lane->tail > lane->unkeyed)
            lane->tail = lane->unkeyed;
        if (unkeyed->keep > 0)
            unkeyed->keep--;
        if (lane->covered > 0)
            lane->covered--;
        else if (unkeyed->drop > 0)
            unkeyed->drop--;
        else if (unkeyed->store > 0)
            unkeyed->store--;
    }
    hold_pop(&lane->hold);
}

/* ---- in ---- */

static bool is_reference(const struct flow *flow, const struct flow_event *event)
{
    if (event->position.ptr != NULL && event->sequence == 0 &&
        flow->position.compare == PROFILE_COMPARE_INT)
        return position_advances(&flow->position, event->position);
    return event->id.ptr != NULL || event->position.ptr != NULL;
}

static const struct flow_event *find_reference(const struct flow *flow, const struct lane *lane)
{
    const struct flow_event *event = hold_front(&lane->hold);

    while (event != NULL && (flow_is_duplicate(flow, event) || !is_reference(flow, event)))
        event = hold_next(&lane->hold, event);
    return event;
}

/* One that is known says where the unkeyed ones before it stand. */
static bool is_wanted(const struct flow *flow, const struct lane *lane,
                      const struct flow_event *event)
{
    return flow->unkeyed.on && lane->unkeyed > lane->covered &&
           unkeyed_find(&flow->unkeyed, event->key) >= 0;
}

static enum flow_result hold_into(struct flow *flow, struct lane *lane,
                                  const struct flow_event *event)
{
    const struct flow_event *held;

    /* After a hole nothing more is kept, though it be small enough: order would be broken. */
    held = lane->overflowed ? NULL : push(lane, event, flow->unkeyed.on);
    lane->overflowed = held == NULL;
    if (lane->overflowed) {
        if (flow->unkeyed.on && unkeyed_is(event))
            owed_note_unkeyed(&flow->owed, 1);
        else
            lane->tail = 0; /* they stand before it, with sync too */
        return FLOW_HELD_FULL;
    }
    if (lane == &flow->lanes[flow->link] && flow->reference == NULL && is_reference(flow, held))
        flow->reference = held;
    if (lane->any)
        return FLOW_HELD;
    lane->any = true;
    return FLOW_HELD_FIRST;
}

enum flow_result flow_hold_link(struct flow *flow, const struct flow_event *event)
{
    struct lane *lane = &flow->lanes[flow->link];

    /* What we have need not wait. Above all sync must not be measured by it: it lies behind us. */
    if (flow_is_duplicate(flow, event)) {
        if (is_wanted(flow, lane, event) && !lane->overflowed &&
            push(lane, event, flow->unkeyed.on) != NULL)
            return FLOW_HELD;
        flow->stats.duplicates++;
        /* A link that has shown nothing new yet repeats what was: the unkeyed ones too. */
        if (flow->unkeyed.on && !flow->unkeyed.aligned && lane->unkeyed == lane->hold.count)
            lane->covered = lane->unkeyed;
        if (flow->unkeyed.on)
            copies_shown(flow, event, false);
        return FLOW_DUPLICATE;
    }
    owed_note(&flow->owed, event);
    return hold_into(flow, lane, event);
}

/* The successor's first event is one that the link has brought since it has a successor: from there
 * on the successor brings all, and up to there the link has. A feed whose link is always a little
 * ahead would never meet otherwise. */
static bool joins_at(struct flow *flow, const struct flow_event *event)
{
    size_t n = flow->n_shown < FLOW_MEET_KEYS ? flow->n_shown : FLOW_MEET_KEYS;

    if (!flow->joins || !event->has_key || event->snapshot)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (memcmp(flow->shown[i], event->key, sizeof event->key) == 0)
            return true;
    }
    return false;
}

enum flow_result flow_hold_successor(struct flow *flow, const struct flow_event *event)
{
    struct lane *lane = &flow->lanes[!flow->link];
    enum flow_result result;

    if (flow->leftover)
        return FLOW_AGAIN;
    if (flow_is_duplicate(flow, event)) {
        /* Where its unkeyed events stand is told by all that is around them. */
        if (flow->unkeyed.on && !lane->overflowed && push(lane, event, true) != NULL)
            return FLOW_HELD;
        flow->stats.duplicates++;
        flow->repeats = flow->repeats || (flow->has_link_key && memcmp(event->key, flow->link_key,
                                                                       sizeof event->key) == 0);
        if (!joins_at(flow, event))
            return FLOW_DUPLICATE;
        flow->joins = false;
        return FLOW_MET;
    }
    if (flow->heals)
        owed_note(&flow->owed, event);
    result = hold_into(flow, lane, event);
    if (result == FLOW_HELD_FULL && !flow->heals) {
        lane->overflowed = false;
        return FLOW_AGAIN;
    }
    if (result != FLOW_HELD_FULL && flow->joins && event->has_key && !event->snapshot) {
        memcpy(flow->met_key, event->key, sizeof flow->met_key);
        flow->meets = true;
        flow->joins = false;
    }
    return result;
}

enum flow_result flow_queue(struct flow *flow, const struct flow_event *event)
{
    /* Not looked up: duplicates fall out when their turn comes. */
    return push(&flow->lanes[flow->link], event, flow->unkeyed.on) != NULL ? FLOW_HELD : FLOW_AGAIN;
}

/* Sync is asked about what stands before the first that is held. */
static void wait_for_sync(struct flow *flow)
{
    if (flow->unkeyed.on)
        unkeyed_align(&flow->unkeyed);
    audit_begin(&flow->audit);
    flow->reached = flow->way = false;
    flow->left = NULL;
    flow->lanes[flow->link].any = true;
    flow->mode = FLOW_MODE_HOLD;
}

bool flow_hold_from(struct flow *flow, const struct flow_event *event)
{
    struct lane *lane = &flow->lanes[flow->link];

    flow->reference = NULL;
    flow->hole = false;
    flow_doubt(flow, false);
    wait_for_sync(flow);
    if (flow_hold_link(flow, event) != FLOW_HELD_FULL)
        return true;
    lane->overflowed = lane->any = false;
    flow->mode = FLOW_MODE_PASS;
    return false;
}

/* Nothing is known of where the link stands: as if the hold before had never ended. */
bool flow_hold_doubted(struct flow *flow, const struct flow_event *event)
{
    struct lane *lane = &flow->lanes[flow->link];
    bool copied =
        event->has_key || event->position.ptr != NULL || (flow->unkeyed.on && unkeyed_is(event));

    flow_hold(flow);
    if (flow_hold_link(flow, event) != FLOW_HELD_FULL || copied) {
        lane->any = true;
        return true;
    }
    lane->overflowed = false;
    flow->mode = FLOW_MODE_PASS;
    flow_doubt(flow, true);
    return false;
}

void flow_doubt(struct flow *flow, bool on)
{
    flow->doubt = on;
    flow_look(flow);
}

void flow_hold(struct flow *flow)
{
    flow_drop_held(flow);
    flow_doubt(flow, false);
    flow->mode = FLOW_MODE_HOLD;
}

void flow_discard(struct flow *flow)
{
    flow_drop_held(flow);
    flow_doubt(flow, false);
    flow->mode = FLOW_MODE_DISCARD;
}

void flow_missing(struct flow *flow, enum flow_side side)
{
    bool successor = side == FLOW_SUCCESSOR;
    struct lane *lane = &flow->lanes[successor ? !flow->link : flow->link];
    bool kept = !lane->overflowed &&
                (successor || flow->mode == FLOW_MODE_HOLD || flow->mode == FLOW_MODE_RELEASE);

    if (flow->unkeyed.on && !successor)
        copies_missed(flow);
    if (!kept) {
        flow_say_missing(flow);
    } else if (lane->hold.count > 0) {
        hold_mark(&lane->hold);
    } else {
        lane->missing_first = true;
        lane->met = false; /* see begin_again() */
    }
}

/* ---- out ---- */

/* The lane whose first event is the next, NULL when all is out. */
static struct lane *next_lane(struct flow *flow)
{
    struct lane *lane = &flow->lanes[flow->leftover ? !flow->link : flow->link];

    if (lane->missing_first)
        flow_say_missing(flow);
    lane->missing_first = false;
    if (lane->hold.count > 0)
        return lane;
    lane->any = lane->overflowed = lane->met = false;
    lane->covered = 0;
    if (!flow->leftover)
        return NULL;
    flow->leftover = false;
    if (flow->unkeyed.rejoins)
        flow->unkeyed.aligned = flow->unkeyed.rejoins = false;
    return next_lane(flow);
}

enum verdict { VERDICT_OFFER, VERDICT_DROP, VERDICT_WAIT };

static enum verdict judge(struct flow *flow, struct lane *lane, const struct flow_event *event)
{
    uint64_t after;

    if (flow_is_duplicate(flow, event))
        return VERDICT_OFFER;
    if (flow->unkeyed.on && unkeyed_is(event)) {
        switch (copies_judge(flow, lane)) {
        case COPY_STORE:
            return VERDICT_OFFER;
        case COPY_DROP:
            return VERDICT_DROP;
        case COPY_WAIT:
            flow->unkeyed.waiting = true;
            return VERDICT_WAIT;
        }
    }
    if (flow->contiguous.on && contiguous_hole(&flow->contiguous, event, &after)) {
        if (flow->heals && !flow->asked) {
            flow->hole = true;
            return VERDICT_WAIT;
        }
        flow_say_hole(flow, event);
    }
    return VERDICT_OFFER;
}

/* 0: the lane's first event is out. ERR_AGAIN or the sink's answer: it is not. */
static int release_one(struct flow *flow, struct lane *lane, struct flow_event *event)
{
    bool unkeyed = flow->unkeyed.on && unkeyed_is(event);
    enum flow_result result;
    int rc = flow_offer(flow, event, &result);

    if (rc != 0)
        return rc;
    if (unkeyed && result == FLOW_EMITTED)
        flow->stats.unkeyed++;
    if (!unkeyed)
        flow->asked = false;
    pop(flow, lane);
    return 0;
}

int flow_release(struct flow *flow)
{
    struct lane *lane;

    if (flow->mode != FLOW_MODE_RELEASE)
        flow->asked = flow->mode == FLOW_MODE_HOLD && !flow->way;
    flow->reference = flow->left = NULL;
    flow->way = flow->hole = flow->unkeyed.waiting = false;
    flow->mode = FLOW_MODE_RELEASE;
    while ((lane = next_lane(flow)) != NULL) {
        struct flow_event *event = hold_front(&lane->hold);
        enum verdict verdict = flow->closer ? judge(flow, lane, event) : VERDICT_OFFER;
        int rc;

        switch (verdict) {
        case VERDICT_OFFER:
            rc = release_one(flow, lane, event);
            if (rc != 0)
                return rc;
            break;
        case VERDICT_DROP:
            flow->stats.duplicates++;
            pop(flow, lane);
            break;
        case VERDICT_WAIT:
            wait_for_sync(flow);
            flow->reference = find_reference(flow, lane);
            return 0;
        }
    }
    flow->mode = FLOW_MODE_PASS;
    flow->unkeyed.keep = flow->unkeyed.drop = flow->unkeyed.store = 0;
    audit_begin(&flow->audit);
    owed_forget(&flow->owed);
    return 0;
}

/* ---- out, while sync brings what was missed ---- */

/* The lane's first event, which is known. Sync has come to it, be it what sync was to come to. */
static void drop_copy(struct flow *flow, struct lane *lane, const struct flow_event *event)
{
    if (event == flow->reference) {
        flow->reference = NULL;
        flow->reached = true;
    }
    if (event == flow->left)
        flow->left = NULL;
    flow_drop_copy(flow, event);
    pop(flow, lane);
}

/* Sync has come to where the lane begins: to the first event that it can come to. */
static bool meet(const struct flow *flow, struct lane *lane, const struct flow_event *item)
{
    const struct flow_event *lead = lane->lead;

    if (lead != NULL && lead->has_key &&
        ((item->has_key && memcmp(lead->key, item->key, sizeof lead->key) == 0) ||
         flow_is_duplicate(flow, lead)))
        lane->met = true;
    return lane->met;
}

/* What is missing here sync may bring next: all behind it waits as if the hold began with it. */
static void begin_again(struct lane *lane)
{
    const struct flow_event *event = hold_front(&lane->hold);

    while (event != NULL && is_loose(event))
        event = hold_next(&lane->hold, event);
    lane->lead = event;
    lane->met = false;
}

static int make_way(struct flow *flow, struct lane *lane, const struct flow_event *item)
{
    struct flow_event *event;
    int rc = 0;

    while (rc == 0 && meet(flow, lane, item) && (event = hold_front(&lane->hold)) != NULL) {
        bool marked = hold_is_marked(&lane->hold);

        if (lane->missing_first)
            flow_say_missing(flow);
        lane->missing_first = false;
        if (flow_is_duplicate(flow, event))
            drop_copy(flow, lane, event);
        else if (is_loose(event))
            rc = release_one(flow, lane, event);
        else
            break; /* sync has not come to it: it stays, and so does all behind it */
        flow->way = flow->way || rc == 0;
        if (rc == 0 && marked)
            begin_again(lane);
    }
    return rc;
}

/*
 * What has no key stands right behind the event that the link showed before it, as soon as that one
 * is known; and what the link began with, right before the first event that sync can come to. One
 * that sync may still bring never goes out here: its position would stand for what lies before it.
 * With unkeyed = sync copies.c tells their places.
 */
int flow_make_way(struct flow *flow, const struct flow_event *item)
{
    struct lane *lane = &flow->lanes[flow->link], *left = &flow->lanes[!flow->link];
    int rc = 0;

    if (flow->unkeyed.on)
        return 0;
    if (flow->leftover) {
        if (left->lead == NULL && meet(flow, lane, item))
            left->met = true;
        rc = make_way(flow, left, item);
    }
    if (rc == 0 && !(flow->leftover && left->hold.count > 0))
        rc = make_way(flow, lane, item);
    return rc;
}

bool flow_releasing(const struct flow *flow)
{
    return flow->mode == FLOW_MODE_RELEASE;
}

bool flow_unkeyed(const struct flow *flow)
{
    return flow->unkeyed.waiting;
}

bool flow_hole(const struct flow *flow)
{
    return flow->hole;
}

void flow_unkeyed_keep(struct flow *flow)
{
    flow->unkeyed.keep = flow->lanes[flow->link].unkeyed;
    if (flow->leftover)
        flow->unkeyed.keep += flow->lanes[!flow->link].unkeyed;
}

/* ---- handover ---- */

void flow_succeed(struct flow *flow)
{
    if (!flow->leftover)
        empty_lane(flow, &flow->lanes[!flow->link]);
    flow->meets = flow->met = flow->repeats = flow->has_link_key = false;
    flow->link_tail = flow->n_shown = 0;
    flow->joins = flow->succession = true;
    flow_look(flow);
}

void flow_switch(struct flow *flow)
{
    if (flow->succession && !flow->leftover) {
        flow->link = !flow->link;
        flow->leftover = true;
        if (flow->unkeyed.on)
            copies_switch(flow, &flow->lanes[flow->link]);
    } else if (flow->succession && flow->heals) {
        /* There are no three lanes. Nothing was taken of the successor yet: sync brings it all. */
        flow_drop_held(flow);
    } /* else its events queue up behind the link's */
    flow->succession = flow->meets = flow->met = false;
    flow_doubt(flow, false);
    flow->hole = flow->unkeyed.waiting = flow->reached = false;
    audit_begin(&flow->audit);
    flow->mode = FLOW_MODE_HOLD;
    /* Between the two links' events some may be missing: sync has to come to both. */
    flow->reference = find_reference(flow, &flow->lanes[flow->link]);
    flow->left = flow->leftover ? find_reference(flow, &flow->lanes[!flow->link]) : NULL;
}
