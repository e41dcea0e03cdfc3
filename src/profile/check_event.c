/* What events are made of: [event], [position] and the rules, when all keys are known. */
#include "profile/load.h"

static void compile_sources(struct loader *l, const struct ini_entry *entry, struct sources *out)
{
    struct error err = {0};

    if (entry != NULL && load_sources(l, slice_str(entry->value), out, &err) != 0)
        load_fault_error(l, entry, &err);
}

static void compile_id(struct loader *l, const struct ini_entry *entry, struct fields *fields)
{
    struct resolver resolver = load_resolver(l);
    struct error err = {0};

    if (entry == NULL)
        return;
    if (strstr(entry->value, "${") == NULL)
        compile_sources(l, entry, &fields->id);
    else if (template_compile(l->arena, TEMPLATE_MESSAGE, slice_str(entry->value), &resolver,
                              &fields->id_template, &err) != 0)
        load_fault_error(l, entry, &err);
}

static void check_time(struct loader *l, const struct ini_entry *entry, const struct sources *time)
{
    for (unsigned i = 0; i < time->n; i++)
        if (time->at[i].header) {
            load_fault(l, entry, "%s: a header is no JSON; only a JSON Pointer can stand here",
                       entry->key);
            return;
        }
}

/* What [catchup] map.* says instead of [event]; NULL: what [event] says. */
static const struct ini_entry *mapped(const struct ini_entry *map, const struct ini_entry *entry)
{
    return map != NULL ? map : entry;
}

static void compile_fields(struct loader *l)
{
    struct fields *message = &l->priv->message, *item = &l->priv->item;
    size_t faults = diag_count(l->diag);

    load_scope_event(l, message);
    compile_id(l, l->id, message);
    compile_sources(l, l->position, &message->position);
    compile_sources(l, l->key, &message->key);
    compile_sources(l, l->type, &message->type);
    compile_sources(l, l->time, &message->time);
    check_time(l, l->time, &message->time);
    if (diag_count(l->diag) != faults)
        return; /* the same once more for items of a page: what is wrong has been said */
    load_scope_event(l, item);
    compile_id(l, mapped(l->map_id, l->id), item);
    compile_sources(l, mapped(l->map_position, l->position), &item->position);
    compile_sources(l, mapped(l->map_key, l->key), &item->key);
    compile_sources(l, mapped(l->map_type, l->type), &item->type);
    compile_sources(l, mapped(l->map_time, l->time), &item->time);
    check_time(l, mapped(l->map_time, l->time), &item->time);
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
    if (p->unkeyed_sync && p->catchup.via != PROFILE_CATCHUP_HTTP)
        load_fault(l, l->unkeyed, "unkeyed: sync needs [catchup] via = http");
    else if (p->unkeyed_sync && l->id == NULL && l->position == NULL)
        load_fault(l, l->unkeyed, "unkeyed: sync needs [event] id or position, else all are");
}

static void check_position(struct loader *l)
{
    const struct profile *p = l->profile;

    if (p->compare == PROFILE_COMPARE_INT && l->position == NULL)
        load_fault(l, l->compare, "compare: int needs [event] position");
    if (p->position.contiguous && p->compare != PROFILE_COMPARE_INT)
        load_fault(l, l->contiguous, "contiguous: yes needs compare = int");
    if (p->position.overlap != 0 && p->compare != PROFILE_COMPARE_INT)
        load_fault(l, l->overlap, "overlap: needs compare = int");
    if (l->key != NULL && !p->position.contiguous)
        load_fault(l, l->key,
                   "key: needs contiguous = yes; it says which positions are in one row");
}

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

void load_check_event(struct loader *l)
{
    struct profile_private *priv = l->priv;
    struct framing *framing = &priv->framing;

    framing->whole = !framing->batch && !framing->split && !framing->decode;
    compile_fields(l);
    load_scope_event(l, &priv->message);
    if (l->only != NULL)
        load_expr(l, l->only, &priv->only);
    check_identity(l);
    check_position(l);
    check_rules(l);
    priv->taken = arena_copy(l->arena, l->taken, l->n_taken, sizeof(l->taken[0]));
    priv->n_taken = priv->taken != NULL ? l->n_taken : 0;
}
