/*
 * event.h: from a message to the event it stands for, before anyone asks whether it is new.
 *
 * Decides: the dedup key, the form of the data, and what is malformed about it. Whether a key is
 * made of a position can be told by the key: when positions begin anew, these keys mean nothing.
 * Leaves: duplicates, `advances` and order to flow.c. Owns: nothing; the event borrows from the
 * message. Fails: never; what is wrong is said in .malformed, and the event goes its way.
 */
#ifndef HAWSER_FLOW_EVENT_H
#define HAWSER_FLOW_EVENT_H

#include "flow/flow.h"

/* An id, a position and a payload of the same bytes must not meet: each has its own hash key. */
struct event_maker {
    const struct profile *profile;
    uint8_t id_key[16], position_key[16], payload_key[16], sequence_key[16];
};

void event_maker_init(struct event_maker *maker, const struct profile *profile,
                      const uint8_t hash_key[16]);

/* raw: the message's bytes, .ptr NULL for an item of a page. */
void event_make(const struct event_maker *maker, const struct profile_message *message,
                struct slice raw, bool binary, struct flow_event *out);

bool event_key_is_position(const uint8_t key[16]);

#endif
