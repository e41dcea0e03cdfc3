/* Unkeyed events: sync's copy is stored, and the link's own only where sync has none. */
#include "unit/flow/rig.h"

static void open_unkeyed(struct rig *rig, enum profile_compare compare)
{
    *rig = (struct rig){.profile = {.dedup = PROFILE_DEDUP_ID,
                                    .compare = compare,
                                    .unkeyed_sync = true,
                                    .catchup.via = PROFILE_CATCHUP_HTTP}};
    rig_open_profile(rig, 5000, 262144);
}

static void test_the_copy_of_sync_is_stored(void **state)
{
    struct rig rig;

    open_unkeyed(&rig, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    assert_int_equal(live(&rig, NULL, NULL), FLOW_UNKEYED);
    assert_true(flow_unkeyed(rig.flow));
    assert_int_equal(live(&rig, "c", "3"), FLOW_HELD);
    flow_page_begin(rig.flow);
    assert_true(page_of(&rig).unkeyed);
    item(&rig, "b", "2");
    assert_false(page_of(&rig).unkeyed);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_false(flow_unkeyed(rig.flow));
    assert_log(&rig, "!a@1+ b@2+ !c@3+ ");
    assert_int_equal(stats_of(&rig).unkeyed, 0);
    rig_close(&rig);
}

static void test_what_is_held_itself_is_no_copy(void **state)
{
    struct rig rig;

    open_unkeyed(&rig, PROFILE_COMPARE_OPAQUE);
    live(&rig, "a", "p1");
    assert_int_equal(live(&rig, NULL, NULL), FLOW_UNKEYED);
    live(&rig, "c", "p3");
    assert_int_equal(live(&rig, NULL, NULL), FLOW_HELD);
    item(&rig, "b", "p2");
    item(&rig, "c", "p3");
    assert_true(page_of(&rig).unkeyed);                 /* one is still missing */
    assert_int_equal(live(&rig, "c", "p3"), FLOW_HELD); /* it says where it stands */
    item(&rig, "d", "p4");
    assert_false(page_of(&rig).unkeyed);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_false(flow_unkeyed(rig.flow));
    assert_log(&rig, "!a@p1+ b@p2+ c@p3+ d@p4+ ");
    rig_close(&rig);
}

/* Too large for the link, not for sync: its copy is not that of the unkeyed event behind it. */
static void test_what_was_too_large_has_a_copy_too(void **state)
{
    struct rig rig;

    open_unkeyed(&rig, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    flow_missing(rig.flow, FLOW_LINK);
    assert_int_equal(live(&rig, NULL, NULL), FLOW_UNKEYED);
    live(&rig, "d", "4");
    item(&rig, "b", "2");
    assert_true(page_of(&rig).unkeyed); /* it lags behind the link */
    item(&rig, "c", "3");
    assert_false(page_of(&rig).unkeyed);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "!a@1+ ? b@2+ c@3+ !d@4+ ");
    rig_close(&rig);
}

/* Broken on the link, and whole in sync: that is not the copy of the unkeyed event behind it. */
static void test_what_was_broken_has_a_copy_too(void **state)
{
    struct profile_message broken = message_of(NULL, NULL);
    struct rig rig;

    broken.json = false;
    broken.fault = "no JSON";
    open_unkeyed(&rig, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    assert_int_equal(live(&rig, NULL, NULL), FLOW_UNKEYED); /* 2 */
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &broken, SLICE("{\"c"), false, 0),
                     FLOW_HELD);
    assert_int_equal(live(&rig, NULL, NULL), FLOW_HELD); /* 4 */
    assert_int_equal(live(&rig, "e", "5"), FLOW_HELD);
    item(&rig, "b", "2");
    item(&rig, "c", "3");
    assert_int_equal(flow_release(rig.flow), 0);
    assert_true(flow_unkeyed(rig.flow));
    item(&rig, "d", "4");
    assert_int_equal(flow_release(rig.flow), 0);
    assert_false(flow_unkeyed(rig.flow));
    assert_log(&rig, "!a@1+ b@2+ c@3+ ! d@4+ !e@5+ ");
    rig_close(&rig);
}

static void test_sync_brings_nothing(void **state)
{
    struct rig rig;

    open_unkeyed(&rig, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    assert_int_equal(live(&rig, NULL, NULL), FLOW_UNKEYED);
    assert_int_equal(live(&rig, NULL, NULL), FLOW_HELD);
    live(&rig, "d", "4");
    item(&rig, "b", "2"); /* of the first, not of the second */
    assert_true(page_of(&rig).unkeyed);
    flow_unkeyed_keep(rig.flow);
    rig.refuse_at = 1;
    assert_int_equal(flow_release(rig.flow), ERR_AGAIN);
    assert_int_equal(live(&rig, NULL, NULL), FLOW_HELD); /* came too late to be kept */
    assert_int_equal(flow_release(rig.flow), 0);
    assert_true(flow_unkeyed(rig.flow));
    assert_log(&rig, "!a@1+ b@2+ ! !d@4+ ");
    assert_int_equal(stats_of(&rig).unkeyed, 1);
    item(&rig, "e", "5");
    assert_false(page_of(&rig).unkeyed);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "e@5+ ");
    rig_close(&rig);
}

/* Sync has been faster than the link. */
static void test_the_copy_came_before(void **state)
{
    struct rig rig;

    open_unkeyed(&rig, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    assert_int_equal(live(&rig, NULL, NULL), FLOW_UNKEYED);
    item(&rig, "b", "2");
    item(&rig, "c", "3");
    item(&rig, "d", "4");
    assert_false(page_of(&rig).unkeyed);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_int_equal(live(&rig, "c", "3"), FLOW_DUPLICATE);
    assert_int_equal(live(&rig, NULL, NULL), FLOW_DUPLICATE); /* d */
    assert_int_equal(live(&rig, NULL, NULL), FLOW_UNKEYED);
    assert_log(&rig, "!a@1+ b@2+ c@3+ d@4+ ");
    rig_close(&rig);
}

static void test_within_a_catch_up(void **state)
{
    struct rig rig;

    open_unkeyed(&rig, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    flow_hold(rig.flow);
    assert_int_equal(live(&rig, "e", "5"), FLOW_HELD_FIRST);
    assert_int_equal(live(&rig, NULL, NULL), FLOW_HELD); /* f */
    assert_int_equal(live(&rig, "g", "7"), FLOW_HELD);
    assert_int_equal(live(&rig, NULL, NULL), FLOW_HELD); /* h */
    assert_false(flow_unkeyed(rig.flow));
    item(&rig, "b", "2");
    item(&rig, "e", "5");
    assert_true(page_of(&rig).reached_hold);
    /* b was missed; it is no copy of f. */
    assert_int_equal(flow_release(rig.flow), 0);
    assert_true(flow_unkeyed(rig.flow));
    item(&rig, "f", "6");
    item(&rig, "g", "7");
    assert_true(page_of(&rig).unkeyed);
    item(&rig, "h", "8");
    assert_false(page_of(&rig).unkeyed);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_false(flow_unkeyed(rig.flow));
    assert_log(&rig, "!a@1+ b@2+ e@5+ f@6+ g@7+ h@8+ ");
    rig_close(&rig);
}

/* Sync has gone beyond it without a copy. */
static void test_passed_over_it_is_stored_in_its_place(void **state)
{
    struct rig rig;

    open_unkeyed(&rig, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    flow_hold(rig.flow);
    live(&rig, "b", "2");
    live(&rig, NULL, NULL);
    live(&rig, "c", "3");
    item(&rig, "b", "2");
    item(&rig, "c", "3");
    assert_int_equal(flow_release(rig.flow), 0);
    assert_false(flow_unkeyed(rig.flow));
    assert_log(&rig, "!a@1+ b@2+ c@3+ ! ");
    assert_int_equal(stats_of(&rig).unkeyed, 1);
    rig_close(&rig);
}

/* The link ended while it was held: an empty page does not mean that nothing is missing. */
static void test_it_is_owed(void **state)
{
    struct rig rig;

    open_unkeyed(&rig, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    live(&rig, NULL, NULL);
    live(&rig, "c", "3");
    live(&rig, NULL, NULL);
    flow_hold(rig.flow);
    assert_true(page_of(&rig).owed);
    item(&rig, "b", "2");
    item(&rig, "c", "3");
    assert_true(page_of(&rig).owed);
    item(&rig, "d", "4");
    assert_false(page_of(&rig).owed);
    flow_discard(rig.flow);
    live(&rig, NULL, NULL);
    assert_true(page_of(&rig).owed);
    rig_close(&rig);
}

static void test_others_pass(void **state)
{
    struct profile_message message = message_of(NULL, NULL);
    struct rig rig;

    open_unkeyed(&rig, PROFILE_COMPARE_INT);
    message.snapshot = true;
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, message.data, false, 0),
                     FLOW_EMITTED);
    assert_true(rig.last.snapshot);
    message = message_of(NULL, NULL); /* no JSON: sync has no copy of it */
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, SLICE("\x01"), true, 0),
                     FLOW_EMITTED);
    assert_false(page_of(&rig).unkeyed);
    message.ephemeral = true;
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, message.data, false, 0),
                     FLOW_EMITTED);
    rig_close(&rig);
    /* Without a sync to ask, or with unkeyed = store. */
    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    assert_int_equal(live(&rig, NULL, NULL), FLOW_EMITTED);
    rig_close(&rig);
    rig = (struct rig){.profile.unkeyed_sync = true};
    rig_open_profile(&rig, 16, 4096);
    assert_int_equal(live(&rig, NULL, NULL), FLOW_EMITTED);
    rig_close(&rig);
    /* One that does not fit into the hold. */
    rig = (struct rig){.profile = {.unkeyed_sync = true, .catchup.via = PROFILE_CATCHUP_HTTP}};
    rig_open_profile(&rig, 16, 100);
    assert_int_equal(live(&rig, NULL, NULL), FLOW_EMITTED);
    assert_int_equal(stats_of(&rig).unkeyed, 1);
    rig_close(&rig);
}

/* As many items as are remembered, and one more. */
static void test_bound_of_what_is_ahead(void **state)
{
    for (int more = 0; more < 2; more++) {
        struct rig rig;
        char id[16];

        open_unkeyed(&rig, PROFILE_COMPARE_OPAQUE);
        live(&rig, "a", "p");
        assert_int_equal(live(&rig, NULL, NULL), FLOW_UNKEYED);
        for (int i = 0; i < FLOW_AHEAD_MAX + more; i++) {
            snprintf(id, sizeof id, "x%d", i);
            item(&rig, id, id);
            rig.log[0] = '\0';
        }
        assert_int_equal(page_of(&rig).unkeyed, false);
        assert_int_equal(flow_release(rig.flow), 0);
        /* Of too many it is not known which is its copy: sync is asked once more. */
        assert_int_equal(flow_unkeyed(rig.flow), more == 1);
        rig_close(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_copy_of_sync_is_stored),
        cmocka_unit_test(test_what_is_held_itself_is_no_copy),
        cmocka_unit_test(test_what_was_too_large_has_a_copy_too),
        cmocka_unit_test(test_what_was_broken_has_a_copy_too),
        cmocka_unit_test(test_sync_brings_nothing),
        cmocka_unit_test(test_the_copy_came_before),
        cmocka_unit_test(test_within_a_catch_up),
        cmocka_unit_test(test_passed_over_it_is_stored_in_its_place),
        cmocka_unit_test(test_it_is_owed),
        cmocka_unit_test(test_others_pass),
        cmocka_unit_test(test_bound_of_what_is_ahead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
