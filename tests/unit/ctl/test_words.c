#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/words.h"

static struct profile profile = {
    .backoff = {.steps_ms = {0, 1000, 30000}, .n_steps = 3},
    .park_probe_ms = 3600000,
    .auth = {.refresh = PROFILE_NONE},
};

static void check(enum profile_policy_kind kind, int64_t delay_ms, const char *expected)
{
    struct profile_policy_action action = {kind, delay_ms};
    struct buf out;
    buf_init(&out, 4096);
    words_action(&profile, &action, &out);
    if (strncmp(buf_cstr(&out), expected, strlen(expected)) != 0)
        assert_string_equal(buf_cstr(&out), expected);
    buf_fini(&out);
}

static void test_actions(void **state)
{
    check(PROFILE_POLICY_RETRY, 0, "reconnects after the backoff: at once, 1s, 30s");
    check(PROFILE_POLICY_RETRY, 5000,
          "reconnects after the backoff: at once, 1s, 30s; not before 5s");
    check(PROFILE_POLICY_HOLD, 300000, "rests for 5m");
    check(PROFILE_POLICY_REFRESH, 0, "reads the credential anew");
    profile.auth.refresh = 0;
    check(PROFILE_POLICY_REFRESH, 0, "gets a fresh credential by the profile's [auth]");
    check(PROFILE_POLICY_FALLBACK, 0, "rests for 5m, since the profile has no fallback");
    profile.fallback.exists = true;
    profile.fallback.name = "poll";
    profile.fallback.retry_primary_ms = 60000;
    check(PROFILE_POLICY_FALLBACK, 0,
          "goes to the fallback poll, which delivers while the "
          "WebSocket is tried every 1m");
    check(PROFILE_POLICY_PARK, 0,
          "parks: nothing is tried until someone acts, or credential or "
          "configuration change; but one quiet attempt after 1h");
}

static void test_flaps(void **state)
{
    struct profile_flap flap = {
        .action = {PROFILE_POLICY_HOLD, 60000}, .count = 3, .period_ms = 120000};
    struct profile_policy_action retry = {PROFILE_POLICY_RETRY, 0}, park = {PROFILE_POLICY_PARK, 0},
                                 longer = {PROFILE_POLICY_HOLD, 60000},
                                 shorter = {PROFILE_POLICY_HOLD, 59999};
    struct buf out;
    assert_true(words_flap_matters(&flap, &retry));
    assert_false(words_flap_matters(&flap, &park));
    assert_false(words_flap_matters(&flap, &longer));
    assert_true(words_flap_matters(&flap, &shorter));
    buf_init(&out, 4096);
    words_flap(&profile, &flap, &out);
    assert_non_null(strstr(buf_cstr(&out), "3 times within 2m: rests for 1m"));
    buf_fini(&out);
}

static void test_tls(void **state)
{
    assert_null(words_tls("none"));
    assert_null(words_tls("1006"));
    for (size_t i = 0; words_tls_fault(i) != NULL; i++) {
        const char *text = words_tls(words_tls_fault(i));
        assert_non_null(text);
        assert_non_null(strstr(text, ". Fix: "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_flaps),
        cmocka_unit_test(test_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
