#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

/* What the server says to one that it refuses. */
static void assert_told(int fd, const char *expected)
{
    char text[100];
    ssize_t n = read(fd, text, sizeof text - 1);

    assert_true(n >= 0);
    text[n] = '\0';
    assert_string_equal(text, expected);
    close(fd);
}

/* With all descriptors in use, a client is let in by the spare one, told so, and sent away: those
 * who are there stay, and so does the listener. */
static void test_refused_with_the_spare_descriptor(void **state)
{
    struct server server = {.f = *state};
    struct rlimit before, full;
    struct error err;
    int fds[3], top;

    assert_int_equal(listen_at(&server, path_of("s"), 0600, &err), 0);
    io_listener_refusal(server.listener, 0, slice_str("full\n"));
    for (int i = 0; i < 3; i++)
        fds[i] = connect_to(path_of("s"));
    top = dup(0);
    close(top);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    full = before;
    full.rlim_cur = (rlim_t)top;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &full), 0);
    fixture_run_ms(*state, 50);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(server.accepted, 0);
    for (int i = 0; i < 3; i++)
        assert_told(fds[i], "full\n");
    fds[0] = connect_to(path_of("s"));
    fixture_run(*state, 1);
    assert_int_equal(server.accepted, 1);
    close(fds[0]);
}

/* The last ones are kept for others. */
static void test_keeps_descriptors(void **state)
{
    struct server server = {.f = *state};
    struct rlimit before, few;
    struct error err;
    int fd, top = 0;

    assert_int_equal(listen_at(&server, path_of("s"), 0600, &err), 0);
    fd = connect_to(path_of("s"));
    top = dup(0); /* the next that is free: the server's end of the connection */
    close(top);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)top + 5;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    io_listener_refusal(server.listener, 4, slice_str("full\n"));
    fixture_run(*state, 1);
    assert_int_equal(server.accepted, 1);
    close(fd);
    fixture_run_ms(*state, 20);
    fd = connect_to(path_of("s"));
    top = dup(0);
    close(top);
    few.rlim_cur = (rlim_t)top + 5;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    io_listener_refusal(server.listener, 5, slice_str("full\n"));
    fixture_run_ms(*state, 20);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(server.accepted, 1);
    assert_told(fd, "full\n");
}

static void test_a_socket_that_was_given(void **state)
{
    struct server server = {.f = *state};
    struct io_listening at;
    struct error err;
    struct sockaddr_un address = unix_address(path_of("given"));
    int given = socket(AF_UNIX, SOCK_STREAM, 0), fd;

    assert_int_equal(bind(given, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(io_listening(given, &at), ERR_INVAL); /* it does not listen yet */
    assert_int_equal(listen(given, 5), 0);
    assert_int_equal(io_listening(given, &at), 0);
    assert_false(at.tcp);
    assert_string_equal(at.name, path_of("given"));
    fd = connect_to(path_of("given")); /* before anyone accepts */
    assert_int_equal(
        io_listen_fd(server.f->loop, given, on_accept, &server, &server.listener, &err), 0);
    assert_true(fcntl(given, F_GETFD) & FD_CLOEXEC);
    assert_string_equal(io_listener_name(server.listener), path_of("given"));
    fixture_run(*state, 1);
    close(fd);
    io_listener_close(server.listener);
    assert_true(exists(path_of("given"))); /* whoever made it may remove it */
    assert_int_equal(unlink(path_of("given")), 0);
    assert_nothing_left();
}

/* One process after another listens on the same socket, and its file is the same. */
static void test_a_socket_that_is_left_and_claimed(void **state)
{
    struct server a = {.f = *state}, b = {.f = *state};
    struct error err;
    struct stat st;
    dev_t device;
    ino_t inode;
    int copy, fd;

    assert_int_equal(listen_at(&a, path_of("s"), 0600, &err), 0);
    assert_true(io_listener_file(a.listener, &device, &inode));
    assert_int_equal(stat(path_of("s"), &st), 0);
    assert_true(st.st_dev == device && st.st_ino == inode);
    copy = dup(io_listener_fd(a.listener));
    io_listener_leave(a.listener);
    io_listener_close(a.listener);
    fd = connect_to(path_of("s"));
    assert_true(fd >= 0);
    assert_int_equal(io_listen_fd(b.f->loop, copy, on_accept, &b, &b.listener, &err), 0);
    assert_false(io_listener_file(b.listener, &device, &inode));
    assert_int_equal(io_listener_claim(b.listener, path_of("none"), 0640, (gid_t)-1, &err),
                     ERR_NOTFOUND);
    assert_int_equal(io_listener_claim(b.listener, path_of("s"), 0640, (gid_t)-1, &err), 0);
    assert_string_equal(io_listener_name(b.listener), path_of("s"));
    assert_int_equal(stat(path_of("s"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    fixture_run(*state, 1);
    close(fd);
    io_listener_close(b.listener);
    assert_nothing_left();
}

static void test_what_cannot_be_listened_on(void **state)
{
    struct server server = {.f = *state};
    struct io_listening at;
    struct error err;
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC), pair[2];
    int datagrams = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_true(io_listening(-1, &at) < 0);
    assert_true(io_listening(file, &at) < 0);
    assert_int_equal(io_listening(datagrams, &at), ERR_INVAL);
    assert_int_equal(io_listening(pair[0], &at), ERR_INVAL);
    assert_true(io_listen_fd(server.f->loop, file, on_accept, &server, &server.listener, &err) < 0);
    assert_non_null(strstr(err.text, "not a Unix or TCP socket that listens"));
    assert_int_equal(close(file), 0); /* still the caller's */
    close(datagrams);
    close(pair[0]);
    close(pair[1]);
}

static void test_the_same_tcp_address(void **state)
{
    (void)state;
    assert_true(io_tcp_same("127.0.0.1:80", "127.0.0.1:80"));
    assert_true(io_tcp_same("[::1]:80", "[0:0:0:0:0:0:0:1]:80"));
    assert_false(io_tcp_same("127.0.0.1:80", "127.0.0.1:81"));
    assert_false(io_tcp_same("127.0.0.1:80", "[::1]:80"));
    assert_false(io_tcp_same("/run/x", "/run/x"));
    assert_false(io_tcp_same(NULL, "127.0.0.1:80"));
}

static void on_tcp(void *arg, struct io_stream *stream)
{
    struct server *server = arg;
    int on = 0;
    socklen_t len = sizeof on;

    server->accepted++;
    assert_int_equal(getsockopt(io_stream_fd(stream), IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    assert_true(on);
    assert_int_equal(getsockopt(io_stream_fd(stream), SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
    assert_true(on);
    assert_true(fcntl(io_stream_fd(stream), F_GETFD) & FD_CLOEXEC);
    io_stream_close(stream);
    fixture_event(server->f);
}

static void check_tcp(struct fixture *f, const char *address, const char *begin)
{
    struct server server = {.f = f};
    struct sockaddr_storage there;
    struct io_listener *second;
    socklen_t len = sizeof there;
    struct error err;
    char taken[100];
    int fd, listening = dup(0);

    close(listening); /* the listener's descriptor will be this one */
    assert_int_equal(io_tcp_listen(f->loop, address, on_tcp, &server, &server.listener, &err), 0);
    snprintf(taken, sizeof taken, "%s", io_listener_name(server.listener));
    assert_memory_equal(taken, begin, strlen(begin));
    assert_string_not_equal(taken, address); /* it got a port */
    assert_int_equal(getsockname(listening, (struct sockaddr *)&there, &len), 0);
    fd = socket(there.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&there, len), 0);
    fixture_run(f, 1);
    assert_int_equal(server.accepted, 1);
    close(fd);
    assert_int_equal(io_tcp_listen(f->loop, taken, on_tcp, &server, &second, &err), ERR_BUSY);
    assert_non_null(strstr(err.text, "address already in use"));
    io_listener_close(server.listener);
}

static void test_tcp(void **state)
{
    check_tcp(*state, "127.0.0.1:0", "127.0.0.1:");
    if (access("/proc/net/if_inet6", F_OK) == 0)
        check_tcp(*state, "[::1]:0", "[::1]:");
}

static void test_tcp_wants_numbers(void **state)
{
    static const char *const bad[] = {
        "",       ":",       "localhost:1",    "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:x",
        "::1:80", "[::1:80", "[127.0.0.1]:80", "1.2.3:80",  "127.0.0.1:-1"};
    struct fixture *f = *state;
    struct io_listener *listener;
    struct error err;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(io_tcp_listen(f->loop, bad[i], on_tcp, NULL, &listener, &err), ERR_INVAL);
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
        io_test(test_refused_with_the_spare_descriptor),
        io_test(test_keeps_descriptors),
        io_test(test_a_socket_that_was_given),
        io_test(test_a_socket_that_is_left_and_claimed),
        io_test(test_what_cannot_be_listened_on),
        io_test(test_the_same_tcp_address),
        io_test(test_tcp),
        io_test(test_tcp_wants_numbers),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
