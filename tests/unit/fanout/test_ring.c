/* The ring: what fits, what is evicted, and what may not be. */
#include "unit/fanout/tail.h"

/* A line of n bytes in all. */
static const char *line_of(size_t n)
{
    static char text[4096];

    assert_true(n >= 1 && n < sizeof text);
    memset(text, 'x', n);
    text[n - 1] = '\n';
    text[n] = '\0';
    return text;
}

static void test_an_entry_is_as_it_was_pushed(void **state)
{
    struct tail tail = tail_open(1000, 8, 41);
    const struct fanout_entry *entry = tail_push(tail.fanout, FANOUT_EVENT, 42, "a.b", "{}\n");

    assert_ptr_equal(entry, fanout_get(tail.fanout, 0));
    assert_int_equal(entry->index, 0);
    assert_int_equal(entry->seq, 42);
    assert_int_equal(entry->kind, FANOUT_EVENT);
    assert_slice(entry->type, "a.b");
    assert_slice(entry->line, "{}\n");
    assert_null(fanout_get(tail.fanout, 1));
    assert_int_equal(fanout_end_index(tail.fanout), 1);
    tail_close(&tail);
}

static void test_a_type_of_any_length_is_kept(void **state)
{
    struct tail tail = tail_open(4000, 8, 0);
    char type[LIMIT_EVENT_TYPE + 1];

    for (size_t n = 0; n <= LIMIT_EVENT_TYPE; n++) {
        memset(type, 't', n);
        type[n] = '\0';
        const struct fanout_entry *entry =
            tail_push(tail.fanout, FANOUT_EVENT, n + 1, type, "line\n");

        assert_non_null(entry);
        assert_slice(entry->type, type);
        assert_slice(entry->line, "line\n");
        tail_commit(tail.fanout);
    }
    tail_close(&tail);
}

static void test_a_type_within_the_line_takes_no_room(void **state)
{
    struct tail tail = tail_open(20, 8, 0);

    for (uint64_t seq = 1; seq <= 2; seq++) {
        char *at = fanout_reserve(tail.fanout, 10);

        assert_non_null(at);
        memcpy(at, "{type: a}\n", 10);
        assert_slice(
            fanout_push(tail.fanout, FANOUT_EVENT, seq, 0, slice_make(at + 7, 1), 10)->type, "a");
    }
    assert_false(fanout_has_room(tail.fanout, 1));
    tail_close(&tail);
}

static void test_others_have_the_seq_before_them(void **state)
{
    struct tail tail = tail_open(1000, 8, 7);

    assert_int_equal(tail_push(tail.fanout, FANOUT_NOTICE, 99, "", "n\n")->seq, 7);
    assert_int_equal(tail_push(tail.fanout, FANOUT_EVENT, 10, "", "e\n")->seq, 10);
    assert_int_equal(tail_push(tail.fanout, FANOUT_EPHEMERAL, 0, "", "p\n")->seq, 10);
    assert_int_equal(tail_push(tail.fanout, FANOUT_GAP, 11, "", "g\n")->seq, 11);
    assert_int_equal(fanout_published_seq(tail.fanout), 7);
    fanout_publish(tail.fanout, 3);
    assert_int_equal(fanout_published_seq(tail.fanout), 10);
    fanout_publish(tail.fanout, 1); /* does not go back */
    assert_int_equal(fanout_published_seq(tail.fanout), 10);
    tail_close(&tail);
}

static void test_a_line_as_long_as_the_ring_fits_and_no_longer(void **state)
{
    struct tail tail = tail_open(100, 8, 0);

    assert_false(fanout_has_room(tail.fanout, 101));
    assert_null(fanout_reserve(tail.fanout, 101));
    /* Also when the ring's write position is somewhere in the middle. */
    for (uint64_t seq = 1; seq < 20; seq += 2) {
        assert_non_null(tail_push(tail.fanout, FANOUT_EVENT, seq, "", line_of(37)));
        assert_false(fanout_has_room(tail.fanout, 100));
        tail_commit(tail.fanout);
        assert_true(fanout_has_room(tail.fanout, 100));
        assert_non_null(tail_push(tail.fanout, FANOUT_EVENT, seq + 1, "", line_of(100)));
        assert_int_equal(fanout_evicted_seq(tail.fanout), seq);
        assert_false(fanout_has_room(tail.fanout, 1));
        tail_commit(tail.fanout);
    }
    tail_close(&tail);
}

static void test_full_to_the_last_byte(void **state)
{
    struct tail tail = tail_open(100, 64, 0);

    for (uint64_t seq = 1; seq <= 10; seq++)
        assert_non_null(tail_push(tail.fanout, FANOUT_EVENT, seq, "", line_of(10)));
    assert_false(fanout_has_room(tail.fanout, 1));
    assert_null(fanout_reserve(tail.fanout, 1));
    assert_int_equal(fanout_evicted_seq(tail.fanout), 0);
    tail_close(&tail);
}

static void test_max_entries_is_exact(void **state)
{
    /* Five is no power of two: the slots behind are there, yet not given out. */
    struct tail tail = tail_open(1000, 5, 0);

    for (uint64_t seq = 1; seq <= 5; seq++) {
        assert_true(fanout_has_room_for(tail.fanout, (unsigned)(6 - seq), 12));
        assert_false(fanout_has_room_for(tail.fanout, (unsigned)(7 - seq), 12));
        assert_non_null(tail_push(tail.fanout, FANOUT_EVENT, seq, "", "e\n"));
    }
    assert_false(fanout_has_room(tail.fanout, 2));
    assert_null(tail_push(tail.fanout, FANOUT_EVENT, 6, "", "e\n"));
    tail_commit(tail.fanout);
    assert_non_null(tail_push(tail.fanout, FANOUT_EVENT, 6, "", "e\n"));
    assert_null(fanout_get(tail.fanout, 0));
    assert_non_null(fanout_get(tail.fanout, 1));
    assert_int_equal(fanout_evicted_seq(tail.fanout), 1);
    tail_close(&tail);
}

static void test_only_what_is_durable_and_published_is_evicted(void **state)
{
    struct tail tail = tail_open(40, 64, 0);

    for (uint64_t seq = 1; seq <= 4; seq++)
        assert_non_null(tail_push(tail.fanout, FANOUT_EVENT, seq, "", line_of(10)));
    fanout_durable(tail.fanout, 3);
    assert_false(fanout_has_room(tail.fanout, 10));
    fanout_publish(tail.fanout, 1);
    assert_true(fanout_has_room(tail.fanout, 10));
    assert_false(fanout_has_room(tail.fanout, 11));
    assert_null(fanout_reserve(tail.fanout, 11));
    assert_int_equal(fanout_evicted_seq(tail.fanout), 0); /* a refusal evicts nothing */
    fanout_publish(tail.fanout, 4);
    assert_true(fanout_has_room(tail.fanout, 30));
    assert_false(fanout_has_room(tail.fanout, 31));
    assert_non_null(fanout_reserve(tail.fanout, 15));
    assert_int_equal(fanout_evicted_seq(tail.fanout), 2); /* no more than it must */
    tail_close(&tail);
}

static void test_a_reservation_skips_the_end_of_the_ring(void **state)
{
    struct tail tail = tail_open(100, 64, 0);

    tail_push(tail.fanout, FANOUT_EVENT, 1, "", line_of(50));
    tail_push(tail.fanout, FANOUT_EVENT, 2, "", line_of(30));
    tail_commit(tail.fanout);
    /* 20 bytes are left at the end: 30 go to the front, for which the first is evicted. */
    const struct fanout_entry *third = tail_push(tail.fanout, FANOUT_EVENT, 3, "", line_of(30));
    assert_int_equal(fanout_evicted_seq(tail.fanout), 1);
    assert_ptr_equal(third->line.ptr + 50, fanout_get(tail.fanout, 1)->line.ptr);
    /* 20 are unused before the second; the skipped 20 come back only with the third. */
    assert_true(fanout_has_room(tail.fanout, 20));
    assert_null(fanout_get(tail.fanout, 0));
    tail_push(tail.fanout, FANOUT_EVENT, 4, "", line_of(20));
    assert_int_equal(fanout_evicted_seq(tail.fanout), 1);
    fanout_durable(tail.fanout, 3);
    fanout_publish(tail.fanout, 3);
    assert_true(fanout_has_room(tail.fanout, 50));
    assert_false(fanout_has_room(tail.fanout, 51));
    tail_close(&tail);
}

static void test_a_reservation_unused_costs_nothing(void **state)
{
    struct tail tail = tail_open(100, 64, 0);

    assert_non_null(fanout_reserve(tail.fanout, 100));
    assert_non_null(fanout_reserve(tail.fanout, 60));
    assert_non_null(tail_push(tail.fanout, FANOUT_EVENT, 1, "", line_of(100)));
    tail_close(&tail);
}

static void test_what_needs_no_disk_is_durable_after_its_forerunners(void **state)
{
    struct tail tail = tail_open(60, 64, 0);

    tail_push(tail.fanout, FANOUT_NOTICE, 0, "", line_of(10)); /* nothing before it */
    tail_push(tail.fanout, FANOUT_EVENT, 1, "", line_of(20));
    tail_push(tail.fanout, FANOUT_EPHEMERAL, 0, "", line_of(15));
    tail_push(tail.fanout, FANOUT_NOTICE, 0, "", line_of(15));
    fanout_publish(tail.fanout, 4);
    assert_true(fanout_has_room(tail.fanout, 10));
    assert_false(fanout_has_room(tail.fanout, 11));
    fanout_durable(tail.fanout, 2);
    assert_true(fanout_has_room(tail.fanout, 60));
    tail_close(&tail);
}

static void test_abandon_forgets_what_nobody_has_seen(void **state)
{
    struct tail tail = tail_open(100, 8, 0);

    tail_push(tail.fanout, FANOUT_EVENT, 1, "", "one\n");
    tail_push(tail.fanout, FANOUT_EVENT, 2, "type", "two\n");
    tail_push(tail.fanout, FANOUT_EVENT, 3, "", line_of(80));
    fanout_publish(tail.fanout, 2);
    fanout_abandon(tail.fanout);
    assert_non_null(tail_push(tail.fanout, FANOUT_EVENT, 4, "", line_of(88)));
    assert_slice(fanout_get(tail.fanout, 1)->type, "type"); /* not written over */
    fanout_abandon(tail.fanout);
    assert_int_equal(fanout_end_index(tail.fanout), 2);
    assert_null(fanout_get(tail.fanout, 2));
    assert_slice(fanout_get(tail.fanout, 1)->line, "two\n");
    assert_int_equal(fanout_published_seq(tail.fanout), 2);
    /* Its bytes are free again, what was seen may be evicted, and seqs go on from anywhere. */
    assert_true(fanout_has_room(tail.fanout, 100));
    assert_int_equal(tail_push(tail.fanout, FANOUT_NOTICE, 0, "", "n\n")->seq, 2);
    assert_non_null(tail_push(tail.fanout, FANOUT_EVENT, 3, "", line_of(86)));
    assert_int_equal(fanout_evicted_seq(tail.fanout), 0);
    tail_close(&tail);
}

static void test_abandon_shows_what_is_on_disk(void **state)
{
    struct tail tail = tail_open(100, 8, 0);

    tail_push(tail.fanout, FANOUT_EVENT, 1, "", "one\n");
    tail_push(tail.fanout, FANOUT_EVENT, 2, "", "two\n");
    fanout_durable(tail.fanout, 1);
    fanout_abandon(tail.fanout);
    assert_int_equal(fanout_end_index(tail.fanout), 1);
    assert_int_equal(fanout_published_seq(tail.fanout), 1);
    tail_close(&tail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_is_as_it_was_pushed),
        cmocka_unit_test(test_a_type_of_any_length_is_kept),
        cmocka_unit_test(test_a_type_within_the_line_takes_no_room),
        cmocka_unit_test(test_others_have_the_seq_before_them),
        cmocka_unit_test(test_a_line_as_long_as_the_ring_fits_and_no_longer),
        cmocka_unit_test(test_full_to_the_last_byte),
        cmocka_unit_test(test_max_entries_is_exact),
        cmocka_unit_test(test_only_what_is_durable_and_published_is_evicted),
        cmocka_unit_test(test_a_reservation_skips_the_end_of_the_ring),
        cmocka_unit_test(test_a_reservation_unused_costs_nothing),
        cmocka_unit_test(test_what_needs_no_disk_is_durable_after_its_forerunners),
        cmocka_unit_test(test_abandon_forgets_what_nobody_has_seen),
        cmocka_unit_test(test_abandon_shows_what_is_on_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
