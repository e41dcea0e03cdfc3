/* Ends by their keys, and which of them a profile has something to say about. */
#include "unit/profile/support.h"

#include <string.h>

static void check_key(const char *key, const char *same)
{
    struct profile_end end;
    struct error err;
    char text[320];

    assert_int_equal(profile_end_parse(slice_str(key), &end, &err), 0);
    assert_int_equal(profile_end_key(&end, text, sizeof(text)), strlen(same));
    assert_string_equal(text, same);
}

static void test_keys_there_and_back(void **state)
{
    static const char *const keys[] = {"1000",         "4999", "100", "599",   "403/banned",
                                       "local/1001",   "dns",  "tls", "proxy", "timeout/upgrade",
                                       "timeout/proxy"};

    for (size_t i = 0; i < COUNT(keys); i++)
        check_key(keys[i], keys[i]);
    check_key("none", "1006");
}

static void test_what_is_no_end(void **state)
{
    static const char *const keys[] = {"",         "default",   "99",      "600",       "999",
                                       "5000",     "1000-",     "100-199", "3000-4999", "timeout",
                                       "timeout/", "timeout/x", "tls/dns", "dnz",       "1006/"};

    for (size_t i = 0; i < COUNT(keys); i++) {
        struct profile_end end;
        struct error err = {0};

        if (profile_end_parse(slice_str(keys[i]), &end, &err) != ERR_PARSE || err.text[0] == '\0')
            fail_msg("\"%s\"", keys[i]);
    }
}

static void test_a_key_is_cut_to_its_room(void **state)
{
    struct profile_end end = {.kind = PROFILE_END_CLOSE, .code = 4003};
    char text[4];

    assert_int_equal(profile_end_key(&end, text, sizeof(text)), 3);
    assert_string_equal(text, "400");
}

struct seen {
    char text[4096];
};

static void on_end(void *arg, const struct profile_end *end, int to)
{
    struct seen *seen = arg;
    char key[320];
    size_t n = strlen(seen->text);

    profile_end_key(end, key, sizeof(key));
    snprintf(seen->text + n, sizeof(seen->text) - n,
             to > end->code && end->code > 0 ? "%s-%d " : "%s ", key, to);
}

static void test_the_ends_of_a_profile_each_once(void **state)
{
    struct loaded loaded =
        load_ok(CONNECT "[close]\ndefault = retry\n4003 = park\n4100-4199 = retry\n"
                        "4003/ping = retry\n[failure]\ntimeout = hold 5m\n"
                        "[explain]\n4003 = a. Fix: b\n401 = c. Fix: d\n"
                        "local/1001 = e. Fix: f\n",
                NULL);
    struct seen seen = {.text = ""};

    profile_ends(loaded.profile, on_end, &seen);
    assert_string_equal(seen.text,
                        "4003 4100-4199 4003/ping timeout/dns timeout/tcp timeout/tls "
                        "timeout/upgrade timeout/live timeout/answer timeout/http timeout/proxy "
                        "401 local/1001 ");
    unload(&loaded);
}

static void all_explained(void *arg, const struct profile_end *end, int to)
{
    const struct profile *profile = arg;
    const char *explain;
    char key[320];

    (void)to;
    assert_non_null(profile_policy(profile, end, &explain));
    profile_end_key(end, key, sizeof(key));
    if (explain == NULL || strstr(explain, ". Fix: ") == NULL)
        fail_msg("%s: no cause and fix", key);
}

static void test_all_that_is_built_in_has_cause_and_fix(void **state)
{
    struct loaded loaded = load_ok(CONNECT, NULL);
    struct seen seen = {.text = ""};

    profile_ends_builtin(all_explained, loaded.profile);
    profile_ends_builtin(on_end, &seen);
    for (int code = 1000; code <= 1015; code++) {
        char key[8];

        snprintf(key, sizeof(key), "%d ", code);
        assert_non_null(strstr(seen.text, key));
    }
    unload(&loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_there_and_back),
        cmocka_unit_test(test_what_is_no_end),
        cmocka_unit_test(test_a_key_is_cut_to_its_room),
        cmocka_unit_test(test_the_ends_of_a_profile_each_once),
        cmocka_unit_test(test_all_that_is_built_in_has_cause_and_fix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
