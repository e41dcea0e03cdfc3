/*
 * metrics_page: the text format of Prometheus (version 0.0.4), and which families there are.
 *
 * Decides: the names, types and labels of all families, in one table; that the series of a family
 * stand together under its HELP and TYPE. A page for many streams has tens of thousands of lines,
 * so a line is copied together, and no printf is asked.
 * Leaves: the values to metrics. Owns nothing. Fails: when the buffer has no room; the first
 * failure sticks in rc, and the calls after it do nothing.
 *
 * How to extend: a row in METRICS, then its series where metrics.c writes the others.
 */
#ifndef HAWSER_DAEMON_METRICS_PAGE_H
#define HAWSER_DAEMON_METRICS_PAGE_H

#include "base/buf.h"
#include "base/histogram.h"
#include "base/slice.h"

/* X(id, name, type, labels, help): labels as they stand on every series of it. */
#define METRICS(X)                                                                                 \
    X(STREAM_STATE, "hawser_stream_state", GAUGE, "stream state",                                  \
      "1 for the state that the stream is in, 0 for all others")                                   \
    X(DIALS, "hawser_dials_total", COUNTER, "stream", "Connections begun")                         \
    X(LINKS_OPENED, "hawser_links_opened_total", COUNTER, "stream",                                \
      "WebSocket handshakes that succeeded")                                                       \
    X(LINKS_CLOSED, "hawser_links_closed_total", COUNTER, "stream code by",                        \
      "Open links that ended, by close code (1006: none came) and by whom: us or peer")            \
    X(HANDSHAKE_FAILURES, "hawser_handshake_failures_total", COUNTER, "stream status",             \
      "Upgrades refused, by HTTP status (none: no answer)")                                        \
    X(TLS_FAILURES, "hawser_tls_failures_total", COUNTER, "stream reason",                         \
      "TLS handshakes that failed")                                                                \
    X(RETRY_DELAY, "hawser_retry_delay_seconds", GAUGE, "stream",                                  \
      "The wait before the next attempt, as it was drawn; 0 while there is none")                  \
    X(RTT, "hawser_rtt_seconds", HISTOGRAM, "stream", "Round trips of pings on links")             \
    X(HEARTBEAT_FAILURES, "hawser_heartbeat_failures_total", COUNTER, "stream",                    \
      "Links given up as dead: no answer to a heartbeat, or silent for too long")                  \
    X(MESSAGES_RECEIVED, "hawser_messages_received_total", COUNTER, "stream", "Messages received") \
    X(BYTES_RECEIVED, "hawser_bytes_received_total", COUNTER, "stream",                            \
      "Bytes of messages received")                                                                \
    X(EVENTS_STORED, "hawser_events_stored_total", COUNTER, "stream via",                          \
      "Events stored, by the way they came")                                                       \
    X(EVENTS_DUPLICATE, "hawser_events_duplicate_total", COUNTER, "stream",                        \
      "Events dropped since they were stored before")                                              \
    X(EVENTS_MALFORMED, "hawser_events_malformed_total", COUNTER, "stream",                        \
      "Messages that could not be understood")                                                     \
    X(GAPS, "hawser_gaps_total", COUNTER, "stream reason", "Gaps in what the stream delivered")    \
    X(CATCHUP, "hawser_catchup_seconds", GAUGE, "stream",                                          \
      "How long the catch-up has taken so far, or the last one took")                              \
    X(ARRIVAL_GAP, "hawser_arrival_gap_seconds", HISTOGRAM, "stream",                              \
      "Silences between messages on a link")                                                       \
    X(HELD_BACK, "hawser_held_back_total", COUNTER, "stream",                                      \
      "Floods of messages that something on the way had held back")                                \
    X(CREDENTIAL_EXPIRY, "hawser_credential_expiry_timestamp_seconds", GAUGE, "stream",            \
      "When the credential expires, where that is known")                                          \
    X(CERTIFICATE_EXPIRY, "hawser_tls_certificate_expiry_timestamp_seconds", GAUGE, "stream",      \
      "When the first certificate of the service's chain expires")                                 \
    X(OWN_CERTIFICATE_EXPIRY, "hawser_tls_own_certificate_expiry_timestamp_seconds", GAUGE,        \
      "stream", "When our client certificate expires")                                             \
    X(STORE_BYTES, "hawser_store_bytes", GAUGE, "", "Size of the store's file")                    \
    X(STORE_COMMIT, "hawser_store_commit_seconds", HISTOGRAM, "",                                  \
      "How long a commit to disk took")                                                            \
    X(STORE_FAILING, "hawser_store_failing", GAUGE, "",                                            \
      "1 while the store takes no events: the disk is full, slow, or fails")                       \
    X(STORE_OLDEST, "hawser_store_oldest_seq", GAUGE, "", "The oldest event stored")               \
    X(STORE_NEWEST, "hawser_store_newest_seq", GAUGE, "", "The newest event stored")               \
    X(LOOP_STALL, "hawser_loop_stall_seconds", HISTOGRAM, "",                                      \
      "How long the event loop worked before it looked for the next event")                        \
    X(LOOP_LONGEST, "hawser_loop_stall_longest_seconds", GAUGE, "", "The longest of these")        \
    X(CONSUMER_LAG, "hawser_consumer_lag_events", GAUGE, "consumer",                               \
      "Stored events that the named consumer wants and has not acknowledged")                      \
    X(CONSUMER_CONNECTED, "hawser_consumer_connected", GAUGE, "consumer",                          \
      "1 while the named consumer is connected")                                                   \
    X(CLIENTS, "hawser_clients", GAUGE, "listener", "Connections to a listener")                   \
    X(LOG_LINES, "hawser_log_lines_total", COUNTER, "level", "Log lines written")                  \
    X(LOG_SUPPRESSED, "hawser_log_suppressed_total", COUNTER, "",                                  \
      "Log lines left out since there were too many of their kind")                                \
    X(LOG_DROPPED, "hawser_log_dropped_total", COUNTER, "",                                        \
      "Log lines lost since nobody took them in time")                                             \
    X(BUILD_INFO, "hawser_build_info", GAUGE, "version", "1, with the version")                    \
    X(PROCESS_CPU, "process_cpu_seconds_total", COUNTER, "", "Processor time, user and system")    \
    X(PROCESS_VIRTUAL, "process_virtual_memory_bytes", GAUGE, "", "Virtual memory")                \
    X(PROCESS_RESIDENT, "process_resident_memory_bytes", GAUGE, "", "Resident memory")             \
    X(PROCESS_FDS, "process_open_fds", GAUGE, "", "Open file descriptors")                         \
    X(PROCESS_MAX_FDS, "process_max_fds", GAUGE, "", "File descriptors that may be open")          \
    X(PROCESS_START, "process_start_time_seconds", GAUGE, "", "When it started, since 1970")

enum metric {
#define X(id, name, type, labels, help) METRIC_##id,
    METRICS(X)
#undef X
        METRIC_COUNT
};

struct metric_info {
    const char *name;
    const char *type;   /* "counter", "gauge", "histogram" */
    const char *labels; /* names, a space between each two */
    const char *help;
};
/* Shows each family, in the order of the page. */
void metrics_describe(void (*visit)(void *arg, const struct metric_info *info), void *arg);

struct metrics_page {
    struct buf *out;
    int rc;
    const char *name; /* of the family that is being written */
    size_t name_len;
    const int64_t *bounds; /* that are in `le` */
    char le[HISTOGRAM_BOUNDS_MAX][24];
};
void metrics_page_init(struct metrics_page *page, struct buf *out);

/* HELP and TYPE; the family's series follow. */
void metrics_family(struct metrics_page *page, enum metric metric);
/* labels: as they stand between the braces, "" for none. label, word: one more, NULL: none. Values
 * of labels have no byte that would have to be escaped: names of streams, listeners and consumers
 * have none. */
void metrics_value(struct metrics_page *page, struct slice labels, const char *label,
                   const char *word, int64_t value);
/* value / scale, as a decimal fraction; scale is a power of ten. */
void metrics_fraction(struct metrics_page *page, struct slice labels, int64_t value, int64_t scale);
/* scale: how many of the histogram's units are a second. */
void metrics_histogram(struct metrics_page *page, struct slice labels,
                       const struct histogram *histogram, int64_t scale);

#endif
