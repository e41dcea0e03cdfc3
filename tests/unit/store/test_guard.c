/* Deaths inside the store: known at the next start, which checks it before it is used. */
#include "store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/rng.h"
#include "store/internal.h"

enum { RECORDS = 120, DAMAGES = 150 };

static void lock_text(struct fixture *f, char text[256])
{
    char name[128];
    ssize_t n;
    int fd;

    snprintf(name, sizeof name, "%s/lock", f->path);
    fd = open(name, O_RDONLY);
    assert_true(fd >= 0);
    n = read(fd, text, 255);
    assert_true(n >= 0);
    text[n] = '\0';
    close(fd);
}

static bool noted(struct fixture *f, const char *how)
{
    char text[256], line[128];

    lock_text(f, text);
    snprintf(line, sizeof line, "\nsuspect: %s", how);
    return strstr(text, line) != NULL;
}

/* As a death leaves it. */
static void note_death(struct fixture *f)
{
    static const char text[] = "1\nsuspect: a death by SIGBUS\n";
    char name[128];
    int fd;

    snprintf(name, sizeof name, "%s/lock", f->path);
    fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
}

/* Records of all sizes, a saved state, and free pages. */
static void fill(struct fixture *f)
{
    static char line[9000];
    struct store_state state = {.key = SLICE("dial/x"), .value = SLICE("value")};
    unsigned id = open_stream(f, "chat", 8).id;
    bool more = true;

    memset(line, 'x', sizeof line);
    for (uint64_t seq = 1; seq <= RECORDS; seq++) {
        struct store_record r = record(seq, id, "");

        r.line = slice_make(line, seq % 10 == 0 ? sizeof line : 20 + seq * 7);
        r.has_key = true;
        memcpy(r.key, &seq, sizeof seq);
        OK(store_append_with(f->store, &r, 1, &state, 1, 1, seq + 100, why));
    }
    OK(store_retain(f->store, 0, &more, why));
}

static void in_child(struct fixture *f, void (*work)(struct fixture *f))
{
    int status;
    pid_t pid;

    fixture_close(f);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int quiet = open("/dev/null", O_WRONLY); /* a sanitizer says what it thinks of it */

        dup2(quiet, STDERR_FILENO);
        signal(SIGSEGV, SIG_DFL); /* cmocka's would go on with the tests */
        signal(SIGBUS, SIG_DFL);
        if (store_open(&f->options, &f->store, NULL) != 0)
            _exit(0);
        work(f);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_not_equal(status, 0);
}

static bool die_visiting(void *arg, const struct store_event *event)
{
    (void)arg;
    (void)event;
    raise(SIGSEGV);
    return false;
}

static void die_inside(struct fixture *f)
{
    struct store_read read = {.to_seq = UINT64_MAX, .visit = die_visiting, .max_visits = 1};

    select_all(&read);
    store_read(f->store, &read, NULL);
}

static void die_outside(struct fixture *f)
{
    (void)f;
    raise(SIGSEGV);
}

/* The file is cut under the map. */
static void die_of_the_map(struct fixture *f)
{
    struct transcript t;
    char name[128];

    snprintf(name, sizeof name, "%s/data.mdb", f->path);
    if (truncate(name, 2 * 4096) == 0)
        read_text(f->store, &t, 0, UINT64_MAX, SIZE_MAX, NULL);
}

static bool count_visit(void *arg, const struct store_event *event)
{
    (void)event;
    ++*(size_t *)arg;
    return true;
}

static size_t count_events(struct fixture *f, int *status)
{
    size_t count = 0;
    struct store_read read = {
        .to_seq = UINT64_MAX, .visit = count_visit, .arg = &count, .max_visits = SIZE_MAX};

    select_all(&read);
    *status = store_read(f->store, &read, NULL);
    return count;
}

static void a_sound_store_is_checked_and_opened(void **state)
{
    struct fixture *f = *state;
    int status;

    fill(f);
    in_child(f, die_inside);
    assert_true(noted(f, "a death by SIGSEGV\n"));
    fixture_open(f);
    assert_false(noted(f, ""));
    assert_int_equal(count_events(f, &status), RECORDS);
    assert_int_equal(status, 0);
}

static void a_death_elsewhere_leaves_no_note(void **state)
{
    struct fixture *f = *state;

    fill(f);
    in_child(f, die_outside);
    assert_false(noted(f, ""));
    fixture_open(f);
}

static void a_damaged_store_stays_shut(void **state)
{
    struct fixture *f = *state;

    fill(f);
    in_child(f, die_of_the_map);
    assert_true(noted(f, "a death by SIGBUS\n"));
    for (unsigned i = 0; i < 2; i++) {
        struct error err = {0};

        assert_int_equal(store_open(&f->options, &f->store, &err), ERR_CORRUPT);
        f->store = NULL;
        assert_non_null(strstr(err.text, "outside of the file"));
        assert_non_null(strstr(err.text, "move the directory away"));
        assert_true(noted(f, "a death by SIGBUS\n"));
    }
}

static void an_assertion_is_noted(void **state)
{
    struct fixture *f = *state;

    store_on_assert(f->store->env, "outside");
    assert_false(noted(f, ""));
    store_enter(f->store);
    store_on_assert(f->store->env, "mdb.c:1: Assertion 'x' failed in y()\nand more");
    store_leave();
    assert_true(noted(f, "mdb.c:1: Assertion 'x' failed in y()\n"));
    fixture_reopen(f);
    assert_false(noted(f, ""));
}

static void pages_that_LMDB_finds_damaged_are_suspected(void **state)
{
    struct fixture *f = *state;
    char name[128];
    uint8_t zeros[4096] = {0};
    int fd, status;
    struct error err = {0};

    fill(f);
    snprintf(name, sizeof name, "%s/data.mdb", f->path);
    fixture_reopen(f);
    fd = open(name, O_RDWR);
    assert_true(fd >= 0);
    /* All but the two heads and the end. */
    for (off_t at = 2 * 4096; at < 40 * 4096; at += 4096)
        assert_int_equal(pwrite(fd, zeros, sizeof zeros, at), sizeof zeros);
    close(fd);
    assert_true(count_events(f, &status) < RECORDS);
    assert_int_equal(status, ERR_IO);
    assert_true(noted(f, "MDB_"));
    fixture_close(f);
    assert_int_equal(store_open(&f->options, &f->store, &err), ERR_CORRUPT);
    f->store = NULL;
    assert_non_null(strstr(err.text, "it is not the page that it should be"));
}

/* The whole file, to be damaged and put back. */
struct image {
    uint8_t bytes[4 * LIMIT_MIB];
    size_t size;
    char name[128];
};

static void image_load(struct image *image, struct fixture *f)
{
    ssize_t n;
    int fd;

    snprintf(image->name, sizeof image->name, "%s/data.mdb", f->path);
    fd = open(image->name, O_RDONLY);
    assert_true(fd >= 0);
    n = read(fd, image->bytes, sizeof image->bytes);
    assert_in_range(n, 1, sizeof image->bytes - 1);
    image->size = (size_t)n;
    close(fd);
}

static void image_save(const struct image *image)
{
    int fd = open(image->name, O_WRONLY | O_TRUNC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, image->bytes, image->size), image->size);
    close(fd);
}

static struct image image;

static void a_damaged_record_does_not_shut_it(void **state)
{
    struct fixture *f = *state;
    unsigned id = open_stream(f, "chat", 0).id;
    struct store_record r[2] = {record(1, id, "good line"), record(2, id, "some bad line")};
    uint8_t *at;
    int status;

    OK(store_append(f->store, r, 2, 0, why));
    fixture_close(f);
    image_load(&image, f);
    at = memmem(image.bytes, image.size, "some bad line", 13);
    assert_non_null(at);
    at[3] ^= 1;
    image_save(&image);
    note_death(f);
    fixture_open(f);
    assert_false(noted(f, ""));
    assert_int_equal(count_events(f, &status), 1);
    assert_int_equal(status, ERR_CORRUPT);
}

static void use_damaged(struct fixture *f)
{
    struct store_stream_options o = {
        .name = "chat", .fingerprint = SLICE("fp"), .dedup_window = 8, .retain_size_bytes = 65536};
    struct store_stream_state s;
    struct store_info info;
    bool more;
    int status;

    count_events(f, &status);
    store_info(f->store, &info);
    if (info.newest_seq < UINT64_MAX && store_stream_open(f->store, &o, &s, NULL) == 0) {
        struct store_record r = record(info.newest_seq + 1, s.id, "after the damage");

        store_append(f->store, &r, 1, 0, NULL);
        store_retain(f->store, 0, &more, NULL);
    }
    fixture_close(f);
}

/* Whatever byte it is: the check says so, or the store can be used without a crash. */
static void damage_anywhere_kills_nobody(void **state)
{
    const char *given = getenv("HAWSER_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    static struct image sound;
    struct fixture *f = *state;
    size_t shut = 0, used = 0;
    struct rng rng;

    print_message("HAWSER_SEED=%llu\n", (unsigned long long)seed);
    rng_seed(&rng, seed);
    fill(f);
    fixture_close(f);
    image_load(&sound, f);
    for (unsigned i = 0; i < DAMAGES; i++) {
        size_t page = rng_below(&rng, sound.size / 4096) * 4096;
        struct error err = {0};

        image = sound;
        /* Half of them where the structure is: at a page's beginning. */
        page += rng_below(&rng, rng_chance(&rng, 1, 2) ? 64 : 4096);
        image.bytes[page] ^= (uint8_t)(1 + rng_below(&rng, 255));
        image_save(&image);
        note_death(f);
        if (store_open(&f->options, &f->store, &err) == 0) {
            use_damaged(f);
            used++;
        } else {
            f->store = NULL;
            shut++;
            if (err.code != ERR_CORRUPT)
                fail_msg("%s: %s", error_name(err.code), err.text);
        }
    }
    print_message("%zu shut, %zu used\n", shut, used);
    assert_true(shut > 0 && used > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_store(a_sound_store_is_checked_and_opened),
        with_store(a_death_elsewhere_leaves_no_note),
        with_store(a_damaged_store_stays_shut),
        with_store(an_assertion_is_noted),
        with_store(pages_that_LMDB_finds_damaged_are_suspected),
        with_store(a_damaged_record_does_not_shut_it),
        with_store(damage_anywhere_kills_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
