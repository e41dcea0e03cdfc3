/* Fallback: when it is taken, how it is paced, and how often the WebSocket is tried meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

static void prepare(struct rig *rig, unsigned parallel)
{
    rig_init(rig);
    rig->profile.connect.parallel = parallel;
    rig->profile.heartbeat.ws_ping_ms = rig->profile.heartbeat.idle_ms = 0;
    rig->profile.fallback.exists = true;
    rig->profile.fallback.name = "other";
    rig->profile.fallback.after = 3;
    rig->profile.fallback.retry_primary_ms = 60000;
    rig->has_position = true;
}

static void fail_link(struct rig *rig)
{
    struct profile_end end = fake_failure(PROFILE_FAILURE_TCP);
    rig_end(rig, SESSION_EV_LINK_FAILED, &end);
}

static void polling(struct rig *rig, unsigned parallel)
{
    prepare(rig, parallel);
    rig_start(rig);
    for (unsigned i = 1; i < 3; i++) {
        fail_link(rig);
        assert_int_equal(rig_state(rig), SESSION_WAITING);
        rig_tick(rig);
        assert_non_null(rig_did(rig, SESSION_DO_DIAL));
    }
    fail_link(rig);
    assert_int_equal(rig_state(rig), SESSION_POLLING);
    assert_non_null(rig_did(rig, SESSION_DO_FALLBACK_START));
}

static void after_so_many_attempts(void **state)
{
    struct rig rig;
    (void)state;
    polling(&rig, 1); /* two are not enough, three are */
}

static void after_zero_is_by_policy_only(void **state)
{
    struct rig rig;
    struct profile_end end = fake_status(426, -1);
    (void)state;
    prepare(&rig, 1);
    rig.profile.fallback.after = 0;
    rig_start(&rig);
    for (unsigned i = 0; i < 20; i++) {
        fail_link(&rig);
        assert_int_equal(rig_state(&rig), SESSION_WAITING);
        rig_tick(&rig);
    }
    rig_end(&rig, SESSION_EV_LINK_FAILED, &end);
    assert_int_equal(rig_state(&rig), SESSION_POLLING);
}

static void a_page_that_brings_something_is_followed_at_once(void **state)
{
    struct rig rig;
    (void)state;
    polling(&rig, 1);
    int64_t sent = rig.now_ms;
    rig.now_ms += 10;
    rig_page(&rig, (struct session_page){.items = 1, .fresh = 1});
    assert_non_null(rig_did(&rig, SESSION_DO_FALLBACK_START));
    assert_null(rig_did(&rig, SESSION_DO_ASK_SLOT)); /* it follows another */
    sent = rig.now_ms;
    rig.now_ms += 10;
    rig_page(&rig, (struct session_page){.items = 3, .more = true}); /* nothing new in it */
    assert_null(rig_did(&rig, SESSION_DO_FALLBACK_START));
    assert_int_equal(session_deadline_ms(&rig.session), sent + SESSION_POLL_MS);
    rig.now_ms = sent + SESSION_POLL_MS - 1;
    rig_do(&rig, SESSION_EV_TICK);
    assert_null(rig_did(&rig, SESSION_DO_FALLBACK_START));
    rig.now_ms++;
    rig_do(&rig, SESSION_EV_TICK);
    assert_non_null(rig_did(&rig, SESSION_DO_FALLBACK_START));
}

static void a_long_poll_that_was_long_is_followed_at_once(void **state)
{
    struct rig rig;
    (void)state;
    polling(&rig, 1);
    rig.now_ms += SESSION_POLL_MS;
    rig_page(&rig, (struct session_page){0});
    assert_non_null(rig_did(&rig, SESSION_DO_FALLBACK_START));
}

static void the_cursor_of_an_empty_page_is_used(void **state)
{
    struct rig rig;
    (void)state;
    polling(&rig, 1);
    rig.now_ms += SESSION_POLL_MS;
    rig_page(&rig, (struct session_page){.more = true, .has_next = true});
    assert_true(rig_did(&rig, SESSION_DO_FALLBACK_START)->use_next);
}

/* Doubling from retry_primary to a quarter of an hour, each time up to a tenth more. */
static void the_primary_is_tried_ever_more_seldom(void **state)
{
    struct rig rig;
    (void)state;
    polling(&rig, 1);
    int64_t wait = 60000;
    for (int i = 0; i < 8; i++) {
        int64_t since = rig.now_ms;
        rig_do(&rig, SESSION_EV_FALLBACK_OPEN);
        while (rig_did(&rig, SESSION_DO_DIAL) == NULL)
            rig_tick(&rig);
        assert_non_null(rig_did(&rig, SESSION_DO_HTTP_CANCEL)); /* parallel = 1 */
        assert_in_range(rig.now_ms - since, wait, wait + wait / 10);
        fail_link(&rig);
        assert_int_equal(rig_state(&rig), SESSION_POLLING);
        wait = wait * 2 < PROFILE_RETRY_PRIMARY_MAX_MS ? wait * 2 : PROFILE_RETRY_PRIMARY_MAX_MS;
    }
}

static void beside_it_ends_when_the_link_is_accepted(void **state)
{
    struct rig rig;
    struct session_status status;
    (void)state;
    polling(&rig, 2);
    rig_do(&rig, SESSION_EV_FALLBACK_OPEN);
    session_status(&rig.session, &status);
    assert_true(status.fallback);
    uint64_t request = rig.request;
    while (rig_did(&rig, SESSION_DO_DIAL) == NULL)
        rig_tick(&rig);
    assert_null(rig_did(&rig, SESSION_DO_HTTP_CANCEL));
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    assert_non_null(rig_did(&rig, SESSION_DO_HOLD)); /* before anything of the link passes */
    assert_int_equal(rig_state(&rig), SESSION_POLLING);
    rig_rule(&rig, PROFILE_RULE_LIVE, 0);
    assert_int_equal(rig.out.item[0].kind, SESSION_DO_HTTP_CANCEL);
    assert_int_equal(rig.out.item[0].request, request);
    assert_int_equal(rig_state(&rig), SESSION_CATCHING_UP);
    session_status(&rig.session, &status);
    assert_false(status.fallback);
}

/* What is believed of a fallback takes as long as of a link. */
static void its_failures_back_off_until_it_has_lived(void **state)
{
    struct rig rig;
    struct profile_end end = fake_failure(PROFILE_FAILURE_HTTP);
    (void)state;
    polling(&rig, 1);
    rig_end(&rig, SESSION_EV_FALLBACK_ENDED, &end);
    assert_in_range(session_deadline_ms(&rig.session) - rig.now_ms, 0, SESSION_SPREAD_MS);
    rig_tick(&rig);
    rig_do(&rig, SESSION_EV_FALLBACK_OPEN);
    rig.now_ms += SESSION_CALM_MS - 1;
    rig_end(&rig, SESSION_EV_FALLBACK_ENDED, &end);
    assert_in_range(session_deadline_ms(&rig.session) - rig.now_ms, 800, 1200);
    rig_tick(&rig);
    rig_do(&rig, SESSION_EV_FALLBACK_OPEN);
    rig.now_ms += SESSION_CALM_MS;
    rig_end(&rig, SESSION_EV_FALLBACK_ENDED, &end);
    assert_in_range(session_deadline_ms(&rig.session) - rig.now_ms, 0, SESSION_SPREAD_MS);
}

static void the_link_is_gone_before_it_opens(void **state)
{
    struct rig rig;
    (void)state;
    prepare(&rig, 1);
    rig.profile.fallback.after = 1;
    rig_start(&rig);
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    rig_tick(&rig); /* not accepted in time */
    assert_non_null(rig_did(&rig, SESSION_DO_LINK_CLOSE));
    assert_int_equal(rig_state(&rig), SESSION_POLLING);
    assert_null(rig_did(&rig, SESSION_DO_ASK_SLOT));
    rig_tick(&rig); /* nor gone in time */
    assert_int_equal(rig.out.item[0].kind, SESSION_DO_LINK_ABORT);
    assert_non_null(rig_did(&rig, SESSION_DO_FALLBACK_START));
}

static void primary_works(struct rig *rig)
{
    while (rig_did(rig, SESSION_DO_DIAL) == NULL)
        rig_tick(rig);
    rig_do(rig, SESSION_EV_LINK_OPEN);
    rig_rule(rig, PROFILE_RULE_LIVE, 0);
    rig_page(rig, (struct session_page){0});
    assert_int_equal(rig_state(rig), SESSION_LIVE);
}

static void live_for_long_starts_the_count_anew(void **state)
{
    struct rig rig;
    (void)state;
    polling(&rig, 2);
    rig_do(&rig, SESSION_EV_FALLBACK_OPEN);
    primary_works(&rig);
    rig.now_ms += rig.profile.backoff.reset_after_ms - 1;
    rig_close(&rig, 1006);
    assert_int_equal(rig_state(&rig), SESSION_POLLING); /* one more without enough life */
    rig_do(&rig, SESSION_EV_FALLBACK_OPEN);
    primary_works(&rig);
    rig.now_ms += rig.profile.backoff.reset_after_ms;
    rig_close(&rig, 1006);
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_so_many_attempts),
        cmocka_unit_test(after_zero_is_by_policy_only),
        cmocka_unit_test(a_page_that_brings_something_is_followed_at_once),
        cmocka_unit_test(a_long_poll_that_was_long_is_followed_at_once),
        cmocka_unit_test(the_cursor_of_an_empty_page_is_used),
        cmocka_unit_test(the_primary_is_tried_ever_more_seldom),
        cmocka_unit_test(beside_it_ends_when_the_link_is_accepted),
        cmocka_unit_test(its_failures_back_off_until_it_has_lived),
        cmocka_unit_test(the_link_is_gone_before_it_opens),
        cmocka_unit_test(live_for_long_starts_the_count_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
