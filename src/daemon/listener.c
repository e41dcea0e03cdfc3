#include "daemon/listener.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/glob.h"
#include "base/log.h"
#include "daemon/client.h"
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

static void courtesy(struct io_stream *stream, enum ndjson_error error, const char *detail)
{
    struct buf line;
    buf_init(&line, 1024);
    if (ndjson_write_error(&line, slice_make(NULL, 0), error, detail) == 0) {
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
    courtesy(stream, error, detail);
    if (listener->refused_ms != 0 && now - listener->refused_ms < LISTENER_REFUSED_MS) {
        listener->refused++;
        return;
    }
    log_warning(NULL, NULL, "listen %s: pid %d of uid %d refused: %s (%u more since the last)",
                listener->name, (int)pid, (int)uid, detail, listener->refused);
    listener->refused_ms = now;
    listener->refused = 0;
}

/* One that only listens is not read from: that it has gone may show nowhere else. */
static void drop_gone(struct listener *listener)
{
    struct list_node *node, *after;
    list_for_each(node, after, &listener->clients)
    {
        struct client *client = LIST_ENTRY(node, struct client, node);
        if (!client->reading && io_stream_hung_up(client->outlet.stream))
            client_close(client);
    }
}

static void on_accept(void *arg, struct io_stream *stream)
{
    struct listener *listener = arg;
    uid_t uid = (uid_t)-1;
    gid_t gid;
    pid_t pid = 0;
    if (io_stream_peer(stream, &uid, &gid, &pid) != 0 || !allowed(listener, uid)) {
        refuse(listener, stream, uid, pid, NDJSON_E_FORBIDDEN,
               "your user is not in allow_users of this socket");
        return;
    }
    if (listener->n_clients >= listener->max_clients)
        drop_gone(listener);
    if (listener->n_clients >= listener->max_clients)
        refuse(listener, stream, uid, pid, NDJSON_E_TOO_MANY,
               "max_clients of this socket is reached");
    else if (client_new(listener, stream, uid, pid) != 0)
        refuse(listener, stream, uid, pid, NDJSON_E_INTERNAL, "out of memory");
}

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

static int open_socket(struct listener *listener, const struct settings_listen *settings,
                       struct error *err)
{
    char path[4096];
    gid_t gid = (gid_t)-1;
    unsigned mode = 0600;
    int status = 0;
    if (settings == NULL) {
        snprintf(path, sizeof(path), "%s/control.sock", listener->daemon->runtime_dir);
    } else {
        snprintf(path, sizeof(path), "%s", settings->path);
        mode = settings->mode;
        status = find_users(listener, settings->allow_users, err);
        if (status == 0)
            status = find_group(settings->group, &gid, err);
    }
    if (status != 0)
        return status;
    listener->path = strdup(path);
    return io_unix_listen(listener->daemon->loop, path, mode, gid, on_accept, listener,
                          &listener->io, err);
}

int listener_new(struct daemon *daemon, const struct settings_listen *settings,
                 struct listener **out, struct error *err)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    listener->daemon = daemon;
    list_init(&listener->clients);
    listener->name = settings != NULL ? settings->name : "control";
    listener->control = settings == NULL || settings->control;
    listener->send = settings == NULL || settings->send;
    listener->max_clients = settings != NULL ? settings->max_clients : 64;
    find_streams(listener, settings != NULL ? settings->streams : NULL);
    int status = open_socket(listener, settings, err);
    if (status != 0) {
        error_wrap(err, "listen %s", listener->name);
        listener_free(listener);
        return status;
    }
    log_info(NULL, NULL, "listen %s: %s", listener->name, listener->path);
    *out = listener;
    return 0;
}

void listener_serve(struct listener *listener)
{
    struct list_node *node, *after;
    list_for_each(node, after, &listener->clients)
        client_pump(LIST_ENTRY(node, struct client, node));
}

void listener_bye(struct listener *listener, const char *reason)
{
    struct list_node *node, *after;
    if (listener->io != NULL)
        io_listener_close(listener->io);
    listener->io = NULL;
    list_for_each(node, after, &listener->clients)
        client_bye(LIST_ENTRY(node, struct client, node), reason);
}

void listener_free(struct listener *listener)
{
    if (listener == NULL)
        return;
    if (listener->io != NULL)
        io_listener_close(listener->io);
    while (!list_empty(&listener->clients))
        client_close(LIST_ENTRY(list_first(&listener->clients), struct client, node));
    free(listener->uids);
    free((char *)listener->path);
    free(listener);
}
