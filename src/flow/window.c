/* Open addressing with linear probing; a removal closes its hole, so there are no tombstones. */
#include "flow/window.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

int window_init(struct window *window, unsigned capacity)
{
    uint32_t places = 2 * WINDOW_CAPACITY_MIN;

    if (capacity < WINDOW_CAPACITY_MIN || capacity > WINDOW_CAPACITY_MAX)
        return ERR_INVAL;
    while (places < 2 * capacity)
        places *= 2;
    *window = (struct window){.mask = places - 1, .capacity = capacity};
    window->ring = calloc(capacity, sizeof *window->ring);
    window->table = calloc(places, sizeof *window->table);
    if (window->ring == NULL || window->table == NULL) {
        window_fini(window);
        return ERR_NOMEM;
    }
    return 0;
}

void window_fini(struct window *window)
{
    free(window->ring);
    free(window->table);
    *window = (struct window){0};
}

void window_clear(struct window *window)
{
    /* Of an empty one not a page is touched: most streams never fill theirs. */
    if (window->count > 0)
        memset(window->table, 0, ((size_t)window->mask + 1) * sizeof *window->table);
    window->count = 0;
    window->oldest = 0;
}

static uint32_t tag_of(const uint8_t key[16])
{
    uint32_t tag;

    memcpy(&tag, key, sizeof tag);
    return tag;
}

/* The place of the key, or the free place where it belongs. */
static uint32_t find(const struct window *window, const uint8_t key[16])
{
    uint32_t tag = tag_of(key);
    uint32_t at = tag & window->mask;

    for (; window->table[at].entry != 0; at = (at + 1) & window->mask) {
        if (window->table[at].tag == tag &&
            memcmp(window->ring[window->table[at].entry - 1], key, 16) == 0)
            break;
    }
    return at;
}

bool window_has(const struct window *window, const uint8_t key[16])
{
    /* If the key is new, the oldest will leave: have its place at hand by then. */
    __builtin_prefetch(&window->table[tag_of(window->ring[window->oldest]) & window->mask], 1);
    return window->table[find(window, key)].entry != 0;
}

static void remove_oldest(struct window *window)
{
    uint32_t hole = tag_of(window->ring[window->oldest]) & window->mask;
    uint32_t at;

    while (window->table[hole].entry != window->oldest + 1)
        hole = (hole + 1) & window->mask;
    at = hole;

    for (;;) {
        at = (at + 1) & window->mask;
        if (window->table[at].entry == 0)
            break;
        /* What would like to be at the hole or before it may move there, nothing else. */
        uint32_t wish = window->table[at].tag & window->mask;
        if (((at - wish) & window->mask) >= ((at - hole) & window->mask)) {
            window->table[hole] = window->table[at];
            hole = at;
        }
    }
    window->table[hole].entry = 0;
    window->oldest = window->oldest + 1 == window->capacity ? 0 : window->oldest + 1;
    window->count--;
}

/* The index into the ring of the n-th oldest. */
static uint32_t ring_index(const struct window *window, uint32_t n)
{
    uint32_t index = window->oldest + n;

    return index >= window->capacity ? index - window->capacity : index;
}

const uint8_t *window_newest(const struct window *window)
{
    return window->count > 0 ? window->ring[ring_index(window, window->count - 1)] : NULL;
}

/* What is kept moves to the old end, so no key is written over before it was read. */
void window_drop(struct window *window, bool (*is)(const uint8_t key[16]))
{
    uint32_t count = window->count, oldest = window->oldest;

    window_clear(window);
    window->oldest = oldest;
    for (uint32_t n = 0; n < count; n++) {
        uint8_t key[16];

        memcpy(key, window->ring[ring_index(window, n)], sizeof key);
        if (!is(key))
            window_add(window, key);
    }
}

void window_add(struct window *window, const uint8_t key[16])
{
    uint32_t at = find(window, key);
    uint32_t index;

    if (window->table[at].entry != 0)
        return;
    if (window->count == window->capacity) {
        remove_oldest(window);
        at = find(window, key);
    }
    index = ring_index(window, window->count);
    memcpy(window->ring[index], key, 16);
    window->table[at] = (struct window_place){.tag = tag_of(key), .entry = index + 1};
    window->count++;
}
