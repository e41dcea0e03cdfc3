/*
 * ini: reads INI text into entries that remember where they stood.
 *
 * Decides: the grammar. `[section]` or `[section name]`; `key = value`; a comment is a line whose
 * first non-blank byte is '#' or ';' (never after a value); an indented line continues the value
 * of the line before it (joined by '\n', unless nothing stands before it), which a comment does
 * not end but an empty line does; a key twice in one section of one file is an error. Blanks at
 * both ends of a line and around the '=' belong to nothing. Text is UTF-8 without control
 * characters but tabs; lines end in LF or CR LF. A file is at most LIMIT_INI_FILE bytes long, a
 * line LIMIT_INI_LINE; what is longer is an error, and nothing is ever cut.
 * Leaves: which sections and keys exist, to settings and profile.
 * Owns: an ini owns the strings of its entries, a diag its messages.
 * Fails: every fault of a file is reported to the diag, which keeps LIMIT_ERRORS of them; reading
 * goes on.
 */
#ifndef HAWSER_CONFIG_INI_H
#define HAWSER_CONFIG_INI_H

#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"

/* Collected errors, by file and line; each reads "FILE:LINE: message". */
struct diag;
struct diag *diag_new(void); /* or NULL */
void diag_free(struct diag *diag);
/* `line` 0: the file as a whole. A message is cut as that of a struct error. */
void diag_add(struct diag *diag, const char *file, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
size_t diag_count(const struct diag *diag); /* all that were added, kept or not */
/* Those for which there was no room. One that is kept is not kept twice: two streams may have the
 * same broken profile. */
size_t diag_left_out(const struct diag *diag);
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
struct ini *ini_new(void); /* or NULL */
void ini_free(struct ini *ini);
/* Appends the entries of a file. 0, ERR_NOTFOUND/ERR_PERM/ERR_IO/ERR_LIMIT (also reported to diag)
 * or ERR_NOMEM; grammar faults are only reported to the diag. */
int ini_read_file(struct ini *ini, const char *path, struct diag *diag);
/* The same with a text in memory; file_label is what messages call it, and is copied. */
int ini_read_text(struct ini *ini, const char *file_label, struct slice text, struct diag *diag);
size_t ini_count(const struct ini *ini);
/* The i-th entry, or NULL past the last; valid until the next file is read. */
const struct ini_entry *ini_get(const struct ini *ini, size_t i);

#endif
