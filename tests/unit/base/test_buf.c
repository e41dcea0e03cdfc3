#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"

/* Lets a refused allocation return NULL under AddressSanitizer too, as it does without. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void assert_contents(const struct buf *b, const char *expected)
{
    assert_int_equal(b->len, strlen(expected));
    assert_memory_equal(slice_chars(buf_slice(b)), expected, b->len);
    assert_true(b->len <= b->cap && b->cap <= b->max);
}

static void empty_buffer(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10);
    assert_int_equal(buf_slice(&b).len, 0);
    assert_string_equal(buf_cstr(&b), "");
    assert_int_equal(buf_append(&b, NULL, 0), 0);
    assert_int_equal(buf_appendf(&b, "%s", ""), 0);
    buf_consume(&b, 0);
    assert_int_equal(b.len, 0);
    buf_fini(&b);
    buf_wipe(&b);
    buf_fini(&b);
    assert_int_equal(b.max, 10);
}

static void appending(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    assert_int_equal(buf_append(&b, "abc", 2), 0);
    assert_int_equal(buf_append_str(&b, "cd"), 0);
    assert_int_equal(buf_append_slice(&b, SLICE("ef")), 0);
    assert_int_equal(buf_append_byte(&b, 'g'), 0);
    assert_int_equal(buf_appendf(&b, "%d%s", 12, "h"), 0);
    assert_contents(&b, "abcdefg12h");
    assert_string_equal(buf_cstr(&b), "abcdefg12h");
    buf_clear(&b);
    assert_contents(&b, "");
    assert_string_equal(buf_cstr(&b), "");
    buf_fini(&b);
}

static void every_append_stops_at_the_bound(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 5);
    assert_int_equal(buf_append(&b, "123456", 6), ERR_LIMIT);
    assert_contents(&b, "");
    assert_int_equal(buf_append(&b, "12345", 5), 0);
    assert_int_equal(b.cap, 5);
    assert_string_equal(buf_cstr(&b), "12345");
    assert_int_equal(buf_append_byte(&b, 'x'), ERR_LIMIT);
    assert_int_equal(buf_append_str(&b, "x"), ERR_LIMIT);
    assert_int_equal(buf_append_slice(&b, SLICE("x")), ERR_LIMIT);
    assert_int_equal(buf_appendf(&b, "x"), ERR_LIMIT);
    assert_int_equal(buf_append_u64(&b, 1), ERR_LIMIT);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), ERR_LIMIT);
    assert_int_equal(buf_reserve(&b, 0), 0);
    assert_contents(&b, "12345");
    buf_fini(&b);
}

static void bound_of_zero(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 0);
    assert_int_equal(buf_append_byte(&b, 'x'), ERR_LIMIT);
    assert_int_equal(buf_appendf(&b, "x"), ERR_LIMIT);
    assert_int_equal(buf_appendf(&b, "%s", ""), 0);
    assert_string_equal(buf_cstr(&b), "");
    buf_fini(&b);
}

static void formatted_text_fills_the_bound(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 200);
    assert_int_equal(buf_appendf(&b, "%0200d", 0), 0);
    assert_int_equal(b.len, 200);
    assert_int_equal(b.cap, 200);
    buf_clear(&b);
    assert_int_equal(buf_appendf(&b, "%0201d", 0), ERR_LIMIT);
    assert_contents(&b, "");
    /* Once in place, once by growing: both keep what was there. */
    assert_int_equal(buf_appendf(&b, "%s", "ab"), 0);
    assert_int_equal(buf_appendf(&b, "%s", "cd"), 0);
    assert_contents(&b, "abcd");
    buf_fini(&b);
}

static void growth_doubles(void **state)
{
    struct buf b;
    size_t growths = 0;
    size_t cap = 0;

    (void)state;
    buf_init(&b, 100000);
    for (size_t i = 0; i < 100000; i++) {
        assert_int_equal(buf_append_byte(&b, (char)i), 0);
        growths += b.cap != cap;
        cap = b.cap;
    }
    assert_int_equal(buf_append_byte(&b, 'x'), ERR_LIMIT);
    /* 64, 128, ... 65536, 100000 */
    assert_int_equal(growths, 12);
    for (size_t i = 0; i < 100000; i++)
        assert_int_equal(b.data[i], (char)i);
    buf_fini(&b);
}

static void no_memory(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, BUF_UNBOUNDED);
    assert_int_equal(buf_append_str(&b, "kept"), 0);
    assert_int_equal(buf_reserve(&b, BUF_UNBOUNDED - 4), ERR_NOMEM);
    assert_int_equal(buf_reserve(&b, BUF_UNBOUNDED - 3), ERR_LIMIT);
    assert_contents(&b, "kept");
    buf_fini(&b);
}

static void numbers(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    assert_int_equal(buf_append_u64(&b, 0), 0);
    assert_int_equal(buf_append_byte(&b, ' '), 0);
    assert_int_equal(buf_append_u64(&b, UINT64_MAX), 0);
    assert_int_equal(buf_append_byte(&b, ' '), 0);
    assert_int_equal(buf_append_i64(&b, INT64_MIN), 0);
    assert_int_equal(buf_append_byte(&b, ' '), 0);
    assert_int_equal(buf_append_i64(&b, INT64_MAX), 0);
    assert_contents(&b, "0 18446744073709551615 -9223372036854775808 9223372036854775807");
    buf_fini(&b);
}

static void negative_number_is_all_or_nothing(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 2);
    assert_int_equal(buf_append_i64(&b, -12), ERR_LIMIT);
    assert_contents(&b, "");
    assert_int_equal(buf_append_i64(&b, -1), 0);
    assert_contents(&b, "-1");
    buf_fini(&b);
}

static void consuming(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    assert_int_equal(buf_append_str(&b, "abcdef"), 0);
    buf_consume(&b, 0);
    assert_contents(&b, "abcdef");
    buf_consume(&b, 2);
    assert_contents(&b, "cdef");
    buf_consume(&b, 4);
    assert_contents(&b, "");
    buf_fini(&b);
}

static void wiping(void **state)
{
    struct buf b;
    char zeros[64] = {0};

    (void)state;
    buf_init(&b, sizeof zeros);
    assert_int_equal(buf_append_str(&b, "secret"), 0);
    /* What was consumed or cleared is still in memory, and has to go too. */
    buf_clear(&b);
    buf_wipe(&b);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.cap, sizeof zeros);
    assert_memory_equal(b.data, zeros, sizeof zeros);
    buf_fini(&b);
}

/* What is given back to the heap is looked at first. */
void __real_free(void *memory);
void __wrap_free(void *memory);

static const char *given_back;
static size_t given_back_n;
static unsigned times_wiped;

void __wrap_free(void *memory)
{
    if (memory != NULL && memory == given_back) {
        for (size_t i = 0; i < given_back_n; i++)
            assert_int_equal(given_back[i], 0);
        times_wiped++;
    }
    __real_free(memory);
}

static void growing_leaves_no_secret(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 4000);
    for (size_t i = 0; i < 4000; i++) {
        given_back = b.data;
        given_back_n = b.cap;
        assert_int_equal(buf_append_secret(&b, "s", 1), 0);
    }
    given_back = NULL;
    assert_true(times_wiped > 0 && times_wiped < 10); /* it doubles */
    assert_int_equal(b.len, 4000);
    for (size_t i = 0; i < 4000; i++)
        assert_int_equal(b.data[i], 's');
    assert_int_equal(buf_append_secret(&b, "s", 1), ERR_LIMIT);
    assert_int_equal(b.len, 4000);
    buf_fini(&b);
    assert_int_equal(buf_append_secret(&b, "whole", 5), 0);
    assert_contents(&b, "whole");
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_buffer),
        cmocka_unit_test(appending),
        cmocka_unit_test(every_append_stops_at_the_bound),
        cmocka_unit_test(bound_of_zero),
        cmocka_unit_test(formatted_text_fills_the_bound),
        cmocka_unit_test(growth_doubles),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(numbers),
        cmocka_unit_test(negative_number_is_all_or_nothing),
        cmocka_unit_test(consuming),
        cmocka_unit_test(wiping),
        cmocka_unit_test(growing_leaves_no_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
