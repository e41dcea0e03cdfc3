/* What hawserd answers, read, and drawn on screens of any width. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "ctl/layout.h"
#include "ctl/report.h"
#include "ctl/tell.h"

static const char answer[] =
    "{\"ok\":\"status\",\"server\":\"hawserd 1\",\"uptime_ms\":3600000,\"well\":false,\"streams\":["
    "{\"stream\":\"good\",\"profile\":\"p\",\"state\":\"live\",\"well\":true,\"since_ms\":5000,"
    "\"messages_per_s\":12.34,\"rtt_ms\":20,\"stored\":{\"live\":3,\"sync\":4},\"position\":\"9\"},"
    "{\"stream\":\"late\",\"profile\":\"p\",\"state\":\"waiting\",\"well\":false,\"since_ms\":1000,"
    "\"down_ms\":60000,\"reason\":\"tcp (no. Fix: yes)\",\"trouble\":\"tcp (no. Fix: yes)\","
    "\"retry_in_ms\":4000,\"attempts\":3},"
    "{\"stream\":\"bad\",\"profile\":\"p\",\"state\":\"parked\",\"well\":false,\"since_ms\":"
    "7200000,"
    "\"down_ms\":3600000,\"reason\":\"close 4003: \\u001b[2J\\u009b (c. Fix: f)\"},"
    "{\"stream\":\"off\",\"profile\":\"p\",\"state\":\"paused\",\"well\":true,\"since_ms\":0}],"
    "\"store\":{\"state\":\"ok\",\"oldest\":1,\"newest\":7,\"oldest_ms\":90000,\"bytes\":4096,"
    "\"retain_bytes\":1048576,\"commit_ms\":2},\"consumers\":{\"names\":7,\"connected\":1},"
    "\"listeners\":[{\"listen\":\"control\",\"protocol\":\"ndjson\",\"clients\":1,"
    "\"max_clients\":64}]}";
static const char consumers[] =
    "{\"ok\":\"consumers\",\"consumers\":[{\"consumer\":\"a\",\"lag\":1},{\"consumer\":\"b\","
    "\"lag\":0},{\"consumer\":\"c\",\"lag\":9},{\"consumer\":\"d\",\"lag\":5},{\"consumer\":\"e\","
    "\"lag\":7},{\"consumer\":\"f\",\"lag\":3},{\"consumer\":\"g\",\"lag\":8,\"connected\":true}]}";

static struct view view;

static void read_answer(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
    assert_int_equal(
        view_read(&view, slice_str(answer), slice_str(consumers), INT64_C(1779023403000)), 0);
}

static void test_reading(void **state)
{
    static const char *const order[] = {"bad", "late", "good", "off"};
    read_answer();
    assert_int_equal(view.n_streams, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(view.streams[i].name, order[i]);
    assert_int_equal(view.n_unwell, 2);
    assert_int_equal(view.n_paused, 1);
    /* Nothing that a peer says reaches the terminal's own ears. */
    assert_string_equal(view.streams[0].reason, "close 4003: ?[2J?? (c. Fix: f)");
    assert_int_equal(view.streams[2].retry_in_ms, -1);
    assert_int_equal(tell_counts(view.streams[2].stored, NULL), 7);
    assert_int_equal(view.consumers.n_lagging, 6);
    assert_string_equal(view.consumers.lagging[0].name, "c");
    assert_string_equal(view.consumers.lagging[1].name, "g");
    assert_string_equal(view.consumers.lagging[4].name, "f");
    view_free(&view);
}

static void test_no_answer(void **state)
{
    static const char *const texts[] = {
        "", "x", "{", "[]", "{}", "{\"streams\":7}", "{\"error\":\"forbidden\"}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(view_read(&view, slice_str(texts[i]), slice_make(NULL, 0), 0), ERR_PARSE);
        view_free(&view);
    }
}

static void test_sentences(void **state)
{
    struct buf out;
    buf_init(&out, 4096);
    read_answer();
    tell_verdict(&view, &out);
    assert_string_equal(buf_cstr(&out), "2 of 4 streams are not well, store ok; 1 paused");
    buf_clear(&out);
    tell_since(&view, &view.streams[0], &out);
    assert_string_equal(buf_cstr(&out), "parked for 2h, since 11:10:03");
    buf_clear(&out);
    tell_since(&view, &view.streams[1], &out);
    assert_string_equal(buf_cstr(&out), "down for 1m, since 13:09:03; waiting now");
    buf_clear(&out);
    tell_next(&view, &view.streams[1], &out);
    assert_string_equal(buf_cstr(&out),
                        "tries again in 4s, at 13:10:07; 3 attempts in a row so far");
    buf_clear(&out);
    tell_fix(&view.streams[0], SLICE("f"), &out);
    assert_string_equal(buf_cstr(&out), "f; then: hawserctl reconnect bad");
    buf_clear(&out);
    tell_consumers(&view, &out);
    assert_non_null(strstr(buf_cstr(&out), "7 named, 1 connected; 6 are behind: c 9"));
    buf_fini(&out);
    view_free(&view);
}

static void test_no_line_is_wider_than_the_screen(void **state)
{
    read_answer();
    for (size_t width = LAYOUT_WIDTH_MIN; width < 140; width++) {
        for (int one = 0; one < 2; one++) {
            struct terminal terminal = {.tty = true, .width = width, .height = 24};
            struct buf out;
            const char *end;
            buf_init(&out, BUF_UNBOUNDED);
            report_screen(&terminal, &view, one == 1, &out);
            struct slice rest = buf_slice(&out);
            while ((end = slice_find_byte(rest, '\n')) != NULL) {
                size_t n = (size_t)(end - rest.ptr);
                assert_true(layout_columns(slice_make(rest.ptr, n)) <= width);
                rest = slice_from(rest, n + 1);
            }
            assert_int_equal(rest.len, 0);
            buf_fini(&out);
        }
    }
    view_free(&view);
}

/* Each row of the table has as many words as its head. */
static void test_plain_columns(void **state)
{
    struct buf out;
    buf_init(&out, BUF_UNBOUNDED);
    read_answer();
    report_plain(&view, false, &out);
    const char *table = strstr(buf_cstr(&out), "STREAM ");
    assert_non_null(table);
    for (int row = 0; row < 5; row++) {
        int words = 0;
        for (; *table != '\n'; table++)
            words += *table != ' ' && (table[1] == ' ' || table[1] == '\n');
        assert_int_equal(words, REPORT_COLUMNS);
        table++;
    }
    assert_non_null(strstr(buf_cstr(&out), "\nbad: why: close 4003: ?[2J??\nbad: cause: c\n"));
    assert_non_null(strstr(buf_cstr(&out), "\nlate: do: yes\n"));
    assert_null(strchr(buf_cstr(&out), '\033'));
    buf_fini(&out);
    view_free(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_no_line_is_wider_than_the_screen),
        cmocka_unit_test(test_plain_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
