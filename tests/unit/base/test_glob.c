#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdbool.h>

#include "base/glob.h"
#include "base/rng.h"

static bool match(const char *pattern, const char *text)
{
    return glob_match(slice_str(pattern), slice_str(text));
}

static void examples(void **state)
{
    (void)state;
    assert_true(match("", ""));
    assert_false(match("", "a"));
    assert_false(match("a", ""));
    assert_true(match("abc", "abc"));
    assert_false(match("abc", "abd"));
    assert_false(match("abc", "abcd"));
    assert_true(match("*", ""));
    assert_true(match("**", "anything/at.all"));
    assert_true(match("a*c", "ac"));
    assert_true(match("a*c", "abcbc"));
    assert_false(match("a*c", "abcb"));
    assert_true(match("*.json", "x.json.json"));
    assert_true(match("a?c", "a*c"));
    assert_false(match("a?c", "ac"));
    assert_false(match("?", ""));
    assert_true(match("?*?", "ab"));
    assert_false(match("?*?", "a"));
    assert_true(match("*aab*", "aaaab"));
    assert_false(match("A", "a"));
    assert_true(glob_match(slice_make(NULL, 0), slice_make(NULL, 0)));
    assert_true(glob_match(SLICE("a?b"), SLICE("a\0b")));
}

/* By definition, at exponential cost. */
static bool reference(const char *pattern, const char *text)
{
    if (*pattern == '\0')
        return *text == '\0';
    if (*pattern == '*')
        return reference(pattern + 1, text) || (*text != '\0' && reference(pattern, text + 1));
    return *text != '\0' && (*pattern == '?' || *pattern == *text) &&
           reference(pattern + 1, text + 1);
}

static void random_word(struct rng *r, const char *letters, char *out, size_t max)
{
    size_t len = (size_t)rng_below(r, max + 1);

    for (size_t i = 0; i < len; i++)
        out[i] = letters[rng_below(r, strlen(letters))];
    out[len] = '\0';
}

static void agrees_with_the_definition(void **state)
{
    struct rng r;
    unsigned matches = 0;

    (void)state;
    rng_seed(&r, 21);
    for (int i = 0; i < 200000; i++) {
        char pattern[8];
        char text[8];

        random_word(&r, "ab*?", pattern, 7);
        random_word(&r, "ab", text, 7);
        if (match(pattern, text) != reference(pattern, text))
            fail_msg("pattern '%s', text '%s'", pattern, text);
        matches += match(pattern, text);
    }
    /* Or else nothing was compared. */
    assert_in_range(matches, 1000, 199000);
}

static void hostile_pattern_is_cheap(void **state)
{
    char pattern[201];
    char text[10001];

    (void)state;
    /* By trying all ways this would outlast the universe. */
    for (size_t i = 0; i < 200; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[199] = 'b';
    pattern[200] = '\0';
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(match(pattern, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples),
        cmocka_unit_test(agrees_with_the_definition),
        cmocka_unit_test(hostile_pattern_is_cheap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
