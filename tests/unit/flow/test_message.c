/* A link's messages as they pass: identity, position, and what is wrong with them. */
#include "unit/flow/rig.h"

static void test_an_event_goes_out_as_it_is(void **state)
{
    struct profile_message message = message_of("e1", "5");
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    message.time = SLICE("123.5");
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, SLICE("{ }"), false, 99),
                     FLOW_EMITTED);
    assert_log(&rig, "!e1@5+ ");
    assert_true(slice_eq_str(rig.last.type, "t") && slice_eq_str(rig.last.time, "123.5"));
    assert_ptr_equal(rig.last.data.ptr, message.data.ptr);
    assert_int_equal(rig.last.data_kind, FLOW_DATA_JSON);
    assert_int_equal(rig.last.received_us, 99);
    assert_true(rig.last.has_key);
    assert_null(rig.last.malformed);
    assert_position(&rig, "5");
    assert_int_equal(stats_of(&rig).emitted, 1);
    assert_string_equal(flow_via_name(FLOW_VIA_LIVE), "live");
    assert_string_equal(flow_via_name(FLOW_VIA_SYNC), "sync");
    rig_close(&rig);
}

static void test_no_event_is_ignored(void **state)
{
    struct profile_message message = message_of("e1", "5");
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    message.event = false;
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, SLICE("{}"), false, 0),
                     FLOW_IGNORED);
    flow_discard(rig.flow);
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, SLICE("{}"), false, 0),
                     FLOW_IGNORED);
    flow_hold(rig.flow);
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, SLICE("{}"), false, 0),
                     FLOW_IGNORED);
    assert_log(&rig, "");
    rig_close(&rig);
}

static void test_the_id_alone_decides(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    assert_int_equal(live(&rig, "a", "10"), FLOW_EMITTED);
    assert_int_equal(live(&rig, "a", "10"), FLOW_DUPLICATE);
    assert_int_equal(live(&rig, "b", "10"), FLOW_EMITTED); /* same position, another id */
    assert_int_equal(live(&rig, "c", "7"), FLOW_EMITTED);  /* below: late */
    assert_int_equal(live(&rig, "c", "11"), FLOW_DUPLICATE);
    assert_log(&rig, "!a@10+ !b@10 !c@7 ");
    assert_int_equal(stats_of(&rig).duplicates, 2);
    assert_int_equal(stats_of(&rig).late, 1);
    rig_close(&rig);
}

static void test_without_an_id_the_position_decides(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    assert_int_equal(live(&rig, NULL, "10"), FLOW_EMITTED);
    assert_int_equal(live(&rig, NULL, "10"), FLOW_DUPLICATE);
    assert_int_equal(live(&rig, "10", "10"), FLOW_EMITTED); /* an id is no position */
    assert_int_equal(live(&rig, NULL, NULL), FLOW_EMITTED);
    assert_int_equal(live(&rig, NULL, NULL), FLOW_EMITTED);
    assert_false(rig.last.has_key);
    assert_int_equal(live(&rig, "", NULL), FLOW_EMITTED); /* empty is none */
    assert_int_equal(live(&rig, "", ""), FLOW_EMITTED);
    assert_null(rig.last.malformed);
    rig_close(&rig);
}

static void test_other_ways_to_tell_duplicates(void **state)
{
    struct profile_message message = message_of(NULL, NULL);
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_POSITION, PROFILE_COMPARE_OPAQUE);
    assert_int_equal(live(&rig, "a", "x"), FLOW_EMITTED);
    assert_int_equal(live(&rig, "b", "x"), FLOW_DUPLICATE);
    assert_int_equal(live(&rig, "a", NULL), FLOW_EMITTED);
    assert_int_equal(live(&rig, "a", NULL), FLOW_EMITTED);
    rig_close(&rig);

    rig_open(&rig, PROFILE_DEDUP_HASH, PROFILE_COMPARE_OPAQUE);
    assert_int_equal(live(&rig, "a", "x"), FLOW_EMITTED);
    assert_int_equal(live(&rig, "b", "y"), FLOW_DUPLICATE);
    message.data = SLICE("{ }");
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, message.data, false, 0),
                     FLOW_EMITTED);
    rig_close(&rig);

    rig_open(&rig, PROFILE_DEDUP_OFF, PROFILE_COMPARE_OPAQUE);
    assert_int_equal(live(&rig, "a", "x"), FLOW_EMITTED);
    assert_int_equal(live(&rig, "a", "x"), FLOW_EMITTED);
    assert_false(rig.last.has_key);
    rig_close(&rig);
}

static void test_the_window_forgets_exactly_the_oldest(void **state)
{
    struct rig rig;
    char id[16];

    rig_open_with(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT, 16, 4096);
    for (int i = 0; i < 16; i++) {
        snprintf(id, sizeof id, "e%d", i);
        assert_int_equal(live(&rig, id, NULL), FLOW_EMITTED);
    }
    assert_int_equal(live(&rig, "e0", NULL), FLOW_DUPLICATE);
    assert_int_equal(live(&rig, "e16", NULL), FLOW_EMITTED);
    assert_int_equal(live(&rig, "e1", NULL), FLOW_DUPLICATE);
    assert_int_equal(live(&rig, "e0", NULL), FLOW_EMITTED);
    assert_int_equal(live(&rig, "e1", NULL), FLOW_EMITTED);
    rig_close(&rig);
}

static void test_bounds_of_the_options(void **state)
{
    struct profile profile = {.dedup = PROFILE_DEDUP_ID};
    struct flow_options options = {
        .profile = &profile, .hash_key = rig_hash_key, .dedup_window = 15, .hold_bytes = 100};
    struct flow *flow;

    assert_int_equal(flow_new(&options, &flow), ERR_INVAL);
    options.dedup_window = 16;
    assert_int_equal(flow_new(&options, &flow), 0);
    flow_free(flow);
    flow_free(NULL);
}

static void test_positions(void **state)
{
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    assert_position(&rig, NULL);
    live(&rig, "a", NULL);
    assert_position(&rig, NULL);
    live(&rig, "b", "9");
    live(&rig, "c", "10");
    assert_position(&rig, "10");
    live(&rig, "d", "9");
    assert_position(&rig, "10");
    live(&rig, "d", "12"); /* a duplicate: in memory, and on disk with the next */
    assert_position(&rig, "12");
    live(&rig, "e", "11");
    live(&rig, "f", "13");
    assert_log(&rig, "!a !b@9+ !c@10+ !d@9 !e@11 !f@13+ ");
    flow_forget(rig.flow);
    assert_position(&rig, NULL);
    live(&rig, "g", "1");
    assert_log(&rig, "!g@1+ ");
    rig_close(&rig);

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_OPAQUE);
    live(&rig, "a", "z");
    live(&rig, "b", "y");
    assert_position(&rig, "y");
    live(&rig, "a", "z"); /* a replay on the link does not lead us back */
    assert_position(&rig, "y");
    assert_log(&rig, "!a@z+ !b@y+ ");
    assert_int_equal(stats_of(&rig).late, 0);
    rig_close(&rig);
}

static void test_malformed_is_said_and_emitted(void **state)
{
    struct profile_message message = message_of("a", "ten");
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, SLICE("{}"), false, 0),
                     FLOW_EMITTED);
    assert_non_null(strstr(rig.last.malformed, "not a whole number"));
    assert_int_equal(rig.last.data_kind, FLOW_DATA_JSON);
    assert_log(&rig, "!a ");
    assert_position(&rig, NULL);

    message = message_of(NULL, NULL);
    message.fault = "id is 1400 bytes, limit is 1024";
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, SLICE("{}"), false, 0),
                     FLOW_EMITTED);
    assert_string_equal(rig.last.malformed, message.fault);

    message = (struct profile_message){.event = true, .data = SLICE("{oops"), .fault = "no JSON"};
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, SLICE("{oops"), false, 0),
                     FLOW_EMITTED);
    assert_int_equal(rig.last.data_kind, FLOW_DATA_TEXT);
    assert_true(slice_eq_str(rig.last.data, "{oops"));
    assert_string_equal(rig.last.malformed, "no JSON");
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, SLICE("\1"), true, 0),
                     FLOW_EMITTED);
    assert_int_equal(rig.last.data_kind, FLOW_DATA_BINARY);
    assert_non_null(strstr(rig.last.malformed, "kept as base64"));
    assert_int_equal(stats_of(&rig).malformed, 4);
    rig_close(&rig);
}

static void test_plain_text_is_fine_where_nothing_is_looked_for(void **state)
{
    struct profile_message message = {.event = true};
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_OFF, PROFILE_COMPARE_OPAQUE);
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, SLICE("hello"), false, 0),
                     FLOW_EMITTED);
    assert_int_equal(rig.last.data_kind, FLOW_DATA_TEXT);
    assert_true(slice_eq_str(rig.last.data, "hello"));
    assert_null(rig.last.malformed);
    rig_close(&rig);
}

static void test_binary_is_kept_whole(void **state)
{
    struct profile_message message = {.event = true, .data = SLICE("x")};
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, SLICE("\0\1x"), true, 0),
                     FLOW_EMITTED);
    assert_int_equal(rig.last.data_kind, FLOW_DATA_BINARY);
    assert_int_equal(rig.last.data.len, 3);
    assert_null(rig.last.malformed);
    rig_close(&rig);
}

static void test_ephemeral_has_neither_key_nor_position(void **state)
{
    struct profile_message message = message_of("a", "10");
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    message.ephemeral = true;
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, SLICE("{}"), false, 0),
                     FLOW_EMITTED);
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, SLICE("{}"), false, 0),
                     FLOW_EMITTED);
    assert_false(rig.last.has_key);
    assert_position(&rig, NULL);
    assert_log(&rig, "~!a@10 ~!a@10 ");
    assert_int_equal(stats_of(&rig).ephemeral, 2);
    assert_int_equal(stats_of(&rig).emitted, 0);
    flow_hold(rig.flow);
    assert_int_equal(flow_message(rig.flow, FLOW_LINK, &message, SLICE("{}"), false, 0),
                     FLOW_DISCARDED);
    assert_int_equal(flow_item(rig.flow, FLOW_VIA_SYNC, &message, 0), FLOW_DISCARDED);
    assert_int_equal(stats_of(&rig).discarded, 2);
    assert_log(&rig, "");
    rig_close(&rig);
}

static void test_what_the_sink_refuses_has_not_happened(void **state)
{
    static const int refusals[] = {ERR_AGAIN, ERR_IO};
    struct rig rig;

    for (int i = 0; i < 2; i++) {
        rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
        rig.refuse_with = refusals[i];
        rig.refuse_at = 1;
        assert_int_equal(live(&rig, "a", "1"), FLOW_AGAIN);
        assert_position(&rig, NULL);
        assert_int_equal(stats_of(&rig).emitted, 0);
        assert_int_equal(live(&rig, "a", "1"), FLOW_EMITTED);
        assert_int_equal(live(&rig, "a", "1"), FLOW_DUPLICATE);
        rig_close(&rig);
    }
}

/* Where positions begin anew, those of before name other events; ids go on. */
static void test_what_a_position_alone_says_is_forgotten_with_it(void **state)
{
    struct rig rig;
    uint8_t old[16], id[16];

    rig_open(&rig, PROFILE_DEDUP_POSITION, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    memcpy(old, rig.last.key, 16);
    live(&rig, "b", "2");
    assert_int_equal(live(&rig, "c", "1"), FLOW_DUPLICATE);
    flow_forget(rig.flow);
    assert_int_equal(live(&rig, "c", "1"), FLOW_EMITTED);
    assert_int_equal(live(&rig, "c", "1"), FLOW_DUPLICATE);
    assert_int_equal(live(&rig, "d", "2"), FLOW_EMITTED);
    /* And so in the next life. */
    flow_reset(rig.flow, SLICE("5"));
    flow_dedup_load(rig.flow, old);
    assert_int_equal(live(&rig, "a", "1"), FLOW_DUPLICATE);
    flow_dedup_load(rig.flow, flow_key_forget);
    assert_int_equal(live(&rig, "e", "1"), FLOW_EMITTED);
    rig_close(&rig);

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    memcpy(id, rig.last.key, 16);
    live(&rig, NULL, "2");
    memcpy(old, rig.last.key, 16);
    flow_forget(rig.flow);
    assert_int_equal(live(&rig, "a", "1"), FLOW_DUPLICATE);
    assert_int_equal(live(&rig, NULL, "2"), FLOW_EMITTED);
    flow_reset(rig.flow, SLICE("5"));
    flow_dedup_load(rig.flow, id);
    flow_dedup_load(rig.flow, old);
    flow_dedup_load(rig.flow, flow_key_forget);
    assert_int_equal(live(&rig, "a", "1"), FLOW_DUPLICATE);
    assert_int_equal(live(&rig, NULL, "2"), FLOW_EMITTED);
    rig_close(&rig);
}

static void test_reset_is_as_on_disk(void **state)
{
    uint8_t key[16];
    struct rig rig;

    rig_open(&rig, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    live(&rig, "a", "1");
    memcpy(key, rig.last.key, 16);
    live(&rig, "b", "2");
    flow_hold(rig.flow);
    live(&rig, "c", "3");
    flow_reset(rig.flow, SLICE("1"));
    flow_dedup_load(rig.flow, key);
    assert_position(&rig, "1");
    assert_int_equal(stats_of(&rig).held_events, 0);
    assert_int_equal(stats_of(&rig).held_bytes, 0);
    rig.log[0] = '\0';
    assert_int_equal(live(&rig, "a", "1"), FLOW_DUPLICATE);
    assert_int_equal(live(&rig, "b", "2"), FLOW_EMITTED);
    assert_int_equal(live(&rig, "c", "3"), FLOW_EMITTED);
    assert_log(&rig, "!b@2+ !c@3+ ");
    flow_reset(rig.flow, slice_make(NULL, 0));
    assert_position(&rig, NULL);
    rig_close(&rig);
}

static void test_keys_hang_on_the_hash_key_alone(void **state)
{
    struct rig one, two;

    rig_open(&one, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    rig_open(&two, PROFILE_DEDUP_ID, PROFILE_COMPARE_INT);
    live(&one, "a", "1");
    live(&two, "a", "2");
    assert_memory_equal(one.last.key, two.last.key, 16);
    rig_close(&one);
    rig_close(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_event_goes_out_as_it_is),
        cmocka_unit_test(test_no_event_is_ignored),
        cmocka_unit_test(test_the_id_alone_decides),
        cmocka_unit_test(test_without_an_id_the_position_decides),
        cmocka_unit_test(test_other_ways_to_tell_duplicates),
        cmocka_unit_test(test_the_window_forgets_exactly_the_oldest),
        cmocka_unit_test(test_bounds_of_the_options),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_malformed_is_said_and_emitted),
        cmocka_unit_test(test_plain_text_is_fine_where_nothing_is_looked_for),
        cmocka_unit_test(test_binary_is_kept_whole),
        cmocka_unit_test(test_ephemeral_has_neither_key_nor_position),
        cmocka_unit_test(test_what_the_sink_refuses_has_not_happened),
        cmocka_unit_test(test_what_a_position_alone_says_is_forgotten_with_it),
        cmocka_unit_test(test_reset_is_as_on_disk),
        cmocka_unit_test(test_keys_hang_on_the_hash_key_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
