/*
 * ndjson: any line is a request or has an error that says something, and any bytes can be sent as
 * an event: what is written is JSON on one line, within the bound.
 *
 * A broken promise ends the process, as libFuzzer wants it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "wire/ndjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *what, int line)
{
    fprintf(stderr, "ndjson_fuzz.c:%d: does not hold: %s\n", line, what);
    abort();
}

/* One JSON text, one newline, at its end. */
static void check_line(struct slice line)
{
    CHECK(line.len > 0 && slice_find_byte(line, '\n') == line.ptr + line.len - 1);
    CHECK(json_scan(NULL, line, NULL, NULL) == 0);
}

static void check_text(struct slice text)
{
    CHECK(utf8_valid(text.ptr, text.len));
}

static void check_request(struct slice line)
{
    struct ndjson_request request;
    struct error detail = {.text = ""};
    enum ndjson_error error;
    struct buf reply;

    ndjson_request_init(&request);
    error = ndjson_request_parse(&request, line, &detail);
    CHECK(error == NDJSON_OK || detail.text[0] != '\0');
    check_text(slice_str(detail.text));
    CHECK(error == ndjson_request_parse(&request, line, NULL));
    CHECK(error != NDJSON_OK || json_scan(NULL, line, NULL, NULL) == 0);
    for (unsigned i = 0; error == NDJSON_OK && i < request.n_streams; i++)
        check_text(request.streams[i]);
    for (unsigned i = 0; error == NDJSON_OK && i < request.n_types; i++)
        check_text(request.types[i]);
    check_text(request.stream);
    check_text(request.instance);
    buf_init(&reply, BUF_UNBOUNDED);
    CHECK(ndjson_write_error(&reply, request.id, error, detail.text) == 0);
    check_line(buf_slice(&reply));
    buf_fini(&reply);
    ndjson_request_fini(&request);
}

static void check_event(const struct ndjson_event *event)
{
    size_t bound = ndjson_event_bound(event);
    char *out = malloc(bound);
    struct slice type;
    size_t len;

    CHECK(out != NULL);
    len = ndjson_event_encode(event, out, &type);
    CHECK(len <= bound);
    CHECK(type.len == 0 || slice_eq(type, event->type));
    check_line(slice_make(out, len));
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_make((const char *)data, size);
    struct ndjson_event event = {
        .seq = size,
        .stream = "s",
        .id = bytes,
        .position = slice_from(bytes, size / 2),
        .type = slice_make(bytes.ptr, size / 2),
        .received_us = (int64_t)size,
        .via = "live",
        .data_kind = NDJSON_DATA_TEXT,
        .data = bytes,
    };

    check_request(bytes);
    check_event(&event);
    event.data_kind = NDJSON_DATA_BINARY;
    check_event(&event);
    event.data_kind = NDJSON_DATA_JSON;
    if (json_scan(NULL, bytes, NULL, NULL) == 0)
        check_event(&event);
    return 0;
}
