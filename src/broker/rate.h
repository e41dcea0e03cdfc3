/*
 * rate: how often something happened lately, and a bucket of tokens. For the files of this room.
 *
 * A rate_log counts exactly while it has a mark for each moment. Where there are more moments than
 * marks, neighbours become one, dated by the later: it may then say that something is still within
 * a period when it has just left it, never the other way round.
 */
#ifndef HAWSER_BROKER_RATE_H
#define HAWSER_BROKER_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "profile/profile.h"

#define RATE_MARKS 240

struct rate_mark {
    int64_t at_ms;   /* of the newest that it counts */
    int64_t from_ms; /* of the oldest */
    uint32_t count;
};
struct rate_log {
    struct rate_mark marks[RATE_MARKS]; /* oldest first */
    unsigned n;
};

void rate_add(struct rate_log *log, uint32_t count, int64_t now_ms);
/* Forgets what is older than the period. */
void rate_expire(struct rate_log *log, int64_t period_ms, int64_t now_ms);
/* How often within the period that ends now. */
uint64_t rate_count(const struct rate_log *log, int64_t period_ms, int64_t now_ms);
/* When one more is within the limit, `more` besides those in the log being counted too: now, later,
 * or INT64_MAX when no time alone will do. */
int64_t rate_free_ms(const struct rate_log *log, const struct profile_rate *limit, uint64_t more,
                     int64_t now_ms);
void rate_shift(struct rate_log *log, int64_t by_ms);

/* So many at once as a period's worth, then at their rate. */
struct bucket {
    struct profile_rate rate; /* count 0: no limit */
    int64_t level;            /* tokens times period_ms */
    int64_t at_ms;            /* as of then */
};
void bucket_init(struct bucket *bucket, struct profile_rate rate);
/* Another rate; of what it holds as much counts as of its whole. */
void bucket_change(struct bucket *bucket, struct profile_rate rate, int64_t now_ms);
void bucket_fill(struct bucket *bucket, int64_t now_ms);
/* When the n-th token from now on is there; 1 is the next. */
int64_t bucket_when_ms(const struct bucket *bucket, unsigned n);
void bucket_take(struct bucket *bucket);

#endif
