/* The hub: seqs, lines, batches, what is published when, and what a failed commit takes with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/hub.h"

struct probe {
    struct hub *hub;
    struct hub_stream *stream;
    const struct hub_batch *flying;
    unsigned commits, published, room, wanted;
    uint64_t saved;
};

static void on_commit(void *arg, const struct hub_batch *batch)
{
    struct probe *probe = arg;
    assert_null(probe->flying);
    probe->flying = batch;
    probe->commits++;
}

static void on_published(void *arg)
{
    ((struct probe *)arg)->published++;
}

static void on_room(void *arg)
{
    ((struct probe *)arg)->room++;
}

static void on_wanted(void *arg)
{
    ((struct probe *)arg)->wanted++;
}

static void on_saved(void *arg, uint64_t ticket, bool lost)
{
    assert_false(lost);
    ((struct probe *)arg)->saved = ticket;
}

static const struct hub_ops ops = {.commit = on_commit,
                                   .published = on_published,
                                   .room = on_room,
                                   .wanted = on_wanted,
                                   .saved = on_saved};

static void open_hub(struct probe *probe, size_t ring_bytes, bool received, uint64_t newest,
                     uint64_t reserved)
{
    struct hub_options options = {
        .ring_bytes = ring_bytes,
        .ring_entries = 2 * HUB_BATCH_RECORDS,
        .deliver_received = received,
        .newest_seq = newest,
        .reserved_seq = reserved,
        .ops = &ops,
        .ops_arg = probe,
    };
    *probe = (struct probe){0};
    assert_int_equal(hub_new(&options, &probe->hub), 0);
    assert_int_equal(
        hub_stream_new(probe->hub, "chat", 3, SLICE("\"tag.team\":\"ops\""), &probe->stream), 0);
}

static void close_hub(struct probe *probe)
{
    hub_free(probe->hub);
}

static int put(struct probe *probe, const char *id, const char *position)
{
    struct flow_event event = {
        .id = slice_str(id),
        .type = SLICE("t"),
        .data = SLICE("{\"a\":1}"),
        .via = FLOW_VIA_LIVE,
        .received_us = 1778939467123456,
        .has_key = true,
    };
    if (position != NULL) {
        event.position = slice_str(position);
        event.resume = event.position;
    }
    memset(event.key, id[0], sizeof(event.key));
    return hub_event(probe->hub, probe->stream, &event);
}

/* Starts a commit and ends it. */
static void commit(struct probe *probe, int status)
{
    hub_flush(probe->hub);
    assert_non_null(probe->flying);
    probe->flying = NULL;
    hub_committed(probe->hub, status);
}

static void test_an_event_becomes_a_record(void **state)
{
    struct probe probe;
    (void)state;
    open_hub(&probe, 65536, false, 480, 0);
    assert_int_equal(put(&probe, "evt-1", "1844"), 0);
    assert_int_equal(probe.wanted, 1);
    hub_flush(probe.hub);
    assert_int_equal(probe.flying->count, 1);
    const struct store_record *record = &probe.flying->records[0];
    assert_int_equal(record->seq, 481);
    assert_int_equal(record->stream, 3);
    assert_true(slice_eq_str(record->position, "1844"));
    assert_true(slice_eq_str(record->type, "t"));
    assert_true(record->has_key);
    assert_true(slice_eq_str(
        record->line,
        "{\"seq\":481,\"stream\":\"chat\",\"id\":\"evt-1\",\"position\":\"1844\",\"type\":\"t\","
        "\"time\":\"2026-05-16T13:51:07.123456Z\",\"via\":\"live\",\"tag.team\":\"ops\","
        "\"data\":{\"a\":1}}\n"));
    /* Disk before delivery. */
    assert_int_equal(fanout_published_seq(hub_fanout(probe.hub)), 480);
    probe.flying = NULL;
    hub_committed(probe.hub, 0);
    assert_int_equal(fanout_published_seq(hub_fanout(probe.hub)), 481);
    assert_int_equal(probe.published, 1);
    assert_true(hub_idle(probe.hub));
    close_hub(&probe);
}

static void test_each_way_is_named_and_counted(void **state)
{
    struct hub_stream_stats stats;
    struct probe probe;
    (void)state;
    open_hub(&probe, 65536, false, 0, 0);
    for (unsigned via = 0; via < FLOW_VIA_COUNT; via++)
        for (unsigned i = 0; i <= via; i++) {
            struct flow_event event = {
                .data = SLICE("1"), .via = (enum flow_via)via, .snapshot = i == 1};
            assert_int_equal(hub_event(probe.hub, probe.stream, &event), 0);
        }
    hub_flush(probe.hub);
    hub_stream_stats(probe.stream, &stats);
    unsigned n = 0;
    for (unsigned via = 0; via < FLOW_VIA_COUNT; via++) {
        assert_int_equal(stats.stored[via], via + 1);
        for (unsigned i = 0; i <= via; i++, n++) {
            char line[1024], member[64];
            struct slice text = probe.flying->records[n].line;
            snprintf(line, sizeof(line), "%.*s", (int)text.len, text.ptr);
            snprintf(member, sizeof(member), "\"via\":\"%s\"%s,\"tag",
                     flow_via_name((enum flow_via)via), i == 1 ? ",\"snapshot\":true" : "");
            assert_non_null(strstr(line, member));
        }
    }
    close_hub(&probe);
}

/* Filters and the store see the type itself, however the line spells it. */
static void test_a_type_is_as_it_came(void **state)
{
    const char *const types[] = {"a.b", "a\"b", "\n", "", NULL};
    struct probe probe;
    (void)state;
    open_hub(&probe, 65536, false, 0, 0);
    for (unsigned i = 0; types[i] != NULL; i++) {
        struct flow_event event = {.type = slice_str(types[i]), .data = SLICE("{}")};
        assert_int_equal(hub_event(probe.hub, probe.stream, &event), 0);
    }
    hub_flush(probe.hub);
    for (unsigned i = 0; types[i] != NULL; i++) {
        assert_true(slice_eq_str(probe.flying->records[i].type, types[i]));
        assert_true(slice_eq_str(fanout_get(hub_fanout(probe.hub), i)->type, types[i]));
    }
    close_hub(&probe);
}

static void test_one_commit_flies_while_the_next_is_filled(void **state)
{
    struct probe probe;
    (void)state;
    open_hub(&probe, 65536, false, 0, 0);
    put(&probe, "a", "1");
    hub_flush(probe.hub);
    put(&probe, "b", "2");
    put(&probe, "c", "3");
    hub_flush(probe.hub);
    assert_int_equal(probe.commits, 1);
    assert_int_equal(probe.flying->count, 1);
    probe.flying = NULL;
    hub_committed(probe.hub, 0);
    assert_int_equal(fanout_published_seq(hub_fanout(probe.hub)), 1);
    hub_flush(probe.hub);
    assert_int_equal(probe.flying->count, 2);
    assert_int_equal(probe.flying->records[1].seq, 3);
    probe.flying = NULL;
    hub_committed(probe.hub, 0);
    hub_flush(probe.hub);
    assert_int_equal(probe.commits, 2);
    close_hub(&probe);
}

/* Commits that are put off are not put off while somebody waits for room. */
static void test_a_full_batch_is_urgent(void **state)
{
    struct probe probe;
    (void)state;
    open_hub(&probe, 4 << 20, false, 0, 0);
    for (unsigned i = 0; i < HUB_BATCH_RECORDS; i++)
        assert_int_equal(put(&probe, "a", NULL), 0);
    assert_false(hub_starved(probe.hub));
    assert_int_equal(probe.wanted, 1);
    assert_int_equal(put(&probe, "a", NULL), ERR_AGAIN);
    assert_true(hub_starved(probe.hub));
    assert_int_equal(probe.wanted, 2);
    hub_flush(probe.hub);
    probe.flying = NULL;
    hub_committed(probe.hub, 0);
    assert_int_equal(probe.room, 1);
    assert_false(hub_starved(probe.hub));
    close_hub(&probe);
}

/* What a commit takes of the store is bounded, and what is larger by itself is refused. */
static void test_a_commit_is_no_larger_than_the_store_takes(void **state)
{
    static char text[30000];
    struct probe probe;
    struct hub_options options = {.ring_bytes = 1 << 20,
                                  .ring_entries = 4096,
                                  .ops = &ops,
                                  .ops_arg = &probe,
                                  .commit_bytes = 50000,
                                  .page_bytes = 4096};
    struct flow_event large = {.data = slice_make(text, sizeof(text)),
                               .data_kind = FLOW_DATA_BINARY};
    unsigned n = 0;
    (void)state;
    probe = (struct probe){0};
    assert_int_equal(hub_new(&options, &probe.hub), 0);
    assert_int_equal(hub_stream_new(probe.hub, "chat", 3, SLICE(""), &probe.stream), 0);
    assert_int_equal(hub_event(probe.hub, probe.stream, &large), ERR_LIMIT);
    while (put(&probe, "a", NULL) == 0)
        n++;
    assert_in_range(n, 50, 150);
    assert_true(hub_starved(probe.hub));
    hub_flush(probe.hub);
    assert_int_equal(probe.flying->count, n);
    assert_int_equal(put(&probe, "a", NULL), 0);
    probe.flying = NULL;
    hub_committed(probe.hub, 0);
    close_hub(&probe);
}

/* Events that come without a pause fill each batch; an acknowledgement that comes at its end is
 * still taken, and one event may be as large as the batch. */
static void test_events_leave_room_for_what_is_saved(void **state)
{
    static char text[180000];
    struct probe probe = {0};
    struct hub_options options = {.ring_bytes = 1 << 22,
                                  .ring_entries = 4096,
                                  .ops = &ops,
                                  .ops_arg = &probe,
                                  .commit_bytes = 400000,
                                  .page_bytes = 4096};
    struct flow_event large = {.data = slice_make(text, sizeof(text)),
                               .data_kind = FLOW_DATA_BINARY};
    char key[32];
    (void)state;
    assert_int_equal(hub_new(&options, &probe.hub), 0);
    assert_int_equal(hub_stream_new(probe.hub, "chat", 3, SLICE(""), &probe.stream), 0);
    for (unsigned round = 0; round < 2; round++) {
        while (put(&probe, "a", NULL) == 0)
            continue;
        for (unsigned i = 0; i < 10; i++) {
            snprintf(key, sizeof(key), "consumer/c%u", i);
            assert_true(hub_save(probe.hub, slice_str(key), SLICE("cursor")) != 0);
        }
        commit(&probe, 0);
    }
    assert_int_equal(hub_event(probe.hub, probe.stream, &large), 0);
    assert_int_equal(put(&probe, "a", NULL), ERR_AGAIN);
    commit(&probe, 0);
    close_hub(&probe);
}

/* A batch is one transaction: only its newest position counts, and each batch has its own copy. */
static void test_only_the_newest_position_of_a_batch(void **state)
{
    struct probe probe;
    (void)state;
    open_hub(&probe, 65536, false, 0, 0);
    put(&probe, "a", "1");
    put(&probe, "b", "2");
    put(&probe, "c", NULL);
    hub_flush(probe.hub);
    put(&probe, "d", "4");
    assert_null(probe.flying->records[0].position.ptr);
    assert_true(slice_eq_str(probe.flying->records[1].position, "2"));
    assert_null(probe.flying->records[2].position.ptr);
    probe.flying = NULL;
    hub_committed(probe.hub, 0);
    hub_flush(probe.hub);
    assert_true(slice_eq_str(probe.flying->records[0].position, "4"));
    close_hub(&probe);
}

static void test_a_gap_that_forgets_takes_the_position_with_it(void **state)
{
    struct probe probe;
    struct hub_gap gap = {
        .reason = SESSION_GAP_EPOCH, .after = SLICE("1"), .detail = "why", .forget = true};
    (void)state;
    open_hub(&probe, 65536, false, 0, 0);
    put(&probe, "a", "1");
    assert_int_equal(hub_gap(probe.hub, probe.stream, &gap), 0);
    put(&probe, "b", "7");
    hub_flush(probe.hub);
    assert_null(probe.flying->records[0].position.ptr);
    assert_true(probe.flying->records[1].forget_position);
    assert_true(probe.flying->records[1].has_key);
    assert_memory_equal(probe.flying->records[1].key, flow_key_forget, 16);
    assert_int_equal(probe.flying->records[1].kind, STORE_GAP);
    assert_non_null(memmem(probe.flying->records[1].line.ptr, probe.flying->records[1].line.len,
                           "\"reason\":\"epoch\"", 16));
    assert_true(slice_eq_str(probe.flying->records[2].position, "7"));
    close_hub(&probe);
}

static void test_a_full_batch_says_again(void **state)
{
    struct probe probe;
    (void)state;
    open_hub(&probe, 4u << 20, false, 0, 0);
    for (unsigned i = 0; i < HUB_BATCH_RECORDS; i++)
        assert_int_equal(put(&probe, "x", NULL), 0);
    assert_int_equal(put(&probe, "x", NULL), ERR_AGAIN);
    assert_int_equal(probe.room, 0);
    commit(&probe, 0);
    assert_int_equal(probe.room, 1);
    assert_int_equal(put(&probe, "x", NULL), 0);
    close_hub(&probe);
}

/* Consumers are behind: events wait until that is over, and are told when it is. */
static void test_events_wait_while_it_holds(void **state)
{
    struct probe probe;
    struct hub_gap gap = {.reason = SESSION_GAP_OVERSIZE, .now_us = 1};
    (void)state;
    open_hub(&probe, 4u << 20, false, 0, 0);
    assert_int_equal(put(&probe, "x", NULL), 0);
    uint64_t bytes = hub_bytes(probe.hub);
    assert_int_equal(bytes, fanout_get(hub_fanout(probe.hub), 0)->line.len);
    hub_hold(probe.hub, true);
    assert_int_equal(put(&probe, "x", NULL), ERR_AGAIN);
    assert_int_equal(hub_bytes(probe.hub), bytes);
    assert_int_equal(hub_gap(probe.hub, probe.stream, &gap), 0);
    assert_true(hub_save(probe.hub, slice_str("k"), slice_str("v")) > 0);
    hub_hold(probe.hub, true);
    assert_int_equal(probe.room, 0);
    hub_hold(probe.hub, false);
    assert_int_equal(probe.room, 1);
    assert_int_equal(put(&probe, "x", NULL), 0);
    hub_hold(probe.hub, false);
    hub_hold(probe.hub, true);
    hub_hold(probe.hub, false); /* nobody waited */
    assert_int_equal(probe.room, 1);
    commit(&probe, 0);
    close_hub(&probe);
}

/* Lines of one length, and a ring of just so many of them that a part is n lines, and one byte. */
static void test_a_batch_is_bounded_by_its_part_of_the_ring(void **state)
{
    struct probe probe;
    const size_t n = 100;
    size_t line;
    (void)state;
    open_hub(&probe, 65536, false, 999, 0);
    put(&probe, "x", NULL);
    line = fanout_get(hub_fanout(probe.hub), 0)->line.len;
    close_hub(&probe);
    for (size_t more = 0; more < 2; more++) {
        open_hub(&probe, (n * line + more) * HUB_BATCH_RING_PART, false, 999, 0);
        for (size_t i = 0; i < n + more; i++)
            assert_int_equal(put(&probe, "x", NULL), 0);
        assert_int_equal(put(&probe, "x", NULL), ERR_AGAIN);
        hub_flush(probe.hub);
        assert_int_equal(probe.flying->count, n + more);
        assert_int_equal(probe.flying->bytes, (n + more) * line);
        for (size_t i = 0; i < n + more; i++) /* and the next has as much again */
            assert_int_equal(put(&probe, "x", NULL), 0);
        assert_int_equal(put(&probe, "x", NULL), ERR_AGAIN);
        close_hub(&probe);
    }
}

static void test_a_full_ring_says_again_and_loses_nothing(void **state)
{
    struct probe probe;
    char text[1500];
    struct flow_event event = {.data = {text, sizeof(text)}, .data_kind = FLOW_DATA_JSON};
    (void)state;
    memset(text, ' ', sizeof(text));
    text[0] = '1';
    open_hub(&probe, 2000, false, 0, 0);
    assert_int_equal(hub_event(probe.hub, probe.stream, &event), 0);
    hub_flush(probe.hub);
    assert_int_equal(hub_event(probe.hub, probe.stream, &event),
                     ERR_AGAIN); /* the disk is not done */
    assert_int_equal(probe.flying->count, 1);
    probe.flying = NULL;
    hub_committed(probe.hub, 0);
    assert_int_equal(probe.room, 1);
    assert_int_equal(hub_event(probe.hub, probe.stream, &event), 0);
    assert_int_equal(hub_next_seq(probe.hub), 3);
    close_hub(&probe);
}

/* However little room is left after `before` events: both, or neither. True: both. */
static bool put_malformed(size_t ring_bytes, unsigned before)
{
    const struct flow_event event = {
        .data = SLICE("x"), .data_kind = FLOW_DATA_TEXT, .malformed = "not JSON"};
    const struct hub_gap gap = {.reason = SESSION_GAP_MALFORMED, .detail = "not JSON"};
    struct probe probe;
    open_hub(&probe, ring_bytes, false, 0, 0);
    while (before-- > 0)
        assert_int_equal(put(&probe, "x", NULL), 0);
    int status = hub_event(probe.hub, probe.stream, &event);
    if (status == 0)
        assert_int_equal(hub_gap(probe.hub, probe.stream, &gap), 0);
    else
        assert_int_equal(status, ERR_AGAIN);
    close_hub(&probe);
    return status == 0;
}

static void test_a_malformed_event_and_its_gap_share_a_batch(void **state)
{
    unsigned n = 0;
    (void)state;
    while (put_malformed(20000, n))
        n++;
    assert_true(n > 10 && n < 100);
    assert_true(put_malformed(4u << 20, HUB_BATCH_RECORDS - 2));
    assert_false(put_malformed(4u << 20, HUB_BATCH_RECORDS - 1));
}

static void test_an_event_larger_than_the_ring(void **state)
{
    struct probe probe;
    static char big[3000];
    struct flow_event event = {.data = {big, sizeof(big)}, .data_kind = FLOW_DATA_TEXT};
    (void)state;
    memset(big, 'x', sizeof(big));
    open_hub(&probe, 2000, false, 0, 0);
    assert_int_equal(hub_event(probe.hub, probe.stream, &event), ERR_LIMIT);
    assert_int_equal(hub_next_seq(probe.hub), 1);
    close_hub(&probe);
}

static void test_a_failed_commit_drops_what_is_not_on_disk(void **state)
{
    struct probe probe;
    (void)state;
    open_hub(&probe, 65536, false, 0, 0);
    put(&probe, "a", "1");
    commit(&probe, 0);
    put(&probe, "b", "2");
    hub_flush(probe.hub);
    put(&probe, "c", "3");
    probe.flying = NULL;
    hub_committed(probe.hub, ERR_IO);
    assert_true(hub_failed(probe.hub));
    assert_int_equal(put(&probe, "d", "4"), ERR_AGAIN);
    hub_flush(probe.hub);
    assert_int_equal(probe.commits, 2);
    assert_int_equal(fanout_published_seq(hub_fanout(probe.hub)), 1);
    /* Seqs that were given out are not given out again. */
    hub_reopen(probe.hub, 1, 0);
    assert_int_equal(probe.room, 1);
    put(&probe, "b", "2");
    hub_flush(probe.hub);
    assert_int_equal(probe.flying->count, 1);
    assert_int_equal(probe.flying->records[0].seq, 4);
    close_hub(&probe);
}

static void test_what_is_not_stored_keeps_its_place(void **state)
{
    struct probe probe;
    struct flow_event typing = {.type = SLICE("typing"), .data = SLICE("{}"), .ephemeral = true};
    struct fanout_filter filter = {.notices = true};
    struct fanout_sub sub;
    struct fanout_batch batch;
    (void)state;
    open_hub(&probe, 65536, false, 0, 0);
    filter.streams[0] = ~0ull;
    fanout_subscribe(hub_fanout(probe.hub), &sub, &filter, UINT64_MAX);
    hub_notice(probe.hub, probe.stream, SLICE("notice\n")); /* nothing waits: seen at once */
    assert_int_equal(fanout_next(hub_fanout(probe.hub), &sub, 9999, &batch), FANOUT_NEXT_LINES);
    struct slice rest;
    fanout_advance(hub_fanout(probe.hub), &sub, &batch, batch.bytes, &rest);
    put(&probe, "a", "1");
    assert_int_equal(hub_event(probe.hub, probe.stream, &typing), 0);
    assert_int_equal(fanout_next(hub_fanout(probe.hub), &sub, 9999, &batch), FANOUT_NEXT_IDLE);
    commit(&probe, 0);
    assert_int_equal(fanout_next(hub_fanout(probe.hub), &sub, 9999, &batch), FANOUT_NEXT_LINES);
    assert_int_equal(batch.count, 1);
    assert_non_null(memmem(batch.line[0].ptr, batch.line[0].len, "}\n{\"seq\":null", 13));
    close_hub(&probe);
}

/* The records wait for space on the disk, what is saved does not. */
static void test_what_is_saved_does_not_wait_for_space(void **state)
{
    struct probe probe;
    (void)state;
    open_hub(&probe, 1 << 20, false, 0, 0);
    assert_int_equal(put(&probe, "a", NULL), 0);
    uint64_t first = hub_save(probe.hub, SLICE("consumer/x"), SLICE("1"));
    hub_flush(probe.hub);
    const struct hub_batch *waiting = probe.flying;
    assert_int_equal(waiting->n_states, 1);
    for (unsigned round = 2; round <= 9; round++) {
        char value[2] = {(char)('0' + round), '\0'};
        uint64_t next = hub_save(probe.hub, SLICE("consumer/x"), slice_str(value));
        assert_true(next > first);
        hub_flush(probe.hub); /* one is in flight */
        hub_waiting(probe.hub);
        assert_int_equal(probe.saved, first);
        assert_int_equal(waiting->count, 1);
        assert_int_equal(waiting->n_states, 1);
        assert_true(slice_eq_str(waiting->states[0].value, value));
        first = next;
    }
    hub_waiting(probe.hub); /* nothing has been saved since */
    assert_int_equal(probe.saved, first);
    assert_int_equal(waiting->n_states, 0);
    uint64_t last = hub_save(probe.hub, SLICE("consumer/y"), SLICE("2"));
    hub_waiting(probe.hub);
    commit(&probe, 0);
    assert_int_equal(probe.saved, last);
    assert_true(hub_idle(probe.hub));
    assert_int_equal(probe.commits, 1);
    close_hub(&probe);
}

static void test_received_waits_for_a_reserved_block(void **state)
{
    struct probe probe;
    (void)state;
    open_hub(&probe, 65536, true, 10, 500);
    /* All up to 500 may have been used before a crash. */
    assert_int_equal(hub_next_seq(probe.hub), 501);
    assert_int_equal(put(&probe, "a", "1"), ERR_AGAIN);
    hub_flush(probe.hub);
    assert_int_equal(probe.flying->count, 0);
    assert_int_equal(probe.flying->reserve_seq, 501 + HUB_RESERVE_BLOCK);
    probe.flying = NULL;
    hub_committed(probe.hub, 0);
    assert_int_equal(probe.room, 1);
    assert_int_equal(put(&probe, "a", "1"), 0);
    /* Seen before it is on disk. */
    assert_int_equal(fanout_published_seq(hub_fanout(probe.hub)), 501);
    assert_int_equal(hub_reserved_seq(probe.hub), 501 + HUB_RESERVE_BLOCK);
    close_hub(&probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_event_becomes_a_record),
        cmocka_unit_test(test_a_type_is_as_it_came),
        cmocka_unit_test(test_each_way_is_named_and_counted),
        cmocka_unit_test(test_one_commit_flies_while_the_next_is_filled),
        cmocka_unit_test(test_a_full_batch_is_urgent),
        cmocka_unit_test(test_a_commit_is_no_larger_than_the_store_takes),
        cmocka_unit_test(test_events_leave_room_for_what_is_saved),
        cmocka_unit_test(test_only_the_newest_position_of_a_batch),
        cmocka_unit_test(test_a_gap_that_forgets_takes_the_position_with_it),
        cmocka_unit_test(test_a_full_batch_says_again),
        cmocka_unit_test(test_events_wait_while_it_holds),
        cmocka_unit_test(test_a_batch_is_bounded_by_its_part_of_the_ring),
        cmocka_unit_test(test_a_full_ring_says_again_and_loses_nothing),
        cmocka_unit_test(test_a_malformed_event_and_its_gap_share_a_batch),
        cmocka_unit_test(test_an_event_larger_than_the_ring),
        cmocka_unit_test(test_a_failed_commit_drops_what_is_not_on_disk),
        cmocka_unit_test(test_what_is_not_stored_keeps_its_place),
        cmocka_unit_test(test_what_is_saved_does_not_wait_for_space),
        cmocka_unit_test(test_received_waits_for_a_reserved_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
