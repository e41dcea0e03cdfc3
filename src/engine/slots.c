/*
 * slots: leave to dial, and what is saved before it is used.
 *
 *     ASK_SLOT -> broker_ask -> granted -> hub_save(state) -> saved -> SLOT
 *
 * The broker is asked for one slot at a time, so that its answer needs no name. What the store lost
 * is saved anew when it takes writes again.
 */
#include <stdio.h>
#include <string.h>

#include "engine/stream_private.h"

void stream_state_key(const char *name, char out[STORE_STATE_KEY + 1])
{
    snprintf(out, STORE_STATE_KEY + 1, "stream/%s", name);
}

/* ---- saving ---- */

static uint64_t save_now(struct stream *stream, bool dialling)
{
    struct session_saved state;
    struct buf value;
    char key[STORE_STATE_KEY + 1];
    uint64_t ticket = 0;
    session_save(&stream->session, stream->ops->now_ms(stream->arg), &state);
    state.dialled = state.dialled || dialling;
    buf_init(&value, STORE_STATE_VALUE);
    stream_state_key(stream->name, key);
    if (saved_encode(&state, stream->profile, &stream->variables, &value) == 0)
        ticket = hub_save(stream->hub, slice_str(key), buf_slice(&value));
    buf_wipe(&value);
    buf_fini(&value);
    if (ticket != 0) {
        stream->save.ticket = ticket;
        stream->save.due = false;
    }
    return ticket;
}

void stream_save(struct stream *stream)
{
    stream->save.due = true;
    if (stream->started && stream->save.ticket == 0)
        (void)save_now(stream, false); /* no room: stream_save_pump() */
}

/* Which slot is being saved for, or STREAM_SLOTS. */
static unsigned saving_slot(const struct stream *stream)
{
    unsigned i = 0;
    while (i < STREAM_SLOTS && stream->slots[i] != STREAM_SLOT_SAVING)
        i++;
    return i;
}

static void save_slot(struct stream *stream, unsigned which)
{
    bool dialling = which == STREAM_SLOT_LINK && stream->slot_kind == BROKER_LINK;
    stream->save.slot_ticket = save_now(stream, dialling);
}

void stream_save_pump(struct stream *stream)
{
    unsigned which = saving_slot(stream);
    if (which < STREAM_SLOTS && stream->save.slot_ticket == 0)
        save_slot(stream, which);
    if (stream->save.due && stream->save.ticket == 0)
        stream_save(stream);
}

static void ask_next(struct stream *stream);

void stream_saved(struct stream *stream, uint64_t ticket, bool lost)
{
    unsigned which = saving_slot(stream);
    if (!stream->started)
        return;
    bool mine = stream->save.ticket != 0 && ticket >= stream->save.ticket;
    bool slot =
        which < STREAM_SLOTS && stream->save.slot_ticket != 0 && ticket >= stream->save.slot_ticket;
    if (mine)
        stream->save.ticket = 0;
    if (slot)
        stream->save.slot_ticket = 0;
    if (lost) {
        stream->save.due = stream->save.due || mine;
        return; /* stream_store_ready() saves anew */
    }
    if (slot) {
        stream->slots[which] = STREAM_SLOT_OURS;
        stream_post_kind(stream, SESSION_EV_SLOT);
        ask_next(stream);
    }
    if (stream->save.due && stream->save.ticket == 0)
        stream_save(stream);
}

/* ---- slots ---- */

static enum broker_slot kind_of(const struct stream *stream, unsigned which)
{
    return which == STREAM_SLOT_FALLBACK ? BROKER_FALLBACK : stream->slot_kind;
}

/* Nothing is asked for or waits to be used: the next one may be. */
static void ask_next(struct stream *stream)
{
    unsigned i;
    for (i = 0; i < STREAM_SLOTS; i++)
        if (stream->slots[i] == STREAM_SLOT_ASKED || stream->slots[i] == STREAM_SLOT_SAVING)
            return;
    for (i = 0; i < STREAM_SLOTS && stream->slots[i] != STREAM_SLOT_WANTED; i++)
        ;
    if (i == STREAM_SLOTS)
        return;
    bool at_start = stream->at_start;
    stream->at_start = false;
    stream->slots[i] = STREAM_SLOT_ASKED;
    if (stream->broker != NULL)
        broker_ask(stream->broker, kind_of(stream, i), at_start, stream->ops->now_ms(stream->arg));
    else
        stream_slot(stream);
}

void stream_slot_ask(struct stream *stream, bool fallback)
{
    unsigned which = fallback ? STREAM_SLOT_FALLBACK : STREAM_SLOT_LINK;
    if (stream->slots[which] != STREAM_SLOT_NONE)
        return;
    if (!fallback) {
        const struct stream_link *link = stream_link_as(stream, STREAM_LINK);
        stream->slot_kind =
            link != NULL && link->open && !link->closing ? BROKER_SUCCESSOR : BROKER_LINK;
    }
    stream->slots[which] = STREAM_SLOT_WANTED;
    ask_next(stream);
}

void stream_slot_drop(struct stream *stream, bool fallback)
{
    unsigned which = fallback ? STREAM_SLOT_FALLBACK : STREAM_SLOT_LINK;
    enum stream_slot_state was = stream->slots[which];
    if (was == STREAM_SLOT_NONE)
        return;
    stream->slots[which] = STREAM_SLOT_NONE;
    if (was == STREAM_SLOT_SAVING)
        stream->save.slot_ticket = 0;
    if (was != STREAM_SLOT_WANTED && stream->broker != NULL)
        broker_drop(stream->broker, kind_of(stream, which), stream->ops->now_ms(stream->arg));
    ask_next(stream);
}

bool stream_slot_use(struct stream *stream, unsigned which)
{
    if (stream->slots[which] != STREAM_SLOT_OURS)
        return false;
    stream->slots[which] = STREAM_SLOT_NONE;
    return true;
}

void stream_slot(struct stream *stream)
{
    for (unsigned i = 0; i < STREAM_SLOTS; i++) {
        if (stream->slots[i] != STREAM_SLOT_ASKED)
            continue;
        stream->slots[i] = STREAM_SLOT_SAVING;
        save_slot(stream, i);
        return;
    }
}

void stream_slot_later(struct stream *stream, int64_t at_ms, const char *why)
{
    bool asked = false;
    for (unsigned i = 0; i < STREAM_SLOTS; i++)
        asked = asked || stream->slots[i] == STREAM_SLOT_ASKED;
    struct session_event event = {.kind = SESSION_EV_SLOT_LATER, .at_ms = at_ms, .text = why};
    if (asked)
        stream_post(stream, &event);
}

/* ---- what became of them ---- */

void stream_broker_opened(struct stream *stream, enum broker_slot slot)
{
    if (stream->broker != NULL)
        broker_opened(stream->broker, slot, stream->ops->now_ms(stream->arg));
}

void stream_broker_ended(struct stream *stream, enum broker_slot slot)
{
    if (stream->broker != NULL)
        broker_ended(stream->broker, slot, stream->ops->now_ms(stream->arg));
}

/* A link that went on with an older session counts for none. */
void stream_accepted(struct stream *stream, struct stream_link *link)
{
    if (link == NULL || link->accepted)
        return;
    link->accepted = true;
    if (stream->broker != NULL && !link->resumed && stream->profile->limits.sessions.count > 0)
        broker_session(stream->broker, stream->ops->now_ms(stream->arg));
}
