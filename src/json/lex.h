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
#include <stdint.h>
#include <string.h>

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
    uint64_t control = (word - LEX_ONES * 0x20) & ~word;

    return (word | ((quote - LEX_ONES) & ~quote) | ((escape - LEX_ONES) & ~escape) | control) &
           LEX_HIGHS;
}

/* The first byte from `p` on that is not plain, or `end`. Eight bytes a step. */
static inline const char *lex_plain_end(const char *p, const char *end)
{
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

/* Bytes of the well-formed UTF-8 character at `p` (RFC 3629, section 4), or 0. p != end. */
unsigned lex_utf8(const char *p, const char *end);

/* The value of a hexadecimal digit, or -1. */
int lex_hex(char c);

/* From the byte behind the opening quote to the one behind the closing quote. */
const char *lex_string(const char *p, const char *end, bool *escaped, const char **wrong);

/* From '-' or the first digit to the byte behind the number. */
const char *lex_number(const char *p, const char *end, const char **wrong);

/* Past `word`. */
const char *lex_literal(const char *p, const char *end, const char *word, const char **wrong);

#endif
