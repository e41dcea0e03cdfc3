/*
 * feed: a local program that connects and reads, and need not say a word: `nc -U` will do.
 *
 * Decides: what it gets: the lines of ndjson from now or from the oldest stored event on (gaps
 * among them, and `bye` at the end), or the service's messages alone. What it sends is read and
 * thrown away, up to FEED_INPUT_MAX. Leaves: how lines reach it to outlet.
 */
#ifndef HAWSER_DAEMON_FEED_H
#define HAWSER_DAEMON_FEED_H

#include "daemon/listener.h"

#define FEED_INPUT_MAX (64u << 10) /* bytes; one that goes on talking is not listening: closed */

/* Takes the stream on success. */
int feed_new(struct listener *listener, struct io_stream *stream, uid_t uid, pid_t pid);

#endif
