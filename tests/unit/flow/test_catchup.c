/* Hold, catch-up, release: nothing lost, nothing twice, in order, whenever the sink refuses. */
#include "unit/flow/rig.h"

static struct flow_page_result page_end(struct rig *rig)
{
    struct flow_page_result page;

    flow_page_end(rig->flow, &page);
    return page;
}

static void test_hold_and_release(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    flow_hold(rig.flow);
    assert_int_equal(live(&rig, "a", "1"), FLOW_DUPLICATE); /* known: need not wait */
    assert_int_equal(live(&rig, "d", "4"), FLOW_HELD_FIRST);
    assert_int_equal(live(&rig, "e", "5"), FLOW_HELD);
    assert_int_equal(live(&rig, "e", "5"), FLOW_HELD); /* falls out on release */
    assert_int_equal(stats_of(&rig).held_events, 3);
    assert_position(&rig, "1");
    flow_page_begin(rig.flow);
    assert_int_equal(item(&rig, "a", "1"), FLOW_DUPLICATE);
    assert_int_equal(item(&rig, "b", "2"), FLOW_EMITTED);
    assert_int_equal(item(&rig, "c", "3"), FLOW_EMITTED);
    assert_false(page_end(&rig).reached_hold);
    flow_page_begin(rig.flow);
    assert_int_equal(item(&rig, "d", "4"), FLOW_EMITTED);
    assert_true(page_end(&rig).reached_hold);
    assert_log(&rig, "!a@1+ b@2+ c@3+ d@4+ ");
    assert_false(flow_releasing(rig.flow));
    assert_int_equal(flow_release(rig.flow), 0);
    assert_false(flow_releasing(rig.flow));
    assert_int_equal(live(&rig, "f", "6"), FLOW_EMITTED);
    assert_log(&rig, "!e@5+ !f@6+ ");
    assert_int_equal(stats_of(&rig).held_events, 0);
    assert_int_equal(stats_of(&rig).held_bytes, 0);
    rig_close(&rig);
}

static void test_page_counts(void **state)
{
    struct profile_message message = message_of("x", "9");
    struct flow_page_result page;
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    flow_page_begin(rig.flow);
    item(&rig, "a", "1");
    item(&rig, "b", "2");
    rig.refuse_at = 1;
    assert_int_equal(item(&rig, "c", "3"), FLOW_AGAIN); /* counts once only */
    item(&rig, "c", "3");
    message.event = false;
    assert_int_equal(flow_item(rig.flow, FLOW_VIA_SYNC, &message, 0), FLOW_IGNORED);
    page = page_end(&rig);
    assert_int_equal(page.items, 4);
    assert_int_equal(page.fresh, 2);
    assert_false(page.reached_hold);
    flow_page_begin(rig.flow);
    page = page_end(&rig);
    assert_int_equal(page.items, 0);
    assert_int_equal(page.fresh, 0);
    assert_false(page.reached_hold); /* nothing is held that it could come to */
    rig_close(&rig);
}

static void test_pages_of_duplicates_move_on(void **state)
{
    struct rig rig;

    /* The link gives ids only, so the stored position lags. */
    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_OPAQUE);
    live(&rig, "a", NULL);
    live(&rig, "b", NULL);
    flow_hold(rig.flow);
    flow_page_begin(rig.flow);
    assert_int_equal(item(&rig, "a", "p1"), FLOW_DUPLICATE);
    assert_position(&rig, "p1");
    assert_int_equal(item(&rig, "b", "p2"), FLOW_DUPLICATE);
    assert_position(&rig, "p2");
    assert_log(&rig, "!a !b ");
    rig_close(&rig);
}

static void test_int_reaches_by_position(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    flow_reset(rig.flow, SLICE("100"));
    flow_hold(rig.flow);
    /* Unkeyed, and one behind us: neither says where the hold begins. */
    assert_int_equal(live(&rig, NULL, NULL), FLOW_HELD_FIRST);
    assert_int_equal(live(&rig, "late", "90"), FLOW_HELD);
    assert_int_equal(live(&rig, "same", "100"), FLOW_HELD);
    flow_page_begin(rig.flow);
    item(&rig, "b", "101");
    assert_false(page_end(&rig).reached_hold);
    live(&rig, "e", "104");
    live(&rig, "f", "105");
    flow_page_begin(rig.flow);
    item(&rig, "c", "103");
    assert_false(page_end(&rig).reached_hold);
    flow_page_begin(rig.flow);
    assert_false(page_end(&rig).reached_hold); /* empty, but something is awaited */
    flow_page_begin(rig.flow);
    item(&rig, "g", "106"); /* past it, though it was never returned itself */
    assert_true(page_end(&rig).reached_hold);
    flow_page_begin(rig.flow);
    assert_true(page_end(&rig).reached_hold); /* stays so */
    flow_hold(rig.flow);
    live(&rig, "h", "107");
    flow_page_begin(rig.flow);
    assert_false(page_end(&rig).reached_hold);
    rig_close(&rig);
}

static void test_opaque_reaches_by_id_or_position(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_OPAQUE);
    flow_hold(rig.flow);
    live(&rig, NULL, NULL);
    flow_page_begin(rig.flow);
    item(&rig, "a", "p9");
    assert_false(page_end(&rig).reached_hold);
    flow_page_begin(rig.flow);
    assert_false(page_end(&rig).reached_hold); /* nothing keyed is held */
    live(&rig, "d", "p4");
    flow_page_begin(rig.flow);
    assert_false(page_end(&rig).reached_hold);
    item(&rig, "d", NULL);
    assert_true(page_end(&rig).reached_hold);

    flow_hold(rig.flow);
    live(&rig, NULL, "p5");
    flow_page_begin(rig.flow);
    item(&rig, "x", "p6");
    assert_false(page_end(&rig).reached_hold);
    item(&rig, "y", "p5");
    assert_true(page_end(&rig).reached_hold);
    rig_close(&rig);
}

static void test_an_item_refused_reaches_nothing(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    flow_hold(rig.flow);
    live(&rig, "a", "1");
    flow_page_begin(rig.flow);
    rig.refuse_at = 1;
    assert_int_equal(item(&rig, "a", "1"), FLOW_AGAIN);
    assert_false(page_end(&rig).reached_hold);
    item(&rig, "a", "1");
    assert_true(page_end(&rig).reached_hold);
    rig_close(&rig);
}

static struct flow_page_result empty_page(struct rig *rig)
{
    flow_page_begin(rig->flow);
    return page_end(rig);
}

/* What the link has shown and was dropped is owed until sync brings it, by number or by key. */
static void test_sync_owes_what_was_dropped(void **state)
{
    static const enum profile_compare compares[] = {PROFILE_COMPARE_INT, PROFILE_COMPARE_OPAQUE};

    for (int i = 0; i < 2; i++) {
        struct rig rig;

        rig_open(&rig, PROFILE_DEDUP_ID, compares[i]);
        flow_hold(rig.flow);
        assert_false(empty_page(&rig).owed);
        live(&rig, "a", "1");
        live(&rig, "b", "2");
        flow_hold(rig.flow); /* the link ended, or the hold was full */
        assert_true(empty_page(&rig).owed);
        assert_false(empty_page(&rig).reached_hold);
        item(&rig, "a", "1");
        assert_true(empty_page(&rig).owed);
        item(&rig, "b", "2");
        assert_false(empty_page(&rig).owed);
        flow_discard(rig.flow);
        live(&rig, "b", "2"); /* known */
        assert_false(empty_page(&rig).owed);
        live(&rig, "c", "3");
        assert_true(empty_page(&rig).owed);
        assert_int_equal(flow_release(rig.flow), 0); /* the session has waited long enough */
        assert_false(empty_page(&rig).owed);
        rig_close(&rig);
    }
}

static void test_sync_owes_what_the_store_lost(void **state)
{
    static const enum profile_compare compares[] = {PROFILE_COMPARE_INT, PROFILE_COMPARE_OPAQUE};

    for (int i = 0; i < 2; i++) {
        uint8_t key[16];
        struct rig rig;

        rig_open(&rig, PROFILE_DEDUP_ID, compares[i]);
        live(&rig, "a", "1");
        memcpy(key, rig.last.key, sizeof key);
        flow_reset(rig.flow, SLICE("1"));
        flow_dedup_load(rig.flow, key);
        assert_false(empty_page(&rig).owed); /* nothing was lost */
        live(&rig, "b", "2");
        flow_reset(rig.flow, SLICE("1"));
        flow_dedup_load(rig.flow, key);
        flow_hold(rig.flow);
        assert_true(empty_page(&rig).owed);
        item(&rig, "b", "2");
        assert_false(empty_page(&rig).owed);
        flow_release(rig.flow);
        /* Once paid it stays so, however far the window moves on. */
        for (int n = 0; n < 1000; n++) {
            char id[16];

            snprintf(id, sizeof id, "x%d", n);
            item(&rig, id, NULL);
        }
        assert_false(empty_page(&rig).owed);
        /* What was held when the store failed is newer than what was emitted. */
        live(&rig, "y", "8");
        flow_hold(rig.flow);
        live(&rig, "z", "9");
        flow_reset(rig.flow, SLICE("2"));
        item(&rig, "y", "8");
        assert_true(empty_page(&rig).owed);
        item(&rig, "z", "9");
        assert_false(empty_page(&rig).owed);
        /* Without a position there is nothing to ask sync for. */
        live(&rig, "zz", "10");
        flow_reset(rig.flow, slice_make(NULL, 0));
        flow_hold(rig.flow);
        assert_false(empty_page(&rig).owed);
        rig_close(&rig);
    }
}

static void test_without_positions_the_key_is_owed(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    flow_hold(rig.flow);
    live(&rig, "a", NULL);
    live(&rig, NULL, NULL);
    flow_hold(rig.flow);
    assert_true(empty_page(&rig).owed);
    item(&rig, "a", "1");
    assert_false(empty_page(&rig).owed);
    flow_hold(rig.flow);
    live(&rig, "b", NULL);
    flow_forget(rig.flow);
    flow_hold(rig.flow);
    assert_false(empty_page(&rig).owed);
    rig_close(&rig);
}

static void test_discard(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    flow_hold(rig.flow);
    live(&rig, "a", "1");
    flow_discard(rig.flow);
    assert_int_equal(live(&rig, "b", "2"), FLOW_DISCARDED);
    assert_int_equal(stats_of(&rig).discarded, 2);
    assert_int_equal(stats_of(&rig).held_events, 0);
    assert_int_equal(item(&rig, "a", "1"), FLOW_EMITTED); /* sync delivers meanwhile */
    assert_int_equal(flow_release(rig.flow), 0);
    assert_int_equal(live(&rig, "b", "2"), FLOW_EMITTED);
    assert_log(&rig, "a@1+ !b@2+ ");
    rig_close(&rig);
}

static void test_a_hold_begun_anew_is_empty(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    flow_hold(rig.flow);
    assert_int_equal(live(&rig, "a", "1"), FLOW_HELD_FIRST);
    flow_hold(rig.flow);
    assert_int_equal(live(&rig, "b", "2"), FLOW_HELD_FIRST);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "!b@2+ ");
    rig_close(&rig);
}

/* Messages of one size, so that a hold of n times that size takes n. */
static void test_full_at_exactly_the_bound(void **state)
{
    struct profile_message message = message_of("one", NULL);
    struct rig rig;
    size_t each;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    flow_hold(rig.flow);
    live(&rig, "one", NULL);
    each = stats_of(&rig).held_bytes;
    rig_close(&rig);

    rig_open_with(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT, 16, 3 * each);
    for (int round = 0; round < 2; round++) {
        flow_hold(rig.flow);
        assert_int_equal(live(&rig, "one", NULL), FLOW_HELD_FIRST);
        assert_int_equal(live(&rig, "two", NULL), FLOW_HELD);
        assert_int_equal(live(&rig, "six", NULL), FLOW_HELD);
        assert_int_equal(stats_of(&rig).held_bytes, 3 * each);
        assert_int_equal(live(&rig, "ten", NULL), FLOW_HELD_FULL);
    }
    rig_close(&rig);

    rig_open_with(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT, 16, 3 * each - 1);
    flow_hold(rig.flow);
    assert_int_equal(live(&rig, "one", NULL), FLOW_HELD_FIRST);
    assert_int_equal(live(&rig, "two", NULL), FLOW_HELD);
    message.data = SLICE("a payload that takes more room than any of the others");
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, message.data, false, 0),
                     FLOW_HELD_FULL);
    /* There is a hole now: what is smaller must not slip in behind it. */
    message = message_of(NULL, NULL);
    message.type = message.data = SLICE("");
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, message.data, false, 0),
                     FLOW_HELD_FULL);
    flow_hold(rig.flow);
    assert_int_equal(live(&rig, "ten", NULL), FLOW_HELD_FIRST);
    rig_close(&rig);
}

static void test_what_comes_while_releasing_queues_behind(void **state)
{
    struct profile_message ephemeral = message_of(NULL, NULL);
    struct rig rig;
    size_t each;

    ephemeral.ephemeral = true;
    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    flow_hold(rig.flow);
    live(&rig, "a", "1");
    each = stats_of(&rig).held_bytes;
    rig_close(&rig);

    rig_open_with(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT, 16, 3 * each);
    flow_hold(rig.flow);
    live(&rig, "a", "1");
    live(&rig, "b", "2");
    rig.refuse_at = 2;
    assert_int_equal(flow_release(rig.flow), ERR_AGAIN);
    assert_true(flow_releasing(rig.flow));
    assert_log(&rig, "!a@1+ ");
    assert_int_equal(live(&rig, "c", "3"), FLOW_HELD);
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &ephemeral, SLICE("{}"), false, 0),
                     FLOW_DISCARDED);
    assert_int_equal(live(&rig, "d", "4"), FLOW_HELD);
    assert_int_equal(live(&rig, "e", "5"), FLOW_AGAIN); /* the link must wait */
    rig.refuse_at = 2;
    assert_int_equal(flow_release(rig.flow), ERR_AGAIN);
    assert_log(&rig, "!b@2+ ");
    assert_int_equal(live(&rig, "e", "5"), FLOW_HELD);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_false(flow_releasing(rig.flow));
    assert_int_equal(live(&rig, "f", "6"), FLOW_EMITTED);
    assert_log(&rig, "!c@3+ !d@4+ !e@5+ !f@6+ ");
    rig_close(&rig);
}

static void test_malformed_and_binary_survive_the_hold(void **state)
{
    struct profile_message message = {.event = true, .json = true};
    char fault[] = "id is too long";
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    flow_hold(rig.flow);
    message.fault = fault;
    flow_message(rig.flow, FLOW_LINK, &message, SLICE("\0\1"), true, 7);
    memset(fault, 'x', sizeof fault - 1);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_string_equal(rig.last_malformed, "id is too long");
    assert_int_equal(rig.last.data_kind, FLOW_DATA_BINARY);
    assert_int_equal(rig.last.received_us, 7);
    rig_close(&rig);
}

/*
 * One whole catch-up, in which the sink refuses its k-th call. Whatever is refused is offered
 * again, as the engine does; the outcome is the same for every k.
 */
static bool catch_up(int k)
{
    static const char *const live_ids[] = {"c", "e", "f", "f", "g", "h"};
    static const char *const live_positions[] = {"3", "5", "6", "6", "7", "8"};
    static const char *const items[] = {"b", "c", "d", "e"};
    static const char *const item_positions[] = {"2", "3", "4", "5"};
    struct rig rig;
    bool refused;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    flow_reset(rig.flow, SLICE("1"));
    flow_hold(rig.flow);
    rig.refuse_at = k;
    for (int i = 0; i < 4; i++)
        live(&rig, live_ids[i], live_positions[i]);
    flow_page_begin(rig.flow);
    for (int i = 0; i < 4; i++)
        while (item(&rig, items[i], item_positions[i]) == FLOW_AGAIN)
            continue;
    assert_true(page_end(&rig).reached_hold);
    assert_int_equal(page_end(&rig).fresh, 4);
    if (flow_release(rig.flow) != 0) {
        assert_int_equal(live(&rig, live_ids[4], live_positions[4]), FLOW_HELD);
        assert_int_equal(flow_release(rig.flow), 0);
    }
    for (int i = 4; i < 6; i++)
        while (live(&rig, live_ids[i], live_positions[i]) == FLOW_AGAIN)
            continue;
    refused = k > 0 && rig.refuse_at == 0;
    assert_log(&rig, "b@2+ c@3+ d@4+ e@5+ !f@6+ !g@7+ !h@8+ ");
    assert_position(&rig, "8");
    rig_close(&rig);
    return refused;
}

static void test_the_sink_refuses_its_kth_call(void **state)
{
    int k = 1;

    while (catch_up(k))
        k++;
    assert_int_equal(k, 8); /* seven events, so seven calls could be refused */
}

static void test_what_is_missing_keeps_its_place(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    flow_missing(rig.flow, FLOW_LINK); /* while messages pass: at once */
    assert_log(&rig, "!a@1+ ? ");
    flow_hold(rig.flow);
    flow_missing(rig.flow, FLOW_LINK); /* before all that is held */
    live(&rig, "d", "4");
    flow_missing(rig.flow, FLOW_LINK); /* twice in the same place is once */
    flow_missing(rig.flow, FLOW_LINK);
    live(&rig, "f", "6");
    flow_page_begin(rig.flow);
    item(&rig, "b", "2");
    item(&rig, "d", "4");
    assert_true(page_end(&rig).reached_hold);
    assert_log(&rig, "b@2+ ? d@4+ ");
    rig.refuse_at = 1;
    assert_int_equal(flow_release(rig.flow), ERR_AGAIN);
    flow_missing(rig.flow, FLOW_LINK); /* behind what is still on its way out */
    assert_log(&rig, "? ");
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "!f@6+ ? ");
    rig_close(&rig);
}

static void test_what_is_missing_is_owed_with_the_hold(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    flow_hold(rig.flow);
    flow_missing(rig.flow, FLOW_LINK);
    live(&rig, "b", "2");
    flow_missing(rig.flow, FLOW_LINK);
    flow_hold(rig.flow); /* begun anew: sync brings it all */
    live(&rig, "d", "4");
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "!d@4+ ");
    flow_discard(rig.flow);
    flow_missing(rig.flow, FLOW_LINK); /* nothing is held that it could stand behind */
    assert_log(&rig, "? ");
    rig_close(&rig);
}

/* ---- doubt ---- */

/* What is known, and what belongs to the live edge alone, proves nothing and is not held. */
static void test_doubt_holds_the_first_new_event(void **state)
{
    struct profile_message typing = message_of(NULL, NULL);
    struct rig rig;

    typing.ephemeral = true;
    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    flow_hold(rig.flow);
    assert_int_equal(flow_release(rig.flow), 0);
    flow_doubt(rig.flow, true);
    assert_int_equal(live(&rig, "a", "1"), FLOW_DUPLICATE);
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &typing, typing.data, false, 0),
                     FLOW_EMITTED);
    assert_int_equal(live(&rig, "d", "4"), FLOW_DOUBT);
    assert_int_equal(live(&rig, "e", "5"), FLOW_HELD);
    flow_page_begin(rig.flow);
    item(&rig, "b", "2");
    assert_false(page_end(&rig).reached_hold);
    item(&rig, "d", "4");
    assert_true(page_end(&rig).reached_hold);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_int_equal(live(&rig, "g", "7"), FLOW_EMITTED);
    assert_log(&rig, "!a@1+ ~! b@2+ d@4+ !e@5+ !g@7+ ");
    rig_close(&rig);
}

static void test_doubt_is_over(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_OPAQUE);
    flow_doubt(rig.flow, true);
    flow_doubt(rig.flow, false);
    assert_int_equal(live(&rig, "a", "p1"), FLOW_EMITTED);
    flow_doubt(rig.flow, true);
    flow_forget(rig.flow); /* nothing to ask from */
    assert_int_equal(live(&rig, "b", "p2"), FLOW_EMITTED);
    flow_doubt(rig.flow, true);
    flow_reset(rig.flow, SLICE("p2"));
    assert_int_equal(live(&rig, "c", "p3"), FLOW_EMITTED);
    flow_doubt(rig.flow, true);
    flow_discard(rig.flow);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_int_equal(live(&rig, "d", "p4"), FLOW_EMITTED);
    rig_close(&rig);
}

/* One that is larger than the hold: sync owes it where sync has it, else it is all there is. */
static void test_doubt_where_nothing_fits(void **state)
{
    struct rig rig;

    rig_open_with(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT, 1000, 16);
    flow_doubt(rig.flow, true);
    assert_int_equal(live(&rig, NULL, NULL), FLOW_EMITTED);
    assert_int_equal(live(&rig, "b", "2"), FLOW_DOUBT);
    assert_true(empty_page(&rig).owed);
    item(&rig, "a", "1");
    item(&rig, "b", "2");
    assert_false(empty_page(&rig).owed);
    assert_int_equal(flow_release(rig.flow), 0);
    assert_log(&rig, "! a@1+ b@2+ ");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hold_and_release),
        cmocka_unit_test(test_page_counts),
        cmocka_unit_test(test_pages_of_duplicates_move_on),
        cmocka_unit_test(test_int_reaches_by_position),
        cmocka_unit_test(test_opaque_reaches_by_id_or_position),
        cmocka_unit_test(test_an_item_refused_reaches_nothing),
        cmocka_unit_test(test_sync_owes_what_was_dropped),
        cmocka_unit_test(test_sync_owes_what_the_store_lost),
        cmocka_unit_test(test_without_positions_the_key_is_owed),
        cmocka_unit_test(test_discard),
        cmocka_unit_test(test_a_hold_begun_anew_is_empty),
        cmocka_unit_test(test_full_at_exactly_the_bound),
        cmocka_unit_test(test_what_comes_while_releasing_queues_behind),
        cmocka_unit_test(test_malformed_and_binary_survive_the_hold),
        cmocka_unit_test(test_the_sink_refuses_its_kth_call),
        cmocka_unit_test(test_doubt_holds_the_first_new_event),
        cmocka_unit_test(test_doubt_is_over),
        cmocka_unit_test(test_doubt_where_nothing_fits),
        cmocka_unit_test(test_what_is_missing_keeps_its_place),
        cmocka_unit_test(test_what_is_missing_is_owed_with_the_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
