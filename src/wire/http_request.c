#include <arpa/inet.h>

#include "base/limits.h"
#include "wire/http_request.h"
#include "wire/http_text.h"

/* RFC 1035 2.3.4, as text and without the root's dot. */
enum { HOST_MAX = 253 };

static const struct scheme {
    struct slice prefix;
    bool secure;
    bool websocket;
    uint16_t port;
} schemes[] = {
    {SLICE_INIT("wss://"), true, true, 443},
    {SLICE_INIT("ws://"), false, true, 80},
    {SLICE_INIT("https://"), true, false, 443},
    {SLICE_INIT("http://"), false, false, 80},
};

static const struct scheme *find_scheme(struct slice text)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        struct slice prefix = schemes[i].prefix;

        if (text.len >= prefix.len && http_eq_nocase(slice_make(text.ptr, prefix.len), prefix))
            return &schemes[i];
    }
    return NULL;
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Letters, digits, dots, hyphens; the underscore too, which names in private networks have. */
static bool is_reg_name(struct slice host)
{
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];

        if (!is_alnum(c) && c != '.' && c != '-' && c != '_')
            return false;
        if (c == '.' && (i == 0 || host.ptr[i - 1] == '.'))
            return false;
    }
    return host.len > 0 && host.len <= HOST_MAX;
}

static bool is_ipv6(struct slice host)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (host.len >= sizeof text || memchr(slice_chars(host), '\0', host.len) != NULL)
        return false;
    memcpy(text, slice_chars(host), host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* RFC 3986 3.3, 3.4, but that the few printable characters it leaves out are let through, since
 * servers take them; blanks, control bytes and bytes over 127 never are. */
static int check_target(struct slice target, struct error *err)
{
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.ptr[i];

        if (c == '#')
            return error_set(err, ERR_PARSE, "URL: a fragment (#...) cannot be sent to a server");
        if (c <= 0x20 || c >= 0x7F)
            return error_set(err, ERR_PARSE,
                             "URL: byte 0x%02x must be percent-encoded in path and query", c);
        if (c == '%' &&
            (target.len - i < 3 || !is_hex(target.ptr[i + 1]) || !is_hex(target.ptr[i + 2])))
            return error_set(err, ERR_PARSE, "URL: '%%' is not followed by two hex digits");
    }
    return 0;
}

static int parse_port(struct slice text, uint16_t *port, struct error *err)
{
    uint64_t value;

    if (text.len == 0) /* "host:" is legal, RFC 3986 3.2.3 */
        return 0;
    if (slice_parse_u64(text, &value) != 0 || value < 1 || value > UINT16_MAX)
        return error_set(err, ERR_PARSE, "URL: port is not a number from 1 to 65535");
    *port = (uint16_t)value;
    return 0;
}

static int parse_host(struct slice host, struct http_url *out, struct error *err)
{
    out->host = host;
    if (out->host_is_ipv6 && !is_ipv6(host))
        return error_set(err, ERR_PARSE, "URL: [" SLICE_FMT "] is not an IPv6 address",
                         SLICE_ARG(host));
    if (!out->host_is_ipv6 && !is_reg_name(host))
        return error_set(err, ERR_PARSE,
                         host.len == 0 ? "URL: no host"
                                       : "URL: the host is not a name of letters, digits, '-' and "
                                         "'.' (international names: write them as xn--...)");
    return 0;
}

/* host, host:port, [v6], [v6]:port */
static int parse_authority(struct slice text, struct http_url *out, struct error *err)
{
    const char *end;
    struct slice rest;

    if (slice_find_byte(text, '@') != NULL)
        return error_set(err, ERR_PARSE, "URL: user and password do not belong into a URL");
    out->host_is_ipv6 = text.len > 0 && text.ptr[0] == '[';
    end = slice_find_byte(text, out->host_is_ipv6 ? ']' : ':');
    if (out->host_is_ipv6) {
        if (end == NULL)
            return error_set(err, ERR_PARSE, "URL: '[' without ']'");
        rest = slice_from(text, (size_t)(end - text.ptr) + 1);
        text = slice_make(text.ptr + 1, (size_t)(end - text.ptr) - 1);
    } else {
        rest = slice_from(text, end != NULL ? (size_t)(end - text.ptr) : text.len);
        text.len -= rest.len;
    }
    if (parse_host(text, out, err) != 0)
        return ERR_PARSE;
    if (rest.len == 0)
        return 0;
    if (rest.ptr[0] != ':')
        return error_set(err, ERR_PARSE, "URL: something other than a port follows the address");
    return parse_port(slice_from(rest, 1), &out->port, err);
}

int http_url_parse(struct slice text, struct http_url *out, struct error *err)
{
    const struct scheme *scheme = find_scheme(text);
    struct slice rest;
    size_t len = 0;

    if (scheme == NULL)
        return error_set(err, ERR_PARSE,
                         "URL: does not begin with wss://, ws://, https:// or http://");
    if (text.len > LIMIT_HTTP_HEADERS)
        return error_set(err, ERR_LIMIT, "URL: over %d bytes", LIMIT_HTTP_HEADERS);
    *out = (struct http_url){
        .secure = scheme->secure, .websocket = scheme->websocket, .port = scheme->port};
    rest = slice_from(text, scheme->prefix.len);
    while (len < rest.len && strchr("/?#", rest.ptr[len]) == NULL)
        len++;
    if (parse_authority(slice_make(rest.ptr, len), out, err) != 0)
        return ERR_PARSE;
    out->target = slice_from(rest, len);
    if (out->target.len == 0)
        out->target = SLICE("/");
    return check_target(out->target, err);
}

int http_request_head(struct buf *out, struct slice method, const struct http_url *url)
{
    size_t before = out->len;
    bool usual = url->port == (url->secure ? 443 : 80);
    int rc;

    if (!http_is_token(method))
        return ERR_INVAL;
    rc = buf_appendf(out, SLICE_FMT " %s" SLICE_FMT " HTTP/1.1\r\nHost: %s" SLICE_FMT "%s",
                     SLICE_ARG(method), url->target.ptr[0] == '?' ? "/" : "",
                     SLICE_ARG(url->target), url->host_is_ipv6 ? "[" : "", SLICE_ARG(url->host),
                     url->host_is_ipv6 ? "]" : "");
    if (rc == 0 && !usual)
        rc = buf_appendf(out, ":%u", url->port);
    if (rc == 0)
        rc = buf_append_str(out, "\r\n");
    if (rc != 0)
        out->len = before;
    return rc;
}

static bool line_is_good(struct slice line, const char *const *ours, size_t n_ours)
{
    const char *colon = slice_find_byte(line, ':');
    struct slice name;

    if (colon == NULL)
        return false;
    name = slice_make(line.ptr, (size_t)(colon - line.ptr));
    for (size_t i = 0; i < n_ours; i++) {
        if (http_eq_nocase(name, slice_str(ours[i])))
            return false;
    }
    return http_is_token(name) && http_is_value(slice_from(line, name.len + 1));
}

int http_request_lines(struct buf *out, struct slice lines, const char *const *ours, size_t n_ours)
{
    struct slice rest = lines;

    while (rest.len > 0) {
        const char *lf = slice_find_byte(rest, '\n');
        size_t len = lf != NULL ? (size_t)(lf - rest.ptr) : 0;

        if (len == 0 || rest.ptr[len - 1] != '\r' ||
            !line_is_good(slice_make(rest.ptr, len - 1), ours, n_ours))
            return ERR_INVAL;
        rest = slice_from(rest, len + 1);
    }
    return buf_append_slice(out, lines);
}

bool http_lines_have(struct slice lines, const char *name)
{
    size_t len = strlen(name);

    while (lines.len > len) {
        const char *lf = slice_find_byte(lines, '\n');

        if (lines.ptr[len] == ':' && http_eq_nocase(slice_make(lines.ptr, len), slice_str(name)))
            return true;
        lines = slice_from(lines, lf != NULL ? (size_t)(lf - lines.ptr) + 1 : lines.len);
    }
    return false;
}

int http_request_write(struct buf *out, struct slice method, const struct http_url *url,
                       struct slice headers, struct slice body)
{
    static const char *const ours[] = {"host", "content-length", "transfer-encoding"};
    /* A server may wait for a body of these where no length is given, RFC 9110 8.6. */
    bool wants_body = slice_eq_str(method, "POST") || slice_eq_str(method, "PUT") ||
                      slice_eq_str(method, "PATCH");
    size_t before = out->len;
    int rc = http_request_head(out, method, url);

    if (rc == 0)
        rc = http_request_lines(out, headers, ours, sizeof ours / sizeof ours[0]);
    if (rc == 0 && (body.len > 0 || wants_body))
        rc = buf_appendf(out, "Content-Length: %zu\r\n", body.len);
    if (rc == 0)
        rc = buf_append_str(out, "\r\n");
    if (rc == 0)
        rc = buf_append_slice(out, body);
    if (rc != 0)
        out->len = before;
    return rc;
}
