/* What requests capture, how often they are asked, and parameters with a choice. */
#include "unit/profile/support.h"

static const char *const no_keys[] = {NULL};

struct bad {
    const char *text, *fault;
};

/* ---- captures ---- */

#define HTTP "[http a]\nurl = https://h.example/a\n"

static void test_bad_captures(void **state)
{
    static const struct bad table[] = {
        {CONNECT HTTP "capture.x = y\n",
         "test.ini:5: capture.x: `y` is no JSON Pointer; it must begin with \"/\""},
        {CONNECT HTTP "capture.x = /a~\n", "test.ini:5: capture.x: pointer \"/a~\": \"~\" is "
                                           "written \"~0\", and \"/\" in a name \"~1\""},
        {CONNECT HTTP "capture.X = /y\n",
         "test.ini:5: capture.X: `X` cannot be a variable: a small letter, then small letters, "
         "digits and _, and none of hawser's own"},
        {CONNECT HTTP "capture.position = /y\n",
         "test.ini:5: capture.position: `position` cannot be a variable: a small letter, then "
         "small letters, digits and _, and none of hawser's own"},
        {CONNECT HTTP "capture.each = /y\n",
         "test.ini:5: capture.each: `each` cannot be a variable: a small letter, then small "
         "letters, digits and _, and none of hawser's own"},
        {"[profile]\nparams = p=1\n" CONNECT HTTP "capture.p = /y\n",
         "test.ini:7: capture.p: `p` is a parameter, which cannot be captured"},
        {CONNECT HTTP "capture_secret.t = /y\n",
         "test.ini:5: capture_secret.t: [profile] secrets does not name `t`"},
        {CONNECT "[message]\nheader_block = yes\n" HTTP "capture.x = header:y\n",
         "test.ini:7: capture.x: an answer has no header block; only a JSON Pointer can stand "
         "here"},
        {CONNECT HTTP "persist = perhaps\n", "test.ini:5: persist: `perhaps` is none of no, yes"},
        {CONNECT HTTP "persist = yes\n",
         "test.ini:4: [http a] has `persist`, but captures nothing that could be kept"},
        {CONNECT HTTP "query.p = ${position}\nforeach = x\n[event]\nposition = /p\n"
                      "[catchup]\nvia = http\nhttp = a\n",
         "test.ini:11: http: [http a] has a `foreach`"},
        {CONNECT HTTP "foreach = x\n[event]\nposition = /p\n[catchup]\ntip = a\n",
         "test.ini:9: tip: [http a] has a `foreach`"},
        {CONNECT HTTP "query.e = ${each}\n",
         "test.ini:4: [http a] names ${each} without `foreach`"},
        {CONNECT "query.x = ${session}\n" HTTP "capture.sessoin = /y\n",
         "test.ini:3: query.x: there is no variable `session` here; did you mean `sessoin`?"},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        check_fault(table[i].text, no_keys, table[i].fault);
}

static void test_captures_are_bounded(void **state)
{
    char text[2048] = CONNECT HTTP;
    struct loaded l;

    for (int i = 0; i < 16; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "capture.v%d = /v%d\n", i, i);
    l = load_ok(text, no_keys);
    assert_int_equal(l.profile->n_variables, PROFILE_VARIABLES_MAX);
    unload(&l);
    strcat(text, "[http b]\nurl = https://h.example/b\ncapture.v16 = /x\n");
    check_fault(text, no_keys, "test.ini:23: capture.v16: more than 16 captured variables");
    strcpy(strstr(text, "[http b]"), "capture_secret.s = /x\n");
    {
        char whole[4096];

        snprintf(whole, sizeof(whole), "[profile]\nsecrets = s=\n%s", text);
        check_fault(whole, no_keys, "test.ini:23: capture_secret.s: more than 16 captures");
    }
}

struct visits {
    char text[512];
};

static void note(void *arg, const struct profile_capture *capture)
{
    struct visits *visits = arg;
    size_t n = strlen(visits->text);

    snprintf(visits->text + n, sizeof(visits->text) - n, "%s%s=" SLICE_FMT ";",
             capture->secret ? "secret." : "", capture->name, SLICE_ARG(capture->value));
}

#define CAPTURES                                                                                   \
    "[profile]\nsecrets = token=\n" CONNECT HTTP                                                   \
    "capture.url = /u | /data/url\ncapture_secret.token = /t\ncapture.ttl = /n\n"                  \
    "[http b]\nurl = https://h.example/b\ncapture.b = /b\n"                                        \
    "[http c]\nurl = https://h.example/c\n"

static void assert_captures(unsigned http, const char *body, int rc, const char *text)
{
    struct loaded l = load_ok(CAPTURES, no_keys);
    struct profile_scanner *scanner;
    struct visits visits = {""};
    struct error err = {0};
    size_t n = strlen(body);
    char *copy = malloc(n != 0 ? n : 1);

    assert_non_null(copy);
    memcpy(copy, body, n);
    assert_int_equal(profile_scanner_new(l.profile, &scanner), 0);
    assert_int_equal(
        profile_http_capture(l.profile, http, scanner, slice_make(copy, n), note, &visits, &err),
        rc);
    if (rc == 0)
        assert_string_equal(visits.text, text);
    else
        assert_string_equal(err.text, text);
    if (rc != 0)
        assert_string_equal(visits.text, "");
    assert_null(strstr(err.text, "SECRET"));
    free(copy);
    profile_scanner_free(scanner);
    unload(&l);
}

static void test_captures(void **state)
{
    assert_captures(0, "{\"u\":\"a\\/b\",\"t\":\"T\\u0031\",\"n\":3600}", 0,
                    "url=a/b;secret.token=T1;ttl=3600;");
    assert_captures(0, "{\"data\":{\"url\":\"x\"},\"n\":1}", 0, "url=x;ttl=1;");
    assert_captures(0, "{\"u\":null,\"data\":{\"url\":\"x\"},\"t\":\"\",\"n\":null}", 0, "url=x;");
    assert_captures(0, "{}", 0, "");
    assert_captures(0, "[]", 0, "");
    assert_captures(1, "{\"b\":\"y\",\"n\":1}", 0, "b=y;");
    /* What captures nothing need not be JSON. */
    assert_captures(2, "<html>", 0, "");
    assert_captures(0, "<html>", ERR_PARSE, "http a: the answer is no JSON: byte 0 of 6 is wrong");
    assert_captures(0, "", ERR_PARSE, "http a: the answer is no JSON: byte 0 of 0 is wrong");
    /* Half an answer is not taken. */
    assert_captures(0, "{\"u\":\"a\",\"t\":[\"SECRET\"]}", ERR_PROTOCOL,
                    "http a: what the answer has for secret token is neither a string nor a "
                    "number");
    assert_captures(
        0, "{\"u\":\"a\",\"t\":\"SECRET\",\"n\":true}", ERR_PROTOCOL,
        "http a: what the answer has for variable ttl is neither a string nor a number");
}

static void assert_long(const char *name, size_t limit, const char *fault)
{
    struct loaded l = load_ok(CAPTURES, no_keys);
    struct profile_scanner *scanner;
    struct error err = {0};
    struct buf body;

    assert_int_equal(profile_scanner_new(l.profile, &scanner), 0);
    buf_init(&body, BUF_UNBOUNDED);
    for (size_t n = limit; n <= limit + 1; n++) {
        struct visits visits = {""};

        buf_clear(&body);
        assert_int_equal(buf_appendf(&body, "{\"%s\":\"", name), 0);
        assert_int_equal(buf_reserve(&body, n), 0);
        memset(body.data + body.len, 'x', n);
        body.len += n;
        assert_int_equal(buf_append_str(&body, "\"}"), 0);
        assert_int_equal(
            profile_http_capture(l.profile, 0, scanner, buf_slice(&body), note, &visits, &err),
            n == limit ? 0 : ERR_PROTOCOL);
    }
    assert_string_equal(err.text, fault);
    buf_fini(&body);
    profile_scanner_free(scanner);
    unload(&l);
}

static void test_captures_are_not_endless(void **state)
{
    assert_long("u", LIMIT_VARIABLE,
                "http a: what the answer has for variable url is longer than 8192 bytes");
    assert_long("t", LIMIT_SECRET,
                "http a: what the answer has for secret token is longer than 65536 bytes");
}

/* ---- persist, foreach ---- */

static void test_persist(void **state)
{
    struct loaded l = load_ok(CONNECT HTTP "capture.x = /x\npersist = yes\n"
                                           "[http b]\nurl = https://h.example/b\ncapture.y = /y\n",
                              no_keys);

    assert_true(profile_http_persists(l.profile, 0));
    assert_false(profile_http_persists(l.profile, 1));
    unload(&l);
}

static void test_foreach(void **state)
{
    static const char *const keys[] = {"rooms=r1 r2,r3", NULL};
    static const char *const pairs[] = {"each", "r 2", NULL};
    static const char text[] =
        "[profile]\nparams = rooms=\n" CONNECT HTTP "foreach = rooms\nquery.room = ${each}\n"
        "[http b]\nurl = https://h.example/${each}\nforeach = x, y\n"
        "[http c]\nurl = https://h.example/c\n";
    struct loaded l = load_ok(text, keys);
    struct profile_request request;
    const struct slice *each;
    unsigned n;

    each = profile_http_each(l.profile, 0, &n);
    assert_int_equal(n, 3);
    assert_slice(each[0], "r1");
    assert_slice(each[1], "r2");
    assert_slice(each[2], "r3");
    each = profile_http_each(l.profile, 1, &n);
    assert_int_equal(n, 2);
    assert_slice(each[1], "y");
    each = profile_http_each(l.profile, 2, &n);
    assert_int_equal(n, 1);
    assert_slice(each[0], NULL);
    profile_request_init(&request);
    assert_int_equal(profile_render_http(l.profile, 0, lookup_pairs, (void *)pairs, &request, NULL),
                     0);
    assert_slice(buf_slice(&request.url), "https://h.example/a?room=r%202");
    profile_request_fini(&request);
    unload(&l);
    l = load_ok(text, no_keys);
    profile_http_each(l.profile, 0, &n);
    assert_int_equal(n, 0);
    unload(&l);
}

static void test_foreach_is_bounded(void **state)
{
    char text[4096] = CONNECT HTTP "foreach =";
    struct loaded l;
    unsigned n;

    for (int i = 0; i < 256; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), " v%d", i);
    l = load_ok(text, no_keys);
    profile_http_each(l.profile, 0, &n);
    assert_int_equal(n, 256);
    unload(&l);
    strcat(text, " v256");
    check_fault(text, no_keys, "test.ini:5: foreach: more than 256 values");
}

/* ---- choices ---- */

#define CHOICE                                                                                     \
    "[profile]\nparams = auth=header|query|none opt=|a|b\nsecrets = key\n" CONNECT                 \
    "header.X-Key = ${auth=header}${secret.key}\nquery.key = ${auth=query}${secret.key}\n"         \
    "query.a = ${opt=a}yes\nquery.opt = ${opt}\n"

static void assert_connect(const char *const *keys, const char *url, const char *headers)
{
    static const char *const pairs[] = {"secret.key", "k", NULL};
    struct loaded l = load_ok(CHOICE, keys);
    struct profile_request request;

    profile_request_init(&request);
    assert_int_equal(profile_render_connect(l.profile, lookup_pairs, (void *)pairs, &request, NULL),
                     0);
    assert_slice(buf_slice(&request.url), url);
    assert_slice(buf_slice(&request.headers), headers);
    profile_request_fini(&request);
    unload(&l);
}

static void test_choices(void **state)
{
    static const char *const plain[] = {"key=env:K", NULL};
    static const char *const query[] = {"key=env:K", "auth=query", "opt=b", NULL};
    static const char *const none[] = {"key=env:K", "auth=none", "opt=a", NULL};

    assert_connect(plain, "wss://h.example/", "X-Key: k\r\n");
    assert_connect(query, "wss://h.example/?key=k&opt=b", "");
    assert_connect(none, "wss://h.example/?a=yes&opt=a", "");
}

static void test_bad_choices(void **state)
{
    static const char *const wrong[] = {"key=env:K", "auth=heder", NULL};
    static const char *const empty[] = {"key=env:K", "auth=", NULL};
    static const struct bad table[] = {
        {"[profile]\nparams = a=x|\n" CONNECT,
         "test.ini:2: params: the choices of `a` are up to 16 words with a bar between each, such "
         "as a|b|c"},
        {"[profile]\nparams = a=|\n" CONNECT,
         "test.ini:2: params: the choices of `a` are up to 16 words with a bar between each, such "
         "as a|b|c"},
        {"[profile]\nparams = a=x||y\n" CONNECT,
         "test.ini:2: params: the choices of `a` are up to 16 words with a bar between each, such "
         "as a|b|c"},
        {"[profile]\nparams = a=1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17\n" CONNECT,
         "test.ini:2: params: the choices of `a` are up to 16 words with a bar between each, such "
         "as a|b|c"},
        {"[profile]\nparams = a=x|y\n" CONNECT "query.q = ${a=z}1\n",
         "test.ini:5: query.q: `${a=z}`: `a` is x or y"},
        {"[profile]\nparams = a=x|y|z\n" CONNECT "query.q = ${a=}1\n",
         "test.ini:5: query.q: `${a=}`: `a` is x, y or z"},
        {"[profile]\nparams = a=x\n" CONNECT "query.q = ${a=x}1\n",
         "test.ini:5: query.q: `${a=x}`: [profile] params declares no choices for `a`"},
        {CONNECT "query.q = ${b=x}1\n",
         "test.ini:3: query.q: `${b=x}`: [profile] params declares no choices for `b`"},
    };

    for (size_t i = 0; i < COUNT(table); i++)
        check_fault(table[i].text, no_keys, table[i].fault);
    check_fault(CHOICE, wrong, "hawser.ini:13: auth: `heder` is not header, query or none");
    /* An empty value is as a line that was not written. */
    assert_connect(empty, "wss://h.example/", "X-Key: k\r\n");
    struct loaded l =
        load_ok("[profile]\nparams = a=1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16\n" CONNECT, no_keys);

    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_captures),
        cmocka_unit_test(test_captures_are_bounded),
        cmocka_unit_test(test_captures),
        cmocka_unit_test(test_captures_are_not_endless),
        cmocka_unit_test(test_persist),
        cmocka_unit_test(test_foreach),
        cmocka_unit_test(test_foreach_is_bounded),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_bad_choices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
