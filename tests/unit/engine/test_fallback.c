/* The fallback: long-poll pages, SSE and NDJSON bodies, back-pressure in the middle of each. */
#include "rig.h"

#include <string.h>

#define BASE                                                                                       \
    "[connect]\nurl = wss://h.example/\n"                                                          \
    "[event]\nid = /id\nposition = /p\nonly = /id exists\n[position]\ncompare = int\n"             \
    "[failure]\ntcp = fallback\n"
static const char sse[] = BASE "[fallback sse]\ntransport = sse\nurl = https://h.example/sse\n"
                               "query.since = ${position}\nafter = 3\nretry_primary = 5m\n";
static const char ndjson[] = BASE "[fallback json]\ntransport = ndjson\n"
                                  "url = https://h.example/json\nafter = 3\nretry_primary = 5m\n";
static const char longpoll[] =
    BASE "[http poll]\nurl = https://h.example/poll\nquery.since = ${position}\n"
         "[catchup]\nvia = http\nhttp = poll\nitems = /items\nmore = /more\n"
         "[fallback poll]\ntransport = longpoll\nhttp = poll\nafter = 3\nretry_primary = 5m\n";

static void open_fallen_back(struct rig *rig, const char *profile, size_t ring_bytes)
{
    /* Without a catch-up a position would be nothing to resume the link from. */
    struct rig_options options = {
        .profile = profile, .position = profile == longpoll ? "1" : NULL, .ring_bytes = ring_bytes};
    struct profile_end end = {
        .kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_TCP, .retry_after_ms = -1};
    rig_open(rig, &options);
    rig_assert_saw(rig, "dial 1");
    stream_link_failed(rig->stream, 1, &end);
    rig_settle(rig);
}

static int feed(struct rig *rig, const char *bytes)
{
    int status = stream_body(rig->stream, rig->streams, slice_str(bytes));
    rig_settle(rig);
    return status;
}

static void sse_delivers(void **arg)
{
    (void)arg;
    struct rig rig;
    open_fallen_back(&rig, sse, 0);
    rig_assert_saw(&rig, "stream https://h.example/sse");
    stream_body_open(rig.stream, rig.streams);
    assert_int_equal(feed(&rig, ": hello\n\ndata: {\"id\":\"a\","), 0);
    rig_assert_stored(&rig, "");
    assert_int_equal(
        feed(&rig, "\"p\":2}\n\ndata: {\"id\":\"b\",\ndata: \"p\":3}\n\ndata: {\"t\":1}\n\n"), 0);
    assert_int_equal(feed(&rig, "data: {\"id\":\"a\",\"p\":2}\n\ndata: {\"id\":\"cut\"}\n"), 0);
    rig_assert_stored(&rig, "a b ");
    struct profile_end end = {.kind = PROFILE_END_CLOSE, .code = 1000, .retry_after_ms = -1};
    stream_http_failed(rig.stream, rig.streams, &end);
    rig_pass(&rig, 60000);
    rig_assert_saw(&rig, "stream https://h.example/sse?since=3");
    rig_close(&rig);
}

static void ndjson_delivers(void **arg)
{
    (void)arg;
    struct rig rig;
    open_fallen_back(&rig, ndjson, 0);
    rig_assert_saw(&rig, "stream https://h.example/json");
    stream_body_open(rig.stream, rig.streams);
    assert_int_equal(feed(&rig, "{\"id\":\"a\",\"p\":2}\r\n\n{\"id\":\"b\",\"p\":3}\n{\"id\""), 0);
    assert_int_equal(feed(&rig, ":\"c\",\"p\":4}\n"), 0);
    rig_assert_stored(&rig, "a b c ");
    rig_close(&rig);
}

/* Of a body in pieces of any size that the ring cannot take at once nothing is lost or repeated. */
static void body_pauses(const char *profile, const char *before, const char *behind, size_t piece)
{
    struct rig rig;
    static char body[80000], want[2000];
    size_t n = 0;
    want[0] = '\0';
    for (unsigned i = 0; i < 100; i++) {
        n += (size_t)snprintf(body + n, sizeof(body) - n,
                              "%s{\"id\":\"e%u\",\"p\":%u,\"pad\":\"%0300u\"}%s", before, i, i + 2,
                              i, behind);
        snprintf(want + strlen(want), sizeof(want) - strlen(want), "e%u ", i);
    }
    open_fallen_back(&rig, profile, 16384);
    stream_body_open(rig.stream, rig.streams);
    unsigned paused = 0;
    for (size_t at = 0; at < n; at += piece) {
        size_t len = n - at < piece ? n - at : piece;
        int status = stream_body(rig.stream, rig.streams, slice_make(body + at, len));
        if (status == 0)
            continue;
        assert_int_equal(status, ERR_AGAIN);
        paused++;
        rig_settle(&rig);
        rig_assert_saw(&rig, "resume-body 1");
    }
    rig_settle(&rig);
    assert_true(paused > 0);
    rig_assert_stored(&rig, want);
    rig_close(&rig);
}

static void bodies_pause(void **arg)
{
    (void)arg;
    static const size_t pieces[] = {1, 7, 1000, 80000};
    for (unsigned i = 0; i < COUNT(pieces); i++) {
        body_pauses(sse, "data: ", "\n\n", pieces[i]);
        body_pauses(ndjson, "", "\n", pieces[i]);
    }
}

/* The answer ends while some of it still waits: first that, then the end. */
static void ends_while_paused(void **arg)
{
    (void)arg;
    struct rig rig;
    static char body[40000];
    size_t n = 0;
    for (unsigned i = 0; i < 100; i++)
        n += (size_t)snprintf(body + n, sizeof(body) - n,
                              "{\"id\":\"e%u\",\"p\":%u,\"pad\":\"%0300u\"}\n", i, i + 2, i);
    struct profile_end end = {.kind = PROFILE_END_CLOSE, .code = 1000, .retry_after_ms = -1};
    open_fallen_back(&rig, ndjson, 16384);
    stream_body_open(rig.stream, rig.streams);
    assert_int_equal(stream_body(rig.stream, rig.streams, slice_make(body, n)), ERR_AGAIN);
    rig_forget_lines(&rig);
    stream_http_failed(rig.stream, rig.streams, &end);
    rig_assert_silent(&rig, "state");
    rig_settle(&rig);
    assert_non_null(strstr(buf_cstr(&rig.stored), "e98 e99 "));
    rig_assert_silent(&rig, "resume-body");
    rig_pass(&rig, 60000);
    rig_assert_saw(&rig, "stream https://h.example/json");
    rig_close(&rig);
}

static void too_large(void **arg)
{
    (void)arg;
    struct rig rig;
    char text[1200];
    snprintf(text, sizeof(text), "%s[connect]\nmax_message = 100\n", ndjson);
    open_fallen_back(&rig, text, 0);
    stream_body_open(rig.stream, rig.streams);
    memset(text, ' ', 200);
    snprintf(text + 200, sizeof(text) - 200, "{}\n{\"id\":\"b\",\"p\":3}\n");
    feed(&rig, "{\"id\":\"a\",\"p\":2}\n");
    feed(&rig, text);
    rig_assert_stored(&rig, "a gap oversize b ");
    rig_close(&rig);
}

static void longpoll_pages(void **arg)
{
    (void)arg;
    struct rig rig;
    open_fallen_back(&rig, longpoll, 0);
    rig_assert_saw(&rig, "http https://h.example/poll?since=1");
    rig_answer(&rig, rig.http,
               "{\"items\":[{\"id\":\"a\",\"p\":2},{\"id\":\"b\",\"p\":3}],\"more\":false}");
    rig_assert_stored(&rig, "a b ");
    rig_assert_saw(&rig, "http https://h.example/poll?since=3"); /* at once */
    rig_forget_lines(&rig);
    rig_answer(&rig, rig.http, "{\"items\":[],\"more\":false}");
    rig_assert_silent(&rig, "http");
    rig_pass(&rig, 2000);
    rig_assert_saw(&rig, "http https://h.example/poll?since=3");
    rig_answer(&rig, rig.http, "not json");
    rig_assert_saw(&rig, "fallback answer");
    rig_close(&rig);
}

/* The primary is tried again, and takes over. */
static void cut_over(void **arg)
{
    (void)arg;
    struct rig rig;
    open_fallen_back(&rig, longpoll, 0);
    rig_answer(&rig, rig.http, "{\"items\":[{\"id\":\"a\",\"p\":2}],\"more\":false}");
    rig_forget_lines(&rig);
    for (unsigned i = 0; i < 400 && rig_number(&rig, "dial ") == 0; i++) {
        uint64_t number = rig.http;
        rig_pass(&rig, 1000);
        if (rig.http != number && rig_number(&rig, "dial ") == 0)
            rig_answer(&rig, rig.http, "{\"items\":[],\"more\":false}");
    }
    rig_assert_saw(&rig, "dial 2");
    rig_link_up(&rig, 2);
    rig_message(&rig, 2, "{\"id\":\"c\",\"p\":4}");
    rig_assert_saw(&rig, "http https://h.example/poll?since=2");
    rig_answer(&rig, rig.http,
               "{\"items\":[{\"id\":\"b\",\"p\":3},{\"id\":\"c\",\"p\":4}],\"more\":false}");
    rig_assert_saw(&rig, "state live");
    rig_assert_stored(&rig, "a b c ");
    rig_close(&rig);
}

static void nothing_from_strangers(void **arg)
{
    (void)arg;
    struct rig rig;
    open_fallen_back(&rig, sse, 0);
    stream_body_open(rig.stream, 4711);
    assert_int_equal(stream_body(rig.stream, 4711, SLICE("data: {\"id\":\"x\"}\n\n")), 0);
    assert_int_equal(stream_body(rig.stream, 0, SLICE("data: {\"id\":\"x\"}\n\n")), 0);
    rig_settle(&rig);
    rig_assert_stored(&rig, "");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sse_delivers), cmocka_unit_test(ndjson_delivers),
        cmocka_unit_test(bodies_pause), cmocka_unit_test(ends_while_paused),
        cmocka_unit_test(too_large),    cmocka_unit_test(longpoll_pages),
        cmocka_unit_test(cut_over),     cmocka_unit_test(nothing_from_strangers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
