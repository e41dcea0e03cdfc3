#include "reach/redact.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const char mark[] = "***"; /* shorter than any value: the text never grows */

void redact_init(struct redact *redact)
{
    for (unsigned i = 0; i < REDACT_KEPT; i++)
        buf_init(&redact->values[i], BUF_UNBOUNDED);
}

void redact_fini(struct redact *redact)
{
    for (unsigned i = 0; i < REDACT_KEPT; i++) {
        buf_wipe(&redact->values[i]);
        buf_fini(&redact->values[i]);
    }
}

/* The place of the value, or of the one that goes for it: free, or not heard of for longest. */
static unsigned place_of(const struct redact *redact, struct slice value)
{
    unsigned i = 0;
    while (i < REDACT_KEPT - 1 && !slice_eq(buf_slice(&redact->values[i]), value))
        i++;
    return i;
}

int redact_learn(struct redact *redact, struct slice value)
{
    if (value.len < REDACT_MIN)
        return 0;
    unsigned i = place_of(redact, value);
    struct buf place = redact->values[i];
    int rc = 0;
    if (!slice_eq(buf_slice(&place), value)) {
        buf_wipe(&place);
        rc = buf_append_slice(&place, value);
    }
    memmove(&redact->values[1], &redact->values[0], i * sizeof(place));
    redact->values[0] = place;
    return rc;
}

/* Bytes of text that stand for this byte of a value, 0: it is another. */
static size_t match_byte(const char *text, char byte)
{
    static const char hex[] = "0123456789ABCDEF";
    char encoded[] = {'%', hex[(unsigned char)byte >> 4], hex[byte & 0xF], '\0'};
    if (*text == byte)
        return 1;
    if (strncasecmp(text, encoded, 3) == 0)
        return 3;
    if (*text == '+' && byte == ' ')
        return 1;
    return text[0] == '\\' && text[1] == byte ? 2 : 0;
}

/* Where text was cut: at its end, or at the dots that say so. */
static bool broken_off(const char *text)
{
    return *text == '\0' || strcmp(text, "...") == 0 ||
           ((*text == '%' || *text == '\\') && strlen(text) < 3);
}

/* Bytes of text from its start on that are a trace of the value as it is, 0: none. encoded: a
 * percent sign of the value stands there as %25, else as itself; "%25" alone does not tell. */
static size_t match_as(const char *text, struct slice value, bool encoded)
{
    size_t at = 0, i = 0, n;
    for (; i < value.len; i++, at += n) {
        if (encoded && value.ptr[i] == '%')
            n = strncmp(text + at, "%25", 3) == 0 ? 3 : 0;
        else
            n = match_byte(text + at, value.ptr[i]);
        if (n == 0)
            return i >= REDACT_MIN && broken_off(text + at) ? strlen(text) : 0;
    }
    return at;
}

static size_t match_plain(const char *text, struct slice value)
{
    size_t n = match_as(text, value, false);
    bool both = n == 0 && value.len > 0 && memchr(value.ptr, '%', value.len) != NULL;
    return both ? match_as(text, value, true) : n;
}

/* ---- base64 ---- */

/* Character number i of the base64 of `shift` unknown bytes and the value; -1: it is not known. */
static int base64_char(struct slice value, unsigned shift, size_t i)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t first = 6 * i / 8, last = (6 * i + 5) / 8; /* the bytes that it is made of */
    if (first < shift || last >= shift + value.len)
        return -1;
    unsigned bits = (unsigned char)value.ptr[first - shift] << 8;
    if (last != first)
        bits |= (unsigned char)value.ptr[last - shift];
    return digits[bits >> (10 - 6 * i % 8) & 63];
}

/* Bytes of text that stand for this digit: of either alphabet, perhaps percent-encoded. */
static size_t match_digit(const char *text, char digit)
{
    if (digit == '+')
        return *text == '-' ? 1 : match_byte(text, '+');
    if (digit == '/')
        return *text == '_' ? 1 : match_byte(text, '/');
    return match_byte(text, digit);
}

/* The digit that has the value's last bits besides others, and the padding. */
static size_t base64_tail(const char *text, bool shared)
{
    size_t n =
        shared && (isalnum((unsigned char)*text) || (*text != '\0' && strchr("+/-_", *text)));
    while (text[n] == '=' || strncasecmp(text + n, "%3d", 3) == 0)
        n += text[n] == '=' ? 1 : 3;
    return n;
}

/* The value within something that was base64-encoded as a whole, which has put `shift` bytes, and
 * any number of threes, before it. */
static size_t match_base64(const char *text, struct slice value, unsigned shift)
{
    size_t begin = (8 * shift + 5) / 6, end = 8 * (shift + value.len) / 6;
    size_t at = 0, n;
    for (size_t i = begin; i < end; i++, at += n) {
        n = match_digit(text + at, (char)base64_char(value, shift, i));
        if (n == 0)
            return i - begin > REDACT_MIN && broken_off(text + at) ? strlen(text) : 0;
    }
    return at + base64_tail(text + at, (shift + value.len) % 3 != 0);
}

/* ---- all of it ---- */

static size_t match(const char *text, struct slice value)
{
    size_t longest = match_plain(text, value);
    for (unsigned shift = 0; longest == 0 && shift < 3; shift++)
        longest = match_base64(text, value, shift);
    return longest;
}

void redact_text(const struct redact *redact, char *text)
{
    char *to = text;
    while (*text != '\0') {
        size_t longest = 0;
        for (unsigned i = 0; i < REDACT_KEPT; i++) {
            size_t n = redact->values[i].len > 0 ? match(text, buf_slice(&redact->values[i])) : 0;
            longest = n > longest ? n : longest;
        }
        if (longest == 0) {
            *to++ = *text++;
            continue;
        }
        memcpy(to, mark, sizeof(mark) - 1);
        to += sizeof(mark) - 1;
        text += longest;
    }
    *to = '\0';
}
