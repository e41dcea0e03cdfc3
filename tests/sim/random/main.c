/*
 * sim_random: seeded random runs of a whole hawser on virtual time; see world.h.
 *
 * Each run takes the next seed. A run has a stormy part, in which everything may go wrong, and a
 * calm one, in which everything must arrive. Exit status 1 and the seed at the first violation.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "profile/configuration.h"
#include "world.h"

#define CALM_MS (4 * 3600 * 1000) /* virtual: holds and the first probes of parked streams end */
#define QUIET_MS 10000            /* a while of it, for a gap may wait for room unseen, sync lag, */
#define QUIET_AUDIT_MS 100000     /* and audits find what no link has shown */
#define STEPS_MAX 8000000         /* of one run: more is a loop */

static const char usage[] =
    "usage: sim_random [OPTION]...\n"
    "Random runs of a whole hawser on virtual time against services, disks and consumers that\n"
    "misbehave; exit status 1 at the first promise that is broken.\n"
    "\n"
    "  --seed N       of the first run (1); each further run takes the next\n"
    "  --runs N       how many runs\n"
    "  --steps N      runs until so many steps are done (1000000)\n"
    "  --trace        says what happens\n"
    "  --coverage     says how often each thing has happened\n"
    "  --complete     exit status 1 if something that can happen has not\n"
    "  --profiles DIR conf/profiles\n"
    "\n"
    "Ten million steps of fresh seeds in a release build, a minute or two:\n"
    "  meson setup build-release -Dbuildtype=release && ninja -C build-release\n"
    "  build-release/tests/sim/sim_random --seed $RANDOM$RANDOM --steps 10000000 --coverage\n";

struct totals {
    uint64_t runs, steps, events, stored, links, crashes, failed_commits;
};

#define CHAT                                                                                       \
    "[daemon]\n[stream chat]\nprofile = scaiwave\nhost = sim.example\ntenant = t\ntoken = "        \
    "env:SIM\n"                                                                                    \
    "status.410 = forget\n"

static const struct {
    const char *profile, *ini;
} kinds[FEED_KINDS] = {
    [KIND_CHAT] = {"scaiwave", CHAT "catchup.audit = 0\nfallback:poll.after = 3\n"},
    [KIND_AUDITED] = {"scaiwave", CHAT "catchup.audit = 20s\n"},
    [KIND_MOVING] = {"scaiwave", CHAT "catchup.audit = 0\nconnect.parallel = 2\n"
                                      "connect.max_age = 5m\nlimits.connects = 12/5m\n"
                                      "fallback:poll.after = 2\non:move.match = /type == \"move\"\n"
                                      "on:move.do = handover, ignore\n"},
    [KIND_COUNTED] = {"scaiwave", CHAT "catchup.audit = 0\nposition.contiguous = yes\n"},
    [KIND_MIXED] = {"scaiwave", CHAT "catchup.audit = 0\nevent.unkeyed = store\n"},
    [KIND_REPLAY] = {"generic",
                     "[daemon]\n[stream chat]\nprofile = generic\nurl = wss://sim.example/\n"
                     "connect.query.since = ${position}\nconnect.parallel = 1\nevent.type = /type\n"
                     "event.id = /id\nevent.position = /stream_position\nposition.compare = int\n"
                     "event.dedup = id\nevent.ephemeral = typing\ncatchup.via = url\n"
                     "fallback:sse.transport = sse\nfallback:sse.url = https://sim.example/sse\n"
                     "fallback:sse.query.since = ${position}\nfallback:sse.after = 2\n"
                     "fallback:sse.retry_primary = 5s\nlimits.connects = 16/10m\n"},
    [KIND_PLAIN] = {"generic",
                    "[daemon]\n[stream chat]\nprofile = generic\nurl = wss://sim.example/\n"},
};

static struct profile *load_profile(const char *dir, const char *name, const char *ini)
{
    const char *dirs[] = {dir, NULL};
    struct diag *diag = diag_new();
    struct settings *settings = NULL;
    struct profile *profile = NULL;
    char path[] = "/tmp/hawser-sim-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, ini, strlen(ini)) != (ssize_t)strlen(ini))
        return NULL;
    close(fd);
    if (settings_load(path, diag, &settings) != 0 ||
        profile_load(dirs, name, &settings->streams[0], diag, &profile) != 0 ||
        diag_count(diag) > 0)
        for (size_t i = 0; diag_get(diag, i) != NULL; i++)
            fprintf(stderr, "%s\n", diag_get(diag, i));
    unlink(path);
    diag_free(diag);
    settings_free(settings);
    return profile;
}

static bool all_published(const struct world *world)
{
    for (unsigned i = 0; i < world->n_feeds; i++)
        if (world->feeds[i].service.count < world->feeds[i].service.target)
            return false;
    return true;
}

/* Nothing is under way any more: what has not come by now never will. */
static bool is_quiet(struct world *world)
{
    if (!world->alive || world->phase != RUNNING || world->stalled || !hub_idle(world->hub))
        return false;
    for (unsigned i = 0; i < world->n_feeds; i++) {
        const struct feed *feed = &world->feeds[i];
        struct session_status status;
        struct stream_stats stats;
        stream_session_status(feed->stream, &status);
        stream_stats(feed->stream, &stats);
        if (status.state != SESSION_LIVE || !link_idle(feed) || stats.flow.held_events > 0)
            return false;
    }
    return consumers_served(world);
}

static int64_t quiet_ms(const struct world *world)
{
    for (unsigned i = 0; i < world->n_feeds; i++)
        if (world->feeds[i].kind == KIND_AUDITED)
            return QUIET_AUDIT_MS;
    return QUIET_MS;
}

static void stuck(struct world *world)
{
    for (unsigned i = 0; i < world->n_feeds && world->alive; i++) {
        struct session_status status;
        stream_session_status(world->feeds[i].stream, &status);
        printf("%s: %s (%s), %u messages wait on its link\n", world->feeds[i].name,
               session_state_name(status.state), status.reason, world->feeds[i].links[0].count);
    }
    for (unsigned i = 0; i < WORLD_CONSUMERS; i++)
        printf("consumer %u: %s, at seq %" PRIu64 " of %" PRIu64 "\n", i,
               world->consumers[i].connected ? "connected" : "not there",
               world->consumers[i].sub.cursor, truth_newest_seq(world));
    world_violation(world, 8, "not quiet after %d virtual minutes of calm", CALM_MS / 60000);
}

static void run(struct world *world, struct totals *totals)
{
    int64_t calm_at = 0, quiet_at = 0;
    while (world_step(world)) {
        if (world->faults && all_published(world)) {
            world_calm(world);
            calm_at = world->now_ms;
        }
        if (world->faults || !is_quiet(world))
            quiet_at = world->now_ms;
        else if (world->now_ms > quiet_at + quiet_ms(world))
            break;
        if (!world->faults && world->now_ms > calm_at + CALM_MS)
            stuck(world);
        if (world->steps > STEPS_MAX)
            world_violation(world, 8, "%d steps without an end", STEPS_MAX);
    }
    verdict(world);
    totals->runs++;
    totals->steps += world->steps;
    for (unsigned i = 0; i < world->n_feeds; i++)
        totals->events += world->feeds[i].service.count;
    totals->stored += world->n_stored;
    totals->links += world->links_made;
    totals->crashes += world->crashes;
    totals->failed_commits += world->failed_commits;
}

static char directory[] = "/dev/shm/hawser-sim-XXXXXX";

static void remove_store(void)
{
    static const char *const files[] = {"data.mdb", "lock.mdb", "lock", ""};
    char path[sizeof(directory) + 32];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/store/%s", directory, files[i]);
        (void)remove(path);
    }
}

/* After a violation, too: memory is what holds these files. */
static void remove_all(void)
{
    remove_store();
    rmdir(directory);
}

static void quiet(void *arg, const struct log_record *record)
{
    (void)arg, (void)record;
}

struct arguments {
    uint64_t seed, runs, steps;
    const char *profiles;
    bool trace, coverage, complete;
};

static int parse(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},
        {"runs", required_argument, NULL, 'r'},
        {"steps", required_argument, NULL, 'n'},
        {"profiles", required_argument, NULL, 'p'},
        {"trace", no_argument, NULL, 't'},
        {"coverage", no_argument, NULL, 'c'},
        {"complete", no_argument, NULL, 'C'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    *out = (struct arguments){
        .seed = 1, .runs = UINT64_MAX, .steps = 1000000, .profiles = "conf/profiles"};
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            out->seed = strtoull(optarg, NULL, 10);
        else if (option == 'r')
            out->runs = strtoull(optarg, NULL, 10);
        else if (option == 'n')
            out->steps = strtoull(optarg, NULL, 10);
        else if (option == 'p')
            out->profiles = optarg;
        else if (option == 't')
            out->trace = true;
        else if (option == 'c')
            out->coverage = true;
        else if (option == 'C')
            out->complete = true;
        else
            return option == 'h' ? 0 : 2;
    }
    return -1;
}

static void run_all(const struct arguments *args, const struct world_profiles *profiles)
{
    struct world *world = malloc(sizeof(*world));
    struct totals totals = {0};
    uint64_t seed = args->seed;
    char store[sizeof(directory) + 16];
    snprintf(store, sizeof(store), "%s/store", directory);
    while (totals.runs < args->runs && totals.steps < args->steps) {
        world_init(world, seed++, profiles, store, args->trace);
        run(world, &totals);
        world_fini(world);
        remove_store();
    }
    free(world);
    coverage_print(args->coverage);
    printf("%" PRIu64 " runs, %" PRIu64 " steps: %" PRIu64 " events, %" PRIu64 " records, %" PRIu64
           " links, %" PRIu64 " crashes, %" PRIu64 " failed commits; no violation; seeds %" PRIu64
           " to %" PRIu64 "\n",
           totals.runs, totals.steps, totals.events, totals.stored, totals.links, totals.crashes,
           totals.failed_commits, args->seed, seed - 1);
}

int main(int argc, char **argv)
{
    struct arguments args;
    int status = parse(argc, argv, &args);
    if (status >= 0) {
        fputs(usage, status == 0 ? stdout : stderr);
        return status;
    }
    struct profile *made[FEED_KINDS];
    struct world_profiles profiles;
    bool loaded = true;
    for (unsigned i = 0; i < FEED_KINDS; i++) {
        profiles.kinds[i] = made[i] = load_profile(args.profiles, kinds[i].profile, kinds[i].ini);
        loaded = loaded && made[i] != NULL;
    }
    if (!loaded || mkdtemp(directory) == NULL) {
        fprintf(stderr, "sim_random: cannot start: no profiles in %s, or no /dev/shm\n",
                args.profiles);
        return 2;
    }
    atexit(remove_all);
    log_set_sink(quiet, NULL);
    run_all(&args, &profiles);
    for (unsigned i = 0; i < FEED_KINDS; i++)
        profile_free(made[i]);
    return args.complete && !coverage_complete() ? 1 : 0;
}
