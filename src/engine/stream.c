#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/stream_private.h"

static int on_flow_event(void *arg, const struct flow_event *event)
{
    struct stream *stream = arg;
    /* A gap that waits stands before this event. */
    if (stream->n_gaps > 0 && !event->ephemeral)
        return ERR_AGAIN;
    int status = hub_event(stream->hub, stream->hub_stream, event);
    if (status == 0 && event->malformed != NULL)
        stream_gap(stream, SESSION_GAP_MALFORMED, event->malformed);
    if (status == ERR_LIMIT)
        stream_gap(stream, SESSION_GAP_OVERSIZE,
                   "the event with its envelope is larger than hawser can keep");
    return status;
}

static void on_oversize(struct stream *stream, const struct flow_gap *gap)
{
    char text[160];
    snprintf(text, sizeof(text),
             "a message was larger than max_message = %llu; raise connect.max_message",
             (unsigned long long)stream->profile->connect.max_message);
    stream_gap_between(stream, SESSION_GAP_OVERSIZE, gap->after, gap->before, text);
}

static void on_flow_gap(void *arg, const struct flow_gap *gap)
{
    struct stream *stream = arg;
    switch (gap->reason) {
    case FLOW_GAP_OVERSIZE:
        on_oversize(stream, gap);
        return;
    case FLOW_GAP_HOLE:
        stream_gap_between(stream, SESSION_GAP_UPSTREAM, gap->after, gap->before,
                           "the positions go on behind a hole, and nothing brought what it held");
        return;
    case FLOW_GAP_EPOCH:
        stream->forget = true; /* until an event of the new one is stored */
        stream_gap_between(stream, SESSION_GAP_EPOCH, gap->after, gap->before,
                           "one unknown event after the other lies below all that is known: the "
                           "service counts anew");
        return;
    }
}

static const int64_t rtt_bounds_ms[] = {1,   2,   5,    10,   20,   50,   100,
                                        200, 500, 1000, 2000, 5000, 10000};

int stream_new(const struct stream_options *options, struct stream **out)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return ERR_NOMEM;
    stream->profile = options->profile;
    stream->hub = options->hub;
    stream->hub_stream = options->hub_stream;
    stream->start = options->start;
    stream->ops = options->ops;
    stream->arg = options->ops_arg;
    stream->seed = options->seed;
    stream->broker = options->broker;
    stream->dedup_window = options->dedup_window;
    stream->rtt_reconnects = options->rtt_reconnects;
    stream->at_start = true;
    rng_seed(&stream->rng, ~options->seed); /* not the session's numbers */
    stream->deadline_ms = INT64_MAX;
    stream->stats.rtt_ms = -1;
    histogram_init(&stream->stats.rtts_ms, rtt_bounds_ms,
                   sizeof(rtt_bounds_ms) / sizeof(rtt_bounds_ms[0]));
    arrivals_init(&stream->arrivals);
    buf_init(&stream->page.body, LIMIT_HTTP_BODY);
    buf_init(&stream->page.next, LIMIT_POSITION);
    buf_init(&stream->page.last, LIMIT_POSITION);
    buf_init(&stream->page.from, LIMIT_POSITION);
    buf_init(&stream->fallback.id, SSE_ID_MAX);
    buf_init(&stream->fallback.event, SSE_TYPE_MAX);
    saved_variables_init(&stream->variables);
    profile_request_init(&stream->form);
    struct flow_options flow = {
        .profile = options->profile,
        .hash_key = options->hash_key,
        .dedup_window = options->dedup_window,
        .hold_bytes = options->hold_bytes,
        .sink = on_flow_event,
        .gap = on_flow_gap,
        .sink_arg = stream,
    };
    stream->name = strdup(options->name);
    if (options->start_position != NULL)
        stream->start_position = strdup(options->start_position);
    if (stream->name == NULL || (options->start_position != NULL && !stream->start_position) ||
        flow_new(&flow, &stream->flow) != 0 || stream_sends_init(stream) != 0 ||
        profile_scanner_new(options->profile, &stream->scanner) != 0) {
        stream_free(stream);
        return ERR_NOMEM;
    }
    *out = stream;
    return 0;
}

void stream_free(struct stream *stream)
{
    if (stream == NULL)
        return;
    stream_page_drop(stream);
    stream_fallback_fini(stream);
    stream_sends_fini(stream);
    saved_variables_fini(&stream->variables);
    flow_free(stream->flow);
    profile_scanner_free(stream->scanner);
    buf_fini(&stream->page.next);
    buf_fini(&stream->page.last);
    buf_fini(&stream->page.from);
    profile_request_fini(&stream->form);
    free(stream->start_position);
    free(stream->name);
    free(stream);
}

/* ---- restoring ---- */

/* Where a stream without a stored position begins, by its `start`. */
static struct slice first_position(const struct stream *stream, bool *known)
{
    *known = stream->start != SETTINGS_START_NOW;
    if (stream->start == SETTINGS_START_POSITION)
        return slice_str(stream->start_position);
    if (stream->start == SETTINGS_START_OLDEST && stream->profile->compare == PROFILE_COMPARE_INT)
        return slice_str("0"); /* never rely on the service's own default */
    return (struct slice){NULL, 0};
}

void stream_restore(struct stream *stream, struct slice position, bool fingerprint_changed,
                    bool lived)
{
    stream->lived = lived;
    stream->has_position = stream->stored_position = position.ptr != NULL;
    if (stream->has_position)
        flow_reset(stream->flow, position);
    else
        flow_start(stream->flow, first_position(stream, &stream->has_position));
    stream_page_drop(stream);
    stream->n_gaps = 0;
    stream->forget = false;
    stream->half_told = false;
    texts_clear(&stream->acks); /* their events may be gone */
    if (fingerprint_changed)
        stream_gap(stream, SESSION_GAP_EPOCH,
                   "profile, host or account parameters changed: the stream starts anew");
}

void stream_restore_key(struct stream *stream, const uint8_t key[16])
{
    flow_dedup_load(stream->flow, key);
}

void stream_restore_state(struct stream *stream, struct slice value, int64_t ago_ms,
                          bool source_changed)
{
    if (!saved_decode(value, stream->profile, &stream->restored, &stream->variables))
        return;
    stream->has_restored = true;
    stream->restored_ago_ms = ago_ms;
    stream->source_changed = source_changed;
}

/* ---- stepping ---- */

static void step_one(struct stream *stream, const struct session_event *event)
{
    stream->actions.count = 0;
    session_step(&stream->session, event, &stream->actions);
    /* Executing may queue events, but never steps: actions stays as it is. */
    for (unsigned i = 0; i < stream->actions.count; i++)
        stream_execute(stream, &stream->actions.item[i]);
}

static void enqueue(struct stream *stream, const struct session_event *event)
{
    /* STREAM_QUEUE_MAX adds up why this holds. */
    assert(stream->queue_count < STREAM_QUEUE_MAX);
    unsigned at = (stream->queue_head + stream->queue_count++) % STREAM_QUEUE_MAX;
    stream->queue[at].event = *event;
    if (event->end != NULL) {
        stream->queue[at].end = *event->end;
        stream->queue[at].event.end = &stream->queue[at].end;
    }
    if (event->page != NULL) {
        stream->queue[at].page = *event->page;
        stream->queue[at].event.page = &stream->queue[at].page;
    }
    if (event->text != NULL) {
        snprintf(stream->queue[at].text, sizeof(stream->queue[at].text), "%s", event->text);
        stream->queue[at].event.text = stream->queue[at].text;
    }
}

void stream_plan(struct stream *stream)
{
    int64_t deadline = session_deadline_ms(&stream->session);
    if (stream->sends.count > 0 && stream->send_at_ms < deadline)
        deadline = stream->send_at_ms;
    if (stream->stepping || deadline == stream->deadline_ms)
        return;
    stream->deadline_ms = deadline;
    stream->ops->deadline(stream->arg, deadline);
}

void stream_post(struct stream *stream, const struct session_event *event)
{
    if (!stream->started)
        return;
    enqueue(stream, event);
    if (stream->stepping)
        return;
    stream->stepping = true;
    while (stream->queue_count > 0) {
        struct session_event *next = &stream->queue[stream->queue_head].event;
        uint64_t link = stream_link_number(stream);
        next->now_ms = stream->ops->now_ms(stream->arg);
        if (link != 0) /* else as it came: of the link that has just ended */
            next->last_rx_ms = stream->ops->link_last_rx_ms(stream->arg, link);
        step_one(stream, next);
        stream->queue_head = (stream->queue_head + 1) % STREAM_QUEUE_MAX;
        stream->queue_count--;
    }
    stream->stepping = false;
    stream_plan(stream);
}

void stream_post_kind(struct stream *stream, enum session_event_kind kind)
{
    struct session_event event = {.kind = kind};
    stream_post(stream, &event);
}

void stream_post_link(struct stream *stream, enum session_event_kind kind, uint64_t link,
                      const struct profile_end *end)
{
    struct session_event event = {.kind = kind, .link = link, .end = end};
    stream_post(stream, &event);
}

void stream_say(struct stream *stream, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    stream->ops->say(stream->arg, text);
}

/* ---- inputs ---- */

void stream_start(struct stream *stream)
{
    struct session_init_args args = {
        .profile = stream->profile,
        .seed = stream->seed,
        .has_position = stream->has_position,
        .lived = stream->lived,
        .learn_tip = stream->start == SETTINGS_START_NOW && !stream->has_position &&
                     stream->profile->catchup.tip != PROFILE_NONE,
        .rtt_reconnects = stream->rtt_reconnects,
        .source_changed = stream->source_changed,
        .saved_ago_ms = stream->restored_ago_ms,
    };
    if (stream->has_restored)
        args.saved = &stream->restored;
    if (stream->has_position && !stream->stored_position)
        stream->restored.live_ago_ms = -1; /* where `start` says is as young as can be */
    session_init(&stream->session, &args);
    stream->started = true;
    stream_post_kind(stream, SESSION_EV_START);
}

void stream_stop(struct stream *stream)
{
    stream_post_kind(stream, SESSION_EV_STOP);
}

void stream_tick(struct stream *stream)
{
    int64_t now_ms = stream->ops->now_ms(stream->arg);
    stream->deadline_ms = INT64_MAX;
    if (stream->sends.count > 0 && now_ms >= stream->send_at_ms) {
        stream_sends_pump(stream);
        stream_unblock(stream);
    }
    if (now_ms >= session_deadline_ms(&stream->session))
        stream_post_kind(stream, SESSION_EV_TICK);
    stream_plan(stream);
}

void stream_pause(struct stream *stream)
{
    stream_post_kind(stream, SESSION_EV_PAUSE);
}

void stream_resume(struct stream *stream)
{
    stream_post_kind(stream, SESSION_EV_RESUME);
}

void stream_reconnect(struct stream *stream)
{
    stream_post_kind(stream, SESSION_EV_RECONNECT);
}

void stream_credentials(struct stream *stream)
{
    stream_post_kind(stream, SESSION_EV_CREDENTIAL);
}

void stream_refresh_failed(struct stream *stream, const struct profile_end *end)
{
    struct session_event event = {.kind = SESSION_EV_REFRESH_FAILED, .end = end};
    stream_post(stream, &event);
}

void stream_expiring(struct stream *stream)
{
    stream_post_kind(stream, SESSION_EV_EXPIRING);
}

void stream_network(struct stream *stream, int64_t slept_ms)
{
    struct session_event event = {.kind = SESSION_EV_NETWORK, .slept_ms = slept_ms};
    stream_post(stream, &event);
}

/* ---- the hub ---- */

void stream_store_stalled(struct stream *stream)
{
    stream_post_kind(stream, SESSION_EV_STORE_STALLED);
}

void stream_store_ready(struct stream *stream)
{
    struct session_event event = {.kind = SESSION_EV_STORE_READY,
                                  .has_position = stream->has_position};
    stream_post(stream, &event);
    stream_save_pump(stream);
}

void stream_check_flow(struct stream *stream)
{
    if (!stream->has_position && flow_position(stream->flow).ptr != NULL) {
        stream->has_position = true;
        stream_post_kind(stream, SESSION_EV_POSITION);
    }
    if (stream->profile->catchup.audit_ms > 0 && !stream->half_told &&
        flow_since_audit(stream->flow) >= stream->dedup_window / 2) {
        stream->half_told = true;
        stream_post_kind(stream, SESSION_EV_WINDOW_HALF);
    }
}

/* Says what made a release hold again. */
static void holds_again(struct stream *stream, bool unkeyed)
{
    stream_post_link(stream, unkeyed ? SESSION_EV_UNKEYED : SESSION_EV_HOLE,
                     stream_link_number(stream), NULL);
}

void stream_release(struct stream *stream)
{
    int status = flow_release(stream->flow);
    bool unkeyed = flow_unkeyed(stream->flow), hole = flow_hole(stream->flow);
    if (status == 0 && !unkeyed && !hole && stream->acks.count > 0)
        stream_acks_stamp(stream);
    stream_check_flow(stream);
    if (status == 0 && (unkeyed || hole))
        holds_again(stream, unkeyed);
}

void stream_unblock(struct stream *stream)
{
    if (!stream_acks_room(stream))
        return;
    for (unsigned i = 0; i < STREAM_LINKS; i++) {
        if (stream->links[i].number == 0 || !stream->links[i].blocked)
            continue;
        stream->links[i].blocked = false;
        if (stream->links[i].role == STREAM_LINK)
            arrivals_begin(&stream->arrivals, stream->ops->now_ms(stream->arg));
        stream->ops->link_resume(stream->arg, stream->links[i].number);
    }
}

void stream_room(struct stream *stream)
{
    stream_save_pump(stream);
    stream_gaps_pump(stream);
    if (stream->n_gaps > 0)
        return;
    if (flow_releasing(stream->flow))
        stream_release(stream);
    if (flow_releasing(stream->flow))
        return;
    stream_check_flow(stream);
    stream_page_pump(stream);
    stream_fallback_pump(stream);
    stream_unblock(stream);
}

/* ---- links ---- */

struct stream_link *stream_link_find(struct stream *stream, uint64_t number)
{
    for (unsigned i = 0; i < STREAM_LINKS && number != 0; i++)
        if (stream->links[i].number == number)
            return &stream->links[i];
    return NULL;
}

struct stream_link *stream_link_as(struct stream *stream, enum stream_role role)
{
    for (unsigned i = 0; i < STREAM_LINKS; i++)
        if (stream->links[i].number != 0 && stream->links[i].role == role)
            return &stream->links[i];
    return NULL;
}

uint64_t stream_link_number(const struct stream *stream)
{
    for (unsigned i = 0; i < STREAM_LINKS; i++)
        if (stream->links[i].role == STREAM_LINK && stream->links[i].number != 0)
            return stream->links[i].number;
    return 0;
}

void stream_link_connected(struct stream *stream, uint64_t link)
{
    if (stream_link_find(stream, link) != NULL)
        stream_post_link(stream, SESSION_EV_LINK_CONNECTED, link, NULL);
}

void stream_link_open(struct stream *stream, uint64_t number)
{
    struct stream_link *link = stream_link_find(stream, number);
    if (link == NULL || link->open)
        return;
    stream->stats.opened++;
    link->open = true;
    if (link->role == STREAM_LINK)
        arrivals_begin(&stream->arrivals, stream->ops->now_ms(stream->arg));
    if (link->slotted)
        stream_broker_opened(stream, link->slot);
    stream_post_link(stream, SESSION_EV_LINK_OPEN, number, NULL);
    if (link->number == number && stream->profile->n_sends > 0)
        stream_send_on_open(stream, link);
}

static void link_gone(struct stream *stream, uint64_t number, struct session_event *event)
{
    struct stream_link *link = stream_link_find(stream, number);
    if (link == NULL)
        return;
    if (event->kind == SESSION_EV_LINK_FAILED)
        stream->stats.failed++;
    else
        stream->stats.closed++;
    if (link->slotted)
        stream_broker_ended(stream, link->slot);
    if (link->role != STREAM_LINK)
        event->last_rx_ms = 0;
    *link = (struct stream_link){0};
    stream_acks_forget(stream, number, false);
    stream_post(stream, event);
}

void stream_link_failed(struct stream *stream, uint64_t link, const struct profile_end *end)
{
    struct session_event event = {.kind = SESSION_EV_LINK_FAILED, .link = link, .end = end};
    link_gone(stream, link, &event);
}

void stream_link_closed(struct stream *stream, uint64_t link, int64_t last_rx_ms,
                        const struct profile_end *end)
{
    struct session_event event = {
        .kind = SESSION_EV_LINK_CLOSED, .link = link, .last_rx_ms = last_rx_ms, .end = end};
    link_gone(stream, link, &event);
}

/* ---- looking ---- */

bool stream_stopped(const struct stream *stream)
{
    return !stream->started || session_state(&stream->session) == SESSION_STOPPED;
}

bool stream_settled(const struct stream *stream)
{
    bool saving = stream->save.due || stream->save.ticket != 0 || stream->save.slot_ticket != 0;
    return stream->n_gaps == 0 && !(stream->started && saving) &&
           hub_stream_idle(stream->hub_stream);
}

void stream_stats(const struct stream *stream, struct stream_stats *out)
{
    *out = stream->stats;
    out->last_ms = stream->arrivals.last_ms;
    out->arrivals = stream->arrivals.counts;
    flow_stats(stream->flow, &out->flow);
    hub_stream_stats(stream->hub_stream, &out->hub);
}

void stream_session_status(const struct stream *stream, struct session_status *out)
{
    session_status(&stream->session, out);
}

struct slice stream_position(const struct stream *stream)
{
    return flow_position(stream->flow);
}
