/*
 * What remains when something fails: the Nth put or commit, for every N; damaged bytes on disk; a
 * full map. Nothing of a failed batch is ever visible, and nothing that was confirmed is lost.
 */
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { STEPS = 6, PER_BATCH = 3 };

struct faults {
    unsigned at;     /* fail the at-th point, 0: never */
    bool persistent; /* and all after it */
    int errnum;
    unsigned seen;
    bool hit;
    enum store_fault where;
};

static int on_fault(void *arg, enum store_fault point)
{
    struct faults *faults = arg;

    faults->seen++;
    if (faults->at == 0 || faults->seen < faults->at ||
        (faults->seen > faults->at && !faults->persistent))
        return 0;
    if (!faults->hit)
        faults->where = point;
    faults->hit = true;
    return faults->errnum;
}

/* Batch number n of the scenario: seqs 10n+1.., two streams, positions and keys, and two states:
 * one that says n, and one that is there after the even batches only. */
static int append_batch(struct fixture *f, unsigned n, const unsigned ids[2], struct error *err)
{
    struct store_record r[PER_BATCH];
    char position[16];
    struct store_state states[2] = {{.key = SLICE("batch"), .value = slice_make(position, 4)},
                                    {.key = SLICE("even")}};

    snprintf(position, sizeof position, "pos%u", n);
    for (unsigned i = 0; i < PER_BATCH; i++) {
        r[i] = record(10 * n + i + 1, ids[i % 2], "line");
        r[i].position = slice_str(position);
        r[i].has_key = true;
        memcpy(r[i].key, &r[i].seq, sizeof r[i].seq);
    }
    if (n % 2 == 0)
        states[1].value = SLICE("is here");
    return store_append_with(f->store, r, PER_BATCH, states, 2, n, 1000 * (n + 1), err);
}

/* All of it, from the opening on; returns the number of batches that were confirmed. */
static unsigned run_scenario(struct fixture *f, int *rc, struct error *err)
{
    struct store_stream_options o = {.fingerprint = SLICE("fp"), .dedup_window = 4};
    struct store_stream_state s;
    unsigned ids[2] = {0}, done = 0;
    bool more;

    *rc = store_open(&f->options, &f->store, err);
    if (*rc != 0) {
        f->store = NULL;
        return 0;
    }
    for (unsigned i = 0; i < 2 && *rc == 0; i++) {
        o.name = i == 0 ? "a" : "b";
        *rc = store_stream_open(f->store, &o, &s, err);
        ids[i] = s.id;
    }
    while (*rc == 0 && done < STEPS) {
        *rc = append_batch(f, done, ids, err);
        done += *rc == 0;
    }
    if (*rc != 0)
        return done;
    o.name = "a";
    o.retain_age_ms = 1; /* deletes what "a" has */
    *rc = store_stream_open(f->store, &o, &s, err);
    if (*rc == 0)
        *rc = store_retain(f->store, 1000 * 1000, &more, err);
    return done;
}

static void expect_batches(struct fixture *f, unsigned batches, bool only_b)
{
    char want[4096] = "";
    struct transcript t;
    size_t len = 0;

    for (unsigned n = 0; n < batches; n++) {
        for (unsigned i = 0; i < PER_BATCH; i++) {
            if (only_b && i % 2 == 0)
                continue;
            len += (size_t)snprintf(want + len, sizeof want - len, "%s%u:%u:line",
                                    len == 0 ? "" : " ", 10 * n + i + 1, i % 2);
        }
    }
    if (only_b) {
        char lost[sizeof want + 64];

        snprintf(lost, sizeof lost, "%s lost 0 1-%u", want, 10 * (STEPS - 1) + 3);
        assert_string_equal(read_text(f->store, &t, 0, UINT64_MAX, 1000, NULL), lost);
        return;
    }
    assert_string_equal(read_text(f->store, &t, 0, UINT64_MAX, 1000, NULL), want);
}

static void note_state(void *arg, const struct store_state *state, int64_t saved_us)
{
    char *text = arg;
    size_t len = strlen(text);

    snprintf(text + len, 100 - len, SLICE_FMT "=" SLICE_FMT "@%d ", SLICE_ARG(state->key),
             SLICE_ARG(state->value), (int)saved_us);
}

/* Of the last batch that is there, all of them. */
static void expect_saved(struct fixture *f, unsigned batches)
{
    char text[100] = "", want[100] = "";
    unsigned n = batches - 1;

    OK(store_states(f->store, note_state, text, why));
    if (batches > 0)
        snprintf(want, sizeof want,
                 n % 2 == 0 ? "batch=pos%u@%u even=is here@%u " : "batch=pos%u@%u ", n, n, n);
    assert_string_equal(text, want);
}

/* Positions and keys are those of the last batch that is there. */
static void expect_state(struct fixture *f, unsigned batches)
{
    struct store_stream_state s = open_stream(f, "b", 4);
    struct store_info info;
    struct keys keys = {0};
    char position[16];

    store_info(f->store, &info);
    expect_saved(f, batches);
    if (batches == 0) {
        assert_false(s.has_position);
        return;
    }
    snprintf(position, sizeof position, "pos%u", batches - 1);
    assert_true(s.has_position);
    assert_true(slice_eq_str(slice_make(s.position, s.position_len), position));
    assert_int_equal(info.newest_seq, 10 * (batches - 1) + PER_BATCH);
    assert_int_equal(info.reserved_seq, 1000 * batches);
    OK(store_dedup_load(f->store, s.id, keys_visit, &keys, why));
    assert_int_equal(keys.last, s.newest_seq);
    assert_int_equal(keys.count, batches < 4 ? batches : 4);
}

/* The first failure must stay, whatever is tried. */
static void expect_sticky(struct fixture *f, int rc, const struct error *first)
{
    struct store_stream_options o = {.name = "new"};
    struct store_stream_state s;
    struct error err = {0};
    const unsigned ids[2] = {0, 1};
    bool more;

    assert_int_equal(append_batch(f, 50, ids, &err), rc);
    assert_string_equal(err.text, first->text);
    assert_int_equal(store_retain(f->store, 0, &more, &err), rc);
    assert_false(more);
    assert_int_equal(store_stream_open(f->store, &o, &s, &err), rc);
    assert_int_equal(store_append(f->store, NULL, 0, 1 << 20, &err), rc);
}

/* True when the scenario came to its end without meeting the fault. */
static bool fail_at(unsigned at, bool persistent, int errnum)
{
    struct faults faults = {.at = at, .persistent = persistent, .errnum = errnum};
    struct error err = {0};
    struct fixture f;
    unsigned done;
    bool trimmed; /* possibly: retention was committed, then failed */
    int rc;

    fixture_init(&f);
    f.options.fault = on_fault;
    f.options.fault_arg = &faults;
    done = run_scenario(&f, &rc, &err);
    trimmed = faults.hit && faults.where == STORE_FAULT_COMMIT_AFTER && done == STEPS;
    if (faults.hit) {
        bool full_put = errnum == ENOSPC && faults.where == STORE_FAULT_PUT;

        if (rc != (errnum == ENOSPC ? ERR_FULL : ERR_IO))
            fail_msg("point %u: %s: %s", at, error_name(rc), err.text);
        if (f.store != NULL) {
            assert_int_equal(store_failed(f.store), !full_put);
            if (!full_put)
                expect_sticky(&f, rc, &err);
            if (done > 0 && !trimmed)
                expect_batches(&f, done, false); /* confirmed: all; failed: nothing */
        }
    } else {
        assert_int_equal(rc, 0);
        assert_int_equal(done, STEPS);
        expect_batches(&f, done, true);
    }
    f.options.fault = NULL;
    fixture_reopen(&f);
    if (faults.hit) {
        struct store_info info;

        store_info(f.store, &info);
        /* A crash after the commit: the batch may be there, and then all of it. */
        if (faults.where == STORE_FAULT_COMMIT_AFTER && info.newest_seq == 10 * done + PER_BATCH &&
            done < STEPS)
            done++;
        if (!trimmed)
            expect_batches(&f, done, false);
        expect_state(&f, done);
        if (done > 0 && done < STEPS) {
            const unsigned ids[2] = {open_stream(&f, "a", 4).id, open_stream(&f, "b", 4).id};

            OK(append_batch(&f, done, ids, why));
            expect_batches(&f, done + 1, false);
        }
    }
    fixture_fini(&f);
    return !faults.hit;
}

static void every_point_fails_once(bool persistent, int errnum)
{
    unsigned at = 1;

    while (!fail_at(at, persistent, errnum))
        at++;
    assert_in_range(at, 40, 500); /* it did go through the whole scenario */
}

static void every_write_fails_once(void **state)
{
    every_point_fails_once(false, EIO);
}

static void every_write_fails_from_then_on(void **state)
{
    every_point_fails_once(true, EIO);
}

static void every_write_finds_no_space(void **state)
{
    every_point_fails_once(false, ENOSPC);
    every_point_fails_once(true, ENOSPC);
}

static void a_put_without_space_can_be_tried_again(void **state)
{
    struct fixture *f = *state;
    struct faults faults = {.errnum = ENOSPC};
    struct error err = {0};
    unsigned ids[2];

    fixture_close(f);
    f->options.fault = on_fault;
    f->options.fault_arg = &faults;
    fixture_open(f);
    ids[0] = open_stream(f, "a", 4).id;
    ids[1] = open_stream(f, "b", 4).id;
    OK(append_batch(f, 0, ids, why));
    faults.at = faults.seen + 2;
    assert_int_equal(append_batch(f, 1, ids, &err), ERR_FULL);
    assert_non_null(strstr(err.text, "make room"));
    assert_false(store_failed(f->store));
    expect_batches(f, 1, false);
    OK(append_batch(f, 1, ids, why));
    expect_batches(f, 2, false);
    expect_state(f, 2);
}

/* Where these bytes are in the store's file; they must be there just once. */
static off_t find_in_file(const char *name, const char *bytes, size_t len, int *fd)
{
    struct stat st;
    char *map, *at;
    off_t offset;

    *fd = open(name, O_RDWR);
    assert_true(*fd >= 0);
    assert_int_equal(fstat(*fd, &st), 0);
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, *fd, 0);
    assert_true(map != MAP_FAILED);
    at = memmem(map, (size_t)st.st_size, bytes, len);
    assert_non_null(at);
    offset = at - map;
    assert_null(memmem(at + 1, (size_t)(st.st_size - offset - 1), bytes, len));
    munmap(map, (size_t)st.st_size);
    return offset;
}

static void flip(int fd, off_t offset)
{
    char byte;

    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte = (char)~byte;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
}

static void expect_damaged(struct fixture *f, const char *before, uint64_t bad)
{
    struct transcript t = {0};
    struct store_read read = {
        .to_seq = UINT64_MAX, .visit = transcribe_visit, .arg = &t, .max_visits = 10};
    struct error err = {0};

    select_all(&read);
    assert_int_equal(store_read(f->store, &read, &err), ERR_CORRUPT);
    assert_string_equal(t.text, before);
    assert_int_equal(read.done_seq, bad - 1);
    assert_non_null(strstr(err.text, "stream chat"));
    assert_non_null(strstr(err.text, "seq 20 "));
}

/* Each byte of a record in turn, header and contents, is damaged in the file. */
static void a_damaged_record_is_named_and_never_served(void **state)
{
    enum { HEADER = 20, TYPE = 1 };
    static const char line[] = "a line that is nowhere else in the file";
    struct fixture *f = *state;
    unsigned id = open_stream(f, "chat", 4).id, other = open_stream(f, "other", 4).id;
    struct store_record r[] = {record(10, id, "before"), record(20, id, line),
                               record(30, other, "after")};
    struct transcript t;
    char name[128];
    off_t at;
    int fd;

    OK(store_append(f->store, r, 3, 0, why));
    snprintf(name, sizeof name, "%s/data.mdb", f->path);
    for (int reopen = 0; reopen < 2; reopen++) {
        at = find_in_file(name, line, strlen(line), &fd);
        for (off_t i = at - HEADER - TYPE; i < at + (off_t)strlen(line); i++) {
            flip(fd, i);
            expect_damaged(f, "10:0:before", 20);
            assert_string_equal(read_text(f->store, &t, 20, UINT64_MAX, 9, NULL), "30:1:after");
            flip(fd, i);
        }
        read_text(f->store, &t, 0, UINT64_MAX, 9, NULL);
        assert_int_equal(t.visits, 3);
        close(fd);
        fixture_reopen(f);
    }
}

static void damaged_dedup_keys_are_said_and_the_others_loaded(void **state)
{
    enum { ROW = 200 };
    static struct store_record r[ROW];
    static const char key[] = "0123456789abcdef";
    struct fixture *f = *state;
    unsigned id = open_stream(f, "chat", 1000).id;
    struct keys keys = {0};
    struct error err = {0};
    char name[128];
    int fd;
    off_t at;

    /* A row that is complete, and one of the commits after it. */
    for (uint64_t seq = 1; seq <= ROW; seq++) {
        r[seq - 1] = record(seq, id, "x");
        r[seq - 1].has_key = true;
        memcpy(r[seq - 1].key, &seq, 8);
    }
    OK(store_append(f->store, r, ROW, 0, why));
    for (uint64_t seq = ROW + 1; seq <= ROW + 5; seq++) {
        r[0] = record(seq, id, "x");
        r[0].has_key = true;
        if (seq == ROW + 3)
            memcpy(r[0].key, key, 16);
        OK(store_append(f->store, r, 1, 0, why));
    }
    /* Copies of the page remain from before the commits after it: close in on the live one. */
    fixture_reopen(f);
    open_stream(f, "chat", 1000);
    snprintf(name, sizeof name, "%s/data.mdb", f->path);
    for (;;) {
        char *map;
        struct stat st;
        char *hit;

        fd = open(name, O_RDWR);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        assert_true(map != MAP_FAILED);
        hit = memmem(map, (size_t)st.st_size, key, 16);
        at = hit == NULL ? -1 : hit - map;
        munmap(map, (size_t)st.st_size);
        if (at < 0)
            break;
        flip(fd, at);
        close(fd);
    }
    close(fd);
    assert_int_equal(store_dedup_load(f->store, id, keys_visit, &keys, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "stream chat"));
    assert_non_null(strstr(err.text, "seq 201 "));
    assert_int_equal(keys.count, ROW);
    assert_int_equal(keys.last, ROW);
}

static void a_damaged_stream_row_is_said(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char name[128];
    MDB_val key = {4, (void *)(uintptr_t) "chat"}, value;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    char row[64];

    open_stream(f, "chat", 4);
    fixture_close(f);
    env = raw_open(f, &txn);
    assert_int_equal(mdb_dbi_open(txn, "streams", 0, &dbi), 0);
    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    assert_int_equal(value.mv_size, sizeof row);
    memcpy(row, value.mv_data, sizeof row);
    row[40] ^= 1;
    value.mv_data = row;
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    raw_close(env, txn);
    assert_int_equal(store_open(&f->options, &f->store, &err), ERR_CORRUPT);
    f->store = NULL;
    snprintf(name, sizeof name, "the row of stream chat is damaged");
    assert_non_null(strstr(err.text, name));
}

/* A copy cut short: pages that are needed are gone, which must not end in SIGBUS. */
static void a_truncated_file_is_corrupt_and_no_crash(void **state)
{
    struct fixture *f = *state;
    unsigned id = open_stream(f, "chat", 0).id;
    struct error err = {0};
    struct transcript t;
    struct stat st;
    char name[128], line[1500];
    bool told = false;

    memset(line, 'x', sizeof line);
    for (uint64_t seq = 1; seq <= 200; seq++) {
        struct store_record r = record(seq, id, "");

        r.line = slice_make(line, sizeof line);
        OK(store_append(f->store, &r, 1, 0, why));
    }
    fixture_close(f);
    snprintf(name, sizeof name, "%s/data.mdb", f->path);
    assert_int_equal(stat(name, &st), 0);
    for (off_t size = st.st_size - 4096; size > 3 * 4096; size -= 4096) {
        int rc;

        assert_int_equal(truncate(name, size), 0);
        rc = store_open(&f->options, &f->store, &err);
        if (rc == 0) {
            struct store_read read = {
                .to_seq = UINT64_MAX, .visit = transcribe_visit, .arg = &t, .max_visits = 1};

            select_all(&read);
            memset(&t, 0, sizeof t);
            while (rc == 0 && read.done_seq < 200) {
                t.len = 0;
                read.after_seq = read.done_seq;
                rc = store_read(f->store, &read, &err);
            }
            store_close(f->store);
        }
        f->store = NULL;
        if (rc != 0)
            assert_int_equal(rc, ERR_CORRUPT);
        told = told || rc != 0;
    }
    assert_true(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_write_fails_once),
        cmocka_unit_test(every_write_fails_from_then_on),
        cmocka_unit_test(every_write_finds_no_space),
        with_store(a_put_without_space_can_be_tried_again),
        with_store(a_damaged_record_is_named_and_never_served),
        with_store(damaged_dedup_keys_are_said_and_the_others_loaded),
        with_store(a_damaged_stream_row_is_said),
        with_store(a_truncated_file_is_corrupt_and_no_crash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
