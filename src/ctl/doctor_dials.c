/* Several dials, one after the other, each as a stranger: no cookie, no session to resume. */
#include <stdio.h>
#include <string.h>

#include "ctl/doctor.h"

static void stay(struct doctor_link *link)
{
    doctor_ping(link, 1);
}

/* The value of a header of the answer. */
static void header(const struct doctor_dial *dial, const char *name, char *out, size_t size)
{
    struct slice rest = buf_slice(&dial->headers);
    size_t n = strlen(name), used = 0;
    const char *lf;
    out[0] = '\0';
    while (rest.len > 0 && (lf = slice_find_byte(rest, '\n')) != NULL) {
        struct slice line = slice_make(rest.ptr, (size_t)(lf - rest.ptr));
        rest = slice_from(rest, line.len + 1);
        if (!slice_starts_with(line, slice_str(name)) || line.len < n + 2 || line.ptr[n] != ':' ||
            used + 3 >= size)
            continue;
        used += (size_t)snprintf(out + used, size - used, "%s%.*s", used > 0 ? ", " : "",
                                 (int)(line.len - n - 2), line.ptr + n + 2);
        if (used >= size)
            return;
    }
}

static void note(const struct doctor_facts *facts, struct doctor_visit *out)
{
    const struct doctor_dial *dial = &facts->dial;
    char what[64];
    *out = (struct doctor_visit){.opened = dial->opened,
                                 .live = dial->live && !dial->rule.said && !dial->ended,
                                 .sync_tried = facts->sync.tried,
                                 .synced = facts->sync.ok,
                                 .sync_status = facts->sync.status,
                                 .open_ms = (dial->ended_us - dial->began_us) / 1000,
                                 .live_ms = dial->live_ms,
                                 .rtt_ms = dial->pings > 0 ? dial->pongs_ms[0] : -1};
    out->open_ms = 0;
    for (int phase = NET_PHASE_DNS; phase <= NET_PHASE_UPGRADE; phase++)
        out->open_ms += dial->took_ms[phase] > 0 ? dial->took_ms[phase] : 0;
    snprintf(out->address, sizeof(out->address), "%s", dial->address);
    header(dial, "server", out->server, sizeof(out->server));
    header(dial, "set-cookie", out->cookies, sizeof(out->cookies));
    if (dial->n_chain > 0)
        snprintf(out->pin, sizeof(out->pin), "%s", dial->chain[dial->n_chain - 1].pin);
    if (dial->rule.said) {
        snprintf(out->what, sizeof(out->what), "rule %s: %.120s", dial->rule.name, dial->rule.text);
    } else if (dial->ended) {
        profile_end_describe(&dial->end, what, sizeof(what));
        snprintf(out->what, sizeof(out->what), "%s: %.120s", what, dial->end.text);
    }
}

/* The facts of the first dial are what the report tells of; those of the others only compare. */
void doctor_dials(struct doctor *doctor)
{
    struct doctor_facts *facts = &doctor->facts;
    struct doctor_dial first = facts->dial;
    struct doctor_sync first_sync = facts->sync;
    struct error err;
    note(facts, &facts->visits[facts->n_visits++]);
    buf_init(&facts->dial.headers, 0);
    buf_init(&facts->dial.request, 0);
    while (facts->n_visits < doctor->options.dials) {
        cookie_jar_clear(doctor->cookies);
        if (doctor_trust_anew(doctor, &err) != 0)
            break;
        doctor_dial(doctor, stay);
        doctor_sync(doctor);
        note(facts, &facts->visits[facts->n_visits++]);
    }
    buf_fini(&facts->dial.headers);
    buf_fini(&facts->dial.request);
    facts->dial = first;
    facts->sync = first_sync;
}
