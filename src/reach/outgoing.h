/*
 * outgoing: a request as it stands, kept until it is answered, so that a redirect can be followed;
 * and the cookies that go with it.
 *
 * Owns: copies, wiped: they hold secrets.
 */
#ifndef HAWSER_REACH_OUTGOING_H
#define HAWSER_REACH_OUTGOING_H

#include "profile/profile.h"
#include "reach/redact.h"
#include "wire/cookie.h"
#include "wire/http.h"

struct outgoing {
    struct buf method, url, headers, body, subprotocol;
    unsigned redirects; /* followed so far */
};

int outgoing_init(struct outgoing *out, const struct profile_request *request);
void outgoing_fini(struct outgoing *out); /* also of one that is all zero */

/* Appends to lines, which is empty and is wiped by the caller, the headers with the jar's cookies.
 */
int outgoing_headers(const struct outgoing *out, const struct cookie_jar *jar, int64_t now_s,
                     struct buf *lines);
/* Takes Set-Cookie from the answer. */
void outgoing_cookies(const struct outgoing *out, struct cookie_jar *jar,
                      const struct http_response *response, int64_t now_s);
/* 1: the answer sends us elsewhere, and out is what goes there. 0: it does not. Else the reason not
 * to follow, in err. */
int outgoing_redirect(struct outgoing *out, const struct profile *profile,
                      const struct redact *secrets, const struct http_response *response,
                      struct error *err);
/* "host:port/path", for the log: nothing of the query. */
void outgoing_describe(const struct outgoing *out, char *text, size_t size);

#endif
