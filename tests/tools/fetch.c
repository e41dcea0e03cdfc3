/*
 * fetch: HTTP requests by hawser's own client, one after another over one pool of connections.
 *
 * Each URL yields a line "STATUS BYTES CRC32C IDLE": of the body as it is after decoding, and how
 * many connections are kept by then; or "failed: WHY". Exit status 0: all were answered; 1: one was
 * not; 2: it could not begin.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/limits.h"
#include "net/net.h"

enum { PIECE = 16 * 1024, TIMEOUT_MS = 20000 };

struct fetch {
    struct io_loop *loop;
    struct io_timer *timer;
    struct net_options options;
    const char *method, *body;
    char *const *urls;
    bool streams;
    int64_t wait_ms;
    size_t bytes;
    uint32_t crc;
    int status;
};

static void next(struct fetch *fetch);

static void on_timer(void *arg)
{
    next(arg);
}

static void on_done(void *arg, const struct net_http_result *result)
{
    struct fetch *fetch = arg;

    if (result->failed) {
        printf("failed: %s\n", result->end.text);
        fetch->status = 1;
    } else {
        struct slice body = buf_slice(&result->response->body);

        if (!fetch->streams || result->status > 299) {
            fetch->bytes = body.len;
            fetch->crc = crc32c(0, body.ptr, body.len);
        }
        printf("%d %zu %08" PRIx32 " %u\n", result->status, fetch->bytes, fetch->crc,
               fetch->options.pool != NULL ? net_pool_idle(fetch->options.pool) : 0);
    }
    if (fetch->urls[0] == NULL)
        io_loop_stop(fetch->loop);
    else
        io_timer_set(fetch->timer, fetch->wait_ms);
}

static void on_open(void *arg, const struct http_response *response)
{
}

static int on_body(void *arg, struct slice bytes)
{
    struct fetch *fetch = arg;

    fetch->bytes += bytes.len;
    fetch->crc = crc32c(fetch->crc, bytes.ptr, bytes.len);
    return 0;
}

static void next(struct fetch *fetch)
{
    static const struct net_stream_events events = {on_open, on_body, on_done};
    struct slice url = slice_str(*fetch->urls++);
    struct net_http *http;
    struct error err;
    int rc;

    fetch->bytes = 0;
    fetch->crc = 0;
    if (fetch->streams)
        rc =
            net_http_stream(fetch->loop, &fetch->options, slice_str(fetch->method), url, SLICE(""),
                            slice_str(fetch->body), PIECE, TIMEOUT_MS, &events, fetch, &http, &err);
    else
        rc = net_http_start(fetch->loop, &fetch->options, slice_str(fetch->method), url, SLICE(""),
                            slice_str(fetch->body), LIMIT_HTTP_BODY, on_done, fetch, &http, &err);
    if (rc == 0)
        return;
    fprintf(stderr, "fetch: %s\n", err.text);
    fetch->status = 2;
    io_loop_stop(fetch->loop);
}

static int run(struct fetch *fetch, const char *ca_file, bool pooled)
{
    struct error err;

    fetch->options = (struct net_options){.dns_timeout_ms = TIMEOUT_MS,
                                          .tcp_timeout_ms = TIMEOUT_MS,
                                          .tls_timeout_ms = TIMEOUT_MS,
                                          .http_timeout_ms = TIMEOUT_MS};
    if (io_loop_new(&fetch->loop, &err) != 0 ||
        (ca_file != NULL && tls_context_new(&(struct tls_context_options){.ca_file = ca_file},
                                            &fetch->options.tls, &err) != 0)) {
        fprintf(stderr, "fetch: %s\n", err.text);
        return 2;
    }
    if (io_timer_new(fetch->loop, on_timer, fetch, &fetch->timer) != 0 ||
        (pooled && net_pool_new(NULL, &fetch->options.pool) != 0))
        return 2;
    next(fetch);
    if (fetch->status == 0)
        io_loop_run(fetch->loop);
    net_pool_free(fetch->options.pool);
    if (fetch->options.tls != NULL)
        tls_context_unref(fetch->options.tls);
    io_loop_free(fetch->loop);
    return fetch->status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"ca", required_argument, NULL, 'c'},
        {"wait-ms", required_argument, NULL, 'w'},
        {"method", required_argument, NULL, 'm'},
        {"body", required_argument, NULL, 'b'},
        {"stream", no_argument, NULL, 's'},
        {"no-pool", no_argument, NULL, 'n'},
        {NULL, 0, NULL, 0},
    };
    struct fetch fetch = {.method = "GET", .body = ""};
    const char *ca_file = NULL;
    bool pooled = true;
    int c;

    setvbuf(stdout, NULL, _IOLBF, 0);
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            ca_file = optarg;
            break;
        case 'w':
            fetch.wait_ms = strtoll(optarg, NULL, 10);
            break;
        case 'm':
            fetch.method = optarg;
            break;
        case 'b':
            fetch.body = optarg;
            break;
        case 's':
            fetch.streams = true;
            break;
        case 'n':
            pooled = false;
            break;
        default: /* getopt has said what is wrong */
            return 2;
        }
    }
    if (optind == argc) {
        fprintf(stderr, "usage: fetch [--ca FILE] [--method M] [--body TEXT] [--stream] "
                        "[--wait-ms N] [--no-pool] URL...\n");
        return 2;
    }
    fetch.urls = argv + optind;
    return run(&fetch, ca_file, pooled);
}
