/*
 * http_auth: the token that requests on an http listener must bear (RFC 6750).
 *
 * Decides: whether an Authorization header has it, in time that does not depend on where it
 * differs. The file behind it is watched: a changed token counts at once, and while it cannot be
 * read nobody is let in. Leaves: where secrets are found to secrets.
 */
#ifndef HAWSER_DAEMON_HTTP_AUTH_H
#define HAWSER_DAEMON_HTTP_AUTH_H

#include "base/buf.h"
#include "io/io.h"

struct http_auth;
/* A token that cannot be read is said in the log, no failure. */
int http_auth_new(struct io_loop *loop, const char *name, const char *source,
                  struct http_auth **out, struct error *err);
void http_auth_free(struct http_auth *auth);
enum http_auth_verdict {
    HTTP_AUTH_GOOD,
    HTTP_AUTH_BAD,
    HTTP_AUTH_NO_TOKEN /* of ours, to compare */
};
/* header: of the request, .ptr NULL if absent. */
enum http_auth_verdict http_auth_check(const struct http_auth *auth, struct slice header);

#endif
