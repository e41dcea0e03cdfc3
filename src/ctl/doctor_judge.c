/* From facts to findings: the credential, and the way to the service, up to TCP. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "ctl/doctor_facts.h"

/* ---- findings ---- */

struct doctor_finding *doctor_say(struct doctor_report *report, const char *layer,
                                  enum doctor_verdict verdict, const char *fmt, ...)
{
    bool room = report->n < DOCTOR_FINDINGS;
    /* The last place is that of whatever found no room. */
    struct doctor_finding *finding = &report->findings[room ? report->n : DOCTOR_FINDINGS - 1];
    va_list args;
    if (room)
        report->n++;
    else
        report->left_out++;
    *finding = (struct doctor_finding){.layer = layer, .verdict = verdict};
    va_start(args, fmt);
    vsnprintf(finding->text, sizeof(finding->text), fmt, args);
    va_end(args);
    report->ill |= verdict == DOCTOR_ILL;
    return finding;
}

void doctor_cause(struct doctor_finding *finding, const char *cause, const char *fix)
{
    snprintf(finding->cause, sizeof(finding->cause), "%s", cause);
    snprintf(finding->fix, sizeof(finding->fix), "%s", fix);
}

void doctor_explain(struct doctor_finding *finding, const char *text)
{
    static const char mark[] = ". Fix: ";
    const char *fix = text != NULL ? strstr(text, mark) : NULL;
    if (text == NULL)
        return;
    snprintf(finding->cause, sizeof(finding->cause), "%.*s",
             fix != NULL ? (int)(fix - text) : (int)strlen(text), text);
    snprintf(finding->fix, sizeof(finding->fix), "%s", fix != NULL ? fix + sizeof(mark) - 1 : "");
}

/* ---- the credential ---- */

static void judge_expiry(const struct doctor_facts *facts, const struct doctor_secret *secret,
                         struct doctor_report *report)
{
    char left[DURATION_TEXT_SIZE];
    int64_t left_ms = (secret->expires_s - facts->now_s) * 1000;
    if (secret->expires_s < 0)
        return;
    duration_format(left_ms < 0 ? -left_ms : left_ms, left, sizeof(left));
    if (left_ms > 0) {
        doctor_say(report, "credential", DOCTOR_DETAIL, "it is a JWT that expires in %s", left);
        return;
    }
    struct doctor_finding *finding =
        doctor_say(report, "credential", facts->refreshes ? DOCTOR_NOTE : DOCTOR_ILL,
                   "%s has expired, %s ago (the exp of its JWT)", secret->name, left);
    if (facts->refreshes)
        doctor_cause(finding, "the token is no longer good; hawserd gets a fresh one first",
                     "nothing. Doctor refreshes none, since that may use up a refresh token: what "
                     "the service refuses below is no fault of its");
    else
        doctor_cause(finding, "the token is no longer good; the service will refuse it",
                     "put a new one where the source points to; hawser takes it by itself");
}

static void judge_secret(const struct doctor_facts *facts, const struct doctor_secret *secret,
                         struct doctor_report *report)
{
    if (secret->source == NULL && !secret->rotated) {
        doctor_say(report, "credential", DOCTOR_SKIPPED, "%s: not configured", secret->name);
        return;
    }
    if (secret->status != 0) {
        struct doctor_finding *finding =
            doctor_say(report, "credential", DOCTOR_ILL, "%s: %s", secret->name, secret->error);
        doctor_cause(finding, "the secret cannot be had, so hawserd does not even dial",
                     secret->status == ERR_PERM
                         ? "give the file to the user hawser, mode 0600, and run doctor as root"
                         : "put the secret where its source points to; hawser takes it by itself");
        return;
    }
    doctor_say(report, "credential", DOCTOR_WELL, "%s from %s%s%s%s", secret->name,
               secret->source != NULL ? secret->source : "a refresh",
               secret->file[0] != '\0' ? ", " : "", secret->file,
               secret->rotated ? "; in use is what hawserd's last refresh has brought" : "");
    judge_expiry(facts, secret, report);
    if (secret->unreadable)
        doctor_cause(doctor_say(report, "credential", DOCTOR_ILL, "the user hawser cannot read %s",
                                secret->file),
                     "it can be read by whoever runs doctor, and not by hawserd",
                     "chown hawser the file and chmod it 600, or hand it over with LoadCredential "
                     "and credential:NAME");
}

static bool is_credential_there(const struct doctor_facts *facts)
{
    for (unsigned i = 0; i < facts->n_secrets; i++)
        if (facts->secrets[i].source != NULL && facts->secrets[i].status != 0)
            return false;
    return true;
}

static void judge_trust(const struct doctor_facts *facts, struct doctor_report *report)
{
    char left[DURATION_TEXT_SIZE];
    if (facts->trust_status != 0) {
        doctor_cause(doctor_say(report, "certificates", DOCTOR_ILL, "%s", facts->trust_error),
                     "what verification is made from cannot be used, so hawserd does not dial",
                     "mend the file that is named (tls_ca, tls_cert, tls_key)");
        return;
    }
    if (facts->own[0] == '\0')
        return;
    int64_t left_ms = (facts->own_expires_s - facts->now_s) * 1000;
    duration_format(left_ms, left, sizeof(left));
    struct doctor_finding *finding =
        doctor_say(report, "certificates", left_ms > DOCTOR_SOON_MS ? DOCTOR_WELL : DOCTOR_NOTE,
                   "our client certificate: %s, expires in %s", facts->own, left);
    if (left_ms <= DOCTOR_SOON_MS)
        doctor_cause(finding, "it ends soon", "renew it; hawserd sees the new file by itself");
}

/* ---- the proxy ---- */

static void judge_proxy(const struct doctor_facts *facts, struct doctor_report *report)
{
    const struct doctor_proxy *proxy = &facts->proxy;
    if (proxy->status != 0) {
        doctor_cause(doctor_say(report, "proxy", DOCTOR_ILL, "%s", proxy->error),
                     "the proxy is not usable as it is written, so hawserd does not dial",
                     "correct proxy and proxy_password of the stream, or the environment variable; "
                     "proxy = none goes around it");
    } else if (proxy->used) {
        doctor_say(report, "proxy", DOCTOR_NOTE, "through %s:%u%s, as %s%s says", proxy->host,
                   proxy->port, proxy->login ? ", with a login" : "",
                   strcmp(proxy->from, "proxy") == 0 ? "" : "$",
                   strcmp(proxy->from, "proxy") == 0 ? "`proxy` of the stream" : proxy->from);
        if (strcmp(proxy->from, "proxy") != 0)
            doctor_say(report, "proxy", DOCTOR_DETAIL,
                       "that is the environment of this shell; hawserd goes by its own "
                       "(Environment= of its unit)");
    } else if (proxy->exempt) {
        doctor_say(
            report, "proxy", DOCTOR_NOTE,
            "$%s names one, but this host is excepted, by $NO_PROXY or as one of this machine",
            proxy->from);
    }
}

/* ---- the name and the addresses ---- */

static void judge_lookup(const struct doctor_facts *facts, struct doctor_report *report)
{
    const struct doctor_lookup *lookup = &facts->lookup;
    const char *whose = facts->proxy.used ? "the proxy's name " : "";
    if (lookup->status == ERR_TIMEOUT) {
        doctor_cause(
            doctor_say(report, "dns", DOCTOR_ILL, "%s%s: %s", whose, lookup->host, lookup->error),
            "the resolver does not answer, or too late",
            "check /etc/resolv.conf and that its servers are reached; dns_timeout of the "
            "stream says how long is waited");
        return;
    }
    if (lookup->status != 0) {
        doctor_cause(
            doctor_say(report, "dns", DOCTOR_ILL, "%s%s: %s", whose, lookup->host, lookup->error),
            "the name has no address here",
            "check its spelling (a name alone, without https:// and path), and this "
            "machine's resolver: getent ahosts NAME");
        return;
    }
    doctor_say(report, "dns", lookup->took_ms > 1000 ? DOCTOR_NOTE : DOCTOR_WELL,
               "%s%s: %u address%s in %" PRId64 " ms%s", whose, lookup->host, facts->n_addresses,
               facts->n_addresses == 1 ? "" : "es", lookup->took_ms,
               lookup->took_ms > 1000 ? ", which is slow: a server of /etc/resolv.conf may be dead"
                                      : "");
}

static void judge_address(const struct doctor_address *address, bool others, bool proxy,
                          struct doctor_report *report)
{
    if (address->status == 0) {
        doctor_say(report, "tcp", DOCTOR_WELL, "%s: connected in %" PRId64 " ms%s%s", address->text,
                   address->took_ms, address->route[0] != '\0' ? ", from " : "", address->route);
        return;
    }
    struct doctor_finding *finding = doctor_say(
        report, "tcp", others ? DOCTOR_NOTE : DOCTOR_ILL, "%s: %s%s", address->text, address->error,
        others ? "; hawserd goes to another address, a quarter of a second later" : "");
    if (address->status == ERR_TIMEOUT)
        doctor_cause(finding, "nothing answers: a firewall that drops, or a machine that is down",
                     "check firewall, route and port towards this address");
    else if (address->status == ERR_REFUSED)
        doctor_cause(finding,
                     proxy ? "the proxy's machine is there, but nothing listens on this port"
                           : "the machine is there, but nothing listens on this port",
                     proxy ? "check the port of the proxy, and that it runs"
                           : "check the port, and that the service runs");
    else
        doctor_cause(finding, "the network does not lead there",
                     "check this machine's routes and its addresses of this family");
}

static bool judge_addresses(const struct doctor_facts *facts, struct doctor_report *report)
{
    unsigned good = 0;
    for (unsigned i = 0; i < facts->n_addresses; i++)
        good += facts->addresses[i].status == 0;
    for (unsigned i = 0; i < facts->n_addresses; i++)
        judge_address(&facts->addresses[i], good > 0, facts->proxy.used, report);
    return good > 0;
}

bool doctor_judge_way(const struct doctor_facts *facts, struct doctor_report *report)
{
    for (unsigned i = 0; i < facts->n_secrets; i++)
        judge_secret(facts, &facts->secrets[i], report);
    if (facts->kept_error[0] != '\0')
        doctor_cause(doctor_say(report, "credential", DOCTOR_NOTE, "%s", facts->kept_error),
                     "what hawserd's last refresh has brought cannot be read, and what the source "
                     "holds may be worth nothing since",
                     "run doctor as root, or as the user hawser");
    judge_proxy(facts, report);
    judge_trust(facts, report);
    if (facts->proxy.status != 0)
        report->stopped = "proxy";
    if (facts->lookup.tried)
        judge_lookup(facts, report);
    if (facts->lookup.tried && facts->lookup.status != 0)
        report->stopped = "dns";
    else if (facts->lookup.tried && !judge_addresses(facts, report))
        report->stopped = "tcp";
    else if (facts->trust_status != 0)
        report->stopped = "certificates";
    if (report->stopped == NULL && facts->dial.left_out && !is_credential_there(facts))
        report->stopped = "credential";
    return report->stopped == NULL;
}

/* ---- the daemon ---- */

/* Two links of one account, doctor's and hawserd's, may be one too many. */
static void judge_beside(const struct doctor_facts *facts, const struct profile *profile,
                         struct doctor_report *report)
{
    if (facts->no_link)
        doctor_cause(doctor_say(report, "hawserd", DOCTOR_SKIPPED,
                                "no link is made beside it: limits.links allows one"),
                     "a second one would be refused, or end the first",
                     "hawserctl pause the stream, then doctor, then resume");
    else if (profile->connect.parallel == 1)
        doctor_say(
            report, "hawserd", DOCTOR_DETAIL,
            "the profile says parallel = 1: where the service ends one of two links, hawserd "
            "makes a new one%s",
            facts->no_dials ? "; so --dials was left out: hawserctl pause the stream first" : "");
}

static void judge_daemon(const struct doctor_facts *facts, const struct profile *profile,
                         struct doctor_report *report)
{
    const struct doctor_daemon *daemon = &facts->daemon;
    if (!daemon->asked)
        return;
    if (!daemon->reachable) {
        doctor_say(report, "hawserd", DOCTOR_SKIPPED, "not asked: %s", daemon->error);
    } else if (!daemon->has_stream) {
        doctor_say(report, "hawserd", DOCTOR_NOTE, "runs, and does not know this stream");
    } else {
        doctor_say(report, "hawserd", DOCTOR_NOTE, "says that the stream is %s%s", daemon->state,
                   daemon->link ? "; it has a link up" : "");
        if (daemon->link)
            judge_beside(facts, profile, report);
    }
}

void doctor_judge(const struct doctor_facts *facts, const struct profile *profile,
                  struct doctor_report *report)
{
    *report = (struct doctor_report){.stopped = NULL};
    judge_daemon(facts, profile, report);
    bool reached = doctor_judge_way(facts, report);
    if (facts->dial.tried)
        doctor_judge_link(facts, profile, report);
    if (reached || facts->sync.tried)
        doctor_judge_sync(facts, profile, report);
    doctor_judge_fallback(facts, profile, report);
    if (facts->n_visits > 0)
        doctor_judge_dials(facts, profile, report);
}
