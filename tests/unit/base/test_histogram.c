#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/histogram.h"

static void test_a_bound_belongs_to_what_is_below(void **state)
{
    static const int64_t bounds[] = {1, 10, 100};
    static const int64_t values[] = {0, 1, 2, 10, 11, 100, 101, 5000};
    struct histogram h;

    (void)state;
    histogram_init(&h, bounds, 3);
    for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++)
        histogram_add(&h, values[i]);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(h.counts[i], 2);
    assert_int_equal(h.sum, 5225);
    assert_int_equal(histogram_total(&h), 8);
}

static void test_values_from_beyond(void **state)
{
    static const int64_t bounds[] = {5};
    struct histogram h;

    (void)state;
    histogram_init(&h, bounds, 1);
    histogram_add(&h, -7);
    assert_int_equal(h.sum, 0);
    assert_int_equal(h.counts[0], 1);
    histogram_add(&h, INT64_MAX);
    histogram_add(&h, INT64_MAX);
    assert_true(h.sum == INT64_MAX);
    assert_int_equal(h.counts[1], 2);
}

static void test_as_many_bounds_as_may_be(void **state)
{
    int64_t bounds[HISTOGRAM_BOUNDS_MAX];
    struct histogram h;

    (void)state;
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS_MAX; i++)
        bounds[i] = i;
    histogram_init(&h, bounds, HISTOGRAM_BOUNDS_MAX);
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS_MAX; i++)
        histogram_add(&h, i);
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS_MAX; i++)
        assert_int_equal(h.counts[i], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bound_belongs_to_what_is_below),
        cmocka_unit_test(test_values_from_beyond),
        cmocka_unit_test(test_as_many_bounds_as_may_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
