/*
 * The one turn of the loop in which a new configuration takes the place of the old one. What can
 * fail comes first, and is all undone where something does; what follows cannot fail.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/activation.h"
#include "daemon/listener.h"
#include "daemon/logfmt.h"
#include "daemon/reload_private.h"
#include "daemon/slots.h"

struct commit {
    struct reload *reload;
    struct daemon *daemon;
    const struct difference *difference;
    const struct configuration *configuration;
    const struct settings *old, *new;
    /* By number in the new configuration; NULL: it is not made anew. */
    struct listener *fresh[LIMIT_LISTENERS];
    struct upstream *made[LIMIT_STREAMS];
    bool permitted[LIMIT_LISTENERS]; /* its file has got its new mode and group */
    struct listener **listeners;
    struct upstream **upstreams;
};

/* The control socket is no listener of the configuration. */
static struct listener *old_listener(const struct commit *c, int number)
{
    return c->daemon->listeners[1 + number];
}

/* ---- what can fail ---- */

static int prepare_listeners(struct commit *c)
{
    int failed = 0;
    for (size_t i = 0; i < c->new->n_listens; i++) {
        const struct difference_listen *listen = &c->difference->listens[i];
        const struct settings_listen *settings = &c->new->listens[i];
        struct error err;
        if (listen->old >= 0 && listen->what == 0)
            continue;
        int status =
            listener_prepare(c->daemon, settings, listen->socket_of < 0, &c->fresh[i], &err);
        if (status == 0)
            continue;
        failed = status;
        reload_fault(c->reload, settings->file, settings->line, err.text);
    }
    return failed;
}

static int prepare_streams(struct commit *c)
{
    for (size_t i = 0; i < c->reload->n_turns; i++) {
        struct turn *turn = &c->reload->turns[i];
        const struct settings_stream *settings = &c->new->streams[turn->index];
        struct error err;
        if (!turn->added || reload_credential_is_busy(turn)) /* then it is made later */
            continue;
        int status = upstream_new(c->daemon, c->reload->next, turn->index, turn->store_id,
                                  &c->made[turn->index], &err);
        if (status != 0) {
            reload_fault(c->reload, settings->file, settings->line, err.text);
            return status;
        }
        c->made[turn->index]->opening = true;
        c->made[turn->index]->fingerprint_changed = turn->opening.state.fingerprint_changed;
    }
    return 0;
}

static int prepare_arrays(struct commit *c)
{
    size_t listeners = 1 + c->new->n_listens + c->daemon->n_listeners;
    size_t upstreams = c->new->n_streams + c->daemon->n_upstreams;
    c->listeners = calloc(listeners, sizeof(c->listeners[0]));
    c->upstreams = calloc(upstreams + 1, sizeof(c->upstreams[0]));
    if (c->listeners != NULL && c->upstreams != NULL)
        return 0;
    reload_fault(c->reload, c->reload->next->path, 0, error_text(ERR_NOMEM));
    return ERR_NOMEM;
}

/* The socket stays, and its file is given to others. */
static int prepare_files(struct commit *c)
{
    for (size_t i = 0; i < c->new->n_listens; i++) {
        const struct difference_listen *listen = &c->difference->listens[i];
        const struct settings_listen *settings = &c->new->listens[i];
        struct error err;
        if ((listen->what & DIFFERENCE_FILE) == 0 || listen->socket_of < 0)
            continue;
        int status = listener_permit(old_listener(c, listen->socket_of), settings, &err);
        if (status != 0) {
            reload_fault(c->reload, settings->file, settings->line, err.text);
            return status;
        }
        c->permitted[i] = true;
    }
    return 0;
}

static void undo(struct commit *c)
{
    struct error err;
    for (size_t i = 0; i < c->new->n_listens; i++) {
        int socket_of = c->difference->listens[i].socket_of;
        if (c->permitted[i])
            (void)listener_permit(old_listener(c, socket_of), &c->old->listens[socket_of], &err);
        listener_free(c->fresh[i]);
    }
    for (size_t i = 0; i < c->new->n_streams; i++)
        upstream_free(c->made[i]);
    free(c->listeners);
    free(c->upstreams);
}

/* ---- what cannot ---- */

/* For good: a service manager that has given it keeps it, for when it is wanted again. */
static void close_socket(struct daemon *daemon, struct io_listener *io)
{
    activation_release(daemon->activation, io, false);
    io_listener_close(io);
}

static void place_listeners(struct commit *c)
{
    struct io_listener *sockets[LIMIT_LISTENERS];
    size_t n = 0;
    for (size_t i = 0; i < c->old->n_listens; i++) {
        sockets[i] = old_listener(c, (int)i)->io;
        old_listener(c, (int)i)->io = NULL;
    }
    c->listeners[n++] = c->daemon->listeners[0];
    for (size_t i = 0; i < c->new->n_listens; i++) {
        const struct difference_listen *listen = &c->difference->listens[i];
        struct listener *listener = listen->old < 0 ? c->fresh[i] : old_listener(c, listen->old);
        if (listen->old >= 0 && c->fresh[i] != NULL)
            listener_become(listener, c->fresh[i]);
        listener->settings = &c->new->listens[i];
        listener->name = listener->settings->name;
        if (listen->socket_of >= 0)
            listener_take(listener, sockets[listen->socket_of]);
        c->listeners[n++] = listener;
    }
    for (size_t i = 0; i < c->old->n_listens; i++) {
        if (c->difference->socket_gone[i])
            close_socket(c->daemon, sockets[i]);
        if (!c->difference->listen_gone[i])
            continue;
        old_listener(c, (int)i)->kept = generation_hold(c->daemon->generation);
        c->listeners[n++] = old_listener(c, (int)i);
    }
    for (size_t i = 1 + c->old->n_listens; i < c->daemon->n_listeners; i++)
        c->listeners[n++] = c->daemon->listeners[i]; /* they had to go before */
    free(c->daemon->listeners);
    c->daemon->listeners = c->listeners;
    c->daemon->n_listeners = n;
}

/* One that goes on keeps the profile that it has, which is the same. */
static void keep(struct commit *c, struct upstream *upstream, size_t i)
{
    unsigned what = c->difference->streams[i].what;
    struct profile **profile = &c->configuration->profiles[i];
    upstream->settings = &c->new->streams[i];
    if ((what & DIFFERENCE_ANEW) == 0) {
        profile_free(*profile);
        *profile = profile_hold(upstream->profile);
    }
    if ((what & (DIFFERENCE_TAGS | DIFFERENCE_ANEW)) == DIFFERENCE_TAGS &&
        upstream_retag(upstream) != 0)
        log_error(upstream->settings->name, NULL, "out of memory: its tags are still the old ones");
}

static void place_streams(struct commit *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->new->n_streams; i++) {
        struct upstream *upstream = c->made[i];
        if (c->difference->streams[i].old < 0) {
            reload_turn(c->reload, i)->upstream = upstream;
        } else {
            upstream = daemon_upstream(c->daemon, slice_str(c->new->streams[i].name));
            keep(c, upstream, i);
        }
        if (upstream != NULL)
            c->upstreams[n++] = upstream;
    }
    for (size_t i = 0; i < c->old->n_streams; i++) {
        if (!c->difference->stream_gone[i])
            continue;
        c->upstreams[n] = daemon_upstream(c->daemon, slice_str(c->old->streams[i].name));
        c->upstreams[n++]->leaving = true;
    }
    free(c->daemon->upstreams);
    c->daemon->upstreams = c->upstreams;
    c->daemon->n_upstreams = n;
}

static void tell_parts(struct commit *c)
{
    struct daemon *daemon = c->daemon;
    const struct settings_store *store = &c->new->store;
    logfmt_levels(c->new);
    if (c->difference->what & DIFFERENCE_DIALS)
        slots_configure(daemon->slots);
    if ((c->difference->what & DIFFERENCE_STORE) == 0)
        return;
    hub_configure(daemon->hub, daemon_commit_bytes(c->new),
                  store->deliver == SETTINGS_DELIVER_RECEIVED);
    reload_bounds(c->reload);
}

static void dismiss(struct commit *c)
{
    struct daemon *daemon = c->daemon;
    for (size_t i = 0; i < c->new->n_listens; i++) {
        unsigned what = c->difference->listens[i].what;
        struct listener *listener = daemon->listeners[1 + i];
        if (what & DIFFERENCE_GUESTS)
            listener_dismiss_all(listener, "this socket is another now; connect again");
        if (what & DIFFERENCE_USERS)
            listener_dismiss_users(listener);
        listener_leave_descriptors(listener);
    }
    for (size_t i = 1 + c->new->n_listens; i < daemon->n_listeners; i++)
        listener_dismiss_all(daemon->listeners[i], "this socket is configured no more");
    for (size_t i = 0; i < daemon->n_listeners; i++)
        listener_view(daemon->listeners[i]);
    c->reload->sweeping = true;
}

static void commit(struct commit *c)
{
    struct daemon *daemon = c->daemon;
    struct generation *old = daemon->generation;
    place_listeners(c);
    place_streams(c);
    daemon->generation = generation_hold(c->reload->next);
    daemon->settings = c->new;
    tell_parts(c);
    dismiss(c);
    generation_retire(old);
    generation_drop(old);
}

int reload_commit(struct reload *reload)
{
    struct commit c = {
        .reload = reload,
        .daemon = reload->daemon,
        .difference = &reload->difference,
        .configuration = &reload->next->configuration,
        .old = reload->daemon->settings,
        .new = reload->next->configuration.settings,
    };
    int status = prepare_listeners(&c);
    if (status == 0)
        status = prepare_streams(&c);
    if (status == 0)
        status = prepare_arrays(&c);
    if (status == 0)
        status = prepare_files(&c);
    if (status == 0)
        commit(&c);
    else
        undo(&c);
    return status;
}
