/*
 * report: what the service manager is told while hawserd runs: one line of what is well and what is
 * not (STATUS=), and that the loop gets on (WATCHDOG=).
 *
 * Decides: the line's words, and when the watchdog is fed: when a turn of the loop is over, never
 * by a clock alone, so that a loop that is stuck or stopped is found out; what worker threads wait
 * for, such as a slow disk, is in the line and feeds as ever. Costs nothing where no manager
 * listens.
 */
#ifndef HAWSER_DAEMON_REPORT_H
#define HAWSER_DAEMON_REPORT_H

#include <stddef.h>

#include "base/error.h"

#define REPORT_TICK_MS 1000 /* the line is looked at so often, and said when it has changed */
#define REPORT_TEXT 512     /* bytes of it */
#define REPORT_NAMED 5      /* streams that are not well are told by name up to this many */

struct daemon;
struct report;

/* *out is NULL where no manager listens. */
int report_new(struct daemon *daemon, struct report **out, struct error *err);
void report_free(struct report *report);
/* "3 streams live", "1 of 2 streams live; chat parked: the token is refused; store failing: ..." */
void report_write(const struct daemon *daemon, char *out, size_t size);

#endif
