/* The request that brings what was missed, and the one that delivers where no WebSocket does, both
 * made without a position: do they work at all? */
#include <stdio.h>
#include <string.h>

#include "ctl/doctor.h"
#include "reach/end.h"

struct request {
    struct doctor *doctor;
    struct doctor_sync *found;
    struct outgoing out;
    unsigned http; /* PROFILE_NONE: any 2xx is good */
    int64_t began_ms, timeout_ms;
    struct net_http *net;
    bool page; /* its answer is one of [catchup] */
};

static int start(struct request *request, struct error *err);

static void parse_page(struct request *request, struct slice body)
{
    struct doctor_sync *sync = request->found;
    struct profile_page page;
    struct error err = {0};
    sync->bytes = body.len;
    sync->parsed = true;
    if (!request->page)
        return;
    sync->parsed = profile_page_parse(request->doctor->scanner, body, &page, &err) == 0;
    if (sync->parsed)
        sync->items = page.n_items;
    else
        doctor_show(request->doctor, sync->error, sizeof(sync->error), slice_str(err.text));
}

/* True: it goes on elsewhere. */
static bool refused(struct request *request, const struct net_http_result *result)
{
    struct doctor *doctor = request->doctor;
    struct doctor_sync *sync = request->found;
    struct error err = {0};
    char text[300];
    sync->end = (struct profile_end){.kind = PROFILE_END_STATUS,
                                     .code = result->status,
                                     .retry_after_ms = result->retry_after_ms};
    end_set_body(&doctor->redact, doctor->profile, &sync->end, buf_slice(&result->response->body));
    int rc =
        outgoing_redirect(&request->out, doctor->profile, &doctor->redact, result->response, &err);
    if (rc > 0 && start(request, &err) == 0)
        return true;
    if (rc != 0) {
        snprintf(text, sizeof(text), "a redirect that is not followed: %.200s", err.text);
        end_set_text(&doctor->redact, &sync->end, slice_str(text));
    }
    return false;
}

static bool is_good(const struct request *request, int status)
{
    if (request->http == PROFILE_NONE)
        return status >= 200 && status <= 299;
    return profile_http_ok(request->doctor->profile, request->http, status);
}

static void on_done(void *arg, const struct net_http_result *result)
{
    struct request *request = arg;
    struct doctor *doctor = request->doctor;
    struct doctor_sync *sync = request->found;
    sync->took_ms = io_clock_ms() - request->began_ms;
    sync->status = result->failed ? 0 : result->status;
    if (result->failed) {
        end_from_net(&doctor->redact, &result->end, &sync->end);
        sync->waits = result->end.kind == NET_END_TIMEOUT && result->end.phase == NET_PHASE_HTTP;
    } else {
        outgoing_cookies(&request->out, doctor->cookies, result->response, io_wall_us() / 1000000);
        sync->ok = is_good(request, result->status);
        if (sync->ok)
            parse_page(request, buf_slice(&result->response->body));
        else if (refused(request, result))
            return;
    }
    doctor_wake(doctor);
}

/* A stream has begun: that is all there is to see. */
static void on_open(void *arg, const struct http_response *response)
{
    struct request *request = arg;
    struct doctor_sync *sync = request->found;
    struct slice type = http_response_header(response, "content-type");
    sync->took_ms = io_clock_ms() - request->began_ms;
    sync->status = response->status;
    sync->ok = sync->parsed = true;
    doctor_show(request->doctor, sync->type, sizeof(sync->type), type);
    net_http_cancel(request->net);
    doctor_wake(request->doctor);
}

static int on_body(void *arg, struct slice bytes)
{
    (void)arg;
    (void)bytes;
    return 0;
}

static int send(struct request *request, const struct net_options *options, struct slice lines,
                struct error *err)
{
    static const struct net_stream_events events = {
        .on_open = on_open, .on_body = on_body, .on_done = on_done};
    struct io_loop *loop = request->doctor->loop;
    const struct outgoing *out = &request->out;
    struct slice method = out->method.len > 0 ? buf_slice(&out->method) : SLICE("GET");
    if (request->found->streams)
        return net_http_stream(loop, options, method, buf_slice(&out->url), lines,
                               buf_slice(&out->body), LIMIT_HTTP_ERROR_BODY, request->timeout_ms,
                               &events, request, &request->net, err);
    return net_http_start(loop, options, method, buf_slice(&out->url), lines, buf_slice(&out->body),
                          LIMIT_HTTP_BODY, on_done, request, &request->net, err);
}

static int start(struct request *request, struct error *err)
{
    struct doctor *doctor = request->doctor;
    const struct outgoing *out = &request->out;
    struct doctor_sync *sync = request->found;
    struct net_options options;
    struct buf lines;
    int rc = doctor_net_options(doctor, buf_slice(&out->url), &options, err);
    if (rc != 0)
        return rc;
    options.http_timeout_ms = request->timeout_ms;
    outgoing_describe(out, sync->where, sizeof(sync->where));
    redact_text(&doctor->redact, sync->where);
    buf_init(&lines, BUF_UNBOUNDED);
    rc = outgoing_headers(out, doctor->cookies, io_wall_us() / 1000000, &lines);
    if (rc == 0)
        rc = send(request, &options, buf_slice(&lines), err);
    else
        error_set(err, rc, "%s", error_text(rc));
    buf_wipe(&lines);
    buf_fini(&lines);
    return rc;
}

/* form: as it was rendered, or rc and err say why it could not be; it is released. */
static void make(struct request *request, struct profile_request *form, int rc, struct error *err)
{
    struct doctor *doctor = request->doctor;
    if (rc == 0)
        rc = outgoing_init(&request->out, form);
    profile_request_fini(form);
    request->began_ms = io_clock_ms();
    if (rc == 0)
        rc = start(request, err);
    if (rc == 0) {
        doctor_run(doctor);
    } else {
        request->found->end = (struct profile_end){
            .kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_HTTP, .retry_after_ms = -1};
        end_set_text(&doctor->redact, &request->found->end, slice_str(err->text));
    }
    outgoing_fini(&request->out);
}

void doctor_sync(struct doctor *doctor)
{
    const struct profile *profile = doctor->profile;
    struct doctor_sync *sync = &doctor->facts.sync;
    struct request request = {.doctor = doctor,
                              .found = sync,
                              .http = profile->catchup.http,
                              .timeout_ms = profile->catchup.timeout_ms,
                              .page = true};
    struct profile_request form;
    struct error err = {0};
    if (profile->catchup.via != PROFILE_CATCHUP_HTTP)
        return;
    *sync = (struct doctor_sync){.tried = true, .what = "catch-up"};
    profile_request_init(&form);
    int rc = profile_render_http(profile, request.http, doctor_look_up, doctor, &form, &err);
    if (rc != 0 && profile->catchup.tip != PROFILE_NONE) {
        /* Without a position it cannot be asked; where the feed stands can. */
        sync->what = "newest position";
        request.http = profile->catchup.tip;
        request.page = false;
        profile_request_fini(&form);
        profile_request_init(&form);
        rc = profile_render_http(profile, request.http, doctor_look_up, doctor, &form, &err);
    }
    make(&request, &form, rc, &err);
}

static const char *transport_name(enum profile_transport transport)
{
    switch (transport) {
    case PROFILE_LONGPOLL:
        return "long-poll";
    case PROFILE_SSE:
        return "SSE";
    case PROFILE_NDJSON:
        return "NDJSON";
    }
    return "";
}

static bool is_same_place(struct slice a, struct slice b)
{
    struct http_url x, y;
    return http_url_parse(a, &x, NULL) == 0 && http_url_parse(b, &y, NULL) == 0 &&
           x.port == y.port && slice_eq(x.host, y.host);
}

void doctor_fallback(struct doctor *doctor, bool reached)
{
    const struct profile *profile = doctor->profile;
    struct doctor_sync *found = &doctor->facts.fallback;
    struct doctor_proxy proxy = doctor->facts.proxy; /* the link's is what is reported */
    bool polls = profile->fallback.transport == PROFILE_LONGPOLL;
    struct request request = {.doctor = doctor,
                              .found = found,
                              .http = profile->fallback.http,
                              .timeout_ms = polls ? DOCTOR_POLL_MS : profile->catchup.timeout_ms,
                              .page = polls};
    struct profile_request form;
    struct error err = {0};
    if (!profile->fallback.exists)
        return;
    *found = (struct doctor_sync){
        .tried = true, .what = transport_name(profile->fallback.transport), .streams = !polls};
    found->as_sync =
        polls && profile->fallback.http == profile->catchup.http && doctor->facts.sync.tried;
    if (found->as_sync)
        return;
    profile_request_init(&form);
    int rc = profile_render_fallback(profile, doctor_look_up, doctor, &form, &err);
    if (rc == 0 && !reached && is_same_place(buf_slice(&form.url), buf_slice(&doctor->first.url))) {
        profile_request_fini(&form);
        *found = (struct doctor_sync){.tried = false};
        return;
    }
    make(&request, &form, rc, &err);
    found->waits = found->waits && polls;
    doctor->facts.proxy = proxy;
}
