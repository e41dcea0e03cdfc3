/* What outlives the process: lengths, taken up by another clock, and never trusted beyond reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

#define MINUTE_MS 60000
#define HOUR_MS (60 * MINUTE_MS)

/* Another process, on another clock, `ago_ms` later by the wall clock. */
static void restart(struct rig *rig, const struct session_saved *saved, int64_t ago_ms,
                    bool source_changed)
{
    struct session_init_args args = {.profile = &rig->profile,
                                     .seed = 7,
                                     .has_position = rig->has_position,
                                     .lived = true,
                                     .source_changed = source_changed,
                                     .saved = saved,
                                     .saved_ago_ms = ago_ms};
    session_init(&rig->session, &args);
    rig->now_ms = 5000000; /* of another boot */
    rig->rx_ms = 0;
    rig->withhold = true;
    rig_do(rig, SESSION_EV_START);
}

static void save(struct rig *rig, struct session_saved *out)
{
    session_save(&rig->session, rig->now_ms, out);
}

static int64_t left_ms(const struct rig *rig)
{
    return session_deadline_ms(&rig->session) - rig->now_ms;
}

static void F38_a_wait_goes_on(void **state)
{
    static const struct {
        int64_t ago, taken;
    } cases[] = {{0, 0}, {1, 1}, {40000, 40000}, {-1, 0}, {INT64_MIN, 0}};
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig rig;
        struct session_saved saved;
        struct profile_end end = fake_status(429, 100000);
        rig_init(&rig);
        rig_start(&rig);
        rig_end(&rig, SESSION_EV_LINK_FAILED, &end);
        assert_non_null(rig_did(&rig, SESSION_DO_SAVE));
        rig.now_ms += 10000;
        int64_t left = left_ms(&rig);
        save(&rig, &saved);
        assert_int_equal(saved.wait_ms, left);
        assert_int_equal(saved.since_ms, 10000);
        assert_false(saved.dialled);
        restart(&rig, &saved, cases[i].ago, false);
        assert_int_equal(rig_state(&rig), SESSION_WAITING);
        assert_int_equal(left_ms(&rig), left - cases[i].taken);
        struct session_status status;
        session_status(&rig.session, &status);
        assert_string_equal(status.reason, saved.reason);
        assert_int_equal(status.since_ms, rig.now_ms - 10000 - cases[i].taken);
        assert_int_equal(status.attempts, 1);
        assert_null(rig_did(&rig, SESSION_DO_SAVE)); /* nothing new */
    }
}

static void F38_a_wait_that_is_over_dials(void **state)
{
    struct rig rig;
    struct session_saved saved;
    struct profile_end end = fake_failure(PROFILE_FAILURE_TLS);
    (void)state;
    rig_init(&rig);
    rig_start(&rig);
    rig_end(&rig, SESSION_EV_LINK_FAILED, &end);
    save(&rig, &saved);
    assert_int_equal(saved.state, SESSION_HELD);
    restart(&rig, &saved, saved.wait_ms - 1, false);
    assert_int_equal(rig_state(&rig), SESSION_HELD);
    assert_int_equal(left_ms(&rig), 1);
    restart(&rig, &saved, saved.wait_ms, false);
    assert_non_null(rig_did(&rig, SESSION_DO_ASK_SLOT));
}

static void F38_an_attempt_under_way_has_failed(void **state)
{
    static const int64_t least[] = {0, 800, 1600, 3200, 6400};
    struct rig rig;
    struct session_saved saved;
    (void)state;
    rig_init(&rig);
    rig.withhold = true;
    struct session_init_args args = {.profile = &rig.profile, .seed = 1};
    session_init(&rig.session, &args);
    rig_do(&rig, SESSION_EV_START);
    for (unsigned i = 0; i < sizeof(least) / sizeof(least[0]); i++) {
        struct session_status status;
        save(&rig, &saved); /* before the slot is granted: this is what is on disk at a dial */
        assert_true(saved.dialled);
        rig_do(&rig, SESSION_EV_SLOT);
        restart(&rig, &saved, 100000, false);
        assert_int_equal(rig_state(&rig), SESSION_WAITING);
        assert_true(left_ms(&rig) >= least[i]);
        session_status(&rig.session, &status);
        assert_int_equal(status.attempts, i + 1);
        rig_tick(&rig);
        assert_non_null(rig_did(&rig, SESSION_DO_ASK_SLOT));
    }
}

static void F38_a_link_that_lived_is_no_failure(void **state)
{
    struct rig rig;
    struct session_saved saved;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    int64_t live_ms = rig.now_ms;
    rig.now_ms = live_ms + SESSION_CALM_MS - 1;
    save(&rig, &saved);
    assert_true(saved.dialled);
    rig.now_ms = live_ms + SESSION_CALM_MS;
    save(&rig, &saved);
    assert_false(saved.dialled);
    restart(&rig, &saved, 0, false);
    assert_non_null(rig_did(&rig, SESSION_DO_ASK_SLOT));
}

static void F38_time_alone_brings_news(void **state)
{
    struct rig rig;
    struct session_saved saved;
    unsigned saves = 0;
    (void)state;
    rig_init(&rig);
    rig_start(&rig);
    struct profile_end end = fake_failure(PROFILE_FAILURE_TCP);
    for (unsigned i = 0; i < 3; i++) {
        rig_end(&rig, SESSION_EV_LINK_FAILED, &end);
        rig_tick(&rig);
    }
    rig_live(&rig);
    int64_t live_ms = rig.now_ms;
    while (session_deadline_ms(&rig.session) <= live_ms + 70000) {
        int64_t at = session_deadline_ms(&rig.session);
        rig.now_ms = at > rig.now_ms ? at : rig.now_ms;
        rig.rx_ms = rig.now_ms;
        rig_do(&rig, SESSION_EV_TICK);
        if (rig_did(&rig, SESSION_DO_SAVE) == NULL)
            continue;
        saves++;
        save(&rig, &saved);
        assert_int_equal(saved.step, saves == 1 ? 2 : 0);
        assert_int_equal(saved.attempts, saves == 1 ? 3 : 0);
    }
    assert_int_equal(saves, 2);
}

static void F13_parked_stays_parked(void **state)
{
    struct rig rig;
    struct session_saved saved;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_close(&rig, 4004);
    save(&rig, &saved);
    restart(&rig, &saved, HOUR_MS / 2, false);
    assert_int_equal(rig_state(&rig), SESSION_PARKED);
    assert_int_equal(left_ms(&rig), saved.wait_ms - HOUR_MS / 2);
    rig_do(&rig, SESSION_EV_CREDENTIAL);
    assert_non_null(rig_did(&rig, SESSION_DO_ASK_SLOT));
    restart(&rig, &saved, 0, true);
    assert_non_null(rig_did(&rig, SESSION_DO_ASK_SLOT));
}

static void F13_killed_in_a_probe(void **state)
{
    struct rig rig;
    struct session_saved saved;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_close(&rig, 4004);
    rig_tick(&rig);
    assert_int_equal(rig_state(&rig), SESSION_DIALING);
    save(&rig, &saved);
    assert_int_equal(saved.state, SESSION_PARKED);
    restart(&rig, &saved, 0, false);
    assert_int_equal(rig_state(&rig), SESSION_PARKED);
    assert_in_range(left_ms(&rig), 2 * HOUR_MS, 2 * HOUR_MS + 2 * HOUR_MS / 10);
}

static void F13_a_refresh_that_was_not_answered_is_none(void **state)
{
    struct rig rig;
    struct session_saved saved;
    struct profile_end end = fake_status(401, -1);
    (void)state;
    rig_init(&rig);
    rig_start(&rig);
    rig_end(&rig, SESSION_EV_LINK_FAILED, &end);
    assert_non_null(rig_did(&rig, SESSION_DO_REFRESH));
    save(&rig, &saved);
    assert_int_equal(saved.refreshes, 0);
    rig_do(&rig, SESSION_EV_CREDENTIAL);
    rig_tick(&rig);
    save(&rig, &saved);
    assert_int_equal(saved.refreshes, 1);
}

static void F19_strikes_are_remembered(void **state)
{
    struct rig rig;
    struct session_saved saved;
    (void)state;
    rig_init(&rig);
    rig.profile.n_flaps = 1;
    rig.profile.flaps[0] = (struct profile_flap){{PROFILE_POLICY_PARK, 0}, 1006, 1006,
                                                 PROFILE_END_CLOSE,        3,    10 * MINUTE_MS};
    rig_start_live(&rig);
    rig_close(&rig, 1006);
    rig.now_ms += MINUTE_MS;
    rig_tick(&rig);
    rig_live(&rig);
    rig.now_ms += MINUTE_MS;
    rig_close(&rig, 1006);
    save(&rig, &saved);
    for (int late = 0; late < 2; late++) {
        restart(&rig, &saved, late ? 9 * MINUTE_MS : 7 * MINUTE_MS, false);
        rig_do(&rig, SESSION_EV_SLOT);
        rig_live(&rig);
        rig_close(&rig, 1006);
        assert_int_equal(rig_state(&rig), late ? SESSION_WAITING : SESSION_PARKED);
    }
}

static void a_pause_outlives_a_crash(void **state)
{
    struct rig rig;
    struct session_saved saved;
    (void)state;
    rig_init(&rig);
    rig_start(&rig);
    rig_do(&rig, SESSION_EV_PAUSE);
    assert_non_null(rig_did(&rig, SESSION_DO_SAVE));
    save(&rig, &saved);
    restart(&rig, &saved, 0, true);
    assert_int_equal(rig_state(&rig), SESSION_PAUSED);
    rig_do(&rig, SESSION_EV_RESUME);
    assert_non_null(rig_did(&rig, SESSION_DO_ASK_SLOT));
}

static void F42_how_long_ago_it_was_whole(void **state)
{
    struct rig rig;
    struct session_saved saved;
    (void)state;
    rig_init(&rig);
    rig_start(&rig);
    save(&rig, &saved);
    assert_int_equal(saved.live_ago_ms, -1);
    rig_live(&rig);
    save(&rig, &saved);
    assert_int_equal(saved.live_ago_ms, 0);
    rig_close(&rig, 1006);
    rig.now_ms += 5000;
    save(&rig, &saved);
    assert_int_equal(saved.live_ago_ms, 5000);
    restart(&rig, &saved, 1000, false);
    save(&rig, &saved);
    assert_int_equal(saved.live_ago_ms, 6000);
}

/* Whatever the disk says: it is clamped, and the stream is tried some day. */
static void F57_absurd_values_are_clamped(void **state)
{
    struct rig rig;
    (void)state;
    for (unsigned i = 0; i < SESSION_STATE_COUNT + 3u; i++) {
        struct session_saved saved = {.state = (enum session_state)i,
                                      .wait_ms = INT64_MAX,
                                      .since_ms = INT64_MAX,
                                      .step = UINT32_MAX,
                                      .attempts = UINT32_MAX,
                                      .probes = UINT32_MAX,
                                      .live_ago_ms = INT64_MAX};
        rig_init(&rig);
        restart(&rig, &saved, INT64_MIN, false);
        int64_t deadline = session_deadline_ms(&rig.session);
        if (deadline != INT64_MAX)
            assert_true(deadline - rig.now_ms <= SESSION_WAIT_MAX_MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F38_a_wait_goes_on),
        cmocka_unit_test(F38_a_wait_that_is_over_dials),
        cmocka_unit_test(F38_an_attempt_under_way_has_failed),
        cmocka_unit_test(F38_a_link_that_lived_is_no_failure),
        cmocka_unit_test(F38_time_alone_brings_news),
        cmocka_unit_test(F13_parked_stays_parked),
        cmocka_unit_test(F13_killed_in_a_probe),
        cmocka_unit_test(F13_a_refresh_that_was_not_answered_is_none),
        cmocka_unit_test(F19_strikes_are_remembered),
        cmocka_unit_test(a_pause_outlives_a_crash),
        cmocka_unit_test(F42_how_long_ago_it_was_whole),
        cmocka_unit_test(F57_absurd_values_are_clamped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
