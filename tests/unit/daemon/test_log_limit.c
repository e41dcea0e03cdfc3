#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "daemon/log_limit.h"

static const char kind_a[] = "a %d", kind_b[] = "b %d";

struct fixture {
    struct log_limit limit;
    int64_t now_ms;
    unsigned passed, told, left_out; /* left_out: as told */
    char text[LOG_LIMIT_TEXT];
};

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof(f));
    log_limit_init(&f.limit);
    f.now_ms = 1000000;
    *state = &f;
    return 0;
}

static void tell(struct fixture *f, const struct log_limit_kind *told)
{
    if (told == NULL)
        return;
    f->told++;
    f->left_out += told->left_out;
    snprintf(f->text, sizeof(f->text), "%s", told->text);
}

static void say_as(struct fixture *f, enum log_level level, const char *kind, const char *stream,
                   const char *text)
{
    struct log_record record = {.level = level, .kind = kind, .stream = stream, .text = text};
    const struct log_limit_kind *told;
    if (log_limit_pass(&f->limit, f->now_ms, &record, &told))
        f->passed++;
    tell(f, told);
}

static void say(struct fixture *f, const char *kind, const char *stream)
{
    say_as(f, LOG_LEVEL_INFO, kind, stream, "a text");
}

static void tick(struct fixture *f, bool all)
{
    const struct log_limit_kind *told;
    while ((told = log_limit_next(&f->limit, f->now_ms, all)) != NULL)
        tell(f, told);
}

static void test_the_bound(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < LOG_LIMIT_BURST; i++)
        say(f, kind_a, "chat");
    assert_int_equal(f->passed, LOG_LIMIT_BURST);
    assert_true(f->limit.due_ms == INT64_MAX);
    say(f, kind_a, "chat");
    assert_int_equal(f->passed, LOG_LIMIT_BURST);
    assert_true(f->limit.due_ms == f->now_ms + LOG_LIMIT_MS);
    say(f, kind_a, "other"); /* another stream, */
    say(f, kind_b, "chat");  /* another kind, */
    say(f, kind_a, NULL);    /* no stream */
    assert_int_equal(f->passed, LOG_LIMIT_BURST + 3);
}

static void test_what_is_left_out_is_told(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < LOG_LIMIT_BURST + 37; i++)
        say(f, kind_a, "chat");
    f->now_ms += LOG_LIMIT_MS - 1;
    tick(f, false);
    assert_int_equal(f->told, 0);
    f->now_ms++;
    tick(f, false);
    assert_int_equal(f->told, 1);
    assert_int_equal(f->left_out, 37);
    assert_string_equal(f->text, "a text");
    tick(f, false);
    assert_int_equal(f->told, 1);
    assert_true(f->limit.due_ms == INT64_MAX);
    say(f, kind_a, "chat");
    assert_int_equal(f->passed, LOG_LIMIT_BURST + 1);
}

/* Without anyone who looks at the clock the next line of the kind tells. */
static void test_told_by_the_next(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < LOG_LIMIT_BURST + 5; i++)
        say(f, kind_a, "chat");
    f->now_ms += LOG_LIMIT_MS;
    say(f, kind_a, "chat");
    assert_int_equal(f->told, 1);
    assert_int_equal(f->left_out, 5);
    assert_int_equal(f->passed, LOG_LIMIT_BURST + 1);
}

static void test_errors_and_debug_pass(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 1000; i++)
        say_as(f, LOG_LEVEL_ERROR, kind_a, "chat", "x");
    for (int i = 0; i < 1000; i++)
        say_as(f, LOG_LEVEL_DEBUG, kind_a, "chat", "x");
    assert_int_equal(f->passed, 2000);
}

/* More kinds than there are places: each line is written or told of, none is forgotten. */
static void test_many_kinds(void **state)
{
    struct fixture *f = *state;
    enum { STREAMS = 3 * LOG_LIMIT_KINDS, LINES = LOG_LIMIT_BURST + 3 };
    for (int i = 0; i < STREAMS; i++) {
        char stream[16];
        snprintf(stream, sizeof(stream), "s%d", i);
        for (int k = 0; k < LINES; k++)
            say(f, kind_a, stream);
        f->now_ms++;
    }
    tick(f, true);
    assert_int_equal(f->passed + f->left_out, STREAMS * LINES);
    assert_int_equal(f->left_out, STREAMS * 3);
}

static void test_a_text_is_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    char text[LOG_LIMIT_TEXT + 64];
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xC3\xA9", 3);
    for (int i = 0; i <= LOG_LIMIT_BURST; i++)
        say_as(f, LOG_LEVEL_INFO, kind_a, "chat", text);
    tick(f, true);
    assert_int_equal(strlen(f->text), LOG_LIMIT_TEXT - 2);
    assert_int_equal((unsigned char)f->text[LOG_LIMIT_TEXT - 3], 0xA9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_bound, setup),
        cmocka_unit_test_setup(test_what_is_left_out_is_told, setup),
        cmocka_unit_test_setup(test_told_by_the_next, setup),
        cmocka_unit_test_setup(test_errors_and_debug_pass, setup),
        cmocka_unit_test_setup(test_many_kinds, setup),
        cmocka_unit_test_setup(test_a_text_is_cut_between_characters, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
