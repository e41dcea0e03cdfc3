#include "daemon/metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/upstream.h"

/* The text so far; the first failure sticks. */
struct page {
    const struct listener *listener;
    struct buf *out;
    int rc;
};

/* ---- the format ---- */

static void family(struct page *page, const char *name, const char *type, const char *help)
{
    if (page->rc == 0)
        page->rc = buf_appendf(page->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Labels as they stand between the braces, "" for none. Names of streams and listeners have no byte
 * that would have to be escaped. */
static void series(struct page *page, const char *name, const char *labels, int64_t value)
{
    if (page->rc != 0)
        return;
    if (labels[0] != '\0')
        page->rc = buf_appendf(page->out, "%s{%s} %lld\n", name, labels, (long long)value);
    else
        page->rc = buf_appendf(page->out, "%s %lld\n", name, (long long)value);
}

static void series_real(struct page *page, const char *name, double value)
{
    if (page->rc == 0)
        page->rc = buf_appendf(page->out, "%s %.6f\n", name, value);
}

/* ---- of each stream ---- */

struct numbers {
    struct stream_stats stats;
    struct session_status status;
    int64_t credential_s; /* -1: not known */
};

#define LABELS_SIZE (LIMIT_STREAM_NAME + 64)

/* One number of each stream; < 0: there is none now. */
static int64_t messages(const struct numbers *n)
{
    return (int64_t)n->stats.messages;
}

static int64_t bytes(const struct numbers *n)
{
    return (int64_t)n->stats.bytes;
}

static int64_t dials(const struct numbers *n)
{
    return (int64_t)n->stats.dials;
}

static int64_t opened(const struct numbers *n)
{
    return (int64_t)n->stats.opened;
}

static int64_t duplicates(const struct numbers *n)
{
    return (int64_t)n->stats.flow.duplicates;
}

static int64_t malformed(const struct numbers *n)
{
    return (int64_t)n->stats.flow.malformed;
}

static int64_t credential(const struct numbers *n)
{
    return n->credential_s < 0 ? -1 : io_wall_us() / 1000000 + n->credential_s;
}

static const struct {
    const char *name, *type, *help;
    int64_t (*value)(const struct numbers *n);
} rows[] = {
    {"hawser_dials_total", "counter", "Connections begun", dials},
    {"hawser_links_opened_total", "counter", "WebSocket handshakes that succeeded", opened},
    {"hawser_messages_received_total", "counter", "Messages received", messages},
    {"hawser_bytes_received_total", "counter", "Bytes of messages received", bytes},
    {"hawser_events_duplicate_total", "counter", "Events dropped since they were stored before",
     duplicates},
    {"hawser_events_malformed_total", "counter", "Messages that could not be understood",
     malformed},
    {"hawser_credential_expiry_timestamp_seconds", "gauge",
     "When the credential expires, where that is known", credential},
};

static void read_numbers(const struct upstream *upstream, struct numbers *out)
{
    stream_stats(upstream->stream, &out->stats);
    stream_session_status(upstream->stream, &out->status);
    out->credential_s = vault_expires_in_s(&upstream->vault);
}

/* Calls write for each stream that is seen here. */
static void each_stream(struct page *page,
                        void (*write)(struct page *page, const struct upstream *upstream,
                                      const struct numbers *numbers, size_t row),
                        size_t row)
{
    const struct daemon *daemon = page->listener->daemon;
    for (size_t i = 0; i < daemon->n_upstreams; i++) {
        struct numbers numbers;
        if (!listener_sees(page->listener, daemon->upstreams[i]->store_id))
            continue;
        read_numbers(daemon->upstreams[i], &numbers);
        write(page, daemon->upstreams[i], &numbers, row);
    }
}

static void stream_series(struct page *page, const char *name, const struct upstream *upstream,
                          const char *label, const char *word, int64_t value)
{
    char labels[LABELS_SIZE];
    if (label != NULL)
        snprintf(labels, sizeof(labels), "stream=\"%s\",%s=\"%s\"", upstream->settings->name, label,
                 word);
    else
        snprintf(labels, sizeof(labels), "stream=\"%s\"", upstream->settings->name);
    series(page, name, labels, value);
}

static void write_row(struct page *page, const struct upstream *upstream,
                      const struct numbers *numbers, size_t row)
{
    int64_t value = rows[row].value(numbers);
    if (value >= 0)
        stream_series(page, rows[row].name, upstream, NULL, NULL, value);
}

static void write_state(struct page *page, const struct upstream *upstream,
                        const struct numbers *numbers, size_t row)
{
    static const enum session_state states[] = {
#define X(id, text) SESSION_##id,
        SESSION_STATES(X)
#undef X
    };
    (void)row;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        stream_series(page, "hawser_stream_state", upstream, "state", session_state_name(states[i]),
                      numbers->status.state == states[i]);
}

static void write_stored(struct page *page, const struct upstream *upstream,
                         const struct numbers *numbers, size_t row)
{
    (void)row;
    for (unsigned via = 0; via < FLOW_VIA_COUNT; via++)
        stream_series(page, "hawser_events_stored_total", upstream, "via",
                      flow_via_name((enum flow_via)via), (int64_t)numbers->stats.hub.stored[via]);
}

static void write_gaps(struct page *page, const struct upstream *upstream,
                       const struct numbers *numbers, size_t row)
{
    (void)row;
    for (unsigned i = 0; i < SESSION_GAP_COUNT; i++)
        stream_series(page, "hawser_gaps_total", upstream, "reason",
                      session_gap_name((enum session_gap)i), (int64_t)numbers->stats.hub.gaps[i]);
}

static void write_streams(struct page *page)
{
    family(page, "hawser_stream_state", "gauge", "1 for the state that the stream is in");
    each_stream(page, write_state, 0);
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        family(page, rows[row].name, rows[row].type, rows[row].help);
        each_stream(page, write_row, row);
    }
    family(page, "hawser_events_stored_total", "counter",
           "Events stored, by the way that they came");
    each_stream(page, write_stored, 0);
    family(page, "hawser_gaps_total", "counter", "Gaps said, by their reason");
    each_stream(page, write_gaps, 0);
}

/* ---- of the daemon ---- */

static void write_store(struct page *page)
{
    const struct store_info *info = persist_info(page->listener->daemon->persist);
    family(page, "hawser_store_bytes", "gauge", "Size of the store's file");
    series(page, "hawser_store_bytes", "", (int64_t)info->file_bytes);
    family(page, "hawser_store_oldest_seq", "gauge", "The oldest event stored");
    series(page, "hawser_store_oldest_seq", "", (int64_t)info->oldest_seq);
    family(page, "hawser_store_newest_seq", "gauge", "The newest event stored");
    series(page, "hawser_store_newest_seq", "", (int64_t)info->newest_seq);
}

static void write_clients(struct page *page)
{
    const struct daemon *daemon = page->listener->daemon;
    family(page, "hawser_clients", "gauge", "Connections to a listener");
    for (size_t i = 0; i < daemon->n_listeners; i++) {
        char labels[LABELS_SIZE];
        snprintf(labels, sizeof(labels), "listener=\"%s\"", daemon->listeners[i]->name);
        series(page, "hawser_clients", labels, daemon->listeners[i]->n_clients);
    }
}

/* ---- of the process, under the names that all exporters give ---- */

static int64_t count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int64_t n = -3; /* ".", ".." and the directory itself are none */
    if (dir == NULL)
        return -1;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void write_memory(struct page *page)
{
    long long pages[2] = {-1, -1};
    int64_t page_bytes = sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return;
    int n = fscanf(file, "%lld %lld", &pages[0], &pages[1]);
    fclose(file);
    if (n != 2)
        return;
    family(page, "process_virtual_memory_bytes", "gauge", "Virtual memory");
    series(page, "process_virtual_memory_bytes", "", pages[0] * page_bytes);
    family(page, "process_resident_memory_bytes", "gauge", "Resident memory");
    series(page, "process_resident_memory_bytes", "", pages[1] * page_bytes);
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void write_process(struct page *page)
{
    const struct daemon *daemon = page->listener->daemon;
    struct rusage usage;
    struct rlimit limit;
    int64_t descriptors = count_descriptors();
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        family(page, "process_cpu_seconds_total", "counter", "Processor time, user and system");
        series_real(page, "process_cpu_seconds_total",
                    seconds(usage.ru_utime) + seconds(usage.ru_stime));
    }
    write_memory(page);
    if (descriptors >= 0) {
        family(page, "process_open_fds", "gauge", "Open file descriptors");
        series(page, "process_open_fds", "", descriptors);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        family(page, "process_max_fds", "gauge", "File descriptors that may be open");
        series(page, "process_max_fds", "", (int64_t)limit.rlim_cur);
    }
    family(page, "process_start_time_seconds", "gauge", "When it started, since 1970");
    series_real(page, "process_start_time_seconds",
                (double)io_wall_us() / 1e6 -
                    (double)(io_now_ms(daemon->loop) - daemon->started_ms) / 1e3);
}

int metrics_write(const struct listener *listener, struct buf *out)
{
    struct page page = {.listener = listener, .out = out};
    write_streams(&page);
    write_store(&page);
    write_clients(&page);
    family(&page, "hawser_build_info", "gauge", "1, with the version");
    series(&page, "hawser_build_info", "version=\"" HAWSER_VERSION "\"", 1);
    write_process(&page);
    return page.rc;
}
