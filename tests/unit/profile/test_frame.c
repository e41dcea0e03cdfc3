/* Frames: batches, decoded text, elements; and what stands around them. */
#include "unit/profile/support.h"

static const char *const no_keys[] = {NULL};

/* One message a line: "event", "-" or "text"; [snapshot]; id; position; type; data; [actions];
 * [fault]. */
static void describe(const struct profile_message *m, char *out, size_t size)
{
    size_t n = strlen(out);

    n += (size_t)snprintf(out + n, size - n, "%s%s %.*s|%.*s|%.*s|%.*s",
                          m->json ? m->event ? "event" : "-" : "text", m->snapshot ? " row" : "",
                          (int)m->id.len, m->id.ptr, (int)m->position.len, m->position.ptr,
                          (int)m->type.len, m->type.ptr, (int)m->data.len, m->data.ptr);
    for (size_t i = 0; i < m->n_actions; i++)
        n += (size_t)snprintf(out + n, size - n, " do %s", m->actions[i].action->rule);
    if (m->fault != NULL)
        n += (size_t)snprintf(out + n, size - n, " fault: %s", m->fault);
    snprintf(out + n, size - n, "\n");
}

/* All messages of a frame; it is read twice, as after ERR_AGAIN. */
static void take_frame(struct scan *s, const char *text, const struct profile_meta *meta, char *out,
                       size_t size)
{
    size_t n = strlen(text);
    struct profile_frame frame;

    free(s->copy);
    s->copy = malloc(n != 0 ? n : 1);
    assert_non_null(s->copy);
    memcpy(s->copy, text, n);
    for (int again = 0; again < 2; again++) {
        out[0] = '\0';
        memset(&frame, 0x5a, sizeof(frame));
        profile_frame_begin(s->scanner, slice_make(s->copy, n), meta, &frame);
        for (;;) {
            memset(&s->message, 0x5a, sizeof(s->message));
            if (!profile_frame_next(s->scanner, &frame, &s->message))
                break;
            describe(&s->message, out, size);
            if (again == 0)
                break; /* as if the first could not be taken */
        }
    }
    assert_false(profile_frame_next(s->scanner, &frame, &s->message));
}

struct shape {
    const char *text, *want;
};

static void check_shapes(const char *profile, const struct shape *table, size_t n)
{
    char got[4096];
    struct scan s;

    scan_start(&s, profile, no_keys);
    for (size_t i = 0; i < n; i++) {
        take_frame(&s, table[i].text, NULL, got, sizeof(got));
        if (strcmp(got, table[i].want) != 0)
            fail_msg("%s\ngot:\n%swant:\n%s", table[i].text, got, table[i].want);
    }
    scan_stop(&s);
}

#define FIELDS "[event]\nid = /id\nposition = /p\ntype = /t\n"

static void test_whole(void **state)
{
    static const struct shape table[] = {
        {"{\"id\":1}", "event 1|||{\"id\":1}\n"},
        {"[]", "event |||[]\n"},
        {"x", "text |||x fault: no JSON: byte 0 is wrong; kept as text\n"},
        {"", "text ||| fault: no JSON: byte 0 is wrong; kept as text\n"},
    };

    check_shapes(CONNECT FIELDS, table, COUNT(table));
}

/* ---- batch ---- */

static void test_batch(void **state)
{
    static const struct shape table[] = {
        {"{\"id\":1}", "event 1|||{\"id\":1}\n"},
        {"[{\"id\":1,\"p\":7}, {\"id\":2,\"t\":\"x\"}]",
         "event 1|7||{\"id\":1,\"p\":7}\nevent 2||x|{\"id\":2,\"t\":\"x\"}\n"},
        {" \r\n[ 1 ,\"a\\\"]\",null,[{\"id\":3}] ]\t",
         "event |||1\nevent |||\"a\\\"]\"\nevent |||null\nevent |||[{\"id\":3}]\n"},
        {"[]", ""},
        {" [ ] ", ""},
        {"[{\"id\":1},{\"id\":2}",
         "text |||[{\"id\":1},{\"id\":2} fault: no JSON: byte 18 is wrong; "
         "kept as text\n"},
        {"[{\"a\":1},{\"id\":4}]", "- |||{\"a\":1} do a\nevent 4|||{\"id\":4}\n"},
    };

    check_shapes(CONNECT "[message]\nbatch = array\n" FIELDS
                         "[on a]\nmatch = /a exists\ndo = live, ignore\n",
                 table, COUNT(table));
}

/* ---- split ---- */

#define SPLIT                                                                                      \
    CONNECT "[message]\nsplit = /data/*\n"                                                         \
            "[event]\nid = ${^/game}-${/id}\nposition = /p | ^/p\ntype = ^/type\n"                 \
            "only = ^/type != \"quiet\" && /skip != true\n"                                        \
            "[on first]\nmatch = /type == \"first\"\ndo = snapshot, live\n"                        \
            "[on none]\nmatch = /type == \"none\"\ndo = ignore, live\n"                            \
            "[on all]\nmatch = /type == \"all\"\ndo = event\n"

static void test_split(void **state)
{
    static const struct shape table[] = {
        {"{\"type\":\"a\",\"game\":\"g\",\"p\":5,\"data\":[{\"id\":1},{ \"id\" : 2,\"p\":6 }]}",
         "event g-1|5|a|{\"id\":1}\nevent g-2|6|a|{ \"id\" : 2,\"p\":6 }\n"
         "- |||{\"type\":\"a\",\"game\":\"g\",\"p\":5,\"data\":[{\"id\":1},{ \"id\" : 2,\"p\":6 "
         "}]}\n"},
        {"{\"type\":\"first\",\"data\":[{\"id\":1}]}",
         "event row -1||first|{\"id\":1}\n- row |||{\"type\":\"first\",\"data\":[{\"id\":1}]} do "
         "first\n"},
        {"{\"type\":\"none\",\"data\":[{\"id\":1}]}",
         "- -1||none|{\"id\":1}\n- |||{\"type\":\"none\",\"data\":[{\"id\":1}]} do none\n"},
        {"{\"type\":\"a\",\"data\":[{\"skip\":true},7,null]}",
         "- ||a|{\"skip\":true}\nevent ||a|7\nevent ||a|null\n"
         "- |||{\"type\":\"a\",\"data\":[{\"skip\":true},7,null]}\n"},
        {"{\"type\":\"all\",\"data\":[{\"skip\":true}]}",
         "event ||all|{\"skip\":true}\n- |||{\"type\":\"all\",\"data\":[{\"skip\":true}]}\n"},
        {"{\"data\":[]}", "- |||{\"data\":[]}\n"},
        /* Nothing to split: an event only where a rule says so. */
        {"{\"type\":\"a\"}", "- |||{\"type\":\"a\"}\n"},
        {"{\"type\":\"a\",\"data\":null}", "- |||{\"type\":\"a\",\"data\":null}\n"},
        {"{\"type\":\"first\"}", "- row |||{\"type\":\"first\"} do first\n"},
        {"{\"type\":\"all\",\"id\":9}", "event -9||all|{\"type\":\"all\",\"id\":9}\n"},
        {"7", "- |||7\n"},
        /* It must not vanish unsaid. */
        {"{\"type\":\"a\",\"data\":{\"id\":1}}",
         "event ||a|{\"type\":\"a\",\"data\":{\"id\":1}} fault: split = /data/* meets "
         "something else than a list\n"},
        {"{\"data\":[", "text |||{\"data\":[ fault: no JSON: byte 9 is wrong; kept as text\n"},
    };

    check_shapes(SPLIT, table, COUNT(table));
}

static void test_split_of_the_whole(void **state)
{
    static const struct shape table[] = {
        {"[{\"id\":1},2]", "event 1|||{\"id\":1}\nevent |||2\n- |||[{\"id\":1},2]\n"},
        {"{\"id\":1}", "event 1|||{\"id\":1} fault: split = /* meets something else than a list\n"},
    };

    check_shapes(CONNECT "[message]\nsplit = /*\n" FIELDS, table, COUNT(table));
}

/* Nothing of one element shines through in the next, nor of one frame. */
static void test_elements_are_apart(void **state)
{
    static const struct shape table[] = {
        {"{\"type\":\"a\",\"p\":1,\"game\":\"g\",\"data\":[{\"id\":1}]}",
         "event g-1|1|a|{\"id\":1}\n- "
         "|||{\"type\":\"a\",\"p\":1,\"game\":\"g\",\"data\":[{\"id\":1}]}\n"},
        {"{\"data\":[{\"p\":2},{}]}",
         "event |2||{\"p\":2}\nevent |||{}\n- |||{\"data\":[{\"p\":2},{}]}\n"},
        {"{}", "- |||{}\n"},
    };

    check_shapes(SPLIT, table, COUNT(table));
}

/* ---- decode ---- */

#define DECODE                                                                                     \
    CONNECT "[message]\ndecode = /payload\n"                                                       \
            "[event]\nid = /id\nposition = ^/p\ntype = ^/event\nonly = ^/event != \"ping\"\n"      \
            "[on a]\nmatch = ^/event == \"hi\" && /a == 1\ndo = live\n"                            \
            "[on b]\nmatch = ^/event == \"drop\"\ndo = ignore\n"

static void test_decode(void **state)
{
    static const struct shape table[] = {
        {"{\"event\":\"x\",\"p\":3,\"payload\":\"{\\\"id\\\":\\\"\\u0031\\\",\\\"b\\\":"
         "\\\"\\\\n\\\"}\"}",
         "event 1|3|x|{\"id\":\"1\",\"b\":\"\\n\"}\n"},
        {"{\"event\":\"delete\",\"payload\":\"12345\"}", "event ||delete|12345\n"},
        {"{\"event\":\"hi\",\"payload\":\"{\\\"a\\\":1}\"}", "event ||hi|{\"a\":1} do a\n"},
        {"{\"event\":\"ping\",\"payload\":\"{}\"}", "- ||ping|{}\n"},
        /* Not in a string: as it is. */
        {"{\"event\":\"x\",\"payload\":{\"id\":4}}", "event 4||x|{\"id\":4}\n"},
        /* Nothing to decode: the outer message. */
        {"{\"event\":\"x\",\"id\":5}", "event ||x|{\"event\":\"x\",\"id\":5}\n"},
        {"{\"event\":\"ping\"}", "- ||ping|{\"event\":\"ping\"}\n"},
        {"{\"event\":\"x\",\"payload\":null}", "event ||x|{\"event\":\"x\",\"payload\":null}\n"},
        {"{\"event\":\"x\",\"payload\":\"{\"}", "event ||x|{\"event\":\"x\",\"payload\":\"{\"} "
                                                "fault: the text at /payload is no JSON: byte "
                                                "1 of 1 is wrong\n"},
        {"{\"event\":\"x\",\"payload\":\"\"}", "event ||x|{\"event\":\"x\",\"payload\":\"\"} "
                                               "fault: the text at /payload is no JSON: byte 0 "
                                               "of 0 is wrong\n"},
        {"{\"event\":\"drop\",\"payload\":\"{\"}",
         "- ||drop|{\"event\":\"drop\",\"payload\":\"{\"} "
         "fault: the text at /payload is no JSON: byte 1 "
         "of 1 is wrong\n"},
        {"{\"event\":\"x\",\"payload\":\"\\ud800\"}",
         "event ||x|{\"event\":\"x\",\"payload\":\"\\ud800\"} fault: the text at /payload is no "
         "JSON: "
         "byte 0 of 3 is wrong\n"},
        {"[1]", "event |||[1]\n"},
    };

    check_shapes(DECODE, table, COUNT(table));
}

static void test_decoded_length(void **state)
{
    char text[64], got[512];
    struct scan s;

    scan_start(&s, CONNECT "max_message = 8\n[message]\ndecode = /p\n", no_keys);
    for (int over = 0; over < 2; over++) {
        snprintf(text, sizeof(text), "{\"p\":\"[1\\n,%s22]\"}", over ? "11" : "1");
        take_frame(&s, text, NULL, got, sizeof(got));
        assert_int_equal(strstr(got, "fault: the text at /p is longer than 8 bytes") != NULL, over);
        assert_non_null(strstr(got, "event "));
    }
    scan_stop(&s);
}

/* ---- all of them ---- */

static void test_batch_of_decode_of_split(void **state)
{
    static const struct shape table[] = {
        {"[{\"o\":1,\"d\":\"{\\\"k\\\":2,\\\"l\\\":[{\\\"id\\\":3},{\\\"id\\\":4}]}\"},"
         "{\"o\":5,\"d\":{\"k\":6,\"l\":[]}},{\"o\":7}]",
         "event 3|2||{\"id\":3}\nevent 4|2||{\"id\":4}\n"
         "- |||{\"k\":2,\"l\":[{\"id\":3},{\"id\":4}]} do a\n"
         "- |||{\"k\":6,\"l\":[]}\n- |||{\"o\":7}\n"},
        {"[]", ""},
        {"[[],[[]]]", "- |||[]\n- |||[[]]\n"},
        {"[{\"d\":\"{\"},{\"d\":\"{\\\"l\\\":[1]}\"}]",
         "event |||{\"d\":\"{\"} fault: the text at /d is no JSON: byte 1 of 1 is wrong\n"
         "event |||1\n- |||{\"l\":[1]}\n"},
    };

    check_shapes(CONNECT "[message]\nbatch = array\ndecode = /d\nsplit = /l/*\n"
                         "[event]\nid = /id\nposition = ^/k\n"
                         "[on a]\nmatch = ^/o == 1 && /k == 2\ndo = live\n",
                 table, COUNT(table));
}

static void test_deep(void **state)
{
    struct profile_frame frame;
    struct scan s;
    char *text = malloc(3 * LIMIT_JSON_DEPTH);

    assert_non_null(text);
    scan_start(&s, SPLIT, no_keys);
    for (int over = 0; over < 2; over++) {
        int depth = LIMIT_JSON_DEPTH - 2 + over;
        size_t n = (size_t)snprintf(text, 32, "{\"data\":[");

        memset(text + n, '[', (size_t)depth);
        memset(text + n + depth, ']', (size_t)depth + 1);
        text[n + 2 * (size_t)depth + 1] = '}';
        n += 2 * (size_t)depth + 2;
        profile_frame_begin(s.scanner, slice_make(text, n), NULL, &frame);
        assert_true(profile_frame_next(s.scanner, &frame, &s.message));
        assert_int_equal(s.message.json, !over);
        assert_true(s.message.event);
        assert_int_equal(s.message.data.len, over ? n : 2 * (size_t)depth);
    }
    scan_stop(&s);
    free(text);
}

/* Byte for byte, and where it lies. */
static void test_data_lies_in_the_frame(void **state)
{
    struct profile_frame frame;
    struct scan s;
    const char *text = "{\"data\":[ {\"a\" : \"\\u00e9\\/\" , \"n\":1.50e+1}\t]}";

    scan_start(&s, SPLIT, no_keys);
    profile_frame_begin(s.scanner, slice_str(text), NULL, &frame);
    assert_true(profile_frame_next(s.scanner, &frame, &s.message));
    assert_slice(s.message.data, "{\"a\" : \"\\u00e9\\/\" , \"n\":1.50e+1}");
    assert_ptr_equal(s.message.data.ptr, text + 10);
    scan_stop(&s);
}

/* ---- SSE: headers from beside the text ---- */

static void test_meta(void **state)
{
    static const char profile[] =
        CONNECT "[event]\nid = header:id\ntype = header:event | /t\nposition = header:id\n"
                "only = header:event != \"comment\"\n"
                "[fallback f]\ntransport = sse\nurl = https://h.example/s?since=${position}\n";
    const struct profile_meta meta = {.id = SLICE("e1"), .event = SLICE("odds")};
    const struct profile_meta quiet = {.event = SLICE("comment")}, none = {{NULL, 0}, {NULL, 0}};
    char got[512];
    struct scan s;

    scan_start(&s, profile, no_keys);
    take_frame(&s, "{\"t\":\"x\"}", &meta, got, sizeof(got));
    assert_string_equal(got, "event e1|e1|odds|{\"t\":\"x\"}\n");
    take_frame(&s, "{\"t\":\"x\"}", &quiet, got, sizeof(got));
    assert_string_equal(got, "- ||comment|{\"t\":\"x\"}\n");
    take_frame(&s, "{\"t\":\"x\"}", &none, got, sizeof(got));
    assert_string_equal(got, "event ||x|{\"t\":\"x\"}\n");
    take_frame(&s, "{\"t\":\"x\"}", NULL, got, sizeof(got));
    assert_string_equal(got, "event ||x|{\"t\":\"x\"}\n");
    take_frame(&s, "{", &meta, got, sizeof(got));
    assert_string_equal(got, "text e1|e1|odds|{ fault: no JSON: byte 1 is wrong; kept as text\n");
    scan_stop(&s);
    check_fault(CONNECT "[event]\nid = header:x\n"
                        "[fallback f]\ntransport = sse\nurl = https://h.example/${position}\n",
                no_keys,
                "test.ini:4: id: `header:x` needs [message] header_block = yes; an SSE event has "
                "header:id and header:event");
}

/* A block in front of a frame is of all its messages, and never in what came by SSE. */
static void test_header_block_of_a_split_frame(void **state)
{
    static const struct shape table[] = {
        {"id: 7\n\n{\"l\":[1,2]}", "event 7|||1\nevent 7|||2\n- |||{\"l\":[1,2]} do a\n"},
        {"{\"l\":[1]}", "event |||1 fault: no header block in front of the payload\n"
                        "- |||{\"l\":[1]}\n"},
    };

    check_shapes(CONNECT "[message]\nheader_block = yes\nsplit = /l/*\n[event]\nid = header:id\n"
                         "[on a]\nmatch = header:id == 7\ndo = live\n",
                 table, COUNT(table));
}

/* ---- key ---- */

static void test_position_key(void **state)
{
    char text[LIMIT_POSITION + 64];
    struct scan s;

    scan_start(&s,
               CONNECT "[event]\nposition = /p\n[position]\ncompare = int\ncontiguous = yes\n"
                       "key = /k | /l\noverlap = 3\nmax_age = 24h\n",
               no_keys);
    assert_true(s.loaded.profile->position.contiguous);
    assert_int_equal(s.loaded.profile->position.overlap, 3);
    assert_int_equal(s.loaded.profile->position.max_age_ms, 24 * 3600 * 1000);
    scan_text(&s, "{\"p\":1,\"k\":\"a\\u0062\"}");
    assert_slice(s.message.key, "ab");
    scan_text(&s, "{\"p\":1,\"l\":7}");
    assert_slice(s.message.key, "7");
    scan_text(&s, "{\"p\":1}");
    assert_slice(s.message.key, NULL);
    for (int over = 0; over < 2; over++) {
        int n = snprintf(text, sizeof(text), "{\"k\":\"");

        memset(text + n, 'k', LIMIT_POSITION + (size_t)over);
        strcpy(text + n + LIMIT_POSITION + over, "\"}");
        scan_text(&s, text);
        assert_int_equal(s.message.key.ptr == NULL, over);
    }
    assert_string_equal(s.message.fault, "key is 513 bytes, limit is 512");
    scan_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_split_of_the_whole),
        cmocka_unit_test(test_elements_are_apart),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_decoded_length),
        cmocka_unit_test(test_batch_of_decode_of_split),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_data_lies_in_the_frame),
        cmocka_unit_test(test_meta),
        cmocka_unit_test(test_header_block_of_a_split_frame),
        cmocka_unit_test(test_position_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
