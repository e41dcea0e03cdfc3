/*
 * Any bytes as a profile: it is refused with a reason, or it can be used: a message scanned, a
 * policy asked for, requests rendered that hold no byte which could end a line or a URL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "profile/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *what, int line)
{
    fprintf(stderr, "profile_load_fuzz.c:%d: does not hold: %s\n", line, what);
    abort();
}

static char dir[] = "/tmp/hawser-fuzz-XXXXXX", path[64];

static void remove_dir(void)
{
    unlink(path);
    rmdir(dir);
}

static void write_profile(const uint8_t *data, size_t size)
{
    FILE *file;

    if (path[0] == '\0') {
        CHECK(mkdtemp(dir) != NULL);
        snprintf(path, sizeof(path), "%s/fuzz.ini", dir);
        atexit(remove_dir);
    }
    file = fopen(path, "w");
    CHECK(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

static struct slice lookup(void *arg, struct slice name)
{
    return *(const struct slice *)arg;
}

/* For no stream, a stand-in may be where the whole URL of the generic profile would be. */
static void check_request(const struct profile_request *request, bool for_stream)
{
    struct slice url = buf_slice(&request->url), headers = buf_slice(&request->headers);
    size_t lines = 0;

    CHECK(!for_stream || (url.len != 0 && memmem(url.ptr, url.len, "://", 3) != NULL));
    for (size_t i = 0; i < url.len; i++)
        CHECK((unsigned char)url.ptr[i] > ' ' && (unsigned char)url.ptr[i] < 0x7f &&
              url.ptr[i] != '#');
    for (size_t i = 0; i < headers.len; i++) {
        if (headers.ptr[i] == '\n') {
            CHECK(i > 0 && headers.ptr[i - 1] == '\r');
            lines++;
        } else {
            CHECK(headers.ptr[i] != '\r' || (i + 1 < headers.len && headers.ptr[i + 1] == '\n'));
        }
    }
    CHECK(headers.len == 0 || (lines != 0 && headers.ptr[headers.len - 1] == '\n'));
}

static void ignore(void *arg, const struct profile_capture *capture)
{
    CHECK(capture->name != NULL && capture->value.ptr != NULL && capture->value.len != 0);
}

/* The requests beside the link, as far as the profile says which there are. */
static void use_requests(const struct profile *profile, struct profile_scanner *scanner,
                         struct slice *value, struct profile_request *request, bool for_stream)
{
    const unsigned known[] = {profile->catchup.via == PROFILE_CATCHUP_HTTP ? profile->catchup.http
                                                                           : PROFILE_NONE,
                              profile->auth.refresh, profile->fallback.http};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i] == PROFILE_NONE)
            continue;
        if (profile_render_http(profile, known[i], lookup, value, request, NULL) == 0)
            check_request(request, for_stream);
        profile_http_capture(profile, known[i], scanner,
                             SLICE("{\"a\":\"x\",\"b\":1,\"data\":{\"access_token\":\"\\u0000\"}}"),
                             ignore, NULL, NULL);
    }
    if (profile->fallback.exists &&
        profile_render_fallback(profile, lookup, value, request, NULL) == 0)
        check_request(request, for_stream);
}

/* The URL of the link itself is never refused, unless it is of no host. */
static void check_own_address(const struct profile *profile, struct slice url)
{
    struct error err = {0};
    int rc = profile_address_ok(profile, url, &err);

    CHECK(rc == 0 || err.text[0] != '\0');
    CHECK(profile_address_ok(profile, SLICE("wss://evil.example@h/"), NULL) == ERR_INVAL);
}

static void use(const struct profile *profile, bool for_stream)
{
    static const char *const values[] = {NULL, "x", "a b\r\nX: \"\\#\x7f\xff"};
    struct profile_end end = {.kind = PROFILE_END_CLOSE, .code = 4001, .text = "reason"};
    struct profile_scanner *scanner;
    struct profile_message message;
    struct profile_frame frame;
    struct buf sent;
    struct profile_request request;
    const char *explain;

    CHECK(profile->backoff.n_steps > 0 && profile->n_flaps <= PROFILE_FLAPS_MAX);
    CHECK(profile_policy(profile, &end, &explain) != NULL);
    CHECK(profile_scanner_new(profile, &scanner) == 0);
    buf_init(&sent, 65536);
    profile_frame_begin(
        scanner,
        SLICE("[{\"type\":\"hello\",\"id\":1,\"p\":[\"x\"],\"data\":[{\"id\":2},\"{}\"]}]"), NULL,
        &frame);
    while (profile_frame_next(scanner, &frame, &message))
        for (unsigned i = 0; i < profile->n_sends; i++) {
            struct slice value = SLICE("x");

            profile_render_send(profile, i, scanner, lookup, &value, &sent, NULL);
        }
    profile_request_init(&request);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct slice value = values[i] != NULL ? slice_str(values[i]) : (struct slice){NULL, 0};

        if (profile_render_connect(profile, lookup, &value, &request, NULL) == 0)
            check_request(&request, for_stream);
        check_own_address(profile, buf_slice(&request.url));
        use_requests(profile, scanner, &value, &request, for_stream);
    }
    profile_scanner_free(scanner);
    buf_fini(&sent);
    profile_request_fini(&request);
}

static void load(const struct settings_stream *stream)
{
    const char *const dirs[] = {dir, NULL};
    struct diag *diag = diag_new();
    struct profile *profile;
    int rc = profile_load(dirs, "fuzz", stream, diag, &profile);

    CHECK((rc == 0) == (profile != NULL) && (rc == 0) == (diag_count(diag) == 0));
    CHECK(rc == 0 || rc == ERR_PARSE);
    if (rc == 0)
        use(profile, stream != NULL);
    profile_free(profile);
    diag_free(diag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct settings_stream stream = {.name = "s", .file = "hawser.ini", .line = 1};

    write_profile(data, size);
    load(NULL);
    load(&stream);
    return 0;
}
