/* What is written is read back the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/utf8.h"
#include "json/json.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void test_strings_as_they_are_written(void **state)
{
    static const struct {
        struct slice text, json;
    } rows[] = {
        {SLICE_INIT(""), SLICE_INIT("\"\"")},
        {SLICE_INIT("abc"), SLICE_INIT("\"abc\"")},
        {SLICE_INIT("\"\\/"), SLICE_INIT("\"\\\"\\\\/\"")},
        {SLICE_INIT("\b\f\n\r\t"), SLICE_INIT("\"\\b\\f\\n\\r\\t\"")},
        {SLICE_INIT("\0\x01\x1F"), SLICE_INIT("\"\\u0000\\u0001\\u001f\"")},
        {SLICE_INIT("\x7F\xC3\xA9\xF0\x9F\x98\x80"),
         SLICE_INIT("\"\x7F\xC3\xA9\xF0\x9F\x98\x80\"")},
        /* not UTF-8: each byte on its own */
        {SLICE_INIT("\xFF"), SLICE_INIT("\"\xEF\xBF\xBD\"")},
        {SLICE_INIT("a\xE2\x82z"), SLICE_INIT("\"a\xEF\xBF\xBD\xEF\xBF\xBDz\"")},
        {SLICE_INIT("\xC3"), SLICE_INIT("\"\xEF\xBF\xBD\"")},
        {SLICE_INIT("\xC0\xAF"), SLICE_INIT("\"\xEF\xBF\xBD\xEF\xBF\xBD\"")},
        {SLICE_INIT("\xED\xA0\x80"), SLICE_INIT("\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"")},
    };
    struct buf b;

    for (size_t i = 0; i < COUNT(rows); i++) {
        buf_init(&b, 100);
        assert_int_equal(buf_append_str(&b, ":"), 0);
        assert_int_equal(json_write_string(&b, rows[i].text), 0);
        assert_true(slice_eq(slice_from(buf_slice(&b), 1), rows[i].json));
        buf_fini(&b);
        /* Room for it exactly, and for one byte less. */
        buf_init(&b, rows[i].json.len);
        assert_int_equal(json_write_string(&b, rows[i].text), 0);
        buf_fini(&b);
        buf_init(&b, rows[i].json.len - 1);
        assert_int_equal(json_write_string(&b, rows[i].text), ERR_LIMIT);
        assert_int_equal(b.len, 0);
        buf_fini(&b);
    }
}

/* Of random bytes the written form is JSON, and says the same where they were UTF-8. */
static void test_round_trip(void **state)
{
    enum { ROUNDS = 5000, LONGEST = 40 };
    struct json_paths *paths;
    struct json_value value;
    struct buf json, text;
    struct rng rng;
    unsigned slot, same = 0;

    rng_seed(&rng, 1);
    buf_init(&json, BUF_UNBOUNDED);
    buf_init(&text, BUF_UNBOUNDED);
    assert_int_equal(json_paths_new(&paths), 0);
    assert_int_equal(json_paths_add(paths, SLICE(""), &slot, NULL), 0);
    for (int round = 0; round < ROUNDS; round++) {
        char bytes[LONGEST];
        size_t len = rng_below(&rng, LONGEST + 1);
        /* Of all bytes little is UTF-8, so every second text is of ASCII. */
        uint64_t range = round % 2 == 0 ? 128 : 256;

        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)rng_below(&rng, range);
        buf_clear(&json);
        buf_clear(&text);
        assert_int_equal(json_write_string(&json, slice_make(bytes, len)), 0);
        assert_int_equal(json_scan(paths, buf_slice(&json), &value, NULL), 0);
        assert_int_equal(json_string_decode(&value, &text), 0);
        assert_true(utf8_valid(text.data, text.len));
        if (utf8_valid(bytes, len)) {
            same++;
            assert_true(slice_eq(buf_slice(&text), slice_make(bytes, len)));
            assert_true(json_string_eq(&value, slice_make(bytes, len)));
        }
    }
    assert_true(same >= ROUNDS / 2);
    json_paths_free(paths);
    buf_fini(&json);
    buf_fini(&text);
}

static void test_flat(void **state)
{
    static const struct {
        const char *json, *flat;
    } rows[] = {
        {"1", "1"},
        {"{\n  \"a\": 1\r\n}\n", "{   \"a\": 1  } "},
        {"[\r\r\n\n]", "[    ]"},
        {"\"a\\nb\"", "\"a\\nb\""},
        {"\t[ ]", "\t[ ]"},
    };
    struct buf b;

    for (size_t i = 0; i < COUNT(rows); i++) {
        buf_init(&b, 100);
        assert_int_equal(buf_append_str(&b, "\n\r"), 0);
        assert_int_equal(json_write_flat(&b, slice_str(rows[i].json)), 0);
        assert_true(slice_eq_str(slice_from(buf_slice(&b), 2), rows[i].flat));
        /* What was there before is not touched. */
        assert_true(slice_starts_with(buf_slice(&b), SLICE("\n\r")));
        buf_fini(&b);
    }
    buf_init(&b, 3);
    assert_int_equal(json_write_flat(&b, slice_make(NULL, 0)), 0);
    assert_int_equal(json_write_flat(&b, SLICE("[1]")), 0);
    assert_int_equal(json_write_flat(&b, SLICE("1")), ERR_LIMIT);
    assert_true(slice_eq(buf_slice(&b), SLICE("[1]")));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings_as_they_are_written),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_flat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
