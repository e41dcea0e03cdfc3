#include "daemon/log_limit.h"

#include <stdio.h>
#include <string.h>

void log_limit_init(struct log_limit *limit)
{
    memset(limit, 0, sizeof(*limit));
    limit->due_ms = INT64_MAX;
}

static unsigned hash(const char *kind, const char *stream)
{
    uint64_t h = (uintptr_t)kind * UINT64_C(0x9E3779B97F4A7C15);
    while (*stream != '\0')
        h = (h ^ (unsigned char)*stream++) * UINT64_C(0x100000001B3);
    return (unsigned)(h >> 32);
}

static bool is_over(const struct log_limit_kind *kind, int64_t now_ms)
{
    return now_ms - kind->began_ms >= LOG_LIMIT_MS || now_ms < kind->began_ms;
}

/* Its place: where it is, else a free one or one whose time is over, else the oldest. */
static struct log_limit_kind *find(struct log_limit *limit, int64_t now_ms,
                                   const struct log_record *record, const char *stream)
{
    unsigned first = hash(record->kind, stream) % (LOG_LIMIT_KINDS / LOG_LIMIT_WAYS);
    struct log_limit_kind *ways = &limit->kinds[first * LOG_LIMIT_WAYS], *best = &ways[0];
    for (unsigned i = 0; i < LOG_LIMIT_WAYS; i++)
        if (ways[i].kind == record->kind && strcmp(ways[i].stream, stream) == 0)
            return &ways[i];
    for (unsigned i = 0; i < LOG_LIMIT_WAYS; i++) {
        if (ways[i].kind == NULL || (is_over(&ways[i], now_ms) && ways[i].left_out == 0))
            return &ways[i];
        if (ways[i].began_ms < best->began_ms)
            best = &ways[i];
    }
    return best;
}

static void begin(struct log_limit_kind *kind, int64_t now_ms, const struct log_record *record,
                  const char *stream)
{
    kind->kind = record->kind;
    snprintf(kind->stream, sizeof(kind->stream), "%s", stream);
    kind->began_ms = now_ms;
    kind->passed = 0;
    kind->left_out = 0;
}

/* As much as there is room for, and no half of a character. */
static void copy_text(char *out, size_t size, const char *text)
{
    size_t n = strlen(text);
    if (n >= size) {
        n = size - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
            n--;
    }
    memcpy(out, text, n);
    out[n] = '\0';
}

static void leave_out(struct log_limit *limit, struct log_limit_kind *kind,
                      const struct log_record *record)
{
    int64_t due_ms = kind->began_ms + LOG_LIMIT_MS;
    kind->left_out++;
    kind->level = record->level;
    copy_text(kind->text, sizeof(kind->text), record->text);
    if (due_ms < limit->due_ms)
        limit->due_ms = due_ms;
}

bool log_limit_pass(struct log_limit *limit, int64_t now_ms, const struct log_record *record,
                    const struct log_limit_kind **told)
{
    const char *stream = record->stream != NULL ? record->stream : "";
    *told = NULL;
    if (record->level == LOG_LEVEL_ERROR || record->level == LOG_LEVEL_DEBUG)
        return true;
    struct log_limit_kind *kind = find(limit, now_ms, record, stream);
    bool same = kind->kind == record->kind && strcmp(kind->stream, stream) == 0;
    if (!same || is_over(kind, now_ms)) {
        if (kind->kind != NULL && kind->left_out > 0) {
            limit->told = *kind;
            *told = &limit->told;
        }
        begin(kind, now_ms, record, stream);
    }
    if (kind->passed < LOG_LIMIT_BURST) {
        kind->passed++;
        return true;
    }
    leave_out(limit, kind, record);
    return false;
}

const struct log_limit_kind *log_limit_next(struct log_limit *limit, int64_t now_ms, bool all)
{
    int64_t due_ms = INT64_MAX;
    if (now_ms < limit->due_ms && !all)
        return NULL;
    for (unsigned i = 0; i < LOG_LIMIT_KINDS; i++) {
        struct log_limit_kind *kind = &limit->kinds[i];
        if (kind->kind == NULL || kind->left_out == 0)
            continue;
        if (all || is_over(kind, now_ms)) {
            limit->told = *kind;
            kind->kind = NULL;
            return &limit->told;
        }
        if (kind->began_ms + LOG_LIMIT_MS < due_ms)
            due_ms = kind->began_ms + LOG_LIMIT_MS;
    }
    limit->due_ms = due_ms;
    return NULL;
}
