/* What a message means: fields, rules, faults, header blocks. */
#include "unit/profile/support.h"

static const char *const no_keys[] = {NULL};

/* ---- ScaiWave's documented frames ---- */

static const char *const chat_keys[] = {"host=chat.example.com", "token=env:T", NULL};
static const char *const tenant_keys[] = {"host=chat.example.com", "token=env:T", "tenant=acme",
                                          NULL};

#define HELLO                                                                                      \
    "{\"type\":\"hello\",\"session_id\":\"6f\",\"server_name\":\"s\",\"tenant_id\":\"acme\","      \
    "\"ts\":\"2026-05-17T11:00:00Z\"}"
#define MESSAGE                                                                                    \
    "{\"type\":\"swp.room.message\",\"id\":\"evt-1\",\"room_id\":\"r\",\"sender_id\":\"u\","       \
    "\"content\":{\"msgtype\":\"swp.text\",\"body\":\"Hello\"},\"stream_position\":12345,"         \
    "\"origin_ts\":1778939467}"

static void test_scaiwave_hello(void **state)
{
    struct scan s;

    scan_start_shipped(&s, "scaiwave", chat_keys);
    scan_text(&s, HELLO);
    assert_true(s.message.json);
    assert_false(s.message.event);
    assert_null(s.message.fault);
    assert_int_equal(s.message.n_actions, 1);
    assert_int_equal(s.message.actions[0].action->kind, PROFILE_RULE_LIVE);
    assert_string_equal(s.message.actions[0].action->rule, "hello");
    assert_slice(s.message.position, NULL);
    assert_slice(s.message.id, NULL);
    scan_stop(&s);
}

static void test_scaiwave_wrong_tenant(void **state)
{
    struct scan s;

    scan_start_shipped(&s, "scaiwave", tenant_keys);
    scan_text(&s, HELLO);
    assert_int_equal(s.message.n_actions, 1);
    assert_int_equal(s.message.actions[0].action->kind, PROFILE_RULE_LIVE);
    scan_text(&s, "{\"type\":\"hello\",\"tenant_id\":\"other\"}");
    assert_int_equal(s.message.n_actions, 2);
    assert_int_equal(s.message.actions[0].action->kind, PROFILE_RULE_PARK);
    assert_string_equal(s.message.actions[0].action->rule, "wrong-tenant");
    assert_non_null(
        strstr(s.message.actions[0].action->text, "another tenant than configured, so none"));
    assert_int_equal(s.message.actions[1].action->kind, PROFILE_RULE_LIVE);
    scan_text(&s, "{\"type\":\"hello\"}");
    assert_int_equal(s.message.n_actions, 1);
    scan_stop(&s);
}

static void test_scaiwave_event(void **state)
{
    struct scan s;

    scan_start_shipped(&s, "scaiwave", chat_keys);
    scan_text(&s, MESSAGE);
    assert_true(s.message.event);
    assert_false(s.message.ephemeral);
    assert_null(s.message.fault);
    assert_int_equal(s.message.n_actions, 0);
    assert_slice(s.message.id, "evt-1");
    assert_slice(s.message.position, "12345");
    assert_slice(s.message.type, "swp.room.message");
    assert_slice(s.message.time, "1778939467");
    assert_slice(s.message.data, MESSAGE);
    assert_ptr_equal(s.message.data.ptr, s.copy);
    scan_stop(&s);
}

static void test_scaiwave_ephemeral(void **state)
{
    static const char *const types[] = {"typing",       "swp.typing",     "presence",
                                        "swp.presence", "swp.room.chunk", "chunk"};
    struct scan s;

    scan_start_shipped(&s, "scaiwave", chat_keys);
    for (size_t i = 0; i < COUNT(types); i++) {
        char text[64];

        snprintf(text, sizeof(text), "{\"type\":\"%s\"}", types[i]);
        scan_text(&s, text);
        assert_true(s.message.event);
        assert_true(s.message.ephemeral);
    }
    /* A reaction without an id lasts; its event_id is another's. */
    scan_text(&s, "{\"type\":\"swp.reaction\",\"event_id\":\"evt-1\"}");
    assert_true(s.message.event);
    assert_false(s.message.ephemeral);
    assert_slice(s.message.id, NULL);
    scan_stop(&s);
}

static void test_ephemeral_globs(void **state)
{
    static const struct {
        const char *type;
        bool ephemeral;
    } table[] = {
        {"abc", true},      {"xabc", false}, {"abcx", false}, {"p.anything", true},
        {"p", false},       {"x.end", true}, {".end", true},  {"end", false},
        {"x.end.x", false}, {"q1", true},    {"q12", false},  {"q", false},
        {"a-z", true},      {"a--z", true},  {"a-y", false},  {"typing", false},
    };
    struct scan s;

    scan_start(&s, CONNECT "[event]\ntype = /t\nephemeral = abc p.* *.end, q?\n  a-*z\n", no_keys);
    for (size_t i = 0; i < COUNT(table); i++) {
        char text[64];

        snprintf(text, sizeof(text), "{\"t\":\"%s\"}", table[i].type);
        scan_text(&s, text);
        if (s.message.ephemeral != table[i].ephemeral)
            fail_msg("%s", table[i].type);
    }
    scan_text(&s, "{}");
    assert_false(s.message.ephemeral);
    scan_stop(&s);
}

/* ---- nchan ---- */

static const char *const nchan_keys[] = {"host=h", "path=sub/a", NULL};

static void test_nchan(void **state)
{
    struct scan s;

    scan_start_shipped(&s, "nchan", nchan_keys);
    scan_text(&s, "id: 1795216417:0\ncontent-type: application/json\n\n{\"a\":1}");
    assert_true(s.message.json);
    assert_true(s.message.event);
    assert_null(s.message.fault);
    assert_slice(s.message.id, "1795216417:0");
    assert_slice(s.message.position, "1795216417:0");
    assert_slice(s.message.data, "{\"a\":1}");
    /* The payload may be anything, empty lines and colons in it too. */
    scan_text(&s, "ID:1:2\r\n\r\nx: y\n\nz");
    assert_false(s.message.json);
    assert_null(s.message.fault);
    assert_slice(s.message.id, "1:2");
    assert_slice(s.message.data, "x: y\n\nz");
    scan_text(&s, "id: 1:3\n\n");
    assert_slice(s.message.id, "1:3");
    assert_int_equal(s.message.data.len, 0);
    assert_non_null(s.message.data.ptr);
    scan_stop(&s);
}

static void test_broken_header_blocks(void **state)
{
    static const char *const texts[] = {"", "id: 1:2", "id: 1:2\n", "no colon\n\nx", "{\"a\":1}"};
    struct scan s;

    scan_start_shipped(&s, "nchan", nchan_keys);
    for (size_t i = 0; i < COUNT(texts); i++) {
        scan_text(&s, texts[i]);

        assert_true(s.message.event);
        assert_string_equal(s.message.fault, "no header block in front of the payload");
        assert_slice(s.message.id, NULL);
        assert_slice(s.message.data, texts[i]);
    }
    scan_stop(&s);
}

static void test_rules_see_headers(void **state)
{
    static const struct {
        const char *text;
        bool event;
    } table[] = {
        {"Kind: end\n\nx", false},   {"kind: begin\n\nx", true}, {"n: 7\n\nx", false},
        {"n: 70\n\nx", true},        {"gone: \n\n{}", false},    {"x: y\n\n{\"a\":1}", false},
        {"x: y\n\n{\"a\":2}", true},
    };
    struct scan s;

    scan_start(&s,
               CONNECT
               "[message]\nheader_block = yes\n[on a]\n"
               "match = header:Kind == \"end\" || header:N == 7 || header:gone exists || /a == 1\n"
               "do = ignore\n",
               no_keys);
    for (size_t i = 0; i < COUNT(table); i++) {
        scan_text(&s, table[i].text);

        if (s.message.event != table[i].event)
            fail_msg("%s", table[i].text);
    }
    scan_stop(&s);
}

/* A service that speaks JSON, and answers "ping" with "pong". */
static void test_rules_see_text(void **state)
{
    static const struct {
        const char *text;
        bool event, acks;
        const char *fault;
    } table[] = {
        {"pong", false, true, NULL},
        {"bye", false, false, NULL},
        {"note", true, false, NULL},
        {"hello", true, false, NULL},
        {"{\"id\":1}", true, false, NULL},
        {"{\"text\":\"pong\"}", false, false, NULL},
        {"\"pong\"", false, false, NULL},
        {"Pong", true, false, "no JSON: byte 0 is wrong; kept as text"},
        {"", true, false, "no JSON: byte 0 is wrong; kept as text"},
    };
    struct scan s;

    scan_start(&s,
               CONNECT "[event]\nid = /id\nonly = /id exists || text == \"hello\"\n"
                       "[send ping]\ntext = ping\n"
                       "[heartbeat]\nsend = ping\nevery = 5s\nack = text == \"pong\"\n"
                       "[on bye]\nmatch = text == \"bye\"\ndo = reconnect\n"
                       "[on note]\nmatch = text == \"note\"\ndo = event\n",
               no_keys);
    for (size_t i = 0; i < COUNT(table); i++) {
        scan_text(&s, table[i].text);

        if (s.message.event != table[i].event || s.message.acks != table[i].acks ||
            (s.message.fault == NULL) != (table[i].fault == NULL))
            fail_msg("%s", table[i].text);
        if (table[i].fault != NULL)
            assert_string_equal(s.message.fault, table[i].fault);
        assert_slice(s.message.data, table[i].text);
    }
    scan_stop(&s);
}

/* ---- generic ---- */

static void test_generic(void **state)
{
    static const char *const keys[] = {"url=wss://h.example/", NULL};
    static const char *const texts[] = {"{\"a\":1}", "pong", "", "\xff\xfe", "[1,2", "17"};
    struct scan s;

    scan_start_shipped(&s, "generic", keys);
    for (size_t i = 0; i < COUNT(texts); i++) {
        scan_text(&s, texts[i]);

        assert_true(s.message.event);
        assert_null(s.message.fault);
        assert_int_equal(s.message.json, i == 0 || i == 5);
        assert_slice(s.message.data, texts[i]);
        assert_slice(s.message.id, NULL);
        assert_slice(s.message.type, NULL);
    }
    scan_stop(&s);
}

/* ---- fields ---- */

static void test_places_in_turn(void **state)
{
    struct scan s;

    scan_start(&s, CONNECT "[event]\nid = /a | /b/0 | /c~1d\ntime = /t | /u\n", no_keys);
    scan_text(&s, "{\"a\":\"1\",\"b\":[\"2\"],\"c/d\":\"3\"}");
    assert_slice(s.message.time, NULL);
    scan_text(&s, "{\"a\":null,\"b\":[\"2\"],\"t\":null,\"u\":{\"x\":1}}");
    assert_slice(s.message.id, "2");
    assert_slice(s.message.time, "{\"x\":1}");
    scan_text(&s, "{\"a\":\"\",\"c/d\":\"3\"}");
    assert_slice(s.message.id, "3");
    scan_text(&s, "{\"b\":\"x\"}");
    assert_slice(s.message.id, NULL);
    assert_null(s.message.fault);
    scan_stop(&s);
}

static void test_kinds_of_ids(void **state)
{
    static const struct {
        const char *text, *id, *fault;
    } table[] = {
        {"{\"id\":17}", "17", NULL},
        {"{\"id\":-1.5e3}", "-1.5e3", NULL},
        {"{\"id\":\"x\\ny\\u00e9\"}", "x\ny\xc3\xa9", NULL},
        {"{\"id\":\"\"}", NULL, NULL},
        {"{\"id\":null}", NULL, NULL},
        {"{}", NULL, NULL},
        {"{\"id\":true}", NULL, "id is neither a string nor a number"},
        {"{\"id\":false}", NULL, "id is neither a string nor a number"},
        {"{\"id\":{}}", NULL, "id is neither a string nor a number"},
        {"{\"id\":[1]}", NULL, "id is neither a string nor a number"},
        {"{\"id\":1", NULL, "no JSON: byte 7 is wrong; kept as text"},
        {"x", NULL, "no JSON: byte 0 is wrong; kept as text"},
    };
    struct scan s;

    scan_start(&s, CONNECT "[event]\nid = /id\n", no_keys);
    for (size_t i = 0; i < COUNT(table); i++) {
        scan_text(&s, table[i].text);

        assert_slice(s.message.id, table[i].id);
        assert_true(s.message.event);
        if (table[i].fault == NULL)
            assert_null(s.message.fault);
        else
            assert_string_equal(s.message.fault, table[i].fault);
    }
    scan_stop(&s);
}

static void test_only(void **state)
{
    struct scan s;

    scan_start(&s, CONNECT "[event]\nonly = /type == \"e\"\n[on a]\nmatch = /n == 1\ndo = event\n",
               no_keys);
    scan_text(&s, "{\"type\":\"e\"}");
    assert_true(s.message.event);
    scan_text(&s, "{\"type\":\"f\"}");
    assert_false(s.message.event);
    scan_text(&s, "{\"type\":\"f\",\"n\":1}");
    assert_true(s.message.event);
    /* What cannot be read cannot be judged: it is kept, and said. */
    scan_text(&s, "{\"type\":");
    assert_true(s.message.event);
    assert_non_null(s.message.fault);
    scan_stop(&s);
}

static void test_id_template(void **state)
{
    struct scan s;

    scan_start(&s, CONNECT "[event]\nid = ${/a}:${/b/c}-x\n", no_keys);
    scan_text(&s, "{\"a\":\"k\\u0041\",\"b\":{\"c\":7}}");
    assert_slice(s.message.id, "kA:7-x");
    scan_text(&s, "{\"a\":\"k\"}");
    assert_slice(s.message.id, "k:-x");
    scan_text(&s, "{\"z\":1}");
    assert_slice(s.message.id, NULL);
    assert_null(s.message.fault);
    scan_text(&s, "{\"a\":[]}");
    assert_slice(s.message.id, NULL);
    assert_string_equal(s.message.fault, "a part of the id is neither a string nor a number");
    scan_stop(&s);
}

static void test_id_template_with_parameter(void **state)
{
    static const char *const keys[] = {"room=r 1", NULL};
    struct scan s;

    scan_start(&s, "[profile]\nparams = room\n" CONNECT "[event]\nid = ${room}/${/n}\n", keys);
    scan_text(&s, "{\"n\":5}");
    assert_slice(s.message.id, "r 1/5");
    scan_stop(&s);
}

static void test_int_positions(void **state)
{
    static const struct {
        const char *value, *position;
    } table[] = {
        {"9223372036854775807", "9223372036854775807"},
        {"\"12\"", "12"},
        {"-5", "-5"},
        {"9223372036854775808", NULL},
        {"1.0", NULL},
        {"1e3", NULL},
        {"\"12x\"", NULL},
        {"\" 1\"", NULL},
    };
    struct scan s;

    scan_start(&s, CONNECT "[event]\nposition = /p\n[position]\ncompare = int\n", no_keys);
    for (size_t i = 0; i < COUNT(table); i++) {
        char text[64];

        snprintf(text, sizeof(text), "{\"p\":%s}", table[i].value);
        scan_text(&s, text);
        assert_slice(s.message.position, table[i].position);
        if (table[i].position != NULL)
            assert_null(s.message.fault);
        else
            assert_string_equal(s.message.fault, "position is no integer of 64 bits, but "
                                                 "[position] compare = int");
    }
    scan_stop(&s);
}

/* ---- bounds ---- */

/* {"KEY":"aaa…"} with n letters, the first written as an escape if asked for. */
static void scan_long(struct scan *s, const char *key, size_t n, bool escaped)
{
    size_t size = n + 64;
    char *text = malloc(size);
    int at = snprintf(text, size, "{\"%s\":\"%s", key, escaped ? "\\u0061" : "a");

    memset(text + at, 'a', n - 1);
    memcpy(text + at + n - 1, "\"}", 3);
    scan_text(s, text);
    free(text);
}

static void test_bounds(void **state)
{
    static const struct {
        const char *key;
        size_t max;
    } table[] = {{"id", LIMIT_EVENT_ID}, {"position", LIMIT_POSITION}, {"type", LIMIT_EVENT_TYPE}};
    struct scan s;

    scan_start(&s, CONNECT "[event]\nid = /id\nposition = /position\ntype = /type\n", no_keys);
    for (size_t i = 0; i < COUNT(table); i++)
        for (int escaped = 0; escaped < 2; escaped++) {
            struct slice *fields[] = {&s.message.id, &s.message.position, &s.message.type};
            char fault[64];

            scan_long(&s, table[i].key, table[i].max, escaped);

            assert_null(s.message.fault);
            assert_int_equal(fields[i]->len, table[i].max);
            assert_int_equal(fields[i]->ptr[0], 'a');
            scan_long(&s, table[i].key, table[i].max + 1, escaped);
            assert_null(fields[i]->ptr);
            assert_true(s.message.event);
            snprintf(fault, sizeof(fault), "%s is %zu bytes, limit is %zu", table[i].key,
                     table[i].max + 1 + (escaped ? 5 : 0), table[i].max);
            assert_string_equal(s.message.fault, fault);
        }
    scan_stop(&s);
}

static void test_id_template_bound(void **state)
{
    struct scan s;

    scan_start(&s, CONNECT "[event]\nid = ${/id}!\n", no_keys);
    scan_long(&s, "id", LIMIT_EVENT_ID - 1, false);
    assert_int_equal(s.message.id.len, LIMIT_EVENT_ID);
    scan_long(&s, "id", LIMIT_EVENT_ID, false);
    assert_slice(s.message.id, NULL);
    assert_string_equal(s.message.fault, "id is too long, limit is 1024 bytes");
    scan_stop(&s);
}

static void test_actions_are_bounded(void **state)
{
    struct scan s;

    scan_start(&s,
               CONNECT "[on a]\nmatch = /a exists\ndo = live,live,live,live\n"
                       "[on b]\nmatch = /a exists\ndo = live,live,event,ignore,live,live\n"
                       "[on c]\nmatch = /c exists\ndo = park\n",
               no_keys);
    scan_text(&s, "{\"a\":1}");
    assert_int_equal(s.message.n_actions, PROFILE_ACTIONS_MAX);
    assert_null(s.message.fault);
    scan_text(&s, "{\"a\":1,\"c\":1}");
    assert_int_equal(s.message.n_actions, PROFILE_ACTIONS_MAX);
    assert_string_equal(s.message.fault, "more than 8 actions for one message");
    scan_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scaiwave_hello),
        cmocka_unit_test(test_scaiwave_wrong_tenant),
        cmocka_unit_test(test_scaiwave_event),
        cmocka_unit_test(test_scaiwave_ephemeral),
        cmocka_unit_test(test_ephemeral_globs),
        cmocka_unit_test(test_nchan),
        cmocka_unit_test(test_broken_header_blocks),
        cmocka_unit_test(test_rules_see_headers),
        cmocka_unit_test(test_rules_see_text),
        cmocka_unit_test(test_generic),
        cmocka_unit_test(test_places_in_turn),
        cmocka_unit_test(test_kinds_of_ids),
        cmocka_unit_test(test_only),
        cmocka_unit_test(test_id_template),
        cmocka_unit_test(test_id_template_with_parameter),
        cmocka_unit_test(test_int_positions),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_id_template_bound),
        cmocka_unit_test(test_actions_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
