/* Catch-up pages and their items. */
#include "unit/profile/support.h"

static const char *const no_keys[] = {NULL};

static const char *const chat_keys[] = {"host=chat.example.com", "token=env:T", NULL};

static void test_scaiwave_page(void **state)
{
    static const char body[] =
        "{\"data\":{\"events\":["
        "{\"id\":\"evt-1\",\"stream_position\":12345,\"room_id\":\"r\","
        "\"event_type\":\"swp.room.message\",\"content\":{},\"origin_ts\":1},"
        "{\"id\":\"evt-\\u0032\",\"stream_position\":12446,\"event_type\":\"swp.x\"}"
        "],\"next_cursor\":12446,\"has_more\":true}}";
    struct profile_page page;
    struct error err;
    struct scan s;

    scan_start_shipped(&s, "scaiwave", chat_keys);
    assert_int_equal(profile_page_parse(s.scanner, slice_str(body), &page, &err), 0);
    assert_int_equal(page.n_items, 2);
    assert_true(page.more);
    assert_slice(page.next, "12446");
    assert_true(profile_page_next(s.scanner, &page, &s.message));
    assert_true(s.message.json);
    assert_true(s.message.event);
    assert_slice(s.message.id, "evt-1");
    assert_slice(s.message.position, "12345");
    assert_slice(s.message.type, "swp.room.message");
    assert_slice(s.message.time, "1");
    assert_true(slice_starts_with(s.message.data, SLICE("{\"id\":\"evt-1\",")));
    assert_true(profile_page_next(s.scanner, &page, &s.message));
    assert_slice(s.message.id, "evt-2");
    assert_slice(s.message.type, "swp.x");
    assert_slice(page.next, "12446");
    assert_false(profile_page_next(s.scanner, &page, &s.message));
    assert_int_equal(
        profile_page_parse(
            s.scanner, SLICE("{\"data\":{\"events\":[],\"next_cursor\":null,\"has_more\":false}}"),
            &page, &err),
        0);
    assert_int_equal(page.n_items, 0);
    assert_false(page.more);
    assert_slice(page.next, NULL);
    assert_false(profile_page_next(s.scanner, &page, &s.message));
    scan_stop(&s);
}

static void test_bad_pages(void **state)
{
    static const struct {
        const char *body;
        int rc;
        const char *text;
    } table[] = {
        {"", ERR_PARSE, "the page is no JSON: byte 0 of 0 is wrong"},
        {"<html>", ERR_PARSE, "the page is no JSON: byte 0 of 6 is wrong"},
        {"{\"d\":[1}", ERR_PARSE, "the page is no JSON: byte 7 of 8 is wrong"},
        {"{}", ERR_PROTOCOL, "the page has no list at `/d`"},
        {"{\"d\":{}}", ERR_PROTOCOL, "the page has no list at `/d`, but something else"},
        {"{\"d\":[],\"m\":1}", ERR_PROTOCOL, "`/m` of the page is neither true nor false"},
        {"{\"d\":[],\"n\":{}}", ERR_PROTOCOL, "`/n` of the page is neither a string nor a number"},
    };
    struct profile_page page;
    struct error err;
    struct scan s;

    scan_start(&s, CONNECT "[catchup]\nitems = /d\nnext = /n\nmore = /m\n", no_keys);
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_int_equal(profile_page_parse(s.scanner, slice_str(table[i].body), &page, &err),
                         table[i].rc);
        assert_string_equal(err.text, table[i].text);
        assert_int_equal(profile_page_parse(s.scanner, slice_str(table[i].body), &page, NULL),
                         table[i].rc);
    }
    scan_stop(&s);
}

static void test_page_cursor(void **state)
{
    char body[LIMIT_POSITION + 64];
    struct profile_page page;
    struct error err;
    struct scan s;

    scan_start(&s, CONNECT "[catchup]\nitems = /d\nnext = /n\n", no_keys);
    assert_int_equal(
        profile_page_parse(s.scanner, SLICE("{\"d\":[5],\"n\":\"a\\tb\"}"), &page, &err), 0);
    assert_slice(page.next, "a\tb");
    assert_true(page.more);
    assert_int_equal(profile_page_parse(s.scanner, SLICE("{\"d\":null,\"n\":\"\"}"), &page, &err),
                     0);
    assert_slice(page.next, NULL);
    assert_false(page.more);
    assert_false(profile_page_next(s.scanner, &page, &s.message));
    for (int over = 0; over < 2; over++) {
        int at = snprintf(body, sizeof(body), "{\"d\":[],\"n\":\"");

        memset(body + at, 'a', LIMIT_POSITION + (size_t)over);
        snprintf(body + at + LIMIT_POSITION + over, 8, "\"}");
        assert_int_equal(profile_page_parse(s.scanner, slice_str(body), &page, &err),
                         over ? ERR_PROTOCOL : 0);
        if (!over)
            assert_int_equal(page.next.len, LIMIT_POSITION);
    }
    assert_string_equal(err.text, "`/n` of the page is longer than 512 bytes");
    scan_stop(&s);
}

/* Items of any kind come through; a whole body that is a list needs no pointer. */
static void test_page_of_anything(void **state)
{
    static const char *const want[] = {"1", "\"x\"", "{\"id\":\"i\"}", "[2]", "null"};
    struct profile_page page;
    struct error err;
    struct scan s;
    size_t n = 0;

    scan_start(&s, CONNECT "[event]\nid = /id\n", no_keys);
    assert_int_equal(
        profile_page_parse(s.scanner, SLICE("[1, \"x\" ,{\"id\":\"i\"},[2],null]"), &page, &err),
        0);
    assert_int_equal(page.n_items, COUNT(want));
    assert_true(page.more);
    while (profile_page_next(s.scanner, &page, &s.message)) {
        assert_slice(s.message.data, want[n]);
        assert_true(s.message.event);
        assert_slice(s.message.id, n == 2 ? "i" : NULL);
        n++;
    }
    assert_int_equal(n, COUNT(want));
    scan_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scaiwave_page),
        cmocka_unit_test(test_bad_pages),
        cmocka_unit_test(test_page_cursor),
        cmocka_unit_test(test_page_of_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
