/*
 * log.h - one line for whoever runs the daemon.
 *
 * Decides: the levels, which of them pass, and what a record may contain: all text is made one
 * line of valid UTF-8 without control characters, so that no peer can forge a line.
 * Leaves to others: where records go and when they happened. There is no clock here; the sink
 * adds the time. Without a sink, "<level> [stream link] text" goes to standard error.
 * Owns: the sink and the level, both global to the process: set before threads start.
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

#define log_error(stream, link, ...) log_write(LOG_LEVEL_ERROR, stream, link, __VA_ARGS__)
#define log_warning(stream, link, ...) log_write(LOG_LEVEL_WARNING, stream, link, __VA_ARGS__)
#define log_notice(stream, link, ...) log_write(LOG_LEVEL_NOTICE, stream, link, __VA_ARGS__)
#define log_info(stream, link, ...) log_write(LOG_LEVEL_INFO, stream, link, __VA_ARGS__)
#define log_debug(stream, link, ...) log_write(LOG_LEVEL_DEBUG, stream, link, __VA_ARGS__)

#endif
