/*
 * Addresses that the network names: may we go there? A service that is broken into, or a proxy,
 * must not lead us (and the credential) to a host of its own, nor off TLS.
 */
#include <stdio.h>
#include <strings.h>

#include "base/glob.h"
#include "profile/authority.h"
#include "profile/internal.h"

struct address {
    bool websocket, secure;
    struct authority authority;
};

static bool take_scheme(struct slice *url, struct address *out)
{
    static const struct {
        const char *text;
        bool websocket, secure;
    } schemes[] = {{"wss://", true, true},
                   {"ws://", true, false},
                   {"https://", false, true},
                   {"http://", false, false}};

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t n = strlen(schemes[i].text);

        if (url->len < n || strncasecmp(url->ptr, schemes[i].text, n) != 0)
            continue;
        out->websocket = schemes[i].websocket;
        out->secure = schemes[i].secure;
        *url = slice_from(*url, n);
        return true;
    }
    return false;
}

static int parse(struct slice url, struct address *out, struct error *err)
{
    struct slice authority;
    size_t n = 0;

    if (url.len > PROFILE_ADDRESS_MAX)
        return error_set(err, ERR_LIMIT, "the address is %zu bytes, limit is %d", url.len,
                         PROFILE_ADDRESS_MAX);
    for (size_t i = 0; i < url.len; i++) {
        unsigned char c = (unsigned char)url.ptr[i];

        if (c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}#", c) != NULL)
            return error_set(err, ERR_INVAL, "byte 0x%02x may not stand in an address", c);
    }
    if (!take_scheme(&url, out))
        return error_set(err, ERR_INVAL, "the address does not begin with wss:// or https://");
    while (n < url.len && strchr("/?", url.ptr[n]) == NULL)
        n++;
    authority = slice_make(url.ptr, n);
    if (slice_find_byte(authority, '@') != NULL)
        return error_set(err, ERR_INVAL, "the address has a user or password in it");
    if (!authority_parse(authority, &out->authority) || out->authority.host.ptr[0] == '.')
        return error_set(err, ERR_INVAL, "the address names no host and port");
    return 0;
}

static unsigned port_of(const struct authority *authority, bool secure)
{
    return authority->port != 0 ? authority->port : secure ? 443 : 80;
}

/* The port that HOST alone stands for: the scheme's, or the one that is configured. */
static bool usual_port(const struct profile_private *priv, const struct address *address)
{
    struct authority own;
    unsigned port = port_of(&address->authority, address->secure);

    if (port == (address->secure ? 443 : 80))
        return true;
    return authority_parse(priv->connect.head.authority, &own) && port == own.port;
}

static bool pattern_fits(const struct profile_private *priv, const struct host_pattern *pattern,
                         const struct address *address)
{
    struct slice host = authority_undotted(address->authority.host);
    char lower[AUTHORITY_HOST_MAX + 1];

    if (pattern->port != 0 ? pattern->port != port_of(&address->authority, address->secure)
                           : !pattern->any_port && !usual_port(priv, address))
        return false;
    if (authority_same_host(pattern->glob, host))
        return true;
    if (host.len > AUTHORITY_HOST_MAX || host.ptr[0] == '[')
        return false;
    for (size_t i = 0; i < host.len; i++)
        lower[i] = host.ptr[i] >= 'A' && host.ptr[i] <= 'Z' ? (char)(host.ptr[i] - 'A' + 'a')
                                                            : host.ptr[i];
    return glob_match(pattern->glob, slice_make(lower, host.len));
}

static bool host_allowed(const struct profile_private *priv, const struct address *address)
{
    struct authority own;

    if (authority_parse(priv->connect.head.authority, &own) &&
        authority_same_host(own.host, address->authority.host) && usual_port(priv, address))
        return true;
    for (unsigned i = 0; i < priv->n_hosts; i++)
        if (pattern_fits(priv, &priv->hosts[i], address))
            return true;
    return false;
}

int profile_address_ok(const struct profile *profile, struct slice url, struct error *err)
{
    const struct profile_private *priv = profile->priv;
    struct address address;
    int rc = parse(url, &address, err);
    bool plain_ok;

    if (rc != 0)
        return rc;
    if (!host_allowed(priv, &address))
        return error_set(err, ERR_PERM, "`" SLICE_FMT "` (port %u) is not among [connect] hosts",
                         SLICE_ARG(address.authority.host),
                         port_of(&address.authority, address.secure));
    plain_ok = !priv->connect.head.secure && (address.websocket || !priv->http_secure);
    if (!address.secure && !plain_ok)
        return error_set(err, ERR_PERM, "the address would leave TLS, which is configured");
    if (!address.secure && !priv->plaintext && !authority_is_loopback(address.authority.host))
        return error_set(err, ERR_PERM,
                         "unencrypted, and `" SLICE_FMT "` is not this host; the stream would need "
                         "plaintext = yes",
                         SLICE_ARG(address.authority.host));
    return 0;
}
