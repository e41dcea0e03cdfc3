/*
 * metrics: what hawserd counts, in the text format of Prometheus (version 0.0.4).
 *
 * Decides: names, types and labels; a family's series stand together, each family has its HELP and
 * TYPE, and series over a closed set of labels are there from the start, at 0. Leaves: the counting
 * to those who do what is counted.
 * How to extend: a number of each stream is a row in metrics.c.
 */
#ifndef HAWSER_DAEMON_METRICS_H
#define HAWSER_DAEMON_METRICS_H

#include "daemon/listener.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Of the streams that the listener shows. */
int metrics_write(const struct listener *listener, struct buf *out);

#endif
