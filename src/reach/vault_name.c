#include "reach/vault_name.h"

#include <stdio.h>

#include "base/siphash.h"

/* The second line of the fingerprint is where we connect to. */
static struct slice host_of(const struct profile *profile)
{
    struct slice rest = profile->fingerprint;
    const char *lf = slice_find_byte(rest, '\n');
    if (lf == NULL)
        return SLICE("");
    rest = slice_from(rest, (size_t)(lf - rest.ptr) + 1);
    lf = slice_find_byte(rest, '\n');
    return lf != NULL ? slice_make(rest.ptr, (size_t)(lf - rest.ptr)) : rest;
}

int vault_identity(const struct profile *profile, struct buf *out)
{
    int rc = buf_appendf(out, "%s " SLICE_FMT, profile->name, SLICE_ARG(host_of(profile)));
    for (size_t i = 0; rc == 0 && i < profile->n_secrets; i++)
        if (profile->secrets[i].source != NULL)
            rc = buf_appendf(out, " %s=%s", profile->secrets[i].name, profile->secrets[i].source);
    return rc;
}

int vault_path(const char *state_dir, const struct profile *profile, struct slice identity,
               char *out, size_t size)
{
    static const uint8_t key[16]; /* known to all: names only are made of it */
    return snprintf(out, size, "%s/credentials/%s-%016llx", state_dir, profile->name,
                    (unsigned long long)siphash64(key, identity.ptr, identity.len));
}

uint64_t vault_hash(const uint8_t salt[16], struct slice value)
{
    uint64_t hash = siphash64(salt, value.ptr, value.len);
    return hash != 0 ? hash : 1;
}
