#include <stdlib.h>

#include "profile/rule.h"

#include "base/suggest.h"
#include "base/timefmt.h"

/* What may follow the word of an action. */
enum argument {
    ARGUMENT_NONE,
    ARGUMENT_DELAY_OPTIONAL,
    ARGUMENT_DELAY,
    ARGUMENT_TEXT_OPTIONAL,
    ARGUMENT_TEXT,
    ARGUMENT_CAPTURE,        /* V=ptr */
    ARGUMENT_NAMES,          /* A|B */
    ARGUMENT_SETTING,        /* KEY=ptr*factor */
    ARGUMENT_PLACE_OPTIONAL, /* ptr */
};

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
        return ARGUMENT_NONE;
    case PROFILE_RULE_CAPTURE:
        return ARGUMENT_CAPTURE;
    case PROFILE_RULE_SEND:
    case PROFILE_RULE_CALL:
        return ARGUMENT_NAMES;
    case PROFILE_RULE_SET:
        return ARGUMENT_SETTING;
    case PROFILE_RULE_HANDOVER:
        return ARGUMENT_PLACE_OPTIONAL;
    case PROFILE_RULE_RECONNECT:
        return ARGUMENT_DELAY_OPTIONAL;
    case PROFILE_RULE_HOLD:
        return ARGUMENT_DELAY;
    case PROFILE_RULE_GAP:
    case PROFILE_RULE_PARK:
        return ARGUMENT_TEXT_OPTIONAL;
    case PROFILE_RULE_SAY:
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

/* ---- arguments ---- */

struct action_parser {
    struct arena *arena;
    const struct rule_names *names;
    struct slice word;
    struct error *err;
};

static int keep_text(struct action_parser *p, struct slice text, const char **out)
{
    *out = arena_text(p->arena, text);
    return *out != NULL ? 0 : error_set(p->err, ERR_NOMEM, "out of memory");
}

static int read_taken(struct action_parser *p, struct slice places, unsigned *out)
{
    int rc = p->names->taken(p->names->arg, places, out, p->err);

    return rc == 0 || p->err == NULL ? rc
                                     : error_wrap(p->err, "`" SLICE_FMT "`", SLICE_ARG(p->word));
}

/* Halves at the first `=`. */
static int read_pair(struct action_parser *p, struct slice argument, const char *form,
                     struct slice *name, struct slice *value)
{
    const char *equals = slice_find_byte(argument, '=');
    size_t n = equals != NULL ? (size_t)(equals - argument.ptr) : 0;

    *name = slice_trim(slice_make(argument.ptr, n));
    *value = slice_trim(slice_from(argument, n + 1));
    if (name->len != 0 && value->len != 0)
        return 0;
    return error_set(p->err, ERR_PARSE, "`" SLICE_FMT "` takes %s, not `" SLICE_FMT "`",
                     SLICE_ARG(p->word), form, SLICE_ARG(argument));
}

static int read_capture(struct action_parser *p, struct slice argument,
                        struct profile_rule_action *out)
{
    struct slice name, places;
    int rc = read_pair(p, argument, "VARIABLE=/pointer", &name, &places);

    if (rc == 0)
        rc = p->names->variable(p->names->arg, name, &out->variable, p->err);
    return rc == 0 ? read_taken(p, places, &out->value) : rc;
}

static int find_setting(struct action_parser *p, struct slice name, enum profile_setting *out)
{
    static const char *const settings[] = {
#define X(id, text) text,
        PROFILE_SETTINGS(X)
#undef X
    };
    const char *near;

    for (int i = 0; i < PROFILE_SETTING_COUNT; i++)
        if (slice_eq_str(name, settings[i])) {
            *out = (enum profile_setting)i;
            return 0;
        }
    near = suggest(name, settings, PROFILE_SETTING_COUNT);
    return error_set(p->err, ERR_PARSE, "`set` cannot set `" SLICE_FMT "`%s%s%s", SLICE_ARG(name),
                     near != NULL ? "; did you mean `" : "", near != NULL ? near : "",
                     near != NULL ? "`?" : "");
}

#define FACTOR_TEXT_MAX 32

static int read_factor(struct action_parser *p, struct slice text, double *out)
{
    char copy[FACTOR_TEXT_MAX + 1] = "", *end = copy;

    if (text.len <= FACTOR_TEXT_MAX && text.len != 0) {
        memcpy(copy, text.ptr, text.len);
        *out = strtod(copy, &end);
    }
    if (end != copy && *end == '\0' && *out > 0 && *out <= 1e9)
        return 0;
    return error_set(p->err, ERR_PARSE,
                     "`set` multiplies by a number above 0, such as 1000 for seconds, not by "
                     "`" SLICE_FMT "`",
                     SLICE_ARG(text));
}

static int read_setting(struct action_parser *p, struct slice argument,
                        struct profile_rule_action *out)
{
    struct slice name, places;
    const char *star;
    int rc = read_pair(p, argument, "KEY=/pointer or KEY=/pointer*FACTOR", &name, &places);

    if (rc == 0)
        rc = find_setting(p, name, &out->setting);
    if (rc != 0)
        return rc;
    out->factor = 1;
    star = memrchr(places.ptr, '*', places.len);
    if (star != NULL) {
        size_t n = (size_t)(star - places.ptr);

        rc = read_factor(p, slice_trim(slice_from(places, n + 1)), &out->factor);
        places = slice_trim(slice_make(places.ptr, n));
    }
    return rc == 0 ? read_taken(p, places, &out->value) : rc;
}

/* What stands behind the word, up to the comma; of a TEXT up to the end of the line. */
static int read_argument(struct action_parser *p, struct slice argument,
                         struct profile_rule_action *out)
{
    switch (argument_of(out->kind)) {
    case ARGUMENT_NONE:
        if (argument.len == 0)
            return 0;
        return error_set(p->err, ERR_PARSE, "`" SLICE_FMT "` takes nothing behind it",
                         SLICE_ARG(p->word));
    case ARGUMENT_DELAY_OPTIONAL:
        if (argument.len == 0)
            return 0;
        return read_delay(argument, p->word, &out->delay_ms, p->err);
    case ARGUMENT_DELAY:
        return read_delay(argument, p->word, &out->delay_ms, p->err);
    case ARGUMENT_TEXT:
    case ARGUMENT_NAMES:
        if (argument.len == 0)
            return error_set(p->err, ERR_PARSE, "`" SLICE_FMT "` takes a %s behind it",
                             SLICE_ARG(p->word), out->kind == PROFILE_RULE_SAY ? "text" : "name");
        return keep_text(p, argument, &out->text);
    case ARGUMENT_TEXT_OPTIONAL:
        return argument.len != 0 ? keep_text(p, argument, &out->text) : 0;
    case ARGUMENT_CAPTURE:
        return read_capture(p, argument, out);
    case ARGUMENT_SETTING:
        return read_setting(p, argument, out);
    case ARGUMENT_PLACE_OPTIONAL:
        return argument.len != 0 ? read_taken(p, argument, &out->value) : 0;
    }
    return 0;
}

static bool takes_line(enum profile_rule_kind kind)
{
    enum argument argument = argument_of(kind);

    return argument == ARGUMENT_TEXT || argument == ARGUMENT_TEXT_OPTIONAL;
}

/* One action; *line is what stands behind it on its line. */
static int parse_action(struct action_parser *p, struct slice *line,
                        struct profile_rule_action *out)
{
    const char *comma = slice_find_byte(*line, ',');
    size_t len = comma != NULL ? (size_t)(comma - line->ptr) : line->len, n = 0;
    struct slice part = slice_trim(slice_make(line->ptr, len));
    int rc;

    while (n < part.len && part.ptr[n] != ' ' && part.ptr[n] != '\t')
        n++;
    p->word = slice_make(part.ptr, n);
    rc = find_kind(p->word, &out->kind, p->err);
    if (rc != 0)
        return rc;
    if (takes_line(out->kind))
        len = line->len;
    part = slice_make(part.ptr, (size_t)(line->ptr + len - part.ptr));
    *line = slice_from(*line, len + 1);
    return read_argument(p, slice_trim(slice_from(part, n)), out);
}

static int parse_line(struct action_parser *p, const char *rule, struct slice line,
                      struct profile_rule_action *list, unsigned *n)
{
    line = slice_trim(line);
    while (line.len != 0) {
        int rc;

        if (*n == RULE_DO_MAX)
            return error_set(p->err, ERR_PARSE, "more than %d actions", RULE_DO_MAX);
        list[*n] =
            (struct profile_rule_action){.rule = rule, .http = PROFILE_NONE, .value = PROFILE_NONE};
        rc = parse_action(p, &line, &list[*n]);
        if (rc != 0)
            return rc;
        ++*n;
        line = slice_trim(line);
    }
    return 0;
}

int rule_parse_do(struct arena *arena, const char *rule, struct slice text,
                  const struct rule_names *names, struct profile_rule_action **out, unsigned *n,
                  struct error *err)
{
    struct action_parser p = {.arena = arena, .names = names, .err = err};
    struct profile_rule_action list[RULE_DO_MAX];
    unsigned count = 0;

    while (text.len != 0) {
        const char *newline = slice_find_byte(text, '\n');
        size_t len = newline != NULL ? (size_t)(newline - text.ptr) : text.len;
        int rc = parse_line(&p, rule, slice_make(text.ptr, len), list, &count);

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
