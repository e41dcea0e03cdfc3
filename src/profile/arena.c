#include "profile/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_CHUNK_BYTES 4096

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, size;
    alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

void arena_fini(struct arena *arena)
{
    while (arena->chunks != NULL) {
        struct arena_chunk *next = arena->chunks->next;

        free(arena->chunks);
        arena->chunks = next;
    }
    arena->failed = false;
}

static struct arena_chunk *add_chunk(struct arena *arena, size_t size)
{
    size_t room = size > ARENA_CHUNK_BYTES ? size : ARENA_CHUNK_BYTES;
    struct arena_chunk *chunk = calloc(1, sizeof(*chunk) + room);

    if (chunk == NULL) {
        arena->failed = true;
        return NULL;
    }
    chunk->size = room;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t need = (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    struct arena_chunk *chunk = arena->chunks;

    if (chunk == NULL || chunk->size - chunk->used < need) {
        chunk = add_chunk(arena, need);
        if (chunk == NULL)
            return NULL;
    }
    chunk->used += need;
    return chunk->bytes + chunk->used - need;
}

char *arena_text(struct arena *arena, struct slice text)
{
    char *copy = arena_alloc(arena, text.len + 1);

    if (copy != NULL && text.len != 0)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

struct slice arena_slice(struct arena *arena, struct slice text)
{
    char *copy = arena_text(arena, text);

    return slice_make(copy, copy != NULL ? text.len : 0);
}

void *arena_copy(struct arena *arena, const void *items, size_t n, size_t size)
{
    void *copy = arena_alloc(arena, n * size);

    if (copy != NULL && n != 0)
        memcpy(copy, items, n * size);
    return copy;
}
