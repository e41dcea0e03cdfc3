/*
 * listener: a Unix socket that local programs connect to, and the clients on it.
 *
 * Decides: who may connect (SO_PEERCRED before anything is allocated), how many, which streams they
 * see. Leaves: the conversation to client.
 */
#ifndef HAWSER_DAEMON_LISTENER_H
#define HAWSER_DAEMON_LISTENER_H

#include "daemon/daemon.h"

#define LISTENER_REFUSED_MS 10000 /* between log lines about those refused */

struct listener {
    struct daemon *daemon;
    const char *name, *path;
    bool control;  /* right to change things */
    bool send;     /* right to send upstream */
    bool everyone; /* else only uids, root and our own user */
    uid_t *uids;
    size_t n_uids;
    unsigned max_clients, n_clients;
    uint64_t streams[(LIMIT_STREAMS + 63) / 64]; /* visible here, by store number */
    int64_t refused_ms;                          /* when a refusal was last logged, 0: never */
    unsigned refused;                            /* since, and not said yet */
    struct io_listener *io;
    struct list_node clients;
};

/* settings NULL: the control socket, RUNTIME_DIR/control.sock, 0600. Upstreams exist already. */
int listener_new(struct daemon *daemon, const struct settings_listen *settings,
                 struct listener **out, struct error *err);
void listener_serve(struct listener *listener); /* there may be something new for its clients */
void listener_bye(struct listener *listener, const char *reason);
void listener_free(struct listener *listener); /* closes its clients too */
bool listener_sees(const struct listener *listener, unsigned store_id);
/* Adds the streams of that name or glob to the filter. False: it matches none here. */
bool listener_choose(const struct listener *listener, struct slice glob,
                     struct fanout_filter *filter);

#endif
