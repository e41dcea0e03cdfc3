#include <strings.h>

#include "profile/load.h"

static const char header_prefix[] = "header:";

static bool is_token_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static int header_source(struct loader *l, struct slice name, struct source *out, struct error *err)
{
    struct profile_private *priv = l->priv;
    bool token = name.len != 0;

    if (!priv->header_block)
        return error_set(err, ERR_PARSE,
                         "`header:" SLICE_FMT "` needs [message] header_block = yes",
                         SLICE_ARG(name));
    for (size_t i = 0; i < name.len; i++)
        token = token && is_token_byte(name.ptr[i]);
    if (!token)
        return error_set(err, ERR_PARSE, "`header:" SLICE_FMT "` names no header", SLICE_ARG(name));
    out->header = true;
    for (out->slot = 0; out->slot < priv->n_headers; out->slot++) {
        const char *known = priv->headers[out->slot];

        if (strlen(known) == name.len && strncasecmp(known, name.ptr, name.len) == 0)
            return 0;
    }
    if (priv->n_headers == PROFILE_HEADER_NAMES_MAX)
        return error_set(err, ERR_PARSE, "more than %d different headers",
                         PROFILE_HEADER_NAMES_MAX);
    if (priv->headers == NULL)
        priv->headers = arena_alloc(l->arena, PROFILE_HEADER_NAMES_MAX * sizeof(*priv->headers));
    if (priv->headers == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    priv->headers[out->slot] = arena_text(l->arena, name);
    if (priv->headers[out->slot] == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    priv->n_headers++;
    return 0;
}

int load_pointer(struct json_paths *paths, struct slice pointer, unsigned *slot, struct error *err)
{
    int rc = json_paths_add(paths, pointer, slot, err);

    return rc == ERR_NOMEM ? error_set(err, rc, "%s", error_text(rc)) : rc;
}

int load_source(struct loader *l, struct slice place, struct source *out, struct error *err)
{
    const size_t n = sizeof(header_prefix) - 1;

    *out = (struct source){0};
    if (slice_starts_with(place, slice_str(header_prefix)))
        return header_source(l, slice_from(place, n), out, err);
    if (place.len == 0 || place.ptr[0] != '/')
        return error_set(err, ERR_PARSE,
                         "`" SLICE_FMT "` is no JSON Pointer; it must begin with \"/\"",
                         SLICE_ARG(place));
    return load_pointer(l->fields->paths, place, &out->slot, err);
}

int load_sources(struct loader *l, const char *text, struct sources *out, struct error *err)
{
    struct source list[PROFILE_SOURCES_MAX];
    struct slice rest = slice_str(text);
    unsigned n = 0;
    bool more = true;

    while (more) {
        const char *bar = slice_find_byte(rest, '|');
        size_t len = bar != NULL ? (size_t)(bar - rest.ptr) : rest.len;
        int rc;

        if (n == PROFILE_SOURCES_MAX)
            return error_set(err, ERR_PARSE, "more than %d places", PROFILE_SOURCES_MAX);
        rc = load_source(l, slice_trim(slice_make(rest.ptr, len)), &list[n++], err);
        if (rc != 0)
            return rc;
        more = bar != NULL;
        rest = slice_from(rest, len + 1);
    }
    out->at = arena_copy(l->arena, list, n, sizeof(list[0]));
    if (out->at == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    out->n = n;
    return 0;
}

static int expr_source(void *arg, struct slice place, struct source *out, struct error *err)
{
    return load_source(arg, place, out, err);
}

struct expr_names load_expr_names(struct loader *l)
{
    return (struct expr_names){expr_source, load_resolver(l), l};
}
