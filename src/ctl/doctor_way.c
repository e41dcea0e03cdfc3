/* The way to the service: its name, or the proxy's, and each address by itself. */
#include <stdio.h>
#include <string.h>

#include "ctl/doctor.h"

void doctor_run(struct doctor *doctor)
{
    doctor->woken = false;
    while (!doctor->woken)
        io_loop_run(doctor->loop);
}

void doctor_wake(struct doctor *doctor)
{
    doctor->woken = true;
    io_loop_stop(doctor->loop);
}

/* ---- the name ---- */

static void on_resolved(void *arg, int status, const struct error *err,
                        const struct io_address *addresses, unsigned count)
{
    struct doctor *doctor = arg;
    struct doctor_lookup *out = &doctor->facts.lookup;
    out->status = status;
    if (status != 0)
        snprintf(out->error, sizeof(out->error), "%.290s", err->text);
    doctor->facts.n_addresses = status == 0 ? count : 0;
    if (status == 0)
        memcpy(doctor->found, addresses, count * sizeof(*addresses));
    doctor_wake(doctor);
}

void doctor_look_up_name(struct doctor *doctor)
{
    struct doctor_facts *facts = &doctor->facts;
    struct doctor_lookup *out = &facts->lookup;
    struct io_resolve *resolve;
    struct http_url url;
    uint16_t port = facts->proxy.port;
    *out = (struct doctor_lookup){.tried = true};
    if (http_url_parse(buf_slice(&doctor->first.url), &url, NULL) != 0)
        return; /* it was parsed before */
    if (facts->proxy.used)
        snprintf(out->host, sizeof(out->host), "%s", facts->proxy.host);
    else
        snprintf(out->host, sizeof(out->host), SLICE_FMT, SLICE_ARG(url.host));
    if (!facts->proxy.used)
        port = url.port;
    int64_t began_ms = io_clock_ms();
    out->status = io_resolve_start(doctor->loop, out->host, port, doctor->stream->dns_timeout_ms,
                                   on_resolved, doctor, &resolve);
    if (out->status != 0) {
        snprintf(out->error, sizeof(out->error), "%s", error_text(out->status));
        return;
    }
    doctor_run(doctor);
    out->took_ms = io_clock_ms() - began_ms;
}

/* ---- the addresses ---- */

struct attempt {
    struct doctor *doctor;
    struct doctor_address *out;
    struct io_stream *stream;
    int64_t began_ms;
    unsigned *pending;
};

/* io says "connect to ADDRESS: why"; the address stands before it already. */
static void set_error(struct doctor_address *out, int status, const char *text)
{
    const char *colon = strstr(text, ": ");
    out->status = status;
    snprintf(out->error, sizeof(out->error), "%.190s", colon != NULL ? colon + 2 : text);
}

static void on_tcp(void *arg, int status, const struct error *err)
{
    struct attempt *attempt = arg;
    attempt->out->took_ms = io_clock_ms() - attempt->began_ms;
    if (status != 0)
        set_error(attempt->out, status, err->text);
    io_stream_close(attempt->stream);
    if (--*attempt->pending == 0)
        doctor_wake(attempt->doctor);
}

/* All at once: one that drops silently costs its time only once. */
void doctor_try_addresses(struct doctor *doctor)
{
    struct attempt attempts[IO_ADDRESSES_MAX];
    unsigned pending = 0;
    for (unsigned i = 0; i < doctor->facts.n_addresses; i++) {
        struct doctor_address *out = &doctor->facts.addresses[i];
        struct error err = {0};
        *out = (struct doctor_address){.took_ms = 0};
        io_address_format(&doctor->found[i], out->text, sizeof(out->text));
        io_network_route(&doctor->found[i], out->route, sizeof(out->route));
        attempts[i] = (struct attempt){
            .doctor = doctor, .out = out, .began_ms = io_clock_ms(), .pending = &pending};
        int rc = io_tcp_connect(doctor->loop, &doctor->found[i], doctor->stream->tcp_timeout_ms,
                                on_tcp, &attempts[i], &attempts[i].stream, &err);
        if (rc == 0)
            pending++;
        else
            set_error(out, rc, err.text);
    }
    if (pending > 0)
        doctor_run(doctor);
}
