/* SipHash-2-4, after Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012). */
#include "base/siphash.h"

struct sip {
    uint64_t v0;
    uint64_t v1;
    uint64_t v2;
    uint64_t v3;
};

static uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

/* Up to 8 bytes, little-endian; the missing ones are zero. */
static uint64_t load_le(const uint8_t *p, size_t n)
{
    uint64_t word = 0;

    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)p[i] << (8 * i);
    return word;
}

static void store_le64(uint8_t *p, uint64_t word)
{
    for (unsigned i = 0; i < 8; i++)
        p[i] = (uint8_t)(word >> (8 * i));
}

static void sip_rounds(struct sip *s, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate_left(s->v1, 13) ^ s->v0;
        s->v3 = rotate_left(s->v3, 16) ^ s->v2;
        s->v0 = rotate_left(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotate_left(s->v1, 17) ^ s->v2;
        s->v3 = rotate_left(s->v3, 21) ^ s->v0;
        s->v2 = rotate_left(s->v2, 32);
    }
}

static void sip_start(struct sip *s, const uint8_t key[16])
{
    uint64_t k0 = load_le(key, 8);
    uint64_t k1 = load_le(key + 8, 8);

    s->v0 = k0 ^ UINT64_C(0x736F6D6570736575);
    s->v1 = k1 ^ UINT64_C(0x646F72616E646F6D);
    s->v2 = k0 ^ UINT64_C(0x6C7967656E657261);
    s->v3 = k1 ^ UINT64_C(0x7465646279746573);
}

static void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_rounds(s, 2);
    s->v0 ^= word;
}

static void sip_data(struct sip *s, const uint8_t *p, size_t len)
{
    uint64_t last = (uint64_t)len << 56;

    for (; len >= 8; p += 8, len -= 8)
        sip_word(s, load_le(p, 8));
    sip_word(s, last | load_le(p, len));
}

static uint64_t sip_finish(struct sip *s)
{
    sip_rounds(s, 4);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t siphash64(const uint8_t key[16], const void *data, size_t len)
{
    struct sip s;

    sip_start(&s, key);
    sip_data(&s, data, len);
    s.v2 ^= 0xFF;
    return sip_finish(&s);
}

void siphash128(const uint8_t key[16], const void *data, size_t len, uint8_t out[16])
{
    struct sip s;

    sip_start(&s, key);
    s.v1 ^= 0xEE;
    sip_data(&s, data, len);
    s.v2 ^= 0xEE;
    store_le64(out, sip_finish(&s));
    s.v1 ^= 0xDD;
    store_le64(out + 8, sip_finish(&s));
}
