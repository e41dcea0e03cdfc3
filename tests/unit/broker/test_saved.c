/* What outlives the process: saved before it is granted, taken up again, or as if there were none.
 */
#include "unit/broker/rig.h"
#include "unit/nomem.h"

static const struct profile limited = {
    .limits = {.connects = {2, 300000}, .scope = PROFILE_SCOPE_CREDENTIAL}};

static void open_again(struct rig *rig)
{
    if (rig->broker != NULL)
        rig_close(rig);
    rig_open(rig, &(struct rig_options){0});
    rig_add(rig, &limited, "h:443", "me");
    rig_restore(rig);
}

static void open_first(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    rig->now_ms = 1000000;
    open_again(rig);
}

static bool is_granted(struct rig *rig)
{
    unsigned before = rig->clients[0].granted;
    rig_ask(rig, 0);
    rig_settle(rig);
    return rig->clients[0].granted > before;
}

static void fail_once(struct rig *rig)
{
    assert_true(is_granted(rig));
    broker_ended(rig->clients[0].broker, BROKER_LINK, rig->now_ms);
}

static void test_nothing_before_it_is_saved(void **state)
{
    struct rig rig;
    (void)state;
    open_first(&rig);
    rig_ask(&rig, 0);
    rig_run(&rig);
    assert_int_equal(rig.saved, 1);
    rig_run(&rig);
    assert_int_equal(rig.clients[0].granted, 0);
    broker_saved(rig.broker, rig.ticket - 1, rig.now_ms); /* another's */
    rig_run(&rig);
    assert_int_equal(rig.clients[0].granted, 0);
    rig_flush(&rig);
    assert_int_equal(rig.clients[0].granted, 0); /* by broker_run() alone */
    rig_run(&rig);
    assert_int_equal(rig.clients[0].granted, 1);
    assert_int_equal(rig.saved, 1);
    rig_close(&rig);
}

static void test_what_is_lost_is_saved_anew(void **state)
{
    struct rig rig;
    (void)state;
    open_first(&rig);
    rig_ask(&rig, 0);
    rig_run(&rig);
    uint64_t lost = rig.ticket;
    broker_unsaved(rig.broker, rig.now_ms);
    broker_saved(rig.broker, lost, rig.now_ms); /* not that one, it is gone */
    rig_run(&rig);
    assert_int_equal(rig.clients[0].granted, 0);
    assert_int_equal(rig.saved, 2);
    assert_true(rig.ticket > lost);
    rig_flush(&rig);
    rig_run(&rig);
    assert_int_equal(rig.clients[0].granted, 1);
    rig_close(&rig);
}

static void test_a_crash_loop_dials_no_more(void **state)
{
    struct rig rig;
    (void)state;
    open_first(&rig);
    fail_once(&rig);
    rig.now_ms += 1000;
    open_again(&rig);
    fail_once(&rig);
    for (unsigned i = 0; i < 10; i++) {
        rig.now_ms += 1000;
        open_again(&rig);
        assert_false(is_granted(&rig));
        assert_string_equal(rig.clients[0].why,
                            "limits.connects: 2 of 2 in 5m used by this credential");
    }
    /* The first was under way when it was last saved: it counts to the restart after. */
    assert_int_equal(rig.clients[0].later_ms, 1001000 + 300000);
    rig_at(&rig, 1001000 + 300000 - 1);
    assert_int_equal(rig.clients[0].granted, 0);
    rig_at(&rig, 1001000 + 300000);
    assert_int_equal(rig.clients[0].granted, 1);
    rig_close(&rig);
}

/* What was under way at the crash is over after a minute, however long the daemon was down. */
static void test_a_long_downtime(void **state)
{
    struct rig rig;
    (void)state;
    open_first(&rig);
    fail_once(&rig);
    fail_once(&rig);
    rig.now_ms += 300000 + 60000 - 1;
    open_again(&rig);
    assert_true(is_granted(&rig)); /* the first has left the window, */
    broker_ended(rig.clients[0].broker, BROKER_LINK, rig.now_ms);
    assert_false(is_granted(&rig)); /* the second not yet */
    rig_at(&rig, rig.now_ms + 1);
    assert_int_equal(rig.clients[0].granted, 2);
    rig_close(&rig);
}

static void test_the_wall_clock_is_set_back(void **state)
{
    struct rig rig;
    (void)state;
    open_first(&rig);
    fail_once(&rig);
    fail_once(&rig);
    rig.saves[0].disk_ms += 1000000000; /* as if saved long from now */
    open_again(&rig);
    int64_t restart = rig.now_ms;
    assert_false(is_granted(&rig));
    rig_at(&rig, restart + 300000 - 1);
    assert_int_equal(rig.clients[0].granted, 0);
    rig_at(&rig, restart + 300000);
    assert_int_equal(rig.clients[0].granted, 1);
    rig_close(&rig);
}

static void test_extreme_clocks(void **state)
{
    static const int64_t agos[] = {INT64_MIN, -1, 0, INT64_MAX};
    struct rig rig;
    (void)state;
    open_first(&rig);
    fail_once(&rig);
    fail_once(&rig);
    for (unsigned i = 0; i < 4; i++) {
        rig_close(&rig);
        rig_open(&rig, &(struct rig_options){0});
        rig_add(&rig, &limited, "h:443", "me");
        const struct rig_save *save = &rig.saves[0];
        broker_restore(rig.broker, slice_str(save->key),
                       slice_make((const char *)save->disk, save->disk_size), agos[i]);
        assert_int_equal(is_granted(&rig), agos[i] == INT64_MAX);
    }
    rig_close(&rig);
}

/* Any byte changed, any length: as if nothing had been saved, and never anything worse. */
static void test_damage(void **state)
{
    struct rig rig;
    struct rig_save good;
    (void)state;
    open_first(&rig);
    fail_once(&rig);
    fail_once(&rig);
    good = rig.saves[0];
    open_again(&rig);
    assert_false(is_granted(&rig));
    for (size_t i = 0; i < 2 * good.disk_size; i++) {
        rig.saves[0] = good;
        if (i < good.disk_size)
            rig.saves[0].disk[i] ^= 0x5a;
        else
            rig.saves[0].disk_size = i - good.disk_size;
        open_again(&rig);
        assert_true(is_granted(&rig));
    }
    rig.saves[0] = good;
    rig.saves[0].disk_size++;
    open_again(&rig);
    assert_true(is_granted(&rig));
    rig.saves[0] = good;
    rig.saves[0].key[strlen(good.key) - 1] ^= 1; /* another's */
    open_again(&rig);
    assert_true(is_granted(&rig));
    rig_close(&rig);
}

/* The fullest scope fits, and says after a restart what it said before, or a little more. */
static void test_the_fullest(void **state)
{
    static const struct profile large = {.limits = {.connects = {BROKER_COUNT_MAX, 3600000},
                                                    .sessions = {BROKER_COUNT_MAX, 3600000},
                                                    .scope = PROFILE_SCOPE_STREAM}};
    static struct rig rig;
    (void)state;
    memset(&rig, 0, sizeof(rig));
    rig.now_ms = 1000000;
    rig_open(&rig, &(struct rig_options){0});
    rig_add(&rig, &large, "h:443", "me");
    for (unsigned i = 0; i < BROKER_COUNT_MAX; i++) {
        assert_true(is_granted(&rig));
        broker_session(rig.clients[0].broker, rig.now_ms);
        broker_ended(rig.clients[0].broker, BROKER_LINK, rig.now_ms);
        rig.now_ms += 100;
    }
    rig_settle(&rig);
    assert_in_range(rig.saves[0].disk_size, 3000, BROKER_SAVED_MAX);
    rig_close(&rig);
    rig_open(&rig, &(struct rig_options){0});
    rig_add(&rig, &large, "h:443", "me");
    rig_restore(&rig);
    assert_false(is_granted(&rig));
    assert_in_range(rig.clients[0].later_ms, 1000000 + 3600000, 1000000 + 3600000 + 100000);
    rig_close(&rig);
}

static void test_memory_is_taken_when_clients_are_made(void **state)
{
    struct rig rig;
    static const struct profile all = {.limits = {.connects = {3, 1000},
                                                  .sessions = {3, 1000},
                                                  .sends = {3, 1000},
                                                  .links = 2,
                                                  .scope = PROFILE_SCOPE_HOST}};
    (void)state;
    open_first(&rig);
    for (unsigned i = 0; i < 8; i++)
        rig_add(&rig, &all, "h", "c");
    unsigned long before = nomem_count;
    for (unsigned i = 0; i < 200; i++) {
        struct broker_client *client = rig.clients[i % 8].broker;
        broker_ask(client, (enum broker_slot)(i % 3), i % 5 == 0, rig.now_ms);
        rig_at(&rig, rig.now_ms + 500);
        broker_opened(client, (enum broker_slot)(i % 3), rig.now_ms);
        broker_session(client, rig.now_ms);
        (void)broker_send(client, rig.now_ms);
        broker_switched(client);
        broker_unsaved(rig.broker, rig.now_ms);
        broker_drop(client, BROKER_FALLBACK, rig.now_ms);
        broker_ended(client, (enum broker_slot)(i % 3), rig.now_ms);
    }
    assert_int_equal(nomem_count, before);
    assert_true(rig.n_granted > 20);
    rig_close(&rig);
}

static void test_a_stream_whose_limits_are_its_own_is_saved_under_its_name(void **state)
{
    static const struct profile own = {
        .limits = {.connects = {2, 300000}, .scope = PROFILE_SCOPE_STREAM}};
    struct rig rig;
    char key[BROKER_KEY];
    (void)state;
    rig_open(&rig, &(struct rig_options){0});
    rig_add(&rig, &own, "h:443", "me");
    broker_stream_key("a", key);
    assert_string_equal(broker_unrestored(rig.clients[0].broker), key);
    broker_stream_key("b", key);
    assert_string_not_equal(broker_unrestored(rig.clients[0].broker), key);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_before_it_is_saved),
        cmocka_unit_test(test_what_is_lost_is_saved_anew),
        cmocka_unit_test(test_a_crash_loop_dials_no_more),
        cmocka_unit_test(test_a_long_downtime),
        cmocka_unit_test(test_the_wall_clock_is_set_back),
        cmocka_unit_test(test_extreme_clocks),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_the_fullest),
        cmocka_unit_test(test_a_stream_whose_limits_are_its_own_is_saved_under_its_name),
        cmocka_unit_test(test_memory_is_taken_when_clients_are_made),
    };

    nomem_here = true;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
