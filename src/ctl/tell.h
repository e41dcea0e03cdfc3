/*
 * tell: the sentences of a status: the verdict, since when, what comes next, what to do. Pure.
 *
 * What a screen and a pipe have in common; report puts it on the one, plain into the other. Each
 * appends to a buffer, and appends nothing where there is nothing to tell.
 */
#ifndef HAWSER_CTL_TELL_H
#define HAWSER_CTL_TELL_H

#include "base/buf.h"
#include "ctl/view.h"

/* "2 of 5 streams are not well, store ok" */
void tell_verdict(const struct view *view, struct buf *out);
/* "parked for 58m, since 02:14:07" */
void tell_since(const struct view *view, const struct view_stream *stream, struct buf *out);
/* Why it is not well: the text that reason_split() takes apart. */
const char *tell_trouble(const struct view_stream *stream);
/* "tries again in 12s, at 03:12:40; attempt 7 in a row" */
void tell_next(const struct view *view, const struct view_stream *stream, struct buf *out);
/* The fix, and the command that goes with it. */
void tell_fix(const struct view_stream *stream, struct slice fix, struct buf *out);

/* What is to be known of a stream though it is well: visit gets a label and a text for each. */
void tell_news(const struct view_stream *stream,
               void (*visit)(void *arg, const char *label, struct slice text), void *arg);

/* "ok, 1.2 of 2.0 GiB, seq 12 to 480, the oldest 3d2h old, commit 2ms" */
void tell_store(const struct view *view, struct buf *out);
/* "12 named, 3 connected; 2 are behind: mailer 4200 (gone for 2h), web 12" */
void tell_consumers(const struct view *view, struct buf *out);
/* "control 1, events 3 of 1024" */
void tell_listeners(const struct view *view, struct buf *out);
/* "live 400, sync 12", of those that are not 0; the sum. */
int64_t tell_counts(const struct view_count *counts, struct buf *out);
/* A duration for people; "-" below 0. */
void tell_duration(int64_t ms, struct buf *out);

#endif
