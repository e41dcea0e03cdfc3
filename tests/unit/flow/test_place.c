/* What is held and has no key: its place is what the link has around it, also in a catch-up. */
#include "unit/flow/rig.h"

/* A message without id and position. */
static enum flow_result loose(struct rig *rig)
{
    return live(rig, NULL, NULL);
}

static void test_what_has_no_key_keeps_its_place(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    flow_reset(rig.flow, SLICE("100"));
    flow_hold(rig.flow);
    assert_int_equal(loose(&rig), FLOW_HELD_FIRST);
    assert_int_equal(loose(&rig), FLOW_HELD);
    live(&rig, "x", "103");
    loose(&rig);
    live(&rig, "y", "104");
    loose(&rig);
    live(&rig, "z", "106");
    loose(&rig);
    flow_page_begin(rig.flow);
    item(&rig, "a", "101");
    item(&rig, "b", "102");
    assert_log(&rig, "a@101+ b@102+ ");
    assert_int_equal(item(&rig, "x", "103"), FLOW_EMITTED);
    assert_log(&rig, "! ! x@103+ "); /* the link began with them, and sync has come to the link */
    item(&rig, "y", "104");
    assert_log(&rig, "! y@104+ ");
    item(&rig, "c", "105"); /* the link does not have it */
    assert_log(&rig, "! c@105+ ");
    assert_true(page_of(&rig).reached_hold);
    assert_int_equal(stats_of(&rig).held_events, 2);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "!z@106+ ! ");
    assert_int_equal(stats_of(&rig).duplicates, 2);
    assert_int_equal(stats_of(&rig).held_bytes, 0);
    rig_close(&rig);
}

/* Its position would say that all before it is there. */
static void test_what_sync_may_still_bring_is_not_overtaken(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    flow_reset(rig.flow, SLICE("100"));
    flow_hold(rig.flow);
    live(&rig, "x", "102");
    loose(&rig);
    live(&rig, "late", "106");
    loose(&rig);
    live(&rig, "y", "103");
    flow_page_begin(rig.flow);
    item(&rig, "x", "102");
    item(&rig, "y", "103");
    item(&rig, "c", "104");
    assert_log(&rig, "x@102+ ! y@103+ c@104+ ");
    assert_position(&rig, "104");
    item(&rig, "late", "106");
    item(&rig, "d", "107"); /* now what stands behind it goes out, and y is known */
    assert_log(&rig, "late@106+ ! d@107+ ");
    assert_int_equal(stats_of(&rig).held_events, 0);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "");
    rig_close(&rig);
}

/* The item comes again with what went before it out already. */
static void test_making_way_waits_for_room(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_OPAQUE);
    flow_reset(rig.flow, SLICE("p0"));
    flow_hold(rig.flow);
    loose(&rig);
    loose(&rig);
    live(&rig, "x", "p2");
    flow_page_begin(rig.flow);
    rig.refuse_at = 2;
    assert_int_equal(item(&rig, "x", "p2"), FLOW_AGAIN);
    assert_log(&rig, "! ");
    assert_false(page_of(&rig).reached_hold);
    assert_int_equal(item(&rig, "x", "p2"), FLOW_EMITTED);
    assert_log(&rig, "! x@p2+ ");
    assert_true(page_of(&rig).reached_hold);
    /* What is known moves nothing, and what comes now follows it. */
    item(&rig, "y", "p3");
    loose(&rig);
    assert_position(&rig, "p3");
    item(&rig, "z", "p4");
    assert_log(&rig, "y@p3+ ! z@p4+ ");
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "");
    assert_position(&rig, "p4");
    rig_close(&rig);
}

/* A hold begun anew knows nothing of the one before; a repeat of old events says nothing of it. */
static void test_a_new_hold_makes_no_way(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    flow_hold(rig.flow);
    live(&rig, "x", "3");
    flow_page_begin(rig.flow);
    item(&rig, "x", "3");
    item(&rig, "x", "3");
    flow_hold(rig.flow);
    loose(&rig);
    assert_int_equal(live(&rig, "a", "1"), FLOW_DUPLICATE);
    item(&rig, "y", "4");
    assert_log(&rig, "!a@1+ x@3+ y@4+ ");
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "! ");
    flow_hold(rig.flow);
    loose(&rig);
    item(&rig, "z", "5");
    assert_log(&rig, "z@5+ ");
    rig_close(&rig);
}

/* Sync has what the link could not bring: nothing that came behind it goes out before it. */
static void test_what_is_missing_makes_way(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    flow_reset(rig.flow, SLICE("1"));
    flow_hold(rig.flow);
    flow_missing(rig.flow, FLOW_LINK);
    loose(&rig);
    live(&rig, "x", "3");
    flow_missing(rig.flow, FLOW_LINK);
    loose(&rig);
    loose(&rig);
    live(&rig, "y", "5");
    flow_page_begin(rig.flow);
    item(&rig, "missing", "2");
    assert_log(&rig, "missing@2+ ");
    item(&rig, "x", "3");
    item(&rig, "missing too", "4");
    assert_log(&rig, "? ! x@3+ ? missing too@4+ ");
    item(&rig, "y", "5");
    item(&rig, "z", "6");
    assert_log(&rig, "! ! y@5+ z@6+ ");
    flow_missing(rig.flow, FLOW_LINK); /* nothing is held */
    loose(&rig);
    live(&rig, "v", "8");
    item(&rig, "missing again", "7");
    assert_log(&rig, "missing again@7+ ");
    item(&rig, "v", "8");
    assert_log(&rig, "? ! v@8+ ");
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "");
    rig_close(&rig);
}

/* What is left of the link before goes first, and the successor's begins where sync comes to it. */
static void test_two_links(void **state)
{
    struct rig rig = {.profile = {.dedup = PROFILE_DEDUP_ID,
                                  .compare = PROFILE_COMPARE_INT,
                                  .connect.parallel = 2,
                                  .catchup.via = PROFILE_CATCHUP_HTTP}};

    rig_open_profile(&rig, 1000, 65536);
    flow_reset(rig.flow, SLICE("1"));
    flow_hold(rig.flow);
    loose(&rig);
    live(&rig, "x", "3");
    flow_succeed(rig.flow);
    next_live(&rig, NULL, NULL);
    next_live(&rig, "z", "6");
    next_live(&rig, NULL, NULL);
    flow_switch(rig.flow);
    flow_page_begin(rig.flow);
    item(&rig, "b", "2");
    assert_log(&rig, "b@2+ ");
    item(&rig, "x", "3");
    item(&rig, "d", "4");
    item(&rig, "e", "5");
    assert_false(page_of(&rig).reached_hold);
    assert_log(&rig, "! x@3+ d@4+ e@5+ ");
    item(&rig, "z", "6");
    assert_true(page_of(&rig).reached_hold);
    assert_log(&rig, "! z@6+ ");
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "! ");
    rig_close(&rig);
}

/* The link before had nothing that sync could come to. */
static void test_loose_ones_are_left(void **state)
{
    struct rig rig = {.profile = {.dedup = PROFILE_DEDUP_ID,
                                  .compare = PROFILE_COMPARE_INT,
                                  .connect.parallel = 2,
                                  .catchup.via = PROFILE_CATCHUP_HTTP}};

    rig_open_profile(&rig, 1000, 65536);
    flow_reset(rig.flow, SLICE("1"));
    flow_hold(rig.flow);
    flow_missing(rig.flow, FLOW_LINK);
    loose(&rig);
    flow_succeed(rig.flow);
    next_live(&rig, NULL, NULL);
    next_live(&rig, "z", "6");
    flow_switch(rig.flow);
    flow_page_begin(rig.flow);
    item(&rig, "b", "2");
    item(&rig, "z", "6");
    assert_log(&rig, "b@2+ ? ! ! z@6+ ");
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "");
    rig_close(&rig);
}

/* The link that was has brought what its successor's hold begins with. */
static void test_the_lead_is_known_already(void **state)
{
    struct rig rig = {.profile = {.dedup = PROFILE_DEDUP_ID,
                                  .compare = PROFILE_COMPARE_INT,
                                  .connect.parallel = 2,
                                  .catchup.via = PROFILE_CATCHUP_HTTP}};

    rig_open_profile(&rig, 1000, 65536);
    flow_succeed(rig.flow);
    next_live(&rig, "x", "3");
    next_live(&rig, NULL, NULL);
    next_live(&rig, "z", "6");
    live(&rig, "x", "3");
    flow_switch(rig.flow);
    flow_page_begin(rig.flow);
    item(&rig, "d", "4");
    assert_log(&rig, "!x@3+ ! d@4+ ");
    item(&rig, "z", "6");
    assert_true(page_of(&rig).reached_hold);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "z@6+ ");
    rig_close(&rig);
}

/* Sync was asked about what comes before the first that was held, and that is gone. */
static void test_a_hole_behind_what_went_out_is_asked_about(void **state)
{
    struct rig rig = {.profile = {.dedup = PROFILE_DEDUP_ID,
                                  .compare = PROFILE_COMPARE_INT,
                                  .position.contiguous = true,
                                  .catchup.via = PROFILE_CATCHUP_HTTP}};

    rig_open_profile(&rig, 1000, 65536);
    flow_reset(rig.flow, SLICE("1"));
    flow_hold(rig.flow);
    live(&rig, "c", "3");
    live(&rig, "f", "6");
    flow_page_begin(rig.flow);
    item(&rig, "b", "2");
    item(&rig, "c", "3");
    item(&rig, "c", "3");
    assert_true(page_of(&rig).reached_hold);
    assert_int_equal(stats_of(&rig).held_events, 1);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_true(flow_hole(rig.flow));
    flow_page_begin(rig.flow);
    assert_false(page_of(&rig).reached_hold);
    assert_log(&rig, "b@2+ c@3+ ");
    assert_int_equal(flow_release(rig.flow), 0); /* it does not bring what is missing */
    assert_log(&rig, "?3-6 !f@6+ ");
    rig_close(&rig);
}

/* Its own place is told by what sync has around it, at the release. */
static void test_unkeyed_ones_that_sync_has(void **state)
{
    struct rig rig = {.profile = {.dedup = PROFILE_DEDUP_ID,
                                  .compare = PROFILE_COMPARE_INT,
                                  .unkeyed_sync = true,
                                  .catchup.via = PROFILE_CATCHUP_HTTP}};

    rig_open_profile(&rig, 1000, 65536);
    flow_reset(rig.flow, SLICE("1"));
    flow_hold(rig.flow);
    loose(&rig);
    live(&rig, "x", "3");
    flow_page_begin(rig.flow);
    item(&rig, "b", "2");
    item(&rig, "x", "3");
    assert_log(&rig, "b@2+ x@3+ ");
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, ""); /* it was b */
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_has_no_key_keeps_its_place),
        cmocka_unit_test(test_what_sync_may_still_bring_is_not_overtaken),
        cmocka_unit_test(test_making_way_waits_for_room),
        cmocka_unit_test(test_a_new_hold_makes_no_way),
        cmocka_unit_test(test_what_is_missing_makes_way),
        cmocka_unit_test(test_two_links),
        cmocka_unit_test(test_loose_ones_are_left),
        cmocka_unit_test(test_the_lead_is_known_already),
        cmocka_unit_test(test_a_hole_behind_what_went_out_is_asked_about),
        cmocka_unit_test(test_unkeyed_ones_that_sync_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
