#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "wire/delivery.h"
#include "wire/sse.h"

static const char instance[] = "5b0c1234-aaaa-bbbb";

static void check_sse(const char *line, const char *expected)
{
    struct buf out;

    buf_init(&out, BUF_UNBOUNDED);
    assert_int_equal(delivery_sse(&out, instance, slice_str(line)), 0);
    assert_string_equal(buf_cstr(&out), expected);
    buf_fini(&out);
}

static void test_sse(void **state)
{
    check_sse("{\"seq\":480,\"data\":1}\n", "id: 5b0c1234-480\ndata: {\"seq\":480,\"data\":1}\n\n");
    check_sse("{\"seq\":null,\"data\":1}\n", "data: {\"seq\":null,\"data\":1}\n\n");
    check_sse("{\"notice\":\"bye\"}\n", "data: {\"notice\":\"bye\"}\n\n");
}

/* As our own reader of server-sent events understands it. */
static void test_sse_is_understood(void **state)
{
    struct buf out;
    struct sse *sse;
    struct sse_event event;
    struct slice bytes, digits;
    uint64_t seq;

    buf_init(&out, BUF_UNBOUNDED);
    assert_int_equal(delivery_sse(&out, instance, slice_str("{\"seq\":7}\n")), 0);
    assert_int_equal(delivery_sse(&out, instance, slice_str("{\"seq\":null}\n")), 0);
    assert_int_equal(sse_new(100, &sse), 0);
    bytes = buf_slice(&out);
    assert_int_equal(sse_next(sse, &bytes, &event), 1);
    assert_true(slice_eq_str(event.data, "{\"seq\":7}"));
    assert_int_equal(delivery_sse_id(event.id, &digits, &seq), 0);
    assert_true(slice_eq_str(digits, "5b0c1234"));
    assert_int_equal(seq, 7);
    assert_int_equal(sse_next(sse, &bytes, &event), 1); /* the id stays that of the last stored */
    assert_true(slice_eq_str(event.id, "5b0c1234-7"));
    sse_free(sse);
    buf_fini(&out);
}

static void test_sse_id(void **state)
{
    static const char *const bad[] = {
        "",           "7",          "5b0c1234",    "5b0c1234-",
        "5b0c123-47", "5b0c1234-x", "5b0c1234--1", "5b0c1234-99999999999999999999"};
    struct slice digits;
    uint64_t seq;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(delivery_sse_id(slice_str(bad[i]), &digits, &seq), ERR_PARSE);
}

static void check_payload(const char *line, const char *expected)
{
    struct delivery_payload *payload;
    struct buf out;

    buf_init(&out, BUF_UNBOUNDED);
    assert_int_equal(delivery_payload_new(&payload), 0);
    assert_int_equal(delivery_payload_write(payload, &out, slice_str(line)), 0);
    assert_string_equal(buf_cstr(&out), expected);
    delivery_payload_free(payload);
    buf_fini(&out);
}

static void test_payload(void **state)
{
    check_payload("{\"seq\":1,\"data\":{\"a\": [1, 2]}}\n", "{\"a\": [1, 2]}\n");
    check_payload("{\"seq\":1,\"data\":null}\n", "null\n");
    check_payload("{\"seq\":1,\"text\":\"a\\nb\\u00e4\"}\n", "a b\xC3\xA4\n");
    check_payload("{\"seq\":1,\"base64\":\"aGk=\"}\n", "aGk=\n");
    check_payload("{\"seq\":2,\"notice\":\"gap\",\"detail\":\"data\"}\n", "");
    check_payload("not json\n", "");
}

static void test_without_room(void **state)
{
    struct delivery_payload *payload;
    struct buf out;

    buf_init(&out, 5);
    assert_true(delivery_sse(&out, instance, slice_str("{}\n")) < 0);
    assert_int_equal(delivery_payload_new(&payload), 0);
    assert_true(delivery_payload_write(payload, &out, slice_str("{\"data\":12345}")) < 0);
    assert_int_equal(delivery_payload_write(payload, &out, slice_str("{\"data\":1234}")), 0);
    assert_int_equal(out.len, 5);
    delivery_payload_free(payload);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sse),          cmocka_unit_test(test_sse_is_understood),
        cmocka_unit_test(test_sse_id),       cmocka_unit_test(test_payload),
        cmocka_unit_test(test_without_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
