#include "fixture.h"

enum { ASKERS = 7 };

struct asker {
    struct io_heavy heavy;
    struct fixture *f;
    int number;
    struct asker *again, *cancels; /* by its callback */
};

static int order[32], calls, turns;
static unsigned calls_in_turn;

static void on_call(void *arg)
{
    struct asker *asker = arg;

    order[calls++] = asker->number;
    assert_in_range(++calls_in_turn, 1, IO_HEAVY_PER_TURN);
    if (asker->again != NULL)
        io_heavy_ask(asker->f->loop, &asker->again->heavy);
    asker->again = NULL;
    if (asker->cancels != NULL)
        io_heavy_cancel(&asker->cancels->heavy);
    fixture_event(asker->f);
}

static void on_turn(void *arg, int64_t busy_us)
{
    (void)arg;
    (void)busy_us;
    turns++;
    calls_in_turn = 0;
}

static void begin(struct fixture *f, struct asker askers[ASKERS])
{
    calls = turns = 0;
    calls_in_turn = 0;
    assert_int_equal(io_loop_on_turn(f->loop, on_turn, NULL), 0);
    for (int i = 0; i < ASKERS; i++) {
        askers[i] =
            (struct asker){.heavy = {.cb = on_call, .arg = &askers[i]}, .f = f, .number = i};
        list_init(&askers[i].heavy.node);
        io_heavy_ask(f->loop, &askers[i].heavy);
        io_heavy_ask(f->loop, &askers[i].heavy); /* as once */
    }
    assert_int_equal(calls, 0);
}

/* So many in a turn, first come first served. */
static void test_turns_are_shared_out(void **state)
{
    struct asker askers[ASKERS];

    begin(*state, askers);
    fixture_run(*state, ASKERS);
    for (int i = 0; i < ASKERS; i++)
        assert_int_equal(order[i], i);
    assert_in_range(turns, ASKERS / IO_HEAVY_PER_TURN, ASKERS + 1);
    fixture_run_ms(*state, 10);
    assert_int_equal(calls, ASKERS);
}

static void test_asking_again_is_behind_the_others(void **state)
{
    struct asker askers[ASKERS];

    begin(*state, askers);
    askers[0].again = &askers[0];
    fixture_run(*state, ASKERS + 1);
    assert_int_equal(order[1], 1);
    assert_int_equal(order[ASKERS], 0);
}

static void test_cancelling(void **state)
{
    struct asker askers[ASKERS];

    begin(*state, askers);
    askers[0].cancels = &askers[1];
    askers[2].cancels = &askers[2]; /* over already */
    io_heavy_cancel(&askers[4].heavy);
    fixture_run(*state, ASKERS - 2);
    fixture_run_ms(*state, 10);
    assert_int_equal(calls, ASKERS - 2);
    assert_int_equal(order[1], 2);
    assert_int_equal(order[3], 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_turns_are_shared_out),
        io_test(test_asking_again_is_behind_the_others),
        io_test(test_cancelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
