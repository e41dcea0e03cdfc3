#include <assert.h>
#include <wslay/wslay.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "wire/ws.h"

enum { FRAME_HEADER_MAX = 14, CONTROL_MAX = 125 };

struct sink {
    struct buf *out;
    const uint8_t *mask;
};

static ssize_t on_send(const uint8_t *data, size_t len, int flags, void *arg)
{
    struct sink *sink = arg;

    return buf_append(sink->out, data, len) == 0 ? (ssize_t)len : -1;
}

static int on_genmask(uint8_t *mask, size_t len, void *arg)
{
    struct sink *sink = arg;

    assert(len == 4);
    memcpy(mask, sink->mask, len);
    return 0;
}

bool ws_close_code_valid(int code)
{
    if (code >= 3000 && code <= 4999)
        return true;
    return code >= 1000 && code <= 1014 && code != 1004 && code != WS_CLOSE_NONE &&
           code != WS_CLOSE_ABNORMAL;
}

static int write_frame(struct buf *out, enum ws_type type, uint8_t reserved, struct slice payload,
                       const uint8_t mask[4])
{
    static const struct wslay_frame_callbacks callbacks = {
        .send_callback = on_send,
        .genmask_callback = on_genmask,
    };
    struct sink sink = {out, mask};
    struct wslay_frame_iocb frame = {
        .fin = 1,
        .rsv = reserved,
        .opcode = (uint8_t)type,
        .payload_length = payload.len,
        .mask = 1,
        .data = (const uint8_t *)payload.ptr,
        .data_length = payload.len,
    };
    wslay_frame_context_ptr context;
    ssize_t sent;

    /* With the room there, a frame is written whole or not at all. */
    if (payload.len > BUF_UNBOUNDED - FRAME_HEADER_MAX)
        return ERR_LIMIT;
    if (buf_reserve(out, payload.len + FRAME_HEADER_MAX) != 0)
        return payload.len + FRAME_HEADER_MAX > out->max - out->len ? ERR_LIMIT : ERR_NOMEM;
    if (wslay_frame_context_init(&context, &callbacks, &sink) != 0)
        return ERR_NOMEM;
    sent = wslay_frame_send(context, &frame);
    wslay_frame_context_free(context);
    assert(sent == (ssize_t)payload.len);
    return 0;
}

static bool payload_valid(enum ws_type type, struct slice payload)
{
    if (wslay_is_ctrl_frame((unsigned)type))
        return payload.len <= CONTROL_MAX;
    return type != WS_TEXT || utf8_valid(payload.ptr, payload.len);
}

int ws_frame_write(struct buf *out, enum ws_type type, struct slice payload, const uint8_t mask[4])
{
    return payload_valid(type, payload) ? write_frame(out, type, WSLAY_RSV_NONE, payload, mask)
                                        : ERR_INVAL;
}

int ws_message_write(struct buf *out, const struct deflate_terms *terms, enum ws_type type,
                     struct slice payload, const uint8_t mask[4])
{
    struct buf shorter;
    int rc;

    if ((type != WS_TEXT && type != WS_BINARY) || !payload_valid(type, payload))
        return ERR_INVAL;
    buf_init(&shorter, BUF_UNBOUNDED);
    if (deflate_message(terms, payload, &shorter))
        rc = write_frame(out, type, WSLAY_RSV1_BIT, buf_slice(&shorter), mask);
    else
        rc = write_frame(out, type, WSLAY_RSV_NONE, payload, mask);
    buf_wipe(&shorter); /* a message may hold a secret */
    buf_fini(&shorter);
    return rc;
}

/* The longest part of the text that fits and does not end within a character. */
static struct slice cut_reason(struct slice reason)
{
    if (reason.len <= LIMIT_CLOSE_REASON)
        return reason;
    reason.len = LIMIT_CLOSE_REASON;
    while (reason.len > 0 && ((unsigned char)reason.ptr[reason.len] & 0xC0) == 0x80)
        reason.len--;
    return reason;
}

int ws_close_write(struct buf *out, int code, struct slice reason, const uint8_t mask[4])
{
    char payload[2 + LIMIT_CLOSE_REASON];

    if (code == WS_CLOSE_NONE)
        return ws_frame_write(out, WS_CLOSE, SLICE(""), mask);
    if (!ws_close_code_valid(code) || !utf8_valid(reason.ptr, reason.len))
        return ERR_INVAL;
    reason = cut_reason(reason);
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xFF);
    memcpy(payload + 2, slice_chars(reason), reason.len);
    return ws_frame_write(out, WS_CLOSE, slice_make(payload, 2 + reason.len), mask);
}
