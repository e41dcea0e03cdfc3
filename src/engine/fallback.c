/*
 * fallback: the transport that delivers while the WebSocket does not.
 *
 * A long-poll is one page a request. SSE and NDJSON are one body without end, decoded as it comes;
 * where flow has no room, the frame that found none, and the bytes behind it, are kept, and the
 * body's owner is told to wait.
 */
#include <stdio.h>
#include <string.h>

#include "engine/stream_private.h"

static void forget_body(struct stream *stream)
{
    struct stream_fallback *f = &stream->fallback;
    sse_free(f->sse);
    lines_free(f->lines);
    f->sse = NULL;
    f->lines = NULL;
    f->in_frame = f->blocked = f->ended = false;
    f->taken = 0;
    buf_fini(&f->rest);
    buf_fini(&f->text);
    buf_clear(&f->id);
    buf_clear(&f->event);
}

static void give_back(struct stream *stream)
{
    if (stream->fallback.slotted)
        stream_broker_ended(stream, BROKER_FALLBACK);
    stream->fallback.slotted = false;
}

void stream_fallback_fini(struct stream *stream)
{
    forget_body(stream);
    buf_fini(&stream->fallback.id);
    buf_fini(&stream->fallback.event);
}

/* ---- the end ---- */

static void over(struct stream *stream, const struct profile_end *end)
{
    struct session_event event = {
        .kind = SESSION_EV_FALLBACK_ENDED, .request = stream->fallback.number, .end = end};
    if (stream->page.active && stream->page.via == FLOW_VIA_POLL)
        stream_page_drop(stream);
    forget_body(stream);
    give_back(stream);
    stream->fallback.number = 0;
    stream->fallback.opened = false;
    stream_post(stream, &event);
}

void stream_fallback_ended(struct stream *stream, const struct profile_end *end)
{
    struct stream_fallback *f = &stream->fallback;
    struct profile_end with = *end;
    if (f->sse != NULL && with.retry_after_ms < 0)
        with.retry_after_ms = sse_retry_ms(f->sse);
    if (f->in_frame || f->rest.len > 0) {
        f->end = with;
        f->ended = true; /* first all that has come is with flow */
        return;
    }
    over(stream, &with);
}

void stream_fallback_cancel(struct stream *stream)
{
    struct profile_end end = {
        .kind = PROFILE_END_CLOSE, .code = 1000, .local = true, .retry_after_ms = -1};
    if (!stream->fallback.ended)
        stream->ops->http_cancel(stream->arg, stream->fallback.number);
    over(stream, &end);
}

void stream_fallback_left(struct stream *stream)
{
    if (stream->fallback.number != 0)
        return; /* its end is yet to come */
    stream->fallback.opened = false;
    give_back(stream);
}

/* ---- the beginning ---- */

static int make_decoder(struct stream *stream)
{
    struct stream_fallback *f = &stream->fallback;
    size_t most = (size_t)stream->profile->connect.max_message;
    buf_init(&f->rest, LIMIT_HTTP_BODY);
    buf_init(&f->text, most);
    switch (stream->profile->fallback.transport) {
    case PROFILE_LONGPOLL:
        return 0;
    case PROFILE_SSE:
        return sse_new(most, &f->sse);
    case PROFILE_NDJSON:
        return lines_new(most, &f->lines);
    }
    return ERR_INVAL;
}

void stream_fallback_start(struct stream *stream, uint64_t number)
{
    const struct profile *profile = stream->profile;
    struct stream_fallback *f = &stream->fallback;
    struct stream_lookup lookup = {.stream = stream, .position = flow_resume(stream->flow)};
    struct error err = {0};
    f->number = number;
    if (stream_slot_use(stream, STREAM_SLOT_FALLBACK))
        f->slotted = true;
    stream->stats.requests++;
    forget_body(stream);
    int status = make_decoder(stream);
    if (status != 0)
        error_set(&err, status, "%s", error_text(status));
    else
        status = profile_render_fallback(profile, stream_look_up, &lookup, &stream->form, &err);
    if (status != 0 || lookup.err.code != 0) {
        struct profile_end end;
        stream_render_failure(&lookup, &err, &end);
        over(stream, &end);
    } else if (profile->fallback.transport == PROFILE_LONGPOLL) {
        stream->ops->http(stream->arg, number, profile->fallback.http, &stream->form,
                          profile->fallback.timeout_ms);
    } else {
        stream->ops->http_stream(stream->arg, number, &stream->form, profile->catchup.timeout_ms,
                                 profile->fallback.idle_ms);
    }
    stream_form_done(stream);
}

void stream_fallback_opened(struct stream *stream)
{
    struct session_event event = {.kind = SESSION_EV_FALLBACK_OPEN,
                                  .request = stream->fallback.number};
    if (stream->fallback.opened)
        return;
    stream->fallback.opened = true;
    if (stream->fallback.slotted)
        stream_broker_opened(stream, BROKER_FALLBACK);
    stream_post(stream, &event);
}

void stream_fallback_page(struct stream *stream, struct buf *body)
{
    uint64_t number = stream->fallback.number;
    stream_fallback_opened(stream);
    if (stream->fallback.number == number) {
        stream_page_take(stream, number, FLOW_VIA_POLL, false, body);
        return;
    }
    buf_fini(body);
    buf_init(body, 0);
}

void stream_body_open(struct stream *stream, uint64_t request)
{
    if (request != 0 && request == stream->fallback.number)
        stream_fallback_opened(stream);
}

/* ---- frames ---- */

static void do_rules(struct stream *stream, const struct profile_message *message)
{
    for (size_t i = 0; i < message->n_actions; i++) {
        const struct profile_trigger *rule = &message->actions[i];
        /* There is no link for the others to be about. */
        if (rule->action->kind == PROFILE_RULE_CAPTURE)
            stream_capture_rule(stream, rule);
        else if (rule->action->kind == PROFILE_RULE_SAY)
            stream_say(stream, "rule %s: %s", rule->action->rule, rule->action->text);
        else if (rule->action->kind == PROFILE_RULE_GAP)
            stream_gap(stream, SESSION_GAP_UPSTREAM, rule->action->text);
    }
}

/* False: no room; the same frame again later, without what is taken of it. */
static bool take_frame(struct stream *stream, struct slice text, const struct profile_meta *meta)
{
    struct stream_fallback *f = &stream->fallback;
    struct profile_frame frame;
    struct profile_message message;
    unsigned at = 0;
    profile_frame_begin(stream->scanner, text, meta, &frame);
    while (profile_frame_next(stream->scanner, &frame, &message)) {
        if (at++ < f->taken)
            continue;
        if (message.event && flow_item(stream->flow, FLOW_VIA_SSE, &message,
                                       stream->ops->wall_us(stream->arg)) == FLOW_AGAIN)
            return false;
        f->taken = at;
        do_rules(stream, &message);
    }
    f->taken = 0;
    stream->stats.messages++;
    stream->stats.bytes += text.len;
    return true;
}

/* The decoder's own bytes do not last. */
static int keep_frame(struct stream *stream, struct slice text, const struct profile_meta *meta)
{
    struct stream_fallback *f = &stream->fallback;
    buf_clear(&f->text);
    buf_clear(&f->id);
    buf_clear(&f->event);
    f->has_id = meta->id.ptr != NULL;
    f->has_event = meta->event.ptr != NULL;
    f->in_frame = true;
    int status = buf_append_slice(&f->text, text);
    if (status == 0)
        status = buf_append_slice(&f->id, meta->id);
    return status == 0 ? buf_append_slice(&f->event, meta->event) : status;
}

static bool retake_frame(struct stream *stream)
{
    struct stream_fallback *f = &stream->fallback;
    struct profile_meta meta = {
        .id = f->has_id ? slice_make(f->id.len > 0 ? f->id.data : "", f->id.len)
                        : slice_make(NULL, 0),
        .event = f->has_event ? slice_make(f->event.len > 0 ? f->event.data : "", f->event.len)
                              : slice_make(NULL, 0),
    };
    return take_frame(stream, buf_slice(&f->text), &meta);
}

/* 1: a frame. 0: all bytes are used. ERR_LIMIT: one was too large. ERR_NOMEM: a piece of one is
 * lost, and so is where the next begins. */
static int decode(struct stream_fallback *f, struct slice *bytes, struct slice *text,
                  struct profile_meta *meta)
{
    struct sse_event event;
    *meta = (struct profile_meta){0};
    if (f->lines != NULL)
        return lines_next(f->lines, bytes, text);
    int status = sse_next(f->sse, bytes, &event);
    if (status == 1) {
        *text = event.data;
        meta->id = event.id;
        meta->event = event.event;
    }
    return status;
}

static void too_large(struct stream *stream)
{
    char text[160];
    snprintf(
        text, sizeof(text),
        "an event of the fallback was larger than max_message = %llu; raise connect.max_message",
        (unsigned long long)stream->profile->connect.max_message);
    stream_gap(stream, SESSION_GAP_OVERSIZE, text);
}

/* Without memory nothing may be lost silently: the exchange ends, and the next one asks again. */
static void give_up(struct stream *stream)
{
    struct profile_end end = {
        .kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_HTTP, .retry_after_ms = -1};
    snprintf(end.text, sizeof(end.text), "fallback: out of memory for what it sent");
    if (!stream->fallback.ended)
        stream->ops->http_cancel(stream->arg, stream->fallback.number);
    over(stream, &end);
}

/* Until *bytes is used (true) or a frame finds no room (false, and it is kept). Frames may end the
 * fallback: then all is done. */
static bool take_bytes(struct stream *stream, struct slice *bytes)
{
    struct stream_fallback *f = &stream->fallback;
    uint64_t number = f->number;
    struct slice text;
    struct profile_meta meta;
    int status;
    while (f->number == number && (status = decode(f, bytes, &text, &meta)) != 0) {
        if (status == ERR_LIMIT) {
            too_large(stream);
        } else if (status != 1) {
            give_up(stream);
            return true;
        } else if (!take_frame(stream, text, &meta)) {
            if (keep_frame(stream, text, &meta) != 0)
                give_up(stream);
            return f->number != number;
        }
        stream_check_flow(stream);
    }
    return true;
}

int stream_body(struct stream *stream, uint64_t request, struct slice bytes)
{
    struct stream_fallback *f = &stream->fallback;
    if (request == 0 || request != f->number || (f->sse == NULL && f->lines == NULL))
        return 0;
    if (!f->in_frame && f->rest.len == 0 && take_bytes(stream, &bytes))
        return 0;
    if (f->number != request)
        return 0;
    f->blocked = true;
    if (buf_append_slice(&f->rest, bytes) == 0)
        return ERR_AGAIN;
    give_up(stream);
    return 0;
}

void stream_fallback_pump(struct stream *stream)
{
    struct stream_fallback *f = &stream->fallback;
    uint64_t number = f->number;
    if (number == 0 || (!f->in_frame && f->rest.len == 0))
        return;
    if (f->in_frame && !retake_frame(stream))
        return;
    f->in_frame = false;
    stream_check_flow(stream);
    struct slice bytes = buf_slice(&f->rest);
    if (f->number == number && !take_bytes(stream, &bytes)) {
        buf_consume(&f->rest, f->rest.len - bytes.len);
        return;
    }
    if (f->number != number)
        return;
    buf_clear(&f->rest);
    if (f->ended) {
        struct profile_end end = f->end;
        over(stream, &end);
    } else if (f->blocked) {
        f->blocked = false;
        stream->ops->http_resume(stream->arg, number);
    }
}
