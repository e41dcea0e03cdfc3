/*
 * suggest.h - "did you mean ...?" for a misspelt word.
 *
 * Decides: how near a known word must be to be worth naming.
 * Leaves to others: the known words, and the wording of the question.
 * Owns: nothing; the result is one of the candidates. Fails: never.
 */
#ifndef HAWSER_BASE_SUGGEST_H
#define HAWSER_BASE_SUGGEST_H

#include <stddef.h>

#include "base/slice.h"

/* Longer words are compared with nothing. */
#define SUGGEST_WORD_MAX 64

/*
 * The candidate with the least edit distance to `word` (an insertion, deletion, replacement or
 * swap of neighbours each counting one), the first one of equals; NULL when even that is
 * farther than a third of the word's length, though one edit is always near enough.
 */
const char *suggest(struct slice word, const char *const *candidates, size_t n);

#endif
