#include "unit/net/web.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "web: %s\n", what);
        abort();
    }
}

static const struct {
    const char *path, *answer;
    bool closes;
} answers[] = {
    {"/ok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
    {"/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
     false},
    {"/204", "HTTP/1.1 204 No\r\n\r\n", false},
    {"/304", "HTTP/1.1 304 Same\r\nContent-Length: 7\r\n\r\n", false},
    {"/head", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", false},
    {"/old", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
    {"/old-keep", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
     false},
    {"/says-close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false},
    {"/closes", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true},
    {"/until-end", "HTTP/1.1 200 OK\r\n\r\nok", true},
    {"/extra", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n", false},
    {"/keep-0", "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nok", false},
    {"/keep-1", "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok", false},
    {"/max-0", "HTTP/1.1 200 OK\r\nKeep-Alive: max=0\r\nContent-Length: 2\r\n\r\nok", false},
    {"/413", "HTTP/1.1 413 Large\r\nContent-Length: 2\r\n\r\nno", false},
    {"/error", "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno", false},
    {"/held", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
    {"/late", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
};

static bool read_head(int fd, char *head)
{
    size_t n = 0;

    while (n < WEB_HEAD_MAX - 1 && recv(fd, head + n, 1, 0) == 1) {
        head[++n] = '\0';
        if (n >= 4 && memcmp(head + n - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
    return false;
}

static void skip_body(int fd, const char *head)
{
    const char *length = strstr(head, "\r\nContent-Length: ");
    long left = length != NULL ? strtol(length + 18, NULL, 10) : 0;
    char bytes[4096];

    while (left > 0) {
        ssize_t n = recv(fd, bytes, (size_t)left < sizeof bytes ? (size_t)left : sizeof bytes, 0);

        if (n <= 0)
            return;
        left -= n;
    }
}

static void say(int fd, const char *text)
{
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void reset(int fd)
{
    struct linger hard = {.l_onoff = 1};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

/* False: the connection ends here. */
static bool answer(struct web *web, int fd, const char *head)
{
    size_t i;

    for (i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        const char *path = strchr(head, '/');
        size_t n = strlen(answers[i].path);

        if (strncmp(path, answers[i].path, n) == 0 && path[n] == ' ')
            break;
    }
    check(i < sizeof answers / sizeof answers[0], head);
    if (strcmp(answers[i].path, "/413") != 0)
        skip_body(fd, head);
    while (strcmp(answers[i].path, "/held") == 0 && web->held)
        usleep(500);
    say(fd, answers[i].answer);
    if (strcmp(answers[i].path, "/late") == 0) {
        usleep(5000);
        say(fd, "HTTP/1.1 408 Late\r\n\r\n");
    }
    return !answers[i].closes;
}

static bool answer_again(struct web *web, int fd, const char *head)
{
    switch ((enum web_second)web->second) {
    case WEB_SECOND_ANSWER:
        return answer(web, fd, head);
    case WEB_SECOND_FIN:
        return false;
    case WEB_SECOND_RST:
        reset(fd);
        return false;
    case WEB_SECOND_HALF:
        say(fd, "HTTP/1.1 20");
        return false;
    }
    return false;
}

static pthread_mutex_t head_lock = PTHREAD_MUTEX_INITIALIZER; /* of a web's head */

static void *connection_main(void *arg)
{
    struct web_connection *connection = arg;
    struct web *web = connection->web;
    char head[WEB_HEAD_MAX];
    bool goes_on = true;

    for (int n = 0; goes_on && read_head(connection->fd, head); n++) {
        if (strncmp(head, "CONNECT ", 8) == 0) { /* as a proxy, whose other end is here too */
            web->tunnels++;
            say(connection->fd, "HTTP/1.1 200 Open\r\n\r\n");
            n--;
            continue;
        }
        pthread_mutex_lock(&head_lock);
        memcpy(web->head, head, sizeof head);
        pthread_mutex_unlock(&head_lock);
        web->requests++;
        goes_on =
            n == 0 ? answer(web, connection->fd, head) : answer_again(web, connection->fd, head);
    }
    web->ended++;
    shutdown(connection->fd, SHUT_RDWR);
    return NULL;
}

static void *web_main(void *arg)
{
    struct web *web = arg;

    for (;;) {
        int one = 1, fd = accept(web->listener, NULL, NULL);
        struct web_connection *connection = &web->all[web->connections];

        if (fd < 0)
            return NULL;
        check(web->connections < WEB_CONNECTIONS_MAX, "too many connections");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        *connection = (struct web_connection){.web = web, .fd = fd};
        web->connections++; /* before anything is answered */
        check(pthread_create(&connection->thread, NULL, connection_main, connection) == 0,
              "thread");
    }
}

void web_start(struct web *web)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof in;

    web->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(bind(web->listener, (struct sockaddr *)&in, sizeof in) == 0, "bind");
    check(listen(web->listener, 64) == 0, "listen");
    check(getsockname(web->listener, (struct sockaddr *)&in, &len) == 0, "getsockname");
    web->port = ntohs(in.sin_port);
    check(pthread_create(&web->thread, NULL, web_main, web) == 0, "thread");
}

void web_stop(struct web *web)
{
    web->held = false;
    shutdown(web->listener, SHUT_RDWR); /* wakes accept() */
    pthread_join(web->thread, NULL);
    close(web->listener);
    for (int i = 0; i < web->connections; i++) {
        shutdown(web->all[i].fd, SHUT_RDWR);
        pthread_join(web->all[i].thread, NULL);
        close(web->all[i].fd);
    }
}
