/*
 * heartbeat: is the link alive? Alive means a proven round trip: any frame counts. A link on which
 * nothing has come for pong_timeout after a ping, or for idle, is half-open: neither end would ever
 * learn of it.
 *
 * hawser's own silence proves nothing about the peer: rx_ms comes from whoever reads, and a TICK
 * that is itself late means that the process stood still; then the clocks start anew.
 */
#include <stdio.h>

#include "session/machine.h"

void session_heartbeat_start(struct session *s)
{
    int64_t every = s->profile->heartbeat.ws_ping_ms;
    s->rx_ms = s->now_ms;
    s->pinged_ms = -1;
    s->ping_at_ms = every > 0 ? session_after(s, every) : SESSION_NEVER;
}

static int64_t add(int64_t at, int64_t delay)
{
    return delay > SESSION_NEVER - at ? SESSION_NEVER : at + delay;
}

static int64_t pong_deadline_ms(const struct session *s)
{
    int64_t timeout = s->profile->heartbeat.pong_timeout_ms;
    return s->pinged_ms < 0 || timeout <= 0 ? SESSION_NEVER : add(s->pinged_ms, timeout);
}

static int64_t idle_deadline_ms(const struct session *s)
{
    int64_t idle = s->profile->heartbeat.idle_ms;
    return idle <= 0 ? SESSION_NEVER : add(s->rx_ms, idle);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t session_heartbeat_deadline_ms(const struct session *s)
{
    return earlier(s->ping_at_ms, earlier(pong_deadline_ms(s), idle_deadline_ms(s)));
}

static void ping(struct session *s, struct session_actions *out)
{
    session_do(out, SESSION_DO_LINK_PING)->link = s->link;
    if (s->pinged_ms < 0)
        s->pinged_ms = s->now_ms;
    s->ping_at_ms = session_after(s, s->profile->heartbeat.ws_ping_ms);
}

bool session_heartbeat_tick(struct session *s, struct session_actions *out, struct profile_end *end)
{
    int64_t pong_by = pong_deadline_ms(s), idle_by = idle_deadline_ms(s);
    int64_t dead = earlier(pong_by, idle_by);

    if (s->now_ms < dead) {
        if (s->now_ms >= s->ping_at_ms)
            ping(s, out);
        return false;
    }
    if (s->now_ms - dead > SESSION_LATE_MS) {
        session_heartbeat_start(s);
        if (s->ping_at_ms != SESSION_NEVER)
            ping(s, out);
        return false;
    }
    *end = (struct profile_end){
        .kind = PROFILE_END_CLOSE, .code = 1006, .local = true, .retry_after_ms = -1};
    if (pong_by <= idle_by)
        snprintf(end->text, sizeof(end->text), "no answer to a ping for %lld s (half-open)",
                 (long long)(s->profile->heartbeat.pong_timeout_ms / 1000));
    else
        snprintf(end->text, sizeof(end->text), "nothing came for %lld s (half-open)",
                 (long long)(s->profile->heartbeat.idle_ms / 1000));
    return true;
}
