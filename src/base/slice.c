#include "base/slice.h"

#include <stdlib.h>

#include "base/error.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.ptr[0]))
        s = slice_from(s, 1);
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

char *slice_dup(struct slice s)
{
    char *copy;

    if (s.len == SIZE_MAX)
        return NULL;
    copy = malloc(s.len + 1);
    if (copy == NULL)
        return NULL;
    if (s.len != 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

/*
 * Reads all of `s` as a number up to `max`. A text that is no number is ERR_PARSE even where
 * its first digits exceed `max` already, so the whole is looked at before ERR_LIMIT is said.
 */
static int parse_decimal(struct slice s, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    bool over = false;

    if (s.len == 0)
        return ERR_PARSE;
    for (size_t i = 0; i < s.len; i++) {
        uint64_t digit = (uint64_t)((unsigned char)s.ptr[i]) - '0';

        if (digit > 9)
            return ERR_PARSE;
        if (over || value > max / 10 || digit > max - value * 10)
            over = true;
        else
            value = value * 10 + digit;
    }
    if (over)
        return ERR_LIMIT;
    *out = value;
    return 0;
}

int slice_parse_u64(struct slice s, uint64_t *out)
{
    return parse_decimal(s, UINT64_MAX, out);
}

int slice_parse_i64(struct slice s, int64_t *out)
{
    bool negative = slice_starts_with(s, SLICE("-"));
    uint64_t max = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t value;
    int rc = parse_decimal(slice_from(s, negative ? 1 : 0), max, &value);

    if (rc != 0)
        return rc;
    /* The least value has no positive twin, so it cannot be negated as an int64_t. */
    if (negative)
        *out = value == 0 ? 0 : -(int64_t)(value - 1) - 1;
    else
        *out = (int64_t)value;
    return 0;
}
