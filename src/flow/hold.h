/*
 * hold.h: a bounded queue of events that wait.
 *
 * Decides: what fits. An event is copied whole, with its bytes behind it, into one ring, so that it
 * comes out just as it went in and nothing is parsed twice.
 * An event can be marked: something stands behind it that was not kept.
 * Leaves: when events wait, and what a mark leads to, to flow.c. Owns: one block of memory,
 * allocated at hold_init. Pages of it that no event has ever touched cost nothing. Fails:
 * hold_push() returns NULL when the event does not fit.
 */
#ifndef HAWSER_FLOW_HOLD_H
#define HAWSER_FLOW_HOLD_H

#include <stddef.h>

#include "flow/flow.h"

struct hold {
    char *memory;
    size_t size;     /* bytes */
    size_t read_at;  /* the oldest record */
    size_t write_at; /* behind the newest */
    size_t used;     /* bytes, with what is skipped at the end of the memory */
    size_t wrap_at;  /* where the records before the end of the memory stop */
    size_t count;    /* records */
    size_t newest;   /* where it begins */
};

int hold_init(struct hold *hold, size_t size); /* ERR_NOMEM */
void hold_fini(struct hold *hold);
void hold_clear(struct hold *hold);
/* Bytes that this event takes. */
size_t hold_need(const struct flow_event *event);
/* The copy, valid until it is popped or the hold is cleared. */
struct flow_event *hold_push(struct hold *hold, const struct flow_event *event);
/* The oldest, or NULL. */
struct flow_event *hold_front(const struct hold *hold);
/* The one behind it, or NULL. */
const struct flow_event *hold_next(const struct hold *hold, const struct flow_event *event);
void hold_pop(struct hold *hold);
void hold_mark(struct hold *hold);            /* the newest; there must be one */
bool hold_is_marked(const struct hold *hold); /* the oldest; there must be one */

#endif
