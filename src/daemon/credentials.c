#include "daemon/credentials.h"

#include <string.h>

#include "base/limits.h"
#include "daemon/secrets.h"

void credentials_init(struct credentials *credentials, const struct profile *profile,
                      const char *tls_ca)
{
    *credentials = (struct credentials){.profile = profile, .tls_ca = tls_ca};
    buf_init(&credentials->secret, LIMIT_SECRET);
    redact_init(&credentials->redact);
}

void credentials_fini(struct credentials *credentials)
{
    tls_context_unref(credentials->tls);
    buf_wipe(&credentials->secret);
    buf_fini(&credentials->secret);
    redact_fini(&credentials->redact);
}

static uint64_t stamp(const struct credentials *credentials)
{
    uint64_t all = secret_file_stamp(credentials->tls_ca);
    for (size_t i = 0; i < credentials->profile->n_secrets; i++) {
        const char *source = credentials->profile->secrets[i].source;
        all = all * 31 + (source != NULL ? secret_stamp(source) : 0);
    }
    return all;
}

void credentials_note(struct credentials *credentials)
{
    credentials->stamp = stamp(credentials);
}

struct slice credentials_read(struct credentials *credentials, const char *name, struct error *err)
{
    const struct profile *profile = credentials->profile;
    struct slice none = {NULL, 0};
    credentials_note(credentials); /* before reading: a change from here on is one */
    for (size_t i = 0; i < profile->n_secrets; i++) {
        if (strcmp(profile->secrets[i].name, name) != 0)
            continue;
        buf_wipe(&credentials->secret);
        if (profile->secrets[i].source == NULL ||
            secret_read(profile->secrets[i].source, &credentials->secret, err) != 0)
            return none;
        if (redact_learn(&credentials->redact, buf_slice(&credentials->secret)) != 0) {
            error_set(err, ERR_NOMEM, "secret: out of memory");
            return none;
        }
        return buf_slice(&credentials->secret);
    }
    return none;
}

void credentials_wipe(struct credentials *credentials)
{
    buf_wipe(&credentials->secret);
}

int credentials_need_tls(struct credentials *credentials, int64_t now_ms, bool anew,
                         struct error *err)
{
    struct tls_context *fresh = NULL;
    bool stale = anew || now_ms - credentials->tls_loaded_ms > CREDENTIALS_TLS_MS;
    if (credentials->tls != NULL && !stale)
        return 0;
    int status = tls_context_new(credentials->tls_ca, &fresh, err);
    if (status != 0)
        return status;
    tls_context_unref(credentials->tls);
    credentials->tls = fresh;
    credentials->tls_loaded_ms = now_ms;
    return 0;
}

bool credentials_changed(struct credentials *credentials)
{
    uint64_t before = credentials->stamp;
    credentials_note(credentials);
    return credentials->stamp != before;
}
