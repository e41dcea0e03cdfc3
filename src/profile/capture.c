/* What the answer to a request gives to variables and secrets. */
#include "profile/scanner.h"

const struct slice *profile_http_each(const struct profile *profile, unsigned http, unsigned *n)
{
    static const struct slice once = {NULL, 0};
    const struct http *request = &profile->priv->https[http];

    *n = request->foreach ? request->n_each : 1;
    return request->foreach ? request->each : &once;
}

bool profile_http_persists(const struct profile *profile, unsigned http)
{
    return profile->priv->https[http].persist;
}

/* The first place that holds something; .ptr NULL in out: none does. */
static int read_capture(const struct profile_scanner *s, const struct capture *capture,
                        struct buf *scratch, struct slice *out, struct error *err)
{
    const char *what = capture->secret ? "secret" : "variable";

    for (unsigned i = 0; i < capture->sources.n; i++) {
        int rc = scanner_text(&s->slots[LEVEL_MESSAGE][capture->sources.at[i].slot], scratch, out);

        if (rc == ERR_NOTFOUND)
            continue;
        if (rc == ERR_INVAL)
            return error_set(err, ERR_PROTOCOL,
                             "what the answer has for %s %s is neither a string "
                             "nor a number",
                             what, capture->name);
        if (rc == ERR_LIMIT)
            return error_set(err, ERR_PROTOCOL,
                             "what the answer has for %s %s is longer than %zu bytes", what,
                             capture->name, scratch->max);
        return rc == 0 ? 0 : error_set(err, rc, "%s", error_text(rc));
    }
    *out = (struct slice){NULL, 0};
    return 0;
}

/* All are read before the first is visited: half an answer is not taken. */
static int walk(const struct profile_scanner *s, const struct http *http, struct buf scratch[2],
                void (*visit)(void *arg, const struct profile_capture *capture), void *arg,
                struct error *err)
{
    for (unsigned i = 0; i < http->n_captures; i++) {
        const struct capture *capture = &http->captures[i];
        struct profile_capture out = {.name = capture->name, .secret = capture->secret};
        int rc = read_capture(s, capture, &scratch[capture->secret], &out.value, err);

        if (rc != 0)
            return rc;
        if (visit != NULL && out.value.ptr != NULL)
            visit(arg, &out);
    }
    return 0;
}

int profile_http_capture(const struct profile *profile, unsigned http,
                         struct profile_scanner *scanner, struct slice body,
                         void (*visit)(void *arg, const struct profile_capture *capture), void *arg,
                         struct error *err)
{
    const struct http *request = &profile->priv->https[http];
    struct buf scratch[2];
    size_t error_offset = 0;
    int rc;

    if (request->n_captures == 0)
        return 0;
    scanner->at_message = false;
    if (json_scan(profile->priv->captured.paths, body, scanner->slots[LEVEL_MESSAGE],
                  &error_offset) != 0)
        return error_set(err, ERR_PARSE, "http %s: the answer is no JSON: byte %zu of %zu is wrong",
                         request->name, error_offset, body.len);
    /* Room for all from the start: a buffer that grows leaves copies of secrets behind. */
    buf_init(&scratch[0], LIMIT_VARIABLE);
    buf_init(&scratch[1], LIMIT_SECRET);
    rc = buf_reserve(&scratch[0], LIMIT_VARIABLE);
    if (rc == 0)
        rc = buf_reserve(&scratch[1], LIMIT_SECRET);
    if (rc != 0)
        error_set(err, rc, "out of memory");
    if (rc == 0)
        rc = walk(scanner, request, scratch, NULL, NULL, err);
    if (rc == 0)
        rc = walk(scanner, request, scratch, visit, arg, err);
    else if (err != NULL)
        error_wrap(err, "http %s", request->name);
    for (int i = 0; i < 2; i++) {
        buf_wipe(&scratch[i]);
        buf_fini(&scratch[i]);
    }
    return rc;
}
