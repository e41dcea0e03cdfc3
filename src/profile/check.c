/* What shows only when every key is known, and what is built from several of them. */
#include <stdlib.h>

#include "profile/load.h"
#include "profile/policy.h"

/* ---- what events are made of ---- */

static void compile_sources(struct loader *l, const struct ini_entry *entry, struct sources *out)
{
    struct error err = {0};

    if (entry != NULL && load_sources(l, entry->value, out, &err) != 0)
        load_fault_error(l, entry, &err);
}

static void compile_id(struct loader *l, struct fields *fields)
{
    struct resolver resolver = load_resolver(l);
    struct error err = {0};

    if (l->id == NULL)
        return;
    if (strstr(l->id->value, "${") == NULL)
        compile_sources(l, l->id, &fields->id);
    else if (template_compile(l->arena, TEMPLATE_MESSAGE, slice_str(l->id->value), &resolver,
                              &fields->id_template, &err) != 0)
        load_fault_error(l, l->id, &err);
}

static void check_time(struct loader *l)
{
    const struct sources *time = &l->priv->message.time;

    for (unsigned i = 0; i < time->n; i++)
        if (time->at[i].header) {
            load_fault(l, l->time, "time: a header is no JSON; only a JSON Pointer can stand here");
            return;
        }
}

static void compile_fields(struct loader *l)
{
    struct profile_private *priv = l->priv;
    size_t faults = diag_count(l->diag);

    l->fields = &priv->message;
    compile_id(l, &priv->message);
    compile_sources(l, l->position, &priv->message.position);
    compile_sources(l, l->type, &priv->message.type);
    compile_sources(l, l->time, &priv->message.time);
    check_time(l);
    if (diag_count(l->diag) == faults) {
        /* The same once more for items of a page: what is wrong with it has been said. */
        l->fields = &priv->item;
        compile_id(l, &priv->item);
        compile_sources(l, l->position, &priv->item.position);
        compile_sources(l, l->time, &priv->item.time);
        compile_sources(l, l->map_type != NULL ? l->map_type : l->type, &priv->item.type);
        l->fields = &priv->message;
    }
}

static void compile_only(struct loader *l)
{
    struct expr_names names = load_expr_names(l);
    struct error err = {0};
    bool unset;

    if (l->only == NULL)
        return;
    if (expr_parse(l->arena, slice_str(l->only->value), &names, &l->priv->only, &unset, &err) != 0)
        load_fault_error(l, l->only, &err);
    else if (unset)
        load_fault(l, l->only, "only: names a parameter that has no value");
}

static void check_identity(struct loader *l)
{
    struct profile *p = l->profile;

    if (l->dedup == NULL)
        p->dedup = l->id != NULL         ? PROFILE_DEDUP_ID
                   : l->position != NULL ? PROFILE_DEDUP_POSITION
                                         : PROFILE_DEDUP_OFF;
    else if (p->dedup == PROFILE_DEDUP_ID && l->id == NULL)
        load_fault(l, l->dedup, "dedup: id needs [event] id");
    else if (p->dedup == PROFILE_DEDUP_POSITION && l->position == NULL)
        load_fault(l, l->dedup, "dedup: position needs [event] position");
    if (p->compare == PROFILE_COMPARE_INT && l->position == NULL)
        load_fault(l, l->compare, "compare: int needs [event] position");
}

/* ---- rules ---- */

static void check_rules(struct loader *l)
{
    const struct profile_private *priv = l->priv;
    bool live = false;

    for (unsigned i = 0; i < priv->n_rules; i++) {
        const struct rule *rule = &priv->rules[i];

        if (!rule->has_match || !rule->has_do)
            diag_add(l->diag, rule->file, rule->line, "[on %s] has no `%s`", rule->name,
                     rule->has_match ? "do" : "match");
        for (unsigned j = 0; j < rule->n_actions; j++)
            live |= rule->actions[j].kind == PROFILE_RULE_LIVE;
    }
    if (l->profile->live.by_rule && !live)
        load_fault(l, l->live_when, "when: rule, but no [on NAME] does `live`");
}

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

static const struct http *find_catchup_http(struct loader *l)
{
    unsigned i;

    if (l->catchup_http == NULL) {
        load_fault(l, l->catchup_via, "via: http needs `http = NAME` too");
        return NULL;
    }
    i = load_http_find(l, slice_str(l->catchup_http->value));
    if (i != PROFILE_NONE) {
        l->profile->catchup.http = i;
        return &l->priv->https[i];
    }
    load_fault(l, l->catchup_http, "http: there is no [http %s]", l->catchup_http->value);
    return NULL;
}

static void check_catchup(struct loader *l)
{
    const struct http *http = NULL;

    switch (l->profile->catchup.via) {
    case PROFILE_CATCHUP_NONE:
    case PROFILE_CATCHUP_SESSION:
        return;
    case PROFILE_CATCHUP_HTTP:
        http = find_catchup_http(l);
        break;
    case PROFILE_CATCHUP_URL:
        http = &l->priv->connect;
        break;
    }
    if (l->position == NULL)
        load_fault(l, l->catchup_via,
                   "via: there is nothing to resume from without [event] position");
    else if (http != NULL && !load_http_uses(http, SLICE("position")))
        load_fault(l, l->catchup_via, "via: nothing in %s%s%s carries ${position}",
                   http->name != NULL ? "[http " : "[connect", http->name != NULL ? http->name : "",
                   "]");
}

/* The whole body is the list where the profile names none. */
static void compile_page(struct loader *l)
{
    struct profile_private *priv = l->priv;

    if (priv->items_pointer != NULL)
        return;
    priv->items_pointer = "";
    if (json_paths_add(priv->page_paths, SLICE(""), &priv->page_items, NULL) != 0)
        l->arena->failed = true;
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
    compile_fields(l);
    compile_only(l);
    compile_page(l);
    check_identity(l);
    check_rules(l);
    check_requests(l);
    check_catchup(l);
    load_check_connect(l);
    if (policy_add_default_flaps(l->profile) != 0)
        diag_add(l->diag, l->path, 1, "more than %d flap lines, the built-in ones counted",
                 PROFILE_FLAPS_MAX);
    make_fingerprint(l);
}
