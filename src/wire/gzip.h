/*
 * gzip: the content coding of RFC 9110 8.4.1.3 (RFC 1952), taken off as it comes. Private to wire.
 *
 * Decides: what a well-formed gzip stream is: one member or several, each with the checksum that it
 * names, and nothing behind them. Leaves: how much may come out of it to the caller, who gives the
 * room; it never writes more, whatever the input promises.
 * Owns: a decoder holds some 40 KiB, zlib's window most of it, for as long as it lives.
 * Fails: ERR_PROTOCOL with zlib's words, ERR_NOMEM; a failed decoder stays so.
 */
#ifndef HAWSER_WIRE_GZIP_H
#define HAWSER_WIRE_GZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"

struct gzip;
int gzip_new(struct gzip **out);
void gzip_free(struct gzip *gzip);

/* Decodes off *in, which it advances, into room bytes at out, of which it fills *n. It comes back
 * when *in is empty or the room is full; in the latter case more may be ready inside, for which it
 * is called again, be *in empty or not. */
int gzip_feed(struct gzip *gzip, struct slice *in, char *out, size_t room, size_t *n,
              struct error *err);
/* Whether the input may end here: nothing has come, or whole members. */
bool gzip_complete(const struct gzip *gzip);

#endif
