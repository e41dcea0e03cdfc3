#include "daemon/health.h"

#include <stdio.h>
#include <string.h>

void health_init(struct health *health, int64_t now_ms)
{
    *health = (struct health){.down_ms = now_ms, .heard_ms = -1};
}

/* Whether events come in this state, or nobody wants them to. */
static bool is_whole(enum session_state state)
{
    switch (state) {
    case SESSION_LIVE:
    case SESSION_POLLING:
    case SESSION_PAUSED:
        return true;
    case SESSION_STARTING:
    case SESSION_DIALING:
    case SESSION_OPENING:
    case SESSION_GREETING:
    case SESSION_CATCHING_UP:
    case SESSION_WAITING:
    case SESSION_HELD:
    case SESSION_PARKED:
    case SESSION_STALLED:
    case SESSION_STOPPED:
    case SESSION_STATE_COUNT:
        return false;
    }
    return false;
}

/* Whether a state is that of something that has failed. */
static bool is_ill(enum session_state state)
{
    return state == SESSION_WAITING || state == SESSION_HELD || state == SESSION_PARKED ||
           state == SESSION_STALLED || state == SESSION_STOPPED;
}

void health_state(struct health *health, const struct session_action *action, const char *waits_for,
                  int64_t now_ms)
{
    /* Leaving a rest that somebody ended tells of the next attempt, not of a failure. */
    bool resumes = action->to == SESSION_WAITING &&
                   (action->from == SESSION_STALLED || action->from == SESSION_PAUSED);
    if (is_whole(action->to)) {
        health->down_ms = -1;
        health->trouble[0] = '\0';
        return;
    }
    if (health->down_ms < 0)
        health->down_ms = now_ms;
    if (is_ill(action->to) && !resumes && strcmp(action->text, waits_for) != 0)
        snprintf(health->trouble, sizeof(health->trouble), "%s", action->text);
}

bool health_well(const struct health *health, enum session_state state)
{
    return !is_ill(state) && health->trouble[0] == '\0';
}

void health_note(struct health *health, const struct stream_stats *stats, int64_t now_ms,
                 bool sample)
{
    if (stats->messages != health->messages)
        health->heard_ms = stats->last_ms >= 0 ? stats->last_ms : now_ms;
    health->messages = stats->messages;
    if (!sample)
        return;
    health->samples[health->next].at_ms = now_ms;
    health->samples[health->next].messages = stats->messages;
    health->next = (health->next + 1) % HEALTH_SAMPLES;
    if (health->n < HEALTH_SAMPLES)
        health->n++;
}

double health_rate(const struct health *health, int64_t now_ms)
{
    if (health->n == 0)
        return 0;
    unsigned oldest = health->n < HEALTH_SAMPLES ? 0 : health->next;
    int64_t span_ms = now_ms - health->samples[oldest].at_ms;
    if (span_ms <= 0)
        return 0;
    return (double)(health->messages - health->samples[oldest].messages) * 1000 / (double)span_ms;
}
