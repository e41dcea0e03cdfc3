/*
 * The registry of captured variables: what `capture` of a rule and [http NAME] capture.VAR set.
 *
 * They are declared by being captured, before any template is compiled (see load.c), so that a
 * template may name them wherever it stands, and a misspelt one is found.
 */
#include "profile/load.h"

unsigned load_variable_find(const struct loader *l, struct slice name)
{
    for (unsigned i = 0; i < l->n_variables; i++)
        if (slice_eq_str(name, l->variables[i]))
            return i;
    return PROFILE_NONE;
}

int load_variable(struct loader *l, struct slice name, unsigned *index, struct error *err)
{
    char *copy;

    *index = load_variable_find(l, name);
    if (*index != PROFILE_NONE)
        return 0;
    if (!load_name_ok(name))
        return error_set(err, ERR_PARSE,
                         "`" SLICE_FMT "` cannot be a variable: a small letter, then small "
                         "letters, digits and _, and none of hawser's own",
                         SLICE_ARG(name));
    if (load_param(l, name) != NULL)
        return error_set(err, ERR_PARSE, "`" SLICE_FMT "` is a parameter, which cannot be captured",
                         SLICE_ARG(name));
    if (l->n_variables == PROFILE_VARIABLES_MAX)
        return error_set(err, ERR_PARSE, "more than %d captured variables", PROFILE_VARIABLES_MAX);
    copy = arena_text(l->arena, name);
    if (copy == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    *index = l->n_variables;
    l->variables[l->n_variables++] = copy;
    return 0;
}

void load_keep_variables(struct loader *l)
{
    l->profile->variables =
        arena_copy(l->arena, l->variables, l->n_variables, sizeof(l->variables[0]));
    l->profile->n_variables = l->profile->variables != NULL ? l->n_variables : 0;
}
