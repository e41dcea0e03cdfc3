/* execute: what the session asks for, done. Each action that can fail answers with an event. */
#include <stdio.h>
#include <string.h>

#include "engine/stream_private.h"
#include "wire/ndjson.h"

/* ---- links ---- */

static struct stream_link *take_place(struct stream *stream)
{
    for (unsigned i = 0; i < STREAM_LINKS; i++)
        if (stream->links[i].number == 0)
            return &stream->links[i];
    return NULL;
}

/* Scheme, host and port: the rest, with its tokens, may be longer than an address that is named. */
static struct slice origin(struct slice url)
{
    size_t at = 0;
    while (at + 3 < url.len && memcmp(url.ptr + at, "://", 3) != 0)
        at++;
    at += 3;
    while (at < url.len && strchr("/?#", url.ptr[at]) == NULL)
        at++;
    return slice_make(url.ptr, at < url.len ? at : url.len);
}

/* What the service or a captured variable names must be within [connect] hosts. */
static int render_address(struct stream *stream, bool moved, struct error *err)
{
    struct buf *url = &stream->form.url;
    if (moved && stream->moved[0] != '\0') {
        buf_clear(url);
        int status = buf_append_str(url, stream->moved);
        if (status != 0)
            return error_set(err, status, "%s", error_text(status));
    } else if (stream->profile->n_variables == 0) {
        return 0;
    }
    return profile_address_ok(stream->profile, origin(buf_slice(url)), err);
}

static void dial(struct stream *stream, const struct session_action *action)
{
    struct stream_link *link = take_place(stream);
    struct stream_lookup lookup = {
        .stream = stream, .link = link, .position = flow_resume(stream->flow)};
    struct error err = {0};
    int status = 0;
    stream->stats.dials++;
    if (link == NULL) { /* no room for a third: the session counts its links, so never */
        struct profile_end end = {
            .kind = PROFILE_END_CLOSE, .code = 1006, .local = true, .retry_after_ms = -1};
        stream_post_link(stream, SESSION_EV_LINK_FAILED, action->link, &end);
        return;
    }
    const struct stream_link *old = stream_link_as(stream, STREAM_LINK);
    *link = (struct stream_link){.number = action->link, .slot = stream->slot_kind};
    link->slotted = stream_slot_use(stream, STREAM_SLOT_LINK);
    link->role = old != NULL && !old->closing ? STREAM_SUCCESSOR : STREAM_LINK;
    if (link->role == STREAM_LINK)
        stream->stats.rtt_ms = -1;
    status = profile_render_connect(stream->profile, stream_look_up, &lookup, &stream->form, &err);
    if (status == 0 && lookup.err.code == 0)
        status = render_address(stream, action->moved, &err);
    if (status == 0 && lookup.err.code == 0) {
        stream->ops->dial(stream->arg, link->number, &stream->form);
    } else {
        struct profile_end end;
        stream_render_failure(&lookup, &err, &end);
        stream_link_failed(stream, link->number, &end);
    }
    stream_form_done(stream);
}

void stream_cut(struct stream *stream, struct stream_link *link, const struct profile_end *end)
{
    uint64_t number = link->number;
    int64_t last_rx_ms = stream->ops->link_last_rx_ms(stream->arg, number);
    stream->ops->link_abort(stream->arg, number);
    stream_link_closed(stream, number, last_rx_ms, end);
}

static void abort_link(struct stream *stream, uint64_t number)
{
    struct profile_end end = {
        .kind = PROFILE_END_CLOSE, .code = 1006, .local = true, .retry_after_ms = -1};
    struct stream_link *link = stream_link_find(stream, number);
    if (link != NULL)
        stream_cut(stream, link, &end);
}

static void close_link(struct stream *stream, const struct session_action *action)
{
    struct stream_link *link = stream_link_find(stream, action->link);
    if (link == NULL)
        return;
    link->closing = true;
    stream->ops->link_close(stream->arg, action->link, action->code, action->text);
}

static void succeed(struct stream *stream, uint64_t number)
{
    struct stream_link *link = stream_link_find(stream, number);
    if (link == NULL)
        return;
    link->role = STREAM_SUCCESSOR;
    flow_succeed(stream->flow);
}

/* The broker's slots change places, so the old link ends as the successor would. */
static void switch_links(struct stream *stream, uint64_t number)
{
    struct stream_link *link = stream_link_find(stream, number);
    struct stream_link *old = stream_link_as(stream, STREAM_LINK);
    if (link == NULL || link->role != STREAM_SUCCESSOR)
        return;
    if (old != NULL) {
        old->role = STREAM_RETIRED;
        old->slot = BROKER_SUCCESSOR;
    }
    link->role = STREAM_LINK;
    arrivals_begin(&stream->arrivals, stream->ops->now_ms(stream->arg));
    link->slot = BROKER_LINK;
    if (stream->broker != NULL)
        broker_switched(stream->broker);
    stream->stats.rtt_ms = -1;
    flow_switch(stream->flow);
    stream_accepted(stream, link);
}

/* ---- flow ---- */

static void hold(struct stream *stream)
{
    flow_hold(stream->flow);
    /* A hold begun anew is empty. */
    stream_acks_forget(stream, stream_link_number(stream), true);
}

static void discard(struct stream *stream)
{
    flow_discard(stream->flow);
    for (unsigned i = 0; i < STREAM_LINKS; i++)
        if (stream->links[i].number != 0)
            stream_acks_forget(stream, stream->links[i].number, true);
}

/* ---- states ---- */

static void enter_state(struct stream *stream, const struct session_action *action)
{
    struct buf line;
    buf_init(&line, 8192);
    if (ndjson_write_stream_notice(&line, stream->name, session_state_name(action->to),
                                   action->text[0] != '\0' ? action->text : NULL,
                                   action->retry_ms) == 0)
        hub_notice(stream->hub, stream->hub_stream, buf_slice(&line));
    buf_fini(&line);
    stream->ops->state(stream->arg, action, stream_link_number(stream));
    if (action->to == SESSION_LIVE || action->to == SESSION_CATCHING_UP)
        stream_accepted(stream, stream_link_as(stream, STREAM_LINK));
    if (action->from == SESSION_POLLING && action->to != SESSION_POLLING)
        stream_fallback_left(stream);
    if (action->to == SESSION_STOPPED)
        stream_calls_cancel(stream);
}

static void forget(struct stream *stream)
{
    flow_forget(stream->flow);
    stream->has_position = false;
    stream->forget = true;
}

static void beat(struct stream *stream, uint64_t number)
{
    struct stream_link *link = stream_link_find(stream, number);
    if (link != NULL)
        stream_heartbeat(stream, link);
}

static void ping(struct stream *stream, uint64_t number)
{
    stream->stats.pings++;
    stream->ops->link_ping(stream->arg, number);
}

static void execute_link(struct stream *stream, const struct session_action *action)
{
    if (action->kind == SESSION_DO_DIAL)
        dial(stream, action);
    else if (action->kind == SESSION_DO_LINK_CLOSE)
        close_link(stream, action);
    else if (action->kind == SESSION_DO_LINK_ABORT)
        abort_link(stream, action->link);
    else if (action->kind == SESSION_DO_LINK_PING)
        ping(stream, action->link);
    else if (action->kind == SESSION_DO_HEARTBEAT)
        beat(stream, action->link);
    else if (action->kind == SESSION_DO_SUCCEED)
        succeed(stream, action->link);
    else
        switch_links(stream, action->link);
}

void stream_execute(struct stream *stream, const struct session_action *action)
{
    switch (action->kind) {
    case SESSION_DO_ASK_SLOT:
        stream_slot_ask(stream, action->fallback);
        return;
    case SESSION_DO_DROP_SLOT:
        stream_slot_drop(stream, action->fallback);
        return;
    case SESSION_DO_DIAL:
    case SESSION_DO_LINK_CLOSE:
    case SESSION_DO_LINK_ABORT:
    case SESSION_DO_LINK_PING:
    case SESSION_DO_HEARTBEAT:
    case SESSION_DO_SUCCEED:
    case SESSION_DO_SWITCH:
        execute_link(stream, action);
        return;
    case SESSION_DO_HTTP_START:
        stream_request(stream, action);
        return;
    case SESSION_DO_HTTP_CANCEL:
        stream_request_cancel(stream, action->request);
        return;
    case SESSION_DO_FALLBACK_START:
        stream_fallback_start(stream, action->request);
        return;
    case SESSION_DO_HOLD:
        hold(stream);
        return;
    case SESSION_DO_RELEASE:
        stream_release(stream); /* what finds no room goes on in stream_room() */
        return;
    case SESSION_DO_DISCARD:
        discard(stream);
        return;
    case SESSION_DO_DOUBT:
    case SESSION_DO_TRUST:
        flow_doubt(stream->flow, action->kind == SESSION_DO_DOUBT);
        return;
    case SESSION_DO_UNKEYED_KEEP:
        flow_unkeyed_keep(stream->flow);
        return;
    case SESSION_DO_AUDITED:
        flow_audited(stream->flow);
        stream->half_told = false;
        return;
    case SESSION_DO_GAP:
        stream_gap(stream, action->gap, action->text);
        return;
    case SESSION_DO_FORGET:
        forget(stream);
        return;
    case SESSION_DO_FRESH:
        stream_fresh(stream);
        return;
    case SESSION_DO_REFRESH:
        stream->ops->refresh(stream->arg);
        return;
    case SESSION_DO_SAVE:
        stream_save(stream);
        return;
    case SESSION_DO_SAY:
        stream_say(stream, "%s", action->text);
        return;
    case SESSION_DO_STATE:
        enter_state(stream, action);
        return;
    }
}
