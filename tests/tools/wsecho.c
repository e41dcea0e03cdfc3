/*
 * wsecho: a WebSocket client on net that answers each message with the same message. What
 * conformance suites run against, and a hand tool; see usage().
 *
 * A message that finds no room is not taken, so that the link reads no more until what waits has
 * gone: a server that sends faster than it reads is slowed down, and no message is dropped.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "net/net.h"

enum {
    EXIT_CLOSED = 0, /* a close handshake with 1000, 1001 or no code */
    EXIT_ENDED = 1,  /* another code, or no close frame */
    EXIT_USAGE = 2,  /* or something that is wrong before anything is dialled */
    EXIT_UNOPENED = 3,
    EXIT_REFUSED = 4,
    EXIT_PROTOCOL = 5, /* the server broke the protocol, and was told so */
};

enum { TIMEOUT_MS = 10000 };

struct echo {
    struct io_loop *loop;
    struct net_link *link;
    const char *url, *subprotocol, *ca_file;
    struct buf headers;
    uint64_t close_after; /* messages; 0: never */
    uint64_t max_message;
    bool quiet; /* counts and does not answer */
    bool ping;
    bool deflate;

    uint64_t messages, bytes;
    bool closing; /* by us, as asked for */
    int status;
};

static void usage(FILE *out)
{
    fputs("usage: wsecho URL [OPTION...]\n"
          "Connects to a ws:// or wss:// URL and answers each message with the same message until\n"
          "the connection ends; says what happens, one line each.\n"
          "  --subprotocol P      asks for P (or for one of several, separated by commas)\n"
          "  --ca FILE            trusts the certificates in FILE, not those of the system\n"
          "  --header LINE        sends this header line too; may be given more than once\n"
          "  --deflate on|off     offers permessage-deflate (default: on)\n"
          "  --max-message BYTES  throws away what is longer (default and most: 16777216)\n"
          "  --close-after N      closes with 1000 after N messages\n"
          "  --ping               sends a ping at the start\n"
          "  --quiet              does not answer\n"
          "Exit status:\n"
          "  0  closed by either side with 1000, 1001 or no code\n"
          "  1  ended otherwise: another code, or no close frame\n"
          "  2  wrong usage\n"
          "  3  not connected: name, TCP, TLS, or nobody answered in time\n"
          "  4  the upgrade was refused, or its answer was not valid\n"
          "  5  the server broke the protocol, and was told so in a close frame\n",
          out);
}

/* ---- what the link says ---- */

static void on_connected(void *arg, const char *address, const char *tls)
{
    (void)arg;
    printf("connected %s%s%s\n", address, tls != NULL ? " " : "", tls != NULL ? tls : "");
}

static void on_open(void *arg, const struct http_response *response)
{
    struct echo *echo = arg;
    struct slice protocol = http_response_header(response, "sec-websocket-protocol");
    struct slice extensions = http_response_header(response, "sec-websocket-extensions");

    printf("open subprotocol \"" SLICE_FMT "\" extensions \"" SLICE_FMT "\"\n", SLICE_ARG(protocol),
           SLICE_ARG(extensions));
    if (echo->ping)
        (void)net_link_ping(echo->link);
}

static int on_message(void *arg, enum ws_type type, struct slice payload)
{
    struct echo *echo = arg;
    int rc = echo->quiet ? 0 : net_link_send(echo->link, type, payload);

    if (rc == ERR_AGAIN)
        return ERR_AGAIN;
    if (rc != 0)
        printf("not answered: %s\n", error_text(rc));
    echo->messages++;
    echo->bytes += payload.len;
    if (echo->messages == echo->close_after) {
        echo->closing = true;
        net_link_close(echo->link, 1000, SLICE("enough"));
    }
    return 0;
}

static void on_room(void *arg)
{
    net_link_resume(((struct echo *)arg)->link);
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

static int exit_status(const struct echo *echo, const struct net_end *end)
{
    switch (end->kind) {
    case NET_END_CLOSE:
        if (end->local && !echo->closing)
            return EXIT_PROTOCOL;
        return end->code == 1000 || end->code == 1001 || end->code == WS_CLOSE_NONE ? EXIT_CLOSED
                                                                                    : EXIT_ENDED;
    case NET_END_STATUS:
    case NET_END_STRIPPED:
    case NET_END_HANDSHAKE:
        return EXIT_REFUSED;
    case NET_END_FAILED:
    case NET_END_CUT:
    case NET_END_TIMEOUT:
        return EXIT_UNOPENED;
    }
    return EXIT_ENDED;
}

static const char *kind_name(enum net_end_kind kind)
{
    switch (kind) {
    case NET_END_CLOSE:
        return "close";
    case NET_END_STATUS:
        return "status";
    case NET_END_STRIPPED:
        return "stripped";
    case NET_END_HANDSHAKE:
        return "handshake";
    case NET_END_FAILED:
        return "failed";
    case NET_END_CUT:
        return "cut";
    case NET_END_TIMEOUT:
        return "timeout";
    }
    return "unknown";
}

static void on_closed(void *arg, const struct net_end *end, const struct http_response *response)
{
    struct echo *echo = arg;

    (void)response;
    printf("end %s phase %s code %d %s: %s\n", kind_name(end->kind), net_phase_name(end->phase),
           end->code, end->local ? "local" : "remote", end->text);
    printf("messages %" PRIu64 " bytes %" PRIu64 "\n", echo->messages, echo->bytes);
    echo->status = exit_status(echo, end);
    io_loop_stop(echo->loop);
}

static const struct net_link_events events = {
    .on_connected = on_connected,
    .on_open = on_open,
    .on_message = on_message,
    .on_room = on_room,
    .on_pong = on_pong,
    .on_oversize = on_oversize,
    .on_closed = on_closed,
};

/* ---- the program ---- */

static int run(struct echo *echo)
{
    struct net_options options = {
        .allow_plaintext = true,
        .deflate = echo->deflate,
        .dns_timeout_ms = TIMEOUT_MS,
        .tcp_timeout_ms = TIMEOUT_MS,
        .tls_timeout_ms = TIMEOUT_MS,
        .upgrade_timeout_ms = TIMEOUT_MS,
    };
    struct error err;
    int rc = io_loop_new(&echo->loop, &err);

    if (rc != 0)
        goto out;
    if (strncmp(echo->url, "wss:", 4) == 0)
        rc = tls_context_new(&(struct tls_context_options){.ca_file = echo->ca_file}, &options.tls,
                             &err);
    if (rc == 0)
        rc = net_link_open(echo->loop, &options, slice_str(echo->url), buf_slice(&echo->headers),
                           slice_str(echo->subprotocol), echo->max_message, &events, echo,
                           &echo->link, &err);
    if (rc == 0)
        io_loop_run(echo->loop);
    if (options.tls != NULL)
        tls_context_unref(options.tls);
    io_loop_free(echo->loop);
out:
    if (rc != 0)
        fprintf(stderr, "wsecho: %s\n", err.text);
    return rc != 0 ? EXIT_USAGE : echo->status;
}

/* A number from 1 to most. */
static bool parse_number(const char *text, uint64_t most, uint64_t *out)
{
    return slice_parse_u64(slice_str(text), out) == 0 && *out >= 1 && *out <= most;
}

static bool parse_option(struct echo *echo, int c, const char *value)
{
    switch (c) {
    case 's':
        echo->subprotocol = value;
        return true;
    case 'c':
        echo->ca_file = value;
        return true;
    case 'h':
        return buf_appendf(&echo->headers, "%s\r\n", value) == 0;
    case 'd':
        echo->deflate = strcmp(value, "on") == 0;
        return echo->deflate || strcmp(value, "off") == 0;
    case 'm':
        return parse_number(value, LIMIT_MESSAGE_MAX, &echo->max_message);
    case 'n':
        return parse_number(value, UINT64_MAX, &echo->close_after);
    case 'p':
        echo->ping = true;
        return true;
    case 'q':
        echo->quiet = true;
        return true;
    default: /* getopt has said what is wrong */
        return false;
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"subprotocol", required_argument, NULL, 's'},
        {"ca", required_argument, NULL, 'c'},
        {"header", required_argument, NULL, 'h'},
        {"deflate", required_argument, NULL, 'd'},
        {"max-message", required_argument, NULL, 'm'},
        {"close-after", required_argument, NULL, 'n'},
        {"ping", no_argument, NULL, 'p'},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'H'},
        {NULL, 0, NULL, 0},
    };
    struct echo echo = {.subprotocol = "", .max_message = LIMIT_MESSAGE_MAX, .deflate = true};
    int status = EXIT_USAGE;
    bool ok = true;
    int c;

    setvbuf(stdout, NULL, _IOLBF, 0);
    buf_init(&echo.headers, LIMIT_HTTP_HEADERS);
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'H') {
            usage(stdout);
            return 0;
        }
        ok = ok && parse_option(&echo, c, optarg);
    }
    if (ok && optind + 1 == argc) {
        echo.url = argv[optind];
        status = run(&echo);
    } else {
        usage(stderr);
    }
    buf_fini(&echo.headers);
    return status;
}
