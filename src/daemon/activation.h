/*
 * activation: listening sockets that outlive one hawserd, so that programs which connect while it
 * restarts wait instead of failing. The service manager holds them, and hands them over at a start
 * (LISTEN_FDS, sd_listen_fds(3)). There are two kinds:
 *
 *     given   of a socket unit (systemd.socket(5)); the manager listens when hawserd does not run
 *     kept    hawserd's own, left with the manager (sd_pid_notify_with_fds(3), FDSTORE=1) over a
 *             restart or a crash; after a stop the manager closes them
 *
 * Decides: which listener gets which. A given one goes to the listener of its FileDescriptorName=,
 * `control` to the control socket, else to that of its address; its mode and group are the socket
 * unit's affair. Over TCP the address alone counts: what may be served there depends on it. A kept
 * one goes to the listener of its address, if the file at that path is still the same one. A reload
 * gives out sockets as a restart would.
 * Owns: what no listener has; and a copy of each given one, so that a reload can bring a listener
 * back. Fails: for want of memory only; a socket that cannot be used is said, and done without.
 */
#ifndef HAWSER_DAEMON_ACTIVATION_H
#define HAWSER_DAEMON_ACTIVATION_H

#include "io/io.h"

#define ACTIVATION_MAX 64 /* sockets, given and kept; a further one is said and left alone */

struct activation;

struct activation_wish {
    const char *name; /* of the [listen] section, or "control" */
    const char *path; /* this, with mode and group (-1: leave), */
    unsigned mode;
    gid_t group;
    const char *tcp; /* or this */
};

/* Takes what the environment names, and removes that from it. */
int activation_new(struct activation **out);
void activation_free(struct activation *activation);
/* A listener on a socket that was handed over for it. *out is NULL where there is none. */
int activation_listen(struct activation *activation, struct io_loop *loop,
                      const struct activation_wish *wish, io_accept_cb cb, void *arg,
                      struct io_listener **out, struct error *err);
/* The listener of that name accepts: the manager gets a copy of its socket, where there is a
 * manager and it has none. */
void activation_keep(struct activation *activation, const char *name,
                     const struct io_listener *listener);
/* That listener is about to close: for good, or (stays) because hawserd stops; the manager then
 * holds the socket on, and its file stays. */
void activation_release(struct activation *activation, struct io_listener *listener, bool stays);
/* Whether it listens on a given socket. */
bool activation_gave(const struct activation *activation, const struct io_listener *listener);
/* All listeners are there. Says which given sockets none wanted, and gives up kept ones. */
void activation_settle(struct activation *activation);

#endif
