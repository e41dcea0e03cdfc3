#include "daemon/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/notify.h"
#include "daemon/upstream.h"

struct report {
    struct daemon *daemon;
    struct io_timer *timer;
    int64_t tick_ms;
    int64_t feed_ms; /* between two feedings of the watchdog at least; 0: there is none */
    int64_t fed_ms;
    char said[REPORT_TEXT];
};

/* ---- the line ---- */

struct line {
    char *out;
    size_t size, len;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *fmt, ...)
{
    va_list args;
    int n;
    if (line->len >= line->size)
        return;
    va_start(args, fmt);
    n = vsnprintf(line->out + line->len, line->size - line->len, fmt, args);
    va_end(args);
    line->len += n > 0 ? (size_t)n : 0;
}

static size_t count_live(const struct daemon *daemon)
{
    size_t live = 0;
    for (size_t i = 0; i < daemon->n_upstreams; i++) {
        struct session_status status;
        stream_session_status(daemon->upstreams[i]->stream, &status);
        live += status.state == SESSION_LIVE;
    }
    return live;
}

static void add_streams(struct line *line, const struct daemon *daemon)
{
    size_t named = 0, left_out = 0;
    for (size_t i = 0; i < daemon->n_upstreams; i++) {
        const struct upstream *upstream = daemon->upstreams[i];
        struct session_status status;
        stream_session_status(upstream->stream, &status);
        if (status.state == SESSION_LIVE)
            continue;
        if (named == REPORT_NAMED) {
            left_out++;
            continue;
        }
        named++;
        add(line, "; %s %s", upstream->settings->name, session_state_name(status.state));
        if (status.fallback)
            add(line, " by the fallback");
        else if (status.waits_for[0] != '\0')
            add(line, ": waits for %s", status.waits_for);
        else if (status.reason[0] != '\0')
            add(line, ": %s", status.reason);
    }
    if (left_out > 0)
        add(line, "; and %zu more", left_out);
}

void report_write(const struct daemon *daemon, char *out, size_t size)
{
    struct line line = {out, size, 0};
    const char *trouble = persist_trouble(daemon->persist);
    size_t live = count_live(daemon), all = daemon->n_upstreams;
    if (live == all)
        add(&line, "%zu %s live", all, all == 1 ? "stream" : "streams");
    else
        add(&line, "%zu of %zu %s live", live, all, all == 1 ? "stream" : "streams");
    if (trouble != NULL)
        add(&line, "; store failing: %s", trouble);
    add_streams(&line, daemon);
    if (line.len >= size)
        memcpy(out + size - sizeof("..."), "...", sizeof("..."));
    log_clean(out); /* a line more would be another word to the manager */
}

static void say(struct report *report)
{
    char text[REPORT_TEXT];
    if (report->daemon->phase == DAEMON_RUNNING)
        report_write(report->daemon, text, sizeof(text));
    else
        snprintf(text, sizeof(text), "stopping");
    if (strcmp(text, report->said) == 0)
        return;
    memcpy(report->said, text, sizeof(text));
    notify_status(text);
}

/* ---- life ---- */

/* It makes sure that there are turns, too, where nothing else happens. */
static void on_timer(void *arg)
{
    struct report *report = arg;
    say(report);
    io_timer_set(report->timer, report->tick_ms);
}

static void on_turn(void *arg, int64_t busy_us)
{
    struct report *report = arg;
    int64_t now = io_now_ms(report->daemon->loop);
    (void)busy_us;
    if (report->feed_ms == 0 || now - report->fed_ms < report->feed_ms)
        return;
    report->fed_ms = now;
    notify_watchdog();
}

/* A third of the time, less what a timer may be late. */
static void set_watchdog(struct report *report, uint64_t us)
{
    report->tick_ms = REPORT_TICK_MS;
    if (us == 0)
        return;
    report->feed_ms = (int64_t)(us / 3000) > 0 ? (int64_t)(us / 3000) : 1;
    if (report->tick_ms > report->feed_ms)
        report->tick_ms = report->feed_ms;
}

int report_new(struct daemon *daemon, struct report **out, struct error *err)
{
    struct report *report;
    int status;
    *out = NULL;
    if (!notify_wanted())
        return 0;
    report = calloc(1, sizeof(*report));
    if (report == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    report->daemon = daemon;
    set_watchdog(report, notify_watchdog_us());
    status = io_timer_new(daemon->loop, on_timer, report, &report->timer);
    if (status == 0)
        status = io_loop_on_turn(daemon->loop, on_turn, report);
    if (status != 0) {
        report_free(report);
        return error_set(err, status, "report to the service manager: %s", error_text(status));
    }
    say(report);
    io_timer_set(report->timer, report->tick_ms);
    *out = report;
    return 0;
}

void report_free(struct report *report)
{
    if (report == NULL)
        return;
    if (report->timer != NULL)
        io_timer_close(report->timer);
    free(report);
}
