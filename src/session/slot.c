/*
 * slot: the broker's leave to dial. Between asking and the answer the session rests where it was:
 * the broker, or the disk that has to know of the attempt first, owes the answer.
 */
#include <stdio.h>

#include "session/machine.h"

void session_ask_slot(struct session *s, struct session_actions *out, enum session_wish wish,
                      const char *why)
{
    struct session_slot *slot = &s->slot;
    slot->probe = false;
    session_copy_text(slot->why, sizeof(slot->why), why);
    if (slot->wish == wish)
        return;
    session_drop_slot(s, out);
    slot->wish = wish;
    slot->limit[0] = '\0';
    session_do(out, SESSION_DO_ASK_SLOT)->fallback = wish == SESSION_WISH_FALLBACK;
}

void session_drop_slot(struct session *s, struct session_actions *out)
{
    if (s->slot.wish == SESSION_WISH_NONE)
        return;
    session_do(out, SESSION_DO_DROP_SLOT)->fallback = s->slot.wish == SESSION_WISH_FALLBACK;
    s->slot.wish = SESSION_WISH_NONE;
}

void session_slot_granted(struct session *s, struct session_actions *out)
{
    enum session_wish wish = s->slot.wish;
    s->slot.wish = SESSION_WISH_NONE;
    switch (wish) {
    case SESSION_WISH_NONE:
        return;
    case SESSION_WISH_SUCCESSOR:
        session_successor_dial(s, out);
        return;
    case SESSION_WISH_FALLBACK:
        session_fallback_start(s, out);
        return;
    case SESSION_WISH_LINK:
        session_dial_now(s, out, s->slot.why);
        s->probing = s->slot.probe;
        return;
    }
}

/* The wait is the service's own limit, so it is shown as the reason; a probe keeps what parked it,
 * and a stream that has something to do meanwhile its own. */
void session_slot_later(struct session *s, struct session_actions *out, int64_t at_ms,
                        const char *text)
{
    const char *why = text != NULL && text[0] != '\0' ? text : "waiting for leave to dial";
    s->slot.later_ms = at_ms;
    session_copy_text(s->slot.limit, sizeof(s->slot.limit), why);
    if (s->slot.wish == SESSION_WISH_FALLBACK) {
        session_enter(s, out, SESSION_POLLING, SESSION_NEVER, "%s", why);
        return;
    }
    if (s->slot.wish != SESSION_WISH_LINK || session_in(s, SESSION_LINKED))
        return;
    if (s->slot.probe) {
        s->retry_at_ms = at_ms;
        return;
    }
    session_enter(s, out, SESSION_WAITING, at_ms > s->now_ms ? at_ms : s->now_ms, "%s", why);
    s->wake_ms = SESSION_NEVER; /* the broker says when */
}
