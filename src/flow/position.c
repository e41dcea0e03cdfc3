#include "flow/position.h"

#include <string.h>

/* The number's digits without leading zeros (zero itself: none left), or .ptr NULL. */
static struct slice significant(struct slice text)
{
    size_t zeros = 0;

    if (text.len == 0)
        return slice_make(NULL, 0);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return slice_make(NULL, 0);
    }
    while (zeros < text.len && text.ptr[zeros] == '0')
        zeros++;
    return slice_from(text, zeros);
}

/* Of two numbers without leading zeros the longer is the greater. */
static int compare_significant(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len == 0 ? 0 : memcmp(a.ptr, b.ptr, a.len);
}

int position_compare(struct slice a, struct slice b)
{
    return compare_significant(significant(a), significant(b));
}

const char *position_fault(enum profile_compare compare, struct slice text)
{
    if (text.len > LIMIT_POSITION)
        return "the position is over 512 bytes";
    if (compare == PROFILE_COMPARE_INT && significant(text).ptr == NULL)
        return "the position is not a whole number";
    return NULL;
}

_Static_assert(LIMIT_POSITION == 512, "the text above names it");

bool position_advances(const struct position *position, struct slice text)
{
    switch (position->compare) {
    case PROFILE_COMPARE_OPAQUE:
        return true;
    case PROFILE_COMPARE_INT:
        /* A first position that the operator wrote need not be a number; the first one is above. */
        return position->number.ptr == NULL ||
               compare_significant(significant(text), position->number) > 0;
    }
    return false;
}

bool position_is_late(const struct position *position, struct slice text)
{
    return position->compare == PROFILE_COMPARE_INT && position->number.ptr != NULL &&
           compare_significant(significant(text), position->number) < 0;
}

void position_set(struct position *position, struct slice text)
{
    position->known = text.ptr != NULL && text.len > 0 && text.len <= LIMIT_POSITION;
    position->len = position->known ? text.len : 0;
    if (position->known)
        memmove(position->text, text.ptr, text.len);
    position->number = significant(slice_make(position->text, position->len));
}

struct slice position_minus(struct slice number, uint64_t less, char out[LIMIT_POSITION])
{
    struct slice digits = significant(number);
    size_t at = digits.len;
    unsigned borrow = 0;

    if (digits.len > 0)
        memcpy(out, digits.ptr, digits.len);
    while (at > 0 && (less > 0 || borrow > 0)) {
        unsigned take = (unsigned)(less % 10) + borrow;
        unsigned digit = (unsigned)(out[--at] - '0');

        borrow = digit < take;
        out[at] = (char)('0' + digit + 10 * borrow - take);
        less /= 10;
    }
    digits = significant(slice_make(out, digits.len));
    if (less > 0 || borrow > 0 || digits.len == 0) {
        out[0] = '0';
        return slice_make(out, 1);
    }
    return digits;
}

struct slice position_text(const struct position *position)
{
    if (!position->known)
        return slice_make(NULL, 0);
    return slice_make(position->text, position->len);
}
