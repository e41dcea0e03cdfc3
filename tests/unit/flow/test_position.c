/* Positions: numbers of any length go up only, opaque ones are as they come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow/position.h"

static void test_numbers_compare_by_value(void **state)
{
    static const char *const rising[] = {"0",
                                         "1",
                                         "9",
                                         "10",
                                         "0000000000000000000000000000011",
                                         "18446744073709551615",
                                         "18446744073709551616",
                                         "99999999999999999999999999"};

    for (size_t i = 0; i < 8; i++) {
        for (size_t k = 0; k < 8; k++) {
            int got = position_compare(slice_str(rising[i]), slice_str(rising[k]));

            assert_int_equal((got > 0) - (got < 0), (i > k) - (i < k));
        }
    }
    assert_int_equal(position_compare(SLICE("007"), SLICE("7")), 0);
    assert_int_equal(position_compare(SLICE("000"), SLICE("0")), 0);
}

static void test_what_is_no_number(void **state)
{
    static const char *const bad[] = {"",    "-1",  "+1",   " 1",  "1 ",
                                      "1.0", "1e3", "0x10", "abc", "1a"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_non_null(position_fault(PROFILE_COMPARE_INT, slice_str(bad[i])));
        assert_null(position_fault(PROFILE_COMPARE_OPAQUE, slice_str(bad[i])));
    }
    assert_null(position_fault(PROFILE_COMPARE_INT, SLICE("0")));
}

static void test_longest_position(void **state)
{
    struct position position = {.compare = PROFILE_COMPARE_INT};
    char digits[LIMIT_POSITION + 1];

    memset(digits, '9', sizeof digits);
    assert_null(position_fault(PROFILE_COMPARE_INT, slice_make(digits, LIMIT_POSITION)));
    assert_non_null(position_fault(PROFILE_COMPARE_INT, slice_make(digits, LIMIT_POSITION + 1)));
    assert_non_null(position_fault(PROFILE_COMPARE_OPAQUE, slice_make(digits, LIMIT_POSITION + 1)));
    position_set(&position, slice_make(digits, LIMIT_POSITION));
    assert_int_equal(position_text(&position).len, LIMIT_POSITION);
    position_set(&position, slice_make(digits, LIMIT_POSITION + 1));
    assert_null(position_text(&position).ptr);
}

static void test_numbers_go_up_only(void **state)
{
    struct position position = {.compare = PROFILE_COMPARE_INT};

    assert_null(position_text(&position).ptr);
    assert_true(position_advances(&position, SLICE("0")));
    assert_false(position_is_late(&position, SLICE("0")));
    position_set(&position, SLICE("0100"));
    assert_true(slice_eq_str(position_text(&position), "0100"));
    assert_false(position_advances(&position, SLICE("99")));
    assert_true(position_is_late(&position, SLICE("99")));
    assert_false(position_advances(&position, SLICE("100")));
    assert_false(position_is_late(&position, SLICE("100")));
    assert_true(position_advances(&position, SLICE("101")));
    assert_false(position_is_late(&position, SLICE("101")));
    /* Copied from itself, as flow_reset(flow, flow_position(flow)) does. */
    position_set(&position, position_text(&position));
    assert_true(slice_eq_str(position_text(&position), "0100"));
    position_set(&position, slice_make(NULL, 0));
    assert_true(position_advances(&position, SLICE("1")));
}

static void test_a_start_that_is_no_number_lies_below_all(void **state)
{
    struct position position = {.compare = PROFILE_COMPARE_INT};

    position_set(&position, SLICE("begin"));
    assert_true(slice_eq_str(position_text(&position), "begin"));
    assert_true(position_advances(&position, SLICE("0")));
    assert_false(position_is_late(&position, SLICE("0")));
}

static void test_opaque_is_as_it_comes(void **state)
{
    struct position position = {.compare = PROFILE_COMPARE_OPAQUE};

    position_set(&position, SLICE("200"));
    assert_true(position_advances(&position, SLICE("100")));
    assert_false(position_is_late(&position, SLICE("100")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_compare_by_value),
        cmocka_unit_test(test_what_is_no_number),
        cmocka_unit_test(test_longest_position),
        cmocka_unit_test(test_numbers_go_up_only),
        cmocka_unit_test(test_a_start_that_is_no_number_lies_below_all),
        cmocka_unit_test(test_opaque_is_as_it_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
