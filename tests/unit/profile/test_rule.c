/* Match expressions and the actions of rules. */
#include "unit/profile/support.h"

static const char *const no_keys[] = {NULL};

/* ---- what holds ---- */

/* One profile for one expression; tells by .event = false that it holds. */
static bool holds(const char *match, const char *const *keys, const char *text)
{
    char profile[4096];
    struct profile_scanner *scanner;
    struct profile_message message;
    struct loaded l;

    snprintf(profile, sizeof(profile),
             "[profile]\nparams = p= q=\n" CONNECT "[on a]\nmatch = %s\ndo = ignore\n", match);
    l = load_ok(profile, keys);
    assert_int_equal(profile_scanner_new(l.profile, &scanner), 0);
    scan_first(scanner, slice_str(text), &message);
    assert_true(message.json);
    profile_scanner_free(scanner);
    unload(&l);
    return !message.event;
}

static void test_expressions(void **state)
{
    static const struct {
        const char *match, *text;
        bool holds;
    } table[] = {
        {"/a == \"x\"", "{\"a\":\"x\"}", true},
        {"/a==\"x\"", "{\"a\":\"x\"}", true},
        {"/a == \"x\"", "{\"a\":\"\\u0078\"}", true},
        {"/a == \"\\u0078\\n\"", "{\"a\":\"x\\n\"}", true},
        {"/a == \"x\"", "{\"a\":\"xy\"}", false},
        {"/a == \"1\"", "{\"a\":1}", false},
        {"/a == 1", "{\"a\":\"1\"}", false},
        {"/a == 1", "{\"a\":1}", true},
        {"/a == 1", "{\"a\":1.0}", true},
        {"/a == 1e3", "{\"a\":1000}", true},
        {"/a == -0.5", "{\"a\":-5e-1}", true},
        {"/a == 9007199254740993", "{\"a\":9007199254740992}", false},
        {"/a == true", "{\"a\":true}", true},
        {"/a == true", "{\"a\":false}", false},
        {"/a == true", "{\"a\":\"true\"}", false},
        {"/a == false", "{\"a\":false}", true},
        {"/a == null", "{\"a\":null}", true},
        {"/a == null", "{}", false},
        {"/a != null", "{}", true},
        {"/a != \"x\"", "{}", true},
        {"/a != \"x\"", "{\"a\":[]}", true},
        {"/a != \"x\"", "{\"a\":\"x\"}", false},
        {"/a exists", "{\"a\":null}", true},
        {"/a exists", "{\"b\":1}", false},
        {"/a/b exists", "{\"a\":{\"b\":0}}", true},
        {"/0 == 5", "[5]", true},
        {"/a exists && /b exists", "{\"a\":1}", false},
        {"/a exists && /b exists", "{\"a\":1,\"b\":1}", true},
        {"/a exists || /b exists", "{\"b\":1}", true},
        {"/a exists || /b exists && /c exists", "{\"a\":1}", true},
        {"(/a exists || /b exists) && /c exists", "{\"a\":1}", false},
        {"(/a exists || /b exists) && /c exists", "{\"b\":1,\"c\":1}", true},
        {"((/a exists))", "{\"a\":1}", true},
        {"/a exists\n  && /b exists", "{\"a\":1,\"b\":1}", true},
        {"/a exists&&/b exists", "{\"a\":1,\"b\":1}", true},
        {"/a == \"&& ) ==\"", "{\"a\":\"&& ) ==\"}", true},
        {"/a~1b == 1", "{\"a/b\":1}", true},
        {"/a | /b == 1", "{\"b\":1}", true},
        {"/a|/b==1", "{\"a\":2,\"b\":1}", false},
        {"/a | /b != 1", "{\"a\":2,\"b\":1}", true},
        {"/a | /b | /c exists", "{\"c\":null}", true},
        {"/a | /b | /c exists", "{\"d\":1}", false},
        {"/a | /b == 1 || /c exists", "{\"c\":1}", true},
        {"/a | /b == 1 && /c exists", "{\"b\":1}", false},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        if (holds(table[i].match, no_keys, table[i].text) != table[i].holds)
            fail_msg("%s on %s", table[i].match, table[i].text);
}

static void test_parameters(void **state)
{
    static const char *const keys[] = {"p=42", NULL};

    assert_true(holds("/a == ${p}", keys, "{\"a\":\"42\"}"));
    assert_true(holds("/a == ${p}", keys, "{\"a\":42}"));
    assert_false(holds("/a == ${p}", keys, "{\"a\":42.0}"));
    assert_false(holds("/a == ${p}", keys, "{\"a\":true}"));
    assert_true(holds("/a != ${p}", keys, "{\"a\":\"43\"}"));
    /* With a parameter that has no value, nothing holds. */
    assert_false(holds("/a != ${q}", keys, "{\"a\":\"43\"}"));
    assert_false(holds("/a exists || /a == ${q}", keys, "{\"a\":\"43\"}"));
}

/* ---- what is refused ---- */

static void test_bad_expressions(void **state)
{
    static const struct {
        const char *match, *fault;
    } table[] = {
        {"", "a JSON Pointer or \"(\" must stand here, but it ends there"},
        {"a == 1", "`a` is no JSON Pointer; it must begin with \"/\""},
        {"/a", "==, != or exists must follow, but it ends there"},
        {"/a = 1", "==, != or exists must follow, not `= 1`"},
        {"/a ==", "a value must follow, but it ends there"},
        {"/a == x", "a value must follow (a JSON string in quotes, a number, true, false, null or "
                    "${parameter}), not `x`"},
        {"/a == 'x'", "a value must follow (a JSON string in quotes, a number, true, false, null "
                      "or ${parameter}), not `'x'`"},
        {"/a == \"x", "a value must follow (a JSON string in quotes, a number, true, false, null "
                      "or ${parameter}), not `\"x`"},
        {"/a == \"\\q\"", "a value must follow (a JSON string in quotes, a number, true, false, "
                          "null or ${parameter}), not `\"\\q\"`"},
        {"/a == 01", "a value must follow (a JSON string in quotes, a number, true, false, null or "
                     "${parameter}), not `01`"},
        {"/a == [1]", "a value must follow (a JSON string in quotes, a number, true, false, null "
                      "or ${parameter}), not `[1]`"},
        {"/a exists /b exists", "&& or || must stand here, not `/b exists`"},
        {"/a exists &&", "a JSON Pointer or \"(\" must stand here, but it ends there"},
        {"(/a exists", "\")\" must stand here, but it ends there"},
        {"/a exists)", "&& or || must stand here, not `)`"},
        {"/a | == 1", "a JSON Pointer or \"(\" must stand here, not `== 1`"},
        {"/a | b == 1", "`b` is no JSON Pointer; it must begin with \"/\""},
        {"/1|/2|/3|/4|/5|/6|/7|/8|/9 exists", "more than 8 places in one test"},
        {"()", "a JSON Pointer or \"(\" must stand here, not `)`"},
        {"/a == ${nope}", "there is no variable `nope` here"},
        {"/a == ${pp}", "there is no variable `pp` here; did you mean `p`?"},
        {"/a == ${position}", "there is no variable `position` here"},
        {"/a == ${/b}", "`${/b}` is no parameter, and only those can be compared with"},
        {"/a == ${", "\"${\" without a \"}\" behind it"},
        {"header:x == 1", "`header:x` needs [message] header_block = yes"},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        char text[512], fault[512];

        snprintf(text, sizeof(text),
                 "[profile]\nparams = p= q=\n" CONNECT "[on a]\nmatch = %s\ndo = ignore\n",
                 table[i].match);
        snprintf(fault, sizeof(fault), "test.ini:6: match: %s", table[i].fault);
        check_fault(text, no_keys, fault);
    }
}

/* `left` n times, "/a exists", `right` n times. */
static void nest(char *out, size_t size, const char *left, const char *right, int n)
{
    snprintf(out, size, CONNECT "[on a]\ndo = ignore\nmatch = ");
    for (int i = 0; i < n; i++)
        strcat(out, left);
    strcat(out, "/a exists");
    for (int i = 0; i < n; i++)
        strcat(out, right);
    strcat(out, "\n");
}

static void test_bounds_of_expressions(void **state)
{
    char text[4096];
    struct loaded l;

    nest(text, sizeof(text), "(", ")", 32);
    l = load_ok(text, no_keys);
    unload(&l);
    nest(text, sizeof(text), "(", ")", 33);
    check_fault(text, no_keys, "test.ini:5: match: more than 32 parentheses in one another");
    nest(text, sizeof(text), "", " || /b exists", 63);
    l = load_ok(text, no_keys);
    unload(&l);
    nest(text, sizeof(text), "", " || /b exists", 64);
    check_fault(text, no_keys, "test.ini:5: match: more than 64 tests in one expression");
}

static void test_number_of_rules(void **state)
{
    char text[8192] = CONNECT;
    struct loaded l;

    for (int i = 0; i < 64; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 "[on r%d]\nmatch = /a exists\ndo = ignore\n", i);
    l = load_ok(text, no_keys);
    unload(&l);
    strcat(text, "[on last]\n");
    check_fault(text, no_keys, "test.ini:195: more than 64 rules");
}

/* ---- actions ---- */

static void test_actions(void **state)
{
    static const struct {
        enum profile_rule_kind kind;
        int64_t delay_ms;
        const char *text;
    } want[] = {
        {PROFILE_RULE_LIVE, 0, NULL},         {PROFILE_RULE_RECONNECT, 0, NULL},
        {PROFILE_RULE_RECONNECT, 5000, NULL}, {PROFILE_RULE_REFRESH, 0, NULL},
        {PROFILE_RULE_FORGET, 0, NULL},       {PROFILE_RULE_GAP, 0, "one, two"},
        {PROFILE_RULE_HOLD, 300000, NULL},    {PROFILE_RULE_PARK, 0, NULL},
    };
    struct loaded l =
        load_ok(CONNECT "[on many]\nmatch = /a exists\ndo =\n  live,reconnect , reconnect 5s\n"
                        "  refresh,\n  forget, gap one, two\n  hold 5m\n  park\n",
                no_keys);
    struct profile_scanner *scanner;
    struct profile_message message;

    assert_int_equal(profile_scanner_new(l.profile, &scanner), 0);
    scan_first(scanner, SLICE("{\"a\":1}"), &message);
    assert_int_equal(message.n_actions, COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_int_equal(message.actions[i].action->kind, want[i].kind);
        assert_int_equal(message.actions[i].action->delay_ms, want[i].delay_ms);
        assert_string_equal(message.actions[i].action->rule, "many");
        if (want[i].text == NULL)
            assert_null(message.actions[i].action->text);
        else
            assert_string_equal(message.actions[i].action->text, want[i].text);
    }
    profile_scanner_free(scanner);
    unload(&l);
}

static void test_bad_actions(void **state)
{
    static const struct {
        const char *action, *fault;
    } table[] = {
        {"", "no action; write one, such as `ignore`"},
        {",", "unknown action ``"},
        {"ignroe", "unknown action `ignroe`; did you mean `ignore`?"},
        {"live, ,event", "unknown action ``"},
        {"live now", "`live` takes nothing behind it"},
        {"event x", "`event` takes nothing behind it"},
        {"reconnect soon", "`reconnect` takes a duration such as 30s or 5m, not `soon`"},
        {"hold", "`hold` takes a duration such as 30s or 5m, not ``"},
        {"hold 5", "`hold` takes a duration such as 30s or 5m, not `5`"},
        {"captur x=/y", "unknown action `captur`; did you mean `capture`?"},
        {"live,live,live,live,live,live,live,live,live,live,live,live,live,live,live,live,live",
         "more than 16 actions"},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        char text[512], fault[512];

        snprintf(text, sizeof(text), CONNECT "[on a]\nmatch = /a exists\ndo = %s\n",
                 table[i].action);
        snprintf(fault, sizeof(fault), "test.ini:5: do: %s", table[i].fault);
        check_fault(text, no_keys, fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions),     cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_bad_expressions), cmocka_unit_test(test_bounds_of_expressions),
        cmocka_unit_test(test_number_of_rules), cmocka_unit_test(test_actions),
        cmocka_unit_test(test_bad_actions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
