#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"

static const char *const level_names[] = {"error", "warning", "notice", "info", "debug"};
enum { LEVEL_COUNT = sizeof level_names / sizeof level_names[0] };

static void write_to_stderr(void *arg, const struct log_record *record)
{
    const char *stream = record->stream != NULL ? record->stream : "";
    const char *link = record->link != NULL ? record->link : "";
    const char *level = log_level_name(record->level);

    (void)arg;
    if (*stream == '\0' && *link == '\0')
        fprintf(stderr, "<%s> %s\n", level, record->text);
    else
        fprintf(stderr, "<%s> [%s%s%s] %s\n", level, stream, *stream && *link ? " " : "", link,
                record->text);
}

static log_sink current_sink = write_to_stderr;
static void *current_arg;
/* Alone: nothing else is to be seen with it, and a line more or less of another thread does not
 * matter. So it is relaxed, which costs nothing where log_enabled() stands in a hot path. */
static _Atomic enum log_level current_level = LOG_LEVEL_INFO;

void log_set_sink(log_sink sink, void *arg)
{
    current_sink = sink != NULL ? sink : write_to_stderr;
    current_arg = arg;
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&current_level, level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    return (unsigned)level < LEVEL_COUNT ? level_names[level] : "unknown";
}

/* The length of the character at the start of `text`, 0 if it is not valid UTF-8. */
static size_t char_length(const char *text)
{
    struct utf8 u;

    utf8_init(&u);
    for (size_t n = 0; utf8_feed(&u, text + n, 1); n++) {
        if (utf8_complete(&u))
            return n + 1;
    }
    return 0;
}

/* True for C0 and DEL, and for C1 (U+0080 to U+009F), which terminals may obey too. */
static bool is_control(const char *text)
{
    unsigned char first = (unsigned char)text[0];
    unsigned char second = (unsigned char)text[1];

    return first < 0x20 || first == 0x7F || (first == 0xC2 && second < 0xA0);
}

void log_clean(char *text)
{
    while (*text != '\0') {
        /* The NUL at the end breaks off a character cut short, so this stays within the text. */
        size_t n = char_length(text);

        if (n == 0 || is_control(text)) {
            *text = '?';
            n = 1;
        }
        text += n;
    }
}

/* Copies a name into `out` and makes it fit for a record; NULL stays NULL. */
static const char *clean_name(const char *name, char out[LIMIT_LOG_NAME + 1])
{
    size_t n;

    if (name == NULL)
        return NULL;
    n = strnlen(name, LIMIT_LOG_NAME);
    memcpy(out, name, n);
    out[n] = '\0';
    log_clean(out);
    return out;
}

static void write_record(struct log_record *record, const char *stream, const char *link,
                         const char *fmt, va_list args)
{
    int saved_errno = errno;
    char text[LIMIT_LOG_TEXT + 1];
    char stream_name[LIMIT_LOG_NAME + 1];
    char link_name[LIMIT_LOG_NAME + 1];
    int n = vsnprintf(text, sizeof text, fmt, args);

    if (n < 0)
        snprintf(text, sizeof text, "(a message that could not be formatted)");
    else if ((size_t)n >= sizeof text)
        memcpy(text + sizeof text - sizeof "...", "...", sizeof "...");
    log_clean(text);
    record->kind = fmt;
    record->text = text;
    record->stream = clean_name(stream, stream_name);
    record->link = clean_name(link, link_name);
    current_sink(current_arg, record);
    errno = saved_errno;
}

void log_write(enum log_level level, const char *stream, const char *link, const char *fmt, ...)
{
    struct log_record record = {.level = level};
    va_list args;

    if (!log_enabled(level))
        return;
    va_start(args, fmt);
    write_record(&record, stream, link, fmt, args);
    va_end(args);
}

void log_write_id(const char *id, enum log_level level, const char *stream, const char *link,
                  const char *fmt, ...)
{
    struct log_record record = {.level = level, .id = id};
    va_list args;

    if (!log_enabled(level))
        return;
    va_start(args, fmt);
    write_record(&record, stream, link, fmt, args);
    va_end(args);
}
