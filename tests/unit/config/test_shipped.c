/* conf/hawser.ini documents each key with its default, and works as it is and uncommented. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "unit/config/config_dir.h"

static const char shipped[] = "conf/hawser.ini";

/* A line of the file that has not been looked at. */
static struct slice take_line(struct slice *text)
{
    const char *newline = slice_find_byte(*text, '\n');
    size_t len = newline != NULL ? (size_t)(newline - text->ptr) : text->len;
    struct slice line = slice_make(text->ptr, len);

    *text = slice_from(*text, len + 1);
    return line;
}

static void read_shipped(struct buf *text)
{
    FILE *file = fopen(shipped, "r");
    size_t n;

    assert_non_null(file);
    buf_init(text, BUF_UNBOUNDED);
    assert_int_equal(buf_reserve(text, 65536), 0);
    n = fread(text->data, 1, 65536, file);
    assert_true(n > 0 && n < 65536);
    text->len = n;
    fclose(file);
}

/*
 * The file as someone leaves it who has taken the "#" away before each key and section: prose has
 * a blank behind its "#".
 */
static void uncomment(struct buf *out)
{
    struct buf file;
    struct slice text;

    read_shipped(&file);
    text = buf_slice(&file);
    buf_init(out, BUF_UNBOUNDED);
    while (text.len != 0) {
        struct slice line = take_line(&text);

        if (line.len > 1 && line.ptr[0] == '#' && line.ptr[1] != ' ')
            line = slice_from(line, 1);
        assert_int_equal(buf_append_slice(out, line), 0);
        assert_int_equal(buf_append_byte(out, '\n'), 0);
    }
    buf_fini(&file);
}

static void test_loads_without_error(void **state)
{
    struct diag *diag = diag_new();
    struct settings *s;

    assert_non_null(diag);
    assert_int_equal(settings_load(shipped, diag, &s), 0);
    if (diag_count(diag) != 0)
        fail_msg("%s", diag_get(diag, 0));
    assert_int_equal(s->n_listens, 1);
    assert_int_equal(s->n_streams, 0);
    settings_free(s);
    diag_free(diag);
}

struct search {
    struct ini *ini;
    size_t found;
};

/* The key stands in its section, commented out or not, with the default. */
static void check_key(void *arg, const struct settings_key *key)
{
    struct search *search = arg;

    for (size_t i = 0; i < ini_count(search->ini); i++) {
        const struct ini_entry *entry = ini_get(search->ini, i);

        if (entry->key == NULL || strcmp(entry->section, key->section) != 0 ||
            strcmp(entry->key, key->key) != 0)
            continue;
        search->found++;
        if (key->default_text != NULL)
            assert_string_equal(entry->value, key->default_text);
        else if (strcmp(key->key, "path") != 0 && strcmp(key->key, "profile") != 0)
            assert_string_equal(entry->value, "");
        return;
    }
    fail_msg("%s does not document %s of [%s]", shipped, key->key, key->section);
}

static void test_documents_each_key_with_its_default(void **state)
{
    struct search search = {ini_new(), 0};
    struct diag *diag = diag_new();
    struct buf text;

    assert_non_null(search.ini);
    assert_non_null(diag);
    uncomment(&text);
    assert_int_equal(ini_read_text(search.ini, shipped, buf_slice(&text), diag), 0);
    if (diag_count(diag) != 0)
        fail_msg("%s", diag_get(diag, 0));
    settings_describe(check_key, &search);
    assert_true(search.found > 0);
    buf_fini(&text);
    ini_free(search.ini);
    diag_free(diag);
}

/* The first line of what the table says about a key stands before it. */
static void check_help(void *arg, const struct settings_key *key)
{
    const struct slice *text = arg;
    char start[24];

    snprintf(start, sizeof start, "%s", key->help);
    if (memmem(text->ptr, text->len, start, strlen(start)) == NULL)
        fail_msg("%s does not say of %s: %s", shipped, key->key, key->help);
}

static void test_says_what_each_key_is_for(void **state)
{
    struct buf file;
    struct slice text;

    read_shipped(&file);
    text = buf_slice(&file);
    settings_describe(check_help, &text);
    buf_fini(&file);
}

/* With everything uncommented, only the keys that are shown without a value are wrong. */
static void test_nothing_unknown_is_documented(void **state)
{
    struct config_dir *d = *state;
    struct buf text;
    const struct settings *s;

    uncomment(&text);
    s = config_dir_load_text(d, buf_cstr(&text));
    for (size_t i = 0; i < diag_count(d->diag); i++) {
        if (strstr(diag_get(d->diag, i), "not \"\"") == NULL)
            fail_msg("%s", diag_get(d->diag, i));
    }
    assert_int_equal(diag_count(d->diag), 10);
    assert_int_equal(s->n_streams, 1);
    assert_int_equal(s->streams[0].n_tags, 1);
    assert_int_equal(s->streams[0].n_rest, 4);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loads_without_error),
        cmocka_unit_test(test_documents_each_key_with_its_default),
        cmocka_unit_test(test_says_what_each_key_is_for),
        cmocka_unit_test_setup_teardown(test_nothing_unknown_is_documented, config_dir_setup,
                                        config_dir_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
