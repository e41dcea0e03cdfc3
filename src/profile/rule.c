#include "profile/rule.h"

#include "base/suggest.h"
#include "base/timefmt.h"

/* What may follow the word of an action. */
enum argument { ARGUMENT_NONE, ARGUMENT_DELAY_OPTIONAL, ARGUMENT_DELAY, ARGUMENT_TEXT };

static enum argument argument_of(enum profile_rule_kind kind)
{
    switch (kind) {
    case PROFILE_RULE_EVENT:
    case PROFILE_RULE_IGNORE:
    case PROFILE_RULE_LIVE:
    case PROFILE_RULE_REFRESH:
    case PROFILE_RULE_FORGET:
    case PROFILE_RULE_SNAPSHOT:
    case PROFILE_RULE_ALIVE:
    case PROFILE_RULE_FRESH:
    case PROFILE_RULE_CAPTURE:
    case PROFILE_RULE_SEND:
    case PROFILE_RULE_CALL:
    case PROFILE_RULE_SET:
    case PROFILE_RULE_HANDOVER:
        return ARGUMENT_NONE;
    case PROFILE_RULE_RECONNECT:
        return ARGUMENT_DELAY_OPTIONAL;
    case PROFILE_RULE_HOLD:
        return ARGUMENT_DELAY;
    case PROFILE_RULE_GAP:
    case PROFILE_RULE_SAY:
    case PROFILE_RULE_PARK:
        return ARGUMENT_TEXT;
    }
    return ARGUMENT_NONE;
}

static const char *const action_names[] = {
#define X(id, text) text,
    PROFILE_RULE_ACTIONS(X)
#undef X
};
#define N_ACTIONS (sizeof(action_names) / sizeof(action_names[0]))

static int find_kind(struct slice word, enum profile_rule_kind *out, struct error *err)
{
    const char *near;

    for (size_t i = 0; i < N_ACTIONS; i++)
        if (slice_eq_str(word, action_names[i])) {
            *out = (enum profile_rule_kind)i;
            return 0;
        }
    near = suggest(word, action_names, N_ACTIONS);
    return error_set(err, ERR_PARSE, "unknown action `" SLICE_FMT "`%s%s%s", SLICE_ARG(word),
                     near != NULL ? "; did you mean `" : "", near != NULL ? near : "",
                     near != NULL ? "`?" : "");
}

static int read_delay(struct slice argument, struct slice word, int64_t *out, struct error *err)
{
    if (duration_parse(argument, out) != 0)
        return error_set(err, ERR_PARSE,
                         "`" SLICE_FMT "` takes a duration such as 30s or 5m, not `" SLICE_FMT "`",
                         SLICE_ARG(word), SLICE_ARG(argument));
    return 0;
}

/* One action; *line is what stands behind it on its line. */
static int parse_action(struct arena *arena, struct slice *line, struct profile_rule_action *out,
                        struct error *err)
{
    const char *comma = slice_find_byte(*line, ',');
    size_t to_comma = comma != NULL ? (size_t)(comma - line->ptr) : line->len;
    struct slice part = slice_trim(slice_make(line->ptr, to_comma)), argument;
    size_t n = 0;
    int rc;

    while (n < part.len && part.ptr[n] != ' ' && part.ptr[n] != '\t')
        n++;
    rc = find_kind(slice_make(part.ptr, n), &out->kind, err);
    if (rc != 0)
        return rc;
    argument = slice_trim(slice_from(part, n));
    part.len = n;
    switch (argument_of(out->kind)) {
    case ARGUMENT_NONE:
        if (argument.len != 0)
            return error_set(err, ERR_PARSE, "`" SLICE_FMT "` takes nothing behind it",
                             SLICE_ARG(part));
        break;
    case ARGUMENT_DELAY_OPTIONAL:
        if (argument.len != 0)
            rc = read_delay(argument, part, &out->delay_ms, err);
        break;
    case ARGUMENT_DELAY:
        rc = read_delay(argument, part, &out->delay_ms, err);
        break;
    case ARGUMENT_TEXT:
        argument = slice_trim(slice_from(*line, (size_t)(part.ptr - line->ptr) + n));
        to_comma = line->len;
        if (argument.len == 0)
            break;
        out->text = arena_text(arena, argument);
        if (out->text == NULL)
            return error_set(err, ERR_NOMEM, "out of memory");
        break;
    }
    *line = slice_from(*line, to_comma + 1);
    return rc;
}

static int parse_line(struct arena *arena, const char *rule, struct slice line,
                      struct profile_rule_action *list, unsigned *n, struct error *err)
{
    line = slice_trim(line);
    while (line.len != 0) {
        int rc;

        if (*n == RULE_DO_MAX)
            return error_set(err, ERR_PARSE, "more than %d actions", RULE_DO_MAX);
        list[*n] = (struct profile_rule_action){.rule = rule};
        rc = parse_action(arena, &line, &list[*n], err);
        if (rc != 0)
            return rc;
        ++*n;
        line = slice_trim(line);
    }
    return 0;
}

int rule_parse_do(struct arena *arena, const char *rule, struct slice text,
                  const struct profile_rule_action **out, unsigned *n, struct error *err)
{
    struct profile_rule_action list[RULE_DO_MAX];
    unsigned count = 0;

    while (text.len != 0) {
        const char *newline = slice_find_byte(text, '\n');
        size_t len = newline != NULL ? (size_t)(newline - text.ptr) : text.len;
        int rc = parse_line(arena, rule, slice_make(text.ptr, len), list, &count, err);

        if (rc != 0)
            return rc;
        text = slice_from(text, len + 1);
    }
    if (count == 0)
        return error_set(err, ERR_PARSE, "no action; write one, such as `ignore`");
    *out = arena_copy(arena, list, count, sizeof(list[0]));
    if (*out == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    *n = count;
    return 0;
}
