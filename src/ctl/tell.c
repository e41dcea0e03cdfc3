#include "ctl/tell.h"

#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "ctl/layout.h"

#define DAY_MS (86400 * INT64_C(1000))

static void say(struct buf *out, const char *text)
{
    (void)buf_append_str(out, text);
}

void tell_duration(int64_t ms, struct buf *out)
{
    char text[DURATION_TEXT_SIZE] = "-";
    if (ms >= 0)
        duration_format(ms >= 1000 ? ms - ms % 1000 : ms, text, sizeof(text));
    say(out, text);
}

static void clock_at(const struct view *view, int64_t from_now_ms, struct buf *out)
{
    char text[LAYOUT_CLOCK_SIZE];
    layout_clock((view->now_ms + from_now_ms) / 1000, view->now_ms / 1000, text);
    say(out, text);
}

static bool is(const struct view_stream *stream, const char *state)
{
    return strcmp(stream->state, state) == 0;
}

void tell_verdict(const struct view *view, struct buf *out)
{
    size_t by_fallback = 0;
    for (size_t i = 0; i < view->n_streams; i++)
        by_fallback += view->streams[i].fallback;
    if (view->n_unwell > 0)
        (void)buf_appendf(out, "%zu of %zu stream%s %s not well, ", view->n_unwell, view->n_streams,
                          view->n_streams == 1 ? "" : "s", view->n_unwell == 1 ? "is" : "are");
    else
        (void)buf_appendf(out, "%s%zu stream%s%s, ", view->well ? "all well: " : "",
                          view->n_streams, view->n_streams == 1 ? "" : "s",
                          view->well ? "" : " well");
    (void)buf_appendf(out, "store %s", view->store.state);
    if (view->n_paused > 0)
        (void)buf_appendf(out, "; %zu paused", view->n_paused);
    if (by_fallback > 0)
        (void)buf_appendf(out, "; %zu by fallback", by_fallback);
}

/* Under way again, after something failed. */
static bool is_trying(const struct view_stream *stream)
{
    return is(stream, "dialing") || is(stream, "opening") || is(stream, "greeting") ||
           is(stream, "catching-up") || is(stream, "starting");
}

void tell_since(const struct view *view, const struct view_stream *stream, struct buf *out)
{
    /* A rest is older than this daemon where it was saved; attempts are younger than the trouble.
     */
    int64_t ms = stream->down_ms > stream->since_ms ? stream->down_ms : stream->since_ms;
    if (stream->down_ms >= 0 && !is(stream, "parked") && !is(stream, "held"))
        (void)buf_appendf(out, "down for ");
    else
        (void)buf_appendf(out, "%s for ", stream->state);
    tell_duration(ms, out);
    say(out, ", since ");
    clock_at(view, -ms, out);
    if (stream->down_ms >= 0 && !is(stream, "parked") && !is(stream, "held"))
        (void)buf_appendf(out, "; %s now", stream->state);
}

const char *tell_trouble(const struct view_stream *stream)
{
    return stream->trouble[0] != '\0' ? stream->trouble : stream->reason;
}

static void tell_attempt(const struct view *view, const struct view_stream *stream,
                         const char *what, struct buf *out)
{
    if (stream->retry_in_ms < 1000) {
        (void)buf_appendf(out, "%s now", what);
        return;
    }
    (void)buf_appendf(out, "%s in ", what);
    tell_duration(stream->retry_in_ms, out);
    say(out, ", at ");
    clock_at(view, stream->retry_in_ms, out);
}

static void tell_attempts(const struct view_stream *stream, struct buf *out)
{
    if (stream->attempts > 1)
        (void)buf_appendf(out, "; %lld attempts in a row so far", (long long)stream->attempts);
}

void tell_next(const struct view *view, const struct view_stream *stream, struct buf *out)
{
    bool later = stream->retry_in_ms >= 0;
    if (stream->fallback) {
        say(out, "the fallback delivers");
        if (later)
            tell_attempt(view, stream, "; the WebSocket is tried", out);
    } else if (is(stream, "parked")) {
        say(out, "waits for someone, or for its credential or configuration to change");
        if (later)
            tell_attempt(view, stream, "; one quiet attempt", out);
    } else if (is(stream, "stalled")) {
        say(out, "goes on by itself when the store takes events again");
    } else if (is(stream, "paused")) {
        say(out, "stays away until it is resumed");
    } else if (is(stream, "stopped")) {
        say(out, "hawserd is stopping");
    } else if (stream->waits_for[0] != '\0') {
        (void)buf_appendf(out, "waits for a limit: %s", stream->waits_for);
        if (later)
            tell_attempt(view, stream, "; then an attempt", out);
    } else if (is_trying(stream)) {
        (void)buf_appendf(out, "an attempt is under way: %s", stream->state);
        tell_attempts(stream, out);
    } else {
        tell_attempt(view, stream, is(stream, "held") ? "rests; tries again" : "tries again", out);
        tell_attempts(stream, out);
    }
}

void tell_fix(const struct view_stream *stream, struct slice fix, struct buf *out)
{
    (void)buf_append_slice(out, fix);
    if (is(stream, "parked"))
        (void)buf_appendf(out, "%shawserctl reconnect %s", fix.len > 0 ? "; then: " : "",
                          stream->name);
    else if (is(stream, "paused"))
        (void)buf_appendf(out, "hawserctl resume %s", stream->name);
}

/* ---- news ---- */

struct news {
    void (*visit)(void *arg, const char *label, struct slice text);
    void *arg;
    struct buf text;
};

static void give(struct news *news, const char *label)
{
    if (news->text.len > 0)
        news->visit(news->arg, label, buf_slice(&news->text));
    buf_clear(&news->text);
}

/* One that ends soon. */
static void give_certificate(struct news *news, const struct view_certificate *certificate,
                             const char *label)
{
    int64_t left_ms = certificate->expires_in_ms;
    if (left_ms < 0 || left_ms > 14 * DAY_MS)
        return;
    (void)buf_appendf(&news->text, "%s ", certificate->whose);
    if (left_ms == 0)
        say(&news->text, "has expired");
    else if (left_ms <= DAY_MS)
        say(&news->text, "expires within a day");
    else
        (void)buf_appendf(&news->text, "expires in %lld days", (long long)(left_ms / DAY_MS));
    give(news, label);
}

static void give_token(struct news *news, int64_t left_ms)
{
    if (left_ms < 0)
        return;
    if (left_ms == 0) {
        say(&news->text, "has expired");
    } else {
        say(&news->text, "expires in ");
        tell_duration(left_ms, &news->text);
    }
    give(news, "token");
}

void tell_news(const struct view_stream *stream,
               void (*visit)(void *arg, const char *label, struct slice text), void *arg)
{
    struct news news = {.visit = visit, .arg = arg};
    buf_init(&news.text, 4096);
    if (stream->well && stream->waits_for[0] != '\0') {
        say(&news.text, stream->waits_for);
        give(&news, "limit");
    }
    say(&news.text, stream->successor); /* the link that is to take over */
    give(&news, "second");
    if (stream->audited > 0)
        (void)buf_appendf(&news.text, "found %lld that the link did not bring",
                          (long long)stream->audited);
    give(&news, "audit");
    give_token(&news, stream->credential_expires_in_ms);
    give_certificate(&news, &stream->certificate, "cert");
    give_certificate(&news, &stream->own_certificate, "ours");
    if (stream->warning[0] != '\0') {
        (void)buf_appendf(&news.text, "%s (", stream->warning);
        tell_duration(stream->warned_ms, &news.text);
        say(&news.text, " ago)");
        give(&news, "said");
    }
    (void)tell_counts(stream->gaps, &news.text);
    give(&news, "gaps");
    buf_fini(&news.text);
}

/* ---- the daemon's ---- */

int64_t tell_counts(const struct view_count *counts, struct buf *out)
{
    int64_t sum = 0;
    for (size_t i = 0; i < VIEW_COUNTS && counts[i].name[0] != '\0'; i++) {
        if (counts[i].n > 0 && out != NULL)
            (void)buf_appendf(out, "%s%s %lld", sum > 0 ? ", " : "", counts[i].name,
                              (long long)counts[i].n);
        sum += counts[i].n;
    }
    return sum;
}

void tell_store(const struct view *view, struct buf *out)
{
    char used[24], bound[24];
    layout_bytes(view->store.bytes, used, sizeof(used));
    layout_bytes(view->store.retain_bytes, bound, sizeof(bound));
    (void)buf_appendf(out, "%s, %s of %s", view->store.state, used, bound);
    if (view->store.newest >= view->store.oldest && view->store.newest > 0)
        (void)buf_appendf(out, ", seq %lld to %lld", (long long)view->store.oldest,
                          (long long)view->store.newest);
    else
        say(out, ", empty");
    if (view->store.oldest_ms >= 0) {
        say(out, ", the oldest ");
        tell_duration(view->store.oldest_ms, out);
        say(out, " old");
    }
    if (view->store.commit_ms >= 0)
        (void)buf_appendf(out, ", commit %lldms", (long long)view->store.commit_ms);
    if (view->store.committing_ms >= 1000) {
        say(out, ", one under way for ");
        tell_duration(view->store.committing_ms, out);
    }
    if (view->store.warning[0] != '\0')
        (void)buf_appendf(out, "; %s", view->store.warning);
}

void tell_consumers(const struct view *view, struct buf *out)
{
    size_t n = view->consumers.n_lagging;
    (void)buf_appendf(out, "%lld named, %lld connected", (long long)view->consumers.names,
                      (long long)view->consumers.connected);
    if (!view->consumers.counted)
        say(out, "; how far behind is not counted yet");
    else if (n > 0)
        (void)buf_appendf(out, "; %zu %s behind: ", n, n == 1 ? "is" : "are");
    for (size_t i = 0; i < n && i < VIEW_LAGGING; i++) {
        const struct view_consumer *consumer = &view->consumers.lagging[i];
        (void)buf_appendf(out, "%s%s %lld", i > 0 ? ", " : "", consumer->name,
                          (long long)consumer->lag);
        if (consumer->connected)
            continue;
        say(out, " (gone for ");
        tell_duration(consumer->seen_ms, out);
        say(out, ")");
    }
    if (n > VIEW_LAGGING)
        say(out, ", ...");
}

void tell_listeners(const struct view *view, struct buf *out)
{
    for (size_t i = 0; i < view->n_listeners; i++) {
        const struct view_listener *listener = &view->listeners[i];
        (void)buf_appendf(out, "%s%s %lld of %lld", i > 0 ? ", " : "", listener->name,
                          (long long)listener->clients, (long long)listener->max_clients);
    }
}
