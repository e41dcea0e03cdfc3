/*
 * terminal: what standard output is, and screens that are drawn over and over.
 *
 * Decides: the width that is written for, whether there is colour, how one screen follows another
 * without flicker (one write, line by line over the old one, on the terminal's second screen).
 * Leaves: what stands on them. Owns: nothing; terminal_leave() gives the screen back.
 */
#ifndef HAWSER_CTL_TERMINAL_H
#define HAWSER_CTL_TERMINAL_H

#include <stdbool.h>

#include "base/buf.h"

struct terminal {
    bool tty;             /* else lines go as they are, for other programs */
    bool colour;          /* NO_COLOR is honoured, and so is TERM=dumb */
    size_t width, height; /* of the terminal now; 0: not one */
};
struct terminal terminal_look(void);

/* Text of strangers that goes to a terminal: its control characters, those of C1 too, become '?'.
 */
void terminal_clean(char *text, size_t n);

enum terminal_style { STYLE_BAD, STYLE_WARN, STYLE_GOOD, STYLE_STRONG, STYLE_DIM };
/* Nothing at all without colour. */
void terminal_begin(const struct terminal *terminal, struct buf *out, enum terminal_style style);
void terminal_end(const struct terminal *terminal, struct buf *out);

/* Writes all of it to standard output. False: whoever read us has gone. */
bool terminal_write(struct slice bytes);
/* The second screen, without a cursor, and where long lines are cut; the first one again. */
void terminal_enter(void);
void terminal_leave(void);
/* Lines over those of the screen before; what does not fit is left out, and told. */
bool terminal_draw(const struct terminal *terminal, struct slice lines);

#endif
