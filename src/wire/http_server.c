#include "wire/http_server.h"

#include "base/error.h"
#include "base/utf8.h"
#include "wire/http_text.h"

static ptrdiff_t refuse(struct http_server_refusal *refusal, int status, const char *reason)
{
    *refusal = (struct http_server_refusal){status, reason};
    return -1;
}

/* ---- the end of the head ---- */

/* The line that begins there, without its end. False: its end has not come. */
static bool take_line(struct slice bytes, size_t *at, struct slice *line)
{
    struct slice rest = slice_from(bytes, *at);
    const char *end = slice_find_byte(rest, '\n');
    if (end == NULL)
        return false;
    *line = slice_make(rest.ptr, (size_t)(end - rest.ptr));
    *at += line->len + 1;
    if (line->len > 0 && line->ptr[line->len - 1] == '\r')
        line->len--;
    return true;
}

/* Bytes of the empty lines in front. */
static size_t skip_empty(struct slice bytes)
{
    size_t at = 0, next = 0;
    struct slice line;
    while (take_line(bytes, &next, &line) && line.len == 0)
        at = next;
    return at;
}

/* Where the empty line ends that ends the head, looking on from *scanned, the start of a line. */
static size_t find_end(struct slice bytes, size_t *scanned)
{
    size_t at = *scanned;
    struct slice line;
    while (take_line(bytes, &at, &line)) {
        *scanned = at;
        if (line.len == 0)
            return at;
    }
    return 0;
}

/* What is too long already, while it still comes. */
static ptrdiff_t unfinished(struct slice bytes, size_t begin, struct http_server_refusal *refusal)
{
    struct slice rest = slice_from(bytes, begin);
    if (slice_find_byte(rest, '\n') == NULL && rest.len > HTTP_SERVER_LINE_MAX)
        return refuse(refusal, 414, "the request line is too long");
    if (bytes.len > HTTP_SERVER_HEAD_MAX)
        return refuse(refusal, 431, "the headers are too long");
    return 0;
}

/* ---- the request line ---- */

static struct slice take_word(struct slice *line)
{
    const char *blank = slice_find_byte(*line, ' ');
    size_t n = blank != NULL ? (size_t)(blank - line->ptr) : line->len;
    struct slice word = slice_make(line->ptr, n);
    *line = slice_from(*line, blank != NULL ? n + 1 : n);
    return word;
}

static bool is_visible(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= ' ' || (unsigned char)text.ptr[i] >= 0x7F)
            return false;
    return text.len > 0;
}

/* "/path?query", or a whole URL, as a proxy would get it (RFC 9112 3.2). */
static bool take_target(struct slice target, struct http_server_request *out)
{
    if (slice_starts_with(target, SLICE("http://"))) {
        target = slice_from(target, strlen("http://"));
        size_t n = 0;
        while (n < target.len && target.ptr[n] != '/' && target.ptr[n] != '?')
            n++;
        out->host = slice_make(target.ptr, n);
        target = n < target.len ? slice_from(target, n) : SLICE("/");
        if (n == 0)
            return false;
    }
    const char *mark = slice_find_byte(target, '?');
    out->path = mark != NULL ? slice_make(target.ptr, (size_t)(mark - target.ptr)) : target;
    out->query = mark != NULL ? slice_from(target, out->path.len + 1) : slice_make(NULL, 0);
    if (out->path.len == 0 && mark != NULL && out->host.ptr != NULL)
        out->path = SLICE("/");
    return slice_starts_with(out->path, SLICE("/")) && slice_find_byte(target, '#') == NULL;
}

static ptrdiff_t parse_line(struct slice line, struct http_server_request *out, bool *is_11,
                            struct http_server_refusal *refusal)
{
    if (line.len > HTTP_SERVER_LINE_MAX)
        return refuse(refusal, 414, "the request line is too long");
    struct slice method = take_word(&line);
    struct slice target = take_word(&line);
    if (!http_is_token(method) || !is_visible(target))
        return refuse(refusal, 400, "the first line is no request line");
    *is_11 = slice_eq(line, SLICE("HTTP/1.1"));
    if (!*is_11 && !slice_eq(line, SLICE("HTTP/1.0"))) {
        bool http = slice_starts_with(line, SLICE("HTTP/")) && line.len == strlen("HTTP/1.1");
        return http ? refuse(refusal, 505, "HTTP/1.1 and HTTP/1.0 are spoken here")
                    : refuse(refusal, 400, "the first line is no request line");
    }
    out->method = slice_eq(method, SLICE("GET"))    ? HTTP_METHOD_GET
                  : slice_eq(method, SLICE("HEAD")) ? HTTP_METHOD_HEAD
                                                    : HTTP_METHOD_OTHER;
    return take_target(target, out) ? 0 : refuse(refusal, 400, "the target is no path");
}

/* ---- the headers ---- */

struct head {
    struct http_server_request *out;
    struct slice host;
    bool close, keep_alive, has_length, body;
    struct http_server_refusal *refusal;
};

static bool is_zero(struct slice digits)
{
    uint64_t value;
    return slice_parse_u64(digits, &value) == 0 && value == 0;
}

/* One that may stand once only. */
static ptrdiff_t keep(struct head *head, struct slice *where, struct slice value)
{
    if (where->ptr != NULL)
        return refuse(head->refusal, 400, "a header stands twice that may stand once");
    *where = value;
    return 0;
}

static ptrdiff_t take_header(struct head *head, struct slice name, struct slice value)
{
    if (http_eq_nocase(name, SLICE("host")))
        return keep(head, &head->host, value);
    if (http_eq_nocase(name, SLICE("authorization")))
        return keep(head, &head->out->authorization, value);
    if (http_eq_nocase(name, SLICE("last-event-id")))
        return keep(head, &head->out->last_event_id, value);
    if (http_eq_nocase(name, SLICE("connection"))) {
        head->close = head->close || http_list_has(value, SLICE("close"));
        head->keep_alive = head->keep_alive || http_list_has(value, SLICE("keep-alive"));
    } else if (http_eq_nocase(name, SLICE("content-length"))) {
        if (head->has_length || value.len == 0)
            return refuse(head->refusal, 400, "a bad Content-Length, or a second one");
        head->has_length = true;
        head->body = !is_zero(value);
    } else if (http_eq_nocase(name, SLICE("transfer-encoding"))) {
        return refuse(head->refusal, 501, "no request here has a body");
    }
    return 0;
}

static ptrdiff_t parse_header(struct head *head, struct slice line)
{
    const char *colon = slice_find_byte(line, ':');
    if (colon == NULL)
        return refuse(head->refusal, 400, "a header line without a colon");
    struct slice name = slice_make(line.ptr, (size_t)(colon - line.ptr));
    struct slice value = slice_trim(slice_from(line, name.len + 1));
    if (!http_is_token(name))
        return refuse(head->refusal, 400, "a header name with an illegal character");
    if (!http_is_value(value))
        return refuse(head->refusal, 400, "a control byte in a header");
    return take_header(head, name, value);
}

static ptrdiff_t finish(const struct head *head, bool is_11)
{
    struct http_server_request *out = head->out;
    if (is_11 && head->host.ptr == NULL)
        return refuse(head->refusal, 400, "HTTP/1.1 without a Host header");
    if (head->body)
        return refuse(head->refusal, 413, "no request here has a body");
    if (out->host.ptr == NULL)
        out->host = head->host;
    out->keep_alive = !head->close && (is_11 || head->keep_alive);
    return 0;
}

static ptrdiff_t parse_head(struct slice text, struct http_server_request *out,
                            struct http_server_refusal *refusal)
{
    struct head head = {.out = out, .refusal = refusal};
    struct slice line;
    size_t at = 0;
    unsigned count = 0;
    bool is_11 = false;
    *out = (struct http_server_request){.method = HTTP_METHOD_OTHER};
    take_line(text, &at, &line);
    ptrdiff_t status = parse_line(line, out, &is_11, refusal);
    while (status == 0 && take_line(text, &at, &line) && line.len > 0) {
        if (count++ == HTTP_SERVER_HEADERS_MAX)
            return refuse(refusal, 431, "too many headers");
        status = parse_header(&head, line);
    }
    return status != 0 ? status : finish(&head, is_11);
}

ptrdiff_t http_server_parse(struct slice bytes, size_t *scanned, struct http_server_request *out,
                            struct http_server_refusal *refusal)
{
    size_t begin = skip_empty(bytes);
    if (*scanned < begin)
        *scanned = begin;
    size_t end = find_end(bytes, scanned);
    if (end == 0)
        return unfinished(bytes, begin, refusal);
    if (end > HTTP_SERVER_HEAD_MAX)
        return refuse(refusal, 431, "the headers are too long");
    ptrdiff_t status = parse_head(slice_make(bytes.ptr + begin, end - begin), out, refusal);
    return status != 0 ? status : (ptrdiff_t)end;
}

/* ---- the query ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = http_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int decode(struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '+')
            c = ' ';
        if (c == '%') {
            if (i + 2 >= text.len)
                return ERR_PARSE;
            int high = hex_digit(text.ptr[++i]), low = hex_digit(text.ptr[++i]);
            if (high < 0 || low < 0)
                return ERR_PARSE;
            c = (char)(high * 16 + low);
        }
        if (c == '\0' || buf_append_byte(out, c) != 0)
            return ERR_PARSE;
    }
    return 0;
}

int http_server_query_next(struct slice *query, struct buf *scratch, struct slice *name,
                           struct slice *value)
{
    struct slice part = slice_make(NULL, 0);
    while (query->len > 0 && part.len == 0) {
        const char *end = slice_find_byte(*query, '&');
        size_t n = end != NULL ? (size_t)(end - query->ptr) : query->len;
        part = slice_make(query->ptr, n);
        *query = slice_from(*query, n + 1);
    }
    if (part.len == 0)
        return 0;
    const char *equals = slice_find_byte(part, '=');
    size_t name_len = equals != NULL ? (size_t)(equals - part.ptr) : part.len;
    buf_clear(scratch);
    if (buf_reserve(scratch, part.len + 1) != 0 ||
        decode(slice_make(part.ptr, name_len), scratch) != 0)
        return ERR_PARSE;
    size_t split = scratch->len;
    if (decode(slice_from(part, name_len + 1), scratch) != 0 ||
        !utf8_valid(scratch->data, scratch->len))
        return ERR_PARSE;
    *name = slice_make(scratch->data, split);
    *value = slice_make(scratch->data + split, scratch->len - split);
    return 1;
}

/* ---- answers ---- */

const char *http_server_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } table[] = {{200, "OK"},
                 {400, "Bad Request"},
                 {401, "Unauthorized"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {408, "Request Timeout"},
                 {413, "Content Too Large"},
                 {414, "URI Too Long"},
                 {421, "Misdirected Request"},
                 {431, "Request Header Fields Too Large"},
                 {500, "Internal Server Error"},
                 {501, "Not Implemented"},
                 {503, "Service Unavailable"},
                 {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].status == status)
            return table[i].text;
    return "";
}

int http_server_write_status(struct buf *out, int status)
{
    return buf_appendf(out, "HTTP/1.1 %d %s\r\n", status, http_server_status_text(status));
}

/* ---- Host ---- */

static bool only_of(struct slice text, const char *bytes)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr(bytes, text.ptr[i]) == NULL || text.ptr[i] == '\0')
            return false;
    return text.len > 0;
}

/* A name under a top-level domain has a letter in its last label: digits and dots alone are an
 * address, however it may be written. */
static bool is_address(struct slice name)
{
    return only_of(name, "0123456789.");
}

bool http_server_host_is_local(struct slice host)
{
    if (slice_starts_with(host, SLICE("["))) {
        const char *end = slice_find_byte(host, ']');
        if (end == NULL)
            return false;
        size_t n = (size_t)(end - host.ptr);
        struct slice port = slice_from(host, n + 1);
        return only_of(slice_make(host.ptr + 1, n - 1), "0123456789abcdefABCDEF:.") &&
               (port.len == 0 ||
                (port.ptr[0] == ':' && only_of(slice_from(port, 1), "0123456789")));
    }
    const char *colon = slice_find_byte(host, ':');
    struct slice name = colon != NULL ? slice_make(host.ptr, (size_t)(colon - host.ptr)) : host;
    if (colon != NULL && !only_of(slice_from(host, name.len + 1), "0123456789"))
        return false;
    return http_eq_nocase(name, SLICE("localhost")) || is_address(name);
}
