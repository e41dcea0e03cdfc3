#include "ctl/commands.h"

#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"

/* ---- the table ---- */

const struct command_option global_options[] = {
    {"socket", "PATH", "hawserd's control socket, or any ndjson listener, with its rights",
     WORD_FILE},
    {"json", NULL, "one JSON document; of what goes on, one a line", WORD_NONE},
    {"help", NULL, "what there is, or of a command, how it is used", WORD_NONE},
    {"version", NULL, "the version", WORD_NONE},
    {NULL},
};

static const struct command_option status_options[] = {
    {"watch", NULL, "look again each second, until interrupted", WORD_NONE},
    {NULL},
};

static const struct command_option tail_options[] = {
    {"from", "WHERE",
     "now, oldest, cursor, or the events after a SEQ; default now, of a consumer "
     "its cursor",
     WORD_CHOICE, "now oldest cursor"},
    {"type", "GLOB", "only events of such types; may be given again", WORD_TEXT},
    {"count", "N", "end after N events (-n N)", WORD_TEXT},
    {"payload", NULL, "the service's messages alone", WORD_NONE},
    {"notices", NULL, "also what streams do, on standard error", WORD_NONE},
    {"consumer", "NAME", "as the consumer of that name, whose cursor hawserd keeps", WORD_CONSUMER},
    {"ack", NULL, "acknowledge what has been printed", WORD_NONE},
    {NULL},
};

static const struct command_option config_options[] = {
    {"config", "FILE", "the configuration; default /etc/hawser/hawser.ini", WORD_FILE},
    {NULL},
};

static const struct command_option explain_options[] = {
    {"profile", "NAME", "what it means for the service of a profile", WORD_PROFILE},
    {"stream", "NAME", "for a stream of the configuration, with what it overrides", WORD_STREAM},
    {"config", "FILE", "the configuration; default /etc/hawser/hawser.ini", WORD_FILE},
    {NULL},
};

static const struct command_option doctor_options[] = {
    {"profile", "NAME", "of an address: the profile of its service; default generic", WORD_PROFILE},
    {"config", "FILE", "the configuration; default /etc/hawser/hawser.ini", WORD_FILE},
    {"listen", "TIME", "how long to listen, such as 60s; 0 for not at all", WORD_TEXT},
    {"dials", "N", "dial N times, and compare what answers", WORD_TEXT},
    {"curl", NULL, "print the handshake to try by hand, secrets as variables", WORD_NONE},
    {"bundle", "FILE", "write what a support ticket needs, secrets left out", WORD_FILE},
    {NULL},
};

const struct command commands[] = {
    {"status",
     "[STREAM]",
     "what is not well, why, since when, what comes next, what to do",
     ctl_status,
     status_options,
     0,
     1,
     {{WORD_STREAM, NULL}}},
    {"tail",
     "[STREAM...]",
     "print events as they come",
     ctl_tail,
     tail_options,
     0,
     -1,
     {{WORD_STREAM, NULL}}},
    {"consumers",
     "[forget NAME | seek NAME SEQ|oldest|newest]",
     "the named consumers, and how far each is behind",
     ctl_consumers,
     NULL,
     0,
     3,
     {{WORD_CHOICE, "forget seek"}, {WORD_CONSUMER, NULL}, {WORD_CHOICE, "oldest newest"}}},
    {"reconnect",
     "STREAM",
     "drop the link or cut the wait, and dial now",
     ctl_control,
     NULL,
     1,
     1,
     {{WORD_STREAM, NULL}}},
    {"pause",
     "STREAM",
     "close the link and stay away",
     ctl_control,
     NULL,
     1,
     1,
     {{WORD_STREAM, NULL}}},
    {"resume", "STREAM", "end a pause", ctl_control, NULL, 1, 1, {{WORD_STREAM, NULL}}},
    {"send",
     "STREAM TEXT|-",
     "send a text to the service; - is standard input",
     ctl_send,
     NULL,
     2,
     2,
     {{WORD_STREAM, NULL}, {WORD_TEXT, NULL}}},
    {"reload",
     "",
     "read the configuration anew, and print what has changed, or its errors",
     ctl_reload,
     NULL,
     0,
     0,
     {{WORD_NONE, NULL}}},
    {"check",
     "",
     "read configuration and profiles, and tell every error",
     ctl_check,
     config_options,
     0,
     0,
     {{WORD_NONE, NULL}},
     .offline = true},
    {"profiles",
     "[show NAME]",
     "list the profiles, or print one",
     ctl_profiles,
     config_options,
     0,
     2,
     {{WORD_CHOICE, "show"}, {WORD_PROFILE, NULL}},
     .offline = true},
    {"explain",
     "[CODE]",
     "what a close code, HTTP status or failure means, what hawser does, what you do",
     ctl_explain,
     explain_options,
     0,
     1,
     {{WORD_CODE, NULL}},
     .offline = true},
    {"doctor",
     "STREAM|URL [KEY=VALUE...]",
     "walk to the service, layer by layer, and say what is not well",
     ctl_doctor,
     doctor_options,
     1,
     -1,
     {{WORD_STREAM, NULL}, {WORD_TEXT, NULL}},
     .offline = true},
    {"complete",
     "WORD...",
     "for shells: what could stand in the place of the last word",
     ctl_complete,
     NULL,
     0,
     -1,
     {{WORD_TEXT, NULL}},
     .offline = true,
     .hidden = true},
    {NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = commands; command->name != NULL; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

static const struct command_option *find_in(const struct command_option *options, const char *name)
{
    for (; options != NULL && options->name != NULL; options++)
        if (strcmp(options->name, name) == 0)
            return options;
    return NULL;
}

const struct command_option *command_option_find(const struct command *command, const char *name)
{
    const struct command_option *option = find_in(global_options, name);
    return option != NULL || command == NULL ? option : find_in(command->options, name);
}

/* ---- usage ---- */

static void print_options(const struct command_option *options, FILE *out)
{
    for (; options != NULL && options->name != NULL; options++) {
        char text[64];
        snprintf(text, sizeof(text), "--%s%s%s", options->name,
                 options->argument != NULL ? " " : "",
                 options->argument != NULL ? options->argument : "");
        fprintf(out, "  %-18s %s\n", text, options->help);
    }
}

static void print_commands(bool offline, FILE *out)
{
    for (const struct command *command = commands; command->name != NULL; command++)
        if (!command->hidden && command->offline == offline)
            fprintf(out, "  %-11s %s\n", command->name, command->help);
}

void commands_usage(FILE *out)
{
    fputs("usage: hawserctl [--socket PATH] [--json] COMMAND [ARGUMENT...]\n\n", out);
    print_commands(false, out);
    fputs("without a daemon:\n", out);
    print_commands(true, out);
    fputs("\n", out);
    print_options(global_options, out);
    fputs("\n`hawserctl COMMAND --help` tells a command's own options.\n"
          "exit status: 0 ok, 1 not well, 2 usage, 3 hawserd not reachable\n",
          out);
}

void command_usage(const struct command *command, FILE *out)
{
    fprintf(out, "usage: hawserctl %s%s%s%s\n  %s\n", command->name,
            command->options != NULL ? " [OPTION...]" : "", command->synopsis[0] ? " " : "",
            command->synopsis, command->help);
    print_options(command->options, out);
}

int ctl_usage(const struct ctl *ctl, const char *complaint)
{
    fprintf(stderr, "hawserctl: %s\n", complaint);
    if (ctl->command != NULL)
        command_usage(ctl->command, stderr);
    else
        commands_usage(stderr);
    return CTL_USAGE;
}

/* ---- parsing ---- */

const char *ctl_option(const struct ctl *ctl, const char *name)
{
    for (int i = ctl->n_options; i > 0; i--)
        if (strcmp(ctl->options[i - 1].name, name) == 0)
            return ctl->options[i - 1].value != NULL ? ctl->options[i - 1].value : "";
    return NULL;
}

/* `dashes` as they were given. */
static int unknown_option(const struct ctl *ctl, const char *dashes, const char *given)
{
    const char *names[32];
    char complaint[256];
    size_t n = 0;
    for (const struct command_option *o = global_options; o->name != NULL; o++)
        names[n++] = o->name;
    for (const struct command_option *o = ctl->command != NULL ? ctl->command->options : NULL;
         o != NULL && o->name != NULL && n < 32; o++)
        names[n++] = o->name;
    const char *near = suggest(slice_str(given), names, n);
    snprintf(complaint, sizeof(complaint), "unknown option %s%.100s%s%s%s", dashes, given,
             near != NULL ? "; did you mean --" : "", near != NULL ? near : "",
             near != NULL ? "?" : "");
    return ctl_usage(ctl, complaint);
}

static int keep_option(struct ctl *ctl, const struct command_option *option, const char *value)
{
    if (ctl->n_options == CTL_OPTIONS_MAX)
        return ctl_usage(ctl, "too many options");
    ctl->options[ctl->n_options++] = (struct ctl_option){option->name, value};
    if (strcmp(option->name, "socket") == 0)
        ctl->socket = value;
    if (strcmp(option->name, "json") == 0)
        ctl->json = true;
    return CTL_OK;
}

/* "--name", "--name=value" or "--name value" at argv[*at], which is moved to its last word. */
static int take_option(struct ctl *ctl, int *at)
{
    char name[64], complaint[128];
    const char *given = ctl->argv[*at] + 2, *equals = strchr(given, '=');
    const char *value = equals != NULL ? equals + 1 : NULL;
    snprintf(name, sizeof(name), "%.*s", (int)(equals != NULL ? equals - given : 60), given);
    const struct command_option *option = command_option_find(ctl->command, name);
    if (option == NULL)
        return unknown_option(ctl, "--", name);
    if (option->argument == NULL && value != NULL) {
        snprintf(complaint, sizeof(complaint), "--%s takes no value", name);
        return ctl_usage(ctl, complaint);
    }
    if (option->argument != NULL && value == NULL && *at + 1 < ctl->argc)
        value = ctl->argv[++*at];
    if (option->argument != NULL && value == NULL) {
        snprintf(complaint, sizeof(complaint), "--%s takes a value: %s", name, option->argument);
        return ctl_usage(ctl, complaint);
    }
    return keep_option(ctl, option, value);
}

static char short_of_json[] = "--json", short_of_socket[] = "--socket", short_of_help[] = "--help",
            short_of_count[] = "--count";

/* "-n" as "--count", and so on; "-n5" as "--count=5". */
static char *long_form(char *given)
{
    static char count[sizeof("--count=") + 20];
    static const struct {
        const char *letter;
        char *name;
    } forms[] = {{"-j", short_of_json},
                 {"-s", short_of_socket},
                 {"-h", short_of_help},
                 {"-n", short_of_count}};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (strcmp(given, forms[i].letter) == 0)
            return forms[i].name;
    if (strncmp(given, "-n", 2) == 0 && strspn(given + 2, "0123456789") == strlen(given + 2) &&
        strlen(given + 2) <= 20) {
        snprintf(count, sizeof(count), "--count=%s", given + 2);
        return count;
    }
    return given;
}

/* The words from argv[1] on. Without a command, up to the first that is no option. */
static int parse_words(struct ctl *ctl, int *end)
{
    bool literal = false;
    int result = CTL_OK, at;
    for (at = 1; at < ctl->argc && result == CTL_OK; at++) {
        ctl->argv[at] = literal ? ctl->argv[at] : long_form(ctl->argv[at]);
        char *word = ctl->argv[at];
        if (literal || word[0] != '-' || word[1] == '\0') {
            if (ctl->command == NULL)
                break;
            ctl->args[ctl->n_args++] = word;
        } else if (strcmp(word, "--") == 0) {
            literal = true;
        } else if (word[1] != '-') {
            result = unknown_option(ctl, "-", word + 1);
        } else {
            result = take_option(ctl, &at);
        }
    }
    *end = at;
    return result;
}

static int give_help(const struct ctl *ctl)
{
    if (ctl_option(ctl, "version") != NULL)
        printf("hawserctl %s\n", HAWSER_VERSION);
    else if (ctl->command != NULL)
        command_usage(ctl->command, stdout);
    else
        commands_usage(stdout);
    return -1;
}

static int unknown_command(const struct ctl *ctl, const char *given)
{
    const char *names[32];
    char complaint[256];
    size_t n = 0;
    for (const struct command *c = commands; c->name != NULL && n < 32; c++)
        names[n++] = c->name;
    const char *near = suggest(slice_str(given), names, n);
    snprintf(complaint, sizeof(complaint), "unknown command %.100s%s%s%s", given,
             near != NULL ? "; did you mean " : "", near != NULL ? near : "",
             near != NULL ? "?" : "");
    return ctl_usage(ctl, complaint);
}

int command_parse(struct ctl *ctl)
{
    int at, end, result = parse_words(ctl, &at);
    if (result != CTL_OK)
        return result;
    if (ctl_option(ctl, "help") != NULL || ctl_option(ctl, "version") != NULL)
        return give_help(ctl);
    if (at == ctl->argc)
        return ctl_usage(ctl, "no command");
    const struct command *command = command_find(ctl->argv[at]);
    if (command == NULL)
        return unknown_command(ctl, ctl->argv[at]);
    ctl->command = command;
    ctl->argc -= at;
    ctl->argv += at;
    if (command->run == ctl_complete) { /* its words are another command's */
        ctl->args = ctl->argv + 1;
        ctl->n_args = ctl->argc - 1;
        return CTL_OK;
    }
    result = parse_words(ctl, &end);
    if (result == CTL_OK && ctl_option(ctl, "help") != NULL)
        return give_help(ctl);
    if (result == CTL_OK && ctl->n_args < command->args_min)
        return ctl_usage(ctl, "something is missing");
    if (result == CTL_OK && command->args_max >= 0 && ctl->n_args > command->args_max)
        return ctl_usage(ctl,
                         command->args_max == 0 ? "it takes no arguments" : "too many arguments");
    return result;
}
