/* Saved states on their way through the hub: tickets, one value a key, bounds, loss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/hub.h"

struct probe {
    struct hub *hub;
    struct hub_stream *stream;
    const struct hub_batch *flying;
    unsigned wanted, room, told, published;
    uint64_t ticket; /* as last told */
    bool lost;
    const char *again; /* saved under "again" when told */
};

static void on_commit(void *arg, const struct hub_batch *batch)
{
    struct probe *probe = arg;
    assert_null(probe->flying);
    probe->flying = batch;
}

static void on_published(void *arg)
{
    ((struct probe *)arg)->published++;
}

static void on_room(void *arg)
{
    ((struct probe *)arg)->room++;
}

static void on_wanted(void *arg)
{
    ((struct probe *)arg)->wanted++;
}

static void on_saved(void *arg, uint64_t ticket, bool lost)
{
    struct probe *probe = arg;
    assert_true(ticket > probe->ticket);
    probe->told++;
    probe->ticket = ticket;
    probe->lost = lost;
    if (probe->again != NULL)
        hub_save(probe->hub, SLICE("again"), slice_str(probe->again));
    probe->again = NULL;
}

static const struct hub_ops ops = {.commit = on_commit,
                                   .published = on_published,
                                   .room = on_room,
                                   .wanted = on_wanted,
                                   .saved = on_saved};

static void open_hub(struct probe *probe, uint64_t commit_bytes)
{
    struct hub_options options = {.ring_bytes = 1 << 20,
                                  .ring_entries = 2 * HUB_BATCH_RECORDS,
                                  .commit_bytes = commit_bytes,
                                  .page_bytes = commit_bytes != 0 ? 4096 : 0,
                                  .ops = &ops,
                                  .ops_arg = probe};
    *probe = (struct probe){0};
    assert_int_equal(hub_new(&options, &probe->hub), 0);
    assert_int_equal(hub_stream_new(probe->hub, "chat", 0, SLICE(""), &probe->stream), 0);
}

static int put(struct probe *probe)
{
    struct flow_event event = {.data = SLICE("1")};
    return hub_event(probe->hub, probe->stream, &event);
}

static uint64_t save(struct probe *probe, const char *key, const char *value)
{
    return hub_save(probe->hub, slice_str(key),
                    value != NULL ? slice_str(value) : (struct slice){NULL, 0});
}

static void land(struct probe *probe, int status)
{
    assert_non_null(probe->flying);
    probe->flying = NULL;
    hub_committed(probe->hub, status);
}

static void test_the_newest_of_a_key(void **state)
{
    struct probe probe;
    (void)state;
    open_hub(&probe, 0);
    uint64_t first = save(&probe, "a", "1");
    assert_true(first > 0);
    assert_int_equal(probe.wanted, 1);
    assert_true(save(&probe, "b", "2") > first);
    uint64_t last = save(&probe, "a", "a longer one");
    hub_flush(probe.hub);
    assert_int_equal(probe.flying->n_states, 2);
    assert_int_equal(probe.flying->count, 0);
    assert_true(slice_eq_str(probe.flying->states[0].key, "a"));
    assert_true(slice_eq_str(probe.flying->states[0].value, "a longer one"));
    assert_true(slice_eq_str(probe.flying->states[1].value, "2"));
    assert_int_equal(probe.told, 0);
    land(&probe, 0);
    assert_int_equal(probe.told, 1);
    assert_int_equal(probe.ticket, last);
    assert_false(probe.lost);
    assert_true(hub_idle(probe.hub));
    hub_free(probe.hub);
}

static void test_values_are_copied(void **state)
{
    struct probe probe;
    char key[] = "key", value[] = "value";
    (void)state;
    open_hub(&probe, 0);
    assert_true(save(&probe, key, value) > 0);
    memset(key, 'x', 3);
    memset(value, 'x', 5);
    assert_true(save(&probe, "gone", NULL) > 0);
    assert_true(save(&probe, "empty", "") > 0);
    hub_flush(probe.hub);
    assert_true(slice_eq_str(probe.flying->states[0].key, "key"));
    assert_true(slice_eq_str(probe.flying->states[0].value, "value"));
    assert_null(probe.flying->states[1].value.ptr);
    assert_non_null(probe.flying->states[2].value.ptr);
    assert_int_equal(probe.flying->states[2].value.len, 0);
    hub_free(probe.hub);
}

/* What is on its way to disk stays as it is while the next batch is filled. */
static void test_one_batch_flies_while_the_next_is_filled(void **state)
{
    struct probe probe;
    (void)state;
    open_hub(&probe, 0);
    uint64_t first = save(&probe, "a", "1");
    hub_flush(probe.hub);
    uint64_t second = save(&probe, "a", "2");
    assert_true(slice_eq_str(probe.flying->states[0].value, "1"));
    assert_false(hub_idle(probe.hub));
    unsigned wanted = probe.wanted;
    land(&probe, 0);
    assert_int_equal(probe.ticket, first);
    assert_true(probe.wanted > wanted);
    hub_flush(probe.hub);
    assert_true(slice_eq_str(probe.flying->states[0].value, "2"));
    land(&probe, 0);
    assert_int_equal(probe.ticket, second);
    hub_free(probe.hub);
}

/* They go with events, and make haste; a batch without any tells nobody. */
static void test_states_and_events(void **state)
{
    struct probe probe;
    (void)state;
    open_hub(&probe, 0);
    assert_int_equal(put(&probe), 0);
    assert_false(hub_starved(probe.hub));
    save(&probe, "a", "1");
    assert_true(hub_starved(probe.hub));
    hub_flush(probe.hub);
    assert_false(hub_starved(probe.hub));
    assert_int_equal(probe.flying->count, 1);
    assert_int_equal(probe.flying->n_states, 1);
    land(&probe, 0);
    assert_int_equal(probe.told, 1);
    assert_int_equal(put(&probe), 0);
    hub_flush(probe.hub);
    assert_int_equal(probe.flying->n_states, 0);
    land(&probe, 0);
    assert_int_equal(probe.told, 1);
    hub_free(probe.hub);
}

/* A notice need not wait for a commit that has nothing for consumers. */
static void test_states_hold_up_no_notice(void **state)
{
    struct probe probe;
    (void)state;
    open_hub(&probe, 0);
    save(&probe, "a", "1");
    hub_flush(probe.hub);
    hub_notice(probe.hub, probe.stream, SLICE("notice\n"));
    assert_int_equal(probe.published, 1);
    land(&probe, 0);
    hub_free(probe.hub);
}

static void test_as_many_keys_as_a_batch_takes(void **state)
{
    struct probe probe;
    char key[16];
    (void)state;
    open_hub(&probe, 0);
    for (unsigned i = 0; i < HUB_BATCH_STATES; i++) {
        snprintf(key, sizeof(key), "%u", i);
        assert_true(save(&probe, key, "v") > 0);
    }
    assert_int_equal(save(&probe, "one more", "v"), 0);
    assert_true(save(&probe, "7", "a key that is there") > 0);
    hub_flush(probe.hub);
    assert_int_equal(probe.flying->n_states, HUB_BATCH_STATES);
    assert_true(save(&probe, "one more", "v") > 0);
    assert_int_equal(probe.room, 0);
    land(&probe, 0);
    assert_int_equal(probe.room, 1);
    hub_free(probe.hub);
}

static void test_the_longest_key_and_value(void **state)
{
    static char value[STORE_STATE_VALUE];
    struct probe probe;
    char key[STORE_STATE_KEY];
    (void)state;
    memset(key, 'k', sizeof(key));
    open_hub(&probe, 256 * 1024); /* the least that the daemon gives */
    for (unsigned i = 0; i < 3; i++) {
        assert_true(hub_save(probe.hub, slice_make(key, sizeof(key)),
                             slice_make(value, sizeof(value))) > 0);
        /* Its place in the commit is its own, however often it is saved. */
    }
    assert_int_equal(hub_save(probe.hub, SLICE("b"), slice_make(value, sizeof(value))), 0);
    assert_true(save(&probe, "c", "small") > 0);
    hub_flush(probe.hub);
    assert_int_equal(probe.flying->states[0].key.len, STORE_STATE_KEY);
    assert_int_equal(probe.flying->states[0].value.len, STORE_STATE_VALUE);
    assert_int_equal(probe.flying->n_states, 2);
    land(&probe, 0);
    assert_int_equal(probe.room, 1);
    hub_free(probe.hub);
}

static void test_what_is_lost(void **state)
{
    struct probe probe;
    (void)state;
    open_hub(&probe, 0);
    save(&probe, "a", "1");
    hub_flush(probe.hub);
    uint64_t last = save(&probe, "b", "2"); /* in the batch behind, which is dropped too */
    probe.again = "too early";
    land(&probe, ERR_IO);
    assert_int_equal(probe.told, 1);
    assert_int_equal(probe.ticket, last);
    assert_true(probe.lost);
    assert_int_equal(save(&probe, "a", "1"), 0);
    hub_reopen(probe.hub, 0, 0);
    assert_true(probe.room > 0);
    uint64_t anew = save(&probe, "a", "1");
    assert_true(anew > last);
    hub_flush(probe.hub);
    assert_int_equal(probe.flying->n_states, 1);
    probe.again = "now";
    land(&probe, 0);
    assert_int_equal(probe.ticket, anew);
    assert_false(probe.lost);
    hub_flush(probe.hub);
    assert_true(slice_eq_str(probe.flying->states[0].value, "now"));
    hub_free(probe.hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_newest_of_a_key),
        cmocka_unit_test(test_values_are_copied),
        cmocka_unit_test(test_one_batch_flies_while_the_next_is_filled),
        cmocka_unit_test(test_states_and_events),
        cmocka_unit_test(test_states_hold_up_no_notice),
        cmocka_unit_test(test_as_many_keys_as_a_batch_takes),
        cmocka_unit_test(test_the_longest_key_and_value),
        cmocka_unit_test(test_what_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
