#include "daemon/link_counts.h"

#include <stdio.h>
#include <string.h>

static const int usual_codes[] = {1000, 1001, 1006, 1011, 1012, 1013};
static const int usual_statuses[] = {0, 101, 200, 401, 403, 404, 429, 500, 502, 503, 504};

static uint64_t *place(struct link_counts_open *open, int key)
{
    for (unsigned i = 0; i < open->used; i++)
        if (open->row[i].key == key)
            return &open->row[i].n;
    if (open->used == LINK_COUNTS_KEYS)
        return &open->others;
    unsigned i = open->used++;
    open->row[i].key = key;
    if (key != 0)
        snprintf(open->row[i].text, sizeof(open->row[i].text), "%d", key);
    else
        snprintf(open->row[i].text, sizeof(open->row[i].text), "none");
    return &open->row[i].n;
}

void link_counts_init(struct link_counts *counts)
{
    memset(counts, 0, sizeof(*counts));
    for (unsigned i = 0; i < sizeof(usual_codes) / sizeof(usual_codes[0]); i++) {
        (void)place(&counts->closed[0], usual_codes[i]);
        (void)place(&counts->closed[1], usual_codes[i]);
    }
    for (unsigned i = 0; i < sizeof(usual_statuses) / sizeof(usual_statuses[0]); i++)
        (void)place(&counts->refused, usual_statuses[i]);
}

void link_counts_closed(struct link_counts *counts, int code, bool by_us)
{
    ++*place(&counts->closed[by_us], code);
}

/* What happened to the upgrade: `status` as far as one came. */
static void refused(struct link_counts *counts, const struct net_end *end)
{
    int status = end->kind == NET_END_CUT || end->kind == NET_END_TIMEOUT ? 0 : end->code;
    ++*place(&counts->refused, status);
}

static void tls_failed(struct link_counts *counts, const struct net_end *end, enum tls_fault fault)
{
    if (end->kind == NET_END_TIMEOUT)
        counts->tls[LINK_TLS_TIMEOUT]++;
    else if (fault != TLS_FAULT_NONE)
        counts->tls[fault]++;
    else if (end->kind == NET_END_CUT)
        counts->tls[LINK_TLS_CUT]++;
    else
        counts->tls[TLS_FAULT_OTHER]++;
}

void link_counts_failed(struct link_counts *counts, const struct net_end *end, enum tls_fault fault)
{
    switch (end->phase) {
    case NET_PHASE_TLS:
        tls_failed(counts, end, fault);
        return;
    case NET_PHASE_UPGRADE:
        refused(counts, end);
        return;
    case NET_PHASE_DNS:
    case NET_PHASE_TCP:
    case NET_PHASE_PROXY:
    case NET_PHASE_OPEN:
    case NET_PHASE_HTTP:
        return;
    }
}

void link_counts_files(struct link_counts *counts)
{
    counts->tls[LINK_TLS_FILES]++;
}

const char *link_tls_failure_name(unsigned failure)
{
    static const char *const names[] = {
#define X(id, text) [LINK_TLS_##id - LINK_TLS_CUT] = text,
        LINK_TLS_FAILURES(X)
#undef X
    };
    if (failure == TLS_FAULT_NONE)
        return NULL;
    return failure < LINK_TLS_CUT ? tls_fault_name((enum tls_fault)failure)
                                  : names[failure - LINK_TLS_CUT];
}
