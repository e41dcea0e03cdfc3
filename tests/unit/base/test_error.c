#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/error.h"

#define TEXT_MAX (sizeof((struct error *)NULL)->text - 1)

static void codes_are_dense_and_negative(void **state)
{
    (void)state;
#define COUNT(code, text) +1
    assert_int_equal(ERROR_COUNT, 0 HAWSER_ERRORS(COUNT));
#undef COUNT
    assert_int_equal(ERR_NOMEM, -1);
    assert_int_equal(ERR_INVAL, -2);
    assert_int_equal(ERR_PERM, -ERROR_COUNT);
}

static void names_and_texts(void **state)
{
    (void)state;
    assert_string_equal(error_name(0), "OK");
    assert_string_equal(error_text(0), "success");
    assert_string_equal(error_name(ERR_NOMEM), "ERR_NOMEM");
    assert_string_equal(error_text(ERR_NOMEM), "out of memory");
    assert_string_equal(error_name(ERR_PERM), "ERR_PERM");
    assert_string_equal(error_text(ERR_PERM), "permission denied");
    assert_string_equal(error_name(ERR_PERM - 1), "ERR_UNKNOWN");
    assert_string_equal(error_name(1), "ERR_UNKNOWN");
    assert_string_equal(error_name(INT32_MIN), "ERR_UNKNOWN");
}

static void errno_values(void **state)
{
    (void)state;
    assert_int_equal(error_from_errno(ENOSPC), ERR_FULL);
    assert_int_equal(error_from_errno(ENOENT), ERR_NOTFOUND);
    assert_int_equal(error_from_errno(EACCES), ERR_PERM);
    assert_int_equal(error_from_errno(EPIPE), ERR_IO);
}

static void set_returns_the_code(void **state)
{
    struct error e = {0};

    (void)state;
    assert_int_equal(error_set(&e, ERR_PARSE, "line %d", 7), ERR_PARSE);
    assert_int_equal(e.code, ERR_PARSE);
    assert_string_equal(e.text, "line 7");
    assert_int_equal(error_set(NULL, ERR_IO, "nobody reads %s", "this"), ERR_IO);
}

static void set_may_use_its_own_text(void **state)
{
    struct error e = {0};

    (void)state;
    error_set(&e, ERR_PARSE, "inner");
    error_set(&e, ERR_IO, "<%s>", e.text);
    assert_string_equal(e.text, "<inner>");
}

static void wrap_grows_outward(void **state)
{
    struct error e = {0};

    (void)state;
    error_set(&e, ERR_TIMEOUT, "no answer");
    assert_int_equal(error_wrap(&e, "host %s", "a.example"), ERR_TIMEOUT);
    assert_int_equal(error_wrap(&e, "stream x"), ERR_TIMEOUT);
    assert_string_equal(e.text, "stream x: host a.example: no answer");
}

static void text_that_just_fits_is_not_marked(void **state)
{
    struct error e = {0};
    char text[TEXT_MAX + 2];

    (void)state;
    memset(text, 'x', sizeof text);
    error_set(&e, ERR_IO, "%.*s", (int)TEXT_MAX, text);
    assert_int_equal(strlen(e.text), TEXT_MAX);
    assert_null(strchr(e.text, '.'));
    error_set(&e, ERR_IO, "%.*s", (int)TEXT_MAX + 1, text);
    assert_int_equal(strlen(e.text), TEXT_MAX);
    assert_string_equal(e.text + TEXT_MAX - 4, "x...");
}

static void wrap_marks_a_cut(void **state)
{
    struct error e = {0};
    char text[TEXT_MAX + 1] = {0};

    (void)state;
    memset(text, 'x', TEXT_MAX);
    error_set(&e, ERR_IO, "%s", text);
    assert_int_equal(error_wrap(&e, "p"), ERR_IO);
    assert_int_equal(strlen(e.text), TEXT_MAX);
    assert_memory_equal(e.text, "p: x", 4);
    assert_string_equal(e.text + TEXT_MAX - 4, "x...");
}

static void cut_does_not_split_a_character(void **state)
{
    struct error e = {0};

    (void)state;
    /* The two bytes of U+00E9 lie on both sides of where the cut would be. */
    error_set(&e, ERR_IO, "%*s\xC3\xA9tail", (int)TEXT_MAX - 4, "");
    assert_string_equal(e.text + TEXT_MAX - 5, " ...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_dense_and_negative),
        cmocka_unit_test(names_and_texts),
        cmocka_unit_test(errno_values),
        cmocka_unit_test(set_returns_the_code),
        cmocka_unit_test(set_may_use_its_own_text),
        cmocka_unit_test(wrap_grows_outward),
        cmocka_unit_test(text_that_just_fits_is_not_marked),
        cmocka_unit_test(wrap_marks_a_cut),
        cmocka_unit_test(cut_does_not_split_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
