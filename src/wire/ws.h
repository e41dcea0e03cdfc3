/*
 * ws: the WebSocket client protocol (RFC 6455), on wslay's frame API: opening handshake and frames,
 * with permessage-deflate (RFC 7692) by the terms of deflate.h.
 *
 * Decides: what is legal on the wire; assembles messages; limits, close codes and UTF-8 are checked
 * here. Leaves: sockets and deadlines to net, randomness and SHA-1 to the caller.
 * Owns: a decoder holds some 5 KiB (4 KiB of them wslay's buffer) and the message under way, never
 * more than max_message of it, in a buffer that grows by doubling as bytes come, not as a header
 * promises; after a message over 64 KiB that memory is given back. A message that lies whole in
 * wslay's buffer is delivered from there. max_message is of what a compressed message inflates to,
 * and the inflater is there from the first of them on.
 * Fails: a protocol error names the close code to answer with (1002, 1007); what arrived before the
 * bad frame has been delivered; nothing is after it. ERR_NOMEM comes with 1011.
 */
#ifndef HAWSER_WIRE_WS_H
#define HAWSER_WIRE_WS_H

#include "wire/deflate.h"
#include "wire/http.h"

/* ---- opening handshake, RFC 6455 section 4 ---- */
/* Sec-WebSocket-Key from 16 random bytes: 24 characters and NUL. */
void ws_key(const uint8_t random[16], char key[25]);
/* The server must answer base64(SHA-1(key + GUID)); this writes key + GUID, to be hashed. */
size_t ws_accept_input(const char key[25], char out[61]);
/* Writes the upgrade request; headers are extra lines; subprotocol empty = none, else one or
 * several separated by commas; deflate: DEFLATE_OFFER is made. ERR_INVAL as http_request_write(),
 * and for header lines that belong to the handshake itself. */
int ws_upgrade_write(struct buf *out, const struct http_url *url, const char key[25],
                     struct slice headers, struct slice subprotocol, bool deflate);
/* Checks a 101 (section 4.2.2, 4.1): Upgrade, Connection, Sec-WebSocket-Accept, no subprotocol or
 * extension that was not asked for. terms: what the server made of the offer; NULL where none was
 * made. ERR_PROTOCOL with what was wrong. */
int ws_upgrade_check(const struct http_response *response, const uint8_t accept_sha1[20],
                     struct slice subprotocol, struct deflate_terms *terms, struct error *err);

/* ---- frames ---- */
enum ws_type { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

enum { WS_CLOSE_NONE = 1005, WS_CLOSE_ABNORMAL = 1006 };

struct ws_handler {
    /* A whole message, valid for the call. Returns 0, or ERR_AGAIN: not taken now; the decoder
     * stops before what follows and offers this message again on the next ws_decoder_run. */
    int (*on_message)(void *arg, enum ws_type type, struct slice payload);
    void (*on_ping)(void *arg, struct slice payload);
    void (*on_pong)(void *arg, struct slice payload);
    /* A message over the limit has begun: it is read and thrown away; the link stays. Once for a
     * message. bytes: its length as far as it is known, with the frame that broke the limit; of a
     * compressed message one more than the limit. */
    void (*on_oversize)(void *arg, uint64_t bytes);
    /* A close frame; code WS_CLOSE_NONE if it had none. Nothing is delivered after it. */
    void (*on_close)(void *arg, int code, struct slice reason);
    void *arg;
};

/* Bytes inflated in one run, after which it stops; by a thousandfold of what wslay's buffer holds
 * it may be more: no bomb keeps the caller for longer than some milliseconds. */
#define WS_INFLATE_MAX ((size_t)4 * 1024 * 1024)

struct ws_decoder;
/* The handler is copied. Its functions must not run or free the decoder. */
int ws_decoder_new(const struct ws_handler *handler, uint64_t max_message, struct ws_decoder **out);
void ws_decoder_free(struct ws_decoder *decoder);
/* Before the first byte: messages may be compressed, by these terms if they are agreed. */
int ws_decoder_deflate(struct ws_decoder *decoder, const struct deflate_terms *terms);
/* Decodes *bytes, advancing it past what was consumed, until it is empty, the handler says
 * ERR_AGAIN (returned; call again with the rest) or the peer breaks the protocol: ERR_PROTOCOL, the
 * text says how, *close_code is what to send; every later call fails alike. Feeding nothing retries
 * a message that was refused. After a close frame all bytes are consumed and ignored. ERR_BUSY: so
 * much has been inflated (WS_INFLATE_MAX) that others should have their turn; call again later. */
int ws_decoder_run(struct ws_decoder *decoder, struct slice *bytes, int *close_code,
                   struct error *err);

/* Encoders: append one masked client frame, whole or not at all. mask: 4 bytes from a CSPRNG
 * (section 5.3). Control payloads over 125 bytes and text that is not UTF-8 are ERR_INVAL. */
int ws_frame_write(struct buf *out, enum ws_type type, struct slice payload, const uint8_t mask[4]);
/* A text or binary message as such a frame, compressed where the terms allow it and it pays. */
int ws_message_write(struct buf *out, const struct deflate_terms *terms, enum ws_type type,
                     struct slice payload, const uint8_t mask[4]);
/* code WS_CLOSE_NONE: empty close frame. Codes that may not be sent (section 7.4) are ERR_INVAL; a
 * reason is cut to LIMIT_CLOSE_REASON bytes at a character. */
int ws_close_write(struct buf *out, int code, struct slice reason, const uint8_t mask[4]);
/* True if a peer may put this code into a close frame. */
bool ws_close_code_valid(int code);

#endif
