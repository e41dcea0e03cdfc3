/* The grammar of INI text, and what is said about text that does not follow it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "unit/config/config_dir.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct reading {
    struct ini *ini;
    struct diag *diag;
};

static struct reading read_text(struct slice text)
{
    struct reading r = {ini_new(), diag_new()};

    assert_non_null(r.ini);
    assert_non_null(r.diag);
    assert_int_equal(ini_read_text(r.ini, "f.ini", text, r.diag), 0);
    return r;
}

static void done(struct reading *r)
{
    ini_free(r->ini);
    diag_free(r->diag);
}

static void assert_entry(const struct reading *r, size_t i, const char *section, const char *name,
                         const char *key, const char *value, unsigned line)
{
    const struct ini_entry *entry = ini_get(r->ini, i);

    assert_non_null(entry);
    assert_string_equal(entry->section, section);
    assert_string_equal(entry->name, name);
    if (key == NULL) {
        assert_null(entry->key);
    } else {
        assert_string_equal(entry->key, key);
        assert_string_equal(entry->value, value);
    }
    assert_string_equal(entry->file, "f.ini");
    assert_int_equal(entry->line, line);
}

/* The text has exactly these errors, one a row. */
static void assert_errors(struct slice text, const char *const *messages, size_t n)
{
    struct reading r = read_text(text);

    for (size_t i = 0; i < n; i++) {
        assert_non_null(diag_get(r.diag, i));
        assert_string_equal(diag_get(r.diag, i), messages[i]);
    }
    assert_int_equal(diag_count(r.diag), n);
    done(&r);
}

static void test_entries_remember_where_they_stood(void **state)
{
    struct reading r = read_text(SLICE("# first\n[daemon]\nlog = debug\n\n; note\n"
                                       "[stream chat]\nprofile=scaiwave\n[ stream \t two words ]\n"
                                       "[empty]"));

    assert_int_equal(diag_count(r.diag), 0);
    assert_int_equal(ini_count(r.ini), 6);
    assert_entry(&r, 0, "daemon", "", NULL, NULL, 2);
    assert_entry(&r, 1, "daemon", "", "log", "debug", 3);
    assert_entry(&r, 2, "stream", "chat", NULL, NULL, 6);
    assert_entry(&r, 3, "stream", "chat", "profile", "scaiwave", 7);
    assert_entry(&r, 4, "stream", "two words", NULL, NULL, 8);
    assert_entry(&r, 5, "empty", "", NULL, NULL, 9);
    assert_null(ini_get(r.ini, 6));
    done(&r);
}

static void test_values_are_kept_as_they_are(void **state)
{
    struct reading r = read_text(SLICE("[s]\n"
                                       "a = b ; no comment # none either\n"
                                       "b = \n"
                                       "c=x=y=z\n"
                                       "d\t=\t tabs\tinside \t\n"
                                       "e.f/g-h:1 i = \"quotes\" stay\n"
                                       "g = \xD0\x94\xE2\x82\xAC\n"
                                       "4000-4999 = retry\r\n"
                                       "\xC3\xA9 = \xC3\xA8"));

    assert_int_equal(diag_count(r.diag), 0);
    assert_entry(&r, 1, "s", "", "a", "b ; no comment # none either", 2);
    assert_entry(&r, 2, "s", "", "b", "", 3);
    assert_entry(&r, 3, "s", "", "c", "x=y=z", 4);
    assert_entry(&r, 4, "s", "", "d", "tabs\tinside", 5);
    assert_entry(&r, 5, "s", "", "e.f/g-h:1 i", "\"quotes\" stay", 6);
    assert_entry(&r, 6, "s", "", "g", "\xD0\x94\xE2\x82\xAC", 7);
    assert_entry(&r, 7, "s", "", "4000-4999", "retry", 8);
    assert_entry(&r, 8, "s", "", "\xC3\xA9", "\xC3\xA8", 9);
    done(&r);
}

static void test_indented_lines_continue_a_value(void **state)
{
    struct reading r = read_text(SLICE("[s]\n"
                                       "a = one\n"
                                       "  two\n"
                                       "\tthree = 3\n"
                                       "b =\n"
                                       "    first\n"
                                       "    # a comment between\n"
                                       "; and one that is not indented\n"
                                       "    [second]\n"
                                       "\n"
                                       "c = last\n"
                                       " line"));

    assert_int_equal(diag_count(r.diag), 0);
    assert_entry(&r, 1, "s", "", "a", "one\ntwo\nthree = 3", 2);
    assert_entry(&r, 2, "s", "", "b", "first\n[second]", 5);
    assert_entry(&r, 3, "s", "", "c", "last\nline", 11);
    done(&r);
}

static void test_every_fault_has_its_line(void **state)
{
    static const char *const messages[] = {
        "f.ini:1: stands before any [section]: \"early = 1\"",
        ("f.ini:3: an indented line continues the value in the line before it, and there is none; "
         "take the blanks before it away: \"indented = 1\""),
        "f.ini:5: neither [section] nor key = value nor # comment: \"word\"",
        "f.ini:6: neither [section] nor key = value nor # comment: \"= value\"",
        "f.ini:7: a section's line ends with \"]\", not as in \"[open\"",
        "f.ini:9: a section is written [section] or [section name], not \"[]\"",
        "f.ini:10: a section is written [section] or [section name], not \"[ ]\"",
        "f.ini:11: a section is written [section] or [section name], not \"[a/b]\"",
        "f.ini:12: a section's line ends with \"]\", not as in \"[c] ; d\"",
    };
    static const struct slice text =
        SLICE_INIT("early = 1\n[s]\n indented = 1\n more of it\nword\n= value\n[open\n"
                   "ignored = after a bad header\n[]\n[ ]\n[a/b]\n[c] ; d\nx = y\n");

    assert_errors(text, messages, COUNT(messages));
}

static void test_bytes_that_are_no_text(void **state)
{
    static const char *const messages[] = {
        "f.ini:2: the line holds a control character (byte 0x00)",
        "f.ini:4: the line is not UTF-8",
        "f.ini:6: the line holds a control character (byte 0x1b)",
        "f.ini:7: the line holds a control character (byte 0x7f)",
        "f.ini:8: the line holds a control character (byte 0x0d)",
        "f.ini:10: the line holds a control character (byte 0x01)",
    };
    static const struct slice text =
        SLICE_INIT("[s]\na = 1\0002\n  belongs to a\n# \xFF\nb = 1\nc = \x1B[0m\nd = \x7F\n"
                   "e = \r1\nf = 1\n more\x01\n and on\n");
    struct reading r = read_text(text);

    assert_int_equal(ini_count(r.ini), 3);
    assert_entry(&r, 1, "s", "", "b", "1", 5);
    assert_entry(&r, 2, "s", "", "f", "1\nand on", 9);
    done(&r);
    assert_errors(text, messages, COUNT(messages));
}

static void test_byte_order_mark_is_passed_over(void **state)
{
    struct reading r = read_text(SLICE("\xEF\xBB\xBF[s]\na = 1\n"));

    assert_int_equal(diag_count(r.diag), 0);
    assert_entry(&r, 1, "s", "", "a", "1", 2);
    done(&r);
}

static void test_a_key_twice_in_one_file(void **state)
{
    static const char *const messages[] = {
        "f.ini:5: line 2 has set this key already: \"b\"",
        "f.ini:6: line 3 has set this key already: \"a\"",
        "f.ini:7: line 6 has set this key already: \"a\"",
    };

    assert_errors(SLICE("[s]\nb = 1\na = 1\n[t]\n[s]\n"), NULL, 0);
    assert_errors(SLICE("[s]\nb = 1\na = 1\n[s]\nb = 2\na = 1\na = 3\n"), messages,
                  COUNT(messages));
    assert_errors(SLICE("[s]\na = 1\n[s x]\na = 1\n[t]\na = 1\n[s y]\na=1\n[s]\nA = 1\n"), NULL, 0);
}

static void test_a_key_twice_in_two_files(void **state)
{
    struct reading r = read_text(SLICE("[s]\na = 1\n"));

    assert_int_equal(ini_read_text(r.ini, "g.ini", SLICE("[s]\na = 2\n"), r.diag), 0);
    assert_int_equal(diag_count(r.diag), 0);
    assert_int_equal(ini_count(r.ini), 4);
    assert_string_equal(ini_get(r.ini, 1)->file, "f.ini");
    assert_string_equal(ini_get(r.ini, 3)->file, "g.ini");
    assert_string_equal(ini_get(r.ini, 3)->value, "2");
    done(&r);
}

/* A section of one file does not reach into the next. */
static void test_each_file_begins_outside_of_sections(void **state)
{
    struct reading r = read_text(SLICE("[s]\na = 1\n"));

    assert_int_equal(ini_read_text(r.ini, "g.ini", SLICE("b = 2\n"), r.diag), 0);
    assert_int_equal(diag_count(r.diag), 1);
    assert_string_equal(diag_get(r.diag, 0), "g.ini:1: stands before any [section]: \"b = 2\"");
    done(&r);
}

static void test_line_at_the_bound_and_one_past(void **state)
{
    for (int over = 0; over <= 1; over++) {
        size_t len = LIMIT_INI_LINE + (size_t)over;
        struct buf text;
        struct reading r;

        buf_init(&text, BUF_UNBOUNDED);
        assert_int_equal(buf_append_str(&text, "[s]\n"), 0);
        assert_int_equal(buf_appendf(&text, "a=%0*d\nb=1\n", (int)len - 2, 0), 0);
        r = read_text(buf_slice(&text));
        assert_int_equal(diag_count(r.diag), over);
        assert_int_equal(ini_count(r.ini), 3 - over);
        if (over)
            assert_string_equal(diag_get(r.diag, 0),
                                "f.ini:2: the line is 65537 bytes long, at most 65536 are read");
        else
            assert_int_equal(strlen(ini_get(r.ini, 1)->value), LIMIT_INI_LINE - 2);
        done(&r);
        buf_fini(&text);
    }
}

static void test_file_at_the_bound_and_one_past(void **state)
{
    struct config_dir *d = *state;
    char *text = malloc(LIMIT_INI_FILE + 2);
    struct ini *ini = ini_new();

    assert_non_null(text);
    assert_non_null(ini);
    memset(text, '\n', LIMIT_INI_FILE + 1);
    memcpy(text, "[s]\n", 4);
    memcpy(text + LIMIT_INI_FILE - 4, "\nb=1", 4);
    text[LIMIT_INI_FILE] = '\0';
    config_dir_write(d, "hawser.ini", text);
    assert_int_equal(ini_read_file(ini, d->main, d->diag), 0);
    assert_int_equal(diag_count(d->diag), 0);
    assert_int_equal(ini_count(ini), 2);
    text[LIMIT_INI_FILE] = '0';
    text[LIMIT_INI_FILE + 1] = '\0';
    config_dir_write(d, "hawser.ini", text);
    assert_int_equal(ini_read_file(ini, d->main, d->diag), ERR_LIMIT);
    assert_int_equal(diag_count(d->diag), 1);
    assert_non_null(strstr(diag_get(d->diag, 0), "longer than the 1048576 bytes"));
    assert_int_equal(ini_count(ini), 2);
    ini_free(ini);
    free(text);
}

static void test_files_that_cannot_be_read(void **state)
{
    struct config_dir *d = *state;
    struct ini *ini = ini_new();
    char want[256];

    assert_non_null(ini);
    assert_int_equal(ini_read_file(ini, d->main, d->diag), ERR_NOTFOUND);
    snprintf(want, sizeof want, "%s: cannot be read: No such file or directory", d->main);
    assert_string_equal(diag_get(d->diag, 0), want);
    assert_int_equal(ini_read_file(ini, d->dir, d->diag), ERR_IO);
    snprintf(want, sizeof want, "%s: cannot be read: Is a directory", d->dir);
    assert_string_equal(diag_get(d->diag, 1), want);
    config_dir_write(d, "hawser.ini", "[s]\n");
    if (geteuid() != 0) {
        assert_int_equal(chmod(d->main, 0), 0);
        assert_int_equal(ini_read_file(ini, d->main, d->diag), ERR_PERM);
    }
    ini_free(ini);
}

static void test_diag_at_the_bound_and_one_past(void **state)
{
    struct diag *diag = diag_new();

    assert_non_null(diag);
    assert_null(diag_get(diag, 0));
    for (int i = 0; i <= LIMIT_ERRORS; i++)
        diag_add(diag, "f.ini", (unsigned)i, "number %d", i);
    assert_int_equal(diag_count(diag), LIMIT_ERRORS + 1);
    assert_string_equal(diag_get(diag, 0), "f.ini: number 0");
    assert_string_equal(diag_get(diag, LIMIT_ERRORS - 1), "f.ini:199: number 199");
    assert_null(diag_get(diag, LIMIT_ERRORS));
    assert_int_equal(diag_left_out(diag), 1);
    diag_free(diag);
    diag_free(NULL);
    ini_free(NULL);
}

/* Several passes find them; people mend a file from its top. */
static void test_diag_is_in_the_order_of_the_lines(void **state)
{
    static const char *const want[] = {"b.ini:2: late", "b.ini:2: again", "b.ini:9: early",
                                       "a.ini: whole",  "a.ini:1: late",  "a.ini:7: early"};
    struct diag *diag = diag_new();

    assert_non_null(diag);
    diag_add(diag, "b.ini", 9, "early");
    diag_add(diag, "a.ini", 7, "early");
    diag_add(diag, "b.ini", 2, "late");
    diag_add(diag, "a.ini", 1, "late");
    diag_add(diag, "b.ini", 2, "again");
    diag_add(diag, "a.ini", 0, "whole");
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        assert_string_equal(diag_get(diag, i), want[i]);
    diag_free(diag);
}

/* It counts, so that who looks at the count sees that something was wrong this time, too. */
static void test_diag_keeps_a_message_once(void **state)
{
    struct diag *diag = diag_new();

    assert_non_null(diag);
    for (int i = 0; i < 3; i++)
        diag_add(diag, "f.ini", 7, "wrong");
    diag_add(diag, "f.ini", 8, "wrong");
    assert_int_equal(diag_count(diag), 4);
    assert_string_equal(diag_get(diag, 1), "f.ini:8: wrong");
    assert_null(diag_get(diag, 2));
    assert_int_equal(diag_left_out(diag), 0);
    diag_free(diag);
}

/* Every prefix of a text is read to its end, with or without errors. */
static void test_every_prefix_ends(void **state)
{
    static const char text[] =
        "\xEF\xBB\xBF# c\n[a b]\r\nk = v\n  \xC3\xA9 more\n\n[x\n;\n=\n[]\n y";

    for (size_t n = 0; n < sizeof text; n++) {
        char *copy = malloc(n != 0 ? n : 1);
        struct reading r;

        assert_non_null(copy);
        memcpy(copy, text, n);
        r = read_text(slice_make(copy, n));
        assert_true(ini_count(r.ini) <= 2);
        done(&r);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_remember_where_they_stood),
        cmocka_unit_test(test_values_are_kept_as_they_are),
        cmocka_unit_test(test_indented_lines_continue_a_value),
        cmocka_unit_test(test_every_fault_has_its_line),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_byte_order_mark_is_passed_over),
        cmocka_unit_test(test_a_key_twice_in_one_file),
        cmocka_unit_test(test_a_key_twice_in_two_files),
        cmocka_unit_test(test_each_file_begins_outside_of_sections),
        cmocka_unit_test(test_line_at_the_bound_and_one_past),
        cmocka_unit_test_setup_teardown(test_file_at_the_bound_and_one_past, config_dir_setup,
                                        config_dir_teardown),
        cmocka_unit_test_setup_teardown(test_files_that_cannot_be_read, config_dir_setup,
                                        config_dir_teardown),
        cmocka_unit_test(test_diag_at_the_bound_and_one_past),
        cmocka_unit_test(test_diag_is_in_the_order_of_the_lines),
        cmocka_unit_test(test_diag_keeps_a_message_once),
        cmocka_unit_test(test_every_prefix_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
