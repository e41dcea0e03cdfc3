#include "base/timefmt.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_DAY (86400 * US_PER_SECOND)

#define MS_PER_SECOND INT64_C(1000)
#define MS_PER_MINUTE (60 * MS_PER_SECOND)
#define MS_PER_HOUR (60 * MS_PER_MINUTE)
#define MS_PER_DAY (24 * MS_PER_HOUR)

/* The first and the last microsecond of the years 0000 to 9999. */
#define US_FIRST (-719528 * US_PER_DAY)
#define US_LAST (2932897 * US_PER_DAY - 1)

struct civil {
    unsigned year;
    unsigned month; /* 1 to 12 */
    unsigned day;   /* 1 to 31 */
};

/*
 * Days since 1970 as a Gregorian date. Years are counted from March, so that the leap day is
 * the last of its year, in eras of 400 years, which are all 146097 days long; one era is added
 * so that the year 0000, which then begins in the year before, stays positive. (The method is
 * Howard Hinnant's, "chrono-compatible low-level date algorithms".)
 */
static struct civil civil_from_days(int64_t days)
{
    unsigned since = (unsigned)(days + 719468 + 146097); /* 1 March of the year -400 */
    unsigned era = since / 146097;
    unsigned doe = since % 146097; /* day of the era */
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100); /* from 1 March */
    unsigned mp = (5 * doy + 2) / 153;                      /* month from March */
    unsigned month = mp < 10 ? mp + 3 : mp - 9;

    return (struct civil){
        .year = yoe + era * 400 - 400 + (month <= 2 ? 1 : 0),
        .month = month,
        .day = doy - (153 * mp + 2) / 5 + 1,
    };
}

int64_t time_days(int64_t year, int64_t month, int64_t day)
{
    /* Again from March, so that the leap day is the last of its year. */
    int64_t y = year - (month <= 2);
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

/* Writes `width` digits and then `after`; returns the place behind. */
static char *put(char *p, unsigned value, int width, char after)
{
    for (int i = width - 1; i >= 0; i--) {
        p[i] = (char)('0' + value % 10);
        value /= 10;
    }
    p[width] = after;
    return p + width + 1;
}

size_t time_format_us(int64_t unix_us, char out[32])
{
    int64_t us = unix_us < US_FIRST ? US_FIRST : unix_us > US_LAST ? US_LAST : unix_us;
    int64_t of_day = us % US_PER_DAY;
    struct civil date;
    unsigned second;
    char *p = out;

    if (of_day < 0)
        of_day += US_PER_DAY;
    date = civil_from_days((us - of_day) / US_PER_DAY);
    second = (unsigned)(of_day / US_PER_SECOND);
    p = put(p, date.year, 4, '-');
    p = put(p, date.month, 2, '-');
    p = put(p, date.day, 2, 'T');
    p = put(p, second / 3600, 2, ':');
    p = put(p, second / 60 % 60, 2, ':');
    p = put(p, second % 60, 2, '.');
    p = put(p, (unsigned)(of_day % US_PER_SECOND), 6, 'Z');
    *p = '\0';
    return (size_t)(p - out);
}

/* "2h3m", or "2h" when there is nothing of the smaller unit. */
static int format_two(char *out, size_t n, const char *sign, uint64_t big, char big_unit,
                      uint64_t small, char small_unit)
{
    if (small == 0)
        return snprintf(out, n, "%s%" PRIu64 "%c", sign, big, big_unit);
    return snprintf(out, n, "%s%" PRIu64 "%c%" PRIu64 "%c", sign, big, big_unit, small, small_unit);
}

static int format_magnitude(char *out, size_t n, const char *sign, uint64_t ms)
{
    if (ms == 0)
        return snprintf(out, n, "0s");
    if (ms < MS_PER_SECOND)
        return snprintf(out, n, "%s%" PRIu64 "ms", sign, ms);
    if (ms < MS_PER_MINUTE && ms % 1000 >= 100)
        return snprintf(out, n, "%s%" PRIu64 ".%" PRIu64 "s", sign, ms / 1000, ms % 1000 / 100);
    if (ms < MS_PER_MINUTE)
        return snprintf(out, n, "%s%" PRIu64 "s", sign, ms / 1000);
    if (ms < MS_PER_HOUR)
        return format_two(out, n, sign, ms / MS_PER_MINUTE, 'm', ms % MS_PER_MINUTE / 1000, 's');
    if (ms < MS_PER_DAY)
        return format_two(out, n, sign, ms / MS_PER_HOUR, 'h', ms % MS_PER_HOUR / MS_PER_MINUTE,
                          'm');
    return format_two(out, n, sign, ms / MS_PER_DAY, 'd', ms % MS_PER_DAY / MS_PER_HOUR, 'h');
}

/* Takes `width` digits and one of the characters in `after` (any digit may follow where it is "").
 */
static bool take(struct slice *text, size_t width, const char *after, int64_t *out)
{
    uint64_t value;

    if (text->len < width + (after[0] != '\0') ||
        slice_parse_u64(slice_make(text->ptr, width), &value) != 0)
        return false;
    if (after[0] != '\0' && (text->ptr[width] == '\0' || !strchr(after, text->ptr[width])))
        return false;
    *text = slice_from(*text, width + (after[0] != '\0'));
    *out = (int64_t)value;
    return true;
}

/* ".123456" or nothing. */
static bool take_fraction(struct slice *text, int64_t *us)
{
    size_t n = 0;

    *us = 0;
    if (text->len == 0 || text->ptr[0] != '.')
        return true;
    *text = slice_from(*text, 1);
    for (int64_t unit = US_PER_SECOND / 10; n < text->len; n++, unit /= 10) {
        if (text->ptr[n] < '0' || text->ptr[n] > '9')
            break;
        *us += (text->ptr[n] - '0') * unit;
    }
    *text = slice_from(*text, n);
    return n > 0;
}

/* "Z", "+02:00" or "-00:30", to the end. */
static bool take_offset(struct slice text, int64_t *seconds)
{
    int64_t hours, minutes;
    bool west = text.len > 0 && text.ptr[0] == '-';

    *seconds = 0;
    if (slice_eq(text, SLICE("Z")) || slice_eq(text, SLICE("z")))
        return true;
    if (text.len == 0 || (!west && text.ptr[0] != '+'))
        return false;
    text = slice_from(text, 1);
    if (!take(&text, 2, ":", &hours) || !take(&text, 2, "", &minutes) || text.len > 0 ||
        hours > 23 || minutes > 59)
        return false;
    *seconds = (hours * 60 + minutes) * (west ? -60 : 60);
    return true;
}

int time_parse_us(struct slice text, int64_t *unix_us)
{
    int64_t year, month, day, hour, minute, second, us, offset_s;

    if (!take(&text, 4, "-", &year) || !take(&text, 2, "-", &month) ||
        !take(&text, 2, "Tt ", &day) || !take(&text, 2, ":", &hour) ||
        !take(&text, 2, ":", &minute) || !take(&text, 2, "", &second) ||
        !take_fraction(&text, &us) || !take_offset(text, &offset_s))
        return ERR_PARSE;
    if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
        return ERR_PARSE;
    *unix_us =
        (time_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset_s) *
            US_PER_SECOND +
        us;
    return 0;
}

size_t duration_format(int64_t duration_ms, char *out, size_t n)
{
    uint64_t magnitude = duration_ms < 0 ? -(uint64_t)duration_ms : (uint64_t)duration_ms;
    int length;

    assert(n > 0);
    length = format_magnitude(out, n, duration_ms < 0 ? "-" : "", magnitude);
    return (size_t)length < n ? (size_t)length : n - 1;
}

struct unit {
    struct slice name;
    uint64_t factor;
};

/* How many digits the text begins with: "30s" has 2. */
static size_t count_digits(struct slice text)
{
    size_t n = 0;

    while (n < text.len && text.ptr[n] >= '0' && text.ptr[n] <= '9')
        n++;
    return n;
}

/* Reads digits followed by the name of one of `units`, up to `max` in the smallest unit. */
static int parse_scaled(struct slice text, const struct unit *units, size_t n, uint64_t max,
                        uint64_t *out)
{
    size_t digits = count_digits(text);
    struct slice name = slice_from(text, digits);
    const struct unit *unit = NULL;
    uint64_t value;
    int rc;

    for (size_t i = 0; i < n && unit == NULL; i++) {
        if (slice_eq(units[i].name, name))
            unit = &units[i];
    }
    if (unit == NULL)
        return ERR_PARSE;
    rc = slice_parse_u64(slice_make(text.ptr, digits), &value);
    if (rc != 0)
        return rc;
    if (value > max / unit->factor)
        return ERR_LIMIT;
    *out = value * unit->factor;
    return 0;
}

int duration_parse(struct slice text, int64_t *duration_ms)
{
    static const struct unit units[] = {
        {SLICE_INIT("ms"), 1},
        {SLICE_INIT("s"), MS_PER_SECOND},
        {SLICE_INIT("m"), MS_PER_MINUTE},
        {SLICE_INIT("h"), MS_PER_HOUR},
        {SLICE_INIT("d"), MS_PER_DAY},
    };
    uint64_t value;
    int rc;

    /* Nought is the same in every unit, so it needs none. */
    if (slice_eq(text, SLICE("0"))) {
        *duration_ms = 0;
        return 0;
    }
    rc = parse_scaled(text, units, sizeof units / sizeof units[0], INT64_MAX, &value);
    if (rc == 0)
        *duration_ms = (int64_t)value;
    return rc;
}

int rate_parse(struct slice text, uint64_t *count, int64_t *period_ms)
{
    size_t digits = count_digits(text);
    struct slice period = slice_from(text, digits);
    char once[8] = "1"; /* "s" is "1s" */
    int64_t ms;
    uint64_t n;
    int rc;

    if (digits == 0 || period.len < 2 || period.ptr[0] != '/')
        return ERR_PARSE;
    period = slice_from(period, 1);
    if (count_digits(period) == 0 && period.len < sizeof once) {
        memcpy(once + 1, period.ptr, period.len);
        period = slice_make(once, 1 + period.len);
    }
    rc = duration_parse(period, &ms);
    if (rc == 0 && ms == 0)
        rc = ERR_PARSE;
    if (rc == 0)
        rc = slice_parse_u64(slice_make(text.ptr, digits), &n);
    if (rc != 0)
        return rc;
    *count = n;
    *period_ms = ms;
    return 0;
}

int size_parse(struct slice text, uint64_t *bytes)
{
    static const struct unit units[] = {
        {SLICE_INIT(""), 1},
        {SLICE_INIT("K"), UINT64_C(1) << 10},
        {SLICE_INIT("M"), UINT64_C(1) << 20},
        {SLICE_INIT("G"), UINT64_C(1) << 30},
    };

    return parse_scaled(text, units, sizeof units / sizeof units[0], UINT64_MAX, bytes);
}
