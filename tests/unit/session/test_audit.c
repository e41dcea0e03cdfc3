/* What a live link leaves out: audits, unkeyed events, holes, positions too old; at their bounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

#define AUDIT_MS 60000

static const struct session_page known = {.items = 3}, suspect = {.items = 3, .suspects = 1},
                                 found = {.items = 3, .found = 1};

static void live(struct rig *rig)
{
    rig_init(rig);
    rig->profile.heartbeat.ws_ping_ms = rig->profile.heartbeat.idle_ms = 0;
    rig->profile.catchup.audit_ms = AUDIT_MS;
    rig->has_position = true;
    rig_start_live(rig);
    assert_non_null(rig_did(rig, SESSION_DO_AUDITED)); /* a catch-up leaves all whole */
}

static void wait_for_audit(struct rig *rig)
{
    do
        rig_tick(rig);
    while (rig_did(rig, SESSION_DO_HTTP_START) == NULL);
    assert_int_equal(rig_did(rig, SESSION_DO_HTTP_START)->purpose, SESSION_FOR_AUDIT);
}

static void an_audit_comes_in_its_time(void **state)
{
    struct rig rig;
    (void)state;
    live(&rig);
    int64_t since = rig.now_ms;
    wait_for_audit(&rig);
    assert_in_range(rig.now_ms - since, AUDIT_MS, AUDIT_MS + AUDIT_MS / 10);
    rig_page(&rig, known);
    assert_non_null(rig_did(&rig, SESSION_DO_AUDITED));
    since = rig.now_ms;
    wait_for_audit(&rig);
    assert_in_range(rig.now_ms - since, AUDIT_MS, AUDIT_MS + AUDIT_MS / 10);
}

static void suspects_are_asked_again_so_often(void **state)
{
    struct rig rig;
    (void)state;
    live(&rig);
    wait_for_audit(&rig);
    for (unsigned i = 0; i < SESSION_AUDIT_AGAIN; i++) {
        int64_t since = rig.now_ms;
        rig_page(&rig, suspect);
        wait_for_audit(&rig);
        assert_int_equal(rig.now_ms - since, SESSION_SUSPECT_MS);
    }
    int64_t since = rig.now_ms;
    rig_page(&rig, suspect); /* enough: not whole, and not a loop */
    assert_null(rig_did(&rig, SESSION_DO_AUDITED));
    wait_for_audit(&rig);
    assert_true(rig.now_ms - since >= AUDIT_MS);
}

static void pages_of_one_audit_are_bounded(void **state)
{
    struct rig rig;
    (void)state;
    live(&rig);
    wait_for_audit(&rig);
    for (unsigned i = 1; i < SESSION_AUDIT_PAGES; i++) {
        rig_page(&rig, (struct session_page){.items = 500, .more = true});
        assert_non_null(rig_did(&rig, SESSION_DO_HTTP_START));
    }
    rig_page(&rig, (struct session_page){.items = 500, .more = true});
    assert_null(rig_did(&rig, SESSION_DO_HTTP_START));
    assert_null(rig_did(&rig, SESSION_DO_AUDITED));
}

static void two_findings_in_a_row_reconnect(void **state)
{
    struct rig rig;
    (void)state;
    live(&rig);
    wait_for_audit(&rig);
    rig_page(&rig, found);
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
    wait_for_audit(&rig);
    rig_page(&rig, known); /* not in a row */
    wait_for_audit(&rig);
    rig_page(&rig, found);
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
    wait_for_audit(&rig);
    rig_page(&rig, found);
    assert_non_null(rig_did(&rig, SESSION_DO_SAY));
    assert_non_null(rig_did(&rig, SESSION_DO_LINK_CLOSE));
    rig_close(&rig, 1001);
    assert_non_null(rig_did(&rig, SESSION_DO_DIAL)); /* without backoff */
}

static void half_a_window_is_time_for_one(void **state)
{
    struct rig rig;
    (void)state;
    live(&rig);
    rig_do(&rig, SESSION_EV_WINDOW_HALF);
    assert_int_equal(session_deadline_ms(&rig.session), rig.now_ms);
    wait_for_audit(&rig);
    rig_do(&rig, SESSION_EV_WINDOW_HALF); /* one is under way */
    assert_int_equal(rig.out.count, 0);
}

static void unkeyed_events_end_an_audit_and_it_comes_again(void **state)
{
    struct rig rig;
    (void)state;
    live(&rig);
    wait_for_audit(&rig);
    rig_do(&rig, SESSION_EV_UNKEYED);
    assert_non_null(rig_did(&rig, SESSION_DO_HTTP_CANCEL));
    assert_int_equal(rig_did(&rig, SESSION_DO_HTTP_START)->purpose, SESSION_FOR_CATCHUP);
    rig_page(&rig, (struct session_page){.items = 1, .fresh = 1});
    assert_non_null(rig_did(&rig, SESSION_DO_RELEASE));
    wait_for_audit(&rig);
}

static void unkeyed_events_wait_five_seconds(void **state)
{
    struct rig rig;
    (void)state;
    live(&rig);
    int64_t by = rig.now_ms + SESSION_UNKEYED_MS;
    rig_do(&rig, SESSION_EV_UNKEYED);
    assert_null(rig_did(&rig, SESSION_DO_HOLD)); /* flow holds already */
    rig_do(&rig, SESSION_EV_UNKEYED);            /* one request for all of them */
    assert_int_equal(rig.out.count, 0);
    rig.now_ms = by - 1;
    rig_do(&rig, SESSION_EV_TICK);
    assert_null(rig_did(&rig, SESSION_DO_UNKEYED_KEEP));
    rig.now_ms = by;
    rig_do(&rig, SESSION_EV_TICK);
    assert_int_equal(rig.out.item[0].kind, SESSION_DO_HTTP_CANCEL);
    assert_int_equal(rig.out.item[1].kind, SESSION_DO_UNKEYED_KEEP);
    assert_int_equal(rig.out.item[2].kind, SESSION_DO_RELEASE);
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
}

static void unkeyed_events_without_a_position_are_kept_at_once(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_do(&rig, SESSION_EV_UNKEYED);
    assert_int_equal(rig.out.item[0].kind, SESSION_DO_UNKEYED_KEEP);
    assert_int_equal(rig.out.item[1].kind, SESSION_DO_RELEASE);
}

static void a_hole_before_we_are_accepted_waits_for_the_catch_up(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start(&rig);
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    rig_do(&rig, SESSION_EV_POSITION);
    rig_do(&rig, SESSION_EV_HOLE);
    assert_int_equal(rig.out.count, 0);
    rig_rule(&rig, PROFILE_RULE_LIVE, 0);
    assert_null(rig_did(&rig, SESSION_DO_HOLD));
    assert_int_equal(rig_state(&rig), SESSION_CATCHING_UP);
}

static bool forgets_after(int64_t away_ms)
{
    struct rig rig;
    rig_init(&rig);
    rig.profile.position.max_age_ms = 3600000;
    rig.has_position = true;
    rig_start_live(&rig);
    rig_do(&rig, SESSION_EV_PAUSE);
    rig_close(&rig, 1001);
    rig.now_ms += away_ms;
    rig_do(&rig, SESSION_EV_RESUME);
    assert_non_null(rig_did(&rig, SESSION_DO_DIAL));
    return rig_did(&rig, SESSION_DO_FORGET) != NULL;
}

static void a_position_is_good_for_its_time(void **state)
{
    (void)state;
    assert_false(forgets_after(3600000));
    assert_true(forgets_after(3600001));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_audit_comes_in_its_time),
        cmocka_unit_test(suspects_are_asked_again_so_often),
        cmocka_unit_test(pages_of_one_audit_are_bounded),
        cmocka_unit_test(two_findings_in_a_row_reconnect),
        cmocka_unit_test(half_a_window_is_time_for_one),
        cmocka_unit_test(unkeyed_events_end_an_audit_and_it_comes_again),
        cmocka_unit_test(unkeyed_events_wait_five_seconds),
        cmocka_unit_test(unkeyed_events_without_a_position_are_kept_at_once),
        cmocka_unit_test(a_hole_before_we_are_accepted_waits_for_the_catch_up),
        cmocka_unit_test(a_position_is_good_for_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
