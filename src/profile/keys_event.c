/* Setters of [message], [event], [position], [on NAME], [live] and [catchup]. */
#include "profile/load.h"

/* ---- words ---- */

void set_header_block(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"no", "yes"};

    l->priv->header_block = load_choose(l, entry, words, 2) == 1;
}

void set_dedup(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"id", "position", "hash", "off"};
    int i = load_choose(l, entry, words, 4);

    if (i < 0)
        return;
    l->profile->dedup = (enum profile_dedup)i;
    l->dedup = entry;
}
_Static_assert(PROFILE_DEDUP_ID == 0 && PROFILE_DEDUP_POSITION == 1 && PROFILE_DEDUP_HASH == 2 &&
                   PROFILE_DEDUP_OFF == 3,
               "the words stand in this order");

void set_compare(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"opaque", "int"};
    int i = load_choose(l, entry, words, 2);

    if (i < 0)
        return;
    l->profile->compare = (enum profile_compare)i;
    l->compare = entry;
}
_Static_assert(PROFILE_COMPARE_OPAQUE == 0 && PROFILE_COMPARE_INT == 1,
               "the words stand in this order");

void set_live_when(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"open", "rule"};

    l->profile->live.by_rule = load_choose(l, entry, words, 2) == 1;
    l->live_when = entry;
}

void set_via(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"none", "http", "url"};
    int i = load_choose(l, entry, words, 3);

    if (i < 0)
        return;
    l->profile->catchup.via = (enum profile_catchup_via)i;
    l->catchup_via = entry;
}
_Static_assert(PROFILE_CATCHUP_NONE == 0 && PROFILE_CATCHUP_HTTP == 1 && PROFILE_CATCHUP_URL == 2,
               "the words stand in this order");

/* ---- what check.c compiles when all is known ---- */

static const struct ini_entry *given(const struct ini_entry *entry)
{
    return entry->value[0] != '\0' ? entry : NULL;
}

void set_only(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    l->only = given(entry);
}

void set_id(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    l->id = given(entry);
}

void set_position(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    l->position = given(entry);
}

void set_type(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    l->type = given(entry);
}

void set_time(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    l->time = given(entry);
}

void set_map_type(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    l->map_type = given(entry);
}

void set_catchup_http(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    l->catchup_http = given(entry);
}

/* ---- lists and pointers ---- */

static struct type_glob make_glob(struct slice glob)
{
    size_t tail = glob.len;

    while (tail > 0 && glob.ptr[tail - 1] != '*' && glob.ptr[tail - 1] != '?')
        tail--;
    return (struct type_glob){glob, slice_from(glob, tail)};
}

void set_ephemeral(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct type_glob list[PROFILE_EPHEMERAL_MAX];
    struct slice rest = slice_str(entry->value);
    unsigned n = 0;

    while (rest.len != 0) {
        size_t len = 0;

        while (len < rest.len && strchr(" \t\n,", rest.ptr[len]) == NULL)
            len++;
        if (len != 0 && n == PROFILE_EPHEMERAL_MAX) {
            load_fault(l, entry, "ephemeral: more than %d globs", PROFILE_EPHEMERAL_MAX);
            return;
        }
        if (len != 0)
            list[n++] = make_glob(slice_make(rest.ptr, len));
        rest = slice_from(rest, len + 1);
    }
    l->priv->ephemeral = arena_copy(l->arena, list, n, sizeof(list[0]));
    l->priv->n_ephemeral = l->priv->ephemeral != NULL ? n : 0;
}

static bool add_page_pointer(struct loader *l, const struct ini_entry *entry, unsigned *slot)
{
    struct error err = {0};

    if (load_pointer(l->priv->page_paths, slice_str(entry->value), slot, &err) == 0)
        return true;
    load_fault_error(l, entry, &err);
    return false;
}

void set_items(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    if (add_page_pointer(l, entry, &l->priv->page_items))
        l->priv->items_pointer = entry->value;
}

void set_next(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    if (given(entry) == NULL)
        return;
    l->priv->has_next = add_page_pointer(l, entry, &l->priv->page_next);
    l->priv->next_pointer = entry->value;
}

void set_more(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    if (given(entry) == NULL)
        return;
    l->priv->has_more = add_page_pointer(l, entry, &l->priv->page_more);
    l->priv->more_pointer = entry->value;
}

/* ---- rules ---- */

struct rule *load_rule(struct loader *l, const struct ini_entry *entry)
{
    struct profile_private *priv = l->priv;
    struct rule *rule;

    for (unsigned i = 0; i < priv->n_rules; i++)
        if (strcmp(priv->rules[i].name, entry->name) == 0)
            return &priv->rules[i];
    if (priv->n_rules == PROFILE_RULES_MAX) {
        load_fault(l, entry, "more than %d rules", PROFILE_RULES_MAX);
        return NULL;
    }
    if (priv->rules == NULL)
        priv->rules = arena_alloc(l->arena, PROFILE_RULES_MAX * sizeof(*priv->rules));
    if (priv->rules == NULL)
        return NULL;
    rule = &priv->rules[priv->n_rules++];
    *rule = (struct rule){.name = entry->name, .file = entry->file, .line = entry->line};
    return rule;
}

void set_match(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct rule *rule = load_rule(l, entry);
    struct expr_names names = load_expr_names(l);
    struct error err = {0};
    bool unset;

    if (rule == NULL)
        return;
    rule->has_match = true;
    if (expr_parse(l->arena, slice_str(entry->value), &names, &rule->match, &unset, &err) != 0)
        load_fault_error(l, entry, &err);
}

void set_do(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct rule *rule = load_rule(l, entry);
    struct error err = {0};

    if (rule == NULL)
        return;
    rule->has_do = true;
    if (rule_parse_do(l->arena, rule->name, slice_str(entry->value), &rule->actions,
                      &rule->n_actions, &err) != 0)
        load_fault_error(l, entry, &err);
}
