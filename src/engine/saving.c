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

struct store_state *saving_find(struct store_state *states, size_t n, struct slice key)
{
    for (size_t i = 0; i < n; i++)
        if (slice_eq(states[i].key, key))
            return &states[i];
    return NULL;
}

int saving_put(struct saving *saving, struct store_state *states, size_t *n, struct slice key,
               struct slice value)
{
    if (key.len == 0 || key.len > STORE_STATE_KEY || value.len > STORE_STATE_VALUE)
        return ERR_INVAL;
    struct store_state *state = saving_find(states, *n, key);
    size_t at = state != NULL ? (size_t)(state - states) : *n;
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
    if (at == *n)
        ++*n;
    return 0;
}

void saving_clear(struct saving *saving, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (saving->values[i].len > SAVING_KEEP)
            buf_fini(&saving->values[i]);
        buf_clear(&saving->values[i]);
    }
}
