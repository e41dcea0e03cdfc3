/* Which action follows which end: the built-in rows, a profile's own, flaps, and explanations. */
#include "unit/profile/support.h"

static const char *const no_keys[] = {NULL};

#define MINUTE_MS 60000

static struct profile_end close_end(int code)
{
    return (struct profile_end){.kind = PROFILE_END_CLOSE, .code = code, .retry_after_ms = -1};
}

static struct profile_end status_end(int code)
{
    return (struct profile_end){.kind = PROFILE_END_STATUS, .code = code, .retry_after_ms = -1};
}

static struct profile_end failure_end(enum profile_failure failure, enum profile_phase phase)
{
    return (struct profile_end){
        .kind = PROFILE_END_FAILURE, .failure = failure, .phase = phase, .retry_after_ms = -1};
}

static void assert_policy(const struct profile *profile, const struct profile_end *end,
                          enum profile_policy_kind kind, int64_t delay_ms)
{
    const struct profile_policy_action *action = profile_policy(profile, end, NULL);
    char what[64];

    assert_non_null(action);
    profile_end_describe(end, what, sizeof(what));
    if (action->kind != kind || action->delay_ms != delay_ms)
        fail_msg("%s: got %s %lld, want %s %lld", what, profile_policy_name(action->kind),
                 (long long)action->delay_ms, profile_policy_name(kind), (long long)delay_ms);
}

/* ---- built in ---- */

static void test_default_closes(void **state)
{
    static const struct {
        int code;
        enum profile_policy_kind kind;
        int64_t delay_ms;
    } table[] = {
        {1000, PROFILE_POLICY_RETRY, 5000},
        {1001, PROFILE_POLICY_RETRY, 5000},
        {1002, PROFILE_POLICY_RETRY, 0},
        {1003, PROFILE_POLICY_RETRY, 0},
        {1004, PROFILE_POLICY_RETRY, 0},
        {1005, PROFILE_POLICY_RETRY, 0},
        {1006, PROFILE_POLICY_RETRY, 0},
        {1007, PROFILE_POLICY_RETRY, 0},
        {1008, PROFILE_POLICY_HOLD, 5 * MINUTE_MS},
        {1009, PROFILE_POLICY_RETRY, 0},
        {1010, PROFILE_POLICY_RETRY, 0},
        {1011, PROFILE_POLICY_RETRY, 0},
        {1012, PROFILE_POLICY_RETRY, 0},
        {1013, PROFILE_POLICY_RETRY, 0},
        {1014, PROFILE_POLICY_RETRY, 0},
        {1015, PROFILE_POLICY_RETRY, 0},
        {2999, PROFILE_POLICY_RETRY, 0},
        {3000, PROFILE_POLICY_RETRY, 0},
        {4999, PROFILE_POLICY_RETRY, 0},
        {0, PROFILE_POLICY_RETRY, 0},
        {65535, PROFILE_POLICY_RETRY, 0},
    };
    struct loaded l = load_ok(CONNECT, no_keys);

    for (size_t i = 0; i < COUNT(table); i++) {
        struct profile_end end = close_end(table[i].code);

        assert_policy(l.profile, &end, table[i].kind, table[i].delay_ms);
        end.local = true;
        assert_policy(l.profile, &end, table[i].kind, table[i].delay_ms);
    }
    unload(&l);
}

static void test_default_statuses(void **state)
{
    static const struct {
        int code;
        enum profile_policy_kind kind;
        int64_t delay_ms;
    } table[] = {
        {200, PROFILE_POLICY_HOLD, 5 * MINUTE_MS}, {302, PROFILE_POLICY_HOLD, 5 * MINUTE_MS},
        {400, PROFILE_POLICY_HOLD, 5 * MINUTE_MS}, {401, PROFILE_POLICY_REFRESH, 0},
        {402, PROFILE_POLICY_HOLD, 5 * MINUTE_MS}, {403, PROFILE_POLICY_HOLD, 5 * MINUTE_MS},
        {404, PROFILE_POLICY_HOLD, 5 * MINUTE_MS}, {405, PROFILE_POLICY_HOLD, 5 * MINUTE_MS},
        {407, PROFILE_POLICY_HOLD, 5 * MINUTE_MS}, {408, PROFILE_POLICY_RETRY_AFTER, 0},
        {426, PROFILE_POLICY_FALLBACK, 0},         {429, PROFILE_POLICY_RETRY_AFTER, 0},
        {500, PROFILE_POLICY_RETRY_AFTER, 0},      {501, PROFILE_POLICY_FALLBACK, 0},
        {502, PROFILE_POLICY_RETRY_AFTER, 0},      {503, PROFILE_POLICY_RETRY_AFTER, 0},
        {599, PROFILE_POLICY_RETRY_AFTER, 0},      {600, PROFILE_POLICY_HOLD, 5 * MINUTE_MS},
    };
    struct loaded l = load_ok(CONNECT, no_keys);

    for (size_t i = 0; i < COUNT(table); i++) {
        struct profile_end end = status_end(table[i].code);

        assert_policy(l.profile, &end, table[i].kind, table[i].delay_ms);
    }
    unload(&l);
}

static void test_default_failures(void **state)
{
    static const struct {
        enum profile_failure failure;
        enum profile_policy_kind kind;
        int64_t delay_ms;
    } table[] = {
        {PROFILE_FAILURE_DNS, PROFILE_POLICY_RETRY, 0},
        {PROFILE_FAILURE_TCP, PROFILE_POLICY_RETRY, 0},
        {PROFILE_FAILURE_TLS, PROFILE_POLICY_HOLD, 5 * MINUTE_MS},
        {PROFILE_FAILURE_STRIPPED, PROFILE_POLICY_FALLBACK, 0},
        {PROFILE_FAILURE_HANDSHAKE, PROFILE_POLICY_HOLD, 5 * MINUTE_MS},
        {PROFILE_FAILURE_TIMEOUT, PROFILE_POLICY_RETRY, 0},
        {PROFILE_FAILURE_CREDENTIAL, PROFILE_POLICY_PARK, 0},
        {PROFILE_FAILURE_HTTP, PROFILE_POLICY_RETRY, 0},
        {PROFILE_FAILURE_PROXY, PROFILE_POLICY_RETRY_AFTER, 0},
        {PROFILE_FAILURE_CONFIG, PROFILE_POLICY_PARK, 0},
    };
    struct loaded l = load_ok(CONNECT, no_keys);

    for (size_t i = 0; i < COUNT(table); i++) {
        struct profile_end end = failure_end(table[i].failure, PROFILE_PHASE_TLS);

        assert_policy(l.profile, &end, table[i].kind, table[i].delay_ms);
    }
    unload(&l);
}

static void assert_flap(const struct profile *profile, unsigned i, enum profile_end_kind kind,
                        int from, int to, unsigned count, int64_t period_ms,
                        enum profile_policy_kind action, int64_t delay_ms)
{
    const struct profile_flap *flap = &profile->flaps[i];

    assert_true(i < profile->n_flaps);
    assert_int_equal(flap->kind, kind);
    assert_int_equal(flap->code_from, from);
    assert_int_equal(flap->code_to, to);
    assert_int_equal(flap->count, count);
    assert_int_equal(flap->period_ms, period_ms);
    assert_int_equal(flap->action.kind, action);
    assert_int_equal(flap->action.delay_ms, delay_ms);
}

static void test_default_flaps(void **state)
{
    static const int ten_minutes[] = {1002, 1003, 1007, 1010};
    struct loaded l = load_ok(CONNECT, no_keys);

    assert_int_equal(l.profile->n_flaps, 8);
    for (unsigned i = 0; i < 4; i++)
        assert_flap(l.profile, i, PROFILE_END_CLOSE, ten_minutes[i], ten_minutes[i], 3,
                    10 * MINUTE_MS, PROFILE_POLICY_PARK, 0);
    assert_flap(l.profile, 4, PROFILE_END_CLOSE, 1008, 1008, 3, 60 * MINUTE_MS, PROFILE_POLICY_PARK,
                0);
    assert_flap(l.profile, 5, PROFILE_END_CLOSE, 3000, 4999, 5, 5 * MINUTE_MS, PROFILE_POLICY_HOLD,
                5 * MINUTE_MS);
    assert_flap(l.profile, 6, PROFILE_END_STATUS, 403, 403, 3, 60 * MINUTE_MS, PROFILE_POLICY_PARK,
                0);
    assert_flap(l.profile, 7, PROFILE_END_STATUS, 407, 407, 3, 60 * MINUTE_MS, PROFILE_POLICY_PARK,
                0);
    unload(&l);
}

/* ---- a profile's own ---- */

static void test_most_exact_row_wins(void **state)
{
    struct loaded l = load_ok(CONNECT "[close]\ndefault = hold 1s\n4000-4999 = hold 2s\n"
                                      "4003 = hold 3s\nlocal/4003 = hold 4s\n"
                                      "4003/too many = hold 5s\nnone = hold 6s\n"
                                      "4003/too many cooks = hold 7s\n1008 = retry\n",
                              no_keys);
    struct profile_end end = close_end(1000);

    /* Its default stands above all that is built in. */
    assert_policy(l.profile, &end, PROFILE_POLICY_HOLD, 1000);
    end = close_end(4000);
    assert_policy(l.profile, &end, PROFILE_POLICY_HOLD, 2000);
    end = close_end(4003);
    assert_policy(l.profile, &end, PROFILE_POLICY_HOLD, 3000);
    end.local = true;
    assert_policy(l.profile, &end, PROFILE_POLICY_HOLD, 4000);
    snprintf(end.text, sizeof(end.text), "there are too many cooks");
    assert_policy(l.profile, &end, PROFILE_POLICY_HOLD, 5000);
    end.code = 4004;
    assert_policy(l.profile, &end, PROFILE_POLICY_HOLD, 2000);
    end = close_end(1006);
    assert_policy(l.profile, &end, PROFILE_POLICY_HOLD, 6000);
    end.local = true;
    assert_policy(l.profile, &end, PROFILE_POLICY_HOLD, 6000);
    end = close_end(1008);
    assert_policy(l.profile, &end, PROFILE_POLICY_RETRY, 0);
    unload(&l);
}

/* The words that a row looks for may stand anywhere in a refusal's body; a text holds but a part.
 */
static void test_words_of_a_refusal(void **state)
{
    struct loaded l =
        load_ok(CONNECT "[status]\n403/key unknown = park\n403/over quota = hold 1h\n", no_keys);
    char page[2048];
    struct slice body = slice_make(page, sizeof page), words;

    for (size_t at = 10; at + 11 <= sizeof page; at++) {
        memset(page, 'x', sizeof page);
        memcpy(page + at, "key unknown", 11);
        words = profile_status_words(l.profile, 403, body);
        if (at + 11 <= 200)
            assert_ptr_equal(words.ptr, page);
        else
            assert_ptr_equal(words.ptr, page + at - 40);
        assert_ptr_equal(words.ptr + words.len, page + sizeof page);
        words = profile_status_words(l.profile, 404, body);
        assert_ptr_equal(words.ptr, page);
    }
    memset(page, 'x', sizeof page);
    memcpy(page + 1000, "over quota", 10);
    memcpy(page + 958, "\xe2\x82\xac", 3); /* its last byte is where the words' lead begins */
    words = profile_status_words(l.profile, 403, body);
    assert_ptr_equal(words.ptr, page + 961);
    words = profile_status_words(l.profile, 403, SLICE(""));
    assert_int_equal(words.len, 0);
    unload(&l);
}

static void test_own_rows_of_each_kind(void **state)
{
    struct loaded l = load_ok(CONNECT "[status]\n401 = park\n403/credit = hold 1h\n"
                                      "500-503 = forget\n"
                                      "[failure]\ntls = park\ntimeout = hold 1s\n"
                                      "timeout/live = refresh\ndefault = retry 9s\n",
                              no_keys);
    struct profile_end end = status_end(401);

    assert_policy(l.profile, &end, PROFILE_POLICY_PARK, 0);
    end = status_end(403);
    assert_policy(l.profile, &end, PROFILE_POLICY_HOLD, 5 * MINUTE_MS);
    snprintf(end.text, sizeof(end.text), "{\"e\":\"credit_limit\"}");
    assert_policy(l.profile, &end, PROFILE_POLICY_HOLD, 60 * MINUTE_MS);
    end = status_end(503);
    assert_policy(l.profile, &end, PROFILE_POLICY_FORGET, 0);
    end = status_end(504);
    assert_policy(l.profile, &end, PROFILE_POLICY_RETRY_AFTER, 0);
    end = failure_end(PROFILE_FAILURE_TLS, PROFILE_PHASE_DNS);
    assert_policy(l.profile, &end, PROFILE_POLICY_PARK, 0);
    end = failure_end(PROFILE_FAILURE_TIMEOUT, PROFILE_PHASE_TCP);
    assert_policy(l.profile, &end, PROFILE_POLICY_HOLD, 1000);
    end = failure_end(PROFILE_FAILURE_TIMEOUT, PROFILE_PHASE_LIVE);
    assert_policy(l.profile, &end, PROFILE_POLICY_REFRESH, 0);
    end = failure_end(PROFILE_FAILURE_CREDENTIAL, PROFILE_PHASE_DNS);
    assert_policy(l.profile, &end, PROFILE_POLICY_RETRY, 9000);
    /* A text that fills its array has no end but the array's. */
    end = status_end(403);
    memset(end.text, 'x', sizeof(end.text));
    memcpy(end.text + sizeof(end.text) - 6, "credit", 6);
    assert_policy(l.profile, &end, PROFILE_POLICY_HOLD, 60 * MINUTE_MS);
    unload(&l);
}

static void test_own_flaps(void **state)
{
    struct loaded l = load_ok(CONNECT "[close]\nflap =\n  4003 3/2m hold 10m\n\n"
                                      "[status]\nflap = 400-499 2/7d park\n"
                                      "[failure]\nflap = dns 16/1s retry 1m\n",
                              no_keys);

    assert_flap(l.profile, 0, PROFILE_END_CLOSE, 4003, 4003, 3, 2 * MINUTE_MS, PROFILE_POLICY_HOLD,
                10 * MINUTE_MS);
    assert_flap(l.profile, 1, PROFILE_END_STATUS, 400, 499, 2, 7 * 24 * 60 * MINUTE_MS,
                PROFILE_POLICY_PARK, 0);
    assert_flap(l.profile, 2, PROFILE_END_FAILURE, PROFILE_FAILURE_DNS, PROFILE_FAILURE_DNS, 16,
                1000, PROFILE_POLICY_RETRY, MINUTE_MS);
    /* 403 and 407 are covered by the second, 3000-4999 is not by the first. */
    assert_int_equal(l.profile->n_flaps, 3 + 6);
    assert_flap(l.profile, 8, PROFILE_END_CLOSE, 3000, 4999, 5, 5 * MINUTE_MS, PROFILE_POLICY_HOLD,
                5 * MINUTE_MS);
    unload(&l);
}

static void test_number_of_flaps(void **state)
{
    char text[1024] = CONNECT "[close]\nflap =\n";
    struct loaded l;

    for (int i = 0; i < 8; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "  %d 2/1s park\n", 1100 + i);
    l = load_ok(text, no_keys);
    assert_int_equal(l.profile->n_flaps, PROFILE_FLAPS_MAX);
    unload(&l);
    strcat(text, "  1200 2/1s park\n");
    check_fault(text, no_keys, "test.ini:1: more than 16 flap lines, the built-in ones counted");
    for (int i = 0; i < 8; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "  %d 2/1s park\n", 1300 + i);
    l = load_text(text, no_keys);
    assert_int_equal(l.rc, ERR_PARSE);
    assert_non_null(strstr(diag_get(l.diag, 1), "test.ini:4: flap: more than 16 lines in all"));
    unload(&l);
}

/* ---- what is refused ---- */

struct bad {
    const char *line, *fault;
};

static void check_lines(const char *section, const struct bad *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[256], fault[256];

        snprintf(text, sizeof(text), CONNECT "[%s]\n%s\n", section, table[i].line);
        snprintf(fault, sizeof(fault), "test.ini:4: %s", table[i].fault);
        check_fault(text, no_keys, fault);
    }
}

static void test_bad_closes(void **state)
{
    static const struct bad table[] = {
        {"1006 = ", "1006: no action; write one, such as `retry` or `hold 5m`"},
        {"1006 = retyr", "1006: unknown action `retyr`; did you mean `retry`?"},
        {"1006 = fallback 5m", "1006: `fallback` takes nothing behind it"},
        {"1006 = park now", "1006: `park` takes nothing behind it"},
        {"1006 = retry-after 5s", "1006: `retry-after` takes nothing behind it"},
        {"1006 = hold", "1006: `hold` takes a duration such as 30s or 5m, not ``"},
        {"1006 = retry 5", "1006: `retry` takes a duration such as 30s or 5m, not `5`"},
        {"999 = park", "999: `999` is not from 1000 to 4999"},
        {"5000 = park", "5000: `5000` is not from 1000 to 4999"},
        {"4999-5000 = park", "4999-5000: `5000` is not from 1000 to 4999"},
        {"1002-1001 = park", "1002-1001: `1002-1001` ends before it begins"},
        {"1002- = park", "1002-: `` is no close code; write CODE, FROM-TO, CODE/substring, none, "
                         "local/CODE or default"},
        {"1002/ = park", "1002/: nothing stands behind the \"/\" of `1002/`"},
        {"local/x = park", "local/x: `x` is no close code; write CODE, FROM-TO, CODE/substring, "
                           "none, local/CODE or default"},
        {"nnoe = park", "nnoe: `nnoe` is no close code; write CODE, FROM-TO, CODE/substring, none, "
                        "local/CODE or default"},
        {"flap = 4003", "flap: flap: `` is no N/PERIOD, such as 3/2m"},
    };

    check_lines("close", table, COUNT(table));
}

static void test_bad_statuses(void **state)
{
    static const struct bad table[] = {
        {"99 = park", "99: `99` is not from 100 to 599"},
        {"600 = park", "600: `600` is not from 100 to 599"},
        {"4xx = park",
         "4xx: `4xx` is no HTTP status; write CODE, FROM-TO, CODE/substring or default"},
        {"none = park",
         "none: `none` is no HTTP status; write CODE, FROM-TO, CODE/substring or default"},
    };

    check_lines("status", table, COUNT(table));
}

static void test_bad_failures(void **state)
{
    static const struct bad table[] = {
        {"dsn = park", "dsn: unknown failure `dsn`; did you mean `dns`?"},
        {"defalt = park", "defalt: unknown failure `defalt`; did you mean `default`?"},
        {"proxi = park", "proxi: unknown failure `proxi`; did you mean `proxy`?"},
        {"tcp/tls = park", "tcp/tls: only `timeout` has a phase behind a \"/\""},
        {"timeout/upgrad = park",
         "timeout/upgrad: unknown phase `upgrad`; did you mean `upgrade`?"},
        {"timeout/ = park", "timeout/: unknown phase ``"},
    };

    check_lines("failure", table, COUNT(table));
}

static void test_bad_flaps(void **state)
{
    static const struct bad table[] = {
        {"flap = x 3/2m park", "flap: flap: `x` is no close code; write CODE, FROM-TO, "
                               "CODE/substring, none, local/CODE or default"},
        {"flap = default 3/2m park", "flap: flap: `default` is neither CODE nor FROM-TO"},
        {"flap = local/1002 3/2m park", "flap: flap: `local/1002` is neither CODE nor FROM-TO"},
        {"flap = 1002/x 3/2m park", "flap: flap: `1002/x` is neither CODE nor FROM-TO"},
        {"flap = 1002 3 park", "flap: flap: `3` is no N/PERIOD, such as 3/2m"},
        {"flap = 1002 x/2m park", "flap: flap: `x/2m` is no N/PERIOD, such as 3/2m"},
        {"flap = 1002 3/2 park", "flap: flap: `3/2` is no N/PERIOD, such as 3/2m"},
        {"flap = 1002 3/0 park", "flap: flap: the period of `3/0` must be longer than 0"},
        {"flap = 1002 1/2m park", "flap: flap: a flap counts from 2 to 16, not `1/2m`"},
        {"flap = 1002 17/2m park", "flap: flap: a flap counts from 2 to 16, not `17/2m`"},
        {"flap = 1002 3/2m", "flap: flap: no action; write one, such as `retry` or `hold 5m`"},
        {"flap = 1002 3/2m prak", "flap: flap: unknown action `prak`; did you mean `park`?"},
    };

    check_lines("close", table, COUNT(table));
}

/* ---- explanations ---- */

static void test_builtin_explanations(void **state)
{
    struct loaded l = load_ok(CONNECT, no_keys);
    struct profile_end end;
    const char *text;

    for (int code = 1000; code <= 4999; code++) {
        end = close_end(code);
        profile_policy(l.profile, &end, &text);
        assert_non_null(strstr(text, ". Fix: "));
    }
    for (int code = 100; code <= 599; code++) {
        end = status_end(code);
        profile_policy(l.profile, &end, &text);
        assert_non_null(strstr(text, ". Fix: "));
    }
#define X(id, name)                                                                                \
    end = failure_end(PROFILE_FAILURE_##id, PROFILE_PHASE_HTTP);                                   \
    profile_policy(l.profile, &end, &text);                                                        \
    assert_non_null(strstr(text, ". Fix: "));
    PROFILE_FAILURES(X)
#undef X
#define X(id, name)                                                                                \
    end = failure_end(PROFILE_FAILURE_TIMEOUT, PROFILE_PHASE_##id);                                \
    profile_policy(l.profile, &end, &text);                                                        \
    assert_non_null(strstr(text, ". Fix: "));
    PROFILE_PHASES(X)
#undef X
    end = status_end(600);
    profile_policy(l.profile, &end, &text);
    assert_null(text);
    unload(&l);
}

static void test_own_explanations(void **state)
{
    struct loaded l = load_ok(CONNECT "[explain]\n1006 = A\n4000-4002 = B\n401 = C\n"
                                      "401/SW_X = D\nlocal/1002 = E\nnone = F\ndns = G\n"
                                      "timeout/live = H\n",
                              no_keys);
    struct {
        struct profile_end end;
        const char *text;
    } table[] = {
        {close_end(1006), "A"},
        {close_end(4001), "B"},
        {status_end(401), "C"},
        {failure_end(PROFILE_FAILURE_DNS, PROFILE_PHASE_DNS), "G"},
        {failure_end(PROFILE_FAILURE_TIMEOUT, PROFILE_PHASE_LIVE), "H"},
    };
    struct profile_end end;
    const char *text;

    for (size_t i = 0; i < COUNT(table); i++) {
        profile_policy(l.profile, &table[i].end, &text);
        assert_string_equal(text, table[i].text);
    }
    end = status_end(401);
    snprintf(end.text, sizeof(end.text), "{\"code\":\"SW_X\"}");
    profile_policy(l.profile, &end, &text);
    assert_string_equal(text, "D");
    end = close_end(1002);
    end.local = true;
    profile_policy(l.profile, &end, &text);
    assert_string_equal(text, "E");
    end = failure_end(PROFILE_FAILURE_TIMEOUT, PROFILE_PHASE_TCP);
    profile_policy(l.profile, &end, &text);
    assert_non_null(strstr(text, "no address"));
    unload(&l);
}

static void test_bad_explanations(void **state)
{
    static const struct bad table[] = {
        {"default = x", "default: `default` explains nothing; name a code or a failure"},
        {"99 = x", "99: `99` is not from 100 to 599"},
        {"5000 = x", "5000: `5000` is not from 1000 to 4999"},
        {"tsl = x", "tsl: unknown failure `tsl`; did you mean `tls`?"},
    };

    check_lines("explain", table, COUNT(table));
}

/* ---- names ---- */

static void test_describe(void **state)
{
    struct {
        struct profile_end end;
        const char *text;
    } table[] = {
        {close_end(1006), "close 1006"},
        {status_end(403), "status 403"},
        {failure_end(PROFILE_FAILURE_DNS, PROFILE_PHASE_TLS), "dns"},
        {failure_end(PROFILE_FAILURE_TIMEOUT, PROFILE_PHASE_UPGRADE), "timeout in upgrade"},
    };
    struct profile_end end = close_end(1002);
    char out[64], small[6];

    for (size_t i = 0; i < COUNT(table); i++) {
        assert_int_equal(profile_end_describe(&table[i].end, out, sizeof(out)),
                         strlen(table[i].text));
        assert_string_equal(out, table[i].text);
    }
    assert_int_equal(profile_end_describe(&end, small, sizeof(small)), 5);
    assert_string_equal(small, "close");
    assert_string_equal(profile_policy_name(PROFILE_POLICY_RETRY_AFTER), "retry-after");
    assert_string_equal(profile_failure_name(PROFILE_FAILURE_STRIPPED), "stripped");
    assert_string_equal(profile_phase_name(PROFILE_PHASE_LIVE), "live");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_closes),
        cmocka_unit_test(test_default_statuses),
        cmocka_unit_test(test_default_failures),
        cmocka_unit_test(test_default_flaps),
        cmocka_unit_test(test_most_exact_row_wins),
        cmocka_unit_test(test_words_of_a_refusal),
        cmocka_unit_test(test_own_rows_of_each_kind),
        cmocka_unit_test(test_own_flaps),
        cmocka_unit_test(test_number_of_flaps),
        cmocka_unit_test(test_bad_closes),
        cmocka_unit_test(test_bad_statuses),
        cmocka_unit_test(test_bad_failures),
        cmocka_unit_test(test_bad_flaps),
        cmocka_unit_test(test_builtin_explanations),
        cmocka_unit_test(test_own_explanations),
        cmocka_unit_test(test_bad_explanations),
        cmocka_unit_test(test_describe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
