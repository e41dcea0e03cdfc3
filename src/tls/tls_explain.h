/*
 * tls_explain: what went wrong, in words. Private to tls.
 *
 * Decides: the texts of failures. Leaves: verification to mbedTLS and tls.c.
 * Owns: nothing; a tls_cert is a plain copy of what the texts need of a certificate.
 * Fails: never; names too long are cut.
 */
#ifndef HAWSER_TLS_EXPLAIN_H
#define HAWSER_TLS_EXPLAIN_H

#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

struct tls_cert {
    bool seen;
    bool self_issued;
    int depth;      /* 0: the server's own */
    uint32_t flags; /* MBEDTLS_X509_BADCERT_... */
    char subject[128];
    char issuer[128];
    char names[160]; /* whom it is for */
    int64_t valid_from_s, valid_to_s;
};
void tls_cert_copy(struct tls_cert *out, const mbedtls_x509_crt *crt, int depth, uint32_t flags);

/* Both return ERR_TLS. flags: why this certificate is refused. */
int tls_explain_cert(struct error *err, const struct tls_cert *cert, uint32_t flags,
                     const char *host, const char *ca_file, int64_t now_s);
/* rc: of mbedTLS; alert: what the peer said if rc is MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE. */
int tls_explain_code(struct error *err, int rc, int alert);
/* The peer's first bytes are not TLS. */
int tls_explain_plaintext(struct error *err, struct slice first);

#endif
