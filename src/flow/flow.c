#include "flow/flow.h"

#include <assert.h>
#include <stdlib.h>

#include "base/error.h"
#include "flow/event.h"
#include "flow/hold.h"
#include "flow/owed.h"
#include "flow/position.h"
#include "flow/window.h"

/* What becomes of the link's messages. */
enum flow_mode {
    FLOW_MODE_PASS,
    FLOW_MODE_HOLD,
    FLOW_MODE_RELEASE, /* what is held goes out, what comes waits behind it */
    FLOW_MODE_DISCARD,
};

struct flow {
    struct event_maker maker;
    flow_sink sink;
    void (*gap)(void *arg, const struct flow_gap *gap);
    void *sink_arg;
    enum flow_mode mode;
    struct window window;
    struct position position;

    struct hold hold;
    bool held_any;      /* since flow_hold() */
    bool overflowed;    /* since flow_hold(): what is held is not all that came */
    bool missing_first; /* a message is missing before the first that is held */
    /* What sync has to reach: the first held event with an id or a position that is not behind us.
     * It lies in the hold. */
    const struct flow_event *reference;
    bool reached;
    struct owed owed;

    struct flow_page_result page;
    struct flow_stats stats;
};

const char *flow_via_name(enum flow_via via)
{
    switch (via) {
#define X(id, text)                                                                                \
    case FLOW_VIA_##id:                                                                            \
        return text;
        FLOW_VIAS(X)
#undef X
    case FLOW_VIA_COUNT:
        break;
    }
    return "unknown";
}

int flow_new(const struct flow_options *options, struct flow **out)
{
    struct flow *flow = calloc(1, sizeof *flow);
    int rc;

    if (flow == NULL)
        return ERR_NOMEM;
    event_maker_init(&flow->maker, options->profile, options->hash_key);
    flow->sink = options->sink;
    flow->gap = options->gap;
    flow->sink_arg = options->sink_arg;
    flow->position.compare = options->profile->compare;
    owed_init(&flow->owed, options->profile->compare);
    rc = window_init(&flow->window, options->dedup_window);
    if (rc != 0)
        goto err_after_flow;
    rc = hold_init(&flow->hold, options->hold_bytes);
    if (rc != 0)
        goto err_after_window;
    *out = flow;
    return 0;

err_after_window:
    window_fini(&flow->window);
err_after_flow:
    free(flow);
    return rc;
}

void flow_free(struct flow *flow)
{
    if (flow == NULL)
        return;
    hold_fini(&flow->hold);
    window_fini(&flow->window);
    free(flow);
}

static void drop_held(struct flow *flow)
{
    flow->stats.discarded += flow->hold.count;
    hold_clear(&flow->hold);
    flow->held_any = false;
    flow->overflowed = false;
    flow->missing_first = false;
    flow->reference = NULL;
    flow->reached = false;
}

void flow_reset(struct flow *flow, struct slice position)
{
    /* Without a position sync is not asked, and so owes nothing: session says that gap. */
    if (position.ptr != NULL)
        owed_note_lost(&flow->owed, position_text(&flow->position), window_newest(&flow->window));
    else
        owed_forget(&flow->owed);
    drop_held(flow);
    window_clear(&flow->window);
    position_set(&flow->position, position);
    flow->page = (struct flow_page_result){0};
    flow->mode = FLOW_MODE_PASS;
}

void flow_dedup_load(struct flow *flow, const uint8_t key[16])
{
    window_add(&flow->window, key);
    owed_pay(&flow->owed, key);
}

/* ---- one event ---- */

static void say_missing(struct flow *flow)
{
    const struct flow_gap gap = {.reason = FLOW_GAP_OVERSIZE};

    flow->gap(flow->sink_arg, &gap);
}

static bool is_duplicate(const struct flow *flow, const struct flow_event *event)
{
    return event->has_key && window_has(&flow->window, event->key);
}

/*
 * A duplicate stores nothing, so its position moves us in memory only; it reaches the disk with the
 * next event that advances. Without this a page of nothing but duplicates would be asked for again
 * and again. Old opaque positions on the link are another matter: they may be a replay.
 */
static void note_duplicate(struct flow *flow, const struct flow_event *event)
{
    flow->stats.duplicates++;
    if (event->position.ptr == NULL ||
        (event->via == FLOW_VIA_LIVE && flow->position.compare == PROFILE_COMPARE_OPAQUE))
        return;
    if (position_advances(&flow->position, event->position))
        position_set(&flow->position, event->position);
}

static void note_emitted(struct flow *flow, const struct flow_event *event)
{
    if (event->malformed != NULL)
        flow->stats.malformed++;
    if (event->ephemeral) {
        flow->stats.ephemeral++;
        return;
    }
    flow->stats.emitted++;
    if (event->has_key) {
        window_add(&flow->window, event->key);
        owed_pay(&flow->owed, event->key);
    }
    if (event->resume.ptr != NULL)
        position_set(&flow->position, event->position);
    else if (event->position.ptr != NULL && position_is_late(&flow->position, event->position))
        flow->stats.late++;
}

/* 0: the sink took it, or it is a duplicate. Else the sink's answer, and nothing has happened. */
static int offer(struct flow *flow, struct flow_event *event, enum flow_result *result)
{
    int rc;

    if (is_duplicate(flow, event)) {
        note_duplicate(flow, event);
        *result = FLOW_DUPLICATE;
        return 0;
    }
    event->resume = (struct slice){NULL, 0};
    if (!event->ephemeral && event->position.ptr != NULL &&
        position_advances(&flow->position, event->position))
        event->resume = event->position;
    rc = flow->sink(flow->sink_arg, event);
    if (rc != 0) {
        *result = FLOW_AGAIN;
        return rc;
    }
    note_emitted(flow, event);
    *result = FLOW_EMITTED;
    return 0;
}

/* ---- the hold ---- */

static enum flow_result discard(struct flow *flow)
{
    flow->stats.discarded++;
    return FLOW_DISCARDED;
}

static bool is_reference(const struct flow *flow, const struct flow_event *event)
{
    if (event->position.ptr != NULL && flow->position.compare == PROFILE_COMPARE_INT)
        return position_advances(&flow->position, event->position);
    return event->id.ptr != NULL || event->position.ptr != NULL;
}

static enum flow_result hold(struct flow *flow, const struct flow_event *event)
{
    const struct flow_event *held;

    /* What we have need not wait. Above all sync must not be measured by it: it lies behind us. */
    if (is_duplicate(flow, event)) {
        flow->stats.duplicates++;
        return FLOW_DUPLICATE;
    }
    owed_note(&flow->owed, event);
    /* After a hole nothing more is kept, though it be small enough: order would be broken. */
    held = flow->overflowed ? NULL : hold_push(&flow->hold, event);
    flow->overflowed = held == NULL;
    if (flow->overflowed)
        return FLOW_HELD_FULL;
    if (flow->reference == NULL && is_reference(flow, held))
        flow->reference = held;
    if (flow->held_any)
        return FLOW_HELD;
    flow->held_any = true;
    return FLOW_HELD_FIRST;
}

void flow_hold(struct flow *flow)
{
    drop_held(flow);
    flow->mode = FLOW_MODE_HOLD;
}

void flow_discard(struct flow *flow)
{
    drop_held(flow);
    flow->mode = FLOW_MODE_DISCARD;
}

int flow_release(struct flow *flow)
{
    struct flow_event *event;
    enum flow_result result;

    flow->reference = NULL;
    flow->mode = FLOW_MODE_RELEASE;
    if (flow->missing_first)
        say_missing(flow);
    flow->missing_first = false;
    while ((event = hold_front(&flow->hold)) != NULL) {
        int rc = offer(flow, event, &result);

        if (rc != 0)
            return rc;
        if (hold_is_marked(&flow->hold))
            say_missing(flow);
        hold_pop(&flow->hold);
    }
    flow->mode = FLOW_MODE_PASS;
    owed_forget(&flow->owed);
    return 0;
}

bool flow_releasing(const struct flow *flow)
{
    return flow->mode == FLOW_MODE_RELEASE;
}

/* ---- messages ---- */

enum flow_result flow_message(struct flow *flow, enum flow_side side,
                              const struct profile_message *message, struct slice raw, bool binary,
                              int64_t received_us)
{
    struct flow_event event;
    enum flow_result result = FLOW_AGAIN;

    (void)side;

    if (!message->event)
        return FLOW_IGNORED;
    if (message->ephemeral && flow->mode != FLOW_MODE_PASS)
        return discard(flow);
    event_make(&flow->maker, message, raw, binary, &event);
    event.via = FLOW_VIA_LIVE;
    event.received_us = received_us;
    switch (flow->mode) {
    case FLOW_MODE_PASS:
        (void)offer(flow, &event, &result);
        return result;
    case FLOW_MODE_HOLD:
        return hold(flow, &event);
    case FLOW_MODE_RELEASE:
        /* Not looked up: duplicates fall out when their turn comes. */
        return hold_push(&flow->hold, &event) != NULL ? FLOW_HELD : FLOW_AGAIN;
    case FLOW_MODE_DISCARD:
        if (!is_duplicate(flow, &event))
            owed_note(&flow->owed, &event);
        break;
    }
    return discard(flow);
}

void flow_missing(struct flow *flow)
{
    bool kept =
        !flow->overflowed && (flow->mode == FLOW_MODE_HOLD || flow->mode == FLOW_MODE_RELEASE);

    if (!kept)
        say_missing(flow);
    else if (flow->hold.count > 0)
        hold_mark(&flow->hold);
    else
        flow->missing_first = true;
}

/* ---- catch-up ---- */

void flow_page_begin(struct flow *flow)
{
    flow->page = (struct flow_page_result){0};
}

/* Whether sync has come to the event where the hold begins. */
static bool reaches(const struct flow *flow, const struct flow_event *item)
{
    const struct flow_event *reference = flow->reference;

    if (reference == NULL)
        return false;
    if (reference->id.ptr != NULL && item->id.ptr != NULL && slice_eq(reference->id, item->id))
        return true;
    if (reference->position.ptr == NULL || item->position.ptr == NULL)
        return false;
    switch (flow->position.compare) {
    case PROFILE_COMPARE_OPAQUE:
        return slice_eq(reference->position, item->position);
    case PROFILE_COMPARE_INT:
        return position_compare(item->position, reference->position) >= 0;
    }
    return false;
}

enum flow_result flow_item(struct flow *flow, enum flow_via via,
                           const struct profile_message *message, int64_t received_us)
{
    struct flow_event event;
    enum flow_result result;

    if (!message->event) {
        flow->page.items++;
        return FLOW_IGNORED;
    }
    if (message->ephemeral) {
        flow->page.items++;
        return discard(flow);
    }
    event_make(&flow->maker, message, slice_make("", 0), false, &event);
    event.via = via;
    event.received_us = received_us;
    if (offer(flow, &event, &result) != 0)
        return FLOW_AGAIN;
    flow->page.items++;
    if (result == FLOW_EMITTED)
        flow->page.fresh++;
    if (reaches(flow, &event))
        flow->reached = true;
    return result;
}

void flow_page_end(struct flow *flow, struct flow_page_result *out)
{
    *out = flow->page;
    out->owed = owed_any(&flow->owed, &flow->position);
    out->reached_hold =
        flow->reached || (flow->reference == NULL && flow->page.items == 0 && !out->owed);
}

/* ---- looking ---- */

struct slice flow_position(const struct flow *flow)
{
    return position_text(&flow->position);
}

void flow_forget(struct flow *flow)
{
    position_set(&flow->position, slice_make(NULL, 0));
    owed_forget(&flow->owed);
}

void flow_stats(const struct flow *flow, struct flow_stats *out)
{
    *out = flow->stats;
    out->held_events = flow->hold.count;
    out->held_bytes = flow->hold.used;
}
