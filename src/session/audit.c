/*
 * audit: what a healthy link did not bring. Now and then, while the stream is live, sync is asked
 * once more for what came since the last audit; flow knows what the link has brought of it.
 *
 * An event that flow does not know may just be on its way on the link: a suspect. The same pages
 * are asked again when it has had its time; what then has not come is stored (`found`) by flow.
 * Sync is ahead of the link for a moment with every event of a busy stream, so there may be new
 * suspects then: that is tried a few times only. Without suspects all is whole up to here.
 *
 * One audit that finds something may be an accident of the service; two in a row are a link that
 * does not get everything, and a new one is worth more.
 */
#include <stdio.h>

#include "session/machine.h"

static bool audits(const struct session *s)
{
    return s->profile->catchup.audit_ms > 0 && s->profile->catchup.via == PROFILE_CATCHUP_HTTP;
}

void session_audit_plan(struct session *s)
{
    s->audit.running = false;
    s->audit.at_ms = SESSION_NEVER;
    if (audits(s)) /* spread, for thousands may have gone live at once */
        s->audit.at_ms = session_after(s, session_jitter_up_ms(s, s->profile->catchup.audit_ms));
}

void session_audited(struct session *s, struct session_actions *out)
{
    if (audits(s))
        session_do(out, SESSION_DO_AUDITED);
}

void session_on_window_half(struct session *s)
{
    if (s->state == SESSION_LIVE && audits(s) && !s->audit.running)
        s->audit.at_ms = s->now_ms;
}

void session_audit_tick(struct session *s, struct session_actions *out)
{
    struct session_audit *audit = &s->audit;
    if (audit->running || s->sync.unkeyed || s->now_ms < audit->at_ms)
        return;
    if (!s->has_position) { /* nothing to begin from yet */
        session_audit_plan(s);
        return;
    }
    audit->running = true;
    audit->at_ms = SESSION_NEVER;
    audit->pages = audit->again = audit->found = audit->suspects = 0;
    session_ask_for(s, SESSION_FOR_AUDIT);
    session_request(s, out);
}

int64_t session_audit_deadline_ms(const struct session *s)
{
    return s->audit.running ? SESSION_NEVER : s->audit.at_ms;
}

/* The link gets some events and not others: another one may get all. */
static void link_is_deaf(struct session *s, struct session_actions *out)
{
    char why[SESSION_TEXT];
    snprintf(why, sizeof(why),
             "%u audits in a row found events that the link did not bring, %u in the last one",
             s->audit.findings, s->audit.found);
    s->audit.findings = 0;
    session_say(out, why);
    session_redial(s, out, why);
}

static void finish(struct session *s, struct session_actions *out, bool whole)
{
    struct session_audit *audit = &s->audit;
    audit->findings = audit->found > 0 ? audit->findings + 1 : 0;
    if (whole)
        session_audited(s, out);
    if (audit->findings >= SESSION_FINDINGS)
        link_is_deaf(s, out);
    else
        session_audit_plan(s);
}

void session_audit_page(struct session *s, struct session_actions *out,
                        const struct session_page *page)
{
    struct session_audit *audit = &s->audit;
    bool more = session_promised(page);

    audit->failing = false;
    audit->pages++;
    audit->suspects += page->suspects;
    audit->found += page->found;
    if (more && audit->pages < SESSION_AUDIT_PAGES) {
        s->sync.use_next = page->items == 0;
        session_request(s, out);
    } else if (more) {
        finish(s, out, false);
    } else if (audit->suspects == 0) {
        finish(s, out, true);
    } else if (audit->again < SESSION_AUDIT_AGAIN) {
        audit->again++;
        audit->suspects = 0;
        session_ask_for(s, SESSION_FOR_AUDIT);
        s->sync.next_ms = session_after(s, SESSION_SUSPECT_MS);
    } else {
        finish(s, out, false);
    }
}

void session_audit_failed(struct session *s, struct session_actions *out, int64_t delay_ms,
                          const char *why)
{
    if (!s->audit.failing)
        session_say(out, why);
    s->audit.failing = true;
    session_audit_plan(s);
    if (session_after(s, delay_ms) > s->audit.at_ms)
        s->audit.at_ms = session_after(s, delay_ms);
}
