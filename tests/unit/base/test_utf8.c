#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

#define VALID(lit) utf8_valid(lit, sizeof(lit) - 1)

static void valid_texts(void **state)
{
    (void)state;
    assert_true(utf8_valid(NULL, 0));
    assert_true(VALID("plain ASCII of more than eight bytes"));
    assert_true(VALID("a\0b\x7F"));
    assert_true(VALID("\xC2\x80"));         /* U+0080 */
    assert_true(VALID("\xDF\xBF"));         /* U+07FF */
    assert_true(VALID("\xE0\xA0\x80"));     /* U+0800 */
    assert_true(VALID("\xED\x9F\xBF"));     /* U+D7FF */
    assert_true(VALID("\xEE\x80\x80"));     /* U+E000 */
    assert_true(VALID("\xEF\xBF\xBF"));     /* U+FFFF */
    assert_true(VALID("\xF0\x90\x80\x80")); /* U+10000 */
    assert_true(VALID("\xF4\x8F\xBF\xBF")); /* U+10FFFF */
}

static void invalid_texts(void **state)
{
    (void)state;
    assert_false(VALID("\x80"));
    assert_false(VALID("\xC0\x80"));         /* overlong NUL */
    assert_false(VALID("\xC1\xBF"));         /* overlong U+007F */
    assert_false(VALID("\xE0\x9F\xBF"));     /* overlong U+07FF */
    assert_false(VALID("\xF0\x8F\xBF\xBF")); /* overlong U+FFFF */
    assert_false(VALID("\xED\xA0\x80"));     /* U+D800 */
    assert_false(VALID("\xED\xBF\xBF"));     /* U+DFFF */
    assert_false(VALID("\xF4\x90\x80\x80")); /* U+110000 */
    assert_false(VALID("\xF5\x80\x80\x80"));
    assert_false(VALID("\xFF"));
    assert_false(VALID("\xC3"));
    assert_false(VALID("\xE2\x82"));
    assert_false(VALID("\xE2\x82\x41"));
    assert_false(VALID("\xE2\x82\xAC\xAC"));
    assert_false(VALID("12345678\xFF"));
    assert_false(VALID("1234567\xFF"
                       "12345678"));
}

/* A decoder by the book, to compare with: is this the shortest form of an allowed value? */
static int reference_valid(const uint8_t *p, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t i = 0;

    while (i < n) {
        size_t size = p[i] < 0x80             ? 1
                      : (p[i] & 0xE0) == 0xC0 ? 2
                      : (p[i] & 0xF0) == 0xE0 ? 3
                      : (p[i] & 0xF8) == 0xF0 ? 4
                                              : 0;
        uint32_t value;

        if (size == 0 || n - i < size)
            return 0;
        value = size == 1 ? p[i] : p[i] & (0x7Fu >> size);
        for (size_t k = 1; k < size; k++) {
            if ((p[i + k] & 0xC0) != 0x80)
                return 0;
            value = value << 6 | (p[i + k] & 0x3Fu);
        }
        if (value < least[size] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
            return 0;
        i += size;
    }
    return 1;
}

static void agrees_with_a_decoder(void **state)
{
    (void)state;
    /* All texts of three bytes, then all beginnings of four with each kind of ending. */
    for (uint32_t x = 0; x < 1u << 24; x++) {
        uint8_t p[3] = {(uint8_t)(x >> 16), (uint8_t)(x >> 8), (uint8_t)x};

        if (utf8_valid(p, 3) != reference_valid(p, 3))
            fail_msg("%06x", (unsigned)x);
    }
    for (uint32_t x = 0; x < 1u << 16; x++) {
        static const uint8_t tails[][2] = {{0x80, 0x80}, {0xBF, 0xBF}, {0x80, 0x7F}, {0xC0, 0x80}};

        for (size_t i = 0; i < 4; i++) {
            uint8_t p[4] = {(uint8_t)(x >> 8), (uint8_t)x, tails[i][0], tails[i][1]};

            if (utf8_valid(p, 4) != reference_valid(p, 4))
                fail_msg("%04x with tail %u", (unsigned)x, (unsigned)i);
        }
    }
}

static void pieces_may_break_anywhere(void **state)
{
    static const char text[] = "ASCII first, then \xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80, then ASCII";
    const size_t len = sizeof text - 1;

    (void)state;
    for (size_t cut = 0; cut <= len; cut++) {
        struct utf8 u;

        utf8_init(&u);
        assert_true(utf8_feed(&u, text, cut));
        assert_int_equal(utf8_complete(&u), cut == len || ((uint8_t)text[cut] & 0xC0) != 0x80);
        assert_true(utf8_feed(&u, text + cut, len - cut));
        assert_true(utf8_complete(&u));
    }
}

static void fails_at_the_first_invalid_byte(void **state)
{
    struct utf8 u;

    (void)state;
    utf8_init(&u);
    assert_true(utf8_feed(&u, "\xED", 1));
    /* Not yet a surrogate's last byte, but nothing valid can follow any more. */
    assert_false(utf8_feed(&u, "\xA0", 1));
    assert_false(utf8_feed(&u, "a", 1));
    assert_false(utf8_feed(&u, NULL, 0));
    assert_false(utf8_complete(&u));
    utf8_init(&u);
    assert_true(utf8_feed(&u, "a", 1));
}

static void narrowed_range_does_not_linger(void **state)
{
    (void)state;
    assert_true(VALID("\xE0\xA0\x80\xC2\x80"));
    assert_true(VALID("\xED\x9F\xBF\xC2\xBF"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_texts),
        cmocka_unit_test(invalid_texts),
        cmocka_unit_test(agrees_with_a_decoder),
        cmocka_unit_test(pieces_may_break_anywhere),
        cmocka_unit_test(fails_at_the_first_invalid_byte),
        cmocka_unit_test(narrowed_range_does_not_linger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
