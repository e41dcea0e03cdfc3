/*
 * value: the text of a value as what its key's target is; for the files of this room only.
 *
 * Decides: how each type is written, and what a wrong value's message says.
 * Owns: nothing; strings and lists live in the pool.
 * Fails: ERR_PARSE with a message that is complete but for file and line, or ERR_NOMEM.
 */
#ifndef HAWSER_CONFIG_VALUE_H
#define HAWSER_CONFIG_VALUE_H

#include "config/keys.h"
#include "config/pool.h"

/* Reads `text` into the key's targets in `section`, the struct that its offsets are of. */
int value_read(const struct key *key, const char *text, void *section, struct pool *pool,
               struct error *err);

/* What a value of the key may be: "a duration (500ms, 30s, 5m, 24h, 7d)". */
const char *value_type_text(const struct key *key);

/* Letters, digits and "_.-", first a letter, a digit or "_", at most `max` bytes. */
bool value_is_name(const char *text, size_t max);

#endif
