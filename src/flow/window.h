/*
 * window.h: the newest N keys of a stream.
 *
 * Decides: whether a key is among the last N that were added. Exact: the N+1st pushes out the
 * first. Leaves: what a key stands for. Keys come out of SipHash, so their bytes serve as hash
 * values. Owns: a ring of N keys (16 N bytes) and a table of at least 2 N and under 4 N places of 8
 * bytes; all of it is allocated at window_init and none later. A key that is found or missed costs
 * about one cache miss.
 */
#ifndef HAWSER_FLOW_WINDOW_H
#define HAWSER_FLOW_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_CAPACITY_MIN 16
#define WINDOW_CAPACITY_MAX (1u << 28)

struct window_place {
    uint32_t tag;   /* of the key; its low bits say where it would like to be */
    uint32_t entry; /* 1 + index into the ring; 0: the place is free */
};

struct window {
    uint8_t (*ring)[16];
    struct window_place *table;
    uint32_t mask;     /* of the table */
    uint32_t capacity; /* of the ring */
    uint32_t count;
    uint32_t oldest; /* index into the ring */
};

/* ERR_INVAL: capacity out of bounds. ERR_NOMEM. */
int window_init(struct window *window, unsigned capacity);
void window_fini(struct window *window);
void window_clear(struct window *window);
bool window_has(const struct window *window, const uint8_t key[16]);
/* The key added last, or NULL. */
const uint8_t *window_newest(const struct window *window);
/* A key that is there already stays where it is. */
void window_add(struct window *window, const uint8_t key[16]);
/* Without those that are so; the others keep their order. Looks at all of them. */
void window_drop(struct window *window, bool (*is)(const uint8_t key[16]));

#endif
