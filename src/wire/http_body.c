#include "wire/http_body.h"

#include "base/limits.h"
#include "wire/http_text.h"

enum { INFLATE_STEP = 16 * 1024 }; /* bytes of room that are made at once */

/* ---- the header says ---- */

/* RFC 9112 6.3, whatever length the header may name. */
static bool status_has_body(int status)
{
    return status / 100 != 1 && status != 204 && status != 304;
}

static int joined(const struct http_response *response, const char *name, struct buf *out,
                  struct error *err)
{
    buf_init(out, BUF_UNBOUNDED);
    if (http_response_header_joined(response, name, out) != 0)
        return error_set(err, ERR_NOMEM, "%s", error_text(ERR_NOMEM));
    return 0;
}

/* We ask for no transfer coding, so that "chunked" is all that may come. */
static int check_coding(const struct http_response *response, int minor, struct error *err)
{
    struct buf coding;
    int rc;

    if (http_response_header(response, "content-length").ptr != NULL)
        return error_set(err, ERR_PROTOCOL, "both Content-Length and Transfer-Encoding");
    if (minor == 0)
        return error_set(err, ERR_PROTOCOL, "Transfer-Encoding in HTTP/1.0");
    rc = joined(response, "transfer-encoding", &coding, err);
    if (rc == 0 && !http_eq_nocase(buf_slice(&coding), SLICE("chunked")))
        rc = error_set(err, ERR_PROTOCOL, "Transfer-Encoding other than chunked");
    buf_fini(&coding);
    return rc;
}

/* Two of them, even if they agree, are joined to what is no number. */
static int parse_length(const struct http_response *response, uint64_t *length, struct error *err)
{
    struct buf text;
    int rc = joined(response, "content-length", &text, err);

    if (rc == 0 && slice_parse_u64(buf_slice(&text), length) != 0)
        rc = error_set(err, ERR_PROTOCOL, "Content-Length is not one number");
    buf_fini(&text);
    return rc;
}

static int find_framing(struct http_body *body, const struct http_response *response, int minor,
                        struct error *err)
{
    if (http_response_header(response, "transfer-encoding").ptr != NULL) {
        body->framing = HTTP_FRAMING_CHUNKED;
        return check_coding(response, minor, err);
    }
    if (http_response_header(response, "content-length").ptr != NULL) {
        body->framing = HTTP_FRAMING_LENGTH;
        return parse_length(response, &body->left, err);
    }
    body->framing = HTTP_FRAMING_UNTIL_END;
    return 0;
}

static bool is_good(const struct http_response *response)
{
    return response->status >= 200 && response->status <= 299;
}

/* A coding that was not asked for is no answer; an error is one without its body too. */
static int find_decoder(struct http_body *body, const struct http_response *response,
                        struct error *err)
{
    struct buf coding;
    struct slice name;
    int rc = joined(response, "content-encoding", &coding, err);

    name = buf_slice(&coding);
    if (rc != 0 || name.len == 0 || http_eq_nocase(name, SLICE("identity"))) {
        /* as it comes */
    } else if (http_eq_nocase(name, SLICE("gzip")) || http_eq_nocase(name, SLICE("x-gzip"))) {
        if (gzip_new(&body->gzip) != 0)
            rc = error_set(err, ERR_NOMEM, "%s", error_text(ERR_NOMEM));
    } else if (is_good(response)) {
        rc = error_set(err, ERR_PROTOCOL,
                       "Content-Encoding \"%.40s\", where only gzip was asked for",
                       buf_cstr(&coding));
    } else {
        body->skipped = true;
    }
    buf_fini(&coding);
    return rc;
}

int http_body_begin(struct http_body *body, const struct http_response *response, int minor,
                    bool headless, bool decode, struct error *err)
{
    int rc = find_framing(body, response, minor, err);

    if (rc != 0)
        return rc;
    if (headless || !status_has_body(response->status)) {
        body->framing = HTTP_FRAMING_LENGTH;
        body->left = 0;
        return 0;
    }
    return decode ? find_decoder(body, response, err) : 0;
}

void http_body_fini(struct http_body *body)
{
    gzip_free(body->gzip);
    body->gzip = NULL;
}

/* ---- content ---- */

/* There is more than body_max. */
static int overflow(struct http_body *body, struct slice *run, struct http_response *response,
                    struct error *err)
{
    switch (body->mode) {
    case HTTP_BODY_CUT:
        response->body_cut = true;
        body->skipped = true;
        *run = slice_from(*run, run->len);
        return 0;
    case HTTP_BODY_STRICT:
        return error_set(err, ERR_LIMIT, "body over %zu bytes", response->body.max);
    case HTTP_BODY_PIECES:
        break;
    }
    return 0;
}

static int no_memory(struct error *err)
{
    return error_set(err, ERR_NOMEM, "%s", error_text(ERR_NOMEM));
}

static int store(struct http_body *body, struct slice *run, struct http_response *response,
                 struct error *err)
{
    size_t room = response->body.max - response->body.len;
    size_t n = run->len < room ? run->len : room;

    if (buf_append(&response->body, run->ptr, n) != 0)
        return no_memory(err);
    *run = slice_from(*run, n);
    return run->len != 0 ? overflow(body, run, response, err) : 0;
}

/* Fills the room that is there; past the last of it one byte more shows whether there is more. */
static int inflate_into(struct http_body *body, struct slice *run, struct buf *out, bool *over,
                        struct error *err)
{
    size_t n, room = out->max - out->len;
    char probe;
    int rc;

    if (room > INFLATE_STEP)
        room = INFLATE_STEP;
    if (room != 0 && buf_reserve(out, room) != 0)
        return no_memory(err);
    if (room != 0) {
        rc = gzip_feed(body->gzip, run, out->data + out->len, room, &n, err);
        out->len += n;
        body->filled = n == room;
        return rc;
    }
    rc = gzip_feed(body->gzip, run, &probe, 1, &n, err);
    body->filled = false;
    *over = n != 0;
    return rc;
}

static int gunzip(struct http_body *body, struct slice *run, struct http_response *response,
                  struct error *err)
{
    bool over = false;
    int rc = 0;

    do {
        if (body->mode == HTTP_BODY_PIECES && response->body.len == response->body.max)
            return 0;
        rc = inflate_into(body, run, &response->body, &over, err);
    } while (rc == 0 && !over && (run->len != 0 || body->filled));
    if (over)
        return overflow(body, run, response, err);
    if (rc == ERR_PROTOCOL && !is_good(response)) {
        /* What has come of an error's body must do. */
        response->body_cut = true;
        body->skipped = true;
        body->filled = false;
        *run = slice_from(*run, run->len);
        return 0;
    }
    return rc;
}

/* Takes what it can off this run of content. */
static int content(struct http_body *body, struct slice *run, struct http_response *response,
                   struct error *err)
{
    if (body->skipped) {
        response->body_cut |= run->len != 0;
        *run = slice_from(*run, run->len);
        return 0;
    }
    return body->gzip != NULL ? gunzip(body, run, response, err) : store(body, run, response, err);
}

/* ---- chunks, RFC 9112 7.1 ---- */

static int hex_value(char c)
{
    c = http_lower(c);
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int chunk_fail(struct error *err, const char *what)
{
    return error_set(err, ERR_PROTOCOL, "chunked body: %s", what);
}

static int size_byte(struct http_body *body, char c, struct error *err)
{
    int digit = hex_value(c);

    if (digit >= 0) {
        if (body->left >> 60 != 0)
            return chunk_fail(err, "a chunk's size does not fit 64 bits");
        body->left = body->left << 4 | (uint64_t)digit;
        body->digits++;
        return 0;
    }
    if (body->digits == 0)
        return chunk_fail(err, "a chunk's size is no hexadecimal number");
    if (c == '\r')
        body->chunk = HTTP_CHUNK_SIZE_LF;
    else if (c == ';')
        body->chunk = HTTP_CHUNK_EXTENSION;
    else if (c == ' ' || c == '\t')
        body->chunk = HTTP_CHUNK_BLANK;
    else
        return chunk_fail(err, "a chunk's size is no hexadecimal number");
    return 0;
}

static int extension_byte(struct http_body *body, char c, struct error *err)
{
    bool blank = c == ' ' || c == '\t';

    if (c == '\r')
        body->chunk = HTTP_CHUNK_SIZE_LF;
    else if (body->chunk == HTTP_CHUNK_BLANK && c == ';')
        body->chunk = HTTP_CHUNK_EXTENSION;
    else if (body->chunk == HTTP_CHUNK_BLANK && !blank)
        return chunk_fail(err, "something other than an extension follows a chunk's size");
    else if (!http_is_value(slice_make(&c, 1)))
        return chunk_fail(err, "control byte in a chunk's extension");
    return 0;
}

static void chunk_begin(struct http_body *body)
{
    body->chunk = HTTP_CHUNK_SIZE;
    body->left = 0;
    body->digits = 0;
    body->line = 0;
}

/* One byte of what lies around the data. */
static int chunk_byte(struct http_body *body, char c, struct error *err)
{
    if (++body->line > HTTP_CHUNK_LINE_MAX)
        return error_set(err, ERR_LIMIT, "chunked body: a chunk's size and extension over %d bytes",
                         HTTP_CHUNK_LINE_MAX);
    switch (body->chunk) {
    case HTTP_CHUNK_SIZE:
        return size_byte(body, c, err);
    case HTTP_CHUNK_BLANK:
    case HTTP_CHUNK_EXTENSION:
        return extension_byte(body, c, err);
    case HTTP_CHUNK_SIZE_LF:
        if (c != '\n')
            return chunk_fail(err, "CR without LF behind a chunk's size");
        body->chunk = body->left == 0 ? HTTP_CHUNK_LAST : HTTP_CHUNK_DATA;
        body->line = 0;
        return 0;
    case HTTP_CHUNK_DATA: /* is over */
        if (c != '\r')
            return chunk_fail(err, "a chunk is longer than its size");
        body->chunk = HTTP_CHUNK_DATA_LF;
        return 0;
    case HTTP_CHUNK_DATA_LF:
        if (c != '\n')
            return chunk_fail(err, "CR without LF behind a chunk");
        chunk_begin(body);
        return 0;
    case HTTP_CHUNK_LAST:
        break;
    }
    return 0;
}

/* ---- the body ---- */

/* How many of the next n bytes are content. */
static size_t content_run(const struct http_body *body, size_t n)
{
    if (body->framing == HTTP_FRAMING_UNTIL_END)
        return n;
    if (body->framing == HTTP_FRAMING_CHUNKED && body->chunk != HTTP_CHUNK_DATA)
        return 0;
    return body->left < n ? (size_t)body->left : n;
}

static bool is_over(const struct http_body *body)
{
    switch (body->framing) {
    case HTTP_FRAMING_LENGTH:
        return body->left == 0;
    case HTTP_FRAMING_CHUNKED:
        return body->chunk == HTTP_CHUNK_LAST;
    case HTTP_FRAMING_UNTIL_END:
        break;
    }
    return false;
}

int http_body_feed(struct http_body *body, struct slice *in, struct http_response *response,
                   struct error *err)
{
    for (;;) {
        struct slice run = slice_make(in->ptr, content_run(body, in->len));
        size_t offered = run.len;
        int rc = 0;

        if (offered != 0 || body->filled) {
            rc = content(body, &run, response, err);
            *in = slice_from(*in, offered - run.len);
            if (body->framing != HTTP_FRAMING_UNTIL_END)
                body->left -= offered - run.len;
            if (rc == 0 && (run.len != 0 || body->filled))
                return HTTP_BODY_FULL;
        } else if (is_over(body)) {
            return body->framing == HTTP_FRAMING_CHUNKED ? HTTP_BODY_TRAILER : HTTP_BODY_DONE;
        } else if (in->len == 0) {
            return HTTP_BODY_MORE;
        } else {
            rc = chunk_byte(body, in->ptr[0], err);
            *in = slice_from(*in, 1);
        }
        if (rc != 0)
            return rc;
    }
}

int http_body_check_end(const struct http_body *body, struct error *err)
{
    if (body->skipped || body->gzip == NULL || gzip_complete(body->gzip))
        return 0;
    return error_set(err, ERR_PROTOCOL, "the body ended within its gzip coding");
}

int http_body_eof(const struct http_body *body, struct error *err)
{
    if (body->framing != HTTP_FRAMING_UNTIL_END || body->filled)
        return error_set(err, ERR_PROTOCOL, "the connection ended within the body");
    return http_body_check_end(body, err);
}
