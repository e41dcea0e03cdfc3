#include "service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/md.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/version.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>
#endif

#include "base/base64.h"
#include "bench.h"

enum { HANDSHAKE_S = 10, HEAD_MAX = 8192 };

static const int aes[] = {
#ifdef MBEDTLS_TLS1_3_AES_128_GCM_SHA256
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 0};
static const int chacha[] = {
#ifdef MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, 0};

/* ---- opening ---- */

static int on_random(void *arg, unsigned char *out, size_t n)
{
    (void)arg;
    return getrandom(out, n, 0) == (ssize_t)n ? 0 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static int parse_key(struct service *service, const char *key)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_parse_keyfile(&service->key, key, NULL, on_random, NULL);
#else
    return mbedtls_pk_parse_keyfile(&service->key, key, NULL);
#endif
}

static void configure_tls(struct service *service, const char *cert, const char *key,
                          const char *cipher)
{
    mbedtls_ssl_config *config = &service->config;

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    if (psa_crypto_init() != PSA_SUCCESS)
        die("TLS: the library cannot be initialized");
#endif
    mbedtls_ssl_config_init(config);
    mbedtls_x509_crt_init(&service->certificate);
    mbedtls_pk_init(&service->key);
    if (mbedtls_x509_crt_parse_file(&service->certificate, cert) != 0)
        die("%s: no certificate", cert);
    if (parse_key(service, key) != 0)
        die("%s: no key", key);
    if (mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0 ||
        mbedtls_ssl_conf_own_cert(config, &service->certificate, &service->key) != 0)
        die("TLS: no memory for the configuration");
    mbedtls_ssl_conf_rng(config, on_random, NULL);
    mbedtls_ssl_conf_ciphersuites(config, strcmp(cipher, "aes") == 0 ? aes : chacha);
}

void service_open(struct service *service, const char *cert, const char *key, const char *cipher)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    *service = (struct service){.secure = cipher != NULL};
    if (service->secure)
        configure_tls(service, cert, key, cipher);
    service->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (service->listener < 0 ||
        bind(service->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(service->listener, 16) != 0 ||
        getsockname(service->listener, (struct sockaddr *)&address, &len) != 0)
        die("listen: %s", strerror(errno));
    service->port = ntohs(address.sin_port);
}

/* ---- bytes out ---- */

static int on_send(void *arg, const unsigned char *bytes, size_t n)
{
    struct peer *peer = arg;

    return buf_append(&peer->out, bytes, n) == 0 ? (int)n : MBEDTLS_ERR_SSL_ALLOC_FAILED;
}

void peer_encode(struct peer *peer, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;

    if (!peer->secure && buf_append(&peer->out, bytes, n) != 0)
        die("no memory for %zu bytes", n);
    while (peer->secure && n > 0) {
        int rc = mbedtls_ssl_write(&peer->ssl, at, n);

        if (rc < 0)
            die("TLS: encrypting failed: -0x%x", -rc);
        at += rc;
        n -= (size_t)rc;
    }
}

bool peer_flush(struct peer *peer)
{
    while (peer->sent < peer->out.len) {
        ssize_t n =
            send(peer->fd, peer->out.data + peer->sent, peer->out.len - peer->sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0)
            die("send: %s", strerror(errno));
        peer->sent += (size_t)n;
    }
    buf_clear(&peer->out);
    peer->sent = 0;
    return true;
}

void peer_finish(struct peer *peer)
{
    while (!peer_flush(peer)) {
        struct pollfd fd = {.fd = peer->fd, .events = POLLIN | POLLOUT};

        poll(&fd, 1, -1);
        if (fd.revents & POLLIN && !peer_read(peer))
            die("the bridge closed the connection");
    }
}

size_t frame_header(unsigned char *out, unsigned opcode, size_t length)
{
    out[0] = (unsigned char)(0x80 | opcode);
    if (length < 126) {
        out[1] = (unsigned char)length;
        return 2;
    }
    out[1] = 126;
    out[2] = (unsigned char)(length >> 8);
    out[3] = (unsigned char)length;
    return 4;
}

void peer_pong(struct peer *peer)
{
    unsigned char header[4];

    if (!peer->pong_owed)
        return;
    peer->pong_owed = false;
    peer_encode(peer, header, frame_header(header, 10, peer->pong_len));
    peer_encode(peer, peer->pong, peer->pong_len);
    peer_finish(peer);
}

/* ---- bytes in ---- */

/* Before it waits for an answer, what it answers must be out. */
static int on_recv(void *arg, unsigned char *out, size_t n)
{
    struct peer *peer = arg;
    ssize_t got;

    if (!peer->open && !peer_flush(peer))
        return MBEDTLS_ERR_SSL_TIMEOUT;
    got = recv(peer->fd, out, n, 0);
    if (got < 0 && errno == EAGAIN)
        return peer->open ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_TIMEOUT;
    return got < 0 ? MBEDTLS_ERR_SSL_CONN_EOF : (int)got;
}

/* As read(2): 0 at the end, and -1 where there is nothing now. */
static ssize_t receive(struct peer *peer, void *out, size_t n)
{
    int rc;

    if (!peer->secure)
        return recv(peer->fd, out, n, 0);
    rc = mbedtls_ssl_read(&peer->ssl, out, n);
    if (rc == MBEDTLS_ERR_SSL_WANT_READ)
        errno = EAGAIN;
    return rc >= 0 ? rc : rc == MBEDTLS_ERR_SSL_WANT_READ ? -1 : 0;
}

/* One frame of a client, which is masked and, as what clients say here goes, short. Returns its
 * size, 0 where it is not complete. */
static size_t take_frame(struct peer *peer, const unsigned char *at, size_t n, bool *closed)
{
    size_t length;

    if (n < 6 || n < 6 + (size_t)(at[1] & 127))
        return 0;
    length = at[1] & 127;
    if (length > 125 || !(at[1] & 128))
        die("the bridge sent a frame that is long or not masked");
    if ((at[0] & 15) == 9) {
        for (size_t i = 0; i < length; i++)
            peer->pong[i] = at[6 + i] ^ at[2 + i % 4];
        peer->pong_len = length;
        peer->pong_owed = true;
    }
    *closed |= (at[0] & 15) == 8;
    return 6 + length;
}

bool peer_read(struct peer *peer)
{
    ssize_t n;
    bool closed = false;

    while ((n = receive(peer, peer->in + peer->in_len, sizeof peer->in - peer->in_len)) > 0) {
        size_t at = 0, size;

        peer->in_len += (size_t)n;
        while ((size = take_frame(peer, peer->in + at, peer->in_len - at, &closed)) > 0)
            at += size;
        peer->in_len -= at;
        memmove(peer->in, peer->in + at, peer->in_len);
    }
    return n < 0 && errno == EAGAIN && !closed;
}

/* ---- a connection's beginning ---- */

static bool handshake_tls(struct service *service, struct peer *peer)
{
    if (mbedtls_ssl_setup(&peer->ssl, &service->config) != 0)
        die("TLS: no memory for a connection");
    mbedtls_ssl_set_bio(&peer->ssl, peer, on_send, on_recv, NULL);
    return mbedtls_ssl_handshake(&peer->ssl) == 0 && peer_flush(peer);
}

static bool read_head(struct peer *peer, char *head, size_t size)
{
    size_t len = 0;

    while (len < size - 1) {
        ssize_t n = receive(peer, head + len, size - 1 - len);

        if (n <= 0)
            return false;
        len += (size_t)n;
        head[len] = '\0';
        if (strstr(head, "\r\n\r\n") != NULL)
            return true;
    }
    return false;
}

static void answer_page(struct peer *peer, uint64_t position)
{
    char body[128], answer[512];
    int n = snprintf(body, sizeof body,
                     "{\"data\":{\"events\":[],\"next_cursor\":%llu,\"has_more\":false}}",
                     (unsigned long long)position);

    n = snprintf(answer, sizeof answer,
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                 "Connection: close\r\n\r\n%s",
                 n, body);
    peer_encode(peer, answer, (size_t)n);
    if (peer->secure)
        (void)mbedtls_ssl_close_notify(&peer->ssl);
    (void)peer_flush(peer);
}

size_t upgrade_answer(const char *key, char *out, size_t size)
{
    char text[128];
    unsigned char sha1[20];
    struct buf accept;
    int n = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);

    buf_init(&accept, sizeof text);
    if (mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA1), (unsigned char *)text, (size_t)n,
                   sha1) != 0 ||
        base64_encode(&accept, sha1, sizeof sha1) != 0)
        die("the answer to the upgrade cannot be made");
    n = snprintf(out, size,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Accept: %.*s\r\n\r\n",
                 (int)accept.len, accept.data);
    buf_fini(&accept);
    return (size_t)n;
}

static void answer_upgrade(struct peer *peer, const char *key)
{
    static const char hello[] =
        "{\"type\":\"hello\",\"session_id\":\"0b54dc22-2f8d-4a3a-8c7e-3d1f0b9f6a11\","
        "\"server_name\":\"bench\",\"tenant_id\":\"bench\",\"ts\":\"2026-05-17T11:00:00Z\"}";
    char answer[512];
    unsigned char header[4];

    peer_encode(peer, answer, upgrade_answer(key, answer, sizeof answer));
    peer_encode(peer, header, frame_header(header, 1, sizeof hello - 1));
    peer_encode(peer, hello, sizeof hello - 1);
    if (!peer_flush(peer))
        die("the upgrade could not be sent");
}

/* What the connection asks for is answered; true: it asked for a WebSocket. */
static bool begin(struct service *service, struct peer *peer, uint64_t position)
{
    char head[HEAD_MAX];
    const char *key;

    if ((peer->secure && !handshake_tls(service, peer)) || !read_head(peer, head, sizeof head)) {
        fprintf(stderr, "blast: a connection ended before it had asked for anything\n");
        return false;
    }
    key = strcasestr(head, "\r\nSec-WebSocket-Key: ");
    if (key != NULL)
        answer_upgrade(peer, key + strlen("\r\nSec-WebSocket-Key: "));
    else
        answer_page(peer, position);
    return key != NULL;
}

struct peer *service_accept(struct service *service, uint64_t position)
{
    static const struct timeval patience = {.tv_sec = HANDSHAKE_S};
    struct peer *peer = calloc(1, sizeof *peer);
    int on = 1;

    if (peer == NULL)
        die("no memory for a connection");
    peer->secure = service->secure;
    mbedtls_ssl_init(&peer->ssl);
    buf_init(&peer->out, BUF_UNBOUNDED);
    peer->fd = accept4(service->listener, NULL, NULL, SOCK_CLOEXEC);
    if (peer->fd < 0)
        die("accept: %s", strerror(errno));
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (!begin(service, peer, position)) {
        peer_close(peer);
        return NULL;
    }
    fcntl(peer->fd, F_SETFL, O_NONBLOCK);
    peer->open = true;
    return peer;
}

const char *peer_cipher(const struct peer *peer)
{
    static char text[128];

    if (!peer->secure)
        return "";
    snprintf(text, sizeof text, "%s %s", mbedtls_ssl_get_version(&peer->ssl),
             mbedtls_ssl_get_ciphersuite(&peer->ssl));
    return text;
}

void peer_close(struct peer *peer)
{
    mbedtls_ssl_free(&peer->ssl);
    buf_fini(&peer->out);
    close(peer->fd);
    free(peer);
}
