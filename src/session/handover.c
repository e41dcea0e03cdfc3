/*
 * handover: one link takes over from another that still serves, because the service asks, a token
 * is about to expire, or the link is as old as links get. No event is lost and none out of order.
 *
 * parallel = 2: the successor is dialled beside the link, and its events are held from its first
 * one. When it is accepted, the old link goes on until it has brought the first event that is held
 * (MET): then nothing can lie between, the links are switched, what is held is let go. If the old
 * link ends first, or does not come to it in SESSION_MEET_MS, sync fills what may lie between.
 * Until the switch the stream is live on the old link, and a successor that fails costs it nothing:
 * another one is tried after a backoff step.
 * parallel = 1: the link is closed, the next one dialled as soon as it is gone, and sync fills the
 * time between. That is neither a drop nor a flap, and costs no backoff.
 *
 * A link that was not live for SESSION_CALM_MS is handed over after a backoff step only: a service
 * that sends everyone on for ever is followed more and more slowly. While the stream catches up a
 * handover waits; before it is accepted there is nothing to hand over, so the link is left.
 *
 * The old link may end while the successor is not yet accepted: then the successor becomes the
 * link, wherever it is on its way, unless the old one's end says that no link is of use.
 */
#include <stdio.h>

#include "session/machine.h"

static bool wants_patience(const struct profile_policy_action *action)
{
    switch (action->kind) {
    case PROFILE_POLICY_RETRY:
    case PROFILE_POLICY_RETRY_AFTER:
    case PROFILE_POLICY_FRESH:
    case PROFILE_POLICY_FORGET:
    case PROFILE_POLICY_FALLBACK:
        return false;
    case PROFILE_POLICY_REFRESH:
    case PROFILE_POLICY_HOLD:
    case PROFILE_POLICY_PARK:
        return true;
    }
    return true;
}

void session_plan_age(struct session *s)
{
    int64_t age = s->pulse.max_age_ms;
    s->age_at_ms = SESSION_NEVER;
    if (age <= 0)
        return;
    /* Earlier by up to a tenth: links that opened together need not end together. */
    age -= (int64_t)((double)age * 0.1 * rng_unit(&s->rng));
    s->age_at_ms =
        age > SESSION_NEVER - s->pulse.opened_ms ? SESSION_NEVER : s->pulse.opened_ms + age;
}

static void reset(struct session *s)
{
    s->handover = (struct session_handover){.phase = SESSION_HANDOVER_NONE};
}

/* ---- begin ---- */

/* A service that sends us on before we have been live is answered like one that closes. */
static void move_before_live(struct session *s, struct session_actions *out, const char *why)
{
    const struct profile_policy_action retry = {.kind = PROFILE_POLICY_RETRY};
    s->moved = s->handover.moved;
    session_link_close(s, out, s->profile->connect.close_code);
    session_lost_to(s, out, &retry, NULL, why);
}

static void one_after_the_other(struct session *s, struct session_actions *out)
{
    const char *why = s->handover.why;
    s->moved = s->handover.moved;
    session_redial(s, out, why);
}

static void begin(struct session *s, struct session_actions *out)
{
    struct session_handover *handover = &s->handover;
    if (s->sync.gate != SESSION_GATE_PASS || session_closing(s)) {
        handover->by_ms = session_after(s, SESSION_ASK_MS);
        return;
    }
    if (s->profile->connect.parallel < 2) {
        one_after_the_other(s, out);
        return;
    }
    handover->phase = SESSION_HANDOVER_ASKED;
    session_ask_slot(s, out, SESSION_WISH_SUCCESSOR, handover->why);
}

static void when_due(struct session *s, struct session_actions *out)
{
    struct session_handover *handover = &s->handover;
    int64_t calm = s->now_ms - s->since_ms;
    if (calm < SESSION_CALM_MS) {
        handover->by_ms = session_after(s, session_backoff_step_ms(s, s->step));
        if (s->step < s->profile->backoff.n_steps)
            s->step++;
    }
    if (s->now_ms >= handover->by_ms)
        begin(s, out);
}

void session_handover(struct session *s, struct session_actions *out, const char *why, bool moved,
                      bool by_service)
{
    struct session_handover *handover = &s->handover;
    if (s->link_phase == SESSION_LINK_NONE || s->link_phase == SESSION_LINK_CLOSING)
        return; /* the next link is a new one anyway */
    handover->moved = handover->moved || moved;
    handover->by_service = handover->by_service || by_service;
    if (handover->phase != SESSION_HANDOVER_NONE)
        return; /* one is enough */
    if (by_service && session_greeting(s)) {
        move_before_live(s, out, why);
        return;
    }
    handover->phase = SESSION_HANDOVER_DUE;
    handover->by_ms = s->now_ms;
    handover->why = why;
    handover->failures = 0;
    s->age_at_ms = SESSION_NEVER;
    if (s->state == SESSION_LIVE)
        when_due(s, out);
}

void session_handover_live(struct session *s)
{
    struct session_handover *handover = &s->handover;
    if (handover->phase != SESSION_HANDOVER_DUE || handover->by_ms > s->now_ms)
        return;
    handover->by_ms = session_after(s, session_backoff_step_ms(s, s->step));
}

void session_successor_dial(struct session *s, struct session_actions *out)
{
    struct session_handover *handover = &s->handover;
    if (handover->phase != SESSION_HANDOVER_ASKED)
        return;
    struct session_action *action = session_do(out, SESSION_DO_DIAL);
    handover->phase = SESSION_HANDOVER_DIALING;
    handover->link = ++s->link_last;
    handover->connected = handover->held = handover->met = false;
    action->link = handover->link;
    action->moved = handover->moved;
    handover->moved = false;
    session_do(out, SESSION_DO_SUCCEED)->link = handover->link;
}

/* ---- the switch ---- */

/* The successor is the link from here; the old one is gone already, or goes now. */
static void switch_links(struct session *s, struct session_actions *out, bool up)
{
    uint64_t old = s->link_phase == SESSION_LINK_UP ? s->link : 0;
    uint64_t link = s->handover.link;

    session_do(out, SESSION_DO_SWITCH)->link = link;
    if (old != 0) {
        struct session_action *action = session_do(out, SESSION_DO_LINK_CLOSE);
        action->link = old;
        action->code = s->profile->connect.close_code;
        s->leaver = (struct session_leaver){old, session_after(s, SESSION_CLOSE_MS)};
    }
    s->link = link;
    s->link_phase = up ? SESSION_LINK_UP : SESSION_LINK_DIALING;
    session_holds(s);
    s->sync.held = s->handover.held;
    s->sync.doubted = false;
    s->accepted_ms = s->handover.phase == SESSION_HANDOVER_MEETING ? s->now_ms : -1;
    if (up) {
        s->pulse = s->handover.pulse;
        session_plan_age(s);
    }
    reset(s);
    session_plan_save(s);
}

/* The old link has not come to where the new one begins, and nothing can be asked for what lies
 * between. Of a quiet feed without positions that is nothing. */
static void say_unmet(struct session *s, struct session_actions *out)
{
    if (s->profile->catchup.via != PROFILE_CATCHUP_NONE || s->sync.held)
        session_lost_sight(s, out);
    session_say_owed(s, out);
}

static void take_over(struct session *s, struct session_actions *out, bool met, const char *why)
{
    switch_links(s, out, true);
    if (met || s->profile->catchup.via != PROFILE_CATCHUP_HTTP || !s->has_position) {
        if (!met)
            say_unmet(s, out);
        session_release(s, out);
        session_doubt_on(s, out);
        return;
    }
    session_catchup_end(s, out);
    session_backoff_lived(s, s->now_ms - s->since_ms);
    session_catchup_begin(s, out, why);
}

static void accepted(struct session *s, struct session_actions *out)
{
    struct session_handover *handover = &s->handover;
    handover->phase = SESSION_HANDOVER_MEETING;
    handover->by_ms = session_after(s, SESSION_MEET_MS);
    session_pulse_accepted(s, &handover->pulse);
    if (handover->met)
        take_over(s, out, true, "");
}

void session_on_met(struct session *s, struct session_actions *out)
{
    s->handover.met = s->handover.phase >= SESSION_HANDOVER_DIALING;
    if (s->handover.phase == SESSION_HANDOVER_MEETING)
        take_over(s, out, true, "");
}

/* ---- the successor's own end ---- */

static void dismiss(struct session *s, struct session_actions *out)
{
    struct session_handover *handover = &s->handover;
    if (handover->phase == SESSION_HANDOVER_DIALING) {
        session_do(out, SESSION_DO_LINK_ABORT)->link = handover->link;
    } else if (handover->link != 0) {
        struct session_action *action = session_do(out, SESSION_DO_LINK_CLOSE);
        action->link = handover->link;
        action->code = s->profile->connect.close_code;
        s->leaver = (struct session_leaver){handover->link, session_after(s, SESSION_CLOSE_MS)};
    }
    handover->link = 0;
}

void session_handover_drop(struct session *s, struct session_actions *out)
{
    dismiss(s, out);
    reset(s);
    s->age_at_ms = SESSION_NEVER;
}

void session_handover_put_off(struct session *s, struct session_actions *out)
{
    struct session_handover *handover = &s->handover;
    if (handover->phase == SESSION_HANDOVER_NONE || handover->phase == SESSION_HANDOVER_DUE)
        return;
    if (handover->phase == SESSION_HANDOVER_ASKED)
        session_drop_slot(s, out);
    dismiss(s, out);
    handover->phase = SESSION_HANDOVER_DUE;
    handover->by_ms = session_after(s, SESSION_ASK_MS);
}

/* It failed, or is refused by us; its link is dismissed already. The old link serves on. */
static void failed(struct session *s, struct session_actions *out,
                   const struct profile_policy_action *action, const struct profile_end *end,
                   const char *what)
{
    struct session_handover *handover = &s->handover;
    char why[SESSION_TEXT + 64];
    handover->link = 0;
    if (handover->failures == 0) {
        snprintf(why, sizeof(why), "handover: the new link failed, the old one serves on: %s",
                 what);
        session_say(out, why);
    }
    if (action->kind == PROFILE_POLICY_PARK) {
        reset(s); /* someone is needed, which the old link's end will say */
        return;
    }
    handover->phase = SESSION_HANDOVER_DUE;
    handover->by_ms =
        session_after(s, session_backoff_delay_ms(s, action, end, ++handover->failures));
}

static void successor_ended(struct session *s, struct session_actions *out,
                            const struct profile_end *end)
{
    char what[SESSION_TEXT];
    struct profile_policy_action action = session_judge(s, end, what, sizeof(what));
    failed(s, out, &action, end, what);
}

void session_successor_refused(struct session *s, struct session_actions *out,
                               const struct profile_policy_action *action, const char *why)
{
    dismiss(s, out);
    failed(s, out, action, NULL, why);
}

static void successor_full(struct session *s, struct session_actions *out)
{
    const struct profile_policy_action retry = {.kind = PROFILE_POLICY_RETRY};
    const char *why = "more came on the new link than can be held";
    if (s->handover.phase != SESSION_HANDOVER_MEETING ||
        s->profile->catchup.via != PROFILE_CATCHUP_HTTP || !s->has_position) {
        session_successor_refused(s, out, &retry, why);
        return;
    }
    switch_links(s, out, true);
    session_do(out, SESSION_DO_DISCARD);
    s->sync.gate = SESSION_GATE_DISCARD;
    session_catchup_end(s, out);
    session_backoff_lived(s, s->now_ms - s->since_ms);
    session_catchup_begin(s, out, why);
}

static void successor_open(struct session *s, struct session_actions *out)
{
    struct session_handover *handover = &s->handover;
    session_pulse_start(s, &handover->pulse);
    int64_t timeout = handover->pulse.live_timeout_ms;
    handover->phase = SESSION_HANDOVER_GREETING;
    handover->by_ms = timeout > 0 ? session_after(s, timeout) : SESSION_NEVER;
    if (!s->profile->live.by_rule)
        accepted(s, out);
}

bool session_on_successor(struct session *s, const struct session_event *event,
                          struct session_actions *out)
{
    struct session_handover *handover = &s->handover;
    if (handover->link == 0 || event->link != handover->link)
        return false;
    bool dialing = handover->phase == SESSION_HANDOVER_DIALING;
    if (event->kind == SESSION_EV_LINK_FAILED || event->kind == SESSION_EV_LINK_CLOSED)
        successor_ended(s, out, event->end);
    else if (event->kind == SESSION_EV_LINK_CONNECTED)
        handover->connected = true;
    else if (event->kind == SESSION_EV_LINK_OPEN && dialing)
        successor_open(s, out);
    else if (event->kind == SESSION_EV_HELD_FIRST)
        handover->held = true;
    else if (event->kind == SESSION_EV_HELD_FULL && !dialing)
        successor_full(s, out);
    else if (event->kind == SESSION_EV_SENT)
        session_pulse_sent(s, &handover->pulse, event->send);
    else if (event->kind == SESSION_EV_ANSWERED)
        session_pulse_answered(&handover->pulse, event->sends);
    else if (event->kind == SESSION_EV_ACKED)
        session_pulse_acked(&handover->pulse);
    return true;
}

bool session_is_successor(const struct session *s, uint64_t link)
{
    return s->handover.link != 0 && s->handover.link == link &&
           s->handover.phase > SESSION_HANDOVER_DIALING;
}

void session_successor_told(struct session *s, struct session_actions *out,
                            const struct profile_trigger *rule)
{
    struct session_handover *handover = &s->handover;
    bool greeting = handover->phase == SESSION_HANDOVER_GREETING;
    if (rule->action->kind == PROFILE_RULE_ALIVE) {
        session_pulse_acked(&handover->pulse);
    } else if (rule->action->kind == PROFILE_RULE_LIVE) {
        if (greeting)
            accepted(s, out);
    } else {
        session_pulse_set(s, &handover->pulse, rule->action->setting, rule->value_ms);
        int64_t timeout = handover->pulse.live_timeout_ms;
        if (greeting && rule->action->setting == PROFILE_SET_LIVE_TIMEOUT)
            handover->by_ms = timeout > 0 ? handover->pulse.opened_ms + timeout : SESSION_NEVER;
    }
}

/* ---- the old link's end ---- */

/* The successor is not accepted yet: the stream goes on with it from where it is. */
static void promote(struct session *s, struct session_actions *out, const char *what)
{
    bool open = s->handover.phase == SESSION_HANDOVER_GREETING;
    enum session_state to = open                    ? SESSION_GREETING
                            : s->handover.connected ? SESSION_OPENING
                                                    : SESSION_DIALING;
    int64_t lived = s->now_ms - s->since_ms, greet_by = s->handover.by_ms;
    session_catchup_end(s, out);
    session_backoff_lived(s, lived);
    session_lost_sight(s, out);
    if (lived < s->profile->backoff.reset_after_ms)
        s->attempts++;
    switch_links(s, out, open);
    session_enter(s, out, to, open ? greet_by : SESSION_NEVER,
                  "the old link has ended (%s); its successor goes on", what);
    s->save_due = true; /* should we end now, it is an attempt that has failed */
}

bool session_handover_outlives(struct session *s, struct session_actions *out,
                               const struct profile_end *end)
{
    char what[64], why[SESSION_TEXT];
    if (s->handover.link == 0) {
        s->moved = s->handover.moved; /* the next link goes where the service wants it */
        return false;
    }
    profile_end_describe(end, what, sizeof(what));
    if (s->handover.phase == SESSION_HANDOVER_MEETING) {
        snprintf(why, sizeof(why), "handed over: the old link has ended (%s)", what);
        take_over(s, out, false, why);
        return true;
    }
    if (wants_patience(profile_policy(s->profile, end, NULL)))
        return false;
    promote(s, out, what);
    return true;
}

/* ---- time ---- */

void session_handover_tick(struct session *s, struct session_actions *out)
{
    struct session_handover *handover = &s->handover;
    const struct profile_policy_action retry = {.kind = PROFILE_POLICY_RETRY};
    struct profile_end end;
    switch (handover->phase) {
    case SESSION_HANDOVER_NONE:
        if (s->now_ms >= s->age_at_ms)
            session_handover(s, out, "the link is as old as links get here", false, false);
        return;
    case SESSION_HANDOVER_DUE:
        if (s->now_ms >= handover->by_ms)
            begin(s, out);
        return;
    case SESSION_HANDOVER_ASKED:
    case SESSION_HANDOVER_DIALING:
        return;
    case SESSION_HANDOVER_GREETING:
        if (s->now_ms < handover->by_ms)
            return;
        if (s->now_ms - handover->by_ms > SESSION_LATE_MS) { /* it was hawser that stood still */
            handover->by_ms = session_after(s, handover->pulse.live_timeout_ms);
            return;
        }
        session_not_accepted(&handover->pulse, &end);
        session_successor_refused(s, out, &retry, end.text);
        return;
    case SESSION_HANDOVER_MEETING:
        if (s->now_ms >= handover->by_ms)
            take_over(s, out, false,
                      "handed over: the old link has not brought what the new one holds");
        return;
    }
}

int64_t session_handover_deadline_ms(const struct session *s)
{
    switch (s->handover.phase) {
    case SESSION_HANDOVER_NONE:
        return s->age_at_ms;
    case SESSION_HANDOVER_DUE:
    case SESSION_HANDOVER_GREETING:
    case SESSION_HANDOVER_MEETING:
        return s->handover.by_ms;
    case SESSION_HANDOVER_ASKED:   /* the broker owes the slot, */
    case SESSION_HANDOVER_DIALING: /* the executor LINK_OPEN or LINK_FAILED */
        return SESSION_NEVER;
    }
    return SESSION_NEVER;
}
