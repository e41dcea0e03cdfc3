#include "reach/outgoing.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "reach/redirect.h"

static struct buf *const_parts(struct outgoing *out, size_t i)
{
    struct buf *parts[] = {&out->method, &out->url, &out->headers, &out->body, &out->subprotocol};
    return parts[i];
}

enum { PARTS = 5 };

/* In one piece: growing would leave copies of secrets. */
static int copy(struct buf *to, const struct buf *from)
{
    buf_init(to, BUF_UNBOUNDED);
    int rc = buf_reserve(to, from->len + 1);
    return rc != 0 ? rc : buf_append_slice(to, buf_slice(from));
}

int outgoing_init(struct outgoing *out, const struct profile_request *request)
{
    const struct buf *from[PARTS] = {&request->method, &request->url, &request->headers,
                                     &request->body, &request->subprotocol};
    *out = (struct outgoing){.redirects = 0};
    for (size_t i = 0; i < PARTS; i++) {
        if (copy(const_parts(out, i), from[i]) == 0)
            continue;
        outgoing_fini(out);
        return ERR_NOMEM;
    }
    return 0;
}

void outgoing_fini(struct outgoing *out)
{
    for (size_t i = 0; i < PARTS; i++) {
        buf_wipe(const_parts(out, i));
        buf_fini(const_parts(out, i));
    }
}

/* ---- cookies ---- */

struct place {
    char host[300]; /* "host:port" */
    struct slice path;
    bool secure;
};

static bool find_place(const struct outgoing *out, struct place *place)
{
    struct http_url url;
    if (http_url_parse(buf_slice(&out->url), &url, NULL) != 0)
        return false;
    int n =
        snprintf(place->host, sizeof(place->host), SLICE_FMT ":%u", SLICE_ARG(url.host), url.port);
    place->path = url.target;
    place->secure = url.secure;
    return n > 0 && (size_t)n < sizeof(place->host);
}

static bool has_cookie_line(struct slice headers)
{
    static const char name[] = "cookie:";
    while (headers.len > 0) {
        const char *lf = slice_find_byte(headers, '\n');
        if (headers.len >= sizeof(name) - 1 &&
            strncasecmp(headers.ptr, name, sizeof(name) - 1) == 0)
            return true;
        headers = slice_from(headers, lf != NULL ? (size_t)(lf - headers.ptr) + 1 : headers.len);
    }
    return false;
}

int outgoing_headers(const struct outgoing *out, const struct cookie_jar *jar, int64_t now_s,
                     struct buf *lines)
{
    struct place place;
    /* As much as all the cookies there can be, at once. */
    int rc = buf_reserve(lines, out->headers.len + COOKIE_MAX * (COOKIE_BYTES_MAX + 3) + 16);
    if (rc == 0)
        rc = buf_append_slice(lines, buf_slice(&out->headers));
    if (rc != 0 || has_cookie_line(buf_slice(&out->headers)) || !find_place(out, &place))
        return rc;
    return cookie_jar_header(jar, slice_str(place.host), place.path, place.secure, now_s, lines);
}

void outgoing_cookies(const struct outgoing *out, struct cookie_jar *jar,
                      const struct http_response *response, int64_t now_s)
{
    struct place place;
    struct slice at = {NULL, 0}, value;
    if (!find_place(out, &place))
        return;
    while (http_response_header_next(response, "set-cookie", &at, &value))
        cookie_jar_set(jar, slice_str(place.host), place.path, place.secure, value, now_s);
}

/* ---- redirects ---- */

static void replace(struct buf *part, struct buf *with)
{
    buf_wipe(part);
    buf_fini(part);
    *part = *with;
}

/* What of the request cannot be left out. */
static int check_rest(const struct outgoing *out, struct slice next, bool as_get,
                      const struct redact *secrets, struct error *err)
{
    struct slice url = buf_slice(&out->url);
    if ((as_get || redirect_may_take(url, next, buf_slice(&out->body), secrets)) &&
        redirect_may_take(url, next, buf_slice(&out->subprotocol), secrets))
        return 0;
    return error_set(err, ERR_REFUSED, "the request holds a secret, which is for its host alone");
}

int outgoing_redirect(struct outgoing *out, const struct profile *profile,
                      const struct redact *secrets, const struct http_response *response,
                      struct error *err)
{
    struct slice location = http_response_header(response, "location");
    struct slice method = out->method.len > 0 ? buf_slice(&out->method) : SLICE("GET");
    struct buf url, headers;
    bool as_get;
    if (location.ptr == NULL || !redirect_follows(response->status, method, &as_get))
        return 0;
    if (out->redirects == REDIRECTS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d redirects in a row", REDIRECTS_MAX);
    buf_init(&url, 2 * LIMIT_HTTP_HEADERS);
    buf_init(&headers, BUF_UNBOUNDED);
    int rc = redirect_resolve(buf_slice(&out->url), buf_slice(&out->headers), location, secrets,
                              &url, &headers, err);
    if (rc == 0)
        rc = profile_address_ok(profile, buf_slice(&url), err);
    if (rc == 0)
        rc = check_rest(out, buf_slice(&url), as_get, secrets, err);
    if (rc != 0) {
        buf_wipe(&url);
        buf_fini(&url);
        buf_wipe(&headers);
        buf_fini(&headers);
        return rc;
    }
    replace(&out->url, &url);
    replace(&out->headers, &headers);
    if (as_get) {
        buf_wipe(&out->body);
        buf_clear(&out->method);
        if (buf_append_str(&out->method, "GET") != 0)
            return error_set(err, ERR_NOMEM, "redirect: out of memory");
    }
    out->redirects++;
    return 1;
}

void outgoing_describe(const struct outgoing *out, char *text, size_t size)
{
    struct http_url url;
    struct place place;
    text[0] = '\0';
    if (!find_place(out, &place) || http_url_parse(buf_slice(&out->url), &url, NULL) != 0)
        return;
    const char *query = slice_find_byte(url.target, '?');
    size_t n = query != NULL ? (size_t)(query - url.target.ptr) : url.target.len;
    snprintf(text, size, "%s%.*s", place.host, (int)(n < 200 ? n : 200), url.target.ptr);
}
