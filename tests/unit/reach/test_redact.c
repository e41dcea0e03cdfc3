/* Secrets in the words of others: found in every spelling, and where the text breaks off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "reach/redact.h"

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
    /* One with a percent sign: as it is, and encoded. */
    assert_int_equal(redact_learn(&redact, SLICE("z%k%25t")), 0);
    expect(&redact, "z%k%25t z%25k%2525t %7A%25%6b%25%32%35%74", "*** *** ***");
    expect(&redact, "z%25k%25", "***");
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

/* What a proxy says of "Authorization: Basic ...", and a token within an encoded object: the value
 * stands at any of the three places that base64 has for it. */
static void test_base64(void **state)
{
    struct redact redact;
    char text[400];
    (void)state;
    redact_init(&redact);
    /* Its base64 has '+' and '/' at each of the places. */
    const struct slice secret = SLICE("s\xFB\xEF\xBE\xFF\xFE?>~cret-value");
    assert_int_equal(redact_learn(&redact, secret), 0);
    for (int before = 0; before < 7; before++) {
        for (int after = 0; after < 4; after++) {
            struct buf plain, encoded;
            buf_init(&plain, BUF_UNBOUNDED);
            buf_init(&encoded, BUF_UNBOUNDED);
            buf_append(&plain, "user-x:", (size_t)before);
            buf_append_slice(&plain, secret);
            buf_append(&plain, "@@@", (size_t)after);
            assert_int_equal(base64_encode(&encoded, plain.data, plain.len), 0);
            for (int spelling = 0; spelling < 3; spelling++) {
                size_t n = 0;
                n += (size_t)sprintf(text, "Basic ");
                for (size_t i = 0; i < encoded.len; i++) {
                    char c = encoded.data[i];
                    if (spelling == 1 && (c == '+' || c == '/'))
                        c = c == '+' ? '-' : '_';
                    if (spelling == 2 && strchr("+/=", c) != NULL)
                        n += (size_t)sprintf(text + n, "%%%02X", (unsigned char)c);
                    else
                        text[n++] = c;
                }
                sprintf(text + n, " end");
                redact_text(&redact, text);
                if (strstr(text, "***") == NULL || strlen(text) > 6 + 10 + 3 + 5 + 4 + 4)
                    fail_msg("%d bytes before, %d after, spelling %d: %s", before, after, spelling,
                             text);
                assert_non_null(strstr(text, " end"));
            }
            buf_fini(&plain);
            buf_fini(&encoded);
        }
    }
    expect(&redact, "cut: c/vv", "cut: c/vv");
    redact_fini(&redact);
    redact_init(&redact);
    assert_int_equal(redact_learn(&redact, SLICE("good-token")), 0);
    expect(&redact, "Z29vZC10b2tlbg==.", "***.");
    expect(&redact, "Z29vZC10b2...", "***");
    expect(&redact, "Z29vZC1 0b2tl", "Z29vZC1 0b2tl");
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
    expect(&redact, "secret-1 secret-16", "*** ***");
    redact_fini(&redact);
}

/* A key that is in use all the time does not go before tokens that come and go. */
static void test_one_in_use_stays(void **state)
{
    struct redact redact;
    char value[16];
    (void)state;
    redact_init(&redact);
    for (int i = 0; i < 3 * REDACT_KEPT; i++) {
        assert_int_equal(redact_learn(&redact, SLICE("the-api-key")), 0);
        snprintf(value, sizeof(value), "token-%d", i);
        assert_int_equal(redact_learn(&redact, slice_str(value)), 0);
        expect(&redact, "the-api-key", "***");
        expect(&redact, value, "***");
    }
    expect(&redact, "token-32 token-33 ", "token-32 *** ");
    redact_fini(&redact);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_broken_off),
        cmocka_unit_test(test_values_of_any_length),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_only_so_many_are_kept),
        cmocka_unit_test(test_one_in_use_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
