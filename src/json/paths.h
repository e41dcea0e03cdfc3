/*
 * paths: the compiled pointers as scan.c walks them; for the files of this room only.
 *
 * A trie: node 0 is the whole text, a child is one reference token further. Nodes name each other
 * by index, since the array moves when it grows.
 */
#ifndef HAWSER_JSON_PATHS_H
#define HAWSER_JSON_PATHS_H

#include "json/json.h"

enum { PATHS_ROOT = 0 };
#define PATHS_NONE UINT32_MAX /* no node, no slot, no array index */

struct paths_node {
    uint32_t slot; /* PATHS_NONE for a node that is only on the way to others */
    uint32_t parent;
    uint32_t first_child;
    uint32_t next_sibling;
    uint32_t name_at; /* the token, unescaped, in json_paths.names */
    uint32_t name_len;
    uint32_t index; /* the token as an array index, or PATHS_NONE */
    /* Bit n: a child's name is n bytes long (63: that or longer). It tells most members that lead
     * nowhere at one glance. */
    uint64_t child_lens;
};

static inline uint64_t paths_len_bit(size_t len)
{
    return UINT64_C(1) << (len < 63 ? len : 63);
}

struct json_paths {
    struct paths_node *nodes;
    uint32_t n_nodes;
    uint32_t cap_nodes;
    uint32_t n_slots;
    struct buf names;
};

/* The child that a member's name leads to: `raw` is the name with its quotes. */
uint32_t paths_child_named(const struct json_paths *paths, uint32_t node, struct slice raw,
                           bool escaped);

/* The child that an array's element number `index` leads to. */
uint32_t paths_child_at(const struct json_paths *paths, uint32_t node, uint32_t index);

/* Empties the slots of a node and of all below it. */
void paths_forget(const struct json_paths *paths, uint32_t node, struct json_value *slots);

#endif
