/*
 * arrivals: when a link's messages come, beside when the service made them. Pure.
 *
 * A proxy or middlebox may hold frames back: nothing for ten seconds, then a flood. From the end of
 * the line that looks like a feed that speaks in bursts. It is told apart by what was held: the
 * times that the service put into its events lie as far apart as the silence was long, or a ping of
 * ours waited in it for its pong. A pong that came through in the middle of a silence acquits the
 * path.
 *
 * Decides: what was held back, and after ARRIVALS_TIMES of it within ARRIVALS_WITHIN_MS that this
 * is no accident; counts the silences between messages. Leaves: what is said to whom. Fails: never.
 */
#ifndef HAWSER_ENGINE_ARRIVALS_H
#define HAWSER_ENGINE_ARRIVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/slice.h"

#define ARRIVALS_SILENCE_MS 3000  /* a shorter one is not looked at */
#define ARRIVALS_FLOOD_MS 1000    /* what was held comes within this */
#define ARRIVALS_FLOOD_MESSAGES 3 /* and is so much, at least */
#define ARRIVALS_TIMES 3          /* so often, */
#define ARRIVALS_WITHIN_MS 600000 /* within this, is believed */
#define ARRIVALS_AGAIN_MS 3600000 /* and not said again for so long */

struct arrivals_counts {
    struct histogram silences_ms; /* between messages */
    uint64_t held_back;           /* floods of messages that something had held */
};

struct arrivals {
    struct arrivals_counts counts;
    int64_t last_ms;  /* the last message of this link; -1: none yet */
    int64_t quiet_ms; /* since when the path has shown nothing; a pong shows it too */
    struct {
        bool open;
        int64_t began_ms, silent_ms;
        unsigned messages, timed;
        int64_t first_us, last_us; /* by the service's clock */
        bool pong;                 /* one waited in the silence, too */
        bool judged;
    } flood;
    int64_t times_ms[ARRIVALS_TIMES]; /* when it was seen, newest first; -1: not yet */
    int64_t said_ms;                  /* -1: not yet */
};

void arrivals_init(struct arrivals *arrivals);
/* A link has opened, or reading goes on after we had stopped it: the silence before counts against
 * nobody. */
void arrivals_begin(struct arrivals *arrivals, int64_t now_ms);
/* A message has come. True: it is part of a flood, and the times of its events are wanted. */
bool arrivals_message(struct arrivals *arrivals, int64_t now_ms);
/* The service's time of an event of that message, raw JSON: RFC 3339, or unix time as seconds, or
 * milli-, micro- or nanoseconds (told apart by their size). Others are passed over. */
void arrivals_time(struct arrivals *arrivals, struct slice time);
void arrivals_pong(struct arrivals *arrivals, int64_t now_ms, int64_t rtt_ms);
/* True, with the text, once it is certain enough to be said. To be asked after the others. */
bool arrivals_held_back(struct arrivals *arrivals, int64_t now_ms, char *text, size_t size);

#endif
