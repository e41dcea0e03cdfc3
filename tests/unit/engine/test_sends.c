/* Sends: on open, by rule, limited; and acknowledgements, never before their event is on disk. */
#include "rig.h"

#include <string.h>

#define FEED "[event]\nid = /id\nonly = /id exists\n"

static void open_live(struct rig *rig, const char *profile)
{
    struct rig_options options = {.profile = profile};
    rig_open(rig, &options);
    rig_link_up(rig, 1);
    rig_assert_saw(rig, "state live");
}

static void on_open_in_order(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile =
                                      CONNECT FEED "[send b]\ntext = first ${n}\non = open\n"
                                                   "[send a]\ntext = second ${n}\non = open\n"};
    rig_open(&rig, &options);
    for (unsigned link = 1; link <= 2; link++) {
        char first[40], second[40];
        snprintf(first, sizeof(first), "send %u first 1", link);
        snprintf(second, sizeof(second), "send %u second 2", link);
        rig_link_up(&rig, link);
        rig_assert_saw(&rig, first);
        rig_assert_saw(&rig, second);
        rig_assert_silent(&rig, "send");
        rig_link_ends(&rig, link, 1006);
        rig_pass(&rig, 1000);
    }
    rig_close(&rig);
}

static void one_of_and_once(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig, CONNECT FEED "[on hello]\nmatch = /t == \"hello\"\ndo = send resume|identify\n"
                                 "[on s]\nmatch = /t == \"s\"\ndo = capture sess=/v\n"
                                 "[send resume]\ntext = resume ${sess} for ${/who}\n"
                                 "[send identify]\ntext = identify\nonce = yes\n");
    rig_message(&rig, 1, "{\"t\":\"hello\"}");
    rig_assert_saw(&rig, "send 1 identify");
    rig_message(&rig, 1, "{\"t\":\"hello\"}");
    rig_assert_silent(&rig, "send");
    rig_message(&rig, 1, "{\"t\":\"s\",\"v\":\"abc\"}");
    rig_message(&rig, 1, "{\"t\":\"hello\",\"who\":\"me\"}");
    rig_assert_saw(&rig, "send 1 resume abc for me");
    rig_close(&rig);
}

static const char acking[] = CONNECT FEED "[message]\nbatch = array\n"
                                          "[send ack]\ntext = ack ${/id}\non = stored\n";

static void acks_after_disk(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig, acking);
    rig.frozen = true;
    rig_message(&rig, 1, "{\"id\":\"a\"}");
    hub_flush(rig.hub); /* on its way, but not there */
    rig_message(&rig, 1, "{\"id\":\"b\"}");
    rig_message(&rig, 1, "{\"id\":\"a\"}"); /* a duplicate of what is not there yet */
    rig_pass(&rig, 500);
    rig_assert_silent(&rig, "send");
    rig.frozen = false;
    rig_settle(&rig);
    rig_assert_saw(&rig, "send 1 ack a");
    rig_assert_saw(&rig, "send 1 ack b");
    rig_assert_saw(&rig, "send 1 ack a");
    rig_message(&rig, 1, "{\"id\":\"b\"}"); /* all is on disk: at once */
    rig_assert_saw(&rig, "send 1 ack b");
    rig_message(&rig, 1, "{\"no\":\"event\"}");
    rig_assert_silent(&rig, "send");
    rig_close(&rig);
}

/* What the store loses is not acknowledged, also not when later seqs are on disk. */
static void acks_of_what_is_lost(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig, acking);
    rig.frozen = true;
    rig_message(&rig, 1, "{\"id\":\"a\"}");
    hub_flush(rig.hub);
    rig.flying = NULL;
    hub_committed(rig.hub, ERR_IO);
    stream_store_stalled(rig.stream);
    rig.frozen = false;
    hub_reopen(rig.hub, 0, 0);
    stream_restore(rig.stream, slice_make(NULL, 0), false, false);
    stream_durable(rig.stream, 100);
    rig_settle(&rig);
    rig_assert_silent(&rig, "ack a");
    rig_close(&rig);
}

/* The queue is bounded: the link waits, in the middle of a frame, and all goes out in the end. */
static void acks_hold_the_link_up(void **arg)
{
    (void)arg;
    struct rig rig;
    static char frame[60000];
    size_t n = (size_t)snprintf(frame, sizeof(frame), "[");
    const unsigned most = 1024 - PROFILE_SENDS_MAX + 1; /* one more than is let in at once */
    for (unsigned i = 0; i <= most; i++)
        n += (size_t)snprintf(frame + n, sizeof(frame) - n, "%s{\"id\":\"e%u\"}", i > 0 ? "," : "",
                              i);
    snprintf(frame + n, sizeof(frame) - n, "]");
    open_live(&rig, acking);
    rig.frozen = true;
    assert_int_equal(rig_offer(&rig, 1, frame), ERR_AGAIN);
    assert_int_equal(rig_offer(&rig, 1, frame), ERR_AGAIN);
    rig_assert_silent(&rig, "send");
    rig.frozen = false;
    hub_flush(rig.hub);
    rig.link_status = ERR_AGAIN; /* the link takes nothing: they wait on */
    rig_settle(&rig);
    rig_assert_silent(&rig, "send");
    rig.link_status = 0;
    for (unsigned sent = 0; sent <= most;) {
        unsigned before = sent;
        rig_pass(&rig, 1000);
        char want[32];
        for (snprintf(want, sizeof(want), "send 1 ack e%u", sent); rig_saw(&rig, want); sent++)
            snprintf(want, sizeof(want), "send 1 ack e%u", sent + 1);
        rig_forget_lines(&rig);
        if (sent == most) { /* the last of the frame found no place */
            assert_int_equal(rig_offer(&rig, 1, frame), 0);
            rig_settle(&rig);
        }
        assert_true(sent > before || sent > most);
    }
    rig_close(&rig);
}

static const char limited[] = CONNECT FEED "[limits]\nsends = 3/10s\n"
                                           "[on q]\nmatch = /t == \"q\"\ndo = send a\n"
                                           "[send a]\ntext = answer ${/v}\n";

static void ask(struct rig *rig, unsigned i)
{
    char text[40];
    snprintf(text, sizeof(text), "{\"t\":\"q\",\"v\":%u}", i);
    rig_message(rig, 1, text);
}

static void limit_of_sends(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig, limited);
    for (unsigned i = 0; i < 8; i++)
        ask(&rig, i);
    rig_assert_saw(&rig, "send 1 answer 0");
    rig_assert_saw(&rig, "send 1 answer 2");
    rig_assert_silent(&rig, "send");
    for (unsigned i = 3; i < 8; i++) {
        char want[32];
        snprintf(want, sizeof(want), "send 1 answer %u", i);
        for (unsigned t = 0; t < 20 && rig_number(&rig, "send 1 answer ") != i; t++)
            rig_pass(&rig, 1000);
        rig_assert_saw(&rig, want);
    }
    rig_close(&rig);
}

static void more_than_may_wait(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig, limited);
    for (unsigned i = 0; i < 3 + 64; i++)
        ask(&rig, i);
    rig_assert_silent(&rig, "abort");
    ask(&rig, 99);
    rig_assert_saw(&rig, "abort 1");
    rig_assert_saw(&rig, "more to send than limits.sends allows");
    rig_close(&rig);
}

static void link_takes_no_more(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig, CONNECT FEED "[on q]\nmatch = /t == \"q\"\ndo = send a\n"
                                 "[send a]\ntext = answer ${/v}\n");
    rig.link_status = ERR_AGAIN;
    ask(&rig, 1);
    ask(&rig, 2);
    rig_pass(&rig, 999);
    rig.link_status = 0;
    rig_assert_silent(&rig, "send");
    rig_pass(&rig, 1);
    rig_assert_saw(&rig, "send 1 answer 1");
    rig_assert_saw(&rig, "send 1 answer 2");
    rig.link_status = ERR_EOF;
    ask(&rig, 3);
    rig_assert_silent(&rig, "send");
    rig_close(&rig);
}

static void answers_awaited(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig, CONNECT FEED "[send sub]\ntext = subscribe\non = open\n"
                                 "answer = /t == \"subscribed\"\nanswer_timeout = 4s\n");
    rig_message(&rig, 1, "{\"t\":\"subscribed\"}");
    rig_pass(&rig, 10000);
    rig_assert_silent(&rig, "state waiting");
    rig_link_ends(&rig, 1, 1006);
    rig_pass(&rig, 1000);
    rig_link_up(&rig, 2);
    rig_pass(&rig, 4000);
    rig_assert_saw(&rig, "timeout");
    rig_close(&rig);
}

static void secret_that_is_not_there(void **arg)
{
    (void)arg;
    static const char *const keys[] = {"key=env:KEY", NULL};
    struct rig rig;
    struct rig_options options = {.keys = keys,
                                  .profile = CONNECT FEED
                                  "[profile]\nsecrets = key\n"
                                  "[on q]\nmatch = /t == \"q\"\ndo = send a\n"
                                  "[send a]\ntext = {\"key\":\"${secret.key}\"}\n"};
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    rig_message(&rig, 1, "{\"t\":\"q\"}");
    rig_assert_saw(&rig, "send 1 {\"key\":\"s3cret\"}");
    rig.secret = NULL;
    rig_message(&rig, 1, "{\"t\":\"q\"}");
    rig_assert_saw(&rig, "say send a: secret key is not there");
    rig_assert_silent(&rig, "send 1");
    rig_message(&rig, 1, "{\"id\":\"a\"}");
    rig_assert_stored(&rig, "a ");
    rig_close(&rig);
}

/* A program's text: handed over or not, and never queued in front of the profile's own. */
static void texts_of_programs(void **arg)
{
    (void)arg;
    struct rig rig;
    int64_t retry_ms = -1;
    static char large[STREAM_SEND_BYTES + 1];
    struct rig_options options = {.profile = CONNECT FEED};
    memset(large, 'x', sizeof(large));
    rig_open(&rig, &options);
    assert_int_equal(stream_send(rig.stream, SLICE("early"), &retry_ms), ERR_EOF);
    rig_link_up(&rig, 1);
    assert_int_equal(stream_send(rig.stream, SLICE("hello"), &retry_ms), 0);
    rig_assert_saw(&rig, "send 1 hello");
    assert_int_equal(stream_send(rig.stream, SLICE("\xff"), &retry_ms), ERR_INVAL);
    assert_int_equal(stream_send(rig.stream, slice_make(large, sizeof(large)), &retry_ms),
                     ERR_LIMIT);
    assert_int_equal(stream_send(rig.stream, slice_make(large, sizeof(large) - 1), &retry_ms), 0);
    rig.link_status = ERR_AGAIN;
    assert_int_equal(stream_send(rig.stream, SLICE("full"), &retry_ms), ERR_AGAIN);
    assert_true(retry_ms > 0);
    rig.link_status = 0;
    rig_pass(&rig, 60000);
    rig_assert_silent(&rig, "full"); /* not kept for later */
    rig_link_ends(&rig, 1, 1006);
    assert_int_equal(stream_send(rig.stream, SLICE("late"), &retry_ms), ERR_EOF);
    rig_close(&rig);
}

static void programs_share_the_limit(void **arg)
{
    (void)arg;
    struct rig rig;
    int64_t retry_ms = -1;
    open_live(&rig, CONNECT FEED "[limits]\nsends = 2/10s\n"
                                 "[on a]\nmatch = /t == \"a\"\ndo = send own\n"
                                 "[send own]\ntext = own\n");
    assert_int_equal(stream_send(rig.stream, SLICE("one"), &retry_ms), 0);
    rig_message(&rig, 1, "{\"t\":\"a\"}");
    rig_assert_saw(&rig, "send 1 own");
    assert_int_equal(stream_send(rig.stream, SLICE("two"), &retry_ms), ERR_AGAIN);
    assert_in_range(retry_ms, 1, 10000);
    rig_message(&rig, 1, "{\"t\":\"a\"}"); /* waits: programs wait behind it */
    assert_int_equal(stream_send(rig.stream, SLICE("two"), &retry_ms), ERR_AGAIN);
    assert_in_range(retry_ms, 1, 10000);
    rig_pass(&rig, 20000);
    rig_assert_saw(&rig, "send 1 own");
    assert_int_equal(stream_send(rig.stream, SLICE("two"), &retry_ms), 0);
    rig_assert_saw(&rig, "send 1 two");
    rig_close(&rig);
}

static void no_data_to_this_service(void **arg)
{
    (void)arg;
    struct rig rig;
    int64_t retry_ms;
    open_live(&rig, CONNECT "data = forbid\n" FEED);
    assert_int_equal(stream_send(rig.stream, SLICE("x"), &retry_ms), ERR_PERM);
    rig_assert_silent(&rig, "send");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_open_in_order),        cmocka_unit_test(one_of_and_once),
        cmocka_unit_test(acks_after_disk),         cmocka_unit_test(acks_of_what_is_lost),
        cmocka_unit_test(acks_hold_the_link_up),   cmocka_unit_test(limit_of_sends),
        cmocka_unit_test(more_than_may_wait),      cmocka_unit_test(link_takes_no_more),
        cmocka_unit_test(answers_awaited),         cmocka_unit_test(secret_that_is_not_there),
        cmocka_unit_test(texts_of_programs),       cmocka_unit_test(programs_share_the_limit),
        cmocka_unit_test(no_data_to_this_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
