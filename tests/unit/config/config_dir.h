/*
 * config_dir: a directory with configuration files, for one test.
 *
 * cmocka's asserts need the headers that <cmocka.h> wants before it, so this comes after it.
 */
#ifndef HAWSER_TESTS_UNIT_CONFIG_CONFIG_DIR_H
#define HAWSER_TESTS_UNIT_CONFIG_CONFIG_DIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/settings.h"

struct config_dir {
    char dir[64];
    char main[128]; /* path of hawser.ini */
    struct diag *diag;
    struct settings *settings;
};

static inline int config_dir_setup(void **state)
{
    struct config_dir *d = calloc(1, sizeof *d);

    assert_non_null(d);
    snprintf(d->dir, sizeof d->dir, "/tmp/hawser-config-XXXXXX");
    assert_non_null(mkdtemp(d->dir));
    snprintf(d->main, sizeof d->main, "%s/hawser.ini", d->dir);
    d->diag = diag_new();
    assert_non_null(d->diag);
    *state = d;
    return 0;
}

static inline int config_dir_remove(const char *path, const struct stat *st, int type,
                                    struct FTW *ftw)
{
    return remove(path);
}

static inline int config_dir_teardown(void **state)
{
    struct config_dir *d = *state;

    settings_free(d->settings);
    diag_free(d->diag);
    assert_int_equal(nftw(d->dir, config_dir_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(d);
    return 0;
}

/* Writes a file of the directory; a name "conf.d/NAME" makes conf.d. */
static inline void config_dir_write(struct config_dir *d, const char *name, const char *text)
{
    char path[256];
    FILE *file;

    if (strncmp(name, "conf.d/", 7) == 0) {
        snprintf(path, sizeof path, "%s/conf.d", d->dir);
        mkdir(path, 0700);
    }
    snprintf(path, sizeof path, "%s/%s", d->dir, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Reads the directory's files anew. */
static inline const struct settings *config_dir_load(struct config_dir *d)
{
    settings_free(d->settings);
    d->settings = NULL;
    diag_free(d->diag);
    d->diag = diag_new();
    assert_non_null(d->diag);
    assert_int_equal(settings_load(d->main, d->diag, &d->settings), 0);
    assert_non_null(d->settings);
    return d->settings;
}

/* The same with `text` as hawser.ini. */
static inline const struct settings *config_dir_load_text(struct config_dir *d, const char *text)
{
    config_dir_write(d, "hawser.ini", text);
    return config_dir_load(d);
}

static inline void assert_no_errors(const struct config_dir *d)
{
    if (diag_count(d->diag) != 0)
        fail_msg("unexpected: %s", diag_get(d->diag, 0));
}

/* The i-th error is of line `line` of hawser.ini and reads `text`. */
static inline void assert_error(const struct config_dir *d, size_t i, unsigned line,
                                const char *text)
{
    char want[1024];

    assert_non_null(diag_get(d->diag, i));
    snprintf(want, sizeof want, "%s:%u: %s", d->main, line, text);
    assert_string_equal(diag_get(d->diag, i), want);
}

/* `text` as hawser.ini has one error, in that line. */
static inline void assert_one_error(struct config_dir *d, const char *text, unsigned line,
                                    const char *message)
{
    config_dir_load_text(d, text);
    if (diag_count(d->diag) == 0)
        fail_msg("no error in: %s", text);
    assert_error(d, 0, line, message);
    assert_int_equal(diag_count(d->diag), 1);
}

#endif
