#include "flow/owed.h"

#include <string.h>

void owed_init(struct owed *owed, enum profile_compare compare)
{
    *owed = (struct owed){.highest.compare = compare};
}

static void note_position(struct owed *owed, struct slice position)
{
    if (position_advances(&owed->highest, position))
        position_set(&owed->highest, position);
}

static void note_key(struct owed *owed, const uint8_t key[16])
{
    memcpy(owed->key, key, sizeof owed->key);
    owed->by_key = true;
}

void owed_note(struct owed *owed, const struct flow_event *event)
{
    if (event->has_key)
        owed->unkeyed = 0; /* it comes behind them, with sync too */
    if (owed->highest.compare == PROFILE_COMPARE_INT && event->position.ptr != NULL)
        note_position(owed, event->position);
    else if (event->has_key)
        note_key(owed, event->key);
}

void owed_note_unkeyed(struct owed *owed, size_t n)
{
    owed->unkeyed += n;
}

bool owed_named(const struct owed *owed, const struct position *position)
{
    return owed->by_key || (owed->highest.number.ptr != NULL && owed->highest.known &&
                            position_advances(position, position_text(&owed->highest)));
}

void owed_note_lost(struct owed *owed, struct slice position, const uint8_t *key)
{
    if (owed->highest.compare == PROFILE_COMPARE_INT && position.ptr != NULL)
        note_position(owed, position);
    /* What was seen and never emitted is newer, and stands. */
    if (key != NULL && !owed->by_key)
        note_key(owed, key);
}

void owed_pay(struct owed *owed, const uint8_t key[16])
{
    if (owed->by_key && memcmp(owed->key, key, sizeof owed->key) == 0)
        owed->by_key = false;
}

void owed_forget(struct owed *owed)
{
    position_set(&owed->highest, slice_make(NULL, 0));
    owed->by_key = false;
    owed->unkeyed = 0;
}

bool owed_any(const struct owed *owed, const struct position *position)
{
    return owed->unkeyed > 0 || owed_named(owed, position);
}
