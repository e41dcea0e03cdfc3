/* From facts to findings: what one link met, from the proxy's tunnel to its end. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/timefmt.h"
#include "ctl/doctor_facts.h"

/* ---- how it failed, where it did ---- */

static bool failed_in(const struct doctor_dial *dial, enum net_phase phase)
{
    return dial->ended && !dial->opened && dial->end_phase == phase;
}

/* What the profile's tables say of this end, and what hawserd does about it. */
static void explain_end(struct doctor_report *report, const char *layer,
                        struct doctor_finding *finding, const struct profile *profile,
                        const struct profile_end *end)
{
    char delay[DURATION_TEXT_SIZE + 8] = "";
    const char *text = NULL;
    const struct profile_policy_action *action = profile_policy(profile, end, &text);
    if (finding->cause[0] == '\0')
        doctor_explain(finding, text);
    if (action->delay_ms > 0) {
        delay[0] = ' ';
        duration_format(action->delay_ms, delay + 1, sizeof(delay) - 1);
    }
    doctor_say(report, layer, DOCTOR_DETAIL, "hawserd answers this with: %s%s",
               profile_policy_name(action->kind), delay);
}

/* Each address was fine a moment before: what is left is what hawserd itself refuses, and luck. */
static bool judge_connecting(const struct doctor_facts *facts, const struct profile *profile,
                             struct doctor_report *report)
{
    const struct doctor_dial *dial = &facts->dial;
    if (!failed_in(dial, NET_PHASE_DNS) && !failed_in(dial, NET_PHASE_TCP))
        return true;
    struct doctor_finding *finding = doctor_say(report, "tcp", DOCTOR_ILL, "%s", dial->end.text);
    if (!facts->secure && !facts->plaintext && failed_in(dial, NET_PHASE_TCP))
        doctor_cause(finding, "ws:// is not encrypted, and nothing goes to another machine so",
                     "use wss://, or plaintext = yes where the way there is safe otherwise");
    explain_end(report, "tcp", finding, profile, &dial->end);
    report->stopped = "tcp";
    return false;
}

/* ---- the proxy's tunnel ---- */

static bool judge_tunnel(const struct doctor_facts *facts, const struct profile *profile,
                         struct doctor_report *report)
{
    const struct doctor_dial *dial = &facts->dial;
    if (!facts->proxy.used)
        return true;
    if (!failed_in(dial, NET_PHASE_PROXY)) {
        doctor_say(report, "tunnel", DOCTOR_WELL, "the proxy opened it in %" PRId64 " ms",
                   dial->took_ms[NET_PHASE_PROXY]);
        return true;
    }
    explain_end(report, "tunnel", doctor_say(report, "tunnel", DOCTOR_ILL, "%s", dial->end.text),
                profile, &dial->end);
    report->stopped = "tunnel";
    return false;
}

/* ---- TLS ---- */

static void tls_fix(struct doctor_finding *finding, enum tls_fault fault)
{
    switch (fault) {
    case TLS_FAULT_NONE:
    case TLS_FAULT_OTHER:
        return;
    case TLS_FAULT_EXPIRED:
        doctor_cause(finding, "the service's certificate was not renewed in time",
                     "the service must renew it; where it does so by itself, see that its server "
                     "was reloaded. hawserd goes on by itself then");
        return;
    case TLS_FAULT_NOT_YET_VALID:
        doctor_cause(finding, "this machine's clock is behind, or the certificate was made ahead",
                     "see `timedatectl`; if the clock is right, ask the service");
        return;
    case TLS_FAULT_SELF_SIGNED:
        doctor_cause(finding, "the service has made its certificate itself",
                     "put that certificate into a file and name it by tls_ca");
        return;
    case TLS_FAULT_UNKNOWN_ROOT:
        doctor_cause(finding,
                     "the authority is not one that is trusted here; a TLS-inspecting proxy "
                     "looks the same",
                     "if it is meant to be, put its root certificate into a file and name it by "
                     "tls_ca");
        return;
    case TLS_FAULT_UNKNOWN_ISSUER:
        doctor_cause(finding,
                     "the server does not send its intermediate certificate, or a private "
                     "authority has signed it",
                     "the service must send the whole chain (nginx: ssl_certificate with the full "
                     "chain); an authority of one's own is named by tls_ca");
        return;
    case TLS_FAULT_WRONG_HOST:
        doctor_cause(finding, "the certificate is for other names than the one that is dialled",
                     "use a name that stands in it, or have the service add this one");
        return;
    case TLS_FAULT_UNFIT:
        doctor_cause(finding, "the certificate is not fit for a server of today",
                     "the service must have another one issued");
        return;
    case TLS_FAULT_PIN:
        doctor_cause(finding, "the service's key is not one that tls_pin names",
                     "if the service has changed its key on purpose, add its pin, which is named "
                     "here, to tls_pin; else somebody stands between");
        return;
    case TLS_FAULT_OWN_CERTIFICATE:
        doctor_cause(finding, "the service wants to know who we are by a certificate",
                     "name the one that it accepts by tls_cert, and its key by tls_key");
        return;
    case TLS_FAULT_VERSION:
        doctor_cause(finding, "the service speaks only versions of TLS that are not safe any more",
                     "the service must offer TLS 1.2; if tls_min = 1.3 stands in the stream, it "
                     "asks for more than that");
        return;
    case TLS_FAULT_NOTHING_IN_COMMON:
        doctor_cause(finding, "no cipher is in common",
                     "the service must offer one with forward secrecy, such as "
                     "ECDHE-RSA-AES128-GCM-SHA256");
        return;
    case TLS_FAULT_HOST_NOT_SERVED:
        doctor_cause(finding, "the machine is there, but serves other names than this one",
                     "check the host's spelling; the name may point to a wrong machine");
        return;
    case TLS_FAULT_NOT_TLS:
        doctor_cause(finding, "something else than TLS is spoken on this port",
                     "check the port; ws:// needs plaintext = yes for other than loopback");
        return;
    }
}

static void judge_chain(const struct doctor_facts *facts, struct doctor_report *report)
{
    const struct doctor_dial *dial = &facts->dial;
    for (unsigned i = dial->n_chain; i > 0; i--) {
        const struct doctor_certificate *cert = &dial->chain[i - 1];
        char from[32], to[32], left[DURATION_TEXT_SIZE];
        time_format_us(cert->valid_from_s * 1000000, from);
        time_format_us(cert->valid_to_s * 1000000, to);
        doctor_say(report, "tls", DOCTOR_DETAIL, "%d %s, issued by %s, %.10s to %.10s%s%s",
                   cert->depth, cert->subject, cert->issuer, from, to,
                   cert->fault != TLS_FAULT_NONE ? ": " : "",
                   cert->fault != TLS_FAULT_NONE ? tls_fault_name(cert->fault) : "");
        if (cert->depth == 0)
            doctor_say(report, "tls", DOCTOR_DETAIL, "  for %s; pin %s", cert->names, cert->pin);
        int64_t left_ms = (cert->valid_to_s - facts->now_s) * 1000;
        duration_format(left_ms, left, sizeof(left));
        if (left_ms > 0 && left_ms < DOCTOR_SOON_MS)
            doctor_cause(
                doctor_say(report, "tls", DOCTOR_NOTE, "%s expires in %s", cert->subject, left),
                "the service's certificate ends soon", "the service must renew it");
    }
}

static bool judge_tls(const struct doctor_facts *facts, const struct profile *profile,
                      struct doctor_report *report)
{
    const struct doctor_dial *dial = &facts->dial;
    if (!facts->secure || dial->took_ms[NET_PHASE_TLS] < 0) {
        if (!facts->secure)
            doctor_say(report, "tls", DOCTOR_NOTE, "none: ws:// is not encrypted");
        return true;
    }
    if (!failed_in(dial, NET_PHASE_TLS)) {
        doctor_say(report, "tls", DOCTOR_WELL, "%s in %" PRId64 " ms%s%s", dial->tls,
                   dial->took_ms[NET_PHASE_TLS], dial->alpn[0] != '\0' ? ", ALPN " : "",
                   dial->alpn);
        judge_chain(facts, report);
        return true;
    }
    struct doctor_finding *finding = doctor_say(report, "tls", DOCTOR_ILL, "%s", dial->end.text);
    tls_fix(finding, dial->fault);
    if (dial->end_kind == NET_END_CUT)
        doctor_cause(finding, "the peer hung up in the middle of the TLS handshake",
                     "see what stands between: a firewall that looks at the host's name, a "
                     "balancer without a backend, or a port where something else is spoken");
    explain_end(report, "tls", finding, profile, &dial->end);
    judge_chain(facts, report);
    report->stopped = "tls";
    return false;
}

/* ---- the upgrade ---- */

/* Headers that a service behind nothing does not send. */
static bool betrays_proxy(struct slice name)
{
    static const char *const names[] = {"via",
                                        "x-cache",
                                        "x-served-by",
                                        "cf-ray",
                                        "x-amz-cf-id",
                                        "x-squid-error",
                                        "x-cache-lookup",
                                        "x-varnish",
                                        "x-envoy-upstream-service-time",
                                        "age"};
    static const struct slice forwarded = SLICE_INIT("x-forwarded");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (slice_eq_str(name, names[i]))
            return true;
    return slice_starts_with(name, forwarded);
}

/* Server tells who answers; the others that somebody stands between. */
static void judge_headers(const struct doctor_dial *dial, struct doctor_report *report)
{
    struct slice rest = buf_slice(&dial->headers);
    const char *lf;
    while ((lf = rest.len > 0 ? slice_find_byte(rest, '\n') : NULL) != NULL) {
        struct slice line = slice_make(rest.ptr, (size_t)(lf - rest.ptr));
        const char *colon = slice_find_byte(line, ':');
        rest = slice_from(rest, line.len + 1);
        if (colon == NULL)
            continue;
        struct slice name = slice_make(line.ptr, (size_t)(colon - line.ptr));
        if (betrays_proxy(name))
            doctor_say(report, "upgrade", DOCTOR_NOTE,
                       "\"%.*s\" betrays a proxy or balancer on the way", (int)line.len, line.ptr);
        else if (slice_eq_str(name, "server") || slice_eq_str(name, "set-cookie") ||
                 (!dial->opened &&
                  (slice_eq_str(name, "location") || slice_eq_str(name, "retry-after") ||
                   slice_eq_str(name, "content-type"))))
            doctor_say(report, "upgrade", DOCTOR_DETAIL, "%.*s", (int)line.len, line.ptr);
    }
}

static bool request_has_origin(const struct doctor_dial *dial)
{
    struct slice text = buf_slice(&dial->request);
    return text.len > 0 && memmem(text.ptr, text.len, "\nOrigin:", 8) != NULL;
}

static void judge_refusal(const struct doctor_facts *facts, const struct profile *profile,
                          struct doctor_report *report)
{
    const struct doctor_dial *dial = &facts->dial;
    char what[64];
    profile_end_describe(&dial->end, what, sizeof(what));
    struct doctor_finding *finding =
        dial->http_status != 0 && dial->end_kind != NET_END_HANDSHAKE
            ? doctor_say(report, "upgrade", DOCTOR_ILL, "status %d where 101 was wanted: %s",
                         dial->http_status, dial->end.text)
            : doctor_say(report, "upgrade", DOCTOR_ILL, "%s: %s", what, dial->end.text);
    if (dial->end_kind == NET_END_CUT)
        doctor_cause(finding, "the peer hung up without an answer to the upgrade",
                     "see what stands between; a balancer without a backend and a service that "
                     "restarts do that, and so does a server that does not speak HTTP here");
    explain_end(report, "upgrade", finding, profile, &dial->end);
    judge_headers(dial, report);
    if (dial->http_status == 403 && !request_has_origin(dial))
        doctor_say(report, "upgrade", DOCTOR_DETAIL,
                   "no Origin is sent; a service that checks it wants connect.header.Origin");
    if (profile->docs != NULL)
        doctor_say(report, "upgrade", DOCTOR_DETAIL, "the service's documentation: %s",
                   profile->docs);
    report->stopped = "upgrade";
}

static bool judge_upgrade(const struct doctor_facts *facts, const struct profile *profile,
                          struct doctor_report *report)
{
    const struct doctor_dial *dial = &facts->dial;
    if (dial->redirects[0] != '\0')
        doctor_say(report, "upgrade", DOCTOR_NOTE, "redirected: %s", dial->redirects);
    if (dial->left_out) {
        doctor_say(report, "upgrade", DOCTOR_SKIPPED,
                   "not tried: without its credential it could only be refused");
        report->stopped = "credential";
        return false;
    }
    if (!dial->opened) {
        judge_refusal(facts, profile, report);
        return false;
    }
    doctor_say(report, "upgrade", DOCTOR_WELL, "101 from %s in %" PRId64 " ms%s%s%s", dial->where,
               dial->took_ms[NET_PHASE_UPGRADE],
               dial->subprotocol[0] != '\0' ? ", subprotocol " : "", dial->subprotocol,
               dial->deflate ? ", permessage-deflate" : "");
    judge_headers(dial, report);
    return true;
}

/* ---- hello ---- */

static void judge_said(const struct doctor_dial *dial, struct doctor_report *report)
{
    for (unsigned i = 0; i < dial->n_said; i++) {
        struct doctor_finding *finding =
            doctor_say(report, "hello", DOCTOR_NOTE, "the profile says");
        doctor_explain(finding, dial->said[i]);
        snprintf(finding->text, sizeof(finding->text), "%s", finding->cause);
        finding->cause[0] = '\0';
    }
    if (dial->calls > 0)
        doctor_say(report, "hello", DOCTOR_DETAIL, "%u requests that rules ask for were not made",
                   dial->calls);
}

static bool judge_hello(const struct doctor_facts *facts, const struct profile *profile,
                        struct doctor_report *report)
{
    const struct doctor_dial *dial = &facts->dial;
    struct doctor_finding *finding;
    if (dial->rule.said) {
        finding = doctor_say(report, "hello", DOCTOR_ILL, "rule %s of the profile stops here%s%s",
                             dial->rule.name, dial->first[0] != '\0' ? "; the service said: " : "",
                             dial->first);
        doctor_explain(finding, dial->rule.text);
        report->stopped = "hello";
        return false;
    }
    if (!dial->live && dial->ended) {
        char what[64];
        profile_end_describe(&dial->end, what, sizeof(what));
        finding =
            doctor_say(report, "hello", DOCTOR_ILL, "the upgrade was accepted, and then: %s%s%s",
                       what, dial->end.text[0] != '\0' ? ": " : "", dial->end.text);
        explain_end(report, "hello", finding, profile, &dial->end);
        report->stopped = "hello";
        return false;
    }
    if (dial->live && profile->live.by_rule)
        doctor_say(report, "hello", DOCTOR_WELL,
                   "what the profile waits for came after %" PRId64 " ms: %s", dial->live_ms,
                   dial->first);
    else if (dial->live)
        doctor_say(report, "hello", DOCTOR_WELL, "the profile expects none%s%s",
                   dial->first[0] != '\0' ? "; the first message: " : "", dial->first);
    judge_said(dial, report);
    return true;
}

/* ---- ping ---- */

static void judge_pings(const struct doctor_facts *facts, const struct profile *profile,
                        struct doctor_report *report)
{
    const struct doctor_dial *dial = &facts->dial;
    int64_t least = INT64_MAX, most = -1, sum = 0;
    unsigned came = 0;
    if (dial->pings == 0) {
        if (profile->connect.ping_forbidden)
            doctor_say(report, "ping", DOCTOR_SKIPPED, "the service forbids pings");
        return;
    }
    for (unsigned i = 0; i < dial->pings; i++) {
        if (dial->pongs_ms[i] < 0)
            continue;
        least = dial->pongs_ms[i] < least ? dial->pongs_ms[i] : least;
        most = dial->pongs_ms[i] > most ? dial->pongs_ms[i] : most;
        sum += dial->pongs_ms[i];
        came++;
    }
    if (came == 0) {
        doctor_cause(doctor_say(report, "ping", DOCTOR_ILL, "no pong to %u pings", dial->pings),
                     "the link is open and dead, or the service does not answer pings "
                     "(RFC 6455 5.5.2 obliges it to)",
                     "if its documentation says so, write ping = forbid and heartbeat.idle into "
                     "the stream's [connect] and [heartbeat] keys; else see what stands between");
        return;
    }
    struct doctor_finding *finding =
        doctor_say(report, "ping",
                   most >= DOCTOR_SLOW_PING_MS || came < dial->pings ? DOCTOR_ILL : DOCTOR_WELL,
                   "%u of %u pongs, after %" PRId64 "/%" PRId64 "/%" PRId64 " ms (least/mean/most)",
                   came, dial->pings, least, sum / came, most);
    if (most >= DOCTOR_SLOW_PING_MS)
        doctor_cause(finding,
                     "something on the way holds frames back, or the service is overloaded",
                     "a proxy must pass bytes on as they come (nginx: proxy_buffering off); go "
                     "around it to see whether it is to blame");
}

/* ---- listening ---- */

static void judge_cut(const struct doctor_facts *facts, const struct profile *profile,
                      struct doctor_report *report)
{
    const struct doctor_dial *dial = &facts->dial;
    const struct doctor_listening *listening = &dial->listening;
    char silent[DURATION_TEXT_SIZE], age[DURATION_TEXT_SIZE], what[64];
    int64_t ping_ms = profile->heartbeat.ws_ping_ms;
    profile_end_describe(&dial->end, what, sizeof(what));
    duration_format(listening->silent_ms, silent, sizeof(silent));
    duration_format(listening->age_ms, age, sizeof(age));
    struct doctor_finding *finding =
        doctor_say(report, "listen", DOCTOR_ILL, "%s%s%s, after %s without a byte, %s old", what,
                   dial->end.text[0] != '\0' ? ": " : "", dial->end.text, silent, age);
    bool cut = dial->end.kind == PROFILE_END_CLOSE && dial->end.code == 1006;
    if (cut && listening->silent_ms >= 1000) {
        char fix[200], half[32];
        int64_t half_ms = listening->silent_ms / 2;
        snprintf(half, sizeof(half), half_ms < 1000 ? "%" PRId64 "ms" : "%" PRId64 "s",
                 half_ms < 1000 ? half_ms : half_ms / 1000);
        if (ping_ms > 0 && ping_ms < listening->silent_ms)
            snprintf(fix, sizeof(fix), "nothing: hawserd pings each %g s, which is often enough",
                     (double)ping_ms / 1000);
        else
            snprintf(fix, sizeof(fix),
                     "heartbeat.ws_ping = %s, half of it; or have it allow "
                     "longer silence",
                     half);
        doctor_cause(finding,
                     "something on the way cuts links that are silent for so long (a NAT, "
                     "a proxy's read timeout, a balancer's idle timeout)",
                     fix);
    }
    explain_end(report, "listen", finding, profile, &dial->end);
}

static void judge_held_back(const struct doctor_listening *listening, struct doctor_report *report)
{
    char held[DURATION_TEXT_SIZE];
    if (listening->held_back == 0)
        return;
    duration_format(listening->held_ms, held, sizeof(held));
    doctor_cause(doctor_say(report, "listen", DOCTOR_ILL,
                            "%" PRIu64 " times nothing came for up to %s, and then all at once "
                            "what had been made meanwhile",
                            listening->held_back, held),
                 "a proxy or another middlebox holds frames back and lets them go in bursts",
                 "it must pass bytes on as they come (nginx: proxy_buffering off); else go around "
                 "it");
}

static void judge_listening(const struct doctor_facts *facts, const struct profile *profile,
                            struct doctor_report *report)
{
    const struct doctor_dial *dial = &facts->dial;
    const struct doctor_listening *listening = &dial->listening;
    char whole[DURATION_TEXT_SIZE], silence[DURATION_TEXT_SIZE];
    if (listening->listened_ms == 0 && !dial->ended)
        return;
    if (dial->ended) {
        judge_cut(facts, profile, report);
        judge_held_back(listening, report);
        return;
    }
    duration_format(listening->listened_ms, whole, sizeof(whole));
    duration_format(listening->longest_silence_ms, silence, sizeof(silence));
    doctor_say(report, "listen", DOCTOR_WELL,
               "%s: %" PRIu64 " messages with %" PRIu64 " events, %" PRIu64
               " bytes; the longest silence was %s",
               whole, listening->messages, listening->events, listening->bytes, silence);
    if (listening->messages == 0)
        doctor_say(report, "listen", DOCTOR_NOTE,
                   "nothing came; that may be a quiet feed, or a subscription that is missing");
    judge_held_back(listening, report);
    if (listening->pinged && listening->pong_ms < 0)
        doctor_cause(doctor_say(report, "listen", DOCTOR_ILL,
                                "after it no pong came: the link is open here and dead there"),
                     "something on the way has forgotten the connection without a word (a NAT)",
                     "ping more often than it forgets: heartbeat.ws_ping of the stream");
    else if (listening->pinged)
        doctor_say(report, "listen", DOCTOR_DETAIL, "the link answers still, after %" PRId64 " ms",
                   listening->pong_ms);
}

void doctor_judge_link(const struct doctor_facts *facts, const struct profile *profile,
                       struct doctor_report *report)
{
    if (!judge_connecting(facts, profile, report) || !judge_tunnel(facts, profile, report) ||
        !judge_tls(facts, profile, report) || !judge_upgrade(facts, profile, report) ||
        !judge_hello(facts, profile, report))
        return;
    judge_pings(facts, profile, report);
    judge_listening(facts, profile, report);
}

/* ---- the catch-up request ---- */

void doctor_judge_sync(const struct doctor_facts *facts, const struct profile *profile,
                       struct doctor_report *report)
{
    const struct doctor_sync *sync = &facts->sync;
    if (!sync->tried)
        return;
    if (!sync->ok) {
        char what[64];
        profile_end_describe(&sync->end, what, sizeof(what));
        struct doctor_finding *finding =
            doctor_say(report, "sync", DOCTOR_ILL, "%s request to %s: %s: %s", sync->what,
                       sync->where, what, sync->end.text);
        explain_end(report, "sync", finding, profile, &sync->end);
        if (facts->dial.opened)
            doctor_say(report, "sync", DOCTOR_DETAIL,
                       "the WebSocket is well all the same; what is missed cannot be fetched");
        return;
    }
    if (!sync->parsed) {
        doctor_cause(doctor_say(report, "sync", DOCTOR_ILL, "%s answered %d, but %s", sync->where,
                                sync->status, sync->error),
                     "the answer is not what the profile says",
                     "check the address; if the service has changed, the profile must follow");
        return;
    }
    doctor_say(report, "sync", DOCTOR_WELL,
               "%s request to %s: %d in %" PRId64 " ms, %zu items, %zu bytes", sync->what,
               sync->where, sync->status, sync->took_ms, sync->items, sync->bytes);
}

/* It goes on where the WebSocket does not, and the stream with it. */
void doctor_judge_fallback(const struct doctor_facts *facts, const struct profile *profile,
                           struct doctor_report *report)
{
    const struct doctor_sync *found = &facts->fallback;
    if (!found->tried)
        return;
    if (found->as_sync) {
        doctor_say(report, "fallback",
                   facts->sync.ok && facts->sync.parsed ? DOCTOR_WELL : DOCTOR_SKIPPED,
                   "%s: the catch-up's request, with a wait; see sync", found->what);
    } else if (found->waits) {
        doctor_say(report, "fallback", DOCTOR_WELL,
                   "%s request to %s: held open, as it is while there is nothing new", found->what,
                   found->where);
    } else if (!found->ok) {
        char what[64];
        profile_end_describe(&found->end, what, sizeof(what));
        struct doctor_finding *finding =
            doctor_say(report, "fallback", DOCTOR_ILL, "%s request to %s: %s: %s", found->what,
                       found->where, what, found->end.text);
        explain_end(report, "fallback", finding, profile, &found->end);
        doctor_say(report, "fallback", DOCTOR_DETAIL, "%s",
                   facts->dial.opened
                       ? "the WebSocket is well; where it is not some day, nothing takes its place"
                       : "nothing takes the place of the WebSocket");
    } else if (!found->parsed) {
        doctor_cause(doctor_say(report, "fallback", DOCTOR_ILL, "%s answered %d, but %s",
                                found->where, found->status, found->error),
                     "the answer is not what the profile says",
                     "check the address; if the service has changed, the profile must follow");
    } else if (profile->fallback.transport == PROFILE_SSE &&
               strncasecmp(found->type, "text/event-stream", strlen("text/event-stream")) != 0) {
        doctor_cause(
            doctor_say(report, "fallback", DOCTOR_NOTE,
                       "%s request to %s: %d, but as \"%s\" where text/event-stream is due",
                       found->what, found->where, found->status, found->type),
            "something else than the service may have answered",
            "check the address; open it with curl -N");
    } else {
        doctor_say(report, "fallback", DOCTOR_WELL, "%s request to %s: %d in %" PRId64 " ms",
                   found->what, found->where, found->status, found->took_ms);
    }
}
