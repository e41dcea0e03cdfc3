/*
 * pages: the items of an answer on their way to flow, paused where the hub has no room.
 *
 * Descending pages come newest first: they are kept until the one that reaches what is known (or
 * the last there is, or a bound), then given to flow from the oldest on. To the session that is one
 * request and one page.
 */
#include <stdio.h>
#include <string.h>

#include "engine/stream_private.h"
#include "flow/position.h"

void stream_page_drop(struct stream *stream)
{
    struct stream_page *page = &stream->page;
    page->active = false;
    buf_fini(&page->body); /* it may be megabytes, and the next one brings its own */
    while (page->n_newer > 0)
        buf_fini(&page->newer[--page->n_newer]);
    page->newer_bytes = 0;
}

/* ---- the end ---- */

static void fail(struct stream *stream, const char *what, const struct error *err)
{
    struct profile_end end = {
        .kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_HTTP, .retry_after_ms = -1};
    bool poll = stream->page.via == FLOW_VIA_POLL;
    snprintf(end.text, sizeof(end.text), "%s: %.200s", what, err->text);
    stream_page_drop(stream);
    if (poll)
        stream_fallback_ended(stream, &end);
    else
        stream_http_failed(stream, stream->request.wire, &end);
}

/* What counts as known beyond the last item: a position that was learnt. */
static void learn(struct stream *stream)
{
    struct stream_page *page = &stream->page;
    if (page->has_last)
        flow_learn(stream->flow, buf_slice(&page->last));
    else if (page->has_next)
        flow_learn(stream->flow, buf_slice(&page->next));
}

/* Whether the page led on from where it was asked, be it over known ground. */
static bool moved(const struct stream *stream)
{
    struct slice now = flow_resume(stream->flow);
    return now.ptr != NULL && !slice_eq(now, buf_slice(&stream->page.from));
}

static void page_done(struct stream *stream)
{
    struct stream_page *page = &stream->page;
    struct flow_page_result result = {.items = page->items, .fresh = page->found};
    if (page->tip)
        learn(stream);
    else if (page->via != FLOW_VIA_AUDIT)
        flow_page_end(stream->flow, &result);
    struct session_page out = {
        .items = result.items,
        .fresh = result.fresh,
        .moved = moved(stream),
        .more = page->page.more && !stream->profile->catchup.descending,
        .reached_hold = result.reached_hold,
        .has_next = page->has_next,
        .owed = result.owed,
        .gone = page->page.gone,
        .unkeyed = result.unkeyed,
        .suspects = page->suspects,
        .found = page->found,
    };
    struct session_event event = {
        .kind = SESSION_EV_HTTP_PAGE, .request = page->number, .page = &out};
    if (page->via == FLOW_VIA_POLL)
        stream->fallback.number = 0;
    else
        stream->request.number = stream->request.wire = 0;
    stream_page_drop(stream);
    stream_check_flow(stream);
    stream_post(stream, &event);
}

/* ---- items ---- */

static void note_position(struct stream *stream, struct slice position)
{
    struct stream_page *page = &stream->page;
    enum profile_compare compare = stream->profile->compare;
    if (position.ptr == NULL || position.len == 0 || position_fault(compare, position) != NULL)
        return;
    if (compare == PROFILE_COMPARE_INT && page->has_last &&
        position_compare(position, buf_slice(&page->last)) < 0)
        return;
    buf_clear(&page->last);
    page->has_last = buf_append_slice(&page->last, position) == 0;
}

/* False: no room, the same item again later. */
static bool take_item(struct stream *stream, const struct profile_message *message)
{
    struct stream_page *page = &stream->page;
    int64_t wall_us = stream->ops->wall_us(stream->arg);
    enum flow_result result = FLOW_IGNORED;
    if (page->via == FLOW_VIA_AUDIT)
        result = flow_audit_item(stream->flow, message, wall_us, stream->ops->now_ms(stream->arg));
    else if (!page->tip)
        result = flow_item(stream->flow, page->via, message, wall_us);
    if (result == FLOW_AGAIN)
        return false;
    page->items++;
    page->suspects += result == FLOW_SUSPECT;
    page->found += result == FLOW_EMITTED && page->via == FLOW_VIA_AUDIT;
    note_position(stream, message->position);
    return true;
}

/* The next newer of the descending pages that were kept; false: that was all. */
static bool next_body(struct stream *stream)
{
    struct stream_page *page = &stream->page;
    struct error err = {0};
    if (page->n_newer == 0)
        return false;
    buf_fini(&page->body);
    page->body = page->newer[--page->n_newer];
    if (profile_page_parse(stream->scanner, buf_slice(&page->body), &page->page, &err) == 0)
        return true;
    fail(stream, "catch-up answer", &err); /* it was good before: no memory */
    return true;
}

void stream_page_pump(struct stream *stream)
{
    struct stream_page *page = &stream->page;
    while (page->active) {
        struct profile_message message;
        struct profile_page before = page->page;
        if (!profile_page_next(stream->scanner, &page->page, &message)) {
            if (!next_body(stream))
                page_done(stream);
        } else if (!take_item(stream, &message)) {
            page->page = before; /* the same item again, when there is room */
            return;
        }
    }
}

/* ---- descending ---- */

/* Does the page show what flow has already? Its items come out oldest first. */
static bool reaches_known(struct stream *stream)
{
    struct profile_page walk = stream->page.page;
    struct profile_message message;
    struct slice known = flow_resume(stream->flow);
    enum profile_compare compare = stream->profile->compare;
    if (known.ptr == NULL)
        return true; /* nothing is known: what is newest is enough */
    while (profile_page_next(stream->scanner, &walk, &message)) {
        if (message.position.ptr == NULL || position_fault(compare, message.position) != NULL)
            continue;
        if (compare == PROFILE_COMPARE_INT ? position_compare(message.position, known) <= 0
                                           : slice_eq(message.position, known))
            return true;
    }
    return false;
}

/* True: an older page was asked for, this one waits. */
static bool goes_back(struct stream *stream)
{
    struct stream_page *page = &stream->page;
    bool older = page->page.more || page->has_next;
    if (!older || !page->has_next || page->page.gone || page->page.n_items == 0 ||
        reaches_known(stream))
        return false;
    if (page->n_newer == STREAM_PAGES_MAX ||
        page->newer_bytes + page->body.len > STREAM_PAGES_BYTES) {
        stream_gap(stream, SESSION_GAP_UPSTREAM,
                   "more was missed than hawser collects of a service that lists the newest first");
        return false;
    }
    page->newer_bytes += page->body.len;
    page->newer[page->n_newer++] = page->body;
    buf_init(&page->body, LIMIT_HTTP_BODY);
    stream_request_on(stream);
    return true;
}

/* ---- the beginning ---- */

static void keep_next(struct stream *stream)
{
    struct stream_page *page = &stream->page;
    struct slice next = page->page.next;
    buf_clear(&page->next);
    page->has_next = next.ptr != NULL && buf_append_slice(&page->next, next) == 0;
}

static void note_from(struct stream *stream)
{
    struct slice position = flow_resume(stream->flow);
    buf_clear(&stream->page.from);
    if (position.ptr != NULL)
        (void)buf_append_slice(&stream->page.from, position); /* within LIMIT_POSITION */
}

void stream_page_take(struct stream *stream, uint64_t number, enum flow_via via, bool tip,
                      struct buf *body)
{
    struct stream_page *page = &stream->page;
    struct error err = {0};
    bool descending = stream->profile->catchup.descending && via != FLOW_VIA_POLL && !tip;
    bool first = page->n_newer == 0;
    if (first)
        stream_page_drop(stream);
    buf_fini(&page->body);
    page->body = *body;
    buf_init(body, 0);
    page->number = number;
    page->via = via;
    page->tip = tip;
    page->items = page->suspects = page->found = 0;
    note_from(stream);
    page->has_last = false;
    if (profile_page_parse(stream->scanner, buf_slice(&page->body), &page->page, &err) != 0) {
        page->has_next = false;
        fail(stream, via == FLOW_VIA_POLL ? "fallback answer" : "catch-up answer", &err);
        return;
    }
    keep_next(stream);
    if (descending && goes_back(stream))
        return;
    page->active = true;
    if (!tip && via != FLOW_VIA_AUDIT)
        flow_page_begin(stream->flow);
    stream_page_pump(stream);
}
