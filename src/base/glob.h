/*
 * glob.h - match text against a pattern with wildcards.
 *
 * Decides: '*' matches any bytes, none too; '?' matches one byte; any other byte itself. There
 * is no escape, and no byte (not '/' either) is special to the wildcards.
 * Leaves to others: where patterns come from. A hostile one costs at most |pattern| * |text|.
 * Owns: nothing. Fails: never.
 */
#ifndef HAWSER_BASE_GLOB_H
#define HAWSER_BASE_GLOB_H

#include <stdbool.h>

#include "base/slice.h"

/* True when the pattern matches the whole text. */
bool glob_match(struct slice pattern, struct slice text);

#endif
