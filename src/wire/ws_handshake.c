#include "base/base64.h"
#include "wire/http_request.h"
#include "wire/http_text.h"
#include "wire/ws.h"

#define WS_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

enum { KEY_LEN = 24, ACCEPT_LEN = 28 };

/* A buffer over memory of the caller's, with one byte behind it: it has room for what is written,
 * so it never grows. */
static struct buf buf_over(char *memory, size_t size)
{
    return (struct buf){.data = memory, .cap = size, .max = size};
}

void ws_key(const uint8_t random[16], char key[25])
{
    struct buf out = buf_over(key, KEY_LEN);

    base64_encode(&out, random, 16);
    key[KEY_LEN] = '\0';
}

size_t ws_accept_input(const char key[25], char out[61])
{
    memcpy(out, key, KEY_LEN);
    memcpy(out + KEY_LEN, WS_GUID, sizeof WS_GUID);
    return KEY_LEN + sizeof WS_GUID - 1;
}

int ws_upgrade_write(struct buf *out, const struct http_url *url, const char key[25],
                     struct slice headers, struct slice subprotocol, bool deflate)
{
    static const char *const ours[] = {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-accept",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
    };
    size_t before = out->len;
    int rc = http_is_value(subprotocol) ? http_request_head(out, SLICE("GET"), url) : ERR_INVAL;

    if (rc == 0)
        rc = buf_appendf(out,
                         "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
                         key);
    if (rc == 0 && subprotocol.len > 0)
        rc = buf_appendf(out, "Sec-WebSocket-Protocol: " SLICE_FMT "\r\n", SLICE_ARG(subprotocol));
    if (rc == 0 && deflate)
        rc = buf_append_str(out, "Sec-WebSocket-Extensions: " DEFLATE_OFFER "\r\n");
    if (rc == 0)
        rc = http_request_lines(out, headers, ours, sizeof ours / sizeof ours[0]);
    if (rc == 0)
        rc = buf_append_str(out, "\r\n");
    if (rc != 0)
        out->len = before;
    return rc;
}

/* Whether all lines of that name together list the element. */
static bool header_has(const struct http_response *response, const char *name, struct slice element)
{
    struct buf joined;
    bool found;

    buf_init(&joined, BUF_UNBOUNDED);
    found = http_response_header_joined(response, name, &joined) == 0 &&
            http_list_has(buf_slice(&joined), element);
    buf_fini(&joined);
    return found;
}

/* Whether it is there, and names that protocol and no other (RFC 6455 4.1). */
static bool upgrades_to(const struct http_response *response, struct slice protocol)
{
    struct buf joined;
    struct slice list, element;
    bool only;

    buf_init(&joined, BUF_UNBOUNDED);
    only = http_response_header_joined(response, "upgrade", &joined) == 0;
    list = buf_slice(&joined);
    only = only && http_list_has(list, protocol);
    while (only && http_list_next(&list, &element))
        only = http_eq_nocase(element, protocol);
    buf_fini(&joined);
    return only;
}

/* The same value on all its lines, or on one: a second line is a second opinion. */
static bool header_is(const struct http_response *response, const char *name, struct slice value)
{
    struct buf joined;
    bool same;

    buf_init(&joined, BUF_UNBOUNDED);
    same = http_response_header_joined(response, name, &joined) == 0 &&
           slice_eq(buf_slice(&joined), value);
    buf_fini(&joined);
    return same;
}

static int check_subprotocol(const struct http_response *response, struct slice asked,
                             struct error *err)
{
    struct slice given = http_response_header(response, "sec-websocket-protocol");
    struct slice at;

    if (given.ptr == NULL)
        return 0;
    if (asked.len == 0)
        return error_set(err, ERR_PROTOCOL,
                         "WebSocket handshake: the server chose subprotocol \"" SLICE_FMT
                         "\" where none was asked for",
                         SLICE_ARG(given));
    while (http_list_next(&asked, &at)) {
        if (header_is(response, "sec-websocket-protocol", at))
            return 0;
    }
    /* What was asked for may hold a key, so neither is shown. */
    return error_set(err, ERR_PROTOCOL,
                     "WebSocket handshake: the server chose a subprotocol that was not asked for");
}

/* terms NULL: nothing was offered, so nothing may be agreed. */
static int check_extensions(const struct http_response *response, struct deflate_terms *terms,
                            struct error *err)
{
    struct buf joined;
    struct slice list, element;
    int rc;

    buf_init(&joined, BUF_UNBOUNDED);
    rc = http_response_header_joined(response, "sec-websocket-extensions", &joined);
    list = buf_slice(&joined);
    if (rc != 0)
        error_set(err, rc, "WebSocket handshake: %s", error_text(rc));
    else if (terms != NULL)
        rc = deflate_answer_read(list, terms, err);
    else if (http_list_next(&list, &element))
        rc = error_set(err, ERR_PROTOCOL,
                       "WebSocket handshake: the server turned on an extension that was not asked "
                       "for: " SLICE_FMT,
                       SLICE_ARG(element));
    buf_fini(&joined);
    return rc;
}

int ws_upgrade_check(const struct http_response *response, const uint8_t accept_sha1[20],
                     struct slice subprotocol, struct deflate_terms *terms, struct error *err)
{
    char accept[ACCEPT_LEN + 1];
    struct buf expected = buf_over(accept, ACCEPT_LEN);
    int rc;

    base64_encode(&expected, accept_sha1, 20);
    if (response->status != 101)
        return error_set(err, ERR_PROTOCOL, "WebSocket handshake: status %d where 101 is needed",
                         response->status);
    if (response->minor == 0)
        return error_set(err, ERR_PROTOCOL,
                         "WebSocket handshake: 101 by HTTP/1.0, which knows no upgrade: something "
                         "between speaks for the server");
    if (!upgrades_to(response, SLICE("websocket")))
        return error_set(err, ERR_PROTOCOL,
                         "WebSocket handshake: 101 without \"Upgrade: websocket\", or with another "
                         "protocol beside it");
    if (!header_has(response, "connection", SLICE("upgrade")))
        return error_set(err, ERR_PROTOCOL,
                         "WebSocket handshake: 101 without \"Connection: Upgrade\"");
    if (!header_is(response, "sec-websocket-accept", buf_slice(&expected)))
        return error_set(err, ERR_PROTOCOL,
                         "WebSocket handshake: Sec-WebSocket-Accept is %s: a cache or a proxy "
                         "answered, or not a WebSocket server",
                         http_response_header(response, "sec-websocket-accept").ptr != NULL
                             ? "wrong"
                             : "missing");
    rc = check_extensions(response, terms, err);
    return rc != 0 ? rc : check_subprotocol(response, subprotocol, err);
}
