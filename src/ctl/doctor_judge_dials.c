/* From facts to findings: several dials beside each other. Are they answered by one service? */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/doctor_facts.h"

static bool is_well(const struct doctor_visit *visit)
{
    return visit->live && (!visit->sync_tried || visit->synced);
}

static void list(const struct doctor_facts *facts, struct doctor_report *report)
{
    for (unsigned i = 0; i < facts->n_visits; i++) {
        const struct doctor_visit *visit = &facts->visits[i];
        char rtt[32] = "no pong", sync[32] = "";
        if (visit->rtt_ms >= 0)
            snprintf(rtt, sizeof(rtt), "rtt %" PRId64 " ms", visit->rtt_ms);
        if (visit->sync_tried)
            snprintf(sync, sizeof(sync), ", sync %d", visit->sync_status);
        doctor_say(report, "dials", DOCTOR_DETAIL,
                   "%u: %s, open in %" PRId64 " ms, %s%s, server: %s, cookies: %s%s%s", i + 1,
                   visit->address[0] != '\0' ? visit->address : "not connected", visit->open_ms,
                   rtt, sync, visit->server[0] != '\0' ? visit->server : "(none)",
                   visit->cookies[0] != '\0' ? visit->cookies : "(none)",
                   visit->what[0] != '\0' ? "; " : "", visit->what);
    }
}

/* How many different texts there are at this place of a visit, empty ones left out. */
static unsigned differing(const struct doctor_facts *facts, size_t offset)
{
    unsigned n = 0;
    for (unsigned i = 0; i < facts->n_visits; i++) {
        const char *text = (const char *)&facts->visits[i] + offset;
        bool seen = text[0] == '\0';
        for (unsigned k = 0; k < i && !seen; k++)
            seen = strcmp(text, (const char *)&facts->visits[k] + offset) == 0;
        n += !seen;
    }
    return n;
}

void doctor_judge_dials(const struct doctor_facts *facts, const struct profile *profile,
                        struct doctor_report *report)
{
    unsigned well = 0, n = facts->n_visits;
    unsigned addresses = differing(facts, offsetof(struct doctor_visit, address));
    unsigned servers = differing(facts, offsetof(struct doctor_visit, server));
    unsigned keys = differing(facts, offsetof(struct doctor_visit, pin));
    unsigned cookies = differing(facts, offsetof(struct doctor_visit, cookies));
    for (unsigned i = 0; i < n; i++)
        well += is_well(&facts->visits[i]);
    struct doctor_finding *finding =
        doctor_say(report, "dials", well == n ? DOCTOR_WELL : DOCTOR_ILL,
                   "%u of %u were well; %u address%s, %u kind%s of server, %u certificate%s", well,
                   n, addresses, addresses == 1 ? "" : "es", servers, servers == 1 ? "" : "s", keys,
                   keys == 1 ? "" : "s");
    if (well > 0 && well < n)
        doctor_cause(finding,
                     cookies == 0 ? "what stands behind this name is not of one kind, and the "
                                    "balancer sets no affinity cookie: what one backend began "
                                    "another may not know"
                                  : "what stands behind this name is not of one kind",
                     "tell the service which of the dials below failed, with time and address; "
                     "its balancer must keep a client at one backend");
    else if (well == 0)
        doctor_cause(finding, "it is not one bad backend: all dials end alike",
                     "see the layers above");
    if (profile->limits.connects.count > 0 && n >= profile->limits.connects.count)
        doctor_say(report, "dials", DOCTOR_NOTE,
                   "the service allows %u connections in %" PRId64
                   " s; hawserd does not know of these",
                   profile->limits.connects.count, profile->limits.connects.period_ms / 1000);
    list(facts, report);
}
