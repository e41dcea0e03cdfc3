/* Where the values of pointers lie, how deep a text may be, and where a broken one breaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "json/json.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct json_paths *new_paths(void)
{
    struct json_paths *paths;

    assert_int_equal(json_paths_new(&paths), 0);
    return paths;
}

static unsigned add(struct json_paths *paths, const char *pointer)
{
    struct error err;
    unsigned slot;

    assert_int_equal(json_paths_add(paths, slice_str(pointer), &slot, &err), 0);
    return slot;
}

static void assert_raw(const struct json_value *value, const char *raw)
{
    if (!slice_eq_str(value->raw, raw))
        fail_msg("got " SLICE_FMT ", want %s", SLICE_ARG(value->raw), raw);
}

/* The value of one pointer in one text; a NULL `raw` stands for absent. */
static void check_one(const char *pointer, const char *text, enum json_type type, const char *raw)
{
    struct json_paths *paths = new_paths();
    struct json_value value;

    assert_int_equal(add(paths, pointer), 0);
    assert_int_equal(json_scan(paths, slice_str(text), &value, NULL), 0);
    if (value.type != type)
        fail_msg("%s in %s: type %d, want %d", pointer, text, (int)value.type, (int)type);
    if (raw != NULL)
        assert_raw(&value, raw);
    else
        assert_int_equal(value.type, JSON_ABSENT);
    json_paths_free(paths);
}

static void test_finds_each_type(void **state)
{
    static const char text[] = " { \"n\" : null, \"f\":false ,\"t\":true,\"i\":-12.5e3 ,"
                               "\"s\" : \"a\\nb\", \"a\":[ 1, [2] ], \"o\":{ \"x\":{} } } ";

    check_one("/n", text, JSON_NULL, "null");
    check_one("/f", text, JSON_FALSE, "false");
    check_one("/t", text, JSON_TRUE, "true");
    check_one("/i", text, JSON_NUMBER, "-12.5e3");
    check_one("/s", text, JSON_STRING, "\"a\\nb\"");
    check_one("/a", text, JSON_ARRAY, "[ 1, [2] ]");
    check_one("/o", text, JSON_OBJECT, "{ \"x\":{} }");
    check_one("/o/x", text, JSON_OBJECT, "{}");
    check_one("/a/0", text, JSON_NUMBER, "1");
    check_one("/a/1", text, JSON_ARRAY, "[2]");
    check_one("/a/1/0", text, JSON_NUMBER, "2");
    check_one("/zz", text, JSON_ABSENT, NULL);
    check_one("/a/2", text, JSON_ABSENT, NULL);
    check_one("/n/x", text, JSON_ABSENT, NULL);
    check_one("/s/0", text, JSON_ABSENT, NULL);
    check_one("", " 7 ", JSON_NUMBER, "7");
    check_one("", "\n[1]\n", JSON_ARRAY, "[1]");
}

/* The example of RFC 6901, section 5, and what an array does with tokens. */
static void test_pointers_of_the_rfc(void **state)
{
    static const char text[] = "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,"
                               "\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8,\"~1\":9}";

    check_one("/foo", text, JSON_ARRAY, "[\"bar\",\"baz\"]");
    check_one("/foo/0", text, JSON_STRING, "\"bar\"");
    check_one("/", text, JSON_NUMBER, "0");
    check_one("/a~1b", text, JSON_NUMBER, "1");
    check_one("/c%d", text, JSON_NUMBER, "2");
    check_one("/e^f", text, JSON_NUMBER, "3");
    check_one("/g|h", text, JSON_NUMBER, "4");
    check_one("/i\\j", text, JSON_NUMBER, "5");
    check_one("/k\"l", text, JSON_NUMBER, "6");
    check_one("/ ", text, JSON_NUMBER, "7");
    check_one("/m~0n", text, JSON_NUMBER, "8");
    check_one("/~01", text, JSON_NUMBER, "9");
    check_one("/foo/00", text, JSON_ABSENT, NULL);
    check_one("/foo/01", text, JSON_ABSENT, NULL);
    check_one("/foo/-", text, JSON_ABSENT, NULL);
    check_one("/foo/+1", text, JSON_ABSENT, NULL);
    check_one("/foo/", text, JSON_ABSENT, NULL);
    check_one("/foo/4294967296", text, JSON_ABSENT, NULL);
    check_one("/foo/99999999999999999999", text, JSON_ABSENT, NULL);
    check_one("/10", "[0,1,2,3,4,5,6,7,8,9,\"ten\"]", JSON_STRING, "\"ten\"");
    check_one("/0", "{\"0\":\"a member\"}", JSON_STRING, "\"a member\"");
    check_one("//", "{\"\":{\"\":1}}", JSON_NUMBER, "1");
}

static void test_names_with_escapes_match(void **state)
{
    check_one("/type", "{\"\\u0074ype\":1}", JSON_NUMBER, "1");
    check_one("/a/b", "{\"\\u0061\":{\"\\u0062\":2}}", JSON_NUMBER, "2");
    check_one("/type", "{\"\\u0074yp\":1}", JSON_ABSENT, NULL);
    check_one("/\xC3\xA9", "{\"\\u00e9\":3}", JSON_NUMBER, "3");
    check_one("/\xC3\xA9", "{\"\xC3\xA9\":3}", JSON_NUMBER, "3");
    check_one("/\xF0\x9F\x98\x80", "{\"\\ud83d\\ude00\":4}", JSON_NUMBER, "4");
}

static void test_says_whether_a_string_has_escapes(void **state)
{
    struct json_paths *paths = new_paths();
    struct json_value v[2];

    add(paths, "/0");
    add(paths, "/1");
    assert_int_equal(json_scan(paths, SLICE("[\"\xC3\xA9 plain\",\"1234567890\\n\"]"), v, NULL), 0);
    assert_false(v[0].escaped);
    assert_true(v[1].escaped);
    json_paths_free(paths);
}

static void test_slots_are_handed_out_in_order(void **state)
{
    struct json_paths *paths = new_paths();
    struct json_value v[4];

    assert_int_equal(json_paths_count(paths), 0);
    assert_int_equal(add(paths, "/a/b"), 0);
    assert_int_equal(add(paths, "/a"), 1);
    assert_int_equal(add(paths, "/a/b"), 0);
    assert_int_equal(add(paths, ""), 2);
    assert_int_equal(add(paths, "/a/c"), 3);
    assert_int_equal(add(paths, ""), 2);
    assert_int_equal(json_paths_count(paths), 4);
    assert_int_equal(json_scan(paths, SLICE("{\"a\":{\"b\":1}}"), v, NULL), 0);
    assert_raw(&v[0], "1");
    assert_raw(&v[1], "{\"b\":1}");
    assert_raw(&v[2], "{\"a\":{\"b\":1}}");
    assert_int_equal(v[3].type, JSON_ABSENT);
    json_paths_free(paths);
}

static void test_slots_of_the_last_text_do_not_stay(void **state)
{
    struct json_paths *paths = new_paths();
    struct json_value v[1];

    add(paths, "/a");
    assert_int_equal(json_scan(paths, SLICE("{\"a\":1}"), v, NULL), 0);
    assert_int_equal(v[0].type, JSON_NUMBER);
    assert_int_equal(json_scan(paths, SLICE("{\"b\":1}"), v, NULL), 0);
    assert_int_equal(v[0].type, JSON_ABSENT);
    json_paths_free(paths);
}

static void test_many_pointers(void **state)
{
    enum { MANY = 1000 };
    struct json_paths *paths = new_paths();
    struct json_value *v = calloc(MANY, sizeof *v);
    struct buf text;
    char name[32];

    assert_non_null(v);
    buf_init(&text, BUF_UNBOUNDED);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "/m%u/x", i);
        assert_int_equal(add(paths, name), i);
        assert_int_equal(buf_appendf(&text, "%s\"m%u\":{\"x\":%u}", i == 0 ? "{" : ",", i, i), 0);
    }
    assert_int_equal(buf_append_str(&text, "}"), 0);
    assert_int_equal(json_scan(paths, buf_slice(&text), v, NULL), 0);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "%u", i);
        assert_raw(&v[i], name);
    }
    buf_fini(&text);
    free(v);
    json_paths_free(paths);
}

/* The bit that stands for a name's length also stands for all longer ones. */
static void test_long_names(void **state)
{
    enum { SHORTEST = 60, LONGEST = 70 };
    char pointer[LONGEST + 2], text[LONGEST + 8];

    for (int len = SHORTEST; len <= LONGEST; len++) {
        snprintf(pointer, sizeof pointer, "/%0*d", len, 7);
        snprintf(text, sizeof text, "{\"%0*d\":1}", len, 7);
        check_one(pointer, text, JSON_NUMBER, "1");
        snprintf(text, sizeof text, "{\"%0*d\":1}", len, 8);
        check_one(pointer, text, JSON_ABSENT, NULL);
    }
}

static void test_of_duplicates_the_last_wins(void **state)
{
    check_one("/a", "{\"a\":1,\"a\":2}", JSON_NUMBER, "2");
    check_one("/a", "{\"a\":1,\"\\u0061\":\"2\"}", JSON_STRING, "\"2\"");
    check_one("/a", "{\"a\":{},\"a\":null}", JSON_NULL, "null");
    check_one("/a/b", "{\"a\":{\"b\":1},\"a\":{\"b\":2}}", JSON_NUMBER, "2");
    check_one("/a/b", "{\"a\":{\"b\":1},\"a\":{}}", JSON_ABSENT, NULL);
    check_one("/a/b", "{\"a\":{\"b\":1},\"a\":[]}", JSON_ABSENT, NULL);
    check_one("/a/b/c", "{\"a\":{\"b\":{\"c\":1}},\"a\":{\"b\":3}}", JSON_ABSENT, NULL);
    check_one("/a/0", "{\"a\":[1,2],\"a\":[]}", JSON_ABSENT, NULL);
    check_one("/a/0", "{\"a\":[1,2],\"a\":7}", JSON_ABSENT, NULL);
}

static void test_a_duplicate_forgets_nothing_else(void **state)
{
    struct json_paths *paths = new_paths();
    struct json_value v[4];

    add(paths, "/a/x/p");
    add(paths, "/a/y");
    add(paths, "/b/x");
    add(paths, "");
    assert_int_equal(json_scan(paths,
                               SLICE("{\"b\":{\"x\":1},\"a\":{\"x\":{\"p\":2},\"y\":3},"
                                     "\"a\":{\"y\":4}}"),
                               v, NULL),
                     0);
    assert_int_equal(v[0].type, JSON_ABSENT);
    assert_raw(&v[1], "4");
    assert_raw(&v[2], "1");
    assert_int_equal(v[3].type, JSON_OBJECT);
    json_paths_free(paths);
}

static void test_bad_pointers(void **state)
{
    static const char *const bad[] = {"a",   "a/b", " /a",    "~0",  "/~",
                                      "/a~", "/~2", "/a/b~x", "/~~0"};
    struct json_paths *paths = new_paths();
    struct error err;
    unsigned slot = 77;

    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(json_paths_add(paths, slice_str(bad[i]), &slot, &err), ERR_PARSE);
        assert_non_null(strstr(err.text, bad[i]));
        assert_int_equal(json_paths_add(paths, slice_str(bad[i]), &slot, NULL), ERR_PARSE);
    }
    assert_int_equal(slot, 77);
    assert_int_equal(json_paths_count(paths), 0);
    json_paths_free(paths);
    json_paths_free(NULL);
}

static char *nested(const char *open, const char *core, const char *close, size_t depth)
{
    struct buf b;

    buf_init(&b, BUF_UNBOUNDED);
    for (size_t i = 0; i < depth; i++)
        assert_int_equal(buf_append_str(&b, open), 0);
    assert_int_equal(buf_append_str(&b, core), 0);
    for (size_t i = 0; i < depth; i++)
        assert_int_equal(buf_append_str(&b, close), 0);
    buf_cstr(&b);
    return b.data;
}

static void test_depth_at_the_bound_and_one_past(void **state)
{
    static const struct {
        const char *open, *core, *close;
        size_t wrong; /* where one past the bound goes wrong */
    } shapes[] = {
        {"[", "", "]", LIMIT_JSON_DEPTH},
        {"[", "1", "]", LIMIT_JSON_DEPTH},
        {"{\"a\":", "0", "}", 5 * LIMIT_JSON_DEPTH},
        {"[0,", "0", "]", 3 * LIMIT_JSON_DEPTH},
    };

    for (size_t i = 0; i < COUNT(shapes); i++) {
        for (size_t depth = LIMIT_JSON_DEPTH - 1; depth <= LIMIT_JSON_DEPTH + 1; depth++) {
            char *text = nested(shapes[i].open, shapes[i].core, shapes[i].close, depth);
            size_t wrong = 0;
            int rc = json_scan(NULL, slice_str(text), NULL, &wrong);

            assert_int_equal(rc, depth <= LIMIT_JSON_DEPTH ? 0 : ERR_PARSE);
            assert_int_equal(wrong, depth <= LIMIT_JSON_DEPTH ? 0 : shapes[i].wrong);
            free(text);
        }
    }
}

static void test_a_pointer_as_deep_as_a_text_can_be(void **state)
{
    char *pointer = nested("/a", "", "", LIMIT_JSON_DEPTH);
    char *text = nested("{\"a\":", "\"deep\"", "}", LIMIT_JSON_DEPTH);

    check_one(pointer, text, JSON_STRING, "\"deep\"");
    free(text);
    free(pointer);
}

static const char sample[] =
    "{\"type\":\"swp.room.message\",\"id\":\"evt-1\\u00e9\\ud83d\\ude00\",\"n\":[-1.5e+10,0,true,"
    "false,null,[],{}],\"text\":\"\xD0\x94\xE2\x82\xAC\xF0\x9F\x98\x80 and \\\"more\\\" of it\"}";

static void test_every_prefix_is_refused(void **state)
{
    size_t len = sizeof sample - 1;

    assert_int_equal(json_scan(NULL, slice_make(sample, len), NULL, NULL), 0);
    for (size_t n = 0; n < len; n++) {
        char *prefix = malloc(n != 0 ? n : 1);
        size_t wrong = SIZE_MAX;

        assert_non_null(prefix);
        memcpy(prefix, sample, n);
        assert_int_equal(json_scan(NULL, slice_make(prefix, n), NULL, &wrong), ERR_PARSE);
        /* A character that is cut goes wrong at its first byte, anything else at the end. */
        assert_true(wrong <= n && wrong + 3 >= n);
        if (n == 0 || (unsigned char)sample[n] < 0x80)
            assert_int_equal(wrong, n);
        free(prefix);
    }
}

static void test_offset_of_the_first_wrong_byte(void **state)
{
    static const struct {
        const char *text;
        size_t wrong;
    } rows[] = {
        {"", 0},
        {"  ", 2},
        {"x", 0},
        {"truE", 3},
        {"[1,]", 3},
        {"[1 2]", 3},
        {"{\"a\" 1}", 5},
        {"{\"a\":1,}", 7},
        {"{1:2}", 1},
        {"01", 1},
        {"1.x", 2},
        {"1e+x", 3},
        {"-x", 1},
        {"\"a\nb\"", 2},
        {"\"\\x\"", 2},
        {"\"\\u12G4\"", 5},
        {"[]]", 2},
        {"[}", 1},
        {"{]", 1},
        {"\"\xE2\x28\xA1\"", 1},
        {"[\"\xFF\"]", 2},
        {"\xEF\xBB\xBF{}", 0},
        {"{\"a\":tru}", 8},
        {"[1]x", 3},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t wrong = SIZE_MAX;

        assert_int_equal(json_scan(NULL, slice_str(rows[i].text), NULL, &wrong), ERR_PARSE);
        if (wrong != rows[i].wrong)
            fail_msg("%s: offset %zu, want %zu", rows[i].text, wrong, rows[i].wrong);
    }
}

/* What lies aside of all pointers is checked like the rest. */
static void test_skipped_parts_are_checked(void **state)
{
    struct json_paths *paths = new_paths();
    struct json_value v;
    size_t wrong;

    add(paths, "/a");
    assert_int_equal(json_scan(paths, SLICE("{\"a\":1,\"b\":[{\"c\":01}]}"), &v, &wrong),
                     ERR_PARSE);
    assert_int_equal(wrong, 18);
    assert_int_equal(json_scan(paths, SLICE("{\"a\":1,\"b\":\"\xFF\"}"), &v, &wrong), ERR_PARSE);
    assert_int_equal(wrong, 12);
    json_paths_free(paths);
}

/* The word-wise scan finds the end of a string at every distance from a word's border. */
static void test_strings_of_every_length(void **state)
{
    enum { LONGEST = 40 };
    static const char *const ends[] = {"\"", "\\n\"", "\xC3\xA9\"", "\n\"", "\xC3\""};
    struct json_paths *paths = new_paths();
    struct json_value v;
    struct buf text;

    add(paths, "");
    buf_init(&text, BUF_UNBOUNDED);
    for (size_t e = 0; e < COUNT(ends); e++) {
        for (size_t len = 0; len < LONGEST; len++) {
            bool good = e < 3;
            size_t wrong = SIZE_MAX;

            buf_clear(&text);
            assert_int_equal(buf_appendf(&text, "\"%0*d%s", (int)len + 1, 1, ends[e]), 0);
            assert_int_equal(json_scan(paths, buf_slice(&text), &v, &wrong), good ? 0 : ERR_PARSE);
            if (good)
                assert_true(slice_eq(v.raw, buf_slice(&text)));
            else
                assert_int_equal(wrong, len + 2);
        }
    }
    buf_fini(&text);
    json_paths_free(paths);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_each_type),
        cmocka_unit_test(test_pointers_of_the_rfc),
        cmocka_unit_test(test_names_with_escapes_match),
        cmocka_unit_test(test_says_whether_a_string_has_escapes),
        cmocka_unit_test(test_slots_are_handed_out_in_order),
        cmocka_unit_test(test_slots_of_the_last_text_do_not_stay),
        cmocka_unit_test(test_many_pointers),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_of_duplicates_the_last_wins),
        cmocka_unit_test(test_a_duplicate_forgets_nothing_else),
        cmocka_unit_test(test_bad_pointers),
        cmocka_unit_test(test_depth_at_the_bound_and_one_past),
        cmocka_unit_test(test_a_pointer_as_deep_as_a_text_can_be),
        cmocka_unit_test(test_every_prefix_is_refused),
        cmocka_unit_test(test_offset_of_the_first_wrong_byte),
        cmocka_unit_test(test_skipped_parts_are_checked),
        cmocka_unit_test(test_strings_of_every_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
