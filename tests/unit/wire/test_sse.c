/* Server-sent events: every script is fed whole, byte by byte, and cut at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "wire/sse.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What a decoder says of the next bytes, as text, from memory of just their size. */
static void feed(struct sse *sse, struct slice bytes, struct buf *out)
{
    char *copy = malloc(bytes.len != 0 ? bytes.len : 1);
    struct slice rest = slice_make(copy, bytes.len);
    struct sse_event event;
    int rc;

    assert_non_null(copy);
    if (bytes.len != 0)
        memcpy(copy, bytes.ptr, bytes.len);
    while ((rc = sse_next(sse, &rest, &event)) != 0) {
        if (rc == ERR_LIMIT) {
            buf_appendf(out, "(over)");
            continue;
        }
        assert_int_equal(rc, 1);
        buf_appendf(out, "[");
        if (event.event.ptr != NULL)
            buf_appendf(out, SLICE_FMT "|", SLICE_ARG(event.event));
        buf_append_slice(out, event.data);
        if (event.id.ptr != NULL)
            buf_appendf(out, "#" SLICE_FMT, SLICE_ARG(event.id));
        buf_appendf(out, "]");
    }
    assert_int_equal(rest.len, 0);
    free(copy);
}

static void expect(struct slice script, size_t data_max, const char *expected)
{
    for (size_t step = 0; step <= script.len; step++) {
        size_t cut = step > 1 ? step : script.len; /* 0: whole, 1: each byte, else cut there */
        struct sse *sse;
        struct buf out;

        buf_init(&out, BUF_UNBOUNDED);
        assert_int_equal(sse_new(data_max, &sse), 0);
        if (step == 1) {
            for (size_t i = 0; i < script.len; i++)
                feed(sse, slice_make(script.ptr + i, 1), &out);
        } else {
            feed(sse, slice_make(script.ptr, cut), &out);
            feed(sse, slice_from(script, cut), &out);
        }
        assert_string_equal(buf_cstr(&out), expected);
        sse_free(sse);
        buf_fini(&out);
    }
}

static void test_events(void **state)
{
    static const struct {
        struct slice script;
        const char *expected;
    } rows[] = {
        {SLICE_INIT("data: a\n\n"), "[a]"},
        {SLICE_INIT("data:a\r\rdata:b\r\n\r\ndata:c\n\n"), "[a][b][c]"},
        {SLICE_INIT("data:a\r\n\rdata:b\n\r\n"), "[a][b]"},
        {SLICE_INIT("data\n\n"), "[]"},
        {SLICE_INIT("data\ndata\n\n"), "[\n]"},
        {SLICE_INIT("data: YHOO\ndata: +2\ndata: 10\n\n"), "[YHOO\n+2\n10]"},
        {SLICE_INIT("data:  two blanks\n\n"), "[ two blanks]"},
        {SLICE_INIT("data: a: b\n\n"), "[a: b]"},
        {SLICE_INIT("\n\n\ndata: a\n\n\n"), "[a]"},
        {SLICE_INIT(": hello\n\ndata: a\n:\n: x\n\n"), "[a]"},
        {SLICE_INIT("event: add\ndata: 1\n\ndata: 2\n\n"), "[add|1][2]"},
        {SLICE_INIT("event: add\n\ndata: 2\n\n"), "[2]"},
        {SLICE_INIT("event: a\nevent: b\ndata: 2\n\n"), "[b|2]"},
        {SLICE_INIT("id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n"), "[a#1][b#1][c]"},
        {SLICE_INIT("id: 1\n\ndata: a\n\n"), "[a#1]"},
        {SLICE_INIT("id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n"), "[a#1][b#1]"},
        {SLICE_INIT("\xEF\xBB\xBF"
                    "data: a\n\n"),
         "[a]"},
        {SLICE_INIT("\xEF\xBB\xBF\xEF\xBB\xBF"
                    "data: a\n\n"),
         ""},
        {SLICE_INIT("\xEF\xBB"
                    "data: a\n\ndata: b\n\n"),
         "[b]"},
        {SLICE_INIT("data: a\n\n\xEF\xBB\xBF"
                    "data: b\n\n"),
         "[a]"},
        {SLICE_INIT("Data: a\ndatab: b\nfoo\nfoo: x\n\n"), ""},
        {SLICE_INIT("data: cut off\n"), ""},
        {SLICE_INIT("data: a\n\ndata: cut"), "[a]"},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        expect(rows[i].script, 1000, rows[i].expected);
}

static void test_retry(void **state)
{
    static const struct {
        struct slice script;
        int64_t expected;
    } rows[] = {
        {SLICE_INIT("data: a\n"), -1},
        {SLICE_INIT("retry: 1500\n"), 1500},
        {SLICE_INIT("retry: 0\n"), 0},
        {SLICE_INIT("retry: 1500"), -1},
        {SLICE_INIT("retry: -1\n"), -1},
        {SLICE_INIT("retry: 1s\n"), -1},
        {SLICE_INIT("retry\n"), -1},
        {SLICE_INIT("retry: 1\nretry: x\n"), 1},
        {SLICE_INIT("retry: 1\nretry: 2\n"), 2},
        {SLICE_INIT("retry:  1\n"), -1},
        {SLICE_INIT("retry: 999999999999999\n"), 999999999999999},
        {SLICE_INIT("retry: 1000000000000000\n"), -1},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct slice bytes = rows[i].script;
        struct sse_event event;
        struct sse *sse;

        assert_int_equal(sse_new(10, &sse), 0);
        assert_int_equal(sse_next(sse, &bytes, &event), 0);
        assert_int_equal(sse_retry_ms(sse), rows[i].expected);
        sse_free(sse);
    }
}

static void test_data_at_the_bound(void **state)
{
    expect(SLICE("data: 12345678\n\n"), 8, "[12345678]");
    expect(SLICE("data: 123456789\n\ndata: b\n\n"), 8, "(over)[b]");
    expect(SLICE("data: 1234\ndata: 678\n\n"), 8, "[1234\n678]");
    expect(SLICE("data: 1234\ndata: 6789\n\ndata: b\n\n"), 8, "(over)[b]");
    expect(SLICE("data: 12345678\ndata\n\ndata: b\n\n"), 8, "(over)[b]");
    expect(SLICE("data: 123456789\nid: 7\ndata: x\n\ndata: b\n\n"), 8, "(over)[b#7]");
}

/* A field of so many bytes, then an event that is well. */
static void expect_long(const char *field, size_t n, const char *expected)
{
    struct buf script;

    buf_init(&script, BUF_UNBOUNDED);
    buf_appendf(&script, "data: a\n%s", field);
    for (size_t i = 0; i < n; i++)
        buf_append_byte(&script, 'x');
    buf_append_str(&script, "\n\nid\ndata: b\n\n");
    for (size_t cut = 0; cut < 2; cut++) {
        struct sse *sse;
        struct buf out;

        buf_init(&out, BUF_UNBOUNDED);
        assert_int_equal(sse_new(8, &sse), 0);
        for (size_t i = 0; cut == 1 && i < script.len; i++)
            feed(sse, slice_make(script.data + i, 1), &out);
        if (cut == 0)
            feed(sse, buf_slice(&script), &out);
        if (expected[0] == '*')
            assert_true(out.len > n && out.data[0] == '[');
        else
            assert_string_equal(buf_cstr(&out), expected);
        sse_free(sse);
        buf_fini(&out);
    }
    buf_fini(&script);
}

static void test_other_fields_at_their_bounds(void **state)
{
    expect_long("id: ", SSE_ID_MAX, "*");
    expect_long("id: ", SSE_ID_MAX + 1, "(over)[b]");
    expect_long("id: ", SSE_ID_MAX + 1000, "(over)[b]");
    expect_long("event: ", SSE_TYPE_MAX, "*");
    expect_long("event: ", SSE_TYPE_MAX + 1, "(over)[b]");
    expect_long("event: ", 100000, "(over)[b]");
    expect_long(": ", 100000, "[a][b]");
    expect_long("unknown: ", 100000, "[a][b]");
    expect_long("", 100000, "[a][b]");
    expect_long("data: ", 100000, "(over)[b]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_data_at_the_bound),
        cmocka_unit_test(test_other_fields_at_their_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
