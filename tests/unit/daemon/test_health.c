#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "daemon/health.h"

static struct health health;

static void enter(enum session_state from, enum session_state to, const char *why, int64_t now_ms)
{
    struct session_action action = {.from = from, .to = to};
    snprintf(action.text, sizeof(action.text), "%s", why);
    health_state(&health, &action, "", now_ms);
}

static void test_coming_up_is_well(void **state)
{
    health_init(&health, 1000);
    assert_int_equal(health.down_ms, 1000);
    assert_true(health_well(&health, SESSION_STARTING));
    enter(SESSION_STARTING, SESSION_DIALING, "start", 1010);
    assert_true(health_well(&health, SESSION_DIALING));
    enter(SESSION_DIALING, SESSION_LIVE, "open", 1020);
    assert_true(health_well(&health, SESSION_LIVE));
    assert_int_equal(health.down_ms, -1);
}

static void test_ill_from_a_failure_until_it_delivers(void **state)
{
    health_init(&health, 0);
    enter(SESSION_DIALING, SESSION_LIVE, "open", 10);
    enter(SESSION_LIVE, SESSION_WAITING, "close 1006", 500);
    assert_false(health_well(&health, SESSION_WAITING));
    enter(SESSION_WAITING, SESSION_DIALING, "attempt 1", 600);
    assert_false(health_well(&health, SESSION_DIALING));
    assert_string_equal(health.trouble, "close 1006");
    enter(SESSION_DIALING, SESSION_WAITING, "tcp", 700);
    assert_string_equal(health.trouble, "tcp");
    assert_int_equal(health.down_ms, 500);
    enter(SESSION_OPENING, SESSION_CATCHING_UP, "", 800);
    assert_false(health_well(&health, SESSION_CATCHING_UP));
    enter(SESSION_CATCHING_UP, SESSION_LIVE, "", 900);
    assert_true(health_well(&health, SESSION_LIVE));
    assert_string_equal(health.trouble, "");
}

static void test_a_pause_is_no_illness(void **state)
{
    health_init(&health, 0);
    enter(SESSION_LIVE, SESSION_WAITING, "close 1006", 10);
    enter(SESSION_WAITING, SESSION_PAUSED, "by request", 20);
    assert_true(health_well(&health, SESSION_PAUSED));
    enter(SESSION_PAUSED, SESSION_WAITING, "resume", 30);
    assert_string_equal(health.trouble, ""); /* that was no failure */
    enter(SESSION_WAITING, SESSION_DIALING, "resume", 31);
    assert_true(health_well(&health, SESSION_DIALING));
}

static void test_a_limit_is_no_reason(void **state)
{
    struct session_action action = {.from = SESSION_WAITING, .to = SESSION_WAITING};
    health_init(&health, 0);
    enter(SESSION_LIVE, SESSION_WAITING, "close 1012", 10);
    snprintf(action.text, sizeof(action.text), "limits.connects: 2 of 2");
    health_state(&health, &action, "limits.connects: 2 of 2", 20);
    assert_string_equal(health.trouble, "close 1012");
    assert_false(health_well(&health, SESSION_WAITING));
}

static void note(uint64_t messages, int64_t last_ms, int64_t now_ms, bool sample)
{
    struct stream_stats stats = {.messages = messages, .last_ms = last_ms};
    health_note(&health, &stats, now_ms, sample);
}

static void test_the_rate_is_of_the_last_minute(void **state)
{
    health_init(&health, 0);
    assert_true(health_rate(&health, 5) == 0);
    note(0, -1, 0, true);
    assert_true(health_rate(&health, 0) == 0);
    for (int i = 1; i <= 100; i++)
        note((uint64_t)i * 10, i * 5000, i * (int64_t)HEALTH_SAMPLE_MS, true);
    assert_true(health_rate(&health, 100 * HEALTH_SAMPLE_MS) == 2.0);
    /* Then nothing comes: after a minute the rate is 0. */
    for (int i = 101; i <= 112; i++)
        note(1000, 500000, i * (int64_t)HEALTH_SAMPLE_MS, true);
    assert_true(health_rate(&health, 112 * HEALTH_SAMPLE_MS) == 0);
}

static void test_when_the_last_message_came(void **state)
{
    health_init(&health, 0);
    note(0, -1, 10, false);
    assert_int_equal(health.heard_ms, -1);
    note(1, 15, 20, false);
    assert_int_equal(health.heard_ms, 15);
    note(1, -1, 30, false); /* a new link, on which nothing came yet */
    assert_int_equal(health.heard_ms, 15);
    note(2, -1, 40, true); /* by the fallback, whose times are not known so exactly */
    assert_int_equal(health.heard_ms, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coming_up_is_well),
        cmocka_unit_test(test_ill_from_a_failure_until_it_delivers),
        cmocka_unit_test(test_a_pause_is_no_illness),
        cmocka_unit_test(test_a_limit_is_no_reason),
        cmocka_unit_test(test_the_rate_is_of_the_last_minute),
        cmocka_unit_test(test_when_the_last_message_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
