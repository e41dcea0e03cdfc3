/*
 * sends: what goes to the service: subscriptions, answers, heartbeats, acknowledgements.
 *
 * Texts leave in the order in which they were asked for. What limits.sends or a full link holds
 * back waits in `sends`; an acknowledgement first waits in `acks` until its event is on disk.
 */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/stream_private.h"

#define HELD UINT64_MAX /* seq of an acknowledgement whose event flow holds */

int stream_sends_init(struct stream *stream)
{
    const struct profile *profile = stream->profile;
    int status = 0;
    stream->send_at_ms = INT64_MAX;
    buf_init(&stream->text, STREAM_SEND_BYTES);
    for (unsigned i = 0; i < profile->n_sends; i++)
        if (profile->sends[i].when == PROFILE_SEND_ON_STORED)
            stream->stored_sends |= 1u << i;
    if (profile->n_sends > 0)
        status = texts_init(&stream->sends, STREAM_SENDS_MAX, STREAM_SENDS_BYTES);
    if (status == 0 && stream->stored_sends != 0)
        status = texts_init(&stream->acks, STREAM_ACKS_MAX,
                            STREAM_ACKS_BYTES + PROFILE_SENDS_MAX * STREAM_SEND_BYTES);
    return status;
}

void stream_sends_fini(struct stream *stream)
{
    buf_wipe(&stream->text);
    buf_fini(&stream->text);
    texts_fini(&stream->sends);
    texts_fini(&stream->acks);
}

/* ---- handing over ---- */

static void sent(struct stream *stream, struct stream_link *link, unsigned send)
{
    struct session_event event = {.kind = SESSION_EV_SENT, .link = link->number, .send = send};
    if (stream->profile->sends[send].answered)
        stream_post(stream, &event);
}

/* 0: gone, or lost with a link that is no longer open. ERR_AGAIN: not before send_at_ms. */
static int hand_over(struct stream *stream, struct stream_link *link, unsigned send,
                     struct slice text)
{
    int64_t now_ms = stream->ops->now_ms(stream->arg);
    if (!stream->send_paid && stream->broker != NULL && stream->profile->limits.sends.count > 0) {
        int64_t wait_ms = broker_send(stream->broker, now_ms);
        if (wait_ms > 0) {
            stream->send_at_ms = now_ms + wait_ms;
            return ERR_AGAIN;
        }
        stream->send_paid = true;
    }
    int status = stream->ops->link_send(stream->arg, link->number, text);
    if (status == ERR_AGAIN) {
        stream->send_at_ms = now_ms + STREAM_SEND_RETRY_MS;
        return status;
    }
    stream->send_paid = false;
    if (status == 0)
        sent(stream, link, send);
    else if (status != ERR_EOF)
        stream_say(stream, "send %s: %s", stream->profile->sends[send].name, error_text(status));
    return 0;
}

/* Nothing of it is silently left out: a service that we owe more than it lets us send is left. */
static void too_much(struct stream *stream, struct stream_link *link)
{
    struct profile_end end = {
        .kind = PROFILE_END_CLOSE, .code = 1008, .local = true, .retry_after_ms = -1};
    snprintf(end.text, sizeof(end.text), "%s",
             stream->profile->limits.sends.count > 0 ? "more to send than limits.sends allows"
                                                     : "more to send than the link takes");
    stream_cut(stream, link, &end);
}

static void send_text(struct stream *stream, struct stream_link *link, unsigned send,
                      struct slice text)
{
    if (stream->sends.count == 0 && hand_over(stream, link, send, text) == 0)
        return;
    struct stream_text item = {.link = link->number, .send = send};
    if (texts_push(&stream->sends, &item, text) != 0)
        too_much(stream, link);
    else
        stream_plan(stream);
}

void stream_sends_pump(struct stream *stream)
{
    while (stream->sends.count > 0) {
        struct stream_text *item = texts_at(&stream->sends, 0);
        struct stream_link *link = stream_link_find(stream, item->link);
        bool open = link != NULL && link->open && !link->closing;
        if (open && hand_over(stream, link, item->send, texts_bytes(&stream->sends, item)) != 0)
            return;
        texts_remove(&stream->sends, item);
    }
    stream->send_at_ms = INT64_MAX;
    if (stream->acks.count > 0)
        stream_acks_pump(stream);
}

int stream_send(struct stream *stream, struct slice text, int64_t *retry_ms)
{
    struct stream_link *link = stream_link_as(stream, STREAM_LINK);
    struct session_status status;
    *retry_ms = STREAM_SEND_RETRY_MS;
    if (stream->profile->connect.data_forbidden)
        return ERR_PERM;
    if (text.len > STREAM_SEND_BYTES)
        return ERR_LIMIT;
    if (!utf8_valid(text.ptr, text.len))
        return ERR_INVAL;
    stream_session_status(stream, &status);
    if (status.state != SESSION_LIVE || link == NULL || !link->open || link->closing)
        return ERR_EOF;
    if (stream->sends.count > 0) {
        int64_t wait_ms = stream->send_at_ms - stream->ops->now_ms(stream->arg);
        *retry_ms = wait_ms > 0 ? wait_ms : 1;
        return ERR_AGAIN;
    }
    if (stream->broker != NULL && stream->profile->limits.sends.count > 0) {
        int64_t wait_ms = broker_send(stream->broker, stream->ops->now_ms(stream->arg));
        if (wait_ms > 0) {
            *retry_ms = wait_ms;
            return ERR_AGAIN;
        }
    }
    return stream->ops->link_send(stream->arg, link->number, text);
}

/* ---- rendering ---- */

/* As profile_render_send(); what is wrong is said, and then nothing was rendered. */
static bool render(struct stream *stream, struct stream_link *link, unsigned send,
                   struct slice position, struct buf *out)
{
    struct stream_lookup lookup = {.stream = stream, .link = link, .position = position};
    struct error err = {0};
    int status = profile_render_send(stream->profile, send, stream->scanner, stream_look_up,
                                     &lookup, out, &err);
    if (status == 1 && lookup.err.code == 0)
        return true;
    buf_wipe(out);
    if (lookup.err.code != 0)
        stream_say(stream, "send %s: %.300s", stream->profile->sends[send].name, lookup.err.text);
    else if (status < 0)
        stream_say(stream, "send %s: %.300s", stream->profile->sends[send].name, err.text);
    return false;
}

static bool may_send(const struct stream *stream, const struct stream_link *link, unsigned send)
{
    return link->open && !link->closing &&
           !(stream->profile->sends[send].once && (link->once & 1u << send) != 0);
}

static bool send_one(struct stream *stream, struct stream_link *link, unsigned send,
                     struct slice position)
{
    buf_clear(&stream->text);
    bool rendered = render(stream, link, send, position, &stream->text);
    if (rendered) {
        link->once |= 1u << send;
        send_text(stream, link, send, buf_slice(&stream->text));
    }
    buf_wipe(&stream->text);
    return rendered;
}

void stream_send_on_open(struct stream *stream, struct stream_link *link)
{
    uint64_t number = link->number;
    for (unsigned i = 0; i < stream->profile->n_sends && link->number == number; i++)
        if (stream->profile->sends[i].when == PROFILE_SEND_ON_OPEN && may_send(stream, link, i))
            (void)send_one(stream, link, i, flow_resume(stream->flow));
}

void stream_send_by_rule(struct stream *stream, struct stream_link *link,
                         const struct profile_rule_action *rule)
{
    for (unsigned i = 0; i < rule->n_sends; i++) {
        if (!may_send(stream, link, rule->sends[i]))
            return; /* it has gone out on this link already, or nothing goes out any more */
        /* Of `send RESUME|IDENTIFY` only the last makes a new session. */
        link->resumed = i + 1 < rule->n_sends;
        if (send_one(stream, link, rule->sends[i], flow_resume(stream->flow)))
            return;
    }
    link->resumed = false;
    stream_say(stream, "rule %s: nothing to send, for a variable in its text is not set",
               rule->rule != NULL ? rule->rule : "?");
}

void stream_heartbeat(struct stream *stream, struct stream_link *link)
{
    unsigned send = stream->profile->heartbeat.send;
    if (send == PROFILE_NONE || !link->open || link->closing)
        return;
    if (!send_one(stream, link, send, flow_position(stream->flow)))
        stream_say(stream, "the heartbeat cannot be sent: a variable in its text is not set");
}

/* ---- acknowledgements ---- */

bool stream_acks_room(const struct stream *stream)
{
    const struct stream_texts *acks = &stream->acks;
    return acks->max == 0 || (acks->count + PROFILE_SENDS_MAX <= acks->max &&
                              acks->end - acks->begin < STREAM_ACKS_BYTES);
}

static bool durable(const struct stream *stream, uint64_t seq)
{
    return seq <= stream->durable_seq ||
           (seq != HELD && hub_idle(stream->hub) && !hub_failed(stream->hub));
}

void stream_acks_add(struct stream *stream, struct stream_link *link, enum flow_result result,
                     bool ephemeral)
{
    bool held = result == FLOW_HELD || result == FLOW_HELD_FIRST || result == FLOW_HOLE ||
                result == FLOW_UNKEYED || result == FLOW_DOUBT;
    /* What is not kept is not acknowledged: the service is to send it again. */
    if (result == FLOW_IGNORED || result == FLOW_HELD_FULL ||
        (result == FLOW_DISCARDED && !ephemeral))
        return;
    struct stream_text item = {.link = link->number,
                               .seq = held ? HELD : hub_next_seq(stream->hub) - 1};
    for (unsigned i = 0; i < stream->profile->n_sends; i++) {
        buf_clear(&stream->text);
        if ((stream->stored_sends & 1u << i) == 0 || !may_send(stream, link, i) ||
            !render(stream, link, i, flow_position(stream->flow), &stream->text))
            continue;
        item.send = i;
        link->once |= 1u << i;
        /* stream_acks_room() has looked. */
        (void)texts_push(&stream->acks, &item, buf_slice(&stream->text));
    }
    buf_wipe(&stream->text);
    if (!held && durable(stream, item.seq))
        stream_acks_pump(stream);
}

void stream_acks_stamp(struct stream *stream)
{
    for (unsigned i = 0; i < stream->acks.count; i++)
        if (texts_at(&stream->acks, i)->seq == HELD)
            texts_at(&stream->acks, i)->seq = hub_next_seq(stream->hub) - 1;
    stream_acks_pump(stream);
    stream_unblock(stream);
}

void stream_acks_forget(struct stream *stream, uint64_t link, bool held_only)
{
    for (unsigned i = stream->acks.count; i-- > 0;) {
        struct stream_text *item = texts_at(&stream->acks, i);
        if (item->link == link && !item->gone && (!held_only || item->seq == HELD))
            texts_remove(&stream->acks, item);
    }
    stream_unblock(stream); /* the other link may have waited for their room */
}

/* The first that may go, or NULL. */
static struct stream_text *next_ack(const struct stream *stream)
{
    for (unsigned i = 0; i < stream->acks.count; i++) {
        struct stream_text *item = texts_at(&stream->acks, i);
        if (!item->gone && durable(stream, item->seq))
            return item;
    }
    return NULL;
}

void stream_acks_pump(struct stream *stream)
{
    struct stream_text *item;
    /* While as much waits as may, the rest waits here: acknowledgements never end a link. */
    while (stream->sends.count < STREAM_SENDS_MAX / 2 && (item = next_ack(stream)) != NULL) {
        struct stream_link *link = stream_link_find(stream, item->link);
        unsigned send = item->send;
        buf_clear(&stream->text);
        int status = buf_append_slice(&stream->text, texts_bytes(&stream->acks, item));
        texts_remove(&stream->acks, item);
        if (status == 0 && link != NULL && link->open && !link->closing)
            send_text(stream, link, send, buf_slice(&stream->text));
        buf_wipe(&stream->text);
    }
}

void stream_durable(struct stream *stream, uint64_t seq)
{
    if (seq > stream->durable_seq)
        stream->durable_seq = seq;
    if (stream->acks.count == 0)
        return;
    stream_acks_pump(stream);
    stream_unblock(stream);
    stream_plan(stream);
}
