/* Catch-up, tip, audit and calls: pages pause, descending ones come out in order, calls are few. */
#include "rig.h"

#include <string.h>

#define CATCHUP "[catchup]\nvia = http\nhttp = sync\nitems = /items\nnext = /next\nmore = /more\n"
static const char ascending[] =
    CONNECT "[event]\nid = /id\nposition = /p\nonly = /id exists\n[position]\ncompare = int\n"
            "[http sync]\nurl = https://h.example/sync\nquery.since = ${position}\n" CATCHUP;

static void pages_in_order(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile = ascending, .position = "5"};
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    rig_assert_saw(&rig, "http https://h.example/sync?since=5");
    rig_message(&rig, 1, "{\"id\":\"live\",\"p\":9}");
    rig_answer(&rig, rig.http,
               "{\"items\":[{\"id\":\"a\",\"p\":6},{\"id\":\"b\",\"p\":7}],\"more\":true}");
    rig_assert_saw(&rig, "http https://h.example/sync?since=7");
    rig_answer(&rig, rig.http,
               "{\"items\":[{\"id\":\"c\",\"p\":8},{\"id\":\"live\",\"p\":9}],\"more\":false}");
    rig_assert_saw(&rig, "state live");
    rig_assert_stored(&rig, "a b c live ");
    rig_close(&rig);
}

/* A page that the ring cannot take at once goes on where it stopped, and one that the session
 * gives up in its middle is gone. */
static void page_pauses(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile = ascending, .position = "0", .ring_bytes = 16384};
    static char page[60000], want[2000];
    size_t n = (size_t)snprintf(page, sizeof(page), "{\"items\":[");
    want[0] = '\0';
    for (unsigned i = 1; i <= 100; i++) {
        n += (size_t)snprintf(page + n, sizeof(page) - n,
                              "%s{\"id\":\"e%u\",\"p\":%u,\"pad\":\"%0300u\"}", i > 1 ? "," : "", i,
                              i, i);
        snprintf(want + strlen(want), sizeof(want) - strlen(want), "e%u ", i);
    }
    snprintf(page + n, sizeof(page) - n, "],\"more\":false}");
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    rig.frozen = true;
    rig_forget_lines(&rig);
    rig_answer(&rig, rig.http, page);
    rig_assert_silent(&rig, "http");
    rig_assert_silent(&rig, "state");
    rig.frozen = false;
    rig.wanted = true;
    rig_settle(&rig);
    rig_assert_stored(&rig, want);
    rig_assert_saw(&rig, "http https://h.example/sync?since=100");
    rig.frozen = true;
    uint64_t number = rig.http;
    rig_answer(&rig, number, "{\"items\":[{\"id\":\"x\",\"p\":101}],\"more\":false}");
    rig_link_ends(&rig, 1, 1006);
    rig_answer(&rig, number, "{\"items\":[{\"id\":\"y\",\"p\":102}],\"more\":false}");
    rig.frozen = false;
    rig.wanted = true;
    rig_settle(&rig);
    rig_assert_stored(&rig, "x ");
    rig_close(&rig);
}

static void bad_page(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile = ascending, .position = "5"};
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    rig_answer(&rig, rig.http, "<html>");
    rig_assert_saw(&rig, "catch-up answer");
    rig_pass(&rig, 5000);
    rig_assert_saw(&rig, "http https://h.example/sync?since=5");
    rig_close(&rig);
}

static const char descending[] =
    CONNECT "[event]\nid = /id\nposition = /p\nonly = /id exists\n[position]\ncompare = int\n"
            "[http sync]\nurl = https://h.example/sync\nquery.before = ${next}\n"
            "query.newer_than = ${position}\n" CATCHUP "order = desc\n";

static void newest_first(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile = descending, .position = "5"};
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    rig_assert_saw(&rig, "http https://h.example/sync?newer_than=5");
    rig_answer(&rig, rig.http,
               "{\"items\":[{\"id\":\"i\",\"p\":9},{\"id\":\"h\",\"p\":8}],\"next\":\"8\"}");
    rig_assert_stored(&rig, ""); /* not before what is older */
    rig_assert_saw(&rig, "http https://h.example/sync?before=8&newer_than=5");
    rig_answer(&rig, rig.http,
               "{\"items\":[{\"id\":\"g\",\"p\":7},{\"id\":\"f\",\"p\":6}],\"next\":\"6\"}");
    rig_assert_saw(&rig, "http https://h.example/sync?before=6&newer_than=5");
    rig_answer(&rig, rig.http,
               "{\"items\":[{\"id\":\"e\",\"p\":5},{\"id\":\"d\",\"p\":4}],\"next\":\"4\"}");
    rig_assert_silent(&rig, "before=4");
    rig_settle(&rig);
    assert_non_null(strstr(buf_cstr(&rig.stored), "f g h i "));
    rig_close(&rig);
}

/* The bound of what is collected: what lies behind it is said to be missing. */
static void too_far_back(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile = descending, .position = "5", .dedup_window = 128};
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    unsigned pages = 0;
    for (uint64_t before = 0; rig.http != before && pages < 100; pages++) {
        char page[200];
        before = rig.http;
        snprintf(page, sizeof(page), "{\"items\":[{\"id\":\"e%u\",\"p\":%u}],\"next\":\"%u\"}",
                 1000 - pages, 1000 - pages, 1000 - pages);
        rig_answer(&rig, rig.http, page);
        if (rig_saw(&rig, "gap upstream"))
            break;
    }
    assert_int_equal(pages, 64);
    assert_ptr_equal(strstr(buf_cstr(&rig.stored), "gap upstream e936 e937 "),
                     buf_cstr(&rig.stored));
    rig_close(&rig);
}

static void older_page_fails(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile = descending, .position = "5"};
    struct profile_end end = {.kind = PROFILE_END_STATUS, .code = 503, .retry_after_ms = -1};
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    rig_answer(&rig, rig.http, "{\"items\":[{\"id\":\"i\",\"p\":9}],\"next\":\"9\"}");
    rig_forget_lines(&rig);
    stream_http_failed(rig.stream, rig.http, &end);
    rig_pass(&rig, 5000);
    rig_assert_saw(&rig, "http https://h.example/sync?newer_than=5"); /* the newest */
    rig_answer(&rig, rig.http, "{\"items\":[{\"id\":\"i\",\"p\":9},{\"id\":\"h\",\"p\":5}]}");
    assert_non_null(strstr(buf_cstr(&rig.stored), "i "));
    rig_close(&rig);
}

static void tip_is_learnt(void **arg)
{
    (void)arg;
    struct rig rig;
    char text[1000];
    snprintf(text, sizeof(text), "%s%s", ascending, "tip = sync\n");
    struct rig_options options = {.profile = text, .start = SETTINGS_START_NOW};
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    rig_assert_saw(&rig, "http https://h.example/sync");
    rig_answer(&rig, rig.http, "{\"items\":[{\"id\":\"old\",\"p\":40}],\"more\":false}");
    rig_assert_saw(&rig, "state live");
    assert_slice(stream_position(rig.stream), "40");
    rig_message(&rig, 1, "{\"id\":\"new\",\"p\":41}");
    rig_assert_stored(&rig, "new ");
    rig_close(&rig);
}

static const char calling[] = CONNECT
    "[event]\nid = /id\nonly = /id exists\n"
    "[http ticket]\nmethod = POST\nurl = https://h.example/open\nbody = {\"s\":\"${sess}\"}\n"
    "capture.sess = /sess\npersist = yes\n"
    "[http subscribe]\nurl = https://h.example/sub\nquery.topic = ${each}\n"
    "foreach = a b c\n"
    "[on c]\nmatch = /t == \"c\"\ndo = call ticket\n"
    "[on s]\nmatch = /t == \"s\"\ndo = call subscribe\n"
    "[send x]\ntext = sess ${sess}\n[on x]\nmatch = /t == \"x\"\ndo = send x\n";

static void calls_capture(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile = calling};
    struct profile_end end = {.kind = PROFILE_END_STATUS, .code = 403, .retry_after_ms = -1};
    struct buf kept;
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    rig_message(&rig, 1, "{\"t\":\"c\"}");
    rig_assert_saw(&rig, "http https://h.example/open");
    rig_answer(&rig, rig.http, "{\"sess\":\"one\"}");
    rig_message(&rig, 1, "{\"t\":\"x\"}");
    rig_assert_saw(&rig, "send 1 sess one");
    rig_message(&rig, 1, "{\"t\":\"c\"}");
    rig_answer(&rig, rig.http, "no json");
    rig_assert_saw(&rig, "say the answer to a call is not as the profile says");
    rig_message(&rig, 1, "{\"t\":\"c\"}");
    stream_http_failed(rig.stream, rig.http, &end);
    rig_assert_saw(&rig, "say rule c: its call has failed: status 403");
    rig_assert_silent(&rig, "state");
    buf_init(&kept, STORE_STATE_VALUE);
    assert_int_equal(buf_append_slice(&kept, buf_slice(&rig.kept)), 0);
    rig_close(&rig);
    options.state = buf_slice(&kept); /* it persists */
    rig_open(&rig, &options);
    rig_pass(&rig, 60000);
    rig_link_up(&rig, 1);
    rig_message(&rig, 1, "{\"t\":\"x\"}");
    rig_assert_saw(&rig, "send 1 sess one");
    rig_close(&rig);
    buf_fini(&kept);
}

static void call_for_each(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile = calling};
    struct profile_end end = {.kind = PROFILE_END_STATUS, .code = 409, .retry_after_ms = -1};
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    rig_message(&rig, 1, "{\"t\":\"s\"}");
    rig_assert_saw(&rig, "sub?topic=a");
    rig_assert_silent(&rig, "topic=b");
    rig_answer(&rig, rig.http, "{}");
    rig_assert_saw(&rig, "sub?topic=b");
    stream_http_failed(rig.stream, rig.http, &end);
    rig_assert_saw(&rig, "say rule s");
    rig_assert_saw(&rig, "sub?topic=c");
    rig_answer(&rig, rig.http, "{}");
    rig_assert_silent(&rig, "http");
    rig_close(&rig);
}

static void calls_are_few(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile = calling};
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    for (unsigned i = 0; i < 8; i++) {
        rig_message(&rig, 1, "{\"t\":\"c\"}");
        rig_assert_saw(&rig, "http");
    }
    rig_message(&rig, 1, "{\"t\":\"c\"}");
    rig_assert_saw(&rig, "say rule c: its call is left out");
    rig_assert_silent(&rig, "http");
    rig_answer(&rig, rig.http, "{}");
    rig_message(&rig, 1, "{\"t\":\"c\"}");
    rig_assert_saw(&rig, "http");
    stream_stop(rig.stream);
    rig_link_ends(&rig, 1, 1001);
    for (unsigned i = 0; i < 8; i++)
        rig_assert_saw(&rig, "cancel");
    rig_close(&rig);
}

/* Sync lags: its answer to the new link is empty, and what came before the link's first event is
 * stored before it all the same. */
static void unproven(void **arg)
{
    (void)arg;
    struct rig rig;
    struct rig_options options = {.profile = ascending, .position = "5"};
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    rig_answer(&rig, rig.http, "{\"items\":[],\"more\":false}");
    rig_assert_saw(&rig, "state live");
    rig_forget_lines(&rig);
    rig_message(&rig, 1, "{\"id\":\"c\",\"p\":8}");
    rig_message(&rig, 1, "{\"id\":\"d\",\"p\":9}");
    rig_assert_saw(&rig, "http https://h.example/sync?since=5");
    rig_answer(&rig, rig.http, "{\"items\":[{\"id\":\"a\",\"p\":6}],\"more\":false}");
    rig_assert_stored(&rig, "a ");
    rig_pass(&rig, 500);
    rig_answer(&rig, rig.http,
               "{\"items\":[{\"id\":\"b\",\"p\":7},{\"id\":\"c\",\"p\":8}],\"more\":false}");
    rig_assert_stored(&rig, "b c d ");
    rig_forget_lines(&rig);
    rig_message(&rig, 1, "{\"id\":\"e\",\"p\":10}");
    rig_assert_stored(&rig, "e ");
    rig_pass(&rig, 20000);
    rig_assert_silent(&rig, "http");
    rig_close(&rig);
}

static void audit_finds(void **arg)
{
    (void)arg;
    struct rig rig;
    char text[1000];
    snprintf(text, sizeof(text), "%s%s", ascending, "settle = 0\naudit = 60s\n");
    struct rig_options options = {.profile = text, .position = "5"};
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    rig_answer(&rig, rig.http, "{\"items\":[],\"more\":false}");
    rig_assert_saw(&rig, "state live");
    rig_message(&rig, 1, "{\"id\":\"a\",\"p\":6}");
    rig_message(&rig, 1, "{\"id\":\"c\",\"p\":8}");
    rig_pass(&rig, 66000); /* it is spread by up to a tenth */
    rig_assert_saw(&rig, "http https://h.example/sync?since=5");
    const char *page =
        "{\"items\":[{\"id\":\"a\",\"p\":6},{\"id\":\"b\",\"p\":7},{\"id\":\"c\",\"p\":8}],"
        "\"more\":false}";
    rig_answer(&rig, rig.http, page); /* too young to be called missing */
    rig_assert_stored(&rig, "a c ");
    rig_pass(&rig, 66000);
    rig_assert_saw(&rig, "http");
    rig_answer(&rig, rig.http, page);
    rig_assert_stored(&rig, "b ");
    rig_close(&rig);
}

/* Half a dedup window of events asks for an audit before its time. */
static void window_half(void **arg)
{
    (void)arg;
    struct rig rig;
    char text[1000];
    snprintf(text, sizeof(text), "%s%s", ascending, "settle = 0\naudit = 1h\n");
    struct rig_options options = {.profile = text, .position = "5", .dedup_window = 32};
    rig_open(&rig, &options);
    rig_link_up(&rig, 1);
    rig_answer(&rig, rig.http, "{\"items\":[],\"more\":false}");
    rig_forget_lines(&rig);
    for (unsigned i = 0; i < 16; i++) {
        rig_assert_silent(&rig, "http");
        snprintf(text, sizeof(text), "{\"id\":\"e%u\",\"p\":%u}", i, 6 + i);
        rig_message(&rig, 1, text);
    }
    rig_pass(&rig, 0);
    rig_assert_saw(&rig, "http https://h.example/sync?since=5");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_in_order), cmocka_unit_test(page_pauses),
        cmocka_unit_test(bad_page),       cmocka_unit_test(newest_first),
        cmocka_unit_test(too_far_back),   cmocka_unit_test(older_page_fails),
        cmocka_unit_test(tip_is_learnt),  cmocka_unit_test(calls_capture),
        cmocka_unit_test(call_for_each),  cmocka_unit_test(calls_are_few),
        cmocka_unit_test(audit_finds),    cmocka_unit_test(window_half),
        cmocka_unit_test(unproven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
