/* Dialling names. getaddrinfo() is ours here (the linker's --wrap): a name lists its addresses,
 * joined by "-", or is "hang" or "nosuch". */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit/net/link_probe.h"

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out);
void __wrap_freeaddrinfo(struct addrinfo *list);

static struct addrinfo *new_address(const char *ip)
{
    struct addrinfo *ai = calloc(1, sizeof *ai);
    struct sockaddr_in *in = calloc(1, sizeof *in);

    in->sin_family = AF_INET;
    if (inet_pton(AF_INET, ip, &in->sin_addr) != 1)
        abort();
    ai->ai_family = AF_INET;
    ai->ai_addr = (struct sockaddr *)in;
    ai->ai_addrlen = sizeof *in;
    return ai;
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
    struct addrinfo **end = out;
    char names[200], *at, *save;

    if (hints->ai_flags & AI_NUMERICHOST || strcmp(node, "nosuch") == 0)
        return EAI_NONAME;
    if (strcmp(node, "hang") == 0) {
        usleep(100000);
        return EAI_AGAIN;
    }
    snprintf(names, sizeof names, "%s", node);
    for (at = strtok_r(names, "-", &save); at != NULL; at = strtok_r(NULL, "-", &save)) {
        *end = new_address(at);
        end = &(*end)->ai_next;
    }
    return 0;
}

static void script_accept(struct peer *peer)
{
    peer_accept_upgrade(peer);
    peer_close_frame(peer, 1000, "");
    peer_read_frames(peer);
}

static void run_name(struct probe *probe, const char *host, uint16_t port)
{
    char url[200];

    snprintf(url, sizeof url, "ws://%s:%u/", host, port);
    probe_open_url(probe, url);
    fixture_run(probe->f, 1);
    assert_true(probe->closed);
}

static void assert_end(const struct probe *probe, enum net_end_kind kind, enum net_phase phase,
                       const char *text)
{
    assert_int_equal(probe->end.kind, kind);
    assert_int_equal(probe->end.phase, phase);
    assert_string_equal(probe->end.text, text);
}

static void test_one_address_refused(void **state)
{
    struct probe probe = {.f = *state};

    run_name(&probe, "127.0.0.1", 1);
    assert_end(&probe, NET_END_FAILED, NET_PHASE_TCP, "connect to 127.0.0.1:1: connection refused");
}

static void test_all_addresses_refused(void **state)
{
    struct probe probe = {.f = *state};

    run_name(&probe, "127.0.0.1-127.0.0.2", 1);
    assert_end(&probe, NET_END_FAILED, NET_PHASE_TCP,
               "no address answered: 127.0.0.1:1, 127.0.0.2:1: connection refused");
}

static void test_the_second_address_answers(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    peer_start(&peer, script_accept);
    run_name(&probe, "127.0.0.3-127.0.0.1", peer.port);
    peer_stop(&peer);
    assert_string_equal(probe.trace, "connected open closed");
    assert_int_equal(probe.end.kind, NET_END_CLOSE);
}

static void test_no_such_name(void **state)
{
    struct probe probe = {.f = *state};

    run_name(&probe, "nosuch", 1);
    assert_end(&probe, NET_END_FAILED, NET_PHASE_DNS, "resolve nosuch: Name or service not known");
}

static void test_name_server_that_is_silent(void **state)
{
    struct probe probe = {.f = *state, .options = probe_options()};

    probe.options.dns_timeout_ms = 20;
    run_name(&probe, "hang", 1);
    assert_end(&probe, NET_END_TIMEOUT, NET_PHASE_DNS, "resolve hang: no answer within 0.02 s");
    usleep(150000); /* the thread comes back: for the leak checker's sake */
}

static void test_plaintext_leaves_no_machine(void **state)
{
    struct probe probe = {.f = *state};

    run_name(&probe, "192.0.2.1", 80);
    assert_end(&probe, NET_END_FAILED, NET_PHASE_TCP,
               "connect to 192.0.2.1:80: refused: not encrypted, and not a loopback address "
               "(plaintext = yes allows it)");
}

static void test_plaintext_to_the_loopback_address_of_a_name(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    peer_start(&peer, script_accept);
    run_name(&probe, "192.0.2.1-127.0.0.1", peer.port);
    peer_stop(&peer);
    assert_string_equal(probe.trace, "connected open closed");
}

/* 0.0.0.0 is no loopback address, and yet leads to this machine: so it can be tried here. */
static void test_plaintext_allowed(void **state)
{
    struct probe refused = {.f = *state}, allowed = {.f = *state, .options = probe_options()};

    run_name(&refused, "0.0.0.0", 1);
    assert_non_null(strstr(refused.end.text, "not encrypted"));
    allowed.options.allow_plaintext = true;
    run_name(&allowed, "0.0.0.0", 1);
    assert_non_null(strstr(allowed.end.text, "connection refused"));
}

/* A full backlog drops SYNs: the only silent address there is on loopback. */
static void test_address_that_is_silent(void **state)
{
    struct probe probe = {.f = *state, .options = probe_options()};
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof in;
    int server = socket(AF_INET, SOCK_STREAM, 0), fillers[4];
    char text[200];
    size_t i;

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(server, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(server, 0), 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&in, &len), 0);
    for (i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&in, sizeof in);
    }
    probe.options.tcp_timeout_ms = 50;
    run_name(&probe, "127.0.0.1", ntohs(in.sin_port));
    for (i = 0; i < 4; i++)
        close(fillers[i]);
    close(server);
    snprintf(text, sizeof text, "connect to 127.0.0.1:%u: no answer within 0.05 s",
             ntohs(in.sin_port));
    assert_end(&probe, NET_END_TIMEOUT, NET_PHASE_TCP, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_one_address_refused),
        io_test(test_all_addresses_refused),
        io_test(test_the_second_address_answers),
        io_test(test_no_such_name),
        io_test(test_name_server_that_is_silent),
        io_test(test_plaintext_leaves_no_machine),
        io_test(test_plaintext_to_the_loopback_address_of_a_name),
        io_test(test_plaintext_allowed),
        io_test(test_address_that_is_silent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
