/*
 * complete: what could stand in the place of a command line's last word, a line each; for the
 * shells, whose own scripts stay thin; a word and, behind a tab, what it is, or ":file". Streams
 * and consumers come from the running daemon, else streams from the configuration.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/commands.h"
#include "ctl/offline.h"
#include "json/json.h"

enum { COMPLETE_MS = 1000 }; /* nobody waits longer for a list of names */

struct completion {
    struct ctl *ctl;
    struct slice begun; /* the last word as far as it is typed */
};

static void offer(const struct completion *c, struct slice word, const char *help)
{
    if (!slice_starts_with(word, c->begun))
        return;
    printf(SLICE_FMT "%s%s\n", SLICE_ARG(word), help != NULL ? "\t" : "", help != NULL ? help : "");
}

static void offer_choices(const struct completion *c, const char *choices)
{
    struct slice rest = slice_str(choices != NULL ? choices : "");
    while (rest.len > 0) {
        const char *blank = slice_find_byte(rest, ' ');
        size_t n = blank != NULL ? (size_t)(blank - rest.ptr) : rest.len;
        offer(c, slice_make(rest.ptr, n), NULL);
        rest = slice_from(rest, n + 1);
    }
}

/* ---- from the daemon ---- */

static struct json_value member(const struct json_value *object, const char *wanted)
{
    struct json_iter it = json_iter_object(object);
    struct json_value name, value;
    while (object->type == JSON_OBJECT && json_iter_next_member(&it, &name, &value))
        if (json_string_eq(&name, slice_str(wanted)))
            return value;
    return (struct json_value){.type = JSON_ABSENT};
}

/* Each of `list`'s `name`: those of streams and consumers hold nothing that is escaped. */
static void offer_answer(const struct completion *c, struct slice answer, const char *list,
                         const char *name)
{
    struct json_value object = {.type = JSON_OBJECT, .raw = answer}, element;
    if (!slice_starts_with(answer, SLICE("{")) || json_scan(NULL, answer, NULL, NULL) != 0)
        return;
    struct json_value array = member(&object, list);
    struct json_iter it = json_iter_array(&array);
    while (array.type == JSON_ARRAY && json_iter_next(&it, &element)) {
        struct json_value value = member(&element, name);
        if (value.type == JSON_STRING && !value.escaped)
            offer(c, slice_make(value.raw.ptr + 1, value.raw.len - 2), NULL);
    }
}

/* False: there is none that answers. */
static bool offer_from_daemon(const struct completion *c, const char *op, const char *list,
                              const char *name)
{
    struct connection connection;
    struct error err;
    struct slice answer;
    struct buf request;
    if (connection_open(&connection, c->ctl->socket, &err) != 0)
        return false;
    buf_init(&request, LIMIT_LINE_IN);
    int status = connection_write_request(&request, op, NULL);
    if (status == 0)
        status = connection_send(&connection, buf_slice(&request), &err);
    if (status == 0)
        status = connection_line(&connection, COMPLETE_MS, &answer, &err);
    if (status == 0)
        offer_answer(c, answer, list, name);
    buf_fini(&request);
    connection_close(&connection);
    return status == 0;
}

/* ---- from files ---- */

static void offer_configured(const struct completion *c)
{
    struct diag *diag = diag_new();
    struct settings *settings = NULL;
    if (diag != NULL && settings_load(offline_config(c->ctl), diag, &settings) == 0)
        for (size_t i = 0; i < settings->n_streams; i++)
            offer(c, slice_str(settings->streams[i].name), settings->streams[i].profile);
    settings_free(settings);
    diag_free(diag);
}

static void on_profile(void *arg, const char *name, const char *path)
{
    (void)path;
    offer(arg, slice_str(name), NULL);
}

static void offer_profiles(struct completion *c)
{
    const char *dirs[OFFLINE_DIRS];
    struct settings *settings = offline_dirs(c->ctl, dirs);
    struct error err;
    (void)profile_list(dirs, on_profile, c, &err);
    settings_free(settings);
}

static void on_end(void *arg, const struct profile_end *end, int to)
{
    char key[320];
    if (end->kind != PROFILE_END_FAILURE && to > end->code)
        return;
    offer(arg, slice_make(key, profile_end_key(end, key, sizeof(key))), NULL);
}

/* ---- places of a command line ---- */

static void offer_word(struct completion *c, enum command_word word, const char *choices)
{
    switch (word) {
    case WORD_NONE:
    case WORD_TEXT:
        return;
    case WORD_FILE: /* which the shell knows */
        printf(":file\n");
        return;
    case WORD_CHOICE:
        offer_choices(c, choices);
        return;
    case WORD_STREAM:
        if (!offer_from_daemon(c, "status", "streams", "stream"))
            offer_configured(c);
        return;
    case WORD_CONSUMER:
        (void)offer_from_daemon(c, "consumers", "consumers", "consumer");
        return;
    case WORD_PROFILE:
        offer_profiles(c);
        return;
    case WORD_CODE:
        profile_ends_builtin(on_end, c);
        return;
    }
}

static void offer_options(const struct completion *c, const struct command_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        char name[64];
        int n = snprintf(name, sizeof(name), "--%s", options->name);
        offer(c, slice_make(name, (size_t)n), options->help);
    }
}

static void offer_commands(const struct completion *c)
{
    for (const struct command *command = commands; command->name != NULL; command++)
        if (!command->hidden)
            offer(c, slice_str(command->name), command->help);
}

/* What comes before the last word: the command, how many arguments, an option that wants its value.
 */
struct place {
    const struct command *command;
    const struct command_option *option; /* the last word is its value */
    int args;
};

static void find_place(struct ctl *ctl, char **words, int n, struct place *place)
{
    for (int i = 0; i < n; i++) {
        const char *word = words[i];
        if (place->option != NULL) {
            if (strcmp(place->option->name, "socket") == 0)
                ctl->socket = word;
            if (strcmp(place->option->name, "config") == 0 && ctl->n_options < CTL_OPTIONS_MAX)
                ctl->options[ctl->n_options++] = (struct ctl_option){"config", word};
            place->option = NULL;
        } else if (strncmp(word, "--", 2) == 0) {
            const struct command_option *option = command_option_find(place->command, word + 2);
            place->option = option != NULL && option->argument != NULL ? option : NULL;
        } else if (word[0] != '-' && place->command == NULL) {
            place->command = command_find(word);
        } else if (word[0] != '-' || word[1] == '\0') {
            place->args++;
        }
    }
}

static void offer_argument(struct completion *c, const struct place *place)
{
    const struct command *command = place->command;
    int last = 0;
    while (last + 1 < COMMAND_WORDS_MAX && command->words[last + 1].word != WORD_NONE)
        last++;
    if (command->args_max >= 0 && place->args >= command->args_max)
        return;
    int at = place->args < last ? place->args : last;
    offer_word(c, command->words[at].word, command->words[at].choices);
}

int ctl_complete(struct ctl *ctl)
{
    struct place place = {.command = NULL};
    struct completion c = {.ctl = ctl};
    if (ctl->n_args == 0)
        return CTL_OK;
    c.begun = slice_str(ctl->args[ctl->n_args - 1]);
    find_place(ctl, ctl->args, ctl->n_args - 1, &place);
    if (place.option != NULL) {
        offer_word(&c, place.option->word, place.option->choices);
    } else if (slice_starts_with(c.begun, SLICE("-"))) {
        offer_options(&c, place.command != NULL ? place.command->options : NULL);
        offer_options(&c, global_options);
    } else if (place.command == NULL) {
        offer_commands(&c);
    } else {
        offer_argument(&c, &place);
    }
    return CTL_OK;
}
