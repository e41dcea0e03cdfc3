/*
 * slots: the broker, wired: its timer, its saves through the hub, its clients' streams; and at the
 * start what was saved, handed to those it belongs to.
 *
 * Saved states by key: "limits/..." is the broker's, "stream/NAME" the stream's, "source/NAME" says
 * what configuration and credentials that was with.
 * Leaves: what is granted and when, to broker; durability to hub and persist.
 */
#ifndef HAWSER_DAEMON_SLOTS_H
#define HAWSER_DAEMON_SLOTS_H

#include "daemon/daemon.h"

#define SLOTS_SAVES_MAX 16 /* saves on their way that are told apart */

/* The keys of states that are one stream's alone: for store_options. What its limits have counted
 * goes with the rest; in a process that has seen it the broker still knows, while it counts. */
bool slots_stream_state(const char *name, unsigned number, char key[STORE_STATE_KEY + 1]);

struct slots;
int slots_new(struct daemon *daemon, struct slots **out, struct error *err);
void slots_free(struct slots *slots); /* when all clients are gone; NULL is allowed */
/* The stream's place at the broker; freed by broker_client_free(). */
int slots_client_new(struct slots *slots, struct upstream *upstream, struct broker_client **out);
/* When all upstreams are restored, and before any starts. */
int slots_restore(struct slots *slots, struct error *err);
/* The same for one that comes later, with what is kept under slots_source_key(), stream_state_key()
 * and broker_unrestored(). */
int slots_restore_one(struct slots *slots, struct upstream *upstream,
                      const struct persist_kept *source, const struct persist_kept *state,
                      const struct persist_kept *limits);
void slots_source_key(const char *name, char out[STORE_STATE_KEY + 1]);
/* The daemon's settings are others. */
void slots_configure(struct slots *slots);
/* Once an iteration. */
void slots_run(struct slots *slots);
/* From the hub. */
void slots_saved(struct slots *slots, uint64_t ticket, bool lost);
void slots_room(struct slots *slots);

#endif
