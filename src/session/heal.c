/*
 * heal: what a live link left out, or brought in a form that cannot be told from a duplicate, is
 * asked of sync while the stream stays on that link.
 *
 * A hole: contiguous positions miss some. flow holds from there, and the stream catches up.
 *
 * Unkeyed events have neither id nor position. flow holds from the first of them; sync has the same
 * event with its id, and that copy is the one to keep. One request at a time, however many come;
 * what sync does not bring in SESSION_UNKEYED_MS is stored as it came, and said: no audit can ever
 * find out that such an event is missing.
 *
 * Requests of a live link are its service's business too: one that says that the credential is of
 * no use any more tells of the link what it does not say itself (it is a ghost, connected and
 * silent), so that is followed. Every other refusal leaves the link alone, and so does what kept us
 * from asking the service at all: a secret that cannot be read just now, a proxy.
 */
#include <stdio.h>

#include "session/machine.h"

/* Sync can be asked for what is missing. */
static bool can_ask(const struct session *s)
{
    return s->profile->catchup.via == PROFILE_CATCHUP_HTTP && s->has_position;
}

void session_on_hole(struct session *s, struct session_actions *out, const char *missing)
{
    if (s->sync.gate != SESSION_GATE_PASS || s->link_phase != SESSION_LINK_UP)
        return;
    session_holds(s);
    s->sync.held = true;
    if (!can_ask(s)) {
        session_release(s, out); /* flow says the gap in its place */
        return;
    }
    if (s->state != SESSION_LIVE)
        return; /* the catch-up comes when the link is accepted */
    session_handover_put_off(s, out);
    session_catchup_end(s, out);
    session_backoff_lived(s, s->now_ms - s->since_ms);
    session_catchup_begin(
        s, out, missing != NULL && missing[0] != '\0' ? missing : "positions are missing");
}

/* ---- unkeyed ---- */

static void keep(struct session *s, struct session_actions *out)
{
    session_do(out, SESSION_DO_UNKEYED_KEEP);
    session_release(s, out);
    if (!s->sync.told_unkeyed)
        session_say(out, "events without id and position come that sync does not bring: they are "
                         "stored as they came, and whether all of them came cannot be audited");
    s->sync.told_unkeyed = true;
}

void session_on_unkeyed(struct session *s, struct session_actions *out)
{
    struct session_catchup *sync = &s->sync;
    if (s->link_phase != SESSION_LINK_UP || sync->unkeyed || sync->gate == SESSION_GATE_DISCARD)
        return;
    if (sync->gate == SESSION_GATE_PASS) {
        session_holds(s);
        sync->held = true;
    }
    if (s->state != SESSION_LIVE)
        return; /* what is held waits for the catch-up, or for the stream to be live */
    if (!can_ask(s)) {
        keep(s, out);
        return;
    }
    session_handover_put_off(s, out);
    session_catchup_end(s, out); /* an audit can wait */
    sync->unkeyed = true;
    sync->unkeyed_by_ms = session_after(s, SESSION_UNKEYED_MS);
    session_ask_for(s, SESSION_FOR_CATCHUP);
    session_request(s, out);
}

static void unkeyed_over(struct session *s, struct session_actions *out)
{
    if (!s->sync.unkeyed)
        return;
    session_catchup_end(s, out);
    keep(s, out);
}

static void unkeyed_page(struct session *s, struct session_actions *out,
                         const struct session_page *page)
{
    struct session_catchup *sync = &s->sync;
    bool promised = session_promised(page);

    sync->stale_pages = promised && page->fresh == 0 && !page->moved ? sync->stale_pages + 1 : 0;
    sync->use_next = promised && page->items == 0;
    if (promised && sync->stale_pages < SESSION_STALE_PAGES) {
        session_request(s, out);
    } else if (page->unkeyed) {
        session_pace(s);
    } else {
        session_catchup_end(s, out);
        session_release(s, out);
    }
}

/* ---- requests of a live link ---- */

void session_live_page(struct session *s, struct session_actions *out,
                       const struct session_page *page)
{
    s->sync.request = 0;
    s->sync.failures = 0;
    if (page->gone) {
        session_forget(s, out, "the service no longer knows the position");
        session_live_forgot(s, out);
    } else if (s->sync.unkeyed) {
        unkeyed_page(s, out, page);
    } else if (session_doubts(s)) {
        session_doubt_page(s, out, page);
    } else {
        session_audit_page(s, out, page);
    }
}

void session_live_forgot(struct session *s, struct session_actions *out)
{
    if (s->sync.unkeyed)
        unkeyed_over(s, out);
    else
        session_catchup_end(s, out);
}

/* And not ours, or a proxy's (RFC 9110 section 15.5.8). */
static bool is_service_word(const struct profile_end *end)
{
    return end->kind == PROFILE_END_STATUS && end->code != 407;
}

static void ask_later(struct session *s, struct session_actions *out,
                      const struct profile_policy_action *action, const struct profile_end *end,
                      const char *why)
{
    struct session_catchup *sync = &s->sync;
    int64_t delay = session_backoff_delay_ms(s, action, end, sync->failures++);
    if (sync->unkeyed)
        sync->next_ms = session_after(s, delay);
    else if (session_doubts(s))
        session_doubt_failed(s, out, delay, why);
    else
        session_audit_failed(s, out, delay, why);
}

void session_live_failed(struct session *s, struct session_actions *out,
                         const struct profile_end *end)
{
    struct session_catchup *sync = &s->sync;
    char what[SESSION_TEXT], why[SESSION_TEXT + 16];
    struct profile_policy_action action = session_judge(s, end, what, sizeof(what));

    sync->request = 0;
    sync->use_next = false;
    snprintf(why, sizeof(why), "%s: %s", sync->unkeyed || session_doubts(s) ? "catch-up" : "audit",
             what);
    switch (action.kind) {
    case PROFILE_POLICY_REFRESH:
    case PROFILE_POLICY_PARK:
        if (!is_service_word(end)) {
            ask_later(s, out, &action, end, why);
            return;
        }
        session_link_close(s, out, s->profile->connect.close_code);
        session_lost_to(s, out, &action, end, why);
        return;
    case PROFILE_POLICY_FORGET:
        session_forget(s, out, why);
        session_live_forgot(s, out);
        return;
    case PROFILE_POLICY_RETRY:
    case PROFILE_POLICY_RETRY_AFTER:
    case PROFILE_POLICY_FRESH:
    case PROFILE_POLICY_FALLBACK:
    case PROFILE_POLICY_HOLD:
        ask_later(s, out, &action, end, why);
        return;
    }
}

void session_live_tick(struct session *s, struct session_actions *out)
{
    struct session_catchup *sync = &s->sync;
    if (sync->unkeyed && s->now_ms >= sync->unkeyed_by_ms)
        unkeyed_over(s, out);
    else if (sync->request == 0 && s->now_ms >= sync->next_ms)
        session_request(s, out);
    else if (session_doubts(s))
        session_doubt_tick(s, out);
    else
        session_audit_tick(s, out);
}

int64_t session_live_deadline_ms(const struct session *s)
{
    const struct session_catchup *sync = &s->sync;
    int64_t at = sync->request == 0 ? sync->next_ms : SESSION_NEVER;
    if (sync->unkeyed)
        return at < sync->unkeyed_by_ms ? at : sync->unkeyed_by_ms;
    if (session_doubts(s)) /* audits wait */
        return sync->request == 0 && sync->doubt_at_ms < at ? sync->doubt_at_ms : at;
    int64_t audit = session_audit_deadline_ms(s);
    return at < audit ? at : audit;
}
