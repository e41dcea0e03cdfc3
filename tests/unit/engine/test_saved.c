/* What a stream keeps across processes: every damage of it is as none. */
#include "engine/saved.h"

#include "base/crc32c.h"
#include "base/rng.h"
#include "unit/profile/support.h"

static const char profile_text[] = CONNECT "[on a]\nmatch = /t == \"a\"\ndo = capture one=/v\n"
                                           "[on b]\nmatch = /t == \"b\"\ndo = capture two=/v\n"
                                           "[send s]\ntext = ${one}${two}\non = open\n";

struct fixture {
    struct loaded loaded;
    struct session_saved state;
    struct stream_variables variables;
    struct buf bytes;
};

static void set(struct stream_variables *variables, unsigned i, const char *value, size_t len)
{
    buf_clear(&variables->at[i]);
    assert_int_equal(buf_append(&variables->at[i], value, len), 0);
    variables->set[i] = variables->persist[i] = true;
}

static void make(struct fixture *f)
{
    static const char *const none[] = {NULL};
    *f = (struct fixture){.loaded = load_ok(profile_text, none)};
    f->state = (struct session_saved){
        .state = SESSION_HELD,
        .wait_ms = 299000,
        .since_ms = 1000,
        .step = 4,
        .attempts = 9,
        .refreshes = 1,
        .probes = 2,
        .fallback_attempts = 3,
        .dialled = true,
        .park = {.kind = PROFILE_END_STATUS, .code = 403, .retry_after_ms = -1},
        .live_ago_ms = -1,
        .reason = "status 403: r\xc3\xa9"
                  "fus\xc3\xa9",
    };
    for (unsigned i = 0; i < PROFILE_FLAPS_MAX; i++)
        for (unsigned j = 0; j < 16; j++)
            f->state.flaps[i].ago_ms[j] = i == 2 && j < 3 ? 1000 * j : UINT32_MAX;
    saved_variables_init(&f->variables);
    set(&f->variables, 0, "session-1", 9);
    buf_init(&f->bytes, STORE_STATE_VALUE);
}

static void encode(struct fixture *f)
{
    buf_clear(&f->bytes);
    assert_int_equal(saved_encode(&f->state, f->loaded.profile, &f->variables, &f->bytes), 0);
}

static void drop(struct fixture *f)
{
    saved_variables_fini(&f->variables);
    buf_fini(&f->bytes);
    unload(&f->loaded);
}

static bool decodes(struct fixture *f, struct slice bytes, struct session_saved *state,
                    struct stream_variables *variables)
{
    *state = (struct session_saved){0};
    return saved_decode(bytes, f->loaded.profile, state, variables);
}

static void round_trip(void **arg)
{
    (void)arg;
    struct fixture f;
    struct session_saved got;
    struct stream_variables variables;
    make(&f);
    encode(&f);
    saved_variables_init(&variables);
    assert_true(decodes(&f, buf_slice(&f.bytes), &got, &variables));
    assert_memory_equal(&got, &f.state, sizeof(got));
    assert_true(variables.set[0] && variables.persist[0] && !variables.set[1]);
    assert_slice(buf_slice(&variables.at[0]), "session-1");
    saved_variables_fini(&variables);
    drop(&f);
}

/* Only those that are to persist, each as large as may be. */
static void largest_fits(void **arg)
{
    (void)arg;
    struct fixture f;
    struct session_saved got;
    struct stream_variables variables;
    char *value = calloc(1, LIMIT_VARIABLE);
    make(&f);
    memset(f.state.reason, 'x', sizeof(f.state.reason) - 1);
    set(&f.variables, 0, value, LIMIT_VARIABLE);
    set(&f.variables, 1, value, LIMIT_VARIABLE);
    f.variables.persist[1] = false;
    encode(&f);
    assert_true(PROFILE_VARIABLES_MAX * (LIMIT_VARIABLE + 258) + 4096 < STORE_STATE_VALUE);
    saved_variables_init(&variables);
    assert_true(decodes(&f, buf_slice(&f.bytes), &got, &variables));
    assert_int_equal(variables.at[0].len, LIMIT_VARIABLE);
    assert_false(variables.set[1]);
    saved_variables_fini(&variables);
    free(value);
    drop(&f);
}

/* Every truncation, every flipped bit, every further byte: none. */
static void damage_is_none(void **arg)
{
    (void)arg;
    struct fixture f;
    struct session_saved got;
    struct stream_variables variables;
    make(&f);
    encode(&f);
    saved_variables_init(&variables);
    for (size_t n = 0; n < f.bytes.len; n++)
        assert_false(decodes(&f, slice_make(f.bytes.data, n), &got, &variables));
    for (size_t bit = 0; bit < 8 * f.bytes.len; bit++) {
        f.bytes.data[bit / 8] ^= (char)(1 << bit % 8);
        assert_false(decodes(&f, buf_slice(&f.bytes), &got, &variables));
        f.bytes.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_int_equal(buf_append_byte(&f.bytes, 0), 0);
    assert_false(decodes(&f, buf_slice(&f.bytes), &got, &variables));
    assert_false(variables.set[0]);
    saved_variables_fini(&variables);
    drop(&f);
}

static void seal(struct buf *bytes)
{
    uint32_t crc = crc32c(0, bytes->data, bytes->len - 4);
    for (unsigned i = 0; i < 4; i++)
        bytes->data[bytes->len - 4 + i] = (char)(crc >> 8 * i);
}

/* With a checksum that is right, what cannot be is still none: no enum out of range, no text that
 * is no text, nothing taken of what is refused. */
static void nonsense_is_none(void **arg)
{
    (void)arg;
    const uint64_t seed = 11;
    struct fixture f;
    struct session_saved got;
    struct stream_variables variables;
    struct rng rng;
    unsigned taken = 0;
    make(&f);
    rng_seed(&rng, seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    saved_variables_init(&variables);
    for (unsigned i = 0; i < 30000; i++) {
        encode(&f);
        for (uint64_t n = 1 + rng_below(&rng, 3); n > 0; n--)
            f.bytes.data[rng_below(&rng, f.bytes.len - 4)] = (char)rng_u64(&rng);
        if (rng_chance(&rng, 1, 4))
            f.bytes.len -= rng_below(&rng, f.bytes.len - 8);
        seal(&f.bytes);
        saved_variables_clear(&variables);
        if (!decodes(&f, buf_slice(&f.bytes), &got, &variables)) {
            assert_false(variables.set[0]);
            continue;
        }
        taken++;
        assert_true((unsigned)got.state < SESSION_STATE_COUNT);
        assert_true((unsigned)got.park.kind <= PROFILE_END_FAILURE);
        assert_true((unsigned)got.park.failure <= PROFILE_FAILURE_CONFIG);
        assert_true(got.wait_ms >= -1 && got.since_ms >= -1 && got.live_ago_ms >= -1);
        assert_true(strlen(got.reason) < sizeof(got.reason));
    }
    assert_true(taken > 1000);
    saved_variables_fini(&variables);
    drop(&f);
}

/* Of a profile that has changed what is left is kept. */
static void other_profile(void **arg)
{
    (void)arg;
    static const char *const none[] = {NULL};
    struct fixture f;
    struct session_saved got;
    struct stream_variables variables;
    struct loaded other =
        load_ok(CONNECT "[on b]\nmatch = /t == \"b\"\ndo = capture two=/v\n", none);
    make(&f);
    set(&f.variables, 1, "second", 6);
    encode(&f);
    saved_variables_init(&variables);
    assert_true(saved_decode(buf_slice(&f.bytes), other.profile, &got, &variables));
    assert_slice(buf_slice(&variables.at[0]), "second");
    saved_variables_fini(&variables);
    unload(&other);
    drop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),     cmocka_unit_test(largest_fits),
        cmocka_unit_test(damage_is_none), cmocka_unit_test(nonsense_is_none),
        cmocka_unit_test(other_profile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
