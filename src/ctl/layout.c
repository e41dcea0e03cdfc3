#include "ctl/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- reasons ---- */

/* Where the parenthesis begins that `end` is inside of; NULL: in none. Causes hold some of their
 * own. */
static const char *opening(struct slice text, const char *end)
{
    unsigned depth = 0;
    for (const char *at = end; at > text.ptr; at--) {
        if (at[-1] == ')')
            depth++;
        else if (at[-1] == '(' && depth-- == 0)
            return at - 1;
    }
    return NULL;
}

/* The last, for what the peer said comes before. */
static const char *last_fix(struct slice text, struct slice mark)
{
    for (size_t at = text.len; at >= mark.len; at--)
        if (memcmp(text.ptr + at - mark.len, mark.ptr, mark.len) == 0)
            return text.ptr + at - mark.len;
    return NULL;
}

struct reason reason_split(struct slice text)
{
    struct slice mark = SLICE(". Fix: ");
    struct reason reason = {.what = text};
    const char *fix = last_fix(text, mark);
    const char *begin = fix != NULL ? opening(text, fix) : NULL;
    if (begin == NULL)
        return reason;
    size_t at = (size_t)(fix - text.ptr) + mark.len;
    reason.what = slice_trim(slice_make(text.ptr, (size_t)(begin - text.ptr)));
    reason.cause = slice_make(begin + 1, (size_t)(fix - begin) - 1);
    reason.fix = slice_from(text, at);
    if (reason.fix.len > 0 && reason.fix.ptr[reason.fix.len - 1] == ')')
        reason.fix.len--; /* but of one that was cut */
    return reason;
}

/* ---- width ---- */

static const struct range {
    uint32_t from, to;
} none[] = {{0x0300, 0x036F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}},
  two[] = {{0x1100, 0x115F},   {0x2E80, 0xA4CF},  {0xAC00, 0xD7A3}, {0xF900, 0xFAFF},
           {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},  {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F},
           {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};

static bool within(const struct range *ranges, size_t n, uint32_t code)
{
    for (size_t i = 0; i < n; i++)
        if (ranges[i].from <= code && code <= ranges[i].to)
            return true;
    return false;
}

/* The character that begins at `at`, of valid UTF-8 or of any bytes; its length. */
static size_t decode(struct slice text, size_t at, uint32_t *code)
{
    unsigned char first = (unsigned char)text.ptr[at];
    size_t n = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    *code = n == 1 ? first : first & (0xFFu >> (n + 1));
    if (n > text.len - at)
        n = text.len - at;
    for (size_t i = 1; i < n; i++)
        *code = *code << 6 | ((unsigned char)text.ptr[at + i] & 0x3F);
    return n;
}

static size_t columns_of(uint32_t code)
{
    if (within(none, sizeof(none) / sizeof(none[0]), code))
        return 0;
    return within(two, sizeof(two) / sizeof(two[0]), code) ? 2 : 1;
}

size_t layout_columns(struct slice text)
{
    size_t columns = 0;
    uint32_t code;
    for (size_t at = 0; at < text.len;) {
        at += decode(text, at, &code);
        columns += columns_of(code);
    }
    return columns;
}

/* Bytes of text that fit into so many columns, at least a character. */
static size_t fitting(struct slice text, size_t columns)
{
    size_t used = 0, at = 0;
    while (at < text.len) {
        uint32_t code;
        size_t n = decode(text, at, &code);
        used += columns_of(code);
        if (used > columns && at > 0)
            break;
        at += n;
    }
    return at;
}

/* ---- lines ---- */

static void blanks(struct buf *out, size_t n)
{
    while (n-- > 0)
        (void)buf_append_byte(out, ' ');
}

static size_t new_line(struct buf *out, size_t indent)
{
    (void)buf_append_byte(out, '\n');
    blanks(out, indent);
    return indent;
}

void layout_wrap(struct buf *out, struct slice text, size_t at, size_t indent, size_t width)
{
    bool fresh = true; /* nothing of it on this line yet */
    while ((text = slice_trim(text)).len > 0) {
        const char *blank = slice_find_byte(text, ' ');
        struct slice word = blank != NULL ? slice_make(text.ptr, (size_t)(blank - text.ptr)) : text;
        size_t columns = layout_columns(word);
        if (width > 0 && !fresh && at + 1 + columns > width) {
            at = new_line(out, indent);
            fresh = true;
        }
        if (!fresh) {
            (void)buf_append_byte(out, ' ');
            at++;
        }
        if (width > 0 && at + columns > width) {
            word.len = fitting(word, width > at ? width - at : 1);
            columns = layout_columns(word);
        }
        (void)buf_append_slice(out, word);
        at += columns;
        fresh = false;
        text = slice_from(text, word.len);
        if (text.len > 0 && text.ptr[0] != ' ') {
            at = new_line(out, indent);
            fresh = true;
        }
    }
}

void layout_pad(struct buf *out, struct slice text, size_t columns, bool right)
{
    size_t taken = layout_columns(text);
    size_t rest = taken < columns ? columns - taken : 0;
    if (right)
        blanks(out, rest);
    (void)buf_append_slice(out, text);
    if (!right)
        blanks(out, rest);
}

/* ---- numbers ---- */

void layout_bytes(int64_t bytes, char *out, size_t size)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit < sizeof(units) / sizeof(units[0]) - 1) {
        value /= 1024;
        unit++;
    }
    snprintf(out, size, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

void layout_rate(double per_s, char *out, size_t size)
{
    if (per_s > 0 && per_s < 0.05)
        snprintf(out, size, "<0.1");
    else
        snprintf(out, size, per_s > 0 && per_s < 9.95 ? "%.1f" : "%.0f", per_s);
}

void layout_clock(int64_t at_s, int64_t now_s, char out[LAYOUT_CLOCK_SIZE])
{
    time_t at = (time_t)at_s;
    int64_t away_s = at_s > now_s ? at_s - now_s : now_s - at_s;
    struct tm tm;
    if (localtime_r(&at, &tm) == NULL || strftime(out, LAYOUT_CLOCK_SIZE,
                                                  away_s < 12 * 3600       ? "%H:%M:%S"
                                                  : away_s < 6 * 24 * 3600 ? "%a %H:%M"
                                                                           : "%Y-%m-%d %H:%M",
                                                  &tm) == 0)
        snprintf(out, LAYOUT_CLOCK_SIZE, "-");
}
