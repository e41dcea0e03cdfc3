#include <assert.h>
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
    if (status != ERR_LIMIT)
        return status;
    stream_gap(stream, SESSION_GAP_OVERSIZE,
               "the event with its envelope is larger than hawser can keep");
    return 0;
}

static void on_flow_gap(void *arg, const struct flow_gap *gap)
{
    struct stream *stream = arg;
    char text[160];
    (void)gap;
    snprintf(text, sizeof(text),
             "a message was larger than max_message = %llu; raise connect.max_message",
             (unsigned long long)stream->profile->connect.max_message);
    stream_gap(stream, SESSION_GAP_OVERSIZE, text);
}

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
    stream->deadline_ms = INT64_MAX;
    stream->stats.rtt_ms = -1;
    buf_init(&stream->page.body, LIMIT_HTTP_BODY);
    buf_init(&stream->page.next, LIMIT_POSITION);
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
        flow_new(&flow, &stream->flow) != 0 ||
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
    flow_free(stream->flow);
    profile_scanner_free(stream->scanner);
    buf_fini(&stream->page.body);
    buf_fini(&stream->page.next);
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
    stream->has_position = position.ptr != NULL;
    if (!stream->has_position)
        position = first_position(stream, &stream->has_position);
    flow_reset(stream->flow, position);
    stream_page_drop(stream);
    stream->n_gaps = 0;
    stream->forget = false;
    if (fingerprint_changed)
        stream_gap(stream, SESSION_GAP_EPOCH,
                   "profile, host or account parameters changed: the stream starts anew");
}

void stream_restore_key(struct stream *stream, const uint8_t key[16])
{
    flow_dedup_load(stream->flow, key);
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

void stream_post(struct stream *stream, const struct session_event *event)
{
    if (!stream->started)
        return;
    /* Each queued event answers an action or is an input from outside, and inputs come one at a
     * time, so the queue cannot grow beyond what one step can ask for. */
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
    if (stream->stepping)
        return;
    stream->stepping = true;
    while (stream->queue_count > 0) {
        struct session_event *next = &stream->queue[stream->queue_head].event;
        next->now_ms = stream->ops->now_ms(stream->arg);
        next->last_rx_ms =
            stream->link != 0 ? stream->ops->link_last_rx_ms(stream->arg, stream->link) : 0;
        step_one(stream, next);
        stream->queue_head = (stream->queue_head + 1) % STREAM_QUEUE_MAX;
        stream->queue_count--;
    }
    stream->stepping = false;
    int64_t deadline = session_deadline_ms(&stream->session);
    if (deadline != stream->deadline_ms) {
        stream->deadline_ms = deadline;
        stream->ops->deadline(stream->arg, deadline);
    }
}

static void post_kind(struct stream *stream, enum session_event_kind kind)
{
    struct session_event event = {.kind = kind};
    stream_post(stream, &event);
}

static void post_link(struct stream *stream, enum session_event_kind kind, uint64_t link,
                      const struct profile_end *end)
{
    struct session_event event = {.kind = kind, .link = link, .end = end};
    stream_post(stream, &event);
}

/* ---- inputs ---- */

void stream_start(struct stream *stream)
{
    struct session_init_args args = {
        .profile = stream->profile,
        .seed = stream->seed,
        .has_position = stream->has_position,
        .lived = stream->lived,
    };
    session_init(&stream->session, &args);
    stream->started = true;
    post_kind(stream, SESSION_EV_START);
}

void stream_stop(struct stream *stream)
{
    post_kind(stream, SESSION_EV_STOP);
}

void stream_tick(struct stream *stream)
{
    stream->deadline_ms = INT64_MAX;
    post_kind(stream, SESSION_EV_TICK);
}

void stream_pause(struct stream *stream)
{
    post_kind(stream, SESSION_EV_PAUSE);
}

void stream_resume(struct stream *stream)
{
    post_kind(stream, SESSION_EV_RESUME);
}

void stream_reconnect(struct stream *stream)
{
    post_kind(stream, SESSION_EV_RECONNECT);
}

void stream_credentials(struct stream *stream)
{
    post_kind(stream, SESSION_EV_CREDENTIAL);
}

void stream_store_stalled(struct stream *stream)
{
    post_kind(stream, SESSION_EV_STORE_STALLED);
}

void stream_store_ready(struct stream *stream)
{
    struct session_event event = {.kind = SESSION_EV_STORE_READY,
                                  .has_position = stream->has_position};
    stream_post(stream, &event);
}

void stream_room(struct stream *stream)
{
    stream_gaps_pump(stream);
    if (stream->n_gaps > 0)
        return;
    if (flow_releasing(stream->flow) && flow_release(stream->flow) != 0)
        return;
    stream_check_position(stream);
    stream_page_pump(stream);
    if (stream->link_blocked && stream->link != 0) {
        stream->link_blocked = false;
        stream->ops->link_resume(stream->arg, stream->link);
    }
}

void stream_link_connected(struct stream *stream, uint64_t link)
{
    if (link == stream->link)
        post_link(stream, SESSION_EV_LINK_CONNECTED, link, NULL);
}

void stream_link_open(struct stream *stream, uint64_t link)
{
    if (link != stream->link)
        return;
    stream->stats.opened++;
    post_link(stream, SESSION_EV_LINK_OPEN, link, NULL);
}

static void link_gone(struct stream *stream, uint64_t link)
{
    if (link != stream->link)
        return;
    stream->link = 0;
    stream->link_blocked = false;
}

void stream_link_failed(struct stream *stream, uint64_t link, const struct profile_end *end)
{
    stream->stats.failed++;
    link_gone(stream, link);
    post_link(stream, SESSION_EV_LINK_FAILED, link, end);
}

void stream_link_closed(struct stream *stream, uint64_t link, const struct profile_end *end)
{
    stream->stats.closed++;
    link_gone(stream, link);
    post_link(stream, SESSION_EV_LINK_CLOSED, link, end);
}

void stream_check_position(struct stream *stream)
{
    if (stream->has_position || flow_position(stream->flow).ptr == NULL)
        return;
    stream->has_position = true;
    post_kind(stream, SESSION_EV_POSITION);
}

static void apply_rules(struct stream *stream, uint64_t link, const struct profile_message *message)
{
    for (size_t i = 0; i < message->n_actions; i++) {
        const struct profile_trigger *rule = &message->actions[i];
        struct session_event event = {.kind = SESSION_EV_RULE, .link = link, .rule = rule};
        stream_post(stream, &event);
        if (stream->link != link)
            return; /* the rule ended the link: the rest of the message speaks of nothing */
    }
}

int stream_message(struct stream *stream, uint64_t link, enum stream_message_type type,
                   struct slice payload)
{
    if (link != stream->link)
        return 0;
    struct profile_message message;
    profile_scan_message(stream->scanner, payload, &message);
    enum flow_result result =
        flow_message(stream->flow, FLOW_LINK, &message, payload, type == STREAM_BINARY,
                     stream->ops->wall_us(stream->arg));
    if (result == FLOW_AGAIN) {
        stream->link_blocked = true;
        return ERR_AGAIN;
    }
    stream->stats.messages++;
    stream->stats.bytes += payload.len;
    if (result == FLOW_HELD_FIRST)
        post_link(stream, SESSION_EV_HELD_FIRST, link, NULL);
    else if (result == FLOW_HELD_FULL)
        post_link(stream, SESSION_EV_HELD_FULL, link, NULL);
    else if (result == FLOW_EMITTED)
        stream_check_position(stream);
    if (message.n_actions > 0)
        apply_rules(stream, link, &message);
    return 0;
}

void stream_oversize(struct stream *stream, uint64_t link, uint64_t bytes)
{
    (void)bytes;
    if (link == stream->link)
        flow_missing(stream->flow);
}

void stream_pong(struct stream *stream, uint64_t link, int64_t rtt_ms)
{
    if (link == stream->link)
        stream->stats.rtt_ms = rtt_ms;
}

/* ---- looking ---- */

bool stream_stopped(const struct stream *stream)
{
    return !stream->started || session_state(&stream->session) == SESSION_STOPPED;
}

void stream_stats(const struct stream *stream, struct stream_stats *out)
{
    *out = stream->stats;
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
