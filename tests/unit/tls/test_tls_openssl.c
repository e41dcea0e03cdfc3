/*
 * The same client against `openssl s_server`, so that our reading of the protocol is not only our
 * own library's. The server takes port 0 and says on its standard output which port it got.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls/tls.h"

enum { DEADLINE_MS = 20000 };

static char dir[] = "/tmp/hawser-test-tls-XXXXXX";

/* Runs a command line to its end; its exit status. */
static int run(const char *fmt, ...)
{
    char command[1000];
    va_list args;

    va_start(args, fmt);
    assert_true(vsnprintf(command, sizeof command, fmt, args) < (int)sizeof command);
    va_end(args);
    return system(command);
}

static int make_certificates(void **state)
{
    if (system("openssl version >/dev/null 2>&1") != 0)
        return 0;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(run("cd %s && openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key "
                         "-out rsa.pem -days 7 -subj /O=Test/CN=rsa "
                         "-addext subjectAltName=DNS:a.example,IP:127.0.0.1 2>/dev/null",
                         dir),
                     0);
    assert_int_equal(run("cd %s && openssl req -x509 -newkey ec -pkeyopt "
                         "ec_paramgen_curve:prime256v1 -nodes -keyout client.key "
                         "-out client.pem -days 7 -subj /CN=client -addext "
                         "extendedKeyUsage=clientAuth -addext subjectAltName=DNS:a.example "
                         "2>/dev/null",
                         dir),
                     0);
    return 0;
}

static int remove_certificates(void **state)
{
    return run("rm -rf %s", dir);
}

struct peer {
    pid_t pid;
    FILE *output;
    int fd;
};

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

static struct peer start_peer(const char *cert, const char *options)
{
    struct peer peer;
    char command[500];
    int out[2];

    snprintf(command, sizeof command,
             "exec openssl s_server -accept 127.0.0.1:0 -cert %s/%s.pem -key %s/%s.key -rev %s "
             "2>/dev/null",
             dir, cert, dir, cert, options);
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
    peer.fd = connect_to(read_port(peer.output));
    return peer;
}

static void stop_peer(struct peer *peer)
{
    close(peer->fd);
    kill(peer->pid, SIGKILL);
    assert_int_equal(waitpid(peer->pid, NULL, 0), peer->pid);
    fclose(peer->output);
}

static void flush(const struct peer *peer, struct tls *tls)
{
    struct buf *output = tls_output(tls);

    while (output->len > 0) {
        ssize_t n = send(peer->fd, output->data, output->len, MSG_NOSIGNAL);

        assert_true(n > 0);
        buf_consume(output, (size_t)n);
    }
}

/* One piece from the peer; false at its end. The bytes are valid until the next call. */
static bool feed(const struct peer *peer, struct tls *tls)
{
    static char bytes[5000];
    struct pollfd wait = {.fd = peer->fd, .events = POLLIN};
    ssize_t n;

    assert_int_equal(poll(&wait, 1, DEADLINE_MS), 1);
    n = recv(peer->fd, bytes, sizeof bytes, 0);
    if (n <= 0)
        return false;
    tls_feed(tls, bytes, (size_t)n);
    return true;
}

static enum tls_status handshake(const struct peer *peer, struct tls *tls)
{
    enum tls_status status;

    while ((status = tls_handshake(tls)) == TLS_AGAIN_INPUT) {
        flush(peer, tls);
        if (!feed(peer, tls))
            fail_msg("the peer hung up");
    }
    flush(peer, tls);
    return status;
}

static struct tls *new_tls(const char *cert, const char *host)
{
    struct tls_context *context;
    struct error err;
    struct tls *tls;
    char path[100];

    snprintf(path, sizeof path, "%s/%s.pem", dir, cert);
    assert_int_equal(
        tls_context_new(&(struct tls_context_options){.ca_file = path}, &context, &err), 0);
    assert_int_equal(tls_new(context, host, 443, &tls, &err), 0);
    tls_context_unref(context);
    return tls;
}

static void skip_without_openssl(void)
{
    if (access(dir, F_OK) != 0)
        skip();
}

/* `openssl s_server -rev` sends each line back reversed. */
static void test_echo(void **state)
{
    static const char *const rows[][3] = {
        {"-tls1_2 -cipher CHACHA20", "a.example", "TLS-ECDHE-RSA-WITH-CHACHA20-POLY1305-SHA256"},
        {"-tls1_2 -cipher ECDHE+AES256", "a.example", "TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384"},
        {"-tls1_2 -cipher ECDHE+AES128", "127.0.0.1", "TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256"},
        {"", "127.0.0.1", "TLS"},
    };

    skip_without_openssl();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct peer peer = start_peer("rsa", rows[i][0]);
        struct tls *tls = new_tls("rsa", rows[i][1]);
        enum tls_status status = handshake(&peer, tls);
        char line[100];
        size_t n = 0, sent;

        if (status != TLS_SUCCESS)
            fail_msg("%s", tls_error(tls)->text);
        assert_non_null(strstr(tls_describe(tls), rows[i][2]));
        assert_int_equal(tls_send(tls, "hello\n", 6, &sent), TLS_SUCCESS);
        flush(&peer, tls);
        while (n < 6) {
            size_t received;

            status = tls_receive(tls, line + n, sizeof line - n, &received);
            n += received;
            if (status == TLS_AGAIN_INPUT)
                assert_true(feed(&peer, tls));
            else
                assert_int_equal(status, TLS_SUCCESS);
        }
        assert_memory_equal(line, "olleh\n", 6);
        assert_int_equal(tls_shutdown(tls), TLS_SUCCESS);
        flush(&peer, tls);
        tls_free(tls);
        stop_peer(&peer);
    }
}

static void check_refused(const char *cert, const char *anchor, const char *options,
                          const char *host, const char *needle)
{
    struct peer peer = start_peer(cert, options);
    struct tls *tls = new_tls(anchor, host);

    assert_int_equal(handshake(&peer, tls), TLS_FAILED);
    if (strstr(tls_error(tls)->text, needle) == NULL)
        fail_msg("no \"%s\" in: %s", needle, tls_error(tls)->text);
    tls_free(tls);
    stop_peer(&peer);
}

static void test_refused(void **state)
{
    skip_without_openssl();
    check_refused(
        "rsa", "rsa", "", "b.example",
        "certificate of O=Test, CN=rsa is not for b.example but for a.example, 127.0.0.1, "
        "issued by O=Test, CN=rsa, valid ");
    check_refused("rsa", "rsa", "", "127.0.0.2",
                  "is not for 127.0.0.2 but for a.example, 127.0.0.1");
    check_refused("rsa", "client", "", "a.example", "certificate of O=Test, CN=rsa is self-signed");
    check_refused("client", "client", "", "a.example",
                  "certificate of CN=client is not meant for a server (key usage)");
    check_refused("rsa", "rsa", "-tls1_1 -cipher ALL:@SECLEVEL=0", "a.example",
                  "the server refused with TLS alert 40 (handshake_failure, in TLS 1.1: it does "
                  "not speak TLS 1.2)");
    check_refused("rsa", "rsa", "-tls1_2 -cipher AES128-SHA", "a.example",
                  "the server refused with TLS alert 40 (handshake_failure: no version, cipher or "
                  "key exchange in common)");
    check_refused("rsa", "rsa", "-alpn h2", "a.example",
                  "the server refused with TLS alert 120 (no_application_protocol");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
