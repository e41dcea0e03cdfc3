/*
 * deflate: permessage-deflate (RFC 7692) as a client: what is offered, what a server may answer,
 * and messages inflated and deflated by those terms.
 *
 * Decides: which answers are legal; what a compressed message is. Leaves: frames, the reserved bit
 * and the size of a message to ws.
 * Owns: an inflater has zlib's state, some 10 KiB from the first compressed message on, and a
 * window of 1 << server_bits bytes (512 to 32 KiB) for what later messages refer to; both stay. To
 * deflate takes 10 KiB to 260 KiB, by the message's size, and only during the call. All of it is
 * wiped when it is given back.
 * Fails: as said at each function; broken data is ERR_PROTOCOL, to be answered with 1007.
 *
 * What we send is compressed message by message: we never take over a context, as a client may
 * choose to (section 7.1.1.2). It would hold memory for each link, and let whoever may write one
 * message (a program that sends) guess by the lengths what another held (the token that we log in
 * with).
 */
#ifndef HAWSER_WIRE_DEFLATE_H
#define HAWSER_WIRE_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

/* As browsers offer it. The server may so choose a window for what we send. */
#define DEFLATE_OFFER "permessage-deflate; client_max_window_bits"

enum {
    DEFLATE_BITS_MIN = 8, /* of a window, log2 bytes: section 7.1.2 */
    DEFLATE_BITS_MAX = 15,
    DEFLATE_MIN = 64, /* bytes of a message that it pays to compress */
};

/* What both sides have agreed on. */
struct deflate_terms {
    bool agreed; /* all else is of no meaning without it */
    bool server_no_context_takeover, client_no_context_takeover;
    unsigned server_bits, client_bits; /* of the windows; 15 where nothing was said */
};

/* Reads the answer to DEFLATE_OFFER: Sec-WebSocket-Extensions, all its lines joined by commas
 * (RFC 6455 9.1). Nothing in it: not agreed, and 0. ERR_PROTOCOL for what the offer does not
 * allow, RFC 7692 5 and 7.1, with what and why. */
int deflate_answer_read(struct slice value, struct deflate_terms *terms, struct error *err);

/* ---- in ---- */

struct inflater;
int inflater_new(const struct deflate_terms *terms, struct inflater **out);
void inflater_free(struct inflater *inflater);
/* The next bytes of the message under way, which lie still until inflater_next() wants more; end:
 * they are its last. Not before that. */
void inflater_feed(struct inflater *inflater, struct slice bytes, bool end);
/* Writes at most `room` bytes (not 0) of the message. *n is 0 when more is wanted or the message
 * has ended. ERR_PROTOCOL: the data is broken, ERR_NOMEM; what was good has been written by an
 * earlier call, and the inflater is of no more use. */
int inflater_next(struct inflater *inflater, char *out, size_t room, size_t *n, struct error *err);
/* The rest of the message under way is not wanted. True: it is not to be fed; false: it must be,
 * since later messages may refer to it. */
bool inflater_drop(struct inflater *inflater);

/* ---- out ---- */

/* Appends the message, compressed. False, and nothing appended: it does not get shorter, or the
 * terms or the memory are not there for it: it is to be sent as it is, which is always allowed. */
bool deflate_message(const struct deflate_terms *terms, struct slice message, struct buf *out);

#endif
