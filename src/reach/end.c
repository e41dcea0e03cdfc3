#include "reach/end.h"

enum { TEXT_MAX = 250 };

static enum profile_phase phase_of(enum net_phase phase)
{
    switch (phase) {
    case NET_PHASE_DNS:
        return PROFILE_PHASE_DNS;
    case NET_PHASE_TCP:
        return PROFILE_PHASE_TCP;
    case NET_PHASE_PROXY:
        return PROFILE_PHASE_PROXY;
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
    case NET_PHASE_PROXY:
        return PROFILE_FAILURE_PROXY;
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

void end_set_text(const struct redact *redact, struct profile_end *end, struct slice text)
{
    char line[sizeof(((struct net_end *)0)->text)];
    net_printable(line, sizeof(line), text);
    redact_text(redact, line);
    net_printable(end->text, TEXT_MAX + 1, slice_str(line)); /* cut at a character */
}

void end_set_body(const struct redact *redact, const struct profile *profile,
                  struct profile_end *end, struct slice body)
{
    end_set_text(redact, end, profile_status_words(profile, end->code, body));
}

void end_from_net(const struct redact *redact, const struct net_end *from, struct profile_end *to)
{
    *to = (struct profile_end){
        .kind = PROFILE_END_FAILURE, .local = from->local, .retry_after_ms = from->retry_after_ms};
    end_set_text(redact, to, slice_str(from->text));
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
