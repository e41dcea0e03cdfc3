/* The facts and the findings as one JSON document. */
#include <inttypes.h>
#include <string.h>

#include "ctl/doctor.h"
#include "json/json.h"

static const char *verdict_name(enum doctor_verdict verdict)
{
    switch (verdict) {
    case DOCTOR_WELL:
        return "ok";
    case DOCTOR_NOTE:
        return "note";
    case DOCTOR_ILL:
        return "not_ok";
    case DOCTOR_SKIPPED:
        return "skipped";
    case DOCTOR_DETAIL:
        return "detail";
    }
    return "";
}

/* ,"name":"text"; out ends in what a member may follow, or in the object's brace. */
static int member(struct buf *out, const char *name)
{
    bool first = out->len > 0 && (out->data[out->len - 1] == '{' || out->data[out->len - 1] == '[');
    return buf_appendf(out, "%s\"%s\":", first ? "" : ",", name);
}

static int text(struct buf *out, const char *name, const char *value)
{
    int rc = member(out, name);
    return rc != 0 ? rc : json_write_string(out, slice_str(value));
}

/* The same, left out where it is empty. */
static int maybe(struct buf *out, const char *name, const char *value)
{
    return value == NULL || value[0] == '\0' ? 0 : text(out, name, value);
}

static int number(struct buf *out, const char *name, int64_t value)
{
    int rc = member(out, name);
    return rc != 0 ? rc : buf_append_i64(out, value);
}

static int flag(struct buf *out, const char *name, bool value)
{
    int rc = member(out, name);
    return rc != 0 ? rc : buf_append_str(out, value ? "true" : "false");
}

static int comma(struct buf *out, unsigned i)
{
    return i > 0 ? buf_append_byte(out, ',') : 0;
}

/* The first failure counts; what follows it does nothing. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        if (rc_ != 0)                                                                              \
            return rc_;                                                                            \
    } while (0)

static int findings(const struct doctor_report *report, struct buf *out)
{
    TRY(member(out, "findings"));
    TRY(buf_append_byte(out, '['));
    for (unsigned i = 0; i < report->n; i++) {
        const struct doctor_finding *finding = &report->findings[i];
        TRY(comma(out, i));
        TRY(buf_append_byte(out, '{'));
        TRY(text(out, "layer", finding->layer));
        TRY(text(out, "verdict", verdict_name(finding->verdict)));
        TRY(text(out, "text", finding->text));
        TRY(maybe(out, "cause", finding->cause));
        TRY(maybe(out, "fix", finding->fix));
        TRY(buf_append_byte(out, '}'));
    }
    return buf_append_byte(out, ']');
}

static int addresses(const struct doctor_facts *facts, struct buf *out)
{
    TRY(member(out, "addresses"));
    TRY(buf_append_byte(out, '['));
    for (unsigned i = 0; i < facts->n_addresses; i++) {
        const struct doctor_address *address = &facts->addresses[i];
        TRY(comma(out, i));
        TRY(buf_append_byte(out, '{'));
        TRY(text(out, "address", address->text));
        TRY(maybe(out, "route", address->route));
        TRY(flag(out, "ok", address->status == 0));
        TRY(number(out, "ms", address->took_ms));
        TRY(maybe(out, "error", address->error));
        TRY(buf_append_byte(out, '}'));
    }
    return buf_append_byte(out, ']');
}

static int chain(const struct doctor_dial *dial, struct buf *out)
{
    TRY(member(out, "chain"));
    TRY(buf_append_byte(out, '['));
    for (unsigned i = dial->n_chain; i > 0; i--) {
        const struct doctor_certificate *cert = &dial->chain[i - 1];
        TRY(comma(out, dial->n_chain - i));
        TRY(buf_append_byte(out, '{'));
        TRY(number(out, "depth", cert->depth));
        TRY(text(out, "subject", cert->subject));
        TRY(text(out, "issuer", cert->issuer));
        TRY(text(out, "names", cert->names));
        TRY(text(out, "pin", cert->pin));
        TRY(number(out, "valid_from", cert->valid_from_s));
        TRY(number(out, "valid_to", cert->valid_to_s));
        TRY(text(out, "fault", tls_fault_name(cert->fault)));
        TRY(buf_append_byte(out, '}'));
    }
    return buf_append_byte(out, ']');
}

static int phases(const struct doctor_dial *dial, struct buf *out)
{
    static const enum net_phase shown[] = {NET_PHASE_DNS, NET_PHASE_TCP, NET_PHASE_PROXY,
                                           NET_PHASE_TLS, NET_PHASE_UPGRADE};
    TRY(member(out, "ms"));
    TRY(buf_append_byte(out, '{'));
    for (unsigned i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        if (dial->took_ms[shown[i]] >= 0)
            TRY(number(out, net_phase_name(shown[i]), dial->took_ms[shown[i]]));
    return buf_append_byte(out, '}');
}

static int listening(const struct doctor_listening *facts, struct buf *out)
{
    if (facts->listened_ms == 0)
        return 0;
    TRY(member(out, "listening"));
    TRY(buf_append_byte(out, '{'));
    TRY(number(out, "ms", facts->listened_ms));
    TRY(number(out, "messages", (int64_t)facts->messages));
    TRY(number(out, "events", (int64_t)facts->events));
    TRY(number(out, "bytes", (int64_t)facts->bytes));
    TRY(number(out, "longest_silence_ms", facts->longest_silence_ms));
    TRY(number(out, "held_back", (int64_t)facts->held_back));
    return buf_append_byte(out, '}');
}

static int link(const struct doctor_dial *dial, struct buf *out)
{
    if (!dial->tried)
        return 0;
    TRY(member(out, "link"));
    TRY(buf_append_byte(out, '{'));
    TRY(text(out, "id", dial->id));
    TRY(text(out, "where", dial->where));
    TRY(maybe(out, "redirects", dial->redirects));
    TRY(maybe(out, "address", dial->address));
    TRY(maybe(out, "tls", dial->tls));
    TRY(maybe(out, "alpn", dial->alpn));
    TRY(phases(dial, out));
    TRY(chain(dial, out));
    TRY(text(out, "tls_fault", tls_fault_name(dial->fault)));
    TRY(number(out, "status", dial->http_status));
    TRY(member(out, "headers"));
    TRY(json_write_string(out, buf_slice(&dial->headers)));
    TRY(flag(out, "opened", dial->opened));
    TRY(flag(out, "live", dial->live));
    TRY(number(out, "messages", (int64_t)dial->messages));
    TRY(member(out, "rtt_ms"));
    TRY(buf_append_byte(out, '['));
    for (unsigned i = 0; i < dial->pings; i++) {
        TRY(comma(out, i));
        TRY(buf_append_i64(out, dial->pongs_ms[i]));
    }
    TRY(buf_append_byte(out, ']'));
    TRY(listening(&dial->listening, out));
    return buf_append_byte(out, '}');
}

static int dials(const struct doctor_facts *facts, struct buf *out)
{
    if (facts->n_visits == 0)
        return 0;
    TRY(member(out, "dials"));
    TRY(buf_append_byte(out, '['));
    for (unsigned i = 0; i < facts->n_visits; i++) {
        const struct doctor_visit *visit = &facts->visits[i];
        TRY(comma(out, i));
        TRY(buf_append_byte(out, '{'));
        TRY(flag(out, "live", visit->live));
        TRY(text(out, "address", visit->address));
        TRY(text(out, "server", visit->server));
        TRY(text(out, "cookies", visit->cookies));
        TRY(text(out, "pin", visit->pin));
        TRY(number(out, "open_ms", visit->open_ms));
        TRY(number(out, "rtt_ms", visit->rtt_ms));
        if (visit->sync_tried)
            TRY(number(out, "sync_status", visit->sync_status));
        TRY(maybe(out, "end", visit->what));
        TRY(buf_append_byte(out, '}'));
    }
    return buf_append_byte(out, ']');
}

/* A secret in JSON is escaped as JSON is, which redact_text() knows. */
int doctor_json(const struct doctor *doctor, struct buf *out)
{
    const struct doctor_facts *facts = &doctor->facts;
    TRY(buf_append_byte(out, '{'));
    TRY(text(out, "stream", facts->name));
    TRY(text(out, "profile", doctor->profile->name));
    TRY(text(out, "url", facts->url));
    TRY(flag(out, "ok", !doctor->report.ill));
    TRY(maybe(out, "stopped", doctor->report.stopped));
    TRY(findings(&doctor->report, out));
    if (facts->lookup.tried)
        TRY(number(out, "dns_ms", facts->lookup.took_ms));
    TRY(addresses(facts, out));
    TRY(link(&facts->dial, out));
    TRY(dials(facts, out));
    TRY(buf_append_str(out, "}\n"));
    redact_text(&doctor->redact, (char *)buf_cstr(out));
    out->len = strlen(out->data);
    return 0;
}
