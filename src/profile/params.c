#include <stdio.h>

#include "base/suggest.h"
#include "config/secret_source.h"
#include "profile/load.h"

static const char *const builtin_names[] = {"position", "next", "n", "uuid", "now_ms", "each"};
#define N_BUILTIN (sizeof(builtin_names) / sizeof(builtin_names[0]))

static const char secret_prefix[] = "secret.";

static struct param *find_param(struct loader *l, struct slice name, bool secret)
{
    for (unsigned i = 0; i < l->n_params; i++)
        if (l->params[i].secret == secret && slice_eq_str(name, l->params[i].name))
            return &l->params[i];
    return NULL;
}

struct param *load_param(struct loader *l, struct slice name)
{
    return find_param(l, name, false);
}

struct param *load_secret(struct loader *l, struct slice name)
{
    return find_param(l, name, true);
}

/* ---- [profile] params, secrets ---- */

bool load_name_ok(struct slice name)
{
    if (name.len == 0 || name.len > SUGGEST_WORD_MAX || name.ptr[0] < 'a' || name.ptr[0] > 'z')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
            return false;
    }
    for (size_t i = 0; i < N_BUILTIN; i++)
        if (slice_eq_str(name, builtin_names[i]))
            return false;
    return true;
}

static void declare(struct loader *l, const struct ini_entry *entry, struct slice word, bool secret)
{
    const char *equals = slice_find_byte(word, '=');
    struct slice name =
        slice_make(word.ptr, equals != NULL ? (size_t)(equals - word.ptr) : word.len);
    struct slice value = slice_from(word, name.len + 1);
    struct param *param = &l->params[l->n_params];

    if (!load_name_ok(name)) {
        load_fault(l, entry,
                   "%s: `" SLICE_FMT "` cannot be a name: a small letter, then small letters, "
                   "digits and _, and none of position, next, n, uuid, now_ms, each",
                   entry->key, SLICE_ARG(name));
        return;
    }
    if (find_param(l, name, false) != NULL || find_param(l, name, true) != NULL) {
        load_fault(l, entry, "%s: `" SLICE_FMT "` is declared twice", entry->key, SLICE_ARG(name));
        return;
    }
    if (secret && value.len != 0) {
        load_fault(l, entry,
                   "%s: a secret has no default; write `" SLICE_FMT "=` for one that may be absent",
                   entry->key, SLICE_ARG(name));
        return;
    }
    if (l->n_params == PROFILE_PARAMS_MAX) {
        load_fault(l, entry, "%s: more than %d parameters and secrets", entry->key,
                   PROFILE_PARAMS_MAX);
        return;
    }
    *param = (struct param){.name = arena_text(l->arena, name), .secret = secret};
    param->optional = equals != NULL;
    if (slice_find_byte(value, '|') != NULL && !load_choices(l, entry, name, &value, param))
        return;
    if (value.len != 0)
        param->value = arena_text(l->arena, value);
    l->n_params += param->name != NULL;
}

void load_declare(struct loader *l, const struct ini_entry *entry, bool secrets)
{
    struct slice rest = slice_str(entry->value);

    while (rest.len != 0) {
        size_t n = 0;

        while (n < rest.len && strchr(" \t\n\r", rest.ptr[n]) == NULL)
            n++;
        if (n != 0)
            declare(l, entry, slice_make(rest.ptr, n), secrets);
        rest = slice_from(rest, n + 1);
    }
}

/* ---- what the stream configures ---- */

static void configure_secret(struct loader *l, struct param *param, const struct ini_entry *entry)
{
    const char *why;

    if (!secret_source_ok(entry->value, &why))
        load_fault(l, entry, "%s: %s", entry->key, why);
    param->value = arena_text(l->arena, slice_str(entry->value));
}

static void configure_param(struct loader *l, struct param *param, const struct ini_entry *entry)
{
    struct slice value = slice_str(entry->value);

    param->missed = true; /* whatever is wrong with it, it is there */
    if (value.len > LIMIT_VARIABLE) {
        load_fault(l, entry, "%s: %zu bytes are too long, the limit is %d", entry->key, value.len,
                   LIMIT_VARIABLE);
        return;
    }
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < ' ' || value.ptr[i] == 0x7f) {
            load_fault(l, entry, "%s: a control byte (or a continued line) in the value",
                       entry->key);
            return;
        }
    if (value.len != 0 && load_choice_ok(l, entry, param, value))
        param->value = arena_text(l->arena, value);
}

static void say_unknown(struct loader *l, const struct ini_entry *entry)
{
    const char *candidates[PROFILE_PARAMS_MAX], *near;

    for (unsigned i = 0; i < l->n_params; i++)
        candidates[i] = l->params[i].name;
    near = suggest(slice_str(entry->key), candidates, l->n_params);
    if (near == NULL)
        near = settings_suggest_key("stream", slice_str(entry->key));
    if (near != NULL)
        load_fault(l, entry, "unknown key `%s`; did you mean `%s`?", entry->key, near);
    else
        load_fault(l, entry, "unknown key `%s`: neither [stream] nor profile %s has it", entry->key,
                   l->profile->name);
}

void load_configure(struct loader *l)
{
    for (size_t i = 0; l->stream != NULL && i < l->stream->n_rest; i++) {
        const struct ini_entry *entry = l->stream->rest[i];
        struct slice key = slice_str(entry->key);
        struct param *param = find_param(l, key, false);

        if (slice_find_byte(key, '.') != NULL)
            continue;
        if (param == NULL)
            param = find_param(l, key, true);
        if (param == NULL) {
            say_unknown(l, entry);
            continue;
        }
        param->file = arena_text(l->arena, slice_str(entry->file));
        param->line = entry->line;
        if (param->secret)
            configure_secret(l, param, entry);
        else
            configure_param(l, param, entry);
    }
}

void load_keep_secrets(struct loader *l)
{
    struct profile_secret list[PROFILE_PARAMS_MAX];
    size_t n = 0;

    for (unsigned i = 0; i < l->n_params; i++) {
        const struct param *param = &l->params[i];

        if (param->secret)
            list[n++] =
                (struct profile_secret){param->name, param->value, param->file, param->line};
    }
    l->profile->secrets = arena_copy(l->arena, list, n, sizeof(list[0]));
    l->profile->n_secrets = l->profile->secrets != NULL ? n : 0;
}

/* ---- names in templates ---- */

/* A value for a parameter; where there must be one and is none, that is said, once. */
static struct resolved resolve_param(struct loader *l, struct param *param)
{
    bool absent = param->value == NULL;

    l->unset_secret |= absent && param->secret && l->stream != NULL;
    if (absent && param->optional && l->stream != NULL && !param->captured)
        return (struct resolved){.kind = NAME_UNSET};
    if (absent && !param->optional && l->stream != NULL && !param->missed) {
        param->missed = true;
        diag_add(l->diag, l->stream->file, l->stream->line, "profile %s needs `%s`%s",
                 l->profile->name, param->name,
                 param->secret ? ", such as file:/PATH or credential:NAME" : "");
    }
    if (param->secret)
        return (struct resolved){.kind = NAME_RUNTIME};
    l->placeholder |= absent;
    return (struct resolved){.kind = NAME_VALUE,
                             .value = slice_str(absent ? param->name : param->value)};
}

static struct resolved unknown_name(struct loader *l, struct slice name, bool message,
                                    struct error *err)
{
    char secrets[PROFILE_PARAMS_MAX][sizeof(secret_prefix) + SUGGEST_WORD_MAX];
    const char *candidates[N_BUILTIN + PROFILE_VARIABLES_MAX + PROFILE_PARAMS_MAX], *near;
    size_t n = 0;

    for (size_t i = 0; i < N_BUILTIN && !message; i++)
        candidates[n++] = builtin_names[i];
    for (unsigned i = 0; i < l->n_variables && !message; i++)
        candidates[n++] = l->variables[i];
    for (unsigned i = 0; i < l->n_params; i++) {
        candidates[n] = l->params[i].name;
        if (l->params[i].secret) {
            if (message)
                continue;
            snprintf(secrets[i], sizeof(secrets[i]), "%s%s", secret_prefix, l->params[i].name);
            candidates[n] = secrets[i];
        }
        n++;
    }
    near = suggest(name, candidates, n);
    error_set(err, ERR_PARSE, "there is no variable `" SLICE_FMT "` here%s%s%s", SLICE_ARG(name),
              near != NULL ? "; did you mean `" : "", near != NULL ? near : "",
              near != NULL ? "`?" : "");
    return (struct resolved){.kind = NAME_UNKNOWN};
}

static struct resolved resolve_place(struct loader *l, enum template_context context,
                                     struct slice place, struct error *err)
{
    struct resolved out = {.kind = NAME_SOURCE};

    if (context != TEMPLATE_MESSAGE) {
        error_set(err, ERR_PARSE, "`${" SLICE_FMT "}`: there is no message to take it from here",
                  SLICE_ARG(place));
        out.kind = NAME_UNKNOWN;
    } else if (load_source(l, place, &out.source, err) != 0) {
        out.kind = NAME_UNKNOWN;
    }
    return out;
}

static struct resolved resolve(void *arg, enum template_context context, struct slice name,
                               struct error *err)
{
    struct loader *l = arg;
    struct param *param = find_param(l, name, false);

    if (param != NULL)
        return resolve_param(l, param);
    if (slice_find_byte(name, '=') != NULL)
        return load_condition(l, name, err);
    if (name.ptr[0] == '/' || name.ptr[0] == '^' || slice_starts_with(name, SLICE("header:")))
        return resolve_place(l, context, name, err);
    if (context == TEMPLATE_MESSAGE)
        return unknown_name(l, name, true, err);
    for (size_t i = 0; i < N_BUILTIN; i++)
        if (slice_eq_str(name, builtin_names[i]))
            return (struct resolved){.kind = NAME_RUNTIME};
    if (load_variable_find(l, name) != PROFILE_NONE)
        return (struct resolved){.kind = NAME_RUNTIME};
    if (slice_starts_with(name, slice_str(secret_prefix))) {
        param = find_param(l, slice_from(name, sizeof(secret_prefix) - 1), true);
        if (param != NULL)
            return resolve_param(l, param);
    }
    return unknown_name(l, name, false, err);
}

struct resolver load_resolver(struct loader *l)
{
    return (struct resolver){resolve, l};
}
