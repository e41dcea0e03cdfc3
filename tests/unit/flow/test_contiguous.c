/* Contiguous positions: a hole is healed where sync can, else said in its place. */
#include "unit/flow/rig.h"

static void open_contiguous(struct rig *rig, enum profile_catchup_via via)
{
    *rig = (struct rig){.profile = {.dedup = PROFILE_DEDUP_ID,
                                    .compare = PROFILE_COMPARE_INT,
                                    .position.contiguous = true,
                                    .catchup.via = via}};
    rig_open_profile(rig, 5000, 65536);
}

static enum flow_result keyed(struct rig *rig, const char *key, const char *position)
{
    struct profile_message message = message_of(NULL, position);
    char id[64];

    snprintf(id, sizeof id, "%s-%s", key, position);
    message.id = slice_str(id);
    message.key = slice_str(key);
    return flow_message(rig->flow, FLOW_LINK, &message, message.data, false, 0);
}

static void test_a_hole_holds_until_sync_has_brought_it(void **state)
{
    struct rig rig;

    open_contiguous(&rig, PROFILE_CATCHUP_HTTP);
    assert_int_equal(live(&rig, "a", "10"), FLOW_EMITTED);
    assert_int_equal(live(&rig, "b", "11"), FLOW_EMITTED);
    assert_int_equal(live(&rig, "e", "14"), FLOW_HOLE);
    assert_int_equal(live(&rig, "f", "15"), FLOW_HELD);
    assert_resume(&rig, "11");
    flow_page_begin(rig.flow);
    assert_false(page_of(&rig).reached_hold);
    assert_int_equal(item(&rig, "c", "12"), FLOW_EMITTED);
    assert_int_equal(item(&rig, "d", "13"), FLOW_EMITTED);
    assert_false(page_of(&rig).reached_hold);
    assert_int_equal(item(&rig, "e", "14"), FLOW_EMITTED);
    assert_true(page_of(&rig).reached_hold);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_false(flow_hole(rig.flow));
    assert_log(&rig, "!a@10+ !b@11+ c@12+ d@13+ e@14+ !f@15+ ");
    assert_int_equal(live(&rig, "c", "12"), FLOW_DUPLICATE); /* old: no hole */
    assert_int_equal(live(&rig, "x", "9"), FLOW_EMITTED);
    rig_close(&rig);
}

static void test_what_sync_has_not_is_said_once(void **state)
{
    struct rig rig;

    open_contiguous(&rig, PROFILE_CATCHUP_HTTP);
    live(&rig, "a", "10");
    assert_int_equal(live(&rig, "e", "14"), FLOW_HOLE);
    rig.refuse_at = 1;
    assert_int_equal(flow_release(rig.flow), ERR_AGAIN); /* sync was asked, and had nothing */
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "!a@10+ ?10-14 !e@14+ ");
    /* In sync's own items. */
    flow_hold(rig.flow);
    rig.refuse_at = 1;
    assert_int_equal(item(&rig, "h", "17"), FLOW_AGAIN);
    assert_int_equal(item(&rig, "h", "17"), FLOW_EMITTED);
    assert_int_equal(item(&rig, "i", "18"), FLOW_EMITTED);
    assert_log(&rig, "?14-17 h@17+ i@18+ ");
    rig_close(&rig);
}

static void test_a_hole_within_what_is_held_is_asked_about(void **state)
{
    struct rig rig;

    open_contiguous(&rig, PROFILE_CATCHUP_HTTP);
    live(&rig, "a", "10");
    flow_hold(rig.flow);
    live(&rig, "b", "11");
    live(&rig, "d", "13");
    live(&rig, "g", "16");
    item(&rig, "b", "11");
    assert_true(page_of(&rig).reached_hold);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_false(flow_releasing(rig.flow));
    assert_true(flow_hole(rig.flow));
    assert_int_equal(live(&rig, "h", "17"), FLOW_HELD);
    flow_page_begin(rig.flow);
    item(&rig, "c", "12");
    assert_false(page_of(&rig).reached_hold);
    item(&rig, "d", "13");
    assert_true(page_of(&rig).reached_hold);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_true(flow_hole(rig.flow)); /* the next one */
    assert_int_equal(flow_release(rig.flow), 0);
    assert_false(flow_hole(rig.flow));
    assert_log(&rig, "!a@10+ b@11+ c@12+ d@13+ ?13-16 !g@16+ !h@17+ ");
    rig_close(&rig);
}

static void test_where_sync_cannot_be_asked_it_is_said_at_once(void **state)
{
    static const enum profile_catchup_via vias[] = {PROFILE_CATCHUP_NONE, PROFILE_CATCHUP_URL,
                                                    PROFILE_CATCHUP_SESSION};

    for (size_t i = 0; i < 3; i++) {
        struct rig rig;

        open_contiguous(&rig, vias[i]);
        live(&rig, "a", "1");
        rig.refuse_at = 1;
        assert_int_equal(live(&rig, "c", "3"), FLOW_AGAIN);
        assert_int_equal(live(&rig, "c", "3"), FLOW_EMITTED);
        assert_int_equal(live(&rig, "d", "4"), FLOW_EMITTED);
        assert_log(&rig, "!a@1+ ?1-3 !c@3+ !d@4+ ");
        rig_close(&rig);
    }
}

static void test_a_message_larger_than_the_hold_passes(void **state)
{
    struct rig rig = {.profile = {.dedup = PROFILE_DEDUP_ID,
                                  .compare = PROFILE_COMPARE_INT,
                                  .position.contiguous = true,
                                  .catchup.via = PROFILE_CATCHUP_HTTP}};

    rig_open_profile(&rig, 16, 100);
    live(&rig, "a", "1");
    assert_int_equal(live(&rig, "c", "3"), FLOW_EMITTED);
    assert_log(&rig, "!a@1+ ?1-3 !c@3+ ");
    rig_close(&rig);
}

static void test_each_key_has_its_own(void **state)
{
    struct rig rig;
    char name[16];

    open_contiguous(&rig, PROFILE_CATCHUP_NONE);
    keyed(&rig, "k", "10");
    keyed(&rig, "l", "50");
    keyed(&rig, "k", "11");
    keyed(&rig, "l", "52");
    assert_log(&rig, "!k-10@10+ !l-50@50+ !k-11@11 ?50-52 !l-52@52+ ");
    /* With "k" and "l" just as many as are remembered. */
    for (int i = 2; i < FLOW_SEQUENCES_MAX; i++) {
        snprintf(name, sizeof name, "n%d", i);
        keyed(&rig, name, "1");
    }
    rig.log[0] = '\0';
    keyed(&rig, "k", "13"); /* used again: "l" is the oldest now */
    assert_log(&rig, "?11-13 !k-13@13 ");
    keyed(&rig, "one more", "1");
    rig.log[0] = '\0';
    keyed(&rig, "l", "99"); /* forgotten: begins anew */
    keyed(&rig, "k", "15");
    assert_log(&rig, "!l-99@99+ ?13-15 !k-15@15 ");
    rig_close(&rig);
}

static void test_positions_that_are_no_count(void **state)
{
    struct rig rig;

    open_contiguous(&rig, PROFILE_CATCHUP_NONE);
    live(&rig, "a", "18446744073709551615");
    assert_string_equal(rig.last_malformed, "");
    live(&rig, "b", "18446744073709551616");
    assert_non_null(strstr(rig.last_malformed, "2^64"));
    flow_reset(rig.flow, SLICE("7")); /* as on disk: the count goes on */
    rig.log[0] = '\0';
    live(&rig, "c", "9");
    assert_log(&rig, "?7-9 !c@9+ ");
    flow_forget(rig.flow);
    live(&rig, "d", "20");
    assert_log(&rig, "!d@20+ ");
    rig_close(&rig);
}

/* In doubt the very next position proves itself; nothing else does, a position of one key alone
 * least of all. */
static void test_in_doubt_only_what_follows_passes(void **state)
{
    struct rig rig;

    open_contiguous(&rig, PROFILE_CATCHUP_HTTP);
    assert_int_equal(live(&rig, "a", "10"), FLOW_EMITTED);
    flow_doubt(rig.flow, true);
    assert_int_equal(live(&rig, "b", "11"), FLOW_FOLLOWS);
    assert_int_equal(live(&rig, "c", "12"), FLOW_EMITTED); /* the doubt is over */
    flow_doubt(rig.flow, true);
    assert_int_equal(live(&rig, "e", "14"), FLOW_DOUBT);
    item(&rig, "d", "13");
    item(&rig, "e", "14");
    assert_true(page_of(&rig).reached_hold);
    assert_int_equal(flow_release(rig.flow), 0);
    flow_doubt(rig.flow, true);
    assert_int_equal(live(&rig, "late", "9"), FLOW_DOUBT);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "!a@10+ !b@11+ !c@12+ d@13+ e@14+ !late@9 ");
    rig_close(&rig);

    open_contiguous(&rig, PROFILE_CATCHUP_HTTP);
    assert_int_equal(keyed(&rig, "x", "1"), FLOW_EMITTED);
    flow_doubt(rig.flow, true);
    assert_int_equal(keyed(&rig, "x", "2"), FLOW_DOUBT);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hole_holds_until_sync_has_brought_it),
        cmocka_unit_test(test_what_sync_has_not_is_said_once),
        cmocka_unit_test(test_a_hole_within_what_is_held_is_asked_about),
        cmocka_unit_test(test_where_sync_cannot_be_asked_it_is_said_at_once),
        cmocka_unit_test(test_a_message_larger_than_the_hold_passes),
        cmocka_unit_test(test_each_key_has_its_own),
        cmocka_unit_test(test_positions_that_are_no_count),
        cmocka_unit_test(test_in_doubt_only_what_follows_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
