/* The start of hawserd: its parts, in the order in which they need each other. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/activation.h"
#include "daemon/consumers.h"
#include "daemon/daemon_private.h"
#include "daemon/generation.h"
#include "daemon/listener.h"
#include "daemon/logfmt.h"
#include "daemon/network.h"
#include "daemon/notify.h"
#include "daemon/paths.h"
#include "daemon/reload.h"
#include "daemon/report.h"
#include "daemon/slots.h"
#include "daemon/upstream.h"
#include "net/memory.h"

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
        .stream_state = slots_stream_state,
    };
    status =
        persist_open(daemon->loop, &options, &daemon_persist_events, daemon, &daemon->persist, err);
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
        .ops = &daemon_hub_ops,
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
        status = io_signal_start(daemon->loop, signums[i], daemon_on_signal, daemon,
                                 &daemon->signals[i]);
    return status != 0 ? error_set(err, status, "signals: %s", error_text(status)) : 0;
}

static int start_loop(struct daemon *daemon, struct error *err)
{
    signal(SIGHUP, SIG_IGN); /* nothing runs yet that it could change */
    int status = io_loop_new(&daemon->loop, err);
    if (status != 0)
        return status;
    status = io_idle_new(daemon->loop, daemon_on_soon, daemon, &daemon->soon);
    if (status == 0)
        status = io_timer_new(daemon->loop, daemon_on_commit_timer, daemon, &daemon->commit_timer);
    if (status == 0)
        status = io_timer_new(daemon->loop, daemon_on_stop_timer, daemon, &daemon->stop_timer);
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
    rota_init(&daemon->hot);
    rota_init(&daemon->cold);
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
