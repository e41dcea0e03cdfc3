/* The audit, where requests begin, learnt positions, and another epoch. */
#include "unit/flow/rig.h"

static void open_audit(struct rig *rig, enum profile_compare compare, int64_t overlap)
{
    *rig = (struct rig){.profile = {.dedup = PROFILE_DEDUP_ID,
                                    .compare = compare,
                                    .position.overlap = overlap,
                                    .catchup = {.via = PROFILE_CATCHUP_HTTP, .audit_ms = 60000}}};
    rig_open_profile(rig, 16, 65536);
}

/* Nothing is on disk, and the first event is too large to be: the next one's position is stored. A
 * service that is asked from the start once more may have thrown away what we had. */
static void test_the_first_cannot_be_stored(void **state)
{
    struct rig rig;

    open_audit(&rig, PROFILE_COMPARE_INT, 0);
    flow_start(rig.flow, SLICE("0"));
    rig.refuse_at = 1;
    rig.refuse_with = ERR_LIMIT;
    assert_int_equal(live(&rig, "a", "1"), FLOW_EMITTED);
    assert_int_equal(live(&rig, "a", "1"), FLOW_DUPLICATE);
    live(&rig, "b", "2");
    live(&rig, "c", "3");
    assert_log(&rig, "!b@2+ !c@3 ");
    assert_string_equal(rig.resume, "2");
    rig_close(&rig);
}

static void test_what_the_link_did_not_bring(void **state)
{
    struct rig rig;

    open_audit(&rig, PROFILE_COMPARE_INT, 0);
    live(&rig, "a", "1");
    live(&rig, "c", "3");
    live(&rig, "d", "4");
    assert_string_equal(rig.resume, "1"); /* the first there is; the rest is not audited yet */
    assert_resume(&rig, "1");
    assert_position(&rig, "4");
    assert_int_equal(audit(&rig, "b", "2", 1000), FLOW_SUSPECT);
    assert_int_equal(audit(&rig, "c", "3", 1000), FLOW_DUPLICATE);
    assert_resume(&rig, "1"); /* the same pages again */
    assert_int_equal(audit(&rig, "b", "2", 1000 + FLOW_SUSPECT_MS - 1), FLOW_SUSPECT);
    rig.refuse_at = 1;
    assert_int_equal(audit(&rig, "b", "2", 1000 + FLOW_SUSPECT_MS), FLOW_AGAIN);
    assert_int_equal(audit(&rig, "b", "2", 1000 + FLOW_SUSPECT_MS), FLOW_EMITTED);
    assert_int_equal(rig.last.via, FLOW_VIA_AUDIT);
    assert_string_equal(rig.resume, "2");
    assert_int_equal(audit(&rig, "c", "3", 20000), FLOW_DUPLICATE);
    assert_resume(&rig, "3");
    assert_int_equal(audit(&rig, "d", "4", 20000), FLOW_DUPLICATE);
    assert_int_equal(flow_since_audit(rig.flow), 4);
    flow_audited(rig.flow);
    assert_int_equal(flow_since_audit(rig.flow), 0);
    assert_resume(&rig, "4");
    assert_string_equal(rig.resume, "2"); /* stored with the next event */
    live(&rig, "e", "5");
    assert_string_equal(rig.resume, "4");
    assert_log(&rig, "!a@1+ !c@3 !d@4 b@2+ !e@5+ ");
    assert_int_equal(stats_of(&rig).audited, 1);
    assert_int_equal(stats_of(&rig).late, 0);
    assert_int_equal(flow_since_audit(rig.flow), 1);
    rig_close(&rig);
}

static void test_a_suspect_that_the_link_brings(void **state)
{
    struct rig rig;

    open_audit(&rig, PROFILE_COMPARE_OPAQUE, 0);
    live(&rig, "a", "p1");
    assert_int_equal(audit(&rig, "b", "p2", 0), FLOW_SUSPECT);
    assert_int_equal(audit(&rig, "c", "p3", 0), FLOW_SUSPECT);
    live(&rig, "b", "p2");
    live(&rig, "c", "p3");
    assert_int_equal(audit(&rig, "b", "p2", 10000), FLOW_DUPLICATE);
    assert_int_equal(audit(&rig, "c", "p3", 10000), FLOW_DUPLICATE);
    assert_position(&rig, "p3"); /* old ones do not lead it back */
    assert_resume(&rig, "p3");
    flow_audited(rig.flow);
    assert_resume(&rig, "p3");
    rig_close(&rig);
}

static void test_a_suspect_that_vanishes(void **state)
{
    struct rig rig;

    open_audit(&rig, PROFILE_COMPARE_INT, 0);
    live(&rig, "a", "1");
    live(&rig, "c", "3");
    assert_int_equal(audit(&rig, "b", "2", 0), FLOW_SUSPECT);
    assert_int_equal(audit(&rig, "c", "3", 10000), FLOW_DUPLICATE); /* retention took b */
    assert_resume(&rig, "1");
    flow_audited(rig.flow); /* the page had no suspects */
    assert_resume(&rig, "3");
    rig_close(&rig);
}

static void test_what_is_held_is_not_missing(void **state)
{
    struct profile_message message = message_of(NULL, NULL);
    struct rig rig;

    open_audit(&rig, PROFILE_COMPARE_INT, 0);
    live(&rig, "a", "1");
    flow_hold(rig.flow);
    live(&rig, "b", "2");
    assert_int_equal(audit(&rig, "b", "2", 0), FLOW_SUSPECT);
    assert_int_equal(audit(&rig, "b", "2", 90000), FLOW_SUSPECT);
    flow_release(rig.flow);
    assert_int_equal(audit(&rig, "b", "2", 90000), FLOW_DUPLICATE);
    assert_int_equal(audit(&rig, NULL, NULL, 0), FLOW_IGNORED);
    message.event = false;
    assert_int_equal(flow_audit_item(rig.flow, &message, 0, 0), FLOW_IGNORED);
    rig_close(&rig);
    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT); /* without an audit */
    assert_int_equal(audit(&rig, "b", "2", 90000), FLOW_IGNORED);
    assert_log(&rig, "");
    rig_close(&rig);
}

static void test_bound_of_suspects(void **state)
{
    struct rig rig;
    char id[16];

    open_audit(&rig, PROFILE_COMPARE_INT, 0);
    for (int i = 0; i <= FLOW_SUSPECTS_MAX; i++) {
        snprintf(id, sizeof id, "%d", i);
        assert_int_equal(audit(&rig, id, id, 0), FLOW_SUSPECT);
    }
    for (int i = 0; i <= FLOW_SUSPECTS_MAX; i++) {
        snprintf(id, sizeof id, "%d", i);
        rig.log[0] = '\0';
        assert_int_equal(audit(&rig, id, id, 10000),
                         i < FLOW_SUSPECTS_MAX ? FLOW_EMITTED : FLOW_SUSPECT);
    }
    assert_int_equal(audit(&rig, id, id, 20000), FLOW_EMITTED);
    rig_close(&rig);
}

static void test_a_catch_up_makes_whole(void **state)
{
    struct rig rig;

    open_audit(&rig, PROFILE_COMPARE_INT, 0);
    flow_reset(rig.flow, SLICE("10"));
    flow_hold(rig.flow);
    live(&rig, "e", "15");
    live(&rig, "g", "17");
    assert_resume(&rig, "10");
    item(&rig, "b", "12");
    assert_resume(&rig, "12"); /* the next page */
    assert_string_equal(rig.resume, "12");
    item(&rig, "e", "15");
    flow_release(rig.flow);
    assert_resume(&rig, "15"); /* what the link brought is not audited */
    assert_string_equal(rig.resume, "15");
    flow_audited(rig.flow);
    assert_resume(&rig, "15");
    /* The fallback too. */
    flow_discard(rig.flow);
    struct profile_message message = message_of("h", "18");
    assert_int_equal(flow_item(rig.flow, FLOW_VIA_SSE, &message, 0), FLOW_EMITTED);
    assert_int_equal(rig.last.via, FLOW_VIA_SSE);
    assert_int_equal(flow_item(rig.flow, FLOW_VIA_POLL, &message, 0), FLOW_DUPLICATE);
    assert_resume(&rig, "18");
    rig_close(&rig);
}

static void test_overlap(void **state)
{
    struct rig rig;

    for (int with_audit = 0; with_audit < 2; with_audit++) {
        open_audit(&rig, PROFILE_COMPARE_INT, 3);
        if (!with_audit) {
            rig_close(&rig);
            rig.profile.catchup.audit_ms = 0;
            rig_open_profile(&rig, 16, 65536);
        }
        flow_reset(rig.flow, SLICE("1001"));
        flow_hold(rig.flow);
        assert_resume(&rig, "998");
        item(&rig, "a", "999");
        assert_resume(&rig, "999"); /* a page within the overlap leads on */
        item(&rig, "c", "1002");
        assert_resume(&rig, "1002");
        flow_hold(rig.flow); /* anew */
        assert_resume(&rig, "999");
        flow_reset(rig.flow, SLICE("2"));
        assert_resume(&rig, "0");
        flow_forget(rig.flow);
        assert_resume(&rig, NULL);
        rig_close(&rig);
    }
    open_audit(&rig, PROFILE_COMPARE_OPAQUE, 3);
    flow_reset(rig.flow, SLICE("1001"));
    assert_resume(&rig, "1001"); /* it is no number */
    rig_close(&rig);
}

static void test_learnt(void **state)
{
    for (int with_audit = 0; with_audit < 2; with_audit++) {
        struct rig rig;

        open_audit(&rig, PROFILE_COMPARE_INT, 0);
        if (!with_audit) {
            rig_close(&rig);
            rig.profile.catchup.audit_ms = 0;
            rig_open_profile(&rig, 16, 65536);
        }
        flow_learn(rig.flow, SLICE(""));
        flow_learn(rig.flow, SLICE("ten"));
        assert_position(&rig, NULL);
        flow_learn(rig.flow, SLICE("10"));
        assert_position(&rig, "10");
        assert_resume(&rig, "10");
        flow_learn(rig.flow, SLICE("9")); /* never back */
        assert_position(&rig, "10");
        rig.refuse_at = 1;
        live(&rig, "old", "8");
        live(&rig, "old", "8");
        assert_string_equal(rig.resume, "10");
        live(&rig, "older", "7"); /* once is enough */
        assert_log(&rig, "!old@8+ !older@7 ");
        rig_close(&rig);
    }
}

/* ---- epochs ---- */

static void open_epoch(struct rig *rig, unsigned from, unsigned to)
{
    char text[16];

    rig_open_with(rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT, 64, 4096);
    for (unsigned i = from; i <= to; i++) {
        snprintf(text, sizeof text, "%u", i);
        live(rig, text, text);
    }
    rig->log[0] = '\0';
}

static void below(struct rig *rig, unsigned from, unsigned to)
{
    char id[16], position[16];

    for (unsigned i = from; i <= to; i++) {
        snprintf(id, sizeof id, "new%u", i);
        snprintf(position, sizeof position, "%u", i);
        assert_int_equal(live(rig, id, position), FLOW_EMITTED);
    }
}

static void test_another_epoch(void **state)
{
    struct rig rig;

    open_epoch(&rig, 1000, 1199);
    assert_int_equal(live(&rig, NULL, "1200"), FLOW_EMITTED);
    assert_log(&rig, "!@1200+ ");
    below(&rig, 1, 7);
    assert_position(&rig, "1200");
    assert_log(&rig, "!new1@1 !new2@2 !new3@3 !new4@4 !new5@5 !new6@6 !new7@7 ");
    rig.refuse_at = 1;
    struct profile_message message = message_of("new8", "8");
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, message.data, false, 0),
                     FLOW_AGAIN);
    below(&rig, 8, 9);
    assert_log(&rig, "?1200>8! !new8@8+ !new9@9+ ");
    assert_position(&rig, "9");
    /* Another event than the one that had this position. */
    assert_int_equal(live(&rig, NULL, "1200"), FLOW_EMITTED);
    assert_int_equal(live(&rig, "1199", "1199"), FLOW_DUPLICATE);
    rig_close(&rig);
}

static void test_no_epoch(void **state)
{
    struct profile_message message = message_of("row", "1");
    struct rig rig;

    open_epoch(&rig, 1000, 1200);
    below(&rig, 1, 7);
    assert_int_equal(live(&rig, "1200", "1200"), FLOW_DUPLICATE); /* a known one between */
    below(&rig, 8, 14);
    assert_int_equal(live(&rig, "up", "1201"), FLOW_EMITTED); /* one that goes up */
    below(&rig, 15, 21);
    live(&rig, "in", "1190"); /* one in the window */
    below(&rig, 22, 28);
    message.snapshot = true; /* rows of a snapshot may be old */
    for (int i = 0; i < 20; i++) {
        message.id = slice_make(&"abcdefghijklmnopqrstuvwxyz"[i], 1);
        flow_message(rig.flow, FLOW_LINK, &message, message.data, false, 0);
    }
    assert_position(&rig, "1201");
    live(&rig, NULL, "3"); /* no id */
    below(&rig, 29, 29);
    assert_position(&rig, "29");
    rig_close(&rig);
    /* Late, but within what the window holds. */
    open_epoch(&rig, 1000, 1040);
    below(&rig, 1000, 1020);
    assert_position(&rig, "1040");
    rig_close(&rig);
}

static void test_epoch_after_a_restart(void **state)
{
    uint8_t key[16] = {0};
    struct rig rig;

    open_epoch(&rig, 1, 1);
    flow_reset(rig.flow, SLICE("1000"));
    for (int i = 0; i < 50; i++) {
        key[0] = (uint8_t)i;
        flow_dedup_load(rig.flow, key);
    }
    below(&rig, 950, 970); /* they may be among the 50 */
    assert_position(&rig, "1000");
    below(&rig, 940, 947);
    assert_position(&rig, "947");
    rig_close(&rig);
}

static void test_an_audit_is_no_epoch(void **state)
{
    struct rig rig;
    char id[16];

    open_audit(&rig, PROFILE_COMPARE_INT, 0);
    live(&rig, "a", "1000");
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 20; i++) {
            snprintf(id, sizeof id, "%d", 900 + i);
            audit(&rig, id, id, round * 10000);
        }
    assert_int_equal(stats_of(&rig).audited, 20);
    assert_position(&rig, "1000");
    /* With an audit a new epoch is whole from where it was noticed. */
    rig.log[0] = '\0';
    below(&rig, 1, 8);
    assert_string_equal(rig.resume, "8");
    assert_resume(&rig, "8");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_cannot_be_stored),
        cmocka_unit_test(test_what_the_link_did_not_bring),
        cmocka_unit_test(test_a_suspect_that_the_link_brings),
        cmocka_unit_test(test_a_suspect_that_vanishes),
        cmocka_unit_test(test_what_is_held_is_not_missing),
        cmocka_unit_test(test_bound_of_suspects),
        cmocka_unit_test(test_a_catch_up_makes_whole),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_learnt),
        cmocka_unit_test(test_another_epoch),
        cmocka_unit_test(test_no_epoch),
        cmocka_unit_test(test_epoch_after_a_restart),
        cmocka_unit_test(test_an_audit_is_no_epoch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
