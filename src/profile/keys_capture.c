/* Setters of what [http NAME] takes from its answer, and of how often it is asked. */
#include "profile/load.h"

#define VARIABLE_PREFIX "capture."
#define SECRET_PREFIX "capture_secret."

/* The places of an answer's body; a header block is a message's only. */
static int read_places(struct loader *l, const char *text, struct sources *out, struct error *err)
{
    int rc;

    l->scope =
        (struct scope){.paths = l->priv->captured.paths, .no_outer = "nothing holds an answer"};
    rc = load_sources(l, slice_str(text), out, err);
    for (unsigned i = 0; rc == 0 && i < out->n; i++)
        if (out->at[i].header)
            return error_set(err, ERR_PARSE,
                             "an answer has no header block; only a JSON Pointer "
                             "can stand here");
    return rc;
}

static void add_capture(struct loader *l, const struct ini_entry *entry, const char *name,
                        bool secret)
{
    struct http *http = load_http(l, entry);
    struct capture *capture;
    struct error err = {0};

    if (http == NULL || entry->value[0] == '\0')
        return;
    if (http->n_captures == PROFILE_CAPTURES_MAX) {
        load_fault(l, entry, "%s: more than %d captures", entry->key, PROFILE_CAPTURES_MAX);
        return;
    }
    if (http->captures == NULL)
        http->captures = arena_alloc(l->arena, PROFILE_CAPTURES_MAX * sizeof(*http->captures));
    if (http->captures == NULL)
        return;
    capture = &http->captures[http->n_captures];
    *capture = (struct capture){.name = name, .secret = secret};
    if (read_places(l, entry->value, &capture->sources, &err) != 0)
        load_fault_error(l, entry, &err);
    else
        http->n_captures++;
}

void set_capture(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    const char *name = entry->key + sizeof(VARIABLE_PREFIX) - 1;
    struct error err = {0};
    unsigned index;

    if (load_variable(l, slice_str(name), &index, &err) != 0)
        load_fault_error(l, entry, &err);
    else
        add_capture(l, entry, l->variables[index], false);
}

void set_capture_secret(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct slice name = slice_str(entry->key + sizeof(SECRET_PREFIX) - 1);
    struct param *secret = load_secret(l, name);

    if (secret == NULL) {
        load_fault(l, entry, "%s: [profile] secrets does not name `" SLICE_FMT "`", entry->key,
                   SLICE_ARG(name));
        return;
    }
    secret->captured = true;
    add_capture(l, entry, secret->name, true);
}

void set_persist(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"no", "yes"};
    struct http *http = load_http(l, entry);
    int i = load_choose(l, entry, words, 2);

    if (http == NULL || i < 0)
        return;
    http->persist = i == 1;
    http->persist_given = true;
}

/* A parameter's name stands for the values it holds; anything else is the list itself. */
void set_foreach(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct http *http = load_http(l, entry);
    struct param *param = load_param(l, slice_str(entry->value));
    struct slice list[PROFILE_EACH_MAX], rest = slice_str(entry->value);
    unsigned n = 0;

    if (http == NULL || rest.len == 0)
        return;
    if (param != NULL)
        rest = param->value != NULL ? slice_str(param->value) : (struct slice){NULL, 0};
    while (rest.len != 0) {
        size_t len = 0;

        while (len < rest.len && strchr(" \t\n,", rest.ptr[len]) == NULL)
            len++;
        if (len != 0 && n == PROFILE_EACH_MAX) {
            load_fault(l, entry, "foreach: more than %d values", PROFILE_EACH_MAX);
            return;
        }
        if (len != 0)
            list[n++] = arena_slice(l->arena, slice_make(rest.ptr, len));
        rest = slice_from(rest, len + 1);
    }
    http->foreach = true;
    http->each = arena_copy(l->arena, list, n, sizeof(list[0]));
    http->n_each = http->each != NULL ? n : 0;
}
