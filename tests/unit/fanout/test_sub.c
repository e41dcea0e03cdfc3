/* Subscriptions: who is sent what, at the live edge and behind it. */
#include <stdio.h>

#include "unit/fanout/tail.h"

static struct fanout_filter filter_all(void)
{
    struct fanout_filter filter = {.notices = true};

    memset(filter.streams, 0xFF, sizeof filter.streams);
    return filter;
}

/* What fanout_next says, as one text. */
static const char *text_of(const struct fanout_batch *batch)
{
    static char text[4096];
    size_t n = 0;

    for (unsigned i = 0; i < batch->count; i++) {
        memcpy(text + n, batch->line[i].ptr, batch->line[i].len);
        n += batch->line[i].len;
    }
    assert_int_equal(n, batch->bytes);
    text[n] = '\0';
    return text;
}

static void expect_lines(struct fanout *fanout, struct fanout_sub *sub, size_t max_bytes,
                         const char *text)
{
    struct fanout_batch batch;
    struct slice rest;

    assert_int_equal(fanout_next(fanout, sub, max_bytes, &batch), FANOUT_NEXT_LINES);
    assert_string_equal(text_of(&batch), text);
    fanout_advance(fanout, sub, &batch, batch.bytes, &rest);
    assert_int_equal(rest.len, 0);
}

static void expect_idle(struct fanout *fanout, struct fanout_sub *sub)
{
    struct fanout_batch batch;

    assert_int_equal(fanout_next(fanout, sub, 1000, &batch), FANOUT_NEXT_IDLE);
    assert_int_equal(batch.count, 0);
}

static void test_matching(void **state)
{
    struct fanout_filter filter = {
        .streams = {[0] = 1u << 3, [3] = UINT64_C(1) << 63},
        .types = {SLICE_INIT("swp.room.*"), SLICE_INIT("x")},
        .n_types = 2,
    };
    const struct slice room = SLICE("swp.room.message");
    const struct slice other = SLICE("swp.user");

    assert_true(fanout_match(&filter, FANOUT_EVENT, 3, room));
    assert_true(fanout_match(&filter, FANOUT_EVENT, 255, SLICE("x")));
    assert_false(fanout_match(&filter, FANOUT_EVENT, 4, room));
    assert_false(fanout_match(&filter, FANOUT_EVENT, 256, room));
    assert_false(fanout_match(&filter, FANOUT_EVENT, UINT32_MAX, room));
    assert_false(fanout_match(&filter, FANOUT_EVENT, 3, other));
    assert_false(fanout_match(&filter, FANOUT_EPHEMERAL, 3, other));
    assert_true(fanout_match(&filter, FANOUT_EPHEMERAL, 3, room));
    assert_true(fanout_match(&filter, FANOUT_GAP, 3, other));
    assert_false(fanout_match(&filter, FANOUT_GAP, 4, other));
    assert_false(fanout_match(&filter, FANOUT_NOTICE, 3, room));
    filter.notices = true;
    assert_true(fanout_match(&filter, FANOUT_NOTICE, 3, other));
    assert_false(fanout_match(&filter, FANOUT_NOTICE, 4, other));
    filter.n_types = 0;
    assert_true(fanout_match(&filter, FANOUT_EVENT, 3, other));
}

static void test_nothing_is_seen_before_it_is_published(void **state)
{
    struct tail tail = tail_open(1000, 64, 0);
    struct fanout_filter filter = filter_all();
    struct fanout_sub sub;

    fanout_subscribe(tail.fanout, &sub, &filter, UINT64_MAX);
    expect_idle(tail.fanout, &sub);
    tail_push(tail.fanout, FANOUT_EVENT, 1, "t", "one\n");
    fanout_durable(tail.fanout, 1);
    expect_idle(tail.fanout, &sub);
    fanout_publish(tail.fanout, 1);
    expect_lines(tail.fanout, &sub, 1000, "one\n");
    expect_idle(tail.fanout, &sub);
    assert_int_equal(sub.cursor, 1);
    tail_close(&tail);
}

static void test_neighbouring_lines_are_one_slice(void **state)
{
    struct tail tail = tail_open(1000, 64, 0);
    struct fanout_filter filter = filter_all();
    struct fanout_batch batch;
    struct fanout_sub sub;
    char *at;

    filter.types[0] = SLICE("t*");
    filter.n_types = 1;
    fanout_subscribe(tail.fanout, &sub, &filter, 0);
    for (uint64_t seq = 1; seq <= 4; seq++) { /* the type within the line */
        at = fanout_reserve(tail.fanout, 10);
        memcpy(at, seq == 3 ? "an other\n" : "a t\n", seq == 3 ? 9 : 4);
        fanout_push(tail.fanout, FANOUT_EVENT, seq, 0, slice_make(at + (seq == 3 ? 3 : 2), 1),
                    seq == 3 ? 9 : 4);
    }
    tail_push(tail.fanout, FANOUT_EVENT, 5, "t5", "five\n"); /* its type lies between */
    tail_push(tail.fanout, FANOUT_EVENT, 6, "t6", "six\n");
    tail_commit(tail.fanout);
    assert_int_equal(fanout_next(tail.fanout, &sub, 1000, &batch), FANOUT_NEXT_LINES);
    assert_int_equal(batch.count, 3);
    assert_slice(batch.line[0], "a t\na t\n");
    assert_slice(batch.line[1], "a t\nfive\n");
    assert_slice(batch.line[2], "six\n");
    assert_int_equal(batch.bytes, 21);
    tail_close(&tail);
}

static void test_max_bytes_and_max_slices(void **state)
{
    struct tail tail = tail_open(4000, 256, 0);
    struct fanout_filter filter = filter_all();
    struct fanout_batch batch;
    struct fanout_sub sub;
    struct slice rest;

    filter.types[0] = SLICE("t");
    filter.n_types = 1;
    fanout_subscribe(tail.fanout, &sub, &filter, 0);
    tail_push(tail.fanout, FANOUT_EVENT, 1, "t", "one\n");
    tail_push(tail.fanout, FANOUT_EVENT, 2, "t", "two\n");
    tail_push(tail.fanout, FANOUT_EVENT, 3, "t", "three\n");
    /* Every second one does not match: no two lines touch. */
    for (uint64_t seq = 4; seq < 4 + 2 * (FANOUT_BATCH_MAX + 1); seq += 2) {
        tail_push(tail.fanout, FANOUT_EVENT, seq, "other", "-\n");
        tail_push(tail.fanout, FANOUT_EVENT, seq + 1, "t", "+\n");
    }
    tail_commit(tail.fanout);
    expect_lines(tail.fanout, &sub, 0, "one\n"); /* one line at least */
    expect_lines(tail.fanout, &sub, 9, "two\n");
    expect_lines(tail.fanout, &sub, 6, "three\n");
    assert_int_equal(fanout_next(tail.fanout, &sub, 1000, &batch), FANOUT_NEXT_LINES);
    assert_int_equal(batch.count, FANOUT_BATCH_MAX);
    fanout_advance(tail.fanout, &sub, &batch, batch.bytes, &rest);
    expect_lines(tail.fanout, &sub, 1000, "+\n");
    expect_idle(tail.fanout, &sub);
    tail_close(&tail);
}

/* For each number of bytes that a write may take: what is left, and what comes next. */
static void test_advance_by_any_number_of_bytes(void **state)
{
    static const char all[] = "one\nthree\nfour\n";
    struct tail tail = tail_open(1000, 64, 0);
    struct fanout_filter filter = filter_all();

    filter.types[0] = SLICE("t");
    filter.n_types = 1;
    tail_push(tail.fanout, FANOUT_EVENT, 1, "t", "one\n");
    tail_push(tail.fanout, FANOUT_EVENT, 2, "other", "two\n");
    tail_push(tail.fanout, FANOUT_EVENT, 3, "t", "three\n");
    tail_push(tail.fanout, FANOUT_EVENT, 4, "t", "four\n");
    tail_push(tail.fanout, FANOUT_EVENT, 5, "other", "five\n");
    tail_commit(tail.fanout);
    for (size_t n = 0; n < sizeof all; n++) {
        struct fanout_sub sub;
        struct fanout_batch batch;
        struct slice rest;
        char got[8192];

        fanout_subscribe(tail.fanout, &sub, &filter, 0);
        fanout_next(tail.fanout, &sub, 1000, &batch);
        assert_string_equal(text_of(&batch), all);
        fanout_advance(tail.fanout, &sub, &batch, n, &rest);
        bool line_end = n == 0 || all[n - 1] == '\n';
        assert_int_equal(rest.len, line_end ? 0 : strchr(all + n, '\n') + 1 - (all + n));
        assert_int_equal(sub.cursor, n == 0 ? 0 : n <= 4 ? 1 : n <= 10 ? 3 : n < 15 ? 4 : 5);
        fanout_next(tail.fanout, &sub, 1000, &batch);
        snprintf(got, sizeof got, "%.*s" SLICE_FMT "%s", (int)n, all, SLICE_ARG(rest),
                 text_of(&batch));
        assert_string_equal(got, all);
    }
    tail_close(&tail);
}

static void test_from_a_seq(void **state)
{
    struct tail tail = tail_open(20, 64, 100);
    struct fanout_filter filter = filter_all();
    struct fanout_batch batch;
    struct fanout_sub sub;

    /* Five bytes a line, so four of them stay; seqs have holes. */
    for (uint64_t seq = 110; seq <= 160; seq += 10) {
        char line[8];

        snprintf(line, sizeof line, "%d\n", (int)seq * 10);
        tail_push(tail.fanout, FANOUT_EVENT, seq, "", line);
        tail_commit(tail.fanout);
    }
    assert_int_equal(fanout_evicted_seq(tail.fanout), 120);
    fanout_subscribe(tail.fanout, &sub, &filter, 119);
    assert_false(sub.hot);
    assert_int_equal(fanout_next(tail.fanout, &sub, 1000, &batch), FANOUT_NEXT_COLD);
    assert_int_equal(sub.cursor, 119);
    fanout_subscribe(tail.fanout, &sub, &filter, 120);
    expect_lines(tail.fanout, &sub, 1000, "1300\n1400\n1500\n1600\n");
    fanout_subscribe(tail.fanout, &sub, &filter, 145);
    expect_lines(tail.fanout, &sub, 1000, "1500\n1600\n");
    fanout_subscribe(tail.fanout, &sub, &filter, 150);
    expect_lines(tail.fanout, &sub, 1000, "1600\n");
    fanout_subscribe(tail.fanout, &sub, &filter, 160);
    expect_idle(tail.fanout, &sub);
    /* A seq of the future: what lies before it was not asked for. */
    fanout_subscribe(tail.fanout, &sub, &filter, 170);
    tail_push(tail.fanout, FANOUT_EVENT, 170, "", "1700\n");
    tail_push(tail.fanout, FANOUT_EVENT, 180, "", "1800\n");
    tail_commit(tail.fanout);
    expect_lines(tail.fanout, &sub, 1000, "1800\n");
    tail_close(&tail);
}

static void test_falling_behind_and_coming_back(void **state)
{
    struct tail tail = tail_open(12, 64, 0);
    struct fanout_filter filter = filter_all();
    struct fanout_batch batch;
    struct fanout_sub sub;

    fanout_subscribe(tail.fanout, &sub, &filter, UINT64_MAX);
    for (uint64_t seq = 1; seq <= 6; seq++) {
        char line[8];

        snprintf(line, sizeof line, "%d..\n", (int)seq);
        tail_push(tail.fanout, FANOUT_EVENT, seq, "", line);
        tail_commit(tail.fanout);
    }
    assert_int_equal(fanout_next(tail.fanout, &sub, 1000, &batch), FANOUT_NEXT_COLD);
    assert_int_equal(sub.cursor, 0);
    assert_int_equal(fanout_evicted_seq(tail.fanout), 3);
    fanout_cold_done(tail.fanout, &sub, 2);
    assert_int_equal(fanout_next(tail.fanout, &sub, 1000, &batch), FANOUT_NEXT_COLD);
    assert_int_equal(sub.cursor, 2);
    /* While it reads, the ring moves on. */
    tail_push(tail.fanout, FANOUT_EVENT, 7, "", "7..\n");
    tail_commit(tail.fanout);
    fanout_cold_done(tail.fanout, &sub, 3);
    assert_int_equal(fanout_next(tail.fanout, &sub, 1000, &batch), FANOUT_NEXT_COLD);
    fanout_cold_done(tail.fanout, &sub, 4);
    expect_lines(tail.fanout, &sub, 1000, "5..\n6..\n7..\n");
    expect_idle(tail.fanout, &sub);
    tail_close(&tail);
}

static void test_only_the_live_edge_sees_what_is_not_stored(void **state)
{
    struct tail tail = tail_open(1000, 64, 0);
    struct fanout_filter filter = filter_all();
    struct fanout_filter quiet = filter_all();
    struct fanout_sub live, silent, late;

    quiet.notices = false;
    fanout_subscribe(tail.fanout, &live, &filter, UINT64_MAX);
    fanout_subscribe(tail.fanout, &silent, &quiet, UINT64_MAX);
    tail_push(tail.fanout, FANOUT_EPHEMERAL, 0, "typing", "typing\n");
    tail_push(tail.fanout, FANOUT_EVENT, 1, "t", "one\n");
    tail_push(tail.fanout, FANOUT_NOTICE, 0, "", "notice\n");
    tail_push(tail.fanout, FANOUT_GAP, 2, "", "gap\n");
    tail_commit(tail.fanout);
    fanout_subscribe(tail.fanout, &late, &filter, 1);
    expect_lines(tail.fanout, &live, 1000, "typing\none\nnotice\ngap\n");
    expect_lines(tail.fanout, &silent, 1000, "typing\none\ngap\n");
    expect_lines(tail.fanout, &late, 1000, "gap\n");
    tail_push(tail.fanout, FANOUT_EPHEMERAL, 0, "typing", "typing\n");
    tail_commit(tail.fanout);
    expect_lines(tail.fanout, &late, 1000, "typing\n");
    tail_close(&tail);
}

static void test_what_came_to_disk_unseen_is_read_there(void **state)
{
    struct tail tail = tail_open(100, 8, 0);
    struct fanout_filter filter = {.streams = {1}};
    struct fanout_sub seen, behind;
    struct fanout_batch batch;

    fanout_subscribe(tail.fanout, &seen, &filter, 0);
    fanout_subscribe(tail.fanout, &behind, &filter, 0);
    tail_push(tail.fanout, FANOUT_EVENT, 1, "", "one\n");
    tail_commit(tail.fanout);
    expect_lines(tail.fanout, &seen, 1000, "one\n");
    tail_push(tail.fanout, FANOUT_EVENT, 2, "", "two\n");
    fanout_abandon(tail.fanout);
    fanout_skip(tail.fanout, 1); /* it was not on disk */
    expect_idle(tail.fanout, &seen);
    fanout_skip(tail.fanout, 2); /* it was */
    assert_int_equal(fanout_published_seq(tail.fanout), 2);
    assert_int_equal(fanout_evicted_seq(tail.fanout), 2);
    tail_push(tail.fanout, FANOUT_EVENT, 3, "", "three\n");
    tail_commit(tail.fanout);
    assert_int_equal(fanout_next(tail.fanout, &seen, 1000, &batch), FANOUT_NEXT_COLD);
    assert_int_equal(seen.cursor, 1);
    assert_int_equal(fanout_next(tail.fanout, &behind, 1000, &batch), FANOUT_NEXT_COLD);
    assert_int_equal(behind.cursor, 0);
    fanout_cold_done(tail.fanout, &seen, 2);
    expect_lines(tail.fanout, &seen, 1000, "three\n");
    tail_close(&tail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matching),
        cmocka_unit_test(test_nothing_is_seen_before_it_is_published),
        cmocka_unit_test(test_neighbouring_lines_are_one_slice),
        cmocka_unit_test(test_max_bytes_and_max_slices),
        cmocka_unit_test(test_advance_by_any_number_of_bytes),
        cmocka_unit_test(test_from_a_seq),
        cmocka_unit_test(test_falling_behind_and_coming_back),
        cmocka_unit_test(test_only_the_live_edge_sees_what_is_not_stored),
        cmocka_unit_test(test_what_came_to_disk_unseen_is_read_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
