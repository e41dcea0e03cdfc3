/*
 * catchup: filling what was missed, without loss and in order.
 *
 * The happy path: HOLD since LINK_OPEN, request, pages; a page returns the first event that is
 * held, so nothing lies between sync and the link any more: RELEASE, live.
 *
 * What can go otherwise:
 *  - Nothing is held: one answer without anything new is enough to go live, and leaves a doubt
 *    (doubt.c), for sync may lag behind.
 *  - Something is held, or was seen on a link and dropped, that sync does not return (it lags, or
 *    leaves some events out) or that it cannot be measured by: when it has had nothing more for
 *    `settle`, one further request, sent after that, decides.
 *  - The hold is full: what did not fit is lost to the link, so what is held is dropped too and a
 *    new hold begun. Only a request sent after that is sure to cover the hole.
 *  - That happens SESSION_DISCARDS times in a row: sync alone delivers (POLLING) until it has
 *    nothing more, then the link gets another chance.
 *  - Pages promise more for ever and bring nothing: after SESSION_STALE_PAGES the promise is not
 *    believed; requests are paced, `settle` ends it, and a gap says what may be missing.
 *  - The service does not know the position any more, or it is older than it is good for: that is
 *    a gap, and the stream goes on with what the link has brought since it opened.
 *
 * A first run that starts now has nothing to fill; there one request learns the newest position,
 * with the link's events held as well, so that none of them counts before the position is known.
 */
#include <stdio.h>

#include "session/machine.h"

void session_request(struct session *s, struct session_actions *out)
{
    struct session_catchup *sync = &s->sync;
    struct session_action *action = session_do(out, SESSION_DO_HTTP_START);
    sync->request = ++sync->request_last;
    sync->sent_ms = s->now_ms;
    sync->next_ms = SESSION_NEVER;
    sync->in_hold = sync->gate == SESSION_GATE_HOLD;
    sync->backing_off = false;
    action->request = sync->request;
    action->purpose = sync->purpose;
    action->use_next = sync->use_next;
    sync->use_next = false;
}

void session_pace(struct session *s)
{
    s->sync.next_ms = session_after(s, SESSION_ASK_MS);
}

void session_hold(struct session *s, struct session_actions *out)
{
    session_do(out, SESSION_DO_HOLD);
    session_holds(s);
}

void session_holds(struct session *s)
{
    s->sync.gate = SESSION_GATE_HOLD;
    s->sync.held = false;
    s->sync.reached = false;
    s->sync.quiet_ms = -1;
    s->sync.in_hold = false;
}

void session_release(struct session *s, struct session_actions *out)
{
    if (s->sync.gate != SESSION_GATE_PASS)
        session_do(out, SESSION_DO_RELEASE);
    s->sync.gate = SESSION_GATE_PASS;
}

void session_ask_for(struct session *s, enum session_purpose purpose)
{
    struct session_catchup *sync = &s->sync;
    sync->purpose = purpose;
    sync->use_next = false;
    sync->stale_pages = 0;
    sync->failures = 0;
    sync->fresh = 0;
}

void session_catchup_begin(struct session *s, struct session_actions *out, const char *why)
{
    bool tip = s->learn_tip && !s->has_position;
    session_ask_for(s, tip ? SESSION_FOR_TIP : SESSION_FOR_CATCHUP);
    if (s->sync.gate != SESSION_GATE_HOLD)
        session_hold(s, out);
    session_request(s, out);
    session_enter(s, out, SESSION_CATCHING_UP, SESSION_NEVER, "%s", why);
}

void session_catchup_end(struct session *s, struct session_actions *out)
{
    struct session_catchup *sync = &s->sync;
    if (sync->request != 0)
        session_do(out, SESSION_DO_HTTP_CANCEL)->request = sync->request;
    sync->request = 0;
    sync->next_ms = SESSION_NEVER;
    sync->backing_off = false;
    sync->unkeyed = false;
    sync->doubt_at_ms = SESSION_NEVER;
    sync->discards = 0;
    if (s->audit.running)
        session_audit_plan(s);
}

void session_catchup_abandon(struct session *s, struct session_actions *out)
{
    session_catchup_end(s, out);
    session_discard(s, out);
}

void session_discard(struct session *s, struct session_actions *out)
{
    if (s->sync.gate != SESSION_GATE_HOLD)
        return;
    session_do(out, SESSION_DO_DISCARD);
    s->sync.gate = SESSION_GATE_DISCARD;
}

static void finish(struct session *s, struct session_actions *out)
{
    char why[SESSION_TEXT];
    session_audited(s, out); /* before the release: what is held is not stored yet */
    if (s->sync.purpose == SESSION_FOR_TIP)
        snprintf(why, sizeof(why), "%s",
                 s->has_position ? "the newest position is known"
                                 : "the service names no newest position");
    else if (s->sync.fresh == 0)
        snprintf(why, sizeof(why), "caught up: nothing was missed");
    else
        snprintf(why, sizeof(why), "caught up: %llu events", (unsigned long long)s->sync.fresh);
    session_go_live(s, out, why);
}

/* Has sync had nothing more for `settle`, and one further request since? */
static bool settled(struct session *s)
{
    struct session_catchup *sync = &s->sync;
    if (sync->quiet_ms < 0) {
        sync->quiet_ms = s->now_ms;
        return false;
    }
    return sync->sent_ms - sync->quiet_ms >= s->profile->catchup.settle_ms;
}

/* What is owed while something is held may be just that, and is about to be released. */
void session_say_missing(const struct session *s, struct session_actions *out,
                         const struct session_page *page, bool promised)
{
    if (promised)
        session_gap(out, SESSION_GAP_UPSTREAM,
                    "sync says that there is more, but page after page brings nothing new");
    else if (page->owed && !s->sync.held)
        session_gap(out, SESSION_GAP_UPSTREAM,
                    "a link has shown events that could not be kept, and sync does not bring them");
}

/* A page of CATCHING_UP. more: there is more to be had, as far as that is believed. */
static void judge_page(struct session *s, struct session_actions *out,
                       const struct session_page *page, bool more, bool promised)
{
    struct session_catchup *sync = &s->sync;
    bool nothing_new = !more && page->fresh == 0;

    if (!nothing_new)
        sync->quiet_ms = -1;
    if (!sync->in_hold) {
        session_request(s, out);
        return;
    }
    bool waits = sync->held || page->owed;
    if (sync->reached) {
        finish(s, out);
        return;
    }
    if (nothing_new && settled(s)) {
        session_say_missing(s, out, page, promised);
        finish(s, out);
        return;
    }
    if (nothing_new && !waits && !promised) {
        finish(s, out);
        session_doubt(s, out);
        return;
    }
    if (more || (page->fresh > 0 && !waits))
        session_request(s, out);
    else
        session_pace(s);
}

/* Too old a position, or an unknown one: there is nothing to catch up from. What is held is whole
 * since the link was accepted, so the stream goes on with it, after the gap. */
static void go_on_without(struct session *s, struct session_actions *out, const char *why)
{
    char live[SESSION_TEXT + 64];
    session_forget(s, out, why);
    snprintf(live, sizeof(live), "nothing to catch up from; %s", why);
    session_go_live(s, out, live);
}

/* A sync that has failed for long may leave nothing to ask for: what it then answers may look whole
 * and not be. */
void session_catchup_tick(struct session *s, struct session_actions *out)
{
    const struct session_catchup *sync = &s->sync;
    char why[SESSION_TEXT];
    if (sync->request != 0 || s->now_ms < sync->next_ms)
        return;
    if (sync->backing_off && sync->purpose == SESSION_FOR_CATCHUP && session_too_old(s, why))
        go_on_without(s, out, why);
    else
        session_request(s, out);
}

bool session_promised(const struct session_page *page)
{
    return page->more && (page->items > 0 || page->has_next);
}

/* The answer to TIP; the position it names, if any, has come as POSITION before. */
static void tip_answered(struct session *s, struct session_actions *out)
{
    s->learn_tip = false;
    if (s->fallback.on) {
        session_fallback_go(s, out);
    } else if (!s->sync.in_hold && s->has_position &&
               s->profile->catchup.via == PROFILE_CATCHUP_HTTP) {
        /* A full hold was dropped since it was asked, and with it what follows that position. */
        session_ask_for(s, SESSION_FOR_CATCHUP);
        session_request(s, out);
    } else {
        finish(s, out);
    }
}

void session_catchup_page(struct session *s, struct session_actions *out,
                          const struct session_page *page)
{
    struct session_catchup *sync = &s->sync;
    bool promised = session_promised(page);

    sync->request = 0;
    sync->failures = 0;
    if (sync->purpose == SESSION_FOR_TIP) {
        tip_answered(s, out);
        return;
    }
    if (page->gone) {
        go_on_without(s, out, "catch-up: the service no longer knows the position");
        return;
    }
    sync->fresh += page->fresh;
    if (page->fresh > 0)
        s->whole_ms = s->now_ms; /* the service still knows the position */
    if (sync->gate == SESSION_GATE_HOLD && page->reached_hold)
        sync->reached = true;
    sync->stale_pages = promised && page->fresh == 0 && !page->moved ? sync->stale_pages + 1 : 0;
    bool more = promised && sync->stale_pages < SESSION_STALE_PAGES;
    sync->use_next = promised && page->items == 0;

    if (s->state == SESSION_CATCHING_UP) {
        judge_page(s, out, page, more, promised);
        return;
    }
    if (more) { /* POLLING */
        session_request(s, out);
        return;
    }
    session_hold(s, out);
    session_enter(s, out, SESSION_CATCHING_UP, SESSION_NEVER, "sync has nothing more");
    if (promised)
        session_pace(s);
    else
        session_request(s, out);
}

void session_catchup_overflow(struct session *s, struct session_actions *out)
{
    struct session_catchup *sync = &s->sync;
    session_discard(s, out);
    if (s->link_phase == SESSION_LINK_CLOSING)
        return; /* the next link begins with what this one no longer brings */
    sync->discards++;
    if (s->state == SESSION_LIVE) { /* it held for unkeyed events */
        session_catchup_end(s, out);
        session_backoff_lived(s, s->now_ms - s->since_ms);
        session_catchup_begin(s, out, "more came than can be held for sync");
        return;
    }
    if (s->state != SESSION_CATCHING_UP)
        return; /* not accepted yet: the hold begins with the catch-up */
    /* Without a position sync has nothing to deliver from. */
    if (sync->discards < SESSION_DISCARDS || sync->purpose == SESSION_FOR_TIP) {
        session_hold(s, out);
    } else {
        sync->discards = 0;
        session_enter(s, out, SESSION_POLLING, SESSION_NEVER,
                      "more comes on the link than can be held; sync delivers");
    }
    if (sync->request == 0 && !sync->backing_off) {
        sync->use_next = false;
        session_request(s, out);
    }
}

static void tip_refused(struct session *s, struct session_actions *out, const char *why)
{
    char live[SESSION_TEXT + 64];
    s->learn_tip = false;
    if (s->fallback.on) {
        session_fallback_go(s, out);
        return;
    }
    snprintf(live, sizeof(live), "the newest position is not known; %s", why);
    session_go_live(s, out, live);
}

void session_catchup_failed(struct session *s, struct session_actions *out,
                            const struct profile_end *end)
{
    struct session_catchup *sync = &s->sync;
    char what[SESSION_TEXT], why[SESSION_TEXT + 16];
    struct profile_policy_action action = session_judge(s, end, what, sizeof(what));
    bool again = action.kind == PROFILE_POLICY_RETRY || action.kind == PROFILE_POLICY_RETRY_AFTER;

    sync->request = 0;
    sync->use_next = false;
    snprintf(why, sizeof(why), "catch-up: %s", what);
    if (sync->purpose == SESSION_FOR_TIP && !again) {
        tip_refused(s, out, why);
        return;
    }
    switch (action.kind) {
    case PROFILE_POLICY_RETRY:
    case PROFILE_POLICY_RETRY_AFTER:
        sync->next_ms =
            session_after(s, session_backoff_delay_ms(s, &action, end, sync->failures++));
        sync->backing_off = true;
        session_enter(s, out, s->state, SESSION_NEVER, "%s", why);
        return;
    case PROFILE_POLICY_FORGET:
        go_on_without(s, out, why);
        return;
    case PROFILE_POLICY_FRESH:
    case PROFILE_POLICY_FALLBACK:
    case PROFILE_POLICY_REFRESH:
    case PROFILE_POLICY_HOLD:
    case PROFILE_POLICY_PARK:
        session_link_close(s, out, s->profile->connect.close_code);
        session_lost_to(s, out, &action, end, why);
        return;
    }
}
