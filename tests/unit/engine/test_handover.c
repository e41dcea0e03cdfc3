/* Two links at once: which one an event comes from, where the next one is dialled, how it ends. */
#include "rig.h"

#include <string.h>

static const char profile_text[] =
    "[connect]\nurl = wss://h.example/\nparallel = 2\nhosts = h.example, *.h.example\n"
    "[event]\nid = /id\nposition = /p\nonly = /id exists\n[position]\ncompare = int\n"
    "[http sync]\nurl = https://h.example/sync\nquery.since = ${position}\n"
    "[catchup]\nvia = http\nhttp = sync\nitems = /items\nmore = /more\nsettle = 0\n"
    "[on move]\nmatch = /t == \"move\"\ndo = handover /to\n"
    "[on q]\nmatch = /t == \"q\"\ndo = send a\n[send a]\ntext = answer ${n}\n";

static void open_live_with(struct rig *rig, const char *profile)
{
    struct rig_options options = {.profile = profile, .position = "1"};
    rig_open(rig, &options);
    rig_link_up(rig, 1);
    rig_answer(rig, rig->http, "{\"items\":[],\"more\":false}");
    rig_assert_saw(rig, "state live");
    rig_message(rig, 1, "{\"id\":\"a\",\"p\":2}");
    rig_assert_stored(rig, "a ");
    rig_pass(rig, 11000); /* who moves at once waits a backoff step */
    rig_forget_lines(rig);
}

static void open_live(struct rig *rig)
{
    open_live_with(rig, profile_text);
}

/* The service asks; the broker grants. */
static void ask_to_move(struct rig *rig, const char *text)
{
    rig_message(rig, 1, text);
    rig_pass(rig, 0);
}

static void moves_without_loss(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig);
    ask_to_move(&rig, "{\"t\":\"move\",\"to\":\"wss://b.h.example/next?x=1\"}");
    rig_assert_saw(&rig, "dial 2 wss://b.h.example/next?x=1");
    rig_link_up(&rig, 2);
    rig_message(&rig, 1, "{\"id\":\"b\",\"p\":3}");
    rig_message(&rig, 2, "{\"id\":\"c\",\"p\":4}"); /* the successor is ahead: it waits */
    rig_message(&rig, 2, "{\"t\":\"q\"}");
    rig_assert_saw(&rig, "send 2 answer 1"); /* each counts for itself */
    rig_message(&rig, 1, "{\"t\":\"q\"}");
    rig_assert_saw(&rig, "send 1 answer 1");
    rig_assert_stored(&rig, "b ");
    rig_message(&rig, 1, "{\"id\":\"c\",\"p\":4}"); /* they have met */
    rig_assert_saw(&rig, "close 1");
    rig_message(&rig, 1, "{\"id\":\"late\",\"p\":9}"); /* the old one has nothing more to say */
    rig_message(&rig, 2, "{\"id\":\"d\",\"p\":5}");
    rig_link_ends(&rig, 1, 1001);
    if (rig_saw(&rig, "http"))
        rig_answer(&rig, rig.http,
                   "{\"items\":[{\"id\":\"c\",\"p\":4},{\"id\":\"d\",\"p\":5}],\"more\":false}");
    rig_message(&rig, 2, "{\"id\":\"e\",\"p\":6}");
    rig_pass(&rig, 12000);
    rig_assert_stored(&rig, "c d e ");
    rig_assert_silent(&rig, "dial");
    rig_close(&rig);
}

static void address_elsewhere(void **arg)
{
    (void)arg;
    struct rig rig;
    static const char *const bad[] = {"wss://evil.example/", "ws://h.example/", "nonsense"};
    for (unsigned i = 0; i < COUNT(bad); i++) {
        char text[100];
        open_live(&rig);
        snprintf(text, sizeof(text), "{\"t\":\"move\",\"to\":\"%s\"}", bad[i]);
        ask_to_move(&rig, text);
        rig_assert_saw(&rig, "say the service named an address to move to that is not followed");
        rig_assert_saw(&rig, "dial 2 wss://h.example/");
        rig_close(&rig);
    }
}

static void successor_fails(void **arg)
{
    (void)arg;
    struct rig rig;
    struct profile_end end = {
        .kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_TCP, .retry_after_ms = -1};
    open_live(&rig);
    ask_to_move(&rig, "{\"t\":\"move\"}");
    rig_assert_saw(&rig, "dial 2 wss://h.example/");
    stream_link_failed(rig.stream, 2, &end);
    rig_settle(&rig);
    rig_message(&rig, 1, "{\"id\":\"b\",\"p\":3}");
    rig_assert_stored(&rig, "b ");
    rig_pass(&rig, 60000);
    rig_assert_saw(&rig, "dial 3");
    rig_close(&rig);
}

/* The link breaks while its successor is open: what the successor held comes after what sync has.
 */
static void link_breaks(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig);
    ask_to_move(&rig, "{\"t\":\"move\"}");
    rig_link_up(&rig, 2);
    rig_message(&rig, 2, "{\"id\":\"d\",\"p\":5}");
    rig_link_ends(&rig, 1, 1006);
    rig_assert_saw(&rig, "http https://h.example/sync?since=2");
    rig_answer(&rig, rig.http,
               "{\"items\":[{\"id\":\"b\",\"p\":3},{\"id\":\"c\",\"p\":4},{\"id\":\"d\",\"p\":5}],"
               "\"more\":false}");
    rig_assert_stored(&rig, "b c d ");
    rig_message(&rig, 2, "{\"id\":\"e\",\"p\":6}");
    rig_assert_stored(&rig, "e ");
    rig_close(&rig);
}

static void pongs_of_each(void **arg)
{
    (void)arg;
    struct rig rig;
    struct stream_stats stats;
    open_live(&rig);
    ask_to_move(&rig, "{\"t\":\"move\"}");
    rig_link_up(&rig, 2);
    stream_pong(rig.stream, 1, 20);
    stream_pong(rig.stream, 2, 90);
    stream_pong(rig.stream, 3, 7);
    stream_stats(rig.stream, &stats);
    assert_int_equal(stats.rtt_ms, 20);
    rig_close(&rig);
}

/* Acknowledgements of what the successor holds leave no room for the link's own: it waits, and goes
 * on when they are gone with the successor. */
static void acks_of_a_lost_successor(void **arg)
{
    (void)arg;
    struct rig rig;
    char profile[1600];
    snprintf(profile, sizeof(profile), "%s%s", profile_text,
             "[send ack]\ntext = ack ${/id}\non = stored\n");
    open_live_with(&rig, profile);
    ask_to_move(&rig, "{\"t\":\"move\"}");
    rig_link_up(&rig, 2);
    int status = 0;
    for (unsigned i = 0; status == 0 && i < 1024; i++) {
        char text[60];
        snprintf(text, sizeof(text), "{\"id\":\"s%u\",\"p\":%u}", i, 10 + i);
        status = rig_offer(&rig, 2, text);
    }
    assert_int_equal(status, ERR_AGAIN);
    assert_int_equal(rig_offer(&rig, 1, "{\"id\":\"b\",\"p\":3}"), ERR_AGAIN);
    rig_settle(&rig);
    rig_assert_silent(&rig, "resume");
    rig_link_ends(&rig, 2, 1006);
    rig_assert_saw(&rig, "resume 1");
    rig_message(&rig, 1, "{\"id\":\"b\",\"p\":3}");
    rig_assert_stored(&rig, "b ");
    rig_assert_saw(&rig, "send 1 ack b");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_without_loss), cmocka_unit_test(address_elsewhere),
        cmocka_unit_test(successor_fails),    cmocka_unit_test(link_breaks),
        cmocka_unit_test(pongs_of_each),      cmocka_unit_test(acks_of_a_lost_successor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
