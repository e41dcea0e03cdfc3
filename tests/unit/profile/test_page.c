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

/* ---- other shapes of pages ---- */

#define SYNC "[http sync]\nurl = https://h.example/s?since=${position}\n"
#define VIA "[catchup]\nvia = http\nhttp = sync\n"

/* The ids of the items, each with a blank behind it. */
static void read_ids(struct scan *s, struct profile_page *page, char *out)
{
    *out = '\0';
    while (profile_page_next(s->scanner, page, &s->message)) {
        assert_true(s->message.event);
        strncat(out, s->message.id.ptr != NULL ? s->message.id.ptr : "?",
                s->message.id.ptr != NULL ? s->message.id.len : 1);
        strcat(out, " ");
    }
}

static void check_ids(struct scan *s, const char *body, const char *want)
{
    struct profile_page page;
    struct error err = {0};
    char got[256];
    size_t n = 0;

    assert_int_equal(profile_page_parse(s->scanner, slice_str(body), &page, &err), 0);
    for (const char *at = want; *at != '\0'; at++)
        n += *at == ' ';
    assert_int_equal(page.n_items, n);
    read_ids(s, &page, got);
    if (strcmp(got, want) != 0)
        fail_msg("%s: got %s, want %s", body, got, want);
}

static void test_newest_first(void **state)
{
    struct scan s;

    scan_start(&s, CONNECT SYNC VIA "order = desc\nitems = /d\n[event]\nid = /id\nposition = /p\n",
               no_keys);
    assert_true(s.loaded.profile->catchup.descending);
    check_ids(&s, "{\"d\":[{\"id\":3},{\"id\":2},{\"id\":1}]}", "1 2 3 ");
    check_ids(&s, "{\"d\":[]}", "");
    check_ids(&s, "{\"d\":[ ]}", "");
    check_ids(&s, "{\"d\":null}", "");
    check_ids(&s,
              "{\"d\": [ {\"id\":5} ,\n{\"x\":\"]\\\\\\\"}{[\",\"id\":\"4\\\\\"}\t, 3,\"a\\\\\","
              "\"\\\\\\\"\",[[{\"]\":1}]],true,null,-1.5e3 ] }",
              "? ? ? ? ? ? ? 4\\ 5 ");
    scan_stop(&s);
}

static void test_lines(void **state)
{
    struct profile_page page;
    struct error err;
    struct scan s;

    for (int desc = 0; desc < 2; desc++) {
        char text[512];

        snprintf(text, sizeof(text),
                 CONNECT SYNC "format = ndjson\n" VIA "order = %s\n[event]\nid = /id\n"
                              "position = /p\n",
                 desc ? "desc" : "asc");
        scan_start(&s, text, no_keys);
        check_ids(&s, "{\"id\":1}\n{\"id\":2}\n", desc ? "2 1 " : "1 2 ");
        check_ids(&s, "\n{\"id\":1}\r\n\r\n \n{\"id\":2}", desc ? "2 1 " : "1 2 ");
        check_ids(&s, "", "");
        check_ids(&s, "\n\n", "");
        assert_int_equal(profile_page_parse(s.scanner, SLICE("{}\n\n{\"a\":}\n"), &page, &err),
                         ERR_PARSE);
        assert_string_equal(err.text, "item 2 of the page is no JSON: byte 5 of 6 is wrong");
        assert_int_equal(profile_page_parse(s.scanner, SLICE("5\n"), &page, &err), 0);
        assert_true(page.more);
        scan_stop(&s);
    }
}

static void test_gone(void **state)
{
    struct profile_page page;
    struct error err;
    struct scan s;

    scan_start(&s,
               CONNECT SYNC VIA "items = /d\ngone = /error | /d/0/error == \"too old\"\n"
                                "[event]\nposition = /p\n",
               no_keys);
    assert_int_equal(profile_page_parse(s.scanner, SLICE("{\"error\":\"too old\"}"), &page, &err),
                     0);
    assert_true(page.gone);
    assert_int_equal(page.n_items, 0);
    assert_false(profile_page_next(s.scanner, &page, &s.message));
    assert_int_equal(
        profile_page_parse(s.scanner, SLICE("{\"d\":[{\"error\":\"too old\"}]}"), &page, &err), 0);
    assert_true(page.gone);
    assert_int_equal(page.n_items, 1);
    assert_int_equal(profile_page_parse(s.scanner, SLICE("{\"error\":\"no\"}"), &page, &err),
                     ERR_PROTOCOL);
    assert_int_equal(profile_page_parse(s.scanner, SLICE("{\"d\":[]}"), &page, &err), 0);
    assert_false(page.gone);
    scan_stop(&s);
}

/* An item has no frame around it, and may be made otherwise than a message. */
static void test_map(void **state)
{
    struct profile_page page;
    struct scan s;

    scan_start(&s,
               CONNECT SYNC VIA "map.id = ${/a}-${/b}\nmap.position = /seq\nmap.type = /kind\n"
                                "map.time = /at\nmap.key = /room\n"
                                "[message]\nsplit = /l/*\n[event]\nid = ^/x\nposition = /p\n"
                                "type = ^/t\ntime = /t\n[position]\ncompare = int\n"
                                "contiguous = yes\nkey = ^/k\n",
               no_keys);
    scan_text(&s, "{\"x\":1,\"k\":2,\"t\":3,\"l\":[{\"p\":4}]}");
    assert_slice(s.message.id, "1");
    assert_slice(s.message.key, "2");
    assert_int_equal(profile_page_parse(s.scanner,
                                        SLICE("[{\"a\":5,\"b\":6,\"seq\":7,\"kind\":\"k\",\"at\":8,"
                                              "\"room\":\"r\"}]"),
                                        &page, NULL),
                     0);
    assert_true(profile_page_next(s.scanner, &page, &s.message));
    assert_slice(s.message.id, "5-6");
    assert_slice(s.message.position, "7");
    assert_slice(s.message.type, "k");
    assert_slice(s.message.time, "8");
    assert_slice(s.message.key, "r");
    scan_stop(&s);
    /* What [event] takes from the frame is absent in an item. */
    scan_start(&s, CONNECT "[message]\nsplit = /l/*\n[event]\nid = ^/x | /y\n", no_keys);
    scan_text(&s, "{\"x\":1,\"l\":[{\"y\":2}]}");
    assert_slice(s.message.id, "1");
    assert_int_equal(profile_page_parse(s.scanner, SLICE("[{\"x\":3,\"y\":4}]"), &page, NULL), 0);
    assert_true(profile_page_next(s.scanner, &page, &s.message));
    assert_slice(s.message.id, "4");
    scan_stop(&s);
}

static void test_bad_keys(void **state)
{
    static const struct {
        const char *text, *fault;
    } table[] = {
        {VIA "order = up\n", "6: order: `up` is none of asc, desc"},
        {VIA "gone = /a\n", "6: gone: ==, != or exists must follow, but it ends there"},
        {VIA "gone = ^/a exists\n", "6: gone: `^/a`: nothing holds a page"},
        {VIA "tip = tpi\n[http tip]\nurl = https://h.example/t\n",
         "6: tip: there is no [http tpi]; did you mean `tip`?"},
        {VIA "tip = tip\n[http tip]\nurl = https://h.example/t\nformat = ndjson\n",
         "8: [http tip] and [http sync] must have the same `format`; both are read as pages"},
        {VIA "[http x]\nurl = https://h.example/t\nformat = xml\n",
         "8: format: `xml` is none of json, ndjson"},
        {"[catchup]\naudit = 60s\n", "4: audit: needs via = http"},
        {"[catchup]\norder = desc\n", "4: order: desc needs via = http"},
        {VIA "order = desc\nnext = /n\n",
         "6: order: desc, but nothing in [http sync] carries ${next}"},
        {VIA "[http older]\nurl = https://h.example/o?b=${next}\n",
         "7: [http older] names ${next} without `order = desc` in [catchup]"},
        {"[catchup]\nvia = session\n",
         "4: via: session, but no [send] carries ${position} or a captured variable"},
        {"[catchup]\nvia = sesion\n", "4: via: `sesion` is none of none, http, url, session"},
    };
    struct loaded l;

    for (size_t i = 0; i < COUNT(table); i++) {
        bool via = strncmp(table[i].text, VIA, strlen(VIA)) == 0;
        char text[1024], fault[256];

        snprintf(text, sizeof(text), CONNECT "%s%s%s", table[i].text, via ? SYNC : "",
                 via ? "[event]\nposition = /p\n" : "");
        snprintf(fault, sizeof(fault), "test.ini:%s", table[i].fault);
        check_fault(text, no_keys, fault);
    }
    check_fault(CONNECT SYNC "format = ndjson\n" VIA "next = /n\n[event]\nposition = /p\n", no_keys,
                "test.ini:9: next: [http sync] has format = ndjson, an item a line");
    l = load_ok(CONNECT SYNC VIA
                "tip = sync\naudit = 60s\n[event]\nposition = /p\nunkeyed = sync\n",
                no_keys);
    assert_int_equal(l.profile->catchup.tip, 0);
    assert_int_equal(l.profile->catchup.audit_ms, 60000);
    assert_true(l.profile->unkeyed_sync);
    unload(&l);
    l = load_ok(CONNECT "[catchup]\nvia = session\n[send a]\non = open\ntext = ${position}\n",
                no_keys);
    assert_int_equal(l.profile->catchup.via, PROFILE_CATCHUP_SESSION);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scaiwave_page), cmocka_unit_test(test_bad_pages),
        cmocka_unit_test(test_page_cursor),   cmocka_unit_test(test_page_of_anything),
        cmocka_unit_test(test_newest_first),  cmocka_unit_test(test_lines),
        cmocka_unit_test(test_gone),          cmocka_unit_test(test_map),
        cmocka_unit_test(test_bad_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
