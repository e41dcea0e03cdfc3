/* Two links at once: order is kept at the cut, nothing is lost or repeated. */
#include <stdio.h>

#include "flow/private.h"
#include "unit/flow/rig.h"

static void open_two(struct rig *rig, enum profile_catchup_via via, size_t hold_bytes)
{
    *rig = (struct rig){.profile = {.dedup = PROFILE_DEDUP_ID,
                                    .compare = PROFILE_COMPARE_OPAQUE,
                                    .connect.parallel = 2,
                                    .catchup.via = via}};
    rig_open_profile(rig, 5000, hold_bytes);
}

static void test_the_link_meets_its_successor(void **state)
{
    struct profile_message ephemeral = message_of(NULL, NULL);
    struct rig rig;

    open_two(&rig, PROFILE_CATCHUP_URL, 65536);
    live(&rig, "a", NULL);
    flow_succeed(rig.flow);
    assert_int_equal(next_live(&rig, "a", NULL), FLOW_DUPLICATE);
    assert_int_equal(next_live(&rig, "c", NULL), FLOW_HELD_FIRST);
    ephemeral.ephemeral = true;
    assert_int_equal(flow_message(rig.flow, FLOW_SUCCESSOR, &ephemeral, ephemeral.data, false, 0),
                     FLOW_DISCARDED);
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &ephemeral, ephemeral.data, false, 0),
                     FLOW_EMITTED);
    assert_int_equal(live(&rig, "b", NULL), FLOW_EMITTED);
    assert_int_equal(next_live(&rig, "d", NULL), FLOW_HELD);
    rig.refuse_at = 1;
    assert_int_equal(live(&rig, "c", NULL), FLOW_AGAIN);
    assert_int_equal(live(&rig, "c", NULL), FLOW_MET);
    assert_int_equal(live(&rig, "c", NULL), FLOW_DUPLICATE); /* once */
    assert_int_equal(next_live(&rig, "e", NULL), FLOW_HELD);
    flow_switch(rig.flow);
    assert_int_equal(live(&rig, "f", NULL), FLOW_HELD); /* the successor's now */
    assert_int_equal(flow_release(rig.flow), 0);
    assert_int_equal(live(&rig, "g", NULL), FLOW_EMITTED);
    assert_log(&rig, "!a ~! !b !c !d !e !f !g ");
    rig_close(&rig);
}

static void test_met_by_a_repeat(void **state)
{
    struct rig rig;

    open_two(&rig, PROFILE_CATCHUP_HTTP, 65536);
    flow_succeed(rig.flow);
    next_live(&rig, "a", "1");
    item(&rig, "a", "1"); /* a sync was under way */
    assert_int_equal(live(&rig, "a", "1"), FLOW_MET);
    flow_succeed(rig.flow); /* that successor failed */
    assert_int_equal(stats_of(&rig).held_events, 0);
    assert_int_equal(live(&rig, "b", "2"), FLOW_EMITTED);
    assert_int_equal(next_live(&rig, "c", "3"), FLOW_HELD_FIRST);
    assert_int_equal(live(&rig, "c", "3"), FLOW_MET);
    rig_close(&rig);
}

/* The link is always a little ahead: then the successor comes to what the link has brought since.
 */
static void test_the_successor_meets_the_link(void **state)
{
    struct profile_message row = message_of("b", NULL);
    struct rig rig;

    open_two(&rig, PROFILE_CATCHUP_NONE, 65536);
    live(&rig, "a", NULL);
    flow_succeed(rig.flow);
    assert_int_equal(next_live(&rig, "a", NULL), FLOW_DUPLICATE); /* a replay: older than both */
    live(&rig, "b", NULL);
    row.snapshot = true;
    assert_int_equal(flow_message(rig.flow, FLOW_SUCCESSOR, &row, row.data, false, 0),
                     FLOW_DUPLICATE); /* a state, not an event in its place */
    assert_int_equal(next_live(&rig, "b", NULL), FLOW_MET);
    live(&rig, "c", NULL);
    assert_int_equal(next_live(&rig, "c", NULL), FLOW_DUPLICATE); /* once */
    assert_int_equal(next_live(&rig, "d", NULL), FLOW_HELD_FIRST);
    assert_int_equal(live(&rig, "d", NULL), FLOW_EMITTED);
    flow_switch(rig.flow);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_int_equal(live(&rig, "e", NULL), FLOW_EMITTED);
    assert_log(&rig, "!a !b !c !d !e ");
    rig_close(&rig);
}

/* As many keys as are remembered, and one more. */
static void test_the_link_is_far_ahead(void **state)
{
    struct rig rig;
    char id[16];

    open_two(&rig, PROFILE_CATCHUP_NONE, 65536);
    for (unsigned ahead = FLOW_MEET_KEYS; ahead <= FLOW_MEET_KEYS + 1; ahead++) {
        flow_succeed(rig.flow);
        for (unsigned i = 0; i < ahead; i++) {
            snprintf(id, sizeof id, "%u.%u", ahead, i);
            live(&rig, id, NULL);
        }
        snprintf(id, sizeof id, "%u.0", ahead);
        assert_int_equal(next_live(&rig, id, NULL),
                         ahead == FLOW_MEET_KEYS ? FLOW_MET : FLOW_DUPLICATE);
        snprintf(id, sizeof id, "%u.1", ahead);
        assert_int_equal(next_live(&rig, id, NULL),
                         ahead == FLOW_MEET_KEYS ? FLOW_DUPLICATE : FLOW_MET);
    }
    rig_close(&rig);
}

/* Not met: what lies between comes by sync. */
static void test_sync_fills_the_cut(void **state)
{
    struct rig rig;

    open_two(&rig, PROFILE_CATCHUP_HTTP, 65536);
    live(&rig, "a", "1");
    flow_succeed(rig.flow);
    next_live(&rig, "d", "4");
    live(&rig, "b", "2");
    flow_switch(rig.flow);
    assert_resume(&rig, "2");
    flow_page_begin(rig.flow);
    assert_false(page_of(&rig).reached_hold);
    item(&rig, "c", "3");
    assert_false(page_of(&rig).reached_hold);
    item(&rig, "d", "4");
    assert_true(page_of(&rig).reached_hold);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "!a@1+ !b@2+ c@3+ d@4+ ");
    /* All that the successor showed came from the link too: nothing is to be reached. */
    flow_succeed(rig.flow);
    next_live(&rig, "e", "5");
    assert_int_equal(live(&rig, "e", "5"), FLOW_MET);
    flow_switch(rig.flow);
    flow_page_begin(rig.flow);
    assert_false(page_of(&rig).reached_hold);
    rig_close(&rig);
}

/* What the old link had in the hold goes out before the successor's. */
static void test_what_is_left_goes_first(void **state)
{
    struct rig rig;

    open_two(&rig, PROFILE_CATCHUP_URL, 65536);
    flow_hold(rig.flow);
    live(&rig, "a", "1");
    live(&rig, "b", "2");
    rig.refuse_at = 2;
    assert_int_equal(flow_release(rig.flow), ERR_AGAIN);
    flow_succeed(rig.flow);
    next_live(&rig, "c", "3");
    flow_switch(rig.flow);
    /* The next handover has no room for its events till then. */
    flow_succeed(rig.flow);
    assert_int_equal(next_live(&rig, "e", "5"), FLOW_AGAIN);
    flow_missing(rig.flow, FLOW_LINK);
    live(&rig, "d", "4");
    flow_switch(rig.flow);
    live(&rig, "e", "5");
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "!a@1+ !b@2+ !c@3+ ? !d@4+ !e@5+ ");
    flow_succeed(rig.flow);
    assert_int_equal(next_live(&rig, "f", "6"), FLOW_HELD_FIRST);
    rig_close(&rig);
}

/* Told in its place among what is held of the successor. */
static void test_too_large_for_the_successor(void **state)
{
    struct rig rig;

    open_two(&rig, PROFILE_CATCHUP_HTTP, 65536);
    live(&rig, "a", "1");
    flow_succeed(rig.flow);
    flow_missing(rig.flow, FLOW_SUCCESSOR);
    next_live(&rig, "c", "3");
    flow_missing(rig.flow, FLOW_SUCCESSOR);
    next_live(&rig, "e", "5");
    flow_switch(rig.flow);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "!a@1+ ? !c@3+ ? !e@5+ ");
    rig_close(&rig);
}

static void test_the_successors_hold_is_full(void **state)
{
    struct rig rig;

    open_two(&rig, PROFILE_CATCHUP_HTTP, 300);
    flow_succeed(rig.flow);
    assert_int_equal(next_live(&rig, "a", "1"), FLOW_HELD_FIRST);
    assert_int_equal(next_live(&rig, "b", "2"), FLOW_HELD_FULL);
    flow_hold(rig.flow);
    assert_true(page_of(&rig).owed);
    assert_int_equal(next_live(&rig, "c", "3"), FLOW_HELD_FIRST);
    rig_close(&rig);
    /* Without a sync it has to wait. */
    open_two(&rig, PROFILE_CATCHUP_URL, 300);
    flow_succeed(rig.flow);
    assert_int_equal(next_live(&rig, "a", "1"), FLOW_HELD_FIRST);
    assert_int_equal(next_live(&rig, "b", "2"), FLOW_AGAIN);
    flow_switch(rig.flow);
    flow_release(rig.flow);
    assert_int_equal(live(&rig, "b", "2"), FLOW_EMITTED);
    assert_log(&rig, "!a@1+ !b@2+ ");
    rig_close(&rig);
}

static void test_resets_end_it(void **state)
{
    struct rig rig;

    open_two(&rig, PROFILE_CATCHUP_URL, 65536);
    flow_succeed(rig.flow);
    next_live(&rig, "a", "1");
    flow_reset(rig.flow, slice_make(NULL, 0));
    assert_int_equal(stats_of(&rig).held_events, 0);
    assert_int_equal(next_live(&rig, "b", "2"), FLOW_DISCARDED);
    assert_int_equal(live(&rig, "a", "1"), FLOW_EMITTED);
    flow_succeed(rig.flow);
    flow_discard(rig.flow);
    assert_int_equal(next_live(&rig, "b", "2"), FLOW_DISCARDED);
    rig_close(&rig);
    /* A profile that allows one link only. */
    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    flow_switch(rig.flow);
    assert_int_equal(live(&rig, "a", "1"), FLOW_HELD_FIRST);
    rig_close(&rig);
}

/* Both links show the same unkeyed events. */
static void test_unkeyed_events_of_both(void **state)
{
    struct rig rig = {.profile = {.dedup = PROFILE_DEDUP_ID,
                                  .compare = PROFILE_COMPARE_INT,
                                  .connect.parallel = 2,
                                  .unkeyed_sync = true,
                                  .catchup.via = PROFILE_CATCHUP_HTTP}};

    rig_open_profile(&rig, 5000, 65536);
    flow_succeed(rig.flow);
    next_live(&rig, "a", "1");
    next_live(&rig, NULL, NULL); /* 2 */
    assert_int_equal(live(&rig, "a", "1"), FLOW_MET);
    assert_int_equal(live(&rig, NULL, NULL), FLOW_UNKEYED);
    item(&rig, "b", "2");
    assert_false(page_of(&rig).unkeyed);
    assert_int_equal(flow_release(rig.flow), 0);
    next_live(&rig, NULL, NULL); /* 3 */
    flow_switch(rig.flow);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_true(flow_unkeyed(rig.flow));
    item(&rig, "c", "3");
    assert_false(page_of(&rig).unkeyed);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_false(flow_unkeyed(rig.flow));
    assert_log(&rig, "!a@1+ b@2+ c@3+ ");
    rig_close(&rig);
}

/* An old event once more says nothing of the unkeyed one that came before it on the successor. */
static void test_unkeyed_before_an_old_event(void **state)
{
    const enum profile_compare compares[] = {PROFILE_COMPARE_INT, PROFILE_COMPARE_OPAQUE};

    for (unsigned i = 0; i < 2; i++) {
        struct rig rig = {.profile = {.dedup = PROFILE_DEDUP_ID,
                                      .compare = compares[i],
                                      .connect.parallel = 2,
                                      .unkeyed_sync = true,
                                      .catchup.via = PROFILE_CATCHUP_HTTP}};

        rig_open_profile(&rig, 5000, 65536);
        live(&rig, "old", "1");
        flow_succeed(rig.flow);
        next_live(&rig, "a", "2");
        next_live(&rig, NULL, NULL); /* 3 */
        next_live(&rig, "c", "4");
        next_live(&rig, "old", "1");
        assert_int_equal(live(&rig, "a", "2"), FLOW_MET);
        flow_switch(rig.flow);
        assert_int_equal(flow_release(rig.flow), 0);
        assert_true(flow_unkeyed(rig.flow));
        item(&rig, "b", "3");
        assert_false(page_of(&rig).unkeyed);
        assert_int_equal(flow_release(rig.flow), 0);
        assert_log(&rig, "!old@1+ !a@2+ b@3+ !c@4+ ");
        rig_close(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_link_meets_its_successor),
        cmocka_unit_test(test_the_successor_meets_the_link),
        cmocka_unit_test(test_the_link_is_far_ahead),
        cmocka_unit_test(test_met_by_a_repeat),
        cmocka_unit_test(test_sync_fills_the_cut),
        cmocka_unit_test(test_what_is_left_goes_first),
        cmocka_unit_test(test_too_large_for_the_successor),
        cmocka_unit_test(test_the_successors_hold_is_full),
        cmocka_unit_test(test_resets_end_it),
        cmocka_unit_test(test_unkeyed_events_of_both),
        cmocka_unit_test(test_unkeyed_before_an_old_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
