/* Replies and notices, to the letter; and that a line that does not fit is not begun. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/ndjson.h"

#define NONE ((struct slice){NULL, 0})

/* Each writes one line. */
static int write_one(struct buf *out, int which)
{
    static const struct ndjson_stream_state streams[] = {{"chat", "live"}, {"a\"b", "parked"}};
    static const struct ndjson_consumer consumers[] = {
        {.name = SLICE_INIT("a"),
         .uid = 7,
         .connected = true,
         .pid = 99,
         .cursor = UINT64_MAX,
         .lag = 3,
         .unacked = 2,
         .window = 10},
        {.name = SLICE_INIT("b"), .cursor = 5, .seen_ms = 1500},
    };

    switch (which) {
    case 0:
        return ndjson_write_error(out, NONE, NDJSON_E_BAD_REQUEST, "a \"b\"");
    case 1:
        return ndjson_write_error(out, SLICE("\"x\""), NDJSON_E_TOO_LONG, NULL);
    case 2:
        return ndjson_write_ok(out, NONE, "ping");
    case 3:
        return ndjson_write_ok(out, SLICE("7"), "pause");
    case 4:
        return ndjson_write_subscribed(out, NONE, 481, 12, 480);
    case 5:
        return ndjson_write_subscribed(out, SLICE("null"), 1, 0, 0);
    case 6:
        return ndjson_write_greeting(out, "hawserd 0.1.0", "c0ffee", 12, 480, streams, 2);
    case 7:
        return ndjson_write_greeting(out, "hawserd 0.1.0", "c0ffee", 0, 0, NULL, 0);
    case 8:
        return ndjson_write_gap(out, 482, "chat", "upstream", SLICE("1844"), SLICE("1901"), NULL);
    case 9:
        return ndjson_write_gap(out, 483, "chat", "oversize", NONE, NONE, "over 1M\n");
    case 10:
        return ndjson_write_retention_gap(out, "chat", 5, 11);
    case 11:
        return ndjson_write_stream_notice(out, "chat", "waiting", "close 1006: x", 1930);
    case 12:
        return ndjson_write_stream_notice(out, "chat", "live", NULL, -1);
    case 13:
        return ndjson_write_stream_notice(out, "chat", "dialing", "", 0);
    case 14:
        return ndjson_write_store_reset(out, "c0ffee", 480);
    case 15:
        return ndjson_write_bye(out, "stopping");
    case 16:
        return ndjson_write_window_full(out, SLICE("mailer"), 1000, 12);
    case 17:
        return ndjson_write_consumers(out, SLICE("1"), consumers, 2);
    case 18:
        return ndjson_write_consumers(out, NONE, NULL, 0);
    default:
        return ndjson_write_bye(out, NULL);
    }
}

static const char *const lines[] = {
    "{\"error\":\"bad_request\",\"detail\":\"a \\\"b\\\"\"}\n",
    "{\"id\":\"x\",\"error\":\"too_long\"}\n",
    "{\"ok\":\"ping\"}\n",
    "{\"id\":7,\"ok\":\"pause\"}\n",
    "{\"ok\":\"subscribe\",\"next\":481,\"oldest\":12,\"newest\":480}\n",
    "{\"id\":null,\"ok\":\"subscribe\",\"next\":1,\"oldest\":0,\"newest\":0}\n",
    "{\"hawser\":1,\"server\":\"hawserd "
    "0.1.0\",\"instance\":\"c0ffee\",\"oldest\":12,\"newest\":480,"
    "\"streams\":{\"chat\":\"live\",\"a\\\"b\":\"parked\"}}\n",
    "{\"hawser\":1,\"server\":\"hawserd 0.1.0\",\"instance\":\"c0ffee\",\"oldest\":0,\"newest\":0,"
    "\"streams\":{}}\n",
    "{\"seq\":482,\"notice\":\"gap\",\"stream\":\"chat\",\"reason\":\"upstream\",\"after\":"
    "\"1844\","
    "\"before\":\"1901\"}\n",
    "{\"seq\":483,\"notice\":\"gap\",\"stream\":\"chat\",\"reason\":\"oversize\","
    "\"detail\":\"over 1M\\n\"}\n",
    "{\"seq\":null,\"notice\":\"gap\",\"stream\":\"chat\",\"reason\":\"retention\",\"from_seq\":5,"
    "\"to_seq\":11}\n",
    "{\"notice\":\"stream\",\"stream\":\"chat\",\"state\":\"waiting\",\"reason\":\"close 1006: x\","
    "\"retry_in_ms\":1930}\n",
    "{\"notice\":\"stream\",\"stream\":\"chat\",\"state\":\"live\"}\n",
    "{\"notice\":\"stream\",\"stream\":\"chat\",\"state\":\"dialing\",\"reason\":\"\","
    "\"retry_in_ms\":0}\n",
    "{\"notice\":\"store_reset\",\"instance\":\"c0ffee\",\"newest\":480}\n",
    "{\"notice\":\"bye\",\"reason\":\"stopping\"}\n",
    "{\"notice\":\"window_full\",\"consumer\":\"mailer\",\"window\":1000,\"unacked_from\":12}\n",
    "{\"id\":1,\"ok\":\"consumers\",\"consumers\":[{\"consumer\":\"a\",\"uid\":7,\"connected\":"
    "true,"
    "\"pid\":99,\"window\":10,\"unacked\":2,\"cursor\":18446744073709551615,\"lag\":3,"
    "\"seen_ms\":0},{\"consumer\":\"b\",\"uid\":0,\"connected\":false,\"cursor\":5,\"lag\":0,"
    "\"seen_ms\":1500}]}\n",
    "{\"ok\":\"consumers\",\"consumers\":[]}\n",
    "{\"notice\":\"bye\"}\n",
};
enum { LINES = sizeof lines / sizeof lines[0] };

static void test_lines(void **state)
{
    struct buf out;

    buf_init(&out, BUF_UNBOUNDED);
    for (int i = 0; i < LINES; i++) {
        buf_clear(&out);
        assert_int_equal(write_one(&out, i), 0);
        assert_string_equal(buf_cstr(&out), lines[i]);
    }
    buf_fini(&out);
}

/* No one gets a partial line. */
static void test_no_room(void **state)
{
    for (int i = 0; i < LINES; i++) {
        size_t need = strlen(lines[i]);

        for (size_t room = 0; room <= need; room++) {
            struct buf out;

            buf_init(&out, 3 + room);
            buf_append_str(&out, "{}\n");
            assert_int_equal(write_one(&out, i), room < need ? ERR_LIMIT : 0);
            assert_int_equal(out.len, room < need ? 3 : 3 + need);
            buf_fini(&out);
        }
    }
}

static void test_error_names(void **state)
{
    assert_string_equal(ndjson_error_name(NDJSON_E_BAD_JSON), "bad_json");
    assert_string_equal(ndjson_error_name(NDJSON_E_UNKNOWN_STREAM), "unknown_stream");
    assert_string_equal(ndjson_error_name(NDJSON_E_INTERNAL), "internal");
    assert_string_equal(ndjson_error_name(NDJSON_OK), "ok");
    assert_string_equal(ndjson_error_name((enum ndjson_error)99), "internal");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_error_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
