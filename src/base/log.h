/*
 * log.h - one line for whoever runs the daemon.
 *
 * Decides: the levels, which of them pass, and what a record may contain: all text is made one
 * line of valid UTF-8 without control characters, so that no peer can forge a line.
 * Leaves to others: where records go and when they happened. There is no clock here; the sink
 * adds the time. Without a sink, "<level> [stream link] text" goes to standard error.
 * Owns: the sink, which is set before threads start, and the level; both global to the process.
 * Fails: never visibly. A log that cannot be written is no reason to stop; errno is kept.
 */
#ifndef HAWSER_BASE_LOG_H
#define HAWSER_BASE_LOG_H

#include <stdbool.h>

#include "base/slice.h"

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

/* Valid only during the call of the sink. */
struct log_record {
    enum log_level level;
    const char *stream; /* or NULL */
    const char *link;   /* or NULL */
    const char *text;   /* without a final newline */
    const char *id;     /* LOG_ID_..., or NULL */
    const char *kind;   /* the format that it was written with: the same for lines of one kind */
};

typedef void (*log_sink)(void *arg, const struct log_record *record);

/* Sends records to `sink` from now on; NULL restores standard error. */
void log_set_sink(log_sink sink, void *arg);

/* Drops records less grave than `level`. At first LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/* Whether a record of this level would pass: for messages that cost something to compose. */
bool log_enabled(enum log_level level);

/* Makes text one line of valid UTF-8, as that of a record: each byte without a place in one becomes
 * a
 * '?'. */
void log_clean(char *text);

/* "error", "warning", "notice", "info" or "debug". */
const char *log_level_name(enum log_level level);

/*
 * Writes one record. `stream` and `link` name what it is about and may be NULL. The text is cut
 * at LIMIT_LOG_TEXT bytes, the names at LIMIT_LOG_NAME, and the text's cut is marked with "...".
 */
void log_write(enum log_level level, const char *stream, const char *link, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Messages that programs look for have an id of their own, 128 random bits in hex, as journald's
 * MESSAGE_ID wants it.
 */
#define LOG_ID_PARKED "187caf601d3c469eadf19ce9da3f436c"
#define LOG_ID_GAP "752d0f8b28d145eea339c1afa2ee253c"
#define LOG_ID_STORE_FAILING "26de2a8104eb4b8991672fdf7ec21d2a"
#define LOG_ID_STORE_WELL "f99bcd7aecc2421f871eda94cc41154a"
#define LOG_ID_LOOP_STALL "417e9963ce8e45e7894501d52c8951c6"
/* As log_write(); id may be NULL. */
void log_write_id(const char *id, enum log_level level, const char *stream, const char *link,
                  const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#define log_error(stream, link, ...) log_write(LOG_LEVEL_ERROR, stream, link, __VA_ARGS__)
#define log_warning(stream, link, ...) log_write(LOG_LEVEL_WARNING, stream, link, __VA_ARGS__)
#define log_notice(stream, link, ...) log_write(LOG_LEVEL_NOTICE, stream, link, __VA_ARGS__)
#define log_info(stream, link, ...) log_write(LOG_LEVEL_INFO, stream, link, __VA_ARGS__)
#define log_debug(stream, link, ...) log_write(LOG_LEVEL_DEBUG, stream, link, __VA_ARGS__)

#endif
