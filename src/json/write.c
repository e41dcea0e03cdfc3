#include "json/json.h"
#include "json/lex.h"

/* What takes the place of a byte that cannot stand for itself in a string. */
static int write_escape(struct buf *out, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    char unit[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 0xF]};

    switch (byte) {
    case '"':
        return buf_append(out, "\\\"", 2);
    case '\\':
        return buf_append(out, "\\\\", 2);
    case '\b':
        return buf_append(out, "\\b", 2);
    case '\f':
        return buf_append(out, "\\f", 2);
    case '\n':
        return buf_append(out, "\\n", 2);
    case '\r':
        return buf_append(out, "\\r", 2);
    case '\t':
        return buf_append(out, "\\t", 2);
    default:
        if (byte < 0x20)
            return buf_append(out, unit, sizeof unit);
        return buf_append(out, "\xEF\xBF\xBD", 3); /* not UTF-8: U+FFFD */
    }
}

static int write_inner(struct buf *out, const char *p, const char *end)
{
    int rc = 0;

    while (rc == 0 && p != end) {
        const char *run = p;
        unsigned len;

        p = lex_plain_end(p, end);
        while (p != end && (unsigned char)*p >= 0x80 && (len = lex_utf8(p, end)) != 0)
            p += len;
        if (p != run)
            rc = buf_append(out, run, (size_t)(p - run));
        else
            rc = write_escape(out, (unsigned char)*p++);
    }
    return rc;
}

int json_write_string(struct buf *out, struct slice text)
{
    size_t len_before = out->len;
    const char *start = slice_chars(text);
    int rc = buf_append_byte(out, '"');

    if (rc == 0)
        rc = write_inner(out, start, start + text.len);
    if (rc == 0)
        rc = buf_append_byte(out, '"');
    if (rc != 0)
        out->len = len_before;
    return rc;
}

static void blank_out(char *at, const char *end, char byte)
{
    while ((at = memchr(at, byte, (size_t)(end - at))) != NULL)
        *at++ = ' ';
}

static bool has_byte(struct slice text, char byte)
{
    return slice_find_byte(text, byte) != NULL;
}

int json_write_flat(struct buf *out, struct slice checked_json)
{
    size_t len_before = out->len;
    int rc = buf_append_slice(out, checked_json);

    /* Looked for in the source: what was just written need not be in the cache yet. */
    if (rc != 0 || !(has_byte(checked_json, '\n') || has_byte(checked_json, '\r')))
        return rc;
    blank_out(out->data + len_before, out->data + out->len, '\n');
    blank_out(out->data + len_before, out->data + out->len, '\r');
    return 0;
}
