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

#include "store/store.h"

#define OK(call)                                                                                   \
    do {                                                                                           \
        struct error ok_err = {0};                                                                 \
        struct error *err = &ok_err;                                                               \
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
    OK(store_open(&f->options, &f->store, err));
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

    OK(store_stream_open(f->store, &options, &state, err));
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
    OK(store_read(store, &read, err));
    if (done != NULL)
        *done = read.done_seq;
    return t->text;
}

#endif
