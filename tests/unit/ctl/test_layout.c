#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "ctl/layout.h"

static void assert_slice(struct slice actual, const char *expected)
{
    struct slice wanted = slice_str(expected);
    if (!slice_eq(actual, wanted))
        fail_msg("\"" SLICE_FMT "\" is not \"%s\"", SLICE_ARG(actual), expected);
}

static void test_reasons(void **state)
{
    static const struct {
        const char *text, *what, *cause, *fix;
    } rows[] = {
        {"close 1006 (the link broke. Fix: nothing)", "close 1006", "the link broke", "nothing"},
        {"attempt 3", "attempt 3", "", ""},
        {"", "", "", ""},
        /* Of the parentheses the one that the fix is in. */
        {"tcp: no (really) (it (or a proxy) fell. Fix: see (or not) x)", "tcp: no (really)",
         "it (or a proxy) fell", "see (or not) x"},
        /* The peer may say it as well: ours is the last. */
        {"close 4000: (a. Fix: b) (c. Fix: d)", "close 4000: (a. Fix: b)", "c", "d"},
        {"close 4000: x. Fix: y", "close 4000: x. Fix: y", "", ""},
        /* Cut at its end, and in the midst of the mark. */
        {"close 4003: no (cause. Fix: ask fo", "close 4003: no", "cause", "ask fo"},
        {"close 4003: no (cause. Fi", "close 4003: no (cause. Fi", "", ""},
        {"3 times in 120 s: dns (x. Fix: )", "3 times in 120 s: dns", "x", ""},
        {")))). Fix: ", ")))). Fix: ", "", ""},
        {"(. Fix: ", "", "", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reason reason = reason_split(slice_str(rows[i].text));
        assert_slice(reason.what, rows[i].what);
        assert_slice(reason.cause, rows[i].cause);
        assert_slice(reason.fix, rows[i].fix);
    }
}

static void test_columns(void **state)
{
    assert_int_equal(layout_columns(SLICE("")), 0);
    assert_int_equal(layout_columns(SLICE("abc")), 3);
    assert_int_equal(layout_columns(SLICE("\xC3\xA4\xE2\x82\xAC")), 2);     /* a umlaut, euro */
    assert_int_equal(layout_columns(SLICE("e\xCC\x81")), 1);                /* a combining one */
    assert_int_equal(layout_columns(SLICE("\xE6\xBC\xA2\xE5\xAD\x97")), 4); /* two of kanji */
    assert_int_equal(layout_columns(SLICE("\xF0\x9F\x98\x80")), 2);         /* a face */
    assert_int_equal(layout_columns(SLICE("\xE6\xBC")), 1);                 /* cut off */
    assert_int_equal(layout_columns(SLICE("\xFF\x80")), 1);                 /* no UTF-8 */
}

static void check_wrap(const char *text, size_t at, size_t indent, size_t width,
                       const char *expected)
{
    struct buf out;
    buf_init(&out, 4096);
    layout_wrap(&out, slice_str(text), at, indent, width);
    assert_string_equal(buf_cstr(&out), expected);
    buf_fini(&out);
}

static void test_wrap(void **state)
{
    check_wrap("", 3, 3, 20, "");
    check_wrap("one two", 0, 2, 7, "one two");
    check_wrap("one two", 0, 2, 6, "one\n  two");
    check_wrap("one  two ", 0, 2, 0, "one two");
    check_wrap("one two three", 4, 4, 11, "one two\n    three");
    /* A word that is longer than a line. */
    check_wrap("abcdefghij", 0, 2, 6, "abcdef\n  ghij");
    check_wrap("x abcdefghij y", 0, 2, 6, "x\n  abcd\n  efgh\n  ij y");
    /* The indent takes all there is: a character a line, and no endless loop. */
    check_wrap("abc", 8, 8, 4, "a\n        b\n        c");
    check_wrap("\xE6\xBC\xA2\xE5\xAD\x97", 0, 0, 3, "\xE6\xBC\xA2\n\xE5\xAD\x97");
}

static void test_no_line_is_longer(void **state)
{
    static const char text[] = "the certificate of CN=localhost has an issuer that is neither in "
                               "/etc/ssl/certs/ca-certificates.crt nor sent by the server";
    for (size_t width = 12; width < 160; width++) {
        struct buf out;
        buf_init(&out, 4096);
        layout_wrap(&out, slice_str(text), 10, 10, width);
        struct slice rest = buf_slice(&out);
        size_t at = 10;
        while (rest.len > 0) {
            const char *end = slice_find_byte(rest, '\n');
            size_t n = end != NULL ? (size_t)(end - rest.ptr) : rest.len;
            assert_true(at + n <= width);
            rest = slice_from(rest, n + 1);
            at = 0;
        }
        buf_fini(&out);
    }
}

static void check_rate(double rate, const char *expected)
{
    char text[32];
    layout_rate(rate, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void test_numbers(void **state)
{
    char text[32];
    layout_bytes(0, text, sizeof(text));
    assert_string_equal(text, "0 bytes");
    layout_bytes(1023, text, sizeof(text));
    assert_string_equal(text, "1023 bytes");
    layout_bytes(1536, text, sizeof(text));
    assert_string_equal(text, "1.5 KiB");
    layout_bytes(INT64_C(200) << 20, text, sizeof(text));
    assert_string_equal(text, "200 MiB");
    layout_bytes(INT64_MAX, text, sizeof(text));
    assert_string_equal(text, "8388608 TiB");
    check_rate(0, "0");
    check_rate(0.01, "<0.1");
    check_rate(0.05, "0.1");
    check_rate(9.94, "9.9");
    check_rate(9.96, "10");
    check_rate(4800.4, "4800");
}

static void test_clock(void **state)
{
    char text[LAYOUT_CLOCK_SIZE];
    int64_t now_s = 1779023403; /* 2026-05-17 13:10:03, a Sunday */
    setenv("TZ", "UTC", 1);
    tzset();
    layout_clock(now_s, now_s, text);
    assert_string_equal(text, "13:10:03");
    layout_clock(now_s + 12 * 3600 - 1, now_s, text);
    assert_string_equal(text, "01:10:02");
    layout_clock(now_s - 12 * 3600, now_s, text);
    assert_string_equal(text, "Sun 01:10");
    layout_clock(now_s - 6 * 86400, now_s, text);
    assert_string_equal(text, "2026-05-11 13:10");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons), cmocka_unit_test(test_columns),
        cmocka_unit_test(test_wrap),    cmocka_unit_test(test_no_line_is_longer),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
