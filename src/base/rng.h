/*
 * rng.h - fast pseudo-random numbers: xoshiro256**, seeded by splitmix64.
 *
 * Decides: how a seed becomes a sequence, the same on every machine.
 * Leaves to others: where the seed comes from.
 * Owns: nothing. Fails: never.
 *
 * NOT for secrets: a few outputs reveal all others. Keys, masks that must not be guessed and
 * tokens come from the kernel (getrandom). This is for jitter, tests and simulations.
 */
#ifndef HAWSER_BASE_RNG_H
#define HAWSER_BASE_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t s[4]; /* never all zero once seeded */
};

/* Any seed is good, 0 too. */
void rng_seed(struct rng *r, uint64_t seed);

/* Uniform over all 64-bit values. */
uint64_t rng_u64(struct rng *r);

/* Uniform over 0 .. n - 1, without bias; `n` must not be 0. */
uint64_t rng_below(struct rng *r, uint64_t n);

/* Uniform over [0, 1), in steps of 2^-53. */
double rng_unit(struct rng *r);

/* True `num` times out of `den`; `den` must not be 0. */
bool rng_chance(struct rng *r, uint64_t num, uint64_t den);

#endif
