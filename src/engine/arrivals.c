#include "engine/arrivals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timefmt.h"

/* A chatty feed is at the near end; what holds frames back, and the idle bounds of proxies, at the
 * far one. */
static const int64_t bounds_ms[] = {10,   50,    100,   500,   1000,  2500,
                                    5000, 10000, 15000, 30000, 60000, 300000};

void arrivals_init(struct arrivals *arrivals)
{
    memset(arrivals, 0, sizeof(*arrivals));
    histogram_init(&arrivals->counts.silences_ms, bounds_ms,
                   sizeof(bounds_ms) / sizeof(bounds_ms[0]));
    arrivals->last_ms = arrivals->said_ms = -1;
    for (unsigned i = 0; i < ARRIVALS_TIMES; i++)
        arrivals->times_ms[i] = -1;
}

void arrivals_begin(struct arrivals *arrivals, int64_t now_ms)
{
    arrivals->last_ms = -1;
    arrivals->quiet_ms = now_ms;
    memset(&arrivals->flood, 0, sizeof(arrivals->flood));
}

static void open_flood(struct arrivals *arrivals, int64_t now_ms, bool pong)
{
    memset(&arrivals->flood, 0, sizeof(arrivals->flood));
    arrivals->flood.open = true;
    arrivals->flood.pong = pong;
    arrivals->flood.began_ms = now_ms;
    arrivals->flood.silent_ms = now_ms - arrivals->quiet_ms;
}

static void close_flood(struct arrivals *arrivals, int64_t now_ms)
{
    if (now_ms - arrivals->flood.began_ms > ARRIVALS_FLOOD_MS)
        arrivals->flood.open = false;
}

bool arrivals_message(struct arrivals *arrivals, int64_t now_ms)
{
    if (arrivals->last_ms >= 0)
        histogram_add(&arrivals->counts.silences_ms, now_ms - arrivals->last_ms);
    close_flood(arrivals, now_ms);
    if (now_ms - arrivals->quiet_ms >= ARRIVALS_SILENCE_MS)
        open_flood(arrivals, now_ms, false);
    arrivals->last_ms = arrivals->quiet_ms = now_ms;
    if (!arrivals->flood.open)
        return false;
    arrivals->flood.messages++;
    return !arrivals->flood.judged;
}

void arrivals_pong(struct arrivals *arrivals, int64_t now_ms, int64_t rtt_ms)
{
    int64_t silent_ms = now_ms - arrivals->quiet_ms;
    close_flood(arrivals, now_ms);
    if (arrivals->flood.open && rtt_ms >= arrivals->flood.silent_ms / 2)
        arrivals->flood.pong = true;
    else if (silent_ms >= ARRIVALS_SILENCE_MS && rtt_ms >= silent_ms / 2)
        open_flood(arrivals, now_ms, true); /* it comes at the head of what was held */
    arrivals->quiet_ms = now_ms;
}

/* A number as unix time in microseconds; its size tells the unit: the seconds of our days have ten
 * digits before the point, and each smaller unit three more. */
static bool number_us(struct slice text, int64_t *us)
{
    char digits[32];
    char *end;
    if (text.len == 0 || text.len >= sizeof(digits))
        return false;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    double value = strtod(digits, &end);
    if (*end != '\0' || !(value >= 1e8) || value >= 1e20)
        return false;
    *us = (int64_t)(value < 1e11   ? value * 1e6
                    : value < 1e14 ? value * 1e3
                    : value < 1e17 ? value
                                   : value / 1e3);
    return true;
}

static bool time_us(struct slice time, int64_t *us)
{
    struct slice inside = time;
    if (time.len < 2 || time.ptr[0] != '"')
        return number_us(time, us);
    inside = slice_make(time.ptr + 1, time.len - 2);
    return time_parse_us(inside, us) == 0 || number_us(inside, us);
}

void arrivals_time(struct arrivals *arrivals, struct slice time)
{
    int64_t us;
    if (!arrivals->flood.open || !time_us(time, &us))
        return;
    if (arrivals->flood.timed == 0 || us < arrivals->flood.first_us)
        arrivals->flood.first_us = us;
    if (arrivals->flood.timed == 0 || us > arrivals->flood.last_us)
        arrivals->flood.last_us = us;
    arrivals->flood.timed++;
}

/* What came was made over at least half of the silence; and not over more than the silence, as
 * what a service repeats from its history would be. */
static bool was_spread(const struct arrivals *arrivals)
{
    int64_t spread_ms = (arrivals->flood.last_us - arrivals->flood.first_us) / 1000;
    return arrivals->flood.timed >= ARRIVALS_FLOOD_MESSAGES &&
           spread_ms >= arrivals->flood.silent_ms / 2 &&
           spread_ms <= arrivals->flood.silent_ms + 2 * ARRIVALS_FLOOD_MS;
}

static bool often(struct arrivals *arrivals, int64_t now_ms)
{
    memmove(arrivals->times_ms + 1, arrivals->times_ms,
            sizeof(arrivals->times_ms[0]) * (ARRIVALS_TIMES - 1));
    arrivals->times_ms[0] = now_ms;
    int64_t oldest_ms = arrivals->times_ms[ARRIVALS_TIMES - 1];
    return oldest_ms >= 0 && now_ms - oldest_ms <= ARRIVALS_WITHIN_MS &&
           (arrivals->said_ms < 0 || now_ms - arrivals->said_ms >= ARRIVALS_AGAIN_MS);
}

bool arrivals_held_back(struct arrivals *arrivals, int64_t now_ms, char *text, size_t size)
{
    char evidence[96], silence[DURATION_TEXT_SIZE];
    bool spread = was_spread(arrivals);
    if (!arrivals->flood.open || arrivals->flood.judged ||
        arrivals->flood.messages < ARRIVALS_FLOOD_MESSAGES || (!spread && !arrivals->flood.pong))
        return false;
    arrivals->flood.judged = true;
    arrivals->counts.held_back++;
    if (!often(arrivals, now_ms))
        return false;
    arrivals->said_ms = now_ms;
    duration_format(arrivals->flood.silent_ms, silence, sizeof(silence));
    if (spread)
        snprintf(evidence, sizeof(evidence),
                 "by their own times they were made over at least %.1f s",
                 (double)(arrivals->flood.last_us - arrivals->flood.first_us) / 1e6);
    else
        snprintf(evidence, sizeof(evidence), "a ping of ours waited with them for its pong");
    snprintf(text, size,
             "frames are held back on the way: %d times now nothing came, then all at once; the "
             "last time after %s, and %s. A proxy (nginx: proxy_buffering off) or another "
             "middlebox gathers them",
             ARRIVALS_TIMES, silence, evidence);
    return true;
}
