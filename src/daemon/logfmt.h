/*
 * logfmt: what a log line looks like on standard error.
 *
 * Under systemd's journal (JOURNAL_STREAM) a line begins with its priority, "<6>", and has no time,
 * since the journal knows it; elsewhere with the UTC time and the level. A stream may have a level
 * of its own.
 */
#ifndef HAWSER_DAEMON_LOGFMT_H
#define HAWSER_DAEMON_LOGFMT_H

#include "config/settings.h"

void logfmt_install(void);
/* Levels as configured; the settings are borrowed. */
void logfmt_levels(const struct settings *settings);

#endif
