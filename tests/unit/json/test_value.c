/* What values say: strings without their escapes, integers, the parts of containers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json/json.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The text's one value, checked by a scan. */
static struct json_value value_of(struct slice text)
{
    struct json_paths *paths;
    struct json_value value;
    unsigned slot;

    assert_int_equal(json_paths_new(&paths), 0);
    assert_int_equal(json_paths_add(paths, SLICE(""), &slot, NULL), 0);
    assert_int_equal(json_scan(paths, text, &value, NULL), 0);
    json_paths_free(paths);
    return value;
}

static const struct {
    struct slice json, text;
} strings[] = {
    {SLICE_INIT("\"\""), SLICE_INIT("")},
    {SLICE_INIT("\"abc\""), SLICE_INIT("abc")},
    {SLICE_INIT("\"\xC3\xA9\""), SLICE_INIT("\xC3\xA9")},
    {SLICE_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), SLICE_INIT("\"\\/\b\f\n\r\t")},
    {SLICE_INIT("\"a\\nb\\nc\""), SLICE_INIT("a\nb\nc")},
    {SLICE_INIT("\"\\u0041\\u00e9\\u20AC\""), SLICE_INIT("A\xC3\xA9\xE2\x82\xAC")},
    {SLICE_INIT("\"\\u0000\""), SLICE_INIT("\0")},
    {SLICE_INIT("\"a\\u0000b\""), SLICE_INIT("a\0b")},
    {SLICE_INIT("\"\\u007f\\u0080\""), SLICE_INIT("\x7F\xC2\x80")},
    {SLICE_INIT("\"\\u07ff\\u0800\""), SLICE_INIT("\xDF\xBF\xE0\xA0\x80")},
    {SLICE_INIT("\"\\ud7ff\\ue000\""), SLICE_INIT("\xED\x9F\xBF\xEE\x80\x80")},
    {SLICE_INIT("\"\\uffff\""), SLICE_INIT("\xEF\xBF\xBF")},
    {SLICE_INIT("\"\\ud800\\udc00\""), SLICE_INIT("\xF0\x90\x80\x80")},
    {SLICE_INIT("\"\\udbff\\udfff\""), SLICE_INIT("\xF4\x8F\xBF\xBF")},
    {SLICE_INIT("\"\\uD83D\\uDE00\""), SLICE_INIT("\xF0\x9F\x98\x80")},
    /* lone halves of a pair */
    {SLICE_INIT("\"\\ud800\""), SLICE_INIT("\xEF\xBF\xBD")},
    {SLICE_INIT("\"\\udfff\""), SLICE_INIT("\xEF\xBF\xBD")},
    {SLICE_INIT("\"\\ud800x\""), SLICE_INIT("\xEF\xBF\xBDx")},
    {SLICE_INIT("\"\\ud800\\n\""), SLICE_INIT("\xEF\xBF\xBD\n")},
    {SLICE_INIT("\"\\ud800\\u0041\""), SLICE_INIT("\xEF\xBF\xBD"
                                                  "A")},
    {SLICE_INIT("\"\\ud800\\ud800\\udc00\""), SLICE_INIT("\xEF\xBF\xBD\xF0\x90\x80\x80")},
    {SLICE_INIT("\"\\udc00\\udc00\""), SLICE_INIT("\xEF\xBF\xBD\xEF\xBF\xBD")},
    {SLICE_INIT("\"\\ud800\\ue000\""), SLICE_INIT("\xEF\xBF\xBD\xEE\x80\x80")},
    {SLICE_INIT("\"\\ud800\\udbff\""), SLICE_INIT("\xEF\xBF\xBD\xEF\xBF\xBD")},
    {SLICE_INIT("\"\\udc00\\ud800\""), SLICE_INIT("\xEF\xBF\xBD\xEF\xBF\xBD")},
};

static void test_decode(void **state)
{
    struct buf b;

    for (size_t i = 0; i < COUNT(strings); i++) {
        struct json_value value = value_of(strings[i].json);

        buf_init(&b, 100);
        assert_int_equal(buf_append_str(&b, "before "), 0);
        assert_int_equal(json_string_decode(&value, &b), 0);
        assert_true(slice_starts_with(buf_slice(&b), SLICE("before ")));
        assert_true(slice_eq(slice_from(buf_slice(&b), 7), strings[i].text));
        buf_fini(&b);
    }
}

/* A buffer with room for the text exactly, and for one byte less. */
static void test_decode_at_the_buffer_s_bound(void **state)
{
    struct buf b;

    for (size_t i = 0; i < COUNT(strings); i++) {
        struct json_value value = value_of(strings[i].json);

        buf_init(&b, strings[i].text.len);
        assert_int_equal(json_string_decode(&value, &b), 0);
        buf_fini(&b);
        if (strings[i].text.len == 0)
            continue;
        buf_init(&b, strings[i].text.len);
        assert_int_equal(buf_append_byte(&b, '!'), 0);
        assert_int_equal(json_string_decode(&value, &b), ERR_LIMIT);
        assert_true(slice_eq(buf_slice(&b), SLICE("!")));
        buf_fini(&b);
    }
}

static void test_eq(void **state)
{
    for (size_t i = 0; i < COUNT(strings); i++) {
        struct json_value value = value_of(strings[i].json);
        struct slice text = strings[i].text;
        char longer[32];

        assert_true(json_string_eq(&value, text));
        assert_true(text.len < sizeof longer);
        memcpy(longer, text.ptr, text.len);
        longer[text.len] = 'x';
        assert_false(json_string_eq(&value, slice_make(longer, text.len + 1)));
        if (text.len == 0)
            continue;
        assert_false(json_string_eq(&value, slice_make(text.ptr, text.len - 1)));
        longer[text.len - 1] ^= 1;
        assert_false(json_string_eq(&value, slice_make(longer, text.len)));
    }
}

static void test_only_strings_are_strings(void **state)
{
    static const struct slice others[] = {SLICE_INIT("1"),    SLICE_INIT("null"),
                                          SLICE_INIT("true"), SLICE_INIT("false"),
                                          SLICE_INIT("[]"),   SLICE_INIT("{}")};
    struct json_value absent = {.type = JSON_ABSENT};
    struct buf b;

    buf_init(&b, 100);
    for (size_t i = 0; i < COUNT(others); i++) {
        struct json_value value = value_of(others[i]);

        assert_int_equal(json_string_decode(&value, &b), ERR_INVAL);
        assert_false(json_string_eq(&value, others[i]));
    }
    assert_int_equal(json_string_decode(&absent, &b), ERR_INVAL);
    assert_false(json_string_eq(&absent, SLICE("")));
    assert_int_equal(b.len, 0);
    buf_fini(&b);
}

static void test_int64(void **state)
{
    static const struct {
        struct slice json;
        int rc;
        int64_t value;
    } rows[] = {
        {SLICE_INIT("0"), 0, 0},
        {SLICE_INIT("-0"), 0, 0},
        {SLICE_INIT("12345"), 0, 12345},
        {SLICE_INIT("-1"), 0, -1},
        {SLICE_INIT("9223372036854775807"), 0, INT64_MAX},
        {SLICE_INIT("-9223372036854775808"), 0, INT64_MIN},
        {SLICE_INIT("9223372036854775808"), ERR_LIMIT, 7},
        {SLICE_INIT("-9223372036854775809"), ERR_LIMIT, 7},
        {SLICE_INIT("99999999999999999999999999"), ERR_LIMIT, 7},
        {SLICE_INIT("1.0"), ERR_INVAL, 7},
        {SLICE_INIT("1e3"), ERR_INVAL, 7},
        {SLICE_INIT("99999999999999999999999999e1"), ERR_INVAL, 7},
        {SLICE_INIT("\"1\""), ERR_INVAL, 7},
        {SLICE_INIT("null"), ERR_INVAL, 7},
        {SLICE_INIT("[1]"), ERR_INVAL, 7},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct json_value value = value_of(rows[i].json);
        int64_t out = 7;

        assert_int_equal(json_int64(&value, &out), rows[i].rc);
        assert_int_equal(out, rows[i].value);
    }
}

static void test_array_elements(void **state)
{
    static const char *const raw[] = {
        "1",    "\"a,]\\\"b\"", "[2,[3],\"]\"]", "{\"x\":\"}\"}", "true",
        "null", "false",        "-1.5e+3",       "\"\"",          "[]",
        "{}"};
    static const enum json_type types[] = {
        JSON_NUMBER, JSON_STRING, JSON_ARRAY,  JSON_OBJECT, JSON_TRUE,   JSON_NULL,
        JSON_FALSE,  JSON_NUMBER, JSON_STRING, JSON_ARRAY,  JSON_OBJECT,
    };
    struct json_value array = value_of(
        SLICE(" [ 1 ,\"a,]\\\"b\",[2,[3],\"]\"]\n,\t{\"x\":\"}\"},true,null ,false,-1.5e+3,"
              "\"\",[],{} ] "));
    struct json_iter it = json_iter_array(&array);
    struct json_value element;

    for (size_t i = 0; i < COUNT(raw); i++) {
        assert_true(json_iter_next(&it, &element));
        assert_true(slice_eq_str(element.raw, raw[i]));
        assert_int_equal(element.type, types[i]);
        assert_int_equal(element.escaped, i == 1);
    }
    assert_false(json_iter_next(&it, &element));
    assert_false(json_iter_next(&it, &element));
}

static void test_object_members(void **state)
{
    struct json_value object =
        value_of(SLICE("{ \"a\" : 1 , \"b\\n\":[2,3],\"\":\"\" , \"a\":{\"c\":4}}"));
    static const char *const raw[][2] = {
        {"\"a\"", "1"}, {"\"b\\n\"", "[2,3]"}, {"\"\"", "\"\""}, {"\"a\"", "{\"c\":4}"}};
    struct json_iter it = json_iter_object(&object);
    struct json_value name, value;

    for (size_t i = 0; i < COUNT(raw); i++) {
        assert_true(json_iter_next_member(&it, &name, &value));
        assert_int_equal(name.type, JSON_STRING);
        assert_true(slice_eq_str(name.raw, raw[i][0]));
        assert_true(slice_eq_str(value.raw, raw[i][1]));
        assert_int_equal(name.escaped, i == 1);
    }
    assert_false(json_iter_next_member(&it, &name, &value));
}

static void test_nothing_to_walk(void **state)
{
    static const struct slice texts[] = {SLICE_INIT("[]"),    SLICE_INIT("{}"),
                                         SLICE_INIT("[ \n]"), SLICE_INIT("{ }"),
                                         SLICE_INIT("1"),     SLICE_INIT("\"[1]\"")};
    struct json_value absent = {.type = JSON_ABSENT};
    struct json_value name, value;
    struct json_iter it;

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct json_value v = value_of(texts[i]);

        it = json_iter_array(&v);
        assert_false(json_iter_next(&it, &value));
        it = json_iter_object(&v);
        assert_false(json_iter_next_member(&it, &name, &value));
    }
    it = json_iter_array(&absent);
    assert_false(json_iter_next(&it, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_decode_at_the_buffer_s_bound),
        cmocka_unit_test(test_eq),
        cmocka_unit_test(test_only_strings_are_strings),
        cmocka_unit_test(test_int64),
        cmocka_unit_test(test_array_elements),
        cmocka_unit_test(test_object_members),
        cmocka_unit_test(test_nothing_to_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
