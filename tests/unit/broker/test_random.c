/*
 * Streams that dial, fail, live and end at random, a disk that lags and loses, a wall clock that is
 * set back, and a daemon that is killed at any point: against what the service has counted.
 *
 * The service counts a connection somewhere between the grant and the end of its handshake, and a
 * session somewhere before the daemon hears of it. However often the daemon is killed, no window
 * has more of them than the limits allow. HAWSER_TEST_SEED=N runs that seed only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "broker/broker.h"
#include "broker/rate.h"

enum {
    CLIENTS = 12,
    KINDS = 4, /* of profiles; clients of one kind share a scope */
    STEPS = 4000,
    SEEDS = 40,
    COUNTED_MAX = 2 * STEPS,
    PENDING_MAX = 64,
    HOSTS = 2,
    PER_HOST = 3,
    DIAL_COUNT = 3,
    DIAL_MS = 1000,
    HANDSHAKE_MS = 3000,
};

static uint64_t seed;

#define check(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("seed %llu: %s", (unsigned long long)seed, #condition);                       \
    } while (0)

enum conn_state { IDLE, ASKED, CONNECTING, OPEN };

struct conn {
    enum conn_state state;
    uint64_t asked; /* its place in the order of asking */
    bool at_start;
    int64_t counted_ms; /* by the service; INT64_MAX: not yet */
    int64_t done_ms;    /* CONNECTING: the end of the handshake */
    int64_t session_ms; /* when the service takes it as a session; INT64_MAX: never, or told */
};

struct client {
    struct world *world;
    struct broker_client *broker;
    unsigned kind, host;
    int asking; /* slot, or -1 */
    struct conn conns[3];
};

struct counted {
    int64_t at_ms[COUNTED_MAX];
    unsigned n;
};

struct pending {
    char key[64];
    uint8_t value[BROKER_SAVED_MAX];
    size_t size;
    uint64_t ticket;
};

struct saved {
    char key[64];
    uint8_t value[BROKER_SAVED_MAX];
    size_t size;
    int64_t wall_ms;
};

struct world {
    struct rng rng;
    struct profile profiles[KINDS];
    struct broker *broker;
    struct client clients[CLIENTS];
    int64_t true_ms; /* time, as nobody in the daemon knows it */
    int64_t mono_ms; /* monotonic less true */
    int64_t wall_ms; /* wall less true */
    uint64_t asks, landed;
    struct pending pending[PENDING_MAX];
    unsigned n_pending;
    struct saved disk[KINDS];
    unsigned n_disk;
    struct counted connects[KINDS], sessions[KINDS], dials;
    bool draining;
    unsigned crashes, granted, laters, losses;
};

static size_t below(struct world *world, size_t n)
{
    return (size_t)rng_below(&world->rng, n);
}

static int64_t now_ms(const struct world *world)
{
    return world->true_ms + world->mono_ms;
}

static void count(struct counted *counted, int64_t at_ms)
{
    check(counted->n < COUNTED_MAX);
    counted->at_ms[counted->n++] = at_ms;
}

/* ---- the broker's wishes ---- */

static unsigned connections(const struct world *world, int kind, int host, bool dialing)
{
    unsigned n = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *client = &world->clients[i];
        for (unsigned k = 0; k < 3; k++)
            if ((kind < 0 || client->kind == (unsigned)kind) &&
                (host < 0 || client->host == (unsigned)host) &&
                (client->conns[k].state == CONNECTING ||
                 (client->conns[k].state == OPEN && !dialing)))
                n++;
    }
    return n;
}

/* Nobody who asked later for the same, and is held by the same limits, comes first. */
static void check_order(const struct client *client, const struct conn *conn)
{
    const struct world *world = client->world;
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *other = &world->clients[i];
        const struct conn *link = &other->conns[BROKER_LINK];
        if (other->kind == client->kind && other->host == client->host && link->state == ASKED &&
            !link->at_start)
            check(link->asked >= conn->asked);
    }
}

static void on_granted(void *arg)
{
    struct client *client = arg;
    struct world *world = client->world;
    check(client->asking >= 0);
    enum broker_slot slot = (enum broker_slot)client->asking;
    struct conn *conn = &client->conns[slot];
    check(conn->state == ASKED);
    client->asking = -1;
    world->granted++;
    if (slot == BROKER_LINK)
        check_order(client, conn);
    if (below(world, 10) == 0) { /* no longer wanted */
        conn->state = IDLE;
        broker_drop(client->broker, slot, now_ms(world));
        return;
    }
    conn->state = CONNECTING;
    conn->done_ms = world->true_ms + (int64_t)below(world, below(world, HANDSHAKE_MS) + 1);
    conn->counted_ms =
        world->true_ms + (int64_t)below(world, (size_t)(conn->done_ms - world->true_ms) + 1);
    conn->session_ms = INT64_MAX;
    if (client->kind == 0) /* that waits for no disk between its turn and the grant */
        count(&world->dials, world->true_ms);
    const struct profile *profile = &world->profiles[client->kind];
    check(connections(world, -1, (int)client->host, true) <= PER_HOST);
    if (profile->limits.links > 0)
        check(connections(world, (int)client->kind, -1, false) <= profile->limits.links);
}

static void on_later(void *arg, int64_t at_ms, const char *why)
{
    struct client *client = arg;
    struct world *world = client->world;
    check(client->asking >= 0);
    check(at_ms > now_ms(world));
    check(why[0] != '\0' && strlen(why) < BROKER_TEXT);
    world->laters++;
}

static void on_save(void *arg, struct slice key, struct slice value, uint64_t ticket)
{
    struct world *world = arg;
    check(world->n_pending < PENDING_MAX);
    check(value.len <= BROKER_SAVED_MAX && key.len < 64);
    struct pending *pending = &world->pending[world->n_pending++];
    *pending = (struct pending){.size = value.len, .ticket = ticket};
    memcpy(pending->key, key.ptr, key.len);
    memcpy(pending->value, value.ptr, value.len);
}

static void on_deadline(void *arg, int64_t deadline_ms)
{
    (void)arg;
    (void)deadline_ms;
}

static const struct broker_ops ops = {
    .granted = on_granted, .later = on_later, .save = on_save, .deadline = on_deadline};

/* ---- lives of the daemon ---- */

static void start(struct world *world)
{
    static const char *const hosts[HOSTS] = {"one:443", "two:443"};
    struct broker_options options = {.dial_rate = {DIAL_COUNT, DIAL_MS},
                                     .dial_per_host = PER_HOST,
                                     .seed = rng_u64(&world->rng),
                                     .ops = &ops,
                                     .arg = world};
    world->mono_ms = (int64_t)below(world, 1000000);
    world->n_pending = world->dials.n = 0;
    world->landed = 0;
    check(broker_new(&options, &world->broker) == 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *client = &world->clients[i];
        char name[8], credential[8];
        *client = (struct client){.world = world, .kind = i % KINDS, .asking = -1};
        client->host = client->kind == 2 ? 0 : i / KINDS % HOSTS;
        snprintf(name, sizeof(name), "s%u", i % 100);
        snprintf(credential, sizeof(credential), "c%u", client->kind % 10);
        struct broker_client_options form = {.name = name,
                                             .host = hosts[client->host],
                                             .credential = credential,
                                             .profile = &world->profiles[client->kind],
                                             .arg = client};
        check(broker_client_new(world->broker, &form, &client->broker) == 0);
    }
    for (unsigned i = 0; i < world->n_disk; i++) {
        const struct saved *saved = &world->disk[i];
        broker_restore(world->broker, slice_str(saved->key),
                       slice_make((const char *)saved->value, saved->size),
                       world->true_ms + world->wall_ms - saved->wall_ms);
    }
}

/* The oldest n saves are on disk. */
static void land(struct world *world, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct pending *pending = &world->pending[i];
        unsigned at = 0;
        while (at < world->n_disk && strcmp(world->disk[at].key, pending->key) != 0)
            at++;
        check(at < KINDS);
        if (at == world->n_disk)
            world->n_disk++;
        memcpy(world->disk[at].key, pending->key, sizeof(pending->key));
        memcpy(world->disk[at].value, pending->value, pending->size);
        world->disk[at].size = pending->size;
        world->disk[at].wall_ms = world->true_ms + world->wall_ms;
        world->landed = pending->ticket;
    }
    world->n_pending -= n;
    memmove(world->pending, world->pending + n, world->n_pending * sizeof(world->pending[0]));
}

/* What the service has seen by now. */
static void look(struct world *world, bool all)
{
    for (unsigned i = 0; i < CLIENTS * 3; i++) {
        struct client *client = &world->clients[i / 3];
        struct conn *conn = &client->conns[i % 3];
        if (conn->state == IDLE || conn->state == ASKED)
            continue;
        if (conn->counted_ms <= world->true_ms || all) {
            if (conn->counted_ms != INT64_MAX)
                count(&world->connects[client->kind],
                      conn->counted_ms < world->true_ms ? conn->counted_ms : world->true_ms);
            conn->counted_ms = INT64_MAX;
        }
        if (conn->session_ms <= world->true_ms && all) /* it was never told */
            count(&world->sessions[client->kind], conn->session_ms);
    }
}

static void crash(struct world *world)
{
    look(world, true);
    land(world, (unsigned)below(world, world->n_pending + 1));
    broker_free(world->broker);
    world->crashes++;
    world->true_ms += (int64_t)below(world, 2000);
    start(world);
}

/* ---- what happens ---- */

static void end(struct world *world, struct client *client, enum broker_slot slot)
{
    struct conn *conn = &client->conns[slot];
    if (conn->counted_ms != INT64_MAX)
        count(&world->connects[client->kind], world->true_ms);
    if (conn->session_ms <= world->true_ms) {
        count(&world->sessions[client->kind], conn->session_ms);
        broker_session(client->broker, now_ms(world));
    }
    conn->state = IDLE;
    broker_ended(client->broker, slot, now_ms(world));
}

static void go_on(struct world *world, struct client *client, enum broker_slot slot)
{
    struct conn *conn = &client->conns[slot];
    if (conn->state == CONNECTING && conn->done_ms <= world->true_ms) {
        if (below(world, 3) == 0) {
            end(world, client, slot);
            return;
        }
        conn->state = OPEN;
        broker_opened(client->broker, slot, now_ms(world));
        if (slot == BROKER_LINK && below(world, 2) == 0)
            conn->session_ms = world->true_ms + (int64_t)below(world, 1500);
    } else if (conn->state == OPEN && conn->session_ms <= world->true_ms && below(world, 3) == 0) {
        count(&world->sessions[client->kind], conn->session_ms);
        conn->session_ms = INT64_MAX;
        broker_session(client->broker, now_ms(world));
    } else if (conn->state == OPEN && below(world, 12) == 0) {
        end(world, client, slot);
    }
}

static void ask(struct world *world)
{
    struct client *client = &world->clients[below(world, CLIENTS)];
    enum broker_slot slot = below(world, 4) == 0 ? BROKER_FALLBACK : BROKER_LINK;
    struct conn *conn = &client->conns[slot];
    if (client->asking >= 0 || conn->state != IDLE)
        return;
    *conn = (struct conn){.state = ASKED,
                          .asked = ++world->asks,
                          .at_start = below(world, 20) == 0,
                          .counted_ms = INT64_MAX,
                          .session_ms = INT64_MAX};
    client->asking = (int)slot;
    broker_ask(client->broker, slot, conn->at_start, now_ms(world));
}

static void drop(struct world *world)
{
    struct client *client = &world->clients[below(world, CLIENTS)];
    if (client->asking < 0)
        return;
    enum broker_slot slot = (enum broker_slot)client->asking;
    client->asking = -1;
    client->conns[slot].state = IDLE;
    broker_drop(client->broker, slot, now_ms(world));
}

static void lose(struct world *world)
{
    land(world, (unsigned)below(world, world->n_pending + 1));
    world->n_pending = 0;
    world->losses++;
    broker_saved(world->broker, world->landed, now_ms(world));
    broker_unsaved(world->broker, now_ms(world));
}

static void step(struct world *world)
{
    world->true_ms += (int64_t)below(world, 200);
    look(world, false);
    for (unsigned i = 0; i < CLIENTS * 3; i++)
        go_on(world, &world->clients[i / 3], (enum broker_slot)(i % 3));
    if (!world->draining) {
        ask(world);
        ask(world);
        if (below(world, 15) == 0)
            drop(world);
        if (below(world, 100) == 0)
            world->wall_ms -= (int64_t)below(world, 30000); /* set back; never forth */
        if (below(world, 60) == 0)
            crash(world);
        else if (below(world, 60) == 0)
            lose(world);
    }
    broker_run(world->broker, now_ms(world));
    if (below(world, 2) == 0 || world->n_pending > PENDING_MAX / 2) {
        land(world, (unsigned)below(world, world->n_pending + 1));
        if (world->landed > 0)
            broker_saved(world->broker, world->landed, now_ms(world));
        broker_run(world->broker, now_ms(world));
    }
}

/* ---- the verdict ---- */

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void check_windows(struct counted *counted, const struct profile_rate *limit)
{
    if (limit->count == 0)
        return;
    qsort(counted->at_ms, counted->n, sizeof(counted->at_ms[0]), by_time);
    for (unsigned i = limit->count; i < counted->n; i++)
        check(counted->at_ms[i] - counted->at_ms[i - limit->count] >= limit->period_ms);
}

/* A full bucket, and what flows in meanwhile. */
static void check_dials(const struct world *world)
{
    const struct counted *dials = &world->dials;
    if (dials->n == 0)
        return;
    /* All windows that end with the newest. */
    int64_t last = dials->at_ms[dials->n - 1];
    for (unsigned n = DIAL_COUNT + 1; n <= dials->n && n <= 10 * DIAL_COUNT; n++)
        check((last - dials->at_ms[dials->n - n]) * DIAL_COUNT >= (n - DIAL_COUNT) * DIAL_MS);
}

/* When nobody asks any more all who wait get what they asked for. */
static void drain(struct world *world)
{
    bool waits = true;
    world->draining = true;
    for (unsigned i = 0; i < 2000 && waits; i++) {
        step(world);
        waits = false;
        for (unsigned k = 0; k < CLIENTS; k++)
            waits = waits || world->clients[k].asking >= 0;
    }
    check(!waits);
}

static void make_profiles(struct world *world)
{
    struct profile *p = world->profiles;
    p[0].limits.scope = PROFILE_SCOPE_STREAM; /* none */
    p[1].limits.scope = PROFILE_SCOPE_CREDENTIAL;
    p[1].limits.connects = (struct profile_rate){1 + (unsigned)below(world, 8), 10000};
    p[2].limits.scope = PROFILE_SCOPE_HOST;
    p[2].limits.links = 1 + (unsigned)below(world, 3);
    p[2].limits.connects = (struct profile_rate){5, 3000};
    p[3].limits.scope = PROFILE_SCOPE_CREDENTIAL;
    p[3].limits.sessions = (struct profile_rate){2 + (unsigned)below(world, 3), 20000};
}

/* What has happened in all runs together. */
static struct {
    unsigned connects[KINDS], sessions, crashes, losses, laters, granted;
} totals;

static void live(void)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    rng_seed(&world->rng, seed);
    make_profiles(world);
    world->true_ms = 1000000;
    start(world);
    for (unsigned i = 0; i < STEPS; i++) {
        step(world);
        check_dials(world);
    }
    drain(world);
    look(world, true);
    for (unsigned i = 0; i < KINDS; i++) {
        check_windows(&world->connects[i], &world->profiles[i].limits.connects);
        check_windows(&world->sessions[i], &world->profiles[i].limits.sessions);
        totals.connects[i] += world->connects[i].n;
    }
    totals.sessions += world->sessions[3].n;
    totals.crashes += world->crashes;
    totals.losses += world->losses;
    totals.laters += world->laters;
    totals.granted += world->granted;
    broker_free(world->broker);
    free(world);
}

static void test_never_more_than_the_limits(void **state)
{
    const char *text = getenv("HAWSER_TEST_SEED");
    (void)state;
    if (text != NULL) {
        seed = strtoull(text, NULL, 10);
        live();
        return;
    }
    for (seed = 1; seed <= SEEDS; seed++)
        live();
    print_message("%u granted, %u crashes, %u losses, %u told; connects %u %u %u %u, sessions %u\n",
                  totals.granted, totals.crashes, totals.losses, totals.laters, totals.connects[0],
                  totals.connects[1], totals.connects[2], totals.connects[3], totals.sessions);
    for (unsigned i = 0; i < KINDS; i++)
        assert_true(totals.connects[i] > 20 * SEEDS);
    assert_true(totals.sessions > 5 * SEEDS);
    assert_true(totals.crashes > 20 * SEEDS && totals.losses > 20 * SEEDS);
    assert_true(totals.laters > 20 * SEEDS);
}

/* ---- the log by itself ---- */

/* However many moments become one mark: never fewer than there were, nor those of long ago. */
static void test_a_log_never_counts_too_few(void **state)
{
    enum { MOMENTS = 4000, PERIOD = 60000, SLACK = PERIOD / 20 };
    static int64_t at[MOMENTS];
    (void)state;
    for (seed = 1; seed <= SEEDS; seed++) {
        struct rng rng;
        struct rate_log log = {.n = 0};
        int64_t now = 0;
        rng_seed(&rng, seed);
        uint64_t gap = 1 + rng_below(&rng, 300);
        for (unsigned n = 0; n < MOMENTS; n++) {
            now += (int64_t)rng_below(&rng, rng_chance(&rng, 1, 50) ? gap * 100 : gap);
            at[n] = now;
            rate_expire(&log, PERIOD, now);
            rate_add(&log, 1, now);
            uint64_t least = 0, most = 0;
            for (unsigned i = n + 1; i > 0 && at[i - 1] > now - PERIOD - SLACK; i--) {
                least += at[i - 1] > now - PERIOD;
                most++;
            }
            uint64_t counted = rate_count(&log, PERIOD, now);
            check(counted >= least && counted <= most);
            check(log.n <= RATE_MARKS);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_more_than_the_limits),
        cmocka_unit_test(test_a_log_never_counts_too_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
