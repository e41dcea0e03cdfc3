/*
 * wslay splits the bytes into frames and hands over each frame's payload in pieces of its 4 KiB
 * buffer. Here pieces become messages. A message that lies whole in one piece is delivered from
 * wslay's buffer; only others are assembled. A message that the handler refuses stays where it is,
 * since wslay's buffer moves only when wslay is asked for more. A compressed message is inflated
 * piece by piece and always assembled; past the limit it is inflated into nothing, because messages
 * after it may refer to it (RFC 7692 7.2.2).
 */
#include <stdlib.h>
#include <wslay/wslay.h>

#include "base/utf8.h"
#include "wire/ws.h"

enum {
    CONTROL_MAX = 125,
    KEEP_MAX = 64 * 1024, /* memory that stays with the decoder after a large message */
    INFLATE_STEP = 4096,  /* bytes that are inflated at once, at least, while there is room */
};

struct ws_decoder {
    wslay_frame_context_ptr context;
    struct ws_handler handler;
    uint64_t max_message;
    struct slice *input; /* of the run under way */

    /* The frame under way. */
    bool in_frame;
    uint64_t frame_left; /* bytes of payload to come */

    /* The message under way: its frames may have control frames between them. */
    bool in_message;
    bool discarding; /* over the limit: read and thrown away */
    bool compressed; /* its bytes go through the inflater */
    enum ws_type type;
    struct utf8 utf8;
    struct buf message;
    struct inflater *inflater; /* NULL: not agreed */
    size_t inflated;           /* bytes, in the run under way */

    char control[CONTROL_MAX];
    size_t control_len;

    bool refused; /* pending is to be offered again */
    enum ws_type pending_type;
    struct slice pending;

    bool closed;
    int close_code; /* with error */
    struct error error;
};

/* One piece of a frame, and what of the frame's header matters. */
struct piece {
    unsigned opcode;
    bool fin;
    bool first, last; /* of its frame */
    struct slice bytes;
};

static ssize_t on_recv(uint8_t *out, size_t len, int flags, void *arg)
{
    struct slice *input = ((struct ws_decoder *)arg)->input;
    size_t n = input->len < len ? input->len : len;

    memcpy(out, slice_chars(*input), n);
    *input = slice_from(*input, n);
    return n > 0 ? (ssize_t)n : -1;
}

int ws_decoder_new(const struct ws_handler *handler, uint64_t max_message, struct ws_decoder **out)
{
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = on_recv};
    struct ws_decoder *decoder = calloc(1, sizeof *decoder);

    if (decoder == NULL)
        return ERR_NOMEM;
    if (wslay_frame_context_init(&decoder->context, &callbacks, decoder) != 0) {
        free(decoder);
        return ERR_NOMEM;
    }
    decoder->handler = *handler;
    decoder->max_message = max_message < BUF_UNBOUNDED ? max_message : BUF_UNBOUNDED;
    buf_init(&decoder->message, (size_t)decoder->max_message);
    *out = decoder;
    return 0;
}

void ws_decoder_free(struct ws_decoder *decoder)
{
    if (decoder == NULL)
        return;
    wslay_frame_context_free(decoder->context);
    buf_fini(&decoder->message);
    inflater_free(decoder->inflater);
    free(decoder);
}

int ws_decoder_deflate(struct ws_decoder *decoder, const struct deflate_terms *terms)
{
    return terms->agreed ? inflater_new(terms, &decoder->inflater) : 0;
}

static int fail(struct ws_decoder *decoder, int close_code, const char *text)
{
    decoder->close_code = close_code;
    return error_set(&decoder->error, ERR_PROTOCOL, "WebSocket: %s", text);
}

/* ---- messages ---- */

static void end_message(struct ws_decoder *decoder)
{
    decoder->in_message = false;
    decoder->discarding = false;
    if (decoder->message.cap > KEEP_MAX)
        buf_fini(&decoder->message);
    else
        buf_clear(&decoder->message);
}

static int offer(struct ws_decoder *decoder)
{
    int rc =
        decoder->handler.on_message(decoder->handler.arg, decoder->pending_type, decoder->pending);

    decoder->refused = rc != 0;
    if (rc == 0)
        end_message(decoder);
    return rc;
}

static int begin_message(struct ws_decoder *decoder, const struct piece *piece, bool compressed)
{
    if (piece->opcode == WSLAY_CONTINUATION_FRAME && !decoder->in_message)
        return fail(decoder, 1002, "a continuation frame without a message to continue");
    if (piece->opcode == WSLAY_CONTINUATION_FRAME)
        return compressed ? fail(decoder, 1002, "a continuation frame marked as compressed") : 0;
    if (decoder->in_message)
        return fail(decoder, 1002, "a new message before the last one's final fragment");
    decoder->in_message = true;
    decoder->compressed = compressed;
    decoder->type = piece->opcode == WSLAY_TEXT_FRAME ? WS_TEXT : WS_BINARY;
    utf8_init(&decoder->utf8);
    return 0;
}

static void begin_discarding(struct ws_decoder *decoder, uint64_t bytes)
{
    decoder->discarding = true;
    buf_fini(&decoder->message);
    decoder->handler.on_oversize(decoder->handler.arg, bytes);
}

/* Before the first byte is kept: will this frame take the message over the limit? */
static void check_size(struct ws_decoder *decoder, uint64_t frame_bytes)
{
    uint64_t bytes = decoder->message.len + frame_bytes;

    if (!decoder->discarding && !decoder->compressed && bytes > decoder->max_message)
        begin_discarding(decoder, bytes);
}

static int fail_nomem(struct ws_decoder *decoder)
{
    decoder->close_code = 1011;
    return error_set(&decoder->error, ERR_NOMEM, "WebSocket: no memory for a message");
}

static int check_text(struct ws_decoder *decoder, struct slice bytes)
{
    return decoder->type != WS_TEXT || utf8_feed(&decoder->utf8, bytes.ptr, bytes.len)
               ? 0
               : fail(decoder, 1007, "a text message that is not UTF-8");
}

/* All of a message is there. */
static int complete(struct ws_decoder *decoder, struct slice payload)
{
    if (decoder->type == WS_TEXT && !utf8_complete(&decoder->utf8))
        return fail(decoder, 1007, "a text message that is not UTF-8");
    decoder->pending_type = decoder->type;
    decoder->pending = payload;
    return offer(decoder);
}

/* The next of a compressed message, *n bytes; none: the piece is used up. */
static int inflate_step(struct ws_decoder *decoder, size_t *n)
{
    struct buf *message = &decoder->message;
    size_t left = (size_t)decoder->max_message - message->len;
    char nowhere[INFLATE_STEP];
    bool keep = !decoder->discarding && left > 0;
    struct error err;
    int rc;

    if (keep && buf_reserve(message, left < INFLATE_STEP ? left : INFLATE_STEP) != 0)
        return fail_nomem(decoder);
    rc = inflater_next(decoder->inflater, keep ? message->data + message->len : nowhere,
                       keep ? message->cap - message->len : sizeof nowhere, n, &err);
    if (rc == ERR_NOMEM)
        return fail_nomem(decoder);
    if (rc != 0)
        return fail(decoder, 1007, err.text);
    decoder->inflated += *n;
    if (keep) {
        message->len += *n;
        return check_text(decoder, slice_make(message->data + message->len - *n, *n));
    }
    if (*n > 0 && !decoder->discarding) {
        begin_discarding(decoder, decoder->max_message + 1);
        if (inflater_drop(decoder->inflater)) {
            decoder->compressed = false;
            *n = 0;
        }
    }
    return 0;
}

static int take_compressed(struct ws_decoder *decoder, const struct piece *piece)
{
    bool whole = piece->fin && piece->last;
    size_t n;
    int rc;

    inflater_feed(decoder->inflater, piece->bytes, whole);
    do {
        rc = inflate_step(decoder, &n);
    } while (rc == 0 && n > 0);
    if (rc != 0 || !whole)
        return rc;
    if (!decoder->discarding)
        return complete(decoder, buf_slice(&decoder->message));
    end_message(decoder);
    return 0;
}

static int take_data(struct ws_decoder *decoder, const struct piece *piece)
{
    bool whole = piece->fin && piece->last;

    if (decoder->compressed)
        return take_compressed(decoder, piece);
    if (decoder->discarding) {
        if (whole)
            end_message(decoder);
        return 0;
    }
    if (check_text(decoder, piece->bytes) != 0)
        return decoder->error.code;
    if (whole && decoder->message.len == 0)
        return complete(decoder, piece->bytes);
    if (buf_append_slice(&decoder->message, piece->bytes) != 0)
        return fail_nomem(decoder);
    return whole ? complete(decoder, buf_slice(&decoder->message)) : 0;
}

/* ---- control frames, RFC 6455 section 5.5 ---- */

static int take_close(struct ws_decoder *decoder, struct slice payload)
{
    const unsigned char *p = (const unsigned char *)payload.ptr;
    struct slice reason = slice_from(payload, 2);
    int code = WS_CLOSE_NONE;

    if (payload.len == 1)
        return fail(decoder, 1002, "a close frame with half a code");
    if (payload.len >= 2) {
        code = p[0] << 8 | p[1];
        if (!ws_close_code_valid(code)) {
            decoder->close_code = 1002;
            return error_set(&decoder->error, ERR_PROTOCOL,
                             "WebSocket: a close frame with code %d, which may not be sent", code);
        }
        if (!utf8_valid(reason.ptr, reason.len))
            return fail(decoder, 1007, "a close reason that is not UTF-8");
    }
    decoder->closed = true;
    decoder->handler.on_close(decoder->handler.arg, code, reason);
    return 0;
}

static int take_control(struct ws_decoder *decoder, const struct piece *piece)
{
    struct slice payload;

    if (piece->first)
        decoder->control_len = 0;
    memcpy(decoder->control + decoder->control_len, piece->bytes.ptr, piece->bytes.len);
    decoder->control_len += piece->bytes.len;
    if (!piece->last)
        return 0;
    payload = slice_make(decoder->control, decoder->control_len);
    if (piece->opcode == WSLAY_PING)
        decoder->handler.on_ping(decoder->handler.arg, payload);
    else if (piece->opcode == WSLAY_PONG)
        decoder->handler.on_pong(decoder->handler.arg, payload);
    else
        return take_close(decoder, payload);
    return 0;
}

/* ---- frames ---- */

/* What wslay leaves to its caller, at a frame's first piece. */
static int begin_frame(struct ws_decoder *decoder, const struct wslay_frame_iocb *frame,
                       const struct piece *piece)
{
    bool compressed = frame->rsv == WSLAY_RSV1_BIT && decoder->inflater != NULL;
    int rc;

    if (frame->rsv != WSLAY_RSV_NONE && !compressed)
        return fail(decoder, 1002, "a frame with reserved bits set that no agreed extension uses");
    if (frame->mask)
        return fail(decoder, 1002, "a masked frame from the server");
    switch (piece->opcode) {
    case WSLAY_CONTINUATION_FRAME:
    case WSLAY_TEXT_FRAME:
    case WSLAY_BINARY_FRAME:
        rc = begin_message(decoder, piece, compressed);
        if (rc == 0)
            check_size(decoder, frame->payload_length);
        return rc;
    case WSLAY_CONNECTION_CLOSE:
    case WSLAY_PING:
    case WSLAY_PONG:
        return compressed ? fail(decoder, 1002, "a control frame marked as compressed") : 0;
    default: /* the peer's byte, not our enum */
        return fail(decoder, 1002, "a frame with an unknown opcode");
    }
}

static int take_frame(struct ws_decoder *decoder, const struct wslay_frame_iocb *frame)
{
    struct piece piece = {
        .opcode = frame->opcode,
        .fin = frame->fin,
        .first = !decoder->in_frame,
        .bytes = slice_make((const char *)frame->data, frame->data_length),
    };

    if (piece.first)
        decoder->frame_left = frame->payload_length;
    decoder->frame_left -= frame->data_length;
    piece.last = decoder->frame_left == 0;
    decoder->in_frame = !piece.last;
    if (piece.first && begin_frame(decoder, frame, &piece) != 0)
        return decoder->error.code;
    return wslay_is_ctrl_frame(piece.opcode) ? take_control(decoder, &piece)
                                             : take_data(decoder, &piece);
}

static int run(struct ws_decoder *decoder)
{
    struct wslay_frame_iocb frame;
    int rc = decoder->refused ? offer(decoder) : 0;

    decoder->inflated = 0;
    while (rc == 0 && !decoder->closed) {
        ssize_t n;

        if (decoder->inflated >= WS_INFLATE_MAX)
            return ERR_BUSY;
        n = wslay_frame_recv(decoder->context, &frame);

        if (n == WSLAY_ERR_WANT_READ)
            return 0;
        if (n < 0)
            return fail(decoder, 1002,
                        "a control frame that is fragmented or over 125 bytes, or a frame length "
                        "not in its shortest form");
        rc = take_frame(decoder, &frame);
    }
    return rc;
}

int ws_decoder_run(struct ws_decoder *decoder, struct slice *bytes, int *close_code,
                   struct error *err)
{
    int rc = decoder->error.code;

    if (rc == 0) {
        decoder->input = bytes;
        rc = run(decoder);
        decoder->input = NULL;
    }
    if (decoder->closed) /* what follows a close frame is not looked at, section 1.4 */
        *bytes = slice_from(*bytes, bytes->len);
    if (decoder->error.code != 0) {
        *close_code = decoder->close_code;
        error_set(err, decoder->error.code, "%s", decoder->error.text);
    }
    return rc;
}
