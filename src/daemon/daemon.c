#include "daemon/daemon.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/activation.h"
#include "daemon/consumers.h"
#include "daemon/generation.h"
#include "daemon/listener.h"
#include "daemon/logfmt.h"
#include "daemon/network.h"
#include "daemon/notify.h"
#include "daemon/outlet.h"
#include "daemon/paths.h"
#include "daemon/reload.h"
#include "daemon/report.h"
#include "daemon/slots.h"
#include "daemon/upstream.h"
#include "net/memory.h"

/* ---- once an iteration: what the callbacks of this iteration asked for ---- */

static void maybe_stopped(struct daemon *daemon);

/* Consumers as late as can be: of one's acknowledgements only the newest is saved. */
static void commit(struct daemon *daemon)
{
    if (!hub_flying(daemon->hub))
        consumers_put(daemon->consumers);
    hub_flush(daemon->hub);
}

static void flush(struct daemon *daemon)
{
    int64_t interval = daemon->settings->store.commit_interval_ms;
    int64_t due = daemon->last_commit_ms + interval - io_now_ms(daemon->loop);
    daemon->flush_wanted = false;
    if (interval > 0 && due > 0 && daemon->phase == DAEMON_RUNNING && !hub_starved(daemon->hub) &&
        !consumers_due(daemon->consumers)) {
        io_timer_set(daemon->commit_timer, due);
        return;
    }
    commit(daemon);
}

static void give_room(struct daemon *daemon)
{
    daemon->room_wanted = false;
    slots_room(daemon->slots);
    consumers_room(daemon->consumers);
    for (size_t i = 0; i < daemon->n_upstreams; i++)
        stream_room(daemon->upstreams[i]->stream);
}

static void on_soon(void *arg)
{
    struct daemon *daemon = arg;
    if (daemon->room_wanted)
        give_room(daemon);
    slots_run(daemon->slots);
    if (daemon->flush_wanted)
        flush(daemon);
    consumers_run(daemon->consumers);
    if (daemon->serve_wanted) {
        daemon->serve_wanted = false;
        for (size_t i = 0; i < daemon->n_listeners; i++)
            listener_serve(daemon->listeners[i]);
    }
    outlets_turn(daemon);
    reload_run(daemon->reload);
    maybe_stopped(daemon);
}

static void on_commit_timer(void *arg)
{
    struct daemon *daemon = arg;
    commit(daemon);
}

/* ---- the hub's wishes ---- */

static void op_commit(void *arg, const struct hub_batch *batch)
{
    struct daemon *daemon = arg;
    daemon->last_commit_ms = io_now_ms(daemon->loop);
    daemon->commit_began_ms = io_clock_ms();
    persist_commit(daemon->persist, batch);
}

static void op_published(void *arg)
{
    struct daemon *daemon = arg;
    daemon->serve_wanted = true;
    io_idle_arm(daemon->soon);
}

static void op_room(void *arg)
{
    struct daemon *daemon = arg;
    daemon->room_wanted = true;
    io_idle_arm(daemon->soon);
}

static void op_wanted(void *arg)
{
    struct daemon *daemon = arg;
    daemon->flush_wanted = true;
    io_idle_arm(daemon->soon);
}

static void op_saved(void *arg, uint64_t ticket, bool lost)
{
    struct daemon *daemon = arg;
    slots_saved(daemon->slots, ticket, lost);
    consumers_saved(daemon->consumers, ticket, lost);
    for (size_t i = 0; i < daemon->n_upstreams; i++)
        stream_saved(daemon->upstreams[i]->stream, ticket, lost);
}

static const struct hub_ops hub_ops = {.commit = op_commit,
                                       .published = op_published,
                                       .room = op_room,
                                       .wanted = op_wanted,
                                       .saved = op_saved};

/* ---- the store's news ---- */

static void on_committed(void *arg, int status)
{
    struct daemon *daemon = arg;
    daemon->commit_took_ms = io_clock_ms() - daemon->commit_began_ms;
    daemon->commit_began_ms = 0;
    hub_committed(daemon->hub, status);
    for (size_t i = 0; status == 0 && i < daemon->n_upstreams; i++)
        stream_durable(daemon->upstreams[i]->stream, persist_info(daemon->persist)->newest_seq);
    if (consumers_due(daemon->consumers))
        daemon->flush_wanted = true;
    io_idle_arm(daemon->soon);
}

static void on_waiting(void *arg)
{
    struct daemon *daemon = arg;
    /* Cursors that moved meanwhile are not put while a batch is under way; here they go along. */
    consumers_put(daemon->consumers);
    hub_waiting(daemon->hub);
}

static void on_stalled(void *arg, const char *why)
{
    struct daemon *daemon = arg;
    (void)why;
    for (size_t i = 0; i < daemon->n_upstreams; i++)
        stream_store_stalled(daemon->upstreams[i]->stream);
}

static void on_ready(void *arg, bool reopened)
{
    struct daemon *daemon = arg;
    const struct store_info *info = persist_info(daemon->persist);
    struct error err = {0};
    for (size_t i = 0; reopened && i < daemon->n_upstreams; i++)
        if (!daemon->upstreams[i]->opening && upstream_restore(daemon->upstreams[i], &err) != 0)
            log_error(daemon->upstreams[i]->settings->name, NULL, "store: %s", err.text);
    if (reopened)
        hub_reopen(daemon->hub, info->newest_seq, info->reserved_seq);
    slots_room(daemon->slots); /* what was lost is saved anew */
    for (size_t i = 0; i < daemon->n_upstreams; i++)
        stream_store_ready(daemon->upstreams[i]->stream);
}

static const struct persist_events persist_events = {.on_committed = on_committed,
                                                     .on_waiting = on_waiting,
                                                     .on_stalled = on_stalled,
                                                     .on_ready = on_ready};

/* ---- stopping ---- */

static void enter_phase(struct daemon *daemon, enum daemon_phase phase, int64_t at_most_ms)
{
    daemon->phase = phase;
    io_timer_set(daemon->stop_timer, at_most_ms);
}

static void flush_last(struct daemon *daemon)
{
    enter_phase(daemon, DAEMON_FLUSHING, DAEMON_FLUSH_MS);
    for (size_t i = 0; i < daemon->n_upstreams; i++)
        stream_room(daemon->upstreams[i]->stream);
    commit(daemon);
}

static void say_bye(struct daemon *daemon)
{
    /* What the phases before have not used is the readers'. */
    int64_t left = daemon->stop_ms + DAEMON_STOP_MS - DAEMON_CLEAN_MS - io_now_ms(daemon->loop);
    enter_phase(daemon, DAEMON_BYE, left > DAEMON_BYE_MS ? left : DAEMON_BYE_MS);
    for (size_t i = 0; i < daemon->n_listeners; i++)
        listener_bye(daemon->listeners[i], "hawserd stops");
}

static void stopped(struct daemon *daemon)
{
    daemon->phase = DAEMON_STOPPED;
    io_loop_stop(daemon->loop);
}

static bool all_streams_stopped(const struct daemon *daemon)
{
    for (size_t i = 0; i < daemon->n_upstreams; i++)
        if (!stream_stopped(daemon->upstreams[i]->stream))
            return false;
    return true;
}

static bool all_clients_gone(const struct daemon *daemon)
{
    for (size_t i = 0; i < daemon->n_listeners; i++)
        if (daemon->listeners[i]->n_clients > 0)
            return false;
    return true;
}

static void maybe_stopped(struct daemon *daemon)
{
    if (daemon->phase == DAEMON_STOPPING_STREAMS && all_streams_stopped(daemon))
        flush_last(daemon);
    if (daemon->phase == DAEMON_FLUSHING && (hub_idle(daemon->hub) || hub_failed(daemon->hub)))
        say_bye(daemon);
    /* What they have acknowledged last is saved as well. */
    if (daemon->phase == DAEMON_BYE && all_clients_gone(daemon) &&
        ((consumers_settle(daemon->consumers) && hub_idle(daemon->hub)) || hub_failed(daemon->hub)))
        stopped(daemon);
}

static void on_stop_timer(void *arg)
{
    struct daemon *daemon = arg;
    switch (daemon->phase) {
    case DAEMON_STOPPING_STREAMS:
        log_warning(NULL, NULL, "some upstreams did not say goodbye in time");
        flush_last(daemon);
        break;
    case DAEMON_FLUSHING:
        log_warning(NULL, NULL,
                    "the store did not take the last events in time; they are fetched "
                    "again at the next start");
        say_bye(daemon);
        break;
    case DAEMON_BYE: /* who does not read has what it has, and the rest at the next start */
    case DAEMON_STOPPED:
    case DAEMON_RUNNING:
        stopped(daemon);
        break;
    }
    io_idle_arm(daemon->soon);
}

/* Upstreams say goodbye, the store takes the rest, clients get it and `bye`. */
static void stop(struct daemon *daemon, const char *why)
{
    if (daemon->phase != DAEMON_RUNNING)
        return;
    log_notice(NULL, NULL, "stopping: %s", why);
    notify_stopping();
    reload_stop(daemon->reload);
    daemon->stop_ms = io_now_ms(daemon->loop);
    enter_phase(daemon, DAEMON_STOPPING_STREAMS, DAEMON_STREAMS_MS);
    for (size_t i = 0; i < daemon->n_upstreams; i++)
        if (daemon->upstreams[i]->started)
            stream_stop(daemon->upstreams[i]->stream);
    io_idle_arm(daemon->soon);
}

static void on_signal(void *arg, int signum)
{
    struct daemon *daemon = arg;
    if (signum == SIGHUP)
        reload_ask(daemon->reload, NULL);
    else
        stop(daemon, signum == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* ---- starting ---- */

/* A quarter of the store is for the records of one commit (start_hub); what else a commit of all
 * streams takes must fit into the rest, or none would ever succeed. */
int daemon_check_store(const struct settings *settings, struct error *err)
{
    uint64_t pages = STORE_COMMON_PAGES + STORE_STREAM_PAGES * settings->n_streams;
    uint64_t least = pages * (uint64_t)sysconf(_SC_PAGESIZE) * 4 / 3;
    if (settings->store.retain_size_bytes >= least)
        return 0;
    return error_set(err, ERR_INVAL,
                     "retain_size of [store] is %llu bytes; %zu streams need %llu at least",
                     (unsigned long long)settings->store.retain_size_bytes, settings->n_streams,
                     (unsigned long long)least);
}

static void on_checking(void *arg, uint64_t bytes)
{
    (void)arg;
    notify_checking(bytes);
}

static int start_store(struct daemon *daemon, struct error *err)
{
    char path[4096];
    int status = daemon_check_store(daemon->settings, err);
    if (status != 0)
        return error_wrap(err, "store");
    snprintf(path, sizeof(path), "%s/store", daemon->state_dir);
    struct store_options options = {
        .path = path,
        .retain_size_bytes = daemon->settings->store.retain_size_bytes,
        .min_free_percent = daemon->settings->store.min_free_percent,
        .checking = on_checking,
        .stream_states = slots_stream_states,
    };
    status = persist_open(daemon->loop, &options, &persist_events, daemon, &daemon->persist, err);
    oldest_init(&daemon->oldest, daemon->persist);
    return status != 0 ? error_wrap(err, "store") : 0;
}

/* A line may be as long as a message that is no JSON, each byte of it escaped, with its envelope.
 */
static size_t ring_bytes(const struct configuration *configuration)
{
    size_t bytes = DAEMON_RING_BYTES;
    for (size_t i = 0; i < configuration->settings->n_streams; i++) {
        size_t need = 6 * (size_t)configuration->profiles[i]->connect.max_message + (64u << 10);
        if (need > bytes)
            bytes = need;
    }
    return bytes;
}

uint64_t daemon_max_message(const struct daemon *daemon)
{
    return (daemon->ring_bytes - (64u << 10)) / 6;
}

/* A commit that is larger than the store, or nearly, would fail again and again. */
uint64_t daemon_commit_bytes(const struct settings *settings)
{
    uint64_t bytes = settings->store.retain_size_bytes / 4;
    return bytes < STORE_BATCH_MAX / 2 ? bytes : STORE_BATCH_MAX / 2;
}

static int start_hub(struct daemon *daemon, const struct configuration *configuration,
                     struct error *err)
{
    const struct store_info *info = persist_info(daemon->persist);
    daemon->ring_bytes = ring_bytes(configuration);
    struct hub_options options = {
        .ring_bytes = daemon->ring_bytes,
        .ring_entries = DAEMON_RING_ENTRIES,
        .commit_bytes = daemon_commit_bytes(daemon->settings),
        .page_bytes = (size_t)sysconf(_SC_PAGESIZE),
        .deliver_received = daemon->settings->store.deliver == SETTINGS_DELIVER_RECEIVED,
        .newest_seq = info->newest_seq,
        .reserved_seq = info->reserved_seq,
        .ops = &hub_ops,
        .ops_arg = daemon,
    };
    return hub_new(&options, &daemon->hub) != 0 ? error_set(err, ERR_NOMEM, "out of memory") : 0;
}

static int start_upstream(struct daemon *daemon, size_t i, struct error *err)
{
    const struct configuration *configuration = &daemon->generation->configuration;
    const struct settings_stream *settings = &configuration->settings->streams[i];
    struct store_stream_options options = upstream_in_store(settings, configuration->profiles[i]);
    struct store_stream_state state;
    struct upstream *upstream = NULL;
    int status = persist_stream_open(daemon->persist, &options, &state, err);
    if (status != 0)
        return error_wrap(err, "%s", settings->name);
    status = upstream_new(daemon, daemon->generation, i, state.id, &upstream, err);
    if (status != 0)
        return status;
    daemon->upstreams[daemon->n_upstreams++] = upstream;
    upstream->fingerprint_changed = state.fingerprint_changed;
    return upstream_restore(upstream, err);
}

/* Before any is opened: a new one may get the id of one that is no longer configured, which nobody
 * may have by then. */
static int keep_streams(struct daemon *daemon, struct error *err)
{
    const struct settings *settings = daemon->settings;
    const char *names[LIMIT_STREAMS];
    uint64_t kept[STORE_ID_WORDS];
    for (size_t i = 0; i < settings->n_streams; i++)
        names[i] = settings->streams[i].name;
    store_streams_keep(persist_store(daemon->persist), names, settings->n_streams, kept);
    return consumers_restore(daemon->consumers, kept, err);
}

static int start_upstreams(struct daemon *daemon, struct error *err)
{
    const struct settings *settings = daemon->settings;
    daemon->upstreams = calloc(settings->n_streams + 1, sizeof(struct upstream *));
    if (daemon->upstreams == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < settings->n_streams; i++) {
        int status = start_upstream(daemon, i, err);
        if (status != 0)
            return status;
    }
    return slots_restore(daemon->slots, err);
}

static int start_listeners(struct daemon *daemon, struct error *err)
{
    const struct settings *settings = daemon->settings;
    daemon->listeners = calloc(settings->n_listens + 1, sizeof(struct listener *));
    int status = daemon->listeners == NULL || activation_new(&daemon->activation) != 0
                     ? error_set(err, ERR_NOMEM, "out of memory")
                     : 0;
    for (size_t i = 0; status == 0 && i <= settings->n_listens; i++) {
        const struct settings_listen *listen = i == 0 ? NULL : &settings->listens[i - 1];
        status = listener_new(daemon, listen, &daemon->listeners[daemon->n_listeners], err);
        if (status == 0)
            daemon->n_listeners++;
    }
    if (status == 0)
        activation_settle(daemon->activation);
    return status;
}

static void on_sample_timer(void *arg)
{
    struct daemon *daemon = arg;
    for (size_t i = 0; i < daemon->n_upstreams; i++)
        upstream_note(daemon->upstreams[i], true);
    oldest_look(&daemon->oldest);
    io_timer_set(daemon->sample_timer, HEALTH_SAMPLE_MS);
}

/* Not before the store is open, which may take its time: until then a signal ends the process at
 * once, for nothing has begun that would have to end well. */
static int start_signals(struct daemon *daemon, struct error *err)
{
    static const int signums[] = {SIGTERM, SIGINT, SIGHUP};
    int status = 0;
    for (size_t i = 0; status == 0 && i < sizeof(signums) / sizeof(signums[0]); i++)
        status = io_signal_start(daemon->loop, signums[i], on_signal, daemon, &daemon->signals[i]);
    return status != 0 ? error_set(err, status, "signals: %s", error_text(status)) : 0;
}

static int start_loop(struct daemon *daemon, struct error *err)
{
    signal(SIGHUP, SIG_IGN); /* nothing runs yet that it could change */
    int status = io_loop_new(&daemon->loop, err);
    if (status != 0)
        return status;
    status = io_idle_new(daemon->loop, on_soon, daemon, &daemon->soon);
    if (status == 0)
        status = io_timer_new(daemon->loop, on_commit_timer, daemon, &daemon->commit_timer);
    if (status == 0)
        status = io_timer_new(daemon->loop, on_stop_timer, daemon, &daemon->stop_timer);
    if (status == 0)
        status = io_timer_new(daemon->loop, on_sample_timer, daemon, &daemon->sample_timer);
    if (status == 0)
        status = turns_start(&daemon->turns, daemon->loop);
    if (status == 0)
        status = logfmt_start(daemon->loop);
    return status != 0 ? error_set(err, status, "event loop: %s", error_text(status)) : 0;
}

static int start_parts(struct daemon *daemon, struct error *err)
{
    int status = paths_make(daemon->state_dir, 0700, err);
    if (status == 0)
        status = paths_make(daemon->runtime_dir, 0755, err);
    if (status == 0)
        status = start_loop(daemon, err);
    if (status == 0)
        status = start_store(daemon, err);
    if (status == 0)
        status = start_signals(daemon, err);
    if (status == 0)
        status = start_hub(daemon, &daemon->generation->configuration, err);
    if (status == 0)
        status = slots_new(daemon, &daemon->slots, err);
    if (status == 0 && net_pool_new(NULL, &daemon->pool) != 0)
        status = error_set(err, ERR_NOMEM, "%s", error_text(ERR_NOMEM));
    if (status == 0)
        status = consumers_new(daemon, &daemon->consumers, err);
    if (status == 0)
        status =
            net_memory_new(&daemon->memory) != 0 ? error_set(err, ERR_NOMEM, "out of memory") : 0;
    if (status == 0)
        status = vaults_new(daemon->loop, daemon->state_dir, &daemon->vaults, err);
    if (status == 0)
        status = keep_streams(daemon, err);
    if (status == 0)
        status = start_upstreams(daemon, err);
    if (status == 0)
        status = reload_new(daemon, &daemon->reload, err);
    if (status == 0)
        status = start_listeners(daemon, err);
    if (status == 0)
        status = report_new(daemon, &daemon->report, err);
    return status;
}

int daemon_start(struct daemon *daemon, struct generation *generation, struct error *err)
{
    *daemon = (struct daemon){.generation = generation_hold(generation),
                              .settings = generation->configuration.settings,
                              .commit_took_ms = -1};
    buf_init(&daemon->framed, BUF_UNBOUNDED);
    rota_init(&daemon->rota);
    daemon->state_dir = paths_state_dir(daemon->settings);
    daemon->runtime_dir = paths_runtime_dir(daemon->settings);
    int status = start_parts(daemon, err);
    if (status != 0) {
        daemon_fini(daemon);
        return status;
    }
    daemon->started_ms = io_now_ms(daemon->loop);
    for (size_t i = 0; i < daemon->n_upstreams; i++)
        upstream_start(daemon->upstreams[i]);
    on_sample_timer(daemon);
    network_watch(daemon);
    notify_ready(); /* the listeners accept: who has come meanwhile waits in their backlogs */
    log_notice(NULL, NULL, "hawserd %s: %zu streams, store at seq %llu", HAWSER_VERSION,
               daemon->n_upstreams, (unsigned long long)persist_info(daemon->persist)->newest_seq);
    return 0;
}

void daemon_run(struct daemon *daemon)
{
    io_loop_run(daemon->loop);
}

static void on_alarm(int signum)
{
    static const char text[] =
        "hawserd: the disk does not answer; ended without it. What was confirmed is on disk, all"
        " else is fetched again at the next start\n";
    (void)signum;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(EXIT_FAILURE);
}

/* A commit that is under way is waited for, but a disk that hangs does not make a stop hang. What
 * it leaves is what a crash leaves: the store is as after the commit before. That is no clean stop,
 * and the exit status says so. */
static void close_store(struct daemon *daemon)
{
    struct itimerval limit = {.it_value = {.tv_sec = 0}};
    if (daemon->phase == DAEMON_STOPPED) {
        int64_t left_ms = daemon->stop_ms + DAEMON_STOP_MS - io_clock_ms();
        left_ms = left_ms > 100 ? left_ms : 100;
        if (daemon->hub != NULL && hub_flying(daemon->hub))
            log_warning(NULL, NULL, "the disk has not taken the last commit yet: waiting %lld ms",
                        (long long)left_ms);
        limit.it_value.tv_sec = left_ms / 1000;
        limit.it_value.tv_usec = left_ms % 1000 * 1000;
        signal(SIGALRM, on_alarm);
        setitimer(ITIMER_REAL, &limit, NULL);
    }
    persist_close(daemon->persist);
    limit.it_value = (struct timeval){0};
    setitimer(ITIMER_REAL, &limit, NULL);
}

void daemon_fini(struct daemon *daemon)
{
    for (size_t i = 0; i < daemon->n_listeners; i++)
        listener_free(daemon->listeners[i]);
    report_free(daemon->report);
    activation_free(daemon->activation);
    for (size_t i = 0; i < daemon->n_upstreams; i++)
        upstream_free(daemon->upstreams[i]);
    vaults_free(daemon->vaults);
    net_pool_free(daemon->pool);
    net_memory_free(daemon->memory);
    slots_free(daemon->slots);
    if (daemon->network != NULL)
        io_network_close(daemon->network);
    oldest_fini(&daemon->oldest);
    close_store(daemon);               /* before the hub: a commit may still read from its ring */
    reload_free(daemon->reload);       /* the store's writer may have worked for it */
    consumers_free(daemon->consumers); /* the store's reader may have been counting for them */
    hub_free(daemon->hub);
    for (size_t i = 0; i < sizeof(daemon->signals) / sizeof(daemon->signals[0]); i++)
        if (daemon->signals[i] != NULL)
            io_signal_close(daemon->signals[i]);
    if (daemon->soon != NULL)
        io_idle_close(daemon->soon);
    if (daemon->commit_timer != NULL)
        io_timer_close(daemon->commit_timer);
    if (daemon->stop_timer != NULL)
        io_timer_close(daemon->stop_timer);
    if (daemon->sample_timer != NULL)
        io_timer_close(daemon->sample_timer);
    logfmt_stop();
    if (daemon->loop != NULL)
        io_loop_free(daemon->loop);
    buf_fini(&daemon->framed);
    free(daemon->listeners);
    free(daemon->upstreams);
    generation_drop(daemon->generation);
}

/* ---- looking ---- */

struct upstream *daemon_upstream(struct daemon *daemon, struct slice name)
{
    for (size_t i = 0; i < daemon->n_upstreams; i++)
        if (slice_eq_str(name, daemon->upstreams[i]->settings->name))
            return daemon->upstreams[i];
    return NULL;
}
