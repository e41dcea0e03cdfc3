/* What a scalar value says: a string with its escapes undone, a number as an integer. */
#include "json/json.h"
#include "json/lex.h"

enum {
    CHARACTER_MAX = 4, /* bytes of a character in UTF-8 */
    SURROGATE_HIGH = 0xD800,
    SURROGATE_LOW = 0xDC00,
    SURROGATE_END = 0xE000,
    REPLACEMENT = 0xFFFD
};

static unsigned encode_utf8(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* The four hexadecimal digits of a checked "\uXXXX" at `p`. */
static uint32_t code_unit(const char *p)
{
    uint32_t unit = 0;

    for (int i = 2; i < 6; i++)
        unit = unit << 4 | ((uint32_t)lex_hex(p[i]) & 0xF);
    return unit;
}

/* A checked "\uXXXX" at *p, with the second half of a surrogate pair where one follows. */
static uint32_t take_code_point(const char **p, const char *end)
{
    uint32_t c = code_unit(*p);
    uint32_t low;

    *p += 6;
    if (c < SURROGATE_HIGH || c >= SURROGATE_END)
        return c;
    if (c >= SURROGATE_LOW || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return REPLACEMENT;
    low = code_unit(*p);
    if (low < SURROGATE_LOW || low >= SURROGATE_END)
        return REPLACEMENT;
    *p += 6;
    return 0x10000 + ((c - SURROGATE_HIGH) << 10) + (low - SURROGATE_LOW);
}

/* The checked escape at *p as UTF-8; returns its length. */
static unsigned take_escape(const char **p, const char *end, char *out)
{
    char c = (*p)[1];

    if (c == 'u')
        return encode_utf8(take_code_point(p, end), out);
    *p += 2;
    switch (c) {
    case 'b':
        out[0] = '\b';
        break;
    case 'f':
        out[0] = '\f';
        break;
    case 'n':
        out[0] = '\n';
        break;
    case 'r':
        out[0] = '\r';
        break;
    case 't':
        out[0] = '\t';
        break;
    default: /* '"', '\\' and '/' stand for themselves */
        out[0] = c;
        break;
    }
    return 1;
}

/* The text between the quotes. */
static struct slice inner(const struct json_value *value)
{
    return slice_make(value->raw.ptr + 1, value->raw.len - 2);
}

/* The next piece of a string's text, in `piece` or in the value itself; false at the end. */
static bool next_piece(const char **p, const char *end, char piece[CHARACTER_MAX],
                       struct slice *out)
{
    const char *escape;

    if (*p == end)
        return false;
    if (**p == '\\') {
        *out = slice_make(piece, take_escape(p, end, piece));
        return true;
    }
    escape = memchr(*p, '\\', (size_t)(end - *p));
    if (escape == NULL)
        escape = end;
    *out = slice_make(*p, (size_t)(escape - *p));
    *p = escape;
    return true;
}

int json_string_decode(const struct json_value *value, struct buf *out)
{
    size_t len_before = out->len;
    char piece[CHARACTER_MAX];
    const char *p, *end;
    struct slice s;

    if (value->type != JSON_STRING)
        return ERR_INVAL;
    if (!value->escaped)
        return buf_append_slice(out, inner(value));
    p = inner(value).ptr;
    end = p + inner(value).len;
    while (next_piece(&p, end, piece, &s)) {
        int rc = buf_append_slice(out, s);

        if (rc != 0) {
            out->len = len_before;
            return rc;
        }
    }
    return 0;
}

bool json_string_eq(const struct json_value *value, struct slice text)
{
    char piece[CHARACTER_MAX];
    const char *p, *end;
    struct slice s;

    if (value->type != JSON_STRING)
        return false;
    if (!value->escaped)
        return slice_eq(inner(value), text);
    p = inner(value).ptr;
    end = p + inner(value).len;
    while (next_piece(&p, end, piece, &s)) {
        if (!slice_starts_with(text, s))
            return false;
        text = slice_from(text, s.len);
    }
    return text.len == 0;
}

int json_int64(const struct json_value *value, int64_t *out)
{
    int rc;

    if (value->type != JSON_NUMBER)
        return ERR_INVAL;
    rc = slice_parse_i64(value->raw, out);
    /* A number that is not only digits has a fraction or an exponent. */
    return rc == ERR_PARSE ? ERR_INVAL : rc;
}
