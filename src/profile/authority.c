#include "profile/authority.h"

#include <arpa/inet.h>
#include <strings.h>

/* Four decimal octets, nothing else that a resolver might take for an address. */
static bool parse_ipv4(struct slice host, unsigned char out[4])
{
    for (int i = 0; i < 4; i++) {
        const char *dot = slice_find_byte(host, '.');
        size_t n = i < 3 ? (dot != NULL ? (size_t)(dot - host.ptr) : 0) : host.len;
        uint64_t octet;

        if (n == 0 || n > 3 || slice_parse_u64(slice_make(host.ptr, n), &octet) != 0 || octet > 255)
            return false;
        out[i] = (unsigned char)octet;
        host = slice_from(host, n + 1);
    }
    return true;
}

/* "[...]" that is an IPv6 address. */
static bool parse_ipv6(struct slice host, struct in6_addr *out)
{
    char text[INET6_ADDRSTRLEN];

    if (host.len < 2 || host.ptr[0] != '[' || host.len - 2 >= sizeof(text))
        return false;
    memcpy(text, host.ptr + 1, host.len - 2);
    text[host.len - 2] = '\0';
    return inet_pton(AF_INET6, text, out) == 1;
}

bool authority_is_loopback(struct slice host)
{
    unsigned char v4[4];

    return slice_eq_str(host, "localhost") || slice_eq_str(host, "[::1]") ||
           (parse_ipv4(host, v4) && v4[0] == 127);
}

bool authority_all_of(struct slice text, const char *allowed)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\0' || strchr(allowed, text.ptr[i]) == NULL)
            return false;
    return text.len != 0;
}

bool authority_parse(struct slice text, struct authority *out)
{
    const char *end;
    struct slice port;
    uint64_t number;

    *out = (struct authority){0};
    if (text.len != 0 && text.ptr[0] == '[') {
        end = slice_find_byte(text, ']');
        if (end == NULL)
            return false;
        out->host = slice_make(text.ptr, (size_t)(end - text.ptr) + 1);
        if (!authority_all_of(slice_make(out->host.ptr + 1, out->host.len - 2),
                              "0123456789abcdefABCDEF:."))
            return false;
    } else {
        end = slice_find_byte(text, ':');
        out->host = slice_make(text.ptr, end != NULL ? (size_t)(end - text.ptr) : text.len);
        if (!authority_all_of(out->host, AUTHORITY_NAME_BYTES) ||
            out->host.len > AUTHORITY_HOST_MAX)
            return false;
    }
    port = slice_from(text, out->host.len);
    if (port.len == 0)
        return true;
    if (port.ptr[0] != ':' || slice_parse_u64(slice_from(port, 1), &number) != 0 || number < 1 ||
        number > 65535)
        return false;
    out->port = (unsigned)number;
    return true;
}

struct slice authority_undotted(struct slice host)
{
    if (host.len > 1 && host.ptr[host.len - 1] == '.')
        host.len--;
    return host;
}

bool authority_same_host(struct slice a, struct slice b)
{
    struct in6_addr a6, b6;

    if (parse_ipv6(a, &a6) && parse_ipv6(b, &b6))
        return memcmp(&a6, &b6, sizeof(a6)) == 0;
    a = authority_undotted(a);
    b = authority_undotted(b);
    return a.len == b.len && a.len != 0 && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}
