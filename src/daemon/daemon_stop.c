/*
 * The end of hawserd. Upstreams say goodbye, the store takes the rest, clients get it and `bye`:
 * each phase has its time, and what does not end in it is left.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/activation.h"
#include "daemon/consumers.h"
#include "daemon/daemon_private.h"
#include "daemon/generation.h"
#include "daemon/listener.h"
#include "daemon/logfmt.h"
#include "daemon/notify.h"
#include "daemon/reload.h"
#include "daemon/report.h"
#include "daemon/slots.h"
#include "daemon/upstream.h"
#include "net/memory.h"

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
    daemon_commit(daemon);
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

void daemon_maybe_stopped(struct daemon *daemon)
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

void daemon_on_stop_timer(void *arg)
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

void daemon_on_signal(void *arg, int signum)
{
    struct daemon *daemon = arg;
    if (signum == SIGHUP)
        reload_ask(daemon->reload, NULL);
    else
        stop(daemon, signum == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* ---- the end ---- */

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
