/*
 * rules: what the service's own messages ask of the session. Sending, capturing and calling are the
 * engine's; here is what changes the link, the position or the policy.
 */
#include <stdio.h>

#include "session/machine.h"

static void rule_ends(struct session *s, struct session_actions *out,
                      const struct profile_rule_action *rule, enum profile_policy_kind kind)
{
    struct profile_policy_action action = {.kind = kind, .delay_ms = rule->delay_ms};
    char why[1024];
    bool text = rule->text != NULL && rule->text[0] != '\0';
    snprintf(why, sizeof(why), "rule %s%s%s", rule->rule != NULL ? rule->rule : "?",
             text ? ": " : "", text ? rule->text : "");
    session_link_close(s, out, s->profile->connect.close_code);
    session_lost_to(s, out, &action, NULL, why);
}

static void rule_sets(struct session *s, enum profile_setting setting, int64_t value_ms)
{
    session_pulse_set(s, &s->pulse, setting, value_ms);
    int64_t timeout = s->pulse.live_timeout_ms;
    int64_t accepted_by = timeout > 0 ? s->pulse.opened_ms + timeout : SESSION_NEVER;
    if (setting == PROFILE_SET_LIVE_TIMEOUT && s->state == SESSION_GREETING)
        s->wake_ms = accepted_by;
    if (setting == PROFILE_SET_LIVE_TIMEOUT && s->fallback.on)
        s->fallback.greet_by_ms = accepted_by;
    if (setting == PROFILE_SET_CONNECT_MAX_AGE)
        session_plan_age(s);
}

static void rule_forgets(struct session *s, struct session_actions *out, const char *text)
{
    session_forget(s, out, text);
    if (s->state == SESSION_LIVE)
        session_live_forgot(s, out);
    else if (session_in(s, SESSION_BIT(CATCHING_UP) | SESSION_BIT(POLLING)) && !s->fallback.on)
        session_go_live(s, out, "the position was dropped: nothing to catch up from");
    /* GREETING: going live releases what is held */
}

/* Of a successor: what concerns the stream counts, what concerns the link concerns that one. */
static void successor_rule(struct session *s, const struct session_event *event,
                           struct session_actions *out, const char *text)
{
    const struct profile_rule_action *rule = event->rule->action;
    struct profile_policy_action action = {.kind = PROFILE_POLICY_RETRY,
                                           .delay_ms = rule->delay_ms};
    switch (rule->kind) {
    case PROFILE_RULE_EVENT:
    case PROFILE_RULE_IGNORE:
    case PROFILE_RULE_SNAPSHOT:
    case PROFILE_RULE_CAPTURE:
    case PROFILE_RULE_SEND:
    case PROFILE_RULE_CALL:
    case PROFILE_RULE_SAY:
        return;
    case PROFILE_RULE_ALIVE:
    case PROFILE_RULE_SET:
    case PROFILE_RULE_LIVE:
        session_successor_told(s, out, event->rule);
        return;
    case PROFILE_RULE_FRESH:
        session_fresh(s, out);
        return;
    case PROFILE_RULE_FORGET:
        session_forget(s, out, text);
        session_live_forgot(s, out);
        return;
    case PROFILE_RULE_GAP:
        session_gap(out, SESSION_GAP_UPSTREAM, text);
        return;
    case PROFILE_RULE_HANDOVER:
        s->handover.moved = event->rule->value.ptr != NULL;
        break;
    case PROFILE_RULE_RECONNECT:
        break;
    case PROFILE_RULE_REFRESH:
        action.kind = PROFILE_POLICY_REFRESH;
        break;
    case PROFILE_RULE_HOLD:
        action.kind = PROFILE_POLICY_HOLD;
        break;
    case PROFILE_RULE_PARK:
        action.kind = PROFILE_POLICY_PARK;
        break;
    }
    session_successor_refused(s, out, &action, text);
}

void session_on_rule(struct session *s, const struct session_event *event,
                     struct session_actions *out)
{
    const struct profile_rule_action *rule = event->rule->action;
    const char *text = rule->text != NULL ? rule->text : rule->rule != NULL ? rule->rule : "";
    if (session_is_successor(s, event->link)) {
        successor_rule(s, event, out, text);
        return;
    }
    if (event->link != s->link || s->link_phase != SESSION_LINK_UP)
        return;
    switch (rule->kind) {
    case PROFILE_RULE_EVENT:
    case PROFILE_RULE_IGNORE:
    case PROFILE_RULE_SNAPSHOT:
    case PROFILE_RULE_CAPTURE:
    case PROFILE_RULE_SEND:
    case PROFILE_RULE_CALL:
    case PROFILE_RULE_SAY:
        return;
    case PROFILE_RULE_HANDOVER:
        session_handover(s, out, "the service asks us to move", event->rule->value.ptr != NULL,
                         true);
        return;
    case PROFILE_RULE_ALIVE:
        session_pulse_acked(&s->pulse);
        return;
    case PROFILE_RULE_FRESH:
        session_fresh(s, out);
        return;
    case PROFILE_RULE_SET:
        rule_sets(s, rule->setting, event->rule->value_ms);
        return;
    case PROFILE_RULE_LIVE:
        if (session_greeting(s))
            session_accepted(s, out);
        return;
    case PROFILE_RULE_RECONNECT:
        rule_ends(s, out, rule, PROFILE_POLICY_RETRY);
        return;
    case PROFILE_RULE_REFRESH:
        rule_ends(s, out, rule, PROFILE_POLICY_REFRESH);
        return;
    case PROFILE_RULE_FORGET:
        rule_forgets(s, out, text);
        return;
    case PROFILE_RULE_GAP:
        session_gap(out, SESSION_GAP_UPSTREAM, text);
        return;
    case PROFILE_RULE_HOLD:
        rule_ends(s, out, rule, PROFILE_POLICY_HOLD);
        return;
    case PROFILE_RULE_PARK:
        rule_ends(s, out, rule, PROFILE_POLICY_PARK);
        return;
    }
}
