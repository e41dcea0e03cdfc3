/* Streams that are no longer configured: what they have goes as ever, and then they do. */
#include "store_fixture.h"

#include <errno.h>

#include "base/log.h"

static bool own_state(const char *stream, unsigned number, char key[STORE_STATE_KEY + 1])
{
    static const char *const forms[] = {"stream/%s", "source/%s", "limits/%.2s"};

    if (number == 3)
        return false;
    snprintf(key, STORE_STATE_KEY + 1, forms[number], stream);
    return true;
}

static void keep(struct fixture *f, const char *name)
{
    uint64_t kept[STORE_ID_WORDS];

    store_streams_keep(f->store, &name, name != NULL, kept);
}

static void append(struct fixture *f, unsigned id, uint64_t seq)
{
    struct store_record r = record(seq, id, "line");

    r.position = SLICE("here");
    r.has_key = true;
    memcpy(r.key, &seq, sizeof seq);
    OK(store_append(f->store, &r, 1, 0, why));
}

static void retain(struct fixture *f, int64_t now_us)
{
    for (bool more = true; more;)
        OK(store_retain(f->store, now_us, &more, why));
}

/* Its events are kept for a second. */
static unsigned open_aging(struct fixture *f, const char *name, struct store_stream_state *state)
{
    struct store_stream_options o = {
        .name = name, .fingerprint = SLICE("fp"), .dedup_window = 10, .retain_age_ms = 1000};

    OK(store_stream_open(f->store, &o, state, why));
    return state->id;
}

static uint64_t reserved(struct fixture *f)
{
    struct store_info info;

    store_info(f->store, &info);
    return info.reserved_seq;
}

static void note_state(void *arg, const struct store_state *state, int64_t saved_us)
{
    char *text = arg;

    (void)saved_us;
    snprintf(text + strlen(text), 100 - strlen(text), " " SLICE_FMT, SLICE_ARG(state->key));
}

static const char *states_text(struct fixture *f)
{
    static char text[100];

    text[0] = '\0';
    OK(store_states(f->store, note_state, text, why));
    return text;
}

static void save_states(struct fixture *f)
{
    struct store_state states[] = {
        {SLICE("stream/gone"), SLICE("1")}, {SLICE("source/gone"), SLICE("2")},
        {SLICE("stream/here"), SLICE("3")}, {SLICE("consumer/gone"), SLICE("4")},
        {SLICE("limits/go"), SLICE("5")},   {SLICE("limits/he"), SLICE("6")}};

    OK(store_append_with(f->store, NULL, 0, states, 6, 1, 0, why));
}

static void a_removed_stream_goes_when_its_events_have(void **state)
{
    struct fixture *f = *state;
    struct store_stream_state s;
    struct keys keys = {0};
    struct transcript t;
    unsigned gone, here;

    f->options.stream_state = own_state;
    fixture_reopen(f);
    here = open_aging(f, "here", &s);
    gone = open_aging(f, "gone", &s);
    append(f, here, 1);
    append(f, gone, 2);
    append(f, gone, 3);
    save_states(f);
    fixture_reopen(f);
    keep(f, "here");
    open_aging(f, "here", &s);
    retain(f, 1000000);
    assert_string_equal(read_text(f->store, &t, 0, UINT64_MAX, 9, NULL),
                        "1:0:line 2:1:line 3:1:line");
    assert_string_equal(states_text(f),
                        " consumer/gone limits/go limits/he source/gone stream/gone stream/here");
    /* What is configured stays when it has nothing left. */
    retain(f, 10000000);
    assert_string_equal(states_text(f), " consumer/gone limits/he stream/here");
    fixture_reopen(f);
    assert_int_equal(reserved(f), 3);
    open_aging(f, "here", &s);
    assert_true(s.has_position);
    assert_int_equal(s.newest_seq, 1);
    open_aging(f, "gone", &s);
    assert_false(s.has_position);
    assert_int_equal(s.newest_seq, 0);
    assert_int_equal(s.id, gone);
    OK(store_dedup_load(f->store, s.id, keys_visit, &keys, why));
    assert_int_equal(keys.count, 0);
}

static void where_nobody_says_what_is_configured_nothing_is_forgotten(void **state)
{
    struct fixture *f = *state;
    struct store_stream_state s;

    append(f, open_aging(f, "chat", &s), 1);
    fixture_reopen(f);
    retain(f, 10000000);
    fixture_reopen(f);
    open_aging(f, "chat", &s);
    assert_true(s.has_position);
}

static void one_that_is_configured_again_is_not_removed(void **state)
{
    struct fixture *f = *state;
    struct store_stream_state s;

    append(f, open_aging(f, "chat", &s), 1);
    keep(f, NULL);
    open_aging(f, "chat", &s);
    retain(f, 10000000);
    fixture_reopen(f);
    open_aging(f, "chat", &s);
    assert_true(s.has_position);
}

/* Consumers may have its number, and memory its events. */
static void an_id_is_not_used_again_by_the_process_that_used_it(void **state)
{
    struct fixture *f = *state;
    struct store_stream_state s;
    struct store_stream_info info;
    struct store_record r;
    struct transcript t;
    unsigned gone = open_aging(f, "gone", &s), again;
    struct error err = {0};

    append(f, gone, 1);
    keep(f, NULL);
    retain(f, 10000000);
    assert_int_equal(store_stream_info(f->store, gone, &info, &err), ERR_NOTFOUND);
    r = record(2, gone, "too late");
    assert_int_equal(store_append(f->store, &r, 1, 0, &err), ERR_INVAL);
    again = open_aging(f, "gone", &s);
    assert_int_not_equal(again, gone);
    assert_false(s.has_position);
    append(f, again, 2);
    assert_string_equal(read_text(f->store, &t, 0, UINT64_MAX, 9, NULL), "2:1:line");
    fixture_reopen(f);
    assert_int_equal(open_aging(f, "other", &s), gone);
    assert_int_equal(open_aging(f, "gone", &s), again);
    assert_true(s.has_position);
}

static void names_come_and_go_without_end(void **state)
{
    struct fixture *f = *state;
    struct store_stream_state s;
    struct transcript *t = test_malloc(sizeof *t);
    char name[16];

    log_set_level(LOG_LEVEL_ERROR);
    for (uint64_t n = 1; n <= 2 * LIMIT_STREAMS + 20; n++) {
        snprintf(name, sizeof name, "s%llu", (unsigned long long)n);
        keep(f, name);
        open_aging(f, name, &s);
        assert_false(s.has_position);
        assert_in_range(s.id, 0, LIMIT_STREAMS - 1);
        append(f, s.id, n);
        fixture_reopen(f);
    }
    /* The last of them are there, and with them what they had. */
    assert_non_null(read_text(f->store, t, 0, UINT64_MAX, 2 * LIMIT_STREAMS, NULL));
    assert_int_equal(t->visits, LIMIT_STREAMS);
    keep(f, NULL);
    retain(f, INT64_MAX);
    fixture_reopen(f);
    assert_int_equal(reserved(f), 2 * LIMIT_STREAMS + 20);
    assert_int_equal(open_aging(f, "after", &s), 0);
    log_set_level(LOG_LEVEL_INFO);
    test_free(t);
}

static void there_is_no_place_where_all_are_in_use(void **state)
{
    struct fixture *f = *state;
    struct store_stream_options o = {.name = "more", .fingerprint = SLICE("fp")};
    struct store_stream_state s;
    struct error err = {0};
    char name[16];

    for (unsigned n = 0; n < LIMIT_STREAMS; n++) {
        snprintf(name, sizeof name, "s%u", n);
        open_aging(f, name, &s);
    }
    assert_int_equal(store_stream_open(f->store, &o, &s, &err), ERR_LIMIT);
    /* Removed, but still in this process's memory. */
    keep(f, "s7");
    assert_int_equal(store_stream_open(f->store, &o, &s, &err), ERR_LIMIT);
    assert_non_null(strstr(err.text, "start it again"));
    fixture_reopen(f);
    keep(f, "s7");
    OK(store_stream_open(f->store, &o, &s, why));
}

/* The n-th put fails, N = 1, 2, ... until none does. */
struct fault {
    unsigned at, seen;
};

static int fault_at(void *arg, enum store_fault point)
{
    struct fault *fault = arg;

    return point == STORE_FAULT_PUT && ++fault->seen == fault->at ? ENOSPC : 0;
}

static void a_place_is_taken_whole_or_not(void **state)
{
    struct store_stream_options o = {.name = "new", .fingerprint = SLICE("fp")};
    struct transcript *t = test_malloc(sizeof *t);
    struct fixture *f = *state;
    struct store_stream_state s;
    struct fault fault = {0};
    bool done = false;
    char name[16];
    unsigned at;

    for (unsigned n = 0; n < LIMIT_STREAMS; n++) {
        snprintf(name, sizeof name, "s%u", n);
        append(f, open_aging(f, name, &s), n + 1);
    }
    f->options.fault = fault_at;
    f->options.fault_arg = &fault;
    for (at = 1; !done; at++) {
        fixture_reopen(f);
        keep(f, NULL);
        fault = (struct fault){.at = at};
        done = store_stream_open(f->store, &o, &s, NULL) == 0;
        fault.at = 0;
        read_text(f->store, t, 0, UINT64_MAX, 2 * LIMIT_STREAMS, NULL);
        assert_int_equal(t->visits, LIMIT_STREAMS - done);
    }
    assert_true(at > 3);
    assert_int_equal(s.id, 0);
    test_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_store(a_removed_stream_goes_when_its_events_have),
        with_store(where_nobody_says_what_is_configured_nothing_is_forgotten),
        with_store(one_that_is_configured_again_is_not_removed),
        with_store(an_id_is_not_used_again_by_the_process_that_used_it),
        with_store(names_come_and_go_without_end),
        with_store(there_is_no_place_where_all_are_in_use),
        with_store(a_place_is_taken_whole_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
