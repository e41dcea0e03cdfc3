/*
 * ws_deflate: as ws, with permessage-deflate agreed: a stream of frames means the same however it
 * is cut, and each compressed message is what zlib by itself makes of it. The first byte says how
 * the rest is cut and which messages are refused at first, the second what was agreed; the rest is
 * what the server sends. Every message that came is compressed again and inflated by zlib.
 *
 * A broken promise ends the process, as libFuzzer wants it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#include "base/utf8.h"
#include "wire/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_MESSAGE = 3000 };

#define CHECK(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *what, int line)
{
    fprintf(stderr, "ws_deflate_fuzz.c:%d: does not hold: %s\n", line, what);
    abort();
}

struct trace {
    struct buf out;
    struct deflate_terms terms;
    unsigned refuse_every; /* 0: none */
    unsigned offers;
    unsigned messages;
    bool closed;
    bool refused; /* it ended with 1007 */
    size_t said;  /* of out, before how it ended */
};

static void add(struct trace *trace, int type, struct slice payload)
{
    CHECK(!trace->closed);
    CHECK(buf_appendf(&trace->out, "%d %zu ", type, payload.len) == 0);
    CHECK(buf_append_slice(&trace->out, payload) == 0);
}

/* What we would send for it is shorter and says the same, within the window agreed on. */
static void check_sent(const struct deflate_terms *terms, struct slice payload)
{
    char back[MAX_MESSAGE + 1];
    z_stream z = {0};
    struct buf out;

    buf_init(&out, BUF_UNBOUNDED);
    if (deflate_message(terms, payload, &out)) {
        CHECK(out.len < payload.len && payload.len >= DEFLATE_MIN);
        CHECK(buf_append(&out, "\0\0\xff\xff", 4) == 0);
        CHECK(inflateInit2(&z, -(int)terms->client_bits) == Z_OK);
        z.next_in = (const Bytef *)out.data;
        z.avail_in = (uInt)out.len;
        z.next_out = (Bytef *)back;
        z.avail_out = sizeof back;
        CHECK(inflate(&z, Z_SYNC_FLUSH) == Z_OK && z.avail_in == 0);
        CHECK(slice_eq(slice_make(back, z.total_out), payload));
        inflateEnd(&z);
    } else {
        CHECK(out.len == 0);
    }
    buf_fini(&out);
}

static int on_message(void *arg, enum ws_type type, struct slice payload)
{
    struct trace *trace = arg;

    CHECK(payload.ptr != NULL && payload.len <= MAX_MESSAGE);
    CHECK(type == WS_BINARY || (type == WS_TEXT && utf8_valid(payload.ptr, payload.len)));
    if (trace->refuse_every != 0 && ++trace->offers % trace->refuse_every == 0)
        return ERR_AGAIN;
    check_sent(&trace->terms, payload);
    trace->messages++;
    add(trace, type, payload);
    return 0;
}

static void on_ping(void *arg, struct slice payload)
{
    add(arg, WS_PING, payload);
}

static void on_pong(void *arg, struct slice payload)
{
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

    add(trace, code, reason);
    trace->closed = true;
}

static void decode(struct slice stream, size_t step, struct trace *trace)
{
    const struct ws_handler handler = {on_message, on_ping, on_pong, on_oversize, on_close, trace};
    struct ws_decoder *decoder;
    struct error err;
    int close_code = 0;
    int rc = 0;

    buf_init(&trace->out, BUF_UNBOUNDED);
    CHECK(ws_decoder_new(&handler, MAX_MESSAGE, &decoder) == 0);
    CHECK(ws_decoder_deflate(decoder, &trace->terms) == 0);
    for (size_t at = 0; rc == 0 && at < stream.len; at += step) {
        size_t n = step < stream.len - at ? step : stream.len - at;
        struct slice piece = slice_make(stream.ptr + at, n);

        do {
            rc = ws_decoder_run(decoder, &piece, &close_code, &err);
        } while (rc == ERR_AGAIN || rc == ERR_BUSY);
        CHECK(rc != 0 || piece.len == 0);
    }
    CHECK(rc == 0 || rc == ERR_PROTOCOL);
    CHECK(rc == 0 || close_code == 1002 || close_code == 1007);
    trace->refused = rc != 0 && close_code == 1007;
    trace->said = trace->out.len;
    CHECK(buf_appendf(&trace->out, "%d %d %s", rc, close_code, rc != 0 ? err.text : "") == 0);
    ws_decoder_free(decoder);
}

/*
 * However it is cut, the same. But for one thing: zlib sees that a distance reaches beyond the
 * window that was agreed on only where the bytes it reaches for are not by chance still in the
 * output of the same call. So of a server that breaks its word one cut may bring more than the
 * other, and the same until then.
 */
static bool same(const struct trace *a, const struct trace *b)
{
    size_t n = a->said < b->said ? a->said : b->said;

    if (a->terms.server_bits < 15 && (a->refused || b->refused))
        return memcmp(a->out.data, b->out.data, n) == 0;
    return slice_eq(buf_slice(&a->out), buf_slice(&b->out));
}

/* The payload alone as one message, in a frame of ours: it is what zlib makes of it, or nothing. */
static void check_payload(struct slice payload, const struct deflate_terms *terms)
{
    struct trace trace = {.terms = *terms};
    unsigned char header[4] = {0xC2, 126, (unsigned char)(payload.len >> 8),
                               (unsigned char)payload.len};
    char want[MAX_MESSAGE + 1];
    z_stream z = {.next_in = (const Bytef *)payload.ptr, .avail_in = (uInt)payload.len};
    struct buf stream, expect;
    int rc;

    if (payload.len < 126 || payload.len > 65535)
        return;
    CHECK(inflateInit2(&z, terms->server_bits > 9 ? -(int)terms->server_bits : -9) == Z_OK);
    z.next_out = (Bytef *)want;
    z.avail_out = sizeof want;
    rc = inflate(&z, Z_SYNC_FLUSH);
    inflateEnd(&z);
    buf_init(&stream, BUF_UNBOUNDED);
    buf_init(&expect, BUF_UNBOUNDED);
    buf_append(&stream, header, sizeof header);
    buf_append_slice(&stream, payload);
    decode(buf_slice(&stream), stream.len, &trace);
    if (rc == Z_DATA_ERROR && z.avail_out > 0)
        CHECK(trace.messages == 0);
    if (trace.messages == 1 && rc == Z_OK) {
        CHECK(buf_appendf(&expect, "%d ", WS_BINARY) == 0);
        CHECK(slice_starts_with(buf_slice(&trace.out), buf_slice(&expect)));
        CHECK(memmem(trace.out.data, trace.out.len, want, z.total_out) != NULL);
    }
    buf_fini(&trace.out);
    buf_fini(&stream);
    buf_fini(&expect);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace whole = {0}, parts = {0};
    struct slice stream;

    if (size < 2)
        return 0;
    stream = slice_make((const char *)data + 2, size - 2);
    whole.terms = (struct deflate_terms){.agreed = true,
                                         .server_no_context_takeover = data[1] & 0x80,
                                         .client_no_context_takeover = data[1] & 0x40,
                                         .server_bits = 8 + data[1] % 8,
                                         .client_bits = 8 + data[1] / 8 % 8};
    parts.terms = whole.terms;
    parts.refuse_every = data[0] >> 4 == 1 ? 2 : data[0] >> 4;
    decode(stream, stream.len + 1, &whole);
    decode(stream, 1 + data[0] % 16, &parts);
    CHECK(same(&whole, &parts));
    buf_fini(&whole.out);
    buf_fini(&parts.out);
    check_payload(stream, &whole.terms);
    return 0;
}
