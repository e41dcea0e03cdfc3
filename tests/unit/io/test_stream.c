#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

/* The peer is a plain socket of the test; what it does is done between runs of the loop. */
struct client {
    struct fixture *f;
    struct io_stream *stream;
    int peer;
    bool close_in_connect, close_in_read, close_in_drain, hush;
    int connects, connect_status;
    int drains, drain_status;
    size_t bytes_in, largest_read;
    int ends; /* on_read with n <= 0 */
    ssize_t end;
    char text[512];
};

static void on_read(void *arg, const char *bytes, ssize_t n, const struct error *err)
{
    struct client *client = arg;

    (void)bytes;
    if (n > 0) {
        client->bytes_in += (size_t)n;
        if ((size_t)n > client->largest_read)
            client->largest_read = (size_t)n;
    } else {
        client->ends++;
        client->end = n;
        if (n < 0)
            memcpy(client->text, err->text, sizeof client->text);
    }
    if (client->close_in_read)
        io_stream_close(client->stream);
    if (!client->hush || n <= 0)
        fixture_event(client->f);
}

static void on_drain(void *arg, int status)
{
    struct client *client = arg;

    client->drains++;
    client->drain_status = status;
    fixture_event(client->f);
}

static void on_connect(void *arg, int status, const struct error *err)
{
    static const struct io_stream_events events = {.on_read = on_read, .on_drain = on_drain};
    struct client *client = arg;

    client->connects++;
    client->connect_status = status;
    if (status != 0)
        memcpy(client->text, err->text, sizeof client->text);
    io_stream_events(client->stream, &events, client);
    if (client->close_in_connect)
        io_stream_close(client->stream);
    fixture_event(client->f);
}

static struct io_address loopback(uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct io_address address = {0};

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&address, &in, sizeof in);
    return address;
}

static int new_server(uint16_t *port)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    *port = ntohs(in.sin_port);
    return fd;
}

/* Connects client to a fresh peer. */
static void connect_client(struct client *client)
{
    struct io_address address;
    struct error err;
    uint16_t port;
    int server = new_server(&port);

    address = loopback(port);
    assert_int_equal(
        io_tcp_connect(client->f->loop, &address, 5000, on_connect, client, &client->stream, &err),
        0);
    assert_int_equal(client->connects, 0);
    fixture_run(client->f, 1);
    assert_int_equal(client->connect_status, 0);
    client->peer = accept(server, NULL, NULL);
    assert_true(client->peer >= 0);
    close(server);
}

static size_t read_all(int fd)
{
    char bytes[65536];
    size_t total = 0;
    ssize_t n;

    while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        total += (size_t)n;
    return total;
}

/* Lets the loop write and the peer read until `want` bytes have come over. */
static void drain_to_peer(struct client *client, size_t want)
{
    size_t got = read_all(client->peer);

    while (got < want) {
        fixture_run_ms(client->f, 1);
        got += read_all(client->peer);
    }
    assert_int_equal(got, want);
}

static void test_refused(void **state)
{
    struct client client = {.f = *state};
    struct io_address address = loopback(1);
    struct error err;

    assert_int_equal(
        io_tcp_connect(client.f->loop, &address, 5000, on_connect, &client, &client.stream, &err),
        0);
    fixture_run(*state, 1);
    assert_int_equal(client.connect_status, ERR_REFUSED);
    assert_string_equal(client.text, "connect to 127.0.0.1:1: connection refused");
    io_stream_close(client.stream);
}

/* A full backlog drops SYNs: the only silent address there is on loopback. */
static void test_connect_timeout(void **state)
{
    struct client client = {.f = *state};
    struct io_address address;
    struct sockaddr_in in;
    struct error err;
    uint16_t port;
    int server = new_server(&port);
    int fillers[4];
    size_t i;

    assert_int_equal(listen(server, 0), 0);
    address = loopback(port);
    memcpy(&in, &address, sizeof in);
    for (i = 0; i < sizeof fillers / sizeof fillers[0]; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], (struct sockaddr *)&in, sizeof in);
    }
    assert_int_equal(
        io_tcp_connect(client.f->loop, &address, 50, on_connect, &client, &client.stream, &err), 0);
    fixture_run(*state, 1);
    assert_int_equal(client.connect_status, ERR_TIMEOUT);
    assert_non_null(strstr(client.text, "no answer within 0.05 s"));
    fixture_run_ms(*state, 20);
    assert_int_equal(client.connects, 1);
    io_stream_close(client.stream);
    for (i = 0; i < sizeof fillers / sizeof fillers[0]; i++)
        close(fillers[i]);
    close(server);
}

static void test_closed_while_connecting(void **state)
{
    struct client client = {.f = *state};
    struct io_address address;
    struct error err;
    uint16_t port;
    int server = new_server(&port);

    address = loopback(port);
    assert_int_equal(
        io_tcp_connect(client.f->loop, &address, 20, on_connect, &client, &client.stream, &err), 0);
    io_stream_close(client.stream);
    fixture_run_ms(*state, 40);
    assert_int_equal(client.connects, 0);
    close(server);
}

static int option_of(struct client *client, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;

    assert_int_equal(getsockopt(io_stream_fd(client->stream), level, name, &value, &len), 0);
    return value;
}

static void test_options_of_a_connection(void **state)
{
    struct client client = {.f = *state};

    connect_client(&client);
    assert_int_equal(option_of(&client, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(&client, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(&client, IPPROTO_TCP, TCP_KEEPIDLE), IO_TCP_KEEPALIVE_IDLE_S);
    assert_int_equal(option_of(&client, IPPROTO_TCP, TCP_USER_TIMEOUT), IO_TCP_USER_TIMEOUT_MS);
    assert_true(fcntl(io_stream_fd(client.stream), F_GETFD) & FD_CLOEXEC);
    io_stream_close(client.stream);
    close(client.peer);
}

static void test_read_and_end_of_file(void **state)
{
    struct client client = {.f = *state};

    connect_client(&client);
    assert_int_equal(io_stream_read_start(client.stream), 0);
    assert_int_equal(io_stream_read_start(client.stream), 0);
    assert_int_equal(write(client.peer, "hello", 5), 5);
    fixture_run(*state, 1);
    assert_int_equal(client.bytes_in, 5);
    close(client.peer);
    fixture_run(*state, 1);
    assert_int_equal(client.ends, 1);
    assert_int_equal(client.end, 0);
    assert_int_equal(io_stream_read_start(client.stream), ERR_EOF);
    fixture_run_ms(*state, 20);
    assert_int_equal(client.ends, 1);
    io_stream_close(client.stream);
}

static void test_reset(void **state)
{
    struct client client = {.f = *state};
    struct linger hard = {.l_onoff = 1};

    connect_client(&client);
    assert_int_equal(io_stream_read_start(client.stream), 0);
    setsockopt(client.peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(client.peer);
    fixture_run(*state, 1);
    assert_int_equal(client.end, ERR_IO);
    assert_string_equal(client.text, "connection reset by peer");
    io_stream_close(client.stream);
}

static void test_no_read_while_stopped(void **state)
{
    struct client client = {.f = *state};

    connect_client(&client);
    assert_int_equal(io_stream_read_start(client.stream), 0);
    io_stream_read_stop(client.stream);
    assert_int_equal(write(client.peer, "hello", 5), 5);
    fixture_run_ms(*state, 20);
    assert_int_equal(client.bytes_in, 0);
    assert_int_equal(io_stream_read_start(client.stream), 0);
    fixture_run(*state, 1);
    assert_int_equal(client.bytes_in, 5);
    io_stream_close(client.stream);
    close(client.peer);
}

/* More than one read's worth lies ready: each read is bounded, and all of it comes. */
static void test_reads_are_bounded(void **state)
{
    struct client client = {.f = *state, .hush = true};
    size_t want = 3 * IO_READ_SIZE + 1;
    char *bytes = calloc(1, want);
    size_t sent = 0;
    int size = (int)want;

    connect_client(&client);
    setsockopt(io_stream_fd(client.stream), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    while (client.bytes_in < want) {
        ssize_t n = send(client.peer, bytes, want - sent, MSG_DONTWAIT);

        sent += n > 0 ? (size_t)n : 0;
        assert_int_equal(io_stream_read_start(client.stream), 0);
        fixture_run_ms(*state, 1);
    }
    assert_int_equal(client.bytes_in, want);
    assert_true(client.largest_read <= IO_READ_SIZE);
    io_stream_close(client.stream);
    close(client.peer);
    free(bytes);
}

/* For tests that run the loop by time: then a drain is counted, and ends no run. */
static void on_quiet_drain(void *arg, int status)
{
    struct client *client = arg;

    client->drains++;
    client->drain_status = status;
    if (client->close_in_drain)
        io_stream_close(client->stream);
}

static void quiet(struct client *client)
{
    static const struct io_stream_events events = {.on_read = on_read, .on_drain = on_quiet_drain};

    io_stream_events(client->stream, &events, client);
}

static void test_closed_in_each_callback(void **state)
{
    struct client in_connect = {.f = *state, .close_in_connect = true};
    struct client in_read = {.f = *state, .close_in_read = true};
    struct client in_end = {.f = *state};
    struct client in_drain = {.f = *state, .close_in_drain = true};
    size_t size = 8 * 1024 * 1024;
    char *bytes = calloc(1, size);

    connect_client(&in_connect);
    connect_client(&in_read);
    assert_int_equal(io_stream_read_start(in_read.stream), 0);
    assert_int_equal(write(in_read.peer, "hello", 5), 5);
    fixture_run(*state, 1);
    connect_client(&in_end);
    in_end.close_in_read = true;
    assert_int_equal(io_stream_read_start(in_end.stream), 0);
    shutdown(in_end.peer, SHUT_WR);
    fixture_run(*state, 1);
    connect_client(&in_drain);
    quiet(&in_drain);
    assert_int_equal(io_stream_write(in_drain.stream, bytes, size), 0);
    while (in_drain.drains == 0) {
        read_all(in_drain.peer);
        fixture_run_ms(*state, 1);
    }
    fixture_run_ms(*state, 20);
    assert_int_equal(in_read.ends + in_end.bytes_in, 0);
    close(in_connect.peer);
    close(in_read.peer);
    close(in_end.peer);
    close(in_drain.peer);
    free(bytes);
}

static void test_small_write_needs_no_queue(void **state)
{
    struct client client = {.f = *state};

    connect_client(&client);
    assert_int_equal(io_stream_write(client.stream, "hello", 5), 0);
    assert_int_equal(io_stream_write(client.stream, "", 0), 0);
    assert_int_equal(io_stream_queued(client.stream), 0);
    assert_int_equal(read_all(client.peer), 5);
    fixture_run_ms(*state, 20);
    assert_int_equal(client.drains, 0);
    io_stream_close(client.stream);
    close(client.peer);
}

static void test_slow_reader(void **state)
{
    struct client client = {.f = *state};
    struct slice slice = SLICE("late");
    size_t size = 8 * 1024 * 1024;
    char *bytes = calloc(1, size);

    connect_client(&client);
    quiet(&client);
    assert_int_equal(io_stream_write(client.stream, bytes, size), 0);
    memset(bytes, 'x', size); /* the stream has its own copy */
    assert_true(io_stream_queued(client.stream) > 0);
    assert_true(io_stream_queued(client.stream) < size);
    assert_int_equal(io_stream_try_writev(client.stream, &slice, 1), ERR_AGAIN);
    assert_int_equal(io_stream_write(client.stream, "tail", 4), 0);
    fixture_run_ms(*state, 20);
    assert_int_equal(client.drains, 0);
    drain_to_peer(&client, size + 4);
    fixture_run_ms(*state, 20);
    assert_int_equal(client.drains, 1);
    assert_int_equal(client.drain_status, 0);
    assert_int_equal(io_stream_queued(client.stream), 0);
    io_stream_close(client.stream);
    close(client.peer);
    free(bytes);
}

static void test_try_writev(void **state)
{
    struct client client = {.f = *state};
    struct slice slices[IO_WRITEV_MAX + 1];
    char bytes[IO_WRITEV_MAX + 1];
    unsigned i;

    for (i = 0; i < IO_WRITEV_MAX + 1; i++) {
        bytes[i] = (char)('a' + i % 26);
        slices[i] = slice_make(bytes + i, 1);
    }
    connect_client(&client);
    assert_int_equal(io_stream_try_writev(client.stream, slices, IO_WRITEV_MAX), IO_WRITEV_MAX);
    assert_int_equal(io_stream_try_writev(client.stream, slices, IO_WRITEV_MAX + 1), IO_WRITEV_MAX);
    assert_int_equal(read_all(client.peer), 2 * IO_WRITEV_MAX);
    io_stream_close(client.stream);
    close(client.peer);
}

static void test_try_writev_until_full(void **state)
{
    struct client client = {.f = *state};
    char *bytes = calloc(1, 1024 * 1024);
    struct slice slices[2] = {{bytes, 1024 * 1024}, {bytes, 1024 * 1024}};
    size_t total = 0;
    ssize_t n;

    connect_client(&client);
    quiet(&client);
    while ((n = io_stream_try_writev(client.stream, slices, 2)) > 0)
        total += (size_t)n;
    assert_int_equal(n, ERR_AGAIN);
    /* The way to learn of room: queue something. */
    assert_int_equal(io_stream_write(client.stream, "x", 1), 0);
    drain_to_peer(&client, total + 1);
    fixture_run_ms(*state, 20);
    assert_int_equal(client.drains, 1);
    assert_int_equal(io_stream_try_writev(client.stream, slices, 1) > 0, 1);
    io_stream_close(client.stream);
    close(client.peer);
    free(bytes);
}

/* A broken stream: the write says so, what the peer had sent is still read, then comes the end. */
static void test_failed_write_ends_reading(void **state)
{
    struct client client = {.f = *state};
    int rc = 0;

    connect_client(&client);
    assert_int_equal(write(client.peer, "last words", 10), 10);
    close(client.peer);
    while (rc == 0) {
        rc = io_stream_write(client.stream, "x", 1);
        usleep(1000);
    }
    assert_int_equal(rc, ERR_IO);
    assert_int_equal(io_stream_write(client.stream, "x", 1), ERR_IO);
    assert_int_equal(io_stream_read_start(client.stream), 0);
    fixture_run(*state, 2);
    assert_int_equal(client.bytes_in, 10);
    assert_int_equal(client.ends, 1);
    io_stream_close(client.stream);
}

static void test_queued_write_that_fails(void **state)
{
    struct client client = {.f = *state};
    struct linger hard = {.l_onoff = 1};
    size_t size = 8 * 1024 * 1024;
    char *bytes = calloc(1, size);

    connect_client(&client);
    assert_int_equal(io_stream_write(client.stream, bytes, size), 0);
    assert_int_equal(io_stream_write(client.stream, bytes, 1), 0);
    setsockopt(client.peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(client.peer);
    fixture_run(*state, 1);
    assert_int_equal(client.drains, 1);
    assert_int_equal(client.drain_status, ERR_IO);
    io_stream_close(client.stream);
    free(bytes);
}

static void test_close_with_a_queue_is_silent(void **state)
{
    struct client client = {.f = *state};
    size_t size = 8 * 1024 * 1024;
    char *bytes = calloc(1, size);

    connect_client(&client);
    assert_int_equal(io_stream_write(client.stream, bytes, size), 0);
    io_stream_close(client.stream);
    fixture_run_ms(*state, 20);
    assert_int_equal(client.drains, 0);
    close(client.peer);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_refused),
        io_test(test_connect_timeout),
        io_test(test_closed_while_connecting),
        io_test(test_options_of_a_connection),
        io_test(test_read_and_end_of_file),
        io_test(test_reset),
        io_test(test_no_read_while_stopped),
        io_test(test_reads_are_bounded),
        io_test(test_closed_in_each_callback),
        io_test(test_small_write_needs_no_queue),
        io_test(test_slow_reader),
        io_test(test_try_writev),
        io_test(test_try_writev_until_full),
        io_test(test_failed_write_ends_reading),
        io_test(test_queued_write_that_fails),
        io_test(test_close_with_a_queue_is_silent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
