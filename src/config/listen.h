/*
 * listen: whether the [listen] sections make sense, key by key together; for this room only.
 *
 * Decides: where a protocol may listen, and what lets others than this machine's programs in.
 * Fails: every error in the diag.
 */
#ifndef HAWSER_CONFIG_LISTEN_H
#define HAWSER_CONFIG_LISTEN_H

#include "config/settings.h"

void listen_check(const struct settings *settings, struct diag *diag);

#endif
