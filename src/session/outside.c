/*
 * outside: what comes neither from the link nor from a request: the operator, the store, the
 * credentials. Each of them may come in any state, also while the link is still closing.
 */
#include <stdio.h>

#include "session/machine.h"

void session_on_leave(struct session *s, struct session_actions *out, enum session_state to)
{
    if (session_in(s, 1u << to | SESSION_BIT(STOPPED)) || s->leaving == SESSION_STOPPED)
        return;
    if (s->leaving != SESSION_STATE_COUNT) {
        s->leaving = to; /* STOP overtakes PAUSE */
        return;
    }
    session_leave_link(s, out);
    session_link_close(s, out, s->profile->connect.close_code);
    s->wake_ms = SESSION_NEVER;
    s->retry_at_ms = -1;
    s->dial_due = s->refreshing = s->refresh_due = s->plain_wait = false;
    if (session_closing(s))
        s->leaving = to;
    else
        session_enter(s, out, to, SESSION_NEVER, "by request");
}

static void fresh_start(struct session *s)
{
    s->refreshes = 0;
    s->probes = 0;
}

void session_on_reconnect(struct session *s, struct session_actions *out)
{
    const char *why = "asked for by the operator";
    if (s->leaving != SESSION_STATE_COUNT)
        return;
    if (s->fallback.on) {
        session_fallback_try_primary(s, out);
    } else if (s->link_phase == SESSION_LINK_UP) {
        fresh_start(s);
        session_redial(s, out, why);
    } else if (session_in(s, SESSION_BIT(WAITING) | SESSION_BIT(HELD) | SESSION_BIT(PARKED))) {
        fresh_start(s);
        session_dial(s, out, why);
    }
}

void session_on_credential(struct session *s, struct session_actions *out)
{
    if (s->leaving != SESSION_STATE_COUNT)
        return;
    if (s->refreshing) {
        s->refreshing = false;
        if (s->now_ms >= s->retry_at_ms)
            session_dial(s, out, "credentials were read anew");
        else
            s->wake_ms = s->retry_at_ms;
    } else if (s->refresh_due) { /* a source has changed: that may be better than the next try */
        s->refresh_due = false;
    } else if (s->state == SESSION_PARKED || (s->state == SESSION_HELD && s->wakes_on_credential)) {
        fresh_start(s);
        session_dial(s, out, "credentials have changed");
    }
}

/* The slot is wanted no more: what it is for would have to be stored. */
static void asked_in_vain(struct session *s, struct session_actions *out)
{
    if (s->slot.wish == SESSION_WISH_NONE)
        return;
    session_drop_slot(s, out);
    if (s->slot.probe)
        s->wake_ms = session_after(s, SESSION_REFRESH_MS); /* stays parked: a probe can wait */
    else
        session_enter(s, out, SESSION_STALLED, SESSION_NEVER, "the store takes no more");
}

void session_on_stalled(struct session *s, struct session_actions *out)
{
    s->store_stalled = true;
    if (s->leaving != SESSION_STATE_COUNT)
        return;
    if (!session_in(s, SESSION_LINKED)) {
        asked_in_vain(s, out);
        return; /* waits and rests go on; session_dial() looks */
    }
    session_leave_link(s, out);
    session_link_close(s, out, 1001);
    session_enter(s, out, SESSION_STALLED, SESSION_NEVER, "the store takes no more");
}

void session_on_ready(struct session *s, struct session_actions *out, bool has_position)
{
    /* What had not reached the disk is gone: a first position, and a gap that told of none. */
    bool none_left = s->store_stalled && !has_position && (s->has_position || s->told_no_position);
    bool gap = s->owes_no_position || none_left;
    s->store_stalled = false;
    s->has_position = has_position;
    s->owes_no_position = false;
    s->told_no_position = gap;
    if (gap && s->profile->catchup.via != PROFILE_CATCHUP_NONE)
        session_gap(out, SESSION_GAP_NO_POSITION,
                    "the store failed before the stream had a position to resume from");
    if (s->state != SESSION_STALLED || s->leaving != SESSION_STATE_COUNT)
        return;
    if (s->fallback.chosen)
        session_fallback_resume(s, out, "the store takes events again");
    else
        session_dial(s, out, "the store takes events again");
}

void session_on_resume(struct session *s, struct session_actions *out)
{
    if (s->leaving == SESSION_PAUSED)
        s->leaving = SESSION_STATE_COUNT;
    else if (s->state != SESSION_PAUSED)
        return;
    session_dial(s, out, "resumed by the operator");
}

/* The service has counted the time that now_ms has not: what was whole is older by it. */
static void slept(struct session *s, int64_t slept_ms)
{
    if (slept_ms <= 0)
        return;
    if (session_is_whole(s))
        s->whole_ms = s->now_ms;
    s->woke_ms = s->now_ms;
    if (s->whole_ms != INT64_MIN)
        s->whole_ms -= slept_ms < SESSION_WAIT_MAX_MS ? slept_ms : SESSION_WAIT_MAX_MS;
}

/* A wait that only spares the network is pointless now, and an open link may be one in name only.
 * Spread, for all streams of this machine see the same change. */
void session_on_network(struct session *s, struct session_actions *out, int64_t slept_ms)
{
    slept(s, slept_ms);
    if (s->leaving != SESSION_STATE_COUNT ||
        (s->network_ms >= 0 && s->now_ms - s->network_ms < SESSION_NETWORK_MS))
        return;
    if (s->link_phase == SESSION_LINK_UP) {
        s->network_ms = s->now_ms;
        session_heartbeat_probe(s, out);
        return;
    }
    int64_t at = session_after(s, (int64_t)rng_below(&s->rng, SESSION_SPREAD_MS + 1));
    if (s->state != SESSION_WAITING || !s->plain_wait || s->refreshing || s->refresh_due ||
        s->wake_ms <= at)
        return;
    s->network_ms = s->now_ms;
    session_enter(s, out, SESSION_WAITING, at, "the network has changed: no more waiting");
}
