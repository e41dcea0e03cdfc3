/*
 * messages: what a link says. A frame may be many messages; of each, what it is (flow) comes before
 * what it says about the link (rules), but that positions begin anew comes first: they do with its
 * own. A frame that finds no room in its middle is offered again, and what was taken of it is
 * skipped.
 */
#include <stdio.h>

#include "engine/stream_private.h"

/* ---- rules ---- */

static void post_rule(struct stream *stream, uint64_t link, const struct profile_trigger *rule)
{
    struct session_event event = {.kind = SESSION_EV_RULE, .link = link, .rule = rule};
    stream_post(stream, &event);
}

static void hand_over(struct stream *stream, uint64_t link, const struct profile_trigger *rule)
{
    struct profile_trigger checked = *rule;
    if (!stream_move(stream, rule->value))
        checked.value = slice_make(NULL, 0);
    post_rule(stream, link, &checked);
}

static void do_rule(struct stream *stream, struct stream_link *link,
                    const struct profile_trigger *rule)
{
    switch (rule->action->kind) {
    case PROFILE_RULE_EVENT:
    case PROFILE_RULE_IGNORE:
    case PROFILE_RULE_SNAPSHOT:
        return; /* the message says what they came to */
    case PROFILE_RULE_FORGET:
        return; /* it was done first */
    case PROFILE_RULE_ALIVE:
        stream_post_link(stream, SESSION_EV_ACKED, link->number, NULL);
        return;
    case PROFILE_RULE_CAPTURE:
        stream_capture_rule(stream, rule);
        return;
    case PROFILE_RULE_SEND:
        stream_send_by_rule(stream, link, rule->action);
        return;
    case PROFILE_RULE_CALL:
        stream_call(stream, rule->action, link);
        return;
    case PROFILE_RULE_SAY:
        stream_say(stream, "rule %s: %s", rule->action->rule, rule->action->text);
        return;
    case PROFILE_RULE_HANDOVER:
        hand_over(stream, link->number, rule);
        return;
    case PROFILE_RULE_LIVE:
    case PROFILE_RULE_SET:
    case PROFILE_RULE_RECONNECT:
    case PROFILE_RULE_REFRESH:
    case PROFILE_RULE_FRESH:
    case PROFILE_RULE_GAP:
    case PROFILE_RULE_HOLD:
    case PROFILE_RULE_PARK:
        post_rule(stream, link->number, rule);
        return;
    }
}

/* Where the message is offered again there is nothing left to forget. */
static void forget_first(struct stream *stream, uint64_t number,
                         const struct profile_message *message)
{
    for (size_t i = 0; i < message->n_actions; i++)
        if (message->actions[i].action->kind == PROFILE_RULE_FORGET)
            post_rule(stream, number, &message->actions[i]);
}

static void do_rules(struct stream *stream, struct stream_link *link,
                     const struct profile_message *message)
{
    uint64_t number = link->number;
    if (message->acks)
        stream_post_link(stream, SESSION_EV_ACKED, number, NULL);
    if (message->answers != 0) {
        struct session_event event = {
            .kind = SESSION_EV_ANSWERED, .link = number, .sends = message->answers};
        stream_post(stream, &event);
    }
    /* A rule may end the link: the rest of the message then speaks of nothing. */
    for (size_t i = 0; i < message->n_actions && link->number == number; i++)
        do_rule(stream, link, &message->actions[i]);
}

/* ---- messages ---- */

static void tell(struct stream *stream, uint64_t link, enum flow_result result)
{
    switch (result) {
    case FLOW_HELD_FIRST:
        stream_post_link(stream, SESSION_EV_HELD_FIRST, link, NULL);
        return;
    case FLOW_HELD_FULL:
        stream_post_link(stream, SESSION_EV_HELD_FULL, link, NULL);
        return;
    case FLOW_MET:
        stream_check_flow(stream);
        stream_post_link(stream, SESSION_EV_MET, link, NULL);
        return;
    case FLOW_HOLE:
        stream_post_link(stream, SESSION_EV_HOLE, link, NULL);
        return;
    case FLOW_UNKEYED:
        stream_post_link(stream, SESSION_EV_UNKEYED, link, NULL);
        return;
    case FLOW_DOUBT:
        stream_post_link(stream, SESSION_EV_DOUBT, link, NULL);
        return;
    case FLOW_FOLLOWS:
        stream_check_flow(stream);
        stream_post_link(stream, SESSION_EV_FOLLOWS, link, NULL);
        return;
    case FLOW_EMITTED:
        stream_check_flow(stream);
        return;
    case FLOW_DUPLICATE:
    case FLOW_HELD:
    case FLOW_DISCARDED:
    case FLOW_IGNORED:
    case FLOW_SUSPECT:
    case FLOW_AGAIN:
        return;
    }
}

/* False: no room. */
static bool take(struct stream *stream, struct stream_link *link,
                 const struct profile_message *message, struct slice raw, bool binary)
{
    enum flow_side side = link->role == STREAM_SUCCESSOR ? FLOW_SUCCESSOR : FLOW_LINK;
    bool acks = stream->stored_sends != 0 && message->event;
    if (acks && !stream_acks_room(stream))
        return false;
    enum flow_result result =
        flow_message(stream->flow, side, message, raw, binary, stream->ops->wall_us(stream->arg));
    if (result == FLOW_AGAIN)
        return false;
    link->taken++;
    uint64_t number = link->number;
    if (acks)
        stream_acks_add(stream, link, result, message->ephemeral);
    if (link->number == number)
        tell(stream, number, result);
    return true;
}

/* Whether something on the way holds frames back, which only shows in when they come. */
static void look_at_arrivals(struct stream *stream)
{
    char text[SESSION_TEXT];
    if (arrivals_held_back(&stream->arrivals, stream->ops->now_ms(stream->arg), text, sizeof(text)))
        stream_say(stream, "%s", text);
}

int stream_message(struct stream *stream, uint64_t number, enum stream_message_type type,
                   struct slice payload)
{
    struct stream_link *link = stream_link_find(stream, number);
    struct profile_frame frame;
    struct profile_message message;
    if (link == NULL || link->role == STREAM_RETIRED)
        return 0;
    unsigned skip = link->taken;
    bool flood = link->role == STREAM_LINK && skip == 0 &&
                 arrivals_message(&stream->arrivals, stream->ops->now_ms(stream->arg));
    profile_frame_begin(stream->scanner, payload, NULL, &frame);
    while (profile_frame_next(stream->scanner, &frame, &message)) {
        if (skip > 0) {
            skip--;
            continue;
        }
        forget_first(stream, number, &message);
        if (!take(stream, link, &message, payload, type == STREAM_BINARY)) {
            link->blocked = true;
            return ERR_AGAIN;
        }
        if (flood && message.time.ptr != NULL)
            arrivals_time(&stream->arrivals, message.time);
        if (link->number == number &&
            (message.n_actions > 0 || message.acks || message.answers != 0))
            do_rules(stream, link, &message);
        if (link->number != number)
            return 0;
    }
    link->taken = 0;
    if (flood)
        look_at_arrivals(stream);
    stream->stats.messages++;
    stream->stats.bytes += payload.len;
    return 0;
}

void stream_oversize(struct stream *stream, uint64_t number, uint64_t bytes)
{
    struct stream_link *link = stream_link_find(stream, number);
    (void)bytes;
    if (link == NULL || link->role == STREAM_RETIRED)
        return;
    flow_missing(stream->flow, link->role == STREAM_SUCCESSOR ? FLOW_SUCCESSOR : FLOW_LINK);
}

void stream_pong(struct stream *stream, uint64_t number, int64_t rtt_ms)
{
    const struct stream_link *link = stream_link_find(stream, number);
    struct session_event event = {.kind = SESSION_EV_PONG, .link = number, .rtt_ms = rtt_ms};
    if (link == NULL)
        return;
    if (link->role == STREAM_LINK) {
        stream->stats.rtt_ms = rtt_ms;
        histogram_add(&stream->stats.rtts_ms, rtt_ms);
        arrivals_pong(&stream->arrivals, stream->ops->now_ms(stream->arg), rtt_ms);
        look_at_arrivals(stream);
    }
    stream_post(stream, &event);
}
