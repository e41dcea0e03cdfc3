/*
 * http: HTTP/1.1 messages, incrementally (RFC 9112), over http-parser or llhttp.
 *
 * Decides: what is a well-formed answer within LIMIT_HTTP_HEADERS; writes requests. Stricter than
 * RFC 9112 asks of a client: folded header lines, both Content-Length and Transfer-Encoding, any
 * coding but "chunked", a bare CR and control bytes are refused, whichever library is underneath:
 * that splits header blocks and no more.
 * Leaves: the meaning of statuses to profile and session; sockets to net.
 * Owns: a parser holds its header block (twice LIMIT_HTTP_HEADERS at most), its body (body_max at
 * most) and, while it decodes one, some 40 KiB for gzip; header and body may hold secrets and are
 * wiped when freed.
 * Fails: ERR_PROTOCOL / ERR_LIMIT with a text, ERR_NOMEM.
 */
#ifndef HAWSER_WIRE_HTTP_H
#define HAWSER_WIRE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/* A parsed absolute URL: ws wss http https (RFC 3986). Slices into the given text. */
struct http_url {
    bool secure;       /* wss, https */
    bool websocket;    /* ws, wss */
    struct slice host; /* without brackets for IPv6 */
    bool host_is_ipv6;
    uint16_t port; /* default of the scheme where absent */
    /* Path and query, "/" where both are empty; begins with '?' where the path is: the writers put
     * the '/' before it. A fragment is an error (RFC 6455 3). */
    struct slice target;
};
/* ERR_PARSE, or ERR_LIMIT over LIMIT_HTTP_HEADERS bytes. The text never repeats path or query:
 * they may hold a secret. */
int http_url_parse(struct slice text, struct http_url *out, struct error *err);

/* Writes "METHOD target HTTP/1.1", Host, the given header lines ("Name: value\r\n" each) and, if
 * body.len or the method is POST, PUT or PATCH, Content-Length, then the body. ERR_INVAL, and
 * nothing written, for a header line that is not whole, has a control byte in it, or is one of
 * Host, Content-Length and Transfer-Encoding. */
int http_request_write(struct buf *out, struct slice method, const struct http_url *url,
                       struct slice headers, struct slice body);

/* Whether header lines as above have one of this name (in lower case). */
bool http_lines_have(struct slice lines, const char *name);

struct http_response {
    int status;
    unsigned minor; /* of HTTP/1.minor */
    bool keep_alive;
    bool upgrade;       /* 101, or 2xx to CONNECT: what follows is no HTTP */
    struct buf headers; /* "name: value\n" each, names lower-cased, values trimmed */
    struct buf body;    /* at most body_max bytes are kept */
    bool body_cut;      /* there was more */
};
/* The value of the first such header (name in lower case), .ptr NULL if absent. */
struct slice http_response_header(const struct http_response *response, const char *name);
/* Each value of a header that may stand more than once and must not be joined (Set-Cookie, RFC 9110
 * 5.3): *at begins as {NULL, 0}, and is the room's own. False: no more. */
bool http_response_header_next(const struct http_response *response, const char *name,
                               struct slice *at, struct slice *value);
/* All values joined by ", " into out (RFC 9110 5.3); nothing if there is no such header. */
int http_response_header_joined(const struct http_response *response, const char *name,
                                struct buf *out);
/* Retry-After as delay (RFC 9110 10.2.3), both forms; now_unix_s is the wall clock. -1: absent or
 * bad. A date gone by is 0. Capped at 24 h. */
int64_t http_retry_after_ms(const struct http_response *response, int64_t now_unix_s);

/* How long the peer will keep the connection for a further request, as it says in Keep-Alive
 * (RFC 2068 19.7.1.1): -1: it does not say; 0: not at all. */
int64_t http_keep_alive_ms(const struct http_response *response);

#define HTTP_CHUNK_LINE_MAX 1024 /* bytes of a chunk's size and extension */

/* What becomes of a body of more than body_max bytes. */
enum http_body_mode {
    HTTP_BODY_CUT,    /* the rest is skipped: response.body_cut */
    HTTP_BODY_STRICT, /* ERR_LIMIT */
    HTTP_BODY_PIECES, /* it is taken in pieces, of which each is dropped before the next comes */
};

struct http_parser_state;
/* body_max: bytes of body to keep, counted after decoding; 0 is not for HTTP_BODY_PIECES. 1xx
 * answers but 101 are skipped; their headers count against LIMIT_HTTP_HEADERS. Trailers are
 * dropped, and count too. */
int http_parser_new(enum http_body_mode mode, size_t body_max, struct http_parser_state **out);
void http_parser_free(struct http_parser_state *parser);
/* Before the first byte: the request said Accept-Encoding: gzip, and a body with that coding
 * (RFC 9110 8.4) is decoded. Any other coding is ERR_PROTOCOL with a 2xx; with another status the
 * body is then skipped (body_cut). */
void http_parser_decode(struct http_parser_state *parser);
/* Before the first byte: this answers a HEAD, and has no body whatever its header says. */
void http_parser_headless(struct http_parser_state *parser);
/* Feeds bytes. *used tells how many were consumed: less than n after the end of the message, or
 * after the header of a 101 (the rest belongs to the next protocol), or where HTTP_BODY_PIECES
 * waits for its body to be dropped. *done when the message is complete. A message that ends with
 * the connection: http_parser_eof(), which is ERR_PROTOCOL if the message is not complete then.
 * After a failure every call fails with the same error. */
int http_parser_feed(struct http_parser_state *parser, const char *bytes, size_t n, size_t *used,
                     bool *done, struct error *err);
int http_parser_eof(struct http_parser_state *parser, struct error *err);
/* HTTP_BODY_PIECES: forgets the body that has come so far, so that there is room again. Then feed
 * again, even nothing, while it yields body: there may be more inside. */
void http_parser_drop_body(struct http_parser_state *parser);
/* Before the first feed: the answer is one to CONNECT. A 2xx ends with its header, whatever length
 * that may name (RFC 9110 9.3.6), and what follows is the tunnel's: response->upgrade. */
void http_parser_expect_tunnel(struct http_parser_state *parser);
bool http_parser_headers_done(const struct http_parser_state *parser);
const struct http_response *http_parser_response(const struct http_parser_state *parser);

#endif
