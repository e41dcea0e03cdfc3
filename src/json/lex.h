/*
 * lex: the tokens of RFC 8259, for the files of this room only.
 *
 * Decides: where a string, a number or a literal ends, and whether it is well-formed.
 * Leaves: how tokens follow each other, to scan.c and iter.c.
 * Owns: nothing.
 * Fails: the functions that check return NULL and set *wrong to the first byte that cannot stand
 * where it stands; that is `end` when the text stops too early. Nothing is read at or past `end`.
 */
#ifndef HAWSER_JSON_LEX_H
#define HAWSER_JSON_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define LEX_ONES UINT64_C(0x0101010101010101)
#define LEX_HIGHS UINT64_C(0x8080808080808080)

/* Past the blanks that may stand between tokens. Most often there is none. */
static inline const char *lex_blank(const char *p, const char *end)
{
    while (p != end && (unsigned char)*p <= ' ' &&
           (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* Part of string text that stands for itself, is one byte long and is ASCII. */
static inline bool lex_is_plain(char c)
{
    unsigned char byte = (unsigned char)c;

    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

/*
 * In each byte's highest bit, whether the byte is not plain. A borrow may set the bit also for
 * bytes above one that is not plain, so only the lowest bit that is set tells the truth.
 */
static inline uint64_t lex_not_plain(uint64_t word)
{
    uint64_t quote = word ^ (LEX_ONES * '"');
    uint64_t escape = word ^ (LEX_ONES * '\\');

    return (word | (quote - LEX_ONES) | (escape - LEX_ONES) | (word - LEX_ONES * 0x20)) & LEX_HIGHS;
}

#if defined(__SSE2__)
/* A bit for each of 16 bytes: whether it is not plain. As a signed number, a byte that is not ASCII
 * is below the blank as well. */
static inline unsigned lex_not_plain_16(const char *p)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    __m128i low = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i escape = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));

    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, escape)));
}
#endif

/* The first byte from `p` on that is not plain, or `end`. As many bytes a step as can be. */
static inline const char *lex_plain_end(const char *p, const char *end)
{
#if defined(__SSE2__)
    for (; end - p >= 16; p += 16) {
        unsigned special = lex_not_plain_16(p);

        if (special != 0)
            return p + __builtin_ctz(special);
    }
#endif
    while (end - p >= 8) {
        uint64_t word;

        memcpy(&word, p, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        word = lex_not_plain(word);
        if (word != 0)
            return p + __builtin_ctzll(word) / 8;
        p += 8;
    }
    while (p != end && lex_is_plain(*p))
        p++;
    return p;
}

static inline bool lex_is_tail(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* The second byte, given the first, tells overlong forms, surrogates and what lies too high. */
static inline bool lex_is_second(unsigned char first, unsigned char second)
{
    if (first == 0xE0)
        return second >= 0xA0 && second <= 0xBF;
    if (first == 0xED)
        return second >= 0x80 && second <= 0x9F;
    if (first == 0xF0)
        return second >= 0x90 && second <= 0xBF;
    if (first == 0xF4)
        return second >= 0x80 && second <= 0x8F;
    return second >= 0x80 && second <= 0xBF;
}

/* Bytes of the well-formed UTF-8 character at `p` (RFC 3629, section 4), or 0. p != end. */
static inline unsigned lex_utf8(const char *p, const char *end)
{
    unsigned char first = (unsigned char)*p;
    unsigned len;

    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    len = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (end - p < (ptrdiff_t)len || !lex_is_second(first, (unsigned char)p[1]))
        return 0;
    if (len > 2 && !lex_is_tail(p[2]))
        return 0;
    return len < 4 || lex_is_tail(p[3]) ? len : 0;
}

/* The value of a hexadecimal digit, or -1. */
int lex_hex(char c);

/* The same as lex_string, from anywhere inside the string; for strings that are not all plain. */
const char *lex_string_rest(const char *p, const char *end, bool *escaped, const char **wrong);

/* From the byte behind the opening quote to the one behind the closing quote. */
static inline const char *lex_string(const char *p, const char *end, bool *escaped,
                                     const char **wrong)
{
    *escaped = false;
    p = lex_plain_end(p, end);
    if (p != end && *p == '"')
        return p + 1;
    return lex_string_rest(p, end, escaped, wrong);
}

/* From '-' or the first digit to the byte behind the number. */
const char *lex_number(const char *p, const char *end, const char **wrong);

/* Past `word`. */
const char *lex_literal(const char *p, const char *end, const char *word, const char **wrong);

#endif
