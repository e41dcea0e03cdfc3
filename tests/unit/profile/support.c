#include "unit/profile/support.h"

#include <unistd.h>

#define KEYS_MAX 1100
#define STREAM_LINE 11

struct stream_fixture {
    struct settings_stream stream;
    struct ini_entry entries[KEYS_MAX];
    const struct ini_entry *rest[KEYS_MAX];
    char *texts[KEYS_MAX];
};

static void make_stream(struct stream_fixture *f, const char *const *keys, bool plaintext)
{
    *f = (struct stream_fixture){.stream = {.name = "chat",
                                            .profile = "test",
                                            .file = "hawser.ini",
                                            .line = STREAM_LINE,
                                            .plaintext = plaintext,
                                            .park_probe_ms = 1234,
                                            .rest = f->rest}};
    for (size_t i = 0; keys[i] != NULL; i++) {
        char *copy = strdup(keys[i]), *equals;

        assert_non_null(copy);
        equals = strchr(copy, '=');
        assert_non_null(equals);
        *equals = '\0';
        f->texts[i] = copy;
        f->entries[i] = (struct ini_entry){.section = "stream",
                                           .name = "chat",
                                           .key = copy,
                                           .value = equals + 1,
                                           .file = "hawser.ini",
                                           .line = STREAM_LINE + 1 + (unsigned)i};
        f->rest[i] = &f->entries[i];
        f->stream.n_rest = i + 1;
    }
}

static struct loaded load(const char *dir, const char *name, const char *const *keys,
                          bool plaintext)
{
    const char *const dirs[] = {"/nonexistent", dir, NULL};
    struct stream_fixture *f = calloc(1, sizeof(*f));
    struct loaded out = {.diag = diag_new()};

    assert_non_null(f);
    assert_non_null(out.diag);
    if (keys != NULL)
        make_stream(f, keys, plaintext);
    out.rc = profile_load(dirs, name, keys != NULL ? &f->stream : NULL, out.diag, &out.profile);
    /* What was loaded may not depend on the settings any more. */
    for (size_t i = 0; i < f->stream.n_rest; i++) {
        memset(f->texts[i], '#', strlen(f->texts[i]));
        free(f->texts[i]);
    }
    free(f);
    assert_true((out.rc == 0) == (out.profile != NULL));
    assert_true((out.rc == 0) == (diag_count(out.diag) == 0));
    return out;
}

static struct loaded load_written(const char *text, const char *const *keys, bool plaintext)
{
    char dir[] = "/tmp/hawser-profile-XXXXXX", path[64];
    struct loaded out;
    FILE *file;

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/test.ini", dir);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    out = load(dir, "test", keys, plaintext);
    unlink(path);
    rmdir(dir);
    return out;
}

struct loaded load_text(const char *text, const char *const *keys)
{
    return load_written(text, keys, false);
}

struct loaded load_plaintext(const char *text, const char *const *keys)
{
    return load_written(text, keys, true);
}

struct loaded load_shipped(const char *name, const char *const *keys)
{
    return load("conf/profiles", name, keys, false);
}

void unload(struct loaded *loaded)
{
    profile_free(loaded->profile);
    diag_free(loaded->diag);
}

static void print_faults(const struct loaded *loaded)
{
    for (size_t i = 0; diag_get(loaded->diag, i) != NULL; i++)
        print_message("  %s\n", diag_get(loaded->diag, i));
}

struct loaded load_ok(const char *text, const char *const *keys)
{
    struct loaded out = load_text(text, keys);

    if (out.rc != 0) {
        print_faults(&out);
        fail_msg("this profile is good:\n%s", text);
    }
    return out;
}

void assert_fault(const struct loaded *loaded, const char *expected)
{
    const char *got = diag_get(loaded->diag, 0);
    size_t n = strlen(expected);

    if (diag_count(loaded->diag) != 1 || strlen(got) < n ||
        strcmp(got + strlen(got) - n, expected) != 0) {
        print_faults(loaded);
        fail_msg("want one fault: %s", expected);
    }
    assert_int_equal(loaded->rc, ERR_PARSE);
}

void check_fault(const char *text, const char *const *keys, const char *expected)
{
    struct loaded loaded = load_text(text, keys);

    assert_fault(&loaded, expected);
    unload(&loaded);
}

void assert_slice(struct slice got, const char *want)
{
    if (want == NULL) {
        if (got.ptr != NULL)
            fail_msg("got " SLICE_FMT ", want nothing", SLICE_ARG(got));
        return;
    }
    if (got.ptr == NULL || !slice_eq_str(got, want))
        fail_msg("got %s" SLICE_FMT ", want %s", got.ptr == NULL ? "nothing" : "", SLICE_ARG(got),
                 want);
}

void scan_start(struct scan *s, const char *text, const char *const *keys)
{
    *s = (struct scan){.loaded = load_ok(text, keys)};
    assert_int_equal(profile_scanner_new(s->loaded.profile, &s->scanner), 0);
}

void scan_start_shipped(struct scan *s, const char *name, const char *const *keys)
{
    *s = (struct scan){.loaded = load_shipped(name, keys)};
    assert_int_equal(s->loaded.rc, 0);
    assert_int_equal(profile_scanner_new(s->loaded.profile, &s->scanner), 0);
}

void scan_stop(struct scan *s)
{
    free(s->copy);
    profile_scanner_free(s->scanner);
    unload(&s->loaded);
}

void scan_first(struct profile_scanner *scanner, struct slice text, struct profile_message *out)
{
    struct profile_frame frame;

    profile_frame_begin(scanner, text, NULL, &frame);
    if (!profile_frame_next(scanner, &frame, out))
        *out = (struct profile_message){.json = false};
}

void scan_text(struct scan *s, const char *text)
{
    size_t n = strlen(text);

    free(s->copy);
    s->copy = malloc(n != 0 ? n : 1);
    assert_non_null(s->copy);
    memcpy(s->copy, text, n);
    /* Nothing of the message before may shine through. */
    memset(&s->message, 0x5a, sizeof(s->message));
    scan_first(s->scanner, slice_make(s->copy, n), &s->message);
}

struct slice lookup_pairs(void *pairs, struct slice name)
{
    const char *const *at = pairs;

    for (; at[0] != NULL; at += 2)
        if (slice_eq_str(name, at[0]))
            return slice_str(at[1]);
    return (struct slice){NULL, 0};
}
