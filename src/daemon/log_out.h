/*
 * log_out: where log lines go, without ever waiting for it.
 *
 * A terminal that is stopped, a pipe that nobody reads, a journald that hangs: none of it may hold
 * up the loop. So nothing here blocks. What finds no room is dropped and counted, whole lines only:
 * of one that was taken in part the rest goes first when there is room again.
 * Decides: that. Leaves: what is in a line to logfmt. Owns: a descriptor each. A descriptor that is
 * shared with others (a terminal, say) is opened anew, so that nobody else's writes stop blocking.
 * Fails: log_out_write() and log_out_journal() say false for a line that is lost.
 */
#ifndef HAWSER_DAEMON_LOG_OUT_H
#define HAWSER_DAEMON_LOG_OUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/limits.h"
#include "base/slice.h"

#define LOG_OUT_LINE (6 * LIMIT_LOG_TEXT + 1024) /* the longest line: all of it escaped in JSON */
#define LOG_OUT_JOURNAL "/run/systemd/journal/socket"
#define LOG_OUT_FIELDS 12

/* Lines on standard error. */
struct log_out {
    int fd;
    bool own;       /* opened anew, and not blocking */
    bool is_socket; /* never blocks with MSG_DONTWAIT */
    size_t rest;    /* bytes of the last line that are not out */
    char line[LOG_OUT_LINE];
};

void log_out_init(struct log_out *out, int fd);
void log_out_fini(struct log_out *out);
/* A line with its newline, of at most LOG_OUT_LINE bytes. */
bool log_out_write(struct log_out *out, struct slice line);

/* A datagram to journald: fields as "NAME", value; values may hold any byte. fd: as
 * log_out_journal_open() gave it, -1: there is none. path NULL: LOG_OUT_JOURNAL. */
struct log_out_field {
    const char *name;
    struct slice value;
};
int log_out_journal_open(const char *path);
bool log_out_journal(int fd, const struct log_out_field *fields, size_t n);

#endif
