/*
 * wsecho URL [--subprotocol P] [--ca FILE] [--header LINE] [--close-after N] [--quiet]: a WebSocket
 * client on net. It answers each message with the same message (or counts them, --quiet), until the
 * link ends or N messages are through, and says what happened, one line each.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "net/net.h"

struct echo {
    struct io_loop *loop;
    struct net_link *link;
    uint64_t messages, bytes;
    uint64_t close_after; /* messages; 0: never */
    bool quiet;           /* counts and does not answer */
    int status;
};

static void on_connected(void *arg, const char *address, const char *tls)
{
    (void)arg;
    printf("connected %s%s%s\n", address, tls != NULL ? " " : "", tls != NULL ? tls : "");
}

static void on_open(void *arg, const struct http_response *response)
{
    struct echo *echo = arg;
    struct slice protocol = http_response_header(response, "sec-websocket-protocol");

    printf("open" SLICE_FMT SLICE_FMT "\n", SLICE_ARG(protocol.ptr != NULL ? SLICE(" ") : protocol),
           SLICE_ARG(protocol));
    (void)net_link_ping(echo->link);
}

static int on_message(void *arg, enum ws_type type, struct slice payload)
{
    struct echo *echo = arg;

    echo->messages++;
    echo->bytes += payload.len;
    if (!echo->quiet) {
        int rc = net_link_send(echo->link, type, payload);

        if (rc != 0)
            printf("send: %s\n", error_text(rc));
    }
    if (echo->messages == echo->close_after)
        net_link_close(echo->link, 1000, SLICE("enough"));
    return 0;
}

static void on_pong(void *arg, int64_t rtt_ms)
{
    (void)arg;
    printf("pong %" PRId64 " ms\n", rtt_ms);
}

static void on_oversize(void *arg, uint64_t bytes)
{
    (void)arg;
    printf("oversize %" PRIu64 "\n", bytes);
}

static void on_closed(void *arg, const struct net_end *end, const struct http_response *response)
{
    (void)response;
    static const char *const kinds[] = {"close",     "status", "stripped",
                                        "handshake", "failed", "timeout"};
    struct echo *echo = arg;

    printf("end %s phase %s code %d %s: %s\n", kinds[end->kind], net_phase_name(end->phase),
           end->code, end->local ? "local" : "remote", end->text);
    printf("messages %" PRIu64 " bytes %" PRIu64 "\n", echo->messages, echo->bytes);
    echo->status = end->kind == NET_END_CLOSE && end->code == 1000 ? 0 : 1;
    io_loop_stop(echo->loop);
}

static const struct net_link_events events = {
    .on_connected = on_connected,
    .on_open = on_open,
    .on_message = on_message,
    .on_pong = on_pong,
    .on_oversize = on_oversize,
    .on_closed = on_closed,
};

static int run(struct echo *echo, const char *url, const char *header, const char *subprotocol,
               const char *ca_file)
{
    struct net_options options = {
        .allow_plaintext = true,
        .dns_timeout_ms = 10000,
        .tcp_timeout_ms = 10000,
        .tls_timeout_ms = 10000,
        .upgrade_timeout_ms = 10000,
    };
    struct error err;
    char line[1024] = "";
    int rc = io_loop_new(&echo->loop, &err);

    if (rc != 0)
        goto out;
    if (header != NULL)
        snprintf(line, sizeof line, "%s\r\n", header);
    if (strncmp(url, "wss:", 4) == 0)
        rc = tls_context_new(&(struct tls_context_options){.ca_file = ca_file}, &options.tls, &err);
    if (rc == 0)
        rc = net_link_open(echo->loop, &options, slice_str(url), slice_str(line),
                           slice_str(subprotocol), LIMIT_MESSAGE_DEFAULT, &events, echo,
                           &echo->link, &err);
    if (rc == 0)
        io_loop_run(echo->loop);
    if (options.tls != NULL)
        tls_context_unref(options.tls);
    io_loop_free(echo->loop);
out:
    if (rc != 0)
        fprintf(stderr, "wsecho: %s\n", err.text);
    return rc != 0 ? 2 : echo->status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"subprotocol", required_argument, NULL, 's'},
        {"ca", required_argument, NULL, 'c'},
        {"header", required_argument, NULL, 'h'},
        {"close-after", required_argument, NULL, 'n'},
        {"quiet", no_argument, NULL, 'q'},
        {NULL, 0, NULL, 0},
    };
    struct echo echo = {0};
    const char *subprotocol = "", *ca_file = NULL, *header = NULL;
    int c;

    setvbuf(stdout, NULL, _IOLBF, 0);
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 's':
            subprotocol = optarg;
            break;
        case 'c':
            ca_file = optarg;
            break;
        case 'h':
            header = optarg;
            break;
        case 'n':
            echo.close_after = strtoull(optarg, NULL, 10);
            break;
        case 'q':
            echo.quiet = true;
            break;
        default: /* getopt has said what is wrong */
            return 2;
        }
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "usage: wsecho URL [--subprotocol P] [--ca FILE] [--header LINE] "
                        "[--close-after N] [--quiet]\n");
        return 2;
    }
    return run(&echo, argv[optind], header, subprotocol, ca_file);
}
