/*
 * options: what the configuration of a stream says about its connections.
 *
 * Decides: nothing that is not in the settings. Leaves: trust anchors, proxy, pool and memory of
 * addresses to the caller. Fails: never.
 */
#ifndef HAWSER_REACH_OPTIONS_H
#define HAWSER_REACH_OPTIONS_H

#include "config/settings.h"
#include "net/net.h"

struct net_options options_of(const struct settings_stream *settings);
struct tls_context_options options_of_tls(const struct settings_stream *settings);
/* Whether the URL wants TLS: addresses in plain text need no trust anchors. */
bool options_need_tls(struct slice url);

#endif
