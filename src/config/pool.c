#include "config/pool.h"

#include <stdlib.h>

struct pool_block {
    struct pool_block *next;
    max_align_t data[];
};

void *pool_alloc(struct pool *pool, size_t size)
{
    struct pool_block *block = calloc(1, sizeof *block + size);

    if (block == NULL)
        return NULL;
    block->next = pool->blocks;
    pool->blocks = block;
    return block->data;
}

const char *pool_dup(struct pool *pool, struct slice s)
{
    char *copy = pool_alloc(pool, s.len + 1);

    if (copy != NULL && s.len != 0)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

void pool_fini(struct pool *pool)
{
    while (pool->blocks != NULL) {
        struct pool_block *block = pool->blocks;

        pool->blocks = block->next;
        free(block);
    }
}
