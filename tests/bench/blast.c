/*
 * blast [--tls aes|chacha --cert FILE --key FILE]: the load generator. It plays a ScaiWave server
 * on a loopback port of the kernel's choice, which it says, for one bridge; GET /v1/sync is
 * answered with an empty page. Then it obeys lines on stdin, and answers each with a line of JSON:
 *
 *     burst N      N events as fast as the bridge reads; with TLS they are encrypted beforehand
 *     pace RATE N  N events, RATE a second, each with the time at which it was made
 *
 * It makes events on time even while the bridge does not read, so a bridge that falls behind shows
 * that as latency. Lines on stdin come one at a time: the next after the answer to the last.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench.h"
#include "service.h"

enum {
    EVENT_BYTES = 400,
    FRAME_HEADER = 4,
    FRAME_BYTES = FRAME_HEADER + EVENT_BYTES,
    RECORD_FRAMES = 16384 / FRAME_BYTES, /* as many as a TLS record holds */
    CHUNK_FRAMES = 4 * RECORD_FRAMES,    /* sent at once in plain text */
};

struct generator {
    struct service service;
    struct peer *peer; /* NULL: no bridge has connected */
    unsigned opened;
    uint64_t next; /* number of the next event */
    unsigned char frames[CHUNK_FRAMES][FRAME_BYTES];
    /* Where in a frame the event's number stands, and its time. */
    size_t id_at, position_at, number_at, time_at;
};

/* ---- events ---- */

static void put_digits(unsigned char *at, uint64_t value, unsigned width)
{
    while (width-- > 0) {
        at[width] = (unsigned char)('0' + value % 10);
        value /= 10;
    }
}

static size_t offset(const char *event, const char *mark)
{
    return FRAME_HEADER + (size_t)(strstr(event, mark) - event) + strlen(mark);
}

static void make_frames(struct generator *generator)
{
    static const char before[] =
        "{\"type\":\"swp.room.message\",\"id\":\"evt-%012u\",\"room_id\":\"!bench:example.com\","
        "\"sender_id\":\"@blast:example.com\",\"content\":{\"msgtype\":\"swp.text\","
        "\"body\":\"n=%012u t=%019u ";
    static const char after[] = "\"},\"stream_position\":%012u,\"origin_ts\":1778939467}";
    /* As chat goes: a quotation and a little beyond ASCII. */
    static const char text[] = "She said \\\"fine\\\" \xE2\x80\x94 and went on: ";
    static const char fox[] = "the quick brown fox jumps over the lazy dog, and the dog sleeps; ";
    char event[EVENT_BYTES + 1], tail[128];
    size_t at = (size_t)snprintf(event, sizeof event, before, 0u, 0u, 0u);
    size_t tail_at = EVENT_BYTES - (size_t)snprintf(tail, sizeof tail, after, 0u);

    memcpy(event + at, text, sizeof text - 1);
    at += sizeof text - 1;
    for (size_t i = 0; at < tail_at; i++)
        event[at++] = fox[i % (sizeof fox - 1)];
    memcpy(event + tail_at, tail, sizeof event - tail_at);
    generator->id_at = offset(event, "\"id\":\"evt-");
    generator->position_at = offset(event, "\"stream_position\":");
    generator->number_at = offset(event, BENCH_MARK);
    generator->time_at = generator->number_at + BENCH_TIME_AT;
    for (unsigned i = 0; i < CHUNK_FRAMES; i++) {
        frame_header(generator->frames[i], 1, EVENT_BYTES);
        memcpy(generator->frames[i] + FRAME_HEADER, event, EVENT_BYTES);
    }
}

static void next_event(struct generator *generator, unsigned char *frame, int64_t time_ns)
{
    put_digits(frame + generator->number_at, generator->next++, BENCH_NUMBER_DIGITS);
    memcpy(frame + generator->id_at, frame + generator->number_at, BENCH_NUMBER_DIGITS);
    memcpy(frame + generator->position_at, frame + generator->number_at, BENCH_NUMBER_DIGITS);
    put_digits(frame + generator->time_at, (uint64_t)time_ns, BENCH_TIME_DIGITS);
}

/* ---- commands ---- */

static void report(uint64_t events, int64_t from_ns, int64_t from_cpu_us)
{
    say("{\"sent\":%" PRIu64 ",\"wall_us\":%" PRId64 ",\"cpu_us\":%" PRId64 "}", events,
        (now_ns() - from_ns) / 1000, own_cpu_us() - from_cpu_us);
}

/* How much is made before it is sent: with TLS everything, as encrypting is slow; else what stays
 * in the processor's cache. */
static void encode(struct generator *generator, uint64_t count)
{
    while (count > 0) {
        unsigned n = count < RECORD_FRAMES ? (unsigned)count : RECORD_FRAMES;

        for (unsigned i = 0; i < n; i++)
            next_event(generator, generator->frames[i], 0);
        peer_encode(generator->peer, generator->frames, (size_t)n * FRAME_BYTES);
        count -= n;
    }
}

static void burst(struct generator *generator, uint64_t count)
{
    uint64_t ahead = generator->service.secure ? count : CHUNK_FRAMES;
    int64_t from_ns, from_cpu_us;

    if (ahead > count)
        ahead = count;
    encode(generator, ahead);
    from_ns = now_ns();
    from_cpu_us = own_cpu_us();
    peer_finish(generator->peer);
    for (uint64_t left = count - ahead; left > 0; left -= ahead) {
        if (ahead > left)
            ahead = left;
        encode(generator, ahead);
        peer_finish(generator->peer);
    }
    report(count, from_ns, from_cpu_us);
}

/* Until the next event is due, or the peer has something to say or room again. */
static void wait_until(struct peer *peer, int64_t due_ns, bool pending)
{
    struct pollfd fd = {.fd = peer->fd, .events = (short)(POLLIN | (pending ? POLLOUT : 0))};
    int64_t left_ns = due_ns - now_ns();
    struct timespec left = {.tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S};

    if (left_ns <= 0)
        return;
    if (ppoll(&fd, 1, &left, NULL) > 0 && fd.revents & POLLIN && !peer_read(peer))
        die("the bridge closed the connection");
}

static void pace(struct generator *generator, uint64_t rate, uint64_t count)
{
    int64_t from_ns = now_ns(), from_cpu_us = own_cpu_us();

    for (uint64_t made = 0; made < count;) {
        int64_t now = now_ns();

        for (; made < count && from_ns + (int64_t)(made * NS_PER_S / rate) <= now; made++) {
            next_event(generator, generator->frames[0], now);
            peer_encode(generator->peer, generator->frames[0], FRAME_BYTES);
        }
        bool pending = !peer_flush(generator->peer);
        wait_until(generator->peer, from_ns + (int64_t)(made * NS_PER_S / rate), pending);
    }
    peer_finish(generator->peer);
    report(count, from_ns, from_cpu_us);
}

static void obey(struct generator *generator)
{
    char line[256];
    uint64_t rate, count;
    ssize_t n = read(STDIN_FILENO, line, sizeof line - 1);

    if (n <= 0)
        exit(0);
    line[n] = '\0';
    if (generator->peer == NULL)
        die("no bridge has connected yet");
    if (sscanf(line, "burst %" SCNu64, &count) == 1)
        burst(generator, count);
    else if (sscanf(line, "pace %" SCNu64 " %" SCNu64, &rate, &count) == 2 && rate > 0)
        pace(generator, rate, count);
    else
        die("not a command: %s", line);
    peer_pong(generator->peer);
}

/* ---- life ---- */

static void take_connection(struct generator *generator)
{
    struct peer *peer = service_accept(&generator->service, generator->next - 1);

    if (peer == NULL)
        return;
    if (generator->peer != NULL)
        peer_close(generator->peer);
    generator->peer = peer;
    say("{\"open\":%u,\"tls\":\"%s\"}", ++generator->opened, peer_cipher(peer));
}

static void serve(struct generator *generator)
{
    for (;;) {
        struct pollfd fds[] = {
            {.fd = STDIN_FILENO, .events = POLLIN},
            {.fd = generator->service.listener, .events = POLLIN},
            {.fd = generator->peer != NULL ? generator->peer->fd : -1, .events = POLLIN},
        };

        poll(fds, sizeof fds / sizeof fds[0], -1);
        if (fds[2].revents != 0) {
            if (!peer_read(generator->peer))
                die("the bridge closed the connection");
            peer_pong(generator->peer);
        }
        if (fds[1].revents != 0)
            take_connection(generator);
        if (fds[0].revents != 0)
            obey(generator);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"tls", required_argument, NULL, 't'},
                                            {"cert", required_argument, NULL, 'c'},
                                            {"key", required_argument, NULL, 'k'},
                                            {0}};
    static struct generator generator;
    const char *cipher = NULL, *cert = NULL, *key = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 't')
            cipher = optarg;
        else if (option == 'c')
            cert = optarg;
        else if (option == 'k')
            key = optarg;
        else
            return 2;
    }
    if (cipher != NULL && (cert == NULL || key == NULL ||
                           (strcmp(cipher, "aes") != 0 && strcmp(cipher, "chacha") != 0)))
        die("--tls takes aes or chacha, with --cert and --key");
    prctl(PR_SET_TIMERSLACK, 1000); /* ns: it has to wake up on time */
    generator.next = BENCH_FIRST;
    make_frames(&generator);
    service_open(&generator.service, cert, key, cipher);
    say("{\"port\":%u}", (unsigned)generator.service.port);
    serve(&generator);
}
