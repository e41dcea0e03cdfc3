/* [catchup], when all keys are known: what it asks, and what it reads from the answer. */
#include "profile/load.h"

static const struct http *find_catchup_http(struct loader *l)
{
    unsigned i;

    if (l->catchup_http == NULL) {
        load_fault(l, l->catchup_via, "via: http needs `http = NAME` too");
        return NULL;
    }
    i = load_http_named(l, l->catchup_http);
    if (i == PROFILE_NONE)
        return NULL;
    l->profile->catchup.http = i;
    return &l->priv->https[i];
}

/* The position itself, or a variable that stands for the session. */
static bool sends_position(const struct loader *l)
{
    for (unsigned i = 0; i < l->profile->n_sends; i++) {
        const struct template *text = &l->priv->sends[i].text;

        if (template_uses(text, SLICE("position")))
            return true;
        for (unsigned j = 0; j < l->n_variables; j++)
            if (template_uses(text, slice_str(l->variables[j])))
                return true;
    }
    return false;
}

/* The first page is the newest; that a position bounds what is asked for is not needed. */
static void check_descending(struct loader *l, const struct http *http)
{
    if (l->next != NULL && !load_http_uses(http, SLICE("next")))
        load_fault(l, l->order, "order: desc, but nothing in [http %s] carries ${next}",
                   http->name);
}

static void check_via(struct loader *l)
{
    const struct http *http = NULL;

    switch (l->profile->catchup.via) {
    case PROFILE_CATCHUP_NONE:
        return;
    case PROFILE_CATCHUP_SESSION:
        if (!sends_position(l))
            load_fault(l, l->catchup_via,
                       "via: session, but no [send] carries ${position} or a captured variable");
        return;
    case PROFILE_CATCHUP_HTTP:
        http = find_catchup_http(l);
        break;
    case PROFILE_CATCHUP_URL:
        http = &l->priv->connect;
        break;
    }
    if (l->position == NULL && l->map_position == NULL)
        load_fault(l, l->catchup_via,
                   "via: there is nothing to resume from without [event] position");
    else if (http != NULL && l->profile->catchup.descending)
        check_descending(l, http);
    else if (http != NULL && !load_http_uses(http, SLICE("position")))
        load_fault(l, l->catchup_via, "via: nothing in %s%s%s carries ${position}",
                   http->name != NULL ? "[http " : "[connect", http->name != NULL ? http->name : "",
                   "]");
}

/* What only pages have a use for. */
static void check_pages(struct loader *l)
{
    const struct profile *p = l->profile;

    if (p->catchup.via == PROFILE_CATCHUP_HTTP)
        return;
    if (p->catchup.audit_ms != 0)
        load_fault(l, l->audit, "audit: needs via = http");
    if (p->catchup.descending)
        load_fault(l, l->order, "order: desc needs via = http");
}

static void check_tip(struct loader *l)
{
    if (l->tip == NULL)
        return;
    l->profile->catchup.tip = load_http_named(l, l->tip);
    if (l->position == NULL && l->map_position == NULL)
        load_fault(l, l->tip, "tip: there is no position to learn without [event] position");
}

/* Whose answers are pages. They are read alike, since a page does not say what it answers. */
static const struct http *find_pages(struct loader *l)
{
    const struct profile *p = l->profile;
    const unsigned https[] = {p->catchup.via == PROFILE_CATCHUP_HTTP ? p->catchup.http
                                                                     : PROFILE_NONE,
                              p->catchup.tip, p->fallback.http};
    const struct http *first = NULL;

    for (size_t i = 0; i < sizeof(https) / sizeof(https[0]); i++) {
        const struct http *http = https[i] < l->priv->n_https ? &l->priv->https[https[i]] : NULL;

        if (first == NULL)
            first = http;
        else if (http != NULL && http->ndjson != first->ndjson)
            diag_add(l->diag, http->file, http->line,
                     "[http %s] and [http %s] must have the same `format`; both are read as pages",
                     http->name, first->name);
    }
    return first;
}

/* The whole body is the list where the profile names none. */
static void compile_page(struct loader *l)
{
    const struct ini_entry *const inside[] = {l->items, l->next, l->more, l->gone};
    struct profile_private *priv = l->priv;
    const struct http *http = find_pages(l);

    priv->page_ndjson = http != NULL && http->ndjson;
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]) && priv->page_ndjson; i++)
        if (inside[i] != NULL)
            load_fault(l, inside[i], "%s: [http %s] has format = ndjson, an item a line",
                       inside[i]->key, http->name);
    load_scope_page(l);
    if (l->gone != NULL)
        load_expr(l, l->gone, &priv->gone);
    if (priv->items_pointer != NULL)
        return;
    priv->items_pointer = "";
    if (json_paths_add(priv->page_paths, SLICE(""), &priv->page_items, NULL) != 0)
        l->arena->failed = true;
}

void load_check_catchup(struct loader *l)
{
    check_via(l);
    check_pages(l);
    check_tip(l);
    compile_page(l);
}
