/*
 * error.h - the error codes of the whole program, and an error with a message.
 *
 * Decides: which kinds of failure exist. A function that can fail returns 0 or one of these
 * negative codes, and may describe the failure in a `struct error` of its caller.
 * Leaves to others: whether a failure is retried, reported or fatal.
 * Owns: nothing; a `struct error` is plain memory of the caller and needs no release.
 * Fails: never. A message that does not fit is cut, and the cut is marked with "...".
 */
#ifndef HAWSER_BASE_ERROR_H
#define HAWSER_BASE_ERROR_H

#include <stdarg.h>

/* X(code, text): the texts are what a person reads when no better message is at hand. */
#define HAWSER_ERRORS(X)                                                                           \
    X(ERR_NOMEM, "out of memory")                                                                  \
    X(ERR_INVAL, "invalid argument")                                                               \
    X(ERR_LIMIT, "a limit was exceeded")                                                           \
    X(ERR_AGAIN, "not ready, try again")                                                           \
    X(ERR_EOF, "end of data")                                                                      \
    X(ERR_IO, "input/output error")                                                                \
    X(ERR_PARSE, "malformed text")                                                                 \
    X(ERR_PROTOCOL, "protocol violation")                                                          \
    X(ERR_TLS, "TLS failure")                                                                      \
    X(ERR_DNS, "name resolution failed")                                                           \
    X(ERR_TIMEOUT, "timed out")                                                                    \
    X(ERR_REFUSED, "refused")                                                                      \
    X(ERR_NOTFOUND, "not found")                                                                   \
    X(ERR_EXISTS, "already exists")                                                                \
    X(ERR_BUSY, "busy")                                                                            \
    X(ERR_FORMAT, "on-disk format is newer than this program")                                     \
    X(ERR_CORRUPT, "data is corrupt")                                                              \
    X(ERR_FULL, "no space left")                                                                   \
    X(ERR_CANCELED, "canceled")                                                                    \
    X(ERR_PERM, "permission denied")

/* Counts 0, 1, 2, ... in the order of the list, so that the codes below are dense. */
#define ERROR_INDEX(code, text) code##_INDEX,
enum error_index { HAWSER_ERRORS(ERROR_INDEX) ERROR_COUNT };
#undef ERROR_INDEX

/* ERR_NOMEM is -1 and every following code is one less. */
#define ERROR_CODE(code, text) code = -1 - (int)code##_INDEX,
enum error_code { HAWSER_ERRORS(ERROR_CODE) };
#undef ERROR_CODE

struct error {
    int code;       /* 0 or a negative code */
    char text[512]; /* NUL-terminated, one sentence without a final full stop */
};

/* The code's own name, such as "ERR_NOMEM"; "OK" for 0; "ERR_UNKNOWN" for a stranger. Static. */
const char *error_name(int code);

/* A short description of the code, "success" for 0. Static. */
const char *error_text(int code);

/* The code nearest in meaning to an errno value; ERR_IO when none is nearer. */
int error_from_errno(int errnum);

/*
 * Describes a failure. `code` must be negative. `e` may be NULL: then nothing is recorded.
 * The arguments may refer to e->text. Returns `code`, so that a function can end with
 * `return error_set(...)`.
 */
int error_set(struct error *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, for a function that has itself taken variable arguments. */
int error_vset(struct error *e, int code, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

/*
 * Puts "prefix: " before the message: a message grows outward as it travels up. `e` must be
 * there and hold a failure; a function with an optional error keeps the code itself.
 * Returns e->code.
 */
int error_wrap(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
