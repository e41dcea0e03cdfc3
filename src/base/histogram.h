/*
 * histogram.h - how often values fell between fixed bounds.
 *
 * Decides: a value belongs to the first bound that it does not exceed, or behind the last one.
 * Leaves to others: what is measured, in which unit, and which bounds suit it; and how it is shown.
 * Owns: nothing; the bounds are borrowed for good, as a rule a static array.
 * Fails: never. A value below 0 counts as 0, and sum stays where it would overflow.
 */
#ifndef HAWSER_BASE_HISTOGRAM_H
#define HAWSER_BASE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BOUNDS_MAX 16

struct histogram {
    const int64_t *bounds; /* rising */
    unsigned n;            /* of them */
    int64_t sum;
    uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1]; /* counts[n]: above all bounds */
};

/* At most HISTOGRAM_BOUNDS_MAX bounds. */
void histogram_init(struct histogram *histogram, const int64_t *bounds, unsigned n);
void histogram_add(struct histogram *histogram, int64_t value);
uint64_t histogram_total(const struct histogram *histogram);

#endif
