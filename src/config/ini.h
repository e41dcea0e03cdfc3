/*
 * ini: reads INI text into entries that remember where they stood.
 *
 * Decides: the grammar. `[section]` or `[section name]`; `key = value`; a comment is a line whose
 * first non-blank byte is '#' or ';' (never after a value); an indented line continues the value
 * of the line before it (joined by '\n'); a key twice in one section of one file is an error.
 * Leaves: which sections and keys exist, to settings and profile.
 * Fails: every fault of a file is reported to the diag, at most LIMIT_ERRORS; reading goes on.
 */
#ifndef HAWSER_CONFIG_INI_H
#define HAWSER_CONFIG_INI_H

#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"

/* Collected errors, in the order found; each reads "FILE:LINE: message". */
struct diag;
struct diag *diag_new(void);
void diag_free(struct diag *diag);
void diag_add(struct diag *diag, const char *file, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
size_t diag_count(const struct diag *diag); /* all that were added, kept or not */
/* The i-th kept message (i < LIMIT_ERRORS), or NULL. */
const char *diag_get(const struct diag *diag, size_t i);

struct ini_entry {
    const char *section; /* "stream" */
    const char *name;    /* "chat" of [stream chat], "" if none */
    const char *key;     /* NULL marks the section header itself, so that empty sections exist */
    const char *value;
    const char *file;
    unsigned line;
};

/* Entries of one or more files, in order. Strings live as long as the ini. */
struct ini;
struct ini *ini_new(void);
void ini_free(struct ini *ini);
/* Appends the entries of a file. 0, ERR_NOTFOUND/ERR_PERM/ERR_IO (also reported to diag); grammar
 * faults are only reported to the diag. */
int ini_read_file(struct ini *ini, const char *path, struct diag *diag);
int ini_read_text(struct ini *ini, const char *file_label, struct slice text, struct diag *diag);
size_t ini_count(const struct ini *ini);
const struct ini_entry *ini_get(const struct ini *ini, size_t i);

#endif
