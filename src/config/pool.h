/*
 * pool: memory that is given back all at once; for the files of this room only.
 *
 * Decides: nothing. Leaves: the bound, to the limits of files and lines.
 * Owns: all that it gave out. A pool that is all zero is empty.
 * Fails: with NULL when there is no memory.
 */
#ifndef HAWSER_CONFIG_POOL_H
#define HAWSER_CONFIG_POOL_H

#include <stddef.h>

#include "base/slice.h"

struct pool {
    struct pool_block *blocks;
};

/* Zeroed, aligned for any type. */
void *pool_alloc(struct pool *pool, size_t size);

/* A NUL-terminated copy. */
const char *pool_dup(struct pool *pool, struct slice s);

void pool_fini(struct pool *pool);

#endif
