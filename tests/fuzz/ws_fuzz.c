/*
 * ws: a stream of frames means the same however it is cut and whatever messages are refused at
 * first. The first byte says how the rest is cut and which offers are refused; the rest is what the
 * server sends. Every message that came is then sent back as a client's frame and its mask undone.
 *
 * A broken promise ends the process, as libFuzzer wants it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "wire/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_MESSAGE = 300 };

#define CHECK(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *what, int line)
{
    fprintf(stderr, "ws_fuzz.c:%d: does not hold: %s\n", line, what);
    abort();
}

struct trace {
    struct buf out;
    unsigned refuse_every; /* 0: none */
    unsigned offers;
    bool closed;
};

static void add(struct trace *trace, int type, struct slice payload)
{
    CHECK(!trace->closed);
    CHECK(buf_appendf(&trace->out, "%d %zu ", type, payload.len) == 0);
    CHECK(buf_append_slice(&trace->out, payload) == 0);
}

/* Masked frames of ours hold the payload, and have their header in its shortest form. */
static void check_encoder(enum ws_type type, struct slice payload)
{
    static const uint8_t mask[4] = {0xA5, 0x00, 0xFF, 0x13};
    size_t header = payload.len < 126 ? 6 : 8;
    struct buf frame;

    buf_init(&frame, BUF_UNBOUNDED);
    CHECK(ws_frame_write(&frame, type, payload, mask) == 0);
    CHECK(frame.len == header + payload.len);
    CHECK((unsigned char)frame.data[0] == (0x80 | (unsigned)type) && frame.data[1] & 0x80);
    for (size_t i = 0; i < payload.len; i++)
        CHECK((char)(frame.data[header + i] ^ mask[i % 4]) == payload.ptr[i]);
    buf_fini(&frame);
}

static int on_message(void *arg, enum ws_type type, struct slice payload)
{
    struct trace *trace = arg;

    CHECK(payload.len <= MAX_MESSAGE);
    CHECK(type == WS_BINARY || (type == WS_TEXT && utf8_valid(payload.ptr, payload.len)));
    if (trace->refuse_every != 0 && ++trace->offers % trace->refuse_every == 0)
        return ERR_AGAIN;
    check_encoder(type, payload);
    add(trace, type, payload);
    return 0;
}

static void on_ping(void *arg, struct slice payload)
{
    CHECK(payload.len <= 125);
    check_encoder(WS_PONG, payload);
    add(arg, WS_PING, payload);
}

static void on_pong(void *arg, struct slice payload)
{
    CHECK(payload.len <= 125);
    add(arg, WS_PONG, payload);
}

static void on_oversize(void *arg, uint64_t bytes)
{
    CHECK(bytes > MAX_MESSAGE);
    add(arg, (int)(bytes % 100000), SLICE("oversize"));
}

static void on_close(void *arg, int code, struct slice reason)
{
    struct trace *trace = arg;

    CHECK(code == WS_CLOSE_NONE || ws_close_code_valid(code));
    CHECK(utf8_valid(reason.ptr, reason.len));
    add(trace, code, reason);
    trace->closed = true;
}

/* Returns how it ended, and all that happened in trace->out. */
static int decode(struct slice stream, size_t step, struct trace *trace)
{
    const struct ws_handler handler = {on_message, on_ping, on_pong, on_oversize, on_close, trace};
    struct ws_decoder *decoder;
    struct error err;
    int close_code = 0;
    int rc = 0;

    buf_init(&trace->out, BUF_UNBOUNDED);
    CHECK(ws_decoder_new(&handler, MAX_MESSAGE, &decoder) == 0);
    for (size_t at = 0; rc == 0 && at < stream.len; at += step) {
        size_t n = step < stream.len - at ? step : stream.len - at;
        struct slice piece = slice_make(stream.ptr + at, n);

        do {
            rc = ws_decoder_run(decoder, &piece, &close_code, &err);
        } while (rc == ERR_AGAIN);
        CHECK(rc != 0 || piece.len == 0);
    }
    CHECK(rc == 0 || rc == ERR_PROTOCOL);
    CHECK(rc == 0 || close_code == 1002 || close_code == 1007);
    CHECK(buf_appendf(&trace->out, "%d %d", rc, close_code) == 0);
    ws_decoder_free(decoder);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace whole = {0};
    struct trace parts = {0};
    struct slice stream;

    if (size == 0)
        return 0;
    stream = slice_make((const char *)data + 1, size - 1);
    parts.refuse_every = data[0] >> 4 == 1 ? 2 : data[0] >> 4;
    decode(stream, stream.len + 1, &whole);
    decode(stream, 1 + data[0] % 16, &parts);
    CHECK(slice_eq(buf_slice(&whole.out), buf_slice(&parts.out)));
    buf_fini(&whole.out);
    buf_fini(&parts.out);
    return 0;
}
