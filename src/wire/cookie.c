#include "wire/cookie.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "wire/http_date.h"
#include "wire/http_text.h"

#define PATH_MAX_BYTES 1024       /* a longer Path attribute is as none */
#define EXPIRES_NEVER_S INT64_MAX /* with the jar */
#define MAX_AGE_S (400 * 24 * 3600LL)

struct cookie {
    char *bytes; /* "name=value", host and path, one behind the other */
    size_t name_len, pair_len, host_len, path_len;
    bool secure;
    int64_t expires_s;
};

struct cookie_jar {
    struct cookie cookies[COOKIE_MAX]; /* the oldest first */
    unsigned n;
};

/* A Set-Cookie line as read, in slices of its text. */
struct parsed {
    struct slice name, value, domain, path;
    bool secure;
    bool has_max_age;
    int64_t expires_s;
};

static struct slice pair_of(const struct cookie *cookie)
{
    return slice_make(cookie->bytes, cookie->pair_len);
}

static struct slice host_of(const struct cookie *cookie)
{
    return slice_make(cookie->bytes + cookie->pair_len, cookie->host_len);
}

static struct slice path_of(const struct cookie *cookie)
{
    return slice_make(cookie->bytes + cookie->pair_len + cookie->host_len, cookie->path_len);
}

static void cookie_fini(struct cookie *cookie)
{
    explicit_bzero(cookie->bytes, cookie->pair_len);
    free(cookie->bytes);
}

static void cookie_remove(struct cookie_jar *jar, unsigned i)
{
    cookie_fini(&jar->cookies[i]);
    jar->n--;
    memmove(&jar->cookies[i], &jar->cookies[i + 1], (jar->n - i) * sizeof jar->cookies[0]);
}

int cookie_jar_new(struct cookie_jar **out)
{
    *out = calloc(1, sizeof **out);
    return *out == NULL ? ERR_NOMEM : 0;
}

void cookie_jar_clear(struct cookie_jar *jar)
{
    while (jar->n != 0)
        cookie_fini(&jar->cookies[--jar->n]);
}

void cookie_jar_free(struct cookie_jar *jar)
{
    if (jar == NULL)
        return;
    cookie_jar_clear(jar);
    free(jar);
}

/* ---- Set-Cookie, RFC 6265 section 5.2 ---- */

/* Takes the text up to the next `end`, trimmed, off *text. */
static struct slice take_part(struct slice *text, char end)
{
    const char *at = slice_find_byte(*text, end);
    struct slice part = slice_make(text->ptr, at != NULL ? (size_t)(at - text->ptr) : text->len);

    *text = slice_from(*text, part.len + 1);
    return slice_trim(part);
}

/* No more than a year or so, whatever it says: also what keeps the sum from overflowing. */
static void take_max_age(struct parsed *cookie, struct slice value, int64_t now_s)
{
    int64_t age_s;
    int rc = slice_parse_i64(value, &age_s);

    if (rc == ERR_LIMIT)
        age_s = value.ptr[0] == '-' ? 0 : MAX_AGE_S;
    else if (rc != 0)
        return;
    cookie->has_max_age = true;
    if (age_s > MAX_AGE_S)
        age_s = MAX_AGE_S;
    cookie->expires_s = age_s <= 0 ? INT64_MIN : now_s + age_s;
}

static void take_attribute(struct parsed *cookie, struct slice text, int64_t now_s)
{
    struct slice name = take_part(&text, '=');
    struct slice value = slice_trim(text);

    if (http_eq_nocase(name, SLICE("max-age")))
        take_max_age(cookie, value, now_s);
    else if (http_eq_nocase(name, SLICE("expires")) && !cookie->has_max_age)
        (void)http_date_parse(value, now_s, &cookie->expires_s);
    else if (http_eq_nocase(name, SLICE("domain")))
        cookie->domain = value;
    else if (http_eq_nocase(name, SLICE("path")))
        cookie->path = value;
    else if (http_eq_nocase(name, SLICE("secure")))
        cookie->secure = true;
}

static bool parse(struct slice text, int64_t now_s, struct parsed *cookie)
{
    struct slice pair = take_part(&text, ';');

    *cookie = (struct parsed){.expires_s = EXPIRES_NEVER_S};
    if (slice_find_byte(pair, '=') == NULL)
        return false;
    cookie->name = take_part(&pair, '=');
    cookie->value = slice_trim(pair);
    while (text.len != 0)
        take_attribute(cookie, take_part(&text, ';'), now_s);
    return http_is_token(cookie->name) && http_is_value(cookie->value) &&
           cookie->name.len + cookie->value.len <= COOKIE_BYTES_MAX;
}

/* RFC 6265 5.1.3: whether a host, its port taken off, lies in a domain. */
static bool in_domain(struct slice host, struct slice domain)
{
    const char *colon = memrchr(slice_chars(host), ':', host.len);

    if (domain.len != 0 && domain.ptr[0] == '.')
        domain = slice_from(domain, 1);
    if (domain.len == 0)
        return true;
    if (colon != NULL)
        host.len = (size_t)(colon - host.ptr);
    if (http_eq_nocase(host, domain))
        return true;
    return host.len > domain.len && host.ptr[host.len - domain.len - 1] == '.' &&
           http_eq_nocase(slice_from(host, host.len - domain.len), domain);
}

static struct slice without_query(struct slice path)
{
    const char *query = slice_find_byte(path, '?');

    return query != NULL ? slice_make(path.ptr, (size_t)(query - path.ptr)) : path;
}

/* RFC 6265 5.1.4: all up to the last slash, which itself counts only where it is the first. */
static struct slice default_path(struct slice path)
{
    const char *slash = memrchr(slice_chars(path), '/', path.len);

    if (slash == NULL || slash == path.ptr || path.ptr[0] != '/')
        return SLICE("/");
    return slice_make(path.ptr, (size_t)(slash - path.ptr));
}

static bool path_matches(struct slice path, struct slice prefix)
{
    if (!slice_starts_with(path, prefix))
        return prefix.len == 1 && path.len == 0;
    return path.len == prefix.len || prefix.len == 0 || prefix.ptr[prefix.len - 1] == '/' ||
           path.ptr[prefix.len] == '/';
}

static bool is_same(const struct cookie *cookie, struct slice name, struct slice host,
                    struct slice path)
{
    return slice_eq(slice_make(cookie->bytes, cookie->name_len), name) &&
           http_eq_nocase(host_of(cookie), host) && slice_eq(path_of(cookie), path);
}

static void forget_expired(struct cookie_jar *jar, int64_t now_s)
{
    for (unsigned i = jar->n; i-- > 0;) {
        if (jar->cookies[i].expires_s <= now_s)
            cookie_remove(jar, i);
    }
}

static int cookie_init(struct cookie *cookie, const struct parsed *parsed, struct slice host,
                       struct slice path)
{
    size_t pair_len = parsed->name.len + 1 + parsed->value.len;
    struct buf bytes;

    buf_init(&bytes, BUF_UNBOUNDED);
    if (buf_reserve(&bytes, pair_len + host.len + path.len) != 0)
        return ERR_NOMEM;
    (void)buf_append_slice(&bytes, parsed->name); /* there is room */
    (void)buf_append_byte(&bytes, '=');
    (void)buf_append_slice(&bytes, parsed->value);
    (void)buf_append_slice(&bytes, host);
    (void)buf_append_slice(&bytes, path);
    *cookie = (struct cookie){
        .bytes = bytes.data,
        .name_len = parsed->name.len,
        .pair_len = pair_len,
        .host_len = host.len,
        .path_len = path.len,
        .secure = parsed->secure,
        .expires_s = parsed->expires_s,
    };
    return 0;
}

void cookie_jar_set(struct cookie_jar *jar, struct slice host, struct slice path, bool secure,
                    struct slice value, int64_t now_s)
{
    struct parsed parsed;
    struct cookie fresh;

    forget_expired(jar, now_s);
    if (!parse(value, now_s, &parsed) || !in_domain(host, parsed.domain) ||
        (parsed.secure && !secure))
        return;
    path = parsed.path.len != 0 && parsed.path.ptr[0] == '/' && parsed.path.len <= PATH_MAX_BYTES
               ? parsed.path
               : default_path(without_query(path));
    /* Without memory the request goes to any instance, as it would have without cookies. */
    if (cookie_init(&fresh, &parsed, host, path) != 0)
        return;
    for (unsigned i = 0; i < jar->n; i++) {
        if (is_same(&jar->cookies[i], parsed.name, host, path)) {
            cookie_fini(&jar->cookies[i]);
            jar->cookies[i] = fresh;
            forget_expired(jar, now_s);
            return;
        }
    }
    if (parsed.expires_s <= now_s) {
        cookie_fini(&fresh);
        return;
    }
    if (jar->n == COOKIE_MAX)
        cookie_remove(jar, 0);
    jar->cookies[jar->n++] = fresh;
}

/* ---- Cookie, RFC 6265 section 5.4 ---- */

static bool fits(const struct cookie *cookie, struct slice host, struct slice path, bool secure,
                 int64_t now_s)
{
    return cookie->expires_s > now_s && (secure || !cookie->secure) &&
           http_eq_nocase(host_of(cookie), host) && path_matches(path, path_of(cookie));
}

/* Those that fit: longer paths first, and of equal ones the older. */
static unsigned choose(const struct cookie_jar *jar, struct slice host, struct slice path,
                       bool secure, int64_t now_s, const struct cookie **chosen)
{
    unsigned n = 0;

    for (unsigned i = 0; i < jar->n; i++) {
        unsigned at = n;

        if (!fits(&jar->cookies[i], host, path, secure, now_s))
            continue;
        for (; at > 0 && chosen[at - 1]->path_len < jar->cookies[i].path_len; at--)
            chosen[at] = chosen[at - 1];
        chosen[at] = &jar->cookies[i];
        n++;
    }
    return n;
}

int cookie_jar_header(const struct cookie_jar *jar, struct slice host, struct slice path,
                      bool secure, int64_t now_s, struct buf *out)
{
    const struct cookie *chosen[COOKIE_MAX];
    unsigned n = choose(jar, host, without_query(path), secure, now_s, chosen);
    size_t before = out->len;
    int rc = 0;

    for (unsigned i = 0; i < n && rc == 0; i++) {
        rc = buf_append_str(out, i == 0 ? "Cookie: " : "; ");
        if (rc == 0)
            rc = buf_append_slice(out, pair_of(chosen[i]));
    }
    if (rc == 0 && n != 0)
        rc = buf_append_str(out, "\r\n");
    if (rc != 0)
        out->len = before;
    return rc;
}
