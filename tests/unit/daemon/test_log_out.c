#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/log_out.h"

static struct log_out out;

static size_t read_all(int fd, char *bytes, size_t size)
{
    size_t n = 0;
    ssize_t got;
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while ((got = read(fd, bytes + n, size - n)) > 0)
        n += (size_t)got;
    return n;
}

/* Nobody reads: whole lines are dropped, none blocks, and what follows begins with a whole line. */
static void full(int fds[2])
{
    enum { LINE = 1000, ROOM = 4 << 20 };
    static char line[LINE], got[ROOM];
    unsigned taken = 0, lost = 0;
    log_out_init(&out, fds[1]);
    memset(line, 'x', LINE);
    line[LINE - 1] = '\n';
    while (lost < 3) {
        if (log_out_write(&out, slice_make(line, LINE)))
            taken++;
        else
            lost++;
    }
    assert_true(taken > 0);
    size_t n = read_all(fds[0], got, sizeof(got));
    assert_true(log_out_write(&out, SLICE("again\n")));
    n += read_all(fds[0], got + n, sizeof(got) - n);
    assert_int_equal(n, taken * LINE + 6);
    for (unsigned i = 0; i < taken; i++)
        assert_memory_equal(got + i * LINE, line, LINE);
    assert_memory_equal(got + n - 6, "again\n", 6);
    log_out_fini(&out);
    close(fds[0]);
    close(fds[1]);
}

static void test_a_pipe_that_nobody_reads(void **state)
{
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    full(fds);
}

static void test_a_socket_that_nobody_reads(void **state)
{
    int fds[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    full(fds);
}

/* As where /proc is not there: the descriptor stays shared, and blocking. */
static void test_a_pipe_that_cannot_be_opened_anew(void **state)
{
    static char line[1000], got[1 << 20];
    int fds[2];
    unsigned taken = 0;
    (void)state;
    assert_int_equal(pipe(fds), 0);
    out = (struct log_out){.fd = fds[1]};
    memset(line, 'x', sizeof(line));
    while (log_out_write(&out, slice_make(line, sizeof(line))))
        taken++;
    assert_true(taken > 0);
    assert_true(read_all(fds[0], got, sizeof(got)) > 0);
    assert_true(log_out_write(&out, SLICE("again\n")));
    close(fds[0]);
    close(fds[1]);
}

static void test_nobody_is_there_any_more(void **state)
{
    int fds[2];
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(fds), 0);
    log_out_init(&out, fds[1]);
    close(fds[0]);
    assert_false(log_out_write(&out, SLICE("x\n")));
    log_out_fini(&out);
    close(fds[1]);
    assert_false(log_out_write(&out, SLICE("x\n")));
}

static void test_the_longest_line(void **state)
{
    static char line[LOG_OUT_LINE + 1];
    char path[] = "/tmp/hawser-log-out-XXXXXX";
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    unlink(path);
    log_out_init(&out, fd);
    assert_true(log_out_write(&out, slice_make(line, LOG_OUT_LINE)));
    assert_false(log_out_write(&out, slice_make(line, LOG_OUT_LINE + 1)));
    log_out_fini(&out);
    close(fd);
}

/* ---- the journal ---- */

static int fake_journald(char *directory, char *path, size_t size)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_non_null(mkdtemp(directory));
    snprintf(path, size, "%s/socket", directory);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static void test_journal(void **state)
{
    static const char expected[] = "MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\n"
                                   "PRIORITY\n\x01\0\0\0\0\0\0\0"
                                   "6\n";
    const struct log_out_field fields[] = {{"MESSAGE", SLICE("two\nlines")},
                                           {"PRIORITY", SLICE("6")}};
    char directory[] = "/tmp/hawser-journal-XXXXXX", path[64], got[256];
    int server = fake_journald(directory, path, sizeof(path));
    int fd = log_out_journal_open(path);
    unsigned taken = 0;
    (void)state;
    assert_true(fd >= 0);
    assert_true(log_out_journal(fd, fields, 2));
    ssize_t n = recv(server, got, sizeof(got), 0);
    assert_int_equal(n, sizeof(expected) - 1);
    assert_memory_equal(got, expected, sizeof(expected) - 1);
    /* It hangs: nothing blocks. */
    while (log_out_journal(fd, fields, 2))
        taken++;
    assert_true(taken > 0);
    assert_int_equal(recv(server, got, sizeof(got), 0), sizeof(expected) - 1);
    assert_true(log_out_journal(fd, fields, 2));
    close(server);
    assert_false(log_out_journal(fd, fields, 2));
    close(fd);
    unlink(path);
    rmdir(directory);
    assert_int_equal(log_out_journal_open(path), -1);
    assert_false(log_out_journal(-1, fields, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pipe_that_nobody_reads),
        cmocka_unit_test(test_a_socket_that_nobody_reads),
        cmocka_unit_test(test_a_pipe_that_cannot_be_opened_anew),
        cmocka_unit_test(test_nobody_is_there_any_more),
        cmocka_unit_test(test_the_longest_line),
        cmocka_unit_test(test_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
