/*
 * What is JSON and what is not. Each text is scanned from memory that ends where the text ends, so
 * that the sanitizer sees a single byte read too far.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "unit/json/texts.h"
#include "json/json.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Scans a copy that fills its memory exactly; the error's offset must lie in the text. */
static int scan_copy(struct slice text)
{
    char *copy = malloc(text.len != 0 ? text.len : 1);
    size_t wrong = SIZE_MAX;
    int rc;

    assert_non_null(copy);
    memcpy(copy, text.ptr, text.len);
    rc = json_scan(NULL, slice_make(copy, text.len), NULL, &wrong);
    free(copy);
    if (rc == 0)
        assert_int_equal(wrong, SIZE_MAX);
    else
        assert_true(wrong <= text.len);
    return rc;
}

static void check_all(const struct slice *texts, size_t n, int expected)
{
    for (size_t i = 0; i < n; i++) {
        int rc = scan_copy(texts[i]);

        if (rc != expected)
            fail_msg("%s: " SLICE_FMT, rc == 0 ? "accepted" : "refused", SLICE_ARG(texts[i]));
    }
}

static void test_accepts_what_every_parser_must(void **state)
{
    check_all(must_accept, COUNT(must_accept), 0);
}

static void test_refuses_what_every_parser_must(void **state)
{
    check_all(must_refuse, COUNT(must_refuse), ERR_PARSE);
}

static void test_decides_what_is_left_to_the_parser(void **state)
{
    check_all(may_and_is_accepted, COUNT(may_and_is_accepted), 0);
    check_all(may_and_is_refused, COUNT(may_and_is_refused), ERR_PARSE);
}

/* A complete text inside an array stays one, and a broken one does not heal. */
static void test_nesting_changes_no_verdict(void **state)
{
    struct buf b;

    buf_init(&b, BUF_UNBOUNDED);
    for (size_t i = 0; i < COUNT(must_accept); i++) {
        buf_clear(&b);
        assert_int_equal(buf_appendf(&b, "{\"pad\":0,\"x\":["), 0);
        assert_int_equal(buf_append_slice(&b, must_accept[i]), 0);
        assert_int_equal(buf_append_str(&b, "]}"), 0);
        assert_int_equal(scan_copy(buf_slice(&b)), 0);
    }
    for (size_t i = 0; i < COUNT(may_and_is_refused); i++) {
        buf_clear(&b);
        assert_int_equal(buf_append_str(&b, "[[],"), 0);
        assert_int_equal(buf_append_slice(&b, may_and_is_refused[i]), 0);
        assert_int_equal(buf_append_str(&b, "]"), 0);
        assert_int_equal(scan_copy(buf_slice(&b)), ERR_PARSE);
    }
    buf_fini(&b);
}

/* Every byte value, alone between tokens, in a string, and after a backslash. */
static void test_every_byte_in_every_place(void **state)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char between[] = {'[', (char)byte, ']'};
        char inside[] = {'"', (char)byte, '"'};
        char escaped[] = {'"', '\\', (char)byte, '"'};
        bool blank = byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
        bool digit = byte >= '0' && byte <= '9';
        bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
        bool escape = byte != 0 && strchr("\"\\/bfnrt", (int)byte) != NULL;

        assert_int_equal(scan_copy(slice_make(between, 3)), blank || digit ? 0 : ERR_PARSE);
        assert_int_equal(scan_copy(slice_make(inside, 3)), plain ? 0 : ERR_PARSE);
        assert_int_equal(scan_copy(slice_make(escaped, 4)), escape ? 0 : ERR_PARSE);
    }
}

/* The word-wise scan sees a byte that is not plain wherever in a word it lies, whatever follows. */
static void test_every_byte_at_every_place_of_a_word(void **state)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';

        for (size_t place = 1; place <= 16; place++) {
            char text[] = "\"!!!!!!!!!!!!!!!!!!!!!!!!\"";
            size_t wrong = SIZE_MAX;

            text[place] = (char)byte;
            if (json_scan(NULL, slice_make(text, sizeof text - 1), NULL, &wrong) !=
                (plain ? 0 : ERR_PARSE))
                fail_msg("byte 0x%02x at %zu", byte, place);
            /* An escape goes wrong at its letter, a quote ends the string. */
            if (!plain)
                assert_int_equal(wrong, byte == '"' || byte == '\\' ? place + 1 : place);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts_what_every_parser_must),
        cmocka_unit_test(test_refuses_what_every_parser_must),
        cmocka_unit_test(test_decides_what_is_left_to_the_parser),
        cmocka_unit_test(test_nesting_changes_no_verdict),
        cmocka_unit_test(test_every_byte_in_every_place),
        cmocka_unit_test(test_every_byte_at_every_place_of_a_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
