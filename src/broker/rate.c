#include "broker/rate.h"

#include <string.h>

/* ---- the log ---- */

static void join(struct rate_mark *mark, uint32_t count)
{
    mark->count = count > UINT32_MAX - mark->count ? UINT32_MAX : mark->count + count;
}

/* Of all pairs of neighbours the one that spans least. */
static void merge_closest(struct rate_log *log)
{
    struct rate_mark *marks = log->marks;
    unsigned at = 0;
    for (unsigned i = 1; i + 1 < log->n; i++)
        if (marks[i + 1].at_ms - marks[i].from_ms < marks[at + 1].at_ms - marks[at].from_ms)
            at = i;
    join(&marks[at + 1], marks[at].count);
    marks[at + 1].from_ms = marks[at].from_ms;
    memmove(&marks[at], &marks[at + 1], (log->n - at - 1) * sizeof(marks[0]));
    log->n--;
}

void rate_add(struct rate_log *log, uint32_t count, int64_t now_ms)
{
    if (count == 0)
        return;
    if (log->n > 0 && log->marks[log->n - 1].at_ms >= now_ms) {
        join(&log->marks[log->n - 1], count);
        return;
    }
    if (log->n == RATE_MARKS)
        merge_closest(log);
    log->marks[log->n++] = (struct rate_mark){now_ms, now_ms, count};
}

void rate_expire(struct rate_log *log, int64_t period_ms, int64_t now_ms)
{
    unsigned old = 0;
    while (old < log->n && log->marks[old].at_ms <= now_ms - period_ms)
        old++;
    if (old == 0)
        return;
    memmove(log->marks, log->marks + old, (log->n - old) * sizeof(log->marks[0]));
    log->n -= old;
}

uint64_t rate_count(const struct rate_log *log, int64_t period_ms, int64_t now_ms)
{
    uint64_t count = 0;
    for (unsigned i = log->n; i > 0 && log->marks[i - 1].at_ms > now_ms - period_ms; i--)
        count += log->marks[i - 1].count;
    return count;
}

int64_t rate_free_ms(const struct rate_log *log, const struct profile_rate *limit, uint64_t more,
                     int64_t now_ms)
{
    if (limit->count == 0)
        return now_ms;
    if (more >= limit->count)
        return INT64_MAX;
    uint64_t room = limit->count - more; /* for what is in the log, and one more */
    uint64_t count = 0;
    for (unsigned i = log->n; i > 0 && log->marks[i - 1].at_ms > now_ms - limit->period_ms; i--) {
        count += log->marks[i - 1].count;
        if (count >= room)
            return log->marks[i - 1].at_ms + limit->period_ms;
    }
    return now_ms;
}

void rate_shift(struct rate_log *log, int64_t by_ms)
{
    for (unsigned i = 0; i < log->n; i++) {
        log->marks[i].at_ms += by_ms;
        log->marks[i].from_ms += by_ms;
    }
}

/* ---- the bucket ---- */

static int64_t brim(const struct bucket *bucket)
{
    return bucket->rate.period_ms * (int64_t)bucket->rate.count;
}

void bucket_init(struct bucket *bucket, struct profile_rate rate)
{
    *bucket = (struct bucket){.rate = rate, .at_ms = INT64_MIN};
    bucket->level = brim(bucket);
}

void bucket_change(struct bucket *bucket, struct profile_rate rate, int64_t now_ms)
{
    double part = 1;
    bucket_fill(bucket, now_ms);
    if (bucket->rate.count > 0)
        part = (double)bucket->level / (double)brim(bucket);
    bucket->rate = rate;
    bucket->level = (int64_t)(part * (double)brim(bucket));
    bucket->at_ms = now_ms;
}

void bucket_fill(struct bucket *bucket, int64_t now_ms)
{
    if (bucket->rate.count == 0)
        return;
    /* A first look finds it full. */
    if (bucket->at_ms == INT64_MIN || now_ms - bucket->at_ms >= bucket->rate.period_ms)
        bucket->level = brim(bucket);
    else
        bucket->level += (now_ms - bucket->at_ms) * (int64_t)bucket->rate.count;
    if (bucket->level > brim(bucket))
        bucket->level = brim(bucket);
    bucket->at_ms = now_ms;
}

int64_t bucket_when_ms(const struct bucket *bucket, unsigned n)
{
    int64_t missing = bucket->rate.period_ms * (int64_t)n - bucket->level;
    if (bucket->rate.count == 0 || missing <= 0)
        return bucket->at_ms;
    return bucket->at_ms + (missing + bucket->rate.count - 1) / bucket->rate.count;
}

void bucket_take(struct bucket *bucket)
{
    if (bucket->rate.count > 0)
        bucket->level -= bucket->rate.period_ms;
}
