/*
 * proxy: what goes past a proxy, as $NO_PROXY says it. There is no standard: this is what curl, Go
 * and wget agree on, and where they do not, Go.
 *
 *     *                      everything
 *     example.com            that name, and all below it
 *     .example.com *.example.com   all below it
 *     192.0.2.1 [2001:db8::1] that address
 *     10.0.0.0/8 fd00::/8    addresses of that network
 *
 * Each but "*" may have a :PORT behind it, and then is about that port only. Names are not looked
 * up: networks are compared with what is written as an address. Loopback addresses, localhost and
 * names below it never go through a proxy: there they would lead to the proxy itself.
 * Fails: never; an entry that is none of these matches nothing.
 */
#ifndef HAWSER_NET_PROXY_H
#define HAWSER_NET_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* list: entries parted by commas or blanks. host: as in a URL, an IPv6 address without brackets. */
bool net_proxy_exempt(struct slice list, struct slice host, uint16_t port);

#endif
