/*
 * credentials: the secrets and the trust anchors of one stream.
 *
 * Decides: when they are read (at each request, so that a new file is used at once) and whether
 * they have changed since. Leaves: what a change wakes, to the session. Owns: the value last read,
 * wiped after use, and the TLS context.
 */
#ifndef HAWSER_DAEMON_CREDENTIALS_H
#define HAWSER_DAEMON_CREDENTIALS_H

#include "daemon/redact.h"
#include "profile/profile.h"
#include "tls/tls.h"

#define CREDENTIALS_WATCH_MS 2000 /* between looks, while a stream waits for someone */
#define CREDENTIALS_TLS_MS                                                                         \
    3600000 /* trust anchors are read anew after this, or after a failure                          \
             */

struct credentials {
    const struct profile *profile;
    const char *tls_ca; /* NULL: the system's */
    struct buf secret;
    struct redact redact; /* the values that were read, to be kept out of all text */
    struct tls_context *tls;
    int64_t tls_loaded_ms;
    uint64_t stamp; /* of the files, as of the last credentials_note() */
};

void credentials_init(struct credentials *credentials, const struct profile *profile,
                      const char *tls_ca);
void credentials_fini(struct credentials *credentials);
/* The value of secret NAME, valid until the next read or wipe; .ptr NULL if it is not configured or
 * (then err says why) cannot be read. */
struct slice credentials_read(struct credentials *credentials, const char *name, struct error *err);
void credentials_wipe(struct credentials *credentials);
/* Makes credentials->tls good for use. anew: read the trust anchors again, since the last attempt
 * failed and they may have been renewed; not for each request, for a system's bundle takes long. */
int credentials_need_tls(struct credentials *credentials, int64_t now_ms, bool anew,
                         struct error *err);
/* Remembers the files as they are; reading a secret does too. */
void credentials_note(struct credentials *credentials);
/* True if one of them has changed, come or gone since; remembers that. */
bool credentials_changed(struct credentials *credentials);

#endif
