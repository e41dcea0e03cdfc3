#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fixture.h"

static char dir[] = "/tmp/hawser-test-XXXXXX";

struct server {
    struct fixture *f;
    struct io_listener *listener;
    bool closes; /* from within the callback */
    int accepted;
};

static const char *path_of(const char *name)
{
    static char paths[2][200]; /* for calls with two */
    static unsigned turn;
    char *path = paths[turn++ % 2];

    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void on_accept(void *arg, struct io_stream *stream)
{
    struct server *server = arg;
    uid_t uid;
    gid_t gid;
    pid_t pid;

    server->accepted++;
    assert_int_equal(io_stream_peer(stream, &uid, &gid, &pid), 0);
    assert_int_equal(uid, geteuid());
    assert_int_equal(gid, getegid());
    assert_int_equal(pid, getpid());
    assert_true(fcntl(io_stream_fd(stream), F_GETFD) & FD_CLOEXEC);
    io_stream_close(stream);
    if (server->closes)
        io_listener_close(server->listener);
    fixture_event(server->f);
}

static int listen_at(struct server *server, const char *path, unsigned mode, struct error *err)
{
    return io_unix_listen(server->f->loop, path, mode, (gid_t)-1, on_accept, server,
                          &server->listener, err);
}

static struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    assert_true(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path));
    return address;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = unix_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

/* Leaves a socket that nobody listens on. */
static void make_stale(const char *path)
{
    struct sockaddr_un address = unix_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static void assert_nothing_left(void)
{
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
}

static void test_accepts_and_unlinks(void **state)
{
    struct server server = {.f = *state};
    struct error err;
    struct stat st;
    int fd;

    assert_int_equal(listen_at(&server, path_of("s"), 0640, &err), 0);
    assert_int_equal(stat(path_of("s"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    fd = connect_to(path_of("s"));
    assert_true(fd >= 0);
    fixture_run(*state, 1);
    close(fd);
    io_listener_close(server.listener);
    assert_nothing_left();
}

static void test_mode_is_not_touched_by_the_umask(void **state)
{
    struct server server = {.f = *state};
    struct error err;
    struct stat st;
    mode_t before = umask(0777);
    int rc = listen_at(&server, path_of("s"), 0666, &err);

    umask(before);
    assert_int_equal(rc, 0);
    assert_int_equal(stat(path_of("s"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0666);
}

static void test_stale_socket_is_replaced(void **state)
{
    struct server server = {.f = *state};
    struct error err;
    int fd;

    make_stale(path_of("s"));
    assert_int_equal(connect_to(path_of("s")), -1);
    assert_int_equal(listen_at(&server, path_of("s"), 0600, &err), 0);
    fd = connect_to(path_of("s"));
    assert_true(fd >= 0);
    fixture_run(*state, 1);
    close(fd);
}

static void test_live_socket_is_busy(void **state)
{
    struct server a = {.f = *state}, b = {.f = *state};
    struct error err;
    char want[300];

    assert_int_equal(listen_at(&a, path_of("s"), 0600, &err), 0);
    assert_int_equal(listen_at(&b, path_of("s"), 0600, &err), ERR_BUSY);
    snprintf(want, sizeof want, "listen on %s: another process is listening there", path_of("s"));
    assert_string_equal(err.text, want);
    fixture_run(*state, 1); /* the one that asked is a client like any other */
    io_listener_close(a.listener);
    assert_nothing_left();
}

static void test_other_files_are_left_alone(void **state)
{
    struct server server = {.f = *state};
    struct sockaddr_un address = unix_address(path_of("dgram"));
    struct error err;
    int fd = open(path_of("file"), O_CREAT | O_WRONLY, 0600);

    close(fd);
    assert_int_equal(listen_at(&server, path_of("file"), 0600, &err), ERR_EXISTS);
    assert_int_equal(mkdir(path_of("dir"), 0700), 0);
    assert_int_equal(listen_at(&server, path_of("dir"), 0600, &err), ERR_EXISTS);
    assert_int_equal(symlink("nowhere", path_of("link")), 0);
    assert_int_equal(listen_at(&server, path_of("link"), 0600, &err), ERR_EXISTS);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen_at(&server, path_of("dgram"), 0600, &err), ERR_EXISTS);
    close(fd);
    assert_int_equal(unlink(path_of("file")), 0);
    assert_int_equal(rmdir(path_of("dir")), 0);
    assert_int_equal(unlink(path_of("link")), 0);
    assert_int_equal(unlink(path_of("dgram")), 0);
    assert_nothing_left();
}

static void test_another_socket_is_not_unlinked(void **state)
{
    struct server server = {.f = *state};
    struct error err;

    assert_int_equal(listen_at(&server, path_of("s"), 0600, &err), 0);
    assert_int_equal(rename(path_of("s"), path_of("ours")), 0);
    make_stale(path_of("s"));
    io_listener_close(server.listener);
    assert_true(exists(path_of("s")));
    assert_int_equal(unlink(path_of("s")), 0);
    assert_int_equal(unlink(path_of("ours")), 0);
}

static void test_no_such_directory(void **state)
{
    struct server server = {.f = *state};
    struct error err;

    assert_int_equal(listen_at(&server, path_of("none/s"), 0600, &err), ERR_NOTFOUND);
    assert_non_null(strstr(err.text, "no such file or directory"));
}

/* Root may give the socket to any group; others not to one that they are not in. */
static void test_group(void **state)
{
    struct server server = {.f = *state};
    gid_t group = geteuid() == 0 ? 12345 : 0;
    struct error err;
    struct stat st;
    int rc = io_unix_listen(server.f->loop, path_of("s"), 0660, group, on_accept, &server,
                            &server.listener, &err);

    if (geteuid() == 0) {
        assert_int_equal(rc, 0);
        assert_int_equal(stat(path_of("s"), &st), 0);
        assert_int_equal(st.st_gid, group);
        io_listener_close(server.listener);
    } else {
        assert_int_equal(rc, ERR_PERM);
        assert_non_null(strstr(err.text, "cannot give it to its group"));
    }
    assert_nothing_left();
}

static void test_path_at_the_bound_and_past_it(void **state)
{
    struct server server = {.f = *state};
    size_t max = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    struct error err;
    char path[200];
    int fd;

    memset(path, 'x', sizeof path);
    memcpy(path, dir, strlen(dir));
    path[strlen(dir)] = '/';
    path[max + 1] = '\0';
    assert_int_equal(listen_at(&server, path, 0600, &err), ERR_LIMIT);
    path[max] = '\0';
    assert_int_equal(listen_at(&server, path, 0600, &err), 0);
    fd = connect_to(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(listen_at(&server, "", 0600, &err), ERR_LIMIT);
}

static void test_closed_in_its_callback(void **state)
{
    struct server server = {.f = *state, .closes = true};
    struct error err;
    int a, b;

    assert_int_equal(listen_at(&server, path_of("s"), 0600, &err), 0);
    a = connect_to(path_of("s"));
    b = connect_to(path_of("s"));
    fixture_run(*state, 1);
    fixture_run_ms(*state, 20);
    assert_int_equal(server.accepted, 1);
    close(a);
    close(b);
    assert_nothing_left();
}

/* Without a free descriptor the listener pauses, and serves the client once there is one. */
static void test_out_of_descriptors(void **state)
{
    struct server server = {.f = *state};
    struct rlimit before, none;
    struct error err;
    int fd;

    assert_int_equal(listen_at(&server, path_of("s"), 0600, &err), 0);
    fd = connect_to(path_of("s"));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    fixture_run_ms(*state, 100);
    assert_int_equal(server.accepted, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    fixture_run(*state, 1);
    assert_int_equal(server.accepted, 1);
    close(fd);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_accepts_and_unlinks),
        io_test(test_mode_is_not_touched_by_the_umask),
        io_test(test_stale_socket_is_replaced),
        io_test(test_live_socket_is_busy),
        io_test(test_other_files_are_left_alone),
        io_test(test_another_socket_is_not_unlinked),
        io_test(test_no_such_directory),
        io_test(test_group),
        io_test(test_path_at_the_bound_and_past_it),
        io_test(test_closed_in_its_callback),
        io_test(test_out_of_descriptors),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
