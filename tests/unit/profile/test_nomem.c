/*
 * Memory that ends: loading, scanning and rendering with the first, second, third, ... allocation
 * failing, until all succeed. Each time it is ERR_NOMEM, and nothing is kept.
 */
#include "unit/nomem.h"
#include "unit/profile/support.h"

static const char *const variables[] = {
    "secret.token", "t", "position", "1", "secret.api_key", "k", "secret.refresh_token", "r", NULL};

static void ignore(void *arg, const struct profile_capture *capture)
{
}

/* The requests beside the link: the fallback's, and a refresh with its answer. */
static int ask(const struct profile *profile, struct profile_scanner *scanner,
               struct profile_request *request)
{
    static const char answer[] = "{\"data\":{\"access_token\":\"a\\u0062\",\"expires_in\":60}}";
    struct error err;
    int rc = 0;

    if (profile->fallback.exists)
        rc = profile_render_fallback(profile, lookup_pairs, (void *)variables, request, &err);
    if (rc != 0 || profile->auth.refresh == PROFILE_NONE)
        return rc;
    rc = profile_render_http(profile, profile->auth.refresh, lookup_pairs, (void *)variables,
                             request, &err);
    return rc != 0 ? rc
                   : profile_http_capture(profile, profile->auth.refresh, scanner,
                                          slice_str(answer), ignore, NULL, &err);
}

/* The life of a profile; 0 or the first error. */
static int live(const char *name, const struct settings_stream *stream, struct diag *diag)
{
    const char *const dirs[] = {"conf/profiles", NULL};
    struct profile_scanner *scanner = NULL;
    struct profile_request request;
    struct profile *profile;
    struct error err;
    int rc = profile_load(dirs, name, stream, diag, &profile);

    if (rc != 0)
        return rc;
    profile_request_init(&request);
    rc = profile_scanner_new(profile, &scanner);
    if (rc == 0)
        rc = profile_render_connect(profile, lookup_pairs, (void *)variables, &request, &err);
    if (rc == 0 && profile->catchup.via == PROFILE_CATCHUP_HTTP)
        rc = profile_render_http(profile, profile->catchup.http, lookup_pairs, (void *)variables,
                                 &request, &err);
    if (rc == 0)
        rc = ask(profile, scanner, &request);
    profile_request_fini(&request);
    profile_scanner_free(scanner);
    profile_free(profile);
    return rc;
}

static void run_out(const char *name, const struct settings_stream *stream)
{
    struct diag *diag;
    long n;

    nomem_left = -1;
    diag = diag_new();
    assert_non_null(diag);
    for (n = 0;; n++) {
        int rc;

        nomem_failed = false;
        nomem_left = n;
        rc = live(name, stream, diag);
        nomem_left = -1;
        if (!nomem_failed) {
            assert_int_equal(rc, 0);
            break;
        }
        if (rc != ERR_NOMEM)
            fail_msg("%s: allocation %ld failed, and the outcome was %s", name, n, error_name(rc));
    }
    assert_true(n > 20);
    diag_free(diag);
}

static const struct ini_entry entries[] = {
    {"stream", "s", "host", "h.example", "hawser.ini", 2},
    {"stream", "s", "token", "env:T", "hawser.ini", 3},
    {"stream", "s", "http:sync.method", "POST", "hawser.ini", 4},
    {"stream", "s", "http:sync.body", "{\"p\":${position}}", "hawser.ini", 5},
    {"stream", "s", "on:x.match", "(/a == \"b\" || /c == 1) && /d exists", "hawser.ini", 6},
    {"stream", "s", "on:x.do", "live, gap text", "hawser.ini", 7},
    {"stream", "s", "refresh_token", "env:R", "hawser.ini", 9},
    {"stream", "s", "connect.hosts", "*.example.com", "hawser.ini", 10},
    {"stream", "s", "http:x.url", "https://h.example/${each}", "hawser.ini", 11},
    {"stream", "s", "http:x.foreach", "a b", "hawser.ini", 12},
    {"stream", "s", "http:x.capture.v", "/v", "hawser.ini", 13},
    {"stream", "s", "event.id", "${/a}:${/b}", "hawser.ini", 8},
    {"stream", "s", "on:y.match", "/a | ^/b exists", "hawser.ini", 14},
    {"stream", "s", "on:y.do", "capture w=/a | /b, send s|t, handover /u", "hawser.ini", 15},
    {"stream", "s", "send:s.text", "{\"w\":\"${w}\",\"x\":\"${/d}\"}", "hawser.ini", 16},
    {"stream", "s", "send:s.answer", "/ok == true", "hawser.ini", 17},
    {"stream", "s", "send:t.text", "${n}", "hawser.ini", 18},
    {"stream", "s", "message.batch", "array", "hawser.ini", 19},
    {"stream", "s", "message.decode", "/payload", "hawser.ini", 20},
    {"stream", "s", "message.split", "/list/*", "hawser.ini", 21},
};

static void test_scaiwave(void **state)
{
    const struct ini_entry *rest[COUNT(entries)];
    struct settings_stream stream = {
        .name = "s", .file = "hawser.ini", .line = 1, .rest = rest, .n_rest = COUNT(entries)};

    for (size_t i = 0; i < COUNT(entries); i++)
        rest[i] = &entries[i];
    nomem_for_good = false;
    run_out("scaiwave", &stream);
    nomem_for_good = true;
    run_out("scaiwave", &stream);
}

static void test_others(void **state)
{
    static const char *const names[] = {"nchan",     "parlay", "home-assistant",
                                        "jetstream", "kraken", "ntfy"};

    for (size_t i = 0; i < COUNT(names); i++) {
        nomem_for_good = false;
        run_out(names[i], NULL);
        nomem_for_good = true;
        run_out(names[i], NULL);
    }
}

/* Reading messages and pages takes no memory, whatever the profile and the frame. */
static void test_reading_allocates_nothing(void **state)
{
    static const char text[] = "[{\"b\":1,\"payload\":\"{\\\"a\\\":\\\"x\\\\ny\\\",\\\"list\\\":[{"
                               "\\\"a\\\":\\\"\\\\t\\\"},"
                               "2]}\"},{\"payload\":{\"u\":\"\\n\",\"b\":[]}},7]";
    static const char page[] =
        "{\"data\":{\"events\":[{\"id\":\"\\n\"},3],\"next_cursor\":\"\\t\"}}";
    const char *const dirs[] = {"conf/profiles", NULL};
    const struct ini_entry *rest[COUNT(entries)];
    struct settings_stream stream = {
        .name = "s", .file = "hawser.ini", .line = 1, .rest = rest, .n_rest = COUNT(entries)};
    struct diag *diag = diag_new();
    struct profile_message message;
    struct profile_scanner *scanner;
    struct profile_frame frame;
    struct profile_page items;
    struct profile *profile;
    size_t n = 0, actions = 0;

    for (size_t i = 0; i < COUNT(entries); i++)
        rest[i] = &entries[i];
    nomem_left = -1;
    assert_non_null(diag);
    assert_int_equal(profile_load(dirs, "scaiwave", &stream, diag, &profile), 0);
    assert_int_equal(profile_scanner_new(profile, &scanner), 0);
    nomem_failed = false;
    nomem_for_good = true;
    nomem_left = 0;
    profile_frame_begin(scanner, slice_str(text), NULL, &frame);
    for (; profile_frame_next(scanner, &frame, &message); n++)
        actions += message.n_actions;
    if (profile_page_parse(scanner, slice_str(page), &items, NULL) == 0)
        while (profile_page_next(scanner, &items, &message))
            n++;
    nomem_left = -1;
    assert_false(nomem_failed);
    assert_int_equal(n, 2 + 1 + 1 + 1 + 2);
    assert_int_equal(actions, 3);
    profile_scanner_free(scanner);
    profile_free(profile);
    diag_free(diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scaiwave),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_reading_allocates_nothing),
    };

    nomem_here = true;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
