/*
 * ctl: hawserctl, the operator's program. Blocking sockets, one request at a time.
 *
 * Exit status: 0 ok, 1 the thing asked about is not well, 2 usage, 3 hawserd is not reachable.
 *
 *     commands   the table of commands and their options: usage, parsing and completion read it
 *     offline    what needs no daemon, and where profiles are found; explain over words
 *     connection to hawserd; view reads its status, tell puts that into words, report and plain on
 *                a screen or into a pipe, over layout and terminal
 *
 * How to extend: a command is a row in commands.c; packaging/man and the tests of completion then
 * ask for their part.
 */
#ifndef HAWSER_CTL_CTL_H
#define HAWSER_CTL_CTL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "ctl/terminal.h"

enum { CTL_OK = 0, CTL_NOT_WELL = 1, CTL_USAGE = 2, CTL_UNREACHABLE = 3 };

#define CTL_DEFAULT_SOCKET "/run/hawser/control.sock"
#define CTL_ANSWER_SECONDS 10 /* for one reply */
#define CTL_COUNT_MS 500      /* for the consumers to be counted, of a status */
#define CTL_LINE_MAX (64u << 20)
#define CTL_OPTIONS_MAX 64 /* given in one command line */

struct command;

struct ctl {
    const char *socket; /* path */
    bool json;
    struct terminal terminal; /* standard output */
    const struct command *command;
    int argc; /* of the command as it was given, its name first */
    char **argv;
    char **args; /* what is no option, without the name */
    int n_args;
    struct ctl_option {
        const char *name, *value; /* "from"; value NULL: it takes none */
    } options[CTL_OPTIONS_MAX];
    int n_options;
};

/* The value of an option that was given last, "" where it takes none; NULL: it was not given. */
const char *ctl_option(const struct ctl *ctl, const char *name);

/* commands; each returns an exit status */
int ctl_status(struct ctl *ctl);
int ctl_tail(struct ctl *ctl);
int ctl_consumers(struct ctl *ctl);
int ctl_control(struct ctl *ctl); /* reconnect, pause, resume */
int ctl_send(struct ctl *ctl);
int ctl_check(struct ctl *ctl);
int ctl_profiles(struct ctl *ctl);
int ctl_explain(struct ctl *ctl);
int ctl_complete(struct ctl *ctl); /* for the shells */
int ctl_doctor(struct ctl *ctl);

/* What is wrong with the command line, and how the command is used. CTL_USAGE. */
int ctl_usage(const struct ctl *ctl, const char *complaint);
/* Prints the reply to something done: with --json as it is, else only an error. CTL_OK or
 * CTL_NOT_WELL. */
int ctl_show_reply(const struct ctl *ctl, struct slice reply);

/* ---- a connection; lines in and out ---- */
struct connection {
    int fd;
    int reader_fd; /* when whoever reads this end has gone, lines are no longer waited for; -1 */
    bool reader_gone;
    struct buf in;
    size_t used; /* of in, by the line last given */
};
/* Connects and reads the greeting away. ERR_NOTFOUND, ERR_PERM, ERR_REFUSED with a text. */
int connection_open(struct connection *connection, const char *path, struct error *err);
void connection_close(struct connection *connection);
int connection_send(struct connection *connection, struct slice bytes, struct error *err);
/* The next line without its '\n', valid until the next call. ERR_EOF; ERR_TIMEOUT after
 * timeout_ms (-1: never). */
int connection_line(struct connection *connection, int timeout_ms, struct slice *line,
                    struct error *err);
/* Connects, sends the request, a whole line, and gives the answer, valid until the connection is
 * closed. CTL_OK, or CTL_UNREACHABLE, said on stderr; then it is closed already. */
int connection_ask_line(struct connection *connection, const struct ctl *ctl, struct slice request,
                        struct slice *answer);
/* The same with {"op":OP,"stream":STREAM}; stream may be NULL. */
int connection_ask(struct connection *connection, const struct ctl *ctl, const char *op,
                   const char *stream, struct slice *answer);
/* Appends {"op":OP,"stream":STREAM} and a '\n'. */
int connection_write_request(struct buf *out, const char *op, const char *stream);

#endif
