/*
 * http_date: dates as HTTP writes them. Private to wire.
 *
 * Decides: the three forms of RFC 9110 5.6.7, all of which must be understood, and the one with
 * dashes and a year of four digits that old servers put into cookies. Fails: false, *unix_s kept.
 */
#ifndef HAWSER_WIRE_HTTP_DATE_H
#define HAWSER_WIRE_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* now_unix_s: a year of two digits is the one nearest to now. */
bool http_date_parse(struct slice text, int64_t now_unix_s, int64_t *unix_s);

#endif
