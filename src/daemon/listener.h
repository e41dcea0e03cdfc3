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

#define LISTENER_PATH 4096        /* bytes of the control socket's path */
#define LISTENER_REFUSED_MS 10000 /* between log lines about those refused */
#define LISTENER_TICK_MS 1000     /* how often guests look at their deadlines */
#define LISTENER_BYE_MS 5000      /* for one that was told to go */
#define LISTENER_NO_STREAM "a stream that you have asked for is here no more"
#define LISTENER_KEEP_FDS 32       /* not for guests, but for hawserd itself, */
#define LISTENER_KEEP_FDS_STREAM 8 /* and for each stream: links, requests, watches */

/* One connection, of whichever protocol. */
struct guest {
    struct list_node node; /* in its listener */
    const struct guest_ops *ops;
    uid_t uid;        /* whose program it is; -1: not known */
    int64_t leave_ms; /* it was told to go: until when it has time; 0: it stays */
};

struct guest_ops {
    void (*serve)(struct guest *guest); /* there may be something new for it */
    bool (*gone)(struct guest *guest);  /* it is not read from, and its program has gone */
    void (*tick)(struct guest *guest, int64_t now_ms); /* NULL: it has no deadlines */
    void (*bye)(struct guest *guest, const char *reason);
    void (*close)(struct guest *guest);
    /* What its listener shows has changed. NULL: it goes on with that; or why it has to go. */
    const char *(*view)(struct guest *guest);
};

struct http_auth;
struct outlet;

struct listener {
    struct daemon *daemon;
    const char *name;
    const struct settings_listen *settings; /* NULL: the control socket */
    struct generation *kept; /* of one that is configured no more: its settings are there */
    enum settings_protocol protocol;
    bool tcp;               /* no one's credentials are known */
    struct http_auth *auth; /* NULL: no token is asked for */
    struct io_timer *timer; /* the guests' deadlines, where they have any */
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
/* One that may take the place of another, complete but for its socket, unless with_socket. */
int listener_prepare(struct daemon *daemon, const struct settings_listen *settings,
                     bool with_socket, struct listener **out, struct error *err);
/* From now on it is as `next`, which is freed, and its guests are its own. */
void listener_become(struct listener *listener, struct listener *next);
/* Its socket is this one; connections come to it. */
void listener_take(struct listener *listener, struct io_listener *io);
/* The file of its socket gets the mode and the group of these settings. */
int listener_permit(struct listener *listener, const struct settings_listen *settings,
                    struct error *err);
/* Streams came or went, or it is to show others: what it shows, and who sees it, anew. */
void listener_view(struct listener *listener);
/* Tells it to go, and why; it has LISTENER_BYE_MS for that. */
void listener_dismiss(struct listener *listener, struct guest *guest, const char *reason);
/* The same for all of its users that may not be here, or for all. */
void listener_dismiss_users(struct listener *listener);
void listener_dismiss_all(struct listener *listener, const char *reason);
/* Closes those whose time is over. Until when the others have, INT64_MAX: there are none. */
int64_t listener_cut(struct listener *listener, int64_t now_ms);
/* How many descriptors it leaves depends on the daemon's settings. */
void listener_leave_descriptors(struct listener *listener);
void listener_serve(struct listener *listener); /* there may be something new for its clients */
void listener_bye(struct listener *listener, const char *reason);
void listener_free(struct listener *listener); /* closes its clients too */
/* A guest comes, and goes. */
void listener_add(struct listener *listener, struct guest *guest, const struct guest_ops *ops,
                  uid_t uid);
void listener_remove(struct listener *listener, struct guest *guest);
bool listener_sees(const struct listener *listener, unsigned store_id);
/* Adds the streams of that name or glob to the filter. False: it matches none here. */
bool listener_choose(const struct listener *listener, struct slice glob,
                     struct fanout_filter *filter);
/* The streams of the outlet's globs, or all, into its filter. False: a glob matches none here. */
bool listener_show(const struct listener *listener, struct outlet *outlet);

#endif
