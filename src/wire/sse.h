/*
 * sse: the client's side of server-sent events (WHATWG HTML, section 9.2), as a pure decoder.
 *
 * Decides: lines (CR, LF, CRLF, also across feeds; one BOM at the start is skipped), fields, and
 * when an event is dispatched: at an empty line, if it has data. `id` with a NUL is ignored and
 * stays with the decoder as the last id, `retry` takes digits only, unknown fields and comments are
 * skipped; what the end of the stream cuts off is dropped.
 * Leaves: what the data means, and UTF-8 checks of it, to profile.
 * Fails: an event over the limit is thrown away in constant memory and told as oversize; so is one
 * whose id or type is longer than a client keeps. Without memory: ERR_NOMEM, and nothing more can
 * be had of the stream.
 */
#ifndef HAWSER_WIRE_SSE_H
#define HAWSER_WIRE_SSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define SSE_ID_MAX 1024  /* bytes */
#define SSE_TYPE_MAX 256 /* bytes */

struct sse_event {
    struct slice data;  /* lines joined by "\n" */
    struct slice event; /* its type, .ptr NULL: "message" */
    struct slice id;    /* the last id, set by this event or an earlier one; .ptr NULL: none */
};

struct sse; /* a decoder */
int sse_new(size_t data_max, struct sse **out);
void sse_free(struct sse *sse);
/*
 * Decodes from the front of *bytes and stops behind the first event: 1 and *out (borrowed until the
 * next call), or 0 when all bytes are used, or ERR_LIMIT: an event larger than data_max ended here
 * and was dropped. Call until it returns 0. *bytes must not change while *out is in use.
 */
int sse_next(struct sse *sse, struct slice *bytes, struct sse_event *out);
/* The newest `retry`, -1: none was said. */
int64_t sse_retry_ms(const struct sse *sse);

#endif
