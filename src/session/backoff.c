/*
 * backoff: how long until the next attempt. The first drop is answered at once, spread a little so
 * that thousands do not return together; every further one waits a step longer. Only time spent
 * live takes steps back, never the mere 101: a service that accepts and at once throws out is
 * approached more and more slowly.
 */
#include "session/machine.h"

#define JITTER_UP 0.1

static int64_t clamp_ms(double ms)
{
    /* Far beyond any sensible configuration, and far from overflow. */
    const double most = 365.0 * 86400000.0;
    return ms < 0 ? 0 : ms > most ? (int64_t)most : (int64_t)ms;
}

int64_t session_jitter_up_ms(struct session *s, int64_t delay_ms)
{
    return clamp_ms((double)delay_ms * (1.0 + JITTER_UP * rng_unit(&s->rng)));
}

int64_t session_backoff_step_ms(struct session *s, unsigned step)
{
    unsigned n = s->profile->backoff.n_steps;
    int64_t delay = n == 0 ? 0 : s->profile->backoff.steps_ms[step < n ? step : n - 1];
    if (delay <= 0)
        return (int64_t)rng_below(&s->rng, SESSION_SPREAD_MS + 1);
    double spread = s->profile->backoff.jitter * (2.0 * rng_unit(&s->rng) - 1.0);
    return clamp_ms((double)delay * (1.0 + spread));
}

int64_t session_backoff_delay_ms(struct session *s, const struct profile_policy_action *action,
                                 const struct profile_end *end, unsigned step)
{
    int64_t delay = session_backoff_step_ms(s, step);
    int64_t least = action->delay_ms;
    if (action->kind == PROFILE_POLICY_RETRY_AFTER && end != NULL && end->retry_after_ms > least)
        least = end->retry_after_ms < SESSION_RETRY_AFTER_MS ? end->retry_after_ms
                                                             : SESSION_RETRY_AFTER_MS;
    if (least <= 0)
        return delay;
    /* "At least": jittered upward only, and never all clients in the same instant. */
    least = session_jitter_up_ms(s, least);
    return least > delay ? least : delay;
}

void session_backoff_lived(struct session *s, int64_t lived_ms)
{
    int64_t back = lived_ms / SESSION_CALM_MS;
    s->step = back >= (int64_t)s->step ? 0 : s->step - (unsigned)back;
    if (back > 0)
        s->refreshes = 0;
    if (lived_ms > 0 && lived_ms >= s->profile->backoff.reset_after_ms) {
        s->step = 0;
        s->attempts = 0;
        s->fallback.tries = 0;
        s->probes = 0;
    }
}
