/* Event lines: exact text, and that the scanner reads back what was put in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/ndjson.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Encodes into memory of just the bound, so that ASan sees a byte too many. */
static char *encode(const struct ndjson_event *event)
{
    size_t bound = ndjson_event_bound(event);
    char *out = malloc(bound);
    struct slice type;
    char *line;
    size_t len;

    assert_non_null(out);
    len = ndjson_event_encode(event, out, &type);
    assert_true(len <= bound);
    if (type.len > 0) {
        assert_true(type.ptr > out && type.ptr + type.len < out + len);
        assert_true(slice_eq(type, event->type));
    }
    line = slice_dup(slice_make(out, len));
    assert_non_null(line);
    assert_int_equal(strlen(line), len); /* no NUL in it */
    free(out);
    return line;
}

static void check(const struct ndjson_event *event, const char *expect)
{
    char *line = encode(event);

    assert_string_equal(line, expect);
    free(line);
}

static void test_lines(void **state)
{
    const struct ndjson_event full = {
        .seq = 481,
        .stream = "chat",
        .id = SLICE("evt-1"),
        .position = SLICE("1844"),
        .type = SLICE("swp.room.message"),
        .received_us = 1779023403123456,
        .event_time = SLICE("1778939467"),
        .via = "live",
        .tags = SLICE("\"tag.team\":\"ops\",\"tag.x\":\"y\""),
        .data = SLICE("{\"a\":1}"),
    };
    struct ndjson_event event = {.stream = "s", .data = SLICE("[]")};

    check(&full, "{\"seq\":481,\"stream\":\"chat\",\"id\":\"evt-1\",\"position\":\"1844\","
                 "\"type\":\"swp.room.message\",\"time\":\"2026-05-17T13:10:03.123456Z\","
                 "\"event_time\":1778939467,\"via\":\"live\",\"tag.team\":\"ops\",\"tag.x\":\"y\","
                 "\"data\":{\"a\":1}}\n");
    check(&event,
          "{\"seq\":null,\"stream\":\"s\",\"time\":\"1970-01-01T00:00:00.000000Z\",\"data\":[]}\n");
    event.seq = UINT64_MAX;
    event.data = SLICE("{\r\n \"a\" :\n\"\\n\" }");
    check(&event, "{\"seq\":18446744073709551615,\"stream\":\"s\","
                  "\"time\":\"1970-01-01T00:00:00.000000Z\",\"data\":{   \"a\" : \"\\n\" }}\n");
    event.data = SLICE("1");
    event.via = "sync";
    event.snapshot = true;
    check(&event, "{\"seq\":18446744073709551615,\"stream\":\"s\","
                  "\"time\":\"1970-01-01T00:00:00.000000Z\",\"via\":\"sync\",\"snapshot\":true,"
                  "\"data\":1}\n");
    event.via = NULL;
    event.snapshot = false;
    event.event_time = SLICE("{\n}");
    event.data_kind = NDJSON_DATA_TEXT;
    event.data = SLICE("a\"b\\\n\x01\xC3\xA9");
    check(&event, "{\"seq\":18446744073709551615,\"stream\":\"s\","
                  "\"time\":\"1970-01-01T00:00:00.000000Z\",\"event_time\":{ },"
                  "\"text\":\"a\\\"b\\\\\\n\\u0001\xC3\xA9\"}\n");
    event.event_time = (struct slice){NULL, 0};
    event.data_kind = NDJSON_DATA_BINARY;
    event.data = SLICE("\x00\xFF\x01\x02");
    check(&event, "{\"seq\":18446744073709551615,\"stream\":\"s\","
                  "\"time\":\"1970-01-01T00:00:00.000000Z\",\"base64\":\"AP8BAg==\"}\n");
    event.data = (struct slice){NULL, 0};
    check(&event, "{\"seq\":18446744073709551615,\"stream\":\"s\","
                  "\"time\":\"1970-01-01T00:00:00.000000Z\"}\n");
    event.data = SLICE("");
    event.data_kind = NDJSON_DATA_TEXT;
    check(&event, "{\"seq\":18446744073709551615,\"stream\":\"s\","
                  "\"time\":\"1970-01-01T00:00:00.000000Z\",\"text\":\"\"}\n");
}

/* The general writer is the judge of the fast path: every byte at every place of strings of every
 * short length. */
static void test_strings(void **state)
{
    struct buf expect;
    char text[24];

    buf_init(&expect, BUF_UNBOUNDED);
    for (size_t len = 0; len <= 20; len++) {
        for (size_t place = 0; place < (len > 0 ? len : 1); place++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                struct ndjson_event event = {.stream = "s", .data_kind = NDJSON_DATA_TEXT};
                char *copy = malloc(len > 0 ? len : 1);
                char *line;

                assert_non_null(copy);
                memset(text, 'a', sizeof text);
                text[place] = (char)byte;
                memcpy(copy, text, len);
                event.data = slice_make(copy, len);
                line = encode(&event);
                buf_clear(&expect);
                buf_append_str(&expect, ",\"text\":");
                assert_int_equal(json_write_string(&expect, event.data), 0);
                buf_append_str(&expect, "}\n");
                if (strstr(line, buf_cstr(&expect)) == NULL)
                    fail_msg("byte %u at %zu of %zu: %s", byte, place, len, line);
                free(line);
                free(copy);
            }
        }
    }
    buf_fini(&expect);
}

/* What takes most room fits: six characters for each byte of each string. */
static void test_bound(void **state)
{
    static char controls[1000];

    for (size_t len = 0; len <= sizeof controls; len += len < 20 ? 1 : 49) {
        const struct slice text = slice_make(controls, len);
        const struct ndjson_event event = {
            .seq = UINT64_MAX,
            .stream = "\x01\x02\x03\x04\x05\x06\x07\x0B\x0E\x0F",
            .id = text,
            .position = text,
            .type = text,
            .received_us = INT64_MAX,
            .event_time = SLICE("\"2026-05-17T13:10:03.123456Z\""),
            .via = "\x01\x02\x03",
            .snapshot = true,
            .tags = SLICE("\"tag.a\":1"),
            .data_kind = NDJSON_DATA_TEXT,
            .data = text,
        };
        char *line = encode(&event);

        assert_true(strlen(line) > 4 * 6 * len);
        free(line);
    }
}

/* The text of one member of a line. */
static void check_member(const char *line, const char *pointer, struct slice expect)
{
    struct json_paths *paths;
    struct json_value value;
    struct error err;
    struct buf text;
    unsigned slot;

    buf_init(&text, BUF_UNBOUNDED);
    assert_int_equal(json_paths_new(&paths), 0);
    assert_int_equal(json_paths_add(paths, slice_str(pointer), &slot, &err), 0);
    assert_int_equal(json_scan(paths, slice_str(line), &value, NULL), 0);
    if (value.type == JSON_STRING)
        assert_int_equal(json_string_decode(&value, &text), 0);
    else
        assert_int_equal(buf_append_slice(&text, value.raw), 0);
    if (!slice_eq(buf_slice(&text), expect))
        fail_msg("%s in %s", pointer, line);
    json_paths_free(paths);
    buf_fini(&text);
}

static void test_read_back(void **state)
{
    static const struct ndjson_event events[] = {
        {.seq = 1,
         .stream = "a \"quoted\" name",
         .id = SLICE_INIT("\xE2\x82\xAC\\\n"),
         .position = SLICE_INIT(""),
         .type = SLICE_INIT("t"),
         .received_us = 1,
         .via = "sync",
         .tags = SLICE_INIT("\"tag.k\":\"v\""),
         .data = SLICE_INIT(" {\"x\" : [1,\n2]}\n")},
        {.seq = 2, .stream = "s", .data_kind = NDJSON_DATA_TEXT, .data = SLICE_INIT("\xFF<\x7F>")},
    };
    char *line = encode(&events[0]);

    check_member(line, "/seq", SLICE("1"));
    check_member(line, "/stream", slice_str(events[0].stream));
    check_member(line, "/id", events[0].id);
    check_member(line, "/position", SLICE(""));
    check_member(line, "/via", SLICE("sync"));
    check_member(line, "/tag.k", SLICE("v"));
    check_member(line, "/data/x/1", SLICE("2"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    free(line);
    line = encode(&events[1]);
    check_member(line, "/seq", SLICE("2"));
    check_member(line, "/text", SLICE("\xEF\xBF\xBD<\x7F>"));
    check_member(line, "/data", SLICE(""));
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
