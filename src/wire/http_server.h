/*
 * http_server: the server's side of HTTP/1.1 (RFC 9112), for one that only reads: requests without
 * a body, and the head of an answer. Pure.
 *
 * Decides: what is a well-formed request within HTTP_SERVER_HEAD_MAX, and which status a bad one
 * gets. Strict where leniency lets two readers of the same bytes see different requests: a bare CR,
 * a folded line, a control byte, a blank before the colon, a header twice that may stand once, and
 * any body are refused.
 * Leaves: which methods and paths there are, to its user.
 * Owns: nothing: a request's slices point into the bytes.
 * Fails: with the status to answer, and a reason; the connection ends after it, since where the
 * next request begins is not known any more.
 */
#ifndef HAWSER_WIRE_HTTP_SERVER_H
#define HAWSER_WIRE_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define HTTP_SERVER_HEAD_MAX 16384 /* bytes of the request line and all headers */
#define HTTP_SERVER_LINE_MAX 8192  /* bytes of the request line, RFC 9112 3 */
#define HTTP_SERVER_HEADERS_MAX 100

enum http_method { HTTP_METHOD_GET, HTTP_METHOD_HEAD, HTTP_METHOD_OTHER };

struct http_server_request {
    enum http_method method;
    struct slice path;  /* as sent, percent-encoded; "/" where a whole URL had none */
    struct slice query; /* behind the '?', .ptr NULL: none */
    bool keep_alive;
    /* .ptr NULL: absent. The host is lower case or not, with its port; of a whole URL as the
     * target, that one's (RFC 9112 3.2.2). */
    struct slice host, authorization, last_event_id;
};

struct http_server_refusal {
    int status;         /* 400 413 414 431 501 505 */
    const char *reason; /* static */
};

/*
 * Looks at the bytes from the start of a request, as many as have come. > 0: a whole head, of so
 * many bytes, is in *out; 0: more is needed; < 0: *refusal. Empty lines before a request are
 * skipped, RFC 9112 2.2. *scanned (0 for a new request) is the caller's memory of how far it has
 * looked, so that a head that comes byte by byte is looked at once.
 */
ptrdiff_t http_server_parse(struct slice bytes, size_t *scanned, struct http_server_request *out,
                            struct http_server_refusal *refusal);

/* Takes the next "name=value" off the query and decodes both (percent, and '+' as a blank) into
 * scratch, which is cleared first. 1: there was one; 0: no more; < 0: bad encoding, a NUL, or no
 * memory. */
int http_server_query_next(struct slice *query, struct buf *scratch, struct slice *name,
                           struct slice *value);

/* "Name: value\r\n" lines go between this and the empty line, which the caller writes. */
int http_server_write_status(struct buf *out, int status);
/* What a status is called, RFC 9110 15; "" for one that is not used here. */
const char *http_server_status_text(int status);

/*
 * Whether a Host header may be answered on a socket that web pages in a browser of this machine can
 * reach. A page of a stranger gets there by a name of its own that it lets point to us ("DNS
 * rebinding"), and that name stands in Host. Addresses and "localhost" are nobody's names.
 */
bool http_server_host_is_local(struct slice host);

#endif
