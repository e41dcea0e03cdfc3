/*
 * Lives at random of services that are not plain: some events of the link have neither id nor
 * position, the fan-out loses events, links hand over to successors, sync lags, the sink refuses,
 * the store forgets what it had not committed.
 *
 * The oracle numbers the events. Unkeyed and contiguous streams: what is taken is always the very
 * next. Streams with an audit: each event once, and all of them in the end; what the link lost may
 * come late. HAWSER_TEST_SEED=N runs that seed only, HAWSER_TEST_RUNS=N so many.
 */
#include "base/rng.h"
#include "unit/flow/rig.h"

enum { EVENTS = 300, STEPS = 3000, PAGE_MAX = 7 };
enum kind { UNKEYED, CONTIGUOUS, AUDITED, KINDS };

static uint64_t seed;

#define check(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("seed %llu: %s", (unsigned long long)seed, #condition);                       \
    } while (0)

struct link {
    bool open;
    unsigned next;
};

struct world {
    struct rng rng;
    struct profile profile;
    struct flow *flow;
    enum kind kind;
    bool calm, unkeyed[EVENTS], lost[EVENTS], has[EVENTS];
    unsigned produced, visible, taken, committed;
    struct {
        unsigned event;
        uint8_t key[16];
        bool has_key;
        unsigned resume; /* 1 + event; 0: none stored with it */
    } log[2 * EVENTS];
    struct link link, successor;
    bool holds, waits; /* for sync; waits: a hole or an unkeyed event, in the middle of a life */
    bool gap_allowed;
    int64_t now_ms;
    unsigned whole; /* of the stored resume position: never back */
    unsigned repeats, switches, waited, audited, crashes, met, steps; /* what was seen */
};

static bool chance(struct world *world, unsigned percent)
{
    return !world->calm && rng_chance(&world->rng, percent, 100);
}

static unsigned below(struct world *world, unsigned n)
{
    return (unsigned)rng_below(&world->rng, n);
}

static unsigned event_at(struct slice position) /* the first after it */
{
    uint64_t n = 0;

    check(position.ptr == NULL || slice_parse_u64(position, &n) == 0);
    return (unsigned)n;
}

static int take(void *arg, const struct flow_event *event)
{
    struct world *world = arg;
    uint64_t n = 0;

    if (chance(world, 10))
        return ERR_AGAIN;
    check(slice_parse_u64(event->data, &n) == 0 && n < EVENTS);
    if (world->has[n]) {
        /* It cannot be known for the same: sync had its copy before the link showed it, and nothing
         * around it says where it stands. */
        check(world->kind == UNKEYED && !event->has_key && event->via == FLOW_VIA_LIVE);
        world->repeats++;
        return 0;
    }
    if (world->kind == UNKEYED)
        check(event->has_key); /* sync has it, so its copy is stored */
    if (world->kind != AUDITED)
        for (unsigned i = 0; i < n; i++)
            check(world->has[i]);
    world->has[n] = true;
    check(world->taken < 2 * EVENTS);
    world->log[world->taken].event = (unsigned)n;
    world->log[world->taken].has_key = event->has_key;
    memcpy(world->log[world->taken].key, event->key, 16);
    world->log[world->taken].resume = 0;
    if (event->resume.ptr != NULL) {
        unsigned resume = event_at(event->resume);

        check(resume >= world->whole); /* never back */
        world->whole = world->log[world->taken].resume = resume;
    }
    world->taken++;
    return 0;
}

static void gap(void *arg, const struct flow_gap *what)
{
    (void)arg, (void)what;
    check(!"sync has all that is missing");
}

static struct profile_message make(struct world *world, unsigned n, bool of_link, char text[3][32])
{
    struct profile_message message = {.json = true, .event = true};

    sprintf(text[0], "evt-%u", n);
    sprintf(text[1], "%u", n + 1);
    sprintf(text[2], "%u", n);
    message.data = slice_str(text[2]);
    if (of_link && world->unkeyed[n])
        return message;
    message.id = slice_str(text[0]);
    message.position = slice_str(text[1]);
    return message;
}

static void after_release(struct world *world, int status)
{
    if (status != 0)
        return;
    world->holds = world->waits = flow_unkeyed(world->flow) || flow_hole(world->flow);
    world->waited += world->waits;
}

static void release(struct world *world)
{
    if (world->kind == AUDITED)
        flow_audited(world->flow);
    after_release(world, flow_release(world->flow));
}

static void deliver(struct world *world, struct link *link)
{
    enum flow_side side = link == &world->link ? FLOW_LINK : FLOW_SUCCESSOR;
    char text[3][32];

    while (link->next < world->produced && world->lost[link->next])
        link->next++;
    if (link->next >= world->produced)
        return;
    struct profile_message message = make(world, link->next, true, text);

    switch (flow_message(world->flow, side, &message, message.data, false, 0)) {
    case FLOW_AGAIN:
        return;
    case FLOW_HELD_FULL:
        flow_hold(world->flow);
        world->holds = true;
        world->waits = false;
        break;
    case FLOW_HOLE:
        check(world->kind == CONTIGUOUS);
        world->holds = world->waits = true;
        world->waited++;
        break;
    case FLOW_UNKEYED:
        check(world->kind == UNKEYED && flow_unkeyed(world->flow));
        world->holds = world->waits = true;
        world->waited++;
        break;
    case FLOW_MET:
        check(world->successor.open);
        world->met++;
        break;
    case FLOW_EMITTED:
        check(side == FLOW_LINK && !world->holds);
        break;
    case FLOW_HELD_FIRST:
    case FLOW_HELD:
    case FLOW_DUPLICATE:
        break;
    case FLOW_DISCARDED:
    case FLOW_IGNORED:
    case FLOW_SUSPECT:
    case FLOW_DOUBT:
    case FLOW_FOLLOWS:
        check(!"no such answer here");
    }
    link->next++;
}

static void page(struct world *world)
{
    unsigned first = event_at(flow_resume(world->flow));
    struct flow_page_result result;
    char text[3][32];
    unsigned n;

    flow_page_begin(world->flow);
    for (n = first; n < world->visible && n < first + PAGE_MAX; n++) {
        struct profile_message message = make(world, n, false, text);

        if (flow_item(world->flow, FLOW_VIA_SYNC, &message, 0) == FLOW_AGAIN)
            return; /* the page is asked for again */
    }
    flow_page_end(world->flow, &result);
    bool end = result.items == 0 && !result.owed && world->visible == world->produced;
    if ((result.reached_hold || end) && !(world->waits && result.unkeyed)) {
        release(world);
    } else if (world->waits && flow_unkeyed(world->flow)) {
        if (!result.unkeyed) {
            release(world);
        } else if (result.items == 0 && world->visible == world->produced) {
            flow_unkeyed_keep(world->flow); /* five seconds later */
            release(world);
        }
    }
}

static void audit_all(struct world *world)
{
    unsigned n = event_at(flow_resume(world->flow));
    unsigned end = n + PAGE_MAX < world->visible ? n + PAGE_MAX : world->visible;
    bool whole = true;
    char text[3][32];

    flow_page_begin(world->flow);
    for (; n < end; n++) {
        struct profile_message message = make(world, n, false, text);

        switch (flow_audit_item(world->flow, &message, 0, world->now_ms)) {
        case FLOW_SUSPECT:
            whole = false;
            break;
        case FLOW_AGAIN:
            return;
        default:
            break;
        }
    }
    if (whole && end == world->visible)
        flow_audited(world->flow);
}

static void open_link(struct world *world, struct link *link)
{
    link->open = true;
    link->next = world->produced > 5 ? world->produced - below(world, 6) : world->produced;
    if (world->visible < link->next)
        world->visible = link->next;
}

static void drop(struct world *world)
{
    world->link.open = world->successor.open = false;
    world->holds = world->waits = false;
    flow_hold(world->flow);
}

static void crash(struct world *world)
{
    char text[16];
    unsigned resume = 0;

    drop(world);
    world->crashes++;
    world->taken = world->committed;
    memset(world->has, 0, sizeof world->has);
    for (unsigned i = 0; i < world->taken; i++) {
        world->has[world->log[i].event] = true;
        if (world->log[i].resume > 0)
            resume = world->log[i].resume;
    }
    world->whole = resume;
    snprintf(text, sizeof text, "%u", resume);
    flow_reset(world->flow, slice_str(text));
    for (unsigned i = 0; i < world->taken; i++)
        if (world->log[i].has_key)
            flow_dedup_load(world->flow, world->log[i].key);
}

static void handover(struct world *world)
{
    if (!world->successor.open) {
        flow_succeed(world->flow);
        open_link(world, &world->successor);
        return;
    }
    flow_switch(world->flow);
    world->link = world->successor;
    world->successor.open = false;
    world->holds = true;
    world->waits = false;
    world->switches++;
}

static void step(struct world *world)
{
    unsigned what = below(world, 100);

    world->steps++;
    world->now_ms += below(world, 3000);
    if (flow_releasing(world->flow))
        after_release(world, flow_release(world->flow));
    if (!world->link.open) {
        flow_hold(world->flow);
        world->holds = true;
        world->waits = false;
        open_link(world, &world->link);
    } else if (what < 15 && world->produced < EVENTS) {
        world->produced++;
    } else if (what < 30) {
        world->visible += below(world, world->produced - world->visible + 1);
    } else if (what < 40) {
        world->committed += below(world, world->taken - world->committed + 1);
    } else if (what < 41 && !world->calm) {
        drop(world);
    } else if (what < 42 && chance(world, 40)) {
        crash(world);
    } else if (what < 45 && !world->calm && !flow_releasing(world->flow)) {
        handover(world);
    } else if (what < 60 && world->successor.open) {
        deliver(world, &world->successor);
    } else if (what < 80) {
        deliver(world, &world->link);
    } else if (world->holds && !flow_releasing(world->flow)) {
        page(world);
    } else if (world->kind == AUDITED && !flow_releasing(world->flow)) {
        audit_all(world);
    }
}

static void run(struct world *world, uint64_t run_seed)
{
    seed = run_seed;
    memset(world, 0, sizeof *world);
    rng_seed(&world->rng, seed);
    world->kind = (enum kind)(seed % KINDS);
    world->profile = (struct profile){
        .dedup = PROFILE_DEDUP_ID,
        .compare = PROFILE_COMPARE_INT,
        .connect.parallel = 2,
        .unkeyed_sync = world->kind == UNKEYED,
        .position.contiguous = world->kind == CONTIGUOUS,
        .position.overlap = below(world, 3) == 0 ? 4 : 0,
        .catchup = {.via = PROFILE_CATCHUP_HTTP, .audit_ms = world->kind == AUDITED ? 60000 : 0},
    };
    for (unsigned n = 0; n < EVENTS; n++) {
        world->unkeyed[n] = world->kind == UNKEYED && chance(world, 25);
        world->lost[n] = world->kind != UNKEYED && n + 1 < EVENTS && chance(world, 10);
    }
    const struct flow_options options = {
        .profile = &world->profile,
        .hash_key = rig_hash_key,
        .dedup_window = 1024,
        .hold_bytes = 800 + below(world, 8000),
        .sink = take,
        .gap = gap,
        .sink_arg = world,
    };
    check(flow_new(&options, &world->flow) == 0);
    flow_reset(world->flow, SLICE("0"));
    for (unsigned i = 0; i < STEPS; i++)
        step(world);
    world->calm = true;
    world->produced = EVENTS;
    for (unsigned i = 0; i < 100 * EVENTS && world->taken < EVENTS; i++)
        step(world);
    check(world->taken == EVENTS);
    struct flow_stats stats;
    flow_stats(world->flow, &stats);
    world->audited = (unsigned)stats.audited;
    flow_free(world->flow);
}

static void test_random_links(void **state)
{
    static struct world world;
    const char *only = getenv("HAWSER_TEST_SEED"), *runs = getenv("HAWSER_TEST_RUNS");
    unsigned repeats = 0, switches = 0, waited = 0, audited = 0, crashes = 0, met = 0;
    uint64_t steps = 0, last = runs != NULL ? strtoull(runs, NULL, 10) : 90;

    if (only != NULL) {
        run(&world, strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t i = 1; i <= last; i++) {
        run(&world, i);
        repeats += world.repeats;
        switches += world.switches;
        waited += world.waited;
        audited += world.audited;
        crashes += world.crashes;
        met += world.met;
        steps += world.steps;
    }
    print_message("%llu steps: %u switches, %u met, %u waits, %u audited, %u crashes, %u repeats\n",
                  (unsigned long long)steps, switches, met, waited, audited, crashes, repeats);
    assert_true(switches > 10 * last && met > last && waited > last && audited > last &&
                crashes > last);
    /* Links that begin with unkeyed events, again and again. */
    assert_true(repeats <= waited / 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_links)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
