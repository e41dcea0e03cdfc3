/* The dedup window: exactly the newest N, whatever the keys look like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "flow/window.h"

struct key {
    uint8_t bytes[16];
};

/* With few tags, all keys crowd into few places of the table. */
static struct key make_key(uint64_t n, uint32_t tags)
{
    struct key key = {{0}};
    uint32_t tag = (uint32_t)((n * 2654435761u) % tags) - 1; /* wraps: the table's end too */

    memcpy(key.bytes, &tag, sizeof tag);
    memcpy(key.bytes + 8, &n, sizeof n);
    return key;
}

static void test_capacity_bounds(void **state)
{
    struct window window;

    assert_int_equal(window_init(&window, WINDOW_CAPACITY_MIN - 1), ERR_INVAL);
    assert_int_equal(window_init(&window, WINDOW_CAPACITY_MAX + 1), ERR_INVAL);
    assert_int_equal(window_init(&window, WINDOW_CAPACITY_MIN), 0);
    window_fini(&window);
}

static void test_the_oldest_leaves_exactly_when_the_window_is_full(void **state)
{
    for (unsigned capacity = WINDOW_CAPACITY_MIN; capacity < 70; capacity++) {
        struct window window;

        assert_int_equal(window_init(&window, capacity), 0);
        for (uint64_t n = 0; n < 5 * capacity; n++) {
            assert_false(window_has(&window, make_key(n, 7).bytes));
            window_add(&window, make_key(n, 7).bytes);
            uint64_t oldest = n + 1 > capacity ? n + 1 - capacity : 0;

            assert_true(window_has(&window, make_key(n, 7).bytes));
            assert_true(window_has(&window, make_key(oldest, 7).bytes));
            if (oldest > 0)
                assert_false(window_has(&window, make_key(oldest - 1, 7).bytes));
        }
        window_fini(&window);
    }
}

static void test_a_known_key_keeps_its_place(void **state)
{
    struct window window;

    assert_int_equal(window_init(&window, 16), 0);
    for (uint64_t n = 0; n < 16; n++)
        window_add(&window, make_key(n, 1000).bytes);
    window_add(&window, make_key(0, 1000).bytes);
    assert_int_equal(window.count, 16);
    window_add(&window, make_key(16, 1000).bytes);
    assert_false(window_has(&window, make_key(0, 1000).bytes));
    assert_true(window_has(&window, make_key(1, 1000).bytes));
    window_fini(&window);
}

static void test_clear(void **state)
{
    struct window window;

    assert_int_equal(window_init(&window, 16), 0);
    for (uint64_t n = 0; n < 20; n++)
        window_add(&window, make_key(n, 3).bytes);
    window_clear(&window);
    for (uint64_t n = 0; n < 20; n++)
        assert_false(window_has(&window, make_key(n, 3).bytes));
    window_add(&window, make_key(5, 3).bytes);
    assert_true(window_has(&window, make_key(5, 3).bytes));
    assert_int_equal(window.count, 1);
    window_fini(&window);
}

/* Keys come again and again, out of a small set; the model is a plain list. */
static bool is_odd(const uint8_t key[16])
{
    return (key[8] & 1) != 0;
}

static unsigned list_drop_odd(uint64_t *list, unsigned count)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < count; i++)
        if (list[i] % 2 == 0)
            list[kept++] = list[i];
    return kept;
}

static void test_random_against_a_list(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        unsigned capacity = 16 + (unsigned)seed * 3;
        uint32_t tags = seed % 3 == 0 ? 2 : seed % 3 == 1 ? 40 : 1u << 30;
        uint64_t list[128];
        unsigned count = 0;
        struct window window;
        struct rng rng;

        rng_seed(&rng, seed);
        assert_int_equal(window_init(&window, capacity), 0);
        for (unsigned step = 0; step < 5000; step++) {
            uint64_t n = rng_below(&rng, 3 * capacity);
            bool known = false;

            if (rng_below(&rng, 300) == 0) {
                window_drop(&window, is_odd);
                count = list_drop_odd(list, count);
            }
            for (unsigned i = 0; i < count; i++)
                known |= list[i] == n;
            if (window_has(&window, make_key(n, tags).bytes) != known)
                fail_msg("seed %llu step %u", (unsigned long long)seed, step);
            window_add(&window, make_key(n, tags).bytes);
            if (known)
                continue;
            if (count == capacity)
                memmove(list, list + 1, --count * sizeof *list);
            list[count++] = n;
        }
        window_fini(&window);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capacity_bounds),
        cmocka_unit_test(test_the_oldest_leaves_exactly_when_the_window_is_full),
        cmocka_unit_test(test_a_known_key_keeps_its_place),
        cmocka_unit_test(test_clear),
        cmocka_unit_test(test_random_against_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
