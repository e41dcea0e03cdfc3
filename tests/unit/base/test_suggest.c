#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/suggest.h"

static const char *const keys[] = {"listen", "stream", "timeout", "token", "url", "max_message"};

static const char *suggest_key(const char *word)
{
    return suggest(slice_str(word), keys, sizeof keys / sizeof keys[0]);
}

static void near_words(void **state)
{
    (void)state;
    assert_string_equal(suggest_key("stream"), "stream");
    assert_string_equal(suggest_key("streem"), "stream");  /* replaced */
    assert_string_equal(suggest_key("steam"), "stream");   /* missing */
    assert_string_equal(suggest_key("streaam"), "stream"); /* one too many */
    assert_string_equal(suggest_key("lisetn"), "listen");  /* swapped */
    assert_null(suggest_key("lru"));                       /* two edits of three letters */
}

static void a_third_of_the_word_is_the_limit(void **state)
{
    static const char *const six[] = {"abcdef"};
    static const char *const nine[] = {"abcdefghi"};

    (void)state;
    assert_string_equal(suggest(SLICE("abcdXX"), six, 1), "abcdef");
    assert_null(suggest(SLICE("abcXXX"), six, 1));
    assert_null(suggest(SLICE("abcXX"), six, 1));
    assert_string_equal(suggest(SLICE("abcdefXXX"), nine, 1), "abcdefghi");
    assert_null(suggest(SLICE("abcdeXXXX"), nine, 1));
}

static void short_words_allow_one_edit(void **state)
{
    static const char *const two[] = {"ab"};

    (void)state;
    assert_string_equal(suggest(SLICE("a"), two, 1), "ab");
    assert_string_equal(suggest(SLICE("ba"), two, 1), "ab");
    assert_null(suggest(SLICE("cd"), two, 1));
}

static void nearest_wins_and_then_the_first(void **state)
{
    static const char *const words[] = {"abcdXX", "abcdeX", "abcdeY", "abcdXe"};

    (void)state;
    assert_string_equal(suggest(SLICE("abcdef"), words, 4), "abcdeX");
    assert_string_equal(suggest(SLICE("abcdeY"), words, 4), "abcdeY");
}

static void nothing_to_suggest(void **state)
{
    (void)state;
    assert_null(suggest_key("unrelated"));
    assert_null(suggest_key(""));
    assert_null(suggest(slice_make(NULL, 0), keys, 1));
    assert_null(suggest(SLICE("url"), NULL, 0));
}

static void long_words_are_left_alone(void **state)
{
    char word[SUGGEST_WORD_MAX + 2];
    const char *const candidates[] = {word};

    (void)state;
    memset(word, 'x', sizeof word);
    word[SUGGEST_WORD_MAX] = '\0';
    assert_ptr_equal(suggest(slice_str(word), candidates, 1), word);
    word[SUGGEST_WORD_MAX] = 'x';
    word[SUGGEST_WORD_MAX + 1] = '\0';
    assert_null(suggest(slice_str(word), candidates, 1));
    assert_null(suggest(slice_make(word, SUGGEST_WORD_MAX), candidates, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_words),
        cmocka_unit_test(a_third_of_the_word_is_the_limit),
        cmocka_unit_test(short_words_allow_one_edit),
        cmocka_unit_test(nearest_wins_and_then_the_first),
        cmocka_unit_test(nothing_to_suggest),
        cmocka_unit_test(long_words_are_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
