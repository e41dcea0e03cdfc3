/*
 * sse and lines: however the bytes are cut into feeds, the same comes out, and nothing of it is
 * over its bound. A first byte of the input says where the cuts are.
 *
 * A broken promise ends the process, as libFuzzer wants it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "wire/lines.h"
#include "wire/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

enum { DATA_MAX = 64 };

static void broken(const char *what, int line)
{
    fprintf(stderr, "sse_fuzz.c:%d: does not hold: %s\n", line, what);
    abort();
}

static void put(struct buf *out, struct slice field)
{
    CHECK(buf_appendf(out, "%zu:", field.len) == 0);
    CHECK(buf_append_slice(out, field) == 0);
}

static void feed_sse(struct sse *sse, struct slice bytes, struct buf *out)
{
    struct sse_event event;
    int rc;

    while ((rc = sse_next(sse, &bytes, &event)) != 0) {
        CHECK(rc == 1 || rc == ERR_LIMIT);
        CHECK(buf_append_byte(out, rc == 1 ? '+' : '!') == 0);
        if (rc != 1)
            continue;
        CHECK(event.data.len <= DATA_MAX && event.event.len <= SSE_TYPE_MAX &&
              event.id.len <= SSE_ID_MAX);
        put(out, event.data);
        put(out, event.event);
        put(out, event.id);
    }
    CHECK(bytes.len == 0 && sse_retry_ms(sse) >= -1);
}

static void feed_lines(struct lines *lines, struct slice bytes, struct buf *out)
{
    struct slice line;
    int rc;

    while ((rc = lines_next(lines, &bytes, &line)) != 0) {
        CHECK(rc == 1 || rc == ERR_LIMIT);
        CHECK(buf_append_byte(out, rc == 1 ? '+' : '!') == 0);
        if (rc != 1)
            continue;
        CHECK(line.len > 0 && line.len <= DATA_MAX && slice_find_byte(line, '\n') == NULL);
        put(out, line);
    }
    CHECK(bytes.len == 0);
}

/* Both decoders over the bytes in pieces of so many. */
static void decode(struct slice bytes, size_t piece, struct buf *out)
{
    struct sse *sse;
    struct lines *lines;

    CHECK(sse_new(DATA_MAX, &sse) == 0 && lines_new(DATA_MAX, &lines) == 0);
    for (struct slice rest = bytes; rest.len != 0; rest = slice_from(rest, piece))
        feed_sse(sse, slice_make(rest.ptr, rest.len < piece ? rest.len : piece), out);
    for (struct slice rest = bytes; rest.len != 0; rest = slice_from(rest, piece))
        feed_lines(lines, slice_make(rest.ptr, rest.len < piece ? rest.len : piece), out);
    sse_free(sse);
    lines_free(lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_make((const char *)data, size);
    struct buf whole, cut;

    if (size == 0)
        return 0;
    buf_init(&whole, BUF_UNBOUNDED);
    buf_init(&cut, BUF_UNBOUNDED);
    decode(bytes, size, &whole);
    decode(bytes, (size_t)data[0] % 17 + 1, &cut);
    CHECK(slice_eq(buf_slice(&whole), buf_slice(&cut)));
    buf_fini(&whole);
    buf_fini(&cut);
    return 0;
}
