/*
 * A whole life at random: a service that produces events, a link that drops, replays and repeats, a
 * catch-up that lags, a hold that overflows, a sink that refuses, and a store that forgets what it
 * had not committed.
 *
 * Every event the service has ever produced is taken once, in order, with no hole: the sink checks
 * that each is the very next. HAWSER_TEST_SEED=N runs that seed only.
 */
#include "base/rng.h"
#include "unit/flow/rig.h"

enum { EVENTS = 500, WINDOW = 1024, REPLAY_MAX = 20, PAGE_MAX = 9 };

static uint64_t seed;

#define check(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("seed %llu: %s", (unsigned long long)seed, #condition);                       \
    } while (0)

/* What the store has of an event. */
struct kept {
    uint8_t key[16];
    bool advances;
    char position[32];
};

struct world {
    struct rng rng;
    struct profile profile;
    struct flow *flow;
    bool live_positions; /* the link's messages carry a position; the items of a page always do */
    bool calm;           /* the sink takes everything */

    unsigned produced, visible; /* by the service; of them, shown by sync */

    struct kept kept[EVENTS];
    unsigned taken, committed; /* by the sink; by the store */
    unsigned ephemeral;

    /* What the session would know. */
    bool connected, catching, polling, blocked;
    unsigned link_next; /* the link's next message */
    struct {
        bool sent, fresh; /* fresh: sent since the hold was begun */
        unsigned at, end;
    } page;

    unsigned overflows, crashes, releases, refusals, duplicates;
};

static size_t below(struct world *world, size_t n)
{
    return (size_t)rng_below(&world->rng, n);
}

/* ---- the service ---- */

static const char *position_of(const struct world *world, unsigned n, char out[32])
{
    if (world->profile.compare == PROFILE_COMPARE_INT)
        sprintf(out, "%u", 7 * n + 95);
    else
        sprintf(out, "tok-%08x-%u", n * 2654435761u, n);
    return out;
}

/* The first event after the position we are at. */
static unsigned first_missing(const struct world *world)
{
    struct slice position = flow_position(world->flow);
    char text[32];
    unsigned n;

    if (position.ptr == NULL)
        return 0;
    snprintf(text, sizeof text, SLICE_FMT, SLICE_ARG(position));
    if (world->profile.compare == PROFILE_COMPARE_INT)
        n = ((unsigned)strtoul(text, NULL, 10) - 95) / 7;
    else
        n = (unsigned)strtoul(strrchr(text, '-') + 1, NULL, 10);
    check(slice_eq_str(position, position_of(world, n, text)));
    return n + 1;
}

static void produce(struct world *world)
{
    size_t most = EVENTS - world->produced;

    world->produced += (unsigned)below(world, most < 4 ? most + 1 : 4);
}

static void show(struct world *world)
{
    world->visible += (unsigned)below(world, world->produced - world->visible + 1);
}

/* ---- the store ---- */

static int take(void *arg, const struct flow_event *event)
{
    struct world *world = arg;
    uint64_t n = 0;

    if (!world->calm && rng_chance(&world->rng, 1, 5)) {
        world->refusals++;
        return ERR_AGAIN;
    }
    if (event->ephemeral) {
        check(world->connected && !world->catching && !world->polling);
        world->ephemeral++;
        return 0;
    }
    check(slice_parse_u64(event->data, &n) == 0);
    check(n == world->taken); /* the very next */
    check(event->has_key && event->malformed == NULL);
    struct kept *kept = &world->kept[world->taken++];

    *kept = (struct kept){.advances = event->resume.ptr != NULL};
    memcpy(kept->key, event->key, 16);
    if (event->resume.ptr != NULL) {
        char expected[32];

        check(slice_eq_str(event->position, position_of(world, (unsigned)n, expected)));
        strcpy(kept->position, expected);
    }
    return 0;
}

static void commit(struct world *world)
{
    world->committed += (unsigned)below(world, world->taken - world->committed + 1);
}

/* ---- the session ---- */

static void drop_link(struct world *world)
{
    world->connected = world->catching = world->polling = world->blocked = false;
    world->page.sent = false;
}

static void crash(struct world *world)
{
    struct slice position = {NULL, 0};

    world->crashes++;
    drop_link(world);
    world->taken = world->committed;
    for (unsigned i = 0; i < world->taken; i++)
        if (world->kept[i].advances)
            position = slice_str(world->kept[i].position);
    flow_reset(world->flow, position);
    for (unsigned i = 0; i < world->taken; i++)
        flow_dedup_load(world->flow, world->kept[i].key);
}

/* A hold begun needs a request sent after it. */
static void begin_hold(struct world *world)
{
    flow_hold(world->flow);
    world->page.fresh = false;
}

static void connect_link(struct world *world)
{
    unsigned replay = (unsigned)below(world, REPLAY_MAX + 1);

    world->connected = world->catching = true;
    world->link_next = world->produced > replay ? world->produced - replay : 0;
    /* Sync shows at once what no link will; what a link shows it may owe. */
    if (world->visible < world->link_next)
        world->visible = world->link_next;
    begin_hold(world);
}

static void begin_or_end_polling(struct world *world)
{
    world->polling = !world->polling;
    if (world->polling)
        flow_discard(world->flow);
    else
        begin_hold(world);
}

static struct profile_message make(struct world *world, unsigned n, bool with_position,
                                   char texts[3][32])
{
    struct profile_message message = {.json = true, .event = true};

    sprintf(texts[0], "evt-%u", n);
    sprintf(texts[1], "%u", n);
    message.id = slice_str(texts[0]);
    message.data = slice_str(texts[1]);
    if (with_position)
        message.position = slice_str(position_of(world, n, texts[2]));
    return message;
}

static void deliver_noise(struct world *world)
{
    struct profile_message message = {.json = true, .event = true, .ephemeral = true};

    if (rng_chance(&world->rng, 1, 2))
        message.event = false;
    (void)flow_message(world->flow, FLOW_LINK, &message, SLICE("{}"), false, 0);
}

/* Mostly the next message; now and then one that the link has brought before. */
static void deliver(struct world *world)
{
    bool again = !world->blocked && world->link_next > 0 && rng_chance(&world->rng, 1, 10);
    unsigned n = again ? world->link_next - 1 : world->link_next;
    char texts[3][32];

    if (rng_chance(&world->rng, 1, 10) && !world->blocked)
        deliver_noise(world);
    if (n >= world->produced)
        return;
    struct profile_message message = make(world, n, world->live_positions, texts);

    world->blocked = false;
    switch (flow_message(world->flow, FLOW_LINK, &message, message.data, false, 0)) {
    case FLOW_AGAIN:
        world->blocked = !again;
        return;
    case FLOW_HELD_FULL:
        world->overflows++;
        begin_hold(world);
        break;
    case FLOW_DISCARDED:
        check(world->polling);
        break;
    case FLOW_HELD_FIRST:
        check(world->catching && !world->polling);
        break;
    case FLOW_MET:
    case FLOW_HOLE:
    case FLOW_UNKEYED:
    case FLOW_SUSPECT:
    case FLOW_DOUBT:
    case FLOW_FOLLOWS:
        check(!"what this profile does not have");
        break;
    case FLOW_IGNORED:
        check(!"an event is never ignored");
        break;
    case FLOW_DUPLICATE:
        world->duplicates++;
        break;
    case FLOW_EMITTED:
        check(!world->catching);
        break;
    case FLOW_HELD:
        break;
    }
    if (!again)
        world->link_next++;
}

static void end_page(struct world *world)
{
    struct flow_page_result page;
    struct flow_stats stats;

    world->page.sent = false;
    flow_page_end(world->flow, &page);
    flow_stats(world->flow, &stats);
    check(page.fresh <= page.items);
    if (!world->page.fresh || world->polling)
        return;
    /* An empty page is the end where nothing is held; the session waits a while else. */
    if (page.reached_hold || (page.items == 0 && !page.owed &&
                              (stats.held_events == 0 || world->visible == world->produced))) {
        world->catching = false;
        world->releases++;
        (void)flow_release(world->flow);
    } else {
        check(page.items > 0 || stats.held_events > 0 || page.owed);
    }
}

static void catch_up(struct world *world)
{
    char texts[3][32];

    if (!world->page.sent) {
        unsigned first = first_missing(world);
        unsigned most = world->visible > first ? world->visible - first : 0;

        world->page.sent = world->page.fresh = true;
        world->page.at = first;
        world->page.end = first + (most < PAGE_MAX ? most : PAGE_MAX);
        flow_page_begin(world->flow);
        return;
    }
    for (; world->page.at < world->page.end; world->page.at++) {
        struct profile_message message = make(world, world->page.at, true, texts);

        if (flow_item(world->flow, FLOW_VIA_SYNC, &message, 0) == FLOW_AGAIN)
            return; /* the rest of the page when there is room */
    }
    end_page(world);
}

static void run_step(struct world *world)
{
    if (flow_releasing(world->flow) && world->connected)
        (void)flow_release(world->flow);
    if (!world->connected)
        connect_link(world);
    else if (world->blocked || below(world, 3) > 0)
        deliver(world);
    else if (world->catching)
        catch_up(world);
}

static void step(struct world *world)
{
    size_t what = below(world, 200);

    if (what < 25)
        produce(world);
    else if (what < 40)
        show(world);
    else if (what < 60)
        commit(world);
    else if (what < 63)
        drop_link(world);
    else if (what < 64)
        crash(world);
    else if (what < 67 && world->catching)
        begin_or_end_polling(world);
    else
        run_step(world);
}

static void finish(struct world *world)
{
    world->calm = true;
    world->produced = EVENTS;
    if (world->polling)
        begin_or_end_polling(world);
    for (unsigned i = 0; i < 20 * EVENTS && world->taken < EVENTS; i++) {
        show(world);
        run_step(world);
    }
    check(world->taken == EVENTS);
}

static void run(struct world *world, uint64_t run_seed)
{
    static const struct {
        enum profile_dedup dedup;
        enum profile_compare compare;
        bool live_positions;
    } kinds[] = {
        {PROFILE_DEDUP_ID, PROFILE_COMPARE_INT, true},
        {PROFILE_DEDUP_ID, PROFILE_COMPARE_OPAQUE, true},
        {PROFILE_DEDUP_ID, PROFILE_COMPARE_INT, false},
        {PROFILE_DEDUP_ID, PROFILE_COMPARE_OPAQUE, false},
        {PROFILE_DEDUP_POSITION, PROFILE_COMPARE_INT, true},
        {PROFILE_DEDUP_POSITION, PROFILE_COMPARE_OPAQUE, true},
        {PROFILE_DEDUP_HASH, PROFILE_COMPARE_INT, true},
    };
    const size_t kind = run_seed % (sizeof kinds / sizeof *kinds);

    seed = run_seed;
    memset(world, 0, sizeof *world);
    rng_seed(&world->rng, seed);
    world->profile.dedup = kinds[kind].dedup;
    world->profile.compare = kinds[kind].compare;
    world->live_positions = kinds[kind].live_positions;
    const struct flow_options options = {
        .profile = &world->profile,
        .hash_key = rig_hash_key,
        .dedup_window = WINDOW,
        .hold_bytes = 400 + below(world, 6000),
        .sink = take,
        .sink_arg = world,
    };
    check(flow_new(&options, &world->flow) == 0);
    for (unsigned i = 0; i < 4000; i++)
        step(world);
    finish(world);
    flow_free(world->flow);
}

static void test_random_lives(void **state)
{
    static struct world world;
    const char *only = getenv("HAWSER_TEST_SEED");
    unsigned overflows = 0, crashes = 0, releases = 0, refusals = 0, duplicates = 0, ephemeral = 0;

    if (only != NULL) {
        run(&world, strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t i = 1; i <= 210; i++) {
        run(&world, i);
        overflows += world.overflows;
        crashes += world.crashes;
        releases += world.releases;
        refusals += world.refusals;
        duplicates += world.duplicates;
        ephemeral += world.ephemeral;
    }
    /* The lives do go where it hurts. */
    assert_true(overflows > 200 && crashes > 1000 && releases > 1000 && refusals > 1000 &&
                duplicates > 1000 && ephemeral > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_lives)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
