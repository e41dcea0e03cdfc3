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
    char *ca_file;
    mbedtls_x509_crt anchors;
    mbedtls_ssl_config config;
};

#endif
