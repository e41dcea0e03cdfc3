/*
 * redact: takes secrets out of text that others wrote.
 *
 * Services and proxies echo what they were sent: a refused URL in an error page, a token in a close
 * reason. Their words go into the log, notices and status; the secrets in them must not.
 * Decides: what counts as a secret's trace: its value as it is, percent-encoded, escaped as in
 * JSON, or base64-encoded in either alphabet with whatever stood around it ("user:password"); and
 * its beginning where the text breaks off. Values under REDACT_MIN bytes are left alone:
 * they would blot out half of every text.
 * Owns: copies of the REDACT_KEPT values that were learnt last, so that one that was rolled a
 * moment ago, and that an open link still carries, is known too. Wiped at the end.
 */
#ifndef HAWSER_REACH_REDACT_H
#define HAWSER_REACH_REDACT_H

#include "base/buf.h"
#include "base/error.h"

#define REDACT_KEPT 16
#define REDACT_MIN 4 /* bytes of a value, and of its beginning at a text's end */

struct redact {
    struct buf values[REDACT_KEPT]; /* the one learnt last first; empty: none */
};

void redact_init(struct redact *redact);
void redact_fini(struct redact *redact);
/* Remembers a value, or that it is in use still: the one that was not learnt for longest is the
 * next to go. ERR_NOMEM: it must not be used then. */
int redact_learn(struct redact *redact, struct slice value);
/* Replaces each trace of a known value in the text by "***", in place. */
void redact_text(const struct redact *redact, char *text);

#endif
