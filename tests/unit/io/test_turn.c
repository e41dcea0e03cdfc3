/*
 * How long a turn of the loop is said to have been. The clock is the tests' own, so that a slow
 * machine changes nothing: time passes only where a callback works, or a thread that the loop waits
 * for lets it pass.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

#define WORK_MS 7
#define WAIT_MS 5000

uint64_t __wrap_uv_hrtime(void);

static _Atomic uint64_t clock_ns = 1;

uint64_t __wrap_uv_hrtime(void)
{
    return clock_ns;
}

struct seen {
    struct fixture *f;
    _Atomic unsigned turns;
    int64_t total_us;
};

static struct seen seen;

static void on_turn(void *arg, int64_t busy_us)
{
    struct seen *all = arg;

    assert_true(busy_us >= 0);
    all->turns++;
    all->total_us += busy_us;
}

static void look_on(void **state)
{
    seen.f = *state;
    seen.turns = 0;
    seen.total_us = 0;
    assert_int_equal(io_loop_on_turn(seen.f->loop, on_turn, &seen), 0);
}

static void work(void)
{
    clock_ns += (uint64_t)WORK_MS * 1000000;
    fixture_event(seen.f);
}

/* Runs until somebody has worked: all of that, and nothing else, was seen. */
static void run_and_see(void)
{
    int64_t before_us = seen.total_us;

    fixture_run(seen.f, 1);
    assert_int_equal(seen.total_us - before_us, WORK_MS * 1000);
}

static void on_work(void *arg)
{
    (void)arg;
    work();
}

/* ---- whatever ends the wait ---- */

static void test_timer_and_idle(void **state)
{
    struct io_timer *timer;
    struct io_idle *idle;

    look_on(state);
    assert_int_equal(io_timer_new(seen.f->loop, on_work, NULL, &timer), 0);
    assert_int_equal(io_idle_new(seen.f->loop, on_work, NULL, &idle), 0);
    io_timer_set(timer, 20);
    run_and_see();
    io_idle_arm(idle);
    run_and_see();
    assert_true(seen.turns >= 2);
}

static void on_signal(void *arg, int signum)
{
    (void)arg;
    (void)signum;
    work();
}

static void test_signal(void **state)
{
    struct io_signal *sig;

    look_on(state);
    assert_int_equal(io_signal_start(seen.f->loop, SIGUSR1, on_signal, NULL, &sig), 0);
    kill(getpid(), SIGUSR1);
    run_and_see();
}

static void run_wait(struct io_job *job)
{
    (void)job;
    while (seen.turns == 0) /* until the loop waits */
        usleep(1000);
    clock_ns += (uint64_t)WAIT_MS * 1000000;
}

static void done_work(struct io_job *job)
{
    (void)job;
    work();
}

/* The thread lets WAIT_MS pass, which is the loop's wait and not its work. */
static void test_worker(void **state)
{
    struct io_job job = {.run = run_wait, .done = done_work};
    struct io_worker *worker;
    struct error err;

    look_on(state);
    assert_int_equal(io_worker_start(seen.f->loop, "turn", &worker, &err), 0);
    io_worker_submit(worker, &job);
    run_and_see();
}

static void on_child(void *arg, const struct io_child_result *result)
{
    (void)arg;
    assert_int_equal(result->status, 0);
    work();
}

static void test_child(void **state)
{
    static const char *const argv[] = {"/bin/echo", "word", NULL};
    struct io_child *child;
    struct error err;

    look_on(state);
    assert_int_equal(io_child_start(seen.f->loop, argv, GUARD_MS, on_child, NULL, &child, &err), 0);
    run_and_see();
}

static void on_resolved(void *arg, int status, const struct error *err,
                        const struct io_address *addresses, unsigned count)
{
    (void)arg;
    (void)status; /* whatever it is */
    (void)err;
    (void)addresses;
    (void)count;
    work();
}

static void test_resolver(void **state)
{
    struct io_resolve *resolve;

    look_on(state);
    assert_int_equal(
        io_resolve_start(seen.f->loop, "localhost", 1, GUARD_MS, on_resolved, NULL, &resolve), 0);
    run_and_see();
}

/* ---- a connection, from both ends ---- */

static struct io_stream *accepted;

static void on_accept(void *arg, struct io_stream *stream)
{
    (void)arg;
    accepted = stream;
    work();
}

static void on_connected(void *arg, int status, const struct error *err)
{
    (void)arg;
    (void)err;
    assert_int_equal(status, 0);
    work();
}

static void on_read(void *arg, const char *bytes, ssize_t n, const struct error *err)
{
    (void)arg;
    (void)bytes;
    (void)err;
    assert_true(n > 0);
    io_stream_read_stop(accepted);
    work();
}

static void on_drain(void *arg, int status)
{
    (void)arg;
    assert_int_equal(status, 0);
    work();
}

static int connect_by_hand(const struct io_address *to)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(&in, to->u.bytes, sizeof in);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    return fd;
}

static void read_all(int fd, size_t n)
{
    static char bytes[65536];

    while (n > 0) {
        ssize_t got = read(fd, bytes, n < sizeof bytes ? n : sizeof bytes);

        assert_true(got > 0);
        n -= (size_t)got;
    }
}

/* The peer reads in a thread, so that the stream's rest goes out while the loop waits. */
enum { FLOOD = 8 << 20 };

struct reader {
    struct io_job job;
    int fd;
};

static void run_read_all(struct io_job *job)
{
    read_all(((struct reader *)job)->fd, FLOOD);
}

static void done_nothing(struct io_job *job)
{
    (void)job;
}

static void test_stream(void **state)
{
    static const struct io_stream_events events = {.on_read = on_read, .on_drain = on_drain};
    static char flood[FLOOD];
    struct reader reader = {.job = {.run = run_read_all, .done = done_nothing}};
    struct io_listener *listener;
    struct io_worker *worker;
    struct io_address to;
    struct error err;

    look_on(state);
    assert_int_equal(io_tcp_listen(seen.f->loop, "127.0.0.1:0", on_accept, NULL, &listener, &err),
                     0);
    assert_true(io_address_parse(
        "127.0.0.1", (uint16_t)atoi(strrchr(io_listener_name(listener), ':') + 1), &to));
    reader.fd = connect_by_hand(&to);
    run_and_see(); /* accepted */

    io_stream_events(accepted, &events, NULL);
    assert_int_equal(io_stream_read_start(accepted), 0);
    assert_int_equal(write(reader.fd, "x", 1), 1);
    run_and_see(); /* read */

    assert_int_equal(io_worker_start(seen.f->loop, "turn", &worker, &err), 0);
    assert_int_equal(io_stream_write(accepted, flood, FLOOD), 0);
    io_worker_submit(worker, &reader.job);
    run_and_see(); /* drained */
    io_worker_stop(worker);
    close(reader.fd);
}

static void test_connect(void **state)
{
    struct io_stream *stream;
    struct io_address to;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct error err;

    look_on(state);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    assert_true(io_address_parse("127.0.0.1", ntohs(in.sin_port), &to));
    assert_int_equal(io_tcp_connect(seen.f->loop, &to, GUARD_MS, on_connected, NULL, &stream, &err),
                     0);
    run_and_see();
    close(fd);
}

/* ---- who looks on ---- */

static void test_all_who_look_on_are_told(void **state)
{
    static struct seen others[IO_TURN_WATCHERS - 1];
    struct io_timer *timer;

    look_on(state);
    for (size_t i = 0; i < IO_TURN_WATCHERS - 1; i++)
        assert_int_equal(io_loop_on_turn(seen.f->loop, on_turn, &others[i]), 0);
    assert_int_equal(io_loop_on_turn(seen.f->loop, on_turn, &seen), ERR_LIMIT);
    assert_int_equal(io_timer_new(seen.f->loop, on_work, NULL, &timer), 0);
    io_timer_set(timer, 0);
    run_and_see();
    for (size_t i = 0; i < IO_TURN_WATCHERS - 1; i++) {
        assert_int_equal(others[i].turns, seen.turns);
        assert_int_equal(others[i].total_us, seen.total_us);
    }
}

/* With nothing else to wait for the loop ends. */
static void test_looking_on_keeps_no_loop_alive(void **state)
{
    struct io_loop *loop;
    struct error err;

    (void)state;
    assert_int_equal(io_loop_new(&loop, &err), 0);
    assert_int_equal(io_loop_on_turn(loop, on_turn, &seen), 0);
    io_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_timer_and_idle),
        io_test(test_signal),
        io_test(test_worker),
        io_test(test_child),
        io_test(test_resolver),
        io_test(test_stream),
        io_test(test_connect),
        io_test(test_all_who_look_on_are_told),
        cmocka_unit_test(test_looking_on_keeps_no_loop_alive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
