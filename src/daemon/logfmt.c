#include "daemon/logfmt.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "daemon/log_limit.h"
#include "daemon/log_out.h"
#include "json/json.h"

/* syslog(3) priorities, by level. */
static const char *const priorities[] = {
    [LOG_LEVEL_ERROR] = "3", [LOG_LEVEL_WARNING] = "4", [LOG_LEVEL_NOTICE] = "5",
    [LOG_LEVEL_INFO] = "6",  [LOG_LEVEL_DEBUG] = "7",
};

/* The process has one log. */
static struct {
    pthread_mutex_t lock;
    const struct settings *settings; /* NULL: not known yet */
    enum settings_log_format format; /* never AUTO */
    bool stderr_is_journal;
    struct log_out out;
    int journal; /* -1: closed */
    struct log_limit limit;
    struct io_timer *timer; /* NULL: no loop */
    pthread_t loop_thread;  /* whose it is */
    bool timer_set;
    struct buf line;
    struct logfmt_counts counts;
    uint64_t unsaid; /* dropped, and not told yet */
} the = {.lock = PTHREAD_MUTEX_INITIALIZER, .journal = -1};

/* ---- the forms ---- */

/* Whose line it is, and the line: "chat [1f2e3d4c]: open to ...". */
static int append_told(const struct log_record *record)
{
    const char *stream = record->stream, *link = record->link;
    int rc = 0;
    if (stream != NULL)
        rc = buf_append_str(&the.line, stream);
    if (rc == 0 && link != NULL)
        rc = buf_appendf(&the.line, "%s[%s]", stream != NULL ? " " : "", link);
    if (rc == 0 && (stream != NULL || link != NULL))
        rc = buf_append_str(&the.line, ": ");
    return rc != 0 ? rc : buf_append_str(&the.line, record->text);
}

static int form_text(const struct log_record *record)
{
    char time[32];
    int rc;
    if (the.stderr_is_journal) {
        rc = buf_appendf(&the.line, "<%s>", priorities[record->level]);
    } else {
        time_format_us(io_wall_us(), time);
        rc = buf_appendf(&the.line, "%s %-7s ", time, log_level_name(record->level));
    }
    if (rc == 0)
        rc = append_told(record);
    return rc != 0 ? rc : buf_append_str(&the.line, "\n");
}

static int member(const char *name, const char *value)
{
    int rc = buf_appendf(&the.line, "%c\"%s\":", the.line.len == 0 ? '{' : ',', name);
    return rc != 0 ? rc : json_write_string(&the.line, slice_str(value));
}

static int form_json(const struct log_record *record)
{
    char time[32];
    time_format_us(io_wall_us(), time);
    int rc = member("time", time);
    if (rc == 0)
        rc = member("level", log_level_name(record->level));
    if (rc == 0 && record->stream != NULL)
        rc = member("stream", record->stream);
    if (rc == 0 && record->link != NULL)
        rc = member("link", record->link);
    if (rc == 0)
        rc = member("message", record->text);
    return rc != 0 ? rc : buf_append_str(&the.line, "}\n");
}

static bool to_stderr(int (*form)(const struct log_record *record), const struct log_record *record)
{
    buf_clear(&the.line);
    return form(record) == 0 && log_out_write(&the.out, buf_slice(&the.line));
}

static bool to_journal(const struct log_record *record)
{
    struct log_out_field fields[LOG_OUT_FIELDS];
    size_t n = 0;
    buf_clear(&the.line);
    if (append_told(record) != 0)
        return false;
    fields[n++] = (struct log_out_field){"MESSAGE", buf_slice(&the.line)};
    fields[n++] = (struct log_out_field){"PRIORITY", slice_str(priorities[record->level])};
    fields[n++] = (struct log_out_field){"SYSLOG_IDENTIFIER", SLICE("hawserd")};
    if (record->stream != NULL)
        fields[n++] = (struct log_out_field){"HAWSER_STREAM", slice_str(record->stream)};
    if (record->link != NULL)
        fields[n++] = (struct log_out_field){"HAWSER_LINK", slice_str(record->link)};
    if (record->id != NULL)
        fields[n++] = (struct log_out_field){"MESSAGE_ID", slice_str(record->id)};
    if (log_out_journal(the.journal, fields, n))
        return true;
    /* It may have been restarted: the socket is another one then. */
    if (the.journal >= 0)
        close(the.journal);
    the.journal = log_out_journal_open(NULL);
    return log_out_journal(the.journal, fields, n);
}

/* ---- one line ---- */

static bool put(const struct log_record *record)
{
    switch (the.format) {
    case SETTINGS_LOG_AUTO:
    case SETTINGS_LOG_TEXT:
        return to_stderr(form_text, record);
    case SETTINGS_LOG_JSON:
        return to_stderr(form_json, record);
    case SETTINGS_LOG_JOURNAL:
        return to_journal(record);
    }
    return false;
}

static void tell_lost(void)
{
    char text[80];
    struct log_record lost = {.level = LOG_LEVEL_WARNING, .text = text};
    snprintf(text, sizeof(text), "%llu log lines were lost: nobody took them in time",
             (unsigned long long)the.unsaid);
    if (put(&lost))
        the.unsaid = 0;
}

static void write_record(const struct log_record *record)
{
    if (the.unsaid > 0)
        tell_lost();
    if (put(record)) {
        the.counts.lines[record->level]++;
    } else {
        the.counts.dropped++;
        the.unsaid++;
    }
}

static void tell_left_out(const struct log_limit_kind *kind)
{
    char text[LOG_LIMIT_TEXT + 80];
    struct log_record record = {
        .level = kind->level,
        .stream = kind->stream[0] != '\0' ? kind->stream : NULL,
        .text = text,
    };
    snprintf(text, sizeof(text), "%u more like this in %d s: %s", kind->left_out,
             LOG_LIMIT_MS / 1000, kind->text);
    write_record(&record);
}

/* What another thread has said too often is told with the next line of the loop's. */
static void set_timer(int64_t now_ms)
{
    if (the.timer == NULL || the.timer_set || the.limit.due_ms == INT64_MAX ||
        !pthread_equal(pthread_self(), the.loop_thread))
        return;
    the.timer_set = true;
    io_timer_set(the.timer, the.limit.due_ms > now_ms ? the.limit.due_ms - now_ms : 0);
}

static bool wanted(const struct log_record *record)
{
    const struct settings *settings = the.settings;
    if (settings == NULL)
        return true;
    for (size_t i = 0; record->stream != NULL && i < settings->n_streams; i++)
        if (settings->streams[i].has_log && strcmp(record->stream, settings->streams[i].name) == 0)
            return record->level <= settings->streams[i].log;
    return record->level <= settings->daemon.log;
}

static void sink(void *arg, const struct log_record *record)
{
    int64_t now_ms = io_clock_ms();
    const struct log_limit_kind *told;
    (void)arg;
    pthread_mutex_lock(&the.lock);
    if (wanted(record)) {
        bool pass = log_limit_pass(&the.limit, now_ms, record, &told);
        if (told != NULL)
            tell_left_out(told);
        if (pass)
            write_record(record);
        else
            the.counts.suppressed++;
        set_timer(now_ms);
    }
    pthread_mutex_unlock(&the.lock);
}

static void tell_due(bool all)
{
    const struct log_limit_kind *kind;
    int64_t now_ms = io_clock_ms();
    pthread_mutex_lock(&the.lock);
    while ((kind = log_limit_next(&the.limit, now_ms, all)) != NULL)
        tell_left_out(kind);
    the.timer_set = false;
    set_timer(now_ms);
    pthread_mutex_unlock(&the.lock);
}

static void on_timer(void *arg)
{
    (void)arg;
    tell_due(false);
}

/* ---- where to ---- */

/* $JOURNAL_STREAM is inherited, and standard error may have gone elsewhere since: it is the journal
 * only if it is the very socket that is named, as DEVICE:INODE. */
static bool leads_to_journal(int fd)
{
    const char *named = getenv("JOURNAL_STREAM");
    char own[48];
    struct stat st;
    if (named == NULL || fstat(fd, &st) != 0)
        return false;
    snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(named, own) == 0;
}

/* Without a journald there is standard error yet. */
static void choose(enum settings_log_format format)
{
    bool journal =
        format == SETTINGS_LOG_JOURNAL || (format == SETTINGS_LOG_AUTO && the.stderr_is_journal);
    if (journal && the.journal < 0)
        the.journal = log_out_journal_open(NULL);
    if (!journal && the.journal >= 0) {
        close(the.journal);
        the.journal = -1;
    }
    if (journal && the.journal >= 0)
        the.format = SETTINGS_LOG_JOURNAL;
    else
        the.format = format == SETTINGS_LOG_JSON ? SETTINGS_LOG_JSON : SETTINGS_LOG_TEXT;
}

static void lock(void)
{
    pthread_mutex_lock(&the.lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&the.lock);
}

void logfmt_install(void)
{
    /* A child that is forked while another thread writes a line has a log of its own. */
    (void)pthread_atfork(lock, unlock, unlock);
    signal(SIGPIPE, SIG_IGN); /* whoever read standard error may go */
    buf_init(&the.line, LOG_OUT_LINE);
    log_limit_init(&the.limit);
    the.stderr_is_journal = leads_to_journal(STDERR_FILENO);
    log_out_init(&the.out, STDERR_FILENO);
    choose(SETTINGS_LOG_AUTO);
    log_set_sink(sink, NULL);
}

void logfmt_levels(const struct settings *settings)
{
    enum log_level most = settings->daemon.log;
    for (size_t i = 0; i < settings->n_streams; i++)
        if (settings->streams[i].has_log && settings->streams[i].log > most)
            most = settings->streams[i].log;
    pthread_mutex_lock(&the.lock);
    the.settings = settings;
    choose(settings->daemon.log_format);
    pthread_mutex_unlock(&the.lock);
    log_set_level(most);
    if (settings->daemon.log_format == SETTINGS_LOG_JOURNAL && the.format != SETTINGS_LOG_JOURNAL)
        log_warning(NULL, NULL,
                    "log_format = journal, but there is no journald at " LOG_OUT_JOURNAL
                    ": the log goes to standard error");
}

int logfmt_start(struct io_loop *loop)
{
    the.loop_thread = pthread_self();
    return io_timer_new(loop, on_timer, NULL, &the.timer);
}

void logfmt_stop(void)
{
    tell_due(true);
    if (the.timer != NULL)
        io_timer_close(the.timer);
    the.timer = NULL;
}

void logfmt_counts(struct logfmt_counts *out)
{
    pthread_mutex_lock(&the.lock);
    *out = the.counts;
    pthread_mutex_unlock(&the.lock);
}
