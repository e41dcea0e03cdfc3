/*
 * epoch.h: a service whose positions have begun anew.
 *
 * FLOW_EPOCH_IDS unknown ids in a row below every position in the window are not late: they are
 * another count. Positions in the window are not kept; marks that are left behind as the window
 * moves on say where its oldest must lie.
 *
 * Decides: when that is so. Leaves: what becomes of position and gap, to flow.c. Owns: a few
 * positions. Fails: never; in doubt a position counts as one in the window.
 */
#ifndef HAWSER_FLOW_EPOCH_H
#define HAWSER_FLOW_EPOCH_H

#include "flow/flow.h"
#include "flow/position.h"

#define EPOCH_MARKS 8 /* in a window */

struct epoch {
    bool on;
    unsigned row;       /* unknown ids below the window, without another event between */
    uint64_t allowance; /* so far below `floor` the window may reach: keys from disk, overlap */
    uint64_t overlap;
    struct position floor;              /* of the oldest in the window, or below it */
    struct position marks[EPOCH_MARKS]; /* the position when so many keys had come; a ring */
    unsigned mark;
    unsigned interval, left; /* keys between marks, and to the next */
};

void epoch_init(struct epoch *epoch, bool on, unsigned window, int64_t overlap);
void epoch_reset(struct epoch *epoch, struct slice position);
void epoch_first(struct epoch *epoch, struct slice position); /* before it there was none */
void epoch_loaded(struct epoch *epoch); /* a key came from disk, its position unknown */
/* An event with a position was taken; position is the newest of all. */
void epoch_mark(struct epoch *epoch, const struct position *position);
static inline void epoch_note(struct epoch *epoch, const struct position *position)
{
    if (epoch->on && --epoch->left == 0)
        epoch_mark(epoch, position);
}
/* Whether this unknown event, which does not advance, would be the last one of a row. */
bool epoch_begins(const struct epoch *epoch, const struct flow_event *event);
/* It was taken, and no other epoch began. */
void epoch_late(struct epoch *epoch, const struct flow_event *event);

#endif
