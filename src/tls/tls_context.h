/*
 * tls_context: what connections share: trust anchors, versions, ciphers. Private to tls.
 */
#ifndef HAWSER_TLS_CONTEXT_H
#define HAWSER_TLS_CONTEXT_H

#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include "tls/tls.h"

struct tls_context {
    unsigned references;
    struct tls *verifying; /* whose handshake is under way */
    char *ca_file;
    mbedtls_x509_crt anchors;
    mbedtls_ssl_config config;
};

/* In tls.c: judges one certificate of the connection that is verifying. */
int tls_verify(void *context, mbedtls_x509_crt *crt, int depth, uint32_t *flags);

#endif
