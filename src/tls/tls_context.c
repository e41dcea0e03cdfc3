#include "tls/tls_context.h"

#include <assert.h>
#include <stdlib.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>
#endif

#include "tls/tls_ciphers.h"
#include "tls/tls_files.h"

static const char *protocols[] = {"http/1.1", NULL};

/* Straight from the kernel: there is no generator of our own to seed, to reseed or to wipe. */
static int on_random(void *arg, unsigned char *out, size_t n)
{
    return tls_random(out, n) == 0 ? 0 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

#if MBEDTLS_VERSION_NUMBER < 0x03000000
/* The library's own order begins with the slowest curve, and many a server takes the first. */
static const mbedtls_ecp_group_id curves[] = {
    MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_SECP384R1,
    MBEDTLS_ECP_DP_SECP521R1,  MBEDTLS_ECP_DP_BP256R1,   MBEDTLS_ECP_DP_BP384R1,
    MBEDTLS_ECP_DP_BP512R1,    MBEDTLS_ECP_DP_NONE,
};
#else
/* The library's own order has PSS before PKCS #1, since TLS 1.3 wants it; but it cannot check PSS
 * in TLS 1.2, and a server of 1.2 with an RSA key that takes the first could not be reached. */
static const uint16_t signatures[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512, MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,    MBEDTLS_TLS1_3_SIG_NONE,
};
#endif

static int set_versions(mbedtls_ssl_config *config, enum tls_version min, struct error *err)
{
#ifndef MBEDTLS_SSL_PROTO_TLS1_3
    if (min == TLS_VERSION_1_3)
        return error_set(err, ERR_TLS,
                         "TLS 1.3 is asked for at least, and %s does not have it: mbedTLS 3.6 and "
                         "newer do",
                         MBEDTLS_VERSION_STRING_FULL);
#endif
#if MBEDTLS_VERSION_NUMBER >= 0x03020000
    mbedtls_ssl_conf_min_tls_version(config, min == TLS_VERSION_1_3 ? MBEDTLS_SSL_VERSION_TLS1_3
                                                                    : MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_sig_algs(config, signatures);
#else
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_curves(config, curves);
#endif
    return 0;
}

static void set_sessions(mbedtls_ssl_config *config)
{
#ifdef MBEDTLS_SSL_SESSION_TICKETS
    mbedtls_ssl_conf_session_tickets(config, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
#if defined(MBEDTLS_SSL_PROTO_TLS1_3) && MBEDTLS_VERSION_NUMBER >= 0x03060100
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
        config, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
#endif
#endif
}

static int configure(struct tls_context *context, struct error *err)
{
    mbedtls_ssl_config *config = &context->config;
    int rc = mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_CLIENT,
                                         MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);

    if (rc == 0)
        rc = mbedtls_ssl_conf_alpn_protocols(config, protocols);
    if (rc == 0 && context->own.seen)
        rc = mbedtls_ssl_conf_own_cert(config, &context->certificate, &context->key);
    if (rc != 0)
        return error_set(err, ERR_NOMEM, "TLS configuration: %s", error_text(ERR_NOMEM));
    mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_verify(config, tls_verify, context);
    mbedtls_ssl_conf_ca_chain(config, tls_anchors_chain(context->anchors), NULL);
    mbedtls_ssl_conf_ciphersuites(config, tls_ciphers(tls_aes_is_faster()));
    mbedtls_ssl_conf_rng(config, on_random, NULL);
    set_sessions(config);
    return set_versions(config, context->min_version, err);
}

/* ---- life ---- */

static void context_free(struct tls_context *context)
{
    tls_sessions_fini(&context->sessions);
    mbedtls_ssl_config_free(&context->config);
    tls_anchors_unref(context->anchors);
    mbedtls_x509_crt_free(&context->certificate);
    mbedtls_pk_free(&context->key); /* wipes it */
    free(context->pins);
    free(context);
}

static int copy_options(struct tls_context *context, const struct tls_context_options *options,
                        struct error *err)
{
    context->min_version = options->min_version;
    if (options->n_pins > 0)
        context->pins = calloc(options->n_pins, sizeof *context->pins);
    if (options->n_pins > 0 && context->pins == NULL)
        return error_set(err, ERR_NOMEM, "TLS: %s", error_text(ERR_NOMEM));
    context->n_pins = options->n_pins;
    for (size_t i = 0; i < options->n_pins; i++)
        memcpy(context->pins[i], options->pins[i], TLS_PIN_SIZE);
    return 0;
}

static int set_up(struct tls_context *context, const struct tls_context_options *options,
                  struct error *err)
{
    int rc = copy_options(context, options, err);

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    if (rc == 0 && psa_crypto_init() != PSA_SUCCESS) /* TLS 1.3 needs it; harmless when repeated */
        rc = error_set(err, ERR_TLS, "the cryptography of mbedTLS cannot be initialized");
#endif
    /* The system's bundle may hold a certificate too new for the library; one's own may not. */
    if (rc == 0)
        rc = tls_anchors_get(options->ca_file != NULL ? options->ca_file : TLS_SYSTEM_CA_FILE,
                             options->ca_file == NULL, &context->anchors, err);
    if (rc == 0 && options->cert_file != NULL)
        rc = tls_load_own(context, options->cert_file, options->key_file, err);
    return rc != 0 ? rc : configure(context, err);
}

int tls_context_new(const struct tls_context_options *options, struct tls_context **out,
                    struct error *err)
{
    static const struct tls_context_options usual;
    struct tls_context *context = calloc(1, sizeof *context);
    int rc;

    if (context == NULL)
        return error_set(err, ERR_NOMEM, "TLS: %s", error_text(ERR_NOMEM));
    context->references = 1;
    mbedtls_x509_crt_init(&context->certificate);
    mbedtls_pk_init(&context->key);
    mbedtls_ssl_config_init(&context->config);
    rc = set_up(context, options != NULL ? options : &usual, err);
    if (rc != 0) {
        context_free(context);
        return rc;
    }
    *out = context;
    return 0;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    context->references++;
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    if (context == NULL)
        return;
    assert(context->references > 0);
    if (--context->references == 0)
        context_free(context);
}

int64_t tls_context_expiry_s(const struct tls_context *context)
{
    return context->own.valid_to_s;
}

const char *tls_context_expiring(const struct tls_context *context)
{
    return context->own.who;
}

void tls_context_on_certificate(struct tls_context *context,
                                void (*visit)(void *arg, const struct tls_certificate *cert),
                                void *arg)
{
    context->on_certificate = visit;
    context->on_certificate_arg = arg;
}
