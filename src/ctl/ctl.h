/*
 * ctl: hawserctl, the operator's program. Blocking sockets, one request at a time.
 *
 * Exit status: 0 ok, 1 the thing asked about is not well, 2 usage, 3 hawserd is not reachable.
 */
#ifndef HAWSER_CTL_CTL_H
#define HAWSER_CTL_CTL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"

enum { CTL_OK = 0, CTL_NOT_WELL = 1, CTL_USAGE = 2, CTL_UNREACHABLE = 3 };

#define CTL_DEFAULT_SOCKET "/run/hawser/control.sock"
#define CTL_ANSWER_SECONDS 10 /* for one reply */
#define CTL_LINE_MAX (64u << 20)

struct ctl {
    const char *socket; /* path */
    bool json, colour;
    int argc; /* of the command, its name first */
    char **argv;
};

/* commands; each returns an exit status */
int ctl_status(struct ctl *ctl);
int ctl_tail(struct ctl *ctl);
int ctl_consumers(struct ctl *ctl);
int ctl_control(struct ctl *ctl); /* reconnect, pause, resume */
int ctl_send(struct ctl *ctl);
int ctl_check(struct ctl *ctl);
int ctl_profiles(struct ctl *ctl);
int ctl_doctor(struct ctl *ctl);
int ctl_usage(const char *complaint);
/* Prints the reply to something done, an error or with --json; CTL_OK or CTL_NOT_WELL. */
int ctl_show_reply(const struct ctl *ctl, struct slice reply);

/* Text of strangers that goes to a terminal: its control characters, those of C1 too, become '?'.
 */
void terminal_clean(char *text, size_t n);

/* ---- a connection; lines in and out ---- */
struct connection {
    int fd;
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

#endif
