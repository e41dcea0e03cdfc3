/*
 * log_limit: a bound on lines that repeat themselves.
 *
 * A stream that flaps, a peer that refuses, a program that comes back a hundred times a second:
 * each of it is worth its lines, but not all of them. Of one kind of line about one stream the
 * first LOG_LIMIT_BURST in LOG_LIMIT_MS pass; the others are counted, and told in one line when the
 * time is over. Kinds are what the program has, not what a peer says. Errors pass always: they are
 * said once. So does debug, which somebody has asked for. Decides: what passes. Leaves: clock,
 * timer and words to logfmt. Pure; owns LOG_LIMIT_KINDS places; where more kinds are under way at
 * once, the oldest gives way, and what it left out is told earlier. Never fails.
 */
#ifndef HAWSER_DAEMON_LOG_LIMIT_H
#define HAWSER_DAEMON_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/log.h"

#define LOG_LIMIT_MS 10000
#define LOG_LIMIT_BURST 20
#define LOG_LIMIT_KINDS 512
#define LOG_LIMIT_WAYS 8 /* places where one kind may be */
#define LOG_LIMIT_TEXT 160

struct log_limit_kind {
    const char *kind; /* NULL: free */
    char stream[LIMIT_LOG_NAME + 1];
    enum log_level level;
    int64_t began_ms;
    unsigned passed;
    unsigned left_out;
    char text[LOG_LIMIT_TEXT]; /* how the newest that was left out begins */
};

struct log_limit {
    struct log_limit_kind kinds[LOG_LIMIT_KINDS];
    struct log_limit_kind told; /* a copy, for the caller */
    int64_t due_ms; /* when something that was left out is to be told, INT64_MAX: nothing is */
};

void log_limit_init(struct log_limit *limit);
/* Whether the record is to be written. *told: had left something out and is to be told of before
 * it; NULL: nothing. Valid until the next call. */
bool log_limit_pass(struct log_limit *limit, int64_t now_ms, const struct log_record *record,
                    const struct log_limit_kind **told);
/* What is due to be told, NULL: nothing is (any more). all: whatever is left. */
const struct log_limit_kind *log_limit_next(struct log_limit *limit, int64_t now_ms, bool all);

#endif
