/* Handover: when it begins, what ends it, and each of its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

static void live(struct rig *rig, unsigned parallel)
{
    rig_init(rig);
    rig->profile.connect.parallel = parallel;
    rig->profile.heartbeat.ws_ping_ms = rig->profile.heartbeat.idle_ms = 0;
    rig->has_position = true;
    rig_start_live(rig);
    rig->now_ms += 60000;
}

/* Up to the accepted successor, which is then rig->link; the old one is returned. */
static uint64_t meeting(struct rig *rig)
{
    live(rig, 2);
    uint64_t old = rig->link;
    rig_rule(rig, PROFILE_RULE_HANDOVER, 0);
    assert_non_null(rig_did(rig, SESSION_DO_SUCCEED));
    assert_int_not_equal(rig->link, old);
    rig_do(rig, SESSION_EV_LINK_OPEN);
    rig_rule(rig, PROFILE_RULE_LIVE, 0);
    assert_int_equal(rig_state(rig), SESSION_LIVE);
    assert_null(rig_did(rig, SESSION_DO_SWITCH));
    return old;
}

static void met_switches_and_releases(void **state)
{
    struct rig rig;
    (void)state;
    uint64_t old = meeting(&rig);
    rig_do(&rig, SESSION_EV_MET);
    assert_int_equal(rig.out.count, 3);
    assert_int_equal(rig.out.item[0].kind, SESSION_DO_SWITCH);
    assert_int_equal(rig.out.item[0].link, rig.link);
    assert_int_equal(rig.out.item[1].kind, SESSION_DO_LINK_CLOSE);
    assert_int_equal(rig.out.item[1].link, old);
    assert_int_equal(rig.out.item[2].kind, SESSION_DO_RELEASE);
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
}

static void met_of_either_link_counts(void **state)
{
    struct rig rig;
    (void)state;
    uint64_t old = meeting(&rig), successor = rig.link;
    rig.link = successor + 7; /* of neither: nothing */
    rig_do(&rig, SESSION_EV_MET);
    assert_int_equal(rig.out.count, 0);
    rig.link = old;
    rig_do(&rig, SESSION_EV_MET);
    assert_non_null(rig_did(&rig, SESSION_DO_SWITCH));
}

static void ten_seconds_then_sync(void **state)
{
    struct rig rig;
    (void)state;
    meeting(&rig);
    int64_t since = rig.now_ms;
    rig.now_ms = since + SESSION_MEET_MS - 1;
    rig_do(&rig, SESSION_EV_TICK);
    assert_null(rig_did(&rig, SESSION_DO_SWITCH));
    rig.now_ms = since + SESSION_MEET_MS;
    rig_do(&rig, SESSION_EV_TICK);
    assert_non_null(rig_did(&rig, SESSION_DO_SWITCH));
    assert_null(rig_did(&rig, SESSION_DO_HOLD)); /* as it is: it has all since the link opened */
    assert_null(rig_did(&rig, SESSION_DO_RELEASE));
    assert_non_null(rig_did(&rig, SESSION_DO_HTTP_START));
    assert_int_equal(rig_state(&rig), SESSION_CATCHING_UP);
}

static void old_link_is_aborted_after_its_time(void **state)
{
    struct rig rig;
    (void)state;
    uint64_t old = meeting(&rig);
    rig_do(&rig, SESSION_EV_MET);
    int64_t by = rig.now_ms + SESSION_CLOSE_MS;
    rig.now_ms = by - 1;
    rig_do(&rig, SESSION_EV_TICK);
    assert_null(rig_did(&rig, SESSION_DO_LINK_ABORT));
    rig.now_ms = by;
    rig_do(&rig, SESSION_EV_TICK);
    assert_int_equal(rig_did(&rig, SESSION_DO_LINK_ABORT)->link, old);
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
}

static void old_links_end_after_the_switch_is_nothing(void **state)
{
    struct rig rig;
    (void)state;
    uint64_t old = meeting(&rig), successor = rig.link;
    rig_do(&rig, SESSION_EV_MET);
    rig.link = old;
    rig_close(&rig, 4004); /* whatever it says */
    assert_int_equal(rig.out.count, 0);
    rig.link = successor;
    rig_close(&rig, 1006);
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
}

/* A dial waits for both: the link that is lost, and the one that is on its way out. */
static void a_dial_waits_for_the_leaver(void **state)
{
    struct rig rig;
    (void)state;
    uint64_t old = meeting(&rig);
    rig_do(&rig, SESSION_EV_MET);
    rig_close(&rig, 1006); /* the new one */
    rig_run(&rig, rig.now_ms + SESSION_SPREAD_MS, true);
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
    rig.link = old;
    rig_close(&rig, 1001);
    assert_non_null(rig_did(&rig, SESSION_DO_DIAL));
}

static void a_link_that_is_not_calm_waits_a_step(void **state)
{
    struct rig rig;
    (void)state;
    live(&rig, 2);
    rig.now_ms -= 60000 - (SESSION_CALM_MS - 1);
    rig_rule(&rig, PROFILE_RULE_HANDOVER, 0);
    assert_null(rig_did(&rig, SESSION_DO_DIAL));
    rig_run(&rig, rig.now_ms + SESSION_SPREAD_MS, true);
    assert_non_null(rig_did(&rig, SESSION_DO_DIAL));
    live(&rig, 2);
    rig.now_ms -= 60000 - SESSION_CALM_MS;
    rig_rule(&rig, PROFILE_RULE_HANDOVER, 0);
    assert_non_null(rig_did(&rig, SESSION_DO_DIAL));
}

static void one_after_the_other_costs_no_step(void **state)
{
    struct rig rig;
    struct session_status status;
    (void)state;
    live(&rig, 1);
    rig_rule(&rig, PROFILE_RULE_HANDOVER, 0);
    assert_non_null(rig_did(&rig, SESSION_DO_LINK_CLOSE));
    assert_null(rig_did(&rig, SESSION_DO_DIAL)); /* not before it is gone */
    rig_close(&rig, 4001);                       /* how it then ends counts for nothing */
    assert_non_null(rig_did(&rig, SESSION_DO_DIAL));
    assert_null(rig_did(&rig, SESSION_DO_REFRESH));
    session_status(&rig.session, &status);
    assert_int_equal(status.attempts, 0);
}

static void without_leave_nothing_is_dialled(void **state)
{
    struct rig rig;
    struct session_status status;
    (void)state;
    live(&rig, 2);
    rig.withhold = true;
    rig_rule(&rig, PROFILE_RULE_HANDOVER, 0);
    assert_non_null(rig_did(&rig, SESSION_DO_ASK_SLOT));
    rig_run(&rig, rig.now_ms + 3600000, true);
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
    rig_do(&rig, SESSION_EV_SLOT);
    session_status(&rig.session, &status);
    assert_int_equal(status.successor, rig.link);
}

static void a_successor_that_does_not_greet_is_closed(void **state)
{
    struct rig rig;
    (void)state;
    live(&rig, 2);
    rig_rule(&rig, PROFILE_RULE_HANDOVER, 0);
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    int64_t by = rig.now_ms + rig.profile.live.timeout_ms;
    rig.now_ms = by - 1;
    rig_do(&rig, SESSION_EV_TICK);
    assert_null(rig_did(&rig, SESSION_DO_LINK_CLOSE));
    rig.now_ms = by;
    rig_do(&rig, SESSION_EV_TICK);
    assert_int_equal(rig_did(&rig, SESSION_DO_LINK_CLOSE)->link, rig.link);
    assert_non_null(rig_did(&rig, SESSION_DO_SAY));
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
}

static void max_age_is_spread_below_it(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct rig rig;
        rig_init(&rig);
        rig.seed = seed;
        rig.profile.connect.parallel = 2;
        rig.profile.connect.max_age_ms = 3600000;
        rig.profile.heartbeat.ws_ping_ms = rig.profile.heartbeat.idle_ms = 0;
        rig_start_live(&rig);
        while (rig_did(&rig, SESSION_DO_SUCCEED) == NULL)
            rig_tick(&rig);
        assert_in_range(rig.now_ms, 3240000, 3600000);
    }
}

static void full_hold_without_sync_dismisses_the_successor(void **state)
{
    struct rig rig;
    (void)state;
    live(&rig, 2);
    rig.profile.catchup.via = PROFILE_CATCHUP_URL;
    rig_rule(&rig, PROFILE_RULE_HANDOVER, 0);
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    rig_rule(&rig, PROFILE_RULE_LIVE, 0);
    rig_do(&rig, SESSION_EV_HELD_FULL);
    assert_int_equal(rig_did(&rig, SESSION_DO_LINK_CLOSE)->link, rig.link);
    assert_null(rig_did(&rig, SESSION_DO_DISCARD)); /* what the old link brings still counts */
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
}

/* A crash from here on is one during an attempt: the next life is to know. */
static void a_successor_that_becomes_the_link_is_an_attempt(void **state)
{
    struct session_saved saved;
    struct rig rig;
    (void)state;
    live(&rig, 2);
    uint64_t old = rig.link;
    rig_rule(&rig, PROFILE_RULE_HANDOVER, 0);
    uint64_t successor = rig.link;
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    rig.link = old;
    rig_close(&rig, 1001);
    rig.link = successor;
    assert_int_equal(rig_state(&rig), SESSION_GREETING);
    assert_non_null(rig_did(&rig, SESSION_DO_SAVE));
    session_save(&rig.session, rig.now_ms, &saved);
    assert_true(saved.dialled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(met_switches_and_releases),
        cmocka_unit_test(met_of_either_link_counts),
        cmocka_unit_test(ten_seconds_then_sync),
        cmocka_unit_test(old_link_is_aborted_after_its_time),
        cmocka_unit_test(old_links_end_after_the_switch_is_nothing),
        cmocka_unit_test(a_dial_waits_for_the_leaver),
        cmocka_unit_test(a_link_that_is_not_calm_waits_a_step),
        cmocka_unit_test(one_after_the_other_costs_no_step),
        cmocka_unit_test(without_leave_nothing_is_dialled),
        cmocka_unit_test(a_successor_that_does_not_greet_is_closed),
        cmocka_unit_test(max_age_is_spread_below_it),
        cmocka_unit_test(full_hold_without_sync_dismisses_the_successor),
        cmocka_unit_test(a_successor_that_becomes_the_link_is_an_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
