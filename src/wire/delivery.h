/*
 * delivery: an event line of the log in another form: as a server-sent event (WHATWG HTML 9.2), or
 * the service's own message alone. Pure.
 *
 * Decides: how a line, which ndjson wrote, is wrapped. Leaves: who wants which form to daemon.
 * Fails: as buf_append does; then nothing is appended.
 */
#ifndef HAWSER_WIRE_DELIVERY_H
#define HAWSER_WIRE_DELIVERY_H

#include <stdint.h>

#include "base/buf.h"

#define DELIVERY_INSTANCE 8 /* digits of the store's instance that stand in an event's id */

/* "id: INSTANCE8-SEQ", where the line has a seq, then "data: " and the line as it is. */
int delivery_sse(struct buf *out, const char *instance, struct slice line);
/* Reads such an id: 0, and the digits of its instance and its seq; or ERR_PARSE. */
int delivery_sse_id(struct slice id, struct slice *instance, uint64_t *seq);

struct delivery_payload; /* what finds the message in a line */
int delivery_payload_new(struct delivery_payload **out);
void delivery_payload_free(struct delivery_payload *payload);
/* The message on a line of its own: JSON byte for byte, text with its line ends as blanks, binary
 * as base64. Nothing for what is no event. */
int delivery_payload_write(struct delivery_payload *payload, struct buf *out, struct slice line);

#endif
