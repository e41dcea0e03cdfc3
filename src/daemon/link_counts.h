/*
 * link_counts: how the links of one stream ended, and why others never opened.
 *
 * Decides: under which label an end is counted. Close codes and HTTP statuses are what a peer
 * chooses: each of the first LINK_COUNTS_KEYS gets its own number, and all others share one. Those
 * that any service sends now and then are there from the start, so that the first of them is seen
 * as a change. Leaves: the words of the log to links. Owns nothing; never fails.
 */
#ifndef HAWSER_DAEMON_LINK_COUNTS_H
#define HAWSER_DAEMON_LINK_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "net/net.h"
#include "tls/tls.h"

#define LINK_COUNTS_KEYS 24 /* of each kind */

/* Reasons why TLS did not come to be, besides the faults that tls tells apart. */
#define LINK_TLS_FAILURES(X)                                                                       \
    X(CUT, "cut") /* the connection ended within the handshake */                                  \
    X(TIMEOUT, "timeout")                                                                          \
    X(FILES, "files") /* tls_ca, tls_cert or tls_key cannot be used */
enum link_tls_failure {
    LINK_TLS_FAULTS_END = TLS_FAULT_OTHER, /* below: the faults of tls */
#define X(id, text) LINK_TLS_##id,
    LINK_TLS_FAILURES(X)
#undef X
        LINK_TLS_COUNT
};

struct link_counts_open {
    struct {
        int key;
        char text[12]; /* the label: "1006"; "none" for 0 */
        uint64_t n;
    } row[LINK_COUNTS_KEYS];
    unsigned used;
    uint64_t others;
};

struct link_counts {
    struct link_counts_open closed[2]; /* by code; [1]: by us */
    struct link_counts_open refused;   /* by status, 0: there was none */
    uint64_t tls[LINK_TLS_COUNT];      /* by enum tls_fault and enum link_tls_failure */
};

void link_counts_init(struct link_counts *counts);
void link_counts_closed(struct link_counts *counts, int code, bool by_us);
/* A dial, or a request, that failed so. */
void link_counts_failed(struct link_counts *counts, const struct net_end *end,
                        enum tls_fault fault);
void link_counts_files(struct link_counts *counts);
/* "expired", "timeout"; NULL for TLS_FAULT_NONE, which is none. */
const char *link_tls_failure_name(unsigned failure);

#endif
