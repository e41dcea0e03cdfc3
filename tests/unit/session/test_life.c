/* Heartbeat, stop, pause, credentials, store, gaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

/* ---- heartbeat ---- */

static void F24_answered_pings_keep_a_quiet_link(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_run(&rig, 24 * 3600000, true);
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
}

static void F22_half_open_is_found(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_run(&rig, 24999, false);
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
    rig_tick(&rig);
    assert_int_equal(rig.now_ms, 25000); /* ping at 15 s, 10 s without a frame */
    assert_non_null(rig_did(&rig, SESSION_DO_LINK_ABORT));
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
    assert_non_null(
        strstr(rig_did(&rig, SESSION_DO_STATE)->text, "no answer to a ping for 10 s (half-open)"));
}

static void F22_frame_at_the_ping_itself_proves_nothing(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_tick(&rig);
    rig.rx_ms = 15000; /* read after the ping went out, but sent before it came */
    rig_run(&rig, 25000, false);
    assert_int_equal(rig_state(&rig), SESSION_WAITING);

    rig_init(&rig);
    rig_start_live(&rig);
    rig_tick(&rig);
    rig.rx_ms = 15001;
    rig_run(&rig, 25000, false);
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
}

static void F22_idle_without_pings(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.profile.heartbeat.ws_ping_ms = 0;
    rig_start_live(&rig);
    rig.rx_ms = 1000;
    rig_run(&rig, 45999, false);
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
    rig_tick(&rig);
    assert_int_equal(rig.now_ms, 46000);
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
}

/* A TICK so much later than the half-open deadline of 25 s. */
static enum session_state state_after_late_tick(int64_t late_ms, bool *pinged)
{
    struct rig rig;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_tick(&rig);
    rig.now_ms = 25000 + late_ms;
    rig_do(&rig, SESSION_EV_TICK);
    *pinged = rig_did(&rig, SESSION_DO_LINK_PING) != NULL;
    return rig_state(&rig);
}

static void F56_own_stall_kills_no_link(void **state)
{
    struct rig rig;
    bool pinged;
    (void)state;
    assert_int_equal(state_after_late_tick(SESSION_LATE_MS, &pinged), SESSION_WAITING);
    assert_int_equal(state_after_late_tick(SESSION_LATE_MS + 1, &pinged), SESSION_LIVE);
    assert_true(pinged);

    rig_init(&rig); /* but the link is dead all the same: found by the new ping */
    rig_start_live(&rig);
    rig.now_ms = 100000;
    rig_do(&rig, SESSION_EV_TICK);
    rig.now_ms = 130000;
    rig_do(&rig, SESSION_EV_TICK);
    assert_int_equal(rig_state(&rig), SESSION_LIVE); /* that one was late too */
    rig_tick(&rig);
    assert_int_equal(rig.now_ms, 140000);
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
}

static void no_ping_where_pings_are_forbidden(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.profile.heartbeat.ws_ping_ms = 0;
    rig_start_live(&rig);
    rig.now_ms = 100000;
    rig_do(&rig, SESSION_EV_TICK);
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
    assert_null(rig_did(&rig, SESSION_DO_LINK_PING));
}

/* ---- leaving ---- */

static void stop_waits_for_the_close(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.has_position = true;
    rig_start_live(&rig);
    rig_do(&rig, SESSION_EV_STOP);
    assert_int_equal(rig_did(&rig, SESSION_DO_LINK_CLOSE)->code, 1001);
    assert_int_not_equal(rig_state(&rig), SESSION_STOPPED);
    rig_close(&rig, 1001);
    assert_int_equal(rig_state(&rig), SESSION_STOPPED);
    assert_true(session_deadline_ms(&rig.session) == INT64_MAX);
}

static void stop_aborts_after_its_time(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_do(&rig, SESSION_EV_STOP);
    rig_run(&rig, SESSION_CLOSE_MS - 1, false);
    assert_int_not_equal(rig_state(&rig), SESSION_STOPPED);
    rig_tick(&rig);
    assert_int_equal(rig.now_ms, SESSION_CLOSE_MS);
    assert_non_null(rig_did(&rig, SESSION_DO_LINK_ABORT));
    assert_int_equal(rig_state(&rig), SESSION_STOPPED);
}

static void stop_overtakes_pause_and_says_one_gap(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_do(&rig, SESSION_EV_PAUSE);
    assert_int_equal(rig_did(&rig, SESSION_DO_GAP)->gap, SESSION_GAP_NO_POSITION);
    rig_do(&rig, SESSION_EV_STOP);
    assert_int_equal(rig.out.count, 0);
    rig_do(&rig, SESSION_EV_RESUME); /* too late */
    rig_close(&rig, 1001);
    assert_int_equal(rig_state(&rig), SESSION_STOPPED);
    rig_do(&rig, SESSION_EV_START);
    rig_do(&rig, SESSION_EV_RECONNECT);
    assert_int_equal(rig_state(&rig), SESSION_STOPPED);
}

static void resume_while_pausing(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_do(&rig, SESSION_EV_PAUSE);
    rig_do(&rig, SESSION_EV_RESUME);
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
    assert_null(rig_did(&rig, SESSION_DO_DIAL)); /* the old link still closes */
    rig_close(&rig, 1001);
    assert_int_equal(rig_state(&rig), SESSION_DIALING);
}

static void stop_while_dialing(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start(&rig);
    rig_do(&rig, SESSION_EV_STOP);
    assert_non_null(rig_did(&rig, SESSION_DO_LINK_ABORT));
    assert_int_equal(rig_state(&rig), SESSION_STOPPED);
}

/* ---- credentials ---- */

static void refresh_then_dial_by_backoff(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_close(&rig, 4001);
    assert_non_null(rig_did(&rig, SESSION_DO_REFRESH));
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
    int64_t wait = rig_did(&rig, SESSION_DO_STATE)->retry_ms;
    rig_do(&rig, SESSION_EV_CREDENTIAL);
    assert_int_equal(session_deadline_ms(&rig.session), rig.now_ms + wait);
    rig_tick(&rig);
    assert_int_equal(rig_state(&rig), SESSION_DIALING);
}

static void refresh_has_a_deadline(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_close(&rig, 4001);
    rig_tick(&rig);
    assert_int_equal(rig.now_ms, SESSION_REFRESH_MS);
    assert_int_equal(rig_state(&rig), SESSION_DIALING);
}

static void F13_second_refresh_in_a_row_parks(void **state)
{
    struct profile_end end = fake_status(401, -1);
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start(&rig);
    rig_end(&rig, SESSION_EV_LINK_FAILED, &end);
    rig_do(&rig, SESSION_EV_CREDENTIAL);
    rig_tick(&rig);
    rig_end(&rig, SESSION_EV_LINK_FAILED, &end);
    assert_int_equal(rig_state(&rig), SESSION_PARKED);
    assert_null(rig_did(&rig, SESSION_DO_REFRESH));
    rig_do(&rig, SESSION_EV_CREDENTIAL); /* a changed file wakes it */
    assert_int_equal(rig_state(&rig), SESSION_DIALING);
    rig_end(&rig, SESSION_EV_LINK_FAILED, &end); /* and is worth a refresh of its own */
    assert_non_null(rig_did(&rig, SESSION_DO_REFRESH));
}

static void F37_mere_101_is_not_having_been_live(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.profile.live.by_rule = false;
    rig_start_live(&rig);
    rig_close(&rig, 4001);
    rig_do(&rig, SESSION_EV_CREDENTIAL);
    rig_tick(&rig);
    rig_live(&rig);
    rig_run(&rig, rig.now_ms + SESSION_CALM_MS - 1, true);
    rig_close(&rig, 4001);
    assert_int_equal(rig_state(&rig), SESSION_PARKED);

    rig_do(&rig, SESSION_EV_RECONNECT);
    rig_live(&rig);
    rig_close(&rig, 4001);
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
    rig_do(&rig, SESSION_EV_CREDENTIAL);
    rig_tick(&rig);
    rig_live(&rig);
    rig_run(&rig, rig.now_ms + SESSION_CALM_MS, true);
    rig_close(&rig, 4001);
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
}

static void credential_cuts_only_rests_about_credentials(void **state)
{
    struct profile_end refused = fake_status(403, -1), tls = fake_failure(PROFILE_FAILURE_TLS);
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start(&rig);
    rig_end(&rig, SESSION_EV_LINK_FAILED, &refused);
    assert_int_equal(rig_state(&rig), SESSION_HELD);
    rig_do(&rig, SESSION_EV_CREDENTIAL);
    assert_int_equal(rig_state(&rig), SESSION_DIALING);
    rig_end(&rig, SESSION_EV_LINK_FAILED, &tls);
    assert_int_equal(rig_state(&rig), SESSION_HELD);
    rig_do(&rig, SESSION_EV_CREDENTIAL);
    assert_int_equal(rig_state(&rig), SESSION_HELD);
    rig_do(&rig, SESSION_EV_RECONNECT); /* the operator may everything */
    assert_int_equal(rig_state(&rig), SESSION_DIALING);
}

/* ---- store ---- */

static void F47_stalled_store_closes_and_waits(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.profile.connect.close_code = 1000;
    rig_start_live(&rig);
    rig_do(&rig, SESSION_EV_STORE_STALLED);
    assert_int_equal(rig_did(&rig, SESSION_DO_LINK_CLOSE)->code, 1001);
    assert_null(rig_did(&rig, SESSION_DO_GAP)); /* nothing can be stored now */
    assert_int_equal(rig_state(&rig), SESSION_STALLED);
    rig_close(&rig, 1001);
    rig_do(&rig, SESSION_EV_RECONNECT);
    assert_int_equal(rig_state(&rig), SESSION_STALLED);
    rig_do(&rig, SESSION_EV_STORE_READY);
    assert_int_equal(rig_did(&rig, SESSION_DO_GAP)->gap, SESSION_GAP_NO_POSITION);
    assert_int_equal(rig_state(&rig), SESSION_DIALING);
    rig_do(&rig, SESSION_EV_STORE_READY);
    assert_int_equal(rig.out.count, 0); /* said once */
    struct session_status status;
    session_status(&rig.session, &status);
    assert_int_equal(status.attempts, 0);
}

static void stalled_store_position_as_on_disk(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_do(&rig, SESSION_EV_STORE_STALLED);
    rig_close(&rig, 1001);
    rig.has_position = true;
    rig_do(&rig, SESSION_EV_STORE_READY);
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    assert_non_null(rig_did(&rig, SESSION_DO_HOLD));
}

static void a_first_position_that_the_store_lost_is_a_gap(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_do(&rig, SESSION_EV_POSITION);
    rig_do(&rig, SESSION_EV_STORE_STALLED);
    rig_close(&rig, 1001);
    rig_do(&rig, SESSION_EV_STORE_READY); /* nothing on disk */
    assert_int_equal(rig_did(&rig, SESSION_DO_GAP)->gap, SESSION_GAP_NO_POSITION);
    /* That gap can be lost in the same way. */
    rig_do(&rig, SESSION_EV_STORE_STALLED);
    rig_do(&rig, SESSION_EV_STORE_READY);
    assert_int_equal(rig_did(&rig, SESSION_DO_GAP)->gap, SESSION_GAP_NO_POSITION);
    rig_live(&rig);
    rig_do(&rig, SESSION_EV_POSITION);
    rig_do(&rig, SESSION_EV_STORE_STALLED);
    rig_close(&rig, 1001);
    rig.has_position = true;
    rig_do(&rig, SESSION_EV_STORE_READY);
    assert_null(rig_did(&rig, SESSION_DO_GAP));
}

static void stalled_store_keeps_waits_and_parks(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_close(&rig, 1006);
    rig_do(&rig, SESSION_EV_STORE_STALLED);
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
    rig_tick(&rig);
    assert_int_equal(rig_state(&rig), SESSION_STALLED); /* instead of dialing */
    rig_do(&rig, SESSION_EV_STORE_READY);
    rig_live(&rig);
    rig_close(&rig, 4004);
    rig_do(&rig, SESSION_EV_STORE_STALLED);
    rig_tick(&rig);
    assert_int_equal(rig_state(&rig), SESSION_PARKED); /* a probe can wait */
    rig_do(&rig, SESSION_EV_STORE_READY);
    assert_int_equal(rig_state(&rig), SESSION_PARKED);
    rig_tick(&rig);
    assert_int_equal(rig_state(&rig), SESSION_DIALING);
}

static void store_that_stalls_while_stopping(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_do(&rig, SESSION_EV_STOP);
    rig_do(&rig, SESSION_EV_STORE_STALLED);
    assert_int_equal(rig.out.count, 0);
    rig_close(&rig, 1001);
    assert_int_equal(rig_state(&rig), SESSION_STOPPED);
}

/* ---- gaps ---- */

static void no_resume_is_said_at_the_next_live(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.profile.catchup.via = PROFILE_CATCHUP_NONE;
    rig_start(&rig);
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    rig_rule(&rig, PROFILE_RULE_LIVE, 0);
    assert_null(rig_did(&rig, SESSION_DO_GAP)); /* the first run misses nothing */
    rig_close(&rig, 1006);
    assert_null(rig_did(&rig, SESSION_DO_GAP));
    rig_tick(&rig);
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    rig_rule(&rig, PROFILE_RULE_LIVE, 0);
    assert_int_equal(rig_did(&rig, SESSION_DO_GAP)->gap, SESSION_GAP_NO_RESUME);
}

static void no_resume_after_a_restart(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.profile.catchup.via = PROFILE_CATCHUP_NONE;
    rig.profile.live.by_rule = false;
    rig.lived = true; /* and has no position, as where events carry none */
    rig_start(&rig);
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
    assert_int_equal(rig_did(&rig, SESSION_DO_GAP)->gap, SESSION_GAP_NO_RESUME);
}

static void no_position_after_a_restart(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.lived = true;
    rig_start_live(&rig);
    assert_int_equal(rig_did(&rig, SESSION_DO_GAP)->gap, SESSION_GAP_NO_POSITION);
    rig_init(&rig);
    rig.lived = rig.has_position = true;
    rig_start(&rig);
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    rig_rule(&rig, PROFILE_RULE_LIVE, 0);
    assert_int_equal(rig_state(&rig), SESSION_CATCHING_UP);
    rig_page(&rig, (struct session_page){.reached_hold = true});
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
    assert_null(rig_did(&rig, SESSION_DO_GAP));
}

static void no_resume_needs_something_before(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.profile.catchup.via = PROFILE_CATCHUP_NONE;
    rig.profile.live.by_rule = false;
    rig_start(&rig);
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
    assert_null(rig_did(&rig, SESSION_DO_GAP));
}

static void position_learnt_live_needs_no_gap(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_do(&rig, SESSION_EV_POSITION);
    rig_close(&rig, 1006);
    assert_null(rig_did(&rig, SESSION_DO_GAP));
    rig_tick(&rig);
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    assert_non_null(rig_did(&rig, SESSION_DO_HOLD));
}

/* ---- the rest ---- */

static void F12_greeting_has_a_deadline(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start(&rig);
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    rig_tick(&rig);
    assert_int_equal(rig.now_ms, 10000);
    assert_non_null(rig_did(&rig, SESSION_DO_LINK_CLOSE));
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
    rig_tick(&rig); /* the backoff is over, but the old link has not closed */
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
    rig_tick(&rig);
    assert_int_equal(rig.now_ms, 10000 + SESSION_CLOSE_MS);
    assert_int_equal(rig.out.item[0].kind, SESSION_DO_LINK_ABORT);
    assert_int_equal(rig.out.item[1].kind, SESSION_DO_ASK_SLOT);
    assert_int_equal(rig.out.item[2].kind, SESSION_DO_DIAL);
}

static void rules_end_links(void **state)
{
    static const struct {
        enum profile_rule_kind kind;
        int64_t delay_ms;
        enum session_state state;
    } rows[] = {
        {PROFILE_RULE_RECONNECT, 7000, SESSION_WAITING},
        {PROFILE_RULE_REFRESH, 0, SESSION_WAITING},
        {PROFILE_RULE_HOLD, 60000, SESSION_HELD},
        {PROFILE_RULE_PARK, 0, SESSION_PARKED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        rig_init(&rig);
        rig_start_live(&rig);
        rig_rule(&rig, rows[i].kind, rows[i].delay_ms);
        assert_int_equal(rig_state(&rig), rows[i].state);
        assert_non_null(rig_did(&rig, SESSION_DO_LINK_CLOSE));
        assert_true(rig_did(&rig, SESSION_DO_STATE)->retry_ms >= rows[i].delay_ms);
        rig_close(&rig, 4004); /* its end was decided before */
        assert_int_equal(rig_state(&rig), rows[i].state);
    }
}

static void events_of_old_links_are_ignored(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    uint64_t old = rig.link;
    rig_close(&rig, 1006);
    rig_tick(&rig);
    rig_live(&rig);
    uint64_t link = rig.link;
    rig.link = old;
    rig_close(&rig, 4004);
    rig_rule(&rig, PROFILE_RULE_PARK, 0);
    assert_int_equal(rig.out.count, 0);
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
    rig.link = link;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F24_answered_pings_keep_a_quiet_link),
        cmocka_unit_test(F22_half_open_is_found),
        cmocka_unit_test(F22_frame_at_the_ping_itself_proves_nothing),
        cmocka_unit_test(F22_idle_without_pings),
        cmocka_unit_test(F56_own_stall_kills_no_link),
        cmocka_unit_test(no_ping_where_pings_are_forbidden),
        cmocka_unit_test(stop_waits_for_the_close),
        cmocka_unit_test(stop_aborts_after_its_time),
        cmocka_unit_test(stop_overtakes_pause_and_says_one_gap),
        cmocka_unit_test(resume_while_pausing),
        cmocka_unit_test(stop_while_dialing),
        cmocka_unit_test(refresh_then_dial_by_backoff),
        cmocka_unit_test(refresh_has_a_deadline),
        cmocka_unit_test(F13_second_refresh_in_a_row_parks),
        cmocka_unit_test(F37_mere_101_is_not_having_been_live),
        cmocka_unit_test(credential_cuts_only_rests_about_credentials),
        cmocka_unit_test(F47_stalled_store_closes_and_waits),
        cmocka_unit_test(stalled_store_position_as_on_disk),
        cmocka_unit_test(a_first_position_that_the_store_lost_is_a_gap),
        cmocka_unit_test(stalled_store_keeps_waits_and_parks),
        cmocka_unit_test(store_that_stalls_while_stopping),
        cmocka_unit_test(no_resume_is_said_at_the_next_live),
        cmocka_unit_test(no_resume_after_a_restart),
        cmocka_unit_test(no_position_after_a_restart),
        cmocka_unit_test(no_resume_needs_something_before),
        cmocka_unit_test(position_learnt_live_needs_no_gap),
        cmocka_unit_test(F12_greeting_has_a_deadline),
        cmocka_unit_test(rules_end_links),
        cmocka_unit_test(events_of_old_links_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
