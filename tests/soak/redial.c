/*
 * redial SEED [CERT KEY]: a service that ends every link at once, in every way that a client
 * answers by dialling again, as fast as it can. It listens on a loopback port of the kernel's
 * choice, which it says, and one more with TLS where a certificate is given. A line on stdin,
 * whatever it says, is answered with how many connections there were, by how they ended; its end is
 * the program's.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mbedtls/ssl_cache.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/service.h"

enum { HEAD_MAX = 4096, READY_MAX = 256, BACKLOG = 4096, EVENT_BYTES = 23 };

enum end {
    END_DROPPED,  /* before a byte has gone */
    END_REFUSED,  /* 503 to the upgrade */
    END_CLOSED,   /* upgraded, an event, 1012, and it waits for the answer */
    END_FINISHED, /* upgraded, an event, and the end of the bytes */
    END_RESET,    /* upgraded, and reset */
    END_CUT,      /* upgraded, and reset in the middle of a message */
    END_COUNT,
};
static const char *const end_names[END_COUNT] = {"dropped",  "refused", "closed",
                                                 "finished", "reset",   "cut"};

enum phase { PHASE_TLS, PHASE_HEAD, PHASE_ENDED };

struct link {
    int fd;
    bool secure;
    enum phase phase;
    enum end end;
    mbedtls_ssl_context ssl;
    char head[HEAD_MAX];
    size_t head_len;
};

static struct {
    int epoll;
    uint64_t random;
    uint64_t ended[END_COUNT], events;
    struct service plain, tls;
    mbedtls_ssl_cache_context sessions;
} redial;

/* ---- bytes ---- */

static int on_send(void *arg, const unsigned char *bytes, size_t n)
{
    const struct link *link = arg;
    ssize_t sent = send(link->fd, bytes, n, MSG_NOSIGNAL);

    if (sent < 0)
        return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_SSL_CONN_EOF;
    return (int)sent;
}

static int on_recv(void *arg, unsigned char *bytes, size_t n)
{
    const struct link *link = arg;
    ssize_t got = recv(link->fd, bytes, n, 0);

    if (got < 0)
        return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_CONN_EOF;
    return (int)got;
}

/* It is little, and finds room; who has gone meanwhile does not miss it. */
static void put(struct link *link, const void *bytes, size_t n)
{
    if (link->secure)
        (void)mbedtls_ssl_write(&link->ssl, bytes, n);
    else
        (void)on_send(link, bytes, n);
}

/* As recv(2): 0 at the end, -1 where there is nothing now. */
static ssize_t get(struct link *link, void *bytes, size_t n)
{
    int rc = link->secure ? mbedtls_ssl_read(&link->ssl, bytes, n) : on_recv(link, bytes, n);

    if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE)
        return -1;
    return rc < 0 ? 0 : rc;
}

/* ---- links ---- */

static unsigned below(unsigned n)
{
    redial.random ^= redial.random >> 12;
    redial.random ^= redial.random << 25;
    redial.random ^= redial.random >> 27;
    return (unsigned)((redial.random * 2685821657736338717ull) >> 33) % n;
}

static void drop(struct link *link, bool reset)
{
    static const struct linger at_once = {.l_onoff = 1};

    if (reset)
        setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(link->fd);
    redial.ended[link->end]++;
    if (link->secure)
        mbedtls_ssl_free(&link->ssl);
    free(link);
}

static void take_connection(struct service *service)
{
    struct link *link;
    struct epoll_event event = {.events = EPOLLIN};
    int fd = accept4(service->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), on = 1;

    if (fd < 0)
        return;
    link = calloc(1, sizeof *link);
    if (link == NULL)
        die("no memory for a connection");
    *link = (struct link){.fd = fd, .secure = service->secure, .end = (enum end)below(END_COUNT)};
    link->phase = link->secure ? PHASE_TLS : PHASE_HEAD;
    if (link->secure) {
        mbedtls_ssl_init(&link->ssl);
        if (mbedtls_ssl_setup(&link->ssl, &service->config) != 0)
            die("TLS: no memory for a connection");
        mbedtls_ssl_set_bio(&link->ssl, link, on_send, on_recv, NULL);
    }
    if (link->end == END_DROPPED) {
        drop(link, below(2) == 0);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    event.data.ptr = link;
    if (epoll_ctl(redial.epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll: %s", strerror(errno));
}

/* False: it waits for the other side to go. */
static bool answer(struct link *link)
{
    static const char refusal[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
                                  "Content-Length: 8\r\n\r\nnot now\n";
    static const char restart[] = "\x88\x09\x03\xf4restart"; /* 1012 */
    const char *key = strcasestr(link->head, "\r\nSec-WebSocket-Key: ");
    char text[512];
    size_t len;

    if (key == NULL)
        die("no upgrade was asked for: %s", link->head);
    if (link->end == END_REFUSED) {
        put(link, refusal, sizeof refusal - 1);
        return false;
    }
    len = upgrade_answer(key + strlen("\r\nSec-WebSocket-Key: "), text, sizeof text);
    if (link->end == END_CLOSED || link->end == END_FINISHED) {
        unsigned char *frame = (unsigned char *)text + len;

        len += frame_header(frame, 1, EVENT_BYTES);
        len += (size_t)snprintf(text + len, sizeof text - len, "{\"link\":\"%012" PRIu64 "\"}",
                                redial.events++);
    }
    if (link->end == END_CLOSED) {
        memcpy(text + len, restart, sizeof restart - 1);
        len += sizeof restart - 1;
    }
    if (link->end == END_CUT) {
        memcpy(text + len, "\x81\x7e\x10\x00{\"half", 10);
        len += 10;
    }
    put(link, text, len);
    if (link->end == END_FINISHED)
        shutdown(link->fd, SHUT_WR);
    return link->end == END_RESET || link->end == END_CUT;
}

static void hear(struct link *link)
{
    ssize_t n;

    if (link->phase == PHASE_TLS) {
        int rc = mbedtls_ssl_handshake(&link->ssl);

        if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE)
            return;
        if (rc != 0) {
            drop(link, true);
            return;
        }
        link->phase = PHASE_HEAD;
    }
    while ((n = get(link, link->head + link->head_len, sizeof link->head - 1 - link->head_len)) >
           0) {
        if (link->phase == PHASE_ENDED)
            break; /* the answer to 1012: the server is to close first, RFC 6455 section 7.1.1 */
        link->head_len += (size_t)n;
        link->head[link->head_len] = '\0';
        if (strstr(link->head, "\r\n\r\n") != NULL) {
            link->phase = PHASE_ENDED;
            if (answer(link)) {
                drop(link, true);
                return;
            }
        }
    }
    if (n >= 0)
        drop(link, false);
}

/* ---- life ---- */

static void say_counts(void)
{
    char line[256];
    ssize_t n = read(STDIN_FILENO, line, sizeof line);
    uint64_t all = 0;

    if (n <= 0)
        exit(0);
    printf("{");
    for (unsigned i = 0; i < END_COUNT; i++) {
        all += redial.ended[i];
        printf("\"%s\":%" PRIu64 ",", end_names[i], redial.ended[i]);
    }
    say("\"connections\":%" PRIu64 "}", all);
}

static void listen_at(struct service *service, const char *cert, const char *key)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = service};

    service_open(service, cert, key, cert != NULL ? "aes" : NULL);
    fcntl(service->listener, F_SETFL, O_NONBLOCK);
    if (listen(service->listener, BACKLOG) != 0 ||
        epoll_ctl(redial.epoll, EPOLL_CTL_ADD, service->listener, &event) != 0)
        die("listen: %s", strerror(errno));
    if (cert != NULL) {
        mbedtls_ssl_cache_init(&redial.sessions);
        mbedtls_ssl_conf_session_cache(&service->config, &redial.sessions, mbedtls_ssl_cache_get,
                                       mbedtls_ssl_cache_set);
    }
}

static void serve(void)
{
    struct epoll_event ready[READY_MAX];
    int n = epoll_wait(redial.epoll, ready, READY_MAX, -1);

    for (int i = 0; i < n; i++) {
        void *what = ready[i].data.ptr;

        if (what == NULL)
            say_counts();
        else if (what == &redial.plain || what == &redial.tls)
            take_connection(what);
        else
            hear(what);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event command = {.events = EPOLLIN};
    struct rlimit files;

    if (argc != 2 && argc != 4)
        die("usage: redial SEED [CERT KEY]");
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    redial.random = strtoull(argv[1], NULL, 10) * 2 + 1;
    redial.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (redial.epoll < 0 || epoll_ctl(redial.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &command) != 0)
        die("epoll: %s", strerror(errno));
    listen_at(&redial.plain, NULL, NULL);
    if (argc == 4)
        listen_at(&redial.tls, argv[2], argv[3]);
    say("{\"port\":%u,\"tls\":%u}", (unsigned)redial.plain.port, (unsigned)redial.tls.port);
    for (;;)
        serve();
}
