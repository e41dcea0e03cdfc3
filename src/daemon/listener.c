#include "daemon/listener.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/glob.h"
#include "base/log.h"
#include "daemon/activation.h"
#include "daemon/client.h"
#include "daemon/feed.h"
#include "daemon/generation.h"
#include "daemon/http_auth.h"
#include "daemon/http_client.h"
#include "daemon/outlet.h"
#include "daemon/upstream.h"

static bool allowed(const struct listener *listener, uid_t uid)
{
    if (listener->everyone || uid == 0 || uid == geteuid())
        return true;
    for (size_t i = 0; i < listener->n_uids; i++)
        if (listener->uids[i] == uid)
            return true;
    return false;
}

/* What one that is refused is told, in its own language. */
static int write_refusal(const struct listener *listener, struct buf *out, enum ndjson_error error,
                         const char *detail)
{
    if (listener->protocol == SETTINGS_PROTOCOL_HTTP)
        return http_client_write_refusal(out, error == NDJSON_E_FORBIDDEN ? 403 : 503, detail);
    return ndjson_write_error(out, slice_make(NULL, 0), error, detail);
}

static void courtesy(struct listener *listener, struct io_stream *stream, enum ndjson_error error,
                     const char *detail)
{
    struct buf line;
    buf_init(&line, 1024);
    if (write_refusal(listener, &line, error, detail) == 0) {
        struct slice slice = buf_slice(&line);
        (void)io_stream_try_writev(stream, &slice, 1); /* no memory for those refused */
    }
    buf_fini(&line);
    io_stream_close(stream);
}

/* Whoever knocks again and again does not fill the log. */
static void refuse(struct listener *listener, struct io_stream *stream, uid_t uid, pid_t pid,
                   enum ndjson_error error, const char *detail)
{
    int64_t now = io_now_ms(listener->daemon->loop);
    courtesy(listener, stream, error, detail);
    if (listener->refused_ms != 0 && now - listener->refused_ms < LISTENER_REFUSED_MS) {
        listener->refused++;
        return;
    }
    log_warning(NULL, NULL, "listen %s: pid %d of uid %d refused: %s (%u more since the last)",
                listener->name, (int)pid, (int)uid, detail, listener->refused);
    listener->refused_ms = now;
    listener->refused = 0;
}

/* ---- guests ---- */

static struct guest *guest_at(struct list_node *node)
{
    return LIST_ENTRY(node, struct guest, node);
}

void listener_add(struct listener *listener, struct guest *guest, const struct guest_ops *ops,
                  uid_t uid)
{
    guest->ops = ops;
    guest->uid = uid;
    list_push_back(&listener->guests, &guest->node);
    listener->n_clients++;
}

void listener_remove(struct listener *listener, struct guest *guest)
{
    list_remove(&guest->node);
    listener->n_clients--;
    io_idle_arm(listener->daemon->soon); /* a stop may wait for this */
}

/* One that only listens is not read from: that it has gone may show nowhere else. */
static void drop_gone(struct listener *listener)
{
    struct list_node *node, *after;
    list_for_each(node, after, &listener->guests)
    {
        if (guest_at(node)->ops->gone(guest_at(node)))
            guest_at(node)->ops->close(guest_at(node));
    }
}

static void on_tick(void *arg)
{
    struct listener *listener = arg;
    struct list_node *node, *after;
    int64_t now = io_now_ms(listener->daemon->loop);
    list_for_each(node, after, &listener->guests)
    {
        if (guest_at(node)->ops->tick != NULL)
            guest_at(node)->ops->tick(guest_at(node), now);
    }
    if (listener->protocol == SETTINGS_PROTOCOL_HTTP)
        io_timer_set(listener->timer, LISTENER_TICK_MS);
}

static int new_guest(struct listener *listener, struct io_stream *stream, uid_t uid, pid_t pid)
{
    switch (listener->protocol) {
    case SETTINGS_PROTOCOL_NDJSON:
        return client_new(listener, stream, uid, pid);
    case SETTINGS_PROTOCOL_FEED:
        return feed_new(listener, stream, uid, pid);
    case SETTINGS_PROTOCOL_HTTP:
        return http_client_new(listener, stream, uid);
    }
    return ERR_INVAL;
}

static void on_accept(void *arg, struct io_stream *stream)
{
    struct listener *listener = arg;
    uid_t uid = (uid_t)-1;
    gid_t gid;
    pid_t pid = 0;
    if (!listener->tcp &&
        (io_stream_peer(stream, &uid, &gid, &pid) != 0 || !allowed(listener, uid))) {
        refuse(listener, stream, uid, pid, NDJSON_E_FORBIDDEN,
               "your user is not in allow_users of this socket");
        return;
    }
    if (listener->n_clients >= listener->max_clients)
        drop_gone(listener);
    if (listener->n_clients >= listener->max_clients)
        refuse(listener, stream, uid, pid, NDJSON_E_TOO_MANY,
               "max_clients of this socket is reached");
    else if (new_guest(listener, stream, uid, pid) != 0)
        refuse(listener, stream, uid, pid, NDJSON_E_INTERNAL, "out of memory");
}

/* ---- making it ---- */

static int find_users(struct listener *listener, const char *const *users, struct error *err)
{
    size_t n = 0;
    while (users[n] != NULL)
        n++;
    listener->uids = calloc(n + 1, sizeof(uid_t));
    if (listener->uids == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        if (strcmp(users[i], "*") == 0) {
            listener->everyone = true;
            continue;
        }
        const struct passwd *user = getpwnam(users[i]);
        if (user == NULL)
            return error_set(err, ERR_NOTFOUND, "allow_users: no user named %s", users[i]);
        listener->uids[listener->n_uids++] = user->pw_uid;
    }
    return 0;
}

static int find_group(const char *name, gid_t *out, struct error *err)
{
    *out = (gid_t)-1;
    if (name == NULL)
        return 0;
    const struct group *group = getgrnam(name);
    if (group == NULL)
        return error_set(err, ERR_NOTFOUND, "group: no group named %s", name);
    *out = group->gr_gid;
    return 0;
}

static void find_streams(struct listener *listener, const char *const *globs)
{
    struct daemon *daemon = listener->daemon;
    for (size_t i = 0; i < daemon->n_upstreams; i++) {
        struct upstream *upstream = daemon->upstreams[i];
        bool match = globs == NULL;
        for (size_t g = 0; !match && globs[g] != NULL; g++)
            match = glob_match(slice_str(globs[g]), slice_str(upstream->settings->name));
        if (match && upstream->store_id < LIMIT_STREAMS)
            listener->streams[upstream->store_id / 64] |= 1ull << (upstream->store_id % 64);
    }
}

bool listener_sees(const struct listener *listener, unsigned store_id)
{
    return store_id < LIMIT_STREAMS && (listener->streams[store_id / 64] >> (store_id % 64) & 1);
}

bool listener_choose(const struct listener *listener, struct slice glob,
                     struct fanout_filter *filter)
{
    struct daemon *daemon = listener->daemon;
    bool found = false;
    for (size_t i = 0; i < daemon->n_upstreams; i++) {
        unsigned id = daemon->upstreams[i]->store_id;
        if (!listener_sees(listener, id) ||
            !glob_match(glob, slice_str(daemon->upstreams[i]->settings->name)))
            continue;
        filter->streams[id / 64] |= 1ull << (id % 64);
        found = true;
    }
    return found;
}

bool listener_show(const struct listener *listener, struct outlet *outlet)
{
    struct slice globs = buf_slice(&outlet->globs);
    if (globs.len == 0) {
        memcpy(outlet->filter.streams, listener->streams, sizeof(outlet->filter.streams));
        return true;
    }
    memset(outlet->filter.streams, 0, sizeof(outlet->filter.streams));
    while (globs.len > 0) {
        struct slice glob = slice_str(globs.ptr);
        if (!listener_choose(listener, glob, &outlet->filter))
            return false;
        globs = slice_from(globs, glob.len + 1);
    }
    return true;
}

/* With the descriptors that are left, upstreams go on and the operator can look: the control socket
 * takes the very last. */
void listener_leave_descriptors(struct listener *listener)
{
    static const char line[] =
        "{\"error\":\"too_many\",\"detail\":\"hawserd has no file descriptors left\"}\n";
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
                                 "Content-Length: 0\r\nRetry-After: 10\r\n\r\n";
    bool http = listener->protocol == SETTINGS_PROTOCOL_HTTP;
    unsigned keep = LISTENER_KEEP_FDS +
                    LISTENER_KEEP_FDS_STREAM * (unsigned)listener->daemon->settings->n_streams;
    io_listener_refusal(listener->io, listener->settings != NULL ? keep : 0,
                        http ? slice_str(answer) : slice_str(line));
}

/* What the section says, as an address. */
static int find_place(struct listener *listener, char control[LISTENER_PATH],
                      struct activation_wish *out, struct error *err)
{
    const struct settings_listen *settings = listener->settings;
    *out = (struct activation_wish){.name = listener->name, .group = (gid_t)-1};
    if (settings == NULL) {
        snprintf(control, LISTENER_PATH, "%s/control.sock", listener->daemon->runtime_dir);
        out->path = control;
        out->mode = 0600;
        return 0;
    }
    if (listener->tcp) {
        out->tcp = settings->tcp;
        return 0;
    }
    out->path = settings->path;
    out->mode = settings->mode;
    return find_group(settings->group, &out->group, err);
}

/* On a socket that the service manager has for it, else on one of its own. */
static int open_io(struct listener *listener, struct error *err)
{
    struct io_loop *loop = listener->daemon->loop;
    struct activation *activation = listener->daemon->activation;
    char control[LISTENER_PATH];
    struct activation_wish wish;
    int status = find_place(listener, control, &wish, err);
    if (status == 0)
        status =
            activation_listen(activation, loop, &wish, on_accept, listener, &listener->io, err);
    if (status != 0 || listener->io != NULL)
        return status;
    status = wish.tcp != NULL
                 ? io_tcp_listen(loop, wish.tcp, on_accept, listener, &listener->io, err)
                 : io_unix_listen(loop, wish.path, wish.mode, wish.group, on_accept, listener,
                                  &listener->io, err);
    if (status == 0)
        activation_keep(activation, listener->name, listener->io);
    return status;
}

/* Neither a stop nor a start that failed is the end of a listener: the next hawserd may go on. */
static void close_io(struct listener *listener)
{
    const struct daemon *daemon = listener->daemon;
    if (listener->io == NULL)
        return;
    activation_release(daemon->activation, listener->io,
                       daemon->phase != DAEMON_RUNNING || daemon->started_ms == 0);
    io_listener_close(listener->io);
    listener->io = NULL;
}

static int open_socket(struct listener *listener, struct error *err)
{
    int status = open_io(listener, err);
    if (status != 0)
        return status;
    listener_leave_descriptors(listener);
    log_info(NULL, NULL, "listen %s: %s", listener->name, io_listener_name(listener->io));
    return 0;
}

/* All that it has besides its socket. */
static int open_parts(struct listener *listener, struct error *err)
{
    const struct settings_listen *settings = listener->settings;
    struct io_loop *loop = listener->daemon->loop;
    int status = 0;
    if (settings != NULL && settings->auth != NULL)
        status = http_auth_new(loop, settings->name, settings->auth, &listener->auth, err);
    if (status == 0 && settings != NULL && !listener->tcp)
        status = find_users(listener, settings->allow_users, err);
    if (status != 0)
        return status;
    status = io_timer_new(loop, on_tick, listener, &listener->timer);
    if (status != 0)
        return error_set(err, status, "timer: %s", error_text(status));
    if (listener->protocol == SETTINGS_PROTOCOL_HTTP)
        io_timer_set(listener->timer, LISTENER_TICK_MS);
    return 0;
}

int listener_prepare(struct daemon *daemon, const struct settings_listen *settings,
                     bool with_socket, struct listener **out, struct error *err)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    listener->daemon = daemon;
    listener->settings = settings;
    list_init(&listener->guests);
    listener->name = settings != NULL ? settings->name : "control";
    listener->protocol = settings != NULL ? settings->protocol : SETTINGS_PROTOCOL_NDJSON;
    listener->tcp = settings != NULL && settings->tcp != NULL;
    listener->control = settings == NULL || settings->control;
    listener->send = settings == NULL || settings->send;
    listener->max_clients = settings != NULL ? settings->max_clients : 64;
    int status = open_parts(listener, err);
    if (status == 0 && with_socket)
        status = open_socket(listener, err);
    if (status != 0) {
        error_wrap(err, "listen %s", listener->name);
        listener_free(listener);
        return status;
    }
    *out = listener;
    return 0;
}

int listener_new(struct daemon *daemon, const struct settings_listen *settings,
                 struct listener **out, struct error *err)
{
    int status = listener_prepare(daemon, settings, true, out, err);
    if (status == 0)
        find_streams(*out, settings != NULL ? settings->streams : NULL);
    return status;
}

/* ---- while it is in use ---- */

/* The timer stays: it knows whose it is. */
void listener_become(struct listener *listener, struct listener *next)
{
    struct http_auth *auth = listener->auth;
    uid_t *uids = listener->uids;
    listener->name = next->name;
    listener->settings = next->settings;
    listener->protocol = next->protocol;
    listener->tcp = next->tcp;
    listener->control = next->control;
    listener->send = next->send;
    listener->max_clients = next->max_clients;
    listener->everyone = next->everyone;
    listener->n_uids = next->n_uids;
    listener->uids = next->uids;
    listener->auth = next->auth;
    next->uids = uids;
    next->auth = auth;
    if (listener->protocol == SETTINGS_PROTOCOL_HTTP)
        io_timer_set(listener->timer, LISTENER_TICK_MS);
    if (next->io != NULL)
        listener_take(listener, next->io);
    next->io = NULL;
    listener_free(next);
}

void listener_take(struct listener *listener, struct io_listener *io)
{
    listener->io = io;
    io_listener_give(io, listener);
}

int listener_permit(struct listener *listener, const struct settings_listen *settings,
                    struct error *err)
{
    gid_t gid = getegid();
    if (activation_gave(listener->daemon->activation, listener->io)) {
        log_warning(NULL, NULL,
                    "listen %s: mode and group are those of its socket unit, see SocketMode= and "
                    "SocketGroup= there",
                    settings->name);
        return 0;
    }
    int status = settings->group != NULL ? find_group(settings->group, &gid, err) : 0;
    if (status == 0)
        status = io_listener_permit(listener->io, settings->mode, gid, err);
    return status != 0 ? error_wrap(err, "listen %s", settings->name) : 0;
}

void listener_dismiss(struct listener *listener, struct guest *guest, const char *reason)
{
    if (guest->leave_ms != 0)
        return;
    guest->leave_ms = io_now_ms(listener->daemon->loop) + LISTENER_BYE_MS;
    guest->ops->bye(guest, reason); /* may have closed it */
}

void listener_dismiss_users(struct listener *listener)
{
    struct list_node *node, *after;
    list_for_each(node, after, &listener->guests)
    {
        struct guest *guest = guest_at(node);
        if (!listener->tcp && !allowed(listener, guest->uid))
            listener_dismiss(listener, guest, "your user is in allow_users of this socket no more");
    }
}

void listener_dismiss_all(struct listener *listener, const char *reason)
{
    struct list_node *node, *after;
    list_for_each(node, after, &listener->guests)
        listener_dismiss(listener, guest_at(node), reason);
}

int64_t listener_cut(struct listener *listener, int64_t now_ms)
{
    struct list_node *node, *after;
    int64_t next_ms = INT64_MAX;
    list_for_each(node, after, &listener->guests)
    {
        struct guest *guest = guest_at(node);
        if (guest->leave_ms == 0)
            continue;
        if (guest->leave_ms <= now_ms)
            guest->ops->close(guest);
        else if (guest->leave_ms < next_ms)
            next_ms = guest->leave_ms;
    }
    return next_ms;
}

void listener_view(struct listener *listener)
{
    struct list_node *node, *after;
    memset(listener->streams, 0, sizeof(listener->streams));
    find_streams(listener, listener->settings != NULL ? listener->settings->streams : NULL);
    list_for_each(node, after, &listener->guests)
    {
        struct guest *guest = guest_at(node);
        const char *reason = guest->ops->view(guest);
        if (reason != NULL)
            listener_dismiss(listener, guest, reason);
    }
}

void listener_serve(struct listener *listener)
{
    struct list_node *node, *after;
    list_for_each(node, after, &listener->guests) guest_at(node)->ops->serve(guest_at(node));
}

void listener_bye(struct listener *listener, const char *reason)
{
    struct list_node *node, *after;
    close_io(listener);
    list_for_each(node, after, &listener->guests) guest_at(node)->ops->bye(guest_at(node), reason);
}

void listener_free(struct listener *listener)
{
    if (listener == NULL)
        return;
    close_io(listener);
    while (!list_empty(&listener->guests)) {
        struct guest *guest = guest_at(list_first(&listener->guests));
        guest->ops->close(guest);
    }
    if (listener->timer != NULL)
        io_timer_close(listener->timer);
    http_auth_free(listener->auth);
    free(listener->uids);
    generation_drop(listener->kept);
    free(listener);
}
