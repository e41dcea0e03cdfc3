#include "base/crc32c.h"

#include <string.h>

/*
 * sliced[k][n] is the effect of byte n followed by k zero bytes. A CRC is linear: an entry is
 * the exclusive or of the entries for the single bits of n. So eight constants make a table,
 * and the compiler builds it; each SPAN has twice the entries of the one before.
 */
#define SPAN0(x) (x)
#define SPAN1(x, a) SPAN0(x), SPAN0((x) ^ (a))
#define SPAN2(x, a, b) SPAN1(x, a), SPAN1((x) ^ (b), a)
#define SPAN3(x, a, b, c) SPAN2(x, a, b), SPAN2((x) ^ (c), a, b)
#define SPAN4(x, a, b, c, d) SPAN3(x, a, b, c), SPAN3((x) ^ (d), a, b, c)
#define SPAN5(x, a, b, c, d, e) SPAN4(x, a, b, c, d), SPAN4((x) ^ (e), a, b, c, d)
#define SPAN6(x, a, b, c, d, e, f) SPAN5(x, a, b, c, d, e), SPAN5((x) ^ (f), a, b, c, d, e)
#define SPAN7(x, a, b, c, d, e, f, g) SPAN6(x, a, b, c, d, e, f), SPAN6((x) ^ (g), a, b, c, d, e, f)
#define TABLE(a, b, c, d, e, f, g, h) SPAN7(0, a, b, c, d, e, f, g), SPAN7(h, a, b, c, d, e, f, g)

/* clang-format off */
static const uint32_t sliced[8][256] = {
    {TABLE(0xF26B8303, 0xE13B70F7, 0xC79A971F, 0x8AD958CF, 0x105EC76F, 0x20BD8EDE, 0x417B1DBC, 0x82F63B78)},
    {TABLE(0x13A29877, 0x274530EE, 0x4E8A61DC, 0x9D14C3B8, 0x3FC5F181, 0x7F8BE302, 0xFF17C604, 0xFBC3FAF9)},
    {TABLE(0xA541927E, 0x4F6F520D, 0x9EDEA41A, 0x38513EC5, 0x70A27D8A, 0xE144FB14, 0xC76580D9, 0x8B277743)},
    {TABLE(0xDD45AAB8, 0xBF672381, 0x7B2231F3, 0xF64463E6, 0xE964B13D, 0xD725148B, 0xABA65FE7, 0x52A0C93F)},
    {TABLE(0x38116FAC, 0x7022DF58, 0xE045BEB0, 0xC5670B91, 0x8F2261D3, 0x1BA8B557, 0x37516AAE, 0x6EA2D55C)},
    {TABLE(0xEF306B19, 0xDB8CA0C3, 0xB2F53777, 0x6006181F, 0xC00C303E, 0x85F4168D, 0x0E045BEB, 0x1C08B7D6)},
    {TABLE(0x68032CC8, 0xD0065990, 0xA5E0C5D1, 0x4E2DFD53, 0x9C5BFAA6, 0x3D5B83BD, 0x7AB7077A, 0xF56E0EF4)},
    {TABLE(0x493C7D27, 0x9278FA4E, 0x211D826D, 0x423B04DA, 0x847609B4, 0x0D006599, 0x1A00CB32, 0x34019664)},
};
/* clang-format on */

static uint32_t load_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;

    crc = ~crc;
    for (; len >= 8; p += 8, len -= 8) {
        uint32_t low = crc ^ load_le32(p);
        uint32_t high = load_le32(p + 4);

        crc = sliced[7][low & 0xFF] ^ sliced[6][low >> 8 & 0xFF] ^ sliced[5][low >> 16 & 0xFF] ^
              sliced[4][low >> 24] ^ sliced[3][high & 0xFF] ^ sliced[2][high >> 8 & 0xFF] ^
              sliced[1][high >> 16 & 0xFF] ^ sliced[0][high >> 24];
    }
    for (; len > 0; p++, len--)
        crc = crc >> 8 ^ sliced[0][(crc ^ *p) & 0xFF];
    return ~crc;
}

#if defined(__x86_64__)

#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data,
                                                               size_t len)
{
    const uint8_t *p = data;
    uint64_t wide = (uint32_t)~crc;

    for (; len >= 8; p += 8, len -= 8) {
        uint64_t word;

        memcpy(&word, p, sizeof word);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    for (; len > 0; p++, len--)
        crc = _mm_crc32_u8(crc, *p);
    return ~crc;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    /* Reads what the runtime found out before main: cheap enough to ask every time. */
    if (__builtin_cpu_supports("sse4.2"))
        return crc32c_sse42(crc, data, len);
    return crc32c_portable(crc, data, len);
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    return crc32c_portable(crc, data, len);
}

#endif
