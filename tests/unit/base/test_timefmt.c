#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#include "base/error.h"
#include "base/rng.h"
#include "base/timefmt.h"

#define SECOND_US INT64_C(1000000)

static void assert_time(int64_t unix_us, const char *expected)
{
    char out[32];

    assert_int_equal(time_format_us(unix_us, out), 27);
    assert_string_equal(out, expected);
}

static void known_times(void **state)
{
    (void)state;
    assert_time(0, "1970-01-01T00:00:00.000000Z");
    assert_time(-1, "1969-12-31T23:59:59.999999Z");
    assert_time(1779023403 * SECOND_US + 123456, "2026-05-17T13:10:03.123456Z");
    assert_time(951782400 * SECOND_US, "2000-02-29T00:00:00.000000Z");
    assert_time(951868800 * SECOND_US - 1, "2000-02-29T23:59:59.999999Z");
    assert_time(951868800 * SECOND_US, "2000-03-01T00:00:00.000000Z");
    assert_time(4107542400 * SECOND_US - 1, "2100-02-28T23:59:59.999999Z");
    assert_time(4107542400 * SECOND_US, "2100-03-01T00:00:00.000000Z");
}

static void times_outside_four_digit_years_are_held(void **state)
{
    const int64_t first = -62167219200 * SECOND_US;
    const int64_t last = 253402300800 * SECOND_US - 1;

    (void)state;
    assert_time(first, "0000-01-01T00:00:00.000000Z");
    assert_time(first - 1, "0000-01-01T00:00:00.000000Z");
    assert_time(INT64_MIN, "0000-01-01T00:00:00.000000Z");
    assert_time(last, "9999-12-31T23:59:59.999999Z");
    assert_time(last + 1, "9999-12-31T23:59:59.999999Z");
    assert_time(INT64_MAX, "9999-12-31T23:59:59.999999Z");
}

static void agrees_with_libc(int64_t seconds)
{
    char expected[128];
    time_t when = (time_t)seconds;
    struct tm tm;

    assert_non_null(gmtime_r(&when, &tm));
    snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d.000007Z", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    assert_time(seconds * SECOND_US + 7, expected);
}

static void every_day_agrees_with_libc(void **state)
{
    struct rng r;

    (void)state;
    rng_seed(&r, 11);
    for (int64_t day = -719528; day < 2932897; day += 1 + (int64_t)rng_below(&r, 40))
        agrees_with_libc(day * 86400 + (int64_t)rng_below(&r, 86400));
    for (int64_t day = 0; day < 366 * 140; day++)
        agrees_with_libc(day * 86400);
}

static void assert_parsed(const char *text, int64_t unix_us)
{
    int64_t got = -7;

    assert_int_equal(time_parse_us(slice_str(text), &got), 0);
    assert_true(got == unix_us);
}

static void times_are_read(void **state)
{
    const int64_t noon = 1779023403 * SECOND_US;
    char out[32];
    struct rng r;

    (void)state;
    assert_parsed("2026-05-17T13:10:03Z", noon);
    assert_parsed("2026-05-17T13:10:03.123456Z", noon + 123456);
    assert_parsed("2026-05-17t13:10:03.5z", noon + 500000);
    assert_parsed("2026-05-17 13:10:03.123456789Z", noon + 123456);
    assert_parsed("2026-05-17T15:10:03+02:00", noon);
    assert_parsed("2026-05-17T12:40:03.000001-00:30", noon + 1);
    rng_seed(&r, 12);
    for (unsigned i = 0; i < 20000; i++) {
        int64_t us = (int64_t)rng_below(&r, 250000000000u) * SECOND_US +
                     (int64_t)rng_below(&r, 1000000) - 60000000000 * SECOND_US;

        time_format_us(us, out);
        assert_parsed(out, us);
    }
}

static void times_that_are_none(void **state)
{
    static const char *const bad[] = {
        "",
        "2026-05-17",
        "2026-05-17T13:10:03",
        "2026-05-17T13:10Z",
        "2026-05-17T13:10:03.Z",
        "2026-05-17T13:10:03ZZ",
        "2026-05-17T13:10:03+2:00",
        "2026-05-17T13:10:03+24:00",
        "2026-05-17T13:10:03+02:00x",
        "2026-13-17T13:10:03Z",
        "2026-00-17T13:10:03Z",
        "2026-05-32T13:10:03Z",
        "2026-05-17T24:10:03Z",
        "2026-05-17T13:60:03Z",
        "2026-05-17T13:10:61Z",
        "26-05-17T13:10:03Z",
        "+026-05-17T13:10:03Z",
        "2026-05-17T13:10:03.1 Z",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t got = -7;

        assert_int_equal(time_parse_us(slice_str(bad[i]), &got), ERR_PARSE);
        assert_true(got == -7);
    }
}

static void assert_duration(int64_t duration_ms, const char *expected)
{
    char out[DURATION_TEXT_SIZE];

    assert_int_equal(duration_format(duration_ms, out, sizeof out), strlen(expected));
    assert_string_equal(out, expected);
}

static void durations_for_people(void **state)
{
    (void)state;
    assert_duration(0, "0s");
    assert_duration(1, "1ms");
    assert_duration(999, "999ms");
    assert_duration(1000, "1s");
    assert_duration(1099, "1s");
    assert_duration(1100, "1.1s");
    assert_duration(1999, "1.9s");
    assert_duration(59999, "59.9s");
    assert_duration(60000, "1m");
    assert_duration(61000, "1m1s");
    assert_duration(300000, "5m");
    assert_duration(3599999, "59m59s");
    assert_duration(3600000, "1h");
    assert_duration(7380000, "2h3m");
    assert_duration(86399999, "23h59m");
    assert_duration(86400000, "1d");
    assert_duration(90000000, "1d1h");
    assert_duration(-1900, "-1.9s");
    assert_duration(INT64_MAX, "106751991167d7h");
    assert_duration(INT64_MIN, "-106751991167d7h");
}

static void duration_is_cut_to_its_room(void **state)
{
    char out[5] = "####";

    (void)state;
    assert_int_equal(duration_format(7380000, out, 5), 4);
    assert_string_equal(out, "2h3m");
    assert_int_equal(duration_format(7380000, out, 4), 3);
    assert_string_equal(out, "2h3");
    assert_int_equal(duration_format(7380000, out, 1), 0);
    assert_string_equal(out, "");
}

static void parse_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t duration_ms;
    } good[] = {
        {"500ms", 500},
        {"30s", 30000},
        {"5m", 300000},
        {"24h", 86400000},
        {"7d", 604800000},
        {"0", 0},
        {"0s", 0},
        {"9223372036854775807ms", INT64_MAX},
        {"106751991167d", 106751991167 * 86400000},
    };
    static const char *const bad[] = {"",    "5",   "00", "s",   "ms",   "-5s", "+5s",
                                      "5 s", " 5s", "5S", "5ss", "1.5s", "1w",  "2h3m"};
    int64_t value;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        value = -1;
        assert_int_equal(duration_parse(slice_str(good[i].text), &value), 0);
        assert_true(value == good[i].duration_ms);
    }
    value = 77;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(duration_parse(slice_str(bad[i]), &value), ERR_PARSE);
    assert_int_equal(duration_parse(SLICE("9223372036854775808ms"), &value), ERR_LIMIT);
    assert_int_equal(duration_parse(SLICE("106751991168d"), &value), ERR_LIMIT);
    assert_int_equal(duration_parse(SLICE("99999999999999999999s"), &value), ERR_LIMIT);
    assert_int_equal(value, 77);
}

static void parse_sizes(void **state)
{
    static const char *const bad[] = {"", "K", "-1", "1k", "1KB", "1T", "1 K", "1.5M", "0x10"};
    uint64_t value;

    (void)state;
    assert_int_equal(size_parse(SLICE("0"), &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(size_parse(SLICE("4096"), &value), 0);
    assert_int_equal(value, 4096);
    assert_int_equal(size_parse(SLICE("64K"), &value), 0);
    assert_int_equal(value, 65536);
    assert_int_equal(size_parse(SLICE("16M"), &value), 0);
    assert_int_equal(value, 16777216);
    assert_int_equal(size_parse(SLICE("2G"), &value), 0);
    assert_true(value == UINT64_C(2147483648));
    assert_int_equal(size_parse(SLICE("18446744073709551615"), &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(size_parse(SLICE("17179869183G"), &value), 0);
    assert_true(value == UINT64_C(17179869183) << 30);
    value = 77;
    assert_int_equal(size_parse(SLICE("18446744073709551616"), &value), ERR_LIMIT);
    assert_int_equal(size_parse(SLICE("17179869184G"), &value), ERR_LIMIT);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(size_parse(slice_str(bad[i]), &value), ERR_PARSE);
    assert_int_equal(value, 77);
}

static void parse_rates(void **state)
{
    static const struct {
        const char *text;
        uint64_t count;
        int64_t period_ms;
    } good[] = {
        {"20/s", 20, 1000},      {"20/1s", 20, 1000},
        {"5/250ms", 5, 250},     {"5/ms", 5, 1},
        {"300/5m", 300, 300000}, {"1000/24h", 1000, 86400000},
        {"0/d", 0, 86400000},    {"18446744073709551615/m", UINT64_MAX, 60000},
    };
    static const char *const bad[] = {"",      "20",    "20/",    "/s",     "/",
                                      "20/0",  "20/5",  "20/x",   "20/ s",  "20 /s",
                                      "+20/s", "20//s", "20/s/s", "20/-1s", "20/sssssssssssss",
                                      "20/0s"};
    uint64_t count = 7;
    int64_t period_ms = 8;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(rate_parse(slice_str(good[i].text), &count, &period_ms), 0);
        assert_true(count == good[i].count);
        assert_int_equal(period_ms, good[i].period_ms);
    }
    count = 7;
    period_ms = 8;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(rate_parse(slice_str(bad[i]), &count, &period_ms), ERR_PARSE);
    assert_int_equal(rate_parse(SLICE("18446744073709551616/s"), &count, &period_ms), ERR_LIMIT);
    assert_int_equal(rate_parse(SLICE("1/106751991168d"), &count, &period_ms), ERR_LIMIT);
    assert_int_equal(count, 7);
    assert_int_equal(period_ms, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_times),
        cmocka_unit_test(times_outside_four_digit_years_are_held),
        cmocka_unit_test(every_day_agrees_with_libc),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(times_that_are_none),
        cmocka_unit_test(durations_for_people),
        cmocka_unit_test(duration_is_cut_to_its_room),
        cmocka_unit_test(parse_durations),
        cmocka_unit_test(parse_sizes),
        cmocka_unit_test(parse_rates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
