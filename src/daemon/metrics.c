#include "daemon/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/consumers.h"
#include "daemon/listener.h"
#include "daemon/logfmt.h"
#include "daemon/upstream.h"

static const struct slice no_labels = {"", 0};

#define LABEL_MAX (LIMIT_CONSUMER_NAME + LIMIT_STREAM_NAME + 32)

/* What is told of one stream. */
struct numbers {
    const struct upstream *upstream;
    struct stream_stats stats;
    struct session_status status;
    char text[LABEL_MAX];
    struct slice labels;
};

struct scrape {
    struct metrics_page page;
    const struct listener *listener;
    struct numbers *streams; /* that the listener shows */
    size_t n;
};

/* ---- one number of each stream; -1: there is none ---- */

static int64_t dials(const struct numbers *n)
{
    return (int64_t)n->stats.dials;
}

static int64_t opened(const struct numbers *n)
{
    return (int64_t)n->stats.opened;
}

static int64_t dead_links(const struct numbers *n)
{
    return (int64_t)n->status.dead_links;
}

static int64_t messages(const struct numbers *n)
{
    return (int64_t)n->stats.messages;
}

static int64_t bytes(const struct numbers *n)
{
    return (int64_t)n->stats.bytes;
}

static int64_t duplicates(const struct numbers *n)
{
    return (int64_t)n->stats.flow.duplicates;
}

static int64_t malformed(const struct numbers *n)
{
    return (int64_t)n->stats.flow.malformed;
}

static int64_t held_back(const struct numbers *n)
{
    return (int64_t)n->stats.arrivals.held_back;
}

static int64_t credential_s(const struct numbers *n)
{
    int64_t left_s = vault_expires_in_s(&n->upstream->vault);
    return left_s < 0 ? -1 : io_wall_us() / 1000000 + left_s;
}

static int64_t known_s(const struct certificate *certificate)
{
    return certificate->expiry.at_s > 0 ? certificate->expiry.at_s : -1;
}

static int64_t certificate_s(const struct numbers *n)
{
    return known_s(certificates_soonest(&n->upstream->certificates));
}

static int64_t own_certificate_s(const struct numbers *n)
{
    return known_s(&n->upstream->certificates.own);
}

static void write_each(struct scrape *scrape, enum metric metric,
                       int64_t (*value)(const struct numbers *n))
{
    metrics_family(&scrape->page, metric);
    for (size_t i = 0; i < scrape->n; i++) {
        int64_t now = value(&scrape->streams[i]);
        if (now >= 0)
            metrics_value(&scrape->page, scrape->streams[i].labels, NULL, NULL, now);
    }
}

/* ---- durations of each stream ---- */

static int64_t retry_ms(const struct numbers *n)
{
    return n->upstream->retry_ms;
}

static int64_t catchup_ms(const struct numbers *n)
{
    const struct upstream *upstream = n->upstream;
    return upstream->catching_since_ms < 0
               ? upstream->catchup_ms
               : io_now_ms(upstream->daemon->loop) - upstream->catching_since_ms;
}

static void write_each_ms(struct scrape *scrape, enum metric metric,
                          int64_t (*value)(const struct numbers *n))
{
    metrics_family(&scrape->page, metric);
    for (size_t i = 0; i < scrape->n; i++)
        metrics_fraction(&scrape->page, scrape->streams[i].labels, value(&scrape->streams[i]),
                         1000);
}

/* ---- several numbers of each stream ---- */

static void write_state(struct metrics_page *page, const struct numbers *n)
{
    static const enum session_state states[] = {
#define X(id, text) SESSION_##id,
        SESSION_STATES(X)
#undef X
    };
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        metrics_value(page, n->labels, "state", session_state_name(states[i]),
                      n->status.state == states[i]);
}

static void write_closed_row(struct metrics_page *page, const struct numbers *n, const char *code,
                             bool by_us, uint64_t count)
{
    char text[LABEL_MAX + 24];
    size_t code_len = strlen(code), at = n->labels.len;
    memcpy(text, n->text, at);
    memcpy(text + at, ",code=\"", 7);
    memcpy(text + at + 7, code, code_len);
    at += 7 + code_len;
    text[at++] = '"';
    metrics_value(page, slice_make(text, at), "by", by_us ? "us" : "peer", (int64_t)count);
}

static void write_closed(struct metrics_page *page, const struct numbers *n)
{
    for (unsigned by_us = 0; by_us < 2; by_us++) {
        const struct link_counts_open *closed = &n->upstream->counts.closed[by_us];
        for (unsigned i = 0; i < closed->used; i++)
            write_closed_row(page, n, closed->row[i].text, by_us, closed->row[i].n);
        if (closed->others > 0)
            write_closed_row(page, n, "other", by_us, closed->others);
    }
}

static void write_refused(struct metrics_page *page, const struct numbers *n)
{
    const struct link_counts_open *refused = &n->upstream->counts.refused;
    for (unsigned i = 0; i < refused->used; i++)
        metrics_value(page, n->labels, "status", refused->row[i].text, (int64_t)refused->row[i].n);
    if (refused->others > 0)
        metrics_value(page, n->labels, "status", "other", (int64_t)refused->others);
}

static void write_tls(struct metrics_page *page, const struct numbers *n)
{
    for (unsigned i = 0; i < LINK_TLS_COUNT; i++) {
        const char *name = link_tls_failure_name(i);
        if (name != NULL)
            metrics_value(page, n->labels, "reason", name, (int64_t)n->upstream->counts.tls[i]);
    }
}

static void write_stored(struct metrics_page *page, const struct numbers *n)
{
    for (unsigned via = 0; via < FLOW_VIA_COUNT; via++)
        metrics_value(page, n->labels, "via", flow_via_name((enum flow_via)via),
                      (int64_t)n->stats.hub.stored[via]);
}

static void write_gaps(struct metrics_page *page, const struct numbers *n)
{
    for (unsigned i = 0; i < SESSION_GAP_COUNT; i++)
        metrics_value(page, n->labels, "reason", session_gap_name((enum session_gap)i),
                      (int64_t)n->stats.hub.gaps[i]);
}

static void write_rtt(struct metrics_page *page, const struct numbers *n)
{
    metrics_histogram(page, n->labels, &n->stats.rtts_ms, 1000);
}

static void write_arrivals(struct metrics_page *page, const struct numbers *n)
{
    metrics_histogram(page, n->labels, &n->stats.arrivals.silences_ms, 1000);
}

static void write_all(struct scrape *scrape, enum metric metric,
                      void (*write)(struct metrics_page *page, const struct numbers *n))
{
    metrics_family(&scrape->page, metric);
    for (size_t i = 0; i < scrape->n; i++)
        write(&scrape->page, &scrape->streams[i]);
}

static void write_streams(struct scrape *scrape)
{
    write_all(scrape, METRIC_STREAM_STATE, write_state);
    write_each(scrape, METRIC_DIALS, dials);
    write_each(scrape, METRIC_LINKS_OPENED, opened);
    write_all(scrape, METRIC_LINKS_CLOSED, write_closed);
    write_all(scrape, METRIC_HANDSHAKE_FAILURES, write_refused);
    write_all(scrape, METRIC_TLS_FAILURES, write_tls);
    write_each_ms(scrape, METRIC_RETRY_DELAY, retry_ms);
    write_all(scrape, METRIC_RTT, write_rtt);
    write_each(scrape, METRIC_HEARTBEAT_FAILURES, dead_links);
    write_each(scrape, METRIC_MESSAGES_RECEIVED, messages);
    write_each(scrape, METRIC_BYTES_RECEIVED, bytes);
    write_all(scrape, METRIC_EVENTS_STORED, write_stored);
    write_each(scrape, METRIC_EVENTS_DUPLICATE, duplicates);
    write_each(scrape, METRIC_EVENTS_MALFORMED, malformed);
    write_all(scrape, METRIC_GAPS, write_gaps);
    write_each_ms(scrape, METRIC_CATCHUP, catchup_ms);
    write_all(scrape, METRIC_ARRIVAL_GAP, write_arrivals);
    write_each(scrape, METRIC_HELD_BACK, held_back);
    write_each(scrape, METRIC_CREDENTIAL_EXPIRY, credential_s);
    write_each(scrape, METRIC_CERTIFICATE_EXPIRY, certificate_s);
    write_each(scrape, METRIC_OWN_CERTIFICATE_EXPIRY, own_certificate_s);
}

static int gather(struct scrape *scrape)
{
    const struct daemon *daemon = scrape->listener->daemon;
    scrape->streams = calloc(daemon->n_upstreams + 1, sizeof(*scrape->streams));
    if (scrape->streams == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < daemon->n_upstreams; i++) {
        const struct upstream *upstream = daemon->upstreams[i];
        struct numbers *n = &scrape->streams[scrape->n];
        if (!listener_sees(scrape->listener, upstream->store_id))
            continue;
        scrape->n++;
        n->upstream = upstream;
        stream_stats(upstream->stream, &n->stats);
        stream_session_status(upstream->stream, &n->status);
        int len = snprintf(n->text, sizeof(n->text), "stream=\"%s\"", upstream->settings->name);
        n->labels = slice_make(n->text, (size_t)len);
    }
    return 0;
}

/* ---- of the daemon ---- */

static void write_one(struct metrics_page *page, enum metric metric, int64_t value)
{
    metrics_family(page, metric);
    metrics_value(page, no_labels, NULL, NULL, value);
}

static void write_store(struct metrics_page *page, const struct persist *persist)
{
    const struct store_info *info = persist_info(persist);
    write_one(page, METRIC_STORE_BYTES, (int64_t)info->file_bytes);
    metrics_family(page, METRIC_STORE_COMMIT);
    metrics_histogram(page, no_labels, persist_commit_times(persist), 1000000);
    write_one(page, METRIC_STORE_FAILING, persist_trouble(persist) != NULL);
    write_one(page, METRIC_STORE_OLDEST, (int64_t)info->oldest_seq);
    write_one(page, METRIC_STORE_NEWEST, (int64_t)info->newest_seq);
}

static void write_loop(struct metrics_page *page, const struct turns *turns)
{
    metrics_family(page, METRIC_LOOP_STALL);
    metrics_histogram(page, no_labels, &turns->busy_us, 1000000);
    metrics_family(page, METRIC_LOOP_LONGEST);
    metrics_fraction(page, no_labels, turns->longest_us, 1000000);
}

static void write_lag(void *arg, const struct consumers_row *row)
{
    if (row->lag_known)
        metrics_value(arg, no_labels, "consumer", row->name, (int64_t)row->lag);
}

static void write_connected(void *arg, const struct consumers_row *row)
{
    metrics_value(arg, no_labels, "consumer", row->name, row->connected);
}

static void write_consumers(struct metrics_page *page, const struct consumers *consumers)
{
    metrics_family(page, METRIC_CONSUMER_LAG);
    consumers_each(consumers, write_lag, page);
    metrics_family(page, METRIC_CONSUMER_CONNECTED);
    consumers_each(consumers, write_connected, page);
}

static void write_clients(struct metrics_page *page, const struct daemon *daemon)
{
    metrics_family(page, METRIC_CLIENTS);
    for (size_t i = 0; i < daemon->n_listeners; i++)
        metrics_value(page, no_labels, "listener", daemon->listeners[i]->name,
                      daemon->listeners[i]->n_clients);
}

static void write_log(struct metrics_page *page)
{
    struct logfmt_counts counts;
    logfmt_counts(&counts);
    metrics_family(page, METRIC_LOG_LINES);
    for (unsigned i = 0; i < LOGFMT_LEVELS; i++)
        metrics_value(page, no_labels, "level", log_level_name((enum log_level)i),
                      (int64_t)counts.lines[i]);
    write_one(page, METRIC_LOG_SUPPRESSED, (int64_t)counts.suppressed);
    write_one(page, METRIC_LOG_DROPPED, (int64_t)counts.dropped);
}

int metrics_write(const struct listener *listener, struct buf *out)
{
    const struct daemon *daemon = listener->daemon;
    struct scrape scrape = {.listener = listener};
    struct metrics_page *page = &scrape.page;
    metrics_page_init(page, out);
    page->rc = gather(&scrape);
    write_streams(&scrape);
    write_store(page, daemon->persist);
    write_loop(page, &daemon->turns);
    write_consumers(page, daemon->consumers);
    write_clients(page, daemon);
    write_log(page);
    metrics_family(page, METRIC_BUILD_INFO);
    metrics_value(page, no_labels, "version", HAWSER_VERSION, 1);
    metrics_process(page, io_now_ms(daemon->loop) - daemon->started_ms);
    free(scrape.streams);
    return page->rc;
}
