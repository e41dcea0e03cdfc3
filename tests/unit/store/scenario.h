/*
 * A store's life that can be checked from any point of it: batches of records of all sizes for two
 * streams, with positions, dedup keys and saved states, and retention between them. What batch n
 * holds can be told from n alone.
 */
#ifndef TESTS_STORE_SCENARIO_H
#define TESTS_STORE_SCENARIO_H

#include "store_fixture.h"

enum {
    SCENARIO_PER_BATCH = 4,
    SCENARIO_WINDOW = 6,
    SCENARIO_LINE_MAX = 20000,
    SCENARIO_KEEP = 96 * 1024, /* bytes of stream a; retention is at work */
};

static inline size_t scenario_line(char line[SCENARIO_LINE_MAX], uint64_t seq)
{
    size_t len = seq % 7 == 0 ? 9000 + seq * 131 % 10000 : 20 + seq * 37 % 1400;

    memset(line, (int)('a' + seq % 26), len);
    return len;
}

static inline unsigned scenario_open_streams(struct fixture *f, unsigned ids[2], struct error *err)
{
    struct store_stream_options o = {.fingerprint = SLICE("fp"), .dedup_window = SCENARIO_WINDOW};
    struct store_stream_state s;
    int rc;

    for (unsigned i = 0; i < 2; i++) {
        o.name = i == 0 ? "a" : "b";
        o.retain_size_bytes = i == 0 ? SCENARIO_KEEP : 0;
        rc = store_stream_open(f->store, &o, &s, err);
        if (rc != 0)
            return (unsigned)rc;
        ids[i] = s.id;
    }
    return 0;
}

/* Batch n, from 0 on: seqs PER_BATCH * n + 1 and so on. */
static inline int scenario_append(struct fixture *f, unsigned n, const unsigned ids[2],
                                  struct error *err)
{
    static char lines[SCENARIO_PER_BATCH][SCENARIO_LINE_MAX];
    struct store_record r[SCENARIO_PER_BATCH];
    char position[16];
    struct store_state states[2] = {{.key = SLICE("batch"), .value = slice_make(position, 6)},
                                    {.key = SLICE("even")}};

    snprintf(position, sizeof position, "%06u", n);
    for (unsigned i = 0; i < SCENARIO_PER_BATCH; i++) {
        uint64_t seq = (uint64_t)SCENARIO_PER_BATCH * n + i + 1;

        r[i] = record(seq, ids[i % 2], "");
        r[i].line = slice_make(lines[i], scenario_line(lines[i], seq));
        r[i].position = slice_str(position);
        r[i].has_key = true;
        memcpy(r[i].key, &seq, sizeof seq);
    }
    if (n % 2 == 0)
        states[1].value = SLICE("is here");
    return store_append_with(f->store, r, SCENARIO_PER_BATCH, states, 2, n, 1000 + 100 * n, err);
}

struct scenario_seen {
    unsigned ids[2];
    uint64_t next[2]; /* of the stream */
    uint64_t count;
};

static inline bool scenario_visit(void *arg, const struct store_event *event)
{
    struct scenario_seen *seen = arg;
    unsigned which = event->stream == seen->ids[0] ? 0 : 1;
    static char line[SCENARIO_LINE_MAX];

    assert_int_equal(event->stream, seen->ids[which]);
    assert_int_equal(event->seq, seen->next[which]);
    seen->next[which] += 2;
    seen->count++;
    assert_true(slice_eq(event->line, slice_make(line, scenario_line(line, event->seq))));
    return true;
}

struct scenario_states {
    unsigned batch;
    bool has_batch, even;
};

static inline void scenario_state(void *arg, const struct store_state *state, int64_t saved_us)
{
    struct scenario_states *seen = arg;

    if (slice_eq_str(state->key, "even")) {
        seen->even = true;
        return;
    }
    assert_true(slice_eq_str(state->key, "batch"));
    seen->has_batch = true;
    seen->batch = (unsigned)strtoul(state->value.ptr, NULL, 10);
    assert_int_equal(seen->batch, saved_us);
}

/* The store holds a number of batches whole, and nothing else; returns how many. */
static inline unsigned scenario_check(struct fixture *f)
{
    struct scenario_seen seen = {.next = {1, 2}};
    struct scenario_states states = {0};
    struct store_read read = {
        .to_seq = UINT64_MAX, .visit = scenario_visit, .arg = &seen, .max_visits = SIZE_MAX};
    struct store_info info;
    unsigned batches;

    store_info(f->store, &info);
    assert_int_equal(info.newest_seq % SCENARIO_PER_BATCH, 0);
    batches = (unsigned)(info.newest_seq / SCENARIO_PER_BATCH);
    OK(store_states(f->store, scenario_state, &states, why));
    assert_int_equal(states.has_batch, batches > 0);
    assert_int_equal(states.even, batches % 2 == 1);
    if (batches == 0)
        return 0;
    assert_int_equal(states.batch, batches - 1);
    assert_int_equal(info.reserved_seq, 1000 + 100 * (batches - 1));
    OK((int)scenario_open_streams(f, seen.ids, why));
    for (unsigned i = 0; i < 2; i++) {
        struct store_stream_state s = open_stream(f, i == 0 ? "a" : "b", SCENARIO_WINDOW);
        struct keys keys = {0};
        struct store_stream_info stream;

        OK(store_stream_info(f->store, s.id, &stream, why));
        if (stream.trimmed_seq != 0)
            seen.next[i] = stream.trimmed_seq + 2;
        assert_int_equal(strtoul(s.position, NULL, 10), batches - 1);
        OK(store_dedup_load(f->store, s.id, keys_visit, &keys, why));
        assert_int_equal(keys.last, info.newest_seq - 1 + i);
        assert_true(keys.ordered);
        assert_int_equal(keys.count, batches * 2 < SCENARIO_WINDOW ? batches * 2 : SCENARIO_WINDOW);
    }
    select_all(&read);
    OK(store_read(f->store, &read, why));
    assert_int_equal(seen.next[0], info.newest_seq + 1);
    assert_int_equal(seen.next[1], info.newest_seq + 2);
    return batches;
}

#endif
