/*
 * Bytes pass two stages. The head scanner looks at the raw bytes of the header block only: its
 * length, bare CR, control bytes, folded lines. The libraries differ in how much of that they let
 * through, and a rule that decides where a message ends must not depend on the one installed. What
 * the scanner has seen goes to the library, which splits it and finds the end of the body.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "wire/http.h"
#include "wire/http_engine.h"
#include "wire/http_text.h"

/* Where the scanner is within a line. */
enum scan { SCAN_START, SCAN_START_CR, SCAN_LINE, SCAN_LINE_CR, SCAN_END };

enum part { PART_NONE, PART_NAME, PART_VALUE };

struct http_parser_state {
    engine engine;
    engine_settings settings;
    struct http_response response;
    size_t body_max;
    bool body_strict;
    bool tunnel; /* a 2xx opens one */
    enum scan scan;
    size_t head_bytes; /* of all header blocks, those of 1xx answers and the trailer included */
    enum part part;
    size_t value; /* where the value being collected begins in response.headers */
    bool headers_done;
    bool message_done; /* of a 1xx answer too */
    bool done;
    struct error error; /* code 0 while all is well */
};

static struct http_parser_state *state_of(engine *e)
{
    return e->data;
}

/* What callbacks return to stop the library for good. */
static int fail(struct http_parser_state *parser, int code, const char *text)
{
    error_set(&parser->error, code, "HTTP answer: %s", text);
    return -1;
}

static int fail_memory(struct http_parser_state *parser)
{
    return fail(parser, ERR_NOMEM, error_text(ERR_NOMEM));
}

static int count_head(struct http_parser_state *parser, size_t n)
{
    parser->head_bytes += n;
    if (parser->head_bytes <= LIMIT_HTTP_HEADERS)
        return 0;
    error_set(&parser->error, ERR_LIMIT, "HTTP answer: header block over %d bytes",
              LIMIT_HTTP_HEADERS);
    return -1;
}

/* ---- stage 1 ---- */

static int scan_byte(struct http_parser_state *parser, char c)
{
    unsigned char byte = (unsigned char)c;
    bool after_cr = parser->scan == SCAN_START_CR || parser->scan == SCAN_LINE_CR;
    bool at_start = parser->scan == SCAN_START || parser->scan == SCAN_START_CR;

    if (c == '\n') {
        parser->scan = at_start ? SCAN_END : SCAN_START;
        return 0;
    }
    if (after_cr)
        return fail(parser, ERR_PROTOCOL, "CR without LF in the header block");
    if (c == '\r') {
        parser->scan = at_start ? SCAN_START_CR : SCAN_LINE_CR;
        return 0;
    }
    if (at_start && (c == ' ' || c == '\t'))
        return fail(parser, ERR_PROTOCOL, "folded header line (RFC 9112 5.2 forbids it)");
    if ((byte < 0x20 && c != '\t') || byte == 0x7F)
        return fail(parser, ERR_PROTOCOL, "control byte in the header block");
    parser->scan = SCAN_LINE;
    return 0;
}

/* How many of the bytes belong to the header block: in *n. */
static int scan_head(struct http_parser_state *parser, const char *bytes, size_t *n)
{
    for (size_t i = 0; i < *n; i++) {
        if (count_head(parser, 1) != 0 || scan_byte(parser, bytes[i]) != 0)
            return -1;
        if (parser->scan == SCAN_END) {
            *n = i + 1;
            break;
        }
    }
    return 0;
}

/* ---- stage 2: the library's callbacks ---- */

static int begin_value(struct http_parser_state *parser)
{
    if (buf_append_str(&parser->response.headers, ": ") != 0)
        return fail_memory(parser);
    parser->value = parser->response.headers.len;
    parser->part = PART_VALUE;
    return 0;
}

static int end_line(struct http_parser_state *parser)
{
    struct buf *headers = &parser->response.headers;

    if (parser->part == PART_NONE)
        return 0;
    if (parser->part == PART_NAME && begin_value(parser) != 0)
        return -1;
    while (headers->len > parser->value &&
           (headers->data[headers->len - 1] == ' ' || headers->data[headers->len - 1] == '\t'))
        headers->len--;
    parser->part = PART_NONE;
    return buf_append_byte(headers, '\n') != 0 ? fail_memory(parser) : 0;
}

static int on_header_field(engine *e, const char *at, size_t n)
{
    struct http_parser_state *parser = state_of(e);
    struct buf *headers = &parser->response.headers;

    if (parser->headers_done) /* a trailer: may be discarded, RFC 9110 6.5 */
        return count_head(parser, n);
    if (parser->part != PART_NAME && end_line(parser) != 0)
        return -1;
    if (n > 0 && !http_is_token(slice_make(at, n)))
        return fail(parser, ERR_PROTOCOL, "header name with an illegal character");
    if (buf_reserve(headers, n) != 0)
        return fail_memory(parser);
    parser->part = PART_NAME;
    for (size_t i = 0; i < n; i++)
        headers->data[headers->len++] = http_lower(at[i]);
    return 0;
}

static int on_header_value(engine *e, const char *at, size_t n)
{
    struct http_parser_state *parser = state_of(e);

    if (parser->headers_done)
        return count_head(parser, n);
    if (parser->part == PART_NAME && begin_value(parser) != 0)
        return -1;
    return buf_append(&parser->response.headers, at, n) != 0 ? fail_memory(parser) : 0;
}

/*
 * RFC 9112 6.3: who takes the body's length from one header while the next hop takes it from the
 * other can be made to see a message that is not there. We ask for no transfer coding, so that
 * "chunked" is all that may come.
 */
static int check_framing(struct http_parser_state *parser)
{
    const struct http_response *response = &parser->response;
    struct buf coding;
    int rc = 0;

    if (http_response_header(response, "transfer-encoding").ptr == NULL)
        return 0;
    if (http_response_header(response, "content-length").ptr != NULL)
        return fail(parser, ERR_PROTOCOL, "both Content-Length and Transfer-Encoding");
    if (parser->engine.http_minor == 0)
        return fail(parser, ERR_PROTOCOL, "Transfer-Encoding in HTTP/1.0");
    buf_init(&coding, BUF_UNBOUNDED);
    if (http_response_header_joined(response, "transfer-encoding", &coding) != 0)
        rc = fail_memory(parser);
    else if (!http_eq_nocase(buf_slice(&coding), SLICE("chunked")))
        rc = fail(parser, ERR_PROTOCOL, "Transfer-Encoding other than chunked");
    buf_fini(&coding);
    return rc;
}

/* RFC 9112 6.3, whatever length the header may name. */
static bool status_has_body(int status)
{
    return status / 100 != 1 && status != 204 && status != 304;
}

static int on_headers_complete(engine *e)
{
    struct http_parser_state *parser = state_of(e);
    bool opens;

    if (end_line(parser) != 0)
        return -1;
    parser->response.status = e->status_code;
    if (e->http_major != 1) {
        error_set(&parser->error, ERR_PROTOCOL, "HTTP answer: version %u.%u where 1.1 was asked",
                  e->http_major, e->http_minor);
        return -1;
    }
    if (e->status_code < 100 || e->status_code > 999)
        return fail(parser, ERR_PROTOCOL, "status is not of three digits");
    opens = parser->tunnel && e->status_code / 100 == 2;
    if (!opens && check_framing(parser) != 0)
        return -1;
    parser->headers_done = true;
    parser->response.upgrade = opens || parser->response.status == 101;
    if (parser->response.upgrade)
        return ENGINE_UPGRADE;
    return status_has_body(parser->response.status) ? 0 : ENGINE_NO_BODY;
}

static int on_body(engine *e, const char *at, size_t n)
{
    struct http_parser_state *parser = state_of(e);
    struct buf *body = &parser->response.body;
    size_t room = parser->body_max - body->len;

    if (n > room && parser->body_strict) {
        error_set(&parser->error, ERR_LIMIT, "HTTP answer: body over %zu bytes", parser->body_max);
        return -1;
    }
    if (n > room) {
        parser->response.body_cut = true;
        n = room;
    }
    return buf_append(body, at, n) != 0 ? fail_memory(parser) : 0;
}

static int on_message_complete(engine *e)
{
    struct http_parser_state *parser = state_of(e);

    parser->message_done = true;
    parser->response.keep_alive = !parser->response.upgrade && engine_keep_alive(e);
    return engine_stop(e);
}

/* ---- the parser ---- */

static void begin_message(struct http_parser_state *parser)
{
    engine_init(&parser->engine, &parser->settings, parser);
    buf_clear(&parser->response.headers);
    parser->response.status = 0;
    parser->scan = SCAN_START;
    parser->part = PART_NONE;
    parser->headers_done = false;
    parser->message_done = false;
}

int http_parser_new(bool body_strict, size_t body_max, struct http_parser_state **out)
{
    struct http_parser_state *parser = calloc(1, sizeof *parser);

    if (parser == NULL)
        return ERR_NOMEM;
    parser->body_strict = body_strict;
    parser->body_max = body_max;
    parser->settings.on_header_field = on_header_field;
    parser->settings.on_header_value = on_header_value;
    parser->settings.on_headers_complete = on_headers_complete;
    parser->settings.on_body = on_body;
    parser->settings.on_message_complete = on_message_complete;
    /* "a:b" and LF becomes "a: b" and LF: one byte more for each line of at least three. */
    buf_init(&parser->response.headers, 2 * LIMIT_HTTP_HEADERS);
    buf_init(&parser->response.body, body_max);
    begin_message(parser);
    *out = parser;
    return 0;
}

void http_parser_expect_tunnel(struct http_parser_state *parser)
{
    parser->tunnel = true;
}

void http_parser_free(struct http_parser_state *parser)
{
    if (parser == NULL)
        return;
    buf_wipe(&parser->response.headers); /* cookies and tokens come in both */
    buf_wipe(&parser->response.body);
    buf_fini(&parser->response.headers);
    buf_fini(&parser->response.body);
    free(parser);
}

static int report(const struct http_parser_state *parser, struct error *err)
{
    return error_set(err, parser->error.code, "%s", parser->error.text);
}

/* One run of the library over bytes that are all head or all body. */
static int run(struct http_parser_state *parser, const char *bytes, size_t n, size_t *used)
{
    if (!engine_run(&parser->engine, &parser->settings, bytes, n, used)) {
        if (parser->error.code == 0)
            error_set(&parser->error, ERR_PROTOCOL, "HTTP answer: %s",
                      engine_reason(&parser->engine));
        return -1;
    }
    if (parser->scan == SCAN_END && !parser->headers_done)
        return fail(parser, ERR_PROTOCOL, "empty line before the status line");
    return 0;
}

int http_parser_feed(struct http_parser_state *parser, const char *bytes, size_t n, size_t *used,
                     bool *done, struct error *err)
{
    size_t at = 0;

    while (at < n && !parser->done && parser->error.code == 0) {
        size_t part = n - at;
        size_t consumed = 0;

        if (!parser->headers_done && scan_head(parser, bytes + at, &part) != 0)
            break;
        if (run(parser, bytes + at, part, &consumed) != 0)
            break;
        assert(consumed > 0);
        at += consumed;
        if (!parser->message_done)
            continue;
        if (parser->response.status / 100 == 1 && !parser->response.upgrade)
            begin_message(parser);
        else
            parser->done = true;
    }
    *used = at;
    *done = parser->done;
    return parser->error.code == 0 ? 0 : report(parser, err);
}

int http_parser_eof(struct http_parser_state *parser, struct error *err)
{
    if (parser->error.code != 0)
        return report(parser, err);
    if (parser->done)
        return 0;
    if (parser->headers_done && engine_finish(&parser->engine, &parser->settings) &&
        parser->message_done) {
        parser->done = true;
        return 0;
    }
    if (parser->error.code == 0)
        fail(parser, ERR_PROTOCOL,
             parser->headers_done ? "the connection ended within the body"
             : parser->head_bytes ? "the connection ended within the header block"
                                  : "the connection ended without an answer");
    return report(parser, err);
}

void http_parser_drop_body(struct http_parser_state *parser)
{
    buf_clear(&parser->response.body);
}

bool http_parser_headers_done(const struct http_parser_state *parser)
{
    return parser->headers_done;
}

const struct http_response *http_parser_response(const struct http_parser_state *parser)
{
    return &parser->response;
}
