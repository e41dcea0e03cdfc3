#include "base/histogram.h"

#include <assert.h>

void histogram_init(struct histogram *histogram, const int64_t *bounds, unsigned n)
{
    assert(n <= HISTOGRAM_BOUNDS_MAX);
    *histogram = (struct histogram){.bounds = bounds, .n = n};
}

void histogram_add(struct histogram *histogram, int64_t value)
{
    unsigned i = 0;

    if (value < 0)
        value = 0;
    /* From below: most of what is measured is short, and there are few bounds. */
    while (i < histogram->n && value > histogram->bounds[i])
        i++;
    histogram->counts[i]++;
    if (__builtin_add_overflow(histogram->sum, value, &histogram->sum))
        histogram->sum = INT64_MAX;
}

uint64_t histogram_total(const struct histogram *histogram)
{
    uint64_t total = 0;

    for (unsigned i = 0; i <= histogram->n; i++)
        total += histogram->counts[i];
    return total;
}
