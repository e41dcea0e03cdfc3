/*
 * timefmt.h - times, durations and sizes as text.
 *
 * Decides: the one form in which times are written, and the units a configuration may use.
 * Leaves to others: what time it is; there is no clock here.
 * Owns: nothing.
 * Fails: only the parsers can: ERR_PARSE when the text has not this form, ERR_LIMIT when the
 * value does not fit; then the output is kept.
 */
#ifndef HAWSER_BASE_TIMEFMT_H
#define HAWSER_BASE_TIMEFMT_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* Bytes that every formatted duration fits in, its NUL included. */
#define DURATION_TEXT_SIZE 32

/*
 * Writes microseconds since 1970 as "2026-05-17T13:10:03.123456Z" and a NUL. Times outside
 * the years 0000 to 9999 are written as the nearest time within. Returns the length, 27.
 */
size_t time_format_us(int64_t unix_us, char out[32]);

/* Days from 1970-01-01 to a date of the Gregorian calendar; month 1 to 12. */
int64_t time_days(int64_t year, int64_t month, int64_t day);

/* "2026-05-17T13:10:03.123456Z", or with another offset, a small "t" or "z", or a blank in the
 * place of the T (RFC 3339 5.6); digits of the second behind the sixth are cut. */
int time_parse_us(struct slice text, int64_t *unix_us);

/*
 * Writes a duration for people, with at most two units and cut, not rounded: "850ms", "1.9s",
 * "5m", "2h3m", "7d". Always ends in a NUL; cut if `n`, which must not be 0, is too small.
 * Returns the length written.
 */
size_t duration_format(int64_t duration_ms, char *out, size_t n);

/* "500ms", "30s", "5m", "24h", "7d", or a plain "0". */
int duration_parse(struct slice text, int64_t *duration_ms);

/* "20/s", "300/5m", "1000/24h": so many in so long, which is a unit or a duration other than 0. */
int rate_parse(struct slice text, uint64_t *count, int64_t *period_ms);

/* "4096", "64K", "16M", "2G", in powers of 1024. */
int size_parse(struct slice text, uint64_t *bytes);

#endif
