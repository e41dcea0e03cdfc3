/* [connect], [auth], [fallback NAME], [limits]: each key right and wrong. */
#include "unit/profile/support.h"

static const char *const no_keys[] = {NULL};

struct bad {
    const char *text, *fault;
};

static void check_all(const struct bad *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_fault(table[i].text, no_keys, table[i].fault);
}

/* ---- [connect] ---- */

static void test_bad_connect(void **state)
{
    static const struct bad table[] = {
        {CONNECT "data = no\n", "test.ini:3: data: `no` is none of allow, forbid"},
        {CONNECT "ping = never\n", "test.ini:3: ping: `never` is none of allow, forbid"},
        {CONNECT "parallel = 3\n", "test.ini:3: parallel: `3` is none of 1, 2"},
        {CONNECT "parallel = 0\n", "test.ini:3: parallel: `0` is none of 1, 2"},
        {CONNECT "max_age = 31d\n", "test.ini:3: max_age: `31d` is not from 0s to 30d"},
        {CONNECT "max_age = 30\n",
         "test.ini:3: max_age: `30` is no duration such as 500ms, 30s or 5m"},
        {CONNECT "ping = forbid\n[heartbeat]\nws_ping = 15s\nidle = 1m\n",
         "test.ini:5: ws_ping: [connect] ping = forbid"},
        {CONNECT "ping = forbid\n",
         "test.ini:3: ping: forbid, so a dead link would never be noticed; it needs [heartbeat] "
         "idle, or a heartbeat that is answered"},
        {CONNECT "query.e = ${each}\n", "test.ini:2: [connect] names ${each} without `foreach`"},
    };

    check_all(table, COUNT(table));
}

static void test_connect(void **state)
{
    struct loaded l = load_ok(CONNECT, no_keys);

    assert_false(l.profile->connect.data_forbidden);
    assert_false(l.profile->connect.ping_forbidden);
    assert_int_equal(l.profile->connect.max_age_ms, 0);
    assert_int_equal(l.profile->connect.parallel, 1);
    unload(&l);
    l = load_ok(CONNECT "data = forbid\nping = forbid\nparallel = 2\nmax_age = 30d\n"
                        "[heartbeat]\nws_ping = 0\nidle = 1m\n",
                no_keys);
    assert_true(l.profile->connect.data_forbidden);
    assert_true(l.profile->connect.ping_forbidden);
    assert_int_equal(l.profile->heartbeat.ws_ping_ms, 0);
    assert_int_equal(l.profile->connect.max_age_ms, 30LL * 24 * 3600 * 1000);
    assert_int_equal(l.profile->connect.parallel, 2);
    unload(&l);
    /* What is forbidden is not done by default either. */
    l = load_ok(CONNECT "data = allow\nping = forbid\nparallel = 1\n[heartbeat]\nidle = 1m\n",
                no_keys);
    assert_int_equal(l.profile->heartbeat.ws_ping_ms, 0);
    unload(&l);
}

/* What finds a dead link where pings are forbidden. */
static void test_without_pings(void **state)
{
    struct loaded l = load_ok(CONNECT "ping = forbid\n[on welcome]\nmatch = /a exists\n"
                                      "do = set heartbeat.idle=/a*1000\n",
                              no_keys);

    unload(&l);
    l = load_ok(CONNECT "ping = forbid\n[send beat]\ntext = x\n"
                        "[heartbeat]\nsend = beat\nevery = 30s\nack = /ok exists\n",
                no_keys);
    unload(&l);
}

static void test_bad_hosts(void **state)
{
    static const char *const words[] = {
        "*",         "*example.com", "a*b.example", "*.",   "h.example:0",    "h.example:x",
        "https://h", "u@h.example",  "[*]",         "[::1", "*.example.com/", "h.example:1:*",
    };

    for (size_t i = 0; i < COUNT(words); i++) {
        char text[128], fault[256];
        size_t n = strlen(words[i]);

        snprintf(text, sizeof(text), CONNECT "hosts = ok.example %s\n", words[i]);
        n -= n > 2 && strcmp(words[i] + n - 2, ":*") == 0 ? 2 : 0;
        snprintf(fault, sizeof(fault),
                 "test.ini:3: hosts: `%.*s` is no HOST, HOST:PORT or HOST:*; a wildcard stands "
                 "before whole labels, as in *.example.com",
                 (int)n, words[i]);
        check_fault(text, no_keys, fault);
    }
    check_fault(CONNECT "hosts = ${position}\n", no_keys,
                "test.ini:3: hosts: `${position}` is not known beforehand");
    check_fault(CONNECT "hosts = ${zzzzz}\n", no_keys,
                "test.ini:3: hosts: there is no variable `zzzzz` here");
}

static void test_number_of_hosts(void **state)
{
    char text[1024] = CONNECT "hosts =";
    struct loaded l;
    size_t n;

    for (int i = 0; i < 32; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), " h%d.example", i);
    n = strlen(text);
    strcat(text, "\n");
    l = load_ok(text, no_keys);
    unload(&l);
    strcpy(text + n, " h32.example\n");
    check_fault(text, no_keys, "test.ini:3: hosts: more than 32 hosts");
}

/* ---- [auth] ---- */

#define SECRETS "[profile]\nsecrets = token rt=\n"
#define REFRESH "[http refresh]\nurl = https://h.example/r\nmethod = POST\n"

static void test_bad_auth(void **state)
{
    static const char *const keys[] = {"token=env:T", NULL};
    static const struct bad table[] = {
        {SECRETS CONNECT "[auth]\ntoken = tokn\n",
         "test.ini:6: token: [profile] secrets does not name `tokn`"},
        {SECRETS CONNECT "[auth]\nrefresh = refresh\n",
         "test.ini:6: refresh: `refresh` is no http:NAME"},
        {SECRETS CONNECT "[auth]\nrefresh = http:refresh\n",
         "test.ini:6: refresh: there is no [http refresh]"},
        {SECRETS CONNECT "[auth]\nrefresh = http:refresh\n" REFRESH,
         "test.ini:6: refresh: [http refresh] brings no credential; it needs capture_secret.NAME"},
        {SECRETS CONNECT "[auth]\nrefresh = http:refresh\n" REFRESH "capture.ttl = /ttl\n",
         "test.ini:6: refresh: [http refresh] brings no credential; it needs capture_secret.NAME"},
        {SECRETS CONNECT "[auth]\nrefresh = http:refresh\n" REFRESH
                         "capture_secret.token = /t\nforeach = a b\n",
         "test.ini:6: refresh: [http refresh] has a `foreach`"},
        {SECRETS CONNECT "[auth]\nrefresh_at = 80%\n",
         "test.ini:6: refresh_at: there is no `refresh`"},
        {SECRETS CONNECT "[auth]\nrefresh_at = 0.8\n",
         "test.ini:6: refresh_at: `0.8` is no part of a lifetime from 1% to 99%"},
        {SECRETS CONNECT "[auth]\nrefresh_at = 100%\n",
         "test.ini:6: refresh_at: `100%` is no part of a lifetime from 1% to 99%"},
        {SECRETS CONNECT "[auth]\nrefresh_at = 0%\n",
         "test.ini:6: refresh_at: `0%` is no part of a lifetime from 1% to 99%"},
        {SECRETS CONNECT "[auth]\nrefresh_at = %\n",
         "test.ini:6: refresh_at: `%` is no part of a lifetime from 1% to 99%"},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        check_fault(table[i].text, keys, table[i].fault);
}

static void test_auth(void **state)
{
    static const char *const with[] = {"token=env:T", "rt=env:R", NULL};
    static const char *const without[] = {"token=env:T", NULL};
    static const char text[] = SECRETS CONNECT
        "query.t = ${secret.token}\n" REFRESH "body = {\"refresh_token\":\"${secret.rt}\"}\n"
        "capture_secret.token = /a\ncapture_secret.rt = /r\ncapture.ttl = /e\n"
        "[auth]\ntoken = token\nrefresh = http:refresh\nrefresh_at = 75%\n";
    struct loaded l = load_ok(text, with);

    assert_string_equal(l.profile->auth.token, "token");
    assert_int_equal(l.profile->auth.refresh, 0);
    assert_true(l.profile->auth.refresh_at > 0.749 && l.profile->auth.refresh_at < 0.751);
    assert_string_equal(l.profile->auth.ttl, "ttl");
    assert_true(l.profile->auth.persist);
    assert_true(profile_http_persists(l.profile, 0));
    assert_int_equal(l.profile->n_variables, 1);
    assert_string_equal(l.profile->variables[0], "ttl");
    unload(&l);
    /* An optional secret that the stream does not have: there is nothing to refresh with. */
    l = load_ok(text, without);
    assert_int_equal(l.profile->auth.refresh, PROFILE_NONE);
    assert_string_equal(l.profile->auth.token, "token");
    unload(&l);
    l = load_ok(text, NULL);
    assert_int_equal(l.profile->auth.refresh, 0);
    unload(&l);
    l = load_ok(CONNECT, no_keys);
    assert_null(l.profile->auth.token);
    assert_int_equal(l.profile->auth.refresh, PROFILE_NONE);
    assert_true(l.profile->auth.refresh_at > 0.799 && l.profile->auth.refresh_at < 0.801);
    unload(&l);
}

static void test_refresh_need_not_persist(void **state)
{
    static const char *const keys[] = {"token=env:T", NULL};
    struct loaded l = load_ok(SECRETS CONNECT "[auth]\nrefresh = http:refresh\n" REFRESH
                                              "capture_secret.token = /t\npersist = no\n",
                              keys);

    assert_int_equal(l.profile->auth.refresh, 0);
    assert_false(l.profile->auth.persist);
    assert_null(l.profile->auth.ttl);
    unload(&l);
}

/* A credential that only a request brings needs no source of its own. */
static void test_secret_that_is_only_captured(void **state)
{
    static const char *const keys[] = {"app=env:A", NULL};
    static const char *const pairs[] = {"secret.ticket", "t1", NULL};
    struct loaded l =
        load_ok("[profile]\nsecrets = app ticket=\n" CONNECT "query.ticket = ${secret.ticket}\n"
                "[auth]\nrefresh = http:open\n"
                "[http open]\nurl = https://h.example/open\n"
                "header.Authorization = Bearer ${secret.app}\n"
                "capture_secret.ticket = /ticket\n",
                keys);
    struct profile_request request;

    assert_int_equal(l.profile->auth.refresh, 0);
    profile_request_init(&request);
    assert_int_equal(profile_render_connect(l.profile, lookup_pairs, (void *)pairs, &request, NULL),
                     0);
    assert_slice(buf_slice(&request.url), "wss://h.example/?ticket=t1");
    profile_request_fini(&request);
    unload(&l);
    check_fault("[profile]\nsecrets = app ticket\n" CONNECT "query.ticket = ${secret.ticket}\n"
                "[http open]\nurl = https://h.example/open\ncapture_secret.ticket = /ticket\n",
                keys,
                "hawser.ini:11: profile test needs `ticket`, such as file:/PATH or "
                "credential:NAME");
}

/* ---- [limits] ---- */

static void test_bad_limits(void **state)
{
    static const struct bad table[] = {
        {CONNECT "[limits]\nconnects = 5\n",
         "test.ini:4: connects: `5` is no N/PERIOD, such as 300/5m or 4/s"},
        {CONNECT "[limits]\nconnects = x/5m\n",
         "test.ini:4: connects: `x/5m` is no N/PERIOD, such as 300/5m or 4/s"},
        {CONNECT "[limits]\nsends = 5/\n",
         "test.ini:4: sends: `5/` is no N/PERIOD, such as 300/5m or 4/s"},
        {CONNECT "[limits]\nsends = 5/5\n",
         "test.ini:4: sends: `5/5` is no N/PERIOD, such as 300/5m or 4/s"},
        {CONNECT "[limits]\nsessions = 0/1d\n",
         "test.ini:4: sessions: `0/1d` is not from 1 to 1000000 in at most 30d"},
        {CONNECT "[limits]\nsessions = 1/31d\n",
         "test.ini:4: sessions: `1/31d` is not from 1 to 1000000 in at most 30d"},
        {CONNECT "[limits]\nsessions = 1/0\n",
         "test.ini:4: sessions: `1/0` is not from 1 to 1000000 in at most 30d"},
        {CONNECT "[limits]\nsessions = 1000001/1d\n",
         "test.ini:4: sessions: `1000001/1d` is not from 1 to 1000000 in at most 30d"},
        {CONNECT "[limits]\nlinks = -1\n",
         "test.ini:4: links: `-1` is no number from 0 (no limit) to 1000000"},
        {CONNECT "[limits]\nscope = account\n",
         "test.ini:4: scope: `account` is none of stream, credential, host"},
    };

    check_all(table, COUNT(table));
}

static void test_limits(void **state)
{
    struct loaded l = load_ok(CONNECT "[limits]\nconnects = 300/5m\nsends = 4/s\n"
                                      "sessions = 1000000 / 30d\nlinks = 3\nscope = credential\n",
                              no_keys);

    assert_int_equal(l.profile->limits.connects.count, 300);
    assert_int_equal(l.profile->limits.connects.period_ms, 300000);
    assert_int_equal(l.profile->limits.sends.count, 4);
    assert_int_equal(l.profile->limits.sends.period_ms, 1000);
    assert_int_equal(l.profile->limits.sessions.count, 1000000);
    assert_int_equal(l.profile->limits.sessions.period_ms, 30LL * 24 * 3600 * 1000);
    assert_int_equal(l.profile->limits.links, 3);
    assert_int_equal(l.profile->limits.scope, PROFILE_SCOPE_CREDENTIAL);
    unload(&l);
    l = load_ok(CONNECT, no_keys);
    assert_int_equal(l.profile->limits.connects.count, 0);
    assert_int_equal(l.profile->limits.scope, PROFILE_SCOPE_STREAM);
    unload(&l);
}

/* ---- [fallback NAME] ---- */

#define SYNC "[http sync]\nurl = https://h.example/sync\nquery.since = ${position}\n"

static void test_bad_fallback(void **state)
{
    static const struct bad table[] = {
        {CONNECT "[fallback]\ntransport = sse\n",
         "test.ini:3: [fallback] needs a name: [fallback NAME]"},
        {CONNECT "[fallback a]\n", "test.ini:3: [fallback a] has no `transport`"},
        {CONNECT "[fallback a]\ntransport = ws\n",
         "test.ini:4: transport: `ws` is none of longpoll, sse, ndjson"},
        {CONNECT "[fallback a]\ntransport = sse\n", "test.ini:3: [fallback a] has no `url`"},
        {CONNECT "[fallback a]\ntransport = ndjson\n", "test.ini:3: [fallback a] has no `url`"},
        {CONNECT "[fallback a]\ntransport = sse\nurl = wss://h.example/\n",
         "test.ini:5: url: the scheme must be https (or http), not `wss`"},
        {CONNECT "[fallback a]\ntransport = longpoll\n", "test.ini:3: [fallback a] has no `http`"},
        {CONNECT "[fallback a]\ntransport = longpoll\nhttp = sync\n",
         "test.ini:5: http: there is no [http sync]"},
        {CONNECT SYNC "[fallback a]\ntransport = sse\nurl = https://h.example/\nhttp = sync\n",
         "test.ini:9: http: only transport = longpoll takes one"},
        {CONNECT SYNC "[fallback a]\ntransport = longpoll\nurl = https://h.example/\nhttp = sync\n",
         "test.ini:8: [fallback a] takes its request from `http = NAME`, and so no `url`"},
        {CONNECT SYNC "foreach = a b\n[fallback a]\ntransport = longpoll\nhttp = sync\n",
         "test.ini:9: http: [http sync] has a `foreach`"},
        {CONNECT SYNC "[event]\nposition = /p\n"
                      "[fallback a]\ntransport = longpoll\nhttp = sync\nquery.since = 0\n",
         "test.ini:8: [fallback a] would bring the same again and again: nothing in it carries "
         "${position}"},
        {CONNECT "[fallback a]\ntransport = sse\nurl = https://h.example/\n"
                 "[fallback b]\ntransport = sse\nurl = https://h.example/\n",
         "test.ini:6: [fallback b]: there is [fallback a] already, and only one can be"},
        {CONNECT "[fallback a]\ntransport = sse\nurl = https://h.example/\nafter = 0\n",
         "test.ini:6: after: `0` is neither a number of links from 1 to 1000 nor `never`"},
        {CONNECT "[fallback a]\ntransport = sse\nurl = https://h.example/\nafter = 1001\n",
         "test.ini:6: after: `1001` is neither a number of links from 1 to 1000 nor `never`"},
        {CONNECT "[fallback a]\ntransport = sse\nurl = https://h.example/\nretry_primary = 16m\n",
         "test.ini:6: retry_primary: `16m` is not from 1s to 15m"},
        {CONNECT "[fallback a]\ntransport = sse\nurl = https://h.example/\nidle = 25h\n",
         "test.ini:6: idle: `25h` is not from 0s to 1d"},
        {CONNECT "[fallback a]\ntransport = sse\nurl = https://h.example/\ntimeout = 0\n",
         "test.ini:6: timeout: `0` is not from 1ms to 1h"},
        {CONNECT "[fallback a]\ntransport = sse\nurl = https://h.example/\nheader.Host = x\n",
         "test.ini:6: header.Host: hawser writes `Host` itself"},
    };

    check_all(table, COUNT(table));
}

static void assert_fallback(const struct profile *profile, const char *const *pairs,
                            const char *url, const char *headers)
{
    struct profile_request request;
    struct error err = {0};

    profile_request_init(&request);
    assert_int_equal(profile_render_fallback(profile, lookup_pairs, (void *)pairs, &request, &err),
                     0);
    assert_slice(buf_slice(&request.url), url);
    assert_slice(buf_slice(&request.headers), headers);
    profile_request_fini(&request);
}

static void test_longpoll(void **state)
{
    static const char *const pairs[] = {"position", "7", NULL};
    struct loaded l = load_ok(CONNECT SYNC "query.timeout = 0\nquery.limit = 500\nquery.x = 1\n"
                                           "header.Accept = a/b\nheader.X-Y = y\n"
                                           "[fallback poll]\ntransport = longpoll\nhttp = sync\n"
                                           "query.timeout = 30000\nquery.x =\nquery.more = yes\n"
                                           "header.accept = c/d\nafter = never\nidle = 0\n",
                              no_keys);

    assert_true(l.profile->fallback.exists);
    assert_string_equal(l.profile->fallback.name, "poll");
    assert_int_equal(l.profile->fallback.transport, PROFILE_LONGPOLL);
    assert_int_equal(l.profile->fallback.http, 0);
    assert_int_equal(l.profile->fallback.after, 0);
    assert_int_equal(l.profile->fallback.retry_primary_ms, 60000);
    assert_int_equal(l.profile->fallback.timeout_ms, 60000);
    assert_fallback(l.profile, pairs,
                    "https://h.example/sync?since=7&timeout=30000&limit=500&more=yes",
                    "accept: c/d\r\nX-Y: y\r\n");
    unload(&l);
}

static void test_sse(void **state)
{
    static const char *const pairs[] = {"position", "7", NULL}, *const none[] = {NULL};
    struct loaded l = load_ok(CONNECT "[fallback s]\ntransport = sse\nurl = https://h.example/s\n"
                                      "header.Last-Event-ID = ${position}\nafter = 1000\n"
                                      "retry_primary = 1s\nidle = 45s\ntimeout = 1h\n",
                              no_keys);
    struct error err = {0};

    assert_int_equal(l.profile->fallback.transport, PROFILE_SSE);
    assert_int_equal(l.profile->fallback.http, PROFILE_NONE);
    assert_int_equal(l.profile->fallback.after, 1000);
    assert_int_equal(l.profile->fallback.retry_primary_ms, 1000);
    assert_int_equal(l.profile->fallback.idle_ms, 45000);
    assert_int_equal(l.profile->fallback.timeout_ms, 3600000);
    assert_fallback(l.profile, pairs, "https://h.example/s", "Last-Event-ID: 7\r\n");
    assert_fallback(l.profile, none, "https://h.example/s", "");
    unload(&l);
    l = load_ok(CONNECT "[fallback s]\ntransport = ndjson\nurl = https://h.example/${n}\n",
                no_keys);
    assert_int_equal(l.profile->fallback.after, 6);
    {
        struct profile_request request;

        profile_request_init(&request);
        assert_int_equal(
            profile_render_fallback(l.profile, lookup_pairs, (void *)none, &request, &err),
            ERR_INVAL);
        assert_string_equal(err.text, "fallback s: url: a variable in it is unset");
        profile_request_fini(&request);
    }
    unload(&l);
    l = load_ok(CONNECT, no_keys);
    assert_false(l.profile->fallback.exists);
    assert_int_equal(l.profile->fallback.http, PROFILE_NONE);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_connect),
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_without_pings),
        cmocka_unit_test(test_bad_hosts),
        cmocka_unit_test(test_number_of_hosts),
        cmocka_unit_test(test_bad_auth),
        cmocka_unit_test(test_auth),
        cmocka_unit_test(test_refresh_need_not_persist),
        cmocka_unit_test(test_secret_that_is_only_captured),
        cmocka_unit_test(test_bad_limits),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_bad_fallback),
        cmocka_unit_test(test_longpoll),
        cmocka_unit_test(test_sse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
