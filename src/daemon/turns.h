/*
 * turns: how long the event loop works at a stretch. While it works nobody else is served, so a
 * long turn is a delay for every stream and every program.
 *
 * Decides: what is counted, and that a turn of TURNS_LONG_MS is said in the log, at most once in
 * TURNS_SAID_MS. Leaves: measuring to io. Owns nothing; fails only to start.
 */
#ifndef HAWSER_DAEMON_TURNS_H
#define HAWSER_DAEMON_TURNS_H

#include "base/histogram.h"
#include "io/io.h"

#define TURNS_LONG_MS 1000
#define TURNS_SAID_MS 10000

struct turns {
    struct histogram busy_us;
    int64_t longest_us;
    int64_t said_ms; /* 0: never */
    unsigned unsaid; /* long ones since */
    struct io_loop *loop;
};

int turns_start(struct turns *turns, struct io_loop *loop);

#endif
