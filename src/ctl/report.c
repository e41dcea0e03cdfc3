#include "ctl/report.h"

#include <string.h>

#include "base/timefmt.h"
#include "ctl/layout.h"
#include "ctl/tell.h"

enum { LABEL = 8 }; /* columns of a label and the blanks around it, the indent not counted */

struct screen {
    const struct terminal *terminal;
    const struct view *view;
    struct buf *out;
    size_t width; /* of prose */
    size_t indent, label;
};

static void styled(struct screen *s, enum terminal_style style, struct slice text)
{
    terminal_begin(s->terminal, s->out, style);
    (void)buf_append_slice(s->out, text);
    terminal_end(s->terminal, s->out);
}

/* A label, and text behind it that wraps below itself. */
static void line(void *arg, const char *label, struct slice text)
{
    struct screen *s = arg;
    size_t at = s->indent + s->label;
    if (text.len == 0)
        return;
    layout_pad(s->out, SLICE(""), s->indent, false);
    terminal_begin(s->terminal, s->out, STYLE_DIM);
    layout_pad(s->out, slice_str(label), s->label, false);
    terminal_end(s->terminal, s->out);
    layout_wrap(s->out, text, at, at, s->width);
    (void)buf_append_byte(s->out, '\n');
}

static void verdict(struct screen *s, struct slice text)
{
    bool paused = s->view->n_paused > 0;
    terminal_begin(s->terminal, s->out,
                   !s->view->well ? STYLE_BAD
                   : paused       ? STYLE_WARN
                                  : STYLE_GOOD);
    layout_wrap(s->out, text, 0, 0, s->width);
    terminal_end(s->terminal, s->out);
    (void)buf_append_byte(s->out, '\n');
}

static void head(struct screen *s)
{
    char now[LAYOUT_CLOCK_SIZE];
    struct buf text;
    buf_init(&text, 512);
    tell_verdict(s->view, &text);
    verdict(s, buf_slice(&text));
    buf_clear(&text);
    layout_clock(s->view->now_ms / 1000, s->view->now_ms / 1000, now);
    (void)buf_appendf(&text, "%s, up ", s->view->server);
    tell_duration(s->view->uptime_ms, &text);
    (void)buf_appendf(&text, "; it is %s", now);
    styled(s, STYLE_DIM, buf_slice(&text));
    (void)buf_append_byte(s->out, '\n');
    buf_fini(&text);
}

/* ---- what needs an eye ---- */

static bool needs_eye(const struct view_stream *stream)
{
    return !stream->well || strcmp(stream->state, "paused") == 0;
}

static void ill_stream(struct screen *s, const struct view_stream *stream)
{
    struct reason reason = reason_split(slice_str(tell_trouble(stream)));
    struct buf text;
    buf_init(&text, 4096);
    (void)buf_append_byte(s->out, '\n');
    styled(s, stream->well ? STYLE_WARN : STYLE_BAD, slice_str(stream->name));
    (void)buf_append_str(s->out, "  ");
    tell_since(s->view, stream, &text);
    layout_wrap(s->out, buf_slice(&text), strlen(stream->name) + 2, s->indent, s->width);
    (void)buf_append_byte(s->out, '\n');
    line(s, "why", reason.what);
    line(s, "cause", reason.cause);
    buf_clear(&text);
    tell_next(s->view, stream, &text);
    line(s, "next", buf_slice(&text));
    buf_clear(&text);
    tell_fix(stream, stream->well ? slice_make(NULL, 0) : reason.fix, &text);
    line(s, "do", buf_slice(&text));
    buf_fini(&text);
    tell_news(stream, line, s);
}

static void ill_store(struct screen *s)
{
    if (s->view->store.reason[0] == '\0')
        return;
    (void)buf_append_byte(s->out, '\n');
    styled(s, STYLE_BAD, SLICE("store"));
    (void)buf_appendf(s->out, "  %s\n", s->view->store.state);
    line(s, "why", slice_str(s->view->store.reason));
    line(s, "next",
         SLICE("nothing is lost: reading from the services stops, programs go on reading "
               "what is stored, and hawserd goes on by itself when it can write again"));
}

/* ---- the table of the rest ---- */

struct table {
    bool shown[REPORT_COLUMNS];
    size_t width[REPORT_COLUMNS];
};

static bool is_number(enum report_column column)
{
    return column >= REPORT_FOR && column <= REPORT_DUPLICATES;
}

static const char *const titles[REPORT_COLUMNS] = {
    "STREAM", "STATE", "FOR", "MSG/S", "LAST", "RTT", "EVENTS", "DUPLICATES", "POSITION"};

/* From the most wanted on, as many columns as there is room for. */
static void measure(const struct screen *s, struct table *table)
{
    size_t taken = 0;
    struct buf cell;
    buf_init(&cell, 4096);
    for (enum report_column c = 0; c < REPORT_COLUMNS; c++) {
        table->width[c] = strlen(titles[c]);
        for (size_t i = 0; i < s->view->n_streams; i++) {
            if (needs_eye(&s->view->streams[i]))
                continue;
            buf_clear(&cell);
            report_cell(&s->view->streams[i], c, &cell);
            size_t columns = layout_columns(buf_slice(&cell));
            if (columns > table->width[c])
                table->width[c] = columns;
        }
        taken += table->width[c] + (c > 0 ? 2 : 0);
        table->shown[c] = taken <= s->terminal->width;
        if (!table->shown[c])
            taken -= table->width[c] + 2;
    }
    buf_fini(&cell);
}

/* stream NULL: the titles. */
static void row(struct screen *s, const struct table *table, const struct view_stream *stream)
{
    struct buf cell;
    bool first = true;
    buf_init(&cell, 4096);
    if (stream == NULL)
        terminal_begin(s->terminal, s->out, STYLE_DIM);
    for (enum report_column c = 0; c < REPORT_COLUMNS; c++) {
        bool colour = stream != NULL && c == REPORT_STATE;
        if (!table->shown[c])
            continue;
        buf_clear(&cell);
        if (stream == NULL)
            (void)buf_append_str(&cell, titles[c]);
        else
            report_cell(stream, c, &cell);
        if (!first)
            (void)buf_append_str(s->out, "  ");
        first = false;
        if (colour)
            terminal_begin(s->terminal, s->out,
                           strcmp(stream->state, "live") == 0 ? STYLE_GOOD : STYLE_WARN);
        layout_pad(s->out, buf_slice(&cell), c == REPORT_POSITION ? 0 : table->width[c],
                   is_number(c));
        if (colour)
            terminal_end(s->terminal, s->out);
    }
    if (stream == NULL)
        terminal_end(s->terminal, s->out);
    (void)buf_append_byte(s->out, '\n');
    buf_fini(&cell);
}

static void by_fallback(struct screen *s, const struct view_stream *stream)
{
    struct buf text;
    if (!stream->fallback)
        return;
    buf_init(&text, 1024);
    tell_next(s->view, stream, &text);
    line(s, "next", buf_slice(&text));
    buf_fini(&text);
}

static void the_rest(struct screen *s)
{
    struct table table;
    bool any = false;
    measure(s, &table);
    for (size_t i = 0; i < s->view->n_streams; i++) {
        const struct view_stream *stream = &s->view->streams[i];
        if (needs_eye(stream))
            continue;
        if (!any) {
            (void)buf_append_byte(s->out, '\n');
            row(s, &table, NULL);
        }
        any = true;
        row(s, &table, stream);
        by_fallback(s, stream);
        tell_news(stream, line, s);
    }
}

/* ---- the daemon's ---- */

static void foot(struct screen *s)
{
    struct buf text;
    buf_init(&text, 4096);
    (void)buf_append_byte(s->out, '\n');
    s->indent = 0;
    s->label = 11;
    tell_store(s->view, &text);
    line(s, "store", buf_slice(&text));
    buf_clear(&text);
    tell_consumers(s->view, &text);
    line(s, "consumers", buf_slice(&text));
    buf_clear(&text);
    tell_listeners(s->view, &text);
    line(s, "listeners", buf_slice(&text));
    buf_fini(&text);
}

/* ---- one stream ---- */

static void one_stream(struct screen *s)
{
    const struct view_stream *stream = &s->view->streams[0];
    struct buf text;
    if (needs_eye(stream)) {
        ill_stream(s, stream);
    } else {
        buf_init(&text, 512);
        (void)buf_append_byte(s->out, '\n');
        styled(s, strcmp(stream->state, "live") == 0 ? STYLE_GOOD : STYLE_WARN,
               slice_str(stream->name));
        (void)buf_append_str(s->out, "  ");
        tell_since(s->view, stream, &text);
        layout_wrap(s->out, buf_slice(&text), strlen(stream->name) + 2, s->indent, s->width);
        (void)buf_append_byte(s->out, '\n');
        buf_fini(&text);
        by_fallback(s, stream);
        tell_news(stream, line, s);
    }
    s->label = 12;
    report_facts(stream, line, s);
}

void report_screen(const struct terminal *terminal, const struct view *view, bool one,
                   struct buf *out)
{
    struct terminal wide = *terminal;
    if (wide.width < LAYOUT_WIDTH_MIN)
        wide.width = LAYOUT_WIDTH_MIN;
    struct screen s = {.terminal = &wide,
                       .view = view,
                       .out = out,
                       .width = wide.width < LAYOUT_WIDTH_TEXT ? wide.width : LAYOUT_WIDTH_TEXT,
                       .indent = 2,
                       .label = LABEL};
    head(&s);
    ill_store(&s);
    if (one && view->n_streams > 0) {
        one_stream(&s);
    } else {
        for (size_t i = 0; i < view->n_streams; i++)
            if (needs_eye(&view->streams[i]))
                ill_stream(&s, &view->streams[i]);
        the_rest(&s);
    }
    foot(&s);
}
