#include "daemon/ends.h"

#include <stdio.h>

static enum profile_phase phase_of(enum net_phase phase)
{
    switch (phase) {
    case NET_PHASE_DNS:
        return PROFILE_PHASE_DNS;
    case NET_PHASE_TCP:
        return PROFILE_PHASE_TCP;
    case NET_PHASE_TLS:
        return PROFILE_PHASE_TLS;
    case NET_PHASE_UPGRADE:
        return PROFILE_PHASE_UPGRADE;
    case NET_PHASE_OPEN:
    case NET_PHASE_HTTP:
        return PROFILE_PHASE_HTTP;
    }
    return PROFILE_PHASE_HTTP;
}

static enum profile_failure failure_of(enum net_phase phase)
{
    switch (phase) {
    case NET_PHASE_DNS:
        return PROFILE_FAILURE_DNS;
    case NET_PHASE_TCP:
        return PROFILE_FAILURE_TCP;
    case NET_PHASE_TLS:
        return PROFILE_FAILURE_TLS;
    case NET_PHASE_UPGRADE:
        return PROFILE_FAILURE_HANDSHAKE;
    case NET_PHASE_OPEN:
    case NET_PHASE_HTTP:
        return PROFILE_FAILURE_HTTP;
    }
    return PROFILE_FAILURE_HTTP;
}

void end_from_net(const struct net_end *from, struct profile_end *to)
{
    *to = (struct profile_end){
        .kind = PROFILE_END_FAILURE, .local = from->local, .retry_after_ms = from->retry_after_ms};
    snprintf(to->text, sizeof(to->text), "%.250s", from->text);
    switch (from->kind) {
    case NET_END_CLOSE:
        to->kind = PROFILE_END_CLOSE;
        to->code = from->code;
        return;
    case NET_END_STATUS:
        to->kind = PROFILE_END_STATUS;
        to->code = from->code;
        return;
    case NET_END_STRIPPED:
        to->failure = PROFILE_FAILURE_STRIPPED;
        return;
    case NET_END_HANDSHAKE:
        to->failure =
            from->phase == NET_PHASE_UPGRADE ? PROFILE_FAILURE_HANDSHAKE : PROFILE_FAILURE_HTTP;
        return;
    case NET_END_FAILED:
        to->failure = failure_of(from->phase);
        return;
    case NET_END_CUT: /* whatever was being shaken hands about, nobody said no */
        to->failure = PROFILE_FAILURE_TCP;
        return;
    case NET_END_TIMEOUT:
        to->failure = PROFILE_FAILURE_TIMEOUT;
        to->phase = phase_of(from->phase);
        return;
    }
}

void end_from_error(enum profile_failure failure, const struct error *err, struct profile_end *to)
{
    *to =
        (struct profile_end){.kind = PROFILE_END_FAILURE, .failure = failure, .retry_after_ms = -1};
    snprintf(to->text, sizeof(to->text), "%.250s", err->text);
}

void end_from_answer(const struct net_http_result *result, struct profile_end *to)
{
    struct slice body = buf_slice(&result->response->body);
    *to = (struct profile_end){.kind = PROFILE_END_STATUS,
                               .code = result->status,
                               .retry_after_ms = result->retry_after_ms};
    snprintf(to->text, sizeof(to->text), "%.*s", (int)(body.len < 250 ? body.len : 250),
             slice_chars(body));
}
