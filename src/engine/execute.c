/* execute: what the session asks for, done. Each action that can fail answers with an event. */
#include <stdio.h>
#include <string.h>

#include "engine/stream_private.h"
#include "wire/ndjson.h"

/* ---- gaps ---- */

void stream_gaps_pump(struct stream *stream)
{
    while (stream->n_gaps > 0) {
        if (hub_gap(stream->hub, stream->hub_stream, &stream->gaps[0].gap) != 0)
            return;
        stream->n_gaps--;
        for (unsigned i = 0; i < stream->n_gaps; i++) {
            stream->gaps[i] = stream->gaps[i + 1];
            stream->gaps[i].gap.detail = stream->gaps[i].detail;
            if (stream->gaps[i].gap.after.ptr != NULL)
                stream->gaps[i].gap.after.ptr = stream->gaps[i].after;
        }
    }
}

void stream_gap(struct stream *stream, enum session_gap reason, const char *detail)
{
    /* When too many wait for room, the newest is folded into the last: it still says that events
     * are missing, which is what a gap is for. */
    unsigned at = stream->n_gaps < STREAM_GAPS_MAX ? stream->n_gaps++ : STREAM_GAPS_MAX - 1;
    struct slice after = flow_position(stream->flow);
    bool forget = stream->forget;
    if (at == STREAM_GAPS_MAX - 1 && stream->n_gaps == STREAM_GAPS_MAX)
        forget = forget || stream->gaps[at].gap.forget;
    stream->gaps[at].gap = (struct hub_gap){
        .reason = reason,
        .detail = stream->gaps[at].detail,
        .forget = forget,
        .now_us = stream->ops->wall_us(stream->arg),
    };
    stream->forget = false;
    snprintf(stream->gaps[at].detail, sizeof(stream->gaps[at].detail), "%s",
             detail != NULL ? detail : "");
    if (stream->gaps[at].detail[0] == '\0')
        stream->gaps[at].gap.detail = NULL;
    if (after.ptr != NULL && after.len <= sizeof(stream->gaps[at].after)) {
        memcpy(stream->gaps[at].after, after.ptr, after.len);
        stream->gaps[at].gap.after = slice_make(stream->gaps[at].after, after.len);
    }
    stream->ops->gap(stream->arg, reason, detail);
    stream_gaps_pump(stream);
}

/* ---- requests ---- */

struct lookup {
    struct stream *stream;
    struct slice position;
    struct error err; /* why a secret could not be had */
    char now[24];
};

static struct slice look_up(void *arg, struct slice name)
{
    struct lookup *lookup = arg;
    struct stream *stream = lookup->stream;
    if (slice_eq_str(name, "position"))
        return lookup->position;
    if (slice_eq_str(name, "now_ms")) {
        snprintf(lookup->now, sizeof(lookup->now), "%lld",
                 (long long)(stream->ops->wall_us(stream->arg) / 1000));
        return slice_str(lookup->now);
    }
    if (slice_starts_with(name, SLICE("secret."))) {
        char secret[LIMIT_STREAM_NAME];
        snprintf(secret, sizeof(secret), "%.*s", (int)(name.len - 7), name.ptr + 7);
        return stream->ops->secret(stream->arg, secret, &lookup->err);
    }
    return (struct slice){NULL, 0};
}

/* A secret that cannot be read outweighs the template's own complaint that it is unset. */
static void render_failure(const struct lookup *lookup, const struct error *err,
                           struct profile_end *end)
{
    bool secret = lookup->err.code != 0;
    *end = (struct profile_end){
        .kind = PROFILE_END_FAILURE,
        .failure = secret ? PROFILE_FAILURE_CREDENTIAL : PROFILE_FAILURE_HTTP,
        .retry_after_ms = -1,
    };
    snprintf(end->text, sizeof(end->text), "%.250s", secret ? lookup->err.text : err->text);
}

static void dial(struct stream *stream, uint64_t link)
{
    struct lookup lookup = {.stream = stream, .position = flow_position(stream->flow)};
    struct error err = {0};
    stream->link = link;
    stream->link_blocked = false;
    stream->stats.dials++;
    stream->stats.rtt_ms = -1;
    int status = profile_render_connect(stream->profile, look_up, &lookup, &stream->form, &err);
    if (status == 0 && lookup.err.code == 0) {
        stream->ops->dial(stream->arg, link, &stream->form);
    } else {
        struct profile_end end;
        render_failure(&lookup, &err, &end);
        stream_link_failed(stream, link, &end);
    }
    profile_request_fini(&stream->form);
    profile_request_init(&stream->form);
}

static void request(struct stream *stream, const struct session_action *action)
{
    struct lookup lookup = {.stream = stream, .position = flow_position(stream->flow)};
    struct error err = {0};
    if (action->use_next && stream->page.has_next)
        lookup.position = buf_slice(&stream->page.next);
    stream_page_drop(stream);
    stream->request = action->request;
    stream->stats.requests++;
    int status = profile_render_http(stream->profile, stream->profile->catchup.http, look_up,
                                     &lookup, &stream->form, &err);
    if (status == 0 && lookup.err.code == 0) {
        stream->ops->http(stream->arg, action->request, stream->profile->catchup.http,
                          &stream->form, stream->profile->catchup.timeout_ms);
    } else {
        struct profile_end end;
        render_failure(&lookup, &err, &end);
        stream_http_failed(stream, action->request, &end);
    }
    profile_request_fini(&stream->form);
    profile_request_init(&stream->form);
}

/* ---- catch-up pages ---- */

void stream_page_drop(struct stream *stream)
{
    stream->page.active = false;
    buf_fini(&stream->page.body); /* it may be megabytes, and the next one brings its own */
}

void stream_http_failed(struct stream *stream, uint64_t number, const struct profile_end *end)
{
    if (number != stream->request)
        return;
    stream->request = 0;
    struct session_event event = {.kind = SESSION_EV_HTTP_FAILED, .request = number, .end = end};
    stream_post(stream, &event);
}

static void page_done(struct stream *stream)
{
    struct flow_page_result result;
    flow_page_end(stream->flow, &result);
    struct session_page page = {
        .items = result.items,
        .fresh = result.fresh,
        .more = stream->page.page.more,
        .reached_hold = result.reached_hold,
        .has_next = stream->page.has_next,
        .owed = result.owed,
    };
    struct session_event event = {
        .kind = SESSION_EV_HTTP_PAGE, .request = stream->page.request, .page = &page};
    stream_page_drop(stream);
    stream_check_position(stream);
    stream_post(stream, &event);
}

void stream_page_pump(struct stream *stream)
{
    while (stream->page.active) {
        struct profile_message message;
        struct profile_page before = stream->page.page;
        if (!profile_page_next(stream->scanner, &stream->page.page, &message)) {
            page_done(stream);
            return;
        }
        if (flow_item(stream->flow, FLOW_VIA_SYNC, &message, stream->ops->wall_us(stream->arg)) ==
            FLOW_AGAIN) {
            stream->page.page = before; /* the same item again, when there is room */
            return;
        }
    }
}

void stream_http_done(struct stream *stream, uint64_t number, struct buf *body)
{
    struct error err = {0};
    struct profile_page page;
    if (number != stream->request) {
        buf_fini(body);
        buf_init(body, 0);
        return;
    }
    stream_page_drop(stream);
    stream->page.body = *body;
    buf_init(body, 0);
    stream->page.has_next = false;
    if (profile_page_parse(stream->scanner, buf_slice(&stream->page.body), &page, &err) != 0) {
        struct profile_end end = {
            .kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_HTTP, .retry_after_ms = -1};
        snprintf(end.text, sizeof(end.text), "catch-up answer: %.200s", err.text);
        stream_page_drop(stream);
        stream_http_failed(stream, number, &end);
        return;
    }
    stream->request = 0;
    buf_clear(&stream->page.next);
    if (page.next.ptr != NULL && buf_append_slice(&stream->page.next, page.next) == 0)
        stream->page.has_next = true;
    stream->page.page = page;
    stream->page.request = number;
    stream->page.active = true;
    flow_page_begin(stream->flow);
    stream_page_pump(stream);
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
    stream->ops->state(stream->arg, action, stream->link);
}

void stream_execute(struct stream *stream, const struct session_action *action)
{
    switch (action->kind) {
    case SESSION_DO_DIAL:
        dial(stream, action->link);
        return;
    case SESSION_DO_LINK_CLOSE:
        stream->ops->link_close(stream->arg, action->link, action->code, action->text);
        return;
    case SESSION_DO_LINK_ABORT: {
        struct profile_end end = {
            .kind = PROFILE_END_CLOSE, .code = 1006, .local = true, .retry_after_ms = -1};
        stream->ops->link_abort(stream->arg, action->link);
        stream_link_closed(stream, action->link, &end);
        return;
    }
    case SESSION_DO_LINK_PING:
        stream->stats.pings++;
        stream->ops->link_ping(stream->arg, action->link);
        return;
    case SESSION_DO_HTTP_START:
        request(stream, action);
        return;
    case SESSION_DO_HTTP_CANCEL: {
        struct profile_end end = {
            .kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_HTTP, .retry_after_ms = -1};
        stream_page_drop(stream);
        stream->ops->http_cancel(stream->arg, action->request);
        stream_http_failed(stream, action->request, &end);
        return;
    }
    case SESSION_DO_ASK_SLOT: {
        struct session_event event = {.kind = SESSION_EV_SLOT};
        stream_post(stream, &event);
        return;
    }
    case SESSION_DO_DROP_SLOT:
    case SESSION_DO_HEARTBEAT:
    case SESSION_DO_SUCCEED:
    case SESSION_DO_SWITCH:
    case SESSION_DO_FALLBACK_START:
    case SESSION_DO_UNKEYED_KEEP:
    case SESSION_DO_AUDITED:
    case SESSION_DO_FRESH:
    case SESSION_DO_SAVE:
    case SESSION_DO_SAY:
        return;
    case SESSION_DO_HOLD:
        flow_hold(stream->flow);
        return;
    case SESSION_DO_RELEASE:
        (void)flow_release(stream->flow); /* what finds no room goes on in stream_room() */
        stream_check_position(stream);
        return;
    case SESSION_DO_DISCARD:
        flow_discard(stream->flow);
        return;
    case SESSION_DO_GAP:
        stream_gap(stream, action->gap, action->text);
        return;
    case SESSION_DO_FORGET:
        flow_forget(stream->flow);
        stream->has_position = false;
        stream->forget = true;
        return;
    case SESSION_DO_REFRESH:
        stream->ops->refresh(stream->arg);
        return;
    case SESSION_DO_STATE:
        enter_state(stream, action);
        return;
    }
}
