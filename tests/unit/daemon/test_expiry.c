/* A certificate's end is said 14, 3 and 1 days before and when it has come, each once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/expiry.h"

enum { DAY = 86400, END = 1000 * DAY };

/* Looks as often as it is asked to, from now_s on, and notes when something is said. */
static unsigned run(struct expiry *expiry, int64_t now_s, int64_t until_s, int64_t said[8])
{
    unsigned n = 0;

    for (;;) {
        int64_t rest;

        if (expiry_is_due(expiry, now_s))
            said[n++] = now_s - END;
        rest = expiry_next_s(expiry, now_s);
        assert_true(rest == -1 || (rest >= 1 && rest <= EXPIRY_LOOK_S));
        if (rest < 0 || now_s + rest > until_s)
            return n;
        now_s += rest;
    }
}

static void test_each_once(void **state)
{
    struct expiry expiry = {0};
    int64_t said[8];

    assert_int_equal(expiry_next_s(&expiry, 5), -1);
    assert_false(expiry_is_due(&expiry, 5));
    expiry_set(&expiry, END);
    assert_int_equal(run(&expiry, END - 90 * DAY, END + 10 * DAY, said), 4);
    assert_int_equal(said[0], -14 * DAY);
    assert_int_equal(said[1], -3 * DAY);
    assert_int_equal(said[2], -1 * DAY);
    assert_int_equal(said[3], 0);
    assert_int_equal(expiry_next_s(&expiry, END), -1);
}

/* Begun late, only what holds now is said; a link that is dialled anew says nothing again. */
static void test_late(void **state)
{
    struct expiry expiry = {0};
    int64_t said[8];

    expiry_set(&expiry, END);
    assert_true(expiry_is_due(&expiry, END - 2 * DAY));
    expiry_set(&expiry, END);
    assert_false(expiry_is_due(&expiry, END - 2 * DAY));
    assert_int_equal(run(&expiry, END - 2 * DAY, END, said), 2);
    assert_int_equal(said[0], -DAY);
}

static void test_bounds(void **state)
{
    struct expiry expiry = {0};

    expiry_set(&expiry, END);
    assert_false(expiry_is_due(&expiry, END - 14 * DAY - 1));
    assert_int_equal(expiry_next_s(&expiry, END - 14 * DAY - 1), 1);
    assert_true(expiry_is_due(&expiry, END - 14 * DAY));
    assert_false(expiry_is_due(&expiry, END - 3 * DAY - 1));
    /* The clock is set forth over everything, and back. */
    assert_true(expiry_is_due(&expiry, END + DAY));
    assert_false(expiry_is_due(&expiry, END - 2 * DAY));
}

static void test_renewed(void **state)
{
    struct expiry expiry = {0};

    expiry_set(&expiry, END);
    assert_true(expiry_is_due(&expiry, END - DAY));
    expiry_set(&expiry, END + 90 * DAY);
    assert_false(expiry_is_due(&expiry, END - DAY));
    assert_true(expiry_is_due(&expiry, END + 80 * DAY));
    expiry_set(&expiry, 0);
    assert_int_equal(expiry_next_s(&expiry, END), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_renewed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
