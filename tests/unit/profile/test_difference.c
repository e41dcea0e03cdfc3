/* What leads from one configuration to another: each key, each kind of section, each error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "profile/difference.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char profile_text[] =
    "[profile]\ntitle = Test\nparams = host kind=a\nsecrets = token=\n"
    "[connect]\nurl = wss://${host}/${kind}\n"
    "header.Authorization = Bearer ${secret.token}\n"
    "[heartbeat]\nidle = 40s\n";

/* ---- two configurations ---- */

struct fixture {
    char dir[64], token[128], other_token[128];
    struct configuration before, after;
    bool has_before, has_after;
    struct difference difference;
    int rc;
};

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    snprintf(f->dir, sizeof(f->dir), "/tmp/hawser-difference-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->token, sizeof(f->token), "file:%s/token", f->dir);
    snprintf(f->other_token, sizeof(f->other_token), "file:%s/other", f->dir);
    write_file(f, "test.ini", profile_text);
    write_file(f, "token", "t\n");
    write_file(f, "other", "t\n");
    *state = f;
    return 0;
}

static void forget(struct fixture *f)
{
    difference_fini(&f->difference);
    if (f->has_before)
        configuration_fini(&f->before);
    if (f->has_after)
        configuration_fini(&f->after);
    f->has_before = f->has_after = false;
}

static int teardown(void **state)
{
    static const char *const names[] = {"hawser.ini", "test.ini", "token", "other"};
    struct fixture *f = *state;
    forget(f);
    for (size_t i = 0; i < COUNT(names); i++) {
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

static void load(struct fixture *f, const char *text, struct configuration *out, bool *has)
{
    char path[256];
    write_file(f, "hawser.ini", text);
    snprintf(path, sizeof(path), "%s/hawser.ini", f->dir);
    int rc = configuration_load(path, out);
    *has = true;
    if (rc != 0)
        fail_msg("%s\n%s", diag_get(out->diag, 0), text);
}

/* f->rc and f->difference. */
static void compare_within(struct fixture *f, const char *before, const char *after,
                           const struct difference_limits *limits)
{
    forget(f);
    load(f, before, &f->before, &f->has_before);
    load(f, after, &f->after, &f->has_after);
    f->rc = difference_make(&f->before, &f->after, limits, &f->difference);
}

static void compare(struct fixture *f, const char *before, const char *after)
{
    struct difference_limits limits = {.max_message = LIMIT_MESSAGE_DEFAULT};
    compare_within(f, before, after, &limits);
}

/* ---- each key ---- */

/* The section's key changes from one value to another, NULL: it is not there. `with` stands beside
 * it, and both see to it that all else is well. */
static const struct row {
    const char *section, *key, *from, *to, *with;
    unsigned leads_to;
} rows[] = {
    {"daemon", "state_dir", "/a", "/b", "", DIFFERENCE_NEVER},
    {"daemon", "runtime_dir", "/a", "/b", "", DIFFERENCE_NEVER},
    {"daemon", "log", NULL, "debug", "", DIFFERENCE_LOG},
    {"daemon", "log_format", NULL, "json", "", DIFFERENCE_LOG},
    {"daemon", "dial_rate", NULL, "20/m", "", DIFFERENCE_DIALS},
    {"daemon", "dial_per_host", NULL, "5", "", DIFFERENCE_DIALS},

    {"store", "retain_size", NULL, "2G", "", DIFFERENCE_STORE},
    {"store", "commit_interval", NULL, "1s", "", DIFFERENCE_READ},
    {"store", "deliver", NULL, "received", "", DIFFERENCE_STORE},
    {"store", "min_free", NULL, "6%", "", DIFFERENCE_STORE},
    {"store", "consumer_expire", NULL, "31d", "", DIFFERENCE_READ},

    {"listen", "path", "/tmp/a", "/tmp/b", "", DIFFERENCE_SOCKET},
    {"listen", "tcp", "127.0.0.1:1", "127.0.0.1:2", "protocol = http\n", DIFFERENCE_SOCKET},
    {"listen", "protocol", NULL, "http", "path = /tmp/a\n", DIFFERENCE_GUESTS},
    {"listen", "format", NULL, "payload", "path = /tmp/a\nprotocol = feed\n", DIFFERENCE_GUESTS},
    {"listen", "from", NULL, "oldest", "path = /tmp/a\nprotocol = feed\n", DIFFERENCE_READ},
    {"listen", "auth", NULL, "env:X", "path = /tmp/a\nprotocol = http\n",
     DIFFERENCE_AUTH | DIFFERENCE_GUESTS},
    {"listen", "mode", NULL, "0600", "path = /tmp/a\n", DIFFERENCE_FILE},
    {"listen", "group", NULL, "adm", "path = /tmp/a\n", DIFFERENCE_FILE},
    {"listen", "allow_users", NULL, "root", "path = /tmp/a\n", DIFFERENCE_USERS},
    {"listen", "streams", NULL, "a b", "path = /tmp/a\n", DIFFERENCE_VIEW},
    {"listen", "control", NULL, "yes", "path = /tmp/a\n", DIFFERENCE_READ},
    {"listen", "send", NULL, "yes", "path = /tmp/a\n", DIFFERENCE_READ},
    {"listen", "max_clients", NULL, "7", "path = /tmp/a\n", DIFFERENCE_READ},

    {"stream", "start", NULL, "oldest", "", DIFFERENCE_ANEW},
    {"stream", "start", "p1", "p2", "", DIFFERENCE_ANEW},
    {"stream", "retain_size", NULL, "1M", "", DIFFERENCE_RETENTION},
    {"stream", "retain_age", NULL, "1h", "", DIFFERENCE_RETENTION},
    {"stream", "dedup_window", NULL, "7", "", DIFFERENCE_ANEW},
    {"stream", "tls_ca", NULL, "/a", "", DIFFERENCE_ANEW},
    {"stream", "tls_ca", "/a", "/b", "", DIFFERENCE_ANEW},
    {"stream", "proxy", NULL, "none", "", DIFFERENCE_ANEW},
    {"stream", "proxy_password", "env:A", "env:B", "proxy = http://u@h:1\n", DIFFERENCE_ANEW},
    {"stream", "tls_cert", NULL, "/a", "", DIFFERENCE_ANEW},
    {"stream", "tls_key", NULL, "/a", "tls_cert = /b\n", DIFFERENCE_ANEW},
    {"stream", "tls_pin", NULL, "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "",
     DIFFERENCE_ANEW},
    {"stream", "tls_pin", "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
     "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=", "", DIFFERENCE_ANEW},
#if HAWSER_TLS13
    {"stream", "tls_min", NULL, "1.3", "", DIFFERENCE_ANEW},
#endif
    {"stream", "plaintext", NULL, "yes", "", DIFFERENCE_ANEW},
    {"stream", "deflate", NULL, "no", "", DIFFERENCE_ANEW},
    {"stream", "dns_timeout", NULL, "1s", "", DIFFERENCE_ANEW},
    {"stream", "tcp_timeout", NULL, "1s", "", DIFFERENCE_ANEW},
    {"stream", "proxy_timeout", NULL, "1s", "", DIFFERENCE_ANEW},
    {"stream", "tls_timeout", NULL, "1s", "", DIFFERENCE_ANEW},
    {"stream", "upgrade_timeout", NULL, "1s", "", DIFFERENCE_ANEW},
    {"stream", "park_probe", NULL, "never", "", DIFFERENCE_ANEW},
    {"stream", "on_rtt", NULL, "reconnect", "", DIFFERENCE_ANEW},
    {"stream", "log", NULL, "debug", "", DIFFERENCE_LOG},
    {"stream", "log", "info", "debug", "", DIFFERENCE_LOG},
};

/* Keys whose change leads to nothing by itself, or cannot be tried alone. */
static const struct {
    const char *section, *key;
    unsigned leads_to;
} others[] = {
    {"daemon", "profile_dir", DIFFERENCE_READ},
    {"stream", "profile", DIFFERENCE_ANEW},
    {"stream", "tls_min", DIFFERENCE_ANEW},
};

static void write_row(const struct fixture *f, const struct row *row, const char *value, char *out,
                      size_t size)
{
    char line[256] = "", body[512];
    bool daemon = strcmp(row->section, "daemon") == 0, store = strcmp(row->section, "store") == 0;
    bool listen = strcmp(row->section, "listen") == 0, stream = strcmp(row->section, "stream") == 0;
    if (value != NULL)
        snprintf(line, sizeof(line), "%s = %s\n", row->key, value);
    snprintf(body, sizeof(body), "%s%s", row->with, line);
    snprintf(out, size,
             "[daemon]\nprofile_dir = %s\n%s[store]\n%s[listen l]\n%s"
             "[stream s]\nprofile = test\nhost = h\n%s",
             f->dir, daemon ? body : "", store ? body : "", listen ? body : "path = /tmp/l\n",
             stream ? body : "");
}

static unsigned all_of(const struct fixture *f)
{
    return f->difference.what | f->difference.listens[0].what | f->difference.streams[0].what;
}

static void test_each_key(void **state)
{
    struct fixture *f = *state;
    char before[4096], after[4096];
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];
        write_row(f, row, row->from, before, sizeof(before));
        write_row(f, row, row->to, after, sizeof(after));
        compare(f, before, before);
        assert_int_equal(f->rc, 0);
        assert_true(difference_is_empty(&f->difference));
        compare(f, before, after);
        if (row->leads_to == DIFFERENCE_NEVER) {
            assert_int_equal(f->rc, ERR_INVAL);
            continue;
        }
        assert_int_equal(f->rc, 0);
        if (all_of(f) != row->leads_to)
            fail_msg("%s of [%s] leads to %x", row->key, row->section, all_of(f));
        if (f->difference.n_texts != 1 || strstr(f->difference.texts[0], row->key) == NULL)
            fail_msg("%s of [%s] is not told", row->key, row->section);
        compare(f, after, before); /* and back */
        assert_int_equal(all_of(f), row->leads_to);
    }
}

static void find_row(void *arg, const struct settings_key *key)
{
    bool found = false;
    for (size_t i = 0; i < COUNT(rows); i++)
        found |= strcmp(rows[i].section, key->section) == 0 && strcmp(rows[i].key, key->key) == 0;
    for (size_t i = 0; i < COUNT(others); i++)
        if (strcmp(others[i].section, key->section) == 0 && strcmp(others[i].key, key->key) == 0) {
            found = true;
            assert_int_equal(difference_effect(key->section, key->key), others[i].leads_to);
        }
    if (!found)
        fail_msg("%s of [%s] is a key that this test does not know: what does a change of it lead "
                 "to while hawserd runs? Answer in difference.c, and here",
                 key->key, key->section);
    if (difference_effect(key->section, key->key) == 0)
        fail_msg("difference.c has no row for %s of [%s]", key->key, key->section);
    ++*(unsigned *)arg;
}

static void test_no_key_is_forgotten(void **state)
{
    unsigned n = 0;
    (void)state;
    settings_describe(find_row, &n);
    assert_true(n > 40);
    assert_int_equal(difference_effect("stream", "nonsense"), 0);
}

/* ---- streams ---- */

static void text_of(const struct fixture *f, const char *rest, char *out, size_t size)
{
    snprintf(out, size, "[daemon]\nprofile_dir = %s\n%s", f->dir, rest);
}

static void compare_rest(struct fixture *f, const char *before, const char *after)
{
    char a[4096], b[4096];
    text_of(f, before, a, sizeof(a));
    text_of(f, after, b, sizeof(b));
    compare(f, a, b);
}

static void assert_texts(const struct fixture *f, const char *const *texts, size_t n)
{
    assert_int_equal(f->rc, 0);
    assert_int_equal(f->difference.n_texts, n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(f->difference.texts[i], texts[i]);
}

#define ASSERT_TEXTS(f, ...)                                                                       \
    assert_texts(f, (const char *const[]){__VA_ARGS__}, COUNT(((const char *const[]){__VA_ARGS__})))

static void test_streams_come_and_go(void **state)
{
    struct fixture *f = *state;
    compare_rest(f,
                 "[stream a]\nprofile = test\nhost = h\n[stream b]\nprofile = test\nhost = h\n"
                 "[stream c]\nprofile = test\nhost = h\n",
                 "[stream d]\nprofile = test\nhost = h\n[stream c]\nprofile = test\nhost = h\n"
                 "[stream a]\nprofile = test\nhost = other\n");
    ASSERT_TEXTS(f, "stream d: added", "stream a: begins anew (host)", "stream b: removed");
    assert_int_equal(f->difference.streams[0].old, -1);
    assert_int_equal(f->difference.streams[1].old, 2);
    assert_int_equal(f->difference.streams[1].what, 0);
    assert_int_equal(f->difference.streams[2].old, 0);
    assert_int_equal(f->difference.streams[2].what, DIFFERENCE_ANEW);
    assert_false(f->difference.stream_gone[0]);
    assert_true(f->difference.stream_gone[1]);
    assert_false(f->difference.stream_gone[2]);
}

static void test_what_is_the_profiles(void **state)
{
    struct fixture *f = *state;
    char before[512], after[512];
    snprintf(before, sizeof(before), "[stream a]\nprofile = test\nhost = h\ntoken = %s\n",
             f->token);
    snprintf(after, sizeof(after), "[stream a]\nprofile = test\nhost = h\ntoken = %s\n",
             f->other_token);
    compare_rest(f, before, after);
    ASSERT_TEXTS(f, "stream a: begins anew (token)");
    compare_rest(f, "[stream a]\nprofile = test\nhost = h\nheartbeat.idle = 41s\n",
                 "[stream a]\nprofile = test\nhost = h\nkind = b\n");
    ASSERT_TEXTS(f, "stream a: begins anew (heartbeat.idle, kind)");
    /* What is said is what was so already; in another order, elsewhere, with a comment. */
    compare_rest(f, "[stream a]\nprofile = test\nhost = h\nkind = a\nheartbeat.idle = 40s\n",
                 "# here\n[stream a]\n\nhost = h\nprofile = test\n");
    assert_true(difference_is_empty(&f->difference));
    compare_rest(f, "[stream a]\nprofile = test\nhost = h\ntag.x = 1\ntag.y = 2\n",
                 "[stream a]\nprofile = test\nhost = h\ntag.z = 3\ntag.y = 4\n");
    ASSERT_TEXTS(f, "stream a: changed (tag.x, tag.y, tag.z)");
    assert_int_equal(f->difference.streams[0].what, DIFFERENCE_TAGS);
}

static void test_profiles_text(void **state)
{
    static const char config[] = "[stream a]\nprofile = test\nhost = h\n"
                                 "[stream b]\nprofile = test\nhost = h\nheartbeat.idle = 50s\n";
    struct fixture *f = *state;
    struct difference_limits limits = {.max_message = LIMIT_MESSAGE_DEFAULT};
    char text[1024], changed[1024];
    text_of(f, config, text, sizeof(text));
    compare(f, text, text);
    configuration_fini(&f->after);
    difference_fini(&f->difference);
    snprintf(changed, sizeof(changed), "# a comment\n%s\n", profile_text);
    write_file(f, "test.ini", changed);
    load(f, text, &f->after, &f->has_after);
    f->rc = difference_make(&f->before, &f->after, &limits, &f->difference);
    assert_int_equal(f->rc, 0);
    assert_true(difference_is_empty(&f->difference));
    configuration_fini(&f->after);
    difference_fini(&f->difference);
    snprintf(changed, sizeof(changed), "%s", profile_text);
    memcpy(strstr(changed, "40s"), "45s", 3);
    write_file(f, "test.ini", changed);
    load(f, text, &f->after, &f->has_after);
    f->rc = difference_make(&f->before, &f->after, &limits, &f->difference);
    /* The other stream has said what it wants, whatever the profile says. */
    ASSERT_TEXTS(f, "stream a: begins anew (its profile's text)");
    write_file(f, "test.ini", profile_text);
}

static void test_larger_messages(void **state)
{
    struct fixture *f = *state;
    char line[256], fits[256], message[512];
    snprintf(fits, sizeof(fits), "[stream a]\nprofile = test\nhost = h\nconnect.max_message = %d\n",
             LIMIT_MESSAGE_DEFAULT);
    snprintf(line, sizeof(line), "[stream a]\nprofile = test\nhost = h\nconnect.max_message = %d\n",
             LIMIT_MESSAGE_DEFAULT + 1);
    compare_rest(f, "", fits);
    assert_int_equal(f->rc, 0);
    compare_rest(f, "", line);
    assert_int_equal(f->rc, ERR_INVAL);
    snprintf(message, sizeof(message),
             "%s/hawser.ini:6: [stream a] connect.max_message is 1048577 ", f->dir);
    assert_memory_equal(diag_get(f->after.diag, 0), message, strlen(message));
    assert_non_null(strstr(diag_get(f->after.diag, 0), "restart it"));
}

/* ---- what needs a restart ---- */

static void test_directories(void **state)
{
    struct fixture *f = *state;
    struct difference_limits given = {
        .state_dir_given = true, .runtime_dir_given = true, .max_message = LIMIT_MESSAGE_DEFAULT};
    char message[256];
    compare(f, "[daemon]\nstate_dir = /a\nruntime_dir = /r\n",
            "[daemon]\nruntime_dir = /s\nlog = debug\n");
    assert_int_equal(f->rc, ERR_INVAL);
    assert_int_equal(diag_count(f->after.diag), 2); /* both at once */
    snprintf(message, sizeof(message), "%s/hawser.ini:2: state_dir of [daemon] cannot be changed",
             f->dir);
    assert_memory_equal(diag_get(f->after.diag, 0), message, strlen(message));
    assert_non_null(strstr(diag_get(f->after.diag, 1), ":2: runtime_dir"));
    assert_non_null(strstr(diag_get(f->after.diag, 1), "restart it"));
    /* The environment's count, whatever stands there. */
    compare_within(f, "[daemon]\nstate_dir = /a\n", "[daemon]\nstate_dir = /b\n", &given);
    assert_int_equal(f->rc, 0);
    assert_true(difference_is_empty(&f->difference));
}

/* ---- listeners ---- */

static void test_listeners_come_and_go(void **state)
{
    struct fixture *f = *state;
    compare(f, "[listen a]\npath = /tmp/a\n[listen b]\npath = /tmp/b\n",
            "[listen c]\npath = /tmp/c\n[listen b]\npath = /tmp/b\nmax_clients = 9\n");
    ASSERT_TEXTS(f, "listen c: added", "listen b: changed (max_clients)", "listen a: removed");
    assert_int_equal(f->difference.listens[0].old, -1);
    assert_int_equal(f->difference.listens[0].socket_of, -1);
    assert_int_equal(f->difference.listens[1].old, 1);
    assert_int_equal(f->difference.listens[1].socket_of, 1);
    assert_true(f->difference.listen_gone[0]);
    assert_true(f->difference.socket_gone[0]);
    assert_false(f->difference.listen_gone[1]);
    assert_false(f->difference.socket_gone[1]);
}

static void test_a_socket_stays_who_ever_has_it(void **state)
{
    struct fixture *f = *state;
    /* Moved: its clients stay, and the socket is new. */
    compare(f, "[listen a]\npath = /tmp/a\n", "[listen a]\npath = /tmp/b\n");
    ASSERT_TEXTS(f, "listen a: changed (path)");
    assert_int_equal(f->difference.listens[0].old, 0);
    assert_int_equal(f->difference.listens[0].socket_of, -1);
    assert_true(f->difference.socket_gone[0]);
    /* Renamed: it is the same place, and they are the same clients. */
    compare(f, "[listen a]\npath = /tmp/a\n", "[listen b]\npath = /tmp/a\n");
    ASSERT_TEXTS(f, "listen b: was a");
    assert_int_equal(f->difference.listens[0].old, 0);
    assert_int_equal(f->difference.listens[0].socket_of, 0);
    /* Swapped: each has the other's socket, and its own clients. */
    compare(f, "[listen a]\npath = /tmp/a\n[listen b]\npath = /tmp/b\n",
            "[listen a]\npath = /tmp/b\n[listen b]\npath = /tmp/a\n");
    ASSERT_TEXTS(f, "listen a: changed (path)", "listen b: changed (path)");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(f->difference.listens[i].old, i);
        assert_int_equal(f->difference.listens[i].socket_of, 1 - i);
        assert_false(f->difference.socket_gone[i]);
    }
    /* Another takes the place of one that moves away. */
    compare(f, "[listen a]\npath = /tmp/a\n",
            "[listen b]\npath = /tmp/a\n[listen a]\npath = /tmp/x\n");
    assert_int_equal(f->difference.listens[0].old, -1);
    assert_int_equal(f->difference.listens[0].socket_of, 0);
    assert_int_equal(f->difference.listens[1].old, 0);
    assert_int_equal(f->difference.listens[1].socket_of, -1);
}

static void test_any_port_is_a_place_for_many(void **state)
{
    struct fixture *f = *state;
    compare(f,
            "[listen a]\ntcp = 127.0.0.1:0\nprotocol = http\n"
            "[listen b]\ntcp = 127.0.0.1:0\nprotocol = http\n",
            "[listen b]\ntcp = 127.0.0.1:0\nprotocol = http\n"
            "[listen a]\ntcp = 127.0.0.1:0\nprotocol = http\n");
    assert_true(difference_is_empty(&f->difference));
    assert_int_equal(f->difference.listens[0].socket_of, 1);
    assert_int_equal(f->difference.listens[1].socket_of, 0);
    compare(f, "[listen a]\ntcp = 127.0.0.1:0\nprotocol = http\n",
            "[listen b]\ntcp = 127.0.0.1:0\nprotocol = http\n"
            "[listen a]\ntcp = 127.0.0.1:0\nprotocol = http\n");
    ASSERT_TEXTS(f, "listen b: added");
    assert_int_equal(f->difference.listens[0].socket_of, -1);
    assert_int_equal(f->difference.listens[1].socket_of, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_key, setup, teardown),
        cmocka_unit_test(test_no_key_is_forgotten),
        cmocka_unit_test_setup_teardown(test_streams_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_the_profiles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_profiles_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_larger_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_directories, setup, teardown),
        cmocka_unit_test_setup_teardown(test_listeners_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_socket_stays_who_ever_has_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_any_port_is_a_place_for_many, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
