#include "flow/event.h"

#include "base/siphash.h"
#include "flow/contiguous.h"
#include "flow/position.h"

static void derive(const uint8_t hash_key[16], struct slice what, uint8_t out[16])
{
    siphash128(hash_key, what.ptr, what.len, out);
}

void event_maker_init(struct event_maker *maker, const struct profile *profile,
                      const uint8_t hash_key[16])
{
    maker->profile = profile;
    derive(hash_key, SLICE("dedup id"), maker->id_key);
    derive(hash_key, SLICE("dedup position"), maker->position_key);
    derive(hash_key, SLICE("dedup payload"), maker->payload_key);
    derive(hash_key, SLICE("position key"), maker->sequence_key);
}

/* An empty id or position is none: else all events that carry one would be the same event. */
static struct slice unless_empty(struct slice s)
{
    return s.len > 0 ? s : slice_make(NULL, 0);
}

enum { KEY_KIND = 15, KEY_POSITION = 1 }; /* the byte that says it, and the bit */

bool event_key_is_position(const uint8_t key[16])
{
    return (key[KEY_KIND] & KEY_POSITION) != 0;
}

static void set_key(const uint8_t hash_key[16], struct slice what, struct flow_event *event)
{
    event->has_key = what.ptr != NULL;
    if (!event->has_key)
        return;
    siphash128(hash_key, what.ptr, what.len, event->key);
    event->key[KEY_KIND] &= (uint8_t)~KEY_POSITION;
}

static void set_position_key(const struct event_maker *maker, struct flow_event *event)
{
    set_key(maker->position_key, event->position, event);
    if (event->has_key)
        event->key[KEY_KIND] |= KEY_POSITION;
}

static void make_key(const struct event_maker *maker, struct flow_event *event)
{
    switch (maker->profile->dedup) {
    case PROFILE_DEDUP_ID:
        if (event->id.ptr != NULL)
            set_key(maker->id_key, event->id, event);
        else
            set_position_key(maker, event);
        return;
    case PROFILE_DEDUP_POSITION:
        set_position_key(maker, event);
        return;
    case PROFILE_DEDUP_HASH:
        set_key(maker->payload_key, event->data, event);
        return;
    case PROFILE_DEDUP_OFF:
        return;
    }
}

void event_make(const struct event_maker *maker, const struct profile_message *message,
                struct slice raw, bool binary, struct flow_event *out)
{
    const char *fault = NULL;

    *out = (struct flow_event){
        .id = unless_empty(message->id),
        .position = unless_empty(message->position),
        .type = message->type,
        .time = message->time,
        .data = message->data.ptr != NULL ? message->data : raw,
        .data_kind = message->json ? FLOW_DATA_JSON : FLOW_DATA_TEXT,
        .ephemeral = message->ephemeral,
        .snapshot = message->snapshot,
        .malformed = message->fault,
    };
    if (binary) {
        out->data = raw;
        out->data_kind = FLOW_DATA_BINARY;
        /* The profile took it for text, and says so. */
        if (!message->json && message->fault != NULL)
            out->malformed = "binary where JSON is looked for; kept as base64";
    }
    if (out->position.ptr != NULL)
        fault = position_fault(maker->profile->compare, out->position);
    if (maker->profile->position.contiguous && out->position.ptr != NULL) {
        if (fault == NULL)
            fault = contiguous_fault(out->position);
        if (message->key.ptr != NULL)
            out->sequence = siphash64(maker->sequence_key, message->key.ptr, message->key.len) | 1;
    }
    if (fault != NULL) {
        out->position = slice_make(NULL, 0); /* it would be no place to resume from */
        if (out->malformed == NULL)
            out->malformed = fault;
    }
    if (!out->ephemeral)
        make_key(maker, out);
}
