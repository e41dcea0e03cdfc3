/* One link: dialled as hawserd dials, redirects included, held while somebody looks, closed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doctor_link.h"
#include "reach/end.h"

/* ---- what is kept of it ---- */

static void on_certificate(void *arg, const struct tls_certificate *cert)
{
    struct doctor_dial *facts = ((struct doctor_link *)arg)->facts;
    struct doctor_certificate *out = &facts->chain[facts->n_chain];
    if (facts->n_chain == DOCTOR_CHAIN)
        return;
    facts->n_chain++;
    *out = (struct doctor_certificate){.depth = cert->depth,
                                       .valid_from_s = cert->valid_from_s,
                                       .valid_to_s = cert->valid_to_s,
                                       .fault = cert->fault};
    snprintf(out->subject, sizeof(out->subject), "%s", cert->subject);
    snprintf(out->issuer, sizeof(out->issuer), "%s", cert->issuer);
    snprintf(out->names, sizeof(out->names), "%s", cert->names);
    snprintf(out->pin, sizeof(out->pin), "%s", cert->pin);
}

/* A cookie's value may be a session; its name and what it is for are enough. */
static int append_header(const struct doctor *doctor, struct slice line, struct buf *out)
{
    static const struct slice cookie = SLICE_INIT("set-cookie:");
    char text[600];
    const char *eq = slice_starts_with(line, cookie) ? slice_find_byte(line, '=') : NULL;
    const char *end = slice_find_byte(line, ';');
    doctor_show(doctor, text, sizeof(text),
                eq != NULL ? slice_make(line.ptr, (size_t)(eq - line.ptr)) : line);
    int rc = buf_append_str(out, text);
    if (rc == 0 && eq != NULL)
        rc = buf_append_str(out, "=***");
    if (rc == 0 && eq != NULL && end != NULL) {
        doctor_show(doctor, text, sizeof(text), slice_from(line, (size_t)(end - line.ptr)));
        rc = buf_append_str(out, text);
    }
    return rc != 0 ? rc : buf_append_byte(out, '\n');
}

/* Without memory there are fewer headers to show, no more. */
static void keep_headers(const struct doctor *doctor, struct slice headers, struct buf *out)
{
    const char *lf;
    buf_clear(out);
    while (headers.len > 0 && (lf = slice_find_byte(headers, '\n')) != NULL) {
        size_t n = (size_t)(lf - headers.ptr);
        (void)append_header(doctor, slice_make(headers.ptr, n), out);
        headers = slice_from(headers, n + 1);
    }
}

/* "GET /v1/stream?token=*** HTTP/1.1", then the header lines of ours. */
static void keep_request(const struct doctor *doctor, const struct outgoing *out, struct buf *kept)
{
    struct http_url url;
    struct slice lines = buf_slice(&out->headers);
    const char *lf;
    char line[1000];
    buf_clear(kept);
    if (http_url_parse(buf_slice(&out->url), &url, NULL) != 0)
        return;
    doctor_show(doctor, line, sizeof(line), url.target);
    (void)buf_appendf(kept, "GET %s HTTP/1.1\nHost: " SLICE_FMT ":%u\n", line, SLICE_ARG(url.host),
                      url.port);
    while (lines.len > 0 && (lf = slice_find_byte(lines, '\n')) != NULL) {
        size_t n = (size_t)(lf - lines.ptr);
        doctor_show(doctor, line, sizeof(line), slice_make(lines.ptr, n));
        (void)buf_appendf(kept, "%s\n", line);
        lines = slice_from(lines, n + 1);
    }
}

static void keep_phases(struct doctor_link *link)
{
    for (int phase = 0; phase < NET_PHASES; phase++)
        link->facts->took_ms[phase] = net_link_took_ms(link->link, (enum net_phase)phase);
}

static void keep_answer(struct doctor_link *link)
{
    const struct http_response *answer = net_link_answer(link->link);
    struct doctor_dial *facts = link->facts;
    if (answer == NULL)
        return;
    facts->http_status = answer->status;
    keep_headers(link->doctor, buf_slice(&answer->headers), &facts->headers);
    outgoing_cookies(&link->out, link->doctor->cookies, answer, io_wall_us() / 1000000);
}

/* ---- what happens ---- */

static int start(struct doctor_link *link, struct error *err);

static void on_connected(void *arg, const char *address, const char *tls)
{
    struct doctor_link *link = arg;
    const struct tls *session = net_link_tls(link->link);
    snprintf(link->facts->address, sizeof(link->facts->address), "%s", address);
    snprintf(link->facts->tls, sizeof(link->facts->tls), "%s", tls != NULL ? tls : "");
    snprintf(link->facts->alpn, sizeof(link->facts->alpn), "%s",
             session != NULL ? tls_alpn(session) : "");
    if (!link->credentials_missing)
        return;
    keep_phases(link);
    link->facts->left_out = true;
    net_link_abort(link->link);
    link->link = NULL;
    doctor_wake(link->doctor);
}

static void on_open(void *arg, const struct http_response *response)
{
    struct doctor_link *link = arg;
    struct slice subprotocol = http_response_header(response, "sec-websocket-protocol");
    keep_phases(link);
    keep_answer(link);
    link->facts->opened = true;
    link->facts->deflate = net_link_deflates(link->link);
    link->opened_ms = link->rx_ms = io_now_ms(link->doctor->loop);
    if (subprotocol.ptr != NULL)
        doctor_show(link->doctor, link->facts->subprotocol, sizeof(link->facts->subprotocol),
                    subprotocol);
    doctor_hello_open(link);
    doctor_wake(link->doctor);
}

static int on_message(void *arg, enum ws_type type, struct slice payload)
{
    struct doctor_link *link = arg;
    struct doctor_dial *facts = link->facts;
    facts->messages++;
    if (facts->first[0] == '\0' && type == WS_TEXT)
        doctor_show(link->doctor, facts->first, 200, payload);
    else if (facts->first[0] == '\0')
        snprintf(facts->first, sizeof(facts->first), "%zu bytes, binary", payload.len);
    link->rx_ms = io_now_ms(link->doctor->loop);
    if (link->listening)
        doctor_listen_message(link, payload.len);
    bool settled = link->settled;
    doctor_hello_message(link, payload);
    if (link->listening)
        doctor_listen_look(link);
    link->settled = facts->live || facts->rule.said;
    if (link->settled && (!settled || facts->rule.said))
        doctor_wake(link->doctor);
    return 0;
}

static void on_pong(void *arg, int64_t rtt_ms)
{
    struct doctor_link *link = arg;
    int64_t now_ms = io_now_ms(link->doctor->loop);
    link->pong = true;
    link->pong_ms = rtt_ms;
    link->rx_ms = now_ms;
    if (link->listening) {
        struct doctor_listening *listening = &link->facts->listening;
        arrivals_pong(&link->arrivals, now_ms, rtt_ms);
        if (rtt_ms > listening->slowest_pong_ms)
            listening->slowest_pong_ms = rtt_ms;
    } else {
        doctor_wake(link->doctor);
    }
}

static void on_oversize(void *arg, uint64_t bytes)
{
    struct doctor_link *link = arg;
    struct doctor_dial *facts = link->facts;
    if (facts->n_said < DOCTOR_SAID)
        snprintf(facts->said[facts->n_said++], sizeof(facts->said[0]),
                 "a message of %llu bytes or more is over connect.max_message; hawserd throws such "
                 "ones away. Fix: raise it if they are wanted",
                 (unsigned long long)bytes);
}

/* True: the link goes on elsewhere. */
static bool redirected(struct doctor_link *link, const struct http_response *response)
{
    struct doctor_dial *facts = link->facts;
    struct error err = {0};
    int rc =
        outgoing_redirect(&link->out, link->doctor->profile, &link->doctor->redact, response, &err);
    size_t used = strlen(facts->redirects);
    char where[300];
    if (rc == 0)
        return false;
    if (rc > 0) {
        outgoing_describe(&link->out, where, sizeof(where));
        redact_text(&link->doctor->redact, where);
        snprintf(facts->redirects + used, sizeof(facts->redirects) - used, "%s%d to %s",
                 used > 0 ? ", then " : "", response->status, where);
        if (start(link, &err) == 0)
            return true;
    }
    char text[400];
    snprintf(text, sizeof(text), "a redirect that is not followed: %.200s; %.150s", err.text,
             facts->end.text);
    end_set_text(&link->doctor->redact, &facts->end, slice_str(text));
    return false;
}

/* It was closing before we left: over a frame of the peer's that is none. */
static bool was_refused(const struct doctor_link *link, const struct net_end *end)
{
    return end->kind == NET_END_CLOSE && end->local &&
           end->code != link->doctor->profile->connect.close_code;
}

static void on_closed(void *arg, const struct net_end *end, const struct http_response *response)
{
    struct doctor_link *link = arg;
    struct doctor *doctor = link->doctor;
    struct doctor_dial *facts = link->facts;
    const struct tls *tls = net_link_tls(link->link);
    if (!facts->opened) {
        keep_phases(link);
        keep_answer(link);
    }
    facts->fault = tls != NULL ? tls_fault(tls) : TLS_FAULT_NONE;
    facts->ended_us = io_wall_us();
    link->link = NULL;
    if (link->leaving && !was_refused(link, end)) {
        doctor_wake(doctor);
        return;
    }
    end_from_net(&doctor->redact, end, &facts->end);
    facts->end_kind = end->kind;
    facts->end_phase = end->phase;
    facts->ended = true;
    if (response != NULL) {
        if (facts->end.kind == PROFILE_END_STATUS && response->status >= 400 &&
            response->body.len != 0)
            end_set_body(&doctor->redact, doctor->profile, &facts->end, buf_slice(&response->body));
        if (redirected(link, response))
            return;
    }
    doctor_wake(doctor);
}

/* ---- dialling ---- */

static int start(struct doctor_link *link, struct error *err)
{
    static const struct net_link_events events = {
        .on_connected = on_connected,
        .on_open = on_open,
        .on_message = on_message,
        .on_pong = on_pong,
        .on_oversize = on_oversize,
        .on_closed = on_closed,
    };
    struct doctor *doctor = link->doctor;
    struct net_options options;
    struct buf lines;
    int rc = doctor_net_options(doctor, buf_slice(&link->out.url), &options, err);
    if (rc != 0)
        return rc;
    if (options.tls != NULL)
        tls_context_on_certificate(options.tls, on_certificate, link);
    link->facts->n_chain = 0;
    outgoing_describe(&link->out, link->facts->where, sizeof(link->facts->where));
    redact_text(&doctor->redact, link->facts->where);
    buf_init(&lines, BUF_UNBOUNDED);
    rc = outgoing_headers(&link->out, doctor->cookies, io_wall_us() / 1000000, &lines);
    keep_request(doctor, &link->out, &link->facts->request);
    if (rc == 0)
        rc = net_link_open(doctor->loop, &options, buf_slice(&link->out.url), buf_slice(&lines),
                           buf_slice(&link->out.subprotocol), doctor->profile->connect.max_message,
                           &events, link, &link->link, err);
    else
        error_set(err, rc, "%s", error_text(rc));
    buf_wipe(&lines);
    buf_fini(&lines);
    if (rc != 0)
        link->link = NULL;
    return rc;
}

static void on_timer(void *arg)
{
    struct doctor_link *link = arg;
    doctor_wake(link->doctor);
}

void doctor_link_wait(struct doctor_link *link, const bool *flag, int64_t ms)
{
    int64_t until_ms = io_clock_ms() + ms;
    int64_t left_ms = ms;
    while (link->link != NULL && !*flag && left_ms > 0) {
        io_timer_set(link->timer, left_ms);
        doctor_run(link->doctor);
        left_ms = until_ms - io_clock_ms();
    }
    io_timer_clear(link->timer);
}

/* The dialling ends by itself: each of its phases has a deadline. */
static void wait_for_open(struct doctor_link *link)
{
    while (link->link != NULL && !link->facts->opened)
        doctor_run(link->doctor);
}

static void leave(struct doctor_link *link)
{
    static const bool never;
    if (link->link == NULL)
        return;
    link->leaving = true;
    net_link_close(link->link, link->doctor->profile->connect.close_code, SLICE("doctor"));
    doctor_link_wait(link, &never, 2 * NET_CLOSE_WAIT_MS);
    if (link->link != NULL)
        net_link_abort(link->link);
}

static void failed_to_start(struct doctor_link *link, const struct error *err)
{
    struct doctor_dial *facts = link->facts;
    facts->ended = true;
    facts->end_kind = NET_END_FAILED;
    facts->end_phase = NET_PHASE_UPGRADE;
    facts->end = (struct profile_end){
        .kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_TCP, .retry_after_ms = -1};
    end_set_text(&link->doctor->redact, &facts->end, slice_str(err->text));
}

static void live_too_late(struct doctor_link *link)
{
    struct doctor_dial *facts = link->facts;
    if (!facts->opened || facts->live || facts->ended || facts->rule.said)
        return;
    facts->ended = true;
    facts->end = (struct profile_end){.kind = PROFILE_END_FAILURE,
                                      .failure = PROFILE_FAILURE_TIMEOUT,
                                      .phase = PROFILE_PHASE_LIVE,
                                      .retry_after_ms = -1};
    snprintf(facts->end.text, sizeof(facts->end.text), "not within %g s%s%.150s",
             (double)link->doctor->profile->live.timeout_ms / 1000,
             facts->first[0] != '\0' ? "; its first message: " : "; not a single message came",
             facts->first);
}

static void start_facts(struct doctor_link *link)
{
    struct doctor_dial *facts = link->facts;
    uint32_t id = 0;
    (void)tls_random(&id, sizeof(id));
    buf_fini(&facts->headers);
    buf_fini(&facts->request);
    *facts = (struct doctor_dial){.tried = true, .began_us = io_wall_us()};
    snprintf(facts->id, sizeof(facts->id), "%08x", id);
    buf_init(&facts->headers, 2 * LIMIT_HTTP_HEADERS);
    buf_init(&facts->request, 2 * LIMIT_HTTP_HEADERS);
    for (int phase = 0; phase < NET_PHASES; phase++)
        facts->took_ms[phase] = -1;
}

static bool is_credential_missing(const struct doctor *doctor)
{
    for (unsigned i = 0; i < doctor->facts.n_secrets; i++)
        if (doctor->facts.secrets[i].source != NULL && doctor->facts.secrets[i].status != 0)
            return true;
    return false;
}

/* A copy of the request, which a redirect changes. */
static int copy_request(const struct outgoing *from, struct outgoing *to)
{
    const struct profile_request request = {.method = from->method,
                                            .url = from->url,
                                            .headers = from->headers,
                                            .body = from->body,
                                            .subprotocol = from->subprotocol};
    return outgoing_init(to, &request);
}

void doctor_dial(struct doctor *doctor, void (*stay)(struct doctor_link *link))
{
    struct doctor_link link = {.doctor = doctor,
                               .facts = &doctor->facts.dial,
                               .credentials_missing = is_credential_missing(doctor)};
    struct error err = {0};
    start_facts(&link);
    int rc = io_timer_new(doctor->loop, on_timer, &link, &link.timer);
    if (rc == 0)
        rc = copy_request(&doctor->first, &link.out);
    if (rc == 0)
        rc = start(&link, &err);
    else
        error_set(&err, rc, "%s", error_text(rc));
    if (rc != 0) {
        failed_to_start(&link, &err);
    } else {
        wait_for_open(&link);
        link.settled = link.facts->live;
        doctor_link_wait(&link, &link.settled, doctor->profile->live.timeout_ms);
        live_too_late(&link);
        if (link.link != NULL && link.facts->live && !link.facts->rule.said)
            stay(&link);
        leave(&link);
    }
    if (doctor->trust.tls != NULL)
        tls_context_on_certificate(doctor->trust.tls, NULL, NULL);
    outgoing_fini(&link.out);
    if (link.timer != NULL)
        io_timer_close(link.timer);
}
