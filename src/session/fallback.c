/*
 * fallback: another transport delivers while the WebSocket does not.
 *
 * It is taken after [fallback] after links in a row without life, or because the policy says so;
 * the state is POLLING then. The WebSocket is tried meanwhile, ever more seldom. With parallel = 2
 * that happens beside the fallback, which ends when the link is accepted: what both bring is there
 * twice and counts once. With parallel = 1 (services that count both together) the one has ended
 * before the other begins, both ways, and the position leads over.
 *
 * Seldom is for a fallback that delivers. While it fails too (the host is down altogether), the
 * WebSocket is tried by the plain backoff steps, as without a fallback; once it delivers again, the
 * seldom rhythm begins anew, or goes on if the WebSocket was not tried meanwhile.
 *
 * The fallback's own end is judged by the same policy. What asks for patience is waited for here,
 * beside the attempts at the WebSocket; what says that no attempt is of use (a rest, a refresh,
 * someone) ends the fallback as well, for both are the same account at the same service. A rest
 * that only the WebSocket's end asks for leaves a fallback that delivers alone.
 */
#include <stdio.h>

#include "session/machine.h"

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A long-poll begins at a position; the service's own default is not relied on. */
static bool can_begin(const struct session *s)
{
    return s->profile->fallback.exists &&
           (s->profile->fallback.transport != PROFILE_LONGPOLL || s->has_position || s->learn_tip);
}

bool session_fallback_takes(const struct session *s, const struct profile_policy_action *action)
{
    if (!can_begin(s))
        return false;
    switch (action->kind) {
    case PROFILE_POLICY_FALLBACK:
        return true;
    case PROFILE_POLICY_RETRY:
    case PROFILE_POLICY_RETRY_AFTER:
    case PROFILE_POLICY_FRESH:
    case PROFILE_POLICY_FORGET: {
        unsigned after = s->profile->fallback.after;
        return s->fallback.chosen || (after > 0 && s->attempts >= after);
    }
    case PROFILE_POLICY_HOLD:
        return s->fallback.chosen;
    case PROFILE_POLICY_REFRESH:
    case PROFILE_POLICY_PARK:
        return false;
    }
    return false;
}

/* [fallback] retry_primary, doubled with each attempt that it has led to. */
static int64_t rhythm_ms(struct session *s)
{
    int64_t every = later(s->profile->fallback.retry_primary_ms, SESSION_POLL_MS);
    for (unsigned i = 0; i < s->fallback.tries && every < PROFILE_RETRY_PRIMARY_MAX_MS; i++)
        every *= 2;
    if (every > PROFILE_RETRY_PRIMARY_MAX_MS)
        every = PROFILE_RETRY_PRIMARY_MAX_MS;
    return session_jitter_up_ms(s, every);
}

/* The same by backoff alone. */
static int64_t step_ms(struct session *s, const struct profile_policy_action *action,
                       const struct profile_end *end)
{
    int64_t delay = session_backoff_delay_ms(s, action, end, s->step);
    if (s->step < s->profile->backoff.n_steps)
        s->step++;
    return delay;
}

/* When the WebSocket is tried next: as its rhythm says, and no sooner than its end allows. */
static void plan_primary(struct session *s, const struct profile_policy_action *action,
                         const struct profile_end *end)
{
    struct session_fallback *fallback = &s->fallback;
    fallback->greet_by_ms = SESSION_NEVER;
    if (fallback->failing) {
        fallback->retried = true;
        fallback->primary_ms = session_after(s, step_ms(s, action, end));
        return;
    }
    int64_t every = rhythm_ms(s);
    fallback->primary_ms =
        session_after(s, later(every, session_backoff_delay_ms(s, action, end, 0)));
    fallback->tries++;
}

/* The fallback has ended before it delivered: the WebSocket is not to wait for its rhythm. */
static void fails(struct session *s, const struct profile_policy_action *action,
                  const struct profile_end *end)
{
    struct session_fallback *fallback = &s->fallback;
    if (fallback->failing)
        return;
    fallback->failing = true;
    fallback->retried = false;
    fallback->rhythm_at_ms = fallback->primary_ms;
    if (fallback->primary_ms == SESSION_NEVER) /* it is being tried */
        return;
    int64_t at = session_after(s, step_ms(s, action, end));
    if (at < fallback->primary_ms)
        fallback->primary_ms = at;
}

/* It delivers after it had failed. */
static void fails_no_more(struct session *s)
{
    struct session_fallback *fallback = &s->fallback;
    if (!fallback->failing)
        return;
    fallback->failing = false;
    if (fallback->primary_ms == SESSION_NEVER)
        return;
    if (!fallback->retried && fallback->rhythm_at_ms != SESSION_NEVER) {
        fallback->primary_ms = fallback->rhythm_at_ms;
        return;
    }
    fallback->tries = 0;
    fallback->primary_ms = session_after(s, rhythm_ms(s));
    fallback->tries++;
}

void session_fallback_begin(struct session *s, struct session_actions *out,
                            const struct profile_policy_action *action,
                            const struct profile_end *end, const char *why)
{
    struct session_fallback *fallback = &s->fallback;
    fallback->on = fallback->chosen = true;
    fallback->open = fallback->follows = fallback->use_next = false;
    fallback->next_ms = later(s->now_ms, fallback->patience_ms);
    plan_primary(s, action, end);
    session_enter(s, out, SESSION_POLLING, SESSION_NEVER, "the fallback %s takes over: %s",
                  s->profile->fallback.name, why);
    session_fallback_go(s, out);
}

void session_fallback_resume(struct session *s, struct session_actions *out, const char *why)
{
    const struct profile_policy_action retry = {.kind = PROFILE_POLICY_RETRY};
    s->fallback.chosen = can_begin(s);
    if (s->fallback.chosen)
        session_fallback_begin(s, out, &retry, NULL, why);
    else
        session_dial(s, out, why);
}

/* ---- its requests ---- */

void session_fallback_start(struct session *s, struct session_actions *out)
{
    struct session_fallback *fallback = &s->fallback;
    if (!fallback->on || fallback->request != 0)
        return;
    session_check_age(s, out);
    struct session_action *action = session_do(out, SESSION_DO_FALLBACK_START);
    fallback->request = ++s->sync.request_last;
    fallback->started_ms = s->now_ms;
    fallback->next_ms = SESSION_NEVER;
    action->request = fallback->request;
    action->use_next = fallback->use_next;
    fallback->follows = fallback->use_next = false;
}

/* A link that closes still counts: beside the fallback there is room for one, or none. */
static bool in_the_way(const struct session *s)
{
    return s->leaver.link != 0 || (s->profile->connect.parallel < 2 && session_closing(s));
}

/* Starts it when it is due, nothing is in its way, and there is leave to dial. */
void session_fallback_go(struct session *s, struct session_actions *out)
{
    struct session_fallback *fallback = &s->fallback;
    if (!fallback->on || fallback->request != 0 || s->sync.request != 0 ||
        s->slot.wish == SESSION_WISH_FALLBACK || s->now_ms < fallback->next_ms)
        return;
    if (in_the_way(s))
        return; /* session_gone() comes back, or the tick */
    if (s->learn_tip && !s->has_position) {
        if (s->now_ms < s->sync.next_ms && s->sync.backing_off)
            return;
        session_ask_for(s, SESSION_FOR_TIP);
        session_request(s, out);
        return;
    }
    if (fallback->follows) {
        session_fallback_start(s, out);
        return;
    }
    if (s->slot.wish == SESSION_WISH_LINK) /* it can wait: nothing is delivered now */
        fallback->primary_ms = session_after(s, SESSION_POLL_MS);
    fallback->next_ms = SESSION_NEVER;
    session_ask_slot(s, out, SESSION_WISH_FALLBACK, s->reason);
}

static void delivers(struct session *s, struct session_actions *out)
{
    struct session_fallback *fallback = &s->fallback;
    if (s->woke_ms >= 0 &&
        (s->profile->fallback.transport == PROFILE_LONGPOLL || !fallback->open)) {
        s->whole_ms = s->now_ms; /* it has answered since */
        s->woke_ms = -1;
    }
    if (fallback->open)
        return;
    fallback->open = true;
    fallback->opened_ms = s->now_ms;
    fails_no_more(s);
    session_say_owed(s, out);
    session_enter(s, out, SESSION_POLLING, SESSION_NEVER, "the fallback %s delivers",
                  s->profile->fallback.name);
}

/* It has delivered for long enough to be believed. */
static void lived(struct session *s)
{
    if (!s->fallback.open || s->now_ms - s->fallback.opened_ms < SESSION_CALM_MS)
        return;
    s->fallback.failures = 0;
    s->refreshes = 0;
}

static void delivers_no_more(struct session *s, struct session_actions *out)
{
    if (!s->fallback.open)
        return;
    lived(s);
    s->fallback.open = false;
    session_lost_sight(s, out);
}

void session_fallback_over(struct session *s)
{
    s->fallback.chosen = s->fallback.failing = false;
    s->fallback.patience_ms = 0;
}

/* Neither transport goes on: what the policy says follows. */
static void leave(struct session *s, struct session_actions *out,
                  const struct profile_policy_action *action, const struct profile_end *end,
                  const char *why)
{
    session_leave_link(s, out);
    session_link_close(s, out, s->profile->connect.close_code);
    session_fallback_over(s);
    session_follow(s, out, action, end, why);
}

void session_on_fallback_open(struct session *s, struct session_actions *out, uint64_t request)
{
    if (request != 0 && request == s->fallback.request)
        delivers(s, out);
}

void session_fallback_page(struct session *s, struct session_actions *out,
                           const struct session_page *page)
{
    struct session_fallback *fallback = &s->fallback;

    fallback->request = 0;
    if (page->gone)
        session_forget(s, out, "the service no longer knows the position");
    if (!can_begin(s)) {
        const struct profile_policy_action retry = {.kind = PROFILE_POLICY_RETRY};
        leave(s, out, &retry, NULL, "fallback: no position to go on from");
        return;
    }
    delivers(s, out);
    lived(s);
    fallback->follows = true;
    fallback->use_next = session_promised(page) && page->items == 0;
    /* A service that answers at once, and brings nothing, is not asked in a loop. */
    fallback->next_ms = page->fresh > 0 ? s->now_ms : fallback->started_ms + SESSION_POLL_MS;
    session_fallback_go(s, out);
}

void session_fallback_ended(struct session *s, struct session_actions *out,
                            const struct profile_end *end)
{
    struct session_fallback *fallback = &s->fallback;
    char what[SESSION_TEXT], why[SESSION_TEXT + 16];
    struct profile_policy_action action = session_judge(s, end, what, sizeof(what));

    fallback->request = 0;
    bool delivered = fallback->open;
    delivers_no_more(s, out);
    snprintf(why, sizeof(why), "fallback: %s", what);
    switch (action.kind) {
    case PROFILE_POLICY_FORGET:
        session_forget(s, out, why);
        if (can_begin(s))
            break;
        action.kind = PROFILE_POLICY_RETRY;
        leave(s, out, &action, end, why);
        return;
    case PROFILE_POLICY_FRESH:
        session_fresh(s, out);
        break;
    case PROFILE_POLICY_RETRY:
    case PROFILE_POLICY_RETRY_AFTER:
    case PROFILE_POLICY_FALLBACK:
        break;
    case PROFILE_POLICY_REFRESH:
    case PROFILE_POLICY_HOLD:
    case PROFILE_POLICY_PARK:
        leave(s, out, &action, end, why);
        return;
    }
    fallback->follows = fallback->use_next = false;
    fallback->next_ms =
        session_after(s, session_backoff_delay_ms(s, &action, end, fallback->failures++));
    fallback->patience_ms = fallback->next_ms;
    if (!delivered)
        fails(s, &action, end);
    session_enter(s, out, SESSION_POLLING, SESSION_NEVER, "%s", why);
}

void session_fallback_stop(struct session *s, struct session_actions *out)
{
    struct session_fallback *fallback = &s->fallback;
    if (!fallback->on)
        return;
    if (fallback->request != 0)
        session_do(out, SESSION_DO_HTTP_CANCEL)->request = fallback->request;
    fallback->request = 0;
    if (s->slot.wish == SESSION_WISH_FALLBACK)
        session_drop_slot(s, out);
    lived(s);
    fallback->on = fallback->open = false;
    fallback->next_ms = fallback->primary_ms = fallback->greet_by_ms = SESSION_NEVER;
}

/* ---- the WebSocket meanwhile ---- */

bool session_fallback_dials(struct session *s, struct session_actions *out)
{
    if (!s->fallback.on)
        return false;
    if (s->profile->connect.parallel >= 2)
        return true;
    bool delivered = s->fallback.open;
    session_catchup_end(s, out);
    session_fallback_stop(s, out);
    if (delivered)
        session_lost_sight(s, out);
    return false;
}

void session_fallback_link_open(struct session *s)
{
    int64_t timeout = s->pulse.live_timeout_ms;
    s->fallback.greet_by_ms = timeout > 0 ? session_after(s, timeout) : SESSION_NEVER;
}

void session_fallback_link_lost(struct session *s, struct session_actions *out,
                                const struct profile_policy_action *action,
                                const struct profile_end *end, const char *why)
{
    session_discard(s, out);
    s->attempts++;
    if (action->kind == PROFILE_POLICY_FORGET)
        session_forget(s, out, why);
    if (session_fallback_takes(s, action)) {
        if (action->kind == PROFILE_POLICY_FRESH)
            session_fresh(s, out);
        plan_primary(s, action, end);
        session_enter(s, out, SESSION_POLLING, SESSION_NEVER, "the WebSocket: %s", why);
        return;
    }
    leave(s, out, action, end, why);
}

static void try_primary(struct session *s, struct session_actions *out)
{
    struct session_fallback *fallback = &s->fallback;
    /* One wish at a time; and what closes still counts. */
    if (s->slot.wish != SESSION_WISH_NONE || session_closing(s)) {
        fallback->primary_ms = session_after(s, SESSION_POLL_MS);
        return;
    }
    fallback->primary_ms = SESSION_NEVER;
    session_ask_slot(s, out, SESSION_WISH_LINK, "the WebSocket is tried again");
}

void session_fallback_try_primary(struct session *s, struct session_actions *out)
{
    s->fallback.tries = 0;
    if (s->link_phase == SESSION_LINK_NONE && s->slot.wish != SESSION_WISH_LINK)
        try_primary(s, out);
}

/* One that is under way is heard out: a long-poll may have nothing to say, and still deliver. */
static int64_t primary_due_ms(const struct session *s)
{
    const struct session_fallback *fallback = &s->fallback;
    if (fallback->primary_ms == SESSION_NEVER || !fallback->failing || fallback->request == 0 ||
        s->profile->connect.parallel >= 2)
        return fallback->primary_ms;
    return later(fallback->primary_ms,
                 fallback->started_ms + s->profile->fallback.retry_primary_ms);
}

void session_fallback_tick(struct session *s, struct session_actions *out)
{
    struct session_fallback *fallback = &s->fallback;
    if (s->now_ms >= fallback->greet_by_ms && s->now_ms - fallback->greet_by_ms > SESSION_LATE_MS) {
        session_fallback_link_open(s); /* it was hawser that stood still */
    } else if (s->now_ms >= fallback->greet_by_ms) {
        struct profile_end end;
        session_not_accepted(&s->pulse, &end);
        session_link_close(s, out, s->profile->connect.close_code);
        session_lost(s, out, &end);
        return;
    }
    session_fallback_go(s, out);
    if (s->now_ms >= primary_due_ms(s))
        try_primary(s, out);
}

int64_t session_fallback_deadline_ms(const struct session *s)
{
    const struct session_fallback *fallback = &s->fallback;
    int64_t at = primary_due_ms(s);
    if (fallback->request == 0 && s->sync.request == 0 && !in_the_way(s)) {
        int64_t next = s->sync.backing_off && s->learn_tip && s->sync.next_ms > fallback->next_ms
                           ? s->sync.next_ms
                           : fallback->next_ms;
        at = at < next ? at : next;
    }
    return at < fallback->greet_by_ms ? at : fallback->greet_by_ms;
}
