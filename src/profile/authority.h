/*
 * authority.h - HOST[:PORT], as it stands in a URL.
 *
 * Decides: what counts as one: a name of letters, digits, ".-_", an IPv4 address in four decimal
 * parts, or an IPv6 address in brackets. No user, no password, no other spelling of an address.
 * Leaves: which hosts may be spoken to, to address.c and url.c.
 */
#ifndef HAWSER_PROFILE_AUTHORITY_H
#define HAWSER_PROFILE_AUTHORITY_H

#include <stdbool.h>

#include "base/slice.h"

struct authority {
    struct slice host; /* with the brackets of an IPv6 address */
    unsigned port;     /* 0: none is named */
};

bool authority_parse(struct slice text, struct authority *out);
bool authority_is_loopback(struct slice host);
/* The same host: letters of any case, one dot at the end or none, IPv6 however it is written. */
bool authority_same_host(struct slice a, struct slice b);
/* Only bytes of `allowed`, and at least one. */
bool authority_all_of(struct slice text, const char *allowed);
/* Without the one dot that ends a name given in full. */
struct slice authority_undotted(struct slice host);

#define AUTHORITY_NAME_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
#define AUTHORITY_HOST_MAX 253

#endif
