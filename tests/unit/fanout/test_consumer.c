/* A named consumer's cursor, step by step. */
#include <string.h>

#include "base/error.h"
#include "fanout/saved.h"
#include "fanout/tally.h"
#include "unit/fanout/tail.h"

enum { WINDOW = 4 };

static uint64_t seqs[WINDOW];

static struct consumer connected(uint64_t cursor)
{
    struct consumer consumer;

    consumer_init(&consumer, cursor, true);
    consumer_attach(&consumer, seqs, WINDOW);
    return consumer;
}

static void test_cursor_stands_before_what_is_not_acknowledged(void **state)
{
    struct consumer c = connected(10);

    assert_int_equal(c.cursor, 10);
    consumer_pass(&c, 14);
    assert_int_equal(c.cursor, 14); /* nothing waits: it moves along */
    consumer_sent(&c, 17);
    assert_int_equal(c.cursor, 16);
    consumer_pass(&c, 20);
    assert_int_equal(c.cursor, 16);
    consumer_sent(&c, 21);
    assert_int_equal(consumer_ack(&c, 17), 0);
    assert_int_equal(c.cursor, 20);
    assert_int_equal(consumer_ack(&c, 21), 0);
    assert_int_equal(c.cursor, 21);
    consumer_pass(&c, 30);
    assert_int_equal(c.cursor, 30);
}

static void test_acknowledgements_are_cumulative(void **state)
{
    struct consumer c = connected(0);

    for (uint64_t seq = 2; seq <= 8; seq += 2)
        consumer_sent(&c, seq);
    assert_int_equal(consumer_room(&c), 0);
    assert_int_equal(consumer_ack(&c, 9), ERR_INVAL);
    assert_int_equal(consumer_ack(&c, UINT64_MAX), ERR_INVAL);
    assert_int_equal(c.cursor, 1);
    assert_int_equal(consumer_ack(&c, 5), 0); /* a seq that it was not sent will do */
    assert_int_equal(c.cursor, 5);
    assert_int_equal(consumer_room(&c), 2);
    assert_int_equal(consumer_ack(&c, 3), 0); /* once more */
    assert_int_equal(consumer_ack(&c, 0), 0);
    assert_int_equal(c.cursor, 5);
    assert_int_equal(consumer_room(&c), 2);
    for (uint64_t seq = 10; seq <= 12; seq += 2)
        consumer_sent(&c, seq); /* round the corner of the circle */
    assert_int_equal(consumer_room(&c), 0);
    assert_int_equal(consumer_ack(&c, 10), 0);
    assert_int_equal(c.cursor, 11);
    assert_int_equal(c.unacked, 1);
    /* What passed without a match is no more acknowledgeable than what is to come. */
    consumer_pass(&c, 20);
    assert_int_equal(consumer_acknowledgeable(&c), 12);
    assert_int_equal(consumer_ack(&c, 13), ERR_INVAL);
    assert_int_equal(consumer_ack(&c, 12), 0);
    assert_int_equal(c.cursor, 20);
    assert_int_equal(consumer_ack(&c, 20), ERR_INVAL);
}

static void test_who_comes_back_begins_at_the_cursor(void **state)
{
    struct consumer c = connected(0);

    consumer_sent(&c, 1);
    consumer_sent(&c, 2);
    assert_int_equal(consumer_ack(&c, 1), 0);
    consumer_detach(&c);
    assert_int_equal(c.cursor, 1);
    assert_int_equal(c.unacked, 0);
    consumer_attach(&c, seqs, 1);
    assert_int_equal(consumer_ack(&c, 2), ERR_INVAL); /* not on this connection */
    assert_int_equal(consumer_room(&c), 1);
    consumer_sent(&c, 2);
    assert_int_equal(consumer_ack(&c, 2), 0);
    assert_int_equal(c.cursor, 2);
}

static void test_gap_is_acknowledged_with_what_follows(void **state)
{
    struct consumer c = connected(10);

    consumer_sent(&c, 12);
    consumer_gap(&c, 40);
    consumer_pass(&c, 30);
    assert_int_equal(consumer_acknowledgeable(&c), 30); /* behind it more may come */
    consumer_pass(&c, 40);
    consumer_sent(&c, 41);
    consumer_pass(&c, 50);
    assert_int_equal(consumer_ack(&c, 12), 0);
    assert_int_equal(c.cursor, 12); /* not past the gap */
    consumer_detach(&c);
    consumer_attach(&c, seqs, WINDOW);
    consumer_gap(&c, 40);
    consumer_pass(&c, 40);
    consumer_sent(&c, 41);
    consumer_pass(&c, 50);
    assert_int_equal(consumer_ack(&c, 41), 0);
    assert_int_equal(c.cursor, 50);
}

static void test_gap_is_acknowledged_by_its_end(void **state)
{
    struct consumer c = connected(10);

    consumer_gap(&c, 40);
    consumer_pass(&c, 45);
    assert_int_equal(c.cursor, 10);
    assert_int_equal(consumer_acknowledgeable(&c), 40);
    assert_int_equal(consumer_ack(&c, 39), 0);
    assert_int_equal(c.cursor, 39);
    assert_int_equal(consumer_ack(&c, 40), 0);
    assert_int_equal(c.cursor, 45);
}

static void test_two_gaps_are_one(void **state)
{
    struct consumer c = connected(10);

    consumer_gap(&c, 20);
    consumer_pass(&c, 20);
    consumer_sent(&c, 21);
    consumer_pass(&c, 25);
    consumer_gap(&c, 40);
    consumer_pass(&c, 40);
    consumer_sent(&c, 41);
    assert_int_equal(consumer_ack(&c, 21), 0);
    assert_int_equal(c.cursor, 21);
    assert_int_equal(consumer_ack(&c, 41), 0);
    assert_int_equal(c.cursor, 41);
}

static void test_changes_and_the_disk(void **state)
{
    struct consumer c;
    uint64_t first, second;

    consumer_init(&c, 5, false);
    assert_int_equal(consumer_need(&c), CONSUMER_NEED_NOW); /* a new name */
    consumer_saving(&c);
    assert_int_equal(consumer_need(&c), CONSUMER_NEED_NOTHING);
    consumer_saved(&c);
    assert_int_equal(consumer_need(&c), CONSUMER_NEED_NOTHING);
    consumer_attach(&c, seqs, WINDOW);
    consumer_pass(&c, 7);
    assert_int_equal(consumer_need(&c), CONSUMER_NEED_LATER);
    consumer_sent(&c, 8);
    consumer_sent(&c, 9);
    assert_int_equal(consumer_ack(&c, 8), 0);
    first = consumer_change(&c);
    assert_int_equal(consumer_need(&c), CONSUMER_NEED_NOW);
    consumer_saving(&c);
    assert_int_equal(consumer_ack(&c, 9), 0);
    second = consumer_change(&c);
    assert_false(consumer_is_saved(&c, first));
    consumer_saved(&c);
    assert_true(consumer_is_saved(&c, first));
    assert_false(consumer_is_saved(&c, second));
    assert_int_equal(c.stored, 8);
    assert_int_equal(consumer_need(&c), CONSUMER_NEED_NOW);
    consumer_saving(&c);
    consumer_saved(&c);
    assert_true(consumer_is_saved(&c, second));
    assert_int_equal(c.stored, 9);
}

static void test_lost_with_the_store(void **state)
{
    struct consumer c = connected(0);

    for (uint64_t seq = 1; seq <= 3; seq++)
        consumer_sent(&c, seq);
    assert_int_equal(consumer_ack(&c, 2), 0);
    (void)consumer_change(&c);
    consumer_saving(&c);
    consumer_lost(&c);
    assert_int_equal(c.cursor, 0);
    consumer_pass(&c, 5);
    assert_int_equal(c.cursor, 0); /* it does not creep there by itself */
    assert_int_equal(consumer_ack(&c, 1), 0);
    assert_int_equal(c.cursor, 1);
    assert_int_equal(consumer_ack(&c, 2), 0);
    assert_int_equal(c.cursor, 2);
    assert_int_equal(consumer_ack(&c, 3), 0);
    assert_int_equal(c.cursor, 5);
    consumer_detach(&c);
    consumer_seek(&c, 3);
    (void)consumer_change(&c);
    consumer_saving(&c);
    consumer_lost(&c);
    assert_int_equal(c.cursor, 0);
}

static void test_saved_bytes(void **state)
{
    struct consumer_saved saved = {
        .uid = 0x01020304,
        .cursor = 0x1122334455667788,
        .seen_us = -2,
        .filter = {.streams = {1, 0, 0, UINT64_C(1) << 63},
                   .types = {SLICE_INIT("a.*"), SLICE_INIT("b")},
                   .n_types = 2,
                   .notices = true},
    };
    static const unsigned char head[] = {1,    1,    4,    3,    2,    1,    0x88, 0x77,
                                         0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0xFE, 0xFF};
    char bytes[CONSUMER_SAVED_MAX], *copy;
    size_t n = consumer_saved_encode(&saved, bytes);
    struct consumer_saved back;

    assert_memory_equal(bytes, head, sizeof head);
    assert_int_equal(n, 22 + 32 + 1 + 5 + 3);
    assert_true(consumer_saved_decode(slice_make(bytes, n), &back));
    assert_int_equal(back.uid, saved.uid);
    assert_int_equal(back.cursor, saved.cursor);
    assert_int_equal(back.seen_us, -2);
    assert_true(back.filter.notices);
    assert_true(fanout_filter_eq(&back.filter, &saved.filter));
    for (size_t i = 0; i < n; i++) {
        copy = malloc(i > 0 ? i : 1);
        memcpy(copy, bytes, i);
        assert_false(consumer_saved_decode(slice_make(copy, i), &back));
        free(copy);
    }
    bytes[n] = 0;
    assert_false(consumer_saved_decode(slice_make(bytes, n + 1), &back));
    bytes[0] = 2;
    assert_false(consumer_saved_decode(slice_make(bytes, n), &back));
    bytes[0] = 1;
    bytes[54] = FANOUT_TYPES_MAX + 1;
    assert_false(consumer_saved_decode(slice_make(bytes, n), &back));
}

static void test_saved_at_its_bounds(void **state)
{
    static char type[LIMIT_EVENT_TYPE];
    struct consumer_saved saved = {.filter.n_types = FANOUT_TYPES_MAX}, back;
    char *bytes = malloc(CONSUMER_SAVED_MAX);

    memset(type, 't', sizeof type);
    for (unsigned i = 0; i < FANOUT_TYPES_MAX; i++)
        saved.filter.types[i] = slice_make(type, sizeof type);
    assert_int_equal(consumer_saved_encode(&saved, bytes), CONSUMER_SAVED_MAX);
    assert_true(consumer_saved_decode(slice_make(bytes, CONSUMER_SAVED_MAX), &back));
    bytes[55]++; /* a type of one byte more */
    assert_false(consumer_saved_decode(slice_make(bytes, CONSUMER_SAVED_MAX), &back));
    free(bytes);
}

static void test_tally(void **state)
{
    static const struct fanout_filter all = {.streams = {3}}, one = {.streams = {2}},
                                      typed = {.streams = {3},
                                               .types = {SLICE_INIT("x.*")},
                                               .n_types = 1};
    struct fanout_filter again = all;
    struct tally_row rows[] = {
        {.filter = &all, .after_seq = 12},   {.filter = &one, .after_seq = 10},
        {.filter = &typed, .after_seq = 10}, {.filter = &again, .after_seq = 11},
        {.filter = &all, .after_seq = 99},
    };
    struct tally tally;

    for (size_t i = 0; i < 5; i++)
        rows[i].arg = &rows[i];
    tally_begin(&tally, rows, 5);
    assert_int_equal(tally_after_seq(&tally), 10);
    assert_int_equal(tally.streams[0], 3);
    tally_event(&tally, 11, FANOUT_EVENT, 0, SLICE("x.a"));
    tally_event(&tally, 12, FANOUT_EVENT, 1, SLICE("y"));
    tally_event(&tally, 13, FANOUT_GAP, 0, SLICE(""));
    tally_event(&tally, 15, FANOUT_EVENT, 1, SLICE("x.b"));
    tally_event(&tally, 16, FANOUT_EVENT, 2, SLICE("x.b"));
    tally_finish(&tally);
    for (size_t i = 0; i < 5; i++) {
        const struct tally_row *row = &rows[i];
        uint64_t wanted = row->filter == &one     ? 2
                          : row->filter == &typed ? 3
                          : row->after_seq == 11  ? 3
                          : row->after_seq == 12  ? 2
                                                  : 0;

        assert_int_equal(row->events, wanted);
    }
    tally_begin(&tally, rows, 0);
    tally_event(&tally, 1, FANOUT_EVENT, 0, SLICE("x"));
    tally_finish(&tally);
    assert_true(tally_after_seq(&tally) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cursor_stands_before_what_is_not_acknowledged),
        cmocka_unit_test(test_acknowledgements_are_cumulative),
        cmocka_unit_test(test_who_comes_back_begins_at_the_cursor),
        cmocka_unit_test(test_gap_is_acknowledged_with_what_follows),
        cmocka_unit_test(test_gap_is_acknowledged_by_its_end),
        cmocka_unit_test(test_two_gaps_are_one),
        cmocka_unit_test(test_changes_and_the_disk),
        cmocka_unit_test(test_lost_with_the_store),
        cmocka_unit_test(test_saved_bytes),
        cmocka_unit_test(test_saved_at_its_bounds),
        cmocka_unit_test(test_tally),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
