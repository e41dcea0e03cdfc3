/* The HTTP requests of one stream, several at once: whole answers and streams. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/upstream_private.h"

enum { PIECE_BYTES = 16 * 1024 }; /* of a stream's body, handed on at once */

struct request {
    struct upstream *upstream;
    uint64_t number; /* the engine's; 0: free */
    unsigned http;   /* whose `ok` counts; PROFILE_NONE: 2xx */
    bool streams;
    int64_t timeout_ms, idle_ms;
    char id[9];
    struct outgoing out;
    struct net_http *net;
    bool failed_pending;
    struct profile_end failed;
};

static void set_free(struct request *request)
{
    outgoing_fini(&request->out);
    memset(request, 0, sizeof(*request));
}

/* number 0: a free one. */
static struct request *find(struct upstream *upstream, uint64_t number)
{
    for (unsigned i = 0; i < UPSTREAM_REQUESTS_MAX; i++)
        if (upstream->requests[i].number == number)
            return &upstream->requests[i];
    return NULL;
}

int requests_new(struct upstream *upstream)
{
    upstream->requests = calloc(UPSTREAM_REQUESTS_MAX, sizeof(upstream->requests[0]));
    return upstream->requests == NULL ? ERR_NOMEM : 0;
}

/* ---- ends ---- */

static void report_failed(struct request *request, const struct profile_end *end)
{
    struct upstream *upstream = request->upstream;
    uint64_t number = request->number;
    char what[400];
    if (request->streams) {
        profile_end_describe(end, what, sizeof(what));
        log_info(upstream->settings->name, request->id, "fallback ended: %s", what);
    }
    set_free(request);
    stream_http_failed(upstream->stream, number, end);
}

static bool is_good(const struct request *request, int status)
{
    if (request->http == PROFILE_NONE)
        return status >= 200 && status <= 299;
    return profile_http_ok(request->upstream->profile, request->http, status);
}

static void report_done(struct request *request, const struct http_response *response)
{
    struct upstream *upstream = request->upstream;
    uint64_t number = request->number;
    struct profile_end end;
    struct buf body;
    buf_init(&body, LIMIT_HTTP_BODY);
    if (buf_append_slice(&body, buf_slice(&response->body)) != 0) {
        upstream_failure(upstream, PROFILE_FAILURE_HTTP, "out of memory for the answer", &end);
        report_failed(request, &end);
        return;
    }
    set_free(request);
    stream_http_done(upstream->stream, number, &body);
    buf_fini(&body);
}

static int start(struct request *request, struct error *err);

/* True: the request goes on elsewhere. Else *end says why not, where that is worth saying. */
static bool redirected(struct request *request, const struct http_response *response,
                       struct profile_end *end)
{
    struct upstream *upstream = request->upstream;
    struct error err = {0};
    char where[300];
    int rc = outgoing_redirect(&request->out, upstream->profile, upstream_redact(upstream),
                               response, &err);
    if (rc == 0)
        return false;
    if (rc > 0 && start(request, &err) == 0) {
        outgoing_describe(&request->out, where, sizeof(where));
        log_debug(upstream->settings->name, request->streams ? request->id : NULL,
                  "status %d: redirected to %s", response->status, where);
        return true;
    }
    upstream_not_followed(upstream, response, &err, end);
    return false;
}

/* Sync, fallback and what else is asked for may be at other hosts than the link. */
static void note_certificate(const struct request *request)
{
    const struct tls *tls = net_http_tls(request->net);
    unsigned of = request->http == PROFILE_NONE ? CERTIFICATES_STREAM : request->http;
    if (tls != NULL)
        certificates_peer(&request->upstream->certificates, of, tls);
}

static void on_done(void *arg, const struct net_http_result *result)
{
    struct request *request = arg;
    struct upstream *upstream = request->upstream;
    struct profile_end end;
    if (!result->failed)
        note_certificate(request);
    request->net = NULL;
    if (result->failed) {
        end_from_net(upstream_redact(upstream), &result->end, &end);
        report_failed(request, &end);
        return;
    }
    outgoing_cookies(&request->out, upstream->cookies, result->response, io_wall_us() / 1000000);
    if (is_good(request, result->status)) {
        if (!request->streams) {
            report_done(request, result->response);
            return;
        }
        end = (struct profile_end){.kind = PROFILE_END_CLOSE, .code = 1000, .retry_after_ms = -1};
        snprintf(end.text, sizeof(end.text), "the stream came to its end");
    } else {
        end = (struct profile_end){.kind = PROFILE_END_STATUS,
                                   .code = result->status,
                                   .retry_after_ms = result->retry_after_ms};
        end_set_body(upstream_redact(upstream), upstream->profile, &end,
                     buf_slice(&result->response->body));
        if (redirected(request, result->response, &end))
            return;
    }
    report_failed(request, &end);
}

static void on_open(void *arg, const struct http_response *response)
{
    struct request *request = arg;
    (void)response;
    note_certificate(request);
    log_info(request->upstream->settings->name, request->id, "fallback open");
    stream_body_open(request->upstream->stream, request->number);
}

static int on_body(void *arg, struct slice bytes)
{
    struct request *request = arg;
    return stream_body(request->upstream->stream, request->number, bytes);
}

/* ---- beginnings ---- */

static int send(struct request *request, const struct net_options *options, struct slice lines,
                struct error *err)
{
    static const struct net_stream_events events = {
        .on_open = on_open, .on_body = on_body, .on_done = on_done};
    struct io_loop *loop = request->upstream->daemon->loop;
    const struct outgoing *out = &request->out;
    if (request->streams)
        return net_http_stream(loop, options, buf_slice(&out->method), buf_slice(&out->url), lines,
                               buf_slice(&out->body), PIECE_BYTES, request->idle_ms, &events,
                               request, &request->net, err);
    return net_http_start(loop, options, buf_slice(&out->method), buf_slice(&out->url), lines,
                          buf_slice(&out->body), LIMIT_HTTP_BODY, on_done, request, &request->net,
                          err);
}

static int start(struct request *request, struct error *err)
{
    struct upstream *upstream = request->upstream;
    struct net_options options;
    struct buf lines;
    int rc = upstream_options(upstream, buf_slice(&request->out.url), false, &options, err);
    if (rc != 0)
        return rc;
    options.http_timeout_ms = request->timeout_ms;
    buf_init(&lines, BUF_UNBOUNDED);
    rc = outgoing_headers(&request->out, upstream->cookies, io_wall_us() / 1000000, &lines);
    if (rc != 0)
        error_set(err, rc, "%s", error_text(rc));
    else
        rc = send(request, &options, buf_slice(&lines), err);
    buf_wipe(&lines);
    buf_fini(&lines);
    if (rc != 0)
        request->net = NULL;
    return rc;
}

static void begin(const struct request *template, const struct profile_request *form)
{
    struct upstream *upstream = template->upstream;
    struct request *request = find(upstream, 0);
    struct error err = {0};
    assert(request != NULL && "the engine bounds what is under way");
    *request = *template;
    upstream_make_id(request->id);
    int rc = outgoing_init(&request->out, form);
    if (rc != 0)
        error_set(&err, rc, "%s", error_text(rc));
    else
        rc = start(request, &err);
    vault_wipe(&upstream->vault);
    if (rc == 0)
        return;
    upstream_failure(upstream, upstream_cause(upstream, PROFILE_FAILURE_HTTP), err.text,
                     &request->failed);
    request->failed_pending = true;
    io_idle_arm(upstream->later);
}

void requests_start(void *arg, uint64_t number, unsigned http, const struct profile_request *form,
                    int64_t timeout_ms)
{
    const struct request template = {
        .upstream = arg, .number = number, .http = http, .timeout_ms = timeout_ms};
    begin(&template, form);
}

void requests_stream(void *arg, uint64_t number, const struct profile_request *form,
                     int64_t timeout_ms, int64_t idle_ms)
{
    const struct request template = {
        .upstream = arg,
        .number = number,
        .http = PROFILE_NONE,
        .streams = true,
        .timeout_ms = timeout_ms,
        .idle_ms = idle_ms,
    };
    begin(&template, form);
}

void requests_resume(void *arg, uint64_t number)
{
    struct request *request = number != 0 ? find(arg, number) : NULL;
    if (request != NULL && request->net != NULL)
        net_http_resume(request->net);
}

void requests_cancel(void *arg, uint64_t number)
{
    struct request *request = number != 0 ? find(arg, number) : NULL;
    if (request == NULL)
        return;
    if (request->streams)
        log_info(request->upstream->settings->name, request->id, "fallback left");
    if (request->net != NULL)
        net_http_cancel(request->net);
    set_free(request);
}

void requests_later(struct upstream *upstream)
{
    for (unsigned i = 0; i < UPSTREAM_REQUESTS_MAX; i++) {
        struct request *request = &upstream->requests[i];
        struct profile_end end = request->failed;
        if (request->failed_pending)
            report_failed(request, &end);
    }
}

void requests_cut(struct upstream *upstream)
{
    for (unsigned i = 0; upstream->requests != NULL && i < UPSTREAM_REQUESTS_MAX; i++) {
        if (upstream->requests[i].net != NULL)
            net_http_cancel(upstream->requests[i].net);
        set_free(&upstream->requests[i]);
    }
}

void requests_free(struct upstream *upstream)
{
    requests_cut(upstream);
    free(upstream->requests);
}
