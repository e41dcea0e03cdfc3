/*
 * secrets: reads a secret from where the configuration says it is.
 *
 * Decides: `file:PATH` (0600-like: an error where others can read it), `env:NAME`,
 * `credential:NAME` (systemd's $CREDENTIALS_DIRECTORY), `exec:/path ARG...` (what it prints). One
 * trailing newline is cut. Leaves: running programs, and when to read, to vault.
 * Fails: the text names the source, never the value.
 */
#ifndef HAWSER_REACH_SECRETS_H
#define HAWSER_REACH_SECRETS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

/* Appends the value to out (bound it by LIMIT_SECRET; wipe it after use). ERR_NOTFOUND, ERR_PERM,
 * ERR_INVAL (empty, or control bytes in it), ERR_LIMIT, ERR_IO. */
int secret_read(const char *source, struct buf *out, struct error *err);

/* What has been read is a secret as it should be: cuts the newline, ERR_INVAL as above. */
int secret_check(const char *source, struct buf *out, struct error *err);

#define SECRET_PATH_SIZE 4096
/* The file behind the source; false: it has none. */
bool secret_path(const char *source, char path[SECRET_PATH_SIZE]);

#define SECRET_WORDS_MAX 16 /* of exec:, the program included */
struct secret_words {
    char text[SECRET_PATH_SIZE];
    const char *argv[SECRET_WORDS_MAX + 1];
};
bool secret_is_exec(const char *source);
/* exec:'s program and arguments, parted by blanks: there is no quoting, for there is no shell. */
int secret_exec(const char *source, struct secret_words *out, struct error *err);

#endif
