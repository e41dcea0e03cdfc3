/*
 * The scanner: one loop over the bytes, with its own stack of open containers instead of
 * recursion. Each open container remembers its node in the trie of pointers; in a container that
 * no pointer leads into the node is PATHS_NONE, and its members are checked but not looked up.
 */
#include "base/limits.h"
#include "json/lex.h"
#include "json/paths.h"

struct frame {
    const char *start; /* the opening bracket */
    uint32_t node;
    uint32_t index; /* of the element that comes next, in an array */
};

struct scan {
    const struct json_paths *paths;
    struct json_value *slots;
    const char *end;
    const char *wrong; /* set when a function returns NULL */
    unsigned depth;
    struct frame frames[LIMIT_JSON_DEPTH];
};

static const char *fail(struct scan *s, const char *at)
{
    s->wrong = at;
    return NULL;
}

/* The value from `start` to `end` is the node's, if a pointer ends there. */
static void keep(struct scan *s, uint32_t node, enum json_type type, bool escaped,
                 const char *start, const char *end)
{
    uint32_t slot;

    if (node == PATHS_NONE)
        return;
    slot = s->paths->nodes[node].slot;
    if (slot != PATHS_NONE)
        s->slots[slot] = (struct json_value){type, escaped, {start, (size_t)(end - start)}};
}

/* A value that is no container. */
static const char *scan_scalar(struct scan *s, const char *p, uint32_t node)
{
    enum json_type type = JSON_NUMBER;
    const char *start = p;
    bool escaped = false;

    switch (*p) {
    case '"':
        type = JSON_STRING;
        p = lex_string(p + 1, s->end, &escaped, &s->wrong);
        break;
    case 't':
        type = JSON_TRUE;
        p = lex_literal(p, s->end, "true", &s->wrong);
        break;
    case 'f':
        type = JSON_FALSE;
        p = lex_literal(p, s->end, "false", &s->wrong);
        break;
    case 'n':
        type = JSON_NULL;
        p = lex_literal(p, s->end, "null", &s->wrong);
        break;
    default:
        p = lex_number(p, s->end, &s->wrong);
        break;
    }
    if (p == NULL)
        return NULL;
    keep(s, node, type, escaped, start, p);
    return p;
}

/* A member's name and colon; finds the node of its value. */
static const char *scan_name(struct scan *s, const char *p, uint32_t *node)
{
    uint32_t parent = s->frames[s->depth - 1].node;
    const char *start = p;
    bool escaped;

    if (p == s->end || *p != '"')
        return fail(s, p);
    p = lex_string(p + 1, s->end, &escaped, &s->wrong);
    if (p == NULL)
        return NULL;
    *node = PATHS_NONE;
    if (parent != PATHS_NONE) {
        *node =
            paths_child_named(s->paths, parent, slice_make(start, (size_t)(p - start)), escaped);
        /* Of members of one name the last wins, also over what lay inside an earlier one. */
        if (*node != PATHS_NONE && s->paths->nodes[*node].first_child != PATHS_NONE)
            paths_forget(s->paths, *node, s->slots);
    }
    p = lex_blank(p, s->end);
    if (p == s->end || *p != ':')
        return fail(s, p);
    return p + 1;
}

/* Whatever stands before the next value of the innermost container; finds the value's node. */
static const char *scan_before_value(struct scan *s, const char *p, uint32_t *node)
{
    struct frame *frame = &s->frames[s->depth - 1];

    if (*frame->start == '{')
        return scan_name(s, lex_blank(p, s->end), node);
    *node = PATHS_NONE;
    if (frame->node != PATHS_NONE)
        *node = paths_child_at(s->paths, frame->node, frame->index++);
    return p;
}

/* The innermost container ends with the bracket at `p`. */
static const char *scan_close(struct scan *s, const char *p)
{
    const struct frame *frame = &s->frames[--s->depth];

    keep(s, frame->node, *frame->start == '{' ? JSON_OBJECT : JSON_ARRAY, false, frame->start,
         p + 1);
    return p + 1;
}

/* The brackets' codes: ']' is '[' + 2, '}' is '{' + 2. */
static char closing(const struct frame *frame)
{
    return (char)(*frame->start + 2);
}

/* After a value: closes what ends here. Returns past the comma, or past everything. */
static const char *scan_after_value(struct scan *s, const char *p)
{
    for (;;) {
        p = lex_blank(p, s->end);
        if (s->depth == 0)
            return p == s->end ? p : fail(s, p);
        if (p == s->end)
            return fail(s, p);
        if (*p == ',')
            return p + 1;
        if (*p != closing(&s->frames[s->depth - 1]))
            return fail(s, p);
        p = scan_close(s, p);
    }
}

static const char *scan_text(struct scan *s, const char *p, uint32_t node)
{
    do {
        p = lex_blank(p, s->end);
        if (p == s->end)
            return fail(s, p);
        if (*p == '{' || *p == '[') {
            if (s->depth == LIMIT_JSON_DEPTH)
                return fail(s, p);
            s->frames[s->depth++] = (struct frame){.start = p, .node = node};
            p = lex_blank(p + 1, s->end);
            if (p == s->end)
                return fail(s, p);
            if (*p != closing(&s->frames[s->depth - 1])) {
                p = scan_before_value(s, p, &node);
                continue;
            }
            p = scan_close(s, p);
        } else {
            p = scan_scalar(s, p, node);
            if (p == NULL)
                return NULL;
        }
        p = scan_after_value(s, p);
        if (p != NULL && s->depth != 0)
            p = scan_before_value(s, p, &node);
    } while (p != NULL && s->depth != 0);
    return p;
}

int json_scan(const struct json_paths *paths, struct slice text, struct json_value *slots,
              size_t *error_offset)
{
    const char *start = slice_chars(text);
    struct scan s;
    const char *p;

    /* Not the frames: they are written before they are read, and there are many. */
    s.paths = paths;
    s.slots = slots;
    s.end = start + text.len;
    s.wrong = start;
    s.depth = 0;
    for (unsigned i = 0; paths != NULL && i < paths->n_slots; i++)
        slots[i] = (struct json_value){.type = JSON_ABSENT};
    p = scan_text(&s, start, paths != NULL ? (uint32_t)PATHS_ROOT : PATHS_NONE);
    if (p != NULL)
        return 0;
    if (error_offset != NULL)
        *error_offset = (size_t)(s.wrong - start);
    return ERR_PARSE;
}
