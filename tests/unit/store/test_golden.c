/* Stores as older versions have left them: they are read, and become stores of this format. */
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define GOLDEN "tests/unit/store/golden/"

static void copy_golden(struct fixture *f, const char *from)
{
    static char bytes[LIMIT_MIB];
    char name[128];
    int fd = open(from, O_RDONLY);
    ssize_t size;

    if (fd < 0)
        fail_msg("%s: it is read from the top of the source tree", from);
    size = read(fd, bytes, sizeof bytes);
    assert_true(size > 0);
    close(fd);
    assert_int_equal(mkdir(f->path, 0700), 0);
    snprintf(name, sizeof name, "%s/data.mdb", f->path);
    fd = open(name, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, (size_t)size), size);
    close(fd);
}

static void note(void *arg, const struct store_state *state, int64_t saved_us)
{
    char *text = arg;
    size_t len = strlen(text);

    snprintf(text + len, 200 - len, SLICE_FMT "=" SLICE_FMT "@%d ", SLICE_ARG(state->key),
             SLICE_ARG(state->value), (int)saved_us);
}

struct seen {
    char text[200];
    size_t len, large;
};

static bool visit(void *arg, const struct store_event *event)
{
    struct seen *seen = arg;

    if (event->line.len > 100) {
        seen->large = event->line.len;
        return true;
    }
    seen->len += (size_t)snprintf(seen->text + seen->len, sizeof seen->text - seen->len,
                                  "%llu:%u:%d:%d:" SLICE_FMT " ", (unsigned long long)event->seq,
                                  event->stream, event->kind == STORE_GAP,
                                  (int)(event->received_us / 1000000), SLICE_ARG(event->line));
    return true;
}

/* Two streams; of the first retention has taken seqs 1 and 2, seq 5 is large, seq 6 a gap. */
static void expect_golden(struct fixture *f, const char *states)
{
    struct seen seen = {0};
    struct store_read read = {
        .to_seq = UINT64_MAX, .visit = visit, .arg = &seen, .max_visits = SIZE_MAX};
    struct store_stream_state chat = open_stream(f, "chat", 4), odds = open_stream(f, "odds", 4);
    struct store_stream_info info;
    struct store_info all;
    struct keys keys = {0};
    char text[200] = "";

    select_all(&read);
    OK(store_read(f->store, &read, why));
    assert_string_equal(seen.text, "3:0:0:3:line 3 4:0:0:4:line 4 6:0:1:6:line 6 "
                                   "7:1:0:7:line 7 8:1:0:8:line 8 ");
    assert_int_equal(seen.large, 9000);
    assert_int_equal(chat.id, 0);
    assert_true(slice_eq_str(slice_make(chat.position, chat.position_len), "p6"));
    assert_false(chat.fingerprint_changed);
    assert_false(odds.has_position);
    OK(store_stream_info(f->store, chat.id, &info, why));
    assert_int_equal(info.trimmed_seq, 2);
    OK(store_dedup_load(f->store, chat.id, keys_visit, &keys, why));
    assert_int_equal(keys.count, 4);
    assert_int_equal(keys.last, 5);
    store_info(f->store, &all);
    assert_int_equal(all.newest_seq, 8);
    assert_int_equal(all.reserved_seq, 1000);
    OK(store_states(f->store, note, text, why));
    assert_string_equal(text, states);
}

static void upgrade(const char *golden, const char *states)
{
    struct store_state state = {.key = SLICE("new"), .value = SLICE("v")};
    struct fixture f;
    char with[200];

    fixture_init(&f);
    copy_golden(&f, golden);
    fixture_open(&f);
    expect_golden(&f, states);
    fixture_reopen(&f); /* of this format now */
    expect_golden(&f, states);
    OK(store_append_with(f.store, NULL, 0, &state, 1, 9, 0, why));
    snprintf(with, sizeof with, "%snew=v@9 %s", states[0] ? "dial/x=@777 " : "",
             states[0] ? "stream/chat={\"a\":1}@777 " : "");
    fixture_reopen(&f);
    expect_golden(&f, with);
    fixture_fini(&f);
}

static void format_1(void **state)
{
    (void)state;
    upgrade(GOLDEN "format1.mdb", "dial/x=@777 stream/chat={\"a\":1}@777 ");
}

/* As it was before anything was saved. */
static void format_1_without_states(void **state)
{
    (void)state;
    upgrade(GOLDEN "format1_no_states.mdb", "");
}

/* It dies, or fails, in the middle: the old store is there, and is upgraded the next time. */
static int fail_nth(void *arg, enum store_fault point)
{
    unsigned *left = arg;

    (void)point;
    return *left > 0 && --*left == 0 ? EIO : 0;
}

static void an_upgrade_that_fails_is_done_again(void **state)
{
    (void)state;
    for (unsigned at = 1; at <= 3; at++) {
        struct error err = {0};
        struct fixture f;
        unsigned left = at;

        fixture_init(&f);
        copy_golden(&f, GOLDEN "format1_no_states.mdb");
        f.options.fault = fail_nth;
        f.options.fault_arg = &left;
        assert_int_equal(store_open(&f.options, &f.store, &err), ERR_IO);
        f.store = NULL;
        left = 0;
        fixture_open(&f);
        expect_golden(&f, "");
        fixture_fini(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_1),
        cmocka_unit_test(format_1_without_states),
        cmocka_unit_test(an_upgrade_that_fails_is_done_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
