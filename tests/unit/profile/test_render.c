/* Requests: templates, their encoding by place, URLs, and what is refused. */
#include "unit/profile/support.h"

static const char *const no_keys[] = {NULL};

struct rendered {
    struct loaded loaded;
    struct profile_request request;
    struct error err;
    int rc;
};

static void render(struct rendered *r, const char *text, const char *const *keys,
                   const char *const *variables)
{
    *r = (struct rendered){.loaded = load_ok(text, keys)};
    profile_request_init(&r->request);
    r->rc = profile_render_connect(r->loaded.profile, lookup_pairs, (void *)variables, &r->request,
                                   &r->err);
}

static void done(struct rendered *r)
{
    profile_request_fini(&r->request);
    unload(&r->loaded);
}

static void check_url(const char *text, const char *const *keys, const char *const *variables,
                      const char *url)
{
    struct rendered r;

    render(&r, text, keys, variables);
    if (r.rc != 0)
        fail_msg("%s: %s", text, r.err.text);
    assert_slice(buf_slice(&r.request.url), url);
    assert_slice(buf_slice(&r.request.method), "GET");
    assert_int_equal(r.request.body.len, 0);
    done(&r);
}

/* ---- encoding ---- */

#define NASTY "a/b?c&d=e f+\xc3\xa9%\"\\#~"

static void test_url_encoding(void **state)
{
    static const char *const keys[] = {"p=" NASTY, NULL};
    static const char *const variables[] = {"position", NASTY, NULL};

    check_url("[profile]\nparams = p\n[connect]\nurl = wss://h.example/x/${p}\n", keys, no_keys,
              "wss://h.example/x/a%2Fb%3Fc%26d%3De%20f%2B%C3%A9%25%22%5C%23~");
    check_url("[connect]\nurl = wss://h.example/x/${position}?y=${position}\n", no_keys, variables,
              "wss://h.example/x/a%2Fb%3Fc%26d%3De%20f%2B%C3%A9%25%22%5C%23~"
              "?y=a%2Fb%3Fc%26d%3De%20f%2B%C3%A9%25%22%5C%23~");
    check_url(CONNECT "query.since = ${position}\n", no_keys, variables,
              "wss://h.example/?since=a%2Fb%3Fc%26d%3De%20f%2B%C3%A9%25%22%5C%23~");
}

static void test_query_lines(void **state)
{
    static const char *const variables[] = {"position", "5", "n", "7", NULL};

    /* Left out without a value; what was written is plain text. */
    check_url(CONNECT "query.a = ${uuid}\nquery.b c = x y&z\nquery.d = p${position}-${n}\n"
                      "query.e =\n",
              no_keys, variables, "wss://h.example/?b%20c=x%20y%26z&d=p5-7");
    check_url("[connect]\nurl = wss://h.example/?v=1\nquery.a = 1\nquery.b = $x{\n", no_keys,
              variables, "wss://h.example/?v=1&a=1&b=%24x%7B");
    check_url("[connect]\nurl = wss://h.example\nquery.a = 1\n", no_keys, variables,
              "wss://h.example?a=1");
    check_url("[profile]\nparams = o=\n" CONNECT "query.a = ${o}\nquery.b = 2\n", no_keys,
              variables, "wss://h.example/?b=2");
}

static void test_raw(void **state)
{
    static const char *const keys[] = {"path=sub/a?x=1", NULL};
    static const char *const whole[] = {"url=wss://other.example:99/p?q=1", NULL};
    static const char *const variables[] = {"position", "a/b&c=d", NULL};
    static const char *const blank[] = {"position", "a b", NULL};
    static const char *const newline[] = {"position", "a\nb", NULL};
    static const char *const hash[] = {"position", "a#b", NULL};
    static const char *const *const bad[] = {blank, newline, hash};
    static const char *const bytes[] = {"0x20", "0x0a", "0x23"};

    check_url("[profile]\nparams = path\n[connect]\nurl = wss://h.example/${path|raw}\n", keys,
              no_keys, "wss://h.example/sub/a?x=1");
    check_url("[profile]\nparams = url\n[connect]\nurl = ${url|raw}\n", whole, no_keys,
              "wss://other.example:99/p?q=1");
    check_url(CONNECT "query.p = ${position|raw}\n", no_keys, variables,
              "wss://h.example/?p=a/b&c=d");
    for (size_t i = 0; i < COUNT(bad); i++) {
        char text[128];
        struct rendered r;

        render(&r, CONNECT "query.p = ${position|raw}\n", no_keys, bad[i]);
        assert_int_equal(r.rc, ERR_INVAL);
        snprintf(text, sizeof(text),
                 "connect: query.p: the value of ${position} holds byte %s, which may not stand "
                 "in a URL",
                 bytes[i]);
        assert_string_equal(r.err.text, text);
        done(&r);
    }
}

static void test_headers(void **state)
{
    static const char *const variables[] = {"secret.token", "t\xc3\xa9 \"1\"", NULL};
    struct rendered r;

    render(&r,
           "[profile]\nsecrets = token=\nparams = who=me\n" CONNECT
           "header.Authorization = Bearer ${secret.token}\nheader.X-Who = ${who}!\n"
           "header.X-None = ${position}\nheader.X-Empty =\nsubprotocol = a, b.${who}\n",
           NULL, variables);
    assert_int_equal(r.rc, 0);
    assert_slice(buf_slice(&r.request.headers),
                 "Authorization: Bearer t\xc3\xa9 \"1\"\r\nX-Who: me!\r\n");
    assert_slice(buf_slice(&r.request.subprotocol), "a, b.me");
    done(&r);
}

static void test_control_bytes_in_headers(void **state)
{
    static const char *const values[] = {"a\r\nX: y", "a\nb", "a\x01", "a\x7f"};
    static const char *const bytes[] = {"0x0d", "0x0a", "0x01", "0x7f"};

    for (size_t i = 0; i < COUNT(values); i++) {
        const char *variables[] = {"position", values[i], NULL};
        char text[160];
        struct rendered r;

        render(&r, CONNECT "header.X = ${position}\n", no_keys, variables);
        assert_int_equal(r.rc, ERR_INVAL);
        snprintf(text, sizeof(text),
                 "connect: header.X: the value of ${position} holds byte %s, which may not stand "
                 "in a header",
                 bytes[i]);
        assert_string_equal(r.err.text, text);
        /* The caller may not want to know. */
        assert_int_equal(
            profile_render_connect(r.loaded.profile, lookup_pairs, variables, &r.request, NULL),
            ERR_INVAL);
        done(&r);
        render(&r, CONNECT "subprotocol = ${position}\n", no_keys, variables);
        assert_int_equal(r.rc, ERR_INVAL);
        done(&r);
        /* |raw is no way around it. */
        render(&r, CONNECT "header.X = ${position|raw}\n", no_keys, variables);
        assert_int_equal(r.rc, ERR_INVAL);
        done(&r);
    }
}

static void test_body(void **state)
{
    static const char *const variables[] = {"position", "a\"b\\\n\x01\xff", "n", "3", NULL};
    struct loaded l = load_ok(CONNECT "[http a]\nurl = https://h.example/a\n"
                                      "body = {\"p\":\"${position}\",\n  \"u\":\"${uuid}\",\n"
                                      "  \"n\":${n|raw}}\n"
                                      "[http b]\nurl = https://h.example/b\nmethod = PUT\n"
                                      "body = x\n",
                              no_keys);
    struct profile_request request;
    struct error err;

    profile_request_init(&request);
    assert_int_equal(
        profile_render_http(l.profile, 0, lookup_pairs, (void *)variables, &request, &err), 0);
    assert_slice(buf_slice(&request.method), "POST");
    assert_slice(buf_slice(&request.body),
                 "{\"p\":\"a\\\"b\\\\\\n\\u0001\xef\xbf\xbd\",\n\"n\":3}");
    /* A request can be used again, for another. */
    assert_int_equal(
        profile_render_http(l.profile, 1, lookup_pairs, (void *)variables, &request, &err), 0);
    assert_slice(buf_slice(&request.method), "PUT");
    assert_slice(buf_slice(&request.url), "https://h.example/b");
    assert_slice(buf_slice(&request.body), "x");
    profile_request_fini(&request);
    unload(&l);
}

static void test_unset_in_url(void **state)
{
    struct rendered r;

    render(&r, "[connect]\nurl = wss://h.example/${position}\n", no_keys, no_keys);
    assert_int_equal(r.rc, ERR_INVAL);
    assert_string_equal(r.err.text, "connect: url: a variable in it is unset");
    done(&r);
}

static void test_too_long(void **state)
{
    size_t max = LIMIT_HTTP_HEADERS - strlen("wss://h.example/?p=");
    char *value = malloc(max + 2);
    const char *variables[] = {"position", value, NULL};
    struct rendered r;

    assert_non_null(value);
    memset(value, 'a', max + 1);
    value[max] = '\0';
    render(&r, CONNECT "query.p = ${position}\n", no_keys, variables);
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.request.url.len, LIMIT_HTTP_HEADERS);
    done(&r);
    value[max] = 'a';
    value[max + 1] = '\0';
    render(&r, CONNECT "query.p = ${position}\n", no_keys, variables);
    assert_int_equal(r.rc, ERR_LIMIT);
    done(&r);
    free(value);
}

static void test_ok(void **state)
{
    struct loaded l = load_ok(CONNECT "[http a]\nurl = https://h.example/\n"
                                      "[http b]\nurl = https://h.example/\nok = 200, 204 404-410\n",
                              no_keys);

    assert_true(profile_http_ok(l.profile, 0, 200));
    assert_false(profile_http_ok(l.profile, 0, 201));
    assert_true(profile_http_ok(l.profile, 1, 204));
    assert_true(profile_http_ok(l.profile, 1, 404));
    assert_true(profile_http_ok(l.profile, 1, 410));
    assert_false(profile_http_ok(l.profile, 1, 403));
    assert_false(profile_http_ok(l.profile, 1, 411));
    unload(&l);
}

/* ---- what is refused when it is loaded ---- */

struct bad {
    const char *text, *fault;
};

static void test_bad_templates(void **state)
{
    static const struct bad table[] = {
        {"query.a = ${", "query.a: \"${\" without a \"}\" behind it"},
        {"query.a = ${}", "query.a: \"${}\" names nothing"},
        {"query.a = ${|raw}", "query.a: \"${}\" names nothing"},
        {"query.a = ${n|upper}", "query.a: `n|upper`: the only thing that may follow \"|\" is raw"},
        {"query.a = ${postion}",
         "query.a: there is no variable `postion` here; did you mean `position`?"},
        {"query.a = ${zzzzzz}", "query.a: there is no variable `zzzzzz` here"},
        {"query.a = ${secret.tokn}",
         "query.a: there is no variable `secret.tokn` here; did you mean `secret.token`?"},
        {"query.a = ${token}", "query.a: there is no variable `token` here"},
        {"query.a = ${/id}", "query.a: `${/id}`: there is no message to take it from here"},
        {"header.X = ${header:id}",
         "header.X: `${header:id}`: there is no message to take it from here"},
        {"header.X Y = a", "header.X Y: `X Y` is no name of a header"},
        {"header.Host = a", "header.Host: hawser writes `Host` itself"},
        {"header.connection = a", "header.connection: hawser writes `connection` itself"},
        {"header.Sec-WebSocket-Protocol = a",
         "header.Sec-WebSocket-Protocol: hawser writes `Sec-WebSocket-Protocol` itself; see "
         "subprotocol"},
        {"header.X = a\n b", "header.X: a control byte (or a continued line) in a header"},
        {"subprotocol = a\n b", "subprotocol: a control byte (or a continued line)"},
        {"subprotocol = ${zzzzzz}", "subprotocol: there is no variable `zzzzzz` here"},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        char text[256], fault[256];

        snprintf(text, sizeof(text), "[profile]\nsecrets = token=\n" CONNECT "%s\n", table[i].text);
        snprintf(fault, sizeof(fault), "test.ini:5: %s", table[i].fault);
        check_fault(text, no_keys, fault);
    }
}

static void test_bad_urls(void **state)
{
    static const struct bad table[] = {
        {"", "a whole URL is needed, such as wss://host/path"},
        {"h.example/x", "a whole URL is needed, such as wss://host/path"},
        {"https://h.example/", "the scheme must be wss (or ws), not `https`"},
        {"WSS://h.example/", "the scheme must be wss (or ws), not `WSS`"},
        {"wss://", "`` is no NAME, NAME:PORT, ADDRESS or [IPV6]:PORT"},
        {"wss:///x", "`` is no NAME, NAME:PORT, ADDRESS or [IPV6]:PORT"},
        {"wss://u:p@h.example/", "user and password cannot stand in a URL"},
        {"wss://h.example:x/", "`h.example:x` is no NAME, NAME:PORT, ADDRESS or [IPV6]:PORT"},
        {"wss://m\xc3\xbcller.example/", "`m\xc3\xbcller.example` is no NAME, NAME:PORT, ADDRESS "
                                         "or [IPV6]:PORT; write a name outside ASCII in its xn-- "
                                         "form"},
        {"wss://h.example/#x", "a URL with a fragment (\"#\") cannot be requested"},
        {"wss://h.example/a b", "byte 0x20 may not stand in a URL; write it as %20"},
        {"wss://h.example/{x}", "byte 0x7b may not stand in a URL; write it as %7B"},
        {"wss://h.example/\xc3\xa9", "byte 0xc3 may not stand in a URL; write it as %C3"},
        {"${o}://h.example/", "`${o}` has no value, and a URL cannot do without; only query and "
                              "header lines are left out"},
        {"${d}://h.example/", "`${d}` cannot be the scheme; for a whole URL write ${d|raw}"},
        {"wss://${position}/", "`${position}` may stand behind the host only: scheme and host must "
                               "be known beforehand"},
        {"wss://h.${n|raw}.example/", "`${n}` may stand behind the host only: scheme and host must "
                                      "be known beforehand"},
        {"wss://${d}@evil.example/", "user and password cannot stand in a URL"},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        char text[256], fault[256];

        snprintf(text, sizeof(text), "[profile]\nparams = o= d=x\n[connect]\nurl = %s\n",
                 table[i].text);
        snprintf(fault, sizeof(fault), "test.ini:4: url: %s", table[i].fault);
        check_fault(text, no_keys, fault);
    }
}

static void test_plaintext(void **state)
{
    static const char *const allowed[] = {"ws://localhost/",   "ws://localhost:80/",
                                          "ws://127.0.0.1/",   "ws://127.255.0.1:1/x",
                                          "ws://[::1]:8080/x", "wss://h.example/"};
    static const char *const refused[] = {"h.example",        "127.0.0.1.example", "127.1",
                                          "128.0.0.1",        "127.0.0.256",       "[::2]",
                                          "localhost.example"};
    char text[256], fault[256];

    for (size_t i = 0; i < COUNT(allowed); i++) {
        snprintf(text, sizeof(text), "[connect]\nurl = %s\n", allowed[i]);
        struct loaded l = load_ok(text, no_keys);

        unload(&l);
    }
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct loaded l;

        snprintf(text, sizeof(text), "[connect]\nurl = ws://%s:80/\n", refused[i]);
        snprintf(fault, sizeof(fault),
                 "test.ini:2: url: ws:// to `%s` would send everything, secrets too, unencrypted; "
                 "use wss://, or set plaintext = yes for the stream",
                 refused[i]);
        check_fault(text, no_keys, fault);
        l = load_plaintext(text, no_keys);
        assert_int_equal(l.rc, 0);
        unload(&l);
    }
    check_fault(CONNECT "[http a]\nurl = http://h.example/\n", no_keys,
                "test.ini:4: url: http:// to `h.example` would send everything, secrets too, "
                "unencrypted; use https://, or set plaintext = yes for the stream");
    check_fault(CONNECT "[http a]\nurl = wss://h.example/\n", no_keys,
                "test.ini:4: url: the scheme must be https (or http), not `wss`");
}

static void test_bad_requests(void **state)
{
    static const struct bad table[] = {
        {"method = get", "method: `get` is none of GET, POST, PUT, PATCH, DELETE"},
        {"ok = 199", "ok: `199` is no status from 200 to 599, nor FROM-TO"},
        {"ok = 200 600", "ok: `600` is no status from 200 to 599, nor FROM-TO"},
        {"ok = 299-200", "ok: `299-200` is no status from 200 to 599, nor FROM-TO"},
        {"ok = 2xx", "ok: `2xx` is no status from 200 to 599, nor FROM-TO"},
        {"ok = 200 201 202 203 204 205 206 207 208", "ok: more than 8 statuses"},
        {"body = a\n b ${zzzzzz}", "body: there is no variable `zzzzzz` here"},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        char text[256], fault[256];

        snprintf(text, sizeof(text), CONNECT "[http a]\nurl = https://h.example/\n%s\n",
                 table[i].text);
        snprintf(fault, sizeof(fault), "test.ini:5: %s", table[i].fault);
        check_fault(text, no_keys, fault);
    }
}

static void test_number_of_lines_and_pieces(void **state)
{
    char text[4096] = CONNECT;
    struct loaded l;
    size_t n;

    for (int i = 0; i < 64; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "query.a%d = 1\n", i);
    l = load_ok(text, no_keys);
    unload(&l);
    strcat(text, "query.last = 1\n");
    check_fault(text, no_keys, "test.ini:67: query.last: more than 64 such lines");
    snprintf(text, sizeof(text), CONNECT "query.a = ");
    for (int i = 0; i < 64; i++)
        strcat(text, "${n}");
    n = strlen(text);
    strcat(text, "\n");
    l = load_ok(text, no_keys);
    unload(&l);
    snprintf(text + n, sizeof(text) - n, "x\n");
    check_fault(text, no_keys, "test.ini:3: query.a: more than 64 pieces in one template");
}

/* ---- the shipped profiles ---- */

static void test_scaiwave(void **state)
{
    static const char *const keys[] = {"host=chat.example.com:8443", "token=file:/run/token", NULL};
    static const char *const variables[] = {"secret.token", "a+b/c=", "position", "12345", NULL};
    static const char *const no_position[] = {"secret.token", "t", NULL};
    struct loaded l = load_shipped("scaiwave", keys);
    const struct profile *p = l.profile;
    struct profile_request request;
    struct profile_end end = {.kind = PROFILE_END_CLOSE, .code = 4001};
    struct error err;
    const char *text;

    assert_int_equal(l.rc, 0);
    profile_request_init(&request);
    assert_int_equal(profile_render_connect(p, lookup_pairs, (void *)variables, &request, &err), 0);
    assert_slice(buf_slice(&request.url),
                 "wss://chat.example.com:8443/v1/stream?token=a%2Bb%2Fc%3D");
    assert_int_equal(request.headers.len, 0);
    assert_int_equal(p->catchup.via, PROFILE_CATCHUP_HTTP);
    assert_int_equal(
        profile_render_http(p, p->catchup.http, lookup_pairs, (void *)variables, &request, &err),
        0);
    assert_slice(buf_slice(&request.url),
                 "https://chat.example.com:8443/v1/sync?since=12345&limit=500&timeout=0");
    assert_slice(buf_slice(&request.headers),
                 "Authorization: Bearer a+b/c=\r\nAccept: application/json\r\n");
    assert_int_equal(
        profile_render_http(p, p->catchup.http, lookup_pairs, (void *)no_position, &request, &err),
        0);
    assert_slice(buf_slice(&request.url),
                 "https://chat.example.com:8443/v1/sync?limit=500&timeout=0");
    profile_request_fini(&request);

    assert_true(p->live.by_rule);
    assert_int_equal(p->live.timeout_ms, 10000);
    assert_int_equal(p->compare, PROFILE_COMPARE_INT);
    assert_int_equal(p->dedup, PROFILE_DEDUP_ID);
    assert_int_equal(profile_policy(p, &end, &text)->kind, PROFILE_POLICY_REFRESH);
    assert_non_null(strstr(text, "the token is invalid or has expired"));
    end.code = 4003;
    assert_int_equal(profile_policy(p, &end, &text)->kind, PROFILE_POLICY_RETRY);
    assert_int_equal(p->flaps[0].code_from, 4003);
    assert_int_equal(p->flaps[0].count, 3);
    assert_int_equal(p->flaps[0].period_ms, 120000);
    assert_int_equal(p->flaps[0].action.delay_ms, 600000);
    snprintf(end.text, sizeof(end.text), "duplicate_connection");
    profile_policy(p, &end, &text);
    assert_non_null(strstr(text, "a token of its own"));
    end = (struct profile_end){.kind = PROFILE_END_STATUS, .code = 403};
    snprintf(end.text, sizeof(end.text), "{\"error\":{\"code\":\"SW_AUTH_TENANT_MISMATCH\"}}");
    assert_int_equal(profile_policy(p, &end, &text)->kind, PROFILE_POLICY_PARK);
    assert_non_null(strstr(text, "another tenant"));
    assert_int_equal(p->n_secrets, 2);
    assert_slice(p->fingerprint, "scaiwave\nchat.example.com:8443\nhost=chat.example.com:8443\n");
    unload(&l);
}

static void test_scaiwave_needs(void **state)
{
    static const char *const keys[] = {"token=env:T", NULL};
    static const char *const host[] = {"host=h", NULL};
    struct loaded l = load_shipped("scaiwave", keys);

    assert_fault(&l, "hawser.ini:11: profile scaiwave needs `host`");
    unload(&l);
    l = load_shipped("scaiwave", host);
    assert_fault(&l, "hawser.ini:11: profile scaiwave needs `token`, such as file:/PATH or "
                     "credential:NAME");
    unload(&l);
}

static void test_nchan(void **state)
{
    static const char *const keys[] = {"host=push.example.com", "path=sub/builds", NULL};
    static const char *const variables[] = {"position", "1795216417:0", NULL};
    struct loaded l = load_shipped("nchan", keys);
    struct profile_request request;
    struct error err;

    assert_int_equal(l.rc, 0);
    assert_int_equal(l.profile->catchup.via, PROFILE_CATCHUP_URL);
    assert_int_equal(l.profile->compare, PROFILE_COMPARE_OPAQUE);
    assert_int_equal(l.profile->dedup, PROFILE_DEDUP_ID);
    assert_false(l.profile->live.by_rule);
    profile_request_init(&request);
    assert_int_equal(
        profile_render_connect(l.profile, lookup_pairs, (void *)no_keys, &request, &err), 0);
    assert_slice(buf_slice(&request.url), "wss://push.example.com/sub/builds");
    assert_slice(buf_slice(&request.subprotocol), "ws+meta.nchan");
    assert_int_equal(
        profile_render_connect(l.profile, lookup_pairs, (void *)variables, &request, &err), 0);
    assert_slice(buf_slice(&request.url),
                 "wss://push.example.com/sub/builds?last_event_id=1795216417%3A0");
    profile_request_fini(&request);
    unload(&l);
}

static void test_generic(void **state)
{
    static const char *const keys[] = {"url=wss://h.example:9/x?y=1", "token=env:T", NULL};
    static const char *const local[] = {"url=ws://127.0.0.1:9/", NULL};
    static const char *const plain[] = {"url=ws://h.example/", NULL};
    static const char *const variables[] = {"secret.token", "s3", NULL};
    struct loaded l = load_shipped("generic", keys);
    struct profile_request request;
    struct error err;

    assert_int_equal(l.rc, 0);
    assert_int_equal(l.profile->catchup.via, PROFILE_CATCHUP_NONE);
    assert_int_equal(l.profile->dedup, PROFILE_DEDUP_OFF);
    profile_request_init(&request);
    assert_int_equal(
        profile_render_connect(l.profile, lookup_pairs, (void *)variables, &request, &err), 0);
    assert_slice(buf_slice(&request.url), "wss://h.example:9/x?y=1");
    assert_slice(buf_slice(&request.headers), "Authorization: Bearer s3\r\n");
    unload(&l);
    l = load_shipped("generic", local);
    assert_int_equal(l.rc, 0);
    assert_int_equal(
        profile_render_connect(l.profile, lookup_pairs, (void *)no_keys, &request, &err), 0);
    assert_int_equal(request.headers.len, 0);
    profile_request_fini(&request);
    unload(&l);
    l = load_shipped("generic", plain);
    assert_fault(&l, "url: ws:// to `h.example` would send everything, secrets too, unencrypted; "
                     "use wss://, or set plaintext = yes for the stream");
    unload(&l);
}

/* For a look at a profile without a stream, what it needs is taken as given. */
static void test_shipped_without_a_stream(void **state)
{
    static const char *const names[] = {"generic", "nchan", "scaiwave"};

    for (size_t i = 0; i < COUNT(names); i++) {
        struct loaded l = load_shipped(names[i], NULL);

        assert_int_equal(l.rc, 0);
        assert_string_not_equal(l.profile->title, names[i]);
        assert_int_equal(l.profile->park_probe_ms, 3600000);
        unload(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url_encoding),
        cmocka_unit_test(test_query_lines),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_control_bytes_in_headers),
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_unset_in_url),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_ok),
        cmocka_unit_test(test_bad_templates),
        cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_plaintext),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_number_of_lines_and_pieces),
        cmocka_unit_test(test_scaiwave),
        cmocka_unit_test(test_scaiwave_needs),
        cmocka_unit_test(test_nchan),
        cmocka_unit_test(test_generic),
        cmocka_unit_test(test_shipped_without_a_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
