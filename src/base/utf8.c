#include "base/utf8.h"

#include <string.h>

/* The range of bytes that continue a character, unless its first byte narrows it. */
enum { TAIL_LOW = 0x80, TAIL_HIGH = 0xBF };

void utf8_init(struct utf8 *u)
{
    *u = (struct utf8){.need = 0, .low = TAIL_LOW, .high = TAIL_HIGH};
}

static bool has_failed(const struct utf8 *u)
{
    return u->low > u->high;
}

static bool fail(struct utf8 *u)
{
    *u = (struct utf8){.need = 1, .low = 1, .high = 0};
    return false;
}

/*
 * Begins a character. Overlong forms, surrogates and values past U+10FFFF are all told by the
 * second byte, given the first: so its range is narrowed here (RFC 3629, section 4).
 */
static bool take_first(struct utf8 *u, uint8_t byte)
{
    if (byte < 0x80)
        return true;
    if (byte < 0xC2 || byte > 0xF4)
        return fail(u);
    u->need = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    if (byte == 0xE0)
        u->low = 0xA0;
    else if (byte == 0xED)
        u->high = 0x9F;
    else if (byte == 0xF0)
        u->low = 0x90;
    else if (byte == 0xF4)
        u->high = 0x8F;
    return true;
}

static bool take_tail(struct utf8 *u, uint8_t byte)
{
    if (byte < u->low || byte > u->high)
        return fail(u);
    *u = (struct utf8){.need = (uint8_t)(u->need - 1), .low = TAIL_LOW, .high = TAIL_HIGH};
    return true;
}

/* How many bytes at the start are ASCII, in whole words of 8. */
static size_t ascii_words(const uint8_t *p, size_t len)
{
    size_t n = 0;

    for (; len - n >= 8; n += 8) {
        uint64_t word;

        memcpy(&word, p + n, sizeof word);
        if ((word & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    return n;
}

bool utf8_feed(struct utf8 *u, const void *data, size_t len)
{
    const uint8_t *p = data;
    size_t i = 0;

    if (has_failed(u))
        return false;
    while (i < len) {
        if (u->need == 0) {
            i += ascii_words(p + i, len - i);
            if (i < len && !take_first(u, p[i++]))
                return false;
        } else if (!take_tail(u, p[i++])) {
            return false;
        }
    }
    return true;
}

bool utf8_complete(const struct utf8 *u)
{
    return u->need == 0;
}

bool utf8_valid(const void *data, size_t len)
{
    struct utf8 u;

    utf8_init(&u);
    return utf8_feed(&u, data, len) && utf8_complete(&u);
}
