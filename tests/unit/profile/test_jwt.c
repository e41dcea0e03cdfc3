/* When a token says that it expires. */
#include "unit/profile/support.h"

#include "base/base64.h"

#define HEADER "eyJhbGciOiJIUzI1NiJ9"

/* HEADER.CLAIMS.SIGNATURE, with the claims as base64url without padding. */
static int64_t expiry_of(const char *claims)
{
    struct buf token;
    int64_t expiry;
    char *copy;

    buf_init(&token, BUF_UNBOUNDED);
    assert_int_equal(buf_append_str(&token, HEADER "."), 0);
    assert_int_equal(base64_encode(&token, claims, strlen(claims)), 0);
    while (token.data[token.len - 1] == '=')
        token.len--;
    for (size_t i = 0; i < token.len; i++)
        token.data[i] = (char)(token.data[i] == '+'   ? '-'
                               : token.data[i] == '/' ? '_'
                                                      : token.data[i]);
    assert_int_equal(buf_append_str(&token, ".c2lnbmF0dXJl"), 0);
    /* Memory that ends with it, so that reading on is seen. */
    copy = malloc(token.len);
    assert_non_null(copy);
    memcpy(copy, token.data, token.len);
    expiry = profile_jwt_expiry_s(slice_make(copy, token.len));
    free(copy);
    buf_fini(&token);
    return expiry;
}

static void test_claims(void **state)
{
    static const struct {
        const char *claims;
        int64_t expiry;
    } table[] = {
        {"{\"exp\":1778939467}", 1778939467},
        {"{\"sub\":\"1\",\"exp\":1778939467,\"iat\":1}", 1778939467},
        {"{\"exp\":1778939467.9}", 1778939467},
        {"{\"exp\":1.778939467e9}", 1778939467},
        {"{\"exp\":0}", 0},
        {"{\"exp\":253402300799}", 253402300799},
        {"{\"exp\":253402300800}", -1},
        {"{\"exp\":-1}", -1},
        {"{\"exp\":1e400}", -1},
        {"{\"exp\":\"1778939467\"}", -1},
        {"{\"exp\":null}", -1},
        {"{\"exp\":[1778939467]}", -1},
        {"{\"exp\":17789394670000000000000000000000000000}", -1},
        {"{\"nbf\":1778939467}", -1},
        {"{\"a\":{\"exp\":1778939467}}", -1},
        {"{\"exp\":1,\"exp\":2}", 2},
        {"[1778939467]", -1},
        {"{\"exp\":1778939467", -1},
        {"{}", -1},
        /* Bytes that base64 and base64url write differently. */
        {"{\"n\":\"\xc3\xbf\xc3\xbe~~~???\",\"exp\":7}", 7},
        {" {\"exp\" : 8 } ", 8},
        {"{\"exp\":09}", -1},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        if (expiry_of(table[i].claims) != table[i].expiry)
            fail_msg("%s: got %lld", table[i].claims, (long long)expiry_of(table[i].claims));
}

static void test_forms(void **state)
{
    static const struct {
        const char *token;
        int64_t expiry;
    } table[] = {
        {HEADER ".eyJleHAiOjd9.c2ln", 7},
        {HEADER ".eyJleHAiOjd9.", 7}, /* alg: none */
        {"x.eyJleHAiOjd9.x", 7},      /* its header is nothing to us */
        {HEADER ".eyJleHAiOjc3fQ.x", 77},
        {HEADER ".eyJleHAiOjc3fQ==.x", 77},
        {HEADER ".eyJleHAiOjd9", -1},
        {HEADER ".eyJleHAiOjd9.a.b", -1},
        {HEADER ".eyJleHAiOjd9.a.b.c", -1}, /* encrypted (JWE) */
        {HEADER "..x", -1},
        {HEADER ".====.x", -1},
        {HEADER ".eyJleHAiOjd9A.x", -1},
        {HEADER ".eyJleHA*Ojd9.x", -1},
        {"sk-opaque-token", -1},
        {"", -1},
        {".", -1},
        {"..", -1},
        {"...", -1},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        if (profile_jwt_expiry_s(slice_str(table[i].token)) != table[i].expiry)
            fail_msg("%s", table[i].token);
    assert_int_equal(profile_jwt_expiry_s((struct slice){NULL, 0}), -1);
}

/* {"exp":7} with blanks behind it, up to the most and one more. */
static void test_length(void **state)
{
    for (size_t n = LIMIT_SECRET; n <= LIMIT_SECRET + 4; n += 4) {
        char *token = malloc(n + 8);
        size_t at = 0;

        assert_non_null(token);
        memcpy(token, "h.eyJleHAiOjd9", 14);
        for (at = 14; at < n + 2; at += 4)
            memcpy(token + at, "ICAg", 4);
        memcpy(token + at, ".s", 2);
        assert_int_equal(profile_jwt_expiry_s(slice_make(token, at + 2)),
                         n == LIMIT_SECRET ? 7 : -1);
        free(token);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
