#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"

struct capture {
    int count;
    enum log_level level;
    bool has_stream;
    bool has_link;
    char stream[LIMIT_LOG_NAME + 1];
    char link[LIMIT_LOG_NAME + 1];
    char text[LIMIT_LOG_TEXT + 1];
};

static struct capture captured;

static void capture_sink(void *arg, const struct log_record *record)
{
    struct capture *c = arg;

    c->count++;
    c->level = record->level;
    c->has_stream = record->stream != NULL;
    c->has_link = record->link != NULL;
    snprintf(c->stream, sizeof c->stream, "%s", record->stream != NULL ? record->stream : "");
    snprintf(c->link, sizeof c->link, "%s", record->link != NULL ? record->link : "");
    snprintf(c->text, sizeof c->text, "%s", record->text);
    errno = EIO;
}

static int setup(void **state)
{
    (void)state;
    captured = (struct capture){0};
    log_set_sink(capture_sink, &captured);
    log_set_level(LOG_LEVEL_DEBUG);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_set_sink(NULL, NULL);
    log_set_level(LOG_LEVEL_INFO);
    return 0;
}

static void record_reaches_the_sink(void **state)
{
    (void)state;
    log_warning("orders", "upstream", "lost %d of %s", 3, "x");
    assert_int_equal(captured.count, 1);
    assert_int_equal(captured.level, LOG_LEVEL_WARNING);
    assert_string_equal(captured.stream, "orders");
    assert_string_equal(captured.link, "upstream");
    assert_string_equal(captured.text, "lost 3 of x");
    log_error(NULL, NULL, "plain");
    assert_int_equal(captured.count, 2);
    assert_int_equal(captured.level, LOG_LEVEL_ERROR);
    assert_false(captured.has_stream);
    assert_false(captured.has_link);
}

static void level_decides_what_passes(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_NOTICE);
    assert_true(log_enabled(LOG_LEVEL_NOTICE));
    assert_false(log_enabled(LOG_LEVEL_INFO));
    log_notice(NULL, NULL, "passes");
    log_info(NULL, NULL, "does not");
    log_debug(NULL, NULL, "does not");
    assert_int_equal(captured.count, 1);
    assert_string_equal(captured.text, "passes");
}

static void level_names(void **state)
{
    (void)state;
    assert_string_equal(log_level_name(LOG_LEVEL_ERROR), "error");
    assert_string_equal(log_level_name(LOG_LEVEL_DEBUG), "debug");
    assert_string_equal(log_level_name((enum log_level)(LOG_LEVEL_DEBUG + 1)), "unknown");
}

static void assert_written_as(const char *text, const char *expected)
{
    log_info(text, text, "%s", text);
    assert_string_equal(captured.text, expected);
    assert_string_equal(captured.stream, expected);
    assert_string_equal(captured.link, expected);
}

static void no_line_can_be_forged(void **state)
{
    (void)state;
    assert_written_as("a\n<error> b", "a?<error> b");
    assert_written_as("\r\t\x1B[31m\x01", "???[31m?");
    assert_written_as("\x1F \x7E\x7F", "? ~?");
    assert_written_as("caf\xC3\xA9 \xF0\x9F\x98\x80", "caf\xC3\xA9 \xF0\x9F\x98\x80");
    assert_written_as("a\xFF\x62\x80", "a?b?");
    assert_written_as("\xC0\x8A", "??");
    assert_written_as("\xED\xA0\x80", "???");
    assert_written_as("cut \xE2\x82", "cut ??");
    assert_written_as("\xE2\x82\n", "???");
    /* U+0085 and U+009B are a new line and an escape to some terminals; U+00A0 is not. */
    assert_written_as("\xC2\x85\xC2\x9B\xC2\xA0", "????\xC2\xA0");
    assert_written_as("\xC2\x9F", "??");
}

static void text_is_cut_at_its_limit(void **state)
{
    (void)state;
    log_info(NULL, NULL, "%0*d", LIMIT_LOG_TEXT, 0);
    assert_int_equal(strlen(captured.text), LIMIT_LOG_TEXT);
    assert_string_equal(captured.text + LIMIT_LOG_TEXT - 4, "0000");
    log_info(NULL, NULL, "%0*d", LIMIT_LOG_TEXT + 1, 0);
    assert_int_equal(strlen(captured.text), LIMIT_LOG_TEXT);
    assert_string_equal(captured.text + LIMIT_LOG_TEXT - 4, "0...");
}

static void names_are_cut_at_their_limit(void **state)
{
    char name[LIMIT_LOG_NAME + 2] = {0};

    (void)state;
    memset(name, 'n', LIMIT_LOG_NAME);
    log_info(name, NULL, "x");
    assert_string_equal(captured.stream, name);
    name[LIMIT_LOG_NAME] = 'n';
    log_info(NULL, name, "x");
    assert_int_equal(strlen(captured.link), LIMIT_LOG_NAME);
}

static void errno_is_kept(void **state)
{
    (void)state;
    errno = ENOENT;
    log_info(NULL, NULL, "x");
    assert_int_equal(errno, ENOENT);
    assert_int_equal(captured.count, 1);
}

static void assert_stderr(const char *stream, const char *link_name, const char *expected)
{
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    char line[128] = {0};

    assert_non_null(file);
    assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    log_notice(stream, link_name, "text");
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    rewind(file);
    assert_true(fread(line, 1, sizeof line - 1, file) > 0);
    assert_string_equal(line, expected);
    fclose(file);
}

static void without_a_sink_standard_error(void **state)
{
    (void)state;
    log_set_sink(NULL, NULL);
    assert_stderr("orders", "upstream", "<notice> [orders upstream] text\n");
    assert_stderr("orders", NULL, "<notice> [orders] text\n");
    assert_stderr(NULL, "upstream", "<notice> [upstream] text\n");
    assert_stderr(NULL, NULL, "<notice> text\n");
    assert_int_equal(captured.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(record_reaches_the_sink, setup, teardown),
        cmocka_unit_test_setup_teardown(level_decides_what_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(level_names, setup, teardown),
        cmocka_unit_test_setup_teardown(no_line_can_be_forged, setup, teardown),
        cmocka_unit_test_setup_teardown(text_is_cut_at_its_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_cut_at_their_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(errno_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_sink_standard_error, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
