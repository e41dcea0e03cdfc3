/* The decisions about a credential, played through: each line is an event and what is to be done.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/vault_core.h"

static struct vault_core core;
static int64_t now_ms;

static const char *describe(unsigned todo)
{
    static const char *const names[] = {"cancel", "mark", "ask",     "store",   "use",
                                        "tell",   "fail", "give-up", "unstored"};
    static char text[100];

    text[0] = '\0';
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (todo & 1u << i)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s",
                     text[0] != '\0' ? " " : "", names[i]);
    }
    return text;
}

/* "want", "marked", "marked!" (not written), "lost", "unsent", "tick" ... and what follows. */
static void play(const char *event, const char *expected)
{
    unsigned todo = 0;

    now_ms += 10;
    if (strcmp(event, "want") == 0)
        todo = vault_core_want(&core, now_ms);
    else if (strncmp(event, "marked", 6) == 0)
        todo = vault_core_marked(&core, event[6] == '\0', now_ms);
    else if (strcmp(event, "answered") == 0)
        todo = vault_core_answered(&core, now_ms);
    else if (strcmp(event, "lost") == 0)
        todo = vault_core_lost(&core, true, now_ms);
    else if (strcmp(event, "unsent") == 0)
        todo = vault_core_lost(&core, false, now_ms);
    else if (strcmp(event, "refused") == 0)
        todo = vault_core_refused(&core, now_ms);
    else if (strncmp(event, "stored", 6) == 0)
        todo = vault_core_stored(&core, event[6] == '\0', now_ms);
    else if (strcmp(event, "replaced") == 0)
        todo = vault_core_replaced(&core, now_ms);
    else if (strcmp(event, "keep") == 0)
        todo = vault_core_keep(&core, now_ms);
    else if (strcmp(event, "tick") == 0) {
        assert_true(vault_core_deadline_ms(&core) != INT64_MAX);
        if (now_ms < vault_core_deadline_ms(&core))
            now_ms = vault_core_deadline_ms(&core);
        todo = vault_core_tick(&core, now_ms);
    } else {
        fail_msg("no event: %s", event);
    }
    if (strcmp(describe(todo), expected) != 0)
        fail_msg("%s: \"%s\" where \"%s\" was expected", event, describe(todo), expected);
}

static void begin(bool rotates, unsigned asks)
{
    now_ms = 1000000;
    vault_core_init(&core, rotates, asks);
}

static void expect_rest(void)
{
    assert_int_equal(core.state, VAULT_IDLE);
    assert_true(vault_core_deadline_ms(&core) == INT64_MAX);
}

static void test_without_rotation(void **state)
{
    begin(false, 0);
    play("want", "ask");
    play("want", ""); /* one flight for all */
    play("answered", "use tell");
    expect_rest();
    play("want", "ask");
    play("lost", "fail"); /* nothing is gone: as often as one likes */
    play("want", "ask");
    play("lost", "fail");
    play("want", "ask");
    play("refused", "fail");
}

static void test_stored_before_use(void **state)
{
    begin(true, 0);
    play("want", "mark");
    play("want", "");
    play("marked", "ask");
    play("want", "");
    play("answered", "store");
    play("want", "");
    play("stored", "use tell");
    assert_int_equal(core.asks, 0);
    expect_rest();
}

static void test_lost_once_and_twice(void **state)
{
    begin(true, 0);
    play("want", "mark");
    play("marked", "ask");
    play("lost", "");
    assert_true(vault_core_deadline_ms(&core) == now_ms + VAULT_PAUSE_MS);
    play("want", "");
    play("tick", "mark");
    assert_int_equal(core.asks, 2);
    play("marked", "ask");
    play("lost", "fail give-up");
    expect_rest();
    play("want", "mark"); /* somebody insists */
    play("marked", "ask");
    play("lost", "fail give-up");
    play("want", "mark");
    play("marked", "ask");
    play("answered", "store");
    play("stored", "use tell");
    play("want", "mark"); /* and all is forgotten */
    assert_int_equal(core.asks, 1);
}

/* As the disk says after a crash at each place. */
static void test_crashes(void **state)
{
    begin(true, 1); /* between mark and answer: once more */
    play("want", "mark");
    assert_int_equal(core.asks, 2);
    play("marked", "ask");
    play("lost", "fail give-up");

    begin(true, 2); /* and again: no third of itself */
    play("want", "fail give-up");
    play("want", "mark");
    play("marked", "ask");
    play("answered", "store");
    play("stored", "use tell");

    begin(true, 2);
    play("replaced", ""); /* a new source: all anew */
    play("want", "mark");
    assert_int_equal(core.asks, 1);
}

static void test_not_sent_and_refused(void **state)
{
    begin(true, 0);
    play("want", "mark");
    play("marked", "ask");
    play("unsent", "fail");
    assert_int_equal(core.asks, 0);
    play("want", "mark");
    play("marked", "ask");
    play("refused", "mark fail");
    play("want", ""); /* after the write that is under way */
    play("marked", "mark");
    play("marked", "ask");
    play("answered", "store");
    play("stored", "use tell");
}

static void test_disk_fails(void **state)
{
    begin(true, 0);
    play("want", "mark");
    play("marked!", "fail"); /* what could not be kept is not asked for */
    assert_int_equal(core.asks, 0);
    play("want", "mark");
    play("marked", "ask");
    play("answered", "store");
    play("stored!", "use tell unstored"); /* the old one is void: better this than nothing */
    play("tick", "store");
    play("stored!", ""); /* said once */
    play("tick", "store");
    play("want", "");
    play("stored", "mark");
    play("marked", "ask");
    play("answered", "store");
    play("stored", "use tell");
    expect_rest();
}

static void test_replaced_meanwhile(void **state)
{
    begin(true, 0);
    play("want", "mark");
    play("replaced", "");
    play("marked", "");
    expect_rest();
    play("want", "mark");
    play("marked", "ask");
    play("replaced", "cancel");
    expect_rest();
    play("answered", "");
    play("want", "mark");
    play("marked", "ask");
    play("lost", "");
    play("replaced", "");
    expect_rest();
    play("want", "mark");
    play("marked", "ask");
    play("answered", "store");
    play("replaced", "");
    play("stored", "use tell");
}

static void test_keep(void **state)
{
    begin(false, 0);
    play("keep", "");
    begin(true, 0);
    play("keep", "store");
    play("keep", "");
    play("stored", "");
    play("want", "mark");
    play("keep", "");
    play("marked", "ask");
    play("refused", "mark fail");
    play("marked", "");
    play("tick", "store");
    play("stored", "");
    expect_rest();
}

static void test_lifetime(void **state)
{
    begin(false, 0);
    vault_core_lifetime(&core, now_ms, now_ms + 100000, 0.8, now_ms);
    assert_true(vault_core_deadline_ms(&core) == now_ms + 80000);
    play("tick", "ask");
    play("lost", "fail");
    assert_true(vault_core_deadline_ms(&core) == now_ms + VAULT_AGAIN_MS);
    play("tick", "ask");
    play("answered", "use tell");
    vault_core_lifetime(&core, now_ms, INT64_MAX, 0.8, now_ms);
    expect_rest();

    /* Late already, or nonsense: soon, and no sooner. */
    vault_core_lifetime(&core, now_ms - 100, now_ms - 50, 0.8, now_ms);
    assert_true(vault_core_deadline_ms(&core) == now_ms + VAULT_SOON_MS);
    vault_core_lifetime(&core, now_ms, now_ms - 50, 0.8, now_ms);
    assert_true(vault_core_deadline_ms(&core) == now_ms + VAULT_SOON_MS);

    /* Refused, or given up: it would say the same again. */
    vault_core_lifetime(&core, now_ms, now_ms + 100000, 0.8, now_ms);
    play("want", "ask");
    play("refused", "fail");
}

/* Any order of events that can happen: at most one write and one request at a time, an answer is
 * used only when it is stored or storing has failed, and whoever wants is told in the end. */
static void test_random(void **state)
{
    unsigned seed = 1;
    const char *given = getenv("VAULT_SEED");

    if (given != NULL)
        seed = (unsigned)atoi(given);
    srand(seed);
    print_message("seed %u\n", seed);
    begin(true, 0);
    bool asking = false, writing = false, storing = false, wanted = false;
    for (int i = 0; i < 200000; i++) {
        unsigned todo = 0;
        int event = rand() % 8;

        now_ms += rand() % 2000;
        if (event == 0) {
            wanted = true;
            todo = vault_core_want(&core, now_ms);
        } else if (event == 1 && writing && !storing) {
            writing = false;
            todo = vault_core_marked(&core, rand() % 8 != 0, now_ms);
        } else if (event == 1 && writing) {
            writing = storing = false;
            todo = vault_core_stored(&core, rand() % 8 != 0, now_ms);
        } else if (event == 2 && asking) {
            asking = false;
            todo = vault_core_answered(&core, now_ms);
            assert_false(todo & VAULT_DO_USE);
        } else if (event == 3 && asking) {
            asking = false;
            todo = vault_core_lost(&core, rand() % 2 == 0, now_ms);
        } else if (event == 4 && asking) {
            asking = false;
            todo = vault_core_refused(&core, now_ms);
        } else if (event == 5 && rand() % 8 == 0) {
            todo = vault_core_replaced(&core, now_ms);
            if (wanted && core.state == VAULT_IDLE && rand() % 2 == 0)
                wanted = false; /* the source has what is wanted */
            else if (wanted)
                todo |= vault_core_want(&core, now_ms);
        } else if (event == 6 && rand() % 4 == 0) {
            todo = vault_core_keep(&core, now_ms);
        } else if (now_ms >= vault_core_deadline_ms(&core)) {
            todo = vault_core_tick(&core, now_ms);
        }
        if (todo & VAULT_DO_CANCEL) {
            assert_true(asking);
            asking = false;
        }
        if (todo & (VAULT_DO_MARK | VAULT_DO_STORE)) {
            assert_false(writing);
            writing = true;
            storing = (todo & VAULT_DO_STORE) != 0;
        }
        if (todo & VAULT_DO_ASK) {
            assert_false(asking);
            assert_false(writing);
            asking = true;
        }
        if (todo & (VAULT_DO_TELL | VAULT_DO_FAIL))
            wanted = false;
        assert_true(core.asks <= VAULT_ASKS_MAX);
        assert_true(!wanted || core.state != VAULT_IDLE);
        assert_int_equal(core.writing, writing);
        /* Never stuck: something is under way, or there is a deadline, or nobody wants anything. */
        assert_true(core.state == VAULT_IDLE || asking || writing ||
                    vault_core_deadline_ms(&core) != INT64_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_rotation),
        cmocka_unit_test(test_stored_before_use),
        cmocka_unit_test(test_lost_once_and_twice),
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_not_sent_and_refused),
        cmocka_unit_test(test_disk_fails),
        cmocka_unit_test(test_replaced_meanwhile),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_lifetime),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
