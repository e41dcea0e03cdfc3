/*
 * contiguous.h: positions that go up by one, each sequence of them by itself.
 *
 * Decides: whether positions are missing before an event. Leaves: what is done about it, to flow.c.
 * Owns: the newest position of the FLOW_SEQUENCES_MAX sequences used last; allocated when made. A
 * sequence that was forgotten begins with whatever comes next. Fails: never.
 */
#ifndef HAWSER_FLOW_CONTIGUOUS_H
#define HAWSER_FLOW_CONTIGUOUS_H

#include "flow/flow.h"

struct contiguous_sequence {
    uint64_t id;           /* flow_event.sequence */
    uint64_t newest;       /* position */
    uint16_t chain;        /* next in the bucket, 0: none. All links are 1 + index */
    uint16_t older, newer; /* by use */
};

struct contiguous {
    bool on;
    bool known; /* newest, of the events without a key */
    uint64_t newest;
    struct contiguous_sequence *sequences; /* of events with one */
    uint16_t *buckets;
    unsigned count;
    uint16_t oldest, youngest;
};

int contiguous_init(struct contiguous *contiguous, bool on); /* ERR_NOMEM */
void contiguous_fini(struct contiguous *contiguous);
/* All is forgotten but this position; .ptr NULL or no number: that too. */
void contiguous_reset(struct contiguous *contiguous, struct slice position);
/* Positions are missing between *after, the newest of its sequence, and the event. */
bool contiguous_hole(const struct contiguous *contiguous, const struct flow_event *event,
                     uint64_t *after);
/* The event is there now. */
void contiguous_note(struct contiguous *contiguous, const struct flow_event *event);
/* It is the very next of what is known, of all streams alike: nothing lies between. */
bool contiguous_follows(const struct contiguous *contiguous, const struct flow_event *event);
/* All before the event is settled, though it is not there. */
void contiguous_pass_over(struct contiguous *contiguous, const struct flow_event *event);
/* NULL, or why this cannot be a contiguous position. */
const char *contiguous_fault(struct slice position);

#endif
