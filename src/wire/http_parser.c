/*
 * A header block passes two stages. The head scanner looks at the raw bytes: their number, bare CR,
 * control bytes, folded lines. The libraries differ in how much of that they let through, and a
 * rule that decides where a message ends must not depend on the one installed. What the scanner has
 * seen goes to the library, which splits it. The body is http_body's, but for the trailer section,
 * which the head scanner takes too.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "wire/http_body.h"
#include "wire/http_engine.h"
#include "wire/http_text.h"

/* Where the scanner is within a line. */
enum scan { SCAN_START, SCAN_START_CR, SCAN_LINE, SCAN_LINE_CR, SCAN_END };

enum part { PART_NONE, PART_NAME, PART_VALUE };

struct http_parser_state {
    engine engine;
    engine_settings settings;
    struct http_response response;
    struct http_body body;
    bool decode, headless;
    bool tunnel; /* a 2xx opens one */
    enum scan scan;
    size_t head_bytes; /* of all header blocks, those of 1xx answers and the trailer included */
    enum part part;
    size_t value; /* where the value being collected begins in response.headers */
    bool headers_done;
    bool trailer; /* the trailer section has begun */
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

    if (parser->part == PART_NAME && begin_value(parser) != 0)
        return -1;
    return buf_append(&parser->response.headers, at, n) != 0 ? fail_memory(parser) : 0;
}

/* RFC 9112 9.3, as far as the header tells; what the body says is added when it is over. */
static int find_persistence(struct http_parser_state *parser)
{
    struct http_response *response = &parser->response;
    struct buf options;
    int rc;

    buf_init(&options, BUF_UNBOUNDED);
    rc = http_response_header_joined(response, "connection", &options);
    response->keep_alive =
        !http_list_has(buf_slice(&options), SLICE("close")) &&
        (parser->engine.http_minor != 0 || http_list_has(buf_slice(&options), SLICE("keep-alive")));
    buf_fini(&options);
    return rc != 0 ? fail_memory(parser) : 0;
}

static int on_headers_complete(engine *e)
{
    struct http_parser_state *parser = state_of(e);
    struct error err;
    bool opens;
    int rc;

    if (end_line(parser) != 0)
        return -1;
    parser->response.status = e->status_code;
    parser->response.minor = e->http_minor;
    if (e->http_major != 1) {
        error_set(&parser->error, ERR_PROTOCOL, "HTTP answer: version %u.%u where 1.1 was asked",
                  e->http_major, e->http_minor);
        return -1;
    }
    if (e->status_code < 100 || e->status_code > 999)
        return fail(parser, ERR_PROTOCOL, "status is not of three digits");
    opens = parser->tunnel && e->status_code / 100 == 2;
    parser->response.upgrade = opens || parser->response.status == 101;
    rc = opens ? 0
               : http_body_begin(&parser->body, &parser->response, e->http_minor, parser->headless,
                                 parser->decode, &err);
    if (rc != 0)
        return fail(parser, rc, err.text);
    if (find_persistence(parser) != 0)
        return -1;
    parser->headers_done = true;
    return ENGINE_STOP;
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
}

int http_parser_new(enum http_body_mode mode, size_t body_max, struct http_parser_state **out)
{
    struct http_parser_state *parser = calloc(1, sizeof *parser);

    if (parser == NULL)
        return ERR_NOMEM;
    assert(mode != HTTP_BODY_PIECES || body_max != 0);
    parser->body.mode = mode;
    parser->settings.on_header_field = on_header_field;
    parser->settings.on_header_value = on_header_value;
    parser->settings.on_headers_complete = on_headers_complete;
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
    http_body_fini(&parser->body);
    free(parser);
}

void http_parser_decode(struct http_parser_state *parser)
{
    parser->decode = true;
}

void http_parser_headless(struct http_parser_state *parser)
{
    parser->headless = true;
}

static int report(const struct http_parser_state *parser, struct error *err)
{
    return error_set(err, parser->error.code, "%s", parser->error.text);
}

/* A run of the header block: scanned, then split. Returns how many bytes it took. */
static size_t feed_head(struct http_parser_state *parser, const char *bytes, size_t n)
{
    size_t consumed = 0;

    if (scan_head(parser, bytes, &n) != 0)
        return 0;
    if (!engine_run(&parser->engine, &parser->settings, bytes, n, &consumed)) {
        if (parser->error.code == 0)
            error_set(&parser->error, ERR_PROTOCOL, "HTTP answer: %s",
                      engine_reason(&parser->engine));
        return 0;
    }
    if (parser->scan == SCAN_END && !parser->headers_done)
        fail(parser, ERR_PROTOCOL, "empty line before the status line");
    return consumed;
}

static void message_complete(struct http_parser_state *parser)
{
    struct error err;
    int rc = http_body_check_end(&parser->body, &err);

    if (rc != 0)
        fail(parser, rc, err.text);
    else
        parser->done = true;
}

/* The trailer section's fields may be discarded (RFC 9110 6.5). */
static size_t feed_trailer(struct http_parser_state *parser, const char *bytes, size_t n)
{
    if (scan_head(parser, bytes, &n) != 0)
        return 0;
    if (parser->scan == SCAN_END)
        message_complete(parser);
    return n;
}

/* *full: no more can be taken before the body is dropped. */
static size_t feed_body(struct http_parser_state *parser, const char *bytes, size_t n, bool *full)
{
    struct slice in = slice_make(bytes, n);
    struct error err;
    int status = http_body_feed(&parser->body, &in, &parser->response, &err);

    if (status < 0)
        fail(parser, status, err.text);
    *full = status == HTTP_BODY_FULL;
    if (status == HTTP_BODY_DONE)
        message_complete(parser);
    if (status == HTTP_BODY_TRAILER) {
        parser->trailer = true;
        parser->scan = SCAN_START;
    }
    return n - in.len;
}

/* The header block is over: another protocol follows, another answer, or the body. */
static void head_complete(struct http_parser_state *parser)
{
    if (parser->response.upgrade) {
        parser->response.keep_alive = false;
        parser->done = true;
    } else if (parser->response.status / 100 == 1) {
        begin_message(parser);
    }
}

int http_parser_feed(struct http_parser_state *parser, const char *bytes, size_t n, size_t *used,
                     bool *done, struct error *err)
{
    size_t at = 0;
    bool full = false;

    while (!parser->done && parser->error.code == 0 && !full) {
        if (!parser->headers_done) {
            if (at == n)
                break;
            at += feed_head(parser, bytes + at, n - at);
            if (parser->headers_done)
                head_complete(parser);
        } else if (parser->trailer) {
            if (at == n)
                break;
            at += feed_trailer(parser, bytes + at, n - at);
        } else {
            at += feed_body(parser, bytes + at, n - at, &full);
            if (at == n)
                break;
        }
    }
    *used = at;
    *done = parser->done;
    return parser->error.code == 0 ? 0 : report(parser, err);
}

static const char *ended_within(const struct http_parser_state *parser)
{
    return parser->head_bytes != 0 ? "the connection ended within the header block"
                                   : "the connection ended without an answer";
}

int http_parser_eof(struct http_parser_state *parser, struct error *err)
{
    struct error why;
    int rc;

    if (parser->error.code != 0)
        return report(parser, err);
    if (parser->done)
        return 0;
    if (!parser->headers_done) {
        fail(parser, ERR_PROTOCOL, ended_within(parser));
        return report(parser, err);
    }
    rc = http_body_eof(&parser->body, &why);
    if (rc != 0) {
        fail(parser, rc, why.text);
        return report(parser, err);
    }
    parser->response.keep_alive = false;
    parser->done = true;
    return 0;
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
