/*
 * saving: the saved states of one batch, for hub alone.
 *
 * Decides: that of one key only the newest value counts. Owns: copies of keys and values, and where
 * each key is: a commit may have as many as there are named consumers.
 * Fails: ERR_AGAIN when HUB_BATCH_STATES keys are there already, ERR_INVAL for a key or a value
 * beyond the store's bounds, ERR_NOMEM; then what was there stays.
 */
#ifndef HAWSER_ENGINE_SAVING_H
#define HAWSER_ENGINE_SAVING_H

#include "engine/hub.h"

#define SAVING_KEEP 4096 /* memory for a value up to it is kept for the next batch */
#define SAVING_PLACES (2 * HUB_BATCH_STATES) /* a power of two */

struct saving {
    char keys[HUB_BATCH_STATES][STORE_STATE_KEY];
    struct buf values[HUB_BATCH_STATES];
    uint16_t places[SAVING_PLACES]; /* by hash: a key's number + 1; 0: none */
};

void saving_init(struct saving *saving);
void saving_fini(struct saving *saving);
/* The state under this key, or NULL. */
struct store_state *saving_find(const struct saving *saving, struct store_state *states,
                                struct slice key);
/* Puts it into states, behind the first *n or over the one that has its key. */
int saving_put(struct saving *saving, struct store_state *states, size_t *n, struct slice key,
               struct slice value);
void saving_clear(struct saving *saving, size_t n);

#endif
