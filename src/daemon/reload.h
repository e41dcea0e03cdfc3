/*
 * reload: from the configuration in use to the one on disk, while hawserd runs.
 *
 *     READING   hawser.ini, conf.d and the profiles, on a thread of its own; the difference
 *     OPENING   the store makes room for streams that are added
 *     (commit)  in one turn of the loop: sockets are bound and streams made, and only when all of
 *               that has worked is anything changed
 *     TURNING   streams that are removed or begin anew say goodbye, the hub takes their last
 *               events, and those that begin do so from what is on disk
 *
 * Decides: the order of it; that what is not in the difference is not touched. Whoever asks is
 * answered when all is done; who asks meanwhile is answered by a reload after that, which sees what
 * was written since.
 * Leaves: what leads to what, to profile/difference; how each part changes, to that part.
 * Fails: before the commit, with every error, and nothing has changed. After it nothing can fail
 * but the store, whose opening of a stream is tried again.
 */
#ifndef HAWSER_DAEMON_RELOAD_H
#define HAWSER_DAEMON_RELOAD_H

#include "daemon/client.h"

#define RELOAD_STOP_MS 3500  /* for upstreams to say goodbye */
#define RELOAD_AGAIN_MS 1000 /* until the store is asked again */

struct reload;
int reload_new(struct daemon *daemon, struct reload **out, struct error *err);
/* When the store is closed, whose writer may have worked for it. NULL is allowed. */
void reload_free(struct reload *reload);
/* client: waits for the answer, CLIENT_WAITS_FOR_RELOAD; NULL: the log has it. */
void reload_ask(struct reload *reload, struct client *client);
/* Once an iteration. */
void reload_run(struct reload *reload);
/* hawserd stops: who waits is told. */
void reload_stop(struct reload *reload);

#endif
