/* getaddrinfo() is ours here (the linker's --wrap): names decide what it does. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out);
void __wrap_freeaddrinfo(struct addrinfo *list);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);

static bool no_threads;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
    return no_threads ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}

/* Names that begin with "hang" are held until the gate opens. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static int hanging;

static void set_gate(bool open)
{
    pthread_mutex_lock(&gate_lock);
    gate_open = open;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate_lock);
}

static void wait_for_hanging(int n)
{
    pthread_mutex_lock(&gate_lock);
    while (hanging != n)
        pthread_cond_wait(&gate_moved, &gate_lock);
    pthread_mutex_unlock(&gate_lock);
}

static void hang(void)
{
    pthread_mutex_lock(&gate_lock);
    hanging++;
    pthread_cond_broadcast(&gate_moved);
    while (!gate_open)
        pthread_cond_wait(&gate_moved, &gate_lock);
    hanging--;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate_lock);
}

/* A list of n addresses 10.0.0.1, 10.0.0.2, ... */
static struct addrinfo *make_list(int n)
{
    struct addrinfo *list = NULL;

    while (n > 0) {
        struct addrinfo *ai = calloc(1, sizeof *ai);
        struct sockaddr_in *in = calloc(1, sizeof *in);

        in->sin_family = AF_INET;
        in->sin_addr.s_addr = htonl(0x0A000000u + (unsigned)n--);
        ai->ai_family = AF_INET;
        ai->ai_addr = (struct sockaddr *)in;
        ai->ai_addrlen = sizeof *in;
        ai->ai_next = list;
        list = ai;
    }
    return list;
}

/* `six` addresses fd00::1, fd00::2, ... before the rest of the list. */
static struct addrinfo *make_both(int six, struct addrinfo *list)
{
    while (six > 0) {
        struct addrinfo *ai = calloc(1, sizeof *ai);
        struct sockaddr_in6 *in6 = calloc(1, sizeof *in6);

        in6->sin6_family = AF_INET6;
        in6->sin6_addr.s6_addr[0] = 0xfd;
        in6->sin6_addr.s6_addr[15] = (uint8_t)six--;
        ai->ai_family = AF_INET6;
        ai->ai_addr = (struct sockaddr *)in6;
        ai->ai_addrlen = sizeof *in6;
        ai->ai_next = list;
        list = ai;
    }
    return list;
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;

        free(list->ai_addr);
        free(list);
        list = next;
    }
}

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out)
{
    struct in_addr v4;
    struct in6_addr v6;
    int six, four;

    if (hints->ai_flags & AI_NUMERICHOST) {
        if (inet_pton(AF_INET, node, &v4) != 1 && inet_pton(AF_INET6, node, &v6) != 1)
            return EAI_NONAME;
        *out = make_list(1);
        if (strchr(node, ':') != NULL) {
            struct sockaddr_in6 *in6 = calloc(1, sizeof *in6);

            in6->sin6_family = AF_INET6;
            in6->sin6_addr = v6;
            free((*out)->ai_addr);
            (*out)->ai_family = AF_INET6;
            (*out)->ai_addr = (struct sockaddr *)in6;
            (*out)->ai_addrlen = sizeof *in6;
        } else {
            ((struct sockaddr_in *)(*out)->ai_addr)->sin_addr = v4;
        }
        return 0;
    }
    if (strncmp(node, "hang", 4) == 0)
        hang();
    if (strcmp(node, "nosuch") == 0)
        return EAI_NONAME;
    if (sscanf(node, "six%dfour%d", &six, &four) == 2) {
        *out = make_both(six, make_list(four));
        return 0;
    }
    *out = make_list(strncmp(node, "many", 4) == 0 ? atoi(node + 4) : 1);
    return 0;
}

struct answer {
    struct fixture *f;
    struct io_resolve *resolve;
    struct answer *cancels; /* another one, to be cancelled by the callback */
    int calls, status;
    unsigned count;
    char text[512], first[64], last[64];
};

static void on_answer(void *arg, int status, const struct error *err,
                      const struct io_address *addresses, unsigned count)
{
    struct answer *answer = arg;

    answer->calls++;
    answer->status = status;
    answer->count = count;
    if (err != NULL)
        memcpy(answer->text, err->text, sizeof answer->text);
    if (count != 0) {
        io_address_format(&addresses[0], answer->first, sizeof answer->first);
        io_address_format(&addresses[count - 1], answer->last, sizeof answer->last);
    }
    if (answer->cancels != NULL)
        io_resolve_cancel(answer->cancels->resolve);
    fixture_event(answer->f);
}

static void ask(struct answer *answer, const char *host, int64_t timeout_ms)
{
    assert_int_equal(io_resolve_start(answer->f->loop, host, 443, timeout_ms, on_answer, answer,
                                      &answer->resolve),
                     0);
    assert_int_equal(answer->calls, 0);
}

static void test_numeric(void **state)
{
    struct answer v4 = {.f = *state}, v6 = {.f = *state};

    ask(&v4, "192.0.2.7", GUARD_MS);
    ask(&v6, "2001:db8::1", GUARD_MS);
    fixture_run(*state, 2);
    assert_int_equal(v4.status, 0);
    assert_string_equal(v4.first, "192.0.2.7:443");
    assert_string_equal(v6.first, "[2001:db8::1]:443");
}

static void test_numeric_canceled(void **state)
{
    struct answer a = {.f = *state};

    ask(&a, "192.0.2.7", GUARD_MS);
    io_resolve_cancel(a.resolve);
    fixture_run_ms(*state, 20);
    assert_int_equal(a.calls, 0);
}

static void test_name(void **state)
{
    struct answer a = {.f = *state};

    ask(&a, "one", GUARD_MS);
    fixture_run(*state, 1);
    assert_int_equal(a.status, 0);
    assert_int_equal(a.count, 1);
    assert_string_equal(a.first, "10.0.0.1:443");
}

static void test_no_such_name(void **state)
{
    struct answer a = {.f = *state};

    ask(&a, "nosuch", GUARD_MS);
    fixture_run(*state, 1);
    assert_int_equal(a.status, ERR_DNS);
    assert_string_equal(a.text, "resolve nosuch: Name or service not known");
}

static void test_addresses_at_the_bound_and_past_it(void **state)
{
    struct answer at = {.f = *state}, past = {.f = *state};

    ask(&at, "many16", GUARD_MS);
    ask(&past, "many17", GUARD_MS);
    fixture_run(*state, 2);
    assert_int_equal(at.count, IO_ADDRESSES_MAX);
    assert_int_equal(past.count, IO_ADDRESSES_MAX);
    assert_string_equal(past.last, "10.0.0.16:443");
}

/* However many a family has, the other is tried too. */
static void test_both_families(void **state)
{
    static const struct {
        const char *name, *last;
        unsigned count;
    } rows[] = {
        {"six8four8", "10.0.0.8:443", 16},    {"six9four8", "10.0.0.8:443", 16},
        {"six9four7", "10.0.0.7:443", 16},    {"six20four3", "10.0.0.3:443", 16},
        {"six3four20", "10.0.0.13:443", 16},  {"six20four20", "10.0.0.8:443", 16},
        {"six20four0", "[fd00::10]:443", 16}, {"six2four3", "10.0.0.3:443", 5},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer answer = {.f = *state};

        ask(&answer, rows[i].name, GUARD_MS);
        fixture_run(*state, 1);
        assert_int_equal(answer.count, rows[i].count);
        assert_string_equal(answer.last, rows[i].last);
    }
}

static void test_hanging_name_times_out_and_holds_up_nobody(void **state)
{
    struct answer a = {.f = *state}, b = {.f = *state};

    set_gate(false);
    ask(&a, "hang", 30);
    ask(&b, "one", GUARD_MS);
    fixture_run(*state, 2); /* in whichever order: the one still hangs */
    assert_int_equal(b.calls, 1);
    assert_int_equal(b.status, 0);
    assert_int_equal(a.status, ERR_TIMEOUT);
    assert_string_equal(a.text, "resolve hang: no answer within 0.03 s");
    set_gate(true);
    wait_for_hanging(0);
    fixture_run_ms(*state, 20);
    assert_int_equal(a.calls, 1);
}

static void test_cancel_while_the_thread_hangs(void **state)
{
    struct answer a = {.f = *state};

    set_gate(false);
    ask(&a, "hang", 5000);
    fixture_run_ms(*state, 10);
    wait_for_hanging(1);
    io_resolve_cancel(a.resolve);
    set_gate(true);
    wait_for_hanging(0);
    fixture_run_ms(*state, 20);
    assert_int_equal(a.calls, 0);
}

/* The last lookup finds no thread: it waits, and gets one when another comes back. */
static void test_lookups_at_the_bound_and_past_it(void **state)
{
    static struct answer a[IO_LOOKUPS_MAX + 2];
    int i;

    set_gate(false);
    for (i = 0; i < IO_LOOKUPS_MAX; i++) {
        char name[16];

        snprintf(name, sizeof name, "hang%d", i);
        a[i] = (struct answer){.f = *state};
        ask(&a[i], name, 8000);
    }
    fixture_run_ms(*state, 10);
    wait_for_hanging(IO_LOOKUPS_MAX);
    a[i] = (struct answer){.f = *state};
    ask(&a[i], "one", 8000);
    a[i + 1] = (struct answer){.f = *state};
    ask(&a[i + 1], "two", 30);
    fixture_run(*state, 1);
    assert_int_equal(a[i + 1].status, ERR_TIMEOUT);
    assert_int_equal(a[i].calls, 0);
    set_gate(true);
    fixture_run(*state, IO_LOOKUPS_MAX + 1);
    assert_int_equal(a[i].status, 0);
}

/* However often a dead name is tried anew, it has one thread; what that brings is for all who wait
 * by then, each with its own port. */
static void test_one_thread_a_name(void **state)
{
    struct answer a[20], first = {.f = *state}, last = {.f = *state}, other = {.f = *state};

    set_gate(false);
    ask(&first, "hang", 8000);
    fixture_run_ms(*state, 10);
    wait_for_hanging(1);
    io_resolve_cancel(first.resolve);
    for (int i = 0; i < 20; i++) {
        a[i] = (struct answer){.f = *state};
        ask(&a[i], i % 2 != 0 ? "hang" : "HANG", 1);
        fixture_run(*state, 1);
        assert_int_equal(a[i].status, ERR_TIMEOUT);
    }
    wait_for_hanging(1);
    ask(&last, "hang", 8000);
    assert_int_equal(
        io_resolve_start(other.f->loop, "hang", 80, 8000, on_answer, &other, &other.resolve), 0);
    set_gate(true);
    fixture_run(*state, 2);
    assert_string_equal(last.first, "10.0.0.1:443");
    assert_string_equal(other.first, "10.0.0.1:80");
    a[0] = (struct answer){.f = *state};
    ask(&a[0], "hang", 8000); /* that answer is not kept: there is a second thread */
    fixture_run(*state, 1);
    assert_int_equal(a[0].status, 0);
}

static void test_callback_cancels_who_shares(void **state)
{
    struct answer a = {.f = *state}, b = {.f = *state};

    set_gate(false);
    a.cancels = &b;
    b.cancels = &a;
    ask(&a, "hang", 5000);
    ask(&b, "hang", 5000);
    set_gate(true);
    fixture_run(*state, 1);
    fixture_run_ms(*state, 10);
    assert_int_equal(a.calls + b.calls, 1);
}

static void test_callback_cancels_another(void **state)
{
    struct answer a = {.f = *state}, b = {.f = *state};

    set_gate(false);
    a.cancels = &b;
    ask(&a, "hang-a", 5000);
    ask(&b, "hang-b", 20);
    b.cancels = &a;
    /* Both answers lie ready when the loop looks; or b's time is up first. One call either way. */
    set_gate(true);
    fixture_run(*state, 1);
    fixture_run_ms(*state, 40);
    assert_int_equal(a.calls + b.calls, 1);
}

/* Where there is no thread, all who wait are told; the first may cancel the last. */
static void test_callback_cancels_who_shares_without_a_thread(void **state)
{
    struct answer a = {.f = *state}, b = {.f = *state};

    a.cancels = &b;
    ask(&a, "one", 5000);
    ask(&b, "one", 5000);
    no_threads = true;
    fixture_run(*state, 1);
    fixture_run_ms(*state, 10);
    no_threads = false;
    assert_int_equal(a.calls, 1);
    assert_int_equal(b.calls, 0);
    assert_non_null(strstr(a.text, "resolve one: cannot start a thread: "));
}

static void test_loop_freed_under_a_hanging_thread(void **state)
{
    struct answer a = {.f = *state};

    set_gate(false);
    ask(&a, "hang", 5000);
    fixture_run_ms(*state, 10);
    wait_for_hanging(1);
    io_loop_free(a.f->loop);
    set_gate(true);
    wait_for_hanging(0);
    assert_int_equal(a.calls, 0);
    usleep(20000); /* the thread frees its lookup: for the leak checker's sake */
    fixture_setup(state);
}

static struct io_address address_of(const char *ip)
{
    struct io_address address = {0};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};

    if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
        memcpy(&address, &in, sizeof in);
    else if (inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1)
        memcpy(&address, &in6, sizeof in6);
    else
        fail_msg("%s", ip);
    return address;
}

static void test_loopback(void **state)
{
    static const struct {
        const char *ip;
        bool loopback;
    } rows[] = {
        {"127.0.0.1", true},
        {"127.255.255.254", true},
        {"128.0.0.1", false},
        {"126.255.255.255", false},
        {"0.0.0.0", false},
        {"10.0.0.1", false},
        {"::1", true},
        {"::", false},
        {"::2", false},
        {"::ffff:127.0.0.1", true},
        {"::ffff:128.0.0.1", false},
        {"fe80::1", false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct io_address address = address_of(rows[i].ip);

        if (io_address_is_loopback(&address) != rows[i].loopback)
            fail_msg("%s", rows[i].ip);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_numeric),
        io_test(test_numeric_canceled),
        io_test(test_name),
        io_test(test_no_such_name),
        io_test(test_addresses_at_the_bound_and_past_it),
        io_test(test_both_families),
        io_test(test_hanging_name_times_out_and_holds_up_nobody),
        io_test(test_cancel_while_the_thread_hangs),
        io_test(test_lookups_at_the_bound_and_past_it),
        io_test(test_one_thread_a_name),
        io_test(test_callback_cancels_who_shares),
        io_test(test_callback_cancels_another),
        io_test(test_callback_cancels_who_shares_without_a_thread),
        io_test(test_loop_freed_under_a_hanging_thread),
        io_test(test_loopback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
