/* Killed at any moment: what was confirmed is there, whole, and nothing is torn. */
#include "store_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/rng.h"

enum { KILLS = 30, BATCH = 20, WINDOW = 50 };

/* What seq n looks like can be told from n alone, so that the parent can check it. */
static size_t line_of(char line[3000], uint64_t seq)
{
    size_t len = 20 + seq * 37 % 2900;

    memset(line, (int)('a' + seq % 26), len);
    return len;
}

static void append_random(struct fixture *f, struct rng *rng, unsigned stream, uint64_t *seq)
{
    static char lines[BATCH][3000];
    struct store_record r[BATCH];
    char position[24];
    size_t count = 1 + rng_below(rng, BATCH);

    for (size_t i = 0; i < count; i++) {
        r[i] = record(++*seq, stream, "");
        r[i].line = slice_make(lines[i], line_of(lines[i], *seq));
        r[i].has_key = true;
        memcpy(r[i].key, seq, sizeof *seq);
    }
    snprintf(position, sizeof position, "%llu", (unsigned long long)*seq);
    r[count - 1].position = slice_str(position);
    if (store_append(f->store, r, count, *seq + 100, NULL) != 0)
        _exit(3);
}

/* The child: appends and trims until it is killed. */
static void work(struct fixture *f, uint64_t seed, int report)
{
    struct store_stream_options o = {.name = "chat",
                                     .fingerprint = SLICE("fp"),
                                     .dedup_window = WINDOW,
                                     .retain_size_bytes = 512 * 1024};
    struct store_stream_state s;
    struct store_info info;
    struct rng rng;
    uint64_t seq;
    bool more;

    rng_seed(&rng, seed);
    if (store_open(&f->options, &f->store, NULL) != 0)
        _exit(1);
    if (store_stream_open(f->store, &o, &s, NULL) != 0)
        _exit(2);
    store_info(f->store, &info);
    seq = info.newest_seq;
    for (;;) {
        append_random(f, &rng, s.id, &seq);
        if (write(report, &seq, sizeof seq) != sizeof seq)
            _exit(4);
        if (rng_chance(&rng, 1, 4) && store_retain(f->store, 0, &more, NULL) != 0)
            _exit(5);
    }
}

/* Lets it live for a random time; returns the last seq that it reported. */
static uint64_t kill_one(struct fixture *f, struct rng *rng, uint64_t reported)
{
    struct timespec life = {.tv_nsec = (long)(1 + rng_below(rng, 100)) * 1000000};
    uint64_t seed = rng_u64(rng), seq;
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        work(f, seed, ends[1]);
    }
    close(ends[1]);
    nanosleep(&life, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(ends[0], &seq, sizeof seq) == sizeof seq)
        reported = seq;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return reported;
}

struct check {
    uint64_t last;
};

static bool check_visit(void *arg, const struct store_event *event)
{
    struct check *c = arg;
    char line[3000];

    assert_int_equal(event->seq, c->last + 1);
    assert_true(slice_eq(event->line, slice_make(line, line_of(line, event->seq))));
    c->last = event->seq;
    return true;
}

static void check_store(struct fixture *f, uint64_t reported)
{
    struct store_stream_state s;
    struct store_stream_info si;
    struct store_info info;
    struct store_read read = {.to_seq = UINT64_MAX, .visit = check_visit, .max_visits = SIZE_MAX};
    struct check c;
    struct keys keys = {0};
    uint64_t position;

    fixture_open(f);
    store_info(f->store, &info);
    assert_true(info.newest_seq >= reported);
    s = open_stream(f, "chat", WINDOW);
    OK(store_stream_info(f->store, s.id, &si, why));
    c.last = si.trimmed_seq;
    read.after_seq = si.trimmed_seq;
    read.arg = &c;
    select_all(&read);
    OK(store_read(f->store, &read, why));
    assert_int_equal(c.last, info.newest_seq);
    if (c.last > 0) {
        assert_true(s.has_position);
        assert_int_equal(slice_parse_u64(slice_make(s.position, s.position_len), &position), 0);
        assert_int_equal(position, c.last);
        OK(store_dedup_load(f->store, s.id, keys_visit, &keys, why));
        assert_int_equal(keys.last, c.last);
        assert_int_equal(keys.count, c.last < WINDOW ? c.last : WINDOW);
        assert_true(info.reserved_seq >= c.last);
    }
    fixture_close(f);
}

static void what_was_confirmed_survives_a_kill(void **state)
{
    const char *given = getenv("HAWSER_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    struct fixture *f = *state;
    uint64_t reported = 0;
    struct rng rng;

    print_message("HAWSER_SEED=%llu\n", (unsigned long long)seed);
    rng_seed(&rng, seed);
    fixture_close(f);
    f->options.no_sync = false;
    for (unsigned i = 0; i < KILLS; i++) {
        reported = kill_one(f, &rng, reported);
        check_store(f, reported);
    }
    print_message("%d kills, %llu records\n", KILLS, (unsigned long long)reported);
    assert_true(reported > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_store(what_was_confirmed_survives_a_kill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
