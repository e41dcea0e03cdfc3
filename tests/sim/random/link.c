/* link: the network between a stream and its service: links, requests, and what goes wrong there.
 */
#include <stdio.h>
#include <string.h>

#include "world.h"

#define LONG_POLL_MS 30000
#define SLOW_MS 3000 /* what a link that is to be left may lag behind */

void link_gone(struct link *link)
{
    link->number = link->since = 0;
    link->body = link->has_since = false;
    link->open = link->hello = link->silent = link->slow = false;
    link->blocked = link->closing = link->deliver_planned = false;
    link->head = link->count = 0;
}

void link_all_gone(struct feed *feed)
{
    for (unsigned i = 0; i < WORLD_LINKS; i++)
        link_gone(&feed->links[i]);
}

static struct link *find(struct feed *feed, uint64_t number, bool body)
{
    for (unsigned i = 0; i < WORLD_LINKS && number != 0; i++)
        if (feed->links[i].number == number && feed->links[i].body == body)
            return &feed->links[i];
    return NULL;
}

struct link *link_find(struct feed *feed, uint64_t number)
{
    return find(feed, number, false);
}

static unsigned count(const struct feed *feed)
{
    unsigned n = 0;
    for (unsigned i = 0; i < WORLD_LINKS; i++)
        n += feed->links[i].number != 0;
    return n;
}

/* Bodies share the kind of happening with links: their numbers have this bit. */
#define BODY (1ull << 63)

static uint64_t name_of(const struct link *link)
{
    return link->body ? link->number | BODY : link->number;
}

static struct link *find_named(struct feed *feed, uint64_t name)
{
    return find(feed, name & ~BODY, (name & BODY) != 0);
}

void link_wake(struct feed *feed, struct link *link)
{
    if (link->number == 0 || link->count == 0 || !link->hello || link->deliver_planned ||
        link->blocked || link->silent)
        return;
    link->deliver_planned = true;
    world_plan(feed->world,
               (link->slow ? SLOW_MS : 0) + world_delay(feed->world, feed->world->link_ms),
               WORLD_DELIVER, feed->number, name_of(link), 0);
}

bool link_idle(const struct feed *feed)
{
    unsigned up = 0;
    for (unsigned i = 0; i < WORLD_LINKS; i++) {
        const struct link *link = &feed->links[i];
        if (link->number == 0)
            continue;
        if (link->count > 0 || !link->hello || link->closing || link->body)
            return false;
        up++;
    }
    return up == 1;
}

/* A place for one more connection, if the service allows it. */
static struct link *place(struct feed *feed, uint64_t number, bool body)
{
    unsigned most = feed->profile->connect.parallel > 1 ? 2 : 1;
    if (count(feed) >= most)
        world_violation(feed->world, 9, "%s: %s %llu is begun beside %u others", feed->name,
                        body ? "fallback" : "link", (unsigned long long)number, count(feed));
    for (unsigned i = 0; i < WORLD_LINKS; i++) {
        struct link *link = &feed->links[i];
        if (link->number != 0)
            continue;
        link_gone(link);
        link->number = number;
        link->body = body;
        link->last_rx_ms = 0;
        return link;
    }
    return NULL;
}

/* Where to begin, out of the URL. */
static void read_since(struct link *link, const struct profile_request *form)
{
    const char *since = memmem(form->url.data, form->url.len, "since=", 6);
    const char *end = form->url.data + form->url.len;
    link->has_since = since != NULL && since + 6 < end && since[6] >= '0' && since[6] <= '9';
    for (since = since != NULL ? since + 6 : end; since < end && *since >= '0' && *since <= '9';
         since++)
        link->since = link->since * 10 + (uint64_t)(*since - '0');
}

/* ---- the stream's operations ---- */

static int64_t op_now_ms(void *arg)
{
    return ((struct feed *)arg)->world->now_ms;
}

static int64_t op_wall_us(void *arg)
{
    const struct world *world = ((struct feed *)arg)->world;
    return 1779000000000000 + world->now_ms * 1000 + world->skew_us;
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
    struct link *link = place(feed, number, false);
    if (count(feed) > 1)
        cover(COVER_TWO_LINKS);
    read_since(link, request);
    restraint_dialled(feed);
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
    struct link *link = link_find(feed, number);
    (void)reason;
    if (link == NULL)
        return;
    link->closing = true;
    /* One that has gone silent will not answer the handshake. */
    if (!link->silent)
        world_plan(feed->world, world_delay(feed->world, 30), WORLD_LINK_CLOSED, feed->number,
                   number, code);
}

static void op_link_abort(void *arg, uint64_t number)
{
    struct feed *feed = arg;
    struct link *link = link_find(feed, number);
    if (link == NULL)
        return;
    /* Words that were under way may still come in. */
    world_plan(feed->world, world_delay(feed->world, 20), WORLD_LINK_CLOSED, feed->number, number,
               1006);
    link_gone(link);
}

/* What the client says: nothing here answers it. */
static int op_link_send(void *arg, uint64_t number, struct slice text)
{
    (void)text;
    return link_find(arg, number) != NULL ? 0 : ERR_EOF;
}

static void op_link_ping(void *arg, uint64_t number)
{
    struct feed *feed = arg;
    const struct link *link = link_find(feed, number);
    if (link != NULL && !link->silent)
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
    const struct link *link = link_find(feed, number);
    if (link == NULL)
        return 0;
    return link->blocked ? feed->world->now_ms : link->last_rx_ms;
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
    bool polls = memmem(form->url.data, form->url.len, "timeout=0", 9) == NULL &&
                 memmem(form->url.data, form->url.len, "timeout=", 8) != NULL;
    world_plan_body(world, world_delay(world, world->http_ms), WORLD_HTTP_ARRIVES, feed->number,
                    request, polls ? LONG_POLL_MS : 0, &body);
}

/* The fallback's answer is a connection like a link. */
static void op_http_stream(void *arg, uint64_t request, const struct profile_request *form,
                           int64_t timeout_ms, int64_t idle_ms)
{
    static const int statuses[] = {503, 503, 429, 0};
    struct feed *feed = arg;
    struct world *world = feed->world;
    (void)timeout_ms, (void)idle_ms;
    struct link *body = place(feed, request, true);
    read_since(body, form);
    restraint_dialled(feed);
    if (world->faults && world_per_mille(world, world->per_mille_http_fails)) {
        cover(COVER_FALLBACK_FAILS);
        world_plan(world, 1 + world_delay(world, 50), WORLD_HTTP_ANSWER, feed->number,
                   request | BODY, statuses[world_below(world, 4)]);
        return;
    }
    world_plan(world, world_delay(world, 50), WORLD_BODY_OPEN, feed->number, request | BODY, 0);
}

static void op_http_resume(void *arg, uint64_t request)
{
    struct feed *feed = arg;
    world_plan(feed->world, 1, WORLD_RESUME_LINK, feed->number, request | BODY, 0);
}

static void op_http_cancel(void *arg, uint64_t request)
{
    struct feed *feed = arg;
    struct link *body = find(feed, request, true);
    if (feed->request == request)
        feed->request = 0;
    if (body != NULL)
        link_gone(body);
}

static void op_secret_set(void *arg, const char *name, struct slice value)
{
    (void)arg, (void)name, (void)value;
}

static void op_say(void *arg, const char *text)
{
    struct feed *feed = arg;
    cover(COVER_SAID);
    world_trace(feed->world, "%s: says %s", feed->name, text);
}

static void op_refresh(void *arg)
{
    struct feed *feed = arg;
    cover(COVER_REFRESH);
    if (!world_per_mille(feed->world, 50)) /* else it is never answered */
        world_plan(feed->world, 3, WORLD_CREDENTIAL, feed->number, 0, 0);
}

/* From here on nothing may be lost, also where a stream starts now. */
static void delivers(struct feed *feed)
{
    if (!feed->lived && !feed->anything && (feed->start == SETTINGS_START_NOW || !feed->resumable))
        feed->due_from = feed->service.count + 1;
    feed->lived = true;
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
    if (feed->state == SESSION_STARTING && action->to != SESSION_DIALING && feed->world->unclean)
        cover(COVER_TAKEN_UP);
    feed->state = action->to;
    restraint_watch(feed, action);
    if (action->to != SESSION_LIVE)
        return;
    delivers(feed);
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
    .http_stream = op_http_stream,
    .http_resume = op_http_resume,
    .http_cancel = op_http_cancel,
    .secret_set = op_secret_set,
    .say = op_say,
    .refresh = op_refresh,
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

#define LOOK_MS 300 /* the service looks so often */

/* A long-poll waits for something to send. */
static bool waits(struct feed *feed, struct happening *request)
{
    struct world *world = feed->world;
    if (request->status < LOOK_MS || service_has_news(feed, buf_slice(&request->body)))
        return false;
    cover(COVER_LONG_POLL);
    world_plan_body(world, LOOK_MS, WORLD_HTTP_ARRIVES, feed->number, request->number,
                    request->status - LOOK_MS, &request->body);
    buf_init(&request->body, 0);
    return true;
}

static void arrive(struct feed *feed, struct happening *request)
{
    struct world *world = feed->world;
    struct buf page;
    if (request->number != feed->request || waits(feed, request))
        return;
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

static void refuse_body(struct feed *feed, const struct happening *answer)
{
    struct profile_end end = {.kind = PROFILE_END_STATUS, .retry_after_ms = -1};
    struct link *body = find_named(feed, answer->number);
    if (body == NULL)
        return;
    link_gone(body);
    end.code = answer->status;
    if (answer->status == 0) {
        end.kind = PROFILE_END_FAILURE;
        end.failure = PROFILE_FAILURE_TCP;
    }
    stream_http_failed(feed->stream, answer->number & ~BODY, &end);
}

static void answer(struct feed *feed, struct happening *answer)
{
    struct profile_end end = {.kind = PROFILE_END_STATUS, .retry_after_ms = -1};
    if ((answer->number & BODY) != 0) {
        refuse_body(feed, answer);
        return;
    }
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

static void end_link(struct feed *feed, struct link *link, int code, bool local)
{
    struct profile_end end = {
        .kind = PROFILE_END_CLOSE, .code = code, .local = local, .retry_after_ms = -1};
    snprintf(end.text, sizeof(end.text), "sim");
    bool was_open = link->open, body = link->body;
    uint64_t number = link->number;
    int64_t last_rx_ms = link->blocked ? feed->world->now_ms : link->last_rx_ms;
    link_gone(link);
    if (body) {
        end.code = 1000;
        stream_http_failed(feed->stream, number, &end);
        return;
    }
    if (was_open) {
        stream_link_closed(feed->stream, number, last_rx_ms, &end);
        return;
    }
    end.kind = PROFILE_END_FAILURE;
    end.failure = PROFILE_FAILURE_TCP;
    stream_link_failed(feed->stream, number, &end);
}

/* Now and then the service or the network does something to the link. */
static void disturb(struct feed *feed, struct link *link)
{
    static const int codes[] = {1006, 1006, 1006, 1006, 1006, 1006, 1001, 1001,
                                1011, 1011, 1000, 1012, 4003, 4001, 1008};
    struct world *world = feed->world;
    if (!world->faults || !world_per_mille(world, world->per_mille_drop))
        return;
    if (!link->body && world_per_mille(world, 150)) {
        cover(COVER_SILENT);
        link->silent = true;
        world_trace(world, "%s: link %llu goes silent", feed->name,
                    (unsigned long long)link->number);
        return;
    }
    world_plan(world, world_delay(world, 10), WORLD_LINK_END, feed->number, name_of(link),
               codes[world_below(world, sizeof(codes) / sizeof(codes[0]))]);
}

static void open_link(struct feed *feed, struct link *link)
{
    struct world *world = feed->world;
    uint64_t number = link->number;
    link->open = true;
    link->last_rx_ms = world->now_ms;
    world->links_made++;
    /* No greeting: it is accepted as it opens. */
    if (feed->kind == KIND_PLAIN)
        service_hello(feed, link);
    stream_link_open(feed->stream, number);
    if (feed->kind == KIND_REPLAY && link->number == number)
        service_replay(feed, link);
    if (!feed->pages || link->number != number)
        return;
    if (world->faults && feed->kind == KIND_MOVING && world_per_mille(world, 500))
        world_plan(world, (int64_t)world_below(world, 20000), WORLD_MOVE, feed->number, number, 0);
    if (world->faults && world_per_mille(world, 20))
        cover(COVER_NO_HELLO);
    else
        world_plan(world, world_delay(world, 100), WORLD_HELLO, feed->number, number, 0);
    if (world->faults && world_per_mille(world, 100)) /* whether anything is sent or not */
        world_plan(world, (int64_t)world_below(world, 5000), WORLD_LINK_END, feed->number, number,
                   1006);
}

static void fail_dial(struct feed *feed, struct link *link, int status)
{
    static const enum profile_failure failures[] = {
        PROFILE_FAILURE_TCP, PROFILE_FAILURE_TCP,     PROFILE_FAILURE_TCP, PROFILE_FAILURE_DNS,
        PROFILE_FAILURE_DNS, PROFILE_FAILURE_TIMEOUT, PROFILE_FAILURE_TLS};
    struct profile_end end = {.kind = status != 0 ? PROFILE_END_STATUS : PROFILE_END_FAILURE,
                              .code = status,
                              .failure = failures[world_below(feed->world, 7)],
                              .phase = PROFILE_PHASE_TCP,
                              .retry_after_ms = status == 429 ? 3000 : -1};
    uint64_t number = link->number;
    link_gone(link);
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
        stream_link_closed(feed->stream, number, 0, &end);
        return;
    default:
        stream_link_failed(feed->stream, number, &end);
        return;
    }
}

static void resume_link(struct feed *feed, struct link *link)
{
    link->blocked = false;
    link_wake(feed, link);
}

/* The service asks to move: the link goes on for a while. */
static void move(struct feed *feed, struct link *link)
{
    static const char text[] = "{\"type\":\"move\"}";
    uint64_t number = link->number;
    if (!link->hello || link->closing || link->silent || link->blocked)
        return;
    cover(COVER_MOVE);
    world_trace(feed->world, "%s: link %llu asks to move", feed->name, (unsigned long long)number);
    (void)stream_message(feed->stream, number, STREAM_TEXT, slice_str(text));
    if (link->number != number)
        return;
    /* The old link may be on its last legs. */
    link->slow = world_per_mille(feed->world, 300);
    link->silent = world_per_mille(feed->world, 300);
    world_plan(feed->world, (int64_t)world_below(feed->world, 30000), WORLD_LINK_END, feed->number,
               number, 1000);
}

static void open_body(struct feed *feed, struct link *body)
{
    uint64_t number = body->number;
    body->open = true;
    cover(COVER_FALLBACK_OPEN);
    delivers(feed);
    stream_body_open(feed->stream, number);
    if (body->number == number)
        service_replay(feed, body);
}

static void happen_to_link(struct feed *feed, struct link *link, const struct happening *happening)
{
    uint64_t number = link->number;
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
        open_link(feed, link);
        return;
    case WORLD_BODY_OPEN:
        open_body(feed, link);
        return;
    case WORLD_MOVE:
        move(feed, link);
        return;
    case WORLD_HELLO:
        if (link->open && !link->closing && !link->silent)
            service_hello(feed, link);
        return;
    case WORLD_DELIVER:
        service_deliver(feed, link);
        if (link->number == number)
            disturb(feed, link);
        return;
    case WORLD_PONG:
        if (!link->silent) {
            link->last_rx_ms = feed->world->now_ms;
            stream_pong(feed->stream, number, 20 + world_below(feed->world, 20));
        }
        return;
    case WORLD_DIAL_FAILS:
        fail_dial(feed, link, happening->status);
        return;
    case WORLD_LINK_END:
    case WORLD_LINK_CLOSED:
        end_link(feed, link, happening->status, happening->kind == WORLD_LINK_CLOSED);
        return;
    default: /* WORLD_RESUME_LINK */
        resume_link(feed, link);
        return;
    }
}

/* A new token is there in time; links with the old one are thrown out some seconds later. */
static void expire(struct feed *feed)
{
    struct world *world = feed->world;
    world_plan(world, 20000 + (int64_t)world_below(world, 60000), WORLD_EXPIRING, feed->number, 0,
               0);
    if (!world->faults)
        return;
    cover(COVER_EXPIRING);
    feed->restraint.excused = true;
    for (unsigned i = 0; i < WORLD_LINKS; i++)
        if (feed->links[i].number != 0 && !feed->links[i].body)
            world_plan(world, 5000, WORLD_LINK_END, feed->number, feed->links[i].number, 4001);
    stream_expiring(feed->stream);
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
    case WORLD_EXPIRING:
        expire(feed);
        return;
    default: {
        struct link *link = find_named(feed, happening->number);
        if (link != NULL)
            happen_to_link(feed, link, happening);
        else if ((happening->number & BODY) == 0 && world_per_mille(feed->world, 100))
            late_word(feed, happening);
        return;
    }
    }
}
