/*
 * layout: words and numbers as an operator reads them. Pure.
 *
 * Decides: how a reason is told apart into what happened, its cause and its fix; how text is
 * wrapped, and how wide it is on a terminal; the form of sizes, rates and clock times.
 * Leaves: what is shown where, to report and plain. Owns: nothing. Fails: as buf_append does, which
 * the buffer remembers by being short; what is shown to people is not worth more.
 */
#ifndef HAWSER_CTL_LAYOUT_H
#define HAWSER_CTL_LAYOUT_H

#include <stdint.h>

#include "base/buf.h"

#define LAYOUT_WIDTH_MIN 40   /* a narrower terminal is written to as if it had these */
#define LAYOUT_WIDTH_TEXT 100 /* prose is not made wider than this */
#define LAYOUT_CLOCK_SIZE 32

/* "3 times in 120 s: close 4003: words of the peer (cause. Fix: what to do)". Where it has no such
 * explanation all of it is `what`, and the others are empty. */
struct reason {
    struct slice what, cause, fix;
};
struct reason reason_split(struct slice text);

/* Columns of a terminal that UTF-8 text takes; escape sequences are not known. */
size_t layout_columns(struct slice text);
/* Appends `text` word by word, from column `at` on; further lines begin behind `indent` blanks.
 * No line is longer than `width` (0: any), a word that would be is cut into pieces. */
void layout_wrap(struct buf *out, struct slice text, size_t at, size_t indent, size_t width);
/* Text and blanks up to so many columns; to the right with right. Longer text is not cut. */
void layout_pad(struct buf *out, struct slice text, size_t columns, bool right);

/* "1.2 GiB" */
void layout_bytes(int64_t bytes, char *out, size_t size);
/* "0", "0.3", "12", "4800" */
void layout_rate(double per_s, char *out, size_t size);
/* When something was or will be, by the local clock: "03:12:40" within twelve hours of now, "Fri
 * 03:12" within six days, else "2026-05-10 03:12". */
void layout_clock(int64_t at_s, int64_t now_s, char out[LAYOUT_CLOCK_SIZE]);

#endif
