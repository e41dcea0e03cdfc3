/* Sessions are resumed: on the next connection to the same host and port, if nothing speaks against
 * it; and what that spares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "peer.h"
#include "tls/tls_context.h"

static struct tls_context *new_context(void)
{
    struct tls_context *context;
    struct error err;
    char path[100];

    snprintf(path, sizeof path, "%s/rsa.pem", peer_dir);
    assert_int_equal(
        tls_context_new(&(struct tls_context_options){.ca_file = path}, &context, &err), 0);
    return context;
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

struct cost {
    bool resumed;
    size_t bytes;
    unsigned round_trips;
    int64_t us;
};

/* One connection: handshake, a line each way, goodbye. */
static struct cost connect_once(struct peer *peer, struct tls_context *context, const char *host,
                                uint16_t port)
{
    struct cost cost;
    struct error err;
    struct tls *tls;
    int64_t start;

    peer_reconnect(peer);
    start = now_us();
    assert_int_equal(tls_new(context, host, port, &tls, &err), 0);
    if (peer_handshake(peer, tls) != TLS_SUCCESS)
        fail_msg("%s", tls_error(tls)->text);
    cost = (struct cost){tls_resumed(tls), peer->sent + peer->received, peer->round_trips,
                         now_us() - start};
    assert_true((strstr(tls_describe(tls), ", resumed") != NULL) == tls_resumed(tls));
    /* What was verified once is told again. */
    assert_true(tls_peer_expiry_s(tls) > time(NULL));
    assert_string_equal(tls_peer_expiring(tls), "O=Test, CN=rsa, issued by O=Test, CN=rsa");
    peer_echo(peer, tls);
    assert_int_equal(tls_shutdown(tls), TLS_SUCCESS);
    peer_flush(peer, tls);
    tls_free(tls);
    return cost;
}

static void test_resumed(void **state)
{
    static const char *const options[] = {"-tls1_2", "-tls1_2 -no_ticket", ""};

    peer_skip();
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        struct peer peer = peer_start("rsa", options[i]);
        struct tls_context *context = new_context();
        struct cost full = connect_once(&peer, context, "a.example", 443);

        assert_false(full.resumed);
        for (unsigned n = 0; n < 3; n++) {
            struct cost again = connect_once(&peer, context, "a.example", 443);

            assert_true(again.resumed);
            assert_true(again.bytes < full.bytes);
            if (n == 0)
                printf("    s_server %-19s full %zu bytes, %u round trips, %.1f ms; resumed %zu, "
                       "%u, %.1f: %.2f of the bytes, %.2f of the time\n",
                       options[i], full.bytes, full.round_trips, (double)full.us / 1000,
                       again.bytes, again.round_trips, (double)again.us / 1000,
                       (double)again.bytes / (double)full.bytes,
                       (double)again.us / (double)full.us);
        }
        /* Another host or port of the same server, and another context, know nothing of it. */
        assert_false(connect_once(&peer, context, "127.0.0.1", 443).resumed);
        assert_false(connect_once(&peer, context, "a.example", 444).resumed);
        assert_true(connect_once(&peer, context, "a.example", 443).resumed);
        tls_context_unref(context);
        context = new_context();
        assert_false(connect_once(&peer, context, "a.example", 443).resumed);
        tls_context_unref(context);
        peer_stop(&peer);
    }
}

/* A server that has lost its keys and sessions does it in full, at once. */
static void test_server_forgot(void **state)
{
    static const char *const options[] = {"-tls1_2", "-tls1_2 -no_ticket", ""};

    peer_skip();
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        struct tls_context *context = new_context();
        struct peer peer = peer_start("rsa", options[i]);

        assert_false(connect_once(&peer, context, "a.example", 443).resumed);
        peer_stop(&peer);
        peer = peer_start("rsa", options[i]);
        assert_false(connect_once(&peer, context, "a.example", 443).resumed);
        assert_true(connect_once(&peer, context, "a.example", 443).resumed);
        peer_stop(&peer);
        tls_context_unref(context);
    }
}

/* A connection that ends in a fatal error takes its session along: RFC 5246 7.2.2. */
static void test_failed_connection(void **state)
{
    static const char record[] = "\x17\x03\x03\x00\x20"
                                 "01234567890123456789012345678901";
    struct tls_context *context;
    struct peer peer;
    struct error err;
    struct tls *tls;
    char byte;
    size_t n;

    peer_skip();
    context = new_context();
    peer = peer_start("rsa", "-tls1_2");
    peer_reconnect(&peer);
    assert_int_equal(tls_new(context, "a.example", 443, &tls, &err), 0);
    assert_int_equal(peer_handshake(&peer, tls), TLS_SUCCESS);
    tls_feed(tls, record, sizeof record - 1);
    assert_int_equal(tls_receive(tls, &byte, 1, &n), TLS_FAILED);
    tls_free(tls);
    assert_false(connect_once(&peer, context, "a.example", 443).resumed);
    assert_true(connect_once(&peer, context, "a.example", 443).resumed);
    peer_stop(&peer);
    tls_context_unref(context);
}

/* ---- what is kept ---- */

static struct tls_session *session(const char *host, uint16_t port, int64_t verified_s,
                                   int64_t valid_to_s)
{
    struct tls_session *made = calloc(1, sizeof *made);

    assert_non_null(made);
    mbedtls_ssl_session_init(&made->session);
    made->host = strdup(host);
    made->port = port;
    made->verified_s = verified_s;
    made->soonest.valid_to_s = valid_to_s;
    return made;
}

static bool has(struct tls_sessions *sessions, const char *host, uint16_t port, int64_t now_s)
{
    struct tls_session *found = tls_sessions_take(sessions, host, port, now_s);

    tls_session_free(found);
    return found != NULL;
}

static void test_bounded(void **state)
{
    struct tls_sessions sessions = {0};

    for (uint16_t port = 0; port < TLS_SESSIONS_MAX; port++)
        tls_sessions_put(&sessions, session("h", port, 1000, 2000));
    assert_true(has(&sessions, "h", 0, 1000));
    tls_sessions_put(&sessions, session("h", 0, 1000, 2000));
    tls_sessions_put(&sessions, session("h", 99, 1000, 2000)); /* one past: 1 is the oldest */
    assert_int_equal(sessions.n, TLS_SESSIONS_MAX);
    assert_false(has(&sessions, "h", 1, 1000));
    assert_true(has(&sessions, "h", 2, 1000));
    assert_true(has(&sessions, "h", 0, 1000));
    assert_false(has(&sessions, "h", 0, 1000)); /* offered once */
    assert_false(has(&sessions, "other", 99, 1000));
    tls_sessions_put(&sessions, session("h", 99, 1000, 2000)); /* in its place */
    assert_int_equal(sessions.n, TLS_SESSIONS_MAX - 2);
    tls_sessions_fini(&sessions);
    assert_int_equal(sessions.n, 0);
}

static void test_too_old(void **state)
{
    static const struct {
        int64_t valid_to_s, now_s;
        bool good;
    } rows[] = {
        {INT64_MAX, 1000, true},
        {INT64_MAX, 999, false}, /* the clock was set back */
        {INT64_MAX, 1000 + TLS_SESSION_AGE_S - 1, true},
        {INT64_MAX, 1000 + TLS_SESSION_AGE_S, false},
        {2000, 1999, true},
        {2000, 2000, false}, /* the certificate has expired since */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tls_sessions sessions = {0};

        tls_sessions_put(&sessions, session("h", 1, 1000, rows[i].valid_to_s));
        assert_int_equal(has(&sessions, "h", 1, rows[i].now_s), rows[i].good);
        assert_int_equal(sessions.n, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resumed),           cmocka_unit_test(test_server_forgot),
        cmocka_unit_test(test_failed_connection), cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_too_old),
    };

    return cmocka_run_group_tests(tests, peer_make_certificates, peer_remove_certificates);
}
