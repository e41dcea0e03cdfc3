/* network: watches the host's network for all streams. Without the right to, it says so, and links
 * are probed by their heartbeats alone. */
#ifndef HAWSER_DAEMON_NETWORK_H
#define HAWSER_DAEMON_NETWORK_H

#include "daemon/daemon.h"

void network_watch(struct daemon *daemon);

#endif
