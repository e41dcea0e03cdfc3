#include "json/lex.h"

int lex_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *fail(const char *at, const char **wrong)
{
    *wrong = at;
    return NULL;
}

/* `p` is at the backslash. A lone surrogate is well-formed here: RFC 8259, section 8.2. */
static const char *lex_escape(const char *p, const char *end, const char **wrong)
{
    p++;
    if (p == end)
        return fail(p, wrong);
    switch (*p++) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p;
    case 'u':
        break;
    default:
        return fail(p - 1, wrong);
    }
    for (int i = 0; i < 4; i++, p++) {
        if (p == end || lex_hex(*p) < 0)
            return fail(p, wrong);
    }
    return p;
}

const char *lex_string_rest(const char *p, const char *end, bool *escaped, const char **wrong)
{
    for (;;) {
        p = lex_plain_end(p, end);
        if (p == end)
            return fail(p, wrong);
        if (*p == '"')
            return p + 1;
        if (*p == '\\') {
            *escaped = true;
            p = lex_escape(p, end, wrong);
            if (p == NULL)
                return NULL;
        } else if ((unsigned char)*p < 0x20) {
            return fail(p, wrong);
        }
        /* Where one character is not ASCII, its neighbours are likely not either. */
        while (p != end && (unsigned char)*p >= 0x80) {
            unsigned len = lex_utf8(p, end);

            if (len == 0)
                return fail(p, wrong);
            p += len;
        }
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One or more digits. */
static const char *lex_digits(const char *p, const char *end, const char **wrong)
{
    if (p == end || !is_digit(*p))
        return fail(p, wrong);
    while (p != end && is_digit(*p))
        p++;
    return p;
}

const char *lex_number(const char *p, const char *end, const char **wrong)
{
    if (*p == '-')
        p++;
    if (p != end && *p == '0')
        p++;
    else
        p = lex_digits(p, end, wrong);
    if (p != NULL && p != end && *p == '.')
        p = lex_digits(p + 1, end, wrong);
    if (p != NULL && p != end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p != end && (*p == '+' || *p == '-'))
            p++;
        p = lex_digits(p, end, wrong);
    }
    return p;
}

const char *lex_literal(const char *p, const char *end, const char *word, const char **wrong)
{
    for (; *word != '\0'; word++, p++) {
        if (p == end || *p != *word)
            return fail(p, wrong);
    }
    return p;
}
