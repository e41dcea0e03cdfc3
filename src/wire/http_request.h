/*
 * http_request: the parts that a plain request and a WebSocket upgrade have in common. Private to
 * wire.
 *
 * Decides: that nothing given can slip a line into a request. Fails: ERR_INVAL, or as buf_append
 * does; the caller takes back what was written.
 */
#ifndef HAWSER_WIRE_HTTP_REQUEST_H
#define HAWSER_WIRE_HTTP_REQUEST_H

#include "wire/http.h"

/* Appends "METHOD target HTTP/1.1" and the Host line. ERR_INVAL if method is no token. */
int http_request_head(struct buf *out, struct slice method, const struct http_url *url);
/* Appends header lines of the caller's, once each is seen to be whole, free of control bytes, and
 * none that we write ourselves (names in lower case); else ERR_INVAL. */
int http_request_lines(struct buf *out, struct slice lines, const char *const *ours, size_t n_ours);

#endif
