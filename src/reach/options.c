#include "reach/options.h"

struct net_options options_of(const struct settings_stream *settings)
{
    return (struct net_options){
        .allow_plaintext = settings->plaintext,
        .deflate = settings->deflate,
        .dns_timeout_ms = settings->dns_timeout_ms,
        .tcp_timeout_ms = settings->tcp_timeout_ms,
        .proxy_timeout_ms = settings->proxy_timeout_ms,
        .tls_timeout_ms = settings->tls_timeout_ms,
        .upgrade_timeout_ms = settings->upgrade_timeout_ms,
    };
}

struct tls_context_options options_of_tls(const struct settings_stream *settings)
{
    return (struct tls_context_options){
        .ca_file = settings->tls_ca,
        .cert_file = settings->tls_cert,
        .key_file = settings->tls_key,
        .pins = settings->tls_pins,
        .n_pins = settings->n_tls_pins,
        .min_version = settings->tls_min == SETTINGS_TLS_1_3 ? TLS_VERSION_1_3 : TLS_VERSION_1_2,
    };
}

bool options_need_tls(struct slice url)
{
    return slice_starts_with(url, SLICE("wss:")) || slice_starts_with(url, SLICE("https:"));
}
