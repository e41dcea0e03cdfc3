/*
 * words: what hawser does about an end, in words. Pure.
 *
 * Decides: the sentences for the actions of a profile's tables and for its flap rules. Leaves: what
 * the action is, to profile. Each appends to a buffer.
 */
#ifndef HAWSER_CTL_WORDS_H
#define HAWSER_CTL_WORDS_H

#include "profile/profile.h"

void words_action(const struct profile *profile, const struct profile_policy_action *action,
                  struct buf *out);
/* "3 times within 10m: parks: ..."; the action of the row is what it is without. */
void words_flap(const struct profile *profile, const struct profile_flap *flap, struct buf *out);
/* Whether a flap says anything beyond the row's own action: it makes things stricter, never laxer.
 */
bool words_flap_matters(const struct profile_flap *flap,
                        const struct profile_policy_action *action);

/* What the words of a TLS failure mean (tls_fault_name()), as "cause. Fix: what to do"; NULL: it is
 * none of them. */
const char *words_tls(const char *fault);
/* The words themselves, by number; NULL behind the last. */
const char *words_tls_fault(size_t i);

#endif
