#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

static void seeding_is_splitmix64(void **state)
{
    struct rng r;

    (void)state;
    rng_seed(&r, 1234567);
    assert_true(r.s[0] == UINT64_C(6457827717110365317));
    assert_true(r.s[1] == UINT64_C(3203168211198807973));
    assert_true(r.s[2] == UINT64_C(9817491932198370423));
    assert_true(r.s[3] == UINT64_C(4593380528125082431));
}

static void sequence_is_xoshiro256starstar(void **state)
{
    static const uint64_t expected[] = {
        UINT64_C(11520),
        UINT64_C(0),
        UINT64_C(1509978240),
        UINT64_C(1215971899390074240),
        UINT64_C(1216172134540287360),
        UINT64_C(607988272756665600),
        UINT64_C(16172922978634559625),
        UINT64_C(8476171486693032832),
        UINT64_C(10595114339597558777),
        UINT64_C(2904607092377533576),
    };
    struct rng r = {{1, 2, 3, 4}};

    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_true(rng_u64(&r) == expected[i]);
}

static void below_stays_below_and_reaches_all(void **state)
{
    struct rng r;
    unsigned seen[7] = {0};

    (void)state;
    rng_seed(&r, 0);
    for (int i = 0; i < 70000; i++) {
        uint64_t x = rng_below(&r, 7);

        assert_true(x < 7);
        seen[x]++;
    }
    /* 10000 each, with a standard deviation of 93. */
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 9500, 10500);
    for (int i = 0; i < 10; i++)
        assert_int_equal(rng_below(&r, 1), 0);
}

static void below_is_unbiased_for_large_bounds(void **state)
{
    /* For 3/4 of the range, a plain remainder would fall in the lowest third half the time. */
    const uint64_t third = UINT64_C(1) << 62;
    struct rng r;
    unsigned low = 0;

    (void)state;
    rng_seed(&r, 3);
    for (int i = 0; i < 30000; i++)
        low += rng_below(&r, 3 * third) < third;
    assert_in_range(low, 9500, 10500);
}

static void unit_is_within_its_interval(void **state)
{
    struct rng r;
    double sum = 0;

    (void)state;
    rng_seed(&r, 1);
    for (int i = 0; i < 10000; i++) {
        double x = rng_unit(&r);

        assert_true(x >= 0.0 && x < 1.0);
        sum += x;
    }
    assert_true(sum > 4800 && sum < 5200);
    /* This state's next output is all ones, the greatest there is. */
    r = (struct rng){{0, UINT64_C(0x4FC71C71C71C71C7), 0, 0}};
    assert_true(rng_unit(&r) == 1.0 - 0x1.0p-53);
}

static void chance(void **state)
{
    struct rng r;
    unsigned hits = 0;

    (void)state;
    rng_seed(&r, 2);
    for (int i = 0; i < 10000; i++) {
        assert_false(rng_chance(&r, 0, 3));
        assert_true(rng_chance(&r, 3, 3));
        hits += rng_chance(&r, 1, 4);
    }
    assert_in_range(hits, 2300, 2700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeding_is_splitmix64),
        cmocka_unit_test(sequence_is_xoshiro256starstar),
        cmocka_unit_test(below_stays_below_and_reaches_all),
        cmocka_unit_test(below_is_unbiased_for_large_bounds),
        cmocka_unit_test(unit_is_within_its_interval),
        cmocka_unit_test(chance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
