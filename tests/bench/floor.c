/*
 * floor URL PATH [CA]: the least that a bridge in C on these libraries can do, as a measure for
 * hawserd: each message of one WebSocket becomes a line on a Unix socket. It does not look into
 * messages, keeps nothing, and does not come back after an error.
 *
 * It reads what there is, up to 64 KiB, has wslay make messages of it (its event API, which also
 * checks UTF-8), and writes their lines at once: copied together, for wslay frees a message when
 * its callback returns. The write blocks, so that a slow consumer slows the upstream down.
 */
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <wslay/wslay.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>
#endif

#include "bench.h"

enum { INPUT_BYTES = 64 * 1024 };

struct url {
    bool secure;
    char host[128], port[8], path[512];
};

struct bridge {
    int upstream, consumer;
    bool secure;
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config config;
    mbedtls_x509_crt anchors;
    wslay_event_context_ptr websocket;
    char input[INPUT_BYTES];
    size_t begin, end; /* what of it wslay has not taken */
    char *lines;
    size_t lines_len, lines_cap;
};

/* ---- bytes ---- */

static int on_random(void *arg, unsigned char *out, size_t n)
{
    (void)arg;
    return getrandom(out, n, 0) == (ssize_t)n ? 0 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static int on_tls_send(void *arg, const unsigned char *bytes, size_t n)
{
    struct bridge *bridge = arg;
    ssize_t sent = send(bridge->upstream, bytes, n, MSG_NOSIGNAL);

    if (sent < 0 && errno == EAGAIN)
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    return sent < 0 ? MBEDTLS_ERR_SSL_INTERNAL_ERROR : (int)sent;
}

static int on_tls_recv(void *arg, unsigned char *out, size_t n)
{
    struct bridge *bridge = arg;
    ssize_t got = recv(bridge->upstream, out, n, 0);

    if (got < 0 && errno == EAGAIN)
        return MBEDTLS_ERR_SSL_WANT_READ;
    return got < 0 ? MBEDTLS_ERR_SSL_INTERNAL_ERROR : (int)got;
}

/* As recv(2) without blocking. */
static ssize_t receive(struct bridge *bridge, void *out, size_t n)
{
    int rc;

    if (!bridge->secure)
        return recv(bridge->upstream, out, n, 0);
    rc = mbedtls_ssl_read(&bridge->ssl, out, n);
    errno = rc == MBEDTLS_ERR_SSL_WANT_READ ? EAGAIN : EIO;
    return rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY ? 0 : rc >= 0 ? rc : -1;
}

static ssize_t transmit(struct bridge *bridge, const void *bytes, size_t n)
{
    int rc;

    if (!bridge->secure)
        return send(bridge->upstream, bytes, n, MSG_NOSIGNAL);
    rc = mbedtls_ssl_write(&bridge->ssl, bytes, n);
    errno = rc == MBEDTLS_ERR_SSL_WANT_WRITE ? EAGAIN : EIO;
    return rc >= 0 ? rc : -1;
}

static void wait_for(struct bridge *bridge, short events)
{
    struct pollfd fd = {.fd = bridge->upstream, .events = events};

    poll(&fd, 1, -1);
}

/* All there is, as much as fits; waits until there is something. Exits at the end. */
static void fill(struct bridge *bridge)
{
    while (bridge->end < sizeof bridge->input) {
        size_t room = sizeof bridge->input - bridge->end;
        ssize_t n = receive(bridge, bridge->input + bridge->end, room);

        if (n == 0)
            exit(0);
        if (n < 0 && errno != EAGAIN)
            die("upstream: %s", strerror(errno));
        if (n > 0)
            bridge->end += (size_t)n;
        else if (bridge->end > bridge->begin)
            return;
        else
            wait_for(bridge, POLLIN);
        /* A short read of a socket has emptied it; one of TLS has ended with a record. */
        if (n > 0 && !bridge->secure && (size_t)n < room)
            return;
    }
}

static void transmit_all(struct bridge *bridge, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = transmit(bridge, bytes, n);

        if (sent < 0 && errno != EAGAIN)
            die("upstream: %s", strerror(errno));
        if (sent < 0)
            wait_for(bridge, POLLOUT);
        bytes += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
    }
}

/* ---- lines ---- */

static void add_line(struct bridge *bridge, const uint8_t *message, size_t n)
{
    if (bridge->lines_len + n + 1 > bridge->lines_cap) {
        bridge->lines_cap = 2 * (bridge->lines_len + n + 1);
        bridge->lines = realloc(bridge->lines, bridge->lines_cap);
        if (bridge->lines == NULL)
            die("no memory for %zu bytes", bridge->lines_cap);
    }
    memcpy(bridge->lines + bridge->lines_len, message, n);
    bridge->lines_len += n;
    bridge->lines[bridge->lines_len++] = '\n';
}

static void write_lines(struct bridge *bridge)
{
    for (size_t at = 0; at < bridge->lines_len;) {
        ssize_t n =
            send(bridge->consumer, bridge->lines + at, bridge->lines_len - at, MSG_NOSIGNAL);

        if (n < 0)
            die("consumer: %s", strerror(errno));
        at += (size_t)n;
    }
    bridge->lines_len = 0;
}

/* ---- the WebSocket ---- */

static ssize_t on_recv(wslay_event_context_ptr context, uint8_t *out, size_t n, int flags,
                       void *arg)
{
    struct bridge *bridge = arg;
    size_t left = bridge->end - bridge->begin;

    (void)flags;
    if (left == 0) {
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (n > left)
        n = left;
    memcpy(out, bridge->input + bridge->begin, n);
    bridge->begin += n;
    return (ssize_t)n;
}

static ssize_t on_send(wslay_event_context_ptr context, const uint8_t *bytes, size_t n, int flags,
                       void *arg)
{
    (void)context;
    (void)flags;
    transmit_all(arg, (const char *)bytes, n);
    return (ssize_t)n;
}

static int on_mask(wslay_event_context_ptr context, uint8_t *out, size_t n, void *arg)
{
    (void)context;
    return on_random(arg, out, n);
}

static void on_message(wslay_event_context_ptr context,
                       const struct wslay_event_on_msg_recv_arg *message, void *arg)
{
    (void)context;
    if (!wslay_is_ctrl_frame(message->opcode))
        add_line(arg, message->msg, message->msg_length);
}

static void upgrade(struct bridge *bridge, const struct url *url)
{
    char request[1024];
    const char *end = NULL;
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                     url->path, url->host, url->port);

    transmit_all(bridge, request, (size_t)n);
    while (end == NULL) {
        bridge->begin = bridge->end; /* wait for more */
        fill(bridge);
        bridge->begin = 0;
        end = memmem(bridge->input, bridge->end, "\r\n\r\n", 4);
    }
    if (bridge->end < 12 || memcmp(bridge->input, "HTTP/1.1 101", 12) != 0)
        die("upgrade: %.*s", (int)(end - bridge->input), bridge->input);
    bridge->begin = (size_t)(end + 4 - bridge->input);
}

/* ---- setting up ---- */

static int connect_upstream(const struct url *url)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *addresses;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (getaddrinfo(url->host, url->port, &hints, &addresses) != 0)
        die("%s: no address", url->host);
    if (connect(fd, addresses->ai_addr, addresses->ai_addrlen) != 0)
        die("%s:%s: %s", url->host, url->port, strerror(errno));
    freeaddrinfo(addresses);
    return fd;
}

static int connect_consumer(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("%s: %s", path, strerror(errno));
    return fd;
}

static void handshake_tls(struct bridge *bridge, const char *host, const char *ca)
{
    mbedtls_ssl_config *config = &bridge->config;
    int rc;

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    if (psa_crypto_init() != PSA_SUCCESS)
        die("TLS: the library cannot be initialized");
#endif
    mbedtls_ssl_init(&bridge->ssl);
    mbedtls_ssl_config_init(config);
    mbedtls_x509_crt_init(&bridge->anchors);
    if (ca == NULL || mbedtls_x509_crt_parse_file(&bridge->anchors, ca) != 0)
        die("TLS needs a file of trust anchors");
    if (mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0)
        die("TLS: no memory");
    mbedtls_ssl_conf_ca_chain(config, &bridge->anchors, NULL);
    mbedtls_ssl_conf_rng(config, on_random, NULL);
    if (mbedtls_ssl_setup(&bridge->ssl, config) != 0 ||
        mbedtls_ssl_set_hostname(&bridge->ssl, host) != 0)
        die("TLS: no memory");
    mbedtls_ssl_set_bio(&bridge->ssl, bridge, on_tls_send, on_tls_recv, NULL);
    rc = mbedtls_ssl_handshake(&bridge->ssl);
    if (rc != 0)
        die("TLS: handshake: -0x%x", -rc);
}

static void open_bridge(struct bridge *bridge, const struct url *url, const char *path,
                        const char *ca)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .genmask_callback = on_mask,
        .on_msg_recv_callback = on_message,
    };

    bridge->consumer = connect_consumer(path);
    bridge->upstream = connect_upstream(url);
    bridge->secure = url->secure;
    if (url->secure)
        handshake_tls(bridge, url->host, ca);
    fcntl(bridge->upstream, F_SETFL, O_NONBLOCK);
    upgrade(bridge, url);
    if (wslay_event_context_client_init(&bridge->websocket, &callbacks, bridge) != 0)
        die("no memory");
}

int main(int argc, char **argv)
{
    static struct bridge bridge;
    struct url url;
    char scheme[4];

    if (argc < 3 || sscanf(argv[1], "%3[ws]://%127[^:/]:%7[0-9]%511s", scheme, url.host, url.port,
                           url.path) != 4)
        die("usage: floor ws[s]://HOST:PORT/PATH SOCKET [CA]");
    url.secure = strcmp(scheme, "wss") == 0;
    open_bridge(&bridge, &url, argv[2], argc > 3 ? argv[3] : NULL);
    for (;;) {
        if (wslay_event_recv(bridge.websocket) != 0 || !wslay_event_want_read(bridge.websocket))
            die("the WebSocket has ended");
        write_lines(&bridge);
        if (wslay_event_want_write(bridge.websocket) && wslay_event_send(bridge.websocket) != 0)
            die("the WebSocket has ended");
        bridge.begin = bridge.end = 0;
        fill(&bridge);
    }
}
