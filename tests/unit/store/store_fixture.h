/* What the store's tests share: a directory that goes away, batches, reading back. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <lmdb.h>

#include "store/store.h"

#define OK(call)                                                                                   \
    do {                                                                                           \
        struct error ok_err = {0};                                                                 \
        struct error *why = &ok_err;                                                               \
        int ok_rc = (call);                                                                        \
        if (ok_rc != 0)                                                                            \
            fail_msg("%s: %s: %s", #call, error_name(ok_rc), ok_err.text);                         \
    } while (0)

struct fixture {
    char dir[64];  /* made by the test */
    char path[80]; /* the store's, in it */
    struct store_options options;
    struct store *store;
};

static inline void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    strcpy(f->dir, "/tmp/hawser-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/store", f->dir);
    f->options.path = f->path;
    f->options.retain_size_bytes = 64 * LIMIT_MIB;
    f->options.no_sync = true;
}

static inline void fixture_fini(struct fixture *f)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "lock"};
    char name[128];

    store_close(f->store);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s/%s", f->path, names[i]);
        unlink(name);
    }
    rmdir(f->path);
    assert_int_equal(rmdir(f->dir), 0);
}

static inline void fixture_open(struct fixture *f)
{
    OK(store_open(&f->options, &f->store, why));
}

static inline void fixture_close(struct fixture *f)
{
    store_close(f->store);
    f->store = NULL;
}

static inline void fixture_reopen(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f);
}

static inline struct store_stream_state open_stream(struct fixture *f, const char *name,
                                                    unsigned window)
{
    struct store_stream_options options = {
        .name = name, .fingerprint = SLICE("fp"), .dedup_window = window};
    struct store_stream_state state;

    OK(store_stream_open(f->store, &options, &state, why));
    return state;
}

static inline struct store_record record(uint64_t seq, unsigned stream, const char *line)
{
    return (struct store_record){.seq = seq,
                                 .stream = stream,
                                 .kind = STORE_EVENT,
                                 .received_us = (int64_t)seq * 1000,
                                 .type = SLICE("t"),
                                 .line = slice_str(line)};
}

static inline void select_stream(struct store_read *read, unsigned id)
{
    read->streams[id / 64] |= (uint64_t)1 << id % 64;
}

static inline void select_all(struct store_read *read)
{
    memset(read->streams, 0xFF, sizeof read->streams);
}

/* A log of what a read said: "5:0:line" for a visit, "lost 0 1-4" for a loss. */
struct transcript {
    char text[65536];
    size_t len;
    size_t visits;
};

static inline bool transcribe_visit(void *arg, const struct store_event *event)
{
    struct transcript *t = arg;

    t->len += (size_t)snprintf(t->text + t->len, sizeof t->text - t->len, "%s%llu:%u:" SLICE_FMT,
                               t->len == 0 ? "" : " ", (unsigned long long)event->seq,
                               event->stream, SLICE_ARG(event->line));
    t->visits++;
    return true;
}

static inline void transcribe_lost(void *arg, unsigned stream, uint64_t from, uint64_t to)
{
    struct transcript *t = arg;

    t->len += (size_t)snprintf(t->text + t->len, sizeof t->text - t->len, "%slost %u %llu-%llu",
                               t->len == 0 ? "" : " ", stream, (unsigned long long)from,
                               (unsigned long long)to);
}

static inline const char *read_text(struct store *store, struct transcript *t, uint64_t after,
                                    uint64_t to, size_t max_visits, uint64_t *done)
{
    struct store_read read = {.after_seq = after,
                              .to_seq = to,
                              .visit = transcribe_visit,
                              .lost = transcribe_lost,
                              .arg = t,
                              .max_visits = max_visits};

    select_all(&read);
    memset(t, 0, sizeof *t);
    OK(store_read(store, &read, why));
    if (done != NULL)
        *done = read.done_seq;
    return t->text;
}

/* What store_dedup_load visits, where the keys are rising numbers. */
struct keys {
    size_t count;
    uint64_t last;
    bool ordered;
};

static inline void keys_visit(void *arg, const uint8_t key[16])
{
    struct keys *keys = arg;
    uint64_t number;

    memcpy(&number, key, sizeof number);
    keys->ordered = (keys->ordered || keys->count == 0) && number > keys->last;
    keys->last = number;
    keys->count++;
}

/* The file behind the closed store's back. */
static inline MDB_env *raw_open(struct fixture *f, MDB_txn **txn)
{
    MDB_env *env;

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 600), 0);
    assert_int_equal(mdb_env_open(env, f->path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, txn), 0);
    return env;
}

static inline void raw_close(MDB_env *env, MDB_txn *txn)
{
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static inline void put_meta(struct fixture *f, const char *name, const void *bytes, size_t size)
{
    MDB_txn *txn;
    MDB_env *env = raw_open(f, &txn);
    MDB_val key = {strlen(name), (void *)(uintptr_t)name};
    MDB_val value = {size, (void *)(uintptr_t)bytes};
    MDB_dbi dbi;

    assert_int_equal(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    raw_close(env, txn);
}

static inline size_t count_keys_on_disk(struct fixture *f, unsigned stream)
{
    MDB_txn *txn;
    MDB_env *env = raw_open(f, &txn);
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_dbi dbi;
    size_t count = 0;
    char name[16];

    snprintf(name, sizeof name, "d.%u", stream);
    assert_int_equal(mdb_dbi_open(txn, name, MDB_INTEGERKEY, &dbi), 0);
    assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
        count += (value.mv_size - 4) / 16;
    mdb_cursor_close(cursor);
    raw_close(env, txn);
    return count;
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = test_malloc(sizeof *f);

    fixture_init(f);
    fixture_open(f);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    fixture_fini(*state);
    test_free(*state);
    return 0;
}

#define with_store(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

#endif
