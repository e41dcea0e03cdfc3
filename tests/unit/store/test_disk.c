/*
 * The Nth write, sync or claim of the data file fails, for every N: once, from then on, with half
 * of the write done before. What was confirmed stays and can be read; nothing of a failed batch
 * shows but as a whole, once the store is opened again; and then it goes on.
 */
#include "disk.h"
#include "scenario.h"

#include <errno.h>

enum { BATCHES = 8 };

struct kind {
    int errnum;
    bool persistent, torn;
};

/* Returns the number of batches that were confirmed. */
static unsigned live(struct fixture *f, int *rc, struct error *err)
{
    unsigned ids[2], done = 0;
    bool more;

    *rc = store_open(&f->options, &f->store, err);
    if (*rc != 0) {
        f->store = NULL;
        return 0;
    }
    *rc = (int)scenario_open_streams(f, ids, err);
    while (*rc == 0 && done < BATCHES) {
        *rc = scenario_append(f, done, ids, err);
        if (*rc != 0)
            break;
        done++;
        *rc = store_retain(f->store, 0, &more, err);
    }
    return done;
}

/* Failed or not, what was confirmed is read as before. */
static void expect_readable(struct store *store, unsigned batches)
{
    struct scenario_seen seen = {.ids = {0, 1}};
    struct store_read read = {
        .to_seq = UINT64_MAX, .visit = scenario_visit, .arg = &seen, .max_visits = SIZE_MAX};
    struct store_stream_info stream;

    for (unsigned i = 0; i < 2; i++) {
        struct error err = {0};
        int rc = store_stream_info(store, i, &stream, &err);

        if (rc != 0) {
            /* After a failed switch to the new pages LMDB gives nothing out. */
            assert_int_equal(rc, ERR_IO);
            assert_non_null(strstr(err.text, "MDB_PANIC"));
            assert_true(store_failed(store));
            return;
        }
        seen.next[i] = stream.trimmed_seq != 0 ? stream.trimmed_seq + 2 : i + 1;
    }
    select_all(&read);
    OK(store_read(store, &read, why));
    assert_int_equal(seen.next[0], batches * SCENARIO_PER_BATCH + 1);
    assert_int_equal(seen.next[1], batches * SCENARIO_PER_BATCH + 2);
}

/* True when the fault was not met any more. */
static bool fail_at(unsigned at, const struct kind *kind)
{
    struct error err = {0};
    struct fixture f;
    unsigned done, batches, ids[2];
    bool hit;
    int rc;

    fixture_init(&f);
    f.options.no_sync = false;
    disk_fault = (struct disk_fault){
        .at = at, .persistent = kind->persistent, .torn = kind->torn, .errnum = kind->errnum};
    done = live(&f, &rc, &err);
    hit = disk_fault.hit;
    if (rc != 0) {
        assert_true(hit);
        /* LMDB says EIO of a write that was cut short by a full disk. */
        if (rc != ERR_IO && (kind->errnum != ENOSPC || rc != ERR_FULL))
            fail_msg("call %u: %s: %s", at, error_name(rc), err.text);
        assert_non_null(strstr(err.text, f.path));
    } else {
        assert_int_equal(done, BATCHES);
    }
    disk_fault = (struct disk_fault){0};
    if (f.store != NULL && done > 0) {
        expect_readable(f.store, done);
    }
    f.options.no_sync = true;
    fixture_reopen(&f);
    batches = scenario_check(&f);
    assert_in_range(batches, done, done + 1);
    OK((int)scenario_open_streams(&f, ids, why));
    OK(scenario_append(&f, batches, ids, why));
    assert_int_equal(scenario_check(&f), batches + 1);
    fixture_fini(&f);
    return !hit;
}

static void every_call_fails(const struct kind *kind)
{
    unsigned at = 1;

    while (!fail_at(at, kind))
        at++;
    print_message("%u calls\n", at - 1);
    assert_in_range(at, BATCHES * 3, 2000);
}

static void the_nth_call_fails_once(void **state)
{
    (void)state;
    every_call_fails(&(struct kind){.errnum = EIO});
}

static void all_calls_fail_from_the_nth_on(void **state)
{
    (void)state;
    every_call_fails(&(struct kind){.errnum = EIO, .persistent = true});
}

static void the_nth_call_finds_no_space(void **state)
{
    (void)state;
    every_call_fails(&(struct kind){.errnum = ENOSPC});
    every_call_fails(&(struct kind){.errnum = ENOSPC, .persistent = true});
}

static void the_nth_write_is_torn(void **state)
{
    (void)state;
    every_call_fails(&(struct kind){.errnum = ENOSPC, .torn = true});
    every_call_fails(&(struct kind){.errnum = EIO, .torn = true, .persistent = true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nth_call_fails_once),
        cmocka_unit_test(all_calls_fail_from_the_nth_on),
        cmocka_unit_test(the_nth_call_finds_no_space),
        cmocka_unit_test(the_nth_write_is_torn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
