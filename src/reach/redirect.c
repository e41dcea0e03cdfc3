#include "reach/redirect.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "wire/http.h"

static bool eq_nocase(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

bool redirect_follows(int status, struct slice method, bool *as_get)
{
    bool get = slice_eq_str(method, "GET");
    *as_get = status == 303 && !get;
    return status == 307 || status == 308 || status == 303 ||
           (get && (status == 301 || status == 302));
}

/* ---- the address ---- */

/* Takes all before the first of these bytes, or the end, off *text. */
static struct slice take_until(struct slice *text, const char *ends)
{
    size_t n = 0;
    while (n < text->len && strchr(ends, text->ptr[n]) == NULL)
        n++;
    struct slice part = slice_make(text->ptr, n);
    *text = slice_from(*text, n);
    return part;
}

/* "https" or "wss" before "://": taken off, as the scheme of our family. NULL: there is none. */
static const char *take_scheme(struct slice *location, bool websocket)
{
    static const struct {
        struct slice text;
        bool secure;
    } schemes[] = {{SLICE_INIT("https://"), true},
                   {SLICE_INIT("http://"), false},
                   {SLICE_INIT("wss://"), true},
                   {SLICE_INIT("ws://"), false}};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        struct slice text = schemes[i].text;
        if (location->len < text.len || !eq_nocase(slice_make(location->ptr, text.len), text))
            continue;
        *location = slice_from(*location, text.len);
        if (websocket)
            return schemes[i].secure ? "wss://" : "ws://";
        return schemes[i].secure ? "https://" : "http://";
    }
    return NULL;
}

static const char *scheme_of(const struct http_url *url)
{
    if (url->websocket)
        return url->secure ? "wss://" : "ws://";
    return url->secure ? "https://" : "http://";
}

static struct slice path_of(struct slice target)
{
    struct slice path = take_until(&target, "?");
    return path.len > 0 ? path : SLICE("/");
}

static int append_authority(struct buf *out, const struct http_url *url)
{
    int rc = buf_appendf(out, url->host_is_ipv6 ? "[" SLICE_FMT "]:%u" : SLICE_FMT ":%u",
                         SLICE_ARG(url->host), url->port);
    return rc;
}

/* RFC 3986 3.1, 4.2: what has a colon in its first segment names a scheme, and none of ours. */
static bool has_scheme(struct slice location)
{
    struct slice first = take_until(&location, "/?");
    return slice_find_byte(first, ':') != NULL;
}

/* RFC 3986 5.2.4: "." and ".." taken out of the path that begins at `start`, which is a '/'. */
static void remove_dots(struct buf *out, size_t start)
{
    struct slice rest = slice_from(buf_slice(out), start);
    size_t to = start;
    while (rest.len > 0) {
        rest = slice_from(rest, 1);
        struct slice segment = take_until(&rest, "/");
        bool up = slice_eq_str(segment, "..");
        while (up && to > start && out->data[--to] != '/')
            ;
        if (!up && !slice_eq_str(segment, ".")) {
            out->data[to++] = '/';
            memmove(out->data + to, segment.ptr, segment.len);
            to += segment.len;
        } else if (rest.len == 0) {
            out->data[to++] = '/';
        }
    }
    out->len = to;
}

/* Scheme, authority and path; what is left of the location is its query. */
static int append_base(struct buf *out, const struct http_url *base, struct slice *location)
{
    const char *scheme = take_scheme(location, base->websocket);
    struct slice path = path_of(base->target), relative;
    size_t start;
    int rc;
    if (scheme == NULL && has_scheme(*location))
        return ERR_PARSE;
    rc = buf_append_str(out, scheme != NULL ? scheme : scheme_of(base));
    if (scheme != NULL || slice_starts_with(*location, SLICE("//"))) {
        if (scheme == NULL)
            *location = slice_from(*location, 2);
        if (rc == 0)
            rc = buf_append_slice(out, take_until(location, "/?"));
        path = SLICE("/");
    } else if (rc == 0) {
        rc = append_authority(out, base);
    }
    start = out->len;
    relative = take_until(location, "?");
    if (relative.len > 0 && relative.ptr[0] == '/')
        path = SLICE("");
    else if (relative.len > 0) /* beside the old one */
        while (path.ptr[path.len - 1] != '/')
            path.len--;
    if (rc == 0)
        rc = buf_append_slice(out, path);
    if (rc == 0)
        rc = buf_append_slice(out, relative);
    if (rc == 0)
        remove_dots(out, start);
    return rc;
}

/* ---- what goes there ---- */

static bool holds_secret(const struct redact *secrets, struct slice text)
{
    char *copy = slice_dup(text);
    bool found = true; /* without memory nobody can tell */
    if (copy != NULL) {
        redact_text(secrets, copy);
        found = !slice_eq_str(text, copy);
        explicit_bzero(copy, text.len);
    }
    free(copy);
    return found;
}

static struct slice query_of(struct slice target)
{
    (void)take_until(&target, "?");
    return slice_from(target, 1);
}

static struct slice take_item(struct slice *query)
{
    struct slice item = take_until(query, "&");
    *query = slice_from(*query, 1);
    return item;
}

static struct slice item_name(struct slice item)
{
    return take_until(&item, "=");
}

static bool query_has(struct slice query, struct slice name)
{
    while (query.len > 0)
        if (slice_eq(item_name(take_item(&query)), name))
            return true;
    return false;
}

static int append_item(struct buf *out, struct slice item, bool *first)
{
    int rc = buf_append_byte(out, *first ? '?' : '&');
    *first = false;
    return rc != 0 ? rc : buf_append_slice(out, item);
}

static int append_query(struct buf *out, struct slice theirs, struct slice ours,
                        const struct redact *secrets, bool same_host)
{
    bool first = true;
    int rc = 0;
    theirs = slice_from(theirs, 1);
    while (rc == 0 && theirs.len > 0) {
        struct slice item = take_item(&theirs);
        if (item.len > 0 && !query_has(ours, item_name(item)) && !holds_secret(secrets, item))
            rc = append_item(out, item, &first);
    }
    while (rc == 0 && ours.len > 0) {
        struct slice item = take_item(&ours);
        if (item.len > 0 && (same_host || !holds_secret(secrets, item)))
            rc = append_item(out, item, &first);
    }
    return rc;
}

/* Names that hold credentials whatever they look like. */
static bool is_private(struct slice line)
{
    struct slice name = take_until(&line, ":");
    return eq_nocase(name, SLICE("authorization")) || eq_nocase(name, SLICE("cookie")) ||
           eq_nocase(name, SLICE("proxy-authorization"));
}

static int append_headers(struct buf *out, struct slice headers, const struct redact *secrets,
                          bool same_host)
{
    int rc = 0;
    while (rc == 0 && headers.len > 0) {
        struct slice rest = headers;
        struct slice line = take_until(&rest, "\n");
        line.len += rest.len > 0;
        headers = slice_from(headers, line.len);
        if (same_host || (!is_private(line) && !holds_secret(secrets, line)))
            rc = buf_append_slice(out, line);
    }
    return rc;
}

static bool is_same_host(const struct http_url *a, const struct http_url *b)
{
    return eq_nocase(a->host, b->host) && a->port == b->port;
}

bool redirect_may_take(struct slice url, struct slice next, struct slice part,
                       const struct redact *secrets)
{
    struct http_url from, to;
    if (!holds_secret(secrets, part))
        return true;
    return http_url_parse(url, &from, NULL) == 0 && http_url_parse(next, &to, NULL) == 0 &&
           is_same_host(&from, &to);
}

int redirect_resolve(struct slice url, struct slice headers, struct slice location,
                     const struct redact *secrets, struct buf *out_url, struct buf *out_headers,
                     struct error *err)
{
    struct http_url base, next;
    int rc = http_url_parse(url, &base, err);
    if (rc != 0)
        return rc;
    location = take_until(&location, "#");
    if (location.len == 0 || location.len > LIMIT_HTTP_HEADERS)
        return error_set(err, ERR_PARSE, "a redirect without an address");
    /* In one piece: growing would leave copies of secrets. */
    rc = buf_reserve(out_url, url.len + location.len + 64);
    if (rc == 0)
        rc = buf_reserve(out_headers, headers.len + 1);
    if (rc == 0)
        rc = append_base(out_url, &base, &location);
    if (rc == ERR_PARSE)
        return error_set(err, rc, "a redirect to what is neither http nor WebSocket");
    if (rc != 0)
        return error_set(err, rc, "redirect: %s", error_text(rc));
    if (http_url_parse(buf_slice(out_url), &next, err) != 0)
        return error_set(err, ERR_PARSE, "a redirect to what is no address");
    if (base.secure && !next.secure)
        return error_set(err, ERR_REFUSED, "a redirect away from TLS is not followed");
    bool same_host = is_same_host(&base, &next);
    if (!same_host && holds_secret(secrets, buf_slice(out_url)))
        return error_set(err, ERR_REFUSED, "a redirect to another host, with a secret in its path");
    rc = append_query(out_url, location, query_of(base.target), secrets, same_host);
    if (rc == 0)
        rc = append_headers(out_headers, headers, secrets, same_host);
    return rc != 0 ? error_set(err, rc, "redirect: %s", error_text(rc)) : 0;
}
