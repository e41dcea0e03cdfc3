/* status: asks hawserd how it is, once or each second, and shows it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/layout.h"
#include "ctl/report.h"
#include "json/json.h"

enum { WATCH_MS = 1000 };

/* ---- one look ---- */

/* What one look has brought; texts belong to it. */
struct look {
    struct buf status, consumers; /* answers; empty: none came */
    struct error err;
};

static void look_init(struct look *look)
{
    buf_init(&look->status, CTL_LINE_MAX);
    buf_init(&look->consumers, CTL_LINE_MAX);
    look->err = (struct error){0};
}

static void look_fini(struct look *look)
{
    buf_fini(&look->status);
    buf_fini(&look->consumers);
}

static int ask(struct connection *connection, const char *op, const char *stream, int timeout_ms,
               struct buf *answer, struct error *err)
{
    struct buf request;
    struct slice line;
    buf_init(&request, LIMIT_LINE_IN);
    int status = connection_write_request(&request, op, stream);
    if (status != 0)
        status = error_set(err, status, "the stream's name is too long");
    if (status == 0)
        status = connection_send(connection, buf_slice(&request), err);
    if (status == 0)
        status = connection_line(connection, timeout_ms, &line, err);
    if (status == 0)
        status = buf_append_slice(answer, line);
    buf_fini(&request);
    return status;
}

/* The consumers are counted in the store, which may take longer than an operator waits: then the
 * status does without. */
static int look_at(struct ctl *ctl, struct look *look)
{
    struct connection connection;
    struct error ignored;
    const char *stream = ctl->n_args == 1 ? ctl->args[0] : NULL;
    int status = connection_open(&connection, ctl->socket, &look->err);
    if (status != 0)
        return status;
    status =
        ask(&connection, "status", stream, CTL_ANSWER_SECONDS * 1000, &look->status, &look->err);
    if (status == 0 && !ctl->json)
        (void)ask(&connection, "consumers", NULL, CTL_COUNT_MS, &look->consumers, &ignored);
    connection_close(&connection);
    return status;
}

static bool is_answer(const struct look *look)
{
    return slice_starts_with(buf_slice(&look->status), SLICE("{\"ok\":\"status\""));
}

static int judge(const struct view *view, bool one)
{
    if (one && view->n_streams == 0)
        return CTL_NOT_WELL;
    return view->well ? CTL_OK : CTL_NOT_WELL;
}

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Puts what is to be shown into out; an exit status. */
static int render(struct ctl *ctl, const struct look *look, struct buf *out)
{
    struct view view;
    bool one = ctl->n_args == 1;
    if (!is_answer(look))
        return ctl_show_reply(ctl, buf_slice(&look->status));
    if (view_read(&view, buf_slice(&look->status), buf_slice(&look->consumers), wall_ms()) != 0) {
        fprintf(stderr, "hawserctl: that was no status of hawserd's\n");
        return CTL_NOT_WELL;
    }
    int result = judge(&view, one);
    if (ctl->json) {
        (void)buf_append_slice(out, buf_slice(&look->status));
        (void)buf_append_byte(out, '\n');
    } else if (one && view.n_streams == 0) {
        fprintf(stderr, "hawserctl: no stream %s; `hawserctl status` shows them\n", ctl->args[0]);
    } else if (ctl->terminal.tty) {
        report_screen(&ctl->terminal, &view, one, out);
    } else {
        report_plain(&view, one, out);
    }
    view_free(&view);
    return result;
}

static int status_once(struct ctl *ctl)
{
    struct look look;
    struct buf out;
    int result = CTL_UNREACHABLE;
    look_init(&look);
    buf_init(&out, BUF_UNBOUNDED);
    if (look_at(ctl, &look) != 0)
        fprintf(stderr, "hawserctl: %s\n", look.err.text);
    else
        result = render(ctl, &look, &out);
    (void)terminal_write(buf_slice(&out));
    buf_fini(&out);
    look_fini(&look);
    return result;
}

/* ---- again and again ---- */

static volatile sig_atomic_t last_result, on_screen, resized;

/* An answer may be waited for just now; whoever presses ^C does not wait for that. */
static void on_end(int signum)
{
    (void)signum;
    if (on_screen)
        terminal_leave();
    _exit(last_result);
}

static void on_resize(int signum)
{
    (void)signum;
    resized = 1;
}

static void catch_signals(void)
{
    struct sigaction end = {.sa_handler = on_end}, resize = {.sa_handler = on_resize};
    sigaction(SIGINT, &end, NULL);
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGHUP, &end, NULL);
    sigaction(SIGWINCH, &resize, NULL);
}

/* hawserd does not answer: since when, and that it is tried again. */
static void write_unreachable(const struct ctl *ctl, const struct look *look, int64_t since_s,
                              struct buf *out)
{
    char clock[LAYOUT_CLOCK_SIZE];
    int64_t now_s = time(NULL);
    if (ctl->json) {
        (void)buf_append_str(out, "{\"error\":\"unreachable\",\"detail\":");
        (void)json_write_string(out, slice_str(look->err.text));
        (void)buf_append_str(out, "}\n");
        return;
    }
    layout_clock(since_s, now_s, clock);
    terminal_begin(&ctl->terminal, out, STYLE_BAD);
    (void)buf_append_str(out, "hawserd is not reachable");
    terminal_end(&ctl->terminal, out);
    (void)buf_appendf(out, "\n%s\nsince %s (%llds); it is tried again each second\n",
                      look->err.text, clock, (long long)(now_s - since_s));
}

static bool show(const struct ctl *ctl, struct buf *out, bool first)
{
    if (ctl->terminal.tty && !ctl->json)
        return terminal_draw(&ctl->terminal, buf_slice(out));
    if (!first && !ctl->json && !terminal_write(SLICE("\n")))
        return false;
    return terminal_write(buf_slice(out));
}

/* Until the next look is due. False: who reads us has gone. */
static bool rest(void)
{
    struct pollfd reader = {.fd = STDOUT_FILENO};
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t end_ms = now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000 + WATCH_MS;
    for (;;) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        int64_t left_ms = end_ms - (now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000);
        if (left_ms <= 0 || resized)
            return true;
        int ready = poll(&reader, 1, (int)left_ms);
        if (ready > 0)
            return false;
    }
}

/* Something that time does not mend: not there is no such thing, and not refused. */
static bool is_hopeless(int status)
{
    return status == ERR_PERM || status == ERR_LIMIT;
}

static int watch(struct ctl *ctl)
{
    int64_t gone_s = 0;
    bool screen = ctl->terminal.tty && !ctl->json, first = true, going = true;
    struct look look;
    struct buf out;
    catch_signals();
    buf_init(&out, BUF_UNBOUNDED);
    while (going) {
        resized = 0;
        look_init(&look);
        int status = look_at(ctl, &look), result = CTL_UNREACHABLE;
        if (status != 0 && first && is_hopeless(status)) {
            fprintf(stderr, "hawserctl: %s\n", look.err.text);
            look_fini(&look);
            break;
        }
        ctl->terminal = terminal_look();
        ctl->terminal.width -= ctl->terminal.width > 0; /* the last column is where lines break */
        gone_s = status == 0 ? 0 : gone_s == 0 ? time(NULL) : gone_s;
        if (status != 0)
            write_unreachable(ctl, &look, gone_s, &out);
        else
            result = render(ctl, &look, &out);
        last_result = result;
        if (first && screen && out.len > 0) {
            on_screen = 1;
            terminal_enter();
        }
        going = (out.len > 0 || !first) && show(ctl, &out, first) && rest();
        first = false;
        buf_clear(&out);
        look_fini(&look);
    }
    if (on_screen)
        terminal_leave();
    buf_fini(&out);
    return first ? CTL_UNREACHABLE : last_result;
}

int ctl_status(struct ctl *ctl)
{
    return ctl_option(ctl, "watch") != NULL ? watch(ctl) : status_once(ctl);
}
