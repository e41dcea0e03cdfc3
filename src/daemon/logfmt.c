#include "daemon/logfmt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/timefmt.h"
#include "io/io.h"

/* syslog(3) priorities, by level. */
static const int priorities[] = {
    [LOG_LEVEL_ERROR] = 3, [LOG_LEVEL_WARNING] = 4, [LOG_LEVEL_NOTICE] = 5,
    [LOG_LEVEL_INFO] = 6,  [LOG_LEVEL_DEBUG] = 7,
};

static const struct settings *levels;

static bool wanted(const struct log_record *record)
{
    if (levels == NULL)
        return true;
    for (size_t i = 0; record->stream != NULL && i < levels->n_streams; i++)
        if (levels->streams[i].has_log && strcmp(record->stream, levels->streams[i].name) == 0)
            return record->level <= levels->streams[i].log;
    return record->level <= levels->daemon.log;
}

static void sink(void *arg, const struct log_record *record)
{
    char head[64], time[32];
    if (!wanted(record))
        return;
    if (arg != NULL) {
        snprintf(head, sizeof(head), "<%d>", priorities[record->level]);
    } else {
        time_format_us(io_wall_us(), time);
        snprintf(head, sizeof(head), "%s %-7s ", time, log_level_name(record->level));
    }
    fprintf(stderr, "%s%s%s%s%s%s%s\n", head, record->stream != NULL ? record->stream : "",
            record->link != NULL ? " [" : "", record->link != NULL ? record->link : "",
            record->link != NULL ? "]" : "", record->stream != NULL ? ": " : "", record->text);
}

/* $JOURNAL_STREAM is inherited, and standard error may have gone elsewhere since: it is the journal
 * only if it is the very socket that is named, as DEVICE:INODE. */
static bool to_journal(void)
{
    const char *named = getenv("JOURNAL_STREAM");
    char own[48];
    struct stat st;
    if (named == NULL || fstat(STDERR_FILENO, &st) != 0)
        return false;
    snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(named, own) == 0;
}

void logfmt_install(void)
{
    static int journal;
    log_set_sink(sink, to_journal() ? &journal : NULL);
}

void logfmt_levels(const struct settings *settings)
{
    enum log_level most = settings->daemon.log;
    for (size_t i = 0; i < settings->n_streams; i++)
        if (settings->streams[i].has_log && settings->streams[i].log > most)
            most = settings->streams[i].log;
    levels = settings;
    log_set_level(most);
}
