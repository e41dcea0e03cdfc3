/* The profiles of conf/profiles: they load, and say of each service's documented frames and codes
 * what its documentation says. */
#include "unit/profile/support.h"

#define KEYS_MAX 10

static const struct shipped {
    const char *name;
    const char *least[KEYS_MAX]; /* what a stream must say */
    const char *more[KEYS_MAX];  /* what it may say besides */
} shipped[] = {
    {"generic", {"url=wss://h.example/x"}, {"url=wss://h.example/x", "token=env:T"}},
    {"home-assistant",
     {"host=h.example", "token=env:T"},
     {"host=h.example:8123", "token=file:/t", "event_type=state_changed"}},
    {"jetstream",
     {"filter=wantedCollections=app.bsky.feed.post"},
     {"filter=wantedDids=did:plc:a&wantedDids=did:plc:b", "host=jetstream1.us-west.bsky.network"}},
    {"kraken",
     {"symbols=\"BTC/USD\""},
     {"symbols=\"BTC/USD\",\"ETH/USD\"", "host=beta-ws.kraken.com"}},
    {"nchan", {"host=h.example", "path=sub/a"}, {"host=h.example:444", "path=sub/a?b=c"}},
    {"ntfy", {"topic=a"}, {"topic=a,b", "host=ntfy.example", "token=credential:t"}},
    {"parlay",
     {"sport=basketball_nba", "api_key=env:K"},
     {"sport=nhl", "api_key=env:K", "host=h.example", "feed=live", "auth=subprotocol", "event=e1"}},
    {"scaiwave",
     {"host=h.example", "token=env:T"},
     {"host=h.example", "token=exec:/usr/bin/token --for chat", "refresh_token=env:R",
      "tenant=t1"}},
};

static const char *const *least(const char *name)
{
    for (size_t i = 0; i < COUNT(shipped); i++)
        if (strcmp(shipped[i].name, name) == 0)
            return shipped[i].least;
    fail_msg("%s is not in the table", name);
    return NULL;
}

static const char *const *more(const char *name)
{
    for (size_t i = 0; i < COUNT(shipped); i++)
        if (strcmp(shipped[i].name, name) == 0)
            return shipped[i].more;
    fail_msg("%s is not in the table", name);
    return NULL;
}

/* ---- all of them ---- */

static void assert_loads(const char *name, const char *const *keys)
{
    struct loaded l = load_shipped(name, keys);

    for (size_t i = 0; diag_get(l.diag, i) != NULL; i++)
        print_message("  %s\n", diag_get(l.diag, i));
    assert_int_equal(l.rc, 0);
    assert_string_not_equal(l.profile->title, l.profile->name);
    unload(&l);
}

static void test_each_loads(void **state)
{
    for (size_t i = 0; i < COUNT(shipped); i++) {
        assert_loads(shipped[i].name, NULL);
        assert_loads(shipped[i].name, shipped[i].least);
        assert_loads(shipped[i].name, shipped[i].more);
    }
}

static void count_listed(void *arg, const char *name, const char *path)
{
    size_t *n = arg;

    least(name);
    ++*n;
}

static void test_each_is_tested(void **state)
{
    static const char *const dirs[] = {"conf/profiles", NULL};
    size_t n = 0;

    assert_int_equal(profile_list(dirs, count_listed, &n, NULL), 0);
    assert_int_equal(n, COUNT(shipped));
}

/* What a stream must say is missed, and nothing else is said. */
static void test_each_misses_what_it_needs(void **state)
{
    static const char *const none[] = {NULL};

    for (size_t i = 0; i < COUNT(shipped); i++) {
        struct loaded l = load_shipped(shipped[i].name, none);

        assert_int_equal(l.rc, ERR_PARSE);
        for (size_t j = 0; diag_get(l.diag, j) != NULL; j++)
            assert_non_null(strstr(diag_get(l.diag, j), "hawser.ini:11: profile "));
        unload(&l);
    }
}

/* ---- the language is documented ---- */

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 65536);

    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

/* Takes "..." from the text; false if there is no more. */
static bool take_quoted(const char **at, char *out, size_t size)
{
    const char *open = strchr(*at, '"'), *close = open != NULL ? strchr(open + 1, '"') : NULL;

    if (close == NULL)
        return false;
    snprintf(out, size, "%.*s", (int)(close - open - 1), open + 1);
    *at = close + 1;
    return true;
}

/* True if the text holds the word, and not as a part of another one. */
static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        if (strchr(" \n,(#", at[-1]) != NULL && strchr(" \n,.:=)", at[n]) != NULL)
            return true;
    return false;
}

/* Each row of the key table stands in the comments of generic.ini. */
static void test_every_key_is_documented(void **state)
{
    char *keys = read_file("src/profile/keys.c"), *text = read_file("conf/profiles/generic.ini");
    const char *at = strstr(keys, "static const struct key keys[]"), *row;
    size_t n = 0;

    assert_non_null(at);
    for (row = strchr(at, '\n'); strncmp(row, "\n};", 3) != 0; row = strchr(row + 1, '\n')) {
        char section[32], name[32], header[40];
        const char *rest = row + 1 + strspn(row + 1, " ");

        if (strncmp(rest, "{\"", 2) != 0 && strncmp(rest, "DURATION(", 9) != 0 &&
            strncmp(rest, "KEPT(", 5) != 0)
            continue;
        assert_true(take_quoted(&rest, section, sizeof(section)));
        assert_true(take_quoted(&rest, name, sizeof(name)));
        snprintf(header, sizeof(header), "[%s", section);
        if (strstr(text, header) == NULL)
            fail_msg("generic.ini says nothing of [%s]", section);
        if (strchr(name, '*') != NULL)
            *strchr(name, '*') = '\0';
        if (name[0] != '\0' && name[strlen(name) - 1] == '.'
                ? strstr(text, name) == NULL
                : name[0] != '\0' && !has_word(text, name))
            fail_msg("generic.ini says nothing of `%s` in [%s]", name, section);
        n++;
    }
    assert_true(n > 80);
    free(keys);
    free(text);
}

/* ---- requests ---- */

enum what { CONNECT_REQUEST, FALLBACK_REQUEST, HTTP_REQUEST };

static const char *const pairs[] = {"secret.token",
                                    "T/1",
                                    "secret.refresh_token",
                                    "R\"1",
                                    "secret.api_key",
                                    "K1",
                                    "position",
                                    "42",
                                    "n",
                                    "1",
                                    NULL};

static void assert_request(const char *name, const char *const *keys, enum what what,
                           const char *url, const char *headers, const char *rest)
{
    struct loaded l = load_shipped(name, keys);
    struct profile_request r;
    struct error err = {0};
    int rc = 0;

    assert_int_equal(l.rc, 0);
    profile_request_init(&r);
    switch (what) {
    case CONNECT_REQUEST:
        rc = profile_render_connect(l.profile, lookup_pairs, (void *)pairs, &r, &err);
        break;
    case FALLBACK_REQUEST:
        rc = profile_render_fallback(l.profile, lookup_pairs, (void *)pairs, &r, &err);
        break;
    case HTTP_REQUEST:
        rc = profile_render_http(l.profile, l.profile->auth.refresh, lookup_pairs, (void *)pairs,
                                 &r, &err);
        break;
    }
    if (rc != 0)
        fail_msg("%s: %s", name, err.text);
    assert_string_equal(buf_cstr(&r.url), url);
    assert_string_equal(buf_cstr(&r.headers), headers);
    assert_string_equal(buf_cstr(what == CONNECT_REQUEST ? &r.subprotocol : &r.body), rest);
    profile_request_fini(&r);
    unload(&l);
}

static void test_connect_requests(void **state)
{
    static const char *const parlay_query[] = {"sport=nhl", "api_key=env:K", "auth=query", NULL};

    assert_request("scaiwave", least("scaiwave"), CONNECT_REQUEST,
                   "wss://h.example/v1/stream?token=T%2F1", "", "");
    assert_request("parlay", least("parlay"), CONNECT_REQUEST,
                   "wss://parlay-api.com/v1/ws/odds/basketball_nba?since=42", "X-API-Key: K1\r\n",
                   "");
    assert_request("parlay", more("parlay"), CONNECT_REQUEST,
                   "wss://h.example/v1/ws/live/nhl?since=42", "", "apikey.K1");
    assert_request("parlay", parlay_query, CONNECT_REQUEST,
                   "wss://parlay-api.com/v1/ws/odds/nhl?apiKey=K1&since=42", "", "");
    assert_request("ntfy", least("ntfy"), CONNECT_REQUEST, "wss://ntfy.sh/a/ws?since=42", "", "");
    assert_request("ntfy", more("ntfy"), CONNECT_REQUEST, "wss://ntfy.example/a%2Cb/ws?since=42",
                   "Authorization: Bearer T/1\r\n", "");
    assert_request("jetstream", more("jetstream"), CONNECT_REQUEST,
                   "wss://jetstream1.us-west.bsky.network/"
                   "subscribe?wantedDids=did:plc:a&wantedDids=did:plc:b&cursor=42",
                   "", "");
    assert_request("home-assistant", least("home-assistant"), CONNECT_REQUEST,
                   "wss://h.example/api/websocket", "", "");
    assert_request("kraken", least("kraken"), CONNECT_REQUEST, "wss://ws.kraken.com/v2", "", "");
}

static void test_fallback_requests(void **state)
{
    assert_request("scaiwave", least("scaiwave"), FALLBACK_REQUEST,
                   "https://h.example/v1/sync?since=42&limit=500&timeout=30000",
                   "Authorization: Bearer T/1\r\nAccept: application/json\r\n", "");
    assert_request("parlay", least("parlay"), FALLBACK_REQUEST,
                   "https://parlay-api.com/v1/sse/odds/"
                   "basketball_nba?since=42&heartbeat_s=15&limit=1000",
                   "Accept: text/event-stream\r\nX-API-Key: K1\r\n", "");
    assert_request("nchan", least("nchan"), FALLBACK_REQUEST, "https://h.example/sub/a",
                   "Accept: text/event-stream\r\nLast-Event-ID: 42\r\n", "");
    assert_request("ntfy", least("ntfy"), FALLBACK_REQUEST, "https://ntfy.sh/a/json?since=42", "",
                   "");
}

static void test_scaiwave_refresh(void **state)
{
    struct loaded l = load_shipped("scaiwave", least("scaiwave"));

    assert_int_equal(l.profile->auth.refresh, PROFILE_NONE);
    unload(&l);
    l = load_shipped("scaiwave", more("scaiwave"));
    assert_int_not_equal(l.profile->auth.refresh, PROFILE_NONE);
    assert_string_equal(l.profile->auth.token, "token");
    assert_string_equal(l.profile->auth.ttl, "ttl");
    assert_true(l.profile->auth.persist);
    assert_int_equal(l.profile->connect.parallel, 1);
    assert_true(l.profile->unkeyed_sync);
    assert_int_equal(l.profile->catchup.audit_ms, 60000);
    unload(&l);
    assert_request("scaiwave", more("scaiwave"), HTTP_REQUEST, "https://h.example/v1/auth/refresh",
                   "Content-Type: application/json\r\nAccept: application/json\r\n",
                   "{\"refresh_token\":\"R\\\"1\"}");
}

/* ---- messages ---- */

/* What a frame came to: its events by id and position, and what its rules do. */
static void describe(struct scan *s, const char *text, char *out, size_t size)
{
    struct profile_frame frame;
    struct profile_message m;
    size_t n = 0;

    out[0] = '\0';
    profile_frame_begin(s->scanner, slice_str(text), NULL, &frame);
    while (profile_frame_next(s->scanner, &frame, &m)) {
        if (m.event)
            n += (size_t)snprintf(out + n, size - n,
                                  "%s%s" SLICE_FMT " id=" SLICE_FMT " at=" SLICE_FMT "; ",
                                  m.snapshot ? "row " : "", m.ephemeral ? "ephemeral " : "",
                                  SLICE_ARG(m.type), SLICE_ARG(m.id), SLICE_ARG(m.position));
        for (size_t i = 0; i < m.n_actions; i++)
            n += (size_t)snprintf(out + n, size - n, "%s; ", m.actions[i].action->rule);
        if (m.answers != 0)
            n += (size_t)snprintf(out + n, size - n, "answers; ");
        if (m.acks)
            n += (size_t)snprintf(out + n, size - n, "acks; ");
        if (m.fault != NULL)
            n += (size_t)snprintf(out + n, size - n, "fault %s; ", m.fault);
        assert_true(n < size);
    }
}

struct frame {
    const char *text, *want;
};

static void check_frames(const char *name, const char *const *keys, const struct frame *frames,
                         size_t n)
{
    struct scan s;
    char got[512];

    scan_start_shipped(&s, name, keys);
    for (size_t i = 0; i < n; i++) {
        describe(&s, frames[i].text, got, sizeof(got));
        if (strcmp(got, frames[i].want) != 0)
            fail_msg("%s: %s\n got: %s\nwant: %s", name, frames[i].text, got, frames[i].want);
    }
    scan_stop(&s);
}

static void test_scaiwave_frames(void **state)
{
    static const struct frame frames[] = {
        {"{\"type\":\"hello\",\"session_id\":\"s\",\"tenant_id\":\"t1\"}", "hello; "},
        {"{\"type\":\"hello\",\"session_id\":\"s\",\"tenant_id\":\"t2\"}", "wrong-tenant; hello; "},
        {"{\"type\":\"swp.room.message\",\"id\":\"evt-1\",\"stream_position\":12345}",
         "swp.room.message id=evt-1 at=12345; "},
        {"{\"type\":\"swp.room.typing\",\"room_id\":\"r\"}", "ephemeral swp.room.typing id= at=; "},
        {"{\"type\":\"swp.room.reaction\",\"event_id\":\"evt-1\"}", "swp.room.reaction id= at=; "},
    };

    check_frames("scaiwave", more("scaiwave"), frames, COUNT(frames));
}

static void test_parlay_frames(void **state)
{
    static const struct frame frames[] = {
        {"{\"type\":\"connected\",\"sport_key\":\"nhl\",\"tier\":\"business\"}", "connected; "},
        {"{\"type\":\"initial_state\",\"count\":1,\"truncated\":false,\"data\":[{\"kind\":\"prop\","
         "\"bookmaker\":\"b\",\"event_id\":\"e\",\"market_key\":\"m\",\"player\":\"p\",\"line\":1."
         "5,"
         "\"last_update\":1700000000001,\"action\":\"upsert\"}]}",
         "row prop id=b|e|prop|m|p|1.5|1700000000001|upsert at=1700000000001; "},
        {"{\"type\":\"initial_state\",\"count\":0,\"truncated\":true,\"data\":[]}", "truncated; "},
        {"{\"type\":\"odds_update\",\"count\":2,\"data\":[{\"kind\":\"h2h\",\"bookmaker\":\"b\","
         "\"event_id\":\"e\",\"last_update\":1,\"action\":\"remove\"},{\"bookmaker\":\"c\","
         "\"event_id\":\"e\",\"last_update\":2}]}",
         "h2h id=b|e|h2h||||1|remove at=1; odds_update id=c|e|||||2| at=2; "},
        {"{\"type\":\"heartbeat\",\"timestamp\":1}", ""},
        {"{\"type\":\"subscribed\",\"event_id\":\"e1\"}", "answers; "},
        {"{\"type\":\"stream_status\",\"status\":\"ok\"}", ""},
    };

    check_frames("parlay", more("parlay"), frames, COUNT(frames));
}

static void test_ntfy_frames(void **state)
{
    static const struct frame frames[] = {
        {"{\"id\":\"o\",\"time\":1,\"event\":\"open\",\"topic\":\"a\"}", "open; "},
        {"{\"id\":\"m\",\"time\":1,\"event\":\"message\",\"topic\":\"a\",\"message\":\"x\"}",
         "message id=m at=m; "},
        {"{\"id\":\"k\",\"time\":1,\"event\":\"keepalive\",\"topic\":\"a\"}", ""},
        {"{\"id\":\"p\",\"time\":1,\"event\":\"poll_request\",\"topic\":\"a\"}", ""},
    };

    check_frames("ntfy", least("ntfy"), frames, COUNT(frames));
}

static void test_jetstream_frames(void **state)
{
    static const struct frame frames[] = {
        {"{\"did\":\"did:plc:a\",\"time_us\":7,\"kind\":\"commit\",\"commit\":{\"rev\":\"3k\","
         "\"operation\":\"create\",\"collection\":\"app.bsky.feed.post\",\"rkey\":\"r\"}}",
         "app.bsky.feed.post id=commit:did:plc:a:3k:app.bsky.feed.post:r:: at=7; "},
        {"{\"did\":\"did:plc:a\",\"time_us\":8,\"kind\":\"identity\",\"identity\":{\"seq\":14}}",
         "identity id=identity:did:plc:a::::14: at=8; "},
        {"{\"did\":\"did:plc:a\",\"time_us\":9,\"kind\":\"account\",\"account\":{\"seq\":15}}",
         "account id=account:did:plc:a:::::15 at=9; "},
    };

    check_frames("jetstream", least("jetstream"), frames, COUNT(frames));
}

static void test_home_assistant_frames(void **state)
{
    static const struct frame frames[] = {
        {"{\"type\":\"auth_required\",\"ha_version\":\"2026.1.0\"}", "auth-required; "},
        {"{\"type\":\"auth_invalid\",\"message\":\"no\"}", "auth-invalid; answers; "},
        {"{\"type\":\"auth_ok\",\"ha_version\":\"2026.1.0\"}", "auth-ok; answers; "},
        {"{\"id\":1,\"type\":\"result\",\"success\":true,\"result\":null}", "subscribed; "},
        {"{\"id\":1,\"type\":\"result\",\"success\":false,\"error\":{}}", "refused; "},
        {"{\"id\":2,\"type\":\"pong\"}", "acks; "},
        {"{\"id\":1,\"type\":\"event\",\"event\":{\"event_type\":\"state_changed\",\"data\":{}}}",
         "state_changed id= at=; "},
        {"[{\"id\":1,\"type\":\"event\",\"event\":{\"event_type\":\"a\"}},{\"id\":2,\"type\":"
         "\"pong\"},{\"id\":1,\"type\":\"event\",\"event\":{\"event_type\":\"b\"}}]",
         "a id= at=; acks; b id= at=; "},
    };

    check_frames("home-assistant", more("home-assistant"), frames, COUNT(frames));
}

static void test_kraken_frames(void **state)
{
    static const struct frame frames[] = {
        {"{\"channel\":\"status\",\"type\":\"update\",\"data\":[{\"system\":\"online\"}]}", ""},
        {"{\"channel\":\"status\",\"type\":\"update\",\"data\":[{\"system\":\"maintenance\"}]}",
         "maintenance; "},
        {"{\"method\":\"subscribe\",\"result\":{\"symbol\":\"BTC/USD\"},\"success\":true}",
         "subscribed; answers; "},
        {"{\"method\":\"subscribe\",\"error\":\"no\",\"success\":false}", "refused; answers; "},
        {"{\"channel\":\"heartbeat\"}", ""},
        {"{\"channel\":\"trade\",\"type\":\"snapshot\",\"data\":[{\"symbol\":\"BTC/USD\","
         "\"trade_id\":4}]}",
         "row trade id=BTC/USD:4 at=4; "},
        {"{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{\"symbol\":\"BTC/USD\","
         "\"trade_id\":5},{\"symbol\":\"ETH/USD\",\"trade_id\":1}]}",
         "trade id=BTC/USD:5 at=5; trade id=ETH/USD:1 at=1; "},
    };

    check_frames("kraken", least("kraken"), frames, COUNT(frames));
}

/* ---- sends ---- */

static void assert_send(const char *name, const char *const *keys, const char *send,
                        const char *want)
{
    struct scan s;
    struct buf out;
    struct error err = {0};
    unsigned i = 0;
    int rc;

    scan_start_shipped(&s, name, keys);
    while (i < s.loaded.profile->n_sends && strcmp(s.loaded.profile->sends[i].name, send) != 0)
        i++;
    assert_true(i < s.loaded.profile->n_sends);
    buf_init(&out, 4096);
    rc = profile_render_send(s.loaded.profile, i, s.scanner, lookup_pairs, (void *)pairs, &out,
                             &err);
    if (rc != (want != NULL))
        fail_msg("%s %s: %d %s", name, send, rc, err.text);
    if (want != NULL)
        assert_slice(buf_slice(&out), want);
    buf_fini(&out);
    scan_stop(&s);
}

static void test_sends(void **state)
{
    assert_send("parlay", least("parlay"), "subscribe", NULL);
    assert_send("parlay", more("parlay"), "subscribe",
                "{\"type\":\"subscribe\",\"event_id\":\"e1\"}");
    assert_send("home-assistant", least("home-assistant"), "auth",
                "{\"type\":\"auth\",\"access_token\":\"T/1\"}");
    assert_send("home-assistant", least("home-assistant"), "subscribe-type", NULL);
    assert_send("home-assistant", more("home-assistant"), "subscribe-type",
                "{\"id\":1,\"type\":\"subscribe_events\",\"event_type\":\"state_changed\"}");
    assert_send("home-assistant", least("home-assistant"), "subscribe-all",
                "{\"id\":1,\"type\":\"subscribe_events\"}");
    assert_send("kraken", more("kraken"), "subscribe",
                "{\"method\":\"subscribe\",\"params\":{\"channel\":\"trade\",\"symbol\":[\"BTC/"
                "USD\",\"ETH/USD\"],\"snapshot\":true},\"req_id\":1}");
}

/* ---- policy ---- */

struct judged {
    enum profile_end_kind kind;
    int code;
    const char *text;
    enum profile_policy_kind action;
    int64_t delay_ms;
};

#define MINUTE_MS 60000

static void check_policy(const char *name, const struct judged *table, size_t n)
{
    struct loaded l = load_shipped(name, least(name));

    assert_int_equal(l.rc, 0);
    for (size_t i = 0; i < n; i++) {
        struct profile_end end = {
            .kind = table[i].kind, .code = table[i].code, .retry_after_ms = -1};
        const struct profile_policy_action *action;
        const char *explain = NULL;

        snprintf(end.text, sizeof(end.text), "%s", table[i].text != NULL ? table[i].text : "");
        action = profile_policy(l.profile, &end, &explain);
        if (action->kind != table[i].action || action->delay_ms != table[i].delay_ms)
            fail_msg("%s: %d %s: %s %lld", name, table[i].code, end.text,
                     profile_policy_name(action->kind), (long long)action->delay_ms);
        assert_non_null(explain);
        assert_non_null(strstr(explain, ". Fix: "));
    }
    unload(&l);
}

#define CLOSE_CODE PROFILE_END_CLOSE
#define STATUS PROFILE_END_STATUS

static void test_policies(void **state)
{
    static const struct judged scaiwave[] = {
        {CLOSE_CODE, 4001, NULL, PROFILE_POLICY_REFRESH, 0},
        {CLOSE_CODE, 4003, "duplicate_connection", PROFILE_POLICY_RETRY, 0},
        {STATUS, 401, "SW_AUTH_EXPIRED_TOKEN", PROFILE_POLICY_REFRESH, 0},
        {STATUS, 403, "SW_AUTH_TENANT_MISMATCH", PROFILE_POLICY_PARK, 0},
        {STATUS, 429, "SW_RATE_LIMIT_EXCEEDED", PROFILE_POLICY_RETRY_AFTER, 0},
        {STATUS, 426, NULL, PROFILE_POLICY_FALLBACK, 0},
    };
    static const struct judged parlay[] = {
        {CLOSE_CODE, 1001, NULL, PROFILE_POLICY_RETRY, 5000},
        {CLOSE_CODE, 1006, NULL, PROFILE_POLICY_RETRY, 0},
        {CLOSE_CODE, 1008, NULL, PROFILE_POLICY_PARK, 0},
        {CLOSE_CODE, 1011, NULL, PROFILE_POLICY_RETRY, 0},
        {CLOSE_CODE, 4001, NULL, PROFILE_POLICY_PARK, 0},
        {CLOSE_CODE, 4002, NULL, PROFILE_POLICY_HOLD, 5 * MINUTE_MS},
        {CLOSE_CODE, 4003, NULL, PROFILE_POLICY_PARK, 0},
        {STATUS, 402, NULL, PROFILE_POLICY_PARK, 0},
        {STATUS, 403, "{\"error\":\"credit_limit_exceeded\"}", PROFILE_POLICY_HOLD, 60 * MINUTE_MS},
        {STATUS, 403, NULL, PROFILE_POLICY_HOLD, 5 * MINUTE_MS},
        {STATUS, 404, NULL, PROFILE_POLICY_HOLD, 5 * MINUTE_MS},
        {STATUS, 426, NULL, PROFILE_POLICY_FALLBACK, 0},
        {STATUS, 429, NULL, PROFILE_POLICY_RETRY_AFTER, 0},
    };
    static const struct judged ntfy[] = {
        {STATUS, 400, "{\"code\":40016,\"http\":400}", PROFILE_POLICY_FALLBACK, 0},
        {STATUS, 400, NULL, PROFILE_POLICY_HOLD, 5 * MINUTE_MS},
        {STATUS, 401, NULL, PROFILE_POLICY_REFRESH, 0},
    };
    static const struct judged nchan[] = {
        {CLOSE_CODE, 1001, "410 Gone", PROFILE_POLICY_RETRY, 2000},
        {STATUS, 403, NULL, PROFILE_POLICY_HOLD, 5 * MINUTE_MS},
    };
    static const struct judged kraken[] = {
        {STATUS, 429, NULL, PROFILE_POLICY_HOLD, 10 * MINUTE_MS},
        {STATUS, 403, NULL, PROFILE_POLICY_HOLD, 10 * MINUTE_MS},
    };

    check_policy("scaiwave", scaiwave, COUNT(scaiwave));
    check_policy("parlay", parlay, COUNT(parlay));
    check_policy("ntfy", ntfy, COUNT(ntfy));
    check_policy("nchan", nchan, COUNT(nchan));
    check_policy("kraken", kraken, COUNT(kraken));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_loads),
        cmocka_unit_test(test_each_is_tested),
        cmocka_unit_test(test_each_misses_what_it_needs),
        cmocka_unit_test(test_every_key_is_documented),
        cmocka_unit_test(test_connect_requests),
        cmocka_unit_test(test_fallback_requests),
        cmocka_unit_test(test_scaiwave_refresh),
        cmocka_unit_test(test_scaiwave_frames),
        cmocka_unit_test(test_parlay_frames),
        cmocka_unit_test(test_ntfy_frames),
        cmocka_unit_test(test_jetstream_frames),
        cmocka_unit_test(test_home_assistant_frames),
        cmocka_unit_test(test_kraken_frames),
        cmocka_unit_test(test_sends),
        cmocka_unit_test(test_policies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
