/* Leave to dial: each limit at its bound and one past it, order, texts, slots and their ends. */
#include "unit/broker/rig.h"

static const struct profile plain;

static void connects(struct profile *profile, unsigned count, int64_t period_ms)
{
    *profile = (struct profile){0};
    profile->limits.connects = (struct profile_rate){count, period_ms};
    profile->limits.scope = PROFILE_SCOPE_CREDENTIAL;
}

static void open_with(struct rig *rig, struct rig_options options)
{
    memset(rig, 0, sizeof(*rig));
    rig->now_ms = 1000000;
    rig_open(rig, &options);
}

static void test_without_limits_at_once(void **state)
{
    struct rig rig;
    (void)state;
    open_with(&rig, (struct rig_options){0});
    struct rig_client *a = rig_add(&rig, &plain, "h:443", "c");
    rig_ask(&rig, 0);
    assert_int_equal(rig.deadline_ms, rig.now_ms); /* a run is due */
    assert_int_equal(a->granted, 0);               /* but nothing re-enters */
    rig_run(&rig);
    assert_int_equal(a->granted, 1);
    assert_int_equal(a->laters, 0);
    assert_int_equal(rig.saved, 0);
    assert_int_equal(rig.deadline_ms, INT64_MAX);
    rig_ask(&rig, 0); /* the next, while this one closes */
    rig_run(&rig);
    assert_int_equal(a->granted, 2);
    rig_close(&rig);
}

static void test_dial_rate(void **state)
{
    struct rig rig;
    (void)state;
    open_with(&rig, (struct rig_options){.dial_rate = {20, 1000}});
    for (unsigned i = 0; i < 60; i++) {
        rig_add(&rig, &plain, "h:443", "c");
        rig_ask(&rig, i);
    }
    rig_settle(&rig);
    assert_int_equal(rig.n_granted, 20);
    rig_at(&rig, rig.now_ms + 49);
    assert_int_equal(rig.n_granted, 20);
    assert_int_equal(rig.deadline_ms, rig.now_ms + 1);
    rig_at(&rig, rig.now_ms + 1);
    assert_int_equal(rig.n_granted, 21);
    /* The last of them will wait for so long that it is told, of its own place in the queue. */
    assert_int_equal(rig.clients[30].laters, 0);
    assert_int_equal(rig.clients[59].laters, 1);
    assert_int_equal(rig.clients[59].later_ms, 1000000 + 40 * 50);
    assert_string_equal(rig.clients[59].why, "dial_rate: all streams together dial 20 times in 1s");
    for (unsigned i = 0; i < 39; i++)
        rig_at(&rig, rig.now_ms + 50);
    assert_int_equal(rig.n_granted, 60);
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(rig.order[i], i);
    assert_int_equal(rig.clients[59].laters, 1);
    rig_close(&rig);
}

static void test_dial_per_host(void **state)
{
    struct rig rig;
    (void)state;
    open_with(&rig, (struct rig_options){.dial_per_host = 2});
    for (unsigned i = 0; i < 4; i++)
        rig_add(&rig, &plain, i < 3 ? "slow:443" : "other:443", "c");
    for (unsigned i = 0; i < 4; i++)
        rig_ask(&rig, i);
    rig_run(&rig);
    assert_int_equal(rig.clients[2].granted, 0);
    assert_int_equal(rig.clients[3].granted, 1); /* held up by nobody else's host */
    assert_int_equal(rig.clients[2].laters, 0);
    rig_at(&rig, rig.now_ms + 1000);
    assert_string_equal(rig.clients[2].why,
                        "dial_per_host: 2 of 2 handshakes under way with slow:443");
    assert_true(rig.clients[2].later_ms > rig.now_ms);
    broker_opened(rig.clients[0].broker, BROKER_LINK, rig.now_ms); /* a handshake, not a link */
    rig_run(&rig);
    assert_int_equal(rig.clients[2].granted, 1);
    rig_close(&rig);
}

static void test_a_guess_is_renewed(void **state)
{
    struct rig rig;
    (void)state;
    open_with(&rig, (struct rig_options){.dial_per_host = 1});
    rig_add(&rig, &plain, "h", "c");
    struct rig_client *b = rig_add(&rig, &plain, "h", "c");
    rig_ask(&rig, 0);
    rig_ask(&rig, 1);
    rig_run(&rig);
    for (unsigned i = 1; i <= 3; i++) {
        rig_at(&rig, rig.deadline_ms);
        assert_int_equal(b->laters, i);
        assert_true(b->later_ms > rig.now_ms);
        assert_int_equal(rig.deadline_ms, b->later_ms);
    }
    rig_close(&rig);
}

static void test_connects_and_one_past(void **state)
{
    struct rig rig;
    struct profile profile;
    (void)state;
    connects(&profile, 3, 300000);
    open_with(&rig, (struct rig_options){0});
    struct rig_client *a = rig_add(&rig, &profile, "h", "me");
    struct rig_client *b = rig_add(&rig, &profile, "h", "me");
    struct rig_client *other = rig_add(&rig, &profile, "h", "you");
    for (unsigned i = 0; i < 3; i++) {
        rig_ask(&rig, 0);
        rig_settle(&rig);
        assert_int_equal(a->granted, i + 1);
        rig_at(&rig, rig.now_ms + 100); /* the handshake fails after a while */
        broker_ended(a->broker, BROKER_LINK, rig.now_ms);
    }
    rig_ask(&rig, 1);
    rig_ask(&rig, 2);
    rig_settle(&rig);
    assert_int_equal(b->granted, 0);
    assert_int_equal(other->granted, 1);
    assert_int_equal(b->laters, 1);
    assert_string_equal(b->why,
                        "limits.connects: 3 of 3 in 5m used by this credential (streams a, b)");
    /* Counted until a period after the handshake was over. */
    assert_int_equal(b->later_ms, 1000100 + 300000);
    rig_at(&rig, 1000100 + 300000 - 1);
    assert_int_equal(b->granted, 0);
    rig_at(&rig, 1000100 + 300000);
    assert_int_equal(b->granted, 1);
    assert_int_equal(b->laters, 1);
    rig_close(&rig);
}

/* More than the broker has marks for: still never more, and nearly as many. */
static void test_the_largest_connects(void **state)
{
    struct rig rig;
    struct profile profile;
    (void)state;
    connects(&profile, BROKER_COUNT_MAX, 3600000);
    open_with(&rig, (struct rig_options){0});
    rig_add(&rig, &profile, "h", "me");
    for (unsigned i = 0; i < BROKER_COUNT_MAX; i++) {
        rig_ask(&rig, 0);
        rig_settle(&rig);
        assert_int_equal(rig.clients[0].granted, i + 1);
        broker_ended(rig.clients[0].broker, BROKER_LINK, rig.now_ms);
        rig.now_ms += 300;
    }
    rig_ask(&rig, 0);
    rig_settle(&rig);
    assert_int_equal(rig.clients[0].granted, BROKER_COUNT_MAX);
    int64_t at = rig.clients[0].later_ms;
    assert_in_range(at, 1000000 + 3600000, 1000000 + 3600000 + 3600000 / 50);
    rig_at(&rig, at - 1);
    assert_int_equal(rig.clients[0].granted, BROKER_COUNT_MAX);
    rig_at(&rig, at);
    assert_int_equal(rig.clients[0].granted, BROKER_COUNT_MAX + 1);
    rig_close(&rig);
}

static void test_links(void **state)
{
    struct rig rig;
    struct profile profile = {.limits = {.links = 2, .scope = PROFILE_SCOPE_HOST}};
    (void)state;
    open_with(&rig, (struct rig_options){0});
    struct rig_client *a = rig_add(&rig, &profile, "h", "x");
    struct rig_client *b = rig_add(&rig, &profile, "h", "y");
    broker_ask(a->broker, BROKER_LINK, false, rig.now_ms);
    broker_ask(b->broker, BROKER_FALLBACK, false, rig.now_ms); /* the cap is for both kinds */
    rig_settle(&rig);
    broker_opened(a->broker, BROKER_LINK, rig.now_ms);
    broker_opened(b->broker, BROKER_FALLBACK, rig.now_ms);
    broker_ask(b->broker, BROKER_LINK, false, rig.now_ms);
    rig_at(&rig, rig.now_ms + 1000);
    assert_int_equal(b->granted, 1);
    assert_string_equal(b->why, "limits.links: 2 of 2 at once used by this host (streams a, b)");
    broker_ended(b->broker, BROKER_FALLBACK, rig.now_ms);
    rig_run(&rig);
    assert_int_equal(b->granted, 2);
    rig_close(&rig);
}

/* A link that is closing counts until it has ended, though the next one is asked for already. */
static void test_a_closing_link_counts(void **state)
{
    struct rig rig;
    struct profile profile = {.limits = {.links = 1, .scope = PROFILE_SCOPE_STREAM}};
    (void)state;
    open_with(&rig, (struct rig_options){0});
    struct rig_client *a = rig_add(&rig, &profile, "h", "x");
    rig_ask(&rig, 0);
    rig_settle(&rig);
    broker_opened(a->broker, BROKER_LINK, rig.now_ms);
    rig_ask(&rig, 0);
    rig_at(&rig, rig.now_ms + 1000);
    assert_int_equal(a->granted, 1);
    assert_string_equal(a->why, "limits.links: 1 of 1 at once used by this stream");
    broker_ended(a->broker, BROKER_LINK, rig.now_ms); /* the old one's */
    rig_run(&rig);
    assert_int_equal(a->granted, 2);
    broker_ended(a->broker, BROKER_LINK, rig.now_ms); /* its own */
    rig_ask(&rig, 0);
    rig_run(&rig);
    assert_int_equal(a->granted, 3);
    rig_close(&rig);
}

static void test_a_handover_needs_two(void **state)
{
    struct rig rig;
    struct profile profile = {.limits = {.links = 2, .scope = PROFILE_SCOPE_STREAM}};
    (void)state;
    open_with(&rig, (struct rig_options){0});
    struct rig_client *a = rig_add(&rig, &profile, "h", "x");
    rig_ask(&rig, 0);
    rig_settle(&rig);
    broker_opened(a->broker, BROKER_LINK, rig.now_ms);
    broker_ask(a->broker, BROKER_SUCCESSOR, false, rig.now_ms);
    rig_settle(&rig);
    assert_int_equal(a->granted, 2);
    broker_opened(a->broker, BROKER_SUCCESSOR, rig.now_ms);
    broker_switched(a->broker);
    broker_ask(a->broker, BROKER_FALLBACK, false, rig.now_ms);
    rig_settle(&rig);
    assert_int_equal(a->granted, 2);
    broker_ended(a->broker, BROKER_SUCCESSOR, rig.now_ms); /* the old link */
    rig_settle(&rig);
    assert_int_equal(a->granted, 3);
    broker_ended(a->broker, BROKER_LINK, rig.now_ms);
    broker_ask(a->broker, BROKER_LINK, false, rig.now_ms);
    rig_settle(&rig);
    assert_int_equal(a->granted, 4);
    rig_close(&rig);
}

/* Nobody knows beforehand whether the service resumes: each link may be a session until it ends. */
static void test_sessions(void **state)
{
    struct rig rig;
    struct profile profile = {
        .limits = {.sessions = {2, 86400000}, .scope = PROFILE_SCOPE_CREDENTIAL}};
    (void)state;
    open_with(&rig, (struct rig_options){0});
    struct rig_client *a = rig_add(&rig, &profile, "h", "x");
    struct rig_client *b = rig_add(&rig, &profile, "h", "x");
    struct rig_client *c = rig_add(&rig, &profile, "h", "x");
    for (unsigned i = 0; i < 3; i++)
        rig_ask(&rig, i);
    rig_at(&rig, rig.now_ms + 1000);
    assert_int_equal(a->granted + b->granted, 2);
    assert_int_equal(c->granted, 0);
    assert_string_equal(c->why,
                        "limits.sessions: 2 of 2 in 1d used by this credential (streams a, b, c)");
    broker_ended(a->broker, BROKER_LINK, rig.now_ms); /* it was none */
    rig_settle(&rig);
    assert_int_equal(c->granted, 1);
    int64_t taken = rig.now_ms;
    broker_session(b->broker, taken);
    broker_session(c->broker, taken);
    broker_ended(b->broker, BROKER_LINK, taken);
    rig_ask(&rig, 1);
    rig_ask(&rig, 0);
    broker_ask(a->broker, BROKER_FALLBACK, false, taken); /* no session of the service's */
    rig_settle(&rig);
    assert_int_equal(a->granted, 2);
    assert_int_equal(b->granted, 1);
    assert_int_equal(b->later_ms, taken + 86400000);
    rig_at(&rig, taken + 86400000 - 1);
    assert_int_equal(b->granted, 1);
    rig_at(&rig, taken + 86400000);
    assert_int_equal(b->granted, 2);
    assert_int_equal(a->granted, 3);
    rig_close(&rig);
}

static void test_sends(void **state)
{
    struct rig rig;
    struct profile profile = {.limits = {.sends = {120, 60000}, .scope = PROFILE_SCOPE_STREAM}};
    (void)state;
    open_with(&rig, (struct rig_options){0});
    struct rig_client *a = rig_add(&rig, &profile, "h", "x");
    struct rig_client *b = rig_add(&rig, &plain, "h", "x");
    for (unsigned i = 0; i < 120; i++)
        assert_int_equal(broker_send(a->broker, rig.now_ms + i), 0);
    assert_int_equal(broker_send(a->broker, rig.now_ms + 500), 59500);
    assert_int_equal(broker_send(a->broker, rig.now_ms + 59999), 1);
    assert_int_equal(broker_send(a->broker, rig.now_ms + 60000), 0);
    assert_int_equal(broker_send(a->broker, rig.now_ms + 60000), 1);
    assert_int_equal(broker_send(b->broker, rig.now_ms + 60000), 0);
    rig_close(&rig);
}

static void test_who_waited_longest(void **state)
{
    struct rig rig;
    struct profile profile;
    (void)state;
    connects(&profile, 1, 10000);
    open_with(&rig, (struct rig_options){0});
    for (unsigned i = 0; i < 4; i++)
        rig_add(&rig, &profile, "h", "me");
    static const unsigned order[] = {2, 0, 3, 1};
    for (unsigned i = 0; i < 4; i++) {
        rig_ask(&rig, order[i]);
        rig_at(&rig, rig.now_ms + 1);
    }
    rig_ask(&rig, 1); /* asking again is no new place */
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(rig.n_granted, i + 1);
        assert_int_equal(rig.order[i], order[i]);
        broker_ended(rig.clients[order[i]].broker, BROKER_LINK, rig.now_ms);
        rig_at(&rig, rig.now_ms + 10000);
    }
    rig_close(&rig);
}

/* What is not used is given back. */
static void test_dropping(void **state)
{
    struct rig rig;
    struct profile profile;
    (void)state;
    connects(&profile, 1, 10000);
    profile.limits.links = 1;
    open_with(&rig, (struct rig_options){.dial_per_host = 1, .dial_rate = {3, 100000}});
    for (unsigned i = 0; i < 4; i++)
        rig_add(&rig, &profile, "h", "me");
    for (unsigned i = 0; i < 4; i++) {
        rig_ask(&rig, i);
        rig_run(&rig);
    }
    broker_drop(rig.clients[0].broker, BROKER_LINK, rig.now_ms); /* while it is being saved */
    rig_settle(&rig);
    assert_int_equal(rig.clients[0].granted, 0);
    assert_int_equal(rig.clients[1].granted, 1);
    broker_drop(rig.clients[1].broker, BROKER_LINK, rig.now_ms); /* granted, not used */
    broker_drop(rig.clients[2].broker, BROKER_LINK, rig.now_ms); /* waiting */
    rig_settle(&rig);
    assert_int_equal(rig.clients[2].granted, 0);
    assert_int_equal(rig.clients[3].granted, 1);
    rig_close(&rig);
}

static void test_a_client_that_goes_gives_back(void **state)
{
    struct rig rig;
    struct profile profile = {.limits = {.links = 1, .scope = PROFILE_SCOPE_CREDENTIAL}};
    (void)state;
    open_with(&rig, (struct rig_options){.dial_per_host = 1});
    rig_add(&rig, &profile, "h", "me");
    rig_add(&rig, &profile, "h", "me");
    rig_ask(&rig, 0);
    rig_ask(&rig, 1);
    rig_settle(&rig);
    broker_client_free(rig.clients[0].broker);
    rig_settle(&rig);
    assert_int_equal(rig.clients[1].granted, 1);
    rig_close(&rig);
}

/* A limit is not forgotten with the last who had it. */
static void test_a_client_that_comes_back(void **state)
{
    struct rig rig;
    struct profile profile;
    (void)state;
    connects(&profile, 1, 10000);
    open_with(&rig, (struct rig_options){0});
    rig_add(&rig, &profile, "h", "me");
    rig_ask(&rig, 0);
    rig_settle(&rig);
    broker_client_free(rig.clients[0].broker);
    rig_add(&rig, &profile, "h", "you");
    rig_add(&rig, &profile, "h", "me");
    rig_ask(&rig, 2);
    rig_at(&rig, rig.now_ms + 9999);
    assert_int_equal(rig.clients[2].granted, 0);
    rig_at(&rig, rig.now_ms + 1);
    assert_int_equal(rig.clients[2].granted, 1);
    rig_close(&rig);
}

static void test_streams_that_start_together(void **state)
{
    struct rig rig;
    unsigned late = 0;
    (void)state;
    open_with(&rig, (struct rig_options){.seed = 7});
    rig_add(&rig, &plain, "h", "c");
    broker_ask(rig.clients[0].broker, BROKER_LINK, true, rig.now_ms);
    rig_run(&rig);
    assert_int_equal(rig.n_granted, 1); /* one alone waits for nobody */
    for (unsigned i = 1; i < RIG_CLIENTS; i++)
        rig_add(&rig, &plain, "h", "c");
    for (unsigned i = 1; i < RIG_CLIENTS; i++)
        broker_ask(rig.clients[i].broker, BROKER_LINK, true, rig.now_ms);
    int64_t end = rig.now_ms + BROKER_SPREAD_MS;
    for (; rig.now_ms < end; rig.now_ms += 100) {
        unsigned before = rig.n_granted;
        rig_run(&rig);
        assert_in_range(rig.n_granted - before, 0, 16);
    }
    for (unsigned i = 0; i < RIG_CLIENTS; i++)
        late += rig.clients[i].laters;
    assert_in_range(late, 1, RIG_CLIENTS);
    rig_run(&rig);
    assert_int_equal(rig.n_granted, RIG_CLIENTS);
    rig_close(&rig);
}

static void test_a_text_names_as_many_as_fit(void **state)
{
    struct rig rig;
    struct profile profile;
    (void)state;
    connects(&profile, 1, 60000);
    open_with(&rig, (struct rig_options){0});
    for (unsigned i = 0; i < RIG_CLIENTS; i++)
        rig_add(&rig, &profile, "h", "me");
    rig_ask(&rig, 0);
    rig_ask(&rig, 1);
    rig_settle(&rig);
    rig_at(&rig, rig.now_ms + 1000);
    assert_non_null(strstr(rig.clients[1].why, "(streams a, b, c, "));
    assert_non_null(strstr(rig.clients[1].why, " more)"));
    assert_true(strlen(rig.clients[1].why) > BROKER_TEXT - 40);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_limits_at_once),
        cmocka_unit_test(test_dial_rate),
        cmocka_unit_test(test_dial_per_host),
        cmocka_unit_test(test_a_guess_is_renewed),
        cmocka_unit_test(test_connects_and_one_past),
        cmocka_unit_test(test_the_largest_connects),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_a_closing_link_counts),
        cmocka_unit_test(test_a_handover_needs_two),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_sends),
        cmocka_unit_test(test_who_waited_longest),
        cmocka_unit_test(test_dropping),
        cmocka_unit_test(test_a_client_that_goes_gives_back),
        cmocka_unit_test(test_a_client_that_comes_back),
        cmocka_unit_test(test_streams_that_start_together),
        cmocka_unit_test(test_a_text_names_as_many_as_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
