#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/rng.h"

typedef uint32_t (*crc_function)(uint32_t crc, const void *data, size_t len);

static const crc_function functions[] = {crc32c, crc32c_portable};

/* RFC 3720, B.4, and the customary check value of "123456789". */
static void known_vectors(void **state)
{
    static const uint8_t read_pdu[48] = {
        0x01, 0xC0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02};
    uint8_t zeros[32];
    uint8_t ones[32];
    uint8_t rising[32];
    uint8_t falling[32];

    (void)state;
    memset(zeros, 0, sizeof zeros);
    memset(ones, 0xFF, sizeof ones);
    for (size_t i = 0; i < 32; i++) {
        rising[i] = (uint8_t)i;
        falling[i] = (uint8_t)(31 - i);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(functions[i](0, zeros, 32), 0x8A9136AA);
        assert_int_equal(functions[i](0, ones, 32), 0x62A8AB43);
        assert_int_equal(functions[i](0, rising, 32), 0x46DD794E);
        assert_int_equal(functions[i](0, falling, 32), 0x113FDB5C);
        assert_int_equal(functions[i](0, read_pdu, 48), 0xD9963A56);
        assert_int_equal(functions[i](0, "123456789", 9), 0xE3069283);
        assert_int_equal(functions[i](0, NULL, 0), 0);
        assert_int_equal(functions[i](0x12345678, NULL, 0), 0x12345678);
    }
}

static void paths_agree_at_every_length_and_alignment(void **state)
{
    uint8_t data[300];
    struct rng r;

    (void)state;
    rng_seed(&r, 5);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)rng_u64(&r);
    for (size_t start = 0; start < 8; start++) {
        for (size_t len = 0; start + len <= sizeof data; len++) {
            uint32_t crc = (uint32_t)rng_u64(&r);

            assert_int_equal(crc32c(crc, data + start, len),
                             crc32c_portable(crc, data + start, len));
        }
    }
}

static void pieces_make_the_whole(void **state)
{
    static const char text[] = "a message that arrives in two pieces";
    const size_t len = sizeof text - 1;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (size_t cut = 0; cut <= len; cut++) {
            uint32_t first = functions[i](0, text, cut);

            assert_int_equal(functions[i](first, text + cut, len - cut),
                             functions[i](0, text, len));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_vectors),
        cmocka_unit_test(paths_agree_at_every_length_and_alignment),
        cmocka_unit_test(pieces_make_the_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
