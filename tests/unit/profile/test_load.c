/* Keys, sections and overrides: what is taken, and how the rest is refused. */
#include "unit/profile/support.h"

static const char *const no_keys[] = {NULL};

struct bad {
    const char *text, *fault;
};

/* ---- unknown words ---- */

static void test_unknown(void **state)
{
    static const struct bad table[] = {
        {CONNECT "[heartbaet]\nidle = 5s\n",
         "test.ini:3: unknown section [heartbaet]; did you mean [heartbeat]?"},
        {CONNECT "[zzzzzz]\n", "test.ini:3: unknown section [zzzzzz]"},
        {CONNECT "[heartbeat]\nidel = 5s\n",
         "test.ini:4: unknown key `idel` in [heartbeat]; did you mean `idle`?"},
        {CONNECT "[live]\nqqqqqqqq = 5s\n", "test.ini:4: unknown key `qqqqqqqq` in [live]"},
        {CONNECT "[http]\nurl = https://h.example/\n",
         "test.ini:3: [http] needs a name: [http NAME]"},
        {CONNECT "[live x]\nwhen = open\n", "test.ini:3: [live] takes no name, but there is `x`"},
        /* Words of a later vocabulary are unknown too, not silently nothing. */
        {CONNECT "[catchup]\naudti = 60s\n",
         "test.ini:4: unknown key `audti` in [catchup]; did you mean `audit`?"},
        {CONNECT "query. = x\n", "test.ini:3: unknown key `query.` in [connect]; did you mean "
                                 "`query.*`?"},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        check_fault(table[i].text, no_keys, table[i].fault);
}

/* ---- values of plain types ---- */

static void test_bad_values(void **state)
{
    static const struct bad table[] = {
        {CONNECT "[heartbeat]\nidle = 5\n",
         "test.ini:4: idle: `5` is no duration such as 500ms, 30s or 5m"},
        {CONNECT "[heartbeat]\nws_ping = 3601s\n",
         "test.ini:4: ws_ping: `3601s` is not from 0s to 1h"},
        {CONNECT "[heartbeat]\npong_timeout = 0\n",
         "test.ini:4: pong_timeout: `0` is not from 1ms to 1h"},
        {CONNECT "max_message = 1X\n",
         "test.ini:3: max_message: `1X` is no size such as 64K or 1M"},
        {CONNECT "max_message = 17M\n",
         "test.ini:3: max_message: `17M` is not from 1 to 16777216 bytes"},
        {CONNECT "max_message = 0\n",
         "test.ini:3: max_message: `0` is not from 1 to 16777216 bytes"},
        {CONNECT "close_code = 1006\n",
         "test.ini:3: close_code: `1006` is no code that a client may send"},
        {CONNECT "[live]\nwhen = never\n", "test.ini:4: when: `never` is none of open, rule"},
        {CONNECT "[message]\nheader_block = maybe\n",
         "test.ini:4: header_block: `maybe` is none of no, yes"},
        {CONNECT "[message]\nbatch = list\n", "test.ini:4: batch: `list` is none of array"},
        {CONNECT "[message]\nsplit = /a\n",
         "test.ini:4: split: `/a` is no JSON Pointer with one * at its end, such as /data/*"},
        {CONNECT "[message]\nsplit = /*/a/*\n",
         "test.ini:4: split: `/*/a/*` is no JSON Pointer with one * at its end, such as /data/*"},
        {CONNECT "[message]\nsplit = *\n",
         "test.ini:4: split: `*` is no JSON Pointer with one * at its end, such as /data/*"},
        {CONNECT "[message]\nsplit = /~/*\n",
         "test.ini:4: split: pointer \"/~\": \"~\" is written \"~0\", and \"/\" in a name \"~1\""},
        {CONNECT "[message]\ndecode = a\n",
         "test.ini:4: decode: pointer \"a\" does not start with \"/\""},
        {CONNECT "[event]\nid = ^/a\n",
         "test.ini:4: id: `^/a`: there is no [message] split or decode to take it out of"},
        {CONNECT "[message]\ndecode = /a\n[event]\nid = ^a\n",
         "test.ini:6: id: `^a`: behind \"^\" stands a JSON Pointer"},
        {CONNECT "[event]\nunkeyed = ask\n", "test.ini:4: unkeyed: `ask` is none of store, sync"},
        {CONNECT "[event]\nid = /id\nunkeyed = sync\n",
         "test.ini:5: unkeyed: sync needs [catchup] via = http"},
        {CONNECT "[event]\nposition = /p\n[position]\ncontiguous = yes\n",
         "test.ini:6: contiguous: yes needs compare = int"},
        {CONNECT "[event]\nposition = /p\n[position]\noverlap = 5\n",
         "test.ini:6: overlap: needs compare = int"},
        {CONNECT "[position]\noverlap = -1\n",
         "test.ini:4: overlap: `-1` is no number from 0 on, in units of the position"},
        {CONNECT "[event]\nposition = /p\n[position]\ncompare = int\nkey = /k\n",
         "test.ini:7: key: needs contiguous = yes; it says which positions are in one row"},
        {CONNECT "[position]\ncontigous = yes\n",
         "test.ini:4: unknown key `contigous` in [position]; did you mean `contiguous`?"},
        {CONNECT "[position]\nmax_age = old\n",
         "test.ini:4: max_age: `old` is no duration such as 500ms, 30s or 5m"},
        {CONNECT "[event]\ndedup = no\n",
         "test.ini:4: dedup: `no` is none of id, position, hash, off"},
        {CONNECT "[position]\ncompare = float\n",
         "test.ini:4: compare: `float` is none of opaque, int"},
        {CONNECT "[backoff]\nsteps = 0,1s,x\n",
         "test.ini:4: steps: `x` is no duration up to 1h, such as 2s"},
        {CONNECT "[backoff]\nsteps = 61m\n",
         "test.ini:4: steps: `61m` is no duration up to 1h, such as 2s"},
        {CONNECT "[backoff]\nsteps = 1s,0\n",
         "test.ini:4: steps: the last step must not be 0, or hawser would never pause"},
        {CONNECT "[backoff]\nsteps = 1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s\n",
         "test.ini:4: steps: more than 16 steps"},
        {CONNECT "[backoff]\njitter = 1.1\n",
         "test.ini:4: jitter: `1.1` is no number from 0 to 1, such as 0.2"},
        {CONNECT "[backoff]\njitter = 0,2\n",
         "test.ini:4: jitter: `0,2` is no number from 0 to 1, such as 0.2"},
        {CONNECT "[backoff]\njitter = .2\n",
         "test.ini:4: jitter: `.2` is no number from 0 to 1, such as 0.2"},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        check_fault(table[i].text, no_keys, table[i].fault);
}

static void test_good_values(void **state)
{
    struct loaded l = load_ok(CONNECT "max_message = 16M\nclose_code = 4999\n"
                                      "[backoff]\nsteps = 0, 500ms ,1h\njitter = 0.125\n"
                                      "reset_after = 0\n"
                                      "[heartbeat]\nws_ping = 0\npong_timeout = 1h\nidle = 24h\n"
                                      "[live]\ntimeout = 1ms\n",
                              no_keys);
    const struct profile *p = l.profile;

    assert_int_equal(p->connect.max_message, 16 * 1024 * 1024);
    assert_int_equal(p->connect.close_code, 4999);
    assert_int_equal(p->backoff.n_steps, 3);
    assert_int_equal(p->backoff.steps_ms[0], 0);
    assert_int_equal(p->backoff.steps_ms[1], 500);
    assert_int_equal(p->backoff.steps_ms[2], 3600000);
    assert_true(p->backoff.jitter > 0.1249 && p->backoff.jitter < 0.1251);
    assert_int_equal(p->backoff.reset_after_ms, 0);
    assert_int_equal(p->heartbeat.ws_ping_ms, 0);
    assert_int_equal(p->heartbeat.pong_timeout_ms, 3600000);
    assert_int_equal(p->heartbeat.idle_ms, 86400000);
    assert_int_equal(p->live.timeout_ms, 1);
    unload(&l);
    l = load_ok(CONNECT "[backoff]\nsteps = 1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,2s\n",
                no_keys);
    assert_int_equal(l.profile->backoff.n_steps, PROFILE_BACKOFF_STEPS_MAX);
    assert_int_equal(l.profile->backoff.steps_ms[15], 2000);
    unload(&l);
}

static void test_defaults(void **state)
{
    static const int64_t steps_ms[] = {0, 1000, 2000, 4000, 8000, 16000, 30000};
    struct loaded l = load_ok(CONNECT, no_keys);
    const struct profile *p = l.profile;

    assert_string_equal(p->name, "test");
    assert_string_equal(p->title, "test");
    assert_null(p->docs);
    assert_int_equal(p->connect.close_code, 1001);
    assert_int_equal(p->connect.max_message, LIMIT_MESSAGE_DEFAULT);
    assert_false(p->live.by_rule);
    assert_int_equal(p->live.timeout_ms, 10000);
    assert_int_equal(p->heartbeat.ws_ping_ms, 15000);
    assert_int_equal(p->heartbeat.pong_timeout_ms, 10000);
    assert_int_equal(p->heartbeat.idle_ms, 0);
    assert_int_equal(p->backoff.n_steps, COUNT(steps_ms));
    assert_memory_equal(p->backoff.steps_ms, steps_ms, sizeof(steps_ms));
    assert_true(p->backoff.jitter > 0.199 && p->backoff.jitter < 0.201);
    assert_int_equal(p->backoff.reset_after_ms, 60000);
    assert_int_equal(p->catchup.via, PROFILE_CATCHUP_NONE);
    assert_int_equal(p->catchup.settle_ms, 5000);
    assert_int_equal(p->catchup.timeout_ms, 30000);
    assert_int_equal(p->compare, PROFILE_COMPARE_OPAQUE);
    assert_int_equal(p->dedup, PROFILE_DEDUP_OFF);
    assert_int_equal(p->park_probe_ms, 1234);
    assert_int_equal(p->n_secrets, 0);
    unload(&l);
}

/* ---- what only the whole shows ---- */

static void test_bad_whole(void **state)
{
    static const struct bad table[] = {
        {"[profile]\ntitle = T\n", "test.ini:1: [connect] has no `url`"},
        {CONNECT "[http a]\nmethod = GET\n", "test.ini:3: [http a] has no `url`"},
        {CONNECT "[http a]\n", "test.ini:3: [http a] has no `url`"},
        {CONNECT "[on a]\nmatch = /a exists\n", "test.ini:3: [on a] has no `do`"},
        {CONNECT "[on a]\ndo = ignore\n", "test.ini:3: [on a] has no `match`"},
        {CONNECT "[live]\nwhen = rule\n", "test.ini:4: when: rule, but no [on NAME] does `live`"},
        {CONNECT "[event]\ndedup = id\n", "test.ini:4: dedup: id needs [event] id"},
        {CONNECT "[event]\ndedup = position\n",
         "test.ini:4: dedup: position needs [event] position"},
        {CONNECT "[position]\ncompare = int\n", "test.ini:4: compare: int needs [event] position"},
        {CONNECT "[event]\nposition = /p\n[catchup]\nvia = http\n",
         "test.ini:6: via: http needs `http = NAME` too"},
        {CONNECT "[event]\nposition = /p\n[catchup]\nvia = http\nhttp = b\n",
         "test.ini:7: http: there is no [http b]"},
        {CONNECT "[event]\nposition = /p\n[catchup]\nvia = http\nhttp = b\n"
                 "[http b]\nurl = https://h.example/\n",
         "test.ini:6: via: nothing in [http b] carries ${position}"},
        {CONNECT "[event]\nposition = /p\n[catchup]\nvia = url\n",
         "test.ini:6: via: nothing in [connect] carries ${position}"},
        {CONNECT "query.p = ${position}\n[catchup]\nvia = url\n",
         "test.ini:5: via: there is nothing to resume from without [event] position"},
        {CONNECT "[event]\nonly = /a ==\n",
         "test.ini:4: only: a value must follow, but it ends there"},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        check_fault(table[i].text, no_keys, table[i].fault);
}

static void test_dedup_follows_what_there_is(void **state)
{
    struct loaded l = load_ok(CONNECT "[event]\nid = /i\nposition = /p\n", no_keys);

    assert_int_equal(l.profile->dedup, PROFILE_DEDUP_ID);
    unload(&l);
    l = load_ok(CONNECT "[event]\nposition = /p\n", no_keys);
    assert_int_equal(l.profile->dedup, PROFILE_DEDUP_POSITION);
    unload(&l);
    l = load_ok(CONNECT "[event]\nid = /i\ndedup = hash\n", no_keys);
    assert_int_equal(l.profile->dedup, PROFILE_DEDUP_HASH);
    unload(&l);
}

static void test_all_faults_at_once(void **state)
{
    struct loaded l =
        load_text("[connect]\nurl = ftp://h/\n[live]\nwhen = x\n[on a]\nmatch = a\n", no_keys);

    assert_int_equal(diag_count(l.diag), 4);
    assert_non_null(strstr(diag_get(l.diag, 0), "test.ini:2: url: the scheme must be wss"));
    assert_non_null(strstr(diag_get(l.diag, 1), "test.ini:4: when: `x` is none of"));
    assert_non_null(strstr(diag_get(l.diag, 2), "test.ini:5: [on a] has no `do`"));
    assert_non_null(strstr(diag_get(l.diag, 3), "test.ini:6: match: `a` is no JSON Pointer"));
    unload(&l);
}

/* ---- pointers ---- */

static void test_bad_pointers(void **state)
{
    static const char *const keys[] = {"id", "position", "type", "time"};
    char text[256], fault[256];

    for (size_t i = 0; i < COUNT(keys); i++) {
        snprintf(text, sizeof(text), CONNECT "[event]\n%s = x\n", keys[i]);
        snprintf(fault, sizeof(fault),
                 "test.ini:4: %s: `x` is no JSON Pointer; it must begin with \"/\"", keys[i]);
        check_fault(text, no_keys, fault);
        snprintf(text, sizeof(text), CONNECT "[event]\n%s = /a |\n", keys[i]);
        snprintf(fault, sizeof(fault),
                 "test.ini:4: %s: `` is no JSON Pointer; it must begin with \"/\"", keys[i]);
        check_fault(text, no_keys, fault);
        snprintf(text, sizeof(text), CONNECT "[event]\n%s = header:x\n", keys[i]);
        snprintf(fault, sizeof(fault),
                 "test.ini:4: %s: `header:x` needs [message] header_block = yes", keys[i]);
        check_fault(text, no_keys, fault);
    }
    check_fault(CONNECT "[event]\nid = /1|/2|/3|/4|/5|/6|/7|/8|/9\n", no_keys,
                "test.ini:4: id: more than 8 places");
    check_fault(CONNECT "[message]\nheader_block = yes\n[event]\nid = header:\n", no_keys,
                "test.ini:6: id: `header:` names no header");
    check_fault(CONNECT "[message]\nheader_block = yes\n[event]\nid = header:a b\n", no_keys,
                "test.ini:6: id: `header:a b` names no header");
    check_fault(CONNECT "[message]\nheader_block = yes\n[event]\ntime = header:a\n", no_keys,
                "test.ini:6: time: a header is no JSON; only a JSON Pointer can stand here");
}

/* What the json room finds wrong keeps its own words; the place must be there. */
static void test_bad_escape_in_pointer(void **state)
{
    static const char *const texts[] = {
        CONNECT "[event]\nid = /a~2\n",   CONNECT "[event]\nid = /a~\n",
        CONNECT "[catchup]\nitems = x\n", CONNECT "[catchup]\nnext = x\n",
        CONNECT "[catchup]\nmore = x\n",  CONNECT "[catchup]\nmap.type = x\n",
    };

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct loaded l = load_text(texts[i], no_keys);

        assert_int_equal(l.rc, ERR_PARSE);
        assert_int_equal(diag_count(l.diag), 1);
        assert_non_null(strstr(diag_get(l.diag, 0), "test.ini:4: "));
        unload(&l);
    }
}

/* ---- overrides ---- */

static void test_overrides(void **state)
{
    static const char *const keys[] = {"heartbeat.idle=45s",
                                       "http:sync.url=https://other.example/sync",
                                       "close.1006=hold 1m",
                                       "connect.url=wss://other.example/",
                                       "on:new.match=/a exists",
                                       "on:new.do=ignore",
                                       "event.id=",
                                       NULL};
    struct loaded l = load_ok(CONNECT "[heartbeat]\nidle = 5s\n[http sync]\n"
                                      "url = https://h.example/\n[event]\nid = /id\n",
                              keys);
    struct profile_end end = {.kind = PROFILE_END_CLOSE, .code = 1006};
    struct profile_request request;

    assert_int_equal(l.profile->heartbeat.idle_ms, 45000);
    assert_int_equal(profile_policy(l.profile, &end, NULL)->kind, PROFILE_POLICY_HOLD);
    assert_int_equal(l.profile->dedup, PROFILE_DEDUP_OFF);
    profile_request_init(&request);
    assert_int_equal(
        profile_render_http(l.profile, 0, lookup_pairs, (void *)no_keys, &request, NULL), 0);
    assert_slice(buf_slice(&request.url), "https://other.example/sync");
    profile_request_fini(&request);
    unload(&l);
}

static void test_bad_overrides(void **state)
{
    static const struct {
        const char *key, *fault;
    } table[] = {
        {"heartbeat.idle=soon",
         "hawser.ini:12: idle: `soon` is no duration such as 500ms, 30s or 5m"},
        {"heartbeat.idel=5s",
         "hawser.ini:12: unknown key `idel` in [heartbeat]; did you mean `idle`?"},
        {"heartbaet.idle=5s",
         "hawser.ini:12: unknown section [heartbaet]; did you mean [heartbeat]?"},
        {"http.url=https://h/", "hawser.ini:12: [http] needs a name: [http NAME]"},
        {"live:x.when=open", "hawser.ini:12: [live] takes no name, but there is `x`"},
        {"profile.params=x",
         "hawser.ini:12: `profile.params`: [profile] cannot be overridden for one stream"},
        {"connect.url=ws://h.example/",
         "hawser.ini:12: url: ws:// to `h.example` would send everything, secrets too, "
         "unencrypted; use wss://, or set plaintext = yes for the stream"},
        {"close.1006=retyr", "hawser.ini:12: 1006: unknown action `retyr`; did you mean `retry`?"},
        {"http:sync.method=GET", "hawser.ini:12: [http sync] has no `url`"},
        {".x=1", "hawser.ini:12: unknown section []"},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        const char *const keys[] = {table[i].key, NULL};

        check_fault(CONNECT, keys, table[i].fault);
    }
}

static void test_entries_are_bounded(void **state)
{
    static const size_t max = 1024;
    static char texts[1024][32];
    const char **keys = calloc(max + 1, sizeof(*keys));
    struct loaded l;

    assert_non_null(keys);
    /* The file has 2: the section and its url. */
    for (size_t i = 0; i < max - 2; i++) {
        snprintf(texts[i], sizeof(texts[i]), "explain.%zu/t=x", 1000 + i);
        keys[i] = texts[i];
    }
    l = load_ok(CONNECT, keys);
    unload(&l);
    snprintf(texts[max - 2], sizeof(texts[0]), "explain.1000/u=x");
    keys[max - 2] = texts[max - 2];
    check_fault(CONNECT, keys, "hawser.ini:1034: more than 1024 keys in one profile");
    free(keys);
}

/* `n` times `item`, with a number in it, behind `start`. */
static void repeat(char *out, size_t size, const char *start, const char *item, int n)
{
    size_t at = (size_t)snprintf(out, size, "%s", start);

    for (int i = 0; i < n; i++) {
        const char *mark = strchr(item, '#');

        at += (size_t)snprintf(out + at, size - at, "%.*s%d%s", (int)(mark - item), item, i,
                               mark + 1);
    }
    assert_true(at < size);
}

static void test_bounds_of_lists(void **state)
{
    static const struct {
        const char *start, *item;
        int max;
        const char *fault;
    } table[] = {
        {CONNECT "[event]\ntype = /t\nephemeral =", " t#", 64,
         "test.ini:5: ephemeral: more than 64 globs"},
        {CONNECT, "[http h#]\nurl = https://h.example/\n", 16,
         "test.ini:35: more than 16 [http] sections"},
        {CONNECT "[message]\nheader_block = yes\n[on a]\ndo = ignore\nmatch = /a exists",
         " || header:h# exists", 16, "test.ini:7: match: more than 16 different headers"},
        {CONNECT "[http a]\nurl = https://h.example/\nbody =", "\n  line #", 64,
         "test.ini:5: body: more than 64 lines"},
    };
    char text[4096];

    for (size_t i = 0; i < COUNT(table); i++) {
        struct loaded l;

        repeat(text, sizeof(text), table[i].start, table[i].item, table[i].max);
        strcat(text, "\n");
        l = load_ok(text, no_keys);
        unload(&l);
        repeat(text, sizeof(text), table[i].start, table[i].item, table[i].max + 1);
        strcat(text, "\n");
        l = load_text(text, no_keys);
        assert_int_equal(l.rc, ERR_PARSE);
        assert_non_null(strstr(diag_get(l.diag, 0), table[i].fault));
        unload(&l);
    }
}

/* ---- finding ---- */

static void test_no_such_profile(void **state)
{
    static const char *const names[][2] = {
        {"scaiwav", "hawser.ini:11: there is no profile `scaiwav`; did you mean `scaiwave`?"},
        {"zzzzzzzz", "hawser.ini:11: there is no profile `zzzzzzzz` (searched for zzzzzzzz.ini in "
                     "/nonexistent and conf/profiles)"},
        {"../profiles/generic",
         "hawser.ini:11: there is no profile `../profiles/generic` (searched for "
         "../profiles/generic.ini in /nonexistent and conf/profiles)"},
        {"", "hawser.ini:11: there is no profile `` (searched for .ini in /nonexistent and "
             "conf/profiles)"},
    };

    for (size_t i = 0; i < COUNT(names); i++) {
        struct loaded l = load_shipped(names[i][0], no_keys);

        assert_fault(&l, names[i][1]);
        unload(&l);
    }
}

static void note(void *arg, const char *name, const char *path)
{
    char *list = arg;

    strcat(list, name);
    strcat(list, " ");
    assert_non_null(strstr(path, name));
}

static void test_list(void **state)
{
    static const char *const dirs[] = {"/nonexistent", "conf/profiles", "conf/profiles", NULL};
    static const char *const broken[] = {"meson.build", NULL};
    char list[256] = "";
    struct error err;

    assert_int_equal(profile_list(dirs, note, list, &err), 0);
    assert_string_equal(list, "generic home-assistant jetstream kraken nchan ntfy parlay "
                              "scaiwave ");
    assert_true(profile_list(broken, note, list, &err) < 0);
    assert_non_null(strstr(err.text, "meson.build: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_good_values),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_bad_whole),
        cmocka_unit_test(test_dedup_follows_what_there_is),
        cmocka_unit_test(test_all_faults_at_once),
        cmocka_unit_test(test_bad_pointers),
        cmocka_unit_test(test_bad_escape_in_pointer),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_bad_overrides),
        cmocka_unit_test(test_entries_are_bounded),
        cmocka_unit_test(test_bounds_of_lists),
        cmocka_unit_test(test_no_such_profile),
        cmocka_unit_test(test_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
