/* What an action takes from the message that triggers it. */
#include <stdlib.h>

#include "profile/scanner.h"

#define NUMBER_TEXT_MAX 64

/* Absent where it is no good, which is then said. */
static struct slice take_text(struct profile_scanner *s, const struct profile_rule_action *action,
                              const char *what, size_t max, struct profile_message *out)
{
    const struct sources *sources = &s->profile->priv->taken[action->value];
    const struct source *at;
    struct slice text;
    int rc = scanner_sources(s, sources, &s->taken[out->n_actions], &text, &at);
    bool long_one = rc == ERR_LIMIT || (rc == 0 && text.len > max);

    if (rc == 0 && !long_one)
        return text;
    if (long_one)
        scanner_fault(s, out, "%s of [on %s] is %zu bytes, limit is %zu", what, action->rule,
                      rc == 0 ? text.len : scanner_source_len(s, at), max);
    else if (rc != ERR_NOTFOUND)
        scanner_fault(s, out, "%s of [on %s] is neither a string nor a number", what, action->rule);
    return (struct slice){NULL, 0};
}

/* False: there is none, or none that could be set; the setting stays what it is. */
static bool take_number(struct profile_scanner *s, const struct profile_rule_action *action,
                        int64_t *out_ms, struct profile_message *out)
{
    struct slice text = take_text(s, action, "set", NUMBER_TEXT_MAX, out);
    char copy[NUMBER_TEXT_MAX + 1], *end;
    double value;

    if (text.ptr == NULL)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    value = strtod(copy, &end) * action->factor;
    /* Not the other way round: nothing holds of what is no number. */
    if (*end == '\0' && value >= PROFILE_SET_MIN_MS && value <= PROFILE_SET_MAX_MS) {
        *out_ms = (int64_t)value;
        return true;
    }
    scanner_fault(s, out, "set of [on %s]: `%s` is no time from %d ms to %d s", action->rule, copy,
                  PROFILE_SET_MIN_MS, PROFILE_SET_MAX_MS / 1000);
    return false;
}

void scanner_trigger(struct profile_scanner *s, const struct profile_rule_action *action,
                     struct profile_message *out)
{
    struct profile_trigger *trigger = &out->actions[out->n_actions];

    if (out->n_actions == PROFILE_ACTIONS_MAX) {
        scanner_fault(s, out, "more than %d actions for one message", PROFILE_ACTIONS_MAX);
        return;
    }
    *trigger = (struct profile_trigger){.action = action};
    if (action->kind == PROFILE_RULE_CAPTURE)
        trigger->value = take_text(s, action, "capture", LIMIT_VARIABLE, out);
    else if (action->kind == PROFILE_RULE_HANDOVER && action->value != PROFILE_NONE)
        trigger->value = take_text(s, action, "handover", PROFILE_ADDRESS_MAX, out);
    else if (action->kind == PROFILE_RULE_SET && !take_number(s, action, &trigger->value_ms, out))
        return;
    out->n_actions++;
}
