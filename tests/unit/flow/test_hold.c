/* The hold: a queue in a ring, full at exactly its bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "flow/hold.h"

static struct flow_event event_of(struct slice data)
{
    return (struct flow_event){.data = data, .received_us = 77};
}

static void test_an_event_comes_out_as_it_went_in(void **state)
{
    char id[] = "id", position[] = "12", type[] = "a.b", data[] = "{}", fault[] = "wrong";
    const struct flow_event event = {
        .id = slice_str(id),
        .position = slice_str(position),
        .type = slice_str(type),
        .data = slice_str(data),
        .data_kind = FLOW_DATA_TEXT,
        .has_key = true,
        .key = {1, 2, 3},
        .received_us = 5,
        .malformed = fault,
    };
    struct flow_event *out;
    struct hold hold;

    assert_int_equal(hold_init(&hold, 1000), 0);
    assert_null(hold_front(&hold));
    assert_non_null(hold_push(&hold, &event));
    memset(id, 'X', 2), memset(position, 'X', 2), memset(type, 'X', 3);
    memset(data, 'X', 2), memset(fault, 'X', 5);
    out = hold_front(&hold);
    assert_true(slice_eq_str(out->id, "id") && slice_eq_str(out->position, "12"));
    assert_true(slice_eq_str(out->type, "a.b") && slice_eq_str(out->data, "{}"));
    assert_null(out->time.ptr);
    assert_string_equal(out->malformed, "wrong");
    assert_int_equal(out->data_kind, FLOW_DATA_TEXT);
    assert_int_equal(out->received_us, 5);
    assert_true(out->has_key && out->key[2] == 3);
    hold_pop(&hold);
    assert_null(hold_front(&hold));
    assert_int_equal(hold.used, 0);
    hold_fini(&hold);
}

static void test_full_at_exactly_the_bound(void **state)
{
    struct flow_event event = event_of(SLICE("some text"));
    size_t need = hold_need(&event);
    struct hold hold;

    assert_true(need <= FLOW_HOLD_COST + event.data.len);
    assert_int_equal(hold_init(&hold, 3 * need), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++)
            assert_non_null(hold_push(&hold, &event));
        assert_int_equal(hold.used, 3 * need);
        assert_null(hold_push(&hold, &event));
        for (int i = 0; i < 3; i++)
            hold_pop(&hold);
    }
    hold_fini(&hold);
    /* Less by the least that is possible. */
    assert_int_equal(hold_init(&hold, 3 * need - 1), 0);
    assert_non_null(hold_push(&hold, &event));
    assert_non_null(hold_push(&hold, &event));
    assert_null(hold_push(&hold, &event));
    hold_fini(&hold);
}

static void test_one_event_as_large_as_the_hold(void **state)
{
    char data[5000];
    struct flow_event small = event_of(SLICE("x"));
    struct flow_event large;
    struct hold hold;

    memset(data, 'd', sizeof data);
    large = event_of(slice_make(data, sizeof data));
    assert_int_equal(hold_init(&hold, hold_need(&large)), 0);
    /* Also when the ring stands somewhere in the middle. */
    for (int i = 0; i < 3; i++) {
        assert_non_null(hold_push(&hold, &small));
        assert_null(hold_push(&hold, &large));
        hold_pop(&hold);
        assert_non_null(hold_push(&hold, &large));
        assert_null(hold_push(&hold, &small));
        hold_pop(&hold);
    }
    large = event_of(slice_make(data, sizeof data - 16));
    hold_fini(&hold);
    assert_int_equal(hold_init(&hold, hold_need(&large)), 0);
    large.data.len = sizeof data;
    assert_null(hold_push(&hold, &large));
    hold_fini(&hold);
}

/* The end of the memory that is skipped comes back each time round. */
static void test_never_empty_never_shorter(void **state)
{
    struct flow_event event = event_of(SLICE("some text"));
    size_t need = hold_need(&event);
    struct hold hold;

    assert_int_equal(hold_init(&hold, 5 * need + need / 2), 0);
    for (int i = 0; i < 4; i++)
        assert_non_null(hold_push(&hold, &event));
    for (int i = 0; i < 1000; i++) {
        assert_non_null(hold_push(&hold, &event));
        assert_true(hold.used >= 5 * need && hold.used < 6 * need);
        hold_pop(&hold);
    }
    hold_fini(&hold);
}

static void test_no_room_at_all(void **state)
{
    struct flow_event event = event_of(SLICE(""));
    struct hold hold;

    assert_int_equal(hold_init(&hold, 0), 0);
    assert_null(hold_push(&hold, &event));
    hold_fini(&hold);
}

static void test_random_queue(void **state)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        unsigned pushed = 0, popped = 0, refused = 0;
        struct hold hold;
        struct rng rng;

        rng_seed(&rng, seed);
        assert_int_equal(hold_init(&hold, 300 + rng_below(&rng, 3000)), 0);
        for (unsigned step = 0; step < 4000; step++) {
            char text[600];

            if (rng_chance(&rng, 1, 2)) {
                int n = snprintf(text, sizeof text, "%u ", pushed);
                size_t len = (size_t)n + rng_below(&rng, 500);

                memset(text + n, '.', len - (size_t)n);
                struct flow_event event = event_of(slice_make(text, len));

                if (hold_push(&hold, &event) != NULL)
                    pushed++;
                else
                    refused++;
            } else if (popped < pushed) {
                const struct flow_event *event = hold_front(&hold);

                snprintf(text, sizeof text, "%u ", popped);
                if (!slice_starts_with(event->data, slice_str(text)))
                    fail_msg("seed %llu step %u", (unsigned long long)seed, step);
                hold_pop(&hold);
                popped++;
            }
            assert_int_equal(hold.count, pushed - popped);
            assert_true(hold.used <= hold.size);
            assert_true((hold.count == 0) == (hold_front(&hold) == NULL));
        }
        assert_true(refused > 10 && popped > 100);
        hold_fini(&hold);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_event_comes_out_as_it_went_in),
        cmocka_unit_test(test_full_at_exactly_the_bound),
        cmocka_unit_test(test_one_event_as_large_as_the_hold),
        cmocka_unit_test(test_never_empty_never_shorter),
        cmocka_unit_test(test_no_room_at_all),
        cmocka_unit_test(test_random_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
