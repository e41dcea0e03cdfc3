/*
 * policy: what an end leads to. The profile's tables give the row; flaps (the same kind of end too
 * often in a period) may outweigh it; then the session waits, rests or parks.
 */
#include <stdio.h>
#include <string.h>

#include "session/machine.h"

bool session_same_end(const struct profile_end *a, const struct profile_end *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case PROFILE_END_CLOSE:
    case PROFILE_END_STATUS:
        return a->code == b->code;
    case PROFILE_END_FAILURE:
        return a->failure == b->failure &&
               (a->failure != PROFILE_FAILURE_TIMEOUT || a->phase == b->phase);
    }
    return false;
}

/* Counts the end in the row's ring. True when it is one too many; then counting starts anew. */
static bool flap_strikes(struct session *s, struct session_flap *seen,
                         const struct profile_flap *row)
{
    unsigned limit = row->count < SESSION_FLAP_TIMES ? row->count : SESSION_FLAP_TIMES;
    seen->at_ms[seen->count % SESSION_FLAP_TIMES] = s->now_ms;
    seen->count++;
    if (limit == 0 || seen->count < limit)
        return false;
    if (s->now_ms - seen->at_ms[(seen->count - limit) % SESSION_FLAP_TIMES] > row->period_ms)
        return false;
    seen->count = 0;
    return true;
}

static bool flap_matches(const struct profile_flap *row, const struct profile_end *end)
{
    int code = end->kind == PROFILE_END_FAILURE ? (int)end->failure : end->code;
    return row->kind == end->kind && code >= row->code_from && code <= row->code_to;
}

/* A flap makes things stricter, never laxer. */
static bool outweighs(const struct profile_policy_action *flap,
                      const struct profile_policy_action *row)
{
    if (row->kind == PROFILE_POLICY_PARK)
        return false;
    if (row->kind == PROFILE_POLICY_HOLD)
        return flap->kind == PROFILE_POLICY_PARK ||
               (flap->kind == PROFILE_POLICY_HOLD && flap->delay_ms > row->delay_ms);
    return true;
}

/* "3 times in 120 s: close 4003: text (cause. Fix: what to do)". */
static void describe(const struct session *s, const struct profile_end *end, const char *rhythm,
                     char *out, size_t size)
{
    char what[128], line[2048];
    const char *explain = NULL;
    profile_policy(s->profile, end, &explain);
    profile_end_describe(end, what, sizeof(what));
    snprintf(line, sizeof(line), "%s%s%s%s%s%s%s", rhythm, what, end->text[0] != '\0' ? ": " : "",
             end->text, explain != NULL ? " (" : "", explain != NULL ? explain : "",
             explain != NULL ? ")" : "");
    session_copy_text(out, size, line);
}

struct profile_policy_action session_judge(struct session *s, const struct profile_end *end,
                                           char *why, size_t size)
{
    const struct profile *profile = s->profile;
    struct profile_policy_action result = *profile_policy(profile, end, NULL);
    char rhythm[64] = "";
    for (unsigned i = 0; i < profile->n_flaps && i < PROFILE_FLAPS_MAX; i++) {
        const struct profile_flap *row = &profile->flaps[i];
        if (!flap_matches(row, end) || !flap_strikes(s, &s->flaps[i], row) ||
            !outweighs(&row->action, &result))
            continue;
        result = row->action;
        s->by_flap = true;
        snprintf(rhythm, sizeof(rhythm), "%u times in %lld s: ", row->count,
                 (long long)(row->period_ms / 1000));
    }
    describe(s, end, rhythm, why, size);
    return result;
}

/* Would another credential help against this end? */
static bool about_credential(const struct session *s, const struct profile_end *end)
{
    if (end == NULL)
        return false;
    switch (end->kind) {
    case PROFILE_END_STATUS:
        /* 407: the proxy's, which tells of its changes in the same way. */
        return end->code == 401 || end->code == 403 || end->code == 407;
    case PROFILE_END_FAILURE:
        return end->failure == PROFILE_FAILURE_CREDENTIAL;
    case PROFILE_END_CLOSE: {
        enum profile_policy_kind kind = profile_policy(s->profile, end, NULL)->kind;
        return kind == PROFILE_POLICY_REFRESH || kind == PROFILE_POLICY_PARK;
    }
    }
    return false;
}

int64_t session_next_probe_ms(struct session *s)
{
    int64_t probe = s->profile->park_probe_ms;
    if (probe <= 0)
        return SESSION_NEVER;
    for (unsigned i = 0; i < s->probes && probe < SESSION_PROBE_MS; i++)
        probe = probe < SESSION_PROBE_MS / 2 ? probe * 2 : SESSION_PROBE_MS;
    s->probes++;
    return session_after(s, session_jitter_up_ms(s, probe));
}

void session_park(struct session *s, struct session_actions *out, const struct profile_end *end,
                  const char *why)
{
    int64_t wake = session_next_probe_ms(s);
    /* No end has code 0: what a rule parked is the same only to the same rule. */
    s->park = end != NULL ? *end : (struct profile_end){.kind = PROFILE_END_CLOSE};
    session_enter(s, out, SESSION_PARKED, wake, "%s", why);
}

static void rest(struct session *s, struct session_actions *out,
                 const struct profile_policy_action *action, const struct profile_end *end,
                 const char *why)
{
    int64_t delay = action->delay_ms;
    if (end != NULL && end->retry_after_ms > delay)
        delay = end->retry_after_ms < SESSION_RETRY_AFTER_MS ? end->retry_after_ms
                                                             : SESSION_RETRY_AFTER_MS;
    s->wakes_on_credential = about_credential(s, end);
    session_enter(s, out, SESSION_HELD, session_after(s, session_jitter_up_ms(s, delay)), "%s",
                  why);
}

/* Is this wait one that only spares the network? Then a changed network ends it. */
static bool is_plain(const struct session *s, const struct profile_policy_action *action,
                     const struct profile_end *end)
{
    bool told =
        action->kind == PROFILE_POLICY_RETRY_AFTER && end != NULL && end->retry_after_ms > 0;
    return !told && !s->by_flap;
}

void session_wait_backoff(struct session *s, struct session_actions *out,
                          const struct profile_policy_action *action, const struct profile_end *end,
                          const char *why)
{
    int64_t delay = session_backoff_delay_ms(s, action, end, s->step);
    if (s->step < s->profile->backoff.n_steps)
        s->step++;
    session_enter(s, out, SESSION_WAITING, session_after(s, delay), "%s", why);
    s->plain_wait = is_plain(s, action, end);
}

static void refresh(struct session *s, struct session_actions *out,
                    const struct profile_policy_action *action, const struct profile_end *end,
                    const char *why)
{
    if (s->refreshes > 0) {
        char text[SESSION_TEXT + 64];
        snprintf(text, sizeof(text), "again after a refresh: %s", why);
        session_park(s, out, end, text);
        return;
    }
    s->refreshes++;
    session_do(out, SESSION_DO_REFRESH);
    session_wait_backoff(s, out, action, end, why);
    s->refreshing = true;
    s->wake_ms = session_after(s, SESSION_REFRESH_MS);
}

void session_refresh_again(struct session *s, struct session_actions *out)
{
    session_do(out, SESSION_DO_REFRESH);
    session_enter(s, out, SESSION_WAITING, SESSION_NEVER, "asking for a new credential again");
    s->refreshing = true;
    s->wake_ms = session_after(s, SESSION_REFRESH_MS);
}

void session_on_refresh_failed(struct session *s, struct session_actions *out,
                               const struct profile_end *end)
{
    char what[SESSION_TEXT], why[SESSION_TEXT + 64];
    if (s->leaving != SESSION_STATE_COUNT || !s->refreshing)
        return;
    struct profile_policy_action action = session_judge(s, end, what, sizeof(what));
    snprintf(why, sizeof(why), "no new credential: %s", what);
    switch (action.kind) {
    case PROFILE_POLICY_RETRY:
    case PROFILE_POLICY_RETRY_AFTER:
    case PROFILE_POLICY_FRESH:
    case PROFILE_POLICY_FORGET: /* the link's business; here it is one more try */
        s->attempts++;
        session_wait_backoff(s, out, &action, end, why);
        s->refresh_due = true;
        return;
    case PROFILE_POLICY_REFRESH:
        snprintf(why, sizeof(why), "the refresh token was refused: %s", what);
        session_park(s, out, end, why);
        return;
    case PROFILE_POLICY_PARK:
        session_park(s, out, end, why);
        return;
    case PROFILE_POLICY_FALLBACK:
        action.delay_ms = SESSION_NO_FALLBACK_MS;
        rest(s, out, &action, end, why);
        return;
    case PROFILE_POLICY_HOLD:
        rest(s, out, &action, end, why);
        return;
    }
}

void session_fresh(struct session *s, struct session_actions *out)
{
    session_do(out, SESSION_DO_FRESH);
    if (s->profile->catchup.via == PROFILE_CATCHUP_SESSION && s->whole_ms != INT64_MIN)
        s->owes_no_resume = true;
}

/* The fallback transport, now. Where there is none, the way that is barred is left alone. */
static void fall_back(struct session *s, struct session_actions *out,
                      const struct profile_policy_action *action, const struct profile_end *end,
                      const char *why)
{
    struct profile_policy_action hold = *action;
    if (hold.delay_ms < SESSION_NO_FALLBACK_MS)
        hold.delay_ms = SESSION_NO_FALLBACK_MS;
    rest(s, out, &hold, end, why);
}

void session_follow(struct session *s, struct session_actions *out,
                    const struct profile_policy_action *action, const struct profile_end *end,
                    const char *why)
{
    bool fallback = session_fallback_takes(s, action);
    if (action->kind == PROFILE_POLICY_FORGET)
        session_forget(s, out, why);
    if (action->kind == PROFILE_POLICY_FRESH)
        session_fresh(s, out);
    if (fallback && !s->store_stalled) {
        session_fallback_begin(s, out, action, end, why);
        return;
    }
    switch (action->kind) {
    case PROFILE_POLICY_RETRY:
    case PROFILE_POLICY_RETRY_AFTER:
    case PROFILE_POLICY_FORGET:
    case PROFILE_POLICY_FRESH:
        session_wait_backoff(s, out, action, end, why);
        return;
    case PROFILE_POLICY_FALLBACK:
        fall_back(s, out, action, end, why);
        return;
    case PROFILE_POLICY_REFRESH:
        refresh(s, out, action, end, why);
        return;
    case PROFILE_POLICY_HOLD:
        rest(s, out, action, end, why);
        return;
    case PROFILE_POLICY_PARK:
        session_park(s, out, end, why);
        return;
    }
}
