/* Opening, streams, appending and reading: what holds when nothing fails. */
#include "store_fixture.h"

#include <sys/stat.h>

static int setup(void **state)
{
    struct fixture *f = test_malloc(sizeof *f);

    fixture_init(f);
    fixture_open(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    test_free(*state);
    return 0;
}

static void an_empty_store(void **state)
{
    struct fixture *f = *state;
    struct store_info info, again;
    struct stat st;
    char name[128];

    store_info(f->store, &info);
    assert_int_equal(info.newest_seq, 0);
    assert_int_equal(info.oldest_seq, 1);
    assert_int_equal(info.reserved_seq, 0);
    assert_int_equal(strlen(info.instance), 36);
    assert_int_equal(info.instance[14], '4');
    assert_non_null(strchr("89ab", info.instance[19]));
    assert_true(info.file_bytes > 0);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    snprintf(name, sizeof name, "%s/data.mdb", f->path);
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    fixture_reopen(f);
    store_info(f->store, &again);
    assert_string_equal(info.instance, again.instance);
    assert_memory_equal(info.hash_key, again.hash_key, 16);
}

static void what_is_appended_is_read(void **state)
{
    struct fixture *f = *state;
    unsigned a = open_stream(f, "a", 10).id, b = open_stream(f, "b", 10).id;
    struct store_record batch[] = {record(3, a, "x"), record(5, b, "y"), record(9, a, "")};
    struct transcript t;
    struct store_info info;
    uint64_t done;

    assert_int_not_equal(a, b);
    batch[2].kind = STORE_GAP;
    OK(store_append(f->store, batch, 3, 100, err));
    for (int i = 0; i < 2; i++) {
        assert_string_equal(read_text(f->store, &t, 0, UINT64_MAX, 10, &done), "3:0:x 5:1:y 9:0:");
        assert_int_equal(done, 9);
        assert_string_equal(read_text(f->store, &t, 3, 8, 10, &done), "5:1:y");
        assert_int_equal(done, 8);
        store_info(f->store, &info);
        assert_int_equal(info.newest_seq, 9);
        assert_int_equal(info.oldest_seq, 3);
        assert_int_equal(info.reserved_seq, 100);
        fixture_reopen(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_store, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_appended_is_read, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
