/*
 * saved: what outlives the process. A daemon that is killed and started again dials no more often
 * than one that runs: its waits, rests and strikes go on, and an attempt that was under way counts
 * as one that failed. Only lengths are kept, for the next life has another clock.
 */
#include <string.h>

#include "session/machine.h"

/* ---- out ---- */

/* An attempt that is not proven: should we end now, it has failed. */
static bool is_dialling(const struct session *s)
{
    if (s->slot.wish == SESSION_WISH_LINK)
        return true;
    return session_in(s, SESSION_LINKED) && s->link != 0 &&
           (s->accepted_ms < 0 || s->now_ms - s->accepted_ms < SESSION_CALM_MS);
}

static int64_t wait_left_ms(const struct session *s)
{
    int64_t at = s->refreshing ? s->retry_at_ms : s->wake_ms;
    if (!session_in(s, SESSION_BIT(WAITING) | SESSION_BIT(HELD) | SESSION_BIT(PARKED)))
        return -1;
    if (at == SESSION_NEVER)
        return s->slot.wish == SESSION_WISH_LINK || s->dial_due ? 0 : -1;
    return at > s->now_ms ? at - s->now_ms : 0;
}

/* The row's ring, newest first, as far as it counts. */
static void save_flap(const struct session *s, const struct session_flap *flap, uint32_t *ago_ms)
{
    for (unsigned i = 0; i < SESSION_FLAP_TIMES; i++) {
        ago_ms[i] = UINT32_MAX;
        if (i >= flap->count)
            continue;
        int64_t ago = s->now_ms - flap->at_ms[(flap->count - 1 - i) % SESSION_FLAP_TIMES];
        ago_ms[i] = ago < 0 ? 0 : ago < UINT32_MAX ? (uint32_t)ago : UINT32_MAX;
    }
}

void session_save(const struct session *session, int64_t now_ms, struct session_saved *out)
{
    struct session s = *session; /* as it is at now_ms */
    if (now_ms > s.now_ms)
        s.now_ms = now_ms;
    if (s.state == SESSION_LIVE)
        session_backoff_lived(&s, s.now_ms - s.since_ms);
    *out = (struct session_saved){
        .state = s.state,
        .wait_ms = wait_left_ms(&s),
        .since_ms = s.now_ms - s.since_ms,
        .step = s.step,
        .attempts = s.attempts,
        /* One that was not answered was none. */
        .refreshes = s.refreshing || s.refresh_due ? 0 : s.refreshes,
        .probes = s.probes,
        .fallback_attempts = s.fallback.failures,
        .dialled = is_dialling(&s),
        .wakes_on_credential = s.wakes_on_credential,
        .park = s.park,
        .live_ago_ms = session_is_whole(&s)      ? 0
                       : s.whole_ms == INT64_MIN ? -1
                                                 : s.now_ms - s.whole_ms,
    };
    if (s.probing)
        out->state = SESSION_PARKED;
    for (unsigned i = 0; i < PROFILE_FLAPS_MAX; i++)
        save_flap(&s, &s.flaps[i], out->flaps[i].ago_ms);
    session_copy_text(out->reason, sizeof(out->reason), s.reason);
}

/* ---- when ---- */

/* A link that was live when the machine fell asleep may be one in name only: it has yet to show. So
 * has a fallback: by its next page, or, where it streams, by outliving the silence that ends it. */
bool session_is_whole(const struct session *s)
{
    bool live = s->state == SESSION_LIVE, up = live || s->fallback.open;
    if (!up || s->woke_ms < 0)
        return up;
    return !live && s->profile->fallback.transport != PROFILE_LONGPOLL &&
           s->now_ms - s->woke_ms > s->profile->fallback.idle_ms;
}

void session_woken(struct session *s, int64_t rx_ms)
{
    if (rx_ms <= s->woke_ms)
        return;
    if (s->woke_ms >= 0 && s->state == SESSION_LIVE)
        s->whole_ms = rx_ms;
    s->woke_ms = -1;
}

static void consider(const struct session *s, int64_t at_ms, int64_t *next)
{
    if (at_ms > s->now_ms && at_ms < *next)
        *next = at_ms;
}

/* A link becomes proven, a backoff forgotten, and a position that ages is known to be fresh. */
void session_plan_save(struct session *s)
{
    int64_t next = SESSION_NEVER, max_age = s->profile->position.max_age_ms;
    if (s->link_phase == SESSION_LINK_UP && s->accepted_ms >= 0)
        consider(s, s->accepted_ms + SESSION_CALM_MS, &next);
    if (s->state == SESSION_LIVE && s->profile->backoff.reset_after_ms > 0)
        consider(s, s->since_ms + s->profile->backoff.reset_after_ms, &next);
    if (s->state == SESSION_LIVE && max_age > 0)
        consider(s, s->now_ms + (max_age / 8 > SESSION_CALM_MS ? max_age / 8 : SESSION_CALM_MS),
                 &next);
    s->save_at_ms = next;
}

/* A stream that is silent makes no steps: at its end it was whole until then. */
void session_begin_step(struct session *s)
{
    if (s->state != SESSION_LIVE && s->profile->fallback.transport != PROFILE_LONGPOLL &&
        session_is_whole(s))
        s->whole_ms = s->now_ms;
}

void session_end_step(struct session *s, struct session_actions *out)
{
    if (session_is_whole(s))
        s->whole_ms = s->now_ms;
    if (s->now_ms >= s->save_at_ms) {
        s->save_due = s->link_phase == SESSION_LINK_UP;
        session_plan_save(s);
    }
    /* With a slot asked for the executor saves before it grants it. */
    if (s->save_due && s->slot.wish == SESSION_WISH_NONE)
        session_do(out, SESSION_DO_SAVE);
    s->save_due = false;
}

/* ---- in ---- */

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Times lie before 0 until START says what the clock is. */
static void restore_flap(struct session_flap *flap, const uint32_t *ago_ms, int64_t since_ms)
{
    unsigned n = 0;
    while (n < SESSION_FLAP_TIMES && ago_ms[n] != UINT32_MAX)
        n++;
    for (unsigned i = 0; i < n; i++)
        flap->at_ms[i] = -(int64_t)ago_ms[n - 1 - i] - since_ms;
    flap->count = n;
}

void session_restore(struct session *s, const struct session_init_args *args)
{
    const struct session_saved *saved = args->saved;
    s->resumed.state = SESSION_STARTING;
    if (saved == NULL)
        return;
    /* A wall clock that went back has measured nothing. */
    int64_t ago = clamp(args->saved_ago_ms, 0, SESSION_WAIT_MAX_MS);
    int64_t wait = clamp(saved->wait_ms, -1, SESSION_WAIT_MAX_MS);
    if (saved->live_ago_ms >= 0)
        s->whole_ms = -clamp(saved->live_ago_ms, 0, SESSION_WAIT_MAX_MS) - ago;
    if (saved->state == SESSION_STOPPED)
        return; /* by a clean stop, which leaves nothing to wait for */
    s->step = saved->step < s->profile->backoff.n_steps ? saved->step : s->profile->backoff.n_steps;
    s->attempts = saved->attempts;
    s->refreshes = saved->refreshes;
    s->probes = saved->probes;
    s->fallback.failures = saved->fallback_attempts;
    s->park = saved->park;
    s->wakes_on_credential = saved->wakes_on_credential;
    for (unsigned i = 0; i < PROFILE_FLAPS_MAX; i++)
        restore_flap(&s->flaps[i], saved->flaps[i].ago_ms, ago);
    s->resumed = (struct session_resumed){
        .state = saved->state,
        .wait_ms = wait < 0     ? -1
                   : wait > ago ? wait - ago
                                : 0,
        .since_ms = clamp(saved->since_ms, 0, SESSION_WAIT_MAX_MS) + ago,
        .dialled = saved->dialled,
    };
    session_copy_text(s->reason, sizeof(s->reason), saved->reason);
    if (!args->source_changed)
        return;
    /* What kept us from dialling may be over, and nobody else would tell. */
    s->refreshes = 0;
    if (saved->state == SESSION_PARKED ||
        (saved->state == SESSION_HELD && saved->wakes_on_credential)) {
        s->probes = 0;
        s->resumed.state = SESSION_STARTING;
        s->resumed.dialled = false;
    }
}

static void shift(struct session *s)
{
    for (unsigned i = 0; i < PROFILE_FLAPS_MAX; i++)
        for (unsigned j = 0; j < SESSION_FLAP_TIMES; j++)
            s->flaps[i].at_ms[j] += s->now_ms;
    if (s->whole_ms != INT64_MIN)
        s->whole_ms += s->now_ms;
}

static void take_up(struct session *s, struct session_actions *out, enum session_state state,
                    int64_t wake_ms)
{
    char why[SESSION_TEXT];
    session_copy_text(why, sizeof(why), s->reason);
    session_enter(s, out, state, wake_ms, "%s", why[0] != '\0' ? why : "as before the restart");
    s->since_ms = s->now_ms - s->resumed.since_ms;
    s->save_due = false; /* that it goes on is no news */
}

void session_begin(struct session *s, struct session_actions *out)
{
    static const struct profile_policy_action retry = {.kind = PROFILE_POLICY_RETRY};
    const struct session_resumed *resumed = &s->resumed;
    int64_t wake = resumed->wait_ms < 0 ? SESSION_NEVER : session_after(s, resumed->wait_ms);

    shift(s);
    if (resumed->dialled && resumed->state == SESSION_PARKED) {
        take_up(s, out, SESSION_PARKED, session_next_probe_ms(s));
        s->save_due = true;
    } else if (resumed->dialled) {
        s->attempts++;
        session_wait_backoff(s, out, &retry, NULL,
                             "hawser itself ended during the last attempt, which counts as failed");
    } else if (resumed->state == SESSION_PARKED) {
        take_up(s, out, SESSION_PARKED, s->profile->park_probe_ms > 0 ? wake : SESSION_NEVER);
    } else if (resumed->state == SESSION_PAUSED) {
        take_up(s, out, SESSION_PAUSED, SESSION_NEVER);
    } else if (resumed->wait_ms > 0 &&
               (resumed->state == SESSION_WAITING || resumed->state == SESSION_HELD)) {
        take_up(s, out, resumed->state, wake);
    } else {
        session_dial(s, out, "start");
    }
}
