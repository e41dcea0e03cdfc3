/*
 * http_body: where the body of an answer ends, and what is in it. Private to wire.
 *
 * Decides: the framing (RFC 9112 6.3), by rules of ours alone: where a message ends must not depend
 * on the library that splits the header, and the installed ones let through what others read
 * differently. So: no Content-Length beside a Transfer-Encoding, nor twice; no coding but
 * "chunked"; chunks as RFC 9112 7.1 spells them, with CRLF at each end of line. And the content
 * coding "gzip", where it is wanted. Leaves: the trailer section, which is lines as in a header, to
 * http_parser.c. Owns: a gzip decoder where the body has that coding. Fails: ERR_PROTOCOL /
 * ERR_LIMIT / ERR_NOMEM with a text.
 */
#ifndef HAWSER_WIRE_HTTP_BODY_H
#define HAWSER_WIRE_HTTP_BODY_H

#include "wire/gzip.h"
#include "wire/http.h"

enum http_framing { HTTP_FRAMING_LENGTH, HTTP_FRAMING_CHUNKED, HTTP_FRAMING_UNTIL_END };

/* Where a chunked body is. */
enum http_chunk {
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK_BLANK, /* behind the size */
    HTTP_CHUNK_EXTENSION,
    HTTP_CHUNK_SIZE_LF,
    HTTP_CHUNK_DATA,
    HTTP_CHUNK_DATA_LF,
    HTTP_CHUNK_LAST, /* the trailer section follows */
};

struct http_body {
    enum http_body_mode mode;
    enum http_framing framing;
    enum http_chunk chunk;
    uint64_t left;     /* bytes of the whole body, or of this chunk */
    unsigned digits;   /* of the chunk's size */
    unsigned line;     /* bytes of the chunk's first line */
    struct gzip *gzip; /* NULL: the content is as it comes */
    bool filled;       /* gzip has filled all the room: there may be more inside */
    bool skipped;      /* the rest is not wanted */
};

/* What to expect after this header block; headless: the answer to a HEAD. */
int http_body_begin(struct http_body *body, const struct http_response *response, int minor,
                    bool headless, bool decode, struct error *err);
void http_body_fini(struct http_body *body);

enum http_body_status {
    HTTP_BODY_MORE,    /* all input is taken */
    HTTP_BODY_FULL,    /* HTTP_BODY_PIECES: response->body must be dropped first */
    HTTP_BODY_TRAILER, /* the trailer section is next */
    HTTP_BODY_DONE,
};
/* Takes body bytes off *in into response->body; returns what it waits for, or an error. */
int http_body_feed(struct http_body *body, struct slice *in, struct http_response *response,
                   struct error *err);
/* Whether a body may end with its connection here; what it lacks is in err. */
int http_body_eof(const struct http_body *body, struct error *err);
/* A body that came whole; gzip must have come to its end too. */
int http_body_check_end(const struct http_body *body, struct error *err);

#endif
