/* A fallback's body when memory ends within an event: nothing is made of the pieces, and it is not
 * taken for one that was too large. */
#include "rig.h"

#include <string.h>

#include "unit/nomem.h"

#define BASE                                                                                       \
    "[connect]\nurl = wss://h.example/\n"                                                          \
    "[event]\nid = /id\nposition = /p\n[position]\ncompare = int\n"                                \
    "[failure]\ntcp = fallback\n"
static const char sse[] = BASE "[fallback sse]\ntransport = sse\nurl = https://h.example/\n"
                               "after = 3\nretry_primary = 5m\n";
static const char ndjson[] = BASE "[fallback json]\ntransport = ndjson\nurl = https://h.example/\n"
                                  "after = 3\nretry_primary = 5m\n";

static int feed(struct rig *rig, const char *bytes, long left)
{
    nomem_left = left;
    nomem_here = true;
    int status = stream_body(rig->stream, rig->streams, slice_str(bytes));
    nomem_here = false;
    nomem_left = -1;
    rig_settle(rig);
    return status;
}

/* The allocation number `left` fails; false: there were not so many. */
static bool body_ends(const char *profile, const char *begin, const char *rest, long left)
{
    struct rig rig;
    struct rig_options options = {.profile = profile};
    struct profile_end end = {
        .kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_TCP, .retry_after_ms = -1};
    rig_open(&rig, &options);
    stream_link_failed(rig.stream, 1, &end);
    rig_settle(&rig);
    stream_body_open(rig.stream, rig.streams);
    nomem_failed = false;
    assert_int_equal(feed(&rig, begin, left), 0);
    bool failed = nomem_failed;
    assert_int_equal(feed(&rig, rest, -1), 0);
    rig_assert_stored(&rig, failed ? "" : "a ");
    rig_close(&rig);
    return failed;
}

static void memory_ends(const char *profile, const char *begin, const char *rest)
{
    long left = 0;
    while (body_ends(profile, begin, rest, left))
        left++;
    assert_true(left > 0);
}

static void of_sse(void **arg)
{
    (void)arg;
    memory_ends(sse, "data: {\"id\":\"a\",", "\"p\":2}\n\n");
}

static void of_ndjson(void **arg)
{
    (void)arg;
    memory_ends(ndjson, "{\"id\":\"a\",", "\"p\":2}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_sse),
        cmocka_unit_test(of_ndjson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
