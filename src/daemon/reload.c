#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/consumers.h"
#include "daemon/listener.h"
#include "daemon/notify.h"
#include "daemon/reload_private.h"

static void begin(struct reload *reload);

/* ---- answers ---- */

static void answer_one(struct reload *reload, struct client *client)
{
    const struct difference *difference = &reload->difference;
    (void)request_reloaded(client, (const char *const *)difference->texts, difference->n_texts);
}

static void refuse_one(struct reload *reload, struct client *client)
{
    const struct diag *diag = reload->next->configuration.diag;
    const char *errors[LIMIT_ERRORS];
    size_t n = 0;
    while (n < LIMIT_ERRORS && (errors[n] = diag_get(diag, n)) != NULL)
        n++;
    request_not_reloaded(client, errors, n, diag_left_out(diag));
}

static void answer(struct reload *reload, void (*one)(struct reload *, struct client *))
{
    struct list_node *node;
    while ((node = list_first(&reload->waiting)) != NULL) {
        struct client *client = LIST_ENTRY(node, struct client, wait.node);
        list_remove(node);
        one(reload, client);
    }
    reload->daemon->serve_wanted = true;
    io_idle_arm(reload->daemon->soon);
}

/* ---- the end of it ---- */

static void end(struct reload *reload)
{
    reload_turns_free(reload);
    difference_fini(&reload->difference);
    generation_drop(reload->next);
    reload->next = NULL;
    reload->phase = RELOAD_IDLE;
    notify_ready();
    if (reload->wanted)
        begin(reload);
}

static void refuse(struct reload *reload)
{
    const struct diag *diag = reload->next->configuration.diag;
    const char *text;
    for (size_t i = 0; (text = diag_get(diag, i)) != NULL; i++)
        log_error(NULL, NULL, "reload: %s", text);
    if (diag_left_out(diag) > 0)
        log_error(NULL, NULL, "reload: and %zu more errors", diag_left_out(diag));
    log_error(NULL, NULL, "reload: nothing has been changed; hawserd goes on as it was");
    answer(reload, refuse_one);
    end(reload);
}

static void finish(struct reload *reload)
{
    log_notice(NULL, NULL, "reloaded: %zu change%s", reload->difference.n_texts,
               reload->difference.n_texts == 1 ? "" : "s");
    answer(reload, answer_one);
    end(reload);
}

void reload_fault(struct reload *reload, const char *file, unsigned line, const char *text)
{
    diag_add(reload->next->configuration.diag, file, line, "%s", text);
}

/* ---- the steps ---- */

static bool faulty(const struct reload *reload)
{
    return diag_count(reload->next->configuration.diag) > 0;
}

static void commit(struct reload *reload)
{
    const struct difference *difference = &reload->difference;
    if (reload_commit(reload) != 0) {
        refuse(reload);
        return;
    }
    for (size_t i = 0; i < difference->n_texts; i++)
        log_notice(NULL, NULL, "reload: %s", difference->texts[i]);
    reload->phase = RELOAD_TURNING;
    reload_turns_begin(reload);
    io_idle_arm(reload->daemon->soon);
}

void reload_prepared(struct reload *reload)
{
    if (reload->daemon->phase != DAEMON_RUNNING)
        return;
    if (faulty(reload))
        refuse(reload);
    else
        commit(reload);
}

/* A store that has failed, or hangs, is asked for nothing: who knows when it would answer. */
static bool wants_store(const struct reload *reload)
{
    const struct difference *difference = &reload->difference;
    size_t n = reload->next->configuration.settings->n_streams;
    bool wants = (difference->what & DIFFERENCE_STORE) != 0;
    for (size_t i = 0; i < n; i++)
        wants |= difference->streams[i].old < 0 ||
                 (difference->streams[i].what & (DIFFERENCE_ANEW | DIFFERENCE_RETENTION)) != 0;
    return wants;
}

static void check(struct reload *reload)
{
    const struct configuration *configuration = &reload->next->configuration;
    const struct persist *persist = reload->daemon->persist;
    const char *trouble = persist_trouble(persist);
    const struct ini_entry *entry =
        settings_entry(configuration->settings, "store", "", "retain_size");
    struct error err;
    if (daemon_check_store(configuration->settings, &err) != 0)
        reload_fault(reload, entry != NULL ? entry->file : reload->next->path,
                     entry != NULL ? entry->line : 0, err.text);
    if (!wants_store(reload) || !persist_is_stalled(persist))
        return;
    error_set(&err, ERR_BUSY, "the store takes nothing just now: %.300s; try again when it does",
              trouble != NULL ? trouble : "it is being opened again");
    reload_fault(reload, reload->next->path, 0, err.text);
}

static void run_read(struct io_job *job)
{
    struct reload *reload = LIST_ENTRY(job, struct reload, job);
    const struct generation *now = reload->daemon->generation;
    reload->status = generation_load(now->path, &reload->next);
    if (reload->status == 0)
        reload->status = difference_make(&now->configuration, &reload->next->configuration,
                                         &reload->limits, &reload->difference);
}

/* Without the memory to read it there is none for its errors either. */
static void no_memory(struct reload *reload)
{
    struct list_node *node;
    log_error(NULL, NULL, "reload: out of memory; nothing has been changed");
    while ((node = list_first(&reload->waiting)) != NULL) {
        list_remove(node);
        request_abandoned(LIST_ENTRY(node, struct client, wait.node),
                          "out of memory; nothing has been changed");
    }
    end(reload);
}

static void done_read(struct io_job *job)
{
    struct reload *reload = LIST_ENTRY(job, struct reload, job);
    io_worker_stop(reload->worker);
    reload->worker = NULL;
    if (reload->daemon->phase != DAEMON_RUNNING)
        return;
    if (reload->status == 0)
        check(reload);
    if (reload->status == 0 && !faulty(reload) && difference_is_empty(&reload->difference)) {
        finish(reload);
        return;
    }
    if (reload->status == 0)
        reload->status = reload_turns_new(reload);
    if (reload->status == ERR_NOMEM || reload->next == NULL) {
        no_memory(reload);
    } else if (reload->status != 0 || faulty(reload)) {
        refuse(reload);
    } else {
        reload->phase = RELOAD_OPENING;
        if (!reload_turns_prepare(reload))
            reload_prepared(reload);
    }
}

static void begin(struct reload *reload)
{
    struct list_node *node;
    struct error err;
    reload->wanted = false;
    notify_reloading();
    while ((node = list_first(&reload->asked)) != NULL) {
        list_remove(node);
        list_push_back(&reload->waiting, node);
    }
    reload->limits = (struct difference_limits){
        .state_dir_given = getenv("STATE_DIRECTORY") != NULL,
        .runtime_dir_given = getenv("RUNTIME_DIRECTORY") != NULL,
        .max_message = daemon_max_message(reload->daemon),
    };
    reload->phase = RELOAD_READING;
    reload->job = (struct io_job){.run = run_read, .done = done_read};
    if (io_worker_start(reload->daemon->loop, "reload", &reload->worker, &err) == 0)
        io_worker_submit(reload->worker, &reload->job);
    else
        no_memory(reload);
}

void reload_ask(struct reload *reload, struct client *client)
{
    if (client != NULL)
        list_push_back(&reload->asked, &client->wait.node);
    else
        log_notice(NULL, NULL, "reload, asked for by SIGHUP");
    if (reload->daemon->phase != DAEMON_RUNNING) {
        reload_stop(reload);
        return;
    }
    reload->wanted = true;
    io_idle_arm(reload->daemon->soon);
}

/* ---- the store's bounds ---- */

static void on_bounds(void *arg)
{
    struct reload *reload = arg;
    reload->bounds_running = false;
    io_idle_arm(reload->daemon->soon);
}

void reload_bounds(struct reload *reload)
{
    const struct settings_store *store = &reload->daemon->settings->store;
    reload->bounds = (struct persist_bounds){
        .retain_size_bytes = store->retain_size_bytes,
        .min_free_percent = store->min_free_percent,
        .on_done = on_bounds,
        .arg = reload,
    };
    reload->bounds_running = true;
    persist_bounds_start(reload->daemon->persist, &reload->bounds);
}

/* True: all is done. */
static bool turn(struct reload *reload)
{
    if (!reload_turns_run(reload) || reload->bounds_running)
        return false;
    if (!reload->removed)
        return true;
    reload->removed = false;
    reload_bounds(reload);
    return false;
}

/* ---- those who were told to go ---- */

static int64_t sweep(struct reload *reload)
{
    struct daemon *daemon = reload->daemon;
    int64_t next_ms = INT64_MAX, now_ms = io_now_ms(daemon->loop);
    size_t n = 0, configured = 1 + daemon->settings->n_listens;
    for (size_t i = 0; i < daemon->n_listeners; i++) {
        struct listener *listener = daemon->listeners[i];
        int64_t at_ms = listener_cut(listener, now_ms);
        if (at_ms < next_ms)
            next_ms = at_ms;
        if (i >= configured && listener->n_clients == 0)
            listener_free(listener);
        else
            daemon->listeners[n++] = listener;
    }
    daemon->n_listeners = n;
    reload->sweeping = next_ms != INT64_MAX;
    return next_ms;
}

static void plan(struct reload *reload, int64_t at_ms)
{
    int64_t now_ms = io_now_ms(reload->daemon->loop);
    if (reload->phase == RELOAD_TURNING && reload->cut_ms < at_ms)
        at_ms = reload->cut_ms;
    if (reload->phase == RELOAD_TURNING && reload->again_ms < at_ms)
        at_ms = reload->again_ms;
    if (at_ms == INT64_MAX)
        io_timer_clear(reload->timer);
    else
        io_timer_set(reload->timer, at_ms > now_ms ? at_ms - now_ms : 1);
}

void reload_run(struct reload *reload)
{
    int64_t at_ms = INT64_MAX;
    bool idle = reload->phase == RELOAD_IDLE && !reload->wanted && !reload->sweeping;
    if (idle || reload->daemon->phase != DAEMON_RUNNING)
        return;
    if (reload->phase == RELOAD_IDLE && reload->wanted)
        begin(reload);
    if (reload->phase == RELOAD_TURNING && turn(reload))
        finish(reload);
    if (reload->sweeping)
        at_ms = sweep(reload);
    plan(reload, at_ms);
}

static void on_timer(void *arg)
{
    struct reload *reload = arg;
    io_idle_arm(reload->daemon->soon);
}

/* ---- life ---- */

void reload_stop(struct reload *reload)
{
    struct list_node *lists[] = {&reload->asked, &reload->waiting}, *node;
    for (size_t i = 0; i < 2; i++) {
        while ((node = list_first(lists[i])) != NULL) {
            struct client *client = LIST_ENTRY(node, struct client, wait.node);
            list_remove(node);
            request_abandoned(client, "hawserd stops");
        }
    }
}

int reload_new(struct daemon *daemon, struct reload **out, struct error *err)
{
    struct reload *reload = calloc(1, sizeof(*reload));
    if (reload == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    reload->daemon = daemon;
    list_init(&reload->asked);
    list_init(&reload->waiting);
    if (io_timer_new(daemon->loop, on_timer, reload, &reload->timer) != 0) {
        free(reload);
        return error_set(err, ERR_NOMEM, "out of memory");
    }
    *out = reload;
    return 0;
}

void reload_free(struct reload *reload)
{
    if (reload == NULL)
        return;
    if (reload->worker != NULL)
        io_worker_stop(reload->worker);
    reload_turns_free(reload);
    difference_fini(&reload->difference);
    generation_drop(reload->next);
    io_timer_close(reload->timer);
    free(reload);
}
