#include "tls/tls_ciphers.h"

#include <mbedtls/cipher.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <time.h>

enum { RECORD_BYTES = 1024, TRIES = 8 };

#define CHACHA                                                                                     \
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,                                         \
        MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
#define AES                                                                                        \
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,                                               \
        MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,                                             \
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,                                           \
        MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
#ifdef MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256
#define CHACHA13 MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
#define AES13 MBEDTLS_TLS1_3_AES_128_GCM_SHA256, MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
#else
#define CHACHA13
#define AES13
#endif

const int *tls_ciphers(bool aes_first)
{
    static const int chacha_list[] = {CHACHA13 AES13 CHACHA, AES, 0};
    static const int aes_list[] = {AES13 CHACHA13 AES, CHACHA, 0};

    return aes_first ? aes_list : chacha_list;
}

static int64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* The best of several, since the machine does other things too. */
static int64_t best_of(mbedtls_cipher_context_t *cipher)
{
    static const unsigned char nonce[12], header[13], plain[RECORD_BYTES];
    unsigned char sealed[RECORD_BYTES + 16];
    int64_t best = INT64_MAX;

    for (unsigned i = 0; i < TRIES; i++) {
        int64_t start = clock_ns(), took;
        size_t n;

        if (mbedtls_cipher_auth_encrypt_ext(cipher, nonce, sizeof nonce, header, sizeof header,
                                            plain, sizeof plain, sealed, sizeof sealed, &n,
                                            16) != 0)
            return INT64_MAX;
        took = clock_ns() - start;
        best = took < best ? took : best;
    }
    return best;
}

int64_t tls_cipher_cost_ns(mbedtls_cipher_type_t type)
{
    static const unsigned char key[32];
    const mbedtls_cipher_info_t *info = mbedtls_cipher_info_from_type(type);
    mbedtls_cipher_context_t cipher;
    int64_t cost = INT64_MAX;
    int bits = type == MBEDTLS_CIPHER_AES_128_GCM ? 128 : 256;

    if (info == NULL)
        return INT64_MAX;
    mbedtls_cipher_init(&cipher);
    if (mbedtls_cipher_setup(&cipher, info) == 0 &&
        mbedtls_cipher_setkey(&cipher, key, bits, MBEDTLS_ENCRYPT) == 0)
        cost = best_of(&cipher);
    mbedtls_cipher_free(&cipher);
    return cost;
}

bool tls_aes_is_faster(void)
{
    static enum { UNKNOWN, AES_FASTER, CHACHA_FASTER } found = UNKNOWN;

    if (found == UNKNOWN)
        found = tls_cipher_cost_ns(MBEDTLS_CIPHER_AES_128_GCM) <
                        tls_cipher_cost_ns(MBEDTLS_CIPHER_CHACHA20_POLY1305)
                    ? AES_FASTER
                    : CHACHA_FASTER;
    return found == AES_FASTER;
}
