/*
 * Memory that ends: loading, scanning and rendering with the first, second, third, ... allocation
 * failing, until all succeed. Each time it is ERR_NOMEM, and nothing is kept.
 */
#include "unit/profile/support.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static long left = -1; /* allocations until one fails; below 0: none does */
static bool for_good;  /* then all further ones fail too */

static bool failed; /* one has */

static bool fails(void)
{
    if (left < 0)
        return false;
    if (left > 0) {
        left--;
        return false;
    }
    if (!for_good)
        left = -1;
    failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

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

    left = -1;
    diag = diag_new();
    assert_non_null(diag);
    for (n = 0;; n++) {
        int rc;

        failed = false;
        left = n;
        rc = live(name, stream, diag);
        left = -1;
        if (!failed) {
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
};

static void test_scaiwave(void **state)
{
    const struct ini_entry *rest[COUNT(entries)];
    struct settings_stream stream = {
        .name = "s", .file = "hawser.ini", .line = 1, .rest = rest, .n_rest = COUNT(entries)};

    for (size_t i = 0; i < COUNT(entries); i++)
        rest[i] = &entries[i];
    for_good = false;
    run_out("scaiwave", &stream);
    for_good = true;
    run_out("scaiwave", &stream);
}

static void test_others(void **state)
{
    static const char *const names[] = {"nchan",     "parlay", "home-assistant",
                                        "jetstream", "kraken", "ntfy"};

    for (size_t i = 0; i < COUNT(names); i++) {
        for_good = false;
        run_out(names[i], NULL);
        for_good = true;
        run_out(names[i], NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scaiwave),
        cmocka_unit_test(test_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
