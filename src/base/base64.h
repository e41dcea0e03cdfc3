/*
 * base64.h - Base64 with the standard alphabet and padding (RFC 4648, section 4).
 *
 * Decides: what counts as Base64: no line breaks, padding required, unused bits zero. So every
 * byte string has one form only.
 * Leaves to others: the buffer and its bound. Running time depends on the data.
 * Owns: nothing.
 * Fails: as buf_reserve does; decoding also with ERR_PARSE. Then nothing is appended.
 */
#ifndef HAWSER_BASE_BASE64_H
#define HAWSER_BASE_BASE64_H

#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

/* Characters needed for `len` bytes, without a NUL; `len` must be below SIZE_MAX / 2. */
size_t base64_encoded_len(size_t len);

/* Appends the encoded form. `data` may be NULL when `len` is 0. */
int base64_encode(struct buf *out, const void *data, size_t len);

/* Appends the decoded bytes; ERR_PARSE unless `text` is exactly what base64_encode writes. */
int base64_decode(struct buf *out, struct slice text);

#endif
