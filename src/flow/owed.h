/*
 * owed.h: what a link has shown and we do not have. Sync owes it, however far it lags behind.
 *
 * An event can be seen and yet not be kept: the hold was full, the link ended while it was held, or
 * the store failed after it was emitted. Sync gives events in order, so the newest of them is
 * enough: by position where positions are numbers, else by its dedup key. Of those that have
 * neither the number is kept.
 *
 * Decides: whether an empty page means that nothing is missing. Leaves: how long to wait, to
 * session. Owns: one position and one key.
 */
#ifndef HAWSER_FLOW_OWED_H
#define HAWSER_FLOW_OWED_H

#include "flow/flow.h"
#include "flow/position.h"

struct owed {
    struct position highest; /* with compare = int: owed while it is above ours */
    bool by_key;
    uint8_t key[16];
    size_t unkeyed; /* events without id and position, seen behind all these */
};

void owed_init(struct owed *owed, enum profile_compare compare);
/* An event was seen that is not known. */
void owed_note(struct owed *owed, const struct flow_event *event);
/* So many unkeyed ones were seen behind the newest of those noted. */
void owed_note_unkeyed(struct owed *owed, size_t n);
/* Sync has yet to come to the newest of them that has a key or a position. */
bool owed_named(const struct owed *owed, const struct position *position);
/* What was emitted may not be on disk: the newest position and key (NULL: none) of it. */
void owed_note_lost(struct owed *owed, struct slice position, const uint8_t *key);
/* This key is known now. */
void owed_pay(struct owed *owed, const uint8_t key[16]);
void owed_forget(struct owed *owed);
bool owed_any(const struct owed *owed, const struct position *position);

#endif
