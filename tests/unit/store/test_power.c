/*
 * The power is cut at any moment. What the store wrote to its disk is played back up to there, with
 * any part of what no sync had confirmed left out, page by page and sector by sector; the store
 * then opens, and holds every batch that was confirmed, at most the one under way besides, and goes
 * on.
 */
#include "disk.h"
#include "scenario.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/rng.h"
#include "store/internal.h"

enum {
    BATCHES = 24,
    SECTOR = 512,
    IMAGE_MAX = 4 * LIMIT_MIB,
    RETAIN_EVERY = 3,
    FORGETTING_BATCHES = 5
};

/* How many batches had been confirmed when that many operations had been done. */
struct confirmed {
    size_t ops[BATCHES];
    size_t created; /* the store was there */
};

/* ---- recording ---- */

static void record_life(struct fixture *f, struct confirmed *confirmed)
{
    unsigned ids[2];
    bool more;

    disk_record(true);
    fixture_open(f);
    confirmed->created = disk_count();
    OK((int)scenario_open_streams(f, ids, why));
    for (unsigned n = 0; n < BATCHES; n++) {
        OK(scenario_append(f, n, ids, why));
        confirmed->ops[n] = disk_count();
        if (n % RETAIN_EVERY == 0)
            OK(store_retain(f->store, 0, &more, why));
    }
    fixture_close(f);
    disk_record(false);
}

/* ---- playing back ---- */

struct image {
    uint8_t *bytes;
    size_t size;
};

static void put(struct image *image, const struct disk_op *op, size_t from, size_t len)
{
    size_t end = (size_t)op->offset + from + len;

    assert_true(end <= IMAGE_MAX);
    memcpy(image->bytes + op->offset + from, op->bytes + from, len);
    if (end > image->size)
        image->size = end;
}

enum loss { LOSE_ALL, LOSE_NOTHING, LOSE_WRITES, LOSE_SECTORS, LOSSES };

/* One that was not confirmed: it is there, or a part of it, or not. */
static void put_unsynced(struct image *image, const struct disk_op *op, enum loss loss,
                         struct rng *rng)
{
    bool whole = loss == LOSE_NOTHING || (loss == LOSE_WRITES && rng_chance(rng, 1, 2));

    if (whole)
        put(image, op, 0, op->size);
    if (loss != LOSE_SECTORS)
        return;
    for (size_t at = 0; at < op->size;) {
        size_t in_sector = SECTOR - ((size_t)op->offset + at) % SECTOR;
        size_t len = op->size - at < in_sector ? op->size - at : in_sector;

        if (rng_chance(rng, 1, 2))
            put(image, op, at, len);
        at += len;
    }
}

/* The medium when `cut` operations had begun; the last of them need not have ended. */
static void play(struct image *image, size_t cut, enum loss loss, struct rng *rng)
{
    size_t synced = 0;

    memset(image->bytes, 0, IMAGE_MAX);
    image->size = 0;
    for (size_t i = 0; i + 1 < cut; i++) {
        if (disk_op(i)->kind == DISK_SYNC)
            synced = i;
    }
    for (size_t i = 0; i < cut; i++) {
        const struct disk_op *op = disk_op(i);

        if (op->kind == DISK_WRITE) {
            if (i < synced || (op->direct && i + 1 < cut))
                put(image, op, 0, op->size);
            else
                put_unsynced(image, op, loss, rng);
        } else if (op->kind == DISK_SETSIZE && i < synced) {
            image->size = (size_t)op->offset;
        }
    }
}

static void write_image(const struct fixture *f, const struct image *image)
{
    char name[128];
    int fd;

    mkdir(f->path, 0700);
    snprintf(name, sizeof name, "%s/data.mdb", f->path);
    fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, image->bytes, image->size), image->size);
    close(fd);
}

/* ---- judging ---- */

static void judge(struct fixture *f, size_t cut, const struct confirmed *confirmed)
{
    unsigned least = 0, batches, ids[2];

    while (least < BATCHES && confirmed->ops[least] < cut)
        least++;
    fixture_open(f);
    batches = scenario_check(f);
    assert_in_range(batches, least, least + 1);
    OK((int)scenario_open_streams(f, ids, why));
    OK(scenario_append(f, batches, ids, why));
    assert_int_equal(scenario_check(f), batches + 1);
    fixture_close(f);
}

static void the_power_is_cut_anywhere(void **state)
{
    const char *given = getenv("HAWSER_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    struct image image = {.bytes = test_malloc(IMAGE_MAX)};
    struct confirmed confirmed = {0};
    struct fixture life, after;
    struct rng rng;
    unsigned cuts = 0;

    (void)state;
    print_message("HAWSER_SEED=%llu\n", (unsigned long long)seed);
    rng_seed(&rng, seed);
    fixture_init(&life);
    life.options.no_sync = false;
    record_life(&life, &confirmed);
    fixture_fini(&life);
    assert_true(confirmed.created < disk_count());
    fixture_init(&after);
    /* It was moved to its place when all of it was confirmed. */
    for (size_t cut = confirmed.created + 1; cut <= disk_count(); cut++) {
        for (enum loss loss = 0; loss < LOSSES; loss++) {
            play(&image, cut, loss, &rng);
            write_image(&after, &image);
            judge(&after, cut, &confirmed);
            cuts++;
        }
    }
    print_message("%u cuts of %zu operations\n", cuts, disk_count());
    fixture_fini(&after);
    disk_forget();
    test_free(image.bytes);
}

/* While a store is being made there is none: a new one is made the next time. */
static void the_power_is_cut_while_the_store_is_made(void **state)
{
    static const char *const names[] = {"new.mdb", "new.mdb-lock"};
    struct image image = {.bytes = test_malloc(IMAGE_MAX)};
    struct confirmed confirmed = {0};
    struct fixture life, after;
    struct rng rng;
    char name[128], from[128];

    (void)state;
    rng_seed(&rng, 1);
    fixture_init(&life);
    life.options.no_sync = false;
    record_life(&life, &confirmed);
    fixture_fini(&life);
    fixture_init(&after);
    assert_true(confirmed.created > 4);
    for (size_t cut = 0; cut <= confirmed.created; cut++) {
        for (enum loss loss = 0; loss < LOSSES; loss++) {
            play(&image, cut, loss, &rng);
            write_image(&after, &image);
            snprintf(from, sizeof from, "%s/data.mdb", after.path);
            snprintf(name, sizeof name, "%s/new.mdb", after.path);
            assert_int_equal(rename(from, name), 0);
            fixture_open(&after);
            assert_int_equal(scenario_check(&after), 0);
            fixture_close(&after);
            assert_int_equal(unlink(from), 0);
            for (size_t i = 0; i < 2; i++) {
                snprintf(name, sizeof name, "%s/%s", after.path, names[i]);
                assert_int_not_equal(access(name, F_OK), 0);
            }
        }
    }
    fixture_fini(&after);
    disk_forget();
    test_free(image.bytes);
}

/* ---- forgetting ---- */

/* Stream a is removed, its events go, and then it goes itself; returns when that began. */
static size_t record_forgetting(struct fixture *f)
{
    static const char *const names[] = {"b"};
    uint64_t kept[STORE_ID_WORDS];
    size_t begun;
    unsigned ids[2];
    bool more = true;

    disk_record(true);
    fixture_open(f);
    OK((int)scenario_open_streams(f, ids, why));
    for (unsigned n = 0; n < FORGETTING_BATCHES; n++)
        OK(scenario_append(f, n, ids, why));
    fixture_reopen(f);
    begun = disk_count();
    store_streams_keep(f->store, names, 1, kept);
    f->store->streams[ids[0]]->row.retain_size_bytes = 1;
    while (more)
        OK(store_retain(f->store, 0, &more, why));
    OK(store_retain(f->store, 0, &more, why));
    fixture_close(f);
    disk_record(false);
    return begun;
}

/* It is there with all that goes with it, or all of that is gone. */
static bool judge_forgetting(struct fixture *f)
{
    const uint64_t newest = FORGETTING_BATCHES * SCENARIO_PER_BATCH;
    struct store_stream_state s;
    struct store_info info;
    struct keys keys = {0};
    bool there;

    fixture_open(f);
    store_info(f->store, &info);
    assert_true(info.reserved_seq >= newest);
    s = open_stream(f, "a", SCENARIO_WINDOW);
    there = s.has_position;
    OK(store_dedup_load(f->store, s.id, keys_visit, &keys, why));
    assert_int_equal(keys.count, there ? SCENARIO_WINDOW : 0);
    assert_int_equal(s.newest_seq, there ? newest - 1 : 0);
    s = open_stream(f, "b", SCENARIO_WINDOW);
    assert_true(s.has_position);
    assert_int_equal(s.newest_seq, newest);
    fixture_close(f);
    return there;
}

static void the_power_is_cut_while_a_stream_is_forgotten(void **state)
{
    struct image image = {.bytes = test_malloc(IMAGE_MAX)};
    struct fixture life, after;
    size_t begun, there = 0, gone = 0;
    struct rng rng;

    (void)state;
    rng_seed(&rng, 1);
    fixture_init(&life);
    life.options.no_sync = false;
    begun = record_forgetting(&life);
    fixture_fini(&life);
    fixture_init(&after);
    for (size_t cut = begun + 1; cut <= disk_count(); cut++) {
        for (enum loss loss = 0; loss < LOSSES; loss++) {
            play(&image, cut, loss, &rng);
            write_image(&after, &image);
            ++*(judge_forgetting(&after) ? &there : &gone);
        }
    }
    assert_true(there > 0 && gone > 0);
    fixture_fini(&after);
    disk_forget();
    test_free(image.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_power_is_cut_anywhere),
        cmocka_unit_test(the_power_is_cut_while_the_store_is_made),
        cmocka_unit_test(the_power_is_cut_while_a_stream_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
