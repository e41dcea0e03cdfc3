/*
 * cookie: the few cookies that a balancer sets for affinity (RFC 6265, the parts a client of one
 * host needs).
 *
 * Decides: what of Set-Cookie is kept: name and value, Max-Age and Expires, Path, Secure; Domain
 * only narrows to the host itself. Cookies go back to the host (and port) they came from alone.
 * Leaves: when requests are made.
 * Owns: copies, at most COOKIE_MAX, the oldest goes first. Wiped at the end: they may name a
 * session.
 */
#ifndef HAWSER_WIRE_COOKIE_H
#define HAWSER_WIRE_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define COOKIE_MAX 16
#define COOKIE_BYTES_MAX 4096 /* name and value of one; longer ones are ignored */

struct cookie_jar;
int cookie_jar_new(struct cookie_jar **out);
void cookie_jar_free(struct cookie_jar *jar);
void cookie_jar_clear(struct cookie_jar *jar);
/* One Set-Cookie value of an answer from host ("host:port") to a request for path. */
void cookie_jar_set(struct cookie_jar *jar, struct slice host, struct slice path, bool secure,
                    struct slice value, int64_t now_s);
/* Appends "Cookie: a=1; b=2\r\n", or nothing if none fits. */
int cookie_jar_header(const struct cookie_jar *jar, struct slice host, struct slice path,
                      bool secure, int64_t now_s, struct buf *out);

#endif
