/* xoshiro256** 1.0 and splitmix64, by David Blackman and Sebastiano Vigna, public domain. */
#include "base/rng.h"

#include <assert.h>

static uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void rng_seed(struct rng *r, uint64_t seed)
{
    /* splitmix64 never repeats a value within its period, so at most one word can be zero. */
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix64(&seed);
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t result = rotate_left(r->s[1] * 5, 7) * 9;
    uint64_t shifted = r->s[1] << 17;

    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= shifted;
    r->s[3] = rotate_left(r->s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    uint64_t surplus;
    uint64_t x;

    assert(n > 0);
    /* 2^64 mod n values too many for an even split; leaving out the least ones evens it. */
    surplus = -n % n;
    do {
        x = rng_u64(r);
    } while (x < surplus);
    return x % n;
}

double rng_unit(struct rng *r)
{
    /* The upper 53 bits, as many as a double holds exactly. */
    return (double)(rng_u64(r) >> 11) * 0x1.0p-53;
}

bool rng_chance(struct rng *r, uint64_t num, uint64_t den)
{
    return rng_below(r, den) < num;
}
