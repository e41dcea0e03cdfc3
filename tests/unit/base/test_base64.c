#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/error.h"

/* RFC 4648, section 10, and bytes that reach the last two letters of the alphabet. */
static const struct {
    struct slice plain;
    struct slice encoded;
} vectors[] = {
    {SLICE_INIT(""), SLICE_INIT("")},
    {SLICE_INIT("f"), SLICE_INIT("Zg==")},
    {SLICE_INIT("fo"), SLICE_INIT("Zm8=")},
    {SLICE_INIT("foo"), SLICE_INIT("Zm9v")},
    {SLICE_INIT("foob"), SLICE_INIT("Zm9vYg==")},
    {SLICE_INIT("fooba"), SLICE_INIT("Zm9vYmE=")},
    {SLICE_INIT("foobar"), SLICE_INIT("Zm9vYmFy")},
    {SLICE_INIT("\xFB\xEF\xBE\xFF\xFF\xFF"), SLICE_INIT("++++////")},
    {SLICE_INIT("\0\0"), SLICE_INIT("AAA=")},
};

static void known_vectors(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        buf_clear(&b);
        assert_int_equal(base64_encode(&b, vectors[i].plain.ptr, vectors[i].plain.len), 0);
        assert_true(slice_eq(buf_slice(&b), vectors[i].encoded));
        assert_int_equal(base64_encoded_len(vectors[i].plain.len), vectors[i].encoded.len);
        buf_clear(&b);
        assert_int_equal(base64_decode(&b, vectors[i].encoded), 0);
        assert_true(slice_eq(buf_slice(&b), vectors[i].plain));
    }
    buf_fini(&b);
}

static void all_bytes_come_back(void **state)
{
    uint8_t plain[256];
    struct buf encoded;
    struct buf decoded;

    (void)state;
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)i;
    buf_init(&encoded, 1000);
    buf_init(&decoded, 1000);
    for (size_t len = 0; len <= sizeof plain; len++) {
        buf_clear(&encoded);
        buf_clear(&decoded);
        assert_int_equal(base64_encode(&encoded, plain, len), 0);
        assert_int_equal(base64_decode(&decoded, buf_slice(&encoded)), 0);
        assert_int_equal(decoded.len, len);
        assert_memory_equal(slice_chars(buf_slice(&decoded)), plain, len);
    }
    buf_fini(&encoded);
    buf_fini(&decoded);
}

static void malformed_text_is_refused(void **state)
{
    static const char *const malformed[] = {
        "Z",       "Zg",   "Zg=",      "Zm9vY",    "Zg===",  "=",     "==",       "====", "Z===",
        "=g==",    "Zg=v", "Zg==Zg==", "Zm8=Zm9v", "Zm9v\n", "Zm\n9", " Zm9",     "Zm9-", "Zm9_",
        "Zm9\xC3", "Zm9*", "Zh==",     "Zn==",     "Zm9=",   "Zm/=",  "Zm9v====",
    };
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    assert_int_equal(buf_append_str(&b, "kept"), 0);
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        assert_int_equal(base64_decode(&b, slice_str(malformed[i])), ERR_PARSE);
        assert_string_equal(buf_cstr(&b), "kept");
    }
    assert_int_equal(base64_decode(&b, SLICE("Zm\0v")), ERR_PARSE);
    buf_fini(&b);
}

static void appends_up_to_the_bound(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 8);
    assert_int_equal(base64_encode(&b, "1234567", 7), ERR_LIMIT);
    assert_int_equal(b.len, 0);
    assert_int_equal(base64_encode(&b, "f", 1), 0);
    assert_int_equal(base64_encode(&b, "f", 1), 0);
    assert_string_equal(buf_cstr(&b), "Zg==Zg==");
    assert_int_equal(base64_encode(&b, "f", 1), ERR_LIMIT);
    assert_int_equal(base64_decode(&b, SLICE("Zg==")), ERR_LIMIT);
    assert_int_equal(b.len, 8);
    buf_consume(&b, 1);
    /* One byte of room, and exactly one byte decoded. */
    assert_int_equal(base64_decode(&b, SLICE("Zg==")), 0);
    assert_string_equal(buf_cstr(&b), "g==Zg==f");
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_vectors),
        cmocka_unit_test(all_bytes_come_back),
        cmocka_unit_test(malformed_text_is_refused),
        cmocka_unit_test(appends_up_to_the_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
