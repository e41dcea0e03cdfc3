/* Opening, streams, appending: what holds when nothing fails, and what is refused. */
#include "store_fixture.h"

#include <lmdb.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/format.h"

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
    struct store_stream_info si;
    struct store_info info;
    struct transcript t;
    uint64_t done;

    assert_int_not_equal(a, b);
    OK(store_append(f->store, batch, 3, 100, why));
    for (int i = 0; i < 2; i++) {
        assert_string_equal(read_text(f->store, &t, 0, UINT64_MAX, 10, &done), "3:0:x 5:1:y 9:0:");
        assert_int_equal(done, 9);
        assert_string_equal(read_text(f->store, &t, 3, 8, 10, &done), "5:1:y");
        assert_int_equal(done, 8);
        store_info(f->store, &info);
        assert_int_equal(info.newest_seq, 9);
        assert_int_equal(info.oldest_seq, 3);
        assert_int_equal(info.reserved_seq, 100);
        OK(store_stream_info(f->store, a, &si, why));
        assert_int_equal(si.oldest_seq, 3);
        assert_int_equal(si.newest_seq, 9);
        assert_int_equal(si.records, 2);
        assert_int_equal(si.trimmed_seq, 0);
        assert_true(si.bytes > 0);
        fixture_reopen(f);
    }
    assert_int_equal(open_stream(f, "b", 10).id, b);
    assert_int_equal(open_stream(f, "b", 10).newest_seq, 5);
}

static void all_of_a_record_comes_back(void **state)
{
    struct fixture *f = *state;
    unsigned a = open_stream(f, "a", 10).id;
    struct store_record r = record(1, a, "");
    size_t len = 3 * LIMIT_MIB;
    struct transcript t;
    char *line = test_malloc(len);
    char text[32];

    memset(line, 'x', len);
    r.line = slice_make(line, len);
    OK(store_append(f->store, &r, 1, 0, why));
    r = record(2, a, "after");
    OK(store_append(f->store, &r, 1, 0, why));
    test_free(line);
    assert_string_equal(read_text(f->store, &t, 1, 2, 10, NULL), "2:0:after");
    read_text(f->store, &t, 0, 1, 10, NULL);
    snprintf(text, sizeof text, "1:0:xxxx");
    assert_memory_equal(t.text, text, strlen(text));
}

static void positions(void **state)
{
    struct fixture *f = *state;
    struct store_stream_state s = open_stream(f, "a", 10);
    struct store_record r[3] = {record(1, s.id, "x"), record(2, s.id, "y"), record(3, s.id, "z")};
    char longest[LIMIT_POSITION + 1];
    struct error err = {0};

    assert_false(s.has_position);
    r[0].position = SLICE("p1");
    r[1].position = SLICE("p2");
    OK(store_append(f->store, r, 3, 0, why));
    fixture_reopen(f);
    s = open_stream(f, "a", 10);
    assert_true(s.has_position);
    assert_int_equal(s.position_len, 2);
    assert_memory_equal(s.position, "p2", 2);

    memset(longest, 'q', sizeof longest);
    r[0] = record(4, s.id, "x");
    r[0].position = slice_make(longest, LIMIT_POSITION + 1);
    assert_int_equal(store_append(f->store, r, 1, 0, &err), ERR_LIMIT);
    r[0].position.len = LIMIT_POSITION;
    OK(store_append(f->store, r, 1, 0, why));
    s = open_stream(f, "a", 10);
    assert_int_equal(s.position_len, LIMIT_POSITION);
    assert_memory_equal(s.position, longest, LIMIT_POSITION);

    r[0] = record(5, s.id, "x");
    r[0].forget_position = true;
    OK(store_append(f->store, r, 1, 0, why));
    assert_false(open_stream(f, "a", 10).has_position);
    fixture_reopen(f);
    assert_false(open_stream(f, "a", 10).has_position);
}

static void another_fingerprint_starts_anew_and_keeps_the_records(void **state)
{
    struct fixture *f = *state;
    struct store_stream_options o = {.name = "a", .fingerprint = SLICE("one"), .dedup_window = 5};
    struct store_stream_state s;
    struct store_record r;
    struct transcript t;
    struct keys keys = {0};

    OK(store_stream_open(f->store, &o, &s, why));
    assert_false(s.fingerprint_changed);
    r = record(1, s.id, "x");
    r.position = SLICE("p");
    r.has_key = true;
    OK(store_append(f->store, &r, 1, 0, why));
    for (int reopen = 0; reopen < 2; reopen++) {
        OK(store_stream_open(f->store, &o, &s, why));
        assert_false(s.fingerprint_changed);
        assert_true(s.has_position);
        fixture_reopen(f);
    }
    o.fingerprint = SLICE("two");
    OK(store_stream_open(f->store, &o, &s, why));
    assert_true(s.fingerprint_changed);
    assert_false(s.has_position);
    OK(store_dedup_load(f->store, s.id, keys_visit, &keys, why));
    assert_int_equal(keys.count, 0);
    assert_string_equal(read_text(f->store, &t, 0, 9, 9, NULL), "1:0:x");
    OK(store_stream_open(f->store, &o, &s, why));
    assert_false(s.fingerprint_changed);
}

static void what_may_not_be_appended(void **state)
{
    struct fixture *f = *state;
    unsigned a = open_stream(f, "a", 10).id;
    struct store_record r[2] = {record(5, a, "x"), record(6, a, "y")};
    char type[LIMIT_EVENT_TYPE + 1];
    struct error err = {0};
    struct store_info info;

    OK(store_append(f->store, r, 2, 0, why));
    assert_int_equal(store_append(f->store, r + 1, 1, 0, &err), ERR_INVAL);
    r[0].seq = 8;
    r[1].seq = 8;
    assert_int_equal(store_append(f->store, r, 2, 0, &err), ERR_INVAL);
    assert_non_null(strstr(err.text, "seq 8 after 8"));
    r[0].stream = a + 1;
    assert_int_equal(store_append(f->store, r, 1, 0, &err), ERR_INVAL);
    r[0].stream = LIMIT_STREAMS;
    assert_int_equal(store_append(f->store, r, 1, 0, &err), ERR_INVAL);
    r[0] = record(8, a, "x");
    memset(type, 't', sizeof type);
    r[0].type = slice_make(type, LIMIT_EVENT_TYPE + 1);
    assert_int_equal(store_append(f->store, r, 1, 0, &err), ERR_LIMIT);
    r[0].type.len = LIMIT_EVENT_TYPE;
    OK(store_append(f->store, r, 1, 0, why));
    r[0] = record(9, a, "x");
    r[0].line.len = STORE_LINE_MAX + 1; /* not looked at */
    assert_int_equal(store_append(f->store, r, 1, 0, &err), ERR_LIMIT);
    r[0].line.len = STORE_LINE_MAX; /* within the bound, but not within retain_size */
    assert_int_equal(store_append(f->store, r, 1, 0, &err), ERR_LIMIT);
    assert_non_null(strstr(err.text, "retain_size"));
    store_info(f->store, &info);
    assert_int_equal(info.newest_seq, 8);
    assert_false(store_failed(f->store));

    /* A stream that is known, but not opened by this process. */
    fixture_reopen(f);
    r[0] = record(9, a, "x");
    assert_int_equal(store_append(f->store, r, 1, 0, &err), ERR_INVAL);
}

static void names_and_numbers_of_streams(void **state)
{
    struct fixture *f = *state;
    struct store_stream_options o = {.dedup_window = 1};
    struct store_stream_state s;
    struct error err = {0};
    char name[LIMIT_STREAM_NAME + 2];

    memset(name, 'n', sizeof name);
    name[LIMIT_STREAM_NAME + 1] = '\0';
    o.name = name;
    assert_int_equal(store_stream_open(f->store, &o, &s, &err), ERR_INVAL);
    o.name = "";
    assert_int_equal(store_stream_open(f->store, &o, &s, &err), ERR_INVAL);
    for (unsigned i = 0; i < LIMIT_STREAMS; i++) {
        snprintf(name, sizeof name, "%0*u", LIMIT_STREAM_NAME, i);
        assert_int_equal(open_stream(f, name, 1).id, i);
    }
    o.name = "one more";
    assert_int_equal(store_stream_open(f->store, &o, &s, &err), ERR_LIMIT);
    fixture_reopen(f);
    snprintf(name, sizeof name, "%0*u", LIMIT_STREAM_NAME, 200U);
    assert_int_equal(open_stream(f, name, 1).id, 200);
    assert_int_equal(store_stream_open(f->store, &o, &s, &err), ERR_LIMIT);
}

static void reservations(void **state)
{
    struct fixture *f = *state;
    unsigned a = open_stream(f, "a", 10).id;
    struct store_record r = record(50, a, "x");
    struct store_info info;

    OK(store_append(f->store, NULL, 0, 40, why));
    OK(store_append(f->store, NULL, 0, 30, why)); /* never lowered */
    OK(store_append(f->store, NULL, 0, 0, why));
    fixture_reopen(f);
    store_info(f->store, &info);
    assert_int_equal(info.reserved_seq, 40);
    assert_int_equal(info.newest_seq, 0);
    a = open_stream(f, "a", 10).id;
    OK(store_append(f->store, &r, 1, 0, why)); /* past the reservation: used is used */
    store_info(f->store, &info);
    assert_int_equal(info.reserved_seq, 50);
    fixture_reopen(f);
    store_info(f->store, &info);
    assert_int_equal(info.reserved_seq, 50);
}

static void append_keys(struct fixture *f, unsigned stream, uint64_t *seq, size_t count)
{
    struct store_record *r = test_calloc(count, sizeof *r);

    for (size_t i = 0; i < count; i++) {
        r[i] = record(++*seq, stream, "x");
        r[i].has_key = true;
        memcpy(r[i].key, seq, sizeof *seq);
    }
    OK(store_append(f->store, r, count, 0, why));
    test_free(r);
}

static void dedup_keys_come_in_order_and_are_bounded(void **state)
{
    enum { WINDOW = 1000 };
    static const size_t batches[] = {1, 7, 100, 1, 999, 1, 1, 50};
    struct fixture *f = *state;
    unsigned a = open_stream(f, "a", WINDOW).id, b = open_stream(f, "b", 10).id;
    uint64_t seq = 0;

    for (size_t i = 0; i < 400; i++) {
        struct keys keys = {0};

        if (i % 50 == 49)
            fixture_reopen(f);
        open_stream(f, "a", WINDOW);
        open_stream(f, "b", 10);
        append_keys(f, a, &seq, batches[i % 8]);
        append_keys(f, b, &seq, 1);
        if (i % 10 != 0)
            continue;
        OK(store_dedup_load(f->store, a, keys_visit, &keys, why));
        assert_int_equal(keys.count, seq - i - 1 < WINDOW ? seq - i - 1 : WINDOW);
        assert_int_equal(keys.last, seq - 1);
        assert_true(keys.ordered);
    }
    fixture_close(f);
    assert_in_range(count_keys_on_disk(f, a), WINDOW, 2 * WINDOW);
}

static size_t count_key_rows(struct fixture *f, unsigned stream)
{
    char name[16];
    MDB_txn *txn;
    MDB_env *env = raw_open(f, &txn);
    MDB_stat stat;
    MDB_dbi dbi;

    snprintf(name, sizeof name, "d.%u", stream);
    assert_int_equal(mdb_dbi_open(txn, name, MDB_INTEGERKEY, &dbi), 0);
    assert_int_equal(mdb_stat(txn, dbi, &stat), 0);
    raw_close(env, txn);
    return stat.ms_entries;
}

/* Those that come one by one share a row, until it has a page of its own. */
static void single_dedup_keys_are_packed_and_trimmed_too(void **state)
{
    enum { WINDOW = 1000, ROW = 127 };
    struct fixture *f = *state;
    unsigned a = open_stream(f, "a", WINDOW).id;
    uint64_t seq = 0;

    for (size_t i = 0; i < WINDOW + WINDOW / 2; i++)
        append_keys(f, a, &seq, 1);
    fixture_close(f);
    assert_int_equal(count_keys_on_disk(f, a), WINDOW + WINDOW / 2); /* at the bound */
    fixture_open(f);
    open_stream(f, "a", WINDOW);
    append_keys(f, a, &seq, 1);
    fixture_close(f);
    /* One past it: whole rows go. */
    assert_in_range(count_keys_on_disk(f, a), WINDOW, WINDOW + ROW - 1);
    assert_in_range(count_key_rows(f, a), WINDOW / ROW, WINDOW / ROW + 2);
    fixture_open(f);
}

static void a_window_of_nothing_keeps_no_keys(void **state)
{
    struct fixture *f = *state;
    unsigned a = open_stream(f, "a", 0).id;
    struct keys keys = {0};
    uint64_t seq = 0;

    append_keys(f, a, &seq, 5);
    OK(store_dedup_load(f->store, a, keys_visit, &keys, why));
    assert_int_equal(keys.count, 0);
    fixture_close(f);
    assert_int_equal(count_keys_on_disk(f, a), 0);
    fixture_open(f);
}

static void two_at_once_are_refused(void **state)
{
    struct fixture *f = *state;
    struct store *second;
    struct error err = {0};
    char pid[48];
    int status;
    pid_t child;

    snprintf(pid, sizeof pid, "process %ld;", (long)getpid());
    assert_int_equal(store_open(&f->options, &second, &err), ERR_BUSY);
    assert_non_null(strstr(err.text, pid));
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int rc = store_open(&f->options, &second, &err);

        _exit(rc == ERR_BUSY && strstr(err.text, pid) != NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    /* The first is none the worse. */
    open_stream(f, "a", 1);
    fixture_reopen(f);
}

static void a_newer_format_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    uint8_t row[FORMAT_VERSION_BYTES];

    format_version_encode(row, STORE_FORMAT + 1);
    fixture_close(f);
    put_meta(f, "format", row, sizeof row);
    assert_int_equal(store_open(&f->options, &f->store, &err), ERR_FORMAT);
    assert_non_null(strstr(err.text, "newer hawser (format 3, this one knows up to 2)"));
    row[0] ^= 1;
    put_meta(f, "format", row, sizeof row);
    assert_int_equal(store_open(&f->options, &f->store, &err), ERR_CORRUPT);
    format_version_encode(row, STORE_FORMAT);
    put_meta(f, "format", row, sizeof row);
    put_meta(f, "reserved", "short", 5);
    assert_int_equal(store_open(&f->options, &f->store, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "reserved"));
}

static void what_is_no_store_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char name[128];
    FILE *file;

    fixture_close(f);
    snprintf(name, sizeof name, "%s/data.mdb", f->path);
    file = fopen(name, "w");
    assert_non_null(file);
    for (int i = 0; i < 20000; i++)
        fputs("garbage", file);
    fclose(file);
    assert_int_equal(store_open(&f->options, &f->store, &err), ERR_CORRUPT);
    assert_int_equal(unlink(name), 0);
    f->options.path = "/proc/hawser-store";
    assert_true(store_open(&f->options, &f->store, &err) < 0);
    f->options.path = "";
    assert_int_equal(store_open(&f->options, &f->store, &err), ERR_INVAL);
    f->options.path = f->path;
    f->options.min_free_percent = 101;
    assert_int_equal(store_open(&f->options, &f->store, &err), ERR_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_store(an_empty_store),
        with_store(what_is_appended_is_read),
        with_store(all_of_a_record_comes_back),
        with_store(positions),
        with_store(another_fingerprint_starts_anew_and_keeps_the_records),
        with_store(what_may_not_be_appended),
        with_store(names_and_numbers_of_streams),
        with_store(reservations),
        with_store(dedup_keys_come_in_order_and_are_bounded),
        with_store(single_dedup_keys_are_packed_and_trimmed_too),
        with_store(a_window_of_nothing_keeps_no_keys),
        with_store(two_at_once_are_refused),
        with_store(a_newer_format_is_refused),
        with_store(what_is_no_store_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
