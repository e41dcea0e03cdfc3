#include "net/tunnel.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/limits.h"

/* ---- the request ---- */

static bool has_control(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7F)
            return true;
    return false;
}

/* "Proxy-Authorization: Basic ..." */
static int write_login(const struct net_proxy *proxy, struct buf *out, struct error *err)
{
    struct buf login;
    int rc;

    if (has_control(proxy->user) || has_control(proxy->password) ||
        slice_find_byte(proxy->user, ':') != NULL)
        return error_set(err, ERR_INVAL,
                         "the proxy's user has a colon, or its user or password a control byte");
    buf_init(&login, BUF_UNBOUNDED);
    /* In one piece, as the request is: growing would leave copies behind. */
    rc = buf_reserve(&login, proxy->user.len + 1 + proxy->password.len);
    if (rc == 0) {
        (void)buf_append_slice(&login, proxy->user);
        (void)buf_append_byte(&login, ':');
        (void)buf_append_slice(&login, proxy->password);
        (void)buf_append_str(out, "Proxy-Authorization: Basic ");
        rc = base64_encode(out, login.data, login.len);
        (void)buf_append_str(out, "\r\n");
    }
    buf_wipe(&login);
    buf_fini(&login);
    return rc != 0 ? error_set(err, rc, "proxy: out of memory") : 0;
}

static int write_request(struct tunnel *tunnel, const struct net_proxy *proxy, struct error *err)
{
    size_t login = base64_encoded_len(proxy->user.len + 1 + proxy->password.len);
    int rc = buf_reserve(&tunnel->request, 2 * strlen(tunnel->target) + login + LIMIT_KIB);

    if (rc != 0)
        return error_set(err, rc, "proxy: out of memory");
    (void)buf_appendf(&tunnel->request, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", tunnel->target,
                      tunnel->target);
    if (tunnel->with_login)
        rc = write_login(proxy, &tunnel->request, err);
    (void)buf_append_str(&tunnel->request, "\r\n");
    return rc;
}

int tunnel_new(const struct net_proxy *proxy, const struct http_url *url, struct tunnel **out,
               struct error *err)
{
    struct tunnel *tunnel = calloc(1, sizeof *tunnel);
    int rc;

    if (tunnel == NULL)
        return error_set(err, ERR_NOMEM, "proxy: out of memory");
    buf_init(&tunnel->request, BUF_UNBOUNDED);
    tunnel->port = proxy->port;
    tunnel->with_login = proxy->user.ptr != NULL;
    tunnel->host = slice_dup(proxy->host);
    if (asprintf(&tunnel->target, url->host_is_ipv6 ? "[" SLICE_FMT "]:%u" : SLICE_FMT ":%u",
                 SLICE_ARG(url->host), url->port) < 0)
        tunnel->target = NULL;
    if (tunnel->host == NULL || tunnel->target == NULL ||
        http_parser_new(HTTP_BODY_CUT, LIMIT_HTTP_ERROR_BODY, &tunnel->parser) != 0) {
        rc = error_set(err, ERR_NOMEM, "proxy: out of memory");
    } else {
        http_parser_expect_tunnel(tunnel->parser);
        rc = write_request(tunnel, proxy, err);
    }
    if (rc != 0) {
        tunnel_free(tunnel);
        return rc;
    }
    *out = tunnel;
    return 0;
}

void tunnel_sent(struct tunnel *tunnel)
{
    buf_wipe(&tunnel->request);
    buf_fini(&tunnel->request);
}

void tunnel_free(struct tunnel *tunnel)
{
    if (tunnel == NULL)
        return;
    tunnel_sent(tunnel);
    http_parser_free(tunnel->parser);
    free(tunnel->host);
    free(tunnel->target);
    free(tunnel);
}

/* ---- the answer ---- */

/* Proxies explain themselves in pages: what such a page is titled tells most, and the rest is
 * markup. */
static struct slice page_title(struct slice body)
{
    static const struct slice open = SLICE_INIT("<title>"), close = SLICE_INIT("</title>");
    const char *from = memmem(slice_chars(body), body.len, open.ptr, open.len);
    const char *to;
    size_t rest;

    if (from == NULL)
        return body.len != 0 && body.ptr[0] != '<' ? body : SLICE("");
    from += open.len;
    rest = body.len - (size_t)(from - body.ptr);
    to = memmem(from, rest, close.ptr, close.len);
    return slice_make(from, to != NULL ? (size_t)(to - from) : rest);
}

/* What a 407 asks for: more than Basic there is not. */
static void explain_login(const struct tunnel *tunnel, const struct http_response *response,
                          char *out, size_t size)
{
    struct slice at = {NULL, 0}, value;
    bool basic = false;
    char scheme[40] = "";

    while (http_response_header_next(response, "proxy-authenticate", &at, &value)) {
        basic = basic || (value.len >= 5 && strncasecmp(value.ptr, "basic", 5) == 0);
        if (scheme[0] == '\0')
            snprintf(scheme, sizeof scheme, "%.*s", value.len < 39 ? (int)value.len : 39,
                     value.ptr);
        scheme[strcspn(scheme, " ,")] = '\0';
    }
    if (!basic && scheme[0] != '\0')
        snprintf(out, size, "it wants a login by %s; only Basic is understood", scheme);
    else if (tunnel->with_login)
        snprintf(out, size, "the login was not accepted; check user and proxy_password");
    else
        snprintf(out, size, "it wants a login; set proxy = http://USER@HOST:PORT, proxy_password");
}

/* The answer, or as much of it as there is. */
static void describe(const struct tunnel *tunnel, struct net_end *end)
{
    const struct http_response *response = http_parser_response(tunnel->parser);
    struct slice squid = http_response_header(response, "x-squid-error");
    struct slice title = page_title(buf_slice(&response->body));
    char login[120] = "", text[sizeof end->text];

    if (response->status == 407)
        explain_login(tunnel, response, login, sizeof login);
    snprintf(text, sizeof text, "proxy %s:%u refuses CONNECT %s: status %d%s%s%s%.*s%s%.*s",
             tunnel->host, tunnel->port, tunnel->target, response->status,
             login[0] != '\0' ? ": " : "", login, title.len != 0 ? ": " : "",
             title.len < 200 ? (int)title.len : 200, slice_chars(title),
             squid.len != 0 ? " / " : "", squid.len < 60 ? (int)squid.len : 60, slice_chars(squid));
    *end = (struct net_end){
        .kind = response->status == 407 ? NET_END_STATUS : NET_END_FAILED,
        .code = response->status,
        .retry_after_ms = http_retry_after_ms(response, io_wall_us() / 1000000),
    };
    net_printable(end->text, sizeof end->text, slice_str(text));
}

static void describe_broken(const struct tunnel *tunnel, const struct error *err,
                            struct net_end *end)
{
    char text[sizeof end->text];

    snprintf(text, sizeof text, "proxy %s:%u: no answer that can be understood: %.200s",
             tunnel->host, tunnel->port, err->text);
    *end = (struct net_end){.kind = NET_END_FAILED, .retry_after_ms = -1};
    net_printable(end->text, sizeof end->text, slice_str(text));
}

enum tunnel_status tunnel_feed(struct tunnel *tunnel, const char *bytes, size_t n, size_t *used,
                               struct net_end *end)
{
    const struct http_response *response = http_parser_response(tunnel->parser);
    struct error err;
    bool done = false;
    int rc = http_parser_feed(tunnel->parser, bytes, n, used, &done, &err);

    if (rc != 0 && !http_parser_headers_done(tunnel->parser)) {
        describe_broken(tunnel, &err, end);
        return TUNNEL_REFUSED;
    }
    if (done && response->upgrade && response->status != 101)
        return TUNNEL_OPEN;
    if (rc == 0 && !done && !response->body_cut)
        return TUNNEL_AGAIN;
    describe(tunnel, end);
    return TUNNEL_REFUSED;
}

bool tunnel_refused_so_far(const struct tunnel *tunnel, struct net_end *end)
{
    if (!http_parser_headers_done(tunnel->parser))
        return false;
    describe(tunnel, end);
    return true;
}
