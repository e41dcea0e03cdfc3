#include "engine/saving.h"

#include <string.h>

void saving_init(struct saving *saving)
{
    for (size_t i = 0; i < HUB_BATCH_STATES; i++)
        buf_init(&saving->values[i], STORE_STATE_VALUE);
}

void saving_fini(struct saving *saving)
{
    for (size_t i = 0; i < HUB_BATCH_STATES; i++)
        buf_fini(&saving->values[i]);
}

/* FNV-1a: who chooses the names may at worst make its own saves slow. */
static size_t hash(struct slice key)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ (unsigned char)key.ptr[i]) * 1099511628211u;
    return (size_t)(h ^ h >> 32) % SAVING_PLACES;
}

/* Where the key is, or would be. */
static size_t place_of(const struct saving *saving, const struct store_state *states,
                       struct slice key)
{
    size_t at = hash(key);
    while (saving->places[at] != 0 && !slice_eq(states[saving->places[at] - 1].key, key))
        at = (at + 1) % SAVING_PLACES;
    return at;
}

struct store_state *saving_find(const struct saving *saving, struct store_state *states,
                                struct slice key)
{
    size_t number = saving->places[place_of(saving, states, key)];
    return number != 0 ? &states[number - 1] : NULL;
}

int saving_put(struct saving *saving, struct store_state *states, size_t *n, struct slice key,
               struct slice value)
{
    if (key.len == 0 || key.len > STORE_STATE_KEY || value.len > STORE_STATE_VALUE)
        return ERR_INVAL;
    size_t place = place_of(saving, states, key);
    size_t at = saving->places[place] != 0 ? saving->places[place] - 1u : *n;
    if (at == HUB_BATCH_STATES)
        return ERR_AGAIN;
    struct buf *copy = &saving->values[at];
    if (value.len > copy->len && buf_reserve(copy, value.len - copy->len) != 0)
        return ERR_NOMEM;
    buf_clear(copy);
    (void)buf_append_slice(copy, value); /* it has the room */
    memcpy(saving->keys[at], key.ptr, key.len);
    states[at] = (struct store_state){.key = slice_make(saving->keys[at], key.len),
                                      .value = slice_make(value.ptr == NULL ? NULL
                                                          : value.len > 0   ? copy->data
                                                                            : "",
                                                          value.len)};
    saving->places[place] = (uint16_t)(at + 1);
    if (at == *n)
        ++*n;
    return 0;
}

void saving_clear(struct saving *saving, size_t n)
{
    if (n > 0)
        memset(saving->places, 0, sizeof(saving->places));
    for (size_t i = 0; i < n; i++) {
        if (saving->values[i].len > SAVING_KEEP)
            buf_fini(&saving->values[i]);
        buf_clear(&saving->values[i]);
    }
}
