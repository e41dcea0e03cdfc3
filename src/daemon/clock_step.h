/*
 * clock_step: how far the wall clock has been set, against the one that only runs.
 *
 * A machine without a battery starts in 1970 and is set when it finds the time; an operator sets a
 * clock; and the one that runs stands still while the machine sleeps. A length of time that is
 * measured by the wall clock is none, where it was set in between.
 *
 * Decides: what is a step: CLOCK_STEP_LEAST_US and more between two looks. Leaves: the clocks, and
 * what follows, to the caller. Owns nothing; never fails.
 */
#ifndef HAWSER_DAEMON_CLOCK_STEP_H
#define HAWSER_DAEMON_CLOCK_STEP_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_STEP_LEAST_US 10000000 /* less is a clock that is being adjusted */

struct clock_step {
    int64_t wall_us, run_ms; /* when last looked */
    bool looked;
};

/* Microseconds by which the wall clock was set forth, or back (below 0), since the last look; 0: it
 * was not, or this is the first. */
int64_t clock_step_look(struct clock_step *step, int64_t wall_us, int64_t run_ms);

#endif
