/* requests: HTTP exchanges of the session (catch-up, tip, audit) and of rules (calls). */
#include <stdio.h>
#include <string.h>

#include "engine/stream_private.h"

#define OWN_NUMBERS (1ull << 63) /* the session counts from 1 */

void stream_render_failure(const struct stream_lookup *lookup, const struct error *err,
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

void stream_form_done(struct stream *stream)
{
    profile_request_fini(&stream->form);
    profile_request_init(&stream->form);
}

static uint64_t own_number(struct stream *stream)
{
    return ++stream->own_last | OWN_NUMBERS;
}

/* ---- the session's ---- */

static unsigned http_for(const struct stream *stream, enum session_purpose purpose)
{
    return purpose == SESSION_FOR_TIP ? stream->profile->catchup.tip
                                      : stream->profile->catchup.http;
}

/* From where: on from the page before, by its cursor if it was empty, else by the furthest position
 * in it; or from where flow would resume. */
static struct slice request_position(struct stream *stream, bool use_next)
{
    const struct stream_page *page = &stream->page;
    if (stream->profile->catchup.descending)
        return flow_resume(stream->flow); /* each begins with the newest */
    if (use_next && page->has_next && (page->items == 0 || !page->has_last))
        return buf_slice(&page->next);
    if (use_next && page->has_last)
        return buf_slice(&page->last);
    return flow_resume(stream->flow);
}

/* next: where an older page begins, .ptr NULL: not asked for. */
static void send_request(struct stream *stream, struct slice position, struct slice next)
{
    struct stream_lookup lookup = {.stream = stream, .position = position, .next = next};
    struct error err = {0};
    unsigned http = http_for(stream, stream->request.purpose);
    stream->stats.requests++;
    int status =
        profile_render_http(stream->profile, http, stream_look_up, &lookup, &stream->form, &err);
    if (status == 0 && lookup.err.code == 0) {
        stream->ops->http(stream->arg, stream->request.wire, http, &stream->form,
                          stream->profile->catchup.timeout_ms);
    } else {
        struct profile_end end;
        stream_render_failure(&lookup, &err, &end);
        stream_http_failed(stream, stream->request.wire, &end);
    }
    stream_form_done(stream);
}

void stream_request(struct stream *stream, const struct session_action *action)
{
    struct slice position = request_position(stream, action->use_next);
    stream->request.number = stream->request.wire = action->request;
    stream->request.purpose = action->purpose;
    stream->request.pages = 0;
    send_request(stream, position, (struct slice){NULL, 0});
}

void stream_request_on(struct stream *stream)
{
    stream->request.wire = own_number(stream);
    send_request(stream, flow_resume(stream->flow), buf_slice(&stream->page.next));
}

static void request_ended(struct stream *stream, const struct profile_end *end)
{
    struct session_event event = {
        .kind = SESSION_EV_HTTP_FAILED, .request = stream->request.number, .end = end};
    stream->request.number = stream->request.wire = 0;
    stream_page_drop(stream);
    stream_post(stream, &event);
}

void stream_request_cancel(struct stream *stream, uint64_t number)
{
    struct profile_end end = {
        .kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_HTTP, .retry_after_ms = -1};
    if (number == 0)
        return;
    if (number == stream->fallback.number) {
        stream_fallback_cancel(stream);
    } else if (number == stream->request.number) {
        stream->ops->http_cancel(stream->arg, stream->request.wire);
        request_ended(stream, &end);
    }
}

/* ---- calls of rules ---- */

/* The next of its values, if there is one; a value that cannot be rendered is said. */
static void call_next(struct stream *stream, struct stream_call *call, struct stream_link *link)
{
    unsigned n = 0;
    const struct slice *values = profile_http_each(stream->profile, call->http, &n);
    call->number = 0;
    while (call->each < n) {
        struct stream_lookup lookup = {.stream = stream,
                                       .link = link,
                                       .position = flow_position(stream->flow),
                                       .each = values[call->each++]};
        struct error err = {0};
        int status = profile_render_http(stream->profile, call->http, stream_look_up, &lookup,
                                         &stream->form, &err);
        if (status == 0 && lookup.err.code == 0) {
            call->number = own_number(stream);
            stream->stats.requests++;
            stream->ops->http(stream->arg, call->number, call->http, &stream->form, STREAM_CALL_MS);
        } else {
            stream_say(stream, "rule %s: call: %.300s", call->rule,
                       lookup.err.code != 0 ? lookup.err.text : err.text);
        }
        stream_form_done(stream);
        if (call->number != 0)
            return;
    }
}

void stream_call(struct stream *stream, const struct profile_rule_action *rule,
                 struct stream_link *link)
{
    const char *name = rule->rule != NULL ? rule->rule : "?";
    unsigned i = 0;
    while (i < STREAM_CALLS_MAX && stream->calls[i].number != 0)
        i++;
    if (i == STREAM_CALLS_MAX) {
        stream_say(stream, "rule %s: its call is left out, for %d are under way already", name,
                   STREAM_CALLS_MAX);
        return;
    }
    stream->calls[i] = (struct stream_call){.http = rule->http, .rule = name};
    call_next(stream, &stream->calls[i], link);
}

void stream_calls_cancel(struct stream *stream)
{
    for (unsigned i = 0; i < STREAM_CALLS_MAX; i++) {
        if (stream->calls[i].number != 0)
            stream->ops->http_cancel(stream->arg, stream->calls[i].number);
        stream->calls[i].number = 0;
    }
}

/* Its place in stream->calls, or STREAM_CALLS_MAX. */
static unsigned find_call(const struct stream *stream, uint64_t number)
{
    unsigned i = 0;
    while (i < STREAM_CALLS_MAX && (number == 0 || stream->calls[i].number != number))
        i++;
    return i;
}

/* ---- answers ---- */

static void drop_body(struct buf *body)
{
    buf_wipe(body); /* an answer to a call may hold what is secret */
    buf_fini(body);
    buf_init(body, 0);
}

void stream_http_done(struct stream *stream, uint64_t number, struct buf *body)
{
    unsigned call = find_call(stream, number);
    if (call < STREAM_CALLS_MAX) {
        stream_capture_answer(stream, stream->calls[call].http, buf_slice(body));
        call_next(stream, &stream->calls[call], NULL);
    } else if (number != 0 && number == stream->fallback.number) {
        stream_fallback_page(stream, body);
        return;
    } else if (number != 0 && number == stream->request.wire) {
        enum session_purpose purpose = stream->request.purpose;
        stream_page_take(stream, stream->request.number,
                         purpose == SESSION_FOR_AUDIT ? FLOW_VIA_AUDIT : FLOW_VIA_SYNC,
                         purpose == SESSION_FOR_TIP, body);
        return;
    }
    drop_body(body);
}

void stream_http_failed(struct stream *stream, uint64_t number, const struct profile_end *end)
{
    unsigned call = find_call(stream, number);
    char what[400];
    if (call < STREAM_CALLS_MAX) {
        profile_end_describe(end, what, sizeof(what));
        stream_say(stream, "rule %s: its call has failed: %s", stream->calls[call].rule, what);
        call_next(stream, &stream->calls[call], NULL);
    } else if (number != 0 && number == stream->fallback.number) {
        stream_fallback_ended(stream, end);
    } else if (number != 0 && number == stream->request.wire) {
        request_ended(stream, end);
    }
}
