#include "daemon/daemon.h"

#include "base/log.h"
#include "daemon/consumers.h"
#include "daemon/daemon_private.h"
#include "daemon/listener.h"
#include "daemon/outlet.h"
#include "daemon/reload.h"
#include "daemon/slots.h"
#include "daemon/upstream.h"

/* ---- once an iteration: what the callbacks of this iteration asked for ---- */

/* Consumers as late as can be: of one's acknowledgements only the newest is saved. */
void daemon_commit(struct daemon *daemon)
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
    daemon_commit(daemon);
}

static void give_room(struct daemon *daemon)
{
    daemon->room_wanted = false;
    slots_room(daemon->slots);
    consumers_room(daemon->consumers);
    for (size_t i = 0; i < daemon->n_upstreams; i++)
        stream_room(daemon->upstreams[i]->stream);
}

void daemon_on_soon(void *arg)
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
    daemon_maybe_stopped(daemon);
}

void daemon_on_commit_timer(void *arg)
{
    struct daemon *daemon = arg;
    daemon_commit(daemon);
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

const struct hub_ops daemon_hub_ops = {.commit = op_commit,
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

const struct persist_events daemon_persist_events = {.on_committed = on_committed,
                                                     .on_waiting = on_waiting,
                                                     .on_stalled = on_stalled,
                                                     .on_ready = on_ready};
void daemon_run(struct daemon *daemon)
{
    io_loop_run(daemon->loop);
}
/* ---- looking ---- */

struct upstream *daemon_upstream(struct daemon *daemon, struct slice name)
{
    for (size_t i = 0; i < daemon->n_upstreams; i++)
        if (slice_eq_str(name, daemon->upstreams[i]->settings->name))
            return daemon->upstreams[i];
    return NULL;
}
