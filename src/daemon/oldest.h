/*
 * oldest: how old the oldest stored event is.
 *
 * Decides: when to look, which is when retention has moved on. Leaves: the reading, off the loop,
 * to persist. Owns: one read of one record at a time. Fails: the age is then that of the last time
 * it was known, or not known.
 */
#ifndef HAWSER_DAEMON_OLDEST_H
#define HAWSER_DAEMON_OLDEST_H

#include "daemon/persist.h"

struct oldest {
    struct persist *persist;
    struct fanout_filter all;
    struct persist_read read;
    bool reading;
    uint64_t seq;                     /* what `received_us` is of; 0: not known */
    int64_t received_us, visiting_us; /* visiting: the reader's, until it is done */
};

void oldest_init(struct oldest *oldest, struct persist *persist);
/* Looks, if the oldest is another one than it was. */
void oldest_look(struct oldest *oldest);
/* Before the store is closed. */
void oldest_fini(struct oldest *oldest);
/* Unix time in microseconds; 0: not known, or nothing is stored. */
int64_t oldest_received_us(const struct oldest *oldest);

#endif
