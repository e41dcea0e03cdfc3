/* Requests: what each means, and what each mistake is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "wire/ndjson.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct ndjson_request request;

static int set_up(void **state)
{
    ndjson_request_init(&request);
    return 0;
}

static int tear_down(void **state)
{
    ndjson_request_fini(&request);
    return 0;
}

/* From memory of just its size, which lives until the next call. */
static enum ndjson_error parse(struct slice line, struct error *detail)
{
    static char *copy;

    free(copy);
    copy = malloc(line.len > 0 ? line.len : 1);
    assert_non_null(copy);
    memcpy(copy, line.ptr, line.len);
    detail->text[0] = '\0';
    return ndjson_request_parse(&request, slice_make(copy, line.len), detail);
}

static void describe(char *out, size_t size)
{
    static const char *const from[] = {"default", "now", "oldest", "seq", "cursor"};
    struct buf b;

    buf_init(&b, BUF_UNBOUNDED);
    buf_appendf(&b, "op %d", request.op);
    if (request.id.ptr != NULL)
        buf_appendf(&b, " id " SLICE_FMT, SLICE_ARG(request.id));
    if (request.stream.ptr != NULL)
        buf_appendf(&b, " stream " SLICE_FMT, SLICE_ARG(request.stream));
    for (unsigned i = 0; i < request.n_streams; i++)
        buf_appendf(&b, " [" SLICE_FMT "]", SLICE_ARG(request.streams[i]));
    for (unsigned i = 0; i < request.n_types; i++)
        buf_appendf(&b, " <" SLICE_FMT ">", SLICE_ARG(request.types[i]));
    if (request.op == NDJSON_SUBSCRIBE)
        buf_appendf(&b, " from %s %llu%s", from[request.from], (unsigned long long)request.from_seq,
                    request.notices ? "" : " quiet");
    if (request.op == NDJSON_SEEK)
        buf_appendf(&b, " to %s %llu", from[request.from], (unsigned long long)request.from_seq);
    if (request.op == NDJSON_ACK)
        buf_appendf(&b, " seq %llu", (unsigned long long)request.ack_seq);
    if (request.consumer.ptr != NULL)
        buf_appendf(&b, " as " SLICE_FMT " window %u%s", SLICE_ARG(request.consumer),
                    request.window, request.takeover ? " takeover" : "");
    if (request.message.ptr != NULL)
        buf_appendf(&b, " message " SLICE_FMT, SLICE_ARG(request.message));
    if (request.instance.ptr != NULL)
        buf_appendf(&b, " of " SLICE_FMT, SLICE_ARG(request.instance));
    snprintf(out, size, "%s", buf_cstr(&b));
    buf_fini(&b);
}

static void test_good(void **state)
{
    static const char *const rows[][2] = {
        {"{\"op\":\"ping\"}", "op 1"},
        {"{\"op\":\"send\",\"stream\":\"chat\",\"text\":\"a\\u0062\\n\"}",
         "op 10 stream chat message ab\n"},
        {"{\"op\":\"send\",\"stream\":\"chat\",\"text\":\"\"}", "op 10 stream chat message "},
        {"{\"data\": { \"a\" :1.0} ,\"stream\":\"chat\",\"op\":\"send\"}",
         "op 10 stream chat message { \"a\" :1.0}"},
        {"{\"op\":\"status\",\"stream\":\"chat\"}", "op 2 stream chat"},
        {" {\"op\" : \"status\" , \"id\" : 1.5e3 }\r\n", "op 2 id 1.5e3"},
        {"{\"id\":\"a\\\"b\",\"op\":\"ping\"}", "op 1 id \"a\\\"b\""},
        {"{\"op\":\"ping\",\"id\":null}", "op 1 id null"},
        {"{\"op\":\"ping\",\"id\":true}", "op 1 id true"},
        {"{\"op\":\"subscribe\"}", "op 0 from default 0"},
        {"{\"op\":\"subscribe\",\"streams\":[\"a\",\"b\"],\"types\":[\"x.*\"],\"from\":\"now\"}",
         "op 0 [a] [b] <x.*> from now 0"},
        {"{\"op\":\"subscribe\",\"from\":\"oldest\",\"notices\":false}",
         "op 0 from oldest 0 quiet"},
        {"{\"op\":\"subscribe\",\"from\":0,\"notices\":true}", "op 0 from seq 0"},
        {"{\"from\":9223372036854775807,\"instance\":\"c0f\\u0066ee\",\"op\":\"subscribe\"}",
         "op 0 from seq 9223372036854775807 of c0ffee"},
        {"{\"op\":\"sub\\u0073cribe\",\"streams\":[\"\\u0061\\n\",\"\xC3\xA9\",\"\\ud83d\\ude00\"]"
         "}",
         "op 0 [a\n] [\xC3\xA9] [\xF0\x9F\x98\x80] from default 0"},
        {"{\"\\u006fp\":\"pause\",\"stream\":\"chat\"}", "op 4 stream chat"},
        {"{\"op\":\"reconnect\",\"stream\":\"\"}", "op 3 stream "},
        {"{\"op\":\"resume\",\"stream\":\"chat\",\"id\":-1}", "op 5 id -1 stream chat"},
        {"{\"op\":\"subscribe\",\"consumer\":\"a\"}", "op 0 from default 0 as a window 0"},
        {"{\"op\":\"subscribe\",\"consumer\":\"A-z.0_9:@\",\"from\":\"cursor\",\"window\":1,"
         "\"takeover\":true}",
         "op 0 from cursor 0 as A-z.0_9:@ window 1 takeover"},
        {"{\"op\":\"subscribe\",\"window\":10000,\"takeover\":false,\"consumer\":\"\\u0061\"}",
         "op 0 from default 0 as a window 10000"},
        {"{\"op\":\"subscribe\",\"takeover\":false}", "op 0 from default 0"},
        {"{\"op\":\"ack\",\"seq\":0}", "op 6 seq 0"},
        {"{\"op\":\"ack\",\"seq\":9223372036854775807,\"id\":1}",
         "op 6 id 1 seq 9223372036854775807"},
        {"{\"op\":\"consumers\"}", "op 7"},
        {"{\"op\":\"seek\",\"consumer\":\"a\",\"to\":\"oldest\"}",
         "op 8 to oldest 0 as a window 0"},
        {"{\"op\":\"seek\",\"to\":\"newest\",\"consumer\":\"a\"}", "op 8 to now 0 as a window 0"},
        {"{\"op\":\"seek\",\"consumer\":\"a\",\"to\":12}", "op 8 to seq 12 as a window 0"},
        {"{\"op\":\"forget\",\"consumer\":\"a\"}", "op 9 as a window 0"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error detail;
        char got[300];

        if (parse(slice_str(rows[i][0]), &detail) != NDJSON_OK)
            fail_msg("%s: %s", rows[i][0], detail.text);
        describe(got, sizeof got);
        assert_string_equal(got, rows[i][1]);
    }
}

#define BAD_FROM "\"from\" must be \"now\", \"oldest\", \"cursor\" or a seq, a whole number"
#define BAD_WINDOW "\"window\" must be a whole number from 1 to 10000"
#define BAD_NAME "\"consumer\" must be a name of 1 to 64 letters, digits and any of . _ - : @"

static const struct {
    const char *line;
    enum ndjson_error error;
    const char *detail;
    const char *id; /* that the reply can carry */
} mistakes[] = {
    {"", NDJSON_E_BAD_JSON, "not JSON: wrong at byte 0 of the line", NULL},
    {"{", NDJSON_E_BAD_JSON, "not JSON: wrong at byte 1 of the line", NULL},
    {"hello", NDJSON_E_BAD_JSON, "not JSON: wrong at byte 0 of the line", NULL},
    {"{\"op\":\"ping\"} x", NDJSON_E_BAD_JSON, "not JSON: wrong at byte 14 of the line", NULL},
    {"{\"op\":\"\xFF\"}", NDJSON_E_BAD_JSON, "not JSON: wrong at byte 7 of the line", NULL},
    {"[]", NDJSON_E_BAD_REQUEST, "a request must be a JSON object", NULL},
    {"\"ping\"", NDJSON_E_BAD_REQUEST, "a request must be a JSON object", NULL},
    {" 1 ", NDJSON_E_BAD_REQUEST, "a request must be a JSON object", NULL},
    {"{}", NDJSON_E_BAD_REQUEST, "\"op\" is missing", NULL},
    {"{\"id\":1}", NDJSON_E_BAD_REQUEST, "\"op\" is missing", "1"},
    {"{\"op\":1,\"id\":2}", NDJSON_E_BAD_REQUEST, "\"op\" must be a string", "2"},
    {"{\"op\":\"subscibe\",\"id\":3}", NDJSON_E_UNKNOWN_OP,
     "unknown op \"subscibe\"; did you mean \"subscribe\"?", "3"},
    {"{\"op\":\"xyzzy\"}", NDJSON_E_UNKNOWN_OP, "unknown op \"xyzzy\"", NULL},
    {"{\"op\":\"\"}", NDJSON_E_UNKNOWN_OP, "unknown op \"\"", NULL},
    {"{\"op\":\"Ping\"}", NDJSON_E_UNKNOWN_OP, "unknown op \"Ping\"; did you mean \"ping\"?", NULL},
    {"{\"op\":\"ping\",\"id\":[1]}", NDJSON_E_BAD_REQUEST,
     "\"id\" must be a string, a number, true, false or null", NULL},
    {"{\"op\":\"ping\",\"id\":{}}", NDJSON_E_BAD_REQUEST,
     "\"id\" must be a string, a number, true, false or null", NULL},
    {"{\"op\":\"ping\",\"op\":\"status\",\"id\":4}", NDJSON_E_BAD_REQUEST, "\"op\" is given twice",
     "4"},
    {"{\"op\":\"ping\",\"id\":5,\"id\":6}", NDJSON_E_BAD_REQUEST, "\"id\" is given twice", "5"},
    {"{\"op\":\"subscribe\",\"stream\":[\"a\"],\"id\":7}", NDJSON_E_BAD_REQUEST,
     "unknown field \"stream\" for op \"subscribe\"; did you mean \"streams\"?", "7"},
    {"{\"op\":\"ping\",\"streams\":[\"a\"]}", NDJSON_E_BAD_REQUEST,
     "unknown field \"streams\" for op \"ping\"", NULL},
    {"{\"op\":\"subscribe\",\"form\":1}", NDJSON_E_BAD_REQUEST,
     "unknown field \"form\" for op \"subscribe\"; did you mean \"from\"?", NULL},
    {"{\"op\":\"subscribe\",\"streams\":\"a\"}", NDJSON_E_BAD_REQUEST,
     "\"streams\" must be an array of strings", NULL},
    {"{\"op\":\"subscribe\",\"streams\":[]}", NDJSON_E_BAD_REQUEST,
     "\"streams\" is empty; leave it out to mean all", NULL},
    {"{\"op\":\"subscribe\",\"streams\":[\"a\",1]}", NDJSON_E_BAD_REQUEST,
     "\"streams\" must hold nothing but non-empty strings", NULL},
    {"{\"op\":\"subscribe\",\"types\":[\"\"]}", NDJSON_E_BAD_REQUEST,
     "\"types\" must hold nothing but non-empty strings", NULL},
    {"{\"op\":\"subscribe\",\"types\":[[\"a\"]]}", NDJSON_E_BAD_REQUEST,
     "\"types\" must hold nothing but non-empty strings", NULL},
    {"{\"op\":\"subscribe\",\"from\":\"cursor\"}", NDJSON_E_BAD_REQUEST,
     "\"from\":\"cursor\" is for a named consumer: give \"consumer\" as well", NULL},
    {"{\"op\":\"subscribe\",\"from\":\"newest\"}", NDJSON_E_BAD_REQUEST, BAD_FROM, NULL},
    {"{\"op\":\"subscribe\",\"window\":5}", NDJSON_E_BAD_REQUEST,
     "\"window\" is for a named consumer: give \"consumer\" as well", NULL},
    {"{\"op\":\"subscribe\",\"takeover\":true}", NDJSON_E_BAD_REQUEST,
     "\"takeover\" is for a named consumer: give \"consumer\" as well", NULL},
    {"{\"op\":\"subscribe\",\"consumer\":\"a\",\"takeover\":1}", NDJSON_E_BAD_REQUEST,
     "\"takeover\" must be true or false", NULL},
    {"{\"op\":\"subscribe\",\"consumer\":\"a\",\"window\":0}", NDJSON_E_BAD_REQUEST, BAD_WINDOW,
     NULL},
    {"{\"op\":\"subscribe\",\"consumer\":\"a\",\"window\":10001}", NDJSON_E_BAD_REQUEST, BAD_WINDOW,
     NULL},
    {"{\"op\":\"subscribe\",\"consumer\":\"a\",\"window\":\"9\"}", NDJSON_E_BAD_REQUEST, BAD_WINDOW,
     NULL},
    {"{\"op\":\"subscribe\",\"consumer\":\"\"}", NDJSON_E_BAD_REQUEST, BAD_NAME, NULL},
    {"{\"op\":\"subscribe\",\"consumer\":7}", NDJSON_E_BAD_REQUEST, BAD_NAME, NULL},
    {"{\"op\":\"subscribe\",\"consumer\":\"a b\"}", NDJSON_E_BAD_REQUEST, BAD_NAME, NULL},
    {"{\"op\":\"subscribe\",\"consumer\":\"a/b\"}", NDJSON_E_BAD_REQUEST, BAD_NAME, NULL},
    {"{\"op\":\"subscribe\",\"consumer\":\"a\\u0000\"}", NDJSON_E_BAD_REQUEST, BAD_NAME, NULL},
    {"{\"op\":\"forget\",\"consumer\":\"\xC3\xA9\"}", NDJSON_E_BAD_REQUEST, BAD_NAME, NULL},
    {"{\"op\":\"forget\"}", NDJSON_E_BAD_REQUEST, "op \"forget\" needs \"consumer\"", NULL},
    {"{\"op\":\"seek\",\"consumer\":\"a\"}", NDJSON_E_BAD_REQUEST, "op \"seek\" needs \"to\"",
     NULL},
    {"{\"op\":\"seek\",\"consumer\":\"a\",\"to\":\"now\"}", NDJSON_E_BAD_REQUEST,
     "\"to\" must be \"oldest\", \"newest\" or a seq, a whole number", NULL},
    {"{\"op\":\"send\",\"text\":\"a\"}", NDJSON_E_BAD_REQUEST, "op \"send\" needs \"stream\"",
     NULL},
    {"{\"op\":\"send\",\"stream\":\"a\"}", NDJSON_E_BAD_REQUEST,
     "op \"send\" needs \"text\" or \"data\"", NULL},
    {"{\"op\":\"send\",\"stream\":\"a\",\"data\":1,\"text\":\"a\"}", NDJSON_E_BAD_REQUEST,
     "give \"text\" or \"data\", not both", NULL},
    {"{\"op\":\"send\",\"stream\":\"a\",\"text\":\"\",\"data\":1}", NDJSON_E_BAD_REQUEST,
     "give \"text\" or \"data\", not both", NULL},
    {"{\"op\":\"send\",\"stream\":\"a\",\"text\":1}", NDJSON_E_BAD_REQUEST,
     "\"text\" must be a string; JSON is given as \"data\"", NULL},
    {"{\"op\":\"ack\"}", NDJSON_E_BAD_REQUEST, "op \"ack\" needs \"seq\"", NULL},
    {"{\"op\":\"ack\",\"seq\":-1}", NDJSON_E_BAD_REQUEST,
     "\"seq\" must be the seq of an event, a whole number", NULL},
    {"{\"op\":\"ack\",\"seq\":null}", NDJSON_E_BAD_REQUEST,
     "\"seq\" must be the seq of an event, a whole number", NULL},
    {"{\"op\":\"ack\",\"seq\":1,\"consumer\":\"a\"}", NDJSON_E_BAD_REQUEST,
     "unknown field \"consumer\" for op \"ack\"", NULL},
    {"{\"op\":\"subscribe\",\"from\":-1}", NDJSON_E_BAD_REQUEST, BAD_FROM, NULL},
    {"{\"op\":\"subscribe\",\"from\":1.5}", NDJSON_E_BAD_REQUEST, BAD_FROM, NULL},
    {"{\"op\":\"subscribe\",\"from\":9223372036854775808}", NDJSON_E_BAD_REQUEST, BAD_FROM, NULL},
    {"{\"op\":\"subscribe\",\"from\":null}", NDJSON_E_BAD_REQUEST, BAD_FROM, NULL},
    {"{\"op\":\"subscribe\",\"notices\":0}", NDJSON_E_BAD_REQUEST,
     "\"notices\" must be true or false", NULL},
    {"{\"op\":\"subscribe\",\"instance\":1}", NDJSON_E_BAD_REQUEST, "\"instance\" must be a string",
     NULL},
    {"{\"op\":\"pause\"}", NDJSON_E_BAD_REQUEST, "op \"pause\" needs \"stream\"", NULL},
    {"{\"op\":\"pause\",\"stream\":1}", NDJSON_E_BAD_REQUEST, "\"stream\" must be a string", NULL},
};

static void test_bad(void **state)
{
    for (size_t i = 0; i < COUNT(mistakes); i++) {
        struct error detail;
        enum ndjson_error got = parse(slice_str(mistakes[i].line), &detail);

        if (got != mistakes[i].error || strcmp(detail.text, mistakes[i].detail) != 0)
            fail_msg("%s: %s: %s", mistakes[i].line, ndjson_error_name(got), detail.text);
        if (mistakes[i].id != NULL)
            assert_true(slice_eq_str(request.id, mistakes[i].id));
        else
            assert_null(request.id.ptr);
        /* Nobody has to want the detail. */
        assert_int_equal(ndjson_request_parse(&request, slice_str(mistakes[i].line), NULL), got);
    }
}

/* Every prefix of a request is refused, and read no further than it goes. */
static void test_truncated(void **state)
{
    static const char line[] =
        "{\"op\":\"subscribe\",\"id\":\"\\u00e9\",\"streams\":[\"a\",\"\\n\"],"
        "\"types\":[\"t\"],\"from\":12,\"notices\":false}";
    struct error detail;

    for (size_t n = 0; n < sizeof line - 1; n++)
        assert_int_equal(parse(slice_make(line, n), &detail), NDJSON_E_BAD_JSON);
    assert_int_equal(parse(slice_str(line), &detail), NDJSON_OK);
}

static enum ndjson_error parse_list(const char *field, unsigned n, unsigned *count)
{
    struct buf line;
    struct error detail;
    enum ndjson_error rc;

    buf_init(&line, BUF_UNBOUNDED);
    buf_appendf(&line, "{\"op\":\"subscribe\",\"%s\":[", field);
    for (unsigned i = 0; i < n; i++)
        buf_appendf(&line, "%s\"\\u0061%u\"", i > 0 ? "," : "", i);
    buf_append_str(&line, "]}");
    rc = parse(buf_slice(&line), &detail);
    *count = field[0] == 's' ? request.n_streams : request.n_types;
    buf_fini(&line);
    return rc;
}

static void test_list_bounds(void **state)
{
    char name[16];
    unsigned n;

    assert_int_equal(parse_list("streams", NDJSON_LIST_MAX, &n), NDJSON_OK);
    assert_int_equal(n, NDJSON_LIST_MAX);
    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof name, "a%u", i);
        assert_true(slice_eq_str(request.streams[i], name));
    }
    assert_int_equal(parse_list("streams", NDJSON_LIST_MAX + 1, &n), NDJSON_E_TOO_MANY);
    assert_int_equal(parse_list("types", NDJSON_TYPES_MAX, &n), NDJSON_OK);
    assert_int_equal(n, NDJSON_TYPES_MAX);
    assert_int_equal(parse_list("types", NDJSON_TYPES_MAX + 1, &n), NDJSON_E_TOO_MANY);
}

static enum ndjson_error parse_padded(const char *before, size_t fill, const char *after)
{
    struct buf line;
    struct error detail;
    enum ndjson_error rc;

    buf_init(&line, BUF_UNBOUNDED);
    buf_append_str(&line, before);
    for (size_t i = 0; i < fill; i++)
        buf_append_byte(&line, 'x');
    buf_append_str(&line, after);
    rc = parse(buf_slice(&line), &detail);
    buf_fini(&line);
    return rc;
}

static void test_bounds(void **state)
{
    static const char before[] = "{\"op\":\"ping\",\"id\":\"";
    static const char forget[] = "{\"op\":\"forget\",\"consumer\":\"";
    static const char type[] = "{\"op\":\"subscribe\",\"types\":[\"t\",\"";
    static const char stream[] = "{\"op\":\"pause\",\"stream\":\"\\n";
    size_t fixed = sizeof stream - 1 + 2;

    assert_int_equal(parse_padded(before, NDJSON_ID_MAX - 2, "\"}"), NDJSON_OK);
    assert_int_equal(request.id.len, NDJSON_ID_MAX);
    assert_int_equal(parse_padded(before, NDJSON_ID_MAX - 1, "\"}"), NDJSON_E_BAD_REQUEST);
    assert_null(request.id.ptr);
    assert_int_equal(parse_padded(forget, LIMIT_CONSUMER_NAME, "\"}"), NDJSON_OK);
    assert_int_equal(parse_padded(forget, LIMIT_CONSUMER_NAME + 1, "\"}"), NDJSON_E_BAD_REQUEST);
    assert_null(request.consumer.ptr);
    assert_int_equal(parse_padded(type, LIMIT_EVENT_TYPE, "\"]}"), NDJSON_OK);
    assert_int_equal(request.types[1].len, LIMIT_EVENT_TYPE);
    assert_int_equal(parse_padded(type, LIMIT_EVENT_TYPE + 1, "\"]}"), NDJSON_E_BAD_REQUEST);
    assert_int_equal(parse_padded(stream, LIMIT_LINE_IN - fixed, "\"}"), NDJSON_OK);
    assert_int_equal(request.stream.len, LIMIT_LINE_IN - fixed + 1);
    assert_int_equal(parse_padded(stream, LIMIT_LINE_IN - fixed + 1, "\"}"), NDJSON_E_TOO_LONG);
}

/* A word as long as a line does not make the detail so long, nor cuts it within a character. */
static void test_long_words(void **state)
{
    struct error detail;
    struct buf line;

    for (size_t shift = 0; shift < 3; shift++) {
        buf_init(&line, BUF_UNBOUNDED);
        buf_append_str(&line, "{\"op\":\"");
        buf_append(&line, "xx", shift);
        for (int i = 0; i < 1000; i++)
            buf_append_str(&line, "\xE2\x82\xAC");
        buf_append_str(&line, "\"}");
        assert_int_equal(parse(buf_slice(&line), &detail), NDJSON_E_UNKNOWN_OP);
        assert_true(strlen(detail.text) < 100);
        assert_memory_equal(detail.text + strlen(detail.text) - 4, "\xE2\x82\xAC\"", 4);
        buf_fini(&line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),      cmocka_unit_test(test_bad),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_list_bounds),
        cmocka_unit_test(test_bounds),    cmocka_unit_test(test_long_words),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
