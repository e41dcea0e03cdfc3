/* Everything that can become of a link before it is open. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "unit/net/link_probe.h"

static void assert_end(const struct probe *probe, enum net_end_kind kind, enum net_phase phase,
                       int code, const char *text)
{
    assert_true(probe->closed);
    assert_int_equal(probe->end.kind, kind);
    assert_int_equal(probe->end.phase, phase);
    assert_int_equal(probe->end.code, code);
    assert_false(probe->end.local);
    assert_string_equal(probe->end.text, text);
}

static void assert_end_starts(const struct probe *probe, enum net_end_kind kind,
                              enum net_phase phase, const char *text)
{
    assert_true(probe->closed);
    assert_int_equal(probe->end.kind, kind);
    assert_int_equal(probe->end.phase, phase);
    if (strncmp(probe->end.text, text, strlen(text)) != 0)
        fail_msg("\"%s\" does not start with \"%s\"", probe->end.text, text);
}

static struct net_options with_tls(void)
{
    struct net_options options = probe_options();
    struct error err;

    assert_int_equal(
        tls_context_new(
            &(struct tls_context_options){.ca_file = "tests/unit/net/localhost-cert.pem"},
            &options.tls, &err),
        0);
    return options;
}

static void script_silent(struct peer *peer)
{
    peer_wait(peer);
}

/* ---- answers that are no 101 ---- */

static void script_broken_403(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nnot youX");
    peer_wait(peer);
}

static void test_status_with_a_broken_body(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_broken_403);
    assert_end(&probe, NET_END_STATUS, NET_PHASE_UPGRADE, 403, "not you");
}

static void script_404(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 404 Not Found\r\nContent-Length: 23\r\nRetry-After: 7\r\n\r\n"
                   "no such\r\n\x01 page \xFF here\n");
    peer_wait(peer);
}

static void test_status_with_body(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_404);
    assert_string_equal(probe.trace, "connected closed");
    assert_end(&probe, NET_END_STATUS, NET_PHASE_UPGRADE, 404, "no such page ? here");
    assert_int_equal(probe.end.retry_after_ms, 7000);
}

static void script_503(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    peer_wait(peer);
}

static void test_status_without_body(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_503);
    assert_end(&probe, NET_END_STATUS, NET_PHASE_UPGRADE, 503, "HTTP status 503");
    assert_int_equal(probe.end.retry_after_ms, -1);
}

static void script_302(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 302 Found\r\nLocation: wss://other.example/x\r\n"
                   "Content-Length: 4\r\n\r\nbody");
    peer_wait(peer);
}

static void test_redirect_tells_where(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_302);
    assert_end(&probe, NET_END_STATUS, NET_PHASE_UPGRADE, 302, "Location: wss://other.example/x");
    assert_int_equal(probe.refused_status, 302);
    assert_string_equal(probe.location, "wss://other.example/x");
}

static void script_200(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>welcome</html>");
}

static void test_upgrade_stripped(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_200);
    assert_end(&probe, NET_END_STRIPPED, NET_PHASE_UPGRADE, 200, "<html>welcome</html>");
}

static void script_endless_body(struct peer *peer)
{
    char page[LIMIT_HTTP_ERROR_BODY + 1];

    memset(page, 'x', sizeof page);
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 500 Oops\r\n\r\n");
    peer_send(peer, page, sizeof page);
    peer_wait(peer);
}

static void test_body_that_never_ends(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_endless_body);
    assert_end_starts(&probe, NET_END_STATUS, NET_PHASE_UPGRADE, "xxxx");
    assert_int_equal(strlen(probe.end.text), sizeof probe.end.text - 1);
}

static void script_stuck_body(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nkey not rec");
    peer_wait(peer);
}

static void test_body_that_gets_stuck(void **state)
{
    struct probe probe = {.f = *state, .options = probe_options()};
    struct peer peer = {0};

    probe.options.upgrade_timeout_ms = 50;
    probe_run(&probe, &peer, script_stuck_body);
    assert_end(&probe, NET_END_STATUS, NET_PHASE_UPGRADE, 403, "key not rec");
}

static void script_cut_body(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nkey not rec");
}

static void test_body_that_is_cut(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_cut_body);
    assert_end(&probe, NET_END_STATUS, NET_PHASE_UPGRADE, 403, "key not rec");
}

static void script_empty(struct peer *peer)
{
    (void)peer_read_request(peer);
}

static void test_no_answer_at_all(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_empty);
    assert_end(&probe, NET_END_CUT, NET_PHASE_UPGRADE, 0,
               "connection closed without an answer to the upgrade");
}

static void script_garbage(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "SSH-2.0-OpenSSH_9.2\r\n");
    peer_wait(peer);
}

static void test_no_http_at_all(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_garbage);
    assert_true(probe.closed);
    assert_int_equal(probe.end.kind, NET_END_HANDSHAKE);
    assert_int_equal(probe.end.phase, NET_PHASE_UPGRADE);
    assert_true(probe.end.text[0] != '\0');
}

/* ---- a 101 that is not valid ---- */

static void script_bad_accept(struct peer *peer)
{
    (void)peer_read_request(peer);
    peer_say(peer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"
                   "\r\n");
    peer_wait(peer);
}

static void test_bad_accept(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_bad_accept);
    assert_string_equal(probe.trace, "connected closed");
    assert_int_equal(probe.end.kind, NET_END_HANDSHAKE);
    assert_non_null(strstr(probe.end.text, "Sec-WebSocket-Accept"));
}

static void script_unasked_protocol(struct peer *peer)
{
    char key[32], answer[300];

    (void)peer_read_request(peer);
    peer_accept_key(peer, key);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
             key);
    peer_say(peer, answer);
    peer_wait(peer);
}

static void test_subprotocol_not_asked_for(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_unasked_protocol);
    assert_int_equal(probe.end.kind, NET_END_HANDSHAKE);
    assert_non_null(strstr(probe.end.text, "ubprotocol"));
}

/* All is right but the version, which knows no upgrade (RFC 9110 7.8). */
static void script_old_version(struct peer *peer)
{
    char key[32], answer[300];

    (void)peer_read_request(peer);
    peer_accept_key(peer, key);
    snprintf(answer, sizeof answer,
             "HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             key);
    peer_say(peer, answer);
    peer_wait(peer);
}

static void test_old_version(void **state)
{
    struct probe probe = {.f = *state};
    struct peer peer = {0};

    probe_run(&probe, &peer, script_old_version);
    assert_string_equal(probe.trace, "connected closed");
    assert_int_equal(probe.end.kind, NET_END_HANDSHAKE);
    assert_non_null(strstr(probe.end.text, "HTTP/1.0"));
}

/* ---- silence, and who is to blame ---- */

static void test_silence_after_the_request(void **state)
{
    struct probe probe = {.f = *state, .options = probe_options()};
    struct peer peer = {0};
    char text[200];

    probe.options.upgrade_timeout_ms = 50;
    probe_run(&probe, &peer, script_silent);
    snprintf(text, sizeof text, "upgrade request to 127.0.0.1:%u: no answer within 0.05 s",
             peer.port);
    assert_end(&probe, NET_END_TIMEOUT, NET_PHASE_UPGRADE, 0, text);
}

static void open_wss(struct probe *probe, const struct peer *peer)
{
    char url[100];

    snprintf(url, sizeof url, "wss://127.0.0.1:%u/", peer->port);
    probe_open_url(probe, url);
}

static void run_tls_against_plain(struct probe *probe, struct peer *peer, peer_script script)
{
    peer_start(peer, script);
    open_wss(probe, peer);
    fixture_run(probe->f, 1);
    peer_stop(peer);
    tls_context_unref(probe->options.tls);
}

static void test_silence_in_the_tls_handshake(void **state)
{
    struct probe probe = {.f = *state, .options = with_tls()};
    struct peer peer = {0};
    char text[200];

    probe.options.tls_timeout_ms = 50;
    run_tls_against_plain(&probe, &peer, script_silent);
    snprintf(text, sizeof text, "TLS handshake with 127.0.0.1:%u: not finished within 0.05 s",
             peer.port);
    assert_string_equal(probe.trace, "closed");
    assert_end(&probe, NET_END_TIMEOUT, NET_PHASE_TLS, 0, text);
}

static void script_hang_up_in_tls(struct peer *peer)
{
    char byte;

    (void)peer_recv(peer, &byte, 1);
    shutdown(peer->fd, SHUT_WR);
    peer_wait(peer);
}

static void test_end_in_the_tls_handshake(void **state)
{
    struct probe probe = {.f = *state, .options = with_tls()};
    struct peer peer = {0};
    char text[200];

    run_tls_against_plain(&probe, &peer, script_hang_up_in_tls);
    snprintf(text, sizeof text, "connection closed in the TLS handshake with 127.0.0.1:%u",
             peer.port);
    assert_end(&probe, NET_END_CUT, NET_PHASE_TLS, 0, text);
}

static void script_plaintext(struct peer *peer)
{
    peer_say(peer, "HTTP/1.1 400 Bad Request\r\n\r\n");
    peer_wait(peer);
}

static void test_no_tls_on_the_port(void **state)
{
    struct probe probe = {.f = *state, .options = with_tls()};
    struct peer peer = {0};

    run_tls_against_plain(&probe, &peer, script_plaintext);
    assert_end_starts(&probe, NET_END_FAILED, NET_PHASE_TLS, "the server does not speak TLS");
}

/* ---- arguments ---- */

static int open_with(struct fixture *f, const char *url, const char *headers, struct error *err)
{
    static const struct net_link_events events;
    struct net_options options = probe_options();
    struct net_link *link;

    return net_link_open(f->loop, &options, slice_str(url), slice_str(headers), SLICE(""), 1000,
                         &events, NULL, &link, err);
}

static void test_bad_arguments(void **state)
{
    struct error err;

    assert_int_equal(open_with(*state, "http://127.0.0.1/", "", &err), ERR_INVAL);
    assert_string_equal(err.text, "a link wants a ws:// or wss:// URL");
    assert_int_equal(open_with(*state, "wss://127.0.0.1/", "", &err), ERR_INVAL);
    assert_string_equal(err.text, "no trust anchors are loaded, and the URL wants TLS");
    assert_int_equal(open_with(*state, "ws://127.0.0.1/", "X: a\r\nB", &err), ERR_INVAL);
    assert_true(open_with(*state, "nonsense", "", &err) < 0);
}

static void test_phases_have_names(void **state)
{
    (void)state;
    assert_string_equal(net_phase_name(NET_PHASE_DNS), "dns");
    assert_string_equal(net_phase_name(NET_PHASE_TCP), "tcp");
    assert_string_equal(net_phase_name(NET_PHASE_TLS), "tls");
    assert_string_equal(net_phase_name(NET_PHASE_UPGRADE), "upgrade");
    assert_string_equal(net_phase_name(NET_PHASE_OPEN), "open");
    assert_string_equal(net_phase_name(NET_PHASE_HTTP), "http");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_status_with_body),
        io_test(test_status_with_a_broken_body),
        io_test(test_status_without_body),
        io_test(test_redirect_tells_where),
        io_test(test_upgrade_stripped),
        io_test(test_body_that_never_ends),
        io_test(test_body_that_gets_stuck),
        io_test(test_body_that_is_cut),
        io_test(test_no_answer_at_all),
        io_test(test_no_http_at_all),
        io_test(test_bad_accept),
        io_test(test_subprotocol_not_asked_for),
        io_test(test_old_version),
        io_test(test_silence_after_the_request),
        io_test(test_silence_in_the_tls_handshake),
        io_test(test_end_in_the_tls_handshake),
        io_test(test_no_tls_on_the_port),
        io_test(test_bad_arguments),
        io_test(test_phases_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
