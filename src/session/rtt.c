/*
 * rtt: a link that works, and slowly: routed around half the world, or through an overloaded
 * machine. What is usual is the median of the last SESSION_RTT_SAMPLES round trips. While an
 * episode lasts and has not been told, its round trips do not count towards the usual; afterwards
 * they do, so that a change for good is told once.
 */
#include <stdio.h>
#include <string.h>

#include "session/machine.h"

static void keep(struct session_rtt *rtt, uint32_t rtt_ms)
{
    rtt->sample_ms[rtt->count % SESSION_RTT_SAMPLES] = rtt_ms;
    rtt->count++;
}

static uint32_t median(const struct session_rtt *rtt)
{
    uint32_t sorted[SESSION_RTT_SAMPLES];
    unsigned n = rtt->count < SESSION_RTT_SAMPLES ? rtt->count : SESSION_RTT_SAMPLES;
    for (unsigned i = 0; i < n; i++) {
        unsigned at = i;
        for (; at > 0 && sorted[at - 1] > rtt->sample_ms[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = rtt->sample_ms[i];
    }
    return n == 0 ? 0 : sorted[n / 2];
}

static bool is_slow(const struct session_rtt *rtt, uint32_t rtt_ms, uint32_t usual)
{
    return rtt->count >= SESSION_RTT_ENOUGH && rtt_ms > (uint64_t)SESSION_RTT_TIMES * usual &&
           rtt_ms - usual >= SESSION_RTT_MARGIN_MS;
}

static void tell(struct session *s, struct session_actions *out, uint32_t rtt_ms, uint32_t usual)
{
    char why[SESSION_TEXT];
    s->rtt.told = true;
    snprintf(why, sizeof(why),
             "round trips have taken %u ms and more for %d min, usual are %u ms: the way to the "
             "service, or the machine at its end, is degraded%s",
             rtt_ms, SESSION_RTT_EPISODE_MS / 60000, usual,
             s->rtt_reconnects ? "; dialing anew" : "");
    session_say(out, why);
    if (s->rtt_reconnects)
        session_redial(s, out, "the link has become slow");
}

void session_rtt_pong(struct session *s, struct session_actions *out, int64_t rtt_ms)
{
    struct session_rtt *rtt = &s->rtt;
    uint32_t sample = rtt_ms < 0 ? 0 : rtt_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)rtt_ms;
    uint32_t usual = median(rtt);

    if (!is_slow(rtt, sample, usual)) {
        keep(rtt, sample);
        rtt->slow_since_ms = -1;
        rtt->told = false;
        return;
    }
    if (rtt->told) {
        keep(rtt, sample);
        return;
    }
    if (rtt->slow_since_ms < 0) {
        rtt->slow_since_ms = s->now_ms;
        rtt->least_ms = sample;
    }
    if (sample < rtt->least_ms)
        rtt->least_ms = sample;
    if (s->now_ms - rtt->slow_since_ms >= SESSION_RTT_EPISODE_MS)
        tell(s, out, rtt->least_ms, usual);
}
