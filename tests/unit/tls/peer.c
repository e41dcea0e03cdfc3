#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20000 };

char peer_dir[] = "/tmp/hawser-test-tls-XXXXXX";

/* Runs a command line to its end; its exit status. */
int peer_run(const char *fmt, ...)
{
    char command[1000];
    va_list args;

    va_start(args, fmt);
    assert_true(vsnprintf(command, sizeof command, fmt, args) < (int)sizeof command);
    va_end(args);
    return system(command);
}

int peer_make_certificates(void **state)
{
    if (system("openssl version >/dev/null 2>&1") != 0)
        return 0;
    assert_non_null(mkdtemp(peer_dir));
    assert_int_equal(peer_run("cd %s && openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key "
                              "-out rsa.pem -days 7 -subj /O=Test/CN=rsa "
                              "-addext subjectAltName=DNS:a.example,IP:127.0.0.1 2>/dev/null",
                              peer_dir),
                     0);
    assert_int_equal(peer_run("cd %s && openssl req -x509 -newkey ec -pkeyopt "
                              "ec_paramgen_curve:prime256v1 -nodes -keyout client.key "
                              "-out client.pem -days 7 -subj /CN=client -addext "
                              "extendedKeyUsage=clientAuth -addext subjectAltName=DNS:a.example "
                              "2>/dev/null",
                              peer_dir),
                     0);
    return 0;
}

int peer_remove_certificates(void **state)
{
    return peer_run("rm -rf %s", peer_dir);
}

/* Waits for "ACCEPT 127.0.0.1:PORT". */
static uint16_t read_port(FILE *output)
{
    char line[300];
    unsigned port;

    while (fgets(line, sizeof line, output) != NULL) {
        if (sscanf(line, "ACCEPT 127.0.0.1:%u", &port) == 1)
            return (uint16_t)port;
    }
    fail_msg("openssl s_server does not say its port");
    return 0;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

struct peer peer_start(const char *cert, const char *options)
{
    struct peer peer = {0};
    char command[500];
    int out[2];

    snprintf(command, sizeof command,
             "exec openssl s_server -accept 127.0.0.1:0 -cert %s/%s.pem -key %s/%s.key -rev %s "
             "2>/dev/null",
             peer_dir, cert, peer_dir, cert, options);
    assert_int_equal(pipe(out), 0);
    peer.pid = fork();
    assert_true(peer.pid >= 0);
    if (peer.pid == 0) {
        alarm(DEADLINE_MS / 1000 * 2); /* should the test die */
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    peer.output = fdopen(out[0], "r");
    assert_non_null(peer.output);
    peer.port = read_port(peer.output);
    peer.fd = connect_to(peer.port);
    return peer;
}

void peer_stop(struct peer *peer)
{
    close(peer->fd);
    kill(peer->pid, SIGKILL);
    assert_int_equal(waitpid(peer->pid, NULL, 0), peer->pid);
    fclose(peer->output);
}

void peer_reconnect(struct peer *peer)
{
    close(peer->fd);
    peer->fd = connect_to(peer->port);
    peer->sent = peer->received = 0;
    peer->round_trips = 0;
}

void peer_flush(struct peer *peer, struct tls *tls)
{
    struct buf *output = tls_output(tls);

    while (output->len > 0) {
        ssize_t n = send(peer->fd, output->data, output->len, MSG_NOSIGNAL);

        assert_true(n > 0);
        peer->sent += (size_t)n;
        buf_consume(output, (size_t)n);
    }
}

bool peer_feed(struct peer *peer, struct tls *tls)
{
    static char bytes[5000];
    struct pollfd wait = {.fd = peer->fd, .events = POLLIN};
    ssize_t n;

    assert_int_equal(poll(&wait, 1, DEADLINE_MS), 1);
    n = recv(peer->fd, bytes, sizeof bytes, 0);
    if (n <= 0)
        return false;
    peer->received += (size_t)n;
    tls_feed(tls, bytes, (size_t)n);
    return true;
}

enum tls_status peer_handshake(struct peer *peer, struct tls *tls)
{
    enum tls_status status;

    while ((status = tls_handshake(tls)) == TLS_AGAIN_INPUT) {
        peer->round_trips += tls_output(tls)->len > 0;
        peer_flush(peer, tls);
        if (!peer_feed(peer, tls))
            fail_msg("the peer hung up");
    }
    peer_flush(peer, tls);
    return status;
}

void peer_echo(struct peer *peer, struct tls *tls)
{
    char line[100];
    size_t n = 0, sent;

    assert_int_equal(tls_send(tls, "hello\n", 6, &sent), TLS_SUCCESS);
    peer_flush(peer, tls);
    while (n < 6) {
        size_t received;
        enum tls_status status = tls_receive(tls, line + n, sizeof line - n, &received);

        n += received;
        if (status == TLS_AGAIN_INPUT)
            assert_true(peer_feed(peer, tls));
        else if (status != TLS_SUCCESS)
            fail_msg("%s", tls_error(tls)->text);
    }
    assert_memory_equal(line, "olleh\n", 6);
}

void peer_skip(void)
{
    if (access(peer_dir, F_OK) != 0)
        skip();
}
