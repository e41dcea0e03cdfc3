/*
 * position.h: a stream's resume point, and what may replace it.
 *
 * Decides: with compare = int, numbers of any length go up only; opaque ones are replaced by
 * whatever comes. Leaves: storing them. Owns: one position of at most LIMIT_POSITION bytes.
 */
#ifndef HAWSER_FLOW_POSITION_H
#define HAWSER_FLOW_POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/slice.h"
#include "profile/profile.h"

struct position {
    enum profile_compare compare;
    bool known;
    struct slice number; /* of text, without leading zeros; .ptr NULL if it is no number */
    size_t len;
    char text[LIMIT_POSITION];
};

/* NULL, or why this cannot be a position. */
const char *position_fault(enum profile_compare compare, struct slice text);
/* Decimal digits only, compared by value whatever their number: <0, 0, >0. */
int position_compare(struct slice a, struct slice b);
/* For those without a fault: it may replace the present one; it lies below it. */
bool position_advances(const struct position *position, struct slice text);
bool position_is_late(const struct position *position, struct slice text);
/* .ptr NULL, empty or too long: unknown from here. */
void position_set(struct position *position, struct slice text);
/* So much below a decimal number, 0 at least; into out, without leading zeros. */
struct slice position_minus(struct slice number, uint64_t less, char out[LIMIT_POSITION]);
struct slice position_text(const struct position *position);

#endif
