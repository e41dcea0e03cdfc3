/*
 * sink listen PATH | sink subscribe PATH: the consumer. It listens on a Unix socket for a bridge
 * that connects to it, or subscribes at hawserd's and waits until the stream is live; then it says
 * {"ready":PID}, with the bridge's process. For each line on stdin
 *
 *     measure WARM COUNT
 *
 * it reads WARM + COUNT events and answers with a line of JSON about the last COUNT of them:
 * whether each came once and in order, how long they took to come and, where they carry a time, how
 * old they were on arrival; and of the bridge its CPU time meanwhile and its largest RssAnon.
 * Events that stay away for SILENCE_S end the wait.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

enum {
    BUFFER_BYTES = 1 << 20,
    SILENCE_S = 20,
    CONNECT_TRIES = 1000, /* 10 ms apart */
    LATENCIES_MAX = 1 << 22,
};
#define MEMORY_EVERY_NS (50 * 1000000ll)

struct sink {
    int fd;
    pid_t bridge;
    char buffer[BUFFER_BYTES];
    size_t begin, end;  /* what of it is not taken yet */
    size_t mark_at;     /* where in the last line the mark stood */
    uint64_t last;      /* number of the newest event */
    uint64_t warm_last; /* and of the last one that only warms up */
    uint64_t events, bytes, missing, disorder, other, gaps;
    int64_t arrived_ns;
    int64_t *latency_ns;
    size_t n_latencies;
    int64_t from_ns, from_cpu_us, from_own_cpu_us;
    int64_t memory_at_ns;
    uint64_t rss_anon_kb;
};

/* ---- the bridge's process ---- */

static void look_at_memory(struct sink *sink, int64_t now)
{
    uint64_t kb;

    if (now < sink->memory_at_ns)
        return;
    sink->memory_at_ns = now + MEMORY_EVERY_NS;
    kb = process_rss_anon_kb(sink->bridge);
    if (kb > sink->rss_anon_kb)
        sink->rss_anon_kb = kb;
}

/* ---- lines ---- */

/* False at the end, and after a long silence. */
static bool fill(struct sink *sink)
{
    ssize_t n;

    memmove(sink->buffer, sink->buffer + sink->begin, sink->end - sink->begin);
    sink->end -= sink->begin;
    sink->begin = 0;
    if (sink->end == sizeof sink->buffer)
        die("a line longer than %zu bytes", sizeof sink->buffer);
    n = recv(sink->fd, sink->buffer + sink->end, sizeof sink->buffer - sink->end, 0);
    if (n <= 0)
        return false;
    sink->end += (size_t)n;
    return true;
}

/* The next whole line in the buffer, without its newline; NULL where there is none. */
static const char *next_line(struct sink *sink, size_t *len)
{
    const char *line = sink->buffer + sink->begin;
    const char *newline = memchr(line, '\n', sink->end - sink->begin);

    if (newline == NULL)
        return NULL;
    *len = (size_t)(newline - line);
    sink->begin += *len + 1;
    return line;
}

static uint64_t digits(const char *at, unsigned width)
{
    uint64_t value = 0;

    while (width-- > 0)
        value = value * 10 + (uint64_t)(*at++ - '0');
    return value;
}

/* Where the event's number begins; NULL: it is no event. Lines are much alike, so that the mark
 * mostly is where it was. */
static const char *find_number(struct sink *sink, const char *line, size_t len)
{
    static const size_t mark = sizeof BENCH_MARK - 1;
    const char *at = line + sink->mark_at;

    if (len < mark + BENCH_TIME_AT + BENCH_TIME_DIGITS)
        return NULL;
    if (sink->mark_at + mark > len || memcmp(at, BENCH_MARK, mark) != 0)
        at = memmem(line, len, BENCH_MARK, mark);
    if (at == NULL || at + mark + BENCH_TIME_AT + BENCH_TIME_DIGITS > line + len)
        return NULL;
    sink->mark_at = (size_t)(at - line);
    return at + mark;
}

static void begin_measuring(struct sink *sink)
{
    sink->from_ns = now_ns();
    sink->from_cpu_us = process_cpu_us(sink->bridge);
    sink->from_own_cpu_us = own_cpu_us();
}

static void take_event(struct sink *sink, const char *number_at, size_t len)
{
    uint64_t number = digits(number_at, BENCH_NUMBER_DIGITS);
    uint64_t made_ns = digits(number_at + BENCH_TIME_AT, BENCH_TIME_DIGITS);
    bool first;

    if (number <= sink->last)
        sink->disorder++;
    else
        sink->missing += number - sink->last - 1;
    first = sink->last <= sink->warm_last && number > sink->warm_last;
    if (number > sink->last)
        sink->last = number;
    if (first)
        begin_measuring(sink);
    if (number <= sink->warm_last)
        return;
    sink->events++;
    sink->bytes += len + 1;
    if (made_ns != 0 && sink->n_latencies < LATENCIES_MAX)
        sink->latency_ns[sink->n_latencies++] = sink->arrived_ns - (int64_t)made_ns;
}

static void take_line(struct sink *sink, const char *line, size_t len)
{
    const char *number_at = find_number(sink, line, len);

    if (number_at != NULL) {
        take_event(sink, number_at, len);
        return;
    }
    sink->other++;
    if (memmem(line, len, "\"notice\":\"gap\"", 14) != NULL)
        sink->gaps++;
}

/* ---- measuring ---- */

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double percentile_us(const struct sink *sink, double part)
{
    if (sink->n_latencies == 0)
        return -1;
    return (double)sink->latency_ns[(size_t)(part * (double)(sink->n_latencies - 1))] / 1000;
}

static void report(struct sink *sink, bool complete, int64_t end_ns)
{
    int64_t cpu_us = process_cpu_us(sink->bridge) - sink->from_cpu_us;
    int64_t own_us = own_cpu_us() - sink->from_own_cpu_us;

    sink->memory_at_ns = 0;
    look_at_memory(sink, end_ns);
    qsort(sink->latency_ns, sink->n_latencies, sizeof *sink->latency_ns, compare);
    say("{\"complete\":%s,\"events\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"wall_us\":%" PRId64
        ",\"bridge_cpu_us\":%" PRId64 ",\"cpu_us\":%" PRId64 ",\"rss_anon_kb\":%" PRIu64
        ",\"missing\":%" PRIu64 ",\"disorder\":%" PRIu64 ",\"other\":%" PRIu64 ",\"gaps\":%" PRIu64
        ",\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}",
        complete ? "true" : "false", sink->events, sink->bytes, (end_ns - sink->from_ns) / 1000,
        cpu_us, own_us, sink->rss_anon_kb, sink->missing, sink->disorder, sink->other, sink->gaps,
        percentile_us(sink, 0.5), percentile_us(sink, 0.99), percentile_us(sink, 1));
}

static void measure(struct sink *sink, uint64_t warm, uint64_t count)
{
    uint64_t end = sink->last + warm + count;
    const char *line;
    bool complete;
    size_t len;

    sink->warm_last = sink->last + warm;
    sink->events = sink->bytes = sink->missing = sink->disorder = sink->other = sink->gaps = 0;
    sink->n_latencies = 0;
    begin_measuring(sink);
    do {
        sink->arrived_ns = now_ns();
        while (sink->last < end && (line = next_line(sink, &len)) != NULL)
            take_line(sink, line, len);
        complete = sink->last >= end;
        look_at_memory(sink, sink->arrived_ns);
    } while (!complete && fill(sink));
    report(sink, complete, now_ns());
}

/* ---- beginning ---- */

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof address.sun_path)
        die("%s: longer than the path of a socket can be", path);
    memcpy(address.sun_path, path, strlen(path));
    return address;
}

static int accept_bridge(const char *path)
{
    struct sockaddr_un address = address_of(path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd;

    unlink(path);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1) != 0)
        die("%s: %s", path, strerror(errno));
    say("{\"listening\":true}");
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        die("%s: %s", path, strerror(errno));
    close(listener);
    return fd;
}

/* The daemon may have just been started. */
static int connect_bridge(const char *path)
{
    static const struct timespec pause = {.tv_nsec = 10 * 1000000};
    struct sockaddr_un address = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    for (int i = 0; connect(fd, (struct sockaddr *)&address, sizeof address) != 0; i++) {
        if (i == CONNECT_TRIES)
            die("%s: %s", path, strerror(errno));
        nanosleep(&pause, NULL);
    }
    return fd;
}

static void subscribe(struct sink *sink)
{
    static const char request[] = "{\"op\":\"subscribe\",\"from\":\"now\"}\n";
    bool subscribed = false, live = false;

    if (send(sink->fd, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1)
        die("subscribe: %s", strerror(errno));
    while (!subscribed || !live) {
        size_t len;
        const char *line = next_line(sink, &len);

        if (line == NULL && !fill(sink))
            die("subscribe: no answer, or the stream did not become live");
        if (line == NULL)
            continue;
        subscribed |= memmem(line, len, "\"ok\":\"subscribe\"", 16) != NULL;
        live |= memmem(line, len, "\"chat\":\"live\"", 13) != NULL ||
                memmem(line, len, "\"state\":\"live\"", 14) != NULL;
        if (memmem(line, len, "{\"error\"", 8) == line)
            die("subscribe: %.*s", (int)len, line);
    }
}

int main(int argc, char **argv)
{
    static const struct timeval silence = {.tv_sec = SILENCE_S};
    static struct sink sink;
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    uint64_t warm, count;
    char line[256];

    if (argc != 3 || (strcmp(argv[1], "listen") != 0 && strcmp(argv[1], "subscribe") != 0))
        die("usage: sink listen|subscribe PATH");
    bool connects = strcmp(argv[1], "subscribe") == 0;
    sink.last = BENCH_FIRST - 1;
    sink.latency_ns = calloc(LATENCIES_MAX, sizeof *sink.latency_ns);
    if (sink.latency_ns == NULL)
        die("no memory");
    sink.fd = connects ? connect_bridge(argv[2]) : accept_bridge(argv[2]);
    setsockopt(sink.fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
    if (getsockopt(sink.fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        die("peer: %s", strerror(errno));
    sink.bridge = credentials.pid;
    if (connects)
        subscribe(&sink);
    say("{\"ready\":%d}", (int)sink.bridge);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "measure %" SCNu64 " %" SCNu64, &warm, &count) != 2)
            die("not a command: %s", line);
        measure(&sink, warm, count);
    }
    return 0;
}
