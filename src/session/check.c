/*
 * check: what holds after every step, whatever came. A failure here is a bug of this room: what
 * peers, operators and executors do must not be able to cause one.
 */
#include <assert.h>

#include "session/machine.h"

#define BIT(state) SESSION_BIT(state)

/* The worst paths through one step, by their building blocks. */
static_assert(SESSION_COST_SAY + SESSION_COST_CLOSE + SESSION_COST_LEAVE + SESSION_COST_FOLLOW +
                      SESSION_COST_SAVE <=
                  SESSION_ACTIONS_MAX,
              "a link is closed, or has ended in a rhythm, and its end is followed");
static_assert(SESSION_COST_CLOSE + SESSION_COST_PROBE + SESSION_COST_CLOSE + SESSION_COST_LEAVE +
                      SESSION_COST_FOLLOW + SESSION_COST_SAVE <=
                  SESSION_ACTIONS_MAX,
              "a tick: the other link's close deadline, a ping, then the live timeout");
static_assert(2 * SESSION_COST_CLOSE + SESSION_COST_DIAL + SESSION_COST_REQUEST +
                      SESSION_COST_SAVE <=
                  SESSION_ACTIONS_MAX,
              "a tick: the close deadlines, then the dial that waited for them");
static_assert(1 + SESSION_COST_STOP + SESSION_COST_CATCHUP + SESSION_COST_SAVE <=
                  SESSION_ACTIONS_MAX,
              "open: HOLD or RELEASE, the fallback ends, catch-up");
static_assert(1 + SESSION_COST_STOP + SESSION_COST_LIVE + SESSION_COST_SAVE <= SESSION_ACTIONS_MAX,
              "open: HOLD or RELEASE, the fallback ends, live");
static_assert(1 + SESSION_COST_FORGET + SESSION_COST_LIVE + SESSION_COST_SAVE <=
                  SESSION_ACTIONS_MAX,
              "a rule or a catch-up forgets, or says a gap and AUDITED, then live");
static_assert(2 + SESSION_COST_STATE + SESSION_COST_REQUEST <= SESSION_ACTIONS_MAX,
              "a full hold: DISCARD, HOLD or POLLING, request");
static_assert(2 + SESSION_COST_LEAVE + SESSION_COST_CLOSE + SESSION_COST_DIAL + SESSION_COST_SAVE <=
                  SESSION_ACTIONS_MAX,
              "an audit: AUDITED, SAY, reconnect");
static_assert(SESSION_COST_SAY + SESSION_COST_SWITCH + SESSION_COST_CATCHUP + SESSION_COST_SAVE <=
                  SESSION_ACTIONS_MAX,
              "a handover: the old link ends in a rhythm, or the hold is full; catch-up");
static_assert(SESSION_COST_STOP + 1 + SESSION_COST_FORGET + SESSION_COST_DIAL + SESSION_COST_SAVE <=
                  SESSION_ACTIONS_MAX,
              "leave to dial: the fallback ends, a gap, too old a position, DIAL");
static_assert(SESSION_COST_FORGET + SESSION_COST_PUT_OFF + 4 + SESSION_COST_SAVE <=
                  SESSION_ACTIONS_MAX,
              "unkeyed, and the position is gone: HTTP_CANCEL, UNKEYED_KEEP, RELEASE, SAY");

static void check_fallback(const struct session *s)
{
    const struct session_fallback *fallback = &s->fallback;
    assert(s->state == SESSION_POLLING && fallback->chosen);
    assert(fallback->request == 0 || s->sync.request == 0);
    assert(fallback->request != 0 || s->sync.request != 0 ||
           s->slot.wish == SESSION_WISH_FALLBACK || fallback->next_ms != SESSION_NEVER);
    assert(fallback->primary_ms != SESSION_NEVER || s->slot.wish == SESSION_WISH_LINK ||
           s->link != 0);
    assert(s->profile->connect.parallel >= 2 || s->link_phase == SESSION_LINK_NONE ||
           (s->link_phase == SESSION_LINK_CLOSING && fallback->request == 0));
}

static void check_handover(const struct session *s)
{
    const struct session_handover *handover = &s->handover;
    bool under_way = handover->phase > SESSION_HANDOVER_DUE;
    assert(!under_way || (s->state == SESSION_LIVE && s->link_phase == SESSION_LINK_UP));
    assert((handover->link != 0) == (handover->phase > SESSION_HANDOVER_ASKED));
    assert(handover->link == 0 || !session_closing(s)); /* two links at most */
    assert((handover->phase == SESSION_HANDOVER_ASKED) == (s->slot.wish == SESSION_WISH_SUCCESSOR));
}

/* Nothing waits for nothing: each state has a deadline, or something that is owed from outside. */
void session_check(const struct session *s)
{
    bool linked = session_in(s, SESSION_LINKED);
    bool closing = session_closing(s);

    assert((s->link == 0) == (s->link_phase == SESSION_LINK_NONE));
    assert(s->leaving == SESSION_STATE_COUNT || closing);
    assert(s->link_phase != SESSION_LINK_CLOSING ||
           s->close_by_ms <= session_after(s, SESSION_CLOSE_MS));
    assert(s->leaver.link == 0 || s->leaver.by_ms <= session_after(s, SESSION_CLOSE_MS));
    if (s->leaving != SESSION_STATE_COUNT)
        return;
    check_handover(s);
    /* The executor owes LINK_* for as long as there is a link, and HTTP_* for a request. */
    if (s->fallback.on)
        check_fallback(s);
    else
        assert(linked ==
               (s->link_phase == SESSION_LINK_DIALING || s->link_phase == SESSION_LINK_UP));
    if (s->state == SESSION_LIVE)
        assert(s->sync.request == 0 || s->sync.unkeyed || s->audit.running || session_doubts(s));
    else if (!session_in(s, BIT(CATCHING_UP) | BIT(POLLING)))
        assert(s->sync.request == 0);
    else if (!s->fallback.on)
        assert(s->sync.request != 0 || s->sync.next_ms != SESSION_NEVER);
    if (s->state == SESSION_LIVE)
        assert(s->sync.gate == (s->sync.unkeyed ? SESSION_GATE_HOLD : SESSION_GATE_PASS));
    assert(!session_doubts(s) || s->state == SESSION_LIVE);
    /* The broker owes SLOT. */
    bool asked = s->slot.wish == SESSION_WISH_LINK;
    assert(!asked || (s->link == 0 && !s->store_stalled));
    if (s->state == SESSION_WAITING)
        assert(s->wake_ms != SESSION_NEVER || asked || (s->dial_due && closing));
    if (s->state == SESSION_HELD)
        assert(s->wake_ms != SESSION_NEVER || asked);
    /* STARTING waits for START, PARKED for the operator or a credential, STALLED for STORE_READY,
     * PAUSED for RESUME, STOPPED for nothing. */
    assert(s->state != SESSION_STALLED || s->store_stalled);
}
