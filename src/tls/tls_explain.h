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
#include "tls/tls.h"

struct tls_cert {
    bool seen;
    bool self_issued;
    int depth;      /* 0: the server's own */
    uint32_t flags; /* MBEDTLS_X509_BADCERT_... */
    char subject[128];
    char issuer[128];
    char names[160]; /* whom it is for */
    char pin[72];    /* "sha256/..." of its key */
    char who[300];   /* "CN=x, issued by CN=y" */
    int64_t valid_from_s, valid_to_s;
};
void tls_cert_copy(struct tls_cert *out, const mbedtls_x509_crt *crt, int depth, uint32_t flags);
/* Of several, the one to be dealt with first. */
enum tls_fault tls_cert_fault(const struct tls_cert *cert, uint32_t flags);
/* SHA-256 of its SubjectPublicKeyInfo. */
void tls_cert_key_hash(const mbedtls_x509_crt *crt, uint8_t out[TLS_PIN_SIZE]);

/* What is known of our side when the other one refuses. */
struct tls_circumstances {
    enum tls_version min_version;
    bool asked;           /* for a client certificate */
    const char *own;      /* the client certificate's subject, NULL: there is none */
    uint8_t record_minor; /* of the peer's first record: {3, 2} is TLS 1.1 */
};

/* The client's own certificate: 0, or ERR_TLS where it has expired. */
int tls_explain_own(struct error *err, const struct tls_cert *cert, const char *path,
                    int64_t now_s);
/* All set ERR_TLS, and tell what it is. flags: why this certificate is refused. */
enum tls_fault tls_explain_cert(struct error *err, const struct tls_cert *cert, uint32_t flags,
                                const char *host, const char *ca_file, int64_t now_s);
/* rc: of mbedTLS; alert: what the peer said if rc is MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE. */
enum tls_fault tls_explain_code(struct error *err, int rc, int alert,
                                const struct tls_circumstances *circumstances);
/* The peer's first bytes are not TLS. */
enum tls_fault tls_explain_plaintext(struct error *err, struct slice first);

#endif
