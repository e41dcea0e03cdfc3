/*
 * crowd EVENTS FEED WEB: readers of hawserd, many at once, on three of its sockets: ndjson, a feed
 * in envelopes, and http. Each checks what it sees (reader.h). It obeys lines on stdin, and answers
 * each with a line of JSON:
 *
 *     open N KIND FROM  N readers more, of kind ndjson, named, feed or sse; answered when each has
 *                       what it asked for. FROM: now, oldest or a seq
 *     until A B         reads until each of them has event number B; the clock starts at the first
 *                       that comes behind A
 *     churn N UNTIL SEED  N readers that come and go, of all kinds: read fast, slowly or not at
 * all, leave in the middle of a line, come back for what follows or begin anew, acknowledge and do
 * not; until a reader that does nothing but read has event number UNTIL. They stay as they are
 * between two of these close             all of them go
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bench.h"
#include "reader.h"

enum {
    READERS_MAX = 8192,
    SILENCE_MS = 60000, /* of hawserd, that ends the program */
    LATENCIES_MAX = 1 << 20,
    READY_MAX = 256,
    /* Of the churn: */
    STEPS_A_ROUND = 128, /* between two looks at the one that only reads */
    LIFE_STEPS_MAX = 40, /* that a connection lives */
    NAMED_PART = 4,      /* every fourth has a name */
    NAMED_MAX = 900,     /* of the 1000 names there may be */
};

struct crowd {
    const char *paths[4]; /* by kind */
    struct reader *readers[READERS_MAX];
    unsigned count;
    pid_t daemon;
    int epoll;

    /* until */
    uint64_t begin_after;
    int64_t from_ns, from_cpu_us, from_own_cpu_us;
    bool counting;
    int64_t *latency_ns;
    size_t n_latencies;
    uint64_t latency_skip, latency_every; /* one of so many is kept */

    /* churn */
    struct reader *witness;
    uint64_t random;
    unsigned life[READERS_MAX];
    size_t speed[READERS_MAX]; /* bytes that it reads at once */
    uint64_t connections, resumed;
};

static struct crowd crowd;

static struct reader *new_reader(void)
{
    struct reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL || crowd.count == READERS_MAX)
        die("no memory for one reader more than %u", crowd.count);
    reader->fd = -1;
    reader->slot = crowd.count;
    return reader;
}

static void learn_daemon(const struct reader *reader)
{
    struct ucred credentials;
    socklen_t size = sizeof credentials;

    if (getsockopt(reader->fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        die("peer: %s", strerror(errno));
    crowd.daemon = credentials.pid;
}

static uint64_t sum_events(void)
{
    uint64_t events = 0;

    for (unsigned i = 0; i < crowd.count; i++)
        events += crowd.readers[i]->events;
    return events;
}

static uint64_t sum_bytes(void)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < crowd.count; i++)
        bytes += crowd.readers[i]->bytes;
    return bytes;
}

/* ---- all read all of it ---- */

static void read_all_ready(void)
{
    struct epoll_event ready[READY_MAX];
    int n = epoll_wait(crowd.epoll, ready, READY_MAX, SILENCE_MS);

    if (n == 0)
        die("hawserd was silent for %d s; %u readers, %" PRIu64 " events so far", SILENCE_MS / 1000,
            crowd.count, sum_events());
    for (int i = 0; i < n; i++) {
        struct reader *reader = ready[i].data.ptr;

        if (!reader_read(reader, READER_CHUNK_BYTES))
            die("reader %u (%s): hawserd has closed the connection", reader->slot,
                reader_kind_name(reader->kind));
    }
}

static void open_readers(unsigned count, enum reader_kind kind, const char *from)
{
    struct reader_place place = {.path = crowd.paths[kind], .from = from, .window = 10000};
    unsigned first = crowd.count;

    if (crowd.from_ns == 0)
        crowd.from_ns = now_ns();
    for (unsigned i = 0; i < count; i++) {
        struct reader *reader = new_reader();
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = reader};

        reader_open(reader, kind, &place);
        crowd.readers[crowd.count++] = reader;
        if (epoll_ctl(crowd.epoll, EPOLL_CTL_ADD, reader->fd, &event) != 0)
            die("epoll: %s", strerror(errno));
    }
    learn_daemon(crowd.readers[first]);
    for (unsigned i = first; i < crowd.count;) {
        if (crowd.readers[i]->answered)
            i++;
        else
            read_all_ready();
    }
    say("{\"open\":%u}", crowd.count);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double percentile_us(double part)
{
    if (crowd.n_latencies == 0)
        return -1;
    return (double)crowd.latency_ns[(size_t)(part * (double)(crowd.n_latencies - 1))] / 1000;
}

static void begin_counting(void)
{
    crowd.counting = true;
    crowd.from_ns = now_ns();
    crowd.from_cpu_us = process_cpu_us(crowd.daemon);
    crowd.from_own_cpu_us = own_cpu_us();
    crowd.n_latencies = 0;
    for (unsigned i = 0; i < crowd.count; i++)
        crowd.readers[i]->events = crowd.readers[i]->bytes = 0;
}

static void on_event(struct reader *reader, uint64_t made_ns)
{
    if (reader->number <= crowd.begin_after)
        return;
    if (!crowd.counting) {
        begin_counting();
        reader->events = 1;
    }
    if (made_ns == 0 || crowd.latency_skip++ % crowd.latency_every != 0)
        return;
    if (crowd.n_latencies < LATENCIES_MAX)
        crowd.latency_ns[crowd.n_latencies++] = reader->arrived_ns - (int64_t)made_ns;
}

static void report_reading(void)
{
    int64_t end_ns = now_ns();

    qsort(crowd.latency_ns, crowd.n_latencies, sizeof *crowd.latency_ns, compare);
    say("{\"complete\":true,\"readers\":%u,\"events\":%" PRIu64 ",\"bytes\":%" PRIu64
        ",\"wall_us\":%" PRId64 ",\"bridge_cpu_us\":%" PRId64 ",\"cpu_us\":%" PRId64
        ",\"rss_anon_kb\":%" PRIu64 ",\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}",
        crowd.count, sum_events(), sum_bytes(), (end_ns - crowd.from_ns) / 1000,
        process_cpu_us(crowd.daemon) - crowd.from_cpu_us, own_cpu_us() - crowd.from_own_cpu_us,
        process_rss_anon_kb(crowd.daemon), percentile_us(0.5), percentile_us(0.99),
        percentile_us(1));
}

static void read_until(uint64_t after, uint64_t until)
{
    uint64_t all = (until - after) * crowd.count;

    crowd.begin_after = after;
    crowd.latency_every = all / LATENCIES_MAX + 1;
    crowd.counting = false;
    for (unsigned i = 0; i < crowd.count; i++)
        crowd.readers[i]->on_event = on_event;
    for (unsigned i = 0; i < crowd.count;) {
        if (crowd.readers[i]->number >= until)
            i++;
        else
            read_all_ready();
    }
    report_reading();
}

static void close_all(void)
{
    for (unsigned i = 0; i < crowd.count; i++) {
        if (crowd.readers[i]->fd >= 0)
            reader_close(crowd.readers[i]);
        free(crowd.readers[i]);
    }
    if (crowd.witness != NULL) {
        reader_close(crowd.witness);
        free(crowd.witness);
    }
    crowd.witness = NULL;
    crowd.count = 0;
    crowd.from_ns = 0;
    say("{\"closed\":true}");
}

/* ---- they come and go ---- */

/* xorshift64*: the same coming and going for the same seed, as far as hawserd allows. */
static unsigned below(unsigned n)
{
    crowd.random ^= crowd.random >> 12;
    crowd.random ^= crowd.random << 25;
    crowd.random ^= crowd.random >> 27;
    return (unsigned)((crowd.random * 2685821657736338717ull) >> 33) % n;
}

static void come(unsigned i)
{
    static const size_t speeds[] = {READER_CHUNK_BYTES, READER_CHUNK_BYTES, 32768, 1500, 0};
    struct reader *reader = crowd.readers[i];
    bool named = i % NAMED_PART == 0 && i / NAMED_PART < NAMED_MAX;
    enum reader_kind kinds[] = {READER_NDJSON, READER_FEED, READER_SSE};
    enum reader_kind kind = named ? READER_NAMED : kinds[below(3)];
    struct reader_place place = {.path = crowd.paths[kind], .from = "now"};
    unsigned choice = below(8);
    char seq[24];

    place.window = 1 + below(2000);
    place.takeover = reader->busy || below(2) == 0;
    if (named) {
        place.from = "cursor";
    } else if (reader->seq != 0 && choice < 4) {
        place.from = NULL;
        crowd.resumed += kind != READER_FEED;
    } else if (choice == 4) {
        place.from = "oldest";
    } else if (choice == 5 && crowd.witness->seq != 0) {
        snprintf(seq, sizeof seq, "%" PRIu64, crowd.witness->seq - below(100) % crowd.witness->seq);
        place.from = seq;
    }
    if (kind == READER_FEED)
        place.from = "now"; /* as it is configured */
    crowd.life[i] = below(8) == 0 ? 0 : below(LIFE_STEPS_MAX);
    crowd.speed[i] = speeds[below(sizeof speeds / sizeof speeds[0])];
    crowd.connections++;
    reader_open(reader, kind, &place);
}

static void go(unsigned i)
{
    static const char half[] = "{\"op\":\"stat";
    struct reader *reader = crowd.readers[i];

    if (below(4) == 0)
        (void)!send(reader->fd, half, sizeof half - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    reader_close(reader);
}

static void step(unsigned i)
{
    struct reader *reader = crowd.readers[i];
    uint64_t bytes = reader->bytes;

    if (reader->fd < 0) {
        come(i);
        return;
    }
    if (crowd.speed[i] > 0 && !reader_read(reader, crowd.speed[i])) {
        if (!reader->busy)
            die("reader %u (%s): hawserd has closed the connection", i,
                reader_kind_name(reader->kind));
        crowd.life[i] = 0;
    }
    if (reader->kind == READER_NAMED && !reader->busy && (reader->full || below(2) == 0))
        reader_ack(reader, below(2) == 0);
    if (crowd.life[i] == 0)
        go(i);
    else if (reader->bytes > bytes || below(8) == 0)
        crowd.life[i]--; /* it is mostly patient while nothing comes */
}

static void report_churn(void)
{
    uint64_t gaps = 0, acks = 0;

    for (unsigned i = 0; i < crowd.count; i++) {
        gaps += crowd.readers[i]->gaps;
        acks += crowd.readers[i]->acks;
    }
    say("{\"churned\":true,\"connections\":%" PRIu64 ",\"resumed\":%" PRIu64 ",\"events\":%" PRIu64
        ",\"bytes\":%" PRIu64 ",\"gaps\":%" PRIu64 ",\"acks\":%" PRIu64 ",\"witness\":%" PRIu64 "}",
        crowd.connections, crowd.resumed, sum_events(), sum_bytes(), gaps, acks,
        crowd.witness->events);
}

/* All come at once; after that each in its own time. */
static void begin_churn(unsigned count)
{
    struct reader_place place = {.path = crowd.paths[READER_NDJSON], .from = "now"};

    crowd.witness = new_reader();
    crowd.witness->slot = READERS_MAX;
    reader_open(crowd.witness, READER_NDJSON, &place);
    learn_daemon(crowd.witness);
    while (!crowd.witness->answered)
        if (!reader_read(crowd.witness, READER_CHUNK_BYTES))
            die("hawserd lets nobody read");
    while (crowd.count < count) {
        crowd.readers[crowd.count] = new_reader();
        crowd.count++;
        come(crowd.count - 1);
    }
}

static void churn(unsigned count, uint64_t until, uint64_t seed)
{
    int64_t heard_ns = now_ns();

    crowd.random = crowd.random != 0 ? crowd.random : seed * 2 + 1;
    if (crowd.witness == NULL)
        begin_churn(count);
    say("{\"ready\":true}");
    while (crowd.witness->number < until) {
        struct pollfd fd = {.fd = crowd.witness->fd, .events = POLLIN};

        if (poll(&fd, 1, 1) > 0) {
            heard_ns = now_ns();
            if (!reader_read(crowd.witness, READER_CHUNK_BYTES / 4))
                die("hawserd has closed the connection");
        }
        if (now_ns() - heard_ns > SILENCE_MS * 1000000ll)
            die("hawserd was silent for %d s", SILENCE_MS / 1000);
        for (unsigned i = 0; i < STEPS_A_ROUND; i++)
            step(below(crowd.count));
    }
    report_churn();
}

/* ---- life ---- */

static bool find_kind(const char *name, enum reader_kind *out)
{
    for (unsigned kind = READER_NDJSON; kind <= READER_SSE; kind++) {
        *out = (enum reader_kind)kind;
        if (strcmp(name, reader_kind_name(*out)) == 0)
            return true;
    }
    return false;
}

static void obey(const char *line)
{
    char name[16], from[32];
    uint64_t until, more;
    enum reader_kind kind;
    unsigned count;

    if (sscanf(line, "open %u %15s %31s", &count, name, from) == 3 && find_kind(name, &kind))
        open_readers(count, kind, from);
    else if (sscanf(line, "until %" SCNu64 " %" SCNu64, &more, &until) == 2)
        read_until(more, until);
    else if (sscanf(line, "churn %u %" SCNu64 " %" SCNu64, &count, &until, &more) == 3 && count > 0)
        churn(count, until, more);
    else if (strncmp(line, "close", 5) == 0)
        close_all();
    else
        die("not a command: %s", line);
}

int main(int argc, char **argv)
{
    struct rlimit files;
    char line[256];

    if (argc != 4)
        die("usage: crowd EVENTS FEED WEB");
    crowd.paths[READER_NDJSON] = crowd.paths[READER_NAMED] = argv[1];
    crowd.paths[READER_FEED] = argv[2];
    crowd.paths[READER_SSE] = argv[3];
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    crowd.epoll = epoll_create1(EPOLL_CLOEXEC);
    crowd.latency_ns = calloc(LATENCIES_MAX, sizeof *crowd.latency_ns);
    if (crowd.epoll < 0 || crowd.latency_ns == NULL)
        die("epoll: %s", strerror(errno));
    while (fgets(line, sizeof line, stdin) != NULL)
        obey(line);
    return 0;
}
