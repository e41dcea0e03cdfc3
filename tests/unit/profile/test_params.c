/* Parameters and secrets: declared by a profile, given by a stream. */
#include "unit/profile/support.h"

static const char *const no_keys[] = {NULL};

struct bad {
    const char *text, *fault;
};

/* ---- declared ---- */

static void test_bad_declarations(void **state)
{
    static const struct bad table[] = {
        {"[profile]\nparams = Host\n" CONNECT,
         "test.ini:2: params: `Host` cannot be a name: a small letter, then small letters, digits "
         "and _, and none of position, next, n, uuid, now_ms, each"},
        {"[profile]\nparams = position\n" CONNECT,
         "test.ini:2: params: `position` cannot be a name: a small letter, then small letters, "
         "digits and _, and none of position, next, n, uuid, now_ms, each"},
        {"[profile]\nparams = a b a\n" CONNECT, "test.ini:2: params: `a` is declared twice"},
        {"[profile]\nparams = a\nsecrets = a\n" CONNECT,
         "test.ini:3: secrets: `a` is declared twice"},
        {"[profile]\nsecrets = a=b\n" CONNECT,
         "test.ini:2: secrets: a secret has no default; write `a=` for one that may be absent"},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        check_fault(table[i].text, no_keys, table[i].fault);
}

static void test_declarations_are_bounded(void **state)
{
    char text[1024] = "[profile]\nparams =";
    size_t n;
    struct loaded l;

    for (int i = 0; i < 32; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), " p%d", i);
    n = strlen(text);
    snprintf(text + n, sizeof(text) - n, "\n" CONNECT);
    l = load_ok(text, no_keys);
    unload(&l);
    snprintf(text + n, sizeof(text) - n, " p32\n" CONNECT);
    check_fault(text, no_keys, "test.ini:2: params: more than 32 parameters and secrets");
}

/* ---- parameters ---- */

#define HOSTED "[profile]\nparams = host\n[connect]\nurl = wss://${host}/v1\n"

static void test_missing_parameter(void **state)
{
    check_fault(HOSTED "query.h = ${host}\n", no_keys, "hawser.ini:11: profile test needs `host`");
    /* One that nothing names may be absent. */
    struct loaded l = load_ok("[profile]\nparams = spare\n" CONNECT, no_keys);

    unload(&l);
}

static void test_bad_parameters(void **state)
{
    static const struct {
        const char *key, *fault;
    } table[] = {
        {"host=a b",
         "hawser.ini:12: host: `host` is `a b`, which is no NAME, NAME:PORT, ADDRESS or "
         "[IPV6]:PORT"},
        {"host=a/b",
         "hawser.ini:12: host: `host` is `a/b`, which is no NAME, NAME:PORT, ADDRESS or "
         "[IPV6]:PORT"},
        {"host=u@h",
         "hawser.ini:12: host: `host` is `u@h`, which is no NAME, NAME:PORT, ADDRESS or "
         "[IPV6]:PORT"},
        {"host=h:0",
         "hawser.ini:12: host: `host` is `h:0`, which is no NAME, NAME:PORT, ADDRESS or "
         "[IPV6]:PORT"},
        {"host=h:65536", "hawser.ini:12: host: `host` is `h:65536`, which is no NAME, NAME:PORT, "
                         "ADDRESS or [IPV6]:PORT"},
        {"host=h:", "hawser.ini:12: host: `host` is `h:`, which is no NAME, NAME:PORT, ADDRESS or "
                    "[IPV6]:PORT"},
        {"host=[::1",
         "hawser.ini:12: host: `host` is `[::1`, which is no NAME, NAME:PORT, ADDRESS or "
         "[IPV6]:PORT"},
        {"host=[]", "hawser.ini:12: host: `host` is `[]`, which is no NAME, NAME:PORT, ADDRESS or "
                    "[IPV6]:PORT"},
        {"host=https://h",
         "hawser.ini:12: host: `host` is `https://h`, which is no NAME, NAME:PORT, "
         "ADDRESS or [IPV6]:PORT"},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        const char *const keys[] = {table[i].key, NULL};

        check_fault(HOSTED, keys, table[i].fault);
    }
}

static void test_good_hosts(void **state)
{
    static const char *const hosts[] = {"host=h",       "host=h.example:1",   "host=h_1-2.x:65535",
                                        "host=1.2.3.4", "host=[2001:db8::1]", "host=[::1]:8443"};

    for (size_t i = 0; i < COUNT(hosts); i++) {
        const char *const keys[] = {hosts[i], NULL};
        struct loaded l = load_ok(HOSTED, keys);

        unload(&l);
    }
}

static void test_unknown_stream_key(void **state)
{
    static const char *const near[] = {"host=h", "hots=x", NULL};
    static const char *const own[] = {"host=h", "retian_age=x", NULL};
    static const char *const far[] = {"host=h", "whatever=x", NULL};

    check_fault(HOSTED, near, "hawser.ini:13: unknown key `hots`; did you mean `host`?");
    check_fault(HOSTED, own, "hawser.ini:13: unknown key `retian_age`; did you mean `retain_age`?");
    check_fault(HOSTED, far,
                "hawser.ini:13: unknown key `whatever`: neither [stream] nor profile test has it");
}

static void test_parameter_bytes(void **state)
{
    static const char *const control[] = {"host=a\nb", NULL};
    char *value = malloc(5 + LIMIT_VARIABLE + 2);
    const char *keys[] = {value, NULL};
    struct loaded l;

    assert_non_null(value);
    check_fault(HOSTED, control,
                "hawser.ini:12: host: a control byte (or a continued line) in the value");
    memset(value, 'a', 5 + LIMIT_VARIABLE + 2);
    memcpy(value, "path=", 5);
    value[5 + LIMIT_VARIABLE] = '\0';
    l = load_ok("[profile]\nparams = path=\n[connect]\nurl = wss://h.example/${path}\n", keys);
    unload(&l);
    value[5 + LIMIT_VARIABLE] = 'a';
    value[5 + LIMIT_VARIABLE + 1] = '\0';
    check_fault("[profile]\nparams = path=x\n[connect]\nurl = wss://h.example/${path}\n", keys,
                "hawser.ini:12: path: 8193 bytes are too long, the limit is 8192");
    free(value);
}

/* ---- secrets ---- */

#define TOKEN "[profile]\nsecrets = token\n" CONNECT "query.t = ${secret.token}\n"

#define NO_SHELL                                                                                   \
    "exec: starts the program without a shell; quotes, \\, $, `, pipes and redirections have no "  \
    "meaning. Put them into a script of your own"

static void test_secret_literals_are_refused_unsaid(void **state)
{
    static const struct {
        const char *value, *why;
    } table[] = {
        {"hunter2SECRET", "a secret is not written into the configuration itself. Put it into a "
                          "file that only hawser can read and write file:/PATH here, or "
                          "credential:NAME (systemd), env:NAME, or exec:/PATH of a program that "
                          "prints it"},
        {"exec:bin/SECRET",
         "exec: takes the absolute path of a program, such as exec:/usr/local/bin/token ARG"},
        {"exec:/", "exec: takes the absolute path of a program, such as "
                   "exec:/usr/local/bin/token ARG"},
        {"exec:", "exec: takes the absolute path of a program, such as "
                  "exec:/usr/local/bin/token ARG"},
        {"exec:/ SECRET", "exec: takes the absolute path of a program, such as "
                          "exec:/usr/local/bin/token ARG"},
        {"exec:/bin/cat 'SECRET'", NO_SHELL},
        {"exec:/bin/cat $SECRET", NO_SHELL},
        {"exec:/bin/cat `SECRET`", NO_SHELL},
        {"exec:/bin/cat a\\ SECRET", NO_SHELL},
        {"exec:/bin/cat /SECRET | head", NO_SHELL},
        {"exec:/bin/cat < /SECRET", NO_SHELL},
        {"exec:/bin/a && SECRET", NO_SHELL},
        {"exec:/bin/cat\n/SECRET", "exec: a control byte (or a continued line)"},
        {"", "a secret is not written into the configuration itself. Put it into a file that only "
             "hawser can read and write file:/PATH here, or credential:NAME (systemd), env:NAME, "
             "or exec:/PATH of a program that "
             "prints it"},
        {"file:SECRET", "file: takes an absolute path, such as file:/etc/hawser/token"},
        {"env:SEC=RET", "env: takes the name of an environment variable, such as env:CHAT_TOKEN"},
        {"env:", "env: takes the name of an environment variable, such as env:CHAT_TOKEN"},
        {"credential:../SECRET",
         "credential: takes the name of a systemd credential, such as credential:chat-token"},
        {"credential:",
         "credential: takes the name of a systemd credential, such as credential:chat-token"},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        char key[128], fault[512];
        const char *const keys[] = {key, NULL};
        struct loaded l;

        snprintf(key, sizeof(key), "token=%s", table[i].value);
        snprintf(fault, sizeof(fault), "hawser.ini:12: token: %s", table[i].why);
        l = load_text(TOKEN, keys);
        assert_fault(&l, fault);
        assert_null(strstr(diag_get(l.diag, 0), "SECRET"));
        assert_null(strstr(diag_get(l.diag, 0), "RET"));
        unload(&l);
    }
}

static void test_secrets(void **state)
{
    static const char *const keys[] = {"token=file:/etc/hawser/token", NULL};
    struct loaded l =
        load_ok("[profile]\nsecrets = token other\n" CONNECT "query.t = ${secret.token}\n", keys);

    assert_int_equal(l.profile->n_secrets, 2);
    assert_string_equal(l.profile->secrets[0].name, "token");
    assert_string_equal(l.profile->secrets[0].source, "file:/etc/hawser/token");
    assert_string_equal(l.profile->secrets[0].file, "hawser.ini");
    assert_int_equal(l.profile->secrets[0].line, 12);
    assert_string_equal(l.profile->secrets[1].name, "other");
    assert_null(l.profile->secrets[1].source);
    unload(&l);
    check_fault(TOKEN, no_keys,
                "hawser.ini:11: profile test needs `token`, such as file:/PATH or "
                "credential:NAME");
    l = load_ok("[profile]\nsecrets = token=\n" CONNECT "query.t = ${secret.token}\n", no_keys);
    unload(&l);
}

static void test_fingerprint(void **state)
{
    static const char *const keys[] = {"host=h.example:1", "b=2", "a=1", "t=env:T", NULL};
    struct loaded l = load_ok("[profile]\nparams = host b a c=3 d=\nsecrets = t\n"
                              "[connect]\nurl = wss://${host}/\n",
                              keys);

    assert_slice(l.profile->fingerprint, "test\nh.example:1\na=1\nb=2\nc=3\nhost=h.example:1\n");
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_declarations),
        cmocka_unit_test(test_declarations_are_bounded),
        cmocka_unit_test(test_missing_parameter),
        cmocka_unit_test(test_bad_parameters),
        cmocka_unit_test(test_good_hosts),
        cmocka_unit_test(test_unknown_stream_key),
        cmocka_unit_test(test_parameter_bytes),
        cmocka_unit_test(test_secret_literals_are_refused_unsaid),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_fingerprint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
