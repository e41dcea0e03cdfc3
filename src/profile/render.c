#include "profile/internal.h"
#include "profile/template.h"

#define URL_BYTES_MAX LIMIT_HTTP_HEADERS
#define BODY_BYTES_MAX (4 * LIMIT_SECRET)

void profile_request_init(struct profile_request *request)
{
    buf_init(&request->method, 16);
    buf_init(&request->url, URL_BYTES_MAX);
    buf_init(&request->headers, LIMIT_HTTP_HEADERS);
    buf_init(&request->body, BODY_BYTES_MAX);
    buf_init(&request->subprotocol, LIMIT_HTTP_HEADERS);
}

static struct buf *part(struct profile_request *request, int i)
{
    struct buf *const parts[] = {&request->method, &request->url, &request->headers, &request->body,
                                 &request->subprotocol};

    return i < 5 ? parts[i] : NULL;
}

void profile_request_fini(struct profile_request *request)
{
    for (int i = 0; part(request, i) != NULL; i++) {
        buf_wipe(part(request, i));
        buf_fini(part(request, i));
    }
}

/* Room for all from the start: a buffer that grows leaves copies of secrets in freed memory. */
static int prepare(struct profile_request *out, const struct http *http, struct error *err)
{
    for (int i = 0; part(out, i) != NULL; i++) {
        struct buf *b = part(out, i);
        bool used = b == &out->url || b == &out->method ||
                    (b == &out->headers && http->n_header != 0) ||
                    (b == &out->body && http->n_body != 0);

        buf_wipe(b);
        if (used && buf_reserve(b, b->max) != 0)
            return error_set(err, ERR_NOMEM, "out of memory for a request");
    }
    return 0;
}

struct renderer {
    profile_lookup lookup;
    void *arg;
    struct error *err;
};

static int too_long(struct renderer *r, const struct buf *b, int rc)
{
    if (rc == ERR_LIMIT)
        return error_set(r->err, rc, "longer than %zu bytes", b->max);
    return error_set(r->err, rc, "%s", error_text(rc));
}

/* Puts "where: " before an error; the caller may not want to hear it. */
static int in(struct renderer *r, int rc, const char *where, struct slice name)
{
    if (rc < 0 && r->err != NULL)
        error_wrap(r->err, "%s" SLICE_FMT, where, SLICE_ARG(name));
    return rc;
}

/* BEFORE name BETWEEN value AFTER, or nothing at all where a variable is unset. */
static int render_line(struct renderer *r, const struct line *line, enum template_context context,
                       const char *const around[3], struct buf *out)
{
    size_t start = out->len;
    int rc = buf_append_str(out, around[0]);

    if (rc == 0)
        rc = buf_append_slice(out, line->name);
    if (rc == 0)
        rc = buf_append_str(out, around[1]);
    if (rc != 0)
        return too_long(r, out, rc);
    rc = template_render(&line->value, context, r->lookup, r->arg, out, r->err);
    if (rc == 0)
        out->len = start;
    if (rc != 1)
        return rc;
    rc = buf_append_str(out, around[2]);
    return rc == 0 ? 1 : too_long(r, out, rc);
}

static int render_url(struct renderer *r, const struct http *http, struct buf *out)
{
    const char *first = "?";
    int rc = template_render(&http->url, TEMPLATE_URL, r->lookup, r->arg, out, r->err);

    if (rc == 0)
        rc = error_set(r->err, ERR_INVAL, "a variable in it is unset");
    if (rc < 0)
        return in(r, rc, "url", SLICE(""));
    if (slice_find_byte(buf_slice(out), '?') != NULL)
        first = "&";
    for (unsigned i = 0; i < http->n_query; i++) {
        const char *const around[] = {first, "=", ""};

        rc = render_line(r, &http->query[i], TEMPLATE_QUERY, around, out);
        if (rc < 0)
            return in(r, rc, "query.", http->query[i].name);
        if (rc == 1)
            first = "&";
    }
    return 0;
}

static int render_headers(struct renderer *r, const struct http *http, struct buf *out)
{
    static const char *const around[] = {"", ": ", "\r\n"};

    for (unsigned i = 0; i < http->n_header; i++) {
        int rc = render_line(r, &http->header[i], TEMPLATE_HEADER, around, out);

        if (rc < 0)
            return in(r, rc, "header.", http->header[i].name);
    }
    return 0;
}

static int render_body(struct renderer *r, const struct http *http, struct buf *out)
{
    for (unsigned i = 0; i < http->n_body; i++) {
        size_t start = out->len;
        int rc = out->len != 0 ? buf_append_byte(out, '\n') : 0;

        if (rc != 0)
            return in(r, too_long(r, out, rc), "body", SLICE(""));
        rc = template_render(&http->body[i], TEMPLATE_BODY, r->lookup, r->arg, out, r->err);
        if (rc < 0)
            return in(r, rc, "body", SLICE(""));
        if (rc == 0)
            out->len = start;
    }
    return 0;
}

static int render(const struct http *http, struct renderer *r, struct profile_request *out)
{
    const char *method = http->method != NULL ? http->method : http->n_body != 0 ? "POST" : "GET";
    int rc = prepare(out, http, r->err);

    if (rc == 0)
        rc = buf_append_str(&out->method, method);
    if (rc == 0)
        rc = render_url(r, http, &out->url);
    if (rc == 0)
        rc = render_headers(r, http, &out->headers);
    if (rc == 0)
        rc = render_body(r, http, &out->body);
    return rc;
}

int profile_render_connect(const struct profile *profile, profile_lookup lookup, void *arg,
                           struct profile_request *out, struct error *err)
{
    struct renderer r = {lookup, arg, err};
    int rc = render(&profile->priv->connect, &r, out);

    if (rc == 0 && profile->priv->subprotocol.n != 0) {
        rc = template_render(&profile->priv->subprotocol, TEMPLATE_HEADER, lookup, arg,
                             &out->subprotocol, err);
        if (rc >= 0)
            return 0;
        in(&r, rc, "subprotocol", SLICE(""));
    }
    return rc == 0 ? 0 : in(&r, rc, "connect", SLICE(""));
}

int profile_render_http(const struct profile *profile, unsigned http, profile_lookup lookup,
                        void *arg, struct profile_request *out, struct error *err)
{
    struct renderer r = {lookup, arg, err};
    const struct http *request = &profile->priv->https[http];
    int rc = render(request, &r, out);

    return rc == 0 ? 0 : in(&r, rc, "http ", slice_str(request->name));
}

int profile_render_fallback(const struct profile *profile, profile_lookup lookup, void *arg,
                            struct profile_request *out, struct error *err)
{
    struct renderer r = {lookup, arg, err};
    const struct http *request = &profile->priv->fallback;
    int rc = render(request, &r, out);

    return rc == 0 ? 0 : in(&r, rc, "fallback ", slice_str(request->name));
}

bool profile_http_ok(const struct profile *profile, unsigned http, int status)
{
    const struct http *request = &profile->priv->https[http];

    if (request->n_ok == 0)
        return status == 200;
    for (unsigned i = 0; i < request->n_ok; i++)
        if (request->ok[i].from <= status && status <= request->ok[i].to)
            return true;
    return false;
}
