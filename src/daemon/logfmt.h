/*
 * logfmt: what a log line looks like, and where it goes.
 *
 *     text     "2026-05-17T13:10:03.123456Z info    chat [1f2e3d4c]: open to ..." on standard
 * error; where that leads to the journal, with "<6>" in place of time and level json     the same
 * as an object: time, level, stream, link, message journal  to journald, with fields: MESSAGE,
 * PRIORITY, SYSLOG_IDENTIFIER, HAWSER_STREAM, HAWSER_LINK, and MESSAGE_ID for what operators look
 * for (systemd/hawser.catalog) auto     journal where standard error leads there, else text
 *
 * Decides: that, which level passes for which stream, and when lines of one kind are too many
 * (log_limit). Nothing blocks (log_out); what nobody took is counted, and said when it goes on.
 * Leaves: what is said to everyone else. Owns: its descriptors, and a timer of the loop's.
 * Threads: any may log.
 */
#ifndef HAWSER_DAEMON_LOGFMT_H
#define HAWSER_DAEMON_LOGFMT_H

#include "base/log.h"
#include "config/settings.h"
#include "io/io.h"

#define LOGFMT_LEVELS (LOG_LEVEL_DEBUG + 1)

/* Text on standard error, or journal, until logfmt_levels(). First of all. */
void logfmt_install(void);
/* Levels and format as configured, also when that has changed; the settings are borrowed. */
void logfmt_levels(const struct settings *settings);
/* With a loop, what was left out is told in time; before, with the next line of its kind. */
int logfmt_start(struct io_loop *loop);
/* Tells what was left out. Before the loop is freed. */
void logfmt_stop(void);

struct logfmt_counts {
    uint64_t lines[LOGFMT_LEVELS];
    uint64_t suppressed; /* too many of a kind */
    uint64_t dropped;    /* nobody took them */
};
void logfmt_counts(struct logfmt_counts *out);

#endif
