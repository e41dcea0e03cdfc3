/* trace_words: a line of a trace, taken apart. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace_world.h"

void die(const struct world *w, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "%s:%u: ", w->path, w->line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

/* Splits at blanks; "..." is one word, without its quotes. */
void words_split(const struct world *w, const char *line, struct words *words)
{
    char *p = words->text;
    if (strlen(line) >= sizeof(words->text))
        die(w, "the line is too long");
    strcpy(p, line);
    words->count = 0;
    while (*(p += strspn(p, " \t")) != '\0') {
        bool quoted = *p == '"';
        if (words->count == WORDS_MAX)
            die(w, "more than %d words", WORDS_MAX);
        words->at[words->count++] = quoted ? ++p : p;
        p += strcspn(p, quoted ? "\"" : " \t");
        if (*p != '\0')
            *p++ = '\0';
    }
}

int64_t words_number(const struct world *w, const char *text)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0')
        die(w, "`%s` is no number", text);
    return value;
}

/* The value of the word NAME=VALUE, or NULL; marks it as used. */
const char *take(struct words *words, const char *name)
{
    size_t len = strlen(name);
    for (unsigned i = 1; i < words->count; i++) {
        char *word = words->at[i];
        if (word == NULL || strncmp(word, name, len) != 0 || word[len] != '=')
            continue;
        words->at[i] = NULL;
        return word + len + 1;
    }
    return NULL;
}

int64_t take_number(struct world *w, struct words *words, const char *name, int64_t other)
{
    const char *value = take(words, name);
    return value != NULL ? words_number(w, value) : other;
}

bool take_flag(struct words *words, const char *name)
{
    for (unsigned i = 1; i < words->count; i++) {
        if (words->at[i] == NULL || strcmp(words->at[i], name) != 0)
            continue;
        words->at[i] = NULL;
        return true;
    }
    return false;
}

/* The next word that is left, or NULL. */
const char *take_next(struct words *words)
{
    for (unsigned i = 1; i < words->count; i++) {
        const char *word = words->at[i];
        words->at[i] = NULL;
        if (word != NULL)
            return word;
    }
    return NULL;
}

/* ---- ends ---- */

void parse_end(struct world *w, struct words *words, struct profile_end *end)
{
    static const char *const failures[] = {
#define X(id, text) [PROFILE_FAILURE_##id] = text,
        PROFILE_FAILURES(X)
#undef X
    };
    static const char *const phases[] = {
#define X(id, text) [PROFILE_PHASE_##id] = text,
        PROFILE_PHASES(X)
#undef X
    };
    *end = (struct profile_end){.kind = PROFILE_END_FAILURE, .retry_after_ms = -1};
    const char *status = take(words, "status"), *timeout = take(words, "timeout");
    bool known = false;
    if (status != NULL) {
        end->kind = PROFILE_END_STATUS;
        end->code = (int)words_number(w, status);
        end->retry_after_ms = take_number(w, words, "retry_after", -1);
        return;
    }
    for (unsigned i = 0; i < sizeof(phases) / sizeof(phases[0]) && timeout != NULL; i++) {
        if (strcmp(phases[i], timeout) != 0)
            continue;
        end->failure = PROFILE_FAILURE_TIMEOUT;
        end->phase = (enum profile_phase)i;
        known = true;
    }
    for (unsigned i = 0; i < sizeof(failures) / sizeof(failures[0]) && timeout == NULL; i++) {
        if (!take_flag(words, failures[i]))
            continue;
        end->failure = (enum profile_failure)i;
        known = true;
    }
    if (!known)
        die(w, "how did it end?");
}

void parse_text(struct words *words, struct profile_end *end)
{
    const char *text = take_next(words);
    snprintf(end->text, sizeof(end->text), "%s", text != NULL ? text : "");
}
