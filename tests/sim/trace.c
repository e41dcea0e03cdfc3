/*
 * trace: a session driven by a script on virtual time, compared with the trace in the same file.
 *
 *     trace [--update] FILE...
 *
 * A file is a specification to read: what happens to a stream, and under each line, behind `>`,
 * what the session does. `--update` writes what it does now; then read the difference.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "trace_script.h"

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 20);
    if (file == NULL || text == NULL) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    if (fread(text, 1, (1 << 20) - 1, file) == 0)
        fprintf(stderr, "%s: is empty\n", path);
    fclose(file);
    return text;
}

static size_t line_length(const char *text)
{
    return strcspn(text, "\n");
}

static void put_line(char mark, const char *text)
{
    putchar(mark);
    putchar(' ');
    fwrite(text, 1, line_length(text), stdout);
    putchar('\n');
}

/* The first difference with what stands before it, and some lines of both sides. */
static void print_difference(const char *path, const char *want, const char *got)
{
    unsigned line = 1;
    const char *before = want;
    while (*want != '\0' && line_length(want) == line_length(got) &&
           strncmp(want, got, line_length(want)) == 0) {
        before = want;
        want += line_length(want) + (want[line_length(want)] == '\n');
        got += line_length(got) + (got[line_length(got)] == '\n');
        line++;
    }
    printf("%s:%u: differs (- expected, + is)\n", path, line);
    put_line(' ', before);
    for (int side = 0; side < 2; side++) {
        const char *at = side == 0 ? want : got;
        for (int i = 0; i < 6 && *at != '\0'; i++) {
            put_line(side == 0 ? '-' : '+', at);
            at += line_length(at) + (at[line_length(at)] == '\n');
        }
    }
}

static bool run_file(const char *path, bool update)
{
    char *want = read_whole(path), *script = strdup(want);
    struct buf out;
    buf_init(&out, 1 << 22);
    if (script == NULL)
        abort();
    trace_play(path, script, &out);
    if (buf_append(&out, "", 1) != 0)
        abort();
    const char *got = buf_slice(&out).ptr;
    if (got == NULL)
        abort();
    bool same = strcmp(want, got) == 0;
    if (!same && update) {
        FILE *file = fopen(path, "w");
        if (file == NULL || fputs(got, file) < 0 || fclose(file) != 0) {
            fprintf(stderr, "%s: cannot be written\n", path);
            exit(1);
        }
        printf("%s: updated\n", path);
    } else if (!same) {
        print_difference(path, want, got);
    }
    buf_fini(&out);
    free(script);
    free(want);
    return same || update;
}

int main(int argc, char **argv)
{
    bool update = argc > 1 && strcmp(argv[1], "--update") == 0;
    int failed = 0;
    for (int i = update ? 2 : 1; i < argc; i++)
        failed += !run_file(argv[i], update);
    if (argc < (update ? 3 : 2)) {
        fprintf(stderr, "usage: trace [--update] FILE...\n");
        return 2;
    }
    return failed > 0;
}
