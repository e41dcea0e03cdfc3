/*
 * listener: a socket that local programs connect to, and the guests on it.
 *
 * Decides: who may connect (SO_PEERCRED before anything is allocated), how many, which streams they
 * see; that descriptors are left for the upstreams when they run out. Leaves: the conversation to
 * client, feed and http_client.
 */
#ifndef HAWSER_DAEMON_LISTENER_H
#define HAWSER_DAEMON_LISTENER_H

#include "daemon/daemon.h"

#define LISTENER_PATH 4096         /* bytes of the control socket's path */
#define LISTENER_REFUSED_MS 10000  /* between log lines about those refused */
#define LISTENER_TICK_MS 1000      /* how often guests look at their deadlines */
#define LISTENER_KEEP_FDS 32       /* not for guests, but for hawserd itself, */
#define LISTENER_KEEP_FDS_STREAM 8 /* and for each stream: links, requests, watches */

/* One connection, of whichever protocol. */
struct guest {
    struct list_node node; /* in its listener */
    const struct guest_ops *ops;
};

struct guest_ops {
    void (*serve)(struct guest *guest); /* there may be something new for it */
    bool (*gone)(struct guest *guest);  /* it is not read from, and its program has gone */
    void (*tick)(struct guest *guest, int64_t now_ms); /* NULL: it has no deadlines */
    void (*bye)(struct guest *guest, const char *reason);
    void (*close)(struct guest *guest);
};

struct http_auth;

struct listener {
    struct daemon *daemon;
    const char *name;
    const struct settings_listen *settings; /* NULL: the control socket */
    enum settings_protocol protocol;
    bool tcp;               /* no one's credentials are known */
    struct http_auth *auth; /* NULL: no token is asked for */
    struct io_timer *timer; /* the guests' deadlines; NULL: they have none */
    bool control;           /* right to change things */
    bool send;              /* right to send upstream */
    bool everyone;          /* else only uids, root and our own user */
    uid_t *uids;
    size_t n_uids;
    unsigned max_clients, n_clients;             /* guests, that is */
    uint64_t streams[(LIMIT_STREAMS + 63) / 64]; /* visible here, by store number */
    int64_t refused_ms;                          /* when a refusal was last logged, 0: never */
    unsigned refused;                            /* since, and not said yet */
    size_t answering; /* bytes of large answers that guests have not taken yet */
    struct io_listener *io;
    struct list_node guests;
};

/* settings NULL: the control socket, RUNTIME_DIR/control.sock, 0600. Upstreams exist already. */
int listener_new(struct daemon *daemon, const struct settings_listen *settings,
                 struct listener **out, struct error *err);
void listener_serve(struct listener *listener); /* there may be something new for its clients */
void listener_bye(struct listener *listener, const char *reason);
void listener_free(struct listener *listener); /* closes its clients too */
/* A guest comes, and goes. */
void listener_add(struct listener *listener, struct guest *guest, const struct guest_ops *ops);
void listener_remove(struct listener *listener, struct guest *guest);
bool listener_sees(const struct listener *listener, unsigned store_id);
/* Adds the streams of that name or glob to the filter. False: it matches none here. */
bool listener_choose(const struct listener *listener, struct slice glob,
                     struct fanout_filter *filter);

#endif
