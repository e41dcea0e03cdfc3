/*
 * secrets: reads a secret from where the configuration says it is.
 *
 * Decides: `file:PATH` (0600-like: an error where others can read it), `env:NAME`,
 * `credential:NAME` (systemd's $CREDENTIALS_DIRECTORY). One trailing newline is cut.
 * Fails: the text names the source, never the value.
 */
#ifndef HAWSER_DAEMON_SECRETS_H
#define HAWSER_DAEMON_SECRETS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/* Appends the value to out (bound it by LIMIT_SECRET; wipe it after use). ERR_NOTFOUND, ERR_PERM,
 * ERR_INVAL (empty, or control bytes in it), ERR_LIMIT, ERR_IO. */
int secret_read(const char *source, struct buf *out, struct error *err);

/* A number that changes when the file behind the source does (content, owner, mode, or another file
 * of that name); 0 where there is none. */
uint64_t secret_stamp(const char *source);
uint64_t secret_file_stamp(const char *path); /* NULL: 0 */

#endif
