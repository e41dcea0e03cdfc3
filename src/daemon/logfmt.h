/*
 * logfmt: what a log line looks like on standard error.
 *
 * Under systemd's journal (JOURNAL_STREAM) a line begins with its priority, "<6>", and has no time,
 * since the journal knows it; elsewhere with the UTC time and the level.
 */
#ifndef HAWSER_DAEMON_LOGFMT_H
#define HAWSER_DAEMON_LOGFMT_H

void logfmt_install(void);

#endif
