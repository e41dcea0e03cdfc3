#include "walker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

struct walker_link *walker_link(struct walker *w, uint64_t number)
{
    for (unsigned i = 0; i < WALKER_LINKS; i++)
        if (number != 0 && w->links[i].number == number)
            return &w->links[i];
    return NULL;
}

static unsigned count_links(const struct walker *w)
{
    unsigned n = 0;
    for (unsigned i = 0; i < WALKER_LINKS; i++)
        n += w->links[i].number != 0;
    return n;
}

void walker_forget(struct walker *w)
{
    memset(w->links, 0, sizeof(w->links));
    w->link = w->successor = w->link_newest = 0;
    w->request = w->fallback = w->request_newest = 0;
    w->follows = w->stalled = w->granted = false;
    w->slot = NOT_ASKED;
    w->gate = PASS;
    w->state = SESSION_STARTING;
}

static void gone(struct walker *w, uint64_t number)
{
    struct walker_link *link = walker_link(w, number);
    if (link == NULL)
        return;
    *link = (struct walker_link){0};
    if (w->link == number)
        w->link = 0;
    if (w->successor == number)
        w->successor = 0;
}

/* ---- actions ---- */

static void saw_text(const struct session_action *action)
{
    assert_true(utf8_valid(action->text, strlen(action->text)));
    assert_true(strlen(action->text) > 0);
}

static void saw_state(struct walker *w, const struct session_action *action)
{
    assert_int_equal(action->from, w->state);
    w->state = action->to;
    saw_text(action);
    assert_true(action->retry_ms >= -1);
    if (action->to == SESSION_LIVE)
        assert_int_equal(w->gate, PASS);
    if (action->to == SESSION_STALLED)
        assert_true(w->stalled);
}

static void saw_dial(struct walker *w, const struct session_action *action)
{
    unsigned room = w->profile.connect.parallel;
    assert_true(w->granted && w->slot == ASKED_LINK); /* never without leave */
    w->granted = false;
    w->slot = NOT_ASKED;
    assert_true(count_links(w) + (w->fallback != 0) < room); /* what is closing counts */
    assert_false(w->stalled);
    assert_true(action->link > w->link_newest);
    w->link_newest = action->link;
    for (unsigned i = 0; i < WALKER_LINKS; i++) {
        if (w->links[i].number != 0)
            continue;
        w->links[i] = (struct walker_link){.number = action->link};
        break;
    }
    if (w->link == 0)
        w->link = action->link;
}

static void saw_link(struct walker *w, const struct session_action *action)
{
    struct walker_link *link = walker_link(w, action->link);
    assert_non_null(link);
    if (action->kind == SESSION_DO_LINK_ABORT) {
        gone(w, action->link);
        return;
    }
    assert_true(link->open && !link->closing);
    if (action->kind == SESSION_DO_LINK_CLOSE) {
        assert_true(action->code >= 1000);
        link->closing = true;
        if (w->successor == link->number)
            w->successor = 0;
    } else if (action->kind == SESSION_DO_LINK_PING) {
        assert_false(w->profile.connect.ping_forbidden);
    } else {
        assert_int_not_equal(w->profile.heartbeat.send, PROFILE_NONE);
    }
}

static void saw_request(struct walker *w, const struct session_action *action)
{
    assert_true(action->request > w->request_newest);
    assert_int_equal(w->request, 0); /* one at a time, the fallback included */
    assert_int_equal(w->fallback, 0);
    w->request_newest = action->request;
    if (action->kind == SESSION_DO_HTTP_START) {
        assert_true(w->link != 0 || w->state == SESSION_POLLING);
        w->request = action->request;
        return;
    }
    assert_int_equal(w->state, SESSION_POLLING);
    assert_true(w->follows || (w->granted && w->slot == ASKED_FALLBACK));
    assert_true(w->profile.fallback.exists && !w->stalled);
    assert_true(count_links(w) < w->profile.connect.parallel); /* what is closing counts */
    if (w->granted)
        w->slot = NOT_ASKED;
    w->granted = w->follows = false;
    w->fallback = action->request;
}

static void saw_handover(struct walker *w, const struct session_action *action)
{
    if (action->kind == SESSION_DO_SUCCEED) {
        assert_int_equal(action->link, w->link_newest);
        assert_int_equal(w->successor, 0);
        assert_int_not_equal(w->link, action->link);
        assert_int_equal(w->state, SESSION_LIVE);
        w->successor = action->link;
        return;
    }
    assert_int_equal(action->link, w->successor);
    w->link = w->successor;
    w->successor = 0;
    w->gate = HOLD;
}

static void saw_slot(struct walker *w, const struct session_action *action)
{
    if (action->kind == SESSION_DO_ASK_SLOT) {
        assert_int_equal(w->slot, NOT_ASKED);
        w->slot = action->fallback ? ASKED_FALLBACK : ASKED_LINK;
        return;
    }
    assert_int_equal(w->slot, action->fallback ? ASKED_FALLBACK : ASKED_LINK);
    w->slot = NOT_ASKED;
    w->granted = false;
}

static void saw(struct walker *w, const struct session_action *action)
{
    w->did[action->kind]++;
    switch (action->kind) {
    case SESSION_DO_ASK_SLOT:
    case SESSION_DO_DROP_SLOT:
        saw_slot(w, action);
        return;
    case SESSION_DO_DIAL:
        saw_dial(w, action);
        return;
    case SESSION_DO_LINK_CLOSE:
    case SESSION_DO_LINK_ABORT:
    case SESSION_DO_LINK_PING:
    case SESSION_DO_HEARTBEAT:
        saw_link(w, action);
        return;
    case SESSION_DO_SUCCEED:
    case SESSION_DO_SWITCH:
        saw_handover(w, action);
        return;
    case SESSION_DO_HTTP_START:
    case SESSION_DO_FALLBACK_START:
        saw_request(w, action);
        return;
    case SESSION_DO_HTTP_CANCEL:
        assert_true(action->request != 0);
        assert_true(action->request == w->request || action->request == w->fallback);
        if (action->request == w->request)
            w->request = 0;
        else
            w->fallback = 0;
        return;
    case SESSION_DO_HOLD:
        w->gate = HOLD;
        return;
    case SESSION_DO_RELEASE:
        assert_int_not_equal(w->gate, PASS);
        w->gate = PASS;
        return;
    case SESSION_DO_DISCARD:
        assert_int_equal(w->gate, HOLD);
        w->gate = DISCARD;
        return;
    case SESSION_DO_UNKEYED_KEEP:
        assert_int_equal(w->gate, HOLD);
        return;
    case SESSION_DO_DOUBT:
    case SESSION_DO_TRUST:
        assert_int_equal(w->gate, PASS);
        assert_int_equal(w->state, SESSION_LIVE);
        return;
    case SESSION_DO_SAVE:
        assert_ptr_equal(action, &w->out.item[w->out.count - 1]); /* of all that was done */
        return;
    case SESSION_DO_GAP:
    case SESSION_DO_SAY:
        assert_true(utf8_valid(action->text, strlen(action->text)));
        return;
    case SESSION_DO_AUDITED:
    case SESSION_DO_FRESH:
    case SESSION_DO_FORGET:
    case SESSION_DO_REFRESH:
        return;
    case SESSION_DO_STATE:
        saw_state(w, action);
        return;
    }
    fail();
}

/* ---- after the step ---- */

static void check_deadline(struct walker *w)
{
    int64_t deadline = session_deadline_ms(&w->session);
    enum session_state state = session_state(&w->session);
    assert_int_equal(state, w->state);
    assert_false(w->granted); /* leave to dial is used at once, or given back */
    if (state == SESSION_PAUSED || state == SESSION_STALLED || state == SESSION_STOPPED) {
        assert_int_equal(w->slot, NOT_ASKED);
        assert_int_equal(w->fallback, 0);
        assert_int_equal(w->request, 0);
    }
    /* Events pass while live, unless sync is being asked for those without a key. */
    const struct walker_link *link = walker_link(w, w->link);
    if (state == SESSION_LIVE && w->gate != PASS && link != NULL && link->open && !link->closing)
        assert_true(w->gate == HOLD && deadline <= w->now_ms + SESSION_UNKEYED_MS);
    if (deadline != INT64_MAX)
        return;
    switch (state) {
    case SESSION_STARTING:
    case SESSION_PARKED:
    case SESSION_STALLED:
    case SESSION_PAUSED:
    case SESSION_STOPPED:
        return; /* someone else's turn */
    case SESSION_DIALING:
    case SESSION_OPENING:
    case SESSION_GREETING:
    case SESSION_LIVE:
        assert_int_not_equal(w->link, 0); /* its end is owed */
        return;
    case SESSION_CATCHING_UP:
        assert_int_not_equal(w->request, 0);
        return;
    case SESSION_POLLING:
        assert_true(w->request != 0 || w->fallback != 0 || w->slot != NOT_ASKED);
        return;
    case SESSION_WAITING:
    case SESSION_HELD:
        assert_int_equal(w->slot, ASKED_LINK); /* the broker's turn */
        return;
    case SESSION_STATE_COUNT:
        fail_msg("%s without a deadline", session_state_name(state));
    }
}

void walker_step(struct walker *w, const struct session_event *event)
{
    assert_int_equal(session_step(&w->session, event, &w->out), 0);
    assert_true(w->out.count <= SESSION_ACTIONS_MAX);
    if (w->out.count > w->most)
        w->most = w->out.count;
    for (unsigned i = 0; i < w->out.count; i++)
        saw(w, &w->out.item[i]);
    if (event->kind == SESSION_EV_HTTP_PAGE)
        w->follows = w->follows && w->fallback == 0;
    check_deadline(w);
}

/* ---- events ---- */

/* flow holds by itself from a hole, or an unkeyed event, of the link that delivers. */
static void flow_holds(struct walker *w, const struct session_event *event)
{
    const struct walker_link *link = walker_link(w, event->link);
    if (link != NULL && link->open && event->link == w->link && w->gate == PASS)
        w->gate = HOLD;
}

static void http_page(struct walker *w, const struct session_event *event)
{
    if (event->request == 0)
        return;
    if (event->request == w->request) {
        w->request = 0;
    } else if (event->request == w->fallback) {
        w->fallback = 0;
        w->follows = true;
    }
}

void walker_book(struct walker *w, const struct session_event *event)
{
    struct walker_link *link = walker_link(w, event->link);
    switch (event->kind) {
    case SESSION_EV_LINK_OPEN:
        if (link != NULL)
            link->open = true;
        return;
    case SESSION_EV_LINK_FAILED:
    case SESSION_EV_LINK_CLOSED:
        gone(w, event->link);
        return;
    case SESSION_EV_HTTP_PAGE:
        http_page(w, event);
        return;
    case SESSION_EV_HTTP_FAILED:
        if (event->request == w->request)
            w->request = 0;
        return;
    case SESSION_EV_FALLBACK_ENDED:
        if (event->request == w->fallback)
            w->fallback = 0;
        return;
    case SESSION_EV_HOLE:
    case SESSION_EV_UNKEYED:
    case SESSION_EV_DOUBT:
        flow_holds(w, event);
        return;
    case SESSION_EV_SLOT:
        w->granted = w->slot != NOT_ASKED;
        return;
    case SESSION_EV_STORE_STALLED:
        w->stalled = true;
        return;
    case SESSION_EV_STORE_READY:
        w->stalled = false;
        return;
    case SESSION_EV_MET:
    case SESSION_EV_FOLLOWS:
    case SESSION_EV_FALLBACK_OPEN:
    case SESSION_EV_SLOT_LATER:
    case SESSION_EV_REFRESH_FAILED:
    case SESSION_EV_EXPIRING:
    case SESSION_EV_SENT:
    case SESSION_EV_ANSWERED:
    case SESSION_EV_ACKED:
    case SESSION_EV_PONG:
    case SESSION_EV_WINDOW_HALF:
    case SESSION_EV_NETWORK:
    case SESSION_EV_START:
    case SESSION_EV_STOP:
    case SESSION_EV_TICK:
    case SESSION_EV_LINK_CONNECTED:
    case SESSION_EV_RULE:
    case SESSION_EV_HELD_FIRST:
    case SESSION_EV_HELD_FULL:
    case SESSION_EV_POSITION:
    case SESSION_EV_CREDENTIAL:
    case SESSION_EV_PAUSE:
    case SESSION_EV_RESUME:
    case SESSION_EV_RECONNECT:
        return;
    }
}
