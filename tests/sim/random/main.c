/*
 * sim_random: seeded random runs of a whole hawser on virtual time; see world.h.
 *
 *     sim_random [--seed N] [--runs N | --steps N] [--profiles DIR] [--trace]
 *
 * Each run takes the next seed. A run has a stormy part, in which everything may go wrong, and a calm
 * one, in which everything must arrive. Exit status 1 and the seed at the first violation.
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

#define CALM_MS (3 * 3600 * 1000) /* virtual: holds of 5 and 10 minutes must have ended */
#define STEPS_MAX 4000000         /* of one run: more is a loop */

struct totals {
    uint64_t runs, steps, events, stored, links, crashes, failed_commits;
};

static const char ini[] = "[daemon]\n[stream chat]\nprofile = scaiwave\nhost = sim.example\n"
                          "tenant = t\ntoken = env:SIM\n";

static struct profile *load_profile(const char *dir)
{
    const char *dirs[] = {dir, NULL};
    struct diag *diag = diag_new();
    struct settings *settings = NULL;
    struct profile *profile = NULL;
    char path[] = "/tmp/hawser-sim-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, ini, sizeof(ini) - 1) != (ssize_t)sizeof(ini) - 1)
        return NULL;
    close(fd);
    if (settings_load(path, diag, &settings) != 0 ||
        profile_load(dirs, "scaiwave", &settings->streams[0], diag, &profile) != 0 ||
        diag_count(diag) > 0)
        for (size_t i = 0; diag_get(diag, i) != NULL; i++)
            fprintf(stderr, "%s\n", diag_get(diag, i));
    unlink(path);
    diag_free(diag);
    settings_free(settings);
    return profile;
}

static bool everything_is_there(const struct world *world)
{
    struct session_status status;
    if (!world->alive || world->service.count < world->target || !hub_idle(world->hub))
        return false;
    stream_session_status(world->stream, &status);
    if (status.state != SESSION_LIVE)
        return false;
    unsigned last = world->service.count;
    while (last > 0 && world->service.events[last].ephemeral)
        last--;
    if (world->top_position < last)
        return false;
    for (unsigned i = 0; i < WORLD_CONSUMERS; i++)
        if (world->n_stored > 0 &&
            world->consumers[i].last_seq < world->stored[world->n_stored - 1].seq)
            return false;
    return true;
}

static void run(struct world *world, struct totals *totals)
{
    int64_t calm_at = 0;
    struct session_status status = {0};
    while (world_step(world)) {
        if (world->faults && world->service.count >= world->target) {
            world->faults = false;
            world->link_silent = false;
            calm_at = world->now_ms;
            world_trace(world, "calm");
        }
        if (!world->faults && everything_is_there(world))
            break;
        if (!world->faults && world->now_ms > calm_at + CALM_MS)
            break;
        if (world->steps > STEPS_MAX)
            world_violation(world, 8, "%d steps without an end", STEPS_MAX);
    }
    if (world->alive)
        stream_session_status(world->stream, &status);
    truth_check_end(world);
    if (!everything_is_there(world))
        world_violation(world, 8, "not everything arrived in %d virtual minutes of calm: %s (%s)",
                        CALM_MS / 60000, session_state_name(status.state), status.reason);
    totals->runs++;
    totals->steps += world->steps;
    totals->events += world->service.count;
    totals->stored += world->n_stored;
    totals->links += world->links_made;
    totals->crashes += world->crashes;
    totals->failed_commits += world->failed_commits;
}

static void remove_store(const char *directory)
{
    static const char *const files[] = {"data.mdb", "lock.mdb", "lock"};
    char path[512];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
        unlink(path);
    }
    rmdir(directory);
}

static void quiet(void *arg, const struct log_record *record)
{
    (void)arg, (void)record;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},     {"runs", required_argument, NULL, 'r'},
        {"steps", required_argument, NULL, 'n'},    {"trace", no_argument, NULL, 't'},
        {"profiles", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0},
    };
    uint64_t seed = 1, runs = UINT64_MAX, steps = 1000000;
    const char *profiles = "conf/profiles";
    bool trace = false;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            seed = strtoull(optarg, NULL, 10);
        else if (option == 'r')
            runs = strtoull(optarg, NULL, 10);
        else if (option == 'n')
            steps = strtoull(optarg, NULL, 10);
        else if (option == 'p')
            profiles = optarg;
        else if (option == 't')
            trace = true;
        else
            return 2;
    }
    struct profile *profile = load_profile(profiles);
    struct world *world = malloc(sizeof(*world));
    struct totals totals = {0};
    char directory[64] = "/dev/shm/hawser-sim-XXXXXX";
    if (profile == NULL || world == NULL || mkdtemp(directory) == NULL) {
        fprintf(stderr, "sim_random: cannot start: no profile in %s, or no /dev/shm\n", profiles);
        return 2;
    }
    log_set_sink(quiet, NULL);
    while (totals.runs < runs && totals.steps < steps) {
        char store[128];
        snprintf(store, sizeof(store), "%s/store", directory);
        world_init(world, seed++, profile, store, trace);
        run(world, &totals);
        world_fini(world);
        remove_store(store);
    }
    printf("%" PRIu64 " runs, %" PRIu64 " steps: %" PRIu64 " events, %" PRIu64 " records, %" PRIu64
           " links, %" PRIu64 " crashes, %" PRIu64 " failed commits; no violation; seeds up to %"
           PRIu64 "\n",
           totals.runs, totals.steps, totals.events, totals.stored, totals.links, totals.crashes,
           totals.failed_commits, seed - 1);
    rmdir(directory);
    free(world);
    profile_free(profile);
    return 0;
}
