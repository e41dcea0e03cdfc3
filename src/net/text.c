#include "base/utf8.h"
#include "net/conn.h"

const char *net_phase_name(enum net_phase phase)
{
    switch (phase) {
    case NET_PHASE_DNS:
        return "dns";
    case NET_PHASE_TCP:
        return "tcp";
    case NET_PHASE_PROXY:
        return "proxy";
    case NET_PHASE_TLS:
        return "tls";
    case NET_PHASE_UPGRADE:
        return "upgrade";
    case NET_PHASE_OPEN:
        return "open";
    case NET_PHASE_HTTP:
        return "http";
    }
    return "unknown";
}

/* The length of the character that text begins with; 0 where that is no UTF-8. */
static size_t character_length(struct slice text)
{
    unsigned char lead = (unsigned char)text.ptr[0];
    size_t len = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;

    return len <= text.len && utf8_valid(text.ptr, len) ? len : 0;
}

/* C0 and DEL, space, and C1, which is U+0080 to U+009F. */
static bool is_blank_or_control(struct slice text, size_t len)
{
    unsigned char first = (unsigned char)text.ptr[0];

    if (len == 1)
        return first <= ' ' || first == 0x7F;
    return len == 2 && first == 0xC2 && (unsigned char)text.ptr[1] < 0xA0;
}

void net_printable(char *out, size_t size, struct slice text)
{
    size_t at = 0;
    bool gap = false;

    while (text.len != 0) {
        size_t len = character_length(text);
        const char *bytes = len != 0 ? text.ptr : "?";
        size_t n = len != 0 ? len : 1;

        if (len != 0 && is_blank_or_control(text, len)) {
            gap = at != 0;
        } else {
            if (at + gap + n >= size)
                break;
            if (gap)
                out[at++] = ' ';
            gap = false;
            memcpy(out + at, bytes, n);
            at += n;
        }
        text = slice_from(text, n);
    }
    out[at] = '\0';
}
