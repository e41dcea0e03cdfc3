/* What goes by size, by age and for the file's sake; and a store that is full. */
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

enum { LINE = 1000 };

static struct store_stream_state open_limited(struct fixture *f, const char *name, uint64_t size,
                                              int64_t age_ms)
{
    struct store_stream_options o = {.name = name,
                                     .fingerprint = SLICE("fp"),
                                     .dedup_window = 10,
                                     .retain_size_bytes = size,
                                     .retain_age_ms = age_ms};
    struct store_stream_state s;

    OK(store_stream_open(f->store, &o, &s, why));
    return s;
}

static int append_one(struct fixture *f, unsigned stream, uint64_t seq, struct error *err)
{
    char line[LINE];
    struct store_record r = record(seq, stream, "");

    memset(line, 'x', sizeof line);
    r.line = slice_make(line, sizeof line);
    r.position = SLICE("position");
    r.has_key = true;
    memcpy(r.key, &seq, sizeof seq);
    return store_append(f->store, &r, 1, 0, err);
}

static void append_many(struct fixture *f, unsigned stream, uint64_t *seq, size_t count)
{
    for (size_t i = 0; i < count; i++)
        OK(append_one(f, stream, ++*seq, why));
}

static struct store_stream_info info_of(struct fixture *f, unsigned stream)
{
    struct store_stream_info info;

    OK(store_stream_info(f->store, stream, &info, why));
    return info;
}

static unsigned retain_all(struct fixture *f, int64_t now_us)
{
    unsigned calls = 0;
    bool more = true;

    while (more) {
        OK(store_retain(f->store, now_us, &more, why));
        assert_true(++calls < 1000);
    }
    return calls;
}

static void a_stream_is_kept_to_its_size(void **state)
{
    enum { KEEP = 256 * 1024 };
    struct fixture *f = *state;
    unsigned a = open_limited(f, "a", KEEP, 0).id, b = open_limited(f, "b", 0, 0).id;
    struct store_stream_info info;
    struct store_info all;
    uint64_t seq = 0;

    append_many(f, b, &seq, 500);
    append_many(f, a, &seq, 500);
    retain_all(f, 0);
    info = info_of(f, a);
    assert_in_range(info.bytes, KEEP - 8192, KEEP); /* as little as it takes */
    assert_int_equal(info.oldest_seq, info.trimmed_seq + 1);
    assert_int_equal(info.newest_seq, 1000);
    assert_int_equal(info.records, 1000 - info.trimmed_seq);
    assert_int_equal(info_of(f, b).records, 500);
    assert_int_equal(info_of(f, b).trimmed_seq, 0);
    store_info(f->store, &all);
    assert_int_equal(all.oldest_seq, 1);
    fixture_reopen(f);
    assert_int_equal(info_of(f, a).trimmed_seq, info.trimmed_seq);
    assert_int_equal(info_of(f, a).oldest_seq, info.oldest_seq);
}

static void records_go_at_their_age_and_not_before(void **state)
{
    struct fixture *f = *state;
    unsigned a = open_limited(f, "a", 0, 10).id;
    struct store_info all;
    uint64_t seq = 0;

    append_many(f, a, &seq, 30); /* seq n is received at n ms */
    retain_all(f, 15 * 1000);
    assert_int_equal(info_of(f, a).oldest_seq, 5); /* exactly 10 ms old: stays */
    retain_all(f, 15 * 1000 + 1);
    assert_int_equal(info_of(f, a).oldest_seq, 6);
    retain_all(f, INT64_MAX);
    assert_int_equal(info_of(f, a).records, 0);
    assert_int_equal(info_of(f, a).oldest_seq, 0);
    assert_int_equal(info_of(f, a).newest_seq, 30);
    store_info(f->store, &all);
    assert_int_equal(all.newest_seq, 30);
    assert_int_equal(all.oldest_seq, 31);
}

/* Nothing is forgotten with the records: no seq is reused, no duplicate comes through. */
static void position_keys_and_seq_survive(void **state)
{
    struct fixture *f = *state;
    unsigned a = open_limited(f, "a", 0, 1).id;
    struct store_stream_state s;
    struct store_info all;
    struct keys keys = {0};
    struct transcript t;
    struct error err = {0};
    uint64_t seq = 0;

    append_many(f, a, &seq, 20);
    retain_all(f, INT64_MAX);
    for (int reopen = 0; reopen < 2; reopen++) {
        keys = (struct keys){0};
        s = open_limited(f, "a", 0, 1);
        assert_true(s.has_position);
        assert_int_equal(s.newest_seq, 20);
        OK(store_dedup_load(f->store, a, keys_visit, &keys, why));
        assert_int_equal(keys.count, 10);
        assert_int_equal(keys.last, 20);
        store_info(f->store, &all);
        assert_int_equal(all.newest_seq, 20);
        assert_int_equal(append_one(f, a, 20, &err), ERR_INVAL);
        assert_string_equal(read_text(f->store, &t, 0, UINT64_MAX, 9, NULL), "lost 0 1-20");
        assert_string_equal(read_text(f->store, &t, 7, 12, 9, NULL), "lost 0 8-12");
        assert_string_equal(read_text(f->store, &t, 20, UINT64_MAX, 9, NULL), "");
        fixture_reopen(f);
    }
}

static void one_call_is_bounded(void **state)
{
    struct fixture *f = *state;
    unsigned a = open_limited(f, "a", 0, 1).id;
    struct store_record *r = test_calloc(10000, sizeof *r);
    bool more;

    for (uint64_t i = 0; i < 10000; i++)
        r[i] = record(i + 1, a, "x");
    OK(store_append(f->store, r, 10000, 0, why));
    OK(store_retain(f->store, INT64_MAX, &more, why));
    assert_true(more);
    assert_int_equal(info_of(f, a).records, 10000 - 4096);
    OK(store_retain(f->store, INT64_MAX, &more, why));
    assert_true(more);
    OK(store_retain(f->store, INT64_MAX, &more, why));
    assert_false(more);
    assert_int_equal(info_of(f, a).records, 0);
    test_free(r);
}

/* Each within its own limit, all together too much: whoever is furthest over its share yields. */
static void a_flood_evicts_nobody_else(void **state)
{
    struct fixture *f = *state;
    unsigned calm, flood;
    uint64_t seq = 0;
    struct store_info info;

    fixture_close(f);
    f->options.retain_size_bytes = 4 * LIMIT_MIB;
    fixture_open(f);
    calm = open_limited(f, "calm", 3 * LIMIT_MIB, 0).id;
    flood = open_limited(f, "flood", 3 * LIMIT_MIB, 0).id;
    append_many(f, calm, &seq, 1000); /* about 1.3 MiB: less than its share of 2 */
    for (unsigned i = 0; i < 60; i++) {
        append_many(f, flood, &seq, 100);
        retain_all(f, 0);
    }
    assert_int_equal(info_of(f, calm).records, 1000);
    assert_true(info_of(f, flood).trimmed_seq > 1000);
    assert_true(info_of(f, flood).bytes > 2 * LIMIT_MIB); /* what nobody else uses is its own */
    store_info(f->store, &info);
    assert_true(info.file_bytes <= 4 * LIMIT_MIB);
}

static void a_stream_that_is_no_longer_configured_yields_first(void **state)
{
    struct fixture *f = *state;
    unsigned old, now;
    uint64_t seq = 0;

    fixture_close(f);
    f->options.retain_size_bytes = 4 * LIMIT_MIB;
    fixture_open(f);
    old = open_limited(f, "old", 0, 0).id;
    append_many(f, old, &seq, 1000);
    fixture_reopen(f);
    now = open_limited(f, "now", 0, 0).id;
    for (unsigned i = 0; i < 25; i++) {
        append_many(f, now, &seq, 100);
        retain_all(f, 0);
    }
    assert_true(info_of(f, old).records < 500);
    assert_int_equal(info_of(f, now).records, 2500);
}

/* Appends until there is no room; returns the last seq that was stored. */
static uint64_t fill(struct fixture *f, unsigned stream, uint64_t seq, struct error *err)
{
    int rc;

    while ((rc = append_one(f, stream, seq + 1, err)) == 0)
        seq++;
    if (rc != ERR_FULL)
        fail_msg("%s: %s", error_name(rc), err->text);
    assert_false(store_failed(f->store));
    return seq;
}

static void expect_all(struct fixture *f, uint64_t newest)
{
    struct transcript *t = test_calloc(1, sizeof *t);
    struct store_info info;
    uint64_t done = 0;

    store_info(f->store, &info);
    assert_int_equal(info.newest_seq, newest);
    done = info.oldest_seq - 1;
    while (done < newest) {
        uint64_t before = done;

        read_text(f->store, t, before, UINT64_MAX, 20, &done);
        assert_int_equal(t->visits, newest - before < 20 ? newest - before : 20);
    }
    test_free(t);
}

/* Full at retain_size; retention makes room, and the file never gets larger than its bound. */
static void a_full_file_goes_on_when_retention_has_run(void **state)
{
    struct fixture *f = *state;
    struct store_info info;
    struct error err = {0};
    unsigned a;
    uint64_t seq = 0;

    fixture_close(f);
    f->options.retain_size_bytes = LIMIT_MIB;
    fixture_open(f);
    a = open_limited(f, "a", 0, 0).id;
    for (unsigned round = 0; round < 30; round++) {
        uint64_t before = seq;

        seq = fill(f, a, seq, &err);
        assert_true(seq > before);
        assert_non_null(strstr(err.text, "retain_size"));
        expect_all(f, seq);
        retain_all(f, 0);
        expect_all(f, seq);
        OK(append_one(f, a, ++seq, why)); /* at once, with no other commit between */
    }
    store_info(f->store, &info);
    assert_true(info.file_bytes <= LIMIT_MIB + 512 * 1024);
    /* Far from everything went. */
    assert_true(info_of(f, a).bytes > LIMIT_MIB / 2);
    fixture_reopen(f);
    expect_all(f, seq);
}

static void large_lines_find_room_too(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    size_t len = 300 * 1024;
    char *line = test_malloc(len);
    unsigned a;
    uint64_t seq = 0;

    memset(line, 'y', len);
    fixture_close(f);
    f->options.retain_size_bytes = 2 * LIMIT_MIB;
    fixture_open(f);
    a = open_limited(f, "a", 0, 0).id;
    seq = fill(f, a, seq, &err);
    for (unsigned i = 0; i < 40; i++) {
        struct store_record r = record(seq + 1, a, "");
        unsigned tries = 0;
        int rc;

        r.line = slice_make(line, len);
        while ((rc = store_append(f->store, &r, 1, 0, &err)) == ERR_FULL) {
            assert_true(++tries < 20);
            retain_all(f, 0);
        }
        assert_int_equal(rc, 0);
        seq++;
        append_many(f, a, &seq, 3);
    }
    test_free(line);
}

/* More small records have to go than one call may delete: it goes on where it stopped. */
static void what_an_append_needs_is_remembered_from_call_to_call(void **state)
{
    enum { SMALL = 20000, LEN = 550 * 1024 };
    struct fixture *f = *state;
    struct store_record *r = test_calloc(SMALL, sizeof *r), big;
    struct error err = {0};
    char *line = test_malloc(LEN);
    unsigned a, tries = 0;
    uint64_t seq = 0;
    int rc = 0;

    fixture_close(f);
    f->options.retain_size_bytes = LIMIT_MIB;
    fixture_open(f);
    a = open_limited(f, "a", 0, 0).id;
    while (rc == 0) {
        for (unsigned i = 0; i < 500; i++)
            r[i] = record(++seq, a, "x");
        rc = store_append(f->store, r, 500, 0, &err);
    }
    assert_int_equal(rc, ERR_FULL);
    assert_true(info_of(f, a).records > 3 * 4096);
    memset(line, 'z', LEN);
    big = record(seq, a, "");
    big.line = slice_make(line, LEN);
    while ((rc = store_append(f->store, &big, 1, 0, &err)) == ERR_FULL && tries < 10) {
        tries++;
        assert_true(retain_all(f, 0) > (tries == 1 ? 2U : 0U));
    }
    assert_int_equal(rc, 0);
    assert_in_range(tries, 1, 3);
    test_free(r);
    test_free(line);
}

static void below_min_free_the_file_does_not_grow(void **state)
{
    struct fixture *f = *state;
    struct store_info before, after;
    struct error err = {0};
    unsigned a = open_limited(f, "a", 0, 0).id;
    uint64_t seq = 0;

    append_many(f, a, &seq, 2000);
    fixture_close(f);
    f->options.min_free_percent = 100; /* no file system has that */
    fixture_open(f);
    store_info(f->store, &before);
    a = open_limited(f, "a", 0, 0).id;
    for (unsigned round = 0; round < 10; round++) {
        seq = fill(f, a, seq, &err);
        assert_non_null(strstr(err.text, "min_free"));
        retain_all(f, 0);
        OK(append_one(f, a, ++seq, why));
    }
    store_info(f->store, &after);
    /* By no more than the reserve. */
    assert_in_range(after.file_bytes, before.file_bytes, before.file_bytes + 512 * 1024);
    expect_all(f, seq);
    fixture_close(f);
    f->options.min_free_percent = 0;
    fixture_open(f);
    a = open_limited(f, "a", 0, 0).id;
    append_many(f, a, &seq, 1000);
    store_info(f->store, &after);
    assert_true(after.file_bytes > before.file_bytes + 512 * 1024);
}

static int save_cursors(struct fixture *f, unsigned round, struct error *err)
{
    enum { CONSUMERS = 1000 };
    static struct store_state states[CONSUMERS];
    static char keys[CONSUMERS][24], values[CONSUMERS][64];

    for (unsigned i = 0; i < CONSUMERS; i++) {
        snprintf(keys[i], sizeof keys[i], "consumer/%04u", i);
        snprintf(values[i], sizeof values[i], "{\"seq\":%u,\"uid\":1000,\"seen\":1}", round);
        states[i] = (struct store_state){.key = slice_str(keys[i]), .value = slice_str(values[i])};
    }
    return store_append_with(f->store, NULL, 0, states, CONSUMERS, round, 0, err);
}

static void count_cursors(void *arg, const struct store_state *state, int64_t saved_us)
{
    unsigned *count = arg;

    (void)state;
    *count += saved_us == 29;
}

/* Each of them is saved again and again, however full it is, and nobody's events go for it. */
static void a_full_store_takes_acknowledgements(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct store_info before, after;
    uint64_t seq = 0;
    unsigned a, found = 0;

    a = open_limited(f, "a", 0, 0).id;
    append_many(f, a, &seq, 500);
    OK(save_cursors(f, 0, why));
    fixture_close(f);
    f->options.min_free_percent = 100;
    fixture_open(f);
    a = open_limited(f, "a", 0, 0).id;
    seq = fill(f, a, seq, &err);
    store_info(f->store, &before);
    for (unsigned round = 1; round < 30; round++) {
        OK(save_cursors(f, round, why));
        (void)append_one(f, a, seq + 1, &err); /* may find a page that was freed */
        store_info(f->store, &after);
        seq = after.newest_seq;
    }
    assert_in_range(after.file_bytes, before.file_bytes, before.file_bytes + LIMIT_MIB);
    assert_int_equal(info_of(f, a).trimmed_seq, 0);
    fixture_reopen(f);
    OK(store_states(f->store, count_cursors, &found, why));
    assert_int_equal(found, 1000);
    expect_all(f, seq);
}

/* Short of space for what others have on the disk: who writes lives off his own. */
static void below_min_free_nobody_loses_history_for_another(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    unsigned quiet, flood, fresh;
    uint64_t seq = 0;
    bool more;

    quiet = open_limited(f, "quiet", 0, 0).id;
    flood = open_limited(f, "flood", 0, 0).id;
    append_many(f, quiet, &seq, 1500); /* by far the largest */
    append_many(f, flood, &seq, 300);
    fixture_close(f);
    f->options.min_free_percent = 100;
    fixture_open(f);
    quiet = open_limited(f, "quiet", 0, 0).id;
    flood = open_limited(f, "flood", 0, 0).id;
    fresh = open_limited(f, "fresh", 0, 0).id;
    for (unsigned round = 0; round < 10; round++) {
        seq = fill(f, flood, seq, &err);
        retain_all(f, 0);
        OK(append_one(f, flood, ++seq, why));
    }
    assert_true(info_of(f, flood).trimmed_seq > 0);
    seq = fill(f, fresh, seq, &err);
    assert_int_equal(info_of(f, quiet).trimmed_seq, 0);
    assert_int_equal(info_of(f, quiet).records, 1500);
    /* Too large for what the stream has: then nothing goes, not even its own. */
    {
        struct store_record r = record(seq + 1, flood, "");
        struct store_stream_info had = info_of(f, flood);

        r.line = slice_make(test_calloc(1, LIMIT_MIB), LIMIT_MIB);
        assert_int_equal(store_append(f->store, &r, 1, 0, &err), ERR_FULL);
        OK(store_retain(f->store, 0, &more, why));
        assert_false(more);
        assert_int_equal(info_of(f, flood).records, had.records);
        assert_int_equal(store_append(f->store, &r, 1, 0, &err), ERR_FULL);
        test_free((char *)(uintptr_t)r.line.ptr);
    }
    assert_int_equal(info_of(f, quiet).records, 1500);
}

/* Another program's file, as large as the file system lets it be. */
static void stuff(const char *name)
{
    static char block[4096];
    int fd = open(name, O_WRONLY | O_CREAT, 0600);

    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        continue;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

static void a_full_file_system(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char name[128];
    uint64_t seq = 0, more;
    unsigned a;

    fixture_close(f);
    if (mount("tmpfs", f->path, "tmpfs", 0, "size=2m,mode=0700") != 0) {
        print_message("skipped: mounting a small tmpfs: %s\n", strerror(errno));
        skip();
    }
    f->options.no_sync = false;
    fixture_open(f);
    a = open_limited(f, "a", 0, 0).id;
    seq = fill(f, a, seq, &err);
    assert_true(seq > 500); /* the reserve is not the most of it */
    expect_all(f, seq);
    snprintf(name, sizeof name, "%s/stuff", f->path);
    stuff(name);
    fixture_reopen(f); /* on a full file system */
    a = open_limited(f, "a", 0, 0).id;
    expect_all(f, seq);
    for (unsigned round = 0; round < 10; round++) {
        seq = fill(f, a, seq, &err);
        assert_non_null(strstr(err.text, "make room"));
        retain_all(f, 0); /* works inside what it has */
        OK(append_one(f, a, ++seq, why));
        expect_all(f, seq);
    }
    assert_int_equal(unlink(name), 0); /* room again */
    assert_int_equal(mount("tmpfs", f->path, "tmpfs", MS_REMOUNT, "size=8m"), 0);
    more = fill(f, a, seq, &err);
    assert_true(more > seq + 2000);
    expect_all(f, more);
}

/* Also when the test has failed with the file system still there. */
static int unmount(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    umount2(f->path, MNT_DETACH);
    return fixture_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_store(a_stream_is_kept_to_its_size),
        with_store(records_go_at_their_age_and_not_before),
        with_store(position_keys_and_seq_survive),
        with_store(one_call_is_bounded),
        with_store(a_flood_evicts_nobody_else),
        with_store(a_stream_that_is_no_longer_configured_yields_first),
        with_store(a_full_file_goes_on_when_retention_has_run),
        with_store(large_lines_find_room_too),
        with_store(what_an_append_needs_is_remembered_from_call_to_call),
        with_store(a_full_store_takes_acknowledgements),
        with_store(below_min_free_nobody_loses_history_for_another),
        with_store(below_min_free_the_file_does_not_grow),
        cmocka_unit_test_setup_teardown(a_full_file_system, fixture_setup, unmount),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
