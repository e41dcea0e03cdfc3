/*
 * report: a status, drawn: for a terminal of any width, or in lines for other programs.
 *
 * Decides: what comes first, which columns a narrow terminal goes without, and the form that does
 * not change, for grep and awk: a table without blanks inside its columns (but the last), then
 * "SUBJECT: LABEL: TEXT", a line each. Leaves: the sentences to tell. Owns: nothing.
 */
#ifndef HAWSER_CTL_REPORT_H
#define HAWSER_CTL_REPORT_H

#include "ctl/terminal.h"
#include "ctl/view.h"

/* All of it, or with `one` all of the one stream that the view holds. */
void report_screen(const struct terminal *terminal, const struct view *view, bool one,
                   struct buf *out);
void report_plain(const struct view *view, bool one, struct buf *out);

/* All that is known of a stream, for both: visit gets a label and a text for each. */
void report_facts(const struct view_stream *stream,
                  void (*visit)(void *arg, const char *label, struct slice text), void *arg);

/* The table's columns, most wanted first. */
enum report_column {
    REPORT_STREAM,
    REPORT_STATE,
    REPORT_FOR,
    REPORT_RATE,
    REPORT_LAST,
    REPORT_RTT,
    REPORT_EVENTS,
    REPORT_DUPLICATES,
    REPORT_POSITION,
    REPORT_COLUMNS
};
void report_cell(const struct view_stream *stream, enum report_column column, struct buf *out);

#endif
