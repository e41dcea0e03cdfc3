/* A TCP listener on one numeric address. */
#include "io/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int system_error(struct error *err, const char *address, const char *what)
{
    int errnum = errno;

    return error_set(err, error_from_errno(errnum), "listen on %s: %s: %s", address, what,
                     uv_strerror(-errnum));
}

/* "127.0.0.1:9472" or "[::1]:9472". */
static int parse(const char *text, struct io_address *out)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    const char *colon = strrchr(text, ':');
    size_t n = colon != NULL ? (size_t)(colon - text) : 0;
    char host[INET6_ADDRSTRLEN + 2];
    uint64_t port;

    if (n == 0 || n >= sizeof host || slice_parse_u64(slice_str(colon + 1), &port) != 0 ||
        port > UINT16_MAX)
        return ERR_INVAL;
    memcpy(host, text, n);
    host[n] = '\0';
    if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        in6.sin6_port = htons((uint16_t)port);
        if (inet_pton(AF_INET6, host + 1, &in6.sin6_addr) != 1)
            return ERR_INVAL;
        memcpy(out, &in6, sizeof in6);
        return 0;
    }
    in.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &in.sin_addr) != 1)
        return ERR_INVAL;
    memcpy(out, &in, sizeof in);
    return 0;
}

bool io_tcp_same(const char *a, const char *b)
{
    struct io_address left = {0}, right = {0};

    return a != NULL && b != NULL && parse(a, &left) == 0 && parse(b, &right) == 0 &&
           memcmp(&left, &right, sizeof left) == 0;
}

/* SO_REUSEADDR: connections of a hawserd that has just stopped are no reason to wait. V6ONLY: [::]
 * and 0.0.0.0 are two listeners. */
static int open_socket(struct io_listener *listener, const char *text, struct error *err)
{
    struct io_address address = {0};
    int on = 1;
    socklen_t len = sizeof address;

    if (parse(text, &address) != 0)
        return error_set(err, ERR_INVAL, "listen on %s: not ADDRESS:PORT", text);
    listener->fd = socket(address.u.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0)
        return system_error(err, text, "socket");
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.u.family == AF_INET6)
        setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(listener->fd, (const struct sockaddr *)(const void *)&address,
             address.u.family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in)) != 0 ||
        listen(listener->fd, IO_LISTEN_BACKLOG) != 0 ||
        getsockname(listener->fd, (struct sockaddr *)(void *)&address, &len) != 0) {
        int rc = system_error(err, text, "bind");

        close(listener->fd);
        return rc;
    }
    io_address_format(&address, listener->name, sizeof listener->name);
    return 0;
}

int io_tcp_listen(struct io_loop *loop, const char *address, io_accept_cb cb, void *arg,
                  struct io_listener **out, struct error *err)
{
    struct io_listener *listener = listener_alloc(cb, arg);
    int rc;

    if (listener == NULL)
        return error_set(err, ERR_NOMEM, "listen on %s: out of memory", address);
    listener->tcp = true;
    rc = open_socket(listener, address, err);
    if (rc != 0) {
        free(listener);
        return rc;
    }
    rc = listener_begin(loop, listener, err);
    if (rc != 0) {
        close(listener->fd);
        free(listener);
        return rc;
    }
    *out = listener;
    return 0;
}
