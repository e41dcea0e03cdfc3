/*
 * tls_ciphers: which ciphers and curves are offered, and in which order. Private to tls.
 *
 * Decides: forward secrecy and authenticated encryption only. What comes first is what this
 * processor is faster at with this library, which is tried, not looked up: mbedTLS 2.28.3 opens a
 * record of 400 bytes faster with ChaCha20-Poly1305 than with AES-GCM even where there are AES
 * instructions (2.2 to 3.5 us against 3.4 to 4.6 us on a Xeon of 2.5 GHz), since its GCM is the
 * slow part; another build of it, or another machine, has it the other way round. A server that
 * insists on an order of its own has it.
 */
#ifndef HAWSER_TLS_CIPHERS_H
#define HAWSER_TLS_CIPHERS_H

#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <stdbool.h>
#include <stdint.h>

/* 0-ended lists of the library's numbers; static. */
const int *tls_ciphers(bool aes_first);
/* Tried at the first call, which takes less than a millisecond, and remembered. */
bool tls_aes_is_faster(void);
/* Nanoseconds that a record of 1 KiB takes, the best of several; INT64_MAX: the library lacks it.
 */
int64_t tls_cipher_cost_ns(mbedtls_cipher_type_t type);

#endif
