#include "config/proxy_url.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/slice.h"

/* Schemes that others understand, and people may write here. */
static int refuse_scheme(struct slice text, struct error *err)
{
    static const char *const encrypted = "https://";

    if (slice_starts_with(text, SLICE("socks")))
        return error_set(err, ERR_PARSE,
                         "SOCKS proxies are not understood; name one that speaks HTTP and allows "
                         "CONNECT, as http://HOST:PORT");
    if (slice_starts_with(text, slice_str(encrypted)))
        return error_set(err, ERR_PARSE,
                         "TLS to the proxy itself is not understood; write http://HOST:PORT (what "
                         "goes through it is encrypted all the same)");
    return error_set(err, ERR_PARSE, "write it as http://HOST:PORT or http://USER@HOST:PORT");
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes into out of size bytes. A control byte could slip a header line in, and a NUL a short
 * password. */
static int take_decoded(struct slice text, const char *what, char *out, size_t size,
                        struct error *err)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        int c = (unsigned char)text.ptr[i];

        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text.ptr[i + 2]) : -1;

            if (low < 0)
                return error_set(err, ERR_PARSE,
                                 "%s has a %% without two hexadecimal digits; write %%25 for a %%",
                                 what);
            c = high * 16 + low;
            i += 2;
        }
        if (c < 0x20 || c == 0x7F)
            return error_set(err, ERR_PARSE, "%s has a control byte in it", what);
        if (n + 1 == size)
            return error_set(err, ERR_PARSE, "%s is longer than %zu bytes", what, size - 1);
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return 0;
}

/* RFC 7617 2: the first colon parts user from password, so none can be in the user. */
static int take_login(struct slice login, struct proxy_url *out, struct error *err)
{
    const char *colon = slice_find_byte(login, ':');
    struct slice user = colon != NULL ? slice_make(login.ptr, (size_t)(colon - login.ptr)) : login;
    int rc = take_decoded(user, "the user", out->user, sizeof out->user, err);

    if (rc == 0 && (out->user[0] == '\0' || strchr(out->user, ':') != NULL))
        rc = error_set(err, ERR_PARSE, "a user is not empty and has no colon in it");
    if (rc != 0)
        return rc;
    out->has_user = true;
    if (colon == NULL)
        return 0;
    out->has_password = true;
    return take_decoded(slice_from(login, user.len + 1), "the password", out->password,
                        sizeof out->password, err);
}

static bool is_name(struct slice host)
{
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!letter && (c < '0' || c > '9') && (c == '\0' || strchr(".-_", c) == NULL))
            return false;
        if (c == '.' && (i == 0 || host.ptr[i - 1] == '.'))
            return false;
    }
    return host.len != 0 && host.len <= PROXY_URL_HOST_MAX;
}

/* "host" or "[IPv6]"; *rest is what follows it. */
static int take_host(struct slice text, struct proxy_url *out, struct slice *rest,
                     struct error *err)
{
    bool brackets = slice_starts_with(text, SLICE("["));
    const char *end = slice_find_byte(text, brackets ? ']' : ':');
    struct slice host = text;
    struct in6_addr in6;

    if (end != NULL)
        host.len = (size_t)(end - text.ptr);
    *rest = slice_from(text, host.len + brackets);
    if (brackets)
        host = slice_from(host, 1);
    if (host.len > PROXY_URL_HOST_MAX || (brackets && end == NULL))
        return error_set(err, ERR_PARSE, "the host is none; write http://HOST:PORT");
    memcpy(out->host, slice_chars(host), host.len);
    out->host[host.len] = '\0';
    if (brackets ? inet_pton(AF_INET6, out->host, &in6) == 1 : is_name(host))
        return 0;
    return error_set(err, ERR_PARSE, "the host is none; write http://HOST:PORT%s",
                     slice_find_byte(*rest, ':') != NULL ? ", an IPv6 address as [ADDRESS]" : "");
}

static int take_port(struct slice text, struct proxy_url *out, struct error *err)
{
    int64_t port = PROXY_URL_PORT;

    if (text.len != 0 && (text.ptr[0] != ':' || slice_parse_i64(slice_from(text, 1), &port) != 0 ||
                          port < 1 || port > 65535))
        return error_set(err, ERR_PARSE, "the port is a number from 1 to 65535");
    out->port = (uint16_t)port;
    return 0;
}

int proxy_url_parse(const char *text, struct proxy_url *out, struct error *err)
{
    static const struct slice scheme = SLICE_INIT("http://");
    struct slice rest = slice_str(text), port;
    const char *at = NULL;
    int rc;

    memset(out, 0, sizeof *out);
    if (!slice_starts_with(rest, scheme))
        return refuse_scheme(rest, err);
    rest = slice_from(rest, scheme.len);
    if (slice_find_byte(rest, '\n') != NULL)
        return error_set(err, ERR_PARSE, "one proxy, on one line");
    if (rest.len != 0 && rest.ptr[rest.len - 1] == '/')
        rest.len--;
    /* The last "@": an unencoded one in a password is common in environments. */
    for (size_t i = 0; i < rest.len; i++)
        at = rest.ptr[i] == '@' ? rest.ptr + i : at;
    if (at != NULL) {
        struct slice login = slice_make(rest.ptr, (size_t)(at - rest.ptr));

        rc = take_login(login, out, err);
        if (rc != 0)
            return rc;
        rest = slice_from(rest, login.len + 1);
    }
    rc = take_host(rest, out, &port, err);
    return rc != 0 ? rc : take_port(port, out, err);
}
