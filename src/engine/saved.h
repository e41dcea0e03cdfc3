/*
 * saved: what a stream keeps across the life of the process, as bytes: the session's state and the
 * captured variables that are to persist.
 *
 * Decides: the format: little-endian, a version, a checksum over all of it. Leaves: when to save
 * and what a restored state means, to slots.c and session.
 * Fails: bytes that are damaged, of another version, or that say what cannot be, are as none.
 */
#ifndef HAWSER_ENGINE_SAVED_H
#define HAWSER_ENGINE_SAVED_H

#include "base/buf.h"
#include "session/session.h"
#include "store/store.h"

/* The captured variables of a stream, by number in its profile. */
struct stream_variables {
    struct buf at[PROFILE_VARIABLES_MAX];
    bool set[PROFILE_VARIABLES_MAX];
    bool persist[PROFILE_VARIABLES_MAX]; /* it outlives the process */
};
void saved_variables_init(struct stream_variables *variables);
void saved_variables_fini(struct stream_variables *variables); /* wipes */
void saved_variables_clear(struct stream_variables *variables);

/* Appends. ERR_NOMEM, ERR_LIMIT. */
int saved_encode(const struct session_saved *state, const struct profile *profile,
                 const struct stream_variables *variables, struct buf *out);
/* False: as none; then nothing is changed. Variables that the profile no longer has are left out.
 */
bool saved_decode(struct slice bytes, const struct profile *profile, struct session_saved *state,
                  struct stream_variables *variables);

#endif
