#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "daemon/rota.h"

enum { READERS = 1000, TURN = 512 << 10, PART = 256 << 10 };

/* A make-believe reader: it takes a part of what it has each time. */
struct reader {
    struct rota_place place;
    size_t left;
    unsigned served;
    struct reader *leaves; /* another that is gone when this one is served */
};

static struct rota rota;
static struct reader readers[READERS];
static size_t turn_written;
static unsigned turn_served;

static size_t serve(struct rota_place *place)
{
    struct reader *reader = LIST_ENTRY(&place->node, struct reader, place.node);
    size_t n = reader->left < PART ? reader->left : PART;
    reader->left -= n;
    reader->served++;
    turn_served++;
    turn_written += n;
    if (reader->left > 0)
        rota_want(&rota, &reader->place);
    if (reader->leaves != NULL)
        rota_leave(&reader->leaves->place);
    return n;
}

static void begin(size_t each)
{
    rota_init(&rota);
    memset(readers, 0, sizeof(readers));
    for (unsigned i = 0; i < READERS; i++) {
        rota_place_init(&readers[i].place);
        readers[i].left = each;
        rota_want(&rota, &readers[i].place);
        rota_want(&rota, &readers[i].place); /* as once */
    }
}

static bool turn(void)
{
    turn_written = turn_served = 0;
    return rota_run(&rota, TURN, serve);
}

/* However many there are and however much they have, one turn writes so much. */
static void test_turn_is_bounded(void **state)
{
    size_t all = 0;
    unsigned turns = 0;
    bool more = true;
    (void)state;
    begin(1 << 20);
    while (more) {
        unsigned least = UINT32_MAX, most = 0;
        more = turn();
        turns++;
        all += turn_written;
        assert_in_range(turn_written, 0, TURN);
        /* Nobody is ahead of another by more than one part. */
        for (unsigned i = 0; i < READERS; i++) {
            least = readers[i].served < least ? readers[i].served : least;
            most = readers[i].served > most ? readers[i].served : most;
        }
        assert_in_range(most - least, 0, 1);
    }
    assert_int_equal(all, (size_t)READERS << 20);
    assert_int_equal(turns, all / TURN);
}

/* Little for each of many is bounded as well. */
static void test_turn_of_small_ones(void **state)
{
    unsigned turns = 1;
    (void)state;
    begin(1);
    for (; turn(); turns++)
        assert_int_equal(turn_served, TURN / ROTA_LEAST_BYTES);
    assert_int_equal(turns, (READERS + TURN / ROTA_LEAST_BYTES - 1) / (TURN / ROTA_LEAST_BYTES));
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(readers[i].served, 1);
}

/* A budget that is spent exactly is not overdrawn, and one byte less than spent is one more. */
static void test_the_bound(void **state)
{
    (void)state;
    begin(ROTA_LEAST_BYTES);
    turn_served = 0;
    assert_true(rota_run(&rota, 4 * ROTA_LEAST_BYTES, serve));
    assert_int_equal(turn_served, 4);
    turn_served = 0;
    assert_true(rota_run(&rota, 4 * ROTA_LEAST_BYTES + 1, serve));
    assert_int_equal(turn_served, 5);
    assert_int_equal(readers[8].served, 1);
    assert_int_equal(readers[9].served, 0);
}

/* Who comes meanwhile belongs to the next round, and so does who wants more. */
static void test_rounds(void **state)
{
    uint64_t rounds;
    (void)state;
    begin(1);
    turn();
    rounds = rota.rounds;
    for (unsigned i = 0; i < 3; i++) { /* served already, and has something again */
        readers[i].left = 1;
        rota_want(&rota, &readers[i].place);
        assert_true(turn() || i == 2);
    }
    /* The last turn has served the rest of the round, and those three of the next. */
    assert_int_equal(readers[READERS - 1].served, 1);
    assert_int_equal(readers[2].served, 2);
    assert_true(rota.rounds > rounds);
    rounds = rota.rounds;
    assert_false(turn());
    assert_int_equal(turn_served, 0);
    assert_true(rota.rounds > rounds); /* nobody waits: what was to be offered is */
}

/* One that always wants holds up no round. */
static void test_round_lasts_until_all_are_served(void **state)
{
    (void)state;
    begin(PART);
    turn();
    uint64_t began = rota.rounds;
    for (unsigned served = turn_served; served < READERS; served += turn_served) {
        assert_int_equal(rota.rounds, began);
        readers[0].left = 1;
        rota_want(&rota, &readers[0].place);
        assert_true(turn());
    }
    assert_int_equal(readers[0].served, 1);
    assert_false(turn());
    assert_int_equal(readers[0].served, 2);
    assert_true(rota.rounds > began);
}

static void test_leaving(void **state)
{
    (void)state;
    begin(PART);
    for (unsigned i = 0; i < READERS; i += 2)
        readers[i].leaves = &readers[i + 1];
    rota_leave(&readers[0].place);
    rota_leave(&readers[0].place);
    while (turn())
        ;
    assert_int_equal(readers[0].served, 0);
    assert_int_equal(readers[1].served, 1);
    for (unsigned i = 2; i < READERS; i++)
        assert_int_equal(readers[i].served, i % 2 == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turn_is_bounded),
        cmocka_unit_test(test_turn_of_small_ones),
        cmocka_unit_test(test_the_bound),
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_round_lasts_until_all_are_served),
        cmocka_unit_test(test_leaving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
