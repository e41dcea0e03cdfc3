/*
 * redirect: where a 3xx leads, and what of the request may go there.
 *
 * Decides: the new address (RFC 3986 5.2, in the scheme family of the old one: a WebSocket that is
 * sent to https:// goes to wss://); that it is not weaker; its query: ours, after what Location
 * adds that we do not set ourselves, for a Location may echo ours with the token in it. To another
 * host or port goes nothing that holds a secret, be it header, query, subprotocol or body; and a
 * path that holds one is not gone to. Leaves: which hosts are allowed at all to
 * profile_address_ok(), how often to the caller. Fails: ERR_PARSE for a Location that is no
 * address, ERR_REFUSED for one that is weaker or holds a secret. Pure.
 */
#ifndef HAWSER_REACH_REDIRECT_H
#define HAWSER_REACH_REDIRECT_H

#include "base/buf.h"
#include "base/error.h"
#include "reach/redact.h"

#define REDIRECTS_MAX 5

/* Whether a request of this method may be sent anew where the status says; as_get: without its
 * body, as GET (RFC 9110 15.4.4). What asks for more than to be repeated elsewhere is not followed.
 */
bool redirect_follows(int status, struct slice method, bool *as_get);

/* Appends to out_url and out_headers, both empty, which the caller wipes. */
int redirect_resolve(struct slice url, struct slice headers, struct slice location,
                     const struct redact *secrets, struct buf *out_url, struct buf *out_headers,
                     struct error *err);

/* Whether this part of the request, its body or subprotocol, may go from url to next: anywhere if
 * it holds no secret, else only to the same host and port. */
bool redirect_may_take(struct slice url, struct slice next, struct slice part,
                       const struct redact *secrets);

#endif
