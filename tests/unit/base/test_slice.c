#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/slice.h"

static const struct slice nothing = {NULL, 0};

static void equality(void **state)
{
    (void)state;
    assert_true(slice_eq(SLICE("abc"), slice_str("abc")));
    assert_true(slice_eq(SLICE("a\0b"), slice_make("a\0b", 3)));
    assert_false(slice_eq(SLICE("a\0b"), SLICE("a\0c")));
    assert_false(slice_eq(SLICE("abc"), SLICE("ab")));
    assert_true(slice_eq(nothing, SLICE("")));
    assert_true(slice_eq_str(SLICE("abc"), "abc"));
    assert_false(slice_eq_str(SLICE("abc"), "abcd"));
    assert_true(slice_eq_str(nothing, ""));
}

static void printing(void **state)
{
    char out[16];

    (void)state;
    snprintf(out, sizeof out, "<" SLICE_FMT ">", SLICE_ARG(slice_make("abcdef", 3)));
    assert_string_equal(out, "<abc>");
    snprintf(out, sizeof out, "<" SLICE_FMT ">", SLICE_ARG(nothing));
    assert_string_equal(out, "<>");
    assert_int_equal(slice_width(slice_make("", (size_t)INT_MAX + 1)), INT_MAX);
}

static void trimming(void **state)
{
    (void)state;
    assert_true(slice_eq_str(slice_trim(SLICE(" \t a b\t ")), "a b"));
    assert_true(slice_eq_str(slice_trim(SLICE("\na\r")), "\na\r"));
    assert_int_equal(slice_trim(SLICE(" \t ")).len, 0);
    assert_int_equal(slice_trim(nothing).len, 0);
}

static void prefixes(void **state)
{
    (void)state;
    assert_true(slice_starts_with(SLICE("wss://x"), SLICE("wss://")));
    assert_true(slice_starts_with(SLICE("x"), SLICE("x")));
    assert_true(slice_starts_with(SLICE("x"), nothing));
    assert_true(slice_starts_with(nothing, nothing));
    assert_false(slice_starts_with(SLICE("ws"), SLICE("wss")));
    assert_false(slice_starts_with(SLICE("wsx"), SLICE("wss")));
    assert_true(slice_eq_str(slice_from(SLICE("abc"), 1), "bc"));
    assert_int_equal(slice_from(SLICE("abc"), 3).len, 0);
    assert_int_equal(slice_from(SLICE("abc"), 4).len, 0);
}

static void finding(void **state)
{
    struct slice s = SLICE("a=b=\xFF");

    (void)state;
    assert_ptr_equal(slice_find_byte(s, '='), s.ptr + 1);
    assert_ptr_equal(slice_find_byte(s, '\xFF'), s.ptr + 4);
    assert_null(slice_find_byte(s, '\0'));
    assert_null(slice_find_byte(slice_make(s.ptr, 1), '='));
    assert_null(slice_find_byte(nothing, 'a'));
}

static void duplicate(void **state)
{
    char *copy = slice_dup(slice_make("abcdef", 3));
    char *empty = slice_dup(nothing);

    (void)state;
    assert_string_equal(copy, "abc");
    assert_string_equal(empty, "");
    assert_null(slice_dup(slice_make("", SIZE_MAX)));
    free(copy);
    free(empty);
}

static void unsigned_numbers(void **state)
{
    static const char *const wrong[] = {"", "-1", "+1", " 1", "1 ", "1a", "0x1", "1\n", "/", ":"};
    uint64_t value = 77;

    (void)state;
    assert_int_equal(slice_parse_u64(SLICE("0"), &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(slice_parse_u64(SLICE("007"), &value), 0);
    assert_int_equal(value, 7);
    assert_int_equal(slice_parse_u64(SLICE("18446744073709551615"), &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(slice_parse_u64(SLICE("18446744073709551616"), &value), ERR_LIMIT);
    assert_int_equal(slice_parse_u64(SLICE("99999999999999999999999"), &value), ERR_LIMIT);
    assert_int_equal(slice_parse_u64(SLICE("99999999999999999999999x"), &value), ERR_PARSE);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(slice_parse_u64(slice_str(wrong[i]), &value), ERR_PARSE);
    assert_int_equal(slice_parse_u64(nothing, &value), ERR_PARSE);
    assert_int_equal(slice_parse_u64(SLICE("1\0"), &value), ERR_PARSE);
    assert_true(value == UINT64_MAX);
}

static void signed_numbers(void **state)
{
    int64_t value = 77;

    (void)state;
    assert_int_equal(slice_parse_i64(SLICE("-"), &value), ERR_PARSE);
    assert_int_equal(slice_parse_i64(SLICE("--1"), &value), ERR_PARSE);
    assert_int_equal(slice_parse_i64(SLICE("+1"), &value), ERR_PARSE);
    assert_int_equal(slice_parse_i64(SLICE("9223372036854775808"), &value), ERR_LIMIT);
    assert_int_equal(slice_parse_i64(SLICE("-9223372036854775809"), &value), ERR_LIMIT);
    assert_int_equal(value, 77);
    assert_int_equal(slice_parse_i64(SLICE("-0"), &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(slice_parse_i64(SLICE("-42"), &value), 0);
    assert_int_equal(value, -42);
    assert_int_equal(slice_parse_i64(SLICE("9223372036854775807"), &value), 0);
    assert_true(value == INT64_MAX);
    assert_int_equal(slice_parse_i64(SLICE("-9223372036854775808"), &value), 0);
    assert_true(value == INT64_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality),         cmocka_unit_test(printing),
        cmocka_unit_test(trimming),         cmocka_unit_test(prefixes),
        cmocka_unit_test(finding),          cmocka_unit_test(duplicate),
        cmocka_unit_test(unsigned_numbers), cmocka_unit_test(signed_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
