/* The merge: against a model, its bounds, and while another thread appends. */
#include "store_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/rng.h"

static void a_read_is_bounded_and_goes_on(void **state)
{
    struct fixture *f = *state;
    unsigned a = open_stream(f, "a", 0).id, b = open_stream(f, "b", 0).id;
    struct store_record r[] = {record(2, a, "x"), record(4, b, "y"), record(6, a, "z")};
    struct transcript t;
    uint64_t done;

    OK(store_append(f->store, r, 3, 0, why));
    assert_string_equal(read_text(f->store, &t, 0, 6, 0, &done), "");
    assert_int_equal(done, 1);
    assert_string_equal(read_text(f->store, &t, 0, 6, 1, &done), "2:0:x");
    assert_int_equal(done, 3);
    assert_string_equal(read_text(f->store, &t, 3, 6, 2, &done), "4:1:y 6:0:z");
    assert_int_equal(done, 6);
    assert_string_equal(read_text(f->store, &t, 6, UINT64_MAX, 2, &done), "");
    assert_int_equal(done, 6);
    assert_string_equal(read_text(f->store, &t, 100, UINT64_MAX, 2, &done), "");
    assert_int_equal(done, 100); /* never back */
    assert_string_equal(read_text(f->store, &t, 4, 3, 2, &done), "");
    assert_int_equal(done, 4);
    assert_string_equal(read_text(f->store, &t, UINT64_MAX, UINT64_MAX, 2, &done), "");
}

static bool refuse_third(void *arg, const struct store_event *event)
{
    unsigned *visits = arg;

    return ++*visits < 3;
}

static void an_event_that_is_refused_is_not_consumed(void **state)
{
    struct fixture *f = *state;
    unsigned a = open_stream(f, "a", 0).id, visits = 0;
    struct store_record r[] = {record(2, a, "x"), record(4, a, "y"), record(8, a, "z")};
    struct store_read read = {
        .to_seq = 100, .visit = refuse_third, .arg = &visits, .max_visits = 10};

    OK(store_append(f->store, r, 3, 0, why));
    select_stream(&read, a);
    OK(store_read(f->store, &read, why));
    assert_int_equal(visits, 3);
    assert_int_equal(read.done_seq, 7);
}

static void only_chosen_streams_are_read(void **state)
{
    struct fixture *f = *state;
    unsigned a = open_stream(f, "a", 0).id, b = open_stream(f, "b", 0).id;
    struct store_record r[] = {record(2, a, "x"), record(4, b, "y")};
    struct transcript t = {0};
    struct store_read read = {
        .to_seq = 100, .visit = transcribe_visit, .arg = &t, .max_visits = 10};

    OK(store_append(f->store, r, 2, 0, why));
    OK(store_read(f->store, &read, why)); /* none at all */
    assert_int_equal(t.visits, 0);
    assert_int_equal(read.done_seq, 4);
    select_stream(&read, b);
    select_stream(&read, LIMIT_STREAMS - 1); /* one that is not known */
    OK(store_read(f->store, &read, why));
    assert_string_equal(t.text, "4:1:y");
}

/* The model: who has which seq, and what retention took. */
enum { STREAMS = 5, EVENTS = 600 };

struct model {
    struct fixture *f;
    struct rng rng;
    unsigned id[STREAMS];
    uint64_t seq[EVENTS + 1];
    unsigned stream[EVENTS + 1];
    bool gone[EVENTS + 1];
    size_t count;
};

/* One walk over the log, in reads of random size. */
struct walk {
    struct model *m;
    bool chosen[STREAMS];
    uint64_t start;
    uint64_t told[STREAMS]; /* lost up to here */
    size_t next;            /* in the model */
    uint64_t refuse_at;     /* a seq, 0: none */
};

static unsigned model_stream(const struct model *m, unsigned id)
{
    for (unsigned i = 0; i < STREAMS; i++) {
        if (m->id[i] == id)
            return i;
    }
    fail_msg("stream %u is not ours", id);
    return 0;
}

/* The newest that retention took from it, and the oldest it ever had. */
static void model_lost(const struct model *m, unsigned stream, uint64_t *first, uint64_t *trimmed)
{
    *first = *trimmed = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (m->stream[i] != stream)
            continue;
        if (*first == 0)
            *first = m->seq[i];
        if (m->gone[i])
            *trimmed = m->seq[i];
    }
}

static bool walk_visit(void *arg, const struct store_event *event)
{
    struct walk *w = arg;
    struct model *m = w->m;
    uint64_t first, trimmed;

    if (event->seq == w->refuse_at) {
        w->refuse_at = 0;
        return false;
    }
    while (w->next < m->count && (m->gone[w->next] || !w->chosen[m->stream[w->next]]))
        w->next++;
    assert_true(w->next < m->count);
    assert_int_equal(event->seq, m->seq[w->next]);
    assert_int_equal(event->stream, m->id[m->stream[w->next]]);
    model_lost(m, m->stream[w->next], &first, &trimmed);
    if (trimmed > w->start)
        assert_int_equal(w->told[m->stream[w->next]], trimmed); /* told before */
    w->next++;
    return true;
}

static void walk_lost(void *arg, unsigned id, uint64_t from, uint64_t to)
{
    struct walk *w = arg;
    unsigned stream = model_stream(w->m, id);
    uint64_t first, trimmed;

    assert_true(w->chosen[stream]);
    assert_true(from <= to);
    model_lost(w->m, stream, &first, &trimmed);
    if (w->told[stream] == 0)
        assert_int_equal(from, first > w->start + 1 ? first : w->start + 1);
    else
        assert_int_equal(from, w->told[stream] + 1); /* no hole, nothing twice */
    assert_true(to <= trimmed);
    w->told[stream] = to;
}

static void grow_model(struct model *m)
{
    struct store_record r[40];
    size_t count = 1 + rng_below(&m->rng, 40), n = 0;
    uint64_t seq = m->count == 0 ? 0 : m->seq[m->count - 1];

    while (n < count && m->count < EVENTS) {
        unsigned stream = (unsigned)rng_below(&m->rng, STREAMS);

        if (rng_chance(&m->rng, 2, 3) && m->count > 0)
            stream = m->stream[m->count - 1]; /* runs, too */
        seq += 1 + rng_below(&m->rng, 3);
        m->seq[m->count] = seq;
        m->stream[m->count] = stream;
        m->gone[m->count] = false;
        r[n++] = record(seq, m->id[stream], "line");
        m->count++;
    }
    OK(store_append(m->f->store, r, n, 0, why));
}

/* By age: stream by stream, each up to a seq of its own. */
static void shrink_model(struct model *m)
{
    static const char *const names[STREAMS] = {"a", "b", "c", "d", "e"};
    unsigned stream = (unsigned)rng_below(&m->rng, STREAMS);
    struct store_stream_options o = {.name = names[stream], .fingerprint = SLICE("fp")};
    struct store_stream_state s;
    uint64_t upto = m->seq[rng_below(&m->rng, m->count)];
    bool more = true;

    /* received_us is seq * 1000: with an age of 1 ms, seqs below now_ms - 1 go. */
    o.retain_age_ms = 1;
    OK(store_stream_open(m->f->store, &o, &s, why));
    while (more)
        OK(store_retain(m->f->store, ((int64_t)upto + 2) * 1000, &more, why));
    o.retain_age_ms = 0;
    OK(store_stream_open(m->f->store, &o, &s, why));
    for (size_t i = 0; i < m->count; i++)
        m->gone[i] = m->gone[i] || (m->stream[i] == stream && m->seq[i] <= upto);
}

static void walk_model(struct model *m)
{
    uint64_t newest = m->seq[m->count - 1];
    struct walk w = {.m = m, .start = rng_below(&m->rng, newest + 1)};
    uint64_t to = rng_chance(&m->rng, 1, 2) ? UINT64_MAX : rng_below(&m->rng, newest + 20);
    uint64_t end = to < newest ? to : newest;
    struct store_read read = {
        .after_seq = w.start, .to_seq = to, .visit = walk_visit, .lost = walk_lost, .arg = &w};

    for (unsigned i = 0; i < STREAMS; i++) {
        w.chosen[i] = rng_chance(&m->rng, 2, 3);
        if (w.chosen[i])
            select_stream(&read, m->id[i]);
    }
    while (w.next < m->count && m->seq[w.next] <= w.start)
        w.next++;
    do {
        uint64_t before = read.after_seq;

        read.max_visits = 1 + rng_below(&m->rng, 50);
        w.refuse_at = rng_chance(&m->rng, 1, 3) ? m->seq[rng_below(&m->rng, m->count)] : 0;
        OK(store_read(m->f->store, &read, why));
        assert_true(read.done_seq >= before);
        assert_true(read.done_seq <= (end > before ? end : before));
        read.after_seq = read.done_seq;
    } while (read.done_seq < end);
    while (w.next < m->count && m->seq[w.next] <= end) {
        if (!m->gone[w.next] && w.chosen[m->stream[w.next]])
            fail_msg("seq %llu was not visited", (unsigned long long)m->seq[w.next]);
        w.next++;
    }
    for (unsigned i = 0; i < STREAMS; i++) {
        uint64_t first, trimmed, until;

        model_lost(m, i, &first, &trimmed);
        until = trimmed < end ? trimmed : end;
        if (w.chosen[i] && until > w.start && until >= first)
            assert_int_equal(w.told[i], until);
        else
            assert_int_equal(w.told[i], 0);
    }
}

static void reads_agree_with_a_model(void **state)
{
    struct model *m = test_malloc(sizeof *m);

    for (uint64_t seed = 1; seed <= 6; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        memset(m, 0, sizeof *m);
        m->f = *state;
        rng_seed(&m->rng, seed);
        for (unsigned i = 0; i < STREAMS; i++)
            m->id[i] = open_stream(m->f, (const char[]){(char)('a' + i), '\0'}, 0).id;
        while (m->count < EVENTS) {
            grow_model(m);
            if (rng_chance(&m->rng, 1, 3))
                shrink_model(m);
            for (unsigned i = 0; i < 4; i++)
                walk_model(m);
        }
        fixture_fini(m->f);
        fixture_init(m->f);
        fixture_open(m->f);
    }
    test_free(m);
}

/* While another thread appends, grows the map, trims and opens streams. */
struct race {
    struct store *store;
    atomic_bool stop;
    atomic_bool failed;
    _Atomic uint64_t visits;
};

struct follower {
    struct race *race;
    uint64_t last;
    bool bad;
};

static bool follow_visit(void *arg, const struct store_event *event)
{
    struct follower *f = arg;

    f->bad = f->bad || event->seq <= f->last || event->line.len != 300 ||
             event->line.ptr[299] != (char)('a' + event->seq % 26);
    f->last = event->seq;
    atomic_fetch_add(&f->race->visits, 1);
    return true;
}

static void *follow(void *arg)
{
    struct race *race = arg;
    struct follower f = {.race = race};
    struct store_info info;

    while (!atomic_load(&race->stop)) {
        struct store_read read = {.after_seq = f.last,
                                  .to_seq = UINT64_MAX,
                                  .visit = follow_visit,
                                  .arg = &f,
                                  .max_visits = 100};
        struct error err;

        select_all(&read);
        if (store_read(race->store, &read, &err) != 0 || f.bad)
            atomic_store(&race->failed, true);
        store_info(race->store, &info);
        if (info.oldest_seq > info.newest_seq + 1)
            atomic_store(&race->failed, true);
        if (read.done_seq == f.last)
            f.last = 0; /* caught up: once more from the start */
    }
    return NULL;
}

static void readers_are_safe_while_the_store_is_written(void **state)
{
    enum { ROUNDS = 400, BATCH = 60, THREADS = 2 };
    struct fixture *f = *state;
    struct race race = {.store = f->store};
    pthread_t threads[THREADS];
    char line[300], name[16];
    uint64_t seq = 0;
    unsigned id = 0;

    memset(line, '-', sizeof line);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, follow, &race), 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct store_record r[BATCH];
        char lines[BATCH][sizeof line];
        bool more = true;

        if (round % 50 == 0) {
            snprintf(name, sizeof name, "s%u", round);
            id = open_stream(f, name, 10).id;
        }
        for (unsigned i = 0; i < BATCH; i++) {
            r[i] = record(++seq, id, "");
            memcpy(lines[i], line, sizeof line);
            lines[i][299] = (char)('a' + seq % 26);
            r[i].line = slice_make(lines[i], sizeof line);
        }
        OK(store_append(f->store, r, BATCH, seq + 1000, why));
        while (round % 20 == 19 && more)
            OK(store_retain(f->store, 0, &more, why));
    }
    atomic_store(&race.stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_false(atomic_load(&race.failed));
    assert_true(atomic_load(&race.visits) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_store(a_read_is_bounded_and_goes_on),
        with_store(an_event_that_is_refused_is_not_consumed),
        with_store(only_chosen_streams_are_read),
        with_store(reads_agree_with_a_model),
        with_store(readers_are_safe_while_the_store_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
