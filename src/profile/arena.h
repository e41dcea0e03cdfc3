/*
 * arena.h - memory that is given back all at once.
 *
 * Decides: where the small pieces of a compiled profile lie.
 * Leaves: what they are, to the caller.
 * Owns: all that it handed out, until arena_fini().
 * Fails: NULL without memory; the arena then stays failed, so that a caller may check once.
 */
#ifndef HAWSER_PROFILE_ARENA_H
#define HAWSER_PROFILE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks;
    bool failed;
};

void arena_init(struct arena *arena);
void arena_fini(struct arena *arena);

/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t size);

/* A copy with a NUL behind it. */
char *arena_text(struct arena *arena, struct slice text);
struct slice arena_slice(struct arena *arena, struct slice text);

/* A copy of n items of `size` bytes. */
void *arena_copy(struct arena *arena, const void *items, size_t n, size_t size);

#endif
