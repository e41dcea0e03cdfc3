/*
 * unkeyed.h: what sync has brought that the link may yet show, in order.
 *
 * An unkeyed event of the link and sync's copy of it cannot be compared, but both stand between the
 * same neighbours. So the keys of sync's new items wait here in their order, and each event of the
 * link takes away those up to its own.
 *
 * Decides: where in that order a key stands. Leaves: what is a copy of what, to copies.c.
 * Owns: FLOW_AHEAD_MAX keys, allocated when made. Fails: never; more items than that leave it
 * empty, and not aligned.
 */
#ifndef HAWSER_FLOW_UNKEYED_H
#define HAWSER_FLOW_UNKEYED_H

#include "flow/flow.h"

struct unkeyed {
    bool on;
    uint8_t (*ahead)[16]; /* a ring; all zero for an item without a key */
    unsigned first, count;
    bool aligned; /* the first item is the next that the link will show, if it shows all */
    bool rejoins; /* not so for what was held of a successor: where that one stands is not known */
    /* Messages that could not even be taken, since the last event that was known: sync may bring
     * them, and those are nobody's copies. */
    unsigned missing;
    bool waiting; /* an unkeyed event is held, and sync is asked */
    /* What becomes of the next ones that go out. */
    size_t drop, store;
    size_t keep; /* of those held when sync had brought nothing, still in the hold */
};

int unkeyed_init(struct unkeyed *unkeyed, bool on); /* ERR_NOMEM */
void unkeyed_fini(struct unkeyed *unkeyed);
/* Nothing is known of where the link stands. */
void unkeyed_clear(struct unkeyed *unkeyed);
/* The link stands behind everything that sync has brought before. */
void unkeyed_align(struct unkeyed *unkeyed);
void unkeyed_brought(struct unkeyed *unkeyed, const struct flow_event *item);
/* How many items stand before this key; < 0 when it is not among them. */
int unkeyed_find(const struct unkeyed *unkeyed, const uint8_t key[16]);
void unkeyed_take(struct unkeyed *unkeyed, size_t n); /* the first n */
bool unkeyed_is(const struct flow_event *event);

#endif
