/* Frames that something on the way holds back, told apart from a feed that speaks in bursts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/arrivals.h"

struct path {
    struct arrivals arrivals;
    int64_t now_ms;
    char said[320];
    unsigned times_said;
};

static void look(struct path *path)
{
    char text[320];
    if (!arrivals_held_back(&path->arrivals, path->now_ms, text, sizeof(text)))
        return;
    memcpy(path->said, text, sizeof(text));
    path->times_said++;
}

static void open_path(struct path *path)
{
    memset(path, 0, sizeof(*path));
    path->now_ms = 100000;
    arrivals_init(&path->arrivals);
    arrivals_begin(&path->arrivals, path->now_ms);
}

static void message(struct path *path, const char *time)
{
    if (arrivals_message(&path->arrivals, path->now_ms) && time != NULL)
        arrivals_time(&path->arrivals, slice_str(time));
    look(path);
}

static void pong(struct path *path, int64_t rtt_ms)
{
    arrivals_pong(&path->arrivals, path->now_ms, rtt_ms);
    look(path);
}

/* After `silence_ms`, so many messages at once that the service made `apart_ms` apart. */
static void flood(struct path *path, int64_t silence_ms, unsigned messages, int64_t apart_ms)
{
    char time[32];
    path->now_ms += silence_ms;
    for (unsigned i = 0; i < messages; i++) {
        int64_t made_ms = 1779023403000 + path->now_ms - silence_ms + (int64_t)(i + 1) * apart_ms;
        snprintf(time, sizeof(time), "%lld", (long long)made_ms);
        message(path, time);
    }
}

static void held_frames_are_said(void **state)
{
    struct path path;
    (void)state;
    open_path(&path);
    flood(&path, 14000, 7, 2000);
    flood(&path, 14000, 7, 2000);
    assert_int_equal(path.times_said, 0);
    flood(&path, 14000, 7, 2000);
    assert_int_equal(path.times_said, 1);
    assert_non_null(strstr(path.said, "after 14s"));
    assert_non_null(strstr(path.said, "over at least 8.0 s"));
    assert_true(strlen(path.said) < 300);
    for (unsigned i = 0; i < 50; i++)
        flood(&path, 14000, 7, 2000);
    assert_int_equal(path.times_said, 1); /* within the hour: not again */
    assert_int_equal(path.arrivals.counts.held_back, 53);
    for (unsigned i = 0; i < 250; i++)
        flood(&path, 14000, 7, 2000);
    assert_int_equal(path.times_said, 2);
}

static void bursts_of_the_service_are_its_own(void **state)
{
    struct path path;
    (void)state;
    open_path(&path);
    for (unsigned i = 0; i < 20; i++)
        flood(&path, 10000, 20, 5); /* made just now */
    for (unsigned i = 0; i < 20; i++)
        flood(&path, 10000, 20, 3600000); /* its history */
    for (unsigned i = 0; i < 20; i++) {
        path.now_ms += 10000; /* no times at all */
        message(&path, NULL);
        message(&path, NULL);
        message(&path, "\"yesterday\"");
    }
    for (unsigned i = 0; i < 20; i++)
        flood(&path, 10000, 2, 9000); /* two are no flood */
    for (unsigned i = 0; i < 20; i++)
        flood(&path, ARRIVALS_SILENCE_MS - 1, 3, 990); /* no silence */
    assert_int_equal(path.arrivals.counts.held_back, 0);
    for (unsigned i = 0; i < 2; i++)
        flood(&path, ARRIVALS_SILENCE_MS, 3, 1500);
    assert_int_equal(path.arrivals.counts.held_back, 2);
}

/* Three, but far apart: an accident each. */
static void rarely_is_no_rule(void **state)
{
    struct path path;
    (void)state;
    open_path(&path);
    for (unsigned i = 0; i < 9; i++) {
        flood(&path, 14000, 7, 2000);
        for (unsigned k = 0; k < 400; k++) {
            path.now_ms += 1000;
            message(&path, NULL);
        }
    }
    assert_int_equal(path.times_said, 0);
    assert_int_equal(path.arrivals.counts.held_back, 9);
}

static void a_ping_that_waited_tells_too(void **state)
{
    struct path path;
    (void)state;
    open_path(&path);
    for (unsigned i = 0; i < 3; i++) {
        path.now_ms += 8000;
        if (i % 2 == 0)
            pong(&path, 6000);
        message(&path, NULL);
        message(&path, NULL);
        if (i % 2 == 1)
            pong(&path, 6000); /* it lay in their middle */
        message(&path, NULL);
    }
    assert_int_equal(path.times_said, 1);
    assert_non_null(strstr(path.said, "a ping of ours"));
}

static void a_pong_in_the_silence_acquits(void **state)
{
    struct path path;
    (void)state;
    open_path(&path);
    for (unsigned i = 0; i < 20; i++) {
        path.now_ms += 12000;
        pong(&path, 20);
        flood(&path, 2000, 7, 2000);
    }
    assert_int_equal(path.arrivals.counts.held_back, 0);
}

/* What we did not read came late by our own doing; a new link begins anew. */
static void our_own_silence_counts_against_nobody(void **state)
{
    struct path path;
    (void)state;
    open_path(&path);
    for (unsigned i = 0; i < 20; i++) {
        path.now_ms += 14000;
        arrivals_begin(&path.arrivals, path.now_ms);
        flood(&path, 0, 7, 2000);
    }
    assert_int_equal(path.arrivals.counts.held_back, 0);
}

static void times_of_all_kinds(void **state)
{
    static const char *const times[][3] = {
        {"\"2026-05-17T13:10:03Z\"", "\"2026-05-17T13:10:08.5Z\"", "\"2026-05-17T15:10:13+02:00\""},
        {"1779023403", "1779023408.5", "1779023413"},
        {"1779023403000", "1779023408500", "1779023413000"},
        {"1779023403000000", "1779023408500000", "1779023413000000"},
        {"1779023403000000000", "1779023408500000000", "1779023413000000000"},
        {"\"1779023403\"", "\"1779023408.5\"", "\"1779023413\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct path path;
        open_path(&path);
        path.now_ms += 10000;
        for (unsigned k = 0; k < 3; k++)
            message(&path, times[i][k]);
        assert_int_equal(path.arrivals.counts.held_back, 1);
    }
}

static void times_that_are_none(void **state)
{
    static const char *const bad[] = {"null",
                                      "true",
                                      "{}",
                                      "\"\"",
                                      "\"",
                                      "",
                                      "12",
                                      "-1",
                                      "1e300",
                                      "nan",
                                      "\"2026-05-17\"",
                                      "99999999999999999999999999999999999999"};
    struct path path;
    (void)state;
    open_path(&path);
    path.now_ms += 10000;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        message(&path, bad[i]);
    assert_int_equal(path.arrivals.flood.timed, 0);
    assert_int_equal(path.arrivals.flood.messages, sizeof(bad) / sizeof(bad[0]));
}

static void silences_are_counted(void **state)
{
    static const int64_t silences[] = {0, 10, 11, 300000, 300001};
    struct path path;
    (void)state;
    open_path(&path);
    message(&path, NULL);
    for (unsigned i = 0; i < 5; i++) {
        path.now_ms += silences[i];
        message(&path, NULL);
    }
    assert_int_equal(path.arrivals.counts.silences_ms.counts[0], 2);
    assert_int_equal(path.arrivals.counts.silences_ms.counts[1], 1);
    assert_int_equal(path.arrivals.counts.silences_ms.counts[11], 1);
    assert_int_equal(path.arrivals.counts.silences_ms.counts[12], 1);
    assert_int_equal(path.arrivals.counts.silences_ms.sum, 600022);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_frames_are_said),
        cmocka_unit_test(bursts_of_the_service_are_its_own),
        cmocka_unit_test(rarely_is_no_rule),
        cmocka_unit_test(a_ping_that_waited_tells_too),
        cmocka_unit_test(a_pong_in_the_silence_acquits),
        cmocka_unit_test(our_own_silence_counts_against_nobody),
        cmocka_unit_test(times_of_all_kinds),
        cmocka_unit_test(times_that_are_none),
        cmocka_unit_test(silences_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
