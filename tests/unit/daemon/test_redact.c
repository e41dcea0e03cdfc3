/* Secrets in the words of others: found in every spelling, and where the text breaks off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/redact.h"

static void expect(const struct redact *redact, const char *before, const char *after)
{
    char text[256];
    snprintf(text, sizeof(text), "%s", before);
    redact_text(redact, text);
    assert_string_equal(text, after);
}

static void test_spellings(void **state)
{
    struct redact redact;
    (void)state;
    redact_init(&redact);
    expect(&redact, "nothing is known", "nothing is known");
    assert_int_equal(redact_learn(&redact, SLICE("a/b+c==\"x")), 0);
    expect(&redact, "a/b+c==\"x", "***");
    expect(&redact, "GET /?token=a%2Fb%2Bc%3D%3D%22x HTTP", "GET /?token=*** HTTP");
    expect(&redact, "GET /?token=a%2fb%2bc%3d%3d%22x&b=1", "GET /?token=***&b=1");
    expect(&redact, "{\"token\":\"a\\/b+c==\\\"x\"}", "{\"token\":\"***\"}");
    expect(&redact, "aa/b+c==\"xa/b+c==\"x", "a******");
    expect(&redact, "a/b+c==\"y", "a/b+c==\"y");
    redact_fini(&redact);
}

static void test_broken_off(void **state)
{
    struct redact redact;
    (void)state;
    redact_init(&redact);
    assert_int_equal(redact_learn(&redact, SLICE("good-token")), 0);
    expect(&redact, "token=good-toke", "token=***");
    expect(&redact, "token=good", "token=***");
    expect(&redact, "token=goo", "token=goo");
    expect(&redact, "token=good-t...", "token=***");
    expect(&redact, "token=good%2Dtok%6", "token=***");
    expect(&redact, "good is good, and good", "good is good, and ***");
    redact_fini(&redact);
}

static void test_values_of_any_length(void **state)
{
    struct redact redact;
    (void)state;
    redact_init(&redact);
    assert_int_equal(redact_learn(&redact, SLICE("abc")), 0);
    expect(&redact, "abc", "abc");
    assert_int_equal(redact_learn(&redact, SLICE("abcd")), 0);
    expect(&redact, "abcd abcde", "*** ***e");
    assert_int_equal(redact_learn(&redact, SLICE("abcde")), 0);
    expect(&redact, "abcd abcde", "*** ***");
    redact_fini(&redact);
}

/* The newest are kept, and one that is said again takes no second place. */
static void test_only_so_many_are_kept(void **state)
{
    struct redact redact;
    char value[16];
    (void)state;
    redact_init(&redact);
    for (int i = 0; i <= REDACT_KEPT; i++) {
        snprintf(value, sizeof(value), "secret-%d", i);
        assert_int_equal(redact_learn(&redact, slice_str(value)), 0);
        assert_int_equal(redact_learn(&redact, slice_str(value)), 0);
    }
    expect(&redact, "secret-0 ", "secret-0 ");
    expect(&redact, "secret-1 secret-8", "*** ***");
    redact_fini(&redact);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_broken_off),
        cmocka_unit_test(test_values_of_any_length),
        cmocka_unit_test(test_only_so_many_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
