/* Through a proxy: what is said to it, what its answers mean, what goes past it. */
#include "unit/net/link_probe.h"

#include "net/memory.h"
#include "net/proxy.h"

/* ---- what goes past ---- */

static void test_exempt(void **state)
{
    static const struct {
        const char *list, *host;
        uint16_t port;
        bool exempt;
    } rows[] = {
        {"", "example.com", 443, false},
        {"*", "example.com", 443, true},
        {"example.com", "example.com", 443, true},
        {"example.com", "EXAMPLE.com.", 443, true},
        {"example.com", "a.b.example.com", 443, true},
        {"example.com", "notexample.com", 443, false},
        {"example.com", "example.com.evil.test", 443, false},
        {".example.com", "example.com", 443, false},
        {".example.com", "a.example.com", 443, true},
        {"*.example.com", "a.example.com", 443, true},
        {"*.example.com", "example.com", 443, false},
        {"a.test, b.test\tc.test", "c.test", 443, true},
        {",, b.test,", "b.test", 443, true},
        {"example.com:443", "example.com", 443, true},
        {"example.com:443", "example.com", 80, false},
        {"example.com:", "example.com", 80, false},
        {"example.com:x", "example.com", 80, false},
        {"192.0.2.1", "192.0.2.1", 443, true},
        {"192.0.2.1:80", "192.0.2.1", 443, false},
        {"192.0.2.1", "192.0.2.10", 443, false},
        {"10.0.0.0/8", "10.255.255.255", 443, true},
        {"10.0.0.0/8", "11.0.0.0", 443, false},
        {"10.64.0.0/10", "10.127.0.1", 443, true},
        {"10.64.0.0/10", "10.128.0.1", 443, false},
        {"0.0.0.0/0", "203.0.113.7", 443, true},
        {"0.0.0.0/0", "2001:db8::1", 443, false},
        {"0.0.0.0/0", "example.com", 443, false},
        {"192.0.2.1/32", "192.0.2.1", 443, true},
        {"192.0.2.1/33", "192.0.2.1", 443, false},
        {"192.0.2.1/-1", "192.0.2.1", 443, false},
        {"192.0.2.1/", "192.0.2.1", 443, false},
        {"10.0.0.0/8", "10.evil.test", 443, false},
        {"2001:db8::/32", "2001:db8:ffff::1", 443, true},
        {"2001:db8::/32", "2001:db9::1", 443, false},
        {"2001:db8::1", "2001:DB8:0::1", 443, true},
        {"[2001:db8::1]", "2001:db8::1", 443, true},
        {"[2001:db8::1]:443", "2001:db8::1", 443, true},
        {"[2001:db8::1]:80", "2001:db8::1", 443, false},
        {"[2001:db8::1", "2001:db8::1", 443, false},
        {"192.0.2.1", "::ffff:192.0.2.1", 443, true},
        {"/", "example.com", 443, false},
        {":", "example.com", 443, false},
        {".", "example.com", 443, false},
        {"", "localhost", 443, true},
        {"", "a.localhost", 443, true},
        {"", "127.3.2.1", 443, true},
        {"", "::1", 443, true},
        {"", "localhost.evil.test", 443, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (net_proxy_exempt(slice_str(rows[i].list), slice_str(rows[i].host), rows[i].port) !=
            rows[i].exempt)
            fail_msg("\"%s\" and %s:%u", rows[i].list, rows[i].host, rows[i].port);
    }
}

/* ---- the order of addresses ---- */

static struct io_address at(const char *ip)
{
    struct io_address address;

    assert_true(io_address_parse(ip, 443, &address));
    return address;
}

static void assert_order(struct net_memory *memory, int64_t now_ms, const char *before,
                         const char *after)
{
    struct io_address addresses[IO_ADDRESSES_MAX];
    char words[200], got[400] = "", text[64], *word, *save;
    unsigned n = 0;

    snprintf(words, sizeof words, "%s", before);
    for (word = strtok_r(words, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
        addresses[n++] = at(word);
    net_memory_order(memory, "Host.test", addresses, n, now_ms);
    for (unsigned i = 0; i < n; i++) {
        io_address_format(&addresses[i], text, sizeof text);
        *strrchr(text, ':') = '\0';
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i != 0 ? " " : "", text);
    }
    assert_string_equal(got, after);
}

static void test_families_take_turns(void **state)
{
    (void)state;
    assert_order(NULL, 0, "", "");
    assert_order(NULL, 0, "::2", "[::2]");
    assert_order(NULL, 0, "::2 ::3 ::4 1.1.1.1 2.2.2.2", "[::2] 1.1.1.1 [::3] 2.2.2.2 [::4]");
    assert_order(NULL, 0, "1.1.1.1 2.2.2.2 ::2", "1.1.1.1 [::2] 2.2.2.2");
    assert_order(NULL, 0, "1.1.1.1 2.2.2.2 3.3.3.3", "1.1.1.1 2.2.2.2 3.3.3.3");
}

static void test_what_answered_comes_first(void **state)
{
    struct net_memory *memory;
    struct io_address v4 = at("2.2.2.2"), gone = at("9.9.9.9");

    (void)state;
    assert_int_equal(net_memory_new(&memory), 0);
    net_memory_learn(memory, "host.test", &v4, 1000);
    assert_order(memory, 1000, "::2 ::3 1.1.1.1 2.2.2.2", "2.2.2.2 [::2] 1.1.1.1 [::3]");
    /* Using it does not make it younger. */
    net_memory_learn(memory, "HOST.test", &v4, 999 + NET_MEMORY_MS);
    assert_order(memory, 999 + NET_MEMORY_MS, "::2 2.2.2.2", "2.2.2.2 [::2]");
    assert_order(memory, 1000 + NET_MEMORY_MS, "::2 2.2.2.2", "[::2] 2.2.2.2");
    net_memory_learn(memory, "host.test", &v4, 1000 + NET_MEMORY_MS);
    assert_order(memory, 1000 + NET_MEMORY_MS, "::2 2.2.2.2", "2.2.2.2 [::2]");
    net_memory_forget(memory, "host.test", &gone);
    assert_order(memory, 1000 + NET_MEMORY_MS, "::2 2.2.2.2", "2.2.2.2 [::2]");
    net_memory_forget(memory, "host.test", &v4);
    assert_order(memory, 1000 + NET_MEMORY_MS, "::2 2.2.2.2", "[::2] 2.2.2.2");
    net_memory_learn(memory, "host.test", &gone, 5000);
    assert_order(memory, 5000, "::2 2.2.2.2", "[::2] 2.2.2.2");
    net_memory_free(memory);
    net_memory_free(NULL);
}

static void test_memory_at_its_bound_and_past_it(void **state)
{
    struct net_memory *memory;
    struct io_address v4 = at("2.2.2.2");
    char host[32];

    (void)state;
    assert_int_equal(net_memory_new(&memory), 0);
    net_memory_learn(memory, "host.test", &v4, 1);
    for (int i = 1; i < NET_MEMORY_HOSTS; i++) {
        snprintf(host, sizeof host, "other%d.test", i);
        net_memory_learn(memory, host, &v4, 1 + i);
    }
    assert_order(memory, 100, "::2 2.2.2.2", "2.2.2.2 [::2]");
    net_memory_learn(memory, "one-more.test", &v4, 100);
    assert_order(memory, 100, "::2 2.2.2.2", "[::2] 2.2.2.2");
    net_memory_free(memory);
}

/* ---- the tunnel ---- */

static struct net_proxy proxy;

static void run_through(struct probe *probe, struct peer *peer, peer_script script, const char *url)
{
    peer_start(peer, script);
    probe->options = probe_options();
    probe->options.proxy_timeout_ms = GUARD_MS;
    proxy.host = SLICE("127.0.0.1");
    proxy.port = peer->port;
    probe->options.proxy = &proxy;
    probe_open_url(probe, url);
    fixture_run(probe->f, 1);
    io_timer_close(probe->timer);
    peer_stop(peer);
}

static void script_tunnel(struct peer *peer)
{
    char key[32], answer[300];

    if (!peer_read_request(peer))
        return;
    memcpy(peer->last, peer->request, sizeof peer->last - 1);
    peer_say(peer, "HTTP/1.1 200 Go\r\nContent-Length: 7\r\n\r\n");
    if (!peer_read_request(peer))
        return;
    peer_accept_key(peer, key);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             key);
    peer_say(peer, answer);
    peer_close_frame(peer, 1000, "");
    peer_wait(peer);
}

static void test_tunnel(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {.bytewise = true};

    proxy = (struct net_proxy){.user = SLICE("Aladdin"), .password = SLICE("open sesame")};
    run_through(&probe, &peer, script_tunnel, "ws://localhost:81/x");
    assert_string_equal(probe.trace, "connected open closed");
    /* RFC 7617 section 2 has this very login. */
    assert_string_equal(peer.last, "CONNECT localhost:81 HTTP/1.1\r\nHost: localhost:81\r\n"
                                   "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"
                                   "\r\n");
    assert_null(strstr(peer.request, "Proxy-"));
}

static void script_refuse(struct peer *peer)
{
    if (peer_read_request(peer))
        peer_say(peer, "HTTP/1.1 407 Who?\r\nRetry-After: 7\r\nContent-Type: text/html\r\n"
                       "Proxy-Authenticate: Digest x=1\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
                       "Content-Length: 80\r\n\r\n<html><title>Cache Access\nDenied</title>");
}

static void test_refused_with_a_body_that_breaks_off(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {.bytewise = true};
    char text[300];

    proxy = (struct net_proxy){.user = {NULL, 0}};
    run_through(&probe, &peer, script_refuse, "ws://[::1]:81/x");
    assert_int_equal(probe.end.kind, NET_END_STATUS);
    assert_int_equal(probe.end.phase, NET_PHASE_PROXY);
    assert_int_equal(probe.end.code, 407);
    assert_int_equal(probe.end.retry_after_ms, 7000);
    assert_int_equal(probe.refused_status, 0);
    snprintf(text, sizeof text,
             "proxy 127.0.0.1:%u refuses CONNECT [::1]:81: status 407: it wants a login; set "
             "proxy = http://USER@HOST:PORT, proxy_password: Cache Access Denied",
             peer.port);
    assert_string_equal(probe.end.text, text);
}

static void test_bad_arguments(void **state)
{
    static const struct net_link_events events = {.on_closed = NULL};
    struct fixture *f = *state;
    struct net_options options = probe_options();
    struct net_link *link;
    struct error err;

    proxy = (struct net_proxy){
        .host = SLICE("127.0.0.1"), .port = 1, .user = SLICE("a\rb"), .password = SLICE("")};
    options.proxy = &proxy;
    assert_int_equal(net_link_open(f->loop, &options, SLICE("ws://localhost/"), SLICE(""),
                                   SLICE(""), 100, &events, NULL, &link, &err),
                     ERR_INVAL);
    proxy.user = SLICE("a:b");
    assert_int_equal(net_link_open(f->loop, &options, SLICE("ws://localhost/"), SLICE(""),
                                   SLICE(""), 100, &events, NULL, &link, &err),
                     ERR_INVAL);
    proxy.user = SLICE("a");
    assert_int_equal(net_link_open(f->loop, &options, SLICE("ws://chat.test/"), SLICE(""),
                                   SLICE(""), 100, &events, NULL, &link, &err),
                     ERR_PERM);
    assert_string_equal(err.text, "connect to chat.test:80 through a proxy: refused: not "
                                  "encrypted, and not a loopback address (plaintext = yes allows "
                                  "it)");
}

/* localhost is here, but to a proxy elsewhere it is there. 0.0.0.0 is no loopback address. */
static void test_plaintext_leaves_no_machine(void **state)
{
    struct probe probe = {.f = *state, .options = probe_options()};

    proxy = (struct net_proxy){.host = SLICE("0.0.0.0"), .port = 1};
    probe.options.proxy = &proxy;
    probe_open_url(&probe, "ws://localhost/");
    fixture_run(probe.f, 1);
    io_timer_close(probe.timer);
    assert_int_equal(probe.end.phase, NET_PHASE_TCP);
    assert_string_equal(
        probe.end.text,
        "proxy 0.0.0.0:1: connect to 0.0.0.0:1: refused: not encrypted, and not a loopback "
        "address (plaintext = yes allows it)");
}

/* Ended while the proxy is asked: nothing follows, nothing is left. */
static void script_wait(struct peer *peer)
{
    if (peer_read_request(peer))
        peer_say(peer, "HTTP/1.1 2");
    peer_wait(peer);
}

static void on_abort(void *arg)
{
    struct probe *probe = arg;

    net_link_abort(probe->link);
    probe->aborted = true;
    fixture_event(probe->f);
}

static void test_aborted_at_each_moment(void **state)
{
    for (int delay_ms = 0; delay_ms < 12; delay_ms++) {
        struct probe probe = {.f = *state, .options = probe_options()};
        struct peer peer = {0};
        struct io_timer *timer;

        peer_start(&peer, script_wait);
        proxy = (struct net_proxy){.host = SLICE("127.0.0.1"), .port = peer.port};
        probe.options.proxy = &proxy;
        probe.options.proxy_timeout_ms = GUARD_MS;
        probe_open_url(&probe, "ws://localhost/");
        assert_int_equal(io_timer_new(probe.f->loop, on_abort, &probe, &timer), 0);
        io_timer_set(timer, delay_ms);
        fixture_run(probe.f, 1);
        io_timer_close(timer);
        io_timer_close(probe.timer);
        fixture_run_ms(probe.f, 2);
        peer_stop(&peer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exempt),
        cmocka_unit_test(test_families_take_turns),
        cmocka_unit_test(test_what_answered_comes_first),
        cmocka_unit_test(test_memory_at_its_bound_and_past_it),
        io_test(test_tunnel),
        io_test(test_refused_with_a_body_that_breaks_off),
        io_test(test_bad_arguments),
        io_test(test_plaintext_leaves_no_machine),
        io_test(test_aborted_at_each_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
