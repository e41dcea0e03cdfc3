/* status: what hawserd says of itself, as one JSON object on one line. */
#ifndef HAWSER_DAEMON_STATUS_H
#define HAWSER_DAEMON_STATUS_H

#include "daemon/listener.h"

/* Streams that the listener shows; only one where `stream` is not empty. Appends a line. */
int status_write(const struct listener *listener, struct slice id, struct slice stream,
                 struct buf *out);

#endif
