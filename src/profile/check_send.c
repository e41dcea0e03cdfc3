/* [send NAME], [heartbeat] and the names that rules' actions hold, when all keys are known. */
#include "base/suggest.h"
#include "profile/load.h"

#define ACK_TIMEOUT_MS 10000

/* ---- names ---- */

static unsigned find_name(struct slice name, const char *const *names, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (slice_eq_str(name, names[i]))
            return i;
    return PROFILE_NONE;
}

static unsigned send_names(const struct loader *l, const char **out)
{
    for (unsigned i = 0; i < l->n_sends; i++)
        out[i] = l->sends[i].name;
    return l->n_sends;
}

static unsigned http_names(const struct loader *l, const char **out)
{
    for (unsigned i = 0; i < l->priv->n_https; i++)
        out[i] = l->priv->https[i].name;
    return l->priv->n_https;
}

static int unknown_name(struct error *err, const char *section, struct slice name,
                        const char *const *names, unsigned n)
{
    const char *near = suggest(name, names, n);

    return error_set(err, ERR_PARSE, "there is no [%s " SLICE_FMT "]%s%s%s", section,
                     SLICE_ARG(name), near != NULL ? "; did you mean `" : "",
                     near != NULL ? near : "", near != NULL ? "`?" : "");
}

unsigned load_http_named(struct loader *l, const struct ini_entry *entry)
{
    unsigned i = load_http_find(l, slice_str(entry->value));
    const char *names[PROFILE_HTTPS_MAX];
    struct error err;

    if (i == PROFILE_NONE) {
        unknown_name(&err, "http", slice_str(entry->value), names, http_names(l, names));
        load_fault_error(l, entry, &err);
    }
    return i;
}

/* `send A|B` */
static int resolve_sends(struct loader *l, struct profile_rule_action *action, struct error *err)
{
    const char *names[PROFILE_SENDS_MAX];
    unsigned n = send_names(l, names);
    struct slice rest = slice_str(action->text);

    while (rest.ptr != NULL) {
        const char *bar = slice_find_byte(rest, '|');
        size_t len = bar != NULL ? (size_t)(bar - rest.ptr) : rest.len;
        struct slice name = slice_trim(slice_make(rest.ptr, len));
        unsigned i = find_name(name, names, n);

        if (i == PROFILE_NONE)
            return unknown_name(err, "send", name, names, n);
        if (action->n_sends == PROFILE_ONE_OF_MAX)
            return error_set(err, ERR_PARSE, "`send` chooses among %d at most", PROFILE_ONE_OF_MAX);
        action->sends[action->n_sends++] = i;
        l->sends[i].used = true;
        if (l->sends[i].when == PROFILE_SEND_ON_STORED)
            return error_set(err, ERR_PARSE,
                             "[send %s] is sent on = stored, so no rule can send it", names[i]);
        rest = bar != NULL ? slice_from(rest, len + 1) : (struct slice){NULL, 0};
    }
    return 0;
}

static int resolve_call(struct loader *l, struct profile_rule_action *action, struct error *err)
{
    const char *names[PROFILE_HTTPS_MAX];

    action->http = load_http_find(l, slice_str(action->text));
    if (action->http != PROFILE_NONE)
        return 0;
    return unknown_name(err, "http", slice_str(action->text), names, http_names(l, names));
}

static void resolve_rules(struct loader *l)
{
    for (unsigned i = 0; i < l->priv->n_rules; i++) {
        const struct rule *rule = &l->priv->rules[i];

        for (unsigned j = 0; j < rule->n_actions; j++) {
            struct profile_rule_action *action = &rule->actions[j];
            struct error err = {0};
            int rc = 0;

            if (action->kind == PROFILE_RULE_SEND)
                rc = resolve_sends(l, action, &err);
            else if (action->kind == PROFILE_RULE_CALL)
                rc = resolve_call(l, action, &err);
            else
                continue;
            action->text = NULL;
            if (rc != 0)
                diag_add(l->diag, rule->do_file, rule->do_line, "do: %s", err.text);
        }
    }
}

/* ---- [heartbeat] ---- */

static bool some_rule(const struct loader *l, enum profile_rule_kind kind,
                      enum profile_setting setting)
{
    for (unsigned i = 0; i < l->priv->n_rules; i++)
        for (unsigned j = 0; j < l->priv->rules[i].n_actions; j++) {
            const struct profile_rule_action *action = &l->priv->rules[i].actions[j];

            if (action->kind == kind && (kind != PROFILE_RULE_SET || action->setting == setting))
                return true;
        }
    return false;
}

static const struct ini_entry *find_entry(const struct loader *l, const char *key)
{
    for (size_t i = 0; i < l->n_entries; i++)
        if (l->entries[i].key != NULL && strcmp(l->entries[i].section, "heartbeat") == 0 &&
            strcmp(l->entries[i].key, key) == 0)
            return &l->entries[i];
    return NULL;
}

/* Keys that mean nothing without another one. */
static void check_alone(struct loader *l)
{
    static const char *const keys[] = {"every", "ack", "ack_timeout"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct ini_entry *entry = find_entry(l, keys[i]);

        if (entry != NULL && entry->value[0] != '\0')
            load_fault(l, entry, "%s: needs `send = NAME`, a [send NAME] that is the heartbeat",
                       keys[i]);
    }
}

static void check_heartbeat(struct loader *l)
{
    struct profile *p = l->profile;
    const char *names[PROFILE_SENDS_MAX];
    unsigned n = send_names(l, names);
    bool answered = some_rule(l, PROFILE_RULE_ALIVE, 0);
    struct error err = {0};

    if (l->heartbeat_send == NULL) {
        check_alone(l);
        return;
    }
    p->heartbeat.send = find_name(slice_str(l->heartbeat_send->value), names, n);
    if (p->heartbeat.send == PROFILE_NONE) {
        unknown_name(&err, "send", slice_str(l->heartbeat_send->value), names, n);
        load_fault_error(l, l->heartbeat_send, &err);
        return;
    }
    l->sends[p->heartbeat.send].used = true;
    if (l->sends[p->heartbeat.send].when != PROFILE_SEND_BY_RULE)
        load_fault(l, l->heartbeat_send, "send: [send %s] must be sent on = rule",
                   l->heartbeat_send->value);
    if (p->heartbeat.every_ms == 0 && !some_rule(l, PROFILE_RULE_SET, PROFILE_SET_HEARTBEAT_EVERY))
        load_fault(l, l->heartbeat_send,
                   "send: needs `every`, or a rule that does set heartbeat.every");
    load_scope_rules(l);
    if (l->ack != NULL)
        answered |= load_expr(l, l->ack, &l->priv->acks);
    if (find_entry(l, "ack_timeout") == NULL)
        p->heartbeat.ack_timeout_ms = answered ? ACK_TIMEOUT_MS : 0;
    else if (p->heartbeat.ack_timeout_ms != 0 && !answered)
        load_fault(l, find_entry(l, "ack_timeout"),
                   "ack_timeout: needs `ack`, or a rule that does `alive`");
}

/* ---- [send NAME] ---- */

struct send_resolver {
    struct loader *loader;
    struct send_entries *send;
};

/* Places in the message here; all other names as everywhere. */
static struct resolved resolve(void *arg, enum template_context context, struct slice name,
                               struct error *err)
{
    struct send_resolver *r = arg;
    struct resolver other = load_resolver(r->loader);
    struct resolved out = {.kind = NAME_SOURCE};

    if (name.ptr[0] != '/' && name.ptr[0] != '^' && !slice_starts_with(name, SLICE("header:")))
        return other.resolve(other.arg, context, name, err);
    r->send->places = true;
    if (load_source(r->loader, name, &out.source, err) != 0)
        out.kind = NAME_UNKNOWN;
    return out;
}

static void compile_text(struct loader *l, struct send_entries *send, struct send *out)
{
    struct send_resolver r = {l, send};
    const struct resolver resolver = {resolve, &r};
    struct error err = {0};

    if (send->text == NULL || send->text->value[0] == '\0') {
        load_fault(l, send->header, "[send %s] has no `text`", send->name);
        return;
    }
    /* What is stored is an event, what a rule is about may be the frame around it. */
    if (send->when == PROFILE_SEND_ON_STORED)
        load_scope_event(l, &l->priv->message);
    else
        load_scope_rules(l);
    if (template_compile(l->arena, TEMPLATE_BODY, slice_str(send->text->value), &resolver,
                         &out->text, &err) != 0)
        load_fault_error(l, send->text, &err);
    else if (send->places && send->when == PROFILE_SEND_ON_OPEN)
        load_fault(l, send->text,
                   "text: takes something from a message, but is sent on = open, without one");
}

static void compile_send(struct loader *l, struct send_entries *send, struct send *out)
{
    if (l->profile->connect.data_forbidden)
        load_fault(l, send->header, "[send %s]: [connect] data = forbid, so nothing can be sent",
                   send->name);
    compile_text(l, send, out);
    load_scope_rules(l);
    if (send->answer != NULL && send->when == PROFILE_SEND_ON_STORED)
        load_fault(l, send->answer, "answer: none is awaited for what is sent on = stored");
    else if (send->answer != NULL)
        l->priv->answered |= load_expr(l, send->answer, &out->answer);
    else if (send->answer_timeout != NULL)
        load_fault(l, send->answer_timeout, "answer_timeout: needs `answer`");
    if (send->once != NULL && send->when != PROFILE_SEND_BY_RULE)
        load_fault(l, send->once, "once: is for what is sent on = rule");
}

static void compile_sends(struct loader *l)
{
    struct profile_send public[PROFILE_SENDS_MAX] = {0};
    struct send private[PROFILE_SENDS_MAX] = {0};

    for (unsigned i = 0; i < l->n_sends; i++) {
        struct send_entries *send = &l->sends[i];

        compile_send(l, send, &private[i]);
        public[i] = (struct profile_send){.name = send->name,
                                          .when = send->when,
                                          .once = send->once != NULL,
                                          .answered = private[i].answer != NULL,
                                          .answer_timeout_ms = send->answer_timeout_ms};
    }
    l->profile->sends = arena_copy(l->arena, public, l->n_sends, sizeof(public[0]));
    l->priv->sends = arena_copy(l->arena, private, l->n_sends, sizeof(private[0]));
    if (l->profile->sends != NULL && l->priv->sends != NULL)
        l->profile->n_sends = l->n_sends;
}

static void check_uses(struct loader *l)
{
    unsigned beat = l->profile->heartbeat.send;

    for (unsigned i = 0; i < l->n_sends; i++)
        if (l->sends[i].when == PROFILE_SEND_BY_RULE && !l->sends[i].used)
            load_fault(l, l->sends[i].header,
                       "[send %s] is never sent: no rule does send %s, and it has neither "
                       "on = open nor on = stored",
                       l->sends[i].name, l->sends[i].name);
    if (beat != PROFILE_NONE && l->sends[beat].places)
        load_fault(l, l->heartbeat_send,
                   "send: the text of [send %s] takes something from a message, and a heartbeat "
                   "has none",
                   l->sends[beat].name);
}

void load_check_sends(struct loader *l)
{
    size_t faults = diag_count(l->diag);

    compile_sends(l);
    resolve_rules(l);
    check_heartbeat(l);
    if (diag_count(l->diag) == faults)
        check_uses(l);
}
