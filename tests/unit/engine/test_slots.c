/* Slots: the attempt is on disk before the dial; what is saved, and what a restart makes of it. */
#include "rig.h"

#include "engine/saved.h"

static const char profile_text[] = CONNECT "[event]\nid = /id\nonly = /id exists\n";

static void saved_before_dial(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile = profile_text};
    struct session_saved saved;
    struct stream_variables variables;
    rig_open(&rig, &options);
    rig_assert_saw(&rig, "dial 1");
    saved_variables_init(&variables);
    assert_true(saved_decode(buf_slice(&rig.kept), rig.loaded.profile, &saved, &variables));
    assert_true(saved.dialled);
    rig_link_up(&rig, 1);
    rig_link_ends(&rig, 1, 1006);
    rig_forget_lines(&rig);
    rig.frozen = true; /* the disk hangs: no dial */
    rig_pass(&rig, 5000);
    rig_assert_silent(&rig, "dial");
    rig.frozen = false;
    rig_settle(&rig);
    rig_assert_saw(&rig, "dial 2");
    saved_variables_fini(&variables);
    rig_close(&rig);
}

static void lost_save_is_made_anew(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile = profile_text};
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    rig_link_ends(&rig, 1, 1006);
    rig_forget_lines(&rig);
    rig.frozen = true;
    rig_pass(&rig, 600);
    hub_flush(rig.hub);
    assert_non_null(rig.flying);
    rig.flying = NULL;
    hub_committed(rig.hub, ERR_IO); /* lost, and then the store is there again */
    stream_store_stalled(rig.stream);
    rig.frozen = false;
    rig_settle(&rig);
    rig_assert_silent(&rig, "dial");
    hub_reopen(rig.hub, 0, 0);
    stream_restore(rig.stream, slice_make(NULL, 0), false, false);
    stream_store_ready(rig.stream);
    rig_pass(&rig, 0);
    rig_assert_saw(&rig, "dial 2");
    rig_close(&rig);
}

static void crash_keeps_backoff(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile = profile_text};
    struct profile_end end = {
        .kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_TCP, .retry_after_ms = -1};
    struct buf kept;
    rig_open(&rig, &options);
    for (unsigned link = 1; link < 6; link++) {
        stream_link_failed(rig.stream, link, &end);
        rig_settle(&rig);
        if (link < 5)
            rig_pass(&rig, 60000);
    }
    buf_init(&kept, STORE_STATE_VALUE);
    assert_int_equal(buf_append_slice(&kept, buf_slice(&rig.kept)), 0);
    rig_close(&rig);

    options.state = buf_slice(&kept);
    rig_open(&rig, &options); /* after a crash: it waits on */
    rig_assert_saw(&rig, "state waiting");
    rig_assert_silent(&rig, "dial");
    rig_pass(&rig, 60000);
    rig_assert_saw(&rig, "dial 1");
    stream_stop(rig.stream);
    rig_settle(&rig);
    buf_clear(&kept);
    assert_int_equal(buf_append_slice(&kept, buf_slice(&rig.kept)), 0);
    rig_close(&rig);

    options.state = buf_slice(&kept);
    rig_open(&rig, &options); /* after a clean stop: at once */
    rig_assert_saw(&rig, "dial 1");
    rig_close(&rig);

    kept.data[10] ^= 1;
    options.state = buf_slice(&kept);
    rig_open(&rig, &options); /* damaged: as none */
    rig_assert_saw(&rig, "dial 1");
    rig_close(&rig);
    buf_fini(&kept);
}

/* A clean stop forgets what there was to wait for, and not how old the position is. One that is not
 * from disk is what `start` says. */
static void clean_stop_keeps_age(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile = CONNECT "query.since = ${position}\n"
                                                     "[event]\nid = /id\nposition = /p\n"
                                                     "[position]\ncompare = int\nmax_age = 10s\n"
                                                     "[catchup]\nvia = url\n",
                                  .position = "5"};
    struct profile_end end = {
        .kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_TCP, .retry_after_ms = -1};
    struct buf kept;
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    rig_message(&rig, 1, "{\"id\":\"a\",\"p\":6}");
    rig_link_ends(&rig, 1, 1006);
    rig_pass(&rig, 1000);
    stream_link_failed(rig.stream, 2, &end);
    rig_settle(&rig);
    rig_pass(&rig, 10000);
    stream_stop(rig.stream);
    rig_settle(&rig);
    assert_true(stream_stopped(rig.stream));
    buf_init(&kept, STORE_STATE_VALUE);
    assert_int_equal(buf_append_slice(&kept, buf_slice(&rig.kept)), 0);
    rig_close(&rig);

    options.state = buf_slice(&kept);
    options.position = "6";
    rig_open(&rig, &options);
    rig_settle(&rig);
    rig_assert_stored(&rig, "gap epoch ");
    rig_close(&rig);

    options.position = NULL;
    options.start = SETTINGS_START_OLDEST;
    rig_open(&rig, &options);
    rig_settle(&rig);
    rig_assert_saw(&rig, "dial 1");
    rig_assert_stored(&rig, "");
    rig_close(&rig);
    buf_fini(&kept);
}

static void broker_says_later(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile =
                                      CONNECT "[event]\nid = /id\n[limits]\nconnects = 2/1h\n"};
    rig_open(&rig, &options);
    for (unsigned link = 1; link <= 2; link++) {
        rig_link_up(&rig, link);
        rig_link_ends(&rig, link, 1006);
        rig_pass(&rig, 10000);
    }
    rig_assert_saw(&rig, "later ");
    rig_assert_silent(&rig, "dial 3");
    stream_pause(rig.stream); /* the slot is no longer wanted */
    rig_pass(&rig, 2 * 3600000);
    rig_assert_silent(&rig, "dial");
    stream_resume(rig.stream);
    rig_pass(&rig, 0);
    rig_assert_saw(&rig, "dial 3");
    rig_close(&rig);
}

/* An answer of the broker to what is no longer asked for changes nothing. */
static void stray_answers(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile = profile_text};
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    rig_forget_lines(&rig);
    stream_slot(rig.stream);
    stream_slot_later(rig.stream, rig.now_ms + 5000, "stray");
    stream_saved(rig.stream, UINT64_MAX, false);
    stream_saved(rig.stream, UINT64_MAX, true);
    rig_settle(&rig);
    rig_assert_silent(&rig, "dial");
    rig_assert_silent(&rig, "state");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_before_dial),   cmocka_unit_test(lost_save_is_made_anew),
        cmocka_unit_test(crash_keeps_backoff), cmocka_unit_test(clean_stop_keeps_age),
        cmocka_unit_test(broker_says_later),   cmocka_unit_test(stray_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
