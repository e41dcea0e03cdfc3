/*
 * Parameters with a fixed set of values.
 *
 *     params = auth=header|query feed=odds|live room=|all|none
 *
 * declares them; the first is the default (none, where nothing stands before the first bar). In a
 * template ${auth=query} stands for nothing where the parameter has that value, and leaves the
 * line out where it has another: so a line can be for one choice alone.
 */
#include <stdio.h>

#include "profile/load.h"

#define CHOICES_MAX 16

static struct slice next_choice(struct slice *rest)
{
    const char *bar = slice_find_byte(*rest, '|');
    struct slice word = slice_make(rest->ptr, bar != NULL ? (size_t)(bar - rest->ptr) : rest->len);

    *rest = slice_from(*rest, word.len + 1);
    return word;
}

bool load_choices(struct loader *l, const struct ini_entry *entry, struct slice name,
                  struct slice *value, struct param *param)
{
    struct slice all = *value, rest;
    unsigned n = 0;

    if (all.ptr[0] == '|')
        all = slice_from(all, 1);
    for (rest = all; rest.len != 0; n++)
        if (next_choice(&rest).len == 0)
            n = CHOICES_MAX;
    if (n == 0 || n > CHOICES_MAX || all.ptr[all.len - 1] == '|') {
        load_fault(l, entry,
                   "%s: the choices of `" SLICE_FMT "` are up to %d words with a bar between each, "
                   "such as a|b|c",
                   entry->key, SLICE_ARG(name), CHOICES_MAX);
        return false;
    }
    param->choices = arena_text(l->arena, all);
    *value = next_choice(value);
    return param->choices != NULL;
}

static bool is_choice(const struct param *param, struct slice value)
{
    struct slice rest = slice_str(param->choices);

    while (rest.len != 0)
        if (slice_eq(next_choice(&rest), value))
            return true;
    return false;
}

/* "a, b or c" */
static const char *list_choices(const struct param *param, char *out, size_t size)
{
    struct slice rest = slice_str(param->choices);
    size_t n = 0;

    out[0] = '\0';
    while (rest.len != 0 && n < size) {
        struct slice word = next_choice(&rest);
        int len = snprintf(out + n, size - n, "%s" SLICE_FMT,
                           n == 0          ? ""
                           : rest.len == 0 ? " or "
                                           : ", ",
                           SLICE_ARG(word));

        n += len > 0 ? (size_t)len : size;
    }
    return out;
}

bool load_choice_ok(struct loader *l, const struct ini_entry *entry, const struct param *param,
                    struct slice value)
{
    char list[160];

    if (param->choices == NULL || is_choice(param, value))
        return true;
    load_fault(l, entry, "%s: `" SLICE_FMT "` is not %s", entry->key, SLICE_ARG(value),
               list_choices(param, list, sizeof(list)));
    return false;
}

struct resolved load_condition(struct loader *l, struct slice text, struct error *err)
{
    const char *equals = slice_find_byte(text, '=');
    struct slice name = slice_make(text.ptr, (size_t)(equals - text.ptr));
    struct slice value = slice_from(text, name.len + 1);
    const struct param *param = load_param(l, name);
    bool holds;

    if (param == NULL || param->choices == NULL) {
        error_set(err, ERR_PARSE,
                  "`${" SLICE_FMT "}`: [profile] params declares no choices for `" SLICE_FMT "`",
                  SLICE_ARG(text), SLICE_ARG(name));
        return (struct resolved){.kind = NAME_UNKNOWN};
    }
    if (!is_choice(param, value)) {
        char list[160];

        error_set(err, ERR_PARSE, "`${" SLICE_FMT "}`: `" SLICE_FMT "` is %s", SLICE_ARG(text),
                  SLICE_ARG(name), list_choices(param, list, sizeof(list)));
        return (struct resolved){.kind = NAME_UNKNOWN};
    }
    holds = param->value != NULL ? slice_eq_str(value, param->value) : l->stream == NULL;
    return (struct resolved){.kind = holds ? NAME_VALUE : NAME_UNSET, .value = SLICE("")};
}
