/*
 * vault_name: which credential a stream has, and where what a refresh has brought of it is kept.
 *
 * Decides: that streams of one profile, host and set of sources share a credential; the file's
 * name. Owns: nothing. Fails: ERR_NOMEM.
 */
#ifndef HAWSER_REACH_VAULT_NAME_H
#define HAWSER_REACH_VAULT_NAME_H

#include "profile/profile.h"

/* Appends what tells the credential from all others; no secret is in it, but where each is. */
int vault_identity(const struct profile *profile, struct buf *out);
/* STATE_DIR/credentials/PROFILE-HASH; the length, as snprintf() says it. */
int vault_path(const char *state_dir, const struct profile *profile, struct slice identity,
               char *out, size_t size);
/* What a value is remembered by; never 0. */
uint64_t vault_hash(const uint8_t salt[16], struct slice value);

#endif
