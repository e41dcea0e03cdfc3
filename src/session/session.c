/*
 * session: the steps, and the one function that changes the state.
 *
 * A step reads one event, changes the struct and appends actions; it never looks at a clock, never
 * blocks and never re-enters. What an event means depends on few things only: the state, the phase
 * of the link, and whether the session is leaving (STOP, PAUSE) while its link still closes.
 */
#include "session/session.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "session/machine.h"

#define BIT(state) SESSION_BIT(state)

/* ---- states ---- */

#define REST (BIT(WAITING) | BIT(HELD) | BIT(PARKED) | BIT(STALLED) | BIT(PAUSED) | BIT(STOPPED))

static const unsigned allowed[SESSION_STATE_COUNT] = {
    [SESSION_STARTING] = BIT(DIALING) | REST,
    /* To POLLING: the fallback takes over. */
    [SESSION_DIALING] =
        BIT(OPENING) | BIT(GREETING) | BIT(CATCHING_UP) | BIT(LIVE) | BIT(POLLING) | REST,
    [SESSION_OPENING] = BIT(GREETING) | BIT(CATCHING_UP) | BIT(LIVE) | BIT(POLLING) | REST,
    [SESSION_GREETING] = BIT(CATCHING_UP) | BIT(LIVE) | BIT(POLLING) | REST,
    /* To itself: a request failed and is tried again; the reason is new. */
    [SESSION_CATCHING_UP] = BIT(CATCHING_UP) | BIT(LIVE) | BIT(POLLING) | REST,
    /* To where a link is on its way: the old one has ended during a handover. To CATCHING_UP: by a
     * handover, or for a hole. */
    [SESSION_LIVE] =
        BIT(DIALING) | BIT(OPENING) | BIT(GREETING) | BIT(CATCHING_UP) | BIT(POLLING) | REST,
    /* To DIALING: the fallback makes way for the WebSocket. */
    [SESSION_POLLING] = BIT(DIALING) | BIT(POLLING) | BIT(CATCHING_UP) | BIT(LIVE) | REST,
    /* To itself: the broker says that it will be later, and why; a refresh is tried again. To HELD
     * and PARKED: the refresh that it waits for has failed. */
    [SESSION_WAITING] = BIT(DIALING) | REST,
    [SESSION_HELD] = BIT(DIALING) | BIT(WAITING) | BIT(STALLED) | BIT(PAUSED) | BIT(STOPPED),
    [SESSION_PARKED] = BIT(DIALING) | BIT(WAITING) | BIT(STALLED) | BIT(PAUSED) | BIT(STOPPED),
    [SESSION_STALLED] = BIT(POLLING) | BIT(WAITING) | BIT(PAUSED) | BIT(STOPPED),
    [SESSION_PAUSED] = BIT(WAITING) | BIT(STALLED) | BIT(STOPPED),
    [SESSION_STOPPED] = 0,
};

size_t session_copy_text(char *out, size_t size, const char *text)
{
    size_t len = strlen(text);
    if (len >= size) {
        len = size - 1;
        while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
            len--;
    }
    memmove(out, text, len);
    out[len] = '\0';
    return len;
}

struct session_action *session_do(struct session_actions *out, enum session_action_kind kind)
{
    assert(out->count < SESSION_ACTIONS_MAX);
    struct session_action *action = &out->item[out->count++];
    action->kind = kind;
    action->link = 0;
    action->request = 0;
    action->code = 0;
    action->purpose = SESSION_FOR_CATCHUP;
    action->use_next = action->moved = action->fallback = false;
    action->retry_ms = -1;
    action->text[0] = '\0';
    return action;
}

int64_t session_after(const struct session *s, int64_t delay_ms)
{
    if (delay_ms <= 0)
        return s->now_ms;
    return delay_ms > SESSION_NEVER - s->now_ms ? SESSION_NEVER : s->now_ms + delay_ms;
}

void session_enter(struct session *s, struct session_actions *out, enum session_state to,
                   int64_t wake_ms, const char *format, ...)
{
    char why[1024]; /* longer than what is kept, so that only session_copy_text() cuts */
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);

    assert(allowed[s->state] & 1u << to);
    struct session_action *action = session_do(out, SESSION_DO_STATE);
    action->from = s->state;
    action->to = to;
    if (s->state != to)
        s->since_ms = s->now_ms;
    s->state = to;
    s->wake_ms = wake_ms;
    s->dial_due = s->refreshing = s->refresh_due = s->plain_wait = false;
    s->retry_at_ms = -1;
    if (session_in(s, BIT(HELD) | BIT(PARKED) | BIT(PAUSED) | BIT(STALLED) | BIT(POLLING)))
        s->moved = false; /* an address that was named long ago may be nobody's */
    /* What is to be taken up again after a crash. */
    s->save_due = s->save_due || session_in(s, BIT(WAITING) | BIT(HELD) | BIT(PARKED) |
                                                   BIT(PAUSED) | BIT(STOPPED));
    if (session_in(s, BIT(WAITING) | BIT(HELD) | BIT(PARKED)) && wake_ms != SESSION_NEVER) {
        s->retry_at_ms = wake_ms;
        action->retry_ms = wake_ms - s->now_ms;
    } else if (s->sync.backing_off) {
        action->retry_ms = s->sync.next_ms > s->now_ms ? s->sync.next_ms - s->now_ms : 0;
    } else if (to == SESSION_POLLING && s->fallback.on && s->fallback.request == 0 &&
               s->fallback.next_ms != SESSION_NEVER && s->fallback.next_ms > s->now_ms) {
        action->retry_ms = s->fallback.next_ms - s->now_ms;
    }
    session_copy_text(s->reason, sizeof(s->reason), why);
    session_copy_text(action->text, sizeof(action->text), why);
}

void session_gap(struct session_actions *out, enum session_gap gap, const char *text)
{
    struct session_action *action = session_do(out, SESSION_DO_GAP);
    action->gap = gap;
    session_copy_text(action->text, sizeof(action->text), text);
}

void session_say(struct session_actions *out, const char *text)
{
    session_copy_text(session_do(out, SESSION_DO_SAY)->text, SESSION_TEXT, text);
}

void session_forget(struct session *s, struct session_actions *out, const char *why)
{
    s->learn_tip = false; /* for a first run only: what follows now is not to be missed */
    if (!s->has_position)
        return;
    s->has_position = false;
    session_do(out, SESSION_DO_FORGET);
    session_gap(out, SESSION_GAP_EPOCH, why);
    s->owes_no_resume = s->owes_no_position = false; /* of the same place, and this says it */
}

/* ---- the link ---- */

static void on_open(struct session *s, struct session_actions *out)
{
    s->link_phase = SESSION_LINK_UP;
    session_pulse_start(s, &s->pulse);
    session_plan_age(s);
    bool fill = s->profile->catchup.via == PROFILE_CATCHUP_HTTP && s->has_position;
    if (fill || (s->learn_tip && !s->has_position))
        session_hold(s, out);
    else
        session_release(s, out);
    if (!s->profile->live.by_rule) {
        session_accepted(s, out);
        return;
    }
    if (s->fallback.on) {
        session_fallback_link_open(s);
        return;
    }
    int64_t timeout = s->pulse.live_timeout_ms;
    session_enter(s, out, SESSION_GREETING, timeout > 0 ? session_after(s, timeout) : SESSION_NEVER,
                  "the link is open; waiting to be accepted");
}

static void on_end(struct session *s, struct session_actions *out, const struct profile_end *end)
{
    if (s->link_phase == SESSION_LINK_CLOSING) {
        session_closed(s, out);
        return;
    }
    if (s->link_phase == SESSION_LINK_UP && end->kind == PROFILE_END_CLOSE && end->code == 1006 &&
        !end->local)
        session_rhythm_cut(s, out);
    s->link = 0;
    s->link_phase = SESSION_LINK_NONE;
    if (!session_handover_outlives(s, out, end))
        session_lost(s, out, end);
}

static void on_pulse(struct session *s, const struct session_event *event,
                     struct session_actions *out)
{
    if (event->kind == SESSION_EV_SENT)
        session_pulse_sent(s, &s->pulse, event->send);
    else if (event->kind == SESSION_EV_ANSWERED)
        session_pulse_answered(&s->pulse, event->sends);
    else if (event->kind == SESSION_EV_ACKED)
        session_pulse_acked(&s->pulse);
    else if (event->kind == SESSION_EV_PONG) {
        session_pulse_ponged(&s->pulse);
        session_rtt_pong(s, out, event->rtt_ms);
    }
}

static void on_leaver(struct session *s, struct session_actions *out)
{
    s->leaver.link = 0;
    session_gone(s, out);
}

static void on_link(struct session *s, const struct session_event *event,
                    struct session_actions *out)
{
    bool ends = event->kind == SESSION_EV_LINK_FAILED || event->kind == SESSION_EV_LINK_CLOSED;
    if (ends && event->link != 0 && event->link == s->leaver.link) {
        on_leaver(s, out);
        return;
    }
    if (session_on_successor(s, event, out))
        return;
    if (event->link != s->link || s->link_phase == SESSION_LINK_NONE)
        return;
    if (ends)
        on_end(s, out, event->end);
    else if (event->kind == SESSION_EV_LINK_CONNECTED && s->state == SESSION_DIALING)
        session_enter(s, out, SESSION_OPENING, SESSION_NEVER, "connected");
    else if (event->kind == SESSION_EV_LINK_OPEN && s->link_phase == SESSION_LINK_DIALING)
        on_open(s, out);
    else if (event->kind == SESSION_EV_HELD_FIRST && s->sync.gate == SESSION_GATE_HOLD)
        s->sync.held = true;
    else if (event->kind == SESSION_EV_HELD_FULL && s->sync.gate == SESSION_GATE_HOLD)
        session_catchup_overflow(s, out);
    else if (s->link_phase == SESSION_LINK_UP)
        on_pulse(s, event, out);
}

static void on_dead_link(struct session *s, struct session_actions *out,
                         const struct profile_end *end)
{
    if (end->kind == PROFILE_END_CLOSE)
        s->dead_links++;
    /* Half-open: nobody would read a close frame. And two links that close are one too many. */
    if (end->kind == PROFILE_END_CLOSE || s->handover.link != 0)
        session_link_abort(s, out);
    else
        session_link_close(s, out, s->profile->connect.close_code);
    if (!session_handover_outlives(s, out, end))
        session_lost(s, out, end);
}

/* What flow has found on a link. */
static void on_flow(struct session *s, const struct session_event *event,
                    struct session_actions *out)
{
    bool up = s->link_phase == SESSION_LINK_UP && event->link == s->link;
    if (event->kind == SESSION_EV_MET) {
        if (up || session_is_successor(s, event->link))
            session_on_met(s, out);
    } else if (up && event->kind == SESSION_EV_HOLE) {
        session_on_hole(s, out, event->text);
    } else if (up && event->kind == SESSION_EV_DOUBT) {
        session_on_doubt(s, out);
    } else if (event->kind == SESSION_EV_FOLLOWS) {
        if (up)
            session_on_follows(s, out);
    } else if (up) {
        session_on_unkeyed(s, out);
    } else if (s->link_phase == SESSION_LINK_CLOSING && event->link == s->link &&
               s->sync.gate == SESSION_GATE_PASS) {
        session_holds(s); /* nothing to do for this link; the next one begins with it */
    }
}

/* ---- time ---- */

static void wake(struct session *s, struct session_actions *out)
{
    char why[SESSION_TEXT];
    bool late = s->now_ms - s->wake_ms > SESSION_LATE_MS;
    s->wake_ms = SESSION_NEVER;
    if (s->state == SESSION_GREETING && late) {
        /* It was hawser that stood still. */
        s->wake_ms = session_after(s, s->pulse.live_timeout_ms);
    } else if (s->state == SESSION_GREETING) {
        struct profile_end end;
        session_not_accepted(&s->pulse, &end);
        session_link_close(s, out, s->profile->connect.close_code);
        session_lost(s, out, &end);
    } else if (s->state == SESSION_PARKED) {
        if (s->store_stalled) { /* stays parked: a probe can wait */
            s->wake_ms = session_after(s, SESSION_REFRESH_MS);
            return;
        }
        snprintf(why, sizeof(why), "probe %u", s->probes);
        session_dial(s, out, why);
        s->slot.probe = true;
    } else if (s->refresh_due) {
        session_refresh_again(s, out);
    } else if (s->refreshing && s->now_ms < s->retry_at_ms) {
        s->refreshing = false;
        s->wake_ms = s->retry_at_ms;
    } else {
        if (s->refreshing)
            snprintf(why, sizeof(why), "the refresh was not answered within %d s",
                     SESSION_REFRESH_MS / 1000);
        else
            snprintf(why, sizeof(why), "attempt %u", s->attempts + 1);
        session_dial(s, out, why);
    }
}

static void on_tick(struct session *s, struct session_actions *out)
{
    struct profile_end end;
    if (s->leaver.link != 0 && s->now_ms >= s->leaver.by_ms) {
        session_do(out, SESSION_DO_LINK_ABORT)->link = s->leaver.link;
        on_leaver(s, out);
    }
    if (s->link_phase == SESSION_LINK_CLOSING && s->now_ms >= s->close_by_ms) {
        session_link_abort(s, out);
        session_closed(s, out);
    }
    if (s->leaving != SESSION_STATE_COUNT)
        return;
    if (s->link_phase == SESSION_LINK_UP && session_heartbeat_tick(s, out, &end)) {
        on_dead_link(s, out, &end);
        return;
    }
    if (s->now_ms >= s->wake_ms)
        wake(s, out);
    else if (s->fallback.on)
        session_fallback_tick(s, out);
    else if (session_in(s, BIT(CATCHING_UP) | BIT(POLLING))) {
        session_catchup_tick(s, out);
        return;
    }
    if (s->state == SESSION_LIVE)
        session_live_tick(s, out);
    if (s->state == SESSION_LIVE)
        session_handover_tick(s, out);
}

/* ---- requests ---- */

static void on_http(struct session *s, const struct session_event *event,
                    struct session_actions *out)
{
    bool page = event->kind == SESSION_EV_HTTP_PAGE;
    if (event->request == 0)
        return;
    if (event->request == s->fallback.request) {
        if (page)
            session_fallback_page(s, out, event->page);
        else
            session_fallback_ended(s, out, event->end);
    } else if (event->request == s->sync.request && event->kind != SESSION_EV_FALLBACK_ENDED) {
        if (s->state == SESSION_LIVE && page)
            session_live_page(s, out, event->page);
        else if (s->state == SESSION_LIVE)
            session_live_failed(s, out, event->end);
        else if (page)
            session_catchup_page(s, out, event->page);
        else
            session_catchup_failed(s, out, event->end);
    }
}

/* ---- the step ---- */

static void on_operator(struct session *s, enum session_event_kind wish,
                        struct session_actions *out)
{
    if (wish == SESSION_EV_RECONNECT)
        session_on_reconnect(s, out);
    else if (wish == SESSION_EV_RESUME)
        session_on_resume(s, out);
    else
        session_on_leave(s, out, wish == SESSION_EV_PAUSE ? SESSION_PAUSED : SESSION_STOPPED);
}

static void on_position(struct session *s)
{
    if (!s->has_position)
        s->whole_ms = s->now_ms; /* it is as young as can be */
    s->has_position = true;
    s->learn_tip = false;
    s->told_no_position = false;
}

static void dispatch(struct session *s, const struct session_event *event,
                     struct session_actions *out)
{
    switch (event->kind) {
    case SESSION_EV_MET:
    case SESSION_EV_HOLE:
    case SESSION_EV_DOUBT:
    case SESSION_EV_FOLLOWS:
    case SESSION_EV_UNKEYED:
        on_flow(s, event, out);
        return;
    case SESSION_EV_FALLBACK_OPEN:
        session_on_fallback_open(s, out, event->request);
        return;
    case SESSION_EV_EXPIRING:
        session_handover(s, out, "the credential is about to expire", false, false);
        return;
    case SESSION_EV_WINDOW_HALF:
        session_on_window_half(s);
        return;
    case SESSION_EV_REFRESH_FAILED:
        session_on_refresh_failed(s, out, event->end);
        return;
    case SESSION_EV_NETWORK:
        session_on_network(s, out, event->slept_ms);
        return;
    case SESSION_EV_SLOT:
        session_slot_granted(s, out);
        return;
    case SESSION_EV_SLOT_LATER:
        session_slot_later(s, out, event->at_ms, event->text);
        return;
    case SESSION_EV_START:
        if (s->state == SESSION_STARTING)
            session_begin(s, out);
        return;
    case SESSION_EV_STOP:
    case SESSION_EV_PAUSE:
    case SESSION_EV_RESUME:
    case SESSION_EV_RECONNECT:
        on_operator(s, event->kind, out);
        return;
    case SESSION_EV_TICK:
        on_tick(s, out);
        return;
    case SESSION_EV_STORE_STALLED:
        session_on_stalled(s, out);
        return;
    case SESSION_EV_STORE_READY:
        session_on_ready(s, out, event->has_position);
        return;
    case SESSION_EV_POSITION:
        on_position(s);
        return;
    case SESSION_EV_CREDENTIAL:
        session_on_credential(s, out);
        return;
    case SESSION_EV_RULE:
        session_on_rule(s, event, out);
        return;
    case SESSION_EV_HTTP_PAGE:
    case SESSION_EV_HTTP_FAILED:
    case SESSION_EV_FALLBACK_ENDED:
        on_http(s, event, out);
        return;
    case SESSION_EV_LINK_CONNECTED:
    case SESSION_EV_LINK_OPEN:
    case SESSION_EV_LINK_FAILED:
    case SESSION_EV_LINK_CLOSED:
    case SESSION_EV_HELD_FIRST:
    case SESSION_EV_HELD_FULL:
    case SESSION_EV_SENT:
    case SESSION_EV_ANSWERED:
    case SESSION_EV_ACKED:
    case SESSION_EV_PONG:
        on_link(s, event, out);
        return;
    }
}

int session_step(struct session *session, const struct session_event *event,
                 struct session_actions *out)
{
    struct session *s = session;
    out->count = 0;
    if (event->now_ms > s->now_ms)
        s->now_ms = event->now_ms;
    if (s->link_phase == SESSION_LINK_UP) {
        session_pulse_rx(&s->pulse, event->last_rx_ms);
        session_woken(s, event->last_rx_ms);
    }
    session_begin_step(s);
    s->by_flap = false;
    dispatch(s, event, out);
    session_end_step(s, out);
    session_check(s);
    return 0;
}

void session_init(struct session *session, const struct session_init_args *args)
{
    *session = (struct session){
        .profile = args->profile,
        .state = SESSION_STARTING,
        .wake_ms = SESSION_NEVER,
        .retry_at_ms = -1,
        .rtt = {.slow_since_ms = -1},
        .rtt_reconnects = args->rtt_reconnects,
        .accepted_ms = -1,
        .save_at_ms = SESSION_NEVER,
        .whole_ms = INT64_MIN,
        .woke_ms = -1,
        .network_ms = -1,
        .has_position = args->has_position,
        .owes_no_resume = args->profile->catchup.via == PROFILE_CATCHUP_NONE &&
                          (args->lived || args->has_position),
        .owes_no_position = args->profile->catchup.via != PROFILE_CATCHUP_NONE && args->lived &&
                            !args->has_position,
        .leaving = SESSION_STATE_COUNT,
        .age_at_ms = SESSION_NEVER,
        .sync = {.next_ms = SESSION_NEVER, .quiet_ms = -1, .doubt_at_ms = SESSION_NEVER},
        .audit = {.at_ms = SESSION_NEVER},
        .fallback = {.next_ms = SESSION_NEVER,
                     .primary_ms = SESSION_NEVER,
                     .greet_by_ms = SESSION_NEVER},
        .learn_tip = args->learn_tip && args->profile->catchup.tip != PROFILE_NONE,
    };
    rng_seed(&session->rng, args->seed);
    session_restore(session, args);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t session_deadline_ms(const struct session *session)
{
    const struct session *s = session;
    int64_t at = SESSION_NEVER;
    if (s->link_phase == SESSION_LINK_CLOSING)
        at = s->close_by_ms;
    if (s->leaver.link != 0)
        at = earlier(at, s->leaver.by_ms);
    if (s->leaving != SESSION_STATE_COUNT)
        return at;
    at = earlier(at, s->wake_ms);
    if (s->link_phase == SESSION_LINK_UP)
        at = earlier(at, earlier(s->save_at_ms, session_pulse_deadline_ms(s, &s->pulse)));
    if (s->fallback.on)
        at = earlier(at, session_fallback_deadline_ms(s));
    else if (s->sync.request == 0 && session_in(s, BIT(CATCHING_UP) | BIT(POLLING)))
        at = earlier(at, s->sync.next_ms);
    if (s->state == SESSION_LIVE)
        at = earlier(at, earlier(session_live_deadline_ms(s), session_handover_deadline_ms(s)));
    return at;
}

enum session_state session_state(const struct session *session)
{
    return session->state;
}

void session_status(const struct session *session, struct session_status *out)
{
    *out = (struct session_status){
        .state = session->state,
        .since_ms = session->since_ms,
        .retry_at_ms = session->retry_at_ms,
        .link = session->link,
        .dead_links = session->dead_links,
        .attempts = session->attempts,
        .successor = session->handover.link,
        .fallback = session->fallback.open,
    };
    if (session->fallback.on && session->fallback.primary_ms != SESSION_NEVER)
        out->retry_at_ms = session->fallback.primary_ms;
    session_copy_text(out->reason, sizeof(out->reason), session->reason);
    if (session->slot.wish == SESSION_WISH_NONE || session->slot.limit[0] == '\0')
        return;
    session_copy_text(out->waits_for, sizeof(out->waits_for), session->slot.limit);
    if (session->slot.wish == SESSION_WISH_LINK)
        out->retry_at_ms = session->slot.later_ms;
}
