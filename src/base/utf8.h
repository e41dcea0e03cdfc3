/*
 * utf8.h - is this UTF-8? Text may arrive in pieces that break anywhere.
 *
 * Decides: validity by RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF.
 * A NUL is valid.
 * Leaves to others: what to do with bytes that are not.
 * Owns: nothing. Fails: never.
 */
#ifndef HAWSER_BASE_UTF8_H
#define HAWSER_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct utf8 {
    uint8_t need; /* continuation bytes still to come */
    uint8_t low;  /* the next one's least value; an empty range (low > high) after a failure */
    uint8_t high; /* the next one's greatest value */
};

void utf8_init(struct utf8 *u);

/*
 * Takes the next piece. False as soon as a byte makes the text invalid, whatever may follow;
 * once false, it stays false until utf8_init. `data` may be NULL when `len` is 0.
 */
bool utf8_feed(struct utf8 *u, const void *data, size_t len);

/* True when all that was fed is valid and does not end within a character. */
bool utf8_complete(const struct utf8 *u);

/* A whole text at once. */
bool utf8_valid(const void *data, size_t len);

#endif
