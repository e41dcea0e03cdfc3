/*
 * expiry: when a certificate's end is to be said: 14, 3 and 1 days before it, and when it has come.
 *
 * Decides: which of these is due, each once for each certificate. Leaves: clock, timer and words to
 * the caller. Owns nothing; never fails.
 */
#ifndef HAWSER_DAEMON_EXPIRY_H
#define HAWSER_DAEMON_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

#define EXPIRY_LOOK_S 3600 /* the longest rest between two looks: the wall clock may be set */

struct expiry {
    int64_t at_s;  /* unix seconds; 0: nothing is watched */
    unsigned said; /* how many of the days have been */
};

/* What is watched from now on; the same time again changes nothing. */
void expiry_set(struct expiry *expiry, int64_t at_s);
/* True where something is to be said now: of several days that have passed only the last. */
bool expiry_is_due(struct expiry *expiry, int64_t now_s);
/* Seconds until the next look; -1: none is needed. */
int64_t expiry_next_s(const struct expiry *expiry, int64_t now_s);

#endif
