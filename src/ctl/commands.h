/*
 * commands: the table of hawserctl's commands, and what is read out of it: usage, the parsing of
 * options, completion. tests/tools/describe shows it, so that man page and completions agree.
 */
#ifndef HAWSER_CTL_COMMANDS_H
#define HAWSER_CTL_COMMANDS_H

#include <stdio.h>

#include "ctl/ctl.h"

/* What stands in a place of a command line, to complete it. */
enum command_word {
    WORD_NONE,
    WORD_STREAM,
    WORD_CONSUMER,
    WORD_PROFILE,
    WORD_FILE,
    WORD_CODE, /* of explain */
    WORD_TEXT, /* anything */
    WORD_CHOICE
};

struct command_option {
    const char *name;     /* "from"; NULL ends a list */
    const char *argument; /* "SEQ"; NULL: it takes none */
    const char *help;
    enum command_word word;
    const char *choices; /* of WORD_CHOICE, and what else may stand there: "now oldest" */
};

enum { COMMAND_WORDS_MAX = 3 };

struct command {
    const char *name; /* NULL ends the list */
    const char *synopsis;
    const char *help;
    int (*run)(struct ctl *ctl);
    const struct command_option *options; /* NULL: none */
    int args_min, args_max;               /* -1: any number */
    struct {
        enum command_word word;
        const char *choices;
    } words[COMMAND_WORDS_MAX]; /* of its arguments; the last kind repeats where args_max is -1 */
    bool offline;               /* needs no daemon */
    bool hidden;
};

extern const struct command commands[];
extern const struct command_option global_options[];

/* NULL: there is none. */
const struct command *command_find(const char *name);
const struct command_option *command_option_find(const struct command *command, const char *name);
/* Reads ctl->argv into options and arguments. CTL_OK, or an exit status and it was said; -1: help
 * was asked for and given. */
int command_parse(struct ctl *ctl);
void commands_usage(FILE *out);
void command_usage(const struct command *command, FILE *out);

#endif
