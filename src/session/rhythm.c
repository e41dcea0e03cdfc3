/*
 * rhythm: links that break without a word, always after the same silence or at the same age, are
 * not broken by accident: a NAT or balancer forgets what is silent, or ends what is old. Three in a
 * row are believed. Against the silence a ping helps, at half of it; against the age a handover
 * before it. What was learnt is kept as long as the process, never in a file: networks change.
 */
#include <stdio.h>
#include <string.h>

#include "session/machine.h"

static int64_t mean(const int64_t *of)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < SESSION_CUTS; i++)
        sum += of[i];
    return sum / SESSION_CUTS;
}

/* All within a tenth of their mean, and long enough to mean something. */
static bool alike(const int64_t *of)
{
    int64_t middle = mean(of), most = middle / 10;
    for (unsigned i = 0; i < SESSION_CUTS; i++)
        if (of[i] < SESSION_CUT_MIN_MS || of[i] > middle + most || of[i] < middle - most)
            return false;
    return true;
}

/* To the nearest: a silence of 5999 ms is one of 6 s. */
static long long seconds(int64_t ms)
{
    return (ms + 500) / 1000;
}

static void learn_ping(struct session *s, struct session_actions *out, int64_t quiet_ms)
{
    char text[SESSION_TEXT];
    bool pings = !s->profile->connect.ping_forbidden;
    bool beats = s->profile->heartbeat.send != PROFILE_NONE && s->profile->heartbeat.every_ms > 0;
    s->rhythm.ping_ms = quiet_ms / 2;
    if (pings || beats)
        snprintf(text, sizeof(text),
                 "the last %d links broke after %lld s of silence: something in between forgets "
                 "them; from now on a %s every %lld s",
                 SESSION_CUTS, seconds(quiet_ms), pings ? "ping" : "heartbeat",
                 seconds(s->rhythm.ping_ms));
    else
        snprintf(text, sizeof(text),
                 "the last %d links broke after %lld s of silence: something in between forgets "
                 "them, and this service allows no ping",
                 SESSION_CUTS, seconds(quiet_ms));
    session_say(out, text);
}

static void learn_age(struct session *s, struct session_actions *out, int64_t age_ms)
{
    char text[SESSION_TEXT];
    bool moves = s->profile->connect.parallel == 2;
    if (moves)
        s->rhythm.max_age_ms = age_ms / 10 * 9;
    snprintf(text, sizeof(text),
             "the last %d links broke at an age of %lld s: something in between ends them%s",
             SESSION_CUTS, seconds(age_ms),
             moves ? "; from now on each is replaced before that" : "");
    session_say(out, text);
}

void session_rhythm_cut(struct session *s, struct session_actions *out)
{
    struct session_rhythm *rhythm = &s->rhythm;
    memmove(rhythm->quiet_ms, rhythm->quiet_ms + 1,
            sizeof(rhythm->quiet_ms[0]) * (SESSION_CUTS - 1));
    memmove(rhythm->age_ms, rhythm->age_ms + 1, sizeof(rhythm->age_ms[0]) * (SESSION_CUTS - 1));
    rhythm->quiet_ms[SESSION_CUTS - 1] = s->now_ms - s->pulse.rx_ms;
    rhythm->age_ms[SESSION_CUTS - 1] = s->now_ms - s->pulse.opened_ms;
    if (++rhythm->cuts < SESSION_CUTS)
        return;
    if (alike(rhythm->quiet_ms))
        learn_ping(s, out, mean(rhythm->quiet_ms));
    else if (alike(rhythm->age_ms))
        learn_age(s, out, mean(rhythm->age_ms));
    else
        return;
    rhythm->cuts = 0; /* the next three have to say it again */
}
