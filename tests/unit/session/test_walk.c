/*
 * A random walk: events in any order, sensible or not, and what must hold after each of them.
 * HAWSER_SEED repeats a walk.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "fake_profile.h"
#include "session/session.h"

#define EVENTS 200000
#define EVENTS_A_SESSION 2000

/* What an executor knows, kept apart from what the session believes. */
struct walker {
    struct session session;
    struct session_actions out;
    struct profile profile;
    struct rng rng;
    enum session_state state;
    int64_t now_ms, rx_ms;
    uint64_t link, link_newest;
    bool link_open, link_closing;
    uint64_t request, request_newest;
    enum { PASS, HOLD, DISCARD } gate;
    bool stalled;
    bool begun;
    bool slot_asked, slot_granted; /* granted: not used yet */
    unsigned most;
};

static unsigned pick(struct walker *w, unsigned n)
{
    return (unsigned)rng_below(&w->rng, n);
}

static void saw_state(struct walker *w, const struct session_action *action)
{
    assert_int_equal(action->from, w->state);
    w->state = action->to;
    assert_true(utf8_valid(action->text, strlen(action->text)));
    assert_true(strlen(action->text) > 0);
    assert_true(action->retry_ms >= -1);
    if (action->to == SESSION_LIVE)
        assert_int_equal(w->gate, PASS);
    if (action->to == SESSION_STALLED)
        assert_true(w->stalled);
}

static void saw(struct walker *w, const struct session_action *action)
{
    switch (action->kind) {
    case SESSION_DO_DIAL:
        assert_int_equal(w->link, 0); /* never two links */
        assert_true(w->slot_granted); /* and never one without leave */
        w->slot_granted = false;
        assert_false(w->stalled);
        assert_true(action->link > w->link_newest);
        w->link = w->link_newest = action->link;
        w->link_open = w->link_closing = false;
        return;
    case SESSION_DO_LINK_CLOSE:
        assert_int_equal(action->link, w->link);
        assert_true(w->link_open && !w->link_closing);
        assert_true(action->code >= 1000);
        w->link_closing = true;
        return;
    case SESSION_DO_LINK_ABORT:
        assert_int_equal(action->link, w->link);
        w->link = 0;
        return;
    case SESSION_DO_LINK_PING:
        assert_int_equal(action->link, w->link);
        assert_true(w->link_open && !w->link_closing);
        assert_false(w->profile.connect.ping_forbidden);
        return;
    case SESSION_DO_HTTP_START:
        assert_int_equal(w->request, 0); /* one at a time */
        assert_true(action->request > w->request_newest);
        assert_int_not_equal(w->link, 0);
        w->request = w->request_newest = action->request;
        return;
    case SESSION_DO_HTTP_CANCEL:
        assert_int_equal(action->request, w->request);
        w->request = 0;
        return;
    case SESSION_DO_ASK_SLOT:
        assert_false(w->slot_asked);
        w->slot_asked = true;
        return;
    case SESSION_DO_DROP_SLOT:
        assert_true(w->slot_asked || w->slot_granted);
        w->slot_asked = w->slot_granted = false;
        return;
    case SESSION_DO_HEARTBEAT:
        assert_int_equal(action->link, w->link);
        assert_true(w->link_open && !w->link_closing);
        assert_int_not_equal(w->profile.heartbeat.send, PROFILE_NONE);
        return;
    case SESSION_DO_SAVE:
        assert_ptr_equal(action, &w->out.item[w->out.count - 1]); /* of all that was done */
        return;
    case SESSION_DO_SAY:
        assert_true(utf8_valid(action->text, strlen(action->text)) && action->text[0] != '\0');
        return;
    case SESSION_DO_FRESH:
        return;
    case SESSION_DO_SUCCEED:
    case SESSION_DO_SWITCH:
    case SESSION_DO_FALLBACK_START:
    case SESSION_DO_UNKEYED_KEEP:
    case SESSION_DO_AUDITED:
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
    case SESSION_DO_GAP:
        assert_true(utf8_valid(action->text, strlen(action->text)));
        return;
    case SESSION_DO_FORGET:
    case SESSION_DO_REFRESH:
        return;
    case SESSION_DO_STATE:
        saw_state(w, action);
        return;
    }
    fail();
}

static void check_deadline(struct walker *w)
{
    int64_t deadline = session_deadline_ms(&w->session);
    enum session_state state = session_state(&w->session);
    assert_int_equal(state, w->state);
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
    case SESSION_POLLING:
        assert_int_not_equal(w->request, 0);
        return;
    case SESSION_WAITING:
    case SESSION_HELD:
        assert_true(w->slot_asked); /* the broker's turn */
        return;
    case SESSION_STATE_COUNT:
        fail_msg("%s without a deadline", session_state_name(state));
    }
}

static void step(struct walker *w, const struct session_event *event)
{
    assert_int_equal(session_step(&w->session, event, &w->out), 0);
    assert_true(w->out.count <= SESSION_ACTIONS_MAX);
    if (w->out.count > w->most)
        w->most = w->out.count;
    for (unsigned i = 0; i < w->out.count; i++)
        saw(w, &w->out.item[i]);
    check_deadline(w);
}

static struct profile_end random_end(struct walker *w)
{
    static const int codes[] = {1000, 1001, 1002, 1006, 1008, 4001, 4004, 4009};
    static const int statuses[] = {200, 401, 403, 410, 429, 503};
    static const int64_t after[] = {-1, 0, 1000, 120000, INT64_MAX};
    struct profile_end end;
    switch (pick(w, 3)) {
    case 0:
        end = fake_close(codes[pick(w, 8)], "r\xC3\xA9seau coup\xC3\xA9");
        break;
    case 1:
        end = fake_status(statuses[pick(w, 6)], after[pick(w, 5)]);
        break;
    default:
        end = fake_failure((enum profile_failure)pick(w, 8));
        break;
    }
    if (pick(w, 4) == 0) { /* as long as it gets, in characters of two bytes */
        for (size_t i = 0; i + 1 < sizeof(end.text) - 1; i += 2)
            memcpy(end.text + i, "\xC3\xA9", 2);
        end.text[sizeof(end.text) - 2] = '\0';
        if (pick(w, 2) == 0)
            end.text[0] = 'x', end.text[1] = 'y';
    }
    return end;
}

static uint64_t near_number(struct walker *w, uint64_t current, uint64_t newest)
{
    switch (pick(w, 12)) {
    case 0:
        return 0;
    case 1:
        return newest + pick(w, 3);
    case 2:
        return newest > 0 ? newest - 1 : 0;
    default:
        return current;
    }
}

/* Keeps the executor's side true: what an event says about the current link or request is so. */
static void book(struct walker *w, const struct session_event *event)
{
    bool current = event->link != 0 && event->link == w->link;
    switch (event->kind) {
    case SESSION_EV_LINK_OPEN:
        w->link_open = w->link_open || current;
        return;
    case SESSION_EV_LINK_FAILED:
    case SESSION_EV_LINK_CLOSED:
        if (current)
            w->link = 0;
        return;
    case SESSION_EV_HTTP_PAGE:
    case SESSION_EV_HTTP_FAILED:
        if (event->request == w->request)
            w->request = 0;
        return;
    case SESSION_EV_SLOT:
        w->slot_granted = w->slot_asked;
        w->slot_asked = false;
        return;
    case SESSION_EV_STORE_STALLED:
        w->stalled = true;
        return;
    case SESSION_EV_STORE_READY:
        w->stalled = false;
        return;
    case SESSION_EV_MET:
    case SESSION_EV_HOLE:
    case SESSION_EV_UNKEYED:
    case SESSION_EV_FALLBACK_OPEN:
    case SESSION_EV_FALLBACK_ENDED:
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

static enum session_event_kind random_kind(struct walker *w)
{
    /* Twice of three what moves a stream on, else anything. STOP is for the end. */
    static const enum session_event_kind usual[] = {
        SESSION_EV_TICK,      SESSION_EV_TICK,        SESSION_EV_LINK_CONNECTED,
        SESSION_EV_LINK_OPEN, SESSION_EV_RULE,        SESSION_EV_HELD_FIRST,
        SESSION_EV_HELD_FULL, SESSION_EV_HTTP_PAGE,   SESSION_EV_LINK_CLOSED,
        SESSION_EV_POSITION,  SESSION_EV_HTTP_FAILED, SESSION_EV_STORE_READY,
        SESSION_EV_RESUME,    SESSION_EV_SLOT,        SESSION_EV_SLOT,
    };
    if (pick(w, 3) != 0)
        return usual[pick(w, sizeof(usual) / sizeof(usual[0]))];
    for (;;) {
        enum session_event_kind kind = (enum session_event_kind)pick(w, SESSION_EV_RECONNECT + 1);
        if (kind != SESSION_EV_STOP || pick(w, 500) == 0)
            return kind;
    }
}

static void random_step(struct walker *w)
{
    static const char *const texts[] = {NULL, "", "because",
                                        "r\xC3\xA9"
                                        "essayez"};
    struct profile_end end = random_end(w);
    struct profile_rule_action rule = {
        .kind = (enum profile_rule_kind)pick(w, PROFILE_RULE_PARK + 1),
        .delay_ms = (int64_t)pick(w, 3) * 5000,
        .text = texts[pick(w, 4)],
        .rule = "name",
    };
    if (pick(w, 3) != 0)
        rule.kind = PROFILE_RULE_LIVE;
    struct session_page page = {.items = pick(w, 3), .more = pick(w, 3) == 0};
    page.fresh = page.items > 0 ? pick(w, page.items + 1) : 0;
    page.reached_hold = page.items > 0 && pick(w, 3) == 0;
    page.has_next = page.items == 0 && pick(w, 2) == 0;
    page.owed = pick(w, 4) == 0;

    int64_t deadline = session_deadline_ms(&w->session);
    struct session_event event = {.kind = random_kind(w)};
    bool due = event.kind == SESSION_EV_TICK && deadline != INT64_MAX && pick(w, 8) != 0;
    if (due && deadline > w->now_ms)
        w->now_ms = deadline + (pick(w, 10) == 0 ? pick(w, 5000) : 0);
    else if (!due)
        w->now_ms += pick(w, 300);
    if (pick(w, 2) == 0)
        w->rx_ms = w->now_ms;
    event.now_ms = w->now_ms;
    event.last_rx_ms = w->rx_ms;
    event.link = near_number(w, w->link, w->link_newest);
    event.request = near_number(w, w->request, w->request_newest);
    event.has_position = pick(w, 2) == 0;
    event.at_ms = w->now_ms + (int64_t)pick(w, 4) * 20000;
    event.text = texts[pick(w, 4)];
    event.end = &end;
    static const int64_t values[] = {INT64_MIN, -1, 0, 1, 20000, INT64_MAX};
    rule.setting = (enum profile_setting)pick(w, PROFILE_SETTING_COUNT);
    event.rtt_ms = pick(w, 4) == 0 ? values[pick(w, 6)] : (int64_t)pick(w, 300);
    event.send = pick(w, PROFILE_SENDS_MAX + 2);
    event.sends = pick(w, 16);
    struct profile_trigger trigger = {.action = &rule, .value_ms = values[pick(w, 6)]};
    event.rule = &trigger;
    event.page = &page;
    book(w, &event);
    step(w, &event);
    if (!due)
        return;
    /* Ticks at the deadline move it: never a tight loop. One may lead to a wait of 0 ms, and that
     * to a dial. */
    for (int i = 0; i < 2 && session_deadline_ms(&w->session) <= w->now_ms; i++) {
        struct session_event tick = {
            .kind = SESSION_EV_TICK, .now_ms = w->now_ms, .last_rx_ms = w->rx_ms};
        step(w, &tick);
    }
    assert_true(session_deadline_ms(&w->session) > w->now_ms);
}

/* The process ends here, and another one takes up what was saved, or what the disk made of it. */
static void crash(struct walker *w, struct session_init_args *args, struct session_saved *saved)
{
    static const int64_t ago[] = {INT64_MIN, -1, 0, 1000, 86400000, INT64_MAX};
    session_save(&w->session, w->now_ms, saved);
    args->saved = saved;
    args->saved_ago_ms = ago[pick(w, 6)];
    args->source_changed = pick(w, 4) == 0;
    w->now_ms = 1 + (int64_t)pick(w, 1000); /* another boot, another clock */
    w->rx_ms = 0;
    if (pick(w, 8) != 0)
        return;
    saved->state = (enum session_state)pick(w, SESSION_STATE_COUNT);
    saved->wait_ms = ago[pick(w, 6)];
    saved->since_ms = ago[pick(w, 6)];
    saved->live_ago_ms = ago[pick(w, 6)];
    saved->step = saved->attempts = saved->probes = (unsigned)rng_u64(&w->rng);
    saved->dialled = pick(w, 2) == 0;
    memset(saved->flaps, (int)pick(w, 256), sizeof(saved->flaps));
}

/* Whoever waited goes on to wait; whoever had tried in vain waits. */
static void check_begin(const struct walker *w, const struct session_init_args *args)
{
    const struct session_saved *saved = args->saved;
    int64_t ago = args->saved_ago_ms > 0 ? args->saved_ago_ms : 0;
    bool waits = saved != NULL && !saved->dialled && saved->wait_ms > ago &&
                 (saved->state == SESSION_WAITING || saved->state == SESSION_HELD ||
                  saved->state == SESSION_PARKED);
    bool rests = saved != NULL && (saved->dialled || waits || saved->state == SESSION_PARKED ||
                                   saved->state == SESSION_PAUSED);
    if (!rests)
        assert_true(w->slot_asked);
    else if (!args->source_changed)
        assert_false(w->slot_asked);
    if (waits && !args->source_changed) {
        int64_t left = saved->wait_ms - ago;
        int64_t at = session_deadline_ms(&w->session);
        assert_int_equal(w->state, saved->state);
        if (w->profile.park_probe_ms > 0 || saved->state != SESSION_PARKED)
            assert_int_equal(
                at, w->now_ms + (left < SESSION_WAIT_MAX_MS ? left : SESSION_WAIT_MAX_MS - ago));
    }
}

static void begin(struct walker *w)
{
    static const struct profile_send sends[] = {
        {.name = "subscribe", .answered = true, .answer_timeout_ms = 5000}, {.name = "beat"}};
    struct session_init_args args = {.profile = &w->profile, .seed = rng_u64(&w->rng)};
    struct session_saved saved;
    args.has_position = pick(w, 2) == 0;
    if (w->begun && pick(w, 2) == 0)
        crash(w, &args, &saved);
    fake_profile(&w->profile);
    w->profile.live.by_rule = pick(w, 3) != 0;
    w->profile.catchup.via = (enum profile_catchup_via)pick(w, 3);
    if (pick(w, 2) == 0)
        w->profile.catchup.via = PROFILE_CATCHUP_HTTP;
    w->profile.heartbeat.ws_ping_ms = (int64_t)pick(w, 2) * 15000;
    w->profile.heartbeat.idle_ms = (int64_t)pick(w, 2) * 45000;
    w->profile.park_probe_ms = pick(w, 4) == 0 ? -1 : 3600000;
    w->profile.n_flaps = 2;
    w->profile.flaps[0] =
        (struct profile_flap){{PROFILE_POLICY_PARK, 0}, 1000, 1006, PROFILE_END_CLOSE, 3, 600000};
    w->profile.flaps[1] = (struct profile_flap){
        {PROFILE_POLICY_HOLD, 300000}, 4000, 4999, PROFILE_END_CLOSE, SESSION_FLAP_TIMES, 3600000};
    w->profile.connect.ping_forbidden = pick(w, 4) == 0;
    w->profile.heartbeat.send = pick(w, 2) == 0 ? 0 : PROFILE_NONE;
    w->profile.heartbeat.every_ms = (int64_t)pick(w, 2) * 10000;
    w->profile.heartbeat.ack_timeout_ms = (int64_t)pick(w, 2) * 5000;
    w->profile.sends = sends;
    w->profile.n_sends = 2;
    w->profile.position.max_age_ms = (int64_t)pick(w, 2) * 3600000;
    args.rtt_reconnects = pick(w, 2) == 0;
    session_init(&w->session, &args);
    w->state = SESSION_STARTING;
    w->link = w->link_newest = w->request = w->request_newest = 0;
    w->link_open = w->link_closing = w->stalled = false;
    w->slot_asked = w->slot_granted = false;
    w->gate = PASS;
    struct session_event start = {.kind = SESSION_EV_START, .now_ms = w->now_ms};
    step(w, &start);
    check_begin(w, &args);
    w->begun = true;
}

static void random_walk_keeps_the_invariants(void **state)
{
    const char *given = getenv("HAWSER_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0)
                                  : (uint64_t)now.tv_sec * 1000000007u ^ (uint64_t)now.tv_nsec;
    struct walker w = {.now_ms = 1};
    uint64_t visits[SESSION_STATE_COUNT] = {0};
    (void)state;
    printf("walk: HAWSER_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    rng_seed(&w.rng, seed);
    for (unsigned i = 0; i < EVENTS; i++) {
        if (i % EVENTS_A_SESSION == 0 || w.state == SESSION_STOPPED)
            begin(&w);
        random_step(&w);
        visits[w.state]++;
    }
    for (unsigned i = 0; i < SESSION_STATE_COUNT; i++) {
        if (i != SESSION_STARTING && visits[i] == 0)
            fail_msg("the walk never came to %s", session_state_name((enum session_state)i));
    }
    printf("walk: at most %u actions in a step\n", w.most);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_walk_keeps_the_invariants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
