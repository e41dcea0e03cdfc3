/* How long until the next attempt: backoff, policy delays, flaps, park. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

#define MINUTE_MS 60000
#define HOUR_MS (60 * MINUTE_MS)

/* The wait that the last step began. */
static int64_t wait_ms(const struct rig *rig)
{
    const struct session_action *state = rig_did(rig, SESSION_DO_STATE);
    assert_non_null(state);
    return state->retry_ms;
}

static unsigned attempts(const struct rig *rig)
{
    struct session_status status;
    session_status(&rig->session, &status);
    return status.attempts;
}

static void F36_first_drop_is_spread(void **state)
{
    int64_t least = INT64_MAX, most = -1;
    (void)state;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct rig rig;
        rig_init(&rig);
        rig.seed = seed;
        rig_start_live(&rig);
        rig_close(&rig, 1006);
        int64_t wait = wait_ms(&rig);
        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
    }
    assert_int_equal(least, 0);
    assert_int_equal(most, SESSION_SPREAD_MS);
}

static void F38_steps_grow_to_a_cap(void **state)
{
    static const int64_t steps[] = {0, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct rig rig;
        rig_init(&rig);
        rig.seed = seed;
        rig_start(&rig);
        for (unsigned i = 0; i < 9; i++) {
            struct profile_end end = fake_failure(PROFILE_FAILURE_TCP);
            rig_end(&rig, SESSION_EV_LINK_FAILED, &end);
            assert_int_equal(attempts(&rig), i + 1);
            if (steps[i] > 0)
                assert_in_range(wait_ms(&rig), steps[i] * 8 / 10, steps[i] * 12 / 10);
            rig_tick(&rig);
            assert_int_equal(rig_state(&rig), SESSION_DIALING);
        }
    }
}

/* Fails n times, then lives for so long, then drops: the step that follows. */
static int64_t wait_after_life(unsigned failures, int64_t lived_ms, unsigned *attempted)
{
    struct rig rig;
    rig_init(&rig);
    rig.profile.backoff.jitter = 0;
    rig_start(&rig);
    for (unsigned i = 0; i < failures; i++) {
        struct profile_end end = fake_failure(PROFILE_FAILURE_TCP);
        rig_end(&rig, SESSION_EV_LINK_FAILED, &end);
        rig_tick(&rig);
    }
    rig_live(&rig);
    rig_run(&rig, rig.now_ms + lived_ms, true);
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
    rig_close(&rig, 1006);
    *attempted = attempts(&rig);
    return wait_ms(&rig);
}

static void F38_only_life_takes_steps_back(void **state)
{
    unsigned tried;
    (void)state;
    assert_int_equal(wait_after_life(4, 0, &tried), 8000);
    assert_int_equal(tried, 5);
    assert_int_equal(wait_after_life(4, SESSION_CALM_MS - 1, &tried), 8000);
    assert_int_equal(wait_after_life(4, SESSION_CALM_MS, &tried), 4000);
    assert_int_equal(wait_after_life(4, 3 * SESSION_CALM_MS, &tried), 1000);
    assert_int_equal(wait_after_life(6, 59999, &tried), 1000);
    assert_int_equal(tried, 7);
    assert_in_range(wait_after_life(6, 60000, &tried), 0, SESSION_SPREAD_MS);
    assert_int_equal(tried, 0);
}

static void retry_waits_at_least_its_delay(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct rig rig;
        rig_init(&rig);
        rig.seed = seed;
        rig_start_live(&rig);
        rig_close(&rig, 1001); /* retry 5s */
        assert_in_range(wait_ms(&rig), 5000, 5500);
    }
}

static int64_t wait_after_429(int64_t retry_after_ms)
{
    struct rig rig;
    rig_init(&rig);
    rig_start(&rig);
    struct profile_end end = fake_status(429, retry_after_ms);
    rig_end(&rig, SESSION_EV_LINK_FAILED, &end);
    return wait_ms(&rig);
}

static void F02_retry_after_is_respected_and_bounded(void **state)
{
    (void)state;
    assert_in_range(wait_after_429(-1), 0, SESSION_SPREAD_MS);
    assert_in_range(wait_after_429(30000), 30000, 33000);
    assert_in_range(wait_after_429(SESSION_RETRY_AFTER_MS), SESSION_RETRY_AFTER_MS,
                    SESSION_RETRY_AFTER_MS / 10 * 11);
    assert_in_range(wait_after_429(SESSION_RETRY_AFTER_MS + 1), SESSION_RETRY_AFTER_MS,
                    SESSION_RETRY_AFTER_MS / 10 * 11);
    assert_in_range(wait_after_429(INT64_MAX), SESSION_RETRY_AFTER_MS,
                    SESSION_RETRY_AFTER_MS / 10 * 11);
}

static void flap(struct rig *rig, unsigned count, int64_t period_ms)
{
    rig_init(rig);
    rig->profile.n_flaps = 1;
    rig->profile.flaps[0] = (struct profile_flap){
        {PROFILE_POLICY_HOLD, 10 * MINUTE_MS}, 4003, 4003, PROFILE_END_CLOSE, count, period_ms};
}

static void F19_flap_counts_within_its_period(void **state)
{
    struct rig rig;
    (void)state;
    flap(&rig, 3, 2 * MINUTE_MS);
    rig_start_live(&rig);
    rig_close(&rig, 4003);
    rig.now_ms += 2 * MINUTE_MS + 1; /* the first falls out of the period */
    rig_tick(&rig);
    for (int i = 0; i < 2; i++) {
        rig_live(&rig);
        rig_close(&rig, 4003);
        assert_int_equal(rig_state(&rig), SESSION_WAITING);
        rig_tick(&rig);
    }
    rig_live(&rig);
    rig_close(&rig, 4003); /* the third within it */
    assert_int_equal(rig_state(&rig), SESSION_HELD);
    assert_in_range(wait_ms(&rig), 10 * MINUTE_MS, 11 * MINUTE_MS);
    rig_tick(&rig); /* counting starts anew */
    rig_live(&rig);
    rig_close(&rig, 4003);
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
}

/* Two drops so far apart. */
static enum session_state state_after_two(int64_t apart_ms)
{
    struct rig rig;
    flap(&rig, 2, 2 * MINUTE_MS);
    rig_start_live(&rig);
    rig_close(&rig, 4003);
    int64_t first = rig.now_ms;
    rig_tick(&rig);
    rig_live(&rig);
    rig_run(&rig, first + apart_ms, true);
    rig_close(&rig, 4003);
    return rig_state(&rig);
}

static void flap_period_at_its_bound(void **state)
{
    (void)state;
    assert_int_equal(state_after_two(2 * MINUTE_MS), SESSION_HELD);
    assert_int_equal(state_after_two(2 * MINUTE_MS + 1), SESSION_WAITING);
}

static void flap_counts_anew_once_it_has_struck(void **state)
{
    struct rig rig;
    (void)state;
    flap(&rig, 2, HOUR_MS); /* longer than the rest that it leads to */
    rig_start(&rig);
    for (int i = 0; i < 4; i++) {
        rig_live(&rig);
        rig_close(&rig, 4003);
        assert_int_equal(rig_state(&rig), i % 2 == 0 ? SESSION_WAITING : SESSION_HELD);
        rig_tick(&rig);
    }
}

/* Drops that it takes until HELD. */
static unsigned drops_until_held(unsigned count)
{
    struct rig rig;
    flap(&rig, count, HOUR_MS);
    rig_start(&rig);
    for (unsigned i = 1; i <= 40; i++) {
        rig_live(&rig);
        rig_close(&rig, 4003);
        if (rig_state(&rig) == SESSION_HELD)
            return i;
        rig_tick(&rig);
    }
    return 0;
}

static void flap_ring_at_its_bound(void **state)
{
    (void)state;
    assert_int_equal(drops_until_held(2), 2);
    assert_int_equal(drops_until_held(SESSION_FLAP_TIMES), SESSION_FLAP_TIMES);
    /* A profile cannot ask for more; if it could, the ring's size would count. */
    assert_int_equal(drops_until_held(SESSION_FLAP_TIMES + 1), SESSION_FLAP_TIMES);
    assert_int_equal(drops_until_held(0), 0);
}

static void own_closes_do_not_flap(void **state)
{
    struct rig rig;
    (void)state;
    flap(&rig, 2, HOUR_MS);
    rig.profile.flaps[0].code_from = 1000;
    rig_start_live(&rig);
    for (int i = 0; i < 5; i++) {
        rig_do(&rig, SESSION_EV_RECONNECT);
        assert_non_null(rig_did(&rig, SESSION_DO_LINK_CLOSE));
        assert_null(rig_did(&rig, SESSION_DO_DIAL)); /* not while the old link closes */
        rig_close(&rig, 1006);
        assert_non_null(rig_did(&rig, SESSION_DO_DIAL));
        rig_live(&rig);
        rig_do(&rig, SESSION_EV_PAUSE);
        rig_close(&rig, 1006);
        assert_int_equal(rig_state(&rig), SESSION_PAUSED);
        rig_do(&rig, SESSION_EV_RESUME);
        rig_live(&rig);
    }
    assert_int_equal(attempts(&rig), 0);
}

static void F13_probe_interval_doubles_to_a_day(void **state)
{
    struct rig rig;
    int64_t expected = HOUR_MS;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_close(&rig, 4004);
    assert_int_equal(attempts(&rig), 1);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(rig_state(&rig), SESSION_PARKED);
        assert_in_range(wait_ms(&rig), expected, expected + expected / 10);
        rig_tick(&rig);
        assert_int_equal(rig_state(&rig), SESSION_DIALING);
        rig_close(&rig, 4004);
        assert_int_equal(attempts(&rig), 1); /* quiet */
        expected = expected * 2 > SESSION_PROBE_MS ? SESSION_PROBE_MS : expected * 2;
    }
}

static void F13_no_probe_where_it_is_forbidden(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.profile.park_probe_ms = -1;
    rig_start_live(&rig);
    rig_close(&rig, 4004);
    assert_int_equal(rig_state(&rig), SESSION_PARKED);
    assert_int_equal(wait_ms(&rig), -1);
    assert_true(session_deadline_ms(&rig.session) == INT64_MAX);
}

static void probe_that_fails_otherwise_follows_its_policy(void **state)
{
    struct rig rig;
    struct profile_end end = fake_failure(PROFILE_FAILURE_TCP);
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_close(&rig, 4004);
    rig_tick(&rig);
    rig_end(&rig, SESSION_EV_LINK_FAILED, &end);
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
    rig_tick(&rig);
    rig_close(&rig, 4004); /* no probe any more, but the interval has not begun anew */
    assert_int_equal(rig_state(&rig), SESSION_PARKED);
    assert_int_equal(attempts(&rig), 3);
    assert_in_range(wait_ms(&rig), 2 * HOUR_MS, HOUR_MS / 10 * 22);
}

static void parked_by_a_flap_returns_to_park(void **state)
{
    struct rig rig;
    (void)state;
    flap(&rig, 2, MINUTE_MS);
    rig.profile.flaps[0] = (struct profile_flap){{PROFILE_POLICY_PARK, 0}, 1002, 1002,
                                                 PROFILE_END_CLOSE,        2,    MINUTE_MS};
    rig_start_live(&rig);
    rig_close(&rig, 1002);
    rig_tick(&rig);
    rig_live(&rig);
    rig_close(&rig, 1002);
    assert_int_equal(rig_state(&rig), SESSION_PARKED);
    rig_tick(&rig);
    rig_close(&rig, 1002); /* once only, but what a probe came to see */
    assert_int_equal(rig_state(&rig), SESSION_PARKED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F36_first_drop_is_spread),
        cmocka_unit_test(F38_steps_grow_to_a_cap),
        cmocka_unit_test(F38_only_life_takes_steps_back),
        cmocka_unit_test(retry_waits_at_least_its_delay),
        cmocka_unit_test(F02_retry_after_is_respected_and_bounded),
        cmocka_unit_test(F19_flap_counts_within_its_period),
        cmocka_unit_test(flap_period_at_its_bound),
        cmocka_unit_test(flap_counts_anew_once_it_has_struck),
        cmocka_unit_test(flap_ring_at_its_bound),
        cmocka_unit_test(own_closes_do_not_flap),
        cmocka_unit_test(F13_probe_interval_doubles_to_a_day),
        cmocka_unit_test(F13_no_probe_where_it_is_forbidden),
        cmocka_unit_test(probe_that_fails_otherwise_follows_its_policy),
        cmocka_unit_test(parked_by_a_flap_returns_to_park),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
