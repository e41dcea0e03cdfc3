/* Catch-up: what releases the hold and what does not, each at its bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

static const struct session_page empty,
    page_new = {.items = 2, .fresh = 2}, page_known = {.items = 2},
    page_more = {.items = 2, .fresh = 2, .more = true}, page_stale = {.items = 2, .more = true};

static void catching_up(struct rig *rig, bool held)
{
    rig_init(rig);
    rig->has_position = true;
    rig_start(rig);
    rig_do(rig, SESSION_EV_LINK_CONNECTED);
    rig_do(rig, SESSION_EV_LINK_OPEN);
    assert_int_equal(rig->out.item[0].kind, SESSION_DO_HOLD); /* before anything passes */
    if (held)
        rig_do(rig, SESSION_EV_HELD_FIRST);
    rig_rule(rig, PROFILE_RULE_LIVE, 0);
    assert_int_equal(rig_state(rig), SESSION_CATCHING_UP);
    assert_non_null(rig_did(rig, SESSION_DO_HTTP_START));
}

static void assert_released(const struct rig *rig)
{
    assert_int_equal(rig_state(rig), SESSION_LIVE);
    assert_non_null(rig_did(rig, SESSION_DO_RELEASE));
}

static void nothing_held_one_empty_answer(void **state)
{
    struct rig rig;
    (void)state;
    catching_up(&rig, false);
    rig_page(&rig, page_more);
    assert_non_null(rig_did(&rig, SESSION_DO_HTTP_START));
    rig_page(&rig, page_new); /* items, so once more, at once */
    assert_non_null(rig_did(&rig, SESSION_DO_HTTP_START));
    rig_page(&rig, empty);
    assert_released(&rig);
}

static void nothing_held_known_items_only(void **state)
{
    struct rig rig;
    (void)state;
    catching_up(&rig, false); /* a service whose since is inclusive never answers empty */
    rig_page(&rig, page_known);
    assert_released(&rig);
}

static void reached_hold_releases_even_with_more(void **state)
{
    struct rig rig;
    (void)state;
    catching_up(&rig, true);
    rig_page(&rig,
             (struct session_page){.items = 3, .fresh = 3, .more = true, .reached_hold = true});
    assert_released(&rig);
}

static void held_waits_for_settle_and_one_more(void **state)
{
    struct rig rig;
    (void)state;
    catching_up(&rig, true);
    int64_t settle = rig.profile.catchup.settle_ms;
    rig_page(&rig, empty); /* quiet since now */
    int64_t quiet = rig.now_ms;
    unsigned asked = 0;
    while (rig_state(&rig) == SESSION_CATCHING_UP) {
        rig_tick(&rig);
        assert_int_equal(rig.now_ms, quiet + (int64_t)(asked + 1) * SESSION_ASK_MS);
        rig_page(&rig, empty);
        asked++;
    }
    assert_int_equal(asked, settle / SESSION_ASK_MS);
    assert_released(&rig);
}

static void request_sent_before_settle_does_not_count(void **state)
{
    struct rig rig;
    (void)state;
    catching_up(&rig, true);
    rig_page(&rig, empty);
    rig_tick(&rig);
    rig.now_ms += 60000; /* its answer takes a minute */
    rig.rx_ms = rig.now_ms;
    rig_page(&rig, empty);
    assert_int_equal(rig_state(&rig), SESSION_CATCHING_UP);
    rig_run(&rig, rig.now_ms + SESSION_ASK_MS, true);
    rig_page(&rig, empty);
    assert_released(&rig);
}

static void anything_new_restarts_settle(void **state)
{
    struct rig rig;
    (void)state;
    catching_up(&rig, true);
    rig_page(&rig, empty);
    for (int i = 0; i < 9; i++) {
        rig_tick(&rig);
        rig_page(&rig, empty);
    }
    rig_tick(&rig);
    rig_page(&rig, page_new);
    for (int i = 0; i < 11; i++) {
        assert_int_equal(rig_state(&rig), SESSION_CATCHING_UP);
        rig_tick(&rig);
        rig_page(&rig, empty);
    }
    assert_released(&rig);
}

static void stale_pages_are_paced(void **state)
{
    struct rig rig;
    (void)state;
    catching_up(&rig, false);
    for (int i = 1; i < SESSION_STALE_PAGES; i++) {
        rig_page(&rig, page_stale);
        assert_non_null(rig_did(&rig, SESSION_DO_HTTP_START));
    }
    rig_page(&rig, page_stale); /* the bound: not believed any more */
    assert_null(rig_did(&rig, SESSION_DO_HTTP_START));
    assert_int_equal(session_deadline_ms(&rig.session), rig.now_ms + SESSION_ASK_MS);
    while (rig_state(&rig) == SESSION_CATCHING_UP) {
        assert_null(rig_did(&rig, SESSION_DO_GAP));
        rig_tick(&rig);
        rig_page(&rig, page_stale);
    }
    assert_released(&rig);
    assert_int_equal(rig.now_ms, rig.profile.catchup.settle_ms);
    assert_int_equal(rig_did(&rig, SESSION_DO_GAP)->gap, SESSION_GAP_UPSTREAM);
}

static void one_new_event_restores_belief(void **state)
{
    struct rig rig;
    (void)state;
    catching_up(&rig, false);
    for (int i = 0; i < SESSION_STALE_PAGES; i++)
        rig_page(&rig, page_stale);
    rig_tick(&rig);
    rig_page(&rig, page_more);
    assert_non_null(rig_did(&rig, SESSION_DO_HTTP_START));
    rig_page(&rig, page_stale);
    assert_non_null(rig_did(&rig, SESSION_DO_HTTP_START));
}

static void owed_events_are_waited_for(void **state)
{
    struct rig rig;
    (void)state;
    catching_up(&rig, false);
    rig_page(&rig, (struct session_page){.owed = true}); /* empty, yet not all */
    assert_int_equal(rig_state(&rig), SESSION_CATCHING_UP);
    assert_null(rig_did(&rig, SESSION_DO_HTTP_START));
    rig_tick(&rig);
    rig_page(&rig, page_new); /* here they are */
    rig_page(&rig, empty);
    assert_released(&rig);
    assert_null(rig_did(&rig, SESSION_DO_GAP));
}

/* Empty answers, each owing, until LIVE: is a gap said then? */
static bool gap_after_settle(bool held)
{
    struct rig rig;
    catching_up(&rig, held);
    rig_page(&rig, (struct session_page){.owed = true});
    while (rig_state(&rig) == SESSION_CATCHING_UP) {
        assert_null(rig_did(&rig, SESSION_DO_GAP));
        rig_tick(&rig);
        rig_page(&rig, (struct session_page){.owed = true});
    }
    assert_released(&rig);
    assert_int_equal(rig.now_ms, rig.profile.catchup.settle_ms);
    return rig_did(&rig, SESSION_DO_GAP) != NULL;
}

static void owed_events_that_never_come_are_a_gap(void **state)
{
    (void)state;
    assert_true(gap_after_settle(false));
    assert_false(gap_after_settle(true)); /* what is held is what was owed */
}

static void next_only_for_empty_pages(void **state)
{
    struct rig rig;
    (void)state;
    catching_up(&rig, false);
    /* Nothing is held, and an empty page would be the end: not while it leads on. */
    rig_page(&rig, (struct session_page){.more = true, .has_next = true});
    assert_true(rig_did(&rig, SESSION_DO_HTTP_START)->use_next);
    rig_page(&rig, (struct session_page){.items = 1, .fresh = 1, .more = true, .has_next = true});
    assert_false(rig_did(&rig, SESSION_DO_HTTP_START)->use_next);
    rig_page(&rig, (struct session_page){.more = true}); /* leads nowhere: that is empty */
    assert_released(&rig);
}

static void full_hold_needs_a_request_after_it(void **state)
{
    struct rig rig;
    (void)state;
    catching_up(&rig, true);
    rig_do(&rig, SESSION_EV_HELD_FULL);
    assert_int_equal(rig.out.item[0].kind, SESSION_DO_DISCARD);
    assert_int_equal(rig.out.item[1].kind, SESSION_DO_HOLD);
    assert_int_equal(rig.out.count, 2); /* a request is out: one at a time */
    rig_page(&rig, (struct session_page){.items = 1, .fresh = 1, .reached_hold = true});
    assert_int_equal(rig_state(&rig), SESSION_CATCHING_UP);
    assert_non_null(rig_did(&rig, SESSION_DO_HTTP_START));
    rig_page(&rig, empty);
    assert_released(&rig);
}

static void full_hold_between_requests_asks_at_once(void **state)
{
    struct rig rig;
    (void)state;
    catching_up(&rig, true);
    rig_page(&rig, empty);
    rig_do(&rig, SESSION_EV_HELD_FULL);
    assert_non_null(rig_did(&rig, SESSION_DO_HTTP_START));
}

static void polling(struct rig *rig)
{
    catching_up(rig, true);
    for (int i = 1; i < SESSION_DISCARDS; i++) {
        rig_do(rig, SESSION_EV_HELD_FULL);
        assert_int_equal(rig_state(rig), SESSION_CATCHING_UP);
    }
    rig_do(rig, SESSION_EV_HELD_FULL);
    assert_int_equal(rig_state(rig), SESSION_POLLING);
    assert_null(rig_did(rig, SESSION_DO_HOLD));
}

static void three_full_holds_are_polling(void **state)
{
    struct rig rig;
    (void)state;
    polling(&rig);
    rig_do(&rig, SESSION_EV_HELD_FIRST); /* of before: nothing is held now */
    rig_page(&rig, page_more);
    assert_int_equal(rig_state(&rig), SESSION_POLLING);
    rig_page(&rig, page_new);
    assert_int_equal(rig_state(&rig), SESSION_CATCHING_UP);
    assert_int_equal(rig.out.item[0].kind, SESSION_DO_HOLD);
    assert_non_null(rig_did(&rig, SESSION_DO_HTTP_START));
    rig_page(&rig, empty);
    assert_released(&rig);
}

static void polling_leaves_stale_pages_behind(void **state)
{
    struct rig rig;
    (void)state;
    polling(&rig);
    for (int i = 0; i < SESSION_STALE_PAGES; i++)
        rig_page(&rig, page_stale);
    assert_int_equal(rig_state(&rig), SESSION_CATCHING_UP);
    assert_null(rig_did(&rig, SESSION_DO_HTTP_START)); /* paced */
}

static void full_hold_before_live(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.has_position = true;
    rig_start(&rig);
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    rig_do(&rig, SESSION_EV_HELD_FULL);
    assert_non_null(rig_did(&rig, SESSION_DO_DISCARD));
    rig_rule(&rig, PROFILE_RULE_LIVE, 0);
    assert_int_equal(rig.out.item[0].kind, SESSION_DO_HOLD);
    rig_page(&rig, empty);
    assert_released(&rig);
}

static void failed_request_backs_off_alone(void **state)
{
    struct rig rig;
    struct profile_end end = fake_status(503, -1);
    (void)state;
    catching_up(&rig, true);
    rig_end(&rig, SESSION_EV_HTTP_FAILED, &end);
    assert_int_equal(rig_state(&rig), SESSION_CATCHING_UP);
    assert_in_range(rig_did(&rig, SESSION_DO_STATE)->retry_ms, 0, SESSION_SPREAD_MS);
    rig_tick(&rig);
    rig_end(&rig, SESSION_EV_HTTP_FAILED, &end);
    assert_in_range(rig_did(&rig, SESSION_DO_STATE)->retry_ms, 800, 1200);
    rig_do(&rig, SESSION_EV_HELD_FULL); /* cuts no backoff short */
    assert_null(rig_did(&rig, SESSION_DO_HTTP_START));
    rig_tick(&rig);
    assert_non_null(rig_did(&rig, SESSION_DO_HTTP_START));
    end = fake_status(429, 20000);
    rig_end(&rig, SESSION_EV_HTTP_FAILED, &end);
    assert_in_range(rig_did(&rig, SESSION_DO_STATE)->retry_ms, 20000, 22000);
}

static void F42_gone_position_goes_on_after_a_gap(void **state)
{
    struct rig rig;
    struct profile_end end = fake_status(410, -1);
    (void)state;
    catching_up(&rig, true);
    rig_end(&rig, SESSION_EV_HTTP_FAILED, &end);
    assert_int_equal(rig.out.item[0].kind, SESSION_DO_FORGET);
    assert_int_equal(rig.out.item[1].kind, SESSION_DO_GAP);
    assert_int_equal(rig.out.item[1].gap, SESSION_GAP_EPOCH);
    assert_int_equal(rig.out.item[2].kind, SESSION_DO_RELEASE);
    assert_released(&rig);
    rig_close(&rig, 1006); /* and no position has come since */
    assert_int_equal(rig_did(&rig, SESSION_DO_GAP)->gap, SESSION_GAP_NO_POSITION);
}

static void request_refused_for_good_closes_the_link(void **state)
{
    struct rig rig;
    struct profile_end end = fake_status(403, -1);
    (void)state;
    catching_up(&rig, true);
    rig_end(&rig, SESSION_EV_HTTP_FAILED, &end);
    assert_non_null(rig_did(&rig, SESSION_DO_LINK_CLOSE));
    assert_non_null(rig_did(&rig, SESSION_DO_DISCARD));
    assert_int_equal(rig_state(&rig), SESSION_HELD);
}

static void drop_during_catchup_cancels(void **state)
{
    struct rig rig;
    (void)state;
    catching_up(&rig, true);
    uint64_t request = rig.request;
    rig_close(&rig, 1006);
    assert_int_equal(rig_did(&rig, SESSION_DO_HTTP_CANCEL)->request, request);
    assert_non_null(rig_did(&rig, SESSION_DO_DISCARD));
    struct profile_end end = fake_failure(PROFILE_FAILURE_HTTP);
    rig_end(&rig, SESSION_EV_HTTP_FAILED, &end); /* the cancelled one's end */
    assert_int_equal(rig.out.count, 0);
    rig_tick(&rig);
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    assert_non_null(rig_did(&rig, SESSION_DO_HOLD));
}

static void rule_forget_ends_the_catchup(void **state)
{
    struct rig rig;
    (void)state;
    catching_up(&rig, true);
    rig_rule(&rig, PROFILE_RULE_FORGET, 0);
    assert_non_null(rig_did(&rig, SESSION_DO_HTTP_CANCEL));
    assert_non_null(rig_did(&rig, SESSION_DO_FORGET));
    assert_released(&rig);
}

/* A link that closes while the state is still that of before: what it brings can fill a hold, too.
 */
static void a_closing_link_that_fills_the_hold_starts_nothing(void **state)
{
    struct rig rig;
    (void)state;
    catching_up(&rig, false);
    rig_page(&rig, empty);
    assert_released(&rig);
    rig_do(&rig, SESSION_EV_PAUSE);
    assert_non_null(rig_did(&rig, SESSION_DO_LINK_CLOSE));
    rig_do(&rig, SESSION_EV_UNKEYED);
    rig_do(&rig, SESSION_EV_HELD_FULL);
    assert_int_equal(rig.out.item[0].kind, SESSION_DO_DISCARD);
    assert_int_equal(rig.out.count, 1);
    rig_close(&rig, 1001);
    assert_int_equal(rig_state(&rig), SESSION_PAUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_held_one_empty_answer),
        cmocka_unit_test(nothing_held_known_items_only),
        cmocka_unit_test(reached_hold_releases_even_with_more),
        cmocka_unit_test(held_waits_for_settle_and_one_more),
        cmocka_unit_test(request_sent_before_settle_does_not_count),
        cmocka_unit_test(anything_new_restarts_settle),
        cmocka_unit_test(stale_pages_are_paced),
        cmocka_unit_test(one_new_event_restores_belief),
        cmocka_unit_test(owed_events_are_waited_for),
        cmocka_unit_test(owed_events_that_never_come_are_a_gap),
        cmocka_unit_test(next_only_for_empty_pages),
        cmocka_unit_test(full_hold_needs_a_request_after_it),
        cmocka_unit_test(full_hold_between_requests_asks_at_once),
        cmocka_unit_test(three_full_holds_are_polling),
        cmocka_unit_test(polling_leaves_stale_pages_behind),
        cmocka_unit_test(full_hold_before_live),
        cmocka_unit_test(failed_request_backs_off_alone),
        cmocka_unit_test(F42_gone_position_goes_on_after_a_gap),
        cmocka_unit_test(request_refused_for_good_closes_the_link),
        cmocka_unit_test(drop_during_catchup_cancels),
        cmocka_unit_test(rule_forget_ends_the_catchup),
        cmocka_unit_test(a_closing_link_that_fills_the_hold_starts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
