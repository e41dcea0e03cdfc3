/* Setters of [on NAME] and [send NAME]. */
#include "profile/load.h"

#define ANSWER_TIMEOUT_MS 10000

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
    load_scope_rules(l);
    rule->has_match = true;
    if (expr_parse(l->arena, slice_str(entry->value), &names, &rule->match, &unset, &err) != 0)
        load_fault_error(l, entry, &err);
}

/* ---- do ---- */

static int rule_variable(void *arg, struct slice name, unsigned *index, struct error *err)
{
    return load_variable(arg, name, index, err);
}

static int rule_taken(void *arg, struct slice places, unsigned *index, struct error *err)
{
    struct loader *l = arg;

    if (l->n_taken == RULE_TAKEN_MAX)
        return error_set(err, ERR_PARSE, "more than %d values that rules take from messages",
                         RULE_TAKEN_MAX);
    *index = l->n_taken;
    return load_sources(l, places, &l->taken[l->n_taken++], err);
}

void set_do(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    const struct rule_names names = {rule_variable, rule_taken, l};
    struct rule *rule = load_rule(l, entry);
    struct error err = {0};

    if (rule == NULL)
        return;
    load_scope_rules(l);
    rule->has_do = true;
    rule->do_file = entry->file;
    rule->do_line = entry->line;
    if (rule_parse_do(l->arena, rule->name, slice_str(entry->value), &names, &rule->actions,
                      &rule->n_actions, &err) != 0)
        load_fault_error(l, entry, &err);
}

/* ---- [send NAME] ---- */

struct send_entries *load_send(struct loader *l, const struct ini_entry *entry)
{
    struct send_entries *send;

    for (unsigned i = 0; i < l->n_sends; i++)
        if (strcmp(l->sends[i].name, entry->name) == 0)
            return &l->sends[i];
    if (l->n_sends == PROFILE_SENDS_MAX) {
        load_fault(l, entry, "more than %d [send] sections", PROFILE_SENDS_MAX);
        return NULL;
    }
    send = &l->sends[l->n_sends++];
    *send = (struct send_entries){
        .name = entry->name, .header = entry, .answer_timeout_ms = ANSWER_TIMEOUT_MS};
    return send;
}

void set_send_text(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct send_entries *send = load_send(l, entry);

    if (send != NULL)
        send->text = entry;
}

void set_send_on(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"rule", "open", "stored"};
    struct send_entries *send = load_send(l, entry);
    int i = load_choose(l, entry, words, 3);

    if (send != NULL && i >= 0)
        send->when = (enum profile_send_when)i;
    else if (send != NULL)
        send->used = true; /* who knows */
}
_Static_assert(PROFILE_SEND_BY_RULE == 0 && PROFILE_SEND_ON_OPEN == 1 &&
                   PROFILE_SEND_ON_STORED == 2,
               "the words stand in this order");

void set_send_once(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"no", "yes"};
    struct send_entries *send = load_send(l, entry);
    int i = load_choose(l, entry, words, 2);

    if (send != NULL)
        send->once = i == 1 ? entry : NULL;
}

void set_send_answer(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct send_entries *send = load_send(l, entry);

    if (send != NULL)
        send->answer = entry->value[0] != '\0' ? entry : NULL;
}

void set_answer_timeout(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct send_entries *send = load_send(l, entry);

    if (send == NULL)
        return;
    send->answer_timeout = entry;
    load_duration(l, key, entry, &send->answer_timeout_ms);
}
