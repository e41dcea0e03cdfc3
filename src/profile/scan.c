#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/glob.h"
#include "profile/scanner.h"

/* ---- memory ---- */

static int reserve(struct buf *scratch, size_t max)
{
    buf_init(scratch, max);
    return buf_reserve(scratch, max);
}

static int reserve_slots(struct profile_scanner *s)
{
    const struct profile_private *priv = s->profile->priv;
    const struct json_paths *of[LEVELS] = {[LEVEL_MESSAGE] = priv->message.paths,
                                           [LEVEL_FRAME] = priv->framing.frame_paths,
                                           [LEVEL_OUTER] = priv->framing.outer_paths};
    const struct json_paths *others[] = {priv->item.paths, priv->page_paths, priv->captured.paths};
    unsigned counts[LEVELS];

    for (int i = 0; i < LEVELS; i++)
        counts[i] = json_paths_count(of[i]);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (counts[LEVEL_MESSAGE] < json_paths_count(others[i]))
            counts[LEVEL_MESSAGE] = json_paths_count(others[i]);
    for (int i = 0; i < LEVELS; i++) {
        s->slots[i] = calloc(counts[i] + 1, sizeof(*s->slots[i]));
        if (s->slots[i] == NULL)
            return ERR_NOMEM;
    }
    return 0;
}

/* Each as long as it may ever be; what the profile has no use for, not at all. */
static int reserve_texts(struct profile_scanner *s)
{
    const struct profile_private *priv = s->profile->priv;
    int rc = reserve(&s->id, LIMIT_EVENT_ID);

    rc |= reserve(&s->position, LIMIT_POSITION);
    rc |= reserve(&s->type, LIMIT_EVENT_TYPE);
    rc |= reserve(&s->next, LIMIT_POSITION);
    rc |= reserve(&s->part, s->profile->n_sends != 0 ? LIMIT_VARIABLE : LIMIT_EVENT_ID);
    if (priv->message.key.n != 0)
        rc |= reserve(&s->key, LIMIT_POSITION);
    if (priv->framing.decode)
        rc |= reserve(&s->decoded, s->profile->connect.max_message);
    for (int i = 0; i < PROFILE_ACTIONS_MAX && priv->n_taken != 0; i++)
        rc |= reserve(&s->taken[i], LIMIT_VARIABLE);
    return rc != 0 ? ERR_NOMEM : 0;
}

int profile_scanner_new(const struct profile *profile, struct profile_scanner **out)
{
    struct profile_scanner *s = calloc(1, sizeof(*s));

    *out = s;
    if (s == NULL)
        return ERR_NOMEM;
    s->profile = profile;
    s->headers = calloc(profile->priv->n_headers + 1, sizeof(*s->headers));
    if (s->headers == NULL || reserve_slots(s) != 0 || reserve_texts(s) != 0) {
        profile_scanner_free(s);
        *out = NULL;
        return ERR_NOMEM;
    }
    return 0;
}

void profile_scanner_free(struct profile_scanner *scanner)
{
    if (scanner == NULL)
        return;
    buf_fini(&scanner->id);
    buf_fini(&scanner->position);
    buf_fini(&scanner->type);
    buf_fini(&scanner->next);
    buf_fini(&scanner->key);
    buf_fini(&scanner->part);
    buf_fini(&scanner->decoded);
    for (int i = 0; i < PROFILE_ACTIONS_MAX; i++)
        buf_fini(&scanner->taken[i]);
    for (int i = 0; i < LEVELS; i++)
        free(scanner->slots[i]);
    free(scanner->headers);
    free(scanner);
}

/* ---- values ---- */

int scanner_text(const struct json_value *value, struct buf *scratch, struct slice *out)
{
    switch (value->type) {
    case JSON_ABSENT:
    case JSON_NULL:
        return ERR_NOTFOUND;
    case JSON_NUMBER:
        *out = value->raw;
        break;
    case JSON_STRING:
        if (value->escaped) {
            int rc;

            buf_clear(scratch);
            rc = json_string_decode(value, scratch);
            *out = buf_slice(scratch);
            return rc;
        }
        *out = slice_make(value->raw.ptr + 1, value->raw.len - 2);
        break;
    case JSON_FALSE:
    case JSON_TRUE:
    case JSON_ARRAY:
    case JSON_OBJECT:
        return ERR_INVAL;
    }
    if (out->len == 0)
        return ERR_NOTFOUND;
    return out->len <= scratch->max ? 0 : ERR_LIMIT;
}

void scanner_fault(struct profile_scanner *s, struct profile_message *out, const char *fmt, ...)
{
    va_list args;

    if (out->fault != NULL)
        return;
    va_start(args, fmt);
    vsnprintf(s->fault, sizeof(s->fault), fmt, args);
    va_end(args);
    out->fault = s->fault;
}

/* The four fields of each message are read by this: it is to be inlined. */
static inline int source_text(const struct profile_scanner *s, const struct source *source,
                              struct buf *scratch, struct slice *out)
{
    if (!source->header)
        return scanner_text(&s->slots[source->level][source->slot], scratch, out);
    *out = s->headers[source->slot];
    if (out->len == 0)
        return ERR_NOTFOUND;
    return out->len <= scratch->max ? 0 : ERR_LIMIT;
}

int scanner_source(const struct profile_scanner *s, const struct source *source,
                   struct buf *scratch, struct slice *out)
{
    return source_text(s, source, scratch, out);
}

int scanner_sources(const struct profile_scanner *s, const struct sources *sources,
                    struct buf *scratch, struct slice *out, const struct source **at)
{
    for (unsigned i = 0; i < sources->n; i++) {
        int rc = source_text(s, &sources->at[i], scratch, out);

        *at = &sources->at[i];
        if (rc != ERR_NOTFOUND)
            return rc;
    }
    return ERR_NOTFOUND;
}

size_t scanner_source_len(const struct profile_scanner *s, const struct source *source)
{
    const struct json_value *value;

    if (source->header)
        return s->headers[source->slot].len;
    value = &s->slots[source->level][source->slot];
    return value->type == JSON_STRING ? value->raw.len - 2 : value->raw.len;
}

static void say_field(struct profile_scanner *s, const struct source *source, const char *name,
                      int rc, const struct buf *scratch, struct profile_message *out)
{
    if (rc == ERR_LIMIT)
        scanner_fault(s, out, "%s is %zu bytes, limit is %zu", name, scanner_source_len(s, source),
                      scratch->max);
    else
        scanner_fault(s, out, "%s is neither a string nor a number", name);
}

/* Absent (.ptr NULL) if no place holds something, or if what the first one holds is no good. */
static struct slice read_field(struct profile_scanner *s, const struct sources *sources,
                               const char *name, struct buf *scratch, struct profile_message *out)
{
    for (unsigned i = 0; i < sources->n; i++) {
        struct slice text;
        int rc = source_text(s, &sources->at[i], scratch, &text);

        if (rc == 0)
            return text;
        if (rc == ERR_NOTFOUND)
            continue;
        say_field(s, &sources->at[i], name, rc, scratch, out);
        break;
    }
    return (struct slice){NULL, 0};
}

/* An id made of pieces: absent if nothing of the message is in it. */
static struct slice read_id_template(struct profile_scanner *s, const struct template *template,
                                     struct profile_message *out)
{
    const struct slice absent = {NULL, 0};
    bool present = false;

    buf_clear(&s->id);
    for (unsigned i = 0; i < template->n; i++) {
        const struct piece *piece = &template->pieces[i];
        struct slice text = piece->text;
        int rc = 0;

        if (piece->kind != PIECE_LITERAL) {
            rc = source_text(s, &piece->source, &s->part, &text);
            present |= rc == 0;
            if (rc == ERR_NOTFOUND)
                continue;
        }
        if (rc == 0)
            rc = buf_append_slice(&s->id, text);
        if (rc == ERR_INVAL) {
            scanner_fault(s, out, "a part of the id is neither a string nor a number");
            return absent;
        }
        if (rc != 0) {
            scanner_fault(s, out, "id is too long, limit is %d bytes", LIMIT_EVENT_ID);
            return absent;
        }
    }
    return present ? buf_slice(&s->id) : absent;
}

static struct slice read_time(const struct profile_scanner *s, const struct sources *sources)
{
    for (unsigned i = 0; i < sources->n; i++) {
        const struct source *at = &sources->at[i];
        const struct json_value *value = &s->slots[at->level][at->slot];

        if (value->type != JSON_ABSENT && value->type != JSON_NULL)
            return value->raw;
    }
    return (struct slice){NULL, 0};
}

static bool is_ephemeral(const struct profile_private *priv, struct slice type)
{
    if (type.ptr == NULL)
        return false;
    for (unsigned i = 0; i < priv->n_ephemeral; i++) {
        const struct type_glob *glob = &priv->ephemeral[i];

        if (type.len >= glob->tail.len &&
            slice_eq(slice_from(type, type.len - glob->tail.len), glob->tail) &&
            glob_match(glob->glob, type))
            return true;
    }
    return false;
}

void scanner_fields(struct profile_scanner *s, const struct fields *fields,
                    struct profile_message *out)
{
    int64_t number;

    out->id = fields->id_template.n != 0 ? read_id_template(s, &fields->id_template, out)
                                         : read_field(s, &fields->id, "id", &s->id, out);
    out->position = read_field(s, &fields->position, "position", &s->position, out);
    if (out->position.ptr != NULL && s->profile->compare == PROFILE_COMPARE_INT &&
        slice_parse_i64(out->position, &number) != 0) {
        scanner_fault(s, out, "position is no integer of 64 bits, but [position] compare = int");
        out->position = (struct slice){NULL, 0};
    }
    if (fields->key.n != 0)
        out->key = read_field(s, &fields->key, "key", &s->key, out);
    out->type = read_field(s, &fields->type, "type", &s->type, out);
    out->time = read_time(s, &fields->time);
    out->ephemeral = is_ephemeral(s->profile->priv, out->type);
}

/* ---- header block ---- */

static void note_header(struct profile_scanner *s, struct slice line, const char *colon)
{
    const struct profile_private *priv = s->profile->priv;
    struct slice name = slice_make(line.ptr, (size_t)(colon - line.ptr));

    for (unsigned i = 0; i < priv->n_headers; i++)
        if (strlen(priv->headers[i]) == name.len &&
            strncasecmp(priv->headers[i], name.ptr, name.len) == 0)
            s->headers[i] = slice_trim(slice_from(line, name.len + 1));
}

/* Takes "Name: value" lines up to the empty one off the text; false if there are none such. */
static bool take_header_block(struct profile_scanner *s, struct slice *text)
{
    struct slice rest = *text;

    for (;;) {
        const char *newline = slice_find_byte(rest, '\n'), *colon;
        struct slice line;

        if (newline == NULL)
            return false;
        line = slice_make(rest.ptr, (size_t)(newline - rest.ptr));
        rest = slice_from(rest, line.len + 1);
        if (line.len != 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0) {
            *text = rest;
            return true;
        }
        colon = slice_find_byte(line, ':');
        if (colon == NULL)
            return false;
        note_header(s, line, colon);
    }
}

static void clear_headers(struct profile_scanner *s)
{
    memset(s->headers, 0, s->profile->priv->n_headers * sizeof(*s->headers));
}

static void take_meta(struct profile_scanner *s, const struct profile_meta *meta)
{
    const struct profile_private *priv = s->profile->priv;

    for (unsigned i = 0; i < priv->n_headers; i++) {
        if (strcasecmp(priv->headers[i], "id") == 0)
            s->headers[i] = meta->id;
        else if (strcasecmp(priv->headers[i], "event") == 0)
            s->headers[i] = meta->event;
    }
}

void scanner_take_headers(struct profile_scanner *s, const struct profile_meta *meta,
                          struct slice *text, struct profile_message *out)
{
    s->has_headers = meta != NULL || s->profile->priv->header_block;
    clear_headers(s);
    if (meta != NULL) {
        take_meta(s, meta);
    } else if (s->has_headers && !take_header_block(s, text)) {
        clear_headers(s);
        scanner_fault(s, out, "no header block in front of the payload");
    }
}

void scanner_clear(struct profile_scanner *s, enum level level, const struct json_paths *paths)
{
    memset(s->slots[level], 0, json_paths_count(paths) * sizeof(*s->slots[level]));
}

/* ---- rules ---- */

static void apply_action(struct profile_scanner *s, const struct profile_rule_action *action,
                         enum verdict *verdict, struct profile_message *out)
{
    switch (action->kind) {
    case PROFILE_RULE_EVENT:
        *verdict = VERDICT_EVENT;
        return;
    case PROFILE_RULE_IGNORE:
        *verdict = VERDICT_IGNORE;
        return;
    case PROFILE_RULE_SNAPSHOT:
        out->snapshot = true;
        return;
    case PROFILE_RULE_LIVE:
    case PROFILE_RULE_ALIVE:
    case PROFILE_RULE_CAPTURE:
    case PROFILE_RULE_SEND:
    case PROFILE_RULE_CALL:
    case PROFILE_RULE_SET:
    case PROFILE_RULE_HANDOVER:
    case PROFILE_RULE_RECONNECT:
    case PROFILE_RULE_REFRESH:
    case PROFILE_RULE_FRESH:
    case PROFILE_RULE_FORGET:
    case PROFILE_RULE_GAP:
    case PROFILE_RULE_SAY:
    case PROFILE_RULE_HOLD:
    case PROFILE_RULE_PARK:
        break;
    }
    scanner_trigger(s, action, out);
}

static void read_answers(const struct profile_scanner *s, const struct expr_subject *subject,
                         struct profile_message *out)
{
    const struct profile_private *priv = s->profile->priv;

    if (priv->acks != NULL)
        out->acks = expr_holds(priv->acks, subject);
    for (unsigned i = 0; i < s->profile->n_sends && priv->answered; i++)
        if (priv->sends[i].answer != NULL && expr_holds(priv->sends[i].answer, subject))
            out->answers |= UINT32_C(1) << i;
}

enum verdict scanner_rules(struct profile_scanner *s, struct profile_message *out)
{
    const struct profile_private *priv = s->profile->priv;
    struct expr_subject subject = {s->slots, s->headers};
    enum verdict verdict = VERDICT_NONE;

    for (unsigned i = 0; i < priv->n_rules; i++) {
        const struct rule *rule = &priv->rules[i];

        if (rule->match == NULL || !expr_holds(rule->match, &subject))
            continue;
        for (unsigned j = 0; j < rule->n_actions; j++)
            apply_action(s, &rule->actions[j], &verdict, out);
    }
    if (priv->acks != NULL || priv->answered)
        read_answers(s, &subject, out);
    return verdict;
}

bool scanner_event(const struct profile_scanner *s, enum verdict verdict)
{
    struct expr_subject subject = {s->slots, s->headers};

    if (verdict != VERDICT_NONE)
        return verdict == VERDICT_EVENT;
    return s->profile->priv->only == NULL || expr_holds(s->profile->priv->only, &subject);
}

/* ---- the whole ---- */

/* Nothing holds the message. */
static void clear_around(struct profile_scanner *s)
{
    scanner_clear(s, LEVEL_FRAME, s->profile->priv->framing.frame_paths);
    scanner_clear(s, LEVEL_OUTER, s->profile->priv->framing.outer_paths);
}

/* Whether the profile knows a text such as "pong": a rule acts upon it, it answers something, or
 * `only` asks for it. Then it is an event only where one of these says so. */
static bool is_known_text(struct profile_scanner *s, struct profile_message *out)
{
    const struct profile_private *priv = s->profile->priv;
    struct expr_subject subject = {s->slots, s->headers};
    unsigned n_actions = 0;
    enum verdict verdict;
    bool wanted;

    for (unsigned i = 0; i < priv->n_headers; i++)
        if (strcmp(priv->headers[i], SOURCE_TEXT) == 0)
            s->headers[i] = out->data;
    for (unsigned i = 0; i < priv->n_rules; i++)
        if (priv->rules[i].match != NULL && expr_holds(priv->rules[i].match, &subject))
            n_actions += priv->rules[i].n_actions;
    verdict = scanner_rules(s, out);
    wanted = priv->only != NULL && expr_holds(priv->only, &subject);
    out->event = verdict == VERDICT_EVENT || (verdict == VERDICT_NONE && wanted);
    return n_actions != 0 || out->acks || out->answers != 0 || wanted;
}

/* It is an event all the same, kept as text: it must not vanish unsaid. */
void scanner_read_text(struct profile_scanner *s, size_t error_offset, struct profile_message *out)
{
    const struct profile_private *priv = s->profile->priv;

    scanner_clear(s, LEVEL_MESSAGE, priv->message.paths);
    clear_around(s);
    if (priv->asks_text && is_known_text(s, out)) {
        scanner_fields(s, &priv->message, out);
        return;
    }
    out->event = true;
    if (json_paths_count(priv->message.paths) != 0 || !priv->framing.whole)
        scanner_fault(s, out, "no JSON: byte %zu is wrong; kept as text", error_offset);
    if (s->has_headers)
        out->event = scanner_event(s, priv->asks_text ? VERDICT_NONE : scanner_rules(s, out));
    scanner_fields(s, &priv->message, out);
}

void scanner_read_message(struct profile_scanner *s, struct slice text, struct profile_message *out)
{
    const struct profile_private *priv = s->profile->priv;
    size_t error_offset = 0;

    out->data = text;
    out->json = json_scan(priv->message.paths, text, s->slots[LEVEL_MESSAGE], &error_offset) == 0;
    if (!out->json) {
        scanner_read_text(s, error_offset, out);
        return;
    }
    out->event = scanner_event(s, scanner_rules(s, out));
    scanner_fields(s, &priv->message, out);
}

void scanner_read_item(struct profile_scanner *s, struct slice text, struct profile_message *out)
{
    const struct profile_private *priv = s->profile->priv;
    size_t error_offset = 0;

    memset(out, 0, sizeof(*out));
    out->event = true;
    out->data = text;
    clear_headers(s);
    s->at_message = false;
    if (!priv->framing.whole)
        clear_around(s);
    out->json = json_scan(priv->item.paths, text, s->slots[LEVEL_MESSAGE], &error_offset) == 0;
    if (!out->json) {
        scanner_clear(s, LEVEL_MESSAGE, priv->item.paths);
        scanner_fault(s, out, "no JSON: byte %zu of the item is wrong", error_offset);
    }
    scanner_fields(s, &priv->item, out);
}
