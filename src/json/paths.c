#include "json/paths.h"

#include <stdlib.h>

int json_paths_new(struct json_paths **out)
{
    struct json_paths *paths = calloc(1, sizeof *paths);

    if (paths == NULL)
        return ERR_NOMEM;
    paths->nodes = malloc(sizeof *paths->nodes);
    if (paths->nodes == NULL) {
        free(paths);
        return ERR_NOMEM;
    }
    paths->cap_nodes = 1;
    paths->n_nodes = 1;
    paths->nodes[PATHS_ROOT] = (struct paths_node){
        .slot = PATHS_NONE,
        .parent = PATHS_NONE,
        .first_child = PATHS_NONE,
        .next_sibling = PATHS_NONE,
        .index = PATHS_NONE,
    };
    /* Names are found by 32-bit offsets. */
    buf_init(&paths->names, UINT32_MAX - 1);
    *out = paths;
    return 0;
}

void json_paths_free(struct json_paths *paths)
{
    if (paths == NULL)
        return;
    buf_fini(&paths->names);
    free(paths->nodes);
    free(paths);
}

unsigned json_paths_count(const struct json_paths *paths)
{
    return paths->n_slots;
}

static struct slice node_name(const struct json_paths *paths, const struct paths_node *node)
{
    return slice_make(paths->names.data + node->name_at, node->name_len);
}

/* RFC 6901, section 3; counts the tokens. */
static int check_pointer(struct slice pointer, size_t *tokens, struct error *err)
{
    *tokens = 0;
    if (pointer.len != 0 && pointer.ptr[0] != '/')
        return error_set(err, ERR_PARSE, "pointer \"" SLICE_FMT "\" does not start with \"/\"",
                         SLICE_ARG(pointer));
    for (size_t i = 0; i < pointer.len; i++) {
        if (pointer.ptr[i] == '/')
            ++*tokens;
        if (pointer.ptr[i] == '~' &&
            (i + 1 == pointer.len || (pointer.ptr[i + 1] != '0' && pointer.ptr[i + 1] != '1')))
            return error_set(err, ERR_PARSE,
                             "pointer \"" SLICE_FMT "\": \"~\" is written \"~0\", and \"/\" in a "
                             "name \"~1\"",
                             SLICE_ARG(pointer));
    }
    return 0;
}

/* Room for all that one pointer can add, so that the adding itself cannot fail halfway. */
static int reserve(struct json_paths *paths, size_t tokens, size_t name_bytes)
{
    size_t need = paths->n_nodes + tokens;
    size_t cap = (size_t)paths->cap_nodes * 2;
    struct paths_node *nodes;
    int rc = buf_reserve(&paths->names, name_bytes);

    if (rc != 0)
        return rc;
    if (need <= paths->cap_nodes)
        return 0;
    if (need >= PATHS_NONE)
        return ERR_LIMIT;
    if (cap < need)
        cap = need;
    if (cap >= PATHS_NONE)
        cap = PATHS_NONE - 1;
    nodes = reallocarray(paths->nodes, cap, sizeof *nodes);
    if (nodes == NULL)
        return ERR_NOMEM;
    paths->nodes = nodes;
    paths->cap_nodes = (uint32_t)cap;
    return 0;
}

/* RFC 6901, section 4: digits without a leading zero. */
static uint32_t token_index(struct slice token)
{
    uint64_t index;

    if (token.len > 1 && token.ptr[0] == '0')
        return PATHS_NONE;
    if (slice_parse_u64(token, &index) != 0 || index >= PATHS_NONE)
        return PATHS_NONE;
    return (uint32_t)index;
}

/* Appends the token's text behind the names; `paths->names.len` still points before it. */
static struct slice unescape_token(struct json_paths *paths, struct slice token)
{
    char *to = paths->names.data + paths->names.len;
    size_t len = 0;

    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] == '~')
            to[len++] = token.ptr[++i] == '0' ? '~' : '/';
        else
            to[len++] = token.ptr[i];
    }
    return slice_make(to, len);
}

/* The child for a token, made if there is none yet. */
static uint32_t obtain_child(struct json_paths *paths, uint32_t parent, struct slice token)
{
    struct slice name = unescape_token(paths, token);
    uint32_t child = paths->nodes[parent].first_child;

    while (child != PATHS_NONE && !slice_eq(node_name(paths, &paths->nodes[child]), name))
        child = paths->nodes[child].next_sibling;
    if (child != PATHS_NONE)
        return child;
    child = paths->n_nodes++;
    paths->nodes[child] = (struct paths_node){
        .slot = PATHS_NONE,
        .parent = parent,
        .first_child = PATHS_NONE,
        .next_sibling = paths->nodes[parent].first_child,
        .name_at = (uint32_t)paths->names.len,
        .name_len = (uint32_t)name.len,
        .index = token_index(name),
    };
    paths->nodes[parent].first_child = child;
    paths->nodes[parent].child_lens |= paths_len_bit(name.len);
    paths->names.len += name.len;
    return child;
}

int json_paths_add(struct json_paths *paths, struct slice pointer, unsigned *slot,
                   struct error *err)
{
    uint32_t node = PATHS_ROOT;
    size_t tokens;
    int rc = check_pointer(pointer, &tokens, err);

    if (rc != 0)
        return rc;
    /* One byte more: the names have memory even when all of them are empty. */
    rc = reserve(paths, tokens, pointer.len + 1);
    if (rc != 0)
        return error_set(err, rc, "pointer \"" SLICE_FMT "\": %s", SLICE_ARG(pointer),
                         error_text(rc));
    while (pointer.len != 0) {
        struct slice rest = slice_from(pointer, 1);
        const char *slash = slice_find_byte(rest, '/');
        size_t len = slash != NULL ? (size_t)(slash - rest.ptr) : rest.len;

        node = obtain_child(paths, node, slice_make(rest.ptr, len));
        pointer = slice_from(rest, len);
    }
    if (paths->nodes[node].slot == PATHS_NONE)
        paths->nodes[node].slot = paths->n_slots++;
    *slot = paths->nodes[node].slot;
    return 0;
}

/* The child whose name a string with escapes spells. */
static uint32_t child_spelt(const struct json_paths *paths, uint32_t child, struct slice raw)
{
    struct json_value name = {.type = JSON_STRING, .escaped = true, .raw = raw};

    while (child != PATHS_NONE && !json_string_eq(&name, node_name(paths, &paths->nodes[child])))
        child = paths->nodes[child].next_sibling;
    return child;
}

uint32_t paths_child_named(const struct json_paths *paths, uint32_t node, struct slice raw,
                           bool escaped)
{
    struct slice text = slice_make(raw.ptr + 1, raw.len - 2);
    uint32_t child = paths->nodes[node].first_child;

    if (escaped)
        return child_spelt(paths, child, raw);
    if ((paths->nodes[node].child_lens & paths_len_bit(text.len)) == 0)
        return PATHS_NONE;
    while (child != PATHS_NONE && !slice_eq(node_name(paths, &paths->nodes[child]), text))
        child = paths->nodes[child].next_sibling;
    return child;
}

uint32_t paths_child_at(const struct json_paths *paths, uint32_t node, uint32_t index)
{
    uint32_t child = paths->nodes[node].first_child;

    while (child != PATHS_NONE && paths->nodes[child].index != index)
        child = paths->nodes[child].next_sibling;
    return child;
}

void paths_forget(const struct json_paths *paths, uint32_t node, struct json_value *slots)
{
    const struct paths_node *nodes = paths->nodes;
    uint32_t at = node;

    for (;;) {
        if (nodes[at].slot != PATHS_NONE)
            slots[nodes[at].slot] = (struct json_value){.type = JSON_ABSENT};
        if (nodes[at].first_child != PATHS_NONE) {
            at = nodes[at].first_child;
            continue;
        }
        while (at != node && nodes[at].next_sibling == PATHS_NONE)
            at = nodes[at].parent;
        if (at == node)
            return;
        at = nodes[at].next_sibling;
    }
}
