#include "flow/flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "flow/private.h"

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

static int init_parts(struct flow *flow, const struct flow_options *options)
{
    const struct profile *profile = options->profile;
    bool unkeyed = profile->unkeyed_sync && flow->heals;
    int rc = window_init(&flow->window, options->dedup_window);

    if (rc == 0)
        rc = hold_init(&flow->lanes[0].hold, options->hold_bytes);
    if (rc == 0)
        rc = hold_init(&flow->lanes[1].hold,
                       profile->connect.parallel > 1 ? options->hold_bytes : 0);
    if (rc == 0)
        rc = contiguous_init(&flow->contiguous, profile->position.contiguous &&
                                                    profile->compare == PROFILE_COMPARE_INT);
    if (rc == 0)
        rc = unkeyed_init(&flow->unkeyed, unkeyed);
    if (rc == 0)
        rc = audit_init(&flow->audit, profile);
    if (rc == 0)
        epoch_init(&flow->epoch,
                   profile->compare == PROFILE_COMPARE_INT && profile->dedup == PROFILE_DEDUP_ID,
                   options->dedup_window, profile->position.overlap);
    return rc;
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
    flow->heals = options->profile->catchup.via == PROFILE_CATCHUP_HTTP;
    owed_init(&flow->owed, options->profile->compare);
    rc = init_parts(flow, options);
    if (rc != 0) {
        flow_free(flow);
        return rc;
    }
    flow_look(flow);
    *out = flow;
    return 0;
}

void flow_look(struct flow *flow)
{
    flow->closer = flow->contiguous.on || flow->unkeyed.on || flow->succession || flow->doubt;
}

void flow_free(struct flow *flow)
{
    if (flow == NULL)
        return;
    audit_fini(&flow->audit);
    unkeyed_fini(&flow->unkeyed);
    contiguous_fini(&flow->contiguous);
    hold_fini(&flow->lanes[0].hold);
    hold_fini(&flow->lanes[1].hold);
    window_fini(&flow->window);
    free(flow);
}

/* What hangs on positions begins at this one. */
static void begin_at(struct flow *flow, struct slice position)
{
    position_set(&flow->position, position);
    flow->learnt = false;
    position = position_text(&flow->position);
    audit_reset(&flow->audit, position);
    contiguous_reset(&flow->contiguous, position);
    epoch_reset(&flow->epoch, position);
}

void flow_start(struct flow *flow, struct slice position)
{
    flow_reset(flow, position);
    flow->audit.unstored = true;
}

void flow_reset(struct flow *flow, struct slice position)
{
    /* Without a position sync is not asked, and so owes nothing: session says that gap. */
    if (position.ptr != NULL)
        owed_note_lost(&flow->owed, position_text(&flow->position), window_newest(&flow->window));
    else
        owed_forget(&flow->owed);
    flow_drop_held(flow);
    flow->succession = false;
    flow_doubt(flow, false);
    window_clear(&flow->window);
    flow->by_position = false;
    begin_at(flow, position);
    flow->page = (struct flow_page_result){0};
    flow->mode = FLOW_MODE_PASS;
}

/* ---- what is known ---- */

const uint8_t flow_key_forget[16]; /* zero: no event's key is, but one in 2^128 */

static void know(struct flow *flow, const uint8_t key[16])
{
    window_add(&flow->window, key);
    flow->by_position = flow->by_position || event_key_is_position(key);
}

static void forget_positions(struct flow *flow)
{
    if (flow->by_position)
        window_drop(&flow->window, event_key_is_position);
    flow->by_position = false;
}

void flow_dedup_load(struct flow *flow, const uint8_t key[16])
{
    if (memcmp(key, flow_key_forget, sizeof flow_key_forget) == 0) {
        forget_positions(flow);
        return;
    }
    know(flow, key);
    owed_pay(&flow->owed, key);
    epoch_loaded(&flow->epoch);
}

/* ---- gaps ---- */

void flow_say_missing(struct flow *flow)
{
    const struct flow_gap gap = {.reason = FLOW_GAP_OVERSIZE};

    flow->gap(flow->sink_arg, &gap);
}

void flow_say_hole(struct flow *flow, const struct flow_event *event)
{
    struct flow_gap gap = {.reason = FLOW_GAP_HOLE, .before = event->position};
    uint64_t after;
    char text[24];

    if (!contiguous_hole(&flow->contiguous, event, &after))
        return;
    gap.after =
        slice_make(text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)after));
    flow->gap(flow->sink_arg, &gap);
    contiguous_pass_over(&flow->contiguous, event);
}

static void begin_epoch(struct flow *flow, const struct flow_event *event)
{
    char text[LIMIT_POSITION];
    struct flow_gap gap = {.reason = FLOW_GAP_EPOCH, .before = event->position};

    memcpy(text, flow->position.text, flow->position.len);
    gap.after = slice_make(text, flow->position.len);
    begin_at(flow, slice_make(NULL, 0));
    forget_positions(flow);
    owed_forget(&flow->owed);
    flow->gap(flow->sink_arg, &gap);
}

/* ---- one event ---- */

bool flow_is_duplicate(const struct flow *flow, const struct flow_event *event)
{
    return event->has_key && window_has(&flow->window, event->key);
}

/* A link may repeat old events; with opaque positions that would lead us back. */
static bool may_be_replay(const struct flow *flow, enum flow_via via)
{
    if (flow->position.compare == PROFILE_COMPARE_INT)
        return false;
    switch (via) {
    case FLOW_VIA_LIVE:
    case FLOW_VIA_SSE:
    case FLOW_VIA_AUDIT:
        return true;
    case FLOW_VIA_SYNC:
    case FLOW_VIA_POLL:
    case FLOW_VIA_COUNT:
        break;
    }
    return flow->audit.on; /* pages begin where all is whole, behind us */
}

/* What one of the link's messages says besides, once it is taken or known. */
static void note_shown(struct flow *flow, const struct flow_event *event, bool fresh)
{
    if (flow->unkeyed.on)
        copies_shown(flow, event, fresh);
    if (flow->meets && event->has_key &&
        memcmp(flow->met_key, event->key, sizeof flow->met_key) == 0) {
        flow->met = true;
        flow->meets = false;
    }
    if (flow->joins && event->has_key && !event->snapshot)
        memcpy(flow->shown[flow->n_shown++ % FLOW_MEET_KEYS], event->key, sizeof event->key);
}

/*
 * A duplicate stores nothing, so its position moves us in memory only; it reaches the disk with the
 * next event that advances. Without this a page of nothing but duplicates would be asked for again
 * and again. Old opaque positions on the link are another matter: they may be a replay.
 */
static void note_duplicate(struct flow *flow, const struct flow_event *event)
{
    flow->stats.duplicates++;
    flow->epoch.row = 0;
    if (flow->contiguous.on)
        contiguous_note(&flow->contiguous, event);
    if (flow->closer && event->via == FLOW_VIA_LIVE)
        note_shown(flow, event, false);
    if (event->position.ptr == NULL || may_be_replay(flow, event->via))
        return;
    if (position_advances(&flow->position, event->position))
        position_set(&flow->position, event->position);
}

void flow_drop_copy(struct flow *flow, const struct flow_event *event)
{
    flow->stats.duplicates++;
    if (flow->closer)
        note_shown(flow, event, false);
}

static void note_emitted(struct flow *flow, const struct flow_event *event, bool advances)
{
    if (event->malformed != NULL)
        flow->stats.malformed++;
    if (event->ephemeral) {
        flow->stats.ephemeral++;
        return;
    }
    flow->stats.emitted++;
    if (event->has_key) {
        know(flow, event->key);
        owed_pay(&flow->owed, event->key);
    }
    if (advances) {
        if (!flow->position.known)
            epoch_first(&flow->epoch, event->position);
        position_set(&flow->position, event->position);
        flow->epoch.row = 0;
    } else if (event->position.ptr != NULL) {
        epoch_late(&flow->epoch, event);
        if (event->via != FLOW_VIA_AUDIT && position_is_late(&flow->position, event->position))
            flow->stats.late++;
    }
    if (event->position.ptr != NULL)
        epoch_note(&flow->epoch, &flow->position);
    if (flow->contiguous.on)
        contiguous_note(&flow->contiguous, event);
    if (flow->closer && event->via == FLOW_VIA_LIVE)
        note_shown(flow, event, true);
}

/* Where to resume from, if it is to be stored with this event. */
static struct slice resume_with(const struct flow *flow, const struct flow_event *event,
                                bool advances)
{
    if (!flow->audit.on) {
        if (advances)
            return event->position;
        return flow->learnt ? position_text(&flow->position) : slice_make(NULL, 0);
    }
    if (audit_advances(&flow->audit, event))
        return event->position;
    return flow->audit.dirty ? position_text(&flow->audit.whole) : slice_make(NULL, 0);
}

int flow_offer(struct flow *flow, struct flow_event *event, enum flow_result *result)
{
    bool advances;
    int rc;

    if (flow_is_duplicate(flow, event)) {
        note_duplicate(flow, event);
        *result = FLOW_DUPLICATE;
        return 0;
    }
    advances = !event->ephemeral && event->position.ptr != NULL;
    if (advances && !position_advances(&flow->position, event->position)) {
        advances = epoch_begins(&flow->epoch, event);
        if (advances)
            begin_epoch(flow, event);
    }
    if (advances && event->via == FLOW_VIA_AUDIT && may_be_replay(flow, event->via))
        advances = false;
    event->resume = slice_make(NULL, 0);
    if (!event->ephemeral)
        event->resume = resume_with(flow, event, advances);
    rc = flow->sink(flow->sink_arg, event);
    if (rc != 0 && rc != ERR_LIMIT) {
        *result = FLOW_AGAIN;
        return rc;
    }
    if (rc == 0 && event->resume.ptr != NULL) {
        flow->learnt = false;
        if (flow->audit.on)
            audit_advance(&flow->audit, event->resume);
    }
    note_emitted(flow, event, advances);
    *result = FLOW_EMITTED;
    return 0;
}

enum flow_result flow_drop(struct flow *flow)
{
    flow->stats.discarded++;
    return FLOW_DISCARDED;
}

/* ---- messages ---- */

/* A profile with contiguous positions or unkeyed events, a handover, or doubt. */
static enum flow_result pass_closely(struct flow *flow, struct flow_event *event)
{
    bool unkeyed = flow->unkeyed.on && unkeyed_is(event), follows = false;
    enum flow_result result = FLOW_AGAIN;
    uint64_t after;

    if (!flow_is_duplicate(flow, event)) {
        follows = flow->doubt && contiguous_follows(&flow->contiguous, event);
        if (flow->doubt && !follows && !event->ephemeral && flow_hold_doubted(flow, event))
            return FLOW_DOUBT;
        if (unkeyed && flow->unkeyed.aligned && flow->unkeyed.count > 0) {
            unkeyed_take(&flow->unkeyed, 1);
            flow->stats.duplicates++;
            return FLOW_DUPLICATE;
        }
        if (unkeyed && flow_hold_from(flow, event)) {
            flow->unkeyed.waiting = true;
            return FLOW_UNKEYED;
        }
        if (flow->contiguous.on && contiguous_hole(&flow->contiguous, event, &after)) {
            if (flow->heals && flow_hold_from(flow, event))
                return FLOW_HOLE;
            flow_say_hole(flow, event);
        }
    }
    if (flow_offer(flow, event, &result) != 0)
        return FLOW_AGAIN;
    if (unkeyed && result == FLOW_EMITTED)
        flow->stats.unkeyed++;
    if (flow->met) {
        flow->met = false;
        return FLOW_MET;
    }
    if (!follows)
        return result;
    flow_doubt(flow, false);
    return FLOW_FOLLOWS;
}

/* Where both links' unkeyed events stand can be told by the events around them. */
static void note_succession(struct flow *flow, const struct flow_event *event)
{
    if (unkeyed_is(event)) {
        flow->link_tail++;
    } else if (event->has_key) {
        flow->link_tail = 0;
        flow->has_link_key = true;
        flow->repeats = false;
        memcpy(flow->link_key, event->key, sizeof flow->link_key);
    }
}

static enum flow_result take(struct flow *flow, struct flow_event *event)
{
    enum flow_result result = FLOW_AGAIN;

    switch (flow->mode) {
    case FLOW_MODE_PASS:
        if (flow->closer)
            return pass_closely(flow, event);
        (void)flow_offer(flow, event, &result);
        return result;
    case FLOW_MODE_HOLD:
        return flow_hold_link(flow, event);
    case FLOW_MODE_RELEASE:
        return flow_queue(flow, event);
    case FLOW_MODE_DISCARD:
        if (flow_is_duplicate(flow, event))
            break;
        owed_note(&flow->owed, event);
        if (flow->unkeyed.on && unkeyed_is(event))
            owed_note_unkeyed(&flow->owed, 1);
        break;
    }
    return flow_drop(flow);
}

enum flow_result flow_message(struct flow *flow, enum flow_side side,
                              const struct profile_message *message, struct slice raw, bool binary,
                              int64_t received_us)
{
    struct flow_event event;
    enum flow_result result;

    if (!message->event)
        return FLOW_IGNORED;
    /* Only the link at the live edge has a place for them. */
    if (message->ephemeral && (flow->mode != FLOW_MODE_PASS || side == FLOW_SUCCESSOR))
        return flow_drop(flow);
    event_make(&flow->maker, message, raw, binary, &event);
    event.via = FLOW_VIA_LIVE;
    event.received_us = received_us;
    if (side == FLOW_SUCCESSOR && flow->mode != FLOW_MODE_DISCARD)
        return flow->succession ? flow_hold_successor(flow, &event) : flow_drop(flow);
    result = take(flow, &event);
    if (flow->succession && flow->unkeyed.on && side == FLOW_LINK && result != FLOW_AGAIN)
        note_succession(flow, &event);
    return result;
}

/* ---- catch-up ---- */

void flow_page_begin(struct flow *flow)
{
    flow->page = (struct flow_page_result){0};
}

/* Whether sync has come to the event where the hold begins. */
static bool reaches(const struct flow *flow, const struct flow_event *reference,
                    const struct flow_event *item)
{
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
        return item->sequence == reference->sequence &&
               position_compare(item->position, reference->position) >= 0;
    }
    return false;
}

/* Behind what the link has brought since: it can be the copy of nothing that is held. */
static bool is_behind(const struct flow *flow, const struct flow_event *item)
{
    return item->position.ptr != NULL && position_is_late(&flow->position, item->position);
}

/* The item was taken, or is known. */
static void note_item(struct flow *flow, const struct flow_event *event, bool fresh)
{
    flow->page.items++;
    if (fresh)
        flow->page.fresh++;
    if (reaches(flow, flow->reference, event))
        flow->reached = true;
    if (reaches(flow, flow->left, event))
        flow->left = NULL;
    if (flow->audit.follows)
        audit_item(&flow->audit, event);
    if (fresh && flow->unkeyed.on && flow->mode != FLOW_MODE_DISCARD && !is_behind(flow, event))
        unkeyed_brought(&flow->unkeyed, event);
}

enum flow_result flow_item(struct flow *flow, enum flow_via via,
                           const struct profile_message *message, int64_t received_us)
{
    struct flow_event event;
    enum flow_result result;
    bool pays;

    if (!message->event) {
        flow->page.items++;
        return FLOW_IGNORED;
    }
    if (message->ephemeral) {
        flow->page.items++;
        return flow_drop(flow);
    }
    event_make(&flow->maker, message, slice_make("", 0), false, &event);
    event.via = via;
    event.received_us = received_us;
    if (flow->mode == FLOW_MODE_HOLD && flow_make_way(flow, &event) != 0)
        return FLOW_AGAIN;
    if (flow->contiguous.on && !flow_is_duplicate(flow, &event))
        flow_say_hole(flow, &event);
    pays = flow->owed.unkeyed > 0 && !owed_named(&flow->owed, &flow->position);
    if (flow_offer(flow, &event, &result) != 0)
        return FLOW_AGAIN;
    if (pays && result == FLOW_EMITTED)
        flow->owed.unkeyed--;
    note_item(flow, &event, result == FLOW_EMITTED);
    return result;
}

void flow_page_end(struct flow *flow, struct flow_page_result *out)
{
    *out = flow->page;
    out->owed = owed_any(&flow->owed, &flow->position);
    out->reached_hold = flow->reached && flow->left == NULL;
    out->unkeyed = copies_missing(flow);
}

/* ---- audit ---- */

enum flow_result flow_audit_item(struct flow *flow, const struct profile_message *message,
                                 int64_t received_us, int64_t now_ms)
{
    struct flow_event event;
    enum flow_result result = FLOW_DUPLICATE;

    event_make(&flow->maker, message, slice_make("", 0), false, &event);
    event.via = FLOW_VIA_AUDIT;
    event.received_us = received_us;
    if (!flow->audit.on || !message->event || message->ephemeral || !event.has_key) {
        flow->page.items++;
        return FLOW_IGNORED;
    }
    if (!flow_is_duplicate(flow, &event) &&
        (flow->mode != FLOW_MODE_PASS || audit_suspects(&flow->audit, event.key, now_ms))) {
        audit_break(&flow->audit, event.key);
        flow->page.items++;
        return FLOW_SUSPECT;
    }
    if (flow_offer(flow, &event, &result) != 0)
        return FLOW_AGAIN;
    flow->page.items++;
    if (result == FLOW_EMITTED) {
        flow->page.fresh++;
        flow->stats.audited++;
    }
    audit_item(&flow->audit, &event);
    return result;
}

void flow_audited(struct flow *flow)
{
    audit_done(&flow->audit);
    flow->audit_mark = flow->stats.emitted;
}

uint64_t flow_since_audit(const struct flow *flow)
{
    return flow->stats.emitted - flow->audit_mark;
}

struct slice flow_resume(struct flow *flow)
{
    return audit_resume(&flow->audit, &flow->position);
}

void flow_learn(struct flow *flow, struct slice position)
{
    if (position_fault(flow->position.compare, position) != NULL || position.len == 0 ||
        (flow->position.known && !position_advances(&flow->position, position)))
        return;
    begin_at(flow, position);
    flow->learnt = true;
    audit_learn(&flow->audit, position);
}

/* ---- looking ---- */

struct slice flow_position(const struct flow *flow)
{
    return position_text(&flow->position);
}

void flow_forget(struct flow *flow)
{
    flow_doubt(flow, false);
    begin_at(flow, slice_make(NULL, 0));
    forget_positions(flow);
    owed_forget(&flow->owed);
}

void flow_stats(const struct flow *flow, struct flow_stats *out)
{
    *out = flow->stats;
    out->held_events = flow->lanes[0].hold.count + flow->lanes[1].hold.count;
    out->held_bytes = flow->lanes[0].hold.used + flow->lanes[1].hold.used;
}
