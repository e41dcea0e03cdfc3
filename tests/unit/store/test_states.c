/* Saved states: what is kept, what is refused, stores that have none, damage. */
#include "store_fixture.h"

#include <errno.h>

static int save(struct fixture *f, const char *key, const char *value, int64_t now_us)
{
    struct store_state state = {.key = slice_str(key)};
    struct error err = {0};

    if (value != NULL)
        state.value = slice_str(value);
    return store_append_with(f->store, NULL, 0, &state, 1, now_us, 0, &err);
}

static void note(void *arg, const struct store_state *state, int64_t saved_us)
{
    char *text = arg;
    size_t len = strlen(text);

    snprintf(text + len, 200 - len, SLICE_FMT "=" SLICE_FMT "@%lld ", SLICE_ARG(state->key),
             SLICE_ARG(state->value), (long long)saved_us);
}

static void expect(struct fixture *f, const char *want)
{
    char text[200] = "";

    OK(store_states(f->store, note, text, why));
    assert_string_equal(text, want);
}

static void states_come_back_in_order(void **state)
{
    struct fixture *f = *state;

    expect(f, "");
    assert_int_equal(save(f, "stream/b", "1", 10), 0);
    assert_int_equal(save(f, "stream/a", "2", 11), 0);
    assert_int_equal(save(f, "empty", "", INT64_MAX), 0);
    expect(f, "empty=@9223372036854775807 stream/a=2@11 stream/b=1@10 ");
    assert_int_equal(save(f, "stream/b", "another, longer one", 12), 0);
    assert_int_equal(save(f, "stream/a", NULL, 13), 0);
    assert_int_equal(save(f, "unknown", NULL, 13), 0);
    fixture_reopen(f);
    expect(f, "empty=@9223372036854775807 stream/b=another, longer one@12 ");
}

static void of_one_key_the_last_counts(void **state)
{
    struct fixture *f = *state;
    const struct store_state states[] = {{SLICE_INIT("k"), SLICE_INIT("1")},
                                         {SLICE_INIT("k"), SLICE_INIT("2")}};

    OK(store_append_with(f->store, NULL, 0, states, 2, 5, 0, why));
    expect(f, "k=2@5 ");
}

static void measure(void *arg, const struct store_state *state, int64_t saved_us)
{
    size_t *sizes = arg;

    sizes[0] = state->key.len;
    sizes[1] = state->value.len;
}

static void a_state_is_bounded(void **state)
{
    static char bytes[STORE_STATE_VALUE + 1];
    struct fixture *f = *state;
    struct store_state s = {.key = slice_make(bytes, STORE_STATE_KEY),
                            .value = slice_make(bytes, STORE_STATE_VALUE)};
    struct error err = {0};
    size_t sizes[2] = {0};

    memset(bytes, 'x', sizeof bytes);
    OK(store_append_with(f->store, NULL, 0, &s, 1, 1, 0, why));
    OK(store_states(f->store, measure, sizes, why));
    assert_int_equal(sizes[0], STORE_STATE_KEY);
    assert_int_equal(sizes[1], STORE_STATE_VALUE);
    s.value.len++;
    assert_int_equal(store_append_with(f->store, NULL, 0, &s, 1, 1, 0, &err), ERR_LIMIT);
    s.value.len = 1;
    s.key.len++;
    assert_int_equal(store_append_with(f->store, NULL, 0, &s, 1, 1, 0, &err), ERR_LIMIT);
    s.key.len = 0;
    assert_int_equal(store_append_with(f->store, NULL, 0, &s, 1, 1, 0, &err), ERR_LIMIT);
    assert_false(store_failed(f->store));
}

/* The least store takes the largest state, again and again. */
static void the_least_store_takes_the_largest(void **state)
{
    static char bytes[STORE_STATE_VALUE];
    struct fixture *f = *state;
    struct store_state s = {.key = SLICE("k"), .value = slice_make(bytes, sizeof bytes)};
    bool more;

    fixture_close(f);
    fixture_fini(f);
    fixture_init(f);
    f->options.retain_size_bytes = LIMIT_MIB;
    fixture_open(f);
    for (unsigned i = 0; i < 20; i++) {
        struct error err = {0};
        int rc = store_append_with(f->store, NULL, 0, &s, 1, i, 0, &err);

        if (rc == ERR_FULL) {
            OK(store_retain(f->store, 0, &more, why));
            OK(store_append_with(f->store, NULL, 0, &s, 1, i, 0, why));
        } else {
            assert_int_equal(rc, 0);
        }
    }
}

static void damaged_states_are_left_out_and_said(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char text[200] = "";
    static const size_t sizes[] = {0, 3, 15, 16, 17};

    assert_int_equal(save(f, "a", "one", 1), 0);
    assert_int_equal(save(f, "c", "three", 3), 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char name[] = "b", bytes[20] = "damaged bytes, 17";
        MDB_val key = {1, name}, value = {sizes[i], bytes};
        MDB_txn *txn;
        MDB_env *env;
        MDB_dbi dbi;

        fixture_close(f);
        env = raw_open(f, &txn);
        assert_int_equal(mdb_dbi_open(txn, "state", 0, &dbi), 0);
        assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
        raw_close(env, txn);
        fixture_open(f);
        text[0] = '\0';
        assert_int_equal(store_states(f->store, note, text, &err), ERR_CORRUPT);
        assert_string_equal(text, "a=one@1 c=three@3 ");
    }
    assert_int_equal(save(f, "b", "mended", 2), 0);
    expect(f, "a=one@1 b=mended@2 c=three@3 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_store(states_come_back_in_order),
        with_store(of_one_key_the_last_counts),
        with_store(a_state_is_bounded),
        with_store(the_least_store_takes_the_largest),
        with_store(damaged_states_are_left_out_and_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
