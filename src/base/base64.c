#include "base/base64.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encoded_len(size_t len)
{
    assert(len < SIZE_MAX / 2);
    return (len + 2) / 3 * 4;
}

/* Writes the 4 characters for 1 to 3 bytes. */
static void encode_group(char *out, const uint8_t *in, size_t n)
{
    uint32_t bits = (uint32_t)in[0] << 16;

    if (n > 1)
        bits |= (uint32_t)in[1] << 8;
    if (n > 2)
        bits |= in[2];
    out[0] = alphabet[bits >> 18];
    out[1] = alphabet[bits >> 12 & 63];
    out[2] = n > 1 ? alphabet[bits >> 6 & 63] : '=';
    out[3] = n > 2 ? alphabet[bits & 63] : '=';
}

int base64_encode(struct buf *out, const void *data, size_t len)
{
    const uint8_t *in = data;
    int rc = buf_reserve(out, base64_encoded_len(len));

    if (rc != 0)
        return rc;
    for (size_t i = 0; i < len; i += 3) {
        encode_group(out->data + out->len, in + i, len - i < 3 ? len - i : 3);
        out->len += 4;
    }
    return 0;
}

/* The value of a character, or -1. */
static int decode_char(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    if (c == '/')
        return 63;
    return -1;
}

/* Reads 4 characters as `n` (1 to 3) bytes; the caller has looked at the padding. */
static bool decode_group(char *out, const char *in, size_t n)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < 4; i++) {
        int value = i <= n ? decode_char(in[i]) : 0;

        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
    }
    /* Bits that no byte uses must be zero, or one byte string would have several forms. */
    if ((bits & (UINT32_C(0xFFFFFF) >> 8 * n)) != 0)
        return false;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(bits >> (16 - 8 * i) & 0xFF);
    return true;
}

static size_t padding(struct slice text)
{
    if (text.len < 4 || text.ptr[text.len - 1] != '=')
        return 0;
    return text.ptr[text.len - 2] == '=' ? 2 : 1;
}

int base64_decode(struct buf *out, struct slice text)
{
    size_t pad = padding(text);
    size_t size = text.len / 4 * 3 - pad;
    int rc;

    if (text.len % 4 != 0)
        return ERR_PARSE;
    rc = buf_reserve(out, size);
    if (rc != 0)
        return rc;
    for (size_t i = 0, done = 0; done < size; i += 4, done += 3) {
        size_t n = size - done < 3 ? size - done : 3;

        if (!decode_group(out->data + out->len + done, text.ptr + i, n))
            return ERR_PARSE;
    }
    out->len += size;
    return 0;
}
