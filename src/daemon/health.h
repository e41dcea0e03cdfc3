/*
 * health: how a stream does, over time: whether it is well, since when it is not and why, and how
 * much it brings.
 *
 * Decides: a stream is not well from its first failure until it delivers again, however often it
 * dials in between; so nothing that is told by it flickers. One that is coming up, or that the
 * operator paused, is well. The rate is that of the last minute.
 * Leaves: what is told to whom, to status, http_pages and notify; when to look, to daemon.
 * Owns: nothing; pure, but for the sampler. Fails: never.
 */
#ifndef HAWSER_DAEMON_HEALTH_H
#define HAWSER_DAEMON_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/stream.h"

#define HEALTH_SAMPLE_MS 5000 /* between samples, */
#define HEALTH_SAMPLES 13     /* which with so many reach back over a minute */

struct health {
    int64_t down_ms;            /* since when it does not deliver; -1: it does */
    int64_t heard_ms;           /* when its last message came, -1: none has */
    char trouble[SESSION_TEXT]; /* why it does not deliver, "": nothing has failed */
    uint64_t messages;          /* as of the newest sample */
    struct {
        int64_t at_ms;
        uint64_t messages;
    } samples[HEALTH_SAMPLES]; /* in a circle, `next` is the oldest */
    unsigned n, next;
};

void health_init(struct health *health, int64_t now_ms);
/* The session has entered a state. waits_for: the limit it waits for, which is no failure. */
void health_state(struct health *health, const struct session_action *action, const char *waits_for,
                  int64_t now_ms);
bool health_well(const struct health *health, enum session_state state);
/* What has come so far: now, and each HEALTH_SAMPLE_MS with `sample`. */
void health_note(struct health *health, const struct stream_stats *stats, int64_t now_ms,
                 bool sample);
/* Messages a second, over the last minute, or since the first sample. */
double health_rate(const struct health *health, int64_t now_ms);

#endif
