/* Causes and fixes that hold for any service; a profile's own [explain] comes first. */
#include "profile/policy.h"

struct text_row {
    int from, to;
    const char *text;
};

static const struct text_row close_texts[] = {
    {1000, 1000, "the service ended the connection in good order. Fix: nothing, hawser reconnects"},
    {1001, 1001,
     "the service is going away, as in a restart or deploy. Fix: nothing, hawser reconnects"},
    {1002, 1002,
     "one side broke the WebSocket protocol. Fix: if it comes again, look for a proxy that alters "
     "frames and report it to the service"},
    {1003, 1003,
     "the service does not take this kind of data. Fix: check what the profile sends and the path"},
    {1004, 1004, "a reserved code that no one should send. Fix: report it to the service"},
    {1005, 1005, "the service closed without giving a code. Fix: nothing, hawser reconnects"},
    {1006, 1006,
     "the connection broke without a close frame: network, NAT, proxy or a crash of the service. "
     "Fix: if it comes at regular times, ping more often than that (heartbeat.ws_ping)"},
    {1007, 1007,
     "text that is not UTF-8, or data not of its declared type. Fix: report it to the service"},
    {1008, 1008,
     "the service's policy refuses this client, mostly for its key or its rights. Fix: check the "
     "credential and what it is allowed to do"},
    {1009, 1009,
     "a message was too big. Fix: raise connect.max_message if it was hawser that closed"},
    {1010, 1010, "an extension was missing in the handshake. Fix: none here, ask the service"},
    {1011, 1011,
     "the service failed, or missed our pongs. Fix: nothing, hawser reconnects; if it comes often, "
     "see whether this machine is overloaded"},
    {1012, 1012, "the service restarts. Fix: nothing, hawser reconnects"},
    {1013, 1013, "the service is overloaded. Fix: nothing, hawser reconnects more slowly"},
    {1014, 1014,
     "a gateway before the service got no good answer from it. Fix: nothing, hawser reconnects"},
    {1015, 1015, "TLS failed. Fix: see the TLS error beside it"},
    {3000, 3000,
     "the credential is missing, wrong or expired. Fix: renew it; hawser takes the new one by "
     "itself"},
    {3003, 3003, "the service forbids this to this account. Fix: check the credential's rights"},
    {3008, 3008, "the service waited too long for us. Fix: nothing, hawser reconnects"},
    {1016, 2999,
     "a code that no standard defines yet. Fix: look it up in the service's documentation and put "
     "it into the profile's [close] and [explain]"},
    {3000, 4999,
     "a code of the service's own. Fix: look it up in the service's documentation and put it into "
     "the profile's [close] and [explain]"},
};

static const struct text_row status_texts[] = {
    {100, 199, "an interim answer instead of the upgrade. Fix: see what proxy stands between"},
    {200, 299,
     "an ordinary answer instead of the upgrade, or one that the profile does not count as good. "
     "Fix: check the path; behind a proxy, let it pass Upgrade and Connection"},
    {300, 399, "the service has moved. Fix: write the new address into the configuration"},
    {400, 400, "the service does not understand the request. Fix: check the profile's [connect]"},
    {401, 401,
     "the credential is missing, wrong or expired. Fix: renew it; hawser takes the new one by "
     "itself"},
    {402, 402, "the account's plan does not cover this. Fix: see the account at the service"},
    {403, 403,
     "the service or a firewall before it forbids this. Fix: check the credential's rights, and "
     "that this machine's address is allowed"},
    {404, 404, "there is nothing at this path. Fix: check the address for a typing error"},
    {405, 405, "the path exists but not for this method. Fix: check the address"},
    {406, 406,
     "the service has no answer of the kind that is asked for. Fix: check the profile's headers, "
     "and connect.subprotocol"},
    {407, 407,
     "the proxy wants a login. Fix: name the user in the "
     "proxy's address, http://USER@HOST:PORT, and the password's place in proxy_password"},
    {408, 408, "the service waited too long for the request. Fix: nothing, hawser tries again"},
    {409, 409,
     "the service sees a conflict, mostly another connection of this account. Fix: see whether "
     "another program uses it"},
    {410, 410, "what stood at this path is gone for good. Fix: see the service's documentation"},
    {413, 413, "the request is too large for the service. Fix: see the profile's body and query"},
    {414, 414, "the address is too long for the service. Fix: see the profile's query"},
    {421, 421,
     "this server does not speak for the host that was asked. Fix: check the host, and what proxy "
     "or balancer stands between"},
    {425, 425, "the service does not take early requests. Fix: nothing, hawser tries again"},
    {426, 426,
     "this path speaks HTTP, or a proxy lost the upgrade. Fix: check the path; behind a proxy, let "
     "it pass Upgrade and Connection"},
    {429, 429,
     "too many requests. Fix: see whether another program uses the same account; hawser waits as "
     "long as the service asks"},
    {431, 431,
     "the request's headers are too large, mostly for a long token. Fix: see the credential"},
    {451, 451, "the service may not answer for legal reasons. Fix: ask the service"},
    {400, 499, "the service refuses the request. Fix: see its answer, and the profile's [connect]"},
    {501, 501, "the service knows no upgrade here. Fix: check the address"},
    {502, 502, "a gateway got no good answer from the service. Fix: nothing, hawser tries again"},
    {503, 503, "the service is overloaded or being deployed. Fix: nothing, hawser tries again"},
    {504, 504,
     "a gateway got no answer from the service in time. Fix: nothing, hawser tries "
     "again"},
    {505, 505, "the service does not speak HTTP/1.1 here. Fix: check host and port"},
    {511, 511,
     "a network between wants a login first, as in a hotel. Fix: log in there, or use another way "
     "out"},
    {520, 526,
     "the service's content network cannot reach or trust the service behind it. Fix: nothing, "
     "hawser tries again; if it lasts, tell the service"},
    {500, 599, "the service or a gateway before it fails. Fix: nothing, hawser tries again"},
};

static const char *explain_timeout(enum profile_phase phase)
{
    switch (phase) {
    case PROFILE_PHASE_DNS:
        return "the resolver did not answer in time. Fix: check this machine's resolver";
    case PROFILE_PHASE_TCP:
        return "no address of the host answered in time; a firewall that drops silently looks like "
               "this. Fix: check network, firewall and port";
    case PROFILE_PHASE_TLS:
        return "TLS was begun but not finished in time. Fix: nothing if it is rare; else see what "
               "inspects TLS between, and the path's MTU";
    case PROFILE_PHASE_UPGRADE:
        return "connected, but no answer to the handshake. Fix: nothing if it is rare; else a "
               "proxy between holds it back";
    case PROFILE_PHASE_LIVE:
        return "the link opened, but the service's greeting did not come. Fix: nothing if it is "
               "rare; else check the address and what the profile waits for ([live])";
    case PROFILE_PHASE_ANSWER:
        return "the service did not answer what was sent to it. Fix: nothing if it is rare; else "
               "check the profile's [send] and the account's rights";
    case PROFILE_PHASE_HTTP:
        return "no answer to an HTTP request in time. Fix: nothing if it is rare; else raise the "
               "timeout of [catchup] or [fallback]";
    case PROFILE_PHASE_PROXY:
        return "the proxy did not open a tunnel in time. Fix: check that it can reach the service; "
               "it may be resolving or dialling in vain";
    }
    return NULL;
}

static const char *explain_failure(enum profile_failure failure, enum profile_phase phase)
{
    switch (failure) {
    case PROFILE_FAILURE_DNS:
        return "the host's name was not resolved. Fix: check the name, and this machine's resolver";
    case PROFILE_FAILURE_TCP:
        return "no connection to any of the host's addresses, or of its proxy's. Fix: check "
               "network, firewall and port, and that what should answer there runs";
    case PROFILE_FAILURE_TLS:
        return "TLS failed, mostly over the certificate. Fix: see the error beside it; a private "
               "CA is named by tls_ca; `hawserctl doctor` shows the chain";
    case PROFILE_FAILURE_STRIPPED:
        return "an ordinary answer came instead of the upgrade: a proxy or balancer took the "
               "Upgrade header away. Fix: let it pass Upgrade and Connection, or go around it";
    case PROFILE_FAILURE_HANDSHAKE:
        return "the upgrade was accepted with a wrong answer. Fix: a proxy answers in the "
               "service's place, or the path is not a WebSocket one; go around it, check the path";
    case PROFILE_FAILURE_TIMEOUT:
        return explain_timeout(phase);
    case PROFILE_FAILURE_CREDENTIAL:
        return "a secret or CA could not be read. Fix: mend what the message names; hawser goes on "
               "by itself";
    case PROFILE_FAILURE_HTTP:
        return "the answer to a request was not what the profile says. Fix: check the address; if "
               "the service has changed, the profile must follow";
    case PROFILE_FAILURE_PROXY:
        return "the proxy opened no tunnel to the service. Fix: see its answer; it must allow "
               "CONNECT to this host and port, or the stream go around it (proxy = none)";
    case PROFILE_FAILURE_CONFIG:
        return "what hawserd was told cannot be used. Fix: correct the variable in hawserd's "
               "environment (systemctl edit hawserd) and restart it, or set the stream's own "
               "`proxy`, where `none` goes around it";
    }
    return NULL;
}

static const char *find(const struct text_row *rows, size_t n, int code)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].from <= code && code <= rows[i].to)
            return rows[i].text;
    return NULL;
}

const char *explain_builtin(const struct profile_end *end)
{
    switch (end->kind) {
    case PROFILE_END_CLOSE:
        return find(close_texts, sizeof(close_texts) / sizeof(close_texts[0]), end->code);
    case PROFILE_END_STATUS:
        return find(status_texts, sizeof(status_texts) / sizeof(status_texts[0]), end->code);
    case PROFILE_END_FAILURE:
        return explain_failure(end->failure, end->phase);
    }
    return NULL;
}

static void visit_rows(const struct text_row *rows, size_t n, enum profile_end_kind kind,
                       void (*visit)(void *arg, const struct profile_end *end, int to), void *arg)
{
    for (size_t i = 0; i < n; i++) {
        struct profile_end end = {.kind = kind, .code = rows[i].from, .retry_after_ms = -1};
        visit(arg, &end, rows[i].to);
    }
}

void explain_visit(void (*visit)(void *arg, const struct profile_end *end, int to), void *arg)
{
    visit_rows(close_texts, sizeof(close_texts) / sizeof(close_texts[0]), PROFILE_END_CLOSE, visit,
               arg);
    visit_rows(status_texts, sizeof(status_texts) / sizeof(status_texts[0]), PROFILE_END_STATUS,
               visit, arg);
}
