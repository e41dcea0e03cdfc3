#include "unit/net/peer.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mbedtls/version.h>

#include "base/base64.h"
#include "base/buf.h"
#include "tls/tls.h"

/* ---- TLS, server side ---- */

static mbedtls_ssl_config config;
static mbedtls_x509_crt certificate;
static mbedtls_pk_context key;
static bool configured;

static int on_random(void *arg, unsigned char *out, size_t n)
{
    (void)arg;
    return tls_random(out, n);
}

static void check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "peer: %s\n", what);
        abort();
    }
}

static void configure(void)
{
    int rc;

    mbedtls_ssl_config_init(&config);
    mbedtls_x509_crt_init(&certificate);
    mbedtls_pk_init(&key);
    rc = mbedtls_x509_crt_parse_file(&certificate, "tests/unit/net/localhost-cert.pem");
    check(rc == 0, "certificate");
#if MBEDTLS_VERSION_MAJOR >= 3
    rc = mbedtls_pk_parse_keyfile(&key, "tests/unit/net/localhost-key.pem", NULL, on_random, NULL);
#else
    rc = mbedtls_pk_parse_keyfile(&key, "tests/unit/net/localhost-key.pem", NULL);
#endif
    check(rc == 0, "key");
    rc = mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                     MBEDTLS_SSL_PRESET_DEFAULT);
    check(rc == 0 && mbedtls_ssl_conf_own_cert(&config, &certificate, &key) == 0, "configuration");
    mbedtls_ssl_conf_rng(&config, on_random, NULL);
    configured = true;
}

static void unconfigure(void)
{
    mbedtls_ssl_config_free(&config);
    mbedtls_x509_crt_free(&certificate);
    mbedtls_pk_free(&key);
    configured = false;
}

static int on_send(void *arg, const unsigned char *bytes, size_t n)
{
    ssize_t sent = send(((struct peer *)arg)->fd, bytes, n, MSG_NOSIGNAL);

    return sent > 0 ? (int)sent : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int on_recv(void *arg, unsigned char *bytes, size_t n)
{
    return (int)recv(((struct peer *)arg)->fd, bytes, n, 0);
}

static bool start_tls(struct peer *peer)
{
    mbedtls_ssl_init(&peer->ssl);
    if (mbedtls_ssl_setup(&peer->ssl, &config) != 0)
        return false;
    mbedtls_ssl_set_bio(&peer->ssl, peer, on_send, on_recv, NULL);
    return mbedtls_ssl_handshake(&peer->ssl) == 0;
}

/* ---- life ---- */

static void *peer_main(void *arg)
{
    struct peer *peer = arg;

    for (;;) {
        int one = 1;

        peer->fd = accept(peer->listener, NULL, NULL);
        if (peer->fd < 0)
            break;
        setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (!peer->tls || start_tls(peer))
            peer->script(peer);
        if (peer->tls)
            mbedtls_ssl_free(&peer->ssl);
        close(peer->fd);
    }
    return NULL;
}

void peer_start(struct peer *peer, peer_script script)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof in;

    if (peer->tls)
        configure();
    peer->script = script;
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(bind(peer->listener, (struct sockaddr *)&in, sizeof in) == 0, "bind");
    check(listen(peer->listener, 16) == 0, "listen");
    check(getsockname(peer->listener, (struct sockaddr *)&in, &len) == 0, "getsockname");
    peer->port = ntohs(in.sin_port);
    check(pthread_create(&peer->thread, NULL, peer_main, peer) == 0, "thread");
}

void peer_stop(struct peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR); /* wakes accept() */
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    if (configured)
        unconfigure();
}

/* ---- bytes ---- */

static bool send_some(struct peer *peer, const char *bytes, size_t n)
{
    while (n != 0) {
        long sent = peer->tls ? mbedtls_ssl_write(&peer->ssl, (const unsigned char *)bytes, n)
                              : send(peer->fd, bytes, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

void peer_send(struct peer *peer, const void *bytes, size_t n)
{
    const char *at = bytes;
    size_t i;

    if (!peer->bytewise) {
        (void)send_some(peer, at, n);
        return;
    }
    for (i = 0; i < n && send_some(peer, at + i, 1); i++)
        usleep(50);
}

void peer_say(struct peer *peer, const char *text)
{
    peer_send(peer, text, strlen(text));
}

long peer_recv(struct peer *peer, void *bytes, size_t n)
{
    return peer->tls ? mbedtls_ssl_read(&peer->ssl, bytes, n) : recv(peer->fd, bytes, n, 0);
}

static bool recv_all(struct peer *peer, void *bytes, size_t n)
{
    char *at = bytes;

    while (n != 0) {
        long got = peer_recv(peer, at, n);

        if (got <= 0)
            return false;
        at += got;
        n -= (size_t)got;
    }
    return true;
}

void peer_reset(struct peer *peer)
{
    struct linger hard = {.l_onoff = 1};

    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

void peer_wait(struct peer *peer)
{
    char bytes[4096];

    while (peer_recv(peer, bytes, sizeof bytes) > 0)
        ;
}

/* ---- HTTP ---- */

bool peer_read_request(struct peer *peer)
{
    size_t n = 0;

    for (;;) {
        if (n == sizeof peer->request - 1 || !recv_all(peer, peer->request + n, 1))
            return false;
        peer->request[++n] = '\0';
        if (n >= 4 && memcmp(peer->request + n - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
}

void peer_accept_key(const struct peer *peer, char out[32])
{
    const char *at = strstr(peer->request, "Sec-WebSocket-Key: ");
    char input[64];
    uint8_t sha1[20];
    struct buf text;

    check(at != NULL, "no key in the upgrade request");
    snprintf(input, sizeof input, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", at + 19);
    tls_sha1(input, strlen(input), sha1);
    buf_init(&text, 32);
    check(base64_encode(&text, sha1, sizeof sha1) == 0, "base64");
    snprintf(out, 32, "%s", buf_cstr(&text));
    buf_fini(&text);
}

void peer_accept_upgrade(struct peer *peer)
{
    char accept_key[32], answer[256];

    if (!peer_read_request(peer))
        return;
    peer_accept_key(peer, accept_key);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             accept_key);
    peer_say(peer, answer);
}

/* ---- frames ---- */

void peer_frame(struct peer *peer, int opcode, const void *payload, size_t n)
{
    uint8_t *frame = malloc(n + 10);
    size_t at = 2;
    int i;

    check(frame != NULL, "memory");
    frame[0] = (uint8_t)opcode;
    if (n < 126) {
        frame[1] = (uint8_t)n;
    } else if (n < 65536) {
        frame[1] = 126;
        frame[at++] = (uint8_t)(n >> 8);
        frame[at++] = (uint8_t)n;
    } else {
        frame[1] = 127;
        for (i = 7; i >= 0; i--)
            frame[at++] = (uint8_t)(n >> (8 * i));
    }
    if (n != 0)
        memcpy(frame + at, payload, n);
    peer_send(peer, frame, at + n);
    free(frame);
}

void peer_text(struct peer *peer, const char *text)
{
    peer_frame(peer, 0x81, text, strlen(text));
}

void peer_close_frame(struct peer *peer, int code, const char *reason)
{
    uint8_t payload[125];
    size_t n = strlen(reason);

    check(n <= 123, "reason");
    payload[0] = (uint8_t)(code >> 8);
    payload[1] = (uint8_t)code;
    memcpy(payload + 2, reason, n);
    peer_frame(peer, 0x88, payload, n + 2);
    peer->said_close = true;
}

static void note_frame(struct peer *peer, int opcode, const uint8_t *payload, size_t n)
{
    size_t kept = n < sizeof peer->last - 1 ? n : sizeof peer->last - 1;

    memcpy(peer->last, payload, kept);
    peer->last[kept] = '\0';
    peer->pings += opcode == 9;
    peer->pongs += opcode == 10;
    peer->messages += opcode == 1 || opcode == 2;
    if (opcode == 8) {
        peer->closes++;
        peer->close_code = n >= 2 ? payload[0] << 8 | payload[1] : 1005;
    }
}

bool peer_read_frame(struct peer *peer)
{
    uint8_t head[2], length[8], mask[4];
    uint8_t *payload;
    size_t n, i;
    bool ok;

    if ((peer->closes != 0 && peer->said_close) || !recv_all(peer, head, 2))
        return false;
    check((head[0] & 0xF0) == 0x80 && (head[1] & 0x80), "a frame that is not final, or not masked");
    n = head[1] & 0x7F;
    if (n >= 126) {
        size_t bytes = n == 126 ? 2 : 8;

        if (!recv_all(peer, length, bytes))
            return false;
        for (n = 0, i = 0; i < bytes; i++)
            n = n << 8 | length[i];
    }
    payload = malloc(n + 1);
    check(payload != NULL, "memory");
    ok = recv_all(peer, mask, 4) && recv_all(peer, payload, n);
    for (i = 0; ok && i < n; i++)
        payload[i] ^= mask[i % 4];
    if (ok)
        note_frame(peer, head[0] & 0x0F, payload, n);
    free(payload);
    return ok;
}

void peer_read_frames(struct peer *peer)
{
    while (peer_read_frame(peer))
        ;
    peer->hung_up = true;
}
