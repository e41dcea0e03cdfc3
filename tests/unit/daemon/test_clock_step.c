/* The wall clock is set forth and back while the other one runs on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/clock_step.h"

static const int64_t second_us = 1000000, year_us = 365ll * 86400 * 1000000;

/* Both clocks run, and nothing is a step: neither the first look, nor a long rest between two. */
static void test_running(void **state)
{
    struct clock_step step = {.looked = false};
    (void)state;
    assert_int_equal(clock_step_look(&step, 56 * year_us, 1000), 0);
    assert_int_equal(clock_step_look(&step, 56 * year_us + second_us, 2000), 0);
    assert_int_equal(clock_step_look(&step, 56 * year_us + 3601 * second_us, 3602000), 0);
}

/* A machine without a battery finds the time; then somebody sets it back by an hour. */
static void test_set(void **state)
{
    struct clock_step step = {.looked = false};
    (void)state;
    assert_int_equal(clock_step_look(&step, 0, 1000), 0);
    assert_int_equal(clock_step_look(&step, 56 * year_us + second_us, 2000), 56 * year_us);
    assert_int_equal(clock_step_look(&step, 56 * year_us + 2 * second_us, 3000), 0);
    assert_int_equal(clock_step_look(&step, 56 * year_us - 3597 * second_us, 4000),
                     -3600 * second_us);
    assert_int_equal(clock_step_look(&step, 56 * year_us - 3596 * second_us, 5000), 0);
}

static void test_bounds(void **state)
{
    struct clock_step step = {.looked = false};
    (void)state;
    clock_step_look(&step, 0, 0);
    assert_int_equal(clock_step_look(&step, CLOCK_STEP_LEAST_US - 1, 0), 0);
    assert_int_equal(clock_step_look(&step, 2 * CLOCK_STEP_LEAST_US - 1, 0), CLOCK_STEP_LEAST_US);
    assert_int_equal(clock_step_look(&step, CLOCK_STEP_LEAST_US, 0), 0);
    assert_int_equal(clock_step_look(&step, 0, 0), -CLOCK_STEP_LEAST_US);
    assert_int_equal(clock_step_look(&step, INT64_MIN, 1), 0); /* beyond what can be told */
    assert_int_equal(clock_step_look(&step, INT64_MAX, 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_running),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
