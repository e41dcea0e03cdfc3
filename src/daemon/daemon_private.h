/* daemon_private: what the files of daemon share. Nobody else includes it. */
#ifndef HAWSER_DAEMON_DAEMON_PRIVATE_H
#define HAWSER_DAEMON_DAEMON_PRIVATE_H

#include "daemon/daemon.h"

/* daemon.c: what its parts ask for, and what is done of it once an iteration. */
extern const struct hub_ops daemon_hub_ops;
extern const struct persist_events daemon_persist_events;
void daemon_commit(struct daemon *daemon);
void daemon_on_soon(void *arg);
void daemon_on_commit_timer(void *arg);

/* daemon_stop.c */
/* Goes on to the next phase of a stop, where the one before is over. */
void daemon_maybe_stopped(struct daemon *daemon);
void daemon_on_stop_timer(void *arg);
void daemon_on_signal(void *arg, int signum);

#endif
