/*
 * metrics: what hawserd counts, for Prometheus.
 *
 * Decides: which number stands for what, and that series over a closed set of labels are there from
 * the start, at 0. A page is written when it is asked for, and from what those who do the work have
 * counted anyway: nothing is kept twice. Leaves: the counting to them, the text to metrics_page.
 * Fails: with ERR_NOMEM, or ERR_LIMIT where the buffer's bound is reached.
 */
#ifndef HAWSER_DAEMON_METRICS_H
#define HAWSER_DAEMON_METRICS_H

#include "daemon/metrics_page.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct listener;

/* Of the streams that the listener shows. */
int metrics_write(const struct listener *listener, struct buf *out);
/* metrics_process.c: running_ms: since when. */
void metrics_process(struct metrics_page *page, int64_t running_ms);

#endif
