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

#include "walker.h"

#define EVENTS 200000
#define EVENTS_A_SESSION 500 /* on average */

static unsigned pick(struct walker *w, unsigned n)
{
    return (unsigned)rng_below(&w->rng, n);
}

static struct profile_end random_end(struct walker *w)
{
    static const int codes[] = {1000, 1001, 1002, 1006, 1008, 4001, 4004, 4009, 4010};
    static const int statuses[] = {200, 401, 403, 410, 429, 426, 503};
    static const int64_t after[] = {-1, 0, 1000, 120000, INT64_MAX};
    struct profile_end end;
    switch (pick(w, 3)) {
    case 0:
        end = fake_close(codes[pick(w, 9)], "r\xC3\xA9seau coup\xC3\xA9");
        break;
    case 1:
        end = fake_status(statuses[pick(w, 7)], after[pick(w, 5)]);
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

/* Mostly a number that is in use, sometimes one that was, will be, or never is. */
static uint64_t some_number(struct walker *w, const uint64_t *used, unsigned n, uint64_t newest)
{
    switch (pick(w, 16)) {
    case 0:
        return 0;
    case 1:
        return newest + 1 + pick(w, 3);
    case 2:
        return newest > 0 ? newest - 1 : 0;
    default:
        break;
    }
    for (unsigned tries = 0; tries < 4; tries++) {
        uint64_t number = used[pick(w, n)];
        if (number != 0)
            return number;
    }
    return 0;
}

static uint64_t some_link(struct walker *w)
{
    uint64_t used[WALKER_LINKS + 1] = {w->link};
    for (unsigned i = 0; i < WALKER_LINKS; i++)
        used[i + 1] = w->links[i].number;
    return some_number(w, used, WALKER_LINKS + 1, w->link_newest);
}

/* Executors do not take the fallback for a request, nor the other way round. */
static uint64_t some_request(struct walker *w, enum session_event_kind kind)
{
    bool polls = w->profile.fallback.transport == PROFILE_LONGPOLL;
    uint64_t used[2] = {w->request, w->request};
    if (kind == SESSION_EV_FALLBACK_OPEN || kind == SESSION_EV_FALLBACK_ENDED)
        used[0] = used[1] = w->fallback;
    else if (kind == SESSION_EV_HTTP_PAGE && polls)
        used[1] = w->fallback;
    uint64_t number = some_number(w, used, 2, w->request_newest);
    if (number != used[0] && number != used[1] && (number == w->request || number == w->fallback))
        return 0;
    return number;
}

/* What moves a stream on from here, so that the walk comes far. */
static enum session_event_kind helpful_kind(struct walker *w)
{
    static const enum session_event_kind live[] = {
        SESSION_EV_TICK,      SESSION_EV_TICK,    SESSION_EV_RULE,        SESSION_EV_EXPIRING,
        SESSION_EV_HOLE,      SESSION_EV_UNKEYED, SESSION_EV_WINDOW_HALF, SESSION_EV_MET,
        SESSION_EV_LINK_OPEN, SESSION_EV_DOUBT,   SESSION_EV_FOLLOWS};
    static const enum session_event_kind polling[] = {SESSION_EV_TICK, SESSION_EV_FALLBACK_OPEN,
                                                      SESSION_EV_HTTP_PAGE, SESSION_EV_LINK_OPEN,
                                                      SESSION_EV_RULE};
    if (w->slot != NOT_ASKED && pick(w, 2) == 0)
        return SESSION_EV_SLOT;
    switch (w->state) {
    case SESSION_STARTING:
    case SESSION_WAITING:
    case SESSION_HELD:
    case SESSION_PARKED:
    case SESSION_STOPPED:
    case SESSION_STATE_COUNT:
        return SESSION_EV_TICK;
    case SESSION_DIALING:
    case SESSION_OPENING:
        return SESSION_EV_LINK_OPEN;
    case SESSION_GREETING:
        return SESSION_EV_RULE;
    case SESSION_CATCHING_UP:
        return pick(w, 4) == 0 ? SESSION_EV_TICK : SESSION_EV_HTTP_PAGE;
    case SESSION_LIVE:
        return w->request != 0 ? SESSION_EV_HTTP_PAGE
                               : live[pick(w, sizeof(live) / sizeof(live[0]))];
    case SESSION_POLLING:
        return polling[pick(w, sizeof(polling) / sizeof(polling[0]))];
    case SESSION_STALLED:
        return SESSION_EV_STORE_READY;
    case SESSION_PAUSED:
        return SESSION_EV_RESUME;
    }
    return SESSION_EV_TICK;
}

/* Mostly what moves the stream on, else anything. STOP is for the end. */
static enum session_event_kind random_kind(struct walker *w)
{
    if (pick(w, 5) != 0)
        return helpful_kind(w);
    for (;;) {
        enum session_event_kind kind = (enum session_event_kind)pick(w, SESSION_EV_RECONNECT + 1);
        if (kind != SESSION_EV_STOP || pick(w, 20) == 0)
            return kind;
    }
}

/* What comes next where all goes well: without it the walk rarely gets far. */
static void helpful(struct walker *w, struct session_event *event, struct profile_rule_action *rule)
{
    static const enum session_event_kind rarely[] = {
        SESSION_EV_EXPIRING, SESSION_EV_WINDOW_HALF, SESSION_EV_UNKEYED,  SESSION_EV_HOLE,
        SESSION_EV_DOUBT,    SESSION_EV_FOLLOWS,     SESSION_EV_POSITION, SESSION_EV_RULE};
    uint64_t newest = w->successor != 0 ? w->successor : w->link;
    const struct walker_link *link = walker_link(w, newest);
    event->link = newest;
    event->request = w->fallback != 0 ? w->fallback : w->request;
    rule->kind = PROFILE_RULE_LIVE;
    if (w->slot != NOT_ASKED) {
        event->kind = SESSION_EV_SLOT;
    } else if (link != NULL && !link->open) {
        event->kind = SESSION_EV_LINK_OPEN;
    } else if (w->fallback != 0 &&
               (w->profile.fallback.transport != PROFILE_LONGPOLL || pick(w, 2) == 0)) {
        event->kind = SESSION_EV_FALLBACK_OPEN;
    } else if (event->request != 0) {
        event->kind = SESSION_EV_HTTP_PAGE;
    } else if (w->state == SESSION_GREETING || w->successor != 0) {
        event->kind = pick(w, 4) == 0 ? SESSION_EV_MET : SESSION_EV_RULE;
    } else if (w->state == SESSION_LIVE && pick(w, 4) == 0) {
        event->kind = rarely[pick(w, 6)];
        rule->kind = PROFILE_RULE_HANDOVER;
    } else {
        event->kind = SESSION_EV_TICK;
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
    page.gone = pick(w, 20) == 0;
    page.unkeyed = pick(w, 3) == 0;
    page.suspects = pick(w, 4) == 0;
    page.found = pick(w, 4) == 0;

    int64_t deadline = session_deadline_ms(&w->session);
    struct session_event event = {.kind = random_kind(w)};
    event.link = some_link(w);
    event.request = some_request(w, event.kind);
    if (pick(w, 16) < (w->kind ? 14u : 2u))
        helpful(w, &event, &rule);
    bool due = event.kind == SESSION_EV_TICK && deadline != INT64_MAX && pick(w, 8) != 0;
    if (due && deadline > w->now_ms)
        w->now_ms = deadline + (pick(w, 10) == 0 ? pick(w, 5000) : 0);
    else if (!due)
        w->now_ms += pick(w, 300);
    if (pick(w, 2) == 0)
        w->rx_ms = w->now_ms;
    event.now_ms = w->now_ms;
    event.last_rx_ms = w->rx_ms;
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
    if (pick(w, 2) == 0)
        trigger.value = (struct slice){"wss://other.example.com/", 24};
    event.rule = &trigger;
    event.page = &page;
    walker_book(w, &event);
    walker_step(w, &event);
    if (!due)
        return;
    /* Ticks at the deadline move it: never a tight loop. One may lead to a wait of 0 ms, and that
     * to a dial. */
    for (int i = 0; i < 2 && session_deadline_ms(&w->session) <= w->now_ms; i++) {
        struct session_event tick = {
            .kind = SESSION_EV_TICK, .now_ms = w->now_ms, .last_rx_ms = w->rx_ms};
        walker_step(w, &tick);
    }
    assert_true(session_deadline_ms(&w->session) > w->now_ms);
}

static void random_delivery(struct walker *w)
{
    struct profile *profile = &w->profile;
    profile->connect.parallel = 1 + pick(w, 2);
    profile->connect.max_age_ms = pick(w, 3) == 0 ? 60000 : 0;
    profile->catchup.tip = pick(w, 2) == 0 ? 0 : PROFILE_NONE;
    profile->catchup.audit_ms = (int64_t)pick(w, 2) * 60000;
    profile->position.contiguous = pick(w, 2) == 0;
    profile->unkeyed_sync = pick(w, 2) == 0;
    profile->fallback.exists = pick(w, 2) == 0;
    profile->fallback.name = "poll";
    profile->fallback.transport = (enum profile_transport)pick(w, 3);
    profile->fallback.after = pick(w, 2) * 3;
    profile->fallback.retry_primary_ms = 30000;
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
    bool rests = saved != NULL && saved->state != SESSION_STOPPED &&
                 (saved->dialled || waits || saved->state == SESSION_PARKED ||
                  saved->state == SESSION_PAUSED);
    if (!rests)
        assert_int_equal(w->slot, ASKED_LINK);
    else if (!args->source_changed)
        assert_int_equal(w->slot, NOT_ASKED);
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
    random_delivery(w);
    args.learn_tip = pick(w, 3) == 0 && !args.has_position;
    args.rtt_reconnects = pick(w, 2) == 0;
    session_init(&w->session, &args);
    walker_forget(w);
    w->kind = pick(w, 2) == 0;
    struct session_event start = {.kind = SESSION_EV_START, .now_ms = w->now_ms};
    walker_step(w, &start);
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
        if (pick(&w, EVENTS_A_SESSION) == 0 || w.state == SESSION_STOPPED || !w.begun)
            begin(&w);
        random_step(&w);
        visits[w.state]++;
    }
    for (unsigned i = 0; i < SESSION_STATE_COUNT; i++) {
        if (i != SESSION_STARTING && visits[i] == 0)
            fail_msg("the walk never came to %s", session_state_name((enum session_state)i));
    }
    for (unsigned i = 0; i <= SESSION_DO_STATE; i++) {
        if (w.did[i] == 0)
            fail_msg("the walk never did %s", session_action_name((enum session_action_kind)i));
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
