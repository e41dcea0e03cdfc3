/*
 * siphash.h - SipHash-2-4, a keyed hash of short inputs.
 *
 * Decides: how bytes become a fingerprint that a peer without the key cannot make collide.
 * Leaves to others: the key, which must be random and stay secret to be of use.
 * Owns: nothing. Fails: never. `data` may be NULL when `len` is 0.
 */
#ifndef HAWSER_BASE_SIPHASH_H
#define HAWSER_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* The 64-bit hash; the reference implementation writes it as little-endian bytes. */
uint64_t siphash64(const uint8_t key[16], const void *data, size_t len);

/* The 128-bit variant, as the reference implementation writes it. */
void siphash128(const uint8_t key[16], const void *data, size_t len, uint8_t out[16]);

#endif
