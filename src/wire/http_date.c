#include "wire/http_date.h"

#include "base/timefmt.h"

enum { S_PER_DAY = 86400 };

/* Reads `width` characters as a number; asctime has a blank where others have a zero. */
static bool take_number(struct slice *text, size_t width, int64_t *out)
{
    uint64_t value;
    size_t blank = text->len > 0 && text->ptr[0] == ' ' && width == 2;

    if (text->len < width || slice_parse_u64(slice_make(text->ptr + blank, width - blank), &value))
        return false;
    *out = (int64_t)value;
    *text = slice_from(*text, width);
    return true;
}

static bool take_text(struct slice *text, struct slice expected)
{
    if (!slice_starts_with(*text, expected))
        return false;
    *text = slice_from(*text, expected.len);
    return true;
}

static bool take_month(struct slice *text, int64_t *month)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (*month = 1; *month <= 12; ++*month) {
        if (take_text(text, slice_make(names + 3 * (*month - 1), 3)))
            return true;
    }
    return false;
}

struct date {
    int64_t year, month, day, hour, minute, second;
};

static bool take_clock(struct slice *text, struct date *d)
{
    return take_number(text, 2, &d->hour) && take_text(text, SLICE(":")) &&
           take_number(text, 2, &d->minute) && take_text(text, SLICE(":")) &&
           take_number(text, 2, &d->second);
}

/* "06 Nov 1994 08:49:37 GMT" */
static bool parse_imf(struct slice text, struct date *d)
{
    return take_number(&text, 2, &d->day) && take_text(&text, SLICE(" ")) &&
           take_month(&text, &d->month) && take_text(&text, SLICE(" ")) &&
           take_number(&text, 4, &d->year) && take_text(&text, SLICE(" ")) &&
           take_clock(&text, d) && slice_eq_str(text, " GMT");
}

/* "06-Nov-94 08:49:37 GMT", or with the whole year. */
static bool parse_dashes(struct slice text, int64_t year_now, struct date *d)
{
    bool begins = take_number(&text, 2, &d->day) && take_text(&text, SLICE("-")) &&
                  take_month(&text, &d->month) && take_text(&text, SLICE("-"));
    struct slice year = text;

    if (!begins)
        return false;
    if (take_number(&year, 4, &d->year) && take_text(&year, SLICE(" ")))
        return take_clock(&year, d) && slice_eq_str(year, " GMT");
    if (!take_number(&text, 2, &d->year) || !take_text(&text, SLICE(" ")) ||
        !take_clock(&text, d) || !slice_eq_str(text, " GMT"))
        return false;
    d->year += year_now / 100 * 100;
    if (d->year > year_now + 50)
        d->year -= 100;
    else if (d->year <= year_now - 50)
        d->year += 100;
    return true;
}

/* "Nov  6 08:49:37 1994" */
static bool parse_asctime(struct slice text, struct date *d)
{
    return take_month(&text, &d->month) && take_text(&text, SLICE(" ")) &&
           take_number(&text, 2, &d->day) && take_text(&text, SLICE(" ")) && take_clock(&text, d) &&
           take_text(&text, SLICE(" ")) && take_number(&text, 4, &d->year) && text.len == 0;
}

bool http_date_parse(struct slice text, int64_t now_unix_s, int64_t *unix_s)
{
    int64_t year_now = 1970 + now_unix_s / 31556952; /* the mean year, good enough for a century */
    const char *blank = slice_find_byte(text, ' ');
    struct slice rest;
    struct date d = {0};

    if (blank == NULL)
        return false;
    rest = slice_from(text, (size_t)(blank - text.ptr) + 1); /* the day's name says nothing new */
    if (!parse_imf(rest, &d) && !parse_dashes(rest, year_now, &d) && !parse_asctime(rest, &d))
        return false;
    if (d.day < 1 || d.day > 31 || d.hour > 23 || d.minute > 59 || d.second > 60)
        return false;
    *unix_s =
        time_days(d.year, d.month, d.day) * S_PER_DAY + d.hour * 3600 + d.minute * 60 + d.second;
    return true;
}
