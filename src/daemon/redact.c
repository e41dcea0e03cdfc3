#include "daemon/redact.h"

#include <string.h>
#include <strings.h>

static const char mark[] = "***"; /* shorter than any value: the text never grows */

void redact_init(struct redact *redact)
{
    *redact = (struct redact){.next = 0};
    for (unsigned i = 0; i < REDACT_KEPT; i++)
        buf_init(&redact->values[i], BUF_UNBOUNDED);
}

void redact_fini(struct redact *redact)
{
    for (unsigned i = 0; i < REDACT_KEPT; i++) {
        buf_wipe(&redact->values[i]);
        buf_fini(&redact->values[i]);
    }
}

int redact_learn(struct redact *redact, struct slice value)
{
    if (value.len < REDACT_MIN)
        return 0;
    for (unsigned i = 0; i < REDACT_KEPT; i++)
        if (slice_eq(buf_slice(&redact->values[i]), value))
            return 0;
    struct buf *place = &redact->values[redact->next];
    buf_wipe(place);
    if (buf_append_slice(place, value) != 0)
        return ERR_NOMEM;
    redact->next = (redact->next + 1) % REDACT_KEPT;
    return 0;
}

/* Bytes of text that stand for this byte of a value, 0: it is another. */
static size_t match_byte(const char *text, char byte)
{
    static const char hex[] = "0123456789ABCDEF";
    char encoded[] = {'%', hex[(unsigned char)byte >> 4], hex[byte & 0xF], '\0'};
    if (*text == byte)
        return 1;
    if (strncasecmp(text, encoded, 3) == 0)
        return 3;
    if (*text == '+' && byte == ' ')
        return 1;
    return text[0] == '\\' && text[1] == byte ? 2 : 0;
}

/* Where text was cut: at its end, or at the dots that say so. */
static bool broken_off(const char *text)
{
    return *text == '\0' || strcmp(text, "...") == 0 ||
           ((*text == '%' || *text == '\\') && strlen(text) < 3);
}

/* Bytes of text from its start on that are a trace of the value, 0: none. */
static size_t match(const char *text, struct slice value)
{
    size_t at = 0, i = 0, n;
    for (; i < value.len && (n = match_byte(text + at, value.ptr[i])) != 0; i++)
        at += n;
    if (i == value.len)
        return at;
    return i >= REDACT_MIN && broken_off(text + at) ? strlen(text) : 0;
}

void redact_text(const struct redact *redact, char *text)
{
    char *to = text;
    while (*text != '\0') {
        size_t longest = 0;
        for (unsigned i = 0; i < REDACT_KEPT; i++) {
            size_t n = redact->values[i].len > 0 ? match(text, buf_slice(&redact->values[i])) : 0;
            longest = n > longest ? n : longest;
        }
        if (longest == 0) {
            *to++ = *text++;
            continue;
        }
        memcpy(to, mark, sizeof(mark) - 1);
        to += sizeof(mark) - 1;
        text += longest;
    }
    *to = '\0';
}
