#include "config/listen.h"

#include <string.h>

#include "config/keys.h"

/* ---- addresses ---- */

/* "127.0.0.1:9472" or "[::1]:9472". Whether the address is one, the kernel says when it is bound.
 */
static bool split_address(const char *text, struct slice *host, struct slice *port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL)
        return false;
    *host = slice_make(text, (size_t)(colon - text));
    *port = slice_str(colon + 1);
    if (host->len > 2 && text[0] == '[' && host->ptr[host->len - 1] == ']') {
        *host = slice_make(text + 1, host->len - 2);
        return true;
    }
    return slice_find_byte(*host, ':') == NULL;
}

static bool only_of(struct slice text, const char *bytes)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr(bytes, text.ptr[i]) == NULL)
            return false;
    return text.len > 0;
}

static bool is_address(const char *text, struct slice *host)
{
    struct slice port;
    uint64_t number;
    if (!split_address(text, host, &port) || slice_parse_u64(port, &number) != 0 || number > 65535)
        return false;
    return only_of(*host, slice_find_byte(*host, ':') != NULL ? "0123456789abcdefABCDEF:."
                                                              : "0123456789.");
}

static bool is_loopback(struct slice host)
{
    return slice_eq(host, SLICE("::1")) || slice_starts_with(host, SLICE("127."));
}

/* ---- one listener ---- */

static void check_tcp(const struct settings_listen *listen, struct diag *diag)
{
    struct slice host;
    if (listen->protocol != SETTINGS_PROTOCOL_HTTP)
        diag_add(diag, listen->file, listen->line,
                 "[listen %s] listens on tcp, which only protocol = http may: on a path, file "
                 "permissions say who may connect",
                 listen->name);
    else if (!is_address(listen->tcp, &host))
        diag_add(
            diag, listen->file, listen->line,
            "[listen %s] tcp is not ADDRESS:PORT, such as 127.0.0.1:9472 or [::1]:9472: \"%s\"",
            listen->name, listen->tcp);
    else if (!is_loopback(host) && listen->auth == NULL)
        diag_add(
            diag, listen->file, listen->line,
            "[listen %s] %s can be reached from other machines; add auth = credential:NAME, or "
            "listen on 127.0.0.1",
            listen->name, listen->tcp);
}

static void check_place(const struct settings *settings, const struct settings_listen *listen,
                        struct diag *diag)
{
    if (listen->path != NULL && listen->tcp != NULL)
        diag_add(diag, listen->file, listen->line,
                 "[listen %s] has both path and tcp; make it two sections", listen->name);
    else if (listen->tcp != NULL)
        check_tcp(listen, diag);
    else if (listen->path == NULL && !keys_given(settings, "listen", listen->name, "path"))
        diag_add(diag, listen->file, listen->line,
                 "[listen %s] has no path; add path = /run/hawser/%s.sock", listen->name,
                 listen->name);
}

static bool is_source(const char *text)
{
    static const char *const kinds[] = {"credential:", "file:/", "env:"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strncmp(text, kinds[i], strlen(kinds[i])) == 0 && text[strlen(kinds[i])] != '\0')
            return true;
    return false;
}

/* Never repeats it: what stands there may be the secret. */
static void check_auth(const struct settings_listen *listen, struct diag *diag)
{
    if (listen->auth == NULL)
        return;
    if (listen->protocol != SETTINGS_PROTOCOL_HTTP)
        diag_add(diag, listen->file, listen->line, "[listen %s] auth is for protocol = http",
                 listen->name);
    if (!is_source(listen->auth))
        diag_add(diag, listen->file, listen->line,
                 "[listen %s] auth says where the token is, never the token itself: "
                 "credential:NAME, file:/PATH or env:NAME",
                 listen->name);
}

static void check_protocol(const struct settings_listen *listen, struct diag *diag)
{
    bool feed = listen->protocol == SETTINGS_PROTOCOL_FEED;
    if (!feed && listen->format != SETTINGS_FORMAT_ENVELOPE)
        diag_add(diag, listen->file, listen->line, "[listen %s] format is for protocol = feed",
                 listen->name);
    if (!feed && listen->from != SETTINGS_FROM_NOW)
        diag_add(diag, listen->file, listen->line, "[listen %s] from is for protocol = feed",
                 listen->name);
    if (listen->protocol != SETTINGS_PROTOCOL_NDJSON && listen->control)
        diag_add(diag, listen->file, listen->line, "[listen %s] control is for protocol = ndjson",
                 listen->name);
}

/* ---- all of them ---- */

static bool same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* Port 0 is whichever is free. */
static bool any_port(const char *tcp)
{
    size_t n = strlen(tcp);
    return n > 2 && strcmp(tcp + n - 2, ":0") == 0;
}

void listen_check(const struct settings *settings, struct diag *diag)
{
    for (size_t i = 0; i < settings->n_listens; i++) {
        const struct settings_listen *listen = &settings->listens[i];
        check_place(settings, listen, diag);
        check_auth(listen, diag);
        check_protocol(listen, diag);
        for (size_t j = 0; j < i; j++) {
            const struct settings_listen *other = &settings->listens[j];
            if (same(other->path, listen->path))
                diag_add(diag, listen->file, listen->line,
                         "[listen %s] and [listen %s] have the same path: %s", listen->name,
                         other->name, listen->path);
            if (same(other->tcp, listen->tcp) && !any_port(listen->tcp))
                diag_add(diag, listen->file, listen->line,
                         "[listen %s] and [listen %s] have the same address: %s", listen->name,
                         other->name, listen->tcp);
        }
    }
}
