#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/slice.h"
#include "daemon/metrics_page.h"

static const int64_t bounds_ms[] = {5, 2500, 60000};

static void assert_page(struct buf *out, const char *text)
{
    assert_int_equal(buf_append_byte(out, '\0'), 0);
    assert_string_equal(out->data, text);
    buf_clear(out);
}

static void test_values(void **state)
{
    struct buf out;
    struct metrics_page page;
    (void)state;
    buf_init(&out, 4096);
    metrics_page_init(&page, &out);
    metrics_family(&page, METRIC_CONSUMER_LAG);
    metrics_value(&page, SLICE(""), "consumer", "mailer", 0);
    metrics_value(&page, SLICE("stream=\"a\""), "consumer", "b", INT64_MAX);
    metrics_value(&page, SLICE("stream=\"a\""), NULL, NULL, INT64_MIN);
    metrics_value(&page, SLICE(""), NULL, NULL, -17);
    assert_int_equal(page.rc, 0);
    assert_page(&out,
                "# HELP hawser_consumer_lag_events Stored events that the named consumer wants and "
                "has not acknowledged\n"
                "# TYPE hawser_consumer_lag_events gauge\n"
                "hawser_consumer_lag_events{consumer=\"mailer\"} 0\n"
                "hawser_consumer_lag_events{stream=\"a\",consumer=\"b\"} 9223372036854775807\n"
                "hawser_consumer_lag_events{stream=\"a\"} -9223372036854775808\n"
                "hawser_consumer_lag_events -17\n");
    buf_fini(&out);
}

static void test_fractions(void **state)
{
    static const struct {
        int64_t value, scale;
        const char *text;
    } cases[] = {
        {0, 1000, "0"},
        {1, 1000, "0.001"},
        {1500, 1000, "1.5"},
        {1000, 1000, "1"},
        {10, 1000000, "0.00001"},
        {-5, 1000, "0"},
        {123456789, 1000000, "123.456789"},
        {INT64_MAX, 1000000, "9223372036854.775807"},
    };
    struct buf out;
    struct metrics_page page;
    (void)state;
    buf_init(&out, 4096);
    metrics_page_init(&page, &out);
    page.name = "x";
    page.name_len = 1;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[64];
        snprintf(line, sizeof(line), "x %s\n", cases[i].text);
        metrics_fraction(&page, SLICE(""), cases[i].value, cases[i].scale);
        assert_page(&out, line);
    }
    buf_fini(&out);
}

static void test_histogram(void **state)
{
    struct histogram h;
    struct buf out;
    struct metrics_page page;
    (void)state;
    histogram_init(&h, bounds_ms, 3);
    histogram_add(&h, 5);
    histogram_add(&h, 6);
    histogram_add(&h, 100000);
    buf_init(&out, 4096);
    metrics_page_init(&page, &out);
    page.name = "x";
    page.name_len = 1;
    metrics_histogram(&page, SLICE("stream=\"a\""), &h, 1000);
    assert_page(&out, "x_bucket{stream=\"a\",le=\"0.005\"} 1\n"
                      "x_bucket{stream=\"a\",le=\"2.5\"} 2\n"
                      "x_bucket{stream=\"a\",le=\"60\"} 2\n"
                      "x_bucket{stream=\"a\",le=\"+Inf\"} 3\n"
                      "x_sum{stream=\"a\"} 100.011\n"
                      "x_count{stream=\"a\"} 3\n");
    buf_fini(&out);
}

/* As long as it may be, and one byte less room than it wants. */
static void test_the_bound(void **state)
{
    struct buf out;
    struct metrics_page page;
    (void)state;
    buf_init(&out, 600);
    metrics_page_init(&page, &out);
    metrics_family(&page, METRIC_CLIENTS);
    for (int i = 0; i < 100; i++)
        metrics_value(&page, SLICE(""), "listener", "events", i);
    assert_int_equal(page.rc, ERR_LIMIT);
    assert_true(out.len <= 600);
    buf_fini(&out);
}

static void on_family(void *arg, const struct metric_info *info)
{
    unsigned *n = arg;
    size_t len = strlen(info->name);
    bool total = len > 6 && strcmp(info->name + len - 6, "_total") == 0;
    ++*n;
    assert_true(strncmp(info->name, "hawser_", 7) == 0 || strncmp(info->name, "process_", 8) == 0);
    assert_int_equal(total, strcmp(info->type, "counter") == 0);
    assert_null(strpbrk(info->help, "\\\n"));
    assert_true(strlen(info->help) > 0);
}

static void test_the_table(void **state)
{
    unsigned n = 0;
    (void)state;
    metrics_describe(on_family, &n);
    assert_int_equal(n, METRIC_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),    cmocka_unit_test(test_fractions),
        cmocka_unit_test(test_histogram), cmocka_unit_test(test_the_bound),
        cmocka_unit_test(test_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
