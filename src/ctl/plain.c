/* plain: a status for other programs. */
#include <string.h>

#include "base/timefmt.h"
#include "ctl/layout.h"
#include "ctl/report.h"
#include "ctl/tell.h"

static const char *const titles[REPORT_COLUMNS] = {
    "STREAM", "STATE", "FOR", "MSG/S", "LAST", "RTT", "EVENTS", "DUPLICATES", "POSITION"};

struct plain {
    struct buf *out;
    const char *subject;
};

static void line(void *arg, const char *label, struct slice text)
{
    struct plain *plain = arg;
    if (text.len == 0)
        return;
    (void)buf_appendf(plain->out, "%s: %s: ", plain->subject, label);
    (void)buf_append_slice(plain->out, text);
    (void)buf_append_byte(plain->out, '\n');
}

/* As wide as the widest, so that the eye finds its way, too. */
static void widths(const struct view *view, size_t *width)
{
    struct buf cell;
    buf_init(&cell, 4096);
    for (enum report_column c = 0; c < REPORT_COLUMNS; c++) {
        width[c] = strlen(titles[c]);
        for (size_t i = 0; i < view->n_streams; i++) {
            buf_clear(&cell);
            report_cell(&view->streams[i], c, &cell);
            if (layout_columns(buf_slice(&cell)) > width[c])
                width[c] = layout_columns(buf_slice(&cell));
        }
    }
    buf_fini(&cell);
}

static void table(const struct view *view, struct buf *out)
{
    size_t width[REPORT_COLUMNS];
    struct buf cell;
    buf_init(&cell, 4096);
    widths(view, width);
    for (size_t i = 0; i <= view->n_streams; i++) {
        for (enum report_column c = 0; c < REPORT_COLUMNS; c++) {
            buf_clear(&cell);
            if (i == 0)
                (void)buf_append_str(&cell, titles[c]);
            else
                report_cell(&view->streams[i - 1], c, &cell);
            layout_pad(out, buf_slice(&cell), c + 1 < REPORT_COLUMNS ? width[c] + 2 : 0, false);
        }
        (void)buf_append_byte(out, '\n');
    }
    buf_fini(&cell);
}

static void trouble(struct plain *plain, const struct view *view, const struct view_stream *stream)
{
    struct reason reason = reason_split(slice_str(tell_trouble(stream)));
    struct buf text;
    buf_init(&text, 4096);
    plain->subject = stream->name;
    if (!stream->well || strcmp(stream->state, "paused") == 0) {
        tell_since(view, stream, &text);
        line(plain, "since", buf_slice(&text));
        line(plain, "why", reason.what);
        line(plain, "cause", reason.cause);
    }
    buf_clear(&text);
    if (!stream->well || stream->fallback || strcmp(stream->state, "paused") == 0)
        tell_next(view, stream, &text);
    line(plain, "next", buf_slice(&text));
    buf_clear(&text);
    tell_fix(stream, stream->well ? slice_make(NULL, 0) : reason.fix, &text);
    line(plain, "do", buf_slice(&text));
    buf_fini(&text);
    tell_news(stream, line, plain);
}

static void of_the_daemon(struct plain *plain, const struct view *view)
{
    struct buf text;
    buf_init(&text, 4096);
    plain->subject = "store";
    tell_store(view, &text);
    line(plain, "state", buf_slice(&text));
    line(plain, "why", slice_str(view->store.reason));
    plain->subject = "consumers";
    buf_clear(&text);
    tell_consumers(view, &text);
    line(plain, "lag", buf_slice(&text));
    plain->subject = "listeners";
    buf_clear(&text);
    tell_listeners(view, &text);
    line(plain, "clients", buf_slice(&text));
    buf_fini(&text);
}

void report_plain(const struct view *view, bool one, struct buf *out)
{
    struct plain plain = {.out = out};
    char now[32];
    time_format_us(view->now_ms * 1000, now);
    tell_verdict(view, out);
    (void)buf_appendf(out, "\n%s, up ", view->server);
    tell_duration(view->uptime_ms, out);
    (void)buf_appendf(out, ", at %.19sZ\n\n", now);
    table(view, out);
    (void)buf_append_byte(out, '\n');
    for (size_t i = 0; i < view->n_streams; i++) {
        trouble(&plain, view, &view->streams[i]);
        if (one)
            report_facts(&view->streams[i], line, &plain);
    }
    of_the_daemon(&plain, view);
}
