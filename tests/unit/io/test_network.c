/*
 * The network's changes, in a network namespace of the test's own; and a suspend, by clocks that
 * the test sets. Without the right to make a namespace the former is skipped, and says so.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "unit/io/fixture.h"

static long boottime_ahead_s;
int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    int rc = __real_clock_gettime(clock, out);

    if (clock == CLOCK_BOOTTIME)
        out->tv_sec += boottime_ahead_s;
    return rc;
}

struct listening {
    struct fixture *f;
    struct io_network *network;
    int calls;
    int64_t slept_ms;
};

static void on_network(void *arg, int64_t slept_ms)
{
    struct listening *l = arg;

    l->calls++;
    l->slept_ms += slept_ms;
    fixture_event(l->f);
}

static bool in_namespace;

static void sh(const char *command)
{
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

static int enter_namespace(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNET) != 0) {
        print_message("no network namespace (root is needed): the changes are not tested\n");
        return 0;
    }
    in_namespace = true;
    sh("ip link set lo up && ip link add a0 type veth peer name a1 && ip link add b0 type veth "
       "peer name b1 &&"
       "ip addr add 192.0.2.5/24 dev a0 && ip -6 addr add 2001:db8::5/64 dev a0 nodad &&"
       "ip link set a1 up && ip link set a0 up");
    return 0;
}

static void start(struct listening *l, struct fixture *f)
{
    struct error err;

    *l = (struct listening){.f = f};
    assert_int_equal(io_network_start(f->loop, on_network, l, &l->network, &err), 0);
}

static void test_changes(void **state)
{
    static const char *const changes[] = {
        "ip addr add 192.0.2.6/24 dev a0",
        "ip route add 198.51.100.0/24 via 192.0.2.1",
        "ip -6 route add 2001:db8:1::/48 via 2001:db8::1",
        "ip link set b0 up",
        "ip link del b0",
    };
    struct listening l;

    if (!in_namespace)
        skip();
    start(&l, *state);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        sh(changes[i]);
        fixture_run(*state, 1);
        assert_int_equal(l.calls, (int)i + 1);
    }
    assert_int_equal(l.slept_ms, 0);
    io_network_close(l.network);
}

static void test_one_call_for_a_run(void **state)
{
    struct listening l;

    if (!in_namespace)
        skip();
    start(&l, *state);
    sh("for i in 1 2 3 4 5 6 7 8; do ip addr add 192.0.2.10$i/24 dev a0; done");
    fixture_run(*state, 1);
    fixture_run_ms(*state, IO_NETWORK_DEBOUNCE_MS + 100);
    assert_int_equal(l.calls, 1);
    io_network_close(l.network);
}

/* More than the socket holds: what was lost counts as a change. */
static void test_flood(void **state)
{
    struct listening l;

    if (!in_namespace)
        skip();
    start(&l, *state);
    sh("for i in $(seq 1 250); do for k in 1 2 3 4 5 6 7 8; do"
       " echo addr add 10.$k.$i.1/24 dev a0; done; done | ip -batch -");
    fixture_run(*state, 1);
    assert_true(l.calls >= 1);
    io_network_close(l.network);
}

static struct io_address address_of(const char *ip)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct io_address out;

    memset(&out, 0, sizeof out);
    if (inet_pton(AF_INET, ip, &in.sin_addr) == 1) {
        memcpy(&out, &in, sizeof in);
    } else {
        assert_int_equal(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1);
        memcpy(&out, &in6, sizeof in6);
    }
    return out;
}

static void expect_route(const char *ip, const char *expected)
{
    struct io_address to = address_of(ip);
    char text[100] = "?";

    io_network_route(&to, text, sizeof text);
    assert_string_equal(text, expected);
}

static void test_route(void **state)
{
    struct io_address nothing;
    char text[100] = "?";

    (void)state;
    expect_route("127.0.0.1", "127.0.0.1 lo");
    memset(&nothing, 0, sizeof nothing);
    io_network_route(&nothing, text, sizeof text);
    assert_string_equal(text, "");
    if (!in_namespace)
        return;
    sh("ip route replace 198.51.100.0/24 via 192.0.2.1 &&"
       "ip -6 route replace 2001:db8:1::/48 via 2001:db8::1");
    expect_route("192.0.2.77", "192.0.2.5 a0");
    expect_route("198.51.100.9", "192.0.2.5 a0 via 192.0.2.1");
    expect_route("203.0.113.1", "");
    expect_route("::1", "::1 lo");
    expect_route("2001:db8:1::9", "2001:db8::5 a0 via 2001:db8::1");
    sh("ip route replace 198.51.100.0/24 via 192.0.2.1 src 192.0.2.6");
    expect_route("198.51.100.9", "192.0.2.6 a0 via 192.0.2.1");
}

static void test_sleep(void **state)
{
    struct listening l;

    start(&l, *state);
    boottime_ahead_s += 3600;
    fixture_run(*state, 1);
    assert_in_range(l.slept_ms, 3600000 - 100, 3600000 + 100);
    boottime_ahead_s += 1; /* too little to be a sleep */
    fixture_run_ms(*state, 2 * IO_NETWORK_TICK_MS + 100);
    assert_int_equal(l.calls, 1);
    io_network_close(l.network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_changes), io_test(test_one_call_for_a_run),
        io_test(test_route),   io_test(test_flood),
        io_test(test_sleep),
    };

    return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
