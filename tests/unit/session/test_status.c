/* What is said of a session: its status, names, and actions as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "rig.h"

/* ---- status ---- */

static struct session_status status_of(const struct rig *rig)
{
    struct session_status status;
    session_status(&rig->session, &status);
    return status;
}

static void later(struct rig *rig, int64_t at_ms, const char *text)
{
    struct session_event event = {.kind = SESSION_EV_SLOT_LATER,
                                  .now_ms = rig->now_ms,
                                  .last_rx_ms = rig->rx_ms,
                                  .at_ms = at_ms,
                                  .text = text};
    session_step(&rig->session, &event, &rig->out);
}

static void the_limit_that_is_waited_for_is_told(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig.withhold = true;
    rig_close(&rig, 1006);
    rig_tick(&rig);
    assert_non_null(rig_did(&rig, SESSION_DO_ASK_SLOT));
    assert_string_equal(status_of(&rig).waits_for, "");
    later(&rig, rig.now_ms + 7000, "connects 3/1m is used up");
    assert_int_equal(rig_state(&rig), SESSION_WAITING);
    assert_string_equal(status_of(&rig).waits_for, "connects 3/1m is used up");
    assert_int_equal(status_of(&rig).retry_at_ms, rig.now_ms + 7000);
    later(&rig, rig.now_ms + 9000, NULL);
    assert_string_equal(status_of(&rig).waits_for, "waiting for leave to dial");
    assert_int_equal(status_of(&rig).retry_at_ms, rig.now_ms + 9000);
    rig_do(&rig, SESSION_EV_SLOT);
    assert_int_equal(rig_state(&rig), SESSION_DIALING);
    assert_string_equal(status_of(&rig).waits_for, "");
    assert_int_equal(status_of(&rig).retry_at_ms, -1);
}

/* The stream is live meanwhile, and no attempt of its link is due. */
static void the_limit_of_a_handover_is_told(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.profile.connect.parallel = 2;
    rig_start_live(&rig);
    rig_run(&rig, rig.now_ms + 60000, true);
    rig.withhold = true;
    rig_rule(&rig, PROFILE_RULE_HANDOVER, 0);
    later(&rig, rig.now_ms + 5000, "all 5 links of the service are in use");
    assert_int_equal(rig_state(&rig), SESSION_LIVE);
    assert_string_equal(status_of(&rig).waits_for, "all 5 links of the service are in use");
    assert_int_equal(status_of(&rig).retry_at_ms, -1);
    rig_do(&rig, SESSION_EV_PAUSE);
    assert_string_equal(status_of(&rig).waits_for, "");
}

static void reason_is_cut_at_a_character(void **state)
{
    struct session_status status;
    struct rig rig;
    (void)state;
    for (size_t shift = 0; shift < 2; shift++) {
        struct profile_end end = fake_close(4001, "");
        memset(end.text, 'x', shift);
        for (size_t i = shift; i + 2 < sizeof(end.text); i += 2)
            memcpy(end.text + i, "\xC3\xA9", 2);
        rig_init(&rig);
        rig_start_live(&rig);
        for (int i = 0; i < 2; i++) { /* "again after a refresh: " makes it long enough */
            rig_end(&rig, SESSION_EV_LINK_CLOSED, &end);
            rig_do(&rig, SESSION_EV_CREDENTIAL);
            if (i == 0)
                rig_tick(&rig);
        }
        session_status(&rig.session, &status);
        assert_true(utf8_valid(status.reason, strlen(status.reason)));
    }
}

static void reason_has_the_explanation(void **state)
{
    struct rig rig;
    struct profile_end end = fake_close(4001, "expired");
    (void)state;
    rig_init(&rig);
    rig_start_live(&rig);
    rig_end(&rig, SESSION_EV_LINK_CLOSED, &end);
    assert_string_equal(rig_did(&rig, SESSION_DO_STATE)->text,
                        "close 4001: expired (token expired. Fix: renew it)");
}

/* ---- names and traces ---- */

static void names_are_the_contracts(void **state)
{
    (void)state;
    assert_string_equal(session_state_name(SESSION_CATCHING_UP), "catching-up");
    assert_string_equal(session_state_name(SESSION_STOPPED), "stopped");
    assert_string_equal(session_gap_name(SESSION_GAP_NO_RESUME), "no_resume");
    assert_string_equal(session_event_name(SESSION_EV_RECONNECT), "RECONNECT");
    assert_string_equal(session_action_name(SESSION_DO_LINK_PING), "LINK_PING");
}

static void trace_lines_are_cut_not_overrun(void **state)
{
    struct session_action action = {.kind = SESSION_DO_STATE,
                                    .from = SESSION_WAITING,
                                    .to = SESSION_DIALING,
                                    .retry_ms = -1,
                                    .text = "why"};
    char line[64], small[8];
    (void)state;
    assert_int_equal(session_trace_action(&action, line, sizeof(line)), 23);
    assert_string_equal(line, "waiting > dialing (why)");
    assert_int_equal(session_trace_action(&action, small, sizeof(small)), 7);
    assert_string_equal(small, "waiting");
    assert_int_equal(session_trace_action(&action, small, 0), 0);
    action.retry_ms = 1930;
    session_trace_action(&action, line, sizeof(line));
    assert_string_equal(line, "waiting > dialing (why), next in 1930 ms");
    action = (struct session_action){.kind = SESSION_DO_HTTP_START, .request = 4, .use_next = true};
    session_trace_action(&action, line, sizeof(line));
    assert_string_equal(line, "HTTP_START request=4 next");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_that_is_waited_for_is_told),
        cmocka_unit_test(the_limit_of_a_handover_is_told),
        cmocka_unit_test(reason_is_cut_at_a_character),
        cmocka_unit_test(reason_has_the_explanation),
        cmocka_unit_test(names_are_the_contracts),
        cmocka_unit_test(trace_lines_are_cut_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
