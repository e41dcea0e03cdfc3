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

/* As many as the largest set of pointers has. */
static unsigned count_slots(const struct profile_private *priv)
{
    const struct json_paths *const sets[] = {priv->message.paths, priv->item.paths,
                                             priv->captured.paths, priv->page_paths};
    unsigned most = 0;

    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
        most = json_paths_count(sets[i]) > most ? json_paths_count(sets[i]) : most;
    return most;
}

int profile_scanner_new(const struct profile *profile, struct profile_scanner **out)
{
    const struct profile_private *priv = profile->priv;
    struct profile_scanner *s = calloc(1, sizeof(*s));
    unsigned slots = count_slots(priv);

    *out = s;
    if (s == NULL)
        return ERR_NOMEM;
    s->profile = profile;
    s->slots = calloc(slots + 1, sizeof(*s->slots));
    s->headers = calloc(priv->n_headers + 1, sizeof(*s->headers));
    if (s->slots == NULL || s->headers == NULL || reserve(&s->id, LIMIT_EVENT_ID) != 0 ||
        reserve(&s->position, LIMIT_POSITION) != 0 || reserve(&s->type, LIMIT_EVENT_TYPE) != 0 ||
        reserve(&s->next, LIMIT_POSITION) != 0 || reserve(&s->part, LIMIT_EVENT_ID) != 0) {
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
    buf_fini(&scanner->part);
    free(scanner->headers);
    free(scanner->slots);
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

/* The first fault is the one that is told. */
static void __attribute__((format(printf, 3, 4)))
say(struct profile_scanner *s, struct profile_message *out, const char *fmt, ...)
{
    va_list args;

    if (out->fault != NULL)
        return;
    va_start(args, fmt);
    vsnprintf(s->fault, sizeof(s->fault), fmt, args);
    va_end(args);
    out->fault = s->fault;
}

static int source_text(const struct profile_scanner *s, const struct source *source,
                       struct buf *scratch, struct slice *out)
{
    if (!source->header)
        return scanner_text(&s->slots[source->slot], scratch, out);
    *out = s->headers[source->slot];
    if (out->len == 0)
        return ERR_NOTFOUND;
    return out->len <= scratch->max ? 0 : ERR_LIMIT;
}

/* As it is written, for the message about it. */
static size_t source_len(const struct profile_scanner *s, const struct source *source)
{
    const struct json_value *value = &s->slots[source->slot];

    if (source->header)
        return s->headers[source->slot].len;
    return value->type == JSON_STRING ? value->raw.len - 2 : value->raw.len;
}

/* The first place that holds something; absent (.ptr NULL) if none does, or if that is no good. */
static struct slice read_field(struct profile_scanner *s, const struct sources *sources,
                               const char *name, struct buf *scratch, struct profile_message *out)
{
    const struct slice absent = {NULL, 0};

    for (unsigned i = 0; i < sources->n; i++) {
        struct slice text;
        int rc = source_text(s, &sources->at[i], scratch, &text);

        if (rc == ERR_NOTFOUND)
            continue;
        if (rc == 0)
            return text.len != 0 ? text : absent;
        if (rc == ERR_LIMIT)
            say(s, out, "%s is %zu bytes, limit is %zu", name, source_len(s, &sources->at[i]),
                scratch->max);
        else
            say(s, out, "%s is neither a string nor a number", name);
        return absent;
    }
    return absent;
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

        if (piece->kind == PIECE_SOURCE) {
            rc = source_text(s, &piece->source, &s->part, &text);
            present |= rc == 0;
            if (rc == ERR_NOTFOUND)
                continue;
        }
        if (rc == 0)
            rc = buf_append_slice(&s->id, text);
        if (rc == ERR_INVAL) {
            say(s, out, "a part of the id is neither a string nor a number");
            return absent;
        }
        if (rc != 0) {
            say(s, out, "id is too long, limit is %d bytes", LIMIT_EVENT_ID);
            return absent;
        }
    }
    return present ? buf_slice(&s->id) : absent;
}

static struct slice read_time(const struct profile_scanner *s, const struct sources *sources)
{
    for (unsigned i = 0; i < sources->n; i++) {
        const struct json_value *value = &s->slots[sources->at[i].slot];

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

static void read_fields(struct profile_scanner *s, const struct fields *fields,
                        struct profile_message *out)
{
    int64_t number;

    out->id = fields->id_template.n != 0 ? read_id_template(s, &fields->id_template, out)
                                         : read_field(s, &fields->id, "id", &s->id, out);
    out->position = read_field(s, &fields->position, "position", &s->position, out);
    if (out->position.ptr != NULL && s->profile->compare == PROFILE_COMPARE_INT &&
        slice_parse_i64(out->position, &number) != 0) {
        say(s, out, "position is no integer of 64 bits, but [position] compare = int");
        out->position = (struct slice){NULL, 0};
    }
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

static void clear_slots(struct profile_scanner *s, const struct json_paths *paths)
{
    memset(s->slots, 0, json_paths_count(paths) * sizeof(*s->slots));
}

/* ---- rules ---- */

static void apply_action(struct profile_scanner *s, const struct profile_rule_action *action,
                         struct profile_message *out)
{
    switch (action->kind) {
    case PROFILE_RULE_EVENT:
        out->event = true;
        return;
    case PROFILE_RULE_IGNORE:
        out->event = false;
        return;
    case PROFILE_RULE_SNAPSHOT:
        out->snapshot = true;
        return;
    case PROFILE_RULE_ALIVE:
    case PROFILE_RULE_FRESH:
    case PROFILE_RULE_CAPTURE:
    case PROFILE_RULE_SEND:
    case PROFILE_RULE_CALL:
    case PROFILE_RULE_SET:
    case PROFILE_RULE_HANDOVER:
    case PROFILE_RULE_SAY:
    case PROFILE_RULE_LIVE:
    case PROFILE_RULE_RECONNECT:
    case PROFILE_RULE_REFRESH:
    case PROFILE_RULE_FORGET:
    case PROFILE_RULE_GAP:
    case PROFILE_RULE_HOLD:
    case PROFILE_RULE_PARK:
        break;
    }
    if (out->n_actions < PROFILE_ACTIONS_MAX)
        out->actions[out->n_actions++] = (struct profile_trigger){.action = action};
    else
        say(s, out, "more than %d actions for one message", PROFILE_ACTIONS_MAX);
}

static void apply_rules(struct profile_scanner *s, struct profile_message *out)
{
    const struct profile_private *priv = s->profile->priv;
    struct expr_subject subject = {s->slots, s->headers};

    if (priv->only != NULL)
        out->event = expr_holds(priv->only, &subject);
    for (unsigned i = 0; i < priv->n_rules; i++) {
        const struct rule *rule = &priv->rules[i];

        if (rule->match == NULL || !expr_holds(rule->match, &subject))
            continue;
        for (unsigned j = 0; j < rule->n_actions; j++)
            apply_action(s, &rule->actions[j], out);
    }
}

/* ---- the whole ---- */

/* Text that is no JSON is an event all the same, kept as text: it must not vanish unsaid. */
static void read_text(struct profile_scanner *s, size_t error_offset, struct profile_message *out)
{
    const struct profile_private *priv = s->profile->priv;

    clear_slots(s, priv->message.paths);
    if (json_paths_count(priv->message.paths) != 0)
        say(s, out, "no JSON: byte %zu is wrong; kept as text", error_offset);
    if (priv->header_block)
        apply_rules(s, out);
    read_fields(s, &priv->message, out);
}

void profile_scan_message(struct profile_scanner *scanner, struct slice text,
                          struct profile_message *out)
{
    const struct profile_private *priv = scanner->profile->priv;
    size_t error_offset = 0;

    memset(out, 0, offsetof(struct profile_message, actions));
    out->n_actions = 0;
    out->fault = NULL;
    out->event = true;
    if (priv->header_block) {
        clear_headers(scanner);
        if (!take_header_block(scanner, &text)) {
            clear_headers(scanner);
            say(scanner, out, "no header block in front of the payload");
        }
    }
    out->data = text;
    out->json = json_scan(priv->message.paths, text, scanner->slots, &error_offset) == 0;
    if (!out->json) {
        read_text(scanner, error_offset, out);
        return;
    }
    apply_rules(scanner, out);
    read_fields(scanner, &priv->message, out);
}

void scanner_read_item(struct profile_scanner *s, struct slice text, struct profile_message *out)
{
    const struct profile_private *priv = s->profile->priv;
    size_t error_offset = 0;

    memset(out, 0, sizeof(*out));
    out->event = true;
    out->data = text;
    clear_headers(s);
    out->json = json_scan(priv->item.paths, text, s->slots, &error_offset) == 0;
    if (!out->json) {
        clear_slots(s, priv->item.paths);
        say(s, out, "no JSON: byte %zu of the item is wrong", error_offset);
    }
    read_fields(s, &priv->item, out);
}
