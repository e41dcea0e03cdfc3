/* What shows only when every key is known, and what is built from several of them. */
#include <stdlib.h>

#include "profile/load.h"
#include "profile/policy.h"

/* ---- requests ---- */

static void check_requests(struct loader *l)
{
    const struct profile_private *priv = l->priv;

    if (priv->connect.file == NULL)
        diag_add(l->diag, l->path, 1, "[connect] has no `url`");
    for (unsigned i = 0; i < priv->n_https; i++) {
        const struct http *http = &priv->https[i];

        if (http->url.n == 0 && !http->url.omitted)
            diag_add(l->diag, http->file, http->line, "[http %s] has no `url`", http->name);
    }
}

bool load_http_uses(const struct http *http, struct slice name)
{
    bool found = template_uses(&http->url, name);

    for (unsigned i = 0; i < http->n_query; i++)
        found |= template_uses(&http->query[i].value, name);
    for (unsigned i = 0; i < http->n_header; i++)
        found |= template_uses(&http->header[i].value, name);
    for (unsigned i = 0; i < http->n_body; i++)
        found |= template_uses(&http->body[i], name);
    return found;
}

unsigned load_http_find(const struct loader *l, struct slice name)
{
    for (unsigned i = 0; i < l->priv->n_https; i++)
        if (slice_eq_str(name, l->priv->https[i].name))
            return i;
    return PROFILE_NONE;
}

/* ---- fingerprint ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct param *const *)a)->name, (*(const struct param *const *)b)->name);
}

static void make_fingerprint(struct loader *l)
{
    const struct param *sorted[PROFILE_PARAMS_MAX];
    struct buf text;
    size_t n = 0;

    for (unsigned i = 0; i < l->n_params; i++)
        if (!l->params[i].secret && l->params[i].value != NULL)
            sorted[n++] = &l->params[i];
    if (n != 0)
        qsort(sorted, n, sizeof(sorted[0]), by_name);
    buf_init(&text, BUF_UNBOUNDED);
    l->arena->failed |= buf_appendf(&text, "%s\n" SLICE_FMT "\n", l->profile->name,
                                    SLICE_ARG(l->priv->connect.head.authority)) != 0;
    for (size_t i = 0; i < n; i++)
        l->arena->failed |= buf_appendf(&text, "%s=%s\n", sorted[i]->name, sorted[i]->value) != 0;
    l->profile->fingerprint = arena_slice(l->arena, buf_slice(&text));
    buf_fini(&text);
}

void load_check(struct loader *l)
{
    load_check_event(l);
    load_check_sends(l);
    check_requests(l);
    load_check_connect(l);
    load_check_catchup(l);
    if (policy_add_default_flaps(l->profile) != 0)
        diag_add(l->diag, l->path, 1, "more than %d flap lines, the built-in ones counted",
                 PROFILE_FLAPS_MAX);
    make_fingerprint(l);
}
