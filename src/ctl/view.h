/*
 * view: hawserd's answer to `status`, and what it counts of the consumers, read into a struct.
 *
 * Decides: what of the answer hawserctl shows. Leaves: how, to report and plain.
 * Owns: the streams; view_free(). Texts are clean for a terminal and cut to their size. A member
 * that the daemon does not know is empty, -1 or false.
 * Fails: ERR_PARSE: it is no such answer; ERR_NOMEM.
 */
#ifndef HAWSER_CTL_VIEW_H
#define HAWSER_CTL_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/slice.h"

#define VIEW_COUNTS 8  /* of one kind: ways that events came, reasons of gaps */
#define VIEW_LAGGING 5 /* consumers that lag most */
#define VIEW_REASON 512

struct view_count {
    char name[24];
    int64_t n;
};

struct view_certificate {
    char whose[160];
    int64_t expires_in_ms; /* -1: there is none */
};

struct view_stream {
    char name[LIMIT_STREAM_NAME + 1], profile[72], state[24], position[64];
    char reason[VIEW_REASON], trouble[VIEW_REASON], waits_for[VIEW_REASON], warning[VIEW_REASON];
    char link[12], successor[12], address[96], tls[96];
    bool well, fallback, deflate;
    double messages_per_s;
    int64_t since_ms, down_ms, retry_in_ms, attempts, last_message_ms, credential_expires_in_ms,
        warned_ms, newest, messages, bytes, dials, links, ephemeral, duplicates, malformed, late,
        audited, unkeyed, held, held_back, rtt_ms;
    struct view_certificate certificate, own_certificate;
    struct view_count stored[VIEW_COUNTS], gaps[VIEW_COUNTS]; /* name "": no more */
};

struct view_consumer {
    char name[LIMIT_CONSUMER_NAME + 1];
    bool connected;
    int64_t lag, unacked, seen_ms;
};

struct view_listener {
    char name[72], protocol[12], place[112]; /* a path, or an address */
    int64_t clients, max_clients;
};

struct view {
    char server[64];
    int64_t uptime_ms, now_ms; /* now: unix time, ours */
    bool well;
    struct view_stream *streams; /* those that are not well first, and of these who needs someone */
    size_t n_streams, n_unwell, n_paused;
    struct {
        char state[16], reason[VIEW_REASON], warning[VIEW_REASON];
        int64_t oldest, newest, oldest_ms, bytes, retain_bytes, commits, commit_ms, committing_ms;
    } store;
    struct {
        int64_t names, connected;
        bool counted; /* the rest is known */
        size_t n_lagging;
        struct view_consumer lagging[VIEW_LAGGING]; /* the furthest behind first */
    } consumers;
    struct view_listener listeners[LIMIT_LISTENERS + 1];
    size_t n_listeners;
};

/* consumers: the answer to `consumers`; .ptr NULL: there is none. */
int view_read(struct view *view, struct slice status, struct slice consumers, int64_t now_ms);
void view_free(struct view *view);

#endif
