#include <strings.h>

#include "profile/load.h"

static const char header_prefix[] = "header:";

static bool is_token_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* Events of an SSE fallback have an id and a name beside their data. */
static bool has_event_source(const struct loader *l)
{
    for (size_t i = 0; i < l->n_entries; i++)
        if (l->entries[i].key != NULL && strcmp(l->entries[i].section, "fallback") == 0 &&
            strcmp(l->entries[i].key, "transport") == 0 && strcmp(l->entries[i].value, "sse") == 0)
            return true;
    return false;
}

static bool is_event_field(struct slice name)
{
    return (name.len == 2 && strncasecmp(name.ptr, "id", 2) == 0) ||
           (name.len == 5 && strncasecmp(name.ptr, "event", 5) == 0);
}

static int find_header(struct loader *l, struct slice name, struct source *out, struct error *err)
{
    struct profile_private *priv = l->priv;

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

static int header_source(struct loader *l, struct slice name, struct source *out, struct error *err)
{
    struct profile_private *priv = l->priv;
    bool token = name.len != 0;

    if (!priv->header_block && !(has_event_source(l) && is_event_field(name)))
        return error_set(
            err, ERR_PARSE, "`header:" SLICE_FMT "` needs [message] header_block = yes%s",
            SLICE_ARG(name),
            has_event_source(l) ? "; an SSE event has header:id and header:event" : "");
    for (size_t i = 0; i < name.len; i++)
        token = token && is_token_byte(name.ptr[i]);
    if (!token)
        return error_set(err, ERR_PARSE, "`header:" SLICE_FMT "` names no header", SLICE_ARG(name));
    return find_header(l, name, out, err);
}

int load_pointer(struct json_paths *paths, struct slice pointer, unsigned *slot, struct error *err)
{
    int rc = json_paths_add(paths, pointer, slot, err);

    return rc == ERR_NOMEM ? error_set(err, rc, "%s", error_text(rc)) : rc;
}

static int outer_source(struct loader *l, struct slice place, struct source *out, struct error *err)
{
    struct slice pointer = slice_from(place, 1);

    if (l->scope.outer_paths == NULL)
        return error_set(err, ERR_PARSE, "`" SLICE_FMT "`: %s", SLICE_ARG(place),
                         l->scope.no_outer);
    if (pointer.len == 0 || pointer.ptr[0] != '/')
        return error_set(err, ERR_PARSE, "`" SLICE_FMT "`: behind \"^\" stands a JSON Pointer",
                         SLICE_ARG(place));
    out->level = l->scope.outer_level;
    return load_pointer(l->scope.outer_paths, pointer, &out->slot, err);
}

int load_source(struct loader *l, struct slice place, struct source *out, struct error *err)
{
    const size_t n = sizeof(header_prefix) - 1;

    *out = (struct source){0};
    if (slice_starts_with(place, slice_str(header_prefix)))
        return header_source(l, slice_from(place, n), out, err);
    if (slice_eq_str(place, "text")) {
        l->priv->asks_text = true;
        return find_header(l, slice_str(SOURCE_TEXT), out, err);
    }
    if (slice_starts_with(place, SLICE("^")))
        return outer_source(l, place, out, err);
    if (place.len == 0 || place.ptr[0] != '/')
        return error_set(err, ERR_PARSE,
                         "`" SLICE_FMT "` is no JSON Pointer; it must begin with \"/\"",
                         SLICE_ARG(place));
    out->level = l->scope.level;
    return load_pointer(l->scope.paths, place, &out->slot, err);
}

int load_sources(struct loader *l, struct slice text, struct sources *out, struct error *err)
{
    struct source list[PROFILE_SOURCES_MAX];
    struct slice rest = text;
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

/* ---- what pointers lead into ---- */

void load_scope_rules(struct loader *l)
{
    struct framing *framing = &l->priv->framing;

    l->scope = (struct scope){
        .paths = framing->split ? framing->frame_paths : l->priv->message.paths,
        .level = framing->rules,
        .no_outer = framing->split ? "a rule is about the frame, and nothing holds that"
                                   : "there is no [message] split or decode to take it out of"};
    if (framing->decode) {
        l->scope.outer_paths = framing->outer_paths;
        l->scope.outer_level = LEVEL_OUTER;
    }
}

/* Of events: those of the link, or items of a page. */
void load_scope_event(struct loader *l, const struct fields *fields)
{
    load_scope_rules(l);
    l->scope.paths = fields->paths;
    l->scope.level = LEVEL_MESSAGE;
    if (l->priv->framing.split) {
        l->scope.outer_paths = l->priv->framing.frame_paths;
        l->scope.outer_level = LEVEL_FRAME;
    }
}

void load_scope_page(struct loader *l)
{
    l->scope = (struct scope){
        .paths = l->priv->page_paths, .level = LEVEL_MESSAGE, .no_outer = "nothing holds a page"};
}

bool load_expr(struct loader *l, const struct ini_entry *entry, const struct expr **out)
{
    struct expr_names names = load_expr_names(l);
    struct error err = {0};
    bool unset;

    if (expr_parse(l->arena, slice_str(entry->value), &names, out, &unset, &err) != 0)
        load_fault_error(l, entry, &err);
    else if (unset)
        load_fault(l, entry, "%s: names a parameter that has no value", entry->key);
    else
        return true;
    return false;
}
