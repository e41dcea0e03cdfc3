#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "daemon/activation.h"
#include "daemon/notify.h"

/* ---- the manager, and the log ---- */

static bool manager;
static int stored, unstored;
static char last_stored[300], last_unstored[300];
static char logged[8192];

bool notify_wanted(void)
{
    return manager;
}

void notify_store(int fd, const char *name)
{
    assert_true(fcntl(fd, F_GETFD) >= 0);
    stored++;
    snprintf(last_stored, sizeof last_stored, "%s", name);
}

void notify_unstore(const char *name)
{
    unstored++;
    snprintf(last_unstored, sizeof last_unstored, "%s", name);
}

static void sink(void *arg, const struct log_record *record)
{
    size_t len = strlen(logged);

    (void)arg;
    snprintf(logged + len, sizeof logged - len, "%s\n", record->text);
}

/* ---- handing over ---- */

enum { ELSEWHERE = 300 }; /* descriptors that are not yet where they belong */

static char dir[] = "/tmp/hawser-test-XXXXXX";

static const char *path_of(int i)
{
    static char paths[4][sizeof((struct sockaddr_un *)0)->sun_path];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof paths[0], "%s/%d", dir, i);
    return path;
}

static int unix_socket(int i)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), high;

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path_of(i));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 5), 0);
    high = fcntl(fd, F_DUPFD, ELSEWHERE);
    close(fd);
    return high;
}

/* As from a service manager: descriptors from 3 on. */
static struct activation *hand_over(const int *fds, int n, const char *names)
{
    struct activation *activation = NULL;
    char number[20];

    for (int i = 0; i < n; i++) {
        assert_int_equal(dup2(fds[i], 3 + i), 3 + i);
        close(fds[i]);
    }
    snprintf(number, sizeof number, "%d", (int)getpid());
    setenv("LISTEN_PID", number, 1);
    snprintf(number, sizeof number, "%d", n);
    setenv("LISTEN_FDS", number, 1);
    if (names != NULL)
        setenv("LISTEN_FDNAMES", names, 1);
    assert_int_equal(activation_new(&activation), 0);
    return activation;
}

struct listening {
    struct io_loop *loop;
    struct io_listener *listener;
};

static void on_accept(void *arg, struct io_stream *stream)
{
    (void)arg;
    io_stream_close(stream);
}

/* Whether it gets a socket. */
static bool wants(struct activation *activation, struct listening *l, const char *name,
                  const char *path)
{
    struct activation_wish wish = {name, path, 0600, (gid_t)-1, NULL};
    struct error err = {0};

    assert_int_equal(
        activation_listen(activation, l->loop, &wish, on_accept, NULL, &l->listener, &err), 0);
    return l->listener != NULL;
}

static int setup(void **state)
{
    static struct listening l;

    l = (struct listening){0};
    *state = &l;
    manager = true;
    stored = unstored = 0;
    logged[0] = last_stored[0] = last_unstored[0] = '\0';
    log_set_sink(sink, NULL);
    strcpy(dir, "/tmp/hawser-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return 0;
}

static int teardown(void **state)
{
    struct listening *l = *state;
    char command[100];

    io_loop_free(l->loop);
    log_set_sink(NULL, NULL);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void begin(struct listening *l)
{
    struct error err;

    assert_int_equal(io_loop_new(&l->loop, &err), 0);
}

/* ---- tests ---- */

static void test_by_name_and_by_path(void **state)
{
    struct listening *l = *state;
    int fds[] = {unix_socket(0), unix_socket(1), unix_socket(2)};
    struct activation *activation = hand_over(fds, 3, "events:hawserd.socket:stranger");

    assert_null(getenv("LISTEN_FDS")); /* nobody else takes them for its own */
    begin(l);
    assert_true(wants(activation, l, "events", "/other/path"));
    assert_string_equal(io_listener_name(l->listener), path_of(0));
    assert_false(wants(activation, l, "other", path_of(0))); /* it is taken */
    assert_true(wants(activation, l, "feed", path_of(1)));
    assert_false(wants(activation, l, "more", "/other/path"));
    activation_settle(activation);
    assert_non_null(strstr(logged, "(stranger), which no [listen] section wants"));
    assert_null(strstr(logged, "(events)"));
    assert_int_equal(unstored, 0);
    activation_free(activation);
}

/* A reload takes it away from its listener, and a later one gives it back. */
static void test_a_given_one_comes_back(void **state)
{
    struct listening *l = *state;
    int fds[] = {unix_socket(0)};
    struct activation *activation = hand_over(fds, 1, "events");

    begin(l);
    for (int i = 0; i < 3; i++) {
        assert_true(wants(activation, l, "events", path_of(0)));
        activation_keep(activation, "events", l->listener); /* the socket unit has it already */
        assert_int_equal(stored, 0);
        activation_release(activation, l->listener, false);
        io_listener_close(l->listener);
        assert_int_equal(access(path_of(0), F_OK), 0);
    }
    assert_int_equal(unstored, 0);
    activation_free(activation);
}

/* A reload changes the path of its listener: the old one goes, or the new one if the reload fails.
 */
static void test_a_given_one_stays_its_names(void **state)
{
    struct listening *l = *state;
    int fds[] = {unix_socket(0)};
    struct activation *activation = hand_over(fds, 1, "events");
    struct io_listener *old, *new;

    begin(l);
    assert_true(wants(activation, l, "events", "/a/path"));
    for (int i = 0; i < 4; i++) {
        old = l->listener;
        assert_true(wants(activation, l, "events", "/another/path"));
        new = l->listener;
        assert_false(wants(activation, l, "events", "/a/third/path")); /* two at most */
        assert_true(activation_gave(activation, new));
        l->listener = i % 2 == 0 ? new : old;
        activation_release(activation, i % 2 == 0 ? old : new, false);
        io_listener_close(i % 2 == 0 ? old : new);
        assert_true(activation_gave(activation, l->listener));
        assert_string_equal(logged, "");
    }
    activation_release(activation, l->listener, false);
    assert_non_null(strstr(logged, "(events), which no [listen] section wants"));
    assert_false(activation_gave(activation, l->listener));
    activation_free(activation);
}

static void test_kept_and_given_up(void **state)
{
    struct listening *l = *state;
    struct activation *activation = hand_over(NULL, 0, NULL);
    struct error err;

    begin(l);
    assert_int_equal(
        io_unix_listen(l->loop, path_of(0), 0600, (gid_t)-1, on_accept, NULL, &l->listener, &err),
        0);
    activation_keep(activation, "events", l->listener);
    activation_keep(activation, "events", l->listener);
    assert_int_equal(stored, 1);
    assert_memory_equal(last_stored, "kept/events/", strlen("kept/events/"));
    activation_release(activation, l->listener, false);
    io_listener_close(l->listener);
    assert_int_equal(unstored, 1);
    assert_string_equal(last_unstored, last_stored);
    assert_int_not_equal(access(path_of(0), F_OK), 0);
    activation_free(activation);
}

static void test_kept_over_a_restart(void **state)
{
    struct listening *l = *state;
    struct activation *activation;
    struct stat st;
    char name[300];
    int fds[] = {unix_socket(0), unix_socket(1)};

    assert_int_equal(stat(path_of(0), &st), 0);
    snprintf(name, sizeof name, "kept/then/%jx.%jx:kept/other/1.2", (uintmax_t)st.st_dev,
             (uintmax_t)st.st_ino);
    activation = hand_over(fds, 2, name);
    begin(l);
    assert_false(wants(activation, l, "other", path_of(1))); /* another file is there */
    assert_true(wants(activation, l, "now", path_of(0)));    /* whatever its name is */
    activation_keep(activation, "now", l->listener);
    assert_int_equal(stored, 0);
    activation_settle(activation);
    assert_int_equal(unstored, 1);
    assert_string_equal(last_unstored, "kept/other/1.2");
    activation_release(activation, l->listener, true);
    io_listener_close(l->listener);
    assert_int_equal(access(path_of(0), F_OK), 0);
    assert_int_equal(unstored, 1);
    activation_free(activation);
}

static void test_without_a_manager_nothing_is_kept(void **state)
{
    struct listening *l = *state;
    struct activation *activation;
    struct error err;

    manager = false;
    activation = hand_over(NULL, 0, NULL);
    begin(l);
    assert_int_equal(
        io_unix_listen(l->loop, path_of(0), 0600, (gid_t)-1, on_accept, NULL, &l->listener, &err),
        0);
    activation_keep(activation, "events", l->listener);
    activation_release(activation, l->listener, true);
    io_listener_close(l->listener);
    assert_int_not_equal(access(path_of(0), F_OK), 0);
    assert_int_equal(stored, 0);
    activation_free(activation);
}

/* Nonsense in the environment, and descriptors that are no listening sockets. */
static void test_what_is_left_alone(void **state)
{
    static const char *const counts[] = {"", "x", "-1", "99999999999999999999", "65536"};
    struct listening *l = *state;
    struct activation *activation;
    int null = open("/dev/null", O_RDONLY),
        fds[] = {fcntl(null, F_DUPFD, ELSEWHERE), unix_socket(0)};

    close(null);

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        char pid[20];
        snprintf(pid, sizeof pid, "%d", (int)getpid());
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", counts[i], 1);
        assert_int_equal(activation_new(&activation), 0);
        activation_free(activation);
    }
    setenv("LISTEN_PID", "1", 1); /* another process was meant */
    setenv("LISTEN_FDS", "1", 1);
    assert_int_equal(activation_new(&activation), 0);
    activation_free(activation);
    assert_string_equal(logged, "");
    activation = hand_over(fds, 2, "nothing"); /* one name too few */
    assert_non_null(strstr(logged, "descriptor 3 (nothing), which is no Unix or TCP socket"));
    begin(l);
    assert_true(wants(activation, l, "events", path_of(0)));
    activation_free(activation);
    close(3);
}

static void test_many_at_the_bound_and_past_it(void **state)
{
    struct listening *l = *state;
    struct activation *activation;
    struct error err;
    int fds[ACTIVATION_MAX + 1];

    for (int i = 0; i <= ACTIVATION_MAX; i++)
        fds[i] = unix_socket(i);
    activation = hand_over(fds, ACTIVATION_MAX + 1, NULL);
    assert_non_null(strstr(logged, "more than 64 sockets; "));
    begin(l);
    assert_false(wants(activation, l, "x", path_of(ACTIVATION_MAX)));
    assert_true(wants(activation, l, "x", path_of(ACTIVATION_MAX - 1)));
    assert_int_equal(io_unix_listen(l->loop, path_of(1000), 0600, (gid_t)-1, on_accept, NULL,
                                    &l->listener, &err),
                     0);
    activation_keep(activation, "more", l->listener); /* there is no place */
    assert_int_equal(stored, 0);
    activation_release(activation, l->listener, true);
    io_listener_close(l->listener);
    assert_int_not_equal(access(path_of(1000), F_OK), 0);
    activation_free(activation);
    close(3 + ACTIVATION_MAX);
}

#define activation_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        activation_test(test_by_name_and_by_path),
        activation_test(test_a_given_one_comes_back),
        activation_test(test_a_given_one_stays_its_names),
        activation_test(test_kept_and_given_up),
        activation_test(test_kept_over_a_restart),
        activation_test(test_without_a_manager_nothing_is_kept),
        activation_test(test_what_is_left_alone),
        activation_test(test_many_at_the_bound_and_past_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
