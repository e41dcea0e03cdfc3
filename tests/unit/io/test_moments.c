/* Every operation of io, closed at every moment of its life. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit/io/moments.h"

struct op {
    struct moments moments;
    struct io_resolve *resolve;
    struct io_listener *listener;
    struct io_stream *stream, *accepted;
    struct io_child *child;
    struct io_worker *worker;
    struct io_watch *watch;
    struct io_network *network;
    struct io_timer *timer;
    struct io_idle *idle;
    struct io_signal *signal;
    struct io_job jobs[3];
    struct io_address address;
    char dir[64], path[100];
    int count, fd;
    bool drained;
};

/* ---- names ---- */

static void on_resolved(void *arg, int status, const struct error *err,
                        const struct io_address *addresses, unsigned count)
{
    assert_int_equal(status, 0);
    moments_heard(arg, true);
}

static void start_resolve(struct moments *m)
{
    struct op *op = (struct op *)m;

    assert_int_equal(
        io_resolve_start(m->f->loop, op->path, 80, 5000, on_resolved, op, &op->resolve), 0);
}

static void cancel_resolve(struct moments *m)
{
    io_resolve_cancel(((struct op *)m)->resolve);
}

static void test_resolve(void **state)
{
    static const struct moments_kind name = {"a name", start_resolve, cancel_resolve, NULL};
    static const struct moments_kind number = {"an address", start_resolve, cancel_resolve, NULL};
    struct op by_name = {.path = "localhost"}, by_number = {.path = "127.0.0.1"};

    moments_try(&name, &by_name.moments);
    moments_try(&number, &by_number.moments);
}

/* ---- connections: connect, write more than fits, read to the end ---- */

enum { LARGE = 16 * 1024 * 1024 };

static char large[LARGE];

static void on_read(void *arg, const char *bytes, ssize_t n, const struct error *err)
{
    moments_heard(arg, n <= 0);
}

static void on_drain(void *arg, int status)
{
    struct op *op = arg;

    moments_heard(arg, false);
    assert_int_equal(status, 0);
    op->drained = true;
}

static void on_connected(void *arg, int status, const struct error *err)
{
    static const struct io_stream_events events = {on_read, on_drain};
    struct op *op = arg;

    moments_heard(arg, status != 0);
    if (status != 0)
        return;
    io_stream_events(op->stream, &events, op);
    assert_int_equal(io_stream_read_start(op->stream), 0);
    assert_int_equal(io_stream_write(op->stream, large, LARGE), 0);
}

/* Takes what comes, a little at a time, from the loop's own thread. */
static void on_pump(void *arg)
{
    struct op *op = arg;
    static char bytes[LARGE / 8];

    if (op->moments.over)
        return;
    if (op->fd < 0)
        op->fd = accept4(op->count, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (op->fd >= 0 && recv(op->fd, bytes, sizeof bytes, 0) > 0)
        (void)!send(op->fd, "some", 4, MSG_NOSIGNAL);
    if (op->fd >= 0 && op->drained)
        shutdown(op->fd, SHUT_WR);
    io_timer_set(op->timer, 1);
}

/* path: "refused": nobody listens. */
static void start_connect(struct moments *m)
{
    struct op *op = (struct op *)m;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    struct error err;

    op->fd = -1;
    op->drained = false;
    op->count = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(op->count, (struct sockaddr *)&in, sizeof in), 0);
    if (strcmp(op->path, "refused") != 0)
        assert_int_equal(listen(op->count, 1), 0);
    assert_int_equal(getsockname(op->count, (struct sockaddr *)&in, &len), 0);
    memcpy(&op->address, &in, sizeof in);
    assert_int_equal(io_timer_new(m->f->loop, on_pump, op, &op->timer), 0);
    io_timer_set(op->timer, 0);
    assert_int_equal(
        io_tcp_connect(m->f->loop, &op->address, 5000, on_connected, op, &op->stream, &err), 0);
}

static void close_stream(struct moments *m)
{
    io_stream_close(((struct op *)m)->stream);
}

static void end_connect(struct moments *m)
{
    struct op *op = (struct op *)m;

    if (m->over)
        io_stream_close(op->stream);
    io_timer_close(op->timer);
    close(op->count);
    if (op->fd >= 0)
        close(op->fd);
}

static void test_connection(void **state)
{
    static const struct moments_kind kind = {"a connection", start_connect, close_stream,
                                             end_connect};
    static const struct moments_kind refused = {"a refused connection", start_connect, close_stream,
                                                end_connect};
    struct op op = {0}, no = {.path = "refused"};

    moments_try(&kind, &op.moments);
    moments_try(&refused, &no.moments);
}

/* ---- listeners ---- */

static void on_accept(void *arg, struct io_stream *stream)
{
    struct op *op = arg;

    io_stream_close(stream);
    moments_heard(arg, ++op->count == 3);
}

static void on_dial(void *arg)
{
    struct op *op = arg;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    memcpy(un.sun_path, op->path, strlen(op->path));
    (void)!connect(fd, (struct sockaddr *)&un, sizeof un);
    close(fd);
    if (!op->moments.over)
        io_timer_set(op->timer, 1);
}

static void start_listener(struct moments *m)
{
    struct op *op = (struct op *)m;
    struct error err;

    op->count = 0;
    memcpy(op->dir, "/tmp/hawser-moments-XXXXXX", 27);
    assert_non_null(mkdtemp(op->dir));
    snprintf(op->path, sizeof op->path, "%s/socket", op->dir);
    assert_int_equal(io_timer_new(m->f->loop, on_dial, op, &op->timer), 0);
    io_timer_set(op->timer, 1);
    if (io_unix_listen(m->f->loop, op->path, 0600, (gid_t)-1, on_accept, op, &op->listener, &err) !=
        0)
        fail_msg("%s", err.text);
}

static void close_listener(struct moments *m)
{
    io_listener_close(((struct op *)m)->listener);
}

static void end_listener(struct moments *m)
{
    struct op *op = (struct op *)m;

    if (m->over)
        io_listener_close(op->listener);
    io_timer_close(op->timer);
    assert_int_equal(rmdir(op->dir), 0);
}

static void test_listener(void **state)
{
    static const struct moments_kind kind = {"a listener", start_listener, close_listener,
                                             end_listener};
    struct op op = {0};

    moments_try(&kind, &op.moments);
}

/* ---- children, workers ---- */

static void on_child(void *arg, const struct io_child_result *result)
{
    assert_int_equal(result->status, 0);
    assert_int_equal(result->output.len, 4);
    moments_heard(arg, true);
}

static void start_child(struct moments *m)
{
    static const char *const argv[] = {"/bin/sh", "-c", "echo a; echo b", NULL};
    struct op *op = (struct op *)m;
    struct error err;

    assert_int_equal(io_child_start(m->f->loop, argv, 5000, on_child, op, &op->child, &err), 0);
}

static void cancel_child(struct moments *m)
{
    io_child_cancel(((struct op *)m)->child);
}

static void test_child(void **state)
{
    static const struct moments_kind kind = {"a child", start_child, cancel_child, NULL};
    struct op op = {0};

    moments_try(&kind, &op.moments);
}

static struct op *working;

static void run_job(struct io_job *job)
{
    usleep(500);
}

static void job_done(struct io_job *job)
{
    moments_heard(&working->moments, job == &working->jobs[2]);
}

static void start_worker(struct moments *m)
{
    struct op *op = (struct op *)m;
    struct error err;

    working = op;
    assert_int_equal(io_worker_start(m->f->loop, "test", &op->worker, &err), 0);
    for (int i = 0; i < 3; i++) {
        op->jobs[i] = (struct io_job){.run = run_job, .done = job_done};
        io_worker_submit(op->worker, &op->jobs[i]);
    }
}

static void stop_worker(struct moments *m)
{
    io_worker_stop(((struct op *)m)->worker);
}

static void end_worker(struct moments *m)
{
    if (m->over)
        stop_worker(m);
}

static void test_worker(void **state)
{
    static const struct moments_kind kind = {"a worker", start_worker, stop_worker, end_worker};
    struct op op = {0};

    moments_try(&kind, &op.moments);
}

/* ---- watches ---- */

static void on_change(void *arg)
{
    struct op *op = arg;

    moments_heard(arg, ++op->count == 2);
    fclose(fopen(op->path, "w"));
}

static void start_watch(struct moments *m)
{
    struct op *op = (struct op *)m;
    struct error err;

    op->count = 0;
    memcpy(op->dir, "/tmp/hawser-moments-XXXXXX", 27);
    assert_non_null(mkdtemp(op->dir));
    snprintf(op->path, sizeof op->path, "%s/file", op->dir);
    assert_int_equal(io_watch_start(m->f->loop, op->path, on_change, op, &op->watch, &err), 0);
    fclose(fopen(op->path, "w"));
}

static void close_watch(struct moments *m)
{
    io_watch_close(((struct op *)m)->watch);
}

static void end_watch(struct moments *m)
{
    struct op *op = (struct op *)m;

    if (m->over)
        close_watch(m);
    unlink(op->path);
    assert_int_equal(rmdir(op->dir), 0);
}

static void test_watch(void **state)
{
    static const struct moments_kind kind = {"a watch", start_watch, close_watch, end_watch};
    struct op op = {0};

    moments_try(&kind, &op.moments);
}

/* ---- timers and the like, each of which sets off the next ---- */

static void on_signal(void *arg, int signum)
{
    moments_heard(arg, true);
}

static void on_idle(void *arg)
{
    moments_heard(arg, false);
    raise(SIGUSR1);
}

static void on_timer(void *arg)
{
    struct op *op = arg;

    moments_heard(arg, false);
    io_idle_arm(op->idle);
}

static void on_network(void *arg, int64_t slept_ms)
{
    (void)slept_ms;
    moments_heard(arg, false);
}

static void start_small(struct moments *m)
{
    struct op *op = (struct op *)m;
    struct io_loop *loop = m->f->loop;
    struct error err;

    assert_int_equal(io_signal_start(loop, SIGUSR1, on_signal, op, &op->signal), 0);
    assert_int_equal(io_network_start(loop, on_network, op, &op->network, &err), 0);
    assert_int_equal(io_idle_new(loop, on_idle, op, &op->idle), 0);
    assert_int_equal(io_timer_new(loop, on_timer, op, &op->timer), 0);
    io_timer_set(op->timer, 1);
}

static void close_small(struct moments *m)
{
    struct op *op = (struct op *)m;

    io_timer_close(op->timer);
    io_idle_close(op->idle);
    io_network_close(op->network);
    io_signal_close(op->signal);
}

static void end_small(struct moments *m)
{
    if (m->over)
        close_small(m);
}

static void test_small(void **state)
{
    static const struct moments_kind kind = {"timer, idle, signal, network", start_small,
                                             close_small, end_small};
    struct op op = {0};

    signal(SIGUSR1, SIG_IGN);
    moments_try(&kind, &op.moments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolve),  cmocka_unit_test(test_connection),
        cmocka_unit_test(test_listener), cmocka_unit_test(test_child),
        cmocka_unit_test(test_worker),   cmocka_unit_test(test_watch),
        cmocka_unit_test(test_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
