/* Is the link alive, and what do its ends teach: heartbeats, answers, rhythm, round trips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

static const struct profile_send two_sends[] = {
    {.name = "beat"}, {.name = "subscribe", .answered = true, .answer_timeout_ms = 5000}};

static void post(struct rig *rig, struct session_event event)
{
    event.now_ms = rig->now_ms;
    event.last_rx_ms = rig->rx_ms;
    event.link = rig->link;
    assert_int_equal(session_step(&rig->session, &event, &rig->out), 0);
}

static void set(struct rig *rig, enum profile_setting setting, int64_t value_ms)
{
    struct profile_rule_action rule = {.kind = PROFILE_RULE_SET, .setting = setting};
    struct profile_trigger trigger = {.action = &rule, .value_ms = value_ms};
    post(rig, (struct session_event){.kind = SESSION_EV_RULE, .rule = &trigger});
}

/* Silent but for what a test says: no pings, no idle, no news to save. */
static void quiet(struct rig *rig)
{
    rig_init(rig);
    rig->profile.heartbeat.ws_ping_ms = 0;
    rig->profile.heartbeat.idle_ms = 0;
    rig->profile.sends = two_sends;
    rig->profile.n_sends = 2;
}

/* ---- heartbeats ---- */

static void F22_half_open_is_found_within_idle(void **state)
{
    (void)state;
    for (int64_t idle = 1000; idle <= 86400000; idle *= 3) {
        struct rig rig;
        quiet(&rig);
        rig.profile.heartbeat.idle_ms = idle;
        rig.profile.live.by_rule = false;
        rig_start_live(&rig);
        int64_t live_ms = rig.now_ms;
        rig_tick(&rig);
        assert_int_equal(rig.now_ms, live_ms + idle);
        assert_non_null(rig_did(&rig, SESSION_DO_LINK_ABORT));
    }
}

/* On a quick network a ping goes out and its pong comes in within one millisecond. */
static void F24_a_pong_at_once_is_an_answer(void **state)
{
    struct rig rig;
    (void)state;
    quiet(&rig);
    rig.profile.heartbeat.ws_ping_ms = 15000;
    rig.profile.live.by_rule = false;
    rig_start_live(&rig);
    for (int i = 0; i < 100; i++) {
        rig_tick(&rig);
        assert_non_null(rig_did(&rig, SESSION_DO_LINK_PING));
        rig.rx_ms = rig.now_ms;
        post(&rig, (struct session_event){.kind = SESSION_EV_PONG});
        assert_null(rig_did(&rig, SESSION_DO_LINK_ABORT));
    }
}

static void F22_heartbeat_wants_its_answer(void **state)
{
    struct rig rig;
    (void)state;
    quiet(&rig);
    rig.profile.heartbeat.send = 0;
    rig.profile.heartbeat.every_ms = 10000;
    rig.profile.heartbeat.ack_timeout_ms = 12000;
    rig_start_live(&rig);
    int64_t live_ms = rig.now_ms;
    rig_tick(&rig);
    assert_int_equal(rig.now_ms, live_ms + 10000);
    assert_non_null(rig_did(&rig, SESSION_DO_HEARTBEAT));
    rig.now_ms += 5000;
    rig.rx_ms = rig.now_ms; /* a frame that is no answer */
    rig_tick(&rig);
    assert_int_equal(rig.now_ms, live_ms + 20000);
    assert_non_null(rig_did(&rig, SESSION_DO_HEARTBEAT));
    rig_tick(&rig); /* the oldest that is unanswered counts */
    assert_int_equal(rig.now_ms, live_ms + 22000);
    assert_non_null(rig_did(&rig, SESSION_DO_LINK_ABORT));
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
}

static void F22_heartbeat_answered(void **state)
{
    struct rig rig;
    (void)state;
    quiet(&rig);
    rig.profile.heartbeat.send = 0;
    rig.profile.heartbeat.every_ms = 10000;
    rig.profile.heartbeat.ack_timeout_ms = 5000;
    rig_start_live(&rig);
    for (int i = 0; i < 100; i++) {
        rig_tick(&rig);
        assert_non_null(rig_did(&rig, SESSION_DO_HEARTBEAT));
        rig.now_ms += 4999;
        if (i % 2 == 0)
            post(&rig, (struct session_event){.kind = SESSION_EV_ACKED});
        else
            rig_rule(&rig, PROFILE_RULE_ALIVE, 0);
    }
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
}

static void set_is_kept_within_bounds(void **state)
{
    static const struct {
        int64_t value, every;
    } cases[] = {{SESSION_SET_MIN_MS, SESSION_SET_MIN_MS},
                 {SESSION_SET_MIN_MS - 1, SESSION_SET_MIN_MS},
                 {1, SESSION_SET_MIN_MS},
                 {SESSION_SET_MAX_MS, SESSION_SET_MAX_MS},
                 {SESSION_SET_MAX_MS + 1, SESSION_SET_MAX_MS},
                 {INT64_MAX, SESSION_SET_MAX_MS},
                 {0, INT64_MAX},
                 {INT64_MIN, INT64_MAX}};
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig rig;
        quiet(&rig);
        rig.profile.heartbeat.send = 0;
        rig_start_live(&rig);
        rig.now_ms = 200000; /* all is saved by then */
        rig_do(&rig, SESSION_EV_TICK);
        set(&rig, PROFILE_SET_HEARTBEAT_EVERY, cases[i].value);
        int64_t deadline = session_deadline_ms(&rig.session);
        assert_int_equal(deadline == INT64_MAX ? INT64_MAX : deadline - rig.now_ms, cases[i].every);
    }
}

static void set_is_for_one_link(void **state)
{
    struct rig rig;
    (void)state;
    quiet(&rig);
    rig_start_live(&rig);
    set(&rig, PROFILE_SET_HEARTBEAT_IDLE, 20000);
    set(&rig, PROFILE_SET_HEARTBEAT_WS_PING, 7000);
    rig_tick(&rig);
    assert_int_equal(rig.now_ms, 7000);
    assert_non_null(rig_did(&rig, SESSION_DO_LINK_PING));
    rig_close(&rig, 1006);
    rig_tick(&rig);
    rig_live(&rig);
    rig.now_ms += 200000;
    rig_do(&rig, SESSION_EV_TICK);
    assert_int_equal(session_deadline_ms(&rig.session), INT64_MAX);
}

static void F12_set_of_the_live_timeout(void **state)
{
    struct rig rig;
    (void)state;
    quiet(&rig);
    rig_start(&rig);
    rig_do(&rig, SESSION_EV_LINK_OPEN);
    set(&rig, PROFILE_SET_LIVE_TIMEOUT, 30000);
    rig_tick(&rig);
    assert_int_equal(rig.now_ms, 30000);
    assert_non_null(rig_did(&rig, SESSION_DO_LINK_CLOSE));
}

/* ---- answers ---- */

static void F39_answers_have_their_time(void **state)
{
    struct rig rig;
    (void)state;
    quiet(&rig);
    rig_start_live(&rig);
    post(&rig, (struct session_event){.kind = SESSION_EV_SENT, .send = 0}); /* awaits none */
    post(&rig, (struct session_event){.kind = SESSION_EV_SENT, .send = 2}); /* there is none */
    post(&rig, (struct session_event){.kind = SESSION_EV_SENT, .send = UINT32_MAX});
    post(&rig, (struct session_event){.kind = SESSION_EV_SENT, .send = 1});
    rig.now_ms += 2000;
    post(&rig, (struct session_event){.kind = SESSION_EV_SENT, .send = 1}); /* the first counts */
    post(&rig, (struct session_event){.kind = SESSION_EV_ANSWERED, .sends = ~2u});
    assert_int_equal(session_deadline_ms(&rig.session), 5000);
    post(&rig, (struct session_event){.kind = SESSION_EV_ANSWERED, .sends = 2u});
    assert_true(session_deadline_ms(&rig.session) > 5000);
    post(&rig, (struct session_event){.kind = SESSION_EV_SENT, .send = 1});
    rig_tick(&rig);
    assert_int_equal(rig.now_ms, 7000);
    assert_non_null(rig_did(&rig, SESSION_DO_LINK_CLOSE));
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
}

/* ---- rhythm ---- */

/* Three links that break after these silences, each 1000 s old; what the last one leads to. */
static const struct session_action *cut(struct rig *rig, const int64_t *quiet_ms, bool forbidden)
{
    quiet(rig);
    rig->profile.connect.ping_forbidden = forbidden;
    rig_start_live(rig);
    for (unsigned i = 0; i < SESSION_CUTS; i++) {
        if (i > 0) {
            rig_tick(rig);
            rig_live(rig);
        }
        int64_t opened_ms = rig->now_ms;
        rig->now_ms = opened_ms + 1000000 + (int64_t)i * 500000 - quiet_ms[i];
        rig->rx_ms = rig->now_ms;
        rig_do(rig, SESSION_EV_TICK);
        rig->now_ms += quiet_ms[i];
        rig_close(rig, 1006);
    }
    return rig_did(rig, SESSION_DO_SAY);
}

static void F23_cuts_at_one_silence(void **state)
{
    static const struct {
        int64_t quiet_ms[SESSION_CUTS];
        bool alike;
    } cases[] = {
        {{40000, 41000, 39000}, true},
        {{100000, 110000, 90000}, true},
        {{100000, 110001, 90000}, false},
        {{100000, 100000, 85000}, false},
        {{SESSION_CUT_MIN_MS, SESSION_CUT_MIN_MS, SESSION_CUT_MIN_MS}, true},
        {{SESSION_CUT_MIN_MS, SESSION_CUT_MIN_MS - 1, SESSION_CUT_MIN_MS}, false},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig rig;
        const struct session_action *say = cut(&rig, cases[i].quiet_ms, false);
        if ((say != NULL) != cases[i].alike)
            fail_msg("case %u", i);
    }
}

static void F23_then_a_ping_at_half(void **state)
{
    static const int64_t quiet_ms[] = {40000, 40000, 40000};
    (void)state;
    for (int forbidden = 0; forbidden < 2; forbidden++) {
        struct rig rig;
        const struct session_action *say = cut(&rig, quiet_ms, forbidden);
        assert_non_null(say);
        assert_non_null(strstr(say->text, "40 s"));
        rig_tick(&rig);
        rig_live(&rig);
        int64_t live_ms = rig.now_ms;
        rig_run(&rig, live_ms + 19999, false);
        assert_int_equal(rig_state(&rig), SESSION_LIVE);
        rig.now_ms = live_ms + 20000;
        rig_do(&rig, SESSION_EV_TICK);
        assert_int_equal(rig_did(&rig, SESSION_DO_LINK_PING) != NULL, !forbidden);
    }
}

static void F23_cuts_at_one_age(void **state)
{
    (void)state;
    for (unsigned parallel = 1; parallel <= 2; parallel++) {
        struct rig rig;
        quiet(&rig);
        rig.profile.connect.parallel = parallel;
        rig_start_live(&rig);
        for (unsigned i = 0; i < SESSION_CUTS; i++) {
            if (i > 0) {
                rig_tick(&rig);
                rig_live(&rig);
            }
            assert_null(rig_did(&rig, SESSION_DO_SAY));
            rig.now_ms += 3600000 - (int64_t)i * 60000;
            rig.rx_ms = rig.now_ms - 100;
            rig_do(&rig, SESSION_EV_TICK);
            rig_close(&rig, 1006);
        }
        const struct session_action *say = rig_did(&rig, SESSION_DO_SAY);
        assert_non_null(say);
        assert_non_null(strstr(say->text, "3540 s"));
        assert_int_equal(strstr(say->text, "replaced") != NULL, parallel == 2);
    }
}

/* ---- round trips ---- */

static bool pong(struct rig *rig, int64_t rtt_ms, int64_t after_ms)
{
    rig->now_ms += after_ms;
    rig->rx_ms = rig->now_ms;
    post(rig, (struct session_event){.kind = SESSION_EV_PONG, .rtt_ms = rtt_ms});
    return rig_did(rig, SESSION_DO_SAY) != NULL;
}

static void usual(struct rig *rig, unsigned n, int64_t rtt_ms)
{
    quiet(rig);
    rig_start_live(rig);
    for (unsigned i = 0; i < n; i++)
        assert_false(pong(rig, rtt_ms, 15000));
}

/* Slow from now on: after how long it is said, -1: not within an hour. */
static int64_t said_after_ms(struct rig *rig, int64_t rtt_ms)
{
    int64_t from_ms = rig->now_ms + 10000;
    for (unsigned i = 0; i < 360; i++)
        if (pong(rig, rtt_ms, 10000))
            return rig->now_ms - from_ms;
    return -1;
}

static void F63_three_times_the_usual(void **state)
{
    static const struct {
        unsigned samples;
        int64_t usual_ms, slow_ms, said_ms;
    } cases[] = {
        {64, 100, 301, SESSION_RTT_EPISODE_MS},
        {64, 100, 300, -1},
        {64, 10, 60, SESSION_RTT_EPISODE_MS}, /* 50 ms more */
        {64, 10, 59, -1},
        {SESSION_RTT_ENOUGH, 100, 1000, SESSION_RTT_EPISODE_MS},
        /* The first slow one makes them enough. */
        {SESSION_RTT_ENOUGH - 1, 100, 1000, SESSION_RTT_EPISODE_MS + 10000},
        {64, 0, INT64_MAX, SESSION_RTT_EPISODE_MS},
        {64, UINT32_MAX, INT64_MAX, -1},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig rig;
        usual(&rig, cases[i].samples, cases[i].usual_ms);
        int64_t said = said_after_ms(&rig, cases[i].slow_ms);
        if (said != cases[i].said_ms)
            fail_msg("case %u: said after %lld ms", i, (long long)said);
        if (said < 0)
            continue;
        assert_int_equal(said_after_ms(&rig, cases[i].slow_ms), -1); /* once */
    }
}

static void F63_one_good_round_trip_ends_the_episode(void **state)
{
    struct rig rig;
    (void)state;
    usual(&rig, 64, 100);
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 30; j++)
            assert_false(pong(&rig, 400, 10000));
        assert_false(pong(&rig, 100, 5000));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F22_half_open_is_found_within_idle),
        cmocka_unit_test(F24_a_pong_at_once_is_an_answer),
        cmocka_unit_test(F22_heartbeat_wants_its_answer),
        cmocka_unit_test(F22_heartbeat_answered),
        cmocka_unit_test(set_is_kept_within_bounds),
        cmocka_unit_test(set_is_for_one_link),
        cmocka_unit_test(F12_set_of_the_live_timeout),
        cmocka_unit_test(F39_answers_have_their_time),
        cmocka_unit_test(F23_cuts_at_one_silence),
        cmocka_unit_test(F23_then_a_ping_at_half),
        cmocka_unit_test(F23_cuts_at_one_age),
        cmocka_unit_test(F63_three_times_the_usual),
        cmocka_unit_test(F63_one_good_round_trip_ends_the_episode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
