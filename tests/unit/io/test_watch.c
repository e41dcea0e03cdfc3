/* Files that change, in every way that files do. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/io/fixture.h"

struct watching {
    struct fixture *f;
    struct io_watch *watch;
    char dir[64];
    int calls;
    bool awaited;
};

static void on_change(void *arg)
{
    struct watching *w = arg;

    w->calls++;
    if (!w->awaited)
        return;
    w->awaited = false;
    fixture_event(w->f);
}

static const char *in(const struct watching *w, const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, PATH_MAX, "%s/%s", w->dir, name);
    return path;
}

static void put(const struct watching *w, const char *name, const char *text)
{
    FILE *file = fopen(in(w, name), "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void make_dir(const struct watching *w, const char *name)
{
    assert_int_equal(mkdir(in(w, name), 0700), 0);
}

static void begin(struct watching *w, struct fixture *f)
{
    *w = (struct watching){.f = f, .dir = "/tmp/hawser-watch-XXXXXX"};
    assert_non_null(mkdtemp(w->dir));
}

/* Watches, and lets what was new at the start grow old: files of this moment are told once more. */
static void watch(struct watching *w, const char *name)
{
    struct error err;

    assert_int_equal(io_watch_start(w->f->loop, in(w, name), on_change, w, &w->watch, &err), 0);
    assert_int_equal(w->calls, 0);
    fixture_run_ms(w->f, 250);
    w->calls = 0;
}

/* A change was made: it is told, and after a while there is no more to tell. */
static void expect_told(struct watching *w)
{
    if (w->calls == 0) {
        w->awaited = true;
        fixture_run(w->f, 1);
    }
    fixture_run_ms(w->f, 250);
    w->calls = 0;
}

static void expect_silence(struct watching *w)
{
    fixture_run_ms(w->f, 300);
    assert_int_equal(w->calls, 0);
}

static void end(struct watching *w)
{
    char command[100];

    io_watch_close(w->watch);
    snprintf(command, sizeof command, "rm -rf %s", w->dir);
    assert_int_equal(system(command), 0);
    fixture_run_ms(w->f, 60);
    assert_int_equal(w->calls, 0);
}

static void test_file(void **state)
{
    struct watching w;

    begin(&w, *state);
    put(&w, "token", "one");
    watch(&w, "token");
    put(&w, "token", "two"); /* of the same length */
    expect_told(&w);
    put(&w, ".new", "three");
    expect_silence(&w);
    assert_int_equal(rename(in(&w, ".new"), in(&w, "token")), 0);
    expect_told(&w);
    assert_int_equal(chmod(in(&w, "token"), 0600), 0);
    expect_told(&w);
    assert_int_equal(unlink(in(&w, "token")), 0);
    expect_told(&w);
    put(&w, "token", "again");
    expect_told(&w);
    assert_int_equal(rename(in(&w, "token"), in(&w, "away")), 0);
    expect_told(&w);
    put(&w, "away", "other");
    put(&w, "other", "x");
    assert_int_equal(unlink(in(&w, "other")), 0);
    expect_silence(&w);
    end(&w);
}

/* The directory comes later, goes, and another takes its place. */
static void test_directory(void **state)
{
    struct watching w;

    begin(&w, *state);
    watch(&w, "a/b/token");
    make_dir(&w, "a");
    expect_silence(&w);
    make_dir(&w, "a/b");
    expect_silence(&w);
    put(&w, "a/b/token", "one");
    expect_told(&w);
    assert_int_equal(rename(in(&w, "a/b"), in(&w, "a/old")), 0);
    expect_told(&w);
    make_dir(&w, "a/new");
    put(&w, "a/new/token", "two");
    expect_silence(&w);
    assert_int_equal(rename(in(&w, "a/new"), in(&w, "a/b")), 0);
    expect_told(&w);
    put(&w, "a/old/token", "x");
    expect_silence(&w);
    assert_int_equal(unlink(in(&w, "a/b/token")), 0);
    assert_int_equal(rmdir(in(&w, "a/b")), 0);
    expect_told(&w);
    make_dir(&w, "a/b");
    put(&w, "a/b/token", "three");
    expect_told(&w);
    end(&w);
}

/* As Kubernetes mounts secrets: token -> ..data/token, and ..data is swapped by a rename. */
static void test_swapped_links(void **state)
{
    struct watching w;

    begin(&w, *state);
    make_dir(&w, "..1");
    put(&w, "..1/token", "one");
    assert_int_equal(symlink("..1", in(&w, "..data")), 0);
    assert_int_equal(symlink("..data/token", in(&w, "token")), 0);
    watch(&w, "token");
    make_dir(&w, "..2");
    put(&w, "..2/token", "two");
    assert_int_equal(symlink("..2", in(&w, "..tmp")), 0);
    expect_silence(&w);
    assert_int_equal(rename(in(&w, "..tmp"), in(&w, "..data")), 0);
    expect_told(&w);
    assert_int_equal(unlink(in(&w, "..1/token")), 0);
    assert_int_equal(rmdir(in(&w, "..1")), 0);
    expect_silence(&w);
    put(&w, "..2/token", "the third");
    expect_told(&w);
    end(&w);
}

/* A link in the middle of the path, to an absolute place, by way of "..". */
static void test_links_on_the_way(void **state)
{
    struct watching w;

    begin(&w, *state);
    make_dir(&w, "v1");
    make_dir(&w, "v2");
    make_dir(&w, "etc");
    put(&w, "v1/token", "one");
    put(&w, "v2/token", "two");
    assert_int_equal(symlink(in(&w, "v1"), in(&w, "current")), 0);
    assert_int_equal(symlink("../current/token", in(&w, "etc/token")), 0);
    watch(&w, "etc/./token");
    put(&w, "v1/token", "other");
    expect_told(&w);
    assert_int_equal(symlink("v2", in(&w, "next")), 0);
    assert_int_equal(rename(in(&w, "next"), in(&w, "current")), 0);
    expect_told(&w);
    put(&w, "v1/token", "no more");
    expect_silence(&w);
    put(&w, "v2/token", "it is");
    expect_told(&w);
    end(&w);
}

static void test_bad_paths(void **state)
{
    struct watching w;
    char longer[PATH_MAX + 100];

    begin(&w, *state);
    assert_int_equal(symlink("loop", in(&w, "loop")), 0);
    watch(&w, "loop");
    expect_silence(&w);
    put(&w, "token", "one");
    io_watch_close(w.watch);
    watch(&w, "token/below");
    expect_silence(&w);
    io_watch_close(w.watch);
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    for (size_t i = 0; i < sizeof longer - 1; i += 100)
        longer[i] = '/';
    {
        struct error err;

        assert_int_equal(io_watch_start(w.f->loop, longer, on_change, &w, &w.watch, &err), 0);
        io_watch_close(w.watch);
        assert_int_equal(io_watch_start(w.f->loop, "", on_change, &w, &w.watch, &err), 0);
        io_watch_close(w.watch);
        assert_int_equal(io_watch_start(w.f->loop, "/", on_change, &w, &w.watch, &err), 0);
    }
    end(&w);
}

static void close_it(void *arg)
{
    struct watching *w = arg;

    w->calls++;
    io_watch_close(w->watch);
    fixture_event(w->f);
}

static void test_closed_by_its_callback_and_shared(void **state)
{
    struct watching w, other;
    struct error err;

    begin(&w, *state);
    put(&w, "token", "one");
    other = w;
    watch(&other, "token");
    assert_int_equal(io_watch_start(w.f->loop, in(&w, "token"), close_it, &w, &w.watch, &err), 0);
    put(&w, "token", "longer");
    fixture_run(w.f, 1);
    fixture_run_ms(w.f, 250);
    assert_int_equal(w.calls, 1);
    assert_true(other.calls > 0);
    other.calls = 0;
    put(&w, "token", "and once more");
    expect_told(&other);
    end(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_file),          io_test(test_directory),
        io_test(test_swapped_links), io_test(test_links_on_the_way),
        io_test(test_bad_paths),     io_test(test_closed_by_its_callback_and_shared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
