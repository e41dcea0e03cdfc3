/* What goes out: [send NAME], [heartbeat]; and what rules take from messages for it. */
#include "unit/profile/support.h"

static const char *const no_keys[] = {NULL};

/* ---- what actions take ---- */

#define TAKES                                                                                      \
    CONNECT "[on a]\nmatch = /a exists\ndo =\n"                                                    \
            "  capture session=/s | /d/s, capture seq = /q\n"                                      \
            "  set heartbeat.every=/every\n"                                                       \
            "  set heartbeat.idle = /idle * 1500\n"                                                \
            "  handover /url\n"                                                                    \
            "[on b]\nmatch = /b exists\ndo = handover, fresh, alive, say one, two\n"

static const struct profile_trigger *trigger(const struct scan *s, size_t i,
                                             enum profile_rule_kind kind)
{
    assert_true(i < s->message.n_actions);
    assert_int_equal(s->message.actions[i].action->kind, kind);
    return &s->message.actions[i];
}

static void test_values(void **state)
{
    const struct profile_trigger *t;
    struct scan s;

    scan_start(&s, TAKES, no_keys);
    assert_int_equal(s.loaded.profile->n_variables, 2);
    assert_string_equal(s.loaded.profile->variables[0], "session");
    assert_string_equal(s.loaded.profile->variables[1], "seq");
    scan_text(&s, "{\"a\":1,\"d\":{\"s\":\"x\\ny\"},\"q\":17,\"every\":41250,\"idle\":10.5,"
                  "\"url\":\"wss://o.example/\\u0061\"}");
    assert_null(s.message.fault);
    assert_int_equal(s.message.n_actions, 5);
    t = trigger(&s, 0, PROFILE_RULE_CAPTURE);
    assert_int_equal(t->action->variable, 0);
    assert_slice(t->value, "x\ny");
    t = trigger(&s, 1, PROFILE_RULE_CAPTURE);
    assert_int_equal(t->action->variable, 1);
    assert_slice(t->value, "17");
    t = trigger(&s, 2, PROFILE_RULE_SET);
    assert_int_equal(t->action->setting, PROFILE_SET_HEARTBEAT_EVERY);
    assert_int_equal(t->value_ms, 41250);
    t = trigger(&s, 3, PROFILE_RULE_SET);
    assert_int_equal(t->action->setting, PROFILE_SET_HEARTBEAT_IDLE);
    assert_int_equal(t->value_ms, 15750);
    assert_slice(trigger(&s, 4, PROFILE_RULE_HANDOVER)->value, "wss://o.example/a");
    /* All absent: what is captured is taken away, what is set stays, the handover has no address.
     */
    scan_text(&s, "{\"a\":1,\"s\":null,\"q\":\"\"}");
    assert_null(s.message.fault);
    assert_int_equal(s.message.n_actions, 3);
    assert_slice(trigger(&s, 0, PROFILE_RULE_CAPTURE)->value, NULL);
    assert_slice(trigger(&s, 1, PROFILE_RULE_CAPTURE)->value, NULL);
    assert_slice(trigger(&s, 2, PROFILE_RULE_HANDOVER)->value, NULL);
    scan_text(&s, "{\"b\":1}");
    assert_int_equal(s.message.n_actions, 4);
    assert_slice(trigger(&s, 0, PROFILE_RULE_HANDOVER)->value, NULL);
    trigger(&s, 1, PROFILE_RULE_FRESH);
    trigger(&s, 2, PROFILE_RULE_ALIVE);
    assert_string_equal(trigger(&s, 3, PROFILE_RULE_SAY)->action->text, "one, two");
    scan_stop(&s);
}

static void test_bad_values(void **state)
{
    static const struct {
        const char *text, *fault;
        size_t n;
    } table[] = {
        {"{\"a\":1,\"s\":[]}", "capture of [on a] is neither a string nor a number", 3},
        {"{\"a\":1,\"s\":true}", "capture of [on a] is neither a string nor a number", 3},
        {"{\"a\":1,\"url\":{}}", "handover of [on a] is neither a string nor a number", 3},
        {"{\"a\":1,\"every\":99}", "set of [on a]: `99` is no time from 100 ms to 86400 s", 3},
        {"{\"a\":1,\"every\":100}", NULL, 4},
        {"{\"a\":1,\"every\":86400000}", NULL, 4},
        {"{\"a\":1,\"every\":\"86400001\"}",
         "set of [on a]: `86400001` is no time from 100 ms to 86400 s", 3},
        {"{\"a\":1,\"every\":\"soon\"}", "set of [on a]: `soon` is no time from 100 ms to 86400 s",
         3},
        {"{\"a\":1,\"every\":\"nan\"}", "set of [on a]: `nan` is no time from 100 ms to 86400 s",
         3},
        {"{\"a\":1,\"every\":-5000}", "set of [on a]: `-5000` is no time from 100 ms to 86400 s",
         3},
        {"{\"a\":1,\"every\":1e999}", "set of [on a]: `1e999` is no time from 100 ms to 86400 s",
         3},
    };
    struct scan s;

    scan_start(&s, TAKES, no_keys);
    for (size_t i = 0; i < COUNT(table); i++) {
        scan_text(&s, table[i].text);
        assert_int_equal(s.message.n_actions, table[i].n);
        assert_int_equal(s.message.fault == NULL, table[i].fault == NULL);
        if (table[i].fault != NULL)
            assert_string_equal(s.message.fault, table[i].fault);
        assert_true(s.message.event);
    }
    scan_stop(&s);
}

/* {"a":1,KEY:"\nxx...x"} whose value is n bytes long */
static void scan_long(struct scan *s, const char *key, size_t n, bool escaped)
{
    char *text = malloc(n + 64);
    size_t at;

    assert_non_null(text);
    at = (size_t)sprintf(text, "{\"a\":1,\"%s\":\"%s", key, escaped ? "\\n" : "x");
    memset(text + at, 'x', n - 1);
    strcpy(text + at + n - 1, "\"}");
    scan_text(s, text);
    free(text);
}

static void test_values_are_bounded(void **state)
{
    struct scan s;

    scan_start(&s, TAKES, no_keys);
    for (int escaped = 0; escaped < 2; escaped++) {
        scan_long(&s, "s", LIMIT_VARIABLE, escaped);
        assert_null(s.message.fault);
        assert_int_equal(s.message.actions[0].value.len, LIMIT_VARIABLE);
        scan_long(&s, "s", LIMIT_VARIABLE + 1, escaped);
        assert_non_null(strstr(s.message.fault, "limit is 8192"));
        assert_slice(trigger(&s, 0, PROFILE_RULE_CAPTURE)->value, NULL);
        scan_long(&s, "url", PROFILE_ADDRESS_MAX, escaped);
        assert_null(s.message.fault);
        assert_int_equal(trigger(&s, 2, PROFILE_RULE_HANDOVER)->value.len, PROFILE_ADDRESS_MAX);
        scan_long(&s, "url", PROFILE_ADDRESS_MAX + 1, escaped);
        assert_string_equal(s.message.fault, "handover of [on a] is 2049 bytes, limit is 2048");
        assert_slice(trigger(&s, 2, PROFILE_RULE_HANDOVER)->value, NULL);
    }
    scan_stop(&s);
}

static void test_actions_are_bounded(void **state)
{
    struct scan s;

    scan_start(&s,
               CONNECT "[on a]\nmatch = /a exists\ndo = live,live,live,live,live,live,live,live\n"
                       "[on b]\nmatch = /b exists\ndo = capture v=/b, ignore\n",
               no_keys);
    scan_text(&s, "{\"a\":1}");
    assert_int_equal(s.message.n_actions, PROFILE_ACTIONS_MAX);
    assert_null(s.message.fault);
    scan_text(&s, "{\"a\":1,\"b\":2}");
    assert_int_equal(s.message.n_actions, PROFILE_ACTIONS_MAX);
    assert_string_equal(s.message.fault, "more than 8 actions for one message");
    assert_false(s.message.event);
    scan_stop(&s);
}

static void test_bad_arguments(void **state)
{
    static const struct {
        const char *action, *fault;
    } table[] = {
        {"capture", "`capture` takes VARIABLE=/pointer, not ``"},
        {"capture v", "`capture` takes VARIABLE=/pointer, not `v`"},
        {"capture v=", "`capture` takes VARIABLE=/pointer, not `v=`"},
        {"capture =/v", "`capture` takes VARIABLE=/pointer, not `=/v`"},
        {"capture v=x", "`capture`: `x` is no JSON Pointer; it must begin with \"/\""},
        {"capture v=/~x",
         "`capture`: pointer \"/~x\": \"~\" is written \"~0\", and \"/\" in a name "
         "\"~1\""},
        {"capture v=^/x", "`capture`: `^/x`: there is no [message] split or decode to take it out "
                          "of"},
        {"capture v=header:x", "`capture`: `header:x` needs [message] header_block = yes"},
        {"capture V=/x", "`V` cannot be a variable: a small letter, then small letters, digits and "
                         "_, and none of hawser's own"},
        {"capture position=/x", "`position` cannot be a variable: a small letter, then small "
                                "letters, digits and _, and none of hawser's own"},
        {"set", "`set` takes KEY=/pointer or KEY=/pointer*FACTOR, not ``"},
        {"set heartbeat.evry=/x",
         "`set` cannot set `heartbeat.evry`; did you mean `heartbeat.every`?"},
        {"set connect.url=/x", "`set` cannot set `connect.url`"},
        {"set live.timeout=/x*", "`set` multiplies by a number above 0, such as 1000 for seconds, "
                                 "not by ``"},
        {"set live.timeout=/x*0", "`set` multiplies by a number above 0, such as 1000 for seconds, "
                                  "not by `0`"},
        {"set live.timeout=/x*1s", "`set` multiplies by a number above 0, such as 1000 for "
                                   "seconds, not by `1s`"},
        {"set live.timeout=*5", "`set`: `` is no JSON Pointer; it must begin with \"/\""},
        {"handover wss://x", "`handover`: `wss://x` is no JSON Pointer; it must begin with \"/\""},
        {"send", "`send` takes a name behind it"},
        {"send helo", "there is no [send helo]; did you mean `hello`?"},
        {"send hello|", "there is no [send ]"},
        {"send hello | hello|hello|hello|hello", "`send` chooses among 4 at most"},
        {"send ack", "[send ack] is sent on = stored, so no rule can send it"},
        {"call", "`call` takes a name behind it"},
        {"call snyc", "there is no [http snyc]; did you mean `sync`?"},
        {"say", "`say` takes a text behind it"},
        {"fresh now", "`fresh` takes nothing behind it"},
        {"alive,snapshot x", "`snapshot` takes nothing behind it"},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        char text[1024], fault[512];

        snprintf(text, sizeof(text),
                 CONNECT "[on a]\nmatch = /a exists\ndo = %s\n"
                         "[send hello]\ntext = x\non = open\n[send ack]\ntext = y\non = stored\n"
                         "[http sync]\nurl = https://h.example/\n",
                 table[i].action);
        snprintf(fault, sizeof(fault), "test.ini:5: do: %s", table[i].fault);
        check_fault(text, no_keys, fault);
    }
}

static void test_number_of_values(void **state)
{
    char text[8192] = CONNECT;
    struct loaded l;

    for (int i = 0; i < 64; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 "[on r%d]\nmatch = /a exists\ndo = capture v=/v%d\n", i, i);
    l = load_ok(text, no_keys);
    unload(&l);
    strcpy(text, CONNECT);
    for (int i = 0; i < 33; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 "[on r%d]\nmatch = /a exists\ndo = capture v=/v%d%s\n", i, i,
                 i < 32 ? ", capture w=/w" : "");
    check_fault(text, no_keys,
                "test.ini:101: do: `capture`: more than 64 values that rules take from messages");
}

/* ---- rendering ---- */

#define SENDS                                                                                      \
    "[profile]\nparams = room= none=\nsecrets = token=\n" CONNECT                                  \
    "[send hello]\non = open\ntext = {\"token\":\"${secret.token}\",\"room\":\"${room}\"}\n"       \
    "[send resume]\ntext = {\"seq\":${seq},\"n\":${n}}\n"                                          \
    "[send lost]\ntext = ${none}\n"                                                                \
    "[send ack]\non = stored\ntext = {\"ack\":\"${/id}\",\"x\":${/x|raw},\"y\":\"${/x/0}\"}\n"     \
    "[send raw]\ntext = 42${/id|raw}\n"                                                            \
    "[on a]\nmatch = /a exists\ndo = capture seq=/seq, send resume|raw|lost\n"

static int render(struct scan *s, unsigned send, const char *const *pairs, struct buf *out,
                  struct error *err)
{
    return profile_render_send(s->loaded.profile, send, s->scanner, lookup_pairs, (void *)pairs,
                               out, err);
}

static void check_text(struct scan *s, unsigned send, const char *const *pairs, const char *want)
{
    struct error err = {0};
    struct buf out;

    buf_init(&out, 65536);
    assert_int_equal(render(s, send, pairs, &out, &err), want != NULL);
    if (want != NULL)
        assert_slice(buf_slice(&out), want);
    assert_true(want != NULL || out.len == 0);
    buf_fini(&out);
}

static void test_render(void **state)
{
    static const char *const keys[] = {"room=a\"b", "token=env:T", NULL};
    static const char *const pairs[] = {"secret.token", "t\\\n", "seq", "7", "n", "1", NULL};
    static const char *const few[] = {"n", "1", NULL};
    const struct profile *p;
    struct scan s;

    scan_start(&s, SENDS, keys);
    p = s.loaded.profile;
    assert_int_equal(p->n_sends, 5);
    assert_string_equal(p->sends[1].name, "resume");
    assert_int_equal(p->sends[0].when, PROFILE_SEND_ON_OPEN);
    assert_int_equal(p->sends[1].when, PROFILE_SEND_BY_RULE);
    assert_int_equal(p->sends[3].when, PROFILE_SEND_ON_STORED);
    check_text(&s, 0, pairs, "{\"token\":\"t\\\\\\n\",\"room\":\"a\\\"b\"}");
    check_text(&s, 0, few, NULL);
    check_text(&s, 1, pairs, "{\"seq\":7,\"n\":1}");
    check_text(&s, 1, few, NULL);
    check_text(&s, 2, pairs, NULL);
    /* Before any message there is nothing to take. */
    check_text(&s, 3, pairs, "{\"ack\":\"\",\"x\":,\"y\":\"\"}");
    scan_text(&s, "{\"a\":1,\"id\":\"i\\\"\\u0031\",\"x\":[true, {}]}");
    check_text(&s, 3, pairs, "{\"ack\":\"i\\\"1\",\"x\":[true, {}],\"y\":\"true\"}");
    check_text(&s, 4, pairs, "42i\"1");
    assert_int_equal(s.message.n_actions, 2);
    assert_int_equal(s.message.actions[1].action->n_sends, 3);
    assert_int_equal(s.message.actions[1].action->sends[1], 4);
    assert_null(s.message.actions[1].action->text);
    scan_text(&s, "{\"x\":null}");
    check_text(&s, 3, pairs, "{\"ack\":\"\",\"x\":null,\"y\":\"\"}");
    scan_stop(&s);
}

static void test_render_fails(void **state)
{
    static const char *const keys[] = {NULL};
    struct error err = {0};
    struct buf out;
    struct scan s;

    scan_start(&s, SENDS, keys);
    buf_init(&out, 16);
    scan_text(&s, "{\"id\":[1],\"x\":1}");
    assert_int_equal(render(&s, 3, no_keys, &out, &err), ERR_INVAL);
    assert_string_equal(err.text, "[send ack]: `/id` is neither a string nor a number; write "
                                  "${/id|raw} for what stands there");
    assert_int_equal(out.len, 0);
    scan_text(&s, "{\"id\":\"0123456789\"}");
    assert_int_equal(render(&s, 3, no_keys, &out, &err), ERR_LIMIT);
    assert_int_equal(render(&s, 3, no_keys, &out, NULL), ERR_LIMIT);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
    scan_stop(&s);
}

/* A rule's send speaks of the frame, what is stored of the element. */
static void test_render_of_a_split_frame(void **state)
{
    struct profile_frame frame;
    struct scan s;

    scan_start(&s,
               CONNECT "[message]\nsplit = /l/*\n"
                       "[send stored]\non = stored\ntext = ${/id} of ${^/id}\n"
                       "[send got]\ntext = ${/id}\nanswer = /id == 9\n"
                       "[on a]\nmatch = /id exists\ndo = send got\n",
               no_keys);
    profile_frame_begin(s.scanner, SLICE("{\"id\":\"f\",\"l\":[{\"id\":1},{\"id\":2}]}"), NULL,
                        &frame);
    assert_true(profile_frame_next(s.scanner, &frame, &s.message));
    check_text(&s, 0, no_keys, "1 of f");
    assert_true(profile_frame_next(s.scanner, &frame, &s.message));
    check_text(&s, 0, no_keys, "2 of f");
    assert_int_equal(s.message.answers, 0);
    assert_true(profile_frame_next(s.scanner, &frame, &s.message));
    assert_int_equal(s.message.n_actions, 1);
    check_text(&s, 1, no_keys, "f");
    assert_false(profile_frame_next(s.scanner, &frame, &s.message));
    scan_text(&s, "{\"id\":9}");
    assert_int_equal(s.message.answers, 2);
    scan_stop(&s);
    check_fault(CONNECT "[message]\nsplit = /l/*\n[on a]\nmatch = ^/x exists\ndo = live\n", no_keys,
                "test.ini:6: match: `^/x`: a rule is about the frame, and nothing holds that");
}

/* ---- answers and acknowledgements ---- */

static void test_answers(void **state)
{
    const struct profile *p;
    struct scan s;

    scan_start(&s,
               CONNECT "[send a]\non = open\ntext = a\nanswer = /id == 1\n"
                       "[send b]\non = open\ntext = b\n"
                       "[send c]\non = open\ntext = c\nanswer = /ok | /done == true\n"
                       "answer_timeout = 3s\n"
                       "[send beat]\ntext = beat ${n}\nonce = no\n"
                       "[heartbeat]\nsend = beat\nevery = 30s\nack = /type == \"pong\"\n",
               no_keys);
    p = s.loaded.profile;
    assert_true(p->sends[0].answered);
    assert_int_equal(p->sends[0].answer_timeout_ms, 10000);
    assert_false(p->sends[1].answered);
    assert_int_equal(p->sends[2].answer_timeout_ms, 3000);
    assert_int_equal(p->heartbeat.send, 3);
    assert_int_equal(p->heartbeat.every_ms, 30000);
    assert_int_equal(p->heartbeat.ack_timeout_ms, 10000);
    scan_text(&s, "{\"id\":1,\"ok\":false,\"done\":true}");
    assert_int_equal(s.message.answers, 1);
    assert_false(s.message.acks);
    scan_text(&s, "{\"done\":true,\"type\":\"pong\"}");
    assert_int_equal(s.message.answers, 4);
    assert_true(s.message.acks);
    scan_text(&s, "{}");
    assert_int_equal(s.message.answers, 0);
    assert_false(s.message.acks);
    scan_text(&s, "no json");
    assert_int_equal(s.message.answers, 0);
    scan_stop(&s);
}

static void test_heartbeat_is_none(void **state)
{
    struct loaded l = load_ok(CONNECT, no_keys);

    assert_int_equal(l.profile->heartbeat.send, PROFILE_NONE);
    assert_int_equal(l.profile->heartbeat.ack_timeout_ms, 0);
    assert_int_equal(l.profile->catchup.tip, PROFILE_NONE);
    assert_int_equal(l.profile->n_sends, 0);
    unload(&l);
    /* Nothing awaits an answer that no key names. */
    l = load_ok(CONNECT "[send b]\ntext = b\n[heartbeat]\nsend = b\nevery = 1s\n", no_keys);
    assert_int_equal(l.profile->heartbeat.ack_timeout_ms, 0);
    unload(&l);
    l = load_ok(CONNECT "[send b]\ntext = b\n[heartbeat]\nsend = b\n"
                        "[on a]\nmatch = /a exists\ndo = set heartbeat.every=/a, alive\n",
                no_keys);
    assert_int_equal(l.profile->heartbeat.every_ms, 0);
    assert_int_equal(l.profile->heartbeat.ack_timeout_ms, 10000);
    unload(&l);
}

/* ---- what is refused ---- */

static void test_bad_sends(void **state)
{
    static const struct {
        const char *text, *fault;
    } table[] = {
        {"[send]\ntext = x\n", "test.ini:3: [send] needs a name: [send NAME]"},
        {"[send a]\non = open\n", "test.ini:3: [send a] has no `text`"},
        {"[send a]\ntext = x\non = opn\n", "test.ini:5: on: `opn` is none of rule, open, stored"},
        {"[send a]\ntext = x\non = open\nonce = ja\n", "test.ini:6: once: `ja` is none of no, yes"},
        {"[send a]\ntext = x\non = open\nonce = yes\n",
         "test.ini:6: once: is for what is sent on = rule"},
        {"[send a]\ntext = x\n", "test.ini:3: [send a] is never sent: no rule does send a, and it "
                                 "has neither on = open nor on = stored"},
        {"[send a]\ntext = x\non = open\nanwser = y\n",
         "test.ini:6: unknown key `anwser` in [send]; did you mean `answer`?"},
        {"[send a]\non = open\ntext = ${\n", "test.ini:5: text: \"${\" without a \"}\" behind it"},
        {"[send a]\non = open\ntext = ${unid}\n",
         "test.ini:5: text: there is no variable `unid` here; did you mean `uuid`?"},
        {"[send a]\non = open\ntext = ${/x}\n",
         "test.ini:5: text: takes something from a message, but is sent on = open, without one"},
        {"[send a]\non = stored\ntext = ${^/x}\n",
         "test.ini:5: text: `^/x`: there is no [message] split or decode to take it out of"},
        {"[send a]\non = stored\ntext = x\nanswer = /a exists\n",
         "test.ini:6: answer: none is awaited for what is sent on = stored"},
        {"[send a]\non = open\ntext = x\nanswer = /a\n",
         "test.ini:6: answer: ==, != or exists must follow, but it ends there"},
        {"[send a]\non = open\ntext = x\nanswer_timeout = 3s\n",
         "test.ini:6: answer_timeout: needs `answer`"},
        {"[send a]\non = open\ntext = x\nanswer = /a exists\nanswer_timeout = 0s\n",
         "test.ini:7: answer_timeout: `0s` is not from 1ms to 1h"},
        {"data = forbid\n[send a]\non = open\ntext = x\n",
         "test.ini:4: [send a]: [connect] data = forbid, so nothing can be sent"},
        {"[heartbeat]\nsend = pin\n[send ping]\non = open\ntext = x\n",
         "test.ini:4: send: there is no [send pin]; did you mean `ping`?"},
        {"[heartbeat]\nsend = ping\nevery = 1s\n[send ping]\non = open\ntext = x\n",
         "test.ini:4: send: [send ping] must be sent on = rule"},
        {"[heartbeat]\nsend = ping\n[send ping]\ntext = x\n",
         "test.ini:4: send: needs `every`, or a rule that does set heartbeat.every"},
        {"[heartbeat]\nsend = ping\nevery = 1s\n[send ping]\ntext = ${/x}\n",
         "test.ini:4: send: the text of [send ping] takes something from a message, and a "
         "heartbeat "
         "has none"},
        {"[heartbeat]\nevery = 1s\n",
         "test.ini:4: every: needs `send = NAME`, a [send NAME] that is the heartbeat"},
        {"[heartbeat]\nack = /a exists\n",
         "test.ini:4: ack: needs `send = NAME`, a [send NAME] that is the heartbeat"},
        {"[heartbeat]\nsend = ping\nevery = 1s\nack = /a = 1\n[send ping]\ntext = x\n",
         "test.ini:6: ack: ==, != or exists must follow, not `= 1`"},
        {"[heartbeat]\nsend = ping\nevery = 1s\nack_timeout = 5s\n[send ping]\ntext = x\n",
         "test.ini:6: ack_timeout: needs `ack`, or a rule that does `alive`"},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        char text[1024];

        snprintf(text, sizeof(text), CONNECT "%s", table[i].text);
        check_fault(text, no_keys, table[i].fault);
    }
}

static void test_number_of_sends(void **state)
{
    char text[4096] = CONNECT;
    struct loaded l;

    for (int i = 0; i < PROFILE_SENDS_MAX; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 "[send s%d]\non = open\ntext = x\n", i);
    l = load_ok(text, no_keys);
    assert_int_equal(l.profile->n_sends, PROFILE_SENDS_MAX);
    unload(&l);
    strcat(text, "[send last]\n");
    check_fault(text, no_keys, "test.ini:51: more than 16 [send] sections");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_values_are_bounded),
        cmocka_unit_test(test_actions_are_bounded),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_number_of_values),
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_render_fails),
        cmocka_unit_test(test_render_of_a_split_frame),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_heartbeat_is_none),
        cmocka_unit_test(test_bad_sends),
        cmocka_unit_test(test_number_of_sends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
