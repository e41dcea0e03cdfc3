/* Child processes, with real ones. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/io/fixture.h"

static int no_close_range;
int __real_close_range(unsigned first, unsigned last, unsigned flags);
int __wrap_close_range(unsigned first, unsigned last, unsigned flags);
int __wrap_close_range(unsigned first, unsigned last, unsigned flags)
{
    if (!no_close_range)
        return __real_close_range(first, last, flags);
    errno = ENOSYS;
    return -1;
}

struct run {
    struct fixture *f;
    struct io_child *child;
    int calls, status;
    char text[600];
    char output[IO_CHILD_OUTPUT_MAX + 2];
    size_t len;
};

static void on_result(void *arg, const struct io_child_result *result)
{
    struct run *run = arg;

    run->calls++;
    run->status = result->status;
    snprintf(run->text, sizeof run->text, "%s", result->status != 0 ? result->err.text : "");
    run->len = result->output.len;
    memcpy(run->output, slice_chars(result->output), run->len);
    run->output[run->len] = '\0';
    fixture_event(run->f);
}

static struct run *start(struct fixture *f, const char *script, int64_t timeout_ms)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    static struct run run;
    struct error err;

    run = (struct run){.f = f};
    if (io_child_start(f->loop, argv, timeout_ms, on_result, &run, &run.child, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(run.calls, 0);
    return &run;
}

static struct run *finish(struct fixture *f, const char *script, int64_t timeout_ms)
{
    struct run *run = start(f, script, timeout_ms);

    fixture_run(f, 1);
    assert_int_equal(run->calls, 1);
    return run;
}

static void test_output(void **state)
{
    struct run *run = finish(*state, "printf 'a secret\\n'; echo complaint >&2", 5000);

    assert_int_equal(run->status, 0);
    assert_string_equal(run->output, "a secret\n");
}

static void test_ends(void **state)
{
    static const struct {
        const char *script;
        int status;
        const char *text;
    } rows[] = {
        {"exit 0", 0, ""},
        {"exit 3", ERR_IO, "exit status 3"},
        {"echo x; exit 1", ERR_IO, "exit status 1"},
        {"kill -9 $$", ERR_IO, "killed by signal 9 (Killed)"},
        {"exec >&-; exit 4", ERR_IO, "exit status 4"},
        {"exec >&- ; sleep 0.05; exit 0", 0, ""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct run *run = finish(*state, rows[i].script, 5000);

        assert_string_equal(run->text, rows[i].text);
        assert_int_equal(run->status, rows[i].status);
    }
}

static void test_what_it_is_given(void **state)
{
    int fd = open("/dev/null", O_RDONLY); /* inherited, but for what io does */
    struct run *run;

    setenv("SECRET", "x", 1);
    run = finish(*state,
                 "/usr/bin/env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD=;"
                 "pwd; read line || echo nothing; ls /proc/self/fd | wc -l;"
                 "kill -PIPE $$; echo survived",
                 5000);
    close(fd);
    /* 0, 1, 2 and the folder that ls has open; SIGPIPE has its default, though we ignore it. */
    assert_string_equal(run->output, "/\nnothing\n4\n");
    assert_string_equal(run->text, "killed by signal 13 (Broken pipe)");
}

static void test_arguments_are_no_shell(void **state)
{
    const char *const argv[] = {"/usr/bin/printf", "%s|", "$HOME; `id`", "", NULL};
    struct run run = {.f = *state};
    struct error err;

    assert_int_equal(io_child_start(run.f->loop, argv, 5000, on_result, &run, &run.child, &err), 0);
    fixture_run(run.f, 1);
    assert_string_equal(run.output, "$HOME; `id`||");
}

static void test_cannot_start(void **state)
{
    static const struct {
        const char *program;
        int code;
        const char *text;
    } rows[] = {
        {"/no/such/program", ERR_NOTFOUND, "/no/such/program: no such file or directory"},
        {"/etc/passwd", ERR_PERM, "/etc/passwd: permission denied"},
        {"sh", ERR_INVAL, "a program is named by its whole path"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *const argv[] = {rows[i].program, NULL};
        struct run run = {.f = *state};
        struct error err;

        assert_int_equal(io_child_start(run.f->loop, argv, 5000, on_result, &run, &run.child, &err),
                         rows[i].code);
        assert_string_equal(err.text, rows[i].text);
        fixture_run_ms(*state, 5);
        assert_int_equal(run.calls, 0);
    }
}

static void test_output_at_the_bound_and_past_it(void **state)
{
    struct run *run = finish(*state, "head -c 65536 /dev/zero", 5000);

    assert_int_equal(run->status, 0);
    assert_int_equal(run->len, IO_CHILD_OUTPUT_MAX);
    run = finish(*state, "head -c 65537 /dev/zero", 5000);
    assert_int_equal(run->status, ERR_LIMIT);
    assert_string_equal(run->text, "more than 65536 bytes of output");
    run = finish(*state, "exec cat /dev/zero", 5000);
    assert_int_equal(run->status, ERR_LIMIT);
}

/* Whether a process is there and no zombie: a container's init may be slow to bury. */
static bool lives(long pid)
{
    char path[64], text[200] = "";
    char *state;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    file = fopen(path, "r");
    if (file == NULL)
        return false;
    (void)!fread(text, 1, sizeof text - 1, file);
    fclose(file);
    state = strrchr(text, ')');
    return state != NULL && state[1] != '\0' && state[2] != 'Z';
}

static void expect_dead(struct fixture *f, long pid)
{
    assert_true(pid > 1);
    for (int i = 0; lives(pid) && i < 1000; i++)
        fixture_run_ms(f, 5);
    assert_false(lives(pid));
}

static void test_timeout_kills_the_group(void **state)
{
    struct run *run = finish(*state, "sleep 1000 & echo $!; wait", 300);

    assert_int_equal(run->status, ERR_TIMEOUT);
    assert_string_equal(run->text, "not finished within 0.3 s");
    expect_dead(*state, atol(run->output));
}

static void test_grandchild_delays_nothing(void **state)
{
    struct run *run = finish(*state, "sleep 1000 & echo $!", 60000);

    assert_int_equal(run->status, 0);
    expect_dead(*state, atol(run->output));
}

static void test_cancel(void **state)
{
    struct run *run = start(*state, "sleep 1000", 60000);

    io_child_cancel(run->child);
    fixture_run_ms(*state, 20);
    assert_int_equal(run->calls, 0);

    run = start(*state, "echo $$ > /dev/stderr; sleep 1000", 60000);
    fixture_run_ms(*state, 20);
    io_child_cancel(run->child);
    fixture_run_ms(*state, 20);
    assert_int_equal(run->calls, 0);

    /* And one that is left for the loop's end. */
    (void)start(*state, "sleep 1000", 60000);
}

static void test_cloexec(void **state)
{
    for (no_close_range = 0; no_close_range < 2; no_close_range++) {
        int fd = open("/dev/null", O_RDONLY);

        assert_int_equal(fcntl(fd, F_GETFD), 0);
        io_cloexec_all();
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(fcntl(2, F_GETFD), 0);
        close(fd);
    }
    no_close_range = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_output),
        io_test(test_ends),
        io_test(test_what_it_is_given),
        io_test(test_arguments_are_no_shell),
        io_test(test_cannot_start),
        io_test(test_output_at_the_bound_and_past_it),
        io_test(test_timeout_kills_the_group),
        io_test(test_grandchild_delays_nothing),
        io_test(test_cancel),
        io_test(test_cloexec),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
