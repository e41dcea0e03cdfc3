/* Lines of a stream: every script is fed whole, byte by byte, and cut at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "wire/lines.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void feed(struct lines *lines, struct slice bytes, struct buf *out)
{
    char *copy = malloc(bytes.len != 0 ? bytes.len : 1);
    struct slice rest = slice_make(copy, bytes.len);
    struct slice line;
    int rc;

    assert_non_null(copy);
    if (bytes.len != 0)
        memcpy(copy, bytes.ptr, bytes.len);
    while ((rc = lines_next(lines, &rest, &line)) != 0) {
        assert_true(rc == 1 || rc == ERR_LIMIT);
        if (rc == 1)
            buf_appendf(out, "[" SLICE_FMT "]", SLICE_ARG(line));
        else
            buf_append_str(out, "(over)");
    }
    assert_int_equal(rest.len, 0);
    free(copy);
}

static void expect(struct slice script, const char *expected)
{
    for (size_t step = 0; step <= script.len; step++) {
        size_t cut = step > 1 ? step : script.len; /* 0: whole, 1: each byte, else cut there */
        struct lines *lines;
        struct buf out;

        buf_init(&out, BUF_UNBOUNDED);
        assert_int_equal(lines_new(8, &lines), 0);
        if (step == 1) {
            for (size_t i = 0; i < script.len; i++)
                feed(lines, slice_make(script.ptr + i, 1), &out);
        } else {
            feed(lines, slice_make(script.ptr, cut), &out);
            feed(lines, slice_from(script, cut), &out);
        }
        assert_string_equal(buf_cstr(&out), expected);
        lines_free(lines);
        buf_fini(&out);
    }
}

static void test_lines(void **state)
{
    static const struct {
        struct slice script;
        const char *expected;
    } rows[] = {
        {SLICE_INIT(""), ""},
        {SLICE_INIT("a\nb\r\nc\n"), "[a][b][c]"},
        {SLICE_INIT("\n\r\n\na\n\n"), "[a]"},
        {SLICE_INIT("a\rb\n"), "[a\rb]"},
        {SLICE_INIT("a\r\r\n"), "[a\r]"},
        {SLICE_INIT("a\ncut"), "[a]"},
        {SLICE_INIT("12345678\n12345678\r\n"), "[12345678][12345678]"},
        {SLICE_INIT("123456789\nb\n"), "(over)[b]"},
        {SLICE_INIT("123456789\r\nb\n"), "(over)[b]"},
        {SLICE_INIT("12345678\r\r\nb\n"), "(over)[b]"},
        {SLICE_INIT("1234567890123456789012345678901234567890\nb\n"), "(over)[b]"},
        {SLICE_INIT("1234567890123\n\n1234567890123\nb\n"), "(over)(over)[b]"},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        expect(rows[i].script, rows[i].expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
