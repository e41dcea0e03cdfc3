#include "config/secret_source.h"

#include <string.h>

#include "base/slice.h"

static bool starts(const char *text, const char *prefix, const char **rest)
{
    size_t n = strlen(prefix);

    *rest = text + n;
    return strncmp(text, prefix, n) == 0;
}

static bool is_operator(struct slice word)
{
    static const char *const operators[] = {"|", "||", "&", "&&", ";", "<", ">", ">>", "2>"};

    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
        if (slice_eq_str(word, operators[i]))
            return true;
    return false;
}

/* No shell reads the line: what only a shell would understand is a mistake, and told. */
static bool exec_ok(const char *line, const char **why)
{
    struct slice rest = slice_str(line);

    *why = "exec: takes the absolute path of a program, such as exec:/usr/local/bin/token ARG";
    if (line[0] != '/' || line[1] == '\0' || line[1] == ' ')
        return false;
    for (const char *c = line; *c != '\0'; c++)
        if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f) {
            *why = "exec: a control byte (or a continued line)";
            return false;
        }
    *why = "exec: starts the program without a shell; quotes, \\, $, `, pipes and redirections "
           "have no meaning. Put them into a script of your own";
    if (strpbrk(line, "\"'\\$`") != NULL)
        return false;
    while (rest.len != 0) {
        size_t n = 0;

        while (n < rest.len && rest.ptr[n] != ' ' && rest.ptr[n] != '\t')
            n++;
        if (is_operator(slice_make(rest.ptr, n)))
            return false;
        rest = slice_from(rest, n + 1);
    }
    return true;
}

bool secret_source_ok(const char *value, const char **why)
{
    const char *rest;

    if (starts(value, "file:", &rest)) {
        *why = "file: takes an absolute path, such as file:/etc/hawser/token";
        return rest[0] == '/';
    }
    if (starts(value, "env:", &rest)) {
        *why = "env: takes the name of an environment variable, such as env:CHAT_TOKEN";
        return rest[0] != '\0' && strpbrk(rest, "= \t\n/") == NULL;
    }
    if (starts(value, "exec:", &rest))
        return exec_ok(rest, why);
    *why = "credential: takes the name of a systemd credential, such as credential:chat-token";
    if (starts(value, "credential:", &rest))
        return rest[0] != '\0' && strpbrk(rest, "/ \t\n") == NULL && rest[0] != '.';
    *why = "a secret is not written into the configuration itself. Put it into a file that only "
           "hawser can read and write file:/PATH here, or credential:NAME (systemd), env:NAME, or "
           "exec:/PATH of a program that prints it";
    return false;
}
