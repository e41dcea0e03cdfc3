/*
 * link: the one link of a session, from dial to end.
 *
 * A link that hawser closes goes on existing until its LINK_CLOSED or SESSION_CLOSE_MS: services
 * count connections, and a second one beside a half-closed one may be the one too many. Its end was
 * decided when the closing began, so how it then ends counts for nothing.
 */
#include <stdio.h>

#include "session/machine.h"

void session_dial(struct session *s, struct session_actions *out, const char *why)
{
    s->refreshing = false;
    if (s->store_stalled) {
        if (s->state != SESSION_STALLED)
            session_enter(s, out, SESSION_STALLED, SESSION_NEVER, "the store takes no more");
        return;
    }
    if (session_closing(s)) {
        if (s->state != SESSION_WAITING)
            session_enter(s, out, SESSION_WAITING, s->now_ms, "%s", why);
        s->dial_due = true;
        s->retry_at_ms = s->now_ms;
        s->wake_ms = SESSION_NEVER;
        return;
    }
    if (session_in(s, SESSION_BIT(STALLED) | SESSION_BIT(PAUSED)))
        session_enter(s, out, SESSION_WAITING, s->now_ms, "%s", why);
    s->wake_ms = SESSION_NEVER;
    s->retry_at_ms = s->now_ms;
    session_ask_slot(s, out, SESSION_WISH_LINK, why);
}

bool session_too_old(const struct session *s, char *why)
{
    int64_t keeps = s->profile->position.max_age_ms;
    if (!s->has_position || keeps <= 0 || s->whole_ms == INT64_MIN ||
        s->now_ms - s->whole_ms <= keeps)
        return false;
    int64_t age = s->now_ms - s->whole_ms;
    snprintf(why, SESSION_TEXT, "the position is %lld s old, and good for %lld s",
             (long long)(age / 1000), (long long)(keeps / 1000));
    return true;
}

void session_check_age(struct session *s, struct session_actions *out)
{
    char why[SESSION_TEXT];
    if (session_too_old(s, why))
        session_forget(s, out, why);
}

void session_dial_now(struct session *s, struct session_actions *out, const char *why)
{
    bool beside = session_fallback_dials(s, out);
    session_check_age(s, out);
    s->link = ++s->link_last;
    s->link_phase = SESSION_LINK_DIALING;
    s->sync.doubted = false;
    s->accepted_ms = -1;
    s->save_at_ms = SESSION_NEVER;
    struct session_action *action = session_do(out, SESSION_DO_DIAL);
    action->link = s->link;
    action->moved = s->moved;
    s->moved = false;
    if (beside)
        return;
    session_enter(s, out, SESSION_DIALING, SESSION_NEVER, "%s", why);
}

void session_link_abort(struct session *s, struct session_actions *out)
{
    if (s->link_phase == SESSION_LINK_NONE)
        return;
    session_do(out, SESSION_DO_LINK_ABORT)->link = s->link;
    s->link = 0;
    s->link_phase = SESSION_LINK_NONE;
}

void session_link_close(struct session *s, struct session_actions *out, int code)
{
    if (s->link_phase == SESSION_LINK_DIALING) {
        session_link_abort(s, out);
    } else if (s->link_phase == SESSION_LINK_UP) {
        struct session_action *action = session_do(out, SESSION_DO_LINK_CLOSE);
        action->link = s->link;
        action->code = code;
        s->link_phase = SESSION_LINK_CLOSING;
        s->close_by_ms = session_after(s, SESSION_CLOSE_MS);
    }
}

void session_redial(struct session *s, struct session_actions *out, const char *why)
{
    session_leave_link(s, out);
    session_link_close(s, out, s->profile->connect.close_code);
    session_dial(s, out, why);
}

bool session_closing(const struct session *s)
{
    return s->link_phase == SESSION_LINK_CLOSING || s->leaver.link != 0;
}

void session_closed(struct session *s, struct session_actions *out)
{
    s->link = 0;
    s->link_phase = SESSION_LINK_NONE;
    session_gone(s, out);
}

void session_gone(struct session *s, struct session_actions *out)
{
    if (session_closing(s))
        return; /* the other one */
    if (s->leaving != SESSION_STATE_COUNT) {
        enum session_state to = s->leaving;
        s->leaving = SESSION_STATE_COUNT;
        session_enter(s, out, to, SESSION_NEVER, "by request");
    } else if (s->dial_due) {
        session_dial(s, out, "the old link is gone");
    } else {
        session_fallback_go(s, out);
    }
}

void session_not_accepted(const struct session_pulse *pulse, struct profile_end *end)
{
    *end = (struct profile_end){.kind = PROFILE_END_FAILURE,
                                .failure = PROFILE_FAILURE_TIMEOUT,
                                .phase = PROFILE_PHASE_LIVE,
                                .retry_after_ms = -1};
    snprintf(end->text, sizeof(end->text), "the service has not accepted us within %lld s",
             (long long)(pulse->live_timeout_ms / 1000));
}

bool session_greeting(const struct session *s)
{
    return s->state == SESSION_GREETING || (s->fallback.on && s->link_phase == SESSION_LINK_UP);
}

void session_say_owed(struct session *s, struct session_actions *out)
{
    if (s->owes_no_resume)
        session_gap(out, SESSION_GAP_NO_RESUME,
                    "the service cannot tell what was sent while the link was down");
    s->owes_no_resume = false;
    if (s->owes_no_position)
        session_gap(out, SESSION_GAP_NO_POSITION, "the last run left no position to resume from");
    s->told_no_position = s->told_no_position || s->owes_no_position;
    s->owes_no_position = false;
}

void session_go_live(struct session *s, struct session_actions *out, const char *why)
{
    session_say_owed(s, out);
    session_catchup_end(s, out);
    session_release(s, out);
    s->probing = false;
    session_fallback_over(s);
    if (s->profile->live.by_rule)
        s->refreshes = 0; /* where a mere 101 is live, it takes SESSION_CALM_MS of it */
    session_enter(s, out, SESSION_LIVE, SESSION_NEVER, "%s", why);
    session_plan_save(s);
    session_audit_plan(s);
    session_handover_live(s);
}

void session_accepted(struct session *s, struct session_actions *out)
{
    const char *why = s->profile->live.by_rule ? "accepted by the service" : "the link is open";
    s->accepted_ms = s->now_ms;
    session_pulse_accepted(s, &s->pulse);
    session_plan_save(s);
    if (s->fallback.on) {
        session_catchup_end(s, out);
        session_fallback_stop(s, out);
    }
    bool fill = s->profile->catchup.via == PROFILE_CATCHUP_HTTP && s->has_position;
    bool learn = s->learn_tip && !s->has_position;
    if ((fill || learn) && s->sync.gate != SESSION_GATE_PASS)
        session_catchup_begin(s, out, why);
    else
        session_go_live(s, out, why);
}

void session_lost_sight(struct session *s, struct session_actions *out)
{
    if (s->profile->catchup.via == PROFILE_CATCHUP_NONE) {
        s->owes_no_resume = true;
    } else if (!s->has_position) {
        if (s->store_stalled)
            s->owes_no_position = true;
        else
            session_gap(out, SESSION_GAP_NO_POSITION,
                        "the link ended before the stream had a position to resume from");
        s->told_no_position = !s->store_stalled;
    }
}

void session_leave_link(struct session *s, struct session_actions *out)
{
    bool was_live = s->state == SESSION_LIVE, delivered = was_live || s->fallback.open;
    session_catchup_abandon(s, out);
    session_fallback_stop(s, out);
    session_drop_slot(s, out);
    session_handover_drop(s, out);
    s->probing = false;
    if (was_live)
        session_backoff_lived(s, s->now_ms - s->since_ms);
    if (delivered)
        session_lost_sight(s, out);
}

void session_lost_to(struct session *s, struct session_actions *out,
                     const struct profile_policy_action *action, const struct profile_end *end,
                     const char *why)
{
    int64_t lived = s->state == SESSION_LIVE ? s->now_ms - s->since_ms : 0;
    bool probing = s->probing;

    if (s->fallback.on) {
        session_fallback_link_lost(s, out, action, end, why);
        return;
    }
    session_leave_link(s, out);
    /* A probe is quiet: when it finds what it came for, nothing but the next probe changes. */
    if (probing &&
        (action->kind == PROFILE_POLICY_PARK || (end != NULL && session_same_end(end, &s->park)))) {
        session_park(s, out, end, why);
        return;
    }
    if (lived == 0 || lived < s->profile->backoff.reset_after_ms)
        s->attempts++;
    session_follow(s, out, action, end, why);
}

void session_lost(struct session *s, struct session_actions *out, const struct profile_end *end)
{
    char why[SESSION_TEXT];
    struct profile_policy_action action = session_judge(s, end, why, sizeof(why));
    session_lost_to(s, out, &action, end, why);
}
