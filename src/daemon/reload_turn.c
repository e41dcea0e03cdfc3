/* Streams that are removed, added or begin anew, each at its own pace. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/listener.h"
#include "daemon/reload_private.h"
#include "daemon/slots.h"

/* ---- the array of all ---- */

static void take_out(struct daemon *daemon, const struct upstream *upstream)
{
    size_t i = 0;
    while (i < daemon->n_upstreams && daemon->upstreams[i] != upstream)
        i++;
    if (i == daemon->n_upstreams)
        return;
    daemon->n_upstreams--;
    memmove(daemon->upstreams + i, daemon->upstreams + i + 1,
            (daemon->n_upstreams - i) * sizeof(daemon->upstreams[0]));
}

/* Streams stand in the order of the file, those that go behind them. There is room for all. */
static void put_in(struct daemon *daemon, struct upstream *upstream)
{
    size_t i = 0;
    while (i < daemon->n_upstreams && !daemon->upstreams[i]->leaving &&
           daemon->upstreams[i]->settings < upstream->settings)
        i++;
    memmove(daemon->upstreams + i + 1, daemon->upstreams + i,
            (daemon->n_upstreams - i) * sizeof(daemon->upstreams[0]));
    daemon->upstreams[i] = upstream;
    daemon->n_upstreams++;
}

static void view(struct reload *reload)
{
    for (size_t i = 0; i < reload->daemon->n_listeners; i++)
        listener_view(reload->daemon->listeners[i]);
    reload->sweeping = true;
}

/* ---- the store ---- */

static const struct configuration *configuration_of(const struct turn *turn)
{
    return &turn->reload->next->configuration;
}

static const struct settings_stream *settings_of(const struct turn *turn)
{
    return &configuration_of(turn)->settings->streams[turn->index];
}

static void on_opened(void *arg, int status, const struct error *err);

static void open_in_store(struct turn *turn, bool load)
{
    const struct profile *profile = configuration_of(turn)->profiles[turn->index];
    const char *limits = load ? broker_unrestored(turn->upstream->slots) : NULL;
    turn->phase = TURN_OPENING;
    turn->opening.options = upstream_in_store(settings_of(turn), profile);
    turn->opening.load = load;
    turn->opening.kept[0].key = turn->source_key;
    turn->opening.kept[1].key = turn->state_key;
    snprintf(turn->limits_key, sizeof(turn->limits_key), "%s", limits != NULL ? limits : "");
    turn->opening.kept[2].key = limits != NULL ? turn->limits_key : NULL;
    turn->opening.on_done = on_opened;
    turn->opening.arg = turn;
    persist_opening_start(turn->reload->daemon->persist, &turn->opening);
}

/* The store has made room for one that is added, and nothing has changed yet. */
static void on_prepared(struct turn *turn, int status, const struct error *err)
{
    struct reload *reload = turn->reload;
    struct error text = *err;
    if (status != 0) {
        error_wrap(&text, "[stream %s] the store", settings_of(turn)->name);
        reload_fault(reload, settings_of(turn)->file, settings_of(turn)->line, text.text);
    }
    turn->store_id = turn->opening.state.id;
    if (--reload->n_opening == 0)
        reload_prepared(reload);
}

/* What is on disk is here: it begins. */
static void start(struct turn *turn)
{
    struct daemon *daemon = turn->reload->daemon;
    struct upstream *upstream = turn->upstream;
    const struct persist_kept *kept = turn->opening.kept;
    upstream_take(upstream, &turn->opening);
    if (slots_restore_one(daemon->slots, upstream, &kept[0], &kept[1], &kept[2]) != 0)
        log_warning(upstream->settings->name, NULL,
                    "out of memory: what was known of its last waits is forgotten");
    upstream->opening = false;
    upstream_start(upstream);
    if (persist_is_stalled(daemon->persist))
        stream_store_stalled(upstream->stream);
}

static void on_opened(void *arg, int status, const struct error *err)
{
    struct turn *turn = arg;
    struct reload *reload = turn->reload;
    if (reload->phase == RELOAD_OPENING) {
        on_prepared(turn, status, err);
        return;
    }
    if (turn->opening.load && turn->opening.state.fingerprint_changed)
        turn->upstream->fingerprint_changed = true;
    if (status != 0) {
        log_error(settings_of(turn)->name, NULL, "reload: the store: %s; trying again in %d s",
                  err->text, RELOAD_AGAIN_MS / 1000);
        turn->phase = TURN_AGAIN;
        reload->again_ms = io_now_ms(reload->daemon->loop) + RELOAD_AGAIN_MS;
    } else {
        if (turn->opening.load && reload->daemon->phase == DAEMON_RUNNING)
            start(turn);
        turn->phase = TURN_DONE;
    }
    io_idle_arm(reload->daemon->soon);
}

/* ---- one stream ---- */

bool reload_credential_is_busy(const struct turn *turn)
{
    const struct reload *reload = turn->reload;
    const struct profile *profile = configuration_of(turn)->profiles[turn->index];
    for (size_t i = 0; i < reload->n_turns; i++) {
        const struct turn *other = &reload->turns[i];
        bool goes = other->phase == TURN_STOPPING && other->upstream != NULL;
        if (other != turn && goes && vault_shares(&other->upstream->vault, profile))
            return true;
    }
    return false;
}

static void let_go(struct turn *turn)
{
    struct daemon *daemon = turn->reload->daemon;
    struct upstream *upstream = turn->upstream;
    turn->store_id = upstream->store_id;
    take_out(daemon, upstream);
    upstream_free(upstream);
    turn->upstream = NULL;
}

static void stopping(struct turn *turn, int64_t now_ms)
{
    struct upstream *upstream = turn->upstream;
    if (now_ms >= turn->reload->cut_ms && !upstream->cut && !stream_stopped(upstream->stream)) {
        log_warning(upstream->settings->name, NULL, "it did not say goodbye in time");
        upstream_cut(upstream);
    }
    if (!upstream_over(upstream))
        return;
    let_go(turn);
    turn->phase = turn->begins ? TURN_MAKING : TURN_DONE;
    if (turn->begins)
        return;
    persist_stream_close(turn->reload->daemon->persist, turn->store_id);
    turn->reload->removed = true;
    view(turn->reload);
}

static void making(struct turn *turn)
{
    struct daemon *daemon = turn->reload->daemon;
    struct error err;
    if (upstream_new(daemon, daemon->generation, turn->index, turn->store_id, &turn->upstream,
                     &err) != 0) {
        log_error(NULL, NULL, "reload: %s; trying again in %d s", err.text, RELOAD_AGAIN_MS / 1000);
        turn->upstream = NULL;
        turn->phase = TURN_UNMADE;
        turn->reload->again_ms = io_now_ms(daemon->loop) + RELOAD_AGAIN_MS;
        return;
    }
    turn->upstream->opening = true;
    turn->upstream->fingerprint_changed = turn->opening.state.fingerprint_changed;
    put_in(daemon, turn->upstream);
    open_in_store(turn, true);
}

static void run(struct turn *turn, int64_t now_ms, bool again)
{
    switch (turn->phase) {
    case TURN_STOPPING:
        stopping(turn, now_ms);
        break;
    case TURN_MAKING:
        if (!reload_credential_is_busy(turn))
            making(turn);
        break;
    case TURN_UNMADE:
        if (again)
            making(turn);
        break;
    case TURN_AGAIN:
        if (again)
            open_in_store(turn, turn->opening.load);
        break;
    case TURN_OPENING:
    case TURN_DONE:
        break;
    }
}

/* ---- all of them ---- */

bool reload_turns_run(struct reload *reload)
{
    int64_t now_ms = io_now_ms(reload->daemon->loop);
    bool again = now_ms >= reload->again_ms, done = true, stops = false;
    if (again)
        reload->again_ms = INT64_MAX;
    for (size_t i = 0; i < reload->n_turns; i++)
        run(&reload->turns[i], now_ms, again);
    /* Those that go have let go by now of what those that come may wait for. */
    for (size_t i = 0; i < reload->n_turns; i++) {
        struct turn *turn = &reload->turns[i];
        if (turn->phase == TURN_MAKING)
            run(turn, now_ms, false);
        done &= turn->phase == TURN_DONE;
        stops |= turn->phase == TURN_STOPPING && !turn->upstream->cut;
    }
    if (!stops)
        reload->cut_ms = INT64_MAX;
    return done;
}

struct turn *reload_turn(struct reload *reload, size_t index)
{
    for (size_t i = 0; i < reload->n_turns; i++)
        if (reload->turns[i].begins && reload->turns[i].index == index)
            return &reload->turns[i];
    return NULL;
}

static struct turn *add(struct reload *reload, const char *name)
{
    struct turn *turn = &reload->turns[reload->n_turns++];
    turn->reload = reload;
    turn->upstream = daemon_upstream(reload->daemon, slice_str(name));
    persist_opening_init(&turn->opening);
    slots_source_key(name, turn->source_key);
    stream_state_key(name, turn->state_key);
    return turn;
}

int reload_turns_new(struct reload *reload)
{
    const struct difference *difference = &reload->difference;
    const struct settings *old = reload->daemon->settings,
                          *new = reload->next->configuration.settings;
    reload->turns = calloc(old->n_streams + new->n_streams + 1, sizeof(reload->turns[0]));
    if (reload->turns == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < new->n_streams; i++) {
        const struct difference_stream *stream = &difference->streams[i];
        if (stream->old >= 0 && (stream->what & (DIFFERENCE_ANEW | DIFFERENCE_RETENTION)) == 0)
            continue;
        struct turn *turn = add(reload, new->streams[i].name);
        turn->index = i;
        turn->begins = stream->old < 0 || (stream->what & DIFFERENCE_ANEW) != 0;
        turn->added = stream->old < 0;
        turn->phase = turn->begins && !turn->added ? TURN_STOPPING : TURN_OPENING;
    }
    for (size_t i = 0; i < old->n_streams; i++)
        if (difference->stream_gone[i])
            add(reload, old->streams[i].name)->phase = TURN_STOPPING;
    return 0;
}

void reload_turns_free(struct reload *reload)
{
    for (size_t i = 0; i < reload->n_turns; i++)
        persist_opening_fini(&reload->turns[i].opening);
    free(reload->turns);
    reload->turns = NULL;
    reload->n_turns = 0;
}

bool reload_turns_prepare(struct reload *reload)
{
    reload->n_opening = 0;
    for (size_t i = 0; i < reload->n_turns; i++) {
        if (!reload->turns[i].added)
            continue;
        reload->n_opening++;
        open_in_store(&reload->turns[i], false);
    }
    return reload->n_opening > 0;
}

void reload_turns_begin(struct reload *reload)
{
    reload->again_ms = INT64_MAX;
    reload->cut_ms = io_now_ms(reload->daemon->loop) + RELOAD_STOP_MS;
    for (size_t i = 0; i < reload->n_turns; i++) {
        struct turn *turn = &reload->turns[i];
        if (turn->phase == TURN_STOPPING)
            upstream_stop(turn->upstream);
        else if (turn->upstream == NULL)
            turn->phase = TURN_MAKING;
        else
            open_in_store(turn, turn->added);
    }
}
