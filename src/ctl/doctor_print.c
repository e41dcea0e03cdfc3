/* The report as a person reads it. */
#include <string.h>

#include "ctl/doctor.h"

static const char *verdict_word(enum doctor_verdict verdict)
{
    switch (verdict) {
    case DOCTOR_WELL:
        return "ok";
    case DOCTOR_NOTE:
        return "note";
    case DOCTOR_ILL:
        return "NOT OK";
    case DOCTOR_SKIPPED:
        return "-";
    case DOCTOR_DETAIL:
        return "";
    }
    return "";
}

static const char *verdict_colour(enum doctor_verdict verdict)
{
    switch (verdict) {
    case DOCTOR_WELL:
        return "\033[32m";
    case DOCTOR_NOTE:
        return "\033[33m";
    case DOCTOR_ILL:
        return "\033[1;31m";
    case DOCTOR_SKIPPED:
    case DOCTOR_DETAIL:
        return "";
    }
    return "";
}

static void print_finding(const struct doctor_finding *finding, struct buf *out, bool colour)
{
    bool detail = finding->verdict == DOCTOR_DETAIL;
    const char *on = colour ? verdict_colour(finding->verdict) : "";
    (void)buf_appendf(out, "%s%-7s%s %-12s %s\n", on, verdict_word(finding->verdict),
                      on[0] != '\0' ? "\033[0m" : "", detail ? "" : finding->layer, finding->text);
    if (finding->cause[0] != '\0')
        (void)buf_appendf(out, "%21scause: %s\n", "", finding->cause);
    if (finding->fix[0] != '\0')
        (void)buf_appendf(out, "%21sfix:   %s\n", "", finding->fix);
}

static void print_end(const struct doctor *doctor, struct buf *out)
{
    const struct doctor_report *report = &doctor->report;
    unsigned ill = 0;
    for (unsigned i = 0; i < report->n; i++)
        ill += report->findings[i].verdict == DOCTOR_ILL;
    if (report->left_out > 0)
        (void)buf_appendf(out, "and %u findings more, for which there was no room\n",
                          report->left_out);
    if (ill == 0)
        (void)buf_append_str(out, "\nall well\n");
    else
        (void)buf_appendf(out, "\n%u %s not well%s%s%s\n", ill,
                          ill == 1 ? "thing is" : "things are",
                          report->stopped != NULL ? "; the walk ended at " : "",
                          report->stopped != NULL ? report->stopped : "",
                          report->stopped != NULL ? ", since what comes after it cannot work" : "");
}

/* Without memory it is shorter; the exit status says what matters. */
void doctor_print(const struct doctor *doctor, struct buf *out, bool colour)
{
    const struct doctor_report *report = &doctor->report;
    (void)buf_appendf(out, "%s, profile %s: %s\n\n", doctor->facts.name, doctor->profile->name,
                      doctor->facts.url);
    for (unsigned i = 0; i < report->n; i++)
        print_finding(&report->findings[i], out, colour);
    print_end(doctor, out);
    redact_text(&doctor->redact, (char *)buf_cstr(out));
    out->len = out->len > 0 ? strlen(out->data) : 0;
}
