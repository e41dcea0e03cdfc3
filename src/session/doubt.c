/*
 * doubt: a catch-up that ended because sync had nothing more, and nothing was held that it could be
 * measured by. Sync may lag behind the feed, so that is only its word. The stream is live all the
 * same, for most services do not lag and nobody is to wait for those that do; but until sync has
 * had nothing more for `settle`, and one further request since, nothing may overtake what it did
 * not show yet:
 *
 *  - The link's first event is held, and the catch-up goes on until sync comes to it. What lies
 *    before it is stored before it then. Positions that are contiguous spare the request.
 *  - No event comes: the one further request, at the end of `settle`, is made while live.
 *
 * Either way that is one request more for a link whose service does not lag, and once a link: what
 * follows is measured by what the link has shown. A service that lags by more than `settle` cannot
 * be told from one that has nothing; there an audit is what finds the rest.
 */
#include "session/machine.h"

bool session_doubts(const struct session *s)
{
    return s->sync.doubt_at_ms != SESSION_NEVER;
}

void session_doubt_on(const struct session *s, struct session_actions *out)
{
    if (session_doubts(s))
        session_do(out, SESSION_DO_DOUBT);
}

void session_doubt(struct session *s, struct session_actions *out)
{
    struct session_catchup *sync = &s->sync;
    if (sync->doubted || !s->has_position || s->profile->catchup.settle_ms <= 0)
        return;
    session_ask_for(s, SESSION_FOR_CATCHUP);
    sync->doubted = true;
    sync->doubt_at_ms = sync->quiet_ms + s->profile->catchup.settle_ms;
    session_doubt_on(s, out);
}

void session_on_doubt(struct session *s, struct session_actions *out)
{
    int64_t quiet_ms = s->sync.quiet_ms;
    if (s->sync.gate != SESSION_GATE_PASS || s->link_phase != SESSION_LINK_UP)
        return;
    session_holds(s);
    s->sync.held = true;
    if (!session_doubts(s)) { /* it was over already */
        session_release(s, out);
        return;
    }
    session_handover_put_off(s, out);
    session_catchup_end(s, out);
    session_backoff_lived(s, s->now_ms - s->since_ms);
    session_catchup_begin(s, out,
                          "sync may lag behind: it is asked what came before the first event");
    s->sync.quiet_ms = quiet_ms;
}

void session_on_follows(struct session *s, struct session_actions *out)
{
    if (session_doubts(s))
        session_catchup_end(s, out);
}

void session_doubt_tick(struct session *s, struct session_actions *out)
{
    if (s->sync.request == 0 && s->now_ms >= s->sync.doubt_at_ms)
        session_request(s, out);
}

void session_doubt_page(struct session *s, struct session_actions *out,
                        const struct session_page *page)
{
    struct session_catchup *sync = &s->sync;
    bool promised = session_promised(page);

    if (page->fresh > 0)
        s->whole_ms = s->now_ms;
    sync->stale_pages = promised && page->fresh == 0 && !page->moved ? sync->stale_pages + 1 : 0;
    sync->use_next = promised && page->items == 0;
    if (promised && sync->stale_pages < SESSION_STALE_PAGES) {
        session_request(s, out);
        return;
    }
    if (promised) /* what is owed is a successor's, and on its way on the link */
        session_say_missing(s, out, page, promised);
    session_catchup_end(s, out);
    session_do(out, SESSION_DO_TRUST);
}

void session_doubt_failed(struct session *s, struct session_actions *out, int64_t delay_ms,
                          const char *why)
{
    if (s->sync.failures == 1)
        session_say(out, why);
    s->sync.doubt_at_ms = session_after(s, delay_ms);
}
