/* Frames and what they lead to: order, back-pressure in their middle, captures, faults. */
#include "rig.h"

#include <string.h>

#define FEED "[event]\nid = /id\nonly = /id exists\n"

static void open_live(struct rig *rig, const char *profile, size_t ring_bytes)
{
    struct rig_options options = {.profile = profile, .ring_bytes = ring_bytes};
    rig_open(rig, &options);
    rig_assert_saw(rig, "dial 1");
    rig_link_up(rig, 1);
    rig_assert_saw(rig, "state live");
}

static void one_message(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig, CONNECT FEED, 0);
    rig_message(&rig, 1, "{\"id\":\"a\"}");
    rig_message(&rig, 1, "{\"id\":\"a\"}");
    rig_message(&rig, 1, "{\"no\":1}");
    rig_message(&rig, 1, "{\"id\":\"b\"}");
    rig_assert_stored(&rig, "a b ");
    rig_message(&rig, 7, "{\"id\":\"stranger\"}");
    rig_assert_stored(&rig, "");
    rig_close(&rig);
}

/* A split frame that the ring cannot take at once is offered again, and nothing of it is stored
 * twice or left out; nor are its rules done twice. */
static void frame_in_pieces(void **arg)
{
    (void)arg;
    struct rig rig;
    char frame[40000], want[20000] = "";
    size_t n = (size_t)snprintf(frame, sizeof(frame), "{\"t\":\"say\",\"data\":[");
    for (unsigned i = 0; i < 100; i++) {
        n += (size_t)snprintf(frame + n, sizeof(frame) - n, "%s{\"id\":\"e%u\",\"pad\":\"%0300u\"}",
                              i > 0 ? "," : "", i, i);
        snprintf(want + strlen(want), sizeof(want) - strlen(want), "e%u ", i);
    }
    snprintf(frame + n, sizeof(frame) - n, "]}");
    open_live(&rig,
              CONNECT FEED "[message]\nsplit = /data/*\n"
                           "[on s]\nmatch = /t == \"say\"\ndo = say frame done\n",
              16384);
    unsigned refused = 0;
    while (rig_offer(&rig, 1, frame) == ERR_AGAIN) {
        refused++;
        assert_true(refused < 100);
        rig_assert_silent(&rig, "frame done");
        rig_settle(&rig);
        rig_assert_saw(&rig, "resume 1");
    }
    assert_true(refused > 2);
    rig_settle(&rig);
    rig_assert_stored(&rig, want);
    rig_assert_saw(&rig, "say rule s: frame done");
    rig_assert_silent(&rig, "frame done");
    /* The next frame begins at its beginning. */
    rig_message(&rig, 1, "{\"data\":[{\"id\":\"x\"},{\"id\":\"y\"}]}");
    rig_assert_stored(&rig, "x y ");
    rig_close(&rig);
}

static const char capturing[] =
    "[connect]\nurl = wss://h.example/\nquery.s = ${sess}\nquery.host = ${onward}\n" FEED
    "[on c]\nmatch = /t == \"c\"\ndo = capture sess=/v\n"
    "[on u]\nmatch = /t == \"u\"\ndo = capture onward=/v\n"
    "[on f]\nmatch = /t == \"f\"\ndo = fresh\n";

static void captures(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig, capturing, 0);
    rig_message(&rig, 1, "{\"t\":\"c\",\"v\":\"one two\"}");
    rig_message(&rig, 1, "{\"t\":\"c\"}"); /* absent: it stays */
    rig_link_ends(&rig, 1, 1006);
    rig_pass(&rig, 1000);
    rig_assert_saw(&rig, "dial 2 wss://h.example/?s=one%20two");
    rig_link_up(&rig, 2);
    rig_message(&rig, 2, "{\"t\":\"f\"}");
    rig_link_ends(&rig, 2, 1006);
    rig_pass(&rig, 5000);
    rig_assert_saw(&rig, "dial 3 wss://h.example/");
    rig_close(&rig);
}

static void captured_address(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig, capturing, 0);
    rig_message(&rig, 1, "{\"t\":\"u\",\"v\":\"wss://evil.example/\"}");
    rig_assert_saw(&rig,
                   "say the service gave an address for variable onward that is not followed");
    rig_message(&rig, 1, "{\"t\":\"u\",\"v\":\"ws://h.example/weak\"}");
    rig_assert_saw(&rig, "not followed");
    rig_message(&rig, 1, "{\"t\":\"u\",\"v\":\"wss://h.example/good\"}");
    rig_assert_silent(&rig, "not followed");
    rig_message(&rig, 1, "{\"id\":\"on\"}");
    rig_assert_stored(&rig, "on ");
    rig_close(&rig);
}

static void oversized_variable(void **arg)
{
    (void)arg;
    struct rig rig;
    char message[LIMIT_VARIABLE + 100], *at; /* a token that long is no reason to refuse the URL */
    open_live(&rig, capturing, 0);
    for (size_t size = LIMIT_VARIABLE; size <= LIMIT_VARIABLE + 1; size++) {
        at = message + sprintf(message, "{\"t\":\"c\",\"v\":\"");
        memset(at, 'v', size);
        strcpy(at + size, "\"}");
        rig_message(&rig, 1, message);
    }
    rig_link_ends(&rig, 1, 1006);
    rig_pass(&rig, 1000);
    rig_assert_saw(&rig, "dial 2 wss://h.example/?s=vvvv"); /* the larger changed nothing */
    rig_close(&rig);
}

/* A rule that ends the link: what follows in the frame still are events, but asks for nothing. */
static void rule_ends_link(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig,
              CONNECT FEED "[message]\nbatch = array\n"
                           "[on p]\nmatch = /t == \"p\"\ndo = park no more\n"
                           "[on s]\nmatch = /t == \"s\"\ndo = send x\n[send x]\ntext = hello\n",
              0);
    rig_message(&rig, 1, "[{\"id\":\"a\"},{\"t\":\"p\"},{\"t\":\"s\"},{\"id\":\"b\"}]");
    rig_assert_saw(&rig, "close 1 1001");
    rig_assert_silent(&rig, "send 1");
    rig_assert_stored(&rig, "a b ");
    rig_close(&rig);
}

static void acks_of_heartbeat(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig,
              CONNECT FEED "[heartbeat]\nsend = beat\nevery = 10s\nack = /t == \"pong\"\n"
                           "ack_timeout = 5s\nws_ping = 0\n[send beat]\ntext = beat ${n}\n",
              0);
    rig_pass(&rig, 10000);
    rig_assert_saw(&rig, "send 1 beat 1");
    rig_message(&rig, 1, "{\"t\":\"pong\"}");
    rig_pass(&rig, 10000);
    rig_assert_saw(&rig, "send 1 beat 2");
    rig_pass(&rig, 5000);
    rig_assert_saw(&rig, "abort 1"); /* unanswered */
    rig_close(&rig);
}

static void oversize(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig, CONNECT FEED, 0);
    rig_message(&rig, 1, "{\"id\":\"a\"}");
    stream_oversize(rig.stream, 1, 1u << 30);
    rig_message(&rig, 1, "{\"id\":\"b\"}");
    rig_assert_stored(&rig, "a gap oversize b ");
    rig_close(&rig);
}

/* A store that failed and came back: what it had not taken is asked for again. */
static void store_fails(void **arg)
{
    (void)arg;
    struct rig rig;
    open_live(&rig, CONNECT FEED, 0);
    rig.frozen = true;
    rig_message(&rig, 1, "{\"id\":\"a\"}");
    hub_flush(rig.hub);
    rig.flying = NULL;
    hub_committed(rig.hub, ERR_IO);
    stream_store_stalled(rig.stream);
    rig_assert_saw(&rig, "close 1 1001");
    rig_link_ends(&rig, 1, 1001);
    rig.frozen = false;
    hub_reopen(rig.hub, 0, 0);
    stream_restore(rig.stream, slice_make(NULL, 0), false, false);
    stream_store_ready(rig.stream);
    rig_pass(&rig, 0);
    rig_assert_saw(&rig, "dial 2");
    rig_link_up(&rig, 2);
    rig_message(&rig, 2, "{\"id\":\"a\"}");
    rig_assert_stored(&rig, "gap no_resume a ");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_message),        cmocka_unit_test(frame_in_pieces),
        cmocka_unit_test(captures),           cmocka_unit_test(captured_address),
        cmocka_unit_test(oversized_variable), cmocka_unit_test(rule_ends_link),
        cmocka_unit_test(acks_of_heartbeat),  cmocka_unit_test(oversize),
        cmocka_unit_test(store_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
