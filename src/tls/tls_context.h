/*
 * tls_context: what connections share. Private to tls.
 */
#ifndef HAWSER_TLS_CONTEXT_H
#define HAWSER_TLS_CONTEXT_H

#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include "tls/tls.h"
#include "tls/tls_anchors.h"
#include "tls/tls_explain.h"
#include "tls/tls_session.h"

/* mbedTLS 3 hides the fields of its structures behind this. */
#ifndef MBEDTLS_PRIVATE
#define MBEDTLS_PRIVATE(member) member
#endif

struct tls_context {
    unsigned references;
    struct tls *verifying; /* whose handshake is under way */
    struct tls_anchors *anchors;
    mbedtls_x509_crt certificate; /* the client's; version 0: none */
    mbedtls_pk_context key;
    struct tls_cert own; /* what texts need of it */
    uint8_t (*pins)[TLS_PIN_SIZE];
    size_t n_pins;
    enum tls_version min_version;
    struct tls_sessions sessions;
    void (*on_certificate)(void *arg, const struct tls_certificate *cert); /* NULL: nobody asks */
    void *on_certificate_arg;
    mbedtls_ssl_config config;
};

/* In tls.c: judges one certificate of the connection that is verifying. */
int tls_verify(void *context, mbedtls_x509_crt *crt, int depth, uint32_t *flags);

#endif
