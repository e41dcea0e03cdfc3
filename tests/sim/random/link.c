/* link: the network between a stream and its service: links, requests, and what goes wrong there.
 */
#include <stdio.h>
#include <string.h>

#include "world.h"

void link_gone(struct feed *feed)
{
    struct link *link = &feed->link;
    link->number = 0;
    link->open = link->hello = link->silent = false;
    link->blocked = link->closing = link->deliver_planned = false;
    link->head = link->count = 0;
}

/* ---- restraint ---- */

static const int64_t steps_ms[] = {0, 1000, 2000, 4000, 8000, 16000, 30000};
#define STEPS (sizeof(steps_ms) / sizeof(steps_ms[0]))

static void watch_restraint(struct feed *feed, const struct session_action *action)
{
    struct restraint *r = &feed->restraint;
    int64_t now = feed->world->now_ms;
    if (action->from == SESSION_LIVE) {
        int64_t lived = now - r->live_since_ms;
        unsigned back = lived >= 60000 ? STEPS : (unsigned)(lived / 10000);
        r->step = back >= r->step ? 0 : r->step - back;
    }
    if (action->to == SESSION_LIVE)
        r->live_since_ms = now;
    if (action->to == SESSION_WAITING) {
        r->waiting_since_ms = now;
        r->least_ms = 0;
        if (!r->excused) {
            r->least_ms = steps_ms[r->step < STEPS ? r->step : STEPS - 1] * 8 / 10;
            r->step++;
        }
    }
    if (action->to != SESSION_DIALING)
        return;
    if (action->from == SESSION_WAITING && !r->excused && now - r->waiting_since_ms < r->least_ms)
        world_violation(feed->world, 10, "%s is dialled after %lld ms; the backoff asks for %lld",
                        feed->name, (long long)(now - r->waiting_since_ms), (long long)r->least_ms);
    r->excused = false;
}

/* ---- the stream's operations ---- */

static int64_t op_now_ms(void *arg)
{
    return ((struct feed *)arg)->world->now_ms;
}

static int64_t op_wall_us(void *arg)
{
    return 1779000000000000 + ((struct feed *)arg)->world->now_ms * 1000;
}

static struct slice op_secret(void *arg, const char *name, struct error *err)
{
    (void)arg, (void)name, (void)err;
    return slice_str("t0ken");
}

static void op_dial(void *arg, uint64_t number, const struct profile_request *request)
{
    static const int statuses[] = {503, 503, 429, 401, 403, 0, 0, 0, 0, 0, 0, 0};
    struct feed *feed = arg;
    struct world *world = feed->world;
    (void)request;
    if (feed->link.number != 0)
        world_violation(world, 9, "%s: link %llu is dialled while link %llu lives", feed->name,
                        (unsigned long long)number, (unsigned long long)feed->link.number);
    link_gone(feed);
    feed->link.number = number;
    feed->link.last_rx_ms = 0;
    if (world->faults && world_per_mille(world, world->per_mille_dial_fails)) {
        int status = statuses[world_below(world, 12)];
        cover(status != 0 ? COVER_DIAL_STATUS : COVER_DIAL_FAILS);
        if (world_per_mille(world, 500))
            world_plan(world, world_delay(world, 5), WORLD_CONNECTED, feed->number, number, 0);
        world_plan(world, 11 + world_delay(world, 50), WORLD_DIAL_FAILS, feed->number, number,
                   status);
    } else {
        world_plan(world, world_delay(world, 20), WORLD_CONNECTED, feed->number, number, 0);
    }
}

static void op_link_close(void *arg, uint64_t number, int code, const char *reason)
{
    struct feed *feed = arg;
    (void)reason;
    if (number != feed->link.number)
        return;
    feed->link.closing = true;
    /* One that has gone silent will not answer the handshake. */
    if (!feed->link.silent)
        world_plan(feed->world, world_delay(feed->world, 30), WORLD_LINK_CLOSED, feed->number,
                   number, code);
}

static void op_link_abort(void *arg, uint64_t number)
{
    struct feed *feed = arg;
    if (number != feed->link.number)
        return;
    /* Words that were under way may still come in. */
    world_plan(feed->world, world_delay(feed->world, 20), WORLD_LINK_CLOSED, feed->number, number,
               1006);
    link_gone(feed);
}

static void op_link_ping(void *arg, uint64_t number)
{
    struct feed *feed = arg;
    if (number == feed->link.number && !feed->link.silent)
        world_plan(feed->world, world_delay(feed->world, 20), WORLD_PONG, feed->number, number, 0);
}

static void op_link_resume(void *arg, uint64_t number)
{
    struct feed *feed = arg;
    world_plan(feed->world, 1, WORLD_RESUME_LINK, feed->number, number, 0);
}

static int64_t op_last_rx_ms(void *arg, uint64_t number)
{
    struct feed *feed = arg;
    if (number != feed->link.number)
        return 0;
    return feed->link.blocked ? feed->world->now_ms : feed->link.last_rx_ms;
}

static void op_http(void *arg, uint64_t request, unsigned http, const struct profile_request *form,
                    int64_t timeout_ms)
{
    (void)http;
    struct feed *feed = arg;
    struct world *world = feed->world;
    const char *since = memmem(form->url.data, form->url.len, "since=", 6);
    const char *end = form->url.data + form->url.len;
    struct buf body;
    (void)timeout_ms;
    if (feed->request != 0)
        world_violation(world, 9, "%s: request %llu while request %llu is under way", feed->name,
                        (unsigned long long)request, (unsigned long long)feed->request);
    feed->request = request;
    buf_init(&body, 1024);
    for (since = since != NULL ? since + 6 : end; since < end && *since != '&'; since++)
        (void)buf_append_byte(&body, *since);
    world_plan_body(world, world_delay(world, world->http_ms), WORLD_HTTP_ARRIVES, feed->number,
                    request, 0, &body);
}

static void op_http_cancel(void *arg, uint64_t request)
{
    struct feed *feed = arg;
    if (feed->request == request)
        feed->request = 0;
}

static void op_refresh(void *arg)
{
    struct feed *feed = arg;
    cover(COVER_REFRESH);
    if (!world_per_mille(feed->world, 50)) /* else it is never answered */
        world_plan(feed->world, 3, WORLD_CREDENTIAL, feed->number, 0, 0);
}

static int op_link_send(void *arg, uint64_t link, struct slice text)
{
    struct feed *feed = arg;
    (void)text; /* these services listen to nobody */
    return link == feed->link.number && feed->link.open ? 0 : ERR_EOF;
}

static void op_secret_set(void *arg, const char *name, struct slice value)
{
    struct feed *feed = arg;
    (void)value;
    world_trace(feed->world, "%s: secret %s is new", feed->name, name);
}

static void op_say(void *arg, const char *text)
{
    struct feed *feed = arg;
    world_trace(feed->world, "%s: %s", feed->name, text);
}

static void op_state(void *arg, const struct session_action *action, uint64_t link)
{
    struct feed *feed = arg;
    struct world *world = feed->world;
    cover_transition(action->from, action->to);
    /* States that last but a moment: else nobody would ever meddle with them. */
    if (world->faults && world_per_mille(world, 10))
        world_plan(world, (int64_t)world_below(world, 10), WORLD_OPERATOR, feed->number, 1, 0);
    world_trace(feed->world, "%s: %s > %s (%s) link %llu", feed->name,
                session_state_name(action->from), session_state_name(action->to), action->text,
                (unsigned long long)link);
    watch_restraint(feed, action);
    if (action->to != SESSION_LIVE)
        return;
    if (!feed->lived && !feed->anything && (feed->start == SETTINGS_START_NOW || !feed->resumable))
        feed->due_from = feed->service.count + 1;
    feed->lived = true;
}

static void op_gap(void *arg, enum session_gap reason, const char *detail)
{
    struct feed *feed = arg;
    world_trace(feed->world, "%s: gap %s: %s", feed->name, session_gap_name(reason),
                detail != NULL ? detail : "");
}

static void op_deadline(void *arg, int64_t deadline_ms)
{
    ((struct feed *)arg)->deadline_ms = deadline_ms;
}

const struct stream_ops link_stream_ops = {
    .now_ms = op_now_ms,
    .wall_us = op_wall_us,
    .secret = op_secret,
    .dial = op_dial,
    .link_send = op_link_send,
    .link_close = op_link_close,
    .link_abort = op_link_abort,
    .link_ping = op_link_ping,
    .link_resume = op_link_resume,
    .link_last_rx_ms = op_last_rx_ms,
    .http = op_http,
    .http_cancel = op_http_cancel,
    .refresh = op_refresh,
    .secret_set = op_secret_set,
    .say = op_say,
    .state = op_state,
    .gap = op_gap,
    .deadline = op_deadline,
};

/* ---- requests ---- */

static void draw_failure(struct feed *feed, int *status)
{
    static const int failures[] = {500, 503, 429, 401, 0, -1};
    static const enum coverage covers[] = {COVER_SYNC_500, COVER_SYNC_500,     COVER_SYNC_429,
                                           COVER_SYNC_401, COVER_SYNC_GARBAGE, COVER_SYNC_TIMEOUT};
    unsigned which = world_below(feed->world, 6);
    if (which == 3 && !world_per_mille(feed->world, 400))
        which = 0;
    *status = failures[which];
    cover(covers[which]);
}

static void arrive(struct feed *feed, const struct happening *request)
{
    struct world *world = feed->world;
    struct buf page;
    int status = 200;
    buf_init(&page, 16u << 20);
    if (world->faults && world_per_mille(world, world->per_mille_http_fails)) {
        draw_failure(feed, &status);
    } else {
        status = service_answer(feed, buf_slice(&request->body), &page);
        if (status == 410)
            cover(COVER_SYNC_410);
    }
    world_plan_body(world, world_delay(world, world->http_ms), WORLD_HTTP_ANSWER, feed->number,
                    request->number, status, &page);
}

static void answer(struct feed *feed, struct happening *answer)
{
    struct profile_end end = {.kind = PROFILE_END_STATUS, .retry_after_ms = -1};
    if (answer->number == feed->request)
        feed->request = 0;
    else if (world_per_mille(feed->world, 500))
        cover(COVER_LATE_ANSWER);
    else
        return;
    if (answer->status == 410)
        feed->service.too_old++;
    if (answer->status == 0) {
        buf_clear(&answer->body);
        (void)buf_append_str(&answer->body, "<html>502 Bad Gateway</html>");
    }
    if (answer->status == 200 || answer->status == 0) {
        stream_http_done(feed->stream, answer->number, &answer->body);
        return;
    }
    if (answer->status < 0) {
        end.kind = PROFILE_END_FAILURE;
        end.failure = PROFILE_FAILURE_TIMEOUT;
        end.phase = PROFILE_PHASE_HTTP;
    } else {
        end.code = answer->status;
        end.retry_after_ms = answer->status == 429 ? 2000 : -1;
    }
    stream_http_failed(feed->stream, answer->number, &end);
}

/* ---- links ---- */

static void end_link(struct feed *feed, uint64_t number, int code, bool local)
{
    struct profile_end end = {
        .kind = PROFILE_END_CLOSE, .code = code, .local = local, .retry_after_ms = -1};
    snprintf(end.text, sizeof(end.text), "sim");
    bool was_open = feed->link.open;
    link_gone(feed);
    if (was_open) {
        stream_link_closed(feed->stream, number, &end);
        return;
    }
    end.kind = PROFILE_END_FAILURE;
    end.failure = PROFILE_FAILURE_TCP;
    stream_link_failed(feed->stream, number, &end);
}

/* Now and then the service or the network does something to the link. */
static void disturb(struct feed *feed)
{
    static const int codes[] = {1006, 1006, 1006, 1006, 1006, 1006, 1001, 1001,
                                1011, 1011, 1000, 1012, 4003, 4001, 1008};
    struct world *world = feed->world;
    if (!world->faults || !world_per_mille(world, world->per_mille_drop))
        return;
    if (world_per_mille(world, 150)) {
        cover(COVER_SILENT);
        feed->link.silent = true;
        world_trace(world, "%s: link %llu goes silent", feed->name,
                    (unsigned long long)feed->link.number);
        return;
    }
    world_plan(world, world_delay(world, 10), WORLD_LINK_END, feed->number, feed->link.number,
               codes[world_below(world, sizeof(codes) / sizeof(codes[0]))]);
}

static void open_link(struct feed *feed, uint64_t number)
{
    struct world *world = feed->world;
    feed->link.open = true;
    feed->link.last_rx_ms = world->now_ms;
    world->links_made++;
    if (!feed->resumable)
        service_hello(feed); /* no greeting: it is accepted as it opens */
    stream_link_open(feed->stream, number);
    if (!feed->resumable)
        return;
    if (world->faults && world_per_mille(world, 20))
        cover(COVER_NO_HELLO);
    else
        world_plan(world, world_delay(world, 100), WORLD_HELLO, feed->number, number, 0);
    if (world->faults && world_per_mille(world, 100)) /* whether anything is sent or not */
        world_plan(world, (int64_t)world_below(world, 5000), WORLD_LINK_END, feed->number, number,
                   1006);
}

static void fail_dial(struct feed *feed, uint64_t number, int status)
{
    static const enum profile_failure failures[] = {
        PROFILE_FAILURE_TCP, PROFILE_FAILURE_TCP,     PROFILE_FAILURE_TCP, PROFILE_FAILURE_DNS,
        PROFILE_FAILURE_DNS, PROFILE_FAILURE_TIMEOUT, PROFILE_FAILURE_TLS};
    struct profile_end end = {.kind = status != 0 ? PROFILE_END_STATUS : PROFILE_END_FAILURE,
                              .code = status,
                              .failure = failures[world_below(feed->world, 7)],
                              .phase = PROFILE_PHASE_TCP,
                              .retry_after_ms = status == 429 ? 3000 : -1};
    link_gone(feed);
    stream_link_failed(feed->stream, number, &end);
}

/* A link that is gone says something more: it must change nothing. */
static void late_word(struct feed *feed, const struct happening *happening)
{
    struct profile_end end = {.kind = PROFILE_END_CLOSE, .code = 1006, .retry_after_ms = -1};
    uint64_t number = happening->number;
    cover(COVER_LATE_ACK);
    switch (world_below(feed->world, 5)) {
    case 0:
        stream_link_connected(feed->stream, number);
        return;
    case 1:
        stream_link_open(feed->stream, number);
        return;
    case 2:
        stream_pong(feed->stream, number, 20);
        return;
    case 3:
        stream_link_closed(feed->stream, number, &end);
        return;
    default:
        stream_link_failed(feed->stream, number, &end);
        return;
    }
}

static void resume_link(struct feed *feed)
{
    feed->link.blocked = false;
    if (feed->link.deliver_planned)
        return;
    feed->link.deliver_planned = true;
    world_plan(feed->world, 0, WORLD_DELIVER, feed->number, feed->link.number, 0);
}

static void happen_to_link(struct feed *feed, const struct happening *happening)
{
    uint64_t number = happening->number;
    switch (happening->kind) {
    case WORLD_CONNECTED:
        stream_link_connected(feed->stream, number);
        if (!feed->world->faults || !world_per_mille(feed->world, 10))
            world_plan(feed->world, world_delay(feed->world, 20), WORLD_OPEN, feed->number, number,
                       0);
        else /* it hangs in the upgrade */
            world_plan(feed->world, 10000, WORLD_DIAL_FAILS, feed->number, number, 0);
        return;
    case WORLD_OPEN:
        open_link(feed, number);
        return;
    case WORLD_HELLO:
        if (feed->link.open && !feed->link.closing && !feed->link.silent)
            service_hello(feed);
        return;
    case WORLD_DELIVER:
        service_deliver(feed);
        if (feed->link.number != 0)
            disturb(feed);
        return;
    case WORLD_PONG:
        if (!feed->link.silent) {
            feed->link.last_rx_ms = feed->world->now_ms;
            stream_pong(feed->stream, number, 20);
        }
        return;
    case WORLD_DIAL_FAILS:
        fail_dial(feed, number, happening->status);
        return;
    case WORLD_LINK_END:
    case WORLD_LINK_CLOSED:
        end_link(feed, number, happening->status, happening->kind == WORLD_LINK_CLOSED);
        return;
    default: /* WORLD_RESUME_LINK */
        resume_link(feed);
        return;
    }
}

void link_happen(struct feed *feed, struct happening *happening)
{
    switch (happening->kind) {
    case WORLD_HTTP_ARRIVES:
        arrive(feed, happening);
        return;
    case WORLD_HTTP_ANSWER:
        answer(feed, happening);
        return;
    case WORLD_CREDENTIAL:
        stream_credentials(feed->stream);
        return;
    default:
        if (happening->number == feed->link.number)
            happen_to_link(feed, happening);
        else if (world_per_mille(feed->world, 100))
            late_word(feed, happening);
        return;
    }
}
