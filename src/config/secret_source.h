/*
 * secret_source: how the place of a secret is written: file:, env:, credential: or exec:.
 *
 * Decides: what is a good one, and that a secret itself is none. Leaves: reading it to the daemon.
 */
#ifndef HAWSER_CONFIG_SECRET_SOURCE_H
#define HAWSER_CONFIG_SECRET_SOURCE_H

#include <stdbool.h>

/* *why: what is wrong, or would be; never the value. */
bool secret_source_ok(const char *value, const char **why);

#endif
