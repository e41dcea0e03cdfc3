/*
 * policy.h - rows of [close], [status], [failure] and [explain], and which of them is meant.
 *
 * Of the rows for an end the most exact wins: CODE/substring, then local/CODE (or
 * timeout/PHASE), then CODE, then FROM-TO, then default; of equals the one written first. A row
 * of the profile wins against every built-in one, its `default` too.
 */
#ifndef HAWSER_PROFILE_POLICY_H
#define HAWSER_PROFILE_POLICY_H

#include "base/error.h"
#include "profile/internal.h"

#define POLICY_CLOSE_MIN 1000
#define POLICY_CLOSE_MAX 4999
#define POLICY_STATUS_MIN 100
#define POLICY_STATUS_MAX 599

/* "retry 5s", "hold 5m", "park", ... */
int policy_parse_action(struct slice text, struct profile_policy_action *out, struct error *err);

/* The left side of a row; of the row it fills what says when it is meant. out->text borrows. */
int policy_parse_key(enum profile_end_kind kind, struct slice key, struct row *out,
                     struct error *err);
/* The same where any kind may stand: a key of [explain]. */
int policy_parse_explain_key(struct slice key, struct row *out, struct error *err);

/* "4003 3/2m hold 10m" */
int policy_parse_flap(enum profile_end_kind kind, struct slice line, struct profile_flap *out,
                      struct error *err);

/* ERR_NOMEM */
int policy_rows_add(struct rows *rows, struct arena *arena, const struct row *row);
const struct row *policy_best(const struct row *rows, size_t n, const struct profile_end *end);

/* Appends the built-in flaps that the profile's own do not cover. ERR_LIMIT if they do not fit. */
int policy_add_default_flaps(struct profile *profile);

/* The built-in cause and fix, or NULL. */
const char *explain_builtin(const struct profile_end *end);

/* Visits the codes that explain_builtin() has rows for. */
void explain_visit(void (*visit)(void *arg, const struct profile_end *end, int to), void *arg);

/* Indexes of words in the X-macro lists; -1 if there is none. */
int policy_failure_find(struct slice word);
int policy_phase_find(struct slice word);

/* error_set(ERR_PARSE, "unknown WHAT `word`; did you mean `near`?") */
int policy_unknown(struct error *err, const char *what, struct slice word,
                   const char *const *candidates, size_t n);

#endif
