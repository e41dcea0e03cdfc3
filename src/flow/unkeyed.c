#include "flow/unkeyed.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

int unkeyed_init(struct unkeyed *unkeyed, bool on)
{
    *unkeyed = (struct unkeyed){.on = on};
    if (!on)
        return 0;
    unkeyed->ahead = calloc(FLOW_AHEAD_MAX, sizeof *unkeyed->ahead);
    return unkeyed->ahead != NULL ? 0 : ERR_NOMEM;
}

void unkeyed_fini(struct unkeyed *unkeyed)
{
    free(unkeyed->ahead);
    *unkeyed = (struct unkeyed){0};
}

static void empty(struct unkeyed *unkeyed)
{
    unkeyed->first = unkeyed->count = unkeyed->missing = 0;
}

void unkeyed_clear(struct unkeyed *unkeyed)
{
    empty(unkeyed);
    unkeyed->aligned = unkeyed->rejoins = unkeyed->waiting = false;
    unkeyed->drop = unkeyed->store = unkeyed->keep = 0;
}

void unkeyed_align(struct unkeyed *unkeyed)
{
    if (!unkeyed->aligned)
        empty(unkeyed);
    unkeyed->aligned = true;
}

void unkeyed_brought(struct unkeyed *unkeyed, const struct flow_event *item)
{
    uint8_t *key;

    if (unkeyed->count == FLOW_AHEAD_MAX) {
        empty(unkeyed);
        unkeyed->aligned = false;
    }
    key = unkeyed->ahead[(unkeyed->first + unkeyed->count++) % FLOW_AHEAD_MAX];
    if (item->has_key)
        memcpy(key, item->key, 16);
    else
        memset(key, 0, 16);
}

int unkeyed_find(const struct unkeyed *unkeyed, const uint8_t key[16])
{
    for (unsigned i = 0; i < unkeyed->count; i++)
        if (memcmp(unkeyed->ahead[(unkeyed->first + i) % FLOW_AHEAD_MAX], key, 16) == 0)
            return (int)i;
    return -1;
}

void unkeyed_take(struct unkeyed *unkeyed, size_t n)
{
    unkeyed->first = (unkeyed->first + (unsigned)n) % FLOW_AHEAD_MAX;
    unkeyed->count -= (unsigned)n;
}

/* What is no JSON has no copy in sync to wait for: it stays where it came. */
bool unkeyed_is(const struct flow_event *event)
{
    return event->data_kind == FLOW_DATA_JSON && event->id.ptr == NULL &&
           event->position.ptr == NULL && !event->ephemeral && !event->snapshot;
}
