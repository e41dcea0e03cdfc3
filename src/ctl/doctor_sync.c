/* The request that brings what was missed, made without a position: does it work at all? */
#include <stdio.h>
#include <string.h>

#include "ctl/doctor.h"
#include "reach/end.h"

struct request {
    struct doctor *doctor;
    struct outgoing out;
    unsigned http;
    int64_t began_ms;
    struct net_http *net;
    bool page; /* its answer is one of [catchup] */
};

static int start(struct request *request, struct error *err);

static void parse_page(struct request *request, struct slice body)
{
    struct doctor_sync *sync = &request->doctor->facts.sync;
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
    struct doctor_sync *sync = &doctor->facts.sync;
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

static void on_done(void *arg, const struct net_http_result *result)
{
    struct request *request = arg;
    struct doctor *doctor = request->doctor;
    struct doctor_sync *sync = &doctor->facts.sync;
    sync->took_ms = io_clock_ms() - request->began_ms;
    sync->status = result->failed ? 0 : result->status;
    if (result->failed) {
        end_from_net(&doctor->redact, &result->end, &sync->end);
    } else {
        outgoing_cookies(&request->out, doctor->cookies, result->response, io_wall_us() / 1000000);
        sync->ok = profile_http_ok(doctor->profile, request->http, result->status);
        if (sync->ok)
            parse_page(request, buf_slice(&result->response->body));
        else if (refused(request, result))
            return;
    }
    doctor_wake(doctor);
}

static int start(struct request *request, struct error *err)
{
    struct doctor *doctor = request->doctor;
    const struct outgoing *out = &request->out;
    struct doctor_sync *sync = &doctor->facts.sync;
    struct net_options options;
    struct buf lines;
    int rc = doctor_net_options(doctor, buf_slice(&out->url), &options, err);
    if (rc != 0)
        return rc;
    options.http_timeout_ms = doctor->profile->catchup.timeout_ms;
    outgoing_describe(out, sync->where, sizeof(sync->where));
    redact_text(&doctor->redact, sync->where);
    buf_init(&lines, BUF_UNBOUNDED);
    rc = outgoing_headers(out, doctor->cookies, io_wall_us() / 1000000, &lines);
    if (rc == 0)
        rc = net_http_start(doctor->loop, &options,
                            out->method.len > 0 ? buf_slice(&out->method) : SLICE("GET"),
                            buf_slice(&out->url), buf_slice(&lines), buf_slice(&out->body),
                            LIMIT_HTTP_BODY, on_done, request, &request->net, err);
    else
        error_set(err, rc, "%s", error_text(rc));
    buf_wipe(&lines);
    buf_fini(&lines);
    return rc;
}

void doctor_sync(struct doctor *doctor)
{
    const struct profile *profile = doctor->profile;
    struct doctor_sync *sync = &doctor->facts.sync;
    struct request request = {.doctor = doctor, .http = profile->catchup.http, .page = true};
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
    if (rc == 0)
        rc = outgoing_init(&request.out, &form);
    profile_request_fini(&form);
    request.began_ms = io_clock_ms();
    if (rc == 0)
        rc = start(&request, &err);
    if (rc == 0) {
        doctor_run(doctor);
    } else {
        sync->end = (struct profile_end){
            .kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_HTTP, .retry_after_ms = -1};
        end_set_text(&doctor->redact, &sync->end, slice_str(err.text));
    }
    outgoing_fini(&request.out);
}
